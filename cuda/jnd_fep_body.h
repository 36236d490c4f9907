/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that make an fep13 map, written as described in jpeg_body.h.
 *
 * The prediction compares 440 pairs of patches per pixel, once for the least distance and once for
 * the weights, which are relative to it and must be added in the order of the neighbours. A thread
 * block does both for a tile in one launch: its samples stay in shared memory, and so do, for a few
 * neighbours at a time, sums of squared differences along the rows, which threads then add up down
 * the columns. Each thread has four pixels of a column, whose sums of seven rows overlap; what
 * grows from neighbour to neighbour, least distance, weights and total, stays in its registers.
 */
#ifndef VJ_CUDA_JND_FEP_BODY_H
#define VJ_CUDA_JND_FEP_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_yang_body.h"

/* ---- Prediction ---------------------------------------------------------------------------- */

enum {
    VJ_CUDA_FEP_PIXELS = 4, /* of a thread, one below the other */
    VJ_CUDA_FEP_WIDTH = 32,
    VJ_CUDA_FEP_HEIGHT = VJ_CUDA_THREADS / VJ_CUDA_FEP_WIDTH * VJ_CUDA_FEP_PIXELS,
    VJ_CUDA_FEP_BATCH = 5, /* neighbours whose sums along the rows are held */

    /* Samples: neighbours' patches reach 13 pixels, the pixels' own 3. */
    VJ_CUDA_FEP_WIDE_HALO = VJ_JND_FEP_REACH + VJ_JND_FEP_PATCH,
    VJ_CUDA_FEP_WIDE_ACROSS = VJ_CUDA_FEP_WIDTH + 2 * VJ_CUDA_FEP_WIDE_HALO,
    VJ_CUDA_FEP_WIDE_DOWN = VJ_CUDA_FEP_HEIGHT + 2 * VJ_CUDA_FEP_WIDE_HALO,
    VJ_CUDA_FEP_DARK_ACROSS = VJ_CUDA_FEP_WIDTH + 2 * VJ_JND_FEP_PATCH,
    VJ_CUDA_FEP_DARK_DOWN = VJ_CUDA_FEP_HEIGHT + 2 * VJ_JND_FEP_PATCH,

    /* Sums along the rows: the stride is odd, so that a warp that goes down writes 32 banks. */
    VJ_CUDA_FEP_ROWS = VJ_CUDA_FEP_HEIGHT + 2 * VJ_JND_FEP_PATCH,
    VJ_CUDA_FEP_ROW_STRIDE = VJ_CUDA_FEP_WIDTH + 1,
    VJ_CUDA_FEP_RUN = 8, /* of them that a thread makes at a time, side by side */
    VJ_CUDA_FEP_RUNS = VJ_CUDA_FEP_WIDTH / VJ_CUDA_FEP_RUN,
};

struct vj_cuda_fep_predict_job {
    struct vj_cuda_plane plane;
    uint8_t *prediction; /* [height][width] */
};

struct vj_cuda_fep_predict_shared {
    int32_t row[VJ_CUDA_FEP_BATCH][VJ_CUDA_FEP_ROWS * VJ_CUDA_FEP_ROW_STRIDE];
    int16_t wide[VJ_CUDA_FEP_WIDE_DOWN * VJ_CUDA_FEP_WIDE_ACROSS]; /* mirrored beyond the picture */
    int16_t dark[VJ_CUDA_FEP_DARK_DOWN * VJ_CUDA_FEP_DARK_ACROSS]; /* zero beyond it */
};

/* What a thread knows of its pixels. */
struct vj_cuda_fep_pixels {
    int32_t least[VJ_CUDA_FEP_PIXELS];
    double rate[VJ_CUDA_FEP_PIXELS], weights[VJ_CUDA_FEP_PIXELS], total[VJ_CUDA_FEP_PIXELS];
};

static inline struct vj_cuda_grid vj_cuda_fep_grid(const struct vj_cuda_plane *plane)
{
    return vj_cuda_tile_grid((size_t)plane->width, (size_t)plane->height, VJ_CUDA_FEP_WIDTH,
                             VJ_CUDA_FEP_HEIGHT, 1);
}

/* Sample i of a line of n that is mirrored at its ends, the last sample repeated. */
static inline VJ_HD int vj_cuda_mirror(int i, int n)
{
    if (i >= 0 && i < n)
        return i;
    int phase = i % (2 * n);
    phase = phase < 0 ? phase + 2 * n : phase;
    return phase < n ? phase : 2 * n - 1 - phase;
}

