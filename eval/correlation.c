/* SPDX-License-Identifier: MIT */
#include "eval/correlation.h"

#include <math.h>
#include <string.h>

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

/* One of the two numbers. */
struct axis {
    size_t places;        /* numbers that occur */
    double squares;       /* of the ranks over the images */
    double unequal_pairs; /* pairs of images whose numbers differ */
};

/* Ranks and places of the numbers counted, 0 .. top, over n images; leaves the counts at zero. */
static struct axis take_ranks(double *rank, uint16_t *place, uint32_t *count, int32_t top, double n)
{
    struct axis axis = {0};
    double below = 0;
    for (int32_t v = 0; v <= top; v++) {
        const double equal = count[v], from_mean = below + (equal + 1) / 2 - (n + 1) / 2;
        rank[v] = from_mean;
        place[v] = (uint16_t)axis.places;
        axis.places += equal > 0;
        axis.squares += equal * from_mean * from_mean;
        axis.unequal_pairs += equal * below;
        below += equal;
        count[v] = 0;
    }
    return axis;
}

/*
 * Pairs of images in the same order by both numbers less those in opposite order. pair: [rows,
 * columns], below: [columns] zeroed; both are left at zero.
 */
static double ordered_pairs(uint32_t *pair, size_t rows, uint64_t *below, size_t columns)
{
    int64_t sum = 0;
    uint64_t all = 0; /* images of the rows before */
    for (size_t i = 0; i < rows; i++, pair += columns) {
        uint64_t left = 0; /* those of them before this column */
        for (size_t k = 0; k < columns; k++) {
            const uint64_t same = below[k];
            sum += (int64_t)pair[k] * ((int64_t)(2 * left + same) - (int64_t)all);
            left += same;
            below[k] += pair[k];
        }
        all = 0;
        for (size_t k = 0; k < columns; k++)
            all += below[k];
        memset(pair, 0, columns * sizeof(*pair));
    }
    memset(below, 0, columns * sizeof(*below));
    return (double)sum;
}

struct vj_rank_correlations vj_rank_correlations(struct vj_ranks *ranks, const int32_t *a,
                                                 const int32_t *b, const uint32_t *index,
                                                 size_t count)
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
    const struct axis of_a =
        take_ranks(ranks->rank[0], ranks->place[0], ranks->count[0], top, (double)n);
    const struct axis of_b =
        take_ranks(ranks->rank[1], ranks->place[1], ranks->count[1], top, (double)n);
    if (n < VJ_CORRELATION_FEWEST || of_a.places < 2 || of_b.places < 2)
        return (struct vj_rank_correlations){NAN, NAN};
    for (size_t i = 0; i < count; i++) {
        const uint32_t image = index[i];
        if (a[image] < 0 || b[image] < 0)
            continue;
        products += ranks->rank[0][a[image]] * ranks->rank[1][b[image]];
        ranks->pair[ranks->place[0][a[image]] * of_b.places + ranks->place[1][b[image]]]++;
    }
    const double ordered = ordered_pairs(ranks->pair, of_a.places, ranks->below, of_b.places);
    return (struct vj_rank_correlations){
        .spearman = bounded(products / sqrt(of_a.squares * of_b.squares)),
        .kendall = bounded(ordered / sqrt(of_a.unequal_pairs * of_b.unequal_pairs)),
    };
}
