/* SPDX-License-Identifier: MIT */
#include "host/engine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/rules.h"
#include "host/checked.h"
#include "host/net_form.h"
#include "host/patch_place.h"
#include "host/progress.h"
#include "host/rng.h"
#include "host/utf8.h"

const char *const vj_stage_names[VJ_STAGE_COUNT] = {"read",      "source",     "jnd",
                                                    "reference", "candidates", "network"};

/* ---- rows ---- */

static bool is_network(const struct vj_engine *engine, size_t predictor)
{
    return vj_predictor_is_network(&engine->predictors->list[predictor]);
}

static int alloc_scores(struct vj_row *row, const struct vj_engine *engine, size_t i)
{
    size_t levels = (size_t)engine->levels;
    size_t draws = (size_t)engine->plan.draws;
    if (!vj_predictor_has_scores(&engine->predictors->list[i]))
        return 0;
    row->score[i] = vj_calloc(levels, sizeof(float));
    if (!row->score[i])
        return -ENOMEM;
    if (!is_network(engine, i))
        return 0;
    row->draw_score[i] = vj_calloc(draws * levels, sizeof(float));
    if (!row->draw_score[i])
        return -ENOMEM;
    size_t values = draws * levels * (size_t)engine->plan.patches;
    row->patch_quality[i] = vj_calloc(values, sizeof(float));
    row->patch_weight[i] = vj_calloc(values, sizeof(float));
    return row->patch_quality[i] && row->patch_weight[i] ? 0 : -ENOMEM;
}

int vj_row_alloc(struct vj_row *row, const struct vj_engine *engine, struct vj_error *err)
{
    size_t levels = (size_t)engine->levels;
    size_t predictors = engine->predictors->count;
    size_t positions = (size_t)engine->plan.draws * (size_t)engine->plan.patches;
    *row = (struct vj_row){0};
    row->bytes = vj_calloc(levels, sizeof(*row->bytes));
    row->psnr_y = vj_calloc(levels, sizeof(double));
    row->psnr_rgb = vj_calloc(levels, sizeof(double));
    row->ssim = vj_calloc(levels, sizeof(double));
    row->ms_ssim = vj_calloc(levels, sizeof(double));
    row->ssimulacra2 = vj_calloc(levels, sizeof(double));
    row->origin = vj_calloc(positions, sizeof(*row->origin));
    row->score = vj_calloc(predictors, sizeof(float *));
    row->draw_score = vj_calloc(predictors, sizeof(float *));
    row->patch_quality = vj_calloc(predictors, sizeof(float *));
    row->patch_weight = vj_calloc(predictors, sizeof(float *));
    bool ok = row->bytes && row->psnr_y && row->psnr_rgb && row->ssim && row->ms_ssim &&
              row->ssimulacra2 && row->origin && row->score && row->draw_score &&
              row->patch_quality && row->patch_weight;
    for (size_t i = 0; ok && i < predictors; i++)
        ok = alloc_scores(row, engine, i) == 0;
    if (ok)
        return 0;
    vj_row_free(row, engine);
    return vj_fail(err, -ENOMEM, "out of memory for a row of results");
}

size_t vj_row_live_weights(const struct vj_row *row, const struct vj_engine *engine,
                           size_t predictor, size_t *weights)
{
    const size_t values =
        (size_t)engine->plan.draws * (size_t)engine->levels * (size_t)engine->plan.patches;
    const float *weight = row->patch_weight[predictor];
    size_t live = 0, there = 0;
    for (size_t i = 0; weight && i < values; i++) {
        there += !isnan(weight[i]);
        live += weight[i] > VJ_NET_LEAST_WEIGHT;
    }
    *weights = there;
    return live;
}

static void free_all(float **list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        free(list[i]);
    free(list);
}

void vj_row_free(struct vj_row *row, const struct vj_engine *engine)
{
    size_t predictors = engine->predictors->count;
    free(row->bytes);
    free(row->psnr_y);
    free(row->psnr_rgb);
    free(row->ssim);
    free(row->ms_ssim);
    free(row->ssimulacra2);
    free(row->origin);
    free_all(row->score, predictors);
    free_all(row->draw_score, predictors);
    free_all(row->patch_quality, predictors);
    free_all(row->patch_weight, predictors);
    *row = (struct vj_row){0};
}

static void fill(float *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        values[i] = NAN;
}

