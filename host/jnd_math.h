/* SPDX-License-Identifier: MIT */
/*
 * Per-pixel arithmetic of the pixel-JND models, shared by the CPU and CUDA devices. Only + - * /,
 * square roots and comparisons, in a fixed order: the same bits on both.
 */
#ifndef VJ_HOST_JND_MATH_H
#define VJ_HOST_JND_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "host/hostdevice.h"

static inline VJ_HD float vj_jnd_maxf(float a, float b)
{
    return a > b ? a : b;
}

static inline VJ_HD float vj_jnd_minf(float a, float b)
{
    return a < b ? a : b;
}

/*
 * Luminance adaptation: threshold for background luminance b, 0..255, in grey levels. Chou and Li,
 * "A perceptually tuned subband image coder based on the measure of just-noticeable-distortion
 * profile", IEEE Trans. Circuits Syst. Video Technol. 5(6), 1995.
 */
static inline VJ_HD float vj_jnd_luminance(float b)
{
    float dark = 17.0f * (1.0f - sqrtf(b / 127.0f)) + 3.0f;
    float light = (3.0f / 128.0f) * (b - 127.0f) + 3.0f;
    return b <= 127.0f ? dark : light;
}

/* Dark lift of a whole background level, 0..255: round(32 + b 95 / 127) up to 127, b above. */
static inline VJ_HD int vj_jnd_lift(int b)
{
    return b <= 127 ? (2 * (32 * 127 + 95 * b) + 127) / 254 : b;
}

/*
 * Nonlinear additivity model for masking: both thresholds less a share of the smaller (overlap).
 * Yang et al., "Just noticeable distortion model and its applications in video coding", Signal
 * Processing: Image Communication 20(7), 2005.
 */
static inline VJ_HD float vj_jnd_join(float a, float b, float overlap)
{
    return a + b - overlap * vj_jnd_minf(a, b);
}

/* The same for luma, where the share is 0.3. */
static inline VJ_HD float vj_jnd_namm(float a, float b)
{
    return vj_jnd_join(a, b, 0.3f);
}

/* Slope and offset of Chou and Li's spatial masking, for background b in grey levels. */
static inline VJ_HD float vj_jnd_alpha(float b)
{
    return 0.0001f * b + 0.115f;
}

static inline VJ_HD float vj_jnd_beta(float b)
{
    return 0.5f - 0.01f * b;
}

/* Spatial masking of Chou and Li: gradient g, background b, both in grey levels. */
static inline VJ_HD float vj_jnd_spatial(float g, float b)
{
    return g * vj_jnd_alpha(b) + vj_jnd_beta(b);
}

/*
 * Texture masking of Yang et al.: masking is gradient times edge weight, in grey levels; by the
 * paper with a constant slope, in the authors' code with Chou and Li's slope and offset.
 */
static inline VJ_HD float vj_jnd_yang_texture(float masking, float b, int paper)
{
    return paper ? 0.117f * masking : vj_jnd_spatial(masking, b);
}

/* Attenuation on an edge by the paper of Yang et al.: weight 0.1. */
#define VJ_JND_YANG_PAPER_ATTENUATION 0.9f

/*
 * Liu et al. 2010 (liu10): masking by the gradient g of the structure (edge) or of the texture, on
 * background b, all in grey levels. By the paper it grows with a constant slope, texture masking
 * three times as much; in the authors' code it has Chou and Li's slope and offset within 0..10,
 * and texture counts twice as much as edges when both are put together.
 */
static inline VJ_HD float vj_jnd_liu_clipped(float g, float b)
{
    return vj_jnd_minf(vj_jnd_maxf(vj_jnd_spatial(g, b), 0.0f), 10.0f);
}

static inline VJ_HD float vj_jnd_liu_edge(float g, float b, int paper)
{
    return paper ? 0.117f * g : vj_jnd_liu_clipped(g, b);
}

static inline VJ_HD float vj_jnd_liu_texture(float g, float b, int paper)
{
    return paper ? 3.0f * 0.117f * g : vj_jnd_liu_clipped(g, b);
}

static inline VJ_HD float vj_jnd_liu_contrast(float edge, float texture, int paper)
{
    return paper ? edge + texture : 0.7f * edge + 1.4f * texture;
}

/* Canny's high threshold in yang05, as a share of the largest magnitude. */
#define VJ_JND_YANG_EDGE_THRESHOLD 0.5

/*
 * Fifth root, relative error below 2e-6 for x = 0 and 1e-4 <= x <= 1e6.
 *
 * x^(-1/5) starts from the exponent: the bits of a float are its binary logarithm, biased and
 * scaled, so that a division of the bits by -5 is a root within 3.2 %. Each of the three Newton
 * steps z (6 - x z^5) / 5 squares the error; x z^4 is the root without a division.
 */
