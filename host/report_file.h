/* SPDX-License-Identifier: MIT */
/* Reports of a results file: what `vpjnd report` prints and `vpjnd eval` ends with. */
#ifndef VJ_HOST_REPORT_FILE_H
#define VJ_HOST_REPORT_FILE_H

#include "eval/report.h"
#include "host/error.h"
#include "host/published.h"

enum vj_report_form {
    VJ_REPORT_FORM_TEXT,
    VJ_REPORT_FORM_CSV,
    VJ_REPORT_FORM_IMAGES_CSV,
    VJ_REPORT_FORM_SWEEP_CSV,
    VJ_REPORT_FORM_JSON,
    VJ_REPORT_FORM_HTML,
    VJ_REPORT_FORM_LATEX,
};

/* What is printed; all zero is the short text. */
struct vj_report_options {
    enum vj_report_form form;
    unsigned sections;                 /* enum vj_report_sections, for the text form */
    enum vj_published_scope published; /* others' figures: not in CSV and LaTeX */
    const char *published_file;        /* as in vj_published_read() */
    const char *against;               /* see vj_report_against() */
    size_t columns;                    /* of the text form, 0 = VJ_REPORT_COLUMNS */
};

/* Appends a report in the form asked for, with others' figures where they are wanted. */
int vj_report_write(struct vj_text *out, struct vj_report *report,
                    const struct vj_report_options *options, struct vj_error *err);

/* Reads a results file, finished or not, and appends its report. */
int vj_report_file(struct vj_text *out, const char *path, const struct vj_report_options *options,
                   struct vj_error *err);

#endif
