/* SPDX-License-Identifier: MIT */
#include "cuda/net.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

extern "C" {
#include "host/checked.h"
#include "host/net_fold.h"
}

#include "cuda/net_conv.h"
#include "cuda/net_graph.h"
#include "cuda/net_weights.h"

#include "cuda/check.h"

/* The layers for one number of rows. */
struct batch {
    struct vj_cuda_net_plan plan;
    struct vj_cuda_net_layer conv[VJ_NET_LAYERS];
    struct vj_cuda_net_matmul_op projection[VJ_CUDA_NET_STREAMS]
                                           [VJ_CUDA_NET_PROJECTIONS]; /* with biases */
    struct vj_cuda_net_matmul_op affinity, attend, head_pair, head_product;
};

struct vj_cuda_net {
    struct batch full;        /* of candidates; buffers are laid out for it */
    struct batch fewer;       /* unused where sides have as many rows */
    const struct batch *side; /* of reference sides: one of the two */
    struct vj_cuda_net_weights weights;
    cublasLtHandle_t lt;
    size_t workspace; /* bytes that the hungriest layer wants */
};

struct vj_cuda_net_work {
    const struct vj_cuda_net *net;
    cudnnHandle_t dnn;
    char *memory; /* device, one allocation */
    size_t bytes;
    struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
    size_t references, max_patches;
    size_t *loaded; /* [references]: patches of each, 0 = none */
    struct vj_cuda_net_recordings recordings;
    vj_cuda_net_hook hook;
    void *hook_user;
};

/* ---- network ---- */

/* Products that make theta, phi and value. */
static int projections_of(const struct vj_cuda_net_plan *plan)
{
    return plan->non_local ? 1 : VJ_CUDA_NET_PROJECTIONS;
}

static const char *projection_name(const struct vj_cuda_net_plan *plan, int i)
{
    static const char *const names[VJ_CUDA_NET_PROJECTIONS] = {"theta", "phi", "value"};
    return plan->non_local ? "projections" : names[i];
}

static int prepare_projections(const struct vj_cuda_net *net, struct batch *b, int s,
                               struct vj_error *err)
{
    const struct vj_cuda_net_extractor *e = &net->weights.extractor[s];
    int r = 0;
    for (int i = 0; i < projections_of(&b->plan) && !r; i++) {
        struct vj_cuda_net_matmul matmul = b->plan.product[VJ_CUDA_NET_PROJECTION];
        matmul.name = projection_name(&b->plan, i);
        r = vj_cuda_net_matmul_prepare(&b->projection[s][i], net->lt, &matmul, b->plan.precision,
                                       e->projection_bias[i], err);
    }
    return r;
}

static int prepare_products(const struct vj_cuda_net *net, struct batch *b, struct vj_error *err)
{
    const struct vj_net_form *form = b->plan.form;
    const struct {
        struct vj_cuda_net_matmul_op *op;
        enum vj_cuda_net_product product;
        bool there;
    } list[] = {
        {&b->affinity, VJ_CUDA_NET_AFFINITY, form->non_local && !b->plan.non_local},
        {&b->attend, VJ_CUDA_NET_ATTEND, form->non_local && !b->plan.non_local},
        {&b->head_pair, VJ_CUDA_NET_HEAD_PAIR, true},
        {&b->head_product, VJ_CUDA_NET_HEAD_PRODUCT, form->jnd},
    };
    int r = 0;
    for (int s = 0; s < VJ_CUDA_NET_STREAMS && form->non_local && !r; s++)
        r = prepare_projections(net, b, s, err);
    for (const auto &l : list)
        if (!r && l.there)
            r = vj_cuda_net_matmul_prepare(l.op, net->lt, &b->plan.product[l.product],
                                           b->plan.precision, NULL, err);
    return r;
}

/* Chooses the algorithms of the convolutions, cuDNN's by running them on memory that is given back.
 */
