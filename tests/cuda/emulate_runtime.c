/* SPDX-License-Identifier: MIT */
/*
 * CUDA's run-time on the CPU: with it, emulate_threads.c, emulate_dnn.c and emulate_blas.c in their
 * places, the device, training and the GPU suites run without a GPU.
 *
 * A stream is a list of operations that nobody carries out until somebody waits, and then only as
 * far as needed: what an event orders happens in that order, anything else as late as possible.
 * Pinned memory that is reused too early, or data used without waiting for it, gives wrong values.
 * Streams do not wait for the default one, nor it for them: all others are taken for non-blocking.
 *
 * VPJND_EMULATE=copy in the environment: copies to the GPU happen at once, as early as their events
 * allow, which shows memory that is overwritten while kernels still need it.
 * VPJND_EMULATE_MEMORY=n: the GPU has n bytes free, says cudaMemGetInfo.
 * VPJND_EMULATE_REFUSED=n: cudaMalloc has no block of n bytes.
 * VPJND_EMULATE_LAUNCH: no kernel can be started.
 * VPJND_EMULATE_FAIL=n: call n fails, counted since the variable became n; cuDNN's and cuBLASLt's
 * count, too.
 *
 * For one host thread: also the last error, which CUDA has for each, is the program's.
 */
#include "tests/cuda/emulate_runtime.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulate_threads.h"

/* Stays until somebody asks, and then every launch is judged by it. */
static cudaError_t last_error;

static cudaError_t failed(cudaError_t status)
{
    return last_error = status;
}

bool vj_emulate_turn_to_fail(void)
{
    static unsigned long calls, turn;
    const char *number = getenv("VPJND_EMULATE_FAIL");
    const unsigned long now = number ? strtoul(number, NULL, 10) : 0;
    if (now != turn)
        calls = 0;
    turn = now;
    if (!turn || ++calls != turn)
        return false;
    unsetenv("VPJND_EMULATE_FAIL"); /* tells that it has */
    return true;
}

static bool turn_to_fail(void)
{
    const bool mine = vj_emulate_turn_to_fail();
    if (mine)
        last_error = cudaErrorUnknown;
    return mine;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t status = last_error;
    last_error = cudaSuccess;
    return status;
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaSuccess ? "no error" : "an error of the emulation";
}

const char *cudaGetErrorName(cudaError_t status)
{
    return cudaGetErrorString(status);
}

/* ---- operations ---- */

struct operation {
    void (*run)(const void *);
    void *arguments; /* freed with it */
    size_t size;
};

struct operations {
    struct operation *list;
    size_t count, room;
};

static void append(struct operations *to, void (*run)(const void *), const void *arguments,
                   size_t size)
{
    if (to->count == to->room) {
        to->room = 2 * to->room + 64;
        to->list = realloc(to->list, to->room * sizeof(*to->list));
    }
    void *copy = malloc(size);
    if (!to->list || !copy)
        abort();
    memcpy(copy, arguments, size);
    to->list[to->count++] = (struct operation){run, copy, size};
}

static void discard(struct operations *o, size_t first)
{
    for (size_t i = first; i < o->count; i++)
        free(o->list[i].arguments);
    free(o->list);
}

/* ---- streams and events ---- */

struct CUgraph_st {
    struct operations recorded;
};

struct CUstream_st {
    struct operations queue;
    size_t done;
    size_t after_host; /* host functions stand before this place */
    struct CUgraph_st *recording;
    struct CUstream_st *next;
};

struct CUevent_st {
    struct CUstream_st *stream; /* NULL: never recorded */
    size_t upto;
};

static struct CUstream_st default_stream;
static struct CUstream_st *streams = &default_stream; /* all of them */

/* Recording forbids a thread what could wait for the GPU; having tried spoils what is recorded. */
static struct CUstream_st *recording_stream;
static bool recording_spoiled;

static bool forbidden(void)
{
    recording_spoiled |= recording_stream != NULL;
    return recording_stream != NULL;
}

static struct CUstream_st *given(cudaStream_t stream)
{
    return stream ? stream : &default_stream;
}

static void run_until(struct CUstream_st *s, size_t upto)
{
    while (s->done < upto) {
        const struct operation op = s->queue.list[s->done++];
        op.run(op.arguments);
        free(op.arguments);
    }
}

void vj_emulate_push(cudaStream_t stream, void (*run)(const void *), const void *arguments,
                     size_t size)
{
    struct CUstream_st *s = given(stream);
    append(s->recording ? &s->recording->recorded : &s->queue, run, arguments, size);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    if (flags != cudaStreamNonBlocking)
        return failed(cudaErrorInvalidValue);
    if (turn_to_fail())
        return last_error;
    *stream = calloc(1, sizeof(**stream));
    if (!*stream)
        return failed(cudaErrorMemoryAllocation);
    (*stream)->next = streams;
    streams = *stream;
    return cudaSuccess;
}

