/* SPDX-License-Identifier: MIT */
/* Whole runs, from a folder of pictures to the columns of a results file. */
#include "tests/host/run_five.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>

#include "eval/rules.h"
#include "host/analysis.h"
#include "host/compare_file.h"
#include "host/engine.h"
#include "host/jpeg_plan.h"
#include "host/report_file.h"
#include "host/resjnd.h"
#include "host/ssimulacra2.h"

static void scores_do_not_depend_on_threads(void **state)
{
    (void)state;
    static float score[3][PICTURES * LEVELS];
    static double psnr[3][PICTURES * LEVELS], ms_ssim[3][PICTURES * LEVELS];
    static const char *const threads[] = {"threads=1", "threads=2", "threads=3"};
    static const char *const decode[] = {"decode_threads=1", "decode_threads=3", "slots=1"};
    for (int i = 0; i < 3; i++) {
        const char *pairs[] = {threads[i], decode[i], NULL};
        struct vj_results *r = run_and_open("threads.h5", pairs);
        read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, score[i]);
        read_rows(r, "/candidates/psnr_y", VJ_COLUMN_F64, 0, PICTURES, psnr[i]);
        read_rows(r, "/candidates/ssim", VJ_COLUMN_F64, 0, PICTURES, ms_ssim[i]);
        vj_results_close(r);
    }
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(score[0], score[i], sizeof(score[0]));
        assert_memory_equal(psnr[0], psnr[i], sizeof(psnr[0]));
        assert_memory_equal(ms_ssim[0], ms_ssim[i], sizeof(ms_ssim[0]));
    }
    for (int i = 0; i < PICTURES * LEVELS; i++)
        assert_false(isnan(score[0][i]));
}

static void scores_do_not_depend_on_the_other_images_of_the_run(void **state)
{
    (void)state;
    char path[4096];
    float all[PICTURES * LEVELS], alone[LEVELS];
    int32_t origin_all[PICTURES * PATCHES * 2], origin_alone[PATCHES * 2];
    const char *none[] = {NULL};
    const char *one[] = {NULL, NULL};
    char pair[4200];
    write_text(in_folder(path, "one.csv"), "image,candidates,qf_true,fold\np3.png,,,\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    one[0] = pair;
    struct vj_results *r = run_and_open("all.h5", none);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, all);
    read_rows(r, "/patches/origin", VJ_COLUMN_I32, 0, PICTURES, origin_all);
    vj_results_close(r);
    r = run_and_open("one.h5", one);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, 1, alone);
    read_rows(r, "/patches/origin", VJ_COLUMN_I32, 0, 1, origin_alone);
    vj_results_close(r);
    assert_memory_equal(all + 3 * LEVELS, alone, sizeof(alone));
    assert_memory_equal(origin_all + 3 * PATCHES * 2, origin_alone, sizeof(origin_alone));
}

static void a_range_of_quality_factors_is_a_part_of_the_whole(void **state)
{
    (void)state;
    float all[PICTURES * LEVELS], part[PICTURES * 11];
    int64_t bytes_all[PICTURES * LEVELS], bytes_part[PICTURES * 11];
    const char *none[] = {NULL};
    const char *range[] = {"qf_first=40", "qf_last=50", NULL};
    struct vj_results *r = run_and_open("all.h5", none);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, all);
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, PICTURES, bytes_all);
    vj_results_close(r);
    r = run_and_open("part.h5", range);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, part);
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, PICTURES, bytes_part);
    vj_results_close(r);
    for (int i = 0; i < PICTURES; i++) {
        assert_memory_equal(all + i * LEVELS + 39, part + i * 11, 11 * sizeof(float));
        assert_memory_equal(bytes_all + i * LEVELS + 39, bytes_part + i * 11, 11 * sizeof(int64_t));
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/*
 * The small network calls everything lossy, or nothing, whatever it sees. With its median score
 * taken off it calls half of the candidates lossy, others in each picture and draw.
 * predictors: filled with the constant and this network
 */
static void balance_network(char predictors[4300])
{
    static float score[PICTURES * 3 * LEVELS];
    enum { SCORES = PICTURES * 3 * LEVELS };
    const char *three[] = {"draws=3", NULL};
    char path[4096];
    struct vj_weights w = {0};
    struct vj_error err = {0};
    struct vj_results *r = run_and_open("draws.h5", three);
    read_rows(r, "/predictors/vpjnd-w/score_draws", VJ_COLUMN_F32, 0, PICTURES, score);
    vj_results_close(r);
    qsort(score, SCORES, sizeof(score[0]), compare_floats);
    if (vj_weights_read(&w, weights, &err))
        fail_msg("%s", err.text);
    vj_weights_find(&w, "regressions/block2/biases")->data[0] -= score[SCORES / 2];
    assert_int_equal(vj_weights_write(&w, in_folder(path, "half.h5"), &err), 0);
    vj_weights_free(&w);
    snprintf(predictors, 4300, "constant,vpjnd:%s", path);
}

static void lazy_and_full_predict_the_same(void **state)
{
    (void)state;
    char predictors[4300];
    bool alike = true;
    balance_network(predictors);
    static const char *const search[] = {"search=binary-block", "search=sliding-window",
                                         "search=first-crossing", "search=max-likelihood"};
    for (int s = 0; s < 4; s++) {
        int32_t full[PICTURES], lazy[PICTURES];
        float score[PICTURES * LEVELS];
        size_t asked = 0;
        const char *a[] = {search[s], "positive_class=lossy", NULL};
        const char *b[] = {search[s], "positive_class=lossy", "lazy=true", NULL};
        struct vj_results *r = open_run("full.h5", predictors, a);
        read_rows(r, "/predictors/vpjnd-half/qf_pred", VJ_COLUMN_I32, 0, PICTURES, full);
        vj_results_close(r);
        r = open_run("lazy.h5", predictors, b);
        read_rows(r, "/predictors/vpjnd-half/qf_pred", VJ_COLUMN_I32, 0, PICTURES, lazy);
        read_rows(r, "/predictors/vpjnd-half/score", VJ_COLUMN_F32, 0, PICTURES, score);
        vj_results_close(r);
        assert_memory_equal(full, lazy, sizeof(full));
        for (int i = 0; i < PICTURES; i++)
            alike = alike && (full[i] == 1 || full[i] == 100);
        for (int i = 0; i < PICTURES * LEVELS; i++)
            asked += !isnan(score[i]);
        assert_true(asked > 0);
        if (s == 0)
            assert_true(asked < PICTURES * LEVELS);
    }
    assert_false(alike);
}

static void open_positive_class_is_decided_by_the_first_images_and_recorded(void **state)
{
    (void)state;
    struct vj_error err = {0};
    char *text, *decision;
    float score[PICTURES * LEVELS];
    double low = 0, high = 0;
    const char *none[] = {NULL};
    struct vj_results *r = run_and_open("auto.h5", none);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, score);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 50; k++) {
            low += score[i * LEVELS + k];
            high += score[i * LEVELS + 50 + k];
        }
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-w", "positive_class", &text, &err),
                     0);
    assert_int_equal(
        vj_results_get_text(r, "/predictors/vpjnd-w", "positive_class_decision", &decision, &err),
        0);
    assert_string_equal(text, low >= high ? "lossy" : "lossless");
    vj_assert_contains(decision, "over the first 4 images");
    free(text);
    free(decision);
    vj_results_close(r);
}

