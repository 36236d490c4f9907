/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <time.h>

#include "eval/agreement.h"
#include "eval/metrics.h"
#include "eval/rules.h"
#include "host/rng.h"
#include "tests/eval/mcl_jci.h"

/* A run whose arrays the test owns. */
struct run {
    struct vj_truth truth;
    struct vj_prediction prediction;
    int32_t *qf_true, *qf_pred, *fold, *anchor;
    uint8_t *lossy;
    uint32_t *bytes;
    float *psnr_y, *ms_ssim, *sur, *sur_pred;
};

static void *take(size_t count, size_t size)
{
    void *p = calloc(count, size);
    assert_non_null(p);
    return p;
}

static void run_alloc(struct run *r, size_t n, int levels, int qf_first)
{
    size_t all = n * (size_t)levels;
    r->qf_true = take(n, sizeof(int32_t));
    r->qf_pred = take(n, sizeof(int32_t));
    r->fold = take(n, sizeof(int32_t));
    r->anchor = take(n, sizeof(int32_t));
    r->lossy = take(all, 1);
    r->bytes = take(all, sizeof(uint32_t));
    r->psnr_y = take(all, sizeof(float));
    r->ms_ssim = take(all, sizeof(float));
    r->sur = take(all, sizeof(float));
    r->sur_pred = take(all, sizeof(float));
    r->truth = (struct vj_truth){.count = n,
                                 .levels = levels,
                                 .qf_first = qf_first,
                                 .qf_true = r->qf_true,
                                 .fold = r->fold,
                                 .anchor = r->anchor,
                                 .bytes = r->bytes,
                                 .psnr_y = r->psnr_y,
                                 .ms_ssim = r->ms_ssim,
                                 .sur = r->sur};
    r->prediction =
        (struct vj_prediction){.qf_pred = r->qf_pred, .lossy = r->lossy, .sur = r->sur_pred};
}

static void run_free(struct run *r)
{
    free(r->qf_true);
    free(r->qf_pred);
    free(r->fold);
    free(r->anchor);
    free(r->lossy);
    free(r->bytes);
    free(r->psnr_y);
    free(r->ms_ssim);
    free(r->sur);
    free(r->sur_pred);
}

/* A run of n images with 100 levels, plausible throughout. */
static void run_random(struct run *r, size_t n)
{
    run_alloc(r, n, 100, 1);
    for (uint32_t i = 0; i < n; i++) {
        struct vj_u32x4 w = vj_random4(4, VJ_RNG_TEST, i, 0);
        r->qf_true[i] = 20 + (int32_t)vj_random_below(w.v[0], 40);
        r->qf_pred[i] = r->qf_true[i] + (int32_t)vj_random_below(w.v[1], 21) - 10;
        r->fold[i] = 1 + (int32_t)i % 10;
        for (uint32_t q = 0; q < 100; q++) {
            size_t k = (size_t)i * 100 + q;
            r->lossy[k] = (int32_t)q + 1 <= r->qf_pred[i];
            r->bytes[k] = 5000 + 300 * q + vj_random_below(w.v[2], 4000);
            r->psnr_y[k] = 25 + 0.15f * (float)q;
            r->ms_ssim[k] = 0.9f + 0.001f * (float)q;
            r->sur[k] = (float)q / 99;
            r->sur_pred[k] = (float)(q * q) / (99 * 99);
        }
    }
}

static void assert_near(const char *what, double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fmax(fabs(wanted), 1e-3)))
        fail_msg("%s: %.17g is not %.17g", what, got, wanted);
}

static int metric_named(const char *name)
{
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        if (strcmp(vj_metric_info((enum vj_metric)m)->name, name) == 0)
            return m;
    }
    fail_msg("no metric %s", name);
    return -1;
}

static double next_number(FILE *f)
{
    char word[64];
    assert_int_equal(fscanf(f, "%63s", word), 1);
    return strtod(word, NULL);
}

static void read_floats(FILE *f, float *row, int levels)
{
    for (int q = 0; q < levels; q++)
        row[q] = (float)next_number(f);
}

static void read_images(FILE *f, struct run *r)
{
    int levels = r->truth.levels;
    for (size_t i = 0; i < r->truth.count; i++) {
        size_t k = i * (size_t)levels;
        r->qf_true[i] = (int32_t)next_number(f);
        r->qf_pred[i] = (int32_t)next_number(f);
        r->fold[i] = (int32_t)next_number(f);
        r->anchor[i] = (int32_t)next_number(f);
        for (int q = 0; q < levels; q++)
            r->lossy[k + (size_t)q] = (uint8_t)next_number(f);
        for (int q = 0; q < levels; q++)
            r->bytes[k + (size_t)q] = (uint32_t)next_number(f);
        read_floats(f, r->psnr_y + k, levels);
        read_floats(f, r->ms_ssim + k, levels);
        read_floats(f, r->sur + k, levels);
        read_floats(f, r->sur_pred + k, levels);
    }
}

static const struct vj_metrics *metrics_of_fold(const struct vj_metrics_table *table, int fold)
{
    if (fold < 0)
        return &table->pooled;
    for (size_t k = 0; k < table->folds; k++) {
        if (table->fold[k].fold == fold)
            return &table->fold[k];
    }
    fail_msg("no fold %d", fold);
    return NULL;
}

