/* SPDX-License-Identifier: MIT */
/*
 * Satisfied user ratio (SUR): the share of subjects who see no difference at a quality factor. A
 * subject with JND q sees the difference at q and below, so SUR(q) = P(JND < q).
 *
 * Parametric curves: SUR(q) = F(q), F the distribution function of the normal or of the generalised
 * extreme value (GEV) distribution, fitted to the subjects' JNDs on the axis of quality factors by
 * maximum likelihood of its density, as SUR-FeatNet (Lin et al., arXiv 2001.02002) does: with
 * subjects without a JND left out, 148 of its 150 published GEV curves of MCL-JCI come out to 1e-6
 * (tests/eval/test_sur.c names the other two).
 *
 * Subjects without a JND (0) saw no difference down to the lowest quality factor, 1: all that is
 * known of their JND is that it lies below 1, and so each adds log F(1) to the log-likelihood
 * (left-censoring). Leaving them out, as SUR-FeatNet does, describes only the subjects who have a
 * JND; for that, give 0 no weight.
 */
#ifndef VJ_EVAL_SUR_H
#define VJ_EVAL_SUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum {
    VJ_SUR_QF_MAX = 100,     /* JNDs are 1 .. 100, or 0 for none */
    VJ_SUR_LEVELS_MAX = 101, /* candidates of any codec */
};

enum vj_sur_model {
    VJ_SUR_EMPIRICAL = 0, /* the subjects as counted; nothing is fitted */
    VJ_SUR_NORMAL,
    VJ_SUR_GEV,
};

const char *vj_sur_model_name(enum vj_sur_model model); /* "empirical", "normal", "gev" */

struct vj_sur_fit {
    enum vj_sur_model model;
    double location; /* mean of the normal distribution; mu of the GEV */
    double scale;    /* its standard deviation; sigma of the GEV; > 0 */
    double shape; /* xi of the GEV, F(x) = exp(-(1 + xi (x - mu) / sigma)^(-1 / xi)); 0 for normal
                     and for Gumbel; negative = bounded above */
    double log_likelihood; /* mean, per unit of weight */
    bool at_bound;         /* the shape stands at its bound -1, see vj_sur_fit() */
};

/*
 * Fits a distribution to weighted JNDs.
 *
 * weight: [VJ_SUR_QF_MAX + 1] >= 0, number or share of subjects with JND q; [0]: without one
 *
 * The GEV's likelihood has no maximum for shapes below -1 (it grows without bound as the upper end
 * comes near the largest JND), so these are not looked at. Where the likelihood rises all the way
 * to -1 the fit is the best one with shape -1, the mirrored exponential distribution that ends at
 * the largest JND, and at_bound is set.
 *
 * Where many JNDs are the smallest one and the others lie next to it, it grows without bound on the
 * other side: a peak on the smallest, ever narrower, with a tail, ever heavier, that has the
 * others. A walk that goes there ends with a shape above 1, where it is given up.
 *
 * Nelder and Mead's simplex in double, from a fixed start (moments), restarted until it stays: the
 * same bits for the same weights.
 *
 * Errors: -EDOM when the subjects have fewer different JNDs than the distribution has parameters (2
 * normal, 3 GEV), or the likelihood has no maximum; -EINVAL for a weight that is negative or not
 * finite, or a model without fit.
 */
int vj_sur_fit(struct vj_sur_fit *fit, enum vj_sur_model model,
               const double weight[VJ_SUR_QF_MAX + 1], struct vj_error *err);

/* F(x) of a fit. */
double vj_sur_cdf(const struct vj_sur_fit *fit, double x);

/* sur[q - 1] = F(q) for q = 1 .. VJ_SUR_QF_MAX. */
void vj_sur_curve(const struct vj_sur_fit *fit, float sur[VJ_SUR_QF_MAX]);

/* Shares of subjects with each JND, back from a counted curve sur[q - 1] = P(JND < q). */
void vj_sur_weights(double weight[VJ_SUR_QF_MAX + 1], const float sur[VJ_SUR_QF_MAX]);

/*
 * The constant predictor of curves: for each image the mean of the curves of other images, those
 * outside its fold, or all others without folds. An image of no fold in a run with folds, and one
 * with nothing to learn from, gets NaN.
 *
 * out, sur: [count, levels], levels <= VJ_SUR_LEVELS_MAX; a NaN anywhere in a row of sur: that
 * image has no curve fold:     [count] >= 0, negative = none; NULL = no folds
 */
void vj_sur_constant(float *out, const float *sur, const int32_t *fold, size_t count,
                     size_t levels);

/* Lowest level with SUR >= 1/2, where half of the subjects are satisfied; -1 when there is none. */
int vj_sur_median_level(const float *sur, int levels);

#endif
