/* SPDX-License-Identifier: MIT */
/* Rules on pixel-JND maps, their tolerances and the compression ratio, in whole runs. */
#include "tests/host/run_rig.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "eval/rules.h"
#include "host/compare_file.h"
#include "host/jnd_rules.h"
#include "host/jpeg_plan.h"
#include "tests/host/jnd_run.h"

enum { PICTURES = 6, STEPS = VJ_TOLERANCE_STEPS };

#define CHOU  "pixel-chou95:0.05,pixel-chou95@excess:2,pixel-chou95@noise:0.5"
#define RULES CHOU ",pixel-yang05-paper@noise:1"

static const char *const names[] = {"pixel-chou95", "pixel-chou95@excess", "pixel-chou95@noise",
                                    "pixel-yang05-paper@noise"};
static const double tolerances[] = {0.05, 2, 0.5, 1};
enum { NAMES = 4 };

static const int32_t labels[PICTURES] = {20, 30, 40, 50, 60, 70};

static int set_up(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    write_labelled_pictures(PICTURES, labels);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static const char *column(const char *predictor, const char *what)
{
    static char path[4][200];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[next]), "/predictors/%s/%s", predictor, what);
    return path[next];
}

static double attribute(struct vj_results *r, const char *object, const char *name)
{
    double value;
    struct vj_error err = {0};
    if (vj_results_get_double(r, object, name, &value, &err))
        fail_msg("%s", err.text);
    return value;
}

static void expect_text(struct vj_results *r, const char *object, const char *name,
                        const char *wanted)
{
    char *text;
    struct vj_error err = {0};
    if (vj_results_get_text(r, object, name, &text, &err))
        fail_msg("%s", err.text);
    vj_assert_contains(text, wanted);
    free(text);
}

/* What chou95's map says of a picture's JPEG at one quality factor. */
static struct vj_jnd_statistics by_hand(const char *name, int qf)
{
    enum { N = WIDTH * HEIGHT };
    static uint8_t picture[N * 3], luma[N], candidate[N];
    static float map[N];
    char path[4096];
    struct vj_image img;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *jpeg;
    struct vj_jnd_statistics s;
    assert_int_equal(vj_image_read(&img, in_folder(path, name), NULL, NULL), 0);
    assert_int_equal(vj_jpeg_plan_create(&plan, &img, VJ_SUBSAMPLING_420, NULL), 0);
    assert_int_equal(vj_jpeg_scratch_create(&jpeg, WIDTH, HEIGHT, 3, VJ_SUBSAMPLING_420, NULL), 0);
    assert_int_equal(vj_jpeg_plan_decode(plan, qf, picture, jpeg, NULL), 0);
    const struct vj_image decoded = {WIDTH, HEIGHT, img.channels, picture};
    vj_jnd_luma(&img, luma);
    vj_jnd_luma(&decoded, candidate);
    run(vj_jnd_find("chou95", NULL), 0, luma, WIDTH, HEIGHT, 1, map, NULL);
    vj_jnd_measure(candidate, luma, map, N, vj_jnd_noise_energy(map, N), &s);
    vj_jpeg_scratch_free(jpeg);
    vj_jpeg_plan_free(plan);
    vj_image_free(&img);
    return s;
}

static void read_scores(struct vj_results *r, float score[NAMES][PICTURES * LEVELS])
{
    for (int i = 0; i < NAMES; i++)
        read_rows(r, column(names[i], "score"), VJ_COLUMN_F32, 0, PICTURES, score[i]);
}

