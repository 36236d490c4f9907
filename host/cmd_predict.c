/* SPDX-License-Identifier: MIT */
/* vpjnd predict: the PW-JND quality factor of any pictures. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/files.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/common_options.h"
#include "host/engine.h"
#include "host/image_list.h"
#include "host/jpeg_plan.h"
#include "host/options.h"
#include "host/outputs.h"
#include "host/pictures.h"
#include "host/pipeline.h"
#include "host/progress.h"

struct arguments {
    struct vj_config config;
    const char *weights, *predictor; /* one of them */
    int anchor_qf;
    bool csv;
    const char *folder; /* for JPEGs, NULL: none are written */
    struct vj_pictures pictures;
};

enum { KEY_WEIGHTS = 256, KEY_PREDICTOR, KEY_SET, KEY_ANCHOR, KEY_CSV };

#define CSV_HEADER "image,qf_pred,smallest_lossless_qf,bytes,saving"

static const struct argp_option options[] = {
    {"weights", KEY_WEIGHTS, "FILE.h5", 0, "weight file of the network that predicts", 0},
    {"predictor", KEY_PREDICTOR, "NAME[:X]", 0,
     "predict by a threshold instead, one of `vpjnd eval --help` with X where it has no default: "
     "ms-ssim-threshold, ssimulacra2-threshold:70, pixel-epc17:0.1, ...",
     0},
    {"anchor", KEY_ANCHOR, "QF", 0,
     "compare candidates with the picture's own JPEG at this quality factor, as MCL-JCI does with "
     "100, instead of with the picture itself; above qf_first",
     0},
    {"set", KEY_SET, "KEY=VALUE", 0,
     "set an option of `vpjnd eval --help`: search, lazy, patches, seed, jnd_model, ...", 0},
    {"csv", KEY_CSV, NULL, 0,
     "print a CSV with the header " CSV_HEADER ", named and written as by `vpjnd report "
     "--images-csv`; a field is empty where the lines have -",
     0},
    {"output", 'o', "DIR", 0,
     "write each picture to DIR/NAME.jpg (of a folder's, to DIR/SUBFOLDER/NAME.jpg), the JPEG at "
     "its smallest invisible quality factor; none where even the highest is visible; says at the "
     "end how much less that is than the files given",
     0},
    {0},
};

/* Options of a data set, its labels and its results have no effect here, and are not accepted. */
static bool has_effect(const char *pair)
{
    static const char *const none[] = {"dataset",       "root",      "labels",        "candidates",
                                       "folds",         "jnd",       "sur",           "predictors",
                                       "ids",           "limit",     "codec",         "streams",
                                       "store_patches", "bootstrap", "image_metrics", "part"};
    size_t length = strcspn(pair, "+=");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (strlen(none[i]) == length && strncmp(none[i], pair, length) == 0)
            return false;
    return true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_error err = {0};
    char *end;
    long qf;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->config;
        return 0;
    case KEY_WEIGHTS:
        a->weights = arg;
        return 0;
    case KEY_PREDICTOR:
        a->predictor = arg;
        return 0;
    case KEY_ANCHOR:
        qf = strtol(arg, &end, 10);
        if (end == arg || *end || qf < 1 || qf > VJ_QF_MAX)
            argp_error(state, "--anchor: '%s' is not a quality factor 1..100", arg);
        a->anchor_qf = (int)qf;
        return 0;
    case KEY_CSV:
        a->csv = true;
        return 0;
    case 'o':
        a->folder = arg;
        return 0;
    case KEY_SET:
        if (!has_effect(arg))
            argp_error(state, "--set '%s' has no effect on predict", arg);
        if (vj_config_set_pair(&a->config, arg, &err))
            argp_failure(state, VJ_EXIT_USAGE, 0, "%s", err.text);
        return 0;
    case ARGP_KEY_ARG:
        if (vj_pictures_add(&a->pictures, arg, &err))
            argp_failure(state, VJ_EXIT_USAGE, 0, "%s", err.text);
        return 0;
    case ARGP_KEY_END:
        if (!a->pictures.count)
            argp_error(state, "no picture given");
        if (a->weights && a->predictor)
            argp_error(state, "--weights and --predictor are both given; one of them predicts");
        if (!a->weights && !a->predictor)
            argp_error(state,
                       "no weights given: --weights FILE.h5, of vpjnd train or import, or the "
                       "bootstrap.h5 that comes with the program; without a network --predictor "
                       "NAME");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&vj_common_options_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "IMAGE|FOLDER...",
    .children = children,
    .doc =
        "Predicts by a network, or by a threshold. Prints one line per picture, of a folder those "
        "in it and its sub-folders: path, predicted PW-JND (the largest quality factor whose "
        "difference is visible; the lowest where none is), the smallest invisible quality factor, "
        "the JPEG's size in bytes there, and what that saves against the highest one, separated by "
        "tabs; - where even the highest is visible. Networks and rules on maps look only where the "
        "search asks. Where a network's patches lie follows from the option seed and the picture's "
        "name (below a folder, its path there), so that its answer differs under another name; "
        "more patches, e.g. --set patches=144, bring such answers together.",
};

