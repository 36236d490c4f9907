/* SPDX-License-Identifier: MIT */
/* Overflow-checked size arithmetic and allocation for sizes that come from files. */
#ifndef VJ_HOST_CHECKED_H
#define VJ_HOST_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* *out = a * b; false when the product does not fit. */
static inline bool vj_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* *out = a + b; false when the sum does not fit. */
static inline bool vj_size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/*
 * Zeroed array of count x size bytes, to be released with free(); NULL when out of memory or when
 * the product overflows. A count of zero gives a unique pointer that may be freed.
 */
static inline void *vj_calloc(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

/*
 * Uninitialised array of count x size bytes on a 64-byte boundary (SIMD loads, oneDNN buffers), to
 * be released with free(); NULL when out of memory or when the product overflows.
 */
static inline void *vj_alloc_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (!vj_size_mul(count, size, &bytes) || bytes > (size_t)-64)
        return NULL;
    bytes = (bytes + 63) / 64 * 64;
    return aligned_alloc(64, bytes ? bytes : 64);
}

#endif
