/* SPDX-License-Identifier: MIT */
/*
 * The primal-dual structure of liu10: how near it comes to the least energy, which the exact
 * structure has, and that neither tiles nor threads show in it.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "host/image.h"
#include "host/tvl1_math.h"
#include "tests/host/jnd_pictures.h"
#include "tests/host/jnd_run.h"

enum { AUTHORS, PAPER, AUTHORS_PD, PAPER_PD };

/* Structure and map of liu10 by a variant. */
struct result {
    float *map;
    uint8_t *structure;
};

static struct result result_of(const uint8_t *luma, size_t width, size_t height, size_t variant,
                               int threads)
{
    size_t n = width * height;
    struct result r = {take(n, sizeof(float)), take(n, 1)};
    float *structure = take(n, sizeof(*structure));
    float *stages[7] = {structure};
    assert_string_equal(vj_jnd_liu10.stages[0].name, "structure");
    assert_null(vj_jnd_liu10.stages[7].name);
    run(&vj_jnd_liu10, variant, luma, width, height, threads, r.map, stages);
    for (size_t p = 0; p < n; p++)
        r.structure[p] = (uint8_t)structure[p];
    free(structure);
    return r;
}

static void result_free(struct result *r)
{
    free(r->map);
    free(r->structure);
}

/* The energy times 5. */
static int64_t energy(const uint8_t *f, const uint8_t *u, size_t width, size_t height)
{
    int64_t sum = 0;
    for (size_t p = 0; p < width * height; p++) {
        sum += 4 * abs(f[p] - u[p]);
        sum += p % width + 1 < width ? 5 * abs(u[p] - u[p + 1]) : 0;
        sum += p / width + 1 < height ? 5 * abs(u[p] - u[p + width]) : 0;
    }
    return sum;
}

/* --- energy ----------------------------------------------------------------------------------- */

/*
 * Of the energy that the picture itself has above the least, nearly all must be gone, and what is
 * left must be within the margin of the least. Maps of both methods must be alike on average.
 */
static void check_energy(const char *name, const uint8_t *luma, size_t width, size_t height,
                         double margin, double map_margin)
{
    size_t n = width * height;
    struct result exact = result_of(luma, width, height, AUTHORS, 1);
    struct result near = result_of(luma, width, height, AUTHORS_PD, 1);
    double least = (double)energy(luma, exact.structure, width, height);
    double own = (double)energy(luma, luma, width, height) / least - 1;
    double excess = (double)energy(luma, near.structure, width, height) / least - 1;
    double off = 0;
    for (size_t p = 0; p < n; p++)
        off += (double)fabsf(exact.map[p] - near.map[p]) / (double)n;
    print_message("%s: energy %.4f %% above the least (the picture's: %.1f %%), maps %.4f apart\n",
                  name, 100 * excess, 100 * own, off);
    assert_true(excess >= 0 && excess <= margin);
    assert_true(own > 50 * margin);
    assert_true(off <= map_margin);
    result_free(&exact);
    result_free(&near);
}

static void the_energy_of_drawn_pictures_is_within_half_a_percent_of_the_least(void **state)
{
    (void)state;
    enum { WIDTH = 250, HEIGHT = 60 };
    static const char *const kinds[] = {"scene", "night", "noise"};
    uint8_t *luma = take(WIDTH * HEIGHT, 1);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        draw_picture(kinds[i], WIDTH, HEIGHT, luma);
        check_energy(kinds[i], luma, WIDTH, HEIGHT, 0.005, 0.15);
    }
    free(luma);
}

/* The middle of the picture, 192 pixels each way. */
static void the_energy_of_photographs_is_within_a_thousandth_of_the_least(void **state)
{
    (void)state;
    enum { SIDE = 192 };
    static const char *const names[] = {"photos/scikit-image/camera.png",
                                        "photos/scikit-image/coffee.png",
                                        "photos/konjnd-1k/Quiz_SRC01.png"};
    uint8_t middle[SIDE * SIDE];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vj_error err = {0};
        struct vj_image img;
        vj_require_data(names[i]);
        if (vj_image_read(&img, vj_test_data(names[i]), NULL, &err))
            fail_msg("%s", err.text);
        uint8_t *luma = take(img.width * img.height, 1);
        vj_jnd_luma(&img, luma);
        for (size_t y = 0; y < SIDE; y++)
            memcpy(middle + y * SIDE,
                   luma + (y + (img.height - SIDE) / 2) * img.width + (img.width - SIDE) / 2, SIDE);
        check_energy(names[i], middle, SIDE, SIDE, 0.001, 0.05);
        free(luma);
        vj_image_free(&img);
    }
}

/* --- what the minimiser is known to be -------------------------------------------------------- */

static void flat_pictures_and_large_steps_stay_as_they_are(void **state)
{
    (void)state;
    enum { WIDTH = 40, HEIGHT = 30 };
    uint8_t f[WIDTH * HEIGHT];
    for (int run = 0; run < 5; run++) {
        for (size_t p = 0; p < WIDTH * HEIGHT; p++)
            f[p] = (uint8_t)(run < 4 ? 85 * run : p % WIDTH < 17 ? 0 : 255);
        struct result r = result_of(f, WIDTH, HEIGHT, PAPER_PD, 2);
        assert_memory_equal(r.structure, f, sizeof(f));
        result_free(&r);
    }
}