/* Scores and sizes of the pictures whose lines are not printed yet. */
struct pending {
    size_t *image; /* index into the pictures */
    float *score;  /* [VJ_POSITIVE_IMAGES][levels] */
    int64_t *bytes;
    size_t count;
};

/* -ENODATA, with why a predictor has no answer where its search asked */
static int no_answer(const struct vj_predictor *p, struct vj_error *err)
{
    const char *metric;
    const int side = vj_predictor_least_side(p, &metric);
    if (side > 1)
        return vj_fail(err, -ENODATA, "%s needs sides of %d pixels", metric, side);
    return vj_fail(err, -ENODATA, "the network's answer is not finite; check the weights");
}

/* Answers at hand for the search. */
struct answers {
    const struct vj_predictor *predictor;
    float probability[VJ_SEARCH_LEVELS_MAX];
};

static int stored_answer(void *user, int first, int count, float *probability, struct vj_error *err)
{
    const struct answers *answers = user;
    memcpy(probability, answers->probability + first, (size_t)count * sizeof(float));
    for (int i = 0; i < count; i++)
        if (isnan(probability[i]))
            return no_answer(answers->predictor, err);
    return 0;
}

/* NaN where there is none; lossless above the anchor */
static void take_answers(struct answers *answers, const struct vj_engine *engine, int anchor_qf,
                         const float *score)
{
    const struct vj_predictor *p = answers->predictor;
    if (!vj_predictor_has_threshold(p)) {
        vj_search_probability(engine, anchor_qf, score, answers->probability);
        return;
    }
    for (int k = 0; k < engine->levels; k++)
        answers->probability[k] =
            isnan(score[k]) ? NAN : vj_rule_lossy(vj_threshold_rule(p), score[k], p->threshold);
    for (int k = vj_levels_to_anchor(engine, anchor_qf); k < engine->levels; k++)
        answers->probability[k] = 0;
}

/* Is it still to be decided what a positive score of the network means? */
static bool is_open(const struct vj_predictor *p)
{
    return vj_predictor_is_network(p) && p->positive_class == VJ_POSITIVE_AUTO;
}

struct prediction {
    int qf, lossless; /* lossless: -1 = none */
    int64_t bytes;    /* at lossless; 0: these and the saving are unknown */
    double saving;
};

/* -ENODATA: the predictor has no answer */
static int search(struct prediction *p, const struct vj_engine *engine, int anchor_qf,
                  const float *score, const int64_t *bytes, struct vj_error *err)
{
    const struct vj_predictor *predictor = &engine->predictors->list[0];
    struct answers answers = {.predictor = predictor};
    struct vj_search_result found;
    if (is_open(predictor))
        return no_answer(predictor, err);
    take_answers(&answers, engine, anchor_qf, score);
    int r = vj_search_lazy(&engine->search, engine->levels, stored_answer, &answers, &found, err);
    if (r)
        return r;
    const int first = engine->config.qf_first, last = first + engine->levels - 1;
    const float lowest = answers.probability[0];
    const bool lowest_lossless = !isnan(lowest) && !vj_is_lossy(lowest);
    const int qf = vj_search_qf(found.level, first);
    *p = (struct prediction){.qf = qf,
                             .lossless = vj_search_lossless_qf(qf, lowest_lossless, first, last)};
    if (p->lossless >= 0 && bytes[p->lossless - first] > 0 && bytes[last - first] > 0) {
        p->bytes = bytes[p->lossless - first];
        p->saving = 1 - (double)p->bytes / (double)bytes[last - first];
    }
    return 0;
}

