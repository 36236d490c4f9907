/* SPDX-License-Identifier: MIT */
/*
 * What the networks of test_net_gpu.c leave out of the network's own kernels, run on the CPU
 * (tests/cuda/emulate_cuda.h): softmax over rows of every length, bias and relu apart, numbers of
 * half precision by their bits, single numbers and reference sides that leave their range.
 */
#include "tests/vj_test.h"

#include "cuda/net_body.h"
#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/net_gpu_rig.h"

/* ---- half precision by its bits ---- */

static void every_half_survives_the_way_to_single_and_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const float v = vj_cuda_net_half_value((uint16_t)bits);
        if (isnan(v))
            assert_true((bits & 0x7fff) > 0x7c00);
        else
            assert_int_equal(vj_cuda_net_half_bits(v), bits);
    }
    assert_true(vj_cuda_net_half_value(0x3c00) == 1.0f);
    assert_true(vj_cuda_net_half_value(0x7bff) == 65504.0f);
    assert_true(vj_cuda_net_half_value(0x0001) == ldexpf(1, -24));
    assert_true(isnan(vj_cuda_net_half_value(vj_cuda_net_half_bits(NAN))));
}

static void singles_become_the_nearest_half_ties_to_even(void **state)
{
    (void)state;
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        const float low = vj_cuda_net_half_value(bits);
        const float high = vj_cuda_net_half_value((uint16_t)(bits + 1));
        const float middle = low + (high - low) / 2;
        const uint16_t even = bits % 2 ? (uint16_t)(bits + 1) : bits;
        assert_int_equal(vj_cuda_net_half_bits(middle), even);
        assert_int_equal(vj_cuda_net_half_bits(nextafterf(middle, 0)), bits);
        assert_int_equal(vj_cuda_net_half_bits(nextafterf(middle, INFINITY)), bits + 1);
        assert_int_equal(vj_cuda_net_half_bits(-nextafterf(middle, INFINITY)), 0x8000 + bits + 1);
    }
    assert_int_equal(vj_cuda_net_half_bits(65519.9f), 0x7bff);
    assert_int_equal(vj_cuda_net_half_bits(65520.0f), 0x7c00);
    assert_int_equal(vj_cuda_net_half_bits(-INFINITY), 0xfc00);
}

static float rounded(float v, bool half)
{
    return half ? vj_cuda_net_half_value(vj_cuda_net_half_bits(v)) : v;
}

/* A convolution that cuDNN does not fuse ends in the same numbers. */
static void bias_and_relu_apart_are_bias_and_relu(void **state)
{
    (void)state;
    enum { CHANNELS = 24, PIXELS = 50, COUNT = PIXELS * CHANNELS, AROUND = 8 };
    for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
        const bool half = precision == VJ_CUDA_FP16;
        void *x = malloc((COUNT + AROUND) * sizeof(float)),
             *bias = malloc(CHANNELS * sizeof(float));
        for (size_t i = 0; i < COUNT + AROUND; i++)
            vj_cuda_net_set(x, i, (float)sin((double)i), half);
        for (size_t i = 0; i < CHANNELS; i++)
            vj_cuda_net_set(bias, i, (float)cos((double)i), half);
        cuda(vj_cuda_net_bias_relu((enum vj_cuda_precision)precision, NULL, x, bias, PIXELS,
                                   CHANNELS));
        cuda(cudaDeviceSynchronize());
        for (size_t i = 0; i < COUNT + AROUND; i++) {
            const float before = rounded((float)sin((double)i), half);
            const float sum = before + rounded((float)cos((double)(i % CHANNELS)), half);
            const float want = i < COUNT ? rounded(sum > 0 ? sum : 0, half) : before;
            assert_true(vj_cuda_net_get(x, i, half) == want);
        }
        free(x);
        free(bias);
    }
}

/* Rows of `positions` scores; of both kinds of lanes, against the definition in double; NaN where
 * something is not written. */
