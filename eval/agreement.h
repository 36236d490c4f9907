/* SPDX-License-Identifier: MIT */
/*
 * How far two predictors agree where no label says which of them is nearer to the truth. Names are
 * those of reports for programs.
 */
#ifndef VJ_EVAL_AGREEMENT_H
#define VJ_EVAL_AGREEMENT_H

#include <stddef.h>

#include "eval/metrics.h"
#include "host/error.h"

enum vj_agreement_metric {
    VJ_AGREEMENT_DIFFERENCE = 0, /* mean (pred a - pred b) */
    VJ_AGREEMENT_ABS_DIFFERENCE, /* mean |pred a - pred b| */
    VJ_AGREEMENT_EQUAL,          /* share of images with pred a = pred b */
    VJ_AGREEMENT_WITHIN_1,       /* share with |pred a - pred b| <= 1 */
    VJ_AGREEMENT_WITHIN_5,       /* share with |pred a - pred b| <= 5 */
    VJ_AGREEMENT_SAVING,         /* mean (saving at pred a - saving at pred b), as saving_mean */
    VJ_AGREEMENT_BYTES,          /* sum R(pred a) / sum R(pred b) - 1; so of mean bit rates, too */
    VJ_AGREEMENT_COUNT,
};

/* Facts of one; metric < VJ_AGREEMENT_COUNT. */
const struct vj_metric_info *vj_agreement_info(enum vj_agreement_metric metric);

/* Two predictors on the images where both predict, labelled or not. */
struct vj_agreement {
    size_t images;
    struct vj_metric_value value[VJ_AGREEMENT_COUNT]; /* n of the last two: sizes known */
};

/*
 * Compares the predictions of a and b. Absent values when no image has both, and of the last two
 * where sizes are not known. Intervals as those of vj_metrics_compute(): images are the unit, the
 * resamples those of stream 0; none for fewer than two images.
 *
 * boot: NULL = no intervals
 * Errors: as vj_metrics_compute().
 */
int vj_agreement_compute(struct vj_agreement *out, const struct vj_truth *truth,
                         const struct vj_prediction *a, const struct vj_prediction *b,
                         const struct vj_bootstrap *boot, struct vj_error *err);

#endif
