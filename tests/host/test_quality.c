/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

#include "host/image.h"
#include "host/quality.h"
#include "host/quality_math.h"
#include "tests/host/formula_pictures.h"

struct bench {
    struct vj_quality_reference *ref;
    struct vj_quality_scratch *scratch;
};

static struct bench bench_open(size_t width, size_t height, int which)
{
    struct bench b;
    struct vj_error err = {0};
    if (vj_quality_reference_create(&b.ref, width, height, which, &err) ||
        vj_quality_scratch_create(&b.scratch, width, height, which, &err))
        fail_msg("%s", err.text);
    return b;
}

static void bench_close(struct bench *b)
{
    vj_quality_reference_free(b->ref);
    vj_quality_scratch_free(b->scratch);
}

static struct vj_quality_values bench_run(struct bench *b, const struct vj_image *reference,
                                          const struct vj_image *distorted)
{
    struct vj_quality_values v;
    assert_int_equal(vj_quality_reference_load(b->ref, reference, NULL), 0);
    assert_int_equal(vj_quality_compute(b->ref, distorted->data, b->scratch, &v), 0);
    return v;
}

static struct vj_quality_values compare(const struct vj_image *reference,
                                        const struct vj_image *distorted, int which)
{
    struct bench b = bench_open(reference->width, reference->height, which);
    struct vj_quality_values v = bench_run(&b, reference, distorted);
    bench_close(&b);
    return v;
}

static void assert_same_bits(const struct vj_quality_values *a, const struct vj_quality_values *b)
{
    assert_memory_equal(a, b, sizeof(*a));
}

static bool near(double got, double want, double tolerance)
{
    if (isnan(want) || isinf(want))
        return isnan(want) ? isnan(got) : got == want;
    return fabs(got - want) <= tolerance;
}

/* The promise of host/quality.h; 1e-9 dB is the rounding of the expected PSNR itself. */
static void assert_values(const char *name, const struct vj_quality_values *got,
                          const struct vj_quality_values *want)
{
    if (near(got->psnr_y, want->psnr_y, 1e-9) && near(got->psnr_rgb, want->psnr_rgb, 1e-9) &&
        near(got->ssim, want->ssim, 5e-7) && near(got->ms_ssim, want->ms_ssim, 5e-7))
        return;
    fail_msg("%s: got %.12g %.12g %.9f %.9f, expected %.12g %.12g %.9f %.9f", name, got->psnr_y,
             got->psnr_rgb, got->ssim, got->ms_ssim, want->psnr_y, want->psnr_rgb, want->ssim,
             want->ms_ssim);
}

static double larger(double so_far, double got, double want)
{
    double d = fabs(got - want);
    return d > so_far ? d : so_far;
}

static FILE *open_golden(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/quality/%s", VJ_TEST_GOLDEN, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    return file;
}

static void formula_pictures_agree_with_the_independent_implementation(void **state)
{
    (void)state;
    FILE *file = open_golden("formula.txt");
    double worst_ssim = 0, worst_ms_ssim = 0;
    size_t width, height;
    int channels, reference_arg, distortion_arg, rows = 0, fields;
    char reference_kind[32], distortion_kind[32];
    struct vj_quality_values want;
    while ((fields =
                fscanf(file, "%zu %zu %d %31s %d %31s %d %lf %lf %lf %lf", &width, &height,
                       &channels, reference_kind, &reference_arg, distortion_kind, &distortion_arg,
                       &want.psnr_y, &want.psnr_rgb, &want.ssim, &want.ms_ssim)) == 11) {
        struct vj_image r =
            reference_picture(width, height, channels, reference_kind, reference_arg);
        struct vj_image d = distorted_picture(&r, distortion_kind, distortion_arg);
        struct vj_quality_values got = compare(&r, &d, VJ_QUALITY_ALL);
        char name[160];
        snprintf(name, sizeof(name), "%zux%zux%d %s %d / %s %d", width, height, channels,
                 reference_kind, reference_arg, distortion_kind, distortion_arg);
        assert_values(name, &got, &want);
        worst_ssim = larger(worst_ssim, got.ssim, want.ssim);
        worst_ms_ssim = larger(worst_ms_ssim, got.ms_ssim, want.ms_ssim);
        vj_image_free(&r);
        vj_image_free(&d);
        rows++;
    }
    assert_int_equal(fields, EOF);
    fclose(file);
    assert_int_equal(rows, 26);
    print_message("%d pictures, largest |difference|: ssim %.2g, ms_ssim %.2g\n", rows, worst_ssim,
                  worst_ms_ssim);
}