static void the_positive_class_is_that_of_the_half_that_scores_higher(void **state)
{
    (void)state;
    enum { IMAGES = 3, STRIDE = 6, FIVE = 5 };
    /* The middle one of five levels is of neither half; the second picture lacks one of the others.
     */
    float score[IMAGES * STRIDE] = {1, 2, 9,   0, -1,  100, /* second */
                                    7, 7, 7,   7, NAN, 100, /* third */
                                    3, 5, NAN, 1, 2,   100};
    double mean[2];
    assert_int_equal(vj_positive_from_scores(score, STRIDE, IMAGES, FIVE, mean), VJ_POSITIVE_LOSSY);
    assert_float_equal(mean[0], (1 + 2 + 3 + 5) / 4.0, 1e-12);
    assert_float_equal(mean[1], (0 - 1 + 1 + 2) / 4.0, 1e-12);
    for (int i = 0; i < IMAGES * STRIDE; i++)
        score[i] = -score[i];
    assert_int_equal(vj_positive_from_scores(score, STRIDE, IMAGES, FIVE, mean),
                     VJ_POSITIVE_LOSSLESS);
    assert_float_equal(mean[0], -11 / 4.0, 1e-12);
    assert_float_equal(mean[1], -2 / 4.0, 1e-12);
    vj_positive_from_scores(score + STRIDE, STRIDE, 1, FIVE, mean);
    assert_true(isnan(mean[0]) && isnan(mean[1]));
}

static void random_weights_get_no_metrics_and_the_constant_does(void **state)
{
    (void)state;
    const char *none[] = {NULL};
    double mad;
    struct vj_error err = {0};
    struct vj_results *r = run_and_open("metrics.h5", none);
    assert_false(vj_results_has(r, "/metrics/vpjnd-w"));
    assert_int_equal(vj_results_get_scalar(r, "/metrics/constant/mad", &mad, &err), 0);
    /* labels 20 30 40 50 60, each predicted by the median of the other four, halves up */
    assert_float_equal(mad, (25 + 15 + 0 + 15 + 25) / 5.0, 1e-12);
    vj_results_close(r);
}

static void draws_are_kept_apart_and_averaged(void **state)
{
    (void)state;
    static float score[PICTURES * LEVELS], draw[PICTURES * 3 * LEVELS];
    static float single[PICTURES * LEVELS];
    const char *three[] = {"draws=3", NULL};
    const char *one[] = {"draws=1", NULL};
    int32_t qf[PICTURES * 3];
    struct vj_results *r = run_and_open("draws.h5", three);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, score);
    read_rows(r, "/predictors/vpjnd-w/score_draws", VJ_COLUMN_F32, 0, PICTURES, draw);
    read_rows(r, "/predictors/vpjnd-w/qf_pred_draws", VJ_COLUMN_I32, 0, PICTURES, qf);
    vj_results_close(r);
    r = run_and_open("draw.h5", one);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, single);
    vj_results_close(r);
    for (int i = 0; i < PICTURES; i++) {
        const float *d = draw + i * 3 * LEVELS;
        assert_memory_equal(d, single + i * LEVELS, LEVELS * sizeof(float));
        assert_memory_not_equal(d, d + LEVELS, LEVELS * sizeof(float));
        for (int k = 0; k < LEVELS; k++) {
            double mean = ((double)d[k] + d[LEVELS + k] + d[2 * LEVELS + k]) / 3;
            assert_true(score[i * LEVELS + k] == (float)mean);
        }
        assert_true(qf[3 * i] >= 1 && qf[3 * i] <= 100);
    }
}

