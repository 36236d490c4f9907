/* SPDX-License-Identifier: MIT */
/* The feature extractor, forward and backward, a chunk of patches at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/train_net.h"

static const char *const conv_names[4] = {"conv1", "conv2", "conv3", "conv4"};

/* Side of the map that convolution i, 0..3, works on. */
static size_t side_of(const struct vj_net_shape *shape, int i)
{
    return (size_t)shape->patch_size >> i;
}

/* ---- weights ---- */

/* Layouts that the loops take; as in net_extract.c. */
static bool suits_loops(size_t block, size_t channels)
{
    return block == 8 || block == 16 || block == channels;
}

static int prepare_conv(struct vj_train_extractor *e, int i, struct vj_dnn *dnn,
                        const struct vj_net_shape *shape, size_t batch, struct vj_error *err)
{
    const size_t in = i ? (size_t)shape->channels[i - 1] : 3, out = (size_t)shape->channels[i];
    struct vj_dnn_conv conv = {
        .name = conv_names[i],
        .batch = batch,
        .height = side_of(shape, i),
        .width = side_of(shape, i),
        .in = in,
        .out = out,
        .kernel = 3,
        .relu = true,
        .src_block = VJ_DNN_ANY,
        .dst_block = VJ_DNN_ANY,
    };
    struct vj_error chosen = {0};
    int r = vj_dnn_conv_train_prepare(&e->conv[i], dnn, &conv, i > 0, &chosen);
    if (!r) {
        size_t src = vj_dnn_conv_train_src_block(e->conv[i]);
        size_t dst = vj_dnn_conv_train_dst_block(e->conv[i]);
        if ((i == 0 ? src == 1 || src == 3 : suits_loops(src, in)) && suits_loops(dst, out))
            return 0;
        vj_dnn_conv_train_free(e->conv[i]);
    }
    conv.src_block = in;
    conv.dst_block = out;
    return vj_dnn_conv_train_prepare(&e->conv[i], dnn, &conv, i > 0, err);
}

int vj_train_extractor_prepare(struct vj_train_extractor *e, struct vj_dnn *dnn,
                               const struct vj_net_shape *shape, const char *stream, size_t batch,
                               struct vj_error *err)
{
    const size_t c = (size_t)shape->channels[3];
    int r = 0;
    e->stream = stream;
    for (int i = 0; i < 4 && !r; i++)
        r = prepare_conv(e, i, dnn, shape, batch, err);
    if (r)
        return r;
    e->value = vj_calloc(c * c + c, sizeof(float));
    if (!e->value)
        return vj_fail(err, -ENOMEM, "out of memory for the non-local block");
    e->value_bias = e->value + c * c;
    return 0;
}

void vj_train_extractor_release(struct vj_train_extractor *e)
{
    for (int i = 0; i < 4; i++)
        vj_dnn_conv_train_free(e->conv[i]);
    free(e->value);
    memset(e, 0, sizeof(*e));
}

static int load_conv(struct vj_train_extractor *e, int i, const struct vj_weights *w,
                     struct vj_error *err)
{
    const size_t in = i ? (size_t)w->shape.channels[i - 1] : 3;
    const size_t out = (size_t)w->shape.channels[i];
    const float *kernel =
        vj_net_tensor(w, 9 * in * out, err, "%s/conv%d/weights", e->stream, i + 1);
    const float *bias =
        kernel ? vj_net_tensor(w, out, err, "%s/conv%d/biases", e->stream, i + 1) : NULL;
    return bias ? vj_dnn_conv_train_load(e->conv[i], kernel, bias, err) : -EINVAL;
}

static int load_attention(struct vj_train_extractor *e, int i, const struct vj_weights *w,
                          struct vj_error *err)
{
    static const char format[] = "%s/conv%d/ch_at/%s";
    struct vj_attention *a = &e->attention[i];
    const size_t c = (size_t)w->shape.channels[i], h = c / 16;
    a->channels = c;
    a->hidden = h;
    a->kernel_0 = vj_net_tensor(w, c * h, err, format, e->stream, i + 1, "mlp_0/kernel");
    a->bias_0 = vj_net_tensor(w, h, err, format, e->stream, i + 1, "mlp_0/bias");
    a->kernel_1 = vj_net_tensor(w, h * c, err, format, e->stream, i + 1, "mlp_1/kernel");
    a->bias_1 = vj_net_tensor(w, c, err, format, e->stream, i + 1, "mlp_1/bias");
    return a->kernel_0 && a->bias_0 && a->kernel_1 && a->bias_1 ? 0 : -EINVAL;
}

