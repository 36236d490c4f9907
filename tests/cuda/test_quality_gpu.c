/* SPDX-License-Identifier: MIT */
/*
 * PSNR, SSIM, MS-SSIM and SSIMULACRA2 on a GPU, or on the emulation of one, against the CPU's:
 * equal, to the last bit. Every buffer that a kernel writes has guard bytes around it and is
 * rubbish before. VPJND_TEST_FULL=1 tries every small size for SSIMULACRA2, and the largest ones on
 * an emulation. Skipped without a device.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/cuda/pictures.h"

#include <errno.h>
#include <math.h>

#include "cuda/quality.h"
#include "cuda/ssimulacra2.h"

#include "tests/cuda/fail_each.h"
#include "tests/cuda/gpu_buffer.h" /* has a name that functions above have too */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * One candidate more than a batch holds, so that batches are passed through too; emulated, only a
 * few where nothing else is asked for.
 */
enum { CANDIDATES = VJ_CUDA_QUALITY_BATCH + 1, SOME = EMULATED ? 3 : CANDIDATES };

static bool full_test(void)
{
    const char *value = getenv("VPJND_TEST_FULL");
    return value && strcmp(value, "1") == 0;
}

static void assert_same_doubles(double a, double b)
{
    assert_true(isnan(a) == isnan(b));
    if (!isnan(a))
        assert_memory_equal(&a, &b, sizeof(a));
}

/* A picture, candidates of it, and room for what a kernel says about each. */
struct rig {
    struct vj_image img;
    size_t bytes, count;
    uint8_t *candidates; /* owned */
    struct buffer original, in, out;
};

/*
 * The first candidate is the picture itself, the last one another, of slopes their negative, whose
 * structure is the opposite; those between are ever noisier.
 */
static struct rig rig_make(size_t width, size_t height, int channels, enum content content,
                           size_t count, size_t result)
{
    struct rig r = {.img = content_picture(width, height, channels, content, 12),
                    .bytes = width * height * (size_t)channels,
                    .count = count};
    r.candidates = malloc(count * r.bytes);
    for (size_t i = 0; i < count * r.bytes; i++) {
        size_t n = i / r.bytes;
        uint32_t word = vj_random4(2, VJ_RNG_TEST, n, (uint32_t)(i % r.bytes)).v[0];
        uint32_t last = content == SMOOTH ? 255 : word >> 8;
        uint32_t noise = n + 1 < count ? word % ((uint32_t)n * 12 + 1) : last;
        r.candidates[i] = (uint8_t)(r.img.data[i % r.bytes] ^ noise);
    }
    r.original = buffer_of(r.img.data, r.bytes);
    r.in = buffer_of(r.candidates, count * r.bytes);
    r.out = buffer_take(count * result);
    return r;
}

static void rig_free(struct rig *r)
{
    buffer_free(&r->out);
    buffer_free(&r->in);
    buffer_free(&r->original);
    free(r->candidates);
    vj_image_free(&r->img);
}

/* ---- Quality -------------------------------------------------------------------------------- */

static void check_quality(struct vj_cuda_quality *quality, size_t width, size_t height,
                          int channels, int which, enum content content, size_t count)
{
    struct rig r =
        rig_make(width, height, channels, content, count, sizeof(struct vj_cuda_quality_sums));
    struct vj_cuda_quality_sums sums[CANDIDATES];
    struct vj_quality_values got[CANDIDATES], expected;
    struct vj_quality_reference *cpu;
    struct vj_quality_scratch *scratch;
    ok(vj_cuda_quality_load(quality, NULL, r.original.data, width, height, channels, &err));
    ok(vj_cuda_quality_compute(quality, NULL, r.in.data, (int)count, r.out.data, &err));
    buffer_read(&r.out, sums);
    vj_cuda_quality_finish(quality, sums, (int)count, got);
    const int scales = vj_cuda_quality_shape(width, height, channels, which).scales;
    for (size_t i = 0; i < count; i++)
        for (int s = scales; s < VJ_MS_SSIM_SCALES; s++)
            assert_true(sums[i].contrast[s] == 0 && sums[i].joint[s] == 0);
    ok(vj_quality_reference_create(&cpu, width, height, which, &err));
    ok(vj_quality_scratch_create(&scratch, width, height, which, &err));
    ok(vj_quality_reference_load(cpu, &r.img, &err));
    for (size_t i = 0; i < count; i++) {
        ok(vj_quality_compute(cpu, r.candidates + i * r.bytes, scratch, &expected));
        assert_same_doubles(got[i].psnr_y, expected.psnr_y);
        assert_same_doubles(got[i].psnr_rgb, expected.psnr_rgb);
        assert_same_doubles(got[i].ssim, expected.ssim);
        assert_same_doubles(got[i].ms_ssim, expected.ms_ssim);
    }
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(cpu);
    rig_free(&r);
}

