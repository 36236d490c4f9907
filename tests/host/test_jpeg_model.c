/* SPDX-License-Identifier: MIT */
/*
 * JPEG candidates against libjpeg-turbo: pixels, windows, sizes and file bytes must be equal, not
 * close. VPJND_TEST_FULL=1 tries every quality factor on every size of 1..40 x 1..40.
 */
#include "tests/host/jpeg_oracle.h"

#include <errno.h>
#include <omp.h>

#include "host/jpeg_huffman.h"
#include "host/jpeg_internal.h"
#include "host/rng.h"

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

/* ---- Pictures ------------------------------------------------------------------------------- */

enum content {
    EXTREMES, /* every sample 0 or 255 */
    NOISE,    /* every value */
    SMOOTH,   /* gradients and a little noise */
    CONTENTS,
};

/* Up and down between 0 and `height`. */
static int triangle_wave(int at, int height)
{
    int phase = at % (2 * height);
    return phase < height ? phase : 2 * height - phase;
}

static uint8_t sample_of(enum content content, size_t y, size_t x, int c, uint32_t word)
{
    if (content == EXTREMES)
        return word & 1 ? 255 : 0;
    if (content == NOISE)
        return (uint8_t)word;
    return (uint8_t)(triangle_wave(4 * (int)x + 31 * c, 150) +
                     triangle_wave(3 * (int)y + (int)x, 90) + (int)(word % 9));
}

static struct vj_image picture(size_t width, size_t height, int channels, enum content content)
{
    struct vj_image img = {width, height, channels, malloc(width * height * (size_t)channels)};
    assert_non_null(img.data);
    size_t i = 0;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            for (int c = 0; c < channels; c++, i++) {
                struct vj_u32x4 r =
                    vj_random4(7, VJ_RNG_TEST, (uint64_t)content << 32 | height, (uint32_t)(i / 4));
                img.data[i] = sample_of(content, y, x, c, r.v[i % 4]);
            }
        }
    }
    return img;
}

/* ---- A plan with what belongs to it --------------------------------------------------------- */

struct candidates {
    struct vj_image img;
    enum vj_subsampling sampling;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    uint8_t *pixels, *expected;
    unsigned char *file;
};

static size_t picture_bytes(const struct vj_image *img)
{
    return img->width * img->height * (size_t)img->channels;
}

