/* SPDX-License-Identifier: MIT */
/* Answers, scores and measures of other programs in whole runs. */
#include "tests/host/run_five.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>

#include "eval/common.h"

static void external_results_stand_beside_ours(void **state)
{
    (void)state;
    char path[4096], empty[4096], pair[12400];
    int32_t qf[PICTURES], by_empty[PICTURES], by_score[PICTURES];
    uint8_t lossy[PICTURES * LEVELS], lossy_empty[PICTURES * LEVELS];
    double mad, mad_empty;
    struct vj_error err = {0};
    write_text(in_folder(path, "theirs.csv"),
               "image,qf_pred\np0.png,21\np1.png,29\n\"a, b/p2\",40\np3.png,52\ntypo,7\n");
    write_text(in_folder(empty, "empty.csv"),
               "image,qf_pred\np0.png,21\np1.png,29\np2,40\np3.png,52\np4.png, \n");
    char scores[4096], text[8000] = "image,qf,score\n";
    for (int q = 1; q <= 100; q++)
        snprintf(text + strlen(text), 40, "p0.png,%d,%s\n", q, q <= 33 ? "0.8" : "0.3");
    strcat(text, "p1.png,1,\np1.png,2,\n");
    write_text(in_folder(scores, "scores.csv"), text);
    snprintf(pair, sizeof(pair), "predictors=external:%s,external:%s,external:%s", path, scores,
             empty);
    const char *pairs[] = {pair, NULL};
    struct vj_results *r = run_and_open("external.h5", pairs);
    read_rows(r, "/predictors/external-theirs/qf_pred", VJ_COLUMN_I32, 0, PICTURES, qf);
    read_rows(r, "/predictors/external-scores/qf_pred", VJ_COLUMN_I32, 0, PICTURES, by_score);
    assert_int_equal(vj_results_get_scalar(r, "/metrics/external-theirs/mad", &mad, &err), 0);
    read_rows(r, "/predictors/external-empty/qf_pred", VJ_COLUMN_I32, 0, PICTURES, by_empty);
    read_rows(r, "/predictors/external-theirs/lossy", VJ_COLUMN_U8, 0, PICTURES, lossy);
    read_rows(r, "/predictors/external-empty/lossy", VJ_COLUMN_U8, 0, PICTURES, lossy_empty);
    assert_int_equal(vj_results_get_scalar(r, "/metrics/external-empty/mad", &mad_empty, &err), 0);
    static const char *const said[][2] = {
        {"/predictors/external-theirs", "1 of the 5 images in "},
        {"/predictors/external-theirs", "/theirs.csv is none of the run (typo); quality factors "},
        {"/predictors/external-theirs", "NO ANSWER for 1 of 5 images: no row for 1, no qf_pred"},
        {"/predictors/external-empty", "NO ANSWER for 1 of 5 images: no row for 0, no qf_pred for"},
        {"/predictors/external-scores",
         "scores as given; NO ANSWER for 4 of 5 images: no row for 3, no score for 1"},
    };
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        char *note = text_of(r, said[i][0], "note");
        vj_assert_contains(note, said[i][1]);
        assert_null(strstr(note, "SCORES MISSING"));
        free(note);
    }
    static const char *const why[][2] = {
        {"/predictors/external-theirs", "the external file has no row for it"},
        {"/predictors/external-empty", "its row of the external file is empty"},
        {"/predictors/external-scores", "the external file has no row for it; or its row of the "
                                        "external file is empty"},
    };
    for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
        char *reason = text_of(r, why[i][0], "no_answer");
        assert_string_equal(reason, why[i][1]);
        free(reason);
    }
    vj_results_close(r);
    static const int32_t expected[] = {21, 29, 40, 52, -1}, scored[] = {33, -1, -1, -1, -1};
    assert_memory_equal(qf, expected, sizeof(qf));
    assert_memory_equal(by_score, scored, sizeof(by_score));
    /* No row and an empty cell are the same. */
    assert_memory_equal(by_empty, expected, sizeof(by_empty));
    assert_memory_equal(lossy_empty, lossy, sizeof(lossy));
    assert_int_equal(lossy[4 * LEVELS], 255);
    assert_float_equal(mad_empty, mad, 0);
    assert_float_equal(mad, (1 + 1 + 0 + 2) / 4.0, 1e-12);
}

