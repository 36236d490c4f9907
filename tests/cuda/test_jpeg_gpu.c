/* SPDX-License-Identifier: MIT */
/*
 * JPEG candidates, their sizes, and patches on a GPU, or on the emulation of one, against the
 * CPU's: equal, to the last bit. Every buffer that a kernel writes has guard bytes around it and is
 * rubbish before. VPJND_TEST_FULL=1 tries every small size, and more of a large one on an
 * emulation. Skipped without a device.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/cuda/pictures.h"

#include <errno.h>

#include "cuda/jpeg.h"
#include "cuda/patch.h"
#include "host/jpeg_plan.h"

#include "tests/cuda/fail_each.h"
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

static bool full_test(void)
{
    const char *value = getenv("VPJND_TEST_FULL");
    return value && strcmp(value, "1") == 0;
}

/* Quality factors of a call. */
struct list {
    int qf[100], count;
};

static const struct list wide = {{100, 1, 50, 37, 88, 5}, 6}, two = {{90, 12}, 2};

static struct list all_of_them(void)
{
    struct list all = {.count = 100};
    for (int i = 0; i < 100; i++)
        all.qf[i] = 100 - i;
    return all;
}

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

static void check_pictures(struct vj_cuda_jpeg *jpeg, const struct both *b, const struct list *list)
{
    size_t bytes = b->img.width * b->img.height * (size_t)b->img.channels;
    size_t count = (size_t)list->count;
    struct buffer out = buffer_take(count * bytes);
    uint8_t *got = malloc(count * bytes), *expected = malloc(bytes);
    ok(vj_cuda_jpeg_decode(jpeg, NULL, list->qf, list->count, out.data, &err));
    buffer_read(&out, got);
    for (size_t i = 0; i < count; i++) {
        ok(vj_jpeg_plan_decode(b->plan, list->qf[i], expected, b->scratch, &err));
        assert_memory_equal(got + i * bytes, expected, bytes);
    }
    free(expected);
    free(got);
    buffer_free(&out);
}

static void check_sizes(struct vj_cuda_jpeg *jpeg, const struct both *b, const struct list *list)
{
    struct buffer out = buffer_take((size_t)list->count * sizeof(int64_t));
    int64_t got[COUNT(list->qf)], expected;
    ok(vj_cuda_jpeg_sizes(jpeg, NULL, list->qf, list->count, out.data, &err));
    buffer_read(&out, got);
    for (int i = 0; i < list->count; i++) {
        ok(vj_jpeg_plan_size(b->plan, list->qf[i], VJ_JPEG_CODING_STANDARD, &expected, b->scratch,
                             &err));
        assert_int_equal(got[i], expected);
    }
    buffer_free(&out);
}

static void check_candidates(struct vj_cuda_jpeg *jpeg, size_t width, size_t height,
                             struct kind kind, enum content content, const struct list *list)
{
    struct both b = both_load(jpeg, width, height, kind, content);
    check_pictures(jpeg, &b, list);
    check_sizes(jpeg, &b, list);
    both_free(&b);
}

static void check_patches(struct vj_cuda_jpeg *jpeg, const struct both *b, const struct list *list,
                          const int32_t (*origin)[2], size_t patches, size_t side)
{
    size_t samples = patches * side * side, channels = (size_t)b->img.channels;
    size_t count = (size_t)list->count;
    struct buffer places = buffer_of(origin, patches * sizeof(*origin));
    struct buffer out = buffer_take(count * samples * 3);
    uint8_t *got = malloc(count * samples * 3), *expected = malloc(samples * channels);
    ok(vj_cuda_check_origins(origin, patches, side, b->img.width, b->img.height, &err));
    ok(vj_cuda_jpeg_patches(jpeg, NULL, list->qf, list->count, places.data, patches, side, out.data,
                            &err));
    buffer_read(&out, got);
    for (size_t i = 0; i < count; i++) {
        ok(vj_jpeg_plan_patches(b->plan, list->qf[i], origin, patches, side, expected, b->scratch,
                                &err));
        for (size_t k = 0; k < samples * 3; k++)
            assert_int_equal(got[i * samples * 3 + k], expected[channels == 3 ? k : k / 3]);
    }
    free(expected);
    free(got);
    buffer_free(&out);
    buffer_free(&places);
}

/* On devices with room for just these pictures. */
static void candidates_of_all_small_sizes_equal_those_of_the_cpu(void **state)
{
    (void)state;
    static const struct list list = {{1, 37, 100}, 3};
    /* One size in eleven; all of them on demand. */
    for (size_t i = 0; i < 36 * 36; i += full_test() ? 1 : 11) {
        size_t width = i % 36 + 1, height = i / 36 + 1;
        for (size_t k = 0; k < COUNT(kinds); k++) {
            struct vj_cuda_jpeg *jpeg;
            ok(vj_cuda_jpeg_create(&jpeg, width, height, kinds[k].channels, kinds[k].sampling,
                                   list.count, &err));
            check_candidates(jpeg, width, height, kinds[k], (enum content)(i % CONTENTS), &list);
            vj_cuda_jpeg_destroy(jpeg);
        }
    }
}

