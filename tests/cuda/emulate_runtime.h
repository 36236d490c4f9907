/* SPDX-License-Identifier: MIT */
/* How the emulated run-time (emulate_runtime.c) takes on work. */
#ifndef VJ_TESTS_CUDA_EMULATE_RUNTIME_H
#define VJ_TESTS_CUDA_EMULATE_RUNTIME_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>

/* Appends run(a copy of the arguments) to the stream, or to what is recorded on it. */
void vj_emulate_push(cudaStream_t stream, void (*run)(const void *), const void *arguments,
                     size_t size);

/* As vj_emulate_grid() with a copy of the context, in its turn on the stream. */
void vj_emulate_launch(dim3 grid, unsigned threads, cudaStream_t stream, void (*body)(void *),
                       const void *context, size_t size);

/* Whether it is this call's turn to fail (VPJND_EMULATE_FAIL, emulate_runtime.c). */
bool vj_emulate_turn_to_fail(void);

#define PUSH(stream, run, arguments)                                                               \
    vj_emulate_push((stream), (run), &(arguments), sizeof(arguments))

#endif
