/* SPDX-License-Identifier: MIT */
/*
 * Own kernels of the network: what lies between the convolutions and the matrix products. Every sum
 * has a fixed order that depends on neither the batch nor the place in it; there are no atomics on
 * floating-point numbers. Launchers enqueue and report; buffers and their layouts are those of enum
 * vj_cuda_net_buffer. `precision` tells the element type: half for fp16, float otherwise.
 */
#ifndef VJ_CUDA_NET_KERNELS_H
#define VJ_CUDA_NET_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_plan.h"

/*
 * u8 patches into the network's input, rows from `count` on zero.
 * patches: [count][S][S][channels], channels 1 or 3
 */
cudaError_t vj_cuda_net_input(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count, void *input);

/*
 * u8 patches, rows from `count` on zero, through the first block where it is one kernel: 2x2 maxima
 * of its map, and the map's sums and maxima for attention.
 * kernel: as vj_cuda_net_first_pack() has it, bias: float [VJ_CUDA_FIRST_CHANNELS]
 */
cudaError_t vj_cuda_net_first(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count,
                              const uint32_t *kernel, const float *bias, void *pooled, float *sums,
                              float *peaks, int *flags);

/*
 * A BLOCK convolution of `rows` patches with what lies around it.
 * map: [rows][side][side][in], scale: [rows][in], kernel as vj_cuda_net_conv_kernel() has it;
 * pooled: [rows][side / 2][side / 2][out]; sums, peaks: of parts, [rows][parts][out]
 */
cudaError_t vj_cuda_net_block(const struct vj_cuda_net_conv *conv, enum vj_cuda_precision precision,
                              cudaStream_t stream, size_t rows, const void *map, const float *scale,
                              const void *kernel, const void *bias, void *pooled, float *sums,
                              float *peaks, int *flags);

/* x = relu(x + bias) on [pixels][channels]: for convolutions that cuDNN does not fuse. */
cudaError_t vj_cuda_net_bias_relu(enum vj_cuda_precision precision, cudaStream_t stream, void *x,
                                  const void *bias, size_t pixels, size_t channels);

/*
 * Of a TILED convolution, for `patches` (1..conv->group) patches.
 * map: [patches][side][side][in or out]; inputs: [36][group's tiles][in], products the same of out;
 * scale: [patches][in] or NULL; pooled: [patches][side / 2][side / 2][out]; sums, peaks: of tiles,
 * [patches][tiles][out], or NULL
 */
cudaError_t vj_cuda_net_tiles_in(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                 const float *map, const float *scale, size_t patches,
                                 float *inputs);
cudaError_t vj_cuda_net_tiles_out(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                  const float *products, const float *bias, size_t patches,
                                  float *map);
cudaError_t vj_cuda_net_tiles_pool(const struct vj_cuda_net_conv *conv, cudaStream_t stream,
                                   const float *products, const float *bias, size_t patches,
                                   float *pooled, float *sums, float *peaks);

/* 2x2 maxima of a map, and sums and maxima of its parts for attention. */
cudaError_t vj_cuda_net_pool(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                             const void *map, void *pooled, float *sums, float *peaks, int *flags);

/* 2x2 maxima of the map of a block without attention (block: from 0). */
cudaError_t vj_cuda_net_halve(const struct vj_cuda_net_plan *plan, int block, cudaStream_t stream,
                              const void *map, void *pooled, int *flags);

/* fp16: flags rows of a convolution's output that left half's range; otherwise nothing. */
cudaError_t vj_cuda_net_check(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              const void *map, int *flags);

/* scale = sigmoid(mlp(mean) + mlp(max)) from the parts. */
cudaError_t vj_cuda_net_attend(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                               const struct vj_cuda_net_attention *attention, const float *sums,
                               const float *peaks, float *scale);

/* pooled *= scale, channel by channel. */
cudaError_t vj_cuda_net_scale(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              void *pooled, const float *scale);

/* Softmax of the rows of [R][N][N]; chances may be scores itself unless fp16. */
cudaError_t vj_cuda_net_softmax(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                const float *scores, void *chances, int *flags);

/* last = 2x2 maxima of tokens + attended, channel padding left behind. */
cudaError_t vj_cuda_net_join(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *tokens, const void *attended, void *last, int *flags);

/*
 * From projections to the last pooled map where that is one kernel (plan->non_local): last = 2x2
 * maxima of tokens + softmax(theta phi) value, phi read as [C][N].
 * tokens: [R][N][C], N = C = VJ_CUDA_NON_LOCAL_N; projected: [R][N][3][C], theta, phi, value
 */
cudaError_t vj_cuda_net_non_local(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                  const void *tokens, const void *projected, void *last,
                                  int *flags);

/* Variant figure: features = mean, then sqrt(variance + 1e-6), of each channel of `last`. */
cudaError_t vj_cuda_net_statistics(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                   const void *last, void *features);

/* times = f_d * f_j; row r belongs to reference patch (first + r) % patches. */
cudaError_t vj_cuda_net_times(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const void *features, const void *jnd, size_t first, size_t patches,
                              void *times, int *flags);

/* kept = features of rows 0..count-1; NaN where a row is flagged. */
cudaError_t vj_cuda_net_keep(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *features, const int *flags, size_t count, void *kept);

/* constant [count][2 * 512] = sum of the slices of `pair` + bias; NaN where a row is flagged. */
cudaError_t vj_cuda_net_constant(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                 const float *pair, const float *bias, const int *flags,
                                 size_t count, float *constant);

/*
 * Second layers: quality and weight of rows 0..count-1 (output arrays begin at the first row). Row
 * r belongs to reference patch (first + r) % patches. product: NULL where no pixel-JND map is seen
 */
cudaError_t vj_cuda_net_finish(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                               const float *pair, const float *product, const float *constant,
                               const struct vj_cuda_net_second *second, const int *flags,
                               size_t first, size_t patches, size_t count, float *quality,
                               float *weight);

/* Weighted means of n pictures of `patches` patches each, in double, patch after patch. */
cudaError_t vj_cuda_net_mean(cudaStream_t stream, const float *quality, const float *weight,
                             size_t n, size_t patches, float *score);

/* count floats into elements of the precision, on the device; flags[0] on overflow. */
cudaError_t vj_cuda_net_convert(enum vj_cuda_precision precision, cudaStream_t stream,
                                const float *from, void *to, size_t count, int *flags);

/* The reverse, for tests. */
cudaError_t vj_cuda_net_widen(enum vj_cuda_precision precision, cudaStream_t stream,
                              const void *from, float *to, size_t count);

#ifdef __cplusplus
}
#endif

#endif
