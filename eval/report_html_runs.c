/* SPDX-License-Identifier: MIT */
/* Sections of the page that are no figures of accuracy: speed, failures, runs, figures of others.
 */
#include "eval/report_html.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "eval/report_text.h"

void vj_html_throughput(const struct vj_html *page)
{
    static const char *const title[] = {"predictor", "images/s"};
    const struct vj_report *r = page->report;
    size_t measured = 0;
    for (size_t i = 0; i < r->rows; i++)
        measured += r->row[i].images_per_second > 0;
    if (!measured)
        return;
    vj_html_open_section(page, "Throughput");
    vj_html_open_table(page, "numbers");
    vj_html_head(page, title, 2);
    for (size_t i = 0; i < r->rows; i++) {
        const struct vj_report_row *row = &r->row[i];
        if (!(row->images_per_second > 0) || !isfinite(row->images_per_second))
            continue;
        vj_text_add(page->out, "<tr><td>");
        vj_html_words(page, row->name);
        vj_text_add(page->out, "%s</td><td>%.3g</td></tr>\n",
                    row->random_weights ? " (random weights: no accuracy)" : "",
                    row->images_per_second);
    }
    vj_html_close_table(page);
    vj_html_close_section(page);
}

/* How many of `all` pictures a table gets; says which report has the others. */
static size_t count_rows(const struct vj_html *page, size_t all, const char *others)
{
    if (all <= VJ_HTML_PICTURES)
        return all;
    vj_text_add(page->out, "<p>%d of %zu; %s has them all.</p>\n", VJ_HTML_PICTURES, all, others);
    return VJ_HTML_PICTURES;
}

void vj_html_states(const struct vj_html *page)
{
    static const char *const title[] = {"picture", "state"};
    const struct vj_report *r = page->report;
    vj_html_open_section(page, "Pictures");
    const size_t count = count_rows(page, r->images, "vpjnd report --images");
    vj_html_open_table(page, "text");
    vj_html_head(page, title, 2);
    for (size_t i = 0; i < count; i++) {
        vj_text_add(page->out, "<tr>");
        vj_html_text_cell(page, r->image_name[i]);
        vj_html_text_cell(page, vj_report_state(r, i));
        vj_text_add(page->out, "</tr>\n");
    }
    vj_html_close_table(page);
    vj_html_close_section(page);
}

void vj_html_failures(const struct vj_html *page)
{
    static const char *const title[] = {"picture", "error"};
    const struct vj_report *r = page->report;
    const size_t failed = vj_report_count_failed(r);
    if (!failed)
        return;
    vj_html_open_section(page, "Failures");
    size_t rows = count_rows(page, failed, "the text report");
    vj_html_open_table(page, "text");
    vj_html_head(page, title, 2);
    for (size_t i = 0; rows > 0 && i < r->images; i++) {
        if (!vj_report_failure(r, i))
            continue;
        rows--;
        vj_text_add(page->out, "<tr>");
        vj_html_text_cell(page, r->image_name[i]);
        vj_html_text_cell(page, vj_report_failure(r, i));
        vj_text_add(page->out, "</tr>\n");
    }
    vj_html_close_table(page);
    vj_html_close_section(page);
}

void vj_html_left_outs(const struct vj_html *page)
{
    static const char *const title[] = {"picture", "reason"};
    const struct vj_report *r = page->report;
    if (!r->left_outs)
        return;
    vj_html_open_section(page, "Left out of every figure");
    const size_t rows = count_rows(page, r->left_outs, "the text report");
    vj_html_open_table(page, "text");
    vj_html_head(page, title, 2);
    for (size_t i = 0; i < rows; i++) {
        vj_text_add(page->out, "<tr>");
        vj_html_text_cell(page, r->left_out[i].name);
        vj_html_text_cell(page, r->left_out[i].reason);
        vj_text_add(page->out, "</tr>\n");
    }
    vj_html_close_table(page);
    vj_html_close_section(page);
}

void vj_html_runs(const struct vj_html *page)
{
    static const char *const title[] = {"run",   "file",   "pictures", "seed",
                                        "vpjnd", "device", "patches",  "complete"};
    const struct vj_report *r = page->report;
    if (!r->runs)
        return;
    vj_html_open_section(page, "Results files");
    vj_html_open_table(page, "text");
    vj_html_head(page, title, 8);
    for (size_t i = 0; i < r->runs; i++) {
        const struct vj_report_run *run = &r->run[i];
        vj_text_add(page->out, "<tr>");
        vj_html_text_cell(page, run->name);
        vj_html_text_cell(page, run->path);
        vj_text_add(page->out, "<td>%zu</td><td>%" PRIu64 "</td>", run->images, run->seed);
        vj_html_text_cell(page, run->program_version);
        vj_html_text_cell(page, run->device);
        struct vj_text patches = {0};
        vj_report_patches(&patches, &run->patches);
        vj_html_text_cell(page, patches.data);
        page->out->failed |= patches.failed;
        vj_text_free(&patches);
        vj_text_add(page->out, "<td>%s</td></tr>\n",
                    run->complete ? "yes" : "NO: finish it with --resume");
    }
    vj_html_close_table(page);
    vj_html_close_section(page);
}

static void short_digests(const struct vj_html *page, const char *text)
{
    struct vj_text line = {0};
    vj_report_short_digests(&line, vj_report_or_dash(text));
    vj_html_words(page, line.data);
    page->out->failed |= line.failed;
    vj_text_free(&line);
}

