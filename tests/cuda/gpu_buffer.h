/* SPDX-License-Identifier: MIT */
/* Device memory with guard bytes around it, for tests that end with the first failure. */
#ifndef VJ_TESTS_CUDA_GPU_BUFFER_H
#define VJ_TESTS_CUDA_GPU_BUFFER_H

#include "tests/vj_test.h"

#include <cuda_runtime_api.h>

#include "cuda/check.h"

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

static inline struct buffer buffer_take(size_t bytes)
{
    struct buffer b = {.bytes = bytes};
    void *base = NULL;
    ok(VJ_CUDA(cudaMalloc(&base, bytes + 2 * GUARD), &err));
    ok(VJ_CUDA(cudaMemset(base, GUARD_BYTE, bytes + 2 * GUARD), &err));
    b.base = base;
    b.data = b.base + GUARD;
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
    ok(VJ_CUDA(cudaMemcpy(all, b->base, b->bytes + 2 * GUARD, cudaMemcpyDeviceToHost), &err));
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(all[i], GUARD_BYTE);
        assert_int_equal(all[GUARD + b->bytes + i], GUARD_BYTE);
    }
    memcpy(to, all + GUARD, b->bytes);
    free(all);
}

static inline void buffer_free(struct buffer *b)
{
    ok(VJ_CUDA(cudaFree(b->base), &err));
    b->base = NULL;
}

#endif
