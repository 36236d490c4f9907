/* SPDX-License-Identifier: MIT */
#include "host/train_pictures.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/engine.h"
#include "host/image.h"
#include "host/jnd_map.h"
#include "host/quality.h"

struct vj_train_pictures {
    struct vj_config config;
    const struct vj_dataset *ds;
    const struct vj_jnd_model *model;
    size_t variant;
    int threads;
    bool files; /* candidates are files */
    struct vj_train_picture *list;
    size_t count, width, height;
    uint64_t clock;
    size_t bytes;
};

/* ---- what the data set says ---- */

static void free_pixels(struct vj_train_picture *p)
{
    vj_loaded_free(&p->file);
    p->file = (struct vj_loaded){0};
    vj_jpeg_plan_free(p->plan);
    p->plan = NULL;
    for (int l = 0; l < VJ_TRAIN_LEVELS_MAX; l++) {
        free(p->reference[l]);
        p->reference[l] = NULL;
    }
    free(p->map);
    p->map = NULL;
    p->loaded = false;
}

/* Takes a level from an item of the data set opened for that JND; strings move over. */
static int add_level(struct vj_train_pictures *t, struct vj_train_picture *p, struct vj_item *item,
                     struct vj_error *err)
{
    struct vj_train_level *level = &p->level[p->levels];
    *level = (struct vj_train_level){
        .anchor_qf = item->anchor_qf, .path = item->reference, .boundary = item->qf_true};
    item->reference = NULL;
    p->levels++;
    if (t->config.loss == 0)
        return 0;
    level->ssim = vj_calloc(VJ_QF_MAX + 1, sizeof(double));
    if (!level->ssim)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (int q = 0; q <= VJ_QF_MAX; q++)
        level->ssim[q] = NAN;
    return 0;
}

static int list_picture(struct vj_train_pictures *t, struct vj_train_picture *p, size_t index,
                        size_t side, struct vj_error *err)
{
    struct vj_item item = {0};
    struct vj_image_info info = {0};
    int r = vj_dataset_item(t->ds, index, &item, err);
    if (r)
        return r;
    p->item = index;
    p->name = strdup(item.name);
    if (!p->name)
        r = vj_fail(err, -ENOMEM, "out of memory");
    else if (item.status)
        r = vj_fail(err, item.status, "%s", item.error);
    else if (item.qf_true == VJ_QF_UNKNOWN)
        r = vj_fail(err, -ENODATA, "%s has no label to train with", item.name);
    if (!r)
        r = vj_image_probe(&info, item.source, err);
    if (!r && (info.width < side || info.height < side))
        r = vj_fail(err, -EINVAL,
                    "%s is %zux%zu; both sides must be at least %zu pixels (the "
                    "patch size)",
                    item.source, info.width, info.height, side);
    if (!r)
        r = add_level(t, p, &item, err);
    t->width = info.width > t->width ? info.width : t->width;
    t->height = info.height > t->height ? info.height : t->height;
    vj_item_free(&item);
    return r;
}

