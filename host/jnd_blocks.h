/* SPDX-License-Identifier: MIT */
/*
 * Building blocks of the pixel-JND models: scratch memory, padded planes, and one function per
 * filter that fills a span of one row, so that models can chain filters while the data are in cache
 * and share rows out to threads as they like.
 *
 * Spans: the results of `n` consecutive pixels of a row; `src` points at the first of them in a
 * padded plane. Integers stay integers, in the unit that the filter's divisor leaves: no rounding.
 */
#ifndef VJ_HOST_JND_BLOCKS_H
#define VJ_HOST_JND_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/jnd_map.h"

/* Longest span that the functions below accept: temporaries of this length live on the stack. */
#define VJ_JND_SPAN 256

/* --- scratch memory --------------------------------------------------------------------------- */

/*
 * Memory handed out front to back. With base == NULL it only counts, so that one function that
 * takes all of a model's buffers serves both to size the workspace and to lay it out.
 */
struct vj_jnd_arena {
    uint8_t *base; /* 64-byte aligned, or NULL to count */
    size_t used;   /* bytes; SIZE_MAX after an overflow */
};

struct vj_jnd_workspace {
    struct vj_jnd_arena arena; /* used = 0 when a model's compute() is called */
    size_t size;               /* bytes, >= what the model's workspace() asked for */
    int threads;               /* >= 1 */
};

/* count x size uninitialised bytes on a 64-byte boundary; NULL while counting. */
void *vj_jnd_take(struct vj_jnd_arena *arena, size_t count, size_t size);

/* What has been taken: bytes, or 0 after an overflow. */
size_t vj_jnd_taken(const struct vj_jnd_arena *arena);

/* --- stages ----------------------------------------------------------------------------------- */

/* Whether the caller wants stage number `stage`. */
static inline bool vj_jnd_wants(const struct vj_jnd_job *job, size_t stage)
{
    return job->stages && job->stages[stage];
}

/* Copies n values of a stage of the picture's size to row y, column x, if the caller wants it. */
void vj_jnd_stage(const struct vj_jnd_job *job, size_t stage, size_t y, size_t x,
                  const float *values, size_t n);

/* --- padded planes ---------------------------------------------------------------------------- */

enum vj_jnd_border {
    VJ_JND_ZERO,      /* zeros outside: what every correlation of the models sees */
    VJ_JND_REPLICATE, /* the nearest pixel of the picture */
    VJ_JND_SYMMETRIC, /* mirrored with the edge pixel repeated; as REPLICATE for one pixel */
};

/* A picture with `pad` more pixels on each side. */
struct vj_jnd_padded {
    int16_t *data; /* (height + 2 pad) x stride */
    size_t width, height, pad;
    size_t stride; /* width + 2 pad */
};

/* Takes the memory for a padded plane. */
struct vj_jnd_padded vj_jnd_take_padded(struct vj_jnd_arena *arena, size_t width, size_t height,
                                        size_t pad);

/* Copies width x height samples into the plane and fills its border. */
void vj_jnd_pad(struct vj_jnd_padded *plane, const uint8_t *src, enum vj_jnd_border border,
                int threads);

/* Pixel (y, x) of the picture; y and x may reach `pad` beyond it. */
static inline const int16_t *vj_jnd_at(const struct vj_jnd_padded *plane, ptrdiff_t y, ptrdiff_t x)
{
    ptrdiff_t pad = (ptrdiff_t)plane->pad;
    return plane->data + (y + pad) * (ptrdiff_t)plane->stride + x + pad;
}

/* --- integer filters (correlations) ----------------------------------------------------------- */

/*
 * Background luminance, times 32: 5x5, outer ring 1, inner ring 2, centre 0.
 * src: samples 0..255 with 2 pixels around the span; out: 0..8160
 */
void vj_jnd_background(const int16_t *src, size_t stride, size_t n, uint16_t *out);

/*
 * Gradient, times 16: the largest absolute response of the four 5x5 directional operators.
 * src: samples -255..255 with 2 pixels around the span; out: 0..8160
 */
void vj_jnd_gradient(const int16_t *src, size_t stride, size_t n, uint16_t *out);

/* Largest vj_jnd_gradient() over the picture without its outer 2 pixels; 0 when none are left. */
unsigned vj_jnd_inner_gradient(const struct vj_jnd_padded *plane, int threads);

/*
 * Population variance over 5x5 pixels, times 625: 25 sum(x^2) - sum(x)^2.
 * src: samples 0..255 with 2 pixels around the span; out: up to 10140000
 */
