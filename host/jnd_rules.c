/* SPDX-License-Identifier: MIT */
#include "host/jnd_rules.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/simd.h"

enum { LANES = VJ_JND_LANES };

_Static_assert(VJ_JND_SEGMENT <= UINT32_MAX / (255 * 255), "squares of a segment fit");

static const char *const names[VJ_JND_RULES] = {"share", "excess", "noise"};

const char *vj_jnd_rule_name(enum vj_jnd_rule rule)
{
    return names[rule];
}

int vj_jnd_rule_find(enum vj_jnd_rule *rule, const char *name, struct vj_error *err)
{
    for (int i = 0; i < VJ_JND_RULES; i++)
        if (strcmp(names[i], name) == 0) {
            *rule = (enum vj_jnd_rule)i;
            return 0;
        }
    return vj_fail(err, -EINVAL, "unknown rule '@%s'; known are @share, @excess and @noise", name);
}

/* n: 1 .. VJ_JND_SEGMENT */
VJ_SIMD static double add_lanes(const double *term, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += term[i + k];
    for (size_t i = whole; i < n; i++)
        lane[i - whole] += term[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

struct sums {
    uint32_t above;
    uint32_t square; /* of D - R */
    double excess;
};

VJ_SIMD static struct sums segment_sums(const uint8_t *candidate, const uint8_t *reference,
                                        const float *map, size_t n)
{
    double term[VJ_JND_SEGMENT];
    uint32_t above = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        int difference = abs(candidate[i] - reference[i]);
        above += (float)difference > map[i];
        square += (uint32_t)(difference * difference);
        term[i] = vj_jnd_excess_term(difference, map[i]);
    }
    return (struct sums){above, square, add_lanes(term, n)};
}

VJ_SIMD static double segment_energy(const float *map, size_t n)
{
    double term[VJ_JND_SEGMENT];
    for (size_t i = 0; i < n; i++)
        term[i] = vj_jnd_energy_term(map[i]);
    return add_lanes(term, n);
}

/* Pixels of the segment that begins at `first`. */
static size_t segment_size(size_t first, size_t n)
{
    return n - first < VJ_JND_SEGMENT ? n - first : VJ_JND_SEGMENT;
}

double vj_jnd_noise_energy(const float *map, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += VJ_JND_SEGMENT)
        sum += segment_energy(map + i, segment_size(i, n));
    return sum / (double)n;
}

double vj_jnd_noise_gain(double noise_energy, uint64_t square, size_t n)
{
    double mse = (double)square / (double)n;
    return square ? 10 * log10(noise_energy / mse) : INFINITY;
}

void vj_jnd_measure(const uint8_t *candidate, const uint8_t *reference, const float *map, size_t n,
                    double noise_energy, struct vj_jnd_statistics *out)
{
    uint64_t above = 0, square = 0;
    double excess = 0;
    for (size_t i = 0; i < n; i += VJ_JND_SEGMENT) {
        const struct sums s =
            segment_sums(candidate + i, reference + i, map + i, segment_size(i, n));
        above += s.above;
        square += s.square;
        excess += s.excess;
    }
    *out = (struct vj_jnd_statistics){
        .share = (double)above / (double)n,
        .excess = excess / (double)n,
        .noise_gain = vj_jnd_noise_gain(noise_energy, square, n),
    };
}
