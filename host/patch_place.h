/* SPDX-License-Identifier: MIT */
/*
 * Where patches lie when they are to cover a picture evenly (`positions = even`).
 *
 * Positions drawn independently leave holes and lie on top of each other, and pixels near the
 * border are in fewer patches than others. Here patch p is centred at the point p of an additive
 * sequence over the whole picture (Roberts 2018, "The unreasonable effectiveness of quasirandom
 * sequences": steps 1/g and 1/g^2, g^3 = g + 1), shifted by a random amount as a whole, and moved
 * inside where it would stick out: the fewest holes that any number of patches allows, and a border
 * that counts as much as the middle.
 */
#ifndef VJ_HOST_PATCH_PLACE_H
#define VJ_HOST_PATCH_PLACE_H

#include <stddef.h>
#include <stdint.h>

/* 1/g and 1/g^2 in units of 2^-32 */
#define VJ_EVEN_STEP_Y UINT32_C(3242174889)
#define VJ_EVEN_STEP_X UINT32_C(2447445414)

/*
 * First row (or column) of the patch whose centre is the fraction point / 2^32 of the length.
 * length: pixels of the picture, side <= length < 2^31; side: of the patch
 * Returns 0..length - side.
 */
static inline int32_t vj_place_centred(uint32_t point, size_t length, size_t side)
{
    int64_t first = (int64_t)((uint64_t)point * length >> 32) - (int64_t)(side / 2);
    int64_t last = (int64_t)(length - side);
    return (int32_t)(first < 0 ? 0 : first > last ? last : first);
}

/* Top left corner (y, x) of patch p; shift: (y, x) of the whole sequence, in units of 2^-32. */
static inline void vj_place_even(int32_t origin[2], const uint32_t shift[2], uint32_t p,
                                 size_t width, size_t height, size_t side)
{
    origin[0] = vj_place_centred(shift[0] + p * VJ_EVEN_STEP_Y, height, side);
    origin[1] = vj_place_centred(shift[1] + p * VJ_EVEN_STEP_X, width, side);
}

#endif
