/* SPDX-License-Identifier: MIT */
/* Heaps of things that hide one another ("dead leaves"): pebbles, leaves, cut paper. */
#include <stdbool.h>

#include "datasets/generator_scene.h"
#include "host/checked.h"

enum { LAYERS = 5, NEIGHBOURS = 9, PALETTE = 6 };

/* Beyond this many sizes from its centre an object neither covers nor shades anything. */
#define REACH 1.75f

enum thing { PEBBLE, LEAF, PAPER };

/* One scattered object, seen from a point. */
struct piece {
    float u, v;     /* the point in the object's own frame, in units of its size */
    float distance; /* to its outline, units; inside < 0 */
    float size;
    float turn_x, turn_y; /* direction of its u axis */
    uint32_t hash;
};

struct layer {
    float cell;           /* side of the lattice the objects sit on, units */
    float share;          /* of cells with an object */
    float turn_x, turn_y; /* direction of the lattice */
    uint32_t key;
};

struct heap {
    enum thing thing;
    struct vj_rgb palette[PALETTE];
    struct vj_rgb ground;
    float gloss;   /* of pebbles, 0..1 */
    float shadows; /* darkness of the shadows cast, 0..1 */
    struct layer layer[LAYERS];
};

static const struct vj_rgb pebbles[][PALETTE] = {
    {{.62f, .60f, .57f},
     {.46f, .45f, .45f},
     {.73f, .68f, .60f},
     {.36f, .36f, .39f},
     {.58f, .47f, .38f},
     {.80f, .79f, .76f}},
    {{.56f, .40f, .32f},
     {.70f, .56f, .44f},
     {.42f, .31f, .28f},
     {.77f, .68f, .58f},
     {.35f, .35f, .34f},
     {.60f, .52f, .46f}},
    {{.32f, .38f, .42f},
     {.45f, .52f, .54f},
     {.25f, .29f, .33f},
     {.60f, .64f, .63f},
     {.38f, .42f, .38f},
     {.71f, .73f, .72f}},
};
static const struct vj_rgb leaves[][PALETTE] = {
    {{.80f, .36f, .09f},
     {.86f, .58f, .14f},
     {.62f, .18f, .10f},
     {.52f, .34f, .15f},
     {.90f, .72f, .25f},
     {.42f, .40f, .14f}},
    {{.22f, .42f, .16f},
     {.33f, .52f, .20f},
     {.16f, .33f, .17f},
     {.45f, .58f, .26f},
     {.27f, .46f, .28f},
     {.56f, .64f, .32f}},
    {{.55f, .28f, .30f},
     {.72f, .45f, .38f},
     {.40f, .20f, .28f},
     {.82f, .62f, .46f},
     {.35f, .30f, .32f},
     {.64f, .36f, .24f}},
};
static const struct vj_rgb papers[][PALETTE] = {
    {{.89f, .29f, .20f},
     {.97f, .76f, .26f},
     {.14f, .32f, .50f},
     {.95f, .91f, .82f},
     {.18f, .18f, .20f},
     {.34f, .60f, .60f}},
    {{.94f, .78f, .72f},
     {.55f, .68f, .66f},
     {.86f, .52f, .42f},
     {.30f, .36f, .44f},
     {.97f, .93f, .86f},
     {.76f, .66f, .50f}},
    {{.10f, .20f, .36f},
     {.16f, .42f, .60f},
     {.60f, .80f, .86f},
     {.96f, .96f, .92f},
     {.90f, .55f, .30f},
     {.30f, .30f, .36f}},
};

