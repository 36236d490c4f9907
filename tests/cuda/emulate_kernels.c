/* SPDX-License-Identifier: MIT */
/* The network's own kernels as loops around their bodies; see emulate_libraries.c. */
#include "tests/cuda/emulate.h"

#include "cuda/net_body.h"
#include "cuda/net_kernels.h"
#include "cuda/net_tiles_body.h"
#include "tests/cuda/emulate_first.h"
#include "tests/cuda/emulate_softmax.h"

/* A kernel of one step, a thread for each of `count` numbers. */
#define EACH(count, step, job)                                                                     \
    do {                                                                                           \
        for (size_t emu_i = 0; emu_i < (count); emu_i++)                                           \
            step((job), emu_i);                                                                    \
        return cudaGetLastError();                                                                 \
    } while (0)

static bool is_half(const struct vj_cuda_net_plan *plan)
{
    return plan->precision == VJ_CUDA_FP16;
}

cudaError_t vj_cuda_net_input(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count, void *input)
{
    const size_t patch = (size_t)plan->shape.patch_size * (size_t)plan->shape.patch_size;
    const struct vj_cuda_net_input_job j = {
        patches, input, count * patch, plan->rows * patch, channels, is_half(plan)};
    (void)stream;
    EACH(j.pixels, vj_cuda_net_input_step, &j);
}

