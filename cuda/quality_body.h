/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the quality kernels, written as described in jpeg_body.h. A candidate's sums are made
 * of partial sums, one per thread block, that a last kernel adds up; all of them are integers.
 */
#ifndef VJ_CUDA_QUALITY_BODY_H
#define VJ_CUDA_QUALITY_BODY_H

#include <math.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/aligned.h"
#include "cuda/geometry.h"

/* ---- Reference ------------------------------------------------------------------------------ */

struct vj_cuda_reference_luma_job {
    const uint8_t *pixels;
    size_t count; /* pixels */
    int channels;
    float *luma;
};

static inline VJ_HD void vj_cuda_reference_luma(const struct vj_cuda_reference_luma_job *job,
                                                struct vj_cuda_place at, unsigned thread)
{
    size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (i >= job->count)
        return;
    const uint8_t *p = job->pixels + i * (size_t)job->channels;
    job->luma[i] =
        job->channels == 1 ? (float)p[0] : vj_milli_to_float(vj_luma_milli(p[0], p[1], p[2]));
}

/* 2x2 means of planes; an odd last row or column is dropped. */
struct vj_cuda_pool_job {
    const float *from; /* [planes][height][width] */
    float *to;         /* [planes][height / 2][width / 2] */
    size_t width, height;
};

static inline struct vj_cuda_grid vj_cuda_pool_grid(size_t width, size_t height, int planes)
{
    return vj_cuda_line_grid((width / 2) * (height / 2), VJ_CUDA_THREADS, (size_t)planes);
}

static inline VJ_HD void vj_cuda_pool_pixel(const struct vj_cuda_pool_job *job,
                                            struct vj_cuda_place at, unsigned thread)
{
    size_t width = job->width / 2, height = job->height / 2;
    size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (i >= width * height)
        return;
    const float *a = job->from + (at.z * job->height + i / width * 2) * job->width + i % width * 2;
    const float *b = a + job->width;
    job->to[at.z * width * height + i] = vj_quality_pool(a[0], a[1], b[0], b[1]);
}

enum {
    VJ_CUDA_COLUMNS = VJ_CUDA_VARIANCE_WIDTH + VJ_SSIM_MARGIN, /* of samples under a tile */
    VJ_CUDA_WINDOWS = VJ_CUDA_VARIANCE_WIDTH * VJ_CUDA_VARIANCE_HEIGHT,
    VJ_CUDA_COLUMN_WINDOWS = VJ_CUDA_COLUMNS * VJ_CUDA_VARIANCE_HEIGHT,
};

/* Variances of the reference's windows, in double. */
struct vj_cuda_variance_job {
    const float *luma;
    float *var;           /* [height - 10][width - 10] */
    size_t width, height; /* of luma */
};

struct vj_cuda_variance_shared {
    double mean[VJ_CUDA_COLUMN_WINDOWS];
    double square[VJ_CUDA_COLUMN_WINDOWS];
};

static inline VJ_HD double vj_cuda_weight(int k)
{
    switch (k < 5 ? 5 - k : k - 5) {
    case 0:
        return VJ_SSIM_W0;
    case 1:
        return VJ_SSIM_W1;
    case 2:
        return VJ_SSIM_W2;
    case 3:
        return VJ_SSIM_W3;
    case 4:
        return VJ_SSIM_W4;
    default:
        return VJ_SSIM_W5;
    }
}

/* Step 1: columns of windows. Those beyond the plane are not used, nor read. */
static inline VJ_HD void vj_cuda_variance_columns(const struct vj_cuda_variance_job *job,
                                                  struct vj_cuda_variance_shared *s,
                                                  struct vj_cuda_place at, unsigned thread)
{
    for (int i = (int)thread; i < VJ_CUDA_COLUMN_WINDOWS; i += VJ_CUDA_THREADS) {
        size_t y = (size_t)at.y * VJ_CUDA_VARIANCE_HEIGHT + (size_t)(i / VJ_CUDA_COLUMNS);
        size_t x = (size_t)at.x * VJ_CUDA_VARIANCE_WIDTH + (size_t)(i % VJ_CUDA_COLUMNS);
        if (y + VJ_SSIM_MARGIN >= job->height || x >= job->width)
            continue;
        const float *p = job->luma + y * job->width + x;
        double mean = 0, square = 0;
        for (int k = 0; k < VJ_SSIM_TAPS; k++) {
            double v = p[(size_t)k * job->width];
            mean += vj_cuda_weight(k) * v;
            square += vj_cuda_weight(k) * (v * v);
        }
        s->mean[i] = mean;
        s->square[i] = square;
    }
}

