/* SPDX-License-Identifier: MIT */
/*
 * The kernels on a GPU against the CPU: JPEG candidates, patches, pixel-JND maps, quality,
 * SSIMULACRA2. All of it must be equal, the floats of maps and qualities too: both sides evaluate
 * the same expressions in the same order without contraction. Every buffer that a kernel writes has
 * guard bytes around it and is rubbish before. Skipped without a device.
 */
#include "tests/cuda/emulate.h"

#include <errno.h>
#include <math.h>

#include <cuda_runtime_api.h>

#include "cuda/check.h"
#include "cuda/jnd.h"
#include "cuda/jpeg.h"
#include "cuda/patch.h"
#include "cuda/quality.h"
#include "cuda/ssimulacra2.h"
#include "host/jnd_klt22.h"
#include "host/jnd_rules.h"
#include "host/jpeg_plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DEVICE_GUARD = 256 };

static struct vj_error err;

static void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

/* ---- Device memory with guards -------------------------------------------------------------- */

struct buffer {
    uint8_t *base;
    size_t bytes;
    void *data; /* what kernels get */
};

static struct buffer buffer_take(size_t bytes)
{
    struct buffer b = {.bytes = bytes};
    void *base = NULL;
    ok(VJ_CUDA(cudaMalloc(&base, bytes + 2 * DEVICE_GUARD), &err));
    ok(VJ_CUDA(cudaMemset(base, GUARD_BYTE, bytes + 2 * DEVICE_GUARD), &err));
    b.base = base;
    b.data = b.base + DEVICE_GUARD;
    return b;
}

static struct buffer buffer_of(const void *from, size_t bytes)
{
    struct buffer b = buffer_take(bytes);
    ok(VJ_CUDA(cudaMemcpy(b.data, from, bytes, cudaMemcpyHostToDevice), &err));
    return b;
}

/* Copies the contents to the host, once all work is done, and checks the guards. */
static void buffer_read(const struct buffer *b, void *to)
{
    uint8_t *all = malloc(b->bytes + 2 * DEVICE_GUARD);
    ok(VJ_CUDA(cudaDeviceSynchronize(), &err));
    ok(VJ_CUDA(cudaMemcpy(all, b->base, b->bytes + 2 * DEVICE_GUARD, cudaMemcpyDeviceToHost),
               &err));
    for (size_t i = 0; i < DEVICE_GUARD; i++) {
        assert_int_equal(all[i], GUARD_BYTE);
        assert_int_equal(all[DEVICE_GUARD + b->bytes + i], GUARD_BYTE);
    }
    memcpy(to, all + DEVICE_GUARD, b->bytes);
    free(all);
}

static void buffer_free(struct buffer *b)
{
    ok(VJ_CUDA(cudaFree(b->base), &err));
    b->base = NULL;
}

/* ---- JPEG ----------------------------------------------------------------------------------- */

struct kind {
    int channels;
    enum vj_subsampling sampling;
};

static const struct kind kinds[] = {
    {3, VJ_SUBSAMPLING_420},
    {3, VJ_SUBSAMPLING_444},
    {1, VJ_SUBSAMPLING_420},
};

static const int qf_list[] = {100, 1, 50, 37, 88, 5};

enum { LEVELS = COUNT(qf_list) };

/* A picture, loaded both ways. */
struct both {
    struct vj_image img;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    struct buffer pixels;
};

static struct both both_load(struct vj_cuda_jpeg *jpeg, size_t width, size_t height,
                             struct kind kind, enum content content)
{
    struct both b = {.img = content_picture(width, height, kind.channels, content,
                                            (uint32_t)(width + 64 * height))};
    ok(vj_jpeg_plan_create(&b.plan, &b.img, kind.sampling, &err));
    ok(vj_jpeg_scratch_create(&b.scratch, width, height, kind.channels, kind.sampling, &err));
    b.pixels = buffer_of(b.img.data, width * height * (size_t)kind.channels);
    ok(vj_cuda_jpeg_load(jpeg, NULL, b.pixels.data, width, height, kind.channels, kind.sampling,
                         &err));
    return b;
}

static void both_free(struct both *b)
{
    buffer_free(&b->pixels);
    vj_jpeg_scratch_free(b->scratch);
    vj_jpeg_plan_free(b->plan);
    vj_image_free(&b->img);
}

