/* SPDX-License-Identifier: MIT */
#include "cuda/net_ops.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cuda/check.h"
#include "cuda/net_kernels.h"

static const float one = 1.0f, zero = 0.0f;

static cudnnDataType_t dnn_type(enum vj_cuda_precision precision)
{
    return precision == VJ_CUDA_FP16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

/* FMA_MATH is what keeps float convolutions off TF32, which DEFAULT_MATH would allow. */
static cudnnMathType_t dnn_math(enum vj_cuda_precision precision)
{
    return precision == VJ_CUDA_FP32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;
}

static cudnnConvolutionFwdAlgo_t dnn_algorithm(const struct vj_cuda_net_form *form)
{
    return form->precomputed ? CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM
                             : CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
}

/* ---- convolution ---- */

int vj_cuda_net_conv_prepare(struct vj_cuda_net_conv_op *op, const struct vj_cuda_net_conv *conv,
                             size_t rows, enum vj_cuda_precision precision, struct vj_error *err)
{
    const cudnnDataType_t type = dnn_type(precision);
    const int n = (int)rows, side = conv->side;
    memset(op, 0, sizeof(*op));
    op->name = conv->name;
    op->precision = precision;
    op->pixels = rows * (size_t)side * (size_t)side;
    op->channels = (size_t)conv->out;
    op->copies =
        (op->pixels * (size_t)(conv->in + conv->out) + 9 * (size_t)conv->in * (size_t)conv->out) *
            (precision == VJ_CUDA_FP16 ? 2 : 4) +
        (1 << 20);
    int r = VJ_CUDNN(cudnnCreateTensorDescriptor(&op->x), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreateTensorDescriptor(&op->y), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreateTensorDescriptor(&op->bias), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreateFilterDescriptor(&op->kernel), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreateConvolutionDescriptor(&op->conv), err);
    if (!r)
        r = VJ_CUDNN(cudnnCreateActivationDescriptor(&op->relu), err);
    if (!r)
        r = VJ_CUDNN(
            cudnnSetTensor4dDescriptor(op->x, CUDNN_TENSOR_NHWC, type, n, conv->in, side, side),
            err);
    if (!r)
        r = VJ_CUDNN(
            cudnnSetTensor4dDescriptor(op->y, CUDNN_TENSOR_NHWC, type, n, conv->out, side, side),
            err);
    if (!r)
        r = VJ_CUDNN(
            cudnnSetTensor4dDescriptor(op->bias, CUDNN_TENSOR_NHWC, type, 1, conv->out, 1, 1), err);
    if (!r)
        r = VJ_CUDNN(cudnnSetFilter4dDescriptor(op->kernel, type, CUDNN_TENSOR_NHWC, conv->out,
                                                conv->in, 3, 3),
                     err);
    if (!r)
        r = VJ_CUDNN(cudnnSetConvolution2dDescriptor(op->conv, 1, 1, 1, 1, 1, 1,
                                                     CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                     err);
    if (!r)
        r = VJ_CUDNN(cudnnSetConvolutionMathType(op->conv, dnn_math(precision)), err);
    if (!r)
        r = VJ_CUDNN(
            cudnnSetActivationDescriptor(op->relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0.0),
            err);
    return r;
}

/* The destroyers' statuses say nothing that anyone could act on. */
void vj_cuda_net_conv_free(struct vj_cuda_net_conv_op *op)
{
    if (op->x)
        cudnnDestroyTensorDescriptor(op->x);
    if (op->y)
        cudnnDestroyTensorDescriptor(op->y);
    if (op->bias)
        cudnnDestroyTensorDescriptor(op->bias);
    if (op->kernel)
        cudnnDestroyFilterDescriptor(op->kernel);
    if (op->conv)
        cudnnDestroyConvolutionDescriptor(op->conv);
    if (op->relu)
        cudnnDestroyActivationDescriptor(op->relu);
    memset(op, 0, sizeof(*op));
}

static int run_fused(const struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                     const struct vj_cuda_net_conv_memory *m, struct vj_error *err)
{
    /* z is not read, its factor being zero, but must be described like y. */
    return VJ_CUDNN(cudnnConvolutionBiasActivationForward(
                        handle, &one, op->x, m->x, op->kernel, m->kernel, op->conv,
                        dnn_algorithm(op->form), m->workspace, op->workspace, &zero, op->y, m->y,
                        op->bias, m->bias, op->relu, op->y, m->y),
                    err);
}

static int run_apart(const struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                     cudaStream_t stream, const struct vj_cuda_net_conv_memory *m,
                     struct vj_error *err)
{
    int r = VJ_CUDNN(cudnnConvolutionForward(handle, &one, op->x, m->x, op->kernel, m->kernel,
                                             op->conv, dnn_algorithm(op->form), m->workspace,
                                             op->workspace, &zero, op->y, m->y),
                     err);
    if (!r)
        r = VJ_CUDA(
            vj_cuda_net_bias_relu(op->precision, stream, m->y, m->bias, op->pixels, op->channels),
            err);
    return r;
}

int vj_cuda_net_conv_run(const struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                         cudaStream_t stream, const struct vj_cuda_net_conv_memory *m,
                         struct vj_error *err)
{
    return op->form->fused ? run_fused(op, handle, m, err) : run_apart(op, handle, stream, m, err);
}

/* Runs op->form once, with a workspace of `least` bytes or more; stream 0. */
static int try_once(struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                    const struct vj_cuda_net_conv_memory *m, size_t least, struct vj_error *err)
{
    struct vj_cuda_net_conv_memory with = *m;
    op->workspace = 0;
    int r =
        VJ_CUDNN(cudnnGetConvolutionForwardWorkspaceSize(handle, op->x, op->kernel, op->conv, op->y,
                                                         dnn_algorithm(op->form), &op->workspace),
                 err);
    if (r)
        return r;
    with.workspace = NULL;
    op->workspace = op->workspace > least ? op->workspace : least;
    if (op->workspace > 0)
        r = VJ_CUDA(cudaMalloc(&with.workspace, op->workspace), err);
    if (!r)
        r = vj_cuda_net_conv_run(op, handle, 0, &with, err);
    if (!r)
        r = VJ_CUDA(cudaDeviceSynchronize(), err);
    cudaFree(with.workspace);
    return r;
}

static int try_form(struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                    const struct vj_cuda_net_conv_memory *m, struct vj_error *err)
{
    struct vj_error again = {0, ""};
    int r = try_once(op, handle, m, 0, err);
    if (r == 0 || r == -ENOMEM || !op->form->fused)
        return r;
    r = try_once(op, handle, m, op->copies, &again);
    if (r == -ENOMEM) /* otherwise the first refusal says more */
        *err = again;
    return r;
}

int vj_cuda_net_conv_choose(struct vj_cuda_net_conv_op *op, cudnnHandle_t handle,
                            const struct vj_cuda_net_conv_memory *m, struct vj_error *err)
{
    struct vj_error reason = {0, ""};
    for (int i = 0; i < VJ_CUDA_NET_FORMS; i++) {
        struct vj_error why = {0, ""};
        op->form = &vj_cuda_net_forms[i];
        if (try_form(op, handle, m, &why) == 0)
            return 0;
        if (i == 0)
            snprintf(op->why, sizeof(op->why), "%.*s", (int)sizeof(op->why) - 1, why.text);
        if (i == 0 || why.code == -ENOMEM)
            reason = why;
        if (why.code == -ENOMEM) /* another form's bits must not depend on what memory is free */
            break;
    }
    op->form = NULL;
    if (reason.code == -ENOMEM)
        return vj_fail(err, -ENOMEM, "%s: no memory for cuDNN's work: %s; use fewer patches",
                       op->name, reason.text);
    return vj_fail(
        err, -ENOTSUP,
        "%s: cuDNN runs it in none of %d ways in %s on this device; the first of them: %s",
        op->name, VJ_CUDA_NET_FORMS, vj_cuda_precision_name(op->precision), reason.text);
}

int vj_cuda_net_conv_describe(const struct vj_cuda_net_conv_op *op, char *text, size_t size)
{
    const bool apart = !op->form->fused;
    return snprintf(text, size, "%s %s %s workspace %zu%s%s\n", op->name, op->form->name,
                    apart ? "apart" : "fused", op->workspace, apart ? ", refused before: " : "",
                    apart ? op->why : "");
}

/* ---- matrix product ---- */

static cudaDataType_t element_type(enum vj_cuda_precision precision)
{
    return precision == VJ_CUDA_FP16 ? CUDA_R_16F : CUDA_R_32F;
}

static cublasComputeType_t compute_type(enum vj_cuda_precision precision)
{
    return precision == VJ_CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

static int make_layout(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                       const struct vj_cuda_net_columns *c, size_t batch, struct vj_error *err)
{
    const int32_t count = (int32_t)batch;
    const int64_t stride = (int64_t)c->stride;
    int r =
        VJ_CUBLAS(cublasLtMatrixLayoutCreate(layout, type, c->rows, c->cols, (int64_t)c->ld), err);
    if (r || batch == 1)
        return r;
    r = VJ_CUBLAS(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                   &count, sizeof(count)),
                  err);
    if (!r)
        r = VJ_CUBLAS(cublasLtMatrixLayoutSetAttribute(*layout,
                                                       CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                       &stride, sizeof(stride)),
                      err);
    return r;
}

static int set_desc(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t what,
                    const void *value, size_t size, struct vj_error *err)
{
    return VJ_CUBLAS(cublasLtMatmulDescSetAttribute(desc, what, value, size), err);
}

static int make_desc(struct vj_cuda_net_matmul_op *op, const struct vj_cuda_net_column_matmul *c,
                     enum vj_cuda_precision precision, const void *bias, struct vj_error *err)
{
    const cublasOperation_t op_a = c->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t op_b = c->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t bias_type = element_type(precision);
    int r =
        VJ_CUBLAS(cublasLtMatmulDescCreate(&op->desc, compute_type(precision), CUDA_R_32F), err);
    if (!r)
        r = set_desc(op->desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof(op_a), err);
    if (!r)
        r = set_desc(op->desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof(op_b), err);
    if (r || !bias)
        return r;
    r = set_desc(op->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue), err);
    if (!r)
        r = set_desc(op->desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof(bias_type),
                     err);
    if (!r)
        r = set_desc(op->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias), err);
    return r;
}

