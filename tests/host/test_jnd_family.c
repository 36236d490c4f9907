/* SPDX-License-Identifier: MIT */
/* Pixel-JND models after Chou's, chroma, and what all models of the registry have in common. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "host/eigen.h"
#include "host/jnd_blocks.h"
#include "host/jnd_map.h"
#include "host/jnd_math.h"
#include "host/jpeg_plan.h"
#include "host/rng.h"
#include "tests/host/jnd_golden.h"

static void fill_random(uint8_t *data, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)vj_random4(1, VJ_RNG_TEST, stream, (uint32_t)i).v[0];
}

/* --- chroma ----------------------------------------------------------------------------------- */

/* Sum of (sample - 128) over 8x8 samples; beyond the plane its last row and column go on. */
static int block_sum(const uint8_t *plane, size_t width, size_t height, size_t y, size_t x)
{
    int sum = 0;
    for (size_t k = 0; k < 64; k++) {
        size_t row = y + k / 8 < height ? y + k / 8 : height - 1;
        size_t column = x + k % 8 < width ? x + k % 8 : width - 1;
        sum += plane[row * width + column] - 128;
    }
    return sum;
}

static void chroma_is_what_the_jpeg_model_transforms(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{16, 16}, {64, 32}, {32, 48}};
    uint8_t rgb[64 * 48 * 3], cb[32 * 24], cr[32 * 24];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t width = sizes[i][0], height = sizes[i][1];
        struct vj_image img = {.width = width, .height = height, .channels = 3, .data = rgb};
        struct vj_error err = {0};
        struct vj_jpeg_plan *plan;
        fill_random(rgb, sizeof(rgb), i);
        vj_jnd_chroma(&img, cb, cr);
        assert_int_equal(vj_jpeg_plan_create(&plan, &img, VJ_SUBSAMPLING_420, &err), 0);
        const struct vj_jpeg_geometry *g = vj_jpeg_plan_geometry(plan);
        for (int c = 1; c <= 2; c++) {
            const int16_t *t = vj_jpeg_plan_coefficients(plan) + 64 * g->component[c].first;
            for (size_t y = 0; y < height / 2; y += 8)
                for (size_t x = 0; x < width / 2; x += 8, t += 64)
                    assert_int_equal(t[0],
                                     block_sum(c == 1 ? cb : cr, width / 2, height / 2, y, x));
        }
        vj_jpeg_plan_free(plan);
    }
}

static void chroma_repeats_the_last_row_and_column_of_an_odd_picture(void **state)
{
    (void)state;
    enum { WIDTH = 5, HEIGHT = 3 };
    uint8_t rgb[WIDTH * HEIGHT * 3], wide[(WIDTH + 1) * (HEIGHT + 1) * 3];
    uint8_t cb[6], cr[6], wide_cb[6], wide_cr[6];
    fill_random(rgb, sizeof(rgb), 21);
    for (size_t y = 0; y <= HEIGHT; y++)
        for (size_t x = 0; x <= WIDTH; x++)
            memcpy(wide + 3 * (y * (WIDTH + 1) + x),
                   rgb + 3 * ((y < HEIGHT ? y : HEIGHT - 1) * WIDTH + (x < WIDTH ? x : WIDTH - 1)),
                   3);
    vj_jnd_chroma(&(struct vj_image){.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb},
                  cb, cr);
    vj_jnd_chroma(
        &(struct vj_image){.width = WIDTH + 1, .height = HEIGHT + 1, .channels = 3, .data = wide},
        wide_cb, wide_cr);
    assert_memory_equal(cb, wide_cb, 6);
    assert_memory_equal(cr, wide_cr, 6);
}

static void a_grey_picture_has_neutral_chroma_in_one_channel_and_in_three(void **state)
{
    (void)state;
    uint8_t grey[6] = {0, 255, 17, 80, 81, 200}, rgb[18], cb[2], cr[2];
    for (size_t i = 0; i < 18; i++)
        rgb[i] = grey[i / 3];
    struct vj_image img = {.width = 3, .height = 2, .channels = 1, .data = grey};
    for (int channels = 1; channels <= 3; channels += 2) {
        img.channels = channels;
        img.data = channels == 1 ? grey : rgb;
        memset(cb, 1, 2);
        memset(cr, 1, 2);
        vj_jnd_chroma(&img, cb, cr);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(cb[i], 128);
            assert_int_equal(cr[i], 128);
        }
    }
}

