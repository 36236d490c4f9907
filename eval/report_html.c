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
    MAD_WIDTH = 210, /* of the drawings in tables, CSS pixels */
    DIFFERENCE_WIDTH = 180,
    PICTURES_SHOWN = 200, /* rows of the table of pictures */
};

static const char style[] =
    ":root{--paper:#fff;--ink:#1b1f24;--soft:#5b6570;--line:#dfe3e8;--band:#f5f7f9;--warn:#fff4d6;"
    "--warn-ink:#6b4a00;--c0:#0072b2;--c1:#d55e00;--c2:#008f68;--c3:#b8478f;--c4:#a87400;"
    "--c5:#6d5fc7;--other:#b4bcc5}"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ed;--soft:#9aa4af;"
    "--line:#2c323a;--band:#1b2026;--warn:#3a2e10;--warn-ink:#f4d58a;--c0:#4fb0e8;--c1:#ff8b45;"
    "--c2:#35c79d;--c3:#e28bc4;--c4:#e0b040;--c5:#b3a8ff;--other:#59636e}}"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1240px;padding:32px 24px 64px;"
    "background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:26px;line-height:1.2;margin:0}h2{font-size:18px;margin:40px 0 6px}"
    ".sub,section>p,footer,.note{color:var(--soft);max-width:78ch}.sub{margin:4px 0 0}"
    "section>p{margin:0 0 12px}.warn{background:var(--warn);color:var(--warn-ink);padding:10px "
    "14px;"
    "border-radius:6px;margin:16px 0 0;max-width:none}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:20px 0 0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "white-space:nowrap;font-size:14px}th,td{padding:4px 10px;text-align:right}"
    "th{font-weight:600;white-space:normal;color:var(--soft);vertical-align:bottom;border-bottom:"
    "1px solid "
    "var(--line)}"
    "td{border-bottom:1px solid var(--line)}tbody tr:hover{background:var(--band)}"
    "th:first-child,td:first-child,.left{text-align:left}td.wide{white-space:normal}"
    ".text th{text-align:left}.text td{vertical-align:top}.text td.wide{min-width:7em}.text "
    "td.wide:last-child{min-width:20em}"
    "td.draw,th.draw{padding:0 4px;text-align:left}.draw svg{display:block;max-width:none}"
    ".key{display:inline-block;width:10px;height:10px;border-radius:50%;background:currentColor;"
    "margin-right:6px}.legend{display:flex;flex-wrap:wrap;gap:2px 16px}"
    ".panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:12px}"
    ".small{display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));gap:12px}"
    "figure{margin:0}figcaption{font-size:13px;font-weight:600;overflow-wrap:anywhere}"
    "svg{overflow:visible;max-width:100%}.plot,figure svg{width:100%;height:auto;overflow:hidden}"
    ".axis line{stroke:var(--line)}.axis text{fill:var(--soft);font-size:11px}"
    ".axis .title{font-size:12px}.truth{stroke:var(--ink);stroke-dasharray:4 4;opacity:.55}"
    ".zero{stroke:var(--soft);stroke-dasharray:2 2}"
    ".c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}"
    ".c4{color:var(--c4)}.c5{color:var(--c5)}.other{color:var(--other)}"
    "g path{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}"
    "g.other path{stroke-width:1}g circle,.interval circle{fill:currentColor}"
    "g circle{stroke:var(--paper);stroke-width:1}"
    ".dots circle{fill-opacity:.65}.dots.other{color:var(--soft)}"
    ".span{stroke:currentColor;stroke-width:3;stroke-linecap:round;opacity:.45}"
    "details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}"
    ".below{color:var(--c1)}.above{color:var(--c0)}footer{margin-top:48px;font-size:13px}"
    "@media print{body{max-width:none;padding:0}details>*{display:block}}";

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

static void words(const struct vj_html *page, const char *text)
{
    vj_text_html(page->out, vj_report_or_dash(text));
}

static void open_section(const struct vj_html *page, const char *title)
{
    vj_text_add(page->out, "<section><h2>%s</h2>\n", title);
}

static void close_section(const struct vj_html *page)
{
    vj_text_add(page->out, "</section>\n");
}

/* kind: "numbers" or "text", a class of the style sheet */
static void open_table(const struct vj_html *page, const char *kind)
{
    vj_text_add(page->out, "<div class=\"scroll\"><table class=\"%s\">\n", kind);
}

static void close_table(const struct vj_html *page)
{
    vj_text_add(page->out, "</tbody></table></div>\n");
}