static const float *projection(const struct vj_weights *w, const char *stream, const char *name,
                               const char *part, size_t count, struct vj_error *err)
{
    return vj_net_tensor(w, count, err, "%s/conv4/Non-local4/%s/%s_conv/%s", stream, name, name,
                         part);
}

int vj_train_extractor_load(struct vj_train_extractor *e, const struct vj_weights *w,
                            struct vj_error *err)
{
    const size_t c = (size_t)w->shape.channels[3];
    int r = 0;
    for (int i = 0; i < 4 && !r; i++)
        r = load_conv(e, i, w, err);
    for (int i = 0; i < 3 && !r; i++)
        r = load_attention(e, i, w, err);
    if (r)
        return r;
    e->theta = projection(w, e->stream, "theta", "kernel", c * c, err);
    e->theta_bias = projection(w, e->stream, "theta", "bias", c, err);
    e->phi = projection(w, e->stream, "phi", "kernel", c * c, err);
    e->phi_bias = projection(w, e->stream, "phi", "bias", c, err);
    if (!e->theta || !e->theta_bias || !e->phi || !e->phi_bias)
        return -EINVAL;
    return vj_net_fold_value(w, e->stream, e->value, e->value_bias, err);
}

/* ---- where things lie ---- */

/* Hands out room on whole cache lines. */
static size_t take(size_t *total, size_t floats)
{
    size_t at = *total;
    *total += (floats + 15) / 16 * 16;
    return at;
}

static void lay_out_storage(struct vj_train_layout *l)
{
    const size_t m = l->batch, tokens = l->positions * l->channels;
    size_t *total = &l->keep.total;
    l->keep.input = take(total, m * l->input_floats);
    for (int i = 0; i < 3; i++) {
        const size_t c = m * l->map[i].channels;
        l->keep.map[i] = take(total, m * l->map_floats[i]);
        l->keep.half[i] = take(total, m * l->half_floats[i]);
        l->keep.mean[i] = take(total, c);
        l->keep.max[i] = take(total, c);
        l->keep.scale[i] = take(total, c);
    }
    l->keep.nhwc = take(total, m * tokens);
    l->keep.theta = take(total, m * tokens);
    l->keep.phi = take(total, m * tokens);
    l->keep.value = take(total, m * tokens);
    l->keep.attention = take(total, m * l->positions * l->positions);
    l->keep.attended = take(total, m * tokens);
    l->keep.pool4 = take(total, m * tokens / 4);
}

static void lay_out_gradient(struct vj_train_layout *l, const struct vj_train_extractor *e)
{
    const size_t c = l->channels;
    size_t *total = &l->gradient.total;
    for (int i = 0; i < 4; i++) {
        l->gradient.kernel[i] = take(total, vj_dnn_conv_train_kernel_floats(e->conv[i]));
        l->gradient.bias[i] = take(total, l->map[i].channels);
    }
    for (int i = 0; i < 3; i++) {
        const size_t channels = l->map[i].channels, hidden = channels / 16;
        l->gradient.kernel_0[i] = take(total, channels * hidden);
        l->gradient.bias_0[i] = take(total, hidden);
        l->gradient.kernel_1[i] = take(total, hidden * channels);
        l->gradient.bias_1[i] = take(total, channels);
    }
    l->gradient.theta = take(total, c * c);
    l->gradient.theta_bias = take(total, c);
    l->gradient.phi = take(total, c * c);
    l->gradient.phi_bias = take(total, c);
    l->gradient.value = take(total, c * c);
    l->gradient.value_bias = take(total, c);
}

void vj_train_layout_make(struct vj_train_layout *l, const struct vj_net_shape *shape,
                          const struct vj_train_extractor *e, size_t batch)
{
    *l = (struct vj_train_layout){.shape = *shape, .batch = batch};
    for (int i = 0; i < 4; i++) {
        const size_t side = side_of(shape, i), c = (size_t)shape->channels[i];
        l->map[i] = (struct vj_map){c, side, side, vj_dnn_conv_train_dst_block(e->conv[i])};
        l->map_floats[i] = vj_dnn_conv_train_dst_floats(e->conv[i]);
        if (i == 3)
            break;
        l->half[i] =
            (struct vj_map){c, side / 2, side / 2, vj_dnn_conv_train_src_block(e->conv[i + 1])};
        l->half_floats[i] = vj_dnn_conv_train_src_floats(e->conv[i + 1]);
    }
    l->input_block = vj_dnn_conv_train_src_block(e->conv[0]);
    l->input_floats = vj_dnn_conv_train_src_floats(e->conv[0]);
    l->channels = l->map[3].channels;
    l->positions = l->map[3].height * l->map[3].width;
    l->features = vj_net_features(shape);
    lay_out_storage(l);
    lay_out_gradient(l, e);
}