static struct vj_image read_picture(const char *name)
{
    struct vj_image img;
    struct vj_error err = {0};
    if (vj_image_read(&img, vj_test_data(name), NULL, &err))
        fail_msg("%s", err.text);
    return img;
}

static void photographs_agree_with_the_independent_implementation(void **state)
{
    (void)state;
    vj_require_data("konjnd/locjnd/Study_SRC0013.png");
    FILE *file = open_golden("real.txt");
    double worst_ssim = 0, worst_ms_ssim = 0;
    int rows = 0, arg, fields;
    char source[256], candidate[256], kind[32];
    struct vj_quality_values want;
    while ((fields = fscanf(file, "%255s %255s %31s %d %lf %lf %lf %lf", source, candidate, kind,
                            &arg, &want.psnr_y, &want.psnr_rgb, &want.ssim, &want.ms_ssim)) == 8) {
        struct vj_image r = read_picture(source);
        struct vj_image d =
            strcmp(kind, "file") == 0 ? read_picture(candidate) : distorted_picture(&r, kind, arg);
        struct vj_quality_values got = compare(&r, &d, VJ_QUALITY_ALL);
        assert_values(kind[0] == 'f' ? candidate : source, &got, &want);
        worst_ssim = larger(worst_ssim, got.ssim, want.ssim);
        worst_ms_ssim = larger(worst_ms_ssim, got.ms_ssim, want.ms_ssim);
        vj_image_free(&r);
        vj_image_free(&d);
        rows++;
    }
    assert_int_equal(fields, EOF);
    fclose(file);
    assert_int_equal(rows, 32);
    print_message("%d pairs, largest |difference|: ssim %.2g, ms_ssim %.2g\n", rows, worst_ssim,
                  worst_ms_ssim);
}

static void psnr_of_a_known_error_is_the_textbook_value(void **state)
{
    (void)state;
    uint8_t black[2 * 3] = {0}, other[2 * 3] = {10, 20, 30, 0, 0, 0};
    struct vj_image img = {2, 1, 3, black};
    struct bench b = bench_open(2, 1, VJ_QUALITY_PSNR);
    struct vj_quality_values v;
    assert_int_equal(vj_quality_reference_load(b.ref, &img, NULL), 0);
    assert_int_equal(vj_quality_compute(b.ref, other, b.scratch, &v), 0);
    /* Y error 2.99 + 11.74 + 3.42 = 18.15 on one pixel of two; 1400 over six samples. */
    assert_true(near(v.psnr_y, 10 * log10(65025 / (18.15 * 18.15 / 2)), 1e-12));
    assert_true(near(v.psnr_rgb, 10 * log10(65025 / (1400.0 / 6)), 1e-12));
    bench_close(&b);
}

static void identical_pictures_give_exactly_one_and_infinite_psnr(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct vj_image r = reference_picture(189, 203, channels, "mixed", 21);
        struct vj_quality_values v = compare(&r, &r, VJ_QUALITY_ALL);
        assert_true(isinf(v.psnr_y) && v.psnr_y > 0 && isinf(v.psnr_rgb) && v.psnr_rgb > 0);
        assert_true(v.ssim == 1.0 && v.ms_ssim == 1.0);
        vj_image_free(&r);
    }
}

static void a_grey_picture_and_its_rgb_replica_give_the_same_bits(void **state)
{
    (void)state;
    struct vj_image r = reference_picture(211, 180, 1, "mixed", 22);
    struct vj_image d = distorted_picture(&r, "noise", 25);
    struct vj_quality_values grey = compare(&r, &d, VJ_QUALITY_ALL);
    assert_int_equal(vj_image_to_rgb(&r, NULL), 0);
    assert_int_equal(vj_image_to_rgb(&d, NULL), 0);
    struct vj_quality_values rgb = compare(&r, &d, VJ_QUALITY_ALL);
    assert_same_bits(&grey, &rgb);
    vj_image_free(&r);
    vj_image_free(&d);
}

