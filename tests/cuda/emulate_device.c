/* SPDX-License-Identifier: MIT */
/*
 * CUDA's run-time and the kernels' interface on the CPU, so that cuda/device.c can be run and
 * checked without a GPU: streams, events, slots, rings and results are its own, the values are the
 * CPU device's.
 *
 * A stream is a list of operations that nobody carries out until somebody waits, and then only as
 * far as needed: what an event orders happens in that order, anything else as late as possible.
 * Pinned memory that is reused too early, or data used without waiting for it, gives wrong values.
 * With VPJND_EMULATE=copy in the environment copies to the GPU happen at once, as early as their
 * events allow, which shows memory that is overwritten while kernels still need it.
 *
 * VPJND_EMULATE_GATHER in the environment: the kernel that cuts out patches cannot be launched.
 */
#include <cuda_runtime_api.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/device_internal.h"
#include "cuda/geometry.h"
#include "cuda/jnd.h"
#include "cuda/jpeg.h"
#include "cuda/patch.h"
#include "cuda/train.h"
#include "host/checked.h"
#include "host/jnd_rules.h"
#include "host/jpeg_plan.h"
#include "host/net.h"
#include "tests/cuda/emulate_device.h"

/* ---- streams and events ---- */

enum { ARGUMENT_BYTES = 1024 };

struct operation {
    void (*run)(const void *arguments);
    _Alignas(16) uint8_t arguments[ARGUMENT_BYTES];
};

struct CUstream_st {
    struct operation *list;
    size_t count, done, room;
    bool eager;
};

struct CUevent_st {
    struct CUstream_st *stream; /* NULL: never recorded */
    size_t upto;
};

static void run_until(struct CUstream_st *s, size_t upto)
{
    while (s->done < upto) {
        struct operation op = s->list[s->done++];
        op.run(op.arguments);
    }
}

void vj_emulate_push(struct CUstream_st *s, void (*run)(const void *), const void *arguments,
                     size_t size)
{
    if (size > ARGUMENT_BYTES)
        abort();
    if (s->count == s->room) {
        s->room = 2 * s->room + 64;
        s->list = realloc(s->list, s->room * sizeof(*s->list));
        if (!s->list)
            abort();
    }
    s->list[s->count].run = run;
    memcpy(s->list[s->count++].arguments, arguments, size);
    if (s->eager)
        run_until(s, s->count);
}

static void wait_event(const void *arguments)
{
    const struct CUevent_st *event = arguments;
    if (event->stream)
        run_until(event->stream, event->upto);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    static size_t created; /* cuda/device.c makes its copy stream first */
    const char *mode = getenv("VPJND_EMULATE");
    (void)flags;
    *stream = calloc(1, sizeof(**stream));
    if (!*stream)
        return cudaErrorMemoryAllocation;
    (*stream)->eager = mode && strcmp(mode, "copy") == 0 && created % 2 == 0;
    created++;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    free(stream->list);
    free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    run_until(stream, stream->count);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    PUSH(stream, wait_event, *event);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    *event = calloc(1, sizeof(**event));
    return *event ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->stream = stream;
    event->upto = stream->count;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    wait_event(event);
    return cudaSuccess;
}

/* ---- memory ---- */

struct copy {
    void *to;
    const void *from;
    size_t bytes;
    enum cudaMemcpyKind kind;
    uint64_t sum; /* of what is copied to the GPU, when that was asked for */
};

/* Eight bytes at a time: the sanitizers make every look at memory dear. */
static uint64_t sum_of(const void *from, size_t bytes)
{
    const uint8_t *p = from;
    uint64_t sum = 0, word = 0;
    size_t i = 0;
    for (; i + sizeof(word) <= bytes; i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        sum = sum * 31 + word;
    }
    for (; i < bytes; i++)
        sum = sum * 31 + p[i];
    return sum;
}

