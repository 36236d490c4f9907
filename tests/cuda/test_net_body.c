/* SPDX-License-Identifier: MIT */
/*
 * The whole network on CUDA without a device (tests/cuda/emulate_net.h), against the CPU network:
 * what is left for a GPU to show is that the libraries do what their documentation says.
 */
#include "tests/cuda/emulate_net.h"

#include <math.h>

#include "host/net.h"
#include "tests/host/net_formula.h"

/* Relative to the largest value of its kind. Measured: 3e-6 in single, 5e-3 in half precision. */
#define SINGLE_LIMIT 2e-5
#define HALF_LIMIT   2e-2

enum { P = 3, N = 2 };

static struct vj_error err;

static void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

static struct vj_net_shape small_shape(enum vj_variant variant, enum vj_non_local non_local,
                                       int size, int c1, int c2, int c3, int c4)
{
    struct vj_net_shape s = vj_net_shape_default(variant);
    s.non_local = non_local;
    s.patch_size = size;
    s.channels[0] = c1;
    s.channels[1] = c2;
    s.channels[2] = c3;
    s.channels[3] = c4;
    return s;
}

struct pictures {
    uint8_t *r, *j, *d;
};

static struct pictures pictures_make(size_t size)
{
    const size_t px = size * size;
    struct pictures p = {malloc(P * px * 3), malloc(P * px), malloc(N * P * px * 3)};
    for (size_t k = 0; k < P; k++) {
        formula_patch(p.r + k * px * 3, FORMULA_REFERENCE, k, size, 3);
        formula_patch(p.j + k * px, FORMULA_JND, k, size, 1);
        for (size_t i = 0; i < N; i++)
            formula_patch(p.d + (i * P + k) * px * 3, FORMULA_CANDIDATE + (int)i, k, size, 3);
    }
    return p;
}

static void pictures_free(struct pictures *p)
{
    free(p->r);
    free(p->j);
    free(p->d);
}

struct values {
    float score[N], quality[N * P], weight[N * P];
};

static struct values on_the_cpu(const struct vj_weights *w, const struct pictures *p)
{
    struct values v;
    struct vj_net *net;
    struct vj_net_work *work;
    struct vj_net_reference *ref;
    ok(vj_net_create(&net, w, &err));
    ok(vj_net_work_create(&work, net, 1, &err));
    ok(vj_net_reference_create(&ref, net, P, &err));
    ok(vj_net_reference_load(ref, work, p->r, p->j, P, &err));
    ok(vj_net_scores(work, ref, p->d, N, v.score, v.quality, v.weight, &err));
    vj_net_reference_free(ref);
    vj_net_work_free(work);
    vj_net_free(net);
    return v;
}

/* In the second of two reference sides, the first being other pictures. group: patches whose tiles
 * are in work at a time, 0 for the plan's */
static struct values emulated(const struct vj_weights *w, const struct pictures *p, size_t rows,
                              size_t group, enum vj_cuda_precision precision)
{
    struct values v;
    struct emu_net e;
    emu_make(&e, w, rows, precision, 2, P + 1);
    for (int i = 0; i < e.plan.layers && group; i++)
        if (e.plan.conv[i].way == VJ_CUDA_NET_TILED)
            e.plan.conv[i].group = group;
    emu_reference(&e, 1, p->r, p->j, P);
    emu_reference(&e, 0, p->d, p->j, P);
    memset(&v, 0xff, sizeof(v));
    emu_scores(&e, 1, p->d, N, P, v.score, v.quality, v.weight);
    emu_free(&e);
    return v;
}

