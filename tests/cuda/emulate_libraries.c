/* SPDX-License-Identifier: MIT */
/*
 * What cuda/net*.cu ask of CUDA's run-time, cuDNN and cuBLASLt, on the CPU and at once: with this
 * in their place test_net_gpu.c runs without a GPU. Descriptors are taken at their word: a wrong
 * dimension, order, stride or pointer gives wrong numbers. Kernels are their bodies in loops.
 *
 * VPJND_EMULATE_FORMS=n in the environment: cuDNN refuses the first n forms of a convolution.
 */
#include "tests/cuda/emulate.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "cuda/net_body.h"
#include "cuda/net_kernels.h"

/* ---- run-time ---- */

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    *p = vj_alloc_aligned(bytes, 1);
    if (!*p)
        return cudaErrorMemoryAllocation;
    memset(*p, 0xff, bytes); /* NaN */
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    memset(p, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
    (void)stream;
    return cudaMemset(p, value, bytes);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    (void)kind;
    memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaSuccess ? "no error" : "an error of the emulation";
}

const char *cudaGetErrorName(cudaError_t status)
{
    return cudaGetErrorString(status);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = malloc(1);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    (void)stream;
    return cudaSuccess;
}

/* Nothing is recorded here; the test skips what needs it. */
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    (void)stream;
    (void)mode;
    return cudaErrorNotSupported;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    (void)stream;
    *graph = NULL;
    return cudaErrorNotSupported;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    (void)graph;
    (void)flags;
    *exec = NULL;
    return cudaErrorNotSupported;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    (void)exec;
    (void)stream;
    return cudaErrorNotSupported;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    (void)exec;
    return cudaErrorNotSupported;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    (void)graph;
    return cudaErrorNotSupported;
}

/* ---- numbers ---- */

/* Elements as floats; the caller frees. */
static float *widen(const void *from, size_t count, bool half)
{
    float *wide = malloc(count * sizeof(float));
#pragma omp parallel for
    for (size_t i = 0; i < count; i++)
        wide[i] = vj_cuda_net_get(from, i, half);
    return wide;
}

/* ---- cuDNN ---- */

struct cudnnTensorStruct {
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    size_t n, c, h, w;
};

struct cudnnFilterStruct {
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    size_t k, c, h, w;
};

struct cudnnConvolutionStruct {
    int pad, stride, dilation;
    cudnnConvolutionMode_t mode;
    cudnnMathType_t math;
};

struct cudnnActivationStruct {
    cudnnActivationMode_t mode;
};

