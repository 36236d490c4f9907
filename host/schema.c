/* SPDX-License-Identifier: MIT */
#include "host/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <jpeglib.h>

#include "eval/rules.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/net_form.h"
#include "host/sur_columns.h"
#include "host/version.h"

enum { COLUMNS_MAX = 1024 };

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x

const char *const vj_schema_program[VJ_SCHEMA_PROGRAM_FACTS][2] = {
    {"program_version", VJ_VERSION},
    {"git_revision", VJ_GIT_REVISION},
    {"jpeg_library", "libjpeg-turbo " TEXT_OF(LIBJPEG_TURBO_VERSION)},
};

const char *vj_schema_path(char path[VJ_SCHEMA_PATH], const char *predictor, const char *what)
{
    snprintf(path, VJ_SCHEMA_PATH, "/predictors/%s/%s", predictor, what);
    return path;
}

/* What numbers of candidates are, of all columns that hold them. */
static const char *qf_units(const struct vj_engine *engine)
{
    return strcmp(engine->config.codec, "jpeg") == 0 ? "JPEG quality factor" : "level of quality";
}

/* ---- columns ---- */

struct columns {
    struct vj_column *list;
    size_t count;
};

static void add(struct columns *c, const char *path, enum vj_column_type type, size_t string_size,
                int rank, const size_t *dim, const char *description, const char *units)
{
    struct vj_column *column = &c->list[c->count++];
    *column = (struct vj_column){.type = type,
                                 .string_size = string_size,
                                 .rank = rank,
                                 .description = description,
                                 .units = units};
    snprintf(column->path, sizeof(column->path), "%s", path);
    for (int i = 0; i < rank; i++)
        column->dim[i] = dim[i];
}

static void add_images(struct columns *c, const struct vj_engine *engine,
                       const struct vj_image_list *images)
{
    size_t longest = 1;
    for (size_t i = 0; i < images->count; i++)
        if (strlen(images->name[i]) > longest)
            longest = strlen(images->name[i]);
    const size_t qfs[] = {VJ_QF_MAX};
    add(c, "/images/name", VJ_COLUMN_STRING, longest, 0, NULL, "name of the image in its data set",
        NULL);
    add(c, "/images/id", VJ_COLUMN_I32, 0, 0, NULL, "number of the image in its data set", NULL);
    add(c, "/images/width", VJ_COLUMN_I32, 0, 0, NULL, "width of the source; -1 unknown", "pixel");
    add(c, "/images/height", VJ_COLUMN_I32, 0, 0, NULL, "height of the source; -1 unknown",
        "pixel");
    add(c, VJ_SCHEMA_SOURCE_SHA256, VJ_COLUMN_STRING, VJ_SHA256_HEX - 1, 0, NULL,
        "SHA-256 of width, height and RGB samples of the source; empty unknown", NULL);
    add(c, "/images/candidate_files", VJ_COLUMN_I32, 0, 0, NULL,
        "1 the candidates are files of the data set, 0 they were encoded from the source; -1 "
        "unknown",
        NULL);
    add(c, "/images/fold", VJ_COLUMN_I32, 0, 0, NULL, "fold the image is tested in; -1 none", NULL);
    add(c, "/images/status", VJ_COLUMN_I32, 0, 0, NULL,
        "0 evaluated, 1 failed (see error), -1 not evaluated yet", NULL);
    add(c, "/images/error", VJ_COLUMN_STRING, VJ_SCHEMA_ERROR_SIZE, 0, NULL,
        "why the image failed; empty when it did not", NULL);
    add(c, "/images/qf_true", VJ_COLUMN_I32, 0, 0, NULL,
        "PW-JND in the label definition of the run: largest quality factor whose difference is "
        "visible; -1 unknown",
        qf_units(engine));
    add(c, "/images/anchor_qf", VJ_COLUMN_I32, 0, 0, NULL,
        "quality factor of the JPEG that candidates are compared with; 0 = the source itself",
        qf_units(engine));
    add(c, "/images/qf_exact", VJ_COLUMN_F64, 0, 0, NULL, "qf_true before rounding; NaN unknown",
        qf_units(engine));
    if (images->sur)
        add(c, "/images/sur", VJ_COLUMN_F32, 0, 1, qfs,
            "satisfied user ratio: share of subjects who see no difference at quality factor "
            "1..100; NaN unknown",
            "share");
    if (images->sur && engine->config.sur != VJ_SUR_EMPIRICAL)
        vj_sur_columns_describe(c->list, &c->count, (enum vj_sur_model)engine->config.sur);
}

