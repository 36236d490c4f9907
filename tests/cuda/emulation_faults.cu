/* SPDX-License-Identifier: MIT */
/*
 * Kernels with the faults that the emulation is to find; one of them, by name, is run. CTest looks
 * for what is said then. Compiled for the CPU alone.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

__global__ void behind_the_end(int *out)
{
    out[THREADS + threadIdx.x] = 1;
}

struct job {
    int count;
    int *out;
    bool wide;
};

__global__ void through_a_struct(const struct job job)
{
    job.out[threadIdx.x] = job.count;
}

/* Memory of the host where the GPU's belongs, and the other way round. */
void mix_up(const char *how, int *gpu)
{
    static int host[THREADS], other[THREADS];
    const struct job job = {1, host, false};
    if (strcmp(how, "argument") == 0)
        vj_cuda_launch(nothing_wrong, 3, THREADS, nullptr, (int *)host);
    if (strcmp(how, "struct") == 0)
        vj_cuda_launch(through_a_struct, 3, THREADS, nullptr, job);
    if (strcmp(how, "copy") == 0)
        cudaMemcpyAsync(host, gpu, sizeof(host), cudaMemcpyHostToDevice, nullptr);
    if (strcmp(how, "sides") == 0)
        cudaMemcpy(other, host, sizeof(host), cudaMemcpyDeviceToHost);
    if (strcmp(how, "beyond") == 0)
        cudaMemset(gpu, 0, sizeof(host) + 1);
    if (strcmp(how, "free") == 0)
        cudaFreeHost(gpu);
}

void say_where(int)
{
    static const char text[] = "memory that is nobody's\n";
    _Exit(write(STDOUT_FILENO, text, sizeof(text) - 1) < 0);
}

} // namespace

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*kernel)(int *);
    } kernels[] = {{"none", nothing_wrong},         {"race", missing_barrier},
                   {"divergence", barrier_of_some}, {"warp", barrier_of_a_warp},
                   {"unwritten", unwritten_memory}, {"end", behind_the_end}};
    int memory[THREADS], *out;
    signal(SIGSEGV, say_where);
    if (cudaMalloc(reinterpret_cast<void **>(&out), sizeof(memory)) != cudaSuccess)
        return 1;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
        if (argc == 2 && strcmp(argv[1], kernels[i].name) == 0)
            vj_cuda_launch(kernels[i].kernel, 3, THREADS, nullptr, out);
    if (argc == 2)
        mix_up(argv[1], out);
    cudaMemcpy(memory, out, sizeof(memory), cudaMemcpyDeviceToHost);
    int sum = 0;
    for (int i = 0; i < THREADS; i++)
        sum += memory[i];
    cudaFree(out);
    printf("sum %d\n", sum);
    return 0;
}
