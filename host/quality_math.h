/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of PSNR, SSIM and MS-SSIM that the CPU and CUDA share.
 *
 * SSIM: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
 * structural similarity", IEEE TIP 13(4), 2004. MS-SSIM: Wang, Simoncelli, Bovik, "Multiscale
 * structural similarity for image quality assessment", Asilomar 2003.
 *
 * Everything is written in terms of the difference t = d - r of the distorted picture d and the
 * reference r, because that is what float32 can hold well. With F the Gaussian window,
 * D = F(t) and V = F((t - D)^2), the two factors of SSIM are, exactly,
 *
 *     luminance          = 1 - D^2 / (mu_r^2 + mu_d^2 + C1)
 *     contrast-structure = 1 - V / (var_r + var_d + C2)
 *
 * so what is computed and summed is the *loss* of each factor, which is small where the pictures
 * are close and exactly 0 where they are equal. No variance is the difference of two large moments:
 * that of a window is the mean of the variances of its columns plus the variance of its column
 * means, each taken about its own mean; the same for the covariance of r and t, which gives
 * var_d = var_r + 2 cov + V.
 *
 * Losses are summed as integers (vj_ssim_fixed), so that a sum does not depend on its order: thread
 * count, vector width and device all give the same bits.
 */
#ifndef VJ_HOST_QUALITY_MATH_H
#define VJ_HOST_QUALITY_MATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "host/hostdevice.h"

/* Samples of exp(-k^2 / (2 1.5^2)), k = -5..5, divided by their sum. */
#define VJ_SSIM_W0 0.26601172486179434
#define VJ_SSIM_W1 0.21300553771125370
#define VJ_SSIM_W2 0.10936068950970002
#define VJ_SSIM_W3 0.036000772128430824
#define VJ_SSIM_W4 0.0075987581352391842
#define VJ_SSIM_W5 0.0010283800844791098

#define VJ_SSIM_C1 6.5025  /* (0.01 * 255)^2 */
#define VJ_SSIM_C2 58.5225 /* (0.03 * 255)^2 */

enum {
    VJ_SSIM_TAPS = 11,
    VJ_SSIM_MARGIN = VJ_SSIM_TAPS - 1, /* a w x h plane has (w - 10) x (h - 10) windows */
    VJ_MS_SSIM_SCALES = 5,
    VJ_MS_SSIM_MIN_SIDE = 176, /* the fifth scale of a 176-pixel side is 11 wide: one window */
};

/*
 * BT.601 luma, or difference of two lumas, in thousandths: 0.299 R + 0.587 G + 0.114 B exactly.
 * For samples it is in 0..255000, for differences of samples in -255000..255000.
 */
static inline VJ_HD int32_t vj_luma_milli(int32_t r, int32_t g, int32_t b)
{
    return 299 * r + 587 * g + 114 * b;
}

/*
 * Thousandths to 8-bit units, correctly rounded: whole numbers stay whole, as in a grey picture. A
 * device, whose division is long, multiplies and puts it right by what that leaves: the same bits
 * for all of -255000..255000 (tests/host/test_quality.c).
 */
static inline VJ_HD float vj_milli_by_product(int32_t milli)
{
    const float near = (float)milli * 0.001f;
    return fmaf(fmaf(-1000.0f, near, (float)milli), 0.001f, near);
}

static inline VJ_HD float vj_milli_to_float(int32_t milli)
{
#ifdef __CUDA_ARCH__
    return vj_milli_by_product(milli);
#else
    return (float)milli / 1000.0f;
#endif
}

/* The reverse for a luma of 0..255: what it is a thousandth of. */
static inline VJ_HD int32_t vj_float_to_milli(float luma)
{
    return (int32_t)(luma * 1000.0f + 0.5f);
}

/* 2x2 mean, the step between two scales of MS-SSIM. */
static inline VJ_HD float vj_quality_pool(float a, float b, float c, float d)
{
    return 0.25f * ((a + b) + (c + d));
}

