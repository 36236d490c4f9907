/* SPDX-License-Identifier: MIT */
/* What a run asks of the device, and opening it. */
#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/engine.h"
#include "host/net_form.h"
#include "host/trained_config.h"

/* Candidates' patches kept at once take at most this much, so that many patches stay affordable. */
static const size_t kept_patches_limit = (size_t)512 << 20;

int vj_engine_threads(int threads)
{
    return threads > 0 ? threads : omp_get_num_procs();
}

/* The model as it runs: with its weights, where it has some; these are read once. */
static int load_model(struct vj_engine *engine, const struct vj_jnd_model **model,
                      struct vj_error *err)
{
    if (!(*model)->needs_weights)
        return 0;
    int r =
        engine->loaded ? 0 : vj_jnd_load(&engine->loaded, *model, engine->config.jnd_weights, err);
    *model = engine->loaded;
    return r;
}

static int add_map(struct vj_engine *engine, const struct vj_jnd_model *model, size_t variant,
                   int *index, struct vj_error *err)
{
    struct vj_device_plan *plan = &engine->plan;
    int r = load_model(engine, &model, err);
    if (r)
        return r;
    for (size_t i = 0; i < plan->jnd_count; i++)
        if (plan->jnd[i].model == model && plan->jnd[i].variant == variant) {
            *index = (int)i;
            return 0;
        }
    if (plan->jnd_count == VJ_DEVICE_JND_MAX)
        return vj_fail(err, -E2BIG,
                       "option predictors: more than %d pixel-JND maps in one run, %s being one "
                       "more; leave some out, or evaluate them in runs of their own",
                       VJ_DEVICE_JND_MAX, model->name);
    plan->jnd[plan->jnd_count] = (struct vj_jnd_choice){model, variant};
    *index = (int)plan->jnd_count++;
    return 0;
}

/* Where the plan says whether a rule is wanted of a map. */
static bool *wanted_of(struct vj_device_plan *plan, enum vj_jnd_rule rule, int map)
{
    bool *const wanted[VJ_JND_RULES] = {
        [VJ_JND_SHARE] = plan->jnd_share,
        [VJ_JND_EXCESS] = plan->jnd_excess,
        [VJ_JND_NOISE] = plan->jnd_noise,
    };
    return &wanted[rule][map];
}

static int plan_maps(struct vj_engine *engine, struct vj_error *err)
{
    struct vj_device_plan *plan = &engine->plan;
    for (size_t i = 0; i < engine->predictors->count; i++) {
        struct vj_predictor *p = &engine->predictors->list[i];
        if (p->kind != VJ_PREDICTOR_PIXEL)
            continue;
        int r = add_map(engine, p->jnd_model, p->jnd_variant, &p->jnd, err);
        if (r)
            return r;
        *wanted_of(plan, p->jnd_rule, p->jnd) = true;
    }
    bool sees_map = false;
    for (size_t i = 0; i < plan->weights_count; i++)
        sees_map = sees_map || vj_net_form(plan->weights[i]->shape.variant)->jnd;
    plan->net_jnd = -1;
    size_t variant;
    const struct vj_jnd_model *model;
    int r = vj_config_jnd(&model, &variant, &engine->config, err);
    return r || !sees_map ? r : add_map(engine, model, variant, &plan->net_jnd, err);
}

/* Adds the metric of an entry of the option image_metrics, `n` bytes at p. */
static int add_metric(const char *p, size_t n, int *which, bool *ssimulacra2, struct vj_error *err)
{
    static const struct {
        const char *name;
        int flag;
    } names[] = {
        {"psnr", VJ_QUALITY_PSNR}, {"ssim", VJ_QUALITY_SSIM}, {"ms_ssim", VJ_QUALITY_MS_SSIM}};
    for (int i = 0; i < 3; i++)
        if (strlen(names[i].name) == n && strncmp(names[i].name, p, n) == 0) {
            *which |= names[i].flag;
            return 0;
        }
    if (n == strlen("ssimulacra2") && strncmp(p, "ssimulacra2", n) == 0) {
        *ssimulacra2 = true;
        return 0;
    }
    if (n == strlen("none") && strncmp(p, "none", n) == 0)
        return vj_fail(err, -EINVAL, "option image_metrics: none stands alone, without a comma");
    return vj_fail(err, -EINVAL,
                   "option image_metrics: '%.*s' is not one of psnr, ssim, ms_ssim, ssimulacra2, "
                   "none%s",
                   (int)n, p, n == 0 ? "; leave out the comma before or after it" : "");
}

