/* SPDX-License-Identifier: MIT */
/* A report with made-up figures, for the tests of its forms. */
#ifndef VJ_TESTS_EVAL_REPORT_SAMPLE_H
#define VJ_TESTS_EVAL_REPORT_SAMPLE_H

#include "tests/vj_test.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "eval/report.h"

enum { IMAGES = 4, SWEEP = 3 };

/* Every array is its own. */
struct sample {
    struct vj_metrics fold[2];
    struct vj_metrics_table threshold, constant;
    struct vj_sweep_point sweep[SWEEP];
    struct vj_report_row row[3];
    struct vj_report_comparison comparison[1];
    const char *name[IMAGES];
    const char *error[IMAGES];
    int32_t status[IMAGES];
    int32_t image_fold[IMAGES], qf_true[IMAGES], pred[2][IMAGES];
    struct vj_report report;
};

static struct vj_metric_value value(double v, double half, size_t n)
{
    return (struct vj_metric_value){.present = true,
                                    .has_interval = half > 0,
                                    .value = v,
                                    .ci_low = v - half,
                                    .ci_high = v + half,
                                    .n = n};
}

static void fill_metrics(struct vj_metrics *m, double mad, int32_t fold, size_t n)
{
    memset(m, 0, sizeof(*m));
    m->fold = fold;
    m->images = n;
    for (int i = 0, k = 0; i < VJ_METRIC_SUR_MAE; i++) {
        bool share = vj_metric_info((enum vj_metric)i)->is_share;
        if (i == VJ_METRIC_PLCC || i == VJ_METRIC_SROCC || i == VJ_METRIC_KROCC) {
            m->value[i] = value(0.875, 0.0625, n);
            continue;
        }
        m->value[i] = value(share ? 0.9 - 0.01 * k : mad + 0.125 * k, share ? 0.015 : 1.5, n);
        k++;
    }
    m->value[VJ_METRIC_BIAS] = value(-mad / 4, 0.5, n);
}

static void fill_sample(struct sample *s)
{
    static const int32_t numbers[4][IMAGES] = {
        {1, 2, 1, 2}, {36, 47, -1, 40}, {36, 39, 36, -1}, {35, 100, 41, -1}};
    memset(s, 0, sizeof(*s));
    memcpy(s->image_fold, numbers[0], sizeof(numbers[0]));
    memcpy(s->qf_true, numbers[1], sizeof(numbers[1]));
    memcpy(s->pred, numbers[2], 2 * sizeof(numbers[2]));
    s->name[0] = "SRC01";
    s->name[1] = "SRC02";
    s->name[2] = "caf\xc3\xa9";
    s->name[3] = "SRC04";
    s->status[3] = 1;
    s->error[3] = "SRC04_055.jpg: the file ends after 10240 bytes; copy it again";
    fill_metrics(&s->constant.pooled, 7.82, -1, 3);
    s->constant.pairs = VJ_PAIRS_FROM_STEP;
    fill_metrics(&s->threshold.pooled, 4.25, -1, 3);
    fill_metrics(&s->fold[0], 4, 1, 2);
    fill_metrics(&s->fold[1], 5.5, 2, 1);
    s->fold[1].value[VJ_METRIC_MAD].has_interval = false;
    s->threshold.fold = s->fold;
    s->threshold.folds = 2;
    for (int i = 0; i < SWEEP; i++) {
        s->sweep[i] = (struct vj_sweep_point){.offset = i - 1,
                                              .saving_mean = value(0.88 - 0.01 * i, 0, 3),
                                              .saving_of_sums = value(0.87 - 0.01 * i, 0, 3),
                                              .dqf = value(2.5 - i, 0, 3),
                                              .past_jnd_share = value(2.0 / 3, 0, 3),
                                              .sur_at_prediction = value(0.7 + 0.05 * i, 0, 3)};
    }
    s->row[0] = (struct vj_report_row){.name = "constant",
                                       .note = "median JND outside the fold: 36 and 39",
                                       .metrics = &s->constant,
                                       .images_per_second = NAN,
                                       .qf_pred = s->pred[0]};
    s->row[1] = (struct vj_report_row){.name = "psnr-threshold",
                                       .metrics = &s->threshold,
                                       .images_per_second = 812.5,
                                       .qf_pred = s->pred[1],
                                       .sweep = s->sweep,
                                       .sweep_count = SWEEP};
    s->row[2] = (struct vj_report_row){.name = "vpjnd-init",
                                       .note = "NEVER SHOWN",
                                       .random_weights = true,
                                       .metrics = &s->threshold,
                                       .images_per_second = 3.25,
                                       .qf_pred = s->pred[1],
                                       .sweep = s->sweep,
                                       .sweep_count = SWEEP};
    s->comparison[0] = (struct vj_report_comparison){
        .a = 1,
        .b = 0,
        .wilcoxon_p_holm = 0.625,
        .result = {
            .images = 3,
            .mad = value(-3.57, 2, 3),
            .pair_accuracy = value(0.031, 0.02, 3),
            .nearer_a = 2,
            .tied = 1,
            .wilcoxon = {.n = 3, .w_plus = 1, .w_minus = 5, .p = 0.5, .method = VJ_TEST_EXACT},
            .mcnemar = {.b = 20, .c = 3, .p = 0.00048828125, .method = VJ_TEST_EXACT}}};
    s->report = (struct vj_report){.dataset = "mcl-jci",
                                   .label_definition = "sqf: first drop of the stair function",
                                   .human_labels = true,
                                   .candidates = "files",
                                   .codec = "jpeg",
                                   .folds = "surfeatnet10",
                                   .qf_first = 1,
                                   .qf_last = 100,
                                   .seed = 18446744073709551615u,
                                   .device = "cpu: 16 threads",
                                   .results_file = "results/mcl-jci.h5",
                                   .program_version = "0.1.0",
                                   .complete = true,
                                   .confidence = 0.95,
                                   .resamples = 2000,
                                   .images = IMAGES,
                                   .image_name = s->name,
                                   .image_fold = s->image_fold,
                                   .qf_true = s->qf_true,
                                   .image_status = s->status,
                                   .image_error = s->error,
                                   .row = s->row,
                                   .rows = 3,
                                   .comparison = s->comparison,
                                   .comparisons = 1};
}

static inline struct vj_text text_report(const struct vj_report *report, unsigned sections)
{
    struct vj_text t = {0};
    struct vj_error err = {0};
    assert_int_equal(vj_report_text(&t, report, sections, &err), 0);
    return t;
}

/* Case-insensitive search for a word that is not part of a longer one. */
static inline bool has_word(const char *text, const char *word)
{
    size_t size = strlen(word);
    for (const char *p = text; (p = strcasestr(p, word)); p++) {
        bool starts = p == text || !isalpha((unsigned char)p[-1]);
        if (starts && !isalpha((unsigned char)p[size]))
            return true;
    }
    return false;
}

#endif
