/* SPDX-License-Identifier: MIT */
/*
 * The CPU device: oneDNN and OpenMP. It is always there and it is the reference for every other
 * device.
 *
 * It computes when called and keeps one working set, so a slot's number does not matter.
 * Parallelism lies across candidates (codec, metrics) and across patches (network); no result
 * depends on the number of threads.
 */
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/device.h"
#include "host/jnd_rules.h"
#include "host/jpeg_plan.h"
#include "host/net.h"
#include "host/parallel.h"

/* Per pixel of the largest picture, all metrics (host/quality.h), rounded up. */
enum { QUALITY_REFERENCE_BYTES = 14, QUALITY_SCRATCH_BYTES = 6 };

/* What one thread needs for one candidate. */
struct cpu_scratch {
    struct vj_jpeg_scratch *jpeg;
    struct vj_quality_scratch *quality;
    struct vj_ssimulacra2_scratch *ssimulacra2;
    uint8_t *picture; /* a whole candidate, 3 bytes per pixel */
    uint8_t *luma;    /* its luma, for rules on maps */
};

struct cpu {
    struct vj_device_plan plan;
    size_t memory;

    size_t width, height; /* of the picture in work */
    int channels;
    struct vj_image source; /* data: plan-sized buffer; width, height, channels of the picture */
    struct vj_image reference;
    uint8_t *luma; /* of the reference */
    struct vj_jpeg_plan *jpeg;
    struct vj_quality_reference *quality;
    struct vj_ssimulacra2_reference *ssimulacra2;

    struct vj_jnd_workspace *jnd_workspace;
    uint8_t *jnd_luma;
    float *map[VJ_DEVICE_JND_MAX];
    double noise_energy[VJ_DEVICE_JND_MAX]; /* of the maps that a rule is wanted of */
    uint8_t *map8;

    int32_t (*origin)[2]; /* [draws][patches], (y, x) */
    uint8_t *patches_r, *patches_j, *patches_d;
    struct vj_net **net;
    struct vj_net_work **work;
    struct vj_net_reference **net_reference; /* [weights_count][draws] */
    bool *ready; /* [weights_count] reference sides are of the picture in work */
    int kept;    /* candidates whose patches lie in patches_d */

    struct cpu_scratch *scratch; /* [threads] */
};

static void *take(struct cpu *cpu, size_t count, size_t size)
{
    void *p = vj_alloc_aligned(count, size);
    if (p)
        cpu->memory += count * size;
    return p;
}

static size_t patch_bytes(const struct cpu *cpu)
{
    return (size_t)cpu->plan.patch_size * (size_t)cpu->plan.patch_size * 3;
}

/* Whether a network is fed with a pixel-JND map. */
static bool sees_map(const struct vj_device_plan *plan)
{
    return plan->weights_count > 0 && plan->net_jnd >= 0;
}

/* Is map j held against candidates? */
static bool wants_rule(const struct vj_device_plan *plan, size_t j)
{
    return plan->jnd_share[j] || plan->jnd_excess[j] || plan->jnd_noise[j];
}

static bool wants_rules(const struct vj_device_plan *plan)
{
    for (size_t j = 0; j < plan->jnd_count; j++)
        if (wants_rule(plan, j))
            return true;
    return false;
}

