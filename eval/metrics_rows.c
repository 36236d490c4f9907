/* SPDX-License-Identifier: MIT */
#include "eval/metrics_rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "eval/sur.h"
#include "host/checked.h"

enum {
    LEVELS_MAX = 101,
    IMAGES_MAX = 1 << 26, /* what the bootstrap can number */
};

static int check_sizes(const struct vj_truth *truth, struct vj_error *err)
{
    if (truth->count < 1 || truth->count > IMAGES_MAX)
        return vj_fail(err, -EINVAL, "metrics were asked for %zu images; it must be 1 to %d",
                       truth->count, IMAGES_MAX);
    if (truth->levels < 1 || truth->levels > LEVELS_MAX)
        return vj_fail(err, -EINVAL,
                       "metrics were asked for %d candidates per image; it must be 1 "
                       "to %d",
                       truth->levels, LEVELS_MAX);
    if (truth->qf_first < 0 || truth->qf_first > VJ_EVAL_QF_MAX)
        return vj_fail(err, -EINVAL, "the first quality factor is %d; it must be 0 to %d",
                       truth->qf_first, VJ_EVAL_QF_MAX);
    return 0;
}

static int check_qf(const char *what, int32_t qf, size_t image, struct vj_error *err)
{
    if (qf >= VJ_EVAL_UNKNOWN && qf <= VJ_EVAL_QF_MAX)
        return 0;
    return vj_fail(err, -EINVAL,
                   "image %zu: %s is %d; it must be a quality factor 0 to %d, or -1 for none",
                   image, what, (int)qf, VJ_EVAL_QF_MAX);
}

/* A row of a SUR curve: NaN anywhere = none; other values must be shares. */
static int check_sur(const float *sur, int levels, const char *what, size_t image,
                     struct vj_error *err)
{
    for (int i = 0; sur && i < levels; i++) {
        if (sur[i] < 0.0f || sur[i] > 1.0f)
            return vj_fail(err, -EINVAL, "image %zu: %s at level %d is %g; it must be 0 to 1",
                           image, what, i, (double)sur[i]);
    }
    return 0;
}

static const float *row_of(const float *array, const struct vj_truth *truth, size_t image)
{
    return array ? array + image * (size_t)truth->levels : NULL;
}

static int check_image(const struct vj_truth *truth, const struct vj_prediction *prediction,
                       size_t image, struct vj_error *err)
{
    int rc =
        check_qf("qf_true", truth->qf_true ? truth->qf_true[image] : VJ_EVAL_UNKNOWN, image, err);
    if (!rc)
        rc = check_qf("qf_pred", prediction->qf_pred[image], image, err);
    if (!rc && truth->anchor)
        rc = check_qf("the anchor", truth->anchor[image], image, err);
    if (!rc)
        rc = check_sur(row_of(truth->sur, truth, image), truth->levels, "sur", image, err);
    if (!rc)
        rc = check_sur(row_of(truth->counted, truth, image), truth->levels, "counted sur", image,
                       err);
    if (!rc)
        rc = check_sur(row_of(prediction->sur, truth, image), truth->levels, "predicted sur", image,
                       err);
    if (rc || !prediction->lossy)
        return rc;
    const uint8_t *lossy = prediction->lossy + image * (size_t)truth->levels;
    for (int i = 0; i < truth->levels; i++) {
        if (lossy[i] > 1 && lossy[i] != VJ_LOSSY_UNANSWERED)
            return vj_fail(err, -EINVAL,
                           "image %zu: the answer at level %d is %d; it must be 0, 1 or %d", image,
                           i, lossy[i], VJ_LOSSY_UNANSWERED);
    }
    return 0;
}

static int32_t true_qf(const struct vj_truth *truth, size_t image)
{
    return truth->qf_true ? truth->qf_true[image] : VJ_EVAL_UNKNOWN;
}

/* Level of a quality factor, -1 when it is unknown or no candidate has it. */
static int level_of(const struct vj_truth *truth, int32_t qf)
{
    int level = qf - truth->qf_first;
    return qf >= 0 && level >= 0 && level < truth->levels ? level : -1;
}

int vj_pair_levels(const struct vj_truth *truth, size_t image)
{
    int most = truth->levels - 1;
    int below =
        truth->anchor && truth->anchor[image] > 0 ? truth->anchor[image] - truth->qf_first : most;
    return below < 0 ? 0 : below < most ? below : most;
}

static enum vj_pair_source find_pair_source(const struct vj_truth *truth,
                                            const struct vj_prediction *prediction)
{
    if (!prediction->lossy)
        return VJ_PAIRS_FROM_STEP;
    for (size_t i = 0; i < truth->count; i++) {
        if (prediction->qf_pred[i] < 0 || true_qf(truth, i) < 0)
            continue;
        const uint8_t *lossy = prediction->lossy + i * (size_t)truth->levels;
        for (int level = 0; level < vj_pair_levels(truth, i); level++) {
            if (lossy[level] == VJ_LOSSY_UNANSWERED)
                return VJ_PAIRS_FROM_STEP;
        }
    }
    return VJ_PAIRS_FROM_ANSWERS;
}

