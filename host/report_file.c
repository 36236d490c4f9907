/* SPDX-License-Identifier: MIT */
#include "host/report_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "eval/report_text.h"
#include "host/report_source.h"

static int write_form(struct vj_text *out, const struct vj_report *report,
                      const struct vj_report_options *options, struct vj_error *err)
{
    switch (options->form) {
    case VJ_REPORT_FORM_TEXT:
        return vj_report_text(out, report, options->sections, err);
    case VJ_REPORT_FORM_CSV:
        return vj_report_csv(out, report, err);
    case VJ_REPORT_FORM_IMAGES_CSV:
        return vj_report_images_csv(out, report, err);
    case VJ_REPORT_FORM_SWEEP_CSV:
        return vj_report_sweep_csv(out, report, err);
    case VJ_REPORT_FORM_JSON:
        return vj_report_json(out, report, err);
    case VJ_REPORT_FORM_HTML:
        return vj_report_html(out, report, err);
    case VJ_REPORT_FORM_LATEX:
        return vj_report_latex(out, report, err);
    }
    return vj_fail(err, -EINVAL, "unknown form of report");
}

int vj_report_write(struct vj_text *out, struct vj_report *report,
                    const struct vj_report_options *options, struct vj_error *err)
{
    struct vj_published published = {0};
    int r = 0;
    report->columns = options->columns;
    if (options->published) {
        bool all = options->published == VJ_PUBLISHED_ALL;
        r = vj_published_read(&published, options->published_file, all ? NULL : report->dataset,
                              err);
        const char *slash = strrchr(published.file, '/');
        report->published_file = slash ? slash + 1 : published.file;
        report->published = published.row;
        report->publisheds = published.count;
    }
    if (!r)
        r = write_form(out, report, options, err);
    report->published_file = NULL;
    report->published = NULL;
    report->publisheds = 0;
    vj_published_free(&published);
    return r;
}

/* Until the run is finished those of some predictors may be written and those of others not. */
static void drop_predictions(struct vj_analysis *a)
{
    for (size_t i = 0; i < a->predictors; i++)
        for (size_t k = 0; k < a->count; k++)
            a->predictor[i].qf_pred[k] = VJ_EVAL_UNKNOWN;
}

/* The other forms say so in themselves. */
static void tell_of_missing_rows(const struct vj_report *report, enum vj_report_form form)
{
    const bool table = form == VJ_REPORT_FORM_CSV || form == VJ_REPORT_FORM_IMAGES_CSV ||
                       form == VJ_REPORT_FORM_SWEEP_CSV || form == VJ_REPORT_FORM_LATEX;
    if (!table || !vj_report_unfinished(report))
        return;
    struct vj_text line = {0};
    vj_text_add(&line, "vpjnd: ");
    vj_text_plain(&line, report->results_file);
    vj_text_add(&line, ": the run has not finished, so that no predictor has figures yet");
    if (report->resume) {
        vj_text_add(&line, "; to finish it: ");
        vj_text_plain(&line, report->resume);
    }
    if (!line.failed)
        fprintf(stderr, "%s\n", line.data);
    vj_text_free(&line);
}

int vj_report_file(struct vj_text *out, const char *path, const struct vj_report_options *options,
                   struct vj_error *err)
{
    struct vj_report_source source = {0};
    struct vj_report_tables tables = {0};
    struct vj_report report;
    int against;
    int r = vj_report_source_open(&source, path, err);
    if (!r && !source.complete)
        drop_predictions(&source.analysis);
    if (!r) {
        const struct vj_bootstrap boot = vj_report_bootstrap(&source);
        r = vj_report_against(&against, &source.analysis, options->against, VJ_AGAINST_FIRST, err);
        if (!r)
            r = vj_report_tables_make(&tables, &source.analysis, &boot, against, err);
        if (r)
            vj_fail_prefix(err, "%s", path);
    }
    /* The run's, and worth a line only where there is nothing else to say. */
    for (size_t i = 0; i < tables.rows; i++)
        if (tables.row[i].random_weights)
            tables.row[i].images_per_second = source.images_per_second;
    if (!r) {
        vj_report_fill(&report, &source, &source.analysis, &tables);
        r = vj_report_write(out, &report, options, err);
        tell_of_missing_rows(&report, options->form);
    }
    vj_report_tables_free(&tables);
    vj_report_source_close(&source);
    return r;
}
