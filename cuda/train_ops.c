/* SPDX-License-Identifier: MIT */
#include "cuda/train_ops.h"

#include <errno.h>
#include <stdio.h>

#include "cuda/check.h"

static const float one = 1.0f, zero = 0.0f;

/* Most algorithms that there are to try. */
enum { CHOICES = 8 };

static const char *const data_names[CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT] = {
    "ALGO_0", "ALGO_1", "FFT", "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED"};
static const char *const filter_names[CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT] = {
    "ALGO_0", "ALGO_1", "FFT", "ALGO_3", "WINOGRAD", "WINOGRAD_NONFUSED", "FFT_TILING"};

/* ---- gradient at the input ---- */

int vj_cuda_train_data_run(const struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                           const struct vj_cuda_train_data_memory *m, void *workspace,
                           struct vj_error *err)
{
    const struct vj_cuda_net_conv_op *f = op->forward;
    return VJ_CUDNN(cudnnConvolutionBackwardData(handle, &one, f->kernel, m->kernel, f->y,
                                                 m->y_gradient, f->conv, op->data, workspace,
                                                 op->data_workspace, &zero, f->x, m->x_gradient),
                    err);
}

static int try_data(struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                    const struct vj_cuda_train_data_memory *m, struct vj_error *err)
{
    const struct vj_cuda_net_conv_op *f = op->forward;
    void *workspace = NULL;
    op->data_workspace = 0;
    int r = VJ_CUDNN(cudnnGetConvolutionBackwardDataWorkspaceSize(
                         handle, f->kernel, f->y, f->conv, f->x, op->data, &op->data_workspace),
                     err);
    if (!r && op->data_workspace > 0)
        r = VJ_CUDA(cudaMalloc(&workspace, op->data_workspace), err);
    if (!r)
        r = vj_cuda_train_data_run(op, handle, m, workspace, err);
    if (!r)
        r = VJ_CUDA(cudaDeviceSynchronize(), err);
    cudaFree(workspace);
    return r;
}

/* Algorithms to try, in order: ALGO_1, which is documented to repeat its bits, unless the library
 * says otherwise here; then those that it says it of. */
static int list_data(const struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                     cudnnConvolutionBwdDataAlgo_t list[CHOICES + 1])
{
    const struct vj_cuda_net_conv_op *f = op->forward;
    cudnnConvolutionBwdDataAlgoPerf_t found[CHOICES];
    int count = 0, listed = 1;
    list[0] = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
    if (cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, f->kernel, f->y, f->conv, f->x, CHOICES,
                                                    &count, found) != CUDNN_STATUS_SUCCESS) {
        vj_cuda_forget_error();
        return listed;
    }
    for (int i = 0; i < count; i++)
        if (found[i].algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 &&
            found[i].determinism != CUDNN_DETERMINISTIC)
            listed = 0;
    for (int i = 0; i < count; i++)
        if (found[i].status == CUDNN_STATUS_SUCCESS &&
            found[i].determinism == CUDNN_DETERMINISTIC &&
            found[i].algo != CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)
            list[listed++] = found[i].algo;
    return listed;
}

int vj_cuda_train_data_choose(struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                              const struct vj_cuda_train_data_memory *m, struct vj_error *err)
{
    cudnnConvolutionBwdDataAlgo_t list[CHOICES + 1];
    struct vj_error reason = {0, ""};
    const int listed = list_data(op, handle, list);
    for (int i = 0; i < listed; i++) {
        struct vj_error why = {0, ""};
        op->data = list[i];
        if (try_data(op, handle, m, &why) == 0)
            return 0;
        if (i == 0 || why.code == -ENOMEM)
            reason = why;
        if (why.code == -ENOMEM) /* other bits must not depend on what memory is free */
            break;
    }
    if (reason.code == -ENOMEM)
        return vj_fail(err, -ENOMEM,
                       "%s: no memory for cuDNN's work: %s; use fewer pairs or patches",
                       op->forward->name, reason.text);
    return vj_fail(err, -ENOTSUP,
                   "%s: cuDNN computes its gradient at the input in none of %d ways that repeat "
                   "their bits; the first of them: %s",
                   op->forward->name, listed, reason.text);
}

