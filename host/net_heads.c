/* SPDX-License-Identifier: MIT */
/*
 * The two heads. The first layers are matrix products with up to 168 MB of folded weights. Each of
 * the folded matrices, five or without a map four, is cut into slices of columns, and a slice meets
 * all rows of a chunk, in blocks of VJ_NET_ROW_BLOCK, while it is in the cache: memory is read once
 * per chunk. Every product has the same shape whatever the number of rows.
 *
 * The products are 1x1 convolutions over an image of VJ_NET_ROW_BLOCK pixels: oneDNN's kernels for
 * these keep constant weights packed and add up every pixel in the same order. Its matrix product
 * does neither: the rows at the end of a block go through other code and get other bits.
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
    PARTS = VJ_FOLD_PARTS,
    SLICE = 64, /* columns of one product */
    SLICES = VJ_NET_HIDDEN / SLICE,
    BLOCKS = VJ_HEADS_ROWS / VJ_NET_ROW_BLOCK,
    MAX_PASS_PARTS = 3, /* parts of the larger pass */
};

static const char *const scopes[HEADS] = {"regressions", "weightings"};

/*
 * The passes: which matrices they use, in which order their results lie. The product is the last
 * part of its pass, so that a network without it leaves the others' places as they are.
 */
static const struct pass {
    enum vj_fold_part part[MAX_PASS_PARTS];
    int parts;
} passes[VJ_HEADS_PASSES] = {
    [VJ_HEADS_REFERENCE] = {{VJ_FOLD_QUALITY_REFERENCE, VJ_FOLD_WEIGHT_REFERENCE}, 2},
    [VJ_HEADS_DISTORTED] = {{VJ_FOLD_QUALITY_DISTORTED, VJ_FOLD_WEIGHT_DISTORTED,
                             VJ_FOLD_WEIGHT_PRODUCT},
                            3},
};

struct vj_heads {
    size_t features;
    int parts; /* vj_net_fold_parts() */
    struct vj_dnn_op *op[PARTS][SLICES];
    float kernel[HEADS][VJ_NET_HIDDEN]; /* of the second layers */
    float bias[HEADS];
};

struct vj_heads_work {
    const struct vj_heads *heads;
    float *features; /* [VJ_HEADS_ROWS][features] */
    float *products; /* the same, where there is a product */
    float *hidden;   /* [MAX_PASS_PARTS][SLICES][VJ_HEADS_ROWS][SLICE] */
    float *scratch;  /* [MAX_PASS_PARTS][SLICES][scratch_floats]: slices run at the same time */
    size_t scratch_floats;
    struct vj_dnn_call *call[PARTS][SLICES][BLOCKS];
    size_t bytes;
};

/* The hidden layers' biases enter once, with the reference; other parts have none. */
static const float *bias_of(const struct vj_weights *w, enum vj_fold_part part, bool *missing,
                            struct vj_error *err)
{
    const char *scope = part == VJ_FOLD_QUALITY_REFERENCE  ? scopes[QUALITY]
                        : part == VJ_FOLD_WEIGHT_REFERENCE ? scopes[WEIGHT]
                                                           : NULL;
    const float *bias =
        scope ? vj_net_tensor(w, VJ_NET_HIDDEN, err, "%s/block1/biases", scope) : NULL;
    *missing = scope && !bias;
    return bias;
}

/* One folded matrix. matrix: [features][VJ_NET_HIDDEN], slice: [features][SLICE] for use here. */
static int prepare_part(struct vj_heads *h, struct vj_dnn *dnn, const struct vj_weights *w,
                        enum vj_fold_part part, float *matrix, float *slice, struct vj_error *err)
{
    const struct vj_dnn_conv conv = {
        .name = "hidden layer of a head",
        .batch = 1,
        .height = 1,
        .width = VJ_NET_ROW_BLOCK,
        .in = h->features,
        .out = SLICE,
        .kernel = 1,
        .src_block = h->features,
        .dst_block = SLICE,
    };
    bool missing;
    const float *bias = bias_of(w, part, &missing, err);
    if (missing)
        return -EINVAL;
    int r = vj_net_fold_head(w, part, matrix, err);
    for (size_t s = 0; s < SLICES && !r; s++) {
        for (size_t k = 0; k < h->features; k++)
            memcpy(slice + k * SLICE, matrix + k * VJ_NET_HIDDEN + s * SLICE,
                   SLICE * sizeof(float));
        r = vj_dnn_conv_prepare(&h->op[part][s], dnn, &conv, slice, bias ? bias + s * SLICE : NULL,
                                err);
    }
    return r;
}

