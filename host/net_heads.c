/* SPDX-License-Identifier: MIT */
/*
 * The two heads. The first layers are matrix products with up to 100 MB of weights; they are cut
 * into slices of columns, each run over all rows of a chunk in blocks of VJ_NET_ROW_BLOCK, so that
 * memory is read once per chunk and every product has the same shape whatever the number of rows.
 */
#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/net_internal.h"

enum {
    QUALITY = 0,
    WEIGHT,
    HEADS,
    SLICE = 64, /* columns of one product */
    SLICES = VJ_NET_HIDDEN / SLICE,
    BLOCKS = VJ_HEADS_ROWS / VJ_NET_ROW_BLOCK,
    TASKS = HEADS * SLICES,
};

static const char *const head_scopes[HEADS] = {"regressions", "weightings"};

struct vj_heads {
    size_t features;
    struct vj_dnn_op *op[VJ_HEADS_PASSES][HEADS][SLICES];
    float bias[HEADS * VJ_NET_HIDDEN];  /* of the hidden layers */
    float kernel[HEADS][VJ_NET_HIDDEN]; /* of the second layers */
    float output_bias[HEADS];
};

struct vj_heads_work {
    const struct vj_heads *heads;
    float *rows;    /* [VJ_HEADS_ROWS][2 * features] */
    float *hidden;  /* [VJ_HEADS_ROWS][HEADS * VJ_NET_HIDDEN] */
    float *scratch; /* [TASKS][scratch_floats]: tasks run at the same time */
    size_t scratch_floats;
    struct vj_dnn_call *call[VJ_HEADS_PASSES][HEADS][SLICES][BLOCKS];
    size_t bytes;
};

/* Folded matrices that the rows of features meet, stacked; `count` of them. */
static const struct parts {
    enum vj_fold_part part[2];
    size_t count;
} parts_of[VJ_HEADS_PASSES][HEADS] = {
    [VJ_HEADS_REFERENCE] =
        {[QUALITY] = {{VJ_FOLD_QUALITY_REFERENCE}, 1}, [WEIGHT] = {{VJ_FOLD_WEIGHT_REFERENCE}, 1}},
    [VJ_HEADS_DISTORTED] = {[QUALITY] = {{VJ_FOLD_QUALITY_DISTORTED}, 1},
                            [WEIGHT] = {{VJ_FOLD_WEIGHT_DISTORTED, VJ_FOLD_WEIGHT_PRODUCT}, 2}},
};

/* Prepares one head's slices for one pass. stacked, slice: room for the largest matrix and slice.
 */
static int prepare_slices(struct vj_heads *h, struct vj_dnn *dnn, const struct vj_weights *w,
                          int pass, int head, float *stacked, float *slice, struct vj_error *err)
{
    const struct parts *parts = &parts_of[pass][head];
    const size_t part_floats = h->features * VJ_NET_HIDDEN, depth = parts->count * h->features;
    const struct vj_dnn_matmul matmul = {
        .name = head_scopes[head],
        .rows = VJ_NET_ROW_BLOCK,
        .depth = depth,
        .columns = SLICE,
        .a_stride = 2 * h->features,
        .c_stride = HEADS * VJ_NET_HIDDEN,
    };
    for (size_t i = 0; i < parts->count; i++) {
        int r = vj_net_fold_head(w, parts->part[i], stacked + i * part_floats, err);
        if (r)
            return r;
    }
    for (size_t s = 0; s < SLICES; s++) {
        for (size_t k = 0; k < depth; k++)
            memcpy(slice + k * SLICE, stacked + k * VJ_NET_HIDDEN + s * SLICE,
                   SLICE * sizeof(float));
        int r = vj_dnn_matmul_prepare(&h->op[pass][head][s], dnn, &matmul, slice, err);
        if (r)
            return r;
    }
    return 0;
}

