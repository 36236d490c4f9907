/* SPDX-License-Identifier: MIT */
/* Heads, loss and forms of the weights in training. */
#include "cuda/train_internal.h"

#include <errno.h>

#include "cuda/check.h"
#include "cuda/net_kernels.h"
#include "cuda/train_kernels.h"

typedef const struct vj_cuda_trainer trainer_t;

/* Numbers between the heads in VJ_CUDA_TRAIN_OUT. */
static size_t stride(trainer_t *t)
{
    return t->plan.max_pairs * t->plan.net.rows;
}

static float *features(trainer_t *t, size_t picture)
{
    return vj_cuda_train_kept_at(t, picture, VJ_CUDA_TRAIN_FEATURES);
}

static float *features_gradient(trainer_t *t, size_t picture)
{
    return vj_cuda_train_kept_at(t, picture, VJ_CUDA_TRAIN_FEATURES_GRADIENT);
}

/* Numbers of a picture's first layers. */
static size_t hidden_size(trainer_t *t)
{
    return t->plan.net.rows * VJ_CUDA_TRAIN_BOTH;
}

static struct vj_cuda_train_second second(trainer_t *t, float *(*in)(trainer_t *t, size_t offset))
{
    const struct vj_cuda_train_head *h = t->plan.tensors.head;
    const struct vj_cuda_train_second s = {{in(t, h[0].kernel_2), in(t, h[1].kernel_2)},
                                           {in(t, h[0].bias_2), in(t, h[1].bias_2)}};
    return s;
}

/* f_d * f_j of one pair. */
static int multiply_features(trainer_t *t, size_t pair, size_t reference, struct vj_error *err)
{
    const struct vj_cuda_net_plan *net = &t->plan.net;
    int *flags = vj_cuda_train_flags(t);
    return VJ_CUDA(vj_cuda_net_times(net, t->stream,
                                     features(t, vj_cuda_train_pair_picture(t, pair)),
                                     features(t, vj_cuda_train_map_picture(t, reference)), 0,
                                     net->rows, vj_cuda_train_at(t, VJ_CUDA_TRAIN_TIMES), flags),
                   err);
}

/* ---- forward ---- */

/* A reference's part of the first layers. */
static int head_reference(trainer_t *t, size_t reference, struct vj_error *err)
{
    const struct vj_cuda_net_plan *net = &t->plan.net;
    float *pair = vj_cuda_train_at(t, VJ_CUDA_TRAIN_PAIR);
    int *flags = vj_cuda_train_flags(t);
    int r = vj_cuda_train_multiply(t, &t->forward[VJ_CUDA_NET_HEAD_PAIR], features(t, reference),
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_REFERENCE), pair, err);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_constant(net, t->stream, pair,
                                         vj_cuda_train_at(t, VJ_CUDA_TRAIN_BIAS), flags, net->rows,
                                         vj_cuda_train_at(t, VJ_CUDA_TRAIN_CONSTANT) +
                                             reference * hidden_size(t)),
                    err);
    return r;
}

static int head_pair(trainer_t *t, const struct vj_cuda_train_batch *batch, size_t i,
                     struct vj_error *err)
{
    const struct vj_cuda_net_plan *net = &t->plan.net;
    float *pair = vj_cuda_train_at(t, VJ_CUDA_TRAIN_PAIR);
    const bool jnd = net->form->jnd;
    float *of_times = jnd ? vj_cuda_train_at(t, VJ_CUDA_TRAIN_OF_TIMES) : NULL;
    const size_t reference = batch->reference[i];
    const struct vj_cuda_train_hidden_job job = {
        .constant = vj_cuda_train_at(t, VJ_CUDA_TRAIN_CONSTANT) + reference * hidden_size(t),
        .pair = pair,
        .of_times = of_times,
        .hidden = vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN) + i * hidden_size(t),
        .rows = net->rows,
        .slices = net->slices,
        .count = hidden_size(t) / 4,
        .seed = t->options.seed,
        .step = batch->step,
        .first = (uint32_t)(i * net->rows),
        .keep = (float)t->options.keep};
    int r = jnd ? multiply_features(t, i, reference, err) : 0;
    if (!r)
        r = vj_cuda_train_multiply(t, &t->forward[VJ_CUDA_NET_HEAD_PAIR],
                                   features(t, vj_cuda_train_pair_picture(t, i)),
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_DISTORTED), pair, err);
    if (!r && jnd)
        r = vj_cuda_train_multiply(t, &t->forward[VJ_CUDA_NET_HEAD_PRODUCT],
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_TIMES),
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_PRODUCT), of_times, err);
    return r ? r : VJ_CUDA(vj_cuda_train_hidden_launch(t->stream, &job), err);
}

