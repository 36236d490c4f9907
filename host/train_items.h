/* SPDX-License-Identifier: MIT */
/* Which pictures of a data set train, and which validate. */
#ifndef VJ_HOST_TRAIN_ITEMS_H
#define VJ_HOST_TRAIN_ITEMS_H

#include <stddef.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/options.h"

/* Indices into the data set, in its order; owned, released with vj_train_items_free(). */
struct vj_train_items {
    size_t *train, *valid;
    size_t train_count, valid_count;
    char *ids;          /* numbers of all of them, "1-30,42" */
    size_t broken;      /* items that cannot be read as they should, and are left out therefore */
    char *first_broken; /* "NAME: why", NULL where there is none */
};

/*
 * With config->fold = K > 0: items of fold K are left for testing, those of the next fold (the
 * first one after the last) validate, all others train; items without a fold train. Otherwise
 * valid_ids validate, and ids, or everything when it is empty, train, without those that validate.
 * Items without a label, or that cannot be evaluated, are left out; those of the latter that are to
 * train or validate, not for want of the JND before, are counted as broken.
 * items: zeroed by the caller
 * Errors: -EINVAL for lists that name no picture and folds that do not exist, -ENODATA where folds
 * or lists leave nothing to train or, if they are to, to validate with; by name.
 */
int vj_train_items_select(struct vj_train_items *items, const struct vj_config *config,
                          const struct vj_dataset *ds, struct vj_error *err);
void vj_train_items_free(struct vj_train_items *items);

#endif
