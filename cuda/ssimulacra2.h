/* SPDX-License-Identifier: MIT */
/*
 * SSIMULACRA2 of many candidates of one picture on the device, with the arithmetic of
 * host/ssimulacra2_math.h and the CPU's order of sums. What the device returns are sums over the
 * maps; the few powers per candidate are then taken on the host, so that the scores equal those of
 * host/ssimulacra2.h bit for bit.
 *
 * One object per slot; asynchronous, ordered by the caller and without allocation after create(),
 * as described in cuda/jpeg.h. Pointers named d_ are device memory.
 */
#ifndef VJ_CUDA_SSIMULACRA2_H
#define VJ_CUDA_SSIMULACRA2_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "host/error.h"
#include "host/ssimulacra2.h"
#include "host/ssimulacra2_score.h"

struct vj_cuda_ssimulacra2;

/*
 * Device bytes that create() takes; 0 for invalid arguments.
 * max_width, max_height: largest picture, at most VJ_SSIMULACRA2_MAX_PIXELS
 * levels:                most candidates per call, 1..VJ_CUDA_LEVELS
 */
size_t vj_cuda_ssimulacra2_bytes(size_t max_width, size_t max_height, enum vj_ssimulacra2_mode mode,
                                 int levels);

/*
 * *ssimulacra2: owned by the caller, vj_cuda_ssimulacra2_destroy().
 * Errors: -EINVAL, -ENOMEM, -EIO.
 */
int vj_cuda_ssimulacra2_create(struct vj_cuda_ssimulacra2 **ssimulacra2, size_t max_width,
                               size_t max_height, enum vj_ssimulacra2_mode mode, int levels,
                               struct vj_error *err);

/* NULL is harmless. Nothing of the object may still be running. */
void vj_cuda_ssimulacra2_destroy(struct vj_cuda_ssimulacra2 *ssimulacra2);

/*
 * Makes a picture the original of the calls that follow.
 * d_pixels: height x width x channels; of no use any more once this is through
 * Errors: -EINVAL, -ENOSPC (larger than created for), -EIO. After an error nothing is loaded.
 */
int vj_cuda_ssimulacra2_load(struct vj_cuda_ssimulacra2 *ssimulacra2, cudaStream_t stream,
                             const uint8_t *d_pixels, size_t width, size_t height, int channels,
                             struct vj_error *err);

/*
 * Sums for `count` candidates.
 * d_candidates: [count][height][width][channels], as the original
 * d_totals:     [count]; to be copied to the host for vj_cuda_ssimulacra2_finish()
 * Errors: -EINVAL (count, nothing loaded), -EIO.
 */
int vj_cuda_ssimulacra2_compute(struct vj_cuda_ssimulacra2 *ssimulacra2, cudaStream_t stream,
                                const uint8_t *d_candidates, int count,
                                struct vj_ssimulacra2_totals *d_totals, struct vj_error *err);

/*
 * Scores of `count` candidates from their sums; host memory both, of the picture loaded now.
 * score: NaN when the picture is too small for the metric
 */
void vj_cuda_ssimulacra2_finish(const struct vj_cuda_ssimulacra2 *ssimulacra2,
                                const struct vj_ssimulacra2_totals *totals, int count,
                                double *score);

#ifdef __cplusplus
}
#endif

#endif
