/* SPDX-License-Identifier: MIT */
#include "eval/stats.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/rng.h"

enum {
    WILCOXON_EXACT_MAX = 50, /* differences; counts of sign patterns stay exact in a double */
};

struct vj_bootstrap vj_bootstrap_default(uint64_t seed)
{
    return (struct vj_bootstrap){.seed = seed, .resamples = 2000, .confidence = 0.95};
}

void vj_bootstrap_draw(const struct vj_bootstrap *boot, size_t resample, uint32_t *index,
                       size_t count)
{
    uint64_t stream = (uint64_t)boot->stream << 32 | (uint32_t)resample;
    for (size_t i = 0; i < count; i += 4) {
        struct vj_u32x4 word = vj_random4(boot->seed, VJ_RNG_BOOTSTRAP, stream, (uint32_t)(i / 4));
        for (size_t j = 0; j < 4 && i + j < count; j++)
            index[i + j] = vj_random_below(word.v[j], (uint32_t)count);
    }
}

int vj_bootstrap_threads(const struct vj_bootstrap *boot, size_t count)
{
    const double draws = (double)boot->resamples * (double)count, grain = 1e6;
    const double room = (double)(1 << 30) / (sizeof(uint32_t) * (double)count);
    const double threads = fmin(fmin(draws / grain, room), omp_get_max_threads());
    return threads > 1 ? (int)threads : 1;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void vj_sort_doubles(double *value, size_t count)
{
    qsort(value, count, sizeof(*value), compare_doubles);
}

/* Between two order statistics; equal ones give exactly their value. */
static double interpolate(double low, double high, double weight)
{
    return low + (high - low) * weight;
}

double vj_quantile_sorted(const double *sorted, size_t count, double q)
{
    double position = q * (double)(count - 1);
    size_t below = (size_t)position;
    size_t above = below + 1 < count ? below + 1 : below;
    return interpolate(sorted[below], sorted[above], position - (double)below);
}

/* Order statistic number `rank` (from 0) of a histogram. */
static size_t histogram_rank(const uint32_t *histogram, size_t bins, size_t rank)
{
    size_t seen = 0;
    size_t v = 0;
    for (; v + 1 < bins; v++) {
        seen += histogram[v];
        if (seen > rank)
            break;
    }
    return v;
}

double vj_quantile_histogram(const uint32_t *histogram, size_t bins, double q)
{
    size_t count = 0;
    for (size_t v = 0; v < bins; v++)
        count += histogram[v];
    double position = q * (double)(count - 1);
    size_t below = (size_t)position;
    size_t above = below + 1 < count ? below + 1 : below;
    return interpolate((double)histogram_rank(histogram, bins, below),
                       (double)histogram_rank(histogram, bins, above), position - (double)below);
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/*
 * Incomplete beta ratio I_x(a, b) by its continued fraction (DLMF 8.17.22), which converges fast
 * for x < (a + 1) / (a + b + 2). Evaluated forwards by Lentz's method: the value is the product of
 * numerators and denominators, each a continued fraction of the terms so far.
 */
static double beta_fraction(double x, double a, double b)
{
    double denominator = 1 / (1 - (a + b) * x / (a + 1));
    double numerator = 1;
    double value = denominator;
    double factor = 0;
    for (double m = 1; fabs(factor - 1) > DBL_EPSILON; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        denominator = 1 / (1 + even * denominator);
        numerator = 1 + even / numerator;
        value *= denominator * numerator;
        denominator = 1 / (1 + odd * denominator);
        numerator = 1 + odd / numerator;
        factor = denominator * numerator;
        value *= factor;
    }
    const double log_beta = log_gamma(a) + log_gamma(b) - log_gamma(a + b);
    return exp(a * log(x) + b * log1p(-x) - log_beta) * value / a;
}

/* Chance that Student's t with `freedom` degrees of freedom exceeds t > 0. */
static double student_tail(double t, double freedom)
{
    const double x = freedom / (freedom + t * t), a = freedom / 2, b = 0.5;
    return x < (a + 1) / (a + b + 2) ? beta_fraction(x, a, b) / 2
                                     : (1 - beta_fraction(1 - x, b, a)) / 2;
}

/* t that is exceeded with chance `tail` in (0, 1/2), by bisection. */
static double student_quantile(double tail, double freedom)
{
    double low = 0, high = 2;
    while (student_tail(high, freedom) > tail)
        high *= 2;
    for (double middle = (low + high) / 2; low < middle && middle < high;
         middle = (low + high) / 2) {
        if (student_tail(middle, freedom) > tail)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double vj_expanded_tail(size_t n, double confidence)
{
    const double freedom = (double)(n - 1);
    const double t = student_quantile((1 - confidence) / 2, freedom);
    return erfc(t * sqrt((double)n / freedom / 2)) / 2;
}

struct vj_interval vj_percentile_interval(double *replicates, size_t count, size_t n,
                                          double confidence)
{
    const double tail = vj_expanded_tail(n, confidence);
    vj_sort_doubles(replicates, count);
    return (struct vj_interval){
        .low = vj_quantile_sorted(replicates, count, tail),
        .high = vj_quantile_sorted(replicates, count, 1.0 - tail),
    };
}

/* Of one statistic. replicate: [resamples][values]; one: room for its replicates */
static struct vj_interval interval_of(const double *replicate, double *one, size_t statistic,
                                      size_t values, size_t n, const struct vj_bootstrap *boot)
{
    size_t defined = 0;
    for (size_t b = 0; b < boot->resamples; b++)
        if (!isnan(replicate[b * values + statistic]))
            one[defined++] = replicate[b * values + statistic];
    return n >= VJ_INTERVAL_FEWEST && 2 * defined > boot->resamples
               ? vj_percentile_interval(one, defined, n, boot->confidence)
               : (struct vj_interval){NAN, NAN};
}

int vj_bootstrap_intervals(struct vj_interval *interval, const size_t *n, size_t values,
                           const struct vj_bootstrap *boot, size_t count,
                           vj_statistics_fn *statistics, const void *user, struct vj_error *err)
{
    if (!(boot->confidence > 0 && boot->confidence < 1))
        return vj_fail(err, -EINVAL, "the confidence of intervals is %g; it must lie in (0, 1)",
                       boot->confidence);
    struct vj_bootstrap pooled = *boot;
    pooled.stream = 0;
    const size_t resamples = boot->resamples;
    const int threads = vj_bootstrap_threads(boot, count);
    uint32_t *draws = vj_calloc((size_t)threads, count * sizeof(*draws));
    double *replicate = vj_calloc(resamples, values * sizeof(*replicate));
    double *one = vj_calloc(resamples, sizeof(*one));
    int r = draws && replicate && one
                ? 0
                : vj_fail(err, -ENOMEM, "out of memory for %zu bootstrap resamples", resamples);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t b = 0; b < (r ? 0 : resamples); b++) {
        uint32_t *draw = draws + (size_t)omp_get_thread_num() * count;
        vj_bootstrap_draw(&pooled, b, draw, count);
        statistics(user, draw, count, replicate + b * values);
    }
    for (size_t k = 0; !r && k < values; k++)
        interval[k] = interval_of(replicate, one, k, values, n[k], boot);
    free(draws);
    free(replicate);
    free(one);
    return r;
}

const char *vj_test_method_name(enum vj_test_method method)
{
    switch (method) {
    case VJ_TEST_EXACT:
        return "exact";
    case VJ_TEST_NORMAL:
        return "normal";
    default:
        return "none";
    }
}

/* One difference that is not zero: its size and sign, and twice its mean rank (an integer). */
struct ranked {
    double size;
    bool positive;
    size_t rank2;
};

static int compare_sizes(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return (x->size > y->size) - (x->size < y->size);
}

/* Sorts and ranks; returns the sum of t^3 - t over groups of t equal sizes. */
static double rank_sizes(struct ranked *r, size_t n)
{
    double ties = 0;
    qsort(r, n, sizeof(*r), compare_sizes);
    for (size_t first = 0; first < n;) {
        size_t end = first + 1;
        while (end < n && r[end].size == r[first].size)
            end++;
        for (size_t i = first; i < end; i++)
            r[i].rank2 = first + end + 1; /* ranks first + 1 .. end: twice their mean */
        double t = (double)(end - first);
        ties += t * t * t - t;
        first = end;
    }
    return ties;
}

/*
 * Chance that the rank sum of one sign is at most w2 / 2 when each sign is a fair coin. ways[s]
 * counts the sign patterns of the differences so far whose doubled rank sum is s.
 */
static int exact_lower_tail(double *tail, const struct ranked *r, size_t n, size_t w2,
                            struct vj_error *err)
{
    double *ways = vj_calloc(w2 + 1, sizeof(*ways));
    if (!ways)
        return vj_fail(err, -ENOMEM, "out of memory for a signed-rank test of %zu differences", n);
    ways[0] = 1;
    for (size_t i = 0; i < n; i++) {
        for (size_t s = w2; s >= r[i].rank2; s--)
            ways[s] += ways[s - r[i].rank2];
    }
    double sum = 0;
    for (size_t s = 0; s <= w2; s++)
        sum += ways[s];
    *tail = ldexp(sum, -(int)n);
    free(ways);
    return 0;
}

static int test_ranked(struct vj_wilcoxon *out, struct ranked *r, size_t n, struct vj_error *err)
{
    double ties = rank_sizes(r, n);
    size_t plus2 = 0;
    size_t minus2 = 0;
    for (size_t i = 0; i < n; i++) {
        if (r[i].positive)
            plus2 += r[i].rank2;
        else
            minus2 += r[i].rank2;
    }
    out->n = n;
    out->w_plus = (double)plus2 / 2;
    out->w_minus = (double)minus2 / 2;
    out->p = 1;
    if (n == 0)
        return 0;
    if (n <= WILCOXON_EXACT_MAX) {
        double tail = 0;
        out->method = VJ_TEST_EXACT;
        int rc = exact_lower_tail(&tail, r, n, plus2 < minus2 ? plus2 : minus2, err);
        out->p = fmin(1.0, 2 * tail);
        return rc;
    }
    double k = (double)n;
    double variance = k * (k + 1) * (2 * k + 1) / 24 - ties / 48;
    out->method = VJ_TEST_NORMAL;
    out->z = (out->w_plus - k * (k + 1) / 4) / sqrt(variance);
    out->p = fmax(erfc(fabs(out->z) / sqrt(2.0)), DBL_MIN);
    return 0;
}

int vj_wilcoxon_signed_rank(struct vj_wilcoxon *out, const double *difference, size_t count,
                            struct vj_error *err)
{
    *out = (struct vj_wilcoxon){.p = 1};
    struct ranked *r = vj_calloc(count, sizeof(*r));
    if (!r)
        return vj_fail(err, -ENOMEM, "out of memory for a signed-rank test of %zu differences",
                       count);
    int rc = 0;
    size_t n = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        if (!isfinite(difference[i]))
            rc = vj_fail(err, -EINVAL, "difference %zu of a signed-rank test is not finite", i);
        else if (difference[i] != 0)
            r[n++] = (struct ranked){.size = fabs(difference[i]), .positive = difference[i] > 0};
    }
    if (!rc)
        rc = test_ranked(out, r, n, err);
    free(r);
    return rc;
}

struct single_test {
    double p;
    size_t index;
};

static int compare_tests(const void *a, const void *b)
{
    const struct single_test *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

int vj_holm(double *corrected, const double *p, size_t count, struct vj_error *err)
{
    struct single_test *test = vj_calloc(count, sizeof(*test));
    if (!test)
        return vj_fail(err, -ENOMEM, "out of memory for the p-values of %zu tests", count);
    for (size_t i = 0; i < count; i++)
        test[i] = (struct single_test){.p = p[i], .index = i};
    qsort(test, count, sizeof(*test), compare_tests);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fmin(1, (double)(count - i) * test[i].p));
        corrected[test[i].index] = largest;
    }
    free(test);
    return 0;
}

struct vj_mcnemar vj_mcnemar_exact(uint64_t b, uint64_t c)
{
    struct vj_mcnemar out = {.b = b, .c = c, .p = 1};
    if (b + c == 0)
        return out;
    out.method = VJ_TEST_EXACT;
    if (b == c)
        return out;
    double n = (double)(b + c);
    double k = (double)(b < c ? b : c);
    double log_term = log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1) - n * log(2.0);
    /* The tail in units of its largest term, downwards; terms fall by k / (n - k + 1) < 1. */
    double sum = 0;
    for (double term = 1; term > sum * DBL_EPSILON / 4 && k >= 0; k--) {
        sum += term;
        term *= k / (n - k + 1);
    }
    out.p = fmax(fmin(1.0, 2 * exp(log_term + log(sum))), DBL_MIN);
    return out;
}
