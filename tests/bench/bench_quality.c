/* SPDX-License-Identifier: MIT */
/*
 * Milliseconds per distorted picture for each set of metrics, one thread.
 *
 *     bench_quality [WIDTH HEIGHT [REPEATS]]
 *
 * The smallest of the repeats is the time of the code, the median that of the machine as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/quality.h"
#include "host/rng.h"

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Smooth shading with noise, and the same with a coarser grid of levels, as a codec would leave it.
 */
static void make_pictures(uint8_t *reference, uint8_t *distorted, size_t width, size_t height)
{
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < 3; c++) {
                size_t i = (y * width + x) * 3 + c;
                uint32_t noise = vj_random4(1, VJ_RNG_TEST, i, 0).v[0] >> 28;
                reference[i] = (uint8_t)(40 + 60 * c + 80 * x / width + (y / 16 % 2) * 9 + noise);
                distorted[i] = (uint8_t)(reference[i] / 8 * 8 + 4);
            }
}

static int bench(const char *name, int which, const struct vj_image *img, const uint8_t *distorted,
                 double *times, size_t repeats)
{
    struct vj_quality_reference *ref = NULL;
    struct vj_quality_scratch *scratch = NULL;
    struct vj_quality_values v = {0, 0, 0, 0};
    struct vj_error err = {0};
    int rc = vj_quality_reference_create(&ref, img->width, img->height, which, &err);
    if (!rc)
        rc = vj_quality_scratch_create(&scratch, img->width, img->height, which, &err);
    double start = now_ms();
    if (!rc)
        rc = vj_quality_reference_load(ref, img, &err);
    double load = now_ms() - start;
    for (size_t i = 0; i < repeats && !rc; i++) {
        start = now_ms();
        rc = vj_quality_compute(ref, distorted, scratch, &v);
        times[i] = now_ms() - start;
    }
    if (!rc) {
        qsort(times, repeats, sizeof(*times), by_value);
        printf("%-24s %8.2f %8.2f %8.2f   %.3f %.3f %.6f %.6f\n", name, load, times[0],
               times[repeats / 2], v.psnr_y, v.psnr_rgb, v.ssim, v.ms_ssim);
    } else {
        fprintf(stderr, "bench_quality: %s\n", err.text);
    }
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(ref);
    return rc;
}

int main(int argc, char **argv)
{
    size_t width = argc > 2 ? strtoul(argv[1], NULL, 10) : 1920;
    size_t height = argc > 2 ? strtoul(argv[2], NULL, 10) : 1080;
    size_t repeats = argc > 3 ? strtoul(argv[3], NULL, 10) : 20;
    if (width == 0 || height == 0 || width > 65536 || height > 65536 || repeats == 0) {
        fprintf(stderr, "usage: bench_quality [WIDTH HEIGHT [REPEATS]]\n");
        return 2;
    }
    struct vj_image img = {width, height, 3, malloc(width * height * 3)};
    uint8_t *distorted = malloc(width * height * 3);
    double *times = calloc(repeats, sizeof(*times));
    int rc = 1;
    if (img.data && distorted && times) {
        make_pictures(img.data, distorted, width, height);
        printf("%zux%zu, one thread, ms\n", width, height);
        printf("%-24s %8s %8s %8s   psnr_y psnr_rgb ssim ms_ssim\n", "metrics", "load", "best",
               "median");
        rc = bench("PSNR", VJ_QUALITY_PSNR, &img, distorted, times, repeats) ||
             bench("SSIM", VJ_QUALITY_SSIM, &img, distorted, times, repeats) ||
             bench("MS-SSIM", VJ_QUALITY_MS_SSIM, &img, distorted, times, repeats) ||
             bench("PSNR + SSIM + MS-SSIM", VJ_QUALITY_ALL, &img, distorted, times, repeats);
    }
    free(times);
    free(distorted);
    free(img.data);
    return rc;
}
