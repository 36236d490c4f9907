/* SPDX-License-Identifier: MIT */
/*
 * JPEG candidates, their sizes, and patches on a GPU, or on the emulation of one, against the
 * CPU's: equal, to the last bit. Every buffer that a kernel writes has guard bytes around it and is
 * rubbish before. Skipped without a device.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/cuda/pictures.h"

#include <errno.h>

#include "cuda/jpeg.h"
#include "cuda/patch.h"
#include "host/jpeg_plan.h"

#include "tests/cuda/gpu_buffer.h" /* has a name that functions above have too */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct kind {
    int channels;
    enum vj_subsampling sampling;
};

static const struct kind kinds[] = {
    {3, VJ_SUBSAMPLING_420},
    {3, VJ_SUBSAMPLING_444},
    {1, VJ_SUBSAMPLING_420},
};

static const int qf_list[] = {100, 1, 50, 37, 88, 5};

enum { LEVELS = COUNT(qf_list) };

/* A picture, loaded both ways. */
struct both {
    struct vj_image img;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    struct buffer pixels;
};

static struct both both_load(struct vj_cuda_jpeg *jpeg, size_t width, size_t height,
                             struct kind kind, enum content content)
{
    struct both b = {.img = content_picture(width, height, kind.channels, content,
                                            (uint32_t)(width + 64 * height))};
    ok(vj_jpeg_plan_create(&b.plan, &b.img, kind.sampling, &err));
    ok(vj_jpeg_scratch_create(&b.scratch, width, height, kind.channels, kind.sampling, &err));
    b.pixels = buffer_of(b.img.data, width * height * (size_t)kind.channels);
    ok(vj_cuda_jpeg_load(jpeg, NULL, b.pixels.data, width, height, kind.channels, kind.sampling,
                         &err));
    return b;
}

static void both_free(struct both *b)
{
    buffer_free(&b->pixels);
    vj_jpeg_scratch_free(b->scratch);
    vj_jpeg_plan_free(b->plan);
    vj_image_free(&b->img);
}

static void check_candidates(struct vj_cuda_jpeg *jpeg, const struct both *b)
{
    size_t bytes = b->img.width * b->img.height * (size_t)b->img.channels;
    struct buffer out = buffer_take(LEVELS * bytes), sizes = buffer_take(LEVELS * sizeof(int64_t));
    uint8_t *got = malloc(LEVELS * bytes), *expected = malloc(bytes);
    int64_t got_size[LEVELS], expected_size;
    ok(vj_cuda_jpeg_decode(jpeg, NULL, qf_list, LEVELS, out.data, &err));
    ok(vj_cuda_jpeg_sizes(jpeg, NULL, qf_list, LEVELS, sizes.data, &err));
    buffer_read(&out, got);
    buffer_read(&sizes, got_size);
    for (size_t i = 0; i < LEVELS; i++) {
        ok(vj_jpeg_plan_decode(b->plan, qf_list[i], expected, b->scratch, &err));
        assert_memory_equal(got + i * bytes, expected, bytes);
        ok(vj_jpeg_plan_size(b->plan, qf_list[i], VJ_JPEG_CODING_STANDARD, &expected_size,
                             b->scratch, &err));
        assert_int_equal(got_size[i], expected_size);
    }
    free(expected);
    free(got);
    buffer_free(&sizes);
    buffer_free(&out);
}

static void check_patches(struct vj_cuda_jpeg *jpeg, const struct both *b,
                          const int32_t (*origin)[2], size_t patches, size_t side)
{
    size_t samples = patches * side * side, channels = (size_t)b->img.channels;
    struct buffer places = buffer_of(origin, patches * sizeof(*origin));
    struct buffer out = buffer_take(LEVELS * samples * 3);
    uint8_t *got = malloc(LEVELS * samples * 3), *expected = malloc(samples * channels);
    ok(vj_cuda_check_origins(origin, patches, side, b->img.width, b->img.height, &err));
    ok(vj_cuda_jpeg_patches(jpeg, NULL, qf_list, LEVELS, places.data, patches, side, out.data,
                            &err));
    buffer_read(&out, got);
    for (size_t i = 0; i < LEVELS; i++) {
        ok(vj_jpeg_plan_patches(b->plan, qf_list[i], origin, patches, side, expected, b->scratch,
                                &err));
        for (size_t k = 0; k < samples * 3; k++)
            assert_int_equal(got[i * samples * 3 + k], expected[channels == 3 ? k : k / 3]);
    }
    free(expected);
    free(got);
    buffer_free(&out);
    buffer_free(&places);
}

