/* SPDX-License-Identifier: MIT */
#include "eval/metrics.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "eval/correlation.h"
#include "eval/metrics_rows.h"
#include "host/checked.h"
#include "host/simd.h"

static const struct vj_metric_info infos[VJ_METRIC_COUNT] = {
    [VJ_METRIC_MAD] = {"mad", "mean absolute difference of the quality factor", "QF", false},
    [VJ_METRIC_RMSE] = {"rmse", "root mean square difference of the quality factor", "QF", false},
    [VJ_METRIC_BIAS] = {"bias", "mean of predicted less true quality factor", "QF", false},
    [VJ_METRIC_MEDIAN_ABS] = {"median_abs", "median absolute difference of the quality factor",
                              "QF", false},
    [VJ_METRIC_P90_ABS] = {"p90_abs", "90th percentile of the absolute difference", "QF", false},
    [VJ_METRIC_PLCC] = {"plcc", "Pearson's correlation of predicted and true quality factor", "",
                        false},
    [VJ_METRIC_SROCC] = {"srocc",
                         "Spearman's rank correlation of predicted and true quality factor", "",
                         false},
    [VJ_METRIC_KROCC] = {"krocc",
                         "Kendall's rank correlation (tau-b) of predicted and true quality factor",
                         "", false},
    [VJ_METRIC_PAIR_ACCURACY] = {"pair_accuracy", "share of pairs decided rightly", "", true},
    [VJ_METRIC_PRECISION_LOSSY] = {"precision_lossy", "share of pairs called lossy that are", "",
                                   true},
    [VJ_METRIC_PRECISION_LOSSLESS] = {"precision_lossless",
                                      "share of pairs called lossless that are", "", true},
    [VJ_METRIC_RECALL_LOSSY] = {"recall_lossy", "share of lossy pairs called lossy", "", true},
    [VJ_METRIC_RECALL_LOSSLESS] = {"recall_lossless", "share of lossless pairs called lossless", "",
                                   true},
    [VJ_METRIC_F1_LOSSY] = {"f1_lossy", "harmonic mean of precision and recall of lossy", "", true},
    [VJ_METRIC_F1_LOSSLESS] = {"f1_lossless", "harmonic mean of precision and recall of lossless",
                               "", true},
    [VJ_METRIC_DQF] = {"dqf", "mean of max(0, true - predicted quality factor)", "QF", false},
    [VJ_METRIC_DPSNR_Y] = {"dpsnr_y", "mean loss of PSNR-Y beyond the true JND", "dB", false},
    [VJ_METRIC_DMS_SSIM] = {"dms_ssim", "mean loss of MS-SSIM beyond the true JND", "", false},
    [VJ_METRIC_ABS_DPSNR_Y] = {"abs_dpsnr_y",
                               "mean absolute difference of PSNR-Y from the true JND", "dB", false},
    [VJ_METRIC_SAVING_MEAN] = {"saving_mean", "mean saving of bytes against the highest quality",
                               "", true},
    [VJ_METRIC_SAVING_OF_SUMS] = {"saving_of_sums",
                                  "saving of all bytes together against the highest quality", "",
                                  true},
    [VJ_METRIC_SAVING_AT_TRUTH] = {"saving_at_truth", "mean saving of bytes at the true JND", "",
                                   true},
    [VJ_METRIC_PAST_JND_SHARE] = {"past_jnd_share", "share of images pushed past their JND", "",
                                  true},
    [VJ_METRIC_SUR_MAE] = {"sur_mae", "mean absolute error of the satisfied user ratio", "", false},
    [VJ_METRIC_BHATTACHARYYA] = {"bhattacharyya",
                                 "mean Bhattacharyya distance of the JND distributions", "", false},
    [VJ_METRIC_ABS_DPSNR_Y_SUR50] = {"abs_dpsnr_y_sur50",
                                     "mean absolute difference of PSNR-Y at the median JND, where "
                                     "the curves reach 50 %",
                                     "dB", false},
    [VJ_METRIC_SUR_AT_PREDICTION] = {"sur_at_prediction",
                                     "mean satisfied user ratio at the prediction", "", true},
    [VJ_METRIC_SUR_AT_TRUTH] = {"sur_at_truth", "mean satisfied user ratio at the true JND", "",
                                true},
};

