/* SPDX-License-Identifier: MIT */
#include "host/train_data.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/engine.h"
#include "host/net_form.h"
#include "host/parallel.h"
#include "host/train_list.h"
#include "host/train_pairs.h"
#include "host/train_pictures.h"

/* The arrays of one batch. */
struct buffers {
    uint8_t *r, *j, *d;
    uint32_t *reference;
    float *target, *importance;
};

/* A reference of the batch in work: a picture and one of its anchors. */
struct reference {
    uint64_t element; /* of the sequence of all references, host/train_pairs.h */
    size_t picture, anchor;
};

/* SSIM of a picture's candidates to the one at an anchor's boundary; NaN: not yet known. */
struct similarities {
    double of[VJ_TRAIN_ANCHORS_MAX][VJ_QF_MAX + 1];
};

struct vj_train_data {
    struct vj_config config;
    bool positive_lossless;
    bool weighs; /* pairs have an importance */
    int threads;
    size_t patches, patch_size;
    bool maps; /* whether the network sees pixel-JND maps */
    struct vj_train_list list;
    struct vj_train_pictures *pictures;
    struct vj_pair_order order;
    struct buffers buffers[2];
    unsigned turn; /* buffers of the next batch */

    /* Of the batch in work; references first..end-1 have their pictures in memory. */
    struct buffers *out;
    size_t first, end;
    struct reference *reference; /* [batch] */
    size_t *which;               /* [batch] their pictures */
    int *qf;                     /* [batch][batch_levels] */
    struct vj_pair_patch *place; /* [batch][patches] */
    int32_t (*origin)[2];        /* [batch][patches] */
    int32_t (*jnd_origin)[2];    /* [batch][patches] */
    double *pair_ssim;           /* [batch][batch_levels] */
    struct similarities *known;  /* [pictures] */
    size_t bytes;                /* of all of these and the buffers */
};

/* ---- opening ---- */

/* count x size bytes, noted; NULL when out of memory. */
static void *take(struct vj_train_data *t, size_t count, size_t size)
{
    void *p = vj_alloc_aligned(count, size);
    if (p)
        t->bytes += count * size;
    return p;
}

static int open_buffers(struct vj_train_data *t, struct vj_error *err)
{
    size_t references = (size_t)t->config.batch, levels = (size_t)t->config.batch_levels;
    size_t pairs = references * levels; /* at most 1024 x 100 */
    size_t patch = t->patch_size * t->patch_size * 3;
    size_t positions = references * t->patches;
    bool ok = true;
    for (int b = 0; ok && b < 2; b++) {
        struct buffers *to = &t->buffers[b];
        to->r = take(t, positions, patch);
        to->j = t->maps ? take(t, positions, patch / 3) : NULL;
        to->d = take(t, positions * levels, patch);
        to->reference = take(t, pairs, sizeof(*to->reference));
        to->target = take(t, pairs, sizeof(*to->target));
        to->importance = take(t, pairs, sizeof(*to->importance));
        ok = to->r && (to->j || !t->maps) && to->d && to->reference && to->target && to->importance;
    }
    t->reference = take(t, references, sizeof(*t->reference));
    t->qf = take(t, pairs, sizeof(*t->qf));
    t->pair_ssim = take(t, pairs, sizeof(*t->pair_ssim));
    t->origin = take(t, positions, sizeof(*t->origin));
    t->jnd_origin = take(t, positions, sizeof(*t->jnd_origin));
    t->place = take(t, positions, sizeof(*t->place));
    t->which = take(t, references, sizeof(*t->which));
    if (t->weighs)
        t->known = take(t, t->list.count, sizeof(*t->known));
    if (!ok || !t->reference || !t->qf || !t->pair_ssim || !t->origin || !t->jnd_origin ||
        !t->place || !t->which || (t->weighs && !t->known))
        return vj_fail(err, -ENOMEM,
                       "out of memory for batches of %zu pairs of %zu patches of %zu pixels; lower "
                       "batch, batch_levels or patches",
                       pairs, t->patches, t->patch_size);
    for (size_t i = 0; t->weighs && i < t->list.count; i++)
        for (int a = 0; a < VJ_TRAIN_ANCHORS_MAX; a++)
            for (int q = 0; q <= VJ_QF_MAX; q++)
                t->known[i].of[a][q] = NAN;
    return 0;
}