static int plan_quality(struct vj_engine *engine, struct vj_error *err)
{
    const char *p = engine->config.image_metrics;
    int which = 0;
    bool ssimulacra2 = false, done = p[0] == '\0' || strcmp(p, "none") == 0;
    while (!done) {
        size_t n = strcspn(p, ",");
        int r = add_metric(p, n, &which, &ssimulacra2, err);
        if (r)
            return r;
        done = p[n] == '\0';
        p += n + 1;
    }
    /* A threshold predictor needs its metric whether or not the user wants it reported. */
    for (size_t i = 0; i < engine->predictors->count; i++) {
        enum vj_predictor_kind kind = engine->predictors->list[i].kind;
        which |= kind == VJ_PREDICTOR_PSNR      ? VJ_QUALITY_PSNR
                 : kind == VJ_PREDICTOR_SSIM    ? VJ_QUALITY_SSIM
                 : kind == VJ_PREDICTOR_MS_SSIM ? VJ_QUALITY_MS_SSIM
                                                : 0;
        ssimulacra2 |= kind == VJ_PREDICTOR_SSIMULACRA2;
    }
    engine->plan.quality = which;
    if (ssimulacra2)
        engine->plan.ssimulacra2 =
            engine->config.ssimulacra2_mode == 0 ? VJ_SSIMULACRA2_EXACT : VJ_SSIMULACRA2_PARITY;
    return 0;
}

/* All networks see the same patches. */
static int take_positions(struct vj_engine *engine, struct vj_error *err)
{
    const struct vj_predictors *p = engine->predictors;
    if (engine->config.positions != VJ_POSITIONS_AUTO)
        return 0;
    for (size_t k = 0; k < p->count; k++) {
        const struct vj_predictor *mine = &p->list[k];
        for (size_t i = 0; i < vj_predictor_networks(mine); i++) {
            int positions;
            if (vj_trained_positions(&positions, &p->weights[mine->network + i], err))
                return vj_fail_prefix(err, "weights %s", mine->path);
            if (engine->config.positions == VJ_POSITIONS_AUTO)
                engine->config.positions = positions;
            if (positions != engine->config.positions)
                return vj_fail(err, -EINVAL,
                               "option positions: some of these networks were trained with "
                               "positions = uniform, others with even; say which to take");
        }
    }
    return 0;
}

static int plan_networks(struct vj_engine *engine, struct vj_error *err)
{
    struct vj_device_plan *plan = &engine->plan;
    const struct vj_predictors *p = engine->predictors;
    plan->weights_count = p->networks;
    if (p->networks == 0)
        return 0;
    engine->weights = vj_calloc(p->networks, sizeof(*engine->weights));
    if (!engine->weights)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < p->networks; i++)
        engine->weights[i] = &p->weights[i];
    plan->weights = engine->weights;
    plan->patch_size = p->weights[0].shape.patch_size;
    plan->patches = engine->config.patches ? engine->config.patches : p->weights[0].shape.patches;
    plan->draws = engine->config.draws;
    int r = take_positions(engine, err);
    if (r)
        return r;
    size_t level = (size_t)plan->draws * (size_t)plan->patches * (size_t)plan->patch_size *
                   (size_t)plan->patch_size * 3;
    size_t levels = kept_patches_limit / level;
    if (levels < (size_t)plan->threads)
        levels = (size_t)plan->threads;
    if (levels < (size_t)plan->levels)
        plan->levels = (int)levels;
    return 0;
}

/* Who needs whole candidates, and whether all of them. */
static void plan_measures(struct vj_engine *engine)
{
    bool rules = false, fits = false;
    bool metrics = engine->plan.quality || engine->plan.ssimulacra2;
    for (size_t i = 0; i < engine->predictors->count; i++) {
        const struct vj_predictor *p = &engine->predictors->list[i];
        if (p->kind != VJ_PREDICTOR_PIXEL)
            continue;
        rules = true;
        fits = fits || p->fit;
    }
    engine->lazy_rules = engine->config.lazy && rules && !fits && !metrics;
    engine->measures_all = (metrics || rules) && !engine->lazy_rules;
}

static bool alloc_rules(struct vj_passage *t, struct vj_device_plan *plan, size_t levels)
{
    bool ok = true;
    for (int rule = 0; rule < VJ_JND_RULES; rule++)
        for (size_t j = 0; ok && j < plan->jnd_count; j++)
            if (*wanted_of(plan, (enum vj_jnd_rule)rule, (int)j))
                ok = (t->pixel[rule][j] = vj_calloc(levels, sizeof(double))) != NULL;
    return ok;
}