static void scores_are_those_made_by_hand_on_any_number_of_threads(void **state)
{
    (void)state;
    static float score[3][NAMES][PICTURES * LEVELS];
    static const char *const pairs[][3] = {
        {"threads=1", NULL}, {"threads=3", NULL}, {"lazy=true", NULL}};
    static uint8_t lossy[PICTURES * LEVELS];
    for (int k = 0; k < 3; k++) {
        struct vj_results *r = open_run("rules.h5", RULES, pairs[k]);
        read_scores(r, score[k]);
        for (int i = 0; i < NAMES; i++) {
            static const char *const rule[] = {"share", "excess", "noise", "noise"};
            char group[128];
            snprintf(group, sizeof(group), "/predictors/%s", names[i]);
            expect_text(r, group, "rule", rule[i]);
            expect_text(r, group, "kind", names[i]);
            expect_text(r, group, "variant", i == 3 ? "paper" : "authors");
            assert_true(attribute(r, group, "tolerance") == tolerances[i]);
            read_rows(r, column(names[i], "lossy"), VJ_COLUMN_U8, 0, PICTURES, lossy);
            for (int j = 0; j < PICTURES * LEVELS; j++) {
                double v = (double)score[k][i][j];
                assert_int_equal(lossy[j], i < 2 ? v > tolerances[i] : v < tolerances[i]);
            }
        }
        expect_text(r, "/predictors/pixel-chou95@noise/score", "units", "dB");
        expect_text(r, "/predictors/pixel-chou95@excess/score", "units", "grey level squared");
        vj_results_close(r);
    }
    assert_memory_equal(score[0], score[1], sizeof(score[0]));
    assert_memory_equal(score[0], score[2], sizeof(score[0]));
    static const int rows[] = {2, 4}, qf[] = {5, 30, 100}; /* grey, colour */
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) {
            char name[32];
            size_t at = (size_t)rows[i] * LEVELS + (size_t)qf[k] - 1;
            snprintf(name, sizeof(name), "p%d.png", rows[i]);
            struct vj_jnd_statistics s = by_hand(name, qf[k]);
            assert_true(score[0][0][at] == (float)s.share);
            assert_true(score[0][1][at] == (float)s.excess);
            assert_true(score[0][2][at] == (float)s.noise_gain);
        }
}

/* A map that only one rule is wanted of measures no other, and is the same map. */
static void one_rule_alone_gives_the_same_as_beside_the_others(void **state)
{
    (void)state;
    static float all[NAMES][PICTURES * LEVELS], alone[PICTURES * LEVELS];
    static const char *const none[] = {NULL};
    static const char *const list[] = {"pixel-chou95@share:0.05", "pixel-chou95@excess:2",
                                       "pixel-chou95@noise:0.5"};
    struct vj_results *r = open_run("all.h5", RULES, none);
    read_scores(r, all);
    vj_results_close(r);
    for (int i = 0; i < 3; i++) {
        r = open_run("alone.h5", list[i], none);
        read_rows(r, column(names[i], "score"), VJ_COLUMN_F32, 0, PICTURES, alone);
        vj_results_close(r);
        assert_memory_equal(all[i], alone, sizeof(alone));
    }
}

static void lazy_and_full_runs_predict_the_same_by_every_search(void **state)
{
    (void)state;
    static const char *const search[] = {"search=binary-block", "search=sliding-window",
                                         "search=first-crossing", "search=max-likelihood"};
    for (int s = 0; s < 4; s++) {
        int32_t full[NAMES][PICTURES], lazy[NAMES][PICTURES];
        const char *a[] = {search[s], NULL}, *b[] = {search[s], "lazy=true", NULL};
        struct vj_results *r = open_run("full.h5", RULES, a);
        for (int i = 0; i < NAMES; i++)
            read_rows(r, column(names[i], "qf_pred"), VJ_COLUMN_I32, 0, PICTURES, full[i]);
        vj_results_close(r);
        r = open_run("lazy.h5", RULES, b);
        for (int i = 0; i < NAMES; i++)
            read_rows(r, column(names[i], "qf_pred"), VJ_COLUMN_I32, 0, PICTURES, lazy[i]);
        vj_results_close(r);
        assert_memory_equal(full, lazy, sizeof(full));
        for (int i = 0; i < NAMES; i++)
            vj_assert_in_range(full[i][0], 1, 100);
    }
}

