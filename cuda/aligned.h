/* SPDX-License-Identifier: MIT */
/* Where a device takes several numbers with one access, which other boundaries fault. */
#ifndef VJ_CUDA_ALIGNED_H
#define VJ_CUDA_ALIGNED_H

#include <stdint.h>
#include <string.h>

#include "host/hostdevice.h"

/* On the CPU, which reads anywhere: ends the program unless p lies on a boundary of n bytes. */
static inline VJ_HD void vj_cuda_expect_aligned(const void *p, uintptr_t n)
{
#ifdef __CUDA_ARCH__
    (void)p;
    (void)n;
#else
    if ((uintptr_t)p % n)
        __builtin_trap();
#endif
}

/*
 * 4, 8 or 16 bytes between places on boundaries of as many, in one access each. A device makes
 * whole-word accesses only of types that promise the alignment.
 */
static inline VJ_HD void vj_cuda_copy4(void *to, const void *from)
{
#ifdef __CUDA_ARCH__
    *(uint32_t *)to = *(const uint32_t *)from;
#else
    vj_cuda_expect_aligned(to, 4);
    vj_cuda_expect_aligned(from, 4);
    memcpy(to, from, 4);
#endif
}

static inline VJ_HD void vj_cuda_copy8(void *to, const void *from)
{
#ifdef __CUDA_ARCH__
    *(uint2 *)to = *(const uint2 *)from;
#else
    vj_cuda_expect_aligned(to, 8);
    vj_cuda_expect_aligned(from, 8);
    memcpy(to, from, 8);
#endif
}

static inline VJ_HD void vj_cuda_copy16(void *to, const void *from)
{
#ifdef __CUDA_ARCH__
    *(uint4 *)to = *(const uint4 *)from;
#else
    vj_cuda_expect_aligned(to, 16);
    vj_cuda_expect_aligned(from, 16);
    memcpy(to, from, 16);
#endif
}

#endif