static void reset_row(struct vj_row *row, const struct vj_engine *engine)
{
    size_t levels = (size_t)engine->levels;
    size_t draws = (size_t)engine->plan.draws;
    size_t positions = draws * (size_t)engine->plan.patches;
    row->status = 0;
    row->error[0] = '\0';
    memset(row->source_sha256, 0, sizeof(row->source_sha256));
    row->candidate_files = -1;
    row->width = row->height = 0;
    for (size_t i = 0; i < levels; i++) {
        row->bytes[i] = -1;
        row->psnr_y[i] = row->psnr_rgb[i] = row->ssim[i] = row->ms_ssim[i] = NAN;
        row->ssimulacra2[i] = NAN;
    }
    for (size_t i = 0; i < positions; i++)
        row->origin[i][0] = row->origin[i][1] = -1;
    for (size_t p = 0; p < engine->predictors->count; p++) {
        fill(row->score[p], levels);
        fill(row->draw_score[p], draws * levels);
        fill(row->patch_quality[p], levels * positions);
        fill(row->patch_weight[p], levels * positions);
    }
    for (int s = 0; s < VJ_STAGE_COUNT; s++)
        row->seconds[s] = 0;
}

/* ---- evaluation ---- */

/* Adds the time since *start to a stage and restarts the clock. */
static void lap(struct vj_row *row, enum vj_stage stage, double *start)
{
    double now = vj_seconds();
    row->seconds[stage] += now - *start;
    *start = now;
}

/* Random word of the shift of even positions; those of uniform ones lie below. */
static const uint32_t INDEX_SHIFT = UINT32_C(1) << 31;

void vj_patch_positions(uint64_t seed, const char *name, int draw, bool even, bool aligned,
                        size_t width, size_t height, int size, int patches, int32_t (*origin)[2])
{
    /* Two words place a patch, the other two place the map's own patch. */
    int first = aligned ? 0 : 2;
    uint64_t stream = vj_name_hash(name);
    if (even) {
        const struct vj_u32x4 word =
            vj_random4(seed, VJ_RNG_PATCHES, stream, INDEX_SHIFT + (uint32_t)draw);
        for (int p = 0; p < patches; p++)
            vj_place_even(origin[p], &word.v[first], (uint32_t)p, width, height, (size_t)size);
        return;
    }
    for (int p = 0; p < patches; p++) {
        struct vj_u32x4 word =
            vj_random4(seed, VJ_RNG_PATCHES, stream, (uint32_t)(draw * patches + p));
        origin[p][0] =
            (int32_t)vj_random_below(word.v[first], (uint32_t)height - (uint32_t)size + 1);
        origin[p][1] =
            (int32_t)vj_random_below(word.v[first + 1], (uint32_t)width - (uint32_t)size + 1);
    }
}

/* The predictor's network for this picture; VJ_NETWORK_NONE when it is not scored by it. */
static size_t network_of(const struct vj_passage *t, size_t predictor)
{
    const struct vj_predictor *p = &t->engine->predictors->list[predictor];
    return vj_predictor_is_network(p) ? vj_predictor_network(p, t->loaded->item.fold)
                                      : VJ_NETWORK_NONE;
}

static void choose_networks(struct vj_passage *t)
{
    t->networks = false;
    for (size_t n = 0; n < t->engine->plan.weights_count; n++)
        t->wanted[n] = false;
    for (size_t p = 0; p < t->engine->predictors->count; p++) {
        size_t network = network_of(t, p);
        if (network == VJ_NETWORK_NONE)
            continue;
        t->wanted[network] = true;
        t->networks = true;
    }
}

static int place_patches(struct vj_passage *t, struct vj_error *err)
{
    struct vj_engine *engine = t->engine;
    const struct vj_device_plan *plan = &engine->plan;
    const struct vj_image *source = &t->loaded->source;
    const char *name = t->loaded->item.name;
    bool even = engine->config.positions == VJ_POSITIONS_EVEN,
         independent = engine->config.jnd_patches == 1;
    size_t positions = (size_t)plan->draws * (size_t)plan->patches;
    int32_t(*own)[2] = independent ? vj_calloc(positions, sizeof(*own)) : NULL;
    if (independent && !own)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (int d = 0; d < plan->draws; d++) {
        size_t at = (size_t)d * (size_t)plan->patches;
        vj_patch_positions(engine->config.seed, name, d, even, true, source->width, source->height,
                           plan->patch_size, plan->patches, t->row->origin + at);
        if (independent)
            vj_patch_positions(engine->config.seed, name, d, even, false, source->width,
                               source->height, plan->patch_size, plan->patches, own + at);
    }
    int r = engine->device.ops->positions(engine->device.state, t->loaded->slot,
                                          (const int32_t(*)[2])t->row->origin,
                                          (const int32_t(*)[2])own, t->wanted, err);
    free(own);
    return r;
}