/* --- arithmetic ------------------------------------------------------------------------------- */

static void the_logarithm_matches_that_of_the_library(void **state)
{
    (void)state;
    assert_float_equal(vj_jnd_log2(1), 0, 0);
    for (int step = -20000; step < 40000; step++) {
        float x = (float)pow(1.0005, step);
        double expected = log2((double)x);
        assert_float_equal(vj_jnd_log2(x), expected, 2e-7 + 1e-7 * fabs(expected));
    }
}

static void the_exponential_matches_that_of_the_library_down_to_its_limit(void **state)
{
    (void)state;
    assert_true(vj_jnd_exp(0) == 1.0);
    for (int step = 0; step < 70000; step++) {
        double x = -step * 0.00999;
        assert_true(fabs(vj_jnd_exp(x) / exp(x) - 1) < 1e-14);
    }
    assert_true(vj_jnd_exp(-1e300) == vj_jnd_exp(-700));
    assert_true(vj_jnd_exp(-1e300) < 1.1e-304);
}

/* --- all models ------------------------------------------------------------------------------- */

static void every_stage_has_a_name_of_its_own_and_a_description(void **state)
{
    (void)state;
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        const struct vj_jnd_stage_info *stages = vj_jnd_models[m]->stages;
        size_t variants = 0;
        while (vj_jnd_models[m]->variants[variants])
            variants++;
        for (size_t s = 0; stages[s].name; s++) {
            assert_non_null(stages[s].description);
            assert_true(strlen(stages[s].description) > 5);
            assert_true(stages[s].absent != (1u << variants) - 1); /* some variant has it */
            assert_string_not_equal(stages[s].name, "map");
            for (size_t k = 0; k < s; k++)
                assert_string_not_equal(stages[s].name, stages[k].name);
        }
    }
}

static void stages_have_the_size_that_their_extent_says(void **state)
{
    (void)state;
    static const struct {
        enum vj_jnd_extent extent;
        size_t rows, columns;
    } cases[] = {
        {VJ_JND_PLANE, 7, 10}, {VJ_JND_HALF, 4, 5}, {VJ_JND_LIST64, 1, 64}, {VJ_JND_ONE, 1, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_jnd_stage_info stage = {.extent = cases[i].extent};
        struct vj_jnd_size size = vj_jnd_stage_size(&stage, 10, 7);
        assert_int_equal(size.rows, cases[i].rows);
        assert_int_equal(size.columns, cases[i].columns);
    }
}

static void a_map_is_the_same_with_stages_and_without_and_absent_stages_are_zero(void **state)
{
    (void)state;
    enum { WIDTH = 75, HEIGHT = 66 };
    struct golden g = {0};
    float map[WIDTH * HEIGHT];
    golden_load_picture(&g, "scene", WIDTH, HEIGHT);
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        if (vj_jnd_models[m]->needs_weights) /* tests/host/test_resjnd.c */
            continue;
        for (size_t v = 0; vj_jnd_models[m]->variants[v]; v++) {
            golden_compute(&g, vj_jnd_models[m]->name, vj_jnd_models[m]->variants[v]);
            run(vj_jnd_models[m], v, g.luma, WIDTH, HEIGHT, 1, map, NULL);
            assert_memory_equal(map, g.planes[g.plane_count - 1], sizeof(map));
            for (size_t s = 0; vj_jnd_models[m]->stages[s].name; s++) {
                bool all_zero = true;
                for (size_t i = 0; i < golden_stage_values(&g, s); i++)
                    all_zero = all_zero && g.planes[s][i] == 0;
                bool absent = vj_jnd_models[m]->stages[s].absent >> v & 1;
                if (all_zero != absent)
                    fail_msg("%s %s: stage %s is %s", vj_jnd_models[m]->name,
                             vj_jnd_models[m]->variants[v], vj_jnd_models[m]->stages[s].name,
                             all_zero ? "all zeros" : "there");
            }
        }
    }
    golden_forget_results(&g);
    golden_forget_picture(&g);
}

/* --- yang05 ----------------------------------------------------------------------------------- */

static float *stage_of(const struct golden *g, const char *name)
{
    size_t count;
    return (float *)golden_stage(g, name, &count);
}

