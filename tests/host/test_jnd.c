/* SPDX-License-Identifier: MIT */
/* Pixel-JND models and their building blocks. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jnd_canny.h"
#include "host/jnd_map.h"
#include "host/jnd_math.h"
#include "host/rng.h"
#include "tests/host/jnd_golden.h"

static void fill_random(uint8_t *data, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)vj_random4(1, VJ_RNG_TEST, stream, (uint32_t)i).v[0];
}

static struct vj_jnd_padded padded(const uint8_t *src, size_t width, size_t height, size_t pad,
                                   enum vj_jnd_border border)
{
    struct vj_jnd_padded p = {
        .width = width, .height = height, .pad = pad, .stride = width + 2 * pad};
    p.data = take(p.stride * (height + 2 * pad), sizeof(*p.data));
    vj_jnd_pad(&p, src, border, 1);
    return p;
}

/* Sample of a picture with zeros outside. */
static int sample(const uint8_t *src, size_t width, size_t height, ptrdiff_t y, ptrdiff_t x)
{
    if (y < 0 || x < 0 || y >= (ptrdiff_t)height || x >= (ptrdiff_t)width)
        return 0;
    return src[(size_t)y * width + (size_t)x];
}

/* The definition of a 5x5 correlation. */
static int correlate5(const uint8_t *src, size_t width, size_t height, size_t y, size_t x,
                      const int kernel[5][5])
{
    int sum = 0;
    for (int dy = -2; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++)
            sum += kernel[dy + 2][dx + 2] *
                   sample(src, width, height, (ptrdiff_t)y + dy, (ptrdiff_t)x + dx);
    return sum;
}

/* --- arithmetic ------------------------------------------------------------------------------- */

static void luma_is_the_nearest_integer_for_every_colour_and_halves_go_up(void **state)
{
    (void)state;
    struct vj_image img = {.width = 256, .height = 256, .channels = 3};
    img.data = take(256 * 256, 3);
    uint8_t *luma = take(256 * 256, 1);
    size_t halves = 0;
    for (unsigned r = 0; r < 256; r++) {
        for (unsigned gb = 0; gb < 65536; gb++) {
            img.data[3 * gb] = (uint8_t)r;
            img.data[3 * gb + 1] = (uint8_t)(gb >> 8);
            img.data[3 * gb + 2] = (uint8_t)gb;
        }
        vj_jnd_luma(&img, luma);
        for (unsigned gb = 0; gb < 65536; gb++) {
            long excess = 10000l * luma[gb] -
                          (2989l * r + 5870l * (long)(gb >> 8) + 1140l * (long)(gb & 255));
            if (excess <= -5000 || excess > 5000)
                fail_msg("luma of %u, %u, %u is %u", r, gb >> 8, gb & 255, luma[gb]);
            halves += excess == 5000;
        }
    }
    assert_int_not_equal(halves, 0);
    free(luma);
    vj_image_free(&img);
}

static void a_grey_picture_is_its_own_luma(void **state)
{
    (void)state;
    uint8_t grey[3] = {0, 77, 255}, luma[3] = {1, 1, 1};
    struct vj_image img = {.width = 3, .height = 1, .channels = 1, .data = grey};
    vj_jnd_luma(&img, luma);
    assert_memory_equal(luma, grey, 3);
}

static void luminance_adaptation_meets_at_127_and_has_its_known_ends(void **state)
{
    (void)state;
    assert_float_equal(vj_jnd_luminance(0), 20.0, 1e-6);
    assert_float_equal(vj_jnd_luminance(127), 3.0, 0);
    assert_float_equal(vj_jnd_luminance(128), 3.0 + 3.0 / 128, 1e-6);
    assert_float_equal(vj_jnd_luminance(255), 6.0, 1e-6);
    assert_float_equal(vj_jnd_luminance(127.0f / 4), 11.5, 1e-6);
}

static void the_dark_lift_is_a_rounded_line_up_to_127_and_identity_above(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++)
        assert_int_equal(vj_jnd_lift(b), b <= 127 ? (int)lround(32 + b * 95 / 127.0) : b);
}

static void namm_takes_off_0_3_of_the_smaller_threshold(void **state)
{
    (void)state;
    assert_float_equal(vj_jnd_namm(10, 4), 12.8, 1e-6);
    assert_float_equal(vj_jnd_namm(4, 10), 12.8, 1e-6);
    assert_float_equal(vj_jnd_namm(-1, 5), 4.3, 1e-6); /* a negative one is not clipped */
}

static void the_fifth_root_and_the_masking_functions_match_pow(void **state)
{
    (void)state;
    assert_float_equal(vj_jnd_fifth_root(0), 0, 0);
    for (int step = 0; step < 70000; step++) {
        float x = (float)(1e-4 * pow(1.000328, step)); /* up to 1e6 */
        assert_float_equal(vj_jnd_fifth_root(x) / pow((double)x, 0.2), 1, 2e-6);
    }
    assert_float_equal(vj_jnd_epc_contrast(0, 1.84f), 0, 0);
    for (uint32_t variance = 1; variance <= 10140000; variance += variance / 200 + 1) {
        float v = (float)variance / 625;
        double expected = 1.84 * pow(sqrt((double)v), 2.4) / (v + 676.0);
        assert_float_equal(vj_jnd_epc_contrast(v, 1.84f), expected, 1e-5 + 1e-5 * expected);
    }
    for (int hundredths = 5; hundredths <= 900; hundredths++) {
        double p = hundredths / 100.0, expected = 0.3 * pow(p, 2.7) / (p * p + 1.0);
        assert_float_equal(vj_jnd_epc_pattern((float)p, 0.3f, 1.0f), expected, 1e-5);
    }
}

