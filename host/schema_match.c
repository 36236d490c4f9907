/* SPDX-License-Identifier: MIT */
/* Whether rows of a results file may stand beside those that this run makes. */
#include "host/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/net_form.h"

static int match_text(struct vj_results *results, const char *object, const char *name,
                      const char *expected, struct vj_error *err)
{
    char *found;
    int r = vj_results_get_text(results, object, name, &found, err);
    if (r)
        return r;
    if (strcmp(found, expected) != 0)
        r = vj_fail(err, -EINVAL, "its %s of %s is '%.80s', this run's '%.80s'", name, object,
                    found, expected);
    free(found);
    return r;
}

/* Options that can change a number must be the same; threads, slots and memory may differ. */
static int match_config(struct vj_results *results, const struct vj_engine *engine, bool part,
                        struct vj_error *err)
{
    char *text, *then = NULL, *now = NULL;
    struct vj_config config;
    vj_config_defaults(&config, VJ_USE_EVAL);
    int r = vj_results_get_text(results, "/", "config", &text, err);
    if (r)
        return r;
    r = vj_config_parse(&config, text, "its configuration", err);
    if (!r && part) { /* which images these are is what the parts differ in */
        memcpy(config.ids, engine->config.ids, sizeof(config.ids));
        memcpy(config.root, engine->config.root, sizeof(config.root));
        memcpy(config.part, engine->config.part, sizeof(config.part));
        config.limit = engine->config.limit;
    }
    if (!r) {
        then = vj_config_text(&config, false);
        now = vj_config_text(&engine->config, false);
        if (!then || !now)
            r = vj_fail(err, -ENOMEM, "out of memory");
        else if (strcmp(then, now) != 0) {
            size_t at = 0;
            while (then[at] && then[at] == now[at])
                at++;
            while (at > 0 && then[at - 1] != '\n')
                at--;
            r = vj_fail(err, -EINVAL, "it has the option `%.*s`, this run `%.*s`",
                        (int)strcspn(then + at, "\n"), then + at, (int)strcspn(now + at, "\n"),
                        now + at);
        }
    }
    free(text);
    free(then);
    free(now);
    return r;
}

/*
 * Every column as this run would make it: a file may be damaged. Of a part, what is measured, with
 * as many rows as the part has images.
 */
static int match_columns(struct vj_results *results, const struct vj_engine *engine,
                         const struct vj_image_list *images, bool part, struct vj_error *err)
{
    struct vj_column *column = NULL;
    size_t count = 0, expected = images->count, dim[VJ_COLUMN_RANK_MAX], string_size, rows;
    int rank, r = 0;
    if (part)
        r = vj_results_shape(results, "/images/id", &expected, &rank, dim, &string_size, err);
    if (!r)
        r = vj_schema_columns(&column, &count, engine, images, err);
    for (size_t i = 0; !r && i < count; i++) {
        const struct vj_column *c = &column[i];
        if (part && !vj_schema_is_measured(c->path))
            continue;
        r = vj_results_shape(results, c->path, &rows, &rank, dim, &string_size, err);
        bool same = !r && rows == expected && rank == c->rank && string_size == c->string_size;
        for (int k = 0; same && k < rank; k++)
            same = dim[k] == c->dim[k];
        if (!r && !same)
            r = vj_fail(err, -EINVAL,
                        "its dataset %s (%zu rows) has not the size that this run gives it (%zu "
                        "rows)",
                        c->path, rows, expected);
    }
    free(column);
    return r;
}

/* Numbers of two versions of the program must not be mixed in one file, ... */
static int match_program(struct vj_results *results, struct vj_error *err)
{
    const char *const(*ours)[2] = vj_schema_program;
    for (size_t i = 0; i < VJ_SCHEMA_PROGRAM_FACTS; i++) {
        char *then;
        int r = vj_results_get_text(results, "/", ours[i][0], &then, err);
        if (!r && strcmp(then, ours[i][1]) != 0)
            r = vj_fail(err, -EINVAL, "its %s is '%.80s', this program's '%.80s'", ours[i][0], then,
                        ours[i][1]);
        free(then);
        if (r)
            return r;
    }
    return 0;
}

/* ... nor those of two devices, or of two versions of a library. */
static int match_device(struct vj_results *results, const struct vj_engine *engine,
                        struct vj_error *err)
{
    struct vj_device_info info = {0};
    engine->device.ops->info(engine->device.state, &info);
    int r = match_text(results, "/", "device_kind", engine->device.ops->name, err);
    return r ? r : match_text(results, "/", "device_library_versions", info.libraries, err);
}

/* The weights of a fold that the file has; those of another fold than this run's stand in a part.
 */
