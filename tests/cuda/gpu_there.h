/* SPDX-License-Identifier: MIT */
/* Whether there is a GPU; prints why the tests are skipped where there is none. */
#ifndef VJ_TESTS_CUDA_GPU_THERE_H
#define VJ_TESTS_CUDA_GPU_THERE_H

#include "tests/vj_test.h"

#include <stdbool.h>

#include <cuda_runtime_api.h>

#include "tests/cuda/emulated.h"

static inline bool gpu_is_there(void)
{
    int devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    if (status == cudaSuccess && devices > 0)
        return true;
    print_message("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
    return false;
}

#endif
