/* SPDX-License-Identifier: MIT */
/* The report for people. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/report.h"
#include "eval/report_text.h"
#include "eval/table.h"

enum {
    LABEL_WIDTH = 14, /* of the header's field names */
};

static const struct vj_metric_value absent;

static const struct vj_metric_value *value_of(const struct vj_metrics *metrics,
                                              enum vj_metric metric)
{
    return metrics ? &metrics->value[metric] : &absent;
}

static const struct vj_metrics *pooled_of(const struct vj_report_row *row)
{
    return row->metrics && !row->random_weights ? &row->metrics->pooled : NULL;
}

/* One number, "-" where it is absent; shares become per cent. */
static void number_cell(struct vj_table *table, const struct vj_metric_value *v, bool percent,
                        const char *sign, int decimals)
{
    if (!v->present)
        vj_table_cell(table, "-");
    else if (*sign)
        vj_table_cell(table, "%+.*f", decimals, percent ? 100 * v->value : v->value);
    else
        vj_table_cell(table, "%.*f", decimals, percent ? 100 * v->value : v->value);
}

/* "[low, high]", or nothing. */
static void interval_cell(struct vj_table *table, const struct vj_metric_value *v, bool percent,
                          int decimals)
{
    double scale = percent ? 100 : 1;
    if (v->present && v->has_interval)
        vj_table_cell(table, "[%.*f, %.*f]", decimals, scale * v->ci_low, decimals,
                      scale * v->ci_high);
    else
        vj_table_cell(table, "%s", "");
}

static void count_cell(struct vj_table *table, const struct vj_metric_value *v)
{
    if (v->present)
        vj_table_cell(table, "%zu", v->n);
    else
        vj_table_cell(table, "-");
}

static void cells(struct vj_table *table, const char *const *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vj_table_cell(table, "%s", text[i]);
}

/* Prints and releases. */
static void finish(struct vj_text *out, struct vj_table *table)
{
    vj_table_print(out, table, 0, VJ_REPORT_COLUMNS);
    vj_table_free(table);
}

void vj_report_heading(struct vj_text *out, const char *title)
{
    vj_text_add(out, "\n%s\n\n", title);
}

const char *vj_report_axis_word(const struct vj_report *r)
{
    return !r->codec || strcmp(r->codec, "jpeg") == 0 ? "QF" : "level";
}

const char *vj_report_or_dash(const char *text)
{
    return text && *text ? text : "-";
}

/* A heading that ends in the caller's name for something. */
static void titled(struct vj_text *out, const char *title, const char *name)
{
    struct vj_text line = {0};
    vj_text_add(&line, "%s %s", title, vj_report_or_dash(name));
    vj_text_add(out, "\n");
    vj_text_wrap(out, line.data ? line.data : title, 0, 4, VJ_REPORT_COLUMNS);
    vj_text_add(out, "\n");
    out->failed |= line.failed;
    vj_text_free(&line);
}

void vj_report_field(struct vj_text *out, const char *label, const char *value)
{
    vj_text_left(out, label, LABEL_WIDTH);
    vj_text_wrap(out, value, LABEL_WIDTH, LABEL_WIDTH, VJ_REPORT_COLUMNS);
}

void vj_report_paragraph(struct vj_text *out, const char *text, size_t indent)
{
    vj_text_fill(out, ' ', indent);
    vj_text_wrap(out, text, indent, indent, VJ_REPORT_COLUMNS);
}

size_t vj_report_count_failed(const struct vj_report *r)
{
    size_t failed = 0;
    for (size_t i = 0; r->image_error && i < r->images; i++)
        failed += r->image_error[i] != NULL;
    return failed;
}

bool vj_report_has_labels(const struct vj_report *r)
{
    for (size_t i = 0; r->qf_true && i < r->images; i++) {
        if (r->qf_true[i] >= 0)
            return true;
    }
    return false;
}