/* Two draws differ as well as three: the mean over the pictures of their standard deviation. */
static void the_spread_of_the_draws_is_that_of_their_predictions(void **state)
{
    (void)state;
    char predictors[4300];
    balance_network(predictors);
    for (int draws = 2; draws <= 3; draws++) {
        char pair[32], expected[100];
        int32_t qf[PICTURES * 3];
        double spread = 0;
        snprintf(pair, sizeof(pair), "draws=%d", draws);
        const char *pairs[] = {pair, "positive_class=lossy", NULL};
        struct vj_results *r = open_run("draws.h5", predictors, pairs);
        read_rows(r, "/predictors/vpjnd-half/qf_pred_draws", VJ_COLUMN_I32, 0, PICTURES, qf);
        for (int i = 0; i < PICTURES; i++) {
            double mean = 0, squares = 0;
            for (int d = 0; d < draws; d++)
                mean += (double)qf[i * draws + d] / draws;
            for (int d = 0; d < draws; d++)
                squares += (qf[i * draws + d] - mean) * (qf[i * draws + d] - mean);
            spread += sqrt(squares / (draws - 1)) / PICTURES;
        }
        assert_true(spread > 0);
        snprintf(expected, sizeof(expected),
                 "; draws differ by %.2f QF (mean standard deviation of %d draws)", spread, draws);
        char *note = text_of(r, "/predictors/vpjnd-half", "note");
        vj_assert_contains(note, expected);
        free(note);
        vj_results_close(r);
        /* A report says of which patches the scores are. */
        struct vj_text json = {0};
        struct vj_error err = {0};
        const struct vj_report_options options = {.form = VJ_REPORT_FORM_JSON};
        char path[4096];
        assert_int_equal(vj_report_file(&json, in_folder(path, "draws.h5"), &options, &err), 0);
        snprintf(expected, sizeof(expected), "\"draws\": %d,", draws);
        vj_assert_contains(json.data, expected);
        vj_assert_contains(json.data, "\"size\": 32,");
        vj_assert_contains(json.data, "\"count\": 3,");
        vj_text_free(&json);
    }
}

/* Of random weights a report has the speed alone: that of the run each stands in. */
static void random_weights_of_two_runs_keep_their_speeds(void **state)
{
    (void)state;
    static const char *const names[] = {"a.h5", "b.h5"};
    const char *const pairs[] = {"qf_last=3", NULL};
    char path[2][4096];
    struct vj_text text = {0};
    struct vj_error err = {0};
    for (int i = 0; i < 2; i++) {
        struct vj_results *r = run_and_open(names[i], pairs);
        vj_results_close(r);
        assert_int_equal(vj_results_open(&r, in_folder(path[i], names[i]), true, &err), 0);
        assert_int_equal(
            vj_results_set_double(r, "/timing", "images_per_second", 100 * (i + 1), &err), 0);
        vj_results_close(r);
    }
    const char *const paths[] = {path[0], path[1]};
    const struct vj_compare_options options = {
        .path = paths, .count = 2, .report.form = VJ_REPORT_FORM_CSV};
    if (vj_compare_files(&text, &options, &err))
        fail_msg("%s", err.text);
    vj_assert_contains(text.data, "\r\na/vpjnd-w,,images_per_second,100,");
    vj_assert_contains(text.data, "\r\nb/vpjnd-w,,images_per_second,200,");
    vj_text_free(&text);
}

static void one_quality_factor_is_a_run(void **state)
{
    (void)state;
    const char *const pairs[] = {"qf_first=40", "qf_last=40", NULL};
    struct vj_results *r = run_and_open("one.h5", pairs);
    int32_t qf[PICTURES];
    double past;
    struct vj_error err = {0};
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, PICTURES, qf);
    for (int i = 0; i < PICTURES; i++)
        assert_int_equal(qf[i], 40);
    char *note = text_of(r, "/predictors/constant", "note");
    assert_string_equal(note, "leave-one-out; median of all: 40");
    free(note);
    assert_int_equal(vj_results_get_scalar(r, "/metrics/constant/past_jnd_share", &past, &err), 0);
    assert_float_equal(past, 2 / 5.0, 0); /* labels 20 30 40 50 60 */
    assert_false(vj_results_has(r, "/metrics/constant/pair_accuracy"));
    assert_false(vj_results_has_attribute(r, "/metrics/constant", "pairs"));
    vj_results_close(r);
}

static void draws_of_pictures_without_a_fold_predict_nothing(void **state)
{
    (void)state;
    enum { ALL = 3, DRAWS = 3 };
    char path[4096], root[4200];
    int32_t qf[ALL * DRAWS];
    write_text(in_folder(path, "one-lacks.csv"),
               "image,candidates,qf_true,fold\np0.png,,20,1\np1.png,,30,\np3.png,,50,2\n");
    snprintf(root, sizeof(root), "root=%s", path);
    const char *pairs[] = {root,        "folds=manifest",       "draws=3",
                           "qf_last=9", "positive_class=lossy", NULL};
    struct vj_results *r = run_and_open("one-lacks.h5", pairs);
    read_rows(r, "/predictors/vpjnd-w/qf_pred_draws", VJ_COLUMN_I32, 0, ALL, qf);
    vj_results_close(r);
    for (int i = 0; i < ALL * DRAWS; i++)
        assert_int_equal(qf[i] == VJ_EVAL_UNKNOWN, i / DRAWS == 1);
}