/* Step 2: windows. */
static inline VJ_HD void vj_cuda_variance_windows(const struct vj_cuda_variance_job *job,
                                                  const struct vj_cuda_variance_shared *s,
                                                  struct vj_cuda_place at, unsigned thread)
{
    size_t across = job->width - VJ_SSIM_MARGIN, down = job->height - VJ_SSIM_MARGIN;
    for (int i = (int)thread; i < VJ_CUDA_WINDOWS; i += VJ_CUDA_THREADS) {
        size_t y = (size_t)at.y * VJ_CUDA_VARIANCE_HEIGHT + (size_t)(i / VJ_CUDA_VARIANCE_WIDTH);
        size_t x = (size_t)at.x * VJ_CUDA_VARIANCE_WIDTH + (size_t)(i % VJ_CUDA_VARIANCE_WIDTH);
        if (y >= down || x >= across)
            continue;
        int column = i / VJ_CUDA_VARIANCE_WIDTH * VJ_CUDA_COLUMNS + i % VJ_CUDA_VARIANCE_WIDTH;
        double m = vj_ssim_window_double(s->mean + column, 1);
        double v = vj_ssim_window_double(s->square + column, 1) - m * m;
        job->var[y * across + x] = (float)(v > 0.0 ? v : 0.0);
    }
}

/* ---- Differences ---------------------------------------------------------------------------- */

/*
 * Squared differences, and the difference of lumas at half size. A thread takes 2x2 pixels at a
 * time, so that no plane of full size is ever stored. Offsets have 32 bits: pixels are at most
 * 2^28.
 */
struct vj_cuda_difference_job {
    const uint8_t *reference;  /* [height][width][channels] */
    const uint8_t *candidates; /* [count][height][width][channels] */
    size_t width, height;
    int channels;
    float *half;         /* [count][height / 2][width / 2], or NULL */
    uint64_t (*part)[2]; /* [count][thread blocks]: of samples, of luma */
};

struct vj_cuda_sum_shared {
    uint64_t sum[2][VJ_CUDA_THREADS];
};

/* Sums of a thread: of samples' squares, and of luma's in thousandths. */
struct vj_cuda_difference_sums {
    uint32_t samples;
    uint64_t luma;
};

/* Difference of lumas of a pixel in thousandths; adds the squares to sums. */
static inline VJ_HD int32_t vj_cuda_difference(const uint8_t *r, const uint8_t *d,
                                               unsigned channels,
                                               struct vj_cuda_difference_sums *sums)
{
    int t = d[0] - r[0];
    int32_t milli = 1000 * t;
    int32_t squares = t * t;
    if (channels == 3) {
        int green = d[1] - r[1], blue = d[2] - r[2];
        milli = vj_luma_milli(t, green, blue);
        squares += green * green + blue * blue;
    }
    sums->samples += (uint32_t)squares;
    sums->luma += (uint64_t)((int64_t)milli * milli);
    return milli;
}

/* 2x2 pixels from (y, x) on; those beyond the picture do not count. */
static inline VJ_HD void vj_cuda_difference_quad(const struct vj_cuda_difference_job *job,
                                                 unsigned channels, struct vj_cuda_place at,
                                                 unsigned y, unsigned x,
                                                 struct vj_cuda_difference_sums *sums)
{
    const unsigned width = (unsigned)job->width, height = (unsigned)job->height;
    const uint8_t *candidate = job->candidates + at.z * (job->height * job->width * channels);
    float t[4] = {0, 0, 0, 0};
    VJ_UNROLL
    for (unsigned k = 0; k < 4; k++) {
        const unsigned offset = ((y + k / 2) * width + x + k % 2) * channels;
        if (y + k / 2 < height && x + k % 2 < width)
            t[k] = vj_milli_to_float(
                vj_cuda_difference(job->reference + offset, candidate + offset, channels, sums));
    }
    if (job->half && y + 1 < height && x + 1 < width)
        job->half[at.z * ((job->height / 2) * (job->width / 2)) + y / 2 * (width / 2) + x / 2] =
            vj_quality_pool(t[0], t[1], t[2], t[3]);
}

