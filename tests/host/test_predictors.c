/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "datasets/dataset.h"
#include "host/predictors.h"

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* Writes folder/name and returns its path in a static buffer. */
static const char *put(const char *name, const char *content)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    return path;
}

static void defaults_and_arguments_of_thresholds(void **state)
{
    (void)state;
    struct vj_predictors p = {0};
    struct vj_error err = {0};
    const char *list = "constant, psnr-threshold ,psnr-threshold:fit,ssim-threshold,"
                       "ms-ssim-threshold,ms-ssim-threshold:0.99,pixel-epc17,"
                       "pixel-chou95-paper:0.1,constant,constant,ssimulacra2-threshold,"
                       "ssimulacra2-threshold:-12.5,ssimulacra2-threshold:fit";
    static const char *const more = "pixel-epc17,pixel-epc17@share:0.5,pixel-epc17-paper@excess,"
                                    "pixel-chou95@excess:12,pixel-chou95@noise:-2.5,"
                                    "pixel-chou95@noise:fit,compression-ratio,compression-ratio:7,"
                                    "ssim-threshold:0.95";
    if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
        fail_msg("%s", err.text);
    assert_int_equal(p.count, 13);
    assert_string_equal(p.list[1].name, "psnr-threshold");
    assert_float_equal(p.list[1].threshold, 36.70, 0);
    assert_false(p.list[1].fit);
    assert_string_equal(p.list[2].name, "psnr-threshold:fit");
    assert_true(p.list[2].fit);
    assert_true(p.list[3].fit); /* SSIM has no published figure */
    assert_float_equal(p.list[4].threshold, 0.9922, 0);
    assert_float_equal(p.list[5].threshold, 0.99, 0);
    assert_true(p.list[6].fit);
    assert_string_equal(p.list[7].jnd_model->variants[p.list[7].jnd_variant], "paper");
    assert_string_equal(p.list[7].name, "pixel-chou95-paper");
    assert_string_equal(p.list[8].name, "constant-2");
    assert_string_equal(p.list[9].name, "constant-3");
    assert_string_equal(p.list[10].name, "ssimulacra2-threshold");
    assert_float_equal(p.list[10].threshold, 63.10, 0);
    assert_false(p.list[10].fit);
    assert_float_equal(p.list[11].threshold, -12.5, 0);
    assert_string_equal(p.list[12].name, "ssimulacra2-threshold:fit");
    assert_true(p.list[12].fit);
    assert_int_equal(p.list[6].jnd_rule, VJ_JND_SHARE);
    vj_predictors_free(&p);
    if (vj_predictors_open(&p, more, "jpeg", VJ_POSITIVE_AUTO, &err))
        fail_msg("%s", err.text);
    static const char *const names[] = {
        "pixel-epc17",         "pixel-epc17:0.5",     "pixel-epc17-paper@excess",
        "pixel-chou95@excess", "pixel-chou95@noise",  "pixel-chou95@noise:fit",
        "compression-ratio",   "compression-ratio:7", "ssim-threshold"};
    static const int rules[] = {0, 0, VJ_JND_EXCESS, VJ_JND_EXCESS, VJ_JND_NOISE, VJ_JND_NOISE};
    assert_int_equal(p.count, 9);
    for (size_t i = 0; i < p.count; i++) {
        assert_string_equal(p.list[i].name, names[i]);
        if (i < 6)
            assert_int_equal(p.list[i].jnd_rule, rules[i]);
    }
    assert_string_equal(p.list[1].kind_name, "pixel-epc17");
    assert_string_equal(p.list[2].jnd_model->variants[p.list[2].jnd_variant], "paper");
    assert_true(p.list[2].fit && p.list[5].fit && !p.list[4].fit);
    assert_true(p.list[3].threshold == 12 && p.list[4].threshold == -2.5);
    assert_int_equal(p.list[6].ratio_qf, 50);
    assert_int_equal(p.list[7].ratio_qf, 7);
    assert_true(!p.list[8].fit && p.list[8].threshold == 0.95);
    vj_predictors_free(&p);
}

