/* SPDX-License-Identifier: MIT */
#include "host/onednn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/onednn_internal.h"

struct vj_dnn_op {
    const char *name;
    dnnl_engine_t engine;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    float *weights, *bias; /* owned, in the primitive's layout; NULL when there are none */
    dnnl_memory_t weights_memory, bias_memory;
    size_t src_block, dst_block;
    size_t weight_bytes, scratch_bytes;
    const char *implementation;
};

enum { MAX_ARGUMENTS = 5 };

struct vj_dnn_call {
    const struct vj_dnn_op *op;
    dnnl_stream_t stream;
    dnnl_exec_arg_t arguments[MAX_ARGUMENTS];
    dnnl_memory_t owned[MAX_ARGUMENTS];
    int count, owned_count;
};

/* The two generations of the API; the rest of it stands in host/onednn_internal.h. */
#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0);
}

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, vj_md_view src,
                                   vj_md_view weights, vj_md_view bias, vj_md_view dst,
                                   const dnnl_dims_t padding, const_dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t strides = {1, 1}, dilates = {0, 0};
    return dnnl_convolution_forward_primitive_desc_create(
        pd, engine, dnnl_forward_inference, dnnl_convolution_direct, src, weights, bias, dst,
        strides, dilates, padding, padding, attr);
}

static dnnl_status_t describe_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, vj_md_view a,
                                     vj_md_view b, vj_md_view c, const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, a, b, NULL, c, attr);
}

static dnnl_status_t describe_softmax(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                      vj_md_view md, int axis, const_dnnl_primitive_attr_t attr)
{
    return dnnl_softmax_forward_primitive_desc_create(pd, engine, dnnl_forward_inference,
                                                      dnnl_softmax_accurate, md, md, axis, attr);
}

#else

static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0, 0);
}

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, vj_md_view src,
                                   vj_md_view weights, vj_md_view bias, vj_md_view dst,
                                   const dnnl_dims_t padding, const_dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t strides = {1, 1};
    dnnl_convolution_desc_t desc;
    dnnl_status_t s =
        dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct,
                                           src, weights, bias, dst, strides, padding, padding);
    return s ? s : dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
}

static dnnl_status_t describe_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, vj_md_view a,
                                     vj_md_view b, vj_md_view c, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t desc;
    dnnl_status_t s = dnnl_matmul_desc_init(&desc, a, b, NULL, c);
    return s ? s : dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
}

static dnnl_status_t describe_softmax(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                      vj_md_view md, int axis, const_dnnl_primitive_attr_t attr)
{
    dnnl_softmax_desc_t desc;
    dnnl_status_t s = dnnl_softmax_forward_desc_init(&desc, dnnl_forward_inference, md, axis);
    return s ? s : dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
}

#endif

static const char *status_name(dnnl_status_t status)
{
    switch (status) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not available on this processor";
    default:
        return "internal error";
    }
}

int vj_dnn_fail(struct vj_error *err, const char *name, const char *what, dnnl_status_t status)
{
    return vj_fail(err, status == dnnl_out_of_memory ? -ENOMEM : -EIO,
                   "oneDNN: %s: %s failed: %s (status %d)", name, what, status_name(status),
                   (int)status);
}

int vj_dnn_create(struct vj_dnn **dnn, struct vj_error *err)
{
    *dnn = vj_calloc(1, sizeof(**dnn));
    if (!*dnn)
        return vj_fail(err, -ENOMEM, "out of memory for a oneDNN engine");
    dnnl_status_t s = dnnl_engine_create(&(*dnn)->engine, dnnl_cpu, 0);
    if (!s)
        return 0;
    free(*dnn);
    *dnn = NULL;
    return vj_dnn_fail(err, "engine", "creation", s);
}

void vj_dnn_free(struct vj_dnn *dnn)
{
    if (!dnn)
        return;
    dnnl_engine_destroy(dnn->engine);
    free(dnn);
}

