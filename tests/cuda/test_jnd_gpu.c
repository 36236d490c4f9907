/* SPDX-License-Identifier: MIT */
/*
 * Pixel-JND maps and the numbers by rules on them on a GPU, or on the emulation of one, against the
 * CPU's: equal, to the last bit, on sizes that leave tiles and chunks incomplete. Every buffer that
 * a kernel writes has guard bytes around it and is rubbish before. Skipped without a device.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/cuda/pictures.h"

#include <errno.h>
#include <math.h>
#include <omp.h>

#include "cuda/jnd.h"
#include "cuda/jnd_rules_body.h"
#include "host/jnd_klt22.h"
#include "host/jnd_rules.h"

#include "tests/cuda/fail_each.h"
#include "tests/cuda/gpu_buffer.h" /* has a name that functions above have too */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Pictures ------------------------------------------------------------------------------- */

struct picture {
    struct vj_image img;
    struct buffer luma; /* on the device */
};

/* Takes the picture over, makes its luma and compares that with the CPU's. */
static struct picture picture_of(struct vj_image img)
{
    const size_t pixels = img.width * img.height, bytes = pixels * (size_t)img.channels;
    struct picture p = {.img = img, .luma = buffer_take(pixels)};
    struct buffer in = buffer_take(bytes + GUARD);
    uint8_t *got = malloc(pixels), *expected = malloc(pixels);
    /* Pixels beyond the picture, the luma of which is none of the guard bytes. */
    ok(VJ_CUDA(cudaMemset(in.data, 1, in.bytes), &err));
    ok(VJ_CUDA(cudaMemcpy(in.data, img.data, bytes, cudaMemcpyHostToDevice), &err));
    ok(vj_cuda_luma(NULL, in.data, img.width, img.height, img.channels, p.luma.data, &err));
    buffer_read(&p.luma, got);
    vj_jnd_luma(&img, expected);
    assert_memory_equal(got, expected, pixels);
    free(got);
    free(expected);
    buffer_free(&in);
    return p;
}

static void picture_free(struct picture *p)
{
    buffer_free(&p->luma);
    vj_image_free(&p->img);
}

/* One map of the device. map: height x width */
static void make_map(struct vj_cuda_jnd *jnd, const struct picture *p, const char *name,
                     size_t variant, float *map)
{
    const size_t width = p->img.width, height = p->img.height;
    const struct vj_jnd_model *model = vj_jnd_find(name, &err);
    struct buffer out = buffer_take(width * height * sizeof(float));
    assert_non_null(model);
    ok(vj_cuda_jnd_compute(jnd, NULL, model, variant, p->luma.data, width, height, out.data, &err));
    buffer_read(&out, map);
    buffer_free(&out);
}

static void check_map(struct vj_cuda_jnd *jnd, const struct picture *p, const char *name,
                      size_t variant)
{
    const size_t bytes = p->img.width * p->img.height * sizeof(float);
    float *got = malloc(bytes), *expected = malloc(bytes);
    make_map(jnd, p, name, variant, got);
    ok(vj_jnd_compute(name, vj_jnd_find(name, NULL)->variants[variant], &p->img, expected, &err));
    if (memcmp(got, expected, bytes))
        fail_msg("%s, variant %zu, %zux%zu pixels: not the map of the CPU", name, variant,
                 p->img.width, p->img.height);
    free(got);
    free(expected);
}

/*
 * Two variants of a model on pictures of every size with every content, or of one content after the
 * other. Those of noise are made with memory for no more than themselves, others with memory that
 * larger ones have used and are to use.
 */
static void check_maps(const char *name, size_t first, size_t variants, const size_t (*sizes)[2],
                       size_t count, bool all)
{
    size_t width = 1, height = 1;
    for (size_t i = 0; i < count; i++) {
        width = sizes[i][0] > width ? sizes[i][0] : width;
        height = sizes[i][1] > height ? sizes[i][1] : height;
    }
    struct vj_cuda_jnd *roomy, *exact;
    ok(vj_cuda_jnd_create(&roomy, width, height, 1, &err));
    for (size_t i = 0; i < count * (all ? CONTENTS : 1); i++) {
        const size_t *size = sizes[all ? i / CONTENTS : i];
        const enum content content = (enum content)(i % CONTENTS);
        struct picture p =
            picture_of(content_picture(size[0], size[1], i % 2 ? 1 : 3, content, 77));
        ok(vj_cuda_jnd_create(&exact, size[0], size[1], 1, &err));
        for (size_t variant = first; variant < first + variants; variant++)
            check_map(content == NOISE ? exact : roomy, &p, name, variant);
        vj_cuda_jnd_destroy(exact);
        picture_free(&p);
    }
    vj_cuda_jnd_destroy(roomy);
}

