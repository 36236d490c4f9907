/* SPDX-License-Identifier: MIT */
/* The report as LaTeX: figures where they belong, and nothing that TeX would take for a command. */
#include "tests/vj_test.h"

#include <math.h>

#include "tests/eval/report_sample.h"

static char *latex_of(const struct vj_report *report)
{
    struct vj_text t = {0};
    struct vj_error err = {0};
    if (vj_report_latex(&t, report, &err))
        fail_msg("%s", err.text);
    return t.data; /* freed by the caller */
}

static void figures_stand_under_their_heads(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char *t = latex_of(&s.report);
    vj_assert_contains(t, "% made by vpjnd 0.1.0\n% results file results/mcl-jci.h5\n"
                          "% random weights, no figures: vpjnd-init\n");
    vj_assert_contains(t, "\\caption{Data set: mcl-jci. Labels: sqf: first drop of the stair "
                          "function. Candidates: jpeg, QF 1 to 100. Folds: surfeatnet10. In "
                          "brackets: 95\\,\\% intervals, expanded percentile bootstrap, 2000 "
                          "resamples.\n");
    vj_assert_contains(t, "\n    constant & $7.82$ [$6.3$, $9.3$] & $7.95$ & $-1.96$ & $85.0$ & "
                          "$84.0$ & $83.0$ & $9.32$ & $74.0$ & $72.0$ & $71.0$ & 3 \\\\\n"
                          "    psnr-threshold & $4.25$ [$2.8$, $5.8$]");
    vj_assert_contains(t, "\n    psnr-threshold $-$ constant & $-3.57$ [$-5.6$, $-1.6$] & $+3.10$ "
                          "[$+1.1$, $+5.1$] & 0.5000 & 0.6250 & 0.0005 & 3 \\\\\n");
    assert_null(strstr(t, "NEVER SHOWN"));
    assert_null(strstr(t, "vpjnd-init &"));
    assert_null(strstr(t, "made-up"));
    free(t);
    /* p-values that are small, and tests of nothing. */
    s.comparison[0].result.wilcoxon.p = 1e-7;
    s.comparison[0].result.mcnemar.method = VJ_TEST_NONE;
    t = latex_of(&s.report);
    vj_assert_contains(t, " & $<$0.0001 & 0.6250 & -- & 3 ");
    free(t);
}

static void what_no_predictor_has_is_no_column(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    static const enum vj_metric gone[] = {VJ_METRIC_MAD,
                                          VJ_METRIC_RMSE,
                                          VJ_METRIC_BIAS,
                                          VJ_METRIC_PAIR_ACCURACY,
                                          VJ_METRIC_DQF,
                                          VJ_METRIC_PRECISION_LOSSY,
                                          VJ_METRIC_PAST_JND_SHARE,
                                          VJ_METRIC_PRECISION_LOSSLESS};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        s.constant.pooled.value[gone[i]].present = s.threshold.pooled.value[gone[i]].present =
            false;
    s.constant.pooled.value[VJ_METRIC_SAVING_AT_TRUTH].present = false;
    s.report.comparisons = 0;
    char *t = latex_of(&s.report);
    vj_assert_contains(t, "\\begin{tabular}{lrrr}\n");
    vj_assert_contains(t, "\n    predictor & saved & at JND & $n$ \\\\\n");
    vj_assert_contains(t, "\n    constant & $74.0$ & -- & 3 \\\\\n");
    assert_null(strstr(t, "Differences"));
    free(t);
    s.report.rows = 0;
    t = latex_of(&s.report);
    assert_null(strstr(t, "tabular"));
    free(t);
}

static void whose_labels_they_are_and_what_is_no_test_stands_in_the_caption(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    s.report.human_labels = false;
    s.row[1].seen = 2;
    s.row[1].seen_of = 3;
    s.threshold.pairs = VJ_PAIRS_FROM_ANSWERS;
    char *t = latex_of(&s.report);
    vj_assert_contains(t, " They come from a made-up observer, not from people.");
    vj_assert_contains(t,
                       "in \\%. Pairs of constant are counted from the step at the predicted QF, "
                       "those of the others from their answers.\n");
    vj_assert_contains(t, "\\textsuperscript{*}psnr-threshold: NOT A TEST: 2 of 3 pictures");
    vj_assert_contains(t, "\n    psnr-threshold\\textsuperscript{*} & ");
    vj_assert_contains(t, "\n    psnr-threshold\\textsuperscript{*} $-$ constant & ");
    free(t);
}

/* Reads a document without comments: braces pair, and mathematics ends in its line. */
static void check_tex(const char *t)
{
    int depth = 0, dollars = 0;
    for (; *t; t++) {
        if (*t == '\\' && t[1]) {
            t++;
            continue;
        }
        if (*t == '%')
            t += strcspn(t, "\n");
        depth += (*t == '{') - (*t == '}');
        dollars += *t == '$';
        assert_true(depth >= 0);
        assert_null(memchr("#^~", *t ? *t : 'x', 3));
        assert_true(*t != '_');
        assert_true((unsigned char)*t >= ' ' || *t == '\n');
        if (*t == '\n') {
            assert_int_equal(dollars % 2, 0);
            dollars = 0;
        }
        if (!*t)
            break;
    }
    assert_int_equal(depth, 0);
}

static void no_string_is_taken_for_a_command(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    static const char hostile[] = "\\input{/etc/passwd} $x$ %a #1 a_b a^b ~ & } { \n\t\x1b \xff";
    s.row[0].name = s.row[1].name = s.row[2].name = hostile;
    s.report.dataset = s.report.label_definition = s.report.codec = s.report.folds = hostile;
    s.report.results_file = s.report.program_version = hostile;
    s.row[0].seen = 1;
    char *t = latex_of(&s.report);
    check_tex(t);
    assert_null(strstr(t, "\n    \\input"));
    vj_assert_contains(t, "\\textbackslash{}input\\{/etc/passwd\\} \\$x\\$ \\%a \\#1 a\\_b "
                          "a\\textasciicircum{}b \\textasciitilde{} \\& \\} \\{ ??? ?");
    free(t);
    /* A table's row has as many cells as its head. */
    fill_sample(&s);
    t = latex_of(&s.report);
    check_tex(t);
    const char *head = strstr(t, "    predictor & "), *row = strstr(t, "    constant & ");
    size_t cells[2] = {0};
    for (; *head != '\n'; head++)
        cells[0] += *head == '&';
    for (; *row != '\n'; row++)
        cells[1] += *row == '&';
    assert_int_equal(cells[0], 11);
    assert_int_equal(cells[1], 11);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_stand_under_their_heads),
        cmocka_unit_test(what_no_predictor_has_is_no_column),
        cmocka_unit_test(whose_labels_they_are_and_what_is_no_test_stands_in_the_caption),
        cmocka_unit_test(no_string_is_taken_for_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