/* Step 1: samples with both borders. */
static inline VJ_HD void vj_cuda_fep_load(const struct vj_cuda_fep_predict_job *job,
                                          struct vj_cuda_fep_predict_shared *s,
                                          struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    const int top = (int)at.y * VJ_CUDA_FEP_HEIGHT, left = (int)at.x * VJ_CUDA_FEP_WIDTH;
    for (int i = (int)thread; i < VJ_CUDA_FEP_WIDE_DOWN * VJ_CUDA_FEP_WIDE_ACROSS;
         i += VJ_CUDA_THREADS) {
        int y = top - VJ_CUDA_FEP_WIDE_HALO + i / VJ_CUDA_FEP_WIDE_ACROSS;
        int x = left - VJ_CUDA_FEP_WIDE_HALO + i % VJ_CUDA_FEP_WIDE_ACROSS;
        size_t row = (size_t)vj_cuda_mirror(y, plane->height);
        s->wide[i] =
            plane->luma[row * (size_t)plane->width + (size_t)vj_cuda_mirror(x, plane->width)];
    }
    for (int i = (int)thread; i < VJ_CUDA_FEP_DARK_DOWN * VJ_CUDA_FEP_DARK_ACROSS;
         i += VJ_CUDA_THREADS) {
        int y = top - VJ_JND_FEP_PATCH + i / VJ_CUDA_FEP_DARK_ACROSS;
        int x = left - VJ_JND_FEP_PATCH + i % VJ_CUDA_FEP_DARK_ACROSS;
        s->dark[i] = 0;
        if (vj_cuda_inside(plane, y, x))
            s->dark[i] = plane->luma[(size_t)y * (size_t)plane->width + (size_t)x];
    }
}

/* Population variance over 7x7 pixels, times 49 * 49. */
static inline VJ_HD int vj_cuda_variance7(const int16_t *p, int stride)
{
    int sum = 0, square = 0;
    for (int y = -VJ_JND_FEP_PATCH; y <= VJ_JND_FEP_PATCH; y++) {
        for (int x = -VJ_JND_FEP_PATCH; x <= VJ_JND_FEP_PATCH; x++) {
            int v = p[y * stride + x];
            sum += v;
            square += v * v;
        }
    }
    return VJ_JND_FEP_AREA * square - sum * sum;
}

/* A thread's first pixel in the tile. */
static inline VJ_HD int vj_cuda_fep_tile_row(unsigned thread)
{
    return (int)thread / VJ_CUDA_FEP_WIDTH * VJ_CUDA_FEP_PIXELS;
}

static inline VJ_HD int vj_cuda_fep_tile_column(unsigned thread)
{
    return (int)thread % VJ_CUDA_FEP_WIDTH;
}

/* Step 2: bandwidths, and sums of nothing but the pixel itself. */
static inline VJ_HD void vj_cuda_fep_begin(const struct vj_cuda_fep_predict_shared *s,
                                           struct vj_cuda_fep_pixels *p, unsigned thread)
{
    const int16_t *first =
        s->dark + (vj_cuda_fep_tile_row(thread) + VJ_JND_FEP_PATCH) * VJ_CUDA_FEP_DARK_ACROSS +
        vj_cuda_fep_tile_column(thread) + VJ_JND_FEP_PATCH;
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_FEP_PIXELS; i++) {
        const int16_t *pixel = first + i * VJ_CUDA_FEP_DARK_ACROSS;
        double sensitivity =
            vj_jnd_fep_sensitivity(vj_cuda_background(pixel, VJ_CUDA_FEP_DARK_ACROSS) / 32);
        p->rate[i] = vj_jnd_fep_rate(vj_jnd_fep_bandwidth_squared(
            sensitivity, vj_cuda_variance7(pixel, VJ_CUDA_FEP_DARK_ACROSS)));
        p->least[i] = INT32_MAX;
        p->weights[i] = 1.0;
        p->total[i] = 0;
    }
}

/*
 * Step 3, for first = 0, VJ_CUDA_FEP_BATCH, ...: sums of seven squared differences along the rows
 * of the tile and its patches, between the picture and itself moved to neighbour first + b.
 */