static void cpu_close(void *state)
{
    struct cpu *cpu = state;
    if (!cpu)
        return;
    if (cpu->scratch)
        for (int t = 0; t < cpu->plan.threads; t++) {
            vj_jpeg_scratch_free(cpu->scratch[t].jpeg);
            vj_quality_scratch_free(cpu->scratch[t].quality);
            vj_ssimulacra2_scratch_free(cpu->scratch[t].ssimulacra2);
            free(cpu->scratch[t].picture);
            free(cpu->scratch[t].luma);
        }
    free(cpu->scratch);
    if (cpu->net_reference)
        for (size_t i = 0; i < cpu->plan.weights_count * (size_t)cpu->plan.draws; i++)
            vj_net_reference_free(cpu->net_reference[i]);
    free(cpu->net_reference);
    for (size_t i = 0; i < cpu->plan.weights_count; i++) {
        if (cpu->work)
            vj_net_work_free(cpu->work[i]);
        if (cpu->net)
            vj_net_free(cpu->net[i]);
    }
    free(cpu->work);
    free(cpu->net);
    free(cpu->ready);
    free(cpu->origin);
    free(cpu->patches_r);
    free(cpu->patches_j);
    free(cpu->patches_d);
    for (size_t i = 0; i < cpu->plan.jnd_count; i++)
        free(cpu->map[i]);
    free(cpu->map8);
    free(cpu->jnd_luma);
    vj_jnd_workspace_free(cpu->jnd_workspace);
    vj_quality_reference_free(cpu->quality);
    vj_ssimulacra2_reference_free(cpu->ssimulacra2);
    vj_jpeg_plan_free(cpu->jpeg);
    free(cpu->luma);
    free(cpu->source.data);
    free(cpu->reference.data);
    free(cpu);
}

static int open_pictures(struct cpu *cpu, struct vj_error *err)
{
    const struct vj_device_plan *plan = &cpu->plan;
    size_t pixels;
    if (!vj_size_mul(plan->max_width, plan->max_height, &pixels))
        return vj_fail(err, -EOVERFLOW, "a picture of %zux%zu pixels is too large", plan->max_width,
                       plan->max_height);
    cpu->source.data = take(cpu, pixels, 3);
    cpu->reference.data = take(cpu, pixels, 3);
    if (!cpu->source.data || !cpu->reference.data)
        return vj_fail(err, -ENOMEM, "out of memory for pictures of %zux%zu", plan->max_width,
                       plan->max_height);
    int r =
        vj_jpeg_plan_reserve(&cpu->jpeg, plan->max_width, plan->max_height, 3, plan->sampling, err);
    cpu->memory += vj_jpeg_plan_bytes(plan->max_width, plan->max_height, 3, plan->sampling);
    if (!r && plan->quality)
        r = vj_quality_reference_create(&cpu->quality, plan->max_width, plan->max_height,
                                        plan->quality, err);
    if (plan->quality)
        cpu->memory += pixels * QUALITY_REFERENCE_BYTES;
    if (!r && plan->ssimulacra2)
        r = vj_ssimulacra2_reference_create(&cpu->ssimulacra2, plan->max_width, plan->max_height,
                                            plan->ssimulacra2, err);
    cpu->memory +=
        vj_ssimulacra2_reference_bytes(plan->max_width, plan->max_height, plan->ssimulacra2);
    return r;
}

static int open_maps(struct cpu *cpu, struct vj_error *err)
{
    const struct vj_device_plan *plan = &cpu->plan;
    if (plan->jnd_count == 0)
        return 0;
    size_t pixels = plan->max_width * plan->max_height;
    size_t bytes = 0;
    for (size_t i = 0; i < plan->jnd_count; i++) {
        size_t b = vj_jnd_workspace_bytes(plan->jnd[i].model, plan->max_width, plan->max_height,
                                          plan->threads);
        if (b > bytes)
            bytes = b;
        cpu->map[i] = take(cpu, pixels, sizeof(float));
        if (!cpu->map[i])
            return vj_fail(err, -ENOMEM, "out of memory for %zu maps of %zux%zu", plan->jnd_count,
                           plan->max_width, plan->max_height);
    }
    cpu->memory += bytes;
    cpu->jnd_luma = take(cpu, pixels, 1);
    cpu->luma = take(cpu, pixels, 1);
    cpu->map8 = take(cpu, pixels, 1);
    if (!cpu->jnd_luma || !cpu->luma || !cpu->map8)
        return vj_fail(err, -ENOMEM, "out of memory for luma of %zux%zu", plan->max_width,
                       plan->max_height);
    return vj_jnd_workspace_create(&cpu->jnd_workspace, bytes, plan->threads, err);
}

