/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the training step's own kernels, continued: the heads with dropout, the loss and their
 * way back; weights into the form that layers read, gradients back into the form of the weights;
 * Adam. Everything that is not said to be otherwise is one step, a thread per number.
 *
 * The two heads' first layers lie side by side, quality in columns 0..511, weight in 512..1023.
 */
#ifndef VJ_CUDA_TRAIN_HEAD_BODY_H
#define VJ_CUDA_TRAIN_HEAD_BODY_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_body.h"
#include "host/adam.h"

enum { VJ_CUDA_TRAIN_BOTH = 2 * VJ_NET_HIDDEN };

/* ---- Heads, forward ------------------------------------------------------------------------- */

/* First layers of one pair, relu and dropout: thread = 4 units of a patch. */
struct vj_cuda_train_hidden_job {
    const float *constant;      /* [rows][2 * 512]: the reference's part and the bias */
    const float *pair;          /* [slices][rows][2 * 512] */
    const float *of_times;      /* [slices][rows][512]; NULL where no pixel-JND map is seen */
    float *hidden;              /* [rows][2 * 512] */
    size_t rows, slices, count; /* count: of quads */
    uint64_t seed, step;
    uint32_t first; /* number of the pair's first patch in the batch */
    float keep;
};

static inline VJ_HD void vj_cuda_train_hidden_step(const struct vj_cuda_train_hidden_job *j,
                                                   size_t i)
{
    const size_t row = i / (VJ_CUDA_TRAIN_BOTH / 4), unit = 4 * (i % (VJ_CUDA_TRAIN_BOTH / 4));
    const int head = unit < VJ_NET_HIDDEN ? VJ_DROPOUT_QUALITY : VJ_DROPOUT_WEIGHT;
    const uint32_t group = (uint32_t)(unit % VJ_NET_HIDDEN / 4);
    float factor[4];
    vj_dropout4(j->seed, j->step, head, j->first + (uint32_t)row, group, j->keep, factor);
    for (size_t k = 0; k < 4; k++) {
        float sum = 0.0f, of_times = 0.0f;
        for (size_t s = 0; s < j->slices; s++)
            sum += j->pair[(s * j->rows + row) * VJ_CUDA_TRAIN_BOTH + unit + k];
        for (size_t s = 0; head == VJ_DROPOUT_WEIGHT && j->of_times && s < j->slices; s++)
            of_times += j->of_times[(s * j->rows + row) * VJ_NET_HIDDEN + 4 * group + k];
        sum = j->constant[4 * i + k] + (sum + of_times);
        j->hidden[4 * i + k] = vj_cuda_net_relu(sum) * factor[k];
    }
}

/* The second layers' tensors, or their gradients. */
struct vj_cuda_train_second {
    float *kernel[2]; /* [512] */
    float *bias[2];   /* [1] */
};

/* Second layers: block = patch, warp 0 = quality, warp 1 = weight. */
struct vj_cuda_train_out_job {
    const float *hidden; /* [rows][2 * 512] */
    struct vj_cuda_train_second second;
    float *out;    /* [2][stride] */
    size_t stride; /* between the heads */
};

struct vj_cuda_train_out_shared {
    float sum[2][VJ_CUDA_NET_LANES];
};

static inline VJ_HD void vj_cuda_train_out_sum(const struct vj_cuda_train_out_job *j,
                                               struct vj_cuda_train_out_shared *shared, size_t row,
                                               int thread)
{
    const int head = thread / VJ_CUDA_NET_LANES, lane = thread % VJ_CUDA_NET_LANES;
    const float *hidden = j->hidden + (2 * row + (size_t)head) * VJ_NET_HIDDEN;
    float sum = 0.0f;
    for (int i = lane; i < VJ_NET_HIDDEN; i += VJ_CUDA_NET_LANES)
        sum += hidden[i] * j->second.kernel[head][i];
    shared->sum[head][lane] = sum;
}

static inline VJ_HD void vj_cuda_train_out_write(const struct vj_cuda_train_out_job *j,
                                                 const struct vj_cuda_train_out_shared *shared,
                                                 size_t row, int thread)
{
    const int head = thread / VJ_CUDA_NET_LANES;
    if (thread % VJ_CUDA_NET_LANES != 0)
        return;
    float sum = 0.0f;
    for (int lane = 0; lane < VJ_CUDA_NET_LANES; lane++)
        sum += shared->sum[head][lane];
    j->out[(size_t)head * j->stride + row] = sum + j->second.bias[head][0];
}

