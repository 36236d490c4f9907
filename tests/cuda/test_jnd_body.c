/* SPDX-License-Identifier: MIT */
/*
 * The kernels of pixel-JND maps and of the rules on them without a device, run as loops as in
 * test_geometry.c: the same bits as the CPU, on sizes that leave tiles and chunks incomplete.
 */
#include "tests/cuda/emulate.h"

#include <math.h>

#include "tests/cuda/emulate_jnd.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Pictures ------------------------------------------------------------------------------- */

/* Sizes with incomplete tiles, and all in which filters reach beyond both sides. */
static const size_t jnd_sizes[][2] = {{1, 1},   {1, 9},   {9, 1},   {2, 2},   {3, 5},   {5, 4},
                                      {4, 5},   {5, 5},   {6, 7},   {13, 12}, {31, 15}, {32, 16},
                                      {33, 17}, {34, 18}, {65, 49}, {97, 33}, {40, 70}};

struct jnd_picture {
    struct vj_image img;
    struct guarded luma_memory, map_memory;
    uint8_t *luma;
    float *map;      /* of the emulation */
    float *expected; /* of the CPU */
    struct vj_cuda_plane plane;
};

static struct jnd_picture jnd_picture(size_t width, size_t height, enum content content)
{
    struct jnd_picture p = {.img = content_picture(width, height, 3, content, 77)};
    p.luma = guarded_take(&p.luma_memory, width * height);
    p.map = guarded_take(&p.map_memory, width * height * sizeof(float));
    p.expected = malloc(width * height * sizeof(float));
    vj_jnd_luma(&p.img, p.luma);
    p.plane = (struct vj_cuda_plane){p.luma, (int)width, (int)height};
    return p;
}

static void jnd_picture_free(struct jnd_picture *p)
{
    guarded_release(&p->luma_memory);
    guarded_release(&p->map_memory);
    free(p->expected);
    vj_image_free(&p->img);
}

static void assert_same_floats(const float *a, const float *b, size_t n)
{
    assert_memory_equal(a, b, n * sizeof(float));
}

/* Bits of doubles, so that NaN and infinity compare too. */
static void assert_same_doubles(double a, double b)
{
    assert_true(isnan(a) == isnan(b));
    if (!isnan(a))
        assert_memory_equal(&a, &b, sizeof(a));
}

static void luma_on_the_device_equals_that_of_the_cpu(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct vj_image img = content_picture(61, 13, channels, NOISE, 3);
        struct guarded memory;
        uint8_t *luma = guarded_take(&memory, 61 * 13), expected[61 * 13];
        emulate_luma(&img, luma);
        vj_jnd_luma(&img, expected);
        assert_memory_equal(luma, expected, sizeof(expected));
        guarded_release(&memory);
        vj_image_free(&img);
    }
}

static void chou95_maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(jnd_sizes); i++) {
        for (int variant = 0; variant < 2; variant++) {
            size_t pixels = jnd_sizes[i][0] * jnd_sizes[i][1];
            emulate_order = (int)(i % EMULATE_ORDERS);
            struct jnd_picture p =
                jnd_picture(jnd_sizes[i][0], jnd_sizes[i][1], (enum content)(i % CONTENTS));
            emulate_chou(&p.plane, variant == 0, p.map);
            assert_int_equal(
                vj_jnd_compute("chou95", variant ? "paper" : "authors", &p.img, p.expected, NULL),
                0);
            assert_same_floats(p.map, p.expected, pixels);
            jnd_picture_free(&p);
        }
    }
}

/* Edge map of the CPU at a threshold, and its largest inner gradient. */
static void cpu_edges(const struct jnd_picture *p, uint8_t *edge, unsigned *gradient)
{
    size_t width = p->img.width, height = p->img.height;
    struct vj_jnd_arena count = {0};
    vj_jnd_take_padded(&count, width, height, VJ_CANNY_RADIUS);
    vj_canny_take(&count, width, height, 1);
    struct vj_jnd_arena arena = {.base = vj_alloc_aligned(vj_jnd_taken(&count), 1)};
    assert_non_null(arena.base);
    struct vj_jnd_padded plane = vj_jnd_take_padded(&arena, width, height, VJ_CANNY_RADIUS);
    struct vj_canny canny = vj_canny_take(&arena, width, height, 1);
    vj_jnd_pad(&plane, p->luma, VJ_JND_REPLICATE, 1);
    *gradient = vj_jnd_inner_gradient(&plane, 1);
    vj_canny(&plane, vj_jnd_edge_threshold(*gradient), &canny, edge, 1);
    free(arena.base);
}

