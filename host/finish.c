/* SPDX-License-Identifier: MIT */
#include "host/finish.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/rules.h"
#include "eval/sur.h"
#include "eval/text.h"
#include "host/analysis.h"
#include "host/checked.h"
#include "host/duplicates.h"
#include "host/finish_work.h"
#include "host/positive.h"
#include "host/schema.h"

float *vj_finish_read_scores(struct vj_results *results, const char *name, const char *what,
                             size_t first, size_t count, size_t values, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    float *score = vj_calloc(count, values * sizeof(float));
    if (!score) {
        vj_fail(err, -ENOMEM, "out of memory for the scores of %s", name);
        return NULL;
    }
    if (vj_results_read(results, vj_schema_path(path, name, what), VJ_COLUMN_F32, first, count,
                        score, err)) {
        free(score);
        return NULL;
    }
    return score;
}

/* ---- from scores to predictions ---- */

static bool has_folds(const struct vj_finish_work *w)
{
    return strcmp(w->engine->config.folds, "none") != 0;
}

/*
 * A failed image counts nowhere, and in a run with folds neither does one that belongs to none (it
 * only trains), so that all predictors are judged on the same images.
 */
bool vj_finish_is_tested(const struct vj_finish_work *w, size_t image)
{
    return w->images->status[image] == VJ_STATUS_OK &&
           (!has_folds(w) || w->images->fold[image] != VJ_FOLD_NONE);
}

static struct vj_rule_table rule_table(const struct vj_finish_work *w)
{
    return (struct vj_rule_table){.count = w->images->count,
                                  .levels = w->engine->levels,
                                  .qf_first = w->engine->config.qf_first,
                                  .value = w->score,
                                  .qf_true = w->images->qf_true,
                                  .fold = has_folds(w) ? w->images->fold : NULL};
}

/* More folds than this are summed up in the note; fit_parameter holds them all. */
enum { NOTED_FITS = 12 };

void vj_finish_add_reason(struct vj_finish_work *w, const char *reason)
{
    vj_text_add(&w->no_answer, "%s%s", w->no_answer.size ? "; or " : "", reason);
}

/* A predictor for which there was nothing to learn from has no predictions, and says so. */
static int not_evaluated(struct vj_finish_work *w, const struct vj_error *err)
{
    vj_text_add(&w->note, "not evaluated: %s", err->text);
    vj_finish_add_reason(w, err->text);
    return 0;
}

static void note_unfitted(struct vj_finish_work *w, const struct vj_rule_fits *fits)
{
    vj_rule_fits_note_unfitted(&w->note, fits);
    if (fits->unfitted_count)
        vj_finish_add_reason(w, "too few labelled images lie outside its fold to fit anything on");
}

static void note_fits(struct vj_finish_work *w, const char *what, const struct vj_rule_fits *fits)
{
    vj_text_add(&w->note, "%s", what);
    if (fits->count > NOTED_FITS) {
        double low = fits->fit[0].parameter, high = low;
        for (size_t i = 1; i < fits->count; i++) {
            low = fmin(low, fits->fit[i].parameter);
            high = fmax(high, fits->fit[i].parameter);
        }
        vj_text_add(&w->note, " %.6g to %.6g over %zu folds", low, high, fits->count);
        note_unfitted(w, fits);
        return;
    }
    for (size_t i = 0; i < fits->count; i++) {
        const char *comma = i ? "," : "";
        if (fits->fit[i].fold == VJ_EVAL_UNKNOWN)
            vj_text_add(&w->note, "%s %.6g", comma, fits->fit[i].parameter);
        else
            vj_text_add(&w->note, "%s %.6g (fold %d)", comma, fits->fit[i].parameter,
                        (int)fits->fit[i].fold);
    }
    note_unfitted(w, fits);
}

static double mean_parameter(const struct vj_rule_fits *fits)
{
    double sum = 0;
    for (size_t i = 0; i < fits->count; i++)
        sum += fits->fit[i].parameter;
    return sum / (double)fits->count;
}

