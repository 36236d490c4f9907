/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "eval/search.h"
#include "host/rng.h"

#define LEVELS VJ_SEARCH_LEVELS_MAX

/* Option sets that every property is held against. */
static const struct vj_search_options variants[] = {
    {VJ_SEARCH_BINARY_BLOCK, 5, 4, 5, 4},   {VJ_SEARCH_BINARY_BLOCK, 1, 1, 5, 4},
    {VJ_SEARCH_BINARY_BLOCK, 2, 1, 5, 4},   {VJ_SEARCH_BINARY_BLOCK, 5, 1, 5, 4},
    {VJ_SEARCH_BINARY_BLOCK, 5, 5, 5, 4},   {VJ_SEARCH_BINARY_BLOCK, 50, 20, 5, 4},
    {VJ_SEARCH_SLIDING_WINDOW, 5, 4, 5, 4}, {VJ_SEARCH_SLIDING_WINDOW, 5, 4, 1, 1},
    {VJ_SEARCH_SLIDING_WINDOW, 5, 4, 9, 3}, {VJ_SEARCH_SLIDING_WINDOW, 5, 4, 101, 101},
    {VJ_SEARCH_FIRST_CROSSING, 5, 4, 5, 4}, {VJ_SEARCH_MAX_LIKELIHOOD, 5, 4, 5, 4},
};
#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

/* A classifier that watches how it is asked. */
struct oracle {
    const float *p;
    int n;
    int seen[LEVELS];
    int asked, calls;
    int fail_at; /* level whose question fails, -1 = none */
};

static int oracle_ask(void *user, int first, int count, float *p_lossy, struct vj_error *err)
{
    struct oracle *o = user;
    assert_true(count >= 1);
    assert_true(first >= 0 && first + count <= o->n);
    o->calls++;
    for (int i = first; i < first + count; i++) {
        assert_int_equal(o->seen[i]++, 0);
        o->asked++;
        if (i == o->fail_at)
            return vj_fail(err, -EIO, "candidate %d cannot be read", i);
        p_lossy[i - first] = o->p[i];
    }
    return 0;
}

/* Lazy and full search on the same answers; checks that they agree and stay in range. */
static struct vj_search_result search(const struct vj_search_options *opt, const float *p, int n)
{
    struct vj_error err = {0};
    struct vj_search_result lazy, full;
    struct oracle o = {.p = p, .n = n, .fail_at = -1};
    assert_int_equal(vj_search_lazy(opt, n, oracle_ask, &o, &lazy, &err), 0);
    assert_int_equal(vj_search_full(opt, n, p, &full, &err), 0);
    assert_int_equal(lazy.level, full.level);
    assert_int_equal(lazy.asked, o.asked);
    assert_int_equal(lazy.calls, o.calls);
    assert_true(lazy.level >= -1 && lazy.level < n);
    assert_true(lazy.asked >= 1 && lazy.asked <= n);
    return lazy;
}

/* "11010" -> 1, 1, 0, 1, 0 */
static int parse_bits(float *p, const char *bits)
{
    int n = 0;
    for (; bits[n]; n++)
        p[n] = bits[n] == '1';
    return n;
}

static int level_of(const struct vj_search_options *opt, const char *bits)
{
    float p[LEVELS];
    int n = parse_bits(p, bits);
    return search(opt, p, n).level;
}

static void a_step_is_found_exactly_for_every_length_and_position(void **state)
{
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        for (int n = 1; n <= LEVELS; n++) {
            for (int k = 0; k <= n; k++) {
                float p[LEVELS];
                for (int i = 0; i < n; i++)
                    p[i] = i < k ? 0.75f : 0.25f;
                assert_int_equal(search(&variants[v], p, n).level, k - 1);
            }
        }
    }
}