/* With those of larger pictures still in memory. */
static void candidates_of_several_tiles_and_segments_equal_those_of_the_cpu(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{640, 427}, {131, 67}, {64, 32}, {65, 33},
                                      {128, 96},  {5, 300},  {300, 3}, {77, 53},
                                      {203, 151}, {8, 8},    {1, 1}};
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 640, 427, 3, VJ_SUBSAMPLING_444, wide.count, &err));
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t k = 0; k < COUNT(kinds); k++)
            check_candidates(jpeg, sizes[i][0], sizes[i][1], kinds[k],
                             (enum content)((i + k) % CONTENTS), &wide);
    vj_cuda_jpeg_destroy(jpeg);
}

static void a_large_picture_has_the_candidates_and_sizes_of_the_cpu(void **state)
{
    (void)state;
    const bool all = !small_only() || full_test();
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 1920, 1080, 3, VJ_SUBSAMPLING_444, wide.count, &err));
    for (size_t k = 0; k < (all ? COUNT(kinds) : 1); k++)
        for (int content = 0; content < (all ? CONTENTS : 1); content++)
            check_candidates(jpeg, 1920, 1080, kinds[k], (enum content)content, all ? &wide : &two);
    vj_cuda_jpeg_destroy(jpeg);
}

static void every_quality_factor_gives_the_picture_and_the_size_of_the_cpu(void **state)
{
    (void)state;
    const struct list all = all_of_them();
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 45, 27, 3, VJ_SUBSAMPLING_444, all.count, &err));
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (int content = 0; content < CONTENTS; content++)
            check_candidates(jpeg, 45, 27, kinds[k], (enum content)content, &all);
    vj_cuda_jpeg_destroy(jpeg);
}

/*
 * Grey noise at many sizes: hundreds of streams whose ends and segment boundaries fall on every
 * bit, with FF bytes across them.
 */
static void sizes_are_exact_wherever_segments_begin_and_end(void **state)
{
    (void)state;
    static const size_t widths[] = {1024, 1032, 3072, 3080};
    const struct list all = all_of_them();
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 3080, 5, 1, VJ_SUBSAMPLING_420, all.count, &err));
    for (size_t i = 0; i < 2 * COUNT(widths); i++) {
        struct both b =
            both_load(jpeg, widths[i / 2], 5, kinds[2], i % 2 ? NOISE : BLACK_AND_WHITE);
        check_sizes(jpeg, &b, &all);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void patches_at_every_place_of_a_picture_equal_that_part_of_it(void **state)
{
    (void)state;
    static const struct list list = {{64, 7}, 2};
    enum { WIDTH = 51, HEIGHT = 43, SIDE = 16 };
    int32_t origin[(WIDTH - SIDE + 1) * (HEIGHT - SIDE + 1)][2];
    size_t patches = 0;
    /* All alignments to blocks and all borders. */
    for (int y = 0; y <= HEIGHT - SIDE; y++)
        for (int x = y % 2; x <= WIDTH - SIDE; x += 2, patches++) {
            origin[patches][0] = y;
            origin[patches][1] = x;
        }
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct vj_cuda_jpeg *jpeg;
        ok(vj_cuda_jpeg_create(&jpeg, WIDTH, HEIGHT, kinds[k].channels, kinds[k].sampling,
                               list.count, &err));
        struct both b = both_load(jpeg, WIDTH, HEIGHT, kinds[k], NOISE);
        check_patches(jpeg, &b, &list, (const int32_t(*)[2])origin, patches, SIDE);
        both_free(&b);
        vj_cuda_jpeg_destroy(jpeg);
    }
}

