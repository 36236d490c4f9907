/* SPDX-License-Identifier: MIT */
/*
 * Statuses of CUDA and its libraries as this project's errors: 0 or a negative errno, with the name
 * of the call that failed and what the library says about it.
 *
 *   int r = VJ_CUDA(cudaMalloc(&p, bytes), err);
 *
 * VJ_CUDNN and VJ_CUBLAS are there for files that include cudnn.h or cublasLt.h before this header.
 * Plain C and CUDA C++.
 */
#ifndef VJ_CUDA_CHECK_H
#define VJ_CUDA_CHECK_H

#include <cuda_runtime_api.h>
#include <errno.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "host/error.h"
#ifdef __cplusplus
}
#endif

#define VJ_CUDA(call, err) vj_cuda_status((call), #call, (err))
/* After a kernel launch: whether it was accepted. Faults of the kernel itself come up later. */
#define VJ_CUDA_LAUNCHED(kernel, err) vj_cuda_status(cudaGetLastError(), kernel, (err))

/* What a call failed with stays behind as the thread's last error, also when another way of doing
 * the same is tried next; it is taken away, lest a later launch is judged by it. */
static inline void vj_cuda_forget_error(void)
{
    (void)cudaGetLastError();
}

/* Length of a call's name: its text up to the arguments. */
static inline int vj_call_length(const char *call)
{
    return (int)strcspn(call, "(");
}

static inline int vj_cuda_errno(cudaError_t status)
{
    switch (status) {
    case cudaSuccess:
        return 0;
    case cudaErrorMemoryAllocation:
        return -ENOMEM;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorNoKernelImageForDevice:
        return -ENODEV;
    default:
        return -EIO;
    }
}

static inline int vj_cuda_status(cudaError_t status, const char *call, struct vj_error *err)
{
    if (status == cudaSuccess)
        return 0;
    vj_cuda_forget_error();
    return vj_fail(err, vj_cuda_errno(status), "CUDA: %.*s: %s (%s)", vj_call_length(call), call,
                   cudaGetErrorString(status), cudaGetErrorName(status));
}

#ifdef CUDNN_MAJOR
#define VJ_CUDNN(call, err) vj_cudnn_status((call), #call, (err))
static inline int vj_cudnn_errno(cudnnStatus_t status)
{
#if CUDNN_MAJOR >= 9
    if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
        return -ENOMEM;
#endif
    return status == CUDNN_STATUS_ALLOC_FAILED ? -ENOMEM : -EIO;
}

/* What the library adds to its last refusal, in one line; its status alone rarely tells why. */
static inline void vj_cudnn_reason(char *text, size_t size)
{
    text[0] = '\0';
#if CUDNN_MAJOR >= 9
    cudnnGetLastErrorString(text, size);
#endif
    text[size - 1] = '\0';
    for (char *c = text; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

static inline int vj_cudnn_status(cudnnStatus_t status, const char *call, struct vj_error *err)
{
    char why[256];
    if (status == CUDNN_STATUS_SUCCESS)
        return 0;
    vj_cuda_forget_error();
    vj_cudnn_reason(why, sizeof(why));
    return vj_fail(err, vj_cudnn_errno(status), "cuDNN: %.*s: %s%s%s%s", vj_call_length(call), call,
                   cudnnGetErrorString(status), why[0] ? " (" : "", why, why[0] ? ")" : "");
}
#endif

#ifdef CUBLAS_VER_MAJOR
#define VJ_CUBLAS(call, err) vj_cublas_status((call), #call, (err))
static inline int vj_cublas_status(cublasStatus_t status, const char *call, struct vj_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return 0;
    vj_cuda_forget_error();
    return vj_fail(err, status == CUBLAS_STATUS_ALLOC_FAILED ? -ENOMEM : -EIO, "cuBLAS: %.*s: %s",
                   vj_call_length(call), call, cublasLtGetStatusString(status));
}
#endif

#endif
