/* SPDX-License-Identifier: MIT */
/* Cross-validated networks: one weight file for each test fold, all rows one predictor. */
#include "tests/host/run_rig.h"

#include <errno.h>
#include <math.h>

#include "eval/metrics.h"
#include "host/device.h"
#include "host/h5.h"
#include "host/predictors.h"
#include "host/report_file.h"
#include "host/schema.h"
#include "tests/host/small_network.h"

/* Fold numbers with a gap, and images of a fold that do not stand together. */
enum { IMAGES = 6, FOLDS = 3, QFS = 24, DRAWS = 2, PATCHES = 2 };
static const int fold_of[IMAGES] = {4, 1, 2, 1, 4, 2};
static const int qf_true[IMAGES] = {8, 12, 20, 3, 15, 9};
static const int folds[FOLDS] = {1, 2, 4};

static char pattern[4200]; /* vpjnd-folds:FOLDER/net-{fold}.h5 */
static char root[4200];    /* root=..., a manifest whose third image has no fold */

static struct vj_net_shape small_shape(void)
{
    return (struct vj_net_shape){.variant = VJ_VARIANT_FIGURE,
                                 .patch_size = 32,
                                 .patches = PATCHES,
                                 .channels = {16, 16, 16, 16}};
}

static void write_weights(const char *name, const struct vj_net_shape *shape, uint64_t seed,
                          enum vj_positive_class positive, enum vj_weights_origin origin)
{
    char path[4096];
    write_network(in_folder(path, name), shape, seed, positive, origin);
}

/* stem-1.h5, stem-2.h5, stem-4.h5, of different seeds */
static void write_all(const char *stem, enum vj_positive_class positive,
                      enum vj_weights_origin origin)
{
    struct vj_net_shape shape = small_shape();
    for (int f = 0; f < FOLDS; f++) {
        char name[64];
        snprintf(name, sizeof(name), "%s-%d.h5", stem, folds[f]);
        write_weights(name, &shape, 30 + (uint64_t)f, positive, origin);
    }
}

static void write_manifest(const char *name, int without)
{
    char path[4096], csv[1024] = "image,candidates,qf_true,fold\n";
    for (int i = 0; i < IMAGES; i++) {
        size_t used = strlen(csv);
        if (i == without)
            snprintf(csv + used, sizeof(csv) - used, "p%d.png,,%d,\n", i, qf_true[i]);
        else
            snprintf(csv + used, sizeof(csv) - used, "p%d.png,,%d,%d\n", i, qf_true[i], fold_of[i]);
    }
    write_text(in_folder(path, name), csv);
}

