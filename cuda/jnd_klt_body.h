/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that make a klt22 map, written as described in jpeg_body.h: sums over
 * blocks, from which the host finds the projection (host/jnd_klt22.h), and the map.
 */
#ifndef VJ_CUDA_JND_KLT_BODY_H
#define VJ_CUDA_JND_KLT_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/atomic_body.h"
#include "cuda/jnd_epc_body.h"
#include "host/jnd_klt22.h"

/* ---- Sums over blocks ---------------------------------------------------------------------- */

enum {
    VJ_CUDA_KLT_PARTS = 128, /* thread blocks */
    VJ_CUDA_KLT_BATCH = 32,  /* 8x8 blocks that one of them holds at a time */
    VJ_CUDA_KLT_TILE = 4,    /* a thread sums 4x4 products */
    VJ_CUDA_KLT_ACROSS = VJ_KLT_AREA / VJ_CUDA_KLT_TILE,
};

struct vj_cuda_klt_sum_job {
    struct vj_cuda_plane plane;
    struct vj_klt_moments *moments; /* zero before */
};

struct vj_cuda_klt_sum_shared {
    int32_t sample[VJ_CUDA_KLT_BATCH][VJ_KLT_AREA];
};

/* Sums of a thread. Those of a batch are below 2^21, those of the largest picture below 2^41. */
struct vj_cuda_klt_sums {
    int64_t blocks, first;
    int64_t second[VJ_CUDA_KLT_TILE][VJ_CUDA_KLT_TILE];
};

static inline VJ_HD size_t vj_cuda_klt_blocks(const struct vj_cuda_plane *plane)
{
    return (size_t)(plane->width / VJ_KLT_SIDE) * (size_t)(plane->height / VJ_KLT_SIDE);
}

static inline VJ_HD size_t vj_cuda_klt_batches(const struct vj_cuda_plane *plane)
{
    return vj_cuda_blocks(vj_cuda_klt_blocks(plane), VJ_CUDA_KLT_BATCH);
}

/* Step 1. */
static inline VJ_HD void vj_cuda_klt_begin(struct vj_cuda_klt_sums *sums)
{
    sums->blocks = sums->first = 0;
    VJ_UNROLL
    for (int j = 0; j < VJ_CUDA_KLT_TILE; j++) {
        VJ_UNROLL
        for (int i = 0; i < VJ_CUDA_KLT_TILE; i++)
            sums->second[j][i] = 0;
    }
}

/*
 * Step 2, for every VJ_CUDA_KLT_PARTS-th batch: blocks as vectors of columns, zeros after the last.
 */
static inline VJ_HD void vj_cuda_klt_load(const struct vj_cuda_klt_sum_job *job,
                                          struct vj_cuda_klt_sum_shared *s, size_t batch,
                                          unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    const size_t across = (size_t)(plane->width / VJ_KLT_SIDE);
    for (unsigned i = thread; i < VJ_CUDA_KLT_BATCH * VJ_KLT_AREA; i += VJ_CUDA_THREADS) {
        const size_t block = batch * VJ_CUDA_KLT_BATCH + i / VJ_KLT_AREA;
        /* Threads go along the rows of a block, as its pixels lie in memory. */
        const size_t y = i % VJ_KLT_AREA / VJ_KLT_SIDE, x = i % VJ_KLT_SIDE;
        int32_t sample = 0;
        if (block < vj_cuda_klt_blocks(plane))
            sample = plane->luma[(block / across * VJ_KLT_SIDE + y) * (size_t)plane->width +
                                 block % across * VJ_KLT_SIDE + x];
        s->sample[i / VJ_KLT_AREA][x * VJ_KLT_SIDE + y] = sample;
    }
}

/* Step 3, after every step 2. */
static inline VJ_HD void vj_cuda_klt_add(const struct vj_cuda_klt_sum_job *job,
                                         const struct vj_cuda_klt_sum_shared *s, size_t batch,
                                         struct vj_cuda_klt_sums *sums, unsigned thread)
{
    const unsigned top = thread / VJ_CUDA_KLT_ACROSS * VJ_CUDA_KLT_TILE;
    const unsigned left = thread % VJ_CUDA_KLT_ACROSS * VJ_CUDA_KLT_TILE;
    int32_t product[VJ_CUDA_KLT_TILE][VJ_CUDA_KLT_TILE] = {{0}}, first = 0;
    for (int b = 0; b < VJ_CUDA_KLT_BATCH; b++) {
        const int32_t *row = s->sample[b] + top, *column = s->sample[b] + left;
        VJ_UNROLL
        for (int j = 0; j < VJ_CUDA_KLT_TILE; j++) {
            VJ_UNROLL
            for (int i = 0; i < VJ_CUDA_KLT_TILE; i++)
                product[j][i] += row[j] * column[i];
        }
        first += s->sample[b][thread % VJ_KLT_AREA];
    }
    VJ_UNROLL
    for (int j = 0; j < VJ_CUDA_KLT_TILE; j++) {
        VJ_UNROLL
        for (int i = 0; i < VJ_CUDA_KLT_TILE; i++)
            sums->second[j][i] += product[j][i];
    }
    sums->first += first;
    const size_t left_over = vj_cuda_klt_blocks(&job->plane) - batch * VJ_CUDA_KLT_BATCH;
    const size_t most = VJ_CUDA_KLT_BATCH;
    sums->blocks += (int64_t)(left_over < most ? left_over : most);
}

