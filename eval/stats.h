/* SPDX-License-Identifier: MIT */
/* Small statistics: quantiles, seeded bootstrap draws and intervals, paired tests. Pure functions
 * of their input.
 */
#ifndef VJ_EVAL_STATS_H
#define VJ_EVAL_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct vj_bootstrap {
    uint64_t seed;
    uint32_t stream;   /* keeps the resamples of different sets apart: fold number, 0 = pooled */
    size_t resamples;  /* B; 0 = no intervals */
    double confidence; /* of the two-sided interval, e.g. 0.95; inside (0, 1) */
};

/* seed, stream 0, B = 2000, 95 %. */
struct vj_bootstrap vj_bootstrap_default(uint64_t seed);

/*
 * Resample number `resample` of the bootstrap: `count` indices in [0, count), drawn with
 * replacement. A pure function of (seed, stream, resample, count): Philox counters of purpose
 * VJ_RNG_BOOTSTRAP. index: [count] filled; count 1 .. 2^26
 */
void vj_bootstrap_draw(const struct vj_bootstrap *boot, size_t resample, uint32_t *index,
                       size_t count);

/*
 * Threads for the resamples of `count` images, 1 or more: OpenMP's, but not so many that they have
 * less than a million draws each or that their indices take more than 1 GiB. Resamples are apart
 * from each other: their number changes no value.
 */
int vj_bootstrap_threads(const struct vj_bootstrap *boot, size_t count);

/* Ascending order; NaN is not allowed. */
void vj_sort_doubles(double *value, size_t count);

/*
 * Quantile q in [0, 1] of ascending values, count >= 1, by linear interpolation between the two
 * order statistics around q (count - 1) (type 7 of Hyndman and Fan 1996; NumPy's default).
 */
double vj_quantile_sorted(const double *sorted, size_t count, double q);

/* The same for integers given as counts: histogram[v] values equal v, v = 0 .. bins - 1. */
double vj_quantile_histogram(const uint32_t *histogram, size_t bins, double q);

/* Ends of an interval. */
struct vj_interval {
    double low, high;
};

/*
 * Observations that an interval needs. Resamples of fewer hardly ever reach as far as the truth
 * does: an interval of two would hold it half of the time, of three three times out of four.
 */
enum { VJ_INTERVAL_FEWEST = 4 };

/*
 * Share of the replicates that lies outside each end of an expanded percentile interval:
 * Phi(-sqrt(n / (n - 1)) t), with t Student's quantile at (1 + confidence) / 2 for n - 1 degrees of
 * freedom. Plain percentiles, (1 - confidence) / 2, are too narrow for few observations: replicates
 * spread by the root of (n - 1) / n less than estimates do, and normally where Student's
 * distribution has longer tails (Hesterberg 2015, The American Statistician 69(4), 371-386).
 *
 * n: observations behind the estimate, >= 2; confidence: inside (0, 1)
 */
double vj_expanded_tail(size_t n, double confidence);

/* Expanded percentile interval of count >= 1 bootstrap replicates (sorted in place). */
struct vj_interval vj_percentile_interval(double *replicates, size_t count, size_t n,
                                          double confidence);

/* Statistics of a resample. draw: [count] indices; value: written, NaN where one is undefined */
typedef void vj_statistics_fn(const void *user, const uint32_t *draw, size_t count, double *value);

/*
 * Intervals of statistics of `count` images, from resamples of stream 0, on OpenMP's threads:
 * interval[values], NaN where a statistic has fewer than VJ_INTERVAL_FEWEST observations or is
 * undefined in half of the resamples or more.
 * n: [values], observations behind each; count, values: >= 1; boot->resamples >= 1
 * Errors: -EINVAL for a confidence outside (0, 1), -ENOMEM.
 */
int vj_bootstrap_intervals(struct vj_interval *interval, const size_t *n, size_t values,
                           const struct vj_bootstrap *boot, size_t count,
                           vj_statistics_fn *statistics, const void *user, struct vj_error *err);

enum vj_test_method {
    VJ_TEST_NONE = 0, /* nothing to test: no pair differs, p = 1 */
    VJ_TEST_EXACT,
    VJ_TEST_NORMAL, /* normal approximation */
};

const char *vj_test_method_name(enum vj_test_method method); /* "none", "exact", "normal" */

/* Wilcoxon's signed-rank test of paired differences, two-sided. */
struct vj_wilcoxon {
    size_t n;       /* differences other than zero; zeros are dropped, as Wilcoxon did */
    double w_plus;  /* sum of the ranks of positive differences */
    double w_minus; /* and of negative ones; ties share their mean rank */
    double z;       /* normal approximation, 0 for the exact method */
    double p;       /* two-sided; one too small for a double is the least normal one */
    enum vj_test_method method;
};

/*
 * n <= 50: exact. The distribution is that of the ranks as they are, mean ranks of ties included,
 * each sign equally likely; without ties this is Wilcoxon's table. (Errors in QF are integers and
 * nearly always tie, so the table alone would seldom apply.) n > 50: normal approximation with the
 * variance corrected for ties, without continuity correction.
 *
 * difference: [count], finite
 *
 * Errors: -EINVAL for a value that is not finite, -ENOMEM.
 */
int vj_wilcoxon_signed_rank(struct vj_wilcoxon *out, const double *difference, size_t count,
                            struct vj_error *err);

/*
 * p-values of tests made together, corrected by Holm's step-down method (Holm 1979, Scandinavian
 * Journal of Statistics 6(2), 65-70): with those up to a level called significant, the chance that
 * any of these is so without there being a difference stays within that level.
 *
 * corrected, p: [count], in the same order; may not overlap
 * Errors: -ENOMEM.
 */
int vj_holm(double *corrected, const double *p, size_t count, struct vj_error *err);

/* McNemar's test, exact: the smaller count against Binomial(b + c, 1/2), doubled, at most 1. */
struct vj_mcnemar {
    uint64_t b; /* pairs that only the first predictor has right */
    uint64_t c; /* pairs that only the second has right */
    double p;
    enum vj_test_method method;
};

struct vj_mcnemar vj_mcnemar_exact(uint64_t b, uint64_t c);

#endif