/*
 * q = first output, a = relu(second) + 1e-6, logit = sum q a / sum a, and the loss, in double as on
 * the CPU; gradients at the two outputs. Thread = pair.
 */
struct vj_cuda_train_loss_job {
    const float *out;                 /* [2][stride], a pair's patches in a row */
    const float *target, *importance; /* [pairs] */
    float *gradient;                  /* at out */
    float *logit;                     /* [pairs] */
    double *loss;                     /* [pairs] */
    size_t stride, patches, count;    /* count: of pairs */
};

static inline VJ_HD void vj_cuda_train_loss_step(const struct vj_cuda_train_loss_job *j, size_t i)
{
    const float *q = j->out + i * j->patches, *out = q + j->stride;
    float *q_gradient = j->gradient + i * j->patches, *out_gradient = q_gradient + j->stride;
    const double importance = (double)j->importance[i], target = (double)j->target[i];
    double weighted = 0.0, weights = 0.0;
    for (size_t p = 0; p < j->patches; p++) {
        const double a = (double)vj_cuda_net_relu(out[p]) + 1e-6;
        weighted += (double)q[p] * a;
        weights += a;
    }
    const double logit = weighted / weights;
    const double slope = importance * (vj_sigmoid(logit) - target) / weights;
    for (size_t p = 0; p < j->patches; p++) {
        const double a = (double)vj_cuda_net_relu(out[p]) + 1e-6;
        q_gradient[p] = (float)(slope * a);
        out_gradient[p] = out[p] > 0.0f ? (float)(slope * ((double)q[p] - logit)) : 0.0f;
    }
    j->logit[i] = (float)logit;
    j->loss[i] = importance * vj_cross_entropy(logit, target);
}

/* ---- Heads, back ---------------------------------------------------------------------------- */

/* Gradients of the second layers, added to what is there: thread = unit or bias. */
struct vj_cuda_train_second_job {
    const float *hidden;   /* [rows][2 * 512] */
    const float *gradient; /* at the outputs, [2][stride] */
    struct vj_cuda_train_second to;
    size_t stride, rows, count; /* count: 2 * 512 + 2 */
};

static inline VJ_HD void vj_cuda_train_second_step(const struct vj_cuda_train_second_job *j,
                                                   size_t i)
{
    const bool bias = i >= VJ_CUDA_TRAIN_BOTH;
    const size_t head = bias ? i - VJ_CUDA_TRAIN_BOTH : i / VJ_NET_HIDDEN;
    const float *gradient = j->gradient + head * j->stride;
    float sum = 0.0f;
    for (size_t row = 0; row < j->rows; row++)
        sum += bias ? gradient[row] : j->hidden[row * VJ_CUDA_TRAIN_BOTH + i] * gradient[row];
    if (bias)
        j->to.bias[head][0] += sum;
    else
        j->to.kernel[head][i % VJ_NET_HIDDEN] += sum;
}

/*
 * Gradient before relu and dropout, in the place of `hidden`: what dropout or relu stopped is 0
 * there, and the rest was kept and multiplied with 1 / keep.
 */
struct vj_cuda_train_unhide_job {
    float *hidden;         /* [rows][2 * 512] */
    const float *gradient; /* at the outputs, [2][stride] */
    struct vj_cuda_train_second second;
    size_t stride, count;
    float keep;
};

static inline VJ_HD void vj_cuda_train_unhide_step(const struct vj_cuda_train_unhide_job *j,
                                                   size_t i)
{
    const size_t row = i / VJ_CUDA_TRAIN_BOTH, unit = i % VJ_CUDA_TRAIN_BOTH;
    const size_t head = unit / VJ_NET_HIDDEN;
    const float gradient = j->gradient[head * j->stride + row];
    const float kernel = j->second.kernel[head][unit % VJ_NET_HIDDEN];
    j->hidden[i] = j->hidden[i] > 0.0f ? gradient * kernel * (1.0f / j->keep) : 0.0f;
}

