/* SPDX-License-Identifier: MIT */
/*
 * cuBLASLt on the CPU, in its turn on the stream. Descriptors are taken at their word: a wrong
 * dimension, order, stride or pointer gives wrong numbers.
 *
 * VPJND_EMULATE_STATE in the environment: an algorithm is listed and said beside it that it cannot
 * be used; "none": nothing is listed.
 */
#include "tests/cuda/emulate_numbers.h"

#include <cublasLt.h>

#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulate_runtime.h"

struct layout {
    cudaDataType_t type;
    size_t rows, cols, ld, stride;
    size_t batch;
};

struct product {
    cublasComputeType_t compute;
    cublasOperation_t op_a, op_b;
    cublasLtEpilogue_t epilogue;
    cudaDataType_t bias_type;
    const void *bias;
};

enum { WORKSPACE = 54321 };

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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
    struct product *p = calloc(1, sizeof(*p));
    *p = (struct product){compute,    CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT,
                          CUDA_R_32F, NULL};
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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
    struct product *p = (struct product *)desc;
    if (which == CUBLASLT_MATMUL_DESC_TRANSA && size == sizeof(p->op_a))
        memcpy(&p->op_a, value, size);
    else if (which == CUBLASLT_MATMUL_DESC_TRANSB && size == sizeof(p->op_b))
        memcpy(&p->op_b, value, size);
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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
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
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
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
    const bool turn_a = p->op_a == CUBLAS_OP_T, turn_b = p->op_b == CUBLAS_OP_T;
    const size_t m = turn_a ? a->cols : a->rows, k = turn_a ? a->rows : a->cols;
    const size_t k_b = turn_b ? b->cols : b->rows, n = turn_b ? b->rows : b->cols;
    const bool types =
        a->type == CUDA_R_16F ? p->compute == CUBLAS_COMPUTE_32F : d->type == CUDA_R_32F;
    return m == d->rows && k == k_b && n == d->cols && a->ld >= a->rows && b->ld >= b->rows &&
           d->ld >= d->rows && a->batch == d->batch && b->batch == d->batch && a->type == b->type &&
           types && (!p->bias || p->bias_type == d->type) &&
           (p->epilogue == CUBLASLT_EPILOGUE_BIAS) == (p->bias != NULL);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lt, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *count)
{
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
    const struct preference *p = (const struct preference *)preference;
    (void)lt;
    *count = 0;
    if (c != d || wanted != 1 || p->workspace < WORKSPACE ||
        p->reduction != CUBLASLT_REDUCTION_SCHEME_NONE ||
        !consistent((const struct product *)desc, (const struct layout *)a,
                    (const struct layout *)b, (const struct layout *)d))
        return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < 4; i++)
        if (p->alignment[i] < 2 || p->alignment[i] > 256)
            return CUBLAS_STATUS_INVALID_VALUE;
    const char *state = getenv("VPJND_EMULATE_STATE");
    if (state && strcmp(state, "none") == 0)
        return CUBLAS_STATUS_SUCCESS;
    memset(&results[0], 0, sizeof(results[0]));
    memcpy(&results[0].algo, p->alignment, sizeof(p->alignment));
    results[0].workspaceSize = WORKSPACE;
    results[0].state = state ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
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
UNCHECKED static void product_column(const struct layout *a, bool transposed, const float *in,
                                     const float *column, size_t m, size_t k, float *sum)
{
    for (size_t l = 0; l < k && !transposed; l++)
        for (size_t i = 0; i < m; i++)
            sum[i] += in[l * a->ld + i] * column[l];
    for (size_t i = 0; i < m && transposed; i++)
        for (size_t l = 0; l < k; l++)
            sum[i] += in[i * a->ld + l] * column[l];
}

struct multiplication {
    struct product p;
    struct layout a, b, d;
    const void *from_a, *from_b;
    void *to, *workspace;
    size_t workspace_bytes;
    bool add; /* to what is there */
};

