/* SPDX-License-Identifier: MIT */
/* Pictures for the kernels to work on: every value, extremes, and slopes with an edge. */
#ifndef VJ_TESTS_CUDA_PICTURES_H
#define VJ_TESTS_CUDA_PICTURES_H

#include "tests/vj_test.h"

#include "host/image.h"
#include "host/rng.h"

enum content {
    NOISE,           /* every value */
    BLACK_AND_WHITE, /* every sample 0 or 255 */
    SMOOTH,          /* slopes with a little noise and a sharp edge */
    CONTENTS,
    FLAT = CONTENTS, /* one value of each channel; not one of those that tests take in turn */
};

static inline uint8_t content_sample(enum content content, size_t y, size_t x, int c, uint32_t word)
{
    if (content == NOISE)
        return (uint8_t)word;
    if (content == BLACK_AND_WHITE)
        return word & 1 ? 255 : 0;
    if (content == FLAT)
        return (uint8_t)(77 + 40 * c);
    size_t slope = 3 * x + 2 * y + 40 * (size_t)c;
    size_t value = slope % 240 < 120 ? slope % 120 : 120 - slope % 120;
    return (uint8_t)(value + word % 7 + (x * 2 > y * 3 + 10 ? 90 : 0));
}

/* The caller frees with vj_image_free(). */
static inline struct vj_image content_picture(size_t width, size_t height, int channels,
                                              enum content content, uint32_t seed)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, channels, NULL), 0);
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            uint32_t index = (uint32_t)(y * width + x);
            struct vj_u32x4 r = vj_random4(seed, VJ_RNG_TEST, 0, index & 0xFFFFFF);
            for (int c = 0; c < channels; c++)
                img.data[index * (size_t)channels + (size_t)c] =
                    content_sample(content, y, x, c, r.v[c]);
        }
    }
    return img;
}

#endif
