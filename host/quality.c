/* SPDX-License-Identifier: MIT */
#include "host/quality.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/quality_math.h"
#include "host/simd.h"

enum {
    CHUNK = 1024, /* pixels whose differences are summed in 32 bits: 3 * 1024 * 255^2 < 2^32 */
    STRIP = 256,  /* columns handled together, so that eleven rows of two planes stay in L1 */
};

/* One scale of the reference. Planes are tightly packed; moments have (w - 10) x (h - 10) values.
 */
struct scale {
    size_t width, height;
    float *luma; /* Y - VJ_QUALITY_CENTRE */
    float *mean; /* F(luma) */
    float *var;  /* F(luma^2) - F(luma)^2, >= 0 */
};

struct vj_quality_reference {
    size_t max_width, max_height;
    int which;
    size_t width, height; /* of the picture loaded; 0 when none is */
    int channels;
    int scales; /* how many are in use for the picture loaded: 0, 1 or 5 */
    uint8_t *pixels;
    struct scale scale[VJ_MS_SSIM_SCALES];
    double *column_mean, *column_square; /* one row each, while loading */
};

struct vj_quality_scratch {
    size_t max_width, max_height;
    int scales; /* how many planes there are: 0, 1 or 5 */
    float *difference[VJ_MS_SSIM_SCALES];
};

/* Integer sums over differences d - r: exact, and the same in any order. */
struct difference_sums {
    uint64_t samples_squared; /* over all samples */
    uint64_t luma_squared;    /* thousandths^2 */
    int64_t luma;             /* thousandths */
};

struct loss_sums {
    int64_t contrast; /* of vj_ssim_fixed() */
    int64_t joint;
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Scales on which windows are needed: 0 (PSNR only, or picture too small), 1 (SSIM) or 5. */
static int scales_needed(size_t width, size_t height, int which)
{
    size_t side = min_size(width, height);
    if ((which & VJ_QUALITY_MS_SSIM) && side >= VJ_MS_SSIM_MIN_SIDE)
        return VJ_MS_SSIM_SCALES;
    if ((which & VJ_QUALITY_SSIM) && side >= VJ_SSIM_TAPS)
        return 1;
    return 0;
}

static int check_limits(size_t width, size_t height, int which, struct vj_error *err)
{
    size_t pixels;
    if (which <= 0 || (which & ~VJ_QUALITY_ALL))
        return vj_fail(err, -EINVAL,
                       "quality metrics: set %d is not a union of PSNR 1, SSIM 2, MS-SSIM 4",
                       which);
    if (width == 0 || height == 0)
        return vj_fail(err, -EINVAL, "quality metrics: a picture of %zux%zu has no pixels", width,
                       height);
    if (!vj_size_mul(width, height, &pixels) || pixels > VJ_QUALITY_MAX_PIXELS)
        return vj_fail(
            err, -EINVAL,
            "quality metrics: %zux%zu is more than the %zu pixels supported; use smaller pictures",
            width, height, VJ_QUALITY_MAX_PIXELS);
    return 0;
}

static float *alloc_plane(size_t width, size_t height, int scale)
{
    return vj_alloc_aligned((width >> scale) * (height >> scale), sizeof(float));
}

/* ---- reference ----------------------------------------------------------------------------------
 */

int vj_quality_reference_create(struct vj_quality_reference **ref, size_t max_width,
                                size_t max_height, int which, struct vj_error *err)
{
    *ref = NULL;
    int rc = check_limits(max_width, max_height, which, err);
    if (rc)
        return rc;

    struct vj_quality_reference *r = vj_calloc(1, sizeof(*r));
    if (!r)
        goto no_memory;
    r->max_width = max_width;
    r->max_height = max_height;
    r->which = which;
    r->pixels = vj_alloc_aligned(max_width * max_height, 3);
    if (!r->pixels)
        goto no_memory;

    int scales = scales_needed(max_width, max_height, which);
    for (int s = 0; s < scales; s++) {
        struct scale *scale = &r->scale[s];
        scale->luma = alloc_plane(max_width, max_height, s);
        scale->mean = alloc_plane(max_width, max_height, s);
        scale->var = alloc_plane(max_width, max_height, s);
        if (!scale->luma || !scale->mean || !scale->var)
            goto no_memory;
    }
    if (scales) {
        r->column_mean = vj_alloc_aligned(max_width, sizeof(double));
        r->column_square = vj_alloc_aligned(max_width, sizeof(double));
        if (!r->column_mean || !r->column_square)
            goto no_memory;
    }
    *ref = r;
    return 0;

no_memory:
    vj_quality_reference_free(r);
    return vj_fail(err, -ENOMEM, "quality metrics: no memory for a reference of %zux%zu", max_width,
                   max_height);
}

void vj_quality_reference_free(struct vj_quality_reference *ref)
{
    if (!ref)
        return;
    for (int s = 0; s < VJ_MS_SSIM_SCALES; s++) {
        free(ref->scale[s].luma);
        free(ref->scale[s].mean);
        free(ref->scale[s].var);
    }
    free(ref->column_mean);
    free(ref->column_square);
    free(ref->pixels);
    free(ref);
}

VJ_SIMD static void centred_luma(float *luma, const uint8_t *pixels, size_t count, int channels)
{
    const int32_t centre = 1000 * (int32_t)VJ_QUALITY_CENTRE;
    if (channels == 1) {
        for (size_t i = 0; i < count; i++)
            luma[i] = (float)pixels[i] - VJ_QUALITY_CENTRE;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t milli = vj_luma_milli(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]);
        luma[i] = vj_milli_to_float(milli - centre);
    }
}