static size_t reference_index(const struct cpu *cpu, size_t network, int draw)
{
    return network * (size_t)cpu->plan.draws + (size_t)draw;
}

static int open_networks(struct cpu *cpu, struct vj_error *err)
{
    const struct vj_device_plan *plan = &cpu->plan;
    if (plan->weights_count == 0)
        return 0;
    size_t positions = (size_t)plan->draws * (size_t)plan->patches;
    size_t kept = positions * (size_t)plan->levels;
    cpu->origin = take(cpu, positions, 2 * sizeof(int32_t));
    cpu->patches_r = take(cpu, positions, patch_bytes(cpu));
    if (sees_map(plan))
        cpu->patches_j = take(cpu, positions, patch_bytes(cpu) / 3);
    cpu->patches_d = take(cpu, kept, patch_bytes(cpu));
    cpu->net = vj_calloc(plan->weights_count, sizeof(struct vj_net *));
    cpu->work = vj_calloc(plan->weights_count, sizeof(struct vj_net_work *));
    cpu->net_reference =
        vj_calloc(plan->weights_count * (size_t)plan->draws, sizeof(struct vj_net_reference *));
    cpu->ready = vj_calloc(plan->weights_count, sizeof(*cpu->ready));
    if (!cpu->origin || !cpu->patches_r || (sees_map(plan) && !cpu->patches_j) || !cpu->patches_d ||
        !cpu->net || !cpu->work || !cpu->net_reference || !cpu->ready)
        return vj_fail(err, -ENOMEM, "out of memory for %zu patches of %d pixels", kept,
                       plan->patch_size);
    int r = 0;
    for (size_t n = 0; !r && n < plan->weights_count; n++) {
        r = vj_net_create(&cpu->net[n], plan->weights[n], err);
        if (!r)
            r = vj_net_work_create(&cpu->work[n], cpu->net[n], plan->threads, err);
        if (!r)
            cpu->memory += vj_net_bytes(cpu->net[n]) + vj_net_work_bytes(cpu->work[n]);
        for (int d = 0; !r && d < plan->draws; d++) {
            struct vj_net_reference **ref = &cpu->net_reference[reference_index(cpu, n, d)];
            r = vj_net_reference_create(ref, cpu->net[n], (size_t)plan->patches, err);
            if (!r)
                cpu->memory += vj_net_reference_bytes(*ref);
        }
    }
    return r;
}

static int open_scratch(struct cpu *cpu, struct vj_error *err)
{
    const struct vj_device_plan *plan = &cpu->plan;
    size_t pixels = plan->max_width * plan->max_height;
    cpu->scratch = vj_calloc((size_t)plan->threads, sizeof(*cpu->scratch));
    if (!cpu->scratch)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = 0;
    for (int t = 0; !r && t < plan->threads; t++) {
        struct cpu_scratch *s = &cpu->scratch[t];
        s->picture = take(cpu, pixels, 3);
        s->luma = wants_rules(plan) ? take(cpu, pixels, 1) : NULL;
        if (!s->picture || (wants_rules(plan) && !s->luma))
            return vj_fail(err, -ENOMEM, "out of memory for thread %d of %d", t + 1, plan->threads);
        r = vj_jpeg_scratch_create(&s->jpeg, plan->max_width, plan->max_height, 3, plan->sampling,
                                   err);
        cpu->memory += vj_jpeg_scratch_bytes(plan->max_width, plan->max_height, 3, plan->sampling);
        if (!r && plan->quality)
            r = vj_quality_scratch_create(&s->quality, plan->max_width, plan->max_height,
                                          plan->quality, err);
        if (plan->quality)
            cpu->memory += pixels * QUALITY_SCRATCH_BYTES;
        if (!r && plan->ssimulacra2)
            r = vj_ssimulacra2_scratch_create(&s->ssimulacra2, plan->max_width, plan->max_height,
                                              plan->ssimulacra2, err);
        cpu->memory +=
            vj_ssimulacra2_scratch_bytes(plan->max_width, plan->max_height, plan->ssimulacra2);
    }
    return r;
}