enum { LARGE = 2 }; /* of the sizes below, the last ones */

static size_t left_out(void)
{
    return small_only() ? LARGE : 0;
}

/* ---- Maps ----------------------------------------------------------------------------------- */

/* Incomplete tiles, and all in which filters reach beyond both sides. */
static void maps_of_chou95_epc17_and_yang05_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {1, 9},   {9, 1},     {2, 2},     {3, 5},
                                      {5, 4},   {4, 5},   {5, 5},     {6, 7},     {13, 12},
                                      {31, 15}, {32, 16}, {33, 17},   {34, 18},   {65, 49},
                                      {97, 33}, {40, 70}, {513, 389}, {1280, 720}};
    check_maps("chou95", 0, 2, sizes, COUNT(sizes) - left_out(), true);
    check_maps("epc17", 0, 2, sizes, COUNT(sizes) - left_out(), true);
    check_maps("yang05", 0, 2, sizes, COUNT(sizes) - left_out(), true);
}

/* Tiles are 32x32, and neighbours' patches reach 13 pixels, over the far border too. */
static void maps_of_fep13_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {2, 9},     {9, 3},     {13, 14},
                                      {5, 31},  {32, 32},   {33, 35},   {34, 20},
                                      {65, 34}, {513, 389}, {1280, 720}};
    check_maps("fep13", 0, 1, sizes, COUNT(sizes) - left_out(), true);
}

/* Tiles of the structure are 48x48, and see eight pixels around them. */
static void maps_of_liu10_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {1, 9},    {9, 1},     {8, 8},
                                      {47, 2},  {48, 48},  {49, 50},   {56, 40},
                                      {97, 57}, {250, 51}, {513, 389}, {1280, 720}};
    check_maps("liu10", 2, 2, sizes, COUNT(sizes) - left_out(), !small_only());
}

/*
 * Pictures with rows and columns beyond the whole blocks and without. That of 603x440 pixels has
 * more batches of blocks than there are thread blocks to sum them.
 */
static void maps_of_klt22_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{40, 104},  {79, 81},   {1043, 9},  {72, 73},
                                      {603, 440}, {513, 389}, {1280, 720}};
    check_maps("klt22", 0, 2, sizes, COUNT(sizes) - (small_only() ? LARGE + 1 : 0), true);
    if (small_only())
        check_maps("klt22", 1, 1, sizes + 4, 1, true);
}

/* Few patterns on black, one of them in one block only: nothing is missing, to the last bit. */
static void klt22_leaves_no_rounding_error_where_nothing_is_missing(void **state)
{
    (void)state;
    enum { WIDTH = 128, HEIGHT = 192, PIXELS = WIDTH * HEIGHT, FAINT = 100 * WIDTH + 21 };
    struct vj_image img = content_picture(WIDTH, HEIGHT, 1, NOISE, 1);
    for (size_t i = 0; i < PIXELS; i++) {
        const size_t x = i % WIDTH, y = i / WIDTH;
        img.data[i] = x >= 35 && x < 119 && y >= 45 && y < 189 ? 235 : 0;
    }
    img.data[FAINT] = 1;
    struct picture p = picture_of(img);
    struct vj_cuda_jnd *jnd;
    float *map = malloc(PIXELS * sizeof(*map));
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, 1, &err));
    for (size_t variant = 0; variant < 2; variant++) {
        make_map(jnd, &p, "klt22", variant, map);
        for (size_t i = 0; i < PIXELS; i++)
            assert_true(map[i] == 0);
    }
    vj_cuda_jnd_destroy(jnd);
    free(map);
    picture_free(&p);
}

/* ---- Edges ---------------------------------------------------------------------------------- */

/* Takes the picture over. */
static void check_edges(struct vj_image img)
{
    struct vj_cuda_jnd *jnd;
    struct picture p = picture_of(img);
    ok(vj_cuda_jnd_create(&jnd, img.width, img.height, 1, &err));
    check_map(jnd, &p, "epc17", 0);
    check_map(jnd, &p, "yang05", 1);
    vj_cuda_jnd_destroy(jnd);
    picture_free(&p);
}