/* What says of a single run where its figures come from; of several, each says it for itself. */
static void add_origin(struct vj_text *out, const struct vj_report *r)
{
    char line[32];
    snprintf(line, sizeof(line), "%" PRIu64, r->seed);
    vj_report_field(out, "seed", line);
    vj_report_field(out, "device", vj_report_or_dash(r->device));
    vj_report_field(out, "results", vj_report_or_dash(r->results_file));
}

/* What the data set's loader found: shown where there is something to say. */
static void add_findings(struct vj_text *out, const struct vj_report *r)
{
    enum { SHOWN = 300 };
    if (r->axis && *r->axis)
        vj_report_field(out, "axis", r->axis);
    if (!r->excluded || !*r->excluded)
        return;
    char line[SHOWN + 80];
    snprintf(line, sizeof(line), "%.*s%s", SHOWN, r->excluded,
             strlen(r->excluded) > SHOWN ? "... (all in the attribute dataset_excluded)" : "");
    vj_report_field(out, "not used", line);
}

static void add_header(struct vj_text *out, const struct vj_report *r)
{
    char line[512];
    size_t failed = vj_report_count_failed(r);
    snprintf(line, sizeof(line), "%s, vpjnd %s",
             r->runs ? "Comparison of picture-wise JND evaluations" : "Picture-wise JND evaluation",
             vj_report_or_dash(r->program_version));
    vj_report_paragraph(out, line, 0);
    vj_text_fill(out, '=', vj_text_columns(line));
    vj_text_add(out, "\n\n");
    vj_report_field(out, "data set", vj_report_or_dash(r->dataset));
    if (r->runs)
        snprintf(line, sizeof(line), "%zu in every run with a label, %zu left out", r->images,
                 r->left_outs);
    else if (r->pending)
        snprintf(line, sizeof(line), "%zu: %zu ok, %zu failed, %zu not evaluated yet", r->images,
                 r->images - failed - r->pending, failed, r->pending);
    else
        snprintf(line, sizeof(line), "%zu: %zu ok, %zu failed", r->images, r->images - failed,
                 failed);
    vj_report_field(out, "images", line);
    vj_report_field(out, "labels",
                    vj_report_has_labels(r) ? vj_report_or_dash(r->label_definition)
                                            : "none: predictions only");
    if (vj_report_has_labels(r) && !r->human_labels)
        vj_report_field(
            out, "",
            "No person gave these labels: they come from a made-up observer, and figures held "
            "against them say nothing about human vision.");
    snprintf(line, sizeof(line), "%s (%s), %s %d to %d%s", vj_report_or_dash(r->codec),
             vj_report_or_dash(r->candidates), vj_report_axis_word(r), r->qf_first, r->qf_last,
             strcmp(vj_report_axis_word(r), "QF") == 0 ? "" : "; QF below stands for the level");
    vj_report_field(out, "candidates", line);
    vj_report_field(out, "folds", vj_report_or_dash(r->folds));
    add_findings(out, r);
    if (!r->runs)
        add_origin(out, r);
    if (r->resamples) {
        snprintf(line, sizeof(line), "%g %%, percentile bootstrap over images, %zu resamples",
                 100 * r->confidence, r->resamples);
        vj_report_field(out, "intervals", line);
    }
    if (!r->complete && !r->runs)
        vj_report_field(
            out, "INCOMPLETE",
            "The run was cut short: predictions and figures are made when it is finished with "
            "--resume.");
}

static bool any_random(const struct vj_report *r, bool random)
{
    for (size_t i = 0; i < r->rows; i++) {
        if (r->row[i].random_weights == random)
            return true;
    }
    return false;
}

/* "7.82 [6.10, 9.86]", so that the best-known figure never stands without its uncertainty. */
static void mad_cell(struct vj_table *table, const struct vj_metric_value *v)
{
    if (v->present && v->has_interval)
        vj_table_cell(table, "%.2f [%.2f, %.2f]", v->value, v->ci_low, v->ci_high);
    else
        number_cell(table, v, false, "", 2);
}

