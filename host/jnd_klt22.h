/* SPDX-License-Identifier: MIT */
/*
 * What the devices share of klt22: from sums over a picture's blocks to the projection that
 * rebuilds it (host/jnd_klt22.c says how). Sums are integers, so every device has the same ones,
 * and all the rest is done here, on the CPU.
 */
#ifndef VJ_HOST_JND_KLT22_H
#define VJ_HOST_JND_KLT22_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/hostdevice.h"

enum {
    VJ_KLT_SIDE = 8,
    VJ_KLT_AREA = VJ_KLT_SIDE * VJ_KLT_SIDE,
    VJ_KLT_MIN_BLOCKS = VJ_KLT_AREA + 1, /* fewer do not span the space of blocks */
};

/* Sums over whole blocks; a block is the vector of its columns, one after the other. */
struct vj_klt_moments {
    int64_t blocks;
    int64_t first[VJ_KLT_AREA];
    int64_t second[VJ_KLT_AREA][VJ_KLT_AREA];
};

struct vj_klt_components {
    size_t count;                                /* of those that rebuild the picture, 1..64 */
    double value[VJ_KLT_AREA];                   /* variances, descending */
    double share[VJ_KLT_AREA];                   /* of the energy, up to each */
    double vector[VJ_KLT_AREA][VJ_KLT_AREA];     /* one per row */
    double projection[VJ_KLT_AREA][VJ_KLT_AREA]; /* on the first `count`; symmetric, bit for bit */
};

/*
 * A rebuilt sample that misses the picture's own by less, in grey levels, is the picture's own.
 * Where the components span all blocks nothing is missing, but doubles leave 1e-12 of it, and up to
 * 1e-7 where a faint pattern is in one block of many; where luma is 0 that would stand in the map,
 * and a map is often stretched to its largest value.
 */
#define VJ_KLT_NOTHING 1e-6

/* What stands in the critical picture for a sample and what the projection makes of it. */
static inline VJ_HD double vj_klt_settle(double sample, double rebuilt)
{
    return fabs(sample - rebuilt) < VJ_KLT_NOTHING ? sample : rebuilt;
}

/* -EINVAL when a picture has fewer than VJ_KLT_MIN_BLOCKS whole blocks. */
int vj_klt_check(size_t width, size_t height, struct vj_error *err);

/* moments: of at least VJ_KLT_MIN_BLOCKS blocks */
void vj_klt_components(const struct vj_klt_moments *moments, struct vj_klt_components *components);

#endif