static void difference_list(const struct vj_html *page, bool barrier)
{
    const struct vj_report *r = page->report;
    vj_text_add(page->out, "<dl>\n");
    for (size_t i = 0; i < r->differences; i++) {
        const struct vj_report_difference *d = &r->difference[i];
        if (d->barrier != barrier)
            continue;
        vj_text_add(page->out, "<dt>");
        vj_html_words(page, d->field);
        vj_text_add(page->out, "</dt><dd>");
        for (size_t k = 0; k < r->runs; k++) {
            vj_html_words(page, r->run[k].name);
            vj_text_add(page->out, ": ");
            short_digests(page, d->value[k]);
            vj_text_add(page->out, "<br>");
        }
        vj_text_add(page->out, "</dd>\n");
    }
    vj_text_add(page->out, "</dl>\n");
}

void vj_html_run_differences(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    size_t barriers = 0;
    for (size_t i = 0; i < r->differences; i++)
        barriers += r->difference[i].barrier;
    if (barriers) {
        vj_html_open_section(page, "NOT COMPARABLE: the results files differ in");
        vj_html_warning(
            page, "Figures that rest on these do not mean the same in every file. Where they "
                  "are compared all the same (--force), labels, sizes and qualities are those "
                  "of the first file.");
        difference_list(page, true);
        vj_html_close_section(page);
    }
    if (r->differences > barriers) {
        vj_html_open_section(page, "What else the results files differ in");
        difference_list(page, false);
        vj_html_close_section(page);
    }
}

void vj_html_published(const struct vj_html *page)
{
    static const char *const title[] = {"model", "data set", "codec",  "JND",    "metric",
                                        "point", "value",    "labels", "source", "left undefined"};
    const struct vj_report *r = page->report;
    if (!r->published_file)
        return;
    vj_html_open_section(page, "FIGURES OF OTHERS, as published");
    vj_text_add(page->out, "<p>Not computed here and no part of the tables above. From ");
    vj_html_words(page, r->published_file);
    vj_text_add(page->out, ".</p>\n");
    vj_html_open_table(page, "text");
    vj_html_head(page, title, sizeof(title) / sizeof(title[0]));
    for (size_t i = 0; i < r->publisheds; i++) {
        const struct vj_report_published *p = &r->published[i];
        vj_text_add(page->out, "<tr>");
        vj_html_text_cell(page, p->model);
        vj_html_text_cell(page, p->dataset);
        vj_html_text_cell(page, p->codec);
        vj_html_whole_cell(page, p->jnd);
        vj_html_text_cell(page, p->metric);
        vj_html_whole_cell(page, p->point);
        vj_text_add(page->out, "<td>%s", p->below ? "&lt; " : "");
        vj_html_words(page, p->printed);
        if (*p->spread) {
            vj_text_add(page->out, " &plusmn; ");
            vj_html_words(page, p->spread);
        }
        vj_text_add(page->out, " ");
        vj_text_html(page->out, p->units);
        vj_text_add(page->out, "</td>");
        vj_html_text_cell(page, p->labels);
        vj_html_text_cell(page, p->source);
        vj_html_text_cell(page, p->note);
        vj_text_add(page->out, "</tr>\n");
    }
    vj_html_close_table(page);
    vj_html_close_section(page);
}

/* ---- where it comes from ---- */

/* Text of several lines. */
static void lines(const struct vj_html *page, const char *text)
{
    vj_text_add(page->out, "<pre>");
    for (bool first = true; first || *text; first = false) {
        struct vj_text line = {0};
        const size_t length = strcspn(text, "\n");
        vj_text_add(&line, "%.*s", (int)length, text);
        vj_text_add(page->out, first ? "" : "\n");
        vj_text_html(page->out, line.data ? line.data : "");
        page->out->failed |= line.failed;
        vj_text_free(&line);
        text += length + (text[length] == '\n');
    }
    vj_text_add(page->out, "</pre>");
}

/* run: NULL where there is one file alone */
static void provenance(const struct vj_html *page, const char *run,
                       const struct vj_report_fact *fact, size_t facts)
{
    if (!facts)
        return;
    vj_text_add(page->out, "<details><summary>");
    if (run)
        vj_html_words(page, run);
    vj_text_add(page->out, "%s</summary><dl>\n",
                run ? "" : "Command, program, data, configuration");
    for (size_t i = 0; i < facts; i++) {
        if (!fact[i].value || !*fact[i].value)
            continue;
        vj_text_add(page->out, "<dt>");
        vj_html_words(page, fact[i].label);
        vj_text_add(page->out, "</dt><dd>");
        lines(page, fact[i].value);
        vj_text_add(page->out, "</dd>\n");
    }
    vj_text_add(page->out, "</dl></details>\n");
}

void vj_html_provenance(const struct vj_html *page)
{
    const struct vj_report *r = page->report;
    size_t facts = r->facts;
    for (size_t i = 0; i < r->runs; i++)
        facts += r->run[i].facts;
    if (!facts)
        return;
    vj_html_open_section(page, "Provenance");
    provenance(page, NULL, r->fact, r->facts);
    for (size_t i = 0; i < r->runs; i++)
        provenance(page, r->run[i].name, r->run[i].fact, r->run[i].facts);
    vj_html_close_section(page);
}