static void add_candidates(struct columns *c, const struct vj_engine *engine)
{
    const size_t dim[] = {(size_t)engine->levels};
    int quality = engine->plan.quality;
    add(c, "/candidates/bytes", VJ_COLUMN_I64, 0, 1, dim,
        "size of the JPEG file, or of the other codec's stream; -1 unknown", "byte");
    if (quality & VJ_QUALITY_PSNR) {
        add(c, "/candidates/psnr_y", VJ_COLUMN_F64, 0, 1, dim,
            "PSNR of Y (BT.601 full range, not rounded) against the reference; infinite when equal",
            "dB");
        add(c, "/candidates/psnr_rgb", VJ_COLUMN_F64, 0, 1, dim,
            "PSNR over R, G and B against the reference; infinite when equal", "dB");
    }
    if (quality & VJ_QUALITY_SSIM)
        add(c, "/candidates/ssim", VJ_COLUMN_F64, 0, 1, dim,
            "SSIM of Y: 11x11 Gaussian window, sigma 1.5, valid windows only", NULL);
    if (quality & VJ_QUALITY_MS_SSIM)
        add(c, "/candidates/ms_ssim", VJ_COLUMN_F64, 0, 1, dim,
            "MS-SSIM of Y, five scales; NaN when the smaller side is below 176 pixels", NULL);
    if (engine->plan.ssimulacra2)
        add(c, "/candidates/ssimulacra2", VJ_COLUMN_F64, 0, 1, dim,
            engine->plan.ssimulacra2 == VJ_SSIMULACRA2_EXACT
                ? "SSIMULACRA2 2.1 in exact arithmetic, 100 = identical; NaN when the smaller side "
                  "is below 8 pixels"
                : "SSIMULACRA2 2.1 with the rounding of the reference program, 100 = identical; "
                  "NaN when the smaller side is below 8 pixels",
            "point");
    add(c, "/candidates/lossy_true", VJ_COLUMN_U8, 0, 1, dim,
        "1 where the difference is visible (QF <= qf_true), 0 where not, 255 unknown", NULL);
}

static void add_network(struct columns *c, const struct vj_engine *engine,
                        const struct vj_predictor *p)
{
    char path[VJ_SCHEMA_PATH];
    size_t draws = (size_t)engine->plan.draws;
    size_t levels = (size_t)engine->levels;
    size_t patches = (size_t)engine->plan.patches;
    const size_t draw_dim[] = {draws, levels};
    const size_t patch_dim[] = {levels, patches};
    const size_t draw_patch_dim[] = {draws, levels, patches};
    if (draws > 1)
        add(c, vj_schema_path(path, p->name, "score_draws"), VJ_COLUMN_F32, 0, 2, draw_dim,
            "score of each draw of patch positions; NaN not evaluated", "logit");
    if (draws > 1 && !engine->config.lazy)
        add(c, vj_schema_path(path, p->name, "qf_pred_draws"), VJ_COLUMN_I32, 0, 1, draw_dim,
            "quality factor predicted from each draw alone; -1 none", qf_units(engine));
    if (!engine->config.store_patches)
        return;
    add(c, vj_schema_path(path, p->name, "patch_quality"), VJ_COLUMN_F32, 0, draws > 1 ? 3 : 2,
        draws > 1 ? draw_patch_dim : patch_dim, "quality q of each patch", NULL);
    add(c, vj_schema_path(path, p->name, "patch_weight"), VJ_COLUMN_F32, 0, draws > 1 ? 3 : 2,
        draws > 1 ? draw_patch_dim : patch_dim, "weight a of each patch before normalisation",
        NULL);
}

