/* SPDX-License-Identifier: MIT */
/* Several results files in one report: files made by small runs whose predictions are given. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "host/compare_file.h"
#include "host/image.h"
#include "host/options.h"
#include "host/report_file.h"
#include "host/results.h"
#include "host/run.h"

enum { PICTURES = 6, LAST = 20 };

static char *folder;

static const char *in_folder(const char *name)
{
    static char path[8][4096];
    static int next;
    next = (next + 1) % 8;
    snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
    return path[next];
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A manifest of the first `count` pictures; label 0 = none. */
static void write_manifest(const char *name, const int *label, int count)
{
    char csv[2048] = "image,candidates,qf_true,fold\n";
    for (int i = 0; i < count; i++) {
        size_t used = strlen(csv);
        if (label[i])
            snprintf(csv + used, sizeof(csv) - used, "p%d.png,,%d,%d\n", i, label[i], 1 + i % 2);
        else
            snprintf(csv + used, sizeof(csv) - used, "p%d.png,,,%d\n", i, 1 + i % 2);
    }
    write_text(name, csv);
}

static void write_predictions(const char *name, const int *qf, int count)
{
    char csv[2048] = "image,qf_pred\n";
    for (int i = 0; i < count; i++)
        snprintf(csv + strlen(csv), 64, "p%d.png,%d\n", i, qf[i]);
    write_text(name, csv);
}

/* Runs `settings` (separated by blanks) over the defaults into `output`. */
static void evaluate(const char *output, const char *settings)
{
    struct vj_config config;
    struct vj_run_summary summary;
    struct vj_error err = {0};
    char text[4096], *rest = text;
    static const char *const base[] = {"dataset=manifest",   "folds=manifest", "qf_last=20",
                                       "image_metrics=none", "bootstrap=200",  "threads=1"};
    vj_config_defaults(&config, VJ_USE_EVAL);
    for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
        assert_int_equal(vj_config_set_pair(&config, base[i], &err), 0);
    snprintf(text, sizeof(text), "%s", settings);
    for (char *pair; (pair = strsep(&rest, " "));) {
        char full[4096], *star = strchr(pair, '*'); /* * stands for the folder */
        if (star)
            snprintf(full, sizeof(full), "%.*s%s%s", (int)(star - pair), pair, folder, star + 1);
        else
            snprintf(full, sizeof(full), "%s", pair);
        if (vj_config_set_pair(&config, full, &err))
            fail_msg("%s: %s", full, err.text);
    }
    const struct vj_run_options options = {
        .config = &config, .output = in_folder(output), .command_line = "test"};
    if (vj_run_eval(&options, &summary, &err))
        fail_msg("%s: %s", output, err.text);
}

static const int labels[PICTURES] = {5, 8, 11, 14, 9, 17};
static const int theirs[PICTURES] = {6, 8, 15, 14, 3, 19}; /* |error| 1 0 4 0 6 2 */
static const int others[PICTURES] = {5, 9, 14, 10, 9, 19}; /* |error| 0 1 3 4 0 2 */

static int set_up(void **state)
{
    (void)state;
    struct vj_error err = {0};
    folder = vj_test_mkdir();
    for (int i = 0; i < PICTURES; i++) {
        struct vj_image img;
        char name[32];
        snprintf(name, sizeof(name), "p%d.png", i);
        assert_int_equal(vj_image_alloc(&img, 40, 32, 3, &err), 0);
        for (size_t k = 0; k < (size_t)40 * 32 * 3; k++)
            img.data[k] = (uint8_t)((k * (size_t)(5 + i)) ^ (k / 7));
        assert_int_equal(vj_image_write_png(&img, in_folder(name), &err), 0);
        vj_image_free(&img);
    }
    write_manifest("all.csv", labels, PICTURES);
    write_predictions("x.csv", theirs, PICTURES);
    write_predictions("y.csv", others, PICTURES);
    evaluate("one.h5", "root=*/all.csv predictors=constant,external:*/x.csv");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* Compares files of the folder; NULL ends the list. Returns the code, the text in *out. */
static int compare(struct vj_text *out, const struct vj_compare_options *options,
                   struct vj_error *err, ...) __attribute__((sentinel));

static int compare(struct vj_text *out, const struct vj_compare_options *options,
                   struct vj_error *err, ...)
{
    struct vj_compare_options full = *options;
    const char *path[8];
    va_list args;
    va_start(args, err);
    for (const char *name; (name = va_arg(args, const char *));)
        path[full.count++] = in_folder(name);
    va_end(args);
    full.path = path;
    *out = (struct vj_text){0};
    return vj_compare_files(out, &full, err);
}

static const struct vj_compare_options plain = {.report.form = VJ_REPORT_FORM_TEXT};

static void assert_compared(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no \"%s\" in\n%s", line, text);
}