static int cpu_open(void **state, const struct vj_device_plan *plan, int ordinal,
                    struct vj_error *err)
{
    *state = NULL;
    if (ordinal != 0)
        return vj_fail(err, -ENODEV, "device cpu:%d: there is one CPU device, cpu", ordinal);
    struct cpu *cpu = vj_calloc(1, sizeof(*cpu));
    if (!cpu)
        return vj_fail(err, -ENOMEM, "out of memory");
    cpu->plan = *plan;
    omp_set_num_threads(plan->threads);
    int r = open_pictures(cpu, err);
    if (!r)
        r = open_maps(cpu, err);
    if (!r)
        r = open_networks(cpu, err);
    if (!r)
        r = open_scratch(cpu, err);
    if (r) {
        cpu_close(cpu);
        return r;
    }
    *state = cpu;
    return 0;
}

static void copy_picture(struct vj_image *to, const struct vj_image *from)
{
    to->width = from->width;
    to->height = from->height;
    to->channels = from->channels;
    memcpy(to->data, from->data, from->width * from->height * (size_t)from->channels);
}

static int make_reference(struct cpu *cpu, const struct vj_image *reference, int anchor_qf,
                          struct vj_error *err)
{
    copy_picture(&cpu->reference, reference ? reference : &cpu->source);
    if (reference || anchor_qf == 0)
        return 0;
    return vj_jpeg_plan_decode(cpu->jpeg, anchor_qf, cpu->reference.data, cpu->scratch[0].jpeg,
                               err);
}

static int cpu_source(void *state, int slot, const struct vj_image *source,
                      const struct vj_image *reference, int anchor_qf, struct vj_error *err)
{
    (void)slot;
    struct cpu *cpu = state;
    if (source->width > cpu->plan.max_width || source->height > cpu->plan.max_height)
        return vj_fail(err, -EFBIG, "picture of %zux%zu is larger than the planned %zux%zu",
                       source->width, source->height, cpu->plan.max_width, cpu->plan.max_height);
    cpu->width = source->width;
    cpu->height = source->height;
    cpu->channels = source->channels;
    for (size_t n = 0; n < cpu->plan.weights_count; n++)
        cpu->ready[n] = false;
    copy_picture(&cpu->source, source);
    int r = vj_jpeg_plan_load(cpu->jpeg, &cpu->source, cpu->plan.sampling, err);
    if (!r)
        r = make_reference(cpu, reference, anchor_qf, err);
    if (!r && cpu->quality)
        r = vj_quality_reference_load(cpu->quality, &cpu->reference, err);
    if (!r && cpu->ssimulacra2)
        r = vj_ssimulacra2_reference_load(cpu->ssimulacra2, &cpu->reference, err);
    if (!r && wants_rules(&cpu->plan))
        vj_jnd_luma(&cpu->reference, cpu->luma);
    return r;
}

static int cpu_jnd_maps(void *state, int slot, struct vj_error *err)
{
    (void)slot;
    struct cpu *cpu = state;
    const struct vj_device_plan *plan = &cpu->plan;
    if (plan->jnd_count == 0)
        return 0;
    const struct vj_image *from = plan->jnd_from_anchor ? &cpu->reference : &cpu->source;
    vj_jnd_luma(from, cpu->jnd_luma);
    int r = 0;
    for (size_t i = 0; !r && i < plan->jnd_count; i++) {
        struct vj_jnd_job job = {.luma = cpu->jnd_luma,
                                 .width = cpu->width,
                                 .height = cpu->height,
                                 .picture = from,
                                 .variant = plan->jnd[i].variant,
                                 .map = cpu->map[i]};
        r = vj_jnd_run(plan->jnd[i].model, &job, cpu->jnd_workspace, err);
        if (!r && wants_rule(plan, i))
            cpu->noise_energy[i] = vj_jnd_noise_energy(cpu->map[i], cpu->width * cpu->height);
    }
    if (!r && sees_map(plan))
        r = vj_jnd_to_u8(cpu->map[plan->net_jnd], cpu->width * cpu->height, plan->net_scale,
                         cpu->map8, err);
    return r;
}

