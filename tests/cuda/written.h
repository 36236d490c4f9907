/* SPDX-License-Identifier: MIT */
/* What a kernel writes, in tests that run it on the CPU. */
#ifndef VJ_TESTS_CUDA_WRITTEN_H
#define VJ_TESTS_CUDA_WRITTEN_H

#include "tests/vj_test.h"

#include <stdlib.h>
#include <string.h>

enum { WRITTEN_AROUND = 256, WRITTEN_SENTINEL = 0xC3 };

/* Rubbish, and a sentinel around what the kernel may write. */
struct written {
    uint8_t *memory;
    void *data;
    size_t bytes;
};

static inline struct written written_make(size_t bytes)
{
    struct written w = {malloc(bytes + 2 * WRITTEN_AROUND), NULL, bytes};
    memset(w.memory, WRITTEN_SENTINEL, bytes + 2 * WRITTEN_AROUND);
    w.data = w.memory + WRITTEN_AROUND;
    memset(w.data, 0xff, bytes); /* NaN */
    return w;
}

static inline void written_free(struct written *w)
{
    for (size_t i = 0; i < WRITTEN_AROUND; i++) {
        assert_int_equal(w->memory[i], WRITTEN_SENTINEL);
        assert_int_equal(w->memory[WRITTEN_AROUND + w->bytes + i], WRITTEN_SENTINEL);
    }
    free(w->memory);
}

#endif
