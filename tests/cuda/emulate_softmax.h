/* SPDX-License-Identifier: MIT */
/* The softmax of cuda/net_body.h row by row, with a warp's exchange as CUDA's shuffles make it. */
#ifndef VJ_TESTS_CUDA_EMULATE_SOFTMAX_H
#define VJ_TESTS_CUDA_EMULATE_SOFTMAX_H

#include "tests/cuda/emulate.h"

#include "cuda/net_body.h"

static inline float emulate_larger(float a, float b)
{
    return vj_cuda_net_larger(a, b);
}

static inline float emulate_plus(float a, float b)
{
    return a + b;
}

/* Every lane with the lane whose number differs in one bit, from the highest to the lowest. */
static inline void emulate_exchange(float value[VJ_CUDA_NET_LANES], float (*with)(float, float))
{
    for (int m = VJ_CUDA_NET_LANES / 2; m > 0; m /= 2) {
        float old[VJ_CUDA_NET_LANES];
        memcpy(old, value, sizeof(old));
        for (int lane = 0; lane < VJ_CUDA_NET_LANES; lane++)
            value[lane] = with(old[lane], old[lane ^ m]);
    }
}

static inline void emulate_softmax(const struct vj_cuda_net_softmax_job *j)
{
    const int quads = vj_cuda_net_softmax_quads(j->n);
    for (size_t row = 0; row < j->rows; row++) {
        struct vj_cuda_net_softmax_lane mine[VJ_CUDA_NET_LANES];
        float top[VJ_CUDA_NET_LANES], sum[VJ_CUDA_NET_LANES];
        memset(mine, 0xff, sizeof(mine)); /* NaN */
        EMULATE_THREADS(VJ_CUDA_NET_LANES, lane)
        top[lane] = vj_cuda_net_softmax_top(j, &mine[lane], quads, row, (int)lane);
        emulate_exchange(top, emulate_larger);
        EMULATE_THREADS(VJ_CUDA_NET_LANES, lane)
        sum[lane] = vj_cuda_net_softmax_sum(j, &mine[lane], quads, top[lane], (int)lane);
        emulate_exchange(sum, emulate_plus);
        EMULATE_THREADS(VJ_CUDA_NET_LANES, lane)
        vj_cuda_net_softmax_write(j, &mine[lane], quads, sum[lane], row, (int)lane);
    }
}

#endif