static void small_squares_are_texture_and_large_ones_structure(void **state)
{
    (void)state;
    /* A square of side s and height h costs 4 s h as an edge, 0.8 s s h as texture. */
    enum { SIDE = 40 };
    uint8_t f[SIDE * SIDE];
    for (size_t side = 3; side <= 8; side += 5) {
        for (size_t p = 0; p < SIDE * SIDE; p++)
            f[p] = p / SIDE - 10 < side && p % SIDE - 10 < side ? 180 : 70;
        struct result r = result_of(f, SIDE, SIDE, AUTHORS_PD, 1);
        for (size_t p = 0; p < SIDE * SIDE; p++)
            assert_int_equal(r.structure[p], side < 5 ? 70 : f[p]);
        result_free(&r);
    }
}

/* --- tiles and threads ------------------------------------------------------------------------ */

/* The iterations on whole planes, one after the other. */
static void iterate_whole(const uint8_t *f, size_t width, size_t height, uint8_t *structure)
{
    size_t n = width * height;
    float *u = take(n, sizeof(*u)), *ahead = take(n, sizeof(*ahead));
    float *right = take(n, sizeof(*right)), *below = take(n, sizeof(*below));
    for (size_t p = 0; p < n; p++) {
        u[p] = f[p];
        right[p] = below[p] = 0;
    }
    for (int k = 0; k < VJ_TVL1_PASSES * VJ_TVL1_ITERATIONS; k++) {
        const struct vj_tvl1_step step = vj_tvl1_step(k / VJ_TVL1_ITERATIONS);
        for (size_t p = 0; p < n; p++) {
            float now = vj_tvl1_pixel(u[p], f[p], p % width ? right[p - 1] : 0, right[p],
                                      p >= width ? below[p - width] : 0, below[p], &step);
            ahead[p] = vj_tvl1_ahead(now, u[p]);
            u[p] = now;
        }
        for (size_t p = 0; p < n; p++) {
            if (p % width + 1 < width)
                right[p] = vj_tvl1_dual(right[p], ahead[p], ahead[p + 1], &step);
            if (p + width < n)
                below[p] = vj_tvl1_dual(below[p], ahead[p], ahead[p + width], &step);
        }
    }
    for (size_t p = 0; p < n; p++)
        structure[p] = vj_tvl1_level(u[p]);
    free(u);
    free(ahead);
    free(right);
    free(below);
}

static void tiles_and_threads_do_not_show(void **state)
{
    (void)state;
    /* Up to one pixel more than whole tiles of 352x96, and less than their surroundings. */
    static const size_t sizes[][2] = {{1, 1},    {1, 100},  {60, 1},   {7, 9},   {352, 96},
                                      {353, 97}, {40, 193}, {705, 20}, {360, 99}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t width = sizes[i][0], height = sizes[i][1], n = width * height;
        uint8_t *luma = take(n, 1), *expected = take(n, 1);
        draw_picture(i % 2 ? "noise" : "scene", width, height, luma);
        iterate_whole(luma, width, height, expected);
        struct result one = result_of(luma, width, height, AUTHORS_PD, 1);
        struct result three = result_of(luma, width, height, AUTHORS_PD, 3);
        assert_memory_equal(one.structure, expected, n);
        assert_memory_equal(three.structure, expected, n);
        assert_memory_equal(three.map, one.map, n * sizeof(float));
        result_free(&one);
        result_free(&three);
        free(luma);
        free(expected);
    }
}

static void steps_are_halved_from_16_grey_levels_to_1_and_never_too_long_together(void **state)
{
    (void)state;
    assert_float_equal(vj_tvl1_step(0).primal, 16, 0);
    assert_float_equal(vj_tvl1_step(3).primal, 8, 0);
    assert_float_equal(vj_tvl1_step(11).primal, 2, 0);
    assert_float_equal(vj_tvl1_step(12).primal, 1, 0);
    assert_float_equal(vj_tvl1_step(VJ_TVL1_PASSES - 1).primal, 1, 0);
    for (int pass = 0; pass < VJ_TVL1_PASSES; pass++) {
        const struct vj_tvl1_step step = vj_tvl1_step(pass);
        assert_float_equal(step.primal * step.dual, 0.125f, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_energy_of_drawn_pictures_is_within_half_a_percent_of_the_least),
        cmocka_unit_test(the_energy_of_photographs_is_within_a_thousandth_of_the_least),
        cmocka_unit_test(flat_pictures_and_large_steps_stay_as_they_are),
        cmocka_unit_test(small_squares_are_texture_and_large_ones_structure),
        cmocka_unit_test(tiles_and_threads_do_not_show),
        cmocka_unit_test(steps_are_halved_from_16_grey_levels_to_1_and_never_too_long_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
