/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "host/jnd_rules.h"
#include "tests/host/jnd_pictures.h"
#include "tests/host/jnd_run.h"

/* How tests/golden/jnd/make_rules.py makes a picture worse, written a second time. */
static void make_worse(const uint8_t *luma, size_t width, size_t n, const char *how,
                       uint8_t *candidate)
{
    int amount = atoi(strchr(how, '-') + 1);
    bool quantise = strncmp(how, "quantise", 8) == 0;
    for (size_t i = 0; i < n; i++) {
        int v = luma[i];
        int more = (int)hash_noise(i % width, i / width) % (amount + 1);
        int steps = v / amount * amount + amount / 2;
        if (quantise)
            v = steps > 255 ? 255 : steps;
        else
            v += v + more < 256 ? more : 0;
        candidate[i] = (uint8_t)v;
    }
}

static void the_rules_are_those_of_the_second_implementation(void **state)
{
    (void)state;
    FILE *file = fopen(VJ_TEST_GOLDEN "/jnd/rules.txt", "r");
    assert_non_null(file);
    char picture[32], model[32], variant[32], how[32];
    size_t width, height, lines = 0;
    double share, excess, gain;
    while (fscanf(file, "%31s %zu %zu %31s %31s %31s %lf %lf %lf", picture, &width, &height, model,
                  variant, how, &share, &excess, &gain) == 9) {
        struct vj_error err = {0};
        struct vj_jnd_statistics s;
        size_t index, n = width * height;
        const struct vj_jnd_model *m = vj_jnd_find(model, &err);
        assert_non_null(m);
        assert_int_equal(vj_jnd_variant_find(&index, m, variant, &err), 0);
        uint8_t *luma = take(n, 1), *candidate = take(n, 1);
        float *map = take(n, sizeof(float));
        draw_picture(picture, width, height, luma);
        run(m, index, luma, width, height, 2, map, NULL);
        make_worse(luma, width, n, how, candidate);
        vj_jnd_measure(candidate, luma, map, n, vj_jnd_noise_energy(map, n), &s);
        assert_true(fabs(s.share - share) <= 1e-12);
        if (!(fabs(s.excess - excess) <= 1e-5 * excess + 1e-9) ||
            !(fabs(s.noise_gain - gain) < 1e-5))
            fail_msg("%s %s %s: excess %.9g, noise gain %.9g", picture, model, how, s.excess,
                     s.noise_gain);
        free(luma);
        free(candidate);
        free(map);
        lines++;
    }
    fclose(file);
    assert_true(lines > 20);
}

static void a_difference_of_exactly_the_threshold_does_not_exceed_it(void **state)
{
    (void)state;
    enum { N = 11 };
    static const uint8_t reference[N] = {0, 255, 100, 100, 7, 7, 7, 7, 7, 0, 255};
    static const uint8_t candidate[N] = {3, 252, 103, 103, 7, 7, 7, 7, 7, 255, 0};
    static const float map[N] = {3, 3, 2.5f, 3.5f, 0, 0, 0, 0, 0, 300, 254};
    struct vj_jnd_statistics s;
    double energy = 0;
    for (int i = 0; i < N; i++)
        energy += (double)map[i] * (double)map[i] / N;
    assert_true(fabs(vj_jnd_noise_energy(map, N) - energy) < 1e-9);
    vj_jnd_measure(candidate, reference, map, N, energy, &s);
    assert_true(s.share == 2.0 / N);
    assert_true(s.excess == (0.25 + 1) / N);
    double mse = (4 * 9.0 + 2 * 255.0 * 255.0) / N;
    assert_true(fabs(s.noise_gain - 10 * log10(energy / mse)) < 1e-12);
}

static void equal_pictures_are_lossless_by_every_rule_whatever_the_map(void **state)
{
    (void)state;
    static const uint8_t luma[3] = {1, 2, 3}, other[3] = {1, 2, 4};
    static const float nothing[3] = {0, 0, 0};
    struct vj_jnd_statistics s;
    vj_jnd_measure(luma, luma, nothing, 3, vj_jnd_noise_energy(nothing, 3), &s);
    assert_true(s.share == 0 && s.excess == 0 && s.noise_gain == INFINITY);
    vj_jnd_measure(other, luma, nothing, 3, vj_jnd_noise_energy(nothing, 3), &s);
    assert_true(s.share == 1.0 / 3 && s.noise_gain == -INFINITY);
}

static void rules_are_found_by_name(void **state)
{
    (void)state;
    for (int i = 0; i < VJ_JND_RULES; i++) {
        enum vj_jnd_rule rule = VJ_JND_RULES;
        const char *name = vj_jnd_rule_name((enum vj_jnd_rule)i);
        assert_int_equal(vj_jnd_rule_find(&rule, name, NULL), 0);
        assert_int_equal(rule, i);
    }
    enum vj_jnd_rule rule;
    struct vj_error err = {0};
    assert_int_equal(vj_jnd_rule_find(&rule, "", &err), -EINVAL);
    vj_assert_contains(err.text, "unknown rule '@'; known are @share, @excess and @noise");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_are_those_of_the_second_implementation),
        cmocka_unit_test(a_difference_of_exactly_the_threshold_does_not_exceed_it),
        cmocka_unit_test(equal_pictures_are_lossless_by_every_rule_whatever_the_map),
        cmocka_unit_test(rules_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
