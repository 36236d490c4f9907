/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#include "host/train_pairs.h"

/* Draws per statistical test. All are functions of fixed seeds: a test passes always or never. */
enum { DRAWS = 20000 };

/* ---- against the second implementation ---- */

struct row {
    uint64_t seed, element;
    size_t pictures, picture, l, p, width, height, side;
    int levels, level, sampling, first, last, boundary, qf, independent, flip;
    int y, x, jnd_y, jnd_x, mirror_x, mirror_y;
};

static bool read_row(FILE *file, struct row *r)
{
    return fscanf(file,
                  "%" SCNu64 ",%" SCNu64 ",%zu,%zu,%d,%d,%zu,%d,%d,%d,%d,%d,%zu,%zu,%zu,%zu,%d,%d,"
                  "%d,%d,%d,%d,%d,%d",
                  &r->seed, &r->element, &r->pictures, &r->picture, &r->levels, &r->level, &r->l,
                  &r->sampling, &r->first, &r->last, &r->boundary, &r->qf, &r->p, &r->width,
                  &r->height, &r->side, &r->independent, &r->flip, &r->y, &r->x, &r->jnd_y,
                  &r->jnd_x, &r->mirror_x, &r->mirror_y) == 24;
}

static void check_row(const struct row *r)
{
    struct vj_error err = {0};
    struct vj_pair_order order;
    assert_int_equal(vj_pair_order_open(&order, r->seed, r->pictures, &err), 0);
    assert_int_equal(vj_pair_picture(&order, r->element), r->picture);
    vj_pair_order_close(&order);
    assert_int_equal(vj_pair_level(r->seed, r->element, r->levels), r->level);
    assert_int_equal(vj_pair_qf(r->seed, r->element, r->l, (enum vj_pair_sampling)r->sampling,
                                r->first, r->last, r->boundary),
                     r->qf);
    const struct vj_pair_patch patch =
        vj_pair_place(r->seed, r->element, r->p, r->width, r->height, r->side,
                      vj_pair_flags(r->independent, r->flip, false));
    assert_int_equal(patch.origin[0], r->y);
    assert_int_equal(patch.origin[1], r->x);
    assert_int_equal(patch.jnd_origin[0], r->jnd_y);
    assert_int_equal(patch.jnd_origin[1], r->jnd_x);
    assert_int_equal(patch.mirror_x, r->mirror_x);
    assert_int_equal(patch.mirror_y, r->mirror_y);
}

static void test_draws_are_those_of_a_second_implementation(void **state)
{
    (void)state;
    FILE *file = fopen(VJ_TEST_GOLDEN "/train/pairs.csv", "r");
    assert_non_null(file);
    char heading[512];
    struct row row;
    int rows = 0;
    assert_non_null(fgets(heading, sizeof(heading), file));
    for (; read_row(file, &row); rows++)
        check_row(&row);
    assert_true(feof(file));
    fclose(file);
    assert_int_equal(rows, 400);
}

/* ---- pictures ---- */

static void test_every_picture_comes_once_per_epoch(void **state)
{
    (void)state;
    enum { PICTURES = 7, EPOCHS = 60 };
    struct vj_error err = {0};
    struct vj_pair_order order;
    int first[PICTURES] = {0};
    assert_int_equal(vj_pair_order_open(&order, 3, PICTURES, &err), 0);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        unsigned seen = 0;
        for (uint64_t i = 0; i < PICTURES; i++) {
            size_t picture = vj_pair_picture(&order, epoch * PICTURES + i);
            vj_assert_in_range(picture, 0, PICTURES - 1);
            seen |= 1u << picture;
            first[picture] += i == 0;
        }
        assert_int_equal(seen, (1u << PICTURES) - 1);
    }
    for (int i = 0; i < PICTURES; i++)
        vj_assert_in_range(first[i], 1, EPOCHS / 2); /* no epoch is like all others */
    vj_pair_order_close(&order);
}

