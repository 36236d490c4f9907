/* SPDX-License-Identifier: MIT */
/*
 * Rows of other runs' results files instead of evaluating their images again: how the parts of a
 * sweep that several machines shared become one file, whose thresholds are fitted and whose metrics
 * are computed over all images, as in one run.
 */
#ifndef VJ_HOST_ROWS_FROM_H
#define VJ_HOST_ROWS_FROM_H

#include <stddef.h>

#include "eval/text.h"
#include "host/schema.h"

/*
 * Checks that the rows of `path` (finished, or a .part) may stand in this run's file: it must be of
 * a run that differs in ids, part, limit, root, threads, slots and memory at most (vj_schema_match()).
 * Adds what the attribute rows_from says of it: path, images evaluated there, when, on which
 * machine and device, and the files that its own came from. Errors name the file and what differs;
 * -EINVAL also with lazy = true and an open positive class, since each run then decides on its own
 * images where its network is asked.
 */
int vj_rows_from_check(struct vj_text *text, const struct vj_engine *engine,
                       const struct vj_image_list *images, const struct vj_run_facts *facts,
                       const char *path, struct vj_error *err);

/*
 * Checks it again and copies everything measured of the images that `path` has evaluated and
 * `results`, another file, has not, failed ones included. *taken: how many. After a failure, or a
 * kill, all images are as pending as before.
 */
int vj_rows_from_take(struct vj_results *results, const struct vj_engine *engine,
                      const struct vj_image_list *images, const struct vj_run_facts *facts,
                      const char *path, size_t *taken, struct vj_error *err);

#endif