/* Reads the expected metrics up to "end"; returns how many there were. */
static int compare_metrics(FILE *f, const struct vj_metrics_table *table)
{
    char word[64], name[64];
    int compared = 0;
    while (fscanf(f, "%63s", word) == 1 && strcmp(word, "end") != 0) {
        assert_string_equal(word, "metric");
        int fold = (int)next_number(f);
        assert_int_equal(fscanf(f, "%63s", name), 1);
        double value = next_number(f), low = next_number(f), high = next_number(f);
        size_t n = (size_t)next_number(f);
        int m = metric_named(name);
        const struct vj_metric_value *v = &metrics_of_fold(table, fold)->value[m];
        assert_true(v->present);
        assert_int_equal(v->n, n);
        /* The reference integrates the Bhattacharyya distance numerically. */
        assert_near(name, v->value, value, m == VJ_METRIC_BHATTACHARYYA ? 1e-8 : 1e-12);
        if (!isnan(low)) {
            assert_true(v->has_interval);
            assert_near(name, v->ci_low, low, 1e-12);
            assert_near(name, v->ci_high, high, 1e-12);
        }
        compared++;
    }
    return compared;
}

static int count_present(const struct vj_metrics *m)
{
    int n = 0;
    for (int i = 0; i < VJ_METRIC_COUNT; i++)
        n += m->value[i].present;
    return n;
}

static void every_metric_and_interval_agrees_with_an_independent_program(void **state)
{
    (void)state;
    FILE *f = fopen(VJ_TEST_GOLDEN "/eval/metrics.txt", "r");
    assert_non_null(f);
    char line[256];
    int runs = 0, compared = 0, present = 0;
    assert_non_null(fgets(line, sizeof(line), f));
    while (fscanf(f, "%255s", line) == 1) {
        struct run r;
        struct vj_metrics_table table;
        assert_string_equal(line, "run");
        size_t n = (size_t)next_number(f);
        int levels = (int)next_number(f);
        run_alloc(&r, n, levels, (int)next_number(f));
        bool from_answers = next_number(f) != 0;
        struct vj_bootstrap boot = vj_bootstrap_default((uint64_t)next_number(f));
        boot.resamples = (size_t)next_number(f);
        read_images(f, &r);
        if (!from_answers)
            r.prediction.lossy = NULL;
        assert_int_equal(vj_metrics_compute(&table, &r.truth, &r.prediction, &boot, NULL), 0);
        assert_int_equal(table.pairs, from_answers ? VJ_PAIRS_FROM_ANSWERS : VJ_PAIRS_FROM_STEP);
        assert_int_equal(table.folds, 3);
        compared += compare_metrics(f, &table);
        present += count_present(&table.pooled);
        for (size_t k = 0; k < table.folds; k++)
            present += count_present(&table.fold[k]);
        vj_metrics_free(&table);
        run_free(&r);
        runs++;
    }
    fclose(f);
    assert_int_equal(runs, 2);
    assert_int_equal(compared, present); /* nothing is given that the reference has not */
    assert_true(compared > 170);
}

static void the_constant_on_mcl_jci_has_its_known_figures(void **state)
{
    (void)state;
    int32_t qf_true[MCL_JCI_IMAGES], fold[MCL_JCI_IMAGES], qf_pred[MCL_JCI_IMAGES];
    mcl_jci_read(qf_true, fold);
    struct vj_rule_table rule = {
        .count = MCL_JCI_IMAGES, .levels = 100, .qf_first = 1, .qf_true = qf_true, .fold = fold};
    struct vj_truth truth = {
        .count = MCL_JCI_IMAGES, .levels = 100, .qf_first = 1, .qf_true = qf_true, .fold = fold};
    struct vj_prediction prediction = {.qf_pred = qf_pred};
    struct vj_bootstrap boot = vj_bootstrap_default(1);
    struct vj_rule_fits fits;
    struct vj_metrics_table t;
    assert_int_equal(vj_constant_predict(&fits, &rule, qf_pred, NULL), 0);
    assert_int_equal(vj_metrics_compute(&t, &truth, &prediction, &boot, NULL), 0);
    const struct vj_metric_value *v = t.pooled.value;
    assert_true(fabs(v[VJ_METRIC_MAD].value - 7.82) < 1e-12);
    assert_int_equal(lround(1000 * v[VJ_METRIC_PAIR_ACCURACY].value), 921);
    assert_int_equal(lround(1000 * v[VJ_METRIC_PRECISION_LOSSY].value), 934);
    assert_int_equal(lround(1000 * v[VJ_METRIC_PRECISION_LOSSLESS].value), 913);
    assert_int_equal(v[VJ_METRIC_MAD].n, 50);
    assert_int_equal(t.pairs, VJ_PAIRS_FROM_STEP);
    assert_int_equal(t.folds, 10);
    assert_false(v[VJ_METRIC_SAVING_MEAN].present);
    print_message(
        "constant on MCL-JCI: MAD %.2f [%.2f, %.2f], pair accuracy %.1f %% [%.1f, %.1f]\n",
        v[VJ_METRIC_MAD].value, v[VJ_METRIC_MAD].ci_low, v[VJ_METRIC_MAD].ci_high,
        100 * v[VJ_METRIC_PAIR_ACCURACY].value, 100 * v[VJ_METRIC_PAIR_ACCURACY].ci_low,
        100 * v[VJ_METRIC_PAIR_ACCURACY].ci_high);
    vj_metrics_free(&t);
    vj_rule_fits_free(&fits);
}

/* Pooled metrics without intervals. */
static struct vj_metrics pooled(const struct vj_truth *truth, const struct vj_prediction *p,
                                enum vj_pair_source *pairs)
{
    struct vj_metrics_table t;
    assert_int_equal(vj_metrics_compute(&t, truth, p, NULL, NULL), 0);
    struct vj_metrics m = t.pooled;
    if (pairs)
        *pairs = t.pairs;
    vj_metrics_free(&t);
    return m;
}