/* On a device with room for just this picture. */
static void check_quality_alone(size_t width, size_t height, int channels, int which,
                                enum content content, size_t count)
{
    struct vj_cuda_quality *quality;
    ok(vj_cuda_quality_create(&quality, width, height, which, (int)count, &err));
    check_quality(quality, width, height, channels, which, content, count);
    vj_cuda_quality_destroy(quality);
}

static void psnr_and_ssim_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {3, 2},   {10, 40}, {11, 11}, {12, 11}, {41, 25},
                                      {42, 26}, {43, 27}, {74, 43}, {65, 17}, {29, 90}, {131, 75}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int channels = 1; channels <= 3; channels += 2)
            check_quality_alone(sizes[i][0], sizes[i][1], channels,
                                VJ_QUALITY_PSNR | VJ_QUALITY_SSIM, (enum content)(i % CONTENTS),
                                SOME);
    check_quality_alone(41, 25, 3, VJ_QUALITY_PSNR | VJ_QUALITY_SSIM, FLAT, SOME);
}

static void ms_ssim_equals_that_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{176, 176}, {181, 203}, {255, 190}, {403, 301}};
    const size_t count = COUNT(sizes) - (small_only() && !full_test());
    for (size_t i = 0; i < count; i++)
        check_quality_alone(sizes[i][0], sizes[i][1], i == 1 ? 1 : 3, VJ_QUALITY_ALL,
                            (enum content)(i % CONTENTS), SOME);
}

/* With what larger pictures and other metrics left in memory. */
static void only_the_metrics_asked_for_are_there(void **state)
{
    (void)state;
    for (int which = 1; which <= VJ_QUALITY_ALL; which++) {
        struct vj_cuda_quality *quality;
        ok(vj_cuda_quality_create(&quality, 200, 190, which, SOME, &err));
        check_quality(quality, 177, 178, 1, which, SMOOTH, SOME);
        check_quality(quality, 30, 20, 3, which, SMOOTH, SOME);
        check_quality(quality, 10, 40, 3, which, NOISE, SOME);
        vj_cuda_quality_destroy(quality);
    }
}

static void more_candidates_than_a_batch_holds_have_their_quality(void **state)
{
    (void)state;
    check_quality_alone(43, 27, 3, VJ_QUALITY_ALL, SMOOTH, CANDIDATES);
    check_quality_alone(177, 176, 1, VJ_QUALITY_ALL, SMOOTH, CANDIDATES);
}

/* ---- SSIMULACRA2 ---------------------------------------------------------------------------- */

static const enum vj_ssimulacra2_mode modes[] = {VJ_SSIMULACRA2_EXACT, VJ_SSIMULACRA2_PARITY};

static void check_ssimulacra2(struct vj_cuda_ssimulacra2 *device, size_t width, size_t height,
                              int channels, enum vj_ssimulacra2_mode mode, enum content content,
                              size_t count)
{
    struct rig r =
        rig_make(width, height, channels, content, count, sizeof(struct vj_ssimulacra2_totals));
    struct vj_ssimulacra2_totals totals[CANDIDATES];
    double score[CANDIDATES];
    struct vj_ssimulacra2_reference *cpu;
    struct vj_ssimulacra2_scratch *scratch;
    ok(vj_cuda_ssimulacra2_load(device, NULL, r.original.data, width, height, channels, &err));
    ok(vj_cuda_ssimulacra2_compute(device, NULL, r.in.data, (int)count, r.out.data, &err));
    buffer_read(&r.out, totals);
    vj_cuda_ssimulacra2_finish(device, totals, (int)count, score);
    ok(vj_ssimulacra2_reference_create(&cpu, width, height, mode, &err));
    ok(vj_ssimulacra2_scratch_create(&scratch, width, height, mode, &err));
    ok(vj_ssimulacra2_reference_load(cpu, &r.img, &err));
    for (size_t i = 0; i < count; i++) {
        struct vj_ssimulacra2_result got, expected;
        ok(vj_ssimulacra2_compute(cpu, r.candidates + i * r.bytes, scratch, &expected));
        vj_ssimulacra2_finish(width, height, &totals[i], &got);
        assert_int_equal(got.scales, expected.scales);
        assert_memory_equal(got.part, expected.part, sizeof(got.part));
        assert_same_doubles(score[i], expected.score);
    }
    vj_ssimulacra2_scratch_free(scratch);
    vj_ssimulacra2_reference_free(cpu);
    rig_free(&r);
}