static void yang05_takes_masking_back_on_edges_by_the_shares_of_its_variants(void **state)
{
    (void)state;
    enum { WIDTH = 60, HEIGHT = 40, ROW = 20, EDGE = 29, FAR = 12 };
    struct golden g = {0};
    golden_load_picture(&g, "ramp", WIDTH, HEIGHT);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        g.luma[i] = i % WIDTH <= EDGE ? 40 : 190;
    golden_compute(&g, "yang05", "authors");
    assert_float_equal(stage_of(&g, "edge")[ROW * WIDTH + EDGE], 1, 0);
    assert_float_equal(stage_of(&g, "weight")[ROW * WIDTH + EDGE], 0.05, 1e-6);
    assert_float_equal(stage_of(&g, "weight")[ROW * WIDTH + EDGE - 2], 0.05, 1e-6); /* dilated */
    assert_float_equal(stage_of(&g, "weight")[ROW * WIDTH + FAR], 1, 1e-6);
    golden_compute(&g, "yang05", "paper");
    double sum = 0, taps[4];
    for (int k = 0; k < 4; k++) {
        taps[k] = exp(-k * k / 1.28);
        sum += k ? 2 * taps[k] : taps[k];
    }
    double covered = (taps[0] + taps[1]) / sum; /* this column of edges and the one beside it */
    assert_float_equal(stage_of(&g, "weight")[ROW * WIDTH + EDGE], 1 - 0.9 * covered, 1e-6);
    golden_forget_results(&g);
    golden_forget_picture(&g);
}

static void yang05_leaves_chroma_stages_zero_where_no_chroma_is_given(void **state)
{
    (void)state;
    enum { WIDTH = 9, HEIGHT = 7, STAGES = 12 };
    uint8_t luma[WIDTH * HEIGHT];
    float map[WIDTH * HEIGHT], planes[STAGES][WIDTH * HEIGHT];
    float *stages[STAGES];
    fill_random(luma, sizeof(luma), 4);
    assert_null(vj_jnd_yang05.stages[STAGES].name);
    for (size_t s = 0; s < STAGES; s++)
        stages[s] = planes[s];
    run(&vj_jnd_yang05, 1, luma, WIDTH, HEIGHT, 1, map, stages);
    for (size_t s = 0; s < STAGES; s++)
        if (vj_jnd_yang05.stages[s].extent == VJ_JND_HALF)
            for (size_t i = 0; i < 5 * 4; i++)
                assert_float_equal(planes[s][i], 0, 0);
}

/* --- fep13 ------------------------------------------------------------------------------------ */

static void fep13_predicts_what_repeats_and_leaves_a_frame_of_zeros(void **state)
{
    (void)state;
    enum { WIDTH = 40, HEIGHT = 33 };
    struct golden g = {0};
    golden_load_picture(&g, "steps", WIDTH, HEIGHT);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) /* stripes so strong that plain weights underflow */
        g.luma[i] = i % WIDTH / 2 % 2 ? 255 : 0;
    golden_compute(&g, "fep13", "authors");
    const float *prediction = stage_of(&g, "prediction"), *map = g.planes[g.plane_count - 1];
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH; x++) {
            size_t i = y * WIDTH + x;
            bool inside = y >= 2 && y <= HEIGHT - 4 && x >= 2 && x <= WIDTH - 4;
            assert_float_equal(prediction[i], g.luma[i], 0);
            assert_true((map[i] > 0) == inside);
        }
    }
    assert_float_equal(stage_of(&g, "residual")[WIDTH + 1], 0, 0);
    golden_forget_results(&g);
    golden_forget_picture(&g);
}