static int set_up(void **state)
{
    (void)state;
    char path[4096];
    folder = vj_test_mkdir();
    for (int i = 0; i < IMAGES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%d.png", i);
        write_picture(in_folder(path, name), i, i == 3 ? 1 : 3, WIDTH, HEIGHT);
    }
    write_manifest("all.csv", -1);
    write_manifest("without.csv", 2);
    snprintf(root, sizeof(root), "root=%s", in_folder(path, "without.csv"));
    snprintf(pattern, sizeof(pattern), "vpjnd-folds:%s", in_folder(path, "net-{fold}.h5"));
    write_all("net", VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED);
    write_all("open", VJ_POSITIVE_AUTO, VJ_ORIGIN_TRAINED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static const char *const plain[] = {"folds=manifest", "threads=1", "qf_last=24", NULL};
static const char *const drawn[] = {"folds=manifest", "threads=1",          "qf_last=24",
                                    "draws=2",        "store_patches=true", NULL};

/* The network of one fold alone, over all images. */
static struct vj_results *open_single(int fold, const char *const *pairs)
{
    char path[4096], name[64], predictor[4200];
    snprintf(name, sizeof(name), "net-%d.h5", fold);
    snprintf(predictor, sizeof(predictor), "vpjnd:%s", in_folder(path, name));
    return open_run("single.h5", predictor, pairs);
}

static void every_row_is_that_of_the_network_of_its_fold_alone(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum vj_column_type type;
        size_t bytes; /* of one row */
    } columns[] = {
        {"score", VJ_COLUMN_F32, QFS * sizeof(float)},
        {"score_draws", VJ_COLUMN_F32, DRAWS * QFS * sizeof(float)},
        {"patch_quality", VJ_COLUMN_F32, DRAWS * QFS * PATCHES * sizeof(float)},
        {"patch_weight", VJ_COLUMN_F32, DRAWS * QFS * PATCHES * sizeof(float)},
        {"lossy", VJ_COLUMN_U8, QFS},
        {"qf_pred", VJ_COLUMN_I32, sizeof(int32_t)},
        {"qf_pred_draws", VJ_COLUMN_I32, DRAWS * sizeof(int32_t)},
    };
    struct vj_results *pooled = open_run("pooled.h5", pattern, drawn);
    for (int f = 0; f < FOLDS; f++) {
        char name[64], path[VJ_SCHEMA_PATH];
        snprintf(name, sizeof(name), "vpjnd-net-%d", folds[f]);
        struct vj_results *single = open_single(folds[f], drawn);
        for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
            size_t bytes = columns[c].bytes;
            char ours[IMAGES * 1024], theirs[IMAGES * 1024];
            assert_true(bytes <= 1024);
            read_rows(pooled, vj_schema_path(path, "vpjnd-net", columns[c].what), columns[c].type,
                      0, IMAGES, ours);
            read_rows(single, vj_schema_path(path, name, columns[c].what), columns[c].type, 0,
                      IMAGES, theirs);
            for (size_t i = 0; i < IMAGES; i++) {
                if (fold_of[i] == folds[f])
                    assert_memory_equal(ours + i * bytes, theirs + i * bytes, bytes);
                else if (c == 0) /* else the test could not tell one network from another */
                    assert_memory_not_equal(ours + i * bytes, theirs + i * bytes, bytes);
            }
        }
        vj_results_close(single);
    }
    vj_results_close(pooled);
}

static void neither_slots_nor_threads_nor_other_networks_matter(void **state)
{
    (void)state;
    char path[4096], beside[12800];
    static const char *const one[] = {"folds=manifest", "threads=1", "qf_last=24", "slots=1", NULL};
    static const char *const many[] = {"folds=manifest",   "qf_last=24", "slots=5",
                                       "decode_threads=3", "threads=3",  NULL};
    float a[IMAGES * QFS], b[IMAGES * QFS], c[IMAGES * QFS], d[IMAGES * QFS];
    struct vj_results *r = open_run("one.h5", pattern, one);
    read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, a);
    vj_results_close(r);
    /* A network behind and one in front, which moves the numbers of the others. */
    snprintf(beside, sizeof(beside), "vpjnd:%s,%s,vpjnd:%s", in_folder(path, "net-2.h5"), pattern,
             path);
    r = open_run("many.h5", beside, many);
    read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, b);
    read_rows(r, "/predictors/vpjnd-net-2/score", VJ_COLUMN_F32, 0, IMAGES, c);
    read_rows(r, "/predictors/vpjnd-net-2-2/score", VJ_COLUMN_F32, 0, IMAGES, d);
    vj_results_close(r);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_equal(c, d, sizeof(c));
    for (int i = 0; i < IMAGES; i++)
        if (fold_of[i] == 2)
            assert_memory_equal(a + i * QFS, c + i * QFS, QFS * sizeof(float));
}

static void lazy_and_full_predict_the_same(void **state)
{
    (void)state;
    static const char *const lazy[] = {"folds=manifest", "threads=1", "qf_last=24", "lazy=true",
                                       NULL};
    int32_t full_qf[IMAGES], lazy_qf[IMAGES];
    float full[IMAGES * QFS], some[IMAGES * QFS];
    size_t asked = 0;
    struct vj_results *r = open_run("full.h5", pattern, plain);
    read_rows(r, "/predictors/vpjnd-net/qf_pred", VJ_COLUMN_I32, 0, IMAGES, full_qf);
    read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, full);
    vj_results_close(r);
    r = open_run("lazy.h5", pattern, lazy);
    read_rows(r, "/predictors/vpjnd-net/qf_pred", VJ_COLUMN_I32, 0, IMAGES, lazy_qf);
    read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, some);
    vj_results_close(r);
    assert_memory_equal(full_qf, lazy_qf, sizeof(full_qf));
    for (int i = 0; i < IMAGES * QFS; i++) {
        asked += !isnan(some[i]);
        assert_true(isnan(some[i]) || some[i] == full[i]);
    }
    vj_assert_in_range(asked, IMAGES, IMAGES * QFS - 1);
}

