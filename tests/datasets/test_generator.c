/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "datasets/generator.h"
#include "host/image.h"

enum { KINDS = 6 }; /* kinds of pictures take turns with the index */

static struct vj_image generate(size_t width, size_t height, uint64_t seed, uint32_t index)
{
    struct vj_image img;
    struct vj_error err = {0};
    if (vj_image_alloc(&img, width, height, 3, &err) ||
        vj_generate_picture(img.data, width, height, seed, index, &err))
        fail_msg("%zux%zu: %s", width, height, err.text);
    return img;
}

static size_t bytes_of(const struct vj_image *img)
{
    return img->width * img->height * 3;
}

static uint64_t checksum(const struct vj_image *img)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes_of(img); i++)
        h = (h ^ img->data[i]) * 0x100000001b3u;
    return h;
}

/*
 * The bytes are part of the contract: labels made from the pictures are stored beside them. The
 * list must hold in optimised, baseline and sanitised builds and on other processors.
 */
static void the_same_arguments_give_the_same_bytes_everywhere(void **state)
{
    (void)state;
    static const uint64_t expected[2 * KINDS] = {
        0xe0bdfb73c2d0a737u, 0x0b9a4a4c173f2fbbu, 0x18199d28b33b9e3fu, 0xe6b49f453aee1c78u,
        0xa60f79cfbb71c3d5u, 0xd6b8f0c384abd9a0u, 0xf5975a59fa8503edu, 0x8573f180a05f51d0u,
        0x63f9c806b81f698au, 0xaa1b6994c3f10c9bu, 0xc754bd6a325d56f7u, 0x54d3703db96627b8u,
    };
    int wrong = 0;
    for (uint32_t i = 0; i < 2 * KINDS; i++) {
        struct vj_image img = generate(211, 118, 7, i);
        uint64_t got = checksum(&img);
        if (got != expected[i]) {
            print_error("picture %u: 0x%016llxu\n", (unsigned)i, (unsigned long long)got);
            wrong++;
        }
        vj_image_free(&img);
    }
    assert_int_equal(wrong, 0);
}

static double mean_difference(const struct vj_image *a, const struct vj_image *b)
{
    double sum = 0;
    for (size_t i = 0; i < bytes_of(a); i++)
        sum += abs(a->data[i] - b->data[i]);
    return sum / (double)bytes_of(a);
}

static void other_indices_and_seeds_give_other_pictures(void **state)
{
    (void)state;
    struct vj_image a = generate(160, 90, 1, 2);
    static const struct {
        uint64_t seed;
        uint32_t index;
    } other[] = {
        {1, 3}, {1, 2 + KINDS}, {2, 2}, {1 + ((uint64_t)1 << 32), 2}, {1, 2 + KINDS * 1000}};
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++) {
        struct vj_image b = generate(160, 90, other[i].seed, other[i].index);
        assert_true(mean_difference(&a, &b) > 5);
        vj_image_free(&b);
    }
    vj_image_free(&a);
}

/* Noise aside, a larger picture shows the same scene. */
static void the_composition_does_not_depend_on_the_size(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < KINDS; index++) {
        struct vj_image small = generate(160, 90, 3, index), large = generate(640, 360, 3, index);
        double difference = 0;
        for (size_t y = 0; y < 90; y++)
            for (size_t x = 0; x < 160; x++) {
                unsigned sum = 0;
                for (size_t k = 0; k < 16; k++)
                    sum += large.data[((4 * y + k / 4) * 640 + 4 * x + k % 4) * 3 + 1];
                difference += fabs(sum / 16.0 - small.data[(y * 160 + x) * 3 + 1]);
            }
        difference /= 90 * 160;
        if (difference > 15)
            fail_msg("picture %u: mean difference %.1f", (unsigned)index, difference);
        vj_image_free(&small);
        vj_image_free(&large);
    }
}

