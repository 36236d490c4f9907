/* SPDX-License-Identifier: MIT */
/*
 * PSNR, SSIM and MS-SSIM of many candidates of one picture on the device, with the arithmetic of
 * host/quality_math.h. What the device returns are integer sums, whose order cannot matter; the few
 * logarithms and powers per candidate are then taken on the host, so that the values equal those of
 * host/quality.h bit for bit.
 *
 * One object per slot; asynchronous, ordered by the caller and without allocation after create(),
 * as described in cuda/jpeg.h. Pointers named d_ are device memory.
 */
#ifndef VJ_CUDA_QUALITY_H
#define VJ_CUDA_QUALITY_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/geometry.h"
#include "host/error.h"
#include "host/quality.h"

struct vj_cuda_quality;

/*
 * Device bytes that create() takes; 0 for invalid arguments.
 * max_width, max_height: largest picture, at most VJ_QUALITY_MAX_PIXELS
 * which:                 VJ_QUALITY_*
 * levels:                most candidates per call, 1..VJ_CUDA_LEVELS
 */
size_t vj_cuda_quality_bytes(size_t max_width, size_t max_height, int which, int levels);

/* *quality: owned by the caller, vj_cuda_quality_destroy(). Errors: -EINVAL, -ENOMEM, -EIO. */
int vj_cuda_quality_create(struct vj_cuda_quality **quality, size_t max_width, size_t max_height,
                           int which, int levels, struct vj_error *err);

/* NULL is harmless. Nothing of the object may still be running. */
void vj_cuda_quality_destroy(struct vj_cuda_quality *quality);

/*
 * Makes a picture the reference of the calls that follow.
 * d_pixels: height x width x channels; not copied, must stay unchanged until the last compute() on
 *           it is through
 * Errors: -EINVAL, -ENOSPC (larger than created for), -EIO. After an error nothing is loaded.
 */
int vj_cuda_quality_load(struct vj_cuda_quality *quality, cudaStream_t stream,
                         const uint8_t *d_pixels, size_t width, size_t height, int channels,
                         struct vj_error *err);

/*
 * Sums for `count` candidates.
 * d_candidates: [count][height][width][channels], as the reference
 * d_sums:       [count]; to be copied to the host for vj_cuda_quality_finish() (geometry.h)
 * Errors: -EINVAL (count, nothing loaded), -EIO.
 */
int vj_cuda_quality_compute(struct vj_cuda_quality *quality, cudaStream_t stream,
                            const uint8_t *d_candidates, int count,
                            struct vj_cuda_quality_sums *d_sums, struct vj_error *err);

/*
 * Values of `count` candidates from their sums; host memory both, of the picture loaded now.
 * values: as vj_quality_compute() fills them
 */
void vj_cuda_quality_finish(const struct vj_cuda_quality *quality,
                            const struct vj_cuda_quality_sums *sums, int count,
                            struct vj_quality_values *values);

#ifdef __cplusplus
}
#endif

#endif