static double absolute_error(const int32_t *qf, int i)
{
    return fabs((double)qf[i] - qf_true[i]);
}

static void metrics_are_pooled_over_all_folds_and_given_for_each(void **state)
{
    (void)state;
    struct vj_error err = {0};
    int32_t qf[IMAGES];
    int64_t fold[FOLDS];
    double mad, by_fold[FOLDS], sum = 0;
    char path[4096];
    struct vj_results *r = open_run("metrics.h5", pattern, plain);
    read_rows(r, "/predictors/vpjnd-net/qf_pred", VJ_COLUMN_I32, 0, IMAGES, qf);
    assert_int_equal(vj_results_get_scalar(r, "/metrics/vpjnd-net/mad", &mad, &err), 0);
    read_rows(r, "/metrics/vpjnd-net/by_fold/mad", VJ_COLUMN_F64, 0, FOLDS, by_fold);
    vj_results_close(r);
    hid_t file, set;
    assert_int_equal(vj_h5_open(&file, in_folder(path, "metrics.h5"), &err), 0);
    set = H5Dopen2(file, "/metrics/vpjnd-net/by_fold/mad", H5P_DEFAULT);
    assert_int_equal(vj_h5_read_ints(set, "fold", fold, FOLDS, &err), 0);
    H5Dclose(set);
    vj_h5_close(file, path, &err);
    for (int f = 0; f < FOLDS; f++) {
        double mine = 0;
        assert_int_equal(fold[f], folds[f]);
        for (int i = 0; i < IMAGES; i++)
            mine += fold_of[i] == folds[f] ? absolute_error(qf, i) : 0;
        assert_float_equal(by_fold[f], mine / 2, 1e-12);
        sum += mine;
    }
    assert_true(sum > 0);
    assert_float_equal(mad, sum / IMAGES, 1e-12);
}

static void images_without_a_fold_are_counted_and_not_evaluated(void **state)
{
    (void)state;
    struct vj_error err = {0};
    char *note, path[4096], beside[8400];
    float score[IMAGES * QFS];
    int32_t qf[IMAGES], origin[IMAGES * PATCHES * 2], status[IMAGES];
    double mad, mean = 0;
    const char *pairs[] = {root, "folds=manifest", "threads=1", "qf_last=24", NULL};
    struct vj_results *r = open_run("without.h5", pattern, pairs);
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, IMAGES, status);
    read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, score);
    read_rows(r, "/predictors/vpjnd-net/qf_pred", VJ_COLUMN_I32, 0, IMAGES, qf);
    read_rows(r, "/patches/origin", VJ_COLUMN_I32, 0, IMAGES, origin);
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-net", "note", &note, &err), 0);
    assert_int_equal(vj_results_get_scalar(r, "/metrics/vpjnd-net/mad", &mad, &err), 0);
    vj_results_close(r);
    vj_assert_contains(note, "3 weight files; 1 of 6 images belong to no fold and are not "
                             "evaluated");
    free(note);
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(status[i], VJ_STATUS_OK);
        for (int k = 0; k < QFS; k++)
            assert_int_equal(isnan(score[i * QFS + k]) != 0, i == 2);
        assert_int_equal(qf[i] == VJ_EVAL_UNKNOWN, i == 2);
        assert_int_equal(origin[i * PATCHES * 2] == -1, i == 2);
        mean += i == 2 ? 0 : absolute_error(qf, i) / (IMAGES - 1);
    }
    assert_float_equal(mad, mean, 1e-12);
    /* Beside a network that scores them all, its patches are placed as ever. */
    snprintf(beside, sizeof(beside), "%s,vpjnd:%s", pattern, in_folder(path, "net-1.h5"));
    r = open_run("beside.h5", beside, pairs);
    read_rows(r, "/patches/origin", VJ_COLUMN_I32, 0, IMAGES, origin);
    read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 2, 1, score);
    assert_true(origin[2 * PATCHES * 2] >= 0);
    assert_true(isnan(score[0]));
    read_rows(r, "/predictors/vpjnd-net-1/score", VJ_COLUMN_F32, 2, 1, score);
    assert_false(isnan(score[0]));
    vj_results_close(r);
}

