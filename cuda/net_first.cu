/* SPDX-License-Identifier: MIT */
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/kernel.h"
#include "cuda/net_first_body.h"
#include "cuda/net_first_fp32_body.h"
#include "cuda/net_kernels.h"

namespace
{

constexpr int threads = VJ_CUDA_FIRST_THREADS, products = VJ_CUDA_FIRST_PRODUCTS;

template <bool half>
__global__ void __launch_bounds__(threads) first_kernel(const struct vj_cuda_first_job job)
{
    constexpr int steps = half ? VJ_CUDA_FIRST_STEPS_HALF : VJ_CUDA_FIRST_STEPS_FLOAT;
    constexpr size_t samples = VJ_CUDA_FIRST_SAMPLES * (half ? 2 : 4);
    constexpr size_t statistics = threads * sizeof(struct vj_cuda_first_statistics);
    __shared__ __align__(16) char shared[samples > statistics ? samples : statistics];
    struct vj_cuda_first_job j = job;
    j.half = half;
    const int thread = (int)threadIdx.x, lane = thread % 32, y = thread / 32 * 2;
    vj_cuda_first_load(&j, shared, blockIdx.x, blockIdx.y, thread);
    struct vj_cuda_first_b b[steps][products];
    float bias[8];
    for (int s = 0; s < steps; s++)
        for (int n = 0; n < products; n++)
            b[s][n] = ((const struct vj_cuda_first_b *)j.kernel)[(s * products + n) * 32 + lane];
    for (int c = 0; c < 8; c++)
        bias[c] = j.bias[8 * (lane % 4) + c];
    struct vj_cuda_first_statistics mine = {};
    __syncthreads();
    for (int x = 0; x < j.side; x += 16) {
        struct vj_cuda_first_d d[2][products];
        for (int k = 0; k < 2; k++)
            for (int n = 0; n < products; n++)
                d[k][n] = vj_cuda_first_begin(bias, n);
        for (int s = 0; s < steps; s++)
            for (int k = 0; k < 2; k++) {
                const struct vj_cuda_first_a a =
                    vj_cuda_first_samples(shared, half, s, y + k, x, lane);
                for (int n = 0; n < products; n++)
                    vj_cuda_multiply<half>(d[k][n].v, a.v, b[s][n].v);
            }
        vj_cuda_first_finish(&j, d, &mine, blockIdx.x, blockIdx.y, y, x, lane);
    }
    __syncthreads();
    struct vj_cuda_first_statistics *all = (struct vj_cuda_first_statistics *)shared;
    all[thread] = mine;
    __syncthreads();
    vj_cuda_first_total(&j, all, blockIdx.x, blockIdx.y, thread);
}

/* Two thread blocks a multiprocessor: 128 registers a thread, of which 64 are sums. */
__global__ void __launch_bounds__(threads, 2) first_fp32_kernel(const struct vj_cuda_first_job j)
{
    constexpr size_t samples = sizeof(struct vj_cuda_first32_shared);
    constexpr size_t statistics = threads * sizeof(struct vj_cuda_first_statistics);
    static_assert(statistics <= samples, "the statistics lie where the samples were");
    __shared__ __align__(16) char memory[samples];
    struct vj_cuda_first32_shared *shared = (struct vj_cuda_first32_shared *)memory;
    const int thread = (int)threadIdx.x, group = vj_cuda_first32_group(thread);
    const int across = j.side / VJ_CUDA_FIRST32_COLUMNS;
    vj_cuda_first32_load(&j, shared, blockIdx.x, blockIdx.y, thread);
    float bias[VJ_CUDA_FIRST32_GROUP];
    for (int c = 0; c < VJ_CUDA_FIRST32_GROUP; c++)
        bias[c] = j.bias[VJ_CUDA_FIRST32_GROUP * group + c];
    struct vj_cuda_first_statistics mine = {};
    __syncthreads();
    for (int i = vj_cuda_first32_worker(thread); i < vj_cuda_first32_tiles(j.side);
         i += VJ_CUDA_FIRST32_WORKERS) {
        const int y = 2 * (i / across), x = VJ_CUDA_FIRST32_COLUMNS * (i % across);
        const struct vj_cuda_first32_tile tile = vj_cuda_first32_sums(shared, y, x, group);
        vj_cuda_first32_finish(&j, &tile, bias, &mine, blockIdx.x, blockIdx.y, y, x, group);
    }
    __syncthreads();
    struct vj_cuda_first_statistics *all = (struct vj_cuda_first_statistics *)memory;
    all[vj_cuda_first32_place(thread)] = mine;
    __syncthreads();
    vj_cuda_first_total(&j, all, blockIdx.x, blockIdx.y, thread);
}

} // namespace

cudaError_t vj_cuda_net_first(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count,
                              const uint32_t *kernel, const float *bias, void *pooled, float *sums,
                              float *peaks, int *flags)
{
    const bool half = plan->precision == VJ_CUDA_FP16;
    const struct vj_cuda_first_job job = {patches, count, channels, kernel, bias,
                                          pooled,  sums,  peaks,    flags,  plan->shape.patch_size,
                                          half};
    const dim3 grid((unsigned)plan->pool[0].blocks, (unsigned)plan->rows);
    if (plan->precision == VJ_CUDA_FP32)
        vj_cuda_launch(first_fp32_kernel, grid, threads, stream, job);
    else
        vj_cuda_launch(half ? first_kernel<true> : first_kernel<false>, grid, threads, stream, job);
    return cudaGetLastError();
}
