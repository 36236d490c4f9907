/* SPDX-License-Identifier: MIT */
/* What the stand-ins for NVIDIA's libraries share. */
#ifndef VJ_TESTS_CUDA_EMULATE_NUMBERS_H
#define VJ_TESTS_CUDA_EMULATE_NUMBERS_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/net_body.h"

/* Of innermost loops over widened copies: whoever widened has read all of the original. */
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))

/* Steps of a loop above which a second thread is worth being woken. */
enum { EMULATE_WORTH_THREADS = 1 << 18 };

/* Elements as floats; the caller frees. */
static inline float *emulate_widen(const void *from, size_t count, bool half)
{
    float *wide = malloc(count * sizeof(float));
#pragma omp parallel for if (count > EMULATE_WORTH_THREADS)
    for (size_t i = 0; i < count; i++)
        wide[i] = vj_cuda_net_get(from, i, half);
    return wide;
}

#endif
