/* SPDX-License-Identifier: MIT */
/*
 * The CUDA device: the table of host/device.h. What lies where and which event orders what stands
 * in cuda/device_internal.h.
 *
 * Calls only enqueue: they return while the GPU works, and the values arrive with wait(). A call
 * blocks in three cases alone: its slot still has a picture, or other positions, on its way, the
 * results on their way have no more room, or candidates are files and both ring buffers are in use.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/check.h"
#include "cuda/device_internal.h"
#include "cuda/geometry.h"
#include "cuda/jnd.h"
#include "cuda/jpeg.h"
#include "cuda/patch.h"
#include "cuda/quality.h"
#include "cuda/ssimulacra2.h"
#include "host/checked.h"

/* Picks the GPU for the calling thread and finds the slot. */
static int enter(struct vj_cuda_device *dev, int slot, struct vj_cuda_slot **s,
                 struct vj_error *err)
{
    if (slot < 0 || slot >= dev->sizes.plan.slots)
        return vj_fail(err, -EINVAL, "slot %d of %d", slot, dev->sizes.plan.slots);
    *s = &dev->slot[slot];
    return VJ_CUDA(cudaSetDevice(dev->ordinal), err);
}

/* The end of every call that enqueues: wait() covers what was asked for, whatever came of it. */
static int leave(struct vj_cuda_device *dev, struct vj_cuda_slot *s, int r, struct vj_error *err)
{
    const int marked = VJ_CUDA(cudaEventRecord(s->done, dev->compute), r ? NULL : err);
    if (r || marked)
        s->broken = true;
    return r ? r : marked;
}

/* ---- results ---- */

static void deliver_candidates(const struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                               const struct vj_cuda_record *record)
{
    const uint8_t *from = s->host.results + record->offset;
    size_t count = (size_t)record->count;
    if (record->sizes)
        memcpy(record->out.bytes, from, count * sizeof(int64_t));
    from += count * sizeof(int64_t);
    if (record->quality)
        vj_cuda_quality_finish(s->quality, (const struct vj_cuda_quality_sums *)(const void *)from,
                               record->count, record->out.quality);
    from += count * sizeof(struct vj_cuda_quality_sums);
    if (record->ssimulacra2) {
        vj_cuda_ssimulacra2_finish(s->ssimulacra2,
                                   (const struct vj_ssimulacra2_totals *)(const void *)from,
                                   record->count, record->out.ssimulacra2);
        from += count * sizeof(struct vj_ssimulacra2_totals);
    }
    if (record->rules)
        vj_cuda_rules_deliver(dev, s, record, from);
}

static int deliver_scores(const struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                          const struct vj_cuda_record *record, struct vj_error *err)
{
    size_t count = (size_t)record->count, values = count * (size_t)dev->sizes.plan.patches;
    const float *score = (const float *)(const void *)(s->host.results + record->offset);
    memcpy(record->score, score, count * sizeof(float));
    if (record->patch_quality)
        memcpy(record->patch_quality, score + count, values * sizeof(float));
    if (record->patch_weight)
        memcpy(record->patch_weight, score + count + values, values * sizeof(float));
    for (size_t i = 0; dev->sizes.plan.precision == VJ_PRECISION_FP16 && i < count; i++)
        if (isnan(score[i]))
            return vj_fail(err, -ERANGE,
                           "network %zu leaves the range of half precision on this picture; use "
                           "precision = tf32 or fp32",
                           record->network + 1);
    return 0;
}

/* Waits for the slot and hands over what it has; afterwards nothing of it is on its way. */
static int drain(struct vj_cuda_device *dev, struct vj_cuda_slot *s, struct vj_error *err)
{
    int r;
    if (s->broken) {
        r = VJ_CUDA(cudaStreamSynchronize(dev->copy), err);
        if (!r)
            r = VJ_CUDA(cudaStreamSynchronize(dev->compute), err);
        s->broken = false;
    } else {
        r = VJ_CUDA(cudaEventSynchronize(s->done), err);
    }
    if (!r && s->map8_unchecked && *s->host.not_finite)
        r = vj_fail(err, -EDOM, "the pixel-JND map that feeds the networks is not finite");
    s->map8_unchecked = false;
    for (int i = 0; !r && i < s->results.count; i++)
        if (s->record[i].scores)
            r = deliver_scores(dev, s, &s->record[i], err);
        else
            deliver_candidates(dev, s, &s->record[i]);
    s->results.count = 0;
    s->results.used = 0;
    return r;
}