int vj_train_data_open(struct vj_train_data **data, const struct vj_config *config,
                       const struct vj_dataset *ds, const size_t *item, size_t count,
                       const struct vj_net_shape *shape, enum vj_positive_class positive,
                       struct vj_error *err)
{
    *data = NULL;
    struct vj_train_data *t = vj_calloc(1, sizeof(*t));
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory");
    t->config = *config;
    t->positive_lossless = positive == VJ_POSITIVE_LOSSLESS;
    t->weighs = config->loss == VJ_LOSS_VISUAL_IMPORTANCE;
    t->threads = vj_engine_threads(config->threads);
    t->patches = (size_t)(config->patches ? config->patches : shape->patches);
    t->patch_size = (size_t)shape->patch_size;
    t->maps = vj_net_form(shape->variant)->jnd;
    int r =
        vj_train_list_read(&t->list, &t->config, ds, item, count, t->patch_size, t->threads, err);
    if (!r)
        r = vj_pair_order_open(&t->order, config->seed, count, err);
    if (!r)
        r = open_buffers(t, err);
    if (!r)
        r = vj_train_pictures_open(&t->pictures, &t->config, ds, &t->list, t->patches,
                                   t->patch_size, t->maps, t->threads, err);
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
    vj_train_pictures_close(t->pictures);
    for (int b = 0; b < 2; b++) {
        free(t->buffers[b].r);
        free(t->buffers[b].j);
        free(t->buffers[b].d);
        free(t->buffers[b].reference);
        free(t->buffers[b].target);
        free(t->buffers[b].importance);
    }
    vj_pair_order_close(&t->order);
    vj_train_list_free(&t->list);
    free(t->reference);
    free(t->which);
    free(t->qf);
    free(t->place);
    free(t->origin);
    free(t->jnd_origin);
    free(t->pair_ssim);
    free(t->known);
    free(t);
}

size_t vj_train_data_patches(const struct vj_train_data *t)
{
    return t->patches;
}

const char *vj_train_data_level_fingerprint(const struct vj_train_data *t, int jnd)
{
    return t->list.fingerprint[jnd - 1];
}

const char *vj_train_data_jnd_sha256(const struct vj_train_data *t)
{
    return vj_train_pictures_jnd_sha256(t->pictures);
}

size_t vj_train_data_bytes(const struct vj_train_data *t)
{
    return t->bytes + vj_train_pictures_bytes(t->pictures);
}

/* ---- a batch: what is in it ---- */

static const struct vj_train_anchor *anchor_of(const struct vj_train_data *t,
                                               const struct reference *ref)
{
    return &t->list.picture[ref->picture].anchor[ref->anchor];
}

static void draw_patches(struct vj_train_data *t, size_t k)
{
    const struct vj_config *c = &t->config;
    const struct reference *ref = &t->reference[k];
    const struct vj_train_picture *picture = &t->list.picture[ref->picture];
    const unsigned flags =
        vj_pair_flags(c->jnd_patches == 1, c->flip, c->positions == VJ_POSITIONS_EVEN);
    for (size_t p = 0; p < t->patches; p++) {
        size_t at = k * t->patches + p;
        t->place[at] = vj_pair_place(c->seed, ref->element, p, picture->width, picture->height,
                                     t->patch_size, flags);
        for (int axis = 0; axis < 2; axis++) {
            t->origin[at][axis] = t->place[at].origin[axis];
            t->jnd_origin[at][axis] = t->place[at].jnd_origin[axis];
        }
    }
}

