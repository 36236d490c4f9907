/* SPDX-License-Identifier: MIT */
/* Skies, mountains, woods, water. */
#include <stdbool.h>
#include <stdlib.h>

#include "datasets/generator_scene.h"
#include "host/checked.h"

enum { MAX_LAYERS = 14 };

enum ground { ROCK, HILL, WOOD, MEADOW };

/* A strip of land whose outline against what lies behind is crest(x). */
struct layer {
    enum ground ground;
    float haze;   /* 0 near .. 1 lost in the air */
    float fine;   /* first frequency of its texture, per unit */
    float relief; /* contrast of its light and shade */
    float snow;   /* y above which it is white, or -1 */
    uint32_t key;
    struct vj_rgb dark, light, cover;
    float *crest; /* y of the outline at each column, in the state's own block */
};

struct landscape {
    struct vj_sky sky;
    struct vj_rgb haze, water_colour;
    float water; /* y of the shore; below the picture when there is none */
    float swell; /* strength of the waves */
    uint32_t key;
    int layers; /* nearest first */
    struct layer layer[MAX_LAYERS];
};

/* Colours that belong together: an hour, a season, a country. */
struct look {
    struct vj_rgb zenith, low, sun, haze, dark, light, green, snow, water;
    float glow, disc; /* strength of the light around the sun, radius of its disc */
};

static const struct look looks[] = {
    /* dawn */
    {{.34f, .46f, .68f},
     {.98f, .82f, .66f},
     {1.f, .95f, .80f},
     {.87f, .76f, .72f},
     {.27f, .22f, .27f},
     {.72f, .55f, .50f},
     {.19f, .24f, .17f},
     {.98f, .92f, .90f},
     {.36f, .45f, .55f},
     0.9f,
     0.022f},
    /* noon */
    {{.16f, .39f, .72f},
     {.74f, .86f, .95f},
     {1.f, 1.f, .96f},
     {.70f, .80f, .89f},
     {.27f, .27f, .27f},
     {.66f, .62f, .55f},
     {.24f, .38f, .15f},
     {1.f, 1.f, 1.f},
     {.14f, .36f, .46f},
     0.5f,
     0.f},
    /* dusk */
    {{.17f, .18f, .38f},
     {.96f, .55f, .33f},
     {1.f, .80f, .50f},
     {.66f, .44f, .46f},
     {.12f, .09f, .16f},
     {.50f, .30f, .32f},
     {.08f, .09f, .11f},
     {.88f, .66f, .62f},
     {.22f, .20f, .34f},
     1.0f,
     0.030f},
    /* overcast */
    {{.60f, .65f, .70f},
     {.87f, .88f, .88f},
     {.95f, .95f, .93f},
     {.78f, .80f, .82f},
     {.22f, .23f, .24f},
     {.55f, .55f, .53f},
     {.21f, .27f, .20f},
     {.94f, .95f, .96f},
     {.38f, .45f, .48f},
     0.1f,
     0.f},
    /* moonlight */
    {{.07f, .10f, .21f},
     {.24f, .33f, .48f},
     {.93f, .94f, .88f},
     {.18f, .25f, .37f},
     {.06f, .08f, .13f},
     {.30f, .36f, .46f},
     {.08f, .11f, .12f},
     {.52f, .58f, .68f},
     {.09f, .14f, .24f},
     0.4f,
     0.026f},
    /* desert */
    {{.24f, .46f, .71f},
     {.94f, .88f, .75f},
     {1.f, .98f, .88f},
     {.89f, .76f, .61f},
     {.42f, .22f, .15f},
     {.90f, .62f, .40f},
     {.40f, .37f, .20f},
     {.95f, .78f, .58f},
     {.30f, .46f, .50f},
     0.6f,
     0.f},
    /* autumn haze */
    {{.47f, .60f, .74f},
     {.93f, .90f, .80f},
     {1.f, .97f, .85f},
     {.84f, .82f, .75f},
     {.26f, .20f, .15f},
     {.70f, .56f, .38f},
     {.52f, .30f, .10f},
     {.96f, .94f, .90f},
     {.30f, .38f, .40f},
     0.7f,
     0.018f},
};

