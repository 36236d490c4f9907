/* SPDX-License-Identifier: MIT */
/*
 * Predictors that need no network: a threshold on one number per candidate (PSNR, SSIM, MS-SSIM,
 * the share of pixels above a JND map, ...) and the constant, the median JND of other images.
 *
 * Whatever is fitted is fitted on images other than the one predicted: with folds, an image of fold
 * k is predicted from the labelled images outside fold k; without folds, thresholds must be given
 * and the constant leaves out the image itself. An image that carries no fold in a run that has
 * folds is used for fitting and gets no fitted prediction.
 */
#ifndef VJ_EVAL_RULES_H
#define VJ_EVAL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/common.h"
#include "eval/search.h"
#include "eval/text.h"
#include "host/error.h"

/* Default thresholds without folds: means at the PJND of KonJND-1k, JPEG (CID22 paper, table 4).
 * SSIM has no published figure and so no default. */
#define VJ_PSNR_Y_THRESHOLD      36.70 /* dB */
#define VJ_MS_SSIM_THRESHOLD     0.9922
#define VJ_SSIMULACRA2_THRESHOLD 63.10 /* 65.38 for BPG */

enum vj_rule {
    VJ_RULE_BELOW_IS_LOSSY = 0, /* lossy iff value < threshold: quality metrics, PSNR gain */
    VJ_RULE_ABOVE_IS_LOSSY,     /* lossy iff value > threshold: share of pixels, excess energy */
};

/* The answer of a rule; a value that equals the threshold is lossless. */
static inline bool vj_rule_lossy(enum vj_rule rule, float value, double threshold)
{
    return rule == VJ_RULE_BELOW_IS_LOSSY ? (double)value < threshold : (double)value > threshold;
}

/* What a rule sees of a run. Arrays are borrowed; row i of `value` belongs to image i. */
struct vj_rule_table {
    size_t count;           /* images */
    int levels;             /* candidates per image, 1 .. VJ_SEARCH_LEVELS_MAX */
    int qf_first;           /* quality factor of level 0 */
    const float *value;     /* [count, levels]; a NaN anywhere in a row: the image has no value */
    const int32_t *qf_true; /* [count] 0 .. VJ_EVAL_QF_MAX, or VJ_EVAL_UNKNOWN; NULL = no labels */
    const int32_t *fold;    /* [count] >= 0, VJ_EVAL_UNKNOWN = none; NULL = no folds */
};

/* What was fitted, for which fold. */
struct vj_rule_fit {
    int32_t fold;      /* test fold, or VJ_EVAL_UNKNOWN for a fit that belongs to no fold */
    double parameter;  /* threshold, the constant quality factor, or where a line meets x = 0 */
    double slope;      /* of a line; else 0 */
    size_t trained_on; /* images */
    double mad;        /* mean |qf_pred - qf_true| over those images */
    double pair_error; /* of a threshold: share of wrong answers, the highest level left out */
};

/*
 * What was fitted for each fold of a run, ascending by fold. A fold with too few labelled images
 * outside it has no fit and is among the unfitted; its images have no prediction. Released by
 * vj_rule_fits_free().
 */
struct vj_rule_fits {
    struct vj_rule_fit *fit;
    size_t count;
    int32_t *unfitted; /* folds, ascending */
    size_t unfitted_count;
};

/*
 * Fits a threshold: minimises the mean |qf_pred - qf_true| of the search's result over all
 * thresholds, exactly (every threshold that answers some image differently is tried). Ties: fewer
 * wrong pair answers; then the middle of the optimal interval of thresholds (the widest one, then
 * the lowest; of one that is open, its finite end).
 *
 * use: [count] non-zero = train on this image; NULL = all. Images without label or value never
 *      count.
 *
 * Errors: -ENODATA when there is nothing to train on, -EINVAL for bad sizes or options, -ENOMEM.
 */
int vj_threshold_fit(struct vj_rule_fit *fit, const struct vj_rule_table *table, enum vj_rule rule,
                     const struct vj_search_options *search, const uint8_t *use,
                     struct vj_error *err);

