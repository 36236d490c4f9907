/* SPDX-License-Identifier: MIT */
/* The report as a web page: one file that asks for nothing else. */
#include "eval/report_html.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/report_text.h"
#include "host/checked.h"

enum {
    MAD_WIDTH = 108, /* of the drawings in tables, CSS pixels */
};

/* The style sheet is these two, one after the other. */
static const char palette[] =
    ":root{--paper:#fff;--ink:#1b1f24;--soft:#5b6570;--line:#dfe3e8;--band:#f5f7f9;--warn:#fff4d6;"
    "--warn-ink:#6b4a00;--edge:rgba(0,0,0,.2);--c0:#0072b2;--c1:#d55e00;--c2:#008f68;--c3:#b8478f;"
    "--c4:#a87400;--c5:#6d5fc7;--c6:#b3262b;--c7:#00808f;--c8:#5d7a00;--c9:#7d4f3c;--c10:#e0218a;"
    "--c11:#2f3fae;--other:#b4bcc5}"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ed;--soft:#9aa4af;"
    "--line:#2c323a;--band:#1b2026;--warn:#3a2e10;--warn-ink:#f4d58a;--edge:rgba(255,255,255,.22);"
    "--c0:#4fb0e8;--c1:#ff8b45;--c2:#35c79d;--c3:#e28bc4;--c4:#e0b040;--c5:#b3a8ff;--c6:#ff7b7b;"
    "--c7:#5fd3dc;--c8:#b4cf45;--c9:#cfa08a;--c10:#ff69b4;--c11:#8fa0ff;--other:#59636e}}"
    ".c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}"
    ".c4{color:var(--c4)}.c5{color:var(--c5)}.c6{color:var(--c6)}.c7{color:var(--c7)}"
    ".c8{color:var(--c8)}.c9{color:var(--c9)}.c10{color:var(--c10)}.c11{color:var(--c11)}"
    ".other{color:var(--other)}";

static const char layout[] =
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1240px;padding:32px 24px 64px;"
    "background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:26px;line-height:1.2;margin:0}h2{font-size:18px;margin:40px 0 6px}"
    ".sub,section>p,footer,.note{color:var(--soft);max-width:78ch}.sub{margin:4px 0 0}"
    "section>p{margin:0 0 12px}.warn{background:var(--warn);color:var(--warn-ink);padding:10px "
    "14px;"
    "border-radius:6px;margin:16px 0 0;max-width:none}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:20px 0 0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    /* Shadows at the edges say that a table goes on: those of the paper lie on them and move. */
    ".scroll{overflow-x:auto;background:linear-gradient(90deg,var(--paper) 40%,transparent) 0/40px "
    "100% no-repeat local,linear-gradient(270deg,var(--paper) 40%,transparent) 100%/40px 100% "
    "no-repeat local,linear-gradient(90deg,var(--edge),transparent) 0/12px 100% no-repeat,"
    "linear-gradient(270deg,var(--edge),transparent) 100%/12px 100% "
    "no-repeat}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "white-space:nowrap;font-size:14px}th,td{padding:4px 8px;text-align:right}"
    "th{font-weight:600;line-height:1.25;white-space:normal;color:var(--soft);vertical-align:"
    "bottom;border-bottom:"
    "1px solid "
    "var(--line)}"
    "td{border-bottom:1px solid var(--line)}tbody tr:hover{background:var(--band)}"
    "th[colspan]{text-align:center}th:first-child,td:first-child,.left{text-align:left}td.wide{"
    "white-space:normal}td.wide span{white-space:nowrap}"
    /* So the table of accuracy fits into a window of 1100 pixels. */
    ".numbers th,.numbers td{padding:4px 5px}.numbers td:first-child{white-space:normal;"
    "overflow-wrap:anywhere;min-width:12em}"
    ".text th{text-align:left}.text td{vertical-align:top}.text td.wide{min-width:7em}.text "
    "td.wide:last-child{min-width:20em}"
    "td.draw,th.draw{padding:0 4px;text-align:left}.draw svg{display:block;max-width:none}"
    ".key{display:inline-block;width:10px;height:10px;border-radius:50%;background:currentColor;"
    "margin-right:6px}.legend{display:flex;flex-wrap:wrap;gap:2px 16px}"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:12px}"
    ".small{display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));gap:12px}"
    "figure{margin:0}figcaption{font-size:13px;font-weight:600;overflow-wrap:anywhere}"
    "figcaption small{display:block;font-weight:400;color:var(--soft)}"
    "svg{overflow:visible;max-width:100%}.plot,figure svg{width:100%;height:auto;overflow:hidden}"
    ".axis line{stroke:var(--line)}.axis text{fill:var(--soft);font-size:11px}"
    ".axis .title{font-size:12px}.truth{stroke:var(--ink);stroke-dasharray:4 4;opacity:.55}"
    ".zero{stroke:var(--soft);stroke-dasharray:2 2}"
    "g path{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}"
    "g.other path{stroke-width:1}g circle,.interval circle{fill:currentColor}"
    "g circle{stroke:var(--paper);stroke-width:1}"
    ".dots circle{fill-opacity:.65}.dots.other{color:var(--soft)}"
    ".span{stroke:currentColor;stroke-width:3;stroke-linecap:round;opacity:.45}"
    "details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}"
    ".off{color:var(--soft)}tr.seen td{background:var(--warn);color:var(--warn-ink)}"
    "pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}footer{margin-top:"
    "48px;font-size:13px}"
    "@media(max-width:600px){body{padding:20px 16px 48px}.draw{display:none}th,td{padding:4px 7px}"
    "details dl{grid-template-columns:1fr}details dd{margin-bottom:6px}}"
    /* Paper has no scroll bars. */
    "@page{size:A4 landscape;margin:12mm}"
    "@media print{body{max-width:none;padding:0}details>*{display:block}"
    "details::details-content{content-visibility:visible}"
    ".scroll{overflow:visible;background:none}table{font-size:10px}th,td,.numbers th,.numbers "
    "td{padding:2px 4px}}";