static const char *score_description(const struct vj_predictor *p, const char **units)
{
    static const struct {
        const char *description, *units;
    } pixel[VJ_JND_RULES] = {
        [VJ_JND_SHARE] = {"share of pixels whose luma differs from the reference by more than the "
                          "map",
                          "share"},
        [VJ_JND_EXCESS] = {"mean square of what the difference of luma exceeds the map by",
                           "grey level squared"},
        [VJ_JND_NOISE] = {"PSNR of luma less that of the reference with noise of plus or minus the "
                          "map; infinite when equal",
                          "dB"},
    };
    static const char *const external[VJ_EXTERNAL_FORMS] = {
        [VJ_EXTERNAL_SCORE] = "probability that the difference is visible, as given",
        [VJ_EXTERNAL_QUALITY] = "measure of quality, higher is better, as given",
        [VJ_EXTERNAL_DISTORTION] = "measure of distortion, higher is worse, as given",
    };
    *units = NULL;
    switch (p->kind) {
    case VJ_PREDICTOR_PSNR:
        *units = "dB";
        return "PSNR of Y";
    case VJ_PREDICTOR_SSIM:
        return "SSIM of Y";
    case VJ_PREDICTOR_MS_SSIM:
        return "MS-SSIM of Y";
    case VJ_PREDICTOR_SSIMULACRA2:
        *units = "point";
        return "SSIMULACRA2 2.1";
    case VJ_PREDICTOR_PIXEL:
        *units = pixel[p->jnd_rule].units;
        return pixel[p->jnd_rule].description;
    case VJ_PREDICTOR_RATIO:
        return "compression ratio: bytes of the source's samples per byte of the compressed file";
    case VJ_PREDICTOR_EXTERNAL:
        *units = p->external.form == VJ_EXTERNAL_SCORE ? "probability" : NULL;
        return external[p->external.form];
    case VJ_PREDICTOR_NETWORK:
    case VJ_PREDICTOR_FOLDS:
        *units = "logit";
        return "score of the picture; sigmoid(score) > 0.5 means the class that positive_class "
               "names; mean of the draws; NaN not evaluated";
    case VJ_PREDICTOR_CONSTANT:
        break;
    }
    return NULL;
}

static void add_predictor(struct columns *c, const struct vj_engine *engine,
                          const struct vj_image_list *images, const struct vj_predictor *p)
{
    char path[VJ_SCHEMA_PATH];
    const char *units;
    const size_t dim[] = {(size_t)engine->levels};
    const char *description = score_description(p, &units);
    if (description)
        add(c, vj_schema_path(path, p->name, "score"), VJ_COLUMN_F32, 0, 1, dim, description,
            units);
    add(c, vj_schema_path(path, p->name, "lossy"), VJ_COLUMN_U8, 0, 1, dim,
        "answer at each quality factor: 1 visible, 0 not, 255 not evaluated", NULL);
    add(c, vj_schema_path(path, p->name, "qf_pred"), VJ_COLUMN_I32, 0, 0, NULL,
        "predicted PW-JND: largest quality factor called visible; -1 none", qf_units(engine));
    const size_t steps[] = {VJ_TOLERANCE_STEPS};
    if (p->kind == VJ_PREDICTOR_PIXEL && !engine->lazy_rules)
        add(c, vj_schema_path(path, p->name, "qf_pred_tolerance"), VJ_COLUMN_I32, 0, 1, steps,
            "quality factor predicted at each tolerance of tolerance_sweep; -1 none",
            qf_units(engine));
    bool says_share = p->kind == VJ_PREDICTOR_CONSTANT ||
                      (p->kind == VJ_PREDICTOR_EXTERNAL && p->external.form == VJ_EXTERNAL_SCORE);
    if (images->sur && says_share)
        add(c, vj_schema_path(path, p->name, "sur"), VJ_COLUMN_F32, 0, 1, dim,
            "predicted satisfied user ratio; NaN none", "share");
    if (vj_predictor_is_network(p))
        add_network(c, engine, p);
}

