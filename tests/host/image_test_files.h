/* SPDX-License-Identifier: MIT */
/* Files and pictures in the hands of test_image.c and test_image_write.c. */
#ifndef VJ_TESTS_IMAGE_TEST_FILES_H
#define VJ_TESTS_IMAGE_TEST_FILES_H

#include "tests/vj_test.h"

#include "host/image.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Of tests/golden/image/source.raw. */
#define JPEG_WIDTH  37
#define JPEG_HEIGHT 29

struct bytes {
    uint8_t *data;
    size_t size;
};

static inline const char *golden(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/image/%s", VJ_TEST_GOLDEN, name);
    return path;
}

static inline struct bytes load(const char *name)
{
    struct bytes b;
    struct vj_error err = {0};
    if (vj_file_read(&b.data, &b.size, golden(name), 0, &err) != 0)
        fail_msg("%s", err.text);
    return b;
}

static inline void save(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline char *join(const char *folder, const char *name)
{
    char *path;
    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static inline struct vj_image make_picture(size_t width, size_t height, int channels)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, channels, NULL), 0);
    for (size_t i = 0; i < width * height * (size_t)channels; i++)
        img.data[i] = (uint8_t)(i * i / 7 + i * 13);
    return img;
}

static inline void assert_same_picture(const struct vj_image *a, const struct vj_image *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->channels, b->channels);
    assert_memory_equal(a->data, b->data, a->width * a->height * (size_t)a->channels);
}

static inline void assert_zeroed(const void *object, size_t size)
{
    const uint8_t *p = object;
    for (size_t i = 0; i < size; i++)
        assert_int_equal(p[i], 0);
}

#endif