static void must(int rc, const struct vj_error *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

/* Takes the picture over. */
static struct candidates candidates_new(struct vj_image img, enum vj_subsampling sampling)
{
    struct vj_error err = {0};
    struct candidates c = {.img = img, .sampling = sampling};
    must(vj_jpeg_plan_create(&c.plan, &img, sampling, &err), &err);
    must(vj_jpeg_scratch_create(&c.scratch, img.width, img.height, img.channels, sampling, &err),
         &err);
    c.pixels = malloc(picture_bytes(&img));
    c.expected = malloc(picture_bytes(&img));
    assert_non_null(c.pixels);
    assert_non_null(c.expected);
    return c;
}

static void candidates_free(struct candidates *c)
{
    vj_jpeg_plan_free(c->plan);
    vj_jpeg_scratch_free(c->scratch);
    free(c->img.data);
    free(c->pixels);
    free(c->expected);
    free(c->file);
}

static void fail_candidate(const struct candidates *c, int qf, const char *what)
{
    fail_msg("%s differs: %zu x %zu, %d channels, sampling %d, QF %d", what, c->img.width,
             c->img.height, c->img.channels, (int)c->sampling, qf);
}

/* Leaves libjpeg's file in c->file and returns its size. */
static size_t check_file(struct candidates *c, int qf, enum vj_jpeg_coding coding)
{
    struct vj_error err = {0};
    bool optimal = coding == VJ_JPEG_CODING_OPTIMAL;
    size_t size = oracle_encode(&c->file, &c->img, qf, c->sampling, optimal);
    int64_t bytes = 0;
    must(vj_jpeg_plan_size(c->plan, qf, coding, &bytes, c->scratch, &err), &err);
    if (bytes != (int64_t)size)
        fail_candidate(c, qf, optimal ? "optimal size" : "size");
    uint8_t *file = malloc(size);
    assert_non_null(file);
    must(vj_jpeg_plan_file(c->plan, qf, coding, file, size, &bytes, c->scratch, &err), &err);
    if (bytes != (int64_t)size || memcmp(file, c->file, size) != 0)
        fail_candidate(c, qf, optimal ? "optimal file" : "file");
    free(file);
    return size;
}

/* Leaves libjpeg's pixels in c->expected. */
static void check_quality(struct candidates *c, int qf)
{
    struct vj_error err = {0};
    if (qf % 4 == 1)
        check_file(c, qf, VJ_JPEG_CODING_OPTIMAL);
    size_t size = check_file(c, qf, VJ_JPEG_CODING_STANDARD);
    oracle_decode(c->expected, c->file, size);
    memset(c->pixels, 0xA5, picture_bytes(&c->img));
    must(vj_jpeg_plan_decode(c->plan, qf, c->pixels, c->scratch, &err), &err);
    if (memcmp(c->pixels, c->expected, picture_bytes(&c->img)) != 0)
        fail_candidate(c, qf, "picture");
}

static void check_all_qualities(struct vj_image img, enum vj_subsampling sampling)
{
    struct candidates c = candidates_new(img, sampling);
    for (int qf = 1; qf <= 100; qf++)
        check_quality(&c, qf);
    candidates_free(&c);
}

/* ---- Arithmetic ----------------------------------------------------------------------------- */

static void reciprocal_quantisation_is_division_for_every_step_and_coefficient(void **state)
{
    (void)state;
    for (int q = 1; q <= 255; q++) {
        struct vj_jpeg_quantiser z;
        vj_jpeg_quantiser_set(&z, 0, q);
        assert_int_equal(z.q[0], q);
        for (int t = 4 * q - 16383; t <= 16383 - 4 * q; t++) {
            int level = (abs(t) + 4 * q) / (8 * q);
            if (vj_jpeg_quantise((int16_t)t, &z, 0) != (t < 0 ? -level : level))
                fail_msg("coefficient %d, step %d", t, q);
        }
    }
}

static int clamped(int v)
{
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

static void rgb_of_every_y_cb_cr_is_that_of_the_32_bit_formula(void **state)
{
    (void)state;
    for (int16_t cb = -128; cb < 128; cb++) {
        for (int16_t cr = -128; cr < 128; cr++) {
            int red = (91881 * cr + 32768) >> 16;
            int green = (-22554 * cb - 46802 * cr + 32768) >> 16;
            int blue = (116130 * cb + 32768) >> 16;
            for (int16_t y = 0; y < 256; y++) {
                if (vj_jpeg_r(y, cr) != clamped(y + red) ||
                    vj_jpeg_g(y, cb, cr) != clamped(y + green) ||
                    vj_jpeg_b(y, cb) != clamped(y + blue))
                    fail_msg("Y %d, Cb %d, Cr %d", y, cb, cr);
            }
        }
    }
}

/* cos(k pi / 16) */
static double cosine(size_t k)
{
    static const double quarter[9] = {
        1.0,
        0.98078528040323044913,
        0.92387953251128675613,
        0.83146961230254523708,
        0.70710678118654752440,
        0.55557023301960222474,
        0.38268343236508977173,
        0.19509032201612826785,
        0.0,
    };
    k %= 32;
    if (k > 16)
        k = 32 - k;
    return k > 8 ? -quarter[16 - k] : quarter[k];
}

/* The rounding of both passes and the constants' 13 bits together leave less than 2. */
static void coefficients_are_the_cosine_transform_times_eight(void **state)
{
    (void)state;
    for (int content = 0; content < CONTENTS; content++) {
        struct candidates c =
            candidates_new(picture(24, 16, 1, (enum content)content), VJ_SUBSAMPLING_444);
        const int16_t *t = vj_jpeg_plan_coefficients(c.plan);
        for (size_t i = 0; i < 6 * 64; i++) {
            size_t top = i / 64 / 3 * 8, left = i / 64 % 3 * 8, v = i % 64 / 8, u = i % 8;
            double sum = 0;
            for (size_t y = 0; y < 8; y++) {
                for (size_t x = 0; x < 8; x++)
                    sum += (c.img.data[(top + y) * 24 + left + x] - 128) * cosine((2 * y + 1) * v) *
                           cosine((2 * x + 1) * u);
            }
            double scaled = 2 * (v ? 1 : cosine(4)) * (u ? 1 : cosine(4)) * sum;
            if (t[i] - scaled > 2 || scaled - t[i] > 2)
                fail_msg("coefficient %zu of block %zu is %d, not %f", i % 64, i / 64, t[i],
                         scaled);
        }
        candidates_free(&c);
    }
}

/* ---- Whole pictures and files --------------------------------------------------------------- */

/* By default two QFs for each size, kind and content, together every QF many times over. */
static void pictures_and_files_of_all_small_sizes_equal_the_codec(void **state)
{
    (void)state;
    bool full = full_test();
    for (size_t width = 1; width <= 40; width++) {
        for (size_t height = 1; height <= 40; height++) {
            for (size_t k = 0; k < COUNT(kinds); k++) {
                enum content content = (width + height) % 2 ? EXTREMES : SMOOTH;
                struct candidates c = candidates_new(
                    picture(width, height, kinds[k].channels, content), kinds[k].sampling);
                for (int qf = 1; qf <= 100; qf++) {
                    if (full || ((size_t)qf + 7 * width + 13 * height + 5 * k) % 50 == 0)
                        check_quality(&c, qf);
                }
                candidates_free(&c);
            }
        }
    }
}

/*
 * Where most wrong readings show: widths of 3, 4 and 5, an even height that is no multiple of 16,
 * an odd number of blocks across or down; and more blocks in a row than are decoded together.
 */
static void pictures_and_files_at_every_quality_equal_the_codec(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{3, 17},  {4, 33},   {5, 18},  {40, 22}, {24, 40}, {17, 9},
                                      {88, 72}, {57, 120}, {33, 34}, {1, 100}, {300, 8}, {541, 18}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t k = 0; k < COUNT(kinds); k++)
            check_all_qualities(
                picture(sizes[i][0], sizes[i][1], kinds[k].channels, (enum content)((i + k) % 3)),
                kinds[k].sampling);
    }
}

