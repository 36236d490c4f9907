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

/* The last row and column of an odd number count twice. Pixels are fewer than 2^32. */
static inline VJ_HD void
vj_cuda_ssimulacra2_pool_pixel(const struct vj_cuda_ssimulacra2_pool_job *job,
                               struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_pictures *p = &job->pictures;
    const struct vj_cuda_ssimulacra2_shape *shape = &p->shape;
    const int finer = job->scale - 1;
    const unsigned width = (unsigned)shape->width[finer], height = (unsigned)shape->height[finer];
    const unsigned half = (unsigned)shape->width[job->scale];
    const unsigned i = at.x * VJ_CUDA_THREADS + thread;
    if (i >= half * (unsigned)shape->height[job->scale])
        return;
    const size_t apart = vj_cuda_ssimulacra2_lights(shape);
    float *light = p->light + 3 * at.z * apart;
    const float *from = light + (shape->pixel[finer] - shape->pixel[1]); /* unless it is bytes */
    float *to = light + (shape->pixel[job->scale] - shape->pixel[1]) + i;
    const unsigned channels = (unsigned)p->channels;
    const uint8_t *bytes = p->bytes + at.z * (shape->width[0] * shape->height[0]) * channels;
    const unsigned top = i / half * 2, left = i % half * 2;
    const unsigned first = top * width + left, right = left + 1 < width;
    const unsigned below = top + 1 < height ? width : 0;
    const unsigned pixel[4] = {first, first + right, first + below, first + below + right};
    float v[3][4];
    VJ_UNROLL
    for (int k = 0; k < 4; k++) {
        if (finer > 0) {
            v[0][k] = from[pixel[k]];
            v[1][k] = from[apart + pixel[k]];
            v[2][k] = from[2 * apart + pixel[k]];
        } else if (channels == 3) {
            const uint8_t *colour = bytes + 3 * pixel[k];
            v[0][k] = p->table[colour[0]];
            v[1][k] = p->table[colour[1]];
            v[2][k] = p->table[colour[2]];
        } else {
            v[0][k] = v[1][k] = v[2][k] = p->table[bytes[pixel[k]]];
        }
    }
    VJ_UNROLL
    for (int c = 0; c < 3; c++)
        to[(size_t)c * apart] = vj_ssimulacra2_pool(v[c][0], v[c][1], v[c][2], v[c][3]);
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

/* Of pixel (y, x), behind one branch so that its colours are read at once; table: p's, or a copy */
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

/*
 * A thread block goes down a strip of columns, VJ_CUDA_STRIP_STEP rows at a time. There is a thread
 * for each channel of each column, and as many rows in a step as there are channels, so that each
 * thread makes X, Y, B of a pixel for all three.
 */
struct vj_cuda_maps_shared {
    float table[256];
    float xyb[VJ_CUDA_STRIP_STEP][VJ_SSIMULACRA2_CHANNELS][VJ_CUDA_STRIP_COLUMNS];
    float filtered[VJ_CUDA_STRIP_STEP][VJ_SSIMULACRA2_CHANNELS][VJ_CUDA_MAPS_KINDS]
                  [VJ_CUDA_STRIP_COLUMNS]; /* down the columns */
};

/* Rows that a step's filters reach: the last one's, and those above of the first one's. */
enum { VJ_CUDA_MAPS_ROWS = VJ_SSIMULACRA2_TAPS - 1 + VJ_CUDA_STRIP_STEP };

/* What a thread keeps from step to step. */
struct vj_cuda_maps_thread {
    int scale;
    unsigned channel, column; /* of the strip, margins included */
    unsigned x;               /* of the plane; may be outside */
    unsigned width, height;   /* of the plane */
    unsigned first;           /* number of pixel (0, x) in the original's planes */
    /* Of its column, the newest row last; zero outside the plane. */
    float t[VJ_CUDA_MAPS_ROWS], a[VJ_CUDA_MAPS_ROWS];
    double sum[VJ_SSIMULACRA2_TERMS];
};

/* Step 1. Pixels of all planes are fewer than 2^32. */
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
    own->channel = thread / VJ_CUDA_STRIP_COLUMNS;
    own->column = thread % VJ_CUDA_STRIP_COLUMNS;
    /* Left of the plane this becomes a huge number, which is outside too. */
    own->x = strip * VJ_CUDA_STRIP_WIDTH + own->column - VJ_SSIMULACRA2_REACH;
    own->width = (unsigned)shape->width[own->scale];
    own->height = (unsigned)shape->height[own->scale];
    own->first =
        own->channel * (unsigned)shape->pixels + (unsigned)shape->pixel[own->scale] + own->x;
    VJ_UNROLL
    for (int k = 0; k < VJ_CUDA_MAPS_ROWS; k++)
        own->t[k] = own->a[k] = 0;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        own->sum[k] = 0;
}

