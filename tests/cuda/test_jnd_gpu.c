/* SPDX-License-Identifier: MIT */
/*
 * Pixel-JND maps and the numbers by rules on them on a GPU, or on the emulation of one, against the
 * CPU's: equal, to the last bit. Every buffer that a kernel writes has guard bytes around it and is
 * rubbish before. Skipped without a device.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/cuda/pictures.h"

#include <errno.h>
#include <math.h>

#include "cuda/jnd.h"
#include "host/jnd_klt22.h"
#include "host/jnd_rules.h"

#include "tests/cuda/gpu_buffer.h" /* has a name that functions above have too */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_map(struct vj_cuda_jnd *jnd, const struct vj_image *img, const char *name,
                      size_t variant)
{
    size_t pixels = img->width * img->height;
    const struct vj_jnd_model *model = vj_jnd_find(name, &err);
    assert_non_null(model);
    struct buffer in = buffer_of(img->data, pixels * (size_t)img->channels);
    struct buffer luma = buffer_take(pixels), map = buffer_take(pixels * sizeof(float));
    float *got = malloc(pixels * sizeof(float)), *expected = malloc(pixels * sizeof(float));
    uint8_t *got_luma = malloc(pixels), *expected_luma = malloc(pixels);
    ok(vj_cuda_luma(NULL, in.data, img->width, img->height, img->channels, luma.data, &err));
    ok(vj_cuda_jnd_compute(jnd, NULL, model, variant, luma.data, img->width, img->height, map.data,
                           &err));
    buffer_read(&luma, got_luma);
    buffer_read(&map, got);
    vj_jnd_luma(img, expected_luma);
    assert_memory_equal(got_luma, expected_luma, pixels);
    ok(vj_jnd_compute(name, model->variants[variant], img, expected, &err));
    assert_memory_equal(got, expected, pixels * sizeof(float));
    free(got);
    free(expected);
    free(got_luma);
    free(expected_luma);
    buffer_free(&map);
    buffer_free(&luma);
    buffer_free(&in);
}

static void maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {1, 9},     {9, 1},     {3, 5},   {5, 5},
                                      {6, 7},   {31, 15},   {33, 17},   {65, 49}, {97, 33},
                                      {40, 70}, {513, 389}, {1280, 720}};
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, 1280, 720, 1, &err));
    /* The emulation takes minutes for the large ones. */
    for (size_t i = 0; i < (COUNT(sizes) - (EMULATED ? 2 : 0)) * CONTENTS; i++) {
        const size_t *size = sizes[i / CONTENTS];
        struct vj_image img =
            content_picture(size[0], size[1], i % 2 ? 1 : 3, (enum content)(i % CONTENTS), 77);
        check_map(jnd, &img, "chou95", 0);
        check_map(jnd, &img, "chou95", 1);
        check_map(jnd, &img, "epc17", 0);
        check_map(jnd, &img, "epc17", 1);
        check_map(jnd, &img, "yang05", 0);
        check_map(jnd, &img, "yang05", 1);
        check_map(jnd, &img, "fep13", 0);
        check_map(jnd, &img, "liu10", 2);
        check_map(jnd, &img, "liu10", 3);
        if ((size[0] / 8) * (size[1] / 8) >= VJ_KLT_MIN_BLOCKS) {
            check_map(jnd, &img, "klt22", 0);
            check_map(jnd, &img, "klt22", 1);
        }
        vj_image_free(&img);
    }
    vj_cuda_jnd_destroy(jnd);
}

/* Edges are the one stage in which threads race for the same memory. */
static void maps_are_the_same_in_every_run(void **state)
{
    (void)state;
    enum {
        WIDTH = EMULATED ? 200 : 640,
        HEIGHT = 480,
        PIXELS = WIDTH * HEIGHT,
        RUNS = EMULATED ? 3 : 50
    };
    struct vj_cuda_jnd *jnd;
    struct vj_image img = content_picture(WIDTH, HEIGHT, 1, NOISE, 3);
    struct buffer luma = buffer_of(img.data, PIXELS), map = buffer_take(PIXELS * sizeof(float));
    float *first = malloc(PIXELS * sizeof(float)), *again = malloc(PIXELS * sizeof(float));
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, 1, &err));
    for (int run = 0; run < RUNS; run++) {
        ok(vj_cuda_jnd_compute(jnd, NULL, vj_jnd_find("epc17", NULL), 0, luma.data, WIDTH, HEIGHT,
                               map.data, &err));
        buffer_read(&map, run ? again : first);
        assert_memory_equal(run ? again : first, first, PIXELS * sizeof(float));
    }
    vj_cuda_jnd_destroy(jnd);
    free(first);
    free(again);
    buffer_free(&map);
    buffer_free(&luma);
    vj_image_free(&img);
}