static void a_metric_that_cannot_be_computed_is_absent(void **state)
{
    (void)state;
    const int32_t unknown[] = {-1, -1}, known[] = {1, 1}, low[] = {1, 1}, high[] = {3, 3};
    struct vj_truth truth = {.count = 2, .levels = 3, .qf_first = 1, .qf_true = known};
    struct vj_prediction prediction = {.qf_pred = unknown};
    struct vj_metrics_table t;
    assert_int_equal(vj_metrics_compute(&t, &truth, &prediction, NULL, NULL), 0);
    assert_int_equal(count_present(&t.pooled), 0);
    assert_int_equal(t.pooled.images, 0);
    assert_int_equal(t.folds, 0);
    vj_metrics_free(&t);

    truth.qf_true = NULL; /* prediction only: rates, if there are any */
    prediction.qf_pred = low;
    const uint32_t bytes[] = {10, 20, 40, 5, 50, 100};
    assert_int_equal(vj_metrics_compute(&t, &truth, &prediction, NULL, NULL), 0);
    assert_int_equal(count_present(&t.pooled), 0);
    vj_metrics_free(&t);
    truth.bytes = bytes;
    assert_int_equal(vj_metrics_compute(&t, &truth, &prediction, NULL, NULL), 0);
    assert_int_equal(count_present(&t.pooled), 2);
    assert_near("mean", t.pooled.value[VJ_METRIC_SAVING_MEAN].value, 0.85, 1e-15);
    assert_near("sums", t.pooled.value[VJ_METRIC_SAVING_OF_SUMS].value, 1 - 15.0 / 140, 1e-15);
    vj_metrics_free(&t);

    /* Everything is lossy, everything is called lossy: nothing was called lossless. */
    truth.qf_true = prediction.qf_pred = high;
    assert_int_equal(vj_metrics_compute(&t, &truth, &prediction, NULL, NULL), 0);
    assert_true(t.pooled.value[VJ_METRIC_PRECISION_LOSSY].present);
    assert_false(t.pooled.value[VJ_METRIC_PRECISION_LOSSLESS].present);
    assert_false(t.pooled.value[VJ_METRIC_RECALL_LOSSLESS].present);
    assert_false(t.pooled.value[VJ_METRIC_F1_LOSSLESS].present);
    assert_false(t.pooled.value[VJ_METRIC_SUR_MAE].present);
    assert_false(t.pooled.value[VJ_METRIC_MAD].has_interval);
    vj_metrics_free(&t);

    truth.levels = 1; /* one level: no pairs */
    assert_int_equal(vj_metrics_compute(&t, &truth, &prediction, NULL, NULL), 0);
    assert_false(t.pooled.value[VJ_METRIC_PAIR_ACCURACY].present);
    assert_true(t.pooled.value[VJ_METRIC_MAD].present);
    vj_metrics_free(&t);
}

static void one_image_has_no_interval_and_a_rare_metric_none_either(void **state)
{
    (void)state;
    struct run r;
    struct vj_metrics_table t;
    struct vj_bootstrap boot = vj_bootstrap_default(1);
    run_random(&r, 12);
    for (int i = 0; i < 12; i++)
        r.fold[i] = i ? 2 : 0; /* a fold may have the number 0 */
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, &boot, NULL), 0);
    assert_true(t.pooled.value[VJ_METRIC_MAD].has_interval);
    assert_int_equal(t.fold[0].images, 1);
    assert_true(t.fold[0].value[VJ_METRIC_MAD].present);
    assert_false(t.fold[0].value[VJ_METRIC_MAD].has_interval);
    vj_metrics_free(&t);
    for (size_t k = 0; k < 12 * 100; k++)
        r.ms_ssim[k] = k < 100 ? r.ms_ssim[k] : NAN; /* one image in twelve: n = 1 */
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, &boot, NULL), 0);
    assert_true(t.pooled.value[VJ_METRIC_DMS_SSIM].present);
    assert_int_equal(t.pooled.value[VJ_METRIC_DMS_SSIM].n, 1);
    assert_false(t.pooled.value[VJ_METRIC_DMS_SSIM].has_interval);
    vj_metrics_free(&t);
    run_free(&r);
}

/*
 * Four pictures whose correlation rests on two: both are drawn in 1 - 2 (3/4)^4 + (2/4)^4 = 43 % of
 * all resamples, and the others leave it undefined.
 */
static void a_metric_that_most_resamples_lack_has_no_interval(void **state)
{
    (void)state;
    const int32_t qf_true[] = {30, 30, 30, 40}, qf_pred[] = {35, 35, 45, 35};
    const struct vj_truth truth = {.count = 4, .levels = 100, .qf_first = 1, .qf_true = qf_true};
    const struct vj_prediction p = {.qf_pred = qf_pred};
    const struct vj_bootstrap boot = vj_bootstrap_default(1);
    struct vj_metrics_table t;
    assert_int_equal(vj_metrics_compute(&t, &truth, &p, &boot, NULL), 0);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        const struct vj_metric_value *v = &t.pooled.value[m];
        const bool rests_on_two =
            m == VJ_METRIC_PLCC || m == VJ_METRIC_SROCC || m == VJ_METRIC_KROCC;
        if (rests_on_two)
            assert_near("correlation", v->value, -1.0 / 3, 1e-14);
        assert_int_equal(v->has_interval, v->present && !rests_on_two);
    }
    assert_true(t.pooled.value[VJ_METRIC_PAST_JND_SHARE].has_interval);
    vj_metrics_free(&t);
}

