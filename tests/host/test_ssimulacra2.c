/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>

#include "datasets/csv.h"
#include "host/image.h"
#include "host/jpeg_plan.h"
#include "host/ssimulacra2.h"
#include "tests/host/formula_pictures.h"

static const enum vj_ssimulacra2_mode modes[] = {VJ_SSIMULACRA2_EXACT, VJ_SSIMULACRA2_PARITY};
static const char *const mode_names[] = {"exact", "parity"};
enum { MODES = 2 };

struct bench {
    struct vj_ssimulacra2_reference *ref;
    struct vj_ssimulacra2_scratch *scratch;
};

static struct bench bench_open(size_t width, size_t height, enum vj_ssimulacra2_mode mode)
{
    struct bench b;
    struct vj_error err = {0};
    if (vj_ssimulacra2_reference_create(&b.ref, width, height, mode, &err) ||
        vj_ssimulacra2_scratch_create(&b.scratch, width, height, mode, &err))
        fail_msg("%s", err.text);
    return b;
}

static void bench_close(struct bench *b)
{
    vj_ssimulacra2_reference_free(b->ref);
    vj_ssimulacra2_scratch_free(b->scratch);
}

static struct vj_ssimulacra2_result bench_run(struct bench *b, const struct vj_image *original,
                                              const struct vj_image *distorted)
{
    struct vj_ssimulacra2_result r;
    assert_int_equal(vj_ssimulacra2_reference_load(b->ref, original, NULL), 0);
    assert_int_equal(vj_ssimulacra2_compute(b->ref, distorted->data, b->scratch, &r), 0);
    return r;
}

static struct vj_ssimulacra2_result compare(const struct vj_image *original,
                                            const struct vj_image *distorted,
                                            enum vj_ssimulacra2_mode mode)
{
    struct bench b = bench_open(original->width, original->height, mode);
    struct vj_ssimulacra2_result r = bench_run(&b, original, distorted);
    bench_close(&b);
    return r;
}

static void assert_same_bits(const struct vj_ssimulacra2_result *a,
                             const struct vj_ssimulacra2_result *b)
{
    assert_memory_equal(&a->score, &b->score, sizeof(a->score));
    assert_int_equal(a->scales, b->scales);
    assert_memory_equal(a->part, b->part, sizeof(a->part));
}

static double larger(double so_far, double got, double want)
{
    double d = fabs(got - want);
    return d > so_far ? d : so_far;
}

/* ---- against the independent implementation ---- */

struct golden {
    size_t width, height;
    int channels, reference_arg, distortion_arg, scales;
    char reference_kind[32], distortion_kind[32];
    double exact, parity;
    double part[VJ_SSIMULACRA2_PARTS];
};

static bool read_golden(FILE *file, struct golden *g)
{
    int fields = fscanf(file, "%zu %zu %d %31s %d %31s %d %d %lf %lf", &g->width, &g->height,
                        &g->channels, g->reference_kind, &g->reference_arg, g->distortion_kind,
                        &g->distortion_arg, &g->scales, &g->exact, &g->parity);
    if (fields == EOF)
        return false;
    assert_int_equal(fields, 10);
    vj_assert_in_range(g->scales, 2, VJ_SSIMULACRA2_SCALES);
    for (int i = 0; i < 18 * g->scales; i++)
        assert_int_equal(fscanf(file, "%lf", &g->part[i]), 1);
    return true;
}

/*
 * Sub-scores in float32 against all-double: their errors are those of the planes, about 1e-7, and
 * mean4 takes the fourth root of sums of fourth powers.
 */
static double worst_part(const char *name, const struct vj_ssimulacra2_result *got,
                         const struct golden *want)
{
    double worst = 0;
    assert_int_equal(got->scales, want->scales);
    for (int i = 0; i < 18 * want->scales; i++) {
        double difference = fabs(got->part[i] - want->part[i]);
        if (!(difference <= 2e-6 + 1e-5 * want->part[i]))
            fail_msg("%s: sub-score %d is %.9g, expected %.9g", name, i, got->part[i],
                     want->part[i]);
        worst = difference > worst ? difference : worst;
    }
    return worst;
}

