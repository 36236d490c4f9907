/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the training step's own kernels, way back through the feature extractor; steps as in
 * cuda/net_body.h, everything float. "Gradient at x" is that of the loss with respect to x.
 *
 * Where a maximum was taken the gradient goes to its first place in row-major order; relu passes
 * none at 0. Sums have a fixed order that depends on neither the batch nor the place in it.
 */
#ifndef VJ_CUDA_TRAIN_BODY_H
#define VJ_CUDA_TRAIN_BODY_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_body.h"
#include "cuda/train_plan.h"

/* ---- Blocks with attention: h = conv output after relu, out = maxpool(h) * scale ------------ */

/*
 * Gradient of the scale and place of the largest h, per part of a patch: block = (part, patch),
 * thread = (group of pixels, 4 channels), as in pooling.
 */
struct vj_cuda_train_gather_job {
    struct vj_cuda_net_pool_shape shape;
    const float *map;      /* h, [rows][side][side][channels], >= 0 */
    const float *gradient; /* at the block's output, [rows][side / 2][side / 2][channels] */
    float *scale_parts;    /* [rows][shape.blocks][channels] */
    uint32_t *peak_parts;  /* the same: y * side + x */
};

struct vj_cuda_train_gather_shared {
    struct vj_cuda_net_quad sum[VJ_CUDA_NET_THREADS], peak[VJ_CUDA_NET_THREADS];
    uint32_t where[VJ_CUDA_NET_THREADS][4];
};

/* Takes (value, at) as the maximum where it is larger, or as large and earlier. */
static inline VJ_HD void vj_cuda_train_first(float value, uint32_t at, float *peak, uint32_t *where)
{
    if (value > *peak || (value == *peak && at < *where)) {
        *peak = value;
        *where = at;
    }
}