static void compare_softmax(const struct vj_cuda_net_plan *plan)
{
    const bool half = plan->precision == VJ_CUDA_FP16;
    const size_t n = plan->positions, rows = plan->rows * n;
    float *scores = malloc(rows * n * sizeof(float));
    void *chances = malloc(rows * n * sizeof(float));
    int *flags = calloc(plan->rows, sizeof(int));
    for (size_t k = 0; k < rows * n; k++)
        scores[k] = 30.0f * (float)vj_random_unit(vj_random4(4, VJ_RNG_TEST, 0, (uint32_t)k).v[0]);
    memset(chances, 0xff, rows * n * sizeof(float));
    cuda(vj_cuda_net_softmax(plan, NULL, scores, chances, flags));
    cuda(cudaDeviceSynchronize());
    for (size_t row = 0; row < rows; row++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += exp((double)scores[row * n + k] - 30);
        for (size_t k = 0; k < n; k++) {
            const double want = exp((double)scores[row * n + k] - 30) / sum;
            const double have = (double)vj_cuda_net_get(chances, row * n + k, half);
            assert_true(fabs(have - want) <= (half ? 5e-4 * want + 6e-8 : 2e-6 * want));
        }
    }
    for (size_t i = 0; i < plan->rows; i++)
        assert_int_equal(flags[i], 0);
    free(scores);
    free(chances);
    free(flags);
}

static void softmax_is_that_of_the_definition(void **state)
{
    (void)state;
    static const int sides[] = {2, 4, 6, 8, 14, 16, 18, 32}; /* of maps, squared: positions */
    for (size_t i = 0; i < sizeof(sides) / sizeof(*sides); i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision += 2) {
            struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
            struct vj_cuda_net_plan plan;
            shape.patch_size = 8 * sides[i];
            assert_int_equal(vj_cuda_net_plan_make(&plan, &shape, sides[i] > 16 ? 1 : 3,
                                                   (enum vj_cuda_precision)precision, NULL),
                             0);
            assert_int_equal(plan.positions, sides[i] * sides[i]);
            compare_softmax(&plan);
        }
}

/* Kernels that look at every number of what they read: SUM at that of both maps, which may leave
 * half's range where neither does. */
enum look { SOFTMAX, TOKENS, ATTENDED, SUM, HALVE, CHECK, LOOKS };

/* Runs one on `count` numbers, x; the other map that it takes is zero. */
static void run_look(enum look which, const struct vj_cuda_net_plan *plan, const void *x,
                     size_t count, int *flags)
{
    void *zero = calloc(count, sizeof(float)), *to = calloc(count, sizeof(float));
    if (which == SOFTMAX)
        cuda(vj_cuda_net_softmax(plan, NULL, x, to, flags));
    else if (which == HALVE)
        cuda(vj_cuda_net_halve(plan, 3, NULL, x, to, flags));
    else if (which == CHECK)
        cuda(vj_cuda_net_check(plan, 6, NULL, x, flags));
    else
        cuda(vj_cuda_net_join(plan, NULL, which == ATTENDED ? zero : x, which == TOKENS ? zero : x,
                              to, flags));
    cuda(cudaDeviceSynchronize());
    free(zero);
    free(to);
}

static void a_number_beyond_the_range_of_halves_flags_its_row_wherever_it_is(void **state)
{
    (void)state;
    enum { ROWS = 3, STEP = 7 };
    static const float beyond[] = {NAN, INFINITY, -INFINITY};
    for (int which = 0; which < LOOKS; which++) {
        const bool plain = which == HALVE || which == CHECK, half = which != SOFTMAX;
        const struct vj_net_shape shape =
            plain ? pw_shape(32, 16, 16, 16, 16, 16)
                  : small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 16);
        struct vj_cuda_net_plan plan;
        ok(vj_cuda_net_plan_make(&plan, &shape, ROWS, VJ_CUDA_FP16, &err));
        const size_t row = which == SOFTMAX ? plan.positions * plan.positions : 4 * 4 * 16;
        void *x = calloc(ROWS * row, sizeof(float));
        for (size_t i = 0; i < ROWS * row; i += STEP) {
            int flags[ROWS] = {0};
            vj_cuda_net_set(x, i, which == SUM ? 40000.0f : beyond[i % 3], half);
            run_look((enum look)which, &plan, x, ROWS * row, flags);
            for (size_t r = 0; r < ROWS; r++)
                assert_int_equal(flags[r], r == i / row);
            vj_cuda_net_set(x, i, 0.0f, half);
        }
        free(x);
    }
}

