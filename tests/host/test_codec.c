/* SPDX-License-Identifier: MIT */
/* Runs on decoded pictures of another codec than JPEG, whose rates are other files' sizes. */
#include "tests/host/run_rig.h"

#include <math.h>

enum { CODEC_LEVELS = 10 };

static const char *const range[] = {"qf_first=1", "qf_last=10", "codec=bpg", NULL};
static const char *const other[] = {"qf_first=1", "qf_last=10", "codec=vvc", NULL};

/* Picture `index` at a level: samples cut to steps that shrink with quality; 10 is lossless. */
static void paint_level(struct vj_image *img, int index, int level)
{
    paint(img, index);
    const int step = 1 + 4 * (CODEC_LEVELS - level);
    for (size_t i = 0; i < img->width * img->height * (size_t)img->channels; i++)
        img->data[i] = (uint8_t)(img->data[i] / step * step);
}

static void write_level(const char *path, int index, int level)
{
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, WIDTH, HEIGHT, 3, &err), 0);
    paint_level(&img, index, level);
    if (vj_image_write_png(&img, path, &err))
        fail_msg("%s", err.text);
    vj_image_free(&img);
}

/* A file of `size` bytes that begins with the header of a BPG picture (sides below 128). */
static void write_stream(const char *path, size_t width, size_t height, size_t size)
{
    const uint8_t head[] = {'B', 'P', 'G', 0xfb, 0x20, 0, (uint8_t)width, (uint8_t)height};
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(head, 1, sizeof(head), f);
    for (size_t i = sizeof(head); i < size; i++)
        fputc(0, f);
    fclose(f);
}

static int64_t rate_of(int picture, int level)
{
    return 100 * level + picture;
}

static int set_up(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    char path[4096], name[64];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "s%d.png", i);
        write_picture(in_folder(path, name), i, 3, WIDTH, HEIGHT);
        for (int level = 1; level <= CODEC_LEVELS; level++) {
            snprintf(name, sizeof(name), "c%d_%02d.png", i, level);
            write_level(in_folder(path, name), i, level);
            snprintf(name, sizeof(name), "c%d_%02d.bpg", i, level);
            write_stream(in_folder(path, name), WIDTH, HEIGHT, (size_t)rate_of(i, level));
        }
    }
    write_text(in_folder(path, "all.csv"), "image,candidates,streams,qf_true\n"
                                           "s0.png,c0_{qf:02d}.png,c0_{qf:02d}.bpg,4\n"
                                           "s1.png,c1_{qf:02d}.png,c1_{qf:02d}.bpg,6\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static void manifest_with(const char *rows)
{
    char path[4096], text[1024];
    snprintf(text, sizeof(text), "image,candidates,streams,qf_true\n%s", rows);
    write_text(in_folder(path, "all.csv"), text);
}

/* PSNR of luma against the source, in double from its definition. */
static double psnr_y(int index, int level)
{
    struct vj_image source, candidate;
    assert_int_equal(vj_image_alloc(&source, WIDTH, HEIGHT, 3, NULL), 0);
    assert_int_equal(vj_image_alloc(&candidate, WIDTH, HEIGHT, 3, NULL), 0);
    paint(&source, index);
    paint_level(&candidate, index, level);
    double sum = 0;
    const size_t pixels = (size_t)WIDTH * HEIGHT;
    for (size_t i = 0; i < pixels; i++) {
        double d = 0;
        for (size_t c = 0; c < 3; c++) {
            static const double weight[] = {0.299, 0.587, 0.114};
            d += weight[c] * (source.data[3 * i + c] - candidate.data[3 * i + c]);
        }
        sum += d * d;
    }
    vj_image_free(&source);
    vj_image_free(&candidate);
    return 10 * log10(255.0 * 255.0 * (double)pixels / sum);
}

static void decoded_pictures_are_judged_and_streams_give_the_rates(void **state)
{
    (void)state;
    struct vj_results *results = open_run("bpg.h5", "psnr-threshold:36.7,psnr-threshold", range);
    char *codec;
    assert_int_equal(vj_results_get_text(results, "/", "codec", &codec, NULL), 0);
    assert_string_equal(codec, "bpg");
    free(codec);
    int32_t status[2], qf[2];
    int64_t bytes[2 * CODEC_LEVELS];
    float psnr[2 * CODEC_LEVELS];
    read_rows(results, "/images/status", VJ_COLUMN_I32, 0, 2, status);
    read_rows(results, "/candidates/bytes", VJ_COLUMN_I64, 0, 2, bytes);
    read_rows(results, "/candidates/psnr_y", VJ_COLUMN_F32, 0, 2, psnr);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(status[i], 0);
        for (int level = 1; level <= CODEC_LEVELS; level++) {
            const int at = i * CODEC_LEVELS + level - 1;
            assert_int_equal(bytes[at], rate_of(i, level));
            if (level < CODEC_LEVELS)
                assert_true(fabs(psnr[at] - psnr_y(i, level)) < 1e-3);
        }
    }
    /* the largest level below the threshold: 36.7 as given; without one, that of BPG, 39.61 */
    static const double threshold[] = {36.7, 39.61};
    for (int p = 0; p < 2; p++) {
        read_rows(results,
                  p ? "/predictors/psnr-threshold-2/qf_pred" : "/predictors/psnr-threshold/qf_pred",
                  VJ_COLUMN_I32, 0, 2, qf);
        for (int i = 0; i < 2; i++) {
            int expected = 0;
            for (int level = 1; level < CODEC_LEVELS; level++)
                if (psnr_y(i, level) < threshold[p])
                    expected = level;
            vj_assert_in_range(expected, 1, CODEC_LEVELS - 1);
            assert_int_equal(qf[i], expected);
        }
    }
    double saving;
    assert_int_equal(
        vj_results_get_scalar(results, "/metrics/psnr-threshold/saving_at_truth", &saving, NULL),
        0);
    const double expected = 1 - ((double)rate_of(0, 4) / (double)rate_of(0, 10) +
                                 (double)rate_of(1, 6) / (double)rate_of(1, 10)) /
                                    2;
    assert_true(fabs(saving - expected) < 1e-12);
    vj_results_close(results);
}

