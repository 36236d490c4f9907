/* SPDX-License-Identifier: MIT */
/* What a positive score of a network means, where neither weights nor options say it. */
#ifndef VJ_HOST_POSITIVE_H
#define VJ_HOST_POSITIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/engine.h"
#include "host/error.h"
#include "host/results.h"

/*
 * Decides the positive class of every network that leaves it open, from the first evaluated images
 * of the file (vj_positive_from_scores).
 * final: true decides on what there is and records the decision; false waits until
 *        VJ_POSITIVE_IMAGES images are there
 * *open: networks still undecided
 * Errors: those of reading and writing the file; -ENOMEM.
 */
int vj_decide_positive(struct vj_engine *engine, struct vj_results *results, bool final,
                       size_t *open, struct vj_error *err);

#endif
