/* SPDX-License-Identifier: MIT */
#include "host/image_list.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/jpeg_model.h"
#include "host/ranges.h"

static int add_sur(struct vj_image_list *list, size_t row, const struct vj_item *item,
                   size_t capacity, struct vj_error *err)
{
    if (!list->sur) {
        list->sur = vj_calloc(capacity, VJ_QF_MAX * sizeof(float));
        if (!list->sur)
            return vj_fail(err, -ENOMEM, "out of memory");
        for (size_t k = 0; k < capacity * VJ_QF_MAX; k++)
            list->sur[k] = NAN;
    }
    memcpy(list->sur + row * VJ_QF_MAX, item->sur + 1, VJ_QF_MAX * sizeof(float));
    return 0;
}

bool vj_size_taken(const struct vj_image_info *info, size_t max_pixels)
{
    const size_t most = max_pixels > 0 ? max_pixels : VJ_IMAGE_MAX_PIXELS;
    size_t pixels;
    return info->width <= VJ_JPEG_MAX_SIDE && info->height <= VJ_JPEG_MAX_SIDE &&
           vj_size_mul(info->width, info->height, &pixels) && pixels <= most;
}

/* Pictures that will be refused for their size ask for no memory. row: the picture's */
static void add_size(struct vj_image_list *list, size_t row, const char *source, size_t max_pixels)
{
    struct vj_image_info info;
    if (vj_image_probe(&info, source, NULL) || !vj_size_taken(&info, max_pixels))
        return;
    if (info.width > list->max_width) {
        list->max_width = info.width;
        list->widest = row;
    }
    if (info.height > list->max_height) {
        list->max_height = info.height;
        list->tallest = row;
    }
}

static int add_item(struct vj_image_list *list, size_t index, const struct vj_item *item,
                    size_t capacity, size_t max_pixels, struct vj_error *err)
{
    size_t row = list->count++;
    list->item[row] = index;
    list->name[row] = strdup(item->name);
    if (!list->name[row])
        return vj_fail(err, -ENOMEM, "out of memory");
    list->id[row] = item->id;
    list->fold[row] = item->fold;
    list->qf_true[row] = item->qf_true;
    list->qf_exact[row] = item->qf_exact;
    list->anchor_qf[row] = item->anchor_qf;
    if (item->status == 0)
        add_size(list, row, item->source, max_pixels);
    return item->has_sur ? add_sur(list, row, item, capacity, err) : 0;
}

/* How many items of the data set the option ids wants. wanted: NULL = all of them */
static int count_wanted(size_t *count, const struct vj_dataset *ds, const struct vj_ranges *wanted,
                        struct vj_error *err)
{
    const size_t all = vj_dataset_count(ds);
    int r = 0;
    *count = wanted ? 0 : all;
    for (size_t i = 0; wanted && !r && i < all; i++) {
        struct vj_item item = {0};
        r = vj_dataset_item(ds, i, &item, err);
        *count += !r && vj_ranges_has(wanted, item.id);
        vj_item_free(&item);
    }
    return r;
}

/* The places, among the items wanted, of those in the part: first..end-1. */
static int find_part(size_t *first, size_t *end, const struct vj_dataset *ds,
                     const struct vj_ranges *wanted, const char *part, struct vj_error *err)
{
    unsigned number, parts;
    char rest;
    size_t count;
    if (!isdigit((unsigned char)part[0]) ||
        sscanf(part, "%9u/%9u%c", &number, &parts, &rest) != 2 || number < 1 || number > parts)
        return vj_fail(err, -EINVAL,
                       "option part: '%s' is not I/N, the I-th of N parts, as 1/8 to 8/8", part);
    int r = count_wanted(&count, ds, wanted, err);
    if (r)
        return r;
    *first = (size_t)((uint64_t)count * (number - 1) / parts);
    *end = (size_t)((uint64_t)count * number / parts);
    return *first < *end
               ? 0
               : vj_fail(err, -EINVAL, "option part: %s of %zu items has none; take fewer parts",
                         part, count);
}

