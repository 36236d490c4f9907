/* SPDX-License-Identifier: MIT */
/*
 * What network and training ask of cuDNN, on the CPU and in its turn on the stream. Descriptors are
 * taken at their word.
 *
 * VPJND_EMULATE_FORMS=n in the environment: cuDNN refuses the first n forms of a convolution.
 * VPJND_EMULATE_NAN: relu makes NaN 0, as most of cuDNN's engines may whatever they are asked for.
 * VPJND_EMULATE_COPIES: with bias and relu it wants room for copies, and does not say so.
 * VPJND_EMULATE_BACK=n: on the way back it refuses the first n algorithms that repeat their bits;
 * "varying": the first one does not repeat them, it says. What does not repeat them runs.
 */
#include "tests/cuda/emulate_numbers.h"

#include <cudnn.h>

#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulate_runtime.h"

enum { MOST_CHANNELS = 1024 };

struct cudnnContext {
    cudaStream_t stream;
};

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

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "the emulation\nwould not");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    *handle = calloc(1, sizeof(**handle));
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

#define DESCRIPTOR(name, type)                                                                     \
    cudnnStatus_t cudnnCreate##name##Descriptor(type *d)                                           \
    {                                                                                              \
        if (vj_emulate_turn_to_fail())                                                             \
            return CUDNN_STATUS_INTERNAL_ERROR;                                                    \
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
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    *d = (struct cudnnTensorStruct){format, type, (size_t)n, (size_t)c, (size_t)h, (size_t)w};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    *d = (struct cudnnFilterStruct){format, type, (size_t)k, (size_t)c, (size_t)h, (size_t)w};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w,
                                              int u, int v, int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    if (pad_h != pad_w || u != v || dilation_h != dilation_w || compute != CUDNN_DATA_FLOAT)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *d = (struct cudnnConvolutionStruct){pad_h, u, dilation_h, mode, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    d->math = math;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d,
                                           cudnnActivationMode_t mode, cudnnNanPropagation_t nan,
                                           double coefficient)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
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
           conv->mode == CUDNN_CROSS_CORRELATION && w->k <= MOST_CHANNELS &&
           (math == CUDNN_FMA_MATH || math == CUDNN_TENSOR_OP_MATH);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle,
                                                      const cudnnTensorDescriptor_t x,
                                                      const cudnnFilterDescriptor_t w,
                                                      const cudnnConvolutionDescriptor_t conv,
                                                      const cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algo, size_t *bytes)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    (void)handle;
    *bytes = algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ? 12345 : 0;
    return fit(x, w, conv, y) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

/* One output pixel into sum[k]; by_out is [3][3][c][k]. */
UNCHECKED static void convolve_pixel(const struct cudnnTensorStruct *x, size_t k, const float *in,
                                     const float *by_out, size_t n, size_t y, size_t column,
                                     float *sum)
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

struct convolution {
    struct cudnnTensorStruct x;
    struct cudnnFilterStruct w;
    const void *from, *kernel, *bias; /* no bias: NULL */
    bool relu, keep_nan;
    void *to, *workspace;
    size_t workspace_bytes;
};

static void convolve(const void *arguments)
{
    const struct convolution *a = arguments;
    const struct cudnnTensorStruct *x = &a->x;
    const struct cudnnFilterStruct *w = &a->w;
    const bool half = x->type == CUDNN_DATA_HALF;
    if (a->workspace_bytes)
        memset(a->workspace, 0xff, a->workspace_bytes);
    float *in = emulate_widen(a->from, x->n * x->h * x->w * x->c, half);
    float *krsc = emulate_widen(a->kernel, w->k * 9 * w->c, half);
    float *by_out = malloc(w->k * 9 * w->c * sizeof(float));
    for (size_t o = 0; o < w->k; o++)
        for (size_t i = 0; i < 9 * w->c; i++)
            by_out[i * w->k + o] = krsc[o * 9 * w->c + i];
#pragma omp parallel for if (x->n * x->h * x->w * x->c * w->k > EMULATE_WORTH_THREADS)
    for (size_t p = 0; p < x->n * x->h * x->w; p++) {
        float sum[MOST_CHANNELS];
        memset(sum, 0, w->k * sizeof(float));
        convolve_pixel(x, w->k, in, by_out, p / (x->h * x->w), p / x->w % x->h, p % x->w, sum);
        for (size_t o = 0; o < w->k; o++) {
            float v = a->bias ? sum[o] + vj_cuda_net_get(a->bias, o, half) : sum[o];
            if (a->relu && isnan(v) && !a->keep_nan)
                v = 0;
            vj_cuda_net_set(a->to, p * w->k + o, a->relu ? vj_cuda_net_relu(v) : v, half);
        }
    }
    free(in);
    free(krsc);
    free(by_out);
}