/*
 * Steps 2, 3 and 4 are taken for row = 0, VJ_CUDA_STRIP_STEP, ... as long as filters of rows in the
 * plane reach there.
 */
static inline VJ_HD bool vj_cuda_maps_reach(const struct vj_cuda_maps_thread *own, unsigned row)
{
    return row < own->height + VJ_SSIMULACRA2_REACH;
}

/* Step 2: X, Y, B of a pixel of the thread's column, in the row of its channel's number. */
static inline VJ_HD void vj_cuda_maps_colours(const struct vj_cuda_maps_job *job,
                                              struct vj_cuda_maps_shared *s,
                                              const struct vj_cuda_maps_thread *own,
                                              struct vj_cuda_place at, unsigned row)
{
    const unsigned y = row + own->channel;
    struct vj_xyb v = {0, 0, 0};
    if (own->x < own->width && y < own->height)
        v = vj_cuda_ssimulacra2_xyb_at(&job->candidates, s->table, at.z, own->scale, false, y,
                                       own->x);
    s->xyb[own->channel][0][own->column] = v.x;
    s->xyb[own->channel][1][own->column] = v.y;
    s->xyb[own->channel][2][own->column] = v.b;
}

/* Filters a step's rows of one kind down the thread's column. */
static inline VJ_HD void vj_cuda_maps_filter(struct vj_cuda_maps_shared *s,
                                             const struct vj_cuda_maps_thread *own, int kind,
                                             const float rows[VJ_CUDA_MAPS_ROWS])
{
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_STRIP_STEP; i++)
        s->filtered[i][own->channel][kind][own->column] = vj_ssimulacra2_window(rows + i, 1);
}

/* Step 3: takes the rows in and filters those four above down the columns. */
static inline VJ_HD void vj_cuda_maps_columns(const struct vj_cuda_maps_job *job,
                                              struct vj_cuda_maps_shared *s,
                                              struct vj_cuda_maps_thread *own, unsigned row)
{
    float product[VJ_CUDA_MAPS_ROWS];
    VJ_UNROLL
    for (int k = 0; k + VJ_CUDA_STRIP_STEP < VJ_CUDA_MAPS_ROWS; k++) {
        own->t[k] = own->t[k + VJ_CUDA_STRIP_STEP];
        own->a[k] = own->a[k + VJ_CUDA_STRIP_STEP];
    }
    VJ_UNROLL
    for (unsigned i = 0; i < VJ_CUDA_STRIP_STEP; i++) {
        const int k = VJ_SSIMULACRA2_TAPS - 1 + (int)i;
        const bool inside = own->x < own->width && row + i < own->height;
        own->a[k] = inside ? job->original.plane[own->first + (row + i) * own->width] : 0.0f;
        own->t[k] = s->xyb[i][own->channel][own->column] - own->a[k];
    }
    vj_cuda_maps_filter(s, own, VJ_CUDA_MAPS_T, own->t);
    VJ_UNROLL
    for (int k = 0; k < VJ_CUDA_MAPS_ROWS; k++)
        product[k] = own->t[k] * own->t[k];
    vj_cuda_maps_filter(s, own, VJ_CUDA_MAPS_T_T, product);
    VJ_UNROLL
    for (int k = 0; k < VJ_CUDA_MAPS_ROWS; k++)
        product[k] = own->a[k] * own->t[k];
    vj_cuda_maps_filter(s, own, VJ_CUDA_MAPS_A_T, product);
}

