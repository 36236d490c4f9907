/* SPDX-License-Identifier: MIT */
/* The report for people: what only a comparison of several results files has. */
#include <inttypes.h>
#include <stdio.h>

#include "eval/report.h"
#include "eval/report_text.h"

/* "name: text", wrapped. */
static void named(struct vj_text *out, const struct vj_report *report, const char *name,
                  const char *text, size_t indent)
{
    vj_text_fill(out, ' ', indent);
    vj_text_plain(out, vj_report_or_dash(name));
    vj_text_add(out, ": ");
    vj_text_wrap(out, vj_report_or_dash(text),
                 indent + vj_text_columns(vj_report_or_dash(name)) + 2, indent + 4,
                 vj_report_sentence_columns(report));
}

void vj_report_runs(struct vj_text *out, const struct vj_report *report)
{
    if (!report->runs)
        return;
    vj_report_heading(out, "Results files");
    for (size_t i = 0; i < report->runs; i++) {
        const struct vj_report_run *run = &report->run[i];
        struct vj_text line = {0};
        vj_text_add(&line, "%s (%zu pictures, seed %" PRIu64 ", vpjnd %s, %s",
                    vj_report_or_dash(run->path), run->images, run->seed,
                    vj_report_or_dash(run->program_version), vj_report_or_dash(run->device));
        if (run->patches.count)
            vj_text_add(&line, "; patches: ");
        vj_report_patches(&line, &run->patches);
        vj_text_add(&line, ")%s",
                    run->complete ? ""
                                  : "; INCOMPLETE: the run was cut short, finish it with "
                                    "--resume");
        named(out, report, run->name, line.data, 0);
        out->failed |= line.failed;
        vj_text_free(&line);
    }
}

static size_t count_barriers(const struct vj_report *report)
{
    size_t barriers = 0;
    for (size_t i = 0; i < report->differences; i++)
        barriers += report->difference[i].barrier;
    return barriers;
}

static void list_differences(struct vj_text *out, const struct vj_report *report, bool barrier)
{
    for (size_t i = 0; i < report->differences; i++) {
        const struct vj_report_difference *d = &report->difference[i];
        if (d->barrier != barrier)
            continue;
        vj_text_plain(out, vj_report_or_dash(d->field));
        vj_text_add(out, "\n");
        for (size_t k = 0; k < report->runs; k++) {
            struct vj_text value = {0};
            vj_report_short_digests(&value, vj_report_or_dash(d->value[k]));
            named(out, report, report->run[k].name, value.data, 2);
            out->failed |= value.failed;
            vj_text_free(&value);
        }
    }
}

void vj_report_differences(struct vj_text *out, const struct vj_report *report)
{
    size_t barriers = count_barriers(report);
    if (barriers) {
        vj_report_heading(out, "NOT COMPARABLE: the results files differ in");
        list_differences(out, report, true);
        vj_text_add(out, "\n");
        vj_report_paragraph(out, report,
                            "Figures that rest on these do not mean the same in every file. Where "
                            "they are compared all the same (--force), labels, sizes and qualities "
                            "are those of the first file.");
    }
    if (report->differences > barriers) {
        vj_report_heading(out, "What else the results files differ in");
        list_differences(out, report, false);
    }
}

void vj_report_left_outs(struct vj_text *out, const struct vj_report *report)
{
    if (!report->left_outs)
        return;
    vj_text_add(out, "\nLeft out of every figure (%zu pictures)\n\n", report->left_outs);
    for (size_t i = 0; i < report->left_outs; i++)
        named(out, report, report->left_out[i].name, report->left_out[i].reason, 0);
}