/* The definition, with the library's arc tangent. */
static int bin_by_angle(int sx, int sy)
{
    if (sx * sx + sy * sy < 225)
        return 192 / 12;
    int o = (int)round(atan2(sy, sx) * (180 / M_PI));
    o = o > 90 ? o - 180 : o;
    o = o < -90 ? o + 180 : o;
    return (o + 90 + 6) / 12;
}

static void every_possible_gradient_falls_into_the_bin_of_its_angle(void **state)
{
    (void)state;
    for (int sx = -765; sx <= 765; sx++)
        for (int sy = -765; sy <= 765; sy++)
            if (vj_jnd_epc_bin(sx, sy) != bin_by_angle(sx, sy))
                fail_msg("(%d, %d): bin %d, by angle %d", sx, sy, vj_jnd_epc_bin(sx, sy),
                         bin_by_angle(sx, sy));
}

static void the_two_vertical_directions_stay_in_the_two_end_bins(void **state)
{
    (void)state;
    assert_int_equal(vj_jnd_epc_bin(0, 100), 15);  /* 90 degrees, 180 after the shift */
    assert_int_equal(vj_jnd_epc_bin(0, -100), 0);  /* -90, 0 */
    assert_int_equal(vj_jnd_epc_bin(100, 0), 8);   /* 0, 90 */
    assert_int_equal(vj_jnd_epc_bin(-100, 0), 8);  /* 180, turned to 0 */
    assert_int_equal(vj_jnd_epc_bin(-1, 300), 15); /* 90.19, rounded to 90 before the turn */
    assert_int_equal(vj_jnd_epc_bin(-1, -300), 0); /* -90.19, rounded to -90 */
    assert_int_equal(vj_jnd_epc_bin(-10, 300), 0); /* 91.9, turned to -88 */
    assert_int_equal(vj_jnd_epc_bin(9, 12), 12);   /* exactly 225: structured, 53 + 90 */
    assert_int_equal(vj_jnd_epc_bin(9, 11), VJ_JND_UNSTRUCTURED);
}

/* --- planes and integer filters --------------------------------------------------------------- */

static void padding_is_zero_replicated_or_mirrored_with_the_edge_repeated(void **state)
{
    (void)state;
    const uint8_t src[3] = {10, 20, 30};
    const int16_t zero[13] = {0, 0, 0, 0, 0, 10, 20, 30, 0, 0, 0, 0, 0};
    const int16_t replicate[13] = {10, 10, 10, 10, 10, 10, 20, 30, 30, 30, 30, 30, 30};
    const int16_t symmetric[13] = {20, 30, 30, 20, 10, 10, 20, 30, 30, 20, 10, 10, 20};
    struct vj_jnd_padded z = padded(src, 3, 1, 5, VJ_JND_ZERO);
    struct vj_jnd_padded r = padded(src, 3, 1, 5, VJ_JND_REPLICATE);
    struct vj_jnd_padded s = padded(src, 3, 1, 5, VJ_JND_SYMMETRIC);
    for (ptrdiff_t y = -5; y <= 5; y++) {
        for (ptrdiff_t x = -5; x < 8; x++) {
            assert_int_equal(*vj_jnd_at(&z, y, x), y ? 0 : zero[x + 5]);
            assert_int_equal(*vj_jnd_at(&r, y, x), replicate[x + 5]);
            assert_int_equal(*vj_jnd_at(&s, y, x), symmetric[x + 5]);
        }
    }
    free(z.data);
    free(r.data);
    free(s.data);
}

/* Runs `check` on pictures of awkward sizes, random and extreme. */
static void on_pictures(void (*check)(const uint8_t *src, size_t width, size_t height))
{
    static const size_t sizes[][2] = {{1, 1}, {2, 1}, {1, 7}, {5, 5}, {17, 9}, {33, 21}, {256, 3}};
    uint8_t src[1024];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_random(src, sizeof(src), i);
        check(src, sizes[i][0], sizes[i][1]);
        for (size_t p = 0; p < sizeof(src); p++)
            src[p] = src[p] & 1 ? 255 : 0;
        check(src, sizes[i][0], sizes[i][1]);
    }
}

static void check_background(const uint8_t *src, size_t width, size_t height)
{
    static const int kernel[5][5] = {
        {1, 1, 1, 1, 1}, {1, 2, 2, 2, 1}, {1, 2, 0, 2, 1}, {1, 2, 2, 2, 1}, {1, 1, 1, 1, 1}};
    struct vj_jnd_padded p = padded(src, width, height, 2, VJ_JND_ZERO);
    uint16_t out[VJ_JND_SPAN];
    for (size_t y = 0; y < height; y++) {
        vj_jnd_background(vj_jnd_at(&p, (ptrdiff_t)y, 0), p.stride, width, out);
        for (size_t x = 0; x < width; x++)
            assert_int_equal(out[x], correlate5(src, width, height, y, x, kernel));
    }
    free(p.data);
}

static void the_background_is_its_5x5_correlation_with_zeros_outside(void **state)
{
    (void)state;
    on_pictures(check_background);
}

