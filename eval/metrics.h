/* SPDX-License-Identifier: MIT */
/*
 * What a run is worth: errors of the predicted quality factor, pair decisions, damage, savings.
 *
 * Every metric is a mean over images, a ratio of sums over images, or a quantile over images; each
 * is computed over the images for which it can be computed, `n` says how many these are, and each
 * has an expanded percentile bootstrap interval over images. A metric that cannot be computed is
 * absent, never 0 or NaN. Names are those of /metrics/<name> in the results file.
 *
 * Rates and quality of a prediction are those of the candidate at the quality factor named. Pairs
 * are every level below the anchor, or below the highest level where the anchor lies above them
 * all, against the anchor; an image at its true PW-JND is lossy.
 */
#ifndef VJ_EVAL_METRICS_H
#define VJ_EVAL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/common.h"
#include "eval/stats.h"
#include "host/error.h"

enum vj_metric {
    VJ_METRIC_MAD = 0,            /* mean |pred - true| */
    VJ_METRIC_RMSE,               /* sqrt of mean (pred - true)^2 */
    VJ_METRIC_BIAS,               /* mean (pred - true) */
    VJ_METRIC_MEDIAN_ABS,         /* median of |pred - true| */
    VJ_METRIC_P90_ABS,            /* 90th percentile of |pred - true| */
    VJ_METRIC_PLCC,               /* Pearson's correlation of pred and true */
    VJ_METRIC_SROCC,              /* Spearman's, ties at their mean rank */
    VJ_METRIC_KROCC,              /* Kendall's tau-b */
    VJ_METRIC_PAIR_ACCURACY,      /* right answers / answers */
    VJ_METRIC_PRECISION_LOSSY,    /* lossy and called lossy / called lossy */
    VJ_METRIC_PRECISION_LOSSLESS, /* lossless and called lossless / called lossless */
    VJ_METRIC_RECALL_LOSSY,       /* lossy and called lossy / lossy */
    VJ_METRIC_RECALL_LOSSLESS,    /* lossless and called lossless / lossless */
    VJ_METRIC_F1_LOSSY,           /* harmonic mean of precision and recall */
    VJ_METRIC_F1_LOSSLESS,
    VJ_METRIC_DQF,             /* mean max(0, true - pred) */
    VJ_METRIC_DPSNR_Y,         /* mean max(0, PSNR-Y at true - PSNR-Y at pred) */
    VJ_METRIC_DMS_SSIM,        /* mean max(0, MS-SSIM at true - MS-SSIM at pred) */
    VJ_METRIC_ABS_DPSNR_Y,     /* mean |PSNR-Y at true - PSNR-Y at pred| */
    VJ_METRIC_SAVING_MEAN,     /* mean 1 - R(pred) / R(highest level) */
    VJ_METRIC_SAVING_OF_SUMS,  /* 1 - sum R(pred) / sum R(highest level) */
    VJ_METRIC_SAVING_AT_TRUTH, /* mean 1 - R(true) / R(highest level) */
    VJ_METRIC_PAST_JND_SHARE,  /* share of images with pred < true */
    VJ_METRIC_SUR_MAE,       /* mean over images and levels |SUR predicted - SUR of the subjects| */
    VJ_METRIC_BHATTACHARYYA, /* mean Bhattacharyya distance of the JND distributions, see below */
    VJ_METRIC_ABS_DPSNR_Y_SUR50, /* mean |PSNR-Y at the predicted SUR 50 % - at the subjects'| */
    VJ_METRIC_SUR_AT_PREDICTION, /* mean share of the subjects who see no difference at pred */
    VJ_METRIC_SUR_AT_TRUTH,      /* mean share of them who see none at true */
    VJ_METRIC_COUNT,
};

struct vj_metric_info {
    const char *name;        /* "mad": /metrics/mad */
    const char *description; /* one line */
    const char *units;       /* "QF", "dB", or "" for a number without unit */
    bool is_share;           /* in [0, 1], or a saving: reports print it in per cent */
};

/* Facts of a metric; metric < VJ_METRIC_COUNT. */
const struct vj_metric_info *vj_metric_info(enum vj_metric metric);

/*
 * What is known of the images, whoever predicts. Arrays are borrowed; [count, levels] arrays are
 * row-major, column i = quality factor qf_first + i. NULL arrays are unknown altogether.
 */
struct vj_truth {
    size_t count;           /* images, >= 1 */
    int levels;             /* 1 .. 101 */
    int qf_first;           /* quality factor of level 0, >= 0 */
    const int32_t *qf_true; /* [count] 0 .. 1023, or -1 unknown */
    const int32_t *fold;    /* [count] >= 0, or -1 none */
    /* [count] quality factor of the picture that candidates are compared with: JND 1 of MCL-JCI
     * 100, JND 2 the image's JND 1; 0 = the source itself, above all candidates; NULL = all 0 */
    const int32_t *anchor;
    const uint32_t *bytes; /* [count, levels]; 0 = unknown */
    const float *psnr_y;   /* [count, levels] dB; NaN = unknown, +infinity for identical pictures */
    const float *ms_ssim;  /* [count, levels]; NaN = unknown */
    const float *sur;      /* [count, levels] share who see no difference; NaN = no subjects */
    const float *counted;  /* the same as the subjects answered, where sur is fitted; NULL = sur */
};

/* What one predictor says of them. */
struct vj_prediction {
    const int32_t *qf_pred; /* [count] 0 .. 1023, or -1 not evaluated: the image counts nowhere */
    const uint8_t *lossy;   /* [count, levels] 1 lossy, 0 lossless, 255 not answered; or NULL */
    const float
        *sur; /* [count, levels] predicted share who see no difference, NaN = none; or NULL */
};