/* The definition is symmetric; the difference form and its cached reference side are not. */
static void exchanging_the_pictures_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        int arg;
    } distortion[] = {{"coarse", 40}, {"noise", 60}, {"blur", 0}, {"half", 90}, {"constant", 30}};
    struct vj_image a = reference_picture(240, 189, 3, "mixed", 23);
    for (size_t i = 0; i < sizeof(distortion) / sizeof(*distortion); i++) {
        struct vj_image b = distorted_picture(&a, distortion[i].kind, distortion[i].arg);
        struct vj_quality_values ab = compare(&a, &b, VJ_QUALITY_ALL);
        struct vj_quality_values ba = compare(&b, &a, VJ_QUALITY_ALL);
        assert_values(distortion[i].kind, &ab, &ba);
        vj_image_free(&b);
    }
    vj_image_free(&a);
}

static void only_what_was_asked_for_is_computed_and_it_is_the_same(void **state)
{
    (void)state;
    struct vj_image r = reference_picture(190, 178, 3, "mixed", 24);
    struct vj_image d = distorted_picture(&r, "coarse", 20);
    struct vj_quality_values all = compare(&r, &d, VJ_QUALITY_ALL);
    for (int which = 1; which < VJ_QUALITY_ALL; which++) {
        struct vj_quality_values v = compare(&r, &d, which), want = {NAN, NAN, NAN, NAN};
        if (which & VJ_QUALITY_PSNR) {
            want.psnr_y = all.psnr_y;
            want.psnr_rgb = all.psnr_rgb;
        }
        if (which & VJ_QUALITY_SSIM)
            want.ssim = all.ssim;
        if (which & VJ_QUALITY_MS_SSIM)
            want.ms_ssim = all.ms_ssim;
        assert_true(near(v.psnr_y, want.psnr_y, 0) && near(v.psnr_rgb, want.psnr_rgb, 0));
        assert_true(near(v.ssim, want.ssim, 0) && near(v.ms_ssim, want.ms_ssim, 0));
    }
    vj_image_free(&r);
    vj_image_free(&d);
}

static void metrics_without_a_window_are_absent(void **state)
{
    (void)state;
    static const struct {
        size_t width, height;
        bool ssim, ms_ssim;
    } size[] = {{1, 1, false, false},   {10, 400, false, false}, {400, 10, false, false},
                {11, 400, true, false}, {400, 175, true, false}, {175, 400, true, false},
                {176, 176, true, true}};
    for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
        struct vj_image r = reference_picture(size[i].width, size[i].height, 3, "mixed", 25);
        struct vj_image d = distorted_picture(&r, "noise", 5);
        struct vj_quality_values v = compare(&r, &d, VJ_QUALITY_ALL);
        assert_true(isfinite(v.psnr_rgb));
        assert_int_equal(!isnan(v.ssim), size[i].ssim);
        assert_int_equal(!isnan(v.ms_ssim), size[i].ms_ssim);
        vj_image_free(&r);
        vj_image_free(&d);
    }
}

/* One reference and scratch for pictures of all sizes and kinds in turn, as a long run uses them.
 */
static void reloading_leaves_no_trace_of_the_picture_before(void **state)
{
    (void)state;
    static const struct {
        size_t width, height;
        int channels;
    } size[] = {{300, 260, 3}, {176, 190, 1}, {9, 300, 3},
                {299, 177, 3}, {50, 60, 1},   {300, 260, 1}};
    struct bench reused = bench_open(300, 300, VJ_QUALITY_ALL);
    for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
        struct vj_image r =
            reference_picture(size[i].width, size[i].height, size[i].channels, "mixed", (int)i);
        struct vj_image d = distorted_picture(&r, "coarse", 12 + (int)i);
        struct vj_quality_values a = bench_run(&reused, &r, &d);
        struct vj_quality_values b = compare(&r, &d, VJ_QUALITY_ALL);
        assert_true(near(a.psnr_y, b.psnr_y, 0) && near(a.psnr_rgb, b.psnr_rgb, 0));
        assert_true(near(a.ssim, b.ssim, 0) && near(a.ms_ssim, b.ms_ssim, 0));
        vj_image_free(&r);
        vj_image_free(&d);
    }
    bench_close(&reused);
}

/*
 * SSIM is made of IEEE operations in a fixed order and integer sums only, so its bits are the same
 * in the AVX2 and the baseline code, optimised or sanitised.
 */