const struct vj_metric_info *vj_metric_info(enum vj_metric metric)
{
    return &infos[metric];
}

const char *vj_pair_source_name(enum vj_pair_source source)
{
    return source == VJ_PAIRS_FROM_ANSWERS ? "answers" : "step";
}

/* How a metric follows from sums of rows: each of these is NaN where it is undefined. */
enum formula {
    MEAN,     /* a / n */
    ROOT,     /* sqrt(a / n) */
    RATIO,    /* a / (a + b) */
    F1,       /* 2 a / (2 a + b + c) */
    ACCURACY, /* of all four pair counts */
    SAVING,   /* 1 - a / b */
    QUANTILE, /* of |pred - true| */
    LINE,     /* Pearson's coefficient of pred and true */
    SPEARMAN, /* rank correlation of them */
    KENDALL,
};

static const struct rule {
    enum formula formula;
    enum vj_sum n, a, b, c;
    double q; /* QUANTILE */
} rules[VJ_METRIC_COUNT] = {
    [VJ_METRIC_MAD] = {MEAN, VJ_SUM_ERROR_N, VJ_SUM_ABS, 0, 0, 0},
    [VJ_METRIC_RMSE] = {ROOT, VJ_SUM_ERROR_N, VJ_SUM_SQUARE, 0, 0, 0},
    [VJ_METRIC_BIAS] = {MEAN, VJ_SUM_ERROR_N, VJ_SUM_ERROR, 0, 0, 0},
    [VJ_METRIC_MEDIAN_ABS] = {QUANTILE, VJ_SUM_ERROR_N, 0, 0, 0, 0.5},
    [VJ_METRIC_P90_ABS] = {QUANTILE, VJ_SUM_ERROR_N, 0, 0, 0, 0.9},
    [VJ_METRIC_PLCC] = {LINE, VJ_SUM_ERROR_N, 0, 0, 0, 0},
    [VJ_METRIC_SROCC] = {SPEARMAN, VJ_SUM_ERROR_N, 0, 0, 0, 0},
    [VJ_METRIC_KROCC] = {KENDALL, VJ_SUM_ERROR_N, 0, 0, 0, 0},
    [VJ_METRIC_PAIR_ACCURACY] = {ACCURACY, VJ_SUM_PAIRS_N, 0, 0, 0, 0},
    [VJ_METRIC_PRECISION_LOSSY] = {RATIO, VJ_SUM_PAIRS_N, VJ_SUM_TP, VJ_SUM_FP, 0, 0},
    [VJ_METRIC_PRECISION_LOSSLESS] = {RATIO, VJ_SUM_PAIRS_N, VJ_SUM_TN, VJ_SUM_FN, 0, 0},
    [VJ_METRIC_RECALL_LOSSY] = {RATIO, VJ_SUM_PAIRS_N, VJ_SUM_TP, VJ_SUM_FN, 0, 0},
    [VJ_METRIC_RECALL_LOSSLESS] = {RATIO, VJ_SUM_PAIRS_N, VJ_SUM_TN, VJ_SUM_FP, 0, 0},
    [VJ_METRIC_F1_LOSSY] = {F1, VJ_SUM_PAIRS_N, VJ_SUM_TP, VJ_SUM_FP, VJ_SUM_FN, 0},
    [VJ_METRIC_F1_LOSSLESS] = {F1, VJ_SUM_PAIRS_N, VJ_SUM_TN, VJ_SUM_FN, VJ_SUM_FP, 0},
    [VJ_METRIC_DQF] = {MEAN, VJ_SUM_ERROR_N, VJ_SUM_DQF, 0, 0, 0},
    [VJ_METRIC_DPSNR_Y] = {MEAN, VJ_SUM_DPSNR_N, VJ_SUM_DPSNR, 0, 0, 0},
    [VJ_METRIC_DMS_SSIM] = {MEAN, VJ_SUM_DMS_SSIM_N, VJ_SUM_DMS_SSIM, 0, 0, 0},
    [VJ_METRIC_ABS_DPSNR_Y] = {MEAN, VJ_SUM_ABS_DPSNR_N, VJ_SUM_ABS_DPSNR, 0, 0, 0},
    [VJ_METRIC_SAVING_MEAN] = {MEAN, VJ_SUM_RATE_N, VJ_SUM_SAVING, 0, 0, 0},
    [VJ_METRIC_SAVING_OF_SUMS] = {SAVING, VJ_SUM_RATE_N, VJ_SUM_RATE, VJ_SUM_RATE_MAX, 0, 0},
    [VJ_METRIC_SAVING_AT_TRUTH] = {MEAN, VJ_SUM_TRUTH_N, VJ_SUM_SAVING_AT_TRUTH, 0, 0, 0},
    [VJ_METRIC_PAST_JND_SHARE] = {MEAN, VJ_SUM_ERROR_N, VJ_SUM_PAST, 0, 0, 0},
    [VJ_METRIC_SUR_MAE] = {MEAN, VJ_SUM_SUR_N, VJ_SUM_SUR, 0, 0, 0},
    [VJ_METRIC_BHATTACHARYYA] = {MEAN, VJ_SUM_BHATTACHARYYA_N, VJ_SUM_BHATTACHARYYA, 0, 0, 0},
    [VJ_METRIC_ABS_DPSNR_Y_SUR50] = {MEAN, VJ_SUM_SUR_DPSNR_N, VJ_SUM_SUR_DPSNR, 0, 0, 0},
    [VJ_METRIC_SUR_AT_PREDICTION] = {MEAN, VJ_SUM_SATISFIED_N, VJ_SUM_SATISFIED, 0, 0, 0},
    [VJ_METRIC_SUR_AT_TRUTH] = {MEAN, VJ_SUM_SATISFIED_AT_TRUTH_N, VJ_SUM_SATISFIED_AT_TRUTH, 0, 0,
                                0},
};