static void maps_become_the_8_bit_samples_of_the_cpu(void **state)
{
    (void)state;
    enum { WIDTH = 341, HEIGHT = 227, PIXELS = WIDTH * HEIGHT };
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, 1, &err));
    float *map = malloc(PIXELS * sizeof(*map));
    uint8_t *got = malloc(PIXELS), *expected = malloc(PIXELS);
    for (uint32_t i = 0; i < PIXELS; i++)
        map[i] = (float)vj_random4(9, VJ_RNG_TEST, 1, i).v[0] / 1e7f - 40.0f;
    for (int run = 0; run < 4; run++) {
        enum vj_jnd_scale scale = (enum vj_jnd_scale)(run % 3);
        uint32_t not_finite;
        if (run == 3)
            map[PIXELS - 1] = NAN;
        struct buffer in = buffer_of(map, PIXELS * sizeof(*map)), out = buffer_take(PIXELS);
        struct buffer flag = buffer_take(sizeof(uint32_t));
        ok(vj_cuda_jnd_to_u8(jnd, NULL, in.data, WIDTH, HEIGHT, scale, out.data, flag.data, &err));
        buffer_read(&out, got);
        buffer_read(&flag, &not_finite);
        assert_int_equal(not_finite, run == 3);
        memset(expected, 0, PIXELS);
        if (run < 3)
            ok(vj_jnd_to_u8(map, PIXELS, scale, expected, &err));
        assert_memory_equal(got, expected, PIXELS);
        buffer_free(&flag);
        buffer_free(&out);
        buffer_free(&in);
    }
    free(map);
    free(got);
    free(expected);
    vj_cuda_jnd_destroy(jnd);
}

static void numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    enum { WIDTH = 211, HEIGHT = 173, PIXELS = WIDTH * HEIGHT, CANDIDATES = 3 };
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, CANDIDATES, &err));
    for (int channels = 1; channels <= 3; channels += 2) {
        struct vj_image d = content_picture(WIDTH, HEIGHT * CANDIDATES, channels, NOISE, 8);
        uint8_t *luma = malloc((CANDIDATES + 1) * PIXELS), *reference = luma + CANDIDATES * PIXELS;
        float *map = malloc(PIXELS * sizeof(*map));
        double share[CANDIDATES], excess[CANDIDATES], energy;
        uint64_t square[CANDIDATES];
        vj_jnd_luma(&d, luma);
        for (uint32_t i = 0; i < PIXELS; i++) {
            reference[i] = (uint8_t)(i % 253);
            /* Whole numbers and others: there are ties, and sums that depend on their order. */
            map[i] = (float)(vj_random4(4, VJ_RNG_TEST, 2, i).v[0] % 600) / 3.0f;
        }
        struct buffer in = buffer_of(d.data, CANDIDATES * PIXELS * (size_t)channels);
        struct buffer ref = buffer_of(reference, PIXELS);
        struct buffer limit = buffer_of(map, PIXELS * sizeof(*map));
        struct buffer out[4] = {buffer_take(sizeof(share)), buffer_take(sizeof(square)),
                                buffer_take(sizeof(excess)), buffer_take(sizeof(energy))};
        ok(vj_cuda_jnd_measure(jnd, NULL, in.data, CANDIDATES, WIDTH, HEIGHT, channels, ref.data,
                               limit.data, out[0].data, out[2].data, out[1].data, &err));
        ok(vj_cuda_jnd_noise_energy(jnd, NULL, WIDTH, HEIGHT, limit.data, out[3].data, &err));
        buffer_read(&out[0], share);
        buffer_read(&out[1], square);
        buffer_read(&out[2], excess);
        buffer_read(&out[3], &energy);
        assert_true(energy == vj_jnd_noise_energy(map, PIXELS));
        for (size_t n = 0; n < CANDIDATES; n++) {
            struct vj_jnd_statistics s;
            vj_jnd_measure(luma + n * PIXELS, reference, map, PIXELS, energy, &s);
            assert_true(share[n] == s.share && excess[n] == s.excess);
            assert_true(vj_jnd_noise_gain(energy, square[n], PIXELS) == s.noise_gain);
        }
        for (size_t i = 0; i < COUNT(out); i++)
            buffer_free(&out[i]);
        buffer_free(&limit);
        buffer_free(&ref);
        buffer_free(&in);
        free(map);
        free(luma);
        vj_image_free(&d);
    }
    vj_cuda_jnd_destroy(jnd);
}

static void calls_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_cuda_jnd *jnd;
    struct buffer memory = buffer_take(3 * 64 * 64 * 8);
    uint8_t *d = memory.data;
    ok(vj_cuda_jnd_create(&jnd, 32, 32, 1, &err));
    assert_int_equal(
        vj_cuda_jnd_compute(jnd, NULL, vj_jnd_find("epc17", NULL), 0, d, 33, 1, memory.data, &err),
        -ENOSPC);
    assert_int_equal(
        vj_cuda_jnd_compute(jnd, NULL, vj_jnd_find("klt22", NULL), 0, d, 32, 32, memory.data, &err),
        -EINVAL);
    vj_assert_contains(err.text, "needs at least 65 whole blocks of 8x8 pixels, these are 16");
    for (size_t variant = 0; variant < 4; variant++)
        assert_int_equal(vj_cuda_jnd_supported(vj_jnd_find("liu10", NULL), variant, &err),
                         variant < 2 ? -ENOTSUP : 0);
    assert_int_equal(vj_cuda_jnd_supported(vj_jnd_find("epc17", NULL), 2, &err), -EINVAL);
    vj_cuda_jnd_destroy(jnd);
    buffer_free(&memory);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(maps_are_the_same_in_every_run),
        cmocka_unit_test(maps_become_the_8_bit_samples_of_the_cpu),
        cmocka_unit_test(numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(calls_out_of_range_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