static void candidates_and_sizes_equal_those_of_the_cpu(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},    {3, 2},   {4, 17},  {5, 4},    {8, 8},
                                      {9, 16},   {17, 15}, {33, 40}, {64, 32},  {65, 33},
                                      {131, 67}, {300, 7}, {6, 301}, {640, 427}};
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 640, 427, 3, VJ_SUBSAMPLING_444, LEVELS, &err));
    for (size_t i = 0; i < COUNT(sizes) * COUNT(kinds); i++) {
        const size_t *size = sizes[i / COUNT(kinds)];
        struct both b = both_load(jpeg, size[0], size[1], kinds[i % COUNT(kinds)],
                                  (enum content)(i / COUNT(kinds) % CONTENTS));
        check_candidates(jpeg, &b);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void a_large_picture_has_the_candidates_and_sizes_of_the_cpu(void **state)
{
    (void)state;
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 1920, 1080, 3, VJ_SUBSAMPLING_420, LEVELS, &err));
    for (int content = 0; content < (EMULATED ? 1 : CONTENTS); content++) {
        struct both b = both_load(jpeg, 1920, 1080, kinds[0], (enum content)content);
        check_candidates(jpeg, &b);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void patches_equal_those_parts_of_the_candidates(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {7, 9}, {13, 30}, {1, 63}, {36, 86}};
    static const size_t sides[] = {1, 3, 16, 31, 32, 33, 64};
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 150, 100, 3, VJ_SUBSAMPLING_444, LEVELS, &err));
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct both b = both_load(jpeg, 150, 100, kinds[k], NOISE);
        for (size_t i = 0; i < COUNT(sides); i++)
            check_patches(jpeg, &b, origin, COUNT(origin), sides[i]);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void gathered_patches_are_those_parts_of_the_pictures(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {3, 21}, {2, 7}};
    static const size_t layouts[][2] = {{1, 1}, {1, 3}, {3, 3}};
    enum { WIDTH = 40, HEIGHT = 22, SIDE = 19, PICTURES = 3, MOST = 3 * 3 * SIDE * SIDE * 3 };
    for (size_t k = 0; k < COUNT(layouts); k++) {
        size_t in = layouts[k][0], channels = layouts[k][1];
        struct vj_image img = content_picture(WIDTH, HEIGHT * PICTURES, (int)in, NOISE, 5);
        struct buffer pixels = buffer_of(img.data, WIDTH * HEIGHT * PICTURES * in);
        struct buffer places = buffer_of(origin, sizeof(origin));
        struct buffer out = buffer_take(PICTURES * COUNT(origin) * SIDE * SIDE * channels);
        uint8_t got[MOST], *next = got;
        ok(vj_cuda_gather(NULL, pixels.data, WIDTH, HEIGHT, (int)in, PICTURES, places.data,
                          COUNT(origin), SIDE, (int)channels, out.data, &err));
        buffer_read(&out, got);
        for (size_t i = 0; i < PICTURES * COUNT(origin) * SIDE * SIDE; i++) {
            size_t pixel = i % (SIDE * SIDE), p = i / (SIDE * SIDE) % COUNT(origin);
            size_t y = i / (SIDE * SIDE) / COUNT(origin) * HEIGHT + (size_t)origin[p][0];
            size_t at = (y + pixel / SIDE) * WIDTH + (size_t)origin[p][1] + pixel % SIDE;
            for (size_t c = 0; c < channels; c++)
                assert_int_equal(*next++, img.data[at * in + (in == 1 ? 0 : c)]);
        }
        buffer_free(&out);
        buffer_free(&places);
        buffer_free(&pixels);
        vj_image_free(&img);
    }
}

static void calls_out_of_order_or_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_cuda_jpeg *jpeg;
    struct buffer memory = buffer_take(3 * 64 * 64 * 8);
    int qf = 50, wrong = 101;
    uint8_t *d = memory.data;
    ok(vj_cuda_jpeg_create(&jpeg, 32, 32, 3, VJ_SUBSAMPLING_420, 1, &err));
    assert_int_equal(vj_cuda_jpeg_decode(jpeg, NULL, &qf, 1, d, &err), -EINVAL);
    vj_assert_contains(err.text, "load one first");
    assert_int_equal(vj_cuda_jpeg_load(jpeg, NULL, d, 33, 1, 3, VJ_SUBSAMPLING_420, &err), -ENOSPC);
    assert_int_equal(vj_cuda_jpeg_load(jpeg, NULL, d, 8, 8, 3, VJ_SUBSAMPLING_444, &err), -ENOSPC);
    ok(vj_cuda_jpeg_load(jpeg, NULL, d, 8, 8, 3, VJ_SUBSAMPLING_420, &err));
    assert_int_equal(vj_cuda_jpeg_decode(jpeg, NULL, &wrong, 1, d, &err), -EINVAL);
    vj_assert_contains(err.text, "101");
    assert_int_equal(vj_cuda_jpeg_sizes(jpeg, NULL, &qf, 2, memory.data, &err), -EINVAL);
    assert_int_equal(vj_cuda_jpeg_patches(jpeg, NULL, &qf, 1, memory.data, 1, 9, d, &err), -EINVAL);
    vj_cuda_jpeg_destroy(jpeg);
    buffer_free(&memory);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_and_sizes_equal_those_of_the_cpu),
        cmocka_unit_test(a_large_picture_has_the_candidates_and_sizes_of_the_cpu),
        cmocka_unit_test(patches_equal_those_parts_of_the_candidates),
        cmocka_unit_test(gathered_patches_are_those_parts_of_the_pictures),
        cmocka_unit_test(calls_out_of_order_or_range_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
