/* SPDX-License-Identifier: MIT */
#include "eval/correlation.h"

#include <math.h>

static double bounded(double r)
{
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

double vj_pearson(double n, double a, double b, double aa, double bb, double ab)
{
    const double var_a = n * aa - a * a, var_b = n * bb - b * b;
    /* Of whole numbers that are not all equal it is n - 1 at least: less is rounding. */
    const double least = (n - 1) / 2;
    if (n < VJ_CORRELATION_FEWEST || var_a < least || var_b < least)
        return NAN;
    return bounded((n * ab - a * b) / sqrt(var_a * var_b));
}

/*
 * Mean ranks of the numbers counted, 0 .. top, less the mean of all; returns the sum of their
 * squares over the n images, and leaves the counts at zero.
 */
static double take_ranks(double *rank, uint32_t *count, int32_t top, double n)
{
    double below = 0, squares = 0;
    for (int32_t v = 0; v <= top; v++) {
        const double equal = count[v], from_mean = below + (equal + 1) / 2 - (n + 1) / 2;
        rank[v] = from_mean;
        squares += equal * from_mean * from_mean;
        below += equal;
        count[v] = 0;
    }
    return squares;
}

double vj_spearman(struct vj_ranks *ranks, const int32_t *a, const int32_t *b,
                   const uint32_t *index, size_t count)
{
    size_t n = 0;
    int32_t top = 0;
    double products = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t image = index[i];
        if (a[image] < 0 || b[image] < 0)
            continue;
        ranks->count[0][a[image]]++;
        ranks->count[1][b[image]]++;
        top = a[image] > top ? a[image] : top;
        top = b[image] > top ? b[image] : top;
        n++;
    }
    const double squares_a = take_ranks(ranks->rank[0], ranks->count[0], top, (double)n);
    const double squares_b = take_ranks(ranks->rank[1], ranks->count[1], top, (double)n);
    if (n < VJ_CORRELATION_FEWEST || squares_a <= 0 || squares_b <= 0)
        return NAN;
    for (size_t i = 0; i < count; i++) {
        const uint32_t image = index[i];
        if (a[image] >= 0 && b[image] >= 0)
            products += ranks->rank[0][a[image]] * ranks->rank[1][b[image]];
    }
    return bounded(products / sqrt(squares_a * squares_b));
}
