/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of SSIMULACRA2, version 2.1 (cloudinary/ssimulacra2; the filter is that of
 * Charalampidis, "Recursive implementation of the Gaussian filter using truncated cosine
 * functions", IEEE TSP 64(14), 2016): colour, filter, maps and score, one value at a time.
 *
 * Two sets of functions. Those named vj_ssimulacra2_parity_* repeat the reference program's float32
 * operations one by one: fmaf() where it fuses, nothing fused elsewhere (-ffp-contract=off, nvcc
 * -fmad=false), so that its rounding noise comes out too. The others are written for small errors
 * and use no fused operation, so that they cost the same where the processor has none.
 *
 * With a, d the two pictures' planes, t = d - a and F the filter, the exact mode needs no
 * difference of large moments. With D = F(t) and v = F(t t) - D^2,
 *
 *     variance of d = variance of a + 2 (F(a t) - F(a) D) + v
 *     SSIM error    = D^2 + (1 - D^2) v / (variance of a + variance of d + c2)
 *     d - F(d)      = (a - F(a)) + (t - D)
 *
 * exactly, and where the pictures are equal all of it is exactly 0.
 */
#ifndef VJ_HOST_SSIMULACRA2_MATH_H
#define VJ_HOST_SSIMULACRA2_MATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "host/hostdevice.h"

enum {
    VJ_SSIMULACRA2_SCALES = 6,   /* at most */
    VJ_SSIMULACRA2_MIN_SIDE = 8, /* of a picture, and of a scale that a smaller one is made from */
    VJ_SSIMULACRA2_CHANNELS = 3, /* X, Y, B */
    VJ_SSIMULACRA2_MAPS = 3,     /* SSIM, ringing, blurring */
    VJ_SSIMULACRA2_TERMS = 6,    /* sub-scores of a channel at one scale: two norms of three maps */
    VJ_SSIMULACRA2_PARTS = VJ_SSIMULACRA2_CHANNELS * VJ_SSIMULACRA2_SCALES * VJ_SSIMULACRA2_TERMS,
    VJ_SSIMULACRA2_REACH = 4, /* of the filter, to each side */
    VJ_SSIMULACRA2_TAPS = 2 * VJ_SSIMULACRA2_REACH + 1,
    VJ_SSIMULACRA2_POLES = 3,
};

#define VJ_SSIMULACRA2_C2 0.0009

/* Opsin offset and its cube root. */
#define VJ_XYB_BIAS      0.0037930732552754493
#define VJ_XYB_BIAS_ROOT 0.15595420054924858

/* ---- scales ---- */

/* Side of the next scale. */
static inline VJ_HD size_t vj_ssimulacra2_half(size_t side)
{
    return side / 2 + side % 2;
}

/* How many scales a picture has: 2 to 6, 0 when it is too small for the metric. */
static inline VJ_HD int vj_ssimulacra2_scales(size_t width, size_t height)
{
    if (width < VJ_SSIMULACRA2_MIN_SIDE || height < VJ_SSIMULACRA2_MIN_SIDE)
        return 0;
    int scales = 1;
    while (scales < VJ_SSIMULACRA2_SCALES && width >= VJ_SSIMULACRA2_MIN_SIDE &&
           height >= VJ_SSIMULACRA2_MIN_SIDE) {
        width = vj_ssimulacra2_half(width);
        height = vj_ssimulacra2_half(height);
        scales++;
    }
    return scales;
}

/* Linear light of the next scale from a 2x2 block, row by row; both modes. */
static inline VJ_HD float vj_ssimulacra2_pool(float p00, float p01, float p10, float p11)
{
    return (((p00 + p01) + p10) + p11) * 0.25f;
}

/* ---- colour ---- */

/* X, Y, B, shifted and stretched to about 0..1. */
struct vj_xyb {
    float x, y, b;
};

/* Linear light, 0..1, of an sRGB sample. */
static inline VJ_HD float vj_ssimulacra2_linear(uint8_t sample)
{
    double v = sample / 255.0;
    return (float)(v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
}

static inline VJ_HD uint32_t vj_float_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline VJ_HD float vj_float_of_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/*
 * Cube root of v, 0.003 <= v <= 1.1 (more than L, M and S reach), within one unit in the last
 * place. r approaches 1 / cbrt(v) by Newton's method, which takes no division: to 4 % from the
 * exponent, then to 2e-3 and 1e-5. The last step is taken on the root itself.
 */
static inline VJ_HD float vj_ssimulacra2_root(float v)
{
    float r = vj_float_of_bits(0x54A2FA8Cu - vj_float_bits(v) / 3u);
    float third = v * (1.0f / 3.0f);
    for (int i = 0; i < 2; i++) {
        float square = r * r;
        r = r * (4.0f / 3.0f) - third * (square * square);
    }
    float square = r * r;
    float root = v * square;
    return root - (root * root * root - v) * (square * (1.0f / 3.0f));
}

static inline VJ_HD struct vj_xyb vj_ssimulacra2_xyb_of_roots(float l, float m, float s)
{
    float x = 0.5f * (l - m), y = 0.5f * (l + m);
    struct vj_xyb xyb = {x * 14.0f + 0.42f, y + 0.01f, (s - y) + 0.55f};
    return xyb;
}

/* red, green, blue: linear light, 0..1 */
static inline VJ_HD struct vj_xyb vj_ssimulacra2_xyb(float red, float green, float blue)
{
    const float bias = (float)VJ_XYB_BIAS, root = (float)VJ_XYB_BIAS_ROOT;
    float l = 0.30f * red + 0.622f * green + 0.078f * blue + bias;
    float m = 0.23f * red + 0.692f * green + 0.078f * blue + bias;
    float s = 0.24342268924547819f * red + 0.20476744424496821f * green +
              0.5518098665095536f * blue + bias;
    return vj_ssimulacra2_xyb_of_roots(vj_ssimulacra2_root(l) - root, vj_ssimulacra2_root(m) - root,
                                       vj_ssimulacra2_root(s) - root);
}

/* ---- filter: nine taps, zero outside the plane, not renormalised there ---- */

#define VJ_SSIMULACRA2_H0 0.26462110548819856
#define VJ_SSIMULACRA2_H1 0.2129285920104222
#define VJ_SSIMULACRA2_H2 0.10933537277746032
#define VJ_SSIMULACRA2_H3 0.036011114658364374
#define VJ_SSIMULACRA2_H4 0.0094143678096537

/* Tap at so many samples from the middle, at most VJ_SSIMULACRA2_REACH. */
static inline VJ_HD double vj_ssimulacra2_tap(size_t distance)
{
    switch (distance) {
    case 0:
        return VJ_SSIMULACRA2_H0;
    case 1:
        return VJ_SSIMULACRA2_H1;
    case 2:
        return VJ_SSIMULACRA2_H2;
    case 3:
        return VJ_SSIMULACRA2_H3;
    default:
        return VJ_SSIMULACRA2_H4;
    }
}

/* Over p[0], p[stride], ..., p[8 stride]. */
static inline VJ_HD float vj_ssimulacra2_window(const float *p, size_t stride)
{
    float sum = (float)VJ_SSIMULACRA2_H4 * (p[0] + p[8 * stride]);
    sum += (float)VJ_SSIMULACRA2_H3 * (p[1 * stride] + p[7 * stride]);
    sum += (float)VJ_SSIMULACRA2_H2 * (p[2 * stride] + p[6 * stride]);
    sum += (float)VJ_SSIMULACRA2_H1 * (p[3 * stride] + p[5 * stride]);
    return sum + (float)VJ_SSIMULACRA2_H0 * p[4 * stride];
}

/* The same in double, for the moments of the original, computed once per picture. */
static inline VJ_HD double vj_ssimulacra2_window_double(const double *p, size_t stride)
{
    double sum = VJ_SSIMULACRA2_H4 * (p[0] + p[8 * stride]);
    sum += VJ_SSIMULACRA2_H3 * (p[1 * stride] + p[7 * stride]);
    sum += VJ_SSIMULACRA2_H2 * (p[2 * stride] + p[6 * stride]);
    sum += VJ_SSIMULACRA2_H1 * (p[3 * stride] + p[5 * stride]);
    return sum + VJ_SSIMULACRA2_H0 * p[4 * stride];
}

/* ---- maps ---- */

/*
 * What does not depend on the distorted picture in the denominator of the SSIM error: twice the
 * original's variance, plus c2.
 */
static inline VJ_HD float vj_ssimulacra2_base(double mean, double mean_square)
{
    return (float)(2.0 * (mean_square - mean * mean) + VJ_SSIMULACRA2_C2);
}

/*
 * SSIM error, >= 0.
 * mean_t, mean_tt, mean_at: F(t), F(t t), F(a t)
 * mean_a, base:             F(a) and vj_ssimulacra2_base()
 */
static inline VJ_HD float vj_ssimulacra2_error(float mean_t, float mean_tt, float mean_at,
                                               float mean_a, float base)
{
    float square = mean_t * mean_t;
    float var_t = mean_tt - square;
    float den = base + (2.0f * (mean_at - mean_a * mean_t) + var_t);
    float error = square + (1.0f - square) * var_t / den;
    return error > 0.0f ? error : 0.0f;
}

/* Edge difference: ringing where positive, blurring where negative. */
static inline VJ_HD float vj_ssimulacra2_edge(float a, float mean_a, float t, float mean_t)
{
    float before = a - mean_a;
    float after = fabsf(before + (t - mean_t));
    before = fabsf(before);
    return (after - before) / (1.0f + before);
}

/* What is summed of a pixel: its maps (SSIM, ringing, blurring), then their fourth powers. */
static inline VJ_HD void vj_ssimulacra2_terms(float error, float edge,
                                              float term[VJ_SSIMULACRA2_TERMS])
{
    term[0] = error;
    term[1] = edge > 0.0f ? edge : 0.0f;
    term[2] = edge < 0.0f ? -edge : 0.0f;
    for (int m = 0; m < VJ_SSIMULACRA2_MAPS; m++) {
        float square = term[m] * term[m];
        term[VJ_SSIMULACRA2_MAPS + m] = square * square;
    }
}

/* ---- the reference program's steps ---- */

/* Its stand-in for the sRGB curve, a quotient of polynomials. */
static inline VJ_HD float vj_ssimulacra2_parity_linear(uint8_t sample)
{
    float v = (float)sample * (1.0f / 255.0f);
    if (v <= 0.04045f)
        return v * (float)(1.0 / 12.92);
    float p = 8.210152774e-01f, q = 6.521209011e-03f;
    p = fmaf(p, v, 7.961564959e-01f);
    p = fmaf(p, v, 1.624820318e-01f);
    p = fmaf(p, v, 1.043637593e-02f);
    p = fmaf(p, v, 2.200248328e-04f);
    q = fmaf(q, v, -5.512498495e-02f);
    q = fmaf(q, v, 4.987528350e-01f);
    q = fmaf(q, v, 1.076976492e+00f);
    q = fmaf(q, v, 2.631846970e-01f);
    return p / q;
}

/* Cube root of v >= 0, less that of the bias. */
static inline VJ_HD float vj_ssimulacra2_parity_root(float v)
{
    uint32_t bits = vj_float_bits(v);
    float r = bits ? vj_float_of_bits(0x54800000u - (bits >> 23) * 0x2AAAAAu) : 0.0f;
    float third = (float)(1.0 / 3.0) * v;
    for (int i = 0; i < 3; i++) {
        float square = r * r;
        r = fmaf(-third, square * square, (float)(4.0 / 3.0) * r);
    }
    float square = r * r;
    r = fmaf((float)(1.0 / 3.0), fmaf(-v, square * square, r), r);
    return fmaf(r * r, v, -(float)VJ_XYB_BIAS_ROOT);
}

static inline VJ_HD struct vj_xyb vj_ssimulacra2_parity_xyb(float red, float green, float blue)
{
    const float bias = (float)VJ_XYB_BIAS;
    float l = fmaf(0.30f, red, fmaf(0.622f, green, fmaf(0.078f, blue, bias)));
    float m = fmaf(0.23f, red, fmaf(0.692f, green, fmaf(0.078f, blue, bias)));
    float s = fmaf(0.24342268924547819f, red,
                   fmaf(0.20476744424496821f, green, fmaf(0.5518098665095536f, blue, bias)));
    l = l > 0.0f ? l : 0.0f;
    m = m > 0.0f ? m : 0.0f;
    s = s > 0.0f ? s : 0.0f;
    return vj_ssimulacra2_xyb_of_roots(vj_ssimulacra2_parity_root(l), vj_ssimulacra2_parity_root(m),
                                       vj_ssimulacra2_parity_root(s));
}

/*
 * One of the three recursions that the reference's filter is the sum of:
 * y[n] = n2 u[n] - d1 y[n-1] - y[n-2], u[n] = in[n-6] + in[n+4], and the same unrolled by four.
 */
struct vj_ssimulacra2_pole {
    float in[4];     /* weights of u[n], u[n-1], ...; in[0] is n2 */
    float last[4];   /* of the output before the block, for its outputs 0..3; last[0] is -d1 */
    float before[4]; /* of the one before that */
};

/* k: 0, 1, 2 for the cosines of order 1, 3, 5 */
static inline VJ_HD struct vj_ssimulacra2_pole vj_ssimulacra2_pole(int k)
{
    const double n2 = k == 0   ? 0.05529523572608661
                      : k == 1 ? -0.05883668702694998
                               : 0.012955819110517063;
    const double d = k == 0 ? -1.902113032590307 : k == 1 ? -1.1755705045849463 : 0.0;
    const double d2 = d * d, d3 = d * d * d;
    struct vj_ssimulacra2_pole pole = {
        {(float)n2, (float)(n2 * -d), (float)(n2 * (d2 - 1)), (float)(n2 * (2 * d - d3))},
        {(float)-d, (float)(d2 - 1), (float)(2 * d - d3), (float)(d2 * d2 - 3 * d2 + 1)},
        {-1.0f, (float)d, (float)(1 - d2), (float)(d3 - 2 * d)},
    };
    return pole;
}

/*
 * Output number i = 0..3 of one recursion after outputs `last` and `before`, from the inputs since,
 * u[0], u[stride], ..., u[i stride]. Along rows; the reference takes four at a time from the same
 * past where it can, else one.
 */
static inline VJ_HD float vj_ssimulacra2_parity_along(const struct vj_ssimulacra2_pole *pole, int i,
                                                      const float *u, size_t stride, float last,
                                                      float before)
{
    float y = u[0] * pole->in[i];
    if (i > 0)
        y = fmaf(pole->in[i - 1], u[stride], y);
    if (i > 1)
        y = fmaf(pole->in[i - 2], u[2 * stride], y);
    if (i > 2)
        y = fmaf(pole->in[i - 3], u[3 * stride], y);
    y = fmaf(pole->before[i], before, y);
    return fmaf(pole->last[i], last, y);
}

/*
 * How many outputs are made from the same past at output n of a row: 4 or 1. Blocks of four begin
 * at multiples of four.
 */
static inline VJ_HD size_t vj_ssimulacra2_parity_steps(size_t n, size_t width)
{
    return n >= 8 && n + 7 < width ? 4 : 1;
}

/* The next output of one recursion, down columns. */
static inline VJ_HD float vj_ssimulacra2_parity_down(const struct vj_ssimulacra2_pole *pole,
                                                     float u, float last, float before)
{
    return fmaf(pole->in[0], u, fmaf(pole->last[0], last, -before));
}

/* The filter's output: the sum of the recursions'. */
static inline VJ_HD float vj_ssimulacra2_parity_sum(float y0, float y1, float y2)
{
    return y0 + (y1 + y2);
}

/* SSIM error in its plain form; moments are F(a), F(d), F(a a), F(d d), F(a d). */
static inline VJ_HD double vj_ssimulacra2_parity_error(float m1, float m2, float s11, float s22,
                                                       float s12)
{
    const float c2 = (float)VJ_SSIMULACRA2_C2;
    float num = 2.0f * (s12 - m1 * m2) + c2;
    float den = ((s11 - m1 * m1) + (s22 - m2 * m2)) + c2;
    float g = 1.0f - (m1 - m2) * (m1 - m2);
    float z = g * num / den;
    double error = 1.0 - (double)z;
    return error > 0.0 ? error : 0.0;
}

static inline VJ_HD double vj_ssimulacra2_parity_edge(float a, float m1, float d, float m2)
{
    return (1.0 + (double)fabsf(d - m2)) / (1.0 + (double)fabsf(a - m1)) - 1.0;
}

/* As vj_ssimulacra2_terms(). */
static inline VJ_HD void vj_ssimulacra2_parity_terms(double error, double edge,
                                                     double term[VJ_SSIMULACRA2_TERMS])
{
    term[0] = error;
    term[1] = edge > 0.0 ? edge : 0.0;
    term[2] = edge < 0.0 ? -edge : 0.0;
    for (int m = 0; m < VJ_SSIMULACRA2_MAPS; m++) {
        double square = term[m] * term[m];
        term[VJ_SSIMULACRA2_MAPS + m] = square * square;
    }
}

/* ---- score ---- */

/* From the weighted sum of the sub-scores, >= 0. At most 100, which equal pictures get exactly. */
static inline VJ_HD double vj_ssimulacra2_score(double sum)
{
    double t = 0.9562382616834844 * sum;
    double u =
        2.326765642916932 * t - 0.020884521182843837 * t * t + 6.248496625763138e-05 * t * t * t;
    return u > 0.0 ? 100.0 - 10.0 * pow(u, 0.6276336467831387) : 100.0;
}

#endif
