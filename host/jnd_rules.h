/* SPDX-License-Identifier: MIT */
/*
 * From a pixel-JND map to one number per candidate: what a rule with a tolerance turns into an
 * answer. R is the reference's luma and D the candidate's, both rounded (vj_jnd_luma); J is the
 * map, in grey levels; means go over all pixels.
 *
 *     share    share of pixels with |D - R| > J; lossy above the tolerance
 *     excess   mean max(0, |D - R| - J)^2, grey levels squared; lossy above the tolerance
 *     noise    PSNR of D less the PSNR of R with noise of +-J in every pixel, dB; lossless where
 *              it is at least the tolerance
 */
#ifndef VJ_HOST_JND_RULES_H
#define VJ_HOST_JND_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/hostdevice.h"

/*
 * Sums of doubles have this order on every device: the pixels, row after row, are cut into
 * segments; pixel i of a segment is added to lane i % VJ_JND_LANES; then the lanes are added from
 * the first to the last, and so are the segments.
 */
enum {
    VJ_JND_LANES = 8,
    VJ_JND_SEGMENT = 2048,
};

enum vj_jnd_rule {
    VJ_JND_SHARE = 0,
    VJ_JND_EXCESS,
    VJ_JND_NOISE,
    VJ_JND_RULES,
};

const char *vj_jnd_rule_name(enum vj_jnd_rule rule); /* "share", "excess", "noise" */

/* 0 and *rule, or -EINVAL with the list of known names. */
int vj_jnd_rule_find(enum vj_jnd_rule *rule, const char *name, struct vj_error *err);

/* What a pixel adds to the excess. difference: |D - R|; limit: the map there */
static inline VJ_HD double vj_jnd_excess_term(int difference, float limit)
{
    double excess = (double)difference - (double)limit;
    return excess > 0 ? excess * excess : 0;
}

/* What a pixel adds to the noise energy. */
static inline VJ_HD double vj_jnd_energy_term(float map)
{
    return (double)map * (double)map;
}

struct vj_jnd_statistics {
    double share;      /* 0..1 */
    double excess;     /* grey levels squared */
    double noise_gain; /* dB; +infinity where D equals R, -infinity where J alone is 0 */
};

/*
 * Mean J^2: the mean squared error of the picture with +-J added in every pixel. Whatever the signs
 * are drawn to be, it is the same, so no picture is made: the noise is neither rounded nor clipped
 * to 0..255.
 * map: [n], n >= 1
 */
double vj_jnd_noise_energy(const float *map, size_t n);

/* noise_gain of the statistics. square: sum of (D - R)^2 over n pixels */
double vj_jnd_noise_gain(double noise_energy, uint64_t square, size_t n);

/*
 * All rules in one pass.
 * candidate, reference: [n] luma
 * map:                  [n], n >= 1
 * noise_energy:         of the map, vj_jnd_noise_energy()
 */
void vj_jnd_measure(const uint8_t *candidate, const uint8_t *reference, const float *map, size_t n,
                    double noise_energy, struct vj_jnd_statistics *out);

#endif
