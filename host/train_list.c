/* SPDX-License-Identifier: MIT */
#include "host/train_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/image.h"
#include "host/parallel.h"
#include "host/stream.h"

enum { ANCHORS_LEVELS = 0 }; /* option anchors */

/* What all pictures are read with. */
struct reading {
    struct vj_train_list *list;
    const struct vj_config *config;
    const struct vj_dataset *ds; /* opened for JND `jnd` */
    int jnd;
    size_t patch_size;
};

/* ---- headers ---- */

/* Only the pixels tell, and training is not to end over one that it comes to after hours. */
static int check_opaque(const char *path, const struct vj_config *c, struct vj_error *err)
{
    const struct vj_image_options options = {.alpha = VJ_ALPHA_REFUSE, .max_pixels = c->max_pixels};
    struct vj_image img;
    int r = vj_image_read(&img, path, &options, err);
    vj_image_free(&img);
    return r;
}

static int probe(const char *path, const struct vj_config *c, struct vj_image_info *info,
                 struct vj_error *err)
{
    int r = vj_image_probe(info, path, err);
    if (r)
        return r;
    if (c->max_pixels && info->width > c->max_pixels / info->height)
        return vj_fail(err, -EFBIG, "%s is %zux%zu, more than the %zu pixels of option max_pixels",
                       path, info->width, info->height, c->max_pixels);
    return info->alpha && c->alpha == VJ_ALPHA_REFUSE ? check_opaque(path, c, err) : 0;
}

static int check_same_size(const struct vj_train_picture *p, const char *path, const char *source,
                           const struct vj_config *c, struct vj_error *err)
{
    struct vj_image_info info;
    int r = probe(path, c, &info, err);
    if (!r && (info.width != p->width || info.height != p->height))
        r = vj_fail(err, -EINVAL, "%s is %zux%zu, but its source %s is %zux%zu", path, info.width,
                    info.height, source, p->width, p->height);
    return r;
}

/* The same of a JPEG file, which must be of the quality factor that its place says. */
static int check_jpeg(const struct vj_train_picture *p, const char *path, int qf,
                      const char *source, const struct vj_config *c, struct vj_error *err)
{
    int r = check_same_size(p, path, source, c, err);
    return r ? r : vj_check_file_quality(path, qf, err);
}

static int check_headers(const struct reading *reading, struct vj_train_picture *p,
                         const struct vj_item *item, struct vj_error *err)
{
    struct vj_image_info info;
    int r = probe(item->source, reading->config, &info, err);
    if (r)
        return r;
    p->width = info.width;
    p->height = info.height;
    if (info.width < reading->patch_size || info.height < reading->patch_size)
        return vj_fail(err, -EINVAL,
                       "%s is %zux%zu; both sides must be at least %zu pixels (the patch size)",
                       item->source, info.width, info.height, reading->patch_size);
    for (int q = 0; !r && q <= VJ_LEVELS_MAX; q++)
        if (item->candidate[q])
            r = item->decoded
                    ? check_same_size(p, item->candidate[q], item->source, reading->config, err)
                    : check_jpeg(p, item->candidate[q], q, item->source, reading->config, err);
    return r;
}

/* ---- anchors ---- */

/* Adds the anchor that `item` names. */
static int add_anchor(const struct reading *reading, struct vj_train_picture *p,
                      const struct vj_item *item, struct vj_error *err)
{
    const struct vj_config *c = reading->config;
    int last = c->qf_last;
    if (item->anchor_qf && last >= item->anchor_qf)
        last = item->anchor_qf - 1;
    if (last < c->qf_first)
        return vj_fail(
            err, -ENODATA,
            "no quality factor of qf_first..qf_last = %d..%d lies below the anchor at %d",
            c->qf_first, c->qf_last, item->anchor_qf);
    if (c->loss == VJ_LOSS_VISUAL_IMPORTANCE && item->candidate[last] &&
        !item->candidate[item->qf_true])
        return vj_fail(err, -ENOENT,
                       "loss = visual-importance needs the candidate at JND %d, quality factor %d, "
                       "which qf_first..qf_last = %d..%d leaves out; widen it",
                       reading->jnd, item->qf_true, c->qf_first, c->qf_last);
    struct vj_train_anchor *anchor = &p->anchor[p->anchors++];
    *anchor = (struct vj_train_anchor){.jnd = reading->jnd,
                                       .qf = item->anchor_qf,
                                       .first = c->qf_first,
                                       .last = last,
                                       .boundary = item->qf_true};
    if (!item->reference)
        return 0;
    anchor->reference = strdup(item->reference);
    return anchor->reference ? check_jpeg(p, item->reference, item->anchor_qf, item->source, c, err)
                             : vj_fail(err, -ENOMEM, "out of memory");
}