static void accuracy_row(struct vj_table *table, const struct vj_report_row *row)
{
    const struct vj_metrics *m = pooled_of(row);
    vj_table_cell(table, "%s", vj_report_or_dash(row->name));
    mad_cell(table, value_of(m, VJ_METRIC_MAD));
    number_cell(table, value_of(m, VJ_METRIC_RMSE), false, "", 2);
    number_cell(table, value_of(m, VJ_METRIC_BIAS), false, "+", 2);
    number_cell(table, value_of(m, VJ_METRIC_PAIR_ACCURACY), true, "", 1);
    number_cell(table, value_of(m, VJ_METRIC_PRECISION_LOSSY), true, "", 1);
    number_cell(table, value_of(m, VJ_METRIC_PRECISION_LOSSLESS), true, "", 1);
    number_cell(table, value_of(m, VJ_METRIC_DQF), false, "", 2);
    number_cell(table, value_of(m, VJ_METRIC_SAVING_MEAN), true, "", 1);
    number_cell(table, value_of(m, VJ_METRIC_SAVING_AT_TRUTH), true, "", 1);
    number_cell(table, value_of(m, VJ_METRIC_PAST_JND_SHARE), true, "", 1);
    vj_table_cell(table, "%zu", m ? m->images : (size_t)0);
}

static void add_accuracy(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {
        {0, true}, {2, true}, {1, false}, {1, false}, {2, false}, {1, false},
    };
    char mad[32] = "MAD";
    const char *const header[] = {
        "",          "",    "",      "",       "pair", "lossy",
        "lossless",  "",    "",      "saved",  "past", "", /* second row */
        "predictor", mad,   "RMSE",  "bias",   "acc.", "prec.",
        "prec.",     "dQF", "saved", "at JND", "JND",  "n",
    };
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 12, .fixed = 1,
                             .own_line = true, .header_rows = 2};
    if (r->resamples)
        snprintf(mad, sizeof(mad), "MAD [%g %%]", 100 * r->confidence);
    vj_report_heading(out, "Accuracy");
    cells(&table, header, sizeof(header) / sizeof(header[0]));
    for (size_t i = 0; i < r->rows; i++) {
        if (!r->row[i].random_weights)
            accuracy_row(&table, &r->row[i]);
    }
    finish(out, &table);
    vj_text_add(out, "\n");
    vj_report_paragraph(
        out,
        "MAD, RMSE, bias (predicted - true) and dQF (mean of max(0, true - predicted)) in QF; "
        "the rest in per cent. pair acc.: right decisions on pairs with the highest QF; prec.: "
        "share of the pairs called lossy (lossless) that are. saved: mean saving of bytes "
        "against the highest QF; past JND: share of images with a predicted QF below the true "
        "one. n: images evaluated.",
        0);
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!row->note || row->random_weights)
            continue;
        vj_text_plain(out, vj_report_or_dash(row->name));
        vj_text_add(out, ": ");
        vj_text_wrap(out, row->note, vj_text_columns(vj_report_or_dash(row->name)) + 2, 2,
                     VJ_REPORT_COLUMNS);
    }
}

static void add_throughput(struct vj_text *out, const struct vj_report *r, bool random)
{
    static const struct vj_table_column column[] = {{0, true}, {2, false}};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 2, .fixed = 1,
                             .header_rows = 1};
    bool any = random;
    vj_table_cell(&table, "predictor");
    vj_table_cell(&table, "images/s");
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (row->random_weights != random || (!random && !(row->images_per_second > 0)))
            continue;
        any = true;
        vj_table_cell(&table, "%s", vj_report_or_dash(row->name));
        if (row->images_per_second > 0 && isfinite(row->images_per_second))
            vj_table_cell(&table, "%.3g", row->images_per_second);
        else
            vj_table_cell(&table, "-");
    }
    if (any) {
        vj_report_heading(out, random ? "Throughput only (random weights)" : "Throughput");
        vj_table_print(out, &table, 0, VJ_REPORT_COLUMNS);
    }
    vj_table_free(&table);
}

