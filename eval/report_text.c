/* SPDX-License-Identifier: MIT */
/* The report for people. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/report.h"
#include "eval/report_text.h"
#include "eval/table.h"

enum {
    LABEL_WIDTH = 14, /* of the header's field names */
    OFFSET_STEP = 5,  /* between the safety offsets shown */
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
static void finish(struct vj_text *out, const struct vj_report *r, struct vj_table *table)
{
    vj_table_print(out, table, 0, vj_report_columns(r));
    vj_table_free(table);
}

size_t vj_report_columns(const struct vj_report *r)
{
    return r->columns ? r->columns : VJ_REPORT_COLUMNS;
}

size_t vj_report_sentence_columns(const struct vj_report *r)
{
    const size_t columns = vj_report_columns(r);
    return columns < VJ_REPORT_COLUMNS ? columns : VJ_REPORT_COLUMNS;
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
static void titled(struct vj_text *out, const struct vj_report *r, const char *title,
                   const char *name)
{
    struct vj_text line = {0};
    vj_text_add(&line, "%s %s", title, vj_report_or_dash(name));
    vj_text_add(out, "\n");
    vj_text_wrap(out, line.data ? line.data : title, 0, 4, vj_report_sentence_columns(r));
    vj_text_add(out, "\n");
    out->failed |= line.failed;
    vj_text_free(&line);
}

void vj_report_field(struct vj_text *out, const struct vj_report *r, const char *label,
                     const char *value)
{
    vj_text_left(out, label, LABEL_WIDTH);
    vj_text_wrap(out, value, LABEL_WIDTH, LABEL_WIDTH, vj_report_sentence_columns(r));
}

void vj_report_paragraph(struct vj_text *out, const struct vj_report *r, const char *text)
{
    vj_text_wrap(out, text, 0, 0, vj_report_sentence_columns(r));
}

static bool any_random(const struct vj_report *r, bool random)
{
    for (size_t i = 0; i < r->rows; i++) {
        if (r->row[i].random_weights == random)
            return true;
    }
    return false;
}

/* ---- tables that give up columns where the line is short ---- */

/* Length of the line under a printed table's head: its width. No width fits one in several parts.
 */
static size_t printed_width(const struct vj_text *text)
{
    size_t width = 0;
    for (const char *line = text->data; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t rule = strspn(line, "-");
        if (rule && line[rule] == '\n')
            width = width ? SIZE_MAX : rule;
    }
    return width;
}

/* Prints step `step` of a table into lines of `columns`; returns its width. */
static size_t print_step(struct vj_text *out, const struct vj_report *r, vj_report_fill_fn *fill,
                         int step, size_t columns)
{
    struct vj_table_column column[VJ_REPORT_FITTED_COLUMNS];
    struct vj_table table;
    struct vj_text text = {0};
    fill(&table, column, r, step);
    vj_table_print(&text, &table, 0, columns);
    vj_table_free(&table);
    const size_t width = printed_width(&text);
    vj_text_add(out, "%s", text.data ? text.data : "");
    out->failed |= text.failed;
    vj_text_free(&text);
    return width;
}

/* The first step, `steps` where there is none, that fits; as it would be in lines of `columns`. */
static int first_fitting(struct vj_text *out, const struct vj_report *r, vj_report_fill_fn *fill,
                         int steps, size_t columns)
{
    for (int step = 0; step < steps; step++) {
        struct vj_text trial = {0};
        const size_t width = print_step(&trial, r, fill, step, columns);
        out->failed |= trial.failed;
        vj_text_free(&trial);
        if (width <= vj_report_columns(r))
            return step;
    }
    return steps;
}

int vj_report_print_fitting(struct vj_text *out, const struct vj_report *r, vj_report_fill_fn *fill,
                            int steps, bool one_line)
{
    const size_t endless = SIZE_MAX / 2, columns = vj_report_columns(r);
    int step = one_line ? first_fitting(out, r, fill, steps, endless) : steps;
    if (step == steps)
        step = first_fitting(out, r, fill, steps, columns);
    if (step == steps)
        step = steps - 1;
    print_step(out, r, fill, step, columns);
    return step;
}

/* ---- accuracy ---- */

/* "7.82 [6.06, 9.93]", so that the best-known figure never stands without its uncertainty. */
static void mad_cell(struct vj_table *table, const struct vj_metric_value *v, int decimals)
{
    if (v->present && v->has_interval)
        vj_table_cell(table, "%.2f [%.*f, %.*f]", v->value, decimals, v->ci_low, decimals,
                      v->ci_high);
    else
        number_cell(table, v, false, "", 2);
}

/* Columns of the table of accuracy between MAD and n. */
static const struct {
    const char *above, *head;
    enum vj_metric metric;
    bool percent;
    const char *sign;
    int decimals, gap;
    int gone; /* the step that has it no more */
} accuracy_columns[] = {
    {"", "median", VJ_METRIC_MEDIAN_ABS, false, "", 1, 1, 1},
    {"", "RMSE", VJ_METRIC_RMSE, false, "", 2, 1, 3},
    {"", "bias", VJ_METRIC_BIAS, false, "+", 2, 1, INT_MAX},
    {"pair", "acc.", VJ_METRIC_PAIR_ACCURACY, true, "", 1, 2, INT_MAX},
    {"lossy", "prec.", VJ_METRIC_PRECISION_LOSSY, true, "", 1, 1, 6},
    {"lossless", "prec.", VJ_METRIC_PRECISION_LOSSLESS, true, "", 1, 1, 4},
    {"", "dQF", VJ_METRIC_DQF, false, "", 2, 1, INT_MAX},
    {"", "saved", VJ_METRIC_SAVING_MEAN, true, "", 1, 1, INT_MAX},
    {"saved", "at JND", VJ_METRIC_SAVING_AT_TRUTH, true, "", 1, 1, 5},
    {"past", "JND", VJ_METRIC_PAST_JND_SHARE, true, "", 1, 1, 7},
};
enum {
    ACCURACY_COLUMNS = sizeof(accuracy_columns) / sizeof(accuracy_columns[0]),
    ACCURACY_STEPS = 8, /* of which the third shortens the interval */
    SHORT_INTERVAL = 2,
};

/* Behind the name of a predictor of which a line below says that its figures are no test. */
static const char *mark_of(const struct vj_report_row *row)
{
    return row->seen ? "*" : "";
}

static void name_cell(struct vj_table *table, const struct vj_report_row *row)
{
    vj_table_cell(table, "%s%s", vj_report_or_dash(row->name), mark_of(row));
}

static void accuracy_row(struct vj_table *table, const struct vj_report_row *row, int step)
{
    const struct vj_metrics *m = pooled_of(row);
    name_cell(table, row);
    mad_cell(table, value_of(m, VJ_METRIC_MAD), step < SHORT_INTERVAL ? 2 : 1);
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        if (step < accuracy_columns[i].gone)
            number_cell(table, value_of(m, accuracy_columns[i].metric), accuracy_columns[i].percent,
                        accuracy_columns[i].sign, accuracy_columns[i].decimals);
    vj_table_cell(table, "%zu", vj_report_rated(m));
}

static void fill_accuracy(struct vj_table *table, struct vj_table_column *column,
                          const struct vj_report *r, int step)
{
    size_t columns = 0;
    column[columns++] = (struct vj_table_column){0, true};
    column[columns++] = (struct vj_table_column){2, true};
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        if (step < accuracy_columns[i].gone)
            column[columns++] = (struct vj_table_column){accuracy_columns[i].gap, false};
    column[columns++] = (struct vj_table_column){1, false};
    *table = (struct vj_table){.column = column,
                               .described = columns,
                               .columns = columns,
                               .fixed = 1,
                               .own_line = true,
                               .header_rows = 2};
    vj_table_cell(table, "%s", "");
    vj_table_cell(table, "%s", "");
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        if (step < accuracy_columns[i].gone)
            vj_table_cell(table, "%s", accuracy_columns[i].above);
    vj_table_cell(table, "%s", "");
    vj_table_cell(table, "predictor");
    if (r->resamples)
        vj_table_cell(table, "MAD [%g %%]", 100 * r->confidence);
    else
        vj_table_cell(table, "MAD");
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        if (step < accuracy_columns[i].gone)
            vj_table_cell(table, "%s", accuracy_columns[i].head);
    vj_table_cell(table, "n");
    for (size_t i = 0; i < r->rows; i++)
        if (!r->row[i].random_weights)
            accuracy_row(table, &r->row[i], step);
}

/* What the short line had no room for; the median, which rarely has any, is not missed. */
static void add_gone(struct vj_text *out, const struct vj_report *r, int step)
{
    struct vj_text line = {0};
    int gone = 0;
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        if (accuracy_columns[i].gone > 1 && step >= accuracy_columns[i].gone)
            vj_text_add(&line, "%s%s%s%s", gone++ ? ", " : "No room for ",
                        accuracy_columns[i].above, *accuracy_columns[i].above ? " " : "",
                        accuracy_columns[i].head);
    if (line.size) {
        vj_text_add(&line, ": --metrics has %s.", gone == 1 ? "it" : "them");
        vj_report_paragraph(out, r, line.data ? line.data : "");
    }
    out->failed |= line.failed;
    vj_text_free(&line);
}

void vj_report_not_a_test(struct vj_text *out, const struct vj_report_row *row)
{
    if (row->seen_if_released)
        vj_text_add(out,
                    "NOT A TEST if these are the released weights: %zu of %zu pictures are among "
                    "those that trained them.",
                    row->seen, row->seen_of);
    else
        vj_text_add(out,
                    "NOT A TEST: %zu of %zu pictures trained or validated the weights that judge "
                    "them.",
                    row->seen, row->seen_of);
}

/* Under the table, for the rows with an asterisk. */
static void add_not_tests(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        struct vj_text line = {0};
        if (!r->row[i].seen || r->row[i].random_weights)
            continue;
        vj_text_add(&line, "* %s: ", vj_report_or_dash(r->row[i].name));
        vj_report_not_a_test(&line, &r->row[i]);
        vj_text_wrap(out, line.data ? line.data : "", 0, 2, vj_report_sentence_columns(r));
        out->failed |= line.failed;
        vj_text_free(&line);
    }
}

