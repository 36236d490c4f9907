/* SPDX-License-Identifier: MIT */
#include "host/compare_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/text.h"
#include "host/checked.h"
#include "host/schema.h"

/* ---- the list ---- */

static void free_values(char **value, size_t runs)
{
    for (size_t k = 0; value && k < runs; k++)
        free(value[k]);
    free(value);
}

void vj_differences_free(struct vj_differences *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free_values((char **)d->list[i].value, d->runs);
        free((char *)d->list[i].field);
    }
    free(d->list);
    *d = (struct vj_differences){0};
}

static char **new_values(const struct vj_differences *d, struct vj_error *err)
{
    char **value = vj_calloc(d->runs, sizeof(*value));
    if (!value)
        vj_fail(err, -ENOMEM, "out of memory");
    return value;
}

/* Are two of the values unlike? Where `absent_differs` is false, files without one do not count. */
static bool differ(char *const *value, size_t runs, bool absent_differs)
{
    const char *known = NULL;
    bool some_absent = false;
    for (size_t k = 0; k < runs; k++) {
        some_absent = some_absent || !value[k];
        if (value[k] && known && strcmp(value[k], known) != 0)
            return true;
        if (value[k])
            known = value[k];
    }
    return absent_differs && known && some_absent;
}

/* Appends a difference and takes over its values. */
static int append(struct vj_differences *d, const char *field, bool barrier, char **value,
                  struct vj_error *err)
{
    if (d->count == d->capacity) {
        size_t more = d->capacity ? 2 * d->capacity : 16;
        struct vj_report_difference *grown = reallocarray(d->list, more, sizeof(*grown));
        if (!grown) {
            free_values(value, d->runs);
            return vj_fail(err, -ENOMEM, "out of memory");
        }
        d->list = grown;
        d->capacity = more;
    }
    char *name = strdup(field);
    if (!name) {
        free_values(value, d->runs);
        return vj_fail(err, -ENOMEM, "out of memory");
    }
    d->list[d->count++] = (struct vj_report_difference){
        .field = name, .barrier = barrier, .value = (const char *const *)value};
    d->barriers += barrier;
    return 0;
}

/* The same where the values differ; otherwise they are freed. */
static int append_if_unlike(struct vj_differences *d, const char *field, bool barrier,
                            bool absent_differs, char **value, struct vj_error *err)
{
    if (differ(value, d->runs, absent_differs))
        return append(d, field, barrier, value, err);
    free_values(value, d->runs);
    return 0;
}

/* ---- attributes ---- */

enum attribute_kind { TEXT, INTEGER, UNSIGNED, REAL };

static const struct {
    const char *name;
    enum attribute_kind kind;
    bool barrier;
} attributes[] = {
    {"dataset", TEXT, true},
    {"dataset_fingerprint", TEXT, true},
    {"label_definition", TEXT, true},
    {"human_labels", INTEGER, true},
    {"codec", TEXT, true},
    {"candidates", TEXT, true},
    {"folds", TEXT, true},
    {"qf_first", INTEGER, true},
    {"qf_last", INTEGER, true},
    {"dataset_axis", TEXT, false},
    {"dataset_excluded", TEXT, false},
    {"seed", UNSIGNED, false},
    {"complete", INTEGER, false},
    {"program_version", TEXT, false},
    {"git_revision", TEXT, false},
    {"host", TEXT, false},
    {"device", TEXT, false},
    {"device_kind", TEXT, false},
    {"device_library_versions", TEXT, false},
    {"jpeg_library", TEXT, false},
};

static int real_text(char **text, struct vj_results *results, const char *object, const char *name,
                     struct vj_error *err)
{
    struct vj_text digits = {0};
    double real;
    int r = vj_results_get_double(results, object, name, &real, err);
    if (!r)
        vj_text_number(&digits, real);
    if (!r)
        r = vj_text_status(&digits, err);
    if (r)
        vj_text_free(&digits);
    else
        *text = digits.data;
    return r;
}