static void set_all(const struct vj_weights *w, const char *layer, float value)
{
    char name[64];
    snprintf(name, sizeof(name), "extract_feature/%s", layer);
    const struct vj_tensor *t = vj_weights_find(w, name);
    assert_non_null(t);
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = value;
}

/*
 * conv1 multiplies by 30,000: white patches leave half's range, those below mid-grey become zero.
 * Attention makes 1 of it, and conv2 zero: what left the range can be known by its flag alone.
 */
static struct vj_weights large_weights(const struct vj_net_shape *shape)
{
    struct vj_weights w = {0};
    ok(formula_weights(&w, shape, &err));
    set_all(&w, "conv1/weights", 30000.0f);
    set_all(&w, "conv1/ch_at/mlp_0/kernel", 1.0f);
    set_all(&w, "conv1/ch_at/mlp_1/kernel", 1.0f);
    set_all(&w, "conv2/weights", -1.0f);
    return w;
}

/* Patches that are white: of reference and map, -1 for none; every candidate's at that place is not
 * a number. */
static void spoil(struct rig *rig, int reference, int map)
{
    enum { P = 3, N = 2 };
    struct pictures p = pictures_make(rig, P, N);
    memset(p.r, 127, P * rig->pixels * 3); /* just below zero behind the input */
    memset(p.j, 127, P * rig->pixels);
    memset(p.d, 127, N * P * rig->pixels * 3);
    if (reference >= 0)
        memset(p.r + (size_t)reference * rig->pixels * 3, 255, rig->pixels * 3);
    if (map >= 0)
        memset(p.j + (size_t)map * rig->pixels, 255, rig->pixels);
    const struct values v = gpu_values(rig, &p, P, N);
    for (int i = 0; i < N * P; i++) {
        const bool spoilt = i % P == reference || i % P == map;
        assert_int_equal(isnan(v.quality[i]) != 0, spoilt);
        assert_int_equal(isnan(v.weight[i]) != 0, spoilt);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(isnan(v.score[i]) != 0, reference >= 0 || map >= 0);
    pictures_free(&p);
}

static void a_reference_beyond_the_range_of_halves_spoils_its_place_alone(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16);
    struct vj_weights w = large_weights(&shape);
    struct rig rig = {.precision = VJ_CUDA_FP16, .pixels = 16 * 16};
    rig.w.shape = shape;
    ok(vj_cuda_net_create(&rig.gpu, &w, 2, 2, rig.precision, &err));
    ok(vj_cuda_net_work_create(&rig.gpu_work, rig.gpu, 2, 3, &err));
    spoil(&rig, -1, -1);
    spoil(&rig, 2, -1);
    spoil(&rig, -1, 0);
    spoil(&rig, 2, 0);
    vj_cuda_net_work_destroy(rig.gpu_work);
    vj_cuda_net_destroy(rig.gpu);
    vj_weights_free(&w);
}

/* ---- what is not a number in fp32, where no flag tells ---- */

static bool any_nan(const float *v, size_t count, size_t step)
{
    bool any = false;
    for (size_t i = 0; i < count; i += step)
        any |= isnan(v[i]) != 0;
    return any;
}

/* In each of the 36 products in turn of one tile and channel of the second of two patches. */
static void what_is_not_a_number_stays_none_behind_products(void **state)
{
    (void)state;
    enum { OUT = 20, SIDE = 4, MAP = SIDE * SIDE * OUT };
    const struct vj_cuda_net_conv c = {"tiles",           SIDE, OUT, OUT,   OUT,  OUT,
                                       VJ_CUDA_NET_TILED, 1,    2,   false, true, 0};
    float products[36 * 2 * OUT] = {0}, bias[OUT] = {0};
    float map[2 * MAP], pooled[2 * MAP / 4], sums[2 * OUT], peaks[2 * OUT];
    for (size_t k = 0; k < 36; k++) {
        float *one = &products[k * 2 * OUT + OUT + 3];
        *one = NAN;
        cuda(vj_cuda_net_tiles_out(&c, NULL, products, bias, 2, map));
        cuda(vj_cuda_net_tiles_pool(&c, NULL, products, bias, 2, pooled, sums, peaks));
        cuda(cudaDeviceSynchronize());
        assert_true(any_nan(map + MAP + 3, MAP - 3, OUT));
        assert_true(any_nan(pooled + MAP / 4 + 3, MAP / 4 - 3, OUT));
        for (size_t i = 0; i < 2 * OUT; i++) {
            assert_int_equal(isnan(sums[i]) != 0, i == OUT + 3);
            assert_int_equal(isnan(peaks[i]) != 0, i == OUT + 3);
        }
        *one = 0.0f;
    }
}

