/* SPDX-License-Identifier: MIT */
#include "cuda/plan.h"

#include <errno.h>

#include "cuda/geometry.h"
#include "cuda/net_plan.h"
#include "host/checked.h"
#include "host/net_form.h"

/* Calls of one kind that may be on their way twice over, so that a picture's next group of quality
 * factors can be asked for while the results of the one before are still coming. */
enum { RESULT_ROUNDS = 2 };

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

size_t vj_cuda_rows(size_t patches)
{
    if (patches <= VJ_CUDA_ROWS)
        return vj_cuda_net_pictures(VJ_CUDA_ROWS / patches) * patches;
    size_t batches = (patches + VJ_CUDA_ROWS - 1) / VJ_CUDA_ROWS;
    return (patches + batches - 1) / batches;
}

/* Whether any network is fed with a pixel-JND map. */
static bool sees_map(const struct vj_device_plan *p)
{
    for (size_t i = 0; i < p->weights_count; i++)
        if (vj_net_form(p->weights[i]->shape.variant)->jnd)
            return true;
    return false;
}

static int check(const struct vj_device_plan *p, struct vj_error *err)
{
    if (p->max_width < 1 || p->max_height < 1)
        return vj_fail(err, -EINVAL, "a plan for pictures of %zu x %zu pixels", p->max_width,
                       p->max_height);
    if (p->slots < 1 || p->threads < 1)
        return vj_fail(err, -EINVAL, "a plan for %d slots and %d threads: both start at 1",
                       p->slots, p->threads);
    if (p->levels < 1 || p->levels > VJ_CUDA_LEVELS)
        return vj_fail(err, -EINVAL, "%d quality factors per call: choose 1 to %d", p->levels,
                       VJ_CUDA_LEVELS);
    if (p->jnd_count > VJ_DEVICE_JND_MAX)
        return vj_fail(err, -EINVAL, "%zu pixel-JND maps: at most %d", p->jnd_count,
                       VJ_DEVICE_JND_MAX);
    if (p->weights_count == 0)
        return 0;
    if (p->patches < 1 || p->draws < 1 || p->patch_size < 1)
        return vj_fail(err, -EINVAL, "a network with %d patches of %d pixels, %d draws", p->patches,
                       p->patch_size, p->draws);
    const bool given = p->net_jnd >= 0;
    if (given ? (size_t)p->net_jnd >= p->jnd_count : sees_map(p))
        return vj_fail(err, -EINVAL, "the networks' pixel-JND map is number %d of %zu", p->net_jnd,
                       p->jnd_count);
    return 0;
}

static int overflow(const struct vj_device_plan *p, struct vj_error *err)
{
    return vj_fail(err, -EOVERFLOW,
                   "pictures of %zu x %zu pixels with %d patches, %d draws and %d quality factors "
                   "per call need more memory than can be addressed",
                   p->max_width, p->max_height, p->patches, p->draws, p->levels);
}

static int size_networks(struct vj_cuda_sizes *s)
{
    const struct vj_device_plan *p = &s->plan;
    size_t side = (size_t)p->patch_size, all;
    if (!vj_size_mul(side, side, &s->patch) || !vj_size_mul(s->patch, 3, &s->patch) ||
        !vj_size_mul((size_t)p->draws, (size_t)p->patches, &s->positions) ||
        !vj_size_mul(s->positions, s->patch, &all) || !vj_size_mul(all, (size_t)p->levels, &all))
        return -EOVERFLOW;
    s->rows = vj_cuda_rows((size_t)p->patches);
    return 0;
}

size_t vj_cuda_candidate_result_bytes(const struct vj_cuda_sizes *s, int count)
{
    size_t one =
        sizeof(int64_t) + sizeof(struct vj_cuda_quality_sums) + (size_t)s->rules * sizeof(double);
    if (s->plan.ssimulacra2)
        one += sizeof(struct vj_ssimulacra2_totals);
    return round_up((size_t)count * one, 64);
}

size_t vj_cuda_score_result_bytes(const struct vj_cuda_sizes *s, int count)
{
    size_t one = (1 + 2 * (size_t)s->plan.patches) * sizeof(float);
    return round_up((size_t)count * one, 64);
}