static void external_predictions_are_found_by_name_or_stem(void **state)
{
    (void)state;
    struct vj_predictors p = {0};
    struct vj_error err = {0};
    char list[4200];
    snprintf(list, sizeof(list), "external:%s",
             put("a:b.csv", "image,qf_pred\nb,40\nphotos/a.png,30\n\"c, d\",\n"));
    if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
        fail_msg("%s", err.text);
    assert_string_equal(p.list[0].name, "external-a:b");
    const struct vj_external *e = &p.list[0].external;
    assert_int_equal(e->form, VJ_EXTERNAL_QF);
    assert_false(p.list[0].fit);
    assert_int_equal(vj_external_find(e, "photos/a.png")->qf, 30);
    assert_int_equal(vj_external_find(e, "elsewhere/b.bmp")->qf, 40);
    assert_int_equal(vj_external_find(e, "c, d")->qf, VJ_QF_UNKNOWN);
    assert_null(vj_external_find(e, "c"));
    vj_predictors_free(&p);
}

static void external_scores_are_kept_per_quality_factor(void **state)
{
    (void)state;
    struct vj_predictors p = {0};
    struct vj_error err = {0};
    char list[4200];
    snprintf(list, sizeof(list), "external:%s",
             put("scores.csv", "qf,image,score\n1,a,0.9\n100,a,0.125\n7,a, \n"));
    if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
        fail_msg("%s", err.text);
    const struct vj_external_row *row = vj_external_find(&p.list[0].external, "a");
    assert_int_equal(p.list[0].external.form, VJ_EXTERNAL_SCORE);
    assert_false(p.list[0].fit);
    assert_float_equal(row->score[100], 0.125, 0);
    assert_true(isnan(row->score[50]));
    assert_true(isnan(row->score[7]));
    vj_predictors_free(&p);
}

/* Of any size and sign: no number stands for a missing one. */
static void external_measures_are_any_numbers_and_their_thresholds_are_fitted(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        enum vj_external_form form;
    } cases[] = {
        {"image,qf,quality\na,1,-1\na,2,\na,3,0\na,100,-3.4e38\n", VJ_EXTERNAL_QUALITY},
        {"Distortion,note,image,qf\n-1,x,a,1\n ,,a,2\n0,,a,3\n-3.4e38,,a,100\n",
         VJ_EXTERNAL_DISTORTION},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_predictors p = {0};
        struct vj_error err = {0};
        char list[4200];
        snprintf(list, sizeof(list), "external:%s", put("measure.csv", cases[i].content));
        if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
            fail_msg("%s", err.text);
        const struct vj_external_row *row = vj_external_find(&p.list[0].external, "a");
        assert_int_equal(p.list[0].external.form, cases[i].form);
        assert_true(p.list[0].fit);
        assert_true(row->score[1] == -1 && row->score[3] == 0 && row->score[100] == -3.4e38f);
        assert_true(isnan(row->score[2]) && isnan(row->score[4]));
        vj_predictors_free(&p);
    }
}

