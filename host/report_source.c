/* SPDX-License-Identifier: MIT */
#include "host/report_source.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/text.h"
#include "host/checked.h"
#include "host/schema.h"

static const char *const fact_names[VJ_FACTS] = {
    [VJ_FACT_DATASET] = "dataset",
    [VJ_FACT_LABELS] = "label_definition",
    [VJ_FACT_CANDIDATES] = "candidates",
    [VJ_FACT_CODEC] = "codec",
    [VJ_FACT_FOLDS] = "folds",
    [VJ_FACT_DEVICE] = "device",
    [VJ_FACT_VERSION] = "program_version",
    [VJ_FACT_CONFIG] = "config",
};

/* What a page says of where its figures come from: root attributes, as far as the file has them. */
static const struct {
    const char *name, *label;
} provenance[] = {
    {"command_line", "command line"},
    {"program_version", "program version"},
    {"git_revision", "revision"},
    {"created_utc", "date (UTC)"},
    {"dataset", "data set"},
    {"dataset_fingerprint", "fingerprint of the data set"},
    {"label_definition", "label definition"},
    {"host", "host"},
    {"device", "device"},
    {"rows_from", "images taken from"},
    {"device_library_versions", "libraries"},
    {"jpeg_library", "JPEG library"},
    {"config", "configuration"},
};
_Static_assert(sizeof(provenance) / sizeof(provenance[0]) <= VJ_REPORT_FACTS_MAX,
               "each attribute needs a place");

/* ---- the file ---- */

static int read_provenance(struct vj_report_source *s, struct vj_error *err)
{
    for (size_t i = 0; i < sizeof(provenance) / sizeof(provenance[0]); i++) {
        char *value;
        int r = vj_results_find_text(s->results, "/", provenance[i].name, &value, err);
        if (r)
            return r;
        if (value)
            s->provenance[s->provenances++] = (struct vj_report_fact){
                .name = provenance[i].name, .label = provenance[i].label, .value = value};
    }
    return 0;
}

/* Attributes that are 0 or 1. */
static int read_flag(struct vj_report_source *s, const char *name, int64_t *flag,
                     struct vj_error *err)
{
    int r = vj_results_get_int(s->results, "/", name, flag, err);
    if (!r && *flag != 0 && *flag != 1)
        r = vj_fail(err, -EINVAL, "attribute %s is %lld, it must be 0 or 1", name,
                    (long long)*flag);
    return r;
}

/* A run that was cut short has none. */
static int read_speed(struct vj_report_source *s, struct vj_error *err)
{
    s->images_per_second = 0;
    int r = vj_results_find_double(s->results, "/timing", "images_per_second",
                                   &s->images_per_second, err);
    if (!r && !(s->images_per_second >= 0 && isfinite(s->images_per_second)))
        r = vj_fail(err, -EINVAL,
                    "/timing: attribute images_per_second is %g, it must be a number from 0 on",
                    s->images_per_second);
    return r;
}

/* What not every file has. */
static int read_more_facts(struct vj_report_source *s, struct vj_error *err)
{
    const struct {
        const char *name;
        char **to;
    } texts[] = {
        {"dataset_axis", &s->axis},
        {"dataset_excluded", &s->excluded},
        {"duplicates", &s->duplicates},
        {"rows_from", &s->rows_from},
    };
    int r = 0;
    for (size_t i = 0; !r && i < sizeof(texts) / sizeof(texts[0]); i++)
        r = vj_results_find_text(s->results, "/", texts[i].name, texts[i].to, err);
    return r ? r : read_provenance(s, err);
}

static int read_facts(struct vj_report_source *s, struct vj_error *err)
{
    int r = 0;
    for (int i = 0; !r && i < VJ_FACTS; i++)
        r = vj_results_get_text(s->results, "/", fact_names[i], &s->fact[i], err);
    if (!r)
        r = vj_results_get_uint64(s->results, "/", "seed", &s->seed, err);
    if (!r)
        r = read_flag(s, "complete", &s->complete, err);
    if (!r)
        r = read_flag(s, "human_labels", &s->human_labels, err);
    if (!r)
        r = read_speed(s, err);
    if (!r)
        r = read_more_facts(s, err);
    vj_config_defaults(&s->config, VJ_USE_EVAL);
    if (!r)
        r = vj_config_parse(&s->config, s->fact[VJ_FACT_CONFIG], "its configuration", err);
    return r;
}

