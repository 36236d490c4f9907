/* SPDX-License-Identifier: MIT */
/* What all forms of a report ask of it: counts, single figures and sentences on them. */
#include <math.h>
#include <string.h>

#include "eval/report.h"
#include "eval/report_text.h"
#include "eval/search.h"

const char *vj_report_failure(const struct vj_report *r, size_t image)
{
    const char *error = r->image_error ? r->image_error[image] : NULL;
    if (!r->image_status || r->image_status[image] <= 0)
        return NULL;
    return error && *error ? error : "failed; the results file does not say why";
}

const char *vj_report_no_answer(const struct vj_report *r, const struct vj_report_row *row,
                                size_t image)
{
    const char *failure = vj_report_failure(r, image);
    if (failure || row->qf_pred[image] >= 0)
        return failure;
    if (r->image_status && r->image_status[image] < 0)
        return "not evaluated yet";
    if (r->folds && strcmp(r->folds, "none") != 0 && r->image_fold && r->image_fold[image] < 0)
        return "belongs to no fold and is not tested";
    if (row->no_answer)
        return row->no_answer;
    return r->complete ? "no answer; the results file does not say why"
                       : "the run has not finished";
}

bool vj_report_unfinished(const struct vj_report *r)
{
    return !r->complete && !r->runs;
}

void vj_report_progress(struct vj_text *out, const struct vj_report *r)
{
    const size_t failed = vj_report_count_failed(r);
    vj_text_add(out, "The run goes on or was cut short: %zu of %zu pictures are done",
                r->images - r->pending, r->images);
    if (failed)
        vj_text_add(out, ", %zu of which failed", failed);
    vj_text_add(out, ". Predictions and figures are made at the end of the run");
    if (r->measured && *r->measured)
        vj_text_add(out, "; until then the file holds, of each picture that is done, %s",
                    r->measured);
    vj_text_add(out, ".");
}

const char *vj_report_state(const struct vj_report *r, size_t image)
{
    if (vj_report_failure(r, image))
        return "failed";
    return r->image_status && r->image_status[image] < 0 ? "not evaluated yet" : "done";
}

size_t vj_report_count_failed(const struct vj_report *r)
{
    size_t failed = 0;
    for (size_t i = 0; i < r->images; i++)
        failed += vj_report_failure(r, i) != NULL;
    return failed;
}

bool vj_report_has_labels(const struct vj_report *r)
{
    for (size_t i = 0; r->qf_true && i < r->images; i++) {
        if (r->qf_true[i] >= 0)
            return true;
    }
    return false;
}

void vj_report_labels(struct vj_text *out, const struct vj_report *r)
{
    const char *definition = vj_report_or_dash(r->label_definition);
    if (vj_report_has_labels(r))
        vj_text_add(out, "%s", definition);
    else if (!r->qf_true || strcmp(definition, "-") == 0 || strcmp(definition, "none") == 0)
        vj_text_add(out, "none: predictions only");
    else
        vj_text_add(out, "%s; no picture has such a label: predictions only", definition);
}

size_t vj_report_rated(const struct vj_metrics *m)
{
    return m && m->value[VJ_METRIC_MAD].present ? m->value[VJ_METRIC_MAD].n : 0;
}

void vj_report_pairs(struct vj_text *out, const struct vj_report *r)
{
    size_t answers = 0, steps = 0;
    struct vj_text names = {0};
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (row->random_weights || !row->metrics || !vj_has_pairs(row->metrics))
            continue;
        if (row->metrics->pairs == VJ_PAIRS_FROM_ANSWERS)
            answers++;
        else
            vj_text_add(&names, "%s%s", steps++ ? ", " : "", vj_report_or_dash(row->name));
    }
    if (answers && steps)
        vj_text_add(out,
                    " Pairs of %s are counted from the step at the predicted QF, those of the "
                    "others from their answers.",
                    names.data ? names.data : "");
    out->failed |= names.failed;
    vj_text_free(&names);
}

void vj_report_labelled(struct vj_text *out, const struct vj_report *r)
{
    size_t fine = 0, labelled = 0;
    for (size_t i = 0; r->qf_true && i < r->images; i++) {
        const bool ok = !vj_report_failure(r, i);
        fine += ok;
        labelled += ok && r->qf_true[i] >= 0;
    }
    if (labelled && labelled < fine)
        vj_text_add(out, " (%zu pictures, %zu labelled)", fine, labelled);
}

void vj_report_patches(struct vj_text *out, const struct vj_report_patches *p)
{
    if (!p->count)
        return;
    vj_text_add(out, "%d of %dx%d pixels from each picture, %s, %d draw%s%s", p->count, p->size,
                p->size, p->even ? "evenly over it from a random start" : "drawn independently",
                p->draws, p->draws == 1 ? "" : "s",
                p->own_map ? "; those of the pixel-JND map have positions of their own" : "");
}

struct vj_metric_value vj_report_mean_prediction(const struct vj_report *r,
                                                 const struct vj_report_row *row)
{
    struct vj_metric_value mean = {0};
    for (size_t i = 0; row->qf_pred && i < r->images; i++) {
        if (row->qf_pred[i] < 0)
            continue;
        mean.value += row->qf_pred[i];
        mean.n++;
    }
    mean.present = mean.n > 0;
    if (mean.present)
        mean.value /= (double)mean.n;
    return mean;
}

int32_t vj_report_lossless(const struct vj_report *r, const struct vj_report_row *row, size_t image)
{
    const int32_t anchor = r->anchor ? r->anchor[image] : 0, qf_pred = row->qf_pred[image];
    const size_t levels = (size_t)(r->qf_last - r->qf_first) + 1;
    if (qf_pred < 0 || (anchor > 0 && qf_pred >= anchor))
        return VJ_EVAL_UNKNOWN;
    const bool lowest_lossless = row->lossy && row->lossy[image * levels] == 0;
    return vj_search_lossless_qf(qf_pred, lowest_lossless, r->qf_first, r->qf_last);
}

bool vj_report_size(uint32_t *bytes, double *saving, const struct vj_report *r, size_t image,
                    int32_t qf)
{
    if (!r->bytes || qf < r->qf_first || qf > r->qf_last)
        return false;
    const size_t levels = (size_t)(r->qf_last - r->qf_first) + 1;
    const uint32_t *size = r->bytes + image * levels, most = size[levels - 1];
    *bytes = size[qf - r->qf_first];
    *saving = most ? 1 - *bytes / (double)most : 0;
    return most > 0 && *bytes > 0;
}

double vj_report_bits_per_pixel(const struct vj_report *r, size_t image, uint32_t bytes)
{
    const int32_t width = r->image_width ? r->image_width[image] : -1;
    const int32_t height = r->image_height ? r->image_height[image] : -1;
    return width > 0 && height > 0 ? 8.0 * bytes / ((double)width * height) : NAN;
}

void vj_report_short_digests(struct vj_text *out, const char *text)
{
    enum { DIGITS = 64, SHOWN = 8 };
    while (*text) {
        size_t other = strcspn(text, "0123456789abcdef");
        vj_text_add(out, "%.*s", (int)other, text);
        text += other;
        size_t digits = strspn(text, "0123456789abcdef");
        vj_text_add(out, "%.*s", (int)(digits == DIGITS ? SHOWN : digits), text);
        text += digits;
    }
}