static void check_candidates(struct vj_cuda_jpeg *jpeg, const struct both *b)
{
    size_t bytes = b->img.width * b->img.height * (size_t)b->img.channels;
    struct buffer out = buffer_take(LEVELS * bytes), sizes = buffer_take(LEVELS * sizeof(int64_t));
    uint8_t *got = malloc(LEVELS * bytes), *expected = malloc(bytes);
    int64_t got_size[LEVELS], expected_size;
    ok(vj_cuda_jpeg_decode(jpeg, NULL, qf_list, LEVELS, out.data, &err));
    ok(vj_cuda_jpeg_sizes(jpeg, NULL, qf_list, LEVELS, sizes.data, &err));
    buffer_read(&out, got);
    buffer_read(&sizes, got_size);
    for (size_t i = 0; i < LEVELS; i++) {
        ok(vj_jpeg_plan_decode(b->plan, qf_list[i], expected, b->scratch, &err));
        assert_memory_equal(got + i * bytes, expected, bytes);
        ok(vj_jpeg_plan_size(b->plan, qf_list[i], VJ_JPEG_CODING_STANDARD, &expected_size,
                             b->scratch, &err));
        assert_int_equal(got_size[i], expected_size);
    }
    free(expected);
    free(got);
    buffer_free(&sizes);
    buffer_free(&out);
}

static void check_patches(struct vj_cuda_jpeg *jpeg, const struct both *b,
                          const int32_t (*origin)[2], size_t patches, size_t side)
{
    size_t samples = patches * side * side, channels = (size_t)b->img.channels;
    struct buffer places = buffer_of(origin, patches * sizeof(*origin));
    struct buffer out = buffer_take(LEVELS * samples * 3);
    uint8_t *got = malloc(LEVELS * samples * 3), *expected = malloc(samples * channels);
    ok(vj_cuda_check_origins(origin, patches, side, b->img.width, b->img.height, &err));
    ok(vj_cuda_jpeg_patches(jpeg, NULL, qf_list, LEVELS, places.data, patches, side, out.data,
                            &err));
    buffer_read(&out, got);
    for (size_t i = 0; i < LEVELS; i++) {
        ok(vj_jpeg_plan_patches(b->plan, qf_list[i], origin, patches, side, expected, b->scratch,
                                &err));
        for (size_t k = 0; k < samples * 3; k++)
            assert_int_equal(got[i * samples * 3 + k], expected[channels == 3 ? k : k / 3]);
    }
    free(expected);
    free(got);
    buffer_free(&out);
    buffer_free(&places);
}

static void candidates_and_sizes_equal_those_of_the_cpu(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},    {3, 2},   {4, 17},  {5, 4},    {8, 8},
                                      {9, 16},   {17, 15}, {33, 40}, {64, 32},  {65, 33},
                                      {131, 67}, {300, 7}, {6, 301}, {640, 427}};
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 640, 427, 3, VJ_SUBSAMPLING_444, LEVELS, &err));
    for (size_t i = 0; i < COUNT(sizes) * COUNT(kinds); i++) {
        const size_t *size = sizes[i / COUNT(kinds)];
        struct both b = both_load(jpeg, size[0], size[1], kinds[i % COUNT(kinds)],
                                  (enum content)(i / COUNT(kinds) % CONTENTS));
        check_candidates(jpeg, &b);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void a_large_picture_has_the_candidates_and_sizes_of_the_cpu(void **state)
{
    (void)state;
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 1920, 1080, 3, VJ_SUBSAMPLING_420, LEVELS, &err));
    for (int content = 0; content < CONTENTS; content++) {
        struct both b = both_load(jpeg, 1920, 1080, kinds[0], (enum content)content);
        check_candidates(jpeg, &b);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void patches_equal_those_parts_of_the_candidates(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {7, 9}, {13, 30}, {1, 63}, {36, 86}};
    static const size_t sides[] = {1, 3, 16, 31, 32, 33, 64};
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, 150, 100, 3, VJ_SUBSAMPLING_444, LEVELS, &err));
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct both b = both_load(jpeg, 150, 100, kinds[k], NOISE);
        for (size_t i = 0; i < COUNT(sides); i++)
            check_patches(jpeg, &b, origin, COUNT(origin), sides[i]);
        both_free(&b);
    }
    vj_cuda_jpeg_destroy(jpeg);
}