static void predictors_of_all_files_stand_in_one_table(void **state)
{
    (void)state;
    struct vj_text t, single = {0};
    struct vj_error err = {0};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV};
    evaluate("two.h5", "root=*/all.csv predictors=constant,external:*/y.csv");
    if (compare(&t, &csv, &err, "one.h5", "two.h5", NULL))
        fail_msg("%s", err.text);
    /* Equal names carry the file's stem; the others stay as they are. */
    assert_compared(t.data, "\r\none/constant,,mad,");
    assert_compared(t.data, "\r\ntwo/constant,,mad,");
    assert_null(strstr(t.data, "\r\nconstant,"));
    assert_compared(t.data, "\r\nexternal-x,,mad,");
    assert_compared(t.data, "\r\nexternal-y,,mad,");
    /* Errors 1 0 4 0 6 2 against 0 1 3 4 0 2: x is nearer for two images, y for three. */
    assert_compared(t.data, "\r\nexternal-y - external-x,,nearer_a,3,,,6,\r\n");
    assert_compared(t.data, "\r\nexternal-y - external-x,,nearer_b,2,,,6,\r\n");
    assert_compared(t.data, "\r\nexternal-y - external-x,,tied,1,,,6,\r\n");
    assert_compared(t.data, "\r\ntwo/constant - one/constant,,tied,6,,,6,\r\n");
    /* MAD 10/6 against 13/6. */
    char *line = strstr(t.data, "external-y - external-x,,mad_difference,");
    assert_non_null(line);
    assert_true(fabs(strtod(line + strlen("external-y - external-x,,mad_difference,"), NULL) +
                     0.5) < 1e-12);
    /* What a file says of itself it says here too, intervals included. */
    assert_int_equal(vj_report_file(&single, in_folder("two.h5"), &csv.report, &err), 0);
    char *mine = strstr(single.data, "external-y,,mad,");
    assert_non_null(mine);
    mine[strcspn(mine, "\r")] = '\0';
    assert_compared(t.data, mine);
    vj_text_free(&single);
    vj_text_free(&t);
}

static void a_report_says_what_it_is_of(void **state)
{
    (void)state;
    struct vj_text json = {0};
    struct vj_error err = {0};
    char file[4200];
    const struct vj_report_options options = {.form = VJ_REPORT_FORM_JSON};
    evaluate("range.h5", "root=*/all.csv qf_first=3 qf_last=19 seed=12 predictors=constant");
    assert_int_equal(vj_report_file(&json, in_folder("range.h5"), &options, &err), 0);
    snprintf(file, sizeof(file), "\"results_file\": \"%s\"", in_folder("range.h5"));
    assert_compared(json.data, file);
    assert_compared(json.data, "\"qf_first\": 3,");
    assert_compared(json.data, "\"qf_last\": 19,");
    assert_compared(json.data, "\"seed\": 12,");
    assert_compared(json.data, "\"resamples\": 200");
    vj_text_free(&json);
}

static void one_predictor_can_be_the_measure_of_all(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_compare_options options = {.report.form = VJ_REPORT_FORM_TEXT,
                                         .report.against = "external-x"};
    evaluate("two.h5", "root=*/all.csv predictors=constant,external:*/y.csv");
    assert_int_equal(compare(&t, &options, &err, "one.h5", "two.h5", NULL), 0);
    assert_compared(t.data, "external-y - external-x");
    assert_compared(t.data, "two/constant - external-x");
    assert_null(strstr(t.data, "two/constant - one/constant"));
    assert_compared(t.data, "comparisons (3).");
    vj_text_free(&t);
    /* Of three tests the smallest p-value counts three times, none less than once. */
    options.report.form = VJ_REPORT_FORM_JSON;
    assert_int_equal(compare(&t, &options, &err, "one.h5", "two.h5", NULL), 0);
    double single[3], corrected[3];
    int smallest = 0;
    char *at = strstr(t.data, "\"comparisons\"");
    for (int i = 0; i < 3; i++) {
        at = strstr(at, "\"wilcoxon\"");
        single[i] = strtod(strstr(at, "\"p\": ") + 5, NULL);
        at = strstr(at, "\"p_holm\": ");
        corrected[i] = strtod(at + 10, NULL);
        smallest = single[i] < single[smallest] ? i : smallest;
    }
    assert_true(single[smallest] > 0 && single[smallest] < 1);
    assert_true(fabs(corrected[smallest] - fmin(1, 3 * single[smallest])) < 1e-12);
    for (int i = 0; i < 3; i++)
        assert_true(corrected[i] >= single[i] && corrected[i] >= corrected[smallest]);
    options.report.form = VJ_REPORT_FORM_TEXT;
    vj_text_free(&t);
    /* Both files' constants say the same: the name is enough, and they are one row. */
    options.report.against = "constant";
    assert_int_equal(compare(&t, &options, &err, "one.h5", "two.h5", NULL), 0);
    assert_compared(t.data, "\nconstant    ");
    assert_compared(t.data, "\nexternal-x - constant");
    assert_compared(t.data, "\nexternal-y - constant");
    assert_null(strstr(t.data, "/constant"));
    vj_text_free(&t);
    /* Of two that differ only their full names tell which is meant. */
    evaluate("three.h5", "root=*/all.csv folds=none predictors=constant");
    options.force = true;
    assert_int_equal(compare(&t, &options, &err, "one.h5", "three.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "no predictor 'constant' to compare with; there are one/constant, "
                                 "external-x, three/constant");
    vj_text_free(&t);
}

static void images_are_listed_with_every_prediction(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    const struct vj_compare_options images = {
        .report = {.form = VJ_REPORT_FORM_TEXT, .sections = VJ_REPORT_IMAGES}};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_IMAGES_CSV};
    evaluate("two.h5", "root=*/all.csv predictors=constant,external:*/y.csv");
    assert_int_equal(compare(&t, &images, &err, "one.h5", "two.h5", NULL), 0);
    assert_compared(t.data, "\np4.png      1     9");
    vj_text_free(&t);
    assert_int_equal(compare(&t, &csv, &err, "one.h5", "two.h5", NULL), 0);
    assert_compared(t.data, "\r\nexternal-x,p4.png,1,9,3,4,,-6,");
    assert_compared(t.data, "\r\nexternal-y,p4.png,1,9,9,10,,0,");
    assert_compared(t.data, "\r\nexternal-y,p5.png,2,17,19,20,,2,");
    vj_text_free(&t);
}

