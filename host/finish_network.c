/* SPDX-License-Identifier: MIT */
/* Scores of networks, as predictions: draws, and what is to be said of the weights. */
#include "host/finish_work.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/finish_seen.h"
#include "host/schema.h"

/* Is the image tested, and by a network of this predictor? */
static bool is_scored(const struct vj_finish_work *w, size_t image)
{
    return vj_finish_is_tested(w, image) &&
           vj_predictor_network(w->predictor, w->images->fold[image]) != VJ_NETWORK_NONE;
}

/*
 * Each draw of one image alone. score: [draws][levels]; qf: [draws], VJ_EVAL_UNKNOWN for a draw
 * that lacks an answer; deviation: NaN where one does
 */
static int search_draws(struct vj_finish_work *w, size_t image, const float *score, int32_t *qf,
                        double *deviation, struct vj_error *err)
{
    int draws = w->engine->plan.draws, levels = w->engine->levels, r = 0;
    float probability[VJ_SEARCH_LEVELS_MAX];
    double sum = 0, squares = 0;
    bool all = true;
    for (int d = 0; !r && d < draws; d++) {
        vj_lossy_probability(score + (size_t)d * (size_t)levels, levels,
                             w->predictor->positive_class, probability);
        r = vj_finish_search_image(w, image, probability, NULL, &qf[d], err);
        all = all && qf[d] != VJ_EVAL_UNKNOWN;
        sum += qf[d];
        squares += (double)qf[d] * qf[d];
    }
    double variance = (squares - sum * sum / draws) / (draws - 1);
    *deviation = all ? sqrt(variance > 0 ? variance : 0) : NAN;
    return r;
}

static void note_draws(struct vj_finish_work *w, double spread, size_t images, size_t incomplete)
{
    if (images)
        vj_text_add(&w->note, "; draws differ by %.2f QF (mean standard deviation of %d draws)",
                    spread / (double)images, w->engine->plan.draws);
    if (incomplete)
        vj_text_add(&w->note, "; %zu of %zu images lack the answer of a draw and have no spread",
                    incomplete, images + incomplete);
}

/* Searches the draws of every image that is tested; writes what they predict and notes how far they
 * differ. */
static int search_all_draws(struct vj_finish_work *w, const float *score, int32_t *qf,
                            struct vj_error *err)
{
    size_t draws = (size_t)w->engine->plan.draws, levels = (size_t)w->engine->levels;
    size_t count = w->images->count, images = 0, incomplete = 0;
    char path[VJ_SCHEMA_PATH];
    double spread = 0;
    int r = 0;
    for (size_t i = 0; i < count * draws; i++)
        qf[i] = VJ_EVAL_UNKNOWN;
    for (size_t i = 0; !r && i < count; i++) {
        double deviation;
        if (!is_scored(w, i))
            continue;
        r = search_draws(w, i, score + i * draws * levels, qf + i * draws, &deviation, err);
        if (isnan(deviation)) {
            incomplete++;
            continue;
        }
        spread += deviation;
        images++;
    }
    if (r)
        return r;
    note_draws(w, spread, images, incomplete);
    return vj_results_write(w->results, vj_schema_path(path, w->predictor->name, "qf_pred_draws"),
                            VJ_COLUMN_I32, 0, count, qf, err);
}

/*
 * Each draw alone, for the spread that random patch positions cause. A lazy run scored them where
 * the search of their mean asked; their own searches would have asked elsewhere.
 */
static int predict_draws(struct vj_finish_work *w, struct vj_error *err)
{
    size_t draws = (size_t)w->engine->plan.draws, levels = (size_t)w->engine->levels;
    if (draws < 2)
        return 0;
    if (w->engine->config.lazy) {
        vj_text_add(&w->note,
                    "; how far the %zu draws differ is not known: lazy scored them only "
                    "where the search of their mean asked",
                    draws);
        return 0;
    }
    float *score = vj_finish_read_scores(w->results, w->predictor->name, "score_draws", 0,
                                         w->images->count, draws * levels, err);
    if (!score)
        return vj_error_code(err);
    int32_t *qf = vj_calloc(w->images->count, draws * sizeof(*qf));
    int r = qf ? search_all_draws(w, score, qf, err)
               : vj_fail(err, -ENOMEM, "out of memory for the predictions of %zu draws", draws);
    free(score);
    free(qf);
    return r;
}

static int set_seen(struct vj_finish_work *w, const char *name, size_t seen, struct vj_error *err)
{
    char group[VJ_SCHEMA_PATH];
    snprintf(group, sizeof(group), "/predictors/%s", w->predictor->name);
    return vj_results_set_int(w->results, group, name, (int64_t)seen, err);
}

/* Of weights that say themselves what they were trained with. */
static int note_own_training(struct vj_finish_work *w, struct vj_error *err)
{
    size_t seen;
    int r = vj_count_seen(&seen, w->results, w->images, w->engine, w->predictor, err);
    if (!r)
        r = set_seen(w, "seen_images", seen, err);
    if (!r && seen)
        vj_text_add(&w->note, "; NOT A TEST: %zu of %zu images trained or validated %s", seen,
                    w->images->count,
                    w->predictor->kind == VJ_PREDICTOR_FOLDS ? "the weights of their fold"
                                                             : "these weights");
    return r;
}

/*
 * MCL-JCI sources that the released VP-JND checkpoint was trained with (its training log, listed in
 * docs/network.md): what it says of them is no test.
 */