static void gathered_patches_are_those_parts_of_the_pictures(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {3, 21}, {2, 7}};
    static const size_t layouts[][2] = {{1, 1}, {1, 3}, {3, 3}};
    enum { WIDTH = 40, HEIGHT = 22, SIDE = 19, PICTURES = 3, MOST = 3 * 3 * SIDE * SIDE * 3 };
    for (size_t k = 0; k < COUNT(layouts); k++) {
        size_t in = layouts[k][0], channels = layouts[k][1];
        struct vj_image img = content_picture(WIDTH, HEIGHT * PICTURES, (int)in, NOISE, 5);
        struct buffer pixels = buffer_of(img.data, WIDTH * HEIGHT * PICTURES * in);
        struct buffer places = buffer_of(origin, sizeof(origin));
        struct buffer out = buffer_take(PICTURES * COUNT(origin) * SIDE * SIDE * channels);
        uint8_t got[MOST], *next = got;
        ok(vj_cuda_gather(NULL, pixels.data, WIDTH, HEIGHT, (int)in, PICTURES, places.data,
                          COUNT(origin), SIDE, (int)channels, out.data, &err));
        buffer_read(&out, got);
        for (size_t i = 0; i < PICTURES * COUNT(origin) * SIDE * SIDE; i++) {
            size_t pixel = i % (SIDE * SIDE), p = i / (SIDE * SIDE) % COUNT(origin);
            size_t y = i / (SIDE * SIDE) / COUNT(origin) * HEIGHT + (size_t)origin[p][0];
            size_t at = (y + pixel / SIDE) * WIDTH + (size_t)origin[p][1] + pixel % SIDE;
            for (size_t c = 0; c < channels; c++)
                assert_int_equal(*next++, img.data[at * in + (in == 1 ? 0 : c)]);
        }
        buffer_free(&out);
        buffer_free(&places);
        buffer_free(&pixels);
        vj_image_free(&img);
    }
}

/* ---- Pixel-JND ------------------------------------------------------------------------------ */

static void check_map(struct vj_cuda_jnd *jnd, const struct vj_image *img, const char *name,
                      size_t variant)
{
    size_t pixels = img->width * img->height;
    const struct vj_jnd_model *model = vj_jnd_find(name, &err);
    assert_non_null(model);
    struct buffer in = buffer_of(img->data, pixels * (size_t)img->channels);
    struct buffer luma = buffer_take(pixels), map = buffer_take(pixels * sizeof(float));
    float *got = malloc(pixels * sizeof(float)), *expected = malloc(pixels * sizeof(float));
    uint8_t *got_luma = malloc(pixels), *expected_luma = malloc(pixels);
    ok(vj_cuda_luma(NULL, in.data, img->width, img->height, img->channels, luma.data, &err));
    ok(vj_cuda_jnd_compute(jnd, NULL, model, variant, luma.data, img->width, img->height, map.data,
                           &err));
    buffer_read(&luma, got_luma);
    buffer_read(&map, got);
    vj_jnd_luma(img, expected_luma);
    assert_memory_equal(got_luma, expected_luma, pixels);
    ok(vj_jnd_compute(name, model->variants[variant], img, expected, &err));
    assert_memory_equal(got, expected, pixels * sizeof(float));
    free(got);
    free(expected);
    free(got_luma);
    free(expected_luma);
    buffer_free(&map);
    buffer_free(&luma);
    buffer_free(&in);
}

static void maps_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {1, 9},     {9, 1},     {3, 5},   {5, 5},
                                      {6, 7},   {31, 15},   {33, 17},   {65, 49}, {97, 33},
                                      {40, 70}, {513, 389}, {1280, 720}};
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, 1280, 720, LEVELS, &err));
    for (size_t i = 0; i < COUNT(sizes) * CONTENTS; i++) {
        const size_t *size = sizes[i / CONTENTS];
        struct vj_image img =
            content_picture(size[0], size[1], i % 2 ? 1 : 3, (enum content)(i % CONTENTS), 77);
        check_map(jnd, &img, "chou95", 0);
        check_map(jnd, &img, "chou95", 1);
        check_map(jnd, &img, "epc17", 0);
        check_map(jnd, &img, "epc17", 1);
        check_map(jnd, &img, "yang05", 0);
        check_map(jnd, &img, "yang05", 1);
        check_map(jnd, &img, "fep13", 0);
        check_map(jnd, &img, "liu10", 2);
        check_map(jnd, &img, "liu10", 3);
        if ((size[0] / 8) * (size[1] / 8) >= VJ_KLT_MIN_BLOCKS) {
            check_map(jnd, &img, "klt22", 0);
            check_map(jnd, &img, "klt22", 1);
        }
        vj_image_free(&img);
    }
    vj_cuda_jnd_destroy(jnd);
}

