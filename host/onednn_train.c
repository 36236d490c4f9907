/* SPDX-License-Identifier: MIT */
#include "host/onednn_train.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/onednn_internal.h"

enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, PASSES };

static const char *const pass_names[PASSES] = {"forward", "backward data", "backward weights"};

/*
 * Maps smaller than a kernel, such as the last ones of patches of the smallest sizes, have no fast
 * code for the derivative by the weights (oneDNN 2.6, AVX2): the reference takes seconds. Between
 * zeros, which change no sum, they are as large as this.
 */
enum { WIDE_SIDE = 4 };

struct vj_dnn_conv_train {
    const char *name;
    dnnl_engine_t engine;
    dnnl_dims_t src_dims, weight_dims, dst_dims;
    bool wide; /* BACKWARD_WEIGHTS reads maps of at least WIDE_SIDE, with zeros behind the others */
    dnnl_primitive_desc_t desc[PASSES];
    dnnl_primitive_t primitive[PASSES];
    float *weights[BACKWARD_WEIGHTS]; /* one copy for each pass that reads them */
    dnnl_memory_t weights_memory[BACKWARD_WEIGHTS];
    float *bias; /* padded to a multiple of 16 */
    dnnl_memory_t bias_memory;
    size_t src_block, dst_block;
    size_t scratch_bytes;
};

struct vj_dnn_conv_train_call {
    const struct vj_dnn_conv_train *conv;
    dnnl_stream_t stream;
    dnnl_memory_t src, dst, diff_src, diff_dst, diff_weights, diff_bias;
    dnnl_memory_t scratch[PASSES];
    dnnl_memory_t wide_src, wide_diff_dst; /* where the convolution is `wide` */
    float *wide_from, *wide_by;            /* their buffers; zeros outside the maps stay */
};

/* What a pass is described with. */
struct shapes {
    struct vj_md src, weights, bias, dst;
    dnnl_dims_t padding;
};

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t describe(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, int pass,
                              const struct shapes *s, const_dnnl_primitive_attr_t attr,
                              const_dnnl_primitive_desc_t hint)
{
    const dnnl_dims_t strides = {1, 1}, dilates = {0, 0};
    vj_md_view src = vj_md_look(&s->src), weights = vj_md_look(&s->weights);
    vj_md_view bias = vj_md_look(&s->bias), dst = vj_md_look(&s->dst);
    switch (pass) {
    case FORWARD:
        return dnnl_convolution_forward_primitive_desc_create(
            pd, engine, dnnl_forward_training, dnnl_convolution_direct, src, weights, bias, dst,
            strides, dilates, s->padding, s->padding, attr);
    case BACKWARD_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, engine, dnnl_convolution_direct, src, weights, dst, strides, dilates, s->padding,
            s->padding, hint, attr);
    default:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            pd, engine, dnnl_convolution_direct, src, weights, bias, dst, strides, dilates,
            s->padding, s->padding, hint, attr);
    }
}

#else

static dnnl_status_t describe(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, int pass,
                              const struct shapes *s, const_dnnl_primitive_attr_t attr,
                              const_dnnl_primitive_desc_t hint)
{
    const dnnl_dims_t strides = {1, 1};
    vj_md_view src = vj_md_look(&s->src), weights = vj_md_look(&s->weights);
    vj_md_view bias = vj_md_look(&s->bias), dst = vj_md_look(&s->dst);
    dnnl_convolution_desc_t desc;
    dnnl_status_t r;
    switch (pass) {
    case FORWARD:
        r = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training,
                                               dnnl_convolution_direct, src, weights, bias, dst,
                                               strides, s->padding, s->padding);
        break;
    case BACKWARD_DATA:
        r = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, src, weights,
                                                     dst, strides, s->padding, s->padding);
        break;
    default:
        r = dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, src,
                                                        weights, bias, dst, strides, s->padding,
                                                        s->padding);
    }
    return r ? r : dnnl_primitive_desc_create(pd, &desc, attr, engine, hint);
}

#endif

static vj_md_view query(const struct vj_dnn_conv_train *c, int pass, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(c->desc[pass], what, index);
}

static void widen_dims(dnnl_dims_t to, const dnnl_dims_t from, bool wide)
{
    for (int i = 0; i < 4; i++)
        to[i] = wide && i >= 2 && from[i] < WIDE_SIDE ? WIDE_SIDE : from[i];
}