/* One-dimensional window over p[0], p[stride], ..., p[10 stride]. */
static inline VJ_HD float vj_ssim_window(const float *p, size_t stride)
{
    float sum = (float)VJ_SSIM_W5 * (p[0] + p[10 * stride]);
    sum += (float)VJ_SSIM_W4 * (p[1 * stride] + p[9 * stride]);
    sum += (float)VJ_SSIM_W3 * (p[2 * stride] + p[8 * stride]);
    sum += (float)VJ_SSIM_W2 * (p[3 * stride] + p[7 * stride]);
    sum += (float)VJ_SSIM_W1 * (p[4 * stride] + p[6 * stride]);
    return sum + (float)VJ_SSIM_W0 * p[5 * stride];
}

/* The window over (p - mean_p) (q - mean_q). */
static inline VJ_HD float vj_ssim_window_cross(const float *p, float mean_p, const float *q,
                                               float mean_q, size_t stride)
{
    const size_t s = stride;
    float sum = (float)VJ_SSIM_W5 *
                ((p[0] - mean_p) * (q[0] - mean_q) + (p[10 * s] - mean_p) * (q[10 * s] - mean_q));
    sum += (float)VJ_SSIM_W4 *
           ((p[1 * s] - mean_p) * (q[1 * s] - mean_q) + (p[9 * s] - mean_p) * (q[9 * s] - mean_q));
    sum += (float)VJ_SSIM_W3 *
           ((p[2 * s] - mean_p) * (q[2 * s] - mean_q) + (p[8 * s] - mean_p) * (q[8 * s] - mean_q));
    sum += (float)VJ_SSIM_W2 *
           ((p[3 * s] - mean_p) * (q[3 * s] - mean_q) + (p[7 * s] - mean_p) * (q[7 * s] - mean_q));
    sum += (float)VJ_SSIM_W1 *
           ((p[4 * s] - mean_p) * (q[4 * s] - mean_q) + (p[6 * s] - mean_p) * (q[6 * s] - mean_q));
    return sum + (float)VJ_SSIM_W0 * ((p[5 * s] - mean_p) * (q[5 * s] - mean_q));
}

/* vj_ssim_window() in double, for the moments of the reference, computed once per picture. */
static inline VJ_HD double vj_ssim_window_double(const double *p, size_t stride)
{
    double sum = VJ_SSIM_W5 * (p[0] + p[10 * stride]);
    sum += VJ_SSIM_W4 * (p[1 * stride] + p[9 * stride]);
    sum += VJ_SSIM_W3 * (p[2 * stride] + p[8 * stride]);
    sum += VJ_SSIM_W2 * (p[3 * stride] + p[7 * stride]);
    sum += VJ_SSIM_W1 * (p[4 * stride] + p[6 * stride]);
    return sum + VJ_SSIM_W0 * p[5 * stride];
}

/*
 * 1 - contrast-structure, in [0, 2], from the variances of t and r and their covariance.
 * The maximum catches rounding only: a variance is not negative.
 */
static inline VJ_HD float vj_ssim_contrast_loss(float var_t, float covariance, float var_r)
{
    float var_d = var_r + (2.0f * covariance + var_t);
    var_d = var_d > 0.0f ? var_d : 0.0f;
    return var_t / ((var_r + var_d) + (float)VJ_SSIM_C2);
}

/* 1 - luminance, in [0, 1), from F(t) and F(r). */
static inline VJ_HD float vj_ssim_luminance_loss(float mean_t, float mean_r)
{
    float mean_d = mean_r + mean_t;
    return mean_t * mean_t / ((mean_r * mean_r + mean_d * mean_d) + (float)VJ_SSIM_C1);
}

/* 1 - SSIM = 1 - (1 - a)(1 - b) of two losses, without ever forming 1 - a. In [0, 2]. */
static inline VJ_HD float vj_ssim_joint_loss(float luminance_loss, float contrast_loss)
{
    return luminance_loss + (contrast_loss - luminance_loss * contrast_loss);
}

/*
 * A loss in units of 2^-29, rounded to nearest. At most about 2^30, so the sum over 2^28 windows
 * fits an int64_t.
 */
static inline VJ_HD int32_t vj_ssim_fixed(float loss)
{
    return (int32_t)(loss * 536870912.0f + 0.5f);
}

/* Mean of a factor from the integer sum of its losses over `windows` windows. */
static inline VJ_HD double vj_ssim_mean(int64_t loss_sum, double windows)
{
    return 1.0 - (double)loss_sum / 536870912.0 / windows;
}

#endif