/* to: (width / 2) x (height / 2); an odd last row or column of `from` is dropped. */
VJ_SIMD static void pool(float *restrict to, const float *restrict from, size_t width,
                         size_t height)
{
    size_t half = width / 2;
    for (size_t y = 0; y < height / 2; y++) {
        const float *a = from + 2 * y * width;
        const float *b = a + width;
        for (size_t x = 0; x < half; x++)
            to[y * half + x] = vj_quality_pool(a[2 * x], a[2 * x + 1], b[2 * x], b[2 * x + 1]);
    }
}

/* Column sums of eleven rows and of their squares, weighted, in double. */
VJ_SIMD static void column_moments(double *restrict mean, double *restrict square,
                                   const float *restrict rows, size_t width)
{
    static const double weight[VJ_SSIM_TAPS] = {
        VJ_SSIM_W5, VJ_SSIM_W4, VJ_SSIM_W3, VJ_SSIM_W2, VJ_SSIM_W1, VJ_SSIM_W0,
        VJ_SSIM_W1, VJ_SSIM_W2, VJ_SSIM_W3, VJ_SSIM_W4, VJ_SSIM_W5,
    };
    for (size_t x = 0; x < width; x++) {
        double m = 0, q = 0;
        for (size_t k = 0; k < VJ_SSIM_TAPS; k++) {
            double v = rows[k * width + x];
            m += weight[k] * v;
            q += weight[k] * (v * v);
        }
        mean[x] = m;
        square[x] = q;
    }
}

VJ_SIMD static void row_moments(float *restrict mean, float *restrict var,
                                const double *restrict column_mean,
                                const double *restrict column_square, size_t windows)
{
    for (size_t x = 0; x < windows; x++) {
        double m = vj_ssim_window_double(column_mean + x, 1);
        double v = vj_ssim_window_double(column_square + x, 1) - m * m;
        mean[x] = (float)m;
        var[x] = (float)(v > 0.0 ? v : 0.0);
    }
}

/* In double: var would lose half its digits to cancellation otherwise, and it is done only once. */
static void reference_moments(struct vj_quality_reference *ref, struct scale *scale)
{
    size_t across = scale->width - VJ_SSIM_MARGIN;
    size_t down = scale->height - VJ_SSIM_MARGIN;
    for (size_t y = 0; y < down; y++) {
        column_moments(ref->column_mean, ref->column_square, scale->luma + y * scale->width,
                       scale->width);
        row_moments(scale->mean + y * across, scale->var + y * across, ref->column_mean,
                    ref->column_square, across);
    }
}

int vj_quality_reference_load(struct vj_quality_reference *ref, const struct vj_image *img,
                              struct vj_error *err)
{
    ref->width = 0;
    ref->height = 0;
    if (img->channels != 1 && img->channels != 3)
        return vj_fail(err, -EINVAL, "quality metrics: reference has %d channels, expected 1 or 3",
                       img->channels);
    if (img->width == 0 || img->height == 0 || img->width > ref->max_width ||
        img->height > ref->max_height)
        return vj_fail(
            err, -EINVAL,
            "quality metrics: reference of %zux%zu does not fit the memory taken for %zux%zu",
            img->width, img->height, ref->max_width, ref->max_height);

    ref->channels = img->channels;
    ref->scales = scales_needed(img->width, img->height, ref->which);
    memcpy(ref->pixels, img->data, img->width * img->height * (size_t)img->channels);
    for (int s = 0; s < ref->scales; s++) {
        struct scale *scale = &ref->scale[s];
        const struct scale *finer = &ref->scale[s ? s - 1 : 0];
        scale->width = img->width >> s;
        scale->height = img->height >> s;
        if (s == 0)
            centred_luma(scale->luma, ref->pixels, img->width * img->height, img->channels);
        else
            pool(scale->luma, finer->luma, finer->width, finer->height);
        reference_moments(ref, scale);
    }
    ref->width = img->width;
    ref->height = img->height;
    return 0;
}

/* ---- scratch ------------------------------------------------------------------------------------
 */