/* As many pictures without a row as with an empty one. */
static void absent_and_empty_rows_are_counted_apart(void **state)
{
    (void)state;
    char path[4096], pair[4200];
    write_text(in_folder(path, "mixed.csv"), "image,qf_pred\np0.png,21\np1.png,\np2,40\np3,40\n");
    snprintf(pair, sizeof(pair), "predictors=external:%s", path);
    const char *pairs[] = {pair, "qf_first=20", "qf_last=45", "image_metrics=none", NULL};
    struct vj_results *r = run_and_open("mixed.h5", pairs);
    char *note = text_of(r, "/predictors/external-mixed", "note"),
         *reason = text_of(r, "/predictors/external-mixed", "no_answer");
    vj_results_close(r);
    assert_string_equal(note, "quality factors as given; NO ANSWER for 2 of 5 images: no row for "
                              "1, no qf_pred for 1");
    assert_string_equal(reason, "the external file has no row for it; or its row of the external "
                                "file is empty");
    free(note);
    free(reason);
}

/* First value of a curve's vector at offset 0. */
static double at_no_offset(struct vj_results *r, const char *predictor, const char *metric)
{
    enum { OFFSETS = 41 };
    char path[128];
    double value[OFFSETS];
    int32_t offset[OFFSETS];
    snprintf(path, sizeof(path), "/metrics/%s/sweep/offset", predictor);
    read_rows(r, path, VJ_COLUMN_I32, 0, OFFSETS, offset);
    snprintf(path, sizeof(path), "/metrics/%s/sweep/%s", predictor, metric);
    read_rows(r, path, VJ_COLUMN_F64, 0, OFFSETS, value);
    assert_int_equal(offset[OFFSETS / 2], 0);
    return value[OFFSETS / 2];
}

/* A constant and a given quality factor are candidates of the run, as answers of searches are. */
static void answers_outside_the_run_count_as_its_nearest_candidate(void **state)
{
    (void)state;
    static const char *const names[] = {"constant", "external-outside"};
    static const char *const metrics[] = {"dqf", "saving_mean", "past_jnd_share"};
    char path[4096], pair[4200];
    int32_t constant[PICTURES], given[PICTURES];
    struct vj_error err = {0};
    write_text(in_folder(path, "outside.csv"),
               "image,qf_pred\np0.png,21\np1.png,45\np2.png,50\np3.png,55\np4.png,99\n");
    snprintf(pair, sizeof(pair), "predictors=constant,external:%s", path);
    const char *pairs[] = {pair, "qf_first=42", "qf_last=50", NULL};
    struct vj_results *r = run_and_open("outside.h5", pairs);
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, PICTURES, constant);
    read_rows(r, "/predictors/external-outside/qf_pred", VJ_COLUMN_I32, 0, PICTURES, given);
    static const int32_t medians[] = {45, 45, 42, 42, 42}, nearest[] = {42, 45, 50, 50, 50};
    assert_memory_equal(constant, medians, sizeof(medians)); /* 45 45 40 35 35 */
    assert_memory_equal(given, nearest, sizeof(nearest));
    for (int p = 0; p < 2; p++)
        for (int m = 0; m < 3; m++) {
            double value;
            snprintf(path, sizeof(path), "/metrics/%s/%s", names[p], metrics[m]);
            assert_int_equal(vj_results_get_scalar(r, path, &value, &err), 0);
            assert_float_equal(value, at_no_offset(r, names[p], metrics[m]), 1e-12);
        }
    /* All at QF 42 and all at QF 50: 50 and 60 are the labels above. */
    double dqf[41], past[41];
    for (int p = 0; p < 2; p++) {
        snprintf(path, sizeof(path), "/metrics/%s/sweep/dqf", names[p]);
        read_rows(r, path, VJ_COLUMN_F64, 0, 41, dqf);
        snprintf(path, sizeof(path), "/metrics/%s/sweep/past_jnd_share", names[p]);
        read_rows(r, path, VJ_COLUMN_F64, 0, 41, past);
        assert_float_equal(dqf[0], (8 + 18) / 5.0, 1e-12);
        assert_float_equal(past[0], 2 / 5.0, 1e-12);
        assert_float_equal(dqf[40], 10 / 5.0, 1e-12);
        assert_float_equal(past[40], 1 / 5.0, 1e-12);
    }
    char *note;
    assert_int_equal(vj_results_get_text(r, "/predictors/external-outside", "note", &note, &err),
                     0);
    vj_assert_contains(note, "; 3 of them MOVED to the nearest of the quality factors 42 to 50");
    free(note);
    vj_results_close(r);
}