static void add_columns(struct vj_text *line, const char *path, const struct prediction *p)
{
    vj_text_add(line, "%s\t%d\t", path, p->qf);
    if (p->lossless >= 0)
        vj_text_add(line, "%d", p->lossless);
    else
        vj_text_add(line, "-");
    if (p->bytes > 0)
        vj_text_add(line, "\t%" PRId64 "\t%.4f\n", p->bytes, p->saving);
    else
        vj_text_add(line, "\t-\t-\n");
}

static void add_csv(struct vj_text *line, const char *path, const struct prediction *p)
{
    vj_text_csv(line, path);
    vj_text_add(line, ",%d,", p->qf);
    if (p->lossless >= 0)
        vj_text_add(line, "%d", p->lossless);
    vj_text_add(line, ",");
    if (p->bytes > 0) {
        vj_text_add(line, "%" PRId64 ",", p->bytes);
        vj_text_number(line, p->saving);
    } else {
        vj_text_add(line, ",");
    }
    vj_text_add(line, "\r\n");
}

static int print_line(bool csv, const char *path, const struct prediction *p, struct vj_error *err)
{
    struct vj_text line = {0};
    if (csv)
        add_csv(&line, path, p);
    else
        add_columns(&line, path, p);
    int r = vj_text_status(&line, err);
    if (!r)
        fputs(line.data, stdout);
    vj_text_free(&line);
    return r;
}

/* What has become of the pictures so far. */
struct tally {
    size_t failed;
    size_t jpegs, larger; /* written; of these larger than the file of the picture */
    int64_t bytes, given; /* of the JPEGs; of the files that their pictures are */
};

/* A file that is gone meanwhile has no size. */
static void count_jpeg(struct tally *tally, const char *picture, int64_t bytes)
{
    struct stat st = {0};
    if (stat(picture, &st))
        return;
    tally->jpegs++;
    tally->larger += bytes > st.st_size;
    tally->bytes += bytes;
    tally->given += st.st_size;
}

static void show_jpegs(const struct tally *tally, const char *folder)
{
    if (tally->given == 0)
        return;
    const bool one = tally->jpegs == 1;
    fprintf(stderr, "vpjnd: %zu JPEG%s in %s, %" PRId64 " bytes, %.1f %% of the file%s given",
            tally->jpegs, one ? "" : "s", folder, tally->bytes,
            100 * (double)tally->bytes / (double)tally->given, one ? "" : "s");
    if (tally->larger && !one) /* of one the share says it */
        fprintf(stderr, "; %zu of them larger than theirs", tally->larger);
    fputc('\n', stderr);
}

/*
 * The picture, read again, ready to become a JPEG. p: has a smallest invisible quality factor
 * Errors: the picture's, which may be gone or another one by now
 */
static int plan_jpeg(struct vj_jpeg_plan **plan, struct vj_jpeg_scratch **scratch,
                     const struct arguments *a, const char *picture, const struct prediction *p,
                     enum vj_subsampling sampling, struct vj_error *err)
{
    const struct vj_image_options read = {.alpha = (enum vj_alpha_mode)a->config.alpha,
                                          .max_pixels = a->config.max_pixels};
    struct vj_image img = {0};
    int64_t bytes;
    int r = vj_image_read(&img, picture, &read, err);
    if (!r)
        r = vj_jpeg_plan_create(plan, &img, sampling, err);
    if (!r)
        r = vj_jpeg_scratch_create(scratch, img.width, img.height, img.channels, sampling, err);
    if (!r)
        r = vj_jpeg_plan_size(*plan, p->lossless, VJ_JPEG_CODING_STANDARD, &bytes, *scratch, err);
    if (!r && p->bytes > 0 && bytes != p->bytes)
        r = vj_fail(err, -ESTALE,
                    "its JPEG would have %" PRId64 " bytes instead of the %" PRId64 " predicted; "
                    "was the picture replaced meanwhile?",
                    bytes, p->bytes);
    vj_image_free(&img);
    return r;
}

/*
 * The picture as its JPEG at the smallest invisible quality factor, if there is one.
 * lost: filled: the error is the picture's
 */
