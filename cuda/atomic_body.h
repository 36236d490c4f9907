/* SPDX-License-Identifier: MIT */
/*
 * What several threads do to one place in memory at a time. Each is whole by itself and orders
 * nothing else; sums are of integers, so that the order of threads does not matter.
 */
#ifndef VJ_CUDA_ATOMIC_BODY_H
#define VJ_CUDA_ATOMIC_BODY_H

#include <stdint.h>

#include "host/hostdevice.h"

/* The smaller of *place and value; returns what was there before. */
static inline VJ_HD uint32_t vj_cuda_atomic_min(uint32_t *place, uint32_t value)
{
#ifdef __CUDA_ARCH__
    return atomicMin(place, value);
#else
    uint32_t old = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (value < old &&
           !__atomic_compare_exchange_n(place, &old, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return old;
#endif
}

static inline VJ_HD void vj_cuda_atomic_or(uint32_t *place, uint32_t bits)
{
#ifdef __CUDA_ARCH__
    atomicOr(place, bits);
#else
    __atomic_fetch_or(place, bits, __ATOMIC_RELAXED);
#endif
}

static inline VJ_HD void vj_cuda_atomic_add(int64_t *place, int64_t value)
{
#ifdef __CUDA_ARCH__
    atomicAdd((unsigned long long *)place, (unsigned long long)value);
#else
    __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
#endif
}

/* Reads what other threads change meanwhile. */
static inline VJ_HD uint32_t vj_cuda_atomic_read(const uint32_t *place)
{
#ifdef __CUDA_ARCH__
    return *(const volatile uint32_t *)place;
#else
    return __atomic_load_n(place, __ATOMIC_RELAXED);
#endif
}

static inline VJ_HD uint8_t vj_cuda_atomic_read_byte(const uint8_t *place)
{
#ifdef __CUDA_ARCH__
    return *(const volatile uint8_t *)place;
#else
    return __atomic_load_n(place, __ATOMIC_RELAXED);
#endif
}

static inline VJ_HD void vj_cuda_atomic_write_byte(uint8_t *place, uint8_t value)
{
#ifdef __CUDA_ARCH__
    *(volatile uint8_t *)place = value;
#else
    __atomic_store_n(place, value, __ATOMIC_RELAXED);
#endif
}

#endif