size_t cudnnGetVersion(void)
{
    return 91900;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_NOT_SUPPORTED ? "not supported" : "an error of the emulation";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    *handle = malloc(1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    (void)handle;
    (void)stream;
    return CUDNN_STATUS_SUCCESS;
}

#define DESCRIPTOR(name, type)                                                                     \
    cudnnStatus_t cudnnCreate##name##Descriptor(type *d)                                           \
    {                                                                                              \
        *d = calloc(1, sizeof(**d));                                                               \
        return CUDNN_STATUS_SUCCESS;                                                               \
    }                                                                                              \
    cudnnStatus_t cudnnDestroy##name##Descriptor(type d)                                           \
    {                                                                                              \
        free(d);                                                                                   \
        return CUDNN_STATUS_SUCCESS;                                                               \
    }

DESCRIPTOR(Tensor, cudnnTensorDescriptor_t)
DESCRIPTOR(Filter, cudnnFilterDescriptor_t)
DESCRIPTOR(Convolution, cudnnConvolutionDescriptor_t)
DESCRIPTOR(Activation, cudnnActivationDescriptor_t)

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w)
{
    *d = (struct cudnnTensorStruct){format, type, (size_t)n, (size_t)c, (size_t)h, (size_t)w};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w)
{
    *d = (struct cudnnFilterStruct){format, type, (size_t)k, (size_t)c, (size_t)h, (size_t)w};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w,
                                              int u, int v, int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute)
{
    if (pad_h != pad_w || u != v || dilation_h != dilation_w || compute != CUDNN_DATA_FLOAT)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *d = (struct cudnnConvolutionStruct){pad_h, u, dilation_h, mode, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math)
{
    d->math = math;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d,
                                           cudnnActivationMode_t mode, cudnnNanPropagation_t nan,
                                           double coefficient)
{
    (void)nan;
    (void)coefficient;
    d->mode = mode;
    return CUDNN_STATUS_SUCCESS;
}

static bool refused(cudnnConvolutionFwdAlgo_t algo, bool fused)
{
    const char *forms = getenv("VPJND_EMULATE_FORMS");
    for (int i = 0; forms && i < atoi(forms) && i < VJ_CUDA_NET_FORMS; i++)
        if (vj_cuda_net_forms[i].precomputed ==
                (algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) &&
            vj_cuda_net_forms[i].fused == fused)
            return true;
    return false;
}

/* What both calls demand of their descriptors, here and in cuDNN. */
static bool fit(const struct cudnnTensorStruct *x, const struct cudnnFilterStruct *w,
                const struct cudnnConvolutionStruct *conv, const struct cudnnTensorStruct *y)
{
    const cudnnMathType_t math = conv->math;
    return x->format == CUDNN_TENSOR_NHWC && w->format == CUDNN_TENSOR_NHWC &&
           y->format == CUDNN_TENSOR_NHWC && x->type == w->type && x->type == y->type &&
           x->c == w->c && y->c == w->k && x->n == y->n && x->h == y->h && x->w == y->w &&
           w->h == 3 && w->w == 3 && conv->pad == 1 && conv->stride == 1 && conv->dilation == 1 &&
           conv->mode == CUDNN_CROSS_CORRELATION &&
           (math == CUDNN_FMA_MATH || math == CUDNN_TENSOR_OP_MATH);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle,
                                                      const cudnnTensorDescriptor_t x,
                                                      const cudnnFilterDescriptor_t w,
                                                      const cudnnConvolutionDescriptor_t conv,
                                                      const cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algo, size_t *bytes)
{
    (void)handle;
    *bytes = algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ? 12345 : 0;
    return fit(x, w, conv, y) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

/* One output pixel into sum[k]; by_out is [3][3][c][k]. */
static void convolve_pixel(const struct cudnnTensorStruct *x, size_t k, const float *in,
                           const float *by_out, size_t n, size_t y, size_t column, float *sum)
{
    for (size_t tap = 0; tap < 9; tap++) {
        const size_t sy = y + tap / 3 - 1, sx = column + tap % 3 - 1; /* wraps when outside */
        if (sy >= x->h || sx >= x->w)
            continue;
        const float *at = in + ((n * x->h + sy) * x->w + sx) * x->c;
        for (size_t c = 0; c < x->c; c++)
            for (size_t o = 0; o < k; o++)
                sum[o] += at[c] * by_out[(tap * x->c + c) * k + o];
    }
}

static void convolve(const struct cudnnTensorStruct *x, const struct cudnnFilterStruct *w,
                     const void *from, const void *kernel, const void *bias, bool relu, void *to)
{
    const bool half = x->type == CUDNN_DATA_HALF;
    float *in = widen(from, x->n * x->h * x->w * x->c, half);
    float *krsc = widen(kernel, w->k * 9 * w->c, half);
    float *by_out = malloc(w->k * 9 * w->c * sizeof(float));
    for (size_t o = 0; o < w->k; o++)
        for (size_t i = 0; i < 9 * w->c; i++)
            by_out[i * w->k + o] = krsc[o * 9 * w->c + i];
#pragma omp parallel for
    for (size_t p = 0; p < x->n * x->h * x->w; p++) {
        float sum[1024] = {0};
        convolve_pixel(x, w->k, in, by_out, p / (x->h * x->w), p / x->w % x->h, p % x->w, sum);
        for (size_t o = 0; o < w->k; o++) {
            const float v = bias ? sum[o] + vj_cuda_net_get(bias, o, half) : sum[o];
            vj_cuda_net_set(to, p * w->k + o, relu ? vj_cuda_net_relu(v) : v, half);
        }
    }
    free(in);
    free(krsc);
    free(by_out);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                                      const cudnnTensorDescriptor_t x, const void *from,
                                      const cudnnFilterDescriptor_t w, const void *kernel,
                                      const cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algo, void *workspace,
                                      size_t workspace_bytes, const void *beta,
                                      const cudnnTensorDescriptor_t y, void *to)
{
    (void)handle;
    if (!fit(x, w, conv, y) || refused(algo, false) || *(const float *)alpha != 1.0f ||
        *(const float *)beta != 0.0f)
        return CUDNN_STATUS_NOT_SUPPORTED;
    if (workspace_bytes)
        memset(workspace, 0xff, workspace_bytes);
    convolve(x, w, from, kernel, NULL, false, to);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void *alpha1, const cudnnTensorDescriptor_t x, const void *from,
    const cudnnFilterDescriptor_t w, const void *kernel, const cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionFwdAlgo_t algo, void *workspace, size_t workspace_bytes, const void *alpha2,
    const cudnnTensorDescriptor_t z, const void *added, const cudnnTensorDescriptor_t b,
    const void *bias, const cudnnActivationDescriptor_t activation, const cudnnTensorDescriptor_t y,
    void *to)
{
    (void)handle;
    if (!fit(x, w, conv, y) || refused(algo, true) || *(const float *)alpha1 != 1.0f ||
        *(const float *)alpha2 != 0.0f || memcmp(z, y, sizeof(*z)) != 0 || !added || b->c != y->c ||
        b->n != 1 || b->h != 1 || b->w != 1 || b->type != y->type ||
        activation->mode != CUDNN_ACTIVATION_RELU)
        return CUDNN_STATUS_NOT_SUPPORTED;
    if (workspace_bytes)
        memset(workspace, 0xff, workspace_bytes);
    convolve(x, w, from, kernel, bias, true, to);
    return CUDNN_STATUS_SUCCESS;
}

/* ---- cuBLASLt ---- */

struct layout {
    cudaDataType_t type;
    size_t rows, cols, ld, stride;
    size_t batch;
};

struct product {
    cublasComputeType_t compute;
    cublasOperation_t op_a;
    cublasLtEpilogue_t epilogue;
    cudaDataType_t bias_type;
    const void *bias;
};

struct preference {
    size_t workspace;
    uint32_t reduction;
    uint32_t alignment[4]; /* A, B, C, D */
};

size_t cublasLtGetVersion(void)
{
    return 130100;
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "an error of the emulation";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *lt)
{
    *lt = malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lt)
{
    free(lt);
    return CUBLAS_STATUS_SUCCESS;
}

/* cublasLt.h's own creators and destroyers of these are inline and call the ones below. */
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    struct layout *l = calloc(1, sizeof(*l));
    *l = (struct layout){type, rows, cols, (size_t)ld, 0, 1};
    *layout = (cublasLtMatrixLayout_t)l;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(const cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t which,
                                                const void *value, size_t size)
{
    struct layout *l = (struct layout *)layout;
    if (which == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && size == sizeof(int32_t))
        l->batch = (size_t) * (const int32_t *)value;
    else if (which == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && size == sizeof(int64_t))
        l->stride = (size_t) * (const int64_t *)value;
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    struct product *p = calloc(1, sizeof(*p));
    *p = (struct product){compute, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, CUDA_R_32F, NULL};
    *desc = (cublasLtMatmulDesc_t)p;
    return scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescDestroy(const cublasLtMatmulDesc_t desc)
{
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t size)
{
    struct product *p = (struct product *)desc;
    if (which == CUBLASLT_MATMUL_DESC_TRANSA && size == sizeof(p->op_a))
        memcpy(&p->op_a, value, size);
    else if (which == CUBLASLT_MATMUL_DESC_EPILOGUE && size == sizeof(p->epilogue))
        memcpy(&p->epilogue, value, size);
    else if (which == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE && size == sizeof(p->bias_type))
        memcpy(&p->bias_type, value, size);
    else if (which == CUBLASLT_MATMUL_DESC_BIAS_POINTER && size == sizeof(p->bias))
        memcpy(&p->bias, value, size);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    struct preference *p = calloc(1, sizeof(*p));
    p->reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
    *preference = (cublasLtMatmulPreference_t)p;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(const cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void *value, size_t size)
{
    struct preference *p = (struct preference *)preference;
    if (which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && size == sizeof(p->workspace))
        memcpy(&p->workspace, value, size);
    else if (which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK && size == sizeof(p->reduction))
        memcpy(&p->reduction, value, size);
    else if (which >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
             which <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES && size == sizeof(uint32_t))
        memcpy(&p->alignment[which - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, size);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

/* Shapes that belong together, batches of one size, types that cuBLASLt lists. */
static bool consistent(const struct product *p, const struct layout *a, const struct layout *b,
                       const struct layout *d)
{
    const bool transposed = p->op_a == CUBLAS_OP_T;
    const size_t m = transposed ? a->cols : a->rows, k = transposed ? a->rows : a->cols;
    const bool types =
        a->type == CUDA_R_16F ? p->compute == CUBLAS_COMPUTE_32F : d->type == CUDA_R_32F;
    return m == d->rows && k == b->rows && b->cols == d->cols && a->ld >= a->rows &&
           b->ld >= b->rows && d->ld >= d->rows && a->batch == d->batch && b->batch == d->batch &&
           a->type == b->type && types && (!p->bias || p->bias_type == d->type) &&
           (p->epilogue == CUBLASLT_EPILOGUE_BIAS) == (p->bias != NULL);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lt, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *count)
{
    const struct preference *p = (const struct preference *)preference;
    (void)lt;
    *count = 0;
    if (c != d || wanted != 1 || p->reduction != CUBLASLT_REDUCTION_SCHEME_NONE ||
        !consistent((const struct product *)desc, (const struct layout *)a,
                    (const struct layout *)b, (const struct layout *)d))
        return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < 4; i++)
        if (p->alignment[i] < 2 || p->alignment[i] > 256)
            return CUBLAS_STATUS_INVALID_VALUE;
    memset(&results[0], 0, sizeof(results[0]));
    results[0].workspaceSize = 54321;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t which,
                                                    void *value, size_t size, size_t *written)
{
    (void)algo;
    (void)which;
    memset(value, 0, size);
    *written = size;
    return CUBLAS_STATUS_SUCCESS;
}

/* Column `j` of a product: sum of columns of A, or of its rows when it is transposed. */
static void product_column(const struct layout *a, bool transposed, const float *in,
                           const float *column, size_t m, size_t k, float *sum)
{
    for (size_t l = 0; l < k && !transposed; l++)
        for (size_t i = 0; i < m; i++)
            sum[i] += in[l * a->ld + i] * column[l];
    for (size_t i = 0; i < m && transposed; i++)
        for (size_t l = 0; l < k; l++)
            sum[i] += in[i * a->ld + l] * column[l];
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lt, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    const struct product *p = (const struct product *)desc;
    const struct layout *la = (const struct layout *)a_layout;
    const struct layout *lb = (const struct layout *)b_layout;
    const struct layout *ld = (const struct layout *)d_layout;
    const bool half = la->type == CUDA_R_16F, half_d = ld->type == CUDA_R_16F;
    (void)lt;
    (void)algo;
    (void)stream;
    if (!consistent(p, la, lb, ld) || c_layout != d_layout || c != d ||
        *(const float *)alpha != 1.0f || *(const float *)beta != 0.0f)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memset(workspace, 0xff, workspace_bytes);
    float *in_a = widen(a, (la->batch - 1) * la->stride + (la->cols - 1) * la->ld + la->rows, half);
    float *in_b = widen(b, (lb->batch - 1) * lb->stride + (lb->cols - 1) * lb->ld + lb->rows, half);
#pragma omp parallel for
    for (size_t at = 0; at < ld->batch * ld->cols; at++) {
        const size_t batch = at / ld->cols, j = at % ld->cols;
        float *sum = calloc(ld->rows, sizeof(float));
        product_column(la, p->op_a == CUBLAS_OP_T, in_a + batch * la->stride,
                       in_b + batch * lb->stride + j * lb->ld, ld->rows, lb->rows, sum);
        for (size_t i = 0; i < ld->rows; i++) {
            const float bias = p->bias ? vj_cuda_net_get(p->bias, i, half_d) : 0.0f;
            vj_cuda_net_set(d, batch * ld->stride + j * ld->ld + i, sum[i] + bias, half_d);
        }
        free(sum);
    }
    free(in_a);
    free(in_b);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- kernels ---- */

/* A kernel of one step, a thread for each of `count` numbers. */
#define EACH(count, step, job)                                                                     \
    do {                                                                                           \
        for (size_t emu_i = 0; emu_i < (count); emu_i++)                                           \
            step((job), emu_i);                                                                    \
        return cudaSuccess;                                                                        \
    } while (0)

static bool is_half(const struct vj_cuda_net_plan *plan)
{
    return plan->precision == VJ_CUDA_FP16;
}

cudaError_t vj_cuda_net_input(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const uint8_t *patches, int channels, size_t count, void *input)
{
    const size_t patch = (size_t)plan->shape.patch_size * (size_t)plan->shape.patch_size;
    const struct vj_cuda_net_input_job j = {
        patches, input, count * patch, plan->rows * patch, channels, is_half(plan)};
    (void)stream;
    EACH(j.pixels, vj_cuda_net_input_step, &j);
}

cudaError_t vj_cuda_net_bias_relu(enum vj_cuda_precision precision, cudaStream_t stream, void *x,
                                  const void *bias, size_t pixels, size_t channels)
{
    const struct vj_cuda_net_bias_job j = {x, bias, pixels * channels, channels,
                                           precision == VJ_CUDA_FP16};
    (void)stream;
    EACH(j.count / 4, vj_cuda_net_bias_step, &j);
}

cudaError_t vj_cuda_net_pool(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                             const void *map, void *pooled, float *sums, float *peaks, int *flags)
{
    const struct vj_cuda_net_pool_job j = {plan->pool[layer], map, pooled, sums, peaks, flags,
                                           is_half(plan)};
    const struct vj_cuda_grid grid = {(unsigned)j.shape.blocks, (unsigned)plan->rows, 1};
    (void)stream;
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_net_pool_shared shared;
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_pool_gather(&j, &shared, at.x, at.y, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_pool_combine(&j, &shared, at.x, at.y, (int)thread);
    }
    return cudaSuccess;
}

cudaError_t vj_cuda_net_attend(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                               const struct vj_cuda_net_attention *attention, const float *sums,
                               const float *peaks, float *scale)
{
    const struct vj_cuda_net_attend_job j = {plan->pool[layer], *attention, sums, peaks, scale};
    (void)stream;
    for (size_t row = 0; row < plan->rows; row++) {
        struct vj_cuda_net_attend_shared shared;
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_mean(&j, &shared, row, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_hidden(&j, &shared, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_scale(&j, &shared, row, (int)thread);
    }
    return cudaSuccess;
}

cudaError_t vj_cuda_net_scale(const struct vj_cuda_net_plan *plan, int layer, cudaStream_t stream,
                              void *pooled, const float *scale)
{
    const size_t half = (size_t)plan->pool[layer].side / 2;
    const size_t channels = (size_t)plan->pool[layer].channels, patch = half * half * channels;
    const struct vj_cuda_net_scale_job j = {pooled, scale,    plan->rows * patch,
                                            patch,  channels, is_half(plan)};
    (void)stream;
    EACH(j.count / 4, vj_cuda_net_scale_step, &j);
}

cudaError_t vj_cuda_net_softmax(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                const float *scores, void *chances, int *flags)
{
    const struct vj_cuda_net_softmax_job j = {
        scores, chances, flags, plan->rows * plan->positions, plan->positions, is_half(plan)};
    (void)stream;
    for (size_t first = 0; first < j.rows; first += VJ_CUDA_NET_WARPS) {
        struct vj_cuda_net_softmax_shared shared;
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_softmax_top(&j, &shared, first + thread / VJ_CUDA_NET_LANES, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_softmax_sum(&j, &shared, first + thread / VJ_CUDA_NET_LANES, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_softmax_write(&j, &shared, first + thread / VJ_CUDA_NET_LANES, (int)thread);
    }
    return cudaSuccess;
}

cudaError_t vj_cuda_net_join(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *tokens, const void *attended, void *last, int *flags)
{
    const size_t c = (size_t)plan->shape.channels[3];
    const struct vj_cuda_net_join_job j = {tokens,
                                           attended,
                                           last,
                                           flags,
                                           (size_t)plan->conv[3].side,
                                           c,
                                           (size_t)plan->conv[3].out,
                                           plan->rows * (plan->positions / 4) * c,
                                           is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_join_step, &j);
}

cudaError_t vj_cuda_net_statistics(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                   const void *last, void *features)
{
    const size_t c = (size_t)plan->shape.channels[3];
    const struct vj_cuda_net_statistics_job j = {last, features,       plan->positions / 4,
                                                 c,    plan->rows * c, is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_statistics_step, &j);
}

cudaError_t vj_cuda_net_times(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                              const void *features, const void *jnd, size_t first, size_t patches,
                              void *times, int *flags)
{
    const struct vj_cuda_net_times_job j = {
        features,     jnd,     times,          flags,
        first,        patches, plan->features, plan->rows * plan->features,
        is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_times_step, &j);
}

cudaError_t vj_cuda_net_keep(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                             const void *features, const int *flags, size_t count, void *kept)
{
    const struct vj_cuda_net_keep_job j = {
        features, kept, flags, plan->features, count * plan->features, is_half(plan)};
    (void)stream;
    EACH(j.count, vj_cuda_net_keep_step, &j);
}

cudaError_t vj_cuda_net_constant(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                                 const float *pair, const float *bias, const int *flags,
                                 size_t count, float *constant)
{
    const struct vj_cuda_net_constant_job j = {
        pair, bias, flags, constant, plan->rows, plan->slices, count * 2 * VJ_NET_HIDDEN};
    (void)stream;
    EACH(j.count, vj_cuda_net_constant_step, &j);
}

cudaError_t vj_cuda_net_finish(const struct vj_cuda_net_plan *plan, cudaStream_t stream,
                               const float *pair, const float *product, const float *constant,
                               const struct vj_cuda_net_second *second, const int *flags,
                               size_t first, size_t patches, size_t count, float *quality,
                               float *weight)
{
    const struct vj_cuda_net_finish_job j = {pair,         product, constant, *second,
                                             flags,        quality, weight,   plan->rows,
                                             plan->slices, first,   patches};
    (void)stream;
    for (size_t row = 0; row < count; row++) {
        struct vj_cuda_net_finish_shared shared;
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_net_finish_sum(&j, &shared, row, (int)thread);
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_net_finish_write(&j, &shared, row, (int)thread);
    }
    return cudaSuccess;
}

cudaError_t vj_cuda_net_mean(cudaStream_t stream, const float *quality, const float *weight,
                             size_t n, size_t patches, float *score)
{
    const struct vj_cuda_net_mean_job j = {quality, weight, score, n, patches};
    (void)stream;
    EACH(n, vj_cuda_net_mean_step, &j);
}

cudaError_t vj_cuda_net_convert(enum vj_cuda_precision precision, cudaStream_t stream,
                                const float *from, void *to, size_t count, int *flags)
{
    const bool half = precision == VJ_CUDA_FP16;
    (void)stream;
    for (size_t i = 0; i < count; i++) {
        vj_cuda_net_set(to, i, from[i], half);
        vj_cuda_net_guard(vj_cuda_net_get(to, i, half), flags, 0, half);
    }
    return cudaSuccess;
}

cudaError_t vj_cuda_net_widen(enum vj_cuda_precision precision, cudaStream_t stream,
                              const void *from, float *to, size_t count)
{
    (void)stream;
    for (size_t i = 0; i < count; i++)
        to[i] = vj_cuda_net_get(from, i, precision == VJ_CUDA_FP16);
    return cudaSuccess;
}