bool vj_calls_lossy(const struct vj_truth *truth, const struct vj_prediction *prediction,
                    enum vj_pair_source pairs, size_t image, int level)
{
    if (pairs == VJ_PAIRS_FROM_ANSWERS)
        return prediction->lossy[image * (size_t)truth->levels + (size_t)level] == 1;
    return truth->qf_first + level <= prediction->qf_pred[image];
}

static void add_errors(double *row, int32_t qf_true, int32_t qf_pred)
{
    double error = qf_pred - qf_true;
    row[VJ_SUM_ERROR_N] = 1;
    row[VJ_SUM_ERROR] = error;
    row[VJ_SUM_ABS] = fabs(error);
    row[VJ_SUM_SQUARE] = error * error;
    row[VJ_SUM_DQF] = fmax(0, -error);
    row[VJ_SUM_PAST] = qf_pred < qf_true;
    row[VJ_SUM_TRUE] = qf_true;
    row[VJ_SUM_TRUE_SQUARE] = (double)qf_true * qf_true;
    row[VJ_SUM_PRED_SQUARE] = (double)qf_pred * qf_pred;
}

static void add_pairs(double *row, const struct vj_truth *truth,
                      const struct vj_prediction *prediction, enum vj_pair_source pairs,
                      size_t image)
{
    int levels = vj_pair_levels(truth, image);
    row[VJ_SUM_PAIRS_N] = levels > 0;
    for (int level = 0; level < levels; level++) {
        bool is = truth->qf_first + level <= truth->qf_true[image];
        bool called = vj_calls_lossy(truth, prediction, pairs, image, level);
        if (called)
            row[is ? VJ_SUM_TP : VJ_SUM_FP]++;
        else
            row[is ? VJ_SUM_FN : VJ_SUM_TN]++;
    }
}

static void add_if_finite(double *row, enum vj_sum n, double value)
{
    if (!isfinite(value))
        return;
    row[n] = 1;
    row[n + 1] = value;
}

/* True less predicted quality; 0 for equal ones, infinite ones included; NaN when one is unknown.
 */
static double loss(const float *quality, int level_true, int level_pred)
{
    double a = quality[level_true];
    double b = quality[level_pred];
    return a == b ? 0 : a - b;
}

static void add_quality(double *row, const struct vj_truth *truth, size_t image, int level_true,
                        int level_pred)
{
    const float *psnr_y = row_of(truth->psnr_y, truth, image);
    const float *ms_ssim = row_of(truth->ms_ssim, truth, image);
    if (psnr_y) {
        double d = loss(psnr_y, level_true, level_pred);
        add_if_finite(row, VJ_SUM_DPSNR_N, d < 0 ? 0 : d);
        add_if_finite(row, VJ_SUM_ABS_DPSNR_N, fabs(d));
    }
    if (ms_ssim) {
        double d = loss(ms_ssim, level_true, level_pred);
        add_if_finite(row, VJ_SUM_DMS_SSIM_N, d < 0 ? 0 : d);
    }
}

static void add_rates(double *row, const struct vj_truth *truth, size_t image, int level_true,
                      int level_pred)
{
    if (!truth->bytes)
        return;
    const uint32_t *bytes = truth->bytes + image * (size_t)truth->levels;
    double most = bytes[truth->levels - 1];
    if (most > 0 && level_pred >= 0 && bytes[level_pred] > 0) {
        row[VJ_SUM_RATE_N] = 1;
        row[VJ_SUM_SAVING] = 1 - bytes[level_pred] / most;
        row[VJ_SUM_RATE] = bytes[level_pred];
        row[VJ_SUM_RATE_MAX] = most;
    }
    if (most > 0 && level_true >= 0 && bytes[level_true] > 0) {
        row[VJ_SUM_TRUTH_N] = 1;
        row[VJ_SUM_SAVING_AT_TRUTH] = 1 - bytes[level_true] / most;
    }
}

/* Mean and variance, in levels, of the JND distribution behind a SUR curve (see metrics.h). */
static void jnd_moments(const float *sur, int levels, double *mean, double *variance)
{
    double sum = 0;
    double squares = 0;
    double below = 0; /* share of subjects whose JND lies below level i */
    for (int i = 0; i <= levels; i++) {
        double share = i < levels ? fmax(below, (double)sur[i]) : 1;
        sum += (share - below) * (i - 1);
        squares += (share - below) * (i - 1) * (i - 1);
        below = share;
    }
    *mean = sum;
    *variance = fmax(0, squares - sum * sum);
}

