/* SPDX-License-Identifier: MIT */
/*
 * PSNR, SSIM, MS-SSIM and SSIMULACRA2 on a GPU, or on the emulation of one, against the CPU's:
 * equal, to the last bit. Every buffer that a kernel writes has guard bytes around it and is
 * rubbish before. Skipped without a device.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/cuda/pictures.h"

#include <errno.h>
#include <math.h>

#include "cuda/quality.h"
#include "cuda/ssimulacra2.h"

#include "tests/cuda/gpu_buffer.h" /* has a name that functions above have too */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Quality -------------------------------------------------------------------------------- */

static void assert_same_doubles(double a, double b)
{
    assert_true(isnan(a) == isnan(b));
    if (!isnan(a))
        assert_memory_equal(&a, &b, sizeof(a));
}

/* One candidate more than a batch holds, so that batches are passed through too. */
enum { CANDIDATES = VJ_CUDA_QUALITY_BATCH + 1 };

/* The first candidate is the reference itself, the others ever noisier. The caller frees. */
static uint8_t *ever_noisier(const struct vj_image *reference)
{
    size_t bytes = reference->width * reference->height * (size_t)reference->channels;
    uint8_t *pixels = malloc(CANDIDATES * bytes);
    for (size_t i = 0; i < CANDIDATES * bytes; i++) {
        uint32_t noise = vj_random4(2, VJ_RNG_TEST, i / bytes, (uint32_t)(i % bytes)).v[0];
        pixels[i] = (uint8_t)(reference->data[i % bytes] ^ (noise % (i / bytes * 12 + 1)));
    }
    return pixels;
}

static void check_quality(struct vj_cuda_quality *quality, size_t width, size_t height,
                          int channels, int which)
{
    struct vj_image r = content_picture(width, height, channels, SMOOTH, 1);
    size_t bytes = width * height * (size_t)channels;
    uint8_t *pixels = ever_noisier(&r);
    struct buffer ref = buffer_of(r.data, bytes), in = buffer_of(pixels, CANDIDATES * bytes);
    struct buffer out = buffer_take(CANDIDATES * sizeof(struct vj_cuda_quality_sums));
    struct vj_cuda_quality_sums sums[CANDIDATES];
    struct vj_quality_values got[CANDIDATES], expected;
    struct vj_quality_reference *cpu;
    struct vj_quality_scratch *scratch;
    ok(vj_cuda_quality_load(quality, NULL, ref.data, width, height, channels, &err));
    ok(vj_cuda_quality_compute(quality, NULL, in.data, CANDIDATES, out.data, &err));
    buffer_read(&out, sums);
    vj_cuda_quality_finish(quality, sums, CANDIDATES, got);
    ok(vj_quality_reference_create(&cpu, width, height, which, &err));
    ok(vj_quality_scratch_create(&scratch, width, height, which, &err));
    ok(vj_quality_reference_load(cpu, &r, &err));
    for (size_t i = 0; i < CANDIDATES; i++) {
        ok(vj_quality_compute(cpu, pixels + i * bytes, scratch, &expected));
        assert_same_doubles(got[i].psnr_y, expected.psnr_y);
        assert_same_doubles(got[i].psnr_rgb, expected.psnr_rgb);
        assert_same_doubles(got[i].ssim, expected.ssim);
        assert_same_doubles(got[i].ms_ssim, expected.ms_ssim);
    }
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(cpu);
    buffer_free(&out);
    buffer_free(&in);
    buffer_free(&ref);
    free(pixels);
    vj_image_free(&r);
}

static void qualities_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {3, 2},   {10, 40},   {11, 11},   {43, 27},
                                      {74, 43}, {29, 90}, {176, 176}, {255, 190}, {403, 301}};
    for (int which = VJ_QUALITY_PSNR; which <= VJ_QUALITY_ALL; which++) {
        struct vj_cuda_quality *quality;
        ok(vj_cuda_quality_create(&quality, 403, 301, which, CANDIDATES, &err));
        for (size_t i = 0; i < COUNT(sizes); i++)
            check_quality(quality, sizes[i][0], sizes[i][1], i % 2 ? 1 : 3, which);
        vj_cuda_quality_destroy(quality);
    }
}

/* ---- SSIMULACRA2 ---------------------------------------------------------------------------- */

