/* SPDX-License-Identifier: MIT */
#include "host/duplicates.h"

#include <errno.h>
#include <stdlib.h>

#include "datasets/dataset.h"
#include "datasets/files.h"
#include "host/checked.h"
#include "host/schema.h"

enum { NAMED = 5 }; /* pictures that the text names; the others are counted */

struct duplicates {
    const struct vj_analysis *images;
    size_t *first; /* [count] the first image with the same picture: itself unless it repeats one */
    bool folds;
    size_t count, leaks;
};

/* In a run with folds one that has none trains for all of them. */
static bool is_leak(const struct duplicates *d, size_t image)
{
    return d->folds && d->images->fold[image] != d->images->fold[d->first[image]];
}

static int find(struct duplicates *d, struct vj_error *err)
{
    const struct vj_analysis *a = d->images;
    char **digest = vj_calloc(a->count, sizeof(*digest));
    d->first = vj_calloc(a->count, sizeof(*d->first));
    int r = digest && d->first ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    /* Images that failed count nowhere, and are nobody's duplicate. */
    for (size_t i = 0; !r && i < a->count; i++)
        digest[i] = a->source_sha256 && a->status[i] == VJ_STATUS_OK ? a->source_sha256[i] : "";
    if (!r)
        r = vj_first_equals(d->first, digest, a->count, err);
    for (size_t i = 0; !r && i < a->count; i++) {
        if (!*digest[i])
            d->first[i] = i;
        d->count += d->first[i] != i;
        d->leaks += d->first[i] != i && is_leak(d, i);
    }
    free(digest);
    return r;
}

static void add_fold(struct vj_text *text, int32_t fold)
{
    if (fold == VJ_FOLD_NONE)
        vj_text_add(text, "none");
    else
        vj_text_add(text, "%d", (int)fold);
}

static void add_pair(struct vj_text *text, const struct duplicates *d, size_t image)
{
    const struct vj_analysis *a = d->images;
    const size_t first = d->first[image];
    vj_text_add(text, "%s = %s", a->name[image], a->name[first]);
    if (!d->folds)
        return;
    vj_text_add(text, is_leak(d, image) ? " (folds " : " (both fold ");
    add_fold(text, a->fold[image]);
    if (is_leak(d, image)) {
        vj_text_add(text, " and ");
        add_fold(text, a->fold[first]);
    }
    vj_text_add(text, ")");
}

static void describe(struct vj_text *text, const struct duplicates *d)
{
    size_t named = 0;
    vj_text_add(text, "%zu of the %zu pictures %s an earlier one under another name", d->count,
                d->images->count, d->count == 1 ? "is" : "are");
    if (d->leaks)
        vj_text_add(text, "; A LEAK BETWEEN FOLDS for %zu, as what one teaches judges the other",
                    d->leaks);
    /* Leaks first: they matter most, and the text may be cut. */
    for (int leak = 1; leak >= 0; leak--) {
        for (size_t i = 0; i < d->images->count && named < NAMED; i++) {
            if (d->first[i] == i || is_leak(d, i) != leak)
                continue;
            vj_text_add(text, named++ ? ", " : ": ");
            add_pair(text, d, i);
        }
    }
    if (d->count > named)
        vj_text_add(text, " and %zu more", d->count - named);
}

int vj_duplicates_record(struct vj_results *results, const struct vj_analysis *images, bool folds,
                         struct vj_error *err)
{
    struct duplicates d = {.images = images, .folds = folds};
    struct vj_text text = {0};
    int r = find(&d, err);
    if (!r && d.count)
        describe(&text, &d);
    if (!r)
        r = vj_text_status(&text, err);
    if (!r)
        r = vj_results_set_int(results, "/", "duplicate_images", (int64_t)d.count, err);
    if (!r)
        r = vj_results_set_text(results, "/", "duplicates", text.data ? text.data : "", err);
    vj_text_free(&text);
    free(d.first);
    return r;
}