static void bad_lists_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *list, *text;
    } cases[] = {
        {"", "option predictors: an empty entry"},
        {"constant,,psnr-threshold", "option predictors: an empty entry"},
        {"median", "unknown predictor 'median'; known are constant, psnr-threshold,"},
        {"constant:3", "predictor constant takes no ':3'"},
        {"psnr-threshold:loud", "predictor psnr-threshold: 'loud' is neither fit nor a PSNR in dB"},
        {"psnr-threshold:-3", "'-3' is neither fit nor a PSNR in dB from 0 to 200"},
        {"psnr-threshold:nan", "'nan' is neither fit nor a PSNR"},
        {"ms-ssim-threshold:1.5", "'1.5' is neither fit nor a similarity from -1 to 1"},
        {"ssimulacra2-threshold:101", "'101' is neither fit nor a score of at most 100"},
        {"ssimulacra2-threshold:-inf", "'-inf' is neither fit nor a score"},
        {"pixel-epc17:2", "predictor pixel-epc17: '2' is neither fit nor a share of pixels"},
        {"pixel-epc17@share:2", "predictor pixel-epc17: '2' is neither fit nor a share of pixels"},
        {"pixel-epc17@excess:-1", "'-1' is neither fit nor a mean square in grey levels from 0"},
        {"pixel-epc17@noise:201", "'201' is neither fit nor a difference of PSNR in dB from -200"},
        {"pixel-epc17@noise:nan", "'nan' is neither fit nor a difference of PSNR"},
        {"pixel-epc17@mean", "predictor pixel-epc17@mean: unknown rule '@mean'; known are @share"},
        {"pixel-epc17@", "unknown rule '@'"},
        {"pixel-epc17@noise-paper", "unknown rule '@noise-paper'"},
        {"psnr-threshold@noise", "unknown predictor 'psnr-threshold@noise'"},
        {"compression-ratio:0", "predictor compression-ratio: '0' is not a quality factor from 1"},
        {"compression-ratio:", "'' is not a quality factor"},
        {"compression-ratio:40x", "'40x' is not a quality factor"},
        {"compression-ratio:101", "'101' is not a quality factor"},
        {"compression-ratio:99999999999999999999", "is not a quality factor"},
        {"compression-ratio:fit", "'fit' is not a quality factor"},
        {"pixel-eye", "eye"},
        {"pixel-epc17-wrong", "wrong"},
        {"vpjnd", "predictor vpjnd needs a file: vpjnd:FILE"},
        {"external:", "predictor external needs a file"},
        {"vpjnd-folds", "predictor vpjnd-folds needs a pattern of weight files: vpjnd-folds:net-"},
        {"vpjnd-folds:w.h5", "predictor vpjnd-folds: 'w.h5': no {fold} in it"},
        {"vpjnd-folds:w-{fold:2d}.h5", "unknown placeholder at '{fold:2d}.h5'; use {fold} or"},
        {"vpjnd:/nonexistent/w.h5", "/nonexistent/w.h5"},
        {"external:/nonexistent/e.csv", "/nonexistent/e.csv"},
        {"external:/nonexistent/e,f.csv", "a file whose name has one must be renamed or linked to"},
        {"vpjnd:/nonexistent/e,f.h5", "predictor 'f.h5'; known are constant, psnr-threshold, "},
        {"vpjnd:/nonexistent/e,f.h5", "a comma ends an entry of option predictors"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_predictors p = {0};
        struct vj_error err = {0};
        assert_true(vj_predictors_open(&p, cases[i].list, "jpeg", VJ_POSITIVE_AUTO, &err) < 0);
        vj_assert_contains(err.text, cases[i].text);
        vj_predictors_free(&p);
    }
}