void vj_dnn_describe(char *text, size_t size)
{
    static const struct {
        int isa;
        const char *name;
    } known[] = {
        {dnnl_cpu_isa_sse41, "SSE4.1"},
        {dnnl_cpu_isa_avx, "AVX"},
        {dnnl_cpu_isa_avx2, "AVX2"},
        {dnnl_cpu_isa_avx2_vnni, "AVX2 VNNI"},
        {dnnl_cpu_isa_avx512_core, "AVX-512"},
        {dnnl_cpu_isa_avx512_core_vnni, "AVX-512 VNNI"},
        {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 BF16"},
        {dnnl_cpu_isa_avx512_core_amx, "AVX-512 AMX"},
    };
    const dnnl_version_t *v = dnnl_version();
    const char *threads = v->cpu_runtime == DNNL_RUNTIME_OMP ? "OpenMP" : "not OpenMP";
    int isa = (int)dnnl_get_effective_cpu_isa();
    char number[32];
    const char *name = number;
    snprintf(number, sizeof(number), "ISA 0x%x", (unsigned)isa);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].isa == isa)
            name = known[i].name;
    snprintf(text, size, "oneDNN %d.%d.%d (%s, %s)", v->major, v->minor, v->patch, threads, name);
}

dnnl_status_t vj_dnn_attributes(dnnl_primitive_attr_t *attr, bool relu)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(attr);
    if (!s)
        s = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (!s && relu) {
        s = dnnl_post_ops_create(&ops);
        if (!s)
            s = append_relu(ops);
        if (!s)
            s = dnnl_primitive_attr_set_post_ops(*attr, ops);
        if (ops)
            dnnl_post_ops_destroy(ops);
    }
    return s;
}

static vj_md_view query(const struct vj_dnn_op *op, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(op->desc, what, 0);
}

dnnl_format_tag_t vj_dnn_map_tag(size_t block, size_t channels, enum vj_dnn_name name)
{
    if (name == VJ_DNN_NHWC && block == channels)
        return dnnl_nhwc;
    switch (block) {
    case VJ_DNN_ANY:
        return dnnl_format_tag_any;
    case 1:
        return dnnl_nchw;
    case 8:
        return dnnl_nChw8c;
    case 16:
        return dnnl_nChw16c;
    default:
        return block == channels ? dnnl_nhwc : dnnl_format_tag_undef;
    }
}

bool vj_dnn_is_reference(const_dnnl_primitive_desc_t desc)
{
    const char *implementation = "";
    dnnl_status_t s =
        dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&implementation);
    return !s && strncmp(implementation, "ref", 3) == 0;
}

size_t vj_dnn_block_of(vj_md_view desc, const dnnl_dims_t dims)
{
    const struct {
        dnnl_format_tag_t tag;
        size_t block;
    } known[] = {
        {dnnl_nhwc, (size_t)dims[1]},
        {dnnl_nChw8c, 8},
        {dnnl_nChw16c, 16},
        {dnnl_nchw, 1},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct vj_md md = {0};
        if (vj_md_tagged(&md, 4, dims, known[i].tag))
            continue;
        int same = dnnl_memory_desc_equal(desc, vj_md_look(&md));
        vj_md_drop(&md);
        if (same)
            return known[i].block;
    }
    return VJ_DNN_OTHER;
}

/* Copies `from`, described by `plain`, into a fresh buffer in the layout `wanted`. */
static int take_weights(struct vj_dnn_op *op, float **buffer, dnnl_memory_t *memory,
                        vj_md_view plain, vj_md_view wanted, const float *from,
                        struct vj_error *err)
{
    size_t bytes = dnnl_memory_desc_get_size(wanted);
    *buffer = vj_alloc_aligned(bytes, 1);
    if (!*buffer)
        return vj_fail(err, -ENOMEM, "out of memory for weights of %s (%zu bytes)", op->name,
                       bytes);
    memset(*buffer, 0, bytes);
    op->weight_bytes += bytes;

    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t s = dnnl_memory_create(memory, wanted, op->engine, *buffer);
    if (!s) /* read only: the interface has no memory object for constant data */
        s = dnnl_memory_create(&source, plain, op->engine, (void *)from);
    if (!s)
        s = dnnl_reorder_primitive_desc_create(&desc, plain, op->engine, wanted, op->engine, NULL);
    if (!s)
        s = dnnl_primitive_create(&reorder, desc);
    if (!s)
        s = dnnl_stream_create(&stream, op->engine, dnnl_stream_default_flags);
    if (!s) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, *memory}};
        s = dnnl_primitive_execute(reorder, stream, 2, args);
        dnnl_status_t waited = dnnl_stream_wait(stream);
        s = s ? s : waited;
    }
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(source);
    return s ? vj_dnn_fail(err, op->name, "reordering of weights", s) : 0;
}