static void patches_of_any_size_equal_that_part_of_the_picture(void **state)
{
    (void)state;
    static const int sides[] = {1, 3, 16, 31, 32, 33, 64, 65, 87};
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 150, 100, 3, VJ_SUBSAMPLING_444, wide.count, &err));
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct both b = both_load(jpeg, 150, 100, kinds[k], (enum content)k);
        for (size_t i = 0; i < COUNT(sides); i++) {
            /* The last one is in the corner. */
            const int32_t origin[][2] = {
                {0, 0}, {7, 9}, {13, 30}, {1, 63}, {100 - sides[i], 150 - sides[i]}};
            check_patches(jpeg, &b, &wide, origin, COUNT(origin), (size_t)sides[i]);
        }
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void pictures_at_most_four_pixels_wide_give_their_patches_too(void **state)
{
    (void)state;
    static const struct list list = {{50, 95}, 2};
    for (int width = 1; width <= 5; width++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            const int32_t origin[][2] = {{0, 0}, {17, width - 1}, {18, 0}};
            const int32_t corner[][2] = {{17, width - 2}};
            struct vj_cuda_jpeg *jpeg;
            ok(vj_cuda_jpeg_create(&jpeg, (size_t)width, 19, kinds[k].channels, kinds[k].sampling,
                                   list.count, &err));
            struct both b = both_load(jpeg, (size_t)width, 19, kinds[k], NOISE);
            check_patches(jpeg, &b, &list, origin, COUNT(origin), 1);
            if (width > 1)
                check_patches(jpeg, &b, &list, corner, 1, 2);
            both_free(&b);
            vj_cuda_jpeg_destroy(jpeg);
        }
    }
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
    const int qf[] = {50, 50}, wrong = 101;
    uint8_t *d = memory.data;
    ok(vj_cuda_jpeg_create(&jpeg, 32, 32, 3, VJ_SUBSAMPLING_420, 1, &err));
    assert_int_equal(vj_cuda_jpeg_decode(jpeg, NULL, qf, 1, d, &err), -EINVAL);
    vj_assert_contains(err.text, "load one first");
    assert_int_equal(vj_cuda_jpeg_load(jpeg, NULL, d, 33, 1, 3, VJ_SUBSAMPLING_420, &err), -ENOSPC);
    assert_int_equal(vj_cuda_jpeg_load(jpeg, NULL, d, 8, 8, 3, VJ_SUBSAMPLING_444, &err), -ENOSPC);
    ok(vj_cuda_jpeg_load(jpeg, NULL, d, 8, 8, 3, VJ_SUBSAMPLING_420, &err));
    assert_int_equal(vj_cuda_jpeg_decode(jpeg, NULL, &wrong, 1, d, &err), -EINVAL);
    vj_assert_contains(err.text, "101");
    assert_int_equal(vj_cuda_jpeg_sizes(jpeg, NULL, qf, 2, memory.data, &err), -EINVAL);
    assert_int_equal(vj_cuda_jpeg_patches(jpeg, NULL, qf, 1, memory.data, 1, 9, d, &err), -EINVAL);
    vj_cuda_jpeg_destroy(jpeg);
    buffer_free(&memory);
}

struct steps {
    struct vj_cuda_jpeg *jpeg;
    struct buffer pixels, origin, out;
};

static int take_steps(void *user)
{
    const struct steps *s = user;
    const int *qf = two.qf;
    int r = vj_cuda_jpeg_load(s->jpeg, NULL, s->pixels.data, 24, 24, 3, VJ_SUBSAMPLING_420, &err);
    if (!r)
        r = vj_cuda_jpeg_sizes(s->jpeg, NULL, qf, 2, s->out.data, &err);
    if (!r)
        r = vj_cuda_jpeg_decode(s->jpeg, NULL, qf, 2, s->out.data, &err);
    if (!r)
        r = vj_cuda_jpeg_patches(s->jpeg, NULL, qf, 2, s->origin.data, 1, 16, s->out.data, &err);
    return r ? r
             : vj_cuda_gather(NULL, s->pixels.data, 24, 24, 3, 1, s->origin.data, 1, 16, 3,
                              s->out.data, &err);
}

static void a_launch_that_fails_is_reported_whichever_it_is(void **state)
{
    (void)state;
    const int32_t origin[1][2] = {{3, 5}};
    struct vj_image img = content_picture(24, 24, 3, SMOOTH, 1);
    struct steps s = {.pixels = buffer_of(img.data, 24 * 24 * 3),
                      .origin = buffer_of(origin, sizeof(origin)),
                      .out = buffer_take(2 * 24 * 24 * 3)};
    ok(vj_cuda_jpeg_create(&s.jpeg, 24, 24, 3, VJ_SUBSAMPLING_420, 2, &err));
    if (EMULATED)
        assert_true(fail_each(take_steps, &s, 1, false) >= 8);
    vj_cuda_jpeg_destroy(s.jpeg);
    buffer_free(&s.pixels);
    buffer_free(&s.origin);
    buffer_free(&s.out);
    vj_image_free(&img);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_of_all_small_sizes_equal_those_of_the_cpu),
        cmocka_unit_test(candidates_of_several_tiles_and_segments_equal_those_of_the_cpu),
        cmocka_unit_test(a_large_picture_has_the_candidates_and_sizes_of_the_cpu),
        cmocka_unit_test(every_quality_factor_gives_the_picture_and_the_size_of_the_cpu),
        cmocka_unit_test(sizes_are_exact_wherever_segments_begin_and_end),
        cmocka_unit_test(patches_at_every_place_of_a_picture_equal_that_part_of_it),
        cmocka_unit_test(patches_of_any_size_equal_that_part_of_the_picture),
        cmocka_unit_test(pictures_at_most_four_pixels_wide_give_their_patches_too),
        cmocka_unit_test(gathered_patches_are_those_parts_of_the_pictures),
        cmocka_unit_test(calls_out_of_order_or_range_are_refused_by_name),
        cmocka_unit_test(a_launch_that_fails_is_reported_whichever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
