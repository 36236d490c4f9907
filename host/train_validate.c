/* SPDX-License-Identifier: MIT */
#include "host/train_validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/search.h"
#include "host/checked.h"
#include "host/engine.h"
#include "host/image.h"
#include "host/net_form.h"
#include "host/predictors.h"
#include "host/stream.h"

/* The network as the one predictor of a run; weights are borrowed. */
static void list_network(struct vj_predictors *list, struct vj_predictor *network,
                         struct vj_weights *view, const struct vj_weights *weights)
{
    *view = *weights;
    *network = (struct vj_predictor){.kind = VJ_PREDICTOR_NETWORK,
                                     .name = "vpjnd-training",
                                     .kind_name = "vpjnd",
                                     .positive_class = weights->positive_class};
    *list = (struct vj_predictors){.list = network, .count = 1, .weights = view, .networks = 1};
}

/* Largest sides of the pictures, for the device's memory; patches must fit into all of them. */
static int largest_sides(const struct vj_dataset *ds, const size_t *item, size_t count,
                         size_t patch_size, size_t *width, size_t *height, struct vj_error *err)
{
    *width = *height = 0;
    for (size_t i = 0; i < count; i++) {
        struct vj_item it = {0};
        struct vj_image_info info = {0};
        int r = vj_dataset_item(ds, item[i], &it, err);
        if (!r)
            r = vj_image_probe(&info, it.source, err);
        if (!r && (info.width < patch_size || info.height < patch_size))
            r = vj_fail(err, -EINVAL, "%s is %zux%zu, smaller than a patch of %zux%zu", it.source,
                        info.width, info.height, patch_size, patch_size);
        vj_item_free(&it);
        if (r)
            return r;
        *width = info.width > *width ? info.width : *width;
        *height = info.height > *height ? info.height : *height;
    }
    return 0;
}

struct answers {
    const float *probability; /* [levels], NaN where not evaluated */
};

static int answer(void *user, int first, int count, float *p_lossy, struct vj_error *err)
{
    const struct answers *a = user;
    for (int i = 0; i < count; i++) {
        if (isnan(a->probability[first + i]))
            return vj_fail(err, -ENODATA,
                           "the network's score at level %d is not finite; lower learning_rate",
                           first + i);
        p_lossy[i] = a->probability[first + i];
    }
    return 0;
}

/* Predicted quality factor of one picture. */
static int predict(struct vj_engine *engine, const struct vj_dataset *ds, size_t item,
                   const struct vj_stream_options *options, struct vj_row *row, int *error,
                   struct vj_error *err)
{
    struct vj_loaded loaded = {.index = item};
    vj_load_item(&loaded, ds, options);
    int r = loaded.error.code ? vj_fail(err, loaded.error.code, "%s", loaded.error.text) : 0;
    if (!r) {
        vj_engine_submit(engine, &loaded, false, row);
        vj_engine_collect(engine, loaded.slot);
        if (row->status)
            r = vj_fail(err, row->status, "%s", row->error);
    }
    float probability[VJ_SEARCH_LEVELS_MAX];
    const struct answers a = {probability};
    struct vj_search_result found;
    if (!r) {
        vj_search_probability(engine, loaded.item.anchor_qf, row->score[0], probability);
        r = vj_search_lazy(&engine->search, engine->levels, answer, (void *)&a, &found, err);
    }
    if (!r)
        *error = vj_search_qf(found.level, engine->config.qf_first) - loaded.item.qf_true;
    if (r && loaded.item.name)
        vj_fail_prefix(err, "validation picture %s", loaded.item.name);
    vj_loaded_free(&loaded);
    return r;
}

/* What validation evaluates with. */
struct setting {
    struct vj_config config;
    struct vj_predictor network;
    struct vj_predictors list;
    struct vj_weights view;
    struct vj_engine engine;
    size_t width, height; /* of the largest picture */
};

static int open_setting(struct setting *s, const struct vj_config *config,
                        const struct vj_dataset *ds, const size_t *item, size_t count,
                        const struct vj_weights *weights, struct vj_error *err)
{
    s->config = *config;
    s->config.lazy = true;
    s->config.slots = 1;
    strcpy(s->config.image_metrics, "none");
    if (config->validate_patches > 0)
        s->config.patches = config->validate_patches;
    list_network(&s->list, &s->network, &s->view, weights);
    int r = largest_sides(ds, item, count, (size_t)weights->shape.patch_size, &s->width, &s->height,
                          err);
    if (!r)
        r = vj_engine_open(&s->engine, &s->config, &s->list, s->width, s->height, err);
    return r;
}

int vj_validate_check(const struct vj_config *config, const struct vj_dataset *ds,
                      const size_t *item, size_t count, const struct vj_weights *weights,
                      struct vj_error *err)
{
    struct setting s;
    int r = open_setting(&s, config, ds, item, count, weights, err);
    if (!r)
        vj_engine_close(&s.engine);
    return r ? vj_fail_prefix(err, "validation") : 0;
}

int vj_validate(struct vj_validation *out, const struct vj_config *config,
                const struct vj_dataset *ds, const size_t *item, size_t count,
                const struct vj_weights *weights, struct vj_error *err)
{
    struct setting s;
    struct vj_row row;
    *out = (struct vj_validation){.images = count};
    int r = open_setting(&s, config, ds, item, count, weights, err);
    if (r)
        return r;
    const struct vj_stream_options options = {
        .threads = 1,
        .slots = 1,
        .image = {.alpha = (enum vj_alpha_mode)config->alpha, .max_pixels = config->max_pixels},
        .max_width = s.width,
        .max_height = s.height,
        .min_side = (size_t)weights->shape.patch_size,
    };
    r = vj_row_alloc(&row, &s.engine, err);
    for (size_t i = 0; i < count && !r; i++) {
        size_t patches;
        int error = 0;
        r = predict(&s.engine, ds, item[i], &options, &row, &error, err);
        out->mad += abs(error) / (double)count;
        out->bias += error / (double)count;
        if (!r)
            out->live_weights += vj_row_live_weights(&row, &s.engine, 0, &patches);
    }
    if (row.bytes)
        vj_row_free(&row, &s.engine);
    vj_engine_close(&s.engine);
    return r;
}