static void draw_reference(struct vj_train_data *t, uint64_t element, size_t k)
{
    const struct vj_config *c = &t->config;
    size_t levels = (size_t)c->batch_levels;
    struct reference *ref = &t->reference[k];
    ref->element = element;
    ref->picture = t->which[k] = vj_pair_picture(&t->order, element);
    ref->anchor =
        (size_t)vj_pair_level(c->seed, element, (int)t->list.picture[ref->picture].anchors);
    const struct vj_train_anchor *anchor = anchor_of(t, ref);
    for (size_t l = 0; l < levels; l++) {
        size_t pair = k * levels + l;
        int qf = vj_pair_qf(c->seed, element, l, (enum vj_pair_sampling)c->pairs, anchor->first,
                            anchor->last, anchor->boundary);
        float lossy = vj_pair_target(qf, anchor->boundary, c->label_spread);
        t->qf[pair] = qf;
        t->out->reference[pair] = (uint32_t)k;
        t->out->target[pair] = t->positive_lossless ? 1 - lossy : lossy;
        t->out->importance[pair] = 1.0f;
    }
    draw_patches(t, k);
}

/* ---- a batch: its patches ---- */

static void swap_bytes(uint8_t *a, uint8_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t value = a[i];
        a[i] = b[i];
        b[i] = value;
    }
}

/* Mirrors one patch of side x side x channels in place. */
static void mirror(uint8_t *patch, size_t side, size_t channels, const struct vj_pair_patch *how)
{
    size_t row = side * channels;
    for (size_t y = 0; how->mirror_x && y < side; y++)
        for (size_t x = 0; x < side / 2; x++)
            swap_bytes(patch + y * row + x * channels, patch + y * row + (side - 1 - x) * channels,
                       channels);
    for (size_t y = 0; how->mirror_y && y < side / 2; y++)
        swap_bytes(patch + y * row, patch + (side - 1 - y) * row, row);
}

/* All patches of reference k. */
static void mirror_all(const struct vj_train_data *t, size_t k, uint8_t *patches, size_t channels)
{
    size_t bytes = t->patch_size * t->patch_size * channels;
    for (size_t p = 0; p < t->patches; p++)
        mirror(patches + p * bytes, t->patch_size, channels, &t->place[k * t->patches + p]);
}

static int cut_reference(struct vj_train_data *t, size_t k, struct vj_error *err)
{
    const struct reference *ref = &t->reference[k];
    size_t pixels = t->patches * t->patch_size * t->patch_size;
    uint8_t *to_r = t->out->r + k * pixels * 3;
    int r =
        vj_train_reference_patches(t->pictures, ref->picture, ref->anchor,
                                   (const int32_t(*)[2])(t->origin + k * t->patches), to_r, err);
    if (r)
        return r;
    mirror_all(t, k, to_r, 3);
    if (!t->maps)
        return 0;
    uint8_t *to_j = t->out->j + k * pixels;
    vj_train_map_patches(t->pictures, ref->picture, ref->anchor,
                         (const int32_t(*)[2])(t->jnd_origin + k * t->patches), to_j);
    mirror_all(t, k, to_j, 1);
    return 0;
}

static int cut_candidate(struct vj_train_data *t, size_t k, size_t pair, struct vj_error *err)
{
    size_t pixels = t->patches * t->patch_size * t->patch_size;
    uint8_t *to = t->out->d + pair * pixels * 3;
    int r = vj_train_candidate_patches(t->pictures, t->reference[k].picture, t->qf[pair],
                                       (const int32_t(*)[2])(t->origin + k * t->patches), to, err);
    if (!r)
        mirror_all(t, k, to, 3);
    return r;
}