static int choose_convs(const struct vj_cuda_net *net, struct batch *b, cudnnHandle_t dnn,
                        struct vj_error *err)
{
    const struct vj_cuda_net_plan *p = &b->plan;
    const struct vj_cuda_net_handles handles = {dnn, net->lt};
    size_t in = 0, out = 0;
    void *memory = NULL;
    for (int i = p->first; i < p->layers; i++) {
        const struct vj_cuda_net_conv &c = p->conv[i];
        if (c.way != VJ_CUDA_NET_DIRECT) /* products are not tried */
            continue;
        const size_t pixels = p->rows * (size_t)c.side * (size_t)c.side * p->element;
        in = pixels * (size_t)c.in > in ? pixels * (size_t)c.in : in;
        out = pixels * (size_t)c.out > out ? pixels * (size_t)c.out : out;
    }
    in = (in + VJ_CUDA_NET_ALIGNMENT - 1) / VJ_CUDA_NET_ALIGNMENT * VJ_CUDA_NET_ALIGNMENT;
    int r = in + out ? VJ_CUDA(cudaMalloc(&memory, in + out), err) : 0;
    if (!r && memory)
        r = VJ_CUDA(cudaMemset(memory, 0, in + out), err);
    for (int i = p->first; i < p->layers && !r; i++) {
        const struct vj_cuda_net_extractor *e = &net->weights.extractor[VJ_CUDA_NET_PICTURE];
        const struct vj_cuda_net_conv_memory m = {memory, e->kernel[i], e->bias[i],
                                                  static_cast<char *>(memory) + in, NULL};
        r = vj_cuda_net_layer_prepare(&b->conv[i], &p->conv[i], p->rows, p->precision, &handles, &m,
                                      err);
    }
    cudaFree(memory);
    return r;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t most_workspace(const struct batch *b)
{
    size_t bytes = larger(b->affinity.workspace, b->attend.workspace);
    bytes = larger(bytes, larger(b->head_pair.workspace, b->head_product.workspace));
    for (const auto &c : b->conv)
        bytes = larger(bytes, c.workspace);
    for (const auto &stream : b->projection)
        for (const auto &op : stream)
            bytes = larger(bytes, op.workspace);
    return bytes;
}

static int prepare(struct vj_cuda_net *net, const struct vj_weights *w, struct vj_error *err)
{
    cudnnHandle_t dnn = NULL;
    int r = vj_cuda_net_weights_load(&net->weights, &net->full.plan, w, err);
    if (!r)
        r = VJ_CUBLAS(cublasLtCreate(&net->lt), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreate(&dnn), err);
    for (struct batch *b : {&net->full, &net->fewer})
        if (!r && b->plan.rows > 0) {
            r = prepare_products(net, b, err);
            if (!r)
                r = choose_convs(net, b, dnn, err);
            net->workspace = larger(net->workspace, most_workspace(b));
        }
    if (dnn)
        cudnnDestroy(dnn);
    return r;
}

int vj_cuda_net_create(struct vj_cuda_net **net, const struct vj_weights *w, size_t rows,
                       size_t side_rows, enum vj_cuda_precision precision, struct vj_error *err)
{
    struct vj_cuda_net_plan plan, side;
    *net = NULL;
    int r = vj_cuda_net_plan_make(&plan, &w->shape, rows, precision, err);
    if (!r)
        r = vj_cuda_net_plan_make(&side, &w->shape, side_rows, precision, err);
    if (!r && side_rows > rows)
        r = vj_fail(err, -EINVAL, "%zu rows of reference sides, more than the %zu of candidates",
                    side_rows, rows);
    if (r)
        return r;
    struct vj_cuda_net *n = static_cast<struct vj_cuda_net *>(vj_calloc(1, sizeof(*n)));
    if (!n)
        return vj_fail(err, -ENOMEM, "out of memory for the network");
    n->full.plan = plan;
    n->side = &n->full;
    if (side_rows < rows) {
        n->fewer.plan = side;
        n->side = &n->fewer;
    }
    r = prepare(n, w, err);
    if (r) {
        vj_cuda_net_destroy(n);
        return r;
    }
    *net = n;
    return 0;
}

static void free_batch(struct batch *b)
{
    for (auto &c : b->conv)
        vj_cuda_net_layer_free(&c);
    for (auto &stream : b->projection)
        for (auto &op : stream)
            vj_cuda_net_matmul_free(&op);
    vj_cuda_net_matmul_free(&b->affinity);
    vj_cuda_net_matmul_free(&b->attend);
    vj_cuda_net_matmul_free(&b->head_pair);
    vj_cuda_net_matmul_free(&b->head_product);
}

void vj_cuda_net_destroy(struct vj_cuda_net *net)
{
    if (!net)
        return;
    free_batch(&net->full);
    free_batch(&net->fewer);
    if (net->lt)
        cublasLtDestroy(net->lt);
    vj_cuda_net_weights_free(&net->weights);
    free(net);
}

size_t vj_cuda_net_bytes(const struct vj_cuda_net *net)
{
    return net->weights.bytes;
}

const struct vj_cuda_net_plan *vj_cuda_net_get_plan(const struct vj_cuda_net *net)
{
    return &net->full.plan;
}

void vj_cuda_net_libraries(char *text, size_t size)
{
    const size_t dnn = cudnnGetVersion(), blas = cublasLtGetVersion();
    snprintf(text, size, "cuDNN %zu.%zu.%zu, cuBLASLt %zu.%zu.%zu", dnn / 10000, dnn / 100 % 100,
             dnn % 100, blas / 10000, blas / 100 % 100, blas % 100);
}

/* Where the next line goes; stays at the end when the text is full. */
static void advance(char **text, size_t *size, int written)
{
    const size_t step = written < 0 ? 0 : (size_t)written < *size ? (size_t)written : *size - 1;
    *text += step;
    *size -= step;
}

static void describe_layers(const struct batch *b, char **text, size_t *size)
{
    const struct vj_cuda_net_matmul_op *const products[] = {
        &b->projection[0][0], &b->projection[0][1], &b->projection[0][2], &b->affinity,
        &b->attend,           &b->head_pair,        &b->head_product};
    if (b->plan.first)
        advance(text, size, snprintf(*text, *size, "conv1 and its pooling in one kernel\n"));
    for (int i = b->plan.first; i < b->plan.layers; i++)
        advance(text, size, vj_cuda_net_layer_describe(&b->conv[i], *text, *size));
    if (b->plan.non_local)
        advance(text, size, snprintf(*text, *size, "affinity to pool4 in one kernel\n"));
    for (const auto *op : products)
        if (op->desc) /* the variant has it */
            advance(text, size, vj_cuda_net_matmul_describe(op, *text, *size));
}

void vj_cuda_net_describe(const struct vj_cuda_net *net, char *text, size_t size)
{
    char libraries[80];
    if (size == 0)
        return;
    vj_cuda_net_libraries(libraries, sizeof(libraries));
    advance(&text, &size,
            snprintf(text, size, "%s\nprecision %s\nbatch %zu\n", libraries,
                     vj_cuda_precision_name(net->full.plan.precision), net->full.plan.rows));
    describe_layers(&net->full, &text, &size);
    if (net->side == &net->full)
        return;
    advance(&text, &size,
            snprintf(text, size, "batch of reference sides %zu\n", net->side->plan.rows));
    describe_layers(net->side, &text, &size);
}

/* ---- work ---- */

size_t vj_cuda_net_work_bytes_needed(const struct vj_cuda_net *net, size_t references,
                                     size_t max_patches)
{
    struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
    size_t total;
    int r = vj_cuda_net_plan_places(&net->full.plan, references, max_patches, net->workspace, place,
                                    &total, NULL);
    return r ? SIZE_MAX : total;
}

/* Refuses with both numbers what cudaMalloc would refuse without. */
static int check_free(size_t bytes, struct vj_error *err)
{
    size_t free_bytes, total;
    int r = VJ_CUDA(cudaMemGetInfo(&free_bytes, &total), err);
    if (!r && bytes > free_bytes)
        r = vj_fail(err, -ENOMEM,
                    "a network's work needs %zu MiB on the GPU, %zu MiB are free; lower slots or "
                    "patches",
                    bytes >> 20, free_bytes >> 20);
    return r;
}

int vj_cuda_net_work_create(struct vj_cuda_net_work **work, const struct vj_cuda_net *net,
                            size_t references, size_t max_patches, struct vj_error *err)
{
    *work = NULL;
    struct vj_cuda_net_work *w = static_cast<struct vj_cuda_net_work *>(vj_calloc(1, sizeof(*w)));
    if (!w)
        return vj_fail(err, -ENOMEM, "out of memory for the network's work");
    w->net = net;
    w->references = references;
    w->max_patches = max_patches;
    int r = vj_cuda_net_plan_places(&net->full.plan, references, max_patches, net->workspace,
                                    w->place, &w->bytes, err);
    if (!r) {
        w->loaded = static_cast<size_t *>(vj_calloc(references, sizeof(*w->loaded)));
        r = w->loaded ? 0 : vj_fail(err, -ENOMEM, "out of memory for %zu references", references);
    }
    if (!r)
        r = check_free(w->bytes, err);
    if (!r)
        r = VJ_CUDA(cudaMalloc(reinterpret_cast<void **>(&w->memory), w->bytes), err);
    if (!r)
        r = VJ_CUDA(cudaMemset(w->memory, 0, w->bytes), err);
    if (!r)
        r = VJ_CUDA(cudaDeviceSynchronize(), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreate(&w->dnn), err);
    if (r) {
        vj_cuda_net_work_destroy(w);
        return r;
    }
    *work = w;
    return 0;
}

void vj_cuda_net_work_destroy(struct vj_cuda_net_work *work)
{
    if (!work)
        return;
    vj_cuda_net_recordings_free(&work->recordings);
    if (work->dnn)
        cudnnDestroy(work->dnn);
    cudaFree(work->memory);
    free(work->loaded);
    free(work);
}

size_t vj_cuda_net_work_bytes(const struct vj_cuda_net_work *work)
{
    return work->bytes;
}

void vj_cuda_net_set_hook(struct vj_cuda_net_work *work, vj_cuda_net_hook hook, void *user)
{
    work->hook = hook;
    work->hook_user = user;
}

size_t vj_cuda_net_replays(const struct vj_cuda_net_work *work)
{
    return work->recordings.replays;
}

static void *at(const struct vj_cuda_net_work *work, enum vj_cuda_net_buffer buffer)
{
    return work->memory + work->place[buffer].offset;
}

static float *floats_at(const struct vj_cuda_net_work *work, enum vj_cuda_net_buffer buffer)
{
    return static_cast<float *>(at(work, buffer));
}

static int *flags_of(const struct vj_cuda_net_work *work)
{
    return static_cast<int *>(at(work, VJ_CUDA_NET_FLAGS));
}

/* ---- passes ---- */

/* What every step of a pass needs. */
struct pass {
    struct vj_cuda_net_work *work;
    const struct vj_cuda_net *net;
    const struct batch *batch;
    const struct vj_cuda_net_plan *plan;
    const struct vj_cuda_net_extractor *extractor;
    int stream_index; /* enum vj_cuda_net_stream */
    cudaStream_t stream;
    struct vj_error *err;
};

static struct pass make_pass(struct vj_cuda_net_work *work, const struct batch *batch,
                             cudaStream_t stream, int s, struct vj_error *err)
{
    const struct vj_cuda_net *net = work->net;
    return {work, net, batch, &batch->plan, &net->weights.extractor[s], s, stream, err};
}

static int show(const struct pass *p, const struct vj_cuda_net_stage &stage)
{
    return p->work->hook ? p->work->hook(p->work->hook_user, p->stream, &stage, p->err) : 0;
}

/* Bytes of so many numbers of the plan's precision. */
static double bytes_of(const struct pass *p, size_t numbers)
{
    return (double)(numbers * p->plan->element);
}

static int clear_flags(const struct pass *p)
{
    return VJ_CUDA(
        cudaMemsetAsync(flags_of(p->work), 0, p->work->place[VJ_CUDA_NET_FLAGS].bytes, p->stream),
        p->err);
}

static int run_input(const struct pass *p, const uint8_t *d_patches, int channels, size_t count)
{
    const size_t side = (size_t)p->plan->shape.patch_size, px = side * side;
    const size_t ld = (size_t)p->plan->conv[0].in;
    void *input = at(p->work, VJ_CUDA_NET_INPUT);
    int r =
        VJ_CUDA(vj_cuda_net_input(p->plan, p->stream, d_patches, channels, count, input), p->err);
    return r ? r
             : show(p, {"input", input, false, px, 3, ld, 0,
                        (double)(px * (size_t)channels) + bytes_of(p, px * ld)});
}

static int run_conv(const struct pass *p, int i, const void *from, void *to)
{
    const struct vj_cuda_net_conv *c = &p->plan->conv[i];
    const struct vj_cuda_net_conv_memory m = {from, p->extractor->kernel[i], p->extractor->bias[i],
                                              to, at(p->work, VJ_CUDA_NET_WORKSPACE)};
    const struct vj_cuda_net_handles handles = {p->work->dnn, p->net->lt};
    const bool parts = c->pooled && i < vj_net_attentions(p->plan->form);
    const struct vj_cuda_net_around around = {
        floats_at(p->work, VJ_CUDA_NET_SCALE),
        parts ? floats_at(p->work, VJ_CUDA_NET_SUMS) : NULL,
        parts ? floats_at(p->work, VJ_CUDA_NET_PEAKS) : NULL,
        flags_of(p->work),
    };
    const size_t px = (size_t)c->side * (size_t)c->side;
    int r = vj_cuda_net_layer_run(&p->batch->conv[i], &handles, p->stream, &m, &around, p->err);
    return r || c->pooled
               ? r
               : show(p, {c->name, to, false, px, (size_t)c->real_out, (size_t)c->out,
                          vj_cuda_net_conv_made(c), vj_cuda_net_conv_bytes(c, p->plan->element)});
}

static const char *const pool_names[VJ_NET_BLOCKS] = {"pool1", "pool2", "pool3", "pool4", "pool5"};

static void *pooled_of(const struct pass *p, int b)
{
    return at(p->work, vj_cuda_net_pooled(p->plan, b));
}

/* The convolutions of block b: from input or pooled to `map`, or to what is to be pooled, pooled.
 */
static int run_convs(const struct pass *p, int b, void *map)
{
    struct vj_cuda_net_work *w = p->work;
    const int end = vj_net_block_end(p->plan->form, b);
    const void *from = b ? pooled_of(p, b - 1) : at(w, VJ_CUDA_NET_INPUT);
    int r = 0;
    for (int i = end + 1 - p->plan->form->convs; i <= end && !r; i++) {
        void *to = i == end ? map : at(w, VJ_CUDA_NET_BETWEEN);
        r = run_conv(p, i, from, to);
        if (!r && i < end) /* pooling looks at the last one's */
            r = VJ_CUDA(vj_cuda_net_check(p->plan, i, p->stream, to, flags_of(w)), p->err);
        from = to;
    }
    return r;
}

/* Block b without attention: from input or pooled to pooled, the last one to the features. */
static int run_plain_block(const struct pass *p, int b)
{
    struct vj_cuda_net_work *w = p->work;
    const struct vj_cuda_net_conv *c = &p->plan->conv[vj_net_block_end(p->plan->form, b)];
    const size_t channels = (size_t)c->out, half = (size_t)c->side / 2, px = half * half;
    void *map = at(w, VJ_CUDA_NET_MAP), *pooled = pooled_of(p, b);
    struct vj_cuda_net_stage stage = {
        pool_names[b], pooled, false, px, channels, channels, 0, bytes_of(p, 5 * px * channels)};
    int r = run_convs(p, b, c->pooled ? pooled : map);
    if (!r && !c->pooled)
        r = VJ_CUDA(vj_cuda_net_halve(p->plan, b, p->stream, map, pooled, flags_of(w)), p->err);
    if (c->pooled) {
        stage.macs = vj_cuda_net_conv_made(c);
        stage.bytes = vj_cuda_net_conv_bytes(c, p->plan->element);
    }
    return r ? r : show(p, stage);
}

/* Behind the sums and peaks of block i: scales pooled, or leaves that to the next convolution.
 * macs, bytes: of what made them. */
static int run_attention(const struct pass *p, int i, double macs, double bytes)
{
    static const char *const attention_names[] = {"attention1", "attention2", "attention3",
                                                  "attention4"};
    struct vj_cuda_net_work *w = p->work;
    const size_t channels = (size_t)p->plan->pool[i].channels;
    const size_t half = (size_t)p->plan->pool[i].side / 2, px = half * half;
    void *pooled = pooled_of(p, i);
    float *scale = floats_at(w, VJ_CUDA_NET_SCALE);
    int r = VJ_CUDA(vj_cuda_net_attend(p->plan, i, p->stream, &p->extractor->attention[i],
                                       floats_at(w, VJ_CUDA_NET_SUMS),
                                       floats_at(w, VJ_CUDA_NET_PEAKS), scale),
                    p->err);
    if (!r)
        r = show(p, {attention_names[i], scale, true, 1, channels, channels, macs, bytes});
    if (r || p->plan->conv[i + 1].scaled)
        return r;
    r = VJ_CUDA(vj_cuda_net_scale(p->plan, i, p->stream, pooled, scale), p->err);
    return r ? r
             : show(p, {pool_names[i], pooled, false, px, channels, channels, 0,
                        bytes_of(p, 2 * px * channels)});
}

/* Block i with attention: from input or pooled to pooled. */
static int run_block(const struct pass *p, int i)
{
    struct vj_cuda_net_work *w = p->work;
    const struct vj_cuda_net_conv *c = &p->plan->conv[i];
    const size_t side = (size_t)c->side, channels = (size_t)c->out;
    void *map = at(w, VJ_CUDA_NET_MAP);
    int r = run_convs(p, i, c->pooled ? pooled_of(p, i) : map);
    if (!r && c->pooled)
        return run_attention(p, i, vj_cuda_net_conv_made(c),
                             vj_cuda_net_conv_bytes(c, p->plan->element));
    if (!r)
        r = VJ_CUDA(vj_cuda_net_pool(p->plan, i, p->stream, map, pooled_of(p, i),
                                     floats_at(w, VJ_CUDA_NET_SUMS),
                                     floats_at(w, VJ_CUDA_NET_PEAKS), flags_of(w)),
                    p->err);
    return r ? r : run_attention(p, i, 0, bytes_of(p, 5 * (side / 2) * (side / 2) * channels));
}

/* The first block as one kernel: from the patches to pooled. */
static int run_first(const struct pass *p, const uint8_t *d_patches, int channels, size_t count)
{
    struct vj_cuda_net_work *w = p->work;
    const struct vj_cuda_net_conv *c = &p->plan->conv[0];
    const size_t px = (size_t)c->side * (size_t)c->side;
    int r = VJ_CUDA(vj_cuda_net_first(p->plan, p->stream, d_patches, channels, count,
                                      p->extractor->first, p->extractor->first_bias,
                                      pooled_of(p, 0), floats_at(w, VJ_CUDA_NET_SUMS),
                                      floats_at(w, VJ_CUDA_NET_PEAKS), flags_of(w)),
                    p->err);
    return r ? r
             : run_attention(p, 0, vj_cuda_net_conv_macs(c),
                             (double)(px * (size_t)channels) +
                                 bytes_of(p, px / 4 * (size_t)c->out));
}

static int run_matmul(const struct pass *p, const struct vj_cuda_net_matmul_op *op, const void *a,
                      const void *b, void *d)
{
    return vj_cuda_net_matmul_run(op, p->net->lt, p->stream, a, b, d,
                                  at(p->work, VJ_CUDA_NET_WORKSPACE), p->err);
}

static int run_projections(const struct pass *p)
{
    static const enum vj_cuda_net_buffer to[VJ_CUDA_NET_PROJECTIONS] = {
        VJ_CUDA_NET_THETA, VJ_CUDA_NET_PHI, VJ_CUDA_NET_VALUE};
    const size_t n = p->plan->positions, c = (size_t)p->plan->shape.channels[3];
    const size_t width = p->plan->product[VJ_CUDA_NET_PROJECTION].n;
    int r = 0;
    for (int i = 0; i < projections_of(p->plan) && !r; i++) {
        void *out = at(p->work, p->plan->non_local ? VJ_CUDA_NET_PROJECTED : to[i]);
        r = run_matmul(p, &p->batch->projection[p->stream_index][i],
                       at(p->work, VJ_CUDA_NET_TOKENS), p->extractor->projection[i], out);
        if (!r)
            r = show(p, {projection_name(p->plan, i), out, false, n, width, width,
                         (double)(n * c * width), bytes_of(p, n * (c + width))});
    }
    return r;
}

/* Behind the projections: to attended. */
static int run_attended(const struct pass *p)
{
    struct vj_cuda_net_work *w = p->work;
    const size_t n = p->plan->positions, c = (size_t)p->plan->shape.channels[3];
    const double macs = (double)(n * n * c);
    float *scores = floats_at(w, VJ_CUDA_NET_SCORES);
    void *chances = at(w, VJ_CUDA_NET_CHANCES), *attended = at(w, VJ_CUDA_NET_ATTENDED);
    int r = run_matmul(p, &p->batch->affinity, at(w, VJ_CUDA_NET_THETA), at(w, VJ_CUDA_NET_PHI),
                       scores);
    if (!r)
        r = show(p, {"affinity", scores, true, n, n, n, macs,
                     bytes_of(p, 2 * n * c) + (double)(n * n * sizeof(float))});
    if (!r)
        r = VJ_CUDA(vj_cuda_net_softmax(p->plan, p->stream, scores, chances, flags_of(w)), p->err);
    if (!r)
        r = show(p, {"softmax", chances, false, n, n, n, 0,
                     bytes_of(p, n * n) + (double)(n * n * sizeof(float))});
    if (!r)
        r = run_matmul(p, &p->batch->attend, chances, at(w, VJ_CUDA_NET_VALUE), attended);
    return r ? r
             : show(p,
                    {"attended", attended, false, n, c, c, macs, bytes_of(p, n * n + 2 * n * c)});
}

/* Pooling behind the non-local block: to the last pooled map. */
static int run_join(const struct pass *p)
{
    struct vj_cuda_net_work *w = p->work;
    const size_t c = vj_net_last_channels(&p->plan->shape), px = p->plan->last;
    void *last = at(w, VJ_CUDA_NET_LAST);
    int r = VJ_CUDA(vj_cuda_net_join(p->plan, p->stream, at(w, VJ_CUDA_NET_TOKENS),
                                     at(w, VJ_CUDA_NET_ATTENDED), last, flags_of(w)),
                    p->err);
    return r ? r
             : show(p, {pool_names[p->plan->form->blocks - 1], last, false, px, c, c, 0,
                        bytes_of(p, 9 * px * c)});
}

/* Behind the projections, as one kernel: to the last pooled map. */
static int run_one_non_local(const struct pass *p)
{
    struct vj_cuda_net_work *w = p->work;
    const size_t n = p->plan->positions, c = (size_t)p->plan->shape.channels[3];
    void *last = at(w, VJ_CUDA_NET_LAST);
    int r = VJ_CUDA(vj_cuda_net_non_local(p->plan, p->stream, at(w, VJ_CUDA_NET_TOKENS),
                                          at(w, VJ_CUDA_NET_PROJECTED), last, flags_of(w)),
                    p->err);
    return r ? r
             : show(p, {pool_names[p->plan->form->blocks - 1], last, false, n / 4, c, c,
                        2 * (double)(n * n * c), bytes_of(p, 4 * n * c + n / 4 * c)});
}

/* conv4, the non-local block and its pooling: from pooled to the last pooled map. */
static int run_non_local(const struct pass *p)
{
    int r = run_convs(p, p->plan->form->blocks - 1, at(p->work, VJ_CUDA_NET_TOKENS));
    if (!r)
        r = run_projections(p);
    if (r || p->plan->non_local)
        return r ? r : run_one_non_local(p);
    r = run_attended(p);
    return r ? r : run_join(p);
}

/* From the last pooled map, which is the features themselves where they are flattened. */
static int run_features(const struct pass *p)
{
    const size_t features = p->plan->features;
    const size_t read = p->plan->last * vj_net_last_channels(&p->plan->shape);
    void *out = at(p->work, VJ_CUDA_NET_FEATURES);
    int r = 0;
    if (p->plan->form->statistics)
        r = VJ_CUDA(vj_cuda_net_statistics(p->plan, p->stream, at(p->work, VJ_CUDA_NET_LAST), out),
                    p->err);
    return r ? r
             : show(p, {"features", out, false, 1, features, features, 0,
                        p->plan->form->statistics ? bytes_of(p, read + features) : 0});
}

/* Features of up to a batch of patches, left in the work's buffer. */
static int extract(const struct pass *p, const uint8_t *d_patches, int channels, size_t count)
{
    const struct vj_net_form *form = p->plan->form;
    const int attentions = vj_net_attentions(form), plain = form->blocks - form->non_local;
    int r = VJ_CUDNN(cudnnSetStream(p->work->dnn, p->stream), p->err);
    if (!r)
        r = clear_flags(p);
    if (!r)
        r = p->plan->first ? run_first(p, d_patches, channels, count)
                           : run_input(p, d_patches, channels, count);
    for (int b = p->plan->first; b < plain && !r; b++)
        r = b < attentions ? run_block(p, b) : run_plain_block(p, b);
    if (!r && form->non_local)
        r = run_non_local(p);
    return r ? r : run_features(p);
}

int vj_cuda_net_extract(struct vj_cuda_net_work *work, cudaStream_t stream,
                        enum vj_cuda_net_stream s, const uint8_t *d_patches, int channels,
                        size_t count, struct vj_error *err)
{
    const struct pass p = make_pass(work, &work->net->full, stream, s, err);
    return extract(&p, d_patches, channels, count);
}

/* ---- references and scores ---- */

static size_t patch_pixels(const struct vj_cuda_net *net)
{
    const size_t side = (size_t)net->full.plan.shape.patch_size;
    return side * side;
}

static float *constant_of(const struct vj_cuda_net_work *work, size_t reference)
{
    return floats_at(work, VJ_CUDA_NET_CONSTANT) +
           reference * work->max_patches * 2 * VJ_NET_HIDDEN;
}

static char *jnd_of(const struct vj_cuda_net_work *work, size_t reference)
{
    return static_cast<char *>(at(work, VJ_CUDA_NET_JND)) + reference * work->max_patches *
                                                                work->net->full.plan.features *
                                                                work->net->full.plan.element;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* f_r of patches first.. and from it their constant part of the hidden layers. */
static int load_pictures(struct vj_cuda_net_work *work, cudaStream_t stream, const uint8_t *d_r,
                         size_t count, float *constant, struct vj_error *err)
{
    const struct vj_cuda_net *net = work->net;
    const struct pass p = make_pass(work, net->side, stream, VJ_CUDA_NET_PICTURE, err);
    float *pair = floats_at(work, VJ_CUDA_NET_PAIR);
    int r = extract(&p, d_r, 3, count);
    if (!r)
        r = run_matmul(&p, &p.batch->head_pair, at(work, VJ_CUDA_NET_FEATURES),
                       net->weights.reference, pair);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_constant(p.plan, stream, pair, net->weights.hidden_bias,
                                         flags_of(work), count, constant),
                    err);
    return r;
}

static int load_maps(struct vj_cuda_net_work *work, cudaStream_t stream, const uint8_t *d_jnd,
                     size_t count, void *jnd, struct vj_error *err)
{
    const struct pass p = make_pass(work, work->net->side, stream, VJ_CUDA_NET_MAPS, err);
    int r = extract(&p, d_jnd, 1, count);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_keep(p.plan, stream, at(work, VJ_CUDA_NET_FEATURES), flags_of(work),
                                     count, jnd),
                    err);
    return r;
}

