/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels of SSIMULACRA2, written as described in jpeg_body.h; those of parity mode
 * are in ssimulacra2_parity_body.h. The arithmetic is that of host/ssimulacra2_math.h, and what is
 * summed is summed in the CPU's order: down each column, then from column to column.
 */
#ifndef VJ_CUDA_SSIMULACRA2_BODY_H
#define VJ_CUDA_SSIMULACRA2_BODY_H

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/geometry.h"

/* ---- Linear light --------------------------------------------------------------------------- */

/* Pictures of one size: the original alone, or candidates. */
struct vj_cuda_ssimulacra2_pictures {
    struct vj_cuda_ssimulacra2_shape shape;
    const uint8_t *bytes; /* [count][height][width][channels] */
    int channels;
    const float *table; /* [256], linear light of a byte */
    float *light;       /* [count][3 colours][vj_cuda_ssimulacra2_lights()], scales 1, 2, ... */
};

/* Linear light of colour 0..2 of pixel (y, x) at a scale; table: that of `p` or a copy. */
static inline VJ_HD float vj_cuda_ssimulacra2_light(const struct vj_cuda_ssimulacra2_pictures *p,
                                                    const float *table, size_t picture, int scale,
                                                    size_t colour, size_t y, size_t x)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &p->shape;
    size_t at = y * shape->width[scale] + x;
    if (scale == 0) {
        size_t pixel = picture * shape->width[0] * shape->height[0] + at;
        return table[p->channels == 3 ? p->bytes[3 * pixel + colour] : p->bytes[pixel]];
    }
    return p->light[(3 * picture + colour) * vj_cuda_ssimulacra2_lights(shape) +
                    shape->pixel[scale] - shape->pixel[1] + at];
}

/* Makes a scale, not the first, from the one before. */
struct vj_cuda_ssimulacra2_pool_job {
    struct vj_cuda_ssimulacra2_pictures pictures;
    int scale;
};

static inline struct vj_cuda_grid
vj_cuda_ssimulacra2_pixel_grid(const struct vj_cuda_ssimulacra2_shape *shape, int scale,
                               size_t count)
{
    return vj_cuda_line_grid(shape->width[scale] * shape->height[scale], VJ_CUDA_THREADS, count);
}

/* The last row and column of an odd number count twice. */
static inline VJ_HD void
vj_cuda_ssimulacra2_pool_pixel(const struct vj_cuda_ssimulacra2_pool_job *job,
                               struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_pictures *p = &job->pictures;
    const struct vj_cuda_ssimulacra2_shape *shape = &p->shape;
    const int finer = job->scale - 1;
    size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (i >= shape->width[job->scale] * shape->height[job->scale])
        return;
    size_t top = i / shape->width[job->scale] * 2, left = i % shape->width[job->scale] * 2;
    size_t below = top + 1 < shape->height[finer] ? top + 1 : top;
    size_t right = left + 1 < shape->width[finer] ? left + 1 : left;
    for (size_t c = 0; c < 3; c++)
        p->light[(3 * at.z + c) * vj_cuda_ssimulacra2_lights(shape) + shape->pixel[job->scale] -
                 shape->pixel[1] + i] =
            vj_ssimulacra2_pool(
                vj_cuda_ssimulacra2_light(p, p->table, at.z, finer, c, top, left),
                vj_cuda_ssimulacra2_light(p, p->table, at.z, finer, c, top, right),
                vj_cuda_ssimulacra2_light(p, p->table, at.z, finer, c, below, left),
                vj_cuda_ssimulacra2_light(p, p->table, at.z, finer, c, below, right));
}

/* ---- Original ------------------------------------------------------------------------------- */

/* What the maps of every candidate need, as struct vj_ssimulacra2_scale has it. */
struct vj_cuda_ssimulacra2_original {
    float *plane;  /* [channels][shape.pixels] */
    float *mean;   /* the same */
    float *second; /* the same */
};

/* X, Y, B of one scale of pictures: planes of [height][width]. */
struct vj_cuda_ssimulacra2_xyb {
    float *plane;
    size_t apart;   /* floats from channel to channel */
    size_t picture; /* floats from picture to picture */
};