static void what_is_not_a_number_stays_none_where_maps_are_halved(void **state)
{
    (void)state;
    enum { SIDE = 4, CHANNELS = 16, MAP = SIDE * SIDE * CHANNELS };
    const struct vj_net_shape shape = pw_shape(32, 16, 16, 16, 16, 16);
    struct vj_cuda_net_plan plan;
    float map[MAP] = {0}, pooled[MAP / 4];
    int flags[1] = {0};
    ok(vj_cuda_net_plan_make(&plan, &shape, 1, VJ_CUDA_FP32, &err));
    for (size_t i = 0; i < MAP; i++) {
        const size_t y = i / CHANNELS / SIDE, x = i / CHANNELS % SIDE;
        map[i] = NAN;
        cuda(vj_cuda_net_halve(&plan, 3, NULL, map, pooled, flags));
        cuda(cudaDeviceSynchronize());
        for (size_t k = 0; k < MAP / 4; k++)
            assert_int_equal(isnan(pooled[k]) != 0,
                             k == (y / 2 * (SIDE / 2) + x / 2) * CHANNELS + i % CHANNELS);
        map[i] = 0.0f;
    }
}

/* ---- ends of arrays ---- */

enum { ROOM = 1 << 20, TAIL = 4096, UNTOUCHED = 0xC2 };

/* What a kernel writes, made UNTOUCHED before it; and zeros to read. */
struct ends {
    uint8_t *out, *sums, *peaks;
    void *zero;
    int flags[16];
};

static void ends_clear(struct ends *e)
{
    memset(e->out, UNTOUCHED, ROOM);
    memset(e->sums, UNTOUCHED, ROOM);
    memset(e->peaks, UNTOUCHED, ROOM);
}

/* The last of `bytes` is written and nothing behind it. */
static void ends_at(const uint8_t *out, size_t bytes)
{
    cuda(cudaDeviceSynchronize());
    assert_int_not_equal(out[bytes - 1], UNTOUCHED);
    for (size_t i = 0; i < TAIL; i++)
        assert_int_equal(out[bytes + i], UNTOUCHED);
}

static void ends_of_maps(struct ends *e, const struct vj_cuda_net_plan *p, size_t rows)
{
    const size_t element = p->element, channels = 16, n = p->positions;
    ends_clear(e);
    cuda(vj_cuda_net_scale(p, 2, NULL, e->out, e->zero));
    ends_at(e->out, rows * 2 * 2 * channels * element);
    ends_clear(e);
    cuda(vj_cuda_net_softmax(p, NULL, e->zero, e->out, e->flags));
    ends_at(e->out, rows * n * n * element);
    ends_clear(e);
    cuda(vj_cuda_net_join(p, NULL, e->zero, e->zero, e->out, e->flags));
    ends_at(e->out, rows * n / 4 * channels * element);
}

static void ends_of_features(struct ends *e, const struct vj_cuda_net_plan *p, size_t rows)
{
    const size_t row = p->features * p->element;
    ends_clear(e);
    cuda(vj_cuda_net_statistics(p, NULL, e->zero, e->out));
    ends_at(e->out, rows * row);
    ends_clear(e);
    cuda(vj_cuda_net_times(p, NULL, e->zero, e->zero, 0, rows, e->out, e->flags));
    ends_at(e->out, rows * row);
    ends_clear(e);
    cuda(vj_cuda_net_keep(p, NULL, e->zero, e->flags, rows - 1, e->out));
    ends_at(e->out, (rows - 1) * row);
    ends_clear(e);
    cuda(vj_cuda_net_mean(NULL, e->zero, e->zero, rows, 2, (float *)(void *)e->out));
    ends_at(e->out, rows * sizeof(float));
    ends_clear(e);
    cuda(vj_cuda_net_convert(p->precision, NULL, e->zero, e->out, 100, e->flags));
    ends_at(e->out, 100 * p->element);
    ends_clear(e);
    cuda(vj_cuda_net_widen(p->precision, NULL, e->zero, (float *)(void *)e->out, 100));
    ends_at(e->out, 100 * sizeof(float));
}

