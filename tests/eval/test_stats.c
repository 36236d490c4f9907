/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "eval/stats.h"
#include "host/rng.h"

#define VALUES 512

static void assert_near(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fmax(fabs(wanted), 1e-300)))
        fail_msg("%.17g is not %.17g", got, wanted);
}

/* "n v1 .. vn" behind `text`. */
static size_t parse_values(double *value, const char *text)
{
    char *end;
    size_t n = strtoul(text, &end, 10);
    assert_true(n >= 1 && n <= VALUES);
    for (size_t i = 0; i < n; i++)
        value[i] = strtod(end, &end);
    return n;
}

static void check_quantile(const char *line)
{
    double q, wanted, value[VALUES];
    int used;
    assert_int_equal(sscanf(line, "%*s %lf %lf %n", &q, &wanted, &used), 2);
    size_t n = parse_values(value, line + used);
    vj_sort_doubles(value, n);
    assert_near(vj_quantile_sorted(value, n, q), wanted, 1e-14);
}

static void check_histogram(const char *line)
{
    double q, wanted, value[VALUES];
    uint32_t histogram[16] = {0};
    int used;
    assert_int_equal(sscanf(line, "%*s %lf %lf %n", &q, &wanted, &used), 2);
    size_t n = parse_values(value, line + used);
    for (size_t i = 0; i < n; i++)
        histogram[(int)value[i]]++;
    assert_near(vj_quantile_histogram(histogram, 16, q), wanted, 1e-14);
}

static void check_wilcoxon(const char *line)
{
    char method[16];
    double plus, minus, z, p, value[VALUES];
    int used;
    assert_int_equal(
        sscanf(line, "%*s %15s %lf %lf %lf %lf %n", method, &plus, &minus, &z, &p, &used), 5);
    size_t n = parse_values(value, line + used);
    struct vj_wilcoxon w;
    assert_int_equal(vj_wilcoxon_signed_rank(&w, value, n, NULL), 0);
    assert_string_equal(vj_test_method_name(w.method), method);
    assert_near(w.w_plus, plus, 1e-15);
    assert_near(w.w_minus, minus, 1e-15);
    assert_near(w.z, z, 1e-12);
    assert_near(w.p, p, 1e-12);
}

static void check_mcnemar(const char *line)
{
    unsigned long b, c;
    double p;
    assert_int_equal(sscanf(line, "%*s %lu %lu %lf", &b, &c, &p), 3);
    assert_near(vj_mcnemar_exact(b, c).p, p, 1e-9);
}

/* What lies far out only has to be small: with two images an end is the outermost replicate. */
static void check_tail(const char *line)
{
    unsigned long n;
    double confidence, wanted;
    assert_int_equal(sscanf(line, "%*s %lu %lf %lf", &n, &confidence, &wanted), 3);
    assert_near(vj_expanded_tail(n, confidence), wanted, wanted > 1e-6 ? 1e-9 : 1e-6);
}

static void check_holm(const char *line)
{
    double value[VALUES], corrected[VALUES];
    int used;
    unsigned long n;
    assert_int_equal(sscanf(line, "%*s %lu %n", &n, &used), 1);
    assert_true(n >= 1 && 2 * n <= VALUES);
    char *end = (char *)line + used;
    for (unsigned long i = 0; i < 2 * n; i++)
        value[i] = strtod(end, &end);
    assert_int_equal(vj_holm(corrected, value, n, NULL), 0);
    for (unsigned long i = 0; i < n; i++)
        assert_near(corrected[i], value[n + i], 1e-14);
}

