/* SPDX-License-Identifier: MIT */
#include "host/synth_camera.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/rng.h"

struct vj_camera vj_camera_draw(uint64_t seed, uint64_t stream, uint32_t crop)
{
    enum {
        ENLARGEMENTS = VJ_ENLARGE_MAX - VJ_ENLARGE_NONE,
        GRAINS = VJ_GRAIN_MAX - VJ_GRAIN_MIN + 1,
        SHARPENINGS = VJ_SHARPEN_MAX - VJ_SHARPEN_MIN + 1,
        QFS = VJ_EARLIER_QF_MAX - VJ_EARLIER_QF_MIN + 1,
    };
    const struct vj_u32x4 lens = vj_random4(seed, VJ_RNG_CAMERA, stream, 3 * crop);
    const struct vj_u32x4 sensor = vj_random4(seed, VJ_RNG_CAMERA, stream, 3 * crop + 1);
    const struct vj_u32x4 file = vj_random4(seed, VJ_RNG_CAMERA, stream, 3 * crop + 2);
    struct vj_camera camera = vj_camera_none();
    if (vj_random_below(lens.v[0], 3) > 0)
        camera.enlarge += 1 + (int)vj_random_below(lens.v[1], ENLARGEMENTS);
    if (vj_random_below(lens.v[2], 3) == 0) {
        camera.grain = VJ_GRAIN_MIN + (int)vj_random_below(lens.v[3], GRAINS);
        camera.grain_seed = (uint64_t)sensor.v[1] << 32 | sensor.v[0];
    }
    if (vj_random_below(sensor.v[2], 2) == 0)
        camera.sharpen = VJ_SHARPEN_MIN + (int)vj_random_below(sensor.v[3], SHARPENINGS);
    camera.grey = vj_random_below(file.v[0], 8) == 0;
    if (vj_random_below(file.v[1], 3) > 0) {
        camera.qf = VJ_EARLIER_QF_MIN + (int)vj_random_below(file.v[2], QFS);
        camera.left = (int)(file.v[3] % VJ_JPEG_MCU);
        camera.above = (int)(file.v[3] / VJ_JPEG_MCU % VJ_JPEG_MCU);
        camera.sampling = file.v[3] >> 30 == 0 ? VJ_SUBSAMPLING_444 : VJ_SUBSAMPLING_420;
    }
    return camera;
}