static void a_picture_that_lacks_scores_is_named_and_leaves_the_others_their_answers(void **state)
{
    (void)state;
    char path[4096], pair[4200], text[4000] = "image,qf,score\n";
    for (int q = 1; q <= 40; q++)
        snprintf(text + strlen(text), 40, "p0.png,%d,%s\n", q, q <= 33 ? "0.8" : "0.3");
    strcat(text, "p1.png,7,0.8\n");
    write_text(in_folder(path, "gaps.csv"), text);
    snprintf(pair, sizeof(pair), "predictors=external:%s", path);
    const char *pairs[] = {pair, "qf_last=40", NULL};
    struct vj_results *r = run_and_open("gaps.h5", pairs);
    char *source = text_of(r, "/metrics/external-gaps", "pairs"),
         *note = text_of(r, "/predictors/external-gaps", "note");
    vj_results_close(r);
    assert_string_equal(source, "answers");
    vj_assert_contains(note, "SCORES MISSING for 1 images");
    assert_null(strstr(note, "pairs are counted from the predictions"));
    free(source);
    free(note);
}

/* ---- measures ---- */

/* The run's own SSIM of every candidate. */
static void read_ssim(double ssim[PICTURES][LEVELS])
{
    static const char *const pairs[] = {"predictors=ssim-threshold:fit", "folds=manifest", NULL};
    struct vj_results *r = run_and_open("own.h5", pairs);
    read_rows(r, "/candidates/ssim", VJ_COLUMN_F64, 0, PICTURES, ssim);
    vj_results_close(r);
}

/* `factor` times SSIM, at the quality factors up to `last`. */
static void write_measure(const char *name, const char *column, double ssim[PICTURES][LEVELS],
                          double factor, int last)
{
    char path[4096];
    FILE *file = fopen(in_folder(path, name), "w");
    assert_non_null(file);
    fprintf(file, "image,qf,%s\n", column);
    for (int i = 0; i < PICTURES; i++)
        for (int q = 1; q <= last; q++)
            fprintf(file, "p%d.png,%d,%.17g\n", i, q, factor * ssim[i][q - 1]);
    fclose(file);
}

/* Interval and number of pictures, of a dataset that has them. */
static bool same_attribute(hid_t a, hid_t b, const char *name)
{
    if (H5Aexists(a, name) <= 0)
        return true;
    if (H5Aexists(b, name) <= 0)
        return false;
    double value[2] = {0};
    const hid_t attribute[] = {H5Aopen(a, name, H5P_DEFAULT), H5Aopen(b, name, H5P_DEFAULT)};
    bool same = true;
    for (int i = 0; i < 2; i++) {
        same = same && H5Aread(attribute[i], H5T_NATIVE_DOUBLE, &value[i]) >= 0;
        H5Aclose(attribute[i]);
    }
    return same && value[0] == value[1];
}

static bool same_values(hid_t a, hid_t b)
{
    const hid_t set[] = {a, b};
    double *data[2];
    size_t count[2];
    bool same = true;
    for (int i = 0; i < 2; i++) {
        hid_t space = H5Dget_space(set[i]);
        count[i] = (size_t)H5Sget_simple_extent_npoints(space);
        data[i] = calloc(count[i], sizeof(double));
        same =
            same && H5Dread(set[i], H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data[i]) >= 0;
        H5Sclose(space);
    }
    same = same && count[0] == count[1] && memcmp(data[0], data[1], count[0] * sizeof(double)) == 0;
    free(data[0]);
    free(data[1]);
    return same;
}

struct groups {
    hid_t other;
    size_t compared;
    char differs[256]; /* the first dataset that does */
};

/* No check fails within: leaving HDF5 by a jump would leave it locked for the next run's threads.
 */