int vj_cuda_train_heads(const struct vj_cuda_trainer *t, const struct vj_cuda_train_batch *batch,
                        struct vj_error *err)
{
    const size_t rows = t->plan.net.rows;
    const struct vj_cuda_train_out_job out = {.hidden = vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN),
                                              .second = second(t, vj_cuda_train_weight),
                                              .out = vj_cuda_train_at(t, VJ_CUDA_TRAIN_OUT),
                                              .stride = stride(t)};
    const struct vj_cuda_train_loss_job loss = {
        .out = out.out,
        .target = vj_cuda_train_at(t, VJ_CUDA_TRAIN_TARGET),
        .importance = vj_cuda_train_at(t, VJ_CUDA_TRAIN_IMPORTANCE),
        .gradient = vj_cuda_train_at(t, VJ_CUDA_TRAIN_OUT_GRADIENT),
        .logit = vj_cuda_train_at(t, VJ_CUDA_TRAIN_LOGIT),
        .loss = (double *)(void *)vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_LOSS),
        .stride = stride(t),
        .patches = rows,
        .count = batch->pairs};
    int r = 0;
    for (size_t i = 0; i < batch->references && !r; i++)
        r = head_reference(t, i, err);
    for (size_t i = 0; i < batch->pairs && !r; i++)
        r = head_pair(t, batch, i, err);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_out_launch(t->stream, &out, batch->pairs * rows), err);
    return r ? r : VJ_CUDA(vj_cuda_train_loss_launch(t->stream, &loss), err);
}

/* ---- back ---- */

/* Second layers, relu, dropout and biases of all pairs at once. */
static int back_hidden(trainer_t *t, const struct vj_cuda_train_batch *batch, struct vj_error *err)
{
    const size_t rows = batch->pairs * t->plan.net.rows;
    float *hidden = vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN);
    const float *gradient = vj_cuda_train_at(t, VJ_CUDA_TRAIN_OUT_GRADIENT);
    const struct vj_cuda_train_second_job of_second = {.hidden = hidden,
                                                       .gradient = gradient,
                                                       .to = second(t, vj_cuda_train_gradient),
                                                       .stride = stride(t),
                                                       .rows = rows,
                                                       .count = VJ_CUDA_TRAIN_BOTH + 2};
    const struct vj_cuda_train_unhide_job unhide = {.hidden = hidden,
                                                    .gradient = gradient,
                                                    .second = second(t, vj_cuda_train_weight),
                                                    .stride = stride(t),
                                                    .count = rows * VJ_CUDA_TRAIN_BOTH,
                                                    .keep = (float)t->options.keep};
    const struct vj_cuda_train_share_job share = {
        .hidden = hidden,
        .reference =
            (const uint32_t *)(void *)vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_REFERENCE_OF),
        .out = vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN_OF_R),
        .picture = hidden_size(t),
        .pairs = batch->pairs,
        .count = batch->references * hidden_size(t)};
    int r = VJ_CUDA(vj_cuda_train_second_launch(t->stream, &of_second), err);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_unhide_launch(t->stream, &unhide), err);
    for (size_t head = 0; head < 2 && !r; head++)
        r = vj_cuda_train_add_columns(
            t, hidden + head * VJ_NET_HIDDEN, rows, VJ_NET_HIDDEN, VJ_CUDA_TRAIN_BOTH,
            vj_cuda_train_gradient(t, t->plan.tensors.head[head].bias_1), err);
    return r ? r : VJ_CUDA(vj_cuda_train_share_launch(t->stream, &share), err);
}

/* First layers of one pair: their weights and f_d, both heads at once. */
static int back_pair(trainer_t *t, size_t i, struct vj_error *err)
{
    const size_t d = vj_cuda_train_pair_picture(t, i);
    const float *hidden = vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN) + i * hidden_size(t);
    int r = vj_cuda_train_multiply(t, &t->product[VJ_CUDA_TRAIN_OF_PAIR], features(t, d), hidden,
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_DISTORTED_GRADIENT), err);
    return r ? r
             : vj_cuda_train_multiply(t, &t->product[VJ_CUDA_TRAIN_OF_FEATURES], hidden,
                                      vj_cuda_train_at(t, VJ_CUDA_TRAIN_DISTORTED),
                                      features_gradient(t, d), err);
}