/* ---- threads ---- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int allocate(struct vj_train_thread *t, const struct vj_train_layout *l,
                    const struct vj_train_extractor *streams, int count, struct vj_error *err)
{
    size_t map = 0, half = 0, scratch = 0, total = 0;
    for (int i = 0; i < 4; i++) {
        map = larger(map, l->map_floats[i]);
        half = larger(half, i < 3 ? l->half_floats[i] : 0);
        for (int s = 0; s < count; s++)
            scratch = larger(scratch, vj_dnn_conv_train_scratch_bytes(streams[s].conv[i]));
    }
    const size_t tokens = l->batch * l->positions * l->channels;
    const size_t at_map = take(&total, l->batch * map), at_half = take(&total, l->batch * half);
    size_t at_tokens[4];
    for (int i = 0; i < 4; i++)
        at_tokens[i] = take(&total, tokens);
    const size_t at_scores = take(&total, l->positions * l->positions);
    const size_t at_gradient = take(&total, l->gradient.total);
    const size_t at_scratch = take(&total, (scratch + 63) / 64 * 16);
    t->bytes = total * sizeof(float);
    t->memory = vj_alloc_aligned(total, sizeof(float));
    if (!t->memory)
        return vj_fail(err, -ENOMEM, "out of memory for a thread of training (%zu bytes)",
                       t->bytes);
    memset(t->memory, 0, t->bytes);
    t->map = t->memory + at_map;
    t->half = t->memory + at_half;
    for (int i = 0; i < 4; i++)
        t->tokens[i] = t->memory + at_tokens[i];
    t->scores = t->memory + at_scores;
    t->gradient = t->memory + at_gradient;
    t->scratch = t->memory + at_scratch;
    return 0;
}

int vj_train_thread_create(struct vj_train_thread *t, const struct vj_train_layout *l,
                           const struct vj_train_extractor *streams, int count,
                           struct vj_error *err)
{
    int r = allocate(t, l, streams, count, err);
    for (int s = 0; s < count; s++)
        for (int i = 0; i < 4 && !r; i++)
            r = vj_dnn_conv_train_bind(&t->call[s][i], streams[s].conv[i], t->scratch, err);
    return r;
}

void vj_train_thread_release(struct vj_train_thread *t)
{
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 4; i++)
            vj_dnn_conv_train_call_free(t->call[s][i]);
    free(t->memory);
    memset(t, 0, sizeof(*t));
}

/* ---- forward ---- */

/* Convolution i of 0..2, attention and pooling of all patches of the chunk. */
static int forward_block(struct vj_train_thread *t, const struct vj_train_layout *l,
                         const struct vj_train_extractor *e, const struct vj_train_chunk *chunk,
                         int i, struct vj_error *err)
{
    float *s = chunk->storage;
    const float *from = s + (i ? l->keep.half[i - 1] : l->keep.input);
    int r = vj_dnn_forward(t->call[chunk->stream][i], from, s + l->keep.map[i], err);
    if (r)
        return r;
    const size_t c = l->map[i].channels;
    for (size_t p = 0; p < l->batch; p++) {
        float *half = s + l->keep.half[i] + p * l->half_floats[i];
        float *mean = s + l->keep.mean[i] + p * c, *max = s + l->keep.max[i] + p * c;
        float *scale = s + l->keep.scale[i] + p * c;
        vj_layer_pool(s + l->keep.map[i] + p * l->map_floats[i], &l->map[i], half, l->half[i].block,
                      mean, max);
        vj_layer_attention(&e->attention[i], mean, max, scale);
        vj_layer_scale(half, &l->half[i], scale);
    }
    return 0;
}