/* Those of the original, in the planes of all scales. */
static inline VJ_HD struct vj_cuda_ssimulacra2_xyb
vj_cuda_ssimulacra2_xyb_of(const struct vj_cuda_ssimulacra2_original *original,
                           const struct vj_cuda_ssimulacra2_shape *shape, int scale)
{
    struct vj_cuda_ssimulacra2_xyb to = {original->plane + shape->pixel[scale], shape->pixels, 0};
    return to;
}

/* A picture for each plane of the grid. */
struct vj_cuda_ssimulacra2_xyb_job {
    struct vj_cuda_ssimulacra2_pictures pictures;
    int scale;
    bool parity;
    struct vj_cuda_ssimulacra2_xyb to;
};

/* Of vj_cuda_ssimulacra2_light()'s colours, behind one branch so that all are read at once. */
static inline VJ_HD struct vj_xyb
vj_cuda_ssimulacra2_xyb_at(const struct vj_cuda_ssimulacra2_pictures *p, const float *table,
                           size_t picture, int scale, bool parity, size_t y, size_t x)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &p->shape;
    const size_t pixel = (picture * shape->height[0] + y) * shape->width[0] + x;
    float red, green, blue;
    if (scale > 0) {
        const size_t apart = vj_cuda_ssimulacra2_lights(shape);
        const float *light = p->light + 3 * picture * apart + shape->pixel[scale] -
                             shape->pixel[1] + y * shape->width[scale] + x;
        red = light[0];
        green = light[apart];
        blue = light[2 * apart];
    } else if (p->channels == 3) {
        const uint8_t *bytes = p->bytes + 3 * pixel;
        const uint8_t r = bytes[0], g = bytes[1], b = bytes[2];
        red = table[r];
        green = table[g];
        blue = table[b];
    } else {
        red = green = blue = table[p->bytes[pixel]];
    }
    return parity ? vj_ssimulacra2_parity_xyb(red, green, blue)
                  : vj_ssimulacra2_xyb(red, green, blue);
}

static inline VJ_HD void
vj_cuda_ssimulacra2_xyb_pixel(const struct vj_cuda_ssimulacra2_xyb_job *job,
                              struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->pictures.shape;
    size_t width = shape->width[job->scale];
    size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (i >= width * shape->height[job->scale])
        return;
    struct vj_xyb v = vj_cuda_ssimulacra2_xyb_at(&job->pictures, job->pictures.table, at.z,
                                                 job->scale, job->parity, i / width, i % width);
    float *to = job->to.plane + at.z * job->to.picture + i;
    to[0] = v.x;
    to[job->to.apart] = v.y;
    to[2 * job->to.apart] = v.b;
}

/* Exact mode: moments of the original, in double; a plane of the grid is a channel. */
struct vj_cuda_moment_job {
    struct vj_cuda_ssimulacra2_shape shape;
    int scale;
    struct vj_cuda_ssimulacra2_original original;
};

enum {
    VJ_CUDA_MOMENT_ACROSS = VJ_CUDA_MOMENT_WIDTH + 2 * VJ_SSIMULACRA2_REACH,
    VJ_CUDA_MOMENT_COLUMNS = VJ_CUDA_MOMENT_ACROSS * VJ_CUDA_MOMENT_HEIGHT,
};

/* Filtered down the columns; those outside the plane are zero. */
struct vj_cuda_moment_shared {
    double mean[VJ_CUDA_MOMENT_COLUMNS];
    double square[VJ_CUDA_MOMENT_COLUMNS];
};

static inline struct vj_cuda_grid vj_cuda_moment_grid(const struct vj_cuda_ssimulacra2_shape *shape,
                                                      int scale)
{
    return vj_cuda_tile_grid(shape->width[scale], shape->height[scale], VJ_CUDA_MOMENT_WIDTH,
                             VJ_CUDA_MOMENT_HEIGHT, VJ_SSIMULACRA2_CHANNELS);
}

