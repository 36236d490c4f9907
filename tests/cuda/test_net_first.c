/* SPDX-License-Identifier: MIT */
/*
 * The first block as one kernel, run on the CPU (tests/cuda/emulate_cuda.h), against the block's
 * definition in double.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "cuda/net_first_body.h"
#include "cuda/net_kernels.h"
#include "host/rng.h"
#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/written.h"

static float noise(uint32_t i)
{
    return (float)(vj_random_unit(vj_random4(3, VJ_RNG_TEST, 0, i).v[0]) - 0.5);
}

/* The map of full size; a patch of NULL has samples that are zero. */
static double by_definition(const uint8_t *patch, int channels, const float *hwio,
                            const float *bias, int side, int y, int x, int channel)
{
    double sum = (double)bias[channel];
    for (int tap = 0; patch && tap < 9; tap++) {
        const int py = y + tap / 3 - 1, px = x + tap % 3 - 1;
        for (int c = 0; c < 3 && py >= 0 && py < side && px >= 0 && px < side; c++)
            sum += (patch[(py * side + px) * channels + (channels == 3 ? c : 0)] / 255.0 - 0.5) *
                   (double)hwio[(tap * 3 + c) * VJ_CUDA_FIRST_CHANNELS + channel];
    }
    return sum > 0 ? sum : 0;
}

static struct vj_cuda_net_plan plan_of(int side, size_t rows, enum vj_cuda_precision precision)
{
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_cuda_net_plan plan;
    shape.patch_size = side;
    shape.channels[0] = VJ_CUDA_FIRST_CHANNELS;
    assert_int_equal(vj_cuda_net_plan_make(&plan, &shape, rows, precision, NULL), 0);
    assert_true(plan.first);
    return plan;
}

/* Three rows, the last of which is padding. */
static void compare(int side, int channels, enum vj_cuda_precision precision)
{
    enum { ROWS = 3, COUNT = 2 };
    const bool half = precision == VJ_CUDA_FP16;
    const double limit = precision == VJ_CUDA_FP32 ? 1e-6 : 2e-3; /* there operands of 11 bits */
    const size_t px = (size_t)(side * side), pooled = px / 4 * VJ_CUDA_FIRST_CHANNELS;
    const struct vj_cuda_net_plan plan = plan_of(side, ROWS, precision);
    const size_t parts = (size_t)plan.pool[0].blocks * VJ_CUDA_FIRST_CHANNELS;
    float hwio[VJ_CUDA_FIRST_TAPS * 3 * VJ_CUDA_FIRST_CHANNELS], bias[VJ_CUDA_FIRST_CHANNELS];
    uint32_t packed[VJ_CUDA_FIRST_WORDS];
    uint8_t *patches = malloc(COUNT * px * (size_t)channels);
    int flags[ROWS] = {0};
    struct written of_out = written_make(ROWS * pooled * plan.element);
    struct written of_sums = written_make(ROWS * parts * sizeof(float));
    struct written of_peaks = written_make(ROWS * parts * sizeof(float));
    float *sums = of_sums.data, *peaks = of_peaks.data;
    for (size_t i = 0; i < COUNT * px * (size_t)channels; i++)
        patches[i] = (uint8_t)vj_random4(2, VJ_RNG_TEST, 0, (uint32_t)i).v[0];
    for (uint32_t i = 0; i < VJ_CUDA_FIRST_TAPS * 3 * VJ_CUDA_FIRST_CHANNELS; i++)
        hwio[i] = noise(i);
    for (uint32_t i = 0; i < VJ_CUDA_FIRST_CHANNELS; i++)
        bias[i] = noise(10000 + i);
    vj_cuda_net_first_pack(hwio, precision, packed);
    assert_int_equal(vj_cuda_net_first(&plan, NULL, patches, channels, COUNT, packed, bias,
                                       of_out.data, sums, peaks, flags),
                     cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
    double worst = 0, largest = 0;
    for (size_t row = 0; row < ROWS; row++) {
        const uint8_t *patch = row < COUNT ? patches + row * px * (size_t)channels : NULL;
        assert_int_equal(flags[row], 0);
        for (int c = 0; c < VJ_CUDA_FIRST_CHANNELS; c++) {
            double sum = 0, peak = 0, have_sum = 0, have_peak = 0;
            for (int y = 0; y < side; y += 2)
                for (int x = 0; x < side; x += 2) {
                    double top = 0;
                    for (int k = 0; k < 4; k++) {
                        const double v = by_definition(patch, channels, hwio, bias, side, y + k / 2,
                                                       x + k % 2, c);
                        sum += v;
                        top = fmax(top, v);
                    }
                    const size_t at =
                        row * pooled +
                        (size_t)((y / 2 * (side / 2) + x / 2) * VJ_CUDA_FIRST_CHANNELS + c);
                    const double have = (double)vj_cuda_net_get(of_out.data, at, half);
                    assert_true(isfinite(have));
                    worst = fmax(worst, fabs(top - have));
                    peak = fmax(peak, top);
                }
            for (int part = 0; part < plan.pool[0].blocks; part++) {
                const size_t at = row * parts + (size_t)(part * VJ_CUDA_FIRST_CHANNELS + c);
                assert_true(isfinite(sums[at]) && isfinite(peaks[at]));
                have_sum += (double)sums[at];
                have_peak = fmax(have_peak, (double)peaks[at]);
            }
            largest = fmax(largest, peak);
            assert_true(fabs(peak - have_peak) <= limit * peak);
            assert_true(fabs(sum - have_sum) <= limit * sum);
        }
    }
    print_message("%d pixels of %d, %s: %.1e of the largest\n", side, channels,
                  vj_cuda_precision_name(precision), worst / largest);
    assert_true(worst / largest <= limit);
    free(patches);
    written_free(&of_out);
    written_free(&of_sums);
    written_free(&of_peaks);
}

static void every_number_is_that_of_the_definition(void **state)
{
    (void)state;
    static const int sides[] = {16, 32, 48, 128};
    for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++)
        for (size_t i = 0; i < sizeof(sides) / sizeof(*sides) - (RACES ? 1 : 0); i++)
            compare(sides[i], sides[i] == 32 ? 1 : 3, (enum vj_cuda_precision)precision);
}

