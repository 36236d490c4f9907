/* SPDX-License-Identifier: MIT */
/* The head of the report for people: what was evaluated, how, and how far it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "eval/report.h"
#include "eval/report_text.h"
#include "host/utf8.h"

/* What says of a single run where its figures come from; of several, each says it for itself. */
static void add_origin(struct vj_text *out, const struct vj_report *r)
{
    char line[32];
    snprintf(line, sizeof(line), "%" PRIu64, r->seed);
    struct vj_text patches = {0};
    vj_report_field(out, r, "seed", line);
    vj_report_patches(&patches, &r->patches);
    if (patches.size)
        vj_report_field(out, r, "patches", patches.data);
    out->failed |= patches.failed;
    vj_text_free(&patches);
    vj_report_field(out, r, "device", vj_report_or_dash(r->device));
    vj_report_field(out, r, "results", vj_report_or_dash(r->results_file));
}

/* A text that may be long; nothing where there is none. attribute: where all of it stands */
static void add_finding(struct vj_text *out, const struct vj_report *r, const char *label,
                        const char *text, const char *attribute)
{
    enum { SHOWN = 300 };
    char line[SHOWN + 80], rest[80];
    if (!text || !*text)
        return;
    snprintf(rest, sizeof(rest), "... (all in the attribute %s)", attribute);
    const size_t shown = vj_utf8_cut(text, SHOWN);
    snprintf(line, sizeof(line), "%.*s%s", (int)shown, text, text[shown] ? rest : "");
    vj_report_field(out, r, label, line);
}

/* What was found in the data set: shown where there is something to say. */
static void add_findings(struct vj_text *out, const struct vj_report *r)
{
    if (r->axis && *r->axis)
        vj_report_field(out, r, "axis", r->axis);
    add_finding(out, r, "not used", r->excluded, "dataset_excluded");
    add_finding(out, r, "duplicates", r->duplicates, "duplicates");
    add_finding(out, r, "taken from", r->rows_from, "rows_from");
}

/* How many pictures there are, of which kinds. */
static void add_counts(struct vj_text *out, const struct vj_report *r)
{
    struct vj_text line = {0};
    const size_t failed = vj_report_count_failed(r);
    if (r->runs) {
        vj_text_add(&line, "%zu in every run%s, %zu left out", r->images,
                    vj_report_has_labels(r) ? " with a label" : "", r->left_outs);
    } else {
        vj_text_add(&line, "%zu: %zu ok, %zu failed", r->images, r->images - failed - r->pending,
                    failed);
        if (r->pending)
            vj_text_add(&line, ", %zu not evaluated yet", r->pending);
        vj_report_labelled(&line, r);
    }
    vj_report_field(out, r, "pictures", line.data ? line.data : "");
    out->failed |= line.failed;
    vj_text_free(&line);
}

/* The command stands on a line of its own, as long as it is, to be copied. */
static void add_progress(struct vj_text *out, const struct vj_report *r)
{
    struct vj_text line = {0};
    vj_report_progress(&line, r);
    vj_report_field(out, r, "INCOMPLETE", line.data ? line.data : "");
    out->failed |= line.failed;
    vj_text_free(&line);
    if (!r->resume)
        return;
    vj_report_heading(out, "To finish the run, where it was started");
    vj_text_plain(out, r->resume);
    vj_text_add(out, "\n");
}

void vj_report_header(struct vj_text *out, const struct vj_report *r)
{
    char line[512];
    struct vj_text labels = {0};
    snprintf(line, sizeof(line), "%s, vpjnd %s",
             r->runs ? "Comparison of picture-wise JND evaluations" : "Picture-wise JND evaluation",
             vj_report_or_dash(r->program_version));
    vj_report_paragraph(out, r, line);
    vj_text_fill(out, '=', vj_text_columns(line));
    vj_text_add(out, "\n\n");
    vj_report_field(out, r, "data set", vj_report_or_dash(r->dataset));
    add_counts(out, r);
    vj_report_labels(&labels, r);
    vj_report_field(out, r, "labels", labels.data ? labels.data : "");
    out->failed |= labels.failed;
    vj_text_free(&labels);
    if (vj_report_has_labels(r) && !r->human_labels)
        vj_report_field(
            out, r, "",
            "No person gave these labels: they come from a made-up observer, and figures held "
            "against them say nothing about human vision.");
    snprintf(line, sizeof(line), "%s (%s), %s %d to %d%s", vj_report_or_dash(r->codec),
             vj_report_or_dash(r->candidates), vj_report_axis_word(r), r->qf_first, r->qf_last,
             strcmp(vj_report_axis_word(r), "QF") == 0 ? "" : "; QF below stands for the level");
    vj_report_field(out, r, "candidates", line);
    vj_report_field(out, r, "folds", vj_report_or_dash(r->folds));
    add_findings(out, r);
    if (!r->runs)
        add_origin(out, r);
    if (r->resamples) {
        snprintf(line, sizeof(line),
                 "%g %%, expanded percentile bootstrap over %d pictures or more, %zu resamples",
                 100 * r->confidence, VJ_INTERVAL_FEWEST, r->resamples);
        vj_report_field(out, r, "intervals", line);
    }
    if (vj_report_unfinished(r))
        add_progress(out, r);
}
