/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "eval/rules.h"
#include "host/rng.h"
#include "tests/eval/mcl_jci.h"

enum { IMAGES = 12, LEVELS = 20 };

/* A made-up run: quality that rises with the level, with noise, and a JND where it passes a mark.
 */
struct run {
    float value[IMAGES * LEVELS];
    int32_t qf_true[IMAGES];
    int32_t fold[IMAGES];
    struct vj_rule_table table;
};

static double noise(uint32_t image, uint32_t level)
{
    return vj_random_unit(vj_random4(3, VJ_RNG_TEST, image, level).v[0]) - 0.5;
}

static void make_run(struct run *r, int qf_first, double grid)
{
    for (uint32_t i = 0; i < IMAGES; i++) {
        double offset = 6 * noise(i, 1000);
        r->qf_true[i] = qf_first + 3 + (int32_t)(14 * (noise(i, 1001) + 0.5));
        r->fold[i] = 1 + (int32_t)i % 3;
        for (uint32_t q = 0; q < LEVELS; q++) {
            double v = 30 + offset + (int)q - (r->qf_true[i] - qf_first) + 4 * noise(i, q);
            r->value[i * LEVELS + q] = (float)(grid > 0 ? round(v / grid) * grid : v);
        }
    }
    r->table = (struct vj_rule_table){.count = IMAGES,
                                      .levels = LEVELS,
                                      .qf_first = qf_first,
                                      .value = r->value,
                                      .qf_true = r->qf_true,
                                      .fold = r->fold};
}

/* Costs of one threshold, counted by applying it: sum of |error|, number of wrong pairs. */
static void cost_of(const struct run *r, enum vj_rule rule, double threshold,
                    const struct vj_search_options *search, const uint8_t *use, long *error,
                    long *mistakes)
{
    uint8_t lossy[IMAGES * LEVELS];
    int32_t qf_pred[IMAGES];
    assert_int_equal(vj_threshold_apply(&r->table, rule, threshold, search, lossy, qf_pred, NULL),
                     0);
    *error = *mistakes = 0;
    for (int i = 0; i < IMAGES; i++) {
        if ((use && !use[i]) || qf_pred[i] < 0 || r->qf_true[i] < 0)
            continue;
        *error += labs((long)qf_pred[i] - r->qf_true[i]);
        for (int q = 0; q < LEVELS - 1; q++)
            *mistakes += lossy[i * LEVELS + q] != (r->table.qf_first + q <= r->qf_true[i]);
    }
}

/* No threshold on a fine grid, nor any observed value, is better than the fitted one. */
static void check_fit(const struct run *r, enum vj_rule rule,
                      const struct vj_search_options *search, const uint8_t *use)
{
    struct vj_rule_fit fit;
    struct vj_error err = {0};
    long error, mistakes;
    assert_int_equal(vj_threshold_fit(&fit, &r->table, rule, search, use, &err), 0);
    cost_of(r, rule, fit.parameter, search, use, &error, &mistakes);
    assert_true(fabs(fit.mad * (double)fit.trained_on - (double)error) < 1e-9);
    double pairs = (double)fit.trained_on * (LEVELS - 1);
    assert_true(fabs(fit.pair_error * pairs - (double)mistakes) < 1e-9);
    for (int i = 0; i < IMAGES * LEVELS + 1000; i++) {
        double t = i < IMAGES * LEVELS ? (double)r->value[i] : -60 + 0.12 * (i - IMAGES * LEVELS);
        for (int side = -1; side <= 1 && !isnan(t); side++) {
            long e, m;
            cost_of(r, rule, t + side * 1e-5, search, use, &e, &m);
            assert_true(e > error || (e == error && m >= mistakes));
        }
    }
}

