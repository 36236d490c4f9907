/* SPDX-License-Identifier: MIT */
/*
 * What training asks of oneDNN: a convolution with both of its derivatives, whose weights change at
 * every step, and matrix products. Works with the 2.x and 3.x generations of the API, like
 * host/onednn.h, whose layouts it shares.
 *
 * A convolution is prepared once and shared by threads; loading weights is one thread's work while
 * no call runs. Everything below runs on as many OpenMP threads as omp_get_max_threads() said when
 * the operation was prepared.
 */
#ifndef VJ_HOST_ONEDNN_TRAIN_H
#define VJ_HOST_ONEDNN_TRAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/onednn.h"

struct vj_dnn_conv_train;      /* forward, backward data, backward weights */
struct vj_dnn_conv_train_call; /* one thread's handle on it */

/*
 * conv: shape, as for vj_dnn_conv_prepare(); channel blocks VJ_DNN_ANY are chosen by the forward
 * pass and kept by the others. backward_data: whether the derivative by the source is ever wanted
 * dnn must outlive *c. Errors: -ENOMEM, -EIO.
 */
int vj_dnn_conv_train_prepare(struct vj_dnn_conv_train **c, struct vj_dnn *dnn,
                              const struct vj_dnn_conv *conv, bool backward_data,
                              struct vj_error *err);
void vj_dnn_conv_train_free(struct vj_dnn_conv_train *c);

size_t vj_dnn_conv_train_src_block(const struct vj_dnn_conv_train *c);
size_t vj_dnn_conv_train_dst_block(const struct vj_dnn_conv_train *c);

/* Floats of one map of a patch, padding of the channels to a multiple of the block included. */
size_t vj_dnn_conv_train_src_floats(const struct vj_dnn_conv_train *c);
size_t vj_dnn_conv_train_dst_floats(const struct vj_dnn_conv_train *c);

/* Floats of a kernel's derivative in the layout that vj_dnn_backward_weights() writes. */
size_t vj_dnn_conv_train_kernel_floats(const struct vj_dnn_conv_train *c);
/* Bytes of scratch memory each call needs, on a 64-byte boundary. */
size_t vj_dnn_conv_train_scratch_bytes(const struct vj_dnn_conv_train *c);

/* Takes new weights. kernel: [kernel][kernel][in][out] (HWIO), bias: [out]; both copied. */
int vj_dnn_conv_train_load(struct vj_dnn_conv_train *c, const float *kernel, const float *bias,
                           struct vj_error *err);

/* Rewrites a kernel's derivative as HWIO. from: vj_dnn_conv_train_kernel_floats(); to: HWIO */
int vj_dnn_conv_train_unpack(const struct vj_dnn_conv_train *c, const float *from, float *to,
                             struct vj_error *err);

/* scratch stays the caller's and must outlive the call, as must c. One thread at a time per call.
 */
int vj_dnn_conv_train_bind(struct vj_dnn_conv_train_call **call, const struct vj_dnn_conv_train *c,
                           void *scratch, struct vj_error *err);
void vj_dnn_conv_train_call_free(struct vj_dnn_conv_train_call *call);

/* dst = relu(conv(src) + bias), relu where the shape says so. */
int vj_dnn_forward(struct vj_dnn_conv_train_call *call, const float *src, float *dst,
                   struct vj_error *err);
/* diff_dst is the derivative in front of the relu, here and below. diff_src: overwritten */
int vj_dnn_backward_data(struct vj_dnn_conv_train_call *call, const float *diff_dst,
                         float *diff_src, struct vj_error *err);
/* kernel: own layout, bias: [out] padded to a multiple of 16; both overwritten, sums over the batch
 */
int vj_dnn_backward_weights(struct vj_dnn_conv_train_call *call, const float *src,
                            const float *diff_dst, float *kernel, float *bias,
                            struct vj_error *err);

/* "jit:avx512_core" etc. of the three passes, joined; "ref" in it is the slow generic path. */
void vj_dnn_conv_train_describe(const struct vj_dnn_conv_train *c, char *text, size_t size);

/*
 * C = op(A) op(B) + beta C, matrices row by row, lda etc. numbers per stored row. op(A) is
 * rows x depth, op(B) depth x columns; *_transposed: the matrix is stored the other way round.
 */
int vj_dnn_gemm(bool a_transposed, bool b_transposed, size_t rows, size_t columns, size_t depth,
                const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                size_t ldc, struct vj_error *err);

#endif
