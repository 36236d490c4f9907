/* SPDX-License-Identifier: MIT */
/* The feature extractor: one patch, one thread, a flat list of calls (spec network.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/net_internal.h"

static const char *const conv_names[4] = {"conv1", "conv2", "conv3", "conv4"};

const struct vj_extractor *vj_net_extractor(const struct vj_net *net, enum vj_net_stream stream)
{
    bool shared = stream == VJ_NET_JND && net->shape.variant == VJ_VARIANT_FIGURE;
    return &net->extractor[shared ? VJ_NET_PICTURE : stream];
}

/* Side of the map that convolution i, 0..3, works on. */
static size_t side_of(const struct vj_net_shape *shape, int i)
{
    return (size_t)shape->patch_size >> i;
}

/* Layouts that the loops of host/net_layers.h take. */
static bool suits_loops(size_t block, size_t channels)
{
    return block == 8 || block == 16 || block == channels;
}

static int prepare_conv(struct vj_extractor *e, int i, struct vj_dnn *dnn,
                        const struct vj_weights *w, const char *stream, struct vj_error *err)
{
    const size_t side = side_of(&w->shape, i), out = (size_t)w->shape.channels[i];
    const size_t in = i ? (size_t)w->shape.channels[i - 1] : 3;
    const float *kernel = vj_net_tensor(w, 9 * in * out, err, "%s/conv%d/weights", stream, i + 1);
    const float *bias =
        kernel ? vj_net_tensor(w, out, err, "%s/conv%d/biases", stream, i + 1) : NULL;
    if (!bias)
        return -EINVAL;
    struct vj_dnn_conv conv = {
        .name = conv_names[i],
        .batch = 1,
        .height = side,
        .width = side,
        .in = in,
        .out = out,
        .kernel = 3,
        .relu = true,
        .src_block = VJ_DNN_ANY,
        .dst_block = VJ_DNN_ANY,
    };
    int r = vj_dnn_conv_prepare(&e->conv[i], dnn, &conv, kernel, bias, err);
    if (r)
        return r;
    size_t src = vj_dnn_op_src_block(e->conv[i]), dst = vj_dnn_op_dst_block(e->conv[i]);
    if ((i == 0 ? src == 1 || src == 3 : suits_loops(src, in)) && suits_loops(dst, out))
        return 0;
    vj_dnn_op_free(e->conv[i]);
    conv.src_block = in;
    conv.dst_block = out;
    return vj_dnn_conv_prepare(&e->conv[i], dnn, &conv, kernel, bias, err);
}

/* Appends a copy of a tensor to *room and moves *room on. */
static const float *keep(float **room, const struct vj_weights *w, size_t count, const char *stream,
                         int layer, const char *tensor, struct vj_error *err)
{
    const float *from = vj_net_tensor(w, count, err, "%s/conv%d/ch_at/%s", stream, layer, tensor);
    if (!from)
        return NULL;
    float *to = *room;
    memcpy(to, from, count * sizeof(float));
    *room += count;
    return to;
}

static int prepare_attention(struct vj_extractor *e, const struct vj_weights *w, const char *stream,
                             struct vj_error *err)
{
    size_t total = 0;
    for (int i = 0; i < 3; i++) {
        size_t c = (size_t)w->shape.channels[i];
        total += 2 * c * (c / 16) + c / 16 + c;
    }
    e->attention_data = vj_calloc(total, sizeof(float));
    if (!e->attention_data)
        return vj_fail(err, -ENOMEM, "out of memory for the attention layers");
    float *room = e->attention_data;
    for (int i = 0; i < 3; i++) {
        struct vj_attention *a = &e->attention[i];
        size_t c = (size_t)w->shape.channels[i], h = c / 16;
        a->channels = c;
        a->hidden = h;
        a->kernel_0 = keep(&room, w, c * h, stream, i + 1, "mlp_0/kernel", err);
        a->bias_0 = keep(&room, w, h, stream, i + 1, "mlp_0/bias", err);
        a->kernel_1 = keep(&room, w, h * c, stream, i + 1, "mlp_1/kernel", err);
        a->bias_1 = keep(&room, w, c, stream, i + 1, "mlp_1/bias", err);
        if (!a->kernel_0 || !a->bias_0 || !a->kernel_1 || !a->bias_1)
            return -EINVAL;
    }
    return 0;
}