/* The search of their mean asks for few levels; that of a draw asks for others. */
static void lazily_scored_draws_have_no_predictions_of_their_own(void **state)
{
    (void)state;
    int32_t full[PICTURES], lazy[PICTURES];
    struct vj_error err = {0};
    char *note;
    const char *a[] = {"draws=3", "positive_class=lossy", NULL};
    const char *b[] = {"draws=3", "positive_class=lossy", "lazy=true", NULL};
    struct vj_results *r = run_and_open("draws.h5", a);
    read_rows(r, "/predictors/vpjnd-w/qf_pred", VJ_COLUMN_I32, 0, PICTURES, full);
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-w", "note", &note, &err), 0);
    vj_assert_contains(note, "; draws differ by ");
    free(note);
    vj_results_close(r);
    r = run_and_open("lazy-draws.h5", b);
    read_rows(r, "/predictors/vpjnd-w/qf_pred", VJ_COLUMN_I32, 0, PICTURES, lazy);
    assert_memory_equal(full, lazy, sizeof(full));
    assert_true(vj_results_has(r, "/predictors/vpjnd-w/score_draws"));
    assert_false(vj_results_has(r, "/predictors/vpjnd-w/qf_pred_draws"));
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-w", "note", &note, &err), 0);
    vj_assert_contains(note, "; how far the 3 draws differ is not known: lazy ");
    assert_null(strstr(note, "draws differ by "));
    free(note);
    vj_results_close(r);
}

/* Alone, beside a network that sees a map, and whatever that map is: the same scores. */
static void networks_without_a_map_have_none_made_and_record_none(void **state)
{
    (void)state;
    enum { RUNS = 3 };
    static float score[RUNS][PICTURES * LEVELS];
    struct vj_error err = {0};
    struct vj_weights w = {0};
    const struct vj_net_shape shape = {.variant = VJ_VARIANT_PW_JND,
                                       .patch_size = 32,
                                       .patches = PATCHES,
                                       .channels = {16, 16, 16, 16, 16}};
    char path[4096], alone[4300], both[8600], *text;
    assert_int_equal(vj_weights_init(&w, &shape, 9, &err), 0);
    assert_int_equal(vj_weights_write(&w, in_folder(path, "pw.h5"), &err), 0);
    vj_weights_free(&w);
    snprintf(alone, sizeof(alone), "vpjnd:%s", path);
    snprintf(both, sizeof(both), "vpjnd:%s,vpjnd:%s", weights, path);
    const char *predictors[RUNS] = {alone, alone, both};
    for (int i = 0; i < RUNS; i++) {
        const char *pairs[] = {i == 1 ? "jnd_model=chou95" : "jnd_model=epc17", NULL};
        struct vj_results *r = open_run("map.h5", predictors[i], pairs);
        read_rows(r, "/predictors/vpjnd-pw/score", VJ_COLUMN_F32, 0, PICTURES, score[i]);
        assert_memory_equal(score[0], score[i], sizeof(score[0]));
        assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-pw", "variant", &text, &err), 0);
        assert_string_equal(text, "pw-jnd");
        free(text);
        assert_int_not_equal(
            vj_results_get_text(r, "/predictors/vpjnd-pw", "jnd_model", &text, &err), 0);
        if (i == 2) {
            assert_int_equal(
                vj_results_get_text(r, "/predictors/vpjnd-w", "jnd_model", &text, &err), 0);
            free(text);
        }
        vj_results_close(r);
    }
    for (int i = 0; i < PICTURES * LEVELS; i++)
        assert_false(isnan(score[0][i]));
}