/* A head of plain columns; the first is on the left. */
static void head(const struct vj_html *page, const char *const *title, size_t columns)
{
    vj_text_add(page->out, "<thead><tr>");
    for (size_t i = 0; i < columns; i++)
        vj_text_add(page->out, "<th>%s</th>", title[i]);
    vj_text_add(page->out, "</tr></thead><tbody>\n");
}

static void cell(const struct vj_html *page, const char *text)
{
    vj_text_add(page->out, "<td class=\"left wide\">");
    words(page, text);
    vj_text_add(page->out, "</td>");
}

/* A positive whole number; 0 stands for none. */
static void whole_cell(const struct vj_html *page, int value)
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

/* "7.82 [6.10, 9.86]" */
static void estimate_cell(const struct vj_html *page, const struct vj_metric_value *v, double scale,
                          int decimals, bool sign)
{
    if (!v->present || !v->has_interval) {
        number_cell(page, v, scale, decimals, sign);
        return;
    }
    vj_text_add(page->out, sign ? "<td>%+.*f [%+.*f, %+.*f]</td>" : "<td>%.*f [%.*f, %.*f]</td>",
                decimals, scale * v->value, decimals, scale * v->ci_low, decimals,
                scale * v->ci_high);
}

static void name_cell(const struct vj_html *page, size_t row)
{
    vj_text_add(page->out, "<td><span class=\"key ");
    vj_html_class(page, row);
    vj_text_add(page->out, "\"></span>");
    words(page, page->report->row[row].name);
    vj_text_add(page->out, "</td>");
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

static void warning(const struct vj_html *page, const char *text)
{
    vj_text_add(page->out, "<p class=\"warn\">%s</p>\n", text);
}

static void facts(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    char line[160];
    vj_text_add(page->out, "<dl>\n");
    fact(page, "labels",
         vj_report_has_labels(r) ? vj_report_or_dash(r->label_definition)
                                 : "none: predictions only");
    fact(page, "candidates", r->candidates);
    fact(page, "folds", r->folds);
    fact(page, "axis", r->axis);
    fact(page, "not used", r->excluded);
    if (!r->runs) {
        snprintf(line, sizeof(line), "%" PRIu64, r->seed);
        fact(page, "seed", line);
        fact(page, "device", r->device);
        fact(page, "results", r->results_file);
    }
    if (r->resamples) {
        snprintf(line, sizeof(line), "%g %%, percentile bootstrap over pictures, %zu resamples",
                 100 * r->confidence, r->resamples);
        fact(page, "intervals", line);
    }
    vj_text_add(page->out, "</dl>\n");
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
    words(page, r->dataset);
    vj_text_add(out, " - %s</title><style>%s</style></head><body>\n<header><h1>%s</h1>", title,
                style, title);
    vj_text_add(out, "<p class=\"sub\">");
    words(page, r->dataset);
    vj_text_add(out, " &middot; %zu pictures", r->images);
    if (vj_report_count_failed(r))
        vj_text_add(out, ", %zu failed", vj_report_count_failed(r));
    if (r->pending)
        vj_text_add(out, ", %zu not evaluated yet", r->pending);
    if (r->left_outs)
        vj_text_add(out, ", %zu left out", r->left_outs);
    vj_text_add(out, " &middot; ");
    words(page, r->codec);
    vj_text_add(out, ", %s %d to %d</p>\n", vj_report_axis_word(r), r->qf_first, r->qf_last);
    if (vj_report_has_labels(r) && !r->human_labels)
        warning(page, "No person gave these labels: they come from a made-up observer, and figures "
                      "held against them say nothing about human vision.");
    if (!r->complete && !r->runs)
        warning(page, "INCOMPLETE: the run was cut short; predictions and figures are made when it "
                      "is finished with --resume.");
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

static void accuracy_row(const struct vj_html *page, size_t index, const struct vj_axis *axis)
{
    const struct vj_report_row *row = &page->report->row[index];
    const struct vj_metric_value *mad = vj_html_metric(row, VJ_METRIC_MAD);
    vj_text_add(page->out, "<tr>");
    name_cell(page, index);
    vj_text_add(page->out, "<td class=\"draw\">");
    if (axis->high > 0)
        vj_html_interval(page, index, axis, MAD_WIDTH, mad, false);
    vj_text_add(page->out, "</td>");
    estimate_cell(page, mad, 1, 2, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_MEDIAN_ABS), 1, 1, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_BIAS), 1, 2, true);
    number_cell(page, vj_html_metric(row, VJ_METRIC_PAIR_ACCURACY), 100, 1, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_PRECISION_LOSSY), 100, 1, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_DQF), 1, 2, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_SAVING_MEAN), 100, 1, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_SAVING_AT_TRUTH), 100, 1, false);
    number_cell(page, vj_html_metric(row, VJ_METRIC_PAST_JND_SHARE), 100, 1, false);
    vj_text_add(page->out, "<td>%zu</td></tr>\n",
                row->metrics ? row->metrics->pooled.images : (size_t)0);
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
        words(page, row->name);
        vj_text_add(page->out, "</dt><dd>");
        words(page, row->note);
        vj_text_add(page->out, "</dd>\n");
    }
    vj_text_add(page->out, "</dl></details>\n");
}