struct vj_rgb vj_sky_shade(const struct vj_canvas *canvas, const struct vj_sky *sky, float x,
                           float y)
{
    float height = sky->horizon - y; /* above the horizon */
    float down = vj_clamp01(y / sky->horizon);
    struct vj_rgb colour = vj_rgb_mix(sky->zenith, sky->low, down * (0.3f + 0.7f * down));

    float dx = x - sky->sun_x, dy = y - sky->sun_y;
    float square = dx * dx + dy * dy;
    float glow =
        sky->glow * (0.55f * 0.06f / (0.06f + square) + 0.45f * 0.004f / (0.004f + square));
    colour = vj_rgb_mix(colour, sky->sun, vj_clamp01(glow));
    if (sky->sun_size > 0.0f)
        colour =
            vj_rgb_mix(colour, sky->sun, vj_cover(sqrtf(square) - sky->sun_size, canvas->pixel));

    if (sky->cover > 0.0f && height > 0.0f) {
        float far = 0.30f / (height + 0.10f); /* a ceiling of clouds seen in perspective */
        float u = (x - 0.5f * canvas->width) * far, v = 0.9f * far;
        float pixel = canvas->pixel * far;
        float here = vj_fractal(u, v, 2.2f, 7, 0.52f, pixel, sky->key);
        float sunward = vj_fractal(u - 0.03f * vj_clamp01(2.0f * dx + 0.5f) + 0.015f, v - 0.03f,
                                   2.2f, 3, 0.52f, pixel, sky->key);
        float density = vj_smooth(0.55f - sky->cover, 1.05f - sky->cover, here);
        float light = vj_clamp01(0.72f + 1.1f * (here - sunward) - 0.35f * density);
        struct vj_rgb cloud = vj_rgb_mix(vj_rgb_mix(sky->zenith, sky->low, 0.35f),
                                         vj_rgb_mix(sky->low, sky->sun, 0.6f), light);
        colour = vj_rgb_mix(colour, cloud, 0.92f * density * vj_smooth(0.0f, 0.12f, height));
    }
    return colour;
}

/* Light minus shade of creased rock lit from the upper left, about -1..1. */
static float relief(float x, float y, float frequency, int octaves, float pixel, uint32_t key)
{
    float step = 0.16f / frequency;
    return vj_ridged(x, y, frequency, octaves, 0.64f, pixel, key) -
           vj_ridged(x - 0.6f * step, y - step, frequency, octaves, 0.64f, pixel, key);
}

static struct vj_rgb rock_shade(const struct vj_canvas *c, const struct layer *l, float x, float y,
                                float below)
{
    float r = relief(x + 0.25f * y, 0.6f * y, l->fine, 6, c->pixel, l->key);
    float light = vj_clamp01(0.45f + l->relief * r);
    struct vj_rgb colour = vj_rgb_mix(l->dark, l->light, light);
    float green = vj_smooth(0.05f, 0.30f, below + 0.12f * r);
    colour = vj_rgb_mix(colour, vj_rgb_scale(l->cover, 0.7f + 0.6f * light), 0.75f * green);
    float white = vj_smooth(0.03f, -0.03f, y - l->snow + 0.10f * r) * vj_smooth(-0.5f, 0.1f, r);
    struct vj_rgb snow = vj_rgb_scale((struct vj_rgb){0.93f, 0.95f, 1.0f}, 0.62f + 0.38f * light);
    return vj_rgb_mix(colour, vj_rgb_mix(snow, l->light, 0.25f), white);
}

static struct vj_rgb wood_shade(const struct vj_canvas *c, const struct layer *l, float x, float y,
                                float below)
{
    float leaves = vj_fractal(x, 0.6f * y, l->fine, 5, 0.75f, c->pixel, l->key);
    float light = vj_clamp01(0.35f + l->relief * leaves - 1.5f * below);
    return vj_rgb_mix(vj_rgb_scale(l->cover, 0.55f), vj_rgb_mix(l->cover, l->light, 0.35f), light);
}

/* Upright strokes whose size is proportional to `near`, 0..1: two sizes of noise, mixed. */
static float blades(float x, float y, float near, float pixel, uint32_t key)
{
    float finer = -vj_log2(near);
    int32_t step = vj_floor(finer);
    float frequency = 16.0f * (float)(1 << (step < 0 ? 0 : step > 10 ? 10 : step));
    float coarse = vj_fractal(x, 0.3f * y, frequency, 4, 0.8f, pixel, key);
    float fine = vj_fractal(x, 0.3f * y, 2.0f * frequency, 4, 0.8f, pixel, key);
    return vj_mix(coarse, fine, finer - (float)step);
}

