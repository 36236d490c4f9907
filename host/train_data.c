/* SPDX-License-Identifier: MIT */
#include "host/train_data.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/engine.h"
#include "host/train_pairs.h"
#include "host/train_pictures.h"

/* The arrays of one batch. */
struct arrays {
    uint8_t *r, *j, *d;
    uint32_t *reference;
    float *target, *importance;
};

struct vj_train_data {
    struct vj_config config;
    struct vj_train_pictures *pictures;
    struct vj_pair_order order;
    enum vj_positive_class positive;
    size_t patches, side;
    int threads;
    struct vj_jpeg_scratch **scratch; /* [threads] */
    uint8_t **grey;                   /* [threads]: [patches][side][side] */
    struct vj_pair_patch **patch;     /* [threads]: [patches] */
    int32_t (**origin)[2];            /* [threads]: [patches] */
    size_t *wanted;                   /* [batch] pictures of the batch in work */
    struct arrays arrays[2];          /* one is made while the other is worked on */
    int next;
    size_t bytes;
};

static bool take_arrays(struct vj_train_data *t, struct arrays *a)
{
    const size_t references = (size_t)t->config.batch;
    const size_t pairs = references * (size_t)t->config.batch_levels;
    const size_t samples = t->patches * t->side * t->side;
    a->r = vj_alloc_aligned(references, samples * 3);
    a->j = vj_alloc_aligned(references, samples);
    a->d = vj_alloc_aligned(pairs, samples * 3);
    a->reference = vj_calloc(pairs, sizeof(*a->reference));
    a->target = vj_calloc(pairs, sizeof(*a->target));
    a->importance = vj_calloc(pairs, sizeof(*a->importance));
    t->bytes += samples * (4 * references + 3 * pairs);
    return a->r && a->j && a->d && a->reference && a->target && a->importance;
}

static int take_threads(struct vj_train_data *t, struct vj_error *err)
{
    size_t width, height;
    const size_t threads = (size_t)t->threads;
    vj_train_pictures_sides(t->pictures, &width, &height);
    t->scratch = vj_calloc(threads, sizeof(*t->scratch));
    t->grey = vj_calloc(threads, sizeof(*t->grey));
    t->patch = vj_calloc(threads, sizeof(*t->patch));
    t->origin = vj_calloc(threads, sizeof(*t->origin));
    bool ok = t->scratch && t->grey && t->patch && t->origin;
    int r = 0;
    for (size_t i = 0; i < threads && ok && !r; i++) {
        t->grey[i] = vj_alloc_aligned(t->patches, t->side * t->side);
        t->patch[i] = vj_calloc(t->patches, sizeof(**t->patch));
        t->origin[i] = vj_calloc(t->patches, sizeof(**t->origin));
        ok = t->grey[i] && t->patch[i] && t->origin[i];
        r = vj_jpeg_scratch_create(&t->scratch[i], width, height, 3, VJ_SUBSAMPLING_444, err);
    }
    return ok ? r : vj_fail(err, -ENOMEM, "out of memory for the patches of a step");
}

static int open_data(struct vj_train_data *t, const struct vj_dataset *ds, const size_t *item,
                     size_t count, struct vj_error *err)
{
    int r = vj_train_pictures_open(&t->pictures, &t->config, ds, item, count, t->side, err);
    if (!r)
        r = vj_pair_order_open(&t->order, t->config.seed, count, err);
    if (!r)
        r = take_threads(t, err);
    if (r)
        return r;
    t->wanted = vj_calloc((size_t)t->config.batch, sizeof(*t->wanted));
    if (!t->wanted || !take_arrays(t, &t->arrays[0]) || !take_arrays(t, &t->arrays[1]))
        return vj_fail(err, -ENOMEM, "out of memory for the patches of a step (%zu MiB)",
                       t->bytes >> 20);
    return 0;
}

int vj_train_data_open(struct vj_train_data **data, const struct vj_config *config,
                       const struct vj_dataset *ds, const size_t *item, size_t count,
                       const struct vj_net_shape *shape, enum vj_positive_class positive,
                       struct vj_error *err)
{
    struct vj_train_data *t = vj_calloc(1, sizeof(*t));
    *data = NULL;
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory");
    t->config = *config;
    t->positive = positive;
    t->side = (size_t)shape->patch_size;
    t->patches = (size_t)(config->patches > 0 ? config->patches : shape->patches);
    t->threads = vj_engine_threads(config->threads);
    int r = open_data(t, ds, item, count, err);
    if (r) {
        vj_train_data_close(t);
        return r;
    }
    *data = t;
    return 0;
}