/* A record with room for its results; may have to deliver the ones before it. */
static int add_record(struct vj_cuda_device *dev, struct vj_cuda_slot *s, size_t bytes,
                      struct vj_cuda_record **record, struct vj_error *err)
{
    size_t offset;
    if (!vj_cuda_results_take(&s->results, bytes, &offset)) {
        int r = drain(dev, s, err);
        if (r)
            return r;
        if (!vj_cuda_results_take(&s->results, bytes, &offset))
            return vj_fail(err, -ENOSPC, "results of %zu bytes, there is room for %zu", bytes,
                           s->results.size);
    }
    *record = &s->record[s->results.count - 1];
    **record = (struct vj_cuda_record){.offset = offset};
    return 0;
}

static int bring_back(struct vj_cuda_device *dev, struct vj_cuda_slot *s, size_t offset,
                      const void *gpu, size_t bytes, struct vj_error *err)
{
    return VJ_CUDA(
        cudaMemcpyAsync(s->host.results + offset, gpu, bytes, cudaMemcpyDeviceToHost, dev->compute),
        err);
}

/* ---- opening ---- */

static void close_slot(struct vj_cuda_slot *s)
{
    vj_cuda_jpeg_destroy(s->jpeg);
    vj_cuda_jnd_destroy(s->jnd);
    vj_cuda_quality_destroy(s->quality);
    vj_cuda_ssimulacra2_destroy(s->ssimulacra2);
    if (s->arrived)
        cudaEventDestroy(s->arrived);
    if (s->done)
        cudaEventDestroy(s->done);
    cudaFree(s->gpu_memory);
    cudaFreeHost(s->host_memory);
    free(s->record);
    free(s->wanted);
}

static void close_ring(struct vj_cuda_ring *ring)
{
    if (ring->filled)
        cudaEventDestroy(ring->filled);
    if (ring->free)
        cudaEventDestroy(ring->free);
    cudaFree(ring->gpu);
    cudaFreeHost(ring->host);
}

static void cuda_close(void *state)
{
    struct vj_cuda_device *dev = state;
    if (!dev)
        return;
    cudaSetDevice(dev->ordinal);
    cudaDeviceSynchronize();
    vj_cuda_forget_error();
    vj_cuda_networks_close(dev->networks);
    for (int i = 0; dev->slot && i < dev->sizes.plan.slots; i++)
        close_slot(&dev->slot[i]);
    free(dev->slot);
    for (int i = 0; i < VJ_CUDA_RING; i++)
        close_ring(&dev->ring[i]);
    if (dev->copy)
        cudaStreamDestroy(dev->copy);
    if (dev->compute)
        cudaStreamDestroy(dev->compute);
    free(dev);
}

static int make_event(cudaEvent_t *event, struct vj_error *err)
{
    return VJ_CUDA(cudaEventCreateWithFlags(event, cudaEventDisableTiming | cudaEventBlockingSync),
                   err);
}

static int check_maps(const struct vj_device_plan *plan, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < plan->jnd_count; i++)
        r = vj_cuda_jnd_supported(plan->jnd[i].model, plan->jnd[i].variant, err);
    return r;
}

/* What a slot's objects take; the networks' bytes are known once they are open. */
static struct vj_cuda_object_bytes object_bytes(const struct vj_cuda_device *dev)
{
    const struct vj_cuda_sizes *s = &dev->sizes;
    const struct vj_device_plan *p = &s->plan;
    struct vj_cuda_object_bytes bytes = {
        .jpeg = vj_cuda_jpeg_bytes(p->max_width, p->max_height, 3, p->sampling, p->levels)};
    if (p->jnd_count > 0) {
        bytes.jnd = vj_cuda_jnd_bytes(p->max_width, p->max_height, s->ring);
        bytes.jnd_pinned = vj_cuda_jnd_pinned_bytes();
    }
    if (p->quality)
        bytes.quality = vj_cuda_quality_bytes(p->max_width, p->max_height, p->quality, s->ring);
    if (p->ssimulacra2)
        bytes.ssimulacra2 =
            vj_cuda_ssimulacra2_bytes(p->max_width, p->max_height, p->ssimulacra2, s->ring);
    vj_cuda_networks_bytes(dev->networks, &bytes.networks, &bytes.network_work);
    return bytes;
}

/* Refuses before the first large allocation, with numbers. */
static int check_free(struct vj_cuda_device *dev, struct vj_error *err)
{
    const struct vj_cuda_object_bytes bytes = object_bytes(dev);
    size_t free_bytes, total;
    int r = vj_cuda_memory(&dev->sizes, &bytes, &dev->on_gpu, &dev->pinned, err);
    if (!r)
        r = VJ_CUDA(cudaMemGetInfo(&free_bytes, &total), err);
    size_t here = dev->on_gpu - bytes.networks - bytes.network_work;
    if (!r && here > free_bytes)
        r = vj_fail(err, -ENOMEM,
                    "the run needs %zu MiB more on GPU %d for pictures of %zux%zu, %zu MiB are "
                    "free; lower slots or patches",
                    here >> 20, dev->ordinal, dev->sizes.plan.max_width, dev->sizes.plan.max_height,
                    free_bytes >> 20);
    return r;
}