static int write_jpeg(const struct arguments *a, const struct vj_outputs *outputs, size_t index,
                      const struct prediction *p, enum vj_subsampling sampling, struct tally *tally,
                      bool *lost, struct vj_error *err)
{
    const char *picture = a->pictures.picture[index].path;
    struct vj_jpeg_plan *plan = NULL;
    struct vj_jpeg_scratch *scratch = NULL;
    char *path = NULL;
    int64_t bytes;
    *lost = false;
    if (!a->folder || p->lossless < 0)
        return 0;
    int r = plan_jpeg(&plan, &scratch, a, picture, p, sampling, err);
    *lost = r != 0;
    if (!r)
        r = vj_outputs_make_folders(outputs, index, err);
    if (!r)
        r = vj_outputs_path(&path, outputs, index, ".jpg", err);
    if (!r)
        r = vj_jpeg_plan_write(plan, p->lossless, VJ_JPEG_CODING_STANDARD, path, &bytes, scratch,
                               err);
    if (!r)
        count_jpeg(tally, picture, bytes);
    free(path);
    vj_jpeg_scratch_free(scratch);
    vj_jpeg_plan_free(plan);
    return r;
}

/* Nothing is written unless all can be: JPEGs replace no picture and not each other. */
static int open_outputs(struct vj_outputs *outputs, const struct arguments *a, struct vj_error *err)
{
    if (!a->folder)
        return 0;
    int r = vj_outputs_init(outputs, &a->pictures, a->folder, ".jpg", err);
    for (size_t i = 0; !r && i < a->pictures.count; i++) {
        char *path;
        r = vj_outputs_path(&path, outputs, i, ".jpg", err);
        if (!r)
            r = vj_outputs_check(outputs, path, err);
        free(path);
    }
    return r ? r : vj_make_folder(a->folder, err);
}

/* A picture for which the predictor has no answer, or that is gone meanwhile, has failed. */
static int print_pending(struct vj_engine *engine, const struct arguments *a,
                         const struct vj_outputs *outputs, struct pending *pending,
                         struct tally *tally, struct vj_error *err)
{
    struct vj_predictor *p = &engine->predictors->list[0];
    size_t levels = (size_t)engine->levels;
    double mean[2];
    bool open = pending->count > 0 && is_open(p);
    if (open) {
        enum vj_positive_class positive =
            vj_positive_from_scores(pending->score, levels, pending->count,
                                    vj_levels_to_anchor(engine, a->anchor_qf), mean);
        p->positive_class = isnan(mean[0]) ? VJ_POSITIVE_AUTO : positive;
    }
    if (open && p->positive_class != VJ_POSITIVE_AUTO)
        fprintf(stderr,
                "vpjnd: the weights leave open what a positive score means; by the first %zu "
                "pictures it is %s\n",
                pending->count, vj_positive_class_name(p->positive_class));
    int r = 0;
    for (size_t i = 0; !r && i < pending->count; i++) {
        const char *path = a->pictures.picture[pending->image[i]].path;
        struct prediction found;
        bool lost;
        r = search(&found, engine, a->anchor_qf, pending->score + i * levels,
                   pending->bytes + i * levels, err);
        lost = r == -ENODATA;
        if (!r)
            r = write_jpeg(a, outputs, pending->image[i], &found, engine->plan.sampling, tally,
                           &lost, err);
        if (lost) {
            vj_picture_show_failure(path, err->text);
            tally->failed++;
            r = 0;
            continue;
        }
        if (!r)
            r = print_line(a->csv, path, &found, err);
    }
    pending->count = 0;
    fflush(stdout);
    return r;
}

/* The pictures on their way to their lines. */
struct way {
    struct vj_engine *engine;
    const struct arguments *arguments;
    const struct vj_outputs *outputs;
    struct vj_row *rows, **of_slot; /* [slots] */
    struct pending pending;
    struct tally tally;
};

/* While it is open what a positive score means, which the pictures' scores tell. */
static int ask_in_full(void *user, bool *full, struct vj_error *err)
{
    const struct way *way = user;
    (void)err;
    *full = is_open(&way->engine->predictors->list[0]);
    return 0;
}

static int take_row(void *user, size_t index, int slot, struct vj_error *err)
{
    struct way *way = user;
    struct pending *pending = &way->pending;
    const struct vj_row *row = way->of_slot[slot];
    const size_t levels = (size_t)way->engine->levels;
    if (row->status) {
        vj_picture_show_failure(way->arguments->pictures.picture[index].path, row->error);
        way->tally.failed++;
        return 0;
    }
    pending->image[pending->count] = index;
    memcpy(pending->score + pending->count * levels, row->score[0], levels * sizeof(float));
    memcpy(pending->bytes + pending->count * levels, row->bytes, levels * sizeof(int64_t));
    pending->count++;
    if (is_open(&way->engine->predictors->list[0]) && pending->count < VJ_POSITIVE_IMAGES)
        return 0;
    return print_pending(way->engine, way->arguments, way->outputs, pending, &way->tally, err);
}