/* *text: the attribute in words, owned by the caller; NULL where there is none. */
static int attribute_text(char **text, struct vj_results *results, const char *object,
                          const char *name, enum attribute_kind kind, struct vj_error *err)
{
    int64_t integer;
    uint64_t whole;
    int r, n = -1;
    *text = NULL;
    if (!vj_results_has_attribute(results, object, name))
        return 0;
    if (kind == REAL)
        return real_text(text, results, object, name, err);
    if (kind == TEXT)
        return vj_results_get_text(results, object, name, text, err);
    if (kind == INTEGER) {
        r = vj_results_get_int(results, object, name, &integer, err);
        n = r ? 0 : asprintf(text, "%" PRId64, integer);
    } else {
        r = vj_results_get_uint64(results, object, name, &whole, err);
        n = r ? 0 : asprintf(text, "%" PRIu64, whole);
    }
    if (r)
        return r;
    if (n >= 0)
        return 0;
    *text = NULL;
    return vj_fail(err, -ENOMEM, "out of memory");
}

static int compare_attributes(struct vj_differences *d, const struct vj_report_source *source,
                              bool barrier, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        if (attributes[i].barrier != barrier)
            continue;
        char **value = new_values(d, err);
        if (!value)
            return -ENOMEM;
        for (size_t k = 0; !r && k < d->runs; k++)
            r = attribute_text(&value[k], source[k].results, "/", attributes[i].name,
                               attributes[i].kind, err);
        if (r)
            free_values(value, d->runs);
        else
            r = append_if_unlike(d, attributes[i].name, barrier, true, value, err);
    }
    return r;
}

/* ---- images, their labels and folds ---- */

enum { NAMED = 5 }; /* images that a difference names; the others are counted */

/* "50 images; without SRC03, SRC07 and 2 more of the other files" */
static char *describe_list(const struct vj_image_index *index, size_t runs, size_t mine)
{
    struct vj_text text = {0};
    size_t missing = 0;
    vj_text_add(&text, "%zu images", index[mine].analysis->count);
    for (size_t k = 0; k < runs; k++) {
        const struct vj_analysis *a = index[k].analysis;
        for (size_t i = 0; k != mine && i < a->count; i++) {
            bool seen = vj_image_index_find(&index[mine], a->name[i]) >= 0;
            for (size_t e = 0; !seen && e < k; e++)
                seen = e != mine && vj_image_index_find(&index[e], a->name[i]) >= 0;
            if (seen)
                continue;
            if (missing < NAMED)
                vj_text_add(&text, "%s%s", missing ? ", " : "; without ", a->name[i]);
            missing++;
        }
    }
    if (missing > NAMED)
        vj_text_add(&text, " and %zu more", missing - NAMED);
    if (!text.failed)
        return text.data;
    vj_text_free(&text);
    return NULL;
}

static int compare_lists(struct vj_differences *d, const struct vj_image_index *index,
                         struct vj_error *err)
{
    char **value = new_values(d, err);
    if (!value)
        return -ENOMEM;
    for (size_t k = 0; k < d->runs; k++) {
        value[k] = describe_list(index, d->runs, k);
        if (!value[k]) {
            free_values(value, d->runs);
            return vj_fail(err, -ENOMEM, "out of memory");
        }
    }
    return append_if_unlike(d, "images", true, true, value, err);
}

enum { IMAGE_VALUE = 24 };

/* What a file says of an image, in words; empty where it does not say. */
typedef void (*image_value)(char text[IMAGE_VALUE], const struct vj_analysis *a, size_t image);

static void label_of(char text[IMAGE_VALUE], const struct vj_analysis *a, size_t image)
{
    snprintf(text, IMAGE_VALUE, "%d", (int)a->qf_true[image]);
}

static void fold_of(char text[IMAGE_VALUE], const struct vj_analysis *a, size_t image)
{
    snprintf(text, IMAGE_VALUE, "%d", (int)a->fold[image]);
}

static void anchor_of(char text[IMAGE_VALUE], const struct vj_analysis *a, size_t image)
{
    text[0] = '\0';
    if (a->anchor)
        snprintf(text, IMAGE_VALUE, "%d", (int)a->anchor[image]);
}

/* The first 16 digits of the digest of its pixels. */
static void picture_of(char text[IMAGE_VALUE], const struct vj_analysis *a, size_t image)
{
    text[0] = '\0';
    if (a->source_sha256)
        snprintf(text, IMAGE_VALUE, "%.16s", a->source_sha256[image]);
}