/* A pass with these layouts of its maps; weights in whatever layout oneDNN likes. */
static int make_pass(struct vj_dnn_conv_train *c, int pass, const struct vj_dnn_conv *conv,
                     enum vj_dnn_name name, struct vj_error *err)
{
    const dnnl_dim_t pad = (dnnl_dim_t)conv->kernel / 2;
    struct shapes s = {.padding = {pad, pad}};
    dnnl_dims_t src_dims, dst_dims;
    dnnl_primitive_attr_t attr = NULL;
    widen_dims(src_dims, c->src_dims, c->wide && pass == BACKWARD_WEIGHTS);
    widen_dims(dst_dims, c->dst_dims, c->wide && pass == BACKWARD_WEIGHTS);
    dnnl_status_t r = vj_dnn_attributes(&attr, conv->relu && pass == FORWARD);
    if (!r)
        r = vj_md_tagged(&s.src, 4, src_dims, vj_dnn_map_tag(c->src_block, conv->in, name));
    if (!r)
        r = vj_md_tagged(&s.weights, 4, c->weight_dims, dnnl_format_tag_any);
    if (!r)
        r = vj_md_tagged(&s.bias, 1, &c->weight_dims[0], dnnl_x);
    if (!r)
        r = vj_md_tagged(&s.dst, 4, dst_dims, vj_dnn_map_tag(c->dst_block, conv->out, name));
    if (!r)
        r = describe(&c->desc[pass], c->engine, pass, &s, attr, pass ? c->desc[FORWARD] : NULL);
    if (!r)
        r = dnnl_primitive_create(&c->primitive[pass], c->desc[pass]);
    vj_md_drop(&s.src);
    vj_md_drop(&s.weights);
    vj_md_drop(&s.bias);
    vj_md_drop(&s.dst);
    dnnl_primitive_attr_destroy(attr);
    if (r)
        return vj_dnn_fail(err, c->name, pass_names[pass], r);
    size_t scratch = dnnl_memory_desc_get_size(query(c, pass, dnnl_query_scratchpad_md, 0));
    if (scratch > c->scratch_bytes)
        c->scratch_bytes = scratch;
    return 0;
}

static int take_weights(struct vj_dnn_conv_train *c, int pass, struct vj_error *err)
{
    vj_md_view md = query(c, pass, dnnl_query_weights_md, 0);
    const size_t bytes = dnnl_memory_desc_get_size(md);
    c->weights[pass] = vj_alloc_aligned(bytes, 1);
    if (!c->weights[pass])
        return vj_fail(err, -ENOMEM, "out of memory for weights of %s (%zu bytes)", c->name, bytes);
    memset(c->weights[pass], 0, bytes);
    dnnl_status_t s = dnnl_memory_create(&c->weights_memory[pass], md, c->engine, c->weights[pass]);
    return s ? vj_dnn_fail(err, c->name, "memory of weights", s) : 0;
}

static int take_bias(struct vj_dnn_conv_train *c, struct vj_error *err)
{
    c->bias = vj_alloc_aligned(((size_t)c->weight_dims[0] + 15) / 16 * 16, sizeof(float));
    if (!c->bias)
        return vj_fail(err, -ENOMEM, "out of memory for biases of %s", c->name);
    dnnl_status_t s = dnnl_memory_create(
        &c->bias_memory, query(c, FORWARD, dnnl_query_weights_md, 1), c->engine, c->bias);
    return s ? vj_dnn_fail(err, c->name, "memory of biases", s) : 0;
}

static void drop_pass(struct vj_dnn_conv_train *c, int pass)
{
    dnnl_primitive_destroy(c->primitive[pass]);
    dnnl_primitive_desc_destroy(c->desc[pass]);
    c->primitive[pass] = NULL;
    c->desc[pass] = NULL;
}

static void drop_passes(struct vj_dnn_conv_train *c)
{
    for (int p = 0; p < PASSES; p++)
        drop_pass(c, p);
    c->scratch_bytes = 0;
}