static const int operators[4][5][5] = {
    {{0, 0, 0, 0, 0}, {1, 3, 8, 3, 1}, {0, 0, 0, 0, 0}, {-1, -3, -8, -3, -1}, {0, 0, 0, 0, 0}},
    {{0, 0, 1, 0, 0}, {0, 8, 3, 0, 0}, {1, 3, 0, -3, -1}, {0, 0, -3, -8, 0}, {0, 0, -1, 0, 0}},
    {{0, 0, 1, 0, 0}, {0, 0, 3, 8, 0}, {-1, -3, 0, 3, 1}, {0, -8, -3, 0, 0}, {0, 0, -1, 0, 0}},
    {{0, 1, 0, -1, 0}, {0, 3, 0, -3, 0}, {0, 8, 0, -8, 0}, {0, 3, 0, -3, 0}, {0, 1, 0, -1, 0}},
};

static int gradient_by_definition(const uint8_t *src, size_t width, size_t height, size_t y,
                                  size_t x)
{
    int best = 0;
    for (int k = 0; k < 4; k++) {
        int g = abs(correlate5(src, width, height, y, x, operators[k]));
        best = g > best ? g : best;
    }
    return best;
}

static void check_gradient(const uint8_t *src, size_t width, size_t height)
{
    struct vj_jnd_padded p = padded(src, width, height, 2, VJ_JND_ZERO);
    uint16_t out[VJ_JND_SPAN];
    int inner = 0;
    for (size_t y = 0; y < height; y++) {
        vj_jnd_gradient(vj_jnd_at(&p, (ptrdiff_t)y, 0), p.stride, width, out);
        for (size_t x = 0; x < width; x++) {
            int g = gradient_by_definition(src, width, height, y, x);
            assert_int_equal(out[x], g);
            if (y >= 2 && x >= 2 && y + 2 < height && x + 2 < width)
                inner = g > inner ? g : inner;
        }
    }
    assert_int_equal(vj_jnd_inner_gradient(&p, 2), inner);
    free(p.data);
}

static void the_gradient_is_the_largest_of_four_5x5_correlations_with_zeros_outside(void **state)
{
    (void)state;
    on_pictures(check_gradient);
}

static void the_gradient_takes_signed_samples_without_overflow(void **state)
{
    (void)state;
    int16_t plane[25];
    for (int i = 0; i < 25; i++)
        plane[i] = operators[1][i / 5][i % 5] > 0 ? 255 : -255;
    uint16_t out;
    vj_jnd_gradient(plane + 12, 5, 1, &out);
    assert_int_equal(out, 32 * 255);
}

static void check_variance(const uint8_t *src, size_t width, size_t height)
{
    struct vj_jnd_padded p = padded(src, width, height, 2, VJ_JND_ZERO);
    uint32_t out[VJ_JND_SPAN];
    for (size_t y = 0; y < height; y++) {
        vj_jnd_variance(vj_jnd_at(&p, (ptrdiff_t)y, 0), p.stride, width, out);
        for (size_t x = 0; x < width; x++) {
            double mean = 0, variance = 0;
            for (int k = 0; k < 25; k++)
                mean += *vj_jnd_at(&p, (ptrdiff_t)y + k / 5 - 2, (ptrdiff_t)x + k % 5 - 2) / 25.0;
            for (int k = 0; k < 25; k++) {
                int v = *vj_jnd_at(&p, (ptrdiff_t)y + k / 5 - 2, (ptrdiff_t)x + k % 5 - 2);
                variance += (v - mean) * (v - mean) / 25.0;
            }
            assert_int_equal(out[x], llround(variance * 625));
        }
    }
    free(p.data);
}

static void the_variance_is_that_of_25_samples(void **state)
{
    (void)state;
    on_pictures(check_variance);
}

static int orientation_by_definition(const struct vj_jnd_padded *p, ptrdiff_t y, ptrdiff_t x)
{
    int sx = 0, sy = 0;
    for (ptrdiff_t k = -1; k <= 1; k++) {
        sx += *vj_jnd_at(p, y + k, x + 1) - *vj_jnd_at(p, y + k, x - 1);
        sy += *vj_jnd_at(p, y + 1, x + k) - *vj_jnd_at(p, y - 1, x + k);
    }
    return bin_by_angle(sx, sy);
}

static void check_orientation(const uint8_t *src, size_t width, size_t height)
{
    struct vj_jnd_padded p = padded(src, width, height, 1, VJ_JND_SYMMETRIC);
    uint16_t *bits = take(width * height, sizeof(*bits));
    for (size_t y = 0; y < height; y++) {
        vj_jnd_orientation(vj_jnd_at(&p, (ptrdiff_t)y, 0), p.stride, width, bits + y * width);
        for (size_t x = 0; x < width; x++) {
            int bin = orientation_by_definition(&p, (ptrdiff_t)y, (ptrdiff_t)x);
            assert_int_equal(bits[y * width + x], bin == 16 ? 0 : 1 << bin);
        }
    }
    for (size_t y = 1; y + 1 < height && width > 2; y++) {
        uint8_t count[VJ_JND_SPAN];
        vj_jnd_distinct(bits + y * width + 1, width, width - 2, count);
        for (size_t x = 1; x + 1 < width; x++) {
            bool seen[17] = {false};
            int different = 0;
            for (int k = 0; k < 9; k++) {
                int bin = orientation_by_definition(&p, (ptrdiff_t)y + k / 3 - 1,
                                                    (ptrdiff_t)x + k % 3 - 1);
                different += !seen[bin];
                seen[bin] = true;
            }
            assert_int_equal(count[x - 1], bits[y * width + x] ? different : 1);
        }
    }
    free(bits);
    free(p.data);
}

