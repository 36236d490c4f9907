/* SPDX-License-Identifier: MIT */
/* What the files of finish.c share: one predictor's way from scores to predictions. */
#ifndef VJ_HOST_FINISH_WORK_H
#define VJ_HOST_FINISH_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/rules.h"
#include "eval/text.h"
#include "host/analysis.h"
#include "host/engine.h"
#include "host/error.h"
#include "host/results.h"

/* One predictor on its way from scores to predictions. */
struct vj_finish_work {
    struct vj_engine *engine;
    struct vj_results *results;
    const struct vj_analysis *images;
    struct vj_predictor *predictor;
    float *score;          /* [count][levels], NULL when the predictor has none */
    uint8_t *lossy;        /* [count][levels] */
    int32_t *qf_pred;      /* [count] */
    int32_t *qf_tolerance; /* [count][VJ_TOLERANCE_STEPS], NULL when no tolerance is swept */
    struct vj_text note;
    struct vj_text no_answer; /* why tested images without a prediction have none, or empty */
};

/* Rows first..first+count-1 of /predictors/NAME/WHAT, `values` each; owned by the caller. NULL with
 * an error. */
float *vj_finish_read_scores(struct vj_results *results, const char *name, const char *what,
                             size_t first, size_t count, size_t values, struct vj_error *err);

/* Does the image count in metrics: evaluated, and in a run with folds in one of them. */
bool vj_finish_is_tested(const struct vj_finish_work *w, size_t image);

/* Adds to no_answer. Several reasons stand side by side: which one holds for an image is not
 * recorded. */
void vj_finish_add_reason(struct vj_finish_work *w, const char *reason);

/* Fills `lossy` from qf_pred: visible up to it. Predictions that are no quality factor of the run
 * are moved to the nearest one; returns how many of tested images. */
size_t vj_finish_answer_as_step(struct vj_finish_work *w);

/*
 * Searches one image's probabilities. lossy: [levels], written, or NULL. An image whose answers are
 * missing where the search wants them gets no prediction.
 */
int vj_finish_search_image(struct vj_finish_work *w, size_t image, const float *probability,
                           uint8_t *lossy, int32_t *qf_pred, struct vj_error *err);

/* Predictions of all images from scores that are logits (networks) or probabilities. */
int vj_finish_probabilities(struct vj_finish_work *w, struct vj_error *err);

/*
 * Predictions by the predictor's threshold on its scores: the one given, or fitted outside each
 * fold. The note says which, and why images have no prediction where the predictor is one of ours.
 */
int vj_finish_threshold(struct vj_finish_work *w, enum vj_rule rule, struct vj_error *err);

/* Predictions of an external file (finish_external.c) and of networks (finish_network.c). */
int vj_finish_external(struct vj_finish_work *w, struct vj_error *err);
int vj_finish_network(struct vj_finish_work *w, struct vj_error *err);

#endif