int vj_quality_scratch_create(struct vj_quality_scratch **scratch, size_t max_width,
                              size_t max_height, int which, struct vj_error *err)
{
    *scratch = NULL;
    int rc = check_limits(max_width, max_height, which, err);
    if (rc)
        return rc;

    struct vj_quality_scratch *s = vj_calloc(1, sizeof(*s));
    if (!s)
        goto no_memory;
    s->max_width = max_width;
    s->max_height = max_height;
    s->scales = scales_needed(max_width, max_height, which);
    for (int i = 0; i < s->scales; i++) {
        s->difference[i] = alloc_plane(max_width, max_height, i);
        if (!s->difference[i])
            goto no_memory;
    }
    *scratch = s;
    return 0;

no_memory:
    vj_quality_scratch_free(s);
    return vj_fail(err, -ENOMEM, "quality metrics: no memory for pictures of %zux%zu", max_width,
                   max_height);
}

void vj_quality_scratch_free(struct vj_quality_scratch *scratch)
{
    if (!scratch)
        return;
    for (int i = 0; i < VJ_MS_SSIM_SCALES; i++)
        free(scratch->difference[i]);
    free(scratch);
}

/* ---- one distorted picture ----------------------------------------------------------------------
 */

/* Luma differences of up to CHUNK pixels in thousandths; returns the sum of all squared
 * differences. */
VJ_SIMD static uint32_t chunk_differences(int32_t *restrict milli, const uint8_t *restrict d,
                                          const uint8_t *restrict r, size_t pixels, int channels)
{
    int16_t difference[3 * CHUNK];
    size_t samples = pixels * (size_t)channels;
    uint32_t squares = 0;
    for (size_t i = 0; i < samples; i++) {
        int32_t t = d[i] - r[i];
        difference[i] = (int16_t)t;
        squares += (uint32_t)(t * t);
    }
    if (channels == 1) {
        for (size_t i = 0; i < pixels; i++)
            milli[i] = 1000 * difference[i];
    } else {
        for (size_t i = 0; i < pixels; i++)
            milli[i] =
                vj_luma_milli(difference[3 * i], difference[3 * i + 1], difference[3 * i + 2]);
    }
    return squares;
}

VJ_SIMD static void chunk_luma_sums(struct difference_sums *sums, const int32_t *milli,
                                    size_t pixels)
{
    int32_t sum = 0; /* at most 1024 * 255000 < 2^31 */
    int64_t squares = 0;
    for (size_t i = 0; i < pixels; i++) {
        sum += milli[i];
        squares += (int64_t)milli[i] * milli[i];
    }
    sums->luma += sum;
    sums->luma_squared += (uint64_t)squares;
}

VJ_SIMD static void chunk_to_plane(float *restrict plane, const int32_t *restrict milli,
                                   size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        plane[i] = vj_milli_to_float(milli[i]);
}

/* plane: difference of lumas, or NULL when only sums are wanted. */
static struct difference_sums differences(float *plane, const struct vj_quality_reference *ref,
                                          const uint8_t *distorted)
{
    struct difference_sums sums = {0, 0, 0};
    size_t channels = (size_t)ref->channels;
    size_t total = ref->width * ref->height;
    for (size_t at = 0; at < total; at += CHUNK) {
        int32_t milli[CHUNK];
        size_t pixels = min_size(CHUNK, total - at);
        sums.samples_squared += chunk_differences(
            milli, distorted + at * channels, ref->pixels + at * channels, pixels, ref->channels);
        chunk_luma_sums(&sums, milli, pixels);
        if (plane)
            chunk_to_plane(plane + at, milli, pixels);
    }
    return sums;
}

VJ_SIMD static void shift(float *plane, size_t count, float offset)
{
    for (size_t i = 0; i < count; i++)
        plane[i] -= offset;
}

/* F along columns of t, t t and r t. */
VJ_SIMD static void column_windows(float *restrict ft, float *restrict ftt, float *restrict frt,
                                   const float *restrict t, const float *restrict r, size_t stride,
                                   size_t count)
{
    for (size_t x = 0; x < count; x++) {
        ft[x] = vj_ssim_window(t + x, stride);
        ftt[x] = vj_ssim_window_product(t + x, t + x, stride);
        frt[x] = vj_ssim_window_product(r + x, t + x, stride);
    }
}

VJ_SIMD static int64_t contrast_losses(const float *restrict ft, const float *restrict ftt,
                                       const float *restrict frt, const float *restrict mean,
                                       const float *restrict var, size_t count)
{
    int64_t sum = 0;
    for (size_t x = 0; x < count; x++) {
        float loss = vj_ssim_contrast_loss(vj_ssim_window(ft + x, 1), vj_ssim_window(ftt + x, 1),
                                           vj_ssim_window(frt + x, 1), mean[x], var[x]);
        sum += vj_ssim_fixed(loss);
    }
    return sum;
}