/* Step 1. channels: as vj_cuda_window_sample() takes them */
static inline VJ_HD void vj_cuda_difference_column(const struct vj_cuda_difference_job *job,
                                                   unsigned channels, struct vj_cuda_sum_shared *s,
                                                   struct vj_cuda_place at, unsigned thread)
{
    const unsigned x = 2 * (at.x * VJ_CUDA_QUAD_WIDTH + thread % VJ_CUDA_QUAD_WIDTH);
    struct vj_cuda_difference_sums sums = {0, 0};
    for (unsigned i = 0; i < VJ_CUDA_QUAD_STEPS; i++) {
        const unsigned row = (at.y * VJ_CUDA_QUAD_STEPS + i) * VJ_CUDA_QUAD_HEIGHT;
        vj_cuda_difference_quad(job, channels, at, 2 * (row + thread / VJ_CUDA_QUAD_WIDTH), x,
                                &sums);
    }
    s->sum[0][thread] = sums.samples;
    s->sum[1][thread] = sums.luma;
}

/* Step 2, for half = half the threads, ..., 1. */
static inline VJ_HD void vj_cuda_sum_add(struct vj_cuda_sum_shared *s, unsigned half,
                                         unsigned thread)
{
    if (thread >= half)
        return;
    s->sum[0][thread] += s->sum[0][thread + half];
    s->sum[1][thread] += s->sum[1][thread + half];
}

/* Step 3; across, down: size of the grid. */
static inline VJ_HD void vj_cuda_sum_store(uint64_t (*part)[2], const struct vj_cuda_sum_shared *s,
                                           struct vj_cuda_place at, unsigned across, unsigned down,
                                           unsigned thread)
{
    if (thread > 1)
        return;
    part[((size_t)at.z * down + at.y) * across + at.x][thread] = s->sum[thread][0];
}

/* ---- Windows -------------------------------------------------------------------------------- */

/*
 * Losses of one scale, summed over all windows. A thread has a column of samples and goes down it,
 * VJ_CUDA_WINDOW_STEP rows at a time: the moments of its column under these rows of windows go to
 * shared memory, from which each thread takes those under as many windows side by side. So a block
 * reads each of its samples once, and makes a column's moments for all windows that they are under.
 */
struct vj_cuda_window_job {
    const float *luma;       /* of the reference at this scale */
    const float *var;        /* of its windows */
    size_t width, height;    /* of this scale */
    bool joint;              /* whether SSIM is wanted besides contrast-structure */
    const float *difference; /* [count][height][width]; at full size it is made from the pixels */
    struct vj_cuda_difference_job pixels;
    uint64_t (*part)[2]; /* [count][thread blocks]: contrast, joint; as two's complement */
};

enum {
    VJ_CUDA_WINDOW_SAMPLES = VJ_SSIM_MARGIN + VJ_CUDA_WINDOW_STEP,      /* under a step's windows */
    VJ_CUDA_WINDOW_GROUPS = VJ_CUDA_WINDOW_WIDTH / VJ_CUDA_WINDOW_STEP, /* of a row of windows */
};

/* Moments of the columns of windows: mean and variance of t, mean of r, covariance. */
enum { VJ_CUDA_MEAN_T, VJ_CUDA_VAR_T, VJ_CUDA_MEAN_R, VJ_CUDA_COVARIANCE, VJ_CUDA_COLUMN_MOMENTS };

struct vj_cuda_window_shared {
    float moment[VJ_CUDA_COLUMN_MOMENTS][VJ_CUDA_WINDOW_STEP][VJ_CUDA_WINDOW_THREADS];
    struct vj_cuda_sum_shared sums;
};

