/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the pixel-JND kernels, written as described in jpeg_body.h. The CPU filters rows
 * (host/jnd_blocks.c), here a thread makes a pixel; integers are the same by nature, and floats
 * because every expression has the CPU's terms in the CPU's order.
 */
#ifndef VJ_CUDA_JND_BODY_H
#define VJ_CUDA_JND_BODY_H

#include <math.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/geometry.h"
#include "host/jnd_map.h"
#include "host/jnd_math.h"

/* ---- Luma ---------------------------------------------------------------------------------- */

/* 0.2989 R + 0.5870 G + 0.1140 B, rounded half up, as vj_jnd_luma(). */
static inline VJ_HD uint8_t vj_cuda_luma_pixel(const uint8_t *pixel, int channels)
{
    if (channels == 1)
        return pixel[0];
    uint32_t weighted = 2989u * pixel[0] + 5870u * pixel[1] + 1140u * pixel[2];
    return (uint8_t)((weighted + 5000u) / 10000u);
}

struct vj_cuda_luma_job {
    const uint8_t *pixels;
    size_t count; /* pixels */
    int channels;
    uint8_t *luma;
};

static inline VJ_HD void vj_cuda_luma_step(const struct vj_cuda_luma_job *job,
                                           struct vj_cuda_place at, unsigned thread)
{
    size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (i < job->count)
        job->luma[i] = vj_cuda_luma_pixel(job->pixels + i * (size_t)job->channels, job->channels);
}

/* ---- Tiles --------------------------------------------------------------------------------- */

enum {
    VJ_CUDA_JND_HALO = 3, /* orientations of neighbours need three more pixels all around */
    VJ_CUDA_JND_STRIDE = VJ_CUDA_JND_WIDTH + 2 * VJ_CUDA_JND_HALO,
    VJ_CUDA_JND_ROWS = VJ_CUDA_JND_HEIGHT + 2 * VJ_CUDA_JND_HALO,
};

/* Samples of a map tile and its surroundings. */
struct vj_cuda_samples {
    int16_t v[VJ_CUDA_JND_ROWS * VJ_CUDA_JND_STRIDE];
};

/* A picture that one thread block works on a tile of. */
struct vj_cuda_plane {
    const uint8_t *luma;
    int width, height;
};

static inline struct vj_cuda_grid vj_cuda_map_grid(const struct vj_cuda_plane *plane)
{
    return vj_cuda_tile_grid((size_t)plane->width, (size_t)plane->height, VJ_CUDA_JND_WIDTH,
                             VJ_CUDA_JND_HEIGHT, 1);
}

/* Pixel (y, x) of a tile, which may lie in its surroundings. */
static inline VJ_HD const int16_t *vj_cuda_samples_at(const struct vj_cuda_samples *s, int y, int x)
{
    return s->v + (y + VJ_CUDA_JND_HALO) * VJ_CUDA_JND_STRIDE + x + VJ_CUDA_JND_HALO;
}

/* The pixel of a tile that a thread makes. */
struct vj_cuda_map_pixel {
    int ty, tx; /* in the tile */
    int y, x;   /* in the picture */
    size_t at;  /* y * width + x */
};

/* False beyond the picture. */
static inline VJ_HD bool vj_cuda_map_pixel(const struct vj_cuda_plane *plane,
                                           struct vj_cuda_place at, unsigned thread,
                                           struct vj_cuda_map_pixel *p)
{
    p->ty = (int)thread / VJ_CUDA_JND_WIDTH;
    p->tx = (int)thread % VJ_CUDA_JND_WIDTH;
    p->y = (int)at.y * VJ_CUDA_JND_HEIGHT + p->ty;
    p->x = (int)at.x * VJ_CUDA_JND_WIDTH + p->tx;
    p->at = (size_t)p->y * (size_t)plane->width + (size_t)p->x;
    return p->y < plane->height && p->x < plane->width;
}

