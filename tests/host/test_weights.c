/* SPDX-License-Identifier: MIT */
/* Weights in memory: shapes, lists of tensors, initial values. */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <omp.h>

#include "host/net_internal.h"
#include "host/weights.h"
#include "tests/host/net_formula.h"
#include "tests/host/weights_rig.h"

/* ---- lists ---- */

static size_t parameters(const struct vj_weights *w)
{
    size_t total = 0;
    for (size_t i = 0; i < w->count; i++) {
        size_t count = 1;
        for (int d = 0; d < w->tensors[i].rank; d++)
            count *= w->tensors[i].shape[d];
        assert_int_equal(count, w->tensors[i].count);
        total += count;
    }
    return total;
}

static void parameter_counts_are_those_of_the_paper_network(void **state)
{
    (void)state;
    const struct {
        enum vj_variant variant;
        size_t tensors, parameters, inputs;
    } expected[] = {
        {VJ_VARIANT_RELEASED, 64, 101974366, 98304},
        {VJ_VARIANT_FIGURE, 36, 2229424, 1536},
    };
    for (size_t i = 0; i < 2; i++) {
        struct vj_weights w = {0};
        struct vj_net_shape shape = vj_net_shape_default(expected[i].variant);
        ok(vj_weights_alloc(&w, &shape, &err));
        assert_int_equal(w.count, expected[i].tensors);
        assert_int_equal(parameters(&w), expected[i].parameters);
        assert_int_equal(vj_weights_find(&w, "regressions/block1/weights")->shape[0],
                         expected[i].inputs);
        assert_int_equal(vj_net_head_inputs(&shape), expected[i].inputs);
        vj_weights_free(&w);
        assert_null(w.tensors);
    }
}

static void assert_tensor(const struct vj_weights *w, const char *name, const char *shape)
{
    const struct vj_tensor *t = vj_weights_find(w, name);
    char text[64] = "";
    if (!t)
        fail_msg("no tensor %s", name);
    for (int d = 0; d < t->rank; d++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu ", t->shape[d]);
    if (strcmp(text, shape) != 0)
        fail_msg("%s has shape %s, not %s", name, text, shape);
    for (size_t i = 0; i < t->count; i++)
        assert_true(t->data[i] == 0);
}

static void tensors_carry_the_names_and_shapes_of_the_released_graph(void **state)
{
    (void)state;
    struct vj_weights w = {0};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    ok(vj_weights_alloc(&w, &shape, &err));
    static const char *const scopes[] = {"extract_feature", "extract_jnd_feature"};
    static const struct {
        const char *name, *shape;
    } expected[] = {
        {"conv1/weights", "3 3 3 32 "},
        {"conv1/biases", "32 "},
        {"conv1/ch_at/mlp_0/kernel", "32 2 "},
        {"conv1/ch_at/mlp_0/bias", "2 "},
        {"conv1/ch_at/mlp_1/kernel", "2 32 "},
        {"conv1/ch_at/mlp_1/bias", "32 "},
        {"conv2/weights", "3 3 32 64 "},
        {"conv2/biases", "64 "},
        {"conv2/ch_at/mlp_0/kernel", "64 4 "},
        {"conv2/ch_at/mlp_0/bias", "4 "},
        {"conv2/ch_at/mlp_1/kernel", "4 64 "},
        {"conv2/ch_at/mlp_1/bias", "64 "},
        {"conv3/weights", "3 3 64 128 "},
        {"conv3/biases", "128 "},
        {"conv3/ch_at/mlp_0/kernel", "128 8 "},
        {"conv3/ch_at/mlp_0/bias", "8 "},
        {"conv3/ch_at/mlp_1/kernel", "8 128 "},
        {"conv3/ch_at/mlp_1/bias", "128 "},
        {"conv4/weights", "3 3 128 256 "},
        {"conv4/biases", "256 "},
        {"conv4/Non-local4/g/g_conv/kernel", "1 1 256 256 "},
        {"conv4/Non-local4/g/g_conv/bias", "256 "},
        {"conv4/Non-local4/phi/phi_conv/kernel", "1 1 256 256 "},
        {"conv4/Non-local4/phi/phi_conv/bias", "256 "},
        {"conv4/Non-local4/theta/theta_conv/kernel", "1 1 256 256 "},
        {"conv4/Non-local4/theta/theta_conv/bias", "256 "},
        {"conv4/Non-local4/w/w_conv/kernel", "1 1 256 256 "},
        {"conv4/Non-local4/w/w_conv/bias", "256 "},
    };
    char name[128];
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
            snprintf(name, sizeof(name), "%s/%s", scopes[s], expected[i].name);
            assert_tensor(&w, name, expected[i].shape);
        }
    assert_tensor(&w, "regressions/block1/biases", "512 ");
    assert_tensor(&w, "regressions/block2/weights", "512 1 ");
    assert_tensor(&w, "regressions/block2/biases", "1 ");
    assert_tensor(&w, "weightings/block1/biases", "512 ");
    assert_tensor(&w, "weightings/block2/weights", "512 1 ");
    assert_tensor(&w, "weightings/block2/biases", "1 ");
    assert_null(vj_weights_find(&w, "weightings/block3/biases"));
    vj_weights_free(&w);
}