struct vj_cuda_window_thread {
    float t[VJ_CUDA_WINDOW_SAMPLES], r[VJ_CUDA_WINDOW_SAMPLES]; /* of its column */
    int64_t loss[2];
};

/* Rows of windows of a block. */
static inline VJ_HD size_t vj_cuda_window_rows(const struct vj_cuda_window_job *job,
                                               struct vj_cuda_place at)
{
    size_t left = job->height - VJ_SSIM_MARGIN - (size_t)at.y * VJ_CUDA_WINDOW_HEIGHT;
    return left < VJ_CUDA_WINDOW_HEIGHT ? left : (size_t)VJ_CUDA_WINDOW_HEIGHT;
}

/*
 * Sample number i of a thread, in the block's row `row`. Beyond the plane it is the nearest one's:
 * nothing depends on it. Pixels are at most 2^28: offsets have 32 bits.
 * channels: of the pixels, 0 where there is a difference; by value so that it may be a constant,
 * without which a branch would part each sample's loads from the next one's
 */
static inline VJ_HD void vj_cuda_window_sample(const struct vj_cuda_window_job *job,
                                               unsigned channels, struct vj_cuda_window_thread *own,
                                               struct vj_cuda_place at, unsigned thread, int i,
                                               unsigned row)
{
    const unsigned width = (unsigned)job->width, height = (unsigned)job->height;
    const unsigned y = at.y * VJ_CUDA_WINDOW_HEIGHT + row;
    const unsigned x = at.x * VJ_CUDA_WINDOW_WIDTH + thread;
    const unsigned offset = (y < height ? y : height - 1) * width + (x < width ? x : width - 1);
    const size_t plane = at.z * (job->height * job->width);
    own->r[i] = job->luma[offset];
    if (channels == 0) {
        own->t[i] = job->difference[plane + offset];
        return;
    }
    const uint8_t *d = job->pixels.candidates + plane * channels + channels * offset;
    const int32_t milli = channels == 3 ? vj_luma_milli(d[0], d[1], d[2]) : 1000 * d[0];
    own->t[i] = vj_milli_to_float(milli - vj_float_to_milli(own->r[i]));
}

/* Step 1: the samples above those of the first step. */
static inline VJ_HD void vj_cuda_window_start(const struct vj_cuda_window_job *job,
                                              unsigned channels, struct vj_cuda_window_thread *own,
                                              struct vj_cuda_place at, unsigned thread)
{
    own->loss[0] = own->loss[1] = 0;
    VJ_UNROLL
    for (int i = 0; i < VJ_SSIM_MARGIN; i++)
        vj_cuda_window_sample(job, channels, own, at, thread, VJ_CUDA_WINDOW_STEP + i, (unsigned)i);
}

/* Step 2, for row = 0, VJ_CUDA_WINDOW_STEP, ...: moments of the thread's column. */
static inline VJ_HD void vj_cuda_window_columns(const struct vj_cuda_window_job *job,
                                                unsigned channels, struct vj_cuda_window_shared *s,
                                                struct vj_cuda_window_thread *own,
                                                struct vj_cuda_place at, unsigned thread,
                                                size_t row)
{
    VJ_UNROLL
    for (int i = 0; i < VJ_SSIM_MARGIN; i++) {
        own->t[i] = own->t[VJ_CUDA_WINDOW_STEP + i];
        own->r[i] = own->r[VJ_CUDA_WINDOW_STEP + i];
    }
    VJ_UNROLL
    for (int i = VJ_SSIM_MARGIN; i < VJ_CUDA_WINDOW_SAMPLES; i++)
        vj_cuda_window_sample(job, channels, own, at, thread, i, (unsigned)row + (unsigned)i);
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_WINDOW_STEP; i++) {
        const float *t = own->t + i, *r = own->r + i;
        const float mean_t = vj_ssim_window(t, 1), mean_r = vj_ssim_window(r, 1);
        s->moment[VJ_CUDA_MEAN_T][i][thread] = mean_t;
        s->moment[VJ_CUDA_MEAN_R][i][thread] = mean_r;
        s->moment[VJ_CUDA_VAR_T][i][thread] = vj_ssim_window_cross(t, mean_t, t, mean_t, 1);
        s->moment[VJ_CUDA_COVARIANCE][i][thread] = vj_ssim_window_cross(r, mean_r, t, mean_t, 1);
    }
}