/*
 * Applies one threshold to every image.
 * lossy:   [count, levels] filled with 0 / 1, VJ_LOSSY_UNANSWERED for images without value; or NULL
 * qf_pred: [count] filled; VJ_EVAL_UNKNOWN for images without value
 */
int vj_threshold_apply(const struct vj_rule_table *table, enum vj_rule rule, double threshold,
                       const struct vj_search_options *search, uint8_t *lossy, int32_t *qf_pred,
                       struct vj_error *err);

/*
 * Fits one threshold per fold on the images outside it and applies it to those inside.
 * fits, lossy, qf_pred: as above; on failure *fits is zeroed and no image has a prediction
 * Errors: as vj_threshold_fit(), -ENODATA only when no fold can be fitted, the text naming the
 * first; -EINVAL without folds.
 */
int vj_threshold_cross_fit(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                           enum vj_rule rule, const struct vj_search_options *search,
                           uint8_t *lossy, int32_t *qf_pred, struct vj_error *err);

/*
 * The line predictor: qf = parameter + slope x, rounded (halves up) and kept within the levels.
 * One line per fold, of least squares over the labelled images outside it; where all of these have
 * the same x, the mean label.
 *
 * table: `value` is not read and may be NULL
 * x:     [count] what is known of each image; NaN: the image neither trains nor is predicted
 * fits, qf_pred: as above
 *
 * Errors: -EINVAL without folds; -ENODATA, naming the first fold, when fewer than two images train
 * for each of them.
 */
int vj_line_cross_fit(struct vj_rule_fits *fits, const struct vj_rule_table *table, const double *x,
                      int32_t *qf_pred, struct vj_error *err);

/*
 * The tolerances of a rate-damage curve: steps around the one in force, rising. Shares and energies
 * are multiplied (1/4, 1/2, 1, 2, 4), decibels moved (-3, -1.5, 0, 1.5, 3).
 */
enum vj_tolerance_scale {
    VJ_TOLERANCE_FACTOR = 0,
    VJ_TOLERANCE_ADDED,
};
enum { VJ_TOLERANCE_STEPS = 5 };

/* Tolerance number step, 0 .. VJ_TOLERANCE_STEPS - 1, around the one given. */
double vj_tolerance_at(enum vj_tolerance_scale scale, double tolerance, int step);

/*
 * Applies all of them to every image.
 * threshold: [count] in force for each image; NaN: no prediction
 * qf_pred:   [count, VJ_TOLERANCE_STEPS] filled; VJ_EVAL_UNKNOWN for images without value
 */
int vj_threshold_sweep(const struct vj_rule_table *table, enum vj_rule rule,
                       enum vj_tolerance_scale scale, const double *threshold,
                       const struct vj_search_options *search, int32_t *qf_pred,
                       struct vj_error *err);

/*
 * Median of count >= 1 labels: of an even number the mean of the two in the middle, halves rounded
 * up (every value between the two has the same mean absolute error). `labels` is sorted in place.
 */
int32_t vj_median_qf(int32_t *labels, size_t count);

/*
 * The constant predictor. With folds: the median label outside the image's fold, one fit per fold.
 * Without folds: for each image the median label of all others (leave one out), so that no image
 * sees its own label; *fits then holds one entry, the median of all labels, which is what images
 * without label get, with `mad` that of leaving one out.
 *
 * table: `value` is not read and may be NULL
 *
 * Errors: -ENODATA when every fold, or an image, has no labelled image to learn from.
 */
int vj_constant_predict(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                        int32_t *qf_pred, struct vj_error *err);

/* Appends "; NO ANSWER in fold 1, 4: ..." to a predictor's note; nothing where all are fitted. */
void vj_rule_fits_note_unfitted(struct vj_text *note, const struct vj_rule_fits *fits);

void vj_rule_fits_free(struct vj_rule_fits *fits);

#endif
