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

#include "host/compare_file.h"
#include "host/image.h"
#include "host/options.h"
#include "host/report_file.h"
#include "host/results.h"
#include "host/run.h"
#include "host/train_validate.h"
#include "host/weights.h"
#include "tests/host/small_network.h"

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

/* Settings on top of the usual ones: key and value in turn, NULL ends them. */
static struct vj_results *evaluate_with(const char *labels, const char *const *settings)
{
    struct vj_config config;
    struct vj_run_summary summary;
    struct vj_error err = {0};
    char output[4096];
    struct vj_results *results;
    const char *ids = "";
    const char *const pairs[][2] = {{"dataset", "mcl-jci"},    {"root", folder},
                                    {"labels", labels},        {"candidates", "synthesize"},
                                    {"folds", "surfeatnet10"}, {"predictors", "constant"},
                                    {"image_metrics", "none"}};
    vj_config_defaults(&config, VJ_USE_EVAL);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (vj_config_set(&config, pairs[i][0], pairs[i][1], &err))
            fail_msg("%s", err.text);
    for (; *settings; settings += 2) {
        if (vj_config_set(&config, settings[0], settings[1], &err))
            fail_msg("%s", err.text);
        if (strcmp(settings[0], "ids") == 0)
            ids = settings[1];
    }
    snprintf(output, sizeof(output), "%s/%s.h5", folder, labels);
    const struct vj_run_options options = {
        .config = &config, .output = output, .command_line = "test"};
    if (vj_run_eval(&options, &summary, &err))
        fail_msg("%s", err.text);
    if (!ids[0])
        assert_int_equal(summary.images, SOURCES);
    assert_int_equal(summary.failed, 0);
    if (vj_results_open(&results, output, false, &err))
        fail_msg("%s", err.text);
    return results;
}

/* ids: as the option of that name; "" = all 50. */
static struct vj_results *evaluate(const char *labels, const char *ids)
{
    const char *const settings[] = {"ids", ids, NULL};
    return evaluate_with(labels, settings);
}

static double metric_of(struct vj_results *results, const char *predictor, const char *name)
{
    char path[128];
    double value;
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "/metrics/%s/%s", predictor, name);
    if (vj_results_get_scalar(results, path, &value, &err))
        fail_msg("%s", err.text);
    return value;
}

