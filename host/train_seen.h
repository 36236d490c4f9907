/* SPDX-License-Identifier: MIT */
/* Which pictures a network has seen: what its weight file lists (struct vj_trained). */
#ifndef VJ_HOST_TRAIN_SEEN_H
#define VJ_HOST_TRAIN_SEEN_H

#include "datasets/dataset.h"
#include "eval/text.h"
#include "host/error.h"
#include "host/options.h"
#include "host/train_items.h"
#include "host/weights.h"

/*
 * Reads the sources of all items that train and validate, and joins their digests
 * (host/picture_digest.h) with those of `before`, the record of the weights that training starts
 * from (NULL: fresh ones): what made those has made these.
 * threads: pictures read at the same time
 * seen:    filled; released with vj_seen_free() whatever the outcome
 * shared:  appended: which pictures that validate also train, under another name; nothing if none
 * Errors name the file.
 */
int vj_train_seen(struct vj_seen *seen, const struct vj_train_items *items,
                  const struct vj_config *config, const struct vj_dataset *ds,
                  const struct vj_trained *before, int threads, struct vj_text *shared,
                  struct vj_error *err);

#endif