static inline VJ_HD float vj_jnd_fifth_root(float x)
{
    float safe =
        vj_jnd_maxf(x, 1e-6f); /* keeps z^5 finite at 0, where x z^4 gives 0 all the same */
    uint32_t bits;
    memcpy(&bits, &safe, sizeof(bits));
    bits = 0x4C2BAC00u - bits / 5;
    float z;
    memcpy(&z, &bits, sizeof(z));
    for (int step = 0; step < 3; step++) {
        float z2 = z * z;
        z = z * (1.2f - 0.2f * safe * (z2 * z2 * z));
    }
    float z2 = z * z;
    return x * (z2 * z2);
}

/*
 * Binary logarithm, absolute error below 2e-7 plus 1e-7 of the result, for x >= 1e-30.
 *
 * x = m 2^e with m within sqrt(1/2)..sqrt(2), read off the bits; log2 m is the series
 * 2 / ln 2 (s + s^3 / 3 + s^5 / 5 + ...) of s = (m - 1) / (m + 1).
 */
static inline VJ_HD float vj_jnd_log2(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int32_t exponent = (bits - 0x3F3504F3) >> 23; /* the bits of sqrt(1/2) */
    bits -= exponent * (1 << 23);
    float m;
    memcpy(&m, &bits, sizeof(m));
    float s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
    float series = 0.412198583f + s2 * 0.320598898f;
    series = 0.577078016f + s2 * series;
    series = 0.961796694f + s2 * series;
    series = 2.88539008f + s2 * series;
    return (float)exponent + s * series;
}

/*
 * Exponential in double, relative error below 1e-14, for x <= 0; the limit below is -700, where the
 * result is 1e-304.
 *
 * x = n ln 2 + r with |r| <= ln(2) / 2. Adding 1.5 * 2^52 rounds x / ln 2 to the whole number n and
 * leaves n in the lowest bits, from where it moves into the exponent of the Taylor sum of e^r.
 */
static inline VJ_HD double vj_jnd_exp(double x)
{
    const double rounder = 6755399441055744.0;
    x = x > -700.0 ? x : -700.0;
    double shifted = x * 1.4426950408889634 + rounder;
    double n = shifted - rounder;
    double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double sum = 1.0 / 39916800.0;
    sum = sum * r + 1.0 / 3628800.0;
    sum = sum * r + 1.0 / 362880.0;
    sum = sum * r + 1.0 / 40320.0;
    sum = sum * r + 1.0 / 5040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    uint64_t bits, power;
    memcpy(&power, &shifted, sizeof(power));
    memcpy(&bits, &sum, sizeof(bits));
    bits += power << 52;
    memcpy(&sum, &bits, sizeof(sum));
    return sum;
}

/*
 * Wu et al. 2017 (epc17): luminance contrast Lc^2.4 / (Lc^2 + 676) times a gain, from Lc^2. The
 * paper calls it contrast masking; 676 = 26^2.
 */
static inline VJ_HD float vj_jnd_epc_contrast(float lc_squared, float gain)
{
    return gain * (lc_squared * vj_jnd_fifth_root(lc_squared)) / (lc_squared + 676.0f);
}

/* Wu et al. 2017: gain * p^2.7 / (p^2 + floor), p >= 0 the number of orientations in a
 * neighbourhood. */
static inline VJ_HD float vj_jnd_epc_pattern(float p, float gain, float floor)
{
    float p2 = p * p;
    return gain * (p2 * sqrtf(p) * vj_jnd_fifth_root(p)) / (p2 + floor);
}

/* Gain of luminance contrast in both variants. */
#define VJ_JND_EPC_CONTRAST_GAIN (0.115f * 16.0f)

/* Wu et al. 2017, by the paper's formulas: gradient in grey levels, count of occupied bins. */
static inline VJ_HD float vj_jnd_epc_paper_pattern(float gradient, float count)
{
    return vj_jnd_log2(1.0f + gradient) * vj_jnd_epc_pattern(count, 0.8f, 0.01f);
}

/* Wu et al. 2013 (fep13): patches and neighbours that a pixel is predicted from. */
enum {
    VJ_JND_FEP_REACH = 10,                        /* of neighbours, rows and columns */
    VJ_JND_FEP_ACROSS = 2 * VJ_JND_FEP_REACH + 1, /* neighbours in a row of them */
    VJ_JND_FEP_PATCH = 3,                         /* rows and columns of a patch on each side */
    VJ_JND_FEP_SIDE = 2 * VJ_JND_FEP_PATCH + 1,
    VJ_JND_FEP_AREA = VJ_JND_FEP_SIDE * VJ_JND_FEP_SIDE,            /* pixels of a patch */
    VJ_JND_FEP_OFFSETS = VJ_JND_FEP_ACROSS * VJ_JND_FEP_ACROSS - 1, /* neighbours */
};

/* Canny's high threshold in fep13, as a share of the largest magnitude. */
#define VJ_JND_FEP_EDGE_THRESHOLD 0.7

/* Where neighbour number k, 0..439, lies: rows below the pixel and columns to its right. */
static inline VJ_HD int vj_jnd_fep_place(int k)
{
    return k < VJ_JND_FEP_OFFSETS / 2 ? k : k + 1; /* the pixel itself is left out */
}

