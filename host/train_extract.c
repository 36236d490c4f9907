/* SPDX-License-Identifier: MIT */
/* The feature extractor, forward and backward, a chunk of patches at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/train_net.h"

enum { MAX_CHANNELS = 1024 };

/* ---- weights ---- */

/* Layouts that the loops take; as in net_extract.c. */
static bool suits_loops(size_t block, size_t channels)
{
    return block == 8 || block == 16 || block == channels;
}

/* The direct convolution, which chooses the layouts, and the other way beside it. */
static int prepare_conv(struct vj_train_extractor *e, int i, struct vj_dnn *dnn,
                        const struct vj_net_shape *shape, size_t batch, struct vj_error *err)
{
    const struct vj_net_layer layer = vj_net_layer(shape, i);
    const size_t in = layer.in, out = layer.out;
    struct vj_dnn_conv conv = {
        .name = layer.name,
        .batch = batch,
        .height = layer.side,
        .width = layer.side,
        .in = in,
        .out = out,
        .kernel = 3,
        .relu = true,
        .src_block = layer.first ? VJ_DNN_ANY : vj_dnn_conv_train_dst_block(e->conv[i - 1].direct),
        .dst_block = VJ_DNN_ANY,
    };
    struct vj_error chosen = {0};
    struct vj_dnn_conv_train **direct = &e->conv[i].direct;
    int r = vj_dnn_conv_train_prepare(direct, dnn, &conv, i > 0, &chosen);
    if (!r) {
        size_t src = vj_dnn_conv_train_src_block(*direct);
        size_t dst = vj_dnn_conv_train_dst_block(*direct);
        if ((i == 0 ? src == 1 || src == 3 : suits_loops(src, in)) && suits_loops(dst, out))
            return vj_train_conv_complete(&e->conv[i], dnn, &conv, i > 0, err);
        vj_dnn_conv_train_free(*direct);
        *direct = NULL;
    }
    if (layer.first)
        conv.src_block = in;
    conv.dst_block = out;
    r = vj_dnn_conv_train_prepare(direct, dnn, &conv, i > 0, err);
    return r ? r : vj_train_conv_complete(&e->conv[i], dnn, &conv, i > 0, err);
}

int vj_train_extractor_prepare(struct vj_train_extractor *e, struct vj_dnn *dnn,
                               const struct vj_net_shape *shape, const char *stream, size_t batch,
                               struct vj_error *err)
{
    const size_t c = vj_net_last_channels(shape);
    int r = 0;
    e->stream = stream;
    for (int i = 0; i < vj_net_layers(shape) && !r; i++)
        r = prepare_conv(e, i, dnn, shape, batch, err);
    if (r || !vj_net_form(shape->variant)->non_local)
        return r;
    e->value = vj_calloc(c * c + c, sizeof(float));
    if (!e->value)
        return vj_fail(err, -ENOMEM, "out of memory for the non-local block");
    e->value_bias = e->value + c * c;
    return 0;
}

void vj_train_extractor_release(struct vj_train_extractor *e)
{
    for (int i = 0; i < VJ_NET_LAYERS; i++)
        vj_train_conv_free(&e->conv[i]);
    free(e->value);
    memset(e, 0, sizeof(*e));
}

static int load_conv(struct vj_train_extractor *e, int i, const struct vj_weights *w,
                     struct vj_error *err)
{
    const struct vj_net_layer layer = vj_net_layer(&w->shape, i);
    const float *kernel =
        vj_net_tensor(w, 9 * layer.in * layer.out, err, "%s/%s/weights", e->stream, layer.name);
    const float *bias =
        kernel ? vj_net_tensor(w, layer.out, err, "%s/%s/biases", e->stream, layer.name) : NULL;
    return bias ? vj_train_conv_load(&e->conv[i], kernel, bias, err) : -EINVAL;
}

/* Name of the convolution that the attention of block i belongs to. */
static const char *attended_layer(const struct vj_net_shape *shape, int i)
{
    return vj_net_layer(shape, vj_net_block_end(vj_net_form(shape->variant), i)).name;
}