static void orientations_and_their_number_match_the_definition(void **state)
{
    (void)state;
    on_pictures(check_orientation);
}

/* --- Gaussian, dilation, edge weight ---------------------------------------------------------- */

static void check_smoothing(const uint8_t *src, size_t width, size_t height)
{
    static const struct {
        size_t size;
        double sigma;
    } cases[] = {{3, 1.0}, {5, 0.8}, {7, 0.8}, {7, 7.0 / 3}, {11, 1.5}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct vj_jnd_gaussian g = vj_jnd_gaussian(cases[c].size, cases[c].sigma);
        ptrdiff_t r = (ptrdiff_t)cases[c].size / 2;
        double total = 0;
        for (ptrdiff_t dy = -r; dy <= r; dy++)
            for (ptrdiff_t dx = -r; dx <= r; dx++)
                total += exp(-(double)(dx * dx + dy * dy) / (2 * cases[c].sigma * cases[c].sigma));
        for (size_t y = 0; y < height; y++) {
            float out[VJ_JND_SPAN];
            size_t half = width / 2; /* two spans, so that both have a neighbour inside the row */
            vj_jnd_smooth(src, width, height, y, 0, half, &g, -0.5f, 200.0f, out);
            vj_jnd_smooth(src, width, height, y, half, width - half, &g, -0.5f, 200.0f, out + half);
            for (size_t x = 0; x < width; x += 3) {
                double sum = 0;
                for (ptrdiff_t dy = -r; dy <= r; dy++) {
                    for (ptrdiff_t dx = -r; dx <= r; dx++) {
                        ptrdiff_t yy = (ptrdiff_t)y + dy, xx = (ptrdiff_t)x + dx;
                        if (yy < 0 || xx < 0 || yy >= (ptrdiff_t)height || xx >= (ptrdiff_t)width)
                            continue;
                        double w = exp(-(double)(dx * dx + dy * dy) /
                                       (2 * cases[c].sigma * cases[c].sigma)) /
                                   total;
                        sum += w * (200 - 0.5 * sample(src, width, height, yy, xx));
                    }
                }
                assert_float_equal(out[x], sum, 1e-4);
            }
        }
    }
}

static void smoothing_is_the_two_dimensional_gaussian_correlation_with_zeros_outside(void **state)
{
    (void)state;
    on_pictures(check_smoothing);
}

static void gaussian_taps_sum_to_one(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 11; size += 2) {
        struct vj_jnd_gaussian g = vj_jnd_gaussian(size, 0.8);
        double sum = g.taps[0];
        for (size_t k = 1; k <= g.radius; k++)
            sum += 2.0 * g.taps[k];
        assert_float_equal(sum, 1, 2e-7);
    }
}

/* Dilates a single pixel and compares with rows of text, '#' inside. */
static void check_shape(const struct vj_jnd_shape *shape, const char *const *rows, size_t size)
{
    enum { SIDE = 19, MIDDLE = 9 };
    uint8_t src[SIDE * SIDE] = {0}, out[SIDE];
    src[MIDDLE * SIDE + MIDDLE] = 1;
    size_t first = MIDDLE - size / 2;
    for (size_t y = 0; y < SIDE; y++) {
        vj_jnd_dilate(src, SIDE, SIDE, y, shape, out);
        for (size_t x = 0; x < SIDE; x++) {
            bool covered = y >= first && x >= first && y < first + size && x < first + size;
            assert_int_equal(out[x], covered && rows[y - first][x - first] == '#');
        }
    }
}

static void dilation_has_the_three_shapes(void **state)
{
    (void)state;
    const char *const diamond[] = {"..#..", ".###.", "#####", ".###.", "..#.."};
    const char *const square[] = {"###########", "###########", "###########", "###########",
                                  "###########", "###########", "###########", "###########",
                                  "###########", "###########", "###########"};
    check_shape(&vj_jnd_diamond5, diamond, 5);
    check_shape(&vj_jnd_square5, square, 5);
    check_shape(&vj_jnd_square11, square, 11);
}

static void dilation_at_the_border_and_across_spans_matches_the_definition(void **state)
{
    (void)state;
    enum { WIDTH = VJ_JND_SPAN + 40, HEIGHT = 9 };
    static const struct vj_jnd_shape *const shapes[] = {&vj_jnd_diamond5, &vj_jnd_square5,
                                                        &vj_jnd_square11};
    uint8_t src[WIDTH * HEIGHT], out[WIDTH];
    fill_random(src, sizeof(src), 77);
    for (size_t i = 0; i < sizeof(src); i++)
        src[i] = src[i] < 6;
    for (size_t s = 0; s < 3; s++) {
        ptrdiff_t r = (ptrdiff_t)shapes[s]->radius;
        for (size_t y = 0; y < HEIGHT; y++) {
            vj_jnd_dilate(src, WIDTH, HEIGHT, y, shapes[s], out);
            for (size_t x = 0; x < WIDTH; x++) {
                int expected = 0;
                for (ptrdiff_t dy = -r; dy <= r; dy++)
                    for (ptrdiff_t dx = -r; dx <= r; dx++)
                        if (labs(dx) <= shapes[s]->reach[labs(dy)])
                            expected |=
                                sample(src, WIDTH, HEIGHT, (ptrdiff_t)y + dy, (ptrdiff_t)x + dx);
                assert_int_equal(out[x], expected);
            }
        }
    }
}