static void ssim_has_the_same_bits_on_every_processor(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        int arg;
        double ssim;
    } expected[] = {
        {"coarse", 24, 0x1.d6b712b653c58p-1},
        {"noise", 40, 0x1.159dd1863ac83p-1},
        {"half", 70, 0x1.d46f173b3ffbep-1},
    };
    struct vj_image r = reference_picture(611, 43, 3, "mixed", 26);
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        struct vj_image d = distorted_picture(&r, expected[i].kind, expected[i].arg);
        struct vj_quality_values v = compare(&r, &d, VJ_QUALITY_SSIM);
        if (v.ssim != expected[i].ssim)
            fail_msg("%s: got %a, expected %a", expected[i].kind, v.ssim, expected[i].ssim);
        vj_image_free(&d);
    }
    vj_image_free(&r);
}

struct job {
    const struct vj_quality_reference *ref;
    const struct vj_image *distorted;
    struct vj_quality_values out[8];
    int rc;
};

static void *run_job(void *arg)
{
    struct job *job = arg;
    struct vj_quality_scratch *scratch = NULL;
    job->rc = vj_quality_scratch_create(&scratch, 200, 200, VJ_QUALITY_ALL, NULL);
    for (size_t i = 0; i < 8 && !job->rc; i++)
        job->rc = vj_quality_compute(job->ref, job->distorted[i].data, scratch, &job->out[i]);
    vj_quality_scratch_free(scratch);
    return NULL;
}

static void threads_sharing_a_reference_get_the_same_bits(void **state)
{
    (void)state;
    struct vj_image r = reference_picture(200, 190, 3, "mixed", 27), d[8];
    for (int i = 0; i < 8; i++)
        d[i] = distorted_picture(&r, "noise", 3 + 7 * i);
    struct bench b = bench_open(200, 190, VJ_QUALITY_ALL);
    assert_int_equal(vj_quality_reference_load(b.ref, &r, NULL), 0);

    struct job jobs[3];
    pthread_t threads[3];
    for (size_t t = 0; t < 3; t++) {
        jobs[t] = (struct job){.ref = b.ref, .distorted = d};
        assert_int_equal(pthread_create(&threads[t], NULL, run_job, &jobs[t]), 0);
    }
    for (size_t t = 0; t < 3; t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        struct vj_quality_values alone = compare(&r, &d[i], VJ_QUALITY_ALL);
        for (size_t t = 0; t < 3; t++) {
            assert_int_equal(jobs[t].rc, 0);
            assert_same_bits(&jobs[t].out[i], &alone);
        }
    }
    bench_close(&b);
    for (size_t i = 0; i < 8; i++)
        vj_image_free(&d[i]);
    vj_image_free(&r);
}

static void impossible_sizes_and_sets_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    struct vj_quality_reference *ref;
    struct vj_quality_scratch *scratch;
    struct vj_error err = {0};
    assert_int_equal(vj_quality_reference_create(&ref, 0, 5, VJ_QUALITY_ALL, &err), -EINVAL);
    assert_null(ref);
    assert_int_equal(vj_quality_reference_create(&ref, 1u << 15, 1u << 14, VJ_QUALITY_ALL, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "32768x16384");
    assert_int_equal(
        vj_quality_scratch_create(&scratch, SIZE_MAX / 2, SIZE_MAX / 2, VJ_QUALITY_ALL, &err),
        -EINVAL);
    assert_null(scratch);
    assert_int_equal(vj_quality_scratch_create(&scratch, 9, 9, 8, &err), -EINVAL);
    vj_assert_contains(err.text, "set 8");
    assert_int_equal(vj_quality_reference_create(&ref, 9, 9, 0, &err), -EINVAL);
}

