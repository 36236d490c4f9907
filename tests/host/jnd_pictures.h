/* SPDX-License-Identifier: MIT */
/* The procedural pictures of tests/golden/jnd/make.py, written a second time. */
#ifndef VJ_TESTS_HOST_JND_PICTURES_H
#define VJ_TESTS_HOST_JND_PICTURES_H

#include "tests/vj_test.h"

static inline uint32_t hash_noise(size_t x, size_t y)
{
    uint64_t mixed = (uint64_t)(x * 73856093) ^ (uint64_t)(y * 19349663);
    return (uint32_t)(mixed * 2654435761u) >> 24;
}

static inline int picture_value(const char *kind, size_t x, size_t y, size_t w, size_t h)
{
    int noise = (int)hash_noise(x, y);
    if (strcmp(kind, "noise") == 0)
        return noise;
    if (strcmp(kind, "ramp") == 0)
        return (int)((5 * x + 3 * y) % 256);
    if (strcmp(kind, "steps") == 0)
        return (int)((x / 8 * 40 + y / 8 * 25) % 256);
    long dx = (long)x - (long)(w / 3), dy = (long)y - (long)(h / 2), radius = (long)(h / 4);
    int v = 40 + (int)((3 * x + 2 * y) * 60 / (3 * w + 2 * h));
    v += dx * dx + dy * dy < radius * radius ? 90 : 0;
    v += y > 2 * h / 3 && (x / 3 + y / 3) % 2 ? 45 : 0;
    v += x > 2 * w / 3 ? noise / 4 : noise / 64;
    if (strcmp(kind, "night") == 0)
        v /= 4;
    else
        assert_string_equal(kind, "scene");
    return v > 255 ? 255 : v;
}

static inline void draw_picture(const char *kind, size_t width, size_t height, uint8_t *plane)
{
    for (size_t i = 0; i < width * height; i++)
        plane[i] = (uint8_t)picture_value(kind, i % width, i / width, width, height);
}

#endif