/* The curve in /metrics, from the predictions and sizes in the columns. */
static void check_curve(struct vj_results *r, const char *name, const int32_t *swept)
{
    static int64_t bytes[PICTURES * LEVELS];
    double saving[STEPS], past[STEPS], dqf[STEPS], dpsnr[STEPS];
    char path[256];
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, PICTURES, bytes);
    snprintf(path, sizeof(path), "/metrics/%s/tolerance_sweep/saving_mean", name);
    read_rows(r, path, VJ_COLUMN_F64, 0, STEPS, saving);
    snprintf(path, sizeof(path), "/metrics/%s/tolerance_sweep/past_jnd_share", name);
    read_rows(r, path, VJ_COLUMN_F64, 0, STEPS, past);
    snprintf(path, sizeof(path), "/metrics/%s/tolerance_sweep/dqf", name);
    read_rows(r, path, VJ_COLUMN_F64, 0, STEPS, dqf);
    snprintf(path, sizeof(path), "/metrics/%s/tolerance_sweep/dpsnr_y", name);
    read_rows(r, path, VJ_COLUMN_F64, 0, STEPS, dpsnr);
    for (int k = 0; k < STEPS; k++) {
        double s = 0, p = 0, d = 0;
        for (int i = 0; i < PICTURES; i++) {
            int32_t qf = swept[i * STEPS + k];
            const int64_t *b = bytes + i * LEVELS;
            s += 1 - (double)b[qf - 1] / (double)b[LEVELS - 1];
            p += qf < labels[i];
            d += qf < labels[i] ? labels[i] - qf : 0;
        }
        assert_true(fabs(saving[k] - s / PICTURES) < 1e-12);
        assert_true(fabs(past[k] - p / PICTURES) < 1e-12);
        assert_true(fabs(dqf[k] - d / PICTURES) < 1e-12);
        assert_true(dpsnr[k] >= 0 && (dpsnr[k] > 0) == (p > 0));
    }
}

static void read_sweep(struct vj_results *r, const char *name, int32_t swept[PICTURES * STEPS],
                       double tolerance[STEPS])
{
    read_rows(r, column(name, "qf_pred_tolerance"), VJ_COLUMN_I32, 0, PICTURES, swept);
    read_rows(r, column(name, "tolerance_sweep"), VJ_COLUMN_F64, 0, STEPS, tolerance);
}

static void five_tolerances_around_a_given_one_make_a_curve(void **state)
{
    (void)state;
    static float score[NAMES][PICTURES * LEVELS];
    static const char *const none[] = {NULL};
    struct vj_results *r = open_run("sweep.h5", RULES, none);
    struct vj_search_options search = vj_search_default();
    read_scores(r, score);
    for (int i = 0; i < NAMES; i++) {
        int32_t swept[PICTURES * STEPS], qf[PICTURES];
        double tolerance[STEPS];
        struct vj_rule_table t = {
            .count = PICTURES, .levels = LEVELS, .qf_first = 1, .value = score[i]};
        read_sweep(r, names[i], swept, tolerance);
        for (int k = 0; k < STEPS; k++) {
            double wanted = i < 2 ? tolerances[i] * pow(2, k - 2) : tolerances[i] + 1.5 * (k - 2);
            assert_true(tolerance[k] == wanted);
            assert_int_equal(
                vj_threshold_apply(&t, i < 2 ? VJ_RULE_ABOVE_IS_LOSSY : VJ_RULE_BELOW_IS_LOSSY,
                                   wanted, &search, NULL, qf, NULL),
                0);
            for (int p = 0; p < PICTURES; p++)
                assert_int_equal(swept[p * STEPS + k], qf[p]);
        }
        read_rows(r, column(names[i], "qf_pred"), VJ_COLUMN_I32, 0, PICTURES, qf);
        for (int p = 0; p < PICTURES; p++)
            assert_int_equal(swept[p * STEPS + 2], qf[p]);
        check_curve(r, names[i], swept);
    }
    assert_false(vj_results_has(r, "/metrics/constant/tolerance_sweep"));
    vj_results_close(r);
}