/* Copies one patch; grey pictures are replicated to three channels. */
static void gather(const uint8_t *picture, size_t width, int channels, const int32_t origin[2],
                   int size, uint8_t *patch)
{
    for (int y = 0; y < size; y++) {
        size_t at = (size_t)(origin[0] + y) * width + (size_t)origin[1];
        uint8_t *row = patch + (size_t)y * (size_t)size * 3;
        if (channels == 3) {
            memcpy(row, picture + at * 3, (size_t)size * 3);
            continue;
        }
        for (int x = 0; x < size; x++)
            row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = picture[at + (size_t)x];
    }
}

static void gather_map(const uint8_t *map, size_t width, const int32_t origin[2], int size,
                       uint8_t *patch)
{
    for (int y = 0; y < size; y++)
        memcpy(patch + (size_t)y * (size_t)size,
               map + (size_t)(origin[0] + y) * width + (size_t)origin[1], (size_t)size);
}

static int load_references(struct cpu *cpu, size_t network, struct vj_error *err)
{
    const struct vj_device_plan *plan = &cpu->plan;
    size_t bytes = patch_bytes(cpu);
    int r = 0;
    for (int d = 0; !r && d < plan->draws; d++) {
        size_t first = (size_t)d * (size_t)plan->patches;
        const uint8_t *jnd = sees_map(plan) ? cpu->patches_j + first * (bytes / 3) : NULL;
        r = vj_net_reference_load(cpu->net_reference[reference_index(cpu, network, d)],
                                  cpu->work[network], cpu->patches_r + first * bytes, jnd,
                                  (size_t)plan->patches, err);
    }
    return r;
}

static int cpu_positions(void *state, int slot, const int32_t (*origin)[2],
                         const int32_t (*jnd_origin)[2], const bool *wanted, struct vj_error *err)
{
    (void)slot;
    struct cpu *cpu = state;
    const struct vj_device_plan *plan = &cpu->plan;
    size_t positions = (size_t)plan->draws * (size_t)plan->patches;
    size_t bytes = patch_bytes(cpu);
    if (!jnd_origin)
        jnd_origin = origin;
    cpu->kept = 0; /* patches of the positions before */
    memcpy(cpu->origin, origin, positions * sizeof(*origin));
    for (size_t p = 0; p < positions; p++) {
        gather(cpu->reference.data, cpu->width, cpu->channels, origin[p], plan->patch_size,
               cpu->patches_r + p * bytes);
        if (sees_map(plan))
            gather_map(cpu->map8, cpu->width, jnd_origin[p], plan->patch_size,
                       cpu->patches_j + p * (bytes / 3));
    }
    int r = 0;
    for (size_t n = 0; !r && n < plan->weights_count; n++) {
        bool in_use = !wanted || wanted[n];
        if (in_use)
            r = load_references(cpu, n, err);
        cpu->ready[n] = in_use && !r;
    }
    return r;
}

/* Where patch p of draw d of kept candidate i goes: [draws][kept][patches]. */
static uint8_t *kept_patch(struct cpu *cpu, int draw, int count, int i, int patch)
{
    size_t row = ((size_t)draw * (size_t)count + (size_t)i) * (size_t)cpu->plan.patches;
    return cpu->patches_d + (row + (size_t)patch) * patch_bytes(cpu);
}

static void keep_patches(struct cpu *cpu, const uint8_t *picture, int count, int i)
{
    const struct vj_device_plan *plan = &cpu->plan;
    for (int d = 0; d < plan->draws; d++)
        for (int p = 0; p < plan->patches; p++)
            gather(picture, cpu->width, cpu->channels,
                   cpu->origin[(size_t)d * (size_t)plan->patches + (size_t)p], plan->patch_size,
                   kept_patch(cpu, d, count, i, p));
}

