/* SPDX-License-Identifier: MIT */
/* Reports for programs: JSON and CSV, and what they say of single pictures. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "eval/report_text.h"
#include "tests/eval/json_reader.h"
#include "tests/eval/report_sample.h"

static void json_is_valid_whatever_the_strings_and_numbers(void **state)
{
    (void)state;
    struct sample s;
    struct vj_text t = {0};
    fill_sample(&s);
    s.report.dataset = "quote \" backslash \\ tab \t bell \a newline \n done";
    s.name[0] = "bad utf-8 \xff\xfe\xc3( \xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80 end";
    s.name[1] = "good utf-8 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
    s.report.device = NULL;
    const struct vj_report_fact fact[] = {{"config", "configuration", "a = \"b\";\nc = 1;\n"}};
    s.report.fact = fact;
    s.report.facts = 1;
    s.row[0].images_per_second = INFINITY;
    s.comparison[0].result.wilcoxon.p = NAN;
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    int depth = 0;
    const char *end = json_space(json_value(t.data, &depth));
    assert_int_equal(*end, '\0');
    vj_assert_contains(t.data,
                       "\"quote \\\" backslash \\\\ tab \\t bell \\u0007 newline \\n done\"");
    vj_assert_contains(t.data, "bad utf-8 \\ufffd\\ufffd\\ufffd( \\ufffd\\ufffd\\ufffd ");
    vj_assert_contains(t.data, "good utf-8 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    vj_assert_contains(t.data, "\"config\": \"a = \\\"b\\\";\\nc = 1;\\n\"");
    vj_assert_contains(t.data, "\"device\": null");
    vj_assert_contains(t.data, "\"p\": null");
    vj_assert_contains(t.data, "\"p_holm\": 0.625");
    vj_assert_contains(t.data, "\"seed\": 18446744073709551615");
    assert_false(has_word(t.data, "nan"));
    assert_false(has_word(t.data, "inf"));
    vj_text_free(&t);

    struct vj_report empty = {0};
    assert_int_equal(vj_report_json(&t, &empty, NULL), 0);
    end = json_space(json_value(t.data, &depth));
    assert_int_equal(*end, '\0');
    vj_text_free(&t);
}

/* Splits one CSV record in place; returns what follows it. */
static char *csv_record(char *p, char **field, size_t *fields)
{
    for (*fields = 0;; p++) {
        char *write = p;
        assert_true(*fields < 16);
        field[(*fields)++] = p;
        if (*p == '"') {
            for (p++; *p != '"' || p[1] == '"'; *write++ = *p++) {
                assert_int_not_equal(*p, '\0');
                p += *p == '"';
            }
            p++;
        } else {
            p += strcspn(p, ",\r\n\"");
            write = p;
        }
        char separator = *p;
        assert_true(separator == ',' || (separator == '\r' && p[1] == '\n'));
        *write = '\0';
        if (separator == '\r')
            return p + 2;
    }
}