/* Sum of that gradient over the pairs of each reference, pair after pair. */
struct vj_cuda_train_share_job {
    const float *hidden;       /* [pairs][picture] */
    const uint32_t *reference; /* [pairs] */
    float *out;                /* [count / picture][picture] */
    size_t picture, pairs, count;
};

static inline VJ_HD void vj_cuda_train_share_step(const struct vj_cuda_train_share_job *j, size_t i)
{
    const size_t reference = i / j->picture, at = i % j->picture;
    float sum = 0.0f;
    for (size_t pair = 0; pair < j->pairs; pair++)
        if (j->reference[pair] == reference)
            sum += j->hidden[pair * j->picture + at];
    j->out[i] = sum;
}

/* Gradients at f_d and f_j from the one at their product; both are added to. */
struct vj_cuda_train_factors_job {
    const float *gradient; /* at f_d * f_j */
    const float *f_d, *f_j;
    float *d_gradient, *j_gradient;
    size_t count;
};

static inline VJ_HD void vj_cuda_train_factors_step(const struct vj_cuda_train_factors_job *j,
                                                    size_t i)
{
    j->d_gradient[i] += j->gradient[i] * j->f_j[i];
    j->j_gradient[i] += j->gradient[i] * j->f_d[i];
}

/* ---- Forms of the weights ------------------------------------------------------------------- */

/* A convolution's kernel, [3][3][real_in][real_out] in a set, [out][3][3][in] for cuDNN. */
struct vj_cuda_train_kernel_job {
    float *hwio, *krsc;
    size_t in, real_in, real_out;
    size_t count; /* of what is written */
};

/* krsc from hwio, padding zero. */
static inline VJ_HD void vj_cuda_train_fold_kernel_step(const struct vj_cuda_train_kernel_job *j,
                                                        size_t i)
{
    const size_t in = i % j->in, tap = i / j->in % 9, out = i / (9 * j->in);
    const bool real = in < j->real_in && out < j->real_out;
    j->krsc[i] = real ? j->hwio[(tap * j->real_in + in) * j->real_out + out] : 0.0f;
}

/* hwio from krsc. */
static inline VJ_HD void vj_cuda_train_unfold_kernel_step(const struct vj_cuda_train_kernel_job *j,
                                                          size_t i)
{
    const size_t out = i % j->real_out, in = i / j->real_out % j->real_in;
    const size_t tap = i / (j->real_out * j->real_in);
    j->hwio[i] = j->krsc[(out * 9 + tap) * j->in + in];
}

/*
 * First layers of the heads, in a set [3][halves][features][512] each, and folded as in
 * host/net_fold.h; sums in double and rounded once. Thread = row and unit.
 */
struct vj_cuda_train_heads_job {
    float *quality, *weight;
    float *reference, *distorted; /* [features][2 * 512] */
    float *product;               /* [features][512]; NULL where the weight head folds as quality */
    size_t halves, features, count;
};

static inline VJ_HD void vj_cuda_train_fold_heads_step(const struct vj_cuda_train_heads_job *j,
                                                       size_t i)
{
    const size_t part = j->features * VJ_NET_HIDDEN, third = j->halves * part;
    const size_t left = i / VJ_NET_HIDDEN * VJ_CUDA_TRAIN_BOTH + i % VJ_NET_HIDDEN;
    double q[3] = {0.0, 0.0, 0.0}, w[3] = {0.0, 0.0, 0.0};
    for (size_t k = 0; k < 3; k++)
        for (size_t half = 0; half < j->halves; half++) {
            q[k] += (double)j->quality[k * third + half * part + i];
            w[k] += (double)j->weight[k * third + half * part + i];
        }
    j->reference[left] = (float)(q[0] + q[2]);
    j->distorted[left] = (float)(q[1] - q[2]);
    j->reference[left + VJ_NET_HIDDEN] = (float)(j->product ? w[0] : w[0] + w[2]);
    j->distorted[left + VJ_NET_HIDDEN] = (float)(j->product ? w[1] : w[1] - w[2]);
    if (j->product)
        j->product[i] = (float)w[2];
}