/* out = h W + b for all positions of the chunk. */
static int project(const struct vj_train_layout *l, const float *h, const float *kernel,
                   const float *bias, float *out, struct vj_error *err)
{
    const size_t c = l->channels, rows = l->batch * l->positions;
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * c, bias, c * sizeof(float));
    return vj_dnn_gemm(false, false, rows, c, c, h, c, kernel, c, 1.0f, out, c, err);
}

/* softmax(theta phi) value of one patch. */
static int attend(const struct vj_train_layout *l, const float *theta, const float *phi,
                  const float *value, float *attention, float *attended, struct vj_error *err)
{
    const size_t c = l->channels, n = l->positions;
    const bool transpose = l->shape.non_local == VJ_NON_LOCAL_TRANSPOSE;
    int r = vj_dnn_gemm(false, transpose, n, n, c, theta, c, phi, transpose ? c : n, 0.0f,
                        attention, n, err);
    if (r)
        return r;
    vj_layer_softmax(attention, n, n);
    return vj_dnn_gemm(false, false, n, c, n, attention, n, value, c, 0.0f, attended, c, err);
}

static int forward_non_local(struct vj_train_thread *t, const struct vj_train_layout *l,
                             const struct vj_train_extractor *e, const struct vj_train_chunk *chunk,
                             struct vj_error *err)
{
    float *s = chunk->storage;
    const size_t n = l->positions, tokens = n * l->channels;
    int r = vj_dnn_forward(t->call[chunk->stream][3], s + l->keep.half[2], t->map, err);
    if (r)
        return r;
    for (size_t p = 0; p < l->batch; p++)
        vj_layer_to_nhwc(t->map + p * l->map_floats[3], &l->map[3], s + l->keep.nhwc + p * tokens);
    r = project(l, s + l->keep.nhwc, e->theta, e->theta_bias, s + l->keep.theta, err);
    if (!r)
        r = project(l, s + l->keep.nhwc, e->phi, e->phi_bias, s + l->keep.phi, err);
    if (!r)
        r = project(l, s + l->keep.nhwc, e->value, e->value_bias, s + l->keep.value, err);
    for (size_t p = 0; p < l->batch && !r; p++)
        r = attend(l, s + l->keep.theta + p * tokens, s + l->keep.phi + p * tokens,
                   s + l->keep.value + p * tokens, s + l->keep.attention + p * n * n,
                   s + l->keep.attended + p * tokens, err);
    return r;
}

int vj_train_extractor_forward(struct vj_train_thread *t, const struct vj_train_layout *l,
                               const struct vj_train_extractor *e,
                               const struct vj_train_chunk *chunk, struct vj_error *err)
{
    const size_t side = (size_t)l->shape.patch_size, bytes = side * side * chunk->channels;
    const struct vj_map input = {3, side, side, l->input_block};
    const struct vj_map last = {l->channels, l->map[3].height, l->map[3].width, l->channels};
    const size_t tokens = l->positions * l->channels;
    float *s = chunk->storage;
    for (size_t p = 0; p < l->batch; p++) {
        float *to = s + l->keep.input + p * l->input_floats;
        if (p < chunk->count)
            vj_layer_input(chunk->patches + p * bytes, chunk->channels, to, &input);
        else
            memset(to, 0, l->input_floats * sizeof(float));
    }
    int r = 0;
    for (int i = 0; i < 3 && !r; i++)
        r = forward_block(t, l, e, chunk, i, err);
    if (!r)
        r = forward_non_local(t, l, e, chunk, err);
    for (size_t p = 0; p < chunk->count && !r; p++) {
        float *pool4 = s + l->keep.pool4 + p * tokens / 4;
        float *out = chunk->features + p * l->features;
        vj_layer_join_pool(s + l->keep.nhwc + p * tokens, s + l->keep.attended + p * tokens, &last,
                           pool4);
        if (l->shape.variant == VJ_VARIANT_FIGURE)
            vj_layer_statistics(pool4, l->positions / 4, l->channels, out);
        else
            memcpy(out, pool4, l->features * sizeof(float));
    }
    return r;
}

/* ---- backward ---- */

enum { D_SUM = 0, D_THETA, D_PHI, D_VALUE }; /* t->tokens */