static inline VJ_HD int vj_jnd_fep_row(int k)
{
    return vj_jnd_fep_place(k) / VJ_JND_FEP_ACROSS - VJ_JND_FEP_REACH;
}

static inline VJ_HD int vj_jnd_fep_column(int k)
{
    return vj_jnd_fep_place(k) % VJ_JND_FEP_ACROSS - VJ_JND_FEP_REACH;
}

/* Noise sensitivity for a whole background level, 0..255: at least 8 grey levels. */
static inline VJ_HD double vj_jnd_fep_sensitivity(int background)
{
    double lifted = vj_jnd_lift(background);
    double threshold =
        lifted <= 127 ? 17 * (1 - sqrt(lifted / 127)) + 3 : 3.0 / 128 * (lifted - 127) + 3;
    return threshold > 8.0 ? threshold : 8.0;
}

/*
 * Square of the bandwidth: it shrinks where the picture is rougher than its sensitivity.
 * variance2401: population variance over 7x7 pixels times 49 * 49
 */
static inline VJ_HD double vj_jnd_fep_bandwidth_squared(double sensitivity, int32_t variance2401)
{
    double deviation = sqrt((double)variance2401) / VJ_JND_FEP_AREA;
    double square = sensitivity * sensitivity;
    return deviation > sensitivity ? square * (sensitivity / deviation) : square;
}

/* Slope of a weight's exponent over the sum of squared differences of two patches. */
static inline VJ_HD double vj_jnd_fep_rate(double bandwidth_squared)
{
    return 1.0 / (VJ_JND_FEP_AREA * bandwidth_squared);
}

/*
 * Weight of a neighbour, relative to the nearest one's.
 * distance, least: sums of squared differences over a patch, and the least of the pixel's
 */
static inline VJ_HD double vj_jnd_fep_weight(int32_t distance, int32_t least, double rate)
{
    return vj_jnd_exp((double)(least - distance) * rate);
}

/* The prediction, rounded: total is the sum of weight times (neighbour - pixel). */
static inline VJ_HD int vj_jnd_fep_prediction(int pixel, double total, double weights)
{
    return (int)(pixel + total / weights + 0.5);
}

/*
 * Contrast masking of the prediction: its gradient, compressed as the logarithm to the base 4.
 * gradient16: times 16; background32: times 32
 */
static inline VJ_HD float vj_jnd_fep_contrast(int gradient16, int background32)
{
    float b = (float)(background32 / 32), g = (float)gradient16 / 16.0f;
    return fabsf(vj_jnd_spatial(40.0f * vj_jnd_log2(1.0f + g / 80.0f), b));
}

/*
 * Disorder masking: the residual, smoothed where the standard deviation over 7x7 is below 10.
 * weight: edge weight
 */
static inline VJ_HD float vj_jnd_fep_disorder(int32_t variance2401, float residual, float smooth,
                                              float weight)
{
    float least = vj_jnd_minf(residual, smooth);
    return weight * (variance2401 < 10 * 10 * VJ_JND_FEP_AREA * VJ_JND_FEP_AREA ? least : residual);
}

/* Orientation bins of epc17: 16 of 12 degrees, and one for pixels without structure. */
#define VJ_JND_BINS         16
#define VJ_JND_UNSTRUCTURED 16

/*
 * Orientation bin of a pixel, from its 3x3 Prewitt sums, -765..765: sx = right minus left column
 * sum, sy = lower minus upper row sum.
 *
 * The definition is (O + 6) / 12 in integers, where O is the angle atan2(sy, sx) rounded to whole
 * degrees, turned by 180 into -90..90, plus 90. A bin's lower limit is therefore an angle of
 * 12 k - 96.5 degrees on the half plane sx >= 0, and the bin is the number of limits that the
 * slope reaches; no slope of these integers comes near enough to a limit for float32 to decide
 * wrongly (the unit test goes through all of them). Rounding comes before the turn, so that an
 * angle up to half a degree beyond +-90 is not turned: these few land at the other end.
 */
static inline VJ_HD int vj_jnd_epc_bin(int sx, int sy)
{
    float turn = sx < 0 ? -1.0f : 1.0f;
    float x = turn * (float)sx, y = turn * (float)sy;
    int bin = (y >= -10.3853971f * x) + (y >= -3.17159480f * x) + (y >= -1.76749402f * x) +
              (y >= -1.13029439f * x) + (y >= -0.739961075f * x) + (y >= -0.455726256f * x) +
              (y >= -0.221694663f * x) + (y >= -0.00872686779f * x) + (y >= 0.203452298f * x) +
              (y >= 0.434812375f * x) + (y >= 0.713293068f * x) + (y >= 1.09130850f * x) +
              (y >= 1.69766312f * x) + (y >= 2.98868496f * x) + (y >= 8.77688736f * x);
    float limit = 114.588650f * x; /* tan 89.5 degrees */
    int beyond = (sx < 0) & ((y > limit) | (y < -limit));
    bin = beyond ? VJ_JND_BINS - 1 - bin : bin;
    return sx * sx + sy * sy >= 225 ? bin : VJ_JND_UNSTRUCTURED;
}

#endif
