/* SPDX-License-Identifier: MIT */
#include "host/train_items.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "eval/text.h"
#include "host/checked.h"
#include "host/h5.h"
#include "host/image_list.h"
#include "host/int_order.h"
#include "host/ranges.h"

/* Sorts the numbers and writes runs of them as ranges. */
static void add_runs(struct vj_text *text, int *number, size_t count)
{
    qsort(number, count, sizeof(*number), vj_compare_ints);
    for (size_t i = 0, last; i < count; i = last + 1) {
        for (last = i; last + 1 < count && number[last + 1] - number[last] <= 1;)
            last++;
        vj_text_add(text, number[last] > number[i] ? "%s%d-%d" : "%s%d", i ? "," : "", number[i],
                    number[last]);
    }
}

static int describe_ids(char **text, int *id, size_t count, struct vj_error *err)
{
    struct vj_text t = {0};
    add_runs(&t, id, count);
    int r = vj_text_status(&t, err);
    if (!r && !t.data)
        r = vj_fail(err, -ENOMEM, "out of memory");
    if (!r && strlen(t.data) >= VJ_H5_TEXT_MAX)
        r = vj_fail(err, -E2BIG,
                    "the numbers of %zu pictures are a list of %zu bytes, and a weight file holds "
                    "less than %d; number those of a fold one after the other",
                    count, strlen(t.data), VJ_H5_TEXT_MAX);
    if (r)
        vj_text_free(&t);
    else
        *text = t.data;
    return r;
}

static bool can_train(const struct vj_item *item)
{
    return item->status == 0 && item->qf_true != VJ_QF_UNKNOWN;
}

/* The folds of a data set, one entry per picture that is in one. */
struct folds {
    int *of; /* owned */
    size_t count;
    int last; /* 0: there is none */
};

/* labelled: of pictures alone that can train or validate */
static int read_folds(struct folds *folds, const struct vj_dataset *ds, bool labelled,
                      struct vj_error *err)
{
    *folds = (struct folds){.of = vj_calloc(vj_dataset_count(ds), sizeof(*folds->of))};
    int r = folds->of ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i < vj_dataset_count(ds); i++) {
        struct vj_item item = {0};
        r = vj_dataset_item(ds, i, &item, err);
        if (!r && item.fold != VJ_FOLD_NONE && (!labelled || can_train(&item)))
            folds->of[folds->count++] = item.fold;
        if (!r && item.fold > folds->last)
            folds->last = item.fold;
        vj_item_free(&item);
    }
    return r;
}

/* -ENODATA, with the folds that have some, when no picture is in the fold. what: "test", ... */
static int check_filled(const struct vj_config *c, const struct vj_dataset *ds, int fold,
                        bool labelled, const char *what, struct vj_error *err)
{
    struct folds folds;
    bool there = false;
    int r = read_folds(&folds, ds, labelled, err);
    for (size_t i = 0; !r && i < folds.count; i++)
        there = there || folds.of[i] == fold;
    if (!r && !there) {
        struct vj_text list = {0};
        const char *kind = labelled ? " with a label" : "";
        add_runs(&list, folds.of, folds.count);
        r = vj_fail(err, -ENODATA,
                    "option fold = %d: fold %d, which is to %s, has no picture%s; folds that have "
                    "some: %.200s (option folds = %s)",
                    c->fold, fold, what, kind, list.data ? list.data : "none", c->folds);
        if (labelled)
            r = vj_name_first_broken(ds, err);
        vj_text_free(&list);
    }
    free(folds.of);
    return r;
}

static int check_fold(const struct vj_config *c, int folds, struct vj_error *err)
{
    if (c->fold > 0 && (c->ids[0] || c->valid_ids[0]))
        return vj_fail(err, -EINVAL,
                       "option fold = %d decides what trains and validates; leave ids and "
                       "valid_ids empty",
                       c->fold);
    if (c->fold > 0 && folds == 2)
        return vj_fail(err, -EINVAL,
                       "option fold = %d: of two folds one is left for testing and the other one "
                       "validates, so that none trains; use three folds or more",
                       c->fold);
    if (c->fold > 0 && folds == 0)
        return vj_fail(err, -EINVAL,
                       "option fold = %d: data set %s has no folds here (option folds = %s); set "
                       "them too, e.g. folds=random:5",
                       c->fold, c->dataset, c->folds);
    if (c->fold > folds)
        return vj_fail(err, -EINVAL,
                       "option fold = %d: data set %s has %d folds here (option folds = %s)",
                       c->fold, c->dataset, folds, c->folds);
    if (c->fold > 0 && folds == 1)
        return vj_fail(err, -EINVAL,
                       "option fold = %d: the only fold is left for testing, so that none "
                       "validates; use three folds or more (option folds = %s)",
                       c->fold, c->folds);
    return 0;
}