static float absolute(float v)
{
    return v < 0.0f ? -v : v;
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float pebble_outline(const struct piece *p)
{
    float flat = 1.0f + 0.5f * vj_byte(p->hash, 2); /* narrower across */
    float v = p->v * flat;
    float r = sqrtf(p->u * p->u + v * v + 0.5f * p->u * p->u * v * v);
    r *= 1.0f + 0.16f * vj_noise(1.3f * p->u, 1.3f * p->v, p->hash);
    return (r - 1.0f) * p->size / flat;
}

static float leaf_outline(const struct piece *p)
{
    float slim = 0.34f + 0.22f * vj_byte(p->hash, 2);
    float width = slim * (1.0f - p->u * p->u) * (1.0f - 0.35f * p->u);
    width *= 1.0f + 0.07f * vj_wave(7.0f * p->u);
    return larger((absolute(p->v) - width) * 0.8f, absolute(p->u) - 1.0f) * p->size;
}

static float paper_outline(const struct piece *p)
{
    float a = absolute(p->u), b = absolute(p->v), r = sqrtf(p->u * p->u + p->v * p->v);
    float d;
    switch (p->hash % 5) {
    case 0:
        d = r - 0.9f;
        break;
    case 1:
        d = larger(r - 0.95f, 0.55f - r); /* ring */
        break;
    case 2:
        d = larger(a - 0.9f, b - 0.45f);
        break;
    case 3:
        d = larger(p->v - 0.45f, 0.866f * a - 0.5f * p->v - 0.45f); /* triangle */
        break;
    default:
        d = larger(r - 0.95f, p->v); /* half disc */
        break;
    }
    return d * p->size;
}

/* The object of lattice cell (i, j) seen from (x, y) in lattice directions; false if out of reach.
 */
static bool place(const struct heap *heap, const struct layer *layer, int32_t i, int32_t j, float x,
                  float y, struct piece *p)
{
    uint32_t h = vj_hash2(i, j, layer->key);
    if (vj_byte(h, 0) > layer->share)
        return false;
    float centre_x = ((float)i + 0.15f + 0.7f * vj_byte(h, 1)) * layer->cell;
    float centre_y = ((float)j + 0.15f + 0.7f * vj_byte(h, 2)) * layer->cell;
    float reach = vj_byte(h, 3);
    p->size = layer->cell * (0.42f + 0.40f * reach * reach);
    float dx = (x - centre_x) / p->size, dy = (y - centre_y) / p->size;
    if (dx * dx + dy * dy > REACH * REACH)
        return false;
    uint32_t g = vj_hash2(i, j, layer->key + 7);
    float tx = vj_byte(g, 0) - 0.5f, ty = vj_byte(g, 1) - 0.498f;
    float norm = 1.0f / sqrtf(tx * tx + ty * ty);
    p->turn_x = tx * norm;
    p->turn_y = ty * norm;
    p->u = dx * p->turn_x + dy * p->turn_y;
    p->v = dy * p->turn_x - dx * p->turn_y;
    p->hash = g;
    p->distance = heap->thing == PEBBLE ? pebble_outline(p)
                  : heap->thing == LEAF ? leaf_outline(p)
                                        : paper_outline(p);
    return true;
}

static struct vj_rgb pebble_shade(const struct vj_canvas *c, const struct heap *heap,
                                  const struct piece *p, float x, float y)
{
    float depth = vj_clamp01(-p->distance / (0.75f * p->size)); /* 0 at the rim, 1 in the middle */
    float up = sqrtf(depth * (2.0f - depth));
    float lean_u = p->u * (1.0f - up), lean_v = p->v * (1.0f - up);
    float nx = lean_u * p->turn_x - lean_v * p->turn_y,
          ny = lean_u * p->turn_y + lean_v * p->turn_x;
    float light = vj_clamp01(0.30f + 0.62f * up - 0.55f * nx - 0.65f * ny);

    float grains = vj_fractal(x, y, 60.0f, 4, 0.85f, c->pixel, p->hash);
    float clouds = vj_fractal(x, y, 1.2f / p->size, 3, 0.6f, c->pixel, p->hash + 9);
    struct vj_rgb colour = heap->palette[p->hash % PALETTE];
    colour = vj_rgb_mix(colour, heap->palette[(p->hash >> 8) % PALETTE],
                        vj_clamp01(0.35f + 0.7f * clouds));
    if ((p->hash >> 16) % 4 == 0) { /* veins of quartz */
        float vein = vj_wave(1.7f * p->v + 0.9f * clouds);
        colour = vj_rgb_mix(colour, (struct vj_rgb){0.86f, 0.84f, 0.80f},
                            0.7f * vj_smooth(0.80f, 0.95f, vein));
    }
    colour = vj_rgb_scale(colour, (0.25f + 0.85f * light) * (1.0f + 0.30f * c->detail * grains));
    float shine = vj_clamp01(up - 1.9f * (absolute(nx + 0.28f) + absolute(ny + 0.32f)));
    return vj_rgb_mix(colour, (struct vj_rgb){1, 1, 1}, heap->gloss * shine * shine);
}

static struct vj_rgb leaf_shade(const struct vj_canvas *c, const struct heap *heap,
                                const struct piece *p, float x, float y)
{
    float side = absolute(p->v);
    float blotch = vj_fractal(x, y, 1.0f / p->size, 3, 0.6f, c->pixel, p->hash);
    float tissue = vj_fractal(x, y, 12.0f / p->size, 4, 0.8f, c->pixel, p->hash + 5);
    struct vj_rgb colour =
        vj_rgb_mix(heap->palette[p->hash % PALETTE], heap->palette[(p->hash >> 8) % PALETTE],
                   vj_clamp01(0.35f + 0.9f * blotch));
    float rib = vj_cover((side - 0.015f) * p->size, 2.0f * c->pixel);
    float branches =
        vj_smooth(0.80f, 0.98f, vj_wave(5.0f * p->u + 4.0f * side)) * vj_smooth(0.5f, 0.0f, side);
    float curl = p->v * p->turn_x * (vj_byte(p->hash, 3) - 0.3f); /* one half catches the light */
    float light = 0.80f - 0.9f * curl + 0.28f * c->detail * tissue;
    colour = vj_rgb_scale(colour, light < 0.1f ? 0.1f : light);
    return vj_rgb_mix(colour, vj_rgb_tint(vj_rgb_scale(heap->palette[4], 1.05f), 0.1f),
                      0.55f * rib + 0.25f * branches);
}

static struct vj_rgb paper_shade(const struct vj_canvas *c, const struct heap *heap,
                                 const struct piece *p, float x, float y)
{
    struct vj_rgb colour = heap->palette[p->hash % PALETTE];
    struct vj_rgb ink = heap->palette[(p->hash >> 8) % PALETTE];
    float pitch = 0.05f + 0.18f * vj_byte(p->hash, 2);
    float pixel = c->pixel / (p->size * pitch);
    switch ((p->hash >> 4) % 4) {
    case 0: {
        float t = p->u / pitch, line = absolute(t - (float)vj_floor(t) - 0.5f);
        colour = vj_rgb_mix(colour, ink, vj_cover(line - 0.2f, pixel));
        break;
    }
    case 1: {
        float s = p->u / pitch, t = p->v / pitch;
        s -= (float)vj_floor(s) + 0.5f;
        t -= (float)vj_floor(t) + 0.5f;
        colour = vj_rgb_mix(colour, ink, vj_cover(sqrtf(s * s + t * t) - 0.3f, pixel));
        break;
    }
    case 2:
        colour = vj_rgb_mix(colour, ink, vj_clamp01(0.5f + 0.45f * p->u));
        break;
    default:
        break;
    }
    float fibres = vj_fractal(x, y, 90.0f, 4, 0.8f, c->pixel, p->hash);
    return vj_rgb_scale(colour, 0.97f + 0.10f * c->detail * fibres);
}

static struct vj_rgb ground_shade(const struct vj_canvas *c, const struct heap *heap, float x,
                                  float y)
{
    float grains = vj_fractal(x, y, 30.0f, 7, 0.85f, c->pixel, c->key + 70);
    return vj_rgb_scale(heap->ground, 1.0f + 0.35f * c->detail * grains);
}

static struct vj_rgb piece_shade(const struct vj_canvas *c, const struct heap *heap,
                                 const struct piece *p, float x, float y)
{
    return heap->thing == PEBBLE ? pebble_shade(c, heap, p, x, y)
           : heap->thing == LEAF ? leaf_shade(c, heap, p, x, y)
                                 : paper_shade(c, heap, p, x, y);
}

/* Objects of a layer near (x, y), the highest first. */
static int gather(const struct heap *heap, const struct layer *layer, float x, float y,
                  struct piece near[NEIGHBOURS])
{
    float lx = x * layer->turn_x - y * layer->turn_y, ly = x * layer->turn_y + y * layer->turn_x;
    int32_t ci = vj_floor(lx / layer->cell), cj = vj_floor(ly / layer->cell);
    int count = 0;
    for (int32_t j = cj - 1; j <= cj + 1; j++)
        for (int32_t i = ci - 1; i <= ci + 1; i++) {
            struct piece p;
            if (!place(heap, layer, i, j, lx, ly, &p))
                continue;
            int at = count++;
            for (; at > 0 && near[at - 1].hash < p.hash; at--)
                near[at] = near[at - 1];
            near[at] = p;
        }
    return count;
}

static struct vj_rgb shade(const struct vj_canvas *c, const void *state, float x, float y)
{
    const struct heap *heap = state;
    struct vj_rgb sum = {0, 0, 0};
    float open = 1.0f; /* share of the pixel still uncovered */
    float lit = 1.0f;  /* what the shadows of higher objects leave */
    for (int l = 0; l < LAYERS && open > 0.004f; l++) {
        struct piece near[NEIGHBOURS];
        int count = gather(heap, &heap->layer[l], x, y, near);
        for (int i = 0; i < count && open > 0.004f; i++) {
            const struct piece *p = &near[i];
            float share = open * vj_cover(p->distance, c->pixel);
            if (share > 0.0f) {
                struct vj_rgb colour = piece_shade(c, heap, p, x, y);
                sum.r += share * lit * colour.r;
                sum.g += share * lit * colour.g;
                sum.b += share * lit * colour.b;
                open -= share;
            }
            float shadow = vj_smooth(0.30f, -0.10f, p->distance / p->size);
            lit *= 1.0f - heap->shadows * shadow;
        }
    }
    if (open > 0.004f) {
        struct vj_rgb colour = vj_rgb_scale(ground_shade(c, heap, x, y), open * lit);
        sum = (struct vj_rgb){sum.r + colour.r, sum.g + colour.g, sum.b + colour.b};
    }
    return sum;
}

static void *prepare(const struct vj_canvas *c, struct vj_dice *dice)
{
    struct heap *heap = vj_calloc(1, sizeof(*heap));
    if (!heap)
        return NULL;
    heap->thing = (enum thing)vj_roll_below(dice, 3);
    uint32_t colours = vj_roll_below(dice, 3);
    const struct vj_rgb *palette = heap->thing == PEBBLE ? pebbles[colours]
                                   : heap->thing == LEAF ? leaves[colours]
                                                         : papers[colours];
    float warmth = vj_roll(dice, -0.08f, 0.08f);
    for (int i = 0; i < PALETTE; i++)
        heap->palette[i] = vj_rgb_tint(palette[i], warmth);
    heap->ground = vj_rgb_scale(heap->palette[3], heap->thing == PAPER ? 1.0f : 0.55f);
    heap->gloss = vj_roll(dice, 0.0f, 0.8f);
    heap->shadows = heap->thing == PAPER ? vj_roll(dice, 0.0f, 0.4f) : 0.55f;

    float cell = vj_roll(dice, 0.16f, 0.42f);
    float shrink = heap->thing == PEBBLE ? 0.62f : heap->thing == LEAF ? 0.93f : 0.85f;
    for (int i = 0; i < LAYERS; i++) {
        struct layer *layer = &heap->layer[i];
        float tx = vj_roll(dice, -1.0f, 1.0f), ty = vj_roll(dice, 0.1f, 1.0f);
        float norm = 1.0f / sqrtf(tx * tx + ty * ty);
        layer->turn_x = tx * norm;
        layer->turn_y = ty * norm;
        layer->cell = cell;
        layer->share = heap->thing == PAPER ? 0.55f : 0.85f;
        layer->key = c->key + 300u + 20u * (uint32_t)i;
        cell *= shrink;
    }
    return heap;
}

const struct vj_painter vj_painter_scatter = {prepare, shade};