/* The weight head's part with the product: its weights, f_j, and f_d once more. */
static int back_product(trainer_t *t, const struct vj_cuda_train_batch *batch, size_t i,
                        struct vj_error *err)
{
    const struct vj_cuda_net_matmul_op *product = t->product;
    const size_t reference = batch->reference[i], d = vj_cuda_train_pair_picture(t, i);
    const size_t j = vj_cuda_train_map_picture(t, reference);
    const float *of_weight =
        vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN) + i * hidden_size(t) + VJ_NET_HIDDEN;
    const float *times = vj_cuda_train_at(t, VJ_CUDA_TRAIN_TIMES);
    const struct vj_cuda_train_factors_job factors = {
        .gradient = vj_cuda_train_at(t, VJ_CUDA_TRAIN_TIMES_GRADIENT),
        .f_d = features(t, d),
        .f_j = features(t, j),
        .d_gradient = features_gradient(t, d),
        .j_gradient = features_gradient(t, j),
        .count = t->plan.net.rows * t->plan.net.features};
    int r = multiply_features(t, i, reference, err);
    if (!r)
        r = vj_cuda_train_multiply(t, &product[VJ_CUDA_TRAIN_OF_PRODUCT], times, of_weight,
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_PRODUCT_GRADIENT), err);
    if (!r)
        r = vj_cuda_train_multiply(t, &product[VJ_CUDA_TRAIN_OF_FACTORS], of_weight,
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_PRODUCT),
                                   vj_cuda_train_at(t, VJ_CUDA_TRAIN_TIMES_GRADIENT), err);
    return r ? r : VJ_CUDA(vj_cuda_train_factors_launch(t->stream, &factors), err);
}

static int back_reference(trainer_t *t, size_t reference, struct vj_error *err)
{
    const float *hidden =
        vj_cuda_train_at(t, VJ_CUDA_TRAIN_HIDDEN_OF_R) + reference * hidden_size(t);
    int r =
        vj_cuda_train_multiply(t, &t->product[VJ_CUDA_TRAIN_OF_PAIR], features(t, reference),
                               hidden, vj_cuda_train_at(t, VJ_CUDA_TRAIN_REFERENCE_GRADIENT), err);
    return r ? r
             : vj_cuda_train_multiply(t, &t->product[VJ_CUDA_TRAIN_OF_FEATURES], hidden,
                                      vj_cuda_train_at(t, VJ_CUDA_TRAIN_REFERENCE),
                                      features_gradient(t, reference), err);
}

int vj_cuda_train_heads_back(const struct vj_cuda_trainer *t,
                             const struct vj_cuda_train_batch *batch, struct vj_error *err)
{
    const size_t bytes = t->plan.kept_bytes[VJ_CUDA_TRAIN_FEATURES_GRADIENT];
    const bool jnd = t->plan.net.form->jnd;
    int r = back_hidden(t, batch, err);
    for (size_t i = 0; i < batch->references && jnd && !r; i++)
        r = VJ_CUDA(cudaMemsetAsync(features_gradient(t, vj_cuda_train_map_picture(t, i)), 0, bytes,
                                    t->stream),
                    err);
    for (size_t i = 0; i < batch->pairs && !r; i++) {
        r = back_pair(t, i, err);
        if (!r && jnd)
            r = back_product(t, batch, i, err);
    }
    for (size_t i = 0; i < batch->references && !r; i++)
        r = back_reference(t, i, err);
    return r;
}

/* ---- forms of the weights ---- */

/* Kernel i of a stream: where it lies in a set, and as cuDNN wants it. */
static struct vj_cuda_train_kernel_job kernel_job(trainer_t *t, int stream, int i, bool gradient)
{
    const struct vj_cuda_net_conv *c = &t->plan.net.conv[i];
    const size_t offset = t->plan.tensors.stream[stream].kernel[i];
    const int krsc = gradient ? VJ_CUDA_TRAIN_KERNEL_GRADIENT : VJ_CUDA_TRAIN_KERNEL;
    const size_t real = 9 * (size_t)c->real_in * (size_t)c->real_out;
    const struct vj_cuda_train_kernel_job job = {
        .hwio = gradient ? vj_cuda_train_gradient(t, offset) : vj_cuda_train_weight(t, offset),
        .krsc = vj_cuda_train_at(t, krsc + VJ_NET_LAYERS * stream + i),
        .in = (size_t)c->in,
        .real_in = (size_t)c->real_in,
        .real_out = (size_t)c->real_out,
        .count = gradient ? real : 9 * (size_t)c->in * (size_t)c->out};
    return job;
}

static struct vj_cuda_train_heads_job heads_job(trainer_t *t, bool gradient)
{
    const struct vj_cuda_train_head *h = t->plan.tensors.head;
    const int first = gradient ? VJ_CUDA_TRAIN_REFERENCE_GRADIENT : VJ_CUDA_TRAIN_REFERENCE;
    float *(*in)(trainer_t * t, size_t offset) =
        gradient ? vj_cuda_train_gradient : vj_cuda_train_weight;
    const struct vj_cuda_train_heads_job job = {
        .quality = in(t, h[0].kernel_1),
        .weight = in(t, h[1].kernel_1),
        .reference = vj_cuda_train_at(t, first),
        .distorted = vj_cuda_train_at(t, first + 1),
        .product = t->plan.net.form->jnd ? vj_cuda_train_at(t, first + 2) : NULL,
        .halves = (size_t)t->plan.net.form->copies,
        .features = t->plan.net.features,
        .count = t->plan.net.features * VJ_NET_HIDDEN};
    return job;
}