static int load_attention(struct vj_train_extractor *e, int i, const struct vj_weights *w,
                          struct vj_error *err)
{
    static const char format[] = "%s/%s/ch_at/%s";
    const char *layer = attended_layer(&w->shape, i);
    struct vj_attention *a = &e->attention[i];
    const size_t c = (size_t)w->shape.channels[i], h = c / 16;
    a->channels = c;
    a->hidden = h;
    a->kernel_0 = vj_net_tensor(w, c * h, err, format, e->stream, layer, "mlp_0/kernel");
    a->bias_0 = vj_net_tensor(w, h, err, format, e->stream, layer, "mlp_0/bias");
    a->kernel_1 = vj_net_tensor(w, h * c, err, format, e->stream, layer, "mlp_1/kernel");
    a->bias_1 = vj_net_tensor(w, c, err, format, e->stream, layer, "mlp_1/bias");
    return a->kernel_0 && a->bias_0 && a->kernel_1 && a->bias_1 ? 0 : -EINVAL;
}

static const float *projection(const struct vj_weights *w, const char *stream, const char *name,
                               const char *part, size_t count, struct vj_error *err)
{
    return vj_net_tensor(w, count, err, "%s/conv4/Non-local4/%s/%s_conv/%s", stream, name, name,
                         part);
}

static int load_non_local(struct vj_train_extractor *e, const struct vj_weights *w,
                          struct vj_error *err)
{
    const size_t c = vj_net_last_channels(&w->shape);
    e->theta = projection(w, e->stream, "theta", "kernel", c * c, err);
    e->theta_bias = projection(w, e->stream, "theta", "bias", c, err);
    e->phi = projection(w, e->stream, "phi", "kernel", c * c, err);
    e->phi_bias = projection(w, e->stream, "phi", "bias", c, err);
    if (!e->theta || !e->theta_bias || !e->phi || !e->phi_bias)
        return -EINVAL;
    return vj_net_fold_value(w, e->stream, e->value, e->value_bias, err);
}

int vj_train_extractor_load(struct vj_train_extractor *e, const struct vj_weights *w,
                            struct vj_error *err)
{
    const struct vj_net_form *form = vj_net_form(w->shape.variant);
    int r = 0;
    for (int i = 0; i < vj_net_layers(&w->shape) && !r; i++)
        r = load_conv(e, i, w, err);
    for (int i = 0; i < vj_net_attentions(form) && !r; i++)
        r = load_attention(e, i, w, err);
    return r || !form->non_local ? r : load_non_local(e, w, err);
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
    const struct vj_net_form *form = l->form;
    const size_t m = l->batch, tokens = m * l->positions * l->channels;
    size_t *total = &l->keep.total;
    l->keep.input = take(total, m * l->input_floats);
    for (int i = 0; i < l->layers; i++) /* the non-local block has its input as `nhwc` */
        if (!form->non_local || i < l->layers - 1)
            l->keep.map[i] = take(total, m * l->map_floats[i]);
    for (int b = 0; b < form->blocks; b++)
        l->keep.half[b] = take(total, m * l->half_floats[b]);
    for (int b = 0; b < vj_net_attentions(form); b++) {
        const size_t c = m * l->half[b].channels;
        l->keep.mean[b] = take(total, c);
        l->keep.max[b] = take(total, c);
        l->keep.scale[b] = take(total, c);
    }
    if (!form->non_local)
        return;
    l->keep.nhwc = take(total, tokens);
    l->keep.theta = take(total, tokens);
    l->keep.phi = take(total, tokens);
    l->keep.value = take(total, tokens);
    l->keep.attention = take(total, m * l->positions * l->positions);
    l->keep.attended = take(total, tokens);
}