/* The first images that have a fold decide, each by the network of its own. */
static void an_open_positive_class_is_decided_on_images_that_have_a_fold(void **state)
{
    (void)state;
    static const char *const how[] = {"lazy=false", "lazy=true"};
    char path[4096], open[4200], expected[256], *decision, *positive;
    int32_t qf[2][IMAGES];
    snprintf(open, sizeof(open), "vpjnd-folds:%s", in_folder(path, "open-{fold}.h5"));
    for (int lazy = 0; lazy < 2; lazy++) {
        struct vj_error err = {0};
        float score[IMAGES * QFS];
        double low = 0, high = 0;
        const char *pairs[] = {root, "folds=manifest", "threads=1", "qf_last=24", how[lazy], NULL};
        struct vj_results *r = open_run("open.h5", open, pairs);
        const char *group = "/predictors/vpjnd-open";
        assert_int_equal(vj_results_get_text(r, group, "positive_class", &positive, &err), 0);
        assert_int_equal(vj_results_get_text(r, group, "positive_class_decision", &decision, &err),
                         0);
        read_rows(r, "/predictors/vpjnd-open/score", VJ_COLUMN_F32, 0, IMAGES, score);
        read_rows(r, "/predictors/vpjnd-open/qf_pred", VJ_COLUMN_I32, 0, IMAGES, qf[lazy]);
        vj_results_close(r);
        for (int i = 0; i < 5; i++) /* images 0, 1, 3, 4 */
            for (int k = 0; i != 2 && k < QFS / 2; k++) {
                low += score[i * QFS + k];
                high += score[i * QFS + QFS / 2 + k];
            }
        assert_string_equal(positive, low >= high ? "lossy" : "lossless");
        snprintf(expected, sizeof(expected),
                 "auto: mean score %.6g on the lower half of the quality factors, %.6g on the "
                 "upper, over the first 4 images",
                 low / (4 * QFS / 2), high / (4 * QFS / 2));
        assert_string_equal(decision, expected);
        free(positive);
        free(decision);
    }
    assert_memory_equal(qf[0], qf[1], sizeof(qf[0]));
    assert_int_equal(qf[0][2], VJ_EVAL_UNKNOWN);
}

static void the_file_says_which_weights_there_were(void **state)
{
    (void)state;
    struct vj_error err = {0};
    char path[4096], digests[4 * 65] = "", *text;
    int64_t fold[FOLDS];
    vj_results_close(open_run("facts.h5", pattern, plain));
    for (int f = 0; f < FOLDS; f++) {
        struct vj_weights w = {0};
        char name[64];
        snprintf(name, sizeof(name), "net-%d.h5", folds[f]);
        assert_int_equal(vj_weights_read(&w, in_folder(path, name), &err), 0);
        snprintf(digests + strlen(digests), 66, "%s%s", f ? " " : "", w.sha256);
        vj_weights_free(&w);
    }
    const struct {
        const char *name, *value;
    } texts[] = {
        {"kind", "vpjnd-folds"},
        {"weights_pattern", strchr(pattern, ':') + 1},
        {"weights_sha256", digests},
        {"weights_origin", "trained"},
        {"variant", "figure"},
        {"positive_class", "lossy"},
        {"note", "figure, trained weights, positive = lossy; each image scored by the network of "
                 "its fold; 3 weight files"},
    };
    struct vj_results *r;
    assert_int_equal(vj_results_open(&r, in_folder(path, "facts.h5"), false, &err), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (vj_results_get_text(r, "/predictors/vpjnd-net", texts[i].name, &text, &err))
            fail_msg("%s", err.text);
        assert_string_equal(text, texts[i].value);
        free(text);
    }
    vj_results_close(r);
    hid_t file, group;
    assert_int_equal(vj_h5_open(&file, path, &err), 0);
    group = H5Gopen2(file, "/predictors/vpjnd-net", H5P_DEFAULT);
    assert_int_equal(vj_h5_read_ints(group, "weights_fold", fold, FOLDS, &err), 0);
    H5Gclose(group);
    vj_h5_close(file, path, &err);
    for (int f = 0; f < FOLDS; f++)
        assert_int_equal(fold[f], folds[f]);
}