/* One of two measures is enough for its own metrics. A label below all levels is an error still. */
static void metrics_need_their_own_arrays_alone(void **state)
{
    (void)state;
    const int32_t qf_true[] = {3}, qf_pred[] = {1}, none[] = {0};
    const float psnr_y[] = {30, 35, 41}, ms_ssim[] = {0.5f, 0.75f, 1};
    struct vj_truth truth = {
        .count = 1, .levels = 3, .qf_first = 1, .qf_true = qf_true, .psnr_y = psnr_y};
    const struct vj_prediction p = {.qf_pred = qf_pred};
    struct vj_metrics m = pooled(&truth, &p, NULL);
    assert_near("dpsnr_y", m.value[VJ_METRIC_DPSNR_Y].value, 11, 1e-14);
    assert_false(m.value[VJ_METRIC_DMS_SSIM].present);
    truth.psnr_y = NULL;
    truth.ms_ssim = ms_ssim;
    m = pooled(&truth, &p, NULL);
    assert_false(m.value[VJ_METRIC_DPSNR_Y].present || m.value[VJ_METRIC_ABS_DPSNR_Y].present);
    assert_near("dms_ssim", m.value[VJ_METRIC_DMS_SSIM].value, 0.5, 1e-14);
    truth.qf_true = none;
    m = pooled(&truth, &p, NULL);
    assert_near("bias", m.value[VJ_METRIC_BIAS].value, 1, 1e-14);
    assert_near("pairs", m.value[VJ_METRIC_PAIR_ACCURACY].value, 0.5, 1e-14);
    assert_false(m.value[VJ_METRIC_DMS_SSIM].present);
}

/* The number before the first level is no level: where no level satisfies half there is no median.
 */
static void the_median_jnd_needs_whole_curves_that_reach_half(void **state)
{
    (void)state;
    const float psnr_y[] = {20, 30, 35, 41};
    const float low[] = {0.1f, 0.2f, 0.3f}, half[] = {0.5f, 0.75f, 1}, late[] = {0, 0.25f, 0.5f};
    const int32_t qf_pred[] = {1};
    struct vj_truth truth = {.count = 1, .levels = 3, .qf_first = 1, .psnr_y = psnr_y + 1};
    struct vj_prediction p = {.qf_pred = qf_pred};
    for (int i = 0; i < 2; i++) {
        truth.sur = i ? half : low;
        p.sur = i ? low : half;
        struct vj_metrics m = pooled(&truth, &p, NULL);
        assert_near("sur_mae", m.value[VJ_METRIC_SUR_MAE].value, (0.4 + 0.55 + 0.7) / 3, 1e-7);
        assert_false(m.value[VJ_METRIC_ABS_DPSNR_Y_SUR50].present);
    }
    p.sur = late;
    struct vj_metrics m = pooled(&truth, &p, NULL);
    assert_near("medians", m.value[VJ_METRIC_ABS_DPSNR_Y_SUR50].value, 41 - 30, 1e-14);
    const float gap[] = {0.25f, NAN, 1}; /* no curve */
    p.sur = gap;
    m = pooled(&truth, &p, NULL);
    assert_false(m.value[VJ_METRIC_SUR_MAE].present || m.value[VJ_METRIC_BHATTACHARYYA].present ||
                 m.value[VJ_METRIC_ABS_DPSNR_Y_SUR50].present);
    truth.sur = late; /* the other way round: the predicted median is the lowest level */
    p.sur = half;
    m = pooled(&truth, &p, NULL);
    assert_near("medians", m.value[VJ_METRIC_ABS_DPSNR_Y_SUR50].value, 41 - 30, 1e-14);
    truth.psnr_y = NULL;
    m = pooled(&truth, &p, NULL);
    assert_true(m.value[VJ_METRIC_SUR_MAE].present);
    assert_false(m.value[VJ_METRIC_ABS_DPSNR_Y_SUR50].present);
}

static void pairs_come_from_answers_only_when_all_are_there(void **state)
{
    (void)state;
    const int32_t qf_true[] = {2, 1}, qf_pred[] = {2, 1};
    uint8_t lossy[] = {1, 0, 0, 255, 1, 0, 0, 255}; /* the anchor's answer is not needed */
    struct vj_truth truth = {.count = 2, .levels = 4, .qf_first = 1, .qf_true = qf_true};
    struct vj_prediction p = {.qf_pred = qf_pred, .lossy = lossy};
    enum vj_pair_source pairs;
    struct vj_metrics m = pooled(&truth, &p, &pairs);
    assert_int_equal(pairs, VJ_PAIRS_FROM_ANSWERS);
    assert_near("answers", m.value[VJ_METRIC_PAIR_ACCURACY].value, 5.0 / 6, 1e-15);
    lossy[6] = 255; /* one level of one image was not asked */
    m = pooled(&truth, &p, &pairs);
    assert_int_equal(pairs, VJ_PAIRS_FROM_STEP);
    assert_near("step", m.value[VJ_METRIC_PAIR_ACCURACY].value, 1, 1e-15);
    assert_string_equal(vj_pair_source_name(pairs), "step");
    truth.qf_true = (const int32_t[]){2, 0}; /* a label below all levels is one */
    pooled(&truth, &p, &pairs);
    assert_int_equal(pairs, VJ_PAIRS_FROM_STEP);
    truth.qf_true = (const int32_t[]){2, -1};
    pooled(&truth, &p, &pairs);
    assert_int_equal(pairs, VJ_PAIRS_FROM_ANSWERS);
}

/* JND 2: what is not below the image's JND 1 is no pair, whatever the predictor says of it. */
static void pairs_end_at_the_anchor(void **state)
{
    (void)state;
    const int32_t qf_true[] = {2, 2}, qf_pred[] = {2, 3}, anchor[] = {4, 0};
    const uint8_t lossy[] = {1, 1, 0, 1, 1, 1, /* second image */ 1, 1, 1, 0, 0, 0};
    struct vj_truth truth = {
        .count = 2, .levels = 6, .qf_first = 1, .qf_true = qf_true, .anchor = anchor};
    struct vj_prediction p = {.qf_pred = qf_pred, .lossy = lossy};
    struct vj_metrics m = pooled(&truth, &p, NULL);
    assert_near("three right pairs and four of five", m.value[VJ_METRIC_PAIR_ACCURACY].value,
                7.0 / 8, 1e-15);
    struct vj_comparison c;
    const struct vj_prediction step = {.qf_pred = qf_true};
    assert_int_equal(vj_metrics_compare(&c, &truth, &p, &step, NULL, NULL), 0);
    assert_near("one of eight", c.pair_accuracy.value, -1.0 / 8, 1e-15);
    const int32_t lowest[] = {1, 1};
    truth.anchor = lowest; /* nothing lies below */
    m = pooled(&truth, &p, NULL);
    assert_false(m.value[VJ_METRIC_PAIR_ACCURACY].present);
    assert_true(m.value[VJ_METRIC_MAD].present);
    truth.qf_first = 3; /* nor where the anchor itself lies below the run */
    p.lossy = NULL;
    m = pooled(&truth, &p, NULL);
    assert_false(m.value[VJ_METRIC_PAIR_ACCURACY].present);
    assert_true(m.value[VJ_METRIC_MAD].present);
}

