/* SPDX-License-Identifier: MIT */
/* Farmland from above, and banded stone. */
#include <stdbool.h>

#include "datasets/generator_scene.h"
#include "host/checked.h"

/* ---- farmland ---- */

enum { CROPS = 8 };

struct country {
    struct vj_rgb crop[CROPS];
    struct vj_rgb road, tree, river;
    float cell;    /* size of a field, units */
    float stretch; /* of fields along y */
    float water;   /* half width of the river in its noise field; 0: none */
    float trees;   /* share of hedges that are grown over */
    uint32_t key;
};

static const struct vj_rgb seasons[][CROPS] = {
    {{.36f, .50f, .19f},
     {.55f, .62f, .26f},
     {.80f, .72f, .36f},
     {.47f, .36f, .24f},
     {.27f, .41f, .17f},
     {.69f, .58f, .36f},
     {.42f, .56f, .30f},
     {.86f, .80f, .52f}},
    {{.72f, .56f, .33f},
     {.82f, .69f, .44f},
     {.56f, .41f, .27f},
     {.44f, .34f, .25f},
     {.62f, .57f, .33f},
     {.88f, .78f, .56f},
     {.50f, .48f, .28f},
     {.38f, .30f, .24f}},
    {{.56f, .62f, .44f},
     {.78f, .80f, .74f},
     {.66f, .62f, .54f},
     {.46f, .44f, .40f},
     {.50f, .56f, .46f},
     {.86f, .87f, .85f},
     {.60f, .58f, .48f},
     {.72f, .74f, .70f}},
};

/* Nearest and second nearest of points strewn over the plane, one in each unit cell. */
struct nearest {
    float first, second; /* distances */
    uint32_t hash;       /* of the nearest */
};

static struct nearest find_nearest(float x, float y, uint32_t key)
{
    int32_t ci = vj_floor(x), cj = vj_floor(y);
    struct nearest n = {9.0f, 9.0f, 0};
    for (int32_t j = cj - 1; j <= cj + 1; j++)
        for (int32_t i = ci - 1; i <= ci + 1; i++) {
            uint32_t h = vj_hash2(i, j, key);
            float dx = (float)i + 0.1f + 0.8f * vj_byte(h, 0) - x;
            float dy = (float)j + 0.1f + 0.8f * vj_byte(h, 1) - y;
            float d = dx * dx + dy * dy;
            if (d < n.first) {
                n.second = n.first;
                n.first = d;
                n.hash = h;
            } else if (d < n.second) {
                n.second = d;
            }
        }
    n.first = sqrtf(n.first);
    n.second = sqrtf(n.second);
    return n;
}

/* Furrows, tractor lanes, stubble: how one field is worked. */
static struct vj_rgb crop_shade(const struct vj_canvas *c, const struct country *s, uint32_t h,
                                float x, float y)
{
    float tx = vj_byte(h, 2) - 0.5f, ty = vj_byte(h, 3) - 0.498f;
    float norm = 1.0f / sqrtf(tx * tx + ty * ty);
    float across = (x * tx + y * ty) * norm, along = (y * tx - x * ty) * norm;
    uint32_t g = vj_hash2((int32_t)(h & 0xffffu), (int32_t)(h >> 16), s->key + 1);

    struct vj_rgb colour =
        vj_rgb_mix(s->crop[g % CROPS], s->crop[(g >> 8) % CROPS], 0.3f * vj_byte(g, 2));
    float growth = vj_fractal(x, y, 3.0f, 4, 0.55f, c->pixel, g);
    float plants = vj_fractal(across * 3.0f, along, 45.0f, 4, 0.85f, 2.0f * c->pixel, g + 30);
    float light = 1.0f + 0.16f * growth + 0.16f * c->detail * plants;
    float period = 0.010f + 0.03f * vj_byte(g, 3);
    if (g & 0x10000u) /* furrows, as long as pixels can show them */
        light += 0.16f * c->detail * vj_wave(across / period) *
                 vj_smooth(0.5f, 0.25f, c->pixel / period);
    float lanes = across / (6.0f * period);
    lanes -= (float)vj_floor(lanes) + 0.5f;
    if (g & 0x20000u)
        light -=
            0.25f * vj_cover((lanes < 0.0f ? -lanes : lanes) * 6.0f * period - 0.0012f, c->pixel);
    return vj_rgb_scale(vj_rgb_tint(colour, 0.08f * growth), light);
}

