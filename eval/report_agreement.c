/* SPDX-License-Identifier: MIT */
/* The report for people: what predictors agree in where nothing is labelled. */
#include <math.h>

#include "eval/report.h"
#include "eval/report_html.h"
#include "eval/report_text.h"
#include "eval/table.h"

const char vj_report_agreement_help[] =
    "No picture has a label, so nothing here says which predictor is nearer to the truth. Each "
    "row: first predictor minus second, on the pictures that both predict. diff.: mean difference "
    "of the predicted QFs; |diff.|: mean of its absolute value; equal, within 1, within 5: share "
    "of pictures whose predictions are no more QFs apart. saved: difference of the mean savings "
    "of bytes at the predicted QFs; bytes: what all pictures together take there, against the "
    "second predictor. Intervals of all of these: --csv, --json.";

enum { COLUMNS = 9, STEPS = 3 };

static void share_cell(struct vj_table *table, const struct vj_metric_value *v)
{
    if (v->present)
        vj_table_cell(table, "%.1f", 100 * v->value);
    else
        vj_table_cell(table, "-");
}

/* For where there is no room for the interval. */
static struct vj_metric_value without_interval(const struct vj_metric_value *v)
{
    struct vj_metric_value plain = *v;
    plain.has_interval = false;
    return plain;
}

/* Step 1 has no interval of bytes and one decimal, step 2 none of savings and stands closer. */
static void fill(struct vj_table *table, struct vj_table_column *column, const struct vj_report *r,
                 int step)
{
    static const char *const header[2 * COLUMNS] = {
        "",           "diff.,", "|diff.|,", "equal,", "within", "within", "saved,", "bytes,", "",
        "predictors", "QF",     "QF",       "%",      "1, %",   "5, %",   "points", "%",      "n",
    };
    column[0] = (struct vj_table_column){0, true};
    column[1] = (struct vj_table_column){step < 2 ? 2 : 1, false};
    *table = (struct vj_table){.column = column,
                               .described = 2,
                               .columns = COLUMNS,
                               .fixed = 1,
                               .own_line = true,
                               .header_rows = 2};
    for (int i = 0; i < 2 * COLUMNS; i++)
        vj_table_cell(table, "%s", header[i]);
    for (size_t i = 0; i < r->agreements; i++) {
        const struct vj_report_agreement *g = &r->agreement[i];
        const struct vj_report_row *a = &r->row[g->a], *b = &r->row[g->b];
        const struct vj_metric_value *v = g->result.value;
        vj_table_cell(table, "%s%s - %s%s", vj_report_or_dash(a->name), a->seen ? "*" : "",
                      vj_report_or_dash(b->name), b->seen ? "*" : "");
        vj_report_difference_cell(table, &v[VJ_AGREEMENT_DIFFERENCE], 1, step < 1 ? 2 : 1);
        if (v[VJ_AGREEMENT_ABS_DIFFERENCE].present)
            vj_table_cell(table, "%.2f", v[VJ_AGREEMENT_ABS_DIFFERENCE].value);
        else
            vj_table_cell(table, "-");
        share_cell(table, &v[VJ_AGREEMENT_EQUAL]);
        share_cell(table, &v[VJ_AGREEMENT_WITHIN_1]);
        share_cell(table, &v[VJ_AGREEMENT_WITHIN_5]);
        const struct vj_metric_value saving = without_interval(&v[VJ_AGREEMENT_SAVING]),
                                     bytes = without_interval(&v[VJ_AGREEMENT_BYTES]);
        vj_report_difference_cell(table, step < 2 ? &v[VJ_AGREEMENT_SAVING] : &saving, 100, 1);
        vj_report_difference_cell(table, step < 1 ? &v[VJ_AGREEMENT_BYTES] : &bytes, 100, 1);
        vj_table_cell(table, "%zu", g->result.images);
    }
}

void vj_report_agreements(struct vj_text *out, const struct vj_report *r)
{
    if (!r->agreements)
        return;
    vj_report_heading(out, "Differences, without labels");
    vj_report_print_fitting(out, r, fill, STEPS, false);
    vj_text_add(out, "\n");
    vj_report_paragraph(out, r, vj_report_agreement_help);
}

static void agreement_row(const struct vj_html *page, const struct vj_report_agreement *g,
                          const struct vj_axis *axis)
{
    const struct vj_metric_value *v = g->result.value;
    vj_text_add(page->out, "<tr><td>");
    vj_html_name(page, g->a);
    vj_text_add(page->out, " - ");
    vj_html_name(page, g->b);
    vj_text_add(page->out, "</td>");
    vj_html_estimate_cell(page, &v[VJ_AGREEMENT_DIFFERENCE], 1, 2, true);
    vj_text_add(page->out, "<td class=\"draw\">");
    vj_html_interval(page, g->a, axis, VJ_HTML_DIFFERENCE_WIDTH, &v[VJ_AGREEMENT_DIFFERENCE], true);
    vj_text_add(page->out, "</td>");
    for (int k = VJ_AGREEMENT_ABS_DIFFERENCE; k <= VJ_AGREEMENT_WITHIN_5; k++) {
        const struct vj_metric_value plain = without_interval(&v[k]);
        const bool share = vj_agreement_info((enum vj_agreement_metric)k)->is_share;
        vj_html_estimate_cell(page, &plain, share ? 100 : 1, share ? 1 : 2, false);
    }
    vj_html_estimate_cell(page, &v[VJ_AGREEMENT_SAVING], 100, 1, true);
    vj_html_estimate_cell(page, &v[VJ_AGREEMENT_BYTES], 100, 1, true);
    vj_text_add(page->out, "<td>%zu</td></tr>\n", g->result.images);
}

void vj_html_agreements(const struct vj_html *page)
{
    static const char *const title[] = {"|diff.|,<br>QF",
                                        "equal,<br>%",
                                        "within<br>1, %",
                                        "within<br>5, %",
                                        "saved,<br>points",
                                        "bytes,<br>%",
                                        "n"};
    const struct vj_report *r = page->report;
    double reach = 0;
    if (!r->agreements)
        return;
    for (size_t i = 0; i < r->agreements; i++)
        reach = fmax(reach, vj_html_reach(&r->agreement[i].result.value[VJ_AGREEMENT_DIFFERENCE]));
    const struct vj_axis axis = vj_axis_covering(-reach, reach, 4);
    vj_html_open_section(page, "Differences, without labels");
    vj_text_add(page->out, "<p>%s</p>\n", vj_report_agreement_help);
    vj_html_open_table(page, "numbers");
    vj_text_add(page->out, "<thead><tr><th>predictors</th><th>diff., QF</th><th class=\"draw\">");
    vj_html_scale(page, &axis, VJ_HTML_DIFFERENCE_WIDTH);
    vj_text_add(page->out, "</th>");
    for (size_t i = 0; i < sizeof(title) / sizeof(title[0]); i++)
        vj_text_add(page->out, "<th>%s</th>", title[i]);
    vj_text_add(page->out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < r->agreements; i++)
        agreement_row(page, &r->agreement[i], &axis);
    vj_html_close_table(page);
    vj_html_close_section(page);
}