static void load_picture(struct vj_loaded *loaded, const void *arguments,
                         const struct vj_stream_options *read)
{
    const struct arguments *a = arguments;
    const struct vj_picture *picture = &a->pictures.picture[loaded->index];
    vj_load_picture(loaded, picture->path, picture->name, a->anchor_qf, read);
}

static int way_init(struct way *way, struct vj_error *err)
{
    const size_t slots = (size_t)way->engine->plan.slots, levels = (size_t)way->engine->levels;
    way->rows = vj_calloc(slots, sizeof(*way->rows));
    way->of_slot = vj_calloc(slots, sizeof(*way->of_slot));
    way->pending = (struct pending){
        .image = vj_calloc(VJ_POSITIVE_IMAGES, sizeof(size_t)),
        .score = vj_calloc(VJ_POSITIVE_IMAGES, levels * sizeof(float)),
        .bytes = vj_calloc(VJ_POSITIVE_IMAGES, levels * sizeof(int64_t)),
    };
    int r =
        way->rows && way->of_slot && way->pending.image && way->pending.score && way->pending.bytes
            ? 0
            : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t s = 0; !r && s < slots; s++) {
        way->of_slot[s] = &way->rows[s];
        r = vj_row_alloc(&way->rows[s], way->engine, err);
    }
    return r;
}

static void way_free(struct way *way)
{
    for (int s = 0; way->rows && s < way->engine->plan.slots; s++)
        vj_row_free(&way->rows[s], way->engine);
    free(way->rows);
    free(way->of_slot);
    free(way->pending.image);
    free(way->pending.score);
    free(way->pending.bytes);
}

/* failed: filled with the number of pictures without a prediction */
static int predict_all(struct vj_engine *engine, const struct arguments *a,
                       const struct vj_outputs *outputs, size_t *failed, struct vj_error *err)
{
    const struct vj_config *c = &a->config;
    struct way way = {.engine = engine, .arguments = a, .outputs = outputs};
    int r = way_init(&way, err);
    const struct vj_pipeline pipeline = {
        .engine = engine,
        .load = load_picture,
        .source = a,
        .count = a->pictures.count,
        .read =
            {
                .threads = c->decode_threads,
                .slots = c->slots,
                .image = {.alpha = (enum vj_alpha_mode)c->alpha, .max_pixels = c->max_pixels},
                .max_width = engine->plan.max_width,
                .max_height = engine->plan.max_height,
                .min_side = engine->plan.weights_count ? (size_t)engine->plan.patch_size : 1,
            },
        .row = way.of_slot,
        .full = ask_in_full,
        .take = take_row,
        .user = &way,
    };
    if (!r && a->csv)
        printf(CSV_HEADER "\r\n");
    if (!r)
        r = vj_pipeline_run(&pipeline, err);
    if (!r)
        r = print_pending(engine, a, outputs, &way.pending, &way.tally, err);
    show_jpegs(&way.tally, a->folder);
    *failed = way.tally.failed;
    way_free(&way);
    return r;
}

/* The search goes from qf_first up to the anchor, which is invisible: one level is no answer. */
static int check_anchor(const struct arguments *a, struct vj_error *err)
{
    if (a->anchor_qf == 0 || a->anchor_qf > a->config.qf_first)
        return 0;
    return vj_fail(err, -EINVAL,
                   "--anchor %d is not above qf_first %d, so no quality factor is left to search; "
                   "give a higher anchor or a lower qf_first",
                   a->anchor_qf, a->config.qf_first);
}

/* What to plan for, and whose sides these are; 1x1 of the first picture when none can be read. */
static void largest(const struct arguments *a, size_t *width, size_t *height, const char **widest,
                    const char **tallest)
{
    *width = *height = 1;
    *widest = *tallest = a->pictures.picture[0].path;
    for (size_t i = 0; i < a->pictures.count; i++) {
        struct vj_image_info info;
        if (vj_image_probe(&info, a->pictures.picture[i].path, NULL) ||
            !vj_size_taken(&info, a->config.max_pixels))
            continue; /* reported when its turn comes */
        if (info.width > *width) {
            *width = info.width;
            *widest = a->pictures.picture[i].path;
        }
        if (info.height > *height) {
            *height = info.height;
            *tallest = a->pictures.picture[i].path;
        }
    }
}