/* What each predictor says of itself. */
static void add_notes(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!row->note || row->random_weights)
            continue;
        vj_text_plain(out, vj_report_or_dash(row->name));
        vj_text_add(out, ": ");
        vj_text_wrap(out, row->note, vj_text_columns(vj_report_or_dash(row->name)) + 2, 2,
                     vj_report_sentence_columns(r));
    }
}

static void add_accuracy(struct vj_text *out, const struct vj_report *r)
{
    struct vj_text line = {0};
    vj_report_heading(out, "Accuracy");
    int step = vj_report_print_fitting(out, r, fill_accuracy, ACCURACY_STEPS, true);
    add_not_tests(out, r);
    vj_text_add(out, "\n");
    vj_text_add(
        &line,
        "MAD, %sRMSE, bias (predicted - true) and dQF (mean of max(0, true - predicted)) in "
        "QF; the rest in per cent. pair acc.: right decisions on pairs of a candidate and its "
        "reference; lossy (lossless) prec.: share of the pairs called lossy (lossless) that "
        "really are. saved: mean saving of bytes at the predicted QF, the last one that counts as "
        "visible, against the highest QF, of all pictures with a prediction; past JND: share of "
        "pictures with a predicted QF below the true one. n: pictures with prediction and label",
        step < accuracy_columns[0].gone ? "median, " : "");
    vj_report_labelled(&line, r);
    vj_text_add(&line, ".");
    vj_report_pairs(&line, r);
    vj_report_paragraph(out, r, line.data ? line.data : "");
    out->failed |= line.failed;
    vj_text_free(&line);
    add_gone(out, r, step);
    add_notes(out, r);
}

