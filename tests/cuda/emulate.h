/* SPDX-License-Identifier: MIT */
/*
 * Kernels run as loops: every thread block of a grid in turn, and in it every step for all threads
 * before the next. Threads take turns in an order that a test chooses, and shared memory starts as
 * rubbish, so that a step that needs another thread's result of the same step, or memory that
 * nobody wrote, gives different results. Output buffers have guard bytes around them.
 */
#ifndef VJ_TESTS_CUDA_EMULATE_H
#define VJ_TESTS_CUDA_EMULATE_H

#include "tests/vj_test.h"

#include "cuda/geometry.h"
#include "host/checked.h"
#include "tests/cuda/pictures.h"

enum { EMULATE_ORDERS = 3 };

/* Order of threads and thread blocks in the emulations that follow: 0 up, 1 down, 2 shuffled. */
static int emulate_order;

/* Thread or block that is number i of n in turn. */
static inline unsigned emulate_turn(unsigned i, unsigned n)
{
    if (emulate_order == 1)
        return n - 1 - i;
    /* 7919 is prime, so that this is a permutation for every other n. */
    if (emulate_order == 2 && n % 7919)
        return (unsigned)(((uint64_t)i * 7919 + 5) % n);
    return i;
}

/* The statement that follows, for every thread of a block. */
#define EMULATE_THREADS(threads, thread)                                                           \
    for (unsigned thread##_turn = 0, thread;                                                       \
         thread##_turn < (threads) && (thread = emulate_turn(thread##_turn, (threads)), true);     \
         thread##_turn++)

/* Place of block number `turn` of a grid. */
static inline struct vj_cuda_place emulate_place(struct vj_cuda_grid grid, unsigned turn)
{
    unsigned i = emulate_turn(turn, grid.x * grid.y * grid.z);
    struct vj_cuda_place at = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    return at;
}

/* The statement that follows, for every block of a grid. */
#define EMULATE_BLOCKS(grid, at)                                                                   \
    for (unsigned at##_turn = 0, at##_once = 1; at##_turn < (grid).x * (grid).y * (grid).z;        \
         at##_turn++, at##_once = 1)                                                               \
        for (struct vj_cuda_place at = emulate_place((grid), at##_turn); at##_once; at##_once = 0)

/* ---- Buffers with guards -------------------------------------------------------------------- */

enum { GUARD = 64, GUARD_BYTE = 0xC3 };

struct guarded {
    uint8_t *memory;
    size_t bytes;
};

/* The returned pointer is on a 64-byte boundary; contents are rubbish. */
static inline void *guarded_take(struct guarded *g, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - 2 * GUARD) /* a negative size; the compiler asks too */
        abort();
    g->bytes = bytes;
    g->memory = vj_alloc_aligned(bytes + 2 * GUARD, 1);
    assert_non_null(g->memory);
    memset(g->memory, GUARD_BYTE, bytes + 2 * GUARD);
    return g->memory + GUARD;
}

static inline void guarded_release(struct guarded *g)
{
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(g->memory[i], GUARD_BYTE);
        assert_int_equal(g->memory[GUARD + g->bytes + i], GUARD_BYTE);
    }
    free(g->memory);
    g->memory = NULL;
}

#endif