/* ---- pieces ---- */

static const struct vj_metric_value absent;

const struct vj_metric_value *vj_html_metric(const struct vj_report_row *row, enum vj_metric metric)
{
    return row->metrics && !row->random_weights ? &row->metrics->pooled.value[metric] : &absent;
}

void vj_html_class(const struct vj_html *page, size_t row)
{
    if (page->colour[row] >= 0)
        vj_text_add(page->out, "c%d", page->colour[row]);
    else
        vj_text_add(page->out, "other");
}

void vj_html_words(const struct vj_html *page, const char *text)
{
    vj_text_html(page->out, vj_report_or_dash(text));
}

void vj_html_open_section(const struct vj_html *page, const char *title)
{
    vj_text_add(page->out, "<section><h2>%s</h2>\n", title);
}

void vj_html_close_section(const struct vj_html *page)
{
    vj_text_add(page->out, "</section>\n");
}

void vj_html_open_table(const struct vj_html *page, const char *kind)
{
    vj_text_add(page->out, "<div class=\"scroll\"><table class=\"%s\">\n", kind);
}

void vj_html_close_table(const struct vj_html *page)
{
    vj_text_add(page->out, "</tbody></table></div>\n");
}

void vj_html_head(const struct vj_html *page, const char *const *title, size_t columns)
{
    vj_text_add(page->out, "<thead><tr>");
    for (size_t i = 0; i < columns; i++)
        vj_text_add(page->out, "<th>%s</th>", title[i]);
    vj_text_add(page->out, "</tr></thead><tbody>\n");
}

void vj_html_text_cell(const struct vj_html *page, const char *text)
{
    vj_text_add(page->out, "<td class=\"left wide\">");
    vj_html_words(page, text);
    vj_text_add(page->out, "</td>");
}

void vj_html_whole_cell(const struct vj_html *page, int value)
{
    if (value > 0)
        vj_text_add(page->out, "<td>%d</td>", value);
    else
        vj_text_add(page->out, "<td>-</td>");
}

static void number_cell(const struct vj_html *page, const struct vj_metric_value *v, double scale,
                        int decimals, bool sign)
{
    if (!v->present)
        vj_text_add(page->out, "<td>-</td>");
    else if (sign)
        vj_text_add(page->out, "<td>%+.*f</td>", decimals, scale * v->value);
    else
        vj_text_add(page->out, "<td>%.*f</td>", decimals, scale * v->value);
}