static void add_metrics_of(struct vj_text *out, const struct vj_report_row *row)
{
    static const struct vj_table_column column[] = {
        {0, true}, {2, false}, {1, true}, {2, true}, {2, false}};
    static const char *const header[] = {"metric", "value", "", "interval", "n"};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 5, .fixed = 1,
                             .header_rows = 1};
    cells(&table, header, 5);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        const struct vj_metric_info *info = vj_metric_info((enum vj_metric)m);
        const struct vj_metric_value *v = value_of(pooled_of(row), (enum vj_metric)m);
        bool small = m == VJ_METRIC_SUR_MAE || m == VJ_METRIC_BHATTACHARYYA;
        int decimals = info->is_share ? 2 : m == VJ_METRIC_DMS_SSIM ? 5 : small ? 4 : 3;
        const char *units = info->is_share ? "%" : info->units;
        vj_table_cell(&table, "%s", info->name);
        number_cell(&table, v, info->is_share, "", decimals);
        vj_table_cell(&table, "%s", v->present ? units : "");
        interval_cell(&table, v, info->is_share, decimals);
        count_cell(&table, v);
    }
    finish(out, &table);
}

static void add_metrics(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!pooled_of(row))
            continue;
        titled(out, "All metrics of", row->name);
        add_metrics_of(out, row);
        vj_text_add(out, "\nPairs: %s.\n",
                    row->metrics->pairs == VJ_PAIRS_FROM_ANSWERS ? "the answers at every QF"
                                                                 : "the step at the predicted QF");
    }
}

/* The first predictor that has folds: all predictors of a run have the same. */
static const struct vj_metrics_table *folds_of(const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        if (pooled_of(&r->row[i]) && r->row[i].metrics->folds)
            return r->row[i].metrics;
    }
    return NULL;
}

/* MAD in a fold, by number: a table that lacks the fold has a "-". */
static const struct vj_metric_value *mad_in_fold(const struct vj_report_row *row, int32_t fold)
{
    for (size_t k = 0; k < row->metrics->folds; k++) {
        if (row->metrics->fold[k].fold == fold)
            return &row->metrics->fold[k].value[VJ_METRIC_MAD];
    }
    return &absent;
}

static size_t count_rated(const struct vj_report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->rows; i++)
        n += pooled_of(&r->row[i]) != NULL;
    return n;
}

static void add_folds(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, false}, {2, false}};
    const struct vj_metrics_table *folds = folds_of(r);
    if (!folds)
        return;
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 2 + count_rated(r),
                             .fixed = 1, .header_rows = 1};
    vj_report_heading(out, "MAD per fold");
    vj_table_cell(&table, "fold");
    vj_table_cell(&table, "n");
    for (size_t i = 0; i < r->rows; i++) {
        if (pooled_of(&r->row[i]))
            vj_table_cell(&table, "%s", vj_report_or_dash(r->row[i].name));
    }
    for (size_t k = 0; k < folds->folds; k++) {
        vj_table_cell(&table, "%d", (int)folds->fold[k].fold);
        vj_table_cell(&table, "%zu", folds->fold[k].images);
        for (size_t i = 0; i < r->rows; i++) {
            if (pooled_of(&r->row[i]))
                mad_cell(&table, mad_in_fold(&r->row[i], folds->fold[k].fold));
        }
    }
    finish(out, &table);
}