/* On a device with room for just this picture. */
static void check_ssimulacra2_alone(size_t width, size_t height, int channels,
                                    enum vj_ssimulacra2_mode mode, enum content content,
                                    size_t count)
{
    struct vj_cuda_ssimulacra2 *device;
    ok(vj_cuda_ssimulacra2_create(&device, width, height, mode, (int)count, &err));
    check_ssimulacra2(device, width, height, channels, mode, content, count);
    vj_cuda_ssimulacra2_destroy(device);
}

static void ssimulacra2_of_small_pictures_has_the_bits_of_the_cpu(void **state)
{
    (void)state;
    /* One size in thirteen; all of them on demand. Below 8 pixels there is no score. */
    for (size_t i = 0; i < 24 * 24; i += full_test() ? 1 : 13)
        for (size_t m = 0; m < COUNT(modes); m++)
            check_ssimulacra2_alone(i % 24 + 1, i / 24 + 1, i % 2 ? 1 : 3, modes[m],
                                    (enum content)(i % CONTENTS), SOME);
}

/*
 * A strip is 120 columns wide, a tile of rows 32 or 8 high; 113 pixels are six scales. Larger
 * pictures are still in memory.
 */
static void ssimulacra2_of_several_strips_and_tiles_has_the_bits_of_the_cpu(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{403, 301}, {513, 113}, {364, 119}, {113, 257}, {125, 125},
                                      {241, 29},  {129, 64},  {33, 121},  {8, 150},   {124, 40},
                                      {121, 33},  {120, 31},  {119, 8},   {9, 31},    {7, 9}};
    const size_t first = small_only() && !full_test();
    for (size_t m = 0; m < COUNT(modes); m++) {
        struct vj_cuda_ssimulacra2 *device;
        ok(vj_cuda_ssimulacra2_create(&device, 513, 301, modes[m], SOME, &err));
        for (size_t i = first; i < COUNT(sizes); i++)
            check_ssimulacra2(device, sizes[i][0], sizes[i][1], i % 3 ? 3 : 1, modes[m],
                              (enum content)(i % CONTENTS), SOME);
        vj_cuda_ssimulacra2_destroy(device);
    }
}

/*
 * With room for pictures so large that candidates are worked on in parts: planes of 8 MB each are
 * 32 at a time, parity mode's of 177 MB each are 6.
 */
static void candidates_that_are_worked_on_in_parts_have_their_ssimulacra2(void **state)
{
    (void)state;
    struct vj_cuda_ssimulacra2 *device;
    ok(vj_cuda_ssimulacra2_create(&device, 1920, 1081, VJ_SSIMULACRA2_EXACT, CANDIDATES, &err));
    check_ssimulacra2(device, 19, 17, 3, VJ_SSIMULACRA2_EXACT, SMOOTH, CANDIDATES);
    vj_cuda_ssimulacra2_destroy(device);
    if (small_only() && !full_test())
        return;
    for (size_t m = 0; m < COUNT(modes); m++)
        check_ssimulacra2_alone(2561, 1703, 3, modes[m], SMOOTH, EMULATED ? 7 : CANDIDATES);
}

/* At the limits of launches and of 32-bit sums there is room, one row or pixel further there is
 * not. */