static void every_size_from_one_pixel_on_works(void **state)
{
    (void)state;
    static const size_t size[][2] = {{1, 1},   {1, 2},   {2, 1},     {3, 5},     {1, 300},
                                     {300, 1}, {17, 90}, {65535, 1}, {1, 65535}, {4000, 2}};
    for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++)
        for (uint32_t index = 0; index < 2 * KINDS; index++) {
            struct vj_image img = generate(size[i][0], size[i][1], 9, index);
            vj_image_free(&img);
        }
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    uint8_t pixel[3];
    struct vj_error err = {0};
    assert_int_equal(vj_generate_picture(pixel, 0, 1, 1, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "0x1");
    assert_int_equal(vj_generate_picture(pixel, 1, 0, 1, 1, &err), -EINVAL);
    assert_int_equal(vj_generate_picture(pixel, 65536, 1, 1, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "65535");
    assert_int_equal(vj_generate_picture(pixel, 1, 65536, 1, 1, NULL), -EINVAL);
}

/* Mean |difference| of green samples `step` columns apart. */
static double roughness(const struct vj_image *img, size_t step)
{
    double sum = 0;
    for (size_t y = 0; y < img->height; y++)
        for (size_t x = 0; x + step < img->width; x++) {
            const uint8_t *p = img->data + (y * img->width + x) * 3 + 1;
            sum += abs(p[0] - p[3 * step]);
        }
    return sum / (double)(img->height * (img->width - step));
}

struct moments {
    double mean, deviation, correlation; /* of green; of red and green */
    double clipped;                      /* share of samples at 0 or 255 */
};

static struct moments measure(const struct vj_image *img)
{
    double n = (double)(img->width * img->height), r = 0, g = 0, rr = 0, gg = 0, rg = 0,
           clipped = 0;
    for (size_t i = 0; i < img->width * img->height; i++) {
        const uint8_t *p = img->data + 3 * i;
        r += p[0];
        g += p[1];
        rr += p[0] * p[0];
        gg += p[1] * p[1];
        rg += p[0] * p[1];
        for (int c = 0; c < 3; c++)
            clipped += p[c] == 0 || p[c] == 255;
    }
    double var_r = rr / n - r / n * r / n, var_g = gg / n - g / n * g / n;
    return (struct moments){
        .mean = g / n,
        .deviation = sqrt(var_g),
        .correlation = (rg / n - r / n * g / n) / sqrt(var_r * var_g),
        .clipped = clipped / (3 * n),
    };
}

static void pictures_have_the_statistics_of_photographs(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    double correlation = 0;
    for (uint32_t index = 0; index < COUNT; index++) {
        struct vj_image img = generate(320, 180, 1, index);
        struct moments m = measure(&img);
        double near = roughness(&img, 1), far = roughness(&img, 16);
        if (m.mean < 6 || m.mean > 235 || m.deviation < 5 || m.clipped > 0.35)
            fail_msg("picture %u: mean %.1f, deviation %.1f, clipped %.3f", (unsigned)index, m.mean,
                     m.deviation, m.clipped);
        if (far < 1.15 * near) /* energy falls with frequency */
            fail_msg("picture %u: roughness %.2f at 1, %.2f at 16", (unsigned)index, near, far);
        correlation += m.correlation / COUNT;
        vj_image_free(&img);
    }
    assert_true(correlation > 0.7);
}

/* Some pictures are much harder to code than others. */
static void difficulty_spreads_widely(void **state)
{
    (void)state;
    size_t least = SIZE_MAX, most = 0;
    for (uint32_t index = 0; index < 60; index++) {
        struct vj_image img = generate(320, 180, 1, index);
        uint8_t *file;
        size_t size;
        assert_int_equal(vj_jpeg_encode(&file, &size, &img, 60, VJ_SUBSAMPLING_420, NULL), 0);
        least = size < least ? size : least;
        most = size > most ? size : most;
        free(file);
        vj_image_free(&img);
    }
    print_message("quality factor 60 at 320x180: %zu to %zu bytes\n", least, most);
    assert_true(most > 4 * least);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_arguments_give_the_same_bytes_everywhere),
        cmocka_unit_test(other_indices_and_seeds_give_other_pictures),
        cmocka_unit_test(the_composition_does_not_depend_on_the_size),
        cmocka_unit_test(every_size_from_one_pixel_on_works),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(pictures_have_the_statistics_of_photographs),
        cmocka_unit_test(difficulty_spreads_widely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