/* What is on the stream still happens, and nobody knows when: here, at the latest. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    run_until(stream, stream->queue.count);
    struct CUstream_st **at = &streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    discard(&stream->queue, stream->done);
    free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (forbidden())
        return failed(cudaErrorStreamCaptureUnsupported);
    run_until(given(stream), given(stream)->queue.count);
    return turn_to_fail() ? last_error : cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    if (forbidden())
        return failed(cudaErrorStreamCaptureUnsupported);
    for (struct CUstream_st *s = streams; s; s = s->next)
        run_until(s, s->queue.count);
    return turn_to_fail() ? last_error : cudaSuccess;
}

static void wait_event(const void *arguments)
{
    const struct CUevent_st *event = arguments;
    if (event->stream)
        run_until(event->stream, event->upto);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    if (given(stream)->recording) {
        recording_spoiled = true; /* by what is recorded elsewhere */
        return failed(cudaErrorStreamCaptureIsolation);
    }
    if (turn_to_fail())
        return last_error;
    PUSH(stream, wait_event, *event);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    if (turn_to_fail())
        return last_error;
    *event = calloc(1, sizeof(**event));
    return *event ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (given(stream)->recording)
        return failed(cudaErrorNotSupported);
    if (turn_to_fail())
        return last_error;
    *event = (struct CUevent_st){given(stream), given(stream)->queue.count};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (forbidden())
        return failed(cudaErrorStreamCaptureUnsupported);
    wait_event(event);
    return turn_to_fail() ? last_error : cudaSuccess;
}

/* ---- what goes on a stream ---- */

struct copy {
    void *to;
    const void *from;
    size_t to_pitch, from_pitch, width, height;
    bool summed;
    uint64_t sum; /* of what is copied to the GPU, when that was asked for */
};

/* Eight bytes at a time: the sanitizers make every look at memory dear. */
static uint64_t sum_of(const struct copy *c)
{
    uint64_t sum = 0, word = 0;
    for (size_t y = 0; y < c->height; y++) {
        const uint8_t *p = (const uint8_t *)c->from + y * c->from_pitch;
        size_t i = 0;
        for (; i + sizeof(word) <= c->width; i += sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            sum = sum * 31 + word;
        }
        for (; i < c->width; i++)
            sum = sum * 31 + p[i];
    }
    return sum;
}

static void run_copy(const void *arguments)
{
    const struct copy *c = arguments;
    if (c->summed && sum_of(c) != c->sum) {
        fprintf(stderr, "pinned memory was written to before its copy to the GPU was done\n");
        abort();
    }
    for (size_t y = 0; y < c->height; y++)
        memcpy((uint8_t *)c->to + y * c->to_pitch, (const uint8_t *)c->from + y * c->from_pitch,
               c->width);
}

/* Which side has which end; kind = default would leave it open. */
static void check_sides(const void *to, size_t to_bytes, const void *from, size_t from_bytes,
                        enum cudaMemcpyKind kind)
{
    void (*check_to)(const void *, size_t, const char *) =
        kind == cudaMemcpyDeviceToHost ? vj_emulate_need_host : vj_emulate_need_gpu;
    void (*check_from)(const void *, size_t, const char *) =
        kind == cudaMemcpyHostToDevice ? vj_emulate_need_host : vj_emulate_need_gpu;
    check_to(to, to_bytes, "cudaMemcpy, destination");
    check_from(from, from_bytes, "cudaMemcpy, source");
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    struct CUstream_st *s = given(stream);
    const bool to_gpu = kind == cudaMemcpyHostToDevice;
    const char *mode = getenv("VPJND_EMULATE");
    struct copy c = {to, from, to_pitch, from_pitch, width, height, .summed = false};
    if (width > to_pitch || width > from_pitch)
        return failed(cudaErrorInvalidValue);
    if (width && height)
        check_sides(to, (height - 1) * to_pitch + width, from, (height - 1) * from_pitch + width,
                    kind);
    if (turn_to_fail())
        return last_error;
    if (to_gpu && !s->recording && s->after_host <= s->done) {
        c.summed = true;
        c.sum = sum_of(&c);
    }
    PUSH(stream, run_copy, c);
    if (to_gpu && !s->recording && mode && strcmp(mode, "copy") == 0)
        run_until(s, s->queue.count);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

struct upload {
    void *to;
    size_t bytes;
    uint8_t from[];
};

static void run_upload(const void *arguments)
{
    const struct upload *u = arguments;
    memcpy(u->to, u->from, u->bytes);
}

/* On the default stream. From the host: its memory is free when this returns, but what arrives may
 * do so later. */
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    cudaError_t status = cudaStreamSynchronize(NULL);
    if (status != cudaSuccess)
        return status;
    check_sides(to, bytes, from, bytes, kind);
    if (kind != cudaMemcpyHostToDevice) {
        memcpy(to, from, bytes);
        return cudaSuccess;
    }
    struct upload *u = malloc(sizeof(*u) + bytes);
    if (!u)
        abort();
    u->to = to;
    u->bytes = bytes;
    memcpy(u->from, from, bytes);
    vj_emulate_push(NULL, run_upload, u, sizeof(*u) + bytes);
    free(u);
    return cudaSuccess;
}

struct filling {
    void *p;
    int value;
    size_t bytes;
};