static void shapes_outside_the_documented_ranges_are_refused(void **state)
{
    (void)state;
    const struct vj_net_shape good = small_shape(VJ_VARIANT_FIGURE);
    const struct {
        int patch_size, patches, channels[VJ_NET_BLOCKS];
        const char *text;
    } bad[] = {
        {0, 1, {16, 16, 16, 8}, "patch_size is 0"},
        {24, 1, {16, 16, 16, 8}, "multiple of 16"},
        {-16, 1, {16, 16, 16, 8}, "patch_size is -16"},
        {272, 1, {16, 16, 16, 8}, "patch_size is 272"},
        {16, 0, {16, 16, 16, 8}, "patches is 0"},
        {16, 5000, {16, 16, 16, 8}, "patches is 5000"},
        {16, 1, {8, 16, 16, 8}, "channels[0] is 8"},
        {16, 1, {16, 40, 16, 8}, "channels[1] is 40"},
        {16, 1, {16, 16, 2048, 8}, "channels[2] is 2048"},
        {16, 1, {16, 16, 16, 0}, "channels[3] is 0"},
        {16, 1, {16, 16, 16, 1025}, "channels[3] is 1025"},
        {16, 1, {16, 16, 16, 8, 16}, "channels[4] is 16, must be 0: the variant has 4 blocks"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vj_weights w = {0};
        struct vj_net_shape s = good;
        s.patch_size = bad[i].patch_size;
        s.patches = bad[i].patches;
        memcpy(s.channels, bad[i].channels, sizeof(s.channels));
        assert_int_equal(vj_weights_alloc(&w, &s, &err), -EINVAL);
        vj_assert_contains(err.text, bad[i].text);
        assert_null(w.tensors);
    }
    struct vj_weights w = {0};
    struct vj_net_shape s = good;
    s.variant = VJ_VARIANTS;
    assert_int_equal(vj_weights_alloc(&w, &s, &err), -EINVAL);
    s = good;
    s.non_local = (enum vj_non_local)7;
    assert_int_equal(vj_weights_alloc(&w, &s, &err), -EINVAL);
}

static void pw_jnd_has_the_tensors_of_ten_convolutions_and_two_heads(void **state)
{
    (void)state;
    struct vj_weights w = {0};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_PW_JND);
    assert_int_equal(shape.patch_size, 32);
    assert_int_equal(shape.patches, 32);
    ok(vj_weights_alloc(&w, &shape, &err));
    assert_int_equal(w.count, 28);
    assert_int_equal(parameters(&w), 6287138);
    assert_tensor(&w, "extract_feature/conv1_1/weights", "3 3 3 32 ");
    assert_tensor(&w, "extract_feature/conv1_2/weights", "3 3 32 32 ");
    assert_tensor(&w, "extract_feature/conv4_1/weights", "3 3 128 256 ");
    assert_tensor(&w, "extract_feature/conv5_2/weights", "3 3 512 512 ");
    assert_tensor(&w, "extract_feature/conv5_2/biases", "512 ");
    assert_tensor(&w, "regressions/block1/weights", "1536 512 ");
    assert_tensor(&w, "weightings/block1/weights", "1536 512 ");
    assert_null(vj_weights_find(&w, "extract_feature/conv1_2/ch_at/mlp_0/kernel"));
    vj_weights_free(&w);
    shape.patch_size = 96; /* 3 x 3 positions */
    ok(vj_weights_alloc(&w, &shape, &err));
    assert_tensor(&w, "weightings/block1/weights", "13824 512 ");
    vj_weights_free(&w);
}