/*
 * Bars of every share of a height: which of them have edges tells the thresholds, which follow the
 * largest gradient, the outermost two pixels apart, up to a height of 75. A bright corner is one of
 * the edges, but too far out for the gradient.
 */
static void edges_begin_at_the_contrast_of_the_cpu(void **state)
{
    (void)state;
    enum { BARS = 16, ACROSS = 20, WIDTH = BARS * ACROSS, HEIGHT = 18 };
    static const size_t heights[] = {0, 1, 60, 74, 75, 76, 90, 100, 110, 180, 255};
    for (size_t i = 0; i < 2 * COUNT(heights); i++) {
        struct vj_image img = content_picture(WIDTH, HEIGHT, 1, NOISE, 1);
        for (size_t k = 0; k < (size_t)WIDTH * HEIGHT; k++) {
            const size_t x = k % WIDTH, bar = x / ACROSS + 1;
            const bool on = x % ACROSS >= ACROSS / 2;
            img.data[k] = (uint8_t)(on ? heights[i / 2] * bar / BARS : 0);
        }
        img.data[0] = i % 2 ? 255 : 0;
        check_edges(img);
    }
}

/*
 * Squares of two faint values by chance, at densities around that at which their outlines grow
 * across the whole picture: long, branching, winding edges, which are edges only where they come to
 * one of the few bright squares, of which one in `bright` is.
 * right, down: where the squares' upper sides go to
 */
static struct vj_image squares(size_t width, size_t height, int right, int down, uint32_t percent,
                               uint32_t bright)
{
    struct vj_image img = content_picture(width, height, 1, NOISE, 1);
    const int side = 8 * (right > down ? right : down) + 2 * down;
    for (size_t k = 0; k < width * height; k++) {
        const int x = (int)(k % width), y = (int)(k / width);
        const int across = (right * x + down * y) / side;
        const int row = (right * y - down * x + 100 * side) / side;
        const struct vj_u32x4 r =
            vj_random4(percent, VJ_RNG_TEST, 1, (uint32_t)(row * 1000 + across));
        img.data[k] = r.v[0] % 100 < percent ? 140 : 100;
        if (bright && r.v[1] % bright == 0)
            img.data[k] = 255;
    }
    return img;
}

static void edges_connect_as_those_of_the_cpu(void **state)
{
    (void)state;
    static const uint32_t percent[] = {15, 30, 40, 50};
    static const int way[][2] = {{1, 0}, {1, 1}, {2, 1}, {1, 3}};
    for (size_t i = 0; i < COUNT(percent) * COUNT(way); i++) {
        const int *w = way[i % COUNT(way)];
        check_edges(squares(130, 75, w[0], w[1], percent[i / COUNT(way)], 60));
    }
}

/* Slopes on which every pixel is as large as its neighbours, and is kept: edges without gaps. */
static void slopes_are_edges_where_those_of_the_cpu_are(void **state)
{
    (void)state;
    enum { WIDTH = 150, HEIGHT = 70 };
    for (int turned = 0; turned < 2; turned++) {
        struct vj_image img =
            content_picture(turned ? HEIGHT : WIDTH, turned ? WIDTH : HEIGHT, 1, NOISE, 1);
        for (size_t k = 0; k < (size_t)WIDTH * HEIGHT; k++) {
            const size_t x = k % img.width, y = k / img.width;
            const size_t along = turned ? y : x, across = turned ? x : y;
            const size_t up = along < 75 ? 2 * along : 2 * (150 - along);
            const size_t steep = along < 30 ? 0 : along < 60 ? 4 * (along - 30) : 120;
            img.data[k] = (uint8_t)(across < HEIGHT / 2 ? up : steep);
        }
        check_edges(img);
    }
}

/* More tiles than threads look for the largest values: the largest ones are in the last tile. */
static void edges_begin_at_the_contrast_of_the_last_tile(void **state)
{
    (void)state;
    enum { WIDTH = 280, HEIGHT = 480 };
    struct vj_image img = squares(WIDTH, HEIGHT, 1, 0, 40, 0);
    for (size_t y = HEIGHT - 8; y < HEIGHT - 4; y++)
        memset(img.data + y * WIDTH + WIDTH - 8, 255, 4);
    check_edges(img);
}