static void the_edge_weight_parameters_are_those_of_the_models(void **state)
{
    (void)state;
    assert_ptr_equal(vj_jnd_weight_yang.shape, &vj_jnd_square11);
    assert_ptr_equal(vj_jnd_weight_fep.shape, &vj_jnd_diamond5);
    assert_ptr_equal(vj_jnd_weight_epc.shape, &vj_jnd_square5);
    assert_float_equal(vj_jnd_weight_yang.attenuation, 0.95, 1e-7);
    assert_float_equal(vj_jnd_weight_fep.attenuation, 0.8, 1e-7);
    assert_float_equal(vj_jnd_weight_epc.attenuation, 1, 0);
    assert_int_equal(vj_jnd_weight_yang.gaussian_size, 7);
    assert_float_equal(vj_jnd_edge_threshold(0), 0.8, 0);
    assert_float_equal(vj_jnd_edge_threshold(16 * 60), 0.8, 0);
    assert_float_equal(vj_jnd_edge_threshold(16 * 120), 0.5, 0);
}

/* --- Canny ------------------------------------------------------------------------------------ */

static uint8_t *edges_of(const uint8_t *src, size_t width, size_t height, double threshold,
                         int threads)
{
    struct vj_jnd_padded plane = padded(src, width, height, VJ_CANNY_RADIUS, VJ_JND_REPLICATE);
    struct vj_jnd_arena arena = {0};
    vj_canny_take(&arena, width, height, threads);
    arena.base = take(vj_jnd_taken(&arena), 1);
    memset(arena.base, 0xAB, arena.used);
    arena.used = 0;
    struct vj_canny scratch = vj_canny_take(&arena, width, height, threads);
    uint8_t *edge = take(width, height);
    vj_canny(&plane, threshold, &scratch, edge, threads);
    free(arena.base);
    free(plane.data);
    return edge;
}

static void the_canny_filters_have_unit_sums(void **state)
{
    (void)state;
    struct vj_canny_taps t = vj_canny_taps();
    double g = t.g[0], d = 0;
    for (int k = 1; k <= VJ_CANNY_RADIUS; k++) {
        g += 2 * t.g[k];
        d += t.d[k];
        assert_true(t.d[k] > 0);
    }
    assert_float_equal(g, 1, 1e-15);
    assert_float_equal(d, 1, 1e-15);
    assert_float_equal(t.g[1] / t.g[0], exp(-0.25), 1e-15);
    /* central difference at 1, one-sided at the end */
    assert_float_equal(t.d[1] / t.d[6], (1 - exp(-1.0)) / 2 / (exp(-6.25) - exp(-9.0)), 1e-9);
}

static void a_constant_picture_has_no_edges(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    uint8_t src[SIDE * SIDE];
    for (int value = 0; value < 256; value += 51) {
        memset(src, value, sizeof(src));
        uint8_t *edge = edges_of(src, SIDE, SIDE, 0.5, 1);
        for (size_t i = 0; i < sizeof(src); i++)
            assert_int_equal(edge[i], 0);
        free(edge);
    }
}

static void a_step_gives_the_two_columns_beside_it_which_tie(void **state)
{
    (void)state;
    enum { WIDTH = 31, HEIGHT = 17, STEP = 14 };
    uint8_t src[WIDTH * HEIGHT];
    for (size_t i = 0; i < sizeof(src); i++)
        src[i] = i % WIDTH < STEP ? 30 : 201;
    uint8_t *edge = edges_of(src, WIDTH, HEIGHT, 0.5, 1);
    for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++)
            assert_int_equal(edge[y * WIDTH + x],
                             (x == STEP - 1 || x == STEP) && y > 0 && y < HEIGHT - 1);
    free(edge);
}

static void a_diagonal_step_gives_the_diagonal_and_the_pixels_beside_it_which_tie(void **state)
{
    (void)state;
    enum { SIDE = 25 };
    uint8_t src[SIDE * SIDE], mirrored[SIDE * SIDE];
    for (size_t y = 0; y < SIDE; y++) {
        for (size_t x = 0; x < SIDE; x++) {
            uint8_t v = x > y ? 200 : x == y ? 110 : 20;
            src[y * SIDE + x] = v;
            mirrored[y * SIDE + SIDE - 1 - x] = v;
        }
    }
    uint8_t *edge = edges_of(src, SIDE, SIDE, 0.5, 1);
    uint8_t *other = edges_of(mirrored, SIDE, SIDE, 0.5, 1);
    /* One pixel off the diagonal, the neighbour across it is the mirror image: a tie, both stay. */
    for (long y = 8; y < SIDE - 8; y++) { /* away from what the borders bend */
        for (long x = 0; x < SIDE; x++) {
            assert_int_equal(edge[y * SIDE + x], labs(x - y) <= 1);
            assert_int_equal(other[y * SIDE + x], labs(SIDE - 1 - x - y) <= 1);
        }
    }
    free(edge);
    free(other);
}