static void fep13_sees_an_outlier_as_disorder_smoothed_where_it_is_calm(void **state)
{
    (void)state;
    enum { SIDE = 31, MIDDLE = 15 * SIDE + 15 };
    struct golden g = {0};
    golden_load_picture(&g, "ramp", SIDE, SIDE);
    memset(g.luma, 120, SIDE * SIDE);
    g.luma[MIDDLE] = 160;
    golden_compute(&g, "fep13", "authors");
    /* 440 neighbours of weight exp(-d / h^2); d: two patches differ by 40 in one or two pixels */
    float predicted = stage_of(&g, "prediction")[MIDDLE];
    assert_true(predicted >= 120 && predicted < 125);
    assert_float_equal(stage_of(&g, "residual")[MIDDLE], 160 - predicted, 0);
    assert_true(stage_of(&g, "deviation")[MIDDLE] < 10);
    double sum = 1, tap;
    for (int k = 1; k <= 3; k++)
        sum += 2 * exp(-k * k * 9 / 98.0);
    tap = 1 / (sum * sum);
    assert_float_equal(stage_of(&g, "disorder")[MIDDLE],
                       stage_of(&g, "weight")[MIDDLE] * tap * (160 - predicted), 1e-5);
    assert_float_equal(stage_of(&g, "disorder")[MIDDLE + 9], 0, 0);
    golden_forget_results(&g);
    golden_forget_picture(&g);
}

/* --- epc17, variant paper --------------------------------------------------------------------- */

static void occupied_bins_join_both_ends_and_leave_out_pixels_without_structure(void **state)
{
    (void)state;
    enum { WIDTH = 6, HEIGHT = 4 };
    uint16_t bits[WIDTH * HEIGHT];
    for (size_t trial = 0; trial < 200; trial++) {
        uint8_t count[WIDTH];
        for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
            uint32_t bin = vj_random4(5, VJ_RNG_TEST, trial, (uint32_t)i).v[0] % 20;
            bits[i] = (uint16_t)(bin < 16 ? 1u << bin : 0);
        }
        for (size_t y = 1; y + 1 < HEIGHT; y++) {
            vj_jnd_occupied(bits + y * WIDTH + 1, WIDTH, WIDTH - 2, count);
            for (size_t x = 1; x + 1 < WIDTH; x++) {
                int expected = 0;
                for (uint32_t bin = 0; bin < 15; bin++) {
                    bool there = false;
                    for (size_t k = 0; k < 9; k++) {
                        uint16_t b = bits[(y + k / 3 - 1) * WIDTH + x + k % 3 - 1];
                        there = there || b == 1u << bin || (bin == 0 && b == 1u << 15);
                    }
                    expected += there;
                }
                assert_int_equal(count[x - 1], expected);
            }
        }
    }
}

static void epc17_paper_has_the_thresholds_of_a_step_by_hand(void **state)
{
    (void)state;
    enum { WIDTH = 24, HEIGHT = 20, STEP = 12, ROW = 10 };
    struct golden g = {0};
    golden_load_picture(&g, "ramp", WIDTH, HEIGHT);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        g.luma[i] = i % WIDTH < STEP ? 60 : 100;
    golden_compute(&g, "epc17", "paper");
    size_t beside = ROW * WIDTH + STEP, away = ROW * WIDTH + STEP - 4;
    assert_float_equal(stage_of(&g, "gradient")[beside], 40, 1e-5);
    assert_float_equal(stage_of(&g, "count")[beside], 1, 0);
    assert_float_equal(stage_of(&g, "count")[away], 0, 0);
    assert_float_equal(stage_of(&g, "pattern")[beside], log2(41) * 0.8 / 1.01, 1e-5);
    assert_float_equal(stage_of(&g, "contrast")[beside], 1.84 * pow(40, 2.4) / 2276, 1e-4);
    assert_float_equal(stage_of(&g, "pattern")[away], 0, 0);
    assert_float_equal(g.planes[g.plane_count - 1][away], 17 * (1 - sqrt(60 / 127.0)) + 3, 1e-5);
    golden_forget_results(&g);
    golden_forget_picture(&g);
}

/* --- klt22 ------------------------------------------------------------------------------------ */

static void eigenvectors_rebuild_the_matrix_and_are_orthonormal(void **state)
{
    (void)state;
    enum { MOST = 64 };
    static double a[MOST * MOST], work[MOST * MOST], vector[MOST * MOST], value[MOST];
    static const size_t orders[] = {1, 2, 3, 17, 64};
    for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
        size_t n = orders[o];
        for (size_t i = 0; i < n * n; i++) { /* eigenvalues of both signs, over ten decades */
            size_t row = i / n, column = i % n, low = row < column ? row : column;
            size_t high = row + column - low;
            double random = vj_random4(3, VJ_RNG_TEST, low, (uint32_t)high).v[0] / 4294967296.0;
            a[i] = work[i] = (random - 0.4) * pow(10, -0.15 * (double)(row + column));
        }
        vj_eigen_symmetric(n, work, value, vector);
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || value[i] <= value[i - 1]);
            for (size_t j = 0; j < n; j++) {
                double rebuilt = 0, product = 0;
                for (size_t k = 0; k < n; k++) {
                    rebuilt += value[k] * vector[k * n + i] * vector[k * n + j];
                    product += vector[i * n + k] * vector[j * n + k];
                }
                assert_true(fabs(rebuilt - a[i * n + j]) < 1e-14);
                assert_true(fabs(product - (i == j)) < 1e-13);
            }
        }
    }
}

