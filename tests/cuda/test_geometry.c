/* SPDX-License-Identifier: MIT */
/*
 * The kernels without a device: their bodies are run as loops over grids, thread blocks and threads
 * and must give what the CPU gives, bit for bit. Whatever index arithmetic the kernels have is gone
 * through here, on sizes that leave tiles, segments and borders incomplete. VPJND_TEST_FULL=1 tries
 * every small size and a large one.
 */
#include "tests/cuda/emulate.h"

#include <math.h>

#include "host/jpeg_plan.h"
#include "tests/cuda/emulate_jnd.h"
#include "tests/cuda/emulate_jpeg.h"
#include "tests/cuda/emulate_quality.h"

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

/* ---- JPEG ----------------------------------------------------------------------------------- */

/* A picture, loaded both ways. */
struct both {
    struct vj_image img;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    struct emulated_jpeg device;
};

static struct both both_load(size_t width, size_t height, struct kind kind, enum content content)
{
    struct both b;
    memset(&b, 0, sizeof(b));
    b.img = content_picture(width, height, kind.channels, content, (uint32_t)(width + 64 * height));
    assert_int_equal(vj_jpeg_plan_create(&b.plan, &b.img, kind.sampling, NULL), 0);
    assert_int_equal(
        vj_jpeg_scratch_create(&b.scratch, width, height, kind.channels, kind.sampling, NULL), 0);
    emulate_jpeg_load(&b.device, &b.img, kind.sampling);
    return b;
}

static void both_free(struct both *b)
{
    emulate_jpeg_free(&b->device);
    vj_jpeg_scratch_free(b->scratch);
    vj_jpeg_plan_free(b->plan);
    vj_image_free(&b->img);
}

static void check_coefficients(const struct both *b)
{
    const struct vj_jpeg_geometry *g = vj_jpeg_plan_geometry(b->plan);
    assert_memory_equal(b->device.coefficients, vj_jpeg_plan_coefficients(b->plan),
                        g->blocks * 64 * sizeof(int16_t));
}

static void check_pictures(const struct both *b, const int *qf, int count)
{
    size_t bytes = b->img.width * b->img.height * (size_t)b->img.channels;
    struct guarded memory;
    uint8_t *out = guarded_take(&memory, bytes * (size_t)count);
    uint8_t *expected = malloc(bytes);
    emulate_decode(&b->device, qf, count, NULL, 0, 0, out);
    for (int i = 0; i < count; i++) {
        assert_int_equal(vj_jpeg_plan_decode(b->plan, qf[i], expected, b->scratch, NULL), 0);
        assert_memory_equal(out + (size_t)i * bytes, expected, bytes);
    }
    free(expected);
    guarded_release(&memory);
}

static void check_sizes(const struct both *b, const int *qf, int count)
{
    struct guarded memory;
    int64_t *bytes = guarded_take(&memory, (size_t)count * sizeof(*bytes));
    emulate_sizes(&b->device, qf, count, bytes);
    for (int i = 0; i < count; i++) {
        int64_t expected;
        assert_int_equal(
            vj_jpeg_plan_size(b->plan, qf[i], VJ_JPEG_CODING_STANDARD, &expected, b->scratch, NULL),
            0);
        assert_int_equal(bytes[i], expected);
    }
    guarded_release(&memory);
}

static void check_patches(const struct both *b, const int *qf, int count,
                          const int32_t (*origin)[2], size_t patches, size_t side)
{
    size_t samples = side * side, channels = (size_t)b->img.channels;
    struct guarded memory;
    uint8_t *out = guarded_take(&memory, (size_t)count * patches * samples * 3);
    uint8_t *expected = malloc(patches * samples * channels);
    assert_int_equal(
        vj_cuda_check_origins(origin, patches, side, b->img.width, b->img.height, NULL), 0);
    emulate_decode(&b->device, qf, count, origin, patches, side, out);
    for (int i = 0; i < count; i++) {
        const uint8_t *got = out + (size_t)i * patches * samples * 3;
        assert_int_equal(
            vj_jpeg_plan_patches(b->plan, qf[i], origin, patches, side, expected, b->scratch, NULL),
            0);
        for (size_t k = 0; k < patches * samples * 3; k++)
            assert_int_equal(got[k], channels == 3 ? expected[k] : expected[k / 3]);
    }
    free(expected);
    guarded_release(&memory);
}