/* y has the pixels of x, and all have one type: see fit(). */
static void check_memory(const struct convolution *a)
{
    const size_t value = a->x.type == CUDNN_DATA_HALF ? 2 : 4, pixels = a->x.n * a->x.h * a->x.w;
    vj_emulate_need_gpu(a->from, pixels * a->x.c * value, "cuDNN's convolution, x");
    vj_emulate_need_gpu(a->kernel, 9 * a->w.k * a->w.c * value, "cuDNN's convolution, w");
    vj_emulate_need_gpu(a->to, pixels * a->w.k * value, "cuDNN's convolution, y");
    if (a->bias)
        vj_emulate_need_gpu(a->bias, a->w.k * value, "cuDNN's convolution, bias");
    if (a->workspace_bytes)
        vj_emulate_need_gpu(a->workspace, a->workspace_bytes, "cuDNN's convolution, workspace");
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                                      const cudnnTensorDescriptor_t x, const void *from,
                                      const cudnnFilterDescriptor_t w, const void *kernel,
                                      const cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algo, void *workspace,
                                      size_t workspace_bytes, const void *beta,
                                      const cudnnTensorDescriptor_t y, void *to)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    if (!fit(x, w, conv, y) || refused(algo, false) || *(const float *)alpha != 1.0f ||
        *(const float *)beta != 0.0f)
        return CUDNN_STATUS_NOT_SUPPORTED;
    const struct convolution a = {.x = *x,
                                  .w = *w,
                                  .from = from,
                                  .kernel = kernel,
                                  .to = to,
                                  .workspace = workspace,
                                  .workspace_bytes = workspace_bytes};
    check_memory(&a);
    PUSH(handle->stream, convolve, a);
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
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    const size_t copies = (x->type == CUDNN_DATA_HALF ? 2 : 4) *
                          (x->n * x->h * x->w * (x->c + y->c) + 9 * w->k * w->c);
    if (getenv("VPJND_EMULATE_COPIES") && workspace_bytes < copies)
        return CUDNN_STATUS_NOT_SUPPORTED;
    if (!fit(x, w, conv, y) || refused(algo, true) || *(const float *)alpha1 != 1.0f ||
        *(const float *)alpha2 != 0.0f || memcmp(z, y, sizeof(*z)) != 0 || !added || b->c != y->c ||
        b->n != 1 || b->h != 1 || b->w != 1 || b->type != y->type ||
        activation->mode != CUDNN_ACTIVATION_RELU)
        return CUDNN_STATUS_NOT_SUPPORTED;
    const struct convolution a = {.x = *x,
                                  .w = *w,
                                  .from = from,
                                  .kernel = kernel,
                                  .bias = bias,
                                  .relu = true,
                                  .keep_nan = !getenv("VPJND_EMULATE_NAN"),
                                  .to = to,
                                  .workspace = workspace,
                                  .workspace_bytes = workspace_bytes};
    check_memory(&a);
    PUSH(handle->stream, convolve, a);
    return CUDNN_STATUS_SUCCESS;
}

/* ---- the way back ---- */

static bool back_refused(int algo)
{
    const char *refuse = getenv("VPJND_EMULATE_BACK");
    const int n = refuse ? atoi(refuse) : 0;
    if (algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_0)
        return false;
    if (algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)
        return n >= 1;
    return algo != CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED || n >= 2;
}
_Static_assert((int)CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 == (int)CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0 &&
                   (int)CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 ==
                       (int)CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 &&
                   (int)CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED ==
                       (int)CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
               "both lists have the same numbers");

static bool back_fits(const struct cudnnTensorStruct *x, const struct cudnnFilterStruct *w,
                      const struct cudnnConvolutionStruct *conv, const struct cudnnTensorStruct *y)
{
    return fit(x, w, conv, y) && x->type == CUDNN_DATA_FLOAT && conv->math == CUDNN_FMA_MATH;
}

/* The most for the gradient at the input, or for the kernel's: either may be what a trainer's
 * workspace must have room for. */