static void eigenvalues_are_those_that_are_known_in_closed_form(void **state)
{
    (void)state;
    enum { N = 30 };
    double a[N * N] = {0}, value[N], vector[N * N];
    for (size_t i = 0; i < N; i++) { /* second difference: 2 - 2 cos(k pi / (N + 1)) */
        a[i * N + i] = 2;
        if (i)
            a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    vj_eigen_symmetric(N, a, value, vector);
    for (size_t i = 0; i < N; i++)
        assert_true(fabs(value[i] - 2 + 2 * cos((double)(N - i) * M_PI / (N + 1))) < 1e-13);
    double zero[9] = {0};
    vj_eigen_symmetric(3, zero, value, vector);
    for (size_t i = 0; i < 9; i++)
        assert_true(vector[i] == (i % 4 == 0));
}

static void klt22_refuses_fewer_than_65_blocks_with_their_number(void **state)
{
    (void)state;
    enum { WIDTH = 71, HEIGHT = 79 };
    uint8_t luma[WIDTH * HEIGHT] = {0};
    float map[WIDTH * HEIGHT];
    struct vj_error err = {0};
    struct vj_jnd_workspace *ws;
    size_t bytes = vj_jnd_workspace_bytes(&vj_jnd_klt22, WIDTH + 1, HEIGHT + 1, 1);
    assert_int_equal(vj_jnd_workspace_create(&ws, bytes, 1, &err), 0);
    struct vj_jnd_job job = {.luma = luma, .width = WIDTH, .height = HEIGHT - 8, .map = map};
    assert_int_equal(vj_jnd_run(&vj_jnd_klt22, &job, ws, &err), -EINVAL);
    vj_assert_contains(err.text, "71x71");
    vj_assert_contains(err.text, "at least 65 whole blocks of 8x8 pixels, these are 64");
    job.height = 7;
    assert_int_equal(vj_jnd_run(&vj_jnd_klt22, &job, ws, &err), -EINVAL);
    vj_assert_contains(err.text, "picture of 71x7 pixels: pixel-JND model klt22 needs 8 each way; "
                                 "take a larger picture or another model");
    job.height = HEIGHT;
    assert_int_equal(vj_jnd_run(&vj_jnd_klt22, &job, ws, &err), 0); /* 72 */
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        assert_float_equal(map[i], 0, 0); /* black: nothing is missing */
    job.width = 7;
    assert_int_equal(vj_jnd_run(&vj_jnd_klt22, &job, ws, &err), -EINVAL);
    vj_jnd_workspace_free(ws);
}

static void klt22_rebuilds_a_picture_of_few_patterns_exactly(void **state)
{
    (void)state;
    enum { SIDE = 80 };
    struct golden g = {0};
    golden_load_picture(&g, "ramp", SIDE, SIDE);
    for (size_t i = 0; i < SIDE * SIDE; i++) { /* every block is one of two, or a mixture */
        size_t x = i % SIDE, y = i / SIDE, block = x / 8 + y / 8 * 10;
        g.luma[i] = (uint8_t)(100 + block % 7 * 9 * (x % 8 < 4) + block % 5 * 12 * (y % 8 < 3));
    }
    golden_compute(&g, "klt22", "raw");
    const float *variance = stage_of(&g, "variance"), *map = g.planes[g.plane_count - 1];
    assert_true(variance[1] > 10);
    assert_float_equal(variance[3], 0, 1e-9);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        assert_float_equal(map[i], 0, 1e-6);
    assert_true(stage_of(&g, "psnr")[0] > 200);
    golden_forget_results(&g);
    golden_forget_picture(&g);
}

/*
 * Few patterns on black, where a map of float32 would show what doubles leave of a difference: a
 * box across blocks, and with `faint` two patterns that stand in one block each.
 */
static void expect_nothing_missing(size_t width, size_t height, bool faint)
{
    const size_t pixels = width * height;
    uint8_t *luma = take(pixels, 1), *scaled = take(pixels, 1);
    float *map = take(pixels, sizeof(*map)), *critical = take(pixels, sizeof(*critical)), psnr;
    float *stages[7] = {[3] = critical, [4] = &psnr};
    assert_string_equal(vj_jnd_klt22.stages[3].name, "critical");
    assert_string_equal(vj_jnd_klt22.stages[4].name, "psnr");
    for (size_t i = 0; i < pixels; i++) {
        size_t x = i % width, y = i / width;
        bool box = x >= 35 && x < width - 9 && y >= 45 && y < height - 3;
        luma[i] = box ? 235 : 0;
    }
    if (faint) {
        luma[3 * width + 5] = 254;
        luma[100 * width + 21] = 1;
    }
    run(&vj_jnd_klt22, 1, luma, width, height, 1, map, stages);
    for (size_t i = 0; i < pixels; i++) {
        assert_true(map[i] == 0);
        assert_true(critical[i] == (float)luma[i]);
    }
    assert_true(isinf(psnr) && psnr > 0);
    for (int scale = VJ_JND_MINMAX; scale <= VJ_JND_MAX; scale++) {
        assert_int_equal(vj_jnd_to_u8(map, pixels, (enum vj_jnd_scale)scale, scaled, NULL), 0);
        for (size_t i = 0; i < pixels; i++)
            assert_int_equal(scaled[i], 0);
    }
    free(luma);
    free(scaled);
    free(map);
    free(critical);
}

static void klt22_leaves_no_rounding_error_where_nothing_is_missing(void **state)
{
    (void)state;
    expect_nothing_missing(128, 192, false);
    expect_nothing_missing(128, 192, true);
    expect_nothing_missing(1920, 1080, true);
}

/* --- second implementation -------------------------------------------------------------------- */

static void procedural_pictures_match_the_second_implementation(void **state)
{
    (void)state;
    golden_check("family", false);
}

static void photographs_match_the_second_implementation(void **state)
{
    (void)state;
    golden_require_photographs();
    golden_check("family", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chroma_is_what_the_jpeg_model_transforms),
        cmocka_unit_test(chroma_repeats_the_last_row_and_column_of_an_odd_picture),
        cmocka_unit_test(a_grey_picture_has_neutral_chroma_in_one_channel_and_in_three),
        cmocka_unit_test(the_logarithm_matches_that_of_the_library),
        cmocka_unit_test(the_exponential_matches_that_of_the_library_down_to_its_limit),
        cmocka_unit_test(every_stage_has_a_name_of_its_own_and_a_description),
        cmocka_unit_test(stages_have_the_size_that_their_extent_says),
        cmocka_unit_test(a_map_is_the_same_with_stages_and_without_and_absent_stages_are_zero),
        cmocka_unit_test(yang05_takes_masking_back_on_edges_by_the_shares_of_its_variants),
        cmocka_unit_test(yang05_leaves_chroma_stages_zero_where_no_chroma_is_given),
        cmocka_unit_test(fep13_predicts_what_repeats_and_leaves_a_frame_of_zeros),
        cmocka_unit_test(fep13_sees_an_outlier_as_disorder_smoothed_where_it_is_calm),
        cmocka_unit_test(occupied_bins_join_both_ends_and_leave_out_pixels_without_structure),
        cmocka_unit_test(epc17_paper_has_the_thresholds_of_a_step_by_hand),
        cmocka_unit_test(eigenvectors_rebuild_the_matrix_and_are_orthonormal),
        cmocka_unit_test(eigenvalues_are_those_that_are_known_in_closed_form),
        cmocka_unit_test(klt22_refuses_fewer_than_65_blocks_with_their_number),
        cmocka_unit_test(klt22_rebuilds_a_picture_of_few_patterns_exactly),
        cmocka_unit_test(klt22_leaves_no_rounding_error_where_nothing_is_missing),
        cmocka_unit_test(procedural_pictures_match_the_second_implementation),
        cmocka_unit_test(photographs_match_the_second_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
