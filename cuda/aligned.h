/* SPDX-License-Identifier: MIT */
/* Where a device takes several numbers with one access, which other boundaries fault. */
#ifndef VJ_CUDA_ALIGNED_H
#define VJ_CUDA_ALIGNED_H

#include <stdint.h>

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

#endif
