/* SPDX-License-Identifier: MIT */
/* What tests and benchmarks see of the network on CUDA: single passes, layer by layer. Plain C. */
#ifndef VJ_CUDA_NET_INTERNAL_H
#define VJ_CUDA_NET_INTERNAL_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net.h"

/* Which weights a patch passes through; as enum vj_net_stream of host/net_internal.h. */
enum vj_cuda_net_stream {
    VJ_CUDA_NET_PICTURE = 0, /* R and D */
    VJ_CUDA_NET_MAPS,        /* J; the weights of PICTURE where it has none of its own */
    VJ_CUDA_NET_STREAMS,
};

/*
 * A layer that has just been enqueued. Its output is [rows][pixels][ld], `channels` of ld in use.
 * Layers in order, named as vj_net_probe's: input, conv1, attention1, pool1, ... conv4, theta, phi,
 * value, affinity, softmax, attended, pool4, features; then, in scores only, heads. What the
 * variant does not have is left out, and what is not there by itself: input and conv1 where the
 * first block is one kernel, the map of a convolution that pools, both being part of what follows
 * then, and a pooled map that the next convolution scales.
 */
struct vj_cuda_net_stage {
    const char *layer;
    const void *data;
    bool single; /* float whatever the precision */
    size_t pixels, channels, ld;
    double macs;  /* multiply-accumulates of a patch, 0 for what is not a product */
    double bytes; /* of a patch's maps that the layer reads and writes, each once; weights aside */
};

typedef int (*vj_cuda_net_hook)(void *user, cudaStream_t stream,
                                const struct vj_cuda_net_stage *stage, struct vj_error *err);

/* Has the hook called behind every layer from now on; NULL: no more. */
void vj_cuda_net_set_hook(struct vj_cuda_net_work *work, vj_cuda_net_hook hook, void *user);

/* Calls for which a recording was launched (cuda/net_graph.h). */
size_t vj_cuda_net_replays(const struct vj_cuda_net_work *work);

/* Features of `count` (1..rows) patches, [count][S][S][channels], left in the work's buffer. */
int vj_cuda_net_extract(struct vj_cuda_net_work *work, cudaStream_t stream,
                        enum vj_cuda_net_stream s, const uint8_t *d_patches, int channels,
                        size_t count, struct vj_error *err);

const struct vj_cuda_net_plan *vj_cuda_net_get_plan(const struct vj_cuda_net *net);

#ifdef __cplusplus
}
#endif

#endif
