/* SPDX-License-Identifier: MIT */
/* Skylines: rows of buildings with windows, over water, from dawn to night. */
#include <stdlib.h>

#include "datasets/generator_scene.h"
#include "host/checked.h"

enum { ROWS = 4 };

enum facade { GRID, BANDS, FINS, GLASS };

/* What stands at one column of a row of buildings. */
struct plot {
    float roof; /* y */
    float left; /* x of the building's left wall */
    uint32_t hash;
};

struct city {
    struct vj_sky sky;
    struct vj_rgb haze, wall, water_colour;
    float shore, swell;
    float lamps;  /* share of lit windows, 0..1 */
    float window; /* width of a window cell of the nearest row, units */
    uint32_t key;
    struct plot *row[ROWS]; /* nearest first, in the state's own block */
};

struct hour {
    struct vj_rgb zenith, low, sun, haze, wall, water;
    float glow, disc, lamps;
};

static const struct hour hours[] = {
    {{.12f, .17f, .36f},
     {.95f, .58f, .40f},
     {1.f, .82f, .55f},
     {.60f, .42f, .46f},
     {.16f, .15f, .22f},
     {.10f, .12f, .24f},
     0.9f,
     .028f,
     .45f},
    {{.03f, .05f, .14f},
     {.20f, .22f, .38f},
     {.95f, .94f, .88f},
     {.17f, .19f, .31f},
     {.07f, .08f, .13f},
     {.03f, .05f, .11f},
     0.3f,
     .024f,
     .55f},
    {{.30f, .48f, .72f},
     {.88f, .86f, .82f},
     {1.f, .97f, .88f},
     {.76f, .79f, .82f},
     {.48f, .47f, .47f},
     {.25f, .36f, .42f},
     0.4f,
     0.f,
     .04f},
    {{.42f, .40f, .55f},
     {.98f, .78f, .66f},
     {1.f, .90f, .76f},
     {.80f, .66f, .66f},
     {.33f, .29f, .34f},
     {.36f, .35f, .45f},
     0.8f,
     .022f,
     .15f},
};

/* Light of window (i, j); the sky mirrored in its glass when nobody is in. */
static struct vj_rgb window_shade(const struct city *s, uint32_t building, int32_t i, int32_t j)
{
    uint32_t h = vj_hash2(i, j, building);
    float busy = s->lamps * (0.5f + vj_byte(building, 1));
    if (vj_byte(h, 0) < busy) {
        struct vj_rgb lamp = vj_rgb_mix((struct vj_rgb){1.0f, 0.78f, 0.42f},
                                        (struct vj_rgb){0.90f, 0.94f, 0.95f}, vj_byte(h, 1));
        return vj_rgb_scale(lamp, 0.55f + 0.45f * vj_byte(h, 2));
    }
    return vj_rgb_scale(vj_rgb_mix(s->sky.zenith, s->sky.low, vj_byte(h, 3)), 0.55f);
}

static struct vj_rgb facade_shade(const struct vj_canvas *c, const struct city *s,
                                  const struct plot *plot, float scale, float x, float y)
{
    uint32_t h = plot->hash;
    float cell_w = s->window * scale * (0.7f + 0.8f * vj_byte(h, 2));
    float cell_h = cell_w * (1.1f + 0.7f * vj_byte(h, 3));
    float u = (x - plot->left) / cell_w, v = (y - plot->roof) / cell_h;
    int32_t i = vj_floor(u), j = vj_floor(v);
    float du = u - (float)i, dv = v - (float)j;
    struct vj_rgb wall = vj_rgb_tint(vj_rgb_scale(s->wall, 0.7f + 0.6f * vj_byte(h, 0)),
                                     0.3f * (vj_byte(h, 1) - 0.5f));
    float grime = vj_fractal(x, 0.4f * y, 14.0f / scale, 5, 0.7f, c->pixel, h);
    wall = vj_rgb_scale(wall, 1.0f + 0.25f * c->detail * grime);
    if (j == 0) /* the parapet */
        return vj_rgb_scale(wall, 1.15f);

    float away_u = du < 0.5f ? 0.5f - du : du - 0.5f, away_v = dv < 0.5f ? 0.5f - dv : dv - 0.5f;
    float half_u = 0.30f, half_v = 0.33f;
    switch ((enum facade)(h % 4)) {
    case GRID:
        break;
    case BANDS:
        half_u = 0.5f;
        half_v = 0.24f;
        break;
    case FINS:
        half_u = 0.18f;
        half_v = 0.5f;
        break;
    case GLASS:
        half_u = 0.45f;
        half_v = 0.45f;
        break;
    }
    float pane = vj_cover((away_u - half_u) * cell_w, c->pixel) *
                 vj_cover((away_v - half_v) * cell_h, c->pixel);
    return vj_rgb_mix(wall, window_shade(s, h, i, j), pane);
}