static double metric(struct vj_results *results, const char *name)
{
    return metric_of(results, "constant", name);
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

static void check_released(const char *ids, const char *predictor, int seen, const char *note)
{
    const char *const settings[] = {"ids",     ids,  "predictors", predictor, "qf_first", "30",
                                    "qf_last", "40", "bootstrap",  "0",       NULL};
    struct vj_error err = {0};
    struct vj_results *r = evaluate_with("sqf", settings);
    int64_t counted;
    char *text;
    assert_int_equal(vj_results_get_int(r, "/predictors/vpjnd-released", "seen_images_if_released",
                                        &counted, &err),
                     0);
    assert_int_equal(counted, seen);
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-released", "note", &text, &err), 0);
    if (note)
        vj_assert_contains(text, note);
    else
        assert_null(strstr(text, "NOT A TEST"));
    free(text);
    vj_results_close(r);
}

/* The list of docs/network.md, whole, its every second source, and all that are not in it. */
static void training_sources_of_the_released_checkpoint_are_no_test(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    const struct vj_net_shape shape = {.variant = VJ_VARIANT_RELEASED,
                                       .patch_size = 16,
                                       .patches = 1,
                                       .channels = {16, 16, 16, 16}};
    char path[4096], predictor[4200];
    snprintf(path, sizeof(path), "%s/released.h5", folder);
    write_network(path, &shape, 5, VJ_POSITIVE_LOSSY, VJ_ORIGIN_IMPORTED);
    snprintf(predictor, sizeof(predictor), "vpjnd:%s", path);
    check_released("", predictor, 30,
                   "; NOT A TEST if this is the released checkpoint: 30 of 50 images are among its "
                   "30 training sources");
    check_released("1,3,9,15,19,22,27,29,32,34,37,41,44,47,49", predictor, 15, "15 of 15 images");
    check_released("2,4,14,18,21,24,28,31,33,35,39,42,46,48,50", predictor, 15, "15 of 15 images");
    check_released("5-8,10-13,16,17,20,23,25,26,30,36,38,40,43,45", predictor, 0, NULL);
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

/* Share of subjects who notice QF 1..99 against 100, from the independent table of pairs. */
static void read_shares(double share[SOURCES][99])
{
    FILE *table = fopen(vj_test_data("labels/djndq_pairs.csv"), "r");
    char line[512];
    int rows = 0;
    assert_non_null(table);
    while (fgets(line, sizeof(line), table)) {
        int source, again, qf;
        double value;
        if (sscanf(line, "ImageJND_SRC%d_100.npy,ImageJND_SRC%d_%d.npy,%lf", &source, &again, &qf,
                   &value) != 4)
            continue;
        assert_int_equal(source, again);
        vj_assert_in_range(source, 1, SOURCES);
        vj_assert_in_range(qf, 1, 99);
        share[source - 1][qf - 1] = value;
        rows++;
    }
    fclose(table);
    assert_int_equal(rows, 4950);
}

static void shares_who_notice_agree_with_the_pair_table(void **state)
{
    (void)state;
    vj_require_data("labels/djndq_pairs.csv");
    static float sur[SOURCES * 100];
    static double share[SOURCES][99];
    struct vj_error err = {0};
    read_shares(share);
    struct vj_results *r = evaluate("sur50", "");
    assert_int_equal(vj_results_read(r, "/images/sur", VJ_COLUMN_F32, 0, SOURCES, sur, &err), 0);
    vj_results_close(r);
    for (int source = 0; source < SOURCES; source++)
        for (int qf = 1; qf <= 99; qf++) {
            double notice = 1 - (double)sur[source * 100 + qf - 1];
            if (fabs(notice - share[source][qf - 1]) > 1e-6)
                fail_msg("source %d at %d: %.6f, the table says %.6f", source + 1, qf, notice,
                         share[source][qf - 1]);
        }
}

/* Of the official labels and the constant: who sees no difference at that QF, by the same table. */
static void satisfied_users_at_truth_and_prediction_agree_with_the_pair_table(void **state)
{
    (void)state;
    vj_require_data("labels/djndq_pairs.csv");
    static double share[SOURCES][99];
    int32_t qf_true[SOURCES], qf_pred[SOURCES];
    double at_truth = 0, at_prediction = 0;
    struct vj_error err = {0};
    read_shares(share);
    struct vj_results *r = evaluate("sqf", "");
    assert_int_equal(
        vj_results_read(r, "/images/qf_true", VJ_COLUMN_I32, 0, SOURCES, qf_true, &err), 0);
    assert_int_equal(vj_results_read(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, SOURCES,
                                     qf_pred, &err),
                     0);
    for (int source = 0; source < SOURCES; source++) {
        at_truth += (1 - share[source][qf_true[source] - 1]) / SOURCES;
        at_prediction += (1 - share[source][qf_pred[source] - 1]) / SOURCES;
    }
    print_message(
        "MCL-JCI, subjects who see no difference: %.1f %% at the official JND, %.1f %% at "
        "the constant\n",
        100 * at_truth, 100 * at_prediction);
    assert_true(fabs(metric_of(r, "constant", "sur_at_truth") - at_truth) < 1e-6);
    assert_true(fabs(metric_of(r, "constant", "sur_at_prediction") - at_prediction) < 1e-6);
    vj_results_close(r);
}

/* ---- later JNDs ---- */

/* JND k of the official stair functions, -1 where a source has fewer. */
static void read_stairs(int32_t jnd[3][SOURCES])
{
    FILE *table = fopen(vj_test_data("labels/mcl_jci_sqf_points.txt"), "r");
    char line[512];
    int rows = 0;
    assert_non_null(table);
    for (; fgets(line, sizeof(line), table); rows++) {
        int source, count, used;
        assert_int_equal(sscanf(line, "%d %d %n", &source, &count, &used), 2);
        char *p = line + used;
        for (int k = 0; k < 4; k++) {
            long qf = k < count ? strtol(p, &p, 10) : -1;
            if (k > 0)
                jnd[k - 1][source - 1] = (int32_t)qf;
        }
    }
    fclose(table);
    assert_int_equal(rows, SOURCES);
}

static void read_ints(struct vj_results *r, const char *path, int32_t *values)
{
    struct vj_error err = {0};
    if (vj_results_read(r, path, VJ_COLUMN_I32, 0, SOURCES, values, &err))
        fail_msg("%s", err.text);
}

/* A rule that is measured where its search asks is never measured above the anchor. */
static void check_unasked(struct vj_results *r, const int32_t *anchor)
{
    static float score[SOURCES][100];
    static uint8_t lossy[SOURCES][100];
    struct vj_error err = {0};
    size_t asked = 0;
    assert_int_equal(vj_results_read(r, "/predictors/pixel-chou95/score", VJ_COLUMN_F32, 0, SOURCES,
                                     score, &err),
                     0);
    assert_int_equal(
        vj_results_read(r, "/predictors/pixel-chou95/lossy", VJ_COLUMN_U8, 0, SOURCES, lossy, &err),
        0);
    for (int s = 0; s < SOURCES; s++)
        for (int q = 1; q <= 100; q++) {
            asked += !isnan(score[s][q - 1]);
            assert_true(q <= anchor[s] || isnan(score[s][q - 1]));
            if (q > anchor[s])
                assert_int_equal(lossy[s][q - 1], 0);
            else
                assert_int_equal(lossy[s][q - 1] == 255, isnan(score[s][q - 1]));
        }
    vj_assert_in_range(asked, SOURCES, SOURCES * 50);
}

/* Validation of training searches as evaluation does: the same errors. */
static void check_validation(int jnd, const char *path, const int32_t *truth, const int32_t *pred)
{
    struct vj_config config;
    struct vj_dataset *ds = NULL;
    struct vj_weights w = {0};
    struct vj_validation v;
    struct vj_error err = {0};
    char number[2] = {(char)('0' + jnd), '\0'};
    size_t item[SOURCES], count = 0;
    double mad = 0, bias = 0;
    const char *const pairs[][2] = {{"dataset", "mcl-jci"}, {"root", folder},
                                    {"labels", "sqf"},      {"candidates", "synthesize"},
                                    {"jnd", number},        {"device", "cpu"}};
    vj_config_defaults(&config, VJ_USE_TRAIN);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (vj_config_set(&config, pairs[i][0], pairs[i][1], &err))
            fail_msg("%s", err.text);
    for (size_t s = 0; s < SOURCES; s += 6) {
        if (truth[s] < 0)
            continue;
        item[count++] = s;
        mad += abs(pred[s] - truth[s]);
        bias += pred[s] - truth[s];
    }
    if (vj_weights_read(&w, path, &err) || vj_config_dataset(&ds, &config, jnd, &err) ||
        vj_validate(&v, &config, ds, item, count, &w, &err))
        fail_msg("%s", err.text);
    vj_dataset_close(ds);
    vj_weights_free(&w);
    assert_true(fabs(v.mad - mad / (double)count) < 1e-9);
    assert_true(fabs(v.bias - bias / (double)count) < 1e-9);
}

/*
 * The report of sqf.h5 calls the QF above a prediction lossless, up to the anchor. Returns how many
 * predictions are the anchor.
 */
static int check_lossless(const char *predictor, const int32_t *anchor, const int32_t *pred)
{
    enum { QF_PRED = 4, LOSSLESS };
    const struct vj_report_options options = {.form = VJ_REPORT_FORM_IMAGES_CSV};
    struct vj_text text = {0};
    struct vj_error err = {0};
    char path[4096];
    int image = 0, at_anchor = 0;
    snprintf(path, sizeof(path), "%s/sqf.h5", folder);
    if (vj_report_file(&text, path, &options, &err))
        fail_msg("%s", err.text);
    for (char *rest = text.data, *line; (line = strsep(&rest, "\n"));) {
        char *field[LOSSLESS + 1] = {NULL};
        for (int i = 0; i <= LOSSLESS; i++)
            field[i] = strsep(&line, ",");
        if (strcmp(field[0], predictor) != 0)
            continue;
        assert_int_equal(atoi(field[QF_PRED]), pred[image]);
        assert_int_equal(atoi(field[LOSSLESS]), pred[image] < anchor[image] ? pred[image] + 1 : 0);
        at_anchor += pred[image] == anchor[image];
        image++;
    }
    assert_int_equal(image, SOURCES);
    vj_text_free(&text);
    return at_anchor;
}

/* JND k + 1 is searched below the picture at JND k, which is what candidates are compared with. */
static void later_jnds_are_searched_below_the_picture_at_the_one_before(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_sqf_points.txt");
    static double psnr[SOURCES][100];
    static uint8_t lossy[SOURCES][100];
    static int32_t stairs[3][SOURCES];
    int32_t anchor[SOURCES], truth[SOURCES], full[SOURCES], by_rule[SOURCES], lazy[SOURCES];
    struct vj_error err = {0};
    char predictors[4200], weights[4096];
    int at_anchor = 0;
    read_stairs(stairs);
    snprintf(weights, sizeof(weights), "%s/small.h5", folder);
    const struct vj_net_shape shape = {
        .variant = VJ_VARIANT_FIGURE, .patch_size = 16, .patches = 2, .channels = {16, 16, 16, 16}};
    snprintf(predictors, sizeof(predictors),
             "constant,psnr-threshold:fit,pixel-chou95:0.05,vpjnd:%s", weights);
    for (int k = 1; k <= 2; k++) {
        /* One of the two calls nearly everything lossy, what is above the anchor included. */
        write_network(weights, &shape, 3, k == 1 ? VJ_POSITIVE_LOSSY : VJ_POSITIVE_LOSSLESS,
                      VJ_ORIGIN_RANDOM);
        const char *settings[] = {"jnd",   k == 1 ? "2" : "3", "predictors", predictors,  "lazy",
                                  "false", "image_metrics",    "psnr",       "bootstrap", "0",
                                  NULL};
        struct vj_results *r = evaluate_with("sqf", settings);
        read_ints(r, "/images/anchor_qf", anchor);
        read_ints(r, "/images/qf_true", truth);
        assert_memory_equal(anchor, stairs[k - 1], sizeof(anchor));
        assert_memory_equal(truth, stairs[k], sizeof(truth));
        assert_int_equal(
            vj_results_read(r, "/candidates/psnr_y", VJ_COLUMN_F64, 0, SOURCES, psnr, &err), 0);
        static const char *const names[] = {"constant", "psnr-threshold", "pixel-chou95",
                                            "vpjnd-small"};
        for (int p = 0; p < 4; p++) {
            char path[128];
            int32_t pred[SOURCES];
            snprintf(path, sizeof(path), "/predictors/%s/qf_pred", names[p]);
            read_ints(r, path, pred);
            snprintf(path, sizeof(path), "/predictors/%s/lossy", names[p]);
            assert_int_equal(vj_results_read(r, path, VJ_COLUMN_U8, 0, SOURCES, lossy, &err), 0);
            for (int s = 0; s < SOURCES; s++) {
                assert_true(isinf(psnr[s][anchor[s] - 1])); /* the anchor itself */
                assert_true(isfinite(psnr[s][0]) && isfinite(psnr[s][99]));
                assert_true(pred[s] <= anchor[s]);
                for (int q = anchor[s] + 1; q <= 100; q++)
                    assert_int_equal(lossy[s][q - 1], 0);
            }
            if (p >= 2)
                memcpy(p == 2 ? by_rule : full, pred, sizeof(full));
        }
        /* Every pair lies below the anchor: all levels there, right or wrong, and no others. */
        double accuracy = metric_of(r, "constant", "pair_accuracy"), right = 0, pairs = 0;
        read_ints(r, "/predictors/constant/qf_pred", lazy);
        for (int s = 0; s < SOURCES; s++)
            for (int q = 1; truth[s] >= 0 && q < anchor[s]; q++) {
                right += (q <= lazy[s]) == (q <= truth[s]);
                pairs++;
            }
        assert_true(fabs(accuracy - right / pairs) < 1e-12);
        vj_results_close(r);
        at_anchor += check_lossless("constant", anchor, lazy);
        at_anchor += check_lossless("pixel-chou95", anchor, by_rule);

        settings[5] = "true";
        r = evaluate_with("sqf", settings);
        read_ints(r, "/predictors/vpjnd-small/qf_pred", lazy);
        assert_memory_equal(full, lazy, sizeof(full));
        vj_results_close(r);

        check_validation(k + 1, weights, truth, full);

        settings[3] = "pixel-chou95:0.05";
        settings[7] = "none";
        r = evaluate_with("sqf", settings);
        read_ints(r, "/predictors/pixel-chou95/qf_pred", lazy);
        assert_memory_equal(by_rule, lazy, sizeof(by_rule));
        check_unasked(r, anchor);
        vj_results_close(r);
    }
    assert_true(at_anchor > 0);
}

/* ---- curves ---- */

static float *read_curves(struct vj_results *r, const char *path)
{
    float *sur = calloc(SOURCES * 100, sizeof(*sur));
    struct vj_error err = {0};
    assert_non_null(sur);
    if (vj_results_read(r, path, VJ_COLUMN_F32, 0, SOURCES, sur, &err))
        fail_msg("%s", err.text);
    return sur;
}

/* Mean |difference| of curves from those that SUR-FeatNet published, column 1 to 3. */
static double distance_from_published(const float *sur, int jnd)
{
    FILE *table = fopen(vj_test_data("labels/surfeatnet_10_fold.csv"), "r");
    char line[512];
    double sum = 0;
    int rows = 0;
    assert_non_null(table);
    assert_non_null(fgets(line, sizeof(line), table));
    for (; fgets(line, sizeof(line), table); rows++) {
        int source, qf;
        double known[3];
        assert_int_equal(sscanf(line, "SRC%d,%*[^,],SRC%*2d_%d_%*d,%lf,%lf,%lf", &source, &qf,
                                &known[0], &known[1], &known[2]),
                         5);
        sum += fabs((double)sur[(source - 1) * 100 + qf - 1] - known[jnd - 1]);
    }
    fclose(table);
    assert_int_equal(rows, 5 * SOURCES * 100);
    return sum / rows;
}

static void fitted_curves_stand_beside_the_counted_ones(void **state)
{
    (void)state;
    vj_require_data("labels/surfeatnet_10_fold.csv");
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    struct vj_error err = {0};
    static const char *const jnds[] = {"1", "2", "3"};
    static const char *const models[] = {"gev", "normal"};
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < 3; k++) {
            const char *const settings[] = {"sur",       models[m], "jnd", jnds[k],
                                            "bootstrap", "0",       NULL};
            static double parameters[SOURCES][3];
            int64_t unfitted, at_bound;
            struct vj_results *r = evaluate_with("sqf", settings);
            float *fit = read_curves(r, "/images/sur_fit"),
                  *counted = read_curves(r, "/images/sur");
            double d = distance_from_published(fit, k + 1);
            print_message("%s, JND %d: mean |difference| from the published curves %.4f\n",
                          models[m], k + 1, d);
            assert_true(d <= 0.025);
            assert_int_equal(vj_results_read(r, "/images/sur_parameters", VJ_COLUMN_F64, 0, SOURCES,
                                             parameters, &err),
                             0);
            assert_int_equal(vj_results_get_int(r, "/images/sur_fit", "unfitted", &unfitted, &err),
                             0);
            assert_int_equal(vj_results_get_int(r, "/images/sur_fit", "at_bound", &at_bound, &err),
                             0);
            assert_int_equal(unfitted, 0);
            assert_int_equal(at_bound, m == 0 && k != 1); /* source 26; one of JND 3 */
            for (int s = 0; s < SOURCES; s++) {
                assert_true(parameters[s][1] > 0);
                assert_true(m == 0 || parameters[s][2] == 0);
                assert_true(isfinite(fit[s * 100]) && isfinite(counted[s * 100]));
            }
            /* Metrics are held against the fitted curves. */
            float *constant = read_curves(r, "/predictors/constant/sur");
            double mae = 0;
            for (int i = 0; i < SOURCES * 100; i++)
                mae += fabs((double)fit[i] - (double)constant[i]) / (SOURCES * 100);
            assert_true(fabs(metric(r, "sur_mae") - mae) < 1e-9);
            /* How many are content is counted all the same. */
            int32_t qf_true[SOURCES], pred[SOURCES];
            double content = 0;
            int labelled = 0;
            read_ints(r, "/images/qf_true", qf_true);
            read_ints(r, "/predictors/constant/qf_pred", pred);
            for (int s = 0; s < SOURCES; s++)
                if (qf_true[s] > 0 && pred[s] > 0)
                    content += (double)counted[s * 100 + qf_true[s] - 1], labelled++;
            assert_true(fabs(metric(r, "sur_at_truth") - content / labelled) < 1e-6);
            print_message("  mean curve of the other folds: SUR MAE %.4f, Bhattacharyya distance "
                          "%.4f\n",
                          mae, metric(r, "bhattacharyya"));
            free(constant);
            free(fit);
            free(counted);
            vj_results_close(r);
        }
}

/* An external predictor that knows the subjects' curves, and the constant, which knows the others'.
 */
/* The number in the line of a CSV report that begins like this. */
static double value_of(const char *csv, const char *line)
{
    char whole[128];
    snprintf(whole, sizeof(whole), "\r\n%s", line);
    const char *at = strstr(csv, whole);
    if (!at)
        fail_msg("no \"%s\" in\n%s", line, csv);
    return strtod(at + strlen(whole), NULL);
}

static void predicted_curves_are_held_against_the_subjects(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    struct vj_results *r = evaluate("sur50", "");
    float *sur = read_curves(r, "/images/sur"),
          *constant = read_curves(r, "/predictors/constant/sur");
    int32_t fold[SOURCES];
    read_ints(r, "/images/fold", fold);
    for (int s = 0; s < SOURCES; s++)
        for (int q = 0; q < 100; q += 9) {
            double sum = 0;
            for (int i = 0; i < SOURCES; i++)
                sum += fold[i] == fold[s] ? 0 : (double)sur[i * 100 + q];
            assert_true(fabs((double)constant[s * 100 + q] - sum / 45) < 1e-6);
        }
    double mae = metric(r, "sur_mae"), distance = metric(r, "bhattacharyya");
    print_message("mean curve of the other folds, counted subjects: SUR MAE %.4f, Bhattacharyya "
                  "distance %.4f\n",
                  mae, distance);
    assert_true(mae > 0.02 && distance > 0.02);
    vj_results_close(r);

    char path[4200], first[4200], other[4200];
    FILE *file = create("curves.csv");
    fputs("image,qf,score\n", file);
    for (int s = 0; s < SOURCES; s++)
        for (int q = 1; q <= 100; q++)
            fprintf(file, "ImageJND_SRC%02d,%d,%.9g\n", s + 1, q, 1 - (double)sur[s * 100 + q - 1]);
    fclose(file);
    snprintf(path, sizeof(path), "external:%s/curves.csv", folder);
    const char *const settings[] = {"predictors", path, "image_metrics", "psnr", NULL};
    const char *const psnr_only[] = {"image_metrics", "psnr", NULL};
    vj_results_close(evaluate_with("sur50", psnr_only));
    snprintf(first, sizeof(first), "%s/first.h5", folder);
    snprintf(other, sizeof(other), "%s/sur50.h5", folder);
    assert_int_equal(rename(other, first), 0);
    r = evaluate_with("sur50", settings);
    assert_true(metric_of(r, "external-curves", "sur_mae") < 1e-7);
    assert_true(fabs(metric_of(r, "external-curves", "bhattacharyya")) < 1e-6);
    assert_true(metric_of(r, "external-curves", "abs_dpsnr_y_sur50") == 0);
    assert_true(metric(r, "abs_dpsnr_y_sur50") > 0);
    /* The same figures from two files side by side. */
    struct vj_text text = {0};
    struct vj_error err = {0};
    const char *const paths[] = {first, other};
    const struct vj_compare_options both = {
        .path = paths, .count = 2, .report.form = VJ_REPORT_FORM_CSV};
    if (vj_compare_files(&text, &both, &err))
        fail_msg("%s", err.text);
    assert_true(fabs(value_of(text.data, "first/constant,,sur_mae,") - mae) < 1e-12);
    assert_true(fabs(value_of(text.data, "first/constant,,bhattacharyya,") - distance) < 1e-12);
    assert_true(value_of(text.data, "external-curves,,sur_mae,") < 1e-7);
    assert_true(fabs(value_of(text.data, "external-curves,,bhattacharyya,")) < 1e-6);
    assert_true(value_of(text.data, "external-curves,,abs_dpsnr_y_sur50,") == 0);
    vj_text_free(&text);
    /* A file of the last 20 sources before that of all: each curve stays with its picture. */
    const char *const last[] = {"predictors", path, "ids", "31-50", NULL};
    vj_results_close(r);
    r = evaluate_with("sur50", last);
    const char *const reversed[] = {other, first};
    const struct vj_compare_options forced = {
        .path = reversed, .count = 2, .report.form = VJ_REPORT_FORM_CSV, .force = true};
    text = (struct vj_text){0};
    if (vj_compare_files(&text, &forced, &err))
        fail_msg("%s", err.text);
    double off = 0;
    for (int k = 30 * 100; k < SOURCES * 100; k++)
        off += fabs((double)sur[k] - (double)constant[k]) / (20 * 100);
    assert_true(fabs(value_of(text.data, "first/constant,,sur_mae,") - off) < 1e-7);
    assert_true(value_of(text.data, "external-curves,,sur_mae,") < 1e-7);
    vj_text_free(&text);
    /* sur50 names the lowest satisfying QF; the largest lossy one lies one below. */
    assert_true(metric_of(r, "external-curves", "bias") == -1);
    vj_results_close(r);
    free(sur);
    free(constant);
}

/* Above the anchor nothing is asked of a predictor: scores up to it give a whole curve. */
static void curves_that_end_at_the_anchor_are_whole(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    const char *settings[] = {"predictors", "constant", "jnd", "2", "bootstrap", "0", NULL};
    struct vj_results *r = evaluate_with("sqf", settings);
    int32_t anchor[SOURCES];
    float *subjects = read_curves(r, "/images/sur");
    read_ints(r, "/images/anchor_qf", anchor);
    vj_results_close(r);
    char path[4200];
    double off = 0;
    FILE *file = create("short.csv");
    fputs("image,qf,score\n", file);
    for (int s = 0; s < SOURCES; s++)
        for (int q = 1; q <= 100; q++) {
            const double sur = subjects[s * 100 + q - 1];
            off += q > anchor[s] ? 1 - sur : 0;
            if (q <= anchor[s])
                fprintf(file, "ImageJND_SRC%02d,%d,%.9g\n", s + 1, q, 1 - sur);
        }
    fclose(file);
    snprintf(path, sizeof(path), "external:%s/short.csv", folder);
    settings[1] = path;
    r = evaluate_with("sqf", settings);
    float *sur = read_curves(r, "/predictors/external-short/sur");
    for (int s = 0; s < SOURCES; s++)
        for (int q = 1; q <= 100; q++) {
            float expected = q > anchor[s] ? 1 : subjects[s * 100 + q - 1];
            assert_true(fabsf(sur[s * 100 + q - 1] - expected) < 1e-6f);
        }
    double mae = metric_of(r, "external-short", "sur_mae");
    assert_true(fabs(mae - off / (SOURCES * 100)) < 1e-6);
    metric_of(r, "external-short", "bhattacharyya"); /* is there */
    vj_results_close(r);
    free(subjects);
    free(sur);
}

/*
 * Nothing is asked of a measure above the anchor either, whatever its sign: values up to it do what
 * the run's own do.
 */
static void measures_that_end_at_the_anchor_are_whole(void **state)
{
    (void)state;
    vj_require_data("labels/mcl_jci_subject_jnd1_3.csv");
    enum { PREDICTORS = 3, FOLDS = 10 };
    static const char *const names[PREDICTORS] = {"ssim-threshold", "external-up", "external-down"};
    static double ssim[SOURCES][100], fit[PREDICTORS][FOLDS];
    static uint8_t lossy[PREDICTORS][SOURCES][100];
    static int32_t qf[PREDICTORS][SOURCES];
    const char *settings[] = {"predictors", "ssim-threshold:fit", "jnd", "2", "bootstrap", "0",
                              NULL};
    struct vj_error err = {0};
    int32_t anchor[SOURCES];
    struct vj_results *r = evaluate_with("sqf", settings);
    read_ints(r, "/images/anchor_qf", anchor);
    assert_int_equal(vj_results_read(r, "/candidates/ssim", VJ_COLUMN_F64, 0, SOURCES, ssim, &err),
                     0);
    vj_results_close(r);
    FILE *up = create("up.csv"), *down = create("down.csv");
    fputs("image,qf,quality\n", up);
    fputs("image,qf,distortion\n", down);
    for (int s = 0; s < SOURCES; s++)
        for (int q = 1; q <= anchor[s]; q++) {
            fprintf(up, "ImageJND_SRC%02d,%d,%.17g\n", s + 1, q, ssim[s][q - 1]);
            fprintf(down, "ImageJND_SRC%02d,%d,%.17g\n", s + 1, q, -ssim[s][q - 1]);
        }
    fclose(up);
    fclose(down);
    char list[9000];
    snprintf(list, sizeof(list), "ssim-threshold:fit,external:%s/up.csv,external:%s/down.csv",
             folder, folder);
    settings[1] = list;
    r = evaluate_with("sqf", settings);
    for (int p = 0; p < PREDICTORS; p++) {
        char path[128];
        snprintf(path, sizeof(path), "/predictors/%s/qf_pred", names[p]);
        read_ints(r, path, qf[p]);
        snprintf(path, sizeof(path), "/predictors/%s/lossy", names[p]);
        assert_int_equal(vj_results_read(r, path, VJ_COLUMN_U8, 0, SOURCES, lossy[p], &err), 0);
        snprintf(path, sizeof(path), "/predictors/%s/fit_parameter", names[p]);
        assert_int_equal(vj_results_read(r, path, VJ_COLUMN_F64, 0, FOLDS, fit[p], &err), 0);
        snprintf(path, sizeof(path), "/predictors/%s", names[p]);
        assert_false(vj_results_has_attribute(r, path, "no_answer"));
    }
    /* A measure is no share of subjects. */
    assert_true(vj_results_has(r, "/predictors/constant/sur"));
    assert_false(vj_results_has(r, "/predictors/external-up/sur"));
    vj_results_close(r);
    for (int p = 1; p < PREDICTORS; p++) {
        assert_memory_equal(qf[p], qf[0], sizeof(qf[0]));
        assert_memory_equal(lossy[p], lossy[0], sizeof(lossy[0]));
        for (int f = 0; f < FOLDS; f++)
            assert_true(fit[p][f] == (p == 1 ? fit[0][f] : -fit[0][f]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_on_the_official_labels_gives_the_known_figures),
        cmocka_unit_test(a_part_of_the_sources_is_predicted_as_in_the_whole),
        cmocka_unit_test(training_sources_of_the_released_checkpoint_are_no_test),
        cmocka_unit_test(labels_of_the_subjects_agree_with_the_independent_table),
        cmocka_unit_test(shares_who_notice_agree_with_the_pair_table),
        cmocka_unit_test(satisfied_users_at_truth_and_prediction_agree_with_the_pair_table),
        cmocka_unit_test(later_jnds_are_searched_below_the_picture_at_the_one_before),
        cmocka_unit_test(fitted_curves_stand_beside_the_counted_ones),
        cmocka_unit_test(predicted_curves_are_held_against_the_subjects),
        cmocka_unit_test(curves_that_end_at_the_anchor_are_whole),
        cmocka_unit_test(measures_that_end_at_the_anchor_are_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
