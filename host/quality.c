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

/* One scale of the reference. Planes are tightly packed; there are (w - 10) x (h - 10) windows.
 */
struct scale {
    size_t width, height;
    float *luma;
    float *var; /* of its windows, >= 0 */
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

/* ---- reference -------------------------------------------------------------------------- */

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
        scale->var = alloc_plane(max_width, max_height, s);
        if (!scale->luma || !scale->var)
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
        free(ref->scale[s].var);
    }
    free(ref->column_mean);
    free(ref->column_square);
    free(ref->pixels);
    free(ref);
}

VJ_SIMD static void luma_plane(float *restrict luma, const uint8_t *restrict pixels, size_t count,
                               int channels)
{
    if (channels == 1) {
        for (size_t i = 0; i < count; i++)
            luma[i] = pixels[i];
        return;
    }
    for (size_t i = 0; i < count; i++)
        luma[i] =
            vj_milli_to_float(vj_luma_milli(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]));
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

VJ_SIMD static void row_variances(float *restrict var, const double *restrict column_mean,
                                  const double *restrict column_square, size_t windows)
{
    for (size_t x = 0; x < windows; x++) {
        double m = vj_ssim_window_double(column_mean + x, 1);
        double v = vj_ssim_window_double(column_square + x, 1) - m * m;
        var[x] = (float)(v > 0.0 ? v : 0.0);
    }
}

/* Done once per reference, so double takes the place of care with cancellation. */
static void reference_variances(struct vj_quality_reference *ref, struct scale *scale)
{
    size_t across = scale->width - VJ_SSIM_MARGIN;
    size_t down = scale->height - VJ_SSIM_MARGIN;
    for (size_t y = 0; y < down; y++) {
        column_moments(ref->column_mean, ref->column_square, scale->luma + y * scale->width,
                       scale->width);
        row_variances(scale->var + y * across, ref->column_mean, ref->column_square, across);
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
            luma_plane(scale->luma, ref->pixels, img->width * img->height, img->channels);
        else
            pool(scale->luma, finer->luma, finer->width, finer->height);
        reference_variances(ref, scale);
    }
    ref->width = img->width;
    ref->height = img->height;
    return 0;
}

/* ---- scratch ---------------------------------------------------------------------------- */

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

/* ---- one distorted picture -------------------------------------------------------------- */

VJ_SIMD static uint32_t sample_squares(const uint8_t *d, const uint8_t *r, size_t samples)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < samples; i++) {
        int32_t t = d[i] - r[i];
        sum += (uint32_t)(t * t);
    }
    return sum;
}

VJ_SIMD static void luma_differences(int32_t *restrict milli, const uint8_t *restrict d,
                                     const uint8_t *restrict r, size_t pixels, int channels)
{
    if (channels == 1) {
        for (size_t i = 0; i < pixels; i++)
            milli[i] = 1000 * (d[i] - r[i]);
        return;
    }
    for (size_t i = 0; i < pixels; i++)
        milli[i] = vj_luma_milli(d[3 * i] - r[3 * i], d[3 * i + 1] - r[3 * i + 1],
                                 d[3 * i + 2] - r[3 * i + 2]);
}

VJ_SIMD static uint64_t luma_squares(const int32_t *milli, size_t pixels)
{
    int64_t squares = 0;
    for (size_t i = 0; i < pixels; i++)
        squares += (int64_t)milli[i] * milli[i];
    return (uint64_t)squares;
}

VJ_SIMD static void luma_to_plane(float *restrict plane, const int32_t *restrict milli,
                                  size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        plane[i] = vj_milli_to_float(milli[i]);
}

/* plane: difference of lumas, or NULL when only sums are wanted. */
static struct difference_sums differences(float *plane, const struct vj_quality_reference *ref,
                                          const uint8_t *distorted)
{
    struct difference_sums sums = {0, 0};
    size_t channels = (size_t)ref->channels;
    size_t total = ref->width * ref->height;
    for (size_t at = 0; at < total; at += CHUNK) {
        int32_t milli[CHUNK];
        size_t pixels = min_size(CHUNK, total - at);
        const uint8_t *d = distorted + at * channels, *r = ref->pixels + at * channels;
        sums.samples_squared += sample_squares(d, r, pixels * channels);
        luma_differences(milli, d, r, pixels, ref->channels);
        sums.luma_squared += luma_squares(milli, pixels);
        if (plane)
            luma_to_plane(plane + at, milli, pixels);
    }
    return sums;
}