static struct vj_rgb fields_shade(const struct vj_canvas *c, const void *state, float x, float y)
{
    const struct country *s = state;
    float bend = 0.05f * vj_fractal(x, y, 1.3f, 3, 0.5f, c->pixel, s->key + 2);
    float u = (x + bend) / s->cell, v = (y - bend) / (s->cell * s->stretch);
    struct nearest field = find_nearest(u, v, s->key);
    float border = 0.5f * (field.second - field.first) * s->cell;
    struct vj_rgb colour = crop_shade(c, s, field.hash, x, y);
    colour = vj_rgb_mix(colour, s->road, vj_cover(border - 0.004f, 2.0f * c->pixel));

    /* Trees: round crowns along hedges and in a few woods, each with light and shadow. */
    float wood = vj_fractal(x, y, 1.6f, 4, 0.5f, c->pixel, s->key + 5);
    float grown = vj_smooth(0.022f, 0.010f, border) *
                  vj_smooth(0.45f, 0.35f, vj_byte(field.hash, 0) - s->trees + 0.4f);
    grown = grown + vj_smooth(0.28f, 0.34f, wood);
    if (grown > 0.3f) {
        struct nearest tree = find_nearest(x * 70.0f, y * 70.0f, s->key + 6);
        float crown = vj_smooth(0.62f, 0.48f, tree.first);
        float leafy = vj_fractal(x, y, 160.0f, 3, 0.8f, c->pixel, s->key + 7);
        float light =
            0.55f + 0.5f * vj_byte(tree.hash, 2) - 0.5f * tree.first + 0.3f * c->detail * leafy;
        colour = vj_rgb_mix(vj_rgb_scale(colour, 1.0f - 0.35f * vj_smooth(0.9f, 0.5f, tree.first)),
                            vj_rgb_scale(s->tree, light), crown * vj_clamp01(2.0f * grown));
    }
    if (s->water > 0.0f) {
        float course = vj_fractal(x, y, 0.9f, 4, 0.45f, c->pixel, s->key + 8);
        float off = (course < 0.0f ? -course : course) - s->water;
        float ripples =
            off < 0.006f ? vj_fractal(x, y, 30.0f, 4, 0.7f, c->pixel, s->key + 9) : 0.0f;
        colour = vj_rgb_mix(colour, vj_rgb_scale(s->crop[5], 0.9f), vj_smooth(0.035f, 0.015f, off));
        colour = vj_rgb_mix(colour, vj_rgb_scale(s->river, 1.0f + 0.12f * ripples),
                            vj_smooth(0.006f, -0.006f, off));
    }
    return colour;
}

static void *fields_prepare(const struct vj_canvas *c, struct vj_dice *dice)
{
    struct country *s = vj_calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    const struct vj_rgb *season = seasons[vj_roll_below(dice, 3)];
    float warmth = vj_roll(dice, -0.08f, 0.08f);
    for (int i = 0; i < CROPS; i++)
        s->crop[i] = vj_rgb_tint(season[i], warmth);
    s->road = (struct vj_rgb){0.74f, 0.70f, 0.62f};
    s->tree = (struct vj_rgb){0.24f, 0.34f, 0.17f};
    s->river = (struct vj_rgb){0.23f, 0.35f, 0.38f};
    s->cell = vj_roll(dice, 0.16f, 0.40f);
    s->stretch = vj_roll(dice, 0.5f, 1.0f);
    s->water = vj_roll_below(dice, 2) ? vj_roll(dice, 0.015f, 0.05f) : 0.0f;
    s->trees = vj_roll(dice, 0.1f, 0.8f);
    s->key = c->key + 400;
    return s;
}

