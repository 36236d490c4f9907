/* SPDX-License-Identifier: MIT */
/*
 * VJ_SIMD in front of a function definition compiles it once for the baseline processor and once
 * for x86-64-v3 (AVX2); the better one is chosen when the program starts. The whole project is
 * compiled with -ffp-contract=off, so both give the same bits. Sanitised builds use the baseline
 * alone, because the choice is made before the sanitiser's run-time is up.
 */
#ifndef VJ_HOST_SIMD_H
#define VJ_HOST_SIMD_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__) &&     \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(VJ_NO_SIMD_CLONES)
#if __GNUC__ >= 12
#define VJ_SIMD __attribute__((target_clones("arch=x86-64-v3", "default")))
#else /* earlier ones cannot choose by that name */
#define VJ_SIMD __attribute__((target_clones("avx2", "default")))
#endif
#else
#define VJ_SIMD
#endif

#endif
