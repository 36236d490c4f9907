/* SPDX-License-Identifier: MIT */
/* What the files with kernels of pictures share; nobody else includes it. CUDA C++ only. */
#ifndef VJ_CUDA_LAUNCH_H
#define VJ_CUDA_LAUNCH_H

#include <cuda_runtime.h>
/* The C headers that follow pull these in within extern "C", where C++ cannot define them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/kernel.h"

extern "C" {
#include "cuda/check.h"
#include "cuda/geometry.h"
#include "host/checked.h"
}

static inline dim3 vj_cuda_dim(struct vj_cuda_grid grid)
{
    return dim3(grid.x, grid.y, grid.z);
}

static inline __device__ struct vj_cuda_place vj_cuda_here(void)
{
    struct vj_cuda_place at = {blockIdx.x, blockIdx.y, blockIdx.z};
    return at;
}

/*
 * Device memory for an object, in one piece. *memory: owned by the caller, cudaFree().
 * what: of the error text, for pictures up to width x height
 */
static inline int vj_cuda_memory(uint8_t **memory, size_t bytes, size_t width, size_t height,
                                 const char *what, struct vj_error *err)
{
    *memory = NULL;
    if (bytes == 0)
        return vj_fail(err, -EINVAL, "%s of %zu x %zu pixels: too large for any device", what,
                       width, height);
    void *taken = NULL;
    int rc = VJ_CUDA(cudaMalloc(&taken, bytes), err);
    if (rc == -ENOMEM)
        return vj_fail(err, rc,
                       "no device memory (%zu bytes) for %s of %zu x %zu pixels: use fewer slots, "
                       "smaller pictures or the CPU",
                       bytes, what, width, height);
    *memory = (uint8_t *)taken;
    return rc;
}

#endif
