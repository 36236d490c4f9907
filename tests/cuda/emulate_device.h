/* SPDX-License-Identifier: MIT */
/* How the emulated run-time (emulate_device.c) takes on work. */
#ifndef VJ_TESTS_CUDA_EMULATE_DEVICE_H
#define VJ_TESTS_CUDA_EMULATE_DEVICE_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdlib.h>

/* Appends run(a copy of the arguments) to the stream. */
void vj_emulate_push(cudaStream_t stream, void (*run)(const void *), const void *arguments,
                     size_t size);

#define PUSH(stream, run, arguments)                                                               \
    vj_emulate_push((stream), (run), &(arguments), sizeof(arguments))

/* Kernels of the emulation do not fail on what the device's checks let through. */
static inline void must(int r)
{
    if (r)
        abort();
}

#endif