static int set_preference(cublasLtMatmulPreference_t preference,
                          cublasLtMatmulPreferenceAttributes_t what, const void *value, size_t size,
                          struct vj_error *err)
{
    return VJ_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, what, value, size), err);
}

static int set_alignment(cublasLtMatmulPreference_t preference,
                         cublasLtMatmulPreferenceAttributes_t what,
                         const struct vj_cuda_net_columns *c, size_t element, struct vj_error *err)
{
    const uint32_t alignment =
        (uint32_t)vj_cuda_net_row_alignment(c->ld * element, c->stride * element);
    return set_preference(preference, what, &alignment, sizeof(alignment), err);
}

/* Asks cuBLASLt for its best algorithm among those that do not split sums between blocks. */
static int choose_algorithm(struct vj_cuda_net_matmul_op *op, cublasLtHandle_t lt,
                            const struct vj_cuda_net_column_matmul *c, size_t element,
                            size_t element_d, struct vj_error *err)
{
    const size_t workspace = VJ_CUDA_NET_MATMUL_WORKSPACE;
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    int r = VJ_CUBLAS(cublasLtMatmulPreferenceCreate(&preference), err);
    if (!r)
        r = set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                           sizeof(workspace), err);
    if (!r)
        r = set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction,
                           sizeof(reduction), err);
    if (!r)
        r = set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &c->a, element,
                          err);
    if (!r)
        r = set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &c->b, element,
                          err);
    if (!r)
        r = set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &c->d, element_d,
                          err);
    if (!r)
        r = set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &c->d, element_d,
                          err);
    if (!r) {
        cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
            lt, op->desc, op->a, op->b, op->d, op->d, preference, 1, &found, &count);
        if (status == CUBLAS_STATUS_SUCCESS && count > 0) /* what is listed may not run */
            status = found.state;
        if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && !count))
            r = vj_fail(err, -ENOTSUP,
                        "%s: cuBLASLt has no algorithm for %zux%zux%zu on this device", op->name,
                        c->n, c->m, c->k);
        else
            r = vj_cublas_status(status, "cublasLtMatmulAlgoGetHeuristic(", err);
    }
    if (!r) {
        op->algo = found.algo;
        op->workspace = found.workspaceSize;
    }
    if (preference)
        cublasLtMatmulPreferenceDestroy(preference);
    return r;
}