static const int released_training[] = {1,  2,  3,  4,  9,  14, 15, 18, 19, 21, 22, 24, 27, 28, 29,
                                        31, 32, 33, 34, 35, 37, 39, 41, 42, 44, 46, 47, 48, 49, 50};

static int note_released_training(struct vj_finish_work *w, const struct vj_weights *weights,
                                  struct vj_error *err)
{
    if (weights->origin != VJ_ORIGIN_IMPORTED || weights->shape.variant != VJ_VARIANT_RELEASED ||
        strcmp(w->engine->config.dataset, "mcl-jci") != 0)
        return 0;
    size_t seen = 0;
    for (size_t i = 0; i < w->images->count; i++)
        for (size_t k = 0; k < sizeof(released_training) / sizeof(released_training[0]); k++)
            seen += w->images->id[i] == released_training[k];
    if (seen)
        vj_text_add(&w->note,
                    "; NOT A TEST if this is the released checkpoint: %zu of %zu images are among "
                    "its 30 training sources, judge it on the other 20 "
                    "(configs/mcl-jci-released-test.cfg)",
                    seen, w->images->count);
    return set_seen(w, "seen_images_if_released", seen, err);
}

static void note_folds(struct vj_finish_work *w)
{
    const struct vj_predictor *p = w->predictor;
    size_t without = 0;
    for (size_t i = 0; i < w->images->count; i++)
        without += w->images->fold[i] == VJ_FOLD_NONE;
    vj_text_add(&w->note, "; each image scored by the network of its fold; %zu weight file%s",
                p->folds, p->folds == 1 ? "" : "s");
    if (without)
        vj_text_add(&w->note, "; %zu of %zu images belong to no fold and are not evaluated",
                    without, w->images->count);
}

/* Files of folds have been trained alike, but each ends where its own validation was best. */
static void note_training(struct vj_finish_work *w)
{
    const struct vj_predictor *p = w->predictor;
    const struct vj_weights *weights = &w->engine->predictors->weights[p->network];
    const size_t files = p->kind == VJ_PREDICTOR_FOLDS ? p->folds : 1;
    const struct vj_trained *first = weights[0].trained;
    bool alike = true;
    if (!first)
        return;
    int64_t least = first->step, most = first->step;
    for (size_t i = 1; i < files; i++) {
        const struct vj_trained *t = weights[i].trained;
        if (!t)
            continue;
        least = t->step < least ? t->step : least;
        most = t->step > most ? t->step : most;
        alike = alike && strcmp(t->labels, first->labels) == 0;
    }
    vj_text_add(&w->note, "; trained %lld", (long long)least);
    if (most > least)
        vj_text_add(&w->note, " to %lld", (long long)most);
    vj_text_add(&w->note, " steps on %s%s", first->labels,
                alike ? "" : ", SOME ON OTHER LABELS than these");
}

static void note_codec(struct vj_finish_work *w, const struct vj_weights *weights)
{
    char then[16];
    if (vj_other_codec(then, w->engine, weights))
        vj_text_add(&w->note, "; OTHER CODEC than in training: %s here, %s then",
                    w->engine->config.codec, then);
}

/* Not an error: who compares maps does it on purpose. */
static void note_maps(struct vj_finish_work *w, const struct vj_weights *weights)
{
    char here[VJ_MAPS_TEXT], then[VJ_MAPS_TEXT];
    vj_compare_maps(here, then, w->engine, weights);
    if (strcmp(here, then) != 0)
        vj_text_add(&w->note, "; OTHER MAPS than in training: %s here, %s then", here, then);
}

/* Whatever its search asked for was scored: without an answer a score was not finite. */
static void note_not_finite(struct vj_finish_work *w)
{
    size_t scored = 0, unanswered = 0;
    for (size_t i = 0; i < w->images->count; i++) {
        if (!is_scored(w, i))
            continue;
        scored++;
        unanswered += w->qf_pred[i] == VJ_EVAL_UNKNOWN;
    }
    if (unanswered)
        vj_text_add(&w->note,
                    "; NO ANSWER for %zu of %zu images: a score that the search asks for is not "
                    "finite; check the weights",
                    unanswered, scored);
    if (unanswered)
        vj_finish_add_reason(w, "a score that the search asks for is not finite");
}

int vj_finish_network(struct vj_finish_work *w, struct vj_error *err)
{
    const struct vj_weights *weights = &w->engine->predictors->weights[w->predictor->network];
    vj_text_add(&w->note, "%s, %s weights, positive = %s%s",
                vj_variant_name(weights->shape.variant), vj_weights_origin_name(weights->origin),
                vj_positive_class_name(w->predictor->positive_class),
                w->predictor->positive_auto ? " (decided on the first images)" : "");
    if (w->predictor->kind == VJ_PREDICTOR_FOLDS)
        note_folds(w);
    note_training(w);
    int r = note_own_training(w, err);
    if (r)
        return r;
    note_codec(w, weights);
    note_maps(w, weights);
    r = note_released_training(w, weights, err);
    if (r)
        return r;
    if (w->predictor->positive_class != VJ_POSITIVE_AUTO) /* else none could be evaluated */
        r = vj_finish_probabilities(w, err);
    if (!r)
        note_not_finite(w);
    if (w->predictor->positive_class == VJ_POSITIVE_AUTO)
        return r;
    return r ? r : predict_draws(w, err);
}
