/* SPDX-License-Identifier: MIT */
/*
 * Full-reference picture quality: PSNR, SSIM, MS-SSIM of many distorted versions of one reference.
 *
 * What depends on the reference alone is computed once (vj_quality_reference_load); one distorted
 * picture is then one call in one thread with a scratch of its own, so that parallelism lies across
 * pictures and no result depends on the number of threads. The same bits come out on every
 * processor, up to the C library's log10 and pow (last digit of psnr_* and ms_ssim).
 *
 * Definitions, with Y = 0.299 R + 0.587 G + 0.114 B (BT.601 full range, not rounded; grey: the grey
 * value) and range 255:
 *   psnr_y    10 log10(255^2 / mean of (Y_d - Y_r)^2)
 *   psnr_rgb  the same, the mean going over all samples of R, G and B; for grey equal to psnr_y
 *   ssim      on Y: 11 x 11 Gaussian window of sigma 1.5, windows wholly inside only, k 0.01 / 0.03
 *   ms_ssim   on Y: five scales, 2 x 2 mean pooling (an odd last row or column is dropped); product
 *             of the mean contrast-structure of scales 1..4 and the mean SSIM of scale 5, each
 *             clipped at 0, to the powers 0.0448 0.2856 0.3001 0.2363 0.1333
 * Sources and arithmetic: host/quality_math.h.
 *
 * Accuracy against an all-double evaluation: PSNR is exact up to the last rounding (integer sums);
 * ssim is within 5e-7 (on photographs 2e-8), and so is ms_ssim as long as none of its factors is
 * below 0.05: its powers are infinitely steep at 0.
 */
#ifndef VJ_HOST_QUALITY_H
#define VJ_HOST_QUALITY_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"

/* What is wanted; a set, joined with |. PSNR is both psnr_y and psnr_rgb. */
enum {
    VJ_QUALITY_PSNR = 1,
    VJ_QUALITY_SSIM = 2,
    VJ_QUALITY_MS_SSIM = 4,
    VJ_QUALITY_ALL = 7,
};

/* Largest picture: sums of integers are sized for it. */
#define VJ_QUALITY_MAX_PIXELS ((size_t)1 << 28)

/*
 * NaN where not asked for or not defined: ssim below 11 pixels on the smaller side, ms_ssim below
 * 176. psnr_* is +infinity for identical pictures (of Y, of RGB): a writer whose format has no
 * infinity must state a convention of its own. ssim is in [-1, 1], ms_ssim in [0, 1], both exactly
 * 1 for identical pictures.
 */
struct vj_quality_values {
    double psnr_y;   /* dB */
    double psnr_rgb; /* dB */
    double ssim;
    double ms_ssim;
};

struct vj_quality_reference;
struct vj_quality_scratch;

/*
 * Takes the memory for references of at most max_width x max_height pixels, all of it here.
 * which: what vj_quality_compute() is to give, VJ_QUALITY_*
 * *ref:  owned by the caller (vj_quality_reference_free); NULL on failure
 * Bytes per pixel of the largest picture: 3, with SSIM 11, with MS-SSIM 13.7; and 16 per column.
 *
 * Errors: -EINVAL (empty or too large, unknown `which`), -ENOMEM.
 */
int vj_quality_reference_create(struct vj_quality_reference **ref, size_t max_width,
                                size_t max_height, int which, struct vj_error *err);

/*
 * Makes `img` (grey or RGB) the reference of the calls that follow; nothing is allocated and `img`
 * may be freed afterwards. Not while another thread computes with `ref`.
 * Errors: -EINVAL (wider or higher than at creation, not 1 or 3 channels); the reference is then
 * unloaded.
 */
int vj_quality_reference_load(struct vj_quality_reference *ref, const struct vj_image *img,
                              struct vj_error *err);

/* NULL is harmless. */
void vj_quality_reference_free(struct vj_quality_reference *ref);

/*
 * Working memory of one thread for distorted pictures of at most max_width x max_height pixels:
 * next to nothing for PSNR, 4 bytes per pixel with SSIM, 5.4 with MS-SSIM.
 * *scratch: owned by the caller (vj_quality_scratch_free); NULL on failure
 * Errors: as vj_quality_reference_create().
 */
int vj_quality_scratch_create(struct vj_quality_scratch **scratch, size_t max_width,
                              size_t max_height, int which, struct vj_error *err);

/* NULL is harmless. */
void vj_quality_scratch_free(struct vj_quality_scratch *scratch);

/*
 * Compares one distorted picture with the loaded reference.
 * distorted: as the reference, height x width x channels, tightly packed
 * out:       always filled
 * Several threads may call this with one `ref` and a scratch each.
 * Errors: -EINVAL when nothing is loaded or the scratch is too small for the reference or was made
 * for fewer metrics; *out is then all NaN.
 */
int vj_quality_compute(const struct vj_quality_reference *ref, const uint8_t *distorted,
                       struct vj_quality_scratch *scratch, struct vj_quality_values *out);

#endif