static double bhattacharyya(const float *a, const float *b, int levels)
{
    double ma, va, mb, vb;
    jnd_moments(a, levels, &ma, &va);
    jnd_moments(b, levels, &mb, &vb);
    if (va == 0 || vb == 0)
        return NAN;
    return (ma - mb) * (ma - mb) / (4 * (va + vb)) + log((va + vb) / (2 * sqrt(va * vb))) / 2;
}

/* What the subjects say of the candidates at the prediction and at the truth, not what a curve
 * fitted to their answers does; -1 = no candidate. */
static void add_satisfied(double *row, const struct vj_truth *truth, size_t image, int level_true,
                          int level_pred)
{
    const float *sur = row_of(truth->counted ? truth->counted : truth->sur, truth, image);
    if (sur && level_pred >= 0)
        add_if_finite(row, VJ_SUM_SATISFIED_N, sur[level_pred]);
    if (sur && level_true >= 0)
        add_if_finite(row, VJ_SUM_SATISFIED_AT_TRUTH_N, sur[level_true]);
}

static void add_sur(double *row, const struct vj_truth *truth,
                    const struct vj_prediction *prediction, size_t image)
{
    const float *subjects = row_of(truth->sur, truth, image);
    const float *predicted = row_of(prediction->sur, truth, image);
    const float *psnr_y = row_of(truth->psnr_y, truth, image);
    int levels = truth->levels;
    double sum = 0;
    if (!subjects || !predicted)
        return;
    for (int i = 0; i < levels; i++)
        sum += fabs((double)subjects[i] - (double)predicted[i]);
    if (isnan(sum))
        return;
    add_if_finite(row, VJ_SUM_SUR_N, sum / levels);
    add_if_finite(row, VJ_SUM_BHATTACHARYYA_N, bhattacharyya(subjects, predicted, levels));
    int median = vj_sur_median_level(subjects, levels);
    int median_pred = vj_sur_median_level(predicted, levels);
    if (psnr_y && median >= 0 && median_pred >= 0)
        add_if_finite(row, VJ_SUM_SUR_DPSNR_N, fabs(loss(psnr_y, median, median_pred)));
}

static void fill_row(struct vj_rows *rows, const struct vj_truth *truth,
                     const struct vj_prediction *prediction, size_t image)
{
    double *row = rows->row[image];
    int32_t qf_true = true_qf(truth, image);
    int32_t qf_pred = prediction->qf_pred[image];
    rows->abs_error[image] = VJ_EVAL_UNKNOWN;
    if (qf_pred < 0)
        return;
    rows->evaluated[rows->evaluated_count++] = (uint32_t)image;
    int level_true = level_of(truth, qf_true);
    int level_pred = level_of(truth, qf_pred);
    if (qf_true >= 0) {
        add_errors(row, qf_true, qf_pred);
        add_pairs(row, truth, prediction, rows->pairs, image);
        rows->abs_error[image] = abs(qf_pred - qf_true);
        if (rows->abs_error[image] > rows->abs_error_max)
            rows->abs_error_max = rows->abs_error[image];
    }
    if (level_true >= 0 && level_pred >= 0)
        add_quality(row, truth, image, level_true, level_pred);
    add_rates(row, truth, image, level_true, level_pred);
    add_satisfied(row, truth, image, level_true, level_pred);
    add_sur(row, truth, prediction, image);
}

int vj_rows_init(struct vj_rows *rows, const struct vj_truth *truth,
                 const struct vj_prediction *prediction, struct vj_error *err)
{
    *rows = (struct vj_rows){0};
    int rc = check_sizes(truth, err);
    for (size_t i = 0; !rc && i < truth->count; i++)
        rc = check_image(truth, prediction, i, err);
    if (rc)
        return rc;
    rows->count = truth->count;
    rows->qf_true = truth->qf_true;
    rows->qf_pred = prediction->qf_pred;
    rows->row = vj_calloc(truth->count, sizeof(*rows->row));
    rows->abs_error = vj_calloc(truth->count, sizeof(*rows->abs_error));
    rows->evaluated = vj_calloc(truth->count, sizeof(*rows->evaluated));
    if (!rows->row || !rows->abs_error || !rows->evaluated) {
        vj_rows_free(rows);
        return vj_fail(err, -ENOMEM, "out of memory for the metrics of %zu images", truth->count);
    }
    rows->pairs = find_pair_source(truth, prediction);
    for (size_t i = 0; i < truth->count; i++)
        fill_row(rows, truth, prediction, i);
    return 0;
}

void vj_rows_free(struct vj_rows *rows)
{
    free(rows->row);
    free(rows->abs_error);
    free(rows->evaluated);
    *rows = (struct vj_rows){0};
}
