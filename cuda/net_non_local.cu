/* SPDX-License-Identifier: MIT */
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <string.h>

#include "cuda/kernel.h"
#include "cuda/net_kernels.h"
#include "cuda/net_non_local_body.h"

namespace
{

constexpr int threads = VJ_CUDA_NON_LOCAL_THREADS, steps = VJ_CUDA_NON_LOCAL_STEPS;
constexpr int products = VJ_CUDA_NON_LOCAL_PRODUCTS, across = VJ_CUDA_NON_LOCAL_ACROSS;

/* Of the four lanes with a pixel's affinities. */
__device__ float largest_of_four(float v)
{
    v = vj_cuda_net_larger(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return vj_cuda_net_larger(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

__device__ float sum_of_four(float v)
{
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

/* d += the words of `a` times a tile. */
template <bool half>
__device__ void multiply(float d[][4], const struct vj_cuda_first_a *a, const uint32_t *tile,
                         int lane)
{
    VJ_UNROLL
    for (int s = 0; s < steps; s++)
        for (int n = 0; n < products; n++) {
            const struct vj_cuda_first_b b = vj_cuda_non_local_right(tile, s, n, lane, half);
            vj_cuda_multiply<half>(d[n], a[s].v, b.v);
        }
}

/* A thread block a multiprocessor, for the registers of which half are affinities. */
template <bool half>
__global__ void __launch_bounds__(threads) non_local_kernel(const struct vj_cuda_non_local_job job)
{
    constexpr int down = VJ_CUDA_NON_LOCAL_N / VJ_CUDA_NON_LOCAL_WORDS / (half ? 2 : 1);
    static_assert(down % 2 == 0 && across % 2 == 0, "tiles take turns with two places");
    __shared__ struct vj_cuda_non_local_shared shared;
    struct vj_cuda_non_local_job j = job;
    j.half = half;
    const int thread = (int)threadIdx.x, lane = thread % 32;
    const unsigned part = blockIdx.x;
    const size_t row = blockIdx.y;
    struct vj_cuda_non_local_affinities affinities = {};
    struct vj_cuda_non_local_part next =
        vj_cuda_non_local_fetch(&j, VJ_CUDA_NON_LOCAL_PHI, row, 0, 0, thread);
    vj_cuda_non_local_store(shared.tile[0], &next, thread, half);
    struct vj_cuda_first_a theta[steps], ahead[steps];
    VJ_UNROLL
    for (int s = 0; s < steps; s++)
        ahead[s] = vj_cuda_non_local_theta(&j, part, row, 0, s, thread);
    for (int y = 0; y < down; y++) {
        VJ_UNROLL
        for (int s = 0; s < steps; s++) {
            theta[s] = vj_cuda_non_local_left(ahead[s], half);
            if (y + 1 < down)
                ahead[s] = vj_cuda_non_local_theta(&j, part, row, y + 1, s, thread);
        }
        VJ_UNROLL
        for (int x = 0; x < across; x++) {
            __syncthreads();
            if (x + 1 < across)
                next = vj_cuda_non_local_fetch(&j, VJ_CUDA_NON_LOCAL_PHI, row, y, x + 1, thread);
            else if (y + 1 < down)
                next = vj_cuda_non_local_fetch(&j, VJ_CUDA_NON_LOCAL_PHI, row, y + 1, 0, thread);
            else
                next = vj_cuda_non_local_fetch(&j, VJ_CUDA_NON_LOCAL_VALUE, row, 0, 0, thread);
            multiply<half>(affinities.v + x * products, theta, shared.tile[x % 2], lane);
            vj_cuda_non_local_store(shared.tile[(x + 1) % 2], &next, thread, half);
        }
    }
    struct vj_cuda_non_local_pair top = vj_cuda_non_local_top(&j, &affinities, row);
    for (int i = 0; i < 2; i++)
        top.v[i] = largest_of_four(top.v[i]);
    struct vj_cuda_non_local_pair over = vj_cuda_non_local_sum(&affinities, top);
    for (int i = 0; i < 2; i++)
        over.v[i] = 1.0f / sum_of_four(over.v[i]);
    const struct vj_cuda_non_local_chances chances = vj_cuda_non_local_operands(&affinities, half);
    float doubt = 0.0f;
    for (int x = 0; x < across; x++) {
        float d[products][4] = {};
        struct vj_cuda_non_local_tokens tokens[products];
        VJ_UNROLL
        for (int n = 0; n < products; n++)
            tokens[n] = vj_cuda_non_local_residual(&j, part, row, x, n, thread);
        VJ_UNROLL
        for (int y = 0; y < down; y++) {
            const bool another = x + 1 < across || y + 1 < down;
            __syncthreads();
            if (another)
                next = vj_cuda_non_local_fetch(&j, VJ_CUDA_NON_LOCAL_VALUE, row, (y + 1) % down,
                                               x + (y + 1) / down, thread);
            multiply<half>(d, chances.a + y * steps, shared.tile[y % 2], lane);
            if (another)
                vj_cuda_non_local_store(shared.tile[(y + 1) % 2], &next, thread, half);
        }
        VJ_UNROLL
        for (int n = 0; n < products; n++) {
            struct vj_cuda_non_local_pair best =
                vj_cuda_non_local_join(&tokens[n], d[n], over, half, &doubt);
            for (int i = 0; i < 2; i++)
                best.v[i] =
                    vj_cuda_net_larger(best.v[i], __shfl_xor_sync(0xffffffffu, best.v[i], 16));
            vj_cuda_non_local_keep(&j, best, part, row, x, n, thread, &doubt);
        }
    }
    vj_cuda_net_guard(doubt, j.flags, row, half);
}

static_assert(sizeof(struct vj_cuda_non_local_shared) <= 48 << 10, "what a launch may use");

} // namespace

cudaError_t vj_cuda_net_non_local(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                  const void *tokens, const void *projected, void *last, int *flags)
{
    const bool half = plan->precision == VJ_CUDA_FP16;
    const struct vj_cuda_non_local_job job = {tokens, projected, last, flags, half};
    const dim3 grid(VJ_CUDA_NON_LOCAL_PARTS, (unsigned)plan->rows);
    vj_cuda_launch(half ? non_local_kernel<true> : non_local_kernel<false>, grid, threads, stream,
                   job);
    return cudaGetLastError();
}