/* Fold and fitted number as columns of their own, for programs. */
static int write_fits(struct vj_finish_work *w, const struct vj_rule_fits *fits,
                      struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    int32_t *fold = vj_calloc(fits->count, sizeof(*fold));
    double *parameter = vj_calloc(fits->count, sizeof(*parameter));
    double *slope = vj_calloc(fits->count, sizeof(*slope));
    int r = fold && parameter && slope ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i < fits->count; i++) {
        fold[i] = fits->fit[i].fold;
        parameter[i] = fits->fit[i].parameter;
        slope[i] = fits->fit[i].slope;
    }
    if (!r)
        r = vj_results_vector(
            w->results, vj_schema_path(path, w->predictor->name, "fit_fold"), VJ_COLUMN_I32, fold,
            fits->count, "test fold that each fitted number belongs to; -1 all images", NULL, err);
    if (!r)
        r = vj_results_vector(w->results, vj_schema_path(path, w->predictor->name, "fit_parameter"),
                              VJ_COLUMN_F64, parameter, fits->count,
                              "number fitted on the images outside the fold", NULL, err);
    if (!r && w->predictor->kind == VJ_PREDICTOR_RATIO)
        r = vj_results_vector(w->results, vj_schema_path(path, w->predictor->name, "fit_slope"),
                              VJ_COLUMN_F64, slope, fits->count,
                              "slope in ln(compression ratio), beside the intercept fit_parameter",
                              NULL, err);
    free(fold);
    free(parameter);
    free(slope);
    return r;
}

/* The nearest quality factor that a search could have answered: of the run, not above the anchor.
 */
static int32_t nearest_searched(const struct vj_finish_work *w, size_t image, int32_t qf)
{
    const struct vj_config *config = &w->engine->config;
    int32_t low = config->qf_first, high = config->qf_last;
    if (w->images->anchor && vj_above_anchor(w->images->anchor[image], high))
        high = w->images->anchor[image];
    return qf < low || high < low ? low : qf > high ? high : qf;
}

/*
 * A predictor that names a quality factor alone answers as its step does, within the range that
 * searches have. Returns how many answers on tested images were moved there.
 */
size_t vj_finish_answer_as_step(struct vj_finish_work *w)
{
    size_t levels = (size_t)w->engine->levels, moved = 0;
    for (size_t i = 0; i < w->images->count; i++) {
        if (w->qf_pred[i] == VJ_EVAL_UNKNOWN) {
            memset(w->lossy + i * levels, VJ_LOSSY_UNANSWERED, levels);
            continue;
        }
        int32_t given = w->qf_pred[i], qf = nearest_searched(w, i, given);
        w->qf_pred[i] = qf;
        moved += qf != given && vj_finish_is_tested(w, i);
        for (int k = 0; k < w->engine->levels; k++)
            w->lossy[i * levels + (size_t)k] = w->engine->config.qf_first + k <= qf;
    }
    return moved;
}

/*
 * Labels of the run's images, followed by those of the items that ids, part and limit left out:
 * these are not evaluated, but nothing keeps the constant from learning from them.
 */
struct labels {
    size_t count;
    int32_t *qf_true, *fold, *qf_pred;
};

static void free_labels(struct labels *l)
{
    free(l->qf_true);
    free(l->fold);
    free(l->qf_pred);
}