static herr_t compare_dataset(hid_t group, const char *name, const H5O_info_t *info, void *user)
{
    static const char *const attributes[] = {"ci_low", "ci_high", "n"};
    struct groups *groups = user;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    hid_t mine = H5Dopen2(group, name, H5P_DEFAULT);
    hid_t other = H5Dopen2(groups->other, name, H5P_DEFAULT);
    bool same = other >= 0 && same_values(mine, other);
    for (size_t i = 0; same && i < sizeof(attributes) / sizeof(attributes[0]); i++)
        same = same_attribute(mine, other, attributes[i]);
    H5Dclose(mine);
    if (other >= 0)
        H5Dclose(other);
    if (!same)
        snprintf(groups->differs, sizeof(groups->differs), "%s", name);
    groups->compared++;
    return !same; /* ends the visit */
}

/* Every metric of the two predictors, in every fold, with its interval. */
static void assert_same_metrics(const char *output, const char *a, const char *b)
{
    char path[4096], group[2][128];
    snprintf(group[0], sizeof(group[0]), "/metrics/%s", a);
    snprintf(group[1], sizeof(group[1]), "/metrics/%s", b);
    hid_t file = H5Fopen(in_folder(path, output), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t first = H5Gopen2(file, group[0], H5P_DEFAULT);
    struct groups groups = {.other = H5Gopen2(file, group[1], H5P_DEFAULT)};
    const herr_t visited = H5Ovisit(first, H5_INDEX_NAME, H5_ITER_INC, compare_dataset, &groups);
    H5Gclose(first);
    H5Gclose(groups.other);
    H5Fclose(file);
    if (visited)
        fail_msg("%s of %s and %s differ", groups.differs, group[0], group[1]);
    assert_true(groups.compared > 20);
}

static bool has_column(struct vj_results *r, const char *predictor, const char *what)
{
    char path[128];
    snprintf(path, sizeof(path), "/predictors/%s/%s", predictor, what);
    return vj_results_has(r, path);
}

static void read_of(struct vj_results *r, const char *predictor, const char *what,
                    enum vj_column_type type, size_t count, void *data)
{
    char path[128];
    snprintf(path, sizeof(path), "/predictors/%s/%s", predictor, what);
    read_rows(r, path, type, 0, count, data);
}

/* SSIM from a file is the SSIM of the run: same thresholds, answers, predictions, metrics. */
static void a_measure_is_fitted_as_our_own_are(void **state)
{
    (void)state;
    static double ssim[PICTURES][LEVELS];
    static const char *const names[] = {"ssim-threshold", "external-quality",
                                        "external-distortion"};
    enum { OURS, QUALITY, DISTORTION, NAMES, FOLDS = 2 };
    char path[2][4096], pair[9000], expected[1000];
    static uint8_t lossy[NAMES][PICTURES * LEVELS];
    static float score[NAMES][PICTURES * LEVELS];
    int32_t qf[NAMES][PICTURES], fold[NAMES][FOLDS];
    double fit[NAMES][FOLDS];
    char *note[NAMES], *search[NAMES];
    read_ssim(ssim);
    write_measure("quality.csv", "quality", ssim, 1, LEVELS);
    write_measure("distortion.csv", "distortion", ssim, -1, LEVELS);
    snprintf(pair, sizeof(pair), "predictors=ssim-threshold:fit,external:%s,external:%s",
             in_folder(path[0], "quality.csv"), in_folder(path[1], "distortion.csv"));
    const char *const pairs[] = {pair, "folds=manifest", NULL};
    struct vj_results *r = run_and_open("measures.h5", pairs);
    for (int p = 0; p < NAMES; p++) {
        char group[128];
        snprintf(group, sizeof(group), "/predictors/%s", names[p]);
        read_of(r, names[p], "qf_pred", VJ_COLUMN_I32, PICTURES, qf[p]);
        read_of(r, names[p], "lossy", VJ_COLUMN_U8, PICTURES, lossy[p]);
        read_of(r, names[p], "score", VJ_COLUMN_F32, PICTURES, score[p]);
        read_of(r, names[p], "fit_fold", VJ_COLUMN_I32, FOLDS, fold[p]);
        read_of(r, names[p], "fit_parameter", VJ_COLUMN_F64, FOLDS, fit[p]);
        note[p] = text_of(r, group, "note");
        search[p] = text_of(r, group, "search");
        assert_false(has_column(r, names[p], "sur"));
        assert_false(vj_results_has_attribute(r, group, "tolerance"));
        assert_false(vj_results_has_attribute(r, group, "no_answer"));
    }
    vj_results_close(r);
    assert_true(fit[OURS][0] != fit[OURS][1]);
    for (int p = QUALITY; p < NAMES; p++) {
        assert_memory_equal(qf[p], qf[OURS], sizeof(qf[p]));
        assert_memory_equal(lossy[p], lossy[OURS], sizeof(lossy[p]));
        assert_memory_equal(fold[p], fold[OURS], sizeof(fold[p]));
        assert_string_equal(search[p], search[OURS]);
        assert_same_metrics("measures.h5", names[OURS], names[p]);
    }
    assert_memory_equal(score[QUALITY], score[OURS], sizeof(score[OURS]));
    assert_memory_equal(fit[QUALITY], fit[OURS], sizeof(fit[OURS]));
    for (int f = 0; f < FOLDS; f++)
        assert_true(fit[DISTORTION][f] == -fit[OURS][f]);
    snprintf(expected, sizeof(expected), "quality as given; %s", note[OURS]);
    assert_string_equal(note[QUALITY], expected);
    vj_assert_contains(note[DISTORTION], "distortion as given; threshold fitted outside the fold:");
    for (int p = 0; p < NAMES; p++) {
        free(note[p]);
        free(search[p]);
    }
}

/* A picture that lacks a value neither is predicted nor trains; the others are as without it. */
static void a_picture_without_all_values_of_a_measure_takes_no_part(void **state)
{
    (void)state;
    enum { LAST = 70, FOLDS = 2, WHOLE = 3 };
    static double ssim[PICTURES][LEVELS];
    char path[2][4096], pair[9000];
    int32_t qf[2][PICTURES];
    double fit[2][FOLDS];
    read_ssim(ssim);
    FILE *file = fopen(in_folder(path[0], "holes.csv"), "w");
    assert_non_null(file);
    fputs("image,qf,quality\n", file);
    for (int i = 0; i < PICTURES - 1; i++) /* p4 has no row */
        for (int q = 1; q <= LAST; q++)
            if (i == 0 && q == 7)
                fputs("p0,7, \n", file);
            else
                fprintf(file, "p%d,%d,%.17g\n", i, q, ssim[i][q - 1]);
    fputs("typo,1,0.5\n", file);
    fclose(file);
    write_measure("whole.csv", "quality", ssim, 1, LAST);
    snprintf(pair, sizeof(pair), "predictors=external:%s", path[0]);
    const char *const holes[] = {pair, "folds=manifest", "qf_last=70", NULL};
    struct vj_results *r = run_and_open("holes.h5", holes);
    read_of(r, "external-holes", "qf_pred", VJ_COLUMN_I32, PICTURES, qf[0]);
    read_of(r, "external-holes", "fit_parameter", VJ_COLUMN_F64, FOLDS, fit[0]);
    char *note = text_of(r, "/predictors/external-holes", "note");
    char *why = text_of(r, "/predictors/external-holes", "no_answer");
    vj_results_close(r);
    vj_assert_contains(note, "1 of the 5 images in ");
    vj_assert_contains(note, "(typo); quality as given; threshold fitted outside the fold: ");
    vj_assert_contains(note, "; NO ANSWER for 1 of 5 images: no row for 1, no quality for 0");
    vj_assert_contains(note, "; VALUES MISSING for 1 images at some of the quality factors 1 to "
                             "70: none of these is predicted or trains");
    assert_string_equal(why, "the external file has no row for it; or the external file lacks one "
                             "of its values");
    free(note);
    free(why);

    snprintf(pair, sizeof(pair), "predictors=external:%s", in_folder(path[1], "whole.csv"));
    const char *const whole[] = {pair, "folds=manifest", "qf_last=70", "ids=2-4", NULL};
    r = run_and_open("whole.h5", whole);
    read_of(r, "external-whole", "qf_pred", VJ_COLUMN_I32, WHOLE, qf[1]);
    read_of(r, "external-whole", "fit_parameter", VJ_COLUMN_F64, FOLDS, fit[1]);
    vj_results_close(r);
    assert_memory_equal(fit[0], fit[1], sizeof(fit[0]));
    assert_memory_equal(qf[0] + 1, qf[1], WHOLE * sizeof(int32_t));
    assert_int_equal(qf[0][0], -1);
    assert_int_equal(qf[0][4], -1);
}

static void a_measure_without_labels_or_folds_is_refused_before_the_run(void **state)
{
    (void)state;
    static double ssim[PICTURES][LEVELS];
    char path[4096], pair[9000], root[4200];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    write_measure("measure.csv", "distortion", ssim, 1, LEVELS);
    snprintf(pair, sizeof(pair), "predictors=external:%s", in_folder(path, "measure.csv"));
    write_text(in_folder(path, "none.csv"), "image,fold\np0.png,1\np1.png,2\n");
    snprintf(root, sizeof(root), "root=%s", path);
    const char *const bare[] = {root, pair, "folds=manifest", NULL};
    assert_int_equal(run("bare.h5", path, bare, &summary, &err), -EINVAL);
    assert_string_equal(err.text, "predictor external-measure is fitted to labels, and no image of "
                                  "this run has one; leave it out");
    const char *const whole[] = {pair, "folds=none", NULL};
    assert_int_equal(run("bare.h5", path, whole, &summary, &err), -EINVAL);
    vj_assert_contains(err.text, "predictor external-measure is fitted on the images outside each "
                                 "fold, and no image has a test fold; set option folds");
}

/* The constant is 43, 42 or 41: the median label of the other folds' pictures, one in each fold. */
static void many_folds_are_summed_up_in_the_note_and_listed_in_the_file(void **state)
{
    (void)state;
    enum { FOLDS = 14 };
    static const int32_t labels[FOLDS] = {40, 40, 40, 40, 40, 40, 42, 44, 44, 44, 44, 44, 44};
    char path[4096], root[4200], name[32], csv[2048] = "image,candidates,qf_true,fold\n",
                                           one[2048] = "image,candidates,qf_true,fold\n";
    for (int i = 0; i < FOLDS; i++) {
        snprintf(name, sizeof(name), "many%d.png", i);
        write_picture(in_folder(path, name), i, 3, WIDTH, HEIGHT);
        if (i < FOLDS - 1)
            snprintf(csv + strlen(csv), 64, "%s,,%d,%d\n", name, (int)labels[i], i + 1);
        snprintf(one + strlen(one), 64, i ? "%s,,,%d\n" : "%s,,42,%d\n", name, i + 1);
    }
    write_text(in_folder(path, "many.csv"), csv);
    snprintf(root, sizeof(root), "root=%s", path);
    const char *const pairs[] = {root,         "folds=manifest",     "qf_first=39",
                                 "qf_last=45", "image_metrics=none", NULL};
    struct vj_results *r = open_run("many.h5", "constant,compression-ratio:42", pairs);
    char *note = text_of(r, "/predictors/constant", "note");
    assert_string_equal(note, "median label outside the fold: 41 to 43 over 13 folds");
    free(note);
    note = text_of(r, "/predictors/compression-ratio", "note");
    assert_string_equal(note, "intercept + slope ln(compression ratio at QF 42), least squares "
                              "outside the fold: 13 folds");
    free(note);
    int32_t qf[FOLDS], fit_fold[FOLDS];
    int64_t fold[FOLDS];
    double fit[FOLDS], mad[FOLDS], bias[FOLDS];
    struct vj_error err = {0};
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, FOLDS - 1, qf);
    read_rows(r, "/predictors/constant/fit_fold", VJ_COLUMN_I32, 0, FOLDS - 1, fit_fold);
    read_rows(r, "/predictors/constant/fit_parameter", VJ_COLUMN_F64, 0, FOLDS - 1, fit);
    read_rows(r, "/metrics/constant/by_fold/mad", VJ_COLUMN_F64, 0, FOLDS - 1, mad);
    read_rows(r, "/metrics/constant/by_fold/bias", VJ_COLUMN_F64, 0, FOLDS - 1, bias);
    assert_int_equal(
        vj_results_get_ints(r, "/metrics/constant/by_fold/mad", "fold", fold, FOLDS - 1, &err), 0);
    for (int i = 0; i < FOLDS - 1; i++) {
        const int median = i < 6 ? 43 : i == 6 ? 42 : 41;
        assert_int_equal(qf[i], median);
        assert_float_equal(fit[i], median, 0);
        assert_int_equal(fit_fold[i], i + 1);
        assert_int_equal(fold[i], i + 1);
        assert_float_equal(mad[i], abs(median - labels[i]), 0);
        assert_float_equal(bias[i], median - labels[i], 0);
    }
    vj_results_close(r);
    /* One label: nothing to learn from for its own fold. */
    write_text(in_folder(path, "many.csv"), one);
    r = open_run("many.h5", "constant", pairs);
    note = text_of(r, "/predictors/constant", "note");
    assert_string_equal(note, "median label outside the fold: 42 to 42 over 13 folds; NO ANSWER in "
                              "fold 1: too few labelled images lie outside to fit anything on");
    free(note);
    vj_results_close(r);
}