static struct vj_image cropped(const struct vj_image *img, size_t y, size_t x, size_t h, size_t w)
{
    size_t channels = (size_t)img->channels;
    struct vj_image out = {w, h, img->channels, malloc(w * h * channels)};
    assert_non_null(out.data);
    for (size_t i = 0; i < h; i++)
        memcpy(out.data + i * w * channels, img->data + ((y + i) * img->width + x) * channels,
               w * channels);
    return out;
}

static void photographs_equal_the_codec(void **state)
{
    (void)state;
    static const char *const names[] = {"photos/kodak/kodim01.png", "photos/kodak/kodim05.png",
                                        "photos/scikit-image/camera.png",
                                        "konjnd/gui/Study_SRC0366.png"};
    for (size_t i = 0; i < COUNT(names); i++) {
        vj_require_data(names[i]);
        struct vj_image img;
        struct vj_error err = {0};
        must(vj_image_read(&img, vj_test_data(names[i]), NULL, &err), &err);
        for (size_t k = 0; k < COUNT(kinds); k++) {
            if (kinds[k].channels != img.channels)
                continue;
            check_all_qualities(cropped(&img, 101, 77, 150, 203), kinds[k].sampling);
            struct candidates c =
                candidates_new(cropped(&img, 0, 0, img.height, img.width), kinds[k].sampling);
            check_quality(&c, 33);
            check_quality(&c, 85);
            candidates_free(&c);
        }
        vj_image_free(&img);
    }
}

/* ---- Windows -------------------------------------------------------------------------------- */