static void formula_pictures_agree_with_the_independent_implementation(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof(path), "%s/ssimulacra2/formula.txt", VJ_TEST_GOLDEN);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    double worst = 0, worst_sub = 0, worst_parity = 0;
    struct golden g;
    int rows = 0, seen = 0;
    for (; read_golden(file, &g); rows++) {
        struct vj_image a =
            reference_picture(g.width, g.height, g.channels, g.reference_kind, g.reference_arg);
        struct vj_image d = distorted_picture(&a, g.distortion_kind, g.distortion_arg);
        struct vj_ssimulacra2_result exact = compare(&a, &d, VJ_SSIMULACRA2_EXACT);
        struct vj_ssimulacra2_result parity = compare(&a, &d, VJ_SSIMULACRA2_PARITY);
        char name[160];
        snprintf(name, sizeof(name), "%zux%zux%d %s %d / %s %d", g.width, g.height, g.channels,
                 g.reference_kind, g.reference_arg, g.distortion_kind, g.distortion_arg);
        double sub = worst_part(name, &exact, &g);
        if (!(fabs(exact.score - g.exact) <= 0.001))
            fail_msg("%s: exact %.9g, expected %.9g", name, exact.score, g.exact);
        if (!(fabs(parity.score - g.parity) <= 1e-8))
            fail_msg("%s: parity %.12g, expected %.12g", name, parity.score, g.parity);
        worst = larger(worst, exact.score, g.exact);
        worst_sub = sub > worst_sub ? sub : worst_sub;
        worst_parity = larger(worst_parity, parity.score, g.parity);
        seen |= 1 << g.scales;
        vj_image_free(&a);
        vj_image_free(&d);
    }
    fclose(file);
    assert_int_equal(rows, 23);
    assert_int_equal(seen, 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6);
    print_message("%d pictures, largest |difference|: exact %.2g (sub-scores %.2g), parity %.2g\n",
                  rows, worst, worst_sub, worst_parity);
}

/* ---- against the reference program ---- */