/* Edges are the one stage in which threads race for the same memory. */
static void maps_are_the_same_in_every_run(void **state)
{
    (void)state;
    enum { WIDTH = EMULATED ? 200 : 640, HEIGHT = EMULATED ? 100 : 480, PIXELS = WIDTH * HEIGHT };
    const int runs = small_only() ? 3 : 50;
    struct vj_cuda_jnd *jnd;
    struct picture p = picture_of(content_picture(WIDTH, HEIGHT, 1, NOISE, 3));
    float *first = malloc(PIXELS * sizeof(float)), *again = malloc(PIXELS * sizeof(float));
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, 1, &err));
    for (int run = 0; run < runs; run++) {
        make_map(jnd, &p, "epc17", 0, run ? again : first);
        assert_memory_equal(run ? again : first, first, PIXELS * sizeof(float));
    }
    vj_cuda_jnd_destroy(jnd);
    free(first);
    free(again);
    picture_free(&p);
}

/* ---- Maps as 8-bit pictures ----------------------------------------------------------------- */

/* Returns whether the device found a value that is not finite. out: height x width */
static bool make_u8(const float *map, size_t width, size_t height, enum vj_jnd_scale scale,
                    uint8_t *out)
{
    struct vj_cuda_jnd *jnd;
    uint32_t not_finite;
    struct buffer in = buffer_of(map, width * height * sizeof(*map));
    struct buffer made = buffer_take(width * height), flag = buffer_take(sizeof(not_finite));
    ok(vj_cuda_jnd_create(&jnd, width, height, 1, &err));
    ok(vj_cuda_jnd_to_u8(jnd, NULL, in.data, width, height, scale, made.data, flag.data, &err));
    buffer_read(&made, out);
    buffer_read(&flag, &not_finite);
    assert_in_range(not_finite, 0, 1);
    vj_cuda_jnd_destroy(jnd);
    buffer_free(&flag);
    buffer_free(&made);
    buffer_free(&in);
    return not_finite;
}

/* The last has more pixels than threads look for the range of. */
static const size_t u8_sizes[][2] = {{1, 1},   {2, 1},  {255, 1},  {257, 1},
                                     {700, 1}, {7, 30}, {341, 227}};
enum { U8_MOST = 341 * 227 };

static void maps_become_the_8_bit_samples_of_the_cpu(void **state)
{
    (void)state;
    float *map = malloc(U8_MOST * sizeof(*map));
    uint8_t *got = malloc(U8_MOST), *expected = malloc(U8_MOST);
    for (size_t i = 0; i < 3 * COUNT(u8_sizes); i++) {
        const size_t *size = u8_sizes[i / 3], pixels = size[0] * size[1];
        const enum vj_jnd_scale scale = (enum vj_jnd_scale)(i % 3);
        for (size_t k = 0; k < pixels; k++)
            map[k] = (float)vj_random4(9, VJ_RNG_TEST, i, (uint32_t)k).v[0] / 1e7f - 40.0f;
        assert_false(make_u8(map, size[0], size[1], scale, got));
        ok(vj_jnd_to_u8(map, pixels, scale, expected, &err));
        assert_memory_equal(got, expected, pixels);
    }
    free(map);
    free(got);
    free(expected);
}

static void check_not_finite(size_t width, size_t height, size_t at, float value)
{
    const size_t pixels = width * height;
    float *map = calloc(pixels, sizeof(*map));
    uint8_t *out = malloc(pixels);
    map[pixels / 2] = 5;
    map[at] = value;
    assert_true(make_u8(map, width, height, VJ_JND_MINMAX, out));
    for (size_t i = 0; i < pixels; i++)
        assert_int_equal(out[i], 0);
    free(map);
    free(out);
}

static void a_value_that_is_not_finite_is_reported_wherever_it_is(void **state)
{
    (void)state;
    enum { N = 600, STEP = EMULATED ? 149 : 37 };
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3 * N; i += STEP)
        check_not_finite(N, 1, i / 3, values[i % 3]);
    check_not_finite(341, 227, 0, NAN);
    check_not_finite(341, 227, U8_MOST - 1, NAN);
}

/* ---- Rules ---------------------------------------------------------------------------------- */

/* Bits of doubles, so that infinity compares too, and NaN with any NaN. */
static void assert_same_doubles(double a, double b)
{
    assert_true(isnan(a) == isnan(b));
    if (!isnan(a))
        assert_memory_equal(&a, &b, sizeof(a));
}

