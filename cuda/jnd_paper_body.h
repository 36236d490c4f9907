/* SPDX-License-Identifier: MIT */
/* Body of the kernel that makes an epc17 map by the paper's formulas, written as described in
 * jpeg_body.h. */
#ifndef VJ_CUDA_JND_PAPER_BODY_H
#define VJ_CUDA_JND_PAPER_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_epc_body.h"

struct vj_cuda_paper_job {
    struct vj_cuda_plane plane;
    float *map;
};

struct vj_cuda_paper_shared {
    struct vj_cuda_samples samples; /* nearest pixel beyond the picture */
    struct vj_cuda_samples dark;    /* zero beyond it */
    uint16_t bits[VJ_CUDA_EPC_ONE_DOWN * VJ_CUDA_EPC_ONE_ACROSS];
};

/* Step 1 is vj_cuda_load_samples() with both borders. Step 2: orientations, none beyond the
 * picture. */
static inline VJ_HD void vj_cuda_paper_neighbours(const struct vj_cuda_paper_job *job,
                                                  struct vj_cuda_paper_shared *s,
                                                  struct vj_cuda_place at, unsigned thread)
{
    const int across = VJ_CUDA_EPC_ONE_ACROSS;
    int top = (int)at.y * VJ_CUDA_JND_HEIGHT - 1, left = (int)at.x * VJ_CUDA_JND_WIDTH - 1;
    for (int i = (int)thread; i < VJ_CUDA_EPC_ONE_DOWN * across; i += VJ_CUDA_THREADS) {
        int y = i / across, x = i % across;
        s->bits[i] = 0;
        if (vj_cuda_inside(&job->plane, top + y, left + x))
            s->bits[i] =
                vj_cuda_orientation(vj_cuda_samples_at(&s->samples, y - 1, x - 1), VJ_CUDA_ROW);
    }
}

/* Occupied bins among 3x3 pixels, bins 0 and 15 being one (vj_jnd_occupied). */
static inline VJ_HD int vj_cuda_occupied(const uint16_t *bits, int stride)
{
    unsigned any = 0;
    for (int y = -1; y <= 1; y++)
        for (int x = -1; x <= 1; x++)
            any |= bits[y * stride + x];
    return vj_cuda_count_bits((any | any >> 15) & 0x7FFF);
}

/* Square of the Prewitt gradient, times 9. */
static inline VJ_HD int vj_cuda_prewitt(const int16_t *p, int stride)
{
    const int16_t *up = p - stride, *down = p + stride;
    int falling = down[1] - up[-1], rising = up[1] - down[-1];
    int sx = falling + rising + p[1] - p[-1], sy = falling - rising + down[0] - up[0];
    return sx * sx + sy * sy;
}

/* Step 3: a pixel per thread. */
static inline VJ_HD void vj_cuda_paper_pixel(const struct vj_cuda_paper_job *job,
                                             const struct vj_cuda_paper_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(plane, at, thread, &pixel))
        return;
    const int ty = pixel.ty, tx = pixel.tx;
    int background32 = vj_cuda_background(vj_cuda_samples_at(&s->dark, ty, tx), VJ_CUDA_ROW);
    int count = vj_cuda_occupied(s->bits + (ty + 1) * VJ_CUDA_EPC_ONE_ACROSS + tx + 1,
                                 VJ_CUDA_EPC_ONE_ACROSS);
    float square =
        (float)vj_cuda_prewitt(vj_cuda_samples_at(&s->samples, ty, tx), VJ_CUDA_ROW) / 9.0f;
    float contrast = vj_jnd_epc_contrast(square, VJ_JND_EPC_CONTRAST_GAIN);
    float pattern = vj_jnd_epc_paper_pattern(sqrtf(square), (float)count);
    job->map[pixel.at] =
        vj_jnd_namm(vj_jnd_luminance((float)background32 / 32.0f), vj_jnd_maxf(contrast, pattern));
}

#ifdef __cplusplus
}
#endif

#endif