static int size_results(struct vj_cuda_sizes *s)
{
    const struct vj_device_plan *p = &s->plan;
    size_t calls, bytes;
    if (!vj_size_mul(p->weights_count, (size_t)p->draws, &calls) || calls > 65536 ||
        !vj_size_mul(calls, vj_cuda_score_result_bytes(s, p->levels), &bytes) ||
        !vj_size_add(bytes, vj_cuda_candidate_result_bytes(s, p->levels), &bytes) ||
        !vj_size_mul(bytes, RESULT_ROUNDS, &s->result_bytes))
        return -EOVERFLOW;
    /* Lazy searches ask for few levels at a time: more records, not more bytes. */
    s->results = RESULT_ROUNDS * (1 + (int)calls);
    return 0;
}

int vj_cuda_sizes_make(struct vj_cuda_sizes *s, const struct vj_device_plan *plan,
                       struct vj_error *err)
{
    int r = check(plan, err);
    if (r)
        return r;
    *s = (struct vj_cuda_sizes){.plan = *plan};
    if (!vj_size_mul(plan->max_width, plan->max_height, &s->pixels) ||
        !vj_size_mul(s->pixels, 3, &s->picture))
        return overflow(plan, err);
    size_t ring = VJ_CUDA_RING_BYTES / s->picture;
    s->ring = ring < 1 ? 1 : ring < (size_t)plan->levels ? (int)ring : plan->levels;
    for (size_t i = 0; i < plan->jnd_count; i++) {
        s->rules += plan->jnd_share[i] + plan->jnd_excess[i] + plan->jnd_noise[i];
        s->noises += plan->jnd_noise[i];
    }
    if ((plan->weights_count > 0 && size_networks(s)) || size_results(s))
        return overflow(plan, err);
    return 0;
}

static void place_maps(const struct vj_cuda_sizes *s, struct vj_cuda_arena *arena,
                       struct vj_cuda_slot_buffers *b)
{
    const struct vj_device_plan *p = &s->plan;
    size_t levels = (size_t)p->levels;
    if (p->jnd_count > 0)
        b->jnd_luma = vj_cuda_take(arena, s->pixels, 1);
    if (s->rules > 0)
        b->luma = vj_cuda_take(arena, s->pixels, 1);
    for (size_t i = 0; i < p->jnd_count; i++) {
        b->map[i] = vj_cuda_take(arena, s->pixels, sizeof(float));
        if (p->jnd_share[i])
            b->share[i] = vj_cuda_take(arena, levels, sizeof(double));
        if (p->jnd_excess[i])
            b->excess[i] = vj_cuda_take(arena, levels, sizeof(double));
        if (p->jnd_noise[i])
            b->square[i] = vj_cuda_take(arena, levels, sizeof(uint64_t));
    }
    if (s->noises > 0)
        b->noise_energy = vj_cuda_take(arena, VJ_DEVICE_JND_MAX, sizeof(double));
}

static void place_networks(const struct vj_cuda_sizes *s, struct vj_cuda_arena *arena,
                           struct vj_cuda_slot_buffers *b)
{
    size_t levels = (size_t)s->plan.levels, patches = (size_t)s->plan.patches;
    b->map8 = vj_cuda_take(arena, s->pixels, 1);
    b->not_finite = vj_cuda_take(arena, 1, sizeof(uint32_t));
    b->origin = vj_cuda_take(arena, s->positions, sizeof(*b->origin));
    b->jnd_origin = vj_cuda_take(arena, s->positions, sizeof(*b->jnd_origin));
    b->patches_reference = vj_cuda_take(arena, s->positions, s->patch);
    b->patches_jnd = vj_cuda_take(arena, s->positions, s->patch / 3);
    b->patches = vj_cuda_take(arena, s->positions * levels, s->patch);
    b->score = vj_cuda_take(arena, levels, sizeof(float));
    b->quality = vj_cuda_take(arena, levels * patches, sizeof(float));
    b->weight = vj_cuda_take(arena, levels * patches, sizeof(float));
}