static void quantiles_and_tests_agree_with_numpy_and_scipy(void **state)
{
    (void)state;
    FILE *f = fopen(VJ_TEST_GOLDEN "/eval/stats.txt", "r");
    assert_non_null(f);
    char line[16384];
    int quantiles = 0, histograms = 0, wilcoxons = 0, mcnemars = 0, tails = 0, holms = 0;
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "quantile", 8) == 0)
            check_quantile(line), quantiles++;
        else if (strncmp(line, "histogram", 9) == 0)
            check_histogram(line), histograms++;
        else if (strncmp(line, "wilcoxon", 8) == 0)
            check_wilcoxon(line), wilcoxons++;
        else if (strncmp(line, "mcnemar", 7) == 0)
            check_mcnemar(line), mcnemars++;
        else if (strncmp(line, "tail", 4) == 0)
            check_tail(line), tails++;
        else if (strncmp(line, "holm", 4) == 0)
            check_holm(line), holms++;
    }
    fclose(f);
    assert_int_equal(quantiles, 35);
    assert_int_equal(histograms, 8);
    assert_int_equal(wilcoxons, 11);
    assert_int_equal(mcnemars, 9);
    assert_int_equal(tails, 45);
    assert_int_equal(holms, 4);
}

static void tests_without_a_difference_say_so(void **state)
{
    (void)state;
    const double zeros[3] = {0};
    struct vj_wilcoxon w;
    assert_int_equal(vj_wilcoxon_signed_rank(&w, zeros, 3, NULL), 0);
    assert_int_equal(w.method, VJ_TEST_NONE);
    assert_int_equal(w.n, 0);
    assert_true(w.p == 1);
    struct vj_mcnemar m = vj_mcnemar_exact(0, 0);
    assert_int_equal(m.method, VJ_TEST_NONE);
    assert_true(m.p == 1);
    assert_true(vj_mcnemar_exact(0, 100000).p > 0);
}

static void a_difference_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    const double bad[2] = {1, NAN};
    struct vj_wilcoxon w;
    struct vj_error err = {0};
    assert_int_equal(vj_wilcoxon_signed_rank(&w, bad, 2, &err), -EINVAL);
    vj_assert_contains(err.text, "difference 1");
}

static void draws_are_uniform_repeatable_and_apart_by_stream(void **state)
{
    (void)state;
    enum { N = 10, B = 20000 };
    struct vj_bootstrap boot = vj_bootstrap_default(42);
    uint32_t index[N], again[N], seen[N] = {0};
    for (size_t b = 0; b < B; b++) {
        vj_bootstrap_draw(&boot, b, index, N);
        for (int i = 0; i < N; i++) {
            assert_true(index[i] < N);
            seen[index[i]]++;
        }
    }
    double chi2 = 0;
    for (int i = 0; i < N; i++)
        chi2 += (seen[i] - (double)B) * (seen[i] - (double)B) / B;
    assert_true(chi2 < 27.9); /* 0.1 % point of chi-square with 9 degrees of freedom */
    vj_bootstrap_draw(&boot, 7, index, N);
    vj_bootstrap_draw(&boot, 7, again, N);
    assert_memory_equal(index, again, sizeof(index));
    boot.stream = 1;
    vj_bootstrap_draw(&boot, 7, again, N);
    assert_memory_not_equal(index, again, sizeof(index));
    boot.stream = 0;
    boot.seed = 43;
    vj_bootstrap_draw(&boot, 7, again, N);
    assert_memory_not_equal(index, again, sizeof(index));
}

/* Share of samples of `n` exponential values whose 95 % interval of the mean holds the true mean.
 */
static double coverage(uint32_t n, uint64_t samples)
{
    enum { B = 800 };
    uint64_t covered = 0;
    for (uint64_t s = 0; s < samples; s++) {
        double value[64], replicate[B];
        uint32_t index[64];
        struct vj_bootstrap boot = vj_bootstrap_default(s);
        for (uint32_t i = 0; i < n; i++) /* mean 1 */
            value[i] = -log(vj_random_unit(vj_random4(9, VJ_RNG_TEST, s, i).v[0]));
        for (size_t b = 0; b < B; b++) {
            vj_bootstrap_draw(&boot, b, index, n);
            double sum = 0;
            for (uint32_t i = 0; i < n; i++)
                sum += value[index[i]];
            replicate[b] = sum / n;
        }
        struct vj_interval ci = vj_percentile_interval(replicate, B, n, 0.95);
        covered += ci.low <= 1 && 1 <= ci.high;
    }
    return (double)covered / (double)samples;
}