static void run_copy(const void *arguments)
{
    const struct copy *a = arguments;
    if (a->kind == cudaMemcpyHostToDevice && sum_of(a->from, a->bytes) != a->sum) {
        fprintf(stderr, "pinned memory was written to before its copy to the GPU was done\n");
        abort();
    }
    memcpy(a->to, a->from, a->bytes);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    const struct copy a = {to, from, bytes, kind,
                           kind == cudaMemcpyHostToDevice ? sum_of(from, bytes) : 0};
    PUSH(stream, run_copy, a);
    return cudaSuccess;
}

/* Poisoned: fresh memory of a GPU is not zero either. */
cudaError_t cudaMalloc(void **p, size_t bytes)
{
    *p = vj_alloc_aligned(bytes, 1);
    if (!*p)
        return cudaErrorMemoryAllocation;
    memset(*p, 0xDB, bytes);
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags;
    return cudaMalloc(p, bytes);
}

cudaError_t cudaFree(void *p)
{
    free(p);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    *free_bytes = *total = (size_t)1 << 40;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess; /* what nobody waited for may as well not happen */
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = 0;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaSuccess ? "no error" : "emulated failure";
}

const char *cudaGetErrorName(cudaError_t status)
{
    return status == cudaSuccess ? "cudaSuccess" : "cudaErrorUnknown";
}

int vj_cuda_count(int *count, struct vj_error *err)
{
    (void)err;
    *count = 1;
    return 0;
}

int vj_cuda_probe(int ordinal, char *text, size_t size, struct vj_error *err)
{
    snprintf(text, size, "emulated");
    return ordinal == 0 ? 0 : vj_fail(err, -ENODEV, "there is one emulated GPU");
}

/* ---- cuda/jpeg.h ---- */

struct vj_cuda_jpeg {
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
};

struct jpeg_call {
    struct vj_cuda_jpeg *jpeg;
    struct vj_image img; /* load() */
    enum vj_subsampling sampling;
    int qf[VJ_CUDA_LEVELS], count;
    uint8_t *out;
    int64_t *bytes;
    const int32_t (*origin)[2];
    size_t patches, side;
};

size_t vj_cuda_jpeg_bytes(size_t max_width, size_t max_height, int channels,
                          enum vj_subsampling sampling, int levels)
{
    (void)levels;
    return vj_jpeg_plan_bytes(max_width, max_height, channels, sampling);
}

int vj_cuda_jpeg_create(struct vj_cuda_jpeg **jpeg, size_t max_width, size_t max_height,
                        int channels, enum vj_subsampling sampling, int levels,
                        struct vj_error *err)
{
    (void)levels;
    *jpeg = calloc(1, sizeof(**jpeg));
    if (!*jpeg)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_jpeg_plan_reserve(&(*jpeg)->plan, max_width, max_height, channels, sampling, err);
    if (!r)
        r = vj_jpeg_scratch_create(&(*jpeg)->scratch, max_width, max_height, channels, sampling,
                                   err);
    return r;
}

void vj_cuda_jpeg_destroy(struct vj_cuda_jpeg *jpeg)
{
    if (!jpeg)
        return;
    vj_jpeg_plan_free(jpeg->plan);
    vj_jpeg_scratch_free(jpeg->scratch);
    free(jpeg);
}

static void run_load(const void *arguments)
{
    const struct jpeg_call *a = arguments;
    must(vj_jpeg_plan_load(a->jpeg->plan, &a->img, a->sampling, NULL));
}

int vj_cuda_jpeg_load(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const uint8_t *d_pixels,
                      size_t width, size_t height, int channels, enum vj_subsampling sampling,
                      struct vj_error *err)
{
    (void)err;
    const struct jpeg_call a = {
        .jpeg = jpeg, .img = {width, height, channels, (uint8_t *)d_pixels}, .sampling = sampling};
    PUSH(stream, run_load, a);
    return 0;
}

static struct jpeg_call jpeg_call(struct vj_cuda_jpeg *jpeg, const int *qf, int count)
{
    struct jpeg_call a = {.jpeg = jpeg, .count = count};
    memcpy(a.qf, qf, (size_t)count * sizeof(*qf));
    return a;
}