static double worst(const float *have, const float *want, size_t count)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(have[i]))
            return INFINITY;
        difference = fmax(difference, fabs((double)have[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    return difference / largest;
}

static void compare(const struct vj_net_shape *shape, enum vj_cuda_precision precision)
{
    const double limit = precision == VJ_CUDA_FP16 ? HALF_LIMIT : SINGLE_LIMIT;
    struct vj_weights w = {0};
    ok(formula_weights(&w, shape, &err));
    struct pictures p = pictures_make((size_t)shape->patch_size);
    const struct values want = on_the_cpu(&w, &p), have = emulated(&w, &p, 4, 0, precision);
    const double q = worst(have.quality, want.quality, N * P);
    const double a = worst(have.weight, want.weight, N * P);
    const double s = worst(have.score, want.score, N);
    print_message("%s %-8s %3d pixels, %d channels: quality %.1e weight %.1e score %.1e\n",
                  vj_cuda_precision_name(precision), vj_variant_name(shape->variant),
                  shape->patch_size, (int)vj_net_last_channels(shape), q, a, s);
    assert_true(q <= limit);
    assert_true(a <= limit);
    assert_true(s <= limit);
    pictures_free(&p);
    vj_weights_free(&w);
}

static void compare_shapes(enum vj_cuda_precision precision)
{
    const struct vj_net_shape shapes[] = {
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 24),
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_TRANSPOSE, 32, 32, 16, 48, 21),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 48, 16, 16, 32, 8),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 16, 48, 16, 16, 1),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 64),
        pw_shape(32, 16, 48, 32, 16, 80),
        pw_shape(64, 16, 16, 16, 16, 48),
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        compare(&shapes[i], precision);
}

static void single_precision_agrees_with_the_cpu(void **state)
{
    (void)state;
    compare_shapes(VJ_CUDA_FP32);
}

static void half_precision_agrees_with_the_cpu_as_far_as_it_can(void **state)
{
    (void)state;
    compare_shapes(VJ_CUDA_FP16);
}

/* 4 positions of 512 channels: two slices. */
static void sliced_heads_agree_with_the_cpu(void **state)
{
    (void)state;
    struct vj_cuda_net_plan plan;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 512);
    ok(vj_cuda_net_plan_make(&plan, &shape, 4, VJ_CUDA_FP32, &err));
    assert_int_equal(plan.slices, 2);
    compare(&shape, VJ_CUDA_FP32);
}

static void compare_batches(const struct vj_net_shape *shape)
{
    struct vj_weights w = {0};
    ok(formula_weights(&w, shape, &err));
    struct pictures p = pictures_make(32);
    for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision += 2) {
        const struct values want = emulated(&w, &p, 1, 0, (enum vj_cuda_precision)precision);
        for (emulate_order = 0; emulate_order < EMULATE_ORDERS; emulate_order++) {
            static const size_t rows[] = {4, 5, 7}, groups[] = {0, 2, 3};
            const struct values have = emulated(&w, &p, rows[emulate_order], groups[emulate_order],
                                                (enum vj_cuda_precision)precision);
            assert_memory_equal(&have, &want, sizeof(want));
        }
        emulate_order = 0;
    }
    pictures_free(&p);
    vj_weights_free(&w);
}

static void bits_depend_on_neither_the_batch_nor_the_order_of_threads(void **state)
{
    (void)state;
    const struct vj_net_shape shapes[] = {
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 24),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, VJ_CUDA_FIRST_CHANNELS, 16, 16,
                    16),
        pw_shape(32, 16, 32, 16, 16, 32)};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        compare_batches(&shapes[i]);
}

/* conv1 multiplies by 30,000: white patches leave half's range, those below mid-grey become zero.
 */
static void a_patch_beyond_the_range_of_halves_is_not_a_number_and_alone_in_it(void **state)
{
    (void)state;
    enum { SIZE = 16 };
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, SIZE, 16, 16, 16, 16);
    struct vj_weights w = {0};
    ok(formula_weights(&w, &shape, &err));
    struct vj_tensor *t = vj_weights_find(&w, "extract_feature/conv1/weights");
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = 30000.0f;
    struct pictures p = pictures_make(SIZE);
    memset(p.r, 127, P * SIZE * SIZE * 3); /* just below zero behind the input */
    memset(p.j, 127, P * SIZE * SIZE);
    memset(p.d, 127, N * P * SIZE * SIZE * 3);
    memset(p.d + (P + 1) * SIZE * SIZE * 3, 255, SIZE * SIZE * 3); /* candidate 1, patch 1 */
    const struct values v = emulated(&w, &p, 4, 0, VJ_CUDA_FP16);
    for (size_t i = 0; i < N * P; i++) {
        assert_int_equal(isnan(v.quality[i]) != 0, i == P + 1);
        assert_int_equal(isnan(v.weight[i]) != 0, i == P + 1);
    }
    assert_true(isfinite(v.score[0]));
    assert_true(isnan(v.score[1]));

    /* The same in a reference or a map spoils every candidate's patch at that place. */
    memset(p.d, 127, N * P * SIZE * SIZE * 3);
    memset(p.r + 2 * SIZE * SIZE * 3, 255, SIZE * SIZE * 3);
    memset(p.j, 255, SIZE * SIZE);
    const struct values of_reference = emulated(&w, &p, 2, 0, VJ_CUDA_FP16);
    for (size_t i = 0; i < N * P; i++)
        assert_int_equal(isnan(of_reference.quality[i]) != 0, i % P != 1);
    pictures_free(&p);
    vj_weights_free(&w);
}

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

