/* SPDX-License-Identifier: MIT */
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/kernel.h"
#include "cuda/train_kernels.h"

namespace
{

constexpr int threads = VJ_CUDA_NET_THREADS, lanes = VJ_CUDA_NET_LANES;

__device__ size_t index_of_thread()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

__global__ void __launch_bounds__(threads)
    gather_kernel(const __grid_constant__ struct vj_cuda_train_gather_job job)
{
    __shared__ struct vj_cuda_train_gather_shared shared;
    vj_cuda_train_gather(&job, &shared, blockIdx.x, blockIdx.y, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_train_combine(&job, &shared, blockIdx.x, blockIdx.y, (int)threadIdx.x);
}

__global__ void __launch_bounds__(threads)
    attend_kernel(const __grid_constant__ struct vj_cuda_train_attend_job job)
{
    __shared__ struct vj_cuda_train_attend_shared shared;
    vj_cuda_train_attend_logit(&job, &shared, blockIdx.x, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_train_attend_hidden(&job, &shared, blockIdx.x, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_train_attend_in(&job, &shared, blockIdx.x, (int)threadIdx.x);
}

/* Rows are one warp's affair, and so is the barrier. */
__global__ void __launch_bounds__(threads)
    softmax_kernel(const __grid_constant__ struct vj_cuda_train_softmax_job job)
{
    __shared__ struct vj_cuda_train_softmax_shared shared;
    const size_t row = index_of_thread() / lanes;
    vj_cuda_train_softmax_sum(&job, &shared, row, (int)threadIdx.x);
    __syncwarp();
    vj_cuda_train_softmax_write(&job, &shared, row, (int)threadIdx.x);
}

__global__ void __launch_bounds__(threads)
    columns_kernel(const __grid_constant__ struct vj_cuda_train_columns_job job)
{
    __shared__ struct vj_cuda_train_columns_shared shared;
    vj_cuda_train_columns_sum(&job, &shared, blockIdx.x, blockIdx.y, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_train_columns_write(&job, &shared, blockIdx.x, blockIdx.y, (int)threadIdx.x);
}

__global__ void __launch_bounds__(2 * lanes)
    out_kernel(const __grid_constant__ struct vj_cuda_train_out_job job)
{
    __shared__ struct vj_cuda_train_out_shared shared;
    vj_cuda_train_out_sum(&job, &shared, blockIdx.x, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_train_out_write(&job, &shared, blockIdx.x, (int)threadIdx.x);
}

} // namespace

/* A kernel of one step, a thread for each of job->count numbers, and its launcher. */
#define EACH(name, job_type)                                                                       \
    static __global__ void __launch_bounds__(threads)                                              \
        name##_kernel(const __grid_constant__ struct job_type job)                                 \
    {                                                                                              \
        const size_t i = index_of_thread();                                                        \
        if (i < job.count)                                                                         \
            vj_cuda_train_##name##_step(&job, i);                                                  \
    }                                                                                              \
    cudaError_t vj_cuda_train_##name##_launch(cudaStream_t stream, const struct job_type *job)     \
    {                                                                                              \
        vj_cuda_launch(name##_kernel, vj_cuda_net_blocks(job->count), threads, stream, *job);      \
        return cudaGetLastError();                                                                 \
    }

EACH(mlp, vj_cuda_train_mlp_job)
EACH(scatter, vj_cuda_train_scatter_job)
EACH(spread, vj_cuda_train_spread_job)
EACH(deviation, vj_cuda_train_deviation_job)
EACH(unjoin, vj_cuda_train_unjoin_job)
EACH(mask, vj_cuda_train_mask_job)
EACH(add, vj_cuda_train_add_job)
EACH(hidden, vj_cuda_train_hidden_job)
EACH(second, vj_cuda_train_second_job)
EACH(unhide, vj_cuda_train_unhide_job)
EACH(share, vj_cuda_train_share_job)
EACH(factors, vj_cuda_train_factors_job)
EACH(fold_kernel, vj_cuda_train_kernel_job)
EACH(unfold_kernel, vj_cuda_train_kernel_job)
EACH(fold_heads, vj_cuda_train_heads_job)
EACH(unfold_heads, vj_cuda_train_heads_job)
EACH(merge, vj_cuda_train_merge_job)
EACH(unmerge, vj_cuda_train_unmerge_job)
EACH(finite, vj_cuda_train_finite_job)
EACH(adam, vj_cuda_train_adam_job)
EACH(loss, vj_cuda_train_loss_job)

cudaError_t vj_cuda_train_gather_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_gather_job *job, size_t rows)
{
    const dim3 grid((unsigned)job->shape.blocks, (unsigned)rows);
    vj_cuda_launch(gather_kernel, grid, threads, stream, *job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_attend_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_attend_job *job, size_t rows)
{
    vj_cuda_launch(attend_kernel, (unsigned)rows, threads, stream, *job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_softmax_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_softmax_job *job)
{
    vj_cuda_launch(softmax_kernel, vj_cuda_net_blocks(job->rows * lanes), threads, stream, *job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_columns_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_columns_job *job)
{
    const dim3 grid((unsigned)job->shape.parts, (unsigned)job->shape.blocks);
    vj_cuda_launch(columns_kernel, grid, threads, stream, *job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_out_launch(cudaStream_t stream, const struct vj_cuda_train_out_job *job,
                                     size_t rows)
{
    vj_cuda_launch(out_kernel, (unsigned)rows, 2 * lanes, stream, *job);
    return cudaGetLastError();
}
