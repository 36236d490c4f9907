/* SPDX-License-Identifier: MIT */
/*
 * What one JPEG candidate costs on one thread: the codec (libjpeg-turbo encodes and decodes)
 * against the model (host/jpeg_plan.h), in milliseconds of processor time per quality factor.
 *
 *     bench_candidates [picture [repeats]]
 *
 * Without a picture a procedural one of 1920 x 1080 is used. The figure of a route is the mean over
 * all quality factors of the fastest of `repeats` (default 3) runs; routes take turns, so that all
 * of them see the same machine. Pixels and sizes are compared on the way.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/image.h"
#include "host/jpeg_plan.h"
#include "host/rng.h"

enum { PATCHES = 64, SIDE = 128, QUALITIES = 100 };

enum route {
    ENCODE,
    DECODE,
    WHOLE,
    PATCH_LIST,
    WINDOWS,
    SIZE,
    OPTIMAL_SIZE,
    ROUTES,
};

static const char *const route_names[ROUTES] = {
    "codec: encode",
    "codec: decode",
    "model: whole picture",
    "model: 64 patches of 128 x 128",
    "model: the same one by one",
    "model: file size",
    "model: optimised file size",
};

struct bench {
    struct vj_image img;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    int32_t origin[PATCHES][2];
    uint8_t *pixels, *patches;
    struct vj_image decoded;
    uint8_t *file;
    size_t file_size;
    int64_t size, optimal_size;
    size_t typical_size; /* file at QF 75 */
};

static double milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static float lattice(uint64_t octave, int y, int x)
{
    struct vj_u32x4 r = vj_random4(1, VJ_RNG_TEST, octave << 32 | (uint32_t)y, (uint32_t)x);
    return (float)vj_random_unit(r.v[0]) - 0.5f;
}

/* Smooth noise with a feature every `scale` pixels. */
static float value_noise(uint64_t octave, int y, int x, int scale)
{
    int i = y / scale, j = x / scale;
    float v = (float)(y % scale) / (float)scale, u = (float)(x % scale) / (float)scale;
    float above = lattice(octave, i, j) * (1 - u) + lattice(octave, i, j + 1) * u;
    float below = lattice(octave, i + 1, j) * (1 - u) + lattice(octave, i + 1, j + 1) * u;
    return above * (1 - v) + below * v;
}

/* Fractal noise, whose spectrum falls as a photograph's does, with a soft horizon and sensor noise.
 */