/* Adds what JND `jnd` says of the pictures; a data set that knows no such JND adds nothing. */
static int list_level(struct vj_train_pictures *t, int jnd, struct vj_error *err)
{
    const struct vj_config *c = &t->config;
    const struct vj_dataset_options options = {
        .root = c->root,
        .labels = c->labels[0] ? c->labels : NULL,
        .candidates = c->candidates[0] ? c->candidates : NULL,
        .folds = c->folds,
        .jnd = jnd,
        .qf_first = c->qf_first,
        .qf_last = c->qf_last,
        .seed = c->seed,
    };
    struct vj_dataset *ds;
    struct vj_error ignored = {0};
    if (vj_dataset_open(&ds, c->dataset, &options, &ignored))
        return 0;
    int r = 0;
    for (size_t i = 0; i < t->count && !r; i++) {
        struct vj_item item = {0};
        r = vj_dataset_item(ds, t->list[i].item, &item, err);
        const bool known = !r && item.status == 0 && item.qf_true != VJ_QF_UNKNOWN &&
                           item.qf_true >= c->qf_first && item.anchor_qf > item.qf_true;
        if (known && t->list[i].levels == jnd - c->jnd)
            r = add_level(t, &t->list[i], &item, err);
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    return r;
}

static int open_model(struct vj_train_pictures *t, struct vj_error *err)
{
    t->model = vj_jnd_find(t->config.jnd_model, err);
    if (!t->model)
        return vj_fail_prefix(err, "option jnd_model");
    const char *variant = t->config.jnd_variant[0] ? t->config.jnd_variant : NULL;
    int r = vj_jnd_variant_find(&t->variant, t->model, variant, err);
    return r ? vj_fail_prefix(err, "option jnd_variant") : 0;
}

int vj_train_pictures_open(struct vj_train_pictures **pictures, const struct vj_config *config,
                           const struct vj_dataset *ds, const size_t *item, size_t count,
                           size_t side, struct vj_error *err)
{
    struct vj_train_pictures *t = vj_calloc(1, sizeof(*t));
    *pictures = t;
    if (!t)
        return vj_fail(err, -ENOMEM, "out of memory");
    t->config = *config;
    t->ds = ds;
    t->threads = vj_engine_threads(config->threads);
    t->files = strcmp(vj_dataset_info(ds)->candidates, "files") == 0;
    t->list = vj_calloc(count, sizeof(*t->list));
    t->count = count;
    int r = t->list ? open_model(t, err) : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count && !r; i++)
        r = list_picture(t, &t->list[i], item[i], side, err);
    const bool all_levels = config->anchors == 0;
    for (int jnd = config->jnd + 1; all_levels && jnd <= VJ_TRAIN_LEVELS_MAX && !r; jnd++)
        r = list_level(t, jnd, err);
    return r;
}

void vj_train_pictures_close(struct vj_train_pictures *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->list && i < t->count; i++) {
        struct vj_train_picture *p = &t->list[i];
        free_pixels(p);
        free(p->name);
        for (int l = 0; l < p->levels; l++) {
            free(p->level[l].path);
            free(p->level[l].ssim);
        }
    }
    free(t->list);
    free(t);
}

const struct vj_train_picture *vj_train_picture_at(const struct vj_train_pictures *t, size_t i)
{
    return &t->list[i];
}

void vj_train_pictures_sides(const struct vj_train_pictures *t, size_t *width, size_t *height)
{
    *width = t->width;
    *height = t->height;
}

size_t vj_train_pictures_bytes(const struct vj_train_pictures *t)
{
    return t->bytes;
}

/* ---- pixels ---- */

static enum vj_subsampling sampling_of(const struct vj_config *config)
{
    return config->sampling == 0 ? VJ_SUBSAMPLING_420 : VJ_SUBSAMPLING_444;
}

int vj_train_picture_candidate(const struct vj_train_picture *p, int qf,
                               struct vj_jpeg_scratch *scratch, struct vj_image *img,
                               struct vj_error *err)
{
    int64_t bytes;
    if (!p->plan)
        return vj_loaded_fetch((void *)&p->file, qf, img, &bytes, err);
    int r = vj_image_alloc(img, p->width, p->height, p->channels, err);
    if (!r)
        r = vj_jpeg_plan_decode(p->plan, qf, img->data, scratch, err);
    if (r)
        vj_image_free(img);
    return r;
}