static void the_report_has_one_row_and_says_how_it_came_about(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_text text = {0};
    char path[4096];
    vj_results_close(open_run("report.h5", pattern, plain));
    const struct vj_report_options by_fold = {.form = VJ_REPORT_FORM_TEXT,
                                              .sections = VJ_REPORT_FOLDS};
    if (vj_report_file(&text, in_folder(path, "report.h5"), &by_fold, &err))
        fail_msg("%s", err.text);
    vj_assert_contains(text.data, "\nvpjnd-net ");
    vj_assert_contains(text.data, "vpjnd-net: figure, trained weights, positive = lossy; each "
                                  "image scored by the network of its fold;\n  3 weight files\n");
    vj_assert_contains(text.data, "MAD per fold");
    vj_text_free(&text);
}

static void expect_failure(const char *predictors, const char *const *pairs, int code,
                           const char *const *texts)
{
    char path[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    assert_int_equal(run_as("none.h5", path, predictors, pairs, false, &summary, &err), code);
    for (; *texts; texts++)
        vj_assert_contains(err.text, *texts);
    assert_int_equal(access(path, F_OK), -1);
}

static void missing_files_are_all_named(void **state)
{
    (void)state;
    char path[4096], part[4096], predictor[4200], second[4200], fourth[4200];
    struct vj_net_shape shape = small_shape();
    write_weights("part-01.h5", &shape, 1, VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED);
    snprintf(predictor, sizeof(predictor), "vpjnd-folds:%s", in_folder(path, "part-{fold:02d}.h5"));
    snprintf(second, sizeof(second), "are missing: %s, ", in_folder(part, "part-02.h5"));
    snprintf(fourth, sizeof(fourth), ", %s", in_folder(part, "part-04.h5"));
    const char *const texts[] = {"2 of the 3 weight files, one for each fold of the images", second,
                                 fourth, NULL};
    expect_failure(predictor, plain, -ENOENT, texts);
    /* Only folds that occur among the images matter. */
    const char *pairs[] = {"folds=manifest", "threads=1", "qf_last=24", "ids=2,4", NULL};
    struct vj_results *r = open_run("some.h5", predictor, pairs);
    assert_true(vj_results_has(r, "/metrics/vpjnd-part/mad"));
    vj_results_close(r);
}

static void folds_there_must_be(void **state)
{
    (void)state;
    const char *none[] = {"folds=none", "threads=1", "qf_last=24", NULL};
    const char *other[] = {root, "folds=manifest", "ids=3", "threads=1", "qf_last=24", NULL};
    const char *const texts[] = {"no image has a test fold", "set option folds", NULL};
    expect_failure(pattern, none, -EINVAL, texts);
    expect_failure(pattern, other, -EINVAL, texts);
}

static void files_that_disagree_are_refused_by_field_and_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum vj_variant variant;
        enum vj_non_local non_local;
        int patch_size, patches, channel;
        enum vj_positive_class positive;
        enum vj_weights_origin origin;
    } cases[] = {
        {"variant is figure in ", VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, PATCHES, 16,
         VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED},
        {"non_local is reshape in ", VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 32, PATCHES, 16,
         VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED},
        {"patch_size is 32 in ", VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, PATCHES, 16,
         VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED},
        {"patches is 2 in ", VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, PATCHES + 1, 16,
         VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED},
        {"channels is 16 16 16 16 in ", VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, PATCHES, 32,
         VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED},
        {"positive_class is lossy in ", VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, PATCHES, 16,
         VJ_POSITIVE_AUTO, VJ_ORIGIN_TRAINED},
        {"origin is trained in ", VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, PATCHES, 16,
         VJ_POSITIVE_LOSSY, VJ_ORIGIN_RANDOM},
    };
    char path[4096], predictor[4200], first[4200], fourth[4200];
    write_all("odd", VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED);
    snprintf(first, sizeof(first), " in %s, but ", in_folder(path, "odd-1.h5"));
    snprintf(fourth, sizeof(fourth), " in %s; ", in_folder(path, "odd-4.h5"));
    snprintf(predictor, sizeof(predictor), "vpjnd-folds:%s", in_folder(path, "odd-{fold}.h5"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_net_shape shape = {.variant = cases[i].variant,
                                     .non_local = cases[i].non_local,
                                     .patch_size = cases[i].patch_size,
                                     .patches = cases[i].patches,
                                     .channels = {16, 16, cases[i].channel, 16}};
        write_weights("odd-4.h5", &shape, 1, cases[i].positive, cases[i].origin);
        const char *const texts[] = {cases[i].text, first, fourth, NULL};
        expect_failure(predictor, plain, -EINVAL, texts);
    }
}