static int take_second_layer(struct vj_heads *h, const struct vj_weights *w, int head,
                             struct vj_error *err)
{
    const float *kernel = vj_net_tensor(w, VJ_NET_HIDDEN, err, "%s/block2/weights", scopes[head]);
    const float *bias = kernel ? vj_net_tensor(w, 1, err, "%s/block2/biases", scopes[head]) : NULL;
    if (!bias)
        return -EINVAL;
    memcpy(h->kernel[head], kernel, sizeof(h->kernel[head]));
    h->bias[head] = *bias;
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
    h->parts = vj_net_fold_parts(&w->shape);
    float *matrix = vj_calloc(h->features * VJ_NET_HIDDEN, sizeof(float));
    float *slice = vj_calloc(h->features * SLICE, sizeof(float));
    int r = 0;
    if (!matrix || !slice)
        r = vj_fail(err, -ENOMEM, "out of memory for folding the heads");
    for (int head = 0; head < HEADS && !r; head++)
        r = take_second_layer(h, w, head, err);
    for (int part = 0; part < h->parts && !r; part++)
        r = prepare_part(h, dnn, w, (enum vj_fold_part)part, matrix, slice, err);
    free(matrix);
    free(slice);
    return r;
}

void vj_heads_free(struct vj_heads *h)
{
    if (!h)
        return;
    for (int part = 0; part < PARTS; part++)
        for (int s = 0; s < SLICES; s++)
            vj_dnn_op_free(h->op[part][s]);
    free(h);
}

size_t vj_heads_bytes(const struct vj_heads *h)
{
    size_t bytes = sizeof(*h);
    for (int part = 0; part < h->parts; part++)
        for (int s = 0; s < SLICES; s++)
            bytes += vj_dnn_op_weight_bytes(h->op[part][s]);
    return bytes;
}

static bool has_product(const struct vj_heads *h)
{
    return h->parts > VJ_FOLD_WEIGHT_PRODUCT;
}

/* Parts of a pass that this network has. */
static int parts_of(const struct vj_heads *h, enum vj_heads_pass pass)
{
    return passes[pass].parts - (pass == VJ_HEADS_DISTORTED && !has_product(h));
}

static float *hidden_at(const struct vj_heads_work *w, int slot, size_t slice, size_t row)
{
    return w->hidden + (((size_t)slot * SLICES + slice) * VJ_HEADS_ROWS + row) * SLICE;
}

/* slot: place of the part in its pass */
static int bind_slice(struct vj_heads_work *w, enum vj_fold_part part, int slot, size_t slice,
                      struct vj_error *err)
{
    float *scratch = w->scratch + ((size_t)slot * SLICES + slice) * w->scratch_floats;
    float *rows = part == VJ_FOLD_WEIGHT_PRODUCT ? w->products : w->features;
    int r = 0;
    for (size_t b = 0; b < BLOCKS && !r; b++)
        r = vj_dnn_bind(&w->call[part][slice][b], w->heads->op[part][slice],
                        rows + b * VJ_NET_ROW_BLOCK * w->heads->features, NULL,
                        hidden_at(w, slot, slice, b * VJ_NET_ROW_BLOCK), scratch, err);
    return r;
}

static size_t most_scratch(const struct vj_heads *h)
{
    size_t bytes = 0;
    for (int part = 0; part < h->parts; part++)
        for (int s = 0; s < SLICES; s++) {
            size_t b = vj_dnn_op_scratch_bytes(h->op[part][s]);
            bytes = b > bytes ? b : bytes;
        }
    return bytes;
}