cudaError_t vj_cuda_net_first(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count,
                              const uint32_t *kernel, const float *bias, void *pooled, float *sums,
                              float *peaks, int *flags)
{
    const struct vj_cuda_first_job j = {
        patches,      count, channels, kernel, bias,
        pooled,       sums,  peaks,    flags,  plan->shape.patch_size,
        is_half(plan)};
    (void)stream;
    emulate_first(&j, plan->precision, plan->rows);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_bias_relu(enum vj_cuda_precision precision, cudaStream_t stream, void *x,
                                  const void *bias, size_t pixels, size_t channels)
{
    const struct vj_cuda_net_bias_job j = {x, bias, pixels * channels, channels,
                                           precision == VJ_CUDA_FP16};
    (void)stream;
    EACH(j.count / 4, vj_cuda_net_bias_step, &j);
}

cudaError_t vj_cuda_net_tiles_in(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                 const float *map, const float *scale, size_t patches,
                                 float *inputs)
{
    const struct vj_cuda_net_tiles_in_job j = {vj_cuda_net_tiles_of(conv, patches, conv->in), map,
                                               scale, inputs};
    (void)stream;
    EACH(j.shape.count, vj_cuda_net_tiles_in_step, &j);
}

cudaError_t vj_cuda_net_tiles_out(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                  const float *products, const float *bias, size_t patches,
                                  float *map)
{
    const struct vj_cuda_net_tiles_out_job j = {vj_cuda_net_tiles_of(conv, patches, conv->out),
                                                products, bias, map};
    (void)stream;
    EACH(j.shape.count, vj_cuda_net_tiles_out_step, &j);
}

cudaError_t vj_cuda_net_tiles_pool(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                   const float *products, const float *bias, size_t patches,
                                   float *pooled, float *sums, float *peaks)
{
    const struct vj_cuda_net_tiles_pool_job j = {
        vj_cuda_net_tiles_of(conv, patches, conv->out), products, bias, pooled, sums, peaks};
    (void)stream;
    EACH(j.shape.count, vj_cuda_net_tiles_pool_step, &j);
}

cudaError_t vj_cuda_net_pool(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                             const void *map, void *pooled, float *sums, float *peaks, int *flags)
{
    const struct vj_cuda_net_pool_job j = {plan->pool[layer], map, pooled, sums, peaks, flags,
                                           is_half(plan)};
    const struct vj_cuda_grid grid = {(unsigned)j.shape.blocks, (unsigned)plan->rows, 1};
    (void)stream;
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_net_pool_shared shared;
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_pool_gather(&j, &shared, at.x, at.y, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_pool_combine(&j, &shared, at.x, at.y, (int)thread);
    }
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_halve(const struct vj_cuda_net_plan *plan, int block, cudaStream_t stream,
                              const void *map, void *pooled, int *flags)
{
    const struct vj_cuda_net_conv *c = &plan->conv[vj_net_block_end(plan->form, block)];
    const size_t side = (size_t)c->side, channels = (size_t)c->out;
    const struct vj_cuda_net_halve_job j = {
        map,          pooled,   flags,
        side,         channels, plan->rows * (side / 2) * (side / 2) * channels / 4,
        is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_halve_step, &j);
}

cudaError_t vj_cuda_net_check(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              const void *map, int *flags)
{
    const struct vj_cuda_net_conv *c = &plan->conv[layer];
    const size_t patch = (size_t)c->side * (size_t)c->side * (size_t)c->out;
    const struct vj_cuda_net_check_job j = {map, flags, patch, plan->rows * patch / 4};
    (void)stream;
    if (!is_half(plan))
        return cudaGetLastError();
    EACH(j.count, vj_cuda_net_check_step, &j);
}

cudaError_t vj_cuda_net_attend(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                               const struct vj_cuda_net_attention *attention, const float *sums,
                               const float *peaks, float *scale)
{
    const struct vj_cuda_net_attend_job j = {plan->pool[layer], *attention, sums, peaks, scale};
    (void)stream;
    for (size_t row = 0; row < plan->rows; row++) {
        struct vj_cuda_net_attend_shared shared;
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_mean(&j, &shared, row, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_hidden(&j, &shared, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_scale(&j, &shared, row, (int)thread);
    }
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_scale(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              void *pooled, const float *scale)
{
    const size_t half = (size_t)plan->pool[layer].side / 2;
    const size_t channels = (size_t)plan->pool[layer].channels, patch = half * half * channels;
    const struct vj_cuda_net_scale_job j = {pooled, scale,    plan->rows * patch,
                                            patch,  channels, is_half(plan)};
    (void)stream;
    EACH(j.count / 4, vj_cuda_net_scale_step, &j);
}

cudaError_t vj_cuda_net_softmax(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                const float *scores, void *chances, int *flags)
{
    const struct vj_cuda_net_softmax_job j = {
        scores, chances, flags, plan->rows * plan->positions, plan->positions, is_half(plan)};
    (void)stream;
    emulate_softmax(&j);
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_join(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *tokens, const void *attended, void *last, int *flags)
{
    const size_t c = (size_t)plan->shape.channels[3];
    const struct vj_cuda_net_join_job j = {tokens,
                                           attended,
                                           last,
                                           flags,
                                           (size_t)plan->conv[3].side,
                                           c,
                                           (size_t)plan->conv[3].out,
                                           plan->rows * (plan->positions / 4) * c,
                                           is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_join_step, &j);
}

cudaError_t vj_cuda_net_statistics(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                   const void *last, void *features)
{
    const size_t c = (size_t)plan->shape.channels[3];
    const struct vj_cuda_net_statistics_job j = {last, features,       plan->positions / 4,
                                                 c,    plan->rows * c, is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_statistics_step, &j);
}

cudaError_t vj_cuda_net_times(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const void *features, const void *jnd, size_t first, size_t patches,
                              void *times, int *flags)
{
    const struct vj_cuda_net_times_job j = {
        features,     jnd,     times,          flags,
        first,        patches, plan->features, plan->rows * plan->features,
        is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_times_step, &j);
}

cudaError_t vj_cuda_net_keep(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *features, const int *flags, size_t count, void *kept)
{
    const struct vj_cuda_net_keep_job j = {
        features, kept, flags, plan->features, count * plan->features, is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_keep_step, &j);
}

cudaError_t vj_cuda_net_constant(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                 const float *pair, const float *bias, const int *flags,
                                 size_t count, float *constant)
{
    const struct vj_cuda_net_constant_job j = {
        pair, bias, flags, constant, plan->rows, plan->slices, count * 2 * VJ_NET_HIDDEN};
    (void)stream;
    EACH(j.count, vj_cuda_net_constant_step, &j);
}

cudaError_t vj_cuda_net_finish(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                               const float *pair, const float *product, const float *constant,
                               const struct vj_cuda_net_second *second, const int *flags,
                               size_t first, size_t patches, size_t count, float *quality,
                               float *weight)
{
    const struct vj_cuda_net_finish_job j = {pair,         product, constant, *second,
                                             flags,        quality, weight,   plan->rows,
                                             plan->slices, first,   patches};
    (void)stream;
    for (size_t row = 0; row < count; row++) {
        struct vj_cuda_net_finish_shared shared;
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_net_finish_sum(&j, &shared, row, (int)thread);
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_net_finish_write(&j, &shared, row, (int)thread);
    }
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_mean(cudaStream_t stream, const float *quality, const float *weight,
                             size_t n, size_t patches, float *score)
{
    const struct vj_cuda_net_mean_job j = {quality, weight, score, n, patches};
    (void)stream;
    EACH(n, vj_cuda_net_mean_step, &j);
}

cudaError_t vj_cuda_net_convert(enum vj_cuda_precision precision, cudaStream_t stream,
                                const float *from, void *to, size_t count, int *flags)
{
    const bool half = precision == VJ_CUDA_FP16;
    (void)stream;
    for (size_t i = 0; i < count; i++) {
        vj_cuda_net_set(to, i, from[i], half);
        vj_cuda_net_guard(vj_cuda_net_get(to, i, half), flags, 0, half);
    }
    return cudaGetLastError();
}

cudaError_t vj_cuda_net_widen(enum vj_cuda_precision precision, cudaStream_t stream,
                              const void *from, float *to, size_t count)
{
    (void)stream;
    for (size_t i = 0; i < count; i++)
        to[i] = vj_cuda_net_get(from, i, precision == VJ_CUDA_FP16);
    return cudaGetLastError();
}