/* One of the numbers that a network's group says, 1 or more. */
static int read_number(struct vj_report_source *s, const char *group, const char *name, int *number,
                       struct vj_error *err)
{
    int64_t value;
    int r = vj_results_get_int(s->results, group, name, &value, err);
    if (!r && (value < 1 || value > INT_MAX))
        r = vj_fail(err, -EINVAL, "%s: attribute %s is %lld, it must be 1 or more", group, name,
                    (long long)value);
    if (!r)
        *number = (int)value;
    return r;
}

/* All networks of a run see the same patches: the first one that has them says how many. */
static int read_patches(struct vj_report_source *s, struct vj_error *err)
{
    int r = 0;
    for (size_t i = 0; !r && !s->patches.count && i < s->analysis.predictors; i++) {
        struct vj_report_patches patches = {.draws = s->config.draws,
                                            .even = s->config.positions == VJ_POSITIONS_EVEN,
                                            .own_map = s->config.jnd_patches != 0};
        char group[VJ_SCHEMA_PATH];
        snprintf(group, sizeof(group), "/predictors/%.150s", s->analysis.predictor[i].name);
        if (!vj_results_has_attribute(s->results, group, "patches"))
            continue;
        r = read_number(s, group, "patches", &patches.count, err);
        if (!r)
            r = read_number(s, group, "patch_size", &patches.size, err);
        if (!r)
            s->patches = patches;
    }
    return r;
}

/* Datasets that are filled picture by picture, in words. */
static char *measured_text(struct vj_results *results, const struct vj_analysis *a)
{
    static const char *const columns[][2] = {
        {"bytes", "sizes"}, {"psnr_y", "PSNR-Y"},   {"psnr_rgb", "PSNR-RGB"},
        {"ssim", "SSIM"},   {"ms_ssim", "MS-SSIM"}, {"ssimulacra2", "SSIMULACRA2"}};
    struct vj_text text = {0};
    char path[VJ_SCHEMA_PATH];
    size_t scores = 0;
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        snprintf(path, sizeof(path), "/candidates/%s", columns[i][0]);
        if (vj_results_has(results, path))
            vj_text_add(&text, "%s%s", text.size ? ", " : "", columns[i][1]);
    }
    vj_text_add(&text, " of its candidates (/candidates)");
    for (size_t i = 0; i < a->predictors; i++) {
        if (!vj_results_has(results, vj_schema_path(path, a->predictor[i].name, "score")))
            continue;
        vj_text_add(&text, "%s%s", scores++ ? ", " : " and the scores of ", a->predictor[i].name);
    }
    if (scores)
        vj_text_add(&text, " (/predictors/NAME/score)");
    return text.data;
}

/* The command line that began the run, with --resume; NULL where the file has not all of it. */
static char *resume_text(const struct vj_report_source *s)
{
    static const char option[] = " --resume", cut[] = "...";
    const char *line = s->provenances ? s->provenance[0].value : "";
    const size_t length = strlen(line);
    char *text;
    if (!s->provenances || strcmp(s->provenance[0].name, "command_line") != 0 || !length ||
        (length >= sizeof(cut) - 1 && strcmp(line + length - (sizeof(cut) - 1), cut) == 0))
        return NULL;
    const char *at = strstr(line, option);
    const bool given = at && (at[sizeof(option) - 1] == ' ' || !at[sizeof(option) - 1]);
    return asprintf(&text, "%s%s", line, given ? "" : option) < 0 ? NULL : text;
}

static int read_unfinished(struct vj_report_source *s, struct vj_error *err)
{
    s->measured = measured_text(s->results, &s->analysis);
    s->resume = resume_text(s);
    return s->measured ? 0 : vj_fail(err, -ENOMEM, "out of memory");
}

int vj_report_source_open(struct vj_report_source *source, const char *path, struct vj_error *err)
{
    source->path = path;
    int r = vj_results_open(&source->results, path, false, err);
    if (!r)
        r = vj_schema_check(source->results, err);
    if (!r)
        r = read_facts(source, err);
    if (!r)
        r = vj_analysis_load(&source->analysis, source->results, true, err);
    if (!r)
        r = read_patches(source, err);
    if (!r && !source->complete)
        r = read_unfinished(source, err);
    if (r && err && !strstr(err->text, path))
        vj_fail_prefix(err, "%s", path);
    return r;
}

