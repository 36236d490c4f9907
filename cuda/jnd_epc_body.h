/* SPDX-License-Identifier: MIT */
/* Body of the kernel that makes an epc17 map, written as described in jpeg_body.h. */
#ifndef VJ_CUDA_JND_EPC_BODY_H
#define VJ_CUDA_JND_EPC_BODY_H

#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_body.h"
#include "host/jnd_blocks.h"

struct vj_cuda_epc_job {
    struct vj_cuda_plane plane;
    const uint8_t *edge;
    float attenuation; /* vj_jnd_weight_epc */
    struct vj_jnd_gaussian complexity_gaussian, weight_gaussian;
    float *map;
};

enum {
    /* Orientations and dilated edges reach 2 pixels, edges 4, numbers of orientations 1. */
    VJ_CUDA_EPC_TWO_ACROSS = VJ_CUDA_JND_WIDTH + 4,
    VJ_CUDA_EPC_TWO_DOWN = VJ_CUDA_JND_HEIGHT + 4,
    VJ_CUDA_EPC_FOUR_ACROSS = VJ_CUDA_JND_WIDTH + 8,
    VJ_CUDA_EPC_FOUR_DOWN = VJ_CUDA_JND_HEIGHT + 8,
    VJ_CUDA_EPC_ONE_ACROSS = VJ_CUDA_JND_WIDTH + 2,
    VJ_CUDA_EPC_ONE_DOWN = VJ_CUDA_JND_HEIGHT + 2,
};

struct vj_cuda_epc_shared {
    struct vj_cuda_samples samples; /* nearest pixel beyond the picture */
    struct vj_cuda_samples dark;    /* zero beyond it */
    float complexity[VJ_CUDA_JND_HEIGHT * VJ_CUDA_EPC_ONE_ACROSS]; /* smoothed down the columns */
    float weight[VJ_CUDA_JND_HEIGHT * VJ_CUDA_EPC_TWO_ACROSS];
    uint16_t bits[VJ_CUDA_EPC_TWO_DOWN * VJ_CUDA_EPC_TWO_ACROSS];
    uint8_t count[VJ_CUDA_EPC_ONE_DOWN * VJ_CUDA_EPC_ONE_ACROSS];
    uint8_t dilated[VJ_CUDA_EPC_TWO_DOWN * VJ_CUDA_EPC_TWO_ACROSS];
    uint8_t edge[VJ_CUDA_EPC_FOUR_DOWN * VJ_CUDA_EPC_FOUR_ACROSS];
};

static inline VJ_HD bool vj_cuda_inside(const struct vj_cuda_plane *plane, int y, int x)
{
    return y >= 0 && x >= 0 && y < plane->height && x < plane->width;
}

/* Step 1, beside vj_cuda_load_samples() for both borders: edges, none beyond the picture. */
static inline VJ_HD void vj_cuda_epc_load(const struct vj_cuda_epc_job *job,
                                          struct vj_cuda_epc_shared *s, struct vj_cuda_place at,
                                          unsigned thread)
{
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT - 4, left = (int)at.x * VJ_CUDA_JND_WIDTH - 4;
    int count = VJ_CUDA_EPC_FOUR_DOWN * VJ_CUDA_EPC_FOUR_ACROSS;
    for (int i = (int)thread; i < count; i += VJ_CUDA_THREADS) {
        int y = top + i / VJ_CUDA_EPC_FOUR_ACROSS, x = left + i % VJ_CUDA_EPC_FOUR_ACROSS;
        s->edge[i] = 0;
        if (vj_cuda_inside(&job->plane, y, x))
            s->edge[i] = job->edge[(size_t)y * (size_t)job->plane.width + (size_t)x];
    }
}

/* Step 2: orientations, and edges dilated by 5x5 pixels. */
static inline VJ_HD void vj_cuda_epc_neighbours(struct vj_cuda_epc_shared *s, unsigned thread)
{
    const int across = VJ_CUDA_EPC_TWO_ACROSS;
    for (int i = (int)thread; i < VJ_CUDA_EPC_TWO_DOWN * across; i += VJ_CUDA_THREADS) {
        int y = i / across, x = i % across;
        s->bits[i] =
            vj_cuda_orientation(vj_cuda_samples_at(&s->samples, y - 2, x - 2), VJ_CUDA_ROW);
        const uint8_t *edge = s->edge + y * VJ_CUDA_EPC_FOUR_ACROSS + x;
        uint8_t any = 0;
        for (int k = 0; k < 25; k++)
            any |= edge[k / 5 * VJ_CUDA_EPC_FOUR_ACROSS + k % 5];
        s->dilated[i] = any;
    }
}

static inline VJ_HD int vj_cuda_count_bits(unsigned v)
{
#ifdef __CUDA_ARCH__
    return __popc(v);
#else
    return __builtin_popcount(v);
#endif
}

/* Different orientations among 3x3 pixels, "no structure" being one; 1 where the centre has none.
 */
static inline VJ_HD uint8_t vj_cuda_distinct(const uint16_t *bits, int stride)
{
    unsigned any = 0, none = 0;
    for (int y = -1; y <= 1; y++) {
        for (int x = -1; x <= 1; x++) {
            unsigned b = bits[y * stride + x];
            any |= b;
            none |= b == 0;
        }
    }
    return (uint8_t)(bits[0] ? (unsigned)vj_cuda_count_bits(any) + none : 1u);
}

