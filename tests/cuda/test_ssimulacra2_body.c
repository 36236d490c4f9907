/* SPDX-License-Identifier: MIT */
/*
 * The kernels of SSIMULACRA2 without a device: their bodies are run as loops over grids, thread
 * blocks and threads and must give the CPU's sub-scores and scores, bit for bit, on sizes that
 * leave strips, tiles and borders incomplete. VPJND_TEST_FULL=1 tries every small size.
 */
#include "tests/cuda/emulate_ssimulacra2.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CANDIDATES = 3 };

static const enum vj_ssimulacra2_mode modes[] = {VJ_SSIMULACRA2_EXACT, VJ_SSIMULACRA2_PARITY};

/*
 * Candidates that are the original itself, the original with a little noise, and another picture.
 * The caller frees.
 */
static uint8_t *candidates_of(const struct vj_image *original)
{
    size_t bytes = original->width * original->height * (size_t)original->channels;
    uint8_t *candidates = malloc(CANDIDATES * bytes);
    assert_non_null(candidates);
    memcpy(candidates, original->data, bytes);
    for (size_t i = 0; i < bytes; i++) {
        uint32_t word = vj_random4(6, VJ_RNG_TEST, 4, (uint32_t)i).v[0];
        candidates[bytes + i] = (uint8_t)(original->data[i] ^ (word % 16));
        candidates[2 * bytes + i] = (uint8_t)(word >> 8);
    }
    return candidates;
}

static void check(size_t width, size_t height, int channels, enum content content,
                  enum vj_ssimulacra2_mode mode)
{
    struct vj_image img = content_picture(width, height, channels, content, 21);
    uint8_t *candidates = candidates_of(&img);
    struct emulated_ssimulacra2 device;
    struct vj_ssimulacra2_totals totals[CANDIDATES];
    struct vj_ssimulacra2_reference *ref;
    struct vj_ssimulacra2_scratch *scratch;
    memset(totals, 0xA5, sizeof(totals));
    emulate_ssimulacra2_load(&device, &img, mode);
    emulate_ssimulacra2(&device, candidates, CANDIDATES, totals);
    assert_int_equal(vj_ssimulacra2_reference_create(&ref, width, height, mode, NULL), 0);
    assert_int_equal(vj_ssimulacra2_scratch_create(&scratch, width, height, mode, NULL), 0);
    assert_int_equal(vj_ssimulacra2_reference_load(ref, &img, NULL), 0);
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct vj_ssimulacra2_result got, want;
        vj_ssimulacra2_finish(width, height, &totals[i], &got);
        assert_int_equal(vj_ssimulacra2_compute(ref,
                                                candidates + i * width * height * (size_t)channels,
                                                scratch, &want),
                         0);
        assert_int_equal(got.scales, want.scales);
        assert_memory_equal(got.part, want.part, sizeof(got.part));
        assert_true(isnan(got.score) == isnan(want.score));
        if (!isnan(got.score))
            assert_memory_equal(&got.score, &want.score, sizeof(got.score));
    }
    vj_ssimulacra2_scratch_free(scratch);
    vj_ssimulacra2_reference_free(ref);
    emulate_ssimulacra2_free(&device);
    free(candidates);
    vj_image_free(&img);
}

static bool full_test(void)
{
    const char *value = getenv("VPJND_TEST_FULL");
    return value && strcmp(value, "1") == 0;
}

static void small_pictures_give_the_bits_of_the_cpu(void **state)
{
    (void)state;
    /* One size in thirteen; all of them on demand. Below 8 pixels there is no score. */
    for (size_t i = 0; i < 24 * 24; i += full_test() ? 1 : 13) {
        emulate_order = (int)(i % EMULATE_ORDERS);
        for (size_t m = 0; m < COUNT(modes); m++)
            check(i % 24 + 1, i / 24 + 1, i % 2 ? 1 : 3, (enum content)(i % CONTENTS), modes[m]);
    }
}