static void run_filling(const void *arguments)
{
    const struct filling *f = arguments;
    memset(f->p, f->value, f->bytes);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
    const struct filling f = {p, value, bytes};
    vj_emulate_need_gpu(p, bytes, "cudaMemset");
    if (turn_to_fail())
        return last_error;
    PUSH(stream, run_filling, f);
    return cudaSuccess;
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    return cudaMemsetAsync(p, value, bytes, NULL);
}

struct host_function {
    cudaHostFn_t function;
    void *data;
};

static void run_host_function(const void *arguments)
{
    const struct host_function *f = arguments;
    f->function(f->data);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data)
{
    const struct host_function f = {function, data};
    if (turn_to_fail())
        return last_error;
    PUSH(stream, run_host_function, f);
    given(stream)->after_host = given(stream)->queue.count;
    return cudaSuccess;
}

struct launch {
    dim3 grid;
    unsigned threads;
    void (*body)(void *);
    _Alignas(16) uint8_t context[];
};

static void run_launch(const void *arguments)
{
    const struct launch *l = arguments;
    vj_emulate_grid(l->grid, l->threads, l->body, (void *)l->context);
}

void vj_emulate_launch(dim3 grid, unsigned threads, cudaStream_t stream, void (*body)(void *),
                       const void *context, size_t size)
{
    if (getenv("VPJND_EMULATE_LAUNCH")) {
        failed(cudaErrorLaunchOutOfResources);
        return;
    }
    if (turn_to_fail())
        return;
    struct launch *l = malloc(sizeof(*l) + size);
    if (!l)
        abort();
    *l = (struct launch){grid, threads, body};
    memcpy(l->context, context, size);
    vj_emulate_push(stream, run_launch, l, sizeof(*l) + size);
    free(l);
}

/* ---- recordings ---- */

struct CUgraphExec_st {
    struct operations recorded;
};

static void copy_operations(const struct operations *from, struct operations *to)
{
    for (size_t i = 0; i < from->count; i++)
        append(to, from->list[i].run, from->list[i].arguments, from->list[i].size);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    *status = !given(stream)->recording ? cudaStreamCaptureStatusNone
              : recording_spoiled       ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    if (!stream || recording_stream || mode != cudaStreamCaptureModeThreadLocal)
        return failed(cudaErrorStreamCaptureUnsupported);
    stream->recording = calloc(1, sizeof(*stream->recording));
    if (!stream->recording)
        return failed(cudaErrorMemoryAllocation);
    recording_stream = stream;
    recording_spoiled = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    if (!stream || stream != recording_stream)
        return failed(cudaErrorIllegalState);
    *graph = stream->recording;
    stream->recording = NULL;
    recording_stream = NULL;
    if (!recording_spoiled)
        return cudaSuccess;
    (void)cudaGraphDestroy(*graph);
    *graph = NULL;
    return failed(cudaErrorStreamCaptureInvalidated);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    *exec = calloc(1, sizeof(**exec));
    if (!*exec)
        return failed(cudaErrorMemoryAllocation);
    copy_operations(&graph->recorded, &(*exec)->recorded);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (given(stream)->recording)
        return failed(cudaErrorNotSupported);
    if (getenv("VPJND_EMULATE_LAUNCH"))
        return failed(cudaErrorLaunchOutOfResources);
    if (turn_to_fail())
        return last_error;
    copy_operations(&exec->recorded, &given(stream)->queue);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    discard(&exec->recorded, 0);
    free(exec);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    discard(&graph->recorded, 0);
    free(graph);
    return cudaSuccess;
}

/* ---- memory and the device ---- */

static cudaError_t allocate(void **p, size_t bytes, enum vj_emulate_side side)
{
    const char *refused = getenv("VPJND_EMULATE_REFUSED");
    if (forbidden())
        return failed(cudaErrorStreamCaptureUnsupported);
    if (turn_to_fail())
        return last_error;
    *p = refused && strtoul(refused, NULL, 10) == bytes ? NULL : vj_emulate_allocate(bytes, side);
    return *p ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    return allocate(p, bytes, VJ_EMULATE_GPU);
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags;
    return allocate(p, bytes, VJ_EMULATE_HOST);
}

/* Waits for the default stream alone: memory that another one still uses is a fault here. */
static cudaError_t release(void *p, enum vj_emulate_side side)
{
    if (forbidden())
        return failed(cudaErrorStreamCaptureUnsupported);
    run_until(&default_stream, default_stream.queue.count);
    if (p)
        vj_emulate_free(p, side);
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    return release(p, VJ_EMULATE_GPU);
}

cudaError_t cudaFreeHost(void *p)
{
    return release(p, VJ_EMULATE_HOST);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    const char *left = getenv("VPJND_EMULATE_MEMORY");
    *total = (size_t)1 << 40;
    *free_bytes = left ? strtoul(left, NULL, 10) : *total;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    memset(properties, 0, sizeof(*properties));
    snprintf(properties->name, sizeof(properties->name), "emulated on the CPU");
    return cudaSetDevice(device);
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    return cudaRuntimeGetVersion(version);
}