static void every_vector_of_up_to_16_answers_gets_a_level(void **state)
{
    (void)state;
    int longest = getenv("VPJND_TEST_FULL") ? 20 : 16;
    for (size_t v = 0; v < VARIANTS; v++) {
        for (int n = 1; n <= longest; n++) {
            for (uint32_t bits = 0; bits < (uint32_t)1 << n; bits++) {
                float p[LEVELS];
                for (int i = 0; i < n; i++)
                    p[i] = (float)((bits >> i) & 1);
                search(&variants[v], p, n);
            }
        }
    }
}

/* Each row of the decision table, seen at the first middle m = 10 of 20 levels with B = 5, t = 4.
 */
static void the_binary_block_table_is_followed_row_by_row(void **state)
{
    (void)state;
    struct vj_search_options o = vj_search_default();
    assert_int_equal(o.kind, VJ_SEARCH_BINARY_BLOCK);
    /*                                  left|right           */
    assert_int_equal(level_of(&o, "1111111111"
                                  "0000000000"),
                     9); /* R = 0, L = B: m - 1 */
    assert_int_equal(level_of(&o, "1111101111"
                                  "0000000000"),
                     9); /* R = 0, t <= L < B: last lossy of the left block */
    assert_int_equal(level_of(&o, "1111111110"
                                  "0000000000"),
                     8);
    assert_int_equal(level_of(&o, "1111111111"
                                  "1101000000"),
                     11); /* L = B: before the first lossless of the right block */
    assert_int_equal(level_of(&o, "1111111111"
                                  "0001000000"),
                     13); /* L = B, R = 1: the only lossy one */
    assert_int_equal(level_of(&o, "1111111111"
                                  "0011000000"),
                     9); /* L = B, the right block opens lossless: m - 1 */
    assert_int_equal(level_of(&o, "1111111000"
                                  "0010000000"),
                     9); /* noisy: floor((6 + 12) / 2) */
    assert_int_equal(level_of(&o, "1111111000"
                                  "0001000000"),
                     9); /* noisy: floor((6 + 13) / 2) */
    assert_int_equal(level_of(&o, "1110000000"
                                  "0001000000"),
                     7); /* noisy, empty left block: floor((2 + 13) / 2) */
    assert_int_equal(level_of(&o, "0000000000"
                                  "0100000000"),
                     5); /* nothing lossy below at all: floor((-1 + 11) / 2) */
    assert_int_equal(
        level_of(&o, "1111111111"
                     "1111100100"),
        15); /* R = B: right, then m = 17: L = 3 < t, R = 1: noisy, (14 + 17) / 2 = 15 */
}

static void compare_with_golden(const char *line, int *checked)
{
    char kind[32], answers[LEVELS + 1];
    int a, b, level;
    assert_int_equal(sscanf(line, "%31[^,],%d,%d,%d,%101s", kind, &a, &b, &level, answers), 5);
    struct vj_search_options o = vj_search_default();
    struct vj_error err = {0};
    assert_int_equal(vj_search_parse(&o.kind, kind, &err), 0);
    float p[LEVELS];
    int n = parse_bits(p, answers);
    if (o.kind == VJ_SEARCH_BINARY_BLOCK) {
        o.block = a;
        o.threshold = b;
    } else if (o.kind == VJ_SEARCH_SLIDING_WINDOW) {
        o.window = a;
        o.window_threshold = b;
    } else if (o.kind == VJ_SEARCH_MAX_LIKELIHOOD) {
        for (int i = 0; i < n; i++) {
            char digit[2] = {answers[i], '\0'};
            p[i] = (float)(2 * strtol(digit, NULL, 16) + 1) / 32;
        }
    }
    int got = search(&o, p, n).level;
    if (got != level)
        fail_msg("%s: found %d", line, got);
    (*checked)++;
}

static void random_vectors_agree_with_an_independent_program(void **state)
{
    (void)state;
    FILE *f = fopen(VJ_TEST_GOLDEN "/eval/search.csv", "r");
    assert_non_null(f);
    char line[256];
    int checked = 0;
    while (fgets(line, sizeof(line), f)) {
        if (line[0] != '#')
            compare_with_golden(line, &checked);
    }
    fclose(f);
    assert_true(checked > 2000);
}

