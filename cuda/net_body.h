/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the network's own kernels, in C that runs on both sides.
 *
 * A kernel is a sequence of steps with a barrier between them. A step is a function of the launch's
 * arguments, the shared memory of its thread block, its place in the grid and the thread's number.
 *
 * Every sum has a fixed order that depends on neither the batch nor the place in it. Maps, features
 * and weights are float or half, as `half` says; sums are float.
 */
#ifndef VJ_CUDA_NET_BODY_H
#define VJ_CUDA_NET_BODY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/aligned.h"
#include "cuda/atomic_body.h"
#include "cuda/net_plan.h"
#include "host/hostdevice.h"
#include "host/net_fold.h"

enum {
    VJ_CUDA_NET_LANES = 32, /* threads that share a sum in softmax and heads: one warp */
    VJ_CUDA_NET_WARPS = VJ_CUDA_NET_THREADS / VJ_CUDA_NET_LANES,
    VJ_CUDA_NET_MAX_CHANNELS = 1024,  /* struct vj_net_shape's range */
    VJ_CUDA_NET_MAX_POSITIONS = 1024, /* of patches of 256 pixels, the largest there are */
    VJ_CUDA_NET_MAX_UNITS = VJ_CUDA_NET_MAX_CHANNELS / 16,
};

/* ---- Elements ------------------------------------------------------------------------------ */