static int check_reference(const struct vj_cuda_net_work *work, size_t reference, size_t patches,
                           struct vj_error *err)
{
    if (reference >= work->references)
        return vj_fail(err, -EINVAL, "reference side %zu of %zu does not exist", reference,
                       work->references);
    if (patches < 1 || patches > work->max_patches)
        return vj_fail(err, -EINVAL, "%zu patches for a reference side with room for 1 to %zu",
                       patches, work->max_patches);
    return 0;
}

static int enqueue_reference(struct vj_cuda_net_work *work, const struct vj_cuda_net_call *call,
                             struct vj_error *err)
{
    const struct vj_cuda_net_plan *plan = &work->net->side->plan;
    const size_t pixels = patch_pixels(work->net), row = plan->features * plan->element;
    int r = 0;
    for (size_t first = 0; first < call->patches && !r; first += plan->rows) {
        const size_t count = smaller(plan->rows, call->patches - first);
        r = load_pictures(work, call->stream, call->d_patches + first * pixels * 3, count,
                          constant_of(work, call->reference) + first * 2 * VJ_NET_HIDDEN, err);
        if (!r && plan->form->jnd)
            r = load_maps(work, call->stream, call->d_jnd + first * pixels, count,
                          jnd_of(work, call->reference) + first * row, err);
    }
    return r;
}