static void run_decode(const void *arguments)
{
    const struct jpeg_call *a = arguments;
    const struct vj_jpeg_geometry *g = vj_jpeg_plan_geometry(a->jpeg->plan);
    size_t bytes = g->width * g->height * (size_t)g->channels;
    for (int i = 0; i < a->count; i++)
        must(vj_jpeg_plan_decode(a->jpeg->plan, a->qf[i], a->out + (size_t)i * bytes,
                                 a->jpeg->scratch, NULL));
}

int vj_cuda_jpeg_decode(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                        uint8_t *d_out, struct vj_error *err)
{
    (void)err;
    struct jpeg_call a = jpeg_call(jpeg, qf, count);
    a.out = d_out;
    PUSH(stream, run_decode, a);
    return 0;
}

static void run_patches(const void *arguments)
{
    const struct jpeg_call *a = arguments;
    int channels = vj_jpeg_plan_geometry(a->jpeg->plan)->channels;
    size_t samples = a->patches * a->side * a->side;
    for (int i = 0; i < a->count; i++) {
        uint8_t *to = a->out + (size_t)i * samples * 3;
        uint8_t *grey = to + samples * 2;
        must(vj_jpeg_plan_patches(a->jpeg->plan, a->qf[i], a->origin, a->patches, a->side,
                                  channels == 3 ? to : grey, a->jpeg->scratch, NULL));
        for (size_t k = 0; channels == 1 && k < samples; k++)
            memset(to + 3 * k, grey[k], 3);
    }
}

int vj_cuda_jpeg_patches(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                         const int32_t (*d_origin)[2], size_t patches, size_t side, uint8_t *d_out,
                         struct vj_error *err)
{
    (void)err;
    struct jpeg_call a = jpeg_call(jpeg, qf, count);
    a.origin = d_origin;
    a.patches = patches;
    a.side = side;
    a.out = d_out;
    PUSH(stream, run_patches, a);
    return 0;
}

static void run_sizes(const void *arguments)
{
    const struct jpeg_call *a = arguments;
    for (int i = 0; i < a->count; i++)
        must(vj_jpeg_plan_size(a->jpeg->plan, a->qf[i], VJ_JPEG_CODING_STANDARD, &a->bytes[i],
                               a->jpeg->scratch, NULL));
}

int vj_cuda_jpeg_sizes(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                       int64_t *d_bytes, struct vj_error *err)
{
    (void)err;
    struct jpeg_call a = jpeg_call(jpeg, qf, count);
    a.bytes = d_bytes;
    PUSH(stream, run_sizes, a);
    return 0;
}

/* ---- cuda/jnd.h ---- */

struct vj_cuda_jnd {
    struct vj_jnd_workspace *workspace;
};

struct jnd_call {
    struct vj_cuda_jnd *jnd;
    const struct vj_jnd_model *model;
    size_t variant, width, height;
    int channels, count;
    const uint8_t *pixels, *luma;
    float *map;
    enum vj_jnd_scale scale;
    uint8_t *out;
    uint32_t *not_finite;
    double *share, *excess, *energy;
    uint64_t *square;
};

static size_t jnd_bytes(size_t width, size_t height)
{
    size_t most = 0;
    for (const struct vj_jnd_model *const *m = vj_jnd_models; *m; m++) {
        size_t bytes = vj_jnd_workspace_bytes(*m, width, height, 1);
        most = bytes > most ? bytes : most;
    }
    return most;
}

size_t vj_cuda_jnd_bytes(size_t max_width, size_t max_height, int levels)
{
    (void)levels;
    return jnd_bytes(max_width, max_height);
}

size_t vj_cuda_jnd_pinned_bytes(void)
{
    return 0;
}

int vj_cuda_jnd_create(struct vj_cuda_jnd **jnd, size_t max_width, size_t max_height, int levels,
                       struct vj_error *err)
{
    (void)levels;
    *jnd = calloc(1, sizeof(**jnd));
    if (!*jnd)
        return vj_fail(err, -ENOMEM, "out of memory");
    return vj_jnd_workspace_create(&(*jnd)->workspace, jnd_bytes(max_width, max_height), 1, err);
}