static void the_image_at_its_jnd_is_lossy(void **state)
{
    (void)state;
    const int32_t qf_true[] = {40}, at[] = {40}, below[] = {39}, above[] = {41};
    struct vj_truth truth = {.count = 1, .levels = 100, .qf_first = 1, .qf_true = qf_true};
    struct vj_prediction p = {.qf_pred = at};
    struct vj_metrics m = pooled(&truth, &p, NULL);
    assert_near("at", m.value[VJ_METRIC_PAIR_ACCURACY].value, 1, 1e-15);
    p.qf_pred = below;
    m = pooled(&truth, &p, NULL);
    assert_near("recall", m.value[VJ_METRIC_RECALL_LOSSY].value, 39.0 / 40, 1e-15);
    assert_near("past", m.value[VJ_METRIC_PAST_JND_SHARE].value, 1, 1e-15);
    assert_near("dqf", m.value[VJ_METRIC_DQF].value, 1, 1e-15);
    p.qf_pred = above;
    m = pooled(&truth, &p, NULL);
    assert_near("precision", m.value[VJ_METRIC_PRECISION_LOSSY].value, 40.0 / 41, 1e-15);
    assert_near("dqf", m.value[VJ_METRIC_DQF].value, 0, 1e-15);
}

static void the_seed_decides_the_intervals_and_nothing_else_does(void **state)
{
    (void)state;
    struct run r;
    struct vj_metrics_table a, b, c;
    struct vj_bootstrap boot = vj_bootstrap_default(7);
    run_random(&r, 40);
    boot.stream = 99; /* ignored */
    assert_int_equal(vj_metrics_compute(&a, &r.truth, &r.prediction, &boot, NULL), 0);
    boot.stream = 0;
    assert_int_equal(vj_metrics_compute(&b, &r.truth, &r.prediction, &boot, NULL), 0);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        assert_true(a.pooled.value[m].ci_low == b.pooled.value[m].ci_low);
        assert_true(a.pooled.value[m].ci_high == b.pooled.value[m].ci_high);
    }
    boot.seed = 8;
    assert_int_equal(vj_metrics_compute(&c, &r.truth, &r.prediction, &boot, NULL), 0);
    assert_true(a.pooled.value[VJ_METRIC_SAVING_MEAN].value ==
                c.pooled.value[VJ_METRIC_SAVING_MEAN].value);
    assert_true(a.pooled.value[VJ_METRIC_SAVING_MEAN].ci_low !=
                c.pooled.value[VJ_METRIC_SAVING_MEAN].ci_low);
    vj_metrics_free(&a);
    vj_metrics_free(&b);
    vj_metrics_free(&c);
    run_free(&r);
}

static void assert_same_value(const struct vj_metric_value *a, const struct vj_metric_value *b)
{
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->has_interval, b->has_interval);
    assert_int_equal(a->n, b->n);
    assert_true(a->value == b->value && a->ci_low == b->ci_low && a->ci_high == b->ci_high);
}

static void the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    struct run r;
    struct vj_metrics_table table[2];
    struct vj_comparison comparison[2];
    struct vj_bootstrap boot = vj_bootstrap_default(7);
    const int threads = omp_get_max_threads();
    boot.resamples = 10000; /* of 400 images: 4 threads */
    run_random(&r, 400);
    const struct vj_prediction exact = {.qf_pred = r.qf_true};
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i ? 4 : 1);
        assert_int_equal(vj_bootstrap_threads(&boot, 400), i ? 4 : 1);
        assert_int_equal(vj_metrics_compute(&table[i], &r.truth, &r.prediction, &boot, NULL), 0);
        assert_int_equal(
            vj_metrics_compare(&comparison[i], &r.truth, &r.prediction, &exact, &boot, NULL), 0);
    }
    omp_set_num_threads(threads);
    assert_int_equal(table[0].folds, 10);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        assert_same_value(&table[0].pooled.value[m], &table[1].pooled.value[m]);
        for (size_t k = 0; k < table[0].folds; k++)
            assert_same_value(&table[0].fold[k].value[m], &table[1].fold[k].value[m]);
    }
    assert_true(comparison[0].mad.has_interval);
    assert_same_value(&comparison[0].mad, &comparison[1].mad);
    assert_same_value(&comparison[0].pair_accuracy, &comparison[1].pair_accuracy);
    for (int i = 0; i < 2; i++)
        vj_metrics_free(&table[i]);
    run_free(&r);
}

