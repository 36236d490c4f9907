/* SPDX-License-Identifier: MIT */
/*
 * JPEG candidates on the device: one forward transform per picture, then decoded pixels, patches
 * and exact file sizes at any list of quality factors. The arithmetic is host/jpeg_model.h, so all
 * results equal those of host/jpeg_plan.h bit for bit.
 *
 * One object per slot. All memory is taken by create(); every other call only puts kernels on the
 * stream that is passed and returns, and its results are there when that stream has come past them.
 * Calls on one object must be ordered by the caller (one stream, or events). Arguments that
 * describe host memory (qf) are copied before the call returns. Pointers named d_ are device
 * memory.
 */
#ifndef VJ_CUDA_JPEG_H
#define VJ_CUDA_JPEG_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/geometry.h"
#include "host/error.h"
#include "host/image.h"

struct vj_cuda_jpeg;

/*
 * Device bytes that create() takes for these arguments; 0 when they are invalid or the number does
 * not fit a size_t.
 * max_width, max_height: largest picture, 1..65500
 * channels, sampling:    the most demanding expected (3 holds 1, 4:4:4 holds 4:2:0)
 * levels:                most quality factors per call, 1..VJ_CUDA_LEVELS
 */
size_t vj_cuda_jpeg_bytes(size_t max_width, size_t max_height, int channels,
                          enum vj_subsampling sampling, int levels);

/*
 * Takes the memory on the current device and waits until its tables are there.
 * *jpeg: owned by the caller, vj_cuda_jpeg_destroy(); NULL on failure
 * Errors: -EINVAL (arguments), -ENOMEM, -EIO (the device failed).
 */
int vj_cuda_jpeg_create(struct vj_cuda_jpeg **jpeg, size_t max_width, size_t max_height,
                        int channels, enum vj_subsampling sampling, int levels,
                        struct vj_error *err);

/* NULL is harmless. Nothing of the object may still be running. */
void vj_cuda_jpeg_destroy(struct vj_cuda_jpeg *jpeg);

/*
 * Transforms a picture; replaces the one before.
 * d_pixels: height x width x channels, tightly packed; read while the stream is in this call
 * sampling: of the candidates; ignored for a grey picture
 * Errors: -EINVAL, -ENOSPC (larger than created for), -EIO. After an error nothing is loaded.
 */
int vj_cuda_jpeg_load(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const uint8_t *d_pixels,
                      size_t width, size_t height, int channels, enum vj_subsampling sampling,
                      struct vj_error *err);

/*
 * Whole decoded candidates.
 * qf:    count quality factors 1..100, count at most `levels` of create()
 * d_out: [count][height][width][channels]
 * Errors, here and below: -EINVAL (qf, count, nothing loaded), -EIO.
 */
int vj_cuda_jpeg_decode(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                        uint8_t *d_out, struct vj_error *err);

/*
 * Square windows of the decoded candidates; only the blocks that they depend on are computed.
 * d_origin: [patches][2], y and x of each top left corner. Device memory cannot be checked here:
 *           every patch must lie within the picture (vj_cuda_check_origins() of geometry.h).
 * side:     pixels, 1 .. smaller side of the picture
 * d_out:    [count][patches][side][side][3]; grey is replicated
 */
int vj_cuda_jpeg_patches(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                         const int32_t (*d_origin)[2], size_t patches, size_t side, uint8_t *d_out,
                         struct vj_error *err);

/*
 * Exact sizes of the baseline JFIF files with the standard Huffman tables, stuffed zeros included.
 * d_bytes: [count]
 */
int vj_cuda_jpeg_sizes(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                       int64_t *d_bytes, struct vj_error *err);

#ifdef __cplusplus
}
#endif

#endif