/* In a run with folds a picture of none trains, and is judged by no predictor. */
static void a_picture_without_a_fold_is_predicted_by_nobody(void **state)
{
    (void)state;
    enum { THREE = 3, NAMES = 4 };
    static const char *const names[NAMES] = {"constant", "psnr-threshold", "pixel-chou95",
                                             "external-given"};
    char path[4096], predictors[4300], root[4200], object[128];
    write_text(in_folder(path, "given.csv"), "image,qf_pred\np0.png,45\np1.png,45\np3.png,45\n");
    snprintf(predictors, sizeof(predictors),
             "constant,psnr-threshold:30,pixel-chou95:0.05,external:%s", path);
    write_text(in_folder(path, "two-folds.csv"),
               "image,candidates,qf_true,fold\np0.png,,42,1\np1.png,,44,\np3.png,,48,2\n");
    snprintf(root, sizeof(root), "root=%s", path);
    const char *const pairs[] = {root, "folds=manifest", "qf_first=40", "qf_last=49", NULL};
    struct vj_results *r = open_run("two-folds.h5", predictors, pairs);
    struct vj_error err = {0};
    for (int p = 0; p < NAMES; p++) {
        int32_t qf[THREE], tolerance[THREE * 5];
        uint8_t lossy[THREE * 10];
        double given;
        read_of(r, names[p], "qf_pred", VJ_COLUMN_I32, THREE, qf);
        read_of(r, names[p], "lossy", VJ_COLUMN_U8, THREE, lossy);
        assert_true(qf[0] >= 40 && qf[1] == -1 && qf[2] >= 40);
        for (int k = 0; k < THREE * 10; k++)
            assert_int_equal(lossy[k] == VJ_LOSSY_UNANSWERED, k / 10 == 1);
        if (p == 2) {
            read_of(r, names[p], "qf_pred_tolerance", VJ_COLUMN_I32, THREE, tolerance);
            for (int k = 0; k < THREE * 5; k++)
                assert_int_equal(tolerance[k] == -1, k / 5 == 1);
        }
        /* What is given stands in the file, where there is such a thing. */
        snprintf(object, sizeof(object), "/predictors/%s", names[p]);
        if (p == 1 || p == 2) {
            assert_int_equal(vj_results_get_double(r, object, "tolerance", &given, &err), 0);
            assert_float_equal(given, p == 1 ? 30 : 0.05, 0);
        } else {
            assert_false(vj_results_has_attribute(r, object, "tolerance"));
        }
    }
    double constant;
    assert_int_equal(vj_results_get_scalar(r, "/metrics/constant/bias", &constant, &err), 0);
    assert_float_equal(constant, ((46 - 42) + (43 - 48)) / 2.0, 0); /* the others' medians */
    int64_t n;
    assert_int_equal(vj_results_get_int(r, "/metrics/constant/bias", "n", &n, &err), 0);
    assert_int_equal(n, 2);
    assert_false(vj_results_has_attribute(r, "/metrics/constant/bias", "ci_low"));
    char *units = text_of(r, "/metrics/constant/bias", "units");
    assert_string_equal(units, "QF");
    free(units);
    assert_false(vj_results_has_attribute(r, "/metrics/constant/past_jnd_share", "units"));
    vj_results_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(external_results_stand_beside_ours),
        cmocka_unit_test(absent_and_empty_rows_are_counted_apart),
        cmocka_unit_test(answers_outside_the_run_count_as_its_nearest_candidate),
        cmocka_unit_test(a_picture_that_lacks_scores_is_named_and_leaves_the_others_their_answers),
        cmocka_unit_test(a_measure_is_fitted_as_our_own_are),
        cmocka_unit_test(a_picture_without_all_values_of_a_measure_takes_no_part),
        cmocka_unit_test(a_measure_without_labels_or_folds_is_refused_before_the_run),
        cmocka_unit_test(a_picture_without_a_fold_is_predicted_by_nobody),
        cmocka_unit_test(many_folds_are_summed_up_in_the_note_and_listed_in_the_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