static void a_million_random_vectors_of_100_get_a_level(void **state)
{
    (void)state;
    /* 0: coin tosses; others: a step with this share of wrong answers */
    static const double noise[] = {0.0, 0.02, 0.1, 0.3, 0.5};
    const int count = 5;
    const uint32_t vectors = getenv("VPJND_TEST_FULL") ? 1000000 : 200000;
    struct vj_search_options o = vj_search_default();
    for (int d = 0; d < count; d++) {
        double asked = 0, calls = 0, error = 0;
        int most = 0;
        for (uint32_t v = 0; v < vectors; v++) {
            float p[LEVELS];
            uint64_t stream = (uint64_t)d << 32 | v;
            uint32_t k = vj_random_below(vj_random4(1, VJ_RNG_TEST, stream, 25).v[0], 101);
            for (uint32_t i = 0; i < 100; i++) {
                uint32_t word = vj_random4(1, VJ_RNG_TEST, stream, i / 4).v[i % 4];
                p[i] = (i < k) != (vj_random_unit(word) < noise[d]);
            }
            struct vj_search_result r;
            struct oracle q = {.p = p, .n = 100, .fail_at = -1};
            assert_int_equal(vj_search_lazy(&o, 100, oracle_ask, &q, &r, NULL), 0);
            assert_true(r.level >= -1 && r.level < 100);
            asked += r.asked;
            calls += r.calls;
            error += abs(r.level - ((int)k - 1));
            most = r.asked > most ? r.asked : most;
        }
        print_message("binary-block, 100 levels, %4.0f %% wrong answers: asks %.1f (at most %d) in "
                      "%.1f calls, mean distance to the step %.2f\n",
                      100 * noise[d], asked / vectors, most, calls / vectors, error / vectors);
        if (d == 0) {
            assert_true(error == 0);
            assert_true(most <= 45); /* 5 halvings of 100, ten answers at most at each */
        }
    }
}

static void one_wrong_answer_moves_window_and_likelihood_by_two_at_most(void **state)
{
    (void)state;
    struct vj_search_options window = vj_search_default(), likely = window, block = window;
    window.kind = VJ_SEARCH_SLIDING_WINDOW;
    likely.kind = VJ_SEARCH_MAX_LIKELIHOOD;
    int exact = 0, worst = 0, total = 0;
    for (int k = 0; k <= 100; k++) {
        for (int j = 0; j < 100; j++) {
            float p[LEVELS];
            for (int i = 0; i < 100; i++)
                p[i] = (i < k) != (i == j) ? 0.9f : 0.1f;
            assert_true(abs(search(&window, p, 100).level - (k - 1)) <= 2);
            assert_true(abs(search(&likely, p, 100).level - (k - 1)) <= 2);
            int off = abs(search(&block, p, 100).level - (k - 1));
            exact += off == 0;
            worst = off > worst ? off : worst;
            total++;
        }
    }
    print_message("binary-block with one wrong answer of 100: exact in %.1f %%, at most %d off\n",
                  100.0 * exact / total, worst);
    assert_true(exact > total * 8 / 10);
}

static void all_lossy_and_all_lossless_are_told_apart(void **state)
{
    (void)state;
    static const int lengths[] = {1, 51, 100, 101};
    for (size_t v = 0; v < VARIANTS; v++) {
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            int n = lengths[l];
            float p[LEVELS];
            for (int i = 0; i < n; i++)
                p[i] = 0;
            assert_int_equal(search(&variants[v], p, n).level, -1);
            for (int i = 0; i < n; i++)
                p[i] = 1;
            assert_int_equal(search(&variants[v], p, n).level, n - 1);
        }
    }
    assert_int_equal(vj_search_qf(-1, 1), 1);
    assert_int_equal(vj_search_qf(0, 1), 1);
    assert_int_equal(vj_search_qf(99, 1), 100);
    assert_int_equal(vj_search_qf(-1, 10), 10);
    /* The lowest candidate is the smallest lossless one where it was called so, and nowhere else.
     */
    assert_int_equal(vj_search_lossless_qf(10, true, 10, 20), 10);
    assert_int_equal(vj_search_lossless_qf(10, false, 10, 20), 11);
    assert_int_equal(vj_search_lossless_qf(12, true, 10, 20), 13);
    assert_int_equal(vj_search_lossless_qf(20, false, 10, 20), -1);
    assert_int_equal(vj_search_lossless_qf(10, true, 10, 10), 10);
    assert_int_equal(vj_search_lossless_qf(10, false, 10, 10), -1);
}