/* Do all files have the image of the first one and say something of it, but not all the same? */
static bool values_differ(const struct vj_image_index *index, size_t runs, image_value value,
                          size_t image)
{
    const char *name = index[0].analysis->name[image];
    char first[IMAGE_VALUE], text[IMAGE_VALUE];
    bool unlike = false;
    value(first, index[0].analysis, image);
    for (size_t k = 1; k < runs; k++) {
        ssize_t row = vj_image_index_find(&index[k], name);
        if (row < 0)
            return false;
        value(text, index[k].analysis, (size_t)row);
        if (!*first || !*text)
            return false;
        unlike = unlike || strcmp(text, first) != 0;
    }
    return unlike;
}

static int compare_values(struct vj_differences *d, const struct vj_image_index *index,
                          const char *field, image_value value, struct vj_error *err)
{
    const struct vj_analysis *first = index[0].analysis;
    struct vj_text *text = vj_calloc(d->runs, sizeof(*text));
    char **values = new_values(d, err);
    size_t unlike = 0;
    bool failed = !text || !values;
    for (size_t i = 0; !failed && i < first->count; i++) {
        if (!values_differ(index, d->runs, value, i))
            continue;
        for (size_t k = 0; unlike < NAMED && k < d->runs; k++) {
            char said[IMAGE_VALUE];
            ssize_t row = vj_image_index_find(&index[k], first->name[i]);
            value(said, index[k].analysis, (size_t)row);
            vj_text_add(&text[k], "%s%s: %s", unlike ? ", " : "", first->name[i], said);
        }
        unlike++;
    }
    for (size_t k = 0; !failed && k < d->runs; k++) {
        if (unlike > NAMED)
            vj_text_add(&text[k], " and %zu more images", unlike - NAMED);
        failed = text[k].failed;
    }
    for (size_t k = 0; text && k < d->runs; k++) {
        if (values && !failed)
            values[k] = text[k].data;
        else
            vj_text_free(&text[k]);
    }
    free(text);
    if (failed) {
        free_values(values, d->runs);
        return vj_fail(err, -ENOMEM, "out of memory");
    }
    return append_if_unlike(d, field, true, false, values, err);
}

/* ---- options ---- */

/* Options that an attribute says better (what "" stands for, too), or that cannot change a figure.
 */
static bool is_shown_elsewhere(const struct vj_option *o)
{
    static const char *const names[] = {"dataset", "labels",   "candidates", "codec",
                                        "folds",   "qf_first", "qf_last",    "seed"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(o->key, names[i]) == 0)
            return true;
    return !o->affects_results;
}

/* "value" of the line "key = value;" in a configuration's text; owned by the caller. */
static char *option_text(const char *config, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = config; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) != 0 || strncmp(line + length, " = ", 3) != 0)
            continue;
        const char *value = line + length + 3;
        size_t end = strcspn(value, "\n");
        return strndup(value, end > 0 && value[end - 1] == ';' ? end - 1 : end);
    }
    return NULL;
}

static bool any_synthesised(const struct vj_report_source *source, size_t runs)
{
    for (size_t k = 0; k < runs; k++)
        if (strcmp(source[k].fact[VJ_FACT_CANDIDATES], "files") != 0)
            return true;
    return false;
}

/* barrier: the sampling of synthesised candidates, which belongs to the codec; else the rest */
static int compare_options(struct vj_differences *d, const struct vj_report_source *source,
                           char *const *config, bool barrier, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < vj_option_count; i++) {
        const struct vj_option *o = &vj_options[i];
        char field[128];
        if (!o->key || !(o->use & VJ_USE_EVAL) || is_shown_elsewhere(o))
            continue;
        bool codec = strcmp(o->key, "sampling") == 0 && any_synthesised(source, d->runs);
        if (codec != barrier)
            continue;
        char **value = new_values(d, err);
        if (!value)
            return -ENOMEM;
        for (size_t k = 0; k < d->runs; k++)
            value[k] = option_text(config[k], o->key);
        snprintf(field, sizeof(field), "option %s", o->key);
        r = append_if_unlike(d, field, barrier, true, value, err);
    }
    return r;
}

/* ---- predictors of the same name ---- */

