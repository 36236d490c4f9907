/* SPDX-License-Identifier: MIT */
/* The feature extractor: one patch, one thread, a flat list of calls (spec network.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/net_internal.h"

int vj_net_streams(const struct vj_net *net)
{
    return net->form->jnd ? VJ_NET_STREAMS : 1;
}

const struct vj_extractor *vj_net_extractor(const struct vj_net *net, enum vj_net_stream stream)
{
    bool shared = stream == VJ_NET_JND && !net->form->jnd_stream;
    return &net->extractor[shared ? VJ_NET_PICTURE : stream];
}

/* Side of the map that the last block works on. */
static size_t last_side(const struct vj_net_shape *shape)
{
    return vj_net_side(shape, vj_net_form(shape->variant)->blocks - 1);
}

/* Layouts that the loops of host/net_layers.h take. */
static bool suits_loops(size_t block, size_t channels)
{
    return block == 8 || block == 16 || block == channels;
}

/*
 * The first convolution of a block reads a pooled map, in the layout that suits it; the second one
 * takes what the first one makes.
 */
static int prepare_conv(struct vj_extractor *e, int i, struct vj_dnn *dnn,
                        const struct vj_weights *w, const char *stream, struct vj_error *err)
{
    const struct vj_net_layer layer = vj_net_layer(&w->shape, i);
    const size_t in = layer.in, out = layer.out;
    const float *kernel = vj_net_tensor(w, 9 * in * out, err, "%s/%s/weights", stream, layer.name);
    const float *bias =
        kernel ? vj_net_tensor(w, out, err, "%s/%s/biases", stream, layer.name) : NULL;
    if (!bias)
        return -EINVAL;
    struct vj_dnn_conv conv = {
        .name = layer.name,
        .batch = 1,
        .height = layer.side,
        .width = layer.side,
        .in = in,
        .out = out,
        .kernel = 3,
        .relu = true,
        .src_block = layer.first ? VJ_DNN_ANY : vj_net_conv_dst_block(e->conv[i - 1]),
        .dst_block = VJ_DNN_ANY,
    };
    int r = vj_net_conv_prepare(&e->conv[i], dnn, &conv, kernel, bias, err);
    if (r)
        return r;
    size_t src = vj_net_conv_src_block(e->conv[i]), dst = vj_net_conv_dst_block(e->conv[i]);
    if ((i == 0 ? src == 1 || src == 3 : suits_loops(src, in)) && suits_loops(dst, out))
        return 0;
    vj_net_conv_free(e->conv[i]);
    if (layer.first)
        conv.src_block = in;
    conv.dst_block = out;
    return vj_net_conv_prepare(&e->conv[i], dnn, &conv, kernel, bias, err);
}

/* Appends a copy of a tensor to *room and moves *room on. */
static const float *keep(float **room, const struct vj_weights *w, size_t count, const char *stream,
                         const char *layer, const char *tensor, struct vj_error *err)
{
    const float *from = vj_net_tensor(w, count, err, "%s/%s/ch_at/%s", stream, layer, tensor);
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
    const struct vj_net_form *form = vj_net_form(w->shape.variant);
    const int count = vj_net_attentions(form);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        size_t c = (size_t)w->shape.channels[i];
        total += 2 * c * (c / 16) + c / 16 + c;
    }
    if (count == 0)
        return 0;
    e->attention_data = vj_calloc(total, sizeof(float));
    if (!e->attention_data)
        return vj_fail(err, -ENOMEM, "out of memory for the attention layers");
    float *room = e->attention_data;
    for (int i = 0; i < count; i++) {
        const char *layer = vj_net_layer(&w->shape, vj_net_block_end(form, i)).name;
        struct vj_attention *a = &e->attention[i];
        size_t c = (size_t)w->shape.channels[i], h = c / 16;
        a->channels = c;
        a->hidden = h;
        a->kernel_0 = keep(&room, w, c * h, stream, layer, "mlp_0/kernel", err);
        a->bias_0 = keep(&room, w, h, stream, layer, "mlp_0/bias", err);
        a->kernel_1 = keep(&room, w, h * c, stream, layer, "mlp_1/kernel", err);
        a->bias_1 = keep(&room, w, c, stream, layer, "mlp_1/bias", err);
        if (!a->kernel_0 || !a->bias_0 || !a->kernel_1 || !a->bias_1)
            return -EINVAL;
    }
    return 0;
}