static int open_objects(const struct vj_cuda_device *dev, struct vj_cuda_slot *s,
                        struct vj_error *err)
{
    const struct vj_device_plan *p = &dev->sizes.plan;
    int r =
        vj_cuda_jpeg_create(&s->jpeg, p->max_width, p->max_height, 3, p->sampling, p->levels, err);
    if (!r && p->jnd_count > 0)
        r = vj_cuda_jnd_create(&s->jnd, p->max_width, p->max_height, dev->sizes.ring, err);
    if (!r && p->quality)
        r = vj_cuda_quality_create(&s->quality, p->max_width, p->max_height, p->quality,
                                   dev->sizes.ring, err);
    if (!r && p->ssimulacra2)
        r = vj_cuda_ssimulacra2_create(&s->ssimulacra2, p->max_width, p->max_height, p->ssimulacra2,
                                       dev->sizes.ring, err);
    return r;
}

static int open_slot(struct vj_cuda_device *dev, struct vj_cuda_slot *s, struct vj_error *err)
{
    struct vj_cuda_slot_buffers counted;
    struct vj_cuda_slot_staging counted_host;
    size_t gpu = vj_cuda_slot_buffers_place(&dev->sizes, NULL, &counted);
    size_t host = vj_cuda_slot_staging_place(&dev->sizes, NULL, &counted_host);
    int r = make_event(&s->arrived, err);
    if (!r)
        r = make_event(&s->done, err);
    if (!r)
        r = VJ_CUDA(cudaMalloc((void **)&s->gpu_memory, gpu), err);
    if (!r)
        r = VJ_CUDA(cudaHostAlloc((void **)&s->host_memory, host, cudaHostAllocDefault), err);
    if (r)
        return r;
    vj_cuda_slot_buffers_place(&dev->sizes, s->gpu_memory, &s->gpu);
    vj_cuda_slot_staging_place(&dev->sizes, s->host_memory, &s->host);
    s->results =
        (struct vj_cuda_results){.size = dev->sizes.result_bytes, .most = dev->sizes.results};
    s->record = vj_calloc((size_t)dev->sizes.results, sizeof(*s->record));
    s->wanted = vj_calloc(dev->sizes.plan.weights_count, sizeof(*s->wanted));
    if (!s->record || !s->wanted)
        return vj_fail(err, -ENOMEM, "out of memory");
    return open_objects(dev, s, err);
}

static int open_ring(struct vj_cuda_device *dev, struct vj_error *err)
{
    size_t bytes = vj_cuda_ring_bytes(&dev->sizes) / VJ_CUDA_RING;
    int r = 0;
    for (int i = 0; !r && i < VJ_CUDA_RING; i++) {
        struct vj_cuda_ring *ring = &dev->ring[i];
        r = make_event(&ring->filled, err);
        if (!r)
            r = make_event(&ring->free, err);
        if (!r)
            r = VJ_CUDA(cudaMalloc((void **)&ring->gpu, bytes), err);
        if (!r)
            r = VJ_CUDA(cudaHostAlloc((void **)&ring->host, bytes, cudaHostAllocDefault), err);
    }
    return r;
}

static int open_all(struct vj_cuda_device *dev, struct vj_error *err)
{
    const struct vj_device_plan *plan = &dev->sizes.plan;
    int r = vj_cuda_probe(dev->ordinal, dev->name, sizeof(dev->name), err);
    if (!r)
        r = VJ_CUDA(cudaStreamCreateWithFlags(&dev->copy, cudaStreamNonBlocking), err);
    if (!r)
        r = VJ_CUDA(cudaStreamCreateWithFlags(&dev->compute, cudaStreamNonBlocking), err);
    if (!r && plan->weights_count > 0)
        r = vj_cuda_networks_open(&dev->networks, &dev->sizes, err);
    if (!r)
        r = check_free(dev, err);
    if (!r)
        r = open_ring(dev, err);
    for (int i = 0; !r && i < plan->slots; i++)
        r = open_slot(dev, &dev->slot[i], err);
    return r;
}

static int cuda_open(void **state, const struct vj_device_plan *plan, int ordinal,
                     struct vj_error *err)
{
    *state = NULL;
    struct vj_cuda_device *dev = vj_calloc(1, sizeof(*dev));
    if (!dev)
        return vj_fail(err, -ENOMEM, "out of memory");
    dev->ordinal = ordinal;
    int r = vj_cuda_sizes_make(&dev->sizes, plan, err);
    if (!r)
        r = check_maps(plan, err);
    if (!r) {
        dev->slot = vj_calloc((size_t)plan->slots, sizeof(*dev->slot));
        r = dev->slot ? open_all(dev, err) : vj_fail(err, -ENOMEM, "out of memory");
    }
    if (r) {
        cuda_close(dev);
        return r;
    }
    *state = dev;
    return 0;
}