/* The derivative by the weights, of wider maps where only those have fast code. */
static int make_backward_weights(struct vj_dnn_conv_train *c, const struct vj_dnn_conv *conv,
                                 enum vj_dnn_name name, struct vj_error *err)
{
    const bool small = conv->height < WIDE_SIDE || conv->width < WIDE_SIDE;
    struct vj_error refused = {0};
    c->wide = false;
    int r = make_pass(c, BACKWARD_WEIGHTS, conv, name, err);
    if (r || !small || !vj_dnn_is_reference(c->desc[BACKWARD_WEIGHTS]))
        return r;
    drop_pass(c, BACKWARD_WEIGHTS);
    c->wide = true;
    r = make_pass(c, BACKWARD_WEIGHTS, conv, name, &refused);
    if (!r && !vj_dnn_is_reference(c->desc[BACKWARD_WEIGHTS]))
        return 0;
    drop_pass(c, BACKWARD_WEIGHTS);
    c->wide = false;
    return make_pass(c, BACKWARD_WEIGHTS, conv, name, err);
}

/* The passes, the forward one choosing the layouts that are left to it. */
static int make_passes(struct vj_dnn_conv_train *c, const struct vj_dnn_conv *conv,
                       bool backward_data, enum vj_dnn_name name, struct vj_error *err)
{
    c->src_block = conv->src_block;
    c->dst_block = conv->dst_block;
    int r = make_pass(c, FORWARD, conv, name, err);
    if (r)
        return r;
    c->src_block = vj_dnn_block_of(query(c, FORWARD, dnnl_query_src_md, 0), c->src_dims);
    c->dst_block = vj_dnn_block_of(query(c, FORWARD, dnnl_query_dst_md, 0), c->dst_dims);
    if (!c->src_block || !c->dst_block)
        return vj_fail(err, -EIO,
                       "oneDNN: %s: chose a layout that training does not know; ask for one",
                       c->name);
    r = make_backward_weights(c, conv, name, err);
    if (!r && backward_data)
        r = make_pass(c, BACKWARD_DATA, conv, name, err);
    return r;
}

static int references(const struct vj_dnn_conv_train *c)
{
    int count = 0;
    for (int p = 0; p < PASSES; p++)
        count += c->desc[p] && vj_dnn_is_reference(c->desc[p]);
    return count;
}

/* By the name under which fewest passes are the reference's. */
static int choose_passes(struct vj_dnn_conv_train *c, const struct vj_dnn_conv *conv,
                         bool backward_data, struct vj_error *err)
{
    int best = 0, fewest = PASSES + 1, name = 0, r;
    for (; name < VJ_DNN_NAMES && fewest > 0; name++) {
        drop_passes(c);
        r = make_passes(c, conv, backward_data, (enum vj_dnn_name)name, err);
        const int slow = r ? PASSES + 1 : references(c);
        if (slow < fewest) {
            fewest = slow;
            best = name;
        }
    }
    if (fewest <= PASSES && best == name - 1)
        return 0;
    drop_passes(c);
    return make_passes(c, conv, backward_data, (enum vj_dnn_name)best, err);
}

static int prepare(struct vj_dnn_conv_train *c, const struct vj_dnn_conv *conv, bool backward_data,
                   struct vj_error *err)
{
    int r = choose_passes(c, conv, backward_data, err);
    if (!r)
        r = take_weights(c, FORWARD, err);
    if (!r)
        r = take_bias(c, err);
    if (!r && backward_data)
        r = take_weights(c, BACKWARD_DATA, err);
    return r;
}

int vj_dnn_conv_train_prepare(struct vj_dnn_conv_train **conv, struct vj_dnn *dnn,
                              const struct vj_dnn_conv *shape, bool backward_data,
                              struct vj_error *err)
{
    const dnnl_dim_t n = (dnnl_dim_t)shape->batch, h = (dnnl_dim_t)shape->height;
    const dnnl_dim_t w = (dnnl_dim_t)shape->width, k = (dnnl_dim_t)shape->kernel;
    const dnnl_dim_t ci = (dnnl_dim_t)shape->in, co = (dnnl_dim_t)shape->out;
    struct vj_dnn_conv_train *c = vj_calloc(1, sizeof(*c));
    *conv = NULL;
    if (!c)
        return vj_fail(err, -ENOMEM, "out of memory for %s", shape->name);
    *c = (struct vj_dnn_conv_train){.name = shape->name,
                                    .engine = dnn->engine,
                                    .src_dims = {n, ci, h, w},
                                    .weight_dims = {co, ci, k, k},
                                    .dst_dims = {n, co, h, w}};
    int r = prepare(c, shape, backward_data, err);
    if (r) {
        vj_dnn_conv_train_free(c);
        return r;
    }
    *conv = c;
    return 0;
}