void vj_html_estimate_cell(const struct vj_html *page, const struct vj_metric_value *v,
                           double scale, int decimals, bool sign)
{
    if (!v->present || !v->has_interval) {
        number_cell(page, v, scale, decimals, sign);
        return;
    }
    vj_text_add(page->out,
                sign ? "<td class=\"wide\">%+.*f <span>[%+.*f, %+.*f]</span></td>"
                     : "<td class=\"wide\">%.*f <span>[%.*f, %.*f]</span></td>",
                decimals, scale * v->value, decimals, scale * v->ci_low, decimals,
                scale * v->ci_high);
}

void vj_html_name(const struct vj_html *page, size_t row)
{
    vj_html_words(page, page->report->row[row].name);
    vj_text_add(page->out, "%s", page->report->row[row].seen ? "*" : "");
}

/* The same behind a dot of the predictor's colour. */
static void keyed_name(const struct vj_html *page, size_t row)
{
    vj_text_add(page->out, "<span class=\"key ");
    vj_html_class(page, row);
    vj_text_add(page->out, "\"></span>");
    vj_html_name(page, row);
}

/* Opens a row of a table of predictors. */
static void open_row(const struct vj_html *page, size_t row)
{
    vj_text_add(page->out, page->report->row[row].seen ? "<tr class=\"seen\"><td>" : "<tr><td>");
    keyed_name(page, row);
    vj_text_add(page->out, "</td>");
}

double vj_html_reach(const struct vj_metric_value *v)
{
    if (!v->present)
        return 0;
    const double interval = v->has_interval ? fmax(fabs(v->ci_low), fabs(v->ci_high)) : 0;
    return fmax(fabs(v->value), interval);
}

/* ---- head of the page ---- */

static void fact(const struct vj_html *page, const char *label, const char *value)
{
    if (!value || !*value)
        return;
    vj_text_add(page->out, "<dt>%s</dt><dd>", label);
    vj_text_html(page->out, value);
    vj_text_add(page->out, "</dd>\n");
}

void vj_html_warning(const struct vj_html *page, const char *text)
{
    vj_text_add(page->out, "<p class=\"warn\">%s</p>\n", text);
}

static void facts(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    char line[160];
    struct vj_text labels = {0};
    vj_text_add(page->out, "<dl>\n");
    vj_report_labels(&labels, r);
    fact(page, "labels", labels.data ? labels.data : "");
    page->out->failed |= labels.failed;
    vj_text_free(&labels);
    fact(page, "candidates", r->candidates);
    fact(page, "folds", r->folds);
    fact(page, "axis", r->axis);
    fact(page, "not used", r->excluded);
    fact(page, "duplicates", r->duplicates);
    if (!r->runs) {
        snprintf(line, sizeof(line), "%" PRIu64, r->seed);
        fact(page, "seed", line);
        struct vj_text patches = {0};
        vj_report_patches(&patches, &r->patches);
        fact(page, "patches", patches.data);
        page->out->failed |= patches.failed;
        vj_text_free(&patches);
        fact(page, "device", r->device);
        fact(page, "results", r->results_file);
    }
    if (r->resamples) {
        snprintf(line, sizeof(line),
                 "%g %%, expanded percentile bootstrap over %d pictures or more, %zu resamples",
                 100 * r->confidence, VJ_INTERVAL_FEWEST, r->resamples);
        fact(page, "intervals", line);
    }
    vj_text_add(page->out, "</dl>\n");
}

/* A banner for each predictor that was made with pictures of the run. */
static void warn_of_seen(const struct vj_html *page)
{
    for (size_t i = 0; i < page->report->rows; i++) {
        const struct vj_report_row *row = &page->report->row[i];
        struct vj_text line = {0};
        if (!row->seen || row->random_weights)
            continue;
        vj_report_not_a_test(&line, row);
        vj_text_add(page->out, "<p class=\"warn\">* <b>");
        vj_html_words(page, row->name);
        vj_text_add(page->out, "</b>: ");
        vj_html_words(page, line.data);
        vj_text_add(page->out, "</p>\n");
        page->out->failed |= line.failed;
        vj_text_free(&line);
    }
}