static void add_sweep_of(struct vj_text *out, const struct vj_sweep_point *point, size_t count,
                         bool tolerances)
{
    static const struct vj_table_column column[] = {{0, false}, {3, false}, {2, false}};
    const char *const header[] = {
        "",        "saved",   "saved",    "past JND",
        "dQF",     "dPSNR-Y", "dMS-SSIM", tolerances ? "tolerance" : "offset",
        "mean, %", "sums, %", "%",        "QF",
        "dB",      ""};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 7, .fixed = 1,
                             .header_rows = 2};
    cells(&table, header, 14);
    for (size_t k = 0; k < count; k++) {
        const struct vj_sweep_point *p = &point[k];
        if (tolerances)
            vj_table_cell(&table, "%.4g", p->tolerance);
        else
            vj_table_cell(&table, p->offset ? "%+d" : "%d", p->offset);
        number_cell(&table, &p->saving_mean, true, "", 2);
        number_cell(&table, &p->saving_of_sums, true, "", 2);
        number_cell(&table, &p->past_jnd_share, true, "", 1);
        number_cell(&table, &p->dqf, false, "", 2);
        number_cell(&table, &p->dpsnr_y, false, "", 3);
        number_cell(&table, &p->dms_ssim, false, "", 5);
    }
    finish(out, &table);
}

static void add_sweeps(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!row->sweep_count || row->random_weights)
            continue;
        titled(out, "Rate and damage with an offset added to every prediction of", row->name);
        add_sweep_of(out, row->sweep, row->sweep_count, false);
        if (!row->tolerance_count)
            continue;
        titled(out, "Rate and damage with other tolerances of", row->name);
        add_sweep_of(out, row->tolerance, row->tolerance_count, true);
    }
}

static bool shows_images(const struct vj_report_row *row)
{
    return row->qf_pred && !row->random_weights;
}

/* "36 | 37": the predicted PW-JND and the lowest lossless QF, "-" where there is none. */
static void prediction_cell(struct vj_table *table, const struct vj_report *r, int32_t qf)
{
    if (qf < 0)
        vj_table_cell(table, "-");
    else if (qf >= r->qf_last)
        vj_table_cell(table, "%d |   -", (int)qf);
    else
        vj_table_cell(table, "%d | %3d", (int)qf, (int)qf + 1);
}

static void image_row(struct vj_table *table, const struct vj_report *r, size_t image)
{
    vj_table_cell(table, "%s", vj_report_or_dash(r->image_name[image]));
    if (r->image_fold && r->image_fold[image] >= 0)
        vj_table_cell(table, "%d", (int)r->image_fold[image]);
    else
        vj_table_cell(table, "-");
    if (r->qf_true && r->qf_true[image] >= 0)
        vj_table_cell(table, "%d", (int)r->qf_true[image]);
    else
        vj_table_cell(table, "-");
    for (size_t i = 0; i < r->rows; i++) {
        if (shows_images(&r->row[i]))
            prediction_cell(table, r, r->row[i].qf_pred[image]);
    }
}

static void add_images(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, true}, {2, false}};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 3, .fixed = 3,
                             .header_rows = 1};
    vj_report_heading(out, "Predictions: PW-JND | lowest lossless QF");
    vj_table_cell(&table, "image");
    vj_table_cell(&table, "fold");
    vj_table_cell(&table, "true");
    for (size_t i = 0; i < r->rows; i++) {
        if (!shows_images(&r->row[i]))
            continue;
        vj_table_cell(&table, "%s", vj_report_or_dash(r->row[i].name));
        table.columns++;
    }
    for (size_t i = 0; i < r->images; i++)
        image_row(&table, r, i);
    finish(out, &table);
}

static void difference_cell(struct vj_table *table, const struct vj_metric_value *v, double scale)
{
    if (!v->present)
        vj_table_cell(table, "-");
    else if (v->has_interval)
        vj_table_cell(table, "%+.2f [%+.2f, %+.2f]", scale * v->value, scale * v->ci_low,
                      scale * v->ci_high);
    else
        vj_table_cell(table, "%+.2f", scale * v->value);
}