/* ---- what is there without labels ---- */

static void add_predictions(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, true}, {2, false}};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 4, .fixed = 1,
                             .header_rows = 1};
    const char *const header[] = {"predictor", "n", "mean QF", "saved, %"};
    vj_report_heading(out, "Predictions");
    cells(&table, header, 4);
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (row->random_weights)
            continue;
        const struct vj_metric_value mean = vj_report_mean_prediction(r, row);
        name_cell(&table, row);
        vj_table_cell(&table, "%zu", mean.n);
        number_cell(&table, &mean, false, "", 1);
        number_cell(&table, value_of(pooled_of(row), VJ_METRIC_SAVING_MEAN), true, "", 1);
    }
    finish(out, r, &table);
    add_not_tests(out, r);
    vj_text_add(out, "\n");
    vj_report_paragraph(out, r,
                        "No picture has a label, so there is no accuracy. mean QF: of the "
                        "predicted PW-JNDs, the largest quality factors whose "
                        "damage is visible. saved: mean saving of bytes there against the highest "
                        "QF. n: pictures evaluated. --images lists the prediction of every "
                        "picture, --images-csv also its bytes and saving.");
    add_notes(out, r);
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
        vj_table_print(out, &table, 0, vj_report_columns(r));
    }
    vj_table_free(&table);
}

static void add_metrics_of(struct vj_text *out, const struct vj_report *r,
                           const struct vj_report_row *row)
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
    finish(out, r, &table);
}