static void add_progress(const struct vj_html *page)
{
    struct vj_text line = {0};
    vj_report_progress(&line, page->report);
    vj_text_add(page->out, "<p class=\"warn\"><b>INCOMPLETE</b>. ");
    vj_html_words(page, line.data);
    page->out->failed |= line.failed;
    vj_text_free(&line);
    if (page->report->resume) {
        vj_text_add(page->out, " To finish it, where it was started: <code>");
        vj_html_words(page, page->report->resume);
        vj_text_add(page->out, "</code>");
    }
    vj_text_add(page->out, "</p>\n");
}

static void add_header(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    struct vj_text *out = page->out;
    const char *title =
        r->runs ? "Comparison of picture-wise JND evaluations" : "Picture-wise JND evaluation";
    vj_text_add(out,
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    vj_html_words(page, r->dataset);
    vj_text_add(out, " - %s</title><style>%s%s</style></head><body>\n<header><h1>%s</h1>", title,
                palette, layout, title);
    vj_text_add(out, "<p class=\"sub\">");
    vj_html_words(page, r->dataset);
    vj_text_add(out, " &middot; %zu pictures", r->images);
    if (vj_report_count_failed(r))
        vj_text_add(out, ", %zu failed", vj_report_count_failed(r));
    if (r->pending)
        vj_text_add(out, ", %zu not evaluated yet", r->pending);
    if (r->left_outs)
        vj_text_add(out, ", %zu left out", r->left_outs);
    vj_report_labelled(out, r);
    vj_text_add(out, " &middot; ");
    vj_html_words(page, r->codec);
    vj_text_add(out, ", %s %d to %d</p>\n", vj_report_axis_word(r), r->qf_first, r->qf_last);
    if (vj_report_has_labels(r) && !r->human_labels)
        vj_html_warning(
            page, "No person gave these labels: they come from a made-up observer, and figures "
                  "held against them say nothing about human vision.");
    if (vj_report_unfinished(r))
        add_progress(page);
    warn_of_seen(page);
    facts(page);
    vj_text_add(out, "</header>\n");
}

/* ---- accuracy ---- */

/* An axis for a metric of all predictors and its intervals, from zero; all 0 where there is none.
 */
static struct vj_axis metric_axis(const struct vj_report *r, enum vj_metric metric)
{
    double high = 0;
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_metric_value *v = vj_html_metric(&r->row[i], metric);
        if (v->present && isfinite(v->value))
            high = fmax(high, v->value);
        if (v->present && v->has_interval && isfinite(v->ci_high))
            high = fmax(high, v->ci_high);
    }
    return high > 0 ? vj_axis_covering(0, high, 4) : (struct vj_axis){0};
}

/* Columns of the table of accuracy beside the predictor, MAD and its drawing. */
static const struct {
    const char *title;
    enum vj_metric metric;
    double scale;
    int decimals;
    bool sign;
} accuracy_columns[] = {
    {"median", VJ_METRIC_MEDIAN_ABS, 1, 1, false},
    {"RMSE", VJ_METRIC_RMSE, 1, 2, false},
    {"bias", VJ_METRIC_BIAS, 1, 2, true},
    {"pair<br>acc., %", VJ_METRIC_PAIR_ACCURACY, 100, 1, false},
    {"lossy<br>prec., %", VJ_METRIC_PRECISION_LOSSY, 100, 1, false},
    {"lossless<br>prec., %", VJ_METRIC_PRECISION_LOSSLESS, 100, 1, false},
    {"dQF", VJ_METRIC_DQF, 1, 2, false},
    {"saved,<br>%", VJ_METRIC_SAVING_MEAN, 100, 1, false},
    {"saved at<br>JND, %", VJ_METRIC_SAVING_AT_TRUTH, 100, 1, false},
    {"past<br>JND, %", VJ_METRIC_PAST_JND_SHARE, 100, 1, false},
};
enum { ACCURACY_COLUMNS = sizeof(accuracy_columns) / sizeof(accuracy_columns[0]) };

static size_t count_rated(const struct vj_report *r)
{
    size_t rated = 0;
    for (size_t i = 0; i < r->rows; i++)
        rated += !r->row[i].random_weights;
    return rated;
}