/* Items of fold 1 are 2 and 4. */
static void a_file_that_has_seen_its_fold_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *dataset;
        int fold;
        const char *ids, *text; /* NULL: nothing is wrong */
    } cases[] = {
        {"mcl-jci", 7, "1-50", NULL},
        {"manifest", 1, "1,3,5-6", NULL},
        {"manifest", 0, "1,3,5-6", NULL},
        {"manifest", 2, "1,3,5-6", "seen-1.h5 is to score the images of fold 1, but fold 2 was"},
        {"manifest", 1, "1,3-6",
         "seen-1.h5 was trained with item 4 of manifest, which lies in "
         "fold 1, whose images it is to score"},
        {"manifest", 0, "1-6", "seen-1.h5 was trained with item 2 of manifest"},
        {"manifest", 1, "all", "seen-1.h5: trained_ids 'all' is not a list of different numbers"},
    };
    char path[4096], predictor[4200];
    char *fingerprint = strdup("0"); /* that of the data set once a run has told it */
    const char *pairs[] = {"folds=manifest", "threads=1", "qf_last=3", "ids=2,4", NULL};
    snprintf(predictor, sizeof(predictor), "vpjnd-folds:%s", in_folder(path, "seen-{fold}.h5"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_weights w = {0};
        struct vj_error err = {0};
        struct vj_net_shape shape = small_shape();
        assert_int_equal(vj_weights_init(&w, &shape, 1, &err), 0);
        w.origin = VJ_ORIGIN_TRAINED;
        w.trained = calloc(1, sizeof(*w.trained));
        assert_non_null(w.trained);
        strcpy(w.trained->dataset, cases[i].dataset);
        strcpy(w.trained->fingerprint, fingerprint);
        w.trained->fold = cases[i].fold;
        w.trained->ids = strdup(cases[i].ids);
        w.trained->config = strdup("");
        if (vj_weights_write(&w, in_folder(path, "seen-1.h5"), &err))
            fail_msg("%s", err.text);
        vj_weights_free(&w);
        const char *const texts[] = {cases[i].text, NULL};
        if (cases[i].text)
            expect_failure(predictor, pairs, -EINVAL, texts);
        else {
            struct vj_results *r = open_run("seen.h5", predictor, pairs);
            free(fingerprint);
            assert_int_equal(vj_results_get_text(r, "/", "dataset_fingerprint", &fingerprint, &err),
                             0);
            vj_results_close(r);
        }
    }
    free(fingerprint);
}

static void the_note_tells_the_steps_and_labels_of_all_files(void **state)
{
    (void)state;
    static const struct {
        int steps[2];
        const char *labels[2], *text;
    } cases[] = {
        {{30, 30}, {"a", "a"}, "2 weight files; trained 30 steps on a"},
        {{30, 10}, {"a", "a"}, "2 weight files; trained 10 to 30 steps on a"},
        {{30, 50}, {"a", "b"}, "; trained 30 to 50 steps on a, SOME ON OTHER LABELS than these"},
    };
    const char *pairs[] = {"folds=manifest", "threads=1", "qf_last=3", "ids=2-3", NULL};
    char path[4096], name[32], predictor[4300], *note;
    struct vj_error err = {0};
    snprintf(predictor, sizeof(predictor), "vpjnd-folds:%s", in_folder(path, "steps-{fold}.h5"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int f = 0; f < 2; f++) {
            struct vj_weights w = {0};
            struct vj_net_shape shape = small_shape();
            assert_int_equal(vj_weights_init(&w, &shape, 1, &err), 0);
            w.origin = VJ_ORIGIN_TRAINED;
            w.trained = calloc(1, sizeof(*w.trained));
            assert_non_null(w.trained);
            strcpy(w.trained->dataset, "manifest");
            strcpy(w.trained->labels, cases[i].labels[f]);
            w.trained->step = cases[i].steps[f];
            w.trained->ids = strdup("6");
            w.trained->config = strdup("");
            snprintf(name, sizeof(name), "steps-%d.h5", folds[f]);
            if (vj_weights_write(&w, in_folder(path, name), &err))
                fail_msg("%s", err.text);
            vj_weights_free(&w);
        }
        struct vj_results *r = open_run("steps.h5", predictor, pairs);
        assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-steps", "note", &note, &err), 0);
        vj_results_close(r);
        vj_assert_contains(note, cases[i].text);
        free(note);
    }
}