/* Every way in which figures stop being comparable: refused with both values, done when forced. */
static void runs_that_are_not_comparable_are_refused_with_what_differs(void **state)
{
    (void)state;
    static const int moved[PICTURES] = {5, 8, 12, 14, 9, 17};
    static const struct {
        const char *settings, *refusal, *listing;
    } cases[] = {
        {"root=*/moved.csv predictors=external:*/y.csv",
         "they differ in dataset_fingerprint, labels (qf_true). Evaluate them alike, or add "
         "--force",
         "labels (qf_true)\n  one: p2.png: 11\n  other: p2.png: 12\n"},
        {"root=*/five.csv predictors=external:*/y.csv",
         "they differ in dataset_fingerprint, images.",
         "images\n  one: 6 images\n  other: 5 images; without p5.png\n"},
        {"root=*/all.csv ids=1-2 predictors=external:*/y.csv", "they differ in images.",
         "  other: 2 images; without p2.png, p3.png, p4.png, p5.png\n"},
        {"root=*/all.csv part=1/2 predictors=external:*/y.csv",
         "they differ in images. Evaluate them alike, or add --force; `vpjnd eval --rows-from` "
         "makes one file of the parts of a sweep",
         "  other: 3 images; without p3.png, p4.png, p5.png\n"},
        {"root=*/all.csv ids=2-6 predictors=external:*/y.csv", "they differ in images.",
         "  other: 5 images; without p0.png\n"},
        {"root=*/all.csv qf_last=19 predictors=external:*/y.csv",
         "they differ in dataset_fingerprint, qf_last.", "qf_last\n  one: 20\n  other: 19\n"},
        {"root=*/all.csv qf_first=2 predictors=external:*/y.csv",
         "they differ in dataset_fingerprint, qf_first.", "qf_first\n  one: 1\n  other: 2\n"},
        {"root=*/all.csv folds=none predictors=external:*/y.csv",
         "they differ in dataset_fingerprint, folds, fold of the image.",
         "folds\n  one: manifest\n  other: none\n"},
        {"root=*/all.csv sampling=444 predictors=external:*/y.csv",
         "they differ in option sampling.", "option sampling\n  one: \"420\"\n  other: \"444\"\n"},
        {"dataset=folder root=* folds=none predictors=psnr-threshold",
         "they differ in dataset, dataset_fingerprint, label_definition, human_labels, folds,",
         "dataset\n  one: manifest\n  other: folder\n"},
    };
    struct vj_text t;
    struct vj_compare_options forced = plain;
    forced.force = true;
    write_manifest("moved.csv", moved, PICTURES);
    write_manifest("five.csv", labels, PICTURES - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_error err = {0};
        evaluate("other.h5", cases[i].settings);
        assert_int_equal(compare(&t, &plain, &err, "one.h5", "other.h5", NULL), -EINVAL);
        vj_assert_contains(err.text, cases[i].refusal);
        assert_compared(t.data, "NOT COMPARABLE: the results files differ in");
        assert_compared(t.data, cases[i].listing);
        assert_null(strstr(t.data, "MAD"));
        vj_text_free(&t);
        assert_int_equal(compare(&t, &forced, &err, "one.h5", "other.h5", NULL), 0);
        assert_compared(t.data, "NOT COMPARABLE");
        assert_compared(t.data, cases[i].listing);
        assert_compared(t.data, "external-x");
        vj_text_free(&t);
    }
}

/* x errs by 1 0 4 0 6 2, y by 0 1 3 4 0 2: what a run without labels predicts has the other's. */
static void a_run_without_labels_is_judged_by_those_of_the_first(void **state)
{
    (void)state;
    static const int none[PICTURES] = {0};
    struct vj_text t;
    struct vj_error err = {0};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV, .force = true};
    write_manifest("none.csv", none, PICTURES);
    evaluate("bare.h5", "root=*/none.csv predictors=external:*/y.csv");
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "bare.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "they differ in dataset_fingerprint, ");
    vj_text_free(&t);
    assert_int_equal(compare(&t, &csv, &err, "one.h5", "bare.h5", NULL), 0);
    assert_compared(t.data, "\r\nexternal-y - external-x,,nearer_a,3,");
    assert_compared(t.data, "\r\nexternal-y,,median_abs,1.5,");
    vj_text_free(&t);
    /* The first has none: predictions alone. */
    assert_int_equal(compare(&t, &csv, &err, "bare.h5", "one.h5", NULL), 0);
    assert_null(strstr(t.data, "median_abs"));
    assert_compared(t.data, ",prediction_difference,");
    vj_text_free(&t);
}