const struct vj_painter vj_painter_fields = {fields_prepare, fields_shade};

/* ---- stone ---- */

enum { TONES = 5 };

struct stone {
    struct vj_rgb tone[TONES];
    float bands;  /* how many across the picture */
    float folds;  /* how far they are bent */
    float stripe; /* contrast of the fine lines */
    uint32_t key;
};

static const struct vj_rgb stones[][TONES] = {
    {{.20f, .10f, .08f},
     {.62f, .28f, .14f},
     {.90f, .68f, .42f},
     {.97f, .92f, .84f},
     {.46f, .20f, .12f}},
    {{.07f, .13f, .22f},
     {.16f, .36f, .50f},
     {.62f, .78f, .82f},
     {.95f, .96f, .93f},
     {.24f, .28f, .40f}},
    {{.17f, .12f, .22f},
     {.42f, .28f, .52f},
     {.78f, .66f, .82f},
     {.97f, .94f, .96f},
     {.30f, .20f, .36f}},
    {{.10f, .17f, .13f},
     {.20f, .42f, .30f},
     {.58f, .74f, .56f},
     {.93f, .95f, .86f},
     {.14f, .28f, .24f}},
    {{.30f, .29f, .28f},
     {.58f, .56f, .54f},
     {.84f, .83f, .81f},
     {.95f, .94f, .93f},
     {.44f, .41f, .40f}},
};

static struct vj_rgb agate_shade(const struct vj_canvas *c, const void *state, float x, float y)
{
    const struct stone *s = state;
    float fold_x = vj_fractal(x, y, 0.8f, 4, 0.5f, c->pixel, s->key);
    float fold_y = vj_fractal(x + 5.2f, y + 1.3f, 0.8f, 4, 0.5f, c->pixel, s->key + 10);
    float body = vj_fractal(x + s->folds * fold_x, y + s->folds * fold_y, 0.7f, 5, 0.45f, c->pixel,
                            s->key + 20);

    float place = 0.5f * s->bands * (body + 0.9f);
    int32_t band = vj_floor(place);
    float within = place - (float)band;
    uint32_t a = vj_hash2(band, 0, s->key + 30), b = vj_hash2(band + 1, 0, s->key + 30);
    /* Tones two or three apart: no two bands in a row are alike. */
    uint32_t this = (uint32_t)(2 * band + 1000) + a % 2, next = (uint32_t)(2 * band + 1002) + b % 2;
    struct vj_rgb colour =
        vj_rgb_mix(s->tone[this % TONES], s->tone[next % TONES], vj_smooth(0.55f, 1.0f, within));

    float fine = vj_wave(5.0f * place) + 0.6f * vj_wave(13.0f * place + 2.0f * fold_y);
    float grains = vj_fractal(x, y, 90.0f, 4, 0.8f, c->pixel, s->key + 40);
    float light =
        1.0f + s->stripe * fine * (0.4f + 0.6f * vj_byte(a, 2)) + 0.12f * c->detail * grains;
    colour = vj_rgb_scale(colour, light);

    float crack = vj_fractal(x, y, 1.1f, 5, 0.55f, c->pixel, s->key + 50);
    float line = vj_smooth(0.012f, 0.0f, crack < 0.0f ? -crack : crack);
    return vj_rgb_mix(colour, s->tone[3], 0.55f * line);
}

static void *agate_prepare(const struct vj_canvas *c, struct vj_dice *dice)
{
    struct stone *s = vj_calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    const struct vj_rgb *tones = stones[vj_roll_below(dice, sizeof(stones) / sizeof(*stones))];
    float warmth = vj_roll(dice, -0.06f, 0.06f);
    for (int i = 0; i < TONES; i++)
        s->tone[i] = vj_rgb_tint(tones[i], warmth);
    s->bands = vj_roll(dice, 5.0f, 22.0f);
    s->folds = vj_roll(dice, 0.3f, 1.1f);
    s->stripe = 0.16f * c->detail;
    s->key = c->key + 500;
    return s;
}

const struct vj_painter vj_painter_agate = {agate_prepare, agate_shade};
