/* SPDX-License-Identifier: MIT */
/*
 * The two operations that libraries do: convolutions of cuDNN and matrix products of cuBLASLt. Both
 * are prepared once, algorithm included, and run without another decision.
 */
#ifndef VJ_CUDA_NET_OPS_H
#define VJ_CUDA_NET_OPS_H

#include <stddef.h>

#include <cublasLt.h>
#include <cudnn.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_plan.h"
#include "host/error.h"

/* A convolution of one shape; weights are given with each run. */
struct vj_cuda_net_conv_op {
    const char *name;
    enum vj_cuda_precision precision;
    size_t pixels, channels; /* of the output, all rows */
    cudnnTensorDescriptor_t x, y, bias;
    cudnnFilterDescriptor_t kernel;
    cudnnConvolutionDescriptor_t conv;
    cudnnActivationDescriptor_t relu;
    const struct vj_cuda_net_form *form; /* set by vj_cuda_net_conv_choose() */
    size_t workspace;                    /* bytes */
    size_t copies;                       /* bytes of all that a run reads and writes, and 1 MiB */
    char why[320];                       /* cuDNN's first refusal there, "" where none */
};

/* Device memory of one run. kernel: KRSC, bias: [out], all of the plan's element type. */
struct vj_cuda_net_conv_memory {
    const void *x, *kernel, *bias;
    void *y, *workspace;
};

/* Describes the convolution for `rows` patches. Released by vj_cuda_net_conv_free() in any case. */
int vj_cuda_net_conv_prepare(struct vj_cuda_net_conv_op *op, const struct vj_cuda_net_conv *conv,
                             size_t rows, enum vj_cuda_precision precision, struct vj_error *err);
void vj_cuda_net_conv_free(struct vj_cuda_net_conv_op *op);

/*
 * Takes the first of vj_cuda_net_forms that runs on `m`, m->workspace aside: memory for it is taken
 * and given back here, as much as cuDNN says that the algorithm needs. That number knows nothing of
 * bias and relu: a fused form that is refused with it is tried once more with room for copies of
 * input, kernel and output, which its other engines make. Waits for the device. -ENOTSUP when none
 * does, -ENOMEM where one lacks memory: no other is tried then, since bits must not depend on what
 * memory is free.
 */
int vj_cuda_net_conv_choose(struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                            const struct vj_cuda_net_conv_memory *m, struct vj_error *err);

/* y = relu(conv(x) + bias) on the handle's stream, which is also given: not all of it is cuDNN's.
 */
int vj_cuda_net_conv_run(const struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                         cudaStream_t stream, const struct vj_cuda_net_conv_memory *m,
                         struct vj_error *err);

/* A matrix product of one shape, with its bias if it has one. */
struct vj_cuda_net_matmul_op {
    const char *name;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d; /* by columns: a is the plan's B, b its A */
    cublasLtMatmulAlgo_t algo;
    bool accumulate;
    size_t workspace; /* bytes */
};

/*
 * bias: [n] of the plan's element type on the device, kept by reference; NULL without.
 * -ENOTSUP when cuBLASLt has no algorithm that leaves sums in one piece.
 */
int vj_cuda_net_matmul_prepare(struct vj_cuda_net_matmul_op *op, cublasLtHandle_t lt,
                               const struct vj_cuda_net_matmul *matmul,
                               enum vj_cuda_precision precision, const void *bias,
                               struct vj_error *err);
void vj_cuda_net_matmul_free(struct vj_cuda_net_matmul_op *op);

/* D = A B (+ bias), or D += A B, row-major as in the plan. */
int vj_cuda_net_matmul_run(const struct vj_cuda_net_matmul_op *op, cublasLtHandle_t lt,
                           cudaStream_t stream, const void *a, const void *b, void *d,
                           void *workspace, struct vj_error *err);

/* "conv1 IMPLICIT_PRECOMP_GEMM fused workspace 0", "affinity algorithm 67 tile 20 ..."; what is
 * computed apart says why: "... apart workspace 0, refused before: cuDNN: ..." */
int vj_cuda_net_conv_describe(const struct vj_cuda_net_conv_op *op, char *text, size_t size);
int vj_cuda_net_matmul_describe(const struct vj_cuda_net_matmul_op *op, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
