/* SPDX-License-Identifier: MIT */
/*
 * Which pictures, quality factors and patches a training step sees: pure functions of (seed, step).
 *
 * Reference number k of a step is element K = (step - 1) * batch + k of an endless sequence of
 * epochs, each a permutation of the pictures. Random words are vj_random4(seed, VJ_RNG_PAIRS,
 * stream, index):
 *   stream  2^63 | epoch  index i            word 0: sort key of picture i in that epoch
 *   stream  K             index p = 0..4095  patch p: words 0, 1: y, x; word 2: bit 30 mirrors left
 *                                            and right, bit 31 top and bottom
 *   stream  K             index 4096         word 0: bit 31, 1 = the first quality factor is lossy;
 *                                            word 1: JND level
 *   stream  K             index 4097         words 0, 1: shift (y, x) of even places; 2, 3:
 *                                            of the map's own
 *   stream  K             index 5000 + l     word 0: quality factor l
 *   stream  K             index 8192 + p     words 0, 1: y, x of patch p of the map, where it has a
 *                                            place of its own
 */
#ifndef VJ_HOST_TRAIN_PAIRS_H
#define VJ_HOST_TRAIN_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/* How the quality factor of a pair is drawn, once its picture is (option `pairs`). */
enum vj_pair_sampling {
    VJ_PAIRS_UNIFORM = 0, /* every quality factor below the anchor is equally likely */
    VJ_PAIRS_BALANCED,    /* lossy and lossless in turn, then uniform on that side */
    VJ_PAIRS_BOUNDARY,    /* as balanced, the distance to the JND drawn uniformly on a log scale */
};

/* A picture and the random word that it is sorted by. */
struct vj_pair_key {
    uint32_t word, picture;
};

/* The sequence of pictures; remembers the permutation of the epoch asked for last. */
struct vj_pair_order {
    uint64_t seed;
    size_t pictures;
    uint64_t epoch;
    struct vj_pair_key *order; /* owned, [pictures] */
    bool known;
};

/* pictures: 1 to 2^24. Errors: -EINVAL for another number, -ENOMEM. */
int vj_pair_order_open(struct vj_pair_order *o, uint64_t seed, size_t pictures,
                       struct vj_error *err);
void vj_pair_order_close(struct vj_pair_order *o);

/* Picture of element K; every picture comes once in each run of `pictures` elements. */
size_t vj_pair_picture(struct vj_pair_order *o, uint64_t element);

/* JND level, 0..levels - 1, of element K. */
int vj_pair_level(uint64_t seed, uint64_t element, int levels);

/*
 * Quality factor number l of element K.
 * first, last: range of quality factors, first <= last
 * boundary:    the JND, lossy where qf <= boundary; may lie outside the range
 * Sides alternate with l (not with VJ_PAIRS_UNIFORM); an empty one gives its turns to the other.
 * On a side of n quality factors, d = 0..n - 1 is the distance to the boundary, 0 the nearest:
 * uniform with VJ_PAIRS_BALANCED; with VJ_PAIRS_BOUNDARY floor((n + 1)^u) - 1, u uniform in (0, 1),
 * hence P(d) = log((d + 2) / (d + 1)) / log(n + 1).
 */
int vj_pair_qf(uint64_t seed, uint64_t element, size_t l, enum vj_pair_sampling sampling, int first,
               int last, int boundary);

/*
 * Share of observers, 0..1, that see a difference at qf, when their JNDs are normal around boundary
 * with standard deviation spread (QF); above 1/2 exactly where qf <= boundary. Spread 0: 1 or 0.
 * The share over all qf is the satisfied user ratio's complement.
 */
float vj_pair_target(int qf, int boundary, double spread);

/* Where a patch lies and how it is mirrored. */
struct vj_pair_patch {
    int32_t origin[2];     /* (y, x) of its top left corner */
    int32_t jnd_origin[2]; /* the same of the map's patch */
    bool mirror_x, mirror_y;
};

enum vj_pair_place_flags {
    VJ_PLACE_INDEPENDENT = 1, /* the map's patch has a place of its own */
    VJ_PLACE_FLIP = 2,        /* mirrors are drawn */
    VJ_PLACE_EVEN = 4,        /* places of host/patch_place.h instead of uniform ones */
};

static inline unsigned vj_pair_flags(bool independent, bool flip, bool even)
{
    return (independent ? VJ_PLACE_INDEPENDENT : 0) | (flip ? VJ_PLACE_FLIP : 0) |
           (even ? VJ_PLACE_EVEN : 0);
}

/* Patch p of element K: uniform in [0, height - side] x [0, width - side], with replacement. */
struct vj_pair_patch vj_pair_place(uint64_t seed, uint64_t element, size_t p, size_t width,
                                   size_t height, size_t side, unsigned flags);

#endif
