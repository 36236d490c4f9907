/* SPDX-License-Identifier: MIT */
/* The kernels of cuda/ssimulacra2.cu as loops, as emulate_jpeg.h has those of JPEG. */
#ifndef VJ_TESTS_CUDA_EMULATE_SSIMULACRA2_H
#define VJ_TESTS_CUDA_EMULATE_SSIMULACRA2_H

#include "cuda/ssimulacra2_parity_body.h"
#include "host/ssimulacra2.h"
#include "tests/cuda/emulate.h"

/* What struct vj_cuda_ssimulacra2 holds on a device; arrays have just the size of the picture. */
struct emulated_ssimulacra2 {
    enum vj_ssimulacra2_mode mode;
    struct vj_cuda_ssimulacra2_shape shape;
    int channels;
    float table[256];
    struct guarded memory[3];
    struct vj_cuda_ssimulacra2_original original;
};

static inline void emulate_ssimulacra2_pool(const struct vj_cuda_ssimulacra2_pictures *pictures,
                                            int count)
{
    for (int s = 1; s < pictures->shape.scales; s++) {
        struct vj_cuda_ssimulacra2_pool_job job = {*pictures, s};
        struct vj_cuda_grid grid =
            vj_cuda_ssimulacra2_pixel_grid(&pictures->shape, s, (size_t)count);
        EMULATE_BLOCKS(grid, at)
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_ssimulacra2_pool_pixel(&job, at, t);
    }
}

static inline void emulate_moments(const struct emulated_ssimulacra2 *q, int scale)
{
    struct vj_cuda_moment_job job = {q->shape, scale, q->original};
    struct vj_cuda_grid grid = vj_cuda_moment_grid(&q->shape, scale);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_moment_shared s;
        memset(&s, 0xFF, sizeof(s)); /* NaN, which spreads to whatever uses it */
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_moment_columns(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_moment_rows(&job, &s, at, t);
    }
}

/*
 * Between two barriers a thread stores a tile and loads the next one, so that a thread that is
 * ahead writes while others still read.
 */
static inline void emulate_along(const struct vj_cuda_parity_job *job, int count)
{
    const size_t width = job->shape.width[job->scale];
    struct vj_cuda_grid grid = vj_cuda_along_grid(&job->shape, job->scale, (size_t)count);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_along_thread own[VJ_CUDA_ALONG_THREADS];
        struct vj_cuda_along_shared s;
        memset(&s, 0xFF, sizeof(s));
        memset(own, 0xFF, sizeof(own));
        EMULATE_THREADS(VJ_CUDA_ALONG_THREADS, t)
        vj_cuda_along_load(job, &s, at, t, 0);
        for (size_t column = 0; column < width; column += VJ_CUDA_ALONG_COLUMNS) {
            EMULATE_THREADS(VJ_CUDA_ALONG_THREADS, t)
            vj_cuda_along_run(job, &s, &own[t], t, column);
            EMULATE_THREADS(VJ_CUDA_ALONG_THREADS, t)
            {
                vj_cuda_along_store(job, &s, at, t, column);
                if (column + VJ_CUDA_ALONG_COLUMNS < width)
                    vj_cuda_along_load(job, &s, at, t, column + VJ_CUDA_ALONG_COLUMNS);
            }
        }
    }
}

static inline void emulate_xyb(const struct emulated_ssimulacra2 *q,
                               const struct vj_cuda_ssimulacra2_pictures *pictures, int scale,
                               struct vj_cuda_ssimulacra2_xyb to, int count)
{
    struct vj_cuda_ssimulacra2_xyb_job job = {*pictures, scale, q->mode == VJ_SSIMULACRA2_PARITY,
                                              to};
    struct vj_cuda_grid grid = vj_cuda_ssimulacra2_pixel_grid(&q->shape, scale, (size_t)count);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_ssimulacra2_xyb_pixel(&job, at, t);
}

/* Parity mode: one scale of the original (products 2) or of candidates (3), filtered. */
static inline void emulate_filter(const struct emulated_ssimulacra2 *q,
                                  struct vj_cuda_ssimulacra2_xyb xyb, int scale, int products,
                                  int count, double *part)
{
    struct guarded rows;
    const size_t planes = (size_t)(count * VJ_SSIMULACRA2_CHANNELS * products);
    struct vj_cuda_parity_job job = {
        .shape = q->shape,
        .xyb = xyb,
        .scale = scale,
        .products = products,
        .original = q->original,
        .rows = guarded_take(&rows, planes * q->shape.width[scale] * q->shape.height[scale] *
                                        sizeof(float)),
        .part = part};
    for (int k = 0; k < VJ_SSIMULACRA2_POLES; k++)
        job.pole[k] = vj_ssimulacra2_pole(k);
    emulate_along(&job, count);
    struct vj_cuda_grid grid = vj_cuda_down_grid(&q->shape, scale, (size_t)count);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_DOWN_THREADS, t)
    vj_cuda_down_column(&job, job.products, at, t);
    guarded_release(&rows);
}