/* IEEE 754 binary16 by its bits: what a device does in one instruction. */
static inline float vj_cuda_net_half_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float magnitude;
    if (exponent == 31)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        magnitude = ldexpf((float)fraction, -24);
    else
        magnitude = ldexpf((float)(fraction + 1024), exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

/* The nearest half, ties to even; infinity beyond 65,519. */
static inline uint16_t vj_cuda_net_half_bits(float value)
{
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    const float magnitude = fabsf(value);
    int exponent;
    if (isnan(value))
        return 0x7fff;
    if (magnitude >= 65520.0f)
        return sign | 0x7c00;
    frexpf(magnitude, &exponent); /* magnitude = m 2^exponent, m in [1/2, 1) */
    if (magnitude == 0 || exponent < -13)
        exponent = -13; /* the spacing of subnormals */
    /* Units of the last place; 1024 and more carry into the exponent by themselves. */
    const int units = (int)rintf(ldexpf(magnitude, 11 - exponent));
    return (uint16_t)(sign + ((exponent + 13) << 10) + units);
}

static inline VJ_HD float vj_cuda_net_get(const void *from, size_t i, bool half)
{
#ifdef __CUDA_ARCH__
    if (half)
        return __half2float(((const __half *)from)[i]);
#else
    if (half)
        return vj_cuda_net_half_value(((const uint16_t *)from)[i]);
#endif
    return ((const float *)from)[i];
}

static inline VJ_HD void vj_cuda_net_set(void *to, size_t i, float value, bool half)
{
#ifdef __CUDA_ARCH__
    if (half)
        ((__half *)to)[i] = __float2half_rn(value);
#else
    if (half)
        ((uint16_t *)to)[i] = vj_cuda_net_half_bits(value);
#endif
    else
        ((float *)to)[i] = value;
}

/* Four neighbours, the first at a multiple of four: one access on a device. */
struct vj_cuda_net_quad {
    float v[4];
};

static inline VJ_HD struct vj_cuda_net_quad vj_cuda_net_get4(const void *from, size_t i, bool half)
{
    struct vj_cuda_net_quad q;
#ifdef __CUDA_ARCH__
    if (half) {
        const uint2 bits = ((const uint2 *)from)[i / 4];
        const float2 low = __half22float2(*(const __half2 *)&bits.x);
        const float2 high = __half22float2(*(const __half2 *)&bits.y);
        q.v[0] = low.x;
        q.v[1] = low.y;
        q.v[2] = high.x;
        q.v[3] = high.y;
    } else {
        const float4 all = ((const float4 *)from)[i / 4];
        q.v[0] = all.x;
        q.v[1] = all.y;
        q.v[2] = all.z;
        q.v[3] = all.w;
    }
#else
    vj_cuda_expect_aligned((const char *)from + i * (half ? 2 : 4), half ? 8 : 16);
    for (int k = 0; k < 4; k++)
        q.v[k] = vj_cuda_net_get(from, i + (size_t)k, half);
#endif
    return q;
}

static inline VJ_HD void vj_cuda_net_set4(void *to, size_t i, struct vj_cuda_net_quad q, bool half)
{
#ifdef __CUDA_ARCH__
    if (half) {
        const __half2 low = __floats2half2_rn(q.v[0], q.v[1]);
        const __half2 high = __floats2half2_rn(q.v[2], q.v[3]);
        ((uint2 *)to)[i / 4] = make_uint2(*(const unsigned *)&low, *(const unsigned *)&high);
    } else {
        ((float4 *)to)[i / 4] = make_float4(q.v[0], q.v[1], q.v[2], q.v[3]);
    }
#else
    vj_cuda_expect_aligned((const char *)to + i * (half ? 2 : 4), half ? 8 : 16);
    for (int k = 0; k < 4; k++)
        vj_cuda_net_set(to, i + (size_t)k, q.v[k], half);
#endif
}

/* Neighbours in 16 bytes, the first on a boundary of as many: four floats or eight halves. */
struct vj_cuda_net_wide {
    float v[8];
};

static inline VJ_HD int vj_cuda_net_width(bool half)
{
    return half ? 8 : 4;
}

static inline VJ_HD struct vj_cuda_net_wide vj_cuda_net_get_wide(const void *from, size_t i,
                                                                 bool half)
{
    struct vj_cuda_net_wide w;
#ifdef __CUDA_ARCH__
    const uint4 bits = *(const uint4 *)((const char *)from + i * (half ? 2 : 4));
    const unsigned word[4] = {bits.x, bits.y, bits.z, bits.w};
    VJ_UNROLL
    for (int k = 0; k < 4; k++) {
        if (half) {
            const float2 pair = __half22float2(*(const __half2 *)&word[k]);
            w.v[2 * k] = pair.x;
            w.v[2 * k + 1] = pair.y;
        } else {
            w.v[k] = __uint_as_float(word[k]);
        }
    }
#else
    vj_cuda_expect_aligned((const char *)from + i * (half ? 2 : 4), 16);
    for (int k = 0; k < vj_cuda_net_width(half); k++)
        w.v[k] = vj_cuda_net_get(from, i + (size_t)k, half);
#endif
    return w;
}

static inline VJ_HD void vj_cuda_net_set_wide(void *to, size_t i, struct vj_cuda_net_wide w,
                                              bool half)
{
#ifdef __CUDA_ARCH__
    unsigned word[4];
    VJ_UNROLL
    for (int k = 0; k < 4; k++) {
        const __half2 pair = __floats2half2_rn(w.v[2 * k], w.v[2 * k + 1]);
        word[k] = half ? *(const unsigned *)&pair : __float_as_uint(w.v[k]);
    }
    *(uint4 *)((char *)to + i * (half ? 2 : 4)) = make_uint4(word[0], word[1], word[2], word[3]);
#else
    vj_cuda_expect_aligned((const char *)to + i * (half ? 2 : 4), 16);
    for (int k = 0; k < vj_cuda_net_width(half); k++)
        vj_cuda_net_set(to, i + (size_t)k, w.v[k], half);
#endif
}

/* Keeps a NaN, which a comparison would take two operations of a device to do. */
static inline VJ_HD float vj_cuda_net_larger(float a, float b)
{
#ifdef __CUDA_ARCH__
    float larger;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
    return larger;
#else
    return a > b || isnan(a) ? a : b;
#endif
}

/* Keeps a NaN. */
static inline VJ_HD float vj_cuda_net_relu(float v)
{
    return vj_cuda_net_larger(v, 0.0f);
}

/* Flags a row where a value is not finite: with halves, one that left their range. */
static inline VJ_HD void vj_cuda_net_guard(float v, int *flags, size_t row, bool half)
{
    if (half && v - v != 0.0f)
        vj_cuda_atomic_or((uint32_t *)&flags[row], 1);
}

/*
 * Of several numbers of a row: 0 where all are finite, else NaN, for one guard in place of many. A
 * guard is a branch, and what a device loads behind it waits for what it looks at.
 */
static inline VJ_HD float vj_cuda_net_doubt(float doubt, float v)
{
    return doubt + (v - v);
}

/* ---- Input: thread = pixel ----------------------------------------------------------------- */

struct vj_cuda_net_input_job {
    const uint8_t *patches; /* [filled][channels] */
    void *input;            /* [pixels][4], or [pixels][8] halves */
    size_t filled, pixels;  /* those from `filled` on are zero */
    int channels;           /* 3, or 1 to be seen three times */
    bool half;
};

/* What the network sees of an 8-bit sample. */
static inline VJ_HD float vj_cuda_net_sample(uint8_t value)
{
    return (float)value * (1.0f / 255.0f) - 0.5f;
}

static inline VJ_HD void vj_cuda_net_input_step(const struct vj_cuda_net_input_job *j, size_t i)
{
    struct vj_cuda_net_quad q = {{0.0f, 0.0f, 0.0f, 0.0f}};
    const struct vj_cuda_net_quad none = q;
    for (int c = 0; c < 3 && i < j->filled; c++) {
        const size_t at = i * (size_t)j->channels + (size_t)(j->channels == 3 ? c : 0);
        q.v[c] = vj_cuda_net_sample(j->patches[at]);
    }
    vj_cuda_net_set4(j->input, j->half ? 8 * i : 4 * i, q, j->half);
    if (j->half)
        vj_cuda_net_set4(j->input, 8 * i + 4, none, true);
}

/* ---- Bias and relu behind a convolution that cuDNN did not fuse: thread = 4 channels ------- */

struct vj_cuda_net_bias_job {
    void *x;          /* [count / channels][channels] */
    const void *bias; /* [channels] */
    size_t count, channels;
    bool half;
};

static inline VJ_HD void vj_cuda_net_bias_step(const struct vj_cuda_net_bias_job *j, size_t quad)
{
    const size_t i = 4 * quad;
    struct vj_cuda_net_quad x = vj_cuda_net_get4(j->x, i, j->half);
    const struct vj_cuda_net_quad b = vj_cuda_net_get4(j->bias, i % j->channels, j->half);
    for (int k = 0; k < 4; k++)
        x.v[k] = vj_cuda_net_relu(x.v[k] + b.v[k]);
    vj_cuda_net_set4(j->x, i, x, j->half);
}

/* ---- Pooling: block = (part of a patch, patch), thread = (group of pixels, 16 bytes of channels)
 */

struct vj_cuda_net_pool_job {
    struct vj_cuda_net_pool_shape shape;
    const void *map;     /* [rows][side][side][channels], >= 0 */
    void *pooled;        /* [rows][side / 2][side / 2][channels] */
    float *sums, *peaks; /* [rows][shape.blocks][channels] */
    int *flags;
    bool half;
};

struct vj_cuda_net_pool_shared {
    struct vj_cuda_net_wide sum[VJ_CUDA_NET_THREADS], peak[VJ_CUDA_NET_THREADS];
};

static inline VJ_HD void vj_cuda_net_pool_gather(const struct vj_cuda_net_pool_job *j,
                                                 struct vj_cuda_net_pool_shared *shared,
                                                 unsigned part, size_t row, int thread)
{
    const struct vj_cuda_net_pool_shape *s = &j->shape;
    const int width = vj_cuda_net_width(j->half), wides = s->channels / width, half = s->side / 2;
    const int group = thread / wides, channel = thread % wides * width;
    const int first = (int)part * s->span, last = first + s->span;
    const int end = group >= s->groups ? 0 : last < half * half ? last : half * half;
    const size_t across = (size_t)s->channels, down = (size_t)s->side * across;
    const size_t map = row * (size_t)s->side * down + (size_t)channel;
    const size_t pooled = row * (size_t)(half * half) * across + (size_t)channel;
    struct vj_cuda_net_wide sum, peak;
    VJ_UNROLL
    for (int k = 0; k < width; k++)
        sum.v[k] = peak.v[k] = 0.0f;
    for (int i = first + group; i < end; i += s->groups) {
        const size_t at = map + (size_t)(i / half * 2) * down + (size_t)(i % half * 2) * across;
        const struct vj_cuda_net_wide a = vj_cuda_net_get_wide(j->map, at, j->half);
        const struct vj_cuda_net_wide b = vj_cuda_net_get_wide(j->map, at + across, j->half);
        const struct vj_cuda_net_wide c = vj_cuda_net_get_wide(j->map, at + down, j->half);
        const struct vj_cuda_net_wide d = vj_cuda_net_get_wide(j->map, at + down + across, j->half);
        struct vj_cuda_net_wide top;
        VJ_UNROLL
        for (int k = 0; k < width; k++) {
            top.v[k] = vj_cuda_net_larger(vj_cuda_net_larger(a.v[k], b.v[k]),
                                          vj_cuda_net_larger(c.v[k], d.v[k]));
            sum.v[k] += (a.v[k] + b.v[k]) + (c.v[k] + d.v[k]);
            peak.v[k] = vj_cuda_net_larger(top.v[k], peak.v[k]);
        }
        vj_cuda_net_set_wide(j->pooled, pooled + (size_t)i * across, top, j->half);
    }
    VJ_UNROLL
    for (int k = 0; k < width; k++) {
        shared->sum[thread].v[k] = sum.v[k];
        shared->peak[thread].v[k] = peak.v[k];
    }
}

/* A thread adds up a channel over the groups. */
static inline VJ_HD void vj_cuda_net_pool_combine(const struct vj_cuda_net_pool_job *j,
                                                  const struct vj_cuda_net_pool_shared *shared,
                                                  unsigned part, size_t row, int thread)
{
    const struct vj_cuda_net_pool_shape *s = &j->shape;
    const int width = vj_cuda_net_width(j->half), wides = s->channels / width;
    for (int c = thread; c < s->channels; c += VJ_CUDA_NET_THREADS) {
        float sum = shared->sum[c / width].v[c % width];
        float peak = shared->peak[c / width].v[c % width];
        for (int g = 1; g < s->groups; g++) {
            sum += shared->sum[g * wides + c / width].v[c % width];
            peak = vj_cuda_net_larger(peak, shared->peak[g * wides + c / width].v[c % width]);
        }
        const size_t out = (row * (size_t)s->blocks + part) * (size_t)s->channels + (size_t)c;
        j->sums[out] = sum;
        j->peaks[out] = peak;
        vj_cuda_net_guard(sum, j->flags, row, j->half);
    }
}

/* ---- Pooling without attention: thread = 16 bytes of channels of a pooled pixel ------------ */

struct vj_cuda_net_halve_job {
    const void *map;              /* [rows][side][side][channels] */
    void *pooled;                 /* [rows][side / 2][side / 2][channels] */
    int *flags;                   /* [rows] */
    size_t side, channels, count; /* count: of threads */
    bool half;
};

static inline VJ_HD void vj_cuda_net_halve_step(const struct vj_cuda_net_halve_job *j, size_t i)
{
    /* Maps have less than 2^31 numbers: divisions of 32 bits, which a device has at hand. */
    const unsigned width = (unsigned)vj_cuda_net_width(j->half);
    const unsigned half = (unsigned)j->side / 2, wides = (unsigned)j->channels / width;
    const unsigned c = (unsigned)i % wides * width, place = (unsigned)i / wides;
    const size_t row = place / (half * half), pixel = place % (half * half);
    const size_t corner = (row * j->side + pixel / half * 2) * j->side + pixel % half * 2;
    struct vj_cuda_net_wide top = vj_cuda_net_get_wide(j->map, corner * j->channels + c, j->half);
    float doubt = 0.0f;
    VJ_UNROLL
    for (size_t k = 0; k < 4; k++) {
        const size_t at = (corner + k / 2 * j->side + k % 2) * j->channels + c;
        const struct vj_cuda_net_wide v = vj_cuda_net_get_wide(j->map, at, j->half);
        VJ_UNROLL
        for (unsigned n = 0; n < width; n++) {
            doubt = vj_cuda_net_doubt(doubt, v.v[n]);
            top.v[n] = vj_cuda_net_larger(v.v[n], top.v[n]);
        }
    }
    vj_cuda_net_guard(doubt, j->flags, row, j->half);
    vj_cuda_net_set_wide(j->pooled, width * i, top, j->half);
}

/* A map of halves that goes from one convolution to the next, looked at: thread = 8 channels. */
struct vj_cuda_net_check_job {
    const void *map;     /* [rows][patch] */
    int *flags;          /* [rows] */
    size_t patch, count; /* count: of threads */
};

static inline VJ_HD void vj_cuda_net_check_step(const struct vj_cuda_net_check_job *j, size_t i)
{
    const struct vj_cuda_net_wide v = vj_cuda_net_get_wide(j->map, 8 * i, true);
    float doubt = 0.0f;
    VJ_UNROLL
    for (int n = 0; n < 8; n++)
        doubt = vj_cuda_net_doubt(doubt, v.v[n]);
    vj_cuda_net_guard(doubt, j->flags, 8 * i / j->patch, true);
}

/* ---- Channel attention: block = patch ------------------------------------------------------ */

struct vj_cuda_net_attend_job {
    struct vj_cuda_net_pool_shape shape;
    struct vj_cuda_net_attention attention;
    const float *sums, *peaks; /* [rows][shape.blocks][channels] */
    float *scale;              /* [rows][channels] */
};

struct vj_cuda_net_attend_shared {
    float in[2][VJ_CUDA_NET_MAX_CHANNELS]; /* mean, maximum */
    float hidden[2][VJ_CUDA_NET_MAX_UNITS];
};

/* Few threads wait for memory: parts are fetched many at a time, and added in their order. */
static inline VJ_HD void vj_cuda_net_attend_mean(const struct vj_cuda_net_attend_job *j,
                                                 struct vj_cuda_net_attend_shared *shared,
                                                 size_t row, int thread)
{
    enum { AT_ONCE = 16 };
    const struct vj_cuda_net_pool_shape *s = &j->shape;
    const size_t channels = (size_t)s->channels, first = row * (size_t)s->blocks * channels;
    for (size_t c = (size_t)thread; c < channels; c += VJ_CUDA_NET_THREADS) {
        float sum = 0.0f, peak = 0.0f;
        for (size_t part = 0; part < (size_t)s->blocks; part += AT_ONCE) {
            float sums[AT_ONCE] = {0.0f}, peaks[AT_ONCE] = {0.0f};
            VJ_UNROLL
            for (size_t k = 0; k < AT_ONCE; k++)
                if (part + k < (size_t)s->blocks) {
                    sums[k] = j->sums[first + (part + k) * channels + c];
                    peaks[k] = j->peaks[first + (part + k) * channels + c];
                }
            VJ_UNROLL
            for (size_t k = 0; k < AT_ONCE; k++) { /* neither is below 0 */
                sum += sums[k];
                peak = vj_cuda_net_larger(peaks[k], peak);
            }
        }
        shared->in[0][c] = sum / (float)(s->side * s->side);
        shared->in[1][c] = peak;
    }
}

static inline VJ_HD void vj_cuda_net_attend_hidden(const struct vj_cuda_net_attend_job *j,
                                                   struct vj_cuda_net_attend_shared *shared,
                                                   int thread)
{
    const int channels = j->shape.channels, units = channels / 16;
    const int which = thread / units, unit = thread % units;
    if (which >= 2)
        return;
    float sum = 0.0f;
    for (int c = 0; c < channels; c++)
        sum += shared->in[which][c] * j->attention.kernel_0[c * units + unit];
    shared->hidden[which][unit] = vj_cuda_net_relu(sum + j->attention.bias_0[unit]);
}

static inline VJ_HD void vj_cuda_net_attend_scale(const struct vj_cuda_net_attend_job *j,
                                                  const struct vj_cuda_net_attend_shared *shared,
                                                  size_t row, int thread)
{
    const int channels = j->shape.channels, units = channels / 16;
    for (int c = thread; c < channels; c += VJ_CUDA_NET_THREADS) {
        float of_mean = 0.0f, of_peak = 0.0f;
        for (int unit = 0; unit < units; unit++) {
            const float k = j->attention.kernel_1[unit * channels + c];
            of_mean += shared->hidden[0][unit] * k;
            of_peak += shared->hidden[1][unit] * k;
        }
        const float bias = j->attention.bias_1[c];
        const float logit = (of_mean + bias) + (of_peak + bias);
        j->scale[row * (size_t)channels + (size_t)c] = 1.0f / (1.0f + expf(-logit));
    }
}

/* ---- Pooled *= scale: thread = 16 bytes of channels ---------------------------------------- */

struct vj_cuda_net_scale_job {
    void *pooled;                  /* [rows][patch] */
    const float *scale;            /* [rows][channels] */
    size_t count, patch, channels; /* count: of threads */
    bool half;
};

static inline VJ_HD void vj_cuda_net_scale_step(const struct vj_cuda_net_scale_job *j,
                                                size_t thread)
{
    /* Maps have less than 2^31 numbers: divisions of 32 bits, which a device has at hand. */
    const unsigned width = (unsigned)vj_cuda_net_width(j->half), channels = (unsigned)j->channels;
    const unsigned i = width * (unsigned)thread;
    const size_t first = i / (unsigned)j->patch * channels + i % channels;
    struct vj_cuda_net_wide x = vj_cuda_net_get_wide(j->pooled, i, j->half);
    VJ_UNROLL
    for (unsigned q = 0; q < width; q += 4) {
        const struct vj_cuda_net_quad s = vj_cuda_net_get4(j->scale, first + q, false);
        for (unsigned k = 0; k < 4; k++)
            x.v[q + k] *= s.v[k];
    }
    vj_cuda_net_set_wide(j->pooled, i, x, j->half);
}

/* ---- Softmax of the rows of [rows][n], n a multiple of four: warp = row -------------------- */

struct vj_cuda_net_softmax_job {
    const float *scores;
    void *chances; /* may be scores itself unless half */
    int *flags;    /* [rows / n] */
    size_t rows, n;
    bool half;
};

/* What a lane has of a row: every VJ_CUDA_NET_LANESth of its quads. */
enum {
    VJ_CUDA_NET_SOFTMAX_FEW = 2, /* of patches of up to 128 pixels */
    VJ_CUDA_NET_SOFTMAX_MOST = VJ_CUDA_NET_MAX_POSITIONS / 4 / VJ_CUDA_NET_LANES,
};

struct vj_cuda_net_softmax_lane {
    struct vj_cuda_net_quad value[VJ_CUDA_NET_SOFTMAX_MOST];
};

/* Quads of a lane that hold a row of n. */
static inline int vj_cuda_net_softmax_quads(size_t n)
{
    return n <= 4 * VJ_CUDA_NET_SOFTMAX_FEW * VJ_CUDA_NET_LANES ? VJ_CUDA_NET_SOFTMAX_FEW
                                                                : VJ_CUDA_NET_SOFTMAX_MOST;
}

/* Step 1: reads; the lane's largest. Between steps the warp's largest, and its sum, are taken. */
static inline VJ_HD float vj_cuda_net_softmax_top(const struct vj_cuda_net_softmax_job *j,
                                                  struct vj_cuda_net_softmax_lane *mine, int quads,
                                                  size_t row, int lane)
{
    float top = -INFINITY, doubt = 0.0f;
    VJ_UNROLL
    for (int q = 0; q < quads; q++) {
        const size_t i = 4 * (size_t)(lane + q * VJ_CUDA_NET_LANES);
        if (i < j->n)
            mine->value[q] = vj_cuda_net_get4(j->scores, row * j->n + i, false);
    }
    VJ_UNROLL
    for (int q = 0; q < quads; q++) {
        if (4 * (size_t)(lane + q * VJ_CUDA_NET_LANES) >= j->n)
            continue;
        for (int k = 0; k < 4; k++) {
            doubt = vj_cuda_net_doubt(doubt, mine->value[q].v[k]);
            top = vj_cuda_net_larger(mine->value[q].v[k], top);
        }
    }
    vj_cuda_net_guard(doubt, j->flags, row / j->n, j->half);
    return top;
}

/* Step 2: the lane's sum of e^(value - top). */
static inline VJ_HD float vj_cuda_net_softmax_sum(const struct vj_cuda_net_softmax_job *j,
                                                  struct vj_cuda_net_softmax_lane *mine, int quads,
                                                  float top, int lane)
{
    float sum = 0.0f;
    VJ_UNROLL
    for (int q = 0; q < quads; q++)
        for (int k = 0; k < 4; k++)
            if (4 * (size_t)(lane + q * VJ_CUDA_NET_LANES) < j->n) {
                mine->value[q].v[k] = expf(mine->value[q].v[k] - top);
                sum += mine->value[q].v[k];
            }
    return sum;
}

/* Step 3. */
static inline VJ_HD void vj_cuda_net_softmax_write(const struct vj_cuda_net_softmax_job *j,
                                                   struct vj_cuda_net_softmax_lane *mine, int quads,
                                                   float sum, size_t row, int lane)
{
    VJ_UNROLL
    for (int q = 0; q < quads; q++) {
        const size_t i = 4 * (size_t)(lane + q * VJ_CUDA_NET_LANES);
        if (i >= j->n)
            continue;
        for (int k = 0; k < 4; k++)
            mine->value[q].v[k] /= sum;
        vj_cuda_net_set4(j->chances, row * j->n + i, mine->value[q], j->half);
    }
}

/* ---- Residual sum and last pooling: thread = number of the output -------------------------- */

struct vj_cuda_net_join_job {
    const void *tokens;   /* [rows][side][side][padded] */
    const void *attended; /* [rows][side][side][channels] */
    void *last;           /* [rows][side / 2][side / 2][channels] */
    int *flags;
    size_t side, channels, padded, count;
    bool half;
};

static inline VJ_HD void vj_cuda_net_join_step(const struct vj_cuda_net_join_job *j, size_t i)
{
    /* Maps have less than 2^31 numbers: divisions of 32 bits, which a device has at hand. */
    const unsigned half = (unsigned)j->side / 2, channels = (unsigned)j->channels;
    const unsigned c = (unsigned)i % channels, pixel = (unsigned)i / channels;
    const size_t row = pixel / (half * half), y = pixel / half % half, x = pixel % half;
    float top = -INFINITY, doubt = 0.0f;
    for (size_t k = 0; k < 4; k++) {
        const size_t at = (row * j->side + 2 * y + k / 2) * j->side + 2 * x + k % 2;
        const float v = vj_cuda_net_get(j->tokens, at * j->padded + c, j->half) +
                        vj_cuda_net_get(j->attended, at * j->channels + c, j->half);
        doubt = vj_cuda_net_doubt(doubt, v);
        top = vj_cuda_net_larger(v, top);
    }
    vj_cuda_net_set(j->last, i, top, j->half);
    doubt = vj_cuda_net_doubt(doubt, vj_cuda_net_get(j->last, i, j->half));
    vj_cuda_net_guard(doubt, j->flags, row, j->half);
}

/* ---- Variant figure, mean and deviation in double as on the CPU: thread = patch and channel  */

struct vj_cuda_net_statistics_job {
    const void *last; /* [rows][positions][channels] */
    void *features;   /* [rows][2 * channels] */
    size_t positions, channels, count;
    bool half;
};

/* A channel at positions p.. of a patch, as many as are fetched at a time; 0 behind the last. */
struct vj_cuda_net_positions {
    float v[16];
};
enum { VJ_CUDA_NET_POSITIONS = sizeof(struct vj_cuda_net_positions) / sizeof(float) };

static inline VJ_HD struct vj_cuda_net_positions
vj_cuda_net_positions_from(const struct vj_cuda_net_statistics_job *j, size_t first, size_t p)
{
    struct vj_cuda_net_positions at;
    VJ_UNROLL
    for (size_t k = 0; k < VJ_CUDA_NET_POSITIONS; k++)
        at.v[k] = p + k < j->positions
                      ? vj_cuda_net_get(j->last, first + (p + k) * j->channels, j->half)
                      : 0.0f;
    return at;
}

static inline VJ_HD void vj_cuda_net_statistics_step(const struct vj_cuda_net_statistics_job *j,
                                                     size_t i)
{
    const size_t row = i / j->channels, c = i % j->channels;
    const size_t first = row * j->positions * j->channels + c;
    double mean = 0.0, square = 0.0;
    for (size_t p = 0; p < j->positions; p += VJ_CUDA_NET_POSITIONS) {
        const struct vj_cuda_net_positions at = vj_cuda_net_positions_from(j, first, p);
        VJ_UNROLL
        for (size_t k = 0; k < VJ_CUDA_NET_POSITIONS; k++)
            mean += (double)at.v[k];
    }
    mean /= (double)j->positions;
    for (size_t p = 0; p < j->positions; p += VJ_CUDA_NET_POSITIONS) {
        const struct vj_cuda_net_positions at = vj_cuda_net_positions_from(j, first, p);
        VJ_UNROLL
        for (size_t k = 0; k < VJ_CUDA_NET_POSITIONS; k++) {
            const double d = (double)at.v[k] - mean;
            square += p + k < j->positions ? d * d : 0.0;
        }
    }
    const double deviation = sqrt(square / (double)j->positions + 1e-6);
    vj_cuda_net_set(j->features, row * 2 * j->channels + c, (float)mean, j->half);
    vj_cuda_net_set(j->features, (row * 2 + 1) * j->channels + c, (float)deviation, j->half);
}

/* ---- F_d * f_j, and f_j kept: thread = number of the output -------------------------------- */

struct vj_cuda_net_times_job {
    const void *features; /* [rows][width] */
    const void *jnd;      /* [patches][width] */
    void *times;          /* [rows][width] */
    int *flags;
    size_t first, patches; /* row r belongs to reference patch (first + r) % patches */
    size_t width, count;
    bool half;
};

static inline VJ_HD void vj_cuda_net_times_step(const struct vj_cuda_net_times_job *j, size_t i)
{
    const size_t row = i / j->width, k = i % j->width;
    const size_t patch = (j->first + row) % j->patches;
    vj_cuda_net_set(j->times, i,
                    vj_cuda_net_get(j->features, i, j->half) *
                        vj_cuda_net_get(j->jnd, patch * j->width + k, j->half),
                    j->half);
    vj_cuda_net_guard(vj_cuda_net_get(j->times, i, j->half), j->flags, row, j->half);
}

struct vj_cuda_net_keep_job {
    const void *features; /* [count / width][width] */
    void *kept;           /* the same */
    const int *flags;
    size_t width, count;
    bool half;
};

static inline VJ_HD void vj_cuda_net_keep_step(const struct vj_cuda_net_keep_job *j, size_t i)
{
    const float v = vj_cuda_net_get(j->features, i, j->half);
    vj_cuda_net_set(j->kept, i, j->flags[i / j->width] ? NAN : v, j->half);
}

/* ---- The reference's part of the hidden layers: thread = number of the output -------------- */

struct vj_cuda_net_constant_job {
    const float *pair; /* [slices][rows][2 * 512] */
    const float *bias; /* [2 * 512] */
    const int *flags;  /* [rows] */
    float *constant;   /* [count / 1024][2 * 512] */
    size_t rows, slices, count;
};

static inline VJ_HD void vj_cuda_net_constant_step(const struct vj_cuda_net_constant_job *j,
                                                   size_t i)
{
    const size_t width = 2 * VJ_NET_HIDDEN;
    float sum = 0.0f;
    for (size_t s = 0; s < j->slices; s++)
        sum += j->pair[s * j->rows * width + i];
    j->constant[i] = j->flags[i / width] ? NAN : sum + j->bias[i % width];
}

/* ---- Second layers: block = patch, warp 0 = quality, warp 1 = weight ----------------------- */

struct vj_cuda_net_finish_job {
    const float *pair;     /* [slices][rows][2 * 512] */
    const float *product;  /* [slices][rows][512]; NULL where no pixel-JND map is seen */
    const float *constant; /* [patches][2 * 512] */
    struct vj_cuda_net_second second;
    const int *flags;        /* [rows] */
    float *quality, *weight; /* [count] */
    size_t rows, slices;
    size_t first, patches; /* row r belongs to reference patch (first + r) % patches */
};

struct vj_cuda_net_finish_shared {
    float sum[2][VJ_CUDA_NET_LANES];
};

static inline VJ_HD void vj_cuda_net_finish_sum(const struct vj_cuda_net_finish_job *j,
                                                struct vj_cuda_net_finish_shared *shared,
                                                size_t row, int thread)
{
    const size_t hidden = VJ_NET_HIDDEN;
    const int head = thread / VJ_CUDA_NET_LANES, lane = thread % VJ_CUDA_NET_LANES;
    const size_t column = (size_t)head * hidden;
    const size_t patch = (j->first + row) % j->patches;
    float sum = 0.0f;
    for (size_t i = (size_t)lane; i < hidden; i += VJ_CUDA_NET_LANES) {
        float v = 0.0f, of_product = 0.0f;
        for (size_t s = 0; s < j->slices; s++)
            v += j->pair[(s * j->rows + row) * 2 * hidden + column + i];
        for (size_t s = 0; head == 1 && j->product && s < j->slices; s++)
            of_product += j->product[(s * j->rows + row) * hidden + i];
        v = j->constant[patch * 2 * hidden + column + i] + (v + of_product);
        sum += vj_cuda_net_relu(v) * j->second.kernel[column + i];
    }
    shared->sum[head][lane] = sum;
}

static inline VJ_HD void vj_cuda_net_finish_write(const struct vj_cuda_net_finish_job *j,
                                                  const struct vj_cuda_net_finish_shared *shared,
                                                  size_t row, int thread)
{
    const int head = thread / VJ_CUDA_NET_LANES;
    if (thread % VJ_CUDA_NET_LANES != 0)
        return;
    float sum = 0.0f;
    for (int lane = 0; lane < VJ_CUDA_NET_LANES; lane++)
        sum += shared->sum[head][lane];
    sum = j->flags[row] ? NAN : sum + j->second.bias[head];
    if (head == 0)
        j->quality[row] = sum;
    else
        j->weight[row] = vj_cuda_net_relu(sum) + VJ_NET_LEAST_WEIGHT;
}

/* ---- Weighted means in double, as on the CPU: thread = picture ----------------------------- */

struct vj_cuda_net_mean_job {
    const float *quality, *weight; /* [n][patches] */
    float *score;                  /* [n] */
    size_t n, patches;
};

static inline VJ_HD void vj_cuda_net_mean_step(const struct vj_cuda_net_mean_job *j, size_t i)
{
    double weighted = 0.0, weights = 0.0;
    for (size_t p = 0; p < j->patches; p++) {
        const double a = (double)j->weight[i * j->patches + p];
        weighted += (double)j->quality[i * j->patches + p] * a;
        weights += a;
    }
    j->score[i] = (float)(weighted / weights);
}

#ifdef __cplusplus
}
#endif

#endif
