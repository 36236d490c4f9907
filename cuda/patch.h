/* SPDX-License-Identifier: MIT */
/*
 * Patches cut out of pictures that lie on the device: the reference, maps, and candidates that a
 * data set ships as files. Samples stay 8-bit; the network normalises them as it reads them.
 */
#ifndef VJ_CUDA_PATCH_H
#define VJ_CUDA_PATCH_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "host/error.h"

/*
 * d_pictures:   [count][height][width][channels]
 * channels:     1 or 3
 * d_origin:     [patches][2], y and x; every patch within the picture (vj_cuda_check_origins())
 * side:         pixels
 * out_channels: 1 or 3, not below `channels`; grey is replicated
 * d_out:        [count][patches][side][side][out_channels]
 * Errors: -EINVAL, -EIO.
 */
int vj_cuda_gather(cudaStream_t stream, const uint8_t *d_pictures, size_t width, size_t height,
                   int channels, int count, const int32_t (*d_origin)[2], size_t patches,
                   size_t side, int out_channels, uint8_t *d_out, struct vj_error *err);

#ifdef __cplusplus
}
#endif

#endif
