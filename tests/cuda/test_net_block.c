/* SPDX-License-Identifier: MIT */
/*
 * A block behind the first as one kernel, run on the CPU (tests/cuda/emulate_cuda.h), against the
 * block's definition in double.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "cuda/net_block_body.h"
#include "cuda/net_kernels.h"
#include "host/rng.h"
#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/written.h"

enum { ROWS = RACES ? 1 : 2, TAPS = 9 };

/* What a block takes in, and what it makes. */
struct block {
    struct vj_cuda_net_conv conv;
    enum vj_cuda_precision precision;
    size_t element, parts;
    void *map, *kernel, *bias;     /* elements */
    float *numbers, *scale, *hwio; /* of the map; of the kernel before it is rounded */
    struct written pooled, sums, peaks;
    int flags[ROWS];
};

static float noise(uint32_t stream, size_t i)
{
    const struct vj_u32x4 r = vj_random4(7, VJ_RNG_TEST, stream, (uint32_t)i);
    return (float)(2 * vj_random_unit(r.v[0]) - 1);
}

static size_t side_of(const struct block *b)
{
    return (size_t)b->conv.side;
}

static void set_map(struct block *b, size_t i, float value)
{
    vj_cuda_net_set(b->map, i, value, b->precision == VJ_CUDA_FP16);
    b->numbers[i] = vj_cuda_net_get(b->map, i, b->precision == VJ_CUDA_FP16);
}

static void set_kernel(struct block *b)
{
    const size_t count = vj_cuda_net_conv_kernel_floats(&b->conv);
    float *made = malloc(count * sizeof(float));
    vj_cuda_net_conv_kernel(&b->conv, b->hwio, made);
    for (size_t i = 0; i < count; i++)
        vj_cuda_net_set(b->kernel, i, made[i], b->precision == VJ_CUDA_FP16);
    free(made);
}

/* Layer `layer` of a network whose layers have these channels; most of its map is not 0. */
static void make(struct block *b, int layer, int in, int out, enum vj_cuda_precision precision)
{
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_cuda_net_plan plan;
    memset(b, 0, sizeof(*b));
    shape.channels[layer - 1] = in;
    shape.channels[layer] = out;
    assert_int_equal(vj_cuda_net_plan_make(&plan, &shape, ROWS, precision, NULL), 0);
    b->conv = plan.conv[layer];
    b->precision = precision;
    b->element = plan.element;
    b->parts = (size_t)plan.pool[layer].blocks;
    assert_int_equal(b->conv.way, VJ_CUDA_NET_BLOCK);
    assert_true(b->conv.scaled && b->conv.pooled);
    const size_t numbers = ROWS * side_of(b) * side_of(b) * (size_t)in;
    const size_t weights = (size_t)(TAPS * in * out);
    b->map = malloc(numbers * b->element);
    b->numbers = malloc(numbers * sizeof(float));
    b->scale = malloc((size_t)(ROWS * in) * sizeof(float));
    b->hwio = malloc(weights * sizeof(float));
    b->kernel = malloc(weights * b->element);
    b->bias = malloc((size_t)out * b->element);
    for (size_t i = 0; i < numbers; i++)
        set_map(b, i, fabsf(noise(0, i)));
    for (size_t i = 0; i < (size_t)(ROWS * in); i++)
        b->scale[i] = 0.5f + 0.4f * noise(1, i);
    for (size_t i = 0; i < weights; i++)
        b->hwio[i] = 0.05f * noise(2, i);
    for (size_t i = 0; i < (size_t)out; i++)
        vj_cuda_net_set(b->bias, i, 0.5f + 0.1f * noise(3, i), precision == VJ_CUDA_FP16);
    set_kernel(b);
    b->pooled = written_make(ROWS * side_of(b) * side_of(b) / 4 * (size_t)out * b->element);
    b->sums = written_make(ROWS * b->parts * (size_t)out * sizeof(float));
    b->peaks = written_make(ROWS * b->parts * (size_t)out * sizeof(float));
}

static void done(struct block *b)
{
    free(b->map);
    free(b->numbers);
    free(b->scale);
    free(b->hwio);
    free(b->kernel);
    free(b->bias);
    written_free(&b->pooled);
    written_free(&b->sums);
    written_free(&b->peaks);
}