/* What candidates of a level are compared with. */
static int load_reference(const struct vj_train_pictures *t, struct vj_train_picture *p, int l,
                          struct vj_jpeg_scratch *scratch, struct vj_error *err)
{
    const struct vj_train_level *level = &p->level[l];
    const size_t bytes = p->width * p->height * (size_t)p->channels;
    const struct vj_image_options options = {.max_pixels = t->config.max_pixels};
    struct vj_image img = {0};
    int r = 0;
    p->reference[l] = vj_alloc_aligned(bytes, 1);
    if (!p->reference[l])
        return vj_fail(err, -ENOMEM, "out of memory for a picture of %zu bytes", bytes);
    if (level->anchor_qf == 0) {
        memcpy(p->reference[l], p->file.source.data, bytes);
        return 0;
    }
    if (p->plan)
        return vj_jpeg_plan_decode(p->plan, level->anchor_qf, p->reference[l], scratch, err);
    if (level->path) {
        r = vj_image_read(&img, level->path, &options, err);
        if (!r)
            r = vj_image_to_rgb(&img, err);
    } else {
        r = vj_train_picture_candidate(p, level->anchor_qf, scratch, &img, err);
    }
    if (!r && (img.width != p->width || img.height != p->height))
        r = vj_fail(err, -EINVAL, "%s is %zux%zu, but its source is %zux%zu",
                    level->path ? level->path : p->name, img.width, img.height, p->width,
                    p->height);
    if (!r)
        memcpy(p->reference[l], img.data, bytes);
    vj_image_free(&img);
    return r;
}

/* The pixel-JND map as the network sees it. */
static int load_map(const struct vj_train_pictures *t, struct vj_train_picture *p,
                    struct vj_error *err)
{
    const size_t n = p->width * p->height;
    const struct vj_image anchor = {p->width, p->height, p->channels, p->reference[0]};
    uint8_t *luma = vj_alloc_aligned(n, 1);
    float *map = vj_alloc_aligned(n, sizeof(float));
    struct vj_jnd_workspace *ws = NULL;
    p->map = vj_alloc_aligned(n, 1);
    int r = luma && map && p->map ? 0 : vj_fail(err, -ENOMEM, "out of memory for a map");
    if (!r)
        r = vj_jnd_workspace_create(&ws, vj_jnd_workspace_bytes(t->model, p->width, p->height, 1),
                                    1, err);
    if (!r) {
        const struct vj_jnd_job job = {.luma = luma,
                                       .width = p->width,
                                       .height = p->height,
                                       .variant = t->variant,
                                       .map = map};
        vj_jnd_luma(t->config.jnd_source == 1 ? &anchor : &p->file.source, luma);
        r = vj_jnd_run(t->model, &job, ws, err);
    }
    if (!r)
        r = vj_jnd_to_u8(map, n, (enum vj_jnd_scale)t->config.jnd_scale, p->map, err);
    vj_jnd_workspace_free(ws);
    free(map);
    free(luma);
    return r;
}

static size_t bytes_of(const struct vj_train_pictures *t, const struct vj_train_picture *p)
{
    const size_t pixels = p->width * p->height, picture = pixels * (size_t)p->channels;
    size_t bytes = picture * (size_t)(1 + p->levels) + pixels;
    if (p->plan)
        bytes += vj_jpeg_plan_bytes(p->width, p->height, p->channels, sampling_of(&t->config));
    for (int q = 0; q <= VJ_LEVELS_MAX; q++)
        bytes += p->file.candidate[q].size;
    return bytes;
}

static int load_picture(const struct vj_train_pictures *t, struct vj_train_picture *p,
                        struct vj_error *err)
{
    const struct vj_stream_options options = {
        .threads = 1,
        .slots = 1,
        .image = {.alpha = (enum vj_alpha_mode)t->config.alpha, .max_pixels = t->config.max_pixels},
        .max_width = t->width,
        .max_height = t->height,
        .min_side = 1,
    };
    struct vj_jpeg_scratch *scratch = NULL;
    p->file = (struct vj_loaded){.index = p->item};
    vj_load_item(&p->file, t->ds, &options);
    if (p->file.error.code)
        return vj_fail(err, p->file.error.code, "%s", p->file.error.text);
    p->width = p->file.source.width;
    p->height = p->file.source.height;
    p->channels = p->file.source.channels;
    int r = 0;
    if (!t->files) {
        r = vj_jpeg_plan_create(&p->plan, &p->file.source, sampling_of(&t->config), err);
        if (!r)
            r = vj_jpeg_scratch_create(&scratch, p->width, p->height, p->channels,
                                       sampling_of(&t->config), err);
    }
    for (int l = 0; l < p->levels && !r; l++)
        r = load_reference(t, p, l, scratch, err);
    vj_jpeg_scratch_free(scratch);
    if (!r)
        r = load_map(t, p, err);
    if (r)
        return vj_fail_prefix(err, "%s", p->name);
    p->bytes = bytes_of(t, p);
    p->loaded = true;
    return 0;
}