static void likelihood_weighs_probabilities_and_survives_zero_and_one(void **state)
{
    (void)state;
    struct vj_search_options o = vj_search_default();
    o.kind = VJ_SEARCH_MAX_LIKELIHOOD;
    const float weak_error[] = {0.9f, 0.4f, 0.9f, 0.1f};
    assert_int_equal(search(&o, weak_error, 4).level, 2);
    const float strong_error[] = {0.9f, 0.02f, 0.9f, 0.1f};
    assert_int_equal(search(&o, strong_error, 4).level, 0);
    const float certain[] = {1, 1, 0, 1, 0, 0};
    assert_int_equal(search(&o, certain, 6).level, 3); /* tie with 1: the higher */
    const float undecided[] = {0.5f, 0.5f, 0.5f};
    assert_int_equal(search(&o, undecided, 3).level, -1);
    const float half_above[] = {1, 1, 0.5f, 0.5f, 0, 0};
    assert_int_equal(search(&o, half_above, 6).level, 1);
    const float half_within[] = {1, 0.5f, 0, 1, 0.5f, 0};
    assert_int_equal(search(&o, half_within, 6).level, 3); /* tie with 0: the higher lossy one */
    const float long_tie[] = {0.7f, 0.6f, 0.3f, 0.4f, 0.6f, 0.4f};
    assert_int_equal(search(&o, long_tie, 6).level, 1);
}

static void first_crossing_stops_at_the_first_lossless_answer(void **state)
{
    (void)state;
    struct vj_search_options o = vj_search_default();
    o.kind = VJ_SEARCH_FIRST_CROSSING;
    assert_int_equal(level_of(&o, "11011111"), 1);
    assert_int_equal(level_of(&o, "01111111"), -1);
    float p[] = {1, 1, 0, 1, 1};
    assert_int_equal(search(&o, p, 5).asked, 3);
}

static void the_window_comes_down_from_high_quality(void **state)
{
    (void)state;
    struct vj_search_options o = vj_search_default();
    o.kind = VJ_SEARCH_SLIDING_WINDOW;
    assert_int_equal(level_of(&o, "1111100000100"), 4); /* one lossy answer does not stop it */
    assert_int_equal(level_of(&o, "1111101011000"), 6); /* 1 0 1 1 1 1 .. : 1 1 0 1 of levels 2-6 */
    assert_int_equal(level_of(&o, "1110000000"), 2);    /* fewer lossy levels than T */
    o.window = 3;
    o.window_threshold = 3;
    assert_int_equal(level_of(&o, "1111101101"), 4);
}

static void a_half_is_lossless(void **state)
{
    (void)state;
    assert_false(vj_is_lossy(0.5f));
    assert_true(vj_is_lossy(nextafterf(0.5f, 1)));

    /* In every search: scores 1 up to QF 30, a half up to 60, 0 above. */
    float p[100];
    for (int i = 0; i < 100; i++)
        p[i] = i < 30 ? 1 : i < 60 ? 0.5f : 0;
    for (size_t v = 0; v < VARIANTS; v++)
        assert_int_equal(search(&variants[v], p, 100).level, 29);
}

static void failures_of_the_classifier_come_through(void **state)
{
    (void)state;
    float p[LEVELS] = {0};
    struct vj_search_result r;
    for (size_t v = 0; v < VARIANTS; v++) {
        struct vj_error err = {0};
        struct oracle o = {.p = p, .n = 20, .fail_at = 0};
        assert_int_equal(vj_search_lazy(&variants[v], 20, oracle_ask, &o, &r, &err), -EIO);
        assert_string_equal(err.text, "candidate 0 cannot be read");
        p[0] = NAN;
        assert_int_equal(vj_search_full(&variants[v], 20, p, &r, &err), -EDOM);
        vj_assert_contains(err.text, "level 0 is");
        p[0] = 1.5f;
        assert_int_equal(vj_search_full(&variants[v], 20, p, &r, &err), -EDOM);
        p[0] = 0;
    }
}