static void lay_out_gradient(struct vj_train_layout *l, const struct vj_train_extractor *e)
{
    const size_t c = l->channels;
    size_t *total = &l->gradient.total;
    for (int i = 0; i < l->layers; i++) {
        l->gradient.kernel[i] = take(total, vj_dnn_conv_train_kernel_floats(e->conv[i].direct));
        l->gradient.bias[i] = take(total, l->map[i].channels);
    }
    for (int i = 0; i < vj_net_attentions(l->form); i++) {
        const size_t channels = l->half[i].channels, hidden = channels / 16;
        l->gradient.kernel_0[i] = take(total, channels * hidden);
        l->gradient.bias_0[i] = take(total, hidden);
        l->gradient.kernel_1[i] = take(total, hidden * channels);
        l->gradient.bias_1[i] = take(total, channels);
    }
    if (!l->form->non_local)
        return;
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
    *l = (struct vj_train_layout){.shape = *shape,
                                  .form = vj_net_form(shape->variant),
                                  .layers = vj_net_layers(shape),
                                  .batch = batch};
    for (int i = 0; i < l->layers; i++) {
        const struct vj_net_layer layer = vj_net_layer(shape, i);
        const size_t side = layer.side, half = side / 2, c = layer.out;
        l->map[i] = (struct vj_map){c, side, side, vj_dnn_conv_train_dst_block(e->conv[i].direct)};
        l->map_floats[i] = vj_dnn_conv_train_dst_floats(e->conv[i].direct);
        if (!layer.last)
            continue;
        const struct vj_dnn_conv_train *next = i < l->layers - 1 ? e->conv[i + 1].direct : NULL;
        const size_t block = next ? vj_dnn_conv_train_src_block(next) : c;
        l->half[layer.block] = (struct vj_map){c, half, half, block};
        l->half_floats[layer.block] = next ? vj_dnn_conv_train_src_floats(next) : half * half * c;
    }
    const struct vj_map *last = &l->map[l->layers - 1];
    l->input_block = vj_dnn_conv_train_src_block(e->conv[0].direct);
    l->input_floats = vj_dnn_conv_train_src_floats(e->conv[0].direct);
    l->channels = last->channels;
    l->positions = last->height * last->width;
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
    for (int b = 0; b < l->form->blocks; b++)
        half = larger(half, l->half_floats[b]);
    for (int i = 0; i < l->layers; i++) {
        map = larger(map, l->map_floats[i]);
        for (int s = 0; s < count; s++)
            scratch = larger(scratch, vj_train_conv_scratch_bytes(&streams[s].conv[i]));
    }
    const size_t n = l->form->non_local ? l->positions : 0, tokens = l->batch * n * l->channels;
    const size_t at_map = take(&total, l->batch * map), at_half = take(&total, l->batch * half);
    const size_t at_between = take(&total, l->form->convs > 1 ? l->batch * map : 0);
    size_t at_tokens[4];
    for (int i = 0; i < 4; i++)
        at_tokens[i] = take(&total, tokens);
    const size_t at_scores = take(&total, n * n);
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
    t->between = t->memory + at_between;
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
        for (int i = 0; i < l->layers && !r; i++)
            r = vj_train_conv_bind(&t->call[s][i], &streams[s].conv[i], t->scratch, err);
    return r;
}

void vj_train_thread_release(struct vj_train_thread *t)
{
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < VJ_NET_LAYERS; i++)
            vj_train_conv_call_free(&t->call[s][i]);
    free(t->memory);
    memset(t, 0, sizeof(*t));
}

/* ---- forward ---- */

/* What convolution i reads. */
static const float *input_of(const struct vj_train_layout *l, const float *storage, int i)
{
    if (i == 0)
        return storage + l->keep.input;
    const int b = i / l->form->convs;
    return storage + (i % l->form->convs ? l->keep.map[i - 1] : l->keep.half[b - 1]);
}

/* The convolutions of block b; the last one's map goes to `map`. */
static int forward_convs(struct vj_train_thread *t, const struct vj_train_layout *l,
                         const struct vj_train_chunk *chunk, int b, float *map,
                         struct vj_error *err)
{
    const int end = vj_net_block_end(l->form, b);
    float *s = chunk->storage;
    int r = 0;
    for (int i = end + 1 - l->form->convs; i <= end && !r; i++)
        r = vj_train_conv_forward(&t->call[chunk->stream][i], input_of(l, s, i),
                                  i == end ? map : s + l->keep.map[i], err);
    return r;
}