static void candidates_of_all_small_sizes_equal_those_of_the_cpu(void **state)
{
    (void)state;
    static const int qf[] = {1, 37, 100};
    /* One size in eleven; all of them on demand. */
    for (size_t i = 0; i < 36 * 36; i += full_test() ? 1 : 11) {
        size_t width = i % 36 + 1, height = i / 36 + 1;
        for (size_t k = 0; k < COUNT(kinds); k++) {
            emulate_order = (int)(i % EMULATE_ORDERS);
            struct both b = both_load(width, height, kinds[k], (enum content)(i % CONTENTS));
            check_coefficients(&b);
            check_pictures(&b, qf, (int)COUNT(qf));
            check_sizes(&b, qf, (int)COUNT(qf));
            both_free(&b);
        }
    }
}

static void candidates_of_several_tiles_and_segments_equal_those_of_the_cpu(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{131, 67}, {64, 32}, {65, 33},   {128, 96},
                                      {5, 300},  {300, 3}, {203, 151}, {1920, 1080}};
    static const int qf[] = {100, 3, 75};
    for (size_t i = 0; i < COUNT(sizes) - !full_test(); i++) { /* the last one on demand */
        for (size_t k = 0; k < COUNT(kinds); k++) {
            emulate_order = (int)((i + k) % EMULATE_ORDERS);
            struct both b = both_load(sizes[i][0], sizes[i][1], kinds[k], (enum content)(i % 3));
            check_coefficients(&b);
            check_pictures(&b, qf, (int)COUNT(qf));
            check_sizes(&b, qf, (int)COUNT(qf));
            both_free(&b);
        }
    }
}

static void every_quality_factor_gives_the_picture_and_the_size_of_the_cpu(void **state)
{
    (void)state;
    int qf[100];
    for (int i = 0; i < 100; i++)
        qf[i] = 100 - i;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (int content = 0; content < CONTENTS; content++) {
            emulate_order = content;
            struct both b = both_load(45, 27, kinds[k], (enum content)content);
            check_pictures(&b, qf, 100);
            check_sizes(&b, qf, 100);
            both_free(&b);
        }
    }
}

static void the_order_of_threads_and_blocks_does_not_matter(void **state)
{
    (void)state;
    static const int qf[] = {90, 12};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (emulate_order = 0; emulate_order < EMULATE_ORDERS; emulate_order++) {
            struct both b = both_load(77, 53, kinds[k], NOISE);
            check_coefficients(&b);
            check_pictures(&b, qf, 2);
            check_sizes(&b, qf, 2);
            both_free(&b);
        }
    }
}

static void patches_at_every_place_of_a_picture_equal_that_part_of_it(void **state)
{
    (void)state;
    static const int qf[] = {64, 7};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        emulate_order = (int)k;
        struct both b = both_load(51, 43, kinds[k], NOISE);
        int32_t(*origin)[2] = malloc((51 - 16 + 1) * (43 - 16 + 1) * sizeof(*origin));
        size_t patches = 0;
        /* All alignments to blocks and all borders. */
        for (int y = 0; y <= 43 - 16; y++)
            for (int x = y % 2; x <= 51 - 16; x += 2, patches++) {
                origin[patches][0] = y;
                origin[patches][1] = x;
            }
        check_patches(&b, qf, 2, (const int32_t(*)[2])origin, patches, 16);
        free(origin);
        both_free(&b);
    }
}

static void patches_of_any_size_equal_that_part_of_the_picture(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {7, 9}, {13, 30}, {1, 63}};
    static const size_t sides[] = {1, 3, 31, 32, 33, 64, 65, 87};
    static const int qf[] = {30};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        emulate_order = (int)k;
        struct both b = both_load(150, 100, kinds[k], SMOOTH);
        for (size_t i = 0; i < COUNT(sides); i++)
            check_patches(&b, qf, 1, origin, COUNT(origin), sides[i]);
        both_free(&b);
    }
}