/* Student's interval of such values, no better, covers 90 % with five or ten, 94 % with 60. */
static void intervals_cover_the_truth_as_often_as_can_be(void **state)
{
    (void)state;
    const double few = coverage(5, 1500), ten = coverage(10, 1500), many = coverage(60, 600);
    print_message("95 %% intervals cover a mean of 5, 10, 60 exponential values in %.1f, %.1f, "
                  "%.1f %%\n",
                  100 * few, 100 * ten, 100 * many);
    assert_true(few > 0.85 && few < 0.92);
    assert_true(ten > 0.87 && ten < 0.94);
    assert_true(many > 0.92 && many < 0.98);
}

struct counted {
    size_t *calls; /* of one thread */
};

/* The mean of the draw, what is undefined in two and in one of four resamples, and a constant. */
static void mean_and_gaps(const void *user, const uint32_t *draw, size_t count, double *value)
{
    const size_t call = (*((const struct counted *)user)->calls)++;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += draw[i];
    value[0] = sum / (double)count;
    value[1] = call % 2 ? NAN : 1;
    value[2] = call % 2 && call != 1 ? NAN : 1;
    value[3] = 1;
}

static void intervals_need_two_images_more_than_half_of_the_resamples_and_no_stream(void **state)
{
    (void)state;
    const size_t n[4] = {9, 9, 6, 1};
    struct vj_interval interval[2][4];
    double mean[4];
    for (uint32_t stream = 0; stream < 2; stream++) {
        size_t calls = 0;
        const struct counted counted = {&calls};
        const struct vj_bootstrap boot = {
            .seed = 3, .stream = 7 * stream, .resamples = 4, .confidence = 0.9};
        assert_int_equal(
            vj_bootstrap_intervals(interval[stream], n, 4, &boot, 9, mean_and_gaps, &counted, NULL),
            0);
        assert_int_equal(calls, 4);
        assert_true(isnan(interval[stream][1].low) && isnan(interval[stream][1].high));
        assert_true(interval[stream][2].low == 1 && interval[stream][2].high == 1);
        assert_true(isnan(interval[stream][3].low) && isnan(interval[stream][3].high));
    }
    assert_memory_equal(&interval[0][0], &interval[1][0], sizeof(interval[0][0]));
    /* Those of stream 0, by hand. */
    const struct vj_bootstrap boot = {.seed = 3, .resamples = 4, .confidence = 0.9};
    for (size_t b = 0; b < 4; b++) {
        uint32_t draw[9];
        vj_bootstrap_draw(&boot, b, draw, 9);
        mean[b] = 0;
        for (int i = 0; i < 9; i++)
            mean[b] += draw[i] / 9.0;
    }
    const struct vj_interval expected = vj_percentile_interval(mean, 4, 9, 0.9);
    assert_near(interval[0][0].low, expected.low, 1e-12);
    assert_near(interval[0][0].high, expected.high, 1e-12);
    const struct vj_bootstrap odd = {.resamples = 4, .confidence = 1};
    assert_int_equal(vj_bootstrap_intervals(interval[0], n, 4, &odd, 9, mean_and_gaps, NULL, NULL),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_and_tests_agree_with_numpy_and_scipy),
        cmocka_unit_test(tests_without_a_difference_say_so),
        cmocka_unit_test(a_difference_that_is_not_finite_is_refused),
        cmocka_unit_test(draws_are_uniform_repeatable_and_apart_by_stream),
        cmocka_unit_test(intervals_cover_the_truth_as_often_as_can_be),
        cmocka_unit_test(intervals_need_two_images_more_than_half_of_the_resamples_and_no_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