/* Block b, attention and pooling of all patches of the chunk. */
static int forward_block(struct vj_train_thread *t, const struct vj_train_layout *l,
                         const struct vj_train_extractor *e, const struct vj_train_chunk *chunk,
                         int b, struct vj_error *err)
{
    const int end = vj_net_block_end(l->form, b);
    float *s = chunk->storage, *map = s + l->keep.map[end];
    int r = forward_convs(t, l, chunk, b, map, err);
    if (r)
        return r;
    const size_t c = l->half[b].channels;
    const bool attention = b < vj_net_attentions(l->form);
    float unused[2][MAX_CHANNELS];
    for (size_t p = 0; p < l->batch; p++) {
        float *half = s + l->keep.half[b] + p * l->half_floats[b];
        float *mean = attention ? s + l->keep.mean[b] + p * c : unused[0];
        float *max = attention ? s + l->keep.max[b] + p * c : unused[1];
        vj_layer_pool(map + p * l->map_floats[end], &l->map[end], half, l->half[b].block, mean,
                      max);
        if (!attention)
            continue;
        float *scale = s + l->keep.scale[b] + p * c;
        vj_layer_attention(&e->attention[b], mean, max, scale);
        vj_layer_scale(half, &l->half[b], scale);
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

/* The last block with its non-local part, pooled. */
static int forward_non_local(struct vj_train_thread *t, const struct vj_train_layout *l,
                             const struct vj_train_extractor *e, const struct vj_train_chunk *chunk,
                             struct vj_error *err)
{
    const int b = l->form->blocks - 1, end = l->layers - 1;
    const struct vj_map last = {l->channels, l->map[end].height, l->map[end].width, l->channels};
    float *s = chunk->storage;
    const size_t n = l->positions, tokens = n * l->channels;
    int r = forward_convs(t, l, chunk, b, t->map, err);
    if (r)
        return r;
    for (size_t p = 0; p < l->batch; p++)
        vj_layer_to_nhwc(t->map + p * l->map_floats[end], &l->map[end],
                         s + l->keep.nhwc + p * tokens);
    r = project(l, s + l->keep.nhwc, e->theta, e->theta_bias, s + l->keep.theta, err);
    if (!r)
        r = project(l, s + l->keep.nhwc, e->phi, e->phi_bias, s + l->keep.phi, err);
    if (!r)
        r = project(l, s + l->keep.nhwc, e->value, e->value_bias, s + l->keep.value, err);
    for (size_t p = 0; p < l->batch && !r; p++) {
        float *attended = s + l->keep.attended + p * tokens;
        r = attend(l, s + l->keep.theta + p * tokens, s + l->keep.phi + p * tokens,
                   s + l->keep.value + p * tokens, s + l->keep.attention + p * n * n, attended,
                   err);
        if (!r)
            vj_layer_join_pool(s + l->keep.nhwc + p * tokens, attended, &last,
                               s + l->keep.half[b] + p * l->half_floats[b]);
    }
    return r;
}

int vj_train_extractor_forward(struct vj_train_thread *t, const struct vj_train_layout *l,
                               const struct vj_train_extractor *e,
                               const struct vj_train_chunk *chunk, struct vj_error *err)
{
    const size_t side = (size_t)l->shape.patch_size, bytes = side * side * chunk->channels;
    const struct vj_map input = {3, side, side, l->input_block};
    const int last = l->form->blocks - 1;
    float *s = chunk->storage;
    for (size_t p = 0; p < l->batch; p++) {
        float *to = s + l->keep.input + p * l->input_floats;
        if (p < chunk->count)
            vj_layer_input(chunk->patches + p * bytes, chunk->channels, to, &input);
        else
            memset(to, 0, l->input_floats * sizeof(float));
    }
    int r = 0;
    for (int b = 0; b < last && !r; b++)
        r = forward_block(t, l, e, chunk, b, err);
    if (!r)
        r = l->form->non_local ? forward_non_local(t, l, e, chunk, err)
                               : forward_block(t, l, e, chunk, last, err);
    for (size_t p = 0; p < chunk->count && !r; p++) {
        const float *pooled = s + l->keep.half[last] + p * l->half_floats[last];
        float *out = chunk->features + p * l->features;
        if (l->form->statistics)
            vj_layer_statistics(pooled, l->positions / 4, l->channels, out);
        else
            memcpy(out, pooled, l->features * sizeof(float));
    }
    return r;
}

/* ---- backward ---- */

enum { D_SUM = 0, D_THETA, D_PHI, D_VALUE }; /* t->tokens */

/* t->half: derivative of the last pooled map, from that of the features; 0 for padding patches. */
static void backward_features(struct vj_train_thread *t, const struct vj_train_layout *l,
                              const struct vj_train_chunk *chunk)
{
    const int last = l->form->blocks - 1;
    const size_t floats = l->half_floats[last];
    for (size_t p = 0; p < l->batch; p++) {
        float *d_pooled = t->half + p * floats;
        const float *d = p < chunk->count ? chunk->d_features + p * l->features : NULL;
        if (!d)
            memset(d_pooled, 0, floats * sizeof(float));
        else if (l->form->statistics)
            vj_backward_statistics(chunk->storage + l->keep.half[last] + p * floats,
                                   l->positions / 4, l->channels, chunk->features + p * l->features,
                                   d, d_pooled);
        else
            memcpy(d_pooled, d, floats * sizeof(float));
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

/*
 * The convolutions of block b, from t->map, the derivative in front of the last relu, to t->half,
 * that of what the block reads.
 */
static int backward_convs(struct vj_train_thread *t, const struct vj_train_layout *l,
                          const struct vj_train_chunk *chunk, int b, struct vj_error *err)
{
    const int end = vj_net_block_end(l->form, b), first = end + 1 - l->form->convs;
    float *g = t->gradient;
    int r = 0;
    for (int i = end; i >= first && !r; i--) {
        const struct vj_train_conv_call *call = &t->call[chunk->stream][i];
        const float *from = input_of(l, chunk->storage, i), *d = i == end ? t->map : t->between;
        r = vj_dnn_backward_weights(call->direct, from, d, g + l->gradient.kernel[i],
                                    g + l->gradient.bias[i], err);
        if (r || i == 0)
            break;
        r = vj_train_conv_backward_data(call, d, i == first ? t->half : t->between, err);
        if (i > first)
            vj_backward_relu(from, l->batch * l->map_floats[i - 1], t->between);
    }
    return r;
}

/* From t->half, the derivative of h + nonlocal(h) pooled, to that of what the last block reads. */
static int backward_non_local(struct vj_train_thread *t, const struct vj_train_layout *l,
                              const struct vj_train_extractor *e,
                              const struct vj_train_chunk *chunk, struct vj_error *err)
{
    const int b = l->form->blocks - 1, end = l->layers - 1;
    const struct vj_map last = {l->channels, l->map[end].height, l->map[end].width, l->channels};
    const float *s = chunk->storage, *h = s + l->keep.nhwc;
    const size_t tokens = l->positions * l->channels;
    float *g = t->gradient, *d_h = t->tokens[D_SUM];
    int r = 0;
    for (size_t p = 0; p < l->batch && !r; p++) {
        vj_backward_join_pool(h + p * tokens, s + l->keep.attended + p * tokens, &last,
                              t->half + p * l->half_floats[b], d_h + p * tokens);
        r = backward_attend(t, l, s, p, err);
    }
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
        vj_backward_relu_to_blocks(d_h + p * tokens, h + p * tokens, &l->map[end],
                                   t->map + p * l->map_floats[end]);
    return backward_convs(t, l, chunk, b, err);
}

/* From t->half, the derivative of block b's result, to that of what the block reads. */
static int backward_block(struct vj_train_thread *t, const struct vj_train_layout *l,
                          const struct vj_train_extractor *e, const struct vj_train_chunk *chunk,
                          int b, struct vj_error *err)
{
    const int end = vj_net_block_end(l->form, b);
    const float *s = chunk->storage;
    const size_t c = l->half[b].channels;
    const bool has_attention = b < vj_net_attentions(l->form);
    float d_logit[MAX_CHANNELS], d_mean[MAX_CHANNELS] = {0}, d_max[MAX_CHANNELS] = {0};
    float one[MAX_CHANNELS], none[MAX_CHANNELS] = {0}; /* scale and maxima without attention */
    float *g = t->gradient;
    const struct vj_attention_gradient attention = {
        g + l->gradient.kernel_0[b], g + l->gradient.bias_0[b], g + l->gradient.kernel_1[b],
        g + l->gradient.bias_1[b]};
    for (size_t i = 0; i < c; i++)
        one[i] = 1;
    for (size_t p = 0; p < l->batch; p++) {
        const float *d_half = t->half + p * l->half_floats[b], *scale = one, *max = none;
        if (has_attention) {
            scale = s + l->keep.scale[b] + p * c;
            max = s + l->keep.max[b] + p * c;
            vj_backward_scale(s + l->keep.half[b] + p * l->half_floats[b], d_half, &l->half[b],
                              scale, d_logit);
            vj_backward_attention(&e->attention[b], s + l->keep.mean[b] + p * c, max, d_logit,
                                  d_mean, d_max, &attention);
        }
        vj_backward_pool(s + l->keep.map[end] + p * l->map_floats[end], &l->map[end], d_half,
                         l->half[b].block, scale, max, d_mean, d_max,
                         t->map + p * l->map_floats[end]);
    }
    return backward_convs(t, l, chunk, b, err);
}

/* The attention's derivatives are sums over patches; the others are written whole. */
static void clear_attention(struct vj_train_thread *t, const struct vj_train_layout *l)
{
    for (int i = 0; i < vj_net_attentions(l->form); i++) {
        const size_t channels = l->half[i].channels, hidden = channels / 16;
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
    int b = l->form->blocks - 1, r = 0;
    if (l->form->non_local) {
        r = backward_non_local(t, l, e, chunk, err);
        b--;
    }
    for (; b >= 0 && !r; b--)
        r = backward_block(t, l, e, chunk, b, err);
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

static int unpack_conv(const struct vj_train_layout *l, const struct vj_train_extractor *e, int i,
                       const float *sum, struct vj_weights *gradient, struct vj_error *err)
{
    const struct vj_net_layer layer = vj_net_layer(&l->shape, i);
    char name[64];
    snprintf(name, sizeof(name), "%s/weights", layer.name);
    float *kernel = target(gradient, e->stream, name, 9 * layer.in * layer.out, err);
    int r = kernel ? vj_dnn_conv_train_unpack(e->conv[i].direct, sum + l->gradient.kernel[i],
                                              kernel, err)
                   : -EINVAL;
    snprintf(name, sizeof(name), "%s/biases", layer.name);
    return r ? r : copy_out(gradient, e->stream, name, sum + l->gradient.bias[i], layer.out, err);
}

static int unpack_attention(const struct vj_train_layout *l, const struct vj_train_extractor *e,
                            int i, const float *sum, struct vj_weights *gradient,
                            struct vj_error *err)
{
    const size_t out = l->half[i].channels;
    const struct {
        const char *name;
        size_t at, count;
    } parts[] = {
        {"mlp_0/kernel", l->gradient.kernel_0[i], out * (out / 16)},
        {"mlp_0/bias", l->gradient.bias_0[i], out / 16},
        {"mlp_1/kernel", l->gradient.kernel_1[i], out / 16 * out},
        {"mlp_1/bias", l->gradient.bias_1[i], out},
    };
    int r = 0;
    for (size_t p = 0; p < 4 && !r; p++) {
        char name[64];
        snprintf(name, sizeof(name), "%s/ch_at/%s", attended_layer(&l->shape, i), parts[p].name);
        r = copy_out(gradient, e->stream, name, sum + parts[p].at, parts[p].count, err);
    }
    return r;
}

static int unpack_non_local(const struct vj_train_layout *l, const struct vj_train_extractor *e,
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
    for (size_t p = 0; p < 4 && !r; p++)
        r = copy_out(gradient, e->stream, parts[p].name, sum + parts[p].at, parts[p].count, err);
    return r ? r
             : unpack_value(l, e->stream, sum + l->gradient.value, sum + l->gradient.value_bias, w,
                            gradient, err);
}

int vj_train_extractor_unpack(const struct vj_train_layout *l, const struct vj_train_extractor *e,
                              const float *sum, const struct vj_weights *w,
                              struct vj_weights *gradient, struct vj_error *err)
{
    int r = 0;
    for (int i = 0; i < l->layers && !r; i++)
        r = unpack_conv(l, e, i, sum, gradient, err);
    for (int i = 0; i < vj_net_attentions(l->form) && !r; i++)
        r = unpack_attention(l, e, i, sum, gradient, err);
    return r || !l->form->non_local ? r : unpack_non_local(l, e, sum, w, gradient, err);
}