static double quotient(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

/* What all metrics of a set of images follow from. */
struct gathered {
    double sum[VJ_SUMS];
    const uint32_t *histogram; /* [bins] of |pred - true| */
    size_t bins;
    struct vj_rank_correlations ranks;
};

static double correlation(const double *sum)
{
    const double n = sum[VJ_SUM_ERROR_N], a = sum[VJ_SUM_TRUE], b = a + sum[VJ_SUM_ERROR];
    const double aa = sum[VJ_SUM_TRUE_SQUARE], bb = sum[VJ_SUM_PRED_SQUARE];
    return vj_pearson(n, a, b, aa, bb, (aa + bb - sum[VJ_SUM_SQUARE]) / 2);
}

/* Value of a metric, NaN where it is not defined. */
static double evaluate(enum vj_metric metric, const struct gathered *g)
{
    const double *sum = g->sum;
    const struct rule *r = &rules[metric];
    double a = sum[r->a];
    double b = sum[r->b];
    if (sum[r->n] == 0)
        return NAN;
    switch (r->formula) {
    case MEAN:
        return a / sum[r->n];
    case ROOT:
        return sqrt(a / sum[r->n]);
    case RATIO:
        return quotient(a, a + b);
    case F1:
        return quotient(2 * a, 2 * a + b + sum[r->c]);
    case SAVING:
        return 1 - quotient(a, b);
    case QUANTILE:
        return vj_quantile_histogram(g->histogram, g->bins, r->q);
    case LINE:
        return correlation(sum);
    case SPEARMAN:
        return g->ranks.spearman;
    case KENDALL:
        return g->ranks.kendall;
    default:
        a = sum[VJ_SUM_TP] + sum[VJ_SUM_TN];
        return quotient(a, a + sum[VJ_SUM_FP] + sum[VJ_SUM_FN]);
    }
}

/* Rows of a resample lie anywhere in memory: of many images they are asked for ahead of their turn.
 */
VJ_SIMD static void sum_rows(double *sum, const double (*row)[VJ_SUMS], const uint32_t *index,
                             size_t count)
{
    enum { AHEAD = 8, LINE_OF_CACHE = 64 / sizeof(double) };
    double s[VJ_SUMS] = {0};
    for (size_t i = 0; i < count; i++) {
        const double *r = row[index[i]];
        const double *soon = row[index[i + AHEAD < count ? i + AHEAD : i]];
        for (int k = 0; k < VJ_SUMS; k += LINE_OF_CACHE)
            __builtin_prefetch(soon + k);
        for (int k = 0; k < VJ_SUMS; k++)
            s[k] += r[k];
    }
    memcpy(sum, s, sizeof(s));
}

static void count_errors(uint32_t *histogram, size_t bins, const struct vj_rows *rows,
                         const uint32_t *index, size_t count)
{
    memset(histogram, 0, bins * sizeof(*histogram));
    for (size_t i = 0; i < count; i++) {
        int32_t e = rows->abs_error[index[i]];
        if (e >= 0)
            histogram[e]++;
    }
}

/* Memory of one bootstrap, shared by the pooled set and the folds. */
struct work {
    struct vj_bootstrap boot;
    size_t bins;
    int threads;
    uint32_t *histogram;    /* [threads, bins] */
    struct vj_ranks *ranks; /* [threads] */
    uint32_t *set;          /* images of the set, [rows->count] */
    uint32_t *draw;         /* positions drawn, then images, [threads, rows->count] */
    double *replicate;      /* [VJ_METRIC_COUNT, resamples] */
    size_t valid[VJ_METRIC_COUNT];
};

static void work_free(struct work *w)
{
    free(w->histogram);
    free(w->ranks);
    free(w->set);
    free(w->draw);
    free(w->replicate);
    *w = (struct work){0};
}

static int work_init(struct work *w, const struct vj_rows *rows, const struct vj_bootstrap *boot,
                     struct vj_error *err)
{
    *w = (struct work){.bins = (size_t)rows->abs_error_max + 1};
    if (boot)
        w->boot = *boot;
    if (boot && boot->resamples && !(boot->confidence > 0 && boot->confidence < 1))
        return vj_fail(err, -EINVAL, "the confidence of intervals is %g; it must lie in (0, 1)",
                       boot->confidence);
    if (w->boot.resamples > UINT32_MAX)
        return vj_fail(err, -EINVAL, "%zu bootstrap resamples were asked for; use some thousands",
                       w->boot.resamples);
    w->threads = vj_bootstrap_threads(&w->boot, rows->count);
    const size_t threads = (size_t)w->threads;
    size_t bytes;
    w->histogram = vj_calloc(threads, w->bins * sizeof(*w->histogram));
    w->ranks = vj_calloc(threads, sizeof(*w->ranks));
    w->set = vj_calloc(rows->count, sizeof(*w->set));
    w->draw = vj_calloc(threads, rows->count * sizeof(*w->draw));
    if (vj_size_mul(w->boot.resamples, sizeof(double), &bytes))
        w->replicate = vj_calloc(VJ_METRIC_COUNT, bytes);
    if (w->histogram && w->ranks && w->set && w->draw && w->replicate)
        return 0;
    work_free(w);
    return vj_fail(err, -ENOMEM, "out of memory for %zu bootstrap resamples of %zu images",
                   w->boot.resamples, rows->count);
}

/* Of `count` images; thread: whose memory is used. */
static struct gathered gather(struct work *w, const struct vj_rows *rows, const uint32_t *index,
                              size_t count, size_t thread)
{
    uint32_t *histogram = w->histogram + thread * w->bins;
    struct gathered g = {.histogram = histogram, .bins = w->bins};
    sum_rows(g.sum, (const double(*)[VJ_SUMS])rows->row, index, count);
    count_errors(histogram, w->bins, rows, index, count);
    if (rows->qf_true)
        g.ranks =
            vj_rank_correlations(&w->ranks[thread], rows->qf_true, rows->qf_pred, index, count);
    return g;
}

/* Values of all metrics in resample b, NaN where it does not define them. */
static void resample_once(struct work *w, const struct vj_rows *rows, size_t images, size_t b)
{
    const size_t thread = (size_t)omp_get_thread_num();
    uint32_t *draw = w->draw + thread * rows->count;
    vj_bootstrap_draw(&w->boot, b, draw, images);
    for (size_t i = 0; i < images; i++)
        draw[i] = w->set[draw[i]];
    const struct gathered g = gather(w, rows, draw, images, thread);
    for (int m = 0; m < VJ_METRIC_COUNT; m++)
        w->replicate[(size_t)m * w->boot.resamples + b] = evaluate((enum vj_metric)m, &g);
}

static void resample(struct work *w, const struct vj_rows *rows, size_t images)
{
    const size_t resamples = w->boot.resamples;
#pragma omp parallel for schedule(static) num_threads(w->threads)
    for (size_t b = 0; b < resamples; b++)
        resample_once(w, rows, images, b);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        double *value = w->replicate + (size_t)m * resamples;
        w->valid[m] = 0;
        for (size_t b = 0; b < resamples; b++)
            if (!isnan(value[b]))
                value[w->valid[m]++] = value[b];
    }
}

