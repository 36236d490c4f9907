/* SPDX-License-Identifier: MIT */
/*
 * Milliseconds of SSIMULACRA2 per distorted picture in both modes, one thread, beside those of the
 * other metrics together.
 *
 *     bench_ssimulacra2 [WIDTH HEIGHT [REPEATS]]
 *
 * The smallest of the repeats is the time of the code, the median that of the machine as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/quality.h"
#include "host/rng.h"
#include "host/ssimulacra2.h"

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may share the machine */
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Smooth shading with noise, and the same with a coarser grid of levels, as a codec would leave it.
 */
static void make_pictures(uint8_t *original, uint8_t *distorted, size_t width, size_t height)
{
    for (size_t i = 0; i < width * height * 3; i++) {
        size_t x = i / 3 % width, y = i / 3 / width, c = i % 3;
        uint32_t noise = vj_random4(1, VJ_RNG_TEST, i, 0).v[0] >> 28;
        original[i] = (uint8_t)(40 + 60 * c + 80 * x / width + (y / 16 % 2) * 9 + noise);
        distorted[i] = (uint8_t)(original[i] / 8 * 8 + 4);
    }
}

static void print_times(const char *name, double load, double *times, size_t repeats, double score)
{
    qsort(times, repeats, sizeof(*times), by_value);
    printf("%-24s %8.2f %8.2f %8.2f   %.4f\n", name, load, times[0], times[repeats / 2], score);
}

static int bench(const char *name, enum vj_ssimulacra2_mode mode, const struct vj_image *img,
                 const uint8_t *distorted, double *times, size_t repeats)
{
    struct vj_ssimulacra2_reference *ref = NULL;
    struct vj_ssimulacra2_scratch *scratch = NULL;
    struct vj_ssimulacra2_result result = {0};
    struct vj_error err = {0};
    int rc = vj_ssimulacra2_reference_create(&ref, img->width, img->height, mode, &err);
    if (!rc)
        rc = vj_ssimulacra2_scratch_create(&scratch, img->width, img->height, mode, &err);
    double start = now_ms();
    if (!rc)
        rc = vj_ssimulacra2_reference_load(ref, img, &err);
    double load = now_ms() - start;
    for (size_t i = 0; i < repeats && !rc; i++) {
        start = now_ms();
        rc = vj_ssimulacra2_compute(ref, distorted, scratch, &result);
        times[i] = now_ms() - start;
    }
    if (!rc)
        print_times(name, load, times, repeats, result.score);
    else
        fprintf(stderr, "bench_ssimulacra2: %s\n", err.text);
    vj_ssimulacra2_scratch_free(scratch);
    vj_ssimulacra2_reference_free(ref);
    return rc;
}

static int bench_others(const struct vj_image *img, const uint8_t *distorted, double *times,
                        size_t repeats)
{
    struct vj_quality_reference *ref = NULL;
    struct vj_quality_scratch *scratch = NULL;
    struct vj_quality_values v = {0, 0, 0, 0};
    struct vj_error err = {0};
    int rc = vj_quality_reference_create(&ref, img->width, img->height, VJ_QUALITY_ALL, &err);
    if (!rc)
        rc = vj_quality_scratch_create(&scratch, img->width, img->height, VJ_QUALITY_ALL, &err);
    double start = now_ms();
    if (!rc)
        rc = vj_quality_reference_load(ref, img, &err);
    double load = now_ms() - start;
    for (size_t i = 0; i < repeats && !rc; i++) {
        start = now_ms();
        rc = vj_quality_compute(ref, distorted, scratch, &v);
        times[i] = now_ms() - start;
    }
    if (!rc)
        print_times("PSNR + SSIM + MS-SSIM", load, times, repeats, v.ms_ssim);
    else
        fprintf(stderr, "bench_ssimulacra2: %s\n", err.text);
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(ref);
    return rc;
}

int main(int argc, char **argv)
{
    size_t width = argc > 2 ? strtoul(argv[1], NULL, 10) : 1920;
    size_t height = argc > 2 ? strtoul(argv[2], NULL, 10) : 1080;
    size_t repeats = argc > 3 ? strtoul(argv[3], NULL, 10) : 10;
    if (width == 0 || height == 0 || width > 65536 || height > 65536 || repeats == 0) {
        fprintf(stderr, "usage: bench_ssimulacra2 [WIDTH HEIGHT [REPEATS]]\n");
        return 2;
    }
    struct vj_image img = {width, height, 3, malloc(width * height * 3)};
    uint8_t *distorted = malloc(width * height * 3);
    double *times = calloc(repeats, sizeof(*times));
    int rc = 1;
    if (img.data && distorted && times) {
        make_pictures(img.data, distorted, width, height);
        printf("%zux%zu, one thread, ms\n", width, height);
        printf("%-24s %8s %8s %8s   score\n", "metric", "load", "best", "median");
        rc = bench("SSIMULACRA2 exact", VJ_SSIMULACRA2_EXACT, &img, distorted, times, repeats) ||
             bench("SSIMULACRA2 parity", VJ_SSIMULACRA2_PARITY, &img, distorted, times, repeats) ||
             bench_others(&img, distorted, times, repeats);
    }
    free(times);
    free(distorted);
    free(img.data);
    return rc;
}
