/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "eval/report_text.h"
#include "tests/eval/json_reader.h"
#include "tests/eval/report_sample.h"

enum { ALL = VJ_REPORT_METRICS | VJ_REPORT_FOLDS | VJ_REPORT_SWEEP | VJ_REPORT_IMAGES };

static char *read_golden(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/eval/%s", VJ_TEST_GOLDEN, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = calloc(1, 100000);
    assert_non_null(data);
    assert_true(fread(data, 1, 99999, f) > 0);
    fclose(f);
    return data;
}

/*
 * The page as it was read and approved; VPJND_TEST_WRITE=FILE writes what the program prints now,
 * to be read and put in its place when the layout changes on purpose.
 */
static void the_text_report_looks_as_approved(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    struct vj_text t = text_report(&s.report, ALL);
    if (getenv("VPJND_TEST_WRITE")) {
        FILE *f = fopen(getenv("VPJND_TEST_WRITE"), "wb");
        assert_non_null(f);
        fwrite(t.data, 1, t.size, f);
        fclose(f);
    }
    char *golden = read_golden("report.txt");
    assert_string_equal(t.data, golden);
    free(golden);
    vj_text_free(&t);
}

static void assert_fits(const char *text, size_t columns)
{
    char line[4096];
    while (*text) {
        size_t size = strcspn(text, "\n");
        assert_true(size < sizeof(line));
        memcpy(line, text, size);
        line[size] = '\0';
        if (vj_text_columns(line) > columns)
            fail_msg("too long: %s", line);
        if (size && line[size - 1] == ' ')
            fail_msg("trailing space: %s", line);
        text += size + 1;
    }
}

static void assert_tidy(const char *text)
{
    assert_fits(text, VJ_REPORT_COLUMNS);
}

static void long_names_and_many_predictors_stay_within_100_columns(void **state)
{
    (void)state;
    enum { MANY = 9 };
    static const char *const names[MANY] = {
        "constant",
        "vpjnd-a-weight-file-with-a-rather-long-stem-of-its-own",
        "external-predictions-of-somebody-else",
        "ssim-threshold",
        "ms-ssim-threshold",
        "psnr-threshold",
        "pixel-chou95",
        "pixel-klt22",
        "pixel-yang05",
    };
    struct sample s;
    struct vj_report_row row[MANY];
    struct vj_report_comparison comparison = {.a = 1, .b = 2};
    fill_sample(&s);
    s.name[1] = "a/very/long/path/of/an/image/that/somebody/keeps/in/a/deep/folder/SRC02.png";
    s.error[3] =
        "a long text that goes on and on, naming the file, the field, the value that was "
        "found, the value that was expected, and what to do about all of this, which takes "
        "more than one line to say";
    s.report.label_definition = s.error[3];
    for (int i = 0; i < MANY; i++) {
        row[i] = s.row[1];
        row[i].name = names[i];
        row[i].note = s.error[3];
    }
    s.report.row = row;
    s.report.rows = MANY;
    s.report.comparison = &comparison;
    struct vj_text t = text_report(&s.report, ALL);
    assert_tidy(t.data);
    for (int i = 0; i < MANY; i++)
        vj_assert_contains(t.data, names[i]);
    vj_text_free(&t);
    fill_sample(&s);
    t = text_report(&s.report, ALL);
    assert_tidy(t.data);
    vj_text_free(&t);
}

/* "constant": how many lines of the table of accuracy the row takes, and what its head holds. */
static void check_accuracy_in(size_t columns, const char *name, bool one_line, const char *head)
{
    struct sample s;
    fill_sample(&s);
    s.row[0].name = name;
    s.report.columns = columns;
    struct vj_text t = text_report(&s.report, ALL);
    assert_fits(t.data, columns);
    const char *table = strstr(t.data, "\nAccuracy\n");
    assert_non_null(table);
    vj_assert_contains(table, head);
    char row[200];
    snprintf(row, sizeof(row), "\n%s%s", name, one_line ? "  " : "\n");
    vj_assert_contains(table, row);
    vj_text_free(&t);
}