int vj_cuda_train_data_describe(const struct vj_cuda_train_conv_op *op, char *text, size_t size)
{
    return snprintf(text, size, "%s data %s workspace %zu\n", op->forward->name,
                    data_names[op->data], op->data_workspace);
}

/* ---- gradient of the kernel ---- */

int vj_cuda_train_filter_run(const struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                             const struct vj_cuda_train_filter_memory *m, void *workspace,
                             struct vj_error *err)
{
    const struct vj_cuda_net_conv_op *f = op->forward;
    return VJ_CUDNN(cudnnConvolutionBackwardFilter(
                        handle, &one, f->x, m->x, f->y, m->y_gradient, f->conv, op->filter,
                        workspace, op->filter_workspace, &zero, f->kernel, m->kernel_gradient),
                    err);
}

static int try_filter(struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                      const struct vj_cuda_train_filter_memory *m, struct vj_error *err)
{
    const struct vj_cuda_net_conv_op *f = op->forward;
    void *workspace = NULL;
    op->filter_workspace = 0;
    int r = VJ_CUDNN(cudnnGetConvolutionBackwardFilterWorkspaceSize(
                         handle, f->x, f->y, f->conv, f->kernel, op->filter, &op->filter_workspace),
                     err);
    if (!r && op->filter_workspace > 0)
        r = VJ_CUDA(cudaMalloc(&workspace, op->filter_workspace), err);
    if (!r)
        r = vj_cuda_train_filter_run(op, handle, m, workspace, err);
    if (!r)
        r = VJ_CUDA(cudaDeviceSynchronize(), err);
    cudaFree(workspace);
    return r;
}

static int list_filter(const struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                       cudnnConvolutionBwdFilterAlgo_t list[CHOICES + 1])
{
    const struct vj_cuda_net_conv_op *f = op->forward;
    cudnnConvolutionBwdFilterAlgoPerf_t found[CHOICES];
    int count = 0, listed = 1;
    list[0] = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
    if (cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, f->x, f->y, f->conv, f->kernel,
                                                      CHOICES, &count,
                                                      found) != CUDNN_STATUS_SUCCESS) {
        vj_cuda_forget_error();
        return listed;
    }
    for (int i = 0; i < count; i++)
        if (found[i].algo == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 &&
            found[i].determinism != CUDNN_DETERMINISTIC)
            listed = 0;
    for (int i = 0; i < count; i++)
        if (found[i].status == CUDNN_STATUS_SUCCESS &&
            found[i].determinism == CUDNN_DETERMINISTIC &&
            found[i].algo != CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1)
            list[listed++] = found[i].algo;
    return listed;
}

int vj_cuda_train_filter_choose(struct vj_cuda_train_conv_op *op, cudnnHandle_t handle,
                                const struct vj_cuda_train_filter_memory *m, struct vj_error *err)
{
    cudnnConvolutionBwdFilterAlgo_t list[CHOICES + 1];
    struct vj_error reason = {0, ""};
    const int listed = list_filter(op, handle, list);
    for (int i = 0; i < listed; i++) {
        struct vj_error why = {0, ""};
        op->filter = list[i];
        if (try_filter(op, handle, m, &why) == 0)
            return 0;
        if (i == 0 || why.code == -ENOMEM)
            reason = why;
        if (why.code == -ENOMEM) /* other bits must not depend on what memory is free */
            break;
    }
    if (reason.code == -ENOMEM)
        return vj_fail(err, -ENOMEM,
                       "%s: no memory for cuDNN's work: %s; use fewer pairs or patches",
                       op->forward->name, reason.text);
    return vj_fail(err, -ENOTSUP,
                   "%s: cuDNN computes its kernel's gradient in none of %d ways that repeat their "
                   "bits; the first of them: %s",
                   op->forward->name, listed, reason.text);
}

int vj_cuda_train_filter_describe(const struct vj_cuda_train_conv_op *op, char *text, size_t size)
{
    return snprintf(text, size, "%s filter %s workspace %zu\n", op->forward->name,
                    filter_names[op->filter], op->filter_workspace);
}