/* JND 2 of two runs can start from different pictures although images and labels agree. */
static void another_anchor_is_another_question(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_results *results;
    const int32_t moved = 50;
    evaluate("two.h5", "root=*/all.csv predictors=external:*/y.csv");
    assert_int_equal(vj_results_open(&results, in_folder("two.h5"), true, &err), 0);
    assert_int_equal(
        vj_results_write(results, "/images/anchor_qf", VJ_COLUMN_I32, 2, 1, &moved, &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "they differ in anchor (anchor_qf). ");
    assert_compared(t.data, "anchor (anchor_qf)\n  one: p2.png: 0\n  two: p2.png: 50\n");
    vj_text_free(&t);
}

/* The fingerprint knows sizes of files alone; a BMP of the same size may hold another picture. */
static void another_picture_of_the_same_name_is_refused(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_results *results;
    char digest[64] = "0123456789abcdef0123456789abcdef";
    evaluate("two.h5", "root=*/all.csv predictors=external:*/y.csv");
    assert_int_equal(vj_results_open(&results, in_folder("two.h5"), true, &err), 0);
    assert_int_equal(
        vj_results_write(results, "/images/source_sha256", VJ_COLUMN_STRING, 2, 1, digest, &err),
        0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "they differ in pictures (source_sha256). ");
    assert_compared(t.data, "\n  two: p2.png: 0123456789abcdef\n");
    vj_text_free(&t);
    /* A file that does not say is no other picture. */
    memset(digest, 0, sizeof(digest));
    assert_int_equal(vj_results_open(&results, in_folder("two.h5"), true, &err), 0);
    assert_int_equal(
        vj_results_write(results, "/images/source_sha256", VJ_COLUMN_STRING, 2, 1, digest, &err),
        0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
    vj_text_free(&t);
}

static void differences_that_are_allowed_are_named(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_results *results;
    evaluate("two.h5", "root=*/all.csv seed=18446744073709551615 threads=2 bootstrap=100 "
                       "predictors=external:*/y.csv");
    /* What another program on another machine would have written. */
    assert_int_equal(vj_results_open(&results, in_folder("two.h5"), true, &err), 0);
    assert_int_equal(vj_results_set_text(results, "/", "program_version", "9.9.9", &err), 0);
    assert_int_equal(vj_results_set_text(results, "/", "device", "another device", &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
    assert_null(strstr(t.data, "NOT COMPARABLE"));
    assert_compared(t.data, "\nWhat else the results files differ in\n");
    assert_compared(t.data, "\nseed\n  one: 1\n  two: 18446744073709551615\n");
    assert_compared(t.data, "\nprogram_version\n  one: ");
    assert_compared(t.data, "\n  two: 9.9.9\n");
    assert_compared(t.data, "\n  two: another device\n");
    assert_compared(t.data, "\noption bootstrap\n  one: 200\n  two: 100\n");
    assert_null(strstr(t.data, "threads\n")); /* cannot change a figure */
    assert_compared(t.data, "200 resamples"); /* the first file's */
    vj_text_free(&t);

    /* As earlier versions wrote it. */
    assert_int_equal(vj_results_open(&results, in_folder("two.h5"), true, &err), 0);
    assert_int_equal(vj_results_set_int(results, "/", "seed", -1, &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
    assert_compared(t.data, "\nseed\n  one: 1\n  two: 18446744073709551615\n");
    vj_text_free(&t);

    /* One name, two sets of predictions: the digest tells them apart. */
    write_predictions("x.csv", others, PICTURES);
    evaluate("two.h5", "root=*/all.csv predictors=external:*/x.csv");
    write_predictions("x.csv", theirs, PICTURES);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
    const char *digest = strstr(t.data, "\nexternal-x: file_sha256\n  one: ");
    assert_non_null(digest);
    digest += strlen("\nexternal-x: file_sha256\n  one: ");
    assert_int_equal(strspn(digest, "0123456789abcdef"), 8);
    assert_int_equal(digest[8], '\n');
    assert_null(strstr(digest, "\nexternal-x: file_sha256\n")); /* once, not for each file */
    assert_compared(t.data, "one/external-x");
    assert_compared(t.data, "two/external-x");
    vj_text_free(&t);

    /* One name, a threshold that is given in one run and fitted in the other. */
    evaluate("given.h5", "root=*/all.csv folds=manifest predictors=psnr-threshold:36.7");
    evaluate("fitted.h5", "root=*/all.csv folds=manifest predictors=psnr-threshold:fit");
    assert_int_equal(compare(&t, &plain, &err, "given.h5", "fitted.h5", NULL), 0);
    assert_compared(t.data, "\npsnr-threshold: tolerance\n  given: 36.7\n  fitted: fitted\n");
    vj_text_free(&t);
}

static void weights_that_have_seen_images_are_marked(void **state)
{
    (void)state;
    static const struct {
        int64_t seen, if_released;
        const char *mark, *csv;
    } cases[] = {
        {0, 0, NULL, NULL},
        {0, 2, "\n* external-y: NOT A TEST if these are the released weights: 2 of 6 pictures",
         "\r\nexternal-y,,seen_images_if_released,2,,,6,"},
        {3, 2, "\n* external-y: NOT A TEST: 3 of 6 pictures trained",
         "\r\nexternal-y,,seen_images,3,,,6,"},
    };
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV};
    static const char group[] = "/predictors/external-y";
    evaluate("two.h5", "root=*/all.csv predictors=external:*/y.csv");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_text t;
        struct vj_error err = {0};
        struct vj_results *results;
        assert_int_equal(vj_results_open(&results, in_folder("two.h5"), true, &err), 0);
        assert_int_equal(vj_results_set_int(results, group, "seen_images", cases[i].seen, &err), 0);
        assert_int_equal(vj_results_set_int(results, group, "seen_images_if_released",
                                            cases[i].if_released, &err),
                         0);
        vj_results_close(results);
        assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
        if (cases[i].mark) {
            assert_compared(t.data, cases[i].mark);
            assert_compared(t.data, "\nexternal-y*  ");
            assert_compared(t.data, "\nexternal-y* - external-x\n");
        }
        assert_true(cases[i].mark || !strstr(t.data, "external-y*"));
        vj_text_free(&t);
        assert_int_equal(compare(&t, &csv, &err, "one.h5", "two.h5", NULL), 0);
        if (cases[i].csv)
            assert_compared(t.data, cases[i].csv);
        assert_true(cases[i].csv || !strstr(t.data, "seen_images"));
        vj_text_free(&t);
    }
}

static void equal_runs_differ_in_nothing(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    evaluate("two.h5", "root=*/all.csv predictors=constant,external:*/x.csv");
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
    assert_null(strstr(t.data, "the results files differ in"));
    vj_text_free(&t);
    /* What the data set makes of an empty option counts, not how the option is spelt. */
    evaluate("two.h5", "root=*/all.csv candidates=synthesize predictors=constant,external:*/x.csv");
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "two.h5", NULL), 0);
    assert_null(strstr(t.data, "the results files differ in"));
    assert_compared(t.data, "two/external-x - one/external-x");
    assert_compared(t.data, "no diff.");
    vj_text_free(&t);
}

static void images_that_some_run_lacks_are_left_out_and_counted(void **state)
{
    (void)state;
    static const int gaps[PICTURES] = {5, 0, 11, 14, 9, 17};
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV, .force = true};
    struct vj_compare_options text = plain;
    text.force = true;
    write_manifest("gaps.csv", gaps, PICTURES - 1);
    evaluate("three.h5", "root=*/gaps.csv predictors=external:*/y.csv");
    /* A picture that cannot be read any more fails in this run alone. */
    assert_int_equal(rename(in_folder("p3.png"), in_folder("p3.bak")), 0);
    write_text("p3.png", "torn");
    evaluate("four.h5", "root=*/all.csv predictors=external:*/y.csv");
    assert_int_equal(rename(in_folder("p3.bak"), in_folder("p3.png")), 0);
    assert_int_equal(compare(&t, &text, &err, "one.h5", "three.h5", "four.h5", NULL), 0);
    assert_compared(t.data, "pictures      3 in every run with a label, 3 left out\n");
    assert_compared(t.data, "\nLeft out of every figure (3 pictures)\n\n"
                            "p1.png: no label in three\n"
                            "p3.png: failed in four: ");
    assert_compared(t.data, "\np5.png: not in three\n");
    vj_text_free(&t);
    assert_int_equal(compare(&t, &csv, &err, "one.h5", "three.h5", "four.h5", NULL), 0);
    /* x on images 0, 2, 4: errors 1 4 6 */
    assert_compared(t.data, "\r\nexternal-x,,median_abs,4,");
    assert_compared(t.data, "\r\nthree/external-y - external-x,,nearer_a,3,,,3,\r\n");
    vj_text_free(&t);
    /* In whatever order the files come. */
    assert_int_equal(compare(&t, &text, &err, "three.h5", "one.h5", NULL), 0);
    assert_compared(t.data, "pictures      4 in every run with a label, 2 left out\n");
    assert_compared(t.data, "\np5.png: not in three\n");
    vj_text_free(&t);
}

/* Predictions 5 9 14 10 9 19 against 6 8 15 14 3 19: differences -1 1 -1 -4 6 0. */
static void runs_without_labels_are_compared_by_their_predictions(void **state)
{
    (void)state;
    static const int none[PICTURES] = {0};
    struct vj_text t;
    struct vj_error err = {0};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV};
    write_manifest("none.csv", none, PICTURES);
    evaluate("bare.h5", "root=*/none.csv predictors=external:*/x.csv");
    evaluate("naked.h5", "root=*/none.csv predictors=external:*/y.csv");
    if (compare(&t, &plain, &err, "bare.h5", "naked.h5", NULL))
        fail_msg("%s", err.text);
    assert_compared(t.data, "\npictures      6 in every run, 0 left out\n");
    assert_compared(t.data, "\nDifferences, without labels\n");
    assert_compared(t.data, "nothing here says which predictor is nearer to the truth.");
    assert_null(strstr(t.data, "MAD"));
    assert_null(strstr(t.data, "Wilcoxon"));
    vj_text_free(&t);
    assert_int_equal(compare(&t, &csv, &err, "bare.h5", "naked.h5", NULL), 0);
    static const struct {
        const char *name;
        double value;
    } figures[] = {{"prediction_difference", 1.0 / 6},
                   {"prediction_abs_difference", 13.0 / 6},
                   {"equal_share", 1.0 / 6},
                   {"within_1_share", 4.0 / 6},
                   {"within_5_share", 5.0 / 6}};
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        char line[100];
        snprintf(line, sizeof(line), "\r\nexternal-y - external-x,,%s,", figures[i].name);
        const char *at = strstr(t.data, line);
        assert_non_null(at);
        assert_true(fabs(strtod(at + strlen(line), NULL) - figures[i].value) < 1e-12);
    }
    assert_compared(t.data, "\r\nexternal-y - external-x,,saving_difference,");
    assert_compared(t.data, "\r\nexternal-y - external-x,,bytes_difference,");
    vj_text_free(&t);
    /* A picture that only some of the runs have evaluated is still left out. */
    struct vj_results *results;
    const int32_t pending = -1;
    assert_int_equal(vj_results_open(&results, in_folder("naked.h5"), true, &err), 0);
    assert_int_equal(
        vj_results_write(results, "/images/status", VJ_COLUMN_I32, 2, 1, &pending, &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "bare.h5", "naked.h5", NULL), 0);
    assert_compared(t.data, "\npictures      5 in every run, 1 left out\n");
    assert_compared(t.data, "\np2.png: not evaluated in naked\n");
    vj_text_free(&t);
}

