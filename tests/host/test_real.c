/* SPDX-License-Identifier: MIT */
/* Runs on real pictures: two KonJND-1k sources with their JPEG ladders, and photographs. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "host/image.h"
#include "host/options.h"
#include "host/results.h"
#include "host/run.h"

enum { LEVELS = 100 };

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static struct vj_results *evaluate(const char *name, const char *const *pairs, size_t images)
{
    struct vj_config config;
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *results;
    char output[4096];
    vj_config_defaults(&config, VJ_USE_EVAL);
    for (; *pairs; pairs++)
        if (vj_config_set_pair(&config, *pairs, &err))
            fail_msg("%s", err.text);
    snprintf(output, sizeof(output), "%s/%s.h5", folder, name);
    const struct vj_run_options options = {
        .config = &config, .output = output, .command_line = "test"};
    if (vj_run_eval(&options, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.images, images);
    assert_int_equal(summary.failed, 0);
    if (vj_results_open(&results, output, false, &err))
        fail_msg("%s", err.text);
    return results;
}

static void ladders_are_evaluated_from_their_own_files(void **state)
{
    (void)state;
    static const char *const stems[] = {"konjnd/gui/Study_SRC0366", "konjnd/locjnd/Study_SRC0013"};
    vj_require_data("konjnd/gui/Study_SRC0366.png");
    char csv[4096], pair[4200], path[4096];
    int64_t bytes[2 * LEVELS];
    double psnr[2 * LEVELS], ms_ssim[2 * LEVELS];
    int32_t qf[2];
    struct vj_error err = {0};
    snprintf(csv, sizeof(csv), "%s/ladders.csv", folder);
    FILE *file = fopen(csv, "w");
    fputs("image,candidates,qf_true,fold\n", file);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s", vj_test_data(stems[i]));
        fprintf(file, "%s.png,%s_JPEG_{qf:03d}.jpg,,\n", path, path);
    }
    fclose(file);
    snprintf(pair, sizeof(pair), "root=%s", csv);
    const char *pairs[] = {"dataset=manifest", pair, "candidates=files",
                           "predictors=ms-ssim-threshold,psnr-threshold,pixel-epc17:0.05", NULL};
    struct vj_results *r = evaluate("ladders", pairs, 2);
    assert_int_equal(vj_results_read(r, "/candidates/bytes", VJ_COLUMN_I64, 0, 2, bytes, &err), 0);
    assert_int_equal(vj_results_read(r, "/candidates/psnr_y", VJ_COLUMN_F64, 0, 2, psnr, &err), 0);
    assert_int_equal(vj_results_read(r, "/candidates/ms_ssim", VJ_COLUMN_F64, 0, 2, ms_ssim, &err),
                     0);
    assert_int_equal(
        vj_results_read(r, "/predictors/ms-ssim-threshold/qf_pred", VJ_COLUMN_I32, 0, 2, qf, &err),
        0);
    vj_results_close(r);
    for (int i = 0; i < 2; i++) {
        for (int q = 1; q <= LEVELS; q++) {
            char name[128];
            struct stat st;
            snprintf(name, sizeof(name), "%s_JPEG_%03d.jpg", stems[i], q);
            assert_int_equal(stat(vj_test_data(name), &st), 0);
            assert_int_equal(bytes[i * LEVELS + q - 1], st.st_size);
            assert_true(isfinite(psnr[i * LEVELS + q - 1]));
        }
        assert_true(psnr[i * LEVELS + 99] > psnr[i * LEVELS + 49]);
        assert_true(psnr[i * LEVELS + 49] > psnr[i * LEVELS + 4]);
        /* The largest QF below the threshold, up to the search's tolerance for one odd answer. */
        vj_assert_in_range(qf[i], 5, 95);
        assert_true(ms_ssim[i * LEVELS + qf[i] - 1] < 0.9922);
        assert_true(ms_ssim[i * LEVELS + 99] > 0.9922);
    }
}

static void photographs_are_evaluated_as_they_lie(void **state)
{
    (void)state;
    vj_require_data("photos/scikit-image/camera.png");
    char pair[4200];
    int32_t width[3];
    int64_t bytes[3 * 3];
    struct vj_error err = {0};
    snprintf(pair, sizeof(pair), "root=%s", vj_test_data("photos/scikit-image"));
    const char *pairs[] = {"dataset=folder",
                           pair,
                           "limit=3",
                           "image_metrics=ms_ssim",
                           "qf_first=49",
                           "qf_last=51",
                           "predictors=ms-ssim-threshold,pixel-chou95:0.05",
                           NULL};
    struct vj_results *r = evaluate("photographs", pairs, 3);
    assert_int_equal(vj_results_read(r, "/images/width", VJ_COLUMN_I32, 0, 3, width, &err), 0);
    assert_int_equal(vj_results_read(r, "/candidates/bytes", VJ_COLUMN_I64, 0, 3, bytes, &err), 0);
    vj_results_close(r);
    for (int i = 0; i < 3; i++) {
        assert_true(width[i] >= 400);
        assert_true(bytes[3 * i] > 1000 && bytes[3 * i] < bytes[3 * i + 1] &&
                    bytes[3 * i + 1] < bytes[3 * i + 2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ladders_are_evaluated_from_their_own_files),
        cmocka_unit_test(photographs_are_evaluated_as_they_lie),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