/* Loads a tile; beyond the picture its nearest pixel, or zero. */
static inline VJ_HD void vj_cuda_load_samples(const struct vj_cuda_plane *plane, bool replicate,
                                              struct vj_cuda_samples *s, struct vj_cuda_place at,
                                              unsigned thread)
{
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT - VJ_CUDA_JND_HALO;
    int left = (int)at.x * VJ_CUDA_JND_WIDTH - VJ_CUDA_JND_HALO;
    for (int i = (int)thread; i < VJ_CUDA_JND_ROWS * VJ_CUDA_JND_STRIDE; i += VJ_CUDA_THREADS) {
        int y = top + i / VJ_CUDA_JND_STRIDE, x = left + i % VJ_CUDA_JND_STRIDE;
        int cy = vj_cuda_clamp(y, 0, plane->height - 1), cx = vj_cuda_clamp(x, 0, plane->width - 1);
        bool inside = cy == y && cx == x;
        s->v[i] = inside || replicate ? plane->luma[(size_t)cy * (size_t)plane->width + (size_t)cx]
                                      : (int16_t)0;
    }
}

/* ---- Filters (host/jnd_blocks.h) ----------------------------------------------------------- */

enum { VJ_CUDA_ROW = VJ_CUDA_JND_STRIDE };

/* Background luminance, times 32. */
static inline VJ_HD int vj_cuda_background(const int16_t *p, int stride)
{
    int box = 0, inner = 0;
    for (int y = -2; y <= 2; y++) {
        for (int x = -2; x <= 2; x++) {
            int v = p[y * stride + x];
            box += v;
            inner += y >= -1 && y <= 1 && x >= -1 && x <= 1 ? v : 0;
        }
    }
    return box + inner - 2 * p[0];
}

static inline VJ_HD int vj_cuda_max_abs(int a, int b)
{
    int p = a < 0 ? -a : a, q = b < 0 ? -b : b;
    return p > q ? p : q;
}

/* Gradient, times 16: each operator changes sign when turned by 180 degrees. */
static inline VJ_HD int vj_cuda_gradient(const int16_t *p, int stride)
{
    const int16_t *up = p - stride, *up2 = up - stride, *down = p + stride, *down2 = down + stride;
    int n2 = up2[0] - down2[0], n1 = up[0] - down[0], w2 = p[-2] - p[2], w1 = p[-1] - p[1];
    int nw = up[-1] - down[1], ne = up[1] - down[-1];
    int wnw = up[-2] - down[2], ene = up[2] - down[-2];
    int nnw = up2[-1] - down2[1], nne = up2[1] - down2[-1];
    int g1 = wnw + ene + 3 * (nw + ne) + 8 * n1;
    int g4 = nnw - nne + 3 * (nw - ne) + 8 * w1;
    int vertical = n2 + 3 * n1, horizontal = w2 + 3 * w1;
    int g2 = vertical + horizontal + 8 * nw;
    int g3 = vertical - horizontal + 8 * ne;
    return vj_cuda_max_abs(vj_cuda_max_abs(g1, g4), vj_cuda_max_abs(g2, g3));
}

/* Population variance over 5x5 pixels, times 625. */
static inline VJ_HD int vj_cuda_variance(const int16_t *p, int stride)
{
    int sum = 0, square = 0;
    for (int y = -2; y <= 2; y++) {
        for (int x = -2; x <= 2; x++) {
            int v = p[y * stride + x];
            sum += v;
            square += v * v;
        }
    }
    return 25 * square - sum * sum;
}

/* Orientation bin as one bit, 0 without structure. */
static inline VJ_HD uint16_t vj_cuda_orientation(const int16_t *p, int stride)
{
    const int16_t *up = p - stride, *down = p + stride;
    int falling = down[1] - up[-1], rising = up[1] - down[-1];
    int bin = vj_jnd_epc_bin(falling + rising + p[1] - p[-1], falling - rising + down[0] - up[0]);
    return (uint16_t)(1u << bin);
}

/* ---- chou95 -------------------------------------------------------------------------------- */

struct vj_cuda_chou_job {
    struct vj_cuda_plane plane;
    bool add; /* variant: both thresholds joined, or the larger one */
    float *map;
};

/* Step 1 is vj_cuda_load_samples() with zeros outside. Step 2: a pixel per thread. */
static inline VJ_HD void vj_cuda_chou_pixel(const struct vj_cuda_chou_job *job,
                                            const struct vj_cuda_samples *s,
                                            struct vj_cuda_place at, unsigned thread)
{
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(&job->plane, at, thread, &pixel))
        return;
    const int ty = pixel.ty, tx = pixel.tx;
    const int16_t *p = vj_cuda_samples_at(s, ty, tx);
    float b = (float)vj_cuda_background(p, VJ_CUDA_ROW) / 32.0f;
    float g = (float)vj_cuda_gradient(p, VJ_CUDA_ROW) / 16.0f;
    float spatial = vj_jnd_spatial(g, b), luminance = vj_jnd_luminance(b);
    job->map[pixel.at] =
        job->add ? vj_jnd_namm(spatial, luminance) : vj_jnd_maxf(spatial, luminance);
}