static void tolerances_around_a_fitted_one_are_those_of_each_fold(void **state)
{
    (void)state;
    static float score[PICTURES * LEVELS];
    static const char *const pairs[] = {"folds=manifest", NULL};
    struct vj_results *r =
        open_run("fitted.h5", "pixel-chou95@noise,pixel-chou95@excess:fit", pairs);
    struct vj_search_options search = vj_search_default();
    for (int i = 1; i <= 2; i++) {
        int32_t swept[PICTURES * STEPS], qf[PICTURES], fold[2];
        double tolerance[STEPS], fitted[2];
        struct vj_rule_table t = {
            .count = PICTURES, .levels = LEVELS, .qf_first = 1, .value = score};
        read_rows(r, column(names[i], "score"), VJ_COLUMN_F32, 0, PICTURES, score);
        read_rows(r, column(names[i], "fit_parameter"), VJ_COLUMN_F64, 0, 2, fitted);
        read_rows(r, column(names[i], "fit_fold"), VJ_COLUMN_I32, 0, 2, fold);
        read_sweep(r, names[i], swept, tolerance);
        assert_true(fabs(tolerance[2] - (fitted[0] + fitted[1]) / 2) < 1e-12);
        for (int k = 0; k < STEPS; k++)
            for (int p = 0; p < PICTURES; p++) {
                double mine = fitted[p % 2 + 1 == fold[0] ? 0 : 1];
                double moved = i == 2 ? mine + 1.5 * (k - 2) : mine * pow(2, k - 2);
                assert_int_equal(
                    vj_threshold_apply(&t, i == 1 ? VJ_RULE_ABOVE_IS_LOSSY : VJ_RULE_BELOW_IS_LOSSY,
                                       moved, &search, NULL, qf, NULL),
                    0);
                assert_int_equal(swept[p * STEPS + k], qf[p]);
            }
        check_curve(r, names[i], swept);
        char group[128];
        snprintf(group, sizeof(group), "/predictors/%s", names[i]);
        assert_false(vj_results_has_attribute(r, group, "tolerance"));
    }
    vj_results_close(r);
}