static void cuda_info(const void *state, struct vj_device_info *info)
{
    static const char *const precisions[] = {"fp32", "tf32", "fp16"};
    const struct vj_cuda_device *dev = state;
    char libraries[128];
    int runtime = 0;
    cudaRuntimeGetVersion(&runtime);
    vj_cuda_networks_libraries(libraries, sizeof(libraries));
    snprintf(info->name, sizeof(info->name), "CUDA:%d %.70s, %u MiB, %u MiB pinned", dev->ordinal,
             dev->name, (unsigned)(dev->on_gpu >> 20), (unsigned)(dev->pinned >> 20));
    snprintf(info->libraries, sizeof(info->libraries),
             "CUDA %d.%d, %s; %.80s, %s, %zu patches per batch", runtime / 1000,
             runtime % 1000 / 10, libraries, dev->name, precisions[dev->sizes.plan.precision],
             dev->sizes.rows);
    info->memory = dev->on_gpu + dev->pinned;
}

/* ---- pictures ---- */

static int check_picture(const struct vj_cuda_device *dev, const struct vj_image *source,
                         const struct vj_image *reference, struct vj_error *err)
{
    const struct vj_device_plan *plan = &dev->sizes.plan;
    if (source->width > plan->max_width || source->height > plan->max_height)
        return vj_fail(err, -EFBIG, "picture of %zux%zu is larger than the planned %zux%zu",
                       source->width, source->height, plan->max_width, plan->max_height);
    if (source->channels != 1 && source->channels != 3)
        return vj_fail(err, -EINVAL, "picture with %d channels: 1 or 3 are known",
                       source->channels);
    if (reference && (reference->width != source->width || reference->height != source->height ||
                      reference->channels != source->channels))
        return vj_fail(err, -EINVAL,
                       "the reference has %zux%zu pixels and %d channels, its source %zux%zu and "
                       "%d",
                       reference->width, reference->height, reference->channels, source->width,
                       source->height, source->channels);
    return 0;
}

static size_t picture_bytes(const struct vj_cuda_slot *s)
{
    return s->width * s->height * (size_t)s->channels;
}

/* Host to GPU through pinned memory, on the copy stream. */
static int send(const struct vj_cuda_device *dev, void *gpu, void *pinned, const void *from,
                size_t bytes, struct vj_error *err)
{
    memcpy(pinned, from, bytes);
    return VJ_CUDA(cudaMemcpyAsync(gpu, pinned, bytes, cudaMemcpyHostToDevice, dev->copy), err);
}

/* From here on the compute stream sees what was sent. */
static int sent(const struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                struct vj_error *err)
{
    int r = VJ_CUDA(cudaEventRecord(s->arrived, dev->copy), err);
    return r ? r : VJ_CUDA(cudaStreamWaitEvent(dev->compute, s->arrived, 0), err);
}

static int load_picture(struct vj_cuda_device *dev, struct vj_cuda_slot *s,
                        const struct vj_image *source, const struct vj_image *reference,
                        int anchor_qf, struct vj_error *err)
{
    const struct vj_device_plan *plan = &dev->sizes.plan;
    size_t bytes = picture_bytes(s);
    int r = send(dev, s->gpu.source, s->host.source, source->data, bytes, err);
    if (!r && reference)
        r = send(dev, s->gpu.reference, s->host.reference, reference->data, bytes, err);
    if (!r)
        r = sent(dev, s, err);
    if (!r)
        r = vj_cuda_jpeg_load(s->jpeg, dev->compute, s->gpu.source, s->width, s->height,
                              s->channels, plan->sampling, err);
    if (!r && !reference && anchor_qf != 0)
        r = vj_cuda_jpeg_decode(s->jpeg, dev->compute, &anchor_qf, 1, s->gpu.reference, err);
    s->reference = reference || anchor_qf != 0 ? s->gpu.reference : s->gpu.source;
    if (!r && plan->quality)
        r = vj_cuda_quality_load(s->quality, dev->compute, s->reference, s->width, s->height,
                                 s->channels, err);
    if (!r && plan->ssimulacra2)
        r = vj_cuda_ssimulacra2_load(s->ssimulacra2, dev->compute, s->reference, s->width,
                                     s->height, s->channels, err);
    if (!r && dev->sizes.rules > 0)
        r = vj_cuda_luma(dev->compute, s->reference, s->width, s->height, s->channels, s->gpu.luma,
                         err);
    return r;
}

static int cuda_source(void *state, int slot, const struct vj_image *source,
                       const struct vj_image *reference, int anchor_qf, struct vj_error *err)
{
    struct vj_cuda_device *dev = state;
    struct vj_cuda_slot *s = NULL;
    int r = enter(dev, slot, &s, err);
    if (!r)
        r = check_picture(dev, source, reference, err);
    if (!r)
        r = drain(dev, s, err);
    if (r)
        return r;
    s->loaded = s->mapped = s->placed = false;
    s->kept = 0;
    s->width = source->width;
    s->height = source->height;
    s->channels = source->channels;
    r = load_picture(dev, s, source, reference, anchor_qf, err);
    s->loaded = r == 0;
    return leave(dev, s, r, err);
}