static void a_run_of_a_network_without_a_map_is_resumed(void **state)
{
    (void)state;
    char path[4096], part[4200], predictors[4300];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    const char *pairs[] = {"qf_first=40", "qf_last=44", "positive_class=lossy", NULL};
    snprintf(predictors, sizeof(predictors), "vpjnd:%s", in_folder(path, "pw.h5"));
    vj_results_close(open_run("broken.h5", predictors, pairs));
    snprintf(part, sizeof(part), "%s.part", in_folder(path, "broken.h5"));
    assert_int_equal(rename(path, part), 0);
    if (run_as("broken.h5", path, predictors, pairs, true, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.resumed, PICTURES);
}

/* Weight files of equal tensors, and so of one digest, that say different things of them. */
static void a_run_is_not_resumed_with_weights_that_say_otherwise(void **state)
{
    (void)state;
    struct vj_net_shape shape = {.variant = VJ_VARIANT_FIGURE,
                                 .patch_size = 32,
                                 .patches = PATCHES,
                                 .channels = {16, 16, 16, 16}};
    static const struct {
        enum vj_positive_class positive;
        int patch_size;
        enum vj_non_local non_local;
        const char *text;
    } cases[] = {
        {VJ_POSITIVE_LOSSLESS, 32, VJ_NON_LOCAL_RESHAPE,
         "positive_class of /predictors/vpjnd-same is 'lossy', this run's"},
        {VJ_POSITIVE_AUTO, 32, VJ_NON_LOCAL_RESHAPE,
         "positive_class of /predictors/vpjnd-same is 'lossy', this run's"},
        {VJ_POSITIVE_LOSSY, 32, VJ_NON_LOCAL_TRANSPOSE,
         "non_local of /predictors/vpjnd-same is 'reshape', this run's 'transpose'"},
        {VJ_POSITIVE_LOSSY, 16, VJ_NON_LOCAL_RESHAPE,
         "patch_size of /predictors/vpjnd-same is 32, this run's 16"},
    };
    char same[4096], path[4096], part[4200], predictors[4300];
    const char *pairs[] = {"qf_first=40", "qf_last=44", NULL};
    struct vj_run_summary summary;
    struct vj_error err = {0};
    snprintf(predictors, sizeof(predictors), "vpjnd:%s", in_folder(same, "same.h5"));
    write_network(same, &shape, 7, VJ_POSITIVE_LOSSY, VJ_ORIGIN_RANDOM);
    vj_results_close(open_run("same-run.h5", predictors, pairs));
    snprintf(part, sizeof(part), "%s.part", in_folder(path, "same-run.h5"));
    assert_int_equal(rename(path, part), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shape.patch_size = cases[i].patch_size;
        shape.non_local = cases[i].non_local;
        write_network(same, &shape, 7, cases[i].positive, VJ_ORIGIN_RANDOM);
        assert_int_equal(run_as("same-run.h5", path, predictors, pairs, true, &summary, &err),
                         -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
    }
}

static void kept_patches_give_the_score_back(void **state)
{
    (void)state;
    static float q[PICTURES * LEVELS * PATCHES], a[PICTURES * LEVELS * PATCHES];
    static float score[PICTURES * LEVELS];
    const char *keep[] = {"store_patches=true", NULL};
    struct vj_results *r = run_and_open("patches.h5", keep);
    read_rows(r, "/predictors/vpjnd-w/patch_quality", VJ_COLUMN_F32, 0, PICTURES, q);
    read_rows(r, "/predictors/vpjnd-w/patch_weight", VJ_COLUMN_F32, 0, PICTURES, a);
    read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, score);
    vj_results_close(r);
    for (int i = 0; i < PICTURES * LEVELS; i++) {
        double sum = 0, weight = 0;
        for (int p = 0; p < PATCHES; p++) {
            sum += (double)q[i * PATCHES + p] * a[i * PATCHES + p];
            weight += a[i * PATCHES + p];
        }
        assert_true(fabs(sum / weight - score[i]) <= 1e-5 * (1 + fabs((double)score[i])));
    }
}

static void independent_map_patches_change_scores_but_not_positions(void **state)
{
    (void)state;
    float score[2][PICTURES * LEVELS];
    int32_t origin[2][PICTURES * PATCHES * 2];
    static const char *const how[] = {"jnd_patches=aligned", "jnd_patches=independent"};
    for (int i = 0; i < 2; i++) {
        const char *pairs[] = {how[i], NULL};
        struct vj_results *r = run_and_open("jnd.h5", pairs);
        read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, PICTURES, score[i]);
        read_rows(r, "/patches/origin", VJ_COLUMN_I32, 0, PICTURES, origin[i]);
        vj_results_close(r);
    }
    assert_memory_equal(origin[0], origin[1], sizeof(origin[0]));
    assert_memory_not_equal(score[0], score[1], sizeof(score[0]));
}

static void the_constant_stands_in_every_run_with_labels(void **state)
{
    (void)state;
    const char *pairs[] = {"predictors=psnr-threshold", "qf_last=60", NULL};
    struct vj_results *r = run_and_open("constant.h5", pairs);
    assert_true(vj_results_has(r, "/metrics/constant/mad"));
    vj_results_close(r);
}

static void images_without_a_fold_train_but_are_tested_by_nobody(void **state)
{
    (void)state;
    char path[4096], pair[4200];
    int32_t constant[4], threshold[4];
    write_text(in_folder(path, "folds.csv"), "image,candidates,qf_true,fold\np0.png,,20,1\n"
                                             "p1.png,,30,2\np2.png,,40,\np3.png,,50,2\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "folds=manifest", "predictors=constant,psnr-threshold", NULL};
    struct vj_results *r = run_and_open("folds.h5", pairs);
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, 4, constant);
    read_rows(r, "/predictors/psnr-threshold/qf_pred", VJ_COLUMN_I32, 0, 4, threshold);
    vj_results_close(r);
    static const int32_t expected[] = {40, 30, -1, 30}; /* medians of 30 40 50 and of 20 40 */
    assert_memory_equal(constant, expected, sizeof(constant));
    assert_int_equal(threshold[2], -1);
    assert_true(threshold[0] > 0 && threshold[1] > 0 && threshold[3] > 0);
}