/* What is wanted of candidates. */
enum { SIZES = 1, MEASURES = 2, PATCHES = 4 };

/* Asks for candidates first..first+count-1 (levels, not quality factors). */
static int run_candidates(struct vj_passage *t, int first, int count, int wanted,
                          struct vj_error *err)
{
    struct vj_engine *engine = t->engine;
    int qf[VJ_LEVELS_MAX];
    for (int i = 0; i < count; i++)
        qf[i] = engine->config.qf_first + first + i;
    struct vj_candidate_request request = {.qf = qf,
                                           .count = count,
                                           .fetch = t->files ? vj_loaded_fetch : NULL,
                                           .user = t->loaded,
                                           .sizes = wanted & SIZES,
                                           .metrics = wanted & MEASURES,
                                           .patches = wanted & PATCHES};
    struct vj_candidate_values values = {.bytes = t->bytes + first,
                                         .quality = t->quality + first,
                                         .ssimulacra2 = t->ssimulacra2 + first};
    double **const rule[VJ_JND_RULES] = {
        [VJ_JND_SHARE] = values.share,
        [VJ_JND_EXCESS] = values.excess,
        [VJ_JND_NOISE] = values.noise_gain,
    };
    for (int k = 0; k < VJ_JND_RULES; k++)
        for (size_t j = 0; j < engine->plan.jnd_count; j++)
            rule[k][j] = t->pixel[k][j] ? t->pixel[k][j] + first : NULL;
    return engine->device.ops->candidates(engine->device.state, t->loaded->slot, &request, &values,
                                          err);
}

/*
 * Asks for a predictor's scores of the kept candidates, draw by draw; nothing when no network of it
 * is for this picture.
 */
static int run_network(struct vj_passage *t, size_t predictor, int first, int count,
                       struct vj_error *err)
{
    struct vj_engine *engine = t->engine;
    struct vj_row *row = t->row;
    size_t patches = (size_t)engine->plan.patches;
    size_t network = network_of(t, predictor);
    float *quality = row->patch_quality[predictor], *weight = row->patch_weight[predictor];
    int r = 0;
    for (int d = 0; !r && network != VJ_NETWORK_NONE && d < engine->plan.draws; d++) {
        size_t at = (size_t)d * (size_t)engine->levels + (size_t)first;
        r = engine->device.ops->scores(engine->device.state, t->loaded->slot, network, d, count,
                                       row->draw_score[predictor] + at,
                                       quality ? quality + at * patches : NULL,
                                       weight ? weight + at * patches : NULL, err);
    }
    return r;
}

static int wait_for(const struct vj_passage *t, struct vj_error *err)
{
    const struct vj_device *device = &t->engine->device;
    return device->ops->wait(device->state, t->loaded->slot, err);
}

/* A network's score is the mean of its draws; NaN where a draw was not scored. */
static void average_draws(struct vj_passage *t, size_t predictor, int first, int count)
{
    size_t levels = (size_t)t->engine->levels;
    int draws = t->engine->plan.draws;
    for (int i = first; i < first + count; i++) {
        double sum = 0;
        for (int d = 0; d < draws; d++)
            sum += t->row->draw_score[predictor][(size_t)d * levels + (size_t)i];
        t->row->score[predictor][i] = (float)(sum / draws);
    }
}

void vj_lossy_probability(const float *score, int levels, enum vj_positive_class positive,
                          float *probability)
{
    for (int i = 0; i < levels; i++) {
        double s = positive == VJ_POSITIVE_LOSSLESS ? -(double)score[i] : (double)score[i];
        probability[i] = isfinite(s) ? (float)(1.0 / (1.0 + exp(-s))) : NAN;
    }
}

int vj_levels_to_anchor(const struct vj_engine *engine, int anchor_qf)
{
    int levels = engine->levels;
    while (levels > 0 && vj_above_anchor(anchor_qf, engine->config.qf_first + levels - 1))
        levels--;
    return levels;
}

