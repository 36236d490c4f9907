/* SPDX-License-Identifier: MIT */
/* Bodies of the kernels that make a yang05 map, written as described in jpeg_body.h. */
#ifndef VJ_CUDA_JND_YANG_BODY_H
#define VJ_CUDA_JND_YANG_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_epc_body.h"

/* ---- Dilation ------------------------------------------------------------------------------ */

struct vj_cuda_dilate_job {
    const uint8_t *edge; /* 0 or 1 */
    int width, height;
    struct vj_jnd_shape shape;
    uint8_t *dilated;
};

/* A pixel per thread, on vj_cuda_edge_grid(); nothing beyond the picture. */
static inline VJ_HD void vj_cuda_dilate_pixel(const struct vj_cuda_dilate_job *job, int y, int x)
{
    int radius = (int)job->shape.radius;
    uint8_t any = 0;
    for (int dy = -radius; dy <= radius; dy++) {
        if (y + dy < 0 || y + dy >= job->height)
            continue;
        int reach = job->shape.reach[dy < 0 ? -dy : dy];
        int first = vj_cuda_clamp(x - reach, 0, job->width - 1);
        int last = vj_cuda_clamp(x + reach, 0, job->width - 1);
        const uint8_t *row = job->edge + (size_t)(y + dy) * (size_t)job->width;
        for (int k = first; k <= last; k++)
            any |= row[k];
    }
    job->dilated[(size_t)y * (size_t)job->width + (size_t)x] = any;
}

static inline VJ_HD void vj_cuda_dilate_step(const struct vj_cuda_dilate_job *job,
                                             struct vj_cuda_place at, unsigned thread)
{
    const size_t pixels = (size_t)job->width * (size_t)job->height;
    const size_t p = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (p < pixels)
        vj_cuda_dilate_pixel(job, (int)(p / (size_t)job->width), (int)(p % (size_t)job->width));
}

/* ---- The map ------------------------------------------------------------------------------- */

enum {
    VJ_CUDA_YANG_RADIUS = 3, /* of the Gaussian of the edge weight */
    VJ_CUDA_YANG_ACROSS = VJ_CUDA_JND_WIDTH + 2 * VJ_CUDA_YANG_RADIUS,
    VJ_CUDA_YANG_DOWN = VJ_CUDA_JND_HEIGHT + 2 * VJ_CUDA_YANG_RADIUS,
};

struct vj_cuda_yang_job {
    struct vj_cuda_plane plane;
    const uint8_t *widened; /* edges as they enter the weight */
    bool paper;
    float attenuation;
    struct vj_jnd_gaussian gaussian; /* radius VJ_CUDA_YANG_RADIUS */
    float *map;
};

struct vj_cuda_yang_shared {
    struct vj_cuda_samples dark;                            /* zero beyond the picture */
    float weight[VJ_CUDA_JND_HEIGHT * VJ_CUDA_YANG_ACROSS]; /* smoothed down the columns */
    uint8_t widened[VJ_CUDA_YANG_DOWN * VJ_CUDA_YANG_ACROSS];
};

/* Step 1, beside vj_cuda_load_samples() with zeros outside: edges, none beyond the picture. */
static inline VJ_HD void vj_cuda_yang_load(const struct vj_cuda_yang_job *job,
                                           struct vj_cuda_yang_shared *s, struct vj_cuda_place at,
                                           unsigned thread)
{
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT - VJ_CUDA_YANG_RADIUS;
    int left = (int)at.x * VJ_CUDA_JND_WIDTH - VJ_CUDA_YANG_RADIUS;
    for (int i = (int)thread; i < VJ_CUDA_YANG_DOWN * VJ_CUDA_YANG_ACROSS; i += VJ_CUDA_THREADS) {
        int y = top + i / VJ_CUDA_YANG_ACROSS, x = left + i % VJ_CUDA_YANG_ACROSS;
        s->widened[i] = 0;
        if (vj_cuda_inside(&job->plane, y, x))
            s->widened[i] = job->widened[(size_t)y * (size_t)job->plane.width + (size_t)x];
    }
}

/* Step 2: the edge weight down the columns; columns beyond the picture are zeros. */
static inline VJ_HD void vj_cuda_yang_columns(const struct vj_cuda_yang_job *job,
                                              struct vj_cuda_yang_shared *s,
                                              struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT - VJ_CUDA_YANG_RADIUS;
    int left = (int)at.x * VJ_CUDA_JND_WIDTH - VJ_CUDA_YANG_RADIUS;
    for (int i = (int)thread; i < VJ_CUDA_JND_HEIGHT * VJ_CUDA_YANG_ACROSS; i += VJ_CUDA_THREADS) {
        int ty = i / VJ_CUDA_YANG_ACROSS, x = left + i % VJ_CUDA_YANG_ACROSS;
        s->weight[i] = 0;
        if (x >= 0 && x < plane->width)
            s->weight[i] =
                vj_cuda_smooth_column(s->widened + i, VJ_CUDA_YANG_ACROSS, top + ty, plane->height,
                                      &job->gaussian, -job->attenuation, 1.0f);
    }
}

/* Step 3: a pixel per thread. */
static inline VJ_HD void vj_cuda_yang_pixel(const struct vj_cuda_yang_job *job,
                                            const struct vj_cuda_yang_shared *s,
                                            struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(plane, at, thread, &pixel))
        return;
    const int ty = pixel.ty, tx = pixel.tx;
    const int16_t *p = vj_cuda_samples_at(&s->dark, ty, tx);
    float b = (float)vj_cuda_background(p, VJ_CUDA_ROW) / 32.0f;
    float g = (float)vj_cuda_gradient(p, VJ_CUDA_ROW) / 16.0f;
    float weight = vj_cuda_smooth_row(
        s->weight + ty * VJ_CUDA_YANG_ACROSS + tx + VJ_CUDA_YANG_RADIUS, &job->gaussian);
    float texture = vj_jnd_yang_texture(g * weight, b, job->paper);
    job->map[pixel.at] = vj_jnd_namm(texture, vj_jnd_luminance(b));
}

#ifdef __cplusplus
}
#endif

#endif