/* Makes a finished file one that was cut short: the last `pending` rows are not evaluated. */
static void cut_short(const char *name, size_t pending)
{
    char path[4096], part[4200];
    struct vj_error err = {0};
    struct vj_results *r;
    float score[IMAGES * QFS];
    int32_t status[IMAGES];
    snprintf(part, sizeof(part), "%s.part", in_folder(path, name));
    assert_int_equal(rename(path, part), 0);
    assert_int_equal(vj_results_open(&r, part, true, &err), 0);
    for (size_t i = 0; i < IMAGES; i++)
        status[i] = VJ_STATUS_PENDING;
    for (size_t i = 0; i < IMAGES * QFS; i++)
        score[i] = NAN;
    size_t first = IMAGES - pending;
    if (vj_results_write(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, first, pending, score,
                         &err) ||
        vj_results_write(r, "/images/status", VJ_COLUMN_I32, first, pending, status, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
}

static void a_run_cut_short_is_resumed_to_the_same_content(void **state)
{
    (void)state;
    char path[4096];
    float whole[IMAGES * QFS], resumed[IMAGES * QFS];
    int32_t whole_qf[IMAGES], resumed_qf[IMAGES];
    double mad[2];
    for (size_t pending = 1; pending <= IMAGES; pending += 2) {
        struct vj_run_summary summary;
        struct vj_error err = {0};
        struct vj_results *r = open_run("cut.h5", pattern, plain);
        read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, whole);
        read_rows(r, "/predictors/vpjnd-net/qf_pred", VJ_COLUMN_I32, 0, IMAGES, whole_qf);
        assert_int_equal(vj_results_get_scalar(r, "/metrics/vpjnd-net/mad", &mad[0], &err), 0);
        vj_results_close(r);
        cut_short("cut.h5", pending);
        if (run_as("cut.h5", path, pattern, plain, true, &summary, &err))
            fail_msg("%s", err.text);
        assert_int_equal(summary.resumed, IMAGES - pending);
        assert_int_equal(vj_results_open(&r, path, false, &err), 0);
        read_rows(r, "/predictors/vpjnd-net/score", VJ_COLUMN_F32, 0, IMAGES, resumed);
        read_rows(r, "/predictors/vpjnd-net/qf_pred", VJ_COLUMN_I32, 0, IMAGES, resumed_qf);
        assert_int_equal(vj_results_get_scalar(r, "/metrics/vpjnd-net/mad", &mad[1], &err), 0);
        vj_results_close(r);
        assert_memory_equal(whole, resumed, sizeof(whole));
        assert_memory_equal(whole_qf, resumed_qf, sizeof(whole_qf));
        assert_true(mad[0] == mad[1]);
    }
}

static void a_run_is_not_resumed_with_other_weights(void **state)
{
    (void)state;
    char path[4096], predictor[4200];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_net_shape shape = small_shape();
    write_all("swap", VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED);
    snprintf(predictor, sizeof(predictor), "vpjnd-folds:%s", in_folder(path, "swap-{fold}.h5"));
    vj_results_close(open_run("swap.h5", predictor, plain));
    char part[4200];
    snprintf(part, sizeof(part), "%s.part", in_folder(path, "swap.h5"));
    assert_int_equal(rename(path, part), 0);
    write_weights("swap-2.h5", &shape, 77, VJ_POSITIVE_LOSSY, VJ_ORIGIN_TRAINED);
    assert_int_equal(run_as("swap.h5", path, predictor, plain, true, &summary, &err), -EINVAL);
    vj_assert_contains(err.text, "its weights of fold 2 in "
                                 "/predictors/vpjnd-swap have the SHA-256 ");
}

/* What the engine relies on: a network that positions() leaves out is not there for scores(). */
static void the_device_refuses_scores_of_a_network_that_was_not_wanted(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_weights w[2] = {0};
    const struct vj_weights *list[] = {&w[0], &w[1]};
    struct vj_net_shape shape = small_shape();
    struct vj_device device;
    struct vj_image img;
    char note[256], path[4096];
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(vj_weights_init(&w[i], &shape, i, &err), 0);
    struct vj_device_plan plan = {.max_width = WIDTH,
                                  .max_height = HEIGHT,
                                  .slots = 1,
                                  .threads = 1,
                                  .levels = 1,
                                  .sampling = VJ_SUBSAMPLING_420,
                                  .jnd_count = 1,
                                  .weights = list,
                                  .weights_count = 2,
                                  .patches = PATCHES,
                                  .draws = 1,
                                  .patch_size = 32};
    plan.jnd[0].model = vj_jnd_find("chou95", NULL);
    assert_int_equal(vj_device_open(&device, "cpu", &plan, note, &err), 0);
    assert_int_equal(vj_image_read(&img, in_folder(path, "p0.png"), NULL, &err), 0);
    const int32_t origin[PATCHES][2] = {{0, 0}, {7, 9}};
    const int qf = 40;
    const struct vj_candidate_request request = {.qf = &qf, .count = 1, .patches = true};
    const struct vj_candidate_values out = {0};
    float score[2], both[2];
    const struct vj_device_ops *ops = device.ops;
    for (int turn = 0; turn < 3; turn++) { /* all, the first, the second */
        const bool wanted[] = {turn == 1, turn == 2};
        assert_int_equal(ops->source(device.state, 0, &img, NULL, 0, &err), 0);
        assert_int_equal(ops->jnd_maps(device.state, 0, &err), 0);
        assert_int_equal(ops->positions(device.state, 0, origin, NULL, turn ? wanted : NULL, &err),
                         0);
        assert_int_equal(ops->candidates(device.state, 0, &request, &out, &err), 0);
        for (size_t n = 0; n < 2; n++) {
            int r = ops->scores(device.state, 0, n, 0, 1, &score[n], NULL, NULL, &err);
            assert_int_equal(r, turn == 0 || wanted[n] ? 0 : -EINVAL);
            if (turn == 0)
                both[n] = score[n];
            else if (wanted[n])
                assert_true(score[n] == both[n]);
            else
                vj_assert_contains(err.text, "which positions() did not want");
        }
    }
    vj_image_free(&img);
    vj_device_close(&device);
    vj_weights_free(&w[0]);
    vj_weights_free(&w[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_that_of_the_network_of_its_fold_alone),
        cmocka_unit_test(neither_slots_nor_threads_nor_other_networks_matter),
        cmocka_unit_test(lazy_and_full_predict_the_same),
        cmocka_unit_test(metrics_are_pooled_over_all_folds_and_given_for_each),
        cmocka_unit_test(images_without_a_fold_are_counted_and_not_evaluated),
        cmocka_unit_test(an_open_positive_class_is_decided_on_images_that_have_a_fold),
        cmocka_unit_test(the_file_says_which_weights_there_were),
        cmocka_unit_test(the_report_has_one_row_and_says_how_it_came_about),
        cmocka_unit_test(missing_files_are_all_named),
        cmocka_unit_test(folds_there_must_be),
        cmocka_unit_test(files_that_disagree_are_refused_by_field_and_name),
        cmocka_unit_test(a_file_that_has_seen_its_fold_is_refused),
        cmocka_unit_test(the_note_tells_the_steps_and_labels_of_all_files),
        cmocka_unit_test(a_run_cut_short_is_resumed_to_the_same_content),
        cmocka_unit_test(a_run_is_not_resumed_with_other_weights),
        cmocka_unit_test(the_device_refuses_scores_of_a_network_that_was_not_wanted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