/* Sentinels on both sides of the window show writes beyond it. */
static void check_window(struct candidates *c, int qf, size_t y, size_t x, size_t h, size_t w)
{
    enum { GUARD = 64 };
    static uint8_t buffer[1 << 17];
    struct vj_error err = {0};
    size_t row = w * (size_t)c->img.channels;
    assert_true(h * row + 2 * GUARD <= sizeof(buffer));
    memset(buffer, 0x5A, h * row + 2 * GUARD);
    uint8_t *out = buffer + GUARD;
    must(vj_jpeg_plan_window(c->plan, qf, y, x, h, w, out, c->scratch, &err), &err);
    for (size_t i = 0; i < h; i++) {
        const uint8_t *expected =
            c->expected + ((y + i) * c->img.width + x) * (size_t)c->img.channels;
        if (memcmp(out + i * row, expected, row) != 0)
            fail_msg("window %zu x %zu at x %zu, y %zu of %zu x %zu, QF %d, row %zu", w, h, x, y,
                     c->img.width, c->img.height, qf, i);
    }
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(buffer[i], 0x5A);
        assert_int_equal(out[h * row + i], 0x5A);
    }
}

static void every_window_of_a_small_picture_is_that_part_of_it(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct candidates c =
            candidates_new(picture(19, 18, kinds[k].channels, NOISE), kinds[k].sampling);
        check_quality(&c, 60);
        for (size_t y = 0; y < 18; y++)
            for (size_t x = 0; x < 19; x++)
                for (size_t h = 1; h <= 18 - y; h++)
                    for (size_t w = 1; w <= 19 - x; w++)
                        check_window(&c, 60, y, x, h, w);
        candidates_free(&c);
    }
}

static void windows_of_any_place_and_size_are_that_part_of_the_picture(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{61, 47}, {4, 40}, {3, 9}, {200, 130}, {64, 64}};
    static const int qualities[] = {1, 12, 50, 75, 93, 100};
    for (size_t i = 0; i < COUNT(sizes) * COUNT(kinds) * COUNT(qualities); i++) {
        size_t width = sizes[i % COUNT(sizes)][0], height = sizes[i % COUNT(sizes)][1];
        const struct kind *kind = &kinds[i / COUNT(sizes) % COUNT(kinds)];
        int qf = qualities[i / COUNT(sizes) / COUNT(kinds)];
        struct candidates c = candidates_new(
            picture(width, height, kind->channels, (enum content)(i % 3)), kind->sampling);
        check_quality(&c, qf);
        /* Each edge and corner, then anywhere. */
        for (uint32_t n = 0; n < 60; n++) {
            struct vj_u32x4 r = vj_random4(3, VJ_RNG_TEST, i, n);
            size_t h = 1 + vj_random_below(r.v[0], (uint32_t)height);
            size_t w = 1 + vj_random_below(r.v[1], (uint32_t)width);
            size_t y = vj_random_below(r.v[2], (uint32_t)(height - h + 1));
            size_t x = vj_random_below(r.v[3], (uint32_t)(width - w + 1));
            if (n < 20) {
                y = n & 1 ? 0 : height - h;
                x = n & 2 ? 0 : width - w;
            }
            check_window(&c, qf, y, x, h, w);
        }
        candidates_free(&c);
    }
}