int vj_cuda_net_matmul_prepare(struct vj_cuda_net_matmul_op *op, cublasLtHandle_t lt,
                               const struct vj_cuda_net_matmul *matmul,
                               enum vj_cuda_precision precision, const void *bias,
                               struct vj_error *err)
{
    struct vj_cuda_net_column_matmul c;
    const cudaDataType_t type = element_type(precision);
    const cudaDataType_t type_d = matmul->single_out ? CUDA_R_32F : type;
    memset(op, 0, sizeof(*op));
    op->name = matmul->name;
    op->accumulate = matmul->accumulate;
    vj_cuda_net_matmul_by_columns(matmul, &c);
    int r = make_desc(op, &c, precision, bias, err);
    if (!r)
        r = make_layout(&op->a, type, &c.a, matmul->batch, err);
    if (!r)
        r = make_layout(&op->b, type, &c.b, matmul->batch, err);
    if (!r)
        r = make_layout(&op->d, type_d, &c.d, matmul->batch, err);
    if (!r)
        r = choose_algorithm(op, lt, &c, type == CUDA_R_16F ? 2 : 4, type_d == CUDA_R_16F ? 2 : 4,
                             err);
    return r;
}

void vj_cuda_net_matmul_free(struct vj_cuda_net_matmul_op *op)
{
    if (op->desc)
        cublasLtMatmulDescDestroy(op->desc);
    if (op->a)
        cublasLtMatrixLayoutDestroy(op->a);
    if (op->b)
        cublasLtMatrixLayoutDestroy(op->b);
    if (op->d)
        cublasLtMatrixLayoutDestroy(op->d);
    memset(op, 0, sizeof(*op));
}

