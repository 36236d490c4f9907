/* SPDX-License-Identifier: MIT */
/* Someone else's answers, as predictions. */
#include "host/finish_work.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "host/checked.h"

/* How many of the images that count are not, or not fully, answered. */
struct external_gaps {
    size_t images;
    size_t absent;     /* without a row */
    size_t empty;      /* with one, and nothing in it */
    size_t incomplete; /* some of the numbers are missing */
};

/* How many numbers of the run a row lacks; *given: how many it has. */
static size_t count_scores(const struct vj_finish_work *w, size_t image, const float *score,
                           size_t *given)
{
    const int anchor = w->images->anchor ? w->images->anchor[image] : 0;
    size_t missing = 0;
    *given = 0;
    for (int q = w->engine->config.qf_first; q <= w->engine->config.qf_last; q++) {
        if (vj_above_anchor(anchor, q))
            continue;
        *given += !isnan(score[q]);
        missing += isnan(score[q]);
    }
    return missing;
}

static void count_gaps(const struct vj_finish_work *w, size_t image,
                       const struct vj_external_row *row, struct external_gaps *gaps)
{
    size_t given = 0, missing = 0;
    if (!vj_finish_is_tested(w, image))
        return;
    gaps->images++;
    if (row && row->score)
        missing = count_scores(w, image, row->score, &given);
    else
        given = row && row->qf != VJ_QF_UNKNOWN;
    gaps->absent += !row;
    gaps->empty += row && !given;
    gaps->incomplete += given && missing;
}

/* No row and an empty one say the same, and are handled alike. */
static void note_gaps(struct vj_finish_work *w, const struct external_gaps *gaps)
{
    const struct vj_config *config = &w->engine->config;
    const struct vj_external *external = &w->predictor->external;
    if (gaps->absent + gaps->empty)
        vj_text_add(&w->note, "; NO ANSWER for %zu of %zu images: no row for %zu, no %s for %zu",
                    gaps->absent + gaps->empty, gaps->images, gaps->absent,
                    vj_external_column(external->form), gaps->empty);
    if (gaps->absent)
        vj_finish_add_reason(w, "the external file has no row for it");
    if (gaps->empty)
        vj_finish_add_reason(w, "its row of the external file is empty");
    if (!gaps->incomplete)
        return;
    if (vj_external_is_measure(external)) {
        vj_finish_add_reason(w, "the external file lacks one of its values");
        vj_text_add(&w->note,
                    "; VALUES MISSING for %zu images at some of the quality factors %d to %d: none "
                    "of these is predicted or trains",
                    gaps->incomplete, config->qf_first, config->qf_last);
    } else {
        vj_finish_add_reason(w, "the external file lacks a score that the search asks for");
        vj_text_add(&w->note,
                    "; SCORES MISSING for %zu images at some of the quality factors %d to %d: none "
                    "of these is predicted whose search asks for one",
                    gaps->incomplete, config->qf_first, config->qf_last);
    }
}

/* met: [external->count] rows of images of the run */
static void note_strangers(struct vj_finish_work *w, const bool *met)
{
    const struct vj_external *external = &w->predictor->external;
    size_t strangers = 0, first = 0;
    for (size_t i = external->count; i-- > 0;)
        if (!met[i]) {
            strangers++;
            first = i;
        }
    if (strangers == 0)
        return;
    vj_text_add(&w->note, "%zu of the %zu images in %s %s none of the run (", strangers,
                external->count, w->predictor->path, strangers == 1 ? "is" : "are");
    vj_text_plain(&w->note, external->row[first].image);
    vj_text_add(&w->note, strangers == 1 ? "); " : " for one); ");
}

/* Gaps stand behind the thresholds in the note, as those of our own measures do. */
static int predict_measure(struct vj_finish_work *w, const struct external_gaps *gaps,
                           struct vj_error *err)
{
    const enum vj_external_form form = w->predictor->external.form;
    vj_text_add(&w->note, "%s as given; ", vj_external_column(form));
    int r = vj_finish_threshold(
        w, form == VJ_EXTERNAL_QUALITY ? VJ_RULE_BELOW_IS_LOSSY : VJ_RULE_ABOVE_IS_LOSSY, err);
    if (!r)
        note_gaps(w, gaps);
    return r;
}

int vj_finish_external(struct vj_finish_work *w, struct vj_error *err)
{
    const struct vj_external *external = &w->predictor->external;
    const struct vj_config *config = &w->engine->config;
    struct external_gaps gaps = {0};
    bool *met = vj_calloc(external->count, sizeof(*met));
    if (!met)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < w->images->count; i++) {
        const struct vj_external_row *row = vj_external_find(external, w->images->name[i]);
        count_gaps(w, i, row, &gaps);
        if (row)
            met[row - external->row] = true;
        if (row && !vj_external_has_scores(external))
            w->qf_pred[i] = row->qf;
    }
    note_strangers(w, met);
    free(met);
    if (vj_external_is_measure(external))
        return predict_measure(w, &gaps, err);
    if (!vj_external_has_scores(external)) {
        vj_text_add(&w->note, "quality factors as given");
        if (external->rounded)
            vj_text_add(&w->note, ", %zu of them rounded to whole ones", external->rounded);
        size_t moved = vj_finish_answer_as_step(w);
        if (moved)
            vj_text_add(&w->note,
                        "; %zu of them MOVED to the nearest of the quality factors %d to %d that "
                        "is not above the anchor",
                        moved, config->qf_first, config->qf_last);
        note_gaps(w, &gaps);
        return 0;
    }
    vj_text_add(&w->note, "scores as given");
    note_gaps(w, &gaps);
    return vj_finish_probabilities(w, err);
}