/* Metrics of the first `images` images of w->set. */
static void compute_set(struct vj_metrics *out, struct work *w, const struct vj_rows *rows,
                        size_t images, int32_t fold)
{
    *out = (struct vj_metrics){.fold = fold, .images = images};
    if (!images)
        return;
    const struct gathered g = gather(w, rows, w->set, images, 0);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        const double v = evaluate((enum vj_metric)m, &g);
        if (isnan(v))
            continue;
        out->value[m] =
            (struct vj_metric_value){.present = true, .value = v, .n = (size_t)g.sum[rules[m].n]};
    }
    w->boot.stream = fold < 0 ? 0 : (uint32_t)fold + 1;
    resample(w, rows, images);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        struct vj_metric_value *v = &out->value[m];
        if (!v->present || v->n < VJ_INTERVAL_FEWEST || 2 * w->valid[m] <= w->boot.resamples)
            continue;
        struct vj_interval ci = vj_percentile_interval(w->replicate + (size_t)m * w->boot.resamples,
                                                       w->valid[m], v->n, w->boot.confidence);
        v->has_interval = true;
        v->ci_low = ci.low;
        v->ci_high = ci.high;
    }
}

static size_t select_fold(struct work *w, const struct vj_rows *rows, const int32_t *fold,
                          int32_t wanted)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->evaluated_count; i++) {
        uint32_t image = rows->evaluated[i];
        if (wanted < 0 || vj_fold_of(fold, image) == wanted)
            w->set[n++] = image;
    }
    return n;
}