static int prepare_projection(struct vj_dnn_op **op, struct vj_dnn *dnn, const char *name,
                              const struct vj_net_shape *shape, const float *kernel,
                              const float *bias, struct vj_error *err)
{
    const size_t side = side_of(shape, 3), c = (size_t)shape->channels[3];
    const struct vj_dnn_conv conv = {
        .name = name,
        .batch = 1,
        .height = side,
        .width = side,
        .in = c,
        .out = c,
        .kernel = 1,
        .src_block = c,
        .dst_block = c,
    };
    return vj_dnn_conv_prepare(op, dnn, &conv, kernel, bias, err);
}

static int prepare_stored_projection(struct vj_dnn_op **op, struct vj_dnn *dnn, const char *name,
                                     const struct vj_weights *w, const char *stream,
                                     struct vj_error *err)
{
    static const char format[] = "%s/conv4/Non-local4/%s/%s_conv/%s";
    const size_t c = (size_t)w->shape.channels[3];
    const float *kernel = vj_net_tensor(w, c * c, err, format, stream, name, name, "kernel");
    const float *bias =
        kernel ? vj_net_tensor(w, c, err, format, stream, name, name, "bias") : NULL;
    return bias ? prepare_projection(op, dnn, name, &w->shape, kernel, bias, err) : -EINVAL;
}

static int prepare_value(struct vj_extractor *e, struct vj_dnn *dnn, const struct vj_weights *w,
                         const char *stream, struct vj_error *err)
{
    const size_t c = (size_t)w->shape.channels[3];
    float *kernel = vj_calloc(c * c + c, sizeof(float));
    if (!kernel)
        return vj_fail(err, -ENOMEM, "out of memory for the non-local block");
    float *bias = kernel + c * c;
    int r = vj_net_fold_value(w, stream, kernel, bias, err);
    if (!r)
        r = prepare_projection(&e->value, dnn, "value", &w->shape, kernel, bias, err);
    free(kernel);
    return r;
}

int vj_extractor_prepare(struct vj_extractor *e, struct vj_dnn *dnn, const struct vj_weights *w,
                         const char *stream, struct vj_error *err)
{
    int r = 0;
    for (int i = 0; i < 4 && !r; i++)
        r = prepare_conv(e, i, dnn, w, stream, err);
    if (!r)
        r = prepare_attention(e, w, stream, err);
    if (!r)
        r = prepare_stored_projection(&e->theta, dnn, "theta", w, stream, err);
    if (!r)
        r = prepare_stored_projection(&e->phi, dnn, "phi", w, stream, err);
    if (!r)
        r = prepare_value(e, dnn, w, stream, err);
    return r;
}

void vj_extractor_release(struct vj_extractor *e)
{
    for (int i = 0; i < 4; i++)
        vj_dnn_op_free(e->conv[i]);
    vj_dnn_op_free(e->theta);
    vj_dnn_op_free(e->phi);
    vj_dnn_op_free(e->value);
    free(e->attention_data);
    memset(e, 0, sizeof(*e));
}

size_t vj_extractor_bytes(const struct vj_extractor *e)
{
    size_t bytes = 0;
    if (!e->theta)
        return 0;
    for (int i = 0; i < 4; i++)
        bytes += vj_dnn_op_weight_bytes(e->conv[i]);
    for (int i = 0; i < 3; i++) {
        size_t c = e->attention[i].channels, h = e->attention[i].hidden;
        bytes += (2 * c * h + c + h) * sizeof(float);
    }
    return bytes + vj_dnn_op_weight_bytes(e->theta) + vj_dnn_op_weight_bytes(e->phi) +
           vj_dnn_op_weight_bytes(e->value);
}