VJ_SIMD static struct loss_sums joint_losses(const float *restrict ft, const float *restrict ftt,
                                             const float *restrict frt, const float *restrict mean,
                                             const float *restrict var, float offset, size_t count)
{
    int64_t contrast_sum = 0, joint_sum = 0;
    for (size_t x = 0; x < count; x++) {
        float mean_t = vj_ssim_window(ft + x, 1);
        float contrast = vj_ssim_contrast_loss(mean_t, vj_ssim_window(ftt + x, 1),
                                               vj_ssim_window(frt + x, 1), mean[x], var[x]);
        float luminance = vj_ssim_luminance_loss(mean_t + offset, mean[x]);
        contrast_sum += vj_ssim_fixed(contrast);
        joint_sum += vj_ssim_fixed(vj_ssim_joint_loss(luminance, contrast));
    }
    return (struct loss_sums){contrast_sum, joint_sum};
}

/*
 * Losses summed over all windows of one scale.
 * t: difference plane less `offset`; joint: whether the full SSIM is wanted besides
 * contrast-structure
 */
static struct loss_sums scale_losses(const struct scale *ref, const float *t, float offset,
                                     bool joint)
{
    struct loss_sums sums = {0, 0};
    size_t across = ref->width - VJ_SSIM_MARGIN;
    size_t down = ref->height - VJ_SSIM_MARGIN;
    for (size_t x = 0; x < across; x += STRIP) {
        size_t count = min_size(STRIP, across - x);
        for (size_t y = 0; y < down; y++) {
            float ft[STRIP + VJ_SSIM_MARGIN], ftt[STRIP + VJ_SSIM_MARGIN],
                frt[STRIP + VJ_SSIM_MARGIN];
            size_t in = y * ref->width + x, out = y * across + x;
            column_windows(ft, ftt, frt, t + in, ref->luma + in, ref->width,
                           count + VJ_SSIM_MARGIN);
            if (joint) {
                struct loss_sums row =
                    joint_losses(ft, ftt, frt, ref->mean + out, ref->var + out, offset, count);
                sums.contrast += row.contrast;
                sums.joint += row.joint;
            } else {
                sums.contrast +=
                    contrast_losses(ft, ftt, frt, ref->mean + out, ref->var + out, count);
            }
        }
    }
    return sums;
}

/* mean_square == 0 gives +infinity. */
static double psnr(double mean_square)
{
    return 10.0 * log10(255.0 * 255.0 / mean_square);
}

static void structural(const struct vj_quality_reference *ref, struct vj_quality_scratch *scratch,
                       float offset, struct vj_quality_values *out)
{
    static const double power[VJ_MS_SSIM_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    bool single = ref->which & VJ_QUALITY_SSIM;
    double product = 1.0;

    shift(scratch->difference[0], ref->width * ref->height, offset);
    for (int s = 0; s < ref->scales; s++) {
        const struct scale *scale = &ref->scale[s];
        bool last = s == VJ_MS_SSIM_SCALES - 1;
        if (s > 0)
            pool(scratch->difference[s], scratch->difference[s - 1], scale[-1].width,
                 scale[-1].height);

        struct loss_sums sums =
            scale_losses(scale, scratch->difference[s], offset, last || (s == 0 && single));
        double windows =
            (double)(scale->width - VJ_SSIM_MARGIN) * (double)(scale->height - VJ_SSIM_MARGIN);
        if (s == 0 && single)
            out->ssim = vj_ssim_mean(sums.joint, windows);
        double factor = vj_ssim_mean(last ? sums.joint : sums.contrast, windows);
        product *= pow(factor > 0.0 ? factor : 0.0, power[s]);
    }
    if (ref->scales == VJ_MS_SSIM_SCALES)
        out->ms_ssim = product;
}

int vj_quality_compute(const struct vj_quality_reference *ref, const uint8_t *distorted,
                       struct vj_quality_scratch *scratch, struct vj_quality_values *out)
{
    *out = (struct vj_quality_values){NAN, NAN, NAN, NAN};
    if (ref->width == 0 || ref->width > scratch->max_width || ref->height > scratch->max_height ||
        ref->scales > scratch->scales)
        return -EINVAL;

    struct difference_sums sums =
        differences(ref->scales ? scratch->difference[0] : NULL, ref, distorted);
    double pixels = (double)ref->width * (double)ref->height;
    if (ref->which & VJ_QUALITY_PSNR) {
        out->psnr_y = psnr((double)sums.luma_squared / 1e6 / pixels);
        out->psnr_rgb = psnr((double)sums.samples_squared / (double)ref->channels / pixels);
    }
    if (ref->scales)
        structural(ref, scratch, (float)((double)sums.luma / 1e3 / pixels), out);
    return 0;
}