static void what_could_not_be_fitted_has_no_curve(void **state)
{
    (void)state;
    char path[4096], pair[4200];
    int32_t swept[2 * STEPS];
    write_text(in_folder(path, "one-fold.csv"),
               "image,candidates,qf_true,fold\np0.png,,30,1\np1.png,,30,1\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "folds=manifest", NULL};
    struct vj_results *r = open_run("unfitted.h5", "pixel-chou95@excess", pairs);
    assert_false(vj_results_has(r, "/predictors/pixel-chou95@excess/tolerance_sweep"));
    assert_false(vj_results_has(r, "/metrics/pixel-chou95@excess/tolerance_sweep"));
    read_rows(r, "/predictors/pixel-chou95@excess/qf_pred_tolerance", VJ_COLUMN_I32, 0, 2, swept);
    for (int i = 0; i < 2 * STEPS; i++)
        assert_int_equal(swept[i], -1);
    expect_text(r, "/predictors/pixel-chou95@excess", "note", "not evaluated: fold 1");
    vj_results_close(r);
}

static void failed_images_have_no_place_in_the_curve(void **state)
{
    (void)state;
    char path[4096], pair[4200], out[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    int32_t swept[2 * STEPS];
    write_text(in_folder(path, "broken.png"), "not a picture");
    write_text(in_folder(path, "broken.csv"),
               "image,candidates,qf_true,fold\nbroken.png,,30,1\np1.png,,30,2\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, NULL};
    assert_int_equal(run_as("broken.h5", out, CHOU, pairs, false, &summary, &err), 0);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/predictors/pixel-chou95@noise/qf_pred_tolerance", VJ_COLUMN_I32, 0, 2, swept);
    for (int k = 0; k < STEPS; k++) {
        assert_int_equal(swept[k], -1);
        vj_assert_in_range(swept[STEPS + k], 1, 100);
    }
    vj_results_close(r);
}

static void reports_and_comparisons_show_the_curve(void **state)
{
    (void)state;
    char a[4096], b[4096];
    static const char *const none[] = {NULL};
    struct vj_text text = {0};
    struct vj_error err = {0};
    vj_results_close(open_run("a.h5", CHOU, none));
    vj_results_close(open_run("b.h5", "constant,pixel-chou95@excess:4", none));
    in_folder(a, "a.h5");
    in_folder(b, "b.h5");
    struct vj_report_options options = {.sections = VJ_REPORT_SWEEP};
    if (vj_report_file(&text, a, &options, &err))
        fail_msg("%s", err.text);
    vj_assert_contains(text.data, "Rate and damage with other tolerances of pixel-chou95@excess");
    vj_assert_contains(text.data, "Rate and damage with other tolerances of pixel-chou95@noise");
    vj_text_free(&text);
    const char *const files[] = {a, b};
    const struct vj_compare_options compare = {.path = files, .count = 2, .report = options};
    if (vj_compare_files(&text, &compare, &err))
        fail_msg("%s", err.text);
    vj_assert_contains(text.data, "other tolerances of a/pixel-chou95@excess");
    const char *other = strstr(text.data, "other tolerances of b/pixel-chou95@excess");
    assert_non_null(other);
    vj_assert_contains(other, "\n       16 "); /* four times the 4 given */
    vj_text_free(&text);
    options = (struct vj_report_options){.form = VJ_REPORT_FORM_SWEEP_CSV};
    assert_int_equal(vj_report_file(&text, b, &options, &err), 0);
    vj_assert_contains(text.data, "\r\npixel-chou95@excess,tolerance,16,saving_mean,0.");
    vj_assert_contains(text.data, "\r\nconstant,offset,-");
    assert_null(strstr(text.data, "constant,tolerance"));
    vj_text_free(&text);
}

static void the_compression_ratio_is_that_of_the_files_and_its_line_that_of_the_folds(void **state)
{
    (void)state;
    static float score[PICTURES * LEVELS];
    static int64_t bytes[PICTURES * LEVELS];
    static const char *const pairs[] = {"folds=manifest", NULL};
    static const struct {
        const char *name;
        int qf;
    } cases[] = {{"compression-ratio", 50}, {"compression-ratio:7", 7}};
    struct vj_results *r = open_run("ratio.h5", "compression-ratio,compression-ratio:7", pairs);
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, PICTURES, bytes);
    for (int c = 0; c < 2; c++) {
        double x[PICTURES], intercept[2], slope[2];
        int32_t fold[2], qf[PICTURES], wanted[PICTURES], of[PICTURES];
        int64_t at;
        char group[128];
        struct vj_rule_fits fits;
        snprintf(group, sizeof(group), "/predictors/%s", cases[c].name);
        assert_int_equal(vj_results_get_int(r, group, "ratio_qf", &at, NULL), 0);
        assert_int_equal(at, cases[c].qf);
        expect_text(r, group, "note", "ln(compression ratio at QF ");
        assert_false(vj_results_has_attribute(r, group, "search"));
        read_rows(r, column(cases[c].name, "score"), VJ_COLUMN_F32, 0, PICTURES, score);
        for (int i = 0; i < PICTURES; i++) {
            for (int k = 0; k < LEVELS; k++) {
                double raw = WIDTH * HEIGHT * (i == 2 ? 1 : 3);
                assert_true(score[i * LEVELS + k] == (float)(raw / (double)bytes[i * LEVELS + k]));
            }
            x[i] = log((double)score[i * LEVELS + cases[c].qf - 1]);
            of[i] = i % 2 + 1;
        }
        const struct vj_rule_table t = {
            .count = PICTURES, .levels = LEVELS, .qf_first = 1, .qf_true = labels, .fold = of};
        assert_int_equal(vj_line_cross_fit(&fits, &t, x, wanted, NULL), 0);
        read_rows(r, column(cases[c].name, "qf_pred"), VJ_COLUMN_I32, 0, PICTURES, qf);
        assert_memory_equal(qf, wanted, sizeof(qf));
        read_rows(r, column(cases[c].name, "fit_fold"), VJ_COLUMN_I32, 0, 2, fold);
        read_rows(r, column(cases[c].name, "fit_parameter"), VJ_COLUMN_F64, 0, 2, intercept);
        read_rows(r, column(cases[c].name, "fit_slope"), VJ_COLUMN_F64, 0, 2, slope);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(fold[k], fits.fit[k].fold);
            assert_true(intercept[k] == fits.fit[k].parameter && slope[k] == fits.fit[k].slope);
        }
        vj_rule_fits_free(&fits);
    }
    assert_false(vj_results_has(r, "/predictors/constant/fit_slope"));
    vj_results_close(r);
}

static void a_compression_ratio_without_folds_or_candidate_is_refused_before_the_run(void **state)
{
    (void)state;
    static const struct {
        const char *predictors, *pairs[3], *text;
    } cases[] = {
        {"compression-ratio",
         {NULL},
         "predictor compression-ratio is fitted on the images outside"},
        {"compression-ratio:9",
         {"folds=manifest", "qf_first=10", NULL},
         "predictor compression-ratio takes the ratio at quality factor 9, outside the run's "
         "qf_first 10 to qf_last 100; name another one as in compression-ratio:QF"},
        {"compression-ratio", {"folds=manifest", "qf_last=40", NULL}, "quality factor 50, outside"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[4096];
        struct vj_run_summary summary;
        struct vj_error err = {0};
        assert_int_equal(
            run_as("none.h5", out, cases[i].predictors, cases[i].pairs, false, &summary, &err),
            -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
        assert_int_equal(access(out, F_OK), -1);
    }
    char path[4096], pair[4200], out[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    write_text(in_folder(path, "foldless.csv"),
               "image,candidates,qf_true,fold\np0.png,,30,\np1.png,,30,\np2.png,,30,1\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "folds=manifest", "ids=1-2", NULL};
    assert_int_equal(run_as("none.h5", out, "compression-ratio", pairs, false, &summary, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "no image has a test fold; set option folds");
}

static void a_line_that_lacks_training_images_is_not_evaluated_and_says_so(void **state)
{
    (void)state;
    char path[4096], pair[4200];
    int32_t qf[3];
    write_text(in_folder(path, "few.csv"),
               "image,candidates,qf_true,fold\np0.png,,30,1\np1.png,,30,2\np3.png,,,2\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "folds=manifest", NULL};
    struct vj_results *r = open_run("few.h5", "compression-ratio", pairs);
    expect_text(r, "/predictors/compression-ratio", "note", "not evaluated: fold 1: a line is");
    read_rows(r, "/predictors/compression-ratio/qf_pred", VJ_COLUMN_I32, 0, 3, qf);
    for (int i = 0; i < 3; i++)
        assert_int_equal(qf[i], -1);
    vj_results_close(r);
}

/* Only fold 1 is labelled: its pictures have no answer, those of fold 2 learn from it. */
static void a_fold_without_training_images_costs_the_others_nothing(void **state)
{
    (void)state;
    static const char *const fitted[] = {"constant", "pixel-chou95@excess", "compression-ratio"};
    char path[4096], pair[4200], column[128];
    int32_t qf[4], swept[4 * STEPS];
    write_text(in_folder(path, "half.csv"),
               "image,candidates,qf_true,fold\np0.png,,30,1\np1.png,,40,1\n"
               "p2.png,,,2\np3.png,,,2\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "folds=manifest", NULL};
    struct vj_results *r =
        open_run("half.h5", "constant,pixel-chou95@excess:fit,compression-ratio", pairs);
    for (size_t p = 0; p < 3; p++) {
        snprintf(column, sizeof(column), "/predictors/%s/qf_pred", fitted[p]);
        read_rows(r, column, VJ_COLUMN_I32, 0, 4, qf);
        assert_true(qf[0] == -1 && qf[1] == -1 && qf[2] >= 1 && qf[3] >= 1);
        snprintf(column, sizeof(column), "/predictors/%s", fitted[p]);
        expect_text(r, column, "note", "(fold 2)");
        expect_text(r, column, "note", "; NO ANSWER in fold 1: too few labelled images lie");
    }
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, 4, qf);
    assert_true(qf[2] == 35 && qf[3] == 35);
    read_rows(r, "/predictors/pixel-chou95@excess/qf_pred_tolerance", VJ_COLUMN_I32, 0, 4, swept);
    for (int i = 0; i < 4 * STEPS; i++)
        assert_int_equal(swept[i] >= 0, i >= 2 * STEPS);
    vj_results_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_made_by_hand_on_any_number_of_threads),
        cmocka_unit_test(one_rule_alone_gives_the_same_as_beside_the_others),
        cmocka_unit_test(lazy_and_full_runs_predict_the_same_by_every_search),
        cmocka_unit_test(five_tolerances_around_a_given_one_make_a_curve),
        cmocka_unit_test(tolerances_around_a_fitted_one_are_those_of_each_fold),
        cmocka_unit_test(what_could_not_be_fitted_has_no_curve),
        cmocka_unit_test(failed_images_have_no_place_in_the_curve),
        cmocka_unit_test(reports_and_comparisons_show_the_curve),
        cmocka_unit_test(the_compression_ratio_is_that_of_the_files_and_its_line_that_of_the_folds),
        cmocka_unit_test(a_compression_ratio_without_folds_or_candidate_is_refused_before_the_run),
        cmocka_unit_test(a_line_that_lacks_training_images_is_not_evaluated_and_says_so),
        cmocka_unit_test(a_fold_without_training_images_costs_the_others_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