static size_t back_workspace(int algo, bool of_kernel)
{
    return (algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1) == of_kernel ? 23456 : 65432;
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t x,
    cudnnConvolutionBwdDataAlgo_t algo, size_t *bytes)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    (void)handle;
    *bytes = back_workspace((int)algo, false);
    return back_fits(x, w, conv, y) && !back_refused((int)algo) ? CUDNN_STATUS_SUCCESS
                                                                : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t conv, const cudnnFilterDescriptor_t w,
    cudnnConvolutionBwdFilterAlgo_t algo, size_t *bytes)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    (void)handle;
    *bytes = back_workspace((int)algo, true);
    return back_fits(x, w, conv, y) && !back_refused((int)algo) ? CUDNN_STATUS_SUCCESS
                                                                : CUDNN_STATUS_NOT_SUPPORTED;
}

static cudnnDeterminism_t order_of_algorithm_1(void)
{
    const char *back = getenv("VPJND_EMULATE_BACK");
    return back && strcmp(back, "varying") == 0 ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
}

/* The fastest first, which adds in any order; then ALGO_1; one that is refused; one that runs; one
 * that cannot run, it says. */
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t x, int wanted,
    int *returned, cudnnConvolutionBwdDataAlgoPerf_t *results)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    (void)handle;
    if (!back_fits(x, w, conv, y) || wanted < 5)
        return CUDNN_STATUS_BAD_PARAM;
    memset(results, 0, 5 * sizeof(*results));
    results[0].algo = CUDNN_CONVOLUTION_BWD_DATA_ALGO_0;
    results[0].determinism = CUDNN_NON_DETERMINISTIC;
    results[1].algo = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
    results[1].determinism = order_of_algorithm_1();
    results[2].algo = CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT;
    results[2].determinism = CUDNN_DETERMINISTIC;
    results[3].algo = CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED;
    results[3].determinism = CUDNN_DETERMINISTIC;
    results[4].algo = CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD;
    results[4].determinism = CUDNN_DETERMINISTIC;
    results[4].status = CUDNN_STATUS_NOT_SUPPORTED;
    *returned = 5;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t conv, const cudnnFilterDescriptor_t w, int wanted,
    int *returned, cudnnConvolutionBwdFilterAlgoPerf_t *results)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    (void)handle;
    if (!back_fits(x, w, conv, y) || wanted < 5)
        return CUDNN_STATUS_BAD_PARAM;
    memset(results, 0, 5 * sizeof(*results));
    results[0].algo = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0;
    results[0].determinism = CUDNN_NON_DETERMINISTIC;
    results[1].algo = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
    results[1].determinism = order_of_algorithm_1();
    results[2].algo = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT;
    results[2].determinism = CUDNN_DETERMINISTIC;
    results[3].algo = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED;
    results[3].determinism = CUDNN_DETERMINISTIC;
    results[4].algo = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD;
    results[4].determinism = CUDNN_DETERMINISTIC;
    results[4].status = CUDNN_STATUS_NOT_SUPPORTED;
    *returned = 5;
    return CUDNN_STATUS_SUCCESS;
}

struct back {
    struct cudnnTensorStruct x;
    struct cudnnFilterStruct w;
    const float *from, *gradient; /* from: the kernel, or what is at x */
    float *to;
    void *workspace;
    size_t workspace_bytes;
};

/* Pixel p of the gradient at x: every output pixel that a tap of the kernel brought p to. */
static void data_pixel(const struct cudnnTensorStruct *x, size_t k, const float *krsc,
                       const float *gradient, size_t p, float *to)
{
    const size_t n = p / (x->h * x->w), y = p / x->w % x->h, column = p % x->w;
    for (size_t c = 0; c < x->c; c++)
        to[p * x->c + c] = 0;
    for (size_t tap = 0; tap < 9; tap++) {
        const size_t oy = y + 1 - tap / 3, ox = column + 1 - tap % 3; /* wraps when outside */
        if (oy >= x->h || ox >= x->w)
            continue;
        for (size_t o = 0; o < k; o++)
            for (size_t c = 0; c < x->c; c++)
                to[p * x->c + c] += gradient[((n * x->h + oy) * x->w + ox) * k + o] *
                                    krsc[(o * 9 + tap) * x->c + c];
    }
}