static void p_cell(struct vj_table *table, double p, enum vj_test_method method)
{
    if (method == VJ_TEST_NONE)
        vj_table_cell(table, "no diff.");
    else if (p < 0.0001)
        vj_table_cell(table, "%.0e", p);
    else
        vj_table_cell(table, "%.4f", p);
}

static void add_comparisons(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, true}, {2, false}};
    static const char *const header[] = {
        "",           "MAD,", "pair acc.,", "Wilcoxon", "McNemar", "nearer",    "",     "",
        "predictors", "QF",   "points",     "p",        "p",       "1st : 2nd", "tied", "n",
    };
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 8, .fixed = 1,
                             .own_line = true, .header_rows = 2};
    if (!r->comparisons)
        return;
    vj_report_heading(out, "Differences");
    cells(&table, header, 16);
    for (size_t i = 0; i < r->comparisons; i++) {
        const struct vj_report_comparison *c = &r->comparison[i];
        vj_table_cell(&table, "%s - %s", vj_report_or_dash(r->row[c->a].name),
                      vj_report_or_dash(r->row[c->b].name));
        difference_cell(&table, &c->result.mad, 1);
        difference_cell(&table, &c->result.pair_accuracy, 100);
        p_cell(&table, c->result.wilcoxon.p, c->result.wilcoxon.method);
        p_cell(&table, c->result.mcnemar.p, c->result.mcnemar.method);
        vj_table_cell(&table, "%zu : %zu", c->result.nearer_a, c->result.nearer_b);
        vj_table_cell(&table, "%zu", c->result.tied);
        vj_table_cell(&table, "%zu", c->result.images);
    }
    finish(out, &table);
    vj_text_add(out, "\n");
    vj_report_paragraph(
        out,
        "Of the first less the second predictor. nearer: images where the first (the second) is "
        "strictly nearer to the truth. "
        "Wilcoxon: signed-rank test of |error| per image. McNemar: exact test of pair "
        "decisions; the pairs of one image are not independent, so its p is far too small: "
        "trust the interval of the pair accuracy, which resamples whole images.",
        0);
    if (r->comparisons > 1) {
        char line[128];
        snprintf(line, sizeof(line),
                 "The p are those of single tests, not corrected for their number (%zu).",
                 r->comparisons);
        vj_report_paragraph(out, line, 0);
    }
}

static void add_failures(struct vj_text *out, const struct vj_report *r)
{
    size_t failed = vj_report_count_failed(r);
    if (!failed)
        return;
    vj_text_add(out, "\nFailures (%zu of %zu images)\n\n", failed, r->images);
    for (size_t i = 0; i < r->images; i++) {
        if (!r->image_error[i])
            continue;
        const char *name = vj_report_or_dash(r->image_name[i]);
        vj_text_plain(out, name);
        vj_text_add(out, ": ");
        vj_text_wrap(out, vj_report_or_dash(r->image_error[i]), vj_text_columns(name) + 2, 4,
                     VJ_REPORT_COLUMNS);
    }
}

int vj_report_text(struct vj_text *out, const struct vj_report *report, unsigned sections,
                   struct vj_error *err)
{
    int rc = vj_report_check(report, err);
    if (rc)
        return rc;
    add_header(out, report);
    vj_report_runs(out, report);
    vj_report_differences(out, report);
    if (any_random(report, false))
        add_accuracy(out, report);
    add_comparisons(out, report);
    if (sections & VJ_REPORT_METRICS)
        add_metrics(out, report);
    if (sections & VJ_REPORT_FOLDS)
        add_folds(out, report);
    if (sections & VJ_REPORT_SWEEP)
        add_sweeps(out, report);
    if (sections & VJ_REPORT_IMAGES)
        add_images(out, report);
    add_throughput(out, report, false);
    if (any_random(report, true))
        add_throughput(out, report, true);
    add_failures(out, report);
    vj_report_left_outs(out, report);
    vj_report_published(out, report);
    return vj_text_status(out, err);
}