static int take_small_tensors(struct vj_heads *h, const struct vj_weights *w, int head,
                              struct vj_error *err)
{
    const char *scope = head_scopes[head];
    const float *bias = vj_net_tensor(w, VJ_NET_HIDDEN, err, "%s/block1/biases", scope);
    const float *kernel =
        bias ? vj_net_tensor(w, VJ_NET_HIDDEN, err, "%s/block2/weights", scope) : NULL;
    const float *last = kernel ? vj_net_tensor(w, 1, err, "%s/block2/biases", scope) : NULL;
    if (!last)
        return -EINVAL;
    memcpy(h->bias + head * VJ_NET_HIDDEN, bias, VJ_NET_HIDDEN * sizeof(float));
    memcpy(h->kernel[head], kernel, VJ_NET_HIDDEN * sizeof(float));
    h->output_bias[head] = *last;
    return 0;
}

int vj_heads_prepare(struct vj_heads **heads, struct vj_dnn *dnn, const struct vj_weights *w,
                     struct vj_error *err)
{
    struct vj_heads *h = vj_calloc(1, sizeof(*h));
    *heads = h;
    if (!h)
        return vj_fail(err, -ENOMEM, "out of memory for the heads");
    h->features = vj_net_features(&w->shape);
    float *stacked = vj_calloc(2 * h->features * VJ_NET_HIDDEN, sizeof(float));
    float *slice = vj_calloc(2 * h->features * SLICE, sizeof(float));
    int r = 0;
    if (!stacked || !slice)
        r = vj_fail(err, -ENOMEM, "out of memory for folding the heads");
    for (int head = 0; head < HEADS && !r; head++) {
        r = take_small_tensors(h, w, head, err);
        for (int pass = 0; pass < VJ_HEADS_PASSES && !r; pass++)
            r = prepare_slices(h, dnn, w, pass, head, stacked, slice, err);
    }
    free(stacked);
    free(slice);
    return r;
}

void vj_heads_free(struct vj_heads *h)
{
    if (!h)
        return;
    for (int pass = 0; pass < VJ_HEADS_PASSES; pass++)
        for (int head = 0; head < HEADS; head++)
            for (int s = 0; s < SLICES; s++)
                vj_dnn_op_free(h->op[pass][head][s]);
    free(h);
}

size_t vj_heads_bytes(const struct vj_heads *h)
{
    size_t bytes = sizeof(*h);
    for (int pass = 0; pass < VJ_HEADS_PASSES; pass++)
        for (int head = 0; head < HEADS; head++)
            for (int s = 0; s < SLICES; s++)
                bytes += vj_dnn_op_weight_bytes(h->op[pass][head][s]);
    return bytes;
}

static size_t most_scratch(const struct vj_heads *h)
{
    size_t bytes = 0;
    for (int pass = 0; pass < VJ_HEADS_PASSES; pass++)
        for (int head = 0; head < HEADS; head++)
            for (int s = 0; s < SLICES; s++) {
                size_t b = vj_dnn_op_scratch_bytes(h->op[pass][head][s]);
                bytes = b > bytes ? b : bytes;
            }
    return bytes;
}

static int bind_slice(struct vj_heads_work *w, int pass, int head, size_t s, struct vj_error *err)
{
    const size_t task = (size_t)head * SLICES + s;
    for (size_t b = 0; b < BLOCKS; b++) {
        const size_t row = b * VJ_NET_ROW_BLOCK;
        float *hidden = w->hidden + row * HEADS * VJ_NET_HIDDEN + head * VJ_NET_HIDDEN + s * SLICE;
        int r = vj_dnn_bind(&w->call[pass][head][s][b], w->heads->op[pass][head][s],
                            vj_heads_row(w, row), NULL, hidden,
                            w->scratch + task * w->scratch_floats, err);
        if (r)
            return r;
    }
    return 0;
}