static int compute_folds(struct vj_metrics_table *out, struct work *w, const struct vj_rows *rows,
                         const int32_t *fold, struct vj_error *err)
{
    int32_t *list;
    size_t folds;
    int rc = vj_list_folds(&list, &folds, fold, rows->count, err);
    if (rc)
        return rc;
    if (folds)
        out->fold = vj_calloc(folds, sizeof(*out->fold));
    if (folds && !out->fold)
        rc = vj_fail(err, -ENOMEM, "out of memory for the metrics of %zu folds", folds);
    for (size_t k = 0; !rc && k < folds; k++) {
        size_t images = select_fold(w, rows, fold, list[k]);
        compute_set(&out->fold[k], w, rows, images, list[k]);
        out->folds = k + 1;
    }
    free(list);
    return rc;
}

int vj_metrics_compute(struct vj_metrics_table *out, const struct vj_truth *truth,
                       const struct vj_prediction *prediction, const struct vj_bootstrap *boot,
                       struct vj_error *err)
{
    *out = (struct vj_metrics_table){0};
    struct vj_rows rows;
    struct work w;
    int rc = vj_rows_init(&rows, truth, prediction, err);
    if (rc)
        return rc;
    rc = work_init(&w, &rows, boot, err);
    if (!rc) {
        out->pairs = rows.pairs;
        size_t images = select_fold(&w, &rows, truth->fold, VJ_EVAL_UNKNOWN);
        compute_set(&out->pooled, &w, &rows, images, VJ_EVAL_UNKNOWN);
        rc = compute_folds(out, &w, &rows, truth->fold, err);
        work_free(&w);
    }
    if (rc)
        vj_metrics_free(out);
    vj_rows_free(&rows);
    return rc;
}