static void add_accuracy(const struct vj_html *page)
{
    static const char *const title[] = {"median",         "bias",        "pair acc., %",
                                        "lossy prec., %", "dQF",         "saved, %",
                                        "at JND, %",      "past JND, %", "n"};
    const struct vj_report *r = page->report;
    const struct vj_axis axis = metric_axis(r, VJ_METRIC_MAD);
    size_t rated = 0;
    for (size_t i = 0; i < r->rows; i++)
        rated += !r->row[i].random_weights;
    if (!rated)
        return;
    open_section(page, "Accuracy");
    vj_text_add(page->out,
                "<p>MAD, median and bias (predicted - true) of the error and dQF (mean of max(0, "
                "true - predicted)) in QF. Pair accuracy: right decisions on pairs with the "
                "highest QF. Saved: mean saving of bytes against the highest QF, by the prediction "
                "and at the true JND. Past JND: pictures with a predicted QF below the true one. "
                "Sorted by MAD, with its interval.</p>\n");
    open_table(page, "numbers");
    vj_text_add(page->out, "<thead><tr><th>predictor</th><th class=\"draw\">");
    if (axis.high > 0)
        vj_html_scale(page, &axis, MAD_WIDTH);
    vj_text_add(page->out, "</th><th>MAD, QF</th>");
    for (size_t i = 0; i < sizeof(title) / sizeof(title[0]); i++)
        vj_text_add(page->out, "<th>%s</th>", title[i]);
    vj_text_add(page->out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < r->rows; i++)
        if (!r->row[page->order[i]].random_weights)
            accuracy_row(page, page->order[i], &axis);
    close_table(page);
    add_notes(page);
    close_section(page);
}

/* ---- differences ---- */

static struct vj_axis difference_axis(const struct vj_report *r)
{
    double reach = 0;
    for (size_t i = 0; i < r->comparisons; i++) {
        const struct vj_metric_value *v = &r->comparison[i].result.mad;
        if (!v->present)
            continue;
        reach = fmax(reach, fabs(v->value));
        if (v->has_interval)
            reach = fmax(reach, fmax(fabs(v->ci_low), fabs(v->ci_high)));
    }
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
    words(page, page->report->row[c->a].name);
    vj_text_add(page->out, " - ");
    words(page, page->report->row[c->b].name);
    vj_text_add(page->out, "</td><td class=\"draw\">");
    vj_html_interval(page, c->a, axis, DIFFERENCE_WIDTH, &c->result.mad, true);
    vj_text_add(page->out, "</td>");
    estimate_cell(page, &c->result.mad, 1, 2, true);
    estimate_cell(page, &c->result.pair_accuracy, 100, 2, true);
    p_cell(page, c->result.wilcoxon.p, c->result.wilcoxon.method);
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
    open_section(page, "Differences");
    vj_text_add(
        page->out,
        "<p>Of the first less the second predictor; left of zero the first one is nearer to the "
        "truth. Nearer: pictures where the first (the second) is strictly nearer. Wilcoxon: "
        "signed-rank test of |error| per picture. McNemar: exact test of pair decisions; the pairs "
        "of one picture are not independent, so its p is far too small: trust the interval of the "
        "pair accuracy, which resamples whole pictures. The p are those of single tests, not "
        "corrected for their number (%zu).</p>\n",
        r->comparisons);
    open_table(page, "numbers");
    vj_text_add(page->out, "<thead><tr><th>predictors</th><th class=\"draw\">");
    vj_html_scale(page, &axis, DIFFERENCE_WIDTH);
    vj_text_add(page->out, "</th><th>MAD, QF</th><th>pair acc., points</th><th>Wilcoxon p</th>"
                           "<th>McNemar p</th><th>nearer</th><th>tied</th><th>n</th></tr></thead>"
                           "<tbody>\n");
    for (size_t i = 0; i < r->comparisons; i++)
        difference_row(page, &r->comparison[i], &axis);
    close_table(page);
    close_section(page);
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

static void picture_row(const struct vj_html *page, size_t image)
{
    const struct vj_report *r = page->report;
    const int32_t t = r->qf_true ? r->qf_true[image] : -1;
    vj_text_add(page->out, "<tr><td>");
    words(page, r->image_name[image]);
    vj_text_add(page->out, "</td>");
    if (t >= 0)
        vj_text_add(page->out, "<td><b>%d</b></td>", (int)t);
    else
        vj_text_add(page->out, "<td>-</td>");
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[page->order[i]];
        const int32_t p = shown(row) ? row->qf_pred[image] : -1;
        if (!shown(row))
            continue;
        if (p < 0)
            vj_text_add(page->out, "<td>-</td>");
        else if (t < 0)
            vj_text_add(page->out, "<td>%d</td>", (int)p);
        else
            vj_text_add(page->out, "<td class=\"%s\" title=\"%+d\">%d</td>",
                        p < t   ? "below"
                        : p > t ? "above"
                                : "",
                        (int)(p - t), (int)p);
    }
    vj_text_add(page->out, "</tr>\n");
}