static void overlapping_patches_are_those_parts_of_the_picture(void **state)
{
    (void)state;
    enum { PATCHES = 64, SIDE = 32 };
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct candidates c =
            candidates_new(picture(150, 101, kinds[k].channels, SMOOTH), kinds[k].sampling);
        struct vj_error err = {0};
        int32_t origin[PATCHES][2];
        for (uint32_t i = 0; i < PATCHES; i++) {
            struct vj_u32x4 r = vj_random4(5, VJ_RNG_TEST, 0, i);
            origin[i][0] = (int32_t)vj_random_below(r.v[0], 101 - SIDE + 1);
            origin[i][1] = (int32_t)vj_random_below(r.v[1], 150 - SIDE + 1);
        }
        origin[0][0] = 101 - SIDE;
        origin[0][1] = 150 - SIDE;
        memcpy(origin[2], origin[1], sizeof(origin[1]));
        size_t row = SIDE * (size_t)c.img.channels;
        uint8_t *out = malloc(PATCHES * SIDE * row);
        assert_non_null(out);
        for (int qf = 1; qf <= 100; qf += 11) {
            /* Fewer pixels than the picture has, and more. */
            size_t count = qf % 2 ? 10 : PATCHES;
            check_quality(&c, qf);
            memset(out, 0x5A, PATCHES * SIDE * row);
            must(vj_jpeg_plan_patches(c.plan, qf, (const int32_t(*)[2])origin, count, SIDE, out,
                                      c.scratch, &err),
                 &err);
            for (size_t i = 0; i < count * SIDE; i++) {
                size_t y = (size_t)origin[i / SIDE][0] + i % SIDE;
                size_t x = (size_t)origin[i / SIDE][1];
                const uint8_t *expected = c.expected + (y * 150 + x) * (size_t)c.img.channels;
                if (memcmp(out + i * row, expected, row) != 0)
                    fail_msg("patch %zu, row %zu, QF %d", i / SIDE, i % SIDE, qf);
            }
        }
        free(out);
        candidates_free(&c);
    }
}

static size_t decoded_blocks(const struct candidates *c)
{
    size_t sum = 0;
    for (size_t i = 0; i < vj_jpeg_plan_geometry(c->plan)->blocks; i++)
        sum += c->scratch->decoded[i];
    return sum;
}

/* 16 x 16 pixels from (32, 32): 2 x 2 luma blocks; chroma samples 15 to 24 lie in 3 x 3 blocks. */
static void a_window_computes_only_the_blocks_that_it_depends_on(void **state)
{
    (void)state;
    static const size_t blocks[COUNT(kinds)] = {4 + 9 + 9, 4 + 4 + 4, 4};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct candidates c =
            candidates_new(picture(128, 96, kinds[k].channels, NOISE), kinds[k].sampling);
        check_quality(&c, 80);
        assert_int_equal(decoded_blocks(&c), vj_jpeg_plan_geometry(c.plan)->blocks);
        check_window(&c, 80, 32, 32, 16, 16);
        assert_int_equal(decoded_blocks(&c), blocks[k]);
        candidates_free(&c);
    }
}

/* ---- Huffman tables ------------------------------------------------------------------------- */

enum { RARE_SYMBOLS = 20, RARE_BLOCKS = 17710, ACROSS = 140, DOWN = 127 };

/* Block of the picture whose AC symbols occur 1, 1, 2, 3, 5, ... 6765 times: codes grow too long.
 */
static int rare_symbol(size_t block)
{
    size_t end = 1, a = 1, b = 1;
    for (int i = 0; i < RARE_SYMBOLS; i++) {
        if (block < end)
            return (i / 10) << 4 | (i % 10 + 1);
        end += b;
        size_t next = a + b;
        a = b;
        b = next;
    }
    return 0;
}

static void fill_rare(size_t block, JCOEF out[64])
{
    int symbol = rare_symbol(block);
    memset(out, 0, 64 * sizeof(*out));
    if (symbol)
        out[vj_jpeg_zigzag()[1 + (symbol >> 4)]] = (JCOEF)(1 << ((symbol & 15) - 1));
}

static void too_long_huffman_codes_are_shortened_as_the_codec_does(void **state)
{
    (void)state;
    int64_t count[256] = {0};
    for (size_t i = 0; i < ACROSS * DOWN; i++) {
        int symbol = rare_symbol(i);
        count[0]++;
        if (symbol)
            count[symbol]++;
    }
    assert_int_equal(count[rare_symbol(RARE_BLOCKS - 1)], 6765);
    assert_int_equal(rare_symbol(RARE_BLOCKS), 0);
    struct vj_jpeg_huffman huffman;
    vj_jpeg_optimal_huffman(count, &huffman);
    /* Unlimited, there would be one code of each length from 1 to 20. */
    assert_int_not_equal(huffman.bits[2], 1);

    unsigned char *file = NULL;
    unsigned long size = oracle_write_blocks(&file, ACROSS, DOWN, fill_rare);
    const uint8_t start[5] = {0xFF, 0xC4, 0, 2 + 1 + 16 + RARE_SYMBOLS + 1, 0x10};
    const uint8_t *table = memmem(file, size, start, sizeof(start));
    assert_non_null(table);
    assert_memory_equal(table + 5, huffman.bits + 1, 16);
    assert_memory_equal(table + 5 + 16, huffman.values, RARE_SYMBOLS + 1);
    free(file);
}

