/* SPDX-License-Identifier: MIT */
/*
 * The few float32 operations that the network asks of oneDNN, behind one interface for the 2.x
 * and 3.x generations of its C API. Only onednn.c and onednn_train.c include oneDNN's headers.
 *
 * An operation is prepared once (layout chosen by oneDNN, constant weights reordered into it),
 * never changes afterwards and is shared by threads. A call binds an operation to one thread's
 * buffers. An operation uses at most as many OpenMP threads as omp_get_max_threads() said when it
 * was prepared; whoever runs a call must allow it no more.
 */
#ifndef VJ_HOST_ONEDNN_H
#define VJ_HOST_ONEDNN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"

/*
 * Layout of a map of [batch][channels][height][width], given by its channel block b: element (c, y,
 * x) lies at ((c / b * height + y) * width + x) * b + c % b; channels are padded to a multiple of
 * b. 1 is NCHW, the number of channels is NHWC, 8 and 16 are the vector layouts nChw8c and nChw16c.
 */
enum {
    VJ_DNN_ANY = 0,   /* asked for: oneDNN chooses */
    VJ_DNN_OTHER = 0, /* answered: a layout that is none of these */
};

struct vj_dnn;      /* an engine */
struct vj_dnn_op;   /* a prepared operation */
struct vj_dnn_call; /* an operation bound to buffers */

/* A convolution of stride 1. */
struct vj_dnn_conv {
    const char *name; /* for error texts; borrowed by the operation, so a constant */
    size_t batch, height, width;
    size_t in, out; /* channels */
    size_t kernel;  /* odd side of the kernel: 1, 3 */
    bool relu;      /* max(0, x) behind the bias */
    bool valid;     /* no zeros around: height and width shrink by kernel - 1; else they are kept */
    size_t src_block, dst_block;
};

/*
 * `batch` products C = A B of A [rows][depth] and B [depth][columns], side by side: in memory A is
 * [rows][batch][depth] and C is [rows][batch][columns], while B is [batch][depth][columns].
 */
struct vj_dnn_matmul {
    const char *name;
    size_t batch;
    size_t rows, depth, columns;
    bool b_transposed; /* B is stored as [columns][depth] */
};

int vj_dnn_create(struct vj_dnn **dnn, struct vj_error *err);
void vj_dnn_free(struct vj_dnn *dnn);

/* "oneDNN 2.6.3 (OpenMP, AVX2)" */
void vj_dnn_describe(char *text, size_t size);

/*
 * kernel: [kernel][kernel][in][out] (HWIO), bias: [out] or NULL; both copied.
 * All three: dnn must outlive the operation. Errors: -ENOMEM, -EIO with the operation's name and
 * oneDNN's status.
 */
int vj_dnn_conv_prepare(struct vj_dnn_op **op, struct vj_dnn *dnn, const struct vj_dnn_conv *conv,
                        const float *kernel, const float *bias, struct vj_error *err);

int vj_dnn_matmul_prepare(struct vj_dnn_op **op, struct vj_dnn *dnn,
                          const struct vj_dnn_matmul *matmul, struct vj_error *err);

/* Softmax of each row of a [rows][columns] matrix. */
int vj_dnn_softmax_prepare(struct vj_dnn_op **op, struct vj_dnn *dnn, const char *name, size_t rows,
                           size_t columns, struct vj_error *err);

void vj_dnn_op_free(struct vj_dnn_op *op);

/* Channel blocks of a convolution's source and destination, as chosen. */
size_t vj_dnn_op_src_block(const struct vj_dnn_op *op);
size_t vj_dnn_op_dst_block(const struct vj_dnn_op *op);
/* Bytes of the constant weights held, and of the scratch memory each call needs. */
size_t vj_dnn_op_weight_bytes(const struct vj_dnn_op *op);
size_t vj_dnn_op_scratch_bytes(const struct vj_dnn_op *op);
/* Name of oneDNN's implementation, e.g. "jit:avx2"; one with "ref" in it is the slow generic path.
 */
const char *vj_dnn_op_implementation(const struct vj_dnn_op *op);

/*
 * Binds buffers, which stay the caller's and must outlive the call; op must, too.
 * b:       second factor of a matrix product, otherwise NULL
 * scratch: vj_dnn_op_scratch_bytes() on a 64-byte boundary, free for other use between runs
 */
int vj_dnn_bind(struct vj_dnn_call **call, const struct vj_dnn_op *op, float *src, float *b,
                float *dst, void *scratch, struct vj_error *err);
void vj_dnn_call_free(struct vj_dnn_call *call);

/* Runs to completion; one thread at a time per call. */
int vj_dnn_run(struct vj_dnn_call *call, struct vj_error *err);

#endif
