/* SPDX-License-Identifier: MIT */
/* Others' figures: the file of the project, broken files, and how reports set them apart. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "eval/report.h"
#include "host/published.h"

#define HEADER                                                                                     \
    "model,data_set,codec,jnd,metric,point,relation,value,uncertainty,units,labels,source,note\n"

static void read_project(struct vj_published *p, const char *dataset)
{
    struct vj_error err = {0};
    *p = (struct vj_published){0};
    if (vj_published_read(p, VJ_PUBLISHED, dataset, &err))
        fail_msg("%s", err.text);
}

static const struct vj_report_published *find(const struct vj_published *p, const char *model,
                                              const char *metric, int jnd, const char *codec,
                                              int point)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct vj_report_published *r = &p->row[i];
        if (strcmp(r->model, model) == 0 && strcmp(r->metric, metric) == 0 && r->jnd == jnd &&
            strcmp(r->codec, codec) == 0 && r->point == point)
            return r;
    }
    fail_msg("no %s of %s", metric, model);
    return NULL;
}

static void the_projects_file_holds_the_published_figures(void **state)
{
    (void)state;
    static const struct {
        const char *model, *metric, *codec;
        int jnd, point;
        double value;
    } known[] = {
        {"VP-JND", "precision", "jpeg", 1, 0, 94.82},
        {"VP-JND", "mad", "jpeg", 1, 0, 3.92},
        {"VP-JND", "saving", "jpeg", 1, 0, 89.35},
        {"PW-JND", "pair_accuracy", "jpeg", 1, 0, 92},
        {"PW-JND", "abs_dpsnr", "jpeg", 1, 0, 0.79},
        {"SUR-Net", "bhattacharyya", "jpeg", 1, 0, 0.072},
        {"SUR-FeatNet", "bhattacharyya", "jpeg", 1, 0, 0.0810},
        {"SUR-FeatNet", "bhattacharyya", "jpeg", 3, 0, 0.0522},
        {"SUR-FeatNet", "abs_dpsnr", "jpeg", 2, 0, 0.69},
        {"MTL_JND", "abs_dpsnr", "", 1, 0, 0.72},
        {"SSIMULACRA2", "mean at the PJND", "bpg", 1, 0, 65.38},
        {"MS-SSIM", "mean at the PJND", "jpeg", 1, 0, 0.9922},
        {"PSNR-Y", "mean at the PJND", "jpeg", 1, 0, 36.70},
        {"VP-JND", "curve_dqf", "jpeg", 1, 2, 2.14},
        {"PW-JND", "curve_saving", "jpeg", 1, 1, 87.9},
        {"KLT", "curve_dpsnr", "jpeg", 1, 5, 4.92},
        {"ResJND", "curve_dms_ssim", "jpeg", 1, 5, 0.0340},
    };
    struct vj_published p;
    read_project(&p, NULL);
    assert_int_equal(p.count, 122); /* 22 figures and 25 points of four quantities */
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_true(
            find(&p, known[i].model, known[i].metric, known[i].jnd, known[i].codec, known[i].point)
                ->value == known[i].value);
    for (size_t i = 0; i < p.count; i++) {
        assert_true(*p.row[i].source && *p.row[i].note);
        assert_true((strncmp(p.row[i].metric, "curve_", 6) == 0) == (p.row[i].point > 0));
        assert_true(strtod(p.row[i].printed, NULL) == p.row[i].value);
        assert_true(isnan(p.row[i].uncertainty) == !*p.row[i].spread);
    }
    assert_true(find(&p, "SSIMULACRA2", "mean at the PJND", 1, "jpeg", 0)->uncertainty == 4.65);
    assert_true(find(&p, "VP-JND", "curve_dms_ssim", 1, "jpeg", 1)->below);
    vj_published_free(&p);
}

/* A figure typed wrongly would most likely break the order of its curve. */
static void every_curve_trades_saving_against_damage(void **state)
{
    (void)state;
    static const char *const models[] = {"VP-JND", "PW-JND", "FEP", "EPC", "KLT", "ResJND"};
    static const char *const damage[] = {"curve_dqf", "curve_dpsnr", "curve_dms_ssim"};
    struct vj_published p;
    read_project(&p, "mcl-jci");
    for (size_t m = 0; m < 6; m++) {
        int points = m < 2 ? 2 : 5;
        for (int k = 2; k <= points; k++) {
            assert_true(find(&p, models[m], "curve_saving", 1, "jpeg", k)->value >
                        find(&p, models[m], "curve_saving", 1, "jpeg", k - 1)->value);
            for (int d = 0; d < 3; d++) {
                const struct vj_report_published *a =
                    find(&p, models[m], damage[d], 1, "jpeg", k - 1);
                const struct vj_report_published *b = find(&p, models[m], damage[d], 1, "jpeg", k);
                assert_true(b->value > a->value || (a->below && b->below));
            }
        }
    }
    vj_published_free(&p);
}

static void only_rows_of_the_data_set_are_taken(void **state)
{
    (void)state;
    struct vj_published p;
    read_project(&p, "konjnd-1k");
    assert_int_equal(p.count, 8);
    for (size_t i = 0; i < p.count; i++)
        assert_string_equal(p.row[i].dataset, "konjnd-1k");
    vj_published_free(&p);
    read_project(&p, "mcl-jci");
    assert_int_equal(p.count, 112);
    vj_published_free(&p);
    read_project(&p, "synthetic");
    assert_int_equal(p.count, 0);
    vj_published_free(&p);
}

