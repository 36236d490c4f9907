/* SPDX-License-Identifier: MIT */
/* The report for people: figures that others published, in tables of their own. */
#include <string.h>

#include "eval/report.h"
#include "eval/report_text.h"
#include "eval/table.h"

static bool same_words(const struct vj_report_published *a, const struct vj_report_published *b)
{
    return strcmp(a->source, b->source) == 0 && strcmp(a->labels, b->labels) == 0 &&
           strcmp(a->note, b->note) == 0;
}

/* Is row i the first with its source, label definition and note? */
static bool is_first(const struct vj_report *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_words(&r->published[k], &r->published[i]))
            return false;
    return true;
}

/* Number of the remark that row i shares with all rows of the same source, labels and note. */
static size_t remark_of(const struct vj_report *r, size_t i)
{
    size_t number = 0;
    for (size_t k = 0; k < r->publisheds; k++) {
        number += is_first(r, k);
        if (same_words(&r->published[k], &r->published[i]))
            break;
    }
    return number;
}

static void value_cell(struct vj_table *table, const struct vj_report_published *p)
{
    const char *sign = p->below ? "< " : "";
    const char *gap = *p->units ? " " : "";
    vj_table_cell(table, "%s%s%s%s%s%s", sign, p->printed, *p->spread ? " +- " : "", p->spread, gap,
                  p->units);
}

static void add_figures(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {{0, true}, {2, true},  {2, true}, {2, false},
                                                    {2, true}, {2, false}, {2, false}};
    static const char *const header[] = {"model",  "data set", "codec", "JND",
                                         "metric", "value",    "see"};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 7, .fixed = 1,
                             .header_rows = 1};
    size_t shown = 0;
    for (size_t i = 0; i < 7; i++)
        vj_table_cell(&table, "%s", header[i]);
    for (size_t i = 0; i < r->publisheds; i++) {
        const struct vj_report_published *p = &r->published[i];
        if (p->point)
            continue;
        shown++;
        vj_table_cell(&table, "%s", vj_report_or_dash(p->model));
        vj_table_cell(&table, "%s", vj_report_or_dash(p->dataset));
        vj_table_cell(&table, "%s", vj_report_or_dash(p->codec));
        if (p->jnd)
            vj_table_cell(&table, "%d", p->jnd);
        else
            vj_table_cell(&table, "-");
        vj_table_cell(&table, "%s", vj_report_or_dash(p->metric));
        value_cell(&table, p);
        vj_table_cell(&table, "[%zu]", remark_of(r, i));
    }
    if (shown)
        vj_table_print(out, &table, 0, vj_report_columns(r));
    else
        out->failed |= table.pool.failed;
    vj_table_free(&table);
}

static bool same_point(const struct vj_report_published *a, const struct vj_report_published *b)
{
    return a->point == b->point && a->jnd == b->jnd && strcmp(a->model, b->model) == 0 &&
           strcmp(a->dataset, b->dataset) == 0 && strcmp(a->codec, b->codec) == 0;
}

/* The cell of one quantity at the point of row i. */
static void point_cell(struct vj_table *table, const struct vj_report *r, size_t i,
                       const char *metric)
{
    for (size_t k = 0; k < r->publisheds; k++) {
        const struct vj_report_published *p = &r->published[k];
        if (!same_point(p, &r->published[i]) || strcmp(p->metric, metric) != 0)
            continue;
        vj_table_cell(table, "%s%s", p->below ? "< " : "", p->printed);
        return;
    }
    vj_table_cell(table, "-");
}

static bool starts_point(const struct vj_report *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_point(&r->published[k], &r->published[i]))
            return false;
    return r->published[i].point > 0;
}

static void add_curves(struct vj_text *out, const struct vj_report *r)
{
    static const struct vj_table_column column[] = {
        {0, true}, {2, true}, {2, false}, {3, false}, {2, false}};
    static const char *const header[] = {"model",   "data set",  "point",    "saved, %",
                                         "dQF, QF", "dPSNR, dB", "dMS-SSIM", "see"};
    static const char *const quantity[] = {"curve_saving", "curve_dqf", "curve_dpsnr",
                                           "curve_dms_ssim"};
    struct vj_table table = {VJ_TABLE_DESCRIPTION(column), .columns = 8, .fixed = 1,
                             .header_rows = 1};
    size_t shown = 0;
    for (size_t i = 0; i < 8; i++)
        vj_table_cell(&table, "%s", header[i]);
    for (size_t i = 0; i < r->publisheds; i++) {
        const struct vj_report_published *p = &r->published[i];
        if (!starts_point(r, i))
            continue;
        shown++;
        vj_table_cell(&table, "%s", vj_report_or_dash(p->model));
        vj_table_cell(&table, "%s", vj_report_or_dash(p->dataset));
        vj_table_cell(&table, "%d", p->point);
        for (size_t k = 0; k < 4; k++)
            point_cell(&table, r, i, quantity[k]);
        vj_table_cell(&table, "[%zu]", remark_of(r, i));
    }
    if (shown) {
        vj_report_heading(out, "Rate-damage curves of others");
        vj_table_print(out, &table, 0, vj_report_columns(r));
    }
    out->failed |= table.pool.failed;
    vj_table_free(&table);
}

static void add_remarks(struct vj_text *out, const struct vj_report *r)
{
    size_t number = 0;
    vj_text_add(out, "\n");
    for (size_t i = 0; i < r->publisheds; i++) {
        const struct vj_report_published *p = &r->published[i];
        struct vj_text line = {0};
        if (!is_first(r, i))
            continue;
        vj_text_add(&line, "[%zu] %s. Labels: %s.%s%s%s", ++number, vj_report_or_dash(p->source),
                    *p->labels ? p->labels : "not stated", *p->note ? " Note: " : "", p->note,
                    *p->note ? "." : "");
        vj_text_wrap(out, line.data ? line.data : "", 0, 4, vj_report_sentence_columns(r));
        out->failed |= line.failed;
        vj_text_free(&line);
    }
}

void vj_report_published(struct vj_text *out, const struct vj_report *report)
{
    struct vj_text line = {0};
    if (!report->published_file)
        return;
    vj_report_heading(out, "FIGURES OF OTHERS, as published, not measured here");
    if (report->publisheds) {
        vj_text_add(&line,
                    "From %s. Their labels, pictures and folds are their authors' and may differ "
                    "from those of this report.",
                    report->published_file);
    } else {
        vj_text_add(&line, "%s has none of data set %s; --published=all shows those of all.",
                    report->published_file, vj_report_or_dash(report->dataset));
    }
    vj_report_paragraph(out, report, line.data ? line.data : "");
    out->failed |= line.failed;
    vj_text_free(&line);
    if (!report->publisheds)
        return;
    vj_text_add(out, "\n");
    add_figures(out, report);
    add_curves(out, report);
    add_remarks(out, report);
}