/*
 * Candidates' patches without decoding the whole candidate. Grey samples are written into the last
 * third of their place and spread to three channels from there.
 */
static int synthesize_patches(struct cpu *cpu, int qf, int count, int i, struct cpu_scratch *s,
                              struct vj_error *err)
{
    const struct vj_device_plan *plan = &cpu->plan;
    size_t samples = (size_t)plan->patches * patch_bytes(cpu);
    int r = 0;
    for (int d = 0; !r && d < plan->draws; d++) {
        uint8_t *to = kept_patch(cpu, d, count, i, 0);
        uint8_t *grey = to + samples / 3 * 2;
        const int32_t(*origin)[2] =
            (const int32_t(*)[2])(cpu->origin + (size_t)d * (size_t)plan->patches);
        r = vj_jpeg_plan_patches(cpu->jpeg, qf, origin, (size_t)plan->patches,
                                 (size_t)plan->patch_size, cpu->channels == 3 ? to : grey, s->jpeg,
                                 err);
        for (size_t k = 0; cpu->channels == 1 && k < samples / 3; k++) {
            uint8_t value = grey[k];
            to[3 * k] = to[3 * k + 1] = to[3 * k + 2] = value;
        }
    }
    return r;
}

/* Holds a candidate's luma against one map. */
static void measure_map(const struct cpu *cpu, const uint8_t *luma, size_t j, int i,
                        const struct vj_candidate_values *out)
{
    struct vj_jnd_statistics s;
    vj_jnd_measure(luma, cpu->luma, cpu->map[j], cpu->width * cpu->height, cpu->noise_energy[j],
                   &s);
    if (cpu->plan.jnd_share[j])
        out->share[j][i] = s.share;
    if (cpu->plan.jnd_excess[j])
        out->excess[j][i] = s.excess;
    if (cpu->plan.jnd_noise[j])
        out->noise_gain[j][i] = s.noise_gain;
}

static int measure(struct cpu *cpu, const uint8_t *picture, int i,
                   const struct vj_candidate_values *out, struct cpu_scratch *s)
{
    const struct vj_device_plan *plan = &cpu->plan;
    int r = 0;
    if (plan->quality)
        r = vj_quality_compute(cpu->quality, picture, s->quality, &out->quality[i]);
    if (!r && plan->ssimulacra2) {
        struct vj_ssimulacra2_result result;
        r = vj_ssimulacra2_compute(cpu->ssimulacra2, picture, s->ssimulacra2, &result);
        out->ssimulacra2[i] = result.score;
    }
    if (r || !wants_rules(plan))
        return r;
    const struct vj_image img = {.width = cpu->width,
                                 .height = cpu->height,
                                 .channels = cpu->channels,
                                 .data = (uint8_t *)picture};
    vj_jnd_luma(&img, s->luma);
    for (size_t j = 0; j < plan->jnd_count; j++)
        if (wants_rule(plan, j))
            measure_map(cpu, s->luma, j, i, out);
    return 0;
}

/* What is asked for, and where it goes. */
struct asked {
    struct cpu *cpu;
    const struct vj_candidate_request *request;
    const struct vj_candidate_values *out;
};