static int gather_labels(struct vj_finish_work *w, struct labels *l, struct vj_error *err)
{
    size_t images = w->images->count, others = 0, dim[VJ_COLUMN_RANK_MAX], string_size;
    int rank, r = 0;
    if (vj_results_has(w->results, "/left_out/qf_true"))
        r = vj_results_shape(w->results, "/left_out/qf_true", &others, &rank, dim, &string_size,
                             err);
    if (!r && others > 0)
        r = vj_results_check(w->results, "/left_out/qf_true", others, 0, err);
    if (!r && others > 0)
        r = vj_results_check(w->results, "/left_out/fold", others, 0, err);
    if (r)
        return r;
    l->count = images + others;
    l->qf_true = vj_calloc(l->count, sizeof(int32_t));
    l->fold = vj_calloc(l->count, sizeof(int32_t));
    l->qf_pred = vj_calloc(l->count, sizeof(int32_t));
    if (!l->qf_true || !l->fold || !l->qf_pred)
        return vj_fail(err, -ENOMEM, "out of memory");
    memcpy(l->qf_true, w->images->qf_true, images * sizeof(int32_t));
    memcpy(l->fold, w->images->fold, images * sizeof(int32_t));
    if (others == 0)
        return 0;
    r = vj_results_read(w->results, "/left_out/qf_true", VJ_COLUMN_I32, 0, others,
                        l->qf_true + images, err);
    for (size_t i = images; !r && i < l->count; i++)
        if (l->qf_true[i] < VJ_EVAL_UNKNOWN || l->qf_true[i] > VJ_EVAL_QF_MAX)
            r = vj_fail(err, -EINVAL,
                        "%s: dataset /left_out/qf_true has %d in row %zu, it must be -1 to %d",
                        vj_results_path(w->results), (int)l->qf_true[i], i - images,
                        VJ_EVAL_QF_MAX);
    return r ? r
             : vj_results_read(w->results, "/left_out/fold", VJ_COLUMN_I32, 0, others,
                               l->fold + images, err);
}

static int predict_constant(struct vj_finish_work *w, struct vj_error *err)
{
    struct vj_rule_fits fits = {0};
    struct labels labels = {0};
    struct vj_rule_table table = rule_table(w);
    int r = gather_labels(w, &labels, err);
    if (!r) {
        table.count = labels.count;
        table.qf_true = labels.qf_true;
        table.fold = table.fold ? labels.fold : NULL;
        table.value = NULL;
        r = vj_constant_predict(&fits, &table, labels.qf_pred, err);
    }
    if (!r)
        memcpy(w->qf_pred, labels.qf_pred, w->images->count * sizeof(int32_t));
    free_labels(&labels);
    if (r == -ENODATA)
        return not_evaluated(w, err);
    if (r)
        return r;
    vj_finish_answer_as_step(w);
    note_fits(
        w, table.fold ? "median label outside the fold:" : "leave-one-out; median of all:", &fits);
    r = write_fits(w, &fits, err);
    vj_rule_fits_free(&fits);
    return r;
}

/*
 * Candidates above the anchor get a value that no threshold calls lossy. Shares and energies are
 * never below 0; someone else's distortion may be.
 */
static void clear_above_anchor(struct vj_finish_work *w, enum vj_rule rule)
{
    size_t levels = (size_t)w->engine->levels;
    const float least = w->predictor->kind == VJ_PREDICTOR_PIXEL ? 0 : -INFINITY;
    for (size_t i = 0; w->images->anchor && i < w->images->count; i++) {
        if (w->images->status[i] != VJ_STATUS_OK)
            continue;
        for (size_t k = (size_t)vj_levels_to_anchor(w->engine, w->images->anchor[i]); k < levels;
             k++)
            w->score[i * levels + k] = rule == VJ_RULE_BELOW_IS_LOSSY ? INFINITY : least;
    }
}

/* The tolerance in force for each image: the given one, or that of its fold; NaN without one. */
static double threshold_of(const struct vj_finish_work *w, const struct vj_rule_fits *fits,
                           size_t image)
{
    if (!w->predictor->fit)
        return w->predictor->threshold;
    for (size_t k = 0; k < fits->count; k++)
        if (fits->fit[k].fold == w->images->fold[image])
            return fits->fit[k].parameter;
    return NAN;
}