static void pictures_at_most_four_pixels_wide_give_their_patches_too(void **state)
{
    (void)state;
    static const int qf[] = {50, 95};
    for (size_t width = 1; width <= 5; width++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            struct both b = both_load(width, 19, kinds[k], NOISE);
            const int32_t origin[][2] = {{0, 0}, {17, (int32_t)width - 1}, {18, 0}};
            check_patches(&b, qf, 2, origin, COUNT(origin), 1);
            if (width > 1)
                check_patches(&b, qf, 2, (const int32_t[][2]){{17, (int32_t)width - 2}}, 1, 2);
            both_free(&b);
        }
    }
}

/*
 * Grey noise at many sizes: hundreds of streams whose ends and segment boundaries fall on every
 * bit, with FF bytes across them.
 */
static void sizes_are_exact_wherever_segments_begin_and_end(void **state)
{
    (void)state;
    int qf[100];
    for (int i = 0; i < 100; i++)
        qf[i] = i + 1;
    emulate_order = 2;
    static const size_t widths[] = {1024, 1032, 3072, 3080};
    for (size_t i = 0; i < COUNT(widths); i++) {
        struct kind grey = {1, VJ_SUBSAMPLING_420};
        struct both b = both_load(widths[i], 5, grey, BLACK_AND_WHITE);
        check_sizes(&b, qf, 100);
        both_free(&b);
    }
}

static void a_byte_shared_by_two_segments_counts_when_it_is_ff(void **state)
{
    (void)state;
    /* Three segments: one byte in common between the first two, one between the last two. */
    uint32_t bits[3] = {1004, 805, 7}, stuffed[3] = {1, 2, 0};
    uint64_t start[3] = {0, 1004, 1809};
    uint8_t common[3][2] = {{0, 0xF0}, {0x0F, 0x80}, {0x7F, 0}};
    int64_t bytes = 0;
    struct vj_cuda_size_job job = {.segments = 3,
                                   .segment_bits = bits,
                                   .start = start,
                                   .stuffed = stuffed,
                                   .common = common,
                                   .overhead = 10,
                                   .bytes = &bytes};
    struct vj_cuda_grid one = {1, 1, 1};
    emulate_totals(&job, one);
    assert_int_equal(bytes, (1004 + 805 + 7 + 7) / 8 + 3 + 2 + 10);
    common[1][1] = 0;
    emulate_totals(&job, one);
    assert_int_equal(bytes, (1004 + 805 + 7 + 7) / 8 + 3 + 1 + 10);
}

static void room_for_the_largest_picture_is_room_for_every_smaller_one(void **state)
{
    (void)state;
    static const enum vj_subsampling samplings[] = {VJ_SUBSAMPLING_420, VJ_SUBSAMPLING_444};
    for (size_t s = 0; s < 2; s++) {
        size_t room = vj_cuda_max_scan_blocks(37, 41, 3, samplings[s]);
        for (size_t width = 1; width <= 37; width++) {
            for (size_t height = 1; height <= 41; height++) {
                struct vj_jpeg_geometry g = vj_jpeg_geometry(width, height, 3, VJ_SUBSAMPLING_420);
                assert_true(vj_cuda_scan_blocks(&g) <= room);
                g = vj_jpeg_geometry(width, height, 3, samplings[s]);
                assert_true(vj_cuda_scan_blocks(&g) <= room);
                g = vj_jpeg_geometry(width, height, 1, samplings[s]);
                assert_true(vj_cuda_scan_blocks(&g) <= room);
            }
        }
    }
}

static void quality_factors_and_patches_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_error err;
    struct vj_cuda_levels levels;
    int qf[VJ_CUDA_LEVELS + 1] = {1};
    qf[1] = 101;
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 2, 5, &err), -EINVAL);
    vj_assert_contains(err.text, "101");
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 0, 5, &err), -EINVAL);
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 6, 5, &err), -EINVAL);
    vj_assert_contains(err.text, "1 to 5");
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 102, 1000, &err), -EINVAL);
    assert_int_equal(vj_cuda_levels_set(&levels, qf, 1, 5, &err), 0);

    const int32_t origin[][2] = {{0, 0}, {5, 7}, {-1, 0}, {6, 0}, {0, 8}};
    assert_int_equal(vj_cuda_check_origins(origin, 2, 3, 10, 8, &err), 0);
    for (size_t i = 2; i < 5; i++) {
        assert_int_equal(vj_cuda_check_origins(origin + i, 1, 3, 10, 8, &err), -EINVAL);
        vj_assert_contains(err.text, "patch 1 of 1");
    }
    assert_int_equal(vj_cuda_check_origins(origin, 1, 9, 10, 8, &err), -EINVAL);
    assert_int_equal(vj_cuda_check_origins(origin, 1, 0, 10, 8, &err), -EINVAL);
}