void vj_train_data_close(struct vj_train_data *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->threads; i++) {
        if (t->scratch)
            vj_jpeg_scratch_free(t->scratch[i]);
        if (t->grey)
            free(t->grey[i]);
        if (t->patch)
            free(t->patch[i]);
        if (t->origin)
            free(t->origin[i]);
    }
    free(t->scratch);
    free(t->grey);
    free(t->patch);
    free(t->origin);
    for (int i = 0; i < 2; i++) {
        struct arrays *a = &t->arrays[i];
        free(a->r);
        free(a->j);
        free(a->d);
        free(a->reference);
        free(a->target);
        free(a->importance);
    }
    free(t->wanted);
    vj_pair_order_close(&t->order);
    vj_train_pictures_close(t->pictures);
    free(t);
}

size_t vj_train_data_patches(const struct vj_train_data *t)
{
    return t->patches;
}

size_t vj_train_data_bytes(const struct vj_train_data *t)
{
    return t->bytes + vj_train_pictures_bytes(t->pictures);
}

/* ---- patches ---- */

static void mirror(uint8_t *patch, size_t side, size_t channels, const struct vj_pair_patch *how)
{
    const size_t row = side * channels;
    for (size_t y = 0; how->mirror_x && y < side; y++)
        for (size_t x = 0; x < side / 2; x++)
            for (size_t c = 0; c < channels; c++) {
                uint8_t *a = patch + y * row + x * channels + c;
                uint8_t *b = patch + y * row + (side - 1 - x) * channels + c;
                const uint8_t v = *a;
                *a = *b;
                *b = v;
            }
    for (size_t y = 0; how->mirror_y && y < side / 2; y++)
        for (size_t i = 0; i < row; i++) {
            uint8_t *a = patch + y * row + i, *b = patch + (side - 1 - y) * row + i;
            const uint8_t v = *a;
            *a = *b;
            *b = v;
        }
}

/* Cuts a patch of `to_channels`; a grey picture is seen in all of them. */
static void gather(const uint8_t *picture, size_t width, size_t channels, const int32_t origin[2],
                   size_t side, uint8_t *to, size_t to_channels)
{
    for (size_t y = 0; y < side; y++) {
        const uint8_t *row =
            picture + (((size_t)origin[0] + y) * width + (size_t)origin[1]) * channels;
        uint8_t *out = to + y * side * to_channels;
        if (channels == to_channels) {
            memcpy(out, row, side * channels);
            continue;
        }
        for (size_t x = 0; x < side; x++)
            for (size_t c = 0; c < to_channels; c++)
                out[x * to_channels + c] = row[x * channels];
    }
}

/* Patches of one candidate, before mirroring. */
static int cut_candidate(struct vj_train_data *t, const struct vj_train_picture *p, int qf,
                         int thread, uint8_t *to, struct vj_error *err)
{
    const size_t samples = t->side * t->side;
    struct vj_jpeg_scratch *scratch = t->scratch[thread];
    if (p->plan) {
        uint8_t *grey = t->grey[thread];
        int r =
            vj_jpeg_plan_patches(p->plan, qf, (const int32_t(*)[2])t->origin[thread], t->patches,
                                 t->side, p->channels == 3 ? to : grey, scratch, err);
        for (size_t i = 0; p->channels == 1 && i < t->patches * samples; i++)
            to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = grey[i];
        return r;
    }
    struct vj_image img = {0};
    int r = vj_train_picture_candidate(p, qf, scratch, &img, err);
    for (size_t i = 0; i < t->patches && !r; i++)
        gather(img.data, p->width, (size_t)img.channels, t->origin[thread][i], t->side,
               to + i * samples * 3, 3);
    vj_image_free(&img);
    return r;
}

/* ---- a batch ---- */

static enum vj_pair_sampling sampling_of(const struct vj_train_data *t)
{
    return (enum vj_pair_sampling)t->config.pairs;
}

