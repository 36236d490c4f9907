/* SPDX-License-Identifier: MIT */
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/kernel.h"
#include "cuda/net_body.h"
#include "cuda/net_kernels.h"
#include "cuda/net_tiles_body.h"

namespace
{

constexpr int threads = VJ_CUDA_NET_THREADS, lanes = VJ_CUDA_NET_LANES;

__device__ size_t index_of_thread()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* The job with the element type as a constant, which the compiler carries into the step. */
template <bool half, typename Job> __device__ Job typed(Job job)
{
    job.half = half;
    return job;
}

template <bool half> __global__ void input_kernel(const struct vj_cuda_net_input_job job)
{
    const struct vj_cuda_net_input_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.pixels)
        vj_cuda_net_input_step(&j, i);
}

template <bool half> __global__ void bias_kernel(const struct vj_cuda_net_bias_job job)
{
    const struct vj_cuda_net_bias_job j = typed<half>(job);
    const size_t quad = index_of_thread();
    if (quad < j.count / 4)
        vj_cuda_net_bias_step(&j, quad);
}

__global__ void __launch_bounds__(threads) tiles_in_kernel(const struct vj_cuda_net_tiles_in_job j)
{
    const size_t i = index_of_thread();
    if (i < j.shape.count)
        vj_cuda_net_tiles_in_step(&j, i);
}

__global__ void __launch_bounds__(threads)
    tiles_out_kernel(const struct vj_cuda_net_tiles_out_job j)
{
    const size_t i = index_of_thread();
    if (i < j.shape.count)
        vj_cuda_net_tiles_out_step(&j, i);
}

__global__ void __launch_bounds__(threads)
    tiles_pool_kernel(const struct vj_cuda_net_tiles_pool_job j)
{
    const size_t i = index_of_thread();
    if (i < j.shape.count)
        vj_cuda_net_tiles_pool_step(&j, i);
}