void vj_report_source_close(struct vj_report_source *source)
{
    vj_analysis_free(&source->analysis);
    for (int i = 0; i < VJ_FACTS; i++)
        free(source->fact[i]);
    for (size_t i = 0; i < source->provenances; i++)
        free((char *)source->provenance[i].value);
    free(source->measured);
    free(source->resume);
    free(source->axis);
    free(source->excluded);
    free(source->duplicates);
    free(source->rows_from);
    vj_results_close(source->results);
    *source = (struct vj_report_source){0};
}

struct vj_bootstrap vj_report_bootstrap(const struct vj_report_source *source)
{
    struct vj_bootstrap boot = vj_bootstrap_default(source->seed);
    boot.resamples = (size_t)source->config.bootstrap;
    return boot;
}

/* ---- rows and comparisons ---- */

static void fill_rows(struct vj_report_tables *t, const struct vj_analysis *a)
{
    for (size_t i = 0; i < a->predictors; i++) {
        const struct vj_analysed_predictor *p = &a->predictor[i];
        t->row[i] = (struct vj_report_row){
            .name = p->name,
            .note = p->note && p->note[0] ? p->note : NULL,
            .no_answer = p->no_answer,
            .random_weights = p->random_weights,
            .metrics = p->has_metrics ? &p->metrics : NULL,
            .qf_pred = p->random_weights ? NULL : p->qf_pred,
            .lossy = p->lossy,
            .sweep = p->has_metrics ? p->sweep : NULL,
            .sweep_count = p->has_metrics ? VJ_SWEEP_COUNT : 0,
            .tolerance = p->has_metrics && p->qf_tolerance ? p->tolerance : NULL,
            .tolerance_count = p->has_metrics && p->qf_tolerance ? VJ_TOLERANCE_STEPS : 0,
        };
        t->row[i].seen = (size_t)(p->seen > 0 ? p->seen : p->seen_if_released);
        t->row[i].seen_if_released = p->seen <= 0;
        t->row[i].seen_of = p->seen_of;
    }
    t->rows = a->predictors;
}

static bool has_labels(const struct vj_analysis *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->qf_true[i] >= 0)
            return true;
    return false;
}

/* Appends the comparison of predictors i and j, unless no image has both predictions: that of their
 * errors or, where nothing is labelled, of the predictions themselves. */
static int compare(struct vj_report_tables *t, const struct vj_analysis *a, size_t i, size_t j,
                   const struct vj_bootstrap *boot, struct vj_error *err)
{
    const struct vj_truth truth = vj_analysis_truth(a);
    const struct vj_prediction x = {.qf_pred = a->predictor[i].qf_pred,
                                    .lossy = a->predictor[i].lossy};
    const struct vj_prediction y = {.qf_pred = a->predictor[j].qf_pred,
                                    .lossy = a->predictor[j].lossy};
    if (!a->predictor[i].has_metrics || !a->predictor[j].has_metrics)
        return 0;
    if (t->agreement) {
        struct vj_report_agreement *g = &t->agreement[t->agreements];
        *g = (struct vj_report_agreement){.a = i, .b = j};
        int r = vj_agreement_compute(&g->result, &truth, &x, &y, boot, err);
        t->agreements += !r && g->result.images > 0;
        return r;
    }
    struct vj_report_comparison *c = &t->comparison[t->comparisons];
    *c = (struct vj_report_comparison){.a = i, .b = j};
    int r = vj_metrics_compare(&c->result, &truth, &x, &y, boot, err);
    t->comparisons += !r && c->result.images > 0;
    return r;
}