/* folds: the number of the last one; *valid_fold: the one that validates. 0 where folds decide
 * nothing */
static int choose_folds(const struct vj_config *c, const struct vj_dataset *ds, int *valid_fold,
                        struct vj_error *err)
{
    struct folds folds = {0};
    int r = c->fold > 0 ? read_folds(&folds, ds, false, err) : 0;
    const int last = folds.last;
    free(folds.of);
    if (!r)
        r = check_fold(c, last, err);
    *valid_fold = last > 0 ? c->fold % last + 1 : 0;
    if (!r && c->fold > 0)
        r = check_filled(c, ds, c->fold, false, "be left for testing", err);
    if (!r && c->fold > 0)
        r = check_filled(c, ds, *valid_fold, true, "validate", err);
    return r;
}

static int note_broken(struct vj_train_items *items, const struct vj_item *item,
                       struct vj_error *err)
{
    if (items->broken++ > 0)
        return 0;
    struct vj_text text = {0};
    vj_text_add(&text, "%s: %s", item->name, item->error);
    items->first_broken = text.data;
    return vj_text_status(&text, err);
}

int vj_train_items_select(struct vj_train_items *items, const struct vj_config *c,
                          const struct vj_dataset *ds, struct vj_error *err)
{
    const size_t count = vj_dataset_count(ds);
    struct vj_ranges ids = {0}, valid_ids = {0};
    int valid_fold = 0, *id = vj_calloc(count, sizeof(*id));
    size_t used = 0;
    items->train = vj_calloc(count, sizeof(*items->train));
    items->valid = vj_calloc(count, sizeof(*items->valid));
    int r = id && items->train && items->valid ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    if (!r)
        r = choose_folds(c, ds, &valid_fold, err);
    if (!r)
        r = vj_ranges_of_items(&ids, c->ids, "ids", err);
    if (!r)
        r = vj_ranges_of_items(&valid_ids, c->valid_ids, "valid_ids", err);
    for (size_t i = 0; i < count && !r; i++) {
        struct vj_item item = {0};
        r = vj_dataset_item(ds, i, &item, err);
        const bool good = !r && can_train(&item);
        const bool in_valid = !r && vj_ranges_meet(&valid_ids, item.id);
        const bool in_ids = !r && (vj_ranges_meet(&ids, item.id) || !c->ids[0]);
        const bool valid =
            good && (c->fold > 0 ? item.fold == valid_fold && item.fold != c->fold : in_valid);
        const bool train = good && !valid && (c->fold > 0 ? item.fold != c->fold : in_ids);
        if (valid)
            items->valid[items->valid_count++] = i;
        if (train)
            items->train[items->train_count++] = i;
        if (valid || train)
            id[used++] = item.id;
        const bool wanted = c->fold > 0 ? item.fold != c->fold : in_valid || in_ids;
        if (!r && wanted && item.status != 0 && item.status != -ENODATA)
            r = note_broken(items, &item, err);
        vj_item_free(&item);
    }
    if (!r)
        r = vj_ranges_check_met(&ids, c->ids, "ids", err);
    if (!r)
        r = vj_ranges_check_met(&valid_ids, c->valid_ids, "valid_ids", err);
    if (!r && items->train_count == 0) {
        const char *unused = vj_dataset_info(ds)->excluded;
        vj_fail(err, -ENODATA,
                "data set %s at %s has no picture with a label of JND %d to train with (options "
                "jnd, ids, fold, labels)%s%.300s",
                c->dataset, c->root, c->jnd, *unused ? "; not used: " : "", unused);
        r = vj_name_first_broken(ds, err);
    }
    if (!r && c->valid_ids[0] && items->valid_count == 0) {
        vj_fail(err, -ENODATA, "option valid_ids = %s names no picture with a label", c->valid_ids);
        r = vj_name_first_broken(ds, err);
    }
    if (!r)
        r = describe_ids(&items->ids, id, used, err);
    free(id);
    vj_ranges_free(&ids);
    vj_ranges_free(&valid_ids);
    return r;
}

void vj_train_items_free(struct vj_train_items *items)
{
    free(items->train);
    free(items->valid);
    free(items->ids);
    free(items->first_broken);
    *items = (struct vj_train_items){0};
}