int vj_heads_work_create(struct vj_heads_work **work, const struct vj_heads *heads,
                         struct vj_error *err)
{
    struct vj_heads_work *w = vj_calloc(1, sizeof(*w));
    *work = w;
    if (!w)
        return vj_fail(err, -ENOMEM, "out of memory for the heads");
    const size_t row_floats = VJ_HEADS_ROWS * heads->features;
    const size_t hidden_floats = (size_t)MAX_PASS_PARTS * VJ_HEADS_ROWS * VJ_NET_HIDDEN;
    w->heads = heads;
    w->scratch_floats = (most_scratch(heads) + 63) / 64 * 16;
    const size_t product_floats = has_product(heads) ? row_floats : 0;
    const size_t floats = row_floats + product_floats + hidden_floats +
                          (size_t)MAX_PASS_PARTS * SLICES * w->scratch_floats;
    w->bytes = floats * sizeof(float);
    w->features = vj_alloc_aligned(floats, sizeof(float));
    if (!w->features)
        return vj_fail(err, -ENOMEM, "out of memory for rows of features (%zu bytes)", w->bytes);
    memset(w->features, 0, w->bytes); /* rows that pad a block are finite from the start */
    w->products = w->features + row_floats;
    w->hidden = w->products + product_floats;
    w->scratch = w->hidden + hidden_floats;
    int r = 0;
    for (int pass = 0; pass < VJ_HEADS_PASSES; pass++)
        for (int slot = 0; slot < parts_of(heads, (enum vj_heads_pass)pass); slot++)
            for (size_t s = 0; s < SLICES && !r; s++)
                r = bind_slice(w, passes[pass].part[slot], slot, s, err);
    return r;
}

void vj_heads_work_free(struct vj_heads_work *w)
{
    if (!w)
        return;
    for (int part = 0; part < PARTS; part++)
        for (int s = 0; s < SLICES; s++)
            for (int b = 0; b < BLOCKS; b++)
                vj_dnn_call_free(w->call[part][s][b]);
    free(w->features);
    free(w);
}

size_t vj_heads_work_bytes(const struct vj_heads_work *w)
{
    return sizeof(*w) + w->bytes;
}

float *vj_heads_features(struct vj_heads_work *w, size_t row)
{
    return w->features + row * w->heads->features;
}

float *vj_heads_products(struct vj_heads_work *w, size_t row)
{
    return w->products + row * w->heads->features;
}

static int run_slice(struct vj_heads_work *w, enum vj_fold_part part, int slice, size_t rows,
                     struct vj_error *err)
{
    int r = 0;
    for (size_t b = 0; b * VJ_NET_ROW_BLOCK < rows && !r; b++)
        r = vj_dnn_run(w->call[part][slice][b], err);
    return r;
}

int vj_heads_run(struct vj_heads_work *w, enum vj_heads_pass pass, size_t rows, int threads,
                 struct vj_error *err)
{
    const int tasks = parts_of(w->heads, pass) * SLICES;
    int failed = 0;
#pragma omp parallel num_threads(threads)
    {
        omp_set_num_threads(1); /* of this task only: what the products were prepared for */
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < tasks; task++) {
            struct vj_error own = {0};
            int r = run_slice(w, passes[pass].part[task / SLICES], task % SLICES, rows, &own);
            if (r)
#pragma omp critical(vj_net_error)
                failed = vj_fail(err, r, "%s", own.text);
        }
    }
    return failed;
}

/* A row's results of the part in `slot`, put together from the slices. */
static void gather(const struct vj_heads_work *w, int slot, size_t row, float *out)
{
    for (size_t s = 0; s < SLICES; s++)
        memcpy(out + s * SLICE, hidden_at(w, slot, s, row), SLICE * sizeof(float));
}

void vj_heads_constant(const struct vj_heads_work *w, size_t row, float *constant)
{
    gather(w, 0, row, constant);
    gather(w, 1, row, constant + VJ_NET_HIDDEN);
}

void vj_heads_finish(const struct vj_heads_work *w, size_t row, const float *constant,
                     float *quality, float *weight)
{
    const struct vj_heads *h = w->heads;
    float of_quality[VJ_NET_HIDDEN], of_weight[VJ_NET_HIDDEN];
    gather(w, 0, row, of_quality);
    gather(w, 1, row, of_weight);
    if (has_product(h)) {
        float of_product[VJ_NET_HIDDEN];
        gather(w, 2, row, of_product);
        for (size_t i = 0; i < VJ_NET_HIDDEN; i++)
            of_weight[i] += of_product[i];
    }
    *quality =
        vj_layer_head(constant, of_quality, h->kernel[QUALITY], h->bias[QUALITY], VJ_NET_HIDDEN);
    float a = vj_layer_head(constant + VJ_NET_HIDDEN, of_weight, h->kernel[WEIGHT], h->bias[WEIGHT],
                            VJ_NET_HIDDEN);
    *weight = (a > 0 ? a : 0) + VJ_NET_LEAST_WEIGHT;
}