static int fold_stream(trainer_t *t, int stream, struct vj_error *err)
{
    const struct vj_cuda_train_stream *s = &t->plan.tensors.stream[stream];
    const size_t c = vj_net_last_channels(&t->plan.net.shape);
    const struct vj_cuda_train_merge_job merge = {
        .g = vj_cuda_train_weight(t, s->g),
        .g_bias = vj_cuda_train_weight(t, s->g_bias),
        .w = vj_cuda_train_weight(t, s->w),
        .w_bias = vj_cuda_train_weight(t, s->w_bias),
        .merged = vj_cuda_train_at(t, VJ_CUDA_TRAIN_MERGED + stream),
        .merged_bias = vj_cuda_train_at(t, VJ_CUDA_TRAIN_MERGED_BIAS + stream),
        .channels = c,
        .count = c * c + c};
    int r = 0;
    for (int i = 0; i < t->plan.net.layers && !r; i++) {
        const struct vj_cuda_train_kernel_job job = kernel_job(t, stream, i, false);
        r = VJ_CUDA(vj_cuda_train_fold_kernel_launch(t->stream, &job), err);
    }
    if (r || !t->plan.net.form->non_local)
        return r;
    return VJ_CUDA(vj_cuda_train_merge_launch(t->stream, &merge), err);
}

int vj_cuda_train_fold(const struct vj_cuda_trainer *t, struct vj_error *err)
{
    const struct vj_cuda_train_heads_job heads = heads_job(t, false);
    const size_t hidden = VJ_NET_HIDDEN * sizeof(float);
    int r = 0;
    for (int s = 0; s < vj_cuda_train_streams(t) && !r; s++)
        r = fold_stream(t, s, err);
    if (!r)
        r = VJ_CUDA(vj_cuda_train_fold_heads_launch(t->stream, &heads), err);
    for (size_t i = 0; i < 2 && !r; i++)
        r = VJ_CUDA(cudaMemcpyAsync(vj_cuda_train_at(t, VJ_CUDA_TRAIN_BIAS) + i * VJ_NET_HIDDEN,
                                    vj_cuda_train_weight(t, t->plan.tensors.head[i].bias_1), hidden,
                                    cudaMemcpyDeviceToDevice, t->stream),
                    err);
    return r;
}

static int unfold_stream(trainer_t *t, int stream, struct vj_error *err)
{
    const struct vj_cuda_train_stream *s = &t->plan.tensors.stream[stream];
    const size_t c = vj_net_last_channels(&t->plan.net.shape);
    const struct vj_cuda_train_unmerge_job unmerge = {
        .g = vj_cuda_train_weight(t, s->g),
        .g_bias = vj_cuda_train_weight(t, s->g_bias),
        .w = vj_cuda_train_weight(t, s->w),
        .merged = vj_cuda_train_at(t, VJ_CUDA_TRAIN_MERGED_GRADIENT + stream),
        .merged_bias = vj_cuda_train_at(t, VJ_CUDA_TRAIN_MERGED_BIAS_GRADIENT + stream),
        .g_to = vj_cuda_train_gradient(t, s->g),
        .g_bias_to = vj_cuda_train_gradient(t, s->g_bias),
        .w_to = vj_cuda_train_gradient(t, s->w),
        .w_bias_to = vj_cuda_train_gradient(t, s->w_bias),
        .channels = c,
        .count = 2 * (c * c + c)};
    int r = 0;
    for (int i = 0; i < t->plan.net.layers && !r; i++) {
        const struct vj_cuda_train_kernel_job job = kernel_job(t, stream, i, true);
        r = VJ_CUDA(vj_cuda_train_unfold_kernel_launch(t->stream, &job), err);
    }
    if (r || !t->plan.net.form->non_local)
        return r;
    return VJ_CUDA(vj_cuda_train_unmerge_launch(t->stream, &unmerge), err);
}

int vj_cuda_train_unfold(const struct vj_cuda_trainer *t, struct vj_error *err)
{
    const struct vj_cuda_train_heads_job heads = heads_job(t, true);
    int r = 0;
    for (int s = 0; s < vj_cuda_train_streams(t) && !r; s++)
        r = unfold_stream(t, s, err);
    return r ? r : VJ_CUDA(vj_cuda_train_unfold_heads_launch(t->stream, &heads), err);
}