static void test_the_order_does_not_depend_on_what_was_asked_before(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_pair_order forth, back;
    size_t picture[50];
    assert_int_equal(vj_pair_order_open(&forth, 9, 8, &err), 0);
    assert_int_equal(vj_pair_order_open(&back, 9, 8, &err), 0);
    for (uint64_t i = 0; i < 50; i++)
        picture[i] = vj_pair_picture(&forth, i);
    for (uint64_t i = 50; i-- > 0;)
        assert_int_equal(vj_pair_picture(&back, i), picture[i]);
    vj_pair_order_close(&forth);
    vj_pair_order_close(&back);
}

static void test_numbers_of_pictures_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_pair_order order;
    assert_int_equal(vj_pair_order_open(&order, 1, 0, &err), -EINVAL);
    vj_assert_contains(err.text, "0 pictures");
    assert_int_equal(vj_pair_order_open(&order, 1, ((size_t)1 << 24) + 1, &err), -EINVAL);
    vj_assert_contains(err.text, "16777217");
}

/* ---- quality factors ---- */

/* How often each quality factor is drawn in DRAWS elements. */
static void count_qfs(int count[101], enum vj_pair_sampling sampling, int first, int last,
                      int boundary)
{
    memset(count, 0, 101 * sizeof(count[0]));
    for (uint64_t element = 0; element < DRAWS; element++) {
        int qf = vj_pair_qf(5, element, 0, sampling, first, last, boundary);
        vj_assert_in_range(qf, first, last);
        count[qf]++;
    }
}

static int sum(const int *count, int first, int last)
{
    int all = 0;
    for (int q = first; q <= last; q++)
        all += count[q];
    return all;
}

/* Chi-square of counts against probabilities: mean n - 1, deviation sqrt(2 (n - 1)). */
static void check_fit(const int *count, const double *p, int n)
{
    double chi2 = 0, all = sum(count, 0, n - 1);
    for (int i = 0; i < n; i++)
        chi2 += (count[i] - all * p[i]) * (count[i] - all * p[i]) / (all * p[i]);
    if (fabs(chi2 - (n - 1)) > 4 * sqrt(2.0 * (n - 1)))
        fail_msg("chi-square %g with %d degrees of freedom", chi2, n - 1);
}

static void check_uniform(const int *count, int n)
{
    double p[101];
    for (int i = 0; i < n; i++)
        p[i] = 1.0 / n;
    check_fit(count, p, n);
}

/* Within four standard deviations of one half. */
static void check_half(int count, int of)
{
    assert_true(fabs(count - of / 2.0) < 4 * sqrt(of / 4.0));
}

static void test_uniform_pairs_are_uniform(void **state)
{
    (void)state;
    int count[101];
    count_qfs(count, VJ_PAIRS_UNIFORM, 1, 99, 30);
    check_uniform(count + 1, 99);
}

static void test_balanced_pairs_are_half_lossy_and_uniform_on_each_side(void **state)
{
    (void)state;
    int count[101];
    count_qfs(count, VJ_PAIRS_BALANCED, 1, 99, 30);
    check_half(sum(count, 1, 30), DRAWS);
    check_uniform(count + 1, 30);
    check_uniform(count + 31, 69);
}

static void test_boundary_pairs_are_half_lossy_and_logarithmic_on_each_side(void **state)
{
    (void)state;
    enum { FIRST = 5, LAST = 95, JND = 40, LOSSY = JND - FIRST + 1, LOSSLESS = LAST - JND };
    int count[101], outwards[101];
    double p[101];
    count_qfs(count, VJ_PAIRS_BOUNDARY, FIRST, LAST, JND);
    check_half(sum(count, FIRST, JND), DRAWS);
    for (int d = 0; d < LOSSY; d++) {
        outwards[d] = count[JND - d];
        p[d] = log((d + 2.0) / (d + 1.0)) / log(LOSSY + 1.0);
    }
    check_fit(outwards, p, LOSSY);
    for (int d = 0; d < LOSSLESS; d++)
        p[d] = log((d + 2.0) / (d + 1.0)) / log(LOSSLESS + 1.0);
    check_fit(count + JND + 1, p, LOSSLESS);
}