static void accuracy_row(const struct vj_html *page, size_t index, const struct vj_axis *axis)
{
    const struct vj_report_row *row = &page->report->row[index];
    const struct vj_metric_value *mad = vj_html_metric(row, VJ_METRIC_MAD);
    open_row(page, index);
    vj_html_estimate_cell(page, mad, 1, 2, false);
    vj_text_add(page->out, "<td class=\"draw\">");
    if (axis->high > 0)
        vj_html_interval(page, index, axis, MAD_WIDTH, mad, false);
    vj_text_add(page->out, "</td>");
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        number_cell(page, vj_html_metric(row, accuracy_columns[i].metric),
                    accuracy_columns[i].scale, accuracy_columns[i].decimals,
                    accuracy_columns[i].sign);
    vj_text_add(page->out, "<td>%zu</td></tr>\n",
                vj_report_rated(row->metrics ? &row->metrics->pooled : NULL));
}

static void add_notes(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    bool any = false;
    for (size_t i = 0; i < r->rows; i++)
        any |= r->row[i].note && !r->row[i].random_weights;
    if (!any)
        return;
    vj_text_add(page->out, "<details><summary>What each predictor is and how it was fitted"
                           "</summary><dl>\n");
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[page->order[i]];
        if (!row->note || row->random_weights)
            continue;
        vj_text_add(page->out, "<dt>");
        vj_html_words(page, row->name);
        vj_text_add(page->out, "</dt><dd>");
        vj_html_words(page, row->note);
        vj_text_add(page->out, "</dd>\n");
    }
    vj_text_add(page->out, "</dl></details>\n");
}

static void add_pairs(const struct vj_html *page)
{
    struct vj_text line = {0};
    vj_report_pairs(&line, page->report);
    vj_text_html(page->out, line.data ? line.data : ""); /* nothing is not a dash here */
    page->out->failed |= line.failed;
    vj_text_free(&line);
}