static void shapes_that_pw_jnd_cannot_have_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        static const char *const texts[] = {
            "patch_size is 48, must be a multiple of 32 from 32 to 256", "channels[4] is 24",
            "channels[4] is 0", "channels[3] is 8", "non_local is transpose, but variant pw-jnd"};
        struct vj_weights w = {0};
        struct vj_net_shape s = pw_shape(i == 0 ? 48 : 32, 16, 16, 16, i == 3 ? 8 : 16,
                                         i == 1   ? 24
                                         : i == 2 ? 0
                                                  : 16);
        s.non_local = i == 4 ? VJ_NON_LOCAL_TRANSPOSE : VJ_NON_LOCAL_RESHAPE;
        assert_int_equal(vj_weights_alloc(&w, &s, &err), -EINVAL);
        vj_assert_contains(err.text, texts[i]);
        assert_null(w.tensors);
    }
}

static void names_and_enums_map_onto_each_other(void **state)
{
    (void)state;
    enum vj_variant v = VJ_VARIANT_RELEASED;
    ok(vj_variant_parse(&v, "figure", &err));
    assert_int_equal(v, VJ_VARIANT_FIGURE);
    ok(vj_variant_parse(&v, "released", &err));
    assert_int_equal(v, VJ_VARIANT_RELEASED);
    assert_int_equal(vj_variant_parse(&v, "Figure", &err), -EINVAL);
    vj_assert_contains(err.text, "'Figure' is unknown; known: released, figure");
    assert_string_equal(vj_variant_name(VJ_VARIANT_FIGURE), "figure");
    assert_string_equal(vj_variant_name((enum vj_variant)99), "unknown");
    assert_string_equal(vj_positive_class_name(VJ_POSITIVE_LOSSLESS), "lossless");
    assert_string_equal(vj_positive_class_name((enum vj_positive_class)3), "unknown");
    assert_string_equal(vj_weights_origin_name(VJ_ORIGIN_TRAINED), "trained");
    assert_string_equal(vj_weights_origin_name((enum vj_weights_origin)3), "unknown");
}

/* ---- initial values ---- */

static void normal_quantile_inverts_the_normal_distribution(void **state)
{
    (void)state;
    for (double p = 0.0225; p < 0.978; p += 0.00037) {
        double z = vj_net_normal_quantile(p);
        assert_true(fabs(0.5 * erfc(-z * M_SQRT1_2) - p) <= 4e-16);
    }
    assert_true(vj_net_normal_quantile(0.5) == 0);
    assert_true(fabs(vj_net_normal_quantile(0.975) - 1.959963984540054) <= 1e-15);
}

struct moments {
    double mean, variance, kurtosis, largest;
};

static struct moments moments_of(const struct vj_tensor *t)
{
    struct moments m = {0};
    const double n = (double)t->count;
    for (size_t i = 0; i < t->count; i++)
        m.mean += t->data[i] / n;
    for (size_t i = 0; i < t->count; i++) {
        double d = t->data[i] - m.mean;
        m.variance += d * d / n;
        m.kurtosis += d * d * d * d / n;
        m.largest = fmax(m.largest, fabs((double)t->data[i]));
    }
    m.kurtosis /= m.variance * m.variance;
    return m;
}

/*
 * A standard normal conditioned on |z| < 2 has variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.773741
 * and kurtosis 2.3640 (fourth moment 1.41530 from the same integration by parts), no rescaling. The
 * limits are five standard errors of each estimate.
 */
static void check_truncated_normal(const struct vj_weights *w, const char *name, double stddev)
{
    const struct vj_tensor *t = vj_weights_find(w, name);
    const struct moments m = moments_of(t);
    const double n = (double)t->count, variance = 0.773741 * stddev * stddev;
    const double kurtosis = 1.41530 / (0.773741 * 0.773741);
    assert_true(fabs(m.mean) <= 5 * sqrt(variance / n));
    assert_true(fabs(m.variance - variance) <= 5 * variance * sqrt((kurtosis - 1) / n));
    assert_true(m.largest <= 2 * stddev * (1 + 1e-6));
    if (t->count > 50000) {
        assert_true(m.largest >= 1.99 * stddev);
        assert_true(fabs(m.kurtosis - kurtosis) <= 0.05);
    }
}