/* Values that make a sum depend on its order, and whole numbers, which differences can equal. */
static float *uneven_map(size_t n, uint32_t seed)
{
    float *map = malloc(n * sizeof(*map));
    for (size_t i = 0; i < n; i++) {
        const uint32_t word = vj_random4(seed, VJ_RNG_TEST, 3, (uint32_t)i).v[0];
        map[i] = (float)(word % 1000003) / (float)(word % 7 ? 31337 : 3);
        if (word % 3 == 0)
            map[i] = (float)(word % 200);
    }
    return map;
}

enum { CANDIDATES = 3 };

/* What the device finds of candidates and of the map. */
struct numbers {
    double share[CANDIDATES], excess[CANDIDATES], energy;
    uint64_t square[CANDIDATES];
};

/* candidates: CANDIDATES pictures of height rows */
static struct numbers numbers_of(const struct vj_image *candidates, size_t height,
                                 const uint8_t *reference, const float *map)
{
    const size_t width = candidates->width, n = width * height;
    const int channels = candidates->channels;
    struct numbers got;
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, width, height, CANDIDATES, &err));
    struct buffer d = buffer_of(candidates->data, CANDIDATES * n * (size_t)channels);
    struct buffer r = buffer_of(reference, n), j = buffer_of(map, n * sizeof(*map));
    struct buffer share = buffer_take(sizeof(got.share)), excess = buffer_take(sizeof(got.excess));
    struct buffer square = buffer_take(sizeof(got.square)), energy = buffer_take(sizeof(double));
    ok(vj_cuda_jnd_noise_energy(jnd, NULL, width, height, j.data, energy.data, &err));
    ok(vj_cuda_jnd_measure(jnd, NULL, d.data, CANDIDATES, width, height, channels, r.data, j.data,
                           share.data, excess.data, square.data, &err));
    buffer_read(&share, got.share);
    buffer_read(&excess, got.excess);
    buffer_read(&square, got.square);
    buffer_read(&energy, &got.energy);
    struct buffer *all[] = {&d, &r, &j, &share, &excess, &square, &energy};
    for (size_t i = 0; i < COUNT(all); i++)
        buffer_free(all[i]);
    vj_cuda_jnd_destroy(jnd);
    return got;
}

/* As vj_jnd_measure() has it, with what the device computes put together as cuda/rules.c does. */
static void check_rules(size_t width, size_t height, int channels)
{
    const size_t n = width * height;
    struct vj_image d = content_picture(width, height * CANDIDATES, channels, NOISE, 8);
    struct vj_image r = content_picture(width, height, channels, SMOOTH, 9);
    uint8_t *luma = malloc((CANDIDATES + 1) * n), *reference = luma + CANDIDATES * n;
    float *map = uneven_map(n, (uint32_t)channels);
    memcpy(d.data, r.data, n * (size_t)channels); /* the first candidate is the reference */
    vj_jnd_luma(&d, luma);
    vj_jnd_luma(&r, reference);
    const struct numbers got = numbers_of(&d, height, reference, map);
    assert_same_doubles(got.energy, vj_jnd_noise_energy(map, n));
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct vj_jnd_statistics s;
        uint64_t square = 0;
        for (size_t k = 0; k < n; k++) {
            const int difference = luma[i * n + k] - reference[k];
            square += (uint64_t)(difference * difference);
        }
        vj_jnd_measure(luma + i * n, reference, map, n, got.energy, &s);
        assert_same_doubles(got.share[i], s.share);
        assert_same_doubles(got.excess[i], s.excess);
        assert_int_equal(got.square[i], square);
        assert_same_doubles(vj_jnd_noise_gain(got.energy, got.square[i], n), s.noise_gain);
    }
    free(map);
    free(luma);
    vj_image_free(&d);
    vj_image_free(&r);
}

/* Sizes below, at and above whole lanes, segments and the segments of a thread block. */
static void numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},
                                      {3, 5},
                                      {VJ_JND_LANES, 1},
                                      {VJ_JND_SEGMENT - 1, 1},
                                      {VJ_JND_SEGMENT, 1},
                                      {VJ_JND_SEGMENT + 1, 1},
                                      {VJ_JND_SEGMENT, VJ_CUDA_RULES_SEGMENTS},
                                      {VJ_JND_SEGMENT + 1, VJ_CUDA_RULES_SEGMENTS},
                                      {211, 173}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int channels = 1; channels <= 3; channels += 2)
            check_rules(sizes[i][0], sizes[i][1], channels);
}

