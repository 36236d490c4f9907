/* SPDX-License-Identifier: MIT */
/*
 * VJ_HD marks arithmetic that C and CUDA C share: `static inline VJ_HD int f(...)` in a header is
 * plain C for the CPU device and a __host__ __device__ function for the kernels, so that both
 * devices agree by construction.
 */
#ifndef VJ_HOST_HOSTDEVICE_H
#define VJ_HOST_HOSTDEVICE_H

#ifdef __CUDACC__
#define VJ_HD __host__ __device__
#else
#define VJ_HD
#endif

/* Before a loop whose numbers are to stay in a device's registers. */
#ifdef __CUDA_ARCH__
#define VJ_UNROLL _Pragma("unroll")
#else
#define VJ_UNROLL
#endif

#endif