/* Derivative of h + nonlocal(h), from that of the features; padding patches get zeros. */
static void backward_features(struct vj_train_thread *t, const struct vj_train_layout *l,
                              const struct vj_train_chunk *chunk)
{
    const struct vj_map last = {l->channels, l->map[3].height, l->map[3].width, l->channels};
    const size_t tokens = l->positions * l->channels;
    const float *s = chunk->storage;
    for (size_t p = 0; p < l->batch; p++) {
        float *d_sum = t->tokens[D_SUM] + p * tokens;
        if (p >= chunk->count) {
            memset(d_sum, 0, tokens * sizeof(float));
            continue;
        }
        const float *d_pool4 = chunk->d_features + p * l->features;
        if (l->shape.variant == VJ_VARIANT_FIGURE) {
            vj_backward_statistics(s + l->keep.pool4 + p * tokens / 4, l->positions / 4,
                                   l->channels, chunk->features + p * l->features, d_pool4,
                                   t->half);
            d_pool4 = t->half;
        }
        vj_backward_join_pool(s + l->keep.nhwc + p * tokens, s + l->keep.attended + p * tokens,
                              &last, d_pool4, d_sum);
    }
}

/* Back through softmax(theta phi) value of one patch; d_attended is read from D_SUM. */
static int backward_attend(struct vj_train_thread *t, const struct vj_train_layout *l,
                           const float *s, size_t p, struct vj_error *err)
{
    const size_t c = l->channels, n = l->positions, at = p * n * c;
    const bool transpose = l->shape.non_local == VJ_NON_LOCAL_TRANSPOSE;
    const float *theta = s + l->keep.theta + at, *phi = s + l->keep.phi + at;
    const float *attention = s + l->keep.attention + p * n * n;
    const float *d_out = t->tokens[D_SUM] + at;
    float *d_phi = t->tokens[D_PHI] + at;
    int r = vj_dnn_gemm(false, true, n, n, c, d_out, c, s + l->keep.value + at, c, 0.0f, t->scores,
                        n, err);
    if (!r)
        r = vj_dnn_gemm(true, false, n, c, n, attention, n, d_out, c, 0.0f, t->tokens[D_VALUE] + at,
                        c, err);
    if (r)
        return r;
    vj_backward_softmax(attention, t->scores, n, n);
    r = vj_dnn_gemm(false, !transpose, n, c, n, t->scores, n, phi, transpose ? c : n, 0.0f,
                    t->tokens[D_THETA] + at, c, err);
    if (r)
        return r;
    return transpose
               ? vj_dnn_gemm(true, false, n, c, n, t->scores, n, theta, c, 0.0f, d_phi, c, err)
               : vj_dnn_gemm(true, false, c, n, n, theta, c, t->scores, n, 0.0f, d_phi, n, err);
}

/* out = h W + b: derivatives of W and b, and d_h += d_out W^T. */
static int backward_project(const struct vj_train_layout *l, const float *h, const float *kernel,
                            const float *d_out, float *d_kernel, float *d_bias, float *d_h,
                            struct vj_error *err)
{
    const size_t c = l->channels, rows = l->batch * l->positions;
    memset(d_bias, 0, c * sizeof(float));
    vj_add_columns(d_out, rows, c, d_bias);
    int r = vj_dnn_gemm(true, false, c, c, rows, h, c, d_out, c, 0.0f, d_kernel, c, err);
    return r ? r : vj_dnn_gemm(false, true, rows, c, c, d_out, c, kernel, c, 1.0f, d_h, c, err);
}

/* From D_SUM to t->half, the derivative of what conv4 reads. */
static int backward_non_local(struct vj_train_thread *t, const struct vj_train_layout *l,
                              const struct vj_train_extractor *e,
                              const struct vj_train_chunk *chunk, struct vj_error *err)
{
    const float *s = chunk->storage, *h = s + l->keep.nhwc;
    const size_t tokens = l->positions * l->channels;
    float *g = t->gradient, *d_h = t->tokens[D_SUM];
    int r = 0;
    for (size_t p = 0; p < l->batch && !r; p++)
        r = backward_attend(t, l, s, p, err);
    if (!r)
        r = backward_project(l, h, e->theta, t->tokens[D_THETA], g + l->gradient.theta,
                             g + l->gradient.theta_bias, d_h, err);
    if (!r)
        r = backward_project(l, h, e->phi, t->tokens[D_PHI], g + l->gradient.phi,
                             g + l->gradient.phi_bias, d_h, err);
    if (!r)
        r = backward_project(l, h, e->value, t->tokens[D_VALUE], g + l->gradient.value,
                             g + l->gradient.value_bias, d_h, err);
    if (r)
        return r;
    for (size_t p = 0; p < l->batch; p++)
        vj_backward_relu_to_blocks(d_h + p * tokens, h + p * tokens, &l->map[3],
                                   t->map + p * l->map_floats[3]);
    r = vj_dnn_backward_weights(t->call[chunk->stream][3], s + l->keep.half[2], t->map,
                                g + l->gradient.kernel[3], g + l->gradient.bias[3], err);
    return r ? r : vj_dnn_backward_data(t->call[chunk->stream][3], t->map, t->half, err);
}