/* Step 1: columns. Rows outside the plane are left out: they are zero. */
static inline VJ_HD void vj_cuda_moment_columns(const struct vj_cuda_moment_job *job,
                                                struct vj_cuda_moment_shared *s,
                                                struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    size_t width = shape->width[job->scale], height = shape->height[job->scale];
    const float *plane = job->original.plane + at.z * shape->pixels + shape->pixel[job->scale];
    for (unsigned i = thread; i < VJ_CUDA_MOMENT_COLUMNS; i += VJ_CUDA_THREADS) {
        size_t y = (size_t)at.y * VJ_CUDA_MOMENT_HEIGHT + i / VJ_CUDA_MOMENT_ACROSS;
        /* Left of the plane this becomes a huge number, which is outside too. */
        size_t x =
            (size_t)at.x * VJ_CUDA_MOMENT_WIDTH + i % VJ_CUDA_MOMENT_ACROSS - VJ_SSIMULACRA2_REACH;
        double mean = 0, square = 0;
        if (y < height && x < width) {
            size_t first = y < VJ_SSIMULACRA2_REACH ? 0 : y - VJ_SSIMULACRA2_REACH;
            size_t last =
                height - 1 - y < VJ_SSIMULACRA2_REACH ? height - 1 : y + VJ_SSIMULACRA2_REACH;
            for (size_t k = first; k <= last; k++) {
                const double w = vj_ssimulacra2_tap(k < y ? y - k : k - y);
                double v = plane[k * width + x];
                mean += w * v;
                square += w * (v * v);
            }
        }
        s->mean[i] = mean;
        s->square[i] = square;
    }
}

/* Step 2: rows. */
static inline VJ_HD void vj_cuda_moment_rows(const struct vj_cuda_moment_job *job,
                                             const struct vj_cuda_moment_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    unsigned row = thread / VJ_CUDA_MOMENT_WIDTH, column = thread % VJ_CUDA_MOMENT_WIDTH;
    size_t y = (size_t)at.y * VJ_CUDA_MOMENT_HEIGHT + row;
    size_t x = (size_t)at.x * VJ_CUDA_MOMENT_WIDTH + column;
    if (y >= shape->height[job->scale] || x >= shape->width[job->scale])
        return;
    unsigned i = row * VJ_CUDA_MOMENT_ACROSS + column;
    double mean = vj_ssimulacra2_window_double(s->mean + i, 1);
    double square = vj_ssimulacra2_window_double(s->square + i, 1);
    size_t to = at.z * shape->pixels + shape->pixel[job->scale] + y * shape->width[job->scale] + x;
    job->original.mean[to] = (float)mean;
    job->original.second[to] = vj_ssimulacra2_base(mean, square);
}

/* ---- Maps, exact mode ----------------------------------------------------------------------- */

/* Sums over the maps of every column of every scale, in one launch: vj_cuda_strip_grid(). */
struct vj_cuda_maps_job {
    struct vj_cuda_ssimulacra2_pictures candidates;
    struct vj_cuda_ssimulacra2_original original;
    double *part; /* [count][shape.columns][channels][terms] */
};

/* Of the rows that are filtered. */
enum { VJ_CUDA_MAPS_T, VJ_CUDA_MAPS_T_T, VJ_CUDA_MAPS_A_T, VJ_CUDA_MAPS_KINDS };

struct vj_cuda_maps_shared {
    float table[256];
    /*
     * A row filtered down the columns, one number per thread. Rows take turns, so that the next one
     * may be written while a slower thread still reads: one barrier per row does.
     */
    float filtered[2][VJ_CUDA_MAPS_KINDS][VJ_CUDA_STRIP_THREADS];
};

/* What a thread keeps from row to row. */
struct vj_cuda_maps_thread {
    int scale;
    size_t x; /* its column; may be outside the plane */
    /* Of the last nine rows, the newest last; zero outside the plane. */
    float t[VJ_SSIMULACRA2_TAPS], a[VJ_SSIMULACRA2_TAPS];
    double sum[VJ_SSIMULACRA2_TERMS];
};

