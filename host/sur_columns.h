/* SPDX-License-Identifier: MIT */
/* Fitted SUR curves in a results file: /images/sur_fit and /images/sur_parameters. */
#ifndef VJ_HOST_SUR_COLUMNS_H
#define VJ_HOST_SUR_COLUMNS_H

#include <stddef.h>

#include "eval/sur.h"
#include "host/error.h"
#include "host/results.h"

#define VJ_SUR_FIT_PATH "/images/sur_fit"

/* Appends the two columns to a list with room for them. */
void vj_sur_columns_describe(struct vj_column *list, size_t *count, enum vj_sur_model model);

/*
 * Fits every image's subjects and writes curve and parameters. An image without subjects, or
 * without a fit (too few different JNDs, or a likelihood without maximum), keeps NaN; the attribute
 * `unfitted` of the curves counts the latter, `at_bound` those whose shape stands at its bound.
 *
 * sur: [images][100] as counted
 */
int vj_sur_columns_write(struct vj_results *results, const float *sur, size_t images,
                         enum vj_sur_model model, struct vj_error *err);

#endif