static void edges_of_the_transposed_picture_are_the_transposed_edges(void **state)
{
    (void)state;
    enum { WIDTH = 61, HEIGHT = 43 };
    uint8_t src[WIDTH * HEIGHT], turned[WIDTH * HEIGHT];
    fill_random(src, sizeof(src), 5);
    for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++)
            turned[x * HEIGHT + y] = src[y * WIDTH + x];
    uint8_t *edge = edges_of(src, WIDTH, HEIGHT, 0.4, 1);
    uint8_t *other = edges_of(turned, HEIGHT, WIDTH, 0.4, 1);
    size_t found = 0;
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH; x++) {
            assert_int_equal(edge[y * WIDTH + x], other[x * HEIGHT + y]);
            found += edge[y * WIDTH + x];
            if (x == 0 || y == 0 || x == WIDTH - 1 || y == HEIGHT - 1)
                assert_int_equal(edge[y * WIDTH + x], 0);
        }
    }
    assert_true(found > 50);
    free(edge);
    free(other);
}

static void a_weak_edge_stays_only_where_it_leads_to_a_strong_one(void **state)
{
    (void)state;
    enum { WIDTH = 60, HEIGHT = 80 };
    /* Left: a step whose height fades from 100 to 50. Right: a step of 50 all the way down. */
    uint8_t src[WIDTH * HEIGHT];
    for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++)
            src[y * WIDTH + x] = (uint8_t)(x < 15   ? 20
                                           : x < 40 ? 120 - 50 * y / (HEIGHT - 1)
                                                    : 170 - 50 * y / (HEIGHT - 1));
    uint8_t *edge = edges_of(src, WIDTH, HEIGHT, 0.7, 1);
    for (size_t y = 2; y + 2 < HEIGHT; y++) {
        assert_true(edge[y * WIDTH + 14] || edge[y * WIDTH + 15]);
        assert_false(edge[y * WIDTH + 39] || edge[y * WIDTH + 40]);
    }
    free(edge);
}

/* --- models ----------------------------------------------------------------------------------- */

static void maps_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    enum { WIDTH = 301, HEIGHT = 97 };
    uint8_t *luma = take(WIDTH, HEIGHT);
    float *one = take(WIDTH * HEIGHT, sizeof(*one)), *more = take(WIDTH * HEIGHT, sizeof(*more));
    fill_random(luma, WIDTH * HEIGHT, 9);
    for (size_t i = 0; i < WIDTH * HEIGHT;
         i++) /* blocks with noise on top, for edges of all kinds */
        luma[i] = (uint8_t)(luma[i] / 8 + 90 * ((i % WIDTH / 23 + i / WIDTH / 19) % 3));
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        if (vj_jnd_models[m]->needs_weights) /* tests/host/test_resjnd.c */
            continue;
        for (size_t v = 0; vj_jnd_models[m]->variants[v]; v++) {
            run(vj_jnd_models[m], v, luma, WIDTH, HEIGHT, 1, one, NULL);
            for (int threads = 2; threads <= 7; threads++) {
                run(vj_jnd_models[m], v, luma, WIDTH, HEIGHT, threads, more, NULL);
                assert_memory_equal(one, more, WIDTH * HEIGHT * sizeof(*one));
            }
        }
    }
    free(luma);
    free(one);
    free(more);
}

static void a_flat_grey_picture_has_the_thresholds_of_the_formulas(void **state)
{
    (void)state;
    enum { SIDE = 21, MIDDLE = SIDE * SIDE / 2 };
    uint8_t luma[SIDE * SIDE];
    float map[SIDE * SIDE];
    memset(luma, 100, sizeof(luma));
    double la = 17 * (1 - sqrt(100 / 127.0)) + 3, beta = 0.5 - 0.01 * 100;
    run(&vj_jnd_chou95, 0, luma, SIDE, SIDE, 1, map, NULL);
    assert_float_equal(map[MIDDLE], la + beta - 0.3 * beta, 1e-5);
    run(&vj_jnd_chou95, 1, luma, SIDE, SIDE, 1, map, NULL);
    assert_float_equal(map[MIDDLE], la, 1e-5);
    run(&vj_jnd_epc17, 0, luma, SIDE, SIDE, 1, map, NULL);
    double lifted = round(32 + 100 * 95 / 127.0);
    assert_float_equal(map[MIDDLE], 0.7 * (17 * (1 - sqrt(lifted / 127)) + 3), 1e-5);
}

static void the_edge_weight_of_epc17_is_one_inside_and_falls_towards_the_border(void **state)
{
    (void)state;
    enum { SIDE = 16, STAGES = 10, WEIGHT = 7 };
    uint8_t luma[SIDE * SIDE];
    float map[SIDE * SIDE], weight[SIDE * SIDE];
    memset(luma, 60, sizeof(luma));
    float *stages[STAGES] = {NULL};
    assert_string_equal(vj_jnd_epc17.stages[WEIGHT].name, "weight");
    assert_null(vj_jnd_epc17.stages[STAGES].name);
    stages[WEIGHT] = weight;
    run(&vj_jnd_epc17, 0, luma, SIDE, SIDE, 1, map, stages);
    double e1 = exp(-1 / 1.28), e2 = exp(-4 / 1.28), sum = 1 + 2 * e1 + 2 * e2;
    double beside = (1 + e1 + e2) / sum;
    assert_float_equal(weight[8 * SIDE + 8], 1, 1e-6);
    assert_float_equal(weight[8 * SIDE], beside, 1e-6);
    assert_float_equal(weight[0], beside * beside, 1e-6);
    assert_float_equal(weight[8 * SIDE + 1], (sum - e2) / sum, 1e-6);
}