template <bool half>
__global__ void __launch_bounds__(threads) pool_kernel(const struct vj_cuda_net_pool_job job)
{
    __shared__ struct vj_cuda_net_pool_shared shared;
    const struct vj_cuda_net_pool_job j = typed<half>(job);
    vj_cuda_net_pool_gather(&j, &shared, blockIdx.x, blockIdx.y, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_net_pool_combine(&j, &shared, blockIdx.x, blockIdx.y, (int)threadIdx.x);
}

template <bool half> __global__ void halve_kernel(const struct vj_cuda_net_halve_job job)
{
    const struct vj_cuda_net_halve_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_halve_step(&j, i);
}

__global__ void check_kernel(const struct vj_cuda_net_check_job j)
{
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_check_step(&j, i);
}

__global__ void __launch_bounds__(threads) attend_kernel(const struct vj_cuda_net_attend_job j)
{
    __shared__ struct vj_cuda_net_attend_shared shared;
    vj_cuda_net_attend_mean(&j, &shared, blockIdx.x, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_net_attend_hidden(&j, &shared, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_net_attend_scale(&j, &shared, blockIdx.x, (int)threadIdx.x);
}

template <bool half> __global__ void scale_kernel(const struct vj_cuda_net_scale_job job)
{
    const struct vj_cuda_net_scale_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_scale_step(&j, i);
}

/* A row is one warp's affair, the whole of which has it or none. */
template <bool half, int quads>
__global__ void __launch_bounds__(threads) softmax_kernel(const struct vj_cuda_net_softmax_job job)
{
    const struct vj_cuda_net_softmax_job j = typed<half>(job);
    const size_t row = index_of_thread() / lanes;
    const int lane = (int)threadIdx.x % lanes;
    struct vj_cuda_net_softmax_lane mine;
    if (row >= j.rows)
        return;
    float top = vj_cuda_net_softmax_top(&j, &mine, quads, row, lane);
    for (int m = lanes / 2; m > 0; m /= 2)
        top = vj_cuda_net_larger(top, __shfl_xor_sync(0xffffffffu, top, m));
    float sum = vj_cuda_net_softmax_sum(&j, &mine, quads, top, lane);
    for (int m = lanes / 2; m > 0; m /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, m);
    vj_cuda_net_softmax_write(&j, &mine, quads, sum, row, lane);
}

template <bool half> __global__ void join_kernel(const struct vj_cuda_net_join_job job)
{
    const struct vj_cuda_net_join_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_join_step(&j, i);
}

template <bool half> __global__ void statistics_kernel(const struct vj_cuda_net_statistics_job job)
{
    const struct vj_cuda_net_statistics_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_statistics_step(&j, i);
}

template <bool half> __global__ void times_kernel(const struct vj_cuda_net_times_job job)
{
    const struct vj_cuda_net_times_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_times_step(&j, i);
}

template <bool half> __global__ void keep_kernel(const struct vj_cuda_net_keep_job job)
{
    const struct vj_cuda_net_keep_job j = typed<half>(job);
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_keep_step(&j, i);
}

__global__ void constant_kernel(const struct vj_cuda_net_constant_job j)
{
    const size_t i = index_of_thread();
    if (i < j.count)
        vj_cuda_net_constant_step(&j, i);
}

__global__ void __launch_bounds__(2 * lanes) finish_kernel(const struct vj_cuda_net_finish_job j)
{
    __shared__ struct vj_cuda_net_finish_shared shared;
    vj_cuda_net_finish_sum(&j, &shared, blockIdx.x, (int)threadIdx.x);
    __syncthreads();
    vj_cuda_net_finish_write(&j, &shared, blockIdx.x, (int)threadIdx.x);
}

__global__ void mean_kernel(const struct vj_cuda_net_mean_job j)
{
    const size_t i = index_of_thread();
    if (i < j.n)
        vj_cuda_net_mean_step(&j, i);
}

template <bool half>
__global__ void convert_kernel(const float *from, void *to, size_t count, int *flags)
{
    const size_t i = index_of_thread();
    if (i >= count)
        return;
    vj_cuda_net_set(to, i, from[i], half);
    vj_cuda_net_guard(vj_cuda_net_get(to, i, half), flags, 0, half);
}

template <bool half> __global__ void widen_kernel(const void *from, float *to, size_t count)
{
    const size_t i = index_of_thread();
    if (i < count)
        to[i] = vj_cuda_net_get(from, i, half);
}

bool is_half(enum vj_cuda_precision precision)
{
    return precision == VJ_CUDA_FP16;
}

template <typename Job>
cudaError_t launch(void (*for_half)(Job), void (*for_float)(Job), const Job &job, dim3 grid,
                   cudaStream_t stream)
{
    vj_cuda_launch(job.half ? for_half : for_float, grid, threads, stream, job);
    return cudaGetLastError();
}

} // namespace

cudaError_t vj_cuda_net_input(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count, void *input)
{
    const size_t patch = (size_t)plan->shape.patch_size * (size_t)plan->shape.patch_size;
    const struct vj_cuda_net_input_job job = {
        patches, input, count * patch, plan->rows * patch, channels, is_half(plan->precision)};
    return launch(input_kernel<true>, input_kernel<false>, job, vj_cuda_net_blocks(job.pixels),
                  stream);
}

cudaError_t vj_cuda_net_bias_relu(enum vj_cuda_precision precision, cudaStream_t stream, void *x,
                                  const void *bias, size_t pixels, size_t channels)
{
    const struct vj_cuda_net_bias_job job = {x, bias, pixels * channels, channels,
                                             is_half(precision)};
    return launch(bias_kernel<true>, bias_kernel<false>, job, vj_cuda_net_blocks(job.count / 4),
                  stream);
}

cudaError_t vj_cuda_net_tiles_in(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                 const float *map, const float *scale, size_t patches,
                                 float *inputs)
{
    const struct vj_cuda_net_tiles_in_job job = {vj_cuda_net_tiles_of(conv, patches, conv->in), map,
                                                 scale, inputs};
    vj_cuda_launch(tiles_in_kernel, vj_cuda_net_blocks(job.shape.count), threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_tiles_out(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                  const float *products, const float *bias, size_t patches,
                                  float *map)
{
    const struct vj_cuda_net_tiles_out_job job = {vj_cuda_net_tiles_of(conv, patches, conv->out),
                                                  products, bias, map};
    vj_cuda_launch(tiles_out_kernel, vj_cuda_net_blocks(job.shape.count), threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_tiles_pool(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                   const float *products, const float *bias, size_t patches,
                                   float *pooled, float *sums, float *peaks)
{
    const struct vj_cuda_net_tiles_pool_job job = {
        vj_cuda_net_tiles_of(conv, patches, conv->out), products, bias, pooled, sums, peaks};
    vj_cuda_launch(tiles_pool_kernel, vj_cuda_net_blocks(job.shape.count), threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_pool(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                             const void *map, void *pooled, float *sums, float *peaks, int *flags)
{
    const struct vj_cuda_net_pool_job job = {
        plan->pool[layer], map, pooled, sums, peaks, flags, is_half(plan->precision)};
    const dim3 grid((unsigned)job.shape.blocks, (unsigned)plan->rows);
    return launch(pool_kernel<true>, pool_kernel<false>, job, grid, stream);
}

cudaError_t vj_cuda_net_halve(const struct vj_cuda_net_plan *plan, int block, cudaStream_t stream,
                              const void *map, void *pooled, int *flags)
{
    const struct vj_cuda_net_conv *c = &plan->conv[vj_net_block_end(plan->form, block)];
    const size_t side = (size_t)c->side, channels = (size_t)c->out;
    const bool half = is_half(plan->precision);
    const size_t numbers = plan->rows * (side / 2) * (side / 2) * channels;
    const struct vj_cuda_net_halve_job job = {
        map, pooled, flags, side, channels, numbers / (size_t)vj_cuda_net_width(half), half};
    return launch(halve_kernel<true>, halve_kernel<false>, job, vj_cuda_net_blocks(job.count),
                  stream);
}

cudaError_t vj_cuda_net_check(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              const void *map, int *flags)
{
    const struct vj_cuda_net_conv *c = &plan->conv[layer];
    const size_t patch = (size_t)c->side * (size_t)c->side * (size_t)c->out;
    const struct vj_cuda_net_check_job job = {map, flags, patch, plan->rows * patch / 8};
    if (!is_half(plan->precision))
        return cudaSuccess;
    vj_cuda_launch(check_kernel, vj_cuda_net_blocks(job.count), threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_attend(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                               const struct vj_cuda_net_attention *attention, const float *sums,
                               const float *peaks, float *scale)
{
    const struct vj_cuda_net_attend_job job = {plan->pool[layer], *attention, sums, peaks, scale};
    vj_cuda_launch(attend_kernel, (unsigned)plan->rows, threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_scale(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              void *pooled, const float *scale)
{
    const size_t side = (size_t)plan->pool[layer].side / 2;
    const size_t channels = (size_t)plan->pool[layer].channels, patch = side * side * channels;
    const bool half = is_half(plan->precision);
    const struct vj_cuda_net_scale_job job = {
        pooled, scale, plan->rows * patch / (size_t)vj_cuda_net_width(half), patch, channels, half};
    return launch(scale_kernel<true>, scale_kernel<false>, job, vj_cuda_net_blocks(job.count),
                  stream);
}

cudaError_t vj_cuda_net_softmax(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                const float *scores, void *chances, int *flags)
{
    const struct vj_cuda_net_softmax_job job = {scores,          chances,
                                                flags,           plan->rows * plan->positions,
                                                plan->positions, is_half(plan->precision)};
    const unsigned blocks = vj_cuda_net_blocks(job.rows * lanes);
    constexpr int few = VJ_CUDA_NET_SOFTMAX_FEW, most = VJ_CUDA_NET_SOFTMAX_MOST;
    if (vj_cuda_net_softmax_quads(job.n) == few)
        return launch(softmax_kernel<true, few>, softmax_kernel<false, few>, job, blocks, stream);
    return launch(softmax_kernel<true, most>, softmax_kernel<false, most>, job, blocks, stream);
}

cudaError_t vj_cuda_net_join(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *tokens, const void *attended, void *last, int *flags)
{
    const size_t channels = (size_t)plan->shape.channels[3];
    const struct vj_cuda_net_join_job job = {tokens,
                                             attended,
                                             last,
                                             flags,
                                             (size_t)plan->conv[3].side,
                                             channels,
                                             (size_t)plan->conv[3].out,
                                             plan->rows * (plan->positions / 4) * channels,
                                             is_half(plan->precision)};
    return launch(join_kernel<true>, join_kernel<false>, job, vj_cuda_net_blocks(job.count),
                  stream);
}

cudaError_t vj_cuda_net_statistics(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                   const void *last, void *features)
{
    const size_t channels = (size_t)plan->shape.channels[3];
    const struct vj_cuda_net_statistics_job job = {last,
                                                   features,
                                                   plan->positions / 4,
                                                   channels,
                                                   plan->rows * channels,
                                                   is_half(plan->precision)};
    return launch(statistics_kernel<true>, statistics_kernel<false>, job,
                  vj_cuda_net_blocks(job.count), stream);
}

cudaError_t vj_cuda_net_times(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const void *features, const void *jnd, size_t first, size_t patches,
                              void *times, int *flags)
{
    const struct vj_cuda_net_times_job job = {features,
                                              jnd,
                                              times,
                                              flags,
                                              first,
                                              patches,
                                              plan->features,
                                              plan->rows * plan->features,
                                              is_half(plan->precision)};
    return launch(times_kernel<true>, times_kernel<false>, job, vj_cuda_net_blocks(job.count),
                  stream);
}

cudaError_t vj_cuda_net_keep(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *features, const int *flags, size_t count, void *kept)
{
    const struct vj_cuda_net_keep_job job = {
        features, kept, flags, plan->features, count * plan->features, is_half(plan->precision)};
    return launch(keep_kernel<true>, keep_kernel<false>, job, vj_cuda_net_blocks(job.count),
                  stream);
}

cudaError_t vj_cuda_net_constant(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                 const float *pair, const float *bias, const int *flags,
                                 size_t count, float *constant)
{
    const struct vj_cuda_net_constant_job job = {
        pair, bias, flags, constant, plan->rows, plan->slices, count * 2 * VJ_NET_HIDDEN};
    vj_cuda_launch(constant_kernel, vj_cuda_net_blocks(job.count), threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_finish(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                               const float *pair, const float *product, const float *constant,
                               const struct vj_cuda_net_second *second, const int *flags,
                               size_t first, size_t patches, size_t count, float *quality,
                               float *weight)
{
    const struct vj_cuda_net_finish_job job = {pair,         product, constant, *second,
                                               flags,        quality, weight,   plan->rows,
                                               plan->slices, first,   patches};
    vj_cuda_launch(finish_kernel, (unsigned)count, 2 * lanes, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_mean(cudaStream_t stream, const float *quality, const float *weight,
                             size_t n, size_t patches, float *score)
{
    const struct vj_cuda_net_mean_job job = {quality, weight, score, n, patches};
    vj_cuda_launch(mean_kernel, vj_cuda_net_blocks(n), threads, stream, job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_convert(enum vj_cuda_precision precision, cudaStream_t stream,
                                const float *from, void *to, size_t count, int *flags)
{
    if (is_half(precision))
        vj_cuda_launch(convert_kernel<true>, vj_cuda_net_blocks(count), threads, stream, from, to,
                       count, flags);
    else
        vj_cuda_launch(convert_kernel<false>, vj_cuda_net_blocks(count), threads, stream, from, to,
                       count, flags);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_widen(enum vj_cuda_precision precision, cudaStream_t stream,
                              const void *from, float *to, size_t count)
{
    if (is_half(precision))
        vj_cuda_launch(widen_kernel<true>, vj_cuda_net_blocks(count), threads, stream, from, to,
                       count);
    else
        vj_cuda_launch(widen_kernel<false>, vj_cuda_net_blocks(count), threads, stream, from, to,
                       count);
    return cudaGetLastError();
}