/* Edges are the one stage in which threads race for the same memory. */
static void maps_are_the_same_in_every_run(void **state)
{
    (void)state;
    enum { WIDTH = 640, HEIGHT = 480, PIXELS = WIDTH * HEIGHT, RUNS = 50 };
    struct vj_cuda_jnd *jnd;
    struct vj_image img = content_picture(WIDTH, HEIGHT, 1, NOISE, 3);
    struct buffer luma = buffer_of(img.data, PIXELS), map = buffer_take(PIXELS * sizeof(float));
    float *first = malloc(PIXELS * sizeof(float)), *again = malloc(PIXELS * sizeof(float));
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, 1, &err));
    for (int run = 0; run < RUNS; run++) {
        ok(vj_cuda_jnd_compute(jnd, NULL, vj_jnd_find("epc17", NULL), 0, luma.data, WIDTH, HEIGHT,
                               map.data, &err));
        buffer_read(&map, run ? again : first);
        assert_memory_equal(run ? again : first, first, PIXELS * sizeof(float));
    }
    vj_cuda_jnd_destroy(jnd);
    free(first);
    free(again);
    buffer_free(&map);
    buffer_free(&luma);
    vj_image_free(&img);
}

static void maps_become_the_8_bit_samples_of_the_cpu(void **state)
{
    (void)state;
    enum { WIDTH = 341, HEIGHT = 227, PIXELS = WIDTH * HEIGHT };
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, 1, &err));
    float *map = malloc(PIXELS * sizeof(*map));
    uint8_t *got = malloc(PIXELS), *expected = malloc(PIXELS);
    for (uint32_t i = 0; i < PIXELS; i++)
        map[i] = (float)vj_random4(9, VJ_RNG_TEST, 1, i).v[0] / 1e7f - 40.0f;
    for (int run = 0; run < 4; run++) {
        enum vj_jnd_scale scale = (enum vj_jnd_scale)(run % 3);
        uint32_t not_finite;
        if (run == 3)
            map[PIXELS - 1] = NAN;
        struct buffer in = buffer_of(map, PIXELS * sizeof(*map)), out = buffer_take(PIXELS);
        struct buffer flag = buffer_take(sizeof(uint32_t));
        ok(vj_cuda_jnd_to_u8(jnd, NULL, in.data, WIDTH, HEIGHT, scale, out.data, flag.data, &err));
        buffer_read(&out, got);
        buffer_read(&flag, &not_finite);
        assert_int_equal(not_finite, run == 3);
        memset(expected, 0, PIXELS);
        if (run < 3)
            ok(vj_jnd_to_u8(map, PIXELS, scale, expected, &err));
        assert_memory_equal(got, expected, PIXELS);
        buffer_free(&flag);
        buffer_free(&out);
        buffer_free(&in);
    }
    free(map);
    free(got);
    free(expected);
    vj_cuda_jnd_destroy(jnd);
}

static void numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit(void **state)
{
    (void)state;
    enum { WIDTH = 211, HEIGHT = 173, PIXELS = WIDTH * HEIGHT, CANDIDATES = 3 };
    struct vj_cuda_jnd *jnd;
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, CANDIDATES, &err));
    for (int channels = 1; channels <= 3; channels += 2) {
        struct vj_image d = content_picture(WIDTH, HEIGHT * CANDIDATES, channels, NOISE, 8);
        uint8_t *luma = malloc((CANDIDATES + 1) * PIXELS), *reference = luma + CANDIDATES * PIXELS;
        float *map = malloc(PIXELS * sizeof(*map));
        double share[CANDIDATES], excess[CANDIDATES], energy;
        uint64_t square[CANDIDATES];
        vj_jnd_luma(&d, luma);
        for (uint32_t i = 0; i < PIXELS; i++) {
            reference[i] = (uint8_t)(i % 253);
            /* Whole numbers and others: there are ties, and sums that depend on their order. */
            map[i] = (float)(vj_random4(4, VJ_RNG_TEST, 2, i).v[0] % 600) / 3.0f;
        }
        struct buffer in = buffer_of(d.data, CANDIDATES * PIXELS * (size_t)channels);
        struct buffer ref = buffer_of(reference, PIXELS);
        struct buffer limit = buffer_of(map, PIXELS * sizeof(*map));
        struct buffer out[4] = {buffer_take(sizeof(share)), buffer_take(sizeof(square)),
                                buffer_take(sizeof(excess)), buffer_take(sizeof(energy))};
        ok(vj_cuda_jnd_measure(jnd, NULL, in.data, CANDIDATES, WIDTH, HEIGHT, channels, ref.data,
                               limit.data, out[0].data, out[2].data, out[1].data, &err));
        ok(vj_cuda_jnd_noise_energy(jnd, NULL, WIDTH, HEIGHT, limit.data, out[3].data, &err));
        buffer_read(&out[0], share);
        buffer_read(&out[1], square);
        buffer_read(&out[2], excess);
        buffer_read(&out[3], &energy);
        assert_true(energy == vj_jnd_noise_energy(map, PIXELS));
        for (size_t n = 0; n < CANDIDATES; n++) {
            struct vj_jnd_statistics s;
            vj_jnd_measure(luma + n * PIXELS, reference, map, PIXELS, energy, &s);
            assert_true(share[n] == s.share && excess[n] == s.excess);
            assert_true(vj_jnd_noise_gain(energy, square[n], PIXELS) == s.noise_gain);
        }
        for (size_t i = 0; i < COUNT(out); i++)
            buffer_free(&out[i]);
        buffer_free(&limit);
        buffer_free(&ref);
        buffer_free(&in);
        free(map);
        free(luma);
        vj_image_free(&d);
    }
    vj_cuda_jnd_destroy(jnd);
}

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
    for (int mode = VJ_SSIMULACRA2_EXACT; mode <= VJ_SSIMULACRA2_PARITY; mode++) {
        struct vj_cuda_ssimulacra2 *device;
        ok(vj_cuda_ssimulacra2_create(&device, 2561, 1703, (enum vj_ssimulacra2_mode)mode,
                                      CANDIDATES, &err));
        check_ssimulacra2(device, 2561, 1703, 3, (enum vj_ssimulacra2_mode)mode);
        vj_cuda_ssimulacra2_destroy(device);
    }
}

