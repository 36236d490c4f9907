/* SPDX-License-Identifier: MIT */
/* Device memory with guard bytes around it, for tests that end with the first failure. In the
 * emulation the address sanitizer sees who reads them. */
#ifndef VJ_TESTS_CUDA_GPU_BUFFER_H
#define VJ_TESTS_CUDA_GPU_BUFFER_H

#include "tests/vj_test.h"

#include <cuda_runtime_api.h>

#include "cuda/check.h"
#include "tests/cuda/emulated.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum { GUARD = 256, GUARD_BYTE = 0xC3 };

static struct vj_error err;

static inline void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

struct buffer {
    uint8_t *base;
    size_t bytes;
    void *data; /* what kernels get */
};

static inline void wait_for_all(void)
{
    ok(VJ_CUDA(cudaDeviceSynchronize(), &err));
}

/* Closes the guards to everybody, or opens them again. */
static inline void buffer_guard(const struct buffer *b, bool closed)
{
#ifdef __SANITIZE_ADDRESS__
    for (size_t side = 0; side < 2 && EMULATED; side++) {
        const uint8_t *guard = b->base + side * (GUARD + b->bytes);
        if (closed)
            __asan_poison_memory_region(guard, GUARD);
        else
            __asan_unpoison_memory_region(guard, GUARD);
    }
#else
    (void)b;
    (void)closed;
#endif
}

static inline struct buffer buffer_take(size_t bytes)
{
    struct buffer b = {.bytes = bytes};
    void *base = NULL;
    ok(VJ_CUDA(cudaMalloc(&base, bytes + 2 * GUARD), &err));
    ok(VJ_CUDA(cudaMemset(base, GUARD_BYTE, bytes + 2 * GUARD), &err));
    b.base = base;
    b.data = b.base + GUARD;
    wait_for_all();
    buffer_guard(&b, true);
    return b;
}

static inline struct buffer buffer_of(const void *from, size_t bytes)
{
    struct buffer b = buffer_take(bytes);
    ok(VJ_CUDA(cudaMemcpy(b.data, from, bytes, cudaMemcpyHostToDevice), &err));
    return b;
}

/* Copies the contents to the host, once all work is done, and checks the guards. */
static inline void buffer_read(const struct buffer *b, void *to)
{
    uint8_t *all = malloc(b->bytes + 2 * GUARD);
    wait_for_all();
    buffer_guard(b, false);
    ok(VJ_CUDA(cudaMemcpy(all, b->base, b->bytes + 2 * GUARD, cudaMemcpyDeviceToHost), &err));
    buffer_guard(b, true);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(all[i], GUARD_BYTE);
        assert_int_equal(all[GUARD + b->bytes + i], GUARD_BYTE);
    }
    memcpy(to, all + GUARD, b->bytes);
    free(all);
}

static inline void buffer_free(struct buffer *b)
{
    buffer_guard(b, false);
    ok(VJ_CUDA(cudaFree(b->base), &err));
    b->base = NULL;
}

#endif
