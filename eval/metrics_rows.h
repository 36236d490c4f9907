/* SPDX-License-Identifier: MIT */
/*
 * Inside eval/: what one image adds to every metric. All metrics but quantiles and ranks are
 * functions of sums over images, so a bootstrap resample is a sum of rows.
 */
#ifndef VJ_EVAL_METRICS_ROWS_H
#define VJ_EVAL_METRICS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/metrics.h"
#include "host/error.h"

/* Columns of a row. Each *_N is 1 where the sums that follow it are known for this image. */
enum vj_sum {
    VJ_SUM_ERROR_N = 0,
    VJ_SUM_ERROR,  /* pred - true */
    VJ_SUM_ABS,    /* |pred - true| */
    VJ_SUM_SQUARE, /* (pred - true)^2 */
    VJ_SUM_DQF,    /* max(0, true - pred) */
    VJ_SUM_PAST,   /* pred < true */
    VJ_SUM_TRUE,   /* true */
    VJ_SUM_TRUE_SQUARE,
    VJ_SUM_PRED_SQUARE,
    VJ_SUM_PAIRS_N, /* images, not pairs */
    VJ_SUM_TP,      /* lossy, called lossy */
    VJ_SUM_FP,      /* lossless, called lossy */
    VJ_SUM_FN,      /* lossy, called lossless */
    VJ_SUM_TN,      /* lossless, called lossless */
    VJ_SUM_DPSNR_N,
    VJ_SUM_DPSNR,
    VJ_SUM_ABS_DPSNR_N,
    VJ_SUM_ABS_DPSNR,
    VJ_SUM_DMS_SSIM_N,
    VJ_SUM_DMS_SSIM,
    VJ_SUM_RATE_N,
    VJ_SUM_SAVING,
    VJ_SUM_RATE,     /* bytes at pred */
    VJ_SUM_RATE_MAX, /* bytes at the highest level */
    VJ_SUM_TRUTH_N,
    VJ_SUM_SAVING_AT_TRUTH,
    VJ_SUM_SUR_N,
    VJ_SUM_SUR,
    VJ_SUM_BHATTACHARYYA_N,
    VJ_SUM_BHATTACHARYYA,
    VJ_SUM_SUR_DPSNR_N,
    VJ_SUM_SUR_DPSNR,
    VJ_SUM_SATISFIED_N,
    VJ_SUM_SATISFIED, /* SUR of the subjects at pred */
    VJ_SUM_SATISFIED_AT_TRUTH_N,
    VJ_SUM_SATISFIED_AT_TRUTH,
    VJ_SUMS, /* a row of 36 doubles is nine AVX registers */
};

/* Rows of all images, released by vj_rows_free(). */
struct vj_rows {
    size_t count;
    double (*row)[VJ_SUMS]; /* [count] zero for an image that was not evaluated */
    int32_t *abs_error;     /* [count] |pred - true|, -1 unknown */
    int32_t abs_error_max;  /* 0 when none is known */
    const int32_t *qf_true; /* [count] or NULL, borrowed from the truth; -1 unknown */
    const int32_t *qf_pred; /* [count] borrowed from the prediction; -1 unknown */
    uint32_t *evaluated;    /* [evaluated_count] images with a prediction, ascending */
    size_t evaluated_count;
    enum vj_pair_source pairs;
};

/* Checks the arrays' values and fills *rows (zeroed on failure). Errors: -EINVAL, -ENOMEM. */
int vj_rows_init(struct vj_rows *rows, const struct vj_truth *truth,
                 const struct vj_prediction *prediction, struct vj_error *err);

void vj_rows_free(struct vj_rows *rows);

/* Levels of an image that are pairs with its anchor: 0 .. result - 1. */
int vj_pair_levels(const struct vj_truth *truth, size_t image);

/*
 * Does the predictor call this level lossy? In the run's pair source; the image must be evaluated
 * and, for answers, answered.
 */
bool vj_calls_lossy(const struct vj_truth *truth, const struct vj_prediction *prediction,
                    enum vj_pair_source pairs, size_t image, int level);

#endif