/* ---- Errors --------------------------------------------------------------------------------- */

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

struct mapping {
    struct vj_cuda_jnd *jnd;
    const struct vj_jnd_model *model;
    size_t variant;
    struct buffer pixels, luma, map, u8, numbers;
};

enum { MAPPED = 72 }; /* pixels: klt22 takes no fewer */

static int make_all(void *user)
{
    const struct mapping *m = user;
    uint32_t *not_finite = m->numbers.data;
    double *share = (double *)m->numbers.data + 1, *excess = share + 1, *energy = share + 2;
    uint64_t *square = (uint64_t *)m->numbers.data + 4;
    int r = vj_cuda_luma(NULL, m->pixels.data, MAPPED, MAPPED, 3, m->luma.data, &err);
    if (!r)
        r = vj_cuda_jnd_compute(m->jnd, NULL, m->model, m->variant, m->luma.data, MAPPED, MAPPED,
                                m->map.data, &err);
    if (!r)
        r = vj_cuda_jnd_to_u8(m->jnd, NULL, m->map.data, MAPPED, MAPPED, VJ_JND_MINMAX, m->u8.data,
                              not_finite, &err);
    if (!r)
        r = vj_cuda_jnd_measure(m->jnd, NULL, m->pixels.data, 1, MAPPED, MAPPED, 3, m->luma.data,
                                m->map.data, share, excess, square, &err);
    return r ? r
             : vj_cuda_jnd_noise_energy(m->jnd, NULL, MAPPED, MAPPED, m->map.data, energy, &err);
}

static void a_launch_that_fails_is_reported_whichever_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t variant;
    } maps[] = {{"chou95", 0}, {"chou95", 1}, {"yang05", 0}, {"yang05", 1}, {"epc17", 0},
                {"epc17", 1},  {"fep13", 0},  {"klt22", 0},  {"klt22", 1},  {"liu10", 2}};
    struct vj_image img = content_picture(MAPPED, MAPPED, 3, SMOOTH, 1);
    struct mapping m = {.pixels = buffer_of(img.data, MAPPED * MAPPED * 3),
                        .luma = buffer_take(MAPPED * MAPPED),
                        .map = buffer_take(MAPPED * MAPPED * sizeof(float)),
                        .u8 = buffer_take(MAPPED * MAPPED),
                        .numbers = buffer_take(5 * sizeof(double))};
    ok(vj_cuda_jnd_create(&m.jnd, MAPPED, MAPPED, 1, &err));
    for (size_t i = 0; EMULATED && i < COUNT(maps); i++) {
        m.model = vj_jnd_find(maps[i].name, NULL);
        m.variant = maps[i].variant;
        print_message("%s: %u calls\n", maps[i].name, fail_each(make_all, &m, 5, false));
    }
    vj_cuda_jnd_destroy(m.jnd);
    buffer_free(&m.pixels);
    buffer_free(&m.luma);
    buffer_free(&m.map);
    buffer_free(&m.u8);
    buffer_free(&m.numbers);
    vj_image_free(&img);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    /* Pictures of the emulation are small: threads of the CPU would only wait for each other. */
    if (EMULATED)
        omp_set_num_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_of_chou95_epc17_and_yang05_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(maps_of_fep13_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(maps_of_liu10_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(maps_of_klt22_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(klt22_leaves_no_rounding_error_where_nothing_is_missing),
        cmocka_unit_test(edges_begin_at_the_contrast_of_the_cpu),
        cmocka_unit_test(edges_connect_as_those_of_the_cpu),
        cmocka_unit_test(slopes_are_edges_where_those_of_the_cpu_are),
        cmocka_unit_test(edges_begin_at_the_contrast_of_the_last_tile),
        cmocka_unit_test(maps_are_the_same_in_every_run),
        cmocka_unit_test(maps_become_the_8_bit_samples_of_the_cpu),
        cmocka_unit_test(a_value_that_is_not_finite_is_reported_wherever_it_is),
        cmocka_unit_test(numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(calls_out_of_range_are_refused_by_name),
        cmocka_unit_test(a_launch_that_fails_is_reported_whichever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