size_t vj_cuda_slot_buffers_place(const struct vj_cuda_sizes *s, uint8_t *base,
                                  struct vj_cuda_slot_buffers *b)
{
    struct vj_cuda_arena arena = {.base = base};
    size_t levels = (size_t)s->plan.levels;
    *b = (struct vj_cuda_slot_buffers){0};
    b->source = vj_cuda_take(&arena, s->picture, 1);
    b->reference = vj_cuda_take(&arena, s->picture, 1);
    b->bytes = vj_cuda_take(&arena, levels, sizeof(*b->bytes));
    if (s->plan.quality)
        b->sums = vj_cuda_take(&arena, levels, sizeof(*b->sums));
    if (s->plan.ssimulacra2)
        b->totals = vj_cuda_take(&arena, levels, sizeof(*b->totals));
    place_maps(s, &arena, b);
    if (s->plan.weights_count > 0)
        place_networks(s, &arena, b);
    return vj_cuda_taken(&arena);
}

size_t vj_cuda_slot_staging_place(const struct vj_cuda_sizes *s, uint8_t *base,
                                  struct vj_cuda_slot_staging *staging)
{
    struct vj_cuda_arena arena = {.base = base};
    *staging = (struct vj_cuda_slot_staging){0};
    staging->source = vj_cuda_take(&arena, s->picture, 1);
    staging->reference = vj_cuda_take(&arena, s->picture, 1);
    if (s->plan.weights_count > 0) {
        staging->origin = vj_cuda_take(&arena, s->positions, sizeof(*staging->origin));
        staging->jnd_origin = vj_cuda_take(&arena, s->positions, sizeof(*staging->jnd_origin));
        staging->not_finite = vj_cuda_take(&arena, 1, sizeof(uint32_t));
    }
    if (s->noises > 0)
        staging->noise_energy = vj_cuda_take(&arena, VJ_DEVICE_JND_MAX, sizeof(double));
    staging->results = vj_cuda_take(&arena, s->result_bytes, 1);
    return vj_cuda_taken(&arena);
}

size_t vj_cuda_ring_bytes(const struct vj_cuda_sizes *s)
{
    size_t bytes;
    if (!vj_size_mul(s->picture, (size_t)s->ring, &bytes) ||
        !vj_size_mul(bytes, VJ_CUDA_RING, &bytes))
        return 0;
    return bytes;
}

int vj_cuda_memory(const struct vj_cuda_sizes *s, const struct vj_cuda_object_bytes *objects,
                   size_t *on_gpu, size_t *pinned, struct vj_error *err)
{
    struct vj_cuda_slot_buffers buffers;
    struct vj_cuda_slot_staging staging;
    size_t slots = (size_t)s->plan.slots;
    size_t ring = vj_cuda_ring_bytes(s);
    size_t slot = vj_cuda_slot_buffers_place(s, NULL, &buffers);
    size_t slot_pinned = vj_cuda_slot_staging_place(s, NULL, &staging);
    if (!ring || !slot || !slot_pinned || !vj_size_add(slot, objects->jpeg, &slot) ||
        !vj_size_add(slot, objects->jnd, &slot) || !vj_size_add(slot, objects->quality, &slot) ||
        !vj_size_add(slot, objects->ssimulacra2, &slot) || !vj_size_mul(slot, slots, on_gpu) ||
        !vj_size_add(*on_gpu, ring, on_gpu) || !vj_size_add(*on_gpu, objects->networks, on_gpu) ||
        !vj_size_add(*on_gpu, objects->network_work, on_gpu) ||
        !vj_size_add(slot_pinned, objects->jnd_pinned, &slot_pinned) ||
        !vj_size_mul(slot_pinned, slots, pinned) || !vj_size_add(*pinned, ring, pinned))
        return overflow(&s->plan, err);
    return 0;
}

bool vj_cuda_results_take(struct vj_cuda_results *results, size_t bytes, size_t *offset)
{
    if (results->count >= results->most || bytes > results->size - results->used)
        return false;
    *offset = results->used;
    results->used += round_up(bytes, 64);
    if (results->used > results->size)
        results->used = results->size;
    results->count++;
    return true;
}
