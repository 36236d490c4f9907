/* SPDX-License-Identifier: MIT */
/* The kernels of cuda/quality.cu as loops, as emulate_jpeg.h has those of JPEG. */
#ifndef VJ_TESTS_CUDA_EMULATE_QUALITY_H
#define VJ_TESTS_CUDA_EMULATE_QUALITY_H

#include "cuda/quality_body.h"
#include "tests/cuda/emulate.h"

/* What struct vj_cuda_quality holds on a device; arrays have just the size of the picture. */
struct emulated_quality {
    struct vj_cuda_quality_shape shape;
    const uint8_t *reference;
    struct guarded luma_memory[VJ_MS_SSIM_SCALES], var_memory[VJ_MS_SSIM_SCALES];
    float *luma[VJ_MS_SSIM_SCALES], *var[VJ_MS_SSIM_SCALES];
};

static inline void emulate_pool(const float *from, float *to, size_t width, size_t height,
                                int planes)
{
    struct vj_cuda_pool_job job = {from, to, width, height};
    struct vj_cuda_grid grid = vj_cuda_pool_grid(width, height, planes);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_pool_pixel(&job, at, t);
}

static inline void emulate_variances(const struct vj_cuda_variance_job *job,
                                     struct vj_cuda_grid grid)
{
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_variance_shared s;
        memset(&s, 0xFF, sizeof(s)); /* NaN, which spreads to whatever uses it */
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_variance_columns(job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_variance_windows(job, &s, at, t);
    }
}

static inline void emulate_quality_load(struct emulated_quality *q, const struct vj_image *img,
                                        int which)
{
    memset(q, 0, sizeof(*q));
    q->shape = vj_cuda_quality_shape(img->width, img->height, img->channels, which);
    q->reference = img->data;
    for (int s = 0; s < q->shape.scales; s++) {
        size_t width = img->width >> s, height = img->height >> s;
        size_t windows = (width - VJ_SSIM_MARGIN) * (height - VJ_SSIM_MARGIN);
        q->luma[s] = guarded_take(&q->luma_memory[s], width * height * sizeof(float));
        q->var[s] = guarded_take(&q->var_memory[s], windows * sizeof(float));
        if (s == 0) {
            struct vj_cuda_reference_luma_job job = {img->data, width * height, img->channels,
                                                     q->luma[0]};
            struct vj_cuda_grid grid = vj_cuda_line_grid(job.count, VJ_CUDA_THREADS, 1);
            EMULATE_BLOCKS(grid, at)
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_reference_luma(&job, at, t);
        } else {
            emulate_pool(q->luma[s - 1], q->luma[s], img->width >> (s - 1), img->height >> (s - 1),
                         1);
        }
        struct vj_cuda_variance_job job = {q->luma[s], q->var[s], width, height};
        emulate_variances(&job, vj_cuda_variance_grid(img->width, img->height, s));
    }
}

static inline void emulate_quality_free(struct emulated_quality *q)
{
    for (int s = 0; s < q->shape.scales; s++) {
        guarded_release(&q->luma_memory[s]);
        guarded_release(&q->var_memory[s]);
    }
}

static inline void emulate_sum_add(struct vj_cuda_sum_shared *s, unsigned threads)
{
    for (unsigned half = threads / 2; half > 0; half /= 2)
        EMULATE_THREADS(threads, t)
    vj_cuda_sum_add(s, half, t);
}

static inline void emulate_total(uint64_t (*part)[2], struct vj_cuda_grid grid, int scale,
                                 struct vj_cuda_quality_sums *sums)
{
    struct vj_cuda_total_job job = {(const uint64_t(*)[2])part, vj_cuda_grid_plane(grid), scale,
                                    sums};
    struct vj_cuda_grid candidates = {grid.z, 1, 1};
    EMULATE_BLOCKS(candidates, at)
    {
        struct vj_cuda_sum_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_total_gather(&job, &s, at, t);
        emulate_sum_add(&s, VJ_CUDA_THREADS);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_total_write(&job, &s, at, t);
    }
}