/* Digits of the interval go first, then columns; only then does a row take two lines. */
static void short_lines_cost_columns_before_rows_are_broken(void **state)
{
    (void)state;
    check_accuracy_in(120, "constant", true, "MAD [95 %]        median RMSE  bias  acc. prec.");
    check_accuracy_in(100, "constant", true, "MAD [95 %]        median RMSE  bias  acc. prec.");
    check_accuracy_in(100, "constant-and-some-more", true, "MAD [95 %]        RMSE  bias  acc.");
    check_accuracy_in(97, "constant-and-some-more", true, "7.82 [6.3, 9.3]");
    check_accuracy_in(91, "constant-and-some-more", true, "MAD [95 %]       bias  acc. prec.");
    check_accuracy_in(91, "constant-and-some-more", true, "No room for RMSE: --metrics has it.");
    check_accuracy_in(80, "constant", true, "MAD [95 %]       bias  acc. prec.  dQF saved at JND");
    check_accuracy_in(80, "constant-and-some-more", true,
                      "No room for RMSE, lossless prec., saved at JND: --metrics has them.");
    check_accuracy_in(60, "constant", true,
                      "No room for RMSE, lossy prec., lossless prec., saved at JND");
    check_accuracy_in(60, "constant-and-some-more-than-there-is", false, "MAD [95 %]");
}

static void without_labels_there_is_a_table_of_what_there_is(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    s.report.qf_true = NULL;
    s.report.comparisons = 0;
    s.row[1].seen = 2;
    s.row[1].seen_of = 4;
    struct vj_text t = text_report(&s.report, 0);
    assert_tidy(t.data);
    assert_null(strstr(t.data, "MAD"));
    vj_assert_contains(t.data, "\npredictor        n  mean QF  saved, %\n");
    vj_assert_contains(t.data, "\nconstant         3     37.0      74.0\n"); /* 36 39 36 */
    vj_assert_contains(t.data, "\npsnr-threshold*  3     58.7      74.0\n"); /* 35 100 41 */
    vj_assert_contains(t.data, "\n* psnr-threshold: NOT A TEST: 2 of 4 pictures trained");
    vj_assert_contains(t.data, "--images lists the prediction");
    vj_assert_contains(t.data, "\nconstant: median JND outside the fold");
    assert_null(strstr(t.data, "NEVER SHOWN"));
    vj_text_free(&t);
}

static void what_predictors_agree_in_without_labels_is_in_every_form(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    struct vj_report_agreement agreement = {.a = 1, .b = 0, .result = {.images = 3}};
    struct vj_metric_value *v = agreement.result.value;
    v[VJ_AGREEMENT_DIFFERENCE] = value(21.75, 4.5, 3);
    v[VJ_AGREEMENT_ABS_DIFFERENCE] = value(22.25, 4, 3);
    v[VJ_AGREEMENT_EQUAL] = value(0.25, 0.125, 3);
    v[VJ_AGREEMENT_WITHIN_1] = value(0.375, 0.125, 3);
    v[VJ_AGREEMENT_WITHIN_5] = value(0.5, 0.125, 3);
    v[VJ_AGREEMENT_SAVING] = value(-0.0625, 0.03125, 2);
    s.report.qf_true = NULL;
    s.report.comparisons = 0;
    s.report.agreement = &agreement;
    s.report.agreements = 1;
    struct vj_text t = text_report(&s.report, 0);
    assert_tidy(t.data);
    vj_assert_contains(t.data, "\nDifferences, without labels\n\n");
    vj_assert_contains(t.data, "\nNo picture has a label, so nothing here says which predictor is "
                               "nearer to the truth.");
    vj_assert_contains(t.data, "\npsnr-threshold - constant\n");
    vj_assert_contains(t.data, " +21.75 [+17.25, +26.25]     22.25    25.0    37.5    50.0  -6.2 "
                               "[-9.4, -3.1]       -  3\n");
    vj_text_free(&t);
    s.report.columns = 72;
    t = text_report(&s.report, 0);
    assert_fits(t.data, 72);
    vj_assert_contains(t.data, " +21.8 [+17.2, +26.2]    22.25   25.0   37.5   50.0   -6.2      - "
                               "3\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "psnr-threshold - constant,,prediction_difference,21.75,17.25,26.25,"
                               "3,QF\r\n"
                               "psnr-threshold - constant,,prediction_abs_difference,22.25,18.25,"
                               "26.25,3,QF\r\n"
                               "psnr-threshold - constant,,equal_share,0.25,0.125,0.375,3,\r\n"
                               "psnr-threshold - constant,,within_1_share,0.375,0.25,0.5,3,\r\n"
                               "psnr-threshold - constant,,within_5_share,0.5,0.375,0.625,3,\r\n"
                               "psnr-threshold - constant,,saving_difference,-0.0625,-0.09375,"
                               "-0.03125,2,\r\n");
    assert_null(strstr(t.data, "bytes_difference"));
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\"agreements\": [\n    {\n      \"a\": \"psnr-threshold\",\n      "
                               "\"b\": \"constant\",\n      \"images\": 3,\n      "
                               "\"prediction_difference\": {\"value\": 21.75, ");
    vj_text_free(&t);
    assert_int_equal(vj_report_html(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "<h2>Differences, without labels</h2>");
    vj_assert_contains(t.data, "<td class=\"wide\">+21.75 <span>[+17.25, +26.25]</span></td>");
    vj_assert_contains(t.data, "<td>22.25</td><td>25.0</td><td>37.5</td><td>50.0</td>");
    vj_text_free(&t);
    agreement.b = 2; /* random weights */
    assert_int_equal(vj_report_text(&t, &s.report, 0, NULL), -EINVAL);
}