/*
 * Where the pair decisions come from. ANSWERS when the predictor answered every pair of every
 * evaluated image; otherwise STEP, the step at its qf_pred (constant and external predictors, lazy
 * searches). One source per predictor, never a mixture.
 */
enum vj_pair_source {
    VJ_PAIRS_FROM_ANSWERS = 0,
    VJ_PAIRS_FROM_STEP,
};

const char *vj_pair_source_name(enum vj_pair_source source); /* "answers", "step" */

struct vj_metric_value {
    bool present;
    bool has_interval; /* false for n < VJ_INTERVAL_FEWEST, or without bootstrap */
    double value;
    double ci_low, ci_high;
    size_t n; /* images that the value rests on */
};

struct vj_metrics {
    int32_t fold;  /* -1: all images */
    size_t images; /* evaluated images: qf_pred known */
    struct vj_metric_value value[VJ_METRIC_COUNT];
};

/* Pooled and per-fold metrics of one predictor; released by vj_metrics_free(). */
struct vj_metrics_table {
    enum vj_pair_source pairs;
    struct vj_metrics pooled;
    struct vj_metrics *fold; /* [folds] ascending; all absent where no image was evaluated */
    size_t folds;            /* 0 when no image carries a fold */
};

/* Were there any pairs? Without a label, a prediction or a level below the anchor there are none,
 * and `pairs` says nothing. */
static inline bool vj_has_pairs(const struct vj_metrics_table *table)
{
    return table->pooled.value[VJ_METRIC_PAIR_ACCURACY].present;
}

/*
 * Computes all metrics of one predictor.
 *
 * Bootstrap: images are the unit; each resample draws as many evaluated images as there are, with
 * replacement, and recomputes the metric (ratios and quantiles too). Resamples in which a metric is
 * undefined are left out of its interval; where they are the majority there is none. boot->stream
 * is ignored: pooled values use stream 0, fold k stream k + 1; equal seeds give equal resamples, so
 * predictors are resampled alike.
 *
 * PSNR of identical pictures is infinite. An image whose PSNR difference is infinite has no place
 * in a mean and is left out of it, as `n` shows; equal levels differ by 0.
 *
 * sur_mae and bhattacharyya need a predicted SUR curve; a QF alone gives none. The JND distribution
 * of a curve is P(JND = q) = SUR(q + 1) - SUR(q), what is below the range sitting one below it and
 * the rest at the highest level, after a running maximum has made the curve monotone. The distance
 * is that of normal distributions with the same means and variances (our reading of SUR-Net, QoMEX
 * 2019, whose formula is not in public text),
 *     (m1 - m2)^2 / (4 (v1 + v2)) + ln((v1 + v2) / (2 sqrt(v1 v2))) / 2.
 * An image where a variance is 0 is left out. abs_dpsnr_y_sur50 compares the candidates at the
 * lowest levels where the curves reach 1/2, the median JNDs; an image without one is left out.
 *
 * boot:  NULL = no intervals
 * out:   zeroed on failure
 * Errors: -EINVAL naming the image for a QF outside 0 .. 1023, an answer that is not 0, 1, 255, a
 * SUR outside [0, 1], or impossible sizes; -ENOMEM.
 */
int vj_metrics_compute(struct vj_metrics_table *out, const struct vj_truth *truth,
                       const struct vj_prediction *prediction, const struct vj_bootstrap *boot,
                       struct vj_error *err);

void vj_metrics_free(struct vj_metrics_table *table);

/*
 * One point of a rate-damage curve: either predictions moved by `offset`, kept within the levels
 * and not above the anchor, or those of a rule with another `tolerance`.
 */
struct vj_sweep_point {
    int offset;
    double tolerance;
    struct vj_metric_value saving_mean, saving_of_sums, dqf, dpsnr_y, dms_ssim, past_jnd_share,
        sur_at_prediction;
};

/*
 * The curve for offsets first .. first + count - 1, without intervals.
 * point: [count] filled
 */
int vj_metrics_sweep(struct vj_sweep_point *point, int first, size_t count,
                     const struct vj_truth *truth, const struct vj_prediction *prediction,
                     struct vj_error *err);

/*
 * The curve over predictions at hand; `offset` and `tolerance` of the points are left as they are.
 * point:   [count] metrics filled
 * qf_pred: [truth->count, count] as in struct vj_prediction
 */
int vj_metrics_sweep_predictions(struct vj_sweep_point *point, size_t count,
                                 const struct vj_truth *truth, const int32_t *qf_pred,
                                 struct vj_error *err);

/* Two predictors on the images where both predict and the truth is known: differences are a - b. */
struct vj_comparison {
    size_t images;
    struct vj_metric_value mad; /* MAD(a) - MAD(b) with bootstrap interval; < 0: a is nearer */
    /* accuracy(a) - accuracy(b) with bootstrap interval; n: images that have pairs */
    struct vj_metric_value pair_accuracy;
    size_t nearer_a, nearer_b, tied; /* images where |error| of a is smaller, of b, neither */
    struct vj_wilcoxon wilcoxon;     /* on |error a| - |error b| per image */
    /* On pair answers. Its unit is the pair, yet the pairs of one image stand or fall together: its
     * p is far too small as a statement about images; the interval of pair_accuracy is the honest
     * one. */
    struct vj_mcnemar mcnemar;
};

/*
 * Compares two predictors on the same truth. Absent values when no image has both predictions.
 * Errors: as vj_metrics_compute().
 */
int vj_metrics_compare(struct vj_comparison *out, const struct vj_truth *truth,
                       const struct vj_prediction *a, const struct vj_prediction *b,
                       const struct vj_bootstrap *boot, struct vj_error *err);

#endif