/* Step 1. */
static inline VJ_HD void vj_cuda_maps_start(const struct vj_cuda_maps_job *job,
                                            struct vj_cuda_maps_shared *s,
                                            struct vj_cuda_maps_thread *own,
                                            struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->candidates.shape;
    for (unsigned i = thread; i < 256; i += VJ_CUDA_STRIP_THREADS)
        s->table[i] = job->candidates.table[i];
    unsigned strip = at.x;
    own->scale = 0;
    while (strip >= vj_cuda_strips(shape, own->scale))
        strip -= vj_cuda_strips(shape, own->scale++);
    /* Left of the plane this becomes a huge number, which is outside too. */
    own->x = (size_t)strip * VJ_CUDA_STRIP_WIDTH + thread - VJ_SSIMULACRA2_REACH;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TAPS; k++)
        own->t[k] = own->a[k] = 0;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        own->sum[k] = 0;
}

/* How often steps 2 and 3 are taken: rows of the scale, and those below that its filter reaches. */
static inline VJ_HD size_t vj_cuda_maps_rows(const struct vj_cuda_maps_job *job,
                                             const struct vj_cuda_maps_thread *own)
{
    return job->candidates.shape.height[own->scale] + VJ_SSIMULACRA2_REACH;
}

/* Difference of a pixel of the thread's column to the original, and the original's value. */
static inline VJ_HD void vj_cuda_maps_pixel(const struct vj_cuda_maps_job *job,
                                            const struct vj_cuda_maps_shared *s,
                                            const struct vj_cuda_maps_thread *own,
                                            struct vj_cuda_place at, size_t row, float *t, float *a)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->candidates.shape;
    *t = *a = 0;
    if (own->x >= shape->width[own->scale] || row >= shape->height[own->scale])
        return;
    struct vj_xyb v = vj_cuda_ssimulacra2_xyb_at(&job->candidates, s->table, at.z, own->scale,
                                                 false, row, own->x);
    *a = job->original.plane[at.y * shape->pixels + shape->pixel[own->scale] +
                             row * shape->width[own->scale] + own->x];
    *t = (at.y == 0 ? v.x : at.y == 1 ? v.y : v.b) - *a;
}

/* Step 2: takes a row in and filters the one four above down the columns. */
static inline VJ_HD void vj_cuda_maps_take(const struct vj_cuda_maps_job *job,
                                           struct vj_cuda_maps_shared *s,
                                           struct vj_cuda_maps_thread *own, struct vj_cuda_place at,
                                           unsigned thread, size_t row)
{
    float t_t[VJ_SSIMULACRA2_TAPS], a_t[VJ_SSIMULACRA2_TAPS];
    VJ_UNROLL
    for (int k = 0; k + 1 < VJ_SSIMULACRA2_TAPS; k++) {
        own->t[k] = own->t[k + 1];
        own->a[k] = own->a[k + 1];
    }
    vj_cuda_maps_pixel(job, s, own, at, row, &own->t[VJ_SSIMULACRA2_TAPS - 1],
                       &own->a[VJ_SSIMULACRA2_TAPS - 1]);
    if (row < VJ_SSIMULACRA2_REACH)
        return;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TAPS; k++) {
        t_t[k] = own->t[k] * own->t[k];
        a_t[k] = own->a[k] * own->t[k];
    }
    s->filtered[row % 2][VJ_CUDA_MAPS_T][thread] = vj_ssimulacra2_window(own->t, 1);
    s->filtered[row % 2][VJ_CUDA_MAPS_T_T][thread] = vj_ssimulacra2_window(t_t, 1);
    s->filtered[row % 2][VJ_CUDA_MAPS_A_T][thread] = vj_ssimulacra2_window(a_t, 1);
}

/* Whether the thread's column is one that its block measures. */
static inline VJ_HD bool vj_cuda_maps_measures(const struct vj_cuda_maps_job *job,
                                               const struct vj_cuda_maps_thread *own,
                                               unsigned thread)
{
    return thread >= VJ_SSIMULACRA2_REACH &&
           thread < VJ_CUDA_STRIP_THREADS - VJ_SSIMULACRA2_REACH &&
           own->x < job->candidates.shape.width[own->scale];
}

