/* SPDX-License-Identifier: MIT */
/* The second half of finishing: from predictions to /metrics. */
#include "host/finish.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/analysis.h"
#include "host/checked.h"
#include "host/schema.h"

static int write_metric(struct vj_results *results, const char *predictor, enum vj_metric metric,
                        const struct vj_metric_value *v, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    const struct vj_metric_info *info = vj_metric_info(metric);
    if (!v->present)
        return 0;
    snprintf(path, sizeof(path), "/metrics/%.120s/%s", predictor, info->name);
    int r = vj_results_scalar(results, path, v->value, info->description,
                              info->units[0] ? info->units : NULL, err);
    if (!r)
        r = vj_results_set_int(results, path, "n", (int64_t)v->n, err);
    if (!r && v->has_interval)
        r = vj_results_set_double(results, path, "ci_low", v->ci_low, err);
    if (!r && v->has_interval)
        r = vj_results_set_double(results, path, "ci_high", v->ci_high, err);
    return r;
}

/* Values of the folds in which the metric exists; the attribute `fold` says which these are. */
static int write_folds(struct vj_results *results, const char *predictor, enum vj_metric metric,
                       const struct vj_metrics_table *table, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    const struct vj_metric_info *info = vj_metric_info(metric);
    double *value = vj_calloc(table->folds, sizeof(*value));
    int64_t *fold = vj_calloc(table->folds, sizeof(*fold));
    size_t n = 0;
    int r = value && fold ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t k = 0; !r && k < table->folds; k++) {
        if (!table->fold[k].value[metric].present)
            continue;
        value[n] = table->fold[k].value[metric].value;
        fold[n++] = table->fold[k].fold;
    }
    snprintf(path, sizeof(path), "/metrics/%.120s/by_fold/%s", predictor, info->name);
    if (!r && n > 0)
        r = vj_results_vector(results, path, VJ_COLUMN_F64, value, n, info->description,
                              info->units[0] ? info->units : NULL, err);
    if (!r && n > 0)
        r = vj_results_set_ints(results, path, "fold", fold, n, err);
    free(value);
    free(fold);
    return r;
}

/* A rate-damage curve: one vector per quantity, as far as all of its points exist. */
static int write_curve(struct vj_results *results, const char *group,
                       const struct vj_sweep_point *point, size_t count, struct vj_error *err)
{
    static const struct {
        const char *name, *description, *units;
        size_t offset;
    } curves[] = {
        {"saving_mean", "mean 1 - R(pred) / R(highest level)", NULL,
         offsetof(struct vj_sweep_point, saving_mean)},
        {"dqf", "mean max(0, true - pred)", "QF", offsetof(struct vj_sweep_point, dqf)},
        {"dpsnr_y", "mean one-sided PSNR-Y damage", "dB", offsetof(struct vj_sweep_point, dpsnr_y)},
        {"dms_ssim", "mean one-sided MS-SSIM damage", NULL,
         offsetof(struct vj_sweep_point, dms_ssim)},
        {"past_jnd_share", "share of images with pred < true", NULL,
         offsetof(struct vj_sweep_point, past_jnd_share)},
        {"sur_at_prediction", "mean satisfied user ratio at pred", NULL,
         offsetof(struct vj_sweep_point, sur_at_prediction)},
    };
    char path[VJ_SCHEMA_PATH];
    double *value = vj_calloc(count, sizeof(*value));
    int r = value ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t c = 0; !r && c < sizeof(curves) / sizeof(curves[0]); c++) {
        bool all = true;
        for (size_t i = 0; i < count; i++) {
            const struct vj_metric_value *v =
                (const void *)((const char *)&point[i] + curves[c].offset);
            all = all && v->present;
            value[i] = v->value;
        }
        snprintf(path, sizeof(path), "%.160s/%s", group, curves[c].name);
        if (all)
            r = vj_results_vector(results, path, VJ_COLUMN_F64, value, count, curves[c].description,
                                  curves[c].units, err);
    }
    free(value);
    return r;
}