static void sums_of_memory_that_overflow_give_nothing(void **state)
{
    (void)state;
    struct vj_cuda_arena arena = {NULL, 0};
    vj_cuda_take(&arena, 1, 1);
    vj_cuda_take(&arena, 257, 1);
    assert_int_equal(vj_cuda_taken(&arena), 256 + 512);
    vj_cuda_take(&arena, SIZE_MAX / 2, 3);
    assert_int_equal(vj_cuda_taken(&arena), 0);
    arena.used = 0;
    vj_cuda_take(&arena, SIZE_MAX - 10, 1);
    assert_int_equal(vj_cuda_taken(&arena), 0);
}

/* ---- Patches of pictures -------------------------------------------------------------------- */

static void gathered_patches_are_those_parts_of_the_pictures(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {3, 21}, {2, 7}};
    static const int layouts[][2] = {{1, 1}, {1, 3}, {3, 3}};
    enum { WIDTH = 40, HEIGHT = 22, SIDE = 19, PICTURES = 3 };
    for (size_t k = 0; k < COUNT(layouts); k++) {
        emulate_order = (int)k;
        size_t in = (size_t)layouts[k][0], out_channels = (size_t)layouts[k][1];
        /* The pictures lie one below the other. */
        struct vj_image img = content_picture(WIDTH, HEIGHT * PICTURES, (int)in, NOISE, 5);
        struct guarded memory;
        uint8_t *out = guarded_take(&memory, PICTURES * COUNT(origin) * SIDE * SIDE * out_channels);
        struct vj_cuda_gather_job job = {
            img.data, WIDTH, HEIGHT, (int)in, origin, COUNT(origin), SIDE, (int)out_channels, out};
        emulate_gather(&job, PICTURES);
        const uint8_t *got = out;
        for (size_t n = 0; n < PICTURES; n++)
            for (size_t p = 0; p < COUNT(origin); p++)
                for (size_t i = 0; i < SIDE * SIDE; i++)
                    for (size_t c = 0; c < out_channels; c++) {
                        size_t y = n * HEIGHT + (size_t)origin[p][0] + i / SIDE;
                        size_t x = (size_t)origin[p][1] + i % SIDE;
                        size_t from = (y * WIDTH + x) * in + (in == 1 ? 0 : c);
                        assert_int_equal(*got++, img.data[from]);
                    }
        guarded_release(&memory);
        vj_image_free(&img);
    }
}

/* ---- Quality -------------------------------------------------------------------------------- */

enum { QUALITY_CANDIDATES = 3 };

/* Bits of doubles, so that NaN and infinity compare too. */
static void assert_same_doubles(double a, double b)
{
    assert_true(isnan(a) == isnan(b));
    if (!isnan(a))
        assert_memory_equal(&a, &b, sizeof(a));
}

/*
 * Candidates that are the reference itself, the reference with a little noise, and another picture.
 * The caller frees.
 */
static uint8_t *quality_candidates(const struct vj_image *reference)
{
    size_t bytes = reference->width * reference->height * (size_t)reference->channels;
    uint8_t *candidates = malloc(QUALITY_CANDIDATES * bytes);
    memcpy(candidates, reference->data, bytes);
    for (size_t i = 0; i < bytes; i++) {
        uint32_t word = vj_random4(6, VJ_RNG_TEST, 4, (uint32_t)i).v[0];
        candidates[bytes + i] = (uint8_t)(reference->data[i] ^ (word % 16));
        candidates[2 * bytes + i] = (uint8_t)(word >> 8);
    }
    return candidates;
}