/* Puts a column of the same shape in a column's place that nobody can read as what it was. */
static void spoil(const char *output, const char *path, hid_t type, int rank, hsize_t columns)
{
    const hsize_t dim[] = {PICTURES, columns};
    char name[4096];
    hid_t file = H5Fopen(in_folder(name, output), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dim, NULL);
    assert_true(file >= 0 && space >= 0);
    if (H5Lexists(file, path, H5P_DEFAULT) > 0)
        assert_true(H5Ldelete(file, path, H5P_DEFAULT) >= 0);
    hid_t column = H5Dcreate2(file, path, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(column >= 0);
    H5Dclose(column);
    H5Sclose(space);
    H5Fclose(file);
}

/* Not "out of memory", nor a code that says so: what the reader of the column said. */
static void a_column_that_cannot_be_read_fails_with_its_own_reason(void **state)
{
    (void)state;
    hid_t string = H5Tcopy(H5T_C_S1); /* ASCII, which HDF5 does not read as UTF-8 */
    assert_true(H5Tset_size(string, 8) >= 0);
    static const struct {
        const char *path;
        int rank;
        hsize_t columns;
        int code;
    } cases[] = {{"/images/name", 1, 0, -EIO},
                 {"/candidates/bytes", 2, 9, -EINVAL},
                 {"/images/sur", 2, 100, -EINVAL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *pairs[] = {"qf_last=9", "predictors=constant", NULL};
        char path[4096];
        struct vj_results *r;
        struct vj_analysis a;
        struct vj_error err = {0};
        vj_results_close(run_and_open("spoilt.h5", pairs));
        spoil("spoilt.h5", cases[i].path, string, cases[i].rank, cases[i].columns);
        assert_int_equal(vj_results_open(&r, in_folder(path, "spoilt.h5"), false, &err), 0);
        assert_int_equal(vj_analysis_load(&a, r, false, &err), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        vj_assert_contains(err.text, cases[i].path);
        assert_null(strstr(err.text, "out of memory"));
        vj_results_close(r);
    }
    H5Tclose(string);
}

static void pairs_of_predictors_that_only_name_a_quality_factor_come_from_its_step(void **state)
{
    (void)state;
    const char *pairs[] = {"predictors=constant,psnr-threshold", "qf_last=40", NULL};
    struct vj_results *r = run_and_open("sources.h5", pairs);
    static const char *const groups[][2] = {{"/metrics/constant", "step"},
                                            {"/metrics/psnr-threshold", "answers"}};
    for (int i = 0; i < 2; i++) {
        char *source = text_of(r, groups[i][0], "pairs");
        assert_string_equal(source, groups[i][1]);
        free(source);
    }
    vj_results_close(r);
    const char *unlabelled[] = {"predictors=psnr-threshold", "labels=none", "qf_last=40", NULL};
    r = run_and_open("no-source.h5", unlabelled);
    assert_true(vj_results_has(r, "/metrics/psnr-threshold/saving_mean"));
    assert_false(vj_results_has_attribute(r, "/metrics/psnr-threshold", "pairs"));
    vj_results_close(r);
}

static void what_lacks_labels_or_folds_is_refused_before_the_run(void **state)
{
    (void)state;
    char some[4200], none[4200], broken[4200], other[4200], bare[4200], path[4096];
    write_text(in_folder(path, "other.csv"), "image,jnd,note\np0.png,20,\np1.png,30,\n");
    snprintf(other, sizeof(other), "root=%s", path);
    snprintf(bare, sizeof(bare), "root=%s", in_folder(path, "."));
    write_text(in_folder(path, "broken.csv"), "image,qf_true\np0.png,\np1.png,140\n");
    snprintf(broken, sizeof(broken), "root=%s", path);
    write_text(in_folder(path, "some.csv"), "image,candidates,qf_true,fold\np0.png,,20,1\n"
                                            "p1.png,,30,2\np3.png,,50,\np4.png,,60,\n");
    snprintf(some, sizeof(some), "root=%s", path);
    write_text(in_folder(path, "none.csv"), "image,fold\np0.png,1\np1.png,2\n");
    snprintf(none, sizeof(none), "root=%s", path);
    const struct {
        const char *predictors, *pairs[4], *text;
    } cases[] = {
        {"psnr-threshold:fit",
         {some, "folds=manifest", "ids=3-4", NULL},
         "predictor psnr-threshold is fitted on the images outside each fold, and no image has"},
        {"ssim-threshold", {some, NULL}, "no image has a test fold; set option folds"},
        {"pixel-chou95:fit", {some, "folds=none", NULL}, "predictor pixel-chou95 is fitted on"},
        {"psnr-threshold:fit",
         {none, "folds=manifest", NULL},
         "predictor psnr-threshold is fitted to labels, and no image of this run has one; leave "
         "it out or give it a threshold"},
        {"constant", {none, NULL}, "no image of this run has a label, which the constant is"},
        {"constant",
         {other, NULL},
         "predictors=vpjnd:W.h5; labels stand in column qf_true, and not used are columns of other "
         "names: 'jnd', 'note'"},
        {"constant", {bare, "dataset=folder", NULL}, "; data set folder has no labels, a manifest"},
        {"constant", {broken, NULL}, "predictors=vpjnd:W.h5; the first broken image is p1.png: "},
        {"ssim-threshold:fit", {broken, NULL}, "broken.csv:3: qf_true '140' is not a quality"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_run_summary summary;
        struct vj_error err = {0};
        assert_int_equal(
            run_as("nobody.h5", path, cases[i].predictors, cases[i].pairs, false, &summary, &err),
            -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void columns_that_are_not_used_are_told_before_the_first_picture(void **state)
{
    (void)state;
    char path[4096], root[4200], out[4096], said[8192];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    write_text(in_folder(path, "noted.csv"), "image,qf_true,note\np0.png,20,\np1.png,30,\n");
    snprintf(root, sizeof(root), "root=%s", path);
    const char *pairs[] = {root, "qf_last=4", NULL};
    FILE *file = tmpfile();
    const int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    int r = run_as("noted.h5", out, "constant", pairs, false, &summary, &err);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(r, 0);
    vj_assert_contains(said, "noted.csv: not used: columns of other names: 'note'\n");
    assert_true(strstr(said, "not used") < strstr(said, "images/s"));
}

static void pictures_too_small_for_a_metric_are_counted(void **state)
{
    (void)state;
    const char *pairs[] = {"qf_last=9", "predictors=ms-ssim-threshold,psnr-threshold", NULL};
    struct vj_results *r = run_and_open("small.h5", pairs);
    char path[4096], expected[128], *note = text_of(r, "/predictors/ms-ssim-threshold", "note");
    snprintf(expected, sizeof(expected),
             "NO ANSWER for %d of %d images: MS-SSIM needs sides of 176 pixels", PICTURES,
             PICTURES);
    vj_assert_contains(note, expected);
    free(note);
    note = text_of(r, "/predictors/psnr-threshold", "note");
    assert_null(strstr(note, "NO ANSWER"));
    free(note);
    vj_results_close(r);
    const struct vj_report_options csv = {.form = VJ_REPORT_FORM_IMAGES_CSV};
    struct vj_text t = {0};
    struct vj_error err = {0};
    if (vj_report_file(&t, in_folder(path, "small.h5"), &csv, &err))
        fail_msg("%s", err.text);
    vj_assert_contains(t.data, "\r\nms-ssim-threshold,p1.png,,30,,,MS-SSIM needs sides of 176 "
                               "pixels,,,,\r\n");
    vj_text_free(&t);
}

/* What has no test fold is no picture without a value. */
static void pictures_without_a_fold_are_not_counted_as_too_small(void **state)
{
    (void)state;
    static const struct {
        const char *predictor, *name, *unanswered;
    } cases[] = {{"ssim-threshold:0.95", "ssim-threshold", NULL},
                 {"ssim-threshold:fit", "ssim-threshold", NULL},
                 {"ms-ssim-threshold:0.99", "ms-ssim-threshold",
                  "NO ANSWER for 3 of 3 images: MS-SSIM needs sides of 176 pixels"}};
    char path[4096], root[4200];
    write_text(in_folder(path, "fold-lacks.csv"),
               "image,candidates,qf_true,fold\np0.png,,20,1\np1.png,,30,2\np2.png,,40,\n"
               "p3.png,,50,2\n");
    snprintf(root, sizeof(root), "root=%s", path);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char group[64];
        const char *pairs[] = {root, "folds=manifest", NULL};
        struct vj_results *r = open_run("fold-lacks.h5", cases[i].predictor, pairs);
        snprintf(group, sizeof(group), "/predictors/%s", cases[i].name);
        char *note = text_of(r, group, "note");
        vj_results_close(r);
        if (cases[i].unanswered)
            vj_assert_contains(note, cases[i].unanswered);
        else
            assert_null(strstr(note, "NO ANSWER"));
        free(note);
    }
}

/* Labels that `limit` leaves out teach the constant as those that `ids` leaves out do. */
static void the_constant_learns_from_what_limit_leaves_out(void **state)
{
    (void)state;
    int32_t qf;
    const char *pairs[] = {"limit=1", "predictors=constant", "qf_last=60", NULL};
    struct vj_results *r = run_and_open("limit.h5", pairs);
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, 1, &qf);
    vj_results_close(r);
    assert_int_equal(qf, 45); /* median of 30, 40, 50 and 60, the other pictures' */
}

/* Score of a picture's JPEG at one quality factor, by hand. */
static double score_by_hand(const char *name, int qf, enum vj_ssimulacra2_mode mode)
{
    char path[4096];
    struct vj_image img;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *jpeg;
    struct vj_ssimulacra2_reference *ref;
    struct vj_ssimulacra2_scratch *scratch;
    struct vj_ssimulacra2_result result;
    const enum vj_subsampling sampling = VJ_SUBSAMPLING_420;
    static uint8_t candidate[WIDTH * HEIGHT * 3];
    assert_int_equal(vj_image_read(&img, in_folder(path, name), NULL, NULL), 0);
    assert_int_equal(vj_jpeg_plan_create(&plan, &img, sampling, NULL), 0);
    assert_int_equal(vj_jpeg_scratch_create(&jpeg, WIDTH, HEIGHT, 3, sampling, NULL), 0);
    assert_int_equal(vj_jpeg_plan_decode(plan, qf, candidate, jpeg, NULL), 0);
    assert_int_equal(vj_ssimulacra2_reference_create(&ref, WIDTH, HEIGHT, mode, NULL), 0);
    assert_int_equal(vj_ssimulacra2_scratch_create(&scratch, WIDTH, HEIGHT, mode, NULL), 0);
    assert_int_equal(vj_ssimulacra2_reference_load(ref, &img, NULL), 0);
    assert_int_equal(vj_ssimulacra2_compute(ref, candidate, scratch, &result), 0);
    vj_ssimulacra2_reference_free(ref);
    vj_ssimulacra2_scratch_free(scratch);
    vj_jpeg_scratch_free(jpeg);
    vj_jpeg_plan_free(plan);
    vj_image_free(&img);
    return result.score;
}

static void ssimulacra2_is_a_column_and_a_predictor_when_asked_for(void **state)
{
    (void)state;
    static double score[3][PICTURES * LEVELS];
    static uint8_t lossy[PICTURES * LEVELS];
    static float copy[PICTURES * LEVELS];
    static const char *const pairs[][6] = {
        {"image_metrics=ssimulacra2", "predictors=constant", "threads=1", NULL},
        {"image_metrics=psnr", "folds=manifest", "threads=3",
         "predictors=ssimulacra2-threshold,ssimulacra2-threshold:fit", NULL},
        {"image_metrics=ssimulacra2,ssim", "predictors=constant", "ssimulacra2_mode=parity", NULL},
        {"predictors=constant", NULL},
    };
    for (int i = 0; i < 3; i++) {
        struct vj_results *r = run_and_open("ssimulacra2.h5", pairs[i]);
        read_rows(r, "/candidates/ssimulacra2", VJ_COLUMN_F64, 0, PICTURES, score[i]);
        if (i == 1) {
            int32_t fitted[PICTURES];
            read_rows(r, "/predictors/ssimulacra2-threshold/lossy", VJ_COLUMN_U8, 0, PICTURES,
                      lossy);
            read_rows(r, "/predictors/ssimulacra2-threshold/score", VJ_COLUMN_F32, 0, PICTURES,
                      copy);
            read_rows(r, "/predictors/ssimulacra2-threshold:fit/qf_pred", VJ_COLUMN_I32, 0,
                      PICTURES, fitted);
            for (int k = 0; k < PICTURES; k++)
                vj_assert_in_range(fitted[k], 1, 100);
        }
        vj_results_close(r);
    }
    struct vj_results *r = run_and_open("without.h5", pairs[3]);
    assert_false(vj_results_has(r, "/candidates/ssimulacra2"));
    vj_results_close(r);

    assert_memory_equal(score[0], score[1], sizeof(score[0]));
    for (int i = 0; i < PICTURES * LEVELS; i++) {
        assert_int_equal(lossy[i], copy[i] < 63.10f);
        assert_true(copy[i] == (float)score[0][i]);
    }
    static const int rows[] = {2, 4}; /* grey, colour */
    for (int i = 0; i < 2; i++) {
        char name[32];
        const double *exact = score[0] + rows[i] * LEVELS, *parity = score[2] + rows[i] * LEVELS;
        snprintf(name, sizeof(name), "p%d.png", rows[i]);
        assert_true(exact[29] == score_by_hand(name, 30, VJ_SSIMULACRA2_EXACT));
        assert_true(exact[99] == score_by_hand(name, 100, VJ_SSIMULACRA2_EXACT));
        assert_true(parity[29] == score_by_hand(name, 30, VJ_SSIMULACRA2_PARITY));
        assert_true(exact[29] < exact[99] && exact[29] != parity[29]);
    }
}

static void the_weights_of_a_map_are_recorded_with_its_predictor(void **state)
{
    (void)state;
    char path[4096], pair[4200], *text = NULL;
    struct vj_error err = {0};
    struct vj_resjnd_file file = {0};
    in_folder(path, "resjnd.h5");
    snprintf(pair, sizeof(pair), "jnd_weights=%s", path);
    assert_int_equal(vj_resjnd_import(&file, VJ_TEST_GOLDEN "/resjnd/net.pth", &err), 0);
    assert_int_equal(vj_resjnd_file_write(&file, path, &err), 0);
    const char *pairs[] = {pair, "qf_first=40", "qf_last=42", NULL};
    struct vj_results *r = open_run("maps.h5", "constant,pixel-resjnd24:0.1", pairs);
    assert_int_equal(
        vj_results_get_text(r, "/predictors/pixel-resjnd24", "jnd_weights_sha256", &text, &err), 0);
    assert_string_equal(text, file.weights.sha256);
    free(text);
    vj_results_close(r);
    vj_resjnd_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_do_not_depend_on_threads),
        cmocka_unit_test(scores_do_not_depend_on_the_other_images_of_the_run),
        cmocka_unit_test(a_range_of_quality_factors_is_a_part_of_the_whole),
        cmocka_unit_test(lazy_and_full_predict_the_same),
        cmocka_unit_test(open_positive_class_is_decided_by_the_first_images_and_recorded),
        cmocka_unit_test(the_positive_class_is_that_of_the_half_that_scores_higher),
        cmocka_unit_test(random_weights_get_no_metrics_and_the_constant_does),
        cmocka_unit_test(draws_are_kept_apart_and_averaged),
        cmocka_unit_test(the_spread_of_the_draws_is_that_of_their_predictions),
        cmocka_unit_test(random_weights_of_two_runs_keep_their_speeds),
        cmocka_unit_test(one_quality_factor_is_a_run),
        cmocka_unit_test(draws_of_pictures_without_a_fold_predict_nothing),
        cmocka_unit_test(lazily_scored_draws_have_no_predictions_of_their_own),
        cmocka_unit_test(networks_without_a_map_have_none_made_and_record_none),
        cmocka_unit_test(a_run_of_a_network_without_a_map_is_resumed),
        cmocka_unit_test(a_run_is_not_resumed_with_weights_that_say_otherwise),
        cmocka_unit_test(kept_patches_give_the_score_back),
        cmocka_unit_test(independent_map_patches_change_scores_but_not_positions),
        cmocka_unit_test(the_constant_stands_in_every_run_with_labels),
        cmocka_unit_test(images_without_a_fold_train_but_are_tested_by_nobody),
        cmocka_unit_test(a_column_that_cannot_be_read_fails_with_its_own_reason),
        cmocka_unit_test(pairs_of_predictors_that_only_name_a_quality_factor_come_from_its_step),
        cmocka_unit_test(what_lacks_labels_or_folds_is_refused_before_the_run),
        cmocka_unit_test(columns_that_are_not_used_are_told_before_the_first_picture),
        cmocka_unit_test(pictures_too_small_for_a_metric_are_counted),
        cmocka_unit_test(pictures_without_a_fold_are_not_counted_as_too_small),
        cmocka_unit_test(the_constant_learns_from_what_limit_leaves_out),
        cmocka_unit_test(ssimulacra2_is_a_column_and_a_predictor_when_asked_for),
        cmocka_unit_test(the_weights_of_a_map_are_recorded_with_its_predictor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