static struct vj_image read_crop(const char *name, const char *crop)
{
    struct vj_image img, part;
    struct vj_error err = {0};
    size_t x, y, w, h;
    if (vj_image_read(&img, vj_test_data(name), NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(vj_image_to_rgb(&img, NULL), 0);
    if (!crop[0])
        return img;
    assert_int_equal(sscanf(crop, "%zu,%zu,%zu,%zu", &x, &y, &w, &h), 4);
    assert_true(x + w <= img.width && y + h <= img.height);
    assert_int_equal(vj_image_alloc(&part, w, h, 3, NULL), 0);
    for (size_t k = 0; k < h; k++)
        memcpy(part.data + k * w * 3, img.data + ((y + k) * img.width + x) * 3, w * 3);
    vj_image_free(&img);
    return part;
}

static struct vj_image as_jpeg(const struct vj_image *img, int qf)
{
    struct vj_image out;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    const enum vj_subsampling sampling = VJ_SUBSAMPLING_420;
    assert_int_equal(vj_image_alloc(&out, img->width, img->height, 3, NULL), 0);
    assert_int_equal(vj_jpeg_plan_create(&plan, img, sampling, NULL), 0);
    assert_int_equal(vj_jpeg_scratch_create(&scratch, img->width, img->height, 3, sampling, NULL),
                     0);
    assert_int_equal(vj_jpeg_plan_decode(plan, qf, out.data, scratch, NULL), 0);
    vj_jpeg_scratch_free(scratch);
    vj_jpeg_plan_free(plan);
    return out;
}

static void the_reference_programs_scores_are_met(void **state)
{
    (void)state;
    static const char *const names[] = {"source", "crop", "quality", "subsampling", "score"};
    int column[5], rows = 0;
    struct vj_error err = {0};
    struct vj_csv *csv;
    bool more;
    double worst[MODES] = {0};
    vj_require_data("ssimulacra2_examples.csv");
    if (vj_csv_open(&csv, vj_test_data("ssimulacra2_examples.csv"), &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < 5; i++)
        assert_int_equal(vj_csv_column(csv, names[i], true, &column[i], &err), 0);
    for (; vj_csv_next(csv, &more, &err) == 0 && more; rows++) {
        const char *source = vj_csv_field(csv, column[0]);
        double want = atof(vj_csv_field(csv, column[4]));
        assert_string_equal(vj_csv_field(csv, column[3]), "420");
        struct vj_image a = read_crop(source, vj_csv_field(csv, column[1]));
        struct vj_image d = as_jpeg(&a, atoi(vj_csv_field(csv, column[2])));
        for (int m = 0; m < MODES; m++) {
            double got = compare(&a, &d, modes[m]).score;
            /* exact: what the rounding of the reference program leaves; parity: all decimals given
             */
            if (!(fabs(got - want) <= (m == 0 ? 0.02 : 0.50001e-4)))
                fail_msg("%s %s: %s %.6f, expected %.4f", source, vj_csv_field(csv, column[1]),
                         mode_names[m], got, want);
            worst[m] = larger(worst[m], got, want);
        }
        vj_image_free(&a);
        vj_image_free(&d);
    }
    vj_csv_close(csv);
    assert_int_equal(rows, 8);
    print_message("%d pairs, largest |difference|: exact %.4f, parity %.6f\n", rows, worst[0],
                  worst[1]);
}

/* ---- parts ---- */

static void colours_have_their_published_coordinates(void **state)
{
    (void)state;
    static const struct {
        uint8_t rgb[3];
        double x, y, b;
    } expected[] = {
        {{0, 0, 0}, 0.42, 0.01, 0.55},
        {{255, 255, 255}, 0.42, 0.855309, 0.55},
        {{128, 128, 128}, 0.42, 0.457410, 0.55},
        {{255, 0, 0}, 0.813401, 0.498188, 0.533471},
        {{0, 255, 0}, 0.204594, 0.724781, 0.272295},
        {{0, 0, 255}, 0.42, 0.288128, 0.938012},
        {{200, 100, 50}, 0.608921, 0.477836, 0.499162},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const uint8_t *c = expected[i].rgb;
        struct vj_xyb exact = vj_ssimulacra2_xyb(
            vj_ssimulacra2_linear(c[0]), vj_ssimulacra2_linear(c[1]), vj_ssimulacra2_linear(c[2]));
        struct vj_xyb parity = vj_ssimulacra2_parity_xyb(vj_ssimulacra2_parity_linear(c[0]),
                                                         vj_ssimulacra2_parity_linear(c[1]),
                                                         vj_ssimulacra2_parity_linear(c[2]));
        assert_float_equal(exact.x, expected[i].x, 1.5e-6);
        assert_float_equal(exact.y, expected[i].y, 1e-6);
        assert_float_equal(exact.b, expected[i].b, 1e-6);
        assert_float_equal(parity.x, expected[i].x, 3e-6);
        assert_float_equal(parity.y, expected[i].y, 1e-6);
        assert_float_equal(parity.b, expected[i].b, 1e-6);
    }
}

static void the_two_sets_of_curves_are_close(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++)
        assert_float_equal(vj_ssimulacra2_linear((uint8_t)i),
                           vj_ssimulacra2_parity_linear((uint8_t)i), 3e-7);
}

static void the_root_is_within_one_unit_in_the_last_place(void **state)
{
    (void)state;
    double worst = 0;
    for (uint32_t bits = vj_float_bits(0.003f); bits <= vj_float_bits(1.1f); bits += 97) {
        float v = vj_float_of_bits(bits);
        double want = cbrt((double)v);
        double unit = nextafterf((float)want, 2.0f) - (float)want;
        double difference = fabs((double)vj_ssimulacra2_root(v) - want) / unit;
        worst = difference > worst ? difference : worst;
    }
    print_message("largest difference of the root: %.3f units\n", worst);
    assert_true(worst <= 1.0);
}

/* Sum of three cosines, cut where they meet zero together. */
static void the_taps_are_those_of_the_recursion(void **state)
{
    (void)state;
    static const double beta[3] = {0.17893914164149127, 0.07272614473619018, 0.012955819110517063};
    double sum = 0, moment = 0;
    for (int n = -5; n <= 5; n++) {
        double h = 0;
        for (int k = 0; k < 3; k++)
            h += beta[k] * cos((2 * k + 1) * acos(-1.0) / 10 * n);
        double pulse[VJ_SSIMULACRA2_TAPS] = {0};
        float pulse_float[VJ_SSIMULACRA2_TAPS] = {0};
        if (n >= -VJ_SSIMULACRA2_REACH && n <= VJ_SSIMULACRA2_REACH) {
            pulse[n + VJ_SSIMULACRA2_REACH] = 1;
            pulse_float[n + VJ_SSIMULACRA2_REACH] = 1;
        }
        double tap = vj_ssimulacra2_window_double(pulse, 1);
        assert_float_equal(tap, h, 1e-15);
        assert_float_equal(vj_ssimulacra2_window(pulse_float, 1), h, 1.5e-8);
        sum += tap;
        moment += n * n * tap;
    }
    assert_float_equal(sum, 1, 1e-14);
    assert_float_equal(moment, 2.25, 1e-13);
}

/*
 * Zeros lie outside the plane, and a pixel at the edge has nearly half of its window there. On
 * constant planes nothing but the border makes variance, so the sub-scores follow from the sums of
 * those taps that lie within a side; of 8 pixels, so that the border reaches every one of them.
 */
static void the_border_is_zero_and_not_renormalised(void **state)
{
    (void)state;
    enum { SIDE = 8 };
    double h[5] = {VJ_SSIMULACRA2_H0, VJ_SSIMULACRA2_H1, VJ_SSIMULACRA2_H2, VJ_SSIMULACRA2_H3,
                   VJ_SSIMULACRA2_H4};
    double inside[SIDE] = {0}, ssim = 0, blurring = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            inside[i] += abs(i - j) < 5 ? h[abs(i - j)] : 0;
    assert_float_equal(inside[0] * inside[0], 0.40, 0.0005);
    struct vj_image a = reference_picture(SIDE, SIDE, 1, "constant", 255);
    struct vj_image d = reference_picture(SIDE, SIDE, 1, "constant", 128);
    struct vj_xyb white = vj_ssimulacra2_xyb(1, 1, 1);
    float light = vj_ssimulacra2_linear(128);
    struct vj_xyb grey = vj_ssimulacra2_xyb(light, light, light);
    for (int i = 0; i < SIDE * SIDE; i++) {
        double f = inside[i / SIDE] * inside[i % SIDE], t = (double)grey.y - white.y;
        double v = t * t * (f - f * f);
        double den = ((double)white.y * white.y + (double)grey.y * grey.y) * (f - f * f) + 0.0009;
        double m = t * f;
        ssim += 1 - (1 - m * m) * (1 - v / den);
        double edge = (1 + grey.y * (1 - f)) / (1 + white.y * (1 - f)) - 1;
        blurring += edge < 0 ? -edge : 0;
    }
    for (int m = 0; m < MODES; m++) {
        struct vj_ssimulacra2_result r = compare(&a, &d, modes[m]);
        const double *y = r.part + r.scales * VJ_SSIMULACRA2_TERMS;
        assert_float_equal(y[0], ssim / SIDE / SIDE, 1e-5);
        assert_float_equal(y[1], 0, 1e-5);
        assert_float_equal(y[2], blurring / SIDE / SIDE, 1e-5);
    }
    vj_image_free(&a);
    vj_image_free(&d);
}

static void the_number_of_scales_follows_the_smaller_side(void **state)
{
    (void)state;
    static const struct {
        size_t side;
        int scales;
    } expected[] = {{1, 0},  {7, 0},  {8, 2},  {14, 2},  {15, 3},  {28, 3},
                    {29, 4}, {56, 4}, {57, 5}, {112, 5}, {113, 6}, {5000, 6}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(vj_ssimulacra2_scales(expected[i].side, 5000), expected[i].scales);
        assert_int_equal(vj_ssimulacra2_scales(5000, expected[i].side), expected[i].scales);
    }
}

/* ---- properties ---- */

static void identical_pictures_score_exactly_100(void **state)
{
    (void)state;
    static const struct {
        size_t width, height;
        int channels;
        const char *kind;
    } size[] = {{8, 8, 3, "noise"}, {131, 117, 3, "mixed"}, {300, 57, 1, "smooth"}};
    for (size_t i = 0; i < 3; i++)
        for (int m = 0; m < MODES; m++) {
            struct vj_image a = reference_picture(size[i].width, size[i].height, size[i].channels,
                                                  size[i].kind, 31);
            struct vj_ssimulacra2_result r = compare(&a, &a, modes[m]);
            assert_true(r.score == 100.0);
            for (int k = 0; k < VJ_SSIMULACRA2_PARTS; k++)
                assert_true(r.part[k] == 0.0);
            vj_image_free(&a);
        }
}

static void every_size_from_8_to_40_has_a_score(void **state)
{
    (void)state;
    struct bench b[MODES] = {bench_open(40, 40, modes[0]), bench_open(40, 40, modes[1])};
    for (size_t width = 8; width <= 40; width++)
        for (size_t height = 8; height <= 40; height++) {
            struct vj_image a = reference_picture(width, height, 3, "mixed", 32);
            struct vj_image d = distorted_picture(&a, "coarse", 24);
            double score[MODES];
            for (int m = 0; m < MODES; m++) {
                struct vj_ssimulacra2_result r = bench_run(&b[m], &a, &d);
                assert_int_equal(r.scales, vj_ssimulacra2_scales(width, height));
                assert_true(isfinite(r.score) && r.score < 99.0);
                score[m] = r.score;
            }
            /* two implementations of the filter: what they share is the definition alone */
            assert_float_equal(score[0], score[1], 0.1);
            vj_image_free(&a);
            vj_image_free(&d);
        }
    bench_close(&b[0]);
    bench_close(&b[1]);
}

static void pictures_below_8_pixels_have_no_score(void **state)
{
    (void)state;
    static const size_t size[][2] = {{1, 1}, {7, 7}, {7, 300}, {300, 7}};
    for (int m = 0; m < MODES; m++) {
        struct bench large = bench_open(300, 300, modes[m]);
        for (size_t i = 0; i < 4; i++) {
            struct vj_image a = reference_picture(size[i][0], size[i][1], 3, "mixed", 33);
            struct vj_ssimulacra2_result r = compare(&a, &a, modes[m]);
            assert_true(isnan(r.score) && r.scales == 0);
            r = bench_run(&large, &a, &a);
            assert_true(isnan(r.score) && r.scales == 0);
            vj_image_free(&a);
        }
        bench_close(&large);
    }
}

static void a_grey_picture_and_its_rgb_replica_give_the_same_bits(void **state)
{
    (void)state;
    for (int m = 0; m < MODES; m++) {
        struct vj_image a = reference_picture(271, 59, 1, "mixed", 34);
        struct vj_image d = distorted_picture(&a, "noise", 25);
        struct vj_ssimulacra2_result grey = compare(&a, &d, modes[m]);
        assert_int_equal(vj_image_to_rgb(&a, NULL), 0);
        assert_int_equal(vj_image_to_rgb(&d, NULL), 0);
        struct vj_ssimulacra2_result rgb = compare(&a, &d, modes[m]);
        assert_same_bits(&grey, &rgb);
        vj_image_free(&a);
        vj_image_free(&d);
    }
}

/* One original and scratch for pictures of all sizes and kinds in turn, as a long run uses them. */
static void reloading_leaves_no_trace_of_the_picture_before(void **state)
{
    (void)state;
    static const struct {
        size_t width, height;
        int channels;
    } size[] = {{140, 130, 3}, {16, 90, 1}, {9, 130, 3}, {5, 5, 3}, {139, 77, 3}, {50, 60, 1}};
    for (int m = 0; m < MODES; m++) {
        struct bench reused = bench_open(140, 130, modes[m]);
        for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
            struct vj_image a =
                reference_picture(size[i].width, size[i].height, size[i].channels, "mixed", (int)i);
            struct vj_image d = distorted_picture(&a, "coarse", 12 + (int)i);
            struct vj_ssimulacra2_result again = bench_run(&reused, &a, &d);
            struct vj_ssimulacra2_result fresh = compare(&a, &d, modes[m]);
            assert_int_equal(isnan(again.score), isnan(fresh.score));
            if (!isnan(fresh.score))
                assert_same_bits(&again, &fresh);
            vj_image_free(&a);
            vj_image_free(&d);
        }
        bench_close(&reused);
    }
}

struct job {
    const struct vj_ssimulacra2_reference *ref;
    const struct vj_image *distorted;
    enum vj_ssimulacra2_mode mode;
    struct vj_ssimulacra2_result out[6];
    int rc;
};

static void *run_job(void *arg)
{
    struct job *job = arg;
    struct vj_ssimulacra2_scratch *scratch = NULL;
    job->rc = vj_ssimulacra2_scratch_create(&scratch, 130, 120, job->mode, NULL);
    for (size_t i = 0; i < 6 && !job->rc; i++)
        job->rc = vj_ssimulacra2_compute(job->ref, job->distorted[i].data, scratch, &job->out[i]);
    vj_ssimulacra2_scratch_free(scratch);
    return NULL;
}

static void threads_sharing_an_original_get_the_same_bits(void **state)
{
    (void)state;
    struct vj_image a = reference_picture(130, 119, 3, "mixed", 35), d[6];
    for (int i = 0; i < 6; i++)
        d[i] = distorted_picture(&a, "noise", 3 + 7 * i);
    for (int m = 0; m < MODES; m++) {
        struct bench b = bench_open(130, 119, modes[m]);
        assert_int_equal(vj_ssimulacra2_reference_load(b.ref, &a, NULL), 0);
        struct job jobs[3];
        pthread_t threads[3];
        for (size_t t = 0; t < 3; t++) {
            jobs[t] = (struct job){.ref = b.ref, .distorted = d, .mode = modes[m]};
            assert_int_equal(pthread_create(&threads[t], NULL, run_job, &jobs[t]), 0);
        }
        for (size_t t = 0; t < 3; t++)
            assert_int_equal(pthread_join(threads[t], NULL), 0);
        for (size_t i = 0; i < 6; i++) {
            struct vj_ssimulacra2_result alone = compare(&a, &d[i], modes[m]);
            for (size_t t = 0; t < 3; t++) {
                assert_int_equal(jobs[t].rc, 0);
                assert_same_bits(&jobs[t].out[i], &alone);
            }
        }
        bench_close(&b);
    }
    for (size_t i = 0; i < 6; i++)
        vj_image_free(&d[i]);
    vj_image_free(&a);
}

/*
 * Sub-scores are made of IEEE operations in a fixed order, so their bits are the same in the AVX2
 * and the baseline code, optimised or sanitised. Y at the first and third scale, SSIM and ringing.
 */
static void sub_scores_have_the_same_bits_on_every_processor(void **state)
{
    (void)state;
    static const double expected[MODES][4] = {
        {0x1.09e939ae2eb58p-4, 0x1.ba030ed1deec1p-8, 0x1.008a2e243253dp-9, 0x1.64da7de4a472ep-8},
        {0x1.09fb514f1476cp-4, 0x1.ba02f07ed48fep-8, 0x1.009a44107a608p-9, 0x1.64dac819fd0b4p-8},
    };
    struct vj_image a = reference_picture(311, 43, 3, "mixed", 36);
    struct vj_image d = distorted_picture(&a, "coarse", 24);
    for (int m = 0; m < MODES; m++) {
        struct vj_ssimulacra2_result r = compare(&a, &d, modes[m]);
        const double *y = r.part + r.scales * VJ_SSIMULACRA2_TERMS;
        const double got[4] = {y[0], y[1], y[2 * VJ_SSIMULACRA2_TERMS + 3],
                               y[2 * VJ_SSIMULACRA2_TERMS + 4]};
        for (int i = 0; i < 4; i++)
            if (got[i] != expected[m][i])
                fail_msg("%s: got %a %a %a %a", mode_names[m], got[0], got[1], got[2], got[3]);
    }
    vj_image_free(&a);
    vj_image_free(&d);
}

/* ---- misuse ---- */

static void impossible_sizes_and_modes_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    struct vj_ssimulacra2_reference *ref;
    struct vj_ssimulacra2_scratch *scratch;
    struct vj_error err = {0};
    assert_int_equal(vj_ssimulacra2_reference_create(&ref, 0, 9, VJ_SSIMULACRA2_EXACT, &err),
                     -EINVAL);
    assert_null(ref);
    assert_int_equal(
        vj_ssimulacra2_reference_create(&ref, 1u << 15, 1u << 14, VJ_SSIMULACRA2_EXACT, &err),
        -EINVAL);
    vj_assert_contains(err.text, "32768x16384");
    assert_int_equal(vj_ssimulacra2_scratch_create(&scratch, SIZE_MAX / 2, SIZE_MAX / 2,
                                                   VJ_SSIMULACRA2_PARITY, &err),
                     -EINVAL);
    assert_null(scratch);
    assert_int_equal(vj_ssimulacra2_scratch_create(&scratch, 9, 9, VJ_SSIMULACRA2_OFF, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "mode 0 is neither exact 1 nor parity 2");
    assert_int_equal(vj_ssimulacra2_reference_create(&ref, 9, 9, 3, &err), -EINVAL);
    assert_int_equal(vj_ssimulacra2_reference_bytes(0, 9, VJ_SSIMULACRA2_EXACT), 0);
    assert_int_equal(vj_ssimulacra2_scratch_bytes(9, 9, VJ_SSIMULACRA2_OFF), 0);
}

static void bytes_are_what_the_header_says(void **state)
{
    (void)state;
    static const double per_pixel[MODES][2] = {{52, 4}, {80, 32}};
    for (int m = 0; m < MODES; m++) {
        double pixels = 1920.0 * 1080.0;
        assert_float_equal(vj_ssimulacra2_reference_bytes(1920, 1080, modes[m]) / pixels,
                           per_pixel[m][0], 1);
        assert_float_equal(vj_ssimulacra2_scratch_bytes(1920, 1080, modes[m]) / pixels,
                           per_pixel[m][1], 1);
    }
}

static void an_original_that_does_not_fit_is_refused_and_leaves_nothing_loaded(void **state)
{
    (void)state;
    struct bench b = bench_open(100, 80, VJ_SSIMULACRA2_EXACT);
    struct vj_image good = reference_picture(100, 80, 3, "mixed", 1);
    struct vj_image turned = reference_picture(80, 100, 3, "mixed", 1);
    struct vj_image two_channels = {10, 10, 2, good.data};
    struct vj_ssimulacra2_result r;
    struct vj_error err = {0};
    assert_int_equal(vj_ssimulacra2_compute(b.ref, good.data, b.scratch, &r), -EINVAL);
    assert_int_equal(vj_ssimulacra2_reference_load(b.ref, &good, &err), 0);
    assert_int_equal(vj_ssimulacra2_reference_load(b.ref, &turned, &err), -EINVAL);
    vj_assert_contains(err.text, "80x100");
    vj_assert_contains(err.text, "100x80");
    assert_int_equal(vj_ssimulacra2_compute(b.ref, good.data, b.scratch, &r), -EINVAL);
    assert_true(isnan(r.score));
    assert_int_equal(vj_ssimulacra2_reference_load(b.ref, &two_channels, &err), -EINVAL);
    vj_assert_contains(err.text, "2 channels");
    vj_image_free(&good);
    vj_image_free(&turned);
    bench_close(&b);
}

static void a_scratch_made_for_less_or_for_the_other_mode_is_refused(void **state)
{
    (void)state;
    struct vj_image a = reference_picture(60, 50, 1, "mixed", 2);
    struct bench b = bench_open(60, 50, VJ_SSIMULACRA2_EXACT);
    struct vj_ssimulacra2_scratch *scratch;
    struct vj_ssimulacra2_result r;
    assert_int_equal(vj_ssimulacra2_reference_load(b.ref, &a, NULL), 0);
    assert_int_equal(vj_ssimulacra2_scratch_create(&scratch, 60, 49, VJ_SSIMULACRA2_EXACT, NULL),
                     0);
    assert_int_equal(vj_ssimulacra2_compute(b.ref, a.data, scratch, &r), -EINVAL);
    vj_ssimulacra2_scratch_free(scratch);
    assert_int_equal(vj_ssimulacra2_scratch_create(&scratch, 60, 50, VJ_SSIMULACRA2_PARITY, NULL),
                     0);
    assert_int_equal(vj_ssimulacra2_compute(b.ref, a.data, scratch, &r), -EINVAL);
    vj_ssimulacra2_scratch_free(scratch);
    vj_ssimulacra2_scratch_free(NULL);
    vj_ssimulacra2_reference_free(NULL);
    vj_image_free(&a);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formula_pictures_agree_with_the_independent_implementation),
        cmocka_unit_test(the_reference_programs_scores_are_met),
        cmocka_unit_test(colours_have_their_published_coordinates),
        cmocka_unit_test(the_two_sets_of_curves_are_close),
        cmocka_unit_test(the_root_is_within_one_unit_in_the_last_place),
        cmocka_unit_test(the_taps_are_those_of_the_recursion),
        cmocka_unit_test(the_border_is_zero_and_not_renormalised),
        cmocka_unit_test(the_number_of_scales_follows_the_smaller_side),
        cmocka_unit_test(identical_pictures_score_exactly_100),
        cmocka_unit_test(every_size_from_8_to_40_has_a_score),
        cmocka_unit_test(pictures_below_8_pixels_have_no_score),
        cmocka_unit_test(a_grey_picture_and_its_rgb_replica_give_the_same_bits),
        cmocka_unit_test(reloading_leaves_no_trace_of_the_picture_before),
        cmocka_unit_test(threads_sharing_an_original_get_the_same_bits),
        cmocka_unit_test(sub_scores_have_the_same_bits_on_every_processor),
        cmocka_unit_test(impossible_sizes_and_modes_are_refused_before_memory_is_taken),
        cmocka_unit_test(bytes_are_what_the_header_says),
        cmocka_unit_test(an_original_that_does_not_fit_is_refused_and_leaves_nothing_loaded),
        cmocka_unit_test(a_scratch_made_for_less_or_for_the_other_mode_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