static int need_loaded(const struct vj_cuda_slot *s, int slot, struct vj_error *err)
{
    return s->loaded ? 0 : vj_fail(err, -EINVAL, "no picture is loaded into slot %d", slot);
}

/* Whether a network is fed with a pixel-JND map. */
static bool sees_map(const struct vj_cuda_device *dev)
{
    return dev->sizes.plan.weights_count > 0 && dev->sizes.plan.net_jnd >= 0;
}

static int make_map8(struct vj_cuda_device *dev, struct vj_cuda_slot *s, struct vj_error *err)
{
    const struct vj_device_plan *plan = &dev->sizes.plan;
    int r = vj_cuda_jnd_to_u8(s->jnd, dev->compute, s->gpu.map[plan->net_jnd], s->width, s->height,
                              plan->net_scale, s->gpu.map8, s->gpu.not_finite, err);
    if (!r)
        r = VJ_CUDA(cudaMemcpyAsync(s->host.not_finite, s->gpu.not_finite, sizeof(uint32_t),
                                    cudaMemcpyDeviceToHost, dev->compute),
                    err);
    s->map8_unchecked = r == 0;
    return r;
}

static int cuda_jnd_maps(void *state, int slot, struct vj_error *err)
{
    struct vj_cuda_device *dev = state;
    const struct vj_device_plan *plan = &dev->sizes.plan;
    struct vj_cuda_slot *s = NULL;
    int r = enter(dev, slot, &s, err);
    if (!r)
        r = need_loaded(s, slot, err);
    if (r || plan->jnd_count == 0)
        return r;
    r = vj_cuda_luma(dev->compute, plan->jnd_from_anchor ? s->reference : s->gpu.source, s->width,
                     s->height, s->channels, s->gpu.jnd_luma, err);
    for (size_t i = 0; !r && i < plan->jnd_count; i++)
        r = vj_cuda_jnd_compute(s->jnd, dev->compute, plan->jnd[i].model, plan->jnd[i].variant,
                                s->gpu.jnd_luma, s->width, s->height, s->gpu.map[i], err);
    if (!r && dev->sizes.noises > 0)
        r = vj_cuda_rules_energies(dev, s, err);
    if (!r && sees_map(dev))
        r = make_map8(dev, s, err);
    s->mapped = r == 0;
    return leave(dev, s, r, err);
}

static int gather_reference(struct vj_cuda_device *dev, struct vj_cuda_slot *s,
                            struct vj_error *err)
{
    size_t side = (size_t)dev->sizes.plan.patch_size;
    int r = vj_cuda_gather(dev->compute, s->reference, s->width, s->height, s->channels, 1,
                           (const int32_t(*)[2])s->gpu.origin, dev->sizes.positions, side, 3,
                           s->gpu.patches_reference, err);
    if (!r && sees_map(dev))
        r = vj_cuda_gather(dev->compute, s->gpu.map8, s->width, s->height, 1, 1,
                           (const int32_t(*)[2])s->gpu.jnd_origin, dev->sizes.positions, side, 1,
                           s->gpu.patches_jnd, err);
    return r;
}

static int check_positions(const struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                           const int32_t (*origin)[2], const int32_t (*jnd_origin)[2],
                           struct vj_error *err)
{
    size_t side = (size_t)dev->sizes.plan.patch_size;
    int r = vj_cuda_check_origins(origin, dev->sizes.positions, side, s->width, s->height, err);
    if (!r)
        r = vj_cuda_check_origins(jnd_origin, dev->sizes.positions, side, s->width, s->height, err);
    return r;
}

static int cuda_positions(void *state, int slot, const int32_t (*origin)[2],
                          const int32_t (*jnd_origin)[2], const bool *wanted, struct vj_error *err)
{
    struct vj_cuda_device *dev = state;
    struct vj_cuda_slot *s = NULL;
    size_t bytes = dev->sizes.positions * sizeof(*origin);
    int r = enter(dev, slot, &s, err);
    if (!r)
        r = need_loaded(s, slot, err);
    if (r || dev->sizes.plan.weights_count == 0)
        return r;
    if (sees_map(dev) && !s->mapped)
        return vj_fail(err, -EINVAL, "positions before the pixel-JND maps of slot %d", slot);
    if (!jnd_origin)
        jnd_origin = origin;
    r = check_positions(dev, s, origin, jnd_origin, err);
    /* The positions before may still be on their way to the GPU, those of a failed call too. */
    if (!r && (s->placed || s->broken))
        r = drain(dev, s, err);
    if (r)
        return r;
    for (size_t n = 0; n < dev->sizes.plan.weights_count; n++)
        s->wanted[n] = !wanted || wanted[n];
    s->kept = 0; /* patches of the positions before */
    r = send(dev, s->gpu.origin, s->host.origin, origin, bytes, err);
    if (!r)
        r = send(dev, s->gpu.jnd_origin, s->host.jnd_origin, jnd_origin, bytes, err);
    if (!r)
        r = sent(dev, s, err);
    if (!r)
        r = gather_reference(dev, s, err);
    if (!r)
        r = vj_cuda_networks_reference(dev->networks, dev->compute, slot, &s->gpu, s->wanted, err);
    s->placed = r == 0;
    return leave(dev, s, r, err);
}

