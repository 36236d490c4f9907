/* SPDX-License-Identifier: MIT */
#include "host/finish_seen.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/net_form.h"
#include "host/ranges.h"
#include "host/schema.h"
#include "host/trained_config.h"

enum { DIGITS = VJ_SHA256_HEX - 1 };

/* What the run knows of its images. */
struct images {
    const struct vj_analysis *list;
    char *fingerprint;
    char *digest; /* [count][DIGITS], empty where the picture could not be read */
};

static int load(struct images *m, struct vj_results *results, struct vj_error *err)
{
    size_t rows, dim[VJ_COLUMN_RANK_MAX], string_size;
    int rank, r = vj_results_get_text(results, "/", "dataset_fingerprint", &m->fingerprint, err);
    if (!r)
        r = vj_results_shape(results, VJ_SCHEMA_SOURCE_SHA256, &rows, &rank, dim, &string_size,
                             err);
    if (!r && (rows != m->list->count || rank != 0 || string_size != DIGITS))
        r = vj_fail(err, -EINVAL,
                    "dataset " VJ_SCHEMA_SOURCE_SHA256 " is not a column of %zu texts of %d "
                    "characters",
                    m->list->count, DIGITS);
    if (r)
        return r;
    m->digest = vj_calloc(rows, DIGITS);
    if (!m->digest)
        return vj_fail(err, -ENOMEM, "out of memory");
    return vj_results_read(results, VJ_SCHEMA_SOURCE_SHA256, VJ_COLUMN_STRING, 0, rows, m->digest,
                           err);
}

/* Numbers of the items that made weights, when they are numbers of this run's data set. */
static int list_ids(struct vj_ranges *ids, const struct images *m, const struct vj_trained *trained,
                    const char *dataset, struct vj_error *err)
{
    *ids = (struct vj_ranges){0};
    if (vj_trained_with(trained, dataset, m->fingerprint) &&
        vj_ranges_parse(ids, trained->ids, 0, INT_MAX) == -ENOMEM)
        return vj_fail(err, -ENOMEM, "out of memory");
    return 0;
}

static bool is_seen(const struct images *m, size_t image, const struct vj_trained *trained,
                    const struct vj_ranges *ids)
{
    char digest[VJ_SHA256_HEX] = "";
    memcpy(digest, m->digest + image * DIGITS, DIGITS);
    return vj_seen_has(&trained->seen, digest) || vj_ranges_has(ids, m->list->id[image]);
}

int vj_count_seen(size_t *seen, struct vj_results *results, const struct vj_analysis *images,
                  const struct vj_engine *engine, const struct vj_predictor *p,
                  struct vj_error *err)
{
    struct images m = {.list = images};
    const size_t networks = p->kind == VJ_PREDICTOR_NETWORK ? 1 : p->folds;
    *seen = 0;
    int r = load(&m, results, err);
    for (size_t n = 0; !r && n < networks; n++) {
        const struct vj_trained *trained = engine->predictors->weights[p->network + n].trained;
        if (!trained)
            continue;
        struct vj_ranges ids;
        r = list_ids(&ids, &m, trained, engine->config.dataset, err);
        for (size_t i = 0; !r && i < images->count; i++)
            if (vj_predictor_network(p, images->fold[i]) == p->network + n)
                *seen += is_seen(&m, i, trained, &ids);
        vj_ranges_free(&ids);
    }
    free(m.fingerprint);
    free(m.digest);
    return r;
}

bool vj_other_codec(char then[16], const struct vj_engine *engine, const struct vj_weights *weights)
{
    struct vj_config config; /* files of earlier versions knew JPEG alone, the default */
    if (!vj_trained_config(&config, weights))
        return false;
    snprintf(then, 16, "%s", config.codec);
    return strcmp(config.codec, engine->config.codec) != 0;
}

/* sha256: of the model's weights, "" where it has none */
static void describe_maps(char text[VJ_MAPS_TEXT], const struct vj_config *c,
                          const struct vj_jnd_model *model, size_t variant, const char *sha256)
{
    snprintf(text, VJ_MAPS_TEXT, "%s (%s) %s of the %s%s%.8s", model->name,
             model->variants[variant], vj_jnd_scale_name((enum vj_jnd_scale)c->jnd_scale),
             c->jnd_source ? "anchor" : "source", *sha256 ? " with weights " : "", sha256);
}

void vj_compare_maps(char here[VJ_MAPS_TEXT], char then[VJ_MAPS_TEXT],
                     const struct vj_engine *engine, const struct vj_weights *weights)
{
    struct vj_config config;
    *here = *then = '\0';
    if (!vj_net_form(weights->shape.variant)->jnd || !vj_trained_config(&config, weights))
        return;
    size_t variant;
    const struct vj_jnd_model *model;
    if (vj_config_jnd(&model, &variant, &config, NULL))
        return;
    const struct vj_jnd_choice *map = &engine->plan.jnd[engine->plan.net_jnd];
    const char *digest = map->model->weights_sha256;
    describe_maps(here, &engine->config, map->model, map->variant, digest ? digest : "");
    describe_maps(then, &config, model, variant, weights->trained->jnd_weights_sha256);
}
