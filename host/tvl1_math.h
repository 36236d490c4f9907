/* SPDX-License-Identifier: MIT */
/*
 * Steps of a primal-dual method for total variation with an absolute data term, shared by the CPU
 * and CUDA devices: only + - *, comparisons and division by a power of two in float32, in a fixed
 * order, so that both give the same bits however the picture is parted.
 *
 * The energy is that of liu10 (host/jnd_liu10.c),
 *     sum over adjacent pairs |u_p - u_q| + 0.8 sum |f_p - u_p|.
 * Every pair of adjacent pixels has a dual value within -1..1, whose largest product with the
 * difference of the two is its absolute value. Alternately, pixels go down the energy for given
 * dual values and dual values go up it for given pixels, where they see pixels one change ahead:
 * Chambolle and Pock, "A first-order primal-dual algorithm for convex problems with applications to
 * imaging", J. Math. Imaging Vision 40(1), 2011, algorithm 1 with theta = 1. It converges when the
 * product of both steps is at most 1/8, for differences of neighbours have a norm below sqrt(8).
 *
 * The number of iterations is fixed, so that nothing depends on a sum over the picture. A long
 * first step moves what is wide, short ones settle what is narrow: the pixels' step begins with 16
 * grey levels and is halved until it is 1. Pixels start from the picture, dual values from 0.
 */
#ifndef VJ_HOST_TVL1_MATH_H
#define VJ_HOST_TVL1_MATH_H

#include <stdint.h>

#include "host/hostdevice.h"

/* Iterations are done in passes over the picture, of which each has steps of its own. */
enum {
    VJ_TVL1_PASSES = 32,
    VJ_TVL1_ITERATIONS = 8, /* in a pass */
    VJ_TVL1_LONGEST = 16,   /* step of the pixels in the first pass, grey levels */
    VJ_TVL1_KEPT = 3,       /* passes until it is halved, down to 1 */
};

#define VJ_TVL1_DATA 0.8f /* weight of the data term */

struct vj_tvl1_step {
    float primal; /* step of the pixels */
    float dual;   /* step of the dual values */
    float pull;   /* how far the data term moves a pixel towards the picture, at most */
};

/* pass: 0..VJ_TVL1_PASSES - 1 */
static inline VJ_HD struct vj_tvl1_step vj_tvl1_step(int pass)
{
    int halved = VJ_TVL1_LONGEST >> pass / VJ_TVL1_KEPT;
    struct vj_tvl1_step step;
    step.primal = halved > 1 ? (float)halved : 1.0f;
    step.dual = 0.125f / step.primal;
    step.pull = VJ_TVL1_DATA * step.primal;
    return step;
}

static inline VJ_HD float vj_tvl1_within(float value, float limit)
{
    float low = value > -limit ? value : -limit;
    return low < limit ? low : limit;
}

/*
 * A pixel after one iteration.
 * u, f:                  the pixel before, and that of the picture
 * left, right, up, down: dual values of its pairs, 0 where there is no neighbour
 */
static inline VJ_HD float vj_tvl1_pixel(float u, float f, float left, float right, float up,
                                        float down, const struct vj_tvl1_step *step)
{
    float off = u + step->primal * ((right - left) + (down - up)) - f;
    return f + (off - vj_tvl1_within(off, step->pull));
}

/* What dual values see of a pixel: its last change once more. */
static inline VJ_HD float vj_tvl1_ahead(float now, float before)
{
    return 2.0f * now - before;
}

/* The dual value of a pair after one iteration; first, second: vj_tvl1_ahead() of both pixels. */
static inline VJ_HD float vj_tvl1_dual(float dual, float first, float second,
                                       const struct vj_tvl1_step *step)
{
    return vj_tvl1_within(dual + step->dual * (second - first), 1.0f);
}

/* The grey level of a pixel after the last iteration. */
static inline VJ_HD uint8_t vj_tvl1_level(float u)
{
    float inside = u > 0.0f ? u : 0.0f;
    return (uint8_t)((inside < 255.0f ? inside : 255.0f) + 0.5f);
}

#endif
