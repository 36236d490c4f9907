/* SPDX-License-Identifier: MIT */
/*
 * The experiment of first_block_body.h, lane by lane, with products of 16 x 8 as PTX defines them,
 * against the block's definition in double.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "host/rng.h"
#include "tests/cuda/first_block_body.h"

/* D += A B of one warp: mma.m16n8k16 on halves, m16n8k8 on floats. */
static void multiply(struct fb_d d[32], const struct fb_a a[32], const struct fb_b b[32], bool half)
{
    const int depth = half ? 16 : 8;
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 8; c++) {
            float *to = &d[r % 8 * 4 + c / 2].v[r / 8 * 2 + c % 2];
            for (int k = 0; k < depth; k++) {
                /* A: row r % 8 is the group; B: column c is. */
                const int pair = half ? 2 : 1, member = k / pair % 4, upper = k / (4 * pair);
                const uint32_t *from_a = &a[r % 8 * 4 + member].v[r / 8 + 2 * upper];
                const uint32_t *from_b = &b[c * 4 + member].v[upper];
                *to += vj_cuda_net_get(from_a, (size_t)(k % pair), half) *
                       vj_cuda_net_get(from_b, (size_t)(k % pair), half);
            }
        }
}

static void run_warp(const struct fb_job *j, const void *samples, struct fb_statistics *statistics,
                     unsigned part, size_t row, int warp)
{
    const int steps = fb_steps(j->half);
    for (int x = 0; x < j->side; x += 16) {
        struct fb_d d[2][FB_PRODUCTS][32];
        memset(d, 0, sizeof(d));
        for (int s = 0; s < steps; s++)
            for (int y = 0; y < 2; y++) {
                struct fb_a a[32];
                for (int lane = 0; lane < 32; lane++)
                    a[lane] = fb_samples(samples, j->half, s, 2 * warp + y, x, lane);
                for (int n = 0; n < FB_PRODUCTS; n++)
                    multiply(d[y][n], a,
                             (const struct fb_b *)j->kernel + (s * FB_PRODUCTS + n) * 32, j->half);
            }
        for (int lane = 0; lane < 32; lane++) {
            struct fb_d mine[2][FB_PRODUCTS];
            for (int y = 0; y < 2; y++)
                for (int n = 0; n < FB_PRODUCTS; n++)
                    mine[y][n] = d[y][n][lane];
            fb_finish(j, (const struct fb_d(*)[FB_PRODUCTS])mine, j->bias + 8 * (lane % 4),
                      &statistics[warp * 32 + lane], part, row, 2 * warp, x, lane);
        }
    }
}

static void run(const struct fb_job *j, size_t rows)
{
    static uint32_t samples[FB_SAMPLES];
    static struct fb_statistics statistics[FB_THREADS];
    for (size_t row = 0; row < rows; row++)
        for (unsigned part = 0; part < (unsigned)(j->side / FB_ROWS); part++) {
            memset(samples, 0xff, sizeof(samples)); /* NaN */
            memset(statistics, 0, sizeof(statistics));
            for (int thread = 0; thread < FB_THREADS; thread++)
                fb_load(j, samples, part, row, thread);
            for (int warp = 0; warp < FB_WARPS; warp++)
                run_warp(j, samples, statistics, part, row, warp);
            for (int thread = 0; thread < FB_THREADS; thread++)
                fb_total(j, statistics, part, row, thread);
        }
}

static float noise(uint32_t i)
{
    return (float)(vj_random_unit(vj_random4(3, VJ_RNG_TEST, 0, i).v[0]) - 0.5);
}

static void compare(int side, bool half)
{
    enum { ROWS = 2 };
    const size_t px = (size_t)(side * side), pooled = px / 4 * FB_CHANNELS;
    const size_t parts = (size_t)(side / FB_ROWS) * FB_CHANNELS, element = half ? 2 : 4;
    float hwio[FB_TAPS * 3 * FB_CHANNELS], bias[FB_CHANNELS];
    uint32_t packed[FB_STEPS_FLOAT * FB_PRODUCTS * 32 * 2];
    uint8_t *patches = malloc(ROWS * px * 3);
    char *out = malloc(ROWS * pooled * element);
    float *sums = calloc(ROWS * parts, sizeof(float)), *peaks = calloc(ROWS * parts, sizeof(float));
    for (size_t i = 0; i < ROWS * px * 3; i++)
        patches[i] = (uint8_t)vj_random4(2, VJ_RNG_TEST, 0, (uint32_t)i).v[0];
    for (uint32_t i = 0; i < FB_TAPS * 3 * FB_CHANNELS; i++)
        hwio[i] = noise(i);
    for (uint32_t i = 0; i < FB_CHANNELS; i++)
        bias[i] = noise(10000 + i);
    fb_pack(hwio, half, packed);
    const struct fb_job job = {patches, packed, bias, out, sums, peaks, side, half};
    run(&job, ROWS);
    double worst = 0, largest = 0;
    for (size_t row = 0; row < ROWS; row++)
        for (int c = 0; c < FB_CHANNELS; c++) {
            double sum = 0, peak = 0, have_sum = 0, have_peak = 0;
            for (int y = 0; y < side; y += 2)
                for (int x = 0; x < side; x += 2) {
                    double top = 0;
                    for (int k = 0; k < 4; k++) {
                        const double v = fb_by_definition(patches + row * px * 3, hwio, bias, side,
                                                          y + k / 2, x + k % 2, c);
                        sum += v;
                        top = fmax(top, v);
                    }
                    const size_t at =
                        row * pooled + (size_t)((y / 2 * (side / 2) + x / 2) * FB_CHANNELS + c);
                    worst = fmax(worst, fabs(top - (double)vj_cuda_net_get(out, at, half)));
                    peak = fmax(peak, top);
                }
            for (int part = 0; part < side / FB_ROWS; part++) {
                const size_t at = row * parts + (size_t)(part * FB_CHANNELS + c);
                have_sum += (double)sums[at];
                have_peak = fmax(have_peak, (double)peaks[at]);
            }
            largest = fmax(largest, peak);
            assert_true(fabs(peak - have_peak) <= 2e-3 * peak);
            assert_true(fabs(sum - have_sum) <= 2e-3 * sum);
        }
    print_message("%d pixels, %s: %.1e of the largest\n", side, half ? "fp16" : "tf32",
                  worst / largest);
    assert_true(worst / largest <= 2e-3); /* operands of 11 bits */
    free(patches);
    free(out);
    free(sums);
    free(peaks);
}

static void every_number_is_that_of_the_definition(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++)
        for (int side = 16; side <= 128; side *= 2)
            if (side != 64)
                compare(side, half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_that_of_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
