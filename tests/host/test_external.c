/* SPDX-License-Identifier: MIT */
/* Answers and scores of other programs in whole runs. */
#include "tests/host/run_five.h"

#include <errno.h>
#include <math.h>

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
        {"/predictors/external-scores", "for 4 of 5 images: no row for 3, no score for 1"},
    };
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        char *note = text_of(r, said[i][0], "note");
        vj_assert_contains(note, said[i][1]);
        assert_null(strstr(note, "SCORES MISSING"));
        free(note);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(external_results_stand_beside_ours),
        cmocka_unit_test(answers_outside_the_run_count_as_its_nearest_candidate),
        cmocka_unit_test(a_picture_that_lacks_scores_is_named_and_leaves_the_others_their_answers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
