/* SPDX-License-Identifier: MIT */
/*
 * Pixel-JND maps on the device, and what is made of them. Models, variants and scalings are those
 * of host/jnd_map.h; the kernels evaluate the same expressions in the same order, so maps equal the
 * CPU's bit for bit.
 *
 * One object per slot; asynchronous, ordered by the caller and without allocation after create(),
 * as described in cuda/jpeg.h. Pointers named d_ are device memory.
 */
#ifndef VJ_CUDA_JND_H
#define VJ_CUDA_JND_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/geometry.h"
#include "host/error.h"
#include "host/jnd_map.h"

struct vj_cuda_jnd;

/* What there are kernels for. */
enum vj_cuda_jnd_kind {
    VJ_CUDA_JND_NONE,
    VJ_CUDA_JND_CHOU95, /* authors */
    VJ_CUDA_JND_CHOU95_PAPER,
    VJ_CUDA_JND_EPC17, /* authors */
    VJ_CUDA_JND_EPC17_PAPER,
    VJ_CUDA_JND_YANG05, /* authors */
    VJ_CUDA_JND_YANG05_PAPER,
    VJ_CUDA_JND_FEP13,
    VJ_CUDA_JND_LIU10, /* authors-pd: no device has kernels for exact cuts */
    VJ_CUDA_JND_LIU10_PAPER,
    VJ_CUDA_JND_KLT22, /* authors */
    VJ_CUDA_JND_KLT22_RAW,
};

/* Models are told by name, so `model` may come from another copy of the registry. */
enum vj_cuda_jnd_kind vj_cuda_jnd_kind(const struct vj_jnd_model *model, size_t variant);

/*
 * Whether there are kernels for a model and variant: 0, -ENOTSUP with an error that names it, or
 * -EINVAL when the model has no such variant.
 */
int vj_cuda_jnd_supported(const struct vj_jnd_model *model, size_t variant, struct vj_error *err);

/*
 * Device bytes that create() takes; 0 for invalid arguments.
 * max_width, max_height: largest picture; at most 2^31 - 1 pixels
 * levels:                most candidates per vj_cuda_jnd_measure(), 1..VJ_CUDA_LEVELS
 */
size_t vj_cuda_jnd_bytes(size_t max_width, size_t max_height, int levels);

/* Pinned host bytes that it takes besides. */
size_t vj_cuda_jnd_pinned_bytes(void);

/* *jnd: owned by the caller, vj_cuda_jnd_destroy(). Errors: -EINVAL, -ENOMEM, -EIO. */
int vj_cuda_jnd_create(struct vj_cuda_jnd **jnd, size_t max_width, size_t max_height, int levels,
                       struct vj_error *err);

/* NULL is harmless. Nothing of the object may still be running. */
void vj_cuda_jnd_destroy(struct vj_cuda_jnd *jnd);

/*
 * Luma as vj_jnd_luma(); grey is copied.
 * d_pixels: height x width x channels; d_luma: height x width
 */
int vj_cuda_luma(cudaStream_t stream, const uint8_t *d_pixels, size_t width, size_t height,
                 int channels, uint8_t *d_luma, struct vj_error *err);

/*
 * One map.
 * d_luma: height x width; d_map: height x width, grey levels
 * Errors: -EINVAL (size, too small a one for klt22 included), -ENOSPC (larger than created for),
 * -ENOTSUP, -EIO.
 */
int vj_cuda_jnd_compute(struct vj_cuda_jnd *jnd, cudaStream_t stream,
                        const struct vj_jnd_model *model, size_t variant, const uint8_t *d_luma,
                        size_t width, size_t height, float *d_map, struct vj_error *err);

/*
 * A map as 8-bit samples, as vj_jnd_to_u8().
 * d_out:        height x width
 * d_not_finite: set to 1 when a value of the map is not finite (d_out is then all 0), else to 0;
 *               the caller reports it (-EDOM) when it has waited for the stream
 */
int vj_cuda_jnd_to_u8(struct vj_cuda_jnd *jnd, cudaStream_t stream, const float *d_map,
                      size_t width, size_t height, enum vj_jnd_scale scale, uint8_t *d_out,
                      uint32_t *d_not_finite, struct vj_error *err);

/*
 * Candidates against a map, as vj_jnd_measure(). Outputs that are NULL are left out.
 * d_candidates: [count][height][width][channels]; d_reference_luma, d_map: height x width
 * d_share:      [count]
 * d_excess:     [count], grey levels squared
 * d_square:     [count], sums of squared differences of luma
 */
int vj_cuda_jnd_measure(struct vj_cuda_jnd *jnd, cudaStream_t stream, const uint8_t *d_candidates,
                        int count, size_t width, size_t height, int channels,
                        const uint8_t *d_reference_luma, const float *d_map, double *d_share,
                        double *d_excess, uint64_t *d_square, struct vj_error *err);

/* Noise energy of a map, as vj_jnd_noise_energy(). d_energy: one number */
int vj_cuda_jnd_noise_energy(struct vj_cuda_jnd *jnd, cudaStream_t stream, size_t width,
                             size_t height, const float *d_map, double *d_energy,
                             struct vj_error *err);

#ifdef __cplusplus
}
#endif

#endif
