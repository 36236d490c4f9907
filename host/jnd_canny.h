/* SPDX-License-Identifier: MIT */
/*
 * Canny edges as current MATLAB releases find them (smoothing scale sqrt 2, 13 taps), in double.
 *
 * Gradient: gx = d along x of g along y, gy = d along y of g along x, replicate borders, where g is
 * a sampled Gaussian and d its sampled derivative. Magnitude m = hypot(gx, gy) over the picture's
 * largest. A pixel is kept when m is not below either neighbour on the gradient line, interpolated
 * between the axis neighbour and the diagonal one, within a relative 1e-9: equal neighbours are
 * both kept. Kept pixels above 0.4 t are weak edges, above t strong ones; the result is every weak
 * pixel that is 8-connected to a strong one through weak ones. The outermost pixels are never
 * edges, and the lines are not thinned.
 */
#ifndef VJ_HOST_JND_CANNY_H
#define VJ_HOST_JND_CANNY_H

#include <stddef.h>
#include <stdint.h>

#include "host/jnd_blocks.h"

#define VJ_CANNY_RADIUS 6

/* The two filters; g is even, d odd: index k is a distance of k pixels, d[0] = 0. */
struct vj_canny_taps {
    double g[VJ_CANNY_RADIUS + 1];
    double d[VJ_CANNY_RADIUS + 1]; /* positive towards growing coordinates */
};

struct vj_canny_taps vj_canny_taps(void);

/* Scratch memory, in a model's arena. */
struct vj_canny {
    double *kept;           /* height x width: magnitude of kept pixels, 0 elsewhere */
    uint32_t *pending;      /* height x width: pixels whose neighbours are still to be visited */
    double *rows;           /* per thread */
    size_t rows_per_thread; /* doubles */
};

struct vj_canny vj_canny_take(struct vj_jnd_arena *arena, size_t width, size_t height, int threads);

/*
 * plane:     samples 0..255, replicate border of at least VJ_CANNY_RADIUS pixels
 * threshold: t above, of the largest magnitude, > 0
 * edge:      out, height x width, 1 on edges, else 0
 */
void vj_canny(const struct vj_jnd_padded *plane, double threshold, struct vj_canny *scratch,
              uint8_t *edge, int threads);

#endif