/* A picture with the anchor of the JND that the data set was opened for. */
static int read_picture(void *user, size_t i, struct vj_error *err)
{
    const struct reading *reading = user;
    struct vj_train_picture *p = &reading->list->picture[i];
    struct vj_item item = {0};
    int r = vj_dataset_item(reading->ds, p->item, &item, err);
    if (r)
        return r;
    p->name = strdup(item.name);
    if (!p->name)
        r = vj_fail(err, -ENOMEM, "out of memory");
    else if (item.status)
        r = vj_fail(err, item.status, "%s", item.error ? item.error : "it cannot be evaluated");
    else if (item.qf_true == VJ_QF_UNKNOWN)
        r = vj_fail(err, -ENODATA,
                    "it has no label to train with (%s); leave it out, or choose other labels",
                    vj_dataset_info(reading->ds)->label_definition);
    if (!r)
        r = check_headers(reading, p, &item, err);
    if (!r)
        r = add_anchor(reading, p, &item, err);
    if (r)
        vj_fail_prefix(err, "training picture %s", item.name);
    vj_item_free(&item);
    return r;
}

/* The anchor of another JND, where the picture has that JND. */
static int read_level(void *user, size_t i, struct vj_error *err)
{
    const struct reading *reading = user;
    struct vj_train_picture *p = &reading->list->picture[i];
    struct vj_item item = {0};
    int r = -ESTALE;
    if (p->item < vj_dataset_count(reading->ds))
        r = vj_dataset_item(reading->ds, p->item, &item, err);
    if (r == -ESTALE || (!r && strcmp(item.name, p->name) != 0))
        r = vj_fail(err, -ESTALE, "the data set has changed since it was opened");
    else if (!r && item.status && item.status != -ENODATA)
        r = vj_fail(err, item.status, "%s; or set anchors = first",
                    item.error ? item.error : "it cannot be evaluated");
    else if (!r && !item.status && item.qf_true >= reading->config->qf_first &&
             item.qf_true < item.anchor_qf)
        r = add_anchor(reading, p, &item, err);
    if (r)
        vj_fail_prefix(err, "training picture %s, JND %d", p->name, reading->jnd);
    vj_item_free(&item);
    return r;
}

/*
 * Anchors of one more JND of all pictures. -EINVAL: the data set's labels have no such JND; all
 * else was valid when it was opened for the first one.
 */
static int read_levels(struct reading *reading, int threads, struct vj_error *err)
{
    const struct vj_config *c = reading->config;
    struct vj_dataset *ds;
    struct vj_error why = {0};
    int r = vj_config_dataset(&ds, c, reading->jnd, &why);
    if (r == -EINVAL)
        return 0;
    if (r)
        return vj_fail(err, r, "%s", why.text);
    reading->ds = ds;
    snprintf(reading->list->fingerprint[reading->jnd - 1], VJ_SHA256_HEX, "%s",
             vj_dataset_info(ds)->fingerprint);
    r = vj_parallel(reading->list->count, threads, read_level, reading, err);
    vj_dataset_close(ds);
    return r;
}

static int by_jnd(const void *a, const void *b)
{
    const struct vj_train_anchor *x = a, *y = b;
    return x->jnd - y->jnd;
}

int vj_train_list_read(struct vj_train_list *list, const struct vj_config *config,
                       const struct vj_dataset *ds, const size_t *item, size_t count,
                       size_t patch_size, int threads, struct vj_error *err)
{
    if (count == 0)
        return vj_fail(err, -ENODATA, "data set %s at %s: no pictures to train with",
                       config->dataset, config->root);
    list->picture = vj_calloc(count, sizeof(*list->picture));
    if (!list->picture)
        return vj_fail(err, -ENOMEM, "out of memory for %zu pictures", count);
    list->count = count;
    for (size_t i = 0; i < count; i++)
        list->picture[i].item = item[i];
    struct reading reading = {
        .list = list, .config = config, .ds = ds, .jnd = config->jnd, .patch_size = patch_size};
    int r = vj_parallel(count, threads, read_picture, &reading, err);
    for (int jnd = 1; !r && config->anchors == ANCHORS_LEVELS && jnd <= VJ_TRAIN_ANCHORS_MAX; jnd++)
        if (jnd != config->jnd) {
            reading.jnd = jnd;
            r = read_levels(&reading, threads, err);
        }
    for (size_t i = 0; !r && i < count; i++)
        qsort(list->picture[i].anchor, list->picture[i].anchors, sizeof(struct vj_train_anchor),
              by_jnd);
    return r;
}

void vj_train_list_free(struct vj_train_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->picture[i].name);
        for (int a = 0; a < VJ_TRAIN_ANCHORS_MAX; a++)
            free(list->picture[i].anchor[a].reference);
    }
    free(list->picture);
    *list = (struct vj_train_list){0};
}