static void a_fitted_threshold_is_the_best_there_is(void **state)
{
    (void)state;
    uint8_t use[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        use[i] = i % 4 != 1;
    for (int kind = 0; kind < VJ_SEARCH_KINDS; kind++) {
        struct vj_search_options search = vj_search_default();
        search.kind = (enum vj_search_kind)kind;
        for (int variant = 0; variant < 4; variant++) {
            struct run r;
            make_run(&r, variant & 1 ? 1 : 10, variant & 1 ? 0.5 : 0);
            if (variant & 2) {
                r.value[5 * LEVELS + 3] = NAN; /* this image has no value */
                r.qf_true[6] = -1;             /* this one no label */
                r.qf_true[8] = r.table.qf_first + LEVELS + 4;
                for (int q = LEVELS - 1; q < IMAGES * LEVELS; q += LEVELS)
                    r.value[q] = INFINITY; /* PSNR of the anchor with itself */
            }
            check_fit(&r, VJ_RULE_BELOW_IS_LOSSY, &search, variant & 1 ? use : NULL);
            for (int i = 0; i < IMAGES * LEVELS; i++)
                r.value[i] = -r.value[i];
            check_fit(&r, VJ_RULE_ABOVE_IS_LOSSY, &search, variant & 1 ? use : NULL);
        }
    }
}

static void a_clean_threshold_is_met_in_the_middle(void **state)
{
    (void)state;
    /* Two images of three levels; every threshold in (20, 30] is right everywhere. */
    const float below[] = {10, 20, 30, 5, 31, 40};
    const int32_t qf_true[] = {2, 1};
    struct vj_rule_table t = {
        .count = 2, .levels = 3, .qf_first = 1, .value = below, .qf_true = qf_true};
    struct vj_search_options search = vj_search_default();
    struct vj_rule_fit fit;
    assert_int_equal(vj_threshold_fit(&fit, &t, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, NULL), 0);
    assert_true(fit.parameter == 25);
    assert_true(fit.mad == 0 && fit.pair_error == 0);
    assert_int_equal(fit.trained_on, 2);

    const float above[] = {0.5f, 0.25f, 0.125f, 0.75f, 0.125f, 0};
    t.value = above; /* lossy above tau in [0.125, 0.25) */
    assert_int_equal(vj_threshold_fit(&fit, &t, VJ_RULE_ABOVE_IS_LOSSY, &search, NULL, NULL), 0);
    assert_true(fit.parameter == 0.1875);
    assert_true(fit.mad == 0);
}

static void open_intervals_end_at_an_observed_value(void **state)
{
    (void)state;
    /* Everything lossy is best: any threshold above the largest value. */
    const float value[] = {10, 20, 30};
    const int32_t high[] = {3};
    struct vj_rule_table t = {
        .count = 1, .levels = 3, .qf_first = 1, .value = value, .qf_true = high};
    struct vj_search_options search = vj_search_default();
    struct vj_rule_fit fit;
    assert_int_equal(vj_threshold_fit(&fit, &t, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, NULL), 0);
    assert_true(fit.parameter > 30 && fit.parameter < 30.0001);
    /* Nothing lossy is best, and an infinite value can never be lossy. */
    const float infinite[] = {INFINITY, INFINITY, INFINITY};
    const int32_t low[] = {0};
    t.value = infinite;
    t.qf_true = low;
    assert_int_equal(vj_threshold_fit(&fit, &t, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, NULL), 0);
    assert_true(isfinite(fit.parameter));
    assert_true(fit.mad == 1); /* "nothing is lossy" is the lowest candidate's QF 1 */
    t.value = value;
    assert_int_equal(vj_threshold_fit(&fit, &t, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, NULL), 0);
    assert_true(fit.parameter == 10);
    assert_true(fit.pair_error == 0);
}

static void equality_with_the_threshold_is_lossless(void **state)
{
    (void)state;
    const float value[] = {1, 2, 3};
    struct vj_rule_table t = {.count = 1, .levels = 3, .qf_first = 1, .value = value};
    struct vj_search_options search = vj_search_default();
    uint8_t lossy[3];
    int32_t qf;
    assert_int_equal(vj_threshold_apply(&t, VJ_RULE_BELOW_IS_LOSSY, 2, &search, lossy, &qf, NULL),
                     0);
    assert_int_equal(lossy[0], 1);
    assert_int_equal(lossy[1], 0);
    assert_int_equal(qf, 1);
    assert_int_equal(vj_threshold_apply(&t, VJ_RULE_ABOVE_IS_LOSSY, 2, &search, lossy, &qf, NULL),
                     0);
    assert_int_equal(lossy[1], 0);
    assert_int_equal(lossy[2], 1);
}

static void each_fold_is_predicted_from_the_others_only(void **state)
{
    (void)state;
    struct run r;
    make_run(&r, 1, 0);
    r.fold[11] = -1;           /* belongs to no fold: trains, is not predicted */
    r.value[4 * LEVELS] = NAN; /* has no value */
    struct vj_search_options search = vj_search_default();
    struct vj_rule_fits fits;
    uint8_t lossy[IMAGES * LEVELS], alone[IMAGES * LEVELS];
    int32_t qf_pred[IMAGES], qf_alone[IMAGES];
    assert_int_equal(vj_threshold_cross_fit(&fits, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, lossy,
                                            qf_pred, NULL),
                     0);
    assert_int_equal(fits.count, 3);
    for (size_t k = 0; k < 3; k++) {
        uint8_t use[IMAGES];
        struct vj_rule_fit fit;
        for (int i = 0; i < IMAGES; i++)
            use[i] = r.fold[i] != fits.fit[k].fold;
        assert_int_equal(fits.fit[k].fold, k + 1);
        assert_int_equal(
            vj_threshold_fit(&fit, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, use, NULL), 0);
        assert_true(fit.parameter == fits.fit[k].parameter);
        assert_true(fit.trained_on == fits.fit[k].trained_on);
        assert_int_equal(vj_threshold_apply(&r.table, VJ_RULE_BELOW_IS_LOSSY, fit.parameter,
                                            &search, alone, qf_alone, NULL),
                         0);
        for (int i = 0; i < IMAGES; i++) {
            if (use[i])
                continue;
            assert_int_equal(qf_pred[i], qf_alone[i]);
            assert_memory_equal(lossy + i * LEVELS, alone + i * LEVELS, LEVELS);
        }
    }
    assert_int_equal(qf_pred[11], -1);
    assert_int_equal(qf_pred[4], -1);
    assert_int_equal(lossy[4 * LEVELS], 255);
    assert_int_equal(lossy[11 * LEVELS + 7], 255);
    /* Labels inside a fold have no say in its prediction. */
    struct vj_rule_fits other;
    int32_t qf_other[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        r.qf_true[i] = r.fold[i] == 2 ? 1 : r.qf_true[i];
    assert_int_equal(vj_threshold_cross_fit(&other, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL,
                                            qf_other, NULL),
                     0);
    assert_true(other.fit[1].parameter == fits.fit[1].parameter);
    assert_true(other.fit[0].parameter != fits.fit[0].parameter);
    vj_rule_fits_free(&fits);
    vj_rule_fits_free(&other);
}

static void fitting_without_folds_or_labels_is_an_error_that_says_so(void **state)
{
    (void)state;
    struct run r;
    struct vj_error err = {0};
    struct vj_rule_fits fits;
    struct vj_rule_fit fit;
    int32_t qf_pred[IMAGES];
    struct vj_search_options search = vj_search_default();
    make_run(&r, 1, 0);
    r.table.fold = NULL;
    assert_int_equal(vj_threshold_cross_fit(&fits, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL,
                                            qf_pred, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "tested on its training images");
    assert_null(fits.fit);
    for (int i = 0; i < IMAGES; i++) {
        r.fold[i] = 1 + i % 2;
        r.qf_true[i] = -1;
    }
    r.table.fold = r.fold;
    assert_int_equal(vj_threshold_cross_fit(&fits, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL,
                                            qf_pred, &err),
                     -ENODATA);
    vj_assert_contains(err.text, "fold 1: ");
    assert_int_equal(vj_constant_predict(&fits, &r.table, qf_pred, &err), -ENODATA);
    vj_assert_contains(err.text, "fold 1");
    assert_null(fits.fit);
    r.table.qf_true = NULL;
    assert_int_equal(vj_threshold_fit(&fit, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, &err),
                     -ENODATA);
    r.table.fold = NULL;
    assert_int_equal(vj_constant_predict(&fits, &r.table, qf_pred, &err), -ENODATA);
    vj_assert_contains(err.text, "there are no labels");
    r.table.levels = 102;
    assert_int_equal(vj_threshold_fit(&fit, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, &err),
                     -EINVAL);
    make_run(&r, 1, 0);
    r.qf_true[2] = 1024;
    assert_int_equal(vj_threshold_fit(&fit, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "image 2 has the label 1024");
    make_run(&r, 1, 0);
    assert_int_equal(
        vj_threshold_apply(&r.table, VJ_RULE_BELOW_IS_LOSSY, NAN, &search, NULL, qf_pred, &err),
        -EINVAL);
    search.threshold = 9;
    assert_int_equal(vj_threshold_fit(&fit, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, NULL, &err),
                     -EINVAL);
}

static void assert_unfitted(const struct vj_rule_fits *fits, int32_t fitted, const char *note)
{
    struct vj_text text = {0};
    vj_rule_fits_note_unfitted(&text, fits);
    assert_string_equal(text.data, note);
    vj_text_free(&text);
    assert_int_equal(fits->count, 1);
    assert_int_equal(fits->fit[0].fold, fitted);
}

/* Labels in one of two folds: only the other one has something to learn from. */
static void a_fold_that_cannot_be_fitted_leaves_the_others_alone(void **state)
{
    (void)state;
    struct vj_search_options search = vj_search_default();
    for (int labelled = 1; labelled <= 2; labelled++) {
        struct run r;
        struct vj_rule_fits fits;
        struct vj_error err = {0};
        uint8_t lossy[IMAGES * LEVELS];
        int32_t threshold[IMAGES], constant[IMAGES];
        const char *note = labelled == 1 ? "; NO ANSWER in fold 1: too few labelled images lie "
                                           "outside to fit anything on"
                                         : "; NO ANSWER in fold 2: too few labelled images lie "
                                           "outside to fit anything on";
        make_run(&r, 1, 0);
        for (int i = 0; i < IMAGES; i++) {
            r.fold[i] = 1 + i % 2;
            r.qf_true[i] = r.fold[i] == labelled ? 10 : -1;
        }
        if (vj_threshold_cross_fit(&fits, &r.table, VJ_RULE_BELOW_IS_LOSSY, &search, lossy,
                                   threshold, &err))
            fail_msg("%s", err.text);
        assert_unfitted(&fits, 3 - labelled, note);
        vj_rule_fits_free(&fits);
        if (vj_constant_predict(&fits, &r.table, constant, &err))
            fail_msg("%s", err.text);
        assert_unfitted(&fits, 3 - labelled, note);
        assert_true(fits.fit[0].parameter == 10);
        vj_rule_fits_free(&fits);
        for (int i = 0; i < IMAGES; i++) {
            const bool fitted = r.fold[i] != labelled;
            assert_int_equal(constant[i], fitted ? 10 : -1);
            assert_int_equal(threshold[i] >= 0, fitted);
            assert_int_equal(lossy[i * LEVELS] == VJ_LOSSY_UNANSWERED, !fitted);
        }
    }
}

/* One case of tests/golden/eval/line.txt. */
static void check_lines(FILE *file, size_t count, int qf_first, int levels)
{
    double *x = calloc(count, sizeof(*x));
    int32_t *number = calloc(4 * count, sizeof(*number));
    assert_true(x && number);
    int32_t *label = number, *fold = label + count, *wanted = fold + count, *got = wanted + count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fscanf(file, "%lf %d %d %d", &x[i], &label[i], &fold[i], &wanted[i]), 4);
    struct vj_rule_table t = {
        .count = count, .levels = levels, .qf_first = qf_first, .qf_true = label, .fold = fold};
    struct vj_rule_fits fits;
    struct vj_error err = {0};
    size_t folds;
    if (vj_line_cross_fit(&fits, &t, x, got, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(got, wanted, count * sizeof(*got));
    assert_int_equal(fscanf(file, " fits %zu", &folds), 1);
    assert_int_equal(fits.count, folds);
    for (size_t k = 0; k < folds; k++) {
        int of_fold;
        size_t trained_on;
        double intercept, slope, mad;
        assert_int_equal(
            fscanf(file, "%d %lf %lf %zu %lf", &of_fold, &intercept, &slope, &trained_on, &mad), 5);
        assert_int_equal(fits.fit[k].fold, of_fold);
        assert_int_equal(fits.fit[k].trained_on, trained_on);
        assert_true(fabs(fits.fit[k].parameter - intercept) <= 1e-9 * fabs(intercept));
        assert_true(fabs(fits.fit[k].slope - slope) <= 1e-9 * fabs(slope));
        assert_true(fabs(fits.fit[k].mad - mad) < 1e-9);
    }
    vj_rule_fits_free(&fits);
    free(x);
    free(number);
}

static void lines_are_those_of_numpy(void **state)
{
    (void)state;
    FILE *file = fopen(VJ_TEST_GOLDEN "/eval/line.txt", "r");
    assert_non_null(file);
    size_t count, cases = 0;
    int qf_first, levels;
    for (; fscanf(file, " case %zu %d %d", &count, &qf_first, &levels) == 3; cases++)
        check_lines(file, count, qf_first, levels);
    fclose(file);
    assert_int_equal(cases, 3);
}

static void a_line_that_cannot_be_fitted_says_why(void **state)
{
    (void)state;
    enum { N = 4 };
    double x[N] = {2, 2, 2, 5};
    int32_t label[N] = {10, 21, 40, 50}, fold[N] = {1, 1, 2, 2}, qf[N];
    struct vj_rule_table t = {
        .count = N, .levels = 100, .qf_first = 1, .qf_true = label, .fold = fold};
    struct vj_rule_fits fits;
    struct vj_error err = {0};
    /* The images outside fold 2 all have x = 2: their mean, 15.5, is rounded up. */
    assert_int_equal(vj_line_cross_fit(&fits, &t, x, qf, NULL), 0);
    assert_int_equal(qf[3], 16);
    assert_true(fits.fit[1].slope == 0 && fits.fit[1].parameter == 15.5);
    assert_int_equal(qf[0], 40); /* on the line through (2, 40) and (5, 50) */
    vj_rule_fits_free(&fits);
    x[3] = NAN; /* one image is left outside fold 1: its images have no answer, those of 2 do */
    assert_int_equal(vj_line_cross_fit(&fits, &t, x, qf, NULL), 0);
    assert_unfitted(&fits, 2,
                    "; NO ANSWER in fold 1: too few labelled images lie outside to fit anything "
                    "on");
    assert_true(qf[0] == -1 && qf[1] == -1 && qf[2] == 16 && qf[3] == -1);
    vj_rule_fits_free(&fits);
    label[0] = -1;
    assert_int_equal(vj_line_cross_fit(&fits, &t, x, qf, &err), -ENODATA);
    vj_assert_contains(err.text,
                       "fold 1: a line is fitted to two labelled images outside the fold");
    vj_assert_contains(err.text, "there is one");
    assert_null(fits.fit);
    for (int i = 0; i < N; i++)
        assert_int_equal(qf[i], -1);
    label[2] = -1;
    assert_int_equal(vj_line_cross_fit(&fits, &t, x, qf, &err), -ENODATA);
    vj_assert_contains(err.text, "there are none");
    t.fold = NULL;
    assert_int_equal(vj_line_cross_fit(&fits, &t, x, qf, &err), -EINVAL);
    vj_assert_contains(err.text, "tested on its training images; set folds");
    label[0] = 5000;
    assert_int_equal(vj_line_cross_fit(&fits, &t, x, qf, &err), -EINVAL);
    vj_assert_contains(err.text, "image 0 has the label 5000");
}

static void tolerances_are_swept_around_the_one_in_force(void **state)
{
    (void)state;
    struct run r;
    make_run(&r, 1, 0);
    struct vj_search_options search = vj_search_default();
    double threshold[IMAGES];
    int32_t swept[IMAGES * VJ_TOLERANCE_STEPS], qf[IMAGES];
    static const double factor[] = {0.25, 0.5, 1, 2, 4}, added[] = {-3, -1.5, 0, 1.5, 3};
    for (int rule = 0; rule < 2; rule++)
        for (int scale = 0; scale < 2; scale++) {
            for (int i = 0; i < IMAGES; i++)
                threshold[i] = i == 4 ? NAN : 28 + i % 3;
            assert_int_equal(vj_threshold_sweep(&r.table, (enum vj_rule)rule,
                                                (enum vj_tolerance_scale)scale, threshold, &search,
                                                swept, NULL),
                             0);
            for (int i = 0; i < IMAGES; i++)
                for (int k = 0; k < VJ_TOLERANCE_STEPS; k++) {
                    double t = scale ? threshold[i] + added[k] : threshold[i] * factor[k];
                    if (i == 4) {
                        assert_int_equal(swept[i * VJ_TOLERANCE_STEPS + k], -1);
                        continue;
                    }
                    assert_int_equal(vj_threshold_apply(&r.table, (enum vj_rule)rule, t, &search,
                                                        NULL, qf, NULL),
                                     0);
                    assert_int_equal(swept[i * VJ_TOLERANCE_STEPS + k], qf[i]);
                }
        }
    for (int k = 0; k < VJ_TOLERANCE_STEPS; k++) {
        assert_true(vj_tolerance_at(VJ_TOLERANCE_FACTOR, 0.3, k) == 0.3 * factor[k]);
        assert_true(vj_tolerance_at(VJ_TOLERANCE_ADDED, 0.3, k) == 0.3 + added[k]);
    }
    r.table.levels = 102;
    assert_int_equal(vj_threshold_sweep(&r.table, VJ_RULE_BELOW_IS_LOSSY, VJ_TOLERANCE_ADDED,
                                        threshold, &search, swept, NULL),
                     -EINVAL);
}

/* Answers of one image to a threshold, one at a time. */
struct answers {
    const float *value;
    double threshold;
    bool above;
    int asked;
};

static int answer(void *user, int first, int count, float *p_lossy, struct vj_error *err)
{
    (void)err;
    struct answers *a = user;
    for (int i = 0; i < count; i++) {
        double v = (double)a->value[first + i];
        p_lossy[i] = a->above ? v > a->threshold : v < a->threshold;
    }
    a->asked += count;
    return 0;
}

static void a_lazy_search_of_a_threshold_says_the_same_and_asks_for_less(void **state)
{
    (void)state;
    enum { MANY = 100 };
    for (int kind = 0; kind < VJ_SEARCH_KINDS; kind++)
        for (int above = 0; above < 2; above++)
            for (int boundary = -1; boundary < MANY; boundary++) {
                float value[MANY];
                int32_t qf;
                struct vj_search_result found;
                struct vj_search_options search = vj_search_default();
                search.kind = (enum vj_search_kind)kind;
                for (int q = 0; q < MANY; q++) /* falls, or rises, through 7 behind the boundary */
                    value[q] = (float)((above ? -1 : 1) * (q - boundary - 0.5) + 7);
                const struct vj_rule_table t = {
                    .count = 1, .levels = MANY, .qf_first = 1, .value = value};
                enum vj_rule rule = above ? VJ_RULE_ABOVE_IS_LOSSY : VJ_RULE_BELOW_IS_LOSSY;
                struct answers a = {.value = value, .threshold = 7, .above = above};
                assert_int_equal(vj_threshold_apply(&t, rule, 7, &search, NULL, &qf, NULL), 0);
                assert_int_equal(vj_search_lazy(&search, MANY, answer, &a, &found, NULL), 0);
                assert_int_equal(vj_search_qf(found.level, 1), qf);
                assert_int_equal(found.level, boundary);
                if (kind == VJ_SEARCH_BINARY_BLOCK)
                    assert_true(a.asked <= 36);
            }
}

static void medians_of_even_counts_round_halves_up(void **state)
{
    (void)state;
    int32_t odd[] = {9, 1, 5}, even[] = {40, 35, 10, 90}, two[] = {7, 3};
    assert_int_equal(vj_median_qf(odd, 3), 5);
    assert_int_equal(vj_median_qf(even, 4), 38);
    assert_int_equal(vj_median_qf(two, 2), 5);
    assert_int_equal(vj_median_qf(odd, 1), 1);
}

static void without_folds_the_constant_leaves_each_image_out(void **state)
{
    (void)state;
    enum { N = 41 };
    int32_t qf_true[N], qf_pred[N], rest[N];
    for (uint32_t i = 0; i < N; i++)
        qf_true[i] = i % 7 == 3 ? -1 : 20 + (int32_t)(40 * (noise(i, 5) + 0.5)) / 3 * 3;
    struct vj_rule_table t = {.count = N, .levels = 100, .qf_first = 1, .qf_true = qf_true};
    struct vj_rule_fits fits;
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    double sum = 0;
    size_t labelled = 0;
    for (int i = 0; i < N; i++) {
        size_t n = 0;
        for (int j = 0; j < N; j++) {
            if (j != i && qf_true[j] >= 0)
                rest[n++] = qf_true[j];
        }
        assert_int_equal(qf_pred[i], vj_median_qf(rest, n));
        sum += qf_true[i] >= 0 ? abs(qf_pred[i] - qf_true[i]) : 0;
        labelled += qf_true[i] >= 0;
    }
    assert_int_equal(fits.count, 1);
    assert_int_equal(fits.fit[0].fold, -1);
    assert_int_equal(fits.fit[0].trained_on, labelled);
    assert_true(fabs(fits.fit[0].mad - sum / (double)labelled) < 1e-12);
    vj_rule_fits_free(&fits);
    /* Of two each gets the other's label. */
    t.count = 2;
    t.qf_true = (const int32_t[]){20, 40};
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    assert_int_equal(qf_pred[0], 40);
    assert_int_equal(qf_pred[1], 20);
    vj_rule_fits_free(&fits);
    /* 0 is a label: 15 10 5. */
    t.count = 3;
    t.qf_true = (const int32_t[]){0, 10, 20};
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(qf_pred[i], 15 - 5 * i);
    assert_int_equal(fits.fit[0].trained_on, 3);
    vj_rule_fits_free(&fits);
    t.fold = (const int32_t[]){1, 2, 2};
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    assert_true(qf_pred[0] == 15 && qf_pred[1] == 0 && qf_pred[2] == 0);
    vj_rule_fits_free(&fits);
    t.fold = (const int32_t[]){1, 2, 3}; /* a line through (1, 0) and (2, 10) */
    assert_int_equal(vj_line_cross_fit(&fits, &t, (const double[]){1, 2, 3}, qf_pred, NULL), 0);
    assert_int_equal(qf_pred[2], 20);
    vj_rule_fits_free(&fits);
    t.fold = NULL;
    t.levels = VJ_SEARCH_LEVELS_MAX;
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    vj_rule_fits_free(&fits);
}

static void the_constant_on_mcl_jci_is_36_and_39(void **state)
{
    (void)state;
    int32_t qf_true[MCL_JCI_IMAGES], fold[MCL_JCI_IMAGES], qf_pred[MCL_JCI_IMAGES];
    mcl_jci_read(qf_true, fold);
    struct vj_rule_table t = {
        .count = MCL_JCI_IMAGES, .levels = 100, .qf_first = 1, .qf_true = qf_true, .fold = fold};
    struct vj_rule_fits fits;
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    assert_int_equal(fits.count, 10);
    double sum = 0;
    for (int i = 0; i < MCL_JCI_IMAGES; i++)
        sum += abs(qf_pred[i] - qf_true[i]);
    assert_true(fabs(sum / MCL_JCI_IMAGES - 7.82) < 1e-12);
    for (size_t k = 0; k < fits.count; k++) {
        assert_int_equal(fits.fit[k].trained_on, 45);
        assert_true(fits.fit[k].parameter == (k == 2 || k == 5 ? 39 : 36));
    }
    vj_rule_fits_free(&fits);
    t.fold = NULL;
    assert_int_equal(vj_constant_predict(&fits, &t, qf_pred, NULL), 0);
    assert_true(fabs(fits.fit[0].mad - 7.46) < 1e-12); /* leave one out: 49 others, not 45 */
    vj_rule_fits_free(&fits);
}

static void a_thousand_images_in_ten_folds_are_fitted_quickly(void **state)
{
    (void)state;
    enum { N = 1000, Q = 100 };
    float *value = malloc(sizeof(float) * N * Q);
    int32_t *numbers = malloc(sizeof(int32_t) * 3 * N);
    assert_non_null(value);
    assert_non_null(numbers);
    struct vj_rule_table t = {.count = N,
                              .levels = Q,
                              .qf_first = 1,
                              .value = value,
                              .qf_true = numbers,
                              .fold = numbers + N};
    for (uint32_t i = 0; i < N; i++) {
        numbers[i] = 20 + (int32_t)(40 * (noise(i, 900) + 0.5));
        numbers[N + i] = 1 + (int32_t)i % 10;
        for (uint32_t q = 0; q < Q; q++)
            value[i * Q + q] = (float)(36 + 0.2 * ((int)q - numbers[i]) + noise(i, q));
    }
    struct vj_search_options search = vj_search_default();
    struct vj_rule_fits fits;
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(vj_threshold_cross_fit(&fits, &t, VJ_RULE_BELOW_IS_LOSSY, &search, NULL,
                                            numbers + 2 * N, NULL),
                     0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    print_message("fitting a threshold on 1000 images x 100 levels in 10 folds: %.3f s, threshold "
                  "%.3f, training MAD %.3f\n",
                  seconds, fits.fit[0].parameter, fits.fit[0].mad);
    assert_true(fits.fit[0].parameter > 35 && fits.fit[0].parameter < 37);
    vj_rule_fits_free(&fits);
    free(value);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fitted_threshold_is_the_best_there_is),
        cmocka_unit_test(a_clean_threshold_is_met_in_the_middle),
        cmocka_unit_test(open_intervals_end_at_an_observed_value),
        cmocka_unit_test(equality_with_the_threshold_is_lossless),
        cmocka_unit_test(each_fold_is_predicted_from_the_others_only),
        cmocka_unit_test(fitting_without_folds_or_labels_is_an_error_that_says_so),
        cmocka_unit_test(a_fold_that_cannot_be_fitted_leaves_the_others_alone),
        cmocka_unit_test(lines_are_those_of_numpy),
        cmocka_unit_test(a_line_that_cannot_be_fitted_says_why),
        cmocka_unit_test(tolerances_are_swept_around_the_one_in_force),
        cmocka_unit_test(a_lazy_search_of_a_threshold_says_the_same_and_asks_for_less),
        cmocka_unit_test(medians_of_even_counts_round_halves_up),
        cmocka_unit_test(without_folds_the_constant_leaves_each_image_out),
        cmocka_unit_test(the_constant_on_mcl_jci_is_36_and_39),
        cmocka_unit_test(a_thousand_images_in_ten_folds_are_fitted_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
