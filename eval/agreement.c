/* SPDX-License-Identifier: MIT */
#include "eval/agreement.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "eval/metrics_rows.h"
#include "host/checked.h"

static const struct vj_metric_info infos[VJ_AGREEMENT_COUNT] = {
    [VJ_AGREEMENT_DIFFERENCE] = {"prediction_difference",
                                 "mean difference of the predicted quality factors", "QF", false},
    [VJ_AGREEMENT_ABS_DIFFERENCE] = {"prediction_abs_difference",
                                     "mean absolute difference of the predicted quality factors",
                                     "QF", false},
    [VJ_AGREEMENT_EQUAL] = {"equal_share", "share of images with equal predictions", "", true},
    [VJ_AGREEMENT_WITHIN_1] = {"within_1_share", "share of images with predictions within 1 QF", "",
                               true},
    [VJ_AGREEMENT_WITHIN_5] = {"within_5_share", "share of images with predictions within 5 QF", "",
                               true},
    [VJ_AGREEMENT_SAVING] = {"saving_difference", "difference of the mean savings of bytes", "",
                             true},
    [VJ_AGREEMENT_BYTES] = {"bytes_difference",
                            "bytes of all images together, against those of the second predictor",
                            "", true},
};

const struct vj_metric_info *vj_agreement_info(enum vj_agreement_metric metric)
{
    return &infos[metric];
}

/* What one image adds; every metric follows from sums of rows. */
enum { N, DIFFERENCE, ABS, EQUAL, WITHIN_1, WITHIN_5, RATE_N, SAVING, BYTES_A, BYTES_B, SUMS };

struct row {
    double sum[SUMS];
};

static struct row compare_image(const double *a, const double *b, int difference)
{
    const double apart = abs(difference);
    struct row row = {.sum = {[N] = 1,
                              [DIFFERENCE] = difference,
                              [ABS] = apart,
                              [EQUAL] = apart == 0,
                              [WITHIN_1] = apart <= 1,
                              [WITHIN_5] = apart <= 5}};
    if (a[VJ_SUM_RATE_N] > 0 && b[VJ_SUM_RATE_N] > 0) {
        row.sum[RATE_N] = 1;
        row.sum[SAVING] = a[VJ_SUM_SAVING] - b[VJ_SUM_SAVING];
        row.sum[BYTES_A] = a[VJ_SUM_RATE];
        row.sum[BYTES_B] = b[VJ_SUM_RATE];
    }
    return row;
}

static struct row add_rows(const struct row *row, const uint32_t *index, size_t n)
{
    struct row s = {0};
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < SUMS; k++)
            s.sum[k] += row[index ? index[i] : i].sum[k];
    return s;
}

/* NaN where it is undefined. */
static double value_of(const struct row *s, enum vj_agreement_metric metric)
{
    switch (metric) {
    case VJ_AGREEMENT_SAVING:
        return s->sum[SAVING] / s->sum[RATE_N];
    case VJ_AGREEMENT_BYTES:
        return s->sum[RATE_N] > 0 ? s->sum[BYTES_A] / s->sum[BYTES_B] - 1 : NAN;
    default:
        return s->sum[DIFFERENCE + (int)metric] / s->sum[N];
    }
}
_Static_assert(WITHIN_5 - DIFFERENCE == VJ_AGREEMENT_WITHIN_5, "one sum for each mean, in order");

static void resample(const void *user, const uint32_t *draw, size_t n, double *value)
{
    const struct row s = add_rows(user, draw, n);
    for (int k = 0; k < VJ_AGREEMENT_COUNT; k++)
        value[k] = value_of(&s, (enum vj_agreement_metric)k);
}

/* Resamples without a single size have no part in the intervals of sizes. */
static int add_intervals(struct vj_agreement *out, const struct row *row, size_t n,
                         const struct vj_bootstrap *boot, struct vj_error *err)
{
    struct vj_interval interval[VJ_AGREEMENT_COUNT];
    size_t behind[VJ_AGREEMENT_COUNT];
    for (int k = 0; k < VJ_AGREEMENT_COUNT; k++)
        behind[k] = out->value[k].n;
    int r =
        vj_bootstrap_intervals(interval, behind, VJ_AGREEMENT_COUNT, boot, n, resample, row, err);
    for (int k = 0; !r && k < VJ_AGREEMENT_COUNT; k++) {
        struct vj_metric_value *value = &out->value[k];
        if (!value->present || isnan(interval[k].low))
            continue;
        value->has_interval = true;
        value->ci_low = interval[k].low;
        value->ci_high = interval[k].high;
    }
    return r;
}

static int summarise(struct vj_agreement *out, const struct row *row, size_t n,
                     const struct vj_bootstrap *boot, struct vj_error *err)
{
    *out = (struct vj_agreement){.images = n};
    const struct row s = add_rows(row, NULL, n);
    for (int k = 0; k < VJ_AGREEMENT_COUNT; k++) {
        const double value = value_of(&s, (enum vj_agreement_metric)k);
        if (isnan(value))
            continue;
        out->value[k] = (struct vj_metric_value){
            .present = true,
            .value = value,
            .n = (size_t)s.sum[k < VJ_AGREEMENT_SAVING ? N : RATE_N],
        };
    }
    return boot && boot->resamples && n >= VJ_INTERVAL_FEWEST
               ? add_intervals(out, row, n, boot, err)
               : 0;
}

int vj_agreement_compute(struct vj_agreement *out, const struct vj_truth *truth,
                         const struct vj_prediction *a, const struct vj_prediction *b,
                         const struct vj_bootstrap *boot, struct vj_error *err)
{
    struct vj_rows rows_a;
    struct vj_rows rows_b = {0};
    struct row *row = NULL;
    size_t n = 0;
    *out = (struct vj_agreement){0};
    int rc = vj_rows_init(&rows_a, truth, a, err);
    if (!rc)
        rc = vj_rows_init(&rows_b, truth, b, err);
    if (rc)
        goto out;
    row = vj_calloc(truth->count, sizeof(*row));
    if (!row) {
        rc = vj_fail(err, -ENOMEM, "out of memory for comparing %zu images", truth->count);
        goto out;
    }
    for (size_t i = 0; i < truth->count; i++)
        if (a->qf_pred[i] >= 0 && b->qf_pred[i] >= 0)
            row[n++] = compare_image(rows_a.row[i], rows_b.row[i], a->qf_pred[i] - b->qf_pred[i]);
    rc = summarise(out, row, n, boot, err);
out:
    free(row);
    vj_rows_free(&rows_a);
    vj_rows_free(&rows_b);
    return rc;
}