static struct vj_dnn_op *new_op(struct vj_dnn *dnn, const char *name)
{
    struct vj_dnn_op *op = vj_calloc(1, sizeof(*op));
    if (op) {
        op->name = name;
        op->engine = dnn->engine;
    }
    return op;
}

/* From a primitive descriptor to a primitive that can be bound. */
static int finish_op(struct vj_dnn_op *op, struct vj_error *err)
{
    dnnl_status_t s = dnnl_primitive_create(&op->primitive, op->desc);
    if (!s)
        s = dnnl_primitive_desc_query(op->desc, dnnl_query_impl_info_str, 0, &op->implementation);
    if (s)
        return vj_dnn_fail(err, op->name, "creation", s);
    op->scratch_bytes = dnnl_memory_desc_get_size(query(op, dnnl_query_scratchpad_md));
    return 0;
}

static dnnl_status_t make_conv(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                               const struct vj_dnn_conv *conv, bool has_bias,
                               const dnnl_dims_t src_dims, const dnnl_dims_t weight_dims,
                               const dnnl_dims_t dst_dims, enum vj_dnn_name name)
{
    const dnnl_dim_t pad = conv->valid ? 0 : (dnnl_dim_t)conv->kernel / 2;
    const dnnl_dims_t padding = {pad, pad};
    struct vj_md src = {0}, weights = {0}, bias = {0}, dst = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = vj_dnn_attributes(&attr, conv->relu);
    if (!s)
        s = vj_md_tagged(&src, 4, src_dims, vj_dnn_map_tag(conv->src_block, conv->in, name));
    if (!s)
        s = vj_md_tagged(&weights, 4, weight_dims, dnnl_format_tag_any);
    if (!s)
        s = vj_md_tagged(&bias, 1, &weight_dims[0], dnnl_x);
    if (!s)
        s = vj_md_tagged(&dst, 4, dst_dims, vj_dnn_map_tag(conv->dst_block, conv->out, name));
    if (!s)
        s = describe_conv(desc, engine, vj_md_look(&src), vj_md_look(&weights),
                          has_bias ? vj_md_look(&bias) : NULL, vj_md_look(&dst), padding, attr);
    vj_md_drop(&src);
    vj_md_drop(&weights);
    vj_md_drop(&bias);
    vj_md_drop(&dst);
    dnnl_primitive_attr_destroy(attr);
    return s;
}

/* The description by the first name that is not the reference's, or else by the first one. */
static dnnl_status_t choose_conv(struct vj_dnn_op *op, const struct vj_dnn_conv *conv,
                                 bool has_bias, const dnnl_dims_t src_dims,
                                 const dnnl_dims_t weight_dims, const dnnl_dims_t dst_dims)
{
    dnnl_status_t s = dnnl_success;
    for (int name = 0; name < VJ_DNN_NAMES; name++) {
        dnnl_primitive_desc_t desc = NULL;
        s = make_conv(&desc, op->engine, conv, has_bias, src_dims, weight_dims, dst_dims,
                      (enum vj_dnn_name)name);
        const bool fast = !s && !vj_dnn_is_reference(desc);
        if (fast || (!s && !op->desc)) {
            dnnl_primitive_desc_destroy(op->desc);
            op->desc = desc;
        } else {
            dnnl_primitive_desc_destroy(desc);
        }
        if (fast)
            break;
    }
    return op->desc ? dnnl_success : s;
}

static int take_conv_weights(struct vj_dnn_op *op, const dnnl_dims_t weight_dims,
                             const float *kernel, const float *bias, struct vj_error *err)
{
    struct vj_md plain = {0}, plain_bias = {0};
    int r = 0;
    dnnl_status_t s = vj_md_tagged(&plain, 4, weight_dims, dnnl_hwio);
    if (!s)
        s = vj_md_tagged(&plain_bias, 1, &weight_dims[0], dnnl_x);
    if (s)
        r = vj_dnn_fail(err, op->name, "description of weights", s);
    if (!r)
        r = take_weights(op, &op->weights, &op->weights_memory, vj_md_look(&plain),
                         query(op, dnnl_query_weights_md), kernel, err);
    if (!r && bias)
        r = take_weights(op, &op->bias, &op->bias_memory, vj_md_look(&plain_bias),
                         dnnl_primitive_desc_query_md(op->desc, dnnl_query_weights_md, 1), bias,
                         err);
    vj_md_drop(&plain);
    vj_md_drop(&plain_bias);
    return r;
}

