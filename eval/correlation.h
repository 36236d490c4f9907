/* SPDX-License-Identifier: MIT */
/* Inside eval/: correlation of two whole numbers over images. */
#ifndef VJ_EVAL_CORRELATION_H
#define VJ_EVAL_CORRELATION_H

#include <stddef.h>
#include <stdint.h>

#include "eval/common.h"

enum {
    VJ_CORRELATION_VALUES = VJ_EVAL_QF_MAX + 1,
    VJ_CORRELATION_FEWEST = 3, /* two points always lie on a line */
};

/*
 * Pearson's coefficient from sums over n images of a, b, their squares and their product: in
 * [-1, 1]; NaN for fewer than three images, or where a or b is the same in all. The numbers are
 * whole, so that sums are exact.
 */
double vj_pearson(double n, double a, double b, double aa, double bb, double ab);

/* What vj_rank_correlations() counts in; one for each thread, zeroed before the first call. */
struct vj_ranks {
    uint32_t count[2][VJ_CORRELATION_VALUES];
    double rank[2][VJ_CORRELATION_VALUES];    /* less the mean rank */
    uint16_t place[2][VJ_CORRELATION_VALUES]; /* among the numbers that occur */
    uint64_t below[VJ_CORRELATION_VALUES];
    uint32_t
        pair[VJ_CORRELATION_VALUES * VJ_CORRELATION_VALUES]; /* images at each pair of places */
};

struct vj_rank_correlations {
    double spearman; /* Pearson's coefficient of ranks, equal numbers having the mean of theirs */
    double kendall;  /* tau-b: (pairs in the same order - in opposite order) / sqrt(pairs that are
                        not equal in a * those that are not in b) */
};

/*
 * Rank correlations of a and b over images, both NaN where vj_pearson() is. Images in which either
 * is negative do not count. Everything follows from counts, without sorting.
 *
 * a, b:  numbers of all images, below VJ_CORRELATION_VALUES
 * index: [count] the images, with repeats; at most UINT32_MAX
 */
struct vj_rank_correlations vj_rank_correlations(struct vj_ranks *ranks, const int32_t *a,
                                                 const int32_t *b, const uint32_t *index,
                                                 size_t count);

#endif