static int match_fold(const struct vj_engine *engine, const struct vj_predictor *p,
                      const char *group, int64_t fold, const char *then, bool part,
                      struct vj_error *err)
{
    for (size_t i = 0; i < p->folds; i++) {
        const char *now = engine->predictors->weights[p->network + i].sha256;
        if (p->fold[i] != fold)
            continue;
        return strcmp(then, now) == 0
                   ? 0
                   : vj_fail(err, -EINVAL,
                             "its weights of fold %lld in %s have the SHA-256 %.64s, this run's %s",
                             (long long)fold, group, then, now);
    }
    return part ? 0
                : vj_fail(err, -EINVAL,
                          "its %s has weights of fold %lld, of which this run has no "
                          "image",
                          group, (long long)fold);
}

/* One after the other, so that the error says which fold's weights are others. */
static int match_fold_weights(struct vj_results *results, const struct vj_engine *engine,
                              const struct vj_predictor *p, const char *group, bool part,
                              struct vj_error *err)
{
    char *text;
    int r = vj_results_get_text(results, group, "weights_sha256", &text, err);
    if (r)
        return r;
    size_t count = 1;
    for (const char *at = text; (at = strchr(at, ' ')) != NULL; at++)
        count++;
    int64_t *fold = vj_calloc(count, sizeof(*fold));
    r = fold ? vj_results_get_ints(results, group, "weights_fold", fold, count, err)
             : vj_fail(err, -ENOMEM, "out of memory");
    if (!r && !part && count != p->folds)
        r = vj_fail(err, -EINVAL, "its %s has weights of %zu folds, this run of %zu", group, count,
                    p->folds);
    char *rest = text;
    for (size_t i = 0; !r && i < count; i++)
        r = match_fold(engine, p, group, fold[i], strsep(&rest, " "), part, err);
    free(fold);
    free(text);
    return r;
}

static int match_patch_size(struct vj_results *results, const struct vj_engine *engine,
                            const char *group, struct vj_error *err)
{
    int64_t then;
    int r = vj_results_get_int(results, group, "patch_size", &then, err);
    if (!r && then != engine->plan.patch_size)
        r = vj_fail(err, -EINVAL, "its patch_size of %s is %lld, this run's %d", group,
                    (long long)then, engine->plan.patch_size);
    return r;
}

/* The digest is of tensors alone: what else a weight file says must be the same, too. */
static int match_network(struct vj_results *results, const struct vj_engine *engine,
                         const struct vj_predictor *p, const char *group, bool part,
                         struct vj_error *err)
{
    const struct vj_weights *w = &engine->predictors->weights[p->network];
    int r = p->kind == VJ_PREDICTOR_FOLDS
                ? match_fold_weights(results, engine, p, group, part, err)
                : match_text(results, group, "weights_sha256", w->sha256, err);
    if (!r && vj_net_form(w->shape.variant)->non_local)
        r = match_text(results, group, "non_local", vj_non_local_name(w->shape.non_local), err);
    if (!r)
        r = match_patch_size(results, engine, group, err);
    bool decided =
        p->positive_auto && vj_results_has_attribute(results, group, "positive_class_decision");
    if (!r && !decided)
        r = match_text(results, group, "positive_class", vj_positive_class_name(p->positive_class),
                       err);
    return r;
}

/* The pixel-JND model that a predictor's scores come from, or NULL. */
static const struct vj_jnd_model *map_model(const struct vj_engine *engine,
                                            const struct vj_predictor *p)
{
    if (p->kind == VJ_PREDICTOR_PIXEL)
        return engine->plan.jnd[p->jnd].model;
    bool sees_map = vj_predictor_is_network(p) &&
                    vj_net_form(engine->predictors->weights[p->network].shape.variant)->jnd;
    return sees_map ? engine->plan.jnd[engine->plan.net_jnd].model : NULL;
}

int vj_schema_match(struct vj_results *results, const struct vj_engine *engine,
                    const struct vj_image_list *images, const struct vj_run_facts *facts, bool part,
                    struct vj_error *err)
{
    int r = vj_schema_check(results, err);
    if (!r)
        r = match_program(results, err);
    if (!r)
        r = match_config(results, engine, part, err);
    if (!r)
        r = match_text(results, "/", "dataset_fingerprint", facts->dataset->fingerprint, err);
    for (size_t i = 0; !r && i < engine->predictors->count; i++) {
        const struct vj_predictor *p = &engine->predictors->list[i];
        char group[VJ_SCHEMA_PATH];
        snprintf(group, sizeof(group), "/predictors/%s", p->name);
        if (vj_predictor_is_network(p))
            r = match_network(results, engine, p, group, part, err);
        if (p->kind == VJ_PREDICTOR_EXTERNAL)
            r = match_text(results, group, "file_sha256", p->external.sha256, err);
        const struct vj_jnd_model *model = map_model(engine, p);
        if (!r && model && model->weights_sha256)
            r = match_text(results, group, "jnd_weights_sha256", model->weights_sha256, err);
    }
    if (!r)
        r = match_device(results, engine, err);
    if (!r)
        r = match_columns(results, engine, images, part, err);
    return r;
}
