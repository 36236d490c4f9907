/* SPDX-License-Identifier: MIT */
/* The report for programs: CSV and JSON. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "eval/report.h"
#include "eval/report_text.h"

/* Number `index` of the comparisons is of predictors a and b. */
static int check_pair(const struct vj_report *report, size_t index, size_t a, size_t b,
                      struct vj_error *err)
{
    if (a >= report->rows || b >= report->rows)
        return vj_fail(err, -EINVAL,
                       "comparison %zu of a report is of predictors %zu and %zu, yet there are "
                       "%zu",
                       index, a, b, report->rows);
    if (report->row[a].random_weights || report->row[b].random_weights)
        return vj_fail(err, -EINVAL,
                       "comparison %zu of a report is of a predictor with random weights, "
                       "whose accuracy is not reported; leave it out",
                       index);
    return 0;
}

int vj_report_check(const struct vj_report *report, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < report->comparisons; i++)
        r = check_pair(report, i, report->comparison[i].a, report->comparison[i].b, err);
    for (size_t i = 0; !r && i < report->agreements; i++)
        r = check_pair(report, i, report->agreement[i].a, report->agreement[i].b, err);
    return r;
}

static const struct vj_metrics_table *rated(const struct vj_report_row *row)
{
    return row->random_weights ? NULL : row->metrics;
}

static bool measured(double images_per_second)
{
    return isfinite(images_per_second) && images_per_second > 0;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void csv_metrics(struct vj_text *out, const char *name, const struct vj_metrics *metrics)
{
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        const struct vj_metric_info *info = vj_metric_info((enum vj_metric)m);
        const struct vj_metric_value *v = &metrics->value[m];
        if (!v->present)
            continue;
        vj_text_csv(out, name);
        if (metrics->fold >= 0)
            vj_text_add(out, ",%d,%s,", (int)metrics->fold, info->name);
        else
            vj_text_add(out, ",,%s,", info->name);
        vj_text_number(out, v->value);
        vj_text_add(out, ",");
        vj_text_number(out, v->has_interval ? v->ci_low : NAN);
        vj_text_add(out, ",");
        vj_text_number(out, v->has_interval ? v->ci_high : NAN);
        vj_text_add(out, ",%zu,%s\r\n", v->n, info->units);
    }
}

/* One figure of two predictors that were compared. */
static void csv_compared(struct vj_text *out, const struct vj_report *report, size_t a, size_t b,
                         const char *metric, const struct vj_metric_value *v, const char *units)
{
    struct vj_text name = {0};
    if (!v->present)
        return;
    vj_text_add(&name, "%s - %s", or_empty(report->row[a].name), or_empty(report->row[b].name));
    vj_text_csv(out, or_empty(name.data));
    out->failed |= name.failed;
    vj_text_free(&name);
    vj_text_add(out, ",,%s,", metric);
    vj_text_number(out, v->value);
    vj_text_add(out, ",");
    vj_text_number(out, v->has_interval ? v->ci_low : NAN);
    vj_text_add(out, ",");
    vj_text_number(out, v->has_interval ? v->ci_high : NAN);
    vj_text_add(out, ",%zu,%s\r\n", v->n, units);
}

static void csv_comparison(struct vj_text *out, const struct vj_report *report,
                           const struct vj_report_comparison *c)
{
    const struct vj_comparison *r = &c->result;
    const struct {
        const char *metric;
        double value;
    } plain[] = {
        {"wilcoxon_p", r->wilcoxon.p},     {"wilcoxon_p_holm", c->wilcoxon_p_holm},
        {"mcnemar_p", r->mcnemar.p},       {"nearer_a", (double)r->nearer_a},
        {"nearer_b", (double)r->nearer_b}, {"tied", (double)r->tied},
    };
    csv_compared(out, report, c->a, c->b, "mad_difference", &r->mad, "QF");
    csv_compared(out, report, c->a, c->b, "pair_accuracy_difference", &r->pair_accuracy, "");
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const struct vj_metric_value v = {
            .present = r->images > 0, .value = plain[i].value, .n = r->images};
        csv_compared(out, report, c->a, c->b, plain[i].metric, &v, "");
    }
}