/* Levels of another codec are called no JPEG quality factors. */
static void units_are_those_of_the_codec(void **state)
{
    (void)state;
    static const char *const columns[] = {"/candidates/qf", "/images/qf_true", "/images/qf_exact",
                                          "/images/anchor_qf",
                                          "/predictors/psnr-threshold/qf_pred"};
    struct vj_error err = {0};
    struct vj_results *results = open_run("units.h5", "psnr-threshold:36.7", range);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        char *units;
        if (vj_results_get_text(results, columns[i], "units", &units, &err))
            fail_msg("%s", err.text);
        assert_string_equal(units, "level of quality");
        free(units);
    }
    vj_results_close(results);
}

static void without_streams_rates_and_savings_are_unknown(void **state)
{
    (void)state;
    manifest_with("s0.png,c0_{qf:02d}.png,,4\ns1.png,c1_{qf:02d}.png,,6\n");
    struct vj_results *results = open_run("vvc.h5", "psnr-threshold:36.7", other);
    int64_t bytes[2 * CODEC_LEVELS];
    read_rows(results, "/candidates/bytes", VJ_COLUMN_I64, 0, 2, bytes);
    for (int i = 0; i < 2 * CODEC_LEVELS; i++)
        assert_int_equal(bytes[i], -1);
    double mad;
    assert_false(vj_results_has(results, "/metrics/psnr-threshold/saving_mean"));
    assert_int_equal(vj_results_get_scalar(results, "/metrics/psnr-threshold/mad", &mad, NULL), 0);
    assert_true(isfinite(mad));
    vj_results_close(results);
}

/* Runs, and the first image must have failed with this text. */
static void expect_failed(const char *output, const char *const *pairs, const char *text)
{
    struct vj_results *results = open_run(output, "psnr-threshold:36.7", pairs);
    int32_t status;
    char error[512];
    read_rows(results, "/images/status", VJ_COLUMN_I32, 0, 1, &status);
    read_rows(results, "/images/error", VJ_COLUMN_STRING, 0, 1, error);
    assert_true(status != 0);
    vj_assert_contains(error, text);
    vj_results_close(results);
}

/* Of four pictures, the first without: its size tells nothing, and teaches the others nothing. */
static void a_ratio_needs_the_size_of_its_picture(void **state)
{
    (void)state;
    enum { FOUR = 4 };
    static const char *const ratio[] = {"qf_first=1", "qf_last=10", "codec=bpg", "folds=manifest",
                                        NULL};
    char path[4096], *reason;
    int32_t qf[FOUR];
    double slope[FOUR];
    write_picture(in_folder(path, "s2.png"), 0, 3, WIDTH, HEIGHT);
    write_picture(in_folder(path, "s3.png"), 1, 3, WIDTH, HEIGHT);
    write_text(in_folder(path, "all.csv"), "image,candidates,streams,qf_true,fold\n"
                                           "s0.png,c0_{qf:02d}.png,,4,1\n"
                                           "s1.png,c1_{qf:02d}.png,c1_{qf:02d}.bpg,6,2\n"
                                           "s2.png,c0_{qf:02d}.png,c0_{qf:02d}.bpg,4,3\n"
                                           "s3.png,c1_{qf:02d}.png,c1_{qf:02d}.bpg,6,4\n");
    struct vj_results *r = open_run("ratio.h5", "compression-ratio:5", ratio);
    read_rows(r, "/predictors/compression-ratio/qf_pred", VJ_COLUMN_I32, 0, FOUR, qf);
    read_rows(r, "/predictors/compression-ratio/fit_slope", VJ_COLUMN_F64, 0, FOUR, slope);
    assert_int_equal(
        vj_results_get_text(r, "/predictors/compression-ratio", "no_answer", &reason, NULL), 0);
    vj_results_close(r);
    assert_string_equal(reason, "the size of its compressed file is not known");
    free(reason);
    /* s2 has 500 bytes at QF 5 and label 4, s1 and s3 501 and 6: a line through two points. */
    static const int32_t expected[FOUR] = {-1, 6, 6, 6};
    assert_memory_equal(qf, expected, sizeof(qf));
    assert_true(fabs(slope[0] / (2 / log(500.0 / 501)) - 1) < 1e-4); /* ratios are floats */
    assert_true(slope[2] == 0);                                      /* s1 and s3 alike */
}