static void edges_and_thresholds_equal_those_of_the_cpu(void **state)
{
    (void)state;
    size_t found = 0;
    for (size_t i = 0; i < COUNT(jnd_sizes) * CONTENTS; i++) {
        const size_t *size = jnd_sizes[i / CONTENTS];
        struct jnd_picture p = jnd_picture(size[0], size[1], (enum content)(i % CONTENTS));
        emulate_order = (int)(i % EMULATE_ORDERS);
        struct guarded memory;
        uint8_t *edge = guarded_take(&memory, size[0] * size[1]);
        uint8_t *expected = malloc(size[0] * size[1]);
        uint32_t gradient;
        unsigned expected_gradient;
        emulate_edges(&p.plane, 0, edge, &gradient);
        cpu_edges(&p, expected, &expected_gradient);
        assert_int_equal(gradient, expected_gradient);
        assert_true(vj_cuda_edge_threshold(gradient) == vj_jnd_edge_threshold(expected_gradient));
        assert_memory_equal(edge, expected, size[0] * size[1]);
        for (size_t k = 0; k < size[0] * size[1]; k++)
            found += edge[k];
        free(expected);
        guarded_release(&memory);
        jnd_picture_free(&p);
    }
    assert_true(found > 1000);
}

/* Components by flooding, the definition. */
static void flood(const double *kept, int width, int height, double weak, double strong,
                  uint8_t *edge)
{
    size_t pixels = (size_t)width * (size_t)height;
    for (size_t p = 0; p < pixels; p++)
        edge[p] = kept[p] > strong;
    for (bool again = true; again;) {
        again = false;
        for (int y = 1; y + 1 < height; y++) {
            for (int x = 1; x + 1 < width; x++) {
                size_t p = (size_t)(y * width + x);
                if (edge[p] || !(kept[p] > weak))
                    continue;
                for (int k = 0; k < 9; k++)
                    edge[p] |= edge[(y + k / 3 - 1) * width + x + k % 3 - 1];
                again |= edge[p];
            }
        }
    }
}

/*
 * Chance alone makes the magnitudes, at densities around that at which components grow across the
 * whole picture: long, branching, winding ones.
 */
static void connected_edges_are_those_of_a_flood_in_every_order(void **state)
{
    (void)state;
    enum { WIDTH = 150, HEIGHT = 90, PIXELS = WIDTH * HEIGHT };
    struct guarded memory[4];
    double *kept = guarded_take(&memory[0], PIXELS * sizeof(double));
    uint8_t *mark = guarded_take(&memory[1], PIXELS), *edge = guarded_take(&memory[2], PIXELS);
    uint32_t *label = guarded_take(&memory[3], PIXELS * sizeof(*label));
    uint8_t *expected = malloc(PIXELS);
    static const uint32_t percent[] = {25, 35, 40, 45, 60, 100};
    for (size_t i = 0; i < COUNT(percent) * EMULATE_ORDERS; i++) {
        emulate_order = (int)(i % EMULATE_ORDERS);
        size_t strong = 0, edges = 0;
        for (int p = 0; p < PIXELS; p++) {
            int y = p / WIDTH, x = p % WIDTH;
            struct vj_u32x4 r = vj_random4(i / EMULATE_ORDERS, VJ_RNG_TEST, 1, (uint32_t)p);
            bool frame = y == 0 || x == 0 || y == HEIGHT - 1 || x == WIDTH - 1;
            bool weak = !frame && r.v[0] % 100 < percent[i / EMULATE_ORDERS];
            kept[p] = weak ? r.v[1] % 400 == 0 ? 3.0 : 2.0 : 1.0;
            strong += kept[p] > 2.5;
        }
        struct vj_cuda_edge_limits limits = {1.5, 2.5};
        struct vj_cuda_edge_job job = {kept, &limits, WIDTH, HEIGHT, mark, label, edge};
        emulate_connect(&job);
        flood(kept, WIDTH, HEIGHT, 1.5, 2.5, expected);
        assert_memory_equal(edge, expected, PIXELS);
        for (int p = 0; p < PIXELS; p++)
            edges += edge[p];
        assert_true(edges > 0 && edges >= strong);
    }
    for (size_t i = 0; i < 4; i++)
        guarded_release(&memory[i]);
    free(expected);
}

/* One of many threads that join pixels: between looking and hanging, others get their turns. */
struct joiner {
    struct vj_cuda_union u;
    bool looked;
};

/*
 * Joins neighbours of a field of 0s and 1s by threads whose steps are interleaved by chance.
 * Returns how often a thread found that another one had been first.
 */