int vj_non_local_prepare(struct vj_non_local_ops *ops, struct vj_dnn *dnn,
                         const struct vj_net_shape *shape, struct vj_error *err)
{
    const size_t c = (size_t)shape->channels[3], n = side_of(shape, 3) * side_of(shape, 3);
    /* Reshape: phi's memory read as [c][n], as the released graph does. Otherwise its transpose. */
    const struct vj_dnn_matmul affinity = {
        .name = "affinity",
        .rows = n,
        .depth = c,
        .columns = n,
        .b_transposed = shape->non_local == VJ_NON_LOCAL_TRANSPOSE,
    };
    const struct vj_dnn_matmul attend = {
        .name = "attend",
        .rows = n,
        .depth = n,
        .columns = c,
    };
    int r = vj_dnn_matmul_prepare(&ops->affinity, dnn, &affinity, err);
    if (!r)
        r = vj_dnn_softmax_prepare(&ops->softmax, dnn, "softmax", n, n, err);
    if (!r)
        r = vj_dnn_matmul_prepare(&ops->attend, dnn, &attend, err);
    return r;
}

void vj_non_local_release(struct vj_non_local_ops *ops)
{
    vj_dnn_op_free(ops->affinity);
    vj_dnn_op_free(ops->softmax);
    vj_dnn_op_free(ops->attend);
    memset(ops, 0, sizeof(*ops));
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Floats of a map, channels padded for any block, rounded up to whole cache lines. */
static size_t map_floats(size_t side, size_t channels)
{
    return side * side * ((channels + 15) / 16 * 16);
}

static size_t scratch_bytes(const struct vj_net *net)
{
    size_t bytes = 0;
    for (int s = 0; s < VJ_NET_STREAMS; s++) {
        const struct vj_extractor *e = vj_net_extractor(net, (enum vj_net_stream)s);
        for (int i = 0; i < 4; i++)
            bytes = larger(bytes, vj_dnn_op_scratch_bytes(e->conv[i]));
        bytes = larger(bytes, vj_dnn_op_scratch_bytes(e->theta));
        bytes = larger(bytes, vj_dnn_op_scratch_bytes(e->phi));
        bytes = larger(bytes, vj_dnn_op_scratch_bytes(e->value));
    }
    bytes = larger(bytes, vj_dnn_op_scratch_bytes(net->non_local.affinity));
    bytes = larger(bytes, vj_dnn_op_scratch_bytes(net->non_local.softmax));
    return larger(bytes, vj_dnn_op_scratch_bytes(net->non_local.attend));
}

/* All buffers from one zeroed allocation: what nobody writes (channel padding) stays finite. */
static int allocate(struct vj_extractor_thread *t, const struct vj_net *net, struct vj_error *err)
{
    const struct vj_net_shape *shape = &net->shape;
    const size_t last_side = side_of(shape, 3), n = last_side * last_side;
    const size_t tokens = map_floats(last_side, (size_t)shape->channels[3]);
    size_t map = 0, pooled = 0;
    for (int i = 0; i < 4; i++) {
        size_t c = (size_t)shape->channels[i];
        map = larger(map, map_floats(side_of(shape, i), c));
        pooled = larger(pooled, map_floats(side_of(shape, i + 1), c));
    }
    struct {
        float **buffer;
        size_t floats;
    } parts[] = {
        {&t->input, map_floats(side_of(shape, 0), 3)},
        {&t->map, map},
        {&t->pooled, pooled},
        {&t->nhwc, tokens},
        {&t->theta, tokens},
        {&t->phi, tokens},
        {&t->value, tokens},
        {&t->affinity, n * n},
        {&t->attended, tokens},
        {&t->last, tokens},
        {&t->scratch, (scratch_bytes(net) + 63) / 64 * 16},
    };
    const size_t count = sizeof(parts) / sizeof(parts[0]);
    size_t floats = 0;
    for (size_t i = 0; i < count; i++)
        floats += (parts[i].floats + 15) / 16 * 16;
    t->bytes = floats * sizeof(float);
    t->memory = vj_alloc_aligned(floats, sizeof(float));
    if (!t->memory)
        return vj_fail(err, -ENOMEM, "out of memory for a thread of the network (%zu bytes)",
                       t->bytes);
    memset(t->memory, 0, t->bytes);
    float *next = t->memory;
    for (size_t i = 0; i < count; i++) {
        *parts[i].buffer = next;
        next += (parts[i].floats + 15) / 16 * 16;
    }
    return 0;
}

static int bind_stream(struct vj_extractor_thread *t, const struct vj_net *net, int s,
                       struct vj_error *err)
{
    const struct vj_extractor *e = vj_net_extractor(net, (enum vj_net_stream)s);
    int r = 0;
    for (int i = 0; i < 4 && !r; i++)
        r = vj_dnn_bind(&t->stream[s].conv[i], e->conv[i], i ? t->pooled : t->input, NULL, t->map,
                        t->scratch, err);
    if (!r)
        r = vj_dnn_bind(&t->stream[s].theta, e->theta, t->nhwc, NULL, t->theta, t->scratch, err);
    if (!r)
        r = vj_dnn_bind(&t->stream[s].phi, e->phi, t->nhwc, NULL, t->phi, t->scratch, err);
    if (!r)
        r = vj_dnn_bind(&t->stream[s].value, e->value, t->nhwc, NULL, t->value, t->scratch, err);
    return r;
}

int vj_extractor_thread_create(struct vj_extractor_thread *t, const struct vj_net *net,
                               struct vj_error *err)
{
    const struct vj_non_local_ops *ops = &net->non_local;
    int r = allocate(t, net, err);
    for (int s = 0; s < VJ_NET_STREAMS && !r; s++)
        r = bind_stream(t, net, s, err);
    if (!r)
        r = vj_dnn_bind(&t->affinity_call, ops->affinity, t->theta, t->phi, t->affinity, t->scratch,
                        err);
    if (!r)
        r = vj_dnn_bind(&t->softmax_call, ops->softmax, t->affinity, NULL, t->affinity, t->scratch,
                        err);
    if (!r)
        r = vj_dnn_bind(&t->attend_call, ops->attend, t->affinity, t->value, t->attended,
                        t->scratch, err);
    return r;
}

void vj_extractor_thread_release(struct vj_extractor_thread *t)
{
    for (int s = 0; s < VJ_NET_STREAMS; s++) {
        for (int i = 0; i < 4; i++)
            vj_dnn_call_free(t->stream[s].conv[i]);
        vj_dnn_call_free(t->stream[s].theta);
        vj_dnn_call_free(t->stream[s].phi);
        vj_dnn_call_free(t->stream[s].value);
    }
    vj_dnn_call_free(t->affinity_call);
    vj_dnn_call_free(t->softmax_call);
    vj_dnn_call_free(t->attend_call);
    free(t->memory);
    memset(t, 0, sizeof(*t));
}

/* Where a traced pass reports to; the plain pass has no probe and pays one comparison per layer. */
struct trace {
    vj_net_probe probe;
    void *user;
};

static void show(const struct trace *trace, const char *layer, const float *data, size_t count)
{
    if (trace->probe)
        trace->probe(trace->user, layer, data, count);
}

static int show_map(const struct trace *trace, const char *layer, const float *data,
                    const struct vj_map *map, struct vj_error *err)
{
    if (!trace->probe)
        return 0;
    size_t count = map->channels * map->height * map->width;
    float *nhwc = vj_calloc(count, sizeof(float));
    if (!nhwc)
        return vj_fail(err, -ENOMEM, "out of memory for a copy of %s", layer);
    vj_layer_to_nhwc(data, map, nhwc);
    trace->probe(trace->user, layer, nhwc, count);
    free(nhwc);
    return 0;
}

static struct vj_map map_at(const struct vj_net_shape *shape, int i, size_t channels, size_t block)
{
    struct vj_map map = {channels, side_of(shape, i), side_of(shape, i), block};
    return map;
}

/* Convolution i of 0..2, attention and pooling: from t->input or t->pooled to t->pooled. */
static int run_block(struct vj_extractor_thread *t, const struct vj_net *net,
                     const struct vj_extractor *e, int s, int i, const struct trace *trace,
                     struct vj_error *err)
{
    static const char *const attention_names[] = {"attention1", "attention2", "attention3"};
    static const char *const pool_names[] = {"pool1", "pool2", "pool3"};
    float mean[1024], max[1024], scale[1024];
    const size_t channels = e->attention[i].channels;
    const struct vj_map map = map_at(&net->shape, i, channels, vj_dnn_op_dst_block(e->conv[i]));
    const struct vj_map half =
        map_at(&net->shape, i + 1, channels, vj_dnn_op_src_block(e->conv[i + 1]));
    int r = vj_dnn_run(t->stream[s].conv[i], err);
    if (!r)
        r = show_map(trace, conv_names[i], t->map, &map, err);
    if (r)
        return r;
    vj_layer_pool(t->map, &map, t->pooled, half.block, mean, max);
    vj_layer_attention(&e->attention[i], mean, max, scale);
    show(trace, attention_names[i], scale, channels);
    vj_layer_scale(t->pooled, &half, scale);
    return show_map(trace, pool_names[i], t->pooled, &half, err);
}

/* conv4 and the non-local block: from t->pooled to t->nhwc and t->attended. */
static int run_non_local(struct vj_extractor_thread *t, const struct vj_net *net,
                         const struct vj_extractor *e, int s, const struct trace *trace,
                         struct vj_error *err)
{
    const size_t c = (size_t)net->shape.channels[3];
    const struct vj_map map = map_at(&net->shape, 3, c, vj_dnn_op_dst_block(e->conv[3]));
    const size_t n = map.height * map.width;
    int r = vj_dnn_run(t->stream[s].conv[3], err);
    if (r)
        return r;
    vj_layer_to_nhwc(t->map, &map, t->nhwc);
    show(trace, "conv4", t->nhwc, n * c);

    const struct {
        const char *layer;
        struct vj_dnn_call *call;
        const float *out;
        size_t count;
    } steps[] = {
        {"theta", t->stream[s].theta, t->theta, n * c},
        {"phi", t->stream[s].phi, t->phi, n * c},
        {"value", t->stream[s].value, t->value, n * c},
        {"affinity", t->affinity_call, t->affinity, n * n},
        {"softmax", t->softmax_call, t->affinity, n * n},
        {"attended", t->attend_call, t->attended, n * c},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !r; i++) {
        r = vj_dnn_run(steps[i].call, err);
        if (!r)
            show(trace, steps[i].layer, steps[i].out, steps[i].count);
    }
    return r;
}

int vj_extractor_run(struct vj_extractor_thread *t, const struct vj_net *net,
                     enum vj_net_stream stream, const uint8_t *patch, size_t channels, float *out,
                     vj_net_probe probe, void *user, struct vj_error *err)
{
    const struct trace trace = {probe, user};
    const struct vj_extractor *e = vj_net_extractor(net, stream);
    const struct vj_map input = map_at(&net->shape, 0, 3, vj_dnn_op_src_block(e->conv[0]));
    const size_t c = (size_t)net->shape.channels[3];
    const struct vj_map last = map_at(&net->shape, 3, c, c);
    const size_t positions = last.height * last.width / 4;

    vj_layer_input(patch, channels, t->input, &input);
    int r = show_map(&trace, "input", t->input, &input, err);
    for (int i = 0; i < 3 && !r; i++)
        r = run_block(t, net, e, (int)stream, i, &trace, err);
    if (!r)
        r = run_non_local(t, net, e, (int)stream, &trace, err);
    if (r)
        return r;
    bool pools = net->shape.variant == VJ_VARIANT_FIGURE;
    float *pool4 = pools ? t->last : out;
    vj_layer_join_pool(t->nhwc, t->attended, &last, pool4);
    show(&trace, "pool4", pool4, positions * c);
    if (pools)
        vj_layer_statistics(pool4, positions, c, out);
    show(&trace, "features", out, net->features);
    return 0;
}