/* Predictors of different pictures: there is nothing to compare, with labels or without. */
static void predictors_that_share_no_picture_are_not_compared(void **state)
{
    (void)state;
    static const int none[PICTURES] = {0};
    static const char *const lists[] = {"all", "none"};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV};
    write_manifest("none.csv", none, PICTURES);
    write_text("odd.csv", "image,qf_pred\np1.png,8\np3.png,9\n");
    write_text("even.csv", "image,qf_pred\np0.png,5\np2.png,6\np4.png,7\n");
    for (int i = 0; i < 2; i++) {
        struct vj_text t;
        struct vj_error err = {0};
        char settings[128];
        snprintf(settings, sizeof(settings), "root=*/%s.csv predictors=external:*/odd.csv",
                 lists[i]);
        evaluate("odd.h5", settings);
        snprintf(settings, sizeof(settings), "root=*/%s.csv predictors=external:*/even.csv",
                 lists[i]);
        evaluate("even.h5", settings);
        assert_int_equal(compare(&t, &csv, &err, "odd.h5", "even.h5", NULL), 0);
        assert_compared(t.data, "\r\nexternal-odd,,saving_mean,");
        assert_compared(t.data, "\r\nexternal-even,,saving_mean,");
        assert_null(strstr(t.data, "external-even - external-odd"));
        vj_text_free(&t);
        assert_int_equal(compare(&t, &plain, &err, "odd.h5", "even.h5", NULL), 0);
        assert_null(strstr(t.data, "external-even - external-odd"));
        vj_text_free(&t);
    }
}