void vj_dnn_conv_train_free(struct vj_dnn_conv_train *c)
{
    if (!c)
        return;
    drop_passes(c);
    for (int p = 0; p < BACKWARD_WEIGHTS; p++) {
        dnnl_memory_destroy(c->weights_memory[p]);
        free(c->weights[p]);
    }
    dnnl_memory_destroy(c->bias_memory);
    free(c->bias);
    free(c);
}

size_t vj_dnn_conv_train_src_block(const struct vj_dnn_conv_train *c)
{
    return c->src_block;
}

size_t vj_dnn_conv_train_dst_block(const struct vj_dnn_conv_train *c)
{
    return c->dst_block;
}

static size_t map_floats(const dnnl_dims_t dims, size_t block)
{
    const size_t channels = ((size_t)dims[1] + block - 1) / block * block;
    return channels * (size_t)dims[2] * (size_t)dims[3];
}

size_t vj_dnn_conv_train_src_floats(const struct vj_dnn_conv_train *c)
{
    return map_floats(c->src_dims, c->src_block);
}

size_t vj_dnn_conv_train_dst_floats(const struct vj_dnn_conv_train *c)
{
    return map_floats(c->dst_dims, c->dst_block);
}

size_t vj_dnn_conv_train_kernel_floats(const struct vj_dnn_conv_train *c)
{
    return dnnl_memory_desc_get_size(query(c, BACKWARD_WEIGHTS, dnnl_query_diff_weights_md, 0)) /
           sizeof(float);
}

size_t vj_dnn_conv_train_scratch_bytes(const struct vj_dnn_conv_train *c)
{
    return c->scratch_bytes;
}

/* Copies weights from one layout to another. */
static int reorder(const struct vj_dnn_conv_train *c, vj_md_view from_md, const float *from,
                   vj_md_view to_md, float *to, struct vj_error *err)
{
    dnnl_memory_t source = NULL, target = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    /* read only: the interface has no memory object for constant data */
    dnnl_status_t s = dnnl_memory_create(&source, from_md, c->engine, (void *)from);
    if (!s)
        s = dnnl_memory_create(&target, to_md, c->engine, to);
    if (!s)
        s = dnnl_reorder_primitive_desc_create(&desc, from_md, c->engine, to_md, c->engine, NULL);
    if (!s)
        s = dnnl_primitive_create(&primitive, desc);
    if (!s)
        s = dnnl_stream_create(&stream, c->engine, dnnl_stream_default_flags);
    if (!s) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
        s = dnnl_primitive_execute(primitive, stream, 2, args);
        dnnl_status_t waited = dnnl_stream_wait(stream);
        s = s ? s : waited;
    }
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(source);
    dnnl_memory_destroy(target);
    return s ? vj_dnn_fail(err, c->name, "reordering of weights", s) : 0;
}

int vj_dnn_conv_train_load(struct vj_dnn_conv_train *c, const float *kernel, const float *bias,
                           struct vj_error *err)
{
    struct vj_md plain = {0};
    dnnl_status_t s = vj_md_tagged(&plain, 4, c->weight_dims, dnnl_hwio);
    int r = s ? vj_dnn_fail(err, c->name, "description of weights", s) : 0;
    for (int p = 0; p < BACKWARD_WEIGHTS && !r; p++)
        if (c->primitive[p])
            r = reorder(c, vj_md_look(&plain), kernel, query(c, p, dnnl_query_weights_md, 0),
                        c->weights[p], err);
    vj_md_drop(&plain);
    memcpy(c->bias, bias, (size_t)c->weight_dims[0] * sizeof(float));
    return r;
}

int vj_dnn_conv_train_unpack(const struct vj_dnn_conv_train *c, const float *from, float *to,
                             struct vj_error *err)
{
    struct vj_md plain = {0};
    dnnl_status_t s = vj_md_tagged(&plain, 4, c->weight_dims, dnnl_hwio);
    int r = s ? vj_dnn_fail(err, c->name, "description of weights", s)
              : reorder(c, query(c, BACKWARD_WEIGHTS, dnnl_query_diff_weights_md, 0), from,
                        vj_md_look(&plain), to, err);
    vj_md_drop(&plain);
    return r;
}