static size_t join_interleaved(const uint8_t *weak, int width, int height, uint32_t *label,
                               uint64_t seed)
{
    enum { JOINERS = 64 };
    struct joiner joiner[JOINERS];
    size_t active = 0, late = 0, next = 0;
    size_t pairs = 4 * (size_t)width * (size_t)height;
    for (uint32_t turn = 0; active > 0 || next < pairs; turn++) {
        while (active < JOINERS && next < pairs) {
            size_t p = next / 4;
            const size_t before[4] = {p - 1, p - (size_t)width - 1, p - (size_t)width,
                                      p - (size_t)width + 1};
            size_t q = before[next++ % 4];
            if (weak[p] && weak[q])
                joiner[active++] = (struct joiner){{(uint32_t)p, (uint32_t)q}, false};
        }
        if (active == 0)
            break;
        uint32_t word = vj_random4(seed, VJ_RNG_TEST, turn >> 24, turn & 0xFFFFFF).v[0];
        struct joiner *j = &joiner[vj_random_below(word, (uint32_t)active)];
        bool done;
        if (j->looked) {
            done = vj_cuda_union_hang(label, &j->u);
            late += !done;
        } else {
            done = !vj_cuda_union_look(label, &j->u);
        }
        j->looked = !j->looked;
        if (done)
            *j = joiner[--active];
    }
    return late;
}

static void edges_join_while_other_threads_move_the_labels(void **state)
{
    (void)state;
    enum { WIDTH = 60, HEIGHT = 40, PIXELS = WIDTH * HEIGHT };
    uint8_t weak[PIXELS];
    uint32_t label[PIXELS], expected[PIXELS];
    size_t late = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        for (uint32_t p = 0; p < PIXELS; p++) {
            uint32_t y = p / WIDTH, x = p % WIDTH;
            bool frame = y == 0 || x == 0 || y == HEIGHT - 1 || x == WIDTH - 1;
            uint32_t word = vj_random4(seed, VJ_RNG_TEST, 7, p).v[0];
            weak[p] = !frame && word % 100 < 30 + seed;
            label[p] = expected[p] = p;
        }
        late += join_interleaved(weak, WIDTH, HEIGHT, label, seed);
        /* One after the other, no thread is ever late. */
        for (size_t p = WIDTH; p < PIXELS - WIDTH; p++) {
            const size_t before[4] = {p - 1, p - WIDTH - 1, p - WIDTH, p - WIDTH + 1};
            for (size_t k = 0; k < 4; k++)
                if (weak[p] && weak[before[k]])
                    vj_cuda_unite(expected, (uint32_t)p, (uint32_t)before[k]);
        }
        for (uint32_t p = 0; p < PIXELS; p++)
            assert_int_equal(vj_cuda_find(label, p), vj_cuda_find(expected, p));
    }
    assert_true(late > 100);
}

static void epc17_maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(jnd_sizes) * CONTENTS; i++) {
        const size_t *size = jnd_sizes[i / CONTENTS];
        size_t pixels = size[0] * size[1];
        struct jnd_picture p = jnd_picture(size[0], size[1], (enum content)(i % CONTENTS));
        emulate_order = (int)(i % EMULATE_ORDERS);
        struct guarded memory;
        uint8_t *edge = guarded_take(&memory, pixels);
        uint32_t gradient;
        emulate_edges(&p.plane, 0, edge, &gradient);
        emulate_epc(&p.plane, edge, p.map);
        assert_int_equal(vj_jnd_compute("epc17", NULL, &p.img, p.expected, NULL), 0);
        assert_same_floats(p.map, p.expected, pixels);
        guarded_release(&memory);
        jnd_picture_free(&p);
    }
}

static void maps_of_yang05_and_the_epc17_paper_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(jnd_sizes) * CONTENTS; i++) {
        const size_t *size = jnd_sizes[i / CONTENTS];
        struct jnd_picture p = jnd_picture(size[0], size[1], (enum content)(i % CONTENTS));
        emulate_order = (int)(i % EMULATE_ORDERS);
        emulate_paper(&p.plane, p.map);
        assert_int_equal(vj_jnd_compute("epc17", "paper", &p.img, p.expected, NULL), 0);
        assert_same_floats(p.map, p.expected, size[0] * size[1]);
        for (int paper = 0; paper < 2; paper++) {
            emulate_yang(&p.plane, paper, p.map);
            assert_int_equal(
                vj_jnd_compute("yang05", paper ? "paper" : "authors", &p.img, p.expected, NULL), 0);
            assert_same_floats(p.map, p.expected, size[0] * size[1]);
        }
        jnd_picture_free(&p);
    }
}

