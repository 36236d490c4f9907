/* SPDX-License-Identifier: MIT */
/* Images of a run that its own networks were made with: what is said of them is no test. */
#ifndef VJ_HOST_FINISH_SEEN_H
#define VJ_HOST_FINISH_SEEN_H

#include <stddef.h>

#include "host/analysis.h"
#include "host/engine.h"
#include "host/error.h"
#include "host/results.h"

/*
 * Counts the images that trained or validated the weights that score them, as far as the weight
 * files say: by the pictures' digests (/images/source_sha256, in any data set), or by the items'
 * numbers where these are the record's (vj_trained_with).
 * p: a network, or one for each fold; of images without a network of their own none is counted
 */
int vj_count_seen(size_t *seen, struct vj_results *results, const struct vj_analysis *images,
                  const struct vj_engine *engine, const struct vj_predictor *p,
                  struct vj_error *err);

#endif
