/* SPDX-License-Identifier: MIT */
/*
 * Every kernel of pictures once, on the emulation that shows the thread sanitizer each thread of a
 * block as a thread: a race ends the program with status 66. What the kernels give is the other
 * tests' affair.
 */
#include "tests/vj_test.h"

#include <cuda_runtime_api.h>

#include "cuda/jnd.h"
#include "cuda/jpeg.h"
#include "cuda/patch.h"
#include "cuda/quality.h"
#include "cuda/ssimulacra2.h"
#include "host/jnd_klt22.h"
#include "tests/cuda/pictures.h"

#include "tests/cuda/gpu_buffer.h" /* has a name that functions above have too */

/* MS-SSIM has all its scales from 176 pixels on. */
enum { WIDTH = 97, HEIGHT = 83, PIXELS = WIDTH * HEIGHT, LARGE = 176, LEVELS = 2, SIDE = 33 };

/* Some models take thousands of steps for each pixel of a map; klt22 wants 65 whole blocks. */
enum { MAP_WIDTH = 73, MAP_HEIGHT = 67, MAP_PIXELS = MAP_WIDTH * MAP_HEIGHT };

static const int qf[LEVELS] = {93, 20};

static struct buffer picture(size_t width, size_t height, int channels, enum content content)
{
    struct vj_image img = content_picture(width, height, channels, content, 7);
    struct buffer b = buffer_of(img.data, width * height * (size_t)channels);
    vj_image_free(&img);
    return b;
}

static void candidates_sizes_and_patches(void **state)
{
    (void)state;
    static const int32_t origin[][2] = {{0, 0}, {13, 30}};
    static const enum vj_subsampling samplings[] = {VJ_SUBSAMPLING_420, VJ_SUBSAMPLING_444};
    struct buffer out = buffer_take(LEVELS * PIXELS * 3), bytes = buffer_take(LEVELS * 8);
    struct buffer places = buffer_of(origin, sizeof(origin));
    struct vj_cuda_jpeg *jpeg;
    ok(vj_cuda_jpeg_create(&jpeg, WIDTH, HEIGHT, 3, VJ_SUBSAMPLING_444, LEVELS, &err));
    for (int i = 0; i < 2; i++) {
        struct buffer in = picture(WIDTH, HEIGHT, 3, i ? NOISE : SMOOTH);
        ok(vj_cuda_jpeg_load(jpeg, NULL, in.data, WIDTH, HEIGHT, 3, samplings[i], &err));
        ok(vj_cuda_jpeg_decode(jpeg, NULL, qf, LEVELS, out.data, &err));
        ok(vj_cuda_jpeg_sizes(jpeg, NULL, qf, LEVELS, bytes.data, &err));
        ok(vj_cuda_jpeg_patches(jpeg, NULL, qf, LEVELS, places.data, 2, SIDE, out.data, &err));
        ok(vj_cuda_gather(NULL, in.data, WIDTH, HEIGHT, 3, 1, places.data, 2, SIDE, 3, out.data,
                          &err));
        wait_for_all();
        buffer_free(&in);
    }
    vj_cuda_jpeg_destroy(jpeg);
    buffer_free(&places);
    buffer_free(&bytes);
    buffer_free(&out);
}

static void maps_of_every_model(void **state)
{
    (void)state;
    struct vj_cuda_jnd *jnd;
    struct buffer luma = buffer_take(MAP_PIXELS), map = buffer_take(MAP_PIXELS * sizeof(float));
    ok(vj_cuda_jnd_create(&jnd, MAP_WIDTH, MAP_HEIGHT, LEVELS, &err));
    for (int i = 0; i < 2; i++) {
        struct buffer in = picture(MAP_WIDTH, MAP_HEIGHT, 3, i ? NOISE : SMOOTH);
        ok(vj_cuda_luma(NULL, in.data, MAP_WIDTH, MAP_HEIGHT, 3, luma.data, &err));
        for (const struct vj_jnd_model *const *m = vj_jnd_models; *m; m++)
            for (size_t v = 0; (*m)->variants[v]; v++)
                if (!vj_cuda_jnd_supported(*m, v, NULL))
                    ok(vj_cuda_jnd_compute(jnd, NULL, *m, v, luma.data, MAP_WIDTH, MAP_HEIGHT,
                                           map.data, &err));
        wait_for_all();
        buffer_free(&in);
    }
    vj_cuda_jnd_destroy(jnd);
    buffer_free(&map);
    buffer_free(&luma);
}

