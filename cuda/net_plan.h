/* SPDX-License-Identifier: MIT */
/*
 * Shapes, buffers and launch geometry of the network on a CUDA device, in plain C: everything that
 * can be wrong without a GPU is here and tested without one.
 */
#ifndef VJ_CUDA_NET_PLAN_H
#define VJ_CUDA_NET_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vj_cuda_precision {
    VJ_CUDA_FP32 = 0, /* single precision throughout: the default, for reproducing */
    VJ_CUDA_TF32,     /* single precision in memory, tensor cores' 10-bit mantissas in products */
    VJ_CUDA_FP16,     /* half precision in memory, single precision sums */
};

const char *vj_cuda_precision_name(enum vj_cuda_precision precision); /* "fp32", "tf32", "fp16" */

/* 0 and *precision, or -EINVAL with the list of known names. */
int vj_cuda_precision_parse(enum vj_cuda_precision *precision, const char *name,
                            struct vj_error *err);

enum { VJ_CUDA_NET_MAX_ROWS = 4096 };

#ifdef __cplusplus
}
#endif

#endif