static void what_weights_have_seen_is_marked_in_every_form(void **state)
{
    (void)state;
    struct sample s;
    struct vj_text t = text_report((fill_sample(&s), &s.report), 0);
    assert_null(strstr(t.data, "NOT A TEST"));
    assert_null(strstr(t.data, "constant*"));
    vj_text_free(&t);
    s.row[0].seen = 3;
    s.row[1].seen = 2;
    s.row[0].seen_of = s.row[1].seen_of = 4;
    s.row[1].seen_if_released = true;
    t = text_report(&s.report, 0);
    assert_tidy(t.data);
    vj_assert_contains(t.data, "\nconstant*        7.82 ");
    vj_assert_contains(t.data, "\npsnr-threshold* - constant*\n");
    vj_assert_contains(t.data,
                       "\n* constant: NOT A TEST: 3 of 4 pictures trained or validated the weights "
                       "that judge them.\n"
                       "* psnr-threshold: NOT A TEST if these are the released weights: 2 of 4 "
                       "pictures are among");
    vj_text_free(&t);
    assert_int_equal(vj_report_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\r\nconstant,,seen_images,3,,,4,\r\n");
    vj_assert_contains(t.data, "\r\npsnr-threshold,,seen_images_if_released,2,,,4,\r\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\"not_a_test\": {\n        \"seen_images\": 3,\n        "
                               "\"images\": 4\n      }");
    vj_assert_contains(t.data, "\"seen_images_if_released\": 2");
    vj_text_free(&t);
}

static void some_pictures_without_a_label_are_counted(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    struct vj_text t = text_report(&s.report, 0);
    vj_assert_contains(t.data, "\npictures      4: 3 ok, 1 failed (3 pictures, 2 labelled)\n");
    vj_assert_contains(t.data, " and label (3 pictures, 2 labelled). Pairs of constant are ");
    vj_text_free(&t);
    s.qf_true[2] = 40;
    t = text_report(&s.report, 0);
    vj_assert_contains(t.data, "\npictures      4: 3 ok, 1 failed\n");
    assert_null(strstr(t.data, "labelled"));
    vj_text_free(&t);
}

static void how_patches_were_sampled_is_said_where_there_are_networks(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    struct vj_text t = text_report(&s.report, 0);
    assert_null(strstr(t.data, "\npatches "));
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    assert_null(strstr(t.data, "\"patches\""));
    vj_text_free(&t);
    s.report.patches = (struct vj_report_patches){.count = 64, .size = 128, .draws = 1};
    t = text_report(&s.report, 0);
    assert_tidy(t.data);
    vj_assert_contains(t.data, "\nseed          18446744073709551615\npatches       64 of 128x128 "
                               "pixels from each picture, drawn independently, 1 draw\n");
    vj_text_free(&t);
    s.report.patches.even = s.report.patches.own_map = true;
    s.report.patches.draws = 3;
    t = text_report(&s.report, 0);
    assert_tidy(t.data);
    vj_assert_contains(t.data, "evenly over it from a random start, 3 draws;\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\"patches\": {\n    \"count\": 64,\n    \"size\": 128,\n    "
                               "\"draws\": 3,\n    \"positions\": \"even\",\n    "
                               "\"jnd_patches\": \"independent\"\n  }");
    vj_text_free(&t);
    assert_int_equal(vj_report_html(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data,
                       "<dt>patches</dt><dd>64 of 128x128 pixels from each picture, evenly");
    vj_text_free(&t);
}

static void every_fifth_offset_is_shown(void **state)
{
    (void)state;
    struct sample s;
    struct vj_sweep_point sweep[41];
    fill_sample(&s);
    for (int i = 0; i < 41; i++) {
        sweep[i] = s.sweep[0];
        sweep[i].offset = i - 20;
    }
    s.row[1].sweep = sweep;
    s.row[1].sweep_count = 41;
    struct vj_text t = text_report(&s.report, VJ_REPORT_SWEEP);
    vj_assert_contains(t.data, "\nRate and damage with an offset (every fifth one, --sweep-csv has "
                               "all) added to");
    vj_assert_contains(t.data, "\n   -20     88.00");
    vj_assert_contains(t.data, "\n     0     88.00");
    vj_assert_contains(t.data, "\n   +15     88.00");
    assert_null(strstr(t.data, "\n   +16"));
    assert_null(strstr(t.data, "\n    -1"));
    vj_text_free(&t);
}

static void digests_are_cut_and_nothing_else(void **state)
{
    (void)state;
    static const char *const values[] = {
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef "
        "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
        "deadbeef and 12345678901234567890"};
    static const struct vj_report_run run[2] = {{.name = "a"}, {.name = "b"}};
    static const struct vj_report_difference difference[1] = {{"weights_sha256", false, values}};
    const struct vj_report report = {
        .run = run, .runs = 2, .difference = difference, .differences = 1};
    struct vj_text t = text_report(&report, 0);
    vj_assert_contains(t.data, "\n  a: 01234567 fedcba98\n  b: deadbeef and "
                               "12345678901234567890\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &report, NULL), 0);
    vj_assert_contains(t.data, values[0]);
    vj_text_free(&t);
}

static void random_weights_never_get_an_accuracy(void **state)
{
    (void)state;
    struct sample s;
    struct vj_error err = {0};
    fill_sample(&s);
    s.report.row = &s.row[2]; /* the random one alone, although it comes with metrics */
    s.report.rows = 1;
    s.report.comparisons = 0;
    struct vj_text t = text_report(&s.report, ALL);
    vj_assert_contains(t.data, "Throughput only (random weights)");
    vj_assert_contains(t.data, "3.25");
    assert_null(strstr(t.data, "MAD"));
    assert_null(strstr(t.data, "4.25"));
    assert_null(strstr(t.data, "NEVER SHOWN"));
    vj_text_free(&t);
    assert_int_equal(vj_report_csv(&t, &s.report, &err), 0);
    assert_string_equal(t.data, "predictor,fold,metric,value,ci_low,ci_high,n,units\r\n"
                                "vpjnd-init,,images_per_second,3.25,,,,1/s\r\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_images_csv(&t, &s.report, &err), 0);
    assert_null(strstr(t.data, "vpjnd-init"));
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, &err), 0);
    assert_null(strstr(t.data, "\"mad\""));
    assert_null(strstr(t.data, "qf_pred"));
    assert_null(strstr(t.data, "sweep"));
    vj_assert_contains(t.data, "\"images_per_second\": 3.25");
    vj_text_free(&t);
    struct vj_report_comparison c = {.a = 0, .b = 0};
    s.report.comparison = &c;
    s.report.comparisons = 1;
    assert_int_equal(vj_report_text(&t, &s.report, ALL, &err), -EINVAL);
    vj_assert_contains(err.text, "random weights");
    c.b = 1;
    assert_int_equal(vj_report_json(&t, &s.report, &err), -EINVAL);
    vj_assert_contains(err.text, "predictors 0 and 1, yet there are 1");
    assert_int_equal(t.size, 0);
}

static void a_curve_over_tolerances_stands_beside_that_over_offsets(void **state)
{
    (void)state;
    struct sample s;
    struct vj_error err = {0};
    fill_sample(&s);
    struct vj_text t = text_report(&s.report, ALL);
    assert_null(strstr(t.data, "tolerance"));
    vj_text_free(&t);
    struct vj_sweep_point curve[2] = {s.sweep[0], s.sweep[1]};
    curve[0].tolerance = 0.0125;
    curve[1].tolerance = -1.5;
    s.row[1].tolerance = s.row[2].tolerance = curve; /* the last has random weights */
    s.row[1].tolerance_count = s.row[2].tolerance_count = 2;
    t = text_report(&s.report, ALL);
    vj_assert_contains(t.data, "Rate and damage with other tolerances of psnr-threshold");
    vj_assert_contains(t.data,
                       "\n   0.0125     88.00    87.00      66.7  2.50        -         -  70.0");
    vj_assert_contains(t.data,
                       "\n     -1.5     87.00    86.00      66.7  1.50        -         -  75.0");
    assert_null(strstr(t.data, "other tolerances of vpjnd-init"));
    vj_text_free(&t);
    /* Without subjects there is no column of theirs. */
    curve[0].sur_at_prediction.present = curve[1].sur_at_prediction.present = false;
    t = text_report(&s.report, ALL);
    vj_assert_contains(t.data,
                       "\n   0.0125     88.00    87.00      66.7  2.50        -         -\n");
    vj_text_free(&t);
    t = text_report(&s.report, ALL & ~(unsigned)VJ_REPORT_SWEEP);
    assert_null(strstr(t.data, "tolerances"));
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, &err), 0);
    const char *found = strstr(t.data, "\"tolerance_sweep\": [");
    assert_non_null(found);
    vj_assert_contains(found, "\"tolerance\": 0.0125");
    vj_assert_contains(found, "\"tolerance\": -1.5");
    assert_null(strstr(found, "\"offset\""));
    assert_null(strstr(found + 2, "\"tolerance_sweep"));
    vj_text_free(&t);
}

