/* SPDX-License-Identifier: MIT */
#include "cuda/net_graph.h"

#include <string.h>

#include "cuda/check.h"

_Static_assert(sizeof(struct vj_cuda_net_call) == 6 * sizeof(void *) + 3 * sizeof(size_t),
               "calls are compared as bytes");

static bool worked(cudaError_t status)
{
    if (status != cudaSuccess)
        vj_cuda_forget_error();
    return status == cudaSuccess;
}

/* Whether calls on the stream may be recorded now. */
static bool recordable(cudaStream_t stream)
{
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    return stream && worked(cudaStreamIsCapturing(stream, &status)) &&
           status == cudaStreamCaptureStatusNone;
}

static struct vj_cuda_net_recording *find(struct vj_cuda_net_recordings *recordings,
                                          const struct vj_cuda_net_call *call)
{
    for (size_t i = 0; i < VJ_CUDA_NET_RECORDINGS; i++) {
        struct vj_cuda_net_recording *r = &recordings->list[i];
        if (r->used && memcmp(&r->call, call, sizeof(*call)) == 0)
            return r;
    }
    return NULL;
}

/* One that still runs is freed when it has ended (cuGraphExecDestroy's documentation). */
static void forget(struct vj_cuda_net_recording *r)
{
    if (r->exec)
        (void)worked(cudaGraphExecDestroy(r->exec));
    memset(r, 0, sizeof(*r));
}

/* Notes a call that is not known yet, in the place of the oldest. */
static void add(struct vj_cuda_net_recordings *recordings, const struct vj_cuda_net_call *call)
{
    struct vj_cuda_net_recording *r = &recordings->list[recordings->next];
    recordings->next = (recordings->next + 1) % VJ_CUDA_NET_RECORDINGS;
    forget(r);
    r->call = *call;
    r->used = true;
}

/* The call's launches as a graph; NULL where it cannot be had, and then the stream is as before. */
static cudaGraphExec_t record(vj_cuda_net_enqueue enqueue, void *work,
                              const struct vj_cuda_net_call *call)
{
    struct vj_error ignored = {0, ""}; /* what enqueues plainly afterwards says it again */
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    if (!worked(cudaStreamBeginCapture(call->stream, cudaStreamCaptureModeThreadLocal)))
        return NULL;
    bool good = enqueue(work, call, &ignored) == 0;
    good = worked(cudaStreamEndCapture(call->stream, &graph)) && good && graph;
    if (good && !worked(cudaGraphInstantiate(&exec, graph, 0)))
        exec = NULL;
    if (graph)
        (void)worked(cudaGraphDestroy(graph));
    return exec;
}

int vj_cuda_net_replay(struct vj_cuda_net_recordings *recordings, vj_cuda_net_enqueue enqueue,
                       void *work, const struct vj_cuda_net_call *call, struct vj_error *err)
{
    if (!recordable(call->stream))
        return enqueue(work, call, err);
    struct vj_cuda_net_recording *r = find(recordings, call);
    if (!r)
        add(recordings, call);
    else if (!r->exec && !r->refused) {
        r->exec = record(enqueue, work, call);
        r->refused = !r->exec;
    }
    if (!r || !r->exec)
        return enqueue(work, call, err);
    recordings->replays++;
    return VJ_CUDA(cudaGraphLaunch(r->exec, call->stream), err);
}

void vj_cuda_net_recordings_free(struct vj_cuda_net_recordings *recordings)
{
    for (size_t i = 0; i < VJ_CUDA_NET_RECORDINGS; i++)
        forget(&recordings->list[i]);
}
