/* SPDX-License-Identifier: MIT */
/* Pictures by formula, the same as in tests/golden/quality/make.py and ssimulacra2/make.py. */
#ifndef VJ_TESTS_FORMULA_PICTURES_H
#define VJ_TESTS_FORMULA_PICTURES_H

#include "tests/vj_test.h"

#include "host/image.h"

static inline uint32_t hash_byte(size_t x, size_t y, size_t c, uint32_t seed)
{
    uint32_t v = (uint32_t)x * 374761393u + (uint32_t)y * 668265263u + (uint32_t)c * 2246822519u +
                 seed * 3266489917u;
    v = (v ^ (v >> 13)) * 1274126177u;
    return (v ^ (v >> 16)) & 255u;
}

static inline uint8_t reference_sample(const char *kind, int arg, size_t x, size_t y, size_t c)
{
    if (strcmp(kind, "smooth") == 0)
        return (uint8_t)((3 * x + 2 * y + 40 * c + ((x * y) >> 5)) & 255);
    if (strcmp(kind, "noise") == 0)
        return (uint8_t)hash_byte(x, y, c, (uint32_t)arg);
    if (strcmp(kind, "mixed") == 0)
        return (uint8_t)(64 + ((3 * x + 5 * y + 31 * c) >> 2) % 128 +
                         (hash_byte(x, y, c, (uint32_t)arg) & 15) +
                         (((x >> 4) ^ (y >> 4)) & 1) * 40);
    assert_string_equal(kind, "constant");
    return (uint8_t)arg;
}

static inline struct vj_image reference_picture(size_t width, size_t height, int channels,
                                                const char *kind, int arg)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, channels, NULL), 0);
    uint8_t *p = img.data;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < (size_t)channels; c++)
                *p++ = reference_sample(kind, arg, x, y, c);
    return img;
}

static inline int distorted_sample(const struct vj_image *img, const char *kind, int arg, size_t x,
                                   size_t y, size_t c)
{
    size_t channels = (size_t)img->channels;
    const uint8_t *row = img->data + y * img->width * channels + c;
    int v = row[x * channels];
    if (strcmp(kind, "coarse") == 0)
        return v / arg * arg + arg / 2;
    if (strcmp(kind, "noise") == 0)
        return v + (int)(hash_byte(x, y, c, 77) % (uint32_t)(2 * arg + 1)) - arg;
    if (strcmp(kind, "invert") == 0)
        return 255 - v;
    if (strcmp(kind, "offset") == 0)
        return v + arg;
    if (strcmp(kind, "constant") == 0)
        return arg;
    if (strcmp(kind, "blur") == 0) {
        size_t left = x ? x - 1 : 0;
        size_t right = x + 1 < img->width ? x + 1 : x;
        return (row[left * channels] + 2 * v + row[right * channels]) / 4;
    }
    if (strcmp(kind, "pixel") == 0)
        return v + (x == img->width / 3 && y == img->height / 2 ? arg : 0);
    if (strcmp(kind, "half") == 0)
        return v + (x < img->width / 2 ? arg : 0);
    assert_string_equal(kind, "same");
    return v;
}

static inline struct vj_image distorted_picture(const struct vj_image *img, const char *kind,
                                                int arg)
{
    struct vj_image out;
    assert_int_equal(vj_image_alloc(&out, img->width, img->height, img->channels, NULL), 0);
    uint8_t *p = out.data;
    for (size_t y = 0; y < img->height; y++)
        for (size_t x = 0; x < img->width; x++)
            for (size_t c = 0; c < (size_t)img->channels; c++) {
                int v = distorted_sample(img, kind, arg, x, y, c);
                *p++ = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
    return out;
}

#endif