static void multiply(const void *arguments)
{
    const struct multiplication *x = arguments;
    const struct layout *a = &x->a, *b = &x->b, *d = &x->d;
    const bool half = a->type == CUDA_R_16F, half_d = d->type == CUDA_R_16F;
    const bool turn_b = x->p.op_b == CUBLAS_OP_T;
    const size_t k = turn_b ? b->cols : b->rows;
    memset(x->workspace, 0xff, x->workspace_bytes);
    float *in_a = emulate_widen(x->from_a,
                                (a->batch - 1) * a->stride + (a->cols - 1) * a->ld + a->rows, half);
    float *in_b = emulate_widen(x->from_b,
                                (b->batch - 1) * b->stride + (b->cols - 1) * b->ld + b->rows, half);
#pragma omp parallel for if (d->batch * d->cols * d->rows * k > EMULATE_WORTH_THREADS)
    for (size_t at = 0; at < d->batch * d->cols; at++) {
        const size_t batch = at / d->cols, j = at % d->cols;
        float *sum = calloc(d->rows, sizeof(float)), *column = calloc(k, sizeof(float));
        for (size_t l = 0; l < k; l++)
            column[l] = in_b[batch * b->stride + (turn_b ? l * b->ld + j : j * b->ld + l)];
        product_column(a, x->p.op_a == CUBLAS_OP_T, in_a + batch * a->stride, column, d->rows, k,
                       sum);
        for (size_t i = 0; i < d->rows; i++) {
            const float bias = x->p.bias ? vj_cuda_net_get(x->p.bias, i, half_d) : 0.0f;
            const size_t to = batch * d->stride + j * d->ld + i;
            const float held = x->add ? vj_cuda_net_get(x->to, to, half_d) : 0.0f;
            vj_cuda_net_set(x->to, to, held + (sum[i] + bias), half_d);
        }
        free(sum);
        free(column);
    }
    free(in_a);
    free(in_b);
}

static void check_matrix(const struct layout *l, const void *p, const char *what)
{
    const size_t elements = (l->batch - 1) * l->stride + (l->cols - 1) * l->ld + l->rows;
    vj_emulate_need_gpu(p, elements * (l->type == CUDA_R_16F ? 2 : 4), what);
}

static void check_memory(const struct multiplication *x)
{
    check_matrix(&x->a, x->from_a, "cublasLtMatmul, A");
    check_matrix(&x->b, x->from_b, "cublasLtMatmul, B");
    check_matrix(&x->d, x->to, "cublasLtMatmul, D");
    vj_emulate_need_gpu(x->workspace, x->workspace_bytes, "cublasLtMatmul, workspace");
    if (x->p.bias)
        vj_emulate_need_gpu(x->p.bias, x->d.rows * (x->p.bias_type == CUDA_R_16F ? 2 : 4),
                            "cublasLtMatmul, bias");
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lt, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    if (vj_emulate_turn_to_fail())
        return CUBLAS_STATUS_INTERNAL_ERROR;
    const float add = *(const float *)beta;
    const struct multiplication x = {*(const struct product *)desc,
                                     *(const struct layout *)a_layout,
                                     *(const struct layout *)b_layout,
                                     *(const struct layout *)d_layout,
                                     a,
                                     b,
                                     d,
                                     workspace,
                                     workspace_bytes,
                                     add != 0.0f};
    uint32_t alignment[4]; /* that were promised */
    (void)lt;
    memcpy(alignment, algo, sizeof(alignment));
    if ((uintptr_t)a % alignment[0] || (uintptr_t)b % alignment[1] || (uintptr_t)c % alignment[2] ||
        (uintptr_t)d % alignment[3] || workspace_bytes < WORKSPACE)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!consistent(&x.p, &x.a, &x.b, &x.d) || c_layout != d_layout || c != d ||
        *(const float *)alpha != 1.0f || (add != 0.0f && add != 1.0f))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    check_memory(&x);
    PUSH(stream, multiply, x);
    return CUBLAS_STATUS_SUCCESS;
}
