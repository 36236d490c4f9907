/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/device_internal.h"
#include "cuda/net.h"
#include "host/checked.h"

_Static_assert((int)VJ_CUDA_FP32 == (int)VJ_PRECISION_FP32 &&
                   (int)VJ_CUDA_TF32 == (int)VJ_PRECISION_TF32 &&
                   (int)VJ_CUDA_FP16 == (int)VJ_PRECISION_FP16,
               "precisions have the same numbers on both sides of the module");

struct vj_cuda_networks {
    const struct vj_cuda_sizes *sizes;
    struct vj_cuda_net **net;       /* [weights_count] */
    struct vj_cuda_net_work **work; /* [weights_count] */
};

void vj_cuda_networks_close(struct vj_cuda_networks *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->sizes->plan.weights_count; i++) {
        if (n->work && n->work[i])
            vj_cuda_net_work_destroy(n->work[i]);
        if (n->net && n->net[i])
            vj_cuda_net_destroy(n->net[i]);
    }
    free(n->work);
    free(n->net);
    free(n);
}

int vj_cuda_networks_open(struct vj_cuda_networks **networks, const struct vj_cuda_sizes *sizes,
                          struct vj_error *err)
{
    const struct vj_device_plan *plan = &sizes->plan;
    size_t references;
    *networks = NULL;
    struct vj_cuda_networks *n = vj_calloc(1, sizeof(*n));
    if (!n)
        return vj_fail(err, -ENOMEM, "out of memory");
    n->sizes = sizes;
    n->net = vj_calloc(plan->weights_count, sizeof(struct vj_cuda_net *));
    n->work = vj_calloc(plan->weights_count, sizeof(struct vj_cuda_net_work *));
    int r = n->net && n->work ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    if (!r && !vj_size_mul((size_t)plan->slots, (size_t)plan->draws, &references))
        r = vj_fail(err, -EOVERFLOW, "%d slots with %d draws", plan->slots, plan->draws);
    for (size_t i = 0; !r && i < plan->weights_count; i++) {
        const size_t patches = (size_t)plan->patches;
        const size_t rows = vj_cuda_net_rows(&plan->weights[i]->shape, sizes->rows, patches);
        r = vj_cuda_net_create(&n->net[i], plan->weights[i], rows, rows < patches ? rows : patches,
                               (enum vj_cuda_precision)plan->precision, err);
        if (!r)
            r = vj_cuda_net_work_create(&n->work[i], n->net[i], references, (size_t)plan->patches,
                                        err);
    }
    if (r) {
        vj_cuda_networks_close(n);
        return r;
    }
    *networks = n;
    return 0;
}

void vj_cuda_networks_bytes(const struct vj_cuda_networks *n, size_t *weights, size_t *work)
{
    *weights = *work = 0;
    for (size_t i = 0; n && i < n->sizes->plan.weights_count; i++) {
        *weights += vj_cuda_net_bytes(n->net[i]);
        *work += vj_cuda_net_work_bytes(n->work[i]);
    }
}

static size_t side(const struct vj_cuda_networks *n, int slot, int draw)
{
    return (size_t)slot * (size_t)n->sizes->plan.draws + (size_t)draw;
}

int vj_cuda_networks_reference(struct vj_cuda_networks *n, cudaStream_t stream, int slot,
                               const struct vj_cuda_slot_buffers *buffers, const bool *wanted,
                               struct vj_error *err)
{
    const struct vj_device_plan *plan = &n->sizes->plan;
    size_t patches = (size_t)plan->patches, bytes = n->sizes->patch;
    int r = 0;
    for (size_t i = 0; !r && i < plan->weights_count; i++)
        for (int d = 0; !r && wanted[i] && d < plan->draws; d++) {
            size_t first = (size_t)d * patches;
            r = vj_cuda_net_reference(n->work[i], stream, side(n, slot, d),
                                      buffers->patches_reference + first * bytes,
                                      buffers->patches_jnd + first * (bytes / 3), patches, err);
        }
    return r;
}

int vj_cuda_networks_scores(struct vj_cuda_networks *n, cudaStream_t stream, int slot,
                            const struct vj_cuda_slot_buffers *buffers, size_t network, int draw,
                            int count, struct vj_error *err)
{
    size_t patches = (size_t)n->sizes->plan.patches;
    size_t first = (size_t)draw * (size_t)count * patches;
    return vj_cuda_net_scores(n->work[network], stream, side(n, slot, draw),
                              buffers->patches + first * n->sizes->patch, (size_t)count, patches,
                              buffers->score, buffers->quality, buffers->weight, err);
}

void vj_cuda_networks_algorithms(const struct vj_cuda_networks *n, size_t network, char *text,
                                 size_t size)
{
    vj_cuda_net_describe(n->net[network], text, size);
}

void vj_cuda_networks_libraries(char *text, size_t size)
{
    vj_cuda_net_libraries(text, size);
}