static void add_timing(struct columns *c)
{
    static const char *const what[VJ_STAGE_COUNT] = {
        ("reading and decoding the source and the reference, reading the candidate files, in the "
         "decode threads"),
        "forward transform and reference planes",
        "pixel-JND maps",
        "patches and features that do not depend on the quality factor",
        "candidates: decoding of files, pixels, sizes, image metrics, patches",
        "network scores",
    };
    for (int s = 0; s < VJ_STAGE_COUNT; s++) {
        char path[64];
        snprintf(path, sizeof(path), "/timing/%s", vj_stage_names[s]);
        add(c, path, VJ_COLUMN_F64, 0, 0, NULL, what[s], "second");
    }
}

int vj_schema_columns(struct vj_column **list, size_t *count, const struct vj_engine *engine,
                      const struct vj_image_list *images, struct vj_error *err)
{
    struct columns columns = {.list = vj_calloc(COLUMNS_MAX, sizeof(*columns.list))};
    *list = NULL;
    *count = 0;
    if (!columns.list)
        return vj_fail(err, -ENOMEM, "out of memory");
    add_images(&columns, engine, images);
    add_candidates(&columns, engine);
    if (engine->plan.weights_count > 0) {
        const size_t dim[] = {(size_t)engine->plan.draws, (size_t)engine->plan.patches, 2};
        add(&columns, "/patches/origin", VJ_COLUMN_I32, 0, 3, dim,
            "top left corner (y, x) of each patch; -1 not evaluated", "pixel");
    }
    for (size_t i = 0; i < engine->predictors->count; i++)
        add_predictor(&columns, engine, images, &engine->predictors->list[i]);
    add_timing(&columns);
    *list = columns.list;
    *count = columns.count;
    return 0;
}

bool vj_schema_is_measured(const char *path)
{
    static const char *const images[] = {"/images/width", "/images/height", "/images/error",
                                         VJ_SCHEMA_SOURCE_SHA256, "/images/candidate_files"};
    static const char *const predictors[] = {"score", "score_draws", "patch_quality",
                                             "patch_weight"};
    bool is = strncmp(path, "/timing/", 8) == 0 || strncmp(path, "/patches/", 9) == 0 ||
              (strncmp(path, "/candidates/", 12) == 0 && strcmp(path, "/candidates/lossy_true"));
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++)
        is = is || strcmp(path, images[i]) == 0;
    for (size_t i = 0; i < sizeof(predictors) / sizeof(predictors[0]); i++)
        is = is || (strncmp(path, "/predictors/", 12) == 0 &&
                    strcmp(strrchr(path, '/') + 1, predictors[i]) == 0);
    return is;
}

/* ---- attributes ---- */

static void utc_now(char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int write_root(struct vj_results *results, const struct vj_engine *engine,
                      const struct vj_run_facts *facts, struct vj_error *err)
{
    struct vj_device_info device = {0};
    struct utsname machine;
    char created[32];
    char host[256] = "unknown";
    utc_now(created, sizeof(created));
    if (uname(&machine) == 0)
        snprintf(host, sizeof(host), "%s %s %s", machine.sysname, machine.release, machine.machine);
    engine->device.ops->info(engine->device.state, &device);
    char *config = vj_config_text(&engine->config, true);
    if (!config)
        return vj_fail(err, -ENOMEM, "out of memory");
    const struct {
        const char *name, *value;
    } texts[] = {
        {"schema", VJ_SCHEMA_NAME},
        {"created_utc", created},
        {"command_line", facts->command_line},
        {"config", config},
        {"host", host},
        {"device", device.name},
        {"device_kind", engine->device.ops->name},
        {"device_library_versions", device.libraries},
        {"dataset", facts->dataset->dataset},
        {"dataset_fingerprint", facts->dataset->fingerprint},
        {"dataset_axis", facts->dataset->axis},
        {"dataset_excluded", facts->dataset->excluded},
        {"label_definition", facts->dataset->label_definition},
        {"codec", facts->dataset->codec},
        {"candidates", facts->dataset->candidates},
        {"folds", facts->dataset->folds},
    };
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"schema_version", VJ_SCHEMA_VERSION},
        {"qf_first", engine->config.qf_first},
        {"qf_last", engine->config.qf_last},
        {"human_labels", facts->dataset->human_labels},
        {"complete", 0},
    };
    int r = 0;
    for (size_t i = 0; !r && i < VJ_SCHEMA_PROGRAM_FACTS; i++)
        r = vj_results_set_text(results, "/", vj_schema_program[i][0], vj_schema_program[i][1],
                                err);
    if (!r && facts->rows_from)
        r = vj_results_set_text(results, "/", "rows_from", facts->rows_from, err);
    for (size_t i = 0; !r && i < sizeof(texts) / sizeof(texts[0]); i++)
        r = vj_results_set_text(results, "/", texts[i].name, texts[i].value, err);
    for (size_t i = 0; !r && i < sizeof(numbers) / sizeof(numbers[0]); i++)
        r = vj_results_set_int(results, "/", numbers[i].name, numbers[i].value, err);
    if (!r)
        r = vj_results_set_uint64(results, "/", "seed", engine->config.seed, err);
    free(config);
    return r;
}

