/* SPDX-License-Identifier: MIT */
/*
 * The networks on a CUDA device, all variants of host/net.h: convolutions are cuDNN's, in fp32
 * mostly products between own transforms (cuda/net_conv.h), matrix products cuBLASLt's, the rest
 * own kernels. Same foldings (spec network.md, 1-6), same layers.
 *
 * Two objects, so that slots can run side by side:
 *   struct vj_cuda_net       weights on the device and one pinned algorithm per layer; constant
 *   struct vj_cuda_net_work  buffers, library handles and the reference sides of one stream's
 *                            pictures
 *
 * Every function that takes a stream only enqueues: nothing in it allocates, synchronises or copies
 * to or from the host, so that calls can be captured into a CUDA graph. So does a work itself with
 * calls that come again (cuda/net_graph.h), unless the caller does: the second call with the same
 * arguments makes the graph, which allocates. Pointers d_* are device memory.
 *
 * Batch shape. Candidates' patches always pass through the layers in batches of exactly `rows`, the
 * last one padded, those of reference sides in batches of `side_rows`; algorithms are chosen once
 * for each shape, and none splits a sum between blocks. Repeating a call repeats its bits.
 *
 * Precision. fp32: every product in single precision, nothing is rounded to tensor-core formats.
 * tf32: operands of convolutions and matrix products are rounded to 10 bits of mantissa. fp16: so
 * are maps, features and weights, in half precision, with sums, attention, affinity, softmax and
 * second layers in single. Nothing is clamped: a patch with a value beyond half's range (65,504)
 * gets NaN for quality and weight, its picture NaN for a score, and the caller reports that the
 * weights need tf32 or fp32.
 */
#ifndef VJ_CUDA_NET_H
#define VJ_CUDA_NET_H

#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_plan.h"
#include "host/error.h"
#include "host/weights.h"

struct vj_cuda_net;
struct vj_cuda_net_work;

/*
 * Prepares the network on the current device: folds and uploads the weights (`w` may be freed
 * afterwards), picks the algorithm of every layer and tries out those of cuDNN.
 * rows: patches per batch, 1..VJ_CUDA_NET_MAX_ROWS. Memory of a work grows by 2.3 MB a row, 1.4 MB
 * in fp16 (released, default shape; pw-jnd 0.2 MB, in tf32 0.3); 128 or 256 fill a large card, of
 * smaller patches more do: vj_cuda_net_rows(). A multiple of the patches per picture wastes
 * nothing.
 * side_rows: the same of reference sides, 1..rows; a side has no more patches than one picture,
 * which in batches of `rows` would be mostly padding.
 * Errors: -EINVAL (weights do not form a network; rows; a weight beyond half's range), -ENOMEM,
 * -ENOTSUP (no listed algorithm runs a layer here; the text names layer and library status), -EIO.
 */
int vj_cuda_net_create(struct vj_cuda_net **net, const struct vj_weights *w, size_t rows,
                       size_t side_rows, enum vj_cuda_precision precision, struct vj_error *err);
void vj_cuda_net_destroy(struct vj_cuda_net *net);

/*
 * Buffers for one stream. net must outlive it. One call at a time, and calls on another stream only
 * after the work of the former is done.
 * references:  reference sides kept at the same time (draws of a slot's picture), >= 1
 * max_patches: patches of one reference, >= 1
 * Errors: -EINVAL, -EOVERFLOW, -ENOMEM (with both numbers where the GPU has too little free), -EIO.
 */
int vj_cuda_net_work_create(struct vj_cuda_net_work **work, const struct vj_cuda_net *net,
                            size_t references, size_t max_patches, struct vj_error *err);
void vj_cuda_net_work_destroy(struct vj_cuda_net_work *work);

/* Device memory of each object, bytes. */
size_t vj_cuda_net_bytes(const struct vj_cuda_net *net);
size_t vj_cuda_net_work_bytes(const struct vj_cuda_net_work *work);

/*
 * What a work of this net will take, known before it is made; SIZE_MAX when it does not fit size_t.
 */
size_t vj_cuda_net_work_bytes_needed(const struct vj_cuda_net *net, size_t references,
                                     size_t max_patches);

/*
 * Computes reference side `reference` (0..references-1) from `patches` (1..max_patches) patches.
 * d_r:   [patches][S][S][3] u8, S = patch_size, RGB
 * d_jnd: [patches][S][S] u8, seen by the network three times; not looked at by pw-jnd, may then be
 *        NULL
 */
int vj_cuda_net_reference(struct vj_cuda_net_work *work, cudaStream_t stream, size_t reference,
                          const uint8_t *d_r, const uint8_t *d_jnd, size_t patches,
                          struct vj_error *err);

/*
 * Scores n >= 1 distorted versions of the picture behind reference side `reference`.
 * d_patches: [n][patches][S][S][3] u8, patches at the positions of the reference's
 * d_score:   [n] logits, weighted means formed in double and rounded once
 * d_quality: [n][patches] q_p; d_weight: [n][patches] a_p before normalisation (>= 1e-6). Both are
 *            needed: the weighted mean is formed from them
 */
int vj_cuda_net_scores(struct vj_cuda_net_work *work, cudaStream_t stream, size_t reference,
                       const uint8_t *d_patches, size_t n, size_t patches, float *d_score,
                       float *d_quality, float *d_weight, struct vj_error *err);

/*
 * For the results file, one line each: libraries, precision, batch, then every layer with its
 * algorithm ("conv1 IMPLICIT_PRECOMP_GEMM fused workspace 0"), a convolution that is a product with
 * its way in a line before; the batch of reference sides and its layers where it has fewer rows.
 * Cut off at `size`, always ended.
 */
void vj_cuda_net_describe(const struct vj_cuda_net *net, char *text, size_t size);

/* "cuDNN 9.19.0, cuBLASLt 13.1.0": versions loaded, not those compiled against. */
void vj_cuda_net_libraries(char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