static void labels_that_nobody_gave_are_called_that(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    const char *sentence = "No person gave these labels";
    struct vj_text t = text_report(&s.report, 0);
    assert_null(strstr(t.data, sentence));
    assert_null(strstr(t.data, "INCOMPLETE"));
    vj_text_free(&t);
    s.report.human_labels = false;
    s.report.complete = false;
    t = text_report(&s.report, 0);
    vj_assert_contains(t.data, sentence);
    vj_assert_contains(t.data, "INCOMPLETE");
    vj_text_free(&t);
    /* A definition that gives no label stays the one in force. */
    for (size_t i = 0; i < s.report.images; i++)
        s.qf_true[i] = VJ_EVAL_UNKNOWN;
    t = text_report(&s.report, 0);
    assert_null(strstr(t.data, sentence));
    vj_assert_contains(t.data,
                       "sqf: first drop of the stair function; no picture has such a label");
    vj_text_free(&t);
    s.report.qf_true = NULL;
    t = text_report(&s.report, 0);
    assert_null(strstr(t.data, sentence));
    vj_assert_contains(t.data, "none: predictions only");
    vj_text_free(&t);
}

static void what_is_absent_is_a_dash_in_text_and_no_key_in_json(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    for (int m = 0; m < VJ_METRIC_COUNT; m++)
        s.constant.pooled.value[m].present = m == VJ_METRIC_SAVING_MEAN;
    s.report.rows = 1;
    s.report.comparisons = 0;
    struct vj_text t = text_report(&s.report, VJ_REPORT_METRICS);
    assert_false(has_word(t.data, "nan"));
    vj_assert_contains(t.data, "\nconstant   -");
    vj_assert_contains(t.data, "\nmad                     -");
    assert_null(strstr(t.data, "Pairs:"));
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    assert_null(strstr(t.data, "\"mad\""));
    assert_null(strstr(t.data, "\"pairs\""));
    vj_assert_contains(t.data, "\"saving_mean\": {\"value\": 0.74");
    vj_text_free(&t);
    assert_int_equal(vj_report_csv(&t, &s.report, NULL), 0);
    assert_null(strstr(t.data, ",mad,"));
    vj_text_free(&t);
}