/* ---- candidates ---- */

/* What one candidates() call does, passed down to its steps. */
struct job {
    struct vj_cuda_device *dev;
    struct vj_cuda_slot *slot;
    const struct vj_candidate_request *request;
    const struct vj_candidate_values *out;
    bool quality, ssimulacra2, rules;
};

/* Where the patches of draw d of kept candidate i go: [draws][count][patches]. */
static uint8_t *kept_patch(const struct job *job, int draw, int i)
{
    const struct vj_cuda_sizes *sizes = &job->dev->sizes;
    size_t row = (size_t)draw * (size_t)job->request->count + (size_t)i;
    return job->slot->gpu.patches + row * (size_t)sizes->plan.patches * sizes->patch;
}

static const int32_t (*origin_of(const struct job *job, int draw))[2]
{
    size_t first = (size_t)draw * (size_t)job->dev->sizes.plan.patches;
    return (const int32_t(*)[2])(job->slot->gpu.origin + first);
}

/* Metrics and patches of `n` whole candidates that lie in a ring buffer, the first being `first`.
 */
static int use_pictures(const struct job *job, const uint8_t *pictures, int first, int n,
                        struct vj_error *err)
{
    const struct vj_device_plan *plan = &job->dev->sizes.plan;
    const struct vj_cuda_slot *s = job->slot;
    cudaStream_t stream = job->dev->compute;
    int r = 0;
    if (job->quality)
        r = vj_cuda_quality_compute(s->quality, stream, pictures, n, s->gpu.sums + first, err);
    if (!r && job->ssimulacra2)
        r = vj_cuda_ssimulacra2_compute(s->ssimulacra2, stream, pictures, n, s->gpu.totals + first,
                                        err);
    if (!r && job->rules)
        r = vj_cuda_rules_measure(job->dev, s, pictures, first, n, err);
    for (int d = 0; !r && job->request->patches && d < plan->draws; d++)
        r = vj_cuda_gather(stream, pictures, s->width, s->height, s->channels, n, origin_of(job, d),
                           (size_t)plan->patches, (size_t)plan->patch_size, 3,
                           kept_patch(job, d, first), err);
    return r;
}

static struct vj_cuda_ring *next_ring(struct vj_cuda_device *dev)
{
    struct vj_cuda_ring *ring = &dev->ring[dev->next_ring];
    dev->next_ring = (dev->next_ring + 1) % VJ_CUDA_RING;
    return ring;
}

/* Of a failed call too: what it has enqueued may still use the buffer. */
static int release(struct vj_cuda_device *dev, struct vj_cuda_ring *ring, int r,
                   struct vj_error *err)
{
    const int marked = VJ_CUDA(cudaEventRecord(ring->free, dev->compute), r ? NULL : err);
    return r ? r : marked;
}

/* Candidates made from the source's transform: whole ones only where something measures them. */
static int synthesize(const struct job *job, struct vj_error *err)
{
    const struct vj_device_plan *plan = &job->dev->sizes.plan;
    const struct vj_candidate_request *q = job->request;
    struct vj_cuda_slot *s = job->slot;
    cudaStream_t stream = job->dev->compute;
    int r = 0;
    if (q->sizes)
        r = vj_cuda_jpeg_sizes(s->jpeg, stream, q->qf, q->count, s->gpu.bytes, err);
    if (!job->quality && !job->ssimulacra2 && !job->rules) {
        for (int d = 0; !r && q->patches && d < plan->draws; d++)
            r = vj_cuda_jpeg_patches(s->jpeg, stream, q->qf, q->count, origin_of(job, d),
                                     (size_t)plan->patches, (size_t)plan->patch_size,
                                     kept_patch(job, d, 0), err);
        return r;
    }
    for (int first = 0; !r && first < q->count; first += job->dev->sizes.ring) {
        struct vj_cuda_ring *ring = next_ring(job->dev);
        int n = vj_cuda_min(q->count - first, job->dev->sizes.ring);
        r = vj_cuda_jpeg_decode(s->jpeg, stream, q->qf + first, n, ring->gpu, err);
        if (!r)
            r = use_pictures(job, ring->gpu, first, n, err);
        r = release(job->dev, ring, r, err);
    }
    return r;
}