/* Quality and weight of rows first .. first + count - 1 of all candidates' patches. */
static int score_rows(struct vj_cuda_net_work *work, cudaStream_t stream, size_t reference,
                      const uint8_t *d_patches, size_t first, size_t count, float *quality,
                      float *weight, struct vj_error *err)
{
    const struct vj_cuda_net *net = work->net;
    const struct batch *b = &net->full;
    const struct vj_cuda_net_plan *plan = &b->plan;
    const struct pass p = make_pass(work, b, stream, VJ_CUDA_NET_PICTURE, err);
    const size_t patches = work->loaded[reference];
    const bool jnd = plan->form->jnd;
    void *features = at(work, VJ_CUDA_NET_FEATURES), *times = at(work, VJ_CUDA_NET_TIMES);
    float *pair = floats_at(work, VJ_CUDA_NET_PAIR);
    float *product = jnd ? floats_at(work, VJ_CUDA_NET_PRODUCT) : NULL;
    int r = extract(&p, d_patches, 3, count);
    if (!r && jnd)
        r = VJ_CUDA(vj_cuda_net_times(plan, stream, features, jnd_of(work, reference), first,
                                      patches, times, flags_of(work)),
                    err);
    if (!r)
        r = run_matmul(&p, &b->head_pair, features, net->weights.distorted, pair);
    if (!r && jnd)
        r = run_matmul(&p, &b->head_product, times, net->weights.product, product);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_finish(plan, stream, pair, product, constant_of(work, reference),
                                       &net->weights.second, flags_of(work), first, patches, count,
                                       quality, weight),
                    err);
    return r ? r
             : show(&p,
                    {"heads", pair, true, 1, 2 * VJ_NET_HIDDEN, 2 * VJ_NET_HIDDEN,
                     vj_cuda_net_head_macs(plan), bytes_of(&p, (jnd ? 5 : 1) * plan->features)});
}