/* ---- Maps as 8-bit pictures ---------------------------------------------------------------- */

enum { VJ_CUDA_RANGE_PARTS = 256 }; /* thread blocks that look for the range of a map */

struct vj_cuda_range {
    float low, high;
    uint32_t not_finite;
};

struct vj_cuda_range_job {
    const float *map;
    size_t count;
    unsigned parts;
    struct vj_cuda_range *part; /* [parts] */
};

struct vj_cuda_range_shared {
    struct vj_cuda_range range[VJ_CUDA_THREADS];
};

static inline VJ_HD struct vj_cuda_range vj_cuda_join_ranges(struct vj_cuda_range a,
                                                             struct vj_cuda_range b)
{
    a.low = b.low < a.low ? b.low : a.low;
    a.high = b.high > a.high ? b.high : a.high;
    a.not_finite |= b.not_finite;
    return a;
}

/* Step 1: a share of the map per thread. */
static inline VJ_HD void vj_cuda_range_gather(const struct vj_cuda_range_job *job,
                                              struct vj_cuda_range_shared *s,
                                              struct vj_cuda_place at, unsigned thread)
{
    struct vj_cuda_range range;
    range.low = range.high = job->map[0];
    range.not_finite = 0;
    size_t step = (size_t)job->parts * VJ_CUDA_THREADS;
    for (size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread; i < job->count; i += step) {
        float v = job->map[i];
        range.low = v < range.low ? v : range.low;
        range.high = v > range.high ? v : range.high;
        /* 0 for a finite value, else NaN, which equals nothing. */
        range.not_finite |= v * 0.0f != 0.0f;
    }
    s->range[thread] = range;
}

/* Step 2, for half = VJ_CUDA_THREADS / 2, ..., 1. */
static inline VJ_HD void vj_cuda_range_join(struct vj_cuda_range_shared *s, unsigned half,
                                            unsigned thread)
{
    if (thread < half)
        s->range[thread] = vj_cuda_join_ranges(s->range[thread], s->range[thread + half]);
}

/* Step 3. */
static inline VJ_HD void vj_cuda_range_store(const struct vj_cuda_range_job *job,
                                             const struct vj_cuda_range_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    if (thread == 0)
        job->part[at.x] = s->range[0];
}

struct vj_cuda_scale_job {
    const float *map;
    size_t count;
    enum vj_jnd_scale scale;
    const struct vj_cuda_range *part; /* VJ_CUDA_THREADS ranges, whose union is the map's */
    uint8_t *out;
    uint32_t *not_finite;
};

/*
 * Step 1: every thread block joins the parts for itself. There are as many as threads. Step 2 is
 * vj_cuda_range_join().
 */
static inline VJ_HD void vj_cuda_scale_gather(const struct vj_cuda_scale_job *job,
                                              struct vj_cuda_range_shared *s, unsigned thread)
{
    s->range[thread] = job->part[thread];
}

/* Step 3: a sample per thread, round(clamp((v - origin) * 255 / range)) in double. */
static inline VJ_HD void vj_cuda_scale_pixel(const struct vj_cuda_scale_job *job,
                                             const struct vj_cuda_range_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_range whole = s->range[0];
    size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (i == 0)
        *job->not_finite = whole.not_finite;
    if (i >= job->count)
        return;
    double origin = job->scale == VJ_JND_MINMAX ? (double)whole.low : 0;
    double range = job->scale == VJ_JND_NONE ? 255 : (double)whole.high - origin;
    uint8_t out = 0;
    if (range > 0 && !whole.not_finite) {
        double v = ((double)job->map[i] - origin) * 255.0 / range;
        v = v > 0 ? v : 0;
        v = v < 255 ? v : 255;
        out = (uint8_t)(int)(v + 0.5);
    }
    job->out[i] = out;
}

#ifdef __cplusplus
}
#endif

#endif