void vj_search_probability(const struct vj_engine *engine, int anchor_qf, const float *score,
                           float *probability)
{
    vj_lossy_probability(score, engine->levels, engine->predictors->list[0].positive_class,
                         probability);
    for (int k = vj_levels_to_anchor(engine, anchor_qf); k < engine->levels; k++)
        probability[k] = 0;
}

/* Is a score not finite that decides on the positive class? */
static bool lacks_scores(const float *score, int levels, int half)
{
    bool lacks = false;
    for (int k = 0; k < half; k++)
        lacks = lacks || !isfinite(score[k]) || !isfinite(score[levels - half + k]);
    return lacks;
}

enum vj_positive_class vj_positive_from_scores(const float *score, size_t stride, size_t images,
                                               int levels, double mean[2])
{
    int half = levels / 2;
    double sum[2] = {0, 0};
    size_t scored = 0;
    for (size_t i = 0; i < images; i++, score += stride) {
        if (lacks_scores(score, levels, half))
            continue;
        scored++;
        for (int k = 0; k < half; k++) {
            sum[0] += score[k];
            sum[1] += score[levels - half + k];
        }
    }
    for (int h = 0; h < 2; h++)
        mean[h] = !scored ? NAN : half ? sum[h] / ((double)scored * half) : 0;
    return mean[0] >= mean[1] ? VJ_POSITIVE_LOSSY : VJ_POSITIVE_LOSSLESS;
}

/* What a lazy search asks: a few levels of one predictor. */
struct question {
    struct vj_passage *passage;
    size_t predictor;
    bool not_finite; /* so a network answered, which ended the search */
};

/* What is better than the anchor is not searched: see finish.c, which does the same. */
static bool beyond_search(const struct vj_passage *t, int level)
{
    return vj_above_anchor(t->loaded->item.anchor_qf, t->engine->config.qf_first + level);
}

/* Patches and scores. -ENODATA, without a text: an answer is not finite. */
static int answer_network(void *user, int first, int count, float *probability,
                          struct vj_error *err)
{
    struct question *q = user;
    struct vj_passage *t = q->passage;
    double start = vj_seconds();
    int most = t->engine->plan.levels;
    for (int at = first; at < first + count; at += most) {
        int n = first + count - at < most ? first + count - at : most;
        int r = run_candidates(t, at, n, PATCHES, err);
        lap(t->row, VJ_STAGE_CANDIDATES, &start);
        if (!r)
            r = run_network(t, q->predictor, at, n, err);
        if (!r)
            r = wait_for(t, err);
        lap(t->row, VJ_STAGE_NETWORK, &start);
        if (r)
            return r;
    }
    average_draws(t, q->predictor, first, count);
    vj_lossy_probability(t->row->score[q->predictor] + first, count,
                         t->engine->predictors->list[q->predictor].positive_class, probability);
    for (int i = 0; i < count; i++) {
        if (beyond_search(t, first + i))
            probability[i] = 0;
        q->not_finite = q->not_finite || isnan(probability[i]);
    }
    return q->not_finite ? -ENODATA : 0;
}

/*
 * Measures those of the levels that no rule of this picture has asked for yet, neighbours together:
 * one pass over a candidate is for all rules and maps of the run.
 */
static int measure_levels(struct vj_passage *t, int first, int count, struct vj_error *err)
{
    int end = first + count, most = t->engine->plan.levels, r = 0;
    for (int at = first; !r && at < end; at++) {
        int n = 0;
        while (at + n < end && n < most && !t->measured[at + n] && !beyond_search(t, at + n))
            t->measured[at + n++] = true;
        if (n == 0)
            continue;
        r = run_candidates(t, at, n, MEASURES, err);
        at += n - 1;
    }
    return r ? r : wait_for(t, err);
}

/* A rule on a map. Its score stands in the row where its own search asked, whoever measured it. */
static int answer_rule(void *user, int first, int count, float *probability, struct vj_error *err)
{
    struct question *q = user;
    struct vj_passage *t = q->passage;
    const struct vj_predictor *p = &t->engine->predictors->list[q->predictor];
    double start = vj_seconds();
    int r = measure_levels(t, first, count, err);
    lap(t->row, VJ_STAGE_CANDIDATES, &start);
    for (int k = first; !r && k < first + count; k++) {
        float *score = &t->row->score[q->predictor][k];
        bool searched = !beyond_search(t, k);
        if (searched)
            *score = (float)t->pixel[p->jnd_rule][p->jnd][k];
        probability[k - first] =
            searched && vj_rule_lossy(vj_threshold_rule(p), *score, p->threshold);
    }
    return r;
}

