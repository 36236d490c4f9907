/* SPDX-License-Identifier: MIT */
/*
 * A kernel's threads on the CPU: one block of a grid after the other, in it every thread as a
 * coroutine that runs until it waits for the others. Blocks and threads take turns in an order that
 * changes from launch to launch, and shared memory is rubbish when a block starts, so that what
 * needs another thread's result without a barrier, or memory that nobody wrote, gives other
 * results.
 *
 * As compute-sanitizer's synccheck: a barrier that some threads of a block do not come to, or come
 * to elsewhere in the source, ends the program and says where. As its racecheck: with the thread
 * sanitizer each thread is one to it, which only barriers order.
 */
#ifndef VJ_TESTS_CUDA_EMULATE_THREADS_H
#define VJ_TESTS_CUDA_EMULATE_THREADS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

/* Where all shared memory lies. The address sanitizer rather has each object on its own. */
#ifdef __SANITIZE_ADDRESS__
#define VJ_EMULATE_SHARED
#else
#define VJ_EMULATE_SHARED __attribute__((section("vj_shared")))
#endif

enum { VJ_EMULATE_WARP_WORDS = 12, VJ_EMULATE_THREADS = 1024 };

enum vj_emulate_group { VJ_EMULATE_WARP, VJ_EMULATE_BLOCK };

/* The block that runs. */
struct vj_emulate_place {
    uint3 block;
    dim3 threads, grid;
};

extern struct vj_emulate_place vj_emulate_place;

/* The thread that runs; blocks have one dimension. */
const uint3 *vj_emulate_thread(void);

/* body(context) for every thread of a grid, now. */
void vj_emulate_grid(dim3 grid, unsigned threads, void (*body)(void *), void *context);

/* Returns when all threads of the group have come to it. file, line: where it stands */
void vj_emulate_barrier(enum vj_emulate_group group, const char *file, int line);

/*
 * A warp's exchange: [32][VJ_EMULATE_WARP_WORDS], lane by lane the words that each gave, valid
 * until the thread's next exchange but one.
 */
const void *vj_emulate_warp(const void *words, unsigned count, const char *file, int line);

/* Ends the program with a sentence. */
__attribute__((noreturn)) void vj_emulate_stop(const char *what, const char *file, int line);

/* The number that a half of IEEE 754 with these bits is, and the bits of the half nearest to one.
 */
float vj_emulate_half(uint16_t bits);
uint16_t vj_emulate_to_half(float value);

#endif