/* Tiles of fep13 are 32x32, and neighbours' patches reach 13 pixels, over the far border too. */
static void fep13_maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {2, 9},   {9, 3},   {13, 14}, {5, 31},
                                      {32, 32}, {33, 35}, {34, 20}, {65, 34}};
    for (size_t i = 0; i < COUNT(sizes) * CONTENTS; i++) {
        const size_t *size = sizes[i / CONTENTS];
        struct jnd_picture p = jnd_picture(size[0], size[1], (enum content)(i % CONTENTS));
        emulate_order = (int)((i + i / CONTENTS) % EMULATE_ORDERS);
        emulate_fep(&p.plane, p.map);
        assert_int_equal(vj_jnd_compute("fep13", NULL, &p.img, p.expected, NULL), 0);
        assert_same_floats(p.map, p.expected, size[0] * size[1]);
        jnd_picture_free(&p);
    }
}

/* Tiles of the structure are 48x48, and see eight pixels around them. */
static void liu10_structures_and_maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {1, 9},   {9, 1},   {8, 8},   {47, 2},
                                      {48, 48}, {49, 50}, {56, 40}, {97, 57}, {250, 51}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t *size = sizes[i];
        const size_t pixels = size[0] * size[1];
        struct jnd_picture p = jnd_picture(size[0], size[1], (enum content)(i % CONTENTS));
        emulate_order = (int)((i + i / 3) % EMULATE_ORDERS);
        struct guarded memory;
        uint8_t *structure = guarded_take(&memory, pixels);
        emulate_structure(&p.plane, structure);
        for (int paper = 0; paper < 2; paper++) {
            emulate_liu(&p.plane, structure, paper, p.map);
            assert_int_equal(vj_jnd_compute("liu10", paper ? "paper-pd" : "authors-pd", &p.img,
                                            p.expected, NULL),
                             0);
            assert_same_floats(p.map, p.expected, pixels);
        }
        guarded_release(&memory);
        jnd_picture_free(&p);
    }
}

/*
 * Pictures with rows and columns beyond the whole blocks and without; the last has more batches of
 * blocks than there are thread blocks to sum them.
 */
static void klt22_maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{40, 104}, {79, 81}, {1043, 9}, {72, 73}, {603, 440}};
    for (size_t i = 0; i < COUNT(sizes) * CONTENTS; i++) {
        const size_t *size = sizes[i / CONTENTS];
        struct jnd_picture p = jnd_picture(size[0], size[1], (enum content)(i % CONTENTS));
        emulate_order = (int)((i + i / CONTENTS) % EMULATE_ORDERS);
        for (int raw = 0; raw < 2; raw++) {
            emulate_klt(&p.plane, raw, p.map);
            assert_int_equal(
                vj_jnd_compute("klt22", raw ? "raw" : "authors", &p.img, p.expected, NULL), 0);
            assert_same_floats(p.map, p.expected, size[0] * size[1]);
        }
        jnd_picture_free(&p);
    }
}

/* Few patterns on black, one of them in one block only: nothing is missing, to the last bit. */
static void klt22_leaves_no_rounding_error_where_nothing_is_missing(void **state)
{
    (void)state;
    enum { WIDTH = 128, HEIGHT = 192, FAINT = 100 * WIDTH + 21 };
    struct jnd_picture p = jnd_picture(WIDTH, HEIGHT, NOISE);
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++) {
        size_t x = i % WIDTH, y = i / WIDTH;
        p.luma[i] = x >= 35 && x < 119 && y >= 45 && y < 189 ? 235 : 0;
    }
    p.luma[FAINT] = 1;
    for (int raw = 0; raw < 2; raw++) {
        emulate_klt(&p.plane, raw, p.map);
        for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
            assert_true(p.map[i] == 0);
    }
    jnd_picture_free(&p);
}

static void maps_become_the_8_bit_samples_of_the_cpu(void **state)
{
    (void)state;
    enum { MOST = 700 };
    static const size_t counts[] = {1, 2, 255, 257, MOST};
    float map[MOST];
    uint8_t expected[MOST];
    for (size_t i = 0; i < COUNT(counts) * 3; i++) {
        size_t n = counts[i / 3];
        struct guarded memory;
        uint8_t *out = guarded_take(&memory, n);
        uint32_t not_finite = 77;
        emulate_order = (int)(i % 3);
        for (size_t k = 0; k < n; k++)
            map[k] = (float)vj_random4(9, VJ_RNG_TEST, i, (uint32_t)k).v[0] / 1e7f - 40.0f;
        emulate_to_u8(map, n, (enum vj_jnd_scale)(i % 3), out, &not_finite);
        assert_int_equal(vj_jnd_to_u8(map, n, (enum vj_jnd_scale)(i % 3), expected, NULL), 0);
        assert_memory_equal(out, expected, n);
        assert_int_equal(not_finite, 0);
        guarded_release(&memory);
    }
}