static inline VJ_HD void vj_cuda_fep_rows(struct vj_cuda_fep_predict_shared *s, int first,
                                          unsigned thread)
{
    const int margin = VJ_CUDA_FEP_WIDE_HALO - VJ_JND_FEP_PATCH;
    for (int i = (int)thread; i < VJ_CUDA_FEP_BATCH * VJ_CUDA_FEP_RUNS * VJ_CUDA_FEP_ROWS;
         i += VJ_CUDA_THREADS) {
        int y = i % VJ_CUDA_FEP_ROWS, x = i / VJ_CUDA_FEP_ROWS % VJ_CUDA_FEP_RUNS * VJ_CUDA_FEP_RUN;
        int b = i / (VJ_CUDA_FEP_ROWS * VJ_CUDA_FEP_RUNS), k = first + b;
        const int16_t *own = s->wide + (y + margin) * VJ_CUDA_FEP_WIDE_ACROSS + x + margin;
        const int16_t *other =
            own + vj_jnd_fep_row(k) * VJ_CUDA_FEP_WIDE_ACROSS + vj_jnd_fep_column(k);
        int32_t square[VJ_CUDA_FEP_RUN + 2 * VJ_JND_FEP_PATCH], sum = 0;
        for (int j = 0; j < VJ_CUDA_FEP_RUN + 2 * VJ_JND_FEP_PATCH; j++) {
            int32_t difference = own[j] - other[j];
            square[j] = difference * difference;
        }
        for (int j = 0; j < VJ_JND_FEP_SIDE; j++)
            sum += square[j];
        int32_t *row = s->row[b] + y * VJ_CUDA_FEP_ROW_STRIDE + x;
        row[0] = sum;
        for (int j = 1; j < VJ_CUDA_FEP_RUN; j++) {
            sum += square[j + VJ_JND_FEP_SIDE - 1] - square[j - 1];
            row[j] = sum;
        }
    }
}

/* Patch distances of a thread's pixels to the neighbour whose sums along the rows are given. */
static inline VJ_HD void vj_cuda_fep_distances(const int32_t *row, unsigned thread,
                                               int32_t distance[VJ_CUDA_FEP_PIXELS])
{
    const int32_t *column = row + vj_cuda_fep_tile_row(thread) * VJ_CUDA_FEP_ROW_STRIDE +
                            vj_cuda_fep_tile_column(thread);
    int32_t sum = 0;
    for (int j = 0; j < VJ_JND_FEP_SIDE; j++)
        sum += column[j * VJ_CUDA_FEP_ROW_STRIDE];
    distance[0] = sum;
    for (int j = 1; j < VJ_CUDA_FEP_PIXELS; j++) {
        sum += column[(j + VJ_JND_FEP_SIDE - 1) * VJ_CUDA_FEP_ROW_STRIDE] -
               column[(j - 1) * VJ_CUDA_FEP_ROW_STRIDE];
        distance[j] = sum;
    }
}

/* Step 4 of the first round, after every step 3: least distances. */
static inline VJ_HD void vj_cuda_fep_nearest(const struct vj_cuda_fep_predict_shared *s,
                                             struct vj_cuda_fep_pixels *p, unsigned thread)
{
    for (int b = 0; b < VJ_CUDA_FEP_BATCH; b++) {
        int32_t distance[VJ_CUDA_FEP_PIXELS];
        vj_cuda_fep_distances(s->row[b], thread, distance);
        VJ_UNROLL
        for (int i = 0; i < VJ_CUDA_FEP_PIXELS; i++)
            p->least[i] = distance[i] < p->least[i] ? distance[i] : p->least[i];
    }
}

/* Step 4 of the second round, after every step 3: weights and total, in the neighbours' order. */
static inline VJ_HD void vj_cuda_fep_weigh(const struct vj_cuda_fep_predict_shared *s,
                                           struct vj_cuda_fep_pixels *p, int first, unsigned thread)
{
    const int16_t *own =
        s->wide + (vj_cuda_fep_tile_row(thread) + VJ_CUDA_FEP_WIDE_HALO) * VJ_CUDA_FEP_WIDE_ACROSS +
        vj_cuda_fep_tile_column(thread) + VJ_CUDA_FEP_WIDE_HALO;
    for (int b = 0; b < VJ_CUDA_FEP_BATCH; b++) {
        const int k = first + b;
        const int16_t *other =
            own + vj_jnd_fep_row(k) * VJ_CUDA_FEP_WIDE_ACROSS + vj_jnd_fep_column(k);
        int32_t distance[VJ_CUDA_FEP_PIXELS];
        vj_cuda_fep_distances(s->row[b], thread, distance);
        VJ_UNROLL
        for (int i = 0; i < VJ_CUDA_FEP_PIXELS; i++) {
            double weight = vj_jnd_fep_weight(distance[i], p->least[i], p->rate[i]);
            int more = other[i * VJ_CUDA_FEP_WIDE_ACROSS] - own[i * VJ_CUDA_FEP_WIDE_ACROSS];
            p->weights[i] += weight;
            p->total[i] += weight * (double)more;
        }
    }
}

