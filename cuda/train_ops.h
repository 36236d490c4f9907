/* SPDX-License-Identifier: MIT */
/*
 * cuDNN's way back through a 3x3 convolution. The algorithm of each gradient is chosen once, among
 * those that always form their sums in the same order, by running it.
 */
#ifndef VJ_CUDA_TRAIN_OPS_H
#define VJ_CUDA_TRAIN_OPS_H

#include <stddef.h>

#include <cudnn.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_ops.h"
#include "host/error.h"

/* Borrows the forward convolution's descriptors. */
struct vj_cuda_train_conv_op {
    const struct vj_cuda_net_conv_op *forward;
    cudnnConvolutionBwdDataAlgo_t data;
    cudnnConvolutionBwdFilterAlgo_t filter;
    size_t data_workspace, filter_workspace; /* bytes */
};

/* Gradient at the input: x_gradient from y_gradient and the kernel. */
struct vj_cuda_train_data_memory {
    const float *kernel, *y_gradient;
    float *x_gradient;
};

/* Gradient of the kernel from x and y_gradient. */
struct vj_cuda_train_filter_memory {
    const float *x, *y_gradient;
    float *kernel_gradient;
};

/*
 * Take the first algorithm that runs on `m`: ALGO_1, else what the library lists as deterministic.
 * Memory for the workspace is taken and given back here. Wait for the device. -ENOTSUP when none
 * runs, -ENOMEM where one lacks memory: no other is tried then.
 */
int vj_cuda_train_data_choose(struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                              const struct vj_cuda_train_data_memory *m, struct vj_error *err);
int vj_cuda_train_filter_choose(struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                                const struct vj_cuda_train_filter_memory *m, struct vj_error *err);

/* On the handle's stream. workspace: of the op's size at least. */
int vj_cuda_train_data_run(const struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                           const struct vj_cuda_train_data_memory *m, void *workspace,
                           struct vj_error *err);
int vj_cuda_train_filter_run(const struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                             const struct vj_cuda_train_filter_memory *m, void *workspace,
                             struct vj_error *err);

/* "conv2 data ALGO_1 workspace 0" and "conv2 filter ALGO_1 workspace 4096" as lines. */
int vj_cuda_train_data_describe(const struct vj_cuda_train_conv_op *op, char *text, size_t size);
int vj_cuda_train_filter_describe(const struct vj_cuda_train_conv_op *op, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