/* From t->half, the derivative of block i's result, to that of what convolution i reads. */
static int backward_block(struct vj_train_thread *t, const struct vj_train_layout *l,
                          const struct vj_train_extractor *e, const struct vj_train_chunk *chunk,
                          int i, struct vj_error *err)
{
    enum { MAX_CHANNELS = 1024 };
    float d_logit[MAX_CHANNELS], d_mean[MAX_CHANNELS], d_max[MAX_CHANNELS];
    const float *s = chunk->storage;
    const size_t c = l->map[i].channels;
    float *g = t->gradient;
    const struct vj_attention_gradient attention = {
        g + l->gradient.kernel_0[i], g + l->gradient.bias_0[i], g + l->gradient.kernel_1[i],
        g + l->gradient.bias_1[i]};
    for (size_t p = 0; p < l->batch; p++) {
        const float *d_half = t->half + p * l->half_floats[i];
        const float *scale = s + l->keep.scale[i] + p * c, *max = s + l->keep.max[i] + p * c;
        vj_backward_scale(s + l->keep.half[i] + p * l->half_floats[i], d_half, &l->half[i], scale,
                          d_logit);
        vj_backward_attention(&e->attention[i], s + l->keep.mean[i] + p * c, max, d_logit, d_mean,
                              d_max, &attention);
        vj_backward_pool(s + l->keep.map[i] + p * l->map_floats[i], &l->map[i], d_half,
                         l->half[i].block, scale, max, d_mean, d_max,
                         t->map + p * l->map_floats[i]);
    }
    const float *from = s + (i ? l->keep.half[i - 1] : l->keep.input);
    int r = vj_dnn_backward_weights(t->call[chunk->stream][i], from, t->map,
                                    g + l->gradient.kernel[i], g + l->gradient.bias[i], err);
    return r || i == 0 ? r : vj_dnn_backward_data(t->call[chunk->stream][i], t->map, t->half, err);
}

/* The attention's derivatives are sums over patches; the others are written whole. */
static void clear_attention(struct vj_train_thread *t, const struct vj_train_layout *l)
{
    for (int i = 0; i < 3; i++) {
        const size_t channels = l->map[i].channels, hidden = channels / 16;
        memset(t->gradient + l->gradient.kernel_0[i], 0, channels * hidden * sizeof(float));
        memset(t->gradient + l->gradient.bias_0[i], 0, hidden * sizeof(float));
        memset(t->gradient + l->gradient.kernel_1[i], 0, channels * hidden * sizeof(float));
        memset(t->gradient + l->gradient.bias_1[i], 0, channels * sizeof(float));
    }
}

int vj_train_extractor_backward(struct vj_train_thread *t, const struct vj_train_layout *l,
                                const struct vj_train_extractor *e,
                                const struct vj_train_chunk *chunk, struct vj_error *err)
{
    clear_attention(t, l);
    backward_features(t, l, chunk);
    int r = backward_non_local(t, l, e, chunk, err);
    for (int i = 2; i >= 0 && !r; i--)
        r = backward_block(t, l, e, chunk, i, err);
    return r;
}

/* ---- from sums over chunks to tensors ---- */

static float *target(const struct vj_weights *gradient, const char *stream, const char *name,
                     size_t count, struct vj_error *err)
{
    return (float *)vj_net_tensor(gradient, count, err, "%s/%s", stream, name);
}

static int copy_out(const struct vj_weights *gradient, const char *stream, const char *name,
                    const float *from, size_t count, struct vj_error *err)
{
    float *to = target(gradient, stream, name, count, err);
    if (!to)
        return -EINVAL;
    memcpy(to, from, count * sizeof(float));
    return 0;
}

/*
 * Value projection: M = Wg Ww, b = bg Ww + bw. From dM and db the derivatives of all four:
 * dWg = dM Ww^T, dWw = Wg^T dM + bg^T db, dbg = Ww db, dbw = db.
 */