/* ---- Use ------------------------------------------------------------------------------------ */

static void one_plan_serves_many_threads(void **state)
{
    (void)state;
    enum { QUALITIES = 100, THREADS = 4 };
    struct candidates c = candidates_new(picture(93, 75, 3, NOISE), VJ_SUBSAMPLING_420);
    struct vj_error err = {0};
    size_t bytes = picture_bytes(&c.img);
    uint8_t *alone = malloc(QUALITIES * bytes), *together = malloc(QUALITIES * bytes);
    int64_t sizes[2][QUALITIES];
    assert_true(alone && together);
    for (int i = 0; i < QUALITIES; i++) {
        must(vj_jpeg_plan_decode(c.plan, i + 1, alone + (size_t)i * bytes, c.scratch, &err), &err);
        must(
            vj_jpeg_plan_size(c.plan, i + 1, VJ_JPEG_CODING_OPTIMAL, &sizes[0][i], c.scratch, &err),
            &err);
    }
    struct vj_jpeg_scratch *scratch[THREADS];
    for (int i = 0; i < THREADS; i++)
        must(vj_jpeg_scratch_create(&scratch[i], 93, 75, 3, VJ_SUBSAMPLING_420, &err), &err);
    int failures = 0;
#pragma omp parallel for num_threads(THREADS) schedule(dynamic) reduction(+ : failures)
    for (int i = 0; i < QUALITIES; i++) {
        struct vj_jpeg_scratch *own = scratch[omp_get_thread_num()];
        failures +=
            vj_jpeg_plan_decode(c.plan, i + 1, together + (size_t)i * bytes, own, NULL) != 0;
        failures +=
            vj_jpeg_plan_size(c.plan, i + 1, VJ_JPEG_CODING_OPTIMAL, &sizes[1][i], own, NULL) != 0;
    }
    assert_int_equal(failures, 0);
    assert_memory_equal(alone, together, QUALITIES * bytes);
    assert_memory_equal(sizes[0], sizes[1], sizeof(sizes[0]));
    for (int i = 0; i < THREADS; i++)
        vj_jpeg_scratch_free(scratch[i]);
    free(alone);
    free(together);
    candidates_free(&c);
}

static void a_plan_is_loaded_again_with_other_pictures(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{48, 40}, {3, 3}, {47, 39}, {16, 40}, {48, 40}, {1, 1}};
    struct vj_error err = {0};
    struct candidates c = {0};
    must(vj_jpeg_plan_reserve(&c.plan, 48, 40, 3, VJ_SUBSAMPLING_444, &err), &err);
    must(vj_jpeg_scratch_create(&c.scratch, 48, 40, 3, VJ_SUBSAMPLING_444, &err), &err);
    c.pixels = malloc(48 * 40 * 3);
    c.expected = malloc(48 * 40 * 3);
    for (size_t i = 0; i < COUNT(sizes) * COUNT(kinds); i++) {
        const size_t *size = sizes[i / COUNT(kinds)];
        const struct kind *kind = &kinds[i % COUNT(kinds)];
        c.img = picture(size[0], size[1], kind->channels, EXTREMES);
        c.sampling = kind->sampling;
        must(vj_jpeg_plan_load(c.plan, &c.img, c.sampling, &err), &err);
        check_quality(&c, (int)(1 + 5 * i));
        free(c.img.data);
    }
    c.img.data = NULL;
    candidates_free(&c);
}