void vj_cuda_jnd_destroy(struct vj_cuda_jnd *jnd)
{
    if (!jnd)
        return;
    vj_jnd_workspace_free(jnd->workspace);
    free(jnd);
}

static void run_luma(const void *arguments)
{
    const struct jnd_call *a = arguments;
    const struct vj_image img = {a->width, a->height, a->channels, (uint8_t *)a->pixels};
    vj_jnd_luma(&img, a->out);
}

int vj_cuda_luma(cudaStream_t stream, const uint8_t *d_pixels, size_t width, size_t height,
                 int channels, uint8_t *d_luma, struct vj_error *err)
{
    (void)err;
    const struct jnd_call a = {
        .pixels = d_pixels, .width = width, .height = height, .channels = channels, .out = d_luma};
    PUSH(stream, run_luma, a);
    return 0;
}

static void run_map(const void *arguments)
{
    const struct jnd_call *a = arguments;
    const struct vj_jnd_job job = {.luma = a->luma,
                                   .width = a->width,
                                   .height = a->height,
                                   .variant = a->variant,
                                   .map = a->map};
    must(vj_jnd_run(a->model, &job, a->jnd->workspace, NULL));
}

int vj_cuda_jnd_compute(struct vj_cuda_jnd *jnd, cudaStream_t stream,
                        const struct vj_jnd_model *model, size_t variant, const uint8_t *d_luma,
                        size_t width, size_t height, float *d_map, struct vj_error *err)
{
    (void)err;
    /* The registry of this module, as a GPU's kernels would be: the caller's has other addresses.
     */
    const struct jnd_call a = {.jnd = jnd,
                               .model = vj_jnd_find(model->name, NULL),
                               .variant = variant,
                               .luma = d_luma,
                               .width = width,
                               .height = height,
                               .map = d_map};
    PUSH(stream, run_map, a);
    return 0;
}

static void run_to_u8(const void *arguments)
{
    const struct jnd_call *a = arguments;
    *a->not_finite = vj_jnd_to_u8(a->map, a->width * a->height, a->scale, a->out, NULL) != 0;
}

int vj_cuda_jnd_to_u8(struct vj_cuda_jnd *jnd, cudaStream_t stream, const float *d_map,
                      size_t width, size_t height, enum vj_jnd_scale scale, uint8_t *d_out,
                      uint32_t *d_not_finite, struct vj_error *err)
{
    (void)err;
    const struct jnd_call a = {.jnd = jnd,
                               .map = (float *)d_map,
                               .width = width,
                               .height = height,
                               .scale = scale,
                               .out = d_out,
                               .not_finite = d_not_finite};
    PUSH(stream, run_to_u8, a);
    return 0;
}

static void candidate_luma(const struct jnd_call *a, int i, uint8_t *luma)
{
    const uint8_t *pixels = a->pixels + (size_t)i * a->width * a->height * (size_t)a->channels;
    const struct vj_image img = {a->width, a->height, a->channels, (uint8_t *)pixels};
    vj_jnd_luma(&img, luma);
}

static void run_measure(const void *arguments)
{
    const struct jnd_call *a = arguments;
    size_t n = a->width * a->height;
    uint8_t *luma = vj_alloc_aligned(n, 1);
    must(luma ? 0 : -ENOMEM);
    for (int i = 0; i < a->count; i++) {
        struct vj_jnd_statistics s;
        candidate_luma(a, i, luma);
        vj_jnd_measure(luma, a->luma, a->map, n, 0, &s);
        if (a->share)
            a->share[i] = s.share;
        if (a->excess)
            a->excess[i] = s.excess;
        if (!a->square)
            continue;
        a->square[i] = 0;
        for (size_t k = 0; k < n; k++) {
            int difference = (int)luma[k] - (int)a->luma[k];
            a->square[i] += (uint64_t)(difference * difference);
        }
    }
    free(luma);
}

static void run_noise_energy(const void *arguments)
{
    const struct jnd_call *a = arguments;
    *a->energy = vj_jnd_noise_energy(a->map, a->width * a->height);
}

