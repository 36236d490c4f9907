/* SPDX-License-Identifier: MIT */
#include "host/report_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/analysis.h"
#include "host/checked.h"
#include "host/options.h"
#include "host/results.h"
#include "host/schema.h"

/* Root attributes as strings, owned. */
enum text { DATASET, LABELS, CANDIDATES, CODEC, FOLDS, DEVICE, VERSION, CONFIG, TEXTS };
static const char *const text_names[TEXTS] = {
    "dataset", "label_definition", "candidates",      "codec",
    "folds",   "device",           "program_version", "config"};

struct loaded_report {
    struct vj_results *results;
    char *text[TEXTS];
    int64_t seed, complete, human_labels;
    double images_per_second;
    size_t resamples;
    struct vj_analysis analysis;
    struct vj_report_row *row;
    struct vj_report_comparison *comparison;
    size_t comparisons;
};

static int load_facts(struct loaded_report *l, struct vj_error *err)
{
    int r = 0;
    for (int i = 0; !r && i < TEXTS; i++)
        r = vj_results_get_text(l->results, "/", text_names[i], &l->text[i], err);
    if (!r)
        r = vj_results_get_int(l->results, "/", "seed", &l->seed, err);
    if (!r)
        r = vj_results_get_int(l->results, "/", "complete", &l->complete, err);
    if (!r)
        r = vj_results_get_int(l->results, "/", "human_labels", &l->human_labels, err);
    if (!r && vj_results_get_double(l->results, "/timing", "images_per_second",
                                    &l->images_per_second, NULL))
        l->images_per_second = 0; /* a run that was cut short has none */
    struct vj_config config;
    vj_config_defaults(&config, VJ_USE_EVAL);
    if (!r)
        r = vj_config_parse(&config, l->text[CONFIG], "its configuration", err);
    if (!r)
        l->resamples = (size_t)config.bootstrap;
    return r;
}

/* Every predictor against the first one that has metrics. */
static int compare_all(struct loaded_report *l, const struct vj_bootstrap *boot,
                       struct vj_error *err)
{
    const struct vj_analysis *a = &l->analysis;
    struct vj_truth truth = vj_analysis_truth(a);
    size_t first = 0;
    while (first < a->predictors && !a->predictor[first].has_metrics)
        first++;
    int r = 0;
    for (size_t i = first + 1; !r && i < a->predictors; i++) {
        if (!a->predictor[i].has_metrics)
            continue;
        struct vj_prediction x = {.qf_pred = a->predictor[i].qf_pred,
                                  .lossy = a->predictor[i].lossy};
        struct vj_prediction y = {.qf_pred = a->predictor[first].qf_pred,
                                  .lossy = a->predictor[first].lossy};
        struct vj_report_comparison *c = &l->comparison[l->comparisons];
        *c = (struct vj_report_comparison){.a = i, .b = first};
        r = vj_metrics_compare(&c->result, &truth, &x, &y, boot, err);
        l->comparisons += !r && c->result.images > 0;
    }
    return r;
}

static void fill_rows(struct loaded_report *l)
{
    const struct vj_analysis *a = &l->analysis;
    for (size_t i = 0; i < a->predictors; i++) {
        const struct vj_analysed_predictor *p = &a->predictor[i];
        l->row[i] = (struct vj_report_row){
            .name = p->name,
            .note = p->note && p->note[0] ? p->note : NULL,
            .random_weights = p->random_weights,
            .metrics = p->has_metrics ? &p->metrics : NULL,
            /* The run's, and worth a line only where there is nothing else to say. */
            .images_per_second = p->random_weights ? l->images_per_second : 0,
            .qf_pred = p->random_weights ? NULL : p->qf_pred,
            .sweep = p->has_metrics ? p->sweep : NULL,
            .sweep_count = p->has_metrics ? VJ_SWEEP_COUNT : 0,
        };
    }
}

static int load(struct loaded_report *l, const char *path, struct vj_error *err)
{
    int r = vj_results_open(&l->results, path, false, err);
    if (!r)
        r = vj_schema_check(l->results, err);
    if (!r)
        r = load_facts(l, err);
    if (!r)
        r = vj_analysis_load(&l->analysis, l->results, true, err);
    if (r)
        return r;
    struct vj_bootstrap boot = vj_bootstrap_default((uint64_t)l->seed);
    boot.resamples = l->resamples;
    l->row = vj_calloc(l->analysis.predictors, sizeof(*l->row));
    l->comparison = vj_calloc(l->analysis.predictors, sizeof(*l->comparison));
    if (!l->row || !l->comparison)
        return vj_fail(err, -ENOMEM, "out of memory");
    r = vj_analysis_compute(&l->analysis, &boot, err);
    if (!r)
        r = compare_all(l, &boot, err);
    if (!r)
        fill_rows(l);
    return r;
}

static int write(struct vj_text *out, const struct loaded_report *l, const char *path,
                 enum vj_report_form form, unsigned sections, struct vj_error *err)
{
    const struct vj_analysis *a = &l->analysis;
    const struct vj_report report = {
        .dataset = l->text[DATASET],
        .label_definition = l->text[LABELS],
        .human_labels = l->human_labels != 0,
        .candidates = l->text[CANDIDATES],
        .codec = l->text[CODEC],
        .folds = l->text[FOLDS],
        .qf_first = a->qf_first,
        .qf_last = a->qf_first + a->levels - 1,
        .seed = (uint64_t)l->seed,
        .device = l->text[DEVICE],
        .results_file = path,
        .program_version = l->text[VERSION],
        .complete = l->complete != 0,
        .confidence = 0.95,
        .resamples = l->resamples,
        .images = a->count,
        .image_name = (const char *const *)a->name,
        .image_fold = a->fold,
        .qf_true = a->qf_true,
        .image_error = (const char *const *)a->error,
        .row = l->row,
        .rows = a->predictors,
        .comparison = l->comparison,
        .comparisons = l->comparisons,
    };
    switch (form) {
    case VJ_REPORT_FORM_TEXT:
        return vj_report_text(out, &report, sections, err);
    case VJ_REPORT_FORM_CSV:
        return vj_report_csv(out, &report, err);
    case VJ_REPORT_FORM_IMAGES_CSV:
        return vj_report_images_csv(out, &report, err);
    case VJ_REPORT_FORM_JSON:
        return vj_report_json(out, &report, err);
    }
    return vj_fail(err, -EINVAL, "unknown form of report");
}

int vj_report_file(struct vj_text *out, const char *path, enum vj_report_form form,
                   unsigned sections, struct vj_error *err)
{
    struct loaded_report l = {0};
    int r = load(&l, path, err);
    if (!r)
        r = write(out, &l, path, form, sections, err);
    else if (err && !strstr(err->text, path))
        vj_fail_prefix(err, "%s", path);
    vj_analysis_free(&l.analysis);
    for (int i = 0; i < TEXTS; i++)
        free(l.text[i]);
    free(l.row);
    free(l.comparison);
    vj_results_close(l.results);
    return r;
}