/* A buffer of zeros for a map of BACKWARD_WEIGHTS, and its memory. */
static int bind_wide(const struct vj_dnn_conv_train *c, dnnl_query_t what, float **buffer,
                     dnnl_memory_t *memory, struct vj_error *err)
{
    vj_md_view md = query(c, BACKWARD_WEIGHTS, what, 0);
    const size_t bytes = dnnl_memory_desc_get_size(md);
    *buffer = vj_alloc_aligned(bytes, 1);
    if (!*buffer)
        return vj_fail(err, -ENOMEM, "out of memory for maps of %s (%zu bytes)", c->name, bytes);
    memset(*buffer, 0, bytes);
    dnnl_status_t s = dnnl_memory_create(memory, md, c->engine, *buffer);
    return s ? vj_dnn_fail(err, c->name, "binding of buffers", s) : 0;
}

int vj_dnn_conv_train_bind(struct vj_dnn_conv_train_call **call, const struct vj_dnn_conv_train *c,
                           void *scratch, struct vj_error *err)
{
    struct vj_dnn_conv_train_call *t = vj_calloc(1, sizeof(*t));
    *call = NULL;
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory for a call of %s", c->name);
    t->conv = c;
    const struct {
        dnnl_memory_t *memory;
        vj_md_view md;
        void *buffer;
    } wanted[] = {
        {&t->src, query(c, FORWARD, dnnl_query_src_md, 0), DNNL_MEMORY_NONE},
        {&t->dst, query(c, FORWARD, dnnl_query_dst_md, 0), DNNL_MEMORY_NONE},
        {&t->diff_src, query(c, FORWARD, dnnl_query_src_md, 0), DNNL_MEMORY_NONE},
        {&t->diff_dst, query(c, FORWARD, dnnl_query_dst_md, 0), DNNL_MEMORY_NONE},
        {&t->diff_weights, query(c, BACKWARD_WEIGHTS, dnnl_query_diff_weights_md, 0),
         DNNL_MEMORY_NONE},
        {&t->diff_bias, query(c, BACKWARD_WEIGHTS, dnnl_query_diff_weights_md, 1),
         DNNL_MEMORY_NONE},
    };
    dnnl_status_t s = dnnl_stream_create(&t->stream, c->engine, dnnl_stream_default_flags);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]) && !s; i++)
        s = dnnl_memory_create(wanted[i].memory, wanted[i].md, c->engine, wanted[i].buffer);
    for (int p = 0; p < PASSES && !s; p++)
        if (c->primitive[p])
            s = dnnl_memory_create(&t->scratch[p], query(c, p, dnnl_query_scratchpad_md, 0),
                                   c->engine, scratch);
    if (s) {
        vj_dnn_conv_train_call_free(t);
        return vj_dnn_fail(err, c->name, "binding of buffers", s);
    }
    int r = c->wide ? bind_wide(c, dnnl_query_src_md, &t->wide_from, &t->wide_src, err) : 0;
    if (!r && c->wide)
        r = bind_wide(c, dnnl_query_diff_dst_md, &t->wide_by, &t->wide_diff_dst, err);
    if (r) {
        vj_dnn_conv_train_call_free(t);
        return r;
    }
    *call = t;
    return 0;
}

void vj_dnn_conv_train_call_free(struct vj_dnn_conv_train_call *t)
{
    if (!t)
        return;
    dnnl_memory_destroy(t->src);
    dnnl_memory_destroy(t->dst);
    dnnl_memory_destroy(t->diff_src);
    dnnl_memory_destroy(t->diff_dst);
    dnnl_memory_destroy(t->diff_weights);
    dnnl_memory_destroy(t->diff_bias);
    for (int p = 0; p < PASSES; p++)
        dnnl_memory_destroy(t->scratch[p]);
    dnnl_memory_destroy(t->wide_src);
    dnnl_memory_destroy(t->wide_diff_dst);
    dnnl_stream_destroy(t->stream);
    free(t->wide_from);
    free(t->wide_by);
    free(t);
}

/* A memory object and the buffer it stands for in this run. */
struct operand {
    int argument;
    dnnl_memory_t memory;
    const void *buffer; /* NULL: bound already */
};