/*
 * The searches of all predictors that are scored only where they ask. A network whose answer is
 * not finite has no prediction for this picture; the others keep it.
 */
static int run_lazily(struct vj_passage *t, bool networks, struct vj_error *err)
{
    const struct vj_engine *engine = t->engine;
    int r = 0;
    for (size_t p = 0; !r && p < engine->predictors->count; p++) {
        bool rule = engine->lazy_rules && engine->predictors->list[p].kind == VJ_PREDICTOR_PIXEL;
        struct question question = {.passage = t, .predictor = p};
        struct vj_search_result found;
        if (rule || (networks && network_of(t, p) != VJ_NETWORK_NONE))
            r = vj_search_lazy(&engine->search, engine->levels, rule ? answer_rule : answer_network,
                               &question, &found, err);
        r = question.not_finite ? 0 : r;
    }
    return r;
}

/* Of candidates that are files and of which nothing else is wanted: no device decodes them. */
static int file_sizes(struct vj_passage *t, struct vj_error *err)
{
    int r = 0;
    for (int i = 0; !r && i < t->engine->levels; i++)
        r = vj_loaded_fetch(t->loaded, t->engine->config.qf_first + i, NULL, &t->bytes[i], err);
    return r;
}

/* What is wanted at every quality factor, as many at once as the plan has room for. */
static int run_levels(struct vj_passage *t, bool networks, struct vj_error *err)
{
    struct vj_engine *engine = t->engine;
    int most = engine->plan.levels;
    int wanted = SIZES | (engine->measures_all ? MEASURES : 0) | (networks ? PATCHES : 0);
    double start = vj_seconds();
    if (t->files && wanted == SIZES) {
        int r = file_sizes(t, err);
        lap(t->row, VJ_STAGE_CANDIDATES, &start);
        return r;
    }
    for (int first = 0; first < engine->levels; first += most) {
        int count = engine->levels - first < most ? engine->levels - first : most;
        int r = run_candidates(t, first, count, wanted, err);
        lap(t->row, VJ_STAGE_CANDIDATES, &start);
        for (size_t p = 0; !r && networks && p < engine->predictors->count; p++)
            r = run_network(t, p, first, count, err);
        lap(t->row, VJ_STAGE_NETWORK, &start);
        if (r)
            return r;
    }
    return 0;
}

/* Bytes of the picture as samples, 8 bits each, per byte of the file. */
static float compression_ratio(const struct vj_loaded *loaded, int64_t bytes)
{
    double raw = (double)loaded->source.width * (double)loaded->source.height * loaded->channels;
    return bytes > 0 ? (float)(raw / (double)bytes) : NAN;
}

/* What the other predictors go by: the metric, a rule on a map, or someone else's number. */
static void copy_scores(struct vj_passage *t)
{
    struct vj_engine *engine = t->engine;
    for (size_t p = 0; p < engine->predictors->count; p++) {
        const struct vj_predictor *mine = &engine->predictors->list[p];
        const struct vj_external_row *external = NULL;
        if (mine->kind == VJ_PREDICTOR_EXTERNAL && vj_external_has_scores(&mine->external))
            external = vj_external_find(&mine->external, t->loaded->item.name);
        for (int i = 0; i < engine->levels && t->row->score[p]; i++) {
            float *score = &t->row->score[p][i];
            switch (mine->kind) {
            case VJ_PREDICTOR_PSNR:
                *score = (float)t->row->psnr_y[i];
                break;
            case VJ_PREDICTOR_SSIM:
                *score = (float)t->row->ssim[i];
                break;
            case VJ_PREDICTOR_MS_SSIM:
                *score = (float)t->row->ms_ssim[i];
                break;
            case VJ_PREDICTOR_SSIMULACRA2:
                *score = (float)t->row->ssimulacra2[i];
                break;
            case VJ_PREDICTOR_PIXEL:
                if (!engine->lazy_rules)
                    *score = (float)t->pixel[mine->jnd_rule][mine->jnd][i];
                break;
            case VJ_PREDICTOR_RATIO:
                *score = compression_ratio(t->loaded, t->row->bytes[i]);
                break;
            case VJ_PREDICTOR_EXTERNAL:
                if (external)
                    *score = external->score[engine->config.qf_first + i];
                break;
            case VJ_PREDICTOR_CONSTANT:
            case VJ_PREDICTOR_NETWORK:
            case VJ_PREDICTOR_FOLDS:
                break;
            }
        }
    }
}

