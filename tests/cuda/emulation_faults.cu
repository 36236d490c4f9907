/* SPDX-License-Identifier: MIT */
/*
 * Kernels with the faults that the emulation is to find; one of them, by name, is run. CTest looks
 * for what is said then. Compiled for the CPU alone.
 */
#include <stdio.h>
#include <string.h>

#include "cuda/kernel.h"

namespace
{

enum { THREADS = 64 };

__global__ void nothing_wrong(int *out)
{
    __shared__ int s[THREADS];
    s[threadIdx.x] = (int)threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = s[THREADS - 1 - threadIdx.x];
}

__global__ void missing_barrier(int *out)
{
    __shared__ int s[THREADS];
    s[threadIdx.x] = (int)threadIdx.x;
    out[threadIdx.x] = s[THREADS - 1 - threadIdx.x];
}

__global__ void barrier_of_some(int *out)
{
    out[threadIdx.x] = 1;
    if (threadIdx.x != 5)
        __syncthreads();
}

__global__ void barrier_of_a_warp(int *out)
{
    __shared__ int s[THREADS];
    s[threadIdx.x] = (int)threadIdx.x;
    __syncwarp();
    out[threadIdx.x] = s[THREADS - 1 - threadIdx.x]; /* another warp's */
}

__global__ void unwritten_memory(int *out)
{
    __shared__ int s[THREADS];
    if (threadIdx.x != 5)
        s[threadIdx.x] = 0;
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x];
}

} // namespace

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*kernel)(int *);
    } kernels[] = {{"none", nothing_wrong},
                   {"race", missing_barrier},
                   {"divergence", barrier_of_some},
                   {"warp", barrier_of_a_warp},
                   {"unwritten", unwritten_memory}};
    static int memory[THREADS];
    int *const out = memory;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
        if (argc == 2 && strcmp(argv[1], kernels[i].name) == 0)
            vj_cuda_launch(kernels[i].kernel, 3, THREADS, nullptr, out);
    cudaDeviceSynchronize();
    int sum = 0;
    for (int i = 0; i < THREADS; i++)
        sum += out[i];
    printf("sum %d\n", sum);
    return 0;
}