/* One candidate file into its place in pinned memory. */
static int fetch_one(const struct job *job, int i, uint8_t *to, struct vj_error *err)
{
    const struct vj_candidate_request *q = job->request;
    const struct vj_cuda_slot *s = job->slot;
    struct vj_image file = {0};
    int64_t bytes = 0;
    int r = q->fetch(q->user, q->qf[i], &file, &bytes, err);
    if (r) {
        if (!err->code)
            vj_fail(err, r, "candidate at quality factor %d: %s", q->qf[i], strerror(-r));
        return r;
    }
    if (file.width != s->width || file.height != s->height || file.channels != s->channels)
        r = vj_fail(err, -EINVAL,
                    "the candidate at quality factor %d has %zux%zu pixels and %d channels, its "
                    "source %zux%zu and %d",
                    q->qf[i], file.width, file.height, file.channels, s->width, s->height,
                    s->channels);
    else
        memcpy(to, file.data, picture_bytes(s));
    if (!r && q->sizes)
        job->out->bytes[i] = bytes;
    free(file.data);
    return r;
}

/* Files first..first+n-1 by all threads; of several failures the first file's is reported. */
static int fetch_all(const struct job *job, int first, int n, uint8_t *to, struct vj_error *err)
{
    size_t step = picture_bytes(job->slot);
    struct vj_error failure = {0};
    int failed_at = n;
#pragma omp parallel for schedule(dynamic) num_threads(job->dev->sizes.plan.threads)
    for (int i = 0; i < n; i++) {
        struct vj_error mine = {0};
        if (fetch_one(job, first + i, to + (size_t)i * step, &mine) == 0)
            continue;
#pragma omp critical(vj_cuda_fetch_error)
        if (i < failed_at) {
            failed_at = i;
            failure = mine;
        }
    }
    return failed_at < n ? vj_fail(err, failure.code, "%s", failure.text) : 0;
}

/* Candidates that are files: decoded by host threads while the GPU works on the ones before. */
static int take_files(const struct job *job, struct vj_error *err)
{
    struct vj_cuda_device *dev = job->dev;
    const struct vj_candidate_request *q = job->request;
    int r = 0;
    for (int first = 0; !r && first < q->count; first += dev->sizes.ring) {
        struct vj_cuda_ring *ring = next_ring(dev);
        int n = vj_cuda_min(q->count - first, dev->sizes.ring);
        size_t bytes = (size_t)n * picture_bytes(job->slot);
        r = VJ_CUDA(cudaEventSynchronize(ring->filled), err);
        if (!r)
            r = fetch_all(job, first, n, ring->host, err);
        if (!r)
            r = VJ_CUDA(cudaStreamWaitEvent(dev->copy, ring->free, 0), err);
        if (!r)
            r = VJ_CUDA(
                cudaMemcpyAsync(ring->gpu, ring->host, bytes, cudaMemcpyHostToDevice, dev->copy),
                err);
        if (!r)
            r = VJ_CUDA(cudaEventRecord(ring->filled, dev->copy), err);
        if (!r)
            r = VJ_CUDA(cudaStreamWaitEvent(dev->compute, ring->filled, 0), err);
        if (!r)
            r = use_pictures(job, ring->gpu, first, n, err);
        r = release(dev, ring, r, err);
    }
    return r;
}

/* Asks for the values on the GPU, in the order in which deliver_candidates() reads them. */
static int bring_values(const struct job *job, const struct vj_cuda_record *record,
                        struct vj_error *err)
{
    struct vj_cuda_slot *s = job->slot;
    size_t count = (size_t)record->count, at = record->offset;
    int r = 0;
    if (record->sizes)
        r = bring_back(job->dev, s, at, s->gpu.bytes, count * sizeof(int64_t), err);
    at += count * sizeof(int64_t);
    if (!r && record->quality)
        r = bring_back(job->dev, s, at, s->gpu.sums, count * sizeof(*s->gpu.sums), err);
    at += count * sizeof(*s->gpu.sums);
    if (!r && record->ssimulacra2) {
        r = bring_back(job->dev, s, at, s->gpu.totals, count * sizeof(*s->gpu.totals), err);
        at += count * sizeof(*s->gpu.totals);
    }
    if (!r && record->rules)
        r = vj_cuda_rules_bring(job->dev, s, count, at, err);
    return r;
}

static int check_request(const struct vj_cuda_device *dev, const struct vj_cuda_slot *s,
                         const struct vj_candidate_request *q, struct vj_error *err)
{
    if (q->count < 1 || q->count > dev->sizes.plan.levels)
        return vj_fail(err, -EINVAL, "%d candidates asked for, the plan has room for %d", q->count,
                       dev->sizes.plan.levels);
    if (q->patches && !s->placed)
        return vj_fail(err, -EINVAL, "patches asked for before positions()");
    if (q->metrics && dev->sizes.rules > 0 && !s->mapped)
        return vj_fail(err, -EINVAL, "rules on pixel-JND maps asked for before jnd_maps()");
    return 0;
}