/* What a pixel predictor says with other tolerances. fits: empty where the tolerance is given */
static int sweep_tolerances(struct vj_finish_work *w, const struct vj_rule_table *table,
                            enum vj_rule rule, const struct vj_rule_fits *fits,
                            struct vj_error *err)
{
    const struct vj_predictor *p = w->predictor;
    char path[VJ_SCHEMA_PATH];
    double tolerance[VJ_TOLERANCE_STEPS], in_force = p->threshold;
    if (p->kind != VJ_PREDICTOR_PIXEL)
        return 0;
    enum vj_tolerance_scale scale =
        p->jnd_rule == VJ_JND_NOISE ? VJ_TOLERANCE_ADDED : VJ_TOLERANCE_FACTOR;
    size_t count = w->images->count;
    double *threshold = vj_calloc(count, sizeof(*threshold));
    w->qf_tolerance = vj_calloc(count, VJ_TOLERANCE_STEPS * sizeof(*w->qf_tolerance));
    int r = threshold && w->qf_tolerance ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i < count; i++)
        threshold[i] = threshold_of(w, fits, i);
    if (!r)
        r = vj_threshold_sweep(table, rule, scale, threshold, &w->engine->search, w->qf_tolerance,
                               err);
    free(threshold);
    if (p->fit)
        in_force = mean_parameter(fits);
    for (int k = 0; k < VJ_TOLERANCE_STEPS; k++)
        tolerance[k] = vj_tolerance_at(scale, in_force, k);
    return r ? r
             : vj_results_vector(w->results, vj_schema_path(path, p->name, "tolerance_sweep"),
                                 VJ_COLUMN_F64, tolerance, VJ_TOLERANCE_STEPS,
                                 "tolerances of qf_pred_tolerance; of fitted ones the mean over "
                                 "the folds",
                                 NULL, err);
}

/* As eval/rules.h sees it: a NaN anywhere, and the image has no value. */
static bool has_value(const struct vj_finish_work *w, size_t image)
{
    size_t levels = (size_t)w->engine->levels;
    bool has = true;
    for (size_t k = 0; k < levels; k++)
        has = has && !isnan(w->score[image * levels + k]);
    return has;
}

/* Metrics are not defined for pictures that are too small. */
static void note_unanswered(struct vj_finish_work *w)
{
    const char *metric;
    const int side = vj_predictor_least_side(w->predictor, &metric);
    size_t evaluated = 0, unanswered = 0;
    for (size_t i = 0; i < w->images->count; i++) {
        evaluated += vj_finish_is_tested(w, i);
        unanswered += vj_finish_is_tested(w, i) && !has_value(w, i);
    }
    if (!unanswered || side == 1)
        return;
    char reason[64];
    snprintf(reason, sizeof(reason), "%s needs sides of %d pixels", metric, side);
    vj_text_add(&w->note, "; NO ANSWER for %zu of %zu images: %s", unanswered, evaluated, reason);
    vj_finish_add_reason(w, reason);
}

int vj_finish_threshold(struct vj_finish_work *w, enum vj_rule rule, struct vj_error *err)
{
    clear_above_anchor(w, rule);
    struct vj_rule_table table = rule_table(w);
    const struct vj_search_options *search = &w->engine->search;
    if (!w->predictor->fit) {
        const struct vj_rule_fits none = {0};
        vj_text_add(&w->note, "threshold %.6g, given", w->predictor->threshold);
        int r = vj_threshold_apply(&table, rule, w->predictor->threshold, search, w->lossy,
                                   w->qf_pred, err);
        if (!r)
            note_unanswered(w);
        return r ? r : sweep_tolerances(w, &table, rule, &none, err);
    }
    struct vj_rule_fits fits = {0};
    int r = vj_threshold_cross_fit(&fits, &table, rule, search, w->lossy, w->qf_pred, err);
    if (r == -ENODATA)
        return not_evaluated(w, err);
    if (r)
        return r;
    note_fits(w, "threshold fitted outside the fold:", &fits);
    note_unanswered(w);
    r = write_fits(w, &fits, err);
    if (!r)
        r = sweep_tolerances(w, &table, rule, &fits, err);
    vj_rule_fits_free(&fits);
    return r;
}