static void csv_reads_back_field_by_field_and_number_by_number(void **state)
{
    (void)state;
    struct sample s;
    struct vj_text t = {0};
    char *field[16];
    size_t fields, records = 0, found = 0;
    fill_sample(&s);
    s.row[1].name = "external-a \"quoted\", odd\r\nname";
    s.threshold.pooled.value[VJ_METRIC_RMSE].value = 1.0 / 3;
    assert_int_equal(vj_report_csv(&t, &s.report, NULL), 0);
    for (char *p = t.data; *p; records++) {
        p = csv_record(p, field, &fields);
        assert_int_equal(fields, 8);
        if (strcmp(field[0], s.row[1].name) == 0 && !*field[1] && strcmp(field[2], "rmse") == 0) {
            assert_true(strtod(field[3], NULL) == 1.0 / 3);
            assert_string_equal(field[6], "3");
            assert_string_equal(field[7], "QF");
            found++;
        }
    }
    assert_int_equal(found, 1);
    assert_int_equal(records, 1 + 4 * VJ_METRIC_SUR_MAE + 2 + 8);
    vj_text_free(&t);
    s.row[1].name = "psnr-threshold";
    assert_int_equal(vj_report_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\r\npsnr-threshold - constant,,mad_difference,-3.57,-5.57,-1.5");
    vj_assert_contains(t.data,
                       ",3,QF\r\npsnr-threshold - constant,,pair_accuracy_difference,0.031,");
    vj_assert_contains(t.data, "\r\npsnr-threshold - constant,,wilcoxon_p,0.5,,,3,\r\n"
                               "psnr-threshold - constant,,wilcoxon_p_holm,0.625,,,3,\r\n"
                               "psnr-threshold - constant,,mcnemar_p,0.00048828125,,,3,\r\n"
                               "psnr-threshold - constant,,nearer_a,2,,,3,\r\n"
                               "psnr-threshold - constant,,nearer_b,0,,,3,\r\n"
                               "psnr-threshold - constant,,tied,1,,,3,\r\n");
    vj_text_free(&t);
    s.row[1].name = "external-a \"quoted\", odd\r\nname";

    /* Sizes of the first picture alone: saved is what QF 37 takes less than QF 100. */
    uint32_t bytes[IMAGES * 100] = {[36] = 1500, [99] = 2000};
    const int32_t width[IMAGES] = {60, -1, -1, -1}, height[IMAGES] = {50, -1, -1, -1};
    s.report.bytes = bytes;
    s.report.image_width = width;
    s.report.image_height = height;
    assert_int_equal(vj_report_images_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "predictor,image,fold,qf_true,qf_pred,smallest_lossless_qf,failure,"
                               "qf_error,bytes,saving,bits_per_pixel\r\n");
    vj_assert_contains(t.data, "\r\nconstant,SRC01,1,36,36,37,,0,1500,0.25,4\r\n");
    vj_assert_contains(t.data, "\r\nconstant,caf\xc3\xa9,1,,36,37,,,,,\r\n");
    vj_assert_contains(t.data, "odd\r\nname\",SRC02,2,47,100,,,53,,,\r\n"); /* nothing above 100 */
    vj_assert_contains(t.data, "\r\nconstant,SRC04,2,40,,,SRC04_055.jpg: the file ends after");
    vj_text_free(&t);

    /* Pictures that did not fail, and have no prediction of the constant. */
    s.pred[0][0] = s.pred[0][1] = s.pred[0][2] = -1;
    s.row[0].no_answer = "nothing to learn from, it says";
    s.status[1] = -1;
    s.image_fold[2] = -1;
    assert_int_equal(vj_report_images_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data,
                       "\r\nconstant,SRC01,1,36,,,\"nothing to learn from, it says\",,,,\r\n");
    vj_assert_contains(t.data, "\r\nconstant,SRC02,2,47,,,not evaluated yet,,,,\r\n");
    vj_assert_contains(t.data,
                       "\r\nconstant,caf\xc3\xa9,,,,,belongs to no fold and is not tested,,,");
    vj_text_free(&t);
}

/* What is only said where there is something to say. */
static void json_has_what_was_found_in_the_data_set_and_why_answers_lack(void **state)
{
    (void)state;
    struct sample s;
    struct vj_text t = {0};
    int depth = 0;
    fill_sample(&s);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    static const char *const keys[] = {"\"axis\"", "\"excluded\"", "\"duplicates\"",
                                       "\"no_answer\"", "\"z\""};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_null(strstr(t.data, keys[i]));
    vj_text_free(&t);
    s.report.axis = "file NNN is QF 101 - NNN";
    s.report.excluded = "one number lacks a candidate";
    s.report.duplicates = "\"a\" is \"b\"";
    s.row[1].no_answer = "sides of 176 pixels";
    s.comparison[0].result.wilcoxon.method = VJ_TEST_NORMAL;
    s.comparison[0].result.wilcoxon.z = -2.5;
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\"axis\": \"file NNN is QF 101 - NNN\",");
    vj_assert_contains(t.data, "\"excluded\": \"one number lacks a candidate\",");
    vj_assert_contains(t.data, "\"duplicates\": \"\\\"a\\\" is \\\"b\\\"\",");
    vj_assert_contains(t.data, "\"no_answer\": \"sides of 176 pixels\",");
    vj_assert_contains(t.data, "\"z\": -2.5,");
    const char *end = json_space(json_value(t.data, &depth));
    assert_true(end && *end == '\0');
    vj_text_free(&t);
}

/* At JND 2 and 3: a prediction that is the anchor leaves no smallest lossless quality factor. */
static void nothing_above_the_anchor_is_called_the_smallest_lossless_one(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    int32_t anchor[IMAGES] = {36, 0, 37, 40};
    uint32_t bytes[IMAGES * 100];
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        bytes[i] = 1000;
    s.report.anchor = anchor;
    s.report.bytes = bytes;
    s.report.rows = 2;
    struct vj_text t = text_report(&s.report, VJ_REPORT_IMAGES);
    vj_assert_contains(t.data, "36 |   -");
    vj_assert_contains(t.data, "39 |  40");
    vj_assert_contains(t.data, "36 |  37");
    vj_assert_contains(t.data, "41 |   -");
    vj_text_free(&t);
    assert_int_equal(vj_report_images_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\r\nconstant,SRC01,1,36,36,,,0,,,\r\n");
    vj_assert_contains(t.data, "\r\nconstant,SRC02,2,47,39,40,,-8,1000,0,\r\n");
    vj_assert_contains(t.data, "\r\nconstant,caf\xc3\xa9,1,,36,37,,,1000,0,\r\n");
    vj_assert_contains(t.data, "\r\npsnr-threshold,caf\xc3\xa9,1,,41,,,,,,\r\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    assert_null(strstr(t.data, "\"smallest_lossless_qf\": 42"));
    vj_assert_contains(t.data, "\"smallest_lossless_qf\": 40");
    vj_text_free(&t);
}