/* Moments of the columns under VJ_CUDA_WINDOW_STEP windows, and two more. */
struct vj_cuda_window_columns {
    float v[VJ_CUDA_WINDOW_SAMPLES + 2];
};

/* Begins at a multiple of four: four loads of 16 bytes on a device. */
static inline VJ_HD struct vj_cuda_window_columns vj_cuda_window_take(const float *from)
{
    struct vj_cuda_window_columns c;
#ifdef __CUDA_ARCH__
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_WINDOW_SAMPLES + 2; i += 4) {
        const float4 four = *(const float4 *)(from + i);
        c.v[i] = four.x;
        c.v[i + 1] = four.y;
        c.v[i + 2] = four.z;
        c.v[i + 3] = four.w;
    }
#else
    vj_cuda_expect_aligned(from, 16);
    memcpy(c.v, from, sizeof(c.v));
#endif
    return c;
}

/* Step 3: losses of the thread's windows, number `group` of a row of them. */
static inline VJ_HD void vj_cuda_window_losses(const struct vj_cuda_window_job *job,
                                               const struct vj_cuda_window_shared *s,
                                               struct vj_cuda_window_thread *own,
                                               struct vj_cuda_place at, unsigned thread, size_t row)
{
    const unsigned line = thread / VJ_CUDA_WINDOW_GROUPS;
    const unsigned column = thread % VJ_CUDA_WINDOW_GROUPS * VJ_CUDA_WINDOW_STEP;
    const size_t across = job->width - VJ_SSIM_MARGIN, down = job->height - VJ_SSIM_MARGIN;
    const size_t y = (size_t)at.y * VJ_CUDA_WINDOW_HEIGHT + row + line;
    const size_t x = (size_t)at.x * VJ_CUDA_WINDOW_WIDTH + column;
    if (line >= VJ_CUDA_WINDOW_STEP || y >= down || x >= across)
        return;
    const struct vj_cuda_window_columns t =
        vj_cuda_window_take(&s->moment[VJ_CUDA_MEAN_T][line][column]);
    const struct vj_cuda_window_columns r =
        vj_cuda_window_take(&s->moment[VJ_CUDA_MEAN_R][line][column]);
    const struct vj_cuda_window_columns var =
        vj_cuda_window_take(&s->moment[VJ_CUDA_VAR_T][line][column]);
    const struct vj_cuda_window_columns cov =
        vj_cuda_window_take(&s->moment[VJ_CUDA_COVARIANCE][line][column]);
    VJ_UNROLL
    for (unsigned i = 0; i < VJ_CUDA_WINDOW_STEP; i++) {
        const bool inside = x + i < across;
        const float var_r = inside ? job->var[y * across + x + i] : 0.0f;
        const float mean_t = vj_ssim_window(t.v + i, 1), mean_r = vj_ssim_window(r.v + i, 1);
        const float var_t = vj_ssim_window(var.v + i, 1) +
                            vj_ssim_window_cross(t.v + i, mean_t, t.v + i, mean_t, 1);
        const float covariance = vj_ssim_window(cov.v + i, 1) +
                                 vj_ssim_window_cross(r.v + i, mean_r, t.v + i, mean_t, 1);
        const float contrast = vj_ssim_contrast_loss(var_t, covariance, var_r);
        own->loss[0] += inside ? vj_ssim_fixed(contrast) : 0;
        if (job->joint && inside)
            own->loss[1] +=
                vj_ssim_fixed(vj_ssim_joint_loss(vj_ssim_luminance_loss(mean_t, mean_r), contrast));
    }
}

/* Step 4. Steps 5 and 6: vj_cuda_sum_add(), vj_cuda_sum_store(). */
static inline VJ_HD void vj_cuda_window_sums(struct vj_cuda_window_shared *s,
                                             const struct vj_cuda_window_thread *own,
                                             unsigned thread)
{
    s->sums.sum[0][thread] = (uint64_t)own->loss[0];
    s->sums.sum[1][thread] = (uint64_t)own->loss[1];
}