/* Answers are held against the quality factors of the first file, whatever the range of theirs. */
static void answers_of_another_range_keep_their_quality_factors(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV, .force = true};
    struct vj_text single = {0};
    evaluate("narrow.h5", "root=*/all.csv qf_first=3 predictors=external:*/y.csv");
    assert_int_equal(compare(&t, &csv, &err, "narrow.h5", "one.h5", NULL), 0);
    assert_int_equal(vj_report_file(&single, in_folder("narrow.h5"), &csv.report, &err), 0);
    char *line = strstr(single.data, "external-y,,pair_accuracy,");
    assert_non_null(line);
    line[strcspn(line, "\r")] = '\0';
    assert_compared(t.data, line);
    /* x: QF 3 to 19 against 20; wrong between true and predicted QF: 1 0 4 0 6 2 of 6 x 17. */
    char *mine = strstr(t.data, "external-x,,pair_accuracy,");
    assert_non_null(mine);
    assert_true(fabs(strtod(mine + strlen("external-x,,pair_accuracy,"), NULL) -
                     (1 - 13.0 / (6 * 17))) < 1e-12);
    vj_text_free(&single);
    vj_text_free(&t);
    /* The other way round the narrow file has no answers at QF 1 and 2: its step stands in. */
    assert_int_equal(compare(&t, &csv, &err, "one.h5", "narrow.h5", NULL), 0);
    mine = strstr(t.data, "external-y,,pair_accuracy,");
    assert_non_null(mine);
    assert_true(fabs(strtod(mine + strlen("external-y,,pair_accuracy,"), NULL) -
                     (1 - 10.0 / (6 * 19))) < 1e-12);
    vj_text_free(&t);
}

/* Is the candidate called lossy by noisy.csv? Up to theirs[], but for one or two of each picture.
 */
static bool noisy_answer(int image, int qf)
{
    return (qf <= theirs[image]) != (qf == 4 + image || (qf == 18 && image % 2));
}

/* Of the pictures and quality factors from the first ones on; pairs end below `end`. */
static void assert_pair_accuracy(const char *text, const char *line, int first_image, int first_qf,
                                 int end)
{
    int wrong = 0, pairs = 0;
    for (int i = first_image; i < PICTURES; i++)
        for (int qf = first_qf; qf < end; qf++, pairs++)
            wrong += noisy_answer(i, qf) != (qf <= labels[i]);
    const char *at = strstr(text, line);
    assert_non_null(at);
    assert_true(fabs(strtod(at + strlen(line), NULL) - (1 - (double)wrong / pairs)) < 1e-12);
}