static inline VJ_HD void vj_cuda_train_gather(const struct vj_cuda_train_gather_job *j,
                                              struct vj_cuda_train_gather_shared *shared,
                                              unsigned part, size_t row, int thread)
{
    const struct vj_cuda_net_pool_shape *s = &j->shape;
    const int quads = s->channels / 4, half = s->side / 2;
    const int group = thread / quads, channel = thread % quads * 4;
    const int first = (int)part * s->span, last = first + s->span;
    const int end = group >= s->groups ? 0 : last < half * half ? last : half * half;
    const size_t across = (size_t)s->channels, side = (size_t)s->side;
    const size_t map = row * side * side * across + (size_t)channel;
    const size_t out = row * (size_t)(half * half) * across + (size_t)channel;
    struct vj_cuda_net_quad sum = {{0.0f, 0.0f, 0.0f, 0.0f}};
    struct vj_cuda_net_quad peak = {{-1.0f, -1.0f, -1.0f, -1.0f}};
    uint32_t where[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    for (int i = first + group; i < end; i += s->groups) {
        const size_t corner = (size_t)(i / half * 2) * side + (size_t)(i % half * 2);
        const struct vj_cuda_net_quad g =
            vj_cuda_net_get4(j->gradient, out + (size_t)i * across, false);
        struct vj_cuda_net_quad top = {{0.0f, 0.0f, 0.0f, 0.0f}};
        for (size_t k = 0; k < 4; k++) {
            const size_t pixel = corner + k / 2 * side + k % 2;
            const struct vj_cuda_net_quad v = vj_cuda_net_get4(j->map, map + pixel * across, false);
            for (int c = 0; c < 4; c++) {
                top.v[c] = vj_cuda_net_larger(v.v[c], top.v[c]);
                vj_cuda_train_first(v.v[c], (uint32_t)pixel, &peak.v[c], &where[c]);
            }
        }
        for (int c = 0; c < 4; c++)
            sum.v[c] += g.v[c] * top.v[c];
    }
    shared->sum[thread] = sum;
    shared->peak[thread] = peak;
    for (int c = 0; c < 4; c++)
        shared->where[thread][c] = where[c];
}

static inline VJ_HD void vj_cuda_train_combine(const struct vj_cuda_train_gather_job *j,
                                               const struct vj_cuda_train_gather_shared *shared,
                                               unsigned part, size_t row, int thread)
{
    const struct vj_cuda_net_pool_shape *s = &j->shape;
    const int quads = s->channels / 4;
    if (thread >= quads)
        return;
    const size_t out = (row * (size_t)s->blocks + part) * (size_t)s->channels + (size_t)thread * 4;
    for (int c = 0; c < 4; c++) {
        float sum = shared->sum[thread].v[c], peak = shared->peak[thread].v[c];
        uint32_t where = shared->where[thread][c];
        for (int g = 1; g < s->groups; g++) {
            const int other = g * quads + thread;
            sum += shared->sum[other].v[c];
            vj_cuda_train_first(shared->peak[other].v[c], shared->where[other][c], &peak, &where);
        }
        j->scale_parts[out + (size_t)c] = sum;
        j->peak_parts[out + (size_t)c] = where;
    }
}

/* ---- Channel attention: scale = sigmoid(mlp(mean) + mlp(max)); block = patch ---------------- */

/*
 * What the gradients of the two dense layers are sums of, patch by patch. Of the arrays with
 * [2], the first half belongs to the mean, the second to the maximum.
 */
struct vj_cuda_train_units {
    float *in;              /* [rows][2][channels] */
    float *in_gradient;     /* [rows][2][channels]; of the mean: at each pixel */
    float *logit_gradient;  /* [rows][channels] */
    float *hidden;          /* [rows][2][channels / 16] */
    float *hidden_gradient; /* the same, before relu */
};

struct vj_cuda_train_attend_job {
    struct vj_cuda_net_attend_job forward;
    const float *scale_parts;
    const uint32_t *peak_parts;
    struct vj_cuda_train_units units;
    uint32_t *peak; /* [rows][channels] */
};

struct vj_cuda_train_attend_shared {
    struct vj_cuda_net_attend_shared forward;
    float logit[VJ_CUDA_NET_MAX_CHANNELS], hidden[2][VJ_CUDA_NET_MAX_UNITS];
};

/* First step: means, maxima, gradient of the logits. */
static inline VJ_HD void vj_cuda_train_attend_logit(const struct vj_cuda_train_attend_job *j,
                                                    struct vj_cuda_train_attend_shared *shared,
                                                    size_t row, int thread)
{
    const struct vj_cuda_net_pool_shape *s = &j->forward.shape;
    const size_t channels = (size_t)s->channels, first = row * (size_t)s->blocks * channels;
    vj_cuda_net_attend_mean(&j->forward, &shared->forward, row, thread);
    for (size_t c = (size_t)thread; c < channels; c += VJ_CUDA_NET_THREADS) {
        const float scale = j->forward.scale[row * channels + c];
        float sum = 0.0f;
        uint32_t where = UINT32_MAX;
        for (size_t part = 0; part < (size_t)s->blocks; part++) {
            const size_t at = first + part * channels + c;
            sum += j->scale_parts[at];
            if (j->forward.peaks[at] == shared->forward.in[1][c] && j->peak_parts[at] < where)
                where = j->peak_parts[at];
        }
        shared->logit[c] = sum * scale * (1.0f - scale);
        j->units.logit_gradient[row * channels + c] = shared->logit[c];
        j->peak[row * channels + c] = where;
        for (size_t which = 0; which < 2; which++)
            j->units.in[(2 * row + which) * channels + c] = shared->forward.in[which][c];
    }
}

/* Second: hidden units and their gradients. */
static inline VJ_HD void vj_cuda_train_attend_hidden(const struct vj_cuda_train_attend_job *j,
                                                     struct vj_cuda_train_attend_shared *shared,
                                                     size_t row, int thread)
{
    const int channels = j->forward.shape.channels, units = channels / 16;
    const int which = thread / units, unit = thread % units;
    vj_cuda_net_attend_hidden(&j->forward, &shared->forward, thread);
    if (which >= 2)
        return;
    const float hidden = shared->forward.hidden[which][unit];
    float sum = 0.0f;
    for (int c = 0; c < channels; c++)
        sum += j->forward.attention.kernel_1[unit * channels + c] * shared->logit[c];
    shared->hidden[which][unit] = hidden > 0.0f ? sum : 0.0f;
    const size_t at = (2 * row + (size_t)which) * (size_t)units + (size_t)unit;
    j->units.hidden[at] = hidden;
    j->units.hidden_gradient[at] = shared->hidden[which][unit];
}

/* Third: gradients at mean and maximum; a pixel has its share of the mean's. */
static inline VJ_HD void vj_cuda_train_attend_in(const struct vj_cuda_train_attend_job *j,
                                                 const struct vj_cuda_train_attend_shared *shared,
                                                 size_t row, int thread)
{
    const struct vj_cuda_net_pool_shape *s = &j->forward.shape;
    const int channels = s->channels, units = channels / 16;
    for (int c = thread; c < channels; c += VJ_CUDA_NET_THREADS) {
        float of_mean = 0.0f, of_peak = 0.0f;
        for (int unit = 0; unit < units; unit++) {
            const float k = j->forward.attention.kernel_0[c * units + unit];
            of_mean += k * shared->hidden[0][unit];
            of_peak += k * shared->hidden[1][unit];
        }
        float *out = j->units.in_gradient + 2 * row * (size_t)channels + (size_t)c;
        out[0] = of_mean / (float)(s->side * s->side);
        out[channels] = of_peak;
    }
}

/* Gradients of the four tensors, added to what is there: thread = number of a tensor. */
struct vj_cuda_train_mlp_job {
    struct vj_cuda_train_units units;
    float *gradient[4]; /* mlp_0 kernel, bias, mlp_1 kernel, bias */
    size_t rows, channels, count;
};

static inline VJ_HD void vj_cuda_train_mlp_step(const struct vj_cuda_train_mlp_job *j, size_t i)
{
    const size_t channels = j->channels, units = channels / 16, kernel = channels * units;
    const struct vj_cuda_train_units *u = &j->units;
    const int tensor = i < kernel ? 0 : i < kernel + units ? 1 : i < 2 * kernel + units ? 2 : 3;
    const size_t start[4] = {0, kernel, kernel + units, 2 * kernel + units};
    const size_t at = i - start[tensor];
    const size_t unit = tensor == 2 ? at / channels : at % units;
    const size_t c = tensor == 0 ? at / units : at % channels;
    float sum = 0.0f;
    for (size_t row = 0; row < j->rows; row++) {
        const float logit = u->logit_gradient[row * channels + c];
        for (size_t which = 0; which < 2; which++) {
            const size_t hidden = (2 * row + which) * units + unit;
            if (tensor == 0)
                sum += u->in[(2 * row + which) * channels + c] * u->hidden_gradient[hidden];
            else if (tensor == 1)
                sum += u->hidden_gradient[hidden];
            else
                sum += tensor == 2 ? u->hidden[hidden] * logit : logit; /* the bias enters twice */
        }
    }
    j->gradient[tensor][at] += sum;
}

/* Gradient before relu, in the place of h: thread = 4 channels of a pooled pixel. */
struct vj_cuda_train_scatter_job {
    float *map;            /* [rows][side][side][channels] */
    const float *gradient; /* at the block's output */
    const float *scale, *in_gradient;
    const uint32_t *peak;
    size_t side, channels, count; /* count: of quads */
};

static inline VJ_HD void vj_cuda_train_scatter_step(const struct vj_cuda_train_scatter_job *j,
                                                    size_t i)
{
    const size_t half = j->side / 2, quads = j->channels / 4, c = i % quads * 4;
    const size_t row = i / (quads * half * half), pooled = i / quads % (half * half);
    const size_t corner = pooled / half * 2 * j->side + pooled % half * 2;
    const size_t per_row = row * j->channels + c;
    const struct vj_cuda_net_quad g = vj_cuda_net_get4(j->gradient, 4 * i, false);
    const struct vj_cuda_net_quad scale = vj_cuda_net_get4(j->scale, per_row, false);
    const struct vj_cuda_net_quad mean =
        vj_cuda_net_get4(j->in_gradient, 2 * row * j->channels + c, false);
    const struct vj_cuda_net_quad of_peak =
        vj_cuda_net_get4(j->in_gradient, (2 * row + 1) * j->channels + c, false);
    size_t at[4];
    struct vj_cuda_net_quad v[4], top = {{-1.0f, -1.0f, -1.0f, -1.0f}};
    int first[4] = {0, 0, 0, 0};
    for (int k = 0; k < 4; k++) {
        at[k] = corner + (size_t)(k / 2) * j->side + (size_t)(k % 2);
        v[k] = vj_cuda_net_get4(j->map, (row * j->side * j->side + at[k]) * j->channels + c, false);
        for (int n = 0; n < 4; n++)
            if (v[k].v[n] > top.v[n]) {
                top.v[n] = v[k].v[n];
                first[n] = k;
            }
    }
    for (int k = 0; k < 4; k++) {
        struct vj_cuda_net_quad out;
        for (int n = 0; n < 4; n++) {
            float sum = mean.v[n];
            if (k == first[n])
                sum += scale.v[n] * g.v[n];
            if (at[k] == j->peak[per_row + (size_t)n])
                sum += of_peak.v[n];
            out.v[n] = v[k].v[n] > 0.0f ? sum : 0.0f;
        }
        vj_cuda_net_set4(j->map, (row * j->side * j->side + at[k]) * j->channels + c, out, false);
    }
}

/* ---- Blocks without attention: out = maxpool(h) -------------------------------------------- */

/* Gradient before relu, in the place of h: thread = 4 channels of a pooled pixel. */
struct vj_cuda_train_spread_job {
    float *map;                   /* [rows][side][side][channels] */
    const float *gradient;        /* at the block's output */
    size_t side, channels, count; /* count: of quads */
};

static inline VJ_HD void vj_cuda_train_spread_step(const struct vj_cuda_train_spread_job *j,
                                                   size_t i)
{
    const size_t half = j->side / 2, quads = j->channels / 4, c = i % quads * 4;
    const size_t row = i / (quads * half * half), pixel = i / quads % (half * half);
    const size_t corner = (row * j->side + pixel / half * 2) * j->side + pixel % half * 2;
    const struct vj_cuda_net_quad g = vj_cuda_net_get4(j->gradient, 4 * i, false);
    struct vj_cuda_net_quad top = {{0.0f, 0.0f, 0.0f, 0.0f}};
    int first[4] = {-1, -1, -1, -1}; /* none: relu passes nothing at 0 */
    size_t at[4];
    for (int k = 0; k < 4; k++) {
        at[k] = (corner + (size_t)(k / 2) * j->side + (size_t)(k % 2)) * j->channels + c;
        const struct vj_cuda_net_quad v = vj_cuda_net_get4(j->map, at[k], false);
        for (int n = 0; n < 4; n++)
            if (v.v[n] > top.v[n]) {
                top.v[n] = v.v[n];
                first[n] = k;
            }
    }
    for (int k = 0; k < 4; k++) {
        struct vj_cuda_net_quad out;
        for (int n = 0; n < 4; n++)
            out.v[n] = k == first[n] ? g.v[n] : 0.0f;
        vj_cuda_net_set4(j->map, at[k], out, false);
    }
}

/* ---- Behind conv4: last = maxpool(tokens + attended) ---------------------------------------- */

/* Thread = number of `last`; channel padding of `joined` is left alone. */
struct vj_cuda_train_unjoin_job {
    const float *tokens;   /* [rows][side][side][padded] */
    const float *attended; /* [rows][side][side][channels] */
    const float *gradient; /* at last, [rows][side / 2][side / 2][channels] */
    float *joined;         /* at tokens + attended, [rows][side][side][padded] */
    size_t side, channels, padded, count;
};

static inline VJ_HD void vj_cuda_train_unjoin_step(const struct vj_cuda_train_unjoin_job *j,
                                                   size_t i)
{
    const size_t half = j->side / 2, c = i % j->channels, pixel = i / j->channels;
    const size_t row = pixel / (half * half), y = pixel / half % half, x = pixel % half;
    const size_t corner = (row * j->side + 2 * y) * j->side + 2 * x;
    float top = -INFINITY;
    size_t first = 0;
    for (size_t k = 0; k < 4; k++) {
        const size_t at = corner + k / 2 * j->side + k % 2;
        const float v = j->tokens[at * j->padded + c] + j->attended[at * j->channels + c];
        if (v > top) {
            top = v;
            first = k;
        }
    }
    for (size_t k = 0; k < 4; k++)
        j->joined[(corner + k / 2 * j->side + k % 2) * j->padded + c] =
            k == first ? j->gradient[i] : 0.0f;
}

/* Variant figure, gradient of mean and deviation: thread = patch and channel. */
struct vj_cuda_train_deviation_job {
    const float *last;     /* [rows][positions][channels] */
    const float *features; /* [rows][2 * channels]: mean, deviation */
    const float *gradient; /* at the features */
    float *out;            /* at last */
    size_t positions, channels, count;
};

static inline VJ_HD void vj_cuda_train_deviation_step(const struct vj_cuda_train_deviation_job *j,
                                                      size_t i)
{
    const size_t row = i / j->channels, c = i % j->channels;
    const size_t mean = 2 * row * j->channels + c, deviation = mean + j->channels;
    const size_t first = row * j->positions * j->channels + c;
    const float share = 1.0f / (float)j->positions;
    const float of_mean = j->gradient[mean] * share;
    const float factor = j->gradient[deviation] * share / j->features[deviation];
    for (size_t p = 0; p < j->positions; p++) {
        const size_t at = first + p * j->channels;
        j->out[at] = of_mean + factor * (j->last[at] - j->features[mean]);
    }
}

/* Gradient before softmax, in the place of the one behind it: warp = row. */
struct vj_cuda_train_softmax_job {
    const float *chances; /* [rows][n] */
    float *gradient;
    size_t rows, n;
};

struct vj_cuda_train_softmax_shared {
    float sum[VJ_CUDA_NET_WARPS][VJ_CUDA_NET_LANES];
};

static inline VJ_HD void vj_cuda_train_softmax_sum(const struct vj_cuda_train_softmax_job *j,
                                                   struct vj_cuda_train_softmax_shared *shared,
                                                   size_t row, int thread)
{
    const int warp = thread / VJ_CUDA_NET_LANES, lane = thread % VJ_CUDA_NET_LANES;
    if (row >= j->rows)
        return;
    float sum = 0.0f;
    for (size_t i = (size_t)lane; i < j->n; i += VJ_CUDA_NET_LANES)
        sum += j->chances[row * j->n + i] * j->gradient[row * j->n + i];
    shared->sum[warp][lane] = sum;
}

static inline VJ_HD void
vj_cuda_train_softmax_write(const struct vj_cuda_train_softmax_job *j,
                            const struct vj_cuda_train_softmax_shared *shared, size_t row,
                            int thread)
{
    const int warp = thread / VJ_CUDA_NET_LANES;
    if (row >= j->rows)
        return;
    float sum = 0.0f;
    for (int lane = 0; lane < VJ_CUDA_NET_LANES; lane++)
        sum += shared->sum[warp][lane];
    for (size_t i = (size_t)(thread % VJ_CUDA_NET_LANES); i < j->n; i += VJ_CUDA_NET_LANES) {
        const size_t at = row * j->n + i;
        j->gradient[at] = j->chances[at] * (j->gradient[at] - sum);
    }
}

/* Gradient before a relu, channel padding included: thread = 4 channels. */
struct vj_cuda_train_mask_job {
    const float *map;      /* behind the relu */
    const float *gradient; /* at the map */
    float *out;            /* may be either of them */
    size_t count;          /* of quads */
};

static inline VJ_HD void vj_cuda_train_mask_step(const struct vj_cuda_train_mask_job *j, size_t i)
{
    const struct vj_cuda_net_quad map = vj_cuda_net_get4(j->map, 4 * i, false);
    struct vj_cuda_net_quad g = vj_cuda_net_get4(j->gradient, 4 * i, false);
    for (int k = 0; k < 4; k++)
        g.v[k] = map.v[k] > 0.0f ? g.v[k] : 0.0f;
    vj_cuda_net_set4(j->out, 4 * i, g, false);
}

/* ---- Sums: of columns, block = (rows, columns); of parts, thread = number ------------------- */

struct vj_cuda_train_columns_job {
    struct vj_cuda_train_column_shape shape;
    const float *x; /* [rows][ld] */
    float *parts;   /* [shape.parts][columns] */
};

struct vj_cuda_train_columns_shared {
    float sum[VJ_CUDA_NET_THREADS];
};

static inline VJ_HD void vj_cuda_train_columns_sum(const struct vj_cuda_train_columns_job *j,
                                                   struct vj_cuda_train_columns_shared *shared,
                                                   size_t part, size_t block, int thread)
{
    const struct vj_cuda_train_column_shape *s = &j->shape;
    const size_t group = (size_t)thread / s->width;
    const size_t column = block * s->width + (size_t)thread % s->width;
    const size_t last = (part + 1) * s->span, end = last < s->rows ? last : s->rows;
    float sum = 0.0f;
    if (group < s->groups && column < s->columns)
        for (size_t row = part * s->span + group; row < end; row += s->groups)
            sum += j->x[row * s->ld + column];
    shared->sum[thread] = sum;
}

static inline VJ_HD void
vj_cuda_train_columns_write(const struct vj_cuda_train_columns_job *j,
                            const struct vj_cuda_train_columns_shared *shared, size_t part,
                            size_t block, int thread)
{
    const struct vj_cuda_train_column_shape *s = &j->shape;
    const size_t column = block * s->width + (size_t)thread;
    if ((size_t)thread >= s->width || column >= s->columns)
        return;
    float sum = shared->sum[thread];
    for (size_t g = 1; g < s->groups; g++)
        sum += shared->sum[g * s->width + (size_t)thread];
    j->parts[part * s->columns + column] = sum;
}

struct vj_cuda_train_add_job {
    const float *parts; /* [n][count] */
    float *to;          /* [count], added to */
    size_t n, count;
};

static inline VJ_HD void vj_cuda_train_add_step(const struct vj_cuda_train_add_job *j, size_t i)
{
    float sum = 0.0f;
    for (size_t part = 0; part < j->n; part++)
        sum += j->parts[part * j->count + i];
    j->to[i] += sum;
}

#ifdef __cplusplus
}
#endif

#endif
