/* SPDX-License-Identifier: MIT */
/*
 * Passes of the network that are enqueued once and replayed: a convolution costs the host a tenth
 * of a millisecond whenever cuDNN is asked for it, more than the GPU needs for a small one, and a
 * CUDA graph of the same launches costs next to nothing.
 *
 * The first call with some arguments is enqueued plainly, by which libraries load their kernels.
 * The second is recorded from the stream, later ones replay it: the same launches with the same
 * arguments in the same order. What cannot be recorded is always enqueued plainly, as are calls on
 * stream 0 and on a stream that the caller is recording. Plain C.
 */
#ifndef VJ_CUDA_NET_GRAPH_H
#define VJ_CUDA_NET_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "host/error.h"

/* All that the launches of a call depend on, beside its work. Compared as bytes: no padding. */
struct vj_cuda_net_call {
    cudaStream_t stream;
    const uint8_t *d_patches, *d_jnd;
    float *d_score, *d_quality, *d_weight;
    size_t reference, patches;
    size_t n; /* candidates; 0: a reference side */
};

/* Enqueues a call; `work` is the work. */
typedef int (*vj_cuda_net_enqueue)(void *work, const struct vj_cuda_net_call *call,
                                   struct vj_error *err);

enum { VJ_CUDA_NET_RECORDINGS = 32 }; /* three slots with five draws each */

struct vj_cuda_net_recording {
    struct vj_cuda_net_call call;
    cudaGraphExec_t exec; /* NULL: not recorded */
    bool used, refused;
};

/* Of one work; zeroed at first. */
struct vj_cuda_net_recordings {
    struct vj_cuda_net_recording list[VJ_CUDA_NET_RECORDINGS];
    size_t next;    /* whose place a new call takes */
    size_t replays; /* calls for which a graph was launched */
};

/* Enqueues the call or launches its recording. */
int vj_cuda_net_replay(struct vj_cuda_net_recordings *recordings, vj_cuda_net_enqueue enqueue,
                       void *work, const struct vj_cuda_net_call *call, struct vj_error *err);

/* Recordings that still run are freed when they are done. */
void vj_cuda_net_recordings_free(struct vj_cuda_net_recordings *recordings);

#ifdef __cplusplus
}
#endif

#endif