static int procedural_picture(struct vj_image *img, struct vj_error *err)
{
    int rc = vj_image_alloc(img, 1920, 1080, 3, err);
    if (rc)
        return rc;
    for (int y = 0; y < 1080; y++) {
        for (int x = 0; x < 1920; x++) {
            float sky = y < 400 ? 1.0f : 0.0f, base = 90 + 70 * sky, detail = sky != 0 ? 0.2f : 1;
            float light = 0;
            for (int octave = 0, scale = 256; scale >= 2; octave++, scale /= 2)
                light += value_noise((uint64_t)octave, y, x, scale) * 8 * sqrtf((float)scale) *
                         (scale < 64 ? detail : 1);
            float tint = 60 * value_noise(20, y, x, 200) + 20 * value_noise(21, y, x, 24) * detail;
            float grain = 8 * lattice(30, y, x);
            float rgb[3] = {light + tint, light, light - tint + 30 * sky};
            for (int c = 0; c < 3; c++) {
                float v = base + rgb[c] + grain;
                img->data[(y * 1920 + x) * 3 + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
    return 0;
}

static int setup(struct bench *b, const char *path, struct vj_error *err)
{
    int rc = path ? vj_image_read(&b->img, path, NULL, err) : procedural_picture(&b->img, err);
    if (!rc)
        rc = vj_image_to_rgb(&b->img, err);
    if (!rc && (b->img.width < SIDE || b->img.height < SIDE)) {
        fprintf(stderr, "bench_candidates: the picture must be at least %d pixels each way\n",
                SIDE);
        return -1;
    }
    if (!rc)
        rc = vj_jpeg_scratch_create(&b->scratch, b->img.width, b->img.height, 3, VJ_SUBSAMPLING_420,
                                    err);
    if (!rc)
        rc = vj_jpeg_plan_create(&b->plan, &b->img, VJ_SUBSAMPLING_420, err);
    if (rc)
        return rc;
    b->pixels = malloc(b->img.width * b->img.height * 3);
    b->patches = malloc((size_t)PATCHES * SIDE * SIDE * 3);
    if (!b->pixels || !b->patches)
        return -1;
    for (uint32_t i = 0; i < PATCHES; i++) {
        struct vj_u32x4 r = vj_random4(1, VJ_RNG_PATCHES, 0, i);
        b->origin[i][0] = (int32_t)vj_random_below(r.v[0], (uint32_t)(b->img.height - SIDE + 1));
        b->origin[i][1] = (int32_t)vj_random_below(r.v[1], (uint32_t)(b->img.width - SIDE + 1));
    }
    return 0;
}

static int run_windows(struct bench *b, int qf, struct vj_error *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < PATCHES; i++)
        rc = vj_jpeg_plan_window(b->plan, qf, (size_t)b->origin[i][0], (size_t)b->origin[i][1],
                                 SIDE, SIDE, b->patches + i * SIDE * SIDE * 3, b->scratch, err);
    return rc;
}

static int run_route(struct bench *b, enum route route, int qf, struct vj_error *err)
{
    switch (route) {
    case ENCODE:
        free(b->file);
        b->file = NULL;
        return vj_jpeg_encode(&b->file, &b->file_size, &b->img, qf, VJ_SUBSAMPLING_420, err);
    case DECODE:
        vj_image_free(&b->decoded);
        return vj_image_read_memory(&b->decoded, b->file, b->file_size, "bench.jpg", NULL, err);
    case WHOLE:
        return vj_jpeg_plan_decode(b->plan, qf, b->pixels, b->scratch, err);
    case PATCH_LIST:
        return vj_jpeg_plan_patches(b->plan, qf, (const int32_t(*)[2])b->origin, PATCHES, SIDE,
                                    b->patches, b->scratch, err);
    case WINDOWS:
        return run_windows(b, qf, err);
    case SIZE:
        return vj_jpeg_plan_size(b->plan, qf, VJ_JPEG_CODING_STANDARD, &b->size, b->scratch, err);
    case OPTIMAL_SIZE:
        return vj_jpeg_plan_size(b->plan, qf, VJ_JPEG_CODING_OPTIMAL, &b->optimal_size, b->scratch,
                                 err);
    case ROUTES:
        break;
    }
    return -1;
}

/* Whether the model's last results are the codec's. */
static int results_equal(const struct bench *b)
{
    size_t row = b->img.width * 3;
    if (b->size != (int64_t)b->file_size ||
        memcmp(b->pixels, b->decoded.data, row * b->img.height) != 0)
        return 0;
    for (size_t i = 0; i < (size_t)PATCHES * SIDE; i++) {
        const int32_t *at = b->origin[i / SIDE];
        const uint8_t *expected =
            b->decoded.data + ((size_t)at[0] + i % SIDE) * row + (size_t)at[1] * 3;
        if (memcmp(b->patches + i * SIDE * 3, expected, (size_t)SIDE * 3) != 0)
            return 0;
    }
    return 1;
}

/* Adds the fastest of `repeats` runs of each route at one quality factor to `total`. */
static int measure(struct bench *b, int qf, int repeats, double total[ROUTES], struct vj_error *err)
{
    double best[ROUTES];
    for (int repeat = 0; repeat < repeats; repeat++) {
        for (int route = 0; route < ROUTES; route++) {
            double begin = milliseconds();
            int rc = run_route(b, (enum route)route, qf, err);
            double spent = milliseconds() - begin;
            if (rc)
                return rc;
            if (repeat == 0 || spent < best[route])
                best[route] = spent;
        }
    }
    if (!results_equal(b)) {
        fprintf(stderr, "bench_candidates: model and codec differ at QF %d\n", qf);
        return -1;
    }
    if (qf == 75)
        b->typical_size = b->file_size;
    for (int route = 0; route < ROUTES; route++)
        total[route] += best[route];
    return 0;
}

static void print_row(const char *name, double ms, double codec)
{
    printf("%-36s %8.2f ms %8.2f x\n", name, ms, codec / ms);
}

static void print_table(const struct bench *b, const double total[ROUTES], double load)
{
    double codec = (total[ENCODE] + total[DECODE]) / QUALITIES;
    printf("%zu x %zu, 4:2:0, mean of QF 1 to %d, one thread; %zu bytes at QF 75\n", b->img.width,
           b->img.height, QUALITIES, b->typical_size);
    printf("%-36s %11s %10s\n", "", "per QF", "codec / it");
    print_row("codec: encode and decode", codec, codec);
    for (int route = 0; route < ROUTES; route++)
        print_row(route_names[route], total[route] / QUALITIES, codec);
    print_row("model: patches and file size", (total[PATCH_LIST] + total[SIZE]) / QUALITIES, codec);
    printf("%-36s %8.2f ms per picture\n", "model: forward transform", load);
}

int main(int argc, char **argv)
{
    struct vj_error err = {0};
    struct bench b = {0};
    double total[ROUTES] = {0};
    int repeats = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
    int rc = setup(&b, argc > 1 ? argv[1] : NULL, &err);
    for (int qf = 1; !rc && qf <= QUALITIES; qf++)
        rc = measure(&b, qf, repeats < 1 ? 1 : repeats, total, &err);
    double begin = milliseconds();
    if (!rc)
        rc = vj_jpeg_plan_load(b.plan, &b.img, VJ_SUBSAMPLING_420, &err);
    if (!rc)
        print_table(&b, total, milliseconds() - begin);
    else
        fprintf(stderr, "bench_candidates: %s\n", err.text);
    vj_jpeg_plan_free(b.plan);
    vj_jpeg_scratch_free(b.scratch);
    vj_image_free(&b.img);
    vj_image_free(&b.decoded);
    free(b.pixels);
    free(b.patches);
    free(b.file);
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