/* Digests of the predictor's weight files, in the order of their folds, with a blank between. */
static void join_digests(struct vj_text *text, const struct vj_engine *engine,
                         const struct vj_predictor *p)
{
    for (size_t i = 0; i < p->folds; i++)
        vj_text_add(text, "%s%s", i ? " " : "", engine->predictors->weights[p->network + i].sha256);
}

/* Which weight files there were; all other facts of them are the same for all. */
static int write_weights(struct vj_results *results, const struct vj_engine *engine,
                         const struct vj_predictor *p, const char *group, struct vj_error *err)
{
    const struct vj_weights *w = &engine->predictors->weights[p->network];
    int r;
    if (p->kind == VJ_PREDICTOR_NETWORK) {
        r = vj_results_set_text(results, group, "weights_sha256", w->sha256, err);
        return r ? r
                 : vj_results_set_text(results, group, "weights_origin_text", w->origin_text, err);
    }
    struct vj_text digests = {0};
    int64_t *fold = vj_calloc(p->folds, sizeof(*fold));
    for (size_t i = 0; fold && i < p->folds; i++)
        fold[i] = p->fold[i];
    join_digests(&digests, engine, p);
    r = fold ? vj_text_status(&digests, err) : vj_fail(err, -ENOMEM, "out of memory");
    if (!r)
        r = vj_results_set_text(results, group, "weights_pattern", p->path, err);
    if (!r)
        r = vj_results_set_ints(results, group, "weights_fold", fold, p->folds, err);
    if (!r)
        r = vj_results_set_text(results, group, "weights_sha256", digests.data, err);
    vj_text_free(&digests);
    free(fold);
    return r;
}

/* Of maps whose model the user's own weights make. */
static int write_jnd_weights(struct vj_results *results, const struct vj_jnd_model *model,
                             const char *group, struct vj_error *err)
{
    return model->weights_sha256 ? vj_results_set_text(results, group, "jnd_weights_sha256",
                                                       model->weights_sha256, err)
                                 : 0;
}

/* The pixel-JND map that a network sees. */
static int write_map(struct vj_results *results, const struct vj_jnd_choice *jnd, const char *group,
                     struct vj_error *err)
{
    int r = vj_results_set_text(results, group, "jnd_model", jnd->model->name, err);
    if (!r)
        r = vj_results_set_text(results, group, "jnd_variant", jnd->model->variants[jnd->variant],
                                err);
    return r ? r : write_jnd_weights(results, jnd->model, group, err);
}

/* Networks of folds have one shape, and so one way each layer is computed. */
static int write_algorithms(struct vj_results *results, const struct vj_engine *engine,
                            const struct vj_predictor *p, const char *group, struct vj_error *err)
{
    char text[8192];
    engine->device.ops->algorithms(engine->device.state, p->network, text, sizeof(text));
    return vj_results_set_text(results, group, "algorithms", text, err);
}