static void check_ssimulacra2(struct vj_cuda_ssimulacra2 *device, size_t width, size_t height,
                              int channels, enum vj_ssimulacra2_mode mode)
{
    struct vj_image r = content_picture(width, height, channels, SMOOTH, 1);
    size_t bytes = width * height * (size_t)channels;
    uint8_t *pixels = ever_noisier(&r);
    struct buffer ref = buffer_of(r.data, bytes), in = buffer_of(pixels, CANDIDATES * bytes);
    struct buffer out = buffer_take(CANDIDATES * sizeof(struct vj_ssimulacra2_totals));
    struct vj_ssimulacra2_totals totals[CANDIDATES];
    double score[CANDIDATES];
    struct vj_ssimulacra2_reference *cpu;
    struct vj_ssimulacra2_scratch *scratch;
    ok(vj_cuda_ssimulacra2_load(device, NULL, ref.data, width, height, channels, &err));
    ok(vj_cuda_ssimulacra2_compute(device, NULL, in.data, CANDIDATES, out.data, &err));
    buffer_read(&out, totals);
    vj_cuda_ssimulacra2_finish(device, totals, CANDIDATES, score);
    ok(vj_ssimulacra2_reference_create(&cpu, width, height, mode, &err));
    ok(vj_ssimulacra2_scratch_create(&scratch, width, height, mode, &err));
    ok(vj_ssimulacra2_reference_load(cpu, &r, &err));
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct vj_ssimulacra2_result got, expected;
        ok(vj_ssimulacra2_compute(cpu, pixels + i * bytes, scratch, &expected));
        vj_ssimulacra2_finish(width, height, &totals[i], &got);
        assert_memory_equal(got.part, expected.part, sizeof(got.part));
        assert_same_doubles(score[i], expected.score);
    }
    vj_ssimulacra2_scratch_free(scratch);
    vj_ssimulacra2_reference_free(cpu);
    buffer_free(&out);
    buffer_free(&in);
    buffer_free(&ref);
    free(pixels);
    vj_image_free(&r);
}

static void ssimulacra2_equals_that_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{7, 9},    {8, 8},     {9, 31},    {120, 33}, {121, 40},
                                      {33, 121}, {113, 257}, {257, 113}, {403, 301}};
    for (int mode = VJ_SSIMULACRA2_EXACT; mode <= VJ_SSIMULACRA2_PARITY; mode++) {
        struct vj_cuda_ssimulacra2 *device;
        ok(vj_cuda_ssimulacra2_create(&device, 403, 301, (enum vj_ssimulacra2_mode)mode, CANDIDATES,
                                      &err));
        for (size_t i = 0; i < COUNT(sizes); i++)
            check_ssimulacra2(device, sizes[i][0], sizes[i][1], i % 2 ? 1 : 3,
                              (enum vj_ssimulacra2_mode)mode);
        vj_cuda_ssimulacra2_destroy(device);
    }
}

/* So large that candidates are worked on in parts: 17 MB each, parity 174 MB, of 268. */
static void a_large_picture_has_the_ssimulacra2_of_the_cpu(void **state)
{
    (void)state;
    if (EMULATED) /* which takes minutes */
        skip();
    for (int mode = VJ_SSIMULACRA2_EXACT; mode <= VJ_SSIMULACRA2_PARITY; mode++) {
        struct vj_cuda_ssimulacra2 *device;
        ok(vj_cuda_ssimulacra2_create(&device, 2561, 1703, (enum vj_ssimulacra2_mode)mode,
                                      CANDIDATES, &err));
        check_ssimulacra2(device, 2561, 1703, 3, (enum vj_ssimulacra2_mode)mode);
        vj_cuda_ssimulacra2_destroy(device);
    }
}

static void calls_out_of_order_or_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_cuda_quality *quality;
    struct vj_cuda_ssimulacra2 *ssimulacra2;
    struct buffer memory = buffer_take(3 * 64 * 64 * 8);
    uint8_t *d = memory.data;
    ok(vj_cuda_quality_create(&quality, 32, 32, VJ_QUALITY_ALL, 1, &err));
    ok(vj_cuda_ssimulacra2_create(&ssimulacra2, 32, 32, VJ_SSIMULACRA2_EXACT, 1, &err));
    assert_int_equal(vj_cuda_quality_compute(quality, NULL, d, 1, memory.data, &err), -EINVAL);
    vj_assert_contains(err.text, "no reference");
    assert_int_equal(vj_cuda_quality_load(quality, NULL, d, 33, 1, 3, &err), -ENOSPC);
    ok(vj_cuda_quality_load(quality, NULL, d, 8, 8, 3, &err));
    assert_int_equal(vj_cuda_quality_compute(quality, NULL, d, 2, memory.data, &err), -EINVAL);

    struct vj_ssimulacra2_totals *totals = memory.data;
    assert_int_equal(vj_cuda_ssimulacra2_compute(ssimulacra2, NULL, d, 1, totals, &err), -EINVAL);
    vj_assert_contains(err.text, "no original");
    assert_int_equal(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 33, 1, 3, &err), -ENOSPC);
    ok(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 8, 8, 3, &err));
    assert_int_equal(vj_cuda_ssimulacra2_compute(ssimulacra2, NULL, d, 2, totals, &err), -EINVAL);
    assert_int_equal(vj_cuda_ssimulacra2_bytes(32, 32, VJ_SSIMULACRA2_OFF, 1), 0);
    vj_cuda_ssimulacra2_destroy(ssimulacra2);
    vj_cuda_quality_destroy(quality);
    buffer_free(&memory);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qualities_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(ssimulacra2_equals_that_of_the_cpu_bit_for_bit),
        cmocka_unit_test(a_large_picture_has_the_ssimulacra2_of_the_cpu),
        cmocka_unit_test(calls_out_of_order_or_range_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