/* Pair l of reference k: its quality factor, patches, target and importance. */
static int make_pair(struct vj_train_data *t, const struct arrays *a, uint64_t element, size_t k,
                     size_t l, int level_index, int thread, struct vj_error *err)
{
    const struct vj_train_picture *p = vj_train_picture_at(t->pictures, t->wanted[k]);
    const struct vj_train_level *level = &p->level[level_index];
    const size_t samples = t->side * t->side * 3;
    const size_t pair = k * (size_t)t->config.batch_levels + l;
    uint8_t *to = a->d + pair * t->patches * samples;
    int last = t->config.qf_last;
    if (level->anchor_qf > 0 && last > level->anchor_qf - 1)
        last = level->anchor_qf - 1;
    const int qf = vj_pair_qf(t->config.seed, element, l, sampling_of(t), t->config.qf_first, last,
                              level->boundary);
    const bool lossy = qf <= level->boundary;
    int r = cut_candidate(t, p, qf, thread, to, err);
    for (size_t i = 0; i < t->patches && !r; i++)
        mirror(to + i * samples, t->side, 3, &t->patch[thread][i]);
    a->reference[pair] = (uint32_t)k;
    a->target[pair] = lossy == (t->positive != VJ_POSITIVE_LOSSLESS) ? 1 : 0;
    a->importance[pair] = 1;
    if (!r && t->config.loss == 1) {
        double ssim;
        r = vj_train_picture_ssim(t->pictures, t->wanted[k], level_index, qf, t->scratch[thread],
                                  &ssim, err);
        a->importance[pair] = (float)(1 + t->config.importance * (1 - ssim));
    }
    return r ? vj_fail_prefix(err, "%s at quality factor %d", p->name, qf) : 0;
}

static int make_reference(struct vj_train_data *t, const struct arrays *a, uint64_t element,
                          size_t k, struct vj_error *err)
{
    const int thread = omp_get_thread_num();
    const struct vj_train_picture *p = vj_train_picture_at(t->pictures, t->wanted[k]);
    const int level = vj_pair_level(t->config.seed, element, p->levels);
    const size_t samples = t->side * t->side;
    int r = 0;
    for (size_t i = 0; i < t->patches; i++) {
        struct vj_pair_patch *patch = &t->patch[thread][i];
        uint8_t *to_r = a->r + (k * t->patches + i) * samples * 3;
        uint8_t *to_j = a->j + (k * t->patches + i) * samples;
        *patch = vj_pair_place(t->config.seed, element, i, p->width, p->height, t->side,
                               t->config.jnd_patches == 1, t->config.flip);
        memcpy(t->origin[thread][i], patch->origin, sizeof(patch->origin));
        gather(p->reference[level], p->width, (size_t)p->channels, patch->origin, t->side, to_r, 3);
        gather(p->map, p->width, 1, patch->jnd_origin, t->side, to_j, 1);
        mirror(to_r, t->side, 3, patch);
        mirror(to_j, t->side, 1, patch);
    }
    for (size_t l = 0; l < (size_t)t->config.batch_levels && !r; l++)
        r = make_pair(t, a, element, k, l, level, thread, err);
    return r;
}

/* References of one picture share what is remembered of it: one thread makes them all. */
static bool is_first_of_picture(const struct vj_train_data *t, size_t k)
{
    for (size_t i = 0; i < k; i++)
        if (t->wanted[i] == t->wanted[k])
            return false;
    return true;
}

int vj_train_data_batch(struct vj_train_data *t, uint64_t step, struct vj_train_batch *batch,
                        struct vj_error *err)
{
    const size_t references = (size_t)t->config.batch;
    const struct arrays *a = &t->arrays[t->next];
    const uint64_t first = (step - 1) * references;
    int failed = 0;
    t->next = !t->next;
    for (size_t k = 0; k < references; k++)
        t->wanted[k] = vj_pair_picture(&t->order, first + k);
    int r = vj_train_pictures_load(t->pictures, t->wanted, references, err);
    if (r)
        return r;
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->threads)
    for (size_t k = 0; k < references; k++) {
        struct vj_error own = {0};
        int mine = 0;
        for (size_t i = k; i < references && !mine && is_first_of_picture(t, k); i++)
            if (t->wanted[i] == t->wanted[k])
                mine = make_reference(t, a, first + i, i, &own);
        if (mine)
#pragma omp critical(vj_train_data_error)
            failed = vj_fail(err, mine, "%s", own.text);
    }
    *batch = (struct vj_train_batch){.references = references,
                                     .pairs = references * (size_t)t->config.batch_levels,
                                     .r = a->r,
                                     .j = a->j,
                                     .d = a->d,
                                     .reference = a->reference,
                                     .target = a->target,
                                     .importance = a->importance};
    return failed;
}