/* Step 3: numbers of orientations, 1 on the frame; and the edge weight down the columns. */
static inline VJ_HD void vj_cuda_epc_counts(const struct vj_cuda_epc_job *job,
                                            struct vj_cuda_epc_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT - 1, left = (int)at.x * VJ_CUDA_JND_WIDTH - 1;
    int count = VJ_CUDA_EPC_ONE_DOWN * VJ_CUDA_EPC_ONE_ACROSS;
    for (int i = (int)thread; i < count; i += VJ_CUDA_THREADS) {
        int ty = i / VJ_CUDA_EPC_ONE_ACROSS, tx = i % VJ_CUDA_EPC_ONE_ACROSS;
        int y = top + ty, x = left + tx;
        bool inner = y > 0 && x > 0 && y + 1 < plane->height && x + 1 < plane->width;
        s->count[i] = 1;
        if (inner)
            s->count[i] = vj_cuda_distinct(s->bits + (ty + 1) * VJ_CUDA_EPC_TWO_ACROSS + tx + 1,
                                           VJ_CUDA_EPC_TWO_ACROSS);
    }
}

/*
 * One column of a Gaussian over scale * src + offset, zeros outside the picture, in the order of
 * vj_jnd_smooth(): from the top, row by row.
 * src: the topmost sample; y: its row in the picture
 */
static inline VJ_HD float vj_cuda_smooth_column(const uint8_t *src, int stride, int y, int height,
                                                const struct vj_jnd_gaussian *g, float scale,
                                                float offset)
{
    int radius = (int)g->radius;
    float sum = 0;
    for (int k = 0; k <= 2 * radius; k++) {
        if (y + k < 0 || y + k >= height)
            continue;
        float tap = g->taps[k < radius ? radius - k : k - radius];
        sum += tap * scale * (float)src[k * stride] + tap * offset;
    }
    return sum;
}

/* The other half, along a row of columns' sums; centre: that of the pixel's own column. */
static inline VJ_HD float vj_cuda_smooth_row(const float *centre, const struct vj_jnd_gaussian *g)
{
    float sum = g->taps[0] * centre[0];
    for (int k = 1; k <= (int)g->radius; k++)
        sum += g->taps[k] * (centre[-k] + centre[k]);
    return sum;
}

/* Step 4: both smoothings down the columns; columns beyond the picture are zeros. */
static inline VJ_HD void vj_cuda_epc_columns(const struct vj_cuda_epc_job *job,
                                             struct vj_cuda_epc_shared *s, struct vj_cuda_place at,
                                             unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT, left = (int)at.x * VJ_CUDA_JND_WIDTH;
    for (int i = (int)thread; i < VJ_CUDA_JND_HEIGHT * VJ_CUDA_EPC_ONE_ACROSS;
         i += VJ_CUDA_THREADS) {
        int ty = i / VJ_CUDA_EPC_ONE_ACROSS, x = left - 1 + i % VJ_CUDA_EPC_ONE_ACROSS;
        s->complexity[i] = 0;
        if (x >= 0 && x < plane->width)
            s->complexity[i] =
                vj_cuda_smooth_column(s->count + i, VJ_CUDA_EPC_ONE_ACROSS, top + ty - 1,
                                      plane->height, &job->complexity_gaussian, 1.0f, 0.0f);
    }
    for (int i = (int)thread; i < VJ_CUDA_JND_HEIGHT * VJ_CUDA_EPC_TWO_ACROSS;
         i += VJ_CUDA_THREADS) {
        int ty = i / VJ_CUDA_EPC_TWO_ACROSS, x = left - 2 + i % VJ_CUDA_EPC_TWO_ACROSS;
        s->weight[i] = 0;
        if (x >= 0 && x < plane->width)
            s->weight[i] = vj_cuda_smooth_column(s->dilated + i, VJ_CUDA_EPC_TWO_ACROSS,
                                                 top + ty - 2, plane->height, &job->weight_gaussian,
                                                 -job->attenuation, 1.0f);
    }
}

/* Step 5: a pixel per thread. Gains and frame as in host/jnd_epc17.c. */
static inline VJ_HD void vj_cuda_epc_pixel(const struct vj_cuda_epc_job *job,
                                           const struct vj_cuda_epc_shared *s,
                                           struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(plane, at, thread, &pixel))
        return;
    const int ty = pixel.ty, tx = pixel.tx;
    int background = vj_cuda_background(vj_cuda_samples_at(&s->dark, ty, tx), VJ_CUDA_ROW) / 32;
    float adaptation = 0.7f * vj_jnd_luminance((float)vj_jnd_lift(background));
    int variance625 = 0;
    if (pixel.y >= 2 && pixel.x >= 2 && pixel.y + 2 < plane->height && pixel.x + 2 < plane->width)
        variance625 = vj_cuda_variance(vj_cuda_samples_at(&s->samples, ty, tx), VJ_CUDA_ROW);
    float complexity_sum = vj_cuda_smooth_row(s->complexity + ty * VJ_CUDA_EPC_ONE_ACROSS + tx + 1,
                                              &job->complexity_gaussian);
    float weight =
        vj_cuda_smooth_row(s->weight + ty * VJ_CUDA_EPC_TWO_ACROSS + tx + 2, &job->weight_gaussian);
    float variance = (float)variance625 / 625.0f;
    float deviation = sqrtf(variance);
    float contrast = vj_jnd_epc_contrast(variance, VJ_JND_EPC_CONTRAST_GAIN);
    float complexity = vj_jnd_epc_pattern(complexity_sum, 0.3f, 1.0f);
    float pattern = deviation * complexity * weight;
    job->map[pixel.at] = vj_jnd_namm(adaptation, vj_jnd_maxf(contrast, pattern));
}

#ifdef __cplusplus
}
#endif

#endif