/* Grass and flowers in perspective: coarse at the feet, fine towards the horizon. */
static struct vj_rgb meadow_shade(const struct vj_canvas *c, const struct layer *l, float x,
                                  float y, float below)
{
    float near = 0.07f + below;
    float u = 0.5f * (x - 0.5f * c->width) / near, v = 0.5f * vj_log2(near);
    float patches = vj_fractal(u, 2.0f * v, 0.8f, 4, 0.5f, 0.5f * c->pixel / near, l->key);
    float light =
        vj_clamp01(0.45f + 0.5f * patches + l->relief * blades(x, y, near, c->pixel, l->key + 40));
    struct vj_rgb low = vj_rgb_scale(l->cover, 0.45f);
    struct vj_rgb high = vj_rgb_tint(vj_rgb_mix(l->cover, l->light, 0.55f), 0.25f * patches);
    float flowers = vj_noise(40.0f * u, 80.0f * v, l->key + 60);
    float bloom = vj_smooth(0.48f, 0.60f, flowers + 0.35f * patches);
    struct vj_rgb petals = {0.97f, 0.88f - 0.6f * patches, 0.40f + 0.3f * patches};
    return vj_rgb_mix(vj_rgb_mix(low, high, light), petals, 0.75f * bloom);
}

/* Slopes with copses and clearings. */
static struct vj_rgb hill_shade(const struct vj_canvas *c, const struct layer *l, float x, float y,
                                float below)
{
    float copses = vj_fractal(x, 2.0f * y, l->fine, 5, 0.6f, c->pixel, l->key);
    float crowns = vj_fractal(x, 1.3f * y, 12.0f * l->fine, 3, 0.8f, c->pixel, l->key + 20);
    float wooded = vj_smooth(-0.25f, 0.15f, copses + 0.3f * crowns);
    float light = vj_clamp01(0.6f + l->relief * (0.6f * copses + wooded * crowns) - 0.6f * below);
    struct vj_rgb open = vj_rgb_mix(l->cover, l->light, 0.28f + 0.3f * copses);
    return vj_rgb_scale(vj_rgb_mix(open, l->cover, wooded), 0.5f + 0.7f * light);
}

static struct vj_rgb layer_shade(const struct vj_canvas *c, const struct landscape *s,
                                 const struct layer *l, float x, float y, float below)
{
    struct vj_rgb colour;
    switch (l->ground) {
    case ROCK:
        colour = rock_shade(c, l, x, y, below);
        break;
    case WOOD:
        colour = wood_shade(c, l, x, y, below);
        break;
    case MEADOW:
        colour = meadow_shade(c, l, x, y, below);
        break;
    default:
        colour = hill_shade(c, l, x, y, below);
        break;
    }
    float mist = l->haze + (0.9f * l->haze * (1.0f - l->haze)) * vj_smooth(0.0f, 0.35f, below);
    return vj_rgb_mix(colour, s->haze, mist);
}

static struct vj_rgb land_shade(const struct vj_canvas *c, const struct landscape *s, float x,
                                float y)
{
    int32_t column = vj_floor(x / c->pixel);
    int32_t last = (int32_t)c->columns - 1;
    column = column < 0 ? 0 : column > last ? last : column;

    struct vj_rgb sum = {0, 0, 0};
    float open = 1.0f; /* share of the pixel that nothing nearer covers */
    for (int i = 0; i < s->layers && open > 0.004f; i++) {
        const struct layer *l = &s->layer[i];
        float below = y - l->crest[column];
        float share = open * vj_cover(-below, c->pixel);
        if (share <= 0.0f)
            continue;
        struct vj_rgb colour = layer_shade(c, s, l, x, y, below > 0.0f ? below : 0.0f);
        sum.r += share * colour.r;
        sum.g += share * colour.g;
        sum.b += share * colour.b;
        open -= share;
    }
    if (open > 0.004f) {
        struct vj_rgb sky = vj_sky_shade(c, &s->sky, x, y);
        sum.r += open * sky.r;
        sum.g += open * sky.g;
        sum.b += open * sky.b;
    }
    return sum;
}