static int enqueue_scores(struct vj_cuda_net_work *work, const struct vj_cuda_net_call *call,
                          struct vj_error *err)
{
    const size_t step = work->net->full.plan.rows, bytes = patch_pixels(work->net) * 3;
    const size_t rows = call->n * call->patches;
    int r = 0;
    for (size_t first = 0; first < rows && !r; first += step)
        r = score_rows(work, call->stream, call->reference, call->d_patches + first * bytes, first,
                       smaller(step, rows - first), call->d_quality + first, call->d_weight + first,
                       err);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_mean(call->stream, call->d_quality, call->d_weight, call->n,
                                     call->patches, call->d_score),
                    err);
    return r;
}

static int enqueue(void *user, const struct vj_cuda_net_call *call, struct vj_error *err)
{
    struct vj_cuda_net_work *work = static_cast<struct vj_cuda_net_work *>(user);
    return call->n ? enqueue_scores(work, call, err) : enqueue_reference(work, call, err);
}

/* A hook sees layers, which a recording does not show. */
static int run_call(struct vj_cuda_net_work *work, const struct vj_cuda_net_call *call,
                    struct vj_error *err)
{
    return work->hook ? enqueue(work, call, err)
                      : vj_cuda_net_replay(&work->recordings, enqueue, work, call, err);
}