int vj_dnn_conv_prepare(struct vj_dnn_op **op, struct vj_dnn *dnn, const struct vj_dnn_conv *conv,
                        const float *kernel, const float *bias, struct vj_error *err)
{
    const dnnl_dim_t n = (dnnl_dim_t)conv->batch, h = (dnnl_dim_t)conv->height;
    const dnnl_dim_t w = (dnnl_dim_t)conv->width, k = (dnnl_dim_t)conv->kernel;
    const dnnl_dim_t ci = (dnnl_dim_t)conv->in, co = (dnnl_dim_t)conv->out;
    const dnnl_dim_t lost = conv->valid ? k - 1 : 0;
    const dnnl_dims_t src = {n, ci, h, w}, weights = {co, ci, k, k};
    const dnnl_dims_t dst = {n, co, h - lost, w - lost};
    struct vj_dnn_op *o = new_op(dnn, conv->name);
    *op = NULL;
    if (!o)
        return vj_fail(err, -ENOMEM, "out of memory for %s", conv->name);
    dnnl_status_t s = choose_conv(o, conv, bias != NULL, src, weights, dst);
    int r = s ? vj_dnn_fail(err, o->name, "description", s) : finish_op(o, err);
    if (!r)
        r = take_conv_weights(o, weights, kernel, bias, err);
    if (r) {
        vj_dnn_op_free(o);
        return r;
    }
    o->src_block = vj_dnn_block_of(query(o, dnnl_query_src_md), src);
    o->dst_block = vj_dnn_block_of(query(o, dnnl_query_dst_md), dst);
    *op = o;
    return 0;
}

static dnnl_status_t make_matmul(struct vj_dnn_op *op, const struct vj_dnn_matmul *m)
{
    const dnnl_dim_t batch = (dnnl_dim_t)m->batch, rows = (dnnl_dim_t)m->rows;
    const dnnl_dim_t depth = (dnnl_dim_t)m->depth, columns = (dnnl_dim_t)m->columns;
    const dnnl_dims_t a_dims = {batch, rows, depth}, b_dims = {batch, depth, columns};
    const dnnl_dims_t c_dims = {batch, rows, columns};
    struct vj_md a = {0}, b = {0}, c = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = vj_dnn_attributes(&attr, false);
    if (!s)
        s = vj_md_tagged(&a, 3, a_dims, dnnl_bac);
    if (!s)
        s = vj_md_tagged(&b, 3, b_dims, m->b_transposed ? dnnl_acb : dnnl_abc);
    if (!s)
        s = vj_md_tagged(&c, 3, c_dims, dnnl_bac);
    if (!s)
        s = describe_matmul(&op->desc, op->engine, vj_md_look(&a), vj_md_look(&b), vj_md_look(&c),
                            attr);
    vj_md_drop(&a);
    vj_md_drop(&b);
    vj_md_drop(&c);
    dnnl_primitive_attr_destroy(attr);
    return s;
}

int vj_dnn_matmul_prepare(struct vj_dnn_op **op, struct vj_dnn *dnn,
                          const struct vj_dnn_matmul *matmul, struct vj_error *err)
{
    struct vj_dnn_op *o = new_op(dnn, matmul->name);
    *op = NULL;
    if (!o)
        return vj_fail(err, -ENOMEM, "out of memory for %s", matmul->name);
    dnnl_status_t s = make_matmul(o, matmul);
    int r = s ? vj_dnn_fail(err, o->name, "description", s) : finish_op(o, err);
    if (r) {
        vj_dnn_op_free(o);
        return r;
    }
    *op = o;
    return 0;
}