static void the_sweep_trades_saving_against_damage(void **state)
{
    (void)state;
    enum { FIRST = -20, COUNT = 41 };
    struct run r;
    struct vj_sweep_point point[COUNT];
    struct vj_metrics_table t;
    run_random(&r, 30);
    r.qf_pred[3] = -1;
    assert_int_equal(vj_metrics_sweep(point, FIRST, COUNT, &r.truth, &r.prediction, NULL), 0);
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, NULL), 0);
    const struct vj_sweep_point *zero = &point[-FIRST];
    assert_int_equal(zero->offset, 0);
    assert_true(zero->saving_mean.value == t.pooled.value[VJ_METRIC_SAVING_MEAN].value);
    assert_true(zero->saving_of_sums.value == t.pooled.value[VJ_METRIC_SAVING_OF_SUMS].value);
    assert_true(zero->dqf.value == t.pooled.value[VJ_METRIC_DQF].value);
    assert_true(zero->dpsnr_y.value == t.pooled.value[VJ_METRIC_DPSNR_Y].value);
    assert_true(zero->dms_ssim.value == t.pooled.value[VJ_METRIC_DMS_SSIM].value);
    assert_true(zero->sur_at_prediction.value == t.pooled.value[VJ_METRIC_SUR_AT_PREDICTION].value);
    assert_int_equal(zero->dqf.n, 29);
    for (int k = 1; k < COUNT; k++) {
        assert_true(point[k].saving_mean.value < point[k - 1].saving_mean.value);
        assert_true(point[k].dqf.value <= point[k - 1].dqf.value);
        assert_true(point[k].past_jnd_share.value <= point[k - 1].past_jnd_share.value);
    }
    assert_true(point[COUNT - 1].dqf.value == 0);
    /* Far beyond the ends every prediction is the lowest or the highest candidate. */
    assert_int_equal(vj_metrics_sweep(point, 500, 1, &r.truth, &r.prediction, NULL), 0);
    assert_near("top", point[0].saving_mean.value, 0, 1e-15);
    assert_int_equal(vj_metrics_sweep(point, -500, 1, &r.truth, &r.prediction, NULL), 0);
    assert_near("bottom", point[0].past_jnd_share.value, 1, 1e-15);
    vj_metrics_free(&t);
    run_free(&r);
}

/* Above the anchor PSNR against it falls again, which is no damage of a higher quality. */
static void the_sweep_ends_at_the_anchor(void **state)
{
    (void)state;
    const int32_t qf_true[] = {2, 2}, qf_pred[] = {2, 2}, anchor[] = {4, 0};
    const float psnr_y[] = {30, 34, 36, INFINITY, 33, 32, 30, 34, 36, 38, 40, 42};
    const uint32_t bytes[] = {10, 20, 30, 40, 50, 100, 10, 20, 30, 40, 50, 100};
    const struct vj_truth truth = {.count = 2,
                                   .levels = 6,
                                   .qf_first = 1,
                                   .qf_true = qf_true,
                                   .anchor = anchor,
                                   .psnr_y = psnr_y,
                                   .bytes = bytes};
    const struct vj_prediction prediction = {.qf_pred = qf_pred};
    struct vj_sweep_point point[2];
    assert_int_equal(vj_metrics_sweep(point, 3, 2, &truth, &prediction, NULL), 0);
    for (int k = 0; k < 2; k++)
        assert_true(point[k].dpsnr_y.value == 0);
    assert_near("+3", point[0].saving_mean.value, (0.6 + 0.5) / 2, 1e-12);
    assert_near("+4", point[1].saving_mean.value, (0.6 + 0) / 2, 1e-12);
}

static void a_better_predictor_is_told_from_a_worse_one(void **state)
{
    (void)state;
    struct run r;
    struct vj_comparison c, d;
    struct vj_bootstrap boot = vj_bootstrap_default(3);
    run_random(&r, 60);
    int32_t worse[60];
    for (int i = 0; i < 60; i++) {
        int32_t away = r.qf_pred[i] < r.qf_true[i] ? -1 : 1;
        worse[i] = r.qf_pred[i] + away * (i % 5 == 0 ? -2 : 2);
    }
    r.qf_pred[9] = -1; /* not evaluated by one of them: out */
    const struct vj_prediction a = {.qf_pred = r.qf_pred}, b = {.qf_pred = worse};
    assert_int_equal(vj_metrics_compare(&c, &r.truth, &a, &b, &boot, NULL), 0);
    assert_int_equal(vj_metrics_compare(&d, &r.truth, &b, &a, &boot, NULL), 0);
    assert_int_equal(c.images, 59);
    double sum = 0;
    uint64_t only_a = 0, only_b = 0;
    size_t nearer_a = 0, nearer_b = 0;
    for (int i = 0; i < 60; i++) {
        if (i == 9)
            continue;
        int ea = abs(r.qf_pred[i] - r.qf_true[i]), eb = abs(worse[i] - r.qf_true[i]);
        sum += ea - eb;
        nearer_a += ea < eb;
        nearer_b += eb < ea;
        for (int q = 1; q < 100; q++) {
            bool is = q <= r.qf_true[i];
            bool right_a = (q <= r.qf_pred[i]) == is, right_b = (q <= worse[i]) == is;
            only_a += right_a && !right_b;
            only_b += right_b && !right_a;
        }
    }
    assert_near("mad", c.mad.value, sum / 59, 1e-14);
    assert_near("accuracy", c.pair_accuracy.value, ((double)only_a - (double)only_b) / (59 * 99),
                1e-14);
    assert_true(nearer_a > 0 && nearer_b > 0 && nearer_a + nearer_b < 59);
    assert_int_equal(c.nearer_a, nearer_a);
    assert_int_equal(c.nearer_b, nearer_b);
    assert_int_equal(c.tied, 59 - nearer_a - nearer_b);
    assert_int_equal(c.mcnemar.b, only_a);
    assert_int_equal(c.mcnemar.c, only_b);
    assert_true(c.mad.value < 0 && c.mad.ci_high < 0);
    assert_true(c.mad.ci_low < c.mad.value && c.mad.value < c.mad.ci_high);
    assert_true(c.pair_accuracy.ci_low > 0);
    assert_true(c.wilcoxon.p < 0.01);
    assert_int_equal(c.wilcoxon.method, VJ_TEST_NORMAL);
    assert_true(c.mcnemar.p < 1e-6);
    /* The other way round everything changes its sign and nothing else. */
    assert_near("sign", d.mad.value, -c.mad.value, 1e-15);
    assert_near("sign", d.mad.ci_low, -c.mad.ci_high, 1e-12);
    assert_true(d.wilcoxon.p == c.wilcoxon.p);
    assert_true(d.mcnemar.p == c.mcnemar.p);
    run_free(&r);
}