static void bad_external_files_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *content, *text;
    } cases[] = {
        {"image,qf,score\nok,50,0,93\n", "e.csv:2: 4 fields where the first line names 3 columns"},
        {"image,qf_pred\nx,50\ny\n", "e.csv:3: 1 fields where the first line names 2 columns"},
        {"", "e.csv"},
        {"image,qf_pred\n", "e.csv has no rows"},
        {"picture,qf_pred\na,3\n", "image"},
        {"image,prediction\na,3\n",
         "its header 'image,prediction' has neither image,qf_pred nor image,qf,score"},
        {"image,qf_pred\na,0\n", "e.csv:2: qf_pred '0' is not a number from 1 to 100"},
        {"image,qf_pred\na,101\n", "e.csv:2: qf_pred '101'"},
        {"image,qf_pred\na,100.2\n", "e.csv:2: qf_pred '100.2'"},
        {"image,qf_pred\na,nan\n", "e.csv:2: qf_pred 'nan'"},
        {"image,qf_pred\na,37 8\n", "e.csv:2: qf_pred '37 8'"},
        {"image,qf_pred\na,0x20\n", "e.csv:2: qf_pred '0x20' is not a number from 1 to 100"},
        {"image,qf,score\na,0x20,0.5\n", "e.csv:2: qf '0x20' is not a whole number"},
        {"image,qf,score\na,32,0x1p-1\n", "e.csv:2: score '0x1p-1' is not a probability"},
        {"image,qf,score\na,7.5,0.5\n", "e.csv:2: qf '7.5' is not a whole number"},
        {"image,qf_pred\na,3\na,4\n", "e.csv:3: a second prediction for image 'a'"},
        {"image,qf_pred\na,\na,4\n", "e.csv:3: a second prediction for image 'a'"},
        {"image,qf,score\na,7,\na,7,0.5\n", "e.csv:3: a second score for image 'a' at quality"},
        {"image,qf_pred\na,3\nb,3\na,4\n", "rows of image 'a' stand in more than one place"},
        {"image,qf,score\na,1,1.5\n", "e.csv:2: score '1.5' is not a probability"},
        {"image,qf,score\na,1,nan\n", "e.csv:2: score 'nan' is not a probability"},
        {"image,qf,score\na,,0.5\n", "e.csv:2: qf '' is not a whole number"},
        {"image,qf,score\na,7,0.5\na,7,0.5\n", "e.csv:3: a second score for image 'a' at quality"},
        {"image,qf_pred\n\"a,3\n", "e.csv:2"},
        {"image,qf,vmaf\na,1,3\n",
         "neither image,qf_pred nor image,qf,score nor image,qf,quality nor image,qf,distortion"},
        {"image,quality\na,3\n", "has neither image,qf_pred nor image,qf,score"},
        {"image,qf,quality,score\na,1,3,0.5\n",
         "its header has both score and quality; a file has one of qf_pred, score, quality and "
         "distortion"},
        {"image,qf,qf_pred,score\na,1,3,0.5\n", "its header has both qf_pred and score"},
        {"score,quality,image,qf\n0.5,3,a,1\n", "its header has both score and quality"},
        {"image,distortion,qf_pred\na,1,3\n", "its header has both qf_pred and distortion"},
        {"image,qf,distortion,quality\na,1,3,4\n", "has both quality and distortion"},
        {"image,qf,quality\na,1,nan\n", "e.csv:2: quality 'nan' is not a finite number"},
        {"image,qf,quality\na,1,inf\n", "e.csv:2: quality 'inf' is not a finite number"},
        {"image,qf,distortion\na,1,1e39\n",
         "e.csv:2: distortion '1e39' is not a finite number of at most 3.4e+38 in size; leave it "
         "empty for no answer"},
        {"image,qf,distortion\na,0,1\n", "e.csv:2: qf '0' is not a whole number"},
        {"image,qf,quality\na,7,\na,7,3\n", "e.csv:3: a second quality for image 'a' at quality"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_predictors p = {0};
        struct vj_error err = {0};
        char list[4200];
        snprintf(list, sizeof(list), "external:%s", put("e.csv", cases[i].content));
        assert_true(vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err) < 0);
        vj_assert_contains(err.text, cases[i].text);
        vj_predictors_free(&p);
    }
}

static void read_external(struct vj_external *external, const char *content)
{
    struct vj_error err = {0};
    *external = (struct vj_external){0};
    if (vj_external_read(external, put("e.csv", content), &err))
        fail_msg("%s", err.text);
}

/* As in a manifest's and a label file's. */
static void blanks_around_external_numbers_are_no_matter(void **state)
{
    (void)state;
    struct vj_external e;
    read_external(&e, "image,qf_pred\na, 44\nb,37 \nc,3e1\n");
    assert_int_equal(vj_external_find(&e, "a")->qf, 44);
    assert_int_equal(vj_external_find(&e, "b")->qf, 37);
    assert_int_equal(vj_external_find(&e, "c")->qf, 30);
    vj_external_free(&e);
}