static struct vj_rgb buildings_shade(const struct vj_canvas *c, const struct city *s, float x,
                                     float y)
{
    int32_t column = vj_floor(x / c->pixel), last = (int32_t)c->columns - 1;
    column = column < 0 ? 0 : column > last ? last : column;
    for (int i = 0; i < ROWS; i++) {
        const struct plot *plot = &s->row[i][column];
        if (y < plot->roof)
            continue;
        float far = (float)i / (float)ROWS;
        struct vj_rgb colour = facade_shade(c, s, plot, 1.0f - 0.6f * far, x, y);
        float mist = 0.75f * far + 0.15f * vj_smooth(0.0f, 0.25f, y - plot->roof);
        return vj_rgb_mix(colour, s->haze, mist);
    }
    return vj_sky_shade(c, &s->sky, x, y);
}

static struct vj_rgb shade(const struct vj_canvas *c, const void *state, float x, float y)
{
    const struct city *s = state;
    if (y < s->shore)
        return buildings_shade(c, s, x, y);
    struct vj_mirror m = vj_mirror_at(c, s->shore, s->swell, s->key, x, y);
    struct vj_rgb colour = buildings_shade(c, s, m.x, m.y);
    colour = vj_rgb_scale(colour, 0.85f + 0.25f * m.waves);
    return vj_rgb_mix(colour, s->water_colour, vj_clamp01(0.20f + 0.9f * m.depth));
}

/* Buildings side by side from left to right. */
static void build_row(const struct vj_canvas *c, const struct city *s, int number,
                      struct vj_dice *dice)
{
    float far = (float)number / (float)ROWS;
    float tall = s->shore * vj_roll(dice, 0.22f, 0.42f) * (1.0f + 0.9f * far);
    struct plot plot = {0};
    float right = -0.1f;
    uint32_t count = 0;
    for (size_t i = 0; i < c->columns; i++) {
        float x = ((float)i + 0.5f) * c->pixel;
        while (x >= right) {
            plot.hash = vj_hash2((int32_t)count++, number, s->key);
            plot.left = right;
            right += (0.04f + 0.10f * vj_byte(plot.hash, 0)) * (1.0f - 0.45f * far);
            float high = vj_byte(plot.hash, 1);
            float swing = vj_noise(1.7f * x, 9.0f * (float)number, s->key + 3);
            float height = tall * (0.30f + 0.70f * high * high + 0.6f * swing);
            plot.roof = s->shore - (height > 0.02f ? height : 0.02f);
        }
        s->row[number][i] = plot;
    }
}

static void *prepare(const struct vj_canvas *c, struct vj_dice *dice)
{
    struct city *s = vj_calloc(1, sizeof(*s) + ROWS * c->columns * sizeof(struct plot));
    if (!s)
        return NULL;
    const struct hour *hour = &hours[vj_roll_below(dice, sizeof(hours) / sizeof(*hours))];
    s->shore = c->height * vj_roll(dice, 0.68f, 0.90f);
    s->sky = (struct vj_sky){
        .zenith = hour->zenith,
        .low = vj_rgb_tint(hour->low, vj_roll(dice, -0.05f, 0.05f)),
        .sun = hour->sun,
        .horizon = s->shore,
        .sun_x = c->width * vj_roll(dice, 0.1f, 0.9f),
        .sun_y = s->shore * vj_roll(dice, 0.15f, 0.7f),
        .sun_size = hour->disc,
        .glow = hour->glow,
        .cover = vj_roll(dice, -0.2f, 0.6f),
        .key = c->key + 17,
    };
    s->haze = hour->haze;
    s->wall = hour->wall;
    s->water_colour = hour->water;
    s->lamps = hour->lamps;
    s->swell = vj_roll(dice, 0.3f, 1.0f);
    s->window = vj_roll(dice, 0.009f, 0.022f);
    s->key = c->key + 200;
    for (int i = 0; i < ROWS; i++) {
        s->row[i] = (struct plot *)(s + 1) + (size_t)i * c->columns;
        build_row(c, s, i, dice);
    }
    return s;
}

const struct vj_painter vj_painter_city = {prepare, shade};