static int unpack_value(const struct vj_train_layout *l, const char *stream, const float *d_value,
                        const float *d_bias, const struct vj_weights *w,
                        struct vj_weights *gradient, struct vj_error *err)
{
    const size_t c = l->channels;
    const float *wg = projection(w, stream, "g", "kernel", c * c, err);
    const float *bg = projection(w, stream, "g", "bias", c, err);
    const float *ww = projection(w, stream, "w", "kernel", c * c, err);
    float *d_wg = (float *)projection(gradient, stream, "g", "kernel", c * c, err);
    float *d_bg = (float *)projection(gradient, stream, "g", "bias", c, err);
    float *d_ww = (float *)projection(gradient, stream, "w", "kernel", c * c, err);
    float *d_bw = (float *)projection(gradient, stream, "w", "bias", c, err);
    if (!wg || !bg || !ww || !d_wg || !d_bg || !d_ww || !d_bw)
        return -EINVAL;
    int r = vj_dnn_gemm(false, true, c, c, c, d_value, c, ww, c, 0.0f, d_wg, c, err);
    if (!r)
        r = vj_dnn_gemm(true, false, c, c, c, wg, c, d_value, c, 0.0f, d_ww, c, err);
    if (!r)
        r = vj_dnn_gemm(false, false, c, c, 1, bg, 1, d_bias, c, 1.0f, d_ww, c, err);
    if (!r)
        r = vj_dnn_gemm(false, false, c, 1, c, ww, c, d_bias, 1, 0.0f, d_bg, 1, err);
    memcpy(d_bw, d_bias, c * sizeof(float));
    return r;
}

static int unpack_block(const struct vj_train_layout *l, const struct vj_train_extractor *e, int i,
                        const float *sum, struct vj_weights *gradient, struct vj_error *err)
{
    const size_t in = i ? l->map[i - 1].channels : 3, out = l->map[i].channels;
    char name[64];
    snprintf(name, sizeof(name), "conv%d/weights", i + 1);
    float *kernel = target(gradient, e->stream, name, 9 * in * out, err);
    int r = kernel ? vj_dnn_conv_train_unpack(e->conv[i], sum + l->gradient.kernel[i], kernel, err)
                   : -EINVAL;
    snprintf(name, sizeof(name), "conv%d/biases", i + 1);
    if (!r)
        r = copy_out(gradient, e->stream, name, sum + l->gradient.bias[i], out, err);
    if (r || i == 3)
        return r;
    const struct {
        const char *name;
        size_t at, count;
    } parts[] = {
        {"mlp_0/kernel", l->gradient.kernel_0[i], out * (out / 16)},
        {"mlp_0/bias", l->gradient.bias_0[i], out / 16},
        {"mlp_1/kernel", l->gradient.kernel_1[i], out / 16 * out},
        {"mlp_1/bias", l->gradient.bias_1[i], out},
    };
    for (size_t p = 0; p < 4 && !r; p++) {
        snprintf(name, sizeof(name), "conv%d/ch_at/%s", i + 1, parts[p].name);
        r = copy_out(gradient, e->stream, name, sum + parts[p].at, parts[p].count, err);
    }
    return r;
}

int vj_train_extractor_unpack(const struct vj_train_layout *l, const struct vj_train_extractor *e,
                              const float *sum, const struct vj_weights *w,
                              struct vj_weights *gradient, struct vj_error *err)
{
    const size_t c = l->channels;
    const struct {
        const char *name;
        size_t at, count;
    } parts[] = {
        {"conv4/Non-local4/theta/theta_conv/kernel", l->gradient.theta, c * c},
        {"conv4/Non-local4/theta/theta_conv/bias", l->gradient.theta_bias, c},
        {"conv4/Non-local4/phi/phi_conv/kernel", l->gradient.phi, c * c},
        {"conv4/Non-local4/phi/phi_conv/bias", l->gradient.phi_bias, c},
    };
    int r = 0;
    for (int i = 0; i < 4 && !r; i++)
        r = unpack_block(l, e, i, sum, gradient, err);
    for (size_t p = 0; p < 4 && !r; p++)
        r = copy_out(gradient, e->stream, parts[p].name, sum + parts[p].at, parts[p].count, err);
    return r ? r
             : unpack_value(l, e->stream, sum + l->gradient.value, sum + l->gradient.value_bias, w,
                            gradient, err);
}