void vj_metrics_free(struct vj_metrics_table *table)
{
    free(table->fold);
    *table = (struct vj_metrics_table){0};
}

static int sweep_point(struct vj_sweep_point *point, const struct vj_truth *truth,
                       const int32_t *qf_pred, struct vj_error *err)
{
    const struct vj_prediction moved = {.qf_pred = qf_pred};
    struct vj_metrics_table table;
    int rc = vj_metrics_compute(&table, truth, &moved, NULL, err);
    if (rc)
        return rc;
    const struct vj_metric_value *value = table.pooled.value;
    point->saving_mean = value[VJ_METRIC_SAVING_MEAN];
    point->saving_of_sums = value[VJ_METRIC_SAVING_OF_SUMS];
    point->dqf = value[VJ_METRIC_DQF];
    point->dpsnr_y = value[VJ_METRIC_DPSNR_Y];
    point->dms_ssim = value[VJ_METRIC_DMS_SSIM];
    point->past_jnd_share = value[VJ_METRIC_PAST_JND_SHARE];
    point->sur_at_prediction = value[VJ_METRIC_SUR_AT_PREDICTION];
    vj_metrics_free(&table);
    return 0;
}

/* The highest quality factor that a prediction may name: the run's, or the anchor's below it. */
static int32_t highest_qf(const struct vj_truth *truth, size_t image)
{
    int32_t low = truth->qf_first, high = low + truth->levels - 1;
    int32_t anchor = truth->anchor && truth->anchor[image] > 0 ? truth->anchor[image] : high;
    return anchor < low ? low : anchor < high ? anchor : high;
}

int vj_metrics_sweep(struct vj_sweep_point *point, int first, size_t count,
                     const struct vj_truth *truth, const struct vj_prediction *prediction,
                     struct vj_error *err)
{
    struct vj_truth pooled = *truth;
    pooled.fold = NULL;
    int32_t *moved = vj_calloc(truth->count, sizeof(*moved));
    if (!moved)
        return vj_fail(err, -ENOMEM, "out of memory for moving %zu predictions", truth->count);
    int32_t low = truth->qf_first;
    int rc = 0;
    for (size_t k = 0; k < count && !rc; k++) {
        point[k] = (struct vj_sweep_point){.offset = first + (int)k};
        for (size_t i = 0; i < truth->count; i++) {
            int32_t high = highest_qf(truth, i);
            int64_t qf = (int64_t)prediction->qf_pred[i] + point[k].offset;
            moved[i] = (int32_t)(qf < low ? low : qf > high ? high : qf);
            if (prediction->qf_pred[i] < 0)
                moved[i] = VJ_EVAL_UNKNOWN;
        }
        rc = sweep_point(&point[k], &pooled, moved, err);
    }
    free(moved);
    return rc;
}

int vj_metrics_sweep_predictions(struct vj_sweep_point *point, size_t count,
                                 const struct vj_truth *truth, const int32_t *qf_pred,
                                 struct vj_error *err)
{
    struct vj_truth pooled = *truth;
    pooled.fold = NULL;
    int32_t *mine = vj_calloc(truth->count, sizeof(*mine));
    if (!mine)
        return vj_fail(err, -ENOMEM, "out of memory for %zu predictions", truth->count);
    int rc = 0;
    for (size_t k = 0; k < count && !rc; k++) {
        for (size_t i = 0; i < truth->count; i++)
            mine[i] = qf_pred[i * count + k];
        rc = sweep_point(&point[k], &pooled, mine, err);
    }
    free(mine);
    return rc;
}