static void csv_agreement(struct vj_text *out, const struct vj_report *report,
                          const struct vj_report_agreement *g)
{
    for (int k = 0; k < VJ_AGREEMENT_COUNT; k++) {
        const struct vj_metric_info *info = vj_agreement_info((enum vj_agreement_metric)k);
        csv_compared(out, report, g->a, g->b, info->name, &g->result.value[k], info->units);
    }
}

static const char *seen_name(const struct vj_report_row *row)
{
    return row->seen_if_released ? "seen_images_if_released" : "seen_images";
}

static void csv_seen(struct vj_text *out, const struct vj_report_row *row)
{
    if (!row->seen)
        return;
    vj_text_csv(out, or_empty(row->name));
    vj_text_add(out, ",,%s,%zu,,,%zu,\r\n", seen_name(row), row->seen, row->seen_of);
}

int vj_report_csv(struct vj_text *out, const struct vj_report *report, struct vj_error *err)
{
    int rc = vj_report_check(report, err);
    if (rc)
        return rc;
    vj_text_add(out, "predictor,fold,metric,value,ci_low,ci_high,n,units\r\n");
    for (size_t i = 0; i < report->rows; i++) {
        const struct vj_report_row *row = &report->row[i];
        const struct vj_metrics_table *metrics = rated(row);
        if (metrics)
            csv_metrics(out, or_empty(row->name), &metrics->pooled);
        for (size_t k = 0; metrics && k < metrics->folds; k++)
            csv_metrics(out, or_empty(row->name), &metrics->fold[k]);
        if (metrics)
            csv_seen(out, row);
        if (!measured(row->images_per_second))
            continue;
        vj_text_csv(out, or_empty(row->name));
        vj_text_add(out, ",,images_per_second,");
        vj_text_number(out, row->images_per_second);
        vj_text_add(out, ",,,,1/s\r\n");
    }
    for (size_t i = 0; i < report->comparisons; i++)
        csv_comparison(out, report, &report->comparison[i]);
    for (size_t i = 0; i < report->agreements; i++)
        csv_agreement(out, report, &report->agreement[i]);
    return vj_text_status(out, err);
}

/* An integer that is known, or nothing. */
static void csv_known(struct vj_text *out, int32_t value, bool known)
{
    if (known)
        vj_text_add(out, ",%d", (int)value);
    else
        vj_text_add(out, ",");
}

static int32_t entry(const int32_t *array, size_t image)
{
    return array ? array[image] : VJ_EVAL_UNKNOWN;
}

static void csv_image(struct vj_text *out, const struct vj_report *report,
                      const struct vj_report_row *row, size_t image)
{
    int32_t fold = entry(report->image_fold, image);
    int32_t qf_true = entry(report->qf_true, image);
    int32_t qf_pred = row->qf_pred[image], lossless = vj_report_lossless(report, row, image);
    uint32_t bytes;
    double saving;
    vj_text_csv(out, or_empty(row->name));
    vj_text_add(out, ",");
    vj_text_csv(out, or_empty(report->image_name[image]));
    csv_known(out, fold, fold >= 0);
    csv_known(out, qf_true, qf_true >= 0);
    csv_known(out, qf_pred, qf_pred >= 0);
    csv_known(out, lossless, lossless >= 0);
    vj_text_add(out, ",");
    vj_text_csv(out, or_empty(vj_report_no_answer(report, row, image)));
    csv_known(out, qf_pred - qf_true, qf_true >= 0 && qf_pred >= 0);
    if (vj_report_size(&bytes, &saving, report, image, lossless)) {
        const double rate = vj_report_bits_per_pixel(report, image, bytes);
        vj_text_add(out, ",%" PRIu32 ",", bytes);
        vj_text_number(out, saving);
        vj_text_add(out, ",");
        if (!isnan(rate))
            vj_text_number(out, rate);
    } else {
        vj_text_add(out, ",,,");
    }
    vj_text_add(out, "\r\n");
}

int vj_report_images_csv(struct vj_text *out, const struct vj_report *report, struct vj_error *err)
{
    vj_text_add(out, "predictor,image,fold,qf_true,qf_pred,smallest_lossless_qf,failure,qf_error,"
                     "bytes,saving,bits_per_pixel\r\n");
    for (size_t i = 0; i < report->rows; i++) {
        const struct vj_report_row *row = &report->row[i];
        for (size_t k = 0; row->qf_pred && !row->random_weights && k < report->images; k++)
            csv_image(out, report, row, k);
    }
    return vj_text_status(out, err);
}