/* A convolution that cuDNN does not fuse ends in the same numbers. */
static void bias_and_relu_apart_are_bias_and_relu(void **state)
{
    (void)state;
    enum { CHANNELS = 24, PIXELS = 50 };
    float x[PIXELS * CHANNELS], bias[CHANNELS], have[PIXELS * CHANNELS];
    for (size_t i = 0; i < PIXELS * CHANNELS; i++)
        have[i] = x[i] = (float)sin((double)i);
    for (size_t i = 0; i < CHANNELS; i++)
        bias[i] = (float)cos((double)i);
    const struct vj_cuda_net_bias_job job = {have, bias, PIXELS * CHANNELS, CHANNELS, false};
    EMU_EACH(job.count / 4, vj_cuda_net_bias_step, &job);
    for (size_t i = 0; i < PIXELS * CHANNELS; i++) {
        const float want = x[i] + bias[i % CHANNELS];
        assert_true(have[i] == (want > 0 ? want : 0));
    }
}

/* Rows of both kinds of lanes, against the definition in double; NaN where something is not
 * written. */
static void softmax_is_that_of_the_definition(void **state)
{
    (void)state;
    static const size_t sides[] = {2, 4, 6, 8, 14, 16, 18, 32};
    for (size_t i = 0; i < sizeof(sides) / sizeof(*sides); i++)
        for (int half = 0; half < 2; half++) {
            enum { ROWS = 3 };
            const size_t n = sides[i] * sides[i];
            float *scores = malloc(ROWS * n * sizeof(float));
            void *chances = malloc(ROWS * n * sizeof(float));
            int flags[ROWS] = {0};
            for (size_t k = 0; k < ROWS * n; k++)
                scores[k] =
                    30.0f * (float)vj_random_unit(vj_random4(4, VJ_RNG_TEST, 0, (uint32_t)k).v[0]);
            memset(chances, 0xff, ROWS * n * sizeof(float));
            const struct vj_cuda_net_softmax_job job = {scores, chances, flags, ROWS, n, half};
            emulate_softmax(&job);
            for (size_t row = 0; row < ROWS; row++) {
                double sum = 0;
                for (size_t k = 0; k < n; k++)
                    sum += exp((double)scores[row * n + k] - 30);
                for (size_t k = 0; k < n; k++) {
                    const double want = exp((double)scores[row * n + k] - 30) / sum;
                    const double have = (double)vj_cuda_net_get(chances, row * n + k, half);
                    assert_true(fabs(have - want) <= (half ? 5e-4 * want + 6e-8 : 2e-6 * want));
                }
            }
            free(scores);
            free(chances);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_that_of_the_definition),
        cmocka_unit_test(every_half_survives_the_way_to_single_and_back),
        cmocka_unit_test(singles_become_the_nearest_half_ties_to_even),
        cmocka_unit_test(bias_and_relu_apart_are_bias_and_relu),
        cmocka_unit_test(single_precision_agrees_with_the_cpu),
        cmocka_unit_test(sliced_heads_agree_with_the_cpu),
        cmocka_unit_test(half_precision_agrees_with_the_cpu_as_far_as_it_can),
        cmocka_unit_test(bits_depend_on_neither_the_batch_nor_the_order_of_threads),
        cmocka_unit_test(a_patch_beyond_the_range_of_halves_is_not_a_number_and_alone_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