int vj_dnn_softmax_prepare(struct vj_dnn_op **op, struct vj_dnn *dnn, const char *name, size_t rows,
                           size_t columns, struct vj_error *err)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    dnnl_primitive_attr_t attr = NULL;
    struct vj_md md = {0};
    struct vj_dnn_op *o = new_op(dnn, name);
    *op = NULL;
    if (!o)
        return vj_fail(err, -ENOMEM, "out of memory for %s", name);
    dnnl_status_t s = vj_dnn_attributes(&attr, false);
    if (!s)
        s = vj_md_tagged(&md, 2, dims, dnnl_ab);
    if (!s)
        s = describe_softmax(&o->desc, o->engine, vj_md_look(&md), 1, attr);
    vj_md_drop(&md);
    dnnl_primitive_attr_destroy(attr);
    int r = s ? vj_dnn_fail(err, o->name, "description", s) : finish_op(o, err);
    if (r) {
        vj_dnn_op_free(o);
        return r;
    }
    *op = o;
    return 0;
}

void vj_dnn_op_free(struct vj_dnn_op *op)
{
    if (!op)
        return;
    dnnl_memory_destroy(op->weights_memory);
    dnnl_memory_destroy(op->bias_memory);
    dnnl_primitive_destroy(op->primitive);
    dnnl_primitive_desc_destroy(op->desc);
    free(op->weights);
    free(op->bias);
    free(op);
}

size_t vj_dnn_op_src_block(const struct vj_dnn_op *op)
{
    return op->src_block;
}

size_t vj_dnn_op_dst_block(const struct vj_dnn_op *op)
{
    return op->dst_block;
}

size_t vj_dnn_op_weight_bytes(const struct vj_dnn_op *op)
{
    return op->weight_bytes;
}

size_t vj_dnn_op_scratch_bytes(const struct vj_dnn_op *op)
{
    return op->scratch_bytes;
}

const char *vj_dnn_op_implementation(const struct vj_dnn_op *op)
{
    return op->implementation;
}

static void pass(struct vj_dnn_call *call, int argument, dnnl_memory_t memory)
{
    call->arguments[call->count].arg = argument;
    call->arguments[call->count].memory = memory;
    call->count++;
}

static dnnl_status_t pass_buffer(struct vj_dnn_call *call, int argument, dnnl_query_t what,
                                 void *buffer)
{
    dnnl_memory_t memory;
    dnnl_status_t s = dnnl_memory_create(&memory, query(call->op, what), call->op->engine, buffer);
    if (s)
        return s;
    call->owned[call->owned_count++] = memory;
    pass(call, argument, memory);
    return dnnl_success;
}

int vj_dnn_bind(struct vj_dnn_call **call, const struct vj_dnn_op *op, float *src, float *b,
                float *dst, void *scratch, struct vj_error *err)
{
    struct vj_dnn_call *c = vj_calloc(1, sizeof(*c));
    *call = NULL;
    if (!c)
        return vj_fail(err, -ENOMEM, "out of memory for a call of %s", op->name);
    c->op = op;
    dnnl_status_t s = dnnl_stream_create(&c->stream, op->engine, dnnl_stream_default_flags);
    if (!s)
        s = pass_buffer(c, DNNL_ARG_SRC, dnnl_query_src_md, src);
    if (!s)
        s = pass_buffer(c, DNNL_ARG_DST, dnnl_query_dst_md, dst);
    if (!s && b)
        s = pass_buffer(c, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, b);
    if (!s && op->scratch_bytes)
        s = pass_buffer(c, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, scratch);
    if (s) {
        vj_dnn_call_free(c);
        return vj_dnn_fail(err, op->name, "binding of buffers", s);
    }
    if (op->weights_memory)
        pass(c, DNNL_ARG_WEIGHTS, op->weights_memory);
    if (op->bias_memory)
        pass(c, DNNL_ARG_BIAS, op->bias_memory);
    *call = c;
    return 0;
}

void vj_dnn_call_free(struct vj_dnn_call *call)
{
    if (!call)
        return;
    for (int i = 0; i < call->owned_count; i++)
        dnnl_memory_destroy(call->owned[i]);
    dnnl_stream_destroy(call->stream);
    free(call);
}

int vj_dnn_run(struct vj_dnn_call *call, struct vj_error *err)
{
    dnnl_status_t s =
        dnnl_primitive_execute(call->op->primitive, call->stream, call->count, call->arguments);
    dnnl_status_t waited = dnnl_stream_wait(call->stream);
    s = s ? s : waited;
    return s ? vj_dnn_fail(err, call->op->name, "execution", s) : 0;
}
