/* SPDX-License-Identifier: MIT */
/* Folded weights on the device. */
#ifndef VJ_CUDA_NET_WEIGHTS_H
#define VJ_CUDA_NET_WEIGHTS_H

extern "C" {
#include "cuda/net_internal.h"
#include "cuda/net_kernels.h"
}

/*
 * Weights of one feature extractor, of the plan's element type where not float; what the variant
 * does not have is NULL.
 */
struct vj_cuda_net_extractor {
    void *kernel[VJ_NET_LAYERS]; /* as vj_cuda_net_conv_kernel() has them */
    void *bias[VJ_NET_LAYERS];   /* [out]; channel padding zero */
    uint32_t *first;   /* of a first block that is one kernel, as vj_cuda_net_first_pack() has it */
    float *first_bias; /* likewise */
    struct vj_cuda_net_attention attention[VJ_NET_BLOCKS - 1]; /* float */
    /* Theta, phi and value: [C][C], in, out, and [C]. Where the non-local block is one kernel the
     * first is all three side by side, [C][3 C] and [3 C]. */
    void *projection[VJ_CUDA_NET_PROJECTIONS], *projection_bias[VJ_CUDA_NET_PROJECTIONS];
};

enum { VJ_CUDA_NET_MAX_TENSORS = 64 };

struct vj_cuda_net_weights {
    struct vj_cuda_net_extractor
        extractor[VJ_CUDA_NET_STREAMS]; /* the same twice but for `released` */
    void *reference;                    /* [F][2 * 512]: quality, weight, times f_r */
    void *distorted;                    /* [F][2 * 512]: the same, times f_d */
    void *product;      /* [F][512]: weight head, times f_d * f_j; NULL where no map is seen */
    float *hidden_bias; /* [2 * 512] */
    struct vj_cuda_net_second second;
    void *owned[VJ_CUDA_NET_MAX_TENSORS];
    int owned_count;
    size_t bytes;
};

/* Released by vj_cuda_net_weights_free() in any case. Waits for the device. */
int vj_cuda_net_weights_load(struct vj_cuda_net_weights *weights,
                             const struct vj_cuda_net_plan *plan, const struct vj_weights *w,
                             struct vj_error *err);
void vj_cuda_net_weights_free(struct vj_cuda_net_weights *weights);

#endif
