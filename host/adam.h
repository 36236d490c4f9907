/* SPDX-License-Identifier: MIT */
/*
 * What a training step does to one number, for every device alike: Adam in TensorFlow's form
 * (Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, end of section 2), the
 * moving average of weights, dropout masks and sigmoid cross-entropy.
 */
#ifndef VJ_HOST_ADAM_H
#define VJ_HOST_ADAM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/hostdevice.h"
#include "host/rng.h"

struct vj_adam {
    double beta_1, beta_2, epsilon; /* the released graph's: 0.9, 0.999, 1e-8 */
};

/* The same for one step, rounded once for all devices. */
struct vj_adam_step {
    float rate; /* lr sqrt(1 - beta_2^t) / (1 - beta_1^t) */
    float beta_1, beta_2, epsilon;
    float decay; /* of the moving average: min(average, (1 + t) / (10 + t)), t counted from 0 */
};

/*
 * step: from 1. The bias corrections are those of the betas as rounded to float, which the moments
 * are made with: 1 - 0.999 is 1.3e-5 away from what float arithmetic makes of it.
 */
static inline struct vj_adam_step vj_adam_at(const struct vj_adam *adam, double average,
                                             uint64_t step, double rate)
{
    const double t = (double)step;
    const double ramp = t / (9 + t);
    const float beta_1 = (float)adam->beta_1, beta_2 = (float)adam->beta_2;
    struct vj_adam_step s = {
        .rate = (float)(rate * sqrt(1 - pow((double)beta_2, t)) / (1 - pow((double)beta_1, t))),
        .beta_1 = beta_1,
        .beta_2 = beta_2,
        .epsilon = (float)adam->epsilon,
        .decay = (float)(ramp < average ? ramp : average),
    };
    return s;
}

/* Updates one weight with its gradient, its moments m and v and its moving average. */
static inline VJ_HD void vj_adam_update(const struct vj_adam_step *s, float gradient, float *weight,
                                        float *m, float *v, float *average)
{
    *m += (gradient - *m) * (1.0f - s->beta_1);
    *v += (gradient * gradient - *v) * (1.0f - s->beta_2);
    *weight -= s->rate * *m / (sqrtf(*v) + s->epsilon);
    *average += (*weight - *average) * (1.0f - s->decay);
}

/* The two heads, as dropout masks tell them apart. */
enum { VJ_DROPOUT_QUALITY = 0, VJ_DROPOUT_WEIGHT = 1 };

/* Patches of a step that masks reach for: pairs * P must stay below it. */
enum { VJ_DROPOUT_ROWS = 65536 };

/*
 * Factors 1/keep or 0 of four neighbouring hidden units, 4 * group .. 4 * group + 3, of one head.
 * row: number of the patch in the step's batch, pair * P + patch; below VJ_DROPOUT_ROWS
 * A function of its arguments alone, so that devices agree on it.
 */
static inline VJ_HD void vj_dropout4(uint64_t seed, uint64_t step, int head, uint32_t row,
                                     uint32_t group, float keep, float factor[4])
{
    struct vj_u32x4 word =
        vj_random4(seed, VJ_RNG_DROPOUT, step, (row * 2 + (uint32_t)head) * 128 + group);
    const uint32_t limit = (uint32_t)(keep * 16777216.0f); /* of 2^24 */
    for (int i = 0; i < 4; i++)
        factor[i] = (word.v[i] >> 8) < limit ? 1.0f / keep : 0.0f;
}

/* log(1 + exp(-|x|)) + max(x, 0) - x t: cross-entropy of sigmoid(x) against the target t. */
static inline VJ_HD double vj_cross_entropy(double logit, double target)
{
    double magnitude = logit < 0 ? -logit : logit;
    return log1p(exp(-magnitude)) + (logit > 0 ? logit : 0) - logit * target;
}

/* sigmoid(x), without overflow. */
static inline VJ_HD double vj_sigmoid(double x)
{
    double e = exp(x < 0 ? x : -x);
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

#endif