/* A search does not follow every answer; pairs do, of the same pictures and quality factors. */
static void answers_of_a_search_are_those_of_each_picture(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV, .force = true};
    char scores[8192] = "image,qf,score\n";
    for (int i = 0; i < PICTURES; i++)
        for (int qf = 1; qf <= LAST; qf++)
            snprintf(scores + strlen(scores), 64, "p%d.png,%d,%s\n", i, qf,
                     noisy_answer(i, qf) ? "0.875" : "0.25");
    write_text("noisy.csv", scores);
    evaluate("noisy.h5", "root=*/all.csv predictors=external:*/noisy.csv");
    assert_int_equal(compare(&t, &csv, &err, "one.h5", "noisy.h5", NULL), 0);
    assert_pair_accuracy(t.data, "\r\nexternal-noisy,,pair_accuracy,", 0, 1, LAST);
    vj_text_free(&t);
    /* The first file lacks two pictures and two quality factors of the other. */
    evaluate("part.h5", "root=*/all.csv ids=3-6 qf_first=3 predictors=external:*/noisy.csv");
    assert_int_equal(compare(&t, &csv, &err, "part.h5", "noisy.h5", NULL), 0);
    assert_pair_accuracy(t.data, "\r\npart/external-noisy,,pair_accuracy,", 2, 3, LAST);
    assert_pair_accuracy(t.data, "\r\nnoisy/external-noisy,,pair_accuracy,", 2, 3, LAST);
    vj_text_free(&t);
    /* A later JND: pairs end at the anchor, where the first file has it. */
    struct vj_results *results;
    const int32_t anchors[PICTURES] = {12, 12, 12, 12, 12, 12};
    assert_int_equal(vj_results_open(&results, in_folder("part.h5"), true, &err), 0);
    assert_int_equal(
        vj_results_write(results, "/images/anchor_qf", VJ_COLUMN_I32, 0, 4, anchors, &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &csv, &err, "part.h5", "noisy.h5", NULL), 0);
    assert_pair_accuracy(t.data, "\r\npart/external-noisy,,pair_accuracy,", 2, 3, 12);
    assert_pair_accuracy(t.data, "\r\nnoisy/external-noisy,,pair_accuracy,", 2, 3, 12);
    vj_text_free(&t);
}

/* Qualities that rise with the QF, by another step in each picture: all from `first` on. */
static void write_qualities(const char *name, int first)
{
    static double psnr_y[PICTURES][LAST], ms_ssim[PICTURES][LAST];
    struct vj_results *results;
    struct vj_error err = {0};
    const size_t count = (size_t)(PICTURES - first);
    for (int i = first; i < PICTURES; i++)
        for (int k = 0; k < LAST; k++) {
            psnr_y[i][k] = 30 + i + 0.25 * (i + 1) * k;
            ms_ssim[i][k] = 0.5 + 0.001 * (i + 1) * k;
        }
    assert_int_equal(vj_results_open(&results, in_folder(name), true, &err), 0);
    if (vj_results_write(results, "/candidates/psnr_y", VJ_COLUMN_F64, 0, count, psnr_y[first],
                         &err) ||
        vj_results_write(results, "/candidates/ms_ssim", VJ_COLUMN_F64, 0, count, ms_ssim[first],
                         &err))
        fail_msg("%s", err.text);
    vj_results_close(results);
}

static void assert_value(const char *text, const char *line, double value)
{
    const char *at = strstr(text, line);
    assert_non_null(at);
    assert_true(fabs(strtod(at + strlen(line), NULL) - value) < 2e-6); /* float columns */
}

/* Of p2 to p5, labels 11 14 9 17: x says 15 14 3 19, six below the JND of p4; y 14 10 9 19. */
static void qualities_are_those_of_each_picture(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    const struct vj_compare_options csv = {.report.form = VJ_REPORT_FORM_CSV, .force = true};
    evaluate("late.h5", "root=*/all.csv image_metrics=psnr,ms_ssim ids=3-6 "
                        "predictors=external:*/x.csv");
    evaluate("full.h5", "root=*/all.csv image_metrics=psnr,ms_ssim predictors=external:*/y.csv");
    write_qualities("late.h5", 2);
    write_qualities("full.h5", 0);
    assert_int_equal(compare(&t, &csv, &err, "late.h5", "full.h5", NULL), 0);
    assert_value(t.data, "\r\nexternal-x,,dpsnr_y,", 0.25 * 5 * 6 / 4);
    assert_value(t.data, "\r\nexternal-x,,dms_ssim,", 0.001 * 5 * 6 / 4);
    assert_value(t.data, "\r\nexternal-x,,abs_dpsnr_y,", 0.25 * (3 * 4 + 5 * 6 + 6 * 2) / 4);
    assert_value(t.data, "\r\nexternal-y,,dpsnr_y,", 0.25 * 4 * 4 / 4);
    assert_value(t.data, "\r\nexternal-y,,dms_ssim,", 0.001 * 4 * 4 / 4);
    vj_text_free(&t);
}

static void files_are_called_by_their_stems_where_these_differ(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    char command[9000];
    snprintf(command, sizeof(command), "mkdir -p '%s/sub' && cp '%s' '%s/sub/one.h5'", folder,
             in_folder("one.h5"), folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "sub/one.h5", NULL), 0);
    char name[4200];
    snprintf(name, sizeof(name), "%s/constant", in_folder("sub/one.h5"));
    assert_compared(t.data, name);
    vj_text_free(&t);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "one.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "one.h5 is given twice");
    vj_text_free(&t);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "sub/../one.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "one.h5 is given twice");
    vj_text_free(&t);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "needs two results files or more");
    vj_text_free(&t);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "absent.h5", NULL), -ENOENT);
    vj_assert_contains(err.text, "absent.h5");
    vj_text_free(&t);
}