int vj_cuda_jnd_measure(struct vj_cuda_jnd *jnd, cudaStream_t stream, const uint8_t *d_candidates,
                        int count, size_t width, size_t height, int channels,
                        const uint8_t *d_reference_luma, const float *d_map, double *d_share,
                        double *d_excess, uint64_t *d_square, struct vj_error *err)
{
    (void)err;
    const struct jnd_call a = {.jnd = jnd,
                               .pixels = d_candidates,
                               .count = count,
                               .width = width,
                               .height = height,
                               .channels = channels,
                               .luma = d_reference_luma,
                               .map = (float *)d_map,
                               .share = d_share,
                               .excess = d_excess,
                               .square = d_square};
    PUSH(stream, run_measure, a);
    return 0;
}

int vj_cuda_jnd_noise_energy(struct vj_cuda_jnd *jnd, cudaStream_t stream, size_t width,
                             size_t height, const float *d_map, double *d_energy,
                             struct vj_error *err)
{
    (void)err;
    const struct jnd_call a = {
        .jnd = jnd, .width = width, .height = height, .map = (float *)d_map, .energy = d_energy};
    PUSH(stream, run_noise_energy, a);
    return 0;
}

/* ---- cuda/patch.h ---- */

struct gather_call {
    const uint8_t *pictures;
    size_t width, height;
    int channels, count, out_channels;
    const int32_t (*origin)[2];
    size_t patches, side;
    uint8_t *out;
};

static void run_gather(const void *arguments)
{
    const struct gather_call *a = arguments;
    size_t in = (size_t)a->channels, out = (size_t)a->out_channels, k = 0;
    for (size_t i = 0; i < (size_t)a->count; i++)
        for (size_t p = 0; p < a->patches; p++)
            for (size_t y = 0; y < a->side; y++)
                for (size_t x = 0; x < a->side; x++)
                    for (size_t c = 0; c < out; c++, k++) {
                        size_t row = i * a->height + (size_t)a->origin[p][0] + y;
                        size_t at = row * a->width + (size_t)a->origin[p][1] + x;
                        a->out[k] = a->pictures[at * in + (in == 3 ? c : 0)];
                    }
}

int vj_cuda_gather(cudaStream_t stream, const uint8_t *d_pictures, size_t width, size_t height,
                   int channels, int count, const int32_t (*d_origin)[2], size_t patches,
                   size_t side, int out_channels, uint8_t *d_out, struct vj_error *err)
{
    if (getenv("VPJND_EMULATE_GATHER"))
        return vj_fail(err, -EIO, "the emulation does not cut out patches");
    const struct gather_call a = {d_pictures,   width,    height,  channels, count,
                                  out_channels, d_origin, patches, side,     d_out};
    PUSH(stream, run_gather, a);
    return 0;
}

/* ---- networks ---- */

struct vj_cuda_networks {
    const struct vj_cuda_sizes *sizes;
    struct vj_net **net;
    struct vj_net_work **work;
    struct vj_net_reference **reference; /* [networks][slots][draws] */
};

struct network_call {
    struct vj_cuda_networks *networks;
    struct vj_cuda_slot_buffers buffers;
    int slot, draw, count;
    size_t network;
};

static size_t references(const struct vj_cuda_sizes *s)
{
    return (size_t)s->plan.slots * (size_t)s->plan.draws;
}

static struct vj_net_reference **reference_of(const struct vj_cuda_networks *n, size_t network,
                                              int slot, int draw)
{
    size_t side = (size_t)slot * (size_t)n->sizes->plan.draws + (size_t)draw;
    return &n->reference[network * references(n->sizes) + side];
}