/* Whether the thread's column is one that its block measures. */
static inline VJ_HD bool vj_cuda_maps_measures(const struct vj_cuda_maps_thread *own)
{
    return own->column >= VJ_SSIMULACRA2_REACH &&
           own->column < VJ_CUDA_STRIP_COLUMNS - VJ_SSIMULACRA2_REACH && own->x < own->width;
}

/*
 * Adds what vj_ssimulacra2_terms() gives. Of ringing and blurring one is zero, so that their sum is
 * the other, and one conversion to double, which are slow, does for both.
 */
static inline VJ_HD void vj_cuda_maps_add(struct vj_cuda_maps_thread *own, float error, float edge)
{
    float term[VJ_SSIMULACRA2_TERMS];
    vj_ssimulacra2_terms(error, edge, term);
    const double change = term[1] + term[2], power = term[4] + term[5];
    own->sum[0] += term[0];
    own->sum[1] += edge > 0.0f ? change : 0.0;
    own->sum[2] += edge > 0.0f ? 0.0 : change;
    own->sum[3] += term[3];
    own->sum[4] += edge > 0.0f ? power : 0.0;
    own->sum[5] += edge > 0.0f ? 0.0 : power;
}

/* Step 4: filters those rows along themselves, and adds their maps. */
static inline VJ_HD void vj_cuda_maps_measure(const struct vj_cuda_maps_job *job,
                                              const struct vj_cuda_maps_shared *s,
                                              struct vj_cuda_maps_thread *own, unsigned row)
{
    if (!vj_cuda_maps_measures(own))
        return;
    const unsigned left = own->column - VJ_SSIMULACRA2_REACH;
    VJ_UNROLL
    for (unsigned i = 0; i < VJ_CUDA_STRIP_STEP; i++) {
        /* Above the plane this becomes a huge number, which is outside too. */
        const unsigned y = row + i - VJ_SSIMULACRA2_REACH;
        const int k = VJ_SSIMULACRA2_REACH + (int)i;
        if (y >= own->height)
            continue;
        const unsigned pixel = own->first + y * own->width;
        const float(*filtered)[VJ_CUDA_STRIP_COLUMNS] = s->filtered[i][own->channel];
        float mean_t = vj_ssimulacra2_window(filtered[VJ_CUDA_MAPS_T] + left, 1);
        float mean_tt = vj_ssimulacra2_window(filtered[VJ_CUDA_MAPS_T_T] + left, 1);
        float mean_at = vj_ssimulacra2_window(filtered[VJ_CUDA_MAPS_A_T] + left, 1);
        float mean_a = job->original.mean[pixel];
        vj_cuda_maps_add(
            own,
            vj_ssimulacra2_error(mean_t, mean_tt, mean_at, mean_a, job->original.second[pixel]),
            vj_ssimulacra2_edge(own->a[k], mean_a, own->t[k], mean_t));
    }
}

/* Step 5. */
static inline VJ_HD void vj_cuda_maps_store(const struct vj_cuda_maps_job *job,
                                            const struct vj_cuda_maps_thread *own,
                                            struct vj_cuda_place at)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->candidates.shape;
    if (!vj_cuda_maps_measures(own))
        return;
    size_t column = at.z * shape->columns + shape->column[own->scale] + own->x;
    double *to =
        job->part + (column * VJ_SSIMULACRA2_CHANNELS + own->channel) * VJ_SSIMULACRA2_TERMS;
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