/* The same for gradients, in the other direction. */
static inline VJ_HD void vj_cuda_train_unfold_heads_step(const struct vj_cuda_train_heads_job *j,
                                                         size_t i)
{
    const size_t part = j->features * VJ_NET_HIDDEN, third = j->halves * part;
    const size_t left = i / VJ_NET_HIDDEN * VJ_CUDA_TRAIN_BOTH + i % VJ_NET_HIDDEN;
    const size_t right = left + VJ_NET_HIDDEN;
    const float q[3] = {j->reference[left], j->distorted[left],
                        j->reference[left] - j->distorted[left]};
    const float w[3] = {j->reference[right], j->distorted[right],
                        j->product ? j->product[i] : j->reference[right] - j->distorted[right]};
    for (size_t k = 0; k < 3; k++)
        for (size_t half = 0; half < j->halves; half++) {
            j->quality[k * third + half * part + i] = q[k];
            j->weight[k * third + half * part + i] = w[k];
        }
}

/*
 * g and w of the non-local block and their product, M = g w with bias g_bias w + w_bias; sums in
 * double and rounded once.
 */
struct vj_cuda_train_merge_job {
    const float *g, *g_bias, *w, *w_bias; /* [C][C], [C] */
    float *merged, *merged_bias;
    size_t channels, count; /* count: C * C + C */
};

/* Thread = number of M, then of its bias. */
static inline VJ_HD void vj_cuda_train_merge_step(const struct vj_cuda_train_merge_job *j, size_t i)
{
    const size_t c = j->channels, row = i / c, out = i % c;
    const bool bias = row == c;
    const float *from = bias ? j->g_bias : j->g + row * c;
    double sum = bias ? (double)j->w_bias[out] : 0.0;
    for (size_t m = 0; m < c; m++)
        sum += (double)from[m] * (double)j->w[m * c + out];
    if (bias)
        j->merged_bias[out] = (float)sum;
    else
        j->merged[i] = (float)sum;
}

struct vj_cuda_train_unmerge_job {
    const float *g, *g_bias, *w;
    const float *merged, *merged_bias; /* gradients */
    float *g_to, *g_bias_to, *w_to, *w_bias_to;
    size_t channels, count; /* count: 2 * (C * C + C) */
};

/* Thread = number of g, of w, of their biases. */
static inline VJ_HD void vj_cuda_train_unmerge_step(const struct vj_cuda_train_unmerge_job *j,
                                                    size_t i)
{
    const size_t c = j->channels, square = c * c;
    const size_t at = i < square ? i : i < 2 * square ? i - square : i - 2 * square;
    const size_t row = at / c, column = at % c;
    double sum = 0.0;
    if (i < square) { /* g: row in, column between */
        for (size_t o = 0; o < c; o++)
            sum += (double)j->merged[row * c + o] * (double)j->w[column * c + o];
        j->g_to[at] = (float)sum;
    } else if (i < 2 * square) { /* w: row between, column out */
        sum = (double)j->g_bias[row] * (double)j->merged_bias[column];
        for (size_t in = 0; in < c; in++)
            sum += (double)j->g[in * c + row] * (double)j->merged[in * c + column];
        j->w_to[at] = (float)sum;
    } else if (row == 0) {
        for (size_t o = 0; o < c; o++)
            sum += (double)j->w[column * c + o] * (double)j->merged_bias[o];
        j->g_bias_to[column] = (float)sum;
    } else {
        j->w_bias_to[column] = j->merged_bias[column];
    }
}

/* ---- Adam ----------------------------------------------------------------------------------- */

struct vj_cuda_train_finite_job {
    const float *gradient;
    int *flag; /* set to 1 where a number is not finite: whoever writes writes the same */
    size_t count;
};

static inline VJ_HD void vj_cuda_train_finite_step(const struct vj_cuda_train_finite_job *j,
                                                   size_t i)
{
    const float g = j->gradient[i];
    if (!(g - g == 0.0f))
        *j->flag = 1;
}

struct vj_cuda_train_adam_job {
    struct vj_adam_step step;
    const float *gradient;
    float *weight, *m, *v, *average;
    size_t count;
};

static inline VJ_HD void vj_cuda_train_adam_step(const struct vj_cuda_train_adam_job *j, size_t i)
{
    vj_adam_update(&j->step, j->gradient[i], &j->weight[i], &j->m[i], &j->v[i], &j->average[i]);
}

#ifdef __cplusplus
}
#endif

#endif