/* Makes room for what was just loaded; what this call wants (used == clock) stays. */
static void evict(struct vj_train_pictures *t)
{
    while (t->config.cache > 0 && t->bytes > t->config.cache) {
        struct vj_train_picture *oldest = NULL;
        for (size_t i = 0; i < t->count; i++) {
            struct vj_train_picture *p = &t->list[i];
            if (p->loaded && p->used != t->clock && (!oldest || p->used < oldest->used))
                oldest = p;
        }
        if (!oldest)
            return;
        t->bytes -= oldest->bytes;
        free_pixels(oldest);
    }
}

int vj_train_pictures_load(struct vj_train_pictures *t, const size_t *wanted, size_t count,
                           struct vj_error *err)
{
    struct vj_train_picture **missing = vj_calloc(count, sizeof(*missing));
    size_t missing_count = 0;
    int failed = 0;
    if (!missing)
        return vj_fail(err, -ENOMEM, "out of memory");
    t->clock++;
    for (size_t i = 0; i < count; i++) {
        struct vj_train_picture *p = &t->list[wanted[i]];
        if (!p->loaded && p->used != t->clock)
            missing[missing_count++] = p;
        p->used = t->clock;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->threads)
    for (size_t i = 0; i < missing_count; i++) {
        struct vj_error own = {0};
        int r = load_picture(t, missing[i], &own);
        if (r)
#pragma omp critical(vj_train_pictures_error)
            failed = vj_fail(err, r, "%s", own.text);
    }
    for (size_t i = 0; i < missing_count; i++) {
        if (missing[i]->loaded)
            t->bytes += missing[i]->bytes;
        else
            free_pixels(missing[i]);
    }
    free(missing);
    evict(t);
    return failed;
}

/* ---- importance ---- */

static int compute_ssim(const struct vj_train_picture *p, int a, int b,
                        struct vj_jpeg_scratch *scratch, double *ssim, struct vj_error *err)
{
    struct vj_image at_a = {0}, at_b = {0};
    struct vj_quality_reference *reference = NULL;
    struct vj_quality_scratch *work = NULL;
    struct vj_quality_values values;
    int r = vj_train_picture_candidate(p, a, scratch, &at_a, err);
    if (!r)
        r = vj_train_picture_candidate(p, b, scratch, &at_b, err);
    if (!r)
        r = vj_quality_reference_create(&reference, p->width, p->height, VJ_QUALITY_SSIM, err);
    if (!r)
        r = vj_quality_scratch_create(&work, p->width, p->height, VJ_QUALITY_SSIM, err);
    if (!r)
        r = vj_quality_reference_load(reference, &at_b, err);
    if (!r && vj_quality_compute(reference, at_a.data, work, &values))
        r = vj_fail(err, -EINVAL, "%s: SSIM cannot be computed", p->name);
    if (!r)
        *ssim = values.ssim;
    vj_quality_scratch_free(work);
    vj_quality_reference_free(reference);
    vj_image_free(&at_a);
    vj_image_free(&at_b);
    return r;
}

int vj_train_picture_ssim(struct vj_train_pictures *t, size_t i, int level, int qf,
                          struct vj_jpeg_scratch *scratch, double *ssim, struct vj_error *err)
{
    struct vj_train_picture *p = &t->list[i];
    double *kept = &p->level[level].ssim[qf];
    int r = isnan(*kept) ? compute_ssim(p, qf, p->level[level].boundary, scratch, kept, err) : 0;
    *ssim = *kept;
    return r;
}