static void options_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_search_result r;
    float p[LEVELS] = {0};
    struct vj_search_options o = vj_search_default();
    assert_int_equal(vj_search_full(&o, 0, p, &r, &err), -EINVAL);
    assert_int_equal(vj_search_full(&o, 102, p, &r, &err), -EINVAL);
    vj_assert_contains(err.text, "102 levels");
    o.block = 0;
    assert_int_equal(vj_search_check(&o, &err), -EINVAL);
    vj_assert_contains(err.text, "block is 0");
    o.block = 51;
    assert_int_equal(vj_search_full(&o, 10, p, &r, &err), -EINVAL);
    o = vj_search_default();
    o.threshold = 6;
    assert_int_equal(vj_search_check(&o, &err), -EINVAL);
    vj_assert_contains(err.text, "it must be 1 to 5");
    o = vj_search_default();
    o.window = 102;
    assert_int_equal(vj_search_check(&o, &err), -EINVAL);
    o = vj_search_default();
    o.window_threshold = 6;
    assert_int_equal(vj_search_check(&o, &err), -EINVAL);
    vj_assert_contains(err.text, "window threshold");
    o = vj_search_default();
    o.kind = (enum vj_search_kind)7;
    assert_int_equal(vj_search_check(&o, &err), -EINVAL);
}

static void names_read_back_and_unknown_ones_list_the_known(void **state)
{
    (void)state;
    struct vj_error err = {0};
    for (int k = 0; k < VJ_SEARCH_KINDS; k++) {
        enum vj_search_kind parsed;
        const char *name = vj_search_name((enum vj_search_kind)k);
        assert_int_equal(vj_search_parse(&parsed, name, &err), 0);
        assert_int_equal(parsed, k);
    }
    enum vj_search_kind kind;
    assert_int_equal(vj_search_parse(&kind, "binary", &err), -EINVAL);
    vj_assert_contains(err.text, "sliding-window, first-crossing or max-likelihood");
    char text[64];
    struct vj_search_options o = vj_search_default();
    assert_string_equal(vj_search_describe(&o, text, sizeof(text)), "binary-block (B = 5, t = 4)");
    o.kind = VJ_SEARCH_SLIDING_WINDOW;
    assert_string_equal(vj_search_describe(&o, text, sizeof(text)),
                        "sliding-window (W = 5, T = 4)");
    o.kind = VJ_SEARCH_MAX_LIKELIHOOD;
    assert_string_equal(vj_search_describe(&o, text, sizeof(text)), "max-likelihood");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_found_exactly_for_every_length_and_position),
        cmocka_unit_test(every_vector_of_up_to_16_answers_gets_a_level),
        cmocka_unit_test(the_binary_block_table_is_followed_row_by_row),
        cmocka_unit_test(random_vectors_agree_with_an_independent_program),
        cmocka_unit_test(a_million_random_vectors_of_100_get_a_level),
        cmocka_unit_test(one_wrong_answer_moves_window_and_likelihood_by_two_at_most),
        cmocka_unit_test(all_lossy_and_all_lossless_are_told_apart),
        cmocka_unit_test(likelihood_weighs_probabilities_and_survives_zero_and_one),
        cmocka_unit_test(first_crossing_stops_at_the_first_lossless_answer),
        cmocka_unit_test(the_window_comes_down_from_high_quality),
        cmocka_unit_test(a_half_is_lossless),
        cmocka_unit_test(failures_of_the_classifier_come_through),
        cmocka_unit_test(options_out_of_range_are_refused_by_name),
        cmocka_unit_test(names_read_back_and_unknown_ones_list_the_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