int vj_cuda_networks_open(struct vj_cuda_networks **networks, const struct vj_cuda_sizes *sizes,
                          struct vj_error *err)
{
    const struct vj_device_plan *plan = &sizes->plan;
    struct vj_cuda_networks *n = *networks = calloc(1, sizeof(*n));
    must(n ? 0 : -ENOMEM);
    n->sizes = sizes;
    n->net = calloc(plan->weights_count, sizeof(struct vj_net *));
    n->work = calloc(plan->weights_count, sizeof(struct vj_net_work *));
    n->reference =
        calloc(plan->weights_count * references(sizes), sizeof(struct vj_net_reference *));
    must(n->net && n->work && n->reference ? 0 : -ENOMEM);
    int r = 0;
    for (size_t i = 0; !r && i < plan->weights_count; i++) {
        r = vj_net_create(&n->net[i], plan->weights[i], err);
        if (!r)
            r = vj_net_work_create(&n->work[i], n->net[i], 1, err);
        for (int s = 0; !r && s < plan->slots; s++)
            for (int d = 0; !r && d < plan->draws; d++)
                r = vj_net_reference_create(reference_of(n, i, s, d), n->net[i],
                                            (size_t)plan->patches, err);
    }
    return r;
}

void vj_cuda_networks_close(struct vj_cuda_networks *n)
{
    if (!n)
        return;
    size_t networks = n->sizes->plan.weights_count;
    for (size_t i = 0; i < networks * references(n->sizes); i++)
        vj_net_reference_free(n->reference[i]);
    for (size_t i = 0; i < networks; i++) {
        vj_net_work_free(n->work[i]);
        vj_net_free(n->net[i]);
    }
    free(n->reference);
    free(n->work);
    free(n->net);
    free(n);
}

void vj_cuda_networks_bytes(const struct vj_cuda_networks *n, size_t *weights, size_t *work)
{
    (void)n;
    *weights = *work = 0;
}

static void run_reference(const void *arguments)
{
    const struct network_call *a = arguments;
    const struct vj_device_plan *plan = &a->networks->sizes->plan;
    size_t patches = (size_t)plan->patches, bytes = a->networks->sizes->patch;
    for (int d = 0; d < plan->draws; d++) {
        size_t first = (size_t)d * patches;
        must(vj_net_reference_load(*reference_of(a->networks, a->network, a->slot, d),
                                   a->networks->work[a->network],
                                   a->buffers.patches_reference + first * bytes,
                                   a->buffers.patches_jnd + first * (bytes / 3), patches, NULL));
    }
}

int vj_cuda_networks_reference(struct vj_cuda_networks *networks, cudaStream_t stream, int slot,
                               const struct vj_cuda_slot_buffers *buffers, const bool *wanted,
                               struct vj_error *err)
{
    (void)err;
    for (size_t i = 0; i < networks->sizes->plan.weights_count; i++) {
        const struct network_call a = {
            .networks = networks, .buffers = *buffers, .slot = slot, .network = i};
        if (wanted[i])
            PUSH(stream, run_reference, a);
    }
    return 0;
}

static void run_scores(const void *arguments)
{
    const struct network_call *a = arguments;
    const struct vj_cuda_sizes *sizes = a->networks->sizes;
    size_t first = (size_t)a->draw * (size_t)a->count * (size_t)sizes->plan.patches;
    must(vj_net_scores(a->networks->work[a->network],
                       *reference_of(a->networks, a->network, a->slot, a->draw),
                       a->buffers.patches + first * sizes->patch, (size_t)a->count,
                       a->buffers.score, a->buffers.quality, a->buffers.weight, NULL));
}

int vj_cuda_networks_scores(struct vj_cuda_networks *networks, cudaStream_t stream, int slot,
                            const struct vj_cuda_slot_buffers *buffers, size_t network, int draw,
                            int count, struct vj_error *err)
{
    (void)err;
    const struct network_call a = {.networks = networks,
                                   .buffers = *buffers,
                                   .slot = slot,
                                   .draw = draw,
                                   .count = count,
                                   .network = network};
    PUSH(stream, run_scores, a);
    return 0;
}

void vj_cuda_networks_algorithms(const struct vj_cuda_networks *n, size_t network, char *text,
                                 size_t size)
{
    (void)n;
    snprintf(text, size, "emulated\nnetwork %zu\n", network);
}

void vj_cuda_networks_libraries(char *text, size_t size)
{
    snprintf(text, size, "emulated");
}

/* Training has its own emulation, emulate_train.c; the module's table must name something. */
const struct vj_trainer_ops vj_trainer_cuda = {.name = "cuda"};