/* Halves hold 65,504: of three patches the white one makes more of it, and is flagged alone. */
static void what_leaves_the_range_of_halves_flags_its_row(void **state)
{
    (void)state;
    enum { SIDE = 16, ROWS = 3, WHITE = 1, KERNEL = VJ_CUDA_FIRST_TAPS * 3 };
    const struct vj_cuda_net_plan plan = plan_of(SIDE, ROWS, VJ_CUDA_FP16);
    const size_t parts = ROWS * (size_t)plan.pool[0].blocks * VJ_CUDA_FIRST_CHANNELS;
    static float hwio[KERNEL * VJ_CUDA_FIRST_CHANNELS];
    static uint8_t patches[ROWS * SIDE * SIDE * 3];
    const float bias[VJ_CUDA_FIRST_CHANNELS] = {0};
    uint32_t packed[VJ_CUDA_FIRST_WORDS];
    uint8_t *pooled = malloc(ROWS * SIDE * SIDE / 4 * VJ_CUDA_FIRST_CHANNELS * plan.element);
    float *sums = malloc(parts * sizeof(float)), *peaks = malloc(parts * sizeof(float));
    memset(patches, 128, sizeof(patches));
    memset(patches + WHITE * SIDE * SIDE * 3, 255, SIDE * SIDE * 3);
    for (int channel = 0; channel < (RACES ? 1 : VJ_CUDA_FIRST_CHANNELS); channel++) {
        int flags[ROWS] = {0};
        memset(hwio, 0, sizeof(hwio));
        for (size_t i = 0; i < KERNEL; i++)
            hwio[i * VJ_CUDA_FIRST_CHANNELS + (size_t)channel] = 10000.0f;
        vj_cuda_net_first_pack(hwio, VJ_CUDA_FP16, packed);
        assert_int_equal(vj_cuda_net_first(&plan, NULL, patches, 3, ROWS, packed, bias, pooled,
                                           sums, peaks, flags),
                         cudaSuccess);
        assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
        for (int row = 0; row < ROWS; row++)
            assert_int_equal(flags[row], row == WHITE);
    }
    free(pooled);
    free(sums);
    free(peaks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_that_of_the_definition),
        cmocka_unit_test(what_leaves_the_range_of_halves_flags_its_row),
    };
    vj_emulate_checks_arguments = false;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