static void note_lines(struct vj_finish_work *w, const struct vj_rule_fits *fits)
{
    vj_text_add(&w->note,
                "intercept + slope ln(compression ratio at QF %d), least squares outside the fold:",
                w->predictor->ratio_qf);
    for (size_t i = 0; i < fits->count && fits->count <= NOTED_FITS; i++)
        vj_text_add(&w->note, "%s %.4g %+.4g ln (fold %d)", i ? "," : "", fits->fit[i].parameter,
                    fits->fit[i].slope, (int)fits->fit[i].fold);
    if (fits->count > NOTED_FITS)
        vj_text_add(&w->note, " %zu folds", fits->count);
    note_unfitted(w, fits);
}

/* Images whose candidate at that quality factor is not known have no ratio. */
static int predict_ratio(struct vj_finish_work *w, struct vj_error *err)
{
    struct vj_rule_table table = rule_table(w);
    struct vj_rule_fits fits = {0};
    size_t level = (size_t)(w->predictor->ratio_qf - table.qf_first);
    double *x = vj_calloc(table.count, sizeof(*x));
    int r = x ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i < table.count; i++)
        x[i] = log((double)w->score[i * (size_t)table.levels + level]);
    if (!r)
        r = vj_line_cross_fit(&fits, &table, x, w->qf_pred, err);
    free(x);
    if (r == -ENODATA)
        return not_evaluated(w, err);
    if (r)
        return r;
    vj_finish_answer_as_step(w);
    note_lines(w, &fits);
    for (size_t i = 0; i < table.count; i++) {
        if (!vj_finish_is_tested(w, i) || !isnan(w->score[i * (size_t)table.levels + level]))
            continue;
        vj_finish_add_reason(w, "the size of its compressed file is not known");
        break;
    }
    r = write_fits(w, &fits, err);
    vj_rule_fits_free(&fits);
    return r;
}

/* Answers at hand, for a search that may not need them all. */
struct stored {
    const float *probability;
    const char *image;
};

static int stored_answer(void *user, int first, int count, float *probability, struct vj_error *err)
{
    const struct stored *s = user;
    for (int i = 0; i < count; i++) {
        probability[i] = s->probability[first + i];
        if (isnan(probability[i]))
            return vj_fail(err, -ENODATA, "image %s has no score at level %d", s->image, first + i);
    }
    return 0;
}

int vj_finish_search_image(struct vj_finish_work *w, size_t image, const float *probability,
                           uint8_t *lossy, int32_t *qf_pred, struct vj_error *err)
{
    int levels = w->engine->levels;
    float answers[VJ_SEARCH_LEVELS_MAX];
    struct stored stored = {answers, w->images->name[image]};
    struct vj_search_result found;
    int searched =
        w->images->anchor ? vj_levels_to_anchor(w->engine, w->images->anchor[image]) : levels;
    for (int k = 0; k < levels; k++)
        answers[k] = k < searched ? probability[k] : 0;
    for (int k = 0; lossy && k < levels; k++)
        lossy[k] = isnan(answers[k]) ? VJ_LOSSY_UNANSWERED : vj_is_lossy(answers[k]);
    int r = vj_search_lazy(&w->engine->search, levels, stored_answer, &stored, &found, err);
    *qf_pred = r ? VJ_EVAL_UNKNOWN : vj_search_qf(found.level, w->engine->config.qf_first);
    return r == -ENODATA ? 0 : r;
}

int vj_finish_probabilities(struct vj_finish_work *w, struct vj_error *err)
{
    size_t levels = (size_t)w->engine->levels;
    float probability[VJ_SEARCH_LEVELS_MAX];
    int r = 0;
    for (size_t i = 0; !r && i < w->images->count; i++) {
        if (w->images->status[i] != VJ_STATUS_OK)
            continue;
        if (vj_predictor_is_network(w->predictor))
            vj_lossy_probability(w->score + i * levels, (int)levels, w->predictor->positive_class,
                                 probability);
        else
            memcpy(probability, w->score + i * levels, levels * sizeof(float));
        r = vj_finish_search_image(w, i, probability, w->lossy + i * levels, &w->qf_pred[i], err);
    }
    return r;
}

/*
 * A rule that was measured where its search asks. There is no curve over tolerances: other ones
 * would have asked elsewhere.
 */
