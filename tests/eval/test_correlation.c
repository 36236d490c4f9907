/* SPDX-License-Identifier: MIT */
/* Correlations against their definitions; against SciPy in test_metrics. */
#include "tests/vj_test.h"

#include <math.h>
#include <stdbool.h>

#include "eval/correlation.h"
#include "host/rng.h"

enum { MOST = 40 };

/* Of numbers, by two passes. */
static double by_definition(const double *a, const double *b, size_t n)
{
    double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < n; i++) {
        mean_a += a[i] / (double)n;
        mean_b += b[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        aa += (a[i] - mean_a) * (a[i] - mean_a);
        bb += (b[i] - mean_b) * (b[i] - mean_b);
        ab += (a[i] - mean_a) * (b[i] - mean_b);
    }
    return ab / sqrt(aa * bb);
}

/* The mean rank of each number: those below it, and half of those equal to it. */
static void ranks_by_definition(double *rank, const double *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rank[i] = 0.5;
        for (size_t k = 0; k < n; k++)
            rank[i] += value[k] < value[i] ? 1 : value[k] == value[i] ? 0.5 : 0;
    }
}

/* Kendall's tau-b, pair by pair. */
static double kendall_by_definition(const double *a, const double *b, size_t n)
{
    double ordered = 0, unequal_a = 0, unequal_b = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            const double da = (a[i] > a[k]) - (a[i] < a[k]), db = (b[i] > b[k]) - (b[i] < b[k]);
            ordered += da * db;
            unequal_a += da * da;
            unequal_b += db * db;
        }
    return ordered / sqrt(unequal_a * unequal_b);
}

static bool agree(double got, double definition)
{
    return fabs(got - definition) < 1e-12 || (isnan(got) && isnan(definition));
}

static double pearson_of(const double *a, const double *b, size_t n)
{
    double s[5] = {0};
    for (size_t i = 0; i < n; i++) {
        s[0] += a[i];
        s[1] += b[i];
        s[2] += a[i] * a[i];
        s[3] += b[i] * b[i];
        s[4] += a[i] * b[i];
    }
    return vj_pearson((double)n, s[0], s[1], s[2], s[3], s[4]);
}

static void all_are_those_of_the_definition(void **state)
{
    (void)state;
    static struct vj_ranks ranks;
    for (size_t n = VJ_CORRELATION_FEWEST; n <= MOST; n++) {
        int32_t a[MOST + 2], b[MOST + 2];
        uint32_t index[MOST + 2];
        double x[MOST], y[MOST], rank_x[MOST], rank_y[MOST];
        const uint32_t values = n % 2 ? 5 : VJ_CORRELATION_VALUES; /* with many ties, and few */
        for (size_t i = 0; i < n; i++) {
            const struct vj_u32x4 word = vj_random4(9, VJ_RNG_TEST, n, (uint32_t)i);
            const size_t at = n + 1 - i; /* the index counts, not the place */
            x[i] = a[at] = (int32_t)vj_random_below(word.v[0], values);
            y[i] = b[at] = (a[at] + (int32_t)vj_random_below(word.v[1], values)) / 2;
            index[i] = (uint32_t)at;
        }
        a[0] = b[1] = -1; /* unknown: they do not count */
        b[0] = a[1] = 7;
        index[n] = 0;
        index[n + 1] = 1;
        ranks_by_definition(rank_x, x, n);
        ranks_by_definition(rank_y, y, n);
        const double line = by_definition(x, y, n), order = by_definition(rank_x, rank_y, n);
        for (int again = 0; again < 2; again++) { /* nothing is left behind by the first */
            const struct vj_rank_correlations got =
                vj_rank_correlations(&ranks, a, b, index, n + 2);
            assert_true(agree(got.spearman, order));
            assert_true(agree(got.kendall, kendall_by_definition(x, y, n)));
        }
        assert_true(agree(pearson_of(x, y, n), line));
    }
}

static void they_end_at_one_and_order_is_all_that_ranks_see(void **state)
{
    (void)state;
    static struct vj_ranks ranks;
    static const int32_t a[] = {3, 9, 30, 100}, up[] = {1, 2, 900, 1023}, down[] = {50, 40, 39, 0};
    static const uint32_t index[] = {0, 1, 2, 3};
    const struct vj_rank_correlations same = vj_rank_correlations(&ranks, a, up, index, 4),
                                      opposite = vj_rank_correlations(&ranks, a, down, index, 4);
    assert_true(same.spearman == 1 && same.kendall == 1);
    assert_true(opposite.spearman == -1 && opposite.kendall == -1);
    assert_true(pearson_of((double[]){1, 2, 4}, (double[]){11, 12, 14}, 3) == 1);
    assert_true(pearson_of((double[]){1, 2, 4}, (double[]){9, 7, 3}, 3) == -1);
}

static void assert_undefined(const int32_t *a, const int32_t *b, size_t count)
{
    static struct vj_ranks ranks;
    static const uint32_t index[] = {0, 1, 2};
    const struct vj_rank_correlations got = vj_rank_correlations(&ranks, a, b, index, count);
    assert_true(isnan(got.spearman) && isnan(got.kendall));
}

static void without_spread_or_with_two_images_there_is_none(void **state)
{
    (void)state;
    static const int32_t a[] = {3, 9, 30}, same[] = {50, 50, 50};
    assert_undefined(a, same, 3);
    assert_undefined(same, a, 3);
    assert_undefined(a, a, 2);
    assert_undefined(a, a, 0);
    assert_true(isnan(pearson_of((double[]){3, 9}, (double[]){3, 9}, 2)));
    for (double n = 3; n < 1e8; n *= 7) { /* products beyond 2^53 are rounded */
        const double value = 97, spread = 10 * n;
        assert_true(isnan(vj_pearson(n, value * n, value * n, value * value * n,
                                     value * value * n + spread, value * value * n)));
        assert_true(isnan(vj_pearson(n, value * n, value * n, value * value * n + spread,
                                     value * value * n, value * value * n)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_those_of_the_definition),
        cmocka_unit_test(they_end_at_one_and_order_is_all_that_ranks_see),
        cmocka_unit_test(without_spread_or_with_two_images_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
