/* SPDX-License-Identifier: MIT */
/* Whether there is a GPU; prints why the tests are skipped where there is none. */
#ifndef VJ_TESTS_CUDA_GPU_THERE_H
#define VJ_TESTS_CUDA_GPU_THERE_H

#include "tests/vj_test.h"

#include <stdbool.h>

#include <cuda_runtime_api.h>

enum { VJ_TEST_SKIPPED = 77 }; /* exit status that CTest takes for it */

/* Whether it is that of emulate_threads.c. */
#ifdef VJ_TEST_EMULATED
enum { EMULATED = 1 };
#else
enum { EMULATED = 0 };
#endif

/* Nothing of full size: too slow for the emulation, and for a checker of memory on a GPU. */
static inline bool small_only(void)
{
    return EMULATED || getenv("VPJND_TEST_SMALL");
}

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