/* A strip is 120 columns wide, a tile of rows 32 or 8 high; 113 pixels are six scales. */
static void pictures_of_several_strips_and_tiles_give_the_bits_of_the_cpu(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{119, 8},   {120, 31},  {121, 33}, {124, 40},
                                      {129, 64},  {8, 150},   {241, 29}, {125, 125},
                                      {513, 113}, {113, 257}, {364, 119}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        emulate_order = (int)(i % EMULATE_ORDERS);
        for (size_t m = 0; m < COUNT(modes); m++)
            check(sizes[i][0], sizes[i][1], i % 3 ? 3 : 1, (enum content)(i % CONTENTS), modes[m]);
    }
}

static void the_order_of_threads_and_blocks_does_not_matter(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(modes); m++)
        for (emulate_order = 0; emulate_order < EMULATE_ORDERS; emulate_order++)
            check(131, 57, 3, NOISE, modes[m]);
}

static void a_larger_picture_leaves_no_smaller_one_without_room(void **state)
{
    (void)state;
    const struct vj_cuda_ssimulacra2_shape most = vj_cuda_ssimulacra2_shape(130, 120);
    for (size_t width = 1; width <= 130; width++)
        for (size_t height = 1; height <= 120; height++) {
            const struct vj_cuda_ssimulacra2_shape shape = vj_cuda_ssimulacra2_shape(width, height);
            assert_true(shape.pixels <= most.pixels && shape.columns <= most.columns);
            assert_true(vj_cuda_ssimulacra2_lights(&shape) <= vj_cuda_ssimulacra2_lights(&most));
        }
}

static void as_many_candidates_are_in_work_as_fit(void **state)
{
    (void)state;
    const struct vj_cuda_ssimulacra2_shape small = vj_cuda_ssimulacra2_shape(640, 480);
    const struct vj_cuda_ssimulacra2_shape full = vj_cuda_ssimulacra2_shape(1920, 1080);
    const struct vj_cuda_ssimulacra2_shape large = vj_cuda_ssimulacra2_shape(16384, 16384);
    const size_t lights = 960 * 540 + 480 * 270 + 240 * 135 + 120 * 68 + 60 * 34;
    const size_t exact = vj_cuda_ssimulacra2_planes(&full, VJ_SSIMULACRA2_EXACT);
    const size_t parity = vj_cuda_ssimulacra2_planes(&full, VJ_SSIMULACRA2_PARITY);
    assert_int_equal(exact, 12 * lights);
    assert_int_equal(parity, 12 * lights + 48 * 1920 * 1080);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&full, VJ_SSIMULACRA2_EXACT, 21), 21);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&full, VJ_SSIMULACRA2_EXACT, 100), 32);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&full, VJ_SSIMULACRA2_PARITY, 21), 9);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&small, VJ_SSIMULACRA2_EXACT, 100), 100);
    assert_int_equal(vj_cuda_ssimulacra2_batch(&large, VJ_SSIMULACRA2_EXACT, 100), 1);
    /* Parts of equal size, one apart at most, and all of them together. */
    for (int count = 1; count <= VJ_CUDA_LEVELS; count++)
        for (int most = 1; most <= count; most++) {
            int left = count, smallest = most, largest = 0;
            while (left > 0) {
                int n = vj_cuda_even_part(left, most);
                smallest = n < smallest ? n : smallest;
                largest = n > largest ? n : largest;
                left -= n;
            }
            assert_int_equal(left, 0);
            assert_true(largest <= most && smallest + 1 >= largest);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pictures_give_the_bits_of_the_cpu),
        cmocka_unit_test(pictures_of_several_strips_and_tiles_give_the_bits_of_the_cpu),
        cmocka_unit_test(the_order_of_threads_and_blocks_does_not_matter),
        cmocka_unit_test(as_many_candidates_are_in_work_as_fit),
        cmocka_unit_test(a_larger_picture_leaves_no_smaller_one_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