static void add_accuracy(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    const struct vj_axis axis = metric_axis(r, VJ_METRIC_MAD);
    if (!count_rated(r))
        return;
    vj_html_open_section(page, "Accuracy");
    vj_text_add(page->out,
                "<p>MAD, median, RMSE and bias (predicted - true) of the error and dQF (mean of "
                "max(0, true - predicted)) in QF. Pair accuracy: right decisions on pairs of a "
                "candidate and its reference. Lossy (lossless) prec.: share of the pairs called "
                "lossy (lossless) that really are. Saved: mean saving of bytes at the predicted "
                "QF, the last one that counts as visible, against the highest QF, of all pictures "
                "with a prediction; at JND: at the true one. Past JND: share of pictures with a "
                "predicted QF below the true one. n: pictures with prediction and label");
    vj_report_labelled(page->out, r);
    vj_text_add(page->out, ".");
    add_pairs(page);
    vj_text_add(page->out, " Sorted by MAD, with its interval.</p>\n");
    vj_html_open_table(page, "numbers");
    vj_text_add(page->out, "<thead><tr><th>predictor</th><th>MAD, QF</th><th class=\"draw\">");
    if (axis.high > 0)
        vj_html_scale(page, &axis, MAD_WIDTH);
    vj_text_add(page->out, "</th>");
    for (int i = 0; i < ACCURACY_COLUMNS; i++)
        vj_text_add(page->out, "<th>%s</th>", accuracy_columns[i].title);
    vj_text_add(page->out, "<th>n</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < r->rows; i++)
        if (!r->row[page->order[i]].random_weights)
            accuracy_row(page, page->order[i], &axis);
    vj_html_close_table(page);
    add_notes(page);
    vj_html_close_section(page);
}

/* ---- what is there without labels ---- */

static void add_predictions(const struct vj_html *page)
{
    static const char *const title[] = {"predictor", "mean QF", "saved, %", "n"};
    const struct vj_report *r = page->report;
    if (!count_rated(r))
        return;
    vj_html_open_section(page, "Predictions");
    vj_text_add(page->out,
                "<p>No picture has a label, so there is no accuracy. Mean QF: of the predicted "
                "PW-JNDs, the largest quality factors whose damage is visible. Saved: mean saving "
                "of bytes there against the highest QF. n: pictures evaluated.</p>\n");
    vj_html_open_table(page, "numbers");
    vj_html_head(page, title, 4);
    for (size_t i = 0; i < r->rows; i++) {
        const size_t index = page->order[i];
        const struct vj_report_row *row = &r->row[index];
        if (row->random_weights)
            continue;
        const struct vj_metric_value mean = vj_report_mean_prediction(r, row);
        open_row(page, index);
        number_cell(page, &mean, 1, 1, false);
        number_cell(page, vj_html_metric(row, VJ_METRIC_SAVING_MEAN), 100, 1, false);
        vj_text_add(page->out, "<td>%zu</td></tr>\n", mean.n);
    }
    vj_html_close_table(page);
    add_notes(page);
    vj_html_close_section(page);
}

/* ---- differences ---- */

static struct vj_axis difference_axis(const struct vj_report *r)
{
    double reach = 0;
    for (size_t i = 0; i < r->comparisons; i++)
        reach = fmax(reach, vj_html_reach(&r->comparison[i].result.mad));
    return vj_axis_covering(-reach, reach, 4);
}

static void p_cell(const struct vj_html *page, double p, enum vj_test_method method)
{
    if (method == VJ_TEST_NONE)
        vj_text_add(page->out, "<td>no diff.</td>");
    else
        vj_text_add(page->out, p < 0.0001 ? "<td>%.0e</td>" : "<td>%.4f</td>", p);
}

static void difference_row(const struct vj_html *page, const struct vj_report_comparison *c,
                           const struct vj_axis *axis)
{
    vj_text_add(page->out, "<tr><td>");
    vj_html_name(page, c->a);
    vj_text_add(page->out, " - ");
    vj_html_name(page, c->b);
    vj_text_add(page->out, "</td>");
    vj_html_estimate_cell(page, &c->result.mad, 1, 2, true);
    vj_text_add(page->out, "<td class=\"draw\">");
    vj_html_interval(page, c->a, axis, VJ_HTML_DIFFERENCE_WIDTH, &c->result.mad, true);
    vj_text_add(page->out, "</td>");
    vj_html_estimate_cell(page, &c->result.pair_accuracy, 100, 2, true);
    p_cell(page, c->result.wilcoxon.p, c->result.wilcoxon.method);
    p_cell(page, c->wilcoxon_p_holm, c->result.wilcoxon.method);
    p_cell(page, c->result.mcnemar.p, c->result.mcnemar.method);
    vj_text_add(page->out, "<td>%zu : %zu</td><td>%zu</td><td>%zu</td></tr>\n", c->result.nearer_a,
                c->result.nearer_b, c->result.tied, c->result.images);
}

static void add_differences(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    const struct vj_axis axis = difference_axis(r);
    if (!r->comparisons)
        return;
    vj_html_open_section(page, "Differences");
    vj_text_add(
        page->out,
        "<p>Each row: first predictor minus second; left of zero the first one is nearer to the "
        "truth. Nearer: pictures where the first (the second) is strictly nearer. Wilcoxon: "
        "signed-rank test of |error| per picture; Holm: its p-value corrected for the number of "
        "comparisons (%zu). McNemar: exact test of pair decisions; the pairs of one picture are "
        "not independent, so its p-value is far too small: trust the interval of the pair "
        "accuracy, which resamples whole pictures.</p>\n",
        r->comparisons);
    vj_html_open_table(page, "numbers");
    vj_text_add(page->out, "<thead><tr><th>predictors</th><th>MAD, QF</th><th class=\"draw\">");
    vj_html_scale(page, &axis, VJ_HTML_DIFFERENCE_WIDTH);
    vj_text_add(page->out, "</th><th>pair acc., points</th><th>Wilcoxon p</th><th>Holm p</th>"
                           "<th>McNemar p</th><th>nearer</th><th>tied</th><th>n</th></tr></thead>"
                           "<tbody>\n");
    for (size_t i = 0; i < r->comparisons; i++)
        difference_row(page, &r->comparison[i], &axis);
    vj_html_close_table(page);
    vj_html_close_section(page);
}

/* ---- pictures ---- */

struct picture {
    size_t index;
    double error; /* mean over predictors, -1 unknown */
};

static bool shown(const struct vj_report_row *row)
{
    return row->qf_pred && !row->random_weights;
}

static double mean_error(const struct vj_report *r, size_t image)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; r->qf_true && r->qf_true[image] >= 0 && i < r->rows; i++) {
        if (!shown(&r->row[i]) || r->row[i].qf_pred[image] < 0)
            continue;
        sum += fabs((double)r->row[i].qf_pred[image] - r->qf_true[image]);
        n++;
    }
    return n ? sum / (double)n : -1;
}

