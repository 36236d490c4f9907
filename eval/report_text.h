/* SPDX-License-Identifier: MIT */
/* Inside eval/: pieces that the parts of the text report share, the first ones with the page. */
#ifndef VJ_EVAL_REPORT_TEXT_H
#define VJ_EVAL_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/report.h"

/* "-" for what is absent or empty. */
const char *vj_report_or_dash(const char *text);

/* What a run's candidates are numbered by: "QF" of JPEG, "level" of any other codec. */
const char *vj_report_axis_word(const struct vj_report *r);

/* Images with an error. */
size_t vj_report_count_failed(const struct vj_report *report);

/* Is the truth of any image known? */
bool vj_report_has_labels(const struct vj_report *report);

/* A section's title with its blank lines. */
void vj_report_heading(struct vj_text *out, const char *title);

/* "label         value", the value wrapped beside the label. */
void vj_report_field(struct vj_text *out, const char *label, const char *value);

/* Wrapped text, `indent` spaces in. */
void vj_report_paragraph(struct vj_text *out, const char *text, size_t indent);

/* Sections of a comparison: its results files, and the images in no figure (report_runs.c). */
void vj_report_runs(struct vj_text *out, const struct vj_report *report);
void vj_report_left_outs(struct vj_text *out, const struct vj_report *report);

/* Others' figures, where they were asked for (report_published.c). */
void vj_report_published(struct vj_text *out, const struct vj_report *report);

#endif
