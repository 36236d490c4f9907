/* SPDX-License-Identifier: MIT */
/*
 * The constant predictor on the real MCL-JCI labels: the official layout with stand-in pictures,
 * the label tables of the optional test data. Whoever changes labels, folds, pairs or metrics sees
 * it here.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "host/image.h"
#include "host/options.h"
#include "host/results.h"
#include "host/run.h"

enum { SOURCES = 50, SUBJECTS = 30 };

static char *folder;

static FILE *create(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens a file below the folder for writing, making the folders on the way. */
static FILE *create(const char *format, ...)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/", folder);
    va_list args;
    va_start(args, format);
    vsnprintf(path + n, sizeof(path) - (size_t)n, format, args);
    va_end(args);
    for (char *slash = strchr(path + n, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    if (!file)
        fail_msg("cannot create %s", path);
    return file;
}

/* A stand-in picture: labels need its existence, rates its pixels. */
static void write_source(int source)
{
    struct vj_image img;
    struct vj_error err = {0};
    char path[4096];
    fclose(create("source_images/[BMP]/ImageJND_SRC%02d.bmp", source));
    snprintf(path, sizeof(path), "%s/source_images/[BMP]/ImageJND_SRC%02d.bmp", folder, source);
    assert_int_equal(vj_image_alloc(&img, 24, 16, 3, &err), 0);
    for (size_t i = 0; i < 24 * 16 * 3; i++)
        img.data[i] = (uint8_t)((i * (size_t)(7 + source)) ^ (i / 5));
    if (vj_image_write_bmp(&img, path, &err))
        fail_msg("%s", err.text);
    vj_image_free(&img);
}

/* "3 6 100 44 22 15 12 10": source, count, then the points of its stair quality function. */
static void write_stairs(void)
{
    FILE *table = fopen(vj_test_data("labels/mcl_jci_sqf_points.txt"), "r");
    char line[512];
    int sources = 0;
    assert_non_null(table);
    while (fgets(line, sizeof(line), table)) {
        int source, count, used;
        assert_int_equal(sscanf(line, "%d %d %n", &source, &count, &used), 2);
        const char *points = line + used;
        FILE *file = create("SQF_data/Image_%d_l_h.txt", source);
        fprintf(file, "%.*s\r\n", (int)strcspn(points, "\r\n"), points);
        for (int i = 0; i < count; i++)
            fprintf(file, "%.3f  ", (double)(count - i) / count); /* stair heights */
        fputs("\r\n", file);
        fclose(file);
        write_source(source);
        sources++;
    }
    fclose(table);
    assert_int_equal(sources, SOURCES);
}

/* One file per source, one line per subject, as in the official JND_samples. */
static void write_subjects(void)
{
    FILE *table = fopen(vj_test_data("labels/mcl_jci_subject_jnd1_3.csv"), "r");
    char line[512];
    FILE *file = NULL;
    int now = 0;
    assert_non_null(table);
    assert_non_null(fgets(line, sizeof(line), table));
    while (fgets(line, sizeof(line), table)) {
        int source, subject, jnd[3];
        assert_int_equal(
            sscanf(line, "%d,%d,%d,%d,%d", &source, &subject, &jnd[0], &jnd[1], &jnd[2]), 5);
        if (source != now) {
            if (file)
                fclose(file);
            file = create("JND_samples/JND_image_%02d.txt", source);
            now = source;
        }
        fprintf(file, "%d\t%d\t%d\n", jnd[0], jnd[1], jnd[2]);
    }
    fclose(file);
    fclose(table);
    assert_int_equal(now, SOURCES);
}

static int set_up(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    if (access(vj_test_data("labels/mcl_jci_sqf_points.txt"), R_OK) == 0) {
        write_stairs();
        write_subjects();
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* ids: as the option of that name; "" = all 50. */
static struct vj_results *evaluate(const char *labels, const char *ids)
{
    struct vj_config config;
    struct vj_run_summary summary;
    struct vj_error err = {0};
    char output[4096];
    struct vj_results *results;
    const char *const pairs[][2] = {{"dataset", "mcl-jci"},    {"root", folder},
                                    {"labels", labels},        {"candidates", "synthesize"},
                                    {"folds", "surfeatnet10"}, {"predictors", "constant"},
                                    {"image_metrics", "none"}, {"ids", ids}};
    vj_config_defaults(&config, VJ_USE_EVAL);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (vj_config_set(&config, pairs[i][0], pairs[i][1], &err))
            fail_msg("%s", err.text);
    snprintf(output, sizeof(output), "%s/%s.h5", folder, labels);
    const struct vj_run_options options = {
        .config = &config, .output = output, .command_line = "test"};
    if (vj_run_eval(&options, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.images, ids[0] ? 20 : SOURCES);
    assert_int_equal(summary.failed, 0);
    if (vj_results_open(&results, output, false, &err))
        fail_msg("%s", err.text);
    return results;
}

static double metric(struct vj_results *results, const char *name)
{
    char path[128];
    double value;
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "/metrics/constant/%s", name);
    if (vj_results_get_scalar(results, path, &value, &err))
        fail_msg("%s", err.text);
    return value;
}

static void assert_rounds_to(double value, double expected, double unit)
{
    if (fabs(value - expected) > unit / 2)
        fail_msg("%.6f does not round to %g", value, expected);
}

/* Figures of the protocol page: MAD 7.82, pair accuracy 92.1 %, precision 93.4 % and 91.3 %. */
static void constant_on_the_official_labels_gives_the_known_figures(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    struct vj_results *r = evaluate("sqf", "");
    int32_t pred[SOURCES], truth[SOURCES];
    struct vj_error err = {0};
    assert_rounds_to(metric(r, "mad"), 7.82, 0.01);
    assert_rounds_to(metric(r, "pair_accuracy"), 0.921, 0.001);
    assert_rounds_to(metric(r, "precision_lossy"), 0.934, 0.001);
    assert_rounds_to(metric(r, "precision_lossless"), 0.913, 0.001);
    assert_int_equal(
        vj_results_read(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, SOURCES, pred, &err),
        0);
    assert_int_equal(vj_results_read(r, "/images/qf_true", VJ_COLUMN_I32, 0, SOURCES, truth, &err),
                     0);
    double sum = 0;
    for (int i = 0; i < SOURCES; i++) {
        assert_true(pred[i] == 36 || pred[i] == 39);
        sum += truth[i];
    }
    assert_rounds_to(sum / SOURCES, 39.58, 0.01);
    vj_results_close(r);
}

/* The 20 sources that the released checkpoint never saw: the constant still learns from all others.
 */
static void a_part_of_the_sources_is_predicted_as_in_the_whole(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    int32_t all[SOURCES], part[20], id[20];
    struct vj_error err = {0};
    struct vj_results *r = evaluate("sqf", "");
    assert_int_equal(
        vj_results_read(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, SOURCES, all, &err),
        0);
    vj_results_close(r);
    r = evaluate("sqf", "5-8,10-13,16,17,20,23,25,26,30,36,38,40,43,45");
    assert_int_equal(
        vj_results_read(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, 20, part, &err), 0);
    assert_int_equal(vj_results_read(r, "/images/id", VJ_COLUMN_I32, 0, 20, id, &err), 0);
    vj_results_close(r);
    for (int i = 0; i < 20; i++)
        assert_int_equal(part[i], all[id[i] - 1]);
}

/* Labels read from JND_samples against the table computed from the same subjects elsewhere. */
static void labels_of_the_subjects_agree_with_the_independent_table(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_ground_truth_50.csv");
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    static const char *const labels[] = {"mean", "median"};
    for (int which = 0; which < 2; which++) {
        struct vj_results *r = evaluate(labels[which], "");
        double exact[SOURCES];
        struct vj_error err = {0};
        char line[512];
        assert_int_equal(
            vj_results_read(r, "/images/qf_exact", VJ_COLUMN_F64, 0, SOURCES, exact, &err), 0);
        vj_results_close(r);
        FILE *table = fopen(vj_test_data("labels/mcl_jci_ground_truth_50.csv"), "r");
        assert_non_null(fgets(line, sizeof(line), table));
        int rows = 0;
        while (fgets(line, sizeof(line), table)) {
            int source;
            double known[2];
            assert_int_equal(
                sscanf(line, "%d,%*d,%*d,%*d,%*d,%lf,%lf", &source, &known[0], &known[1]), 3);
            assert_rounds_to(exact[source - 1], known[which], 0.0101);
            rows++;
        }
        fclose(table);
        assert_int_equal(rows, SOURCES);
    }
}

/* All 4,950 rows: share of subjects who notice quality factor q against 100. */
static void shares_who_notice_agree_with_the_pair_table(void **state)
{
    (void)state;
    vj_require_data("labels/djndq_pairs.csv");
    static float sur[SOURCES * 100];
    struct vj_error err = {0};
    struct vj_results *r = evaluate("sur50", "");
    assert_int_equal(vj_results_read(r, "/images/sur", VJ_COLUMN_F32, 0, SOURCES, sur, &err), 0);
    vj_results_close(r);
    FILE *table = fopen(vj_test_data("labels/djndq_pairs.csv"), "r");
    char line[512];
    int rows = 0;
    while (fgets(line, sizeof(line), table)) {
        int source, again, qf;
        double share;
        if (sscanf(line, "ImageJND_SRC%d_100.npy,ImageJND_SRC%d_%d.npy,%lf", &source, &again, &qf,
                   &share) != 4)
            continue;
        double notice = 1 - (double)sur[(source - 1) * 100 + qf - 1];
        if (source != again || fabs(notice - share) > 1e-6)
            fail_msg("source %d at %d: %.6f, the table says %.6f", source, qf, notice, share);
        rows++;
    }
    fclose(table);
    assert_int_equal(rows, 4950);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_on_the_official_labels_gives_the_known_figures),
        cmocka_unit_test(a_part_of_the_sources_is_predicted_as_in_the_whole),
        cmocka_unit_test(labels_of_the_subjects_agree_with_the_independent_table),
        cmocka_unit_test(shares_who_notice_agree_with_the_pair_table),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