static const struct {
    const char *name;
    enum attribute_kind kind;
} predictor_attributes[] = {
    {"weights_sha256", TEXT}, {"file_sha256", TEXT},    {"variant", TEXT},
    {"non_local", TEXT},      {"positive_class", TEXT}, {"search", TEXT},
    {"jnd_model", TEXT},      {"jnd_variant", TEXT},    {"patches", INTEGER},
    {"patch_size", INTEGER},  {"tolerance", REAL},      {"jnd_weights_sha256", TEXT},
};
enum { PREDICTOR_ATTRIBUTES = sizeof(predictor_attributes) / sizeof(predictor_attributes[0]) };

/* A tolerance that was fitted is no attribute; its numbers depend on the labels and folds. */
static int predictor_text(char **text, struct vj_results *results, const char *group, size_t i,
                          struct vj_error *err)
{
    char fits[VJ_SCHEMA_PATH];
    const char *name = predictor_attributes[i].name;
    snprintf(fits, sizeof(fits), "%.170s/fit_parameter", group);
    int r = attribute_text(text, results, group, name, predictor_attributes[i].kind, err);
    if (r || *text || strcmp(name, "tolerance") != 0 || !vj_results_has(results, fits))
        return r;
    *text = strdup("fitted");
    return *text ? 0 : vj_fail(err, -ENOMEM, "out of memory");
}

static int compare_predictor(struct vj_differences *d, const struct vj_report_source *source,
                             const char *name, struct vj_error *err)
{
    char group[VJ_SCHEMA_PATH];
    int r = 0;
    snprintf(group, sizeof(group), "/predictors/%.150s", name);
    for (size_t i = 0; !r && i < PREDICTOR_ATTRIBUTES; i++) {
        char field[VJ_SCHEMA_PATH];
        char **value = new_values(d, err);
        if (!value)
            return -ENOMEM;
        for (size_t k = 0; !r && k < d->runs; k++)
            if (vj_predictor_named(&source[k].analysis, name))
                r = predictor_text(&value[k], source[k].results, group, i, err);
        snprintf(field, sizeof(field), "%.150s: %s", name, predictor_attributes[i].name);
        if (r)
            free_values(value, d->runs);
        else
            r = append_if_unlike(d, field, false, false, value, err);
    }
    return r;
}

static int compare_predictors(struct vj_differences *d, const struct vj_report_source *source,
                              struct vj_error *err)
{
    int r = 0;
    for (size_t k = 0; k < d->runs; k++) {
        const struct vj_analysis *a = &source[k].analysis;
        for (size_t i = 0; !r && i < a->predictors; i++) {
            bool done = false;
            for (size_t e = 0; !done && e < k; e++)
                done = vj_predictor_named(&source[e].analysis, a->predictor[i].name) != NULL;
            if (!done)
                r = compare_predictor(d, source, a->predictor[i].name, err);
        }
    }
    return r;
}

/* ---- all of it ---- */

static int compare_everything(struct vj_differences *d, const struct vj_report_source *source,
                              const struct vj_image_index *index, char *const *config,
                              struct vj_error *err)
{
    int r = compare_attributes(d, source, true, err);
    if (!r)
        r = compare_lists(d, index, err);
    if (!r)
        r = compare_values(d, index, "pictures (source_sha256)", picture_of, err);
    if (!r)
        r = compare_values(d, index, "labels (qf_true)", label_of, err);
    if (!r)
        r = compare_values(d, index, "fold of the image", fold_of, err);
    if (!r)
        r = compare_values(d, index, "anchor (anchor_qf)", anchor_of, err);
    if (!r)
        r = compare_options(d, source, config, true, err);
    if (!r)
        r = compare_attributes(d, source, false, err);
    if (!r)
        r = compare_options(d, source, config, false, err);
    return r ? r : compare_predictors(d, source, err);
}

int vj_differences_find(struct vj_differences *d, const struct vj_report_source *source,
                        const struct vj_image_index *index, size_t runs, struct vj_error *err)
{
    d->runs = runs;
    char **config = new_values(d, err);
    int r = config ? 0 : -ENOMEM;
    for (size_t k = 0; !r && k < runs; k++)
        if (!(config[k] = vj_config_text(&source[k].config, true)))
            r = vj_fail(err, -ENOMEM, "out of memory");
    if (!r)
        r = compare_everything(d, source, index, config, err);
    free_values(config, runs);
    return r;
}