static void a_used_workspace_serves_smaller_pictures_and_refuses_larger_ones(void **state)
{
    (void)state;
    uint8_t *luma = take(64, 48);
    float *map = take(64 * 48, sizeof(*map)), *fresh = take(64 * 48, sizeof(*fresh));
    fill_random(luma, 64 * 48, 3);
    struct vj_error err = {0};
    struct vj_jnd_workspace *ws;
    size_t bytes = vj_jnd_workspace_bytes(&vj_jnd_epc17, 64, 48, 2);
    assert_int_equal(vj_jnd_workspace_create(&ws, bytes, 2, &err), 0);
    struct vj_jnd_job job = {.luma = luma, .width = 64, .height = 48, .map = map};
    assert_int_equal(vj_jnd_run(&vj_jnd_epc17, &job, ws, &err), 0);
    job.width = 31;
    job.height = 29;
    assert_int_equal(vj_jnd_run(&vj_jnd_epc17, &job, ws, &err), 0);
    run(&vj_jnd_epc17, 0, luma, 31, 29, 2, fresh, NULL);
    assert_memory_equal(map, fresh, 31 * 29 * sizeof(*map));
    job.width = 128;
    job.height = 24;
    assert_int_equal(vj_jnd_run(&vj_jnd_epc17, &job, ws, &err), -ENOBUFS);
    vj_assert_contains(err.text, "128x24");
    job.width = 0;
    assert_int_equal(vj_jnd_run(&vj_jnd_epc17, &job, ws, &err), -EINVAL);
    job.width = 31;
    job.variant = 7;
    assert_int_equal(vj_jnd_run(&vj_jnd_epc17, &job, ws, &err), -EINVAL);
    vj_jnd_workspace_free(ws);
    free(luma);
    free(map);
    free(fresh);
}

static void sizes_beyond_memory_are_refused_not_wrapped_around(void **state)
{
    (void)state;
    struct vj_error err = {0};
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        if (vj_jnd_models[m]->needs_weights)
            continue;
        assert_int_equal(vj_jnd_workspace_bytes(vj_jnd_models[m], SIZE_MAX / 2, 3, 1), 0);
        assert_int_equal(vj_jnd_workspace_bytes(vj_jnd_models[m], SIZE_MAX - 3, 1, 1), 0);
        assert_int_equal(vj_jnd_workspace_bytes(vj_jnd_models[m], 1, SIZE_MAX, 1), 0);
        assert_int_equal(
            vj_jnd_workspace_bytes(vj_jnd_models[m], (size_t)1 << 33, (size_t)1 << 33, 1), 0);
    }
    struct vj_jnd_workspace *ws;
    assert_int_equal(vj_jnd_workspace_create(&ws, 0, 1, &err), -EINVAL);
    assert_null(ws);
    assert_int_equal(vj_jnd_workspace_create(&ws, 64, 0, &err), -EINVAL);
    assert_int_equal(vj_jnd_workspace_create(&ws, SIZE_MAX, 1, &err), -ENOMEM);
    assert_null(ws);
    vj_jnd_workspace_free(NULL);
}

static void names_are_found_and_errors_list_the_choices(void **state)
{
    (void)state;
    struct vj_error err = {0};
    assert_ptr_equal(vj_jnd_find("chou95", &err), &vj_jnd_chou95);
    assert_null(vj_jnd_find("epc", &err));
    vj_assert_contains(err.text, "\"epc\"");
    vj_assert_contains(err.text, "chou95, yang05");
    size_t variant = 9;
    assert_int_equal(vj_jnd_variant_find(&variant, &vj_jnd_chou95, NULL, &err), 0);
    assert_int_equal(variant, 0);
    assert_int_equal(vj_jnd_variant_find(&variant, &vj_jnd_chou95, "paper", &err), 0);
    assert_int_equal(variant, 1);
    assert_int_equal(vj_jnd_variant_find(&variant, &vj_jnd_chou95, "raw", &err), -EINVAL);
    vj_assert_contains(err.text, "authors, paper");
    enum vj_jnd_scale scale = VJ_JND_NONE;
    for (int s = 0; s < 3; s++) {
        assert_int_equal(vj_jnd_scale_parse(&scale, vj_jnd_scale_name((enum vj_jnd_scale)s), &err),
                         0);
        assert_int_equal(scale, s);
    }
    assert_int_equal(vj_jnd_scale_parse(&scale, "log", &err), -EINVAL);
    vj_assert_contains(err.text, "minmax, max, none");
}

static void one_call_computes_a_colour_picture_from_its_luma(void **state)
{
    (void)state;
    enum { WIDTH = 30, HEIGHT = 20 };
    uint8_t rgb[WIDTH * HEIGHT * 3], luma[WIDTH * HEIGHT];
    float map[WIDTH * HEIGHT], expected[WIDTH * HEIGHT];
    fill_random(rgb, sizeof(rgb), 11);
    struct vj_image img = {.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb};
    struct vj_error err = {0};
    vj_jnd_luma(&img, luma);
    assert_int_equal(vj_jnd_compute("chou95", "paper", &img, map, &err), 0);
    run(&vj_jnd_chou95, 1, luma, WIDTH, HEIGHT, 1, expected, NULL);
    assert_memory_equal(map, expected, sizeof(map));
    assert_int_equal(vj_jnd_compute("chou95", "none", &img, map, &err), -EINVAL);
    assert_int_equal(vj_jnd_compute("?", NULL, &img, map, &err), -EINVAL);
}

/* --- 8-bit maps ------------------------------------------------------------------------------- */

static void check_scale(enum vj_jnd_scale scale, const float *map, const uint8_t *expected,
                        size_t n)
{
    struct vj_error err = {0};
    uint8_t out[16];
    assert_int_equal(vj_jnd_to_u8(map, n, scale, out, &err), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out[i], expected[i]);
}