static inline void emulate_ssimulacra2_load(struct emulated_ssimulacra2 *q,
                                            const struct vj_image *img,
                                            enum vj_ssimulacra2_mode mode)
{
    memset(q, 0, sizeof(*q));
    q->mode = mode;
    q->shape = vj_cuda_ssimulacra2_shape(img->width, img->height);
    q->channels = img->channels;
    for (int i = 0; i < 256; i++)
        q->table[i] = mode == VJ_SSIMULACRA2_PARITY ? vj_ssimulacra2_parity_linear((uint8_t)i)
                                                    : vj_ssimulacra2_linear((uint8_t)i);
    const size_t plane = VJ_SSIMULACRA2_CHANNELS * q->shape.pixels * sizeof(float);
    q->original.plane = guarded_take(&q->memory[0], plane);
    q->original.mean = guarded_take(&q->memory[1], plane);
    q->original.second = guarded_take(&q->memory[2], plane);
    if (q->shape.scales == 0)
        return;
    struct guarded light;
    struct vj_cuda_ssimulacra2_pictures pictures = {
        q->shape, img->data, img->channels, q->table,
        guarded_take(&light, 3 * vj_cuda_ssimulacra2_lights(&q->shape) * sizeof(float))};
    emulate_ssimulacra2_pool(&pictures, 1);
    for (int s = 0; s < q->shape.scales; s++) {
        const struct vj_cuda_ssimulacra2_xyb xyb =
            vj_cuda_ssimulacra2_xyb_of(&q->original, &q->shape, s);
        emulate_xyb(q, &pictures, s, xyb, 1);
        if (mode == VJ_SSIMULACRA2_PARITY)
            emulate_filter(q, xyb, s, VJ_CUDA_PARITY_A_P, 1, NULL);
        else
            emulate_moments(q, s);
    }
    guarded_release(&light);
}

static inline void emulate_ssimulacra2_free(struct emulated_ssimulacra2 *q)
{
    for (int i = 0; i < 3; i++)
        guarded_release(&q->memory[i]);
}

/*
 * Between two barriers a thread measures a row and takes the next one in, so that a thread that is
 * ahead writes while others still read.
 */
static inline void emulate_maps(const struct vj_cuda_maps_job *job, int count)
{
    struct vj_cuda_grid grid = vj_cuda_strip_grid(&job->candidates.shape, (size_t)count);
    static struct vj_cuda_maps_thread own[VJ_CUDA_STRIP_THREADS];
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_maps_shared s;
        memset(&s, 0xFF, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_STRIP_THREADS, t)
        vj_cuda_maps_start(job, &s, &own[t], at, t);
        const size_t rows = vj_cuda_maps_rows(job, &own[0]);
        for (size_t row = 0; row <= rows; row++)
            EMULATE_THREADS(VJ_CUDA_STRIP_THREADS, t)
            {
                if (row > 0)
                    vj_cuda_maps_measure(job, &s, &own[t], at, t, row - 1);
                if (row < rows)
                    vj_cuda_maps_take(job, &s, &own[t], at, t, row);
            }
        EMULATE_THREADS(VJ_CUDA_STRIP_THREADS, t)
        vj_cuda_maps_store(job, &own[t], at, t);
    }
}

/* candidates: [count][height][width][channels] */
static inline void emulate_ssimulacra2(const struct emulated_ssimulacra2 *q,
                                       const uint8_t *candidates, int count,
                                       struct vj_ssimulacra2_totals *totals)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &q->shape;
    const size_t n = (size_t)count;
    struct guarded light, part;
    double *parts = guarded_take(&part, n * shape->columns * VJ_SSIMULACRA2_CHANNELS *
                                            VJ_SSIMULACRA2_TERMS * sizeof(double));
    struct vj_cuda_maps_job maps = {
        {*shape, candidates, q->channels, q->table,
         guarded_take(&light, 3 * n * vj_cuda_ssimulacra2_lights(shape) * sizeof(float))},
        q->original,
        parts};
    emulate_ssimulacra2_pool(&maps.candidates, count);
    if (q->mode == VJ_SSIMULACRA2_EXACT)
        emulate_maps(&maps, count);
    for (int s = 0; s < shape->scales && q->mode == VJ_SSIMULACRA2_PARITY; s++) {
        struct guarded planes;
        const size_t pixels = shape->width[s] * shape->height[s];
        const struct vj_cuda_ssimulacra2_xyb xyb = {
            guarded_take(&planes, VJ_SSIMULACRA2_CHANNELS * n * pixels * sizeof(float)), pixels,
            VJ_SSIMULACRA2_CHANNELS * pixels};
        emulate_xyb(q, &maps.candidates, s, xyb, count);
        emulate_filter(q, xyb, s, VJ_CUDA_PARITY_PRODUCTS, count, parts);
        guarded_release(&planes);
    }
    struct vj_cuda_column_total_job total = {*shape, parts, totals};
    struct vj_cuda_grid grid = {VJ_SSIMULACRA2_SCALES, (unsigned)count, 1};
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_TOTAL_THREADS, t)
    vj_cuda_column_total(&total, at, t);
    guarded_release(&light);
    guarded_release(&part);
}

#endif