static int write_offsets(struct vj_results *results, const struct vj_analysed_predictor *p,
                         struct vj_error *err)
{
    char group[VJ_SCHEMA_PATH], path[VJ_SCHEMA_PATH];
    int32_t offset[VJ_SWEEP_COUNT];
    for (int i = 0; i < VJ_SWEEP_COUNT; i++)
        offset[i] = p->sweep[i].offset;
    snprintf(group, sizeof(group), "/metrics/%.120s/sweep", p->name);
    snprintf(path, sizeof(path), "%.160s/offset", group);
    int r = vj_results_vector(results, path, VJ_COLUMN_I32, offset, VJ_SWEEP_COUNT,
                              "safety offset added to every prediction", "QF", err);
    return r ? r : write_curve(results, group, p->sweep, VJ_SWEEP_COUNT, err);
}

static int write_tolerances(struct vj_results *results, const struct vj_analysed_predictor *p,
                            struct vj_error *err)
{
    char group[VJ_SCHEMA_PATH], path[VJ_SCHEMA_PATH];
    double tolerance[VJ_TOLERANCE_STEPS];
    if (!p->qf_tolerance)
        return 0;
    for (int i = 0; i < VJ_TOLERANCE_STEPS; i++)
        tolerance[i] = p->tolerance[i].tolerance;
    snprintf(group, sizeof(group), "/metrics/%.120s/tolerance_sweep", p->name);
    snprintf(path, sizeof(path), "%.160s/tolerance", group);
    int r = vj_results_vector(results, path, VJ_COLUMN_F64, tolerance, VJ_TOLERANCE_STEPS,
                              "tolerance of the rule; of fitted ones the mean over the folds", NULL,
                              err);
    return r ? r : write_curve(results, group, p->tolerance, VJ_TOLERANCE_STEPS, err);
}

static int write_predictor_metrics(struct vj_results *results,
                                   const struct vj_analysed_predictor *p, struct vj_error *err)
{
    char group[VJ_SCHEMA_PATH];
    snprintf(group, sizeof(group), "/metrics/%.120s", p->name);
    int r = vj_results_group(results, group, "metrics of this predictor", err);
    if (!r && vj_has_pairs(&p->metrics))
        r = vj_results_set_text(results, group, "pairs", vj_pair_source_name(p->metrics.pairs),
                                err);
    for (int m = 0; !r && m < VJ_METRIC_COUNT; m++) {
        r = write_metric(results, p->name, (enum vj_metric)m, &p->metrics.pooled.value[m], err);
        if (!r && p->metrics.folds > 0)
            r = write_folds(results, p->name, (enum vj_metric)m, &p->metrics, err);
    }
    if (!r)
        r = write_offsets(results, p, err);
    return r ? r : write_tolerances(results, p, err);
}

int vj_finish_metrics(const struct vj_engine *engine, struct vj_results *results,
                      struct vj_error *err)
{
    struct vj_analysis a;
    struct vj_bootstrap boot = vj_bootstrap_default(engine->config.seed);
    boot.resamples = (size_t)engine->config.bootstrap;
    int r = vj_analysis_load(&a, results, true, err);
    if (r)
        return r;
    r = vj_results_group(results, "/metrics",
                         "one group per predictor; a metric that cannot be computed is absent",
                         err);
    if (!r && boot.resamples)
        r = vj_results_set_text(results, "/metrics", "intervals",
                                "95 %, expanded percentile bootstrap over images, of 4 or more",
                                err);
    if (!r)
        r = vj_analysis_compute(&a, &boot, err);
    for (size_t i = 0; !r && i < a.predictors; i++)
        if (a.predictor[i].has_metrics)
            r = write_predictor_metrics(results, &a.predictor[i], err);
    vj_analysis_free(&a);
    return r;
}