int vj_cuda_net_reference(struct vj_cuda_net_work *work, cudaStream_t stream, size_t reference,
                          const uint8_t *d_r, const uint8_t *d_jnd, size_t patches,
                          struct vj_error *err)
{
    int r = check_reference(work, reference, patches, err);
    if (r)
        return r;
    const struct vj_cuda_net_plan *plan = &work->net->side->plan;
    if (plan->form->jnd && !d_jnd)
        return vj_fail(err, -EINVAL, "variant %s sees a pixel-JND map, none is given",
                       vj_variant_name(plan->shape.variant));
    const struct vj_cuda_net_call call = {stream, d_r,       d_jnd,   NULL, NULL,
                                          NULL,   reference, patches, 0};
    work->loaded[reference] = 0;
    r = run_call(work, &call, err);
    if (!r)
        work->loaded[reference] = patches;
    return r;
}

int vj_cuda_net_scores(struct vj_cuda_net_work *work, cudaStream_t stream, size_t reference,
                       const uint8_t *d_patches, size_t n, size_t patches, float *d_score,
                       float *d_quality, float *d_weight, struct vj_error *err)
{
    size_t rows;
    int r = check_reference(work, reference, patches, err);
    if (r)
        return r;
    if (work->loaded[reference] != patches)
        return vj_fail(err, -EINVAL, "reference side %zu has %zu patches, candidates have %zu",
                       reference, work->loaded[reference], patches);
    if (n < 1 || n > INT32_MAX || !vj_size_mul(n, patches, &rows))
        return vj_fail(err, -EINVAL, "%zu candidates of %zu patches asked for", n, patches);
    const struct vj_cuda_net_call call = {stream,   d_patches, NULL,    d_score, d_quality,
                                          d_weight, reference, patches, n};
    return run_call(work, &call, err);
}