void vj_jnd_variance(const int16_t *src, size_t stride, size_t n, uint32_t *out);

/*
 * Orientation bin (vj_jnd_epc_bin) of each pixel as one bit: 1 << bin for bins 0..15, 0 for a pixel
 * without structure.
 * src: samples 0..255 with 1 pixel around the span
 */
void vj_jnd_orientation(const int16_t *src, size_t stride, size_t n, uint16_t *out);

/*
 * Number of different orientation bins among 3x3 pixels, "no structure" counting as one: 1..9.
 * bits: vj_jnd_orientation() at the first pixel of the span, with 1 pixel around the span
 */
void vj_jnd_distinct(const uint16_t *bits, size_t stride, size_t n, uint8_t *out);

/*
 * Number of orientation bins that are occupied among 3x3 pixels, bins 0 and 15 being one: 0..9.
 * bits: as above
 */
void vj_jnd_occupied(const uint16_t *bits, size_t stride, size_t n, uint8_t *out);

/* --- Gaussian smoothing ----------------------------------------------------------------------- */

#define VJ_JND_RADIUS_MAX 5

/*
 * Factor of a (2 radius + 1)^2 Gaussian, sum 1: the Gaussian is separable, and so is its sum.
 * taps[k] belongs to a distance of k pixels; taps[0] + 2 (taps[1] + ...) = 1.
 */
struct vj_jnd_gaussian {
    size_t radius; /* 0..VJ_JND_RADIUS_MAX */
    float taps[VJ_JND_RADIUS_MAX + 1];
};

/* size: odd, 1..11; sigma: > 0, in pixels. */
struct vj_jnd_gaussian vj_jnd_gaussian(size_t size, double sigma);

/*
 * Correlation of scale * src + offset, zeros outside the picture, with a Gaussian: n values of row
 * y from column x on. src: height x width
 */
void vj_jnd_smooth(const uint8_t *src, size_t width, size_t height, size_t y, size_t x, size_t n,
                   const struct vj_jnd_gaussian *gaussian, float scale, float offset, float *out);

/* --- dilation and edge weight ----------------------------------------------------------------- */

/* A convex structuring element, symmetric in both axes: reach[] never grows. */
struct vj_jnd_shape {
    size_t radius;                        /* rows -radius..radius, <= VJ_JND_RADIUS_MAX */
    uint8_t reach[VJ_JND_RADIUS_MAX + 1]; /* row +-k holds columns -reach[k]..reach[k] */
};

extern const struct vj_jnd_shape vj_jnd_square5;  /* 25 pixels: MATLAB strel('disk', 3) */
extern const struct vj_jnd_shape vj_jnd_diamond5; /* 13 pixels: MATLAB strel('disk', 2) */
extern const struct vj_jnd_shape vj_jnd_square11; /* 121 pixels: MATLAB strel('disk', 6, 6) */

/* Row y of a binary picture (0 or 1, height x width) dilated; nothing outside the picture. */
void vj_jnd_dilate(const uint8_t *src, size_t width, size_t height, size_t y,
                   const struct vj_jnd_shape *shape, uint8_t *out);

/*
 * How a model takes the masking back near edges: the weight of a pixel is the Gaussian of
 * 1 - attenuation * dilated edge, zeros outside, so that it is below 1 along the border of the
 * picture.
 */
struct vj_jnd_edge_weight {
    const struct vj_jnd_shape *shape;
    float attenuation;
    size_t gaussian_size;
    double gaussian_sigma;
};

extern const struct vj_jnd_edge_weight vj_jnd_weight_yang; /* Yang et al. 2005 */
extern const struct vj_jnd_edge_weight vj_jnd_weight_fep;  /* Wu et al. 2013 */
extern const struct vj_jnd_edge_weight vj_jnd_weight_epc;  /* Wu et al. 2017, Jiang et al. 2022 */

/* Canny threshold of the EPC and KLT models: min(60 / largest inner gradient, 0.8); 0.8 for 0. */
double vj_jnd_edge_threshold(unsigned inner_gradient);

/* --- the models, each in its own file --------------------------------------------------------- */

extern const struct vj_jnd_model vj_jnd_chou95;
extern const struct vj_jnd_model vj_jnd_yang05;
extern const struct vj_jnd_model vj_jnd_liu10;
extern const struct vj_jnd_model vj_jnd_fep13;
extern const struct vj_jnd_model vj_jnd_epc17;
extern const struct vj_jnd_model vj_jnd_klt22;
extern const struct vj_jnd_model vj_jnd_resjnd24;

#endif