static void memory_for_a_grey_picture_serves_a_smaller_colour_picture(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct candidates c = candidates_new(picture(64, 64, 1, EXTREMES), VJ_SUBSAMPLING_420);
    free(c.img.data);
    c.img = picture(64, 16, 3, EXTREMES);
    must(vj_jpeg_plan_load(c.plan, &c.img, VJ_SUBSAMPLING_420, &err), &err);
    check_quality(&c, 97);
    check_quality(&c, 100);
    candidates_free(&c);
}

static void pictures_too_large_for_a_plan_or_scratch_are_refused(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    uint8_t out[64 * 64 * 3];
    must(vj_jpeg_plan_reserve(&plan, 32, 32, 3, VJ_SUBSAMPLING_420, &err), &err);
    must(vj_jpeg_scratch_create(&scratch, 24, 24, 3, VJ_SUBSAMPLING_420, &err), &err);
    assert_int_equal(vj_jpeg_plan_geometry(plan)->blocks, 0);
    assert_int_equal(vj_jpeg_plan_decode(plan, 50, out, scratch, &err), -EINVAL);
    vj_assert_contains(err.text, "no picture");

    struct vj_image wide = picture(64, 1, 3, SMOOTH), large = picture(32, 33, 3, SMOOTH);
    struct vj_image fits = picture(32, 32, 3, SMOOTH);
    assert_int_equal(vj_jpeg_plan_load(plan, &fits, VJ_SUBSAMPLING_420, &err), 0);
    assert_int_equal(vj_jpeg_plan_load(plan, &wide, VJ_SUBSAMPLING_420, &err), -ENOSPC);
    vj_assert_contains(err.text, "64 x 1");
    assert_int_equal(vj_jpeg_plan_geometry(plan)->blocks, 0);
    assert_int_equal(vj_jpeg_plan_load(plan, &large, VJ_SUBSAMPLING_420, &err), -ENOSPC);
    vj_assert_contains(err.text, "32 x 33");
    assert_int_equal(vj_jpeg_plan_load(plan, &fits, VJ_SUBSAMPLING_444, &err), -ENOSPC);
    assert_int_equal(vj_jpeg_plan_load(plan, &fits, VJ_SUBSAMPLING_420, &err), 0);
    assert_int_equal(vj_jpeg_plan_decode(plan, 50, out, scratch, &err), -ENOSPC);
    vj_assert_contains(err.text, "work space");
    free(wide.data);
    free(large.data);
    free(fits.data);
    vj_jpeg_plan_free(plan);
    vj_jpeg_scratch_free(scratch);
}