static void sizes_end_where_launches_do(void **state)
{
    (void)state;
    const size_t rows = VJ_CUDA_VARIANCE_HEIGHT * (size_t)VJ_CUDA_MAX_GRID_Y;
    const size_t tiles = VJ_CUDA_MOMENT_HEIGHT * (size_t)VJ_CUDA_MAX_GRID_Y;
    const size_t wide = VJ_QUALITY_MAX_PIXELS / 1024, large = VJ_SSIMULACRA2_MAX_PIXELS / 1024;
    assert_int_not_equal(vj_cuda_quality_bytes(1, rows, VJ_QUALITY_ALL, 1), 0);
    assert_int_equal(vj_cuda_quality_bytes(1, rows + 1, VJ_QUALITY_ALL, 1), 0);
    assert_int_not_equal(vj_cuda_quality_bytes(wide, 1024, VJ_QUALITY_ALL, 1), 0);
    assert_int_equal(vj_cuda_quality_bytes(wide + 1, 1024, VJ_QUALITY_ALL, 1), 0);
    for (size_t m = 0; m < COUNT(modes); m++) {
        assert_int_not_equal(vj_cuda_ssimulacra2_bytes(8, tiles, modes[m], 1), 0);
        assert_int_equal(vj_cuda_ssimulacra2_bytes(8, tiles + 1, modes[m], 1), 0);
        assert_int_not_equal(vj_cuda_ssimulacra2_bytes(large, 1024, modes[m], 1), 0);
        assert_int_equal(vj_cuda_ssimulacra2_bytes(large + 1, 1024, modes[m], 1), 0);
    }
}

static void calls_out_of_order_or_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_cuda_quality *quality;
    struct vj_cuda_ssimulacra2 *ssimulacra2;
    struct buffer memory = buffer_take(3 * 64 * 64 * 8);
    uint8_t *d = memory.data;
    assert_int_equal(vj_cuda_quality_create(&quality, 32, 32, 0, 1, &err), -EINVAL);
    assert_int_equal(vj_cuda_quality_create(&quality, 32, 32, VJ_QUALITY_ALL + 1, 1, &err),
                     -EINVAL);
    assert_int_equal(vj_cuda_quality_create(&quality, 32, 32, VJ_QUALITY_ALL, 0, &err), -EINVAL);
    assert_int_equal(vj_cuda_ssimulacra2_create(&ssimulacra2, 32, 32, VJ_SSIMULACRA2_OFF, 1, &err),
                     -EINVAL);
    assert_int_equal(
        vj_cuda_ssimulacra2_create(&ssimulacra2, 32, 32, VJ_SSIMULACRA2_EXACT, 0, &err), -EINVAL);
    assert_true(!quality && !ssimulacra2);
    ok(vj_cuda_quality_create(&quality, 32, 32, VJ_QUALITY_ALL, 1, &err));
    ok(vj_cuda_ssimulacra2_create(&ssimulacra2, 32, 32, VJ_SSIMULACRA2_EXACT, 1, &err));
    assert_int_equal(vj_cuda_quality_compute(quality, NULL, d, 1, memory.data, &err), -EINVAL);
    vj_assert_contains(err.text, "no reference");
    assert_int_equal(vj_cuda_quality_load(quality, NULL, d, 33, 1, 3, &err), -ENOSPC);
    assert_int_equal(vj_cuda_quality_load(quality, NULL, d, 1, 33, 3, &err), -ENOSPC);
    assert_int_equal(vj_cuda_quality_load(quality, NULL, d, 0, 8, 3, &err), -EINVAL);
    assert_int_equal(vj_cuda_quality_load(quality, NULL, d, 8, 0, 3, &err), -EINVAL);
    assert_int_equal(vj_cuda_quality_load(quality, NULL, d, 8, 8, 2, &err), -EINVAL);
    ok(vj_cuda_quality_load(quality, NULL, d, 8, 8, 3, &err));
    assert_int_equal(vj_cuda_quality_compute(quality, NULL, d, 2, memory.data, &err), -EINVAL);

    struct vj_ssimulacra2_totals *totals = memory.data;
    assert_int_equal(vj_cuda_ssimulacra2_compute(ssimulacra2, NULL, d, 1, totals, &err), -EINVAL);
    vj_assert_contains(err.text, "no original");
    assert_int_equal(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 33, 1, 3, &err), -ENOSPC);
    assert_int_equal(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 1, 33, 3, &err), -ENOSPC);
    assert_int_equal(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 0, 8, 3, &err), -EINVAL);
    assert_int_equal(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 8, 0, 3, &err), -EINVAL);
    assert_int_equal(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 8, 8, 2, &err), -EINVAL);
    ok(vj_cuda_ssimulacra2_load(ssimulacra2, NULL, d, 8, 8, 3, &err));
    assert_int_equal(vj_cuda_ssimulacra2_compute(ssimulacra2, NULL, d, 2, totals, &err), -EINVAL);
    assert_int_equal(vj_cuda_ssimulacra2_bytes(32, 32, VJ_SSIMULACRA2_OFF, 1), 0);
    vj_cuda_ssimulacra2_destroy(ssimulacra2);
    vj_cuda_quality_destroy(quality);
    buffer_free(&memory);
}

