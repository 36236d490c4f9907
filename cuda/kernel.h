/* SPDX-License-Identifier: MIT */
/*
 * What the language of kernels has and C++ has not, each in one place: starting a kernel and a
 * warp's product on tensor cores. For a C++ compiler both are functions of
 * tests/cuda/emulate_cuda.h, which runs the .cu files on the CPU. CUDA C++ only.
 */
#ifndef VJ_CUDA_KERNEL_H
#define VJ_CUDA_KERNEL_H

#include <cuda_runtime.h>
#include <stdint.h>

/*
 * Starts kernel(arguments...) on the stream: a grid of blocks of `threads` threads. Whether it
 * started cudaGetLastError() says.
 */
template <typename... Parameter, typename... Argument>
void vj_cuda_launch(void (*kernel)(Parameter...), dim3 grid, unsigned threads, cudaStream_t stream,
                    const Argument &...arguments);

/*
 * d += a b, a whole warp's affair: 16 x 8 sums of products over 16 halves (PTX's mma.m16n8k16) or 8
 * numbers with tf32's bits (m16n8k8). Which of them a lane has says PTX.
 */
template <bool half>
__device__ void vj_cuda_multiply(float d[4], const uint32_t a[4], const uint32_t b[2]);

#ifdef __CUDACC__
template <typename... Parameter, typename... Argument>
void vj_cuda_launch(void (*kernel)(Parameter...), dim3 grid, unsigned threads, cudaStream_t stream,
                    const Argument &...arguments)
{
    kernel<<<grid, threads, 0, stream>>>(arguments...);
}

template <bool half>
__device__ void vj_cuda_multiply(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    if (half)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

#endif