static int by_error(const void *a, const void *b)
{
    const struct picture *x = a, *y = b;
    if (x->error != y->error)
        return x->error < y->error ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* A prediction held against the truth. */
static void error_cell(const struct vj_html *page, int32_t truth, int32_t predicted)
{
    if (predicted < 0)
        vj_text_add(page->out, "<td>-</td>");
    else if (truth < 0)
        vj_text_add(page->out, "<td>%d</td>", (int)predicted);
    else
        vj_text_add(page->out, "<td>%d <span class=\"off\">(%+d)</span></td>", (int)predicted,
                    (int)(predicted - truth));
}

/* A prediction, and what the smallest quality factor without visible damage costs and saves. */
static void use_cells(const struct vj_html *page, const struct vj_report_row *row, size_t image)
{
    const int32_t predicted = row->qf_pred[image];
    const int32_t lossless = vj_report_lossless(page->report, row, image);
    uint32_t bytes;
    double saving;
    vj_html_whole_cell(page, predicted);
    vj_html_whole_cell(page, lossless);
    if (vj_report_size(&bytes, &saving, page->report, image, lossless))
        vj_text_add(page->out, "<td>%" PRIu32 "</td><td>%.1f</td>", bytes, 100 * saving);
    else
        vj_text_add(page->out, "<td>-</td><td>-</td>");
}

static void picture_row(const struct vj_html *page, size_t image, bool labels)
{
    const struct vj_report *r = page->report;
    vj_text_add(page->out, "<tr><td>");
    vj_html_words(page, r->image_name[image]);
    vj_text_add(page->out, "</td>");
    if (labels && r->qf_true[image] >= 0)
        vj_text_add(page->out, "<td><b>%d</b></td>", (int)r->qf_true[image]);
    else if (labels)
        vj_text_add(page->out, "<td>-</td>");
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[page->order[i]];
        if (shown(row) && labels)
            error_cell(page, r->qf_true[image], row->qf_pred[image]);
        else if (shown(row))
            use_cells(page, row, image);
    }
    vj_text_add(page->out, "</tr>\n");
}

static void picture_head(const struct vj_html *page, bool labels)
{
    const struct vj_report *r = page->report;
    vj_text_add(page->out, labels ? "<thead><tr><th>picture</th><th>true</th>"
                                  : "<thead><tr><th rowspan=\"2\">picture</th>");
    for (size_t i = 0; i < r->rows; i++) {
        if (!shown(&r->row[page->order[i]]))
            continue;
        vj_text_add(page->out, labels ? "<th>" : "<th colspan=\"4\">");
        keyed_name(page, page->order[i]);
        vj_text_add(page->out, "</th>");
    }
    if (!labels)
        vj_text_add(page->out, "</tr><tr>");
    for (size_t i = 0; !labels && i < r->rows; i++)
        if (shown(&r->row[i]))
            vj_text_add(page->out, "<th>PW-JND</th><th>invisible from</th><th>bytes there</th>"
                                   "<th>saved there, %%</th>");
    vj_text_add(page->out, "</tr></thead><tbody>\n");
}

static void introduce_pictures(const struct vj_html *page, size_t count, bool labels)
{
    vj_text_add(page->out,
                labels
                    ? "<p>Predicted PW-JND of every picture, in brackets predicted - true: "
                      "negative where damage is visible, positive where bytes are given away. "
                      "Those with the largest mean error come first."
                    : "<p>Predicted PW-JND of every picture, the smallest quality factor without "
                      "visible damage, its bytes, and what these save against the highest "
                      "quality factor.");
    if (count < page->report->images)
        vj_text_add(page->out, " %zu of %zu; vpjnd report --images-csv has them all.", count,
                    page->report->images);
    vj_text_add(page->out, "</p><details%s><summary>%zu pictures</summary>",
                labels ? "" : " open=\"\"", count);
}

