/* SPDX-License-Identifier: MIT */
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <string.h>

#include "cuda/kernel.h"
#include "cuda/net_block_body.h"
#include "cuda/net_kernels.h"

namespace
{

constexpr int threads = VJ_CUDA_BLOCK_THREADS, products = VJ_CUDA_BLOCK_PRODUCTS;
constexpr int at_once = VJ_CUDA_BLOCK_AT_ONCE * threads;

/* Over the lanes with the same channels. */
__device__ float sum_of_groups(float v)
{
    for (int mask = 4; mask < VJ_CUDA_NET_LANES; mask *= 2)
        v += __shfl_xor_sync(0xffffffffu, v, mask);
    return v;
}

__device__ float largest_of_groups(float v)
{
    for (int mask = 4; mask < VJ_CUDA_NET_LANES; mask *= 2)
        v = vj_cuda_net_larger(v, __shfl_xor_sync(0xffffffffu, v, mask));
    return v;
}

/* Two thread blocks a multiprocessor: one reads while the other multiplies. */
template <bool half, int side>
__global__ void __launch_bounds__(threads, 2) block_kernel(const struct vj_cuda_block_job job)
{
    constexpr int words = VJ_CUDA_BLOCK_WORDS * (half ? 2 : 1);
    __shared__ struct vj_cuda_block_shared shared;
    struct vj_cuda_block_job j = job;
    j.half = half;
    j.side = side;
    const int thread = (int)threadIdx.x, lane = thread % 32, chunks = j.in / words;
    const int channel = vj_cuda_block_channel(lane);
    const unsigned part = blockIdx.x;
    const size_t row = blockIdx.y;
    const int group = (int)blockIdx.z;
    struct vj_cuda_first_d d[2][products];
    VJ_UNROLL
    for (int n = 0; n < products; n++)
        for (int i = 0; i < 4; i++)
            d[0][n].v[i] = d[1][n].v[i] = vj_cuda_net_get(
                j.bias, (size_t)(group * VJ_CUDA_BLOCK_CHANNELS + channel + 2 * n + i % 2), half);
    for (int chunk = 0; chunk < chunks; chunk++) {
        __syncthreads();
        for (int from = 0; from < vj_cuda_block_places(side); from += at_once) {
            const struct vj_cuda_block_quarters quarters =
                vj_cuda_block_fetch(&j, part, row, chunk, from, thread);
            vj_cuda_block_store(&j, shared.samples, &quarters, part, row, chunk, from, thread);
        }
        __syncthreads();
        for (int tap = 0; tap < VJ_CUDA_FIRST_TAPS; tap++)
            for (int s = 0; s < VJ_CUDA_BLOCK_STEPS; s++) {
                struct vj_cuda_first_a a[2];
                for (int y = 0; y < 2; y++)
                    a[y] = vj_cuda_block_samples(shared.samples, side, tap, s, y, thread);
                VJ_UNROLL
                for (int n = 0; n < products; n++) {
                    const struct vj_cuda_first_b b =
                        vj_cuda_block_right(j.kernel, chunks, group, chunk, tap, s, n, lane);
                    for (int y = 0; y < 2; y++)
                        vj_cuda_multiply<half>(d[y][n].v, a[y].v, b.v);
                }
            }
    }
    const struct vj_cuda_block_statistics mine =
        vj_cuda_block_finish(&j, d, part, row, group, thread);
    VJ_UNROLL
    for (int c = 0; c < VJ_CUDA_BLOCK_OWN; c++) {
        const float sum = sum_of_groups(mine.sum[c]), peak = largest_of_groups(mine.peak[c]);
        if (lane < 4) {
            shared.sum[thread / 32][channel + c] = sum;
            shared.peak[thread / 32][channel + c] = peak;
        }
    }
    __syncthreads();
    vj_cuda_block_total(&j, &shared, part, row, group, thread);
}

static_assert(sizeof(struct vj_cuda_block_shared) <= 48 << 10, "what a launch may use");

} // namespace

cudaError_t vj_cuda_net_block(const struct vj_cuda_net_conv *conv, enum vj_cuda_precision precision,
                              cudaStream_t stream, size_t rows, const void *map, const float *scale,
                              const void *kernel, const void *bias, void *pooled, float *sums,
                              float *peaks, int *flags)
{
    const bool half = precision == VJ_CUDA_FP16;
    const struct vj_cuda_block_job job = {map,      scale,     (const uint32_t *)kernel,
                                          bias,     pooled,    sums,
                                          peaks,    flags,     conv->side,
                                          conv->in, conv->out, half};
    const dim3 grid((unsigned)(conv->side * conv->side / VJ_CUDA_BLOCK_PIXELS), (unsigned)rows,
                    (unsigned)(conv->out / VJ_CUDA_BLOCK_CHANNELS));
    if (conv->side == 64)
        vj_cuda_launch(half ? block_kernel<true, 64> : block_kernel<false, 64>, grid, threads,
                       stream, job);
    else
        vj_cuda_launch(half ? block_kernel<true, 32> : block_kernel<false, 32>, grid, threads,
                       stream, job);
    return cudaGetLastError();
}
