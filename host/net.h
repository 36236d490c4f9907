/* SPDX-License-Identifier: MIT */
/*
 * VP-JNDnet on the CPU: scores of (reference, distorted, pixel-JND) patches, variants `released`
 * and `figure` (spec network.md), and PW-JND (Liu et al., IEEE TIP 2020), which sees no map:
 * variant `pw-jnd`. How they differ says host/net_form.h. Convolutions and matrix products are
 * oneDNN's, the rest is host/net_layers.h.
 *
 * Three objects, so that what is expensive happens once:
 *   struct vj_net            the weights, folded and in the layout the kernels want; constant
 *   struct vj_net_work       buffers and bound primitives for a number of threads
 *   struct vj_net_reference  what a picture's R and J patches contribute to all its candidates
 *
 * That the figure's GP_M and GP_S are the mean and then the standard deviation per channel is a
 * reading of ours, from the scope names GAP_mean and GAP_std of the released graph.
 *
 * Every output has the same bits whatever the thread count, the number of candidates or patches in
 * the call, and the place of a patch among them: a patch is always one single-threaded pass of
 * primitives of batch 1, and the dense layers always see VJ_NET_ROW_BLOCK rows, padded if need be.
 * Between processors, or versions of oneDNN, results agree only up to float rounding.
 */
#ifndef VJ_HOST_NET_H
#define VJ_HOST_NET_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/weights.h"

/* Rows of one dense-layer product; calls with a multiple of it waste nothing. */
#define VJ_NET_ROW_BLOCK 32

struct vj_net;
struct vj_net_work;
struct vj_net_reference;

/*
 * Prepares the network. The weights are read, folded (foldings 1-5 of the spec) and copied: `w` may
 * be freed afterwards. The result never changes and may be shared by any number of threads and
 * works. Errors: -EINVAL (weights do not form a network), -ENOMEM, -EIO (oneDNN, with its status).
 */
int vj_net_create(struct vj_net **net, const struct vj_weights *w, struct vj_error *err);
void vj_net_free(struct vj_net *net);

const struct vj_net_shape *vj_net_get_shape(const struct vj_net *net);
enum vj_positive_class vj_net_positive_class(const struct vj_net *net);

/*
 * Working memory for calls that use up to `threads` OpenMP threads (0: omp_get_max_threads()).
 * net must outlive it. One call at a time per work; several works may run side by side.
 */
int vj_net_work_create(struct vj_net_work **work, const struct vj_net *net, int threads,
                       struct vj_error *err);
void vj_net_work_free(struct vj_net_work *work);

/* Room for the reference side of up to `max_patches` patches (>= 1). net must outlive it. */
int vj_net_reference_create(struct vj_net_reference **ref, const struct vj_net *net,
                            size_t max_patches, struct vj_error *err);
void vj_net_reference_free(struct vj_net_reference *ref);

/*
 * Computes the reference side of `patches` patches (1..max_patches); replaces what was there.
 * r:   [patches][S][S][3] u8, S = patch_size, rows top to bottom, RGB
 * jnd: [patches][S][S] u8, pixel-JND map, the one channel that the network sees three times; not
 *      looked at by pw-jnd, may then be NULL
 */
int vj_net_reference_load(struct vj_net_reference *ref, struct vj_net_work *work, const uint8_t *r,
                          const uint8_t *jnd, size_t patches, struct vj_error *err);

/*
 * Scores n >= 1 distorted versions of the picture loaded into `ref` (constant, may be shared).
 * d:       [n][patches][S][S][3] u8, patches at the positions of the reference's
 * score:   [n] logits; sigmoid(score) > 0.5 means the weights' positive class
 * quality: [n][patches] q_p, or NULL
 * weight:  [n][patches] a_p before normalisation (>= 1e-6), or NULL
 */
int vj_net_scores(struct vj_net_work *work, const struct vj_net_reference *ref, const uint8_t *d,
                  size_t n, float *score, float *quality, float *weight, struct vj_error *err);

/* Bytes held by each object, oneDNN's own code and bookkeeping aside. */
size_t vj_net_bytes(const struct vj_net *net);
size_t vj_net_work_bytes(const struct vj_net_work *work);
size_t vj_net_reference_bytes(const struct vj_net_reference *ref);

/* "oneDNN 2.6.3 (OpenMP, AVX2)": library and instruction set in use, for the results file. */
void vj_net_libraries(char *text, size_t size);

/* "oneDNN 2.6.3 ...", then the extractor's layers, one line each: "conv2 winograd, gemm:jit". Cut
 * off at `size`, always ended. */
void vj_net_algorithms(const struct vj_net *net, char *text, size_t size);

#endif