/* Every reference has 1 + batch_levels parts: itself with its map, and its pairs. */
static int cut_part(void *user, size_t i, struct vj_error *err)
{
    struct vj_train_data *t = user;
    size_t levels = (size_t)t->config.batch_levels;
    size_t k = t->first + i / (1 + levels), part = i % (1 + levels);
    int r = part == 0 ? cut_reference(t, k, err) : cut_candidate(t, k, k * levels + part - 1, err);
    return r ? vj_fail_prefix(err, "training picture %s",
                              t->list.picture[t->reference[k].picture].name)
             : 0;
}

/* ---- a batch: importance of its pairs ---- */

/*
 * SSIM of the pairs of a reference. What is known is looked up but not added to here: another
 * reference may show the same picture.
 */
static int measure_reference(void *user, size_t i, struct vj_error *err)
{
    struct vj_train_data *t = user;
    size_t k = t->first + i, levels = (size_t)t->config.batch_levels, missing = 0;
    const struct reference *ref = &t->reference[k];
    const double *known = t->known[ref->picture].of[ref->anchor];
    const int *qf = t->qf + k * levels;
    double *ssim = t->pair_ssim + k * levels, fresh[VJ_QF_MAX];
    int ask[VJ_QF_MAX];
    for (size_t l = 0; l < levels; l++)
        if (isnan(known[qf[l]]))
            ask[missing++] = qf[l];
    int r = missing ? vj_train_boundary_ssim(t->pictures, ref->picture, ref->anchor, ask, missing,
                                             fresh, err)
                    : 0;
    if (r)
        return vj_fail_prefix(err, "training picture %s", t->list.picture[ref->picture].name);
    for (size_t l = 0, next = 0; l < levels; l++)
        ssim[l] = isnan(known[qf[l]]) ? fresh[next++] : known[qf[l]];
    return 0;
}

static int weigh_pairs(struct vj_train_data *t, struct vj_error *err)
{
    size_t levels = (size_t)t->config.batch_levels;
    int r = vj_parallel(t->end - t->first, t->threads, measure_reference, t, err);
    for (size_t pair = t->first * levels; !r && pair < t->end * levels; pair++) {
        const struct reference *ref = &t->reference[pair / levels];
        double ssim = t->pair_ssim[pair];
        t->known[ref->picture].of[ref->anchor][t->qf[pair]] = ssim;
        t->out->importance[pair] = (float)(1 + t->config.importance * (1 - ssim));
    }
    return r;
}

/* ---- a batch ---- */

/* References first..end-1. */
static int fill_references(struct vj_train_data *t, struct vj_error *err)
{
    size_t count = t->end - t->first, parts = 1 + (size_t)t->config.batch_levels;
    int r = vj_train_pictures_hold(t->pictures, t->which + t->first, count, err);
    if (r)
        return r;
    r = vj_parallel(count * parts, t->threads, cut_part, t, err);
    if (!r && t->weighs)
        r = weigh_pairs(t, err);
    vj_train_pictures_drop(t->pictures);
    return r;
}

int vj_train_data_batch(struct vj_train_data *t, uint64_t step, struct vj_train_batch *batch,
                        struct vj_error *err)
{
    size_t references = (size_t)t->config.batch, at_once = (size_t)t->threads;
    int r = 0;
    if (step == 0)
        return vj_fail(err, -EINVAL, "training step 0: steps count from 1");
    t->out = &t->buffers[t->turn++ % 2];
    for (size_t k = 0; k < references; k++)
        draw_reference(t, (step - 1) * references + k, k);
    /* No more pictures at a time than can be worked on: all of them must be in memory. */
    for (t->first = 0; !r && t->first < references; t->first = t->end) {
        t->end = at_once < references - t->first ? t->first + at_once : references;
        r = fill_references(t, err);
    }
    if (r)
        return r;
    *batch = (struct vj_train_batch){
        .references = references,
        .pairs = references * (size_t)t->config.batch_levels,
        .r = t->out->r,
        .j = t->out->j,
        .d = t->out->d,
        .reference = t->out->reference,
        .target = t->out->target,
        .importance = t->out->importance,
    };
    return 0;
}
