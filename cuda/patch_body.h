/* SPDX-License-Identifier: MIT */
/* Body of the kernel that cuts patches out of pictures, written as described in jpeg_body.h. */
#ifndef VJ_CUDA_PATCH_BODY_H
#define VJ_CUDA_PATCH_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/geometry.h"

struct vj_cuda_gather_job {
    const uint8_t *pictures; /* [count][height][width][channels] */
    size_t width, height;
    int channels;
    const int32_t (*origin)[2];
    size_t patches, side;
    int out_channels;
    uint8_t *out; /* [count][patches][side][side][out channels] */
};

/* Patches along x, pixels of a patch along y, pictures along z. */
static inline struct vj_cuda_grid vj_cuda_gather_grid(size_t patches, size_t side, int count)
{
    struct vj_cuda_grid grid;
    grid.x = (unsigned)patches;
    grid.y = (unsigned)vj_cuda_blocks(side * side, VJ_CUDA_THREADS);
    grid.z = (unsigned)count;
    return grid;
}

/* One pixel per thread. */
static inline VJ_HD void vj_cuda_gather_pixel(const struct vj_cuda_gather_job *job,
                                              struct vj_cuda_place at, unsigned thread)
{
    size_t pixel = (size_t)at.y * VJ_CUDA_THREADS + thread;
    if (pixel >= job->side * job->side)
        return;
    size_t y = (size_t)job->origin[at.x][0] + pixel / job->side;
    size_t x = (size_t)job->origin[at.x][1] + pixel % job->side;
    const uint8_t *from =
        job->pictures + ((at.z * job->height + y) * job->width + x) * (size_t)job->channels;
    uint8_t *to = job->out + ((at.z * job->patches + at.x) * job->side * job->side + pixel) *
                                 (size_t)job->out_channels;
    for (int c = 0; c < job->out_channels; c++)
        to[c] = from[job->channels == 1 ? 0 : c];
}

#ifdef __cplusplus
}
#endif

#endif