/* Step 3: filters that row along itself, and adds its maps. */
static inline VJ_HD void vj_cuda_maps_measure(const struct vj_cuda_maps_job *job,
                                              const struct vj_cuda_maps_shared *s,
                                              struct vj_cuda_maps_thread *own,
                                              struct vj_cuda_place at, unsigned thread, size_t row)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->candidates.shape;
    if (row < VJ_SSIMULACRA2_REACH || !vj_cuda_maps_measures(job, own, thread))
        return;
    size_t i = at.y * shape->pixels + shape->pixel[own->scale] +
               (row - VJ_SSIMULACRA2_REACH) * shape->width[own->scale] + own->x;
    const unsigned first = thread - VJ_SSIMULACRA2_REACH;
    float mean_t = vj_ssimulacra2_window(s->filtered[row % 2][VJ_CUDA_MAPS_T] + first, 1);
    float mean_tt = vj_ssimulacra2_window(s->filtered[row % 2][VJ_CUDA_MAPS_T_T] + first, 1);
    float mean_at = vj_ssimulacra2_window(s->filtered[row % 2][VJ_CUDA_MAPS_A_T] + first, 1);
    float mean_a = job->original.mean[i];
    float term[VJ_SSIMULACRA2_TERMS];
    vj_ssimulacra2_terms(
        vj_ssimulacra2_error(mean_t, mean_tt, mean_at, mean_a, job->original.second[i]),
        vj_ssimulacra2_edge(own->a[VJ_SSIMULACRA2_REACH], mean_a, own->t[VJ_SSIMULACRA2_REACH],
                            mean_t),
        term);
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        own->sum[k] += term[k];
}

/* Step 4. */
static inline VJ_HD void vj_cuda_maps_store(const struct vj_cuda_maps_job *job,
                                            const struct vj_cuda_maps_thread *own,
                                            struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->candidates.shape;
    if (!vj_cuda_maps_measures(job, own, thread))
        return;
    size_t column = at.z * shape->columns + shape->column[own->scale] + own->x;
    double *to = job->part + (column * VJ_SSIMULACRA2_CHANNELS + at.y) * VJ_SSIMULACRA2_TERMS;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        to[k] = own->sum[k];
}

/* ---- Totals --------------------------------------------------------------------------------- */

/*
 * Adds up the columns of a scale (grid.x, all VJ_SSIMULACRA2_SCALES of them) of a candidate
 * (grid.y), from left to right: a thread per channel and term. Those of scales that the picture
 * does not have become 0.
 */
struct vj_cuda_column_total_job {
    struct vj_cuda_ssimulacra2_shape shape;
    const double *part; /* [count][shape.columns][channels][terms] */
    struct vj_ssimulacra2_totals *totals;
};

static inline VJ_HD void vj_cuda_column_total(const struct vj_cuda_column_total_job *job,
                                              struct vj_cuda_place at, unsigned thread)
{
    enum { NUMBERS = VJ_SSIMULACRA2_CHANNELS * VJ_SSIMULACRA2_TERMS };
    if (thread >= NUMBERS)
        return;
    const double *part =
        job->part + (at.y * job->shape.columns + job->shape.column[at.x]) * NUMBERS + thread;
    double sum = 0;
    VJ_UNROLL_16
    for (size_t x = 0; x < job->shape.width[at.x]; x++)
        sum += part[x * NUMBERS];
    struct vj_ssimulacra2_sums *to = &job->totals[at.y].of[at.x][thread / VJ_SSIMULACRA2_TERMS];
    const unsigned term = thread % VJ_SSIMULACRA2_TERMS;
    if (term < VJ_SSIMULACRA2_MAPS)
        to->first[term] = sum;
    else
        to->fourth[term - VJ_SSIMULACRA2_MAPS] = sum;
}

#ifdef __cplusplus
}
#endif

#endif
