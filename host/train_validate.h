/* SPDX-License-Identifier: MIT */
/* Validation while training: the very evaluation of `vpjnd eval`, on the validation items. */
#ifndef VJ_HOST_TRAIN_VALIDATE_H
#define VJ_HOST_TRAIN_VALIDATE_H

#include <stddef.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/options.h"
#include "host/weights.h"

struct vj_validation {
    double mad, bias; /* QF: mean |QF_pred - QF_true| and mean QF_pred - QF_true */
    size_t images;
    size_t live_weights; /* patch weights above the smallest there is, of all that were looked at */
};

/*
 * Scores the items with the weights, asking for the quality factors that the search wants, and
 * compares what it finds with the labels. Patch positions are those of evaluation with the same
 * seed.
 *
 * item: [count] indices into ds, count >= 1
 * Errors: an item that cannot be evaluated is an error that names it.
 */
int vj_validate(struct vj_validation *out, const struct vj_config *config,
                const struct vj_dataset *ds, const size_t *item, size_t count,
                const struct vj_weights *weights, struct vj_error *err);

/*
 * Opens what vj_validate() will need and closes it, so that what is missing (a map that the device
 * has no kernels for, memory, a picture that is too small) ends training before its first step.
 */
int vj_validate_check(const struct vj_config *config, const struct vj_dataset *ds,
                      const size_t *item, size_t count, const struct vj_weights *weights,
                      struct vj_error *err);

#endif
