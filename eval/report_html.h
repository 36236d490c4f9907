/* SPDX-License-Identifier: MIT */
/* Inside eval/: pieces of the HTML report, its charts (report_charts.c) and report_html_runs.c. */
#ifndef VJ_EVAL_REPORT_HTML_H
#define VJ_EVAL_REPORT_HTML_H

#include <stddef.h>

#include "eval/plot.h"
#include "eval/report.h"

/* Colours of the page; the first ones belong to the predictors with the smallest MAD. */
enum { VJ_HTML_LEADING = 6, VJ_HTML_COLOURS = 2 * VJ_HTML_LEADING };

enum { VJ_HTML_PICTURES = 200 }; /* rows of tables of pictures */

/* A page in progress. */
struct vj_html {
    struct vj_text *out;
    const struct vj_report *report;
    size_t *order; /* [rows] predictors by MAD, those without one last */
    int *colour;   /* [rows] 0..VJ_HTML_COLOURS - 1, one predictor's throughout; -1 grey */
};

/* The metric of a predictor; present is false for random weights and where there is none. */
const struct vj_metric_value *vj_html_metric(const struct vj_report_row *row,
                                             enum vj_metric metric);

/* The CSS class of a predictor's marks: "c0" ..., or "other". */
void vj_html_class(const struct vj_html *page, size_t row);

/* Text with what HTML reads as markup replaced; NULL and "" are a "-". */
void vj_html_words(const struct vj_html *page, const char *text);

void vj_html_open_section(const struct vj_html *page, const char *title);
void vj_html_close_section(const struct vj_html *page);

/* kind: "numbers" or "text", a class of the style sheet; a head comes next, its first column is on
 * the left */
void vj_html_open_table(const struct vj_html *page, const char *kind);
void vj_html_head(const struct vj_html *page, const char *const *title, size_t columns);
void vj_html_text_cell(const struct vj_html *page, const char *text);
/* A positive whole number; 0 stands for none. */
void vj_html_whole_cell(const struct vj_html *page, int value);
void vj_html_close_table(const struct vj_html *page);

/* "7.82 [6.06, 9.93]" times `scale`, the interval on a line of its own where there is no room. */
void vj_html_estimate_cell(const struct vj_html *page, const struct vj_metric_value *v,
                           double scale, int decimals, bool sign);

/* A predictor's name, with an asterisk where its figures are no test. */
void vj_html_name(const struct vj_html *page, size_t row);

/* A coloured box. */
void vj_html_warning(const struct vj_html *page, const char *text);

/*
 * A value with its interval on an axis `width` pixels long, as a small drawing for a table's cell.
 * zero: also draws the axis's zero, if it lies on it
 */
void vj_html_interval(const struct vj_html *page, size_t row, const struct vj_axis *axis,
                      double width, const struct vj_metric_value *v, bool zero);

/* The axis alone, with its numbers, for the head of a column of such drawings. */
void vj_html_scale(const struct vj_html *page, const struct vj_axis *axis, double width);

/* Farthest from zero that a value and its interval go, for an axis of differences. */
double vj_html_reach(const struct vj_metric_value *v);

enum { VJ_HTML_DIFFERENCE_WIDTH = 140 }; /* of drawings of differences, CSS pixels */

/* Section: what predictors agree in where nothing is labelled (report_agreement.c). */
void vj_html_agreements(const struct vj_html *page);

/* Sections: rate-damage curves, over offsets and over tolerances; predictions against the truth. */
void vj_html_curves(const struct vj_html *page);
void vj_html_scatter(const struct vj_html *page);

/* Sections that are no figures of accuracy; empty ones are left out (report_html_runs.c). */
void vj_html_states(const struct vj_html *page); /* pictures of an unfinished run */
void vj_html_throughput(const struct vj_html *page);
void vj_html_failures(const struct vj_html *page);
void vj_html_left_outs(const struct vj_html *page);
void vj_html_runs(const struct vj_html *page);
void vj_html_run_differences(const struct vj_html *page);
void vj_html_published(const struct vj_html *page);
void vj_html_provenance(const struct vj_html *page);

#endif