/* Four pictures of five, the last without sizes: differences 0, -1, 6 and 5. */
static void predictions_are_compared_where_nothing_is_labelled(void **state)
{
    (void)state;
    const int32_t mine[] = {3, 2, 8, 5, 7}, theirs[] = {3, 3, 2, -1, 2};
    uint32_t bytes[5 * 8] = {0};
    for (int i = 0; i < 4 * 8; i++)
        bytes[i] = (uint32_t)(10 * (1 + i % 8));
    const struct vj_truth truth = {.count = 5, .levels = 8, .qf_first = 1, .bytes = bytes};
    const struct vj_prediction a = {.qf_pred = mine}, b = {.qf_pred = theirs};
    const struct vj_bootstrap boot = vj_bootstrap_default(3);
    struct vj_agreement g, back;
    assert_int_equal(vj_agreement_compute(&g, &truth, &a, &b, &boot, NULL), 0);
    assert_int_equal(vj_agreement_compute(&back, &truth, &b, &a, NULL, NULL), 0);
    static const double expected[VJ_AGREEMENT_COUNT] = {10.0 / 4,
                                                        12.0 / 4,
                                                        1.0 / 4,
                                                        2.0 / 4,
                                                        3.0 / 4,
                                                        (0 + 1.0 / 8 - 6.0 / 8) / 3,
                                                        (30. + 20 + 80) / (30 + 30 + 20) - 1};
    assert_int_equal(g.images, 4);
    for (int k = 0; k < VJ_AGREEMENT_COUNT; k++) {
        const struct vj_metric_value *v = &g.value[k];
        const char *name = vj_agreement_info((enum vj_agreement_metric)k)->name;
        assert_true(v->present);
        assert_near(name, v->value, expected[k], 1e-14);
        assert_int_equal(v->n, k < VJ_AGREEMENT_SAVING ? 4 : 3);
        assert_int_equal(v->has_interval, v->n == 4);
        assert_true(!v->has_interval || (v->ci_low < v->value && v->value < v->ci_high));
        assert_false(back.value[k].has_interval);
    }
    assert_near("sign", back.value[VJ_AGREEMENT_DIFFERENCE].value, -2.5, 1e-14);
    assert_near("against", back.value[VJ_AGREEMENT_BYTES].value, 80.0 / 130 - 1, 1e-14);
    /* Without sizes, and without pictures. */
    const struct vj_truth bare = {.count = 5, .levels = 8, .qf_first = 1};
    const struct vj_prediction none = {.qf_pred = (const int32_t[]){-1, -1, -1, 4, -1}};
    assert_int_equal(vj_agreement_compute(&g, &bare, &a, &b, &boot, NULL), 0);
    assert_true(g.value[VJ_AGREEMENT_WITHIN_5].present);
    assert_false(g.value[VJ_AGREEMENT_SAVING].present || g.value[VJ_AGREEMENT_BYTES].present);
    assert_int_equal(vj_agreement_compute(&g, &truth, &b, &none, &boot, NULL), 0);
    assert_int_equal(g.images, 0);
    for (int k = 0; k < VJ_AGREEMENT_COUNT; k++)
        assert_false(g.value[k].present);
}

static void a_difference_of_pairs_rests_on_the_images_that_have_some(void **state)
{
    (void)state;
    /* The anchor of the later images is the lowest level: nothing lies below it. */
    const int32_t qf_true[] = {14, 16, 14, 16, 9, 8, 7, 6};
    const int32_t anchor[] = {20, 20, 20, 20, 10, 10, 10, 10};
    const int32_t qf_a[] = {14, 16, 14, 16, 10, 10, 10, 10};
    const int32_t qf_b[] = {12, 14, 12, 14, 10, 10, 10, 10};
    struct vj_truth truth = {
        .count = 8, .levels = 11, .qf_first = 10, .qf_true = qf_true, .anchor = anchor};
    const struct vj_prediction a = {.qf_pred = qf_a}, b = {.qf_pred = qf_b};
    struct vj_bootstrap boot = vj_bootstrap_default(1);
    struct vj_metrics_table t;
    struct vj_comparison c;
    assert_int_equal(vj_metrics_compute(&t, &truth, &a, &boot, NULL), 0);
    assert_int_equal(t.pooled.value[VJ_METRIC_PAIR_ACCURACY].n, 4);
    vj_metrics_free(&t);
    assert_int_equal(vj_metrics_compare(&c, &truth, &a, &b, &boot, NULL), 0);
    assert_int_equal(c.images, 8);
    assert_int_equal(c.mad.n, 8);
    assert_int_equal(c.pair_accuracy.n, 4);
    assert_near("difference", c.pair_accuracy.value, 8.0 / 40, 1e-12);
    /* Every resample with a pair has two of ten pairs apart. Those without are no difference of 0.
     */
    assert_true(c.pair_accuracy.has_interval);
    assert_near("low", c.pair_accuracy.ci_low, 0.2, 1e-12);
    assert_near("high", c.pair_accuracy.ci_high, 0.2, 1e-12);
    for (truth.count = 1; truth.count <= 4; truth.count++) { /* three are too few, four are not */
        assert_int_equal(vj_metrics_compute(&t, &truth, &b, &boot, NULL), 0);
        assert_int_equal(t.pooled.value[VJ_METRIC_MAD].has_interval, truth.count == 4);
        vj_metrics_free(&t);
        assert_int_equal(vj_metrics_compare(&c, &truth, &a, &b, &boot, NULL), 0);
        assert_int_equal(c.pair_accuracy.has_interval, truth.count == 4);
        assert_int_equal(c.mad.has_interval, truth.count == 4);
    }
    /* One image has pairs: no interval of the difference of these, one of that of the errors. */
    truth = (struct vj_truth){
        .count = 5, .levels = 11, .qf_first = 10, .qf_true = qf_true + 3, .anchor = anchor + 3};
    const struct vj_prediction later_a = {.qf_pred = qf_a + 3}, later_b = {.qf_pred = qf_b + 3};
    assert_int_equal(vj_metrics_compare(&c, &truth, &later_a, &later_b, &boot, NULL), 0);
    assert_int_equal(c.pair_accuracy.n, 1);
    assert_true(c.mad.has_interval);
    assert_false(c.pair_accuracy.has_interval);
}