static int predict_measured(struct vj_finish_work *w, struct vj_error *err)
{
    const struct vj_predictor *p = w->predictor;
    size_t levels = (size_t)w->engine->levels, asked = 0, evaluated = 0;
    float lossy[VJ_SEARCH_LEVELS_MAX];
    int r = 0;
    for (size_t i = 0; !r && i < w->images->count; i++) {
        const float *score = w->score + i * levels;
        if (w->images->status[i] != VJ_STATUS_OK)
            continue;
        evaluated++;
        for (size_t k = 0; k < levels; k++) {
            asked += !isnan(score[k]);
            lossy[k] =
                isnan(score[k]) ? NAN : vj_rule_lossy(vj_threshold_rule(p), score[k], p->threshold);
        }
        r = vj_finish_search_image(w, i, lossy, w->lossy + i * levels, &w->qf_pred[i], err);
    }
    vj_text_add(&w->note, "threshold %.6g, given", p->threshold);
    if (evaluated)
        vj_text_add(&w->note, "; its search asked for %.1f of %zu quality factors of a picture",
                    (double)asked / (double)evaluated, levels);
    return r;
}

static int predict(struct vj_finish_work *w, struct vj_error *err)
{
    switch (w->predictor->kind) {
    case VJ_PREDICTOR_CONSTANT:
        return predict_constant(w, err);
    case VJ_PREDICTOR_PSNR:
    case VJ_PREDICTOR_SSIM:
    case VJ_PREDICTOR_MS_SSIM:
    case VJ_PREDICTOR_SSIMULACRA2:
    case VJ_PREDICTOR_PIXEL:
        return w->predictor->kind == VJ_PREDICTOR_PIXEL && w->engine->lazy_rules
                   ? predict_measured(w, err)
                   : vj_finish_threshold(w, vj_threshold_rule(w->predictor), err);
    case VJ_PREDICTOR_RATIO:
        return predict_ratio(w, err);
    case VJ_PREDICTOR_EXTERNAL:
        return vj_finish_external(w, err);
    case VJ_PREDICTOR_NETWORK:
    case VJ_PREDICTOR_FOLDS:
        return vj_finish_network(w, err);
    }
    return vj_fail(err, -EINVAL, "predictor %s has an unknown kind", w->predictor->name);
}

static void drop_untested(struct vj_finish_work *w)
{
    size_t levels = (size_t)w->engine->levels;
    for (size_t i = 0; i < w->images->count; i++) {
        if (vj_finish_is_tested(w, i))
            continue;
        w->qf_pred[i] = VJ_EVAL_UNKNOWN;
        memset(w->lossy + i * levels, VJ_LOSSY_UNANSWERED, levels);
        for (int k = 0; w->qf_tolerance && k < VJ_TOLERANCE_STEPS; k++)
            w->qf_tolerance[i * VJ_TOLERANCE_STEPS + (size_t)k] = VJ_EVAL_UNKNOWN;
    }
}

static int write_predictions(struct vj_finish_work *w, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH], group[VJ_SCHEMA_PATH];
    size_t count = w->images->count;
    snprintf(group, sizeof(group), "/predictors/%s", w->predictor->name);
    int r = vj_results_write(w->results, vj_schema_path(path, w->predictor->name, "lossy"),
                             VJ_COLUMN_U8, 0, count, w->lossy, err);
    if (!r)
        r = vj_results_write(w->results, vj_schema_path(path, w->predictor->name, "qf_pred"),
                             VJ_COLUMN_I32, 0, count, w->qf_pred, err);
    if (!r && w->qf_tolerance)
        r = vj_results_write(w->results,
                             vj_schema_path(path, w->predictor->name, "qf_pred_tolerance"),
                             VJ_COLUMN_I32, 0, count, w->qf_tolerance, err);
    if (!r)
        r = vj_text_status(&w->note, err);
    if (!r)
        r = vj_results_set_text(w->results, group, "note", w->note.data ? w->note.data : "", err);
    if (!r)
        r = vj_text_status(&w->no_answer, err);
    if (!r && w->no_answer.size)
        r = vj_results_set_text(w->results, group, "no_answer", w->no_answer.data, err);
    if (!r && !w->predictor->fit && vj_predictor_has_threshold(w->predictor))
        r = vj_results_set_double(w->results, group, "tolerance", w->predictor->threshold, err);
    return r;
}