struct vj_mirror vj_mirror_at(const struct vj_canvas *c, float shore, float swell, uint32_t key,
                              float x, float y)
{
    float depth = y - shore;
    float near = depth + 0.03f;
    float u = 0.35f * (x - 0.5f * c->width) / near, v = 0.55f / near;
    float waves = vj_fractal(u, v, 2.2f, 5, 0.6f, 0.35f * c->pixel / near, key);
    float above = shore - 0.85f * depth + 0.5f * swell * waves * (0.02f + depth);
    return (struct vj_mirror){
        .x = x + 0.20f * swell * waves * near,
        .y = above < 0.0f ? 0.0f : above,
        .depth = depth,
        .waves = waves,
    };
}

static struct vj_rgb water_shade(const struct vj_canvas *c, const struct landscape *s, float x,
                                 float y)
{
    struct vj_mirror m = vj_mirror_at(c, s->water, s->swell, s->key, x, y);
    struct vj_rgb colour = land_shade(c, s, m.x, m.y);
    float deep = vj_clamp01(0.25f + 0.8f * m.depth - 0.25f * s->swell * m.waves);
    colour = vj_rgb_mix(colour, s->water_colour, deep);
    float path = (x - s->sky.sun_x) / (0.05f + 0.5f * m.depth);
    float glint = vj_smooth(0.25f, 0.6f, m.waves) / (1.0f + 6.0f * path * path);
    return vj_rgb_mix(colour, s->sky.sun, vj_clamp01(s->sky.glow * s->swell * glint));
}

static struct vj_rgb shade(const struct vj_canvas *canvas, const void *state, float x, float y)
{
    const struct landscape *s = state;
    if (y <= s->water)
        return land_shade(canvas, s, x, y);
    struct vj_rgb water = water_shade(canvas, s, x, y);
    float shore = vj_cover(s->water - y, canvas->pixel);
    return vj_rgb_mix(land_shade(canvas, s, x, s->water), water, shore);
}

/* Height of the highest of the trees that stand near x; spacing: of their trunks. */
static float tree_tops(float x, float spacing, float tallest, uint32_t key)
{
    int32_t cell = vj_floor(x / spacing);
    float top = 0.0f;
    for (int32_t i = cell - 2; i <= cell + 2; i++) {
        uint32_t h = vj_hash2(i, 0, key);
        float trunk = ((float)i + vj_byte(h, 0)) * spacing;
        float tall = tallest * (0.45f + 0.55f * vj_byte(h, 1));
        float away =
            (x > trunk ? x - trunk : trunk - x) / (spacing * (0.9f + 0.8f * vj_byte(h, 2)));
        float branch = 0.12f * vj_wave(9.0f * away + vj_byte(h, 3)) * (1.0f - away);
        float reach = tall * (1.0f - away + branch);
        top = reach > top ? reach : top;
    }
    return top;
}

/* base: y at rest; swing: how far the outline goes up and down. */
static void draw_crest(const struct vj_canvas *c, struct layer *l, float base, float swing,
                       float frequency)
{
    for (size_t i = 0; i < c->columns; i++) {
        float x = ((float)i + 0.5f) * c->pixel, y = base;
        float n =
            vj_fractal(x, 3.7f, frequency, 9, l->ground == ROCK ? 0.5f : 0.34f, c->pixel, l->key);
        if (l->ground == ROCK)
            y -= swing * (1.0f - 1.9f * (n < 0.0f ? -n : n)); /* sharp tops where n crosses 0 */
        else
            y -= swing * n;
        if (l->ground == WOOD)
            y -= tree_tops(x, 0.16f * l->relief * (1.1f - l->haze) * 0.12f + 0.004f,
                           0.035f + 0.10f * (1.0f - l->haze), l->key + 90);
        l->crest[i] = y;
    }
}

static struct layer *add_layer(const struct vj_canvas *c, struct landscape *s, enum ground ground,
                               float haze, const struct look *look)
{
    struct layer *l = &s->layer[s->layers];
    l->ground = ground;
    l->haze = haze;
    l->dark = look->dark;
    l->light = look->light;
    l->cover = look->green;
    l->snow = -1.0f;
    l->key = c->key + 1000u * (uint32_t)(s->layers + 1);
    s->layers++;
    return l;
}