static int write_network(struct vj_results *results, const struct vj_engine *engine,
                         const struct vj_predictor *p, const char *group, struct vj_error *err)
{
    const struct vj_weights *w = &engine->predictors->weights[p->network];
    int r = write_weights(results, engine, p, group, err);
    if (!r)
        r = vj_results_set_text(results, group, "weights_origin", vj_weights_origin_name(w->origin),
                                err);
    if (!r)
        r = vj_results_set_text(results, group, "variant", vj_variant_name(w->shape.variant), err);
    if (!r && vj_net_form(w->shape.variant)->non_local)
        r = vj_results_set_text(results, group, "non_local", vj_non_local_name(w->shape.non_local),
                                err);
    if (!r)
        r = vj_results_set_text(results, group, "positive_class",
                                vj_positive_class_name(p->positive_class), err);
    if (!r && vj_net_form(w->shape.variant)->jnd)
        r = write_map(results, &engine->plan.jnd[engine->plan.net_jnd], group, err);
    if (!r)
        r = vj_results_set_int(results, group, "patches", engine->plan.patches, err);
    if (!r)
        r = vj_results_set_int(results, group, "patch_size", engine->plan.patch_size, err);
    return r ? r : write_algorithms(results, engine, p, group, err);
}

static int write_predictor(struct vj_results *results, const struct vj_engine *engine,
                           const struct vj_predictor *p, struct vj_error *err)
{
    char group[VJ_SCHEMA_PATH], search[128];
    snprintf(group, sizeof(group), "/predictors/%s", p->name);
    vj_search_describe(&engine->search, search, sizeof(search));
    int r = vj_results_set_text(results, group, "kind", p->kind_name, err);
    if (!r)
        r = vj_results_set_int(results, group, "position", p - engine->predictors->list, err);
    if (!r && p->kind != VJ_PREDICTOR_RATIO && vj_predictor_has_scores(p))
        r = vj_results_set_text(results, group, "search", search, err);
    if (!r && p->kind == VJ_PREDICTOR_PIXEL)
        r = vj_results_set_text(results, group, "variant", p->jnd_model->variants[p->jnd_variant],
                                err);
    if (!r && p->kind == VJ_PREDICTOR_PIXEL)
        r = vj_results_set_text(results, group, "rule", vj_jnd_rule_name(p->jnd_rule), err);
    if (!r && p->kind == VJ_PREDICTOR_RATIO)
        r = vj_results_set_int(results, group, "ratio_qf", p->ratio_qf, err);
    if (!r && p->kind == VJ_PREDICTOR_PIXEL)
        r = write_jnd_weights(results, engine->plan.jnd[p->jnd].model, group, err);
    if (!r && p->kind == VJ_PREDICTOR_EXTERNAL)
        r = vj_results_set_text(results, group, "file_sha256", p->external.sha256, err);
    if (!r && vj_predictor_is_network(p))
        r = write_network(results, engine, p, group, err);
    return r;
}

/* ---- creating ---- */

static int write_names(struct vj_results *results, const struct vj_image_list *images, size_t size,
                       struct vj_error *err)
{
    char *names = vj_calloc(images->count, size);
    if (!names)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < images->count; i++)
        memcpy(names + i * size, images->name[i], strlen(images->name[i]));
    int r =
        vj_results_write(results, "/images/name", VJ_COLUMN_STRING, 0, images->count, names, err);
    free(names);
    return r;
}

static int write_labels(struct vj_results *results, const struct vj_engine *engine,
                        const struct vj_image_list *images, struct vj_error *err)
{
    size_t n = images->count, levels = (size_t)engine->levels;
    uint8_t *lossy = vj_calloc(n, levels);
    if (!lossy)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < levels; k++) {
            int qf = engine->config.qf_first + (int)k;
            lossy[i * levels + k] =
                images->qf_true[i] == VJ_QF_UNKNOWN ? 255 : qf <= images->qf_true[i];
        }
    int r = vj_results_write(results, "/candidates/lossy_true", VJ_COLUMN_U8, 0, n, lossy, err);
    free(lossy);
    if (!r)
        r = vj_results_write(results, "/images/id", VJ_COLUMN_I32, 0, n, images->id, err);
    if (!r)
        r = vj_results_write(results, "/images/fold", VJ_COLUMN_I32, 0, n, images->fold, err);
    if (!r)
        r = vj_results_write(results, "/images/qf_true", VJ_COLUMN_I32, 0, n, images->qf_true, err);
    if (!r)
        r = vj_results_write(results, "/images/qf_exact", VJ_COLUMN_F64, 0, n, images->qf_exact,
                             err);
    if (!r)
        r = vj_results_write(results, "/images/anchor_qf", VJ_COLUMN_I32, 0, n, images->anchor_qf,
                             err);
    if (!r && images->sur)
        r = vj_results_write(results, "/images/sur", VJ_COLUMN_F32, 0, n, images->sur, err);
    if (!r && images->sur && engine->config.sur != VJ_SUR_EMPIRICAL)
        r = vj_sur_columns_write(results, images->sur, n, (enum vj_sur_model)engine->config.sur,
                                 err);
    return r;
}