static void external_rows_are_found_by_name_or_by_stem(void **state)
{
    (void)state;
    struct vj_external e;
    read_external(&e,
                  "image,qf_pred\nx.bmp,50.4\nout/y,20.5\nz.png,1\nz.ppm,2\n/r/w.tar.gz,3\nv,4\n");
    static const struct {
        const char *image;
        int qf; /* 0: no row */
    } cases[] = {
        {"x.bmp", 50}, {"a/x.png", 50}, {"x", 50},    {"y.png", 21}, {"y", 21},    {"y.", 21},
        {"z.png", 1},  {"z.ppm", 2},    {"z.bmp", 0}, {"z", 0},      {"w.tar", 0}, {"w.tar.x", 3},
        {"v.jpg", 4},  {"vv", 0},       {"", 0},      {"w", 0},      {"X", 0},     {"b/v", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vj_external_row *row = vj_external_find(&e, cases[i].image);
        if ((row ? row->qf : 0) != cases[i].qf)
            fail_msg("'%s': %d", cases[i].image, row ? row->qf : 0);
    }
    assert_int_equal(e.rounded, 2);
    vj_external_free(&e);
}

/* As of `predict --csv photos`: the same stem in two folders is no matter then. */
static void external_rows_may_all_lie_in_folders_of_their_own(void **state)
{
    (void)state;
    struct vj_external e;
    struct vj_error err = {0};
    static const struct {
        const char *image;
        int qf; /* 0: no row */
    } cases[] = {
        {"x.png", 1},       {"a/x.png", 2}, {"b/x.png", 3}, {"all/b/x.png", 3}, {"/r/all/x.png", 1},
        {"r/all/x.png", 1}, {"c/x.png", 0}, {"x.bmp", 0},   {"y.png", 4},       {"ll/b/x.png", 0},
    };
    char *images[] = {"x.png", "a/x.png", "b/x.png", "b/y.png"};
    read_external(&e, "image,qf_pred\n/r/all/b/x.png,3\n/r/all/a/x.png,2\n/r/all/x.png,1\n"
                      "/r/all/b/y.png,4\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vj_external_row *row = vj_external_find(&e, cases[i].image);
        if ((row ? row->qf : 0) != cases[i].qf)
            fail_msg("'%s': %d", cases[i].image, row ? row->qf : 0);
    }
    if (vj_external_check(&e, "p.csv", images, 4, &err))
        fail_msg("%s", err.text);
    vj_external_free(&e);
    /* Two folders that all rows have, and the image in each of them. */
    char *one[] = {"a/x.png"};
    read_external(&e, "image,qf_pred\nr/a/x.png,1\nr/a/a/x.png,2\n");
    assert_null(vj_external_find(&e, "a/x.png"));
    assert_int_equal(vj_external_check(&e, "p.csv", one, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "images 'r/a/a/x.png' and 'r/a/x.png' can both be a/x.png");
    vj_external_free(&e);
}

/* Wherever the two of one stem stand among the others. */
static void a_stem_of_two_rows_finds_neither(void **state)
{
    (void)state;
    for (int before = 0; before < 4; before++)
        for (int behind = 0; behind < 4; behind++) {
            struct vj_external e;
            char csv[256] = "image,qf_pred\nm.bmp,1\nm.png,2\n";
            for (int i = 0; i < before; i++)
                snprintf(csv + strlen(csv), 16, "a%d,3\n", i);
            for (int i = 0; i < behind; i++)
                snprintf(csv + strlen(csv), 16, "z%d,4\n", i);
            read_external(&e, csv);
            assert_null(vj_external_find(&e, "m"));
            assert_int_equal(vj_external_find(&e, "m.png")->qf, 2);
            for (int i = 0; i < before; i++) {
                snprintf(csv, sizeof(csv), "a%d.jpg", i);
                assert_int_equal(vj_external_find(&e, csv)->qf, 3);
            }
            vj_external_free(&e);
        }
}

static void external_rows_that_fit_no_image_or_several_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        char *image[3];
        size_t count;
        const char *text; /* NULL: taken */
    } cases[] = {
        {"image,qf_pred\nx,50\nz,20\n", {"a/x.png", "y.png"}, 2, NULL},
        {"image,qf_pred\nx,50\nz,20\n",
         {"a/x.png", "y.png", "b/x.ppm"},
         3,
         "p.csv: image 'x' can be a/x.png or b/x.ppm of the data set"},
        {"image,qf_pred\na/x.png,50\nb/x.png,20\n", {"a/x.png", "b/x.png"}, 2, NULL},
        {"image,qf_pred\na/x.png,50\nb/x.png,20\n",
         {"x.png"},
         1,
         "p.csv: images 'a/x.png' and 'b/x.png' can both be x.png of the data set"},
        {"image,qf_pred\nSRC01,50\nSRC02,20\n",
         {"ImageJND_SRC01", "ImageJND_SRC02"},
         2,
         "p.csv: none of its 2 images is one of this run's 2; its first one is 'SRC01', the run's "
         "'ImageJND_SRC01'"},
        {"image,qf_pred\nx,50\n", {NULL}, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_external e;
        struct vj_error err = {0};
        read_external(&e, cases[i].content);
        int r = vj_external_check(&e, "p.csv", cases[i].image, cases[i].count, &err);
        assert_int_equal(r, cases[i].text ? -EINVAL : 0);
        if (cases[i].text)
            vj_assert_contains(err.text, cases[i].text);
        vj_external_free(&e);
    }
}

static void networks_of_different_patch_sizes_are_not_mixed(void **state)
{
    (void)state;
    char a[4096], b[4096], list[8300];
    struct vj_error err = {0};
    struct vj_net_shape shape = {
        .variant = VJ_VARIANT_FIGURE, .patch_size = 16, .patches = 2, .channels = {16, 16, 16, 16}};
    snprintf(a, sizeof(a), "%s/a.h5", folder);
    snprintf(b, sizeof(b), "%s/b.h5", folder);
    for (int i = 0; i < 2; i++) {
        struct vj_weights w = {0};
        if (vj_weights_init(&w, &shape, 1, &err) || vj_weights_write(&w, i ? b : a, &err))
            fail_msg("%s", err.text);
        vj_weights_free(&w);
        shape.patch_size = 32;
    }
    struct vj_predictors p = {0};
    snprintf(list, sizeof(list), "vpjnd:%s,vpjnd:%s", a, b);
    assert_int_equal(vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err), -EINVAL);
    vj_assert_contains(err.text, "was made for patches of 32 pixels");
    vj_predictors_free(&p);
    snprintf(list, sizeof(list), "vpjnd:%s,vpjnd:%s", a, a);
    if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_LOSSLESS, &err))
        fail_msg("%s", err.text);
    assert_string_equal(p.list[0].name, "vpjnd-a");
    assert_string_equal(p.list[1].name, "vpjnd-a-2");
    assert_int_equal(p.list[1].network, 1);
    assert_int_equal(p.list[0].positive_class, VJ_POSITIVE_LOSSLESS);
    assert_false(p.list[0].positive_auto);
    vj_predictors_free(&p);
}