/* By their status: one without a text counts too, and a text alone is no failure. */
static void failed_pictures_are_counted_by_their_status(void **state)
{
    (void)state;
    static const char why[] = "failed; the results file does not say why";
    struct sample s;
    struct vj_text t = {0};
    fill_sample(&s);
    s.error[0] = "a text that nothing failed with";
    s.status[1] = 1;
    s.status[2] = 1;
    s.error[2] = "";
    assert_int_equal(vj_report_count_failed(&s.report), 3);
    t = text_report(&s.report, VJ_REPORT_IMAGES);
    vj_assert_contains(t.data, "4: 1 ok, 3 failed");
    vj_assert_contains(t.data, "Failures (3 of 4 pictures)\n\nSRC02: failed; the results file");
    assert_null(strstr(t.data, s.error[0]));
    vj_text_free(&t);
    assert_int_equal(vj_report_images_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\r\nconstant,SRC01,1,36,36,37,,0,,,\r\n");
    vj_assert_contains(t.data, ",failed; the results file does not say why,");
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, why);
    vj_text_free(&t);
    assert_int_equal(vj_report_html(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "4 pictures, 3 failed");
    vj_assert_contains(t.data, why);
    vj_text_free(&t);
    s.report.image_error = NULL;
    assert_int_equal(vj_report_count_failed(&s.report), 3);
    s.status[3] = -1;
    assert_int_equal(vj_report_count_failed(&s.report), 2);
}

static void names_from_files_cannot_steer_a_terminal(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    s.name[3] = "\x1b[2Jevil\rname\xc2\x9b";
    s.error[3] = "bad\x07 \x1b]0;title\x07 text\n  over lines \xff";
    s.row[0].name = "row\x1b[31m";
    s.report.dataset = "set\x1b[0m";
    struct vj_text t = text_report(&s.report, ALL);
    for (size_t i = 0; i < t.size; i++)
        assert_true((unsigned char)t.data[i] >= 0x20 || t.data[i] == '\n');
    assert_null(strstr(t.data, "\xc2\x9b"));
    vj_assert_contains(t.data, "?[2Jevil?name?: bad? ?]0;title? text? over lines ?");
    vj_text_free(&t);
}

static void long_findings_are_cut_between_characters(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    char text[1 + 2 * 200 + 1] = "a"; /* the 300 bytes shown end within an e acute */
    for (int i = 0; i < 200; i++)
        strcat(text, "\xc3\xa9");
    s.report.duplicates = text;
    struct vj_text t = text_report(&s.report, 0);
    vj_assert_contains(t.data, "\xc3\xa9...\n");
    assert_null(strchr(t.data, '?'));
    vj_text_free(&t);
}

/* The sample as a comparison of two files. */
static void add_runs(struct sample *s)
{
    static const struct vj_report_run run[] = {
        {.name = "good",
         .path = "results/good.h5",
         .program_version = "0.1.0",
         .device = "cpu",
         .seed = 1,
         .patches = {.count = 9, .size = 32, .draws = 1},
         .complete = true,
         .images = 5},
        {.name = "cut\x1b",
         .path = "cut.h5.part",
         .program_version = "0.2.0",
         .device = "cuda:0",
         .seed = 18446744073709551615u,
         .images = 6},
    };
    static const char *const labels[] = {"sqf: first drop", "sur75 \"counted\""};
    static const char *const axis[] = {"index = QF", NULL};
    static const struct vj_report_difference difference[] = {
        {.field = "label_definition", .barrier = true, .value = labels},
        {.field = "dataset_axis", .value = axis},
    };
    static const struct vj_report_left_out left_out[] = {
        {"SRC09", "failed in good: torn \x07 file"}};
    s->report.run = run;
    s->report.runs = 2;
    s->report.difference = difference;
    s->report.differences = 2;
    s->report.left_out = left_out;
    s->report.left_outs = 1;
}

static void a_comparison_says_whose_files_and_what_they_differ_in(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    add_runs(&s);
    s.report.difference++; /* the allowed one alone */
    s.report.differences = 1;
    struct vj_text t = text_report(&s.report, ALL);
    assert_tidy(t.data);
    assert_null(strstr(t.data, "NOT COMPARABLE"));
    vj_text_free(&t);
    add_runs(&s);
    t = text_report(&s.report, ALL);
    assert_tidy(t.data);
    vj_assert_contains(t.data, "Comparison of picture-wise JND evaluations, vpjnd 0.1.0");
    vj_assert_contains(t.data, "\npictures      4 in every run with a label, 1 left out\n");
    vj_assert_contains(t.data, "\ngood: results/good.h5 (5 pictures, seed 1, vpjnd 0.1.0, cpu; "
                               "patches: 9 of 32x32 pixels from each\n    picture, drawn "
                               "independently, 1 draw)\n"
                               "cut?: cut.h5.part (6 pictures, seed 18446744073709551615, vpjnd "
                               "0.2.0, cuda:0); INCOMPLETE: ");
    vj_assert_contains(t.data, "\nNOT COMPARABLE: the results files differ in\n\nlabel_definition\n"
                               "  good: sqf: first drop\n  cut?: sur75 \"counted\"\n");
    vj_assert_contains(t.data, "\nWhat else the results files differ in\n\ndataset_axis\n"
                               "  good: index = QF\n  cut?: -\n");
    vj_assert_contains(t.data, "\nLeft out of every figure (1 pictures)\n\n"
                               "SRC09: failed in good: torn ? file\n");
    assert_null(strstr(t.data, "results/mcl-jci.h5"));
    vj_text_free(&t);

    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    int depth = 0;
    const char *end = json_space(json_value(t.data, &depth));
    assert_int_equal(*end, '\0');
    vj_assert_contains(t.data, "\"schema\": \"vpjnd-comparison\"");
    vj_assert_contains(t.data, "\"seed\": 18446744073709551615");
    vj_assert_contains(t.data, "\"comparable\": false");
    vj_assert_contains(t.data, "\"reason\": \"failed in good: torn \\u0007 file\"");
    vj_text_free(&t);
}

static void running_out_of_memory_is_an_error_not_half_a_report(void **state)
{
    (void)state;
    struct sample s;
    struct vj_error err = {0};
    struct vj_text t = {.failed = true};
    fill_sample(&s);
    assert_int_equal(vj_report_text(&t, &s.report, ALL, &err), -ENOMEM);
    vj_assert_contains(err.text, "out of memory");
    assert_int_equal(vj_report_json(&t, &s.report, &err), -ENOMEM);
    assert_int_equal(vj_report_csv(&t, &s.report, &err), -ENOMEM);
    assert_int_equal(vj_report_images_csv(&t, &s.report, &err), -ENOMEM);
    assert_int_equal(vj_report_sweep_csv(&t, &s.report, &err), -ENOMEM);
    assert_null(t.data);
}

static void text_is_padded_by_columns_not_bytes(void **state)
{
    (void)state;
    struct vj_text t = {0};
    assert_int_equal(vj_text_columns("caf\xc3\xa9"), 4);
    assert_int_equal(vj_text_columns("\xff\xfe"), 2);
    vj_text_right(&t, "caf\xc3\xa9", 6);
    vj_text_left(&t, "caf\xc3\xa9", 6);
    vj_text_left(&t, "wider than that", 3);
    assert_string_equal(t.data, "  caf\xc3\xa9"
                                "caf\xc3\xa9  wider than that");
    vj_text_free(&t);
    vj_text_wrap(&t, "one two  three four", 3, 2, 9);
    assert_string_equal(t.data, "one\n  two\n  three\n  four\n");
    vj_text_free(&t);
    for (int i = 0; i < 10000; i++)
        vj_text_add(&t, "%d,", i);
    assert_int_equal(t.size, 48890);
    assert_int_equal(strlen(t.data), t.size);
    vj_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_report_looks_as_approved),
        cmocka_unit_test(long_names_and_many_predictors_stay_within_100_columns),
        cmocka_unit_test(short_lines_cost_columns_before_rows_are_broken),
        cmocka_unit_test(without_labels_there_is_a_table_of_what_there_is),
        cmocka_unit_test(what_predictors_agree_in_without_labels_is_in_every_form),
        cmocka_unit_test(what_weights_have_seen_is_marked_in_every_form),
        cmocka_unit_test(some_pictures_without_a_label_are_counted),
        cmocka_unit_test(how_patches_were_sampled_is_said_where_there_are_networks),
        cmocka_unit_test(every_fifth_offset_is_shown),
        cmocka_unit_test(digests_are_cut_and_nothing_else),
        cmocka_unit_test(random_weights_never_get_an_accuracy),
        cmocka_unit_test(a_curve_over_tolerances_stands_beside_that_over_offsets),
        cmocka_unit_test(labels_that_nobody_gave_are_called_that),
        cmocka_unit_test(what_is_absent_is_a_dash_in_text_and_no_key_in_json),
        cmocka_unit_test(failed_pictures_are_counted_by_their_status),
        cmocka_unit_test(names_from_files_cannot_steer_a_terminal),
        cmocka_unit_test(long_findings_are_cut_between_characters),
        cmocka_unit_test(a_comparison_says_whose_files_and_what_they_differ_in),
        cmocka_unit_test(running_out_of_memory_is_an_error_not_half_a_report),
        cmocka_unit_test(text_is_padded_by_columns_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