static void warn_of_weights(const struct vj_weights *w, const char *path)
{
    if (w->origin == VJ_ORIGIN_RANDOM)
        fprintf(stderr, "vpjnd: %s holds random weights; its predictions mean nothing\n", path);
    if (w->trained && strcmp(w->trained->dataset, "synthetic") == 0)
        fprintf(stderr, "vpjnd: %s was trained on a synthetic observer's labels, not people's\n",
                path);
}

/* One that needs nothing but the picture. */
static int check_predictor(const struct vj_predictors *p, const char *text, struct vj_error *err)
{
    const struct vj_predictor *mine = &p->list[0];
    if (p->count > 1)
        return vj_fail(err, -EINVAL, "--predictor: '%s' is more than one", text);
    if (mine->kind == VJ_PREDICTOR_NETWORK)
        return vj_fail(err, -EINVAL, "--predictor: a network is given as --weights %s", mine->path);
    if (!vj_predictor_has_threshold(mine))
        return vj_fail(err, -EINVAL,
                       "--predictor: %s predicts from a data set's labels or results; give a "
                       "threshold or a rule on a map",
                       mine->name);
    if (mine->fit)
        return vj_fail(err, -EINVAL,
                       "--predictor: %s is fitted to labels, and there are none here; give a "
                       "number: --predictor %s:X",
                       mine->name, mine->kind_name);
    return 0;
}

/* Opens the one predictor. */
static int open_predictor(struct vj_predictors *predictors, const struct arguments *a,
                          struct vj_error *err)
{
    static const enum vj_positive_class positive[] = {VJ_POSITIVE_AUTO, VJ_POSITIVE_LOSSY,
                                                      VJ_POSITIVE_LOSSLESS};
    char list[VJ_OPTION_TEXT];
    if (a->predictor) {
        int r = vj_predictors_open(predictors, a->predictor, "jpeg", VJ_POSITIVE_AUTO, err);
        return r ? r : check_predictor(predictors, a->predictor, err);
    }
    if (strchr(a->weights, ',') || strlen(a->weights) + sizeof("vpjnd:") > sizeof(list))
        return vj_fail(err, -EINVAL, "--weights: '%s' is too long or has a comma", a->weights);
    snprintf(list, sizeof(list), "vpjnd:%s", a->weights);
    int r = vj_predictors_open(predictors, list, "jpeg", positive[a->config.positive_class], err);
    if (!r)
        warn_of_weights(&predictors->weights[0], a->weights);
    return r;
}

int vj_cmd_predict(int argc, char **argv)
{
    struct arguments a = {0};
    vj_config_defaults(&a.config, VJ_USE_EVAL);
    vj_config_set(&a.config, "lazy", "true", NULL);
    vj_config_set(&a.config, "image_metrics", "none", NULL);
    vj_refuse_bare_options(&argp, argc, argv, VJ_USE_EVAL);
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    struct vj_predictors predictors = {0};
    struct vj_engine engine = {0};
    struct vj_outputs outputs = {0};
    const char *widest, *tallest;
    size_t width, height, failed = 0;
    largest(&a, &width, &height, &widest, &tallest);
    int r = vj_config_check_search(&a.config, &err);
    if (!r)
        r = check_anchor(&a, &err);
    if (!r)
        r = open_outputs(&outputs, &a, &err);
    if (!r)
        r = open_predictor(&predictors, &a, &err);
    if (!r) {
        r = vj_engine_open(&engine, &a.config, &predictors, width, height, &err);
        if (r)
            vj_name_largest(width, height, widest, tallest, &err);
    }
    if (!r && engine.device_note[0])
        fprintf(stderr, "vpjnd: %s\n", engine.device_note);
    if (!r) {
        r = predict_all(&engine, &a, &outputs, &failed, &err);
        vj_engine_close(&engine);
    }
    vj_predictors_free(&predictors);
    vj_outputs_free(&outputs);
    vj_pictures_free(&a.pictures);
    if (r) {
        vj_error_show(&err);
        return VJ_EXIT_USAGE;
    }
    return failed ? VJ_EXIT_SOME_FAILED : VJ_EXIT_OK;
}
