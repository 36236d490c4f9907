/* SPDX-License-Identifier: MIT */
/* The HTML report's charts, as SVG. */
#include <math.h>
#include <stdlib.h>

#include "eval/report_html.h"
#include "eval/report_text.h"
#include "host/checked.h"

static const char *name_of(const char *name)
{
    return name ? name : "";
}

/* ---- intervals in tables ---- */

enum { INTERVAL_HEIGHT = 18 };

static double along(const struct vj_axis *axis, double width, double value)
{
    const double margin = 8;
    return margin + (width - 2 * margin) * (value - axis->low) / (axis->high - axis->low);
}

void vj_html_interval(const struct vj_html *page, size_t row, const struct vj_axis *axis,
                      double width, const struct vj_metric_value *v, bool zero)
{
    struct vj_text *out = page->out;
    if (!v->present || !isfinite(v->value))
        return;
    const double middle = INTERVAL_HEIGHT / 2.0, x = along(axis, width, v->value);
    vj_text_add(out, "<svg class=\"interval ");
    vj_html_class(page, row);
    vj_text_add(out, "\" width=\"%.0f\" height=\"%d\" aria-hidden=\"true\">", width,
                INTERVAL_HEIGHT);
    if (zero && axis->low <= 0 && axis->high >= 0)
        vj_text_add(out, "<line class=\"zero\" x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\"/>",
                    along(axis, width, 0), along(axis, width, 0), INTERVAL_HEIGHT);
    if (v->has_interval && isfinite(v->ci_low) && isfinite(v->ci_high))
        vj_text_add(out, "<line class=\"span\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                    along(axis, width, v->ci_low), middle, along(axis, width, v->ci_high), middle);
    vj_text_add(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/></svg>", x, middle);
}

void vj_html_scale(const struct vj_html *page, const struct vj_axis *axis, double width)
{
    struct vj_text *out = page->out;
    vj_text_add(out, "<svg class=\"axis\" width=\"%.0f\" height=\"%d\" aria-hidden=\"true\">",
                width, INTERVAL_HEIGHT);
    const int steps = (int)((axis->high - axis->low) / axis->step + 0.5);
    for (int i = 0; i <= steps; i++) {
        const double value = axis->low + i * axis->step, x = along(axis, width, value);
        vj_text_add(out, "<text x=\"%.1f\" y=\"12\" text-anchor=\"middle\">", x);
        vj_axis_number(out, axis, value);
        vj_text_add(out, "</text>");
    }
    vj_text_add(out, "</svg>");
}

/* ---- rate-damage curves ---- */

enum {
    CURVE_WIDTH = 352,
    CURVE_HEIGHT = 300,
    DAMAGES = 4,
};

/* A quantity of a curve's point. */
struct damage {
    const char *title;
    size_t offset;     /* of a struct vj_metric_value in struct vj_sweep_point */
    bool of_satisfied; /* what is missing to all subjects, in per cent; not 0 at the true JND */
};

static const struct damage damages[DAMAGES] = {
    {"lost QF below the JND (dQF)", offsetof(struct vj_sweep_point, dqf), false},
    {"lost PSNR-Y, dB", offsetof(struct vj_sweep_point, dpsnr_y), false},
    {"lost MS-SSIM", offsetof(struct vj_sweep_point, dms_ssim), false},
    {"subjects who see a difference, %", offsetof(struct vj_sweep_point, sur_at_prediction), true},
};

/* Which curves: every predictor's over safety offsets, or those of rules over tolerances. */
static size_t points_of(const struct vj_report_row *row, bool tolerances,
                        const struct vj_sweep_point **point)
{
    *point = tolerances ? row->tolerance : row->sweep;
    if (row->random_weights || !*point)
        return 0;
    return tolerances ? row->tolerance_count : row->sweep_count;
}

/* Damage and saving in per cent of a point that has both. */
static bool place(const struct vj_sweep_point *point, const struct damage *damage, double *x,
                  double *y)
{
    const struct vj_metric_value *v =
        (const struct vj_metric_value *)((const char *)point + damage->offset);
    *x = damage->of_satisfied ? 100 * (1 - v->value) : v->value;
    *y = 100 * point->saving_mean.value;
    return v->present && point->saving_mean.present && isfinite(*x) && isfinite(*y);
}

struct bounds {
    double x_high, y_low, y_high;
    size_t points;
};

static void widen(struct bounds *b, double x, double y)
{
    b->x_high = fmax(b->x_high, x);
    b->y_low = b->points ? fmin(b->y_low, y) : y;
    b->y_high = b->points ? fmax(b->y_high, y) : y;
    b->points++;
}

/* Does a predictor decide how far a panel reaches? Of curves over offsets, those of the predictors
 * with the smallest MAD do. */
static bool leads(const struct vj_html *page, size_t row, bool tolerances)
{
    return page->colour[row] >= 0 && (tolerances || page->colour[row] < VJ_HTML_LEADING);
}

/* What the leading predictors' points cover, or all of them where no leading one has any. */
static struct bounds bounds_of(const struct vj_html *page, const struct damage *damage,
                               bool tolerances)
{
    struct bounds leading = {0}, all = {0};
    for (size_t i = 0; i < page->report->rows; i++) {
        const struct vj_sweep_point *point;
        const size_t count = points_of(&page->report->row[i], tolerances, &point);
        for (size_t k = 0; k < count; k++) {
            double x, y;
            if (!place(&point[k], damage, &x, &y))
                continue;
            widen(&all, x, y);
            if (leads(page, i, tolerances))
                widen(&leading, x, y);
        }
    }
    return leading.points ? leading : all;
}

static void hint(struct vj_text *out, const struct vj_report_row *row,
                 const struct vj_sweep_point *point, bool tolerances, double x, double y)
{
    vj_text_add(out, "<title>");
    vj_text_html(out, name_of(row->name));
    if (tolerances)
        vj_text_add(out, ", tolerance %.4g", point->tolerance);
    else
        vj_text_add(out, point->offset ? ", offset %+d" : ", offset %d", point->offset);
    vj_text_add(out, ": saving %.2f %%, damage %.4g</title>", y, x);
}

/* Marks of a curve: every tolerance, or the predictions themselves (offset 0). */
static void marks(const struct vj_html *page, const struct vj_plot *plot,
                  const struct damage *damage, size_t row, bool tolerances)
{
    const struct vj_sweep_point *point;
    const size_t count = points_of(&page->report->row[row], tolerances, &point);
    for (size_t k = 0; k < count; k++) {
        double x, y;
        if (!place(&point[k], damage, &x, &y) || (!tolerances && point[k].offset != 0))
            continue;
        vj_text_add(page->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\">", vj_plot_x(plot, x),
                    vj_plot_y(plot, y), tolerances ? "3" : "4.5");
        hint(page->out, &page->report->row[row], &point[k], tolerances, x, y);
        vj_text_add(page->out, "</circle>");
    }
}

static void curve(const struct vj_html *page, const struct vj_plot *plot,
                  const struct damage *damage, size_t row, bool tolerances)
{
    const struct vj_sweep_point *point;
    const size_t count = points_of(&page->report->row[row], tolerances, &point);
    bool started = false;
    if (!count)
        return;
    vj_text_add(page->out, "<g class=\"");
    vj_html_class(page, row);
    vj_text_add(page->out, "\"><path d=\"");
    for (size_t k = 0; k < count; k++) {
        double x, y;
        if (!place(&point[k], damage, &x, &y)) {
            started = false;
            continue;
        }
        vj_text_add(page->out, "%s%.1f %.1f", started ? "L" : "M", vj_plot_x(plot, x),
                    vj_plot_y(plot, y));
        started = true;
    }
    vj_text_add(page->out, "\"><title>");
    vj_text_html(page->out, name_of(page->report->row[row].name));
    vj_text_add(page->out, "</title></path>");
    marks(page, plot, damage, row, tolerances);
    vj_text_add(page->out, "</g>\n");
}

/* The saving of whoever knows the JND. */
static void truth_line(const struct vj_html *page, const struct vj_plot *plot,
                       const struct damage *damage)
{
    for (size_t i = 0; i < page->report->rows; i++) {
        const struct vj_metric_value *v =
            vj_html_metric(&page->report->row[page->order[i]], VJ_METRIC_SAVING_AT_TRUTH);
        const double saving = 100 * v->value;
        if (!v->present || !(saving >= plot->y.low && saving <= plot->y.high))
            continue;
        vj_text_add(page->out,
                    "<line class=\"truth\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\">"
                    "<title>at the true JND: saving %.2f %%%s</title></line>",
                    plot->left, vj_plot_y(plot, saving), plot->left + plot->width,
                    vj_plot_y(plot, saving), saving, damage->of_satisfied ? "" : ", damage 0");
        return;
    }
}

static void curve_panel(const struct vj_html *page, int which, bool tolerances)
{
    const struct damage *damage = &damages[which];
    const struct bounds b = bounds_of(page, damage, tolerances);
    struct vj_text *out = page->out;
    if (!b.points)
        return;
    const struct vj_plot plot = {
        .left = 44,
        .top = 28,
        .width = CURVE_WIDTH - 44 - 20,
        .height = CURVE_HEIGHT - 28 - 42,
        .x = vj_axis_covering(0, b.x_high, 5),
        .y = vj_axis_covering(b.y_low, b.y_high, 6),
    };
    vj_text_add(out,
                "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Mean saving "
                "against %s\"><defs><clipPath id=\"p%d%d\"><rect x=\"%.0f\" y=\"%.0f\" "
                "width=\"%.0f\" height=\"%.0f\"/></clipPath></defs>\n",
                CURVE_WIDTH, CURVE_HEIGHT, damage->title, which, tolerances, plot.left, plot.top,
                plot.width, plot.height);
    vj_plot_axes(out, &plot, damage->title, "mean saving, %");
    vj_text_add(out, "<g clip-path=\"url(#p%d%d)\">", which, tolerances);
    truth_line(page, &plot, damage);
    for (size_t i = page->report->rows; i-- > 0;) /* the best on top */
        curve(page, &plot, damage, page->order[i], tolerances);
    vj_text_add(out, "</g></svg>\n");
}

/* Is there a point with saving and damage, so that a panel has something to show? */
static bool any_curve(const struct vj_html *page, bool tolerances)
{
    size_t points = 0;
    for (int i = 0; i < DAMAGES; i++)
        points += bounds_of(page, &damages[i], tolerances).points;
    return points > 0;
}

static void legend(const struct vj_html *page, bool tolerances)
{
    bool others = false;
    vj_text_add(page->out, "<p class=\"legend\">");
    for (size_t i = 0; i < page->report->rows; i++) {
        const size_t row = page->order[i];
        const struct vj_sweep_point *point;
        if (!points_of(&page->report->row[row], tolerances, &point))
            continue;
        others |= page->colour[row] < 0;
        if (page->colour[row] < 0)
            continue;
        vj_text_add(page->out, "<span><span class=\"key ");
        vj_html_class(page, row);
        vj_text_add(page->out, "\"></span>");
        vj_text_html(page->out, name_of(page->report->row[row].name));
        vj_text_add(page->out, "</span> ");
    }
    if (others)
        vj_text_add(page->out,
                    "<span><span class=\"key other\"></span>the others, cut at the edges</span>");
    vj_text_add(page->out, "</p>\n");
}

static void curves(const struct vj_html *page, bool tolerances, const char *title,
                   const char *words)
{
    vj_text_add(page->out, "<section><h2>%s</h2><p>%s</p>\n", title, words);
    legend(page, tolerances);
    vj_text_add(page->out, "<div class=\"panels\">\n");
    for (int i = 0; i < DAMAGES; i++)
        curve_panel(page, i, tolerances);
    vj_text_add(page->out, "</div></section>\n");
}

void vj_html_curves(const struct vj_html *page)
{
    if (any_curve(page, false))
        curves(
            page, false, "Rate against damage",
            "What is saved against the highest quality, and what that costs where the prediction "
            "is below the JND. A curve moves every prediction by a safety offset; its dot is the "
            "prediction itself. Up and to the left is better; the dashed line is the saving at the "
            "true JND.");
    if (any_curve(page, true))
        curves(page, true, "Rate against damage over tolerances",
               "The same for rules on pixel-JND maps, each with five tolerances.");
}

/* ---- predictions against the truth ---- */

enum {
    SCATTER_WIDTH = 196,
    SCATTER_HEIGHT = 216,
    LEVELS = 128, /* quality factors in a picture of counts */
};

/* Images at (true, predicted) of one predictor. */
struct counts {
    size_t at[LEVELS][LEVELS], last[LEVELS][LEVELS]; /* how many, and which the last one is */
    size_t images;
};

static void count(struct counts *c, const struct vj_report *r, const struct vj_report_row *row)
{
    *c = (struct counts){0};
    for (size_t i = 0; row->qf_pred && r->qf_true && i < r->images; i++) {
        const int32_t t = r->qf_true[i], p = row->qf_pred[i];
        if (t < 0 || p < 0 || t >= LEVELS || p >= LEVELS)
            continue;
        c->at[t][p]++;
        c->last[t][p] = i;
        c->images++;
    }
}

static void dots(const struct vj_html *page, const struct vj_plot *plot, const struct counts *c)
{
    for (int32_t t = 0; t < LEVELS; t++) {
        for (int32_t p = 0; p < LEVELS; p++) {
            if (!c->at[t][p])
                continue;
            const double radius = fmin(2.5 * sqrt((double)c->at[t][p]), 9);
            vj_text_add(page->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>",
                        vj_plot_x(plot, t), vj_plot_y(plot, p), radius);
            if (c->at[t][p] == 1)
                vj_text_html(page->out, name_of(page->report->image_name[c->last[t][p]]));
            else
                vj_text_add(page->out, "%zu pictures", c->at[t][p]);
            vj_text_add(page->out, ": true %d, predicted %d</title></circle>", (int)t, (int)p);
        }
    }
}

static void correlation(struct vj_text *out, const struct vj_metric_value *value)
{
    if (value && value->present)
        vj_text_add(out, "%.2f", value->value);
    else
        vj_text_add(out, "-");
}

static void scatter_panel(const struct vj_html *page, struct counts *c, size_t index)
{
    const struct vj_report *r = page->report;
    const struct vj_report_row *row = &r->row[index];
    struct vj_text *out = page->out;
    const struct vj_axis axis = vj_axis_covering(r->qf_first <= 1 ? 0 : r->qf_first, r->qf_last, 5);
    const struct vj_plot plot = {.left = 32,
                                 .top = 24,
                                 .width = SCATTER_WIDTH - 32 - 14,
                                 .height = SCATTER_WIDTH - 32 - 14,
                                 .x = axis,
                                 .y = axis};
    count(c, r, row);
    if (row->random_weights || !c->images)
        return;
    vj_text_add(out, "<figure><figcaption><span class=\"key ");
    vj_html_class(page, index);
    vj_text_add(out, "\"></span>");
    vj_text_html(out, name_of(row->name));
    vj_text_add(out, "<small>PLCC ");
    correlation(out, vj_html_metric(row, VJ_METRIC_PLCC));
    vj_text_add(out, ", SROCC ");
    correlation(out, vj_html_metric(row, VJ_METRIC_SROCC));
    vj_text_add(out, "</small></figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                SCATTER_WIDTH, SCATTER_HEIGHT);
    vj_text_html(out, name_of(row->name));
    vj_text_add(out, ": predicted against true quality factor\">\n");
    vj_plot_axes(out, &plot, "true QF", "predicted QF");
    vj_text_add(out, "<line class=\"truth\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                plot.left, plot.top + plot.height, plot.left + plot.width, plot.top);
    vj_text_add(out, "<g class=\"dots ");
    vj_html_class(page, index);
    vj_text_add(out, "\">");
    dots(page, &plot, c);
    vj_text_add(out, "</g></svg></figure>\n");
}

static bool any_prediction(const struct vj_report *r)
{
    for (size_t i = 0; vj_report_has_labels(r) && i < r->rows; i++)
        if (r->row[i].qf_pred && !r->row[i].random_weights)
            return true;
    return false;
}

void vj_html_scatter(const struct vj_html *page)
{
    struct counts *c;
    if (!any_prediction(page->report))
        return;
    c = vj_calloc(1, sizeof(*c));
    if (!c) {
        page->out->failed = true;
        return;
    }
    vj_text_add(
        page->out,
        "<section><h2>Predicted against true</h2><p>Every picture at its true and its "
        "predicted PW-JND; larger dots are several pictures. Below the dashed line the "
        "damage is visible, above it bytes are given away. PLCC, SROCC: Pearson's linear and "
        "Spearman's rank correlation.</p><div class=\"small\">\n");
    for (size_t i = 0; i < page->report->rows; i++)
        scatter_panel(page, c, page->order[i]);
    vj_text_add(page->out, "</div></section>\n");
    free(c);
}