int vj_report_against(int *against, const struct vj_analysis *analysis, const char *name,
                      int otherwise, struct vj_error *err)
{
    char known[VJ_ERROR_TEXT / 2] = "";
    *against = name ? VJ_AGAINST_ALL : otherwise;
    if (!name || strcmp(name, "all") == 0)
        return 0;
    for (size_t i = 0; i < analysis->predictors; i++) {
        const struct vj_analysed_predictor *p = &analysis->predictor[i];
        if (p->random_weights)
            continue;
        if (strcmp(p->name, name) == 0) {
            *against = (int)i;
            return 0;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", p->name);
    }
    return vj_fail(err, -EINVAL, "no predictor '%s' to compare with; there are %s", name, known);
}

static int compare_all(struct vj_report_tables *t, const struct vj_analysis *a,
                       const struct vj_bootstrap *boot, int against, struct vj_error *err)
{
    size_t n = a->predictors, first = 0;
    int r = 0;
    while (first < n && !a->predictor[first].has_metrics)
        first++;
    if (against >= 0)
        first = (size_t)against;
    for (size_t i = 0; !r && against != VJ_AGAINST_ALL && first < n && i < n; i++)
        if (i != first)
            r = compare(t, a, i, first, boot, err);
    for (size_t i = 0; !r && against == VJ_AGAINST_ALL && i < n; i++)
        for (size_t j = i + 1; !r && j < n; j++)
            r = compare(t, a, j, i, boot, err);
    return r;
}

/* Corrects the tests of all comparisons for their number. */
static int correct_tests(struct vj_report_tables *t, struct vj_error *err)
{
    const size_t n = t->comparisons;
    double *p = vj_calloc(2 * n, sizeof(*p));
    if (!p)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        p[i] = t->comparison[i].result.wilcoxon.p;
    int r = vj_holm(p + n, p, n, err);
    for (size_t i = 0; !r && i < n; i++)
        t->comparison[i].wilcoxon_p_holm = p[n + i];
    free(p);
    return r;
}

int vj_report_tables_make(struct vj_report_tables *tables, struct vj_analysis *analysis,
                          const struct vj_bootstrap *boot, int against, struct vj_error *err)
{
    size_t n = analysis->predictors;
    size_t pairs = against == VJ_AGAINST_ALL ? n * n / 2 : n;
    tables->row = vj_calloc(n, sizeof(*tables->row));
    if (has_labels(analysis))
        tables->comparison = vj_calloc(pairs, sizeof(*tables->comparison));
    else
        tables->agreement = vj_calloc(pairs, sizeof(*tables->agreement));
    if (!tables->row || (!tables->comparison && !tables->agreement))
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_analysis_compute(analysis, boot, err);
    if (!r)
        r = compare_all(tables, analysis, boot, against, err);
    if (!r)
        r = correct_tests(tables, err);
    if (!r)
        fill_rows(tables, analysis);
    return r;
}

void vj_report_tables_free(struct vj_report_tables *tables)
{
    free(tables->row);
    free(tables->comparison);
    free(tables->agreement);
    *tables = (struct vj_report_tables){0};
}

void vj_report_fill(struct vj_report *report, const struct vj_report_source *source,
                    const struct vj_analysis *analysis, const struct vj_report_tables *tables)
{
    *report = (struct vj_report){
        .dataset = source->fact[VJ_FACT_DATASET],
        .label_definition = source->fact[VJ_FACT_LABELS],
        .human_labels = source->human_labels != 0,
        .candidates = source->fact[VJ_FACT_CANDIDATES],
        .codec = source->fact[VJ_FACT_CODEC],
        .folds = source->fact[VJ_FACT_FOLDS],
        .axis = source->axis,
        .excluded = source->excluded,
        .duplicates = source->duplicates,
        .rows_from = source->rows_from,
        .qf_first = analysis->qf_first,
        .qf_last = analysis->qf_first + analysis->levels - 1,
        .seed = source->seed,
        .patches = source->patches,
        .device = source->fact[VJ_FACT_DEVICE],
        .results_file = source->path,
        .program_version = source->fact[VJ_FACT_VERSION],
        .fact = source->provenance,
        .facts = source->provenances,
        .complete = source->complete != 0,
        .measured = source->measured,
        .resume = source->resume,
        .confidence = 0.95,
        .resamples = (size_t)source->config.bootstrap,
        .images = analysis->count,
        .image_name = (const char *const *)analysis->name,
        .image_fold = analysis->fold,
        .qf_true = analysis->qf_true,
        .anchor = analysis->anchor,
        .image_width = analysis->width,
        .image_height = analysis->height,
        .bytes = analysis->bytes,
        .image_status = analysis->status,
        .image_error = (const char *const *)analysis->error,
        .row = tables->row,
        .rows = tables->rows,
        .comparison = tables->comparison,
        .comparisons = tables->comparisons,
        .agreement = tables->agreement,
        .agreements = tables->agreements,
    };
    for (size_t i = 0; i < analysis->count; i++)
        report->pending += analysis->status[i] == VJ_STATUS_PENDING;
}
