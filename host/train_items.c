/* SPDX-License-Identifier: MIT */
#include "host/train_items.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "eval/text.h"
#include "host/checked.h"
#include "host/ranges.h"
#include "host/weights.h"

/* Numbers of a list option; "" lists none. */
static int parse_list(struct vj_ranges *ranges, const char *text, const char *option,
                      struct vj_error *err)
{
    int r = text[0] ? vj_ranges_parse(ranges, text, 0, INT_MAX) : 0;
    if (r == -ENOMEM)
        return vj_fail(err, r, "out of memory");
    return r ? vj_fail(err, r,
                       "option %s: '%s' is not a list of different item numbers such as 5-8,10",
                       option, text)
             : 0;
}

static int compare_ints(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Sorts the numbers and writes runs of them as ranges. */
static int describe_ids(char **text, int *id, size_t count, struct vj_error *err)
{
    struct vj_text t = {0};
    qsort(id, count, sizeof(*id), compare_ints);
    for (size_t i = 0; i < count;) {
        size_t last = i;
        while (last + 1 < count && id[last + 1] == id[last] + 1)
            last++;
        vj_text_add(&t, last > i ? "%s%d-%d" : "%s%d", i ? "," : "", id[i], id[last]);
        i = last + 1;
    }
    int r = vj_text_status(&t, err);
    if (!r && !t.data)
        r = vj_fail(err, -ENOMEM, "out of memory");
    if (!r && strlen(t.data) >= VJ_WEIGHTS_TEXT_MAX)
        r = vj_fail(err, -E2BIG,
                    "the numbers of %zu pictures are a list of %zu bytes, and a weight file holds "
                    "less than %d; number those of a fold one after the other",
                    count, strlen(t.data), VJ_WEIGHTS_TEXT_MAX);
    if (r)
        vj_text_free(&t);
    else
        *text = t.data;
    return r;
}

static int last_fold(const struct vj_dataset *ds, int *folds, struct vj_error *err)
{
    *folds = 0;
    for (size_t i = 0; i < vj_dataset_count(ds); i++) {
        struct vj_item item = {0};
        int r = vj_dataset_item(ds, i, &item, err);
        if (r)
            return r;
        *folds = item.fold > *folds ? item.fold : *folds;
        vj_item_free(&item);
    }
    return 0;
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
    if (c->fold > folds)
        return vj_fail(err, -EINVAL,
                       "option fold = %d: data set %s has %d folds here (option folds = %s)",
                       c->fold, c->dataset, folds, c->folds);
    return 0;
}

int vj_train_items_select(struct vj_train_items *items, const struct vj_config *c,
                          const struct vj_dataset *ds, struct vj_error *err)
{
    const size_t count = vj_dataset_count(ds);
    struct vj_ranges ids = {0}, valid_ids = {0};
    int folds = 0, *id = vj_calloc(count, sizeof(*id));
    size_t used = 0;
    items->train = vj_calloc(count, sizeof(*items->train));
    items->valid = vj_calloc(count, sizeof(*items->valid));
    int r = id && items->train && items->valid ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    if (!r && c->fold > 0)
        r = last_fold(ds, &folds, err);
    if (!r)
        r = check_fold(c, folds, err);
    if (!r)
        r = parse_list(&ids, c->ids, "ids", err);
    if (!r)
        r = parse_list(&valid_ids, c->valid_ids, "valid_ids", err);
    const int valid_fold = folds > 0 ? c->fold % folds + 1 : 0;
    for (size_t i = 0; i < count && !r; i++) {
        struct vj_item item = {0};
        r = vj_dataset_item(ds, i, &item, err);
        const bool good = !r && item.status == 0 && item.qf_true != VJ_QF_UNKNOWN;
        const bool valid = good && (c->fold > 0 ? item.fold == valid_fold && item.fold != c->fold
                                                : vj_ranges_has(&valid_ids, item.id));
        const bool train =
            good && !valid &&
            (c->fold > 0 ? item.fold != c->fold : !c->ids[0] || vj_ranges_has(&ids, item.id));
        if (valid)
            items->valid[items->valid_count++] = i;
        if (train)
            items->train[items->train_count++] = i;
        if (valid || train)
            id[used++] = item.id;
        vj_item_free(&item);
    }
    if (!r && items->train_count == 0)
        r = vj_fail(err, -ENODATA,
                    "data set %s at %s has no picture with a label to train with (options ids, "
                    "fold, labels)",
                    c->dataset, c->root);
    if (!r && c->valid_ids[0] && items->valid_count == 0)
        r = vj_fail(err, -ENODATA, "option valid_ids = %s names no picture with a label",
                    c->valid_ids);
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
    *items = (struct vj_train_items){0};
}