/* `before` bytes of 'a', then `text` and an ending. */
static const char *long_name(char name[256], int before, const char *text)
{
    snprintf(name, 256, "%.*s%s.csv", before,
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
             text);
    return name;
}

static void long_file_names_are_cut_between_characters(void **state)
{
    (void)state;
    static const char e[] = "\xc3\xa9", han[] = "\xe6\xbc\xa2", face[] = "\xf0\x9f\x98\x80";
    static const struct {
        int before;
        const char *text;
        size_t kept; /* bytes of the stem */
    } cases[] = {
        {79, "", 79},
        {80, "", 79},
        {77, e, 79},
        {78, e, 78},
        {79, e, 79},
        {76, han, 79},
        {77, han, 77},
        {78, han, 78},
        {75, face, 79},
        {76, face, 76},
        {77, face, 77},
        {78, face, 78},
        {70, "bb.cccccccccc", 79},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_predictors p = {0};
        struct vj_error err = {0};
        char name[256], list[4500], pattern[300], wanted[300];
        long_name(name, cases[i].before, cases[i].text);
        snprintf(wanted, sizeof(wanted), "external-%.*s", (int)cases[i].kept, name);
        snprintf(pattern, sizeof(pattern), "vpjnd-folds:%.*s-{fold}.h5",
                 (int)strlen(name) - (int)strlen(".csv"), name);
        snprintf(list, sizeof(list), "external:%s,%s", put(name, "image,qf_pred\na,3\n"), pattern);
        if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
            fail_msg("%s", err.text);
        assert_string_equal(p.list[0].name, wanted);
        snprintf(wanted, sizeof(wanted), "vpjnd-%.*s", (int)cases[i].kept, name);
        assert_string_equal(p.list[1].name, wanted);
        vj_predictors_free(&p);
    }
}