int vj_heads_work_create(struct vj_heads_work **work, const struct vj_heads *heads,
                         struct vj_error *err)
{
    struct vj_heads_work *w = vj_calloc(1, sizeof(*w));
    *work = w;
    if (!w)
        return vj_fail(err, -ENOMEM, "out of memory for the heads");
    const size_t row_floats = VJ_HEADS_ROWS * 2 * heads->features;
    const size_t hidden_floats = VJ_HEADS_ROWS * HEADS * VJ_NET_HIDDEN;
    w->heads = heads;
    w->scratch_floats = (most_scratch(heads) + 63) / 64 * 16;
    const size_t floats = row_floats + hidden_floats + TASKS * w->scratch_floats;
    w->bytes = floats * sizeof(float);
    w->rows = vj_alloc_aligned(floats, sizeof(float));
    if (!w->rows)
        return vj_fail(err, -ENOMEM, "out of memory for rows of features (%zu bytes)", w->bytes);
    memset(w->rows, 0, w->bytes); /* rows that pad a block are finite from the start */
    w->hidden = w->rows + row_floats;
    w->scratch = w->hidden + hidden_floats;
    int r = 0;
    for (int pass = 0; pass < VJ_HEADS_PASSES; pass++)
        for (int head = 0; head < HEADS; head++)
            for (size_t s = 0; s < SLICES && !r; s++)
                r = bind_slice(w, pass, head, s, err);
    return r;
}

void vj_heads_work_free(struct vj_heads_work *w)
{
    if (!w)
        return;
    for (int pass = 0; pass < VJ_HEADS_PASSES; pass++)
        for (int head = 0; head < HEADS; head++)
            for (int s = 0; s < SLICES; s++)
                for (int b = 0; b < BLOCKS; b++)
                    vj_dnn_call_free(w->call[pass][head][s][b]);
    free(w->rows);
    free(w);
}

size_t vj_heads_work_bytes(const struct vj_heads_work *w)
{
    return sizeof(*w) + w->bytes;
}

float *vj_heads_row(struct vj_heads_work *w, size_t row)
{
    return w->rows + row * 2 * w->heads->features;
}

const float *vj_heads_hidden(const struct vj_heads_work *w, size_t row)
{
    return w->hidden + row * HEADS * VJ_NET_HIDDEN;
}

static int run_slice(struct vj_heads_work *w, int pass, int head, int slice, size_t rows,
                     struct vj_error *err)
{
    for (size_t b = 0; b * VJ_NET_ROW_BLOCK < rows; b++) {
        int r = vj_dnn_run(w->call[pass][head][slice][b], err);
        if (r)
            return r;
    }
    return 0;
}

int vj_heads_run(struct vj_heads_work *w, enum vj_heads_pass pass, size_t rows, int threads,
                 struct vj_error *err)
{
    int failed = 0;
#pragma omp parallel num_threads(threads)
    {
        omp_set_num_threads(1); /* of this task only: what the products were prepared for */
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < TASKS; task++) {
            /* the weight head first: its products are the longer ones */
            int head = task < SLICES ? WEIGHT : QUALITY;
            struct vj_error own = {0};
            int r = run_slice(w, (int)pass, head, task % SLICES, rows, &own);
            if (r)
#pragma omp critical(vj_net_error)
                failed = vj_fail(err, r, "%s", own.text);
        }
    }
    return failed;
}

void vj_heads_add_biases(const struct vj_heads *h, const float *hidden, float *constant)
{
    for (size_t i = 0; i < HEADS * VJ_NET_HIDDEN; i++)
        constant[i] = hidden[i] + h->bias[i];
}

void vj_heads_finish(const struct vj_heads *h, const float *constant, const float *hidden,
                     float *quality, float *weight)
{
    *quality =
        vj_layer_head(constant, hidden, h->kernel[QUALITY], h->output_bias[QUALITY], VJ_NET_HIDDEN);
    float a = vj_layer_head(constant + VJ_NET_HIDDEN, hidden + VJ_NET_HIDDEN, h->kernel[WEIGHT],
                            h->output_bias[WEIGHT], VJ_NET_HIDDEN);
    *weight = (a > 0 ? a : 0) + 1e-6f;
}