static void samples_and_numbers_of_a_map(void **state)
{
    (void)state;
    struct vj_cuda_jnd *jnd;
    struct buffer in = picture(WIDTH, HEIGHT, 1, NOISE), two = buffer_take(LEVELS * PIXELS);
    struct buffer map = buffer_take(PIXELS * sizeof(float)), out = buffer_take(PIXELS);
    struct buffer number[4];
    for (int i = 0; i < 4; i++)
        number[i] = buffer_take(LEVELS * sizeof(double));
    ok(VJ_CUDA(cudaMemset(two.data, 100, two.bytes), &err));
    ok(vj_cuda_jnd_create(&jnd, WIDTH, HEIGHT, LEVELS, &err));
    ok(vj_cuda_jnd_compute(jnd, NULL, vj_jnd_find("chou95", NULL), 0, in.data, WIDTH, HEIGHT,
                           map.data, &err));
    ok(vj_cuda_jnd_to_u8(jnd, NULL, map.data, WIDTH, HEIGHT, VJ_JND_MINMAX, out.data,
                         number[0].data, &err));
    ok(vj_cuda_jnd_measure(jnd, NULL, two.data, LEVELS, WIDTH, HEIGHT, 1, in.data, map.data,
                           number[0].data, number[1].data, number[2].data, &err));
    ok(vj_cuda_jnd_noise_energy(jnd, NULL, WIDTH, HEIGHT, map.data, number[3].data, &err));
    wait_for_all();
    vj_cuda_jnd_destroy(jnd);
    for (int i = 0; i < 4; i++)
        buffer_free(&number[i]);
    buffer_free(&out);
    buffer_free(&map);
    buffer_free(&two);
    buffer_free(&in);
}

static void qualities(void **state)
{
    (void)state;
    struct vj_cuda_quality *quality;
    struct buffer in = picture(LARGE, LARGE, 3, SMOOTH), other = picture(LARGE, LARGE, 3, NOISE);
    struct buffer out = buffer_take(sizeof(struct vj_cuda_quality_sums));
    ok(vj_cuda_quality_create(&quality, LARGE, LARGE, VJ_QUALITY_ALL, 1, &err));
    ok(vj_cuda_quality_load(quality, NULL, in.data, LARGE, LARGE, 3, &err));
    ok(vj_cuda_quality_compute(quality, NULL, other.data, 1, out.data, &err));
    wait_for_all();
    vj_cuda_quality_destroy(quality);
    buffer_free(&out);
    buffer_free(&other);
    buffer_free(&in);
}

static void ssimulacra2_in_both_modes(void **state)
{
    (void)state;
    struct buffer in = picture(WIDTH, HEIGHT, 3, SMOOTH), other = picture(WIDTH, HEIGHT, 3, NOISE);
    struct buffer out = buffer_take(sizeof(struct vj_ssimulacra2_totals));
    for (int mode = VJ_SSIMULACRA2_EXACT; mode <= VJ_SSIMULACRA2_PARITY; mode++) {
        struct vj_cuda_ssimulacra2 *s;
        ok(vj_cuda_ssimulacra2_create(&s, WIDTH, HEIGHT, (enum vj_ssimulacra2_mode)mode, 1, &err));
        ok(vj_cuda_ssimulacra2_load(s, NULL, in.data, WIDTH, HEIGHT, 3, &err));
        ok(vj_cuda_ssimulacra2_compute(s, NULL, other.data, 1, out.data, &err));
        wait_for_all();
        vj_cuda_ssimulacra2_destroy(s);
    }
    buffer_free(&out);
    buffer_free(&other);
    buffer_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_sizes_and_patches), cmocka_unit_test(maps_of_every_model),
        cmocka_unit_test(samples_and_numbers_of_a_map), cmocka_unit_test(qualities),
        cmocka_unit_test(ssimulacra2_in_both_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