static void wrong_arguments_are_refused_by_name(void **state)
{
    (void)state;
    struct candidates c = candidates_new(picture(20, 10, 3, NOISE), VJ_SUBSAMPLING_420);
    struct vj_error err = {0};
    uint8_t out[20 * 10 * 3];
    int64_t bytes;
    assert_int_equal(vj_jpeg_plan_decode(c.plan, 0, out, c.scratch, &err), -EINVAL);
    vj_assert_contains(err.text, "quality factor 0");
    assert_int_equal(vj_jpeg_plan_decode(c.plan, 101, out, c.scratch, &err), -EINVAL);
    assert_int_equal(vj_jpeg_plan_size(c.plan, 50, (enum vj_jpeg_coding)2, &bytes, c.scratch, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "coding 2");

    static const size_t windows[][4] = {{0, 0, 0, 5},  {0, 0, 5, 0},  {0, 0, 11, 1},
                                        {0, 0, 1, 21}, {10, 0, 1, 1}, {0, 20, 1, 1},
                                        {9, 0, 2, 1},  {0, 16, 1, 5}, {SIZE_MAX, 0, 2, 2}};
    for (size_t i = 0; i < COUNT(windows); i++) {
        const size_t *w = windows[i];
        assert_int_equal(
            vj_jpeg_plan_window(c.plan, 50, w[0], w[1], w[2], w[3], out, c.scratch, &err), -EINVAL);
        vj_assert_contains(err.text, "not within the picture");
    }
    const int32_t origins[2][2] = {{0, 0}, {0, -1}};
    assert_int_equal(vj_jpeg_plan_patches(c.plan, 50, origins, 0, 0, out, c.scratch, &err), 0);
    assert_int_equal(vj_jpeg_plan_patches(c.plan, 50, origins, 2, 8, out, c.scratch, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "patch 2 of 2");
    vj_assert_contains(err.text, "x -1");
    assert_int_equal(vj_jpeg_plan_patches(c.plan, 50, origins, 2, 8, out, c.scratch, NULL),
                     -EINVAL);

    int64_t needed;
    must(vj_jpeg_plan_size(c.plan, 50, VJ_JPEG_CODING_STANDARD, &needed, c.scratch, &err), &err);
    memset(out, 0x5A, sizeof(out));
    assert_int_equal(
        vj_jpeg_plan_file(c.plan, 50, VJ_JPEG_CODING_STANDARD, out, 100, &bytes, c.scratch, &err),
        -ENOSPC);
    assert_int_equal(bytes, needed);
    assert_int_equal(out[100], 0x5A);
    candidates_free(&c);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_jpeg_plan *plan = NULL;
    struct vj_jpeg_scratch *scratch = NULL;
    static const struct {
        size_t width, height;
        int channels;
        int sampling;
    } shapes[] = {{0, 1, 3, 420},     {1, 0, 3, 420}, {65501, 1, 3, 420},
                  {1, 65501, 1, 420}, {8, 8, 2, 420}, {8, 8, 3, 422}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        enum vj_subsampling sampling = (enum vj_subsampling)shapes[i].sampling;
        assert_int_equal(vj_jpeg_plan_reserve(&plan, shapes[i].width, shapes[i].height,
                                              shapes[i].channels, sampling, &err),
                         -EINVAL);
        assert_null(plan);
        assert_int_equal(vj_jpeg_scratch_create(&scratch, shapes[i].width, shapes[i].height,
                                                shapes[i].channels, sampling, &err),
                         -EINVAL);
        assert_null(scratch);
        assert_int_equal(
            vj_jpeg_plan_bytes(shapes[i].width, shapes[i].height, shapes[i].channels, sampling), 0);
        assert_int_equal(
            vj_jpeg_scratch_bytes(shapes[i].width, shapes[i].height, shapes[i].channels, sampling),
            0);
    }
    assert_true(vj_jpeg_plan_bytes(1920, 1080, 3, VJ_SUBSAMPLING_420) > 48600 * 128);
    assert_true(vj_jpeg_scratch_bytes(1920, 1080, 3, VJ_SUBSAMPLING_420) > 48600 * 64);
    vj_jpeg_plan_free(NULL);
    vj_jpeg_scratch_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reciprocal_quantisation_is_division_for_every_step_and_coefficient),
        cmocka_unit_test(rgb_of_every_y_cb_cr_is_that_of_the_32_bit_formula),
        cmocka_unit_test(coefficients_are_the_cosine_transform_times_eight),
        cmocka_unit_test(pictures_and_files_of_all_small_sizes_equal_the_codec),
        cmocka_unit_test(pictures_and_files_at_every_quality_equal_the_codec),
        cmocka_unit_test(photographs_equal_the_codec),
        cmocka_unit_test(every_window_of_a_small_picture_is_that_part_of_it),
        cmocka_unit_test(windows_of_any_place_and_size_are_that_part_of_the_picture),
        cmocka_unit_test(overlapping_patches_are_those_parts_of_the_picture),
        cmocka_unit_test(a_window_computes_only_the_blocks_that_it_depends_on),
        cmocka_unit_test(too_long_huffman_codes_are_shortened_as_the_codec_does),
        cmocka_unit_test(one_plan_serves_many_threads),
        cmocka_unit_test(a_plan_is_loaded_again_with_other_pictures),
        cmocka_unit_test(memory_for_a_grey_picture_serves_a_smaller_colour_picture),
        cmocka_unit_test(pictures_too_large_for_a_plan_or_scratch_are_refused),
        cmocka_unit_test(wrong_arguments_are_refused_by_name),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