static void picture_head(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    vj_text_add(page->out, "<thead><tr><th>picture</th><th>true</th>");
    for (size_t i = 0; i < r->rows; i++) {
        if (!shown(&r->row[page->order[i]]))
            continue;
        vj_text_add(page->out, "<th>");
        words(page, r->row[page->order[i]].name);
        vj_text_add(page->out, "</th>");
    }
    vj_text_add(page->out, "</tr></thead><tbody>\n");
}

static void add_pictures(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
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
    const size_t count = r->images < PICTURES_SHOWN ? r->images : PICTURES_SHOWN;
    open_section(page, "Pictures");
    vj_text_add(page->out,
                "<p>Predicted PW-JND of every picture, those with the largest mean error first: "
                "<span class=\"below\">below</span> the true one (visible damage), <span "
                "class=\"above\">above</span> it.");
    if (count < r->images)
        vj_text_add(page->out, " %zu of %zu; vpjnd report --images-csv has them all.", count,
                    r->images);
    vj_text_add(page->out, "</p><details><summary>%zu pictures</summary>", count);
    open_table(page, "numbers");
    picture_head(page);
    for (size_t i = 0; i < count; i++)
        picture_row(page, picture[i].index);
    close_table(page);
    vj_text_add(page->out, "</details>");
    close_section(page);
    free(picture);
}

/* ---- what is not a figure of accuracy ---- */

static void add_throughput(const struct vj_html *page)
{
    static const char *const title[] = {"predictor", "images/s"};
    const struct vj_report *r = page->report;
    size_t measured = 0;
    for (size_t i = 0; i < r->rows; i++)
        measured += r->row[i].images_per_second > 0;
    if (!measured)
        return;
    open_section(page, "Throughput");
    open_table(page, "numbers");
    head(page, title, 2);
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!(row->images_per_second > 0) || !isfinite(row->images_per_second))
            continue;
        vj_text_add(page->out, "<tr><td>");
        words(page, row->name);
        vj_text_add(page->out, "%s</td><td>%.3g</td></tr>\n",
                    row->random_weights ? " (random weights: no accuracy)" : "",
                    row->images_per_second);
    }
    close_table(page);
    close_section(page);
}

static void add_failures(const struct vj_html *page)
{
    static const char *const title[] = {"picture", "error"};
    const struct vj_report *r = page->report;
    if (!vj_report_count_failed(r))
        return;
    open_section(page, "Failures");
    open_table(page, "text");
    head(page, title, 2);
    for (size_t i = 0; i < r->images; i++) {
        if (!r->image_error[i])
            continue;
        vj_text_add(page->out, "<tr>");
        cell(page, r->image_name[i]);
        cell(page, r->image_error[i]);
        vj_text_add(page->out, "</tr>\n");
    }
    close_table(page);
    close_section(page);
}

static void add_left_outs(const struct vj_html *page)
{
    static const char *const title[] = {"picture", "reason"};
    const struct vj_report *r = page->report;
    if (!r->left_outs)
        return;
    open_section(page, "Left out of every figure");
    open_table(page, "text");
    head(page, title, 2);
    for (size_t i = 0; i < r->left_outs; i++) {
        vj_text_add(page->out, "<tr>");
        cell(page, r->left_out[i].name);
        cell(page, r->left_out[i].reason);
        vj_text_add(page->out, "</tr>\n");
    }
    close_table(page);
    close_section(page);
}