static void a_value_that_is_not_finite_is_reported_wherever_it_is(void **state)
{
    (void)state;
    enum { N = 600 };
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3 * N; i += 37) {
        float map[N] = {0};
        uint8_t out[N];
        uint32_t not_finite = 0;
        map[N / 2] = 5;
        map[i / 3] = values[i % 3];
        emulate_to_u8(map, N, VJ_JND_MINMAX, out, &not_finite);
        assert_int_equal(not_finite, 1);
        for (size_t k = 0; k < N; k++)
            assert_int_equal(out[k], 0);
    }
}

/* Values that make a sum depend on its order, and whole numbers, which differences can equal. */
static float *uneven_map(size_t n, uint32_t seed)
{
    float *map = malloc(n * sizeof(*map));
    assert_non_null(map);
    for (size_t i = 0; i < n; i++) {
        uint32_t word = vj_random4(seed, VJ_RNG_TEST, 3, (uint32_t)i).v[0];
        map[i] = (float)(word % 1000003) / (float)(word % 7 ? 31337 : 3);
        if (word % 3 == 0)
            map[i] = (float)(word % 200);
    }
    return map;
}

/* As vj_jnd_measure() has it, with what the device computes put together as cuda/rules.c does. */
static void check_rules(size_t width, size_t height, int channels)
{
    enum { CANDIDATES = 3 };
    const size_t n = width * height;
    struct vj_image d = content_picture(width, height * CANDIDATES, channels, NOISE, 8);
    struct vj_image r = content_picture(width, height, channels, SMOOTH, 9);
    uint8_t *luma = malloc((CANDIDATES + 1) * n), *reference = luma + CANDIDATES * n;
    float *map = uneven_map(n, (uint32_t)channels);
    double share[CANDIDATES], excess[CANDIDATES], energy;
    uint64_t square[CANDIDATES];
    vj_jnd_luma(&d, luma);
    vj_jnd_luma(&r, reference);
    memcpy(d.data, r.data, n * (size_t)channels); /* the first candidate is the reference */
    memcpy(luma, reference, n);
    emulate_rules((struct vj_cuda_rules_job){
        .count = 1, .pixels = n, .channels = 1, .map = map, .real = &energy});
    emulate_rules((struct vj_cuda_rules_job){.candidates = d.data,
                                             .count = CANDIDATES,
                                             .pixels = n,
                                             .channels = channels,
                                             .reference = reference,
                                             .map = map,
                                             .share = share,
                                             .real = excess,
                                             .square = square});
    assert_same_doubles(energy, vj_jnd_noise_energy(map, n));
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct vj_jnd_statistics s;
        uint64_t expected = 0;
        for (size_t k = 0; k < n; k++) {
            int difference = luma[i * n + k] - reference[k];
            expected += (uint64_t)(difference * difference);
        }
        vj_jnd_measure(luma + i * n, reference, map, n, energy, &s);
        assert_same_doubles(share[i], s.share);
        assert_same_doubles(excess[i], s.excess);
        assert_int_equal(square[i], expected);
        assert_same_doubles(vj_jnd_noise_gain(energy, square[i], n), s.noise_gain);
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
        for (int channels = 1; channels <= 3; channels += 2) {
            emulate_order = (int)((i + (size_t)channels / 2) % EMULATE_ORDERS);
            check_rules(sizes[i][0], sizes[i][1], channels);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(luma_on_the_device_equals_that_of_the_cpu),
        cmocka_unit_test(chou95_maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(edges_and_thresholds_equal_those_of_the_cpu),
        cmocka_unit_test(connected_edges_are_those_of_a_flood_in_every_order),
        cmocka_unit_test(edges_join_while_other_threads_move_the_labels),
        cmocka_unit_test(epc17_maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(maps_of_yang05_and_the_epc17_paper_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(fep13_maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(liu10_structures_and_maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(klt22_maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(klt22_leaves_no_rounding_error_where_nothing_is_missing),
        cmocka_unit_test(maps_become_the_8_bit_samples_of_the_cpu),
        cmocka_unit_test(a_value_that_is_not_finite_is_reported_wherever_it_is),
        cmocka_unit_test(numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
