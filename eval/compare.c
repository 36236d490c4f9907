/* SPDX-License-Identifier: MIT */
/* Two predictors on the same images. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "eval/metrics.h"
#include "eval/metrics_rows.h"
#include "host/checked.h"

/* What one image says of a against b. */
struct pair_row {
    double error;    /* |error a| - |error b| */
    double right;    /* pairs a has right less pairs b has right */
    double pairs;    /* pairs, 0 when no level is below the anchor */
    uint64_t only_a; /* pairs only a has right */
    uint64_t only_b; /* pairs only b has right */
};

struct sums {
    double error, right, pairs;
};

static struct pair_row compare_image(const struct vj_truth *truth, const struct vj_prediction *a,
                                     enum vj_pair_source pairs_a, const struct vj_prediction *b,
                                     enum vj_pair_source pairs_b, size_t image)
{
    int32_t qf = truth->qf_true[image];
    struct pair_row row = {
        .error = abs(a->qf_pred[image] - qf) - abs(b->qf_pred[image] - qf),
        .pairs = vj_pair_levels(truth, image),
    };
    for (int level = 0; level < row.pairs; level++) {
        bool is = truth->qf_first + level <= qf;
        bool right_a = vj_calls_lossy(truth, a, pairs_a, image, level) == is;
        bool right_b = vj_calls_lossy(truth, b, pairs_b, image, level) == is;
        row.only_a += right_a && !right_b;
        row.only_b += right_b && !right_a;
    }
    row.right = (double)row.only_a - (double)row.only_b;
    return row;
}

static struct sums add_rows(const struct pair_row *row, const uint32_t *index, size_t n)
{
    struct sums s = {0};
    for (size_t i = 0; i < n; i++) {
        const struct pair_row *r = &row[index ? index[i] : i];
        s.error += r->error;
        s.right += r->right;
        s.pairs += r->pairs;
    }
    return s;
}

static void set_interval(struct vj_metric_value *value, const struct vj_interval *interval)
{
    if (!value->present || isnan(interval->low))
        return;
    value->has_interval = true;
    value->ci_low = interval->low;
    value->ci_high = interval->high;
}

enum { ERROR, RIGHT, STATISTICS };

static void resample(const void *user, const uint32_t *draw, size_t n, double *value)
{
    const struct sums s = add_rows(user, draw, n);
    value[ERROR] = s.error / (double)n;
    value[RIGHT] = s.pairs > 0 ? s.right / s.pairs : NAN;
}

static int add_intervals(struct vj_comparison *out, const struct pair_row *row, size_t n,
                         const struct vj_bootstrap *boot, struct vj_error *err)
{
    struct vj_interval interval[STATISTICS];
    const size_t behind[STATISTICS] = {[ERROR] = out->mad.n, [RIGHT] = out->pair_accuracy.n};
    int r = vj_bootstrap_intervals(interval, behind, STATISTICS, boot, n, resample, row, err);
    if (!r)
        set_interval(&out->mad, &interval[ERROR]);
    if (!r)
        set_interval(&out->pair_accuracy, &interval[RIGHT]);
    return r;
}

/* Differences of |error| in the order of the images. */
static int test_errors(struct vj_wilcoxon *out, const struct pair_row *row, size_t n,
                       struct vj_error *err)
{
    double *difference = vj_calloc(n, sizeof(*difference));
    if (!difference)
        return vj_fail(err, -ENOMEM, "out of memory for comparing %zu images", n);
    for (size_t i = 0; i < n; i++)
        difference[i] = row[i].error;
    int rc = vj_wilcoxon_signed_rank(out, difference, n, err);
    free(difference);
    return rc;
}

static int compare_rows(struct vj_comparison *out, const struct pair_row *row, size_t n,
                        const struct vj_bootstrap *boot, struct vj_error *err)
{
    *out = (struct vj_comparison){.images = n, .wilcoxon.p = 1, .mcnemar.p = 1};
    if (!n)
        return 0;
    struct sums s = add_rows(row, NULL, n);
    uint64_t only_a = 0;
    uint64_t only_b = 0;
    size_t with_pairs = 0;
    for (size_t i = 0; i < n; i++) {
        with_pairs += row[i].pairs > 0;
        only_a += row[i].only_a;
        only_b += row[i].only_b;
        out->nearer_a += row[i].error < 0;
        out->nearer_b += row[i].error > 0;
        out->tied += row[i].error == 0;
    }
    out->mad = (struct vj_metric_value){.present = true, .value = s.error / (double)n, .n = n};
    if (s.pairs > 0)
        out->pair_accuracy =
            (struct vj_metric_value){.present = true, .value = s.right / s.pairs, .n = with_pairs};
    out->mcnemar = vj_mcnemar_exact(only_a, only_b);
    int rc = test_errors(&out->wilcoxon, row, n, err);
    if (!rc && boot && boot->resamples && n >= VJ_INTERVAL_FEWEST)
        rc = add_intervals(out, row, n, boot, err);
    return rc;
}

int vj_metrics_compare(struct vj_comparison *out, const struct vj_truth *truth,
                       const struct vj_prediction *a, const struct vj_prediction *b,
                       const struct vj_bootstrap *boot, struct vj_error *err)
{
    struct vj_rows rows_a;
    struct vj_rows rows_b = {0};
    struct pair_row *row = NULL;
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
    size_t n = 0;
    for (size_t i = 0; i < truth->count; i++) {
        if (rows_a.abs_error[i] >= 0 && rows_b.abs_error[i] >= 0)
            row[n++] = compare_image(truth, a, rows_a.pairs, b, rows_b.pairs, i);
    }
    rc = compare_rows(out, row, n, boot, err);
out:
    free(row);
    vj_rows_free(&rows_a);
    vj_rows_free(&rows_b);
    return rc;
}
