/* SPDX-License-Identifier: MIT */
/* What several results files differ in: attributes, options, images, labels, predictors. */
#ifndef VJ_HOST_COMPARE_FIELDS_H
#define VJ_HOST_COMPARE_FIELDS_H

#include <stddef.h>

#include "eval/report.h"
#include "host/compare_match.h"
#include "host/error.h"
#include "host/report_source.h"

/* Differences in the order in which they are reported; strings are owned. Released by
 * vj_differences_free(). */
struct vj_differences {
    struct vj_report_difference *list;
    size_t count, capacity;
    size_t barriers; /* how many of them forbid a comparison */
    size_t runs;
};

/*
 * Looks at everything that a results file records of its run but times, the command line and the
 * number of threads. A barrier is what makes figures incomparable: data set, fingerprint, labels,
 * codec, candidates, folds, quality factors, images; for synthesised candidates also the sampling.
 *
 * d: zeroed by the caller
 * source, index: [runs]
 */
int vj_differences_find(struct vj_differences *d, const struct vj_report_source *source,
                        const struct vj_image_index *index, size_t runs, struct vj_error *err);

void vj_differences_free(struct vj_differences *d);

#endif