static int write_axis(struct vj_results *results, const struct vj_engine *engine,
                      struct vj_error *err)
{
    int32_t qf[VJ_LEVELS_MAX];
    for (int i = 0; i < engine->levels; i++)
        qf[i] = engine->config.qf_first + i;
    return vj_results_vector(results, "/candidates/qf", VJ_COLUMN_I32, qf, (size_t)engine->levels,
                             "quality factor of each column", qf_units(engine), err);
}

static int write_left_out(struct vj_results *results, const struct vj_engine *engine,
                          const struct vj_image_list *images, struct vj_error *err)
{
    int r = vj_results_vector(
        results, "/left_out/qf_true", VJ_COLUMN_I32, images->other_qf_true, images->others,
        "labels of the items that the options ids, part and limit leave out: the constant "
        "predictor learns from them; -1 unknown",
        qf_units(engine), err);
    if (!r)
        r = vj_results_vector(results, "/left_out/fold", VJ_COLUMN_I32, images->other_fold,
                              images->others, "their folds; -1 none", NULL, err);
    return r;
}

int vj_schema_create(struct vj_results **results, const char *path, const struct vj_engine *engine,
                     const struct vj_image_list *images, const struct vj_run_facts *facts,
                     struct vj_error *err)
{
    struct vj_column *column;
    size_t count;
    *results = NULL;
    int r = vj_schema_columns(&column, &count, engine, images, err);
    if (!r)
        r = vj_results_create(results, path, images->count, column, count, err);
    if (!r)
        r = write_names(*results, images, column[0].string_size, err);
    free(column);
    if (!r)
        r = write_root(*results, engine, facts, err);
    if (!r)
        r = write_axis(*results, engine, err);
    if (!r)
        r = write_labels(*results, engine, images, err);
    if (!r && images->others > 0)
        r = write_left_out(*results, engine, images, err);
    for (size_t i = 0; !r && i < engine->predictors->count; i++)
        r = write_predictor(*results, engine, &engine->predictors->list[i], err);
    if (!r)
        r = vj_results_flush(*results, err);
    if (r) {
        vj_results_close(*results);
        *results = NULL;
    }
    return r;
}

/* ---- reading ---- */

int vj_schema_check(struct vj_results *results, struct vj_error *err)
{
    char *schema;
    int64_t version;
    if (vj_results_get_text(results, "/", "schema", &schema, NULL))
        return vj_fail(err, -EINVAL, "not a results file of vpjnd: no attribute schema");
    int r = 0;
    if (strcmp(schema, VJ_SCHEMA_NAME) != 0)
        r = vj_fail(err, -EINVAL,
                    "not a results file of vpjnd: its schema is '%s', not '" VJ_SCHEMA_NAME "'",
                    schema);
    free(schema);
    if (!r)
        r = vj_results_get_int(results, "/", "schema_version", &version, err);
    if (!r && version != VJ_SCHEMA_VERSION)
        r = vj_fail(err, -EINVAL,
                    "schema version %lld; this program reads version %d, use the one that wrote it",
                    (long long)version, VJ_SCHEMA_VERSION);
    return r;
}

/* ---- rows ---- */