static int prepare_projection(struct vj_dnn_op **op, struct vj_dnn *dnn, const char *name,
                              const struct vj_net_shape *shape, const float *kernel,
                              const float *bias, struct vj_error *err)
{
    const size_t side = last_side(shape), c = vj_net_last_channels(shape);
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
    const size_t c = vj_net_last_channels(&w->shape);
    const float *kernel = vj_net_tensor(w, c * c, err, format, stream, name, name, "kernel");
    const float *bias =
        kernel ? vj_net_tensor(w, c, err, format, stream, name, name, "bias") : NULL;
    return bias ? prepare_projection(op, dnn, name, &w->shape, kernel, bias, err) : -EINVAL;
}

static int prepare_value(struct vj_extractor *e, struct vj_dnn *dnn, const struct vj_weights *w,
                         const char *stream, struct vj_error *err)
{
    const size_t c = vj_net_last_channels(&w->shape);
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

static int prepare_projections(struct vj_extractor *e, struct vj_dnn *dnn,
                               const struct vj_weights *w, const char *stream, struct vj_error *err)
{
    int r = prepare_stored_projection(&e->theta, dnn, "theta", w, stream, err);
    if (!r)
        r = prepare_stored_projection(&e->phi, dnn, "phi", w, stream, err);
    return r ? r : prepare_value(e, dnn, w, stream, err);
}

int vj_extractor_prepare(struct vj_extractor *e, struct vj_dnn *dnn, const struct vj_weights *w,
                         const char *stream, struct vj_error *err)
{
    int r = 0;
    for (int i = 0; i < vj_net_layers(&w->shape) && !r; i++)
        r = prepare_conv(e, i, dnn, w, stream, err);
    if (!r)
        r = prepare_attention(e, w, stream, err);
    if (!r && vj_net_form(w->shape.variant)->non_local)
        r = prepare_projections(e, dnn, w, stream, err);
    return r;
}

void vj_extractor_release(struct vj_extractor *e)
{
    for (int i = 0; i < VJ_NET_LAYERS; i++)
        vj_net_conv_free(e->conv[i]);
    vj_dnn_op_free(e->theta);
    vj_dnn_op_free(e->phi);
    vj_dnn_op_free(e->value);
    free(e->attention_data);
    memset(e, 0, sizeof(*e));
}

size_t vj_extractor_bytes(const struct vj_extractor *e)
{
    const struct vj_dnn_op *projections[] = {e->theta, e->phi, e->value};
    size_t bytes = 0;
    for (int i = 0; i < VJ_NET_LAYERS; i++)
        bytes += e->conv[i] ? vj_net_conv_weight_bytes(e->conv[i]) : 0;
    for (int i = 0; i < 3; i++)
        bytes += projections[i] ? vj_dnn_op_weight_bytes(projections[i]) : 0;
    for (int i = 0; i < VJ_NET_BLOCKS; i++) {
        size_t c = e->attention[i].channels, h = e->attention[i].hidden;
        bytes += (2 * c * h + c + h) * sizeof(float);
    }
    return bytes;
}

int vj_non_local_prepare(struct vj_non_local_ops *ops, struct vj_dnn *dnn,
                         const struct vj_net_shape *shape, struct vj_error *err)
{
    const size_t c = vj_net_last_channels(shape), n = last_side(shape) * last_side(shape);
    /* Reshape: phi's memory read as [c][n], as the released graph does. Otherwise its transpose. */
    const struct vj_dnn_matmul affinity = {
        .name = "affinity",
        .batch = 1,
        .rows = n,
        .depth = c,
        .columns = n,
        .b_transposed = shape->non_local == VJ_NON_LOCAL_TRANSPOSE,
    };
    const struct vj_dnn_matmul attend = {
        .name = "attend",
        .batch = 1,
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
    for (int s = 0; s < vj_net_streams(net); s++) {
        const struct vj_extractor *e = vj_net_extractor(net, (enum vj_net_stream)s);
        for (int i = 0; i < VJ_NET_LAYERS; i++)
            bytes = larger(bytes, e->conv[i] ? vj_net_conv_scratch_bytes(e->conv[i]) : 0);
        const struct vj_dnn_op *others[] = {e->theta,
                                            e->phi,
                                            e->value,
                                            net->non_local.affinity,
                                            net->non_local.softmax,
                                            net->non_local.attend};
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
            bytes = larger(bytes, others[i] ? vj_dnn_op_scratch_bytes(others[i]) : 0);
    }
    return bytes;
}

/*
 * All buffers from one zeroed allocation: what nobody writes (channel padding) stays finite.
 * `between` lies between the two convolutions of a block, `last` behind the last pooling where it
 * is not the features yet.
 */
static int allocate(struct vj_extractor_thread *t, const struct vj_net *net, struct vj_error *err)
{
    const struct vj_net_shape *shape = &net->shape;
    const struct vj_net_form *form = net->form;
    const size_t side = last_side(shape), n = form->non_local ? side * side : 0;
    const size_t last = map_floats(side, vj_net_last_channels(shape));
    const size_t tokens = form->non_local ? last : 0;
    size_t map = 0, pooled = 0;
    for (int i = 0; i < form->blocks; i++) {
        size_t c = (size_t)shape->channels[i];
        map = larger(map, map_floats(vj_net_side(shape, i), c));
        pooled = larger(pooled, map_floats(vj_net_side(shape, i + 1), c));
    }
    struct {
        float **buffer;
        size_t floats;
    } parts[] = {
        {&t->input, map_floats(vj_net_side(shape, 0), 3)},
        {&t->between, form->convs > 1 ? map : 0},
        {&t->map, map},
        {&t->pooled, pooled},
        {&t->nhwc, tokens},
        {&t->theta, tokens},
        {&t->phi, tokens},
        {&t->value, tokens},
        {&t->affinity, n * n},
        {&t->attended, tokens},
        {&t->last, last},
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

static int bind_projections(struct vj_extractor_thread *t, const struct vj_extractor *e, int s,
                            struct vj_error *err)
{
    int r = vj_dnn_bind(&t->stream[s].theta, e->theta, t->nhwc, NULL, t->theta, t->scratch, err);
    if (!r)
        r = vj_dnn_bind(&t->stream[s].phi, e->phi, t->nhwc, NULL, t->phi, t->scratch, err);
    if (!r)
        r = vj_dnn_bind(&t->stream[s].value, e->value, t->nhwc, NULL, t->value, t->scratch, err);
    return r;
}

static int bind_stream(struct vj_extractor_thread *t, const struct vj_net *net, int s,
                       struct vj_error *err)
{
    const struct vj_extractor *e = vj_net_extractor(net, (enum vj_net_stream)s);
    int r = 0;
    for (int i = 0; i < vj_net_layers(&net->shape) && !r; i++) {
        const struct vj_net_layer layer = vj_net_layer(&net->shape, i);
        float *from = !layer.first ? t->between : i ? t->pooled : t->input;
        r = vj_net_conv_bind(&t->stream[s].conv[i], e->conv[i], from,
                             layer.last ? t->map : t->between, t->scratch, err);
    }
    return r || !net->form->non_local ? r : bind_projections(t, e, s, err);
}

static int bind_non_local(struct vj_extractor_thread *t, const struct vj_non_local_ops *ops,
                          struct vj_error *err)
{
    int r = vj_dnn_bind(&t->affinity_call, ops->affinity, t->theta, t->phi, t->affinity, t->scratch,
                        err);
    if (!r)
        r = vj_dnn_bind(&t->softmax_call, ops->softmax, t->affinity, NULL, t->affinity, t->scratch,
                        err);
    if (!r)
        r = vj_dnn_bind(&t->attend_call, ops->attend, t->affinity, t->value, t->attended,
                        t->scratch, err);
    return r;
}

int vj_extractor_thread_create(struct vj_extractor_thread *t, const struct vj_net *net,
                               struct vj_error *err)
{
    int r = allocate(t, net, err);
    for (int s = 0; s < vj_net_streams(net) && !r; s++)
        r = bind_stream(t, net, s, err);
    return r || !net->form->non_local ? r : bind_non_local(t, &net->non_local, err);
}

void vj_extractor_thread_release(struct vj_extractor_thread *t)
{
    for (int s = 0; s < VJ_NET_STREAMS; s++) {
        for (int i = 0; i < VJ_NET_LAYERS; i++)
            vj_net_conv_call_free(t->stream[s].conv[i]);
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
    struct vj_map map = {channels, vj_net_side(shape, i), vj_net_side(shape, i), block};
    return map;
}

/* The convolutions of block b, from t->input or t->pooled to t->map, whose geometry is answered. */
static int run_convs(struct vj_extractor_thread *t, const struct vj_net *net,
                     const struct vj_extractor *e, int s, int b, struct vj_map *map,
                     const struct trace *trace, struct vj_error *err)
{
    const int end = vj_net_block_end(net->form, b);
    int r = 0;
    for (int i = end + 1 - net->form->convs; i <= end && !r; i++) {
        const struct vj_net_layer layer = vj_net_layer(&net->shape, i);
        *map = map_at(&net->shape, b, layer.out, vj_net_conv_dst_block(e->conv[i]));
        r = vj_net_conv_run(t->stream[s].conv[i], err);
        if (!r)
            r = show_map(trace, layer.name, layer.last ? t->map : t->between, map, err);
    }
    return r;
}

static const char *const pool_names[VJ_NET_BLOCKS] = {"pool1", "pool2", "pool3", "pool4", "pool5"};

/* Block b with attention, where there is any, and pooling: from t->input or t->pooled to `pooled`.
 */
static int run_block(struct vj_extractor_thread *t, const struct vj_net *net,
                     const struct vj_extractor *e, int s, int b, float *pooled, size_t pooled_block,
                     const struct trace *trace, struct vj_error *err)
{
    static const char *const attention_names[] = {"attention1", "attention2", "attention3",
                                                  "attention4"};
    float mean[1024], max[1024], scale[1024];
    struct vj_map map;
    int r = run_convs(t, net, e, s, b, &map, trace, err);
    if (r)
        return r;
    const struct vj_map half = map_at(&net->shape, b + 1, map.channels, pooled_block);
    vj_layer_pool(t->map, &map, pooled, pooled_block, mean, max);
    if (b < vj_net_attentions(net->form)) {
        vj_layer_attention(&e->attention[b], mean, max, scale);
        show(trace, attention_names[b], scale, map.channels);
        vj_layer_scale(pooled, &half, scale);
    }
    return show_map(trace, pool_names[b], pooled, &half, err);
}

/* The last block with its non-local part: from t->pooled to t->nhwc and t->attended. */
static int run_non_local(struct vj_extractor_thread *t, const struct vj_net *net,
                         const struct vj_extractor *e, int s, const struct trace *trace,
                         struct vj_error *err)
{
    struct vj_map map;
    int r = run_convs(t, net, e, s, net->form->blocks - 1, &map, trace, err);
    if (r)
        return r;
    const size_t c = map.channels, n = map.height * map.width;
    vj_layer_to_nhwc(t->map, &map, t->nhwc);

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

/* The last block, pooled: from t->pooled to `pooled`, NHWC. */
static int run_last(struct vj_extractor_thread *t, const struct vj_net *net,
                    const struct vj_extractor *e, int s, float *pooled, const struct trace *trace,
                    struct vj_error *err)
{
    const int b = net->form->blocks - 1;
    const size_t c = vj_net_last_channels(&net->shape);
    if (!net->form->non_local)
        return run_block(t, net, e, s, b, pooled, c, trace, err);
    const struct vj_map last = map_at(&net->shape, b, c, c);
    int r = run_non_local(t, net, e, s, trace, err);
    if (r)
        return r;
    vj_layer_join_pool(t->nhwc, t->attended, &last, pooled);
    show(trace, pool_names[b], pooled, last.height * last.width / 4 * c);
    return 0;
}

int vj_extractor_run(struct vj_extractor_thread *t, const struct vj_net *net,
                     enum vj_net_stream stream, const uint8_t *patch, size_t channels, float *out,
                     vj_net_probe probe, void *user, struct vj_error *err)
{
    const struct trace trace = {probe, user};
    const struct vj_net_form *form = net->form;
    const struct vj_extractor *e = vj_net_extractor(net, stream);
    const struct vj_map input = map_at(&net->shape, 0, 3, vj_net_conv_src_block(e->conv[0]));
    const size_t side = vj_net_side(&net->shape, form->blocks);
    float *pooled = form->statistics ? t->last : out;

    vj_layer_input(patch, channels, t->input, &input);
    int r = show_map(&trace, "input", t->input, &input, err);
    for (int b = 0; b < form->blocks - 1 && !r; b++) {
        size_t block = vj_net_conv_src_block(e->conv[vj_net_block_end(form, b) + 1]);
        r = run_block(t, net, e, (int)stream, b, t->pooled, block, &trace, err);
    }
    if (!r)
        r = run_last(t, net, e, (int)stream, pooled, &trace, err);
    if (r)
        return r;
    if (form->statistics)
        vj_layer_statistics(pooled, side * side, vj_net_last_channels(&net->shape), out);
    show(&trace, "features", out, net->features);
    return 0;
}