static void check_quality(size_t width, size_t height, int channels, int which,
                          enum content content)
{
    struct vj_image img = content_picture(width, height, channels, content, 12);
    uint8_t *candidates = quality_candidates(&img);
    struct emulated_quality device;
    struct vj_cuda_quality_sums sums[QUALITY_CANDIDATES];
    struct vj_quality_reference *ref;
    struct vj_quality_scratch *scratch;
    memset(sums, 0xA5, sizeof(sums));
    emulate_quality_load(&device, &img, which);
    emulate_quality(&device, candidates, QUALITY_CANDIDATES, sums);
    assert_int_equal(vj_quality_reference_create(&ref, width, height, which, NULL), 0);
    assert_int_equal(vj_quality_scratch_create(&scratch, width, height, which, NULL), 0);
    assert_int_equal(vj_quality_reference_load(ref, &img, NULL), 0);
    for (size_t i = 0; i < QUALITY_CANDIDATES; i++) {
        struct vj_quality_values got, expected;
        vj_cuda_quality_value(&device.shape, &sums[i], &got);
        assert_int_equal(vj_quality_compute(ref, candidates + i * width * height * (size_t)channels,
                                            scratch, &expected),
                         0);
        assert_same_doubles(got.psnr_y, expected.psnr_y);
        assert_same_doubles(got.psnr_rgb, expected.psnr_rgb);
        assert_same_doubles(got.ssim, expected.ssim);
        assert_same_doubles(got.ms_ssim, expected.ms_ssim);
    }
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(ref);
    emulate_quality_free(&device);
    free(candidates);
    vj_image_free(&img);
}

static void psnr_and_ssim_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {3, 2},   {10, 40}, {11, 11}, {12, 11}, {41, 25},
                                      {42, 26}, {43, 27}, {74, 43}, {65, 17}, {29, 90}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int channels = 1; channels <= 3; channels += 2) {
            emulate_order = (int)(i % EMULATE_ORDERS);
            check_quality(sizes[i][0], sizes[i][1], channels, VJ_QUALITY_PSNR | VJ_QUALITY_SSIM,
                          (enum content)(i % CONTENTS));
        }
    }
}

static void ms_ssim_equals_that_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{176, 176}, {181, 203}, {255, 190}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        emulate_order = (int)i;
        check_quality(sizes[i][0], sizes[i][1], i == 1 ? 1 : 3, VJ_QUALITY_ALL,
                      (enum content)(i % CONTENTS));
    }
}

static void only_the_metrics_asked_for_are_there(void **state)
{
    (void)state;
    emulate_order = 0;
    for (int which = 1; which <= VJ_QUALITY_ALL; which++) {
        check_quality(30, 20, 3, which, SMOOTH);
        check_quality(177, 178, 1, which, SMOOTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_of_all_small_sizes_equal_those_of_the_cpu),
        cmocka_unit_test(candidates_of_several_tiles_and_segments_equal_those_of_the_cpu),
        cmocka_unit_test(every_quality_factor_gives_the_picture_and_the_size_of_the_cpu),
        cmocka_unit_test(the_order_of_threads_and_blocks_does_not_matter),
        cmocka_unit_test(patches_at_every_place_of_a_picture_equal_that_part_of_it),
        cmocka_unit_test(patches_of_any_size_equal_that_part_of_the_picture),
        cmocka_unit_test(pictures_at_most_four_pixels_wide_give_their_patches_too),
        cmocka_unit_test(sizes_are_exact_wherever_segments_begin_and_end),
        cmocka_unit_test(a_byte_shared_by_two_segments_counts_when_it_is_ff),
        cmocka_unit_test(room_for_the_largest_picture_is_room_for_every_smaller_one),
        cmocka_unit_test(quality_factors_and_patches_out_of_range_are_refused_by_name),
        cmocka_unit_test(sums_of_memory_that_overflow_give_nothing),
        cmocka_unit_test(gathered_patches_are_those_parts_of_the_pictures),
        cmocka_unit_test(psnr_and_ssim_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(ms_ssim_equals_that_of_the_cpu_bit_for_bit),
        cmocka_unit_test(only_the_metrics_asked_for_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