int vj_cuda_net_matmul_run(const struct vj_cuda_net_matmul_op *op, cublasLtHandle_t lt,
                           cudaStream_t stream, const void *a, const void *b, void *d,
                           void *workspace, struct vj_error *err)
{
    /* By columns: the library's A is our B. */
    return VJ_CUBLAS(cublasLtMatmul(lt, op->desc, &one, b, op->a, a, op->b,
                                    op->accumulate ? &one : &zero, d, op->d, d, op->d, &op->algo,
                                    workspace, op->workspace, stream),
                     err);
}

static int attribute(const cublasLtMatmulAlgo_t *algo, cublasLtMatmulAlgoConfigAttributes_t which)
{
    int32_t value = -1;
    size_t written = 0;
    if (cublasLtMatmulAlgoConfigGetAttribute(algo, which, &value, sizeof(value), &written) !=
        CUBLAS_STATUS_SUCCESS)
        return -1;
    return value;
}

int vj_cuda_net_matmul_describe(const struct vj_cuda_net_matmul_op *op, char *text, size_t size)
{
    return snprintf(text, size,
                    "%s algorithm %d tile %d stages %d split-k %d reduction %d workspace %zu\n",
                    op->name, attribute(&op->algo, CUBLASLT_ALGO_CONFIG_ID),
                    attribute(&op->algo, CUBLASLT_ALGO_CONFIG_TILE_ID),
                    attribute(&op->algo, CUBLASLT_ALGO_CONFIG_STAGES_ID),
                    attribute(&op->algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
                    attribute(&op->algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME), op->workspace);
}