static void streams_that_are_not_of_their_picture_break_it(void **state)
{
    (void)state;
    static const char rows[] = "s0.png,c0_{qf:02d}.png,c0_{qf:02d}.bpg,4\n"
                               "s1.png,c1_{qf:02d}.png,c1_{qf:02d}.bpg,6\n";
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        {"BPG\xfb\x20\x00\x3d\x33", 8, "c0_05.bpg is 61x51, but its source"},
        {"\x89PNG\r\n\x1a\n", 8, "c0_05.bpg is no BPG file"},
        {"BPG\xfb", 4, "c0_05.bpg is no BPG file"},
        {"BPG\xfb\xe0\x00\x3d\x32", 8, "damaged BPG header: pixel format 7"},
        {"BPG\xfb\x27\x00\x3d\x32", 8, "damaged BPG header: pixel format 1, 15 bits"},
        {"BPG\xfb\x00\x10\x3d\x32", 8,
         "damaged BPG header: pixel format 0, 8 bits, colour space 1"},
        {"BPG\xfb\x20\x00\x80\x3d\x32", 9, "no width and height"},              /* padded number */
        {"BPG\xfb\x20\x00\x00\x32", 8, "no width and height"},                  /* zero */
        {"BPG\xfb\x20\x00\x3d", 7, "no width and height"},                      /* cut off */
        {"BPG\xfb\x20\x00\xff\xff\xff\xff\x7f\x32", 12, "no width and height"}, /* 35 bits */
        {"BPG\xfb\x20\x00\x81\x80\x00\x32", 10, "c0_05.bpg is 16384x50, but"},
        {"", 0, "c0_05.bpg"},
    };
    char path[4096], output[32];
    manifest_with(rows);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        FILE *f = fopen(in_folder(path, "c0_05.bpg"), "wb");
        assert_non_null(f);
        fwrite(cases[i].bytes, 1, cases[i].size, f);
        fclose(f);
        snprintf(output, sizeof(output), "broken%zu.h5", i);
        expect_failed(output, range, cases[i].text);
    }
    /* another codec's files are not looked into, but one of no bytes is none */
    expect_failed("no-bytes.h5", other, "c0_05.bpg: is empty (0 bytes)");
    write_text(in_folder(path, "c0_05.bpg"), "?");
    vj_results_close(open_run("any.h5", "psnr-threshold:36.7", other));
    assert_int_equal(remove(in_folder(path, "c0_05.bpg")), 0);
    expect_failed("missing.h5", range,
                  "1 of 10 compressed files are missing, the first for level "
                  "5");
    write_stream(path, WIDTH, HEIGHT, (size_t)rate_of(0, 5));
}

static void manifests_that_cannot_serve_a_codec_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rows, *text;
    } cases[] = {
        {"s0.png,,,4\n", "only JPEG candidates can be synthesised"},
        {"s0.png,c0_{qf:02d}.png,,4\ns1.png,,,6\n", "fill in all or none"},
    };
    char path[4096];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_run_summary summary;
        struct vj_error err = {0};
        manifest_with(cases[i].rows);
        assert_true(run_as("no.h5", path, "psnr-threshold:36.7", range, false, &summary, &err) < 0);
        vj_assert_contains(err.text, cases[i].text);
    }
    manifest_with("s0.png,c0_{qf:02d}.png,c0.bpg,4\ns1.png,c1_{qf:02d}.png,,6\n");
    expect_failed("pattern.h5", range, "streams 'c0.bpg': no {qf} in it");
}

/* Pictures with an alpha channel, which option alpha is for, are candidates like others. */
static void candidates_are_read_as_the_options_say(void **state)
{
    (void)state;
    char path[4096];
    static const char *const black[] = {"qf_last=1", "codec=vvc", "alpha=black",
                                        "image_metrics=psnr", NULL};
    assert_int_equal(symlink(VJ_TEST_GOLDEN "/image/rgb_alpha.png", in_folder(path, "a1.png")), 0);
    manifest_with("a1.png,a{qf}.png,,1\n");
    struct vj_results *results = open_run("alpha.h5", "psnr-threshold:36.7", black);
    int32_t status;
    read_rows(results, "/images/status", VJ_COLUMN_I32, 0, 1, &status);
    assert_int_equal(status, 0);
    vj_results_close(results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoded_pictures_are_judged_and_streams_give_the_rates),
        cmocka_unit_test(units_are_those_of_the_codec),
        cmocka_unit_test(without_streams_rates_and_savings_are_unknown),
        cmocka_unit_test(a_ratio_needs_the_size_of_its_picture),
        cmocka_unit_test(streams_that_are_not_of_their_picture_break_it),
        cmocka_unit_test(candidates_are_read_as_the_options_say),
        cmocka_unit_test(manifests_that_cannot_serve_a_codec_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