int vj_image_list_read(struct vj_image_list *list, const struct vj_dataset *ds, const char *ids,
                       const char *part, int limit, size_t max_pixels, struct vj_error *err)
{
    size_t capacity = vj_dataset_count(ds);
    size_t first = 0, end = capacity, wanted_before = 0;
    struct vj_ranges wanted;
    *list = (struct vj_image_list){0};
    int r = vj_ranges_of_items(&wanted, ids, "ids", err);
    list->item = vj_calloc(capacity, sizeof(*list->item));
    list->name = vj_calloc(capacity, sizeof(*list->name));
    list->id = vj_calloc(capacity, sizeof(*list->id));
    list->fold = vj_calloc(capacity, sizeof(*list->fold));
    list->qf_true = vj_calloc(capacity, sizeof(*list->qf_true));
    list->qf_exact = vj_calloc(capacity, sizeof(*list->qf_exact));
    list->anchor_qf = vj_calloc(capacity, sizeof(*list->anchor_qf));
    list->other_fold = vj_calloc(capacity, sizeof(*list->other_fold));
    list->other_qf_true = vj_calloc(capacity, sizeof(*list->other_qf_true));
    if (!r && (!list->item || !list->other_fold || !list->other_qf_true || !list->name ||
               !list->id || !list->fold || !list->qf_true || !list->qf_exact || !list->anchor_qf))
        r = vj_fail(err, -ENOMEM, "out of memory for a list of %zu images", capacity);
    if (!r && part[0])
        r = find_part(&first, &end, ds, ids[0] ? &wanted : NULL, part, err);
    for (size_t i = 0; !r && i < capacity; i++) {
        struct vj_item item = {0};
        const bool room = limit == 0 || list->count < (size_t)limit;
        r = vj_dataset_item(ds, i, &item, err);
        const bool listed = !r && (!ids[0] || vj_ranges_meet(&wanted, item.id));
        const bool in_part = wanted_before >= first && wanted_before < end;
        wanted_before += listed;
        if (listed && in_part && room) {
            r = add_item(list, i, &item, capacity, max_pixels, err);
        } else if (!r) {
            list->other_fold[list->others] = item.fold;
            list->other_qf_true[list->others++] = item.qf_true;
        }
        vj_item_free(&item);
    }
    if (!r)
        r = vj_ranges_check_met(&wanted, ids, "ids", err);
    vj_ranges_free(&wanted);
    if (r)
        vj_image_list_free(list);
    return r;
}

void vj_image_list_free(struct vj_image_list *list)
{
    for (size_t i = 0; list->name && i < list->count; i++)
        free(list->name[i]);
    free(list->name);
    free(list->item);
    free(list->id);
    free(list->fold);
    free(list->qf_true);
    free(list->qf_exact);
    free(list->anchor_qf);
    free(list->other_fold);
    free(list->other_qf_true);
    free(list->sur);
    *list = (struct vj_image_list){0};
}

int vj_name_largest(size_t width, size_t height, const char *widest, const char *tallest,
                    struct vj_error *err)
{
    char tight[64], spaced[64];
    struct vj_error old = *err;
    snprintf(tight, sizeof(tight), "%zux%zu", width, height);
    snprintf(spaced, sizeof(spaced), "%zu x %zu", width, height);
    if (!strstr(old.text, tight) && !strstr(old.text, spaced))
        return old.code;
    if (strcmp(widest, tallest) == 0)
        return vj_fail(err, old.code, "%s; the largest picture is %s: scale it or leave it out",
                       old.text, widest);
    return vj_fail(err, old.code,
                   "%s; the width is that of %s, the height that of %s: scale one of them or leave "
                   "it out",
                   old.text, widest, tallest);
}

int vj_name_first_broken(const struct vj_dataset *ds, struct vj_error *err)
{
    const struct vj_error old = *err;
    bool found = false;
    for (size_t i = 0; !found && i < vj_dataset_count(ds); i++) {
        struct vj_item item = {0};
        found = vj_dataset_item(ds, i, &item, NULL) == 0 && item.status != 0;
        if (found)
            vj_fail(err, old.code, "%s; the first broken image is %s: %s", old.text, item.name,
                    item.error);
        vj_item_free(&item);
    }
    return old.code;
}