/* Step 5. */
static inline VJ_HD void vj_cuda_fep_predict(const struct vj_cuda_fep_predict_job *job,
                                             const struct vj_cuda_fep_predict_shared *s,
                                             const struct vj_cuda_fep_pixels *p,
                                             struct vj_cuda_place at, unsigned thread)
{
    const int ty = vj_cuda_fep_tile_row(thread), tx = vj_cuda_fep_tile_column(thread);
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_FEP_PIXELS; i++) {
        int y = (int)at.y * VJ_CUDA_FEP_HEIGHT + ty + i, x = (int)at.x * VJ_CUDA_FEP_WIDTH + tx;
        if (!vj_cuda_inside(&job->plane, y, x))
            continue;
        int pixel = s->wide[(ty + i + VJ_CUDA_FEP_WIDE_HALO) * VJ_CUDA_FEP_WIDE_ACROSS + tx +
                            VJ_CUDA_FEP_WIDE_HALO];
        job->prediction[(size_t)y * (size_t)job->plane.width + (size_t)x] =
            (uint8_t)vj_jnd_fep_prediction(pixel, p->total[i], p->weights[i]);
    }
}

/* ---- The map ------------------------------------------------------------------------------- */

enum {
    VJ_CUDA_FEP_BLUR = 3,   /* radius of the residual's Gaussian */
    VJ_CUDA_FEP_SOFTEN = 2, /* and of the edge weight's */
    VJ_CUDA_FEP_BLUR_ACROSS = VJ_CUDA_JND_WIDTH + 2 * VJ_CUDA_FEP_BLUR,
    VJ_CUDA_FEP_BLUR_DOWN = VJ_CUDA_JND_HEIGHT + 2 * VJ_CUDA_FEP_BLUR,
    VJ_CUDA_FEP_SOFTEN_ACROSS = VJ_CUDA_JND_WIDTH + 2 * VJ_CUDA_FEP_SOFTEN,
    VJ_CUDA_FEP_SOFTEN_DOWN = VJ_CUDA_JND_HEIGHT + 2 * VJ_CUDA_FEP_SOFTEN,
};

struct vj_cuda_fep_job {
    struct vj_cuda_plane plane, predicted;
    const uint8_t *dilated;                   /* edges */
    float attenuation;                        /* vj_jnd_weight_fep */
    struct vj_jnd_gaussian residual_gaussian; /* radius VJ_CUDA_FEP_BLUR */
    struct vj_jnd_gaussian weight_gaussian;   /* radius VJ_CUDA_FEP_SOFTEN */
    float *map;
};

struct vj_cuda_fep_shared {
    struct vj_cuda_samples dark;                                /* luma, zero beyond the picture */
    struct vj_cuda_samples predicted;                           /* likewise */
    float smooth[VJ_CUDA_JND_HEIGHT * VJ_CUDA_FEP_BLUR_ACROSS]; /* down the columns */
    float weight[VJ_CUDA_JND_HEIGHT * VJ_CUDA_FEP_SOFTEN_ACROSS];
    uint8_t residual[VJ_CUDA_FEP_BLUR_DOWN * VJ_CUDA_FEP_BLUR_ACROSS];
    uint8_t dilated[VJ_CUDA_FEP_SOFTEN_DOWN * VJ_CUDA_FEP_SOFTEN_ACROSS];
};

/* Step 1, beside vj_cuda_load_samples() of both planes with zeros outside: residuals and edges. */
static inline VJ_HD void vj_cuda_fep_load_map(const struct vj_cuda_fep_job *job,
                                              struct vj_cuda_fep_shared *s, struct vj_cuda_place at,
                                              unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    const int top = (int)at.y * VJ_CUDA_JND_HEIGHT, left = (int)at.x * VJ_CUDA_JND_WIDTH;
    for (int i = (int)thread; i < VJ_CUDA_FEP_BLUR_DOWN * VJ_CUDA_FEP_BLUR_ACROSS;
         i += VJ_CUDA_THREADS) {
        int y = top - VJ_CUDA_FEP_BLUR + i / VJ_CUDA_FEP_BLUR_ACROSS;
        int x = left - VJ_CUDA_FEP_BLUR + i % VJ_CUDA_FEP_BLUR_ACROSS;
        s->residual[i] = 0;
        if (vj_cuda_inside(plane, y, x)) {
            size_t p = (size_t)y * (size_t)plane->width + (size_t)x;
            int difference = (int)plane->luma[p] - (int)job->predicted.luma[p];
            s->residual[i] = (uint8_t)(difference < 0 ? -difference : difference);
        }
    }
    for (int i = (int)thread; i < VJ_CUDA_FEP_SOFTEN_DOWN * VJ_CUDA_FEP_SOFTEN_ACROSS;
         i += VJ_CUDA_THREADS) {
        int y = top - VJ_CUDA_FEP_SOFTEN + i / VJ_CUDA_FEP_SOFTEN_ACROSS;
        int x = left - VJ_CUDA_FEP_SOFTEN + i % VJ_CUDA_FEP_SOFTEN_ACROSS;
        s->dilated[i] = 0;
        if (vj_cuda_inside(plane, y, x))
            s->dilated[i] = job->dilated[(size_t)y * (size_t)plane->width + (size_t)x];
    }
}