static int alloc_passages(struct vj_engine *engine, struct vj_error *err)
{
    size_t levels = (size_t)engine->levels;
    engine->passage = vj_calloc((size_t)engine->plan.slots, sizeof(*engine->passage));
    bool ok = engine->passage != NULL;
    for (int s = 0; ok && s < engine->plan.slots; s++) {
        struct vj_passage *t = &engine->passage[s];
        t->engine = engine;
        t->bytes = vj_calloc(levels, sizeof(*t->bytes));
        t->quality = vj_calloc(levels, sizeof(*t->quality));
        t->wanted = vj_calloc(engine->plan.weights_count, sizeof(*t->wanted));
        t->ssimulacra2 = vj_calloc(levels, sizeof(*t->ssimulacra2));
        t->measured = vj_calloc(levels, sizeof(*t->measured));
        ok = t->bytes && t->quality && t->wanted && t->ssimulacra2 && t->measured;
        ok = ok && alloc_rules(t, &engine->plan, levels);
    }
    return ok ? 0 : vj_fail(err, -ENOMEM, "out of memory");
}

static int check_memory(struct vj_engine *engine, struct vj_error *err)
{
    struct vj_device_info info = {0};
    engine->device.ops->info(engine->device.state, &info);
    /* Decoded pictures in flight: a source and a reference in each slot. */
    size_t pictures =
        (size_t)engine->plan.slots * 2 * 3 * engine->plan.max_width * engine->plan.max_height;
    size_t needed = info.memory + pictures;
    size_t limit = engine->config.max_memory;
    if (limit == 0 || needed <= limit)
        return 0;
    return vj_fail(
        err, -ENOMEM,
        "the run needs %zu MiB (pictures of %zux%zu, networks: %zu), max_memory allows %zu MiB; "
        "lower patches, threads or slots, or raise it",
        needed >> 20, engine->plan.max_width, engine->plan.max_height, engine->plan.weights_count,
        limit >> 20);
}

int vj_engine_open(struct vj_engine *engine, const struct vj_config *config,
                   struct vj_predictors *predictors, size_t max_width, size_t max_height,
                   struct vj_error *err)
{
    *engine = (struct vj_engine){.config = *config, .predictors = predictors};
    engine->levels = config->qf_last - config->qf_first + 1;
    engine->search = (struct vj_search_options){.kind = (enum vj_search_kind)config->search,
                                                .block = config->block,
                                                .threshold = config->block_threshold,
                                                .window = config->window,
                                                .window_threshold = config->window_threshold};
    engine->plan = (struct vj_device_plan){
        .max_width = max_width,
        .max_height = max_height,
        .slots = config->slots,
        .threads = vj_engine_threads(config->threads),
        .levels = engine->levels,
        .sampling = config->sampling == 0 ? VJ_SUBSAMPLING_420 : VJ_SUBSAMPLING_444,
        .jnd_from_anchor = config->jnd_source == 1,
        .net_scale = (enum vj_jnd_scale)config->jnd_scale,
        .draws = 1,
        .precision = (enum vj_precision)config->precision,
    };
    int r = plan_networks(engine, err);
    if (!r)
        r = plan_maps(engine, err);
    if (!r)
        r = plan_quality(engine, err);
    plan_measures(engine);
    if (!r)
        r = alloc_passages(engine, err);
    if (!r)
        r = vj_device_open(&engine->device, config->device, &engine->plan, engine->device_note,
                           err);
    if (!r)
        r = check_memory(engine, err);
    if (r)
        vj_engine_close(engine);
    return r;
}

void vj_engine_close(struct vj_engine *engine)
{
    vj_device_close(&engine->device);
    for (int s = 0; engine->passage && s < engine->plan.slots; s++) {
        struct vj_passage *t = &engine->passage[s];
        free(t->bytes);
        free(t->quality);
        free(t->wanted);
        free(t->ssimulacra2);
        free(t->measured);
        for (int rule = 0; rule < VJ_JND_RULES; rule++)
            for (int j = 0; j < VJ_DEVICE_JND_MAX; j++)
                free(t->pixel[rule][j]);
    }
    free(engine->passage);
    free(engine->weights);
    vj_jnd_unload(engine->loaded);
    *engine = (struct vj_engine){0};
}