/* 1 - score; above the anchor, where everything counts as invisible, all are satisfied. */
static void sur_of_scores(const struct vj_finish_work *w, float *sur)
{
    size_t levels = (size_t)w->engine->levels;
    for (size_t i = 0; i < w->images->count; i++) {
        size_t searched = levels;
        if (w->images->anchor)
            searched = (size_t)vj_levels_to_anchor(w->engine, w->images->anchor[i]);
        for (size_t k = i * levels; k < (i + 1) * levels; k++)
            sur[k] = k < i * levels + searched ? 1 - w->score[k] : 1;
    }
}

/*
 * The predicted curve of satisfied users, where the file has a column for it: that of the scores of
 * external predictors that say how likely the difference is seen; for the constant the mean curve
 * of the images that it may learn from.
 */
static int write_sur(struct vj_finish_work *w, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    size_t count = w->images->count, levels = (size_t)w->engine->levels;
    vj_schema_path(path, w->predictor->name, "sur");
    if (!w->images->sur || !vj_results_has(w->results, path))
        return 0;
    float *sur = vj_calloc(count, levels * sizeof(*sur));
    if (!sur)
        return vj_fail(err, -ENOMEM, "out of memory for the predicted curves");
    if (w->score)
        sur_of_scores(w, sur);
    else
        vj_sur_constant(sur, w->images->sur, has_folds(w) ? w->images->fold : NULL, count, levels);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; w->qf_pred[i] == VJ_EVAL_UNKNOWN && k < levels; k++)
            sur[i * levels + k] = NAN;
    int r = vj_results_write(w->results, path, VJ_COLUMN_F32, 0, count, sur, err);
    free(sur);
    return r;
}

static int finish_predictor(struct vj_finish_work *w, struct vj_error *err)
{
    size_t count = w->images->count, levels = (size_t)w->engine->levels;
    const struct vj_predictor *p = w->predictor;
    int r = 0;
    w->lossy = vj_calloc(count, levels);
    w->qf_pred = vj_calloc(count, sizeof(*w->qf_pred));
    if (!w->lossy || !w->qf_pred)
        r = vj_fail(err, -ENOMEM, "out of memory");
    if (!r && vj_predictor_has_scores(p) &&
        !(w->score = vj_finish_read_scores(w->results, p->name, "score", 0, count, levels, err)))
        r = vj_error_code(err);
    if (!r) {
        memset(w->lossy, VJ_LOSSY_UNANSWERED, count * levels);
        for (size_t i = 0; i < count; i++)
            w->qf_pred[i] = VJ_EVAL_UNKNOWN;
        r = predict(w, err);
    }
    if (!r) {
        drop_untested(w);
        r = write_predictions(w, err);
    }
    if (!r)
        r = write_sur(w, err);
    free(w->lossy);
    free(w->qf_pred);
    free(w->qf_tolerance);
    free(w->score);
    vj_text_free(&w->note);
    vj_text_free(&w->no_answer);
    return r ? vj_fail_prefix(err, "predictor %s", p->name) : 0;
}

int vj_finish_predictions(struct vj_engine *engine, struct vj_results *results,
                          struct vj_error *err)
{
    struct vj_analysis images;
    size_t open;
    int r = vj_analysis_load(&images, results, false, err);
    if (r)
        return r;
    r = vj_decide_positive(engine, results, true, &open, err);
    for (size_t i = 0; !r && i < engine->predictors->count; i++) {
        struct vj_finish_work work = {.engine = engine,
                                      .results = results,
                                      .images = &images,
                                      .predictor = &engine->predictors->list[i]};
        r = finish_predictor(&work, err);
    }
    if (!r)
        r = vj_duplicates_record(results, &images, strcmp(engine->config.folds, "none") != 0, err);
    vj_analysis_free(&images);
    return r;
}