/* Step 2: both smoothings down the columns; columns beyond the picture are zeros. */
static inline VJ_HD void vj_cuda_fep_columns(const struct vj_cuda_fep_job *job,
                                             struct vj_cuda_fep_shared *s, struct vj_cuda_place at,
                                             unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    const int top = (int)at.y * VJ_CUDA_JND_HEIGHT, left = (int)at.x * VJ_CUDA_JND_WIDTH;
    for (int i = (int)thread; i < VJ_CUDA_JND_HEIGHT * VJ_CUDA_FEP_BLUR_ACROSS;
         i += VJ_CUDA_THREADS) {
        int y = top - VJ_CUDA_FEP_BLUR + i / VJ_CUDA_FEP_BLUR_ACROSS;
        int x = left - VJ_CUDA_FEP_BLUR + i % VJ_CUDA_FEP_BLUR_ACROSS;
        s->smooth[i] = 0;
        if (x >= 0 && x < plane->width)
            s->smooth[i] =
                vj_cuda_smooth_column(s->residual + i, VJ_CUDA_FEP_BLUR_ACROSS, y, plane->height,
                                      &job->residual_gaussian, 1.0f, 0.0f);
    }
    for (int i = (int)thread; i < VJ_CUDA_JND_HEIGHT * VJ_CUDA_FEP_SOFTEN_ACROSS;
         i += VJ_CUDA_THREADS) {
        int y = top - VJ_CUDA_FEP_SOFTEN + i / VJ_CUDA_FEP_SOFTEN_ACROSS;
        int x = left - VJ_CUDA_FEP_SOFTEN + i % VJ_CUDA_FEP_SOFTEN_ACROSS;
        s->weight[i] = 0;
        if (x >= 0 && x < plane->width)
            s->weight[i] =
                vj_cuda_smooth_column(s->dilated + i, VJ_CUDA_FEP_SOFTEN_ACROSS, y, plane->height,
                                      &job->weight_gaussian, -job->attenuation, 1.0f);
    }
}

/* Step 3: a pixel per thread; the frame as in host/jnd_fep13.c. */
static inline VJ_HD void vj_cuda_fep_pixel(const struct vj_cuda_fep_job *job,
                                           const struct vj_cuda_fep_shared *s,
                                           struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(plane, at, thread, &pixel))
        return;
    const int ty = pixel.ty, tx = pixel.tx;
    const int16_t *predicted = vj_cuda_samples_at(&s->predicted, ty, tx);
    int background32 = vj_cuda_background(predicted, VJ_CUDA_ROW);
    int variance2401 = vj_cuda_variance7(vj_cuda_samples_at(&s->dark, ty, tx), VJ_CUDA_ROW);
    float residual =
        s->residual[(ty + VJ_CUDA_FEP_BLUR) * VJ_CUDA_FEP_BLUR_ACROSS + tx + VJ_CUDA_FEP_BLUR];
    float smooth = vj_cuda_smooth_row(
        s->smooth + ty * VJ_CUDA_FEP_BLUR_ACROSS + tx + VJ_CUDA_FEP_BLUR, &job->residual_gaussian);
    float weight =
        vj_cuda_smooth_row(s->weight + ty * VJ_CUDA_FEP_SOFTEN_ACROSS + tx + VJ_CUDA_FEP_SOFTEN,
                           &job->weight_gaussian);
    float luminance = vj_jnd_luminance((float)vj_jnd_lift(background32 / 32));
    float contrast = vj_jnd_fep_contrast(vj_cuda_gradient(predicted, VJ_CUDA_ROW), background32);
    float disorder = vj_jnd_fep_disorder(variance2401, residual, smooth, weight);
    bool inside =
        pixel.y >= 2 && pixel.x >= 2 && pixel.y + 4 <= plane->height && pixel.x + 4 <= plane->width;
    job->map[pixel.at] = inside ? vj_jnd_namm(vj_jnd_namm(luminance, contrast), disorder) : 0.0f;
}

#ifdef __cplusplus
}
#endif

#endif
