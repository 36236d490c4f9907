/* SPDX-License-Identifier: MIT */
#include "host/train_seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/files.h"
#include "host/checked.h"
#include "host/image.h"
#include "host/parallel.h"
#include "host/picture_digest.h"

/* What all pictures are read with. */
struct reading {
    struct vj_seen *seen;
    const struct vj_train_items *items;
    const struct vj_config *config;
    const struct vj_dataset *ds;
};

/* Picture i of those that train, followed by those that validate. */
static int digest_picture(void *user, size_t i, struct vj_error *err)
{
    const struct reading *reading = user;
    const struct vj_train_items *items = reading->items;
    const struct vj_image_options options = {.alpha = (enum vj_alpha_mode)reading->config->alpha,
                                             .max_pixels = reading->config->max_pixels};
    struct vj_item item = {0};
    struct vj_image img = {0};
    int r = vj_dataset_item(reading->ds,
                            i < items->train_count ? items->train[i]
                                                   : items->valid[i - items->train_count],
                            &item, err);
    if (!r)
        r = vj_image_read(&img, item.source, &options, err);
    if (!r)
        r = vj_picture_digest(reading->seen->picture[i], &img, err);
    vj_image_free(&img);
    vj_item_free(&item);
    return r;
}

static int add_pair(struct vj_text *text, const struct vj_dataset *ds, size_t valid, size_t train,
                    struct vj_error *err)
{
    struct vj_item a = {0}, b = {0};
    int r = vj_dataset_item(ds, valid, &a, err);
    if (!r)
        r = vj_dataset_item(ds, train, &b, err);
    if (!r)
        vj_text_add(text, "%s = %s", a.name, b.name);
    vj_item_free(&a);
    vj_item_free(&b);
    return r;
}

/* digest: [train_count + valid_count] of the items, those that train first */
static int describe_shared(struct vj_text *text, const struct vj_train_items *items,
                           char *const *digest, const struct vj_dataset *ds, struct vj_error *err)
{
    enum { NAMED = 5 };
    const size_t train = items->train_count, count = train + items->valid_count;
    size_t shared = 0, named = 0;
    size_t *first = vj_calloc(count, sizeof(*first));
    int r =
        first ? vj_first_equals(first, digest, count, err) : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = train; !r && i < count; i++)
        shared += first[i] < train;
    if (!r && shared)
        vj_text_add(text,
                    "%zu of the %zu pictures that validate also train%s, under another name: "
                    "validation is too good",
                    shared, items->valid_count, shared == 1 ? "s" : "");
    for (size_t i = train; !r && i < count && named < NAMED; i++) {
        if (first[i] >= train)
            continue;
        vj_text_add(text, named++ ? ", " : "; ");
        r = add_pair(text, ds, items->valid[i - train], items->train[first[i]], err);
    }
    if (!r && shared > named)
        vj_text_add(text, " and %zu more", shared - named);
    free(first);
    return r ? r : vj_text_status(text, err);
}

static int find_shared(struct vj_text *text, const struct vj_seen *seen,
                       const struct vj_train_items *items, const struct vj_dataset *ds,
                       struct vj_error *err)
{
    const size_t own = items->train_count + items->valid_count;
    char **digest = vj_calloc(own, sizeof(*digest));
    if (!digest)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < own; i++)
        digest[i] = seen->picture[i];
    int r = describe_shared(text, items, digest, ds, err);
    free(digest);
    return r;
}

int vj_train_seen(struct vj_seen *seen, const struct vj_train_items *items,
                  const struct vj_config *config, const struct vj_dataset *ds,
                  const struct vj_trained *before, int threads, struct vj_text *shared,
                  struct vj_error *err)
{
    const size_t own = items->train_count + items->valid_count;
    const size_t others = before ? before->seen.count : 0;
    struct reading reading = {seen, items, config, ds};
    *seen = (struct vj_seen){.picture = vj_calloc(own + others, sizeof(*seen->picture)),
                             .count = own + others};
    if (!seen->picture)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_parallel(own, threads, digest_picture, &reading, err);
    if (!r)
        r = find_shared(shared, seen, items, ds, err);
    if (r)
        return r;
    if (others)
        memcpy(seen->picture[own], before->seen.picture, others * sizeof(*seen->picture));
    vj_seen_sort(seen);
    return 0;
}