static void a_predictor_does_not_differ_from_itself(void **state)
{
    (void)state;
    struct run r;
    struct vj_comparison c;
    struct vj_bootstrap boot = vj_bootstrap_default(3);
    run_random(&r, 20);
    assert_int_equal(vj_metrics_compare(&c, &r.truth, &r.prediction, &r.prediction, &boot, NULL),
                     0);
    assert_true(c.mad.value == 0 && c.mad.ci_low == 0 && c.mad.ci_high == 0);
    assert_true(c.wilcoxon.p == 1 && c.mcnemar.p == 1);
    assert_int_equal(c.wilcoxon.method, VJ_TEST_NONE);
    r.truth.qf_true = NULL;
    assert_int_equal(vj_metrics_compare(&c, &r.truth, &r.prediction, &r.prediction, &boot, NULL),
                     0);
    assert_int_equal(c.images, 0);
    assert_false(c.mad.present);
    assert_false(c.pair_accuracy.present);
    run_free(&r);
}

static void values_that_cannot_be_are_refused_with_their_image(void **state)
{
    (void)state;
    struct run r;
    struct vj_metrics_table t;
    struct vj_error err = {0};
    run_random(&r, 5);
    r.qf_pred[2] = 1024;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "image 2: qf_pred is 1024");
    r.qf_pred[2] = 30;
    r.qf_true[4] = -2;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "image 4: qf_true is -2");
    r.qf_true[4] = 30;
    r.anchor[1] = 2000;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "image 1: the anchor is 2000");
    r.anchor[1] = 0;
    r.lossy[100 + 7] = 2;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "image 1: the answer at level 7 is 2");
    r.lossy[100 + 7] = 1;
    r.sur_pred[300] = 1.25f;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "image 3: predicted sur");
    r.sur_pred[300] = 0;
    r.sur[207] = -0.5f;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "image 2: sur at level 7 is -0.5");
    r.sur[207] = 0;
    r.qf_true[4] = VJ_EVAL_QF_MAX; /* the highest that can be */
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), 0);
    vj_metrics_free(&t);
    struct vj_bootstrap boot = vj_bootstrap_default(1);
    boot.confidence = 95;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, &boot, &err), -EINVAL);
    vj_assert_contains(err.text, "confidence");
    boot = vj_bootstrap_default(1);
    boot.resamples = (size_t)UINT32_MAX + 1;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, &boot, &err), -EINVAL);
    vj_assert_contains(err.text, "4294967296 bootstrap resamples");
    static const int outside[] = {-1, VJ_EVAL_QF_MAX + 1};
    for (int i = 0; i < 2; i++) {
        r.truth.qf_first = outside[i];
        assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
        vj_assert_contains(err.text, "the first quality factor is ");
    }
    r.truth.qf_first = 1;
    r.truth.levels = 0;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    r.truth.levels = 100;
    r.truth.count = 0;
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, NULL, &err), -EINVAL);
    run_free(&r);
}

static void a_thousand_images_are_resampled_quickly(void **state)
{
    (void)state;
    struct run r;
    struct vj_metrics_table t;
    struct vj_bootstrap boot = vj_bootstrap_default(1);
    struct timespec a, b;
    run_random(&r, 1000);
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(vj_metrics_compute(&t, &r.truth, &r.prediction, &boot, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    print_message("1000 images, 2000 resamples, pooled and 10 folds, all metrics: %.3f s\n",
                  seconds);
    assert_int_equal(count_present(&t.pooled), VJ_METRIC_COUNT);
    for (int m = 0; m < VJ_METRIC_COUNT; m++) {
        const struct vj_metric_value *v = &t.pooled.value[m];
        assert_true(v->has_interval);
        assert_true(v->ci_low <= v->value && v->value <= v->ci_high);
    }
    vj_metrics_free(&t);
    run_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_and_interval_agrees_with_an_independent_program),
        cmocka_unit_test(the_constant_on_mcl_jci_has_its_known_figures),
        cmocka_unit_test(a_metric_that_cannot_be_computed_is_absent),
        cmocka_unit_test(one_image_has_no_interval_and_a_rare_metric_none_either),
        cmocka_unit_test(a_metric_that_most_resamples_lack_has_no_interval),
        cmocka_unit_test(metrics_need_their_own_arrays_alone),
        cmocka_unit_test(the_median_jnd_needs_whole_curves_that_reach_half),
        cmocka_unit_test(pairs_come_from_answers_only_when_all_are_there),
        cmocka_unit_test(pairs_end_at_the_anchor),
        cmocka_unit_test(the_image_at_its_jnd_is_lossy),
        cmocka_unit_test(the_seed_decides_the_intervals_and_nothing_else_does),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(the_sweep_trades_saving_against_damage),
        cmocka_unit_test(the_sweep_ends_at_the_anchor),
        cmocka_unit_test(a_better_predictor_is_told_from_a_worse_one),
        cmocka_unit_test(predictions_are_compared_where_nothing_is_labelled),
        cmocka_unit_test(a_difference_of_pairs_rests_on_the_images_that_have_some),
        cmocka_unit_test(a_predictor_does_not_differ_from_itself),
        cmocka_unit_test(values_that_cannot_be_are_refused_with_their_image),
        cmocka_unit_test(a_thousand_images_are_resampled_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