/* One point of a rate-damage curve, a line per quantity; at: offset or tolerance. */
static void csv_point(struct vj_text *out, const char *name, const char *axis, double at,
                      const struct vj_sweep_point *point)
{
    const struct {
        const char *metric, *units;
        const struct vj_metric_value *value;
    } quantities[] = {
        {"saving_mean", "", &point->saving_mean},
        {"saving_of_sums", "", &point->saving_of_sums},
        {"dqf", "QF", &point->dqf},
        {"dpsnr_y", "dB", &point->dpsnr_y},
        {"dms_ssim", "", &point->dms_ssim},
        {"past_jnd_share", "", &point->past_jnd_share},
        {"sur_at_prediction", "", &point->sur_at_prediction},
    };
    for (size_t i = 0; i < sizeof(quantities) / sizeof(quantities[0]); i++) {
        if (!quantities[i].value->present)
            continue;
        vj_text_csv(out, name);
        vj_text_add(out, ",%s,", axis);
        vj_text_number(out, at);
        vj_text_add(out, ",%s,", quantities[i].metric);
        vj_text_number(out, quantities[i].value->value);
        vj_text_add(out, ",%zu,%s\r\n", quantities[i].value->n, quantities[i].units);
    }
}

int vj_report_sweep_csv(struct vj_text *out, const struct vj_report *report, struct vj_error *err)
{
    vj_text_add(out, "predictor,axis,at,metric,value,n,units\r\n");
    for (size_t i = 0; i < report->rows; i++) {
        const struct vj_report_row *row = &report->row[i];
        for (size_t k = 0; !row->random_weights && k < row->sweep_count; k++)
            csv_point(out, or_empty(row->name), "offset", row->sweep[k].offset, &row->sweep[k]);
        for (size_t k = 0; !row->random_weights && k < row->tolerance_count; k++)
            csv_point(out, or_empty(row->name), "tolerance", row->tolerance[k].tolerance,
                      &row->tolerance[k]);
    }
    return vj_text_status(out, err);
}

/* JSON in progress: where it goes, how deep it is, whether the current level has a member yet. */
struct json {
    struct vj_text *out;
    int depth;
    bool empty;
};

static void json_line(struct json *j)
{
    vj_text_add(j->out, "\n");
    vj_text_fill(j->out, ' ', 2 * (size_t)j->depth);
}

/* Starts a member; key NULL = array element. */
static void json_key(struct json *j, const char *key)
{
    if (!j->empty)
        vj_text_add(j->out, ",");
    if (j->depth)
        json_line(j);
    j->empty = false;
    if (key) {
        vj_text_json(j->out, key);
        vj_text_add(j->out, ": ");
    }
}

static void json_open(struct json *j, const char *key, char bracket)
{
    json_key(j, key);
    vj_text_fill(j->out, bracket, 1);
    j->depth++;
    j->empty = true;
}

static void json_close(struct json *j, char bracket)
{
    j->depth--;
    if (!j->empty)
        json_line(j);
    vj_text_fill(j->out, bracket, 1);
    j->empty = false;
}

/* A string that is not given is null. */
static void json_string(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    if (value)
        vj_text_json(j->out, value);
    else
        vj_text_add(j->out, "null");
}

static void json_number(struct json *j, const char *key, double value)
{
    json_key(j, key);
    vj_text_json_number(j->out, value);
}

static void json_integer(struct json *j, const char *key, uint64_t value)
{
    json_key(j, key);
    vj_text_add(j->out, "%" PRIu64, value);
}

static void json_bool(struct json *j, const char *key, bool value)
{
    json_key(j, key);
    vj_text_add(j->out, value ? "true" : "false");
}

/* A number that may be unknown: then the key is absent. */
static void json_known(struct json *j, const char *key, int32_t value, bool known)
{
    if (known)
        json_integer(j, key, (uint64_t)value);
}

static void json_value(struct json *j, const char *key, const struct vj_metric_value *v)
{
    if (!v->present)
        return;
    json_key(j, key);
    vj_text_add(j->out, "{\"value\": ");
    vj_text_json_number(j->out, v->value);
    if (v->has_interval) {
        vj_text_add(j->out, ", \"ci_low\": ");
        vj_text_json_number(j->out, v->ci_low);
        vj_text_add(j->out, ", \"ci_high\": ");
        vj_text_json_number(j->out, v->ci_high);
    }
    vj_text_add(j->out, ", \"n\": %zu}", v->n);
}