/* Those with the largest mean error, without labels the first ones. */
static void add_pictures(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    const bool labels = vj_report_has_labels(r);
    struct picture *picture = NULL;
    if (!r->images)
        return;
    picture = vj_calloc(r->images, sizeof(*picture));
    if (!picture) {
        page->out->failed = true;
        return;
    }
    for (size_t i = 0; i < r->images; i++)
        picture[i] = (struct picture){i, mean_error(r, i)};
    qsort(picture, r->images, sizeof(*picture), by_error);
    const size_t count = r->images < VJ_HTML_PICTURES ? r->images : VJ_HTML_PICTURES;
    vj_html_open_section(page, "Pictures");
    introduce_pictures(page, count, labels);
    vj_html_open_table(page, "numbers");
    picture_head(page, labels);
    for (size_t i = 0; i < count; i++)
        picture_row(page, picture[i].index, labels);
    vj_html_close_table(page);
    vj_text_add(page->out, "</details>");
    vj_html_close_section(page);
    free(picture);
}

/* ---- the page ---- */

/* By MAD, those without one last, equal ones as they come: insertion, for there are few. */
static void sort_predictors(struct vj_html *page)
{
    const struct vj_report *r = page->report;
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_metric_value *v = vj_html_metric(&r->row[i], VJ_METRIC_MAD);
        const double mad = v->present ? v->value : INFINITY;
        size_t k = i;
        for (; k > 0; k--) {
            const struct vj_metric_value *w =
                vj_html_metric(&r->row[page->order[k - 1]], VJ_METRIC_MAD);
            if ((w->present ? w->value : INFINITY) <= mad)
                break;
            page->order[k] = page->order[k - 1];
        }
        page->order[k] = i;
    }
}

/* For the leading predictors by MAD, then for the leading ones of those with several tolerances, so
 * that each of the two charts shows some. */
static void choose_colours(struct vj_html *page)
{
    const struct vj_report *r = page->report;
    int next = 0, rules = 0;
    for (size_t i = 0; i < r->rows; i++) {
        const size_t row = page->order[i];
        const bool coloured = !r->row[row].random_weights && next < VJ_HTML_LEADING;
        page->colour[row] = coloured ? next++ : -1;
    }
    for (size_t i = 0; i < r->rows && rules < VJ_HTML_LEADING; i++) {
        const size_t row = page->order[i];
        if (r->row[row].random_weights || !r->row[row].tolerance_count)
            continue;
        if (page->colour[row] < 0)
            page->colour[row] = next++;
        rules++;
    }
}

/* What a run ends with. */
static void add_outcome(const struct vj_html *page)
{
    if (vj_report_has_labels(page->report))
        add_accuracy(page);
    else
        add_predictions(page);
    vj_html_curves(page);
    vj_html_scatter(page);
    add_differences(page);
    vj_html_agreements(page);
    add_pictures(page);
    vj_html_throughput(page);
}

static void add_page(const struct vj_html *page)
{
    add_header(page);
    vj_html_runs(page);
    vj_html_run_differences(page);
    if (vj_report_unfinished(page->report))
        vj_html_states(page);
    else
        add_outcome(page);
    vj_html_failures(page);
    vj_html_left_outs(page);
    vj_html_published(page);
    vj_html_provenance(page);
    vj_text_add(page->out, "<footer>vpjnd ");
    vj_html_words(page, page->report->program_version);
    vj_text_add(page->out, "</footer>\n</body></html>\n");
}

int vj_report_html(struct vj_text *out, const struct vj_report *report, struct vj_error *err)
{
    struct vj_html page = {
        .out = out,
        .report = report,
        .order = vj_calloc(report->rows, sizeof(*page.order)),
        .colour = vj_calloc(report->rows, sizeof(*page.colour)),
    };
    int rc = vj_report_check(report, err);
    if (!rc && report->rows && (!page.order || !page.colour))
        rc = vj_fail(err, -ENOMEM, "out of memory for a report of %zu predictors", report->rows);
    if (!rc) {
        sort_predictors(&page);
        choose_colours(&page);
        add_page(&page);
        rc = vj_text_status(out, err);
    }
    free(page.colour);
    free(page.order);
    return rc;
}
