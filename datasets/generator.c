/* SPDX-License-Identifier: MIT */
#include "datasets/generator.h"

#include <errno.h>
#include <stdlib.h>

#include "datasets/generator_scene.h"
#include "host/checked.h"

enum { MAX_SIDE = 65535, PAINTERS = 6 };

/* What the camera does to a scene. */
struct camera {
    float exposure; /* factor */
    float warmth;   /* white balance, -0.1..0.1 */
    float contrast; /* 0 flat .. 1 strong */
    float vignette; /* darkening of the corners, 0..0.4 */
    float softness; /* weight of the neighbours in the lens blur, 0..1 */
    float noise;    /* deviation of the sensor noise at mid-grey, of 255 */
    float colour_noise;
    uint32_t key;
};

static const struct vj_painter *const painters[PAINTERS] = {
    &vj_painter_landscape, &vj_painter_scatter, &vj_painter_city,
    &vj_painter_landscape, &vj_painter_fields,  &vj_painter_agate,
};

static struct camera roll_camera(const struct vj_canvas *canvas, struct vj_dice *dice)
{
    float dark = vj_roll(dice, 0.0f, 1.0f);
    return (struct camera){
        .exposure = vj_roll(dice, 0.88f, 1.10f),
        .warmth = vj_roll(dice, -0.05f, 0.05f),
        .contrast = vj_roll(dice, 0.0f, 1.0f),
        .vignette = vj_roll(dice, 0.0f, 0.28f),
        .softness = vj_roll(dice, 0.0f, 1.0f),
        .noise = 0.2f + 4.5f * dark * dark * dark * dark,
        .colour_noise = vj_roll(dice, 0.2f, 0.6f),
        .key = canvas->key + 5000u,
    };
}

static void shade_row(struct vj_rgb *row, const struct vj_canvas *canvas,
                      const struct vj_painter *painter, const void *state, size_t y)
{
    for (size_t x = 0; x < canvas->columns; x++)
        row[x] = painter->shade(canvas, state, ((float)x + 0.5f) * canvas->pixel,
                                ((float)y + 0.5f) * canvas->pixel);
}

/* An S-shaped tone curve through 0, 1/2 and 1, then a soft shoulder. */
static float tone(const struct camera *camera, float v)
{
    v = vj_clamp01(v * camera->exposure);
    float s = v * v * (3.0f - 2.0f * v);
    return vj_mix(v, s, camera->contrast);
}

static uint8_t sample(float v)
{
    return (uint8_t)(255.0f * vj_clamp01(v) + 0.5f);
}

/* 3 x 3 binomial blur of weight `softness` around column x; rows: above, at and below. */
static struct vj_rgb lens(const struct camera *camera, const struct vj_rgb *const rows[3], size_t x,
                          size_t columns)
{
    size_t left = x ? x - 1 : 0, right = x + 1 < columns ? x + 1 : x;
    float r = 0, g = 0, b = 0;
    for (int i = 0; i < 3; i++) {
        const struct vj_rgb *p = rows[i];
        float weight = i == 1 ? 0.5f : 0.25f;
        r += weight * (0.25f * (p[left].r + p[right].r) + 0.5f * p[x].r);
        g += weight * (0.25f * (p[left].g + p[right].g) + 0.5f * p[x].g);
        b += weight * (0.25f * (p[left].b + p[right].b) + 0.5f * p[x].b);
    }
    return vj_rgb_mix(rows[1][x], (struct vj_rgb){r, g, b}, camera->softness);
}

static void develop_row(uint8_t *rgb, const struct vj_canvas *canvas, const struct camera *camera,
                        const struct vj_rgb *const rows[3], size_t y)
{
    float dy = ((float)y + 0.5f) * canvas->pixel / canvas->height - 0.5f;
    for (size_t x = 0; x < canvas->columns; x++) {
        float dx = ((float)x + 0.5f) * canvas->pixel / canvas->width - 0.5f;
        struct vj_rgb p = lens(camera, rows, x, canvas->columns);
        p = vj_rgb_scale(vj_rgb_tint(p, camera->warmth),
                         1.0f - 2.0f * camera->vignette * (dx * dx + dy * dy));
        p = (struct vj_rgb){tone(camera, p.r), tone(camera, p.g), tone(camera, p.b)};

        /* Photon noise grows as the square root of the light; the floor is the read-out. */
        int32_t ix = (int32_t)x, iy = (int32_t)y;
        float light = 0.3f * p.r + 0.6f * p.g + 0.1f * p.b;
        float strength = camera->noise * (1.0f / 255.0f) * sqrtf(0.25f + 1.5f * light);
        float common = vj_grain(ix, iy, camera->key);
        float tinted = camera->colour_noise;
        p.r += strength * (common + tinted * vj_grain(ix, iy, camera->key + 1));
        p.g += strength * common;
        p.b += strength * (common + tinted * vj_grain(ix, iy, camera->key + 2));
        *rgb++ = sample(p.r);
        *rgb++ = sample(p.g);
        *rgb++ = sample(p.b);
    }
}

static struct vj_canvas roll_canvas(size_t width, size_t height, struct vj_dice *dice)
{
    size_t longer = width > height ? width : height;
    float pixel = 16.0f / 9.0f / (float)longer;
    float rough = vj_roll(dice, 0.0f, 1.0f);
    return (struct vj_canvas){
        .columns = width,
        .rows = height,
        .width = (float)width * pixel,
        .height = (float)height * pixel,
        .pixel = pixel,
        .detail = 0.02f + 1.3f * rough * rough,
        .key = vj_roll_word(dice),
    };
}

int vj_generate_picture(uint8_t *rgb, size_t width, size_t height, uint64_t seed, uint32_t index,
                        struct vj_error *err)
{
    if (width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE)
        return vj_fail(err, -EINVAL, "procedural picture of %zux%zu: sides must be 1..%d", width,
                       height, MAX_SIDE);

    struct vj_dice dice = {.seed = seed, .picture = index};
    struct vj_canvas canvas = roll_canvas(width, height, &dice);
    struct camera camera = roll_camera(&canvas, &dice);
    const struct vj_painter *painter = painters[index % PAINTERS];
    void *state = painter->prepare(&canvas, &dice);
    struct vj_rgb *rows = vj_calloc(3 * width, sizeof(*rows));
    int rc = 0;
    if (!state || !rows) {
        rc = vj_fail(err, -ENOMEM, "procedural picture of %zux%zu: out of memory", width, height);
        goto out;
    }

    struct vj_rgb *ring[3] = {rows, rows + width, rows + 2 * width}; /* row y lies in ring[y % 3] */
    shade_row(ring[0], &canvas, painter, state, 0);
    for (size_t y = 0; y < height; y++) {
        size_t above = y ? y - 1 : 0, below = y + 1 < height ? y + 1 : y;
        if (below > y)
            shade_row(ring[below % 3], &canvas, painter, state, below);
        const struct vj_rgb *const window[3] = {ring[above % 3], ring[y % 3], ring[below % 3]};
        develop_row(rgb + 3 * width * y, &canvas, &camera, window, y);
    }
out:
    free(rows);
    free(state);
    return rc;
}
