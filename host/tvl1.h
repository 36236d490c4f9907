/* SPDX-License-Identifier: MIT */
/*
 * Structure of a picture by total variation with an absolute data term, by the primal-dual method
 * of host/tvl1_math.h: what host/jnd_liu10.c finds exactly by minimum cuts, here within a margin of
 * the least energy that docs/pixel-jnd.md states. The same bits on any number of threads.
 */
#ifndef VJ_HOST_TVL1_H
#define VJ_HOST_TVL1_H

#include <stddef.h>
#include <stdint.h>

#include "host/jnd_blocks.h"

/* Memory of the method; all in the arena. */
struct vj_tvl1 {
    size_t width, height;
    int threads;
    float *state[2]; /* before and after a sweep: pixels, dual values to the right, and downwards */
    float *tile;     /* of each thread */
};

/* Takes the memory for a picture of height x width, or counts it. */
struct vj_tvl1 vj_tvl1_take(struct vj_jnd_arena *arena, size_t width, size_t height, int threads);

/* luma, structure: height x width */
void vj_tvl1_structure(const struct vj_tvl1 *t, const uint8_t *luma, uint8_t *structure);

#endif