static void test_pairs_of_one_reference_alternate_between_the_sides(void **state)
{
    (void)state;
    int first_lossy = 0;
    for (uint64_t element = 0; element < 1000; element++) {
        bool lossy = vj_pair_qf(5, element, 0, VJ_PAIRS_BALANCED, 1, 99, 50) <= 50;
        first_lossy += lossy;
        for (size_t l = 1; l < 7; l++) {
            bool next = vj_pair_qf(5, element, l, VJ_PAIRS_BOUNDARY, 1, 99, 50) <= 50;
            assert_int_equal(next, lossy == (l % 2 == 0));
        }
    }
    check_half(first_lossy, 1000);
}

static void test_a_side_without_quality_factors_gives_way_within_the_range(void **state)
{
    (void)state;
    static const int cases[][3] = {{1, 99, 99},   {1, 99, 100}, {50, 99, 49}, {50, 99, 48},
                                   {50, 99, 1},   {1, 60, 80},  {7, 7, 7},    {7, 7, 6},
                                   {100, 100, 1}, {1, 1, 100}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int sampling = VJ_PAIRS_UNIFORM; sampling <= VJ_PAIRS_BOUNDARY; sampling++) {
            int count[101], first = cases[i][0], last = cases[i][1];
            count_qfs(count, (enum vj_pair_sampling)sampling, first, last, cases[i][2]);
            assert_int_equal(sum(count, first, last), DRAWS);
            assert_true(count[first] > 0 && count[last] > 0);
        }
}

/* ---- levels, patches ---- */

/* Values of the normal distribution function from a table, to its last figure. */
static void test_targets_are_shares_of_normal_observers(void **state)
{
    (void)state;
    static const struct {
        int qf, boundary;
        double spread, share;
    } row[] = {{50, 50, 0.5, 0.84134}, {51, 50, 0.5, 0.15866}, {49, 50, 1, 0.93319},
               {53, 50, 1, 0.00621},   {30, 45, 10, 0.93943},  {61, 45, 10, 0.06057},
               {1, 100, 0.5, 1.00000}, {100, 1, 0.5, 0.00000}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        double share = (double)vj_pair_target(row[i].qf, row[i].boundary, row[i].spread);
        assert_true(fabs(share - row[i].share) <= 5.1e-6);
    }
    for (int qf = 1; qf <= 100; qf++) {
        bool lossy = qf <= 37;
        assert_true(vj_pair_target(qf, 37, 0) == (lossy ? 1.0f : 0.0f));
        assert_int_equal(vj_pair_target(qf, 37, 8) > 0.5f, lossy);
    }
}

static void test_levels_are_uniform(void **state)
{
    (void)state;
    int count[3] = {0};
    for (uint64_t element = 0; element < DRAWS; element++) {
        count[vj_pair_level(5, element, 3)]++;
        assert_int_equal(vj_pair_level(5, element, 1), 0);
    }
    check_uniform(count, 3);
}

static void test_patches_lie_uniformly_and_are_mirrored_in_all_four_ways(void **state)
{
    (void)state;
    enum { SIDE = 16, ROWS = 9, COLUMNS = 25 };
    int y[ROWS] = {0}, x[COLUMNS] = {0}, jnd_y[ROWS] = {0}, mirrored[4] = {0};
    for (uint64_t element = 0; element < DRAWS / 8; element++)
        for (size_t p = 0; p < 8; p++) {
            struct vj_pair_patch patch =
                vj_pair_place(5, element, p, SIDE + COLUMNS - 1, SIDE + ROWS - 1, SIDE,
                              VJ_PLACE_INDEPENDENT | VJ_PLACE_FLIP);
            vj_assert_in_range(patch.origin[0], 0, ROWS - 1);
            vj_assert_in_range(patch.origin[1], 0, COLUMNS - 1);
            vj_assert_in_range(patch.jnd_origin[0], 0, ROWS - 1);
            vj_assert_in_range(patch.jnd_origin[1], 0, COLUMNS - 1);
            y[patch.origin[0]]++;
            x[patch.origin[1]]++;
            jnd_y[patch.jnd_origin[0]]++;
            mirrored[2 * patch.mirror_y + patch.mirror_x]++;
        }
    check_uniform(y, ROWS);
    check_uniform(x, COLUMNS);
    check_uniform(jnd_y, ROWS);
    check_uniform(mirrored, 4);
}

