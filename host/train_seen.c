/* SPDX-License-Identifier: MIT */
#include "host/train_seen.h"

#include <errno.h>
#include <omp.h>
#include <string.h>

#include "host/checked.h"
#include "host/image.h"
#include "host/picture_digest.h"

static int digest_item(char hex[VJ_SHA256_HEX], const struct vj_config *config,
                       const struct vj_dataset *ds, size_t index, struct vj_error *err)
{
    const struct vj_image_options options = {.alpha = (enum vj_alpha_mode)config->alpha,
                                             .max_pixels = config->max_pixels};
    struct vj_item item = {0};
    struct vj_image img = {0};
    int r = vj_dataset_item(ds, index, &item, err);
    if (!r)
        r = vj_image_read(&img, item.source, &options, err);
    if (!r)
        r = vj_picture_digest(hex, &img, err);
    vj_image_free(&img);
    vj_item_free(&item);
    return r;
}

int vj_train_seen(struct vj_seen *seen, const struct vj_train_items *items,
                  const struct vj_config *config, const struct vj_dataset *ds,
                  const struct vj_trained *before, int threads, struct vj_error *err)
{
    const size_t own = items->train_count + items->valid_count;
    const size_t others = before ? before->seen.count : 0;
    struct vj_error first = {0};
    size_t first_at = own;
    *seen = (struct vj_seen){.picture = vj_calloc(own + others, sizeof(*seen->picture)),
                             .count = own + others};
    if (!seen->picture)
        return vj_fail(err, -ENOMEM, "out of memory");
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < own; i++) {
        const size_t item =
            i < items->train_count ? items->train[i] : items->valid[i - items->train_count];
        struct vj_error mine = {0};
        int r = digest_item(seen->picture[i], config, ds, item, &mine);
#pragma omp critical(vj_train_seen_error)
        if (r && i < first_at) {
            first_at = i;
            first = mine;
            first.code = r;
        }
    }
    if (first_at < own)
        return vj_fail(err, first.code, "%s", first.text);
    if (others)
        memcpy(seen->picture[own], before->seen.picture, others * sizeof(*seen->picture));
    vj_seen_sort(seen);
    return 0;
}