static void maps_are_stretched_scaled_or_clamped(void **state)
{
    (void)state;
    const float map[5] = {-2, 0, 3, 5.5f, 8};
    check_scale(VJ_JND_MINMAX, map, (const uint8_t[]){0, 51, 128, 191, 255}, 5); /* 127.5: up */
    check_scale(VJ_JND_MAX, map, (const uint8_t[]){0, 0, 96, 175, 255}, 5);
    const float levels[5] = {-1, 2.5f, 3.49f, 254.5f, 300};
    check_scale(VJ_JND_NONE, levels, (const uint8_t[]){0, 3, 3, 255, 255}, 5);
}

static void a_constant_map_becomes_0_under_minmax(void **state)
{
    (void)state;
    const float map[3] = {4.2f, 4.2f, 4.2f}, negative[3] = {-1, -1, -3};
    check_scale(VJ_JND_MINMAX, map, (const uint8_t[]){0, 0, 0}, 3);
    check_scale(VJ_JND_MAX, map, (const uint8_t[]){255, 255, 255}, 3);
    check_scale(VJ_JND_MAX, negative, (const uint8_t[]){0, 0, 0}, 3);
    check_scale(VJ_JND_NONE, map, (const uint8_t[]){4, 4, 4}, 3);
}

static void a_value_that_is_not_finite_is_an_error_wherever_it_is(void **state)
{
    (void)state;
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    float map[37];
    uint8_t out[37];
    struct vj_error err = {0};
    for (size_t at = 0; at < 37; at++) {
        for (size_t k = 0; k < 3; k++) {
            for (size_t i = 0; i < 37; i++)
                map[i] = (float)i;
            map[at] = bad[k];
            assert_int_equal(vj_jnd_to_u8(map, 37, VJ_JND_MINMAX, out, &err), -EDOM);
        }
    }
}

/* --- second implementation -------------------------------------------------------------------- */

static void procedural_pictures_match_the_second_implementation(void **state)
{
    (void)state;
    golden_check("golden", false);
}

static void photographs_match_the_second_implementation(void **state)
{
    (void)state;
    golden_require_photographs();
    golden_check("golden", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(luma_is_the_nearest_integer_for_every_colour_and_halves_go_up),
        cmocka_unit_test(a_grey_picture_is_its_own_luma),
        cmocka_unit_test(luminance_adaptation_meets_at_127_and_has_its_known_ends),
        cmocka_unit_test(the_dark_lift_is_a_rounded_line_up_to_127_and_identity_above),
        cmocka_unit_test(namm_takes_off_0_3_of_the_smaller_threshold),
        cmocka_unit_test(the_fifth_root_and_the_masking_functions_match_pow),
        cmocka_unit_test(every_possible_gradient_falls_into_the_bin_of_its_angle),
        cmocka_unit_test(the_two_vertical_directions_stay_in_the_two_end_bins),
        cmocka_unit_test(padding_is_zero_replicated_or_mirrored_with_the_edge_repeated),
        cmocka_unit_test(the_background_is_its_5x5_correlation_with_zeros_outside),
        cmocka_unit_test(the_gradient_is_the_largest_of_four_5x5_correlations_with_zeros_outside),
        cmocka_unit_test(the_gradient_takes_signed_samples_without_overflow),
        cmocka_unit_test(the_variance_is_that_of_25_samples),
        cmocka_unit_test(orientations_and_their_number_match_the_definition),
        cmocka_unit_test(smoothing_is_the_two_dimensional_gaussian_correlation_with_zeros_outside),
        cmocka_unit_test(gaussian_taps_sum_to_one),
        cmocka_unit_test(dilation_has_the_three_shapes),
        cmocka_unit_test(dilation_at_the_border_and_across_spans_matches_the_definition),
        cmocka_unit_test(the_edge_weight_parameters_are_those_of_the_models),
        cmocka_unit_test(the_canny_filters_have_unit_sums),
        cmocka_unit_test(a_constant_picture_has_no_edges),
        cmocka_unit_test(a_step_gives_the_two_columns_beside_it_which_tie),
        cmocka_unit_test(a_diagonal_step_gives_the_diagonal_and_the_pixels_beside_it_which_tie),
        cmocka_unit_test(edges_of_the_transposed_picture_are_the_transposed_edges),
        cmocka_unit_test(a_weak_edge_stays_only_where_it_leads_to_a_strong_one),
        cmocka_unit_test(maps_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(a_flat_grey_picture_has_the_thresholds_of_the_formulas),
        cmocka_unit_test(the_edge_weight_of_epc17_is_one_inside_and_falls_towards_the_border),
        cmocka_unit_test(a_used_workspace_serves_smaller_pictures_and_refuses_larger_ones),
        cmocka_unit_test(sizes_beyond_memory_are_refused_not_wrapped_around),
        cmocka_unit_test(names_are_found_and_errors_list_the_choices),
        cmocka_unit_test(one_call_computes_a_colour_picture_from_its_luma),
        cmocka_unit_test(maps_are_stretched_scaled_or_clamped),
        cmocka_unit_test(a_constant_map_becomes_0_under_minmax),
        cmocka_unit_test(a_value_that_is_not_finite_is_an_error_wherever_it_is),
        cmocka_unit_test(procedural_pictures_match_the_second_implementation),
        cmocka_unit_test(photographs_match_the_second_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
