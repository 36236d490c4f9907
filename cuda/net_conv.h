/* SPDX-License-Identifier: MIT */
/* A convolution in the way that its plan has chosen: by cuDNN, as products of cuBLASLt's, or by a
 * kernel of ours. */
#ifndef VJ_CUDA_NET_CONV_H
#define VJ_CUDA_NET_CONV_H

#include "cuda/net_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vj_cuda_net_layer {
    struct vj_cuda_net_conv conv;
    size_t rows;
    enum vj_cuda_precision precision;
    struct vj_cuda_net_conv_op direct;    /* DIRECT */
    struct vj_cuda_net_matmul_op product; /* TILED, DENSE */
    size_t workspace;                     /* bytes */
};

/* The libraries that a layer needs. */
struct vj_cuda_net_handles {
    cudnnHandle_t dnn;
    cublasLtHandle_t lt;
};

/*
 * Prepares the layer for `rows` patches, algorithm included. m: of DIRECT ones alone, as for
 * vj_cuda_net_conv_choose(), which waits for the device. Released by vj_cuda_net_layer_free() in
 * any case. Errors: those of vj_cuda_net_conv_choose() and vj_cuda_net_matmul_prepare().
 */
int vj_cuda_net_layer_prepare(struct vj_cuda_net_layer *layer, const struct vj_cuda_net_conv *conv,
                              size_t rows, enum vj_cuda_precision precision,
                              const struct vj_cuda_net_handles *handles,
                              const struct vj_cuda_net_conv_memory *m, struct vj_error *err);
void vj_cuda_net_layer_free(struct vj_cuda_net_layer *layer);

/* Device memory for what a convolution does besides, ignored unless its plan says so. */
struct vj_cuda_net_around {
    const float *scale;  /* scaled: [rows][in]; NULL: 1 */
    float *sums, *peaks; /* pooled: [rows][tiles or parts][out]; NULL without attention */
    int *flags;          /* BLOCK: [rows], of those that leave half's range */
};

/*
 * y = relu(conv(x * scale) + bias), or 2x2 maxima of it, on `stream`, which is also handles->dnn's.
 */
int vj_cuda_net_layer_run(const struct vj_cuda_net_layer *layer,
                          const struct vj_cuda_net_handles *handles, cudaStream_t stream,
                          const struct vj_cuda_net_conv_memory *m,
                          const struct vj_cuda_net_around *around, struct vj_error *err);

/* As vj_cuda_net_conv_describe(), or two lines: "conv2 by Winograd's 4x4 tiles, 64 patches at a
 * time, workspace 226492416" or "conv5_1 as one product", and vj_cuda_net_matmul_describe()'s; or
 * "conv2 and its pooling in one kernel". */
int vj_cuda_net_layer_describe(const struct vj_cuda_net_layer *layer, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