static void run(struct block *b)
{
    memset(b->flags, 0, sizeof(b->flags));
    assert_int_equal(vj_cuda_net_block(&b->conv, b->precision, NULL, ROWS, b->map, b->scale,
                                       b->kernel, b->bias, b->pooled.data, b->sums.data,
                                       b->peaks.data, b->flags),
                     cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
}

/* A pixel of the map of full size: to[out]. */
static void by_definition(const struct block *b, size_t row, size_t y, size_t x, double *to)
{
    const size_t side = side_of(b), in = (size_t)b->conv.in, out = (size_t)b->conv.out;
    for (size_t o = 0; o < out; o++)
        to[o] = (double)vj_cuda_net_get(b->bias, o, b->precision == VJ_CUDA_FP16);
    for (size_t tap = 0; tap < TAPS; tap++) {
        const size_t sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
        for (size_t i = 0; i < in && sy < side && sx < side; i++) {
            const double v = (double)b->numbers[((row * side + sy) * side + sx) * in + i] *
                             (double)b->scale[row * in + i];
            for (size_t o = 0; o < out; o++)
                to[o] += v * (double)b->hwio[(tap * in + i) * out + o];
        }
    }
    for (size_t o = 0; o < out; o++)
        to[o] = to[o] > 0 ? to[o] : 0;
}

static double of_parts(const struct block *b, const struct written *w, size_t row, size_t o,
                       bool sum)
{
    double all = 0;
    for (size_t part = 0; part < b->parts; part++) {
        const float v = ((const float *)w->data)[(row * b->parts + part) * (size_t)b->conv.out + o];
        assert_true(isfinite(v));
        all = sum ? all + (double)v : fmax(all, (double)v);
    }
    return all;
}

static void compare_row(const struct block *b, size_t row, double *worst, double *largest)
{
    const double limit = 1e-3; /* operands of 11 bits */
    const size_t side = side_of(b), out = (size_t)b->conv.out;
    double *map = malloc(side * side * out * sizeof(double));
    for (size_t i = 0; i < side * side; i++)
        by_definition(b, row, i / side, i % side, map + i * out);
    for (size_t o = 0; o < out; o++) {
        double sum = 0, peak = 0;
        for (size_t i = 0; i < side * side / 4; i++) {
            const size_t corner = i / (side / 2) * 2 * side + i % (side / 2) * 2;
            double top = 0;
            for (size_t k = 0; k < 4; k++) {
                const double v = map[(corner + k / 2 * side + k % 2) * out + o];
                top = fmax(top, v);
                sum += v;
            }
            const double have =
                (double)vj_cuda_net_get(b->pooled.data, (row * side * side / 4 + i) * out + o,
                                        b->precision == VJ_CUDA_FP16);
            assert_true(isfinite(have));
            *worst = fmax(*worst, fabs(have - top));
            peak = fmax(peak, top);
        }
        *largest = fmax(*largest, peak);
        assert_true(fabs(of_parts(b, &b->sums, row, o, true) - sum) <= limit * sum);
        assert_true(fabs(of_parts(b, &b->peaks, row, o, false) - peak) <= limit * peak);
    }
    free(map);
}

static void compare(int layer, int in, int out, enum vj_cuda_precision precision)
{
    struct block b;
    double worst = 0, largest = 0;
    make(&b, layer, in, out, precision);
    run(&b);
    for (size_t row = 0; row < ROWS; row++) {
        assert_int_equal(b.flags[row], 0);
        compare_row(&b, row, &worst, &largest);
    }
    print_message("%d pixels, %d to %d, %s: %.1e of the largest\n", b.conv.side, in, out,
                  vj_cuda_precision_name(precision), worst / largest);
    assert_true(worst / largest <= 1e-3);
    done(&b);
}

static void every_number_is_that_of_the_definition(void **state)
{
    (void)state;
    compare(1, 32, 64, VJ_CUDA_TF32);
    if (RACES) /* a kernel with two chunks has them all */
        return;
    compare(1, 32, 64, VJ_CUDA_FP16);
    compare(2, 64, 128, VJ_CUDA_TF32);
    compare(2, 64, 128, VJ_CUDA_FP16);
}

/* A number of the map that leaves the range of halves, or one that was there, flags its patch. */
static void what_leaves_the_range_of_halves_flags_its_row(void **state)
{
    (void)state;
    enum { CHANNELS = 64 };
    struct block b;
    if (RACES) /* sees no more than above */
        skip();
    make(&b, 2, CHANNELS, CHANNELS, VJ_CUDA_FP16);
    const size_t patch = side_of(&b) * side_of(&b) * CHANNELS, at = patch + 500 * CHANNELS + 7;
    for (size_t i = 0; i < (size_t)(TAPS * CHANNELS * CHANNELS); i++)
        b.hwio[i] = i % CHANNELS == 63 ? 1.1f : 0;
    set_kernel(&b);
    set_map(&b, at, 65504.0f);
    b.scale[CHANNELS + 7] = 1.0f;
    run(&b);
    assert_true(b.flags[0] == 0 && b.flags[1] != 0);
    set_map(&b, at, 50000.0f);
    run(&b);
    assert_true(b.flags[0] == 0 && b.flags[1] == 0);
    set_map(&b, at - patch, INFINITY);
    run(&b);
    assert_true(b.flags[0] != 0 && b.flags[1] == 0);
    done(&b);
}

/* All its bits are ones, as a GPU makes it: rounding them up would make a zero of it. */
static void what_is_no_number_stays_none_in_tf32(void **state)
{
    (void)state;
    struct block b;
    const uint32_t bits = 0x7fffffff;
    float nan;
    if (RACES)
        skip();
    memcpy(&nan, &bits, sizeof(nan));
    make(&b, 1, 32, 64, VJ_CUDA_TF32);
    set_map(&b, (20 * side_of(&b) + 30) * 32 + 5, nan);
    run(&b);
    const float *pooled = b.pooled.data, *sums = b.sums.data, *peaks = b.peaks.data;
    for (size_t o = 0; o < 64; o++) {
        assert_true(isnan(pooled[(10 * side_of(&b) / 2 + 15) * 64 + o]));
        assert_true(isnan(sums[5 * 64 + o]) && isnan(peaks[5 * 64 + o])); /* rows 20 to 23 */
        assert_true(isfinite(sums[6 * 64 + o]) && isfinite(peaks[6 * 64 + o]));
    }
    done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_that_of_the_definition),
        cmocka_unit_test(what_leaves_the_range_of_halves_flags_its_row),
        cmocka_unit_test(what_is_no_number_stays_none_in_tf32),
    };
    vj_emulate_checks_arguments = false;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