static uint8_t clamped(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* The row or column i of `count`, or the one at the edge that lies before or behind. */
static size_t nearest(ptrdiff_t i, size_t count)
{
    return i < 0 ? 0 : (size_t)i < count ? (size_t)i : count - 1;
}

/* ---- lens ---- */

/* Where centre i of the enlarged picture lies in the original, in 1/(2 enlarge) of a pixel. */
static int centre(size_t i, int enlarge)
{
    return ((int)(2 * i + 1) * VJ_ENLARGE_NONE) - enlarge;
}

/* Weights of two neighbouring samples; they add up to `unit`. */
struct tap {
    size_t first, second;
    int weight, unit; /* of the second; of both */
};

static struct tap tap_at(size_t i, int enlarge)
{
    const int unit = 2 * enlarge, at = centre(i, enlarge);
    if (at < 0)
        return (struct tap){.unit = unit};
    const size_t first = (size_t)(at / unit);
    return (struct tap){first, first + 1, at % unit, unit};
}

static int between(const uint8_t *row, struct tap x)
{
    return row[3 * x.first] * (x.unit - x.weight) + row[3 * x.second] * x.weight;
}

/* from: a copy of the picture; enlarge is more than 1, so that a tap's second sample is inside */
static void enlarge(struct vj_image *img, const uint8_t *from, int factor)
{
    for (size_t j = 0; j < img->height; j++) {
        const struct tap y = tap_at(j, factor);
        const uint8_t *upper = from + y.first * img->width * 3;
        const uint8_t *lower = from + y.second * img->width * 3;
        uint8_t *to = img->data + j * img->width * 3;
        for (size_t i = 0; i < img->width * 3; i++) {
            const struct tap x = tap_at(i / 3, factor);
            const int sum = between(upper + i % 3, x) * (y.unit - y.weight) +
                            between(lower + i % 3, x) * y.weight;
            const int unit = x.unit * y.unit;
            to[i] = (uint8_t)((2 * sum + unit) / (2 * unit));
        }
    }
}

/* ---- sensor ---- */

enum {
    BYTES_MEAN = 16 * 255 / 2, /* of the sum of 16 bytes, 2040; ... */
    BYTES_DEVIATION = 296, /* ... its standard deviation, 295.6: the root of 16 (65536 - 1) / 12 */
};

static int byte_sum(struct vj_u32x4 r)
{
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (int)((r.v[i] & 255) + (r.v[i] >> 8 & 255) + (r.v[i] >> 16 & 255) + (r.v[i] >> 24));
    return sum;
}

/* OFFSET, a whole number of levels, keeps what is divided positive, so that halves are rounded up
 * on both sides of 0. */
static void add_grain(struct vj_image *img, int grain, uint64_t seed)
{
    enum { UNIT = 16 * BYTES_DEVIATION, OFFSET = 1024 };
    for (size_t y = 0; y < img->height; y++)
        for (size_t x = 0; x < img->width; x++) {
            uint8_t *pixel = img->data + (y * img->width + x) * 3;
            const int sum = byte_sum(vj_random4(seed, VJ_RNG_NOISE, y, (uint32_t)x)) - BYTES_MEAN;
            const int noise = (sum * grain + UNIT / 2 + OFFSET * UNIT) / UNIT - OFFSET;
            for (int c = 0; c < 3; c++)
                pixel[c] = clamped(pixel[c] + noise);
        }
}

/* ---- processing ---- */

static const int binomial[5] = {1, 4, 6, 4, 1};

/* from: a copy of the picture */
static void sharpen(struct vj_image *img, const uint8_t *from, int amount)
{
    enum { WEIGHTS = 16 * 16, UNIT = 16 * WEIGHTS, OFFSET = 1024 }; /* OFFSET: as for grain */
    const size_t width = img->width, height = img->height;
    for (size_t i = 0; i < width * height * 3; i++) {
        const size_t x = i / 3 % width, y = i / 3 / width, c = i % 3;
        int sum = 0;
        for (int v = -2; v <= 2; v++)
            for (int u = -2; u <= 2; u++)
                sum += binomial[v + 2] * binomial[u + 2] *
                       from[(nearest((ptrdiff_t)y + v, height) * width +
                             nearest((ptrdiff_t)x + u, width)) *
                                3 +
                            c];
        const int change = amount * (WEIGHTS * from[i] - sum);
        img->data[i] = clamped(from[i] + (change + UNIT / 2 + OFFSET * UNIT) / UNIT - OFFSET);
    }
}

static void remove_colour(struct vj_image *img)
{
    for (size_t i = 0; i < img->width * img->height; i++) {
        uint8_t *pixel = img->data + 3 * i;
        const int luma = (299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000;
        memset(pixel, luma, 3);
    }
}

/* ---- the file ---- */

/* Encodes and decodes a picture. On failure its pixels are gone. */
static int through_jpeg(struct vj_image *img, const struct vj_camera *camera, struct vj_error *err)
{
    uint8_t *data = NULL;
    size_t size;
    int rc = vj_jpeg_encode(&data, &size, img, camera->qf, camera->sampling, err);
    vj_image_free(img);
    if (!rc)
        rc = vj_image_read_memory(img, data, size, "earlier JPEG", NULL, err);
    free(data);
    return rc;
}

static int compress(struct vj_image *img, const struct vj_camera *camera, struct vj_error *err)
{
    const size_t left = (size_t)camera->left, above = (size_t)camera->above;
    struct vj_image wide;
    int rc = vj_image_alloc(&wide, img->width + left, img->height + above, 3, err);
    for (size_t y = 0; !rc && y < wide.height; y++) {
        const uint8_t *from = img->data + (y < above ? 0 : y - above) * img->width * 3;
        uint8_t *to = wide.data + y * wide.width * 3;
        for (size_t x = 0; x < left; x++)
            memcpy(to + 3 * x, from, 3);
        memcpy(to + 3 * left, from, img->width * 3);
    }
    if (!rc)
        rc = through_jpeg(&wide, camera, err);
    for (size_t y = 0; !rc && y < img->height; y++)
        memcpy(img->data + y * img->width * 3, wide.data + ((y + above) * wide.width + left) * 3,
               img->width * 3);
    vj_image_free(&wide);
    return rc;
}

int vj_camera_apply(struct vj_image *img, const struct vj_camera *camera, struct vj_error *err)
{
    const size_t size = img->width * img->height * 3;
    uint8_t *copy = malloc(size);
    if (!copy)
        return vj_fail(err, -ENOMEM, "out of memory for a window of %zux%zu", img->width,
                       img->height);
    if (camera->enlarge > VJ_ENLARGE_NONE) {
        memcpy(copy, img->data, size);
        enlarge(img, copy, camera->enlarge);
    }
    if (camera->grain)
        add_grain(img, camera->grain, camera->grain_seed);
    if (camera->sharpen) {
        memcpy(copy, img->data, size);
        sharpen(img, copy, camera->sharpen);
    }
    if (camera->grey)
        remove_colour(img);
    free(copy);
    return camera->qf ? compress(img, camera, err) : 0;
}