/* ---- Totals --------------------------------------------------------------------------------- */

/*
 * Adds up the partial sums of one kernel: a thread block per candidate.
 * scale: -1 for differences
 */
struct vj_cuda_total_job {
    const uint64_t (*part)[2]; /* [count][parts] */
    size_t parts;
    int scale;
    struct vj_cuda_quality_sums *sums; /* [count] */
};

/* Step 1. Step 2 is vj_cuda_sum_add(). */
static inline VJ_HD void vj_cuda_total_gather(const struct vj_cuda_total_job *job,
                                              struct vj_cuda_sum_shared *s, struct vj_cuda_place at,
                                              unsigned thread)
{
    uint64_t sum[2] = {0, 0};
    for (size_t i = thread; i < job->parts; i += VJ_CUDA_THREADS) {
        sum[0] += job->part[at.x * job->parts + i][0];
        sum[1] += job->part[at.x * job->parts + i][1];
    }
    s->sum[0][thread] = sum[0];
    s->sum[1][thread] = sum[1];
}

/* Step 3. The first total of a picture also clears those of scales that it does not have. */
static inline VJ_HD void vj_cuda_total_write(const struct vj_cuda_total_job *job,
                                             const struct vj_cuda_sum_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    if (thread != 0)
        return;
    struct vj_cuda_quality_sums *to = &job->sums[at.x];
    if (job->scale < 0) {
        memset(to, 0, sizeof(*to));
        to->samples_squared = s->sum[0][0];
        to->luma_squared = s->sum[1][0];
    } else {
        to->contrast[job->scale] = (int64_t)s->sum[0][0];
        to->joint[job->scale] = (int64_t)s->sum[1][0];
    }
}

/* ---- Values, on the host -------------------------------------------------------------------- */

/* Whether the full SSIM of a scale is wanted, besides contrast-structure. */
static inline bool vj_cuda_quality_joint(const struct vj_cuda_quality_shape *shape, int scale)
{
    return scale == VJ_MS_SSIM_SCALES - 1 || (scale == 0 && (shape->which & VJ_QUALITY_SSIM));
}

/* mean_square == 0 gives +infinity. */
static inline double vj_cuda_psnr(double mean_square)
{
    return 10.0 * log10(255.0 * 255.0 / mean_square);
}

static inline void vj_cuda_structural_value(const struct vj_cuda_quality_shape *shape,
                                            const struct vj_cuda_quality_sums *sums,
                                            struct vj_quality_values *out)
{
    static const double power[VJ_MS_SSIM_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    double product = 1.0;
    for (int s = 0; s < shape->scales; s++) {
        double windows = (double)((shape->width >> s) - VJ_SSIM_MARGIN) *
                         (double)((shape->height >> s) - VJ_SSIM_MARGIN);
        bool last = s == VJ_MS_SSIM_SCALES - 1;
        if (s == 0 && (shape->which & VJ_QUALITY_SSIM))
            out->ssim = vj_ssim_mean(sums->joint[0], windows);
        double factor = vj_ssim_mean(last ? sums->joint[s] : sums->contrast[s], windows);
        product *= pow(factor > 0.0 ? factor : 0.0, power[s]);
    }
    if (shape->scales == VJ_MS_SSIM_SCALES)
        out->ms_ssim = product;
}

/* As vj_quality_compute() fills them. */
static inline void vj_cuda_quality_value(const struct vj_cuda_quality_shape *shape,
                                         const struct vj_cuda_quality_sums *sums,
                                         struct vj_quality_values *out)
{
    double pixels = (double)shape->width * (double)shape->height;
    out->psnr_y = out->psnr_rgb = out->ssim = out->ms_ssim = (double)NAN;
    if (shape->which & VJ_QUALITY_PSNR) {
        out->psnr_y = vj_cuda_psnr((double)sums->luma_squared / 1e6 / pixels);
        out->psnr_rgb =
            vj_cuda_psnr((double)sums->samples_squared / (double)shape->channels / pixels);
    }
    if (shape->scales)
        vj_cuda_structural_value(shape, sums, out);
}

#ifdef __cplusplus
}
#endif

#endif
