/* SPDX-License-Identifier: MIT */
/* Reports of a results file: what `vpjnd report` prints and `vpjnd eval` ends with. */
#ifndef VJ_HOST_REPORT_FILE_H
#define VJ_HOST_REPORT_FILE_H

#include "eval/report.h"
#include "host/error.h"

enum vj_report_form {
    VJ_REPORT_FORM_TEXT,
    VJ_REPORT_FORM_CSV,
    VJ_REPORT_FORM_IMAGES_CSV,
    VJ_REPORT_FORM_JSON,
};

/*
 * Appends a report in the form asked for.
 * sections: enum vj_report_sections, for the text form
 */
int vj_report_write(struct vj_text *out, const struct vj_report *report, enum vj_report_form form,
                    unsigned sections, struct vj_error *err);

/*
 * Reads a results file, finished or not, and appends its report.
 * sections: enum vj_report_sections, for the text form
 */
int vj_report_file(struct vj_text *out, const char *path, enum vj_report_form form,
                   unsigned sections, struct vj_error *err);

#endif