static void check_uniform(const struct vj_weights *w, const char *name, double limit)
{
    const struct vj_tensor *t = vj_weights_find(w, name);
    const struct moments m = moments_of(t);
    const double n = (double)t->count, variance = limit * limit / 3;
    assert_true(fabs(m.mean) <= 5 * sqrt(variance / n));
    assert_true(fabs(m.variance - variance) <= 5 * variance * sqrt(0.8 / n));
    assert_true(m.largest <= limit * (1 + 1e-6) && m.largest >= 0.99 * limit);
}

static void initial_values_have_the_distributions_of_the_released_graph(void **state)
{
    (void)state;
    struct vj_weights w = {0};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    ok(vj_weights_init(&w, &shape, 7, &err));
    assert_int_equal(w.origin, VJ_ORIGIN_RANDOM);
    assert_string_equal(w.origin_text, "init seed 7");
    const double heads = 1 / sqrt(1536);
    check_truncated_normal(&w, "extract_feature/conv1/weights", 1 / sqrt(9 * 3));
    check_truncated_normal(&w, "extract_feature/conv2/weights", 1 / sqrt(9 * 32));
    check_truncated_normal(&w, "extract_feature/conv3/weights", 1 / sqrt(9 * 64));
    check_truncated_normal(&w, "extract_feature/conv4/weights", 1 / sqrt(9 * 128));
    check_truncated_normal(&w, "extract_feature/conv3/ch_at/mlp_0/kernel", sqrt(2.6 / 128));
    check_truncated_normal(&w, "extract_feature/conv3/ch_at/mlp_1/kernel", sqrt(2.6 / 8));
    check_truncated_normal(&w, "regressions/block1/weights", heads);
    check_truncated_normal(&w, "weightings/block1/weights", heads);
    check_truncated_normal(&w, "regressions/block2/weights", heads);
    check_truncated_normal(&w, "weightings/block2/weights", heads);
    static const char *const parts[] = {"g", "phi", "theta", "w"};
    for (size_t i = 0; i < 4; i++) {
        char name[128];
        snprintf(name, sizeof(name), "extract_feature/conv4/Non-local4/%s/%s_conv/kernel", parts[i],
                 parts[i]);
        check_uniform(&w, name, sqrt(6.0 / 512));
    }
    for (size_t i = 0; i < w.count; i++)
        if (w.tensors[i].rank == 1)
            for (size_t k = 0; k < w.tensors[i].count; k++)
                assert_true(w.tensors[i].data[k] == 0);
    vj_weights_free(&w);
}

static void initial_values_depend_on_the_seed_and_the_tensor_alone(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED);
    struct vj_weights a = {0}, b = {0}, c = {0};
    omp_set_num_threads(1);
    ok(vj_weights_init(&a, &shape, 1, &err));
    omp_set_num_threads(3);
    ok(vj_weights_init(&b, &shape, 1, &err));
    ok(vj_weights_init(&c, &shape, 2, &err));
    omp_set_num_threads(before);
    assert_string_equal(a.sha256, b.sha256);
    assert_string_not_equal(a.sha256, c.sha256);
    const struct vj_tensor *r = vj_weights_find(&a, "extract_feature/conv1/weights");
    const struct vj_tensor *j = vj_weights_find(&a, "extract_jnd_feature/conv1/weights");
    assert_memory_not_equal(r->data, j->data, r->count * sizeof(float));
    vj_weights_free(&a);
    vj_weights_free(&b);
    vj_weights_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts_are_those_of_the_paper_network),
        cmocka_unit_test(tensors_carry_the_names_and_shapes_of_the_released_graph),
        cmocka_unit_test(shapes_outside_the_documented_ranges_are_refused),
        cmocka_unit_test(pw_jnd_has_the_tensors_of_ten_convolutions_and_two_heads),
        cmocka_unit_test(shapes_that_pw_jnd_cannot_have_are_refused),
        cmocka_unit_test(names_and_enums_map_onto_each_other),
        cmocka_unit_test(normal_quantile_inverts_the_normal_distribution),
        cmocka_unit_test(initial_values_have_the_distributions_of_the_released_graph),
        cmocka_unit_test(initial_values_depend_on_the_seed_and_the_tensor_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