/* Without attention: maps are halved, and looked at, at the end of which lies what is no number. */
static void ends_of_plain_blocks(struct ends *e, const struct vj_cuda_net_plan *p, size_t rows)
{
    const size_t map = rows * 4 * 4 * 16 * p->element;
    ends_clear(e);
    cuda(vj_cuda_net_halve(p, 3, NULL, e->zero, e->out, e->flags));
    ends_at(e->out, map / 4);
    memset(e->out, 0xff, ROOM);
    memset(e->out, 0, map);
    cuda(vj_cuda_net_check(p, 6, NULL, e->out, e->flags));
    cuda(cudaDeviceSynchronize());
}

static void ends_of_tiles(struct ends *e)
{
    const struct vj_cuda_net_conv c = {"tiles",           4, 20, 20,    20,   20,
                                       VJ_CUDA_NET_TILED, 1, 1,  false, true, 0};
    const size_t channels = 20 * sizeof(float);
    float *out = (void *)e->out, *sums = (void *)e->sums, *peaks = (void *)e->peaks;
    ends_clear(e);
    cuda(vj_cuda_net_tiles_in(&c, NULL, e->zero, NULL, 1, out));
    ends_at(e->out, 36 * channels);
    ends_clear(e);
    cuda(vj_cuda_net_tiles_out(&c, NULL, e->zero, e->zero, 1, out));
    ends_at(e->out, 4 * 4 * channels);
    ends_clear(e);
    cuda(vj_cuda_net_tiles_pool(&c, NULL, e->zero, e->zero, 1, out, sums, peaks));
    ends_at(e->out, 2 * 2 * channels);
    ends_at(e->sums, channels);
    ends_at(e->peaks, channels);
}

/* Where threads of the last block are left over, which no array of a work shows: the next one
 * begins at a multiple of 256 bytes. */
static void kernels_write_to_the_end_of_an_array_and_not_beyond(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    struct ends e = {malloc(ROOM), malloc(ROOM), malloc(ROOM), calloc(1, ROOM), {0}};
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16);
    const struct vj_net_shape plain = pw_shape(32, 16, 16, 16, 16, 16);
    for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
        struct vj_cuda_net_plan plan;
        ok(vj_cuda_net_plan_make(&plan, &shape, ROWS, (enum vj_cuda_precision)precision, &err));
        ends_of_maps(&e, &plan, ROWS);
        ends_of_features(&e, &plan, ROWS);
        ok(vj_cuda_net_plan_make(&plan, &plain, ROWS, (enum vj_cuda_precision)precision, &err));
        ends_of_plain_blocks(&e, &plan, ROWS);
    }
    ends_of_tiles(&e);
    for (size_t i = 0; i < sizeof(e.flags) / sizeof(e.flags[0]); i++)
        assert_int_equal(e.flags[i], 0);
    free(e.out);
    free(e.sums);
    free(e.peaks);
    free(e.zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_that_of_the_definition),
        cmocka_unit_test(a_number_beyond_the_range_of_halves_flags_its_row_wherever_it_is),
        cmocka_unit_test(what_is_not_a_number_stays_none_behind_products),
        cmocka_unit_test(what_is_not_a_number_stays_none_where_maps_are_halved),
        cmocka_unit_test(kernels_write_to_the_end_of_an_array_and_not_beyond),
        cmocka_unit_test(every_half_survives_the_way_to_single_and_back),
        cmocka_unit_test(singles_become_the_nearest_half_ties_to_even),
        cmocka_unit_test(bias_and_relu_apart_are_bias_and_relu),
        cmocka_unit_test(a_reference_beyond_the_range_of_halves_spoils_its_place_alone),
    };
    vj_emulate_checks_arguments = false;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