static inline void emulate_differences(struct vj_cuda_difference_job job, int count,
                                       struct vj_cuda_quality_sums *sums)
{
    struct vj_cuda_grid grid = vj_cuda_quad_grid(job.width, job.height, (size_t)count);
    struct guarded memory;
    job.part = guarded_take(&memory, vj_cuda_grid_plane(grid) * grid.z * sizeof(*job.part));
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_sum_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_difference_quad(&job, &s, at, t);
        emulate_sum_add(&s, VJ_CUDA_THREADS);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_sum_store(job.part, &s, at, grid.x, grid.y, t);
    }
    emulate_total(job.part, grid, -1, sums);
    guarded_release(&memory);
}

static inline void emulate_windows(const struct emulated_quality *q,
                                   const struct vj_cuda_difference_job *pixels,
                                   const float *difference, int scale, int count,
                                   struct vj_cuda_quality_sums *sums)
{
    struct vj_cuda_grid grid =
        vj_cuda_window_grid(q->shape.width, q->shape.height, scale, (size_t)count);
    struct guarded memory;
    struct vj_cuda_window_job job = {
        .luma = q->luma[scale],
        .var = q->var[scale],
        .width = q->shape.width >> scale,
        .height = q->shape.height >> scale,
        .joint = vj_cuda_quality_joint(&q->shape, scale),
        .difference = difference,
        .pixels = *pixels,
        .part = guarded_take(&memory, vj_cuda_grid_plane(grid) * grid.z * 2 * sizeof(uint64_t))};
    EMULATE_BLOCKS(grid, at)
    {
        static struct vj_cuda_window_shared s;
        static struct vj_cuda_window_thread own[VJ_CUDA_WINDOW_THREADS];
        memset(&s, 0xFF, sizeof(s));
        memset(own, 0xFF, sizeof(own));
        EMULATE_THREADS(VJ_CUDA_WINDOW_THREADS, t)
        vj_cuda_window_start(&job, &own[t], at, t);
        for (size_t row = 0; row < vj_cuda_window_rows(&job, at); row += VJ_CUDA_WINDOW_STEP) {
            EMULATE_THREADS(VJ_CUDA_WINDOW_THREADS, t)
            vj_cuda_window_columns(&job, &s, &own[t], at, t, row);
            EMULATE_THREADS(VJ_CUDA_WINDOW_THREADS, t)
            vj_cuda_window_losses(&job, &s, &own[t], at, t, row);
        }
        EMULATE_THREADS(VJ_CUDA_WINDOW_THREADS, t)
        vj_cuda_window_sums(&s, &own[t], t);
        emulate_sum_add(&s.sums, VJ_CUDA_WINDOW_THREADS);
        EMULATE_THREADS(VJ_CUDA_WINDOW_THREADS, t)
        vj_cuda_sum_store(job.part, &s.sums, at, grid.x, grid.y, t);
    }
    emulate_total(job.part, grid, scale, sums);
    guarded_release(&memory);
}

/* candidates: [count][height][width][channels] */
static inline void emulate_quality(const struct emulated_quality *q, const uint8_t *candidates,
                                   int count, struct vj_cuda_quality_sums *sums)
{
    const struct vj_cuda_quality_shape *shape = &q->shape;
    struct guarded memory[VJ_MS_SSIM_SCALES];
    float *difference[VJ_MS_SSIM_SCALES] = {NULL};
    for (int s = 1; s < shape->scales; s++)
        difference[s] = guarded_take(&memory[s], (size_t)count * (shape->width >> s) *
                                                     (shape->height >> s) * sizeof(float));
    struct vj_cuda_difference_job pixels = {q->reference,  candidates,      shape->width,
                                            shape->height, shape->channels, difference[1],
                                            NULL};
    emulate_differences(pixels, count, sums);
    for (int s = 0; s < shape->scales; s++) {
        if (s > 1)
            emulate_pool(difference[s - 1], difference[s], shape->width >> (s - 1),
                         shape->height >> (s - 1), count);
        emulate_windows(q, &pixels, difference[s], s, count, sums);
    }
    for (int s = 1; s < shape->scales; s++)
        guarded_release(&memory[s]);
}

#endif