static void back_data(const void *arguments)
{
    const struct back *a = arguments;
    memset(a->workspace, 0xff, a->workspace_bytes);
#pragma omp parallel for if (a->x.n * a->x.h * a->x.w * a->x.c * a->w.k > EMULATE_WORTH_THREADS)
    for (size_t p = 0; p < a->x.n * a->x.h * a->x.w; p++)
        data_pixel(&a->x, a->w.k, a->from, a->gradient, p, a->to);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha,
                                           const cudnnFilterDescriptor_t w, const void *kernel,
                                           const cudnnTensorDescriptor_t y, const void *gradient,
                                           const cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algo, void *workspace,
                                           size_t workspace_bytes, const void *beta,
                                           const cudnnTensorDescriptor_t x, void *to)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    if (!back_fits(x, w, conv, y) || back_refused((int)algo) || *(const float *)alpha != 1.0f ||
        *(const float *)beta != 0.0f || workspace_bytes < back_workspace((int)algo, false))
        return CUDNN_STATUS_NOT_SUPPORTED;
    const struct back a = {*x, *w, kernel, gradient, to, workspace, workspace_bytes};
    const size_t pixels = x->n * x->h * x->w;
    vj_emulate_need_gpu(kernel, 9 * w->k * w->c * sizeof(float), "cuDNN's way back, w");
    vj_emulate_need_gpu(gradient, pixels * w->k * sizeof(float), "cuDNN's way back, dy");
    vj_emulate_need_gpu(to, pixels * w->c * sizeof(float), "cuDNN's way back, dx");
    vj_emulate_need_gpu(workspace, workspace_bytes, "cuDNN's way back, workspace");
    PUSH(handle->stream, back_data, a);
    return CUDNN_STATUS_SUCCESS;
}

/* Output channel o of the kernel's gradient, [3][3][c]. */
static void filter_channel(const struct cudnnTensorStruct *x, size_t k, const float *from,
                           const float *gradient, size_t o, float *to)
{
    double *sum = calloc(9 * x->c, sizeof(*sum));
    for (size_t p = 0; p < x->n * x->h * x->w; p++) {
        const size_t n = p / (x->h * x->w), y = p / x->w % x->h, column = p % x->w;
        const double g = (double)gradient[p * k + o];
        for (size_t tap = 0; tap < 9 && g != 0; tap++) {
            const size_t sy = y + tap / 3 - 1, sx = column + tap % 3 - 1; /* wraps when outside */
            if (sy >= x->h || sx >= x->w)
                continue;
            const float *at = from + ((n * x->h + sy) * x->w + sx) * x->c;
            for (size_t c = 0; c < x->c; c++)
                sum[tap * x->c + c] += g * (double)at[c];
        }
    }
    for (size_t i = 0; i < 9 * x->c; i++)
        to[i] = (float)sum[i];
    free(sum);
}

static void back_filter(const void *arguments)
{
    const struct back *a = arguments;
    memset(a->workspace, 0xff, a->workspace_bytes);
#pragma omp parallel for if (a->x.n * a->x.h * a->x.w * a->x.c * a->w.k > EMULATE_WORTH_THREADS)
    for (size_t o = 0; o < a->w.k; o++)
        filter_channel(&a->x, a->w.k, a->from, a->gradient, o, a->to + o * 9 * a->w.c);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha,
                                             const cudnnTensorDescriptor_t x, const void *from,
                                             const cudnnTensorDescriptor_t y, const void *gradient,
                                             const cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algo, void *workspace,
                                             size_t workspace_bytes, const void *beta,
                                             const cudnnFilterDescriptor_t w, void *to)
{
    if (vj_emulate_turn_to_fail())
        return CUDNN_STATUS_INTERNAL_ERROR;
    if (!back_fits(x, w, conv, y) || back_refused((int)algo) || *(const float *)alpha != 1.0f ||
        *(const float *)beta != 0.0f || workspace_bytes < back_workspace((int)algo, true))
        return CUDNN_STATUS_NOT_SUPPORTED;
    const struct back a = {*x, *w, from, gradient, to, workspace, workspace_bytes};
    const size_t pixels = x->n * x->h * x->w;
    vj_emulate_need_gpu(from, pixels * w->c * sizeof(float), "cuDNN's way back, x");
    vj_emulate_need_gpu(gradient, pixels * w->k * sizeof(float), "cuDNN's way back, dy");
    vj_emulate_need_gpu(to, 9 * w->k * w->c * sizeof(float), "cuDNN's way back, dw");
    vj_emulate_need_gpu(workspace, workspace_bytes, "cuDNN's way back, workspace");
    PUSH(handle->stream, back_filter, a);
    return CUDNN_STATUS_SUCCESS;
}