/* A run that was cut short is compared on what it has, and called that. */
static void an_unfinished_run_is_compared_on_what_it_has(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_results *results;
    const int32_t pending = -1;
    evaluate("cut.h5", "root=*/all.csv predictors=external:*/y.csv");
    assert_int_equal(vj_results_open(&results, in_folder("cut.h5"), true, &err), 0);
    assert_int_equal(
        vj_results_write(results, "/images/status", VJ_COLUMN_I32, 2, 1, &pending, &err), 0);
    assert_int_equal(vj_results_set_int(results, "/", "complete", 0, &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "cut.h5", NULL), 0);
    assert_compared(t.data, "\np2.png: not evaluated in cut\n");
    assert_compared(t.data, "INCOMPLETE");
    assert_compared(t.data, "\ncomplete\n  one: 1\n  cut: 0\n");
    vj_text_free(&t);
}

/* By the command line that began it, unless the file has only its beginning. */
static void an_unfinished_run_says_how_it_goes_on(void **state)
{
    (void)state;
    static const struct {
        const char *line, *resume; /* NULL: it does not say */
    } cases[] = {
        {"vpjnd eval -o cut.h5", "vpjnd eval -o cut.h5 --resume"},
        {"vpjnd eval --resume -o cut.h5", "vpjnd eval --resume -o cut.h5"},
        {"vpjnd eval -o cut.h5 --resume", "vpjnd eval -o cut.h5 --resume"},
        {"vpjnd eval -o cut.h5 --set root=a --resumed",
         "vpjnd eval -o cut.h5 --set root=a --resumed --resume"},
        {"vpjnd eval -o cut.h5 --set ids=1,2,3...", NULL},
        {"...", NULL},
        {"a", "a --resume"},
        {"", NULL},
    };
    const struct vj_report_options options = {.form = VJ_REPORT_FORM_JSON};
    evaluate("cut.h5", "root=*/all.csv predictors=external:*/y.csv");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_text t = {0};
        struct vj_error err = {0};
        struct vj_results *results;
        char expected[128];
        assert_int_equal(vj_results_open(&results, in_folder("cut.h5"), true, &err), 0);
        assert_int_equal(vj_results_set_int(results, "/", "complete", 0, &err), 0);
        assert_int_equal(vj_results_set_text(results, "/", "command_line", cases[i].line, &err), 0);
        vj_results_close(results);
        assert_int_equal(vj_report_file(&t, in_folder("cut.h5"), &options, &err), 0);
        snprintf(expected, sizeof(expected), "\"resume\": \"%s\"", cases[i].resume);
        if (cases[i].resume)
            assert_compared(t.data, expected);
        else
            assert_null(strstr(t.data, "\"resume\""));
        vj_text_free(&t);
    }
}

static void columns_that_do_not_fit_the_rest_of_a_file_are_named_with_both_sizes(void **state)
{
    (void)state;
    struct vj_text t;
    struct vj_error err = {0};
    struct vj_results *results;
    evaluate("bent.h5", "root=*/all.csv predictors=external:*/y.csv");
    assert_int_equal(vj_results_open(&results, in_folder("bent.h5"), true, &err), 0);
    assert_int_equal(vj_results_set_int(results, "/", "qf_last", 21, &err), 0);
    vj_results_close(results);
    assert_int_equal(compare(&t, &plain, &err, "one.h5", "bent.h5", NULL), -EINVAL);
    vj_assert_contains(err.text, "bent.h5");
    vj_assert_contains(err.text, " is 6 x 20, the rest of the file says 6 x 21; ");
    vj_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictors_of_all_files_stand_in_one_table),
        cmocka_unit_test(a_report_says_what_it_is_of),
        cmocka_unit_test(one_predictor_can_be_the_measure_of_all),
        cmocka_unit_test(images_are_listed_with_every_prediction),
        cmocka_unit_test(runs_that_are_not_comparable_are_refused_with_what_differs),
        cmocka_unit_test(another_anchor_is_another_question),
        cmocka_unit_test(another_picture_of_the_same_name_is_refused),
        cmocka_unit_test(differences_that_are_allowed_are_named),
        cmocka_unit_test(weights_that_have_seen_images_are_marked),
        cmocka_unit_test(equal_runs_differ_in_nothing),
        cmocka_unit_test(images_that_some_run_lacks_are_left_out_and_counted),
        cmocka_unit_test(runs_without_labels_are_compared_by_their_predictions),
        cmocka_unit_test(a_run_without_labels_is_judged_by_those_of_the_first),
        cmocka_unit_test(predictors_that_share_no_picture_are_not_compared),
        cmocka_unit_test(answers_of_another_range_keep_their_quality_factors),
        cmocka_unit_test(answers_of_a_search_are_those_of_each_picture),
        cmocka_unit_test(qualities_are_those_of_each_picture),
        cmocka_unit_test(files_are_called_by_their_stems_where_these_differ),
        cmocka_unit_test(an_unfinished_run_is_compared_on_what_it_has),
        cmocka_unit_test(an_unfinished_run_says_how_it_goes_on),
        cmocka_unit_test(columns_that_do_not_fit_the_rest_of_a_file_are_named_with_both_sizes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
