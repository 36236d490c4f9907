/* SPDX-License-Identifier: MIT */
/* What the painters of the procedural pictures share. Internal. */
#ifndef VJ_DATASETS_GENERATOR_SCENE_H
#define VJ_DATASETS_GENERATOR_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "datasets/generator_noise.h"

/*
 * The plane a picture is painted on: x to the right, y down, both from 0. The longer side is 16/9
 * units, so textures have the same size relative to the picture at every resolution.
 */
struct vj_canvas {
    size_t columns, rows; /* pixels */
    float width, height;  /* units */
    float pixel;          /* size of a pixel in units */
    float detail;         /* contrast of textures, about 0.2 (flat) to 1.5 (harsh) */
    uint32_t key;         /* for hashes; painters add small constants for things of their own */
};

/* One kind of picture. */
struct vj_painter {
    /* Rolls the dice and takes memory: state is released with free(). NULL when there is none left.
     */
    void *(*prepare)(const struct vj_canvas *canvas, struct vj_dice *dice);
    /* Colour at (x, y). */
    struct vj_rgb (*shade)(const struct vj_canvas *canvas, const void *state, float x, float y);
};

extern const struct vj_painter vj_painter_landscape; /* mountains or sea under a sky */
extern const struct vj_painter vj_painter_city;      /* skyline with windows at dusk */
extern const struct vj_painter vj_painter_scatter;   /* pebbles, leaves or paper shapes in heaps */
extern const struct vj_painter vj_painter_fields;    /* farmland from above */
extern const struct vj_painter vj_painter_agate;     /* banded stone */

/* The sky that landscapes and cities share. */
struct vj_sky {
    struct vj_rgb zenith, low, sun;
    float horizon;      /* y, units */
    float sun_x, sun_y; /* units */
    float sun_size;     /* radius, units; 0 hides the disc */
    float glow;         /* strength of the light around the sun */
    float cover;        /* share of clouds, 0..1 */
    uint32_t key;
};

struct vj_rgb vj_sky_shade(const struct vj_canvas *canvas, const struct vj_sky *sky, float x,
                           float y);

/* What (x, y) on wavy water below `shore` mirrors. */
struct vj_mirror {
    float x, y;  /* place seen, above the shore and not above the picture; x may lie outside */
    float depth; /* below the shore, units */
    float waves; /* about -1..1 */
};

/* swell: strength of the waves, 0..1.2 */
struct vj_mirror vj_mirror_at(const struct vj_canvas *canvas, float shore, float swell,
                              uint32_t key, float x, float y);

#endif