/* Where nothing is visible the lowest QF is the smallest lossless one, if it was called so. */
static void the_lowest_qf_is_lossless_where_it_was_called_so(void **state)
{
    (void)state;
    struct sample s;
    fill_sample(&s);
    uint8_t lossy[IMAGES * 100] = {0};
    lossy[100] = 1;   /* SRC02 */
    lossy[200] = 255; /* the third */
    s.pred[1][0] = s.pred[1][1] = s.pred[1][2] = 1;
    s.row[1].lossy = lossy;
    s.report.rows = 2;
    struct vj_text t = text_report(&s.report, VJ_REPORT_IMAGES);
    vj_assert_contains(t.data, "1 |   1\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_images_csv(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\r\npsnr-threshold,SRC01,1,36,1,1,,-35,,,\r\n");
    vj_assert_contains(t.data, "\r\npsnr-threshold,SRC02,2,47,1,2,,-46,,,\r\n");
    vj_assert_contains(t.data, "\r\npsnr-threshold,caf\xc3\xa9,1,,1,2,,,,,\r\n");
    vj_text_free(&t);
    assert_int_equal(vj_report_json(&t, &s.report, NULL), 0);
    vj_assert_contains(t.data, "\"smallest_lossless_qf\": 1\n");
    vj_text_free(&t);
}

static void curves_in_csv_have_a_line_for_each_point_and_quantity(void **state)
{
    (void)state;
    struct sample s;
    struct vj_text t = {0};
    char *field[16];
    size_t fields, offsets = 0, tolerances = 0;
    fill_sample(&s);
    struct vj_sweep_point curve[2] = {s.sweep[0], s.sweep[1]};
    curve[0].tolerance = 1.0 / 3;
    curve[0].dpsnr_y = value(1.25, 0, 2);
    curve[1].tolerance = -1.5;
    s.row[1].name = "pixel-\"x\",y";
    s.row[1].tolerance = s.row[2].tolerance = curve; /* the last has random weights */
    s.row[1].tolerance_count = s.row[2].tolerance_count = 2;
    assert_int_equal(vj_report_sweep_csv(&t, &s.report, NULL), 0);
    assert_memory_equal(t.data, "predictor,axis,at,metric,value,n,units\r\n", 40);
    for (char *p = t.data + 40; *p;) {
        p = csv_record(p, field, &fields);
        assert_int_equal(fields, 7);
        assert_string_equal(field[0], s.row[1].name);
        bool offset = strcmp(field[1], "offset") == 0;
        assert_true(offset || strcmp(field[1], "tolerance") == 0);
        offsets += offset;
        if (offset) {
            vj_assert_in_range(atoi(field[2]) + 1, 0, SWEEP - 1);
            continue;
        }
        const struct vj_sweep_point *point = &curve[tolerances < 6 ? 0 : 1];
        assert_true(strtod(field[2], NULL) == point->tolerance);
        if (strcmp(field[3], "saving_mean") == 0)
            assert_true(strtod(field[4], NULL) == point->saving_mean.value);
        if (strcmp(field[3], "dqf") == 0)
            assert_string_equal(field[6], "QF");
        if (strcmp(field[3], "sur_at_prediction") == 0)
            assert_true(strtod(field[4], NULL) == point->sur_at_prediction.value);
        if (strcmp(field[3], "dpsnr_y") == 0) {
            assert_string_equal(field[4], "1.25");
            assert_string_equal(field[5], "2");
            assert_string_equal(field[6], "dB");
        }
        tolerances++;
    }
    assert_int_equal(offsets, 5 * SWEEP); /* five of seven quantities are known, */
    assert_int_equal(tolerances, 6 + 5);  /* at one tolerance six */
    vj_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_what_was_found_in_the_data_set_and_why_answers_lack),
        cmocka_unit_test(json_is_valid_whatever_the_strings_and_numbers),
        cmocka_unit_test(csv_reads_back_field_by_field_and_number_by_number),
        cmocka_unit_test(nothing_above_the_anchor_is_called_the_smallest_lossless_one),
        cmocka_unit_test(the_lowest_qf_is_lossless_where_it_was_called_so),
        cmocka_unit_test(curves_in_csv_have_a_line_for_each_point_and_quantity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
