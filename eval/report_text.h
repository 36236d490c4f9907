/* SPDX-License-Identifier: MIT */
/* Inside eval/: pieces that the parts of the text report share, the first ones with other forms. */
#ifndef VJ_EVAL_REPORT_TEXT_H
#define VJ_EVAL_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/report.h"
#include "eval/table.h"

/* "-" for what is absent or empty. */
const char *vj_report_or_dash(const char *text);

/* What a run's candidates are numbered by: "QF" of JPEG, "level" of any other codec. */
const char *vj_report_axis_word(const struct vj_report *r);

/* Why an image failed, in words where the results file has none; NULL for one that did not. */
const char *vj_report_failure(const struct vj_report *report, size_t image);

/*
 * Why the predictor has no prediction of an image: the image's failure, or its own reason; NULL
 * where it has one. row->qf_pred: not NULL
 */
const char *vj_report_no_answer(const struct vj_report *report, const struct vj_report_row *row,
                                size_t image);

/* Is it a report of one run that is not finished? */
bool vj_report_unfinished(const struct vj_report *report);

/* How far an unfinished run is, and what there is of it, as plain text. */
void vj_report_progress(struct vj_text *out, const struct vj_report *report);

/* "done", "failed" or "not evaluated yet". */
const char *vj_report_state(const struct vj_report *report, size_t image);

/* Images that failed. */
size_t vj_report_count_failed(const struct vj_report *report);

/* Is the truth of any image known? */
bool vj_report_has_labels(const struct vj_report *report);

/* The label definition in force, and that it gives no label where it gives none. */
void vj_report_labels(struct vj_text *out, const struct vj_report *report);

/* Pictures that the accuracy of `metrics` (NULL: none) rests on: with prediction and label. */
size_t vj_report_rated(const struct vj_metrics *metrics);

/* " Pairs of constant are counted from ...", where predictors differ in that. */
void vj_report_pairs(struct vj_text *out, const struct vj_report *report);

/* " (5 pictures, 4 labelled)" where some of those that did not fail are not. */
void vj_report_labelled(struct vj_text *out, const struct vj_report *report);

/* "64 of 128x128 pixels from each picture, drawn independently, 1 draw"; nothing without networks.
 */
void vj_report_patches(struct vj_text *out, const struct vj_report_patches *patches);

/* A sentence on a predictor whose `seen` is not 0, as plain text. */
void vj_report_not_a_test(struct vj_text *out, const struct vj_report_row *row);

/* Mean predicted quality factor of the images that have one. */
struct vj_metric_value vj_report_mean_prediction(const struct vj_report *report,
                                                 const struct vj_report_row *row);

/*
 * The smallest quality factor without visible damage, vj_search_lossless_qf(), of a predictor that
 * has qf_pred; -1 where it has no prediction or, as where that is the image's anchor, none up to
 * the anchor.
 */
int32_t vj_report_lossless(const struct vj_report *report, const struct vj_report_row *row,
                           size_t image);

/* Size of an image's candidate and the share that it saves against the highest quality factor;
 * false where one of the sizes is not known. */
bool vj_report_size(uint32_t *bytes, double *saving, const struct vj_report *report, size_t image,
                    int32_t qf);

/* Of a candidate of so many bytes; NaN where the picture's size is not known. */
double vj_report_bits_per_pixel(const struct vj_report *r, size_t image, uint32_t bytes);

/* Appends text with every SHA-256 in it cut to its first 8 digits: enough to tell them apart. */
void vj_report_short_digests(struct vj_text *out, const char *text);

/* Columns of the report's lines: of tables, and of sentences, which long lines make hard to read.
 */
size_t vj_report_columns(const struct vj_report *report);
size_t vj_report_sentence_columns(const struct vj_report *report);

/* A section's title with its blank lines. */
void vj_report_heading(struct vj_text *out, const char *title);

/* "label         value", the value wrapped beside the label. */
void vj_report_field(struct vj_text *out, const struct vj_report *report, const char *label,
                     const char *value);

/* Wrapped text. */
void vj_report_paragraph(struct vj_text *out, const struct vj_report *report, const char *text);

/* "+1.25 [-0.50, +3.00]" times `scale`; "-" for what is absent. */
void vj_report_difference_cell(struct vj_table *table, const struct vj_metric_value *v,
                               double scale, int decimals);

/* The most columns of a table that gives some up where lines are short. */
enum { VJ_REPORT_FITTED_COLUMNS = 16 };

/*
 * Fills a table; step 0 has everything, every further one less.
 * column: [VJ_REPORT_FITTED_COLUMNS] for the description of its columns
 */
typedef void vj_report_fill_fn(struct vj_table *table, struct vj_table_column *column,
                               const struct vj_report *report, int step);

/*
 * Prints the fullest of `steps` steps that fits into the report's lines, and returns it.
 * one_line: rather give up columns than print the first cell of each row on a line of its own
 */
int vj_report_print_fitting(struct vj_text *out, const struct vj_report *report,
                            vj_report_fill_fn *fill, int steps, bool one_line);

/* The report's title and fields, up to the first section (report_header.c). */
void vj_report_header(struct vj_text *out, const struct vj_report *report);

/* What predictors agree in without labels (report_agreement.c); the sentence also for the page. */
void vj_report_agreements(struct vj_text *out, const struct vj_report *report);
extern const char vj_report_agreement_help[];

/* Sections of a comparison: its results files, and the images in no figure (report_runs.c). */
void vj_report_runs(struct vj_text *out, const struct vj_report *report);
void vj_report_left_outs(struct vj_text *out, const struct vj_report *report);

/* Others' figures, where they were asked for (report_published.c). */
void vj_report_published(struct vj_text *out, const struct vj_report *report);

#endif