static int run(struct vj_dnn_conv_train_call *t, int pass, const struct operand *operand, int count,
               struct vj_error *err)
{
    dnnl_exec_arg_t args[6];
    dnnl_status_t s = dnnl_success;
    for (int i = 0; i < count && !s; i++) {
        args[i] = (dnnl_exec_arg_t){operand[i].argument, operand[i].memory};
        if (operand[i].buffer)
            s = dnnl_memory_set_data_handle(operand[i].memory, (void *)operand[i].buffer);
    }
    args[count] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, t->scratch[pass]};
    if (!s) {
        s = dnnl_primitive_execute(t->conv->primitive[pass], t->stream, count + 1, args);
        dnnl_status_t waited = dnnl_stream_wait(t->stream);
        s = s ? s : waited;
    }
    return s ? vj_dnn_fail(err, t->conv->name, pass_names[pass], s) : 0;
}

int vj_dnn_forward(struct vj_dnn_conv_train_call *t, const float *src, float *dst,
                   struct vj_error *err)
{
    const struct operand operands[] = {
        {DNNL_ARG_SRC, t->src, src},
        {DNNL_ARG_DST, t->dst, dst},
        {DNNL_ARG_WEIGHTS, t->conv->weights_memory[FORWARD], NULL},
        {DNNL_ARG_BIAS, t->conv->bias_memory, NULL},
    };
    return run(t, FORWARD, operands, 4, err);
}

int vj_dnn_backward_data(struct vj_dnn_conv_train_call *t, const float *diff_dst, float *diff_src,
                         struct vj_error *err)
{
    const struct operand operands[] = {
        {DNNL_ARG_DIFF_DST, t->diff_dst, diff_dst},
        {DNNL_ARG_DIFF_SRC, t->diff_src, diff_src},
        {DNNL_ARG_WEIGHTS, t->conv->weights_memory[BACKWARD_DATA], NULL},
    };
    return run(t, BACKWARD_DATA, operands, 3, err);
}

/* Copies the maps of a batch into the corners of wider ones. */
static void widen(const dnnl_dims_t dims, size_t block, const float *from, float *to)
{
    dnnl_dims_t wide;
    widen_dims(wide, dims, true);
    const size_t row = (size_t)dims[3] * block, wide_row = (size_t)wide[3] * block;
    const size_t planes = (size_t)dims[0] * (((size_t)dims[1] + block - 1) / block);
    for (size_t p = 0; p < planes; p++)
        for (size_t y = 0; y < (size_t)dims[2]; y++)
            memcpy(to + (p * (size_t)wide[2] + y) * wide_row,
                   from + (p * (size_t)dims[2] + y) * row, row * sizeof(float));
}

int vj_dnn_backward_weights(struct vj_dnn_conv_train_call *t, const float *src,
                            const float *diff_dst, float *kernel, float *bias, struct vj_error *err)
{
    const struct vj_dnn_conv_train *c = t->conv;
    if (c->wide) {
        widen(c->src_dims, c->src_block, src, t->wide_from);
        widen(c->dst_dims, c->dst_block, diff_dst, t->wide_by);
    }
    const struct operand operands[] = {
        {DNNL_ARG_SRC, c->wide ? t->wide_src : t->src, c->wide ? NULL : src},
        {DNNL_ARG_DIFF_DST, c->wide ? t->wide_diff_dst : t->diff_dst, c->wide ? NULL : diff_dst},
        {DNNL_ARG_DIFF_WEIGHTS, t->diff_weights, kernel},
        {DNNL_ARG_DIFF_BIAS, t->diff_bias, bias},
    };
    return run(t, BACKWARD_WEIGHTS, operands, 4, err);
}

void vj_dnn_conv_train_describe(const struct vj_dnn_conv_train *c, char *text, size_t size)
{
    const char *name[PASSES] = {"none", "none", "none"};
    for (int p = 0; p < PASSES; p++)
        if (c->desc[p])
            dnnl_primitive_desc_query(c->desc[p], dnnl_query_impl_info_str, 0, &name[p]);
    snprintf(text, size, "%s, %s, %s", name[FORWARD], name[BACKWARD_DATA], name[BACKWARD_WEIGHTS]);
}

int vj_dnn_gemm(bool a_transposed, bool b_transposed, size_t rows, size_t columns, size_t depth,
                const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                size_t ldc, struct vj_error *err)
{
    dnnl_status_t s = dnnl_sgemm(a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N',
                                 (dnnl_dim_t)rows, (dnnl_dim_t)columns, (dnnl_dim_t)depth, 1.0f, a,
                                 (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc);
    return s ? vj_dnn_fail(err, "matrix product", "execution", s) : 0;
}