static int cuda_candidates(void *state, int slot, const struct vj_candidate_request *request,
                           const struct vj_candidate_values *out, struct vj_error *err)
{
    struct vj_cuda_device *dev = state;
    struct vj_cuda_record *record;
    struct job job = {.dev = dev, .request = request, .out = out};
    int r = enter(dev, slot, &job.slot, err);
    if (!r)
        r = need_loaded(job.slot, slot, err);
    if (!r)
        r = check_request(dev, job.slot, request, err);
    if (!r)
        r = add_record(dev, job.slot, vj_cuda_candidate_result_bytes(&dev->sizes, request->count),
                       &record, err);
    if (r)
        return r;
    job.quality = request->metrics && dev->sizes.plan.quality != 0;
    job.ssimulacra2 = request->metrics && dev->sizes.plan.ssimulacra2 != VJ_SSIMULACRA2_OFF;
    job.rules = request->metrics && dev->sizes.rules > 0;
    record->count = request->count;
    record->out = *out;
    record->sizes = request->sizes && !request->fetch;
    record->quality = job.quality;
    record->ssimulacra2 = job.ssimulacra2;
    record->rules = job.rules;
    r = request->fetch ? take_files(&job, err) : synthesize(&job, err);
    if (!r)
        r = bring_values(&job, record, err);
    if (r)
        job.slot->results.count--; /* nothing came of it, nothing is to be delivered */
    job.slot->kept = !r && request->patches ? request->count : 0;
    return leave(dev, job.slot, r, err);
}

/* ---- scores ---- */

static int bring_scores(struct vj_cuda_device *dev, struct vj_cuda_slot *s,
                        const struct vj_cuda_record *record, struct vj_error *err)
{
    size_t count = (size_t)record->count, values = count * (size_t)dev->sizes.plan.patches;
    size_t at = record->offset;
    int r = bring_back(dev, s, at, s->gpu.score, count * sizeof(float), err);
    at += count * sizeof(float);
    if (!r && record->patch_quality)
        r = bring_back(dev, s, at, s->gpu.quality, values * sizeof(float), err);
    at += values * sizeof(float);
    if (!r && record->patch_weight)
        r = bring_back(dev, s, at, s->gpu.weight, values * sizeof(float), err);
    return r;
}

static int cuda_scores(void *state, int slot, size_t network, int draw, int count, float *score,
                       float *quality, float *weight, struct vj_error *err)
{
    struct vj_cuda_device *dev = state;
    const struct vj_device_plan *plan = &dev->sizes.plan;
    struct vj_cuda_record *record;
    struct vj_cuda_slot *s = NULL;
    int r = enter(dev, slot, &s, err);
    if (r)
        return r;
    if (network >= plan->weights_count || draw < 0 || draw >= plan->draws)
        return vj_fail(err, -EINVAL, "network %zu of %zu, draw %d of %d", network,
                       plan->weights_count, draw, plan->draws);
    if (count < 1 || count != s->kept)
        return vj_fail(err, -EINVAL, "scores of %d candidates asked for, patches of %d were kept",
                       count, s->kept);
    if (!s->wanted[network])
        return vj_fail(err, -EINVAL, "scores of network %zu, which positions() did not want",
                       network);
    r = add_record(dev, s, vj_cuda_score_result_bytes(&dev->sizes, count), &record, err);
    if (r)
        return r;
    record->scores = true;
    record->count = count;
    record->network = network;
    record->score = score;
    record->patch_quality = quality;
    record->patch_weight = weight;
    r = vj_cuda_networks_scores(dev->networks, dev->compute, slot, &s->gpu, network, draw, count,
                                err);
    if (!r)
        r = bring_scores(dev, s, record, err);
    if (r)
        s->results.count--;
    return leave(dev, s, r, err);
}

static int cuda_wait(void *state, int slot, struct vj_error *err)
{
    struct vj_cuda_device *dev = state;
    struct vj_cuda_slot *s = NULL;
    int r = enter(dev, slot, &s, err);
    return r ? r : drain(dev, s, err);
}

static void cuda_algorithms(const void *state, size_t network, char *text, size_t size)
{
    const struct vj_cuda_device *dev = state;
    vj_cuda_networks_algorithms(dev->networks, network, text, size);
}

const struct vj_device_ops vj_device_cuda = {
    .api = VJ_DEVICE_API,
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .info = cuda_info,
    .source = cuda_source,
    .jnd_maps = cuda_jnd_maps,
    .positions = cuda_positions,
    .candidates = cuda_candidates,
    .scores = cuda_scores,
    .wait = cuda_wait,
    .algorithms = cuda_algorithms,
};