/* Every call of CUDA in turn; the leak sanitizer sees what is left behind. */
static void what_cannot_be_created_is_given_back(void **state)
{
    (void)state;
    struct vj_cuda_quality *quality = NULL;
    struct vj_cuda_ssimulacra2 *ssimulacra2 = NULL;
    for (int call = 1; EMULATED && (!quality || !ssimulacra2); call++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", call);
        vj_cuda_quality_destroy(quality);
        setenv("VPJND_EMULATE_FAIL", text, 1);
        const int q = vj_cuda_quality_create(&quality, 32, 32, VJ_QUALITY_ALL, 1, &err);
        assert_int_equal(q == 0, quality != NULL);
        unsetenv("VPJND_EMULATE_FAIL");
        vj_cuda_forget_error();
        wait_for_all(); /* a call that does not count: the next ones are counted anew */
        vj_cuda_ssimulacra2_destroy(ssimulacra2);
        setenv("VPJND_EMULATE_FAIL", text, 1);
        const int s =
            vj_cuda_ssimulacra2_create(&ssimulacra2, 32, 32, VJ_SSIMULACRA2_EXACT, 1, &err);
        assert_int_equal(s == 0, ssimulacra2 != NULL);
        unsetenv("VPJND_EMULATE_FAIL");
        vj_cuda_forget_error();
        wait_for_all(); /* a call that does not count: the next ones are counted anew */
        assert_true(call > 1 || (q && s));
    }
    vj_cuda_quality_destroy(quality);
    vj_cuda_ssimulacra2_destroy(ssimulacra2);
}

struct metrics {
    struct rig rig;
    struct vj_cuda_quality *quality;         /* one of the two */
    struct vj_cuda_ssimulacra2 *ssimulacra2; /* is NULL */
};

static int measure(void *user)
{
    const struct metrics *m = user;
    const struct vj_image *img = &m->rig.img;
    const void *original = m->rig.original.data;
    if (m->quality) {
        const int r = vj_cuda_quality_load(m->quality, NULL, original, img->width, img->height,
                                           img->channels, &err);
        return r ? r
                 : vj_cuda_quality_compute(m->quality, NULL, m->rig.in.data, 1, m->rig.out.data,
                                           &err);
    }
    const int r = vj_cuda_ssimulacra2_load(m->ssimulacra2, NULL, original, img->width, img->height,
                                           img->channels, &err);
    return r ? r
             : vj_cuda_ssimulacra2_compute(m->ssimulacra2, NULL, m->rig.in.data, 1, m->rig.out.data,
                                           &err);
}

static void a_launch_that_fails_is_reported_whichever_it_is(void **state)
{
    (void)state;
    for (int way = 0; EMULATED && way < 4; way++) {
        const size_t side = way == 1 ? VJ_MS_SSIM_MIN_SIDE : 20, bytes = 4096;
        struct metrics m = {.rig = rig_make(side, side, 3, SMOOTH, 1, bytes)};
        if (way < 2)
            ok(vj_cuda_quality_create(&m.quality, side, side, VJ_QUALITY_ALL, 1, &err));
        else
            ok(vj_cuda_ssimulacra2_create(&m.ssimulacra2, side, side, modes[way - 2], 1, &err));
        print_message("%u calls\n", fail_each(measure, &m, 1, false));
        vj_cuda_quality_destroy(m.quality);
        vj_cuda_ssimulacra2_destroy(m.ssimulacra2);
        rig_free(&m.rig);
    }
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psnr_and_ssim_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(ms_ssim_equals_that_of_the_cpu_bit_for_bit),
        cmocka_unit_test(only_the_metrics_asked_for_are_there),
        cmocka_unit_test(more_candidates_than_a_batch_holds_have_their_quality),
        cmocka_unit_test(ssimulacra2_of_small_pictures_has_the_bits_of_the_cpu),
        cmocka_unit_test(ssimulacra2_of_several_strips_and_tiles_has_the_bits_of_the_cpu),
        cmocka_unit_test(candidates_that_are_worked_on_in_parts_have_their_ssimulacra2),
        cmocka_unit_test(sizes_end_where_launches_do),
        cmocka_unit_test(calls_out_of_order_or_range_are_refused_by_name),
        cmocka_unit_test(what_cannot_be_created_is_given_back),
        cmocka_unit_test(a_launch_that_fails_is_reported_whichever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