static int one_candidate(void *user, size_t index, struct vj_error *err)
{
    const struct asked *asked = user;
    const struct vj_candidate_request *request = asked->request;
    const struct vj_candidate_values *out = asked->out;
    struct cpu *cpu = asked->cpu;
    struct cpu_scratch *s = &cpu->scratch[omp_get_thread_num()];
    int i = (int)index, qf = request->qf[i];
    bool measures =
        request->metrics && (cpu->plan.quality || cpu->plan.ssimulacra2 || wants_rules(&cpu->plan));
    struct vj_image file = {0};
    const uint8_t *picture = NULL;
    int r = 0;
    if (request->fetch) {
        int64_t bytes = 0;
        r = request->fetch(request->user, qf, &file, &bytes, err);
        if (r)
            return r;
        picture = file.data;
        if (request->sizes)
            out->bytes[i] = bytes;
    } else {
        if (request->sizes)
            r = vj_jpeg_plan_size(cpu->jpeg, qf, VJ_JPEG_CODING_STANDARD, &out->bytes[i], s->jpeg,
                                  err);
        if (!r && measures) {
            r = vj_jpeg_plan_decode(cpu->jpeg, qf, s->picture, s->jpeg, err);
            picture = s->picture;
        }
    }
    if (!r && measures)
        r = measure(cpu, picture, i, out, s);
    if (!r && request->patches) {
        if (picture)
            keep_patches(cpu, picture, request->count, i);
        else
            r = synthesize_patches(cpu, qf, request->count, i, s, err);
    }
    vj_image_free(&file);
    if (r && err->code == 0)
        vj_fail(err, r, "candidate at quality factor %d: %s", qf, strerror(-r));
    return r;
}

static int cpu_candidates(void *state, int slot, const struct vj_candidate_request *request,
                          const struct vj_candidate_values *out, struct vj_error *err)
{
    (void)slot;
    struct cpu *cpu = state;
    if (request->count < 1 || request->count > cpu->plan.levels)
        return vj_fail(err, -EINVAL, "%d candidates asked for, the plan has room for %d",
                       request->count, cpu->plan.levels);
    struct asked asked = {cpu, request, out};
    int r = vj_parallel((size_t)request->count, cpu->plan.threads, one_candidate, &asked, err);
    cpu->kept = request->patches ? request->count : 0;
    return r;
}

static int cpu_scores(void *state, int slot, size_t network, int draw, int count, float *score,
                      float *quality, float *weight, struct vj_error *err)
{
    (void)slot;
    struct cpu *cpu = state;
    if (count != cpu->kept)
        return vj_fail(err, -EINVAL, "scores of %d candidates asked for, patches of %d were kept",
                       count, cpu->kept);
    if (!cpu->ready[network])
        return vj_fail(err, -EINVAL, "scores of network %zu, which positions() did not want",
                       network);
    return vj_net_scores(
        cpu->work[network], cpu->net_reference[reference_index(cpu, network, draw)],
        kept_patch(cpu, draw, count, 0, 0), (size_t)count, score, quality, weight, err);
}

static int cpu_wait(void *state, int slot, struct vj_error *err)
{
    (void)state;
    (void)slot;
    (void)err;
    return 0;
}

/* "model name" of /proc/cpuinfo, or the architecture where there is none. */
static void processor_name(char *name, size_t size)
{
    snprintf(name, size, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[1 + strcspn(colon + 1, "\n")] = '\0';
        snprintf(name, size, "%s", colon[1] == ' ' ? colon + 2 : colon + 1);
        break;
    }
    fclose(file);
}

static void cpu_info(const void *state, struct vj_device_info *info)
{
    const struct cpu *cpu = state;
    char processor[80];
    processor_name(processor, sizeof(processor));
    int threads = cpu ? cpu->plan.threads : omp_get_num_procs();
    snprintf(info->name, sizeof(info->name), "CPU: %s, %d thread%s", processor, threads,
             threads == 1 ? "" : "s");
    vj_net_libraries(info->libraries, sizeof(info->libraries));
    info->memory = cpu ? cpu->memory : 0;
}

static void cpu_algorithms(const void *state, size_t network, char *text, size_t size)
{
    const struct cpu *cpu = state;
    vj_net_algorithms(cpu->net[network], text, size);
}

const struct vj_device_ops vj_device_cpu = {
    .api = VJ_DEVICE_API,
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .source = cpu_source,
    .jnd_maps = cpu_jnd_maps,
    .positions = cpu_positions,
    .candidates = cpu_candidates,
    .scores = cpu_scores,
    .wait = cpu_wait,
    .algorithms = cpu_algorithms,
};