static void add_runs(const struct vj_html *page)
{
    static const char *const title[] = {"run",   "file",   "images",  "seed",
                                        "vpjnd", "device", "complete"};
    const struct vj_report *r = page->report;
    if (!r->runs)
        return;
    open_section(page, "Results files");
    open_table(page, "text");
    head(page, title, 7);
    for (size_t i = 0; i < r->runs; i++) {
        const struct vj_report_run *run = &r->run[i];
        vj_text_add(page->out, "<tr>");
        cell(page, run->name);
        cell(page, run->path);
        vj_text_add(page->out, "<td>%zu</td><td>%" PRIu64 "</td>", run->images, run->seed);
        cell(page, run->program_version);
        cell(page, run->device);
        vj_text_add(page->out, "<td>%s</td></tr>\n",
                    run->complete ? "yes" : "NO: finish it with --resume");
    }
    close_table(page);
    close_section(page);
}

static void difference_list(const struct vj_html *page, bool barrier)
{
    const struct vj_report *r = page->report;
    vj_text_add(page->out, "<dl>\n");
    for (size_t i = 0; i < r->differences; i++) {
        const struct vj_report_difference *d = &r->difference[i];
        if (d->barrier != barrier)
            continue;
        vj_text_add(page->out, "<dt>");
        words(page, d->field);
        vj_text_add(page->out, "</dt><dd>");
        for (size_t k = 0; k < r->runs; k++) {
            words(page, r->run[k].name);
            vj_text_add(page->out, ": ");
            words(page, d->value[k]);
            vj_text_add(page->out, "<br>");
        }
        vj_text_add(page->out, "</dd>\n");
    }
    vj_text_add(page->out, "</dl>\n");
}

static void add_run_differences(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    size_t barriers = 0;
    for (size_t i = 0; i < r->differences; i++)
        barriers += r->difference[i].barrier;
    if (barriers) {
        open_section(page, "NOT COMPARABLE: the results files differ in");
        warning(page, "Figures that rest on these do not mean the same in every file. Where they "
                      "are compared all the same (--force), labels, sizes and qualities are those "
                      "of the first file.");
        difference_list(page, true);
        close_section(page);
    }
    if (r->differences > barriers) {
        open_section(page, "What else the results files differ in");
        difference_list(page, false);
        close_section(page);
    }
}

static void add_published(const struct vj_html *page)
{
    static const char *const title[] = {"model", "data set", "codec",  "JND",    "metric",
                                        "point", "value",    "labels", "source", "left undefined"};
    const struct vj_report *r = page->report;
    if (!r->published_file)
        return;
    open_section(page, "FIGURES OF OTHERS, as published");
    vj_text_add(page->out, "<p>Not computed here and no part of the tables above. From ");
    words(page, r->published_file);
    vj_text_add(page->out, ".</p>\n");
    open_table(page, "text");
    head(page, title, sizeof(title) / sizeof(title[0]));
    for (size_t i = 0; i < r->publisheds; i++) {
        const struct vj_report_published *p = &r->published[i];
        vj_text_add(page->out, "<tr>");
        cell(page, p->model);
        cell(page, p->dataset);
        cell(page, p->codec);
        whole_cell(page, p->jnd);
        cell(page, p->metric);
        whole_cell(page, p->point);
        vj_text_add(page->out, "<td>%s", p->below ? "&lt; " : "");
        words(page, p->printed);
        if (*p->spread) {
            vj_text_add(page->out, " &plusmn; ");
            words(page, p->spread);
        }
        vj_text_add(page->out, " ");
        vj_text_html(page->out, p->units);
        vj_text_add(page->out, "</td>");
        cell(page, p->labels);
        cell(page, p->source);
        cell(page, p->note);
        vj_text_add(page->out, "</tr>\n");
    }
    close_table(page);
    close_section(page);
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

static void choose_colours(struct vj_html *page)
{
    int next = 0;
    for (size_t i = 0; i < page->report->rows; i++) {
        const size_t row = page->order[i];
        const bool coloured = !page->report->row[row].random_weights && next < VJ_HTML_COLOURS;
        page->colour[row] = coloured ? next++ : -1;
    }
}

static void add_page(const struct vj_html *page)
{
    add_header(page);
    add_runs(page);
    add_run_differences(page);
    add_accuracy(page);
    vj_html_curves(page);
    vj_html_scatter(page);
    add_differences(page);
    add_pictures(page);
    add_throughput(page);
    add_failures(page);
    add_left_outs(page);
    add_published(page);
    vj_text_add(page->out, "<footer>vpjnd ");
    words(page, page->report->program_version);
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
