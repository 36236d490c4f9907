/* SPDX-License-Identifier: MIT */
/*
 * Pictures that a data set has under several names: the same size and samples, whatever the files.
 * Metrics count each of them, and in other test folds one trains what judges the other.
 */
#ifndef VJ_HOST_DUPLICATES_H
#define VJ_HOST_DUPLICATES_H

#include <stdbool.h>

#include "eval/text.h"
#include "host/analysis.h"
#include "host/error.h"
#include "host/results.h"

/*
 * Writes the root attributes `duplicate_images` (how many evaluated images are the same picture as
 * an earlier one) and `duplicates` (the same in words, with the names of some; empty = none). By
 * the digests of /images/source_sha256: no file is read again.
 * folds: whether the run has test folds; then it is said which are in different ones
 * Errors: -ENOMEM, those of writing
 */
int vj_duplicates_record(struct vj_results *results, const struct vj_analysis *images, bool folds,
                         struct vj_error *err);

#endif