static void raise_mountains(const struct vj_canvas *c, struct landscape *s, const struct look *look,
                            struct vj_dice *dice)
{
    int ranges = 1 + (int)vj_roll_below(dice, 4);
    bool snowy = vj_roll_below(dice, 2) == 0;
    float tall = vj_roll(dice, 0.12f, 0.42f) * s->sky.horizon / 0.55f;
    for (int i = 0; i < ranges; i++) { /* nearest first */
        float far = ((float)i + 0.5f) / (float)ranges;
        struct layer *l = add_layer(c, s, ROCK, 0.08f + 0.60f * far * far, look);
        l->fine = vj_roll(dice, 3.0f, 5.0f) * (0.8f + 0.6f * far);
        l->relief = 0.5f + 0.9f * c->detail * vj_roll(dice, 0.7f, 1.2f);
        float base = s->sky.horizon - 0.30f * tall * far;
        if (snowy)
            l->snow = base - tall * vj_roll(dice, 0.30f, 0.60f);
        draw_crest(c, l, base, tall * (0.55f + 0.45f * far), vj_roll(dice, 0.9f, 1.9f));
    }
}

static void plant_foreground(const struct vj_canvas *c, struct landscape *s,
                             const struct look *look, struct vj_dice *dice)
{
    float horizon = s->sky.horizon;
    bool meadow = s->water > c->height && vj_roll_below(dice, 3) != 0;
    if (meadow) {
        struct layer *l = add_layer(c, s, MEADOW, 0.02f, look);
        l->relief = 0.22f * c->detail;
        draw_crest(c, l, vj_mix(horizon, c->height, vj_roll(dice, 0.35f, 0.65f)), 0.06f, 1.1f);
    }
    int rows = (int)vj_roll_below(dice, meadow ? 4 : 3) + !meadow;
    for (int i = 0; i < rows; i++) {
        float far = (float)i / 4.0f;
        struct layer *l = add_layer(c, s, WOOD, 0.04f + 0.5f * far, look);
        l->fine = 26.0f + 30.0f * far;
        l->relief = 0.55f * c->detail;
        float front = s->water > c->height ? vj_mix(horizon, c->height, 0.45f) : horizon + 0.05f;
        draw_crest(c, l, vj_mix(front, horizon, far), 0.08f, vj_roll(dice, 0.7f, 1.6f));
    }
    if (rows < 3) {
        struct layer *l = add_layer(c, s, HILL, 0.15f, look);
        l->fine = 7.0f;
        l->relief = 0.5f * c->detail;
        draw_crest(c, l, horizon + 0.02f, 0.07f, 1.2f);
    }
}

static void *prepare(const struct vj_canvas *c, struct vj_dice *dice)
{
    struct landscape *s = vj_calloc(1, sizeof(*s) + MAX_LAYERS * c->columns * sizeof(float));
    if (!s)
        return NULL;
    float *crests = (float *)(s + 1);
    for (size_t i = 0; i < MAX_LAYERS; i++)
        s->layer[i].crest = crests + i * c->columns;

    const struct look *look = &looks[vj_roll_below(dice, sizeof(looks) / sizeof(*looks))];
    float horizon = c->height * vj_roll(dice, 0.42f, 0.66f);
    s->sky = (struct vj_sky){
        .zenith = vj_rgb_tint(look->zenith, vj_roll(dice, -0.06f, 0.06f)),
        .low = vj_rgb_tint(look->low, vj_roll(dice, -0.04f, 0.04f)),
        .sun = look->sun,
        .horizon = horizon,
        .sun_x = c->width * vj_roll(dice, 0.15f, 0.85f),
        .sun_y = horizon * vj_roll(dice, 0.25f, 0.85f),
        .sun_size = look->disc * vj_roll(dice, 0.6f, 1.2f),
        .glow = look->glow,
        .cover = vj_roll(dice, -0.2f, 0.75f),
        .key = c->key + 17,
    };
    s->haze = look->haze;
    s->water_colour = look->water;
    s->key = c->key + 31;
    s->swell = vj_roll(dice, 0.25f, 1.1f);
    uint32_t kind = vj_roll_below(dice, 4); /* 0 open sea, 1 lake, else dry land */
    s->water = kind == 0 ? horizon : kind == 1 ? horizon + 0.12f * (c->height - horizon) : 1e9f;
    if (kind != 0 || vj_roll_below(dice, 2) == 0) {
        if (kind != 0)
            plant_foreground(c, s, look, dice);
        raise_mountains(c, s, look, dice);
    }
    return s;
}

const struct vj_painter vj_painter_landscape = {prepare, shade};