static int write_scores(struct vj_results *results, const struct vj_engine *engine,
                        const struct vj_row *row, size_t i, struct vj_error *err)
{
    const char *name = engine->predictors->list[i].name;
    char path[VJ_SCHEMA_PATH];
    int r = 0;
    if (row->score[i])
        r = vj_results_write(results, vj_schema_path(path, name, "score"), VJ_COLUMN_F32,
                             row->index, 1, row->score[i], err);
    if (!r && row->draw_score[i] && engine->plan.draws > 1)
        r = vj_results_write(results, vj_schema_path(path, name, "score_draws"), VJ_COLUMN_F32,
                             row->index, 1, row->draw_score[i], err);
    if (!r && row->patch_quality[i] && engine->config.store_patches)
        r = vj_results_write(results, vj_schema_path(path, name, "patch_quality"), VJ_COLUMN_F32,
                             row->index, 1, row->patch_quality[i], err);
    if (!r && row->patch_weight[i] && engine->config.store_patches)
        r = vj_results_write(results, vj_schema_path(path, name, "patch_weight"), VJ_COLUMN_F32,
                             row->index, 1, row->patch_weight[i], err);
    return r;
}

static int write_measures(struct vj_results *results, const struct vj_engine *engine,
                          const struct vj_row *row, struct vj_error *err)
{
    const struct {
        const char *path;
        const double *values;
        int flag;
    } measures[] = {
        {"/candidates/psnr_y", row->psnr_y, VJ_QUALITY_PSNR},
        {"/candidates/psnr_rgb", row->psnr_rgb, VJ_QUALITY_PSNR},
        {"/candidates/ssim", row->ssim, VJ_QUALITY_SSIM},
        {"/candidates/ms_ssim", row->ms_ssim, VJ_QUALITY_MS_SSIM},
    };
    int r = vj_results_write(results, "/candidates/bytes", VJ_COLUMN_I64, row->index, 1, row->bytes,
                             err);
    for (size_t i = 0; !r && i < sizeof(measures) / sizeof(measures[0]); i++)
        if (engine->plan.quality & measures[i].flag)
            r = vj_results_write(results, measures[i].path, VJ_COLUMN_F64, row->index, 1,
                                 measures[i].values, err);
    if (!r && engine->plan.ssimulacra2)
        r = vj_results_write(results, "/candidates/ssimulacra2", VJ_COLUMN_F64, row->index, 1,
                             row->ssimulacra2, err);
    return r;
}

int vj_schema_write_row(struct vj_results *results, const struct vj_engine *engine,
                        const struct vj_row *row, struct vj_error *err)
{
    char error[VJ_SCHEMA_ERROR_SIZE] = "";
    memcpy(error, row->error, strlen(row->error));
    const int32_t width = row->width ? (int32_t)row->width : -1;
    const int32_t height = row->height ? (int32_t)row->height : -1;
    const int32_t status = row->status ? VJ_STATUS_FAILED : VJ_STATUS_OK;
    int r = write_measures(results, engine, row, err);
    if (!r)
        r = vj_results_write(results, "/images/width", VJ_COLUMN_I32, row->index, 1, &width, err);
    if (!r)
        r = vj_results_write(results, "/images/height", VJ_COLUMN_I32, row->index, 1, &height, err);
    if (!r)
        r = vj_results_write(results, VJ_SCHEMA_SOURCE_SHA256, VJ_COLUMN_STRING, row->index, 1,
                             row->source_sha256, err);
    if (!r)
        r = vj_results_write(results, "/images/candidate_files", VJ_COLUMN_I32, row->index, 1,
                             &row->candidate_files, err);
    if (!r)
        r = vj_results_write(results, "/images/error", VJ_COLUMN_STRING, row->index, 1, error, err);
    if (!r && engine->plan.weights_count > 0)
        r = vj_results_write(results, "/patches/origin", VJ_COLUMN_I32, row->index, 1, row->origin,
                             err);
    for (size_t i = 0; !r && i < engine->predictors->count; i++)
        r = write_scores(results, engine, row, i, err);
    for (int s = 0; !r && s < VJ_STAGE_COUNT; s++) {
        char path[64];
        snprintf(path, sizeof(path), "/timing/%s", vj_stage_names[s]);
        r = vj_results_write(results, path, VJ_COLUMN_F64, row->index, 1, &row->seconds[s], err);
    }
    if (!r)
        r = vj_results_sync(results, err);
    /* The status makes the row valid, so it goes to the disk after everything else. */
    if (!r)
        r = vj_results_write(results, "/images/status", VJ_COLUMN_I32, row->index, 1, &status, err);
    if (!r)
        r = vj_results_flush(results, err);
    return r;
}