static int ask_everything(struct vj_passage *t, bool full, struct vj_error *err)
{
    struct vj_engine *engine = t->engine;
    struct vj_loaded *loaded = t->loaded;
    const struct vj_device_ops *ops = engine->device.ops;
    bool networks = t->networks;
    bool lazy = engine->config.lazy && !full;
    double start = vj_seconds();
    int r = ops->source(engine->device.state, loaded->slot, &loaded->source,
                        loaded->reference.data ? &loaded->reference : NULL, loaded->item.anchor_qf,
                        err);
    lap(t->row, VJ_STAGE_SOURCE, &start);
    if (!r)
        r = ops->jnd_maps(engine->device.state, loaded->slot, err);
    lap(t->row, VJ_STAGE_JND, &start);
    if (!r && networks)
        r = place_patches(t, err);
    lap(t->row, VJ_STAGE_REFERENCE, &start);
    if (!r)
        r = run_levels(t, networks && !lazy, err);
    if (!r)
        r = run_lazily(t, networks && lazy, err);
    return r;
}

void vj_engine_submit(struct vj_engine *engine, struct vj_loaded *loaded, bool full,
                      struct vj_row *row)
{
    struct vj_passage *t = &engine->passage[loaded->slot];
    t->loaded = loaded;
    t->row = row;
    t->error = loaded->error;
    t->files = false;
    reset_row(row, engine);
    row->seconds[VJ_STAGE_READ] = loaded->seconds;
    for (int i = 0; i < engine->levels; i++) {
        t->bytes[i] = -1;
        t->quality[i] = (struct vj_quality_values){NAN, NAN, NAN, NAN};
        t->ssimulacra2[i] = NAN;
        t->measured[i] = false;
    }
    if (t->error.code)
        return;
    for (int qf = 0; qf <= VJ_LEVELS_MAX; qf++)
        t->files = t->files || loaded->candidate[qf].data;
    choose_networks(t);
    row->width = loaded->source.width;
    row->height = loaded->source.height;
    row->candidate_files = t->files;
    memcpy(row->source_sha256, loaded->source_sha256, sizeof(row->source_sha256));
    int r = ask_everything(t, full, &t->error);
    if (r && !t->error.code)
        t->error.code = r;
}

static void fill_row(struct vj_passage *t)
{
    struct vj_row *row = t->row;
    for (int i = 0; i < t->engine->levels; i++) {
        row->bytes[i] = t->bytes[i];
        row->psnr_y[i] = t->quality[i].psnr_y;
        row->psnr_rgb[i] = t->quality[i].psnr_rgb;
        row->ssim[i] = t->quality[i].ssim;
        row->ms_ssim[i] = t->quality[i].ms_ssim;
        row->ssimulacra2[i] = t->ssimulacra2[i];
    }
    for (size_t p = 0; p < t->engine->predictors->count; p++)
        if (is_network(t->engine, p))
            average_draws(t, p, 0, t->engine->levels);
    copy_scores(t);
}

void vj_engine_collect(struct vj_engine *engine, int slot)
{
    struct vj_passage *t = &engine->passage[slot];
    struct vj_row *row = t->row;
    double start = vj_seconds();
    struct vj_error late = {0};
    /* Even after a failure: nothing may still be writing into the row. */
    int r = wait_for(t, &late);
    lap(row, VJ_STAGE_NETWORK, &start);
    if (!t->error.code && r) {
        t->error = late;
        t->error.code = r;
    }
    if (!t->error.code) {
        fill_row(t);
        return;
    }
    reset_row(row, engine);
    row->seconds[VJ_STAGE_READ] = t->loaded->seconds;
    row->status = t->error.code;
    const size_t length = vj_utf8_cut(t->error.text, 500);
    snprintf(row->error, sizeof(row->error), "%.*s", (int)length, t->error.text);
}