/* Moments of the columns of windows: mean and variance of t, mean of r, covariance. */
struct columns {
    float mean_t[STRIP + VJ_SSIM_MARGIN];
    float var_t[STRIP + VJ_SSIM_MARGIN];
    float mean_r[STRIP + VJ_SSIM_MARGIN];
    float covariance[STRIP + VJ_SSIM_MARGIN];
};

VJ_SIMD static void column_windows(struct columns *restrict columns, const float *restrict t,
                                   const float *restrict r, size_t stride, size_t count)
{
    for (size_t x = 0; x < count; x++) {
        float mean_t = vj_ssim_window(t + x, stride);
        float mean_r = vj_ssim_window(r + x, stride);
        columns->mean_t[x] = mean_t;
        columns->mean_r[x] = mean_r;
        columns->var_t[x] = vj_ssim_window_cross(t + x, mean_t, t + x, mean_t, stride);
        columns->covariance[x] = vj_ssim_window_cross(r + x, mean_r, t + x, mean_t, stride);
    }
}

/* Contrast loss of the window whose first column is x. */
static inline float window_contrast_loss(const struct columns *c, size_t x, float mean_t,
                                         float mean_r, float var_r)
{
    const float *t = c->mean_t + x, *r = c->mean_r + x;
    float var_t = vj_ssim_window(c->var_t + x, 1) + vj_ssim_window_cross(t, mean_t, t, mean_t, 1);
    float covariance =
        vj_ssim_window(c->covariance + x, 1) + vj_ssim_window_cross(r, mean_r, t, mean_t, 1);
    return vj_ssim_contrast_loss(var_t, covariance, var_r);
}

VJ_SIMD static int64_t contrast_losses(const struct columns *c, const float *var_r, size_t count)
{
    int64_t sum = 0;
    for (size_t x = 0; x < count; x++) {
        float mean_t = vj_ssim_window(c->mean_t + x, 1);
        float mean_r = vj_ssim_window(c->mean_r + x, 1);
        sum += vj_ssim_fixed(window_contrast_loss(c, x, mean_t, mean_r, var_r[x]));
    }
    return sum;
}

VJ_SIMD static struct loss_sums joint_losses(const struct columns *c, const float *var_r,
                                             size_t count)
{
    int64_t contrast_sum = 0, joint_sum = 0;
    for (size_t x = 0; x < count; x++) {
        float mean_t = vj_ssim_window(c->mean_t + x, 1);
        float mean_r = vj_ssim_window(c->mean_r + x, 1);
        float contrast = window_contrast_loss(c, x, mean_t, mean_r, var_r[x]);
        float luminance = vj_ssim_luminance_loss(mean_t, mean_r);
        contrast_sum += vj_ssim_fixed(contrast);
        joint_sum += vj_ssim_fixed(vj_ssim_joint_loss(luminance, contrast));
    }
    return (struct loss_sums){contrast_sum, joint_sum};
}

/*
 * Losses summed over all windows of one scale.
 * t: difference plane; joint: whether the full SSIM is wanted besides contrast-structure
 */
static struct loss_sums scale_losses(const struct scale *ref, const float *t, bool joint)
{
    struct loss_sums sums = {0, 0};
    struct columns columns;
    size_t across = ref->width - VJ_SSIM_MARGIN;
    size_t down = ref->height - VJ_SSIM_MARGIN;
    for (size_t x = 0; x < across; x += STRIP) {
        size_t count = min_size(STRIP, across - x);
        for (size_t y = 0; y < down; y++) {
            size_t in = y * ref->width + x;
            const float *var = ref->var + y * across + x;
            column_windows(&columns, t + in, ref->luma + in, ref->width, count + VJ_SSIM_MARGIN);
            if (joint) {
                struct loss_sums losses = joint_losses(&columns, var, count);
                sums.contrast += losses.contrast;
                sums.joint += losses.joint;
            } else {
                sums.contrast += contrast_losses(&columns, var, count);
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
                       struct vj_quality_values *out)
{
    static const double power[VJ_MS_SSIM_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    bool single = ref->which & VJ_QUALITY_SSIM;
    double product = 1.0;

    for (int s = 0; s < ref->scales; s++) {
        const struct scale *scale = &ref->scale[s];
        bool last = s == VJ_MS_SSIM_SCALES - 1;
        if (s > 0)
            pool(scratch->difference[s], scratch->difference[s - 1], scale[-1].width,
                 scale[-1].height);

        struct loss_sums sums =
            scale_losses(scale, scratch->difference[s], last || (s == 0 && single));
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
        structural(ref, scratch, out);
    return 0;
}