static void broken_files_are_refused_with_line_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"model,value\n", "p.csv:1: no column 'data_set'"},
        {HEADER "A,x,jpeg,1,mad,,,3.9x,,,,s,\n", "p.csv:2: value '3.9x' is no number"},
        {HEADER "A,x,jpeg,1,mad,,,,,,,s,\n", "p.csv:2: value '' is no number"},
        {HEADER "A,x,jpeg,1,mad,,,nan,,,,s,\n", "p.csv:2: value 'nan' is no number"},
        {HEADER "A,x,jpeg,1,mad,,,3,some,,,s,\n", "p.csv:2: uncertainty 'some' is no number"},
        {HEADER "A,x,jpeg,4,mad,,,3,,,,s,\n", "p.csv:2: jnd '4' is no whole number"},
        {HEADER "A,x,jpeg,1,mad,0,,3,,,,s,\n", "p.csv:2: point '0' is no whole number"},
        {HEADER "A,x,jpeg,1,mad,1.5,,3,,,,s,\n", "p.csv:2: point '1.5' is no whole number"},
        {HEADER "A,x,jpeg,1,mad,,>,3,,,,s,\n", "p.csv:2: relation '>' is neither empty nor <"},
        {HEADER ",x,jpeg,1,mad,,,3,,,,s,\n", "p.csv:2: model '' is empty"},
        {HEADER "A,x,jpeg,1,mad,,,3,,,,,\n", "p.csv:2: source '' is empty"},
        {HEADER "A,x,jpeg,1,,,,3,,,,s,\n", "p.csv:2: metric '' is empty"},
        {HEADER "A,x,jpeg,1,mad,,,3,,,,s\n", "p.csv:2: 12 fields where the first line names 13"},
        {HEADER "A,x,jpeg,1,mad,,,3,,,,\"s,\n", "the quote opened here is never closed"},
    };
    char *root = vj_test_mkdir();
    char path[4096];
    snprintf(path, sizeof(path), "%s/p.csv", root);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_published p = {0};
        struct vj_error err = {0};
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(cases[i].text, f);
        fclose(f);
        assert_int_equal(vj_published_read(&p, path, NULL, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].error);
        vj_published_free(&p);
    }
    struct vj_published p = {0};
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "%s/absent.csv", root);
    assert_int_equal(vj_published_read(&p, path, NULL, &err), -ENOENT);
    vj_assert_contains(err.text, "absent.csv");
    vj_published_free(&p);
    vj_test_rmdir(root);
}

/* This program lies in build/tests, where neither place beside it exists. */
static void without_a_name_the_working_folder_comes_first_and_places_are_named(void **state)
{
    (void)state;
    char *root = vj_test_mkdir(), *here = getcwd(NULL, 0);
    struct vj_published p = {0};
    struct vj_error err = {0};
    assert_int_equal(chdir(root), 0);
    assert_int_equal(vj_published_read(&p, NULL, NULL, &err), -ENOENT);
    vj_assert_contains(err.text, "neither results/published.csv here, nor "
                                 "../results/published.csv or ../share/vpjnd/published.csv beside "
                                 "the program; name the file with --published-file=FILE");
    vj_published_free(&p);
    assert_int_equal(system("mkdir results && cp '" VJ_PUBLISHED "' results"), 0);
    assert_int_equal(vj_published_read(&p, NULL, "konjnd-1k", &err), 0);
    assert_string_equal(p.file, "results/published.csv");
    assert_int_equal(p.count, 8);
    vj_published_free(&p);
    assert_int_equal(chdir(here), 0);
    free(here);
    vj_test_rmdir(root);
}

static void reports_set_others_figures_apart(void **state)
{
    (void)state;
    struct vj_published p;
    struct vj_text t = {0};
    struct vj_error err = {0};
    read_project(&p, "mcl-jci");
    struct vj_report report = {.dataset = "mcl-jci", .codec = "jpeg"};
    assert_int_equal(vj_report_text(&t, &report, 0, &err), 0);
    assert_null(strstr(t.data, "OTHERS"));
    vj_text_free(&t);
    report.published_file = p.file;
    report.published = p.row;
    report.publisheds = p.count;
    assert_int_equal(vj_report_text(&t, &report, 0, &err), 0);
    vj_assert_contains(t.data, "\nFIGURES OF OTHERS, as published, not measured here\n");
    vj_assert_contains(t.data,
                       "\nVP-JND       mcl-jci   jpeg     1  precision      94.82 %  [1]\n");
    vj_assert_contains(t.data, "\nSUR-FeatNet  mcl-jci   jpeg     1  bhattacharyya   0.0810");
    vj_assert_contains(t.data, "\nRate-damage curves of others\n");
    vj_assert_contains(t.data, "[1] VP-JND, IEEE TCSVT 2025, abstract. Labels: not stated. Note: "
                               "which precision is meant");
    assert_null(strstr(t.data, "konjnd-1k"));
    for (const char *line = t.data; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= VJ_REPORT_COLUMNS);
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &report, &err), 0);
    vj_assert_contains(t.data, "\"predictors\": []");
    vj_assert_contains(t.data, "\"value_below\": 0.001");
    vj_assert_contains(t.data, "\"value\": 94.82");
    vj_text_free(&t);
    assert_int_equal(vj_report_csv(&t, &report, &err), 0);
    assert_null(strstr(t.data, "VP-JND"));
    vj_text_free(&t);
    report.publisheds = 0;
    assert_int_equal(vj_report_text(&t, &report, 0, &err), 0);
    vj_assert_contains(t.data, "has none of data set mcl-jci");
    vj_text_free(&t);
    vj_published_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_projects_file_holds_the_published_figures),
        cmocka_unit_test(every_curve_trades_saving_against_damage),
        cmocka_unit_test(only_rows_of_the_data_set_are_taken),
        cmocka_unit_test(broken_files_are_refused_with_line_and_value),
        cmocka_unit_test(without_a_name_the_working_folder_comes_first_and_places_are_named),
        cmocka_unit_test(reports_set_others_figures_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