static void test_aligned_patches_share_a_place_and_independent_ones_do_not(void **state)
{
    (void)state;
    int same = 0;
    for (uint64_t element = 0; element < 1000; element++) {
        struct vj_pair_patch a = vj_pair_place(5, element, 0, 400, 300, 64, 0);
        struct vj_pair_patch b = vj_pair_place(5, element, 0, 400, 300, 64, VJ_PLACE_INDEPENDENT);
        assert_memory_equal(a.origin, a.jnd_origin, sizeof(a.origin));
        assert_memory_equal(a.origin, b.origin, sizeof(a.origin));
        assert_false(a.mirror_x || a.mirror_y);
        same += memcmp(b.origin, b.jnd_origin, sizeof(b.origin)) == 0;
    }
    vj_assert_in_range(same, 0, 3); /* expected: 1000 in 237 * 337 */
}

static void
test_even_patches_share_their_random_words_with_uniform_ones_but_not_their_places(void **state)
{
    (void)state;
    int same = 0;
    for (uint64_t element = 0; element < 500; element++) {
        struct vj_pair_patch uniform = vj_pair_place(5, element, 3, 400, 300, 64, VJ_PLACE_FLIP);
        struct vj_pair_patch even =
            vj_pair_place(5, element, 3, 400, 300, 64, VJ_PLACE_FLIP | VJ_PLACE_EVEN);
        struct vj_pair_patch own =
            vj_pair_place(5, element, 3, 400, 300, 64, VJ_PLACE_INDEPENDENT | VJ_PLACE_EVEN);
        assert_int_equal(even.mirror_x, uniform.mirror_x);
        assert_int_equal(even.mirror_y, uniform.mirror_y);
        assert_memory_equal(even.origin, even.jnd_origin, sizeof(even.origin));
        assert_memory_equal(even.origin, own.origin, sizeof(even.origin));
        vj_assert_in_range(own.jnd_origin[0], 0, 300 - 64);
        vj_assert_in_range(own.jnd_origin[1], 0, 400 - 64);
        same += memcmp(even.origin, own.jnd_origin, sizeof(even.origin)) == 0;
        same += memcmp(even.origin, uniform.origin, sizeof(even.origin)) == 0;
    }
    vj_assert_in_range(same, 0, 25); /* a corner has (64 / 400) (64 / 300) / 4 of all even places */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_are_those_of_a_second_implementation),
        cmocka_unit_test(test_every_picture_comes_once_per_epoch),
        cmocka_unit_test(test_the_order_does_not_depend_on_what_was_asked_before),
        cmocka_unit_test(test_numbers_of_pictures_that_cannot_be_are_refused),
        cmocka_unit_test(test_uniform_pairs_are_uniform),
        cmocka_unit_test(test_balanced_pairs_are_half_lossy_and_uniform_on_each_side),
        cmocka_unit_test(test_boundary_pairs_are_half_lossy_and_logarithmic_on_each_side),
        cmocka_unit_test(test_pairs_of_one_reference_alternate_between_the_sides),
        cmocka_unit_test(test_a_side_without_quality_factors_gives_way_within_the_range),
        cmocka_unit_test(test_targets_are_shares_of_normal_observers),
        cmocka_unit_test(test_levels_are_uniform),
        cmocka_unit_test(test_patches_lie_uniformly_and_are_mirrored_in_all_four_ways),
        cmocka_unit_test(test_aligned_patches_share_a_place_and_independent_ones_do_not),
        cmocka_unit_test(
            test_even_patches_share_their_random_words_with_uniform_ones_but_not_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