static void a_reference_that_does_not_fit_is_refused_and_leaves_nothing_loaded(void **state)
{
    (void)state;
    struct bench b = bench_open(100, 80, VJ_QUALITY_ALL);
    struct vj_image good = reference_picture(100, 80, 3, "mixed", 1);
    struct vj_image turned = reference_picture(80, 100, 3, "mixed", 1);
    struct vj_image two_channels = {10, 10, 2, good.data};
    struct vj_quality_values v;
    struct vj_error err = {0};
    assert_int_equal(vj_quality_compute(b.ref, good.data, b.scratch, &v), -EINVAL);
    assert_int_equal(vj_quality_reference_load(b.ref, &good, &err), 0);
    assert_int_equal(vj_quality_reference_load(b.ref, &turned, &err), -EINVAL);
    vj_assert_contains(err.text, "80x100");
    vj_assert_contains(err.text, "100x80");
    assert_int_equal(vj_quality_compute(b.ref, good.data, b.scratch, &v), -EINVAL);
    assert_true(isnan(v.psnr_y) && isnan(v.psnr_rgb) && isnan(v.ssim) && isnan(v.ms_ssim));
    assert_int_equal(vj_quality_reference_load(b.ref, &two_channels, &err), -EINVAL);
    vj_assert_contains(err.text, "2 channels");
    vj_image_free(&good);
    vj_image_free(&turned);
    bench_close(&b);
}

static void a_scratch_made_for_less_is_refused(void **state)
{
    (void)state;
    struct vj_image r = reference_picture(200, 180, 1, "mixed", 2);
    struct bench b = bench_open(200, 180, VJ_QUALITY_ALL);
    struct vj_quality_scratch *scratch;
    struct vj_quality_values v;
    assert_int_equal(vj_quality_reference_load(b.ref, &r, NULL), 0);
    assert_int_equal(vj_quality_scratch_create(&scratch, 200, 179, VJ_QUALITY_ALL, NULL), 0);
    assert_int_equal(vj_quality_compute(b.ref, r.data, scratch, &v), -EINVAL);
    vj_quality_scratch_free(scratch);
    assert_int_equal(vj_quality_scratch_create(&scratch, 200, 180, VJ_QUALITY_SSIM, NULL), 0);
    assert_int_equal(vj_quality_compute(b.ref, r.data, scratch, &v), -EINVAL);
    vj_quality_scratch_free(scratch);
    vj_quality_scratch_free(NULL);
    vj_quality_reference_free(NULL);
    vj_image_free(&r);
    bench_close(&b);
}

/* Losses at their largest must stay inside the integers they are summed in. */
static void the_fixed_point_holds_the_largest_loss(void **state)
{
    (void)state;
    assert_int_equal(vj_ssim_fixed(0.0f), 0);
    assert_int_equal(vj_ssim_fixed(1.0f), 1 << 29);
    assert_int_equal(vj_ssim_fixed(2.0f), 1 << 30);
    assert_true(vj_ssim_mean((int64_t)1 << 58, (double)((int64_t)1 << 28)) == -1.0);
}

/* What a device makes of thousandths without a division, and of a luma without its samples. */
static void thousandths_survive_the_way_to_single_precision_and_back(void **state)
{
    (void)state;
    for (int32_t milli = -255000; milli <= 255000; milli++) {
        assert_true(vj_milli_by_product(milli) == vj_milli_to_float(milli));
        if (milli >= 0)
            assert_int_equal(vj_float_to_milli(vj_milli_to_float(milli)), milli);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousandths_survive_the_way_to_single_precision_and_back),
        cmocka_unit_test(formula_pictures_agree_with_the_independent_implementation),
        cmocka_unit_test(photographs_agree_with_the_independent_implementation),
        cmocka_unit_test(psnr_of_a_known_error_is_the_textbook_value),
        cmocka_unit_test(identical_pictures_give_exactly_one_and_infinite_psnr),
        cmocka_unit_test(a_grey_picture_and_its_rgb_replica_give_the_same_bits),
        cmocka_unit_test(exchanging_the_pictures_changes_nothing),
        cmocka_unit_test(only_what_was_asked_for_is_computed_and_it_is_the_same),
        cmocka_unit_test(metrics_without_a_window_are_absent),
        cmocka_unit_test(reloading_leaves_no_trace_of_the_picture_before),
        cmocka_unit_test(ssim_has_the_same_bits_on_every_processor),
        cmocka_unit_test(threads_sharing_a_reference_get_the_same_bits),
        cmocka_unit_test(impossible_sizes_and_sets_are_refused_before_memory_is_taken),
        cmocka_unit_test(a_reference_that_does_not_fit_is_refused_and_leaves_nothing_loaded),
        cmocka_unit_test(a_scratch_made_for_less_is_refused),
        cmocka_unit_test(the_fixed_point_holds_the_largest_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