static void json_metrics(struct json *j, const struct vj_metrics *metrics)
{
    json_open(j, "metrics", '{');
    for (int m = 0; m < VJ_METRIC_COUNT; m++)
        json_value(j, vj_metric_info((enum vj_metric)m)->name, &metrics->value[m]);
    json_close(j, '}');
}

static void json_folds(struct json *j, const struct vj_metrics_table *table)
{
    json_open(j, "folds", '[');
    for (size_t k = 0; k < table->folds; k++) {
        json_open(j, NULL, '{');
        json_integer(j, "fold", (uint64_t)table->fold[k].fold);
        json_integer(j, "images", table->fold[k].images);
        json_metrics(j, &table->fold[k]);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_sweep(struct json *j, const char *key, const struct vj_sweep_point *point,
                       size_t count, bool tolerances)
{
    json_open(j, key, '[');
    for (size_t k = 0; k < count; k++) {
        const struct vj_sweep_point *p = &point[k];
        json_open(j, NULL, '{');
        if (tolerances)
            json_number(j, "tolerance", p->tolerance);
        else
            json_number(j, "offset", p->offset);
        json_value(j, "saving_mean", &p->saving_mean);
        json_value(j, "saving_of_sums", &p->saving_of_sums);
        json_value(j, "dqf", &p->dqf);
        json_value(j, "dpsnr_y", &p->dpsnr_y);
        json_value(j, "dms_ssim", &p->dms_ssim);
        json_value(j, "past_jnd_share", &p->past_jnd_share);
        json_value(j, "sur_at_prediction", &p->sur_at_prediction);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_row(struct json *j, const struct vj_report_row *row)
{
    const struct vj_metrics_table *metrics = rated(row);
    json_open(j, NULL, '{');
    json_string(j, "name", or_empty(row->name));
    if (row->note)
        json_string(j, "note", row->note);
    if (row->no_answer)
        json_string(j, "no_answer", row->no_answer);
    json_bool(j, "random_weights", row->random_weights);
    if (measured(row->images_per_second))
        json_number(j, "images_per_second", row->images_per_second);
    if (metrics && row->seen) {
        json_open(j, "not_a_test", '{');
        json_integer(j, seen_name(row), row->seen);
        json_integer(j, "images", row->seen_of);
        json_close(j, '}');
    }
    if (metrics) {
        json_integer(j, "images", metrics->pooled.images);
        if (vj_has_pairs(metrics))
            json_string(j, "pairs", vj_pair_source_name(metrics->pairs));
        json_metrics(j, &metrics->pooled);
        json_folds(j, metrics);
    }
    if (row->sweep_count && !row->random_weights)
        json_sweep(j, "sweep", row->sweep, row->sweep_count, false);
    if (row->tolerance_count && !row->random_weights)
        json_sweep(j, "tolerance_sweep", row->tolerance, row->tolerance_count, true);
    json_close(j, '}');
}

static void json_comparison(struct json *j, const struct vj_report *report,
                            const struct vj_report_comparison *c)
{
    const struct vj_comparison *r = &c->result;
    json_open(j, NULL, '{');
    json_string(j, "a", or_empty(report->row[c->a].name));
    json_string(j, "b", or_empty(report->row[c->b].name));
    json_integer(j, "images", r->images);
    json_integer(j, "nearer_a", r->nearer_a);
    json_integer(j, "nearer_b", r->nearer_b);
    json_integer(j, "tied", r->tied);
    json_value(j, "mad_difference", &r->mad);
    json_value(j, "pair_accuracy_difference", &r->pair_accuracy);
    json_open(j, "wilcoxon", '{');
    json_string(j, "method", vj_test_method_name(r->wilcoxon.method));
    json_integer(j, "n", r->wilcoxon.n);
    json_number(j, "w_plus", r->wilcoxon.w_plus);
    json_number(j, "w_minus", r->wilcoxon.w_minus);
    if (r->wilcoxon.method == VJ_TEST_NORMAL)
        json_number(j, "z", r->wilcoxon.z);
    json_number(j, "p", r->wilcoxon.p);
    json_number(j, "p_holm", c->wilcoxon_p_holm);
    json_close(j, '}');
    json_open(j, "mcnemar", '{');
    json_string(j, "method", vj_test_method_name(r->mcnemar.method));
    json_integer(j, "only_a_right", r->mcnemar.b);
    json_integer(j, "only_b_right", r->mcnemar.c);
    json_number(j, "p", r->mcnemar.p);
    json_close(j, '}');
    json_close(j, '}');
}

static void json_agreements(struct json *j, const struct vj_report *report)
{
    json_open(j, "agreements", '[');
    for (size_t i = 0; i < report->agreements; i++) {
        const struct vj_report_agreement *g = &report->agreement[i];
        json_open(j, NULL, '{');
        json_string(j, "a", report->row[g->a].name);
        json_string(j, "b", report->row[g->b].name);
        json_integer(j, "images", g->result.images);
        for (int k = 0; k < VJ_AGREEMENT_COUNT; k++)
            json_value(j, vj_agreement_info((enum vj_agreement_metric)k)->name,
                       &g->result.value[k]);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_image(struct json *j, const struct vj_report *report, size_t image)
{
    int32_t fold = entry(report->image_fold, image);
    int32_t qf_true = entry(report->qf_true, image);
    json_open(j, NULL, '{');
    json_string(j, "name", or_empty(report->image_name[image]));
    json_known(j, "fold", fold, fold >= 0);
    json_known(j, "qf_true", qf_true, qf_true >= 0);
    if (vj_report_failure(report, image))
        json_string(j, "error", vj_report_failure(report, image));
    if (report->image_status && report->image_status[image] < 0)
        json_bool(j, "pending", true);
    json_open(j, "predictions", '{');
    for (size_t i = 0; i < report->rows; i++) {
        const struct vj_report_row *row = &report->row[i];
        int32_t qf_pred = row->random_weights ? VJ_EVAL_UNKNOWN : entry(row->qf_pred, image);
        uint32_t bytes;
        double saving;
        if (qf_pred < 0)
            continue;
        const int32_t lossless = vj_report_lossless(report, row, image);
        json_open(j, or_empty(row->name), '{');
        json_known(j, "qf_pred", qf_pred, true);
        json_known(j, "smallest_lossless_qf", lossless, lossless >= 0);
        if (vj_report_size(&bytes, &saving, report, image, lossless)) {
            json_integer(j, "bytes", bytes);
            json_number(j, "saving", saving);
            if (!isnan(vj_report_bits_per_pixel(report, image, bytes)))
                json_number(j, "bits_per_pixel", vj_report_bits_per_pixel(report, image, bytes));
        }
        json_close(j, '}');
    }
    json_close(j, '}');
    json_close(j, '}');
}

static void json_provenance(struct json *j, const struct vj_report_fact *fact, size_t facts)
{
    json_open(j, "provenance", '{');
    for (size_t i = 0; i < facts; i++)
        json_string(j, fact[i].name, fact[i].value);
    json_close(j, '}');
}

/* Absent without networks. */
static void json_patches(struct json *j, const struct vj_report_patches *p)
{
    if (!p->count)
        return;
    json_open(j, "patches", '{');
    json_number(j, "count", p->count);
    json_number(j, "size", p->size);
    json_number(j, "draws", p->draws);
    json_string(j, "positions", p->even ? "even" : "uniform");
    json_string(j, "jnd_patches", p->own_map ? "independent" : "aligned");
    json_close(j, '}');
}

static void json_facts(struct json *j, const struct vj_report *report)
{
    json_string(j, "schema", report->runs ? "vpjnd-comparison" : "vpjnd-report");
    json_integer(j, "schema_version", 1);
    json_string(j, "program_version", report->program_version);
    json_string(j, "dataset", report->dataset);
    json_string(j, "label_definition", report->label_definition);
    json_bool(j, "human_labels", report->human_labels);
    json_string(j, "codec", report->codec);
    json_string(j, "candidates", report->candidates);
    json_string(j, "folds", report->folds);
    if (report->axis && *report->axis)
        json_string(j, "axis", report->axis);
    if (report->excluded && *report->excluded)
        json_string(j, "excluded", report->excluded);
    if (report->duplicates && *report->duplicates)
        json_string(j, "duplicates", report->duplicates);
    json_number(j, "qf_first", report->qf_first);
    json_number(j, "qf_last", report->qf_last);
    json_integer(j, "seed", report->seed);
    if (!report->runs) {
        json_patches(j, &report->patches);
        json_string(j, "device", report->device);
        json_string(j, "results_file", report->results_file);
        json_bool(j, "complete", report->complete);
        if (report->pending)
            json_integer(j, "pending", report->pending);
        if (!report->complete && report->resume)
            json_string(j, "resume", report->resume);
        json_provenance(j, report->fact, report->facts);
    }
    if (!report->resamples)
        return;
    json_open(j, "intervals", '{');
    json_string(j, "method", "expanded percentile bootstrap over images");
    json_number(j, "confidence", report->confidence);
    json_integer(j, "resamples", report->resamples);
    json_close(j, '}');
}

/* What only a comparison has: its files, what they differ in, which images are in no figure. */
static void json_runs(struct json *j, const struct vj_report *report)
{
    json_open(j, "runs", '[');
    for (size_t i = 0; i < report->runs; i++) {
        const struct vj_report_run *run = &report->run[i];
        json_open(j, NULL, '{');
        json_string(j, "name", run->name);
        json_string(j, "results_file", run->path);
        json_string(j, "program_version", run->program_version);
        json_string(j, "device", run->device);
        json_integer(j, "seed", run->seed);
        json_patches(j, &run->patches);
        json_bool(j, "complete", run->complete);
        json_integer(j, "images", run->images);
        json_provenance(j, run->fact, run->facts);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "differences", '[');
    for (size_t i = 0; i < report->differences; i++) {
        const struct vj_report_difference *d = &report->difference[i];
        json_open(j, NULL, '{');
        json_string(j, "field", d->field);
        json_bool(j, "comparable", !d->barrier);
        json_open(j, "values", '[');
        for (size_t k = 0; k < report->runs; k++)
            json_string(j, NULL, d->value[k]);
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "left_out", '[');
    for (size_t i = 0; i < report->left_outs; i++) {
        json_open(j, NULL, '{');
        json_string(j, "name", report->left_out[i].name);
        json_string(j, "reason", report->left_out[i].reason);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_published(struct json *j, const struct vj_report *report)
{
    json_string(j, "published_file", report->published_file);
    json_open(j, "published", '[');
    for (size_t i = 0; i < report->publisheds; i++) {
        const struct vj_report_published *p = &report->published[i];
        json_open(j, NULL, '{');
        json_string(j, "model", p->model);
        json_string(j, "dataset", p->dataset);
        json_string(j, "codec", p->codec);
        json_known(j, "jnd", p->jnd, p->jnd > 0);
        json_string(j, "metric", p->metric);
        json_known(j, "point", p->point, p->point > 0);
        json_number(j, p->below ? "value_below" : "value", p->value);
        if (isfinite(p->uncertainty))
            json_number(j, "uncertainty", p->uncertainty);
        json_string(j, "units", p->units);
        json_string(j, "label_definition", p->labels);
        json_string(j, "source", p->source);
        json_string(j, "note", p->note);
        json_close(j, '}');
    }
    json_close(j, ']');
}

int vj_report_json(struct vj_text *out, const struct vj_report *report, struct vj_error *err)
{
    struct json j = {.out = out, .empty = true};
    int rc = vj_report_check(report, err);
    if (rc)
        return rc;
    json_open(&j, NULL, '{');
    json_facts(&j, report);
    if (report->runs)
        json_runs(&j, report);
    json_open(&j, "predictors", '[');
    for (size_t i = 0; i < report->rows; i++)
        json_row(&j, &report->row[i]);
    json_close(&j, ']');
    json_open(&j, "comparisons", '[');
    for (size_t i = 0; i < report->comparisons; i++)
        json_comparison(&j, report, &report->comparison[i]);
    json_close(&j, ']');
    if (report->agreements)
        json_agreements(&j, report);
    if (report->published_file)
        json_published(&j, report);
    json_open(&j, "images", '[');
    for (size_t i = 0; i < report->images; i++)
        json_image(&j, report, i);
    json_close(&j, ']');
    json_close(&j, '}');
    vj_text_add(out, "\n");
    return vj_text_status(out, err);
}