/* ---- Arguments ------------------------------------------------------------------------------ */

static void calls_out_of_order_or_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_cuda_jpeg *jpeg;
    struct vj_cuda_jnd *jnd;
    struct vj_cuda_quality *quality;
    struct vj_cuda_ssimulacra2 *ssimulacra2;
    struct buffer memory = buffer_take(3 * 64 * 64 * 8);
    int qf = 50, wrong = 101;
    ok(vj_cuda_jpeg_create(&jpeg, 32, 32, 3, VJ_SUBSAMPLING_420, 1, &err));
    ok(vj_cuda_jnd_create(&jnd, 32, 32, 1, &err));
    ok(vj_cuda_quality_create(&quality, 32, 32, VJ_QUALITY_ALL, 1, &err));
    ok(vj_cuda_ssimulacra2_create(&ssimulacra2, 32, 32, VJ_SSIMULACRA2_EXACT, 1, &err));
    uint8_t *d = memory.data;

    assert_int_equal(vj_cuda_jpeg_decode(jpeg, NULL, &qf, 1, d, &err), -EINVAL);
    vj_assert_contains(err.text, "load one first");
    assert_int_equal(vj_cuda_jpeg_load(jpeg, NULL, d, 33, 1, 3, VJ_SUBSAMPLING_420, &err), -ENOSPC);
    assert_int_equal(vj_cuda_jpeg_load(jpeg, NULL, d, 8, 8, 3, VJ_SUBSAMPLING_444, &err), -ENOSPC);
    ok(vj_cuda_jpeg_load(jpeg, NULL, d, 8, 8, 3, VJ_SUBSAMPLING_420, &err));
    assert_int_equal(vj_cuda_jpeg_decode(jpeg, NULL, &wrong, 1, d, &err), -EINVAL);
    vj_assert_contains(err.text, "101");
    assert_int_equal(vj_cuda_jpeg_sizes(jpeg, NULL, &qf, 2, memory.data, &err), -EINVAL);
    assert_int_equal(vj_cuda_jpeg_patches(jpeg, NULL, &qf, 1, memory.data, 1, 9, d, &err), -EINVAL);

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
    vj_cuda_jnd_destroy(jnd);
    vj_cuda_jpeg_destroy(jpeg);
    buffer_free(&memory);
}

int main(void)
{
    int devices = 0;
    cudaError_t status = cudaGetDeviceCount(&devices);
    if (status != cudaSuccess || devices == 0) {
        print_message("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_and_sizes_equal_those_of_the_cpu),
        cmocka_unit_test(a_large_picture_has_the_candidates_and_sizes_of_the_cpu),
        cmocka_unit_test(patches_equal_those_parts_of_the_candidates),
        cmocka_unit_test(gathered_patches_are_those_parts_of_the_pictures),
        cmocka_unit_test(maps_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(maps_are_the_same_in_every_run),
        cmocka_unit_test(maps_become_the_8_bit_samples_of_the_cpu),
        cmocka_unit_test(numbers_by_the_rules_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(qualities_equal_those_of_the_cpu_bit_for_bit),
        cmocka_unit_test(ssimulacra2_equals_that_of_the_cpu_bit_for_bit),
        cmocka_unit_test(a_large_picture_has_the_ssimulacra2_of_the_cpu),
        cmocka_unit_test(calls_out_of_order_or_range_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