static void add_metrics(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!pooled_of(row))
            continue;
        titled(out, r, "All metrics of", row->name);
        add_metrics_of(out, r, row);
        if (!vj_has_pairs(row->metrics))
            continue;
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
        vj_table_cell(&table, "%zu", vj_report_rated(&folds->fold[k]));
        for (size_t i = 0; i < r->rows; i++) {
            if (pooled_of(&r->row[i]))
                mad_cell(&table, mad_in_fold(&r->row[i], folds->fold[k].fold), 2);
        }
    }
    finish(out, r, &table);
}

static void add_sweep_of(struct vj_text *out, const struct vj_report *r,
                         const struct vj_sweep_point *point, size_t count, bool tolerances)
{
    static const struct vj_table_column column[] = {{0, false}, {3, false}, {2, false}};
    static const char *const header[2][8] = {
        {"", "saved", "saved", "past JND", "dQF", "dPSNR-Y", "dMS-SSIM", "SUR"},
        {"", "mean, %", "sums, %", "%", "QF", "dB", "", "%"}};
    bool subjects = false;
    for (size_t k = 0; k < count; k++)
        subjects |= point[k].sur_at_prediction.present;
    const size_t columns = subjects ? 8 : 7;
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = columns, .fixed = 1,
                             .header_rows = 2};
    cells(&table, header[0], columns);
    vj_table_cell(&table, tolerances ? "tolerance" : "offset");
    cells(&table, header[1] + 1, columns - 1);
    for (size_t k = 0; k < count; k++) {
        const struct vj_sweep_point *p = &point[k];
        if (!tolerances && p->offset % OFFSET_STEP != 0)
            continue;
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
        if (subjects)
            number_cell(&table, &p->sur_at_prediction, true, "", 1);
    }
    finish(out, r, &table);
}

static void add_sweeps(struct vj_text *out, const struct vj_report *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!row->sweep_count || row->random_weights)
            continue;
        titled(out, r,
               "Rate and damage with an offset (every fifth one, --sweep-csv has all) added to "
               "every prediction of",
               row->name);
        add_sweep_of(out, r, row->sweep, row->sweep_count, false);
        if (!row->tolerance_count)
            continue;
        titled(out, r, "Rate and damage with other tolerances of", row->name);
        add_sweep_of(out, r, row->tolerance, row->tolerance_count, true);
    }
}

static bool shows_images(const struct vj_report_row *row)
{
    return row->qf_pred && !row->random_weights;
}

/* "36 | 37": the predicted PW-JND and the lowest lossless QF, "-" where there is none. */
static void prediction_cell(struct vj_table *table, const struct vj_report *r,
                            const struct vj_report_row *row, size_t image)
{
    const int32_t qf = row->qf_pred[image], lossless = vj_report_lossless(r, row, image);
    if (qf < 0)
        vj_table_cell(table, "-");
    else if (lossless < 0)
        vj_table_cell(table, "%d |   -", (int)qf);
    else
        vj_table_cell(table, "%d | %3d", (int)qf, (int)lossless);
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
            prediction_cell(table, r, &r->row[i], image);
    }
}

static void add_images(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, true}, {2, false}};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 3, .fixed = 3,
                             .header_rows = 1};
    vj_report_heading(out, "Predictions: PW-JND | lowest lossless QF");
    vj_table_cell(&table, "picture");
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
    finish(out, r, &table);
}

/* Of an unfinished run, instead of predictions. */
static void add_states(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, true}, {2, true}};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 2, .fixed = 1,
                             .header_rows = 1};
    vj_report_heading(out, "Pictures");
    vj_table_cell(&table, "picture");
    vj_table_cell(&table, "state");
    for (size_t i = 0; i < r->images; i++) {
        vj_table_cell(&table, "%s", vj_report_or_dash(r->image_name[i]));
        vj_table_cell(&table, "%s", vj_report_state(r, i));
    }
    finish(out, r, &table);
}