static void names_alike_once_cut_are_numbered(void **state)
{
    (void)state;
    char name[256], list[8300], first[4096];
    struct vj_predictors p = {0};
    struct vj_error err = {0};
    strcpy(first, put(long_name(name, 78, "\xc3\xa9one"), "image,qf_pred\na,3\n"));
    snprintf(list, sizeof(list), "external:%s,external:%s", first,
             put(long_name(name, 78, "\xc3\xa9two"), "image,qf_pred\na,3\n"));
    if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
        fail_msg("%s", err.text);
    assert_int_equal(strlen(p.list[0].name), strlen("external-") + 78);
    assert_memory_equal(p.list[1].name, p.list[0].name, strlen(p.list[0].name));
    assert_string_equal(p.list[1].name + strlen(p.list[0].name), "-2");
    vj_predictors_free(&p);
}

static void the_files_of_all_folds_have_one_name(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
    } cases[] = {
        {"runs/mcl-{fold}.h5", "vpjnd-mcl"},    {"mcl{fold:02d}.h5", "vpjnd-mcl"},
        {"runs/{fold}/best.h5", "vpjnd-best"},  {"runs/{fold}.h5", "vpjnd-folds"},
        {"{fold}-net_{fold}-b", "vpjnd-net_b"}, {"a b-{fold}.h5", "vpjnd-a_b"},
        {"net.{fold}.h5", "vpjnd-net"},         {"f{fold}of10.h5", "vpjnd-fof10"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_predictors p = {0};
        struct vj_error err = {0};
        char list[128];
        snprintf(list, sizeof(list), "vpjnd-folds:%s", cases[i].pattern);
        if (vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err))
            fail_msg("%s", err.text);
        assert_string_equal(p.list[0].name, cases[i].name);
        assert_string_equal(p.list[0].path, cases[i].pattern);
        assert_int_equal(vj_predictor_network(&p.list[0], 1), VJ_NETWORK_NONE);
        vj_predictors_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_arguments_of_thresholds),
        cmocka_unit_test(external_predictions_are_found_by_name_or_stem),
        cmocka_unit_test(external_scores_are_kept_per_quality_factor),
        cmocka_unit_test(external_measures_are_any_numbers_and_their_thresholds_are_fitted),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(bad_external_files_are_refused_with_their_line),
        cmocka_unit_test(blanks_around_external_numbers_are_no_matter),
        cmocka_unit_test(external_rows_are_found_by_name_or_by_stem),
        cmocka_unit_test(external_rows_may_all_lie_in_folders_of_their_own),
        cmocka_unit_test(a_stem_of_two_rows_finds_neither),
        cmocka_unit_test(external_rows_that_fit_no_image_or_several_are_refused),
        cmocka_unit_test(networks_of_different_patch_sizes_are_not_mixed),
        cmocka_unit_test(long_file_names_are_cut_between_characters),
        cmocka_unit_test(names_alike_once_cut_are_numbered),
        cmocka_unit_test(the_files_of_all_folds_have_one_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
