/* SPDX-License-Identifier: MIT */
/* Whole runs whose candidates are files, and what is counted in their bytes. */
#include "tests/host/run_five.h"

#include <errno.h>

#include "host/schema.h"

/* A JPEG in the folder; its size in bytes. */
static size_t write_jpeg(const char *name, const struct vj_image *img, int qf)
{
    char path[4096];
    uint8_t *data;
    size_t size;
    struct vj_error err = {0};
    assert_int_equal(vj_jpeg_encode(&data, &size, img, qf, VJ_SUBSAMPLING_420, &err), 0);
    FILE *file = fopen(in_folder(path, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
    free(data);
    return size;
}

static void ladder_files_are_checked_by_their_tables(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200];
    struct vj_image img;
    struct vj_error err = {0};
    struct vj_run_summary summary;
    struct vj_results *r;
    int64_t bytes[2 * 10];
    char error[2 * VJ_SCHEMA_ERROR_SIZE];
    assert_int_equal(vj_image_read(&img, in_folder(path, "p1.png"), NULL, &err), 0);
    size_t sizes[2][11] = {{0}};
    for (int ladder = 0; ladder < 2; ladder++)
        for (int qf = 1; qf <= 10; qf++) {
            char name[32];
            snprintf(name, sizeof(name), "l%d_%03d.jpg", ladder, qf);
            /* in the second ladder one file is of another quality factor than its name says */
            sizes[ladder][qf] = write_jpeg(name, &img, ladder == 1 && qf == 7 ? 17 : qf);
        }
    vj_image_free(&img);
    write_text(in_folder(path, "ladders.csv"),
               "image,candidates\np1.png,l0_{qf:03d}.jpg\np0.png,l1_{qf:03d}.jpg\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "qf_last=10", NULL};
    if (run("ladders.h5", out, pairs, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, 2, bytes);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 2, error);
    vj_results_close(r);
    for (int qf = 1; qf <= 10; qf++)
        assert_int_equal(bytes[qf - 1], sizes[0][qf]);
    vj_assert_contains(
        error + VJ_SCHEMA_ERROR_SIZE,
        "l1_007.jpg: its quantisation tables say quality factor 17, its place in the "
        "data set 7");
}

/* Where nothing but bytes is wanted, no candidate is decoded. */
static void a_ladder_file_of_another_size_is_refused_undecoded(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200];
    struct vj_image img;
    struct vj_error err = {0};
    struct vj_run_summary summary;
    struct vj_results *r;
    char error[VJ_SCHEMA_ERROR_SIZE];
    assert_int_equal(vj_image_read(&img, in_folder(path, "p1.png"), NULL, &err), 0);
    for (int qf = 1; qf <= 10; qf++) {
        char name[32];
        snprintf(name, sizeof(name), "cut_%03d.jpg", qf);
        img.height -= qf == 7;
        write_jpeg(name, &img, qf);
        img.height += qf == 7;
    }
    vj_image_free(&img);
    write_text(in_folder(path, "cut.csv"), "image,candidates,qf_true\np1.png,cut_{qf:03d}.jpg,5\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "qf_last=10", "image_metrics=none", NULL};
    if (run_as("cut.h5", out, "constant", pairs, false, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 1, error);
    vj_results_close(r);
    vj_assert_contains(error, "cut_007.jpg is ");
    vj_assert_contains(error, ", but its source is ");
}

static void files_and_synthesised_candidates_agree(void **state)
{
    (void)state;
    char path[4096], pair[4200];
    struct vj_image img;
    struct vj_error err = {0};
    float score[2][10];
    double psnr[2][10];
    int64_t bytes[2][10];
    assert_int_equal(vj_image_read(&img, in_folder(path, "p4.png"), NULL, &err), 0);
    for (int qf = 1; qf <= 10; qf++) {
        char name[32];
        snprintf(name, sizeof(name), "f_%d.jpg", qf);
        write_jpeg(name, &img, qf);
    }
    vj_image_free(&img);
    write_text(in_folder(path, "files.csv"), "image,candidates\np4.png,f_{qf}.jpg\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    static const char *const how[] = {"candidates=files", "candidates=synthesize"};
    for (int i = 0; i < 2; i++) {
        const char *pairs[] = {pair, how[i], "qf_last=10", NULL};
        struct vj_results *r = run_and_open("f.h5", pairs);
        read_rows(r, "/predictors/vpjnd-w/score", VJ_COLUMN_F32, 0, 1, score[i]);
        read_rows(r, "/candidates/psnr_y", VJ_COLUMN_F64, 0, 1, psnr[i]);
        read_rows(r, "/candidates/bytes", VJ_COLUMN_I64, 0, 1, bytes[i]);
        vj_results_close(r);
    }
    assert_memory_equal(score[0], score[1], sizeof(score[0]));
    assert_memory_equal(psnr[0], psnr[1], sizeof(psnr[0]));
    assert_memory_equal(bytes[0], bytes[1], sizeof(bytes[0]));

    /* Beside a picture without files, and each says which it is. */
    double beside[2][10];
    int32_t files[2];
    write_text(in_folder(path, "files.csv"), "image,candidates\np0.png,\np4.png,f_{qf}.jpg\n");
    const char *pairs[] = {pair, "candidates=mixed", "qf_last=10", NULL};
    struct vj_results *r = run_and_open("f.h5", pairs);
    read_rows(r, "/candidates/psnr_y", VJ_COLUMN_F64, 0, 2, beside);
    read_rows(r, "/images/candidate_files", VJ_COLUMN_I32, 0, 2, files);
    vj_results_close(r);
    assert_memory_equal(psnr[0], beside[1], sizeof(psnr[0]));
    assert_memory_not_equal(psnr[0], beside[0], sizeof(psnr[0]));
    assert_int_equal(files[0], 0);
    assert_int_equal(files[1], 1);
}

/* Grey pictures become RGB beside files; the bytes of the source stay those of its own samples. */
/* Beside files a grey source is compared in colour. */
static void a_grey_source_has_candidates_in_colour(void **state)
{
    (void)state;
    char path[4096], pair[4200];
    struct vj_image img;
    struct vj_error err = {0};
    double psnr[2][10], psnr_rgb[2][10];
    int32_t status[2];
    assert_int_equal(vj_image_read(&img, in_folder(path, "p4.png"), NULL, &err), 0);
    assert_int_equal(img.channels, 3);
    for (size_t i = 0; i < img.width * img.height; i++)
        img.data[i] = img.data[3 * i];
    img.channels = 1;
    assert_int_equal(vj_image_write_png(&img, in_folder(path, "one.png"), &err), 0);
    assert_int_equal(vj_image_to_rgb(&img, &err), 0);
    assert_int_equal(vj_image_write_png(&img, in_folder(path, "three.png"), &err), 0);
    for (int qf = 1; qf <= 10; qf++) {
        char name[32];
        snprintf(name, sizeof(name), "t_%d.jpg", qf);
        img.data[0] ^= 1; /* not quite grey */
        write_jpeg(name, &img, qf);
    }
    vj_image_free(&img);
    write_text(in_folder(path, "grey-files.csv"),
               "image,candidates\none.png,t_{qf}.jpg\nthree.png,t_{qf}.jpg\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "candidates=files", "qf_last=10", NULL};
    struct vj_results *r = run_and_open("grey-files.h5", pairs);
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, 2, status);
    read_rows(r, "/candidates/psnr_y", VJ_COLUMN_F64, 0, 2, psnr);
    read_rows(r, "/candidates/psnr_rgb", VJ_COLUMN_F64, 0, 2, psnr_rgb);
    vj_results_close(r);
    assert_true(status[0] == VJ_STATUS_OK && status[1] == VJ_STATUS_OK);
    assert_true(psnr[0][9] > 10);
    assert_memory_equal(psnr[0], psnr[1], sizeof(psnr[0]));
    assert_memory_equal(psnr_rgb[0], psnr_rgb[1], sizeof(psnr_rgb[0]));
}

static void the_compression_ratio_of_a_grey_picture_is_that_of_its_samples(void **state)
{
    (void)state;
    enum { FIRST = 30, LAST = 39, LEVELS_HERE = LAST - FIRST + 1 };
    char path[4096], pair[4200];
    struct vj_image img;
    struct vj_error err = {0};
    float ratio[2][LEVELS_HERE];
    assert_int_equal(vj_image_read(&img, in_folder(path, "p2.png"), NULL, &err), 0);
    assert_int_equal(img.channels, 1);
    for (int qf = FIRST; qf <= LAST; qf++) {
        char name[32];
        snprintf(name, sizeof(name), "g_%d.jpg", qf);
        write_jpeg(name, &img, qf);
    }
    vj_image_free(&img);
    write_text(in_folder(path, "grey.csv"),
               "image,candidates,qf_true,fold\np2.png,g_{qf}.jpg,33,1\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    static const char *const how[] = {"candidates=files", "candidates=synthesize"};
    for (int i = 0; i < 2; i++) {
        const char *pairs[] = {pair,          how[i],       "predictors=compression-ratio:35",
                               "qf_first=30", "qf_last=39", "folds=manifest",
                               NULL};
        struct vj_results *r = run_and_open("ratio.h5", pairs);
        read_rows(r, "/predictors/compression-ratio/score", VJ_COLUMN_F32, 0, 1, ratio[i]);
        vj_results_close(r);
    }
    for (int k = 0; k < LEVELS_HERE; k++)
        assert_true(ratio[0][k] > 1 && ratio[0][k] == ratio[1][k]);
}

static void an_anchor_of_another_quality_is_refused(void **state)
{
    (void)state;
    char path[4096];
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_read(&img, in_folder(path, "p1.png"), NULL, &err), 0);
    write_jpeg("anchor_100.jpg", &img, 30);
    vj_image_free(&img);
    in_folder(path, "anchor_100.jpg");
    assert_int_equal(vj_load_anchor(&img, path, 100, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "anchor_100.jpg: its quantisation tables say quality factor 30, "
                                 "its place in the data set 100");
    assert_null(img.data);
    assert_int_equal(vj_load_anchor(&img, path, 30, NULL, &err), 0);
    assert_int_equal(img.width, WIDTH);
    vj_image_free(&img);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ladder_files_are_checked_by_their_tables),
        cmocka_unit_test(a_ladder_file_of_another_size_is_refused_undecoded),
        cmocka_unit_test(files_and_synthesised_candidates_agree),
        cmocka_unit_test(a_grey_source_has_candidates_in_colour),
        cmocka_unit_test(the_compression_ratio_of_a_grey_picture_is_that_of_its_samples),
        cmocka_unit_test(an_anchor_of_another_quality_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