void vj_report_difference_cell(struct vj_table *table, const struct vj_metric_value *v,
                               double scale, int decimals)
{
    if (!v->present)
        vj_table_cell(table, "-");
    else if (v->has_interval)
        vj_table_cell(table, "%+.*f [%+.*f, %+.*f]", decimals, scale * v->value, decimals,
                      scale * v->ci_low, decimals, scale * v->ci_high);
    else
        vj_table_cell(table, "%+.*f", decimals, scale * v->value);
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

enum { COMPARISON_COLUMNS = 9, COMPARISON_STEPS = 3 };

/* Step 1 has intervals with one decimal, step 2 also stands closer. */
static void fill_comparisons(struct vj_table *table, struct vj_table_column *column,
                             const struct vj_report *r, int step)
{
    static const char *const header[2 * COMPARISON_COLUMNS] = {
        "",           "MAD,", "pair acc.,", "Wilcoxon", "Holm", "McNemar", "nearer",    "",     "",
        "predictors", "QF",   "points",     "p",        "p",    "p",       "1st : 2nd", "tied", "n",
    };
    const int decimals = step < 1 ? 2 : 1, gap = step < 2 ? 2 : 1;
    column[0] = (struct vj_table_column){0, true};
    column[1] = (struct vj_table_column){gap, false};
    *table = (struct vj_table){.column = column,
                               .described = 2,
                               .columns = COMPARISON_COLUMNS,
                               .fixed = 1,
                               .own_line = true,
                               .header_rows = 2};
    cells(table, header, 2 * COMPARISON_COLUMNS);
    for (size_t i = 0; i < r->comparisons; i++) {
        const struct vj_report_comparison *c = &r->comparison[i];
        const struct vj_report_row *a = &r->row[c->a], *b = &r->row[c->b];
        vj_table_cell(table, "%s%s - %s%s", vj_report_or_dash(a->name), mark_of(a),
                      vj_report_or_dash(b->name), mark_of(b));
        vj_report_difference_cell(table, &c->result.mad, 1, decimals);
        vj_report_difference_cell(table, &c->result.pair_accuracy, 100, decimals);
        p_cell(table, c->result.wilcoxon.p, c->result.wilcoxon.method);
        p_cell(table, c->wilcoxon_p_holm, c->result.wilcoxon.method);
        p_cell(table, c->result.mcnemar.p, c->result.mcnemar.method);
        vj_table_cell(table, "%zu : %zu", c->result.nearer_a, c->result.nearer_b);
        vj_table_cell(table, "%zu", c->result.tied);
        vj_table_cell(table, "%zu", c->result.images);
    }
}

static void add_comparisons(struct vj_text *out, const struct vj_report *r)
{
    if (!r->comparisons)
        return;
    vj_report_heading(out, "Differences");
    vj_report_print_fitting(out, r, fill_comparisons, COMPARISON_STEPS, false);
    vj_text_add(out, "\n");
    char line[640];
    snprintf(
        line, sizeof(line),
        "Each row: first predictor minus second. nearer: pictures where the first (the second) "
        "is strictly nearer to the truth. Wilcoxon: signed-rank test of |error| per picture; "
        "Holm: its p-value corrected for the number of comparisons (%zu). McNemar: exact test "
        "of pair decisions; the pairs of one picture are not independent, so its p-value is "
        "far too small: trust the interval of the pair accuracy, which resamples whole "
        "pictures.",
        r->comparisons);
    vj_report_paragraph(out, r, line);
}

static void add_failures(struct vj_text *out, const struct vj_report *r)
{
    size_t failed = vj_report_count_failed(r);
    if (!failed)
        return;
    vj_text_add(out, "\nFailures (%zu of %zu pictures)\n\n", failed, r->images);
    for (size_t i = 0; i < r->images; i++) {
        const char *failure = vj_report_failure(r, i);
        if (!failure)
            continue;
        const char *name = vj_report_or_dash(r->image_name[i]);
        vj_text_plain(out, name);
        vj_text_add(out, ": ");
        vj_text_wrap(out, failure, vj_text_columns(name) + 2, 4, vj_report_sentence_columns(r));
    }
}

/* What a run ends with. */
static void add_outcome(struct vj_text *out, const struct vj_report *report, unsigned sections)
{
    if (any_random(report, false) && vj_report_has_labels(report))
        add_accuracy(out, report);
    else if (any_random(report, false))
        add_predictions(out, report);
    add_comparisons(out, report);
    vj_report_agreements(out, report);
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
}

int vj_report_text(struct vj_text *out, const struct vj_report *report, unsigned sections,
                   struct vj_error *err)
{
    int rc = vj_report_check(report, err);
    if (rc)
        return rc;
    vj_report_header(out, report);
    vj_report_runs(out, report);
    vj_report_differences(out, report);
    if (!vj_report_unfinished(report))
        add_outcome(out, report, sections);
    else if (sections & VJ_REPORT_IMAGES)
        add_states(out, report);
    add_failures(out, report);
    vj_report_left_outs(out, report);
    vj_report_published(out, report);
    return vj_text_status(out, err);
}
