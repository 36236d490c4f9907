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

/*
 * VJ_UNROLL: before a loop over what a device's thread holds in registers: an index that is no
 * constant would put it into memory. VJ_UNROLL_16: before a long sum in one order by few threads,
 * which waits for memory: that many loads are on their way.
 */
#ifdef __CUDA_ARCH__
#define VJ_UNROLL    _Pragma("unroll")
#define VJ_UNROLL_16 _Pragma("unroll 16")
#else
#define VJ_UNROLL
#define VJ_UNROLL_16
#endif

#endif
