/* SPDX-License-Identifier: MIT */
#include "host/jnd_rules.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/simd.h"

enum { LANES = VJ_JND_LANES };

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

struct sums {
    uint64_t above[LANES];
    uint64_t square[LANES]; /* of D - R */
    double excess[LANES];
};

static inline void add(struct sums *s, int lane, int candidate, int reference, float limit)
{
    int difference = abs(candidate - reference);
    s->above[lane] += (float)difference > limit;
    s->square[lane] += (uint64_t)(difference * difference);
    s->excess[lane] += vj_jnd_excess_term(difference, limit);
}

VJ_SIMD static void add_all(struct sums *s, const uint8_t *candidate, const uint8_t *reference,
                            const float *map, size_t n)
{
    size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            add(s, k, candidate[i + (size_t)k], reference[i + (size_t)k], map[i + (size_t)k]);
    for (size_t i = whole; i < n; i++)
        add(s, (int)(i - whole), candidate[i], reference[i], map[i]);
}

double vj_jnd_noise_energy(const float *map, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)map[i] * (double)map[i];
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
    struct sums s = {0};
    uint64_t above = 0, square = 0;
    double excess = 0;
    add_all(&s, candidate, reference, map, n);
    for (int k = 0; k < LANES; k++) {
        above += s.above[k];
        square += s.square[k];
        excess += s.excess[k];
    }
    *out = (struct vj_jnd_statistics){
        .share = (double)above / (double)n,
        .excess = excess / (double)n,
        .noise_gain = vj_jnd_noise_gain(noise_energy, square, n),
    };
}