/* Step 4. */
static inline VJ_HD void vj_cuda_klt_store(const struct vj_cuda_klt_sum_job *job,
                                           const struct vj_cuda_klt_sums *sums, unsigned thread)
{
    struct vj_klt_moments *m = job->moments;
    const unsigned top = thread / VJ_CUDA_KLT_ACROSS * VJ_CUDA_KLT_TILE;
    const unsigned left = thread % VJ_CUDA_KLT_ACROSS * VJ_CUDA_KLT_TILE;
    VJ_UNROLL
    for (unsigned j = 0; j < VJ_CUDA_KLT_TILE; j++) {
        VJ_UNROLL
        for (unsigned i = 0; i < VJ_CUDA_KLT_TILE; i++)
            vj_cuda_atomic_add(&m->second[top + j][left + i], sums->second[j][i]);
    }
    if (thread < VJ_KLT_AREA)
        vj_cuda_atomic_add(&m->first[thread], sums->first);
    if (thread == 0)
        vj_cuda_atomic_add(&m->blocks, sums->blocks);
}

/* ---- The map ------------------------------------------------------------------------------- */

enum { VJ_CUDA_KLT_SOFTEN = 2 }; /* radius of the edge weight's Gaussian */

struct vj_cuda_klt_job {
    struct vj_cuda_plane plane;
    const double *projection;        /* [64][64] */
    const uint8_t *dilated;          /* edges of the whole blocks alone; NULL: no edge weight */
    float attenuation;               /* vj_jnd_weight_epc */
    struct vj_jnd_gaussian gaussian; /* radius VJ_CUDA_KLT_SOFTEN */
    float *map;
};

/* Edge weight of a pixel within the whole blocks, which have width x height pixels. */
static inline VJ_HD float vj_cuda_klt_weight(const struct vj_cuda_klt_job *job, int width,
                                             int height, int y, int x)
{
    float column[2 * VJ_CUDA_KLT_SOFTEN + 1];
    const int top = y - VJ_CUDA_KLT_SOFTEN;
    VJ_UNROLL
    for (int k = 0; k <= 2 * VJ_CUDA_KLT_SOFTEN; k++) {
        const int at = x - VJ_CUDA_KLT_SOFTEN + k;
        column[k] = 0;
        if (at >= 0 && at < width)
            column[k] = vj_cuda_smooth_column(job->dilated + (ptrdiff_t)top * width + at, width,
                                              top, height, &job->gaussian, -job->attenuation, 1.0f);
    }
    return vj_cuda_smooth_row(column + VJ_CUDA_KLT_SOFTEN, &job->gaussian);
}

/* A pixel per thread; beyond the whole blocks that of which it is the mirror image. */
static inline VJ_HD void vj_cuda_klt_pixel(const struct vj_cuda_klt_job *job,
                                           struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(plane, at, thread, &pixel))
        return;
    const int width = plane->width / VJ_KLT_SIDE * VJ_KLT_SIDE;
    const int height = plane->height / VJ_KLT_SIDE * VJ_KLT_SIDE;
    const int y = pixel.y < height ? pixel.y : 2 * height - 1 - pixel.y;
    const int x = pixel.x < width ? pixel.x : 2 * width - 1 - pixel.x;
    const int own = x % VJ_KLT_SIDE * VJ_KLT_SIDE + y % VJ_KLT_SIDE;
    const uint8_t *corner = plane->luma +
                            (size_t)(y / VJ_KLT_SIDE * VJ_KLT_SIDE) * (size_t)plane->width +
                            (size_t)(x / VJ_KLT_SIDE * VJ_KLT_SIDE);
    double rebuilt = 0;
    for (int j = 0; j < VJ_KLT_AREA; j++) {
        double sample = corner[(size_t)(j % VJ_KLT_SIDE) * (size_t)plane->width + j / VJ_KLT_SIDE];
        rebuilt += sample * job->projection[j * VJ_KLT_AREA + own];
    }
    const uint8_t luma = plane->luma[(size_t)y * (size_t)plane->width + (size_t)x];
    const float critical = (float)vj_klt_settle(luma, rebuilt);
    const float weight = job->dilated ? vj_cuda_klt_weight(job, width, height, y, x) : 1.0f;
    job->map[pixel.at] = fabsf((float)luma - critical) * weight;
}

#ifdef __cplusplus
}
#endif

#endif
