/* SPDX-License-Identifier: MIT */
/*
 * Kernels of the training step on the CPU, continued: heads, dropout and loss against differences
 * of their forms in double; the foldings against host/net_fold.h, and the way back of a linear
 * folding as its adjoint; Adam against its formula.
 */
#include "tests/cuda/train_slopes.h"

#include <errno.h>

#include "host/net_fold.h"
#include "host/weights.h"
#include "tests/cuda/emulate_memory.h"

enum { HIDDEN = VJ_NET_HIDDEN, BOTH = 2 * HIDDEN };

/* ---- heads, dropout, loss ---- */

enum { PAIRS = 3, PATCHES = 4, ROWS = PAIRS * PATCHES, STRIDE = 15, SLICES = 2 };

/* First layers' sums as the products leave them, second layers, targets. */
struct heads {
    float *constant; /* [PAIRS][PATCHES][BOTH] */
    float *pair;     /* [PAIRS][SLICES][PATCHES][BOTH] */
    float *of_times; /* [PAIRS][SLICES][PATCHES][HIDDEN] */
    float *kernel[2], *bias[2];
    float target[PAIRS], importance[PAIRS];
    float keep;
    int varied; /* 0 constant, 1 pair, 2 of_times, 3 + head kernels, 5 + head biases */
};

static struct heads heads_make(float keep)
{
    struct heads h = {.constant = noise(ROWS * BOTH, 1, -1, 1),
                      .pair = noise(SLICES * ROWS * BOTH, 2, -1, 1),
                      .of_times = noise(SLICES * ROWS * HIDDEN, 3, -1, 1),
                      .target = {1, 0, 1},
                      .importance = {1, 2.5f, 0.5f},
                      .keep = keep};
    for (int head = 0; head < 2; head++) {
        h.kernel[head] = noise(HIDDEN, 4 + (uint32_t)head, -0.1f, 0.1f);
        h.bias[head] = noise(1, 6 + (uint32_t)head, 0.5f, 1);
    }
    h.bias[1][0] = 0.2f; /* some patches have no weight, others do */
    return h;
}

static void heads_free(struct heads *h)
{
    void *const all[] = {h->constant,  h->pair,    h->of_times, h->kernel[0],
                         h->kernel[1], h->bias[0], h->bias[1]};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

static double head_output(const struct heads *h, const double *x, size_t row, int head)
{
    const size_t pair = row / PATCHES, patch = row % PATCHES;
    double out = h->varied == 5 + head ? x[0] : (double)h->bias[head][0];
    for (size_t u = 0; u < HIDDEN; u++) {
        const size_t column = (size_t)head * HIDDEN + u;
        const size_t at = row * BOTH + column;
        double sum = h->varied == 0 ? x[at] : (double)h->constant[at];
        float factor[4];
        for (size_t s = 0; s < SLICES; s++) {
            const size_t slice = (pair * SLICES + s) * PATCHES + patch;
            sum +=
                h->varied == 1 ? x[slice * BOTH + column] : (double)h->pair[slice * BOTH + column];
            if (head)
                sum += h->varied == 2 ? x[slice * HIDDEN + u]
                                      : (double)h->of_times[slice * HIDDEN + u];
        }
        vj_dropout4(99, 7, head, (uint32_t)row, (uint32_t)u / 4, h->keep, factor);
        const double kernel = h->varied == 3 + head ? x[u] : (double)h->kernel[head][u];
        out += fmax(sum, 0) * (double)factor[u % 4] * kernel;
    }
    return out;
}

static double heads_objective(const double *x, const void *user)
{
    const struct heads *h = user;
    double loss = 0;
    for (size_t i = 0; i < PAIRS; i++) {
        double weighted = 0, weights = 0;
        for (size_t p = 0; p < PATCHES; p++) {
            const double a = fmax(head_output(h, x, i * PATCHES + p, 1), 0) + 1e-6;
            weighted += a * head_output(h, x, i * PATCHES + p, 0);
            weights += a;
        }
        const double logit = weighted / weights, t = (double)h->target[i];
        loss +=
            (double)h->importance[i] * (t * log(1 + exp(-logit)) + (1 - t) * log(1 + exp(logit)));
    }
    return loss;
}

/* What the kernels give. */
struct heads_back {
    float hidden[ROWS * BOTH]; /* gradient before relu */
    float kernel[2][HIDDEN], bias[2];
    float logit[PAIRS];
    double loss[PAIRS];
};

static void run_heads(const struct heads *h, struct heads_back *back)
{
    float *out = rubbish(2 * STRIDE, sizeof(float)), *gradient = rubbish(2 * STRIDE, sizeof(float));
    const struct vj_cuda_train_second second = {{h->kernel[0], h->kernel[1]},
                                                {h->bias[0], h->bias[1]}};
    const struct vj_cuda_train_second to = {{back->kernel[0], back->kernel[1]},
                                            {&back->bias[0], &back->bias[1]}};
    memset(back, 0, sizeof(*back));
    for (size_t i = 0; i < PAIRS; i++) {
        const struct vj_cuda_train_hidden_job hidden = {
            .constant = h->constant + i * PATCHES * BOTH,
            .pair = h->pair + i * SLICES * PATCHES * BOTH,
            .of_times = h->of_times ? h->of_times + i * SLICES * PATCHES * HIDDEN : NULL,
            .hidden = back->hidden + i * PATCHES * BOTH,
            .rows = PATCHES,
            .slices = SLICES,
            .count = PATCHES * BOTH / 4,
            .seed = 99,
            .step = 7,
            .first = (uint32_t)(i * PATCHES),
            .keep = h->keep};
        launched(vj_cuda_train_hidden_launch(NULL, &hidden));
    }
    const struct vj_cuda_train_out_job of_out = {back->hidden, second, out, STRIDE};
    const struct vj_cuda_train_loss_job loss = {
        out, h->target, h->importance, gradient, back->logit, back->loss, STRIDE, PATCHES, PAIRS};
    const struct vj_cuda_train_second_job of_second = {back->hidden, gradient, to,
                                                       STRIDE,       ROWS,     BOTH + 2};
    const struct vj_cuda_train_unhide_job unhide = {back->hidden, gradient,    second,
                                                    STRIDE,       ROWS * BOTH, h->keep};
    launched(vj_cuda_train_out_launch(NULL, &of_out, ROWS));
    launched(vj_cuda_train_loss_launch(NULL, &loss));
    launched(vj_cuda_train_second_launch(NULL, &of_second));
    launched(vj_cuda_train_unhide_launch(NULL, &unhide));
    free(out);
    free(gradient);
}

/* A pair's sums all have the gradient of their unit: spread to the layout of what was summed. */
static float *spread(const float *hidden, size_t columns)
{
    float *all = rubbish(SLICES * ROWS * columns, sizeof(float));
    for (size_t i = 0; i < SLICES * ROWS * columns; i++) {
        const size_t column = i % columns, patch = i / columns % PATCHES;
        const size_t pair = i / (columns * PATCHES * SLICES);
        all[i] = hidden[(pair * PATCHES + patch) * BOTH + (BOTH - columns) + column];
    }
    return all;
}

static void compare_heads(struct heads *h, const struct heads_back *back)
{
    float *pair = spread(back->hidden, BOTH), *of_times = spread(back->hidden, HIDDEN);
    double total = 0;
    for (int i = 0; i < PAIRS; i++)
        total += back->loss[i];
    h->varied = -1;
    const double want = heads_objective(NULL, h);
    assert_true(fabs(total - want) <= 1e-6 * want);
    h->varied = 0;
    compare_slopes("constant", heads_objective, h, h->constant, ROWS * BOTH, back->hidden, 60);
    h->varied = 1;
    compare_slopes("pair", heads_objective, h, h->pair, SLICES * ROWS * BOTH, pair, 60);
    h->varied = 2;
    compare_slopes("of times", heads_objective, h, h->of_times, SLICES * ROWS * HIDDEN, of_times,
                   40);
    for (int head = 0; head < 2; head++) {
        h->varied = 3 + head;
        compare_slopes("kernel", heads_objective, h, h->kernel[head], HIDDEN, back->kernel[head],
                       30);
        h->varied = 5 + head;
        compare_slopes("bias", heads_objective, h, h->bias[head], 1, &back->bias[head], 1);
    }
    free(pair);
    free(of_times);
}

static void heads_and_loss_pass_their_slopes_with_and_without_dropout(void **state)
{
    (void)state;
    static const float keeps[] = {1.0f, 0.5f, 0.75f};
    for (int k = 0; k < 3; k++) {
        struct heads h = heads_make(keeps[k]);
        struct heads_back *back = malloc(sizeof(*back)), *again = malloc(sizeof(*again));
        run_heads(&h, back);
        compare_heads(&h, back);
        size_t dropped = 0;
        for (size_t i = 0; i < ROWS * BOTH; i++)
            dropped += back->hidden[i] == 0;
        print_message("keep %.2f: %zu of %d units pass nothing\n", (double)keeps[k], dropped,
                      ROWS * BOTH);
        IN_SEVERAL_ORDERS
        {
            run_heads(&h, again);
            assert_memory_equal(again, back, sizeof(*back));
        }
        free(back);
        free(again);
        heads_free(&h);
    }
}

/* A network that sees no map: as if its product were 0. */
static void without_a_product_heads_are_those_of_a_product_of_zero(void **state)
{
    (void)state;
    struct heads h = heads_make(0.5f);
    float *of_times = h.of_times;
    struct heads_back *zero = malloc(sizeof(*zero)), *none = malloc(sizeof(*none));
    memset(of_times, 0, SLICES * ROWS * HIDDEN * sizeof(float));
    run_heads(&h, zero);
    h.of_times = NULL;
    run_heads(&h, none);
    assert_memory_equal(zero, none, sizeof(*none));
    h.of_times = of_times;
    free(zero);
    free(none);
    heads_free(&h);
}

/* One weight alone, others 0 or beyond: numbers that are easy to get wrong in single precision. */
static void losses_of_extreme_logits_are_finite(void **state)
{
    (void)state;
    static const float quality[] = {200, -200, 1e4f, 0};
    static const float weight[] = {3, -1, 0, 1e-20f};
    float target[] = {0, 0, 1, 1}, importance[] = {1, 1, 1, 0};
    float out[8], gradient[8], logit[4];
    double loss[4];
    for (int i = 0; i < 4; i++) {
        out[i] = quality[i];
        out[4 + i] = weight[i];
    }
    const struct vj_cuda_train_loss_job job = {out,  target, importance, gradient, logit,
                                               loss, 4,      1,          4};
    launched(vj_cuda_train_loss_launch(NULL, &job));
    assert_true(logit[0] == 200 && logit[1] == -200 && logit[2] == 1e4f && logit[3] == 0);
    assert_true(fabs(loss[0] - 200) < 1e-9 && loss[1] >= 0 && loss[1] < 1e-80);
    assert_true(loss[2] == 0 && loss[3] == 0);
    assert_true(fabsf(gradient[0] - 1) < 1e-6f && fabsf(gradient[1]) < 1e-30f);
    assert_true(gradient[2] == 0 && gradient[3] == 0);
    for (int i = 4; i < 8; i++)
        assert_true(gradient[i] == 0); /* of one patch the weight does not matter */
}

static void a_reference_has_the_sum_of_its_pairs(void **state)
{
    (void)state;
    enum { PICTURE = 7, REFERENCES = 3, N = 5 };
    static const uint32_t reference[N] = {2, 0, 2, 2, 0};
    float *hidden = noise(N * PICTURE, 1, -1, 1);
    IN_SEVERAL_ORDERS
    {
        float out[REFERENCES * PICTURE];
        const struct vj_cuda_train_share_job job = {hidden,  reference, out,
                                                    PICTURE, N,         REFERENCES * PICTURE};
        launched(vj_cuda_train_share_launch(NULL, &job));
        for (size_t i = 0; i < PICTURE; i++) {
            assert_true(out[i] == hidden[PICTURE + i] + hidden[4 * PICTURE + i]);
            assert_true(out[PICTURE + i] == 0);
            assert_true(out[2 * PICTURE + i] ==
                        hidden[i] + hidden[2 * PICTURE + i] + hidden[3 * PICTURE + i]);
        }
    }
    free(hidden);
}

static void a_product_passes_each_factor_times_the_other(void **state)
{
    (void)state;
    enum { N = 300 };
    float *gradient = noise(N, 1, -1, 1), *f_d = noise(N, 2, -1, 1), *f_j = noise(N, 3, -1, 1);
    float *d = noise(N, 4, -1, 1), *j = noise(N, 5, -1, 1);
    float *d_before = noise(N, 4, -1, 1), *j_before = noise(N, 5, -1, 1);
    const struct vj_cuda_train_factors_job job = {gradient, f_d, f_j, d, j, N};
    launched(vj_cuda_train_factors_launch(NULL, &job));
    for (size_t i = 0; i < N; i++) {
        assert_true(d[i] == d_before[i] + gradient[i] * f_j[i]);
        assert_true(j[i] == j_before[i] + gradient[i] * f_d[i]);
    }
    void *const all[] = {gradient, f_d, f_j, d, j, d_before, j_before};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

/* ---- foldings ---- */

/* Sum of products, for <fold(x), y> = <x, unfold(y)>. */
static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void kernels_are_folded_as_for_evaluation_and_back_as_the_adjoint(void **state)
{
    (void)state;
    static const struct {
        int real_in, real_out, in, out;
    } list[] = {{3, 32, 4, 32}, {16, 21, 16, 24}, {32, 16, 32, 16}, {48, 1, 48, 4}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct vj_cuda_net_conv conv = {.in = list[i].in,
                                              .out = list[i].out,
                                              .real_in = list[i].real_in,
                                              .real_out = list[i].real_out};
        const size_t real = 9 * (size_t)conv.real_in * (size_t)conv.real_out;
        const size_t padded = 9 * (size_t)conv.in * (size_t)conv.out;
        float *hwio = noise(real, 1, -1, 1), *krsc = rubbish(padded, sizeof(float));
        float *want = rubbish(padded, sizeof(float)), *y = noise(padded, 2, -1, 1);
        float *back = rubbish(real, sizeof(float));
        const struct vj_cuda_train_kernel_job fold = {
            hwio, krsc, (size_t)conv.in, (size_t)conv.real_in, (size_t)conv.real_out, padded};
        const struct vj_cuda_train_kernel_job unfold = {
            back, y, (size_t)conv.in, (size_t)conv.real_in, (size_t)conv.real_out, real};
        vj_cuda_net_conv_kernel(&conv, hwio, want);
        IN_SEVERAL_ORDERS
        {
            launched(vj_cuda_train_fold_kernel_launch(NULL, &fold));
            launched(vj_cuda_train_unfold_kernel_launch(NULL, &unfold));
            assert_memory_equal(krsc, want, padded * sizeof(float));
            assert_true(fabs(dot(krsc, y, padded) - dot(hwio, back, real)) <= 1e-9);
        }
        void *const all[] = {hwio, krsc, want, y, back};
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
            free(all[k]);
    }
}

static void fill_weights(struct vj_weights *w)
{
    for (size_t i = 0; i < w->count; i++)
        for (size_t k = 0; k < w->tensors[i].count; k++)
            w->tensors[i].data[k] =
                (float)vj_random_unit(vj_random4(i, VJ_RNG_TEST, 0, (uint32_t)k).v[0]) - 0.5f;
}

static struct vj_weights make_weights(enum vj_variant variant)
{
    struct vj_net_shape shape = vj_net_shape_default(variant);
    struct vj_weights w = {0};
    shape.patch_size = 32;
    for (int i = 0; i < VJ_NET_BLOCKS; i++)
        shape.channels[i] = shape.channels[i] ? 16 : 0;
    if (variant != VJ_VARIANT_PW_JND)
        shape.channels[3] = 21;
    assert_int_equal(vj_weights_alloc(&w, &shape, NULL), 0);
    fill_weights(&w);
    return w;
}

static void compare_part(const struct vj_weights *w, enum vj_fold_part part, const float *have,
                         size_t ld, size_t features)
{
    float *want = rubbish(features * HIDDEN, sizeof(float));
    assert_int_equal(vj_net_fold_head(w, part, want, NULL), 0);
    for (size_t i = 0; i < features * HIDDEN; i++)
        assert_true(fabsf(have[i / HIDDEN * ld + i % HIDDEN] - want[i]) <= 3e-7f);
    free(want);
}

static void heads_are_folded_as_for_evaluation_and_back_as_the_adjoint(void **state)
{
    (void)state;
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const bool jnd = variant != VJ_VARIANT_PW_JND; /* there is a product */
        struct vj_weights w = make_weights((enum vj_variant)variant);
        const size_t features = vj_net_features(&w.shape), count = features * HIDDEN;
        const size_t inputs = vj_net_head_inputs(&w.shape) * HIDDEN;
        float *quality = vj_weights_find(&w, "regressions/block1/weights")->data;
        float *weight = vj_weights_find(&w, "weightings/block1/weights")->data;
        float *reference = rubbish(2 * count, sizeof(float));
        float *distorted = rubbish(2 * count, sizeof(float));
        float *product = rubbish(count, sizeof(float));
        float *y[3] = {noise(2 * count, 1, -1, 1), noise(2 * count, 2, -1, 1),
                       noise(count, 3, -1, 1)};
        float *back[2] = {rubbish(inputs, sizeof(float)), rubbish(inputs, sizeof(float))};
        const size_t halves = variant == VJ_VARIANT_RELEASED ? 2 : 1;
        const struct vj_cuda_train_heads_job fold = {
            quality, weight, reference, distorted, jnd ? product : NULL, halves, features, count};
        const struct vj_cuda_train_heads_job unfold = {back[0],           back[1], y[0],     y[1],
                                                       jnd ? y[2] : NULL, halves,  features, count};
        IN_SEVERAL_ORDERS
        {
            launched(vj_cuda_train_fold_heads_launch(NULL, &fold));
            launched(vj_cuda_train_unfold_heads_launch(NULL, &unfold));
        }
        compare_part(&w, VJ_FOLD_QUALITY_REFERENCE, reference, BOTH, features);
        compare_part(&w, VJ_FOLD_WEIGHT_REFERENCE, reference + HIDDEN, BOTH, features);
        compare_part(&w, VJ_FOLD_QUALITY_DISTORTED, distorted, BOTH, features);
        compare_part(&w, VJ_FOLD_WEIGHT_DISTORTED, distorted + HIDDEN, BOTH, features);
        if (jnd)
            compare_part(&w, VJ_FOLD_WEIGHT_PRODUCT, product, HIDDEN, features);
        const double folded = dot(reference, y[0], 2 * count) + dot(distorted, y[1], 2 * count) +
                              (jnd ? dot(product, y[2], count) : 0);
        const double unfolded = dot(quality, back[0], inputs) + dot(weight, back[1], inputs);
        assert_true(fabs(folded) > 1 && fabs(folded - unfolded) <= 1e-5 * sqrt((double)inputs));
        void *const all[] = {reference, distorted, product, y[0], y[1], y[2], back[0], back[1]};
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
            free(all[k]);
        vj_weights_free(&w);
    }
}

/* ---- g and w ---- */

enum { C = 21 };

struct merge {
    float *g, *g_bias, *w, *w_bias;
    const float *gradient, *bias_gradient;
    int varied; /* 0 g, 1 g_bias, 2 w, 3 w_bias */
};

static double merge_objective(const double *x, const void *user)
{
    const struct merge *m = user;
    double loss = 0;
    for (size_t row = 0; row <= C; row++)
        for (size_t o = 0; o < C; o++) {
            double sum = row < C ? 0 : m->varied == 3 ? x[o] : (double)m->w_bias[o];
            for (size_t k = 0; k < C; k++) {
                const double g = row < C
                                     ? m->varied == 0 ? x[row * C + k] : (double)m->g[row * C + k]
                                 : m->varied == 1 ? x[k]
                                                  : (double)m->g_bias[k];
                sum += g * (m->varied == 2 ? x[k * C + o] : (double)m->w[k * C + o]);
            }
            loss += sum * (double)(row < C ? m->gradient[row * C + o] : m->bias_gradient[o]);
        }
    return loss;
}

static void g_and_w_are_merged_as_for_evaluation_and_pass_their_slopes(void **state)
{
    (void)state;
    static const char format[] = "extract_feature/conv4/Non-local4/%c/%c_conv/%s";
    struct vj_weights weights = make_weights(VJ_VARIANT_FIGURE);
    float *tensor[4], *back[4], *merged = rubbish(C * C, sizeof(float));
    float *merged_bias = rubbish(C, sizeof(float)), want[C * C], want_bias[C];
    static const size_t counts[4] = {C * C, C, C * C, C};
    for (int i = 0; i < 4; i++) {
        const char part = i < 2 ? 'g' : 'w';
        char name[128];
        snprintf(name, sizeof(name), format, part, part, i % 2 ? "bias" : "kernel");
        tensor[i] = vj_weights_find(&weights, name)->data;
        back[i] = rubbish(counts[i], sizeof(float));
    }
    float *gradient = noise(C * C, 1, -1, 1), *bias_gradient = noise(C, 2, -1, 1);
    struct merge m = {tensor[0], tensor[1], tensor[2], tensor[3], gradient, bias_gradient, 0};
    const struct vj_cuda_train_merge_job merge = {m.g,    m.g_bias,    m.w, m.w_bias,
                                                  merged, merged_bias, C,   C * C + C};
    const struct vj_cuda_train_unmerge_job unmerge = {
        m.g,     m.g_bias, m.w,     gradient, bias_gradient,  back[0],
        back[1], back[2],  back[3], C,        2 * (C * C + C)};
    IN_SEVERAL_ORDERS
    {
        launched(vj_cuda_train_merge_launch(NULL, &merge));
        launched(vj_cuda_train_unmerge_launch(NULL, &unmerge));
    }
    assert_int_equal(vj_net_fold_value(&weights, "extract_feature", want, want_bias, NULL), 0);
    assert_memory_equal(merged, want, sizeof(want));
    assert_memory_equal(merged_bias, want_bias, sizeof(want_bias));
    for (m.varied = 0; m.varied < 4; m.varied++)
        compare_slopes("merged", merge_objective, &m, tensor[m.varied], counts[m.varied],
                       back[m.varied], 20);
    for (int i = 0; i < 4; i++)
        free(back[i]);
    free(gradient);
    free(bias_gradient);
    free(merged);
    free(merged_bias);
    vj_weights_free(&weights);
}

/* ---- the update ---- */

static void only_finite_gradients_pass(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    enum { N = 1000 };
    float *gradient = noise(N, 1, -1e30f, 1e30f);
    int flag = 0;
    const struct vj_cuda_train_finite_job job = {gradient, &flag, N};
    gradient[3] = 3.4e38f;
    gradient[4] = 1e-45f;
    launched(vj_cuda_train_finite_launch(NULL, &job));
    assert_int_equal(flag, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const float good = gradient[N - 1];
        gradient[N - 1] = bad[i];
        flag = 0;
        launched(vj_cuda_train_finite_launch(NULL, &job));
        assert_int_equal(flag, 1);
        gradient[N - 1] = good;
    }
    free(gradient);
}

/* Three steps against the formula of TensorFlow's documentation in double. */
static void updates_are_adams(void **state)
{
    (void)state;
    enum { N = 500 };
    const struct vj_adam adam = {0.9, 0.999, 1e-8};
    const double rate = 1e-3, average = 0.9999;
    float *w = noise(N, 1, -1, 1), *start = noise(N, 1, -1, 1), *mean = noise(N, 1, -1, 1);
    float *m = zeros(N), *v = zeros(N);
    double want[N], want_m[N] = {0}, want_v[N] = {0}, want_mean[N];
    for (size_t i = 0; i < N; i++)
        want[i] = want_mean[i] = (double)w[i];
    for (uint64_t step = 1; step <= 3; step++) {
        float *gradient = noise(N, 10 + (uint32_t)step, -0.1f, 0.1f);
        const double t = (double)step, decay = fmin(average, (1 + (t - 1)) / (10 + (t - 1)));
        const double corrected = rate * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t));
        const struct vj_cuda_train_adam_job job = {
            vj_adam_at(&adam, average, step, rate), gradient, w, m, v, mean, N};
        launched(vj_cuda_train_adam_launch(NULL, &job));
        for (size_t i = 0; i < N; i++) {
            const double g = (double)gradient[i];
            want_m[i] = 0.9 * want_m[i] + 0.1 * g;
            want_v[i] = 0.999 * want_v[i] + 0.001 * g * g;
            want[i] -= corrected * want_m[i] / (sqrt(want_v[i]) + 1e-8);
            want_mean[i] = decay * want_mean[i] + (1 - decay) * want[i];
            assert_true(fabs((double)w[i] - want[i]) <= 3e-7);
            assert_true(fabs((double)mean[i] - want_mean[i]) <= 3e-7);
            if (step == 1) /* the first step is as long as the rate, whatever the gradient */
                assert_true(fabs(fabs((double)w[i] - (double)start[i]) - rate) <= 1e-2 * rate);
        }
        free(gradient);
    }
    void *const all[] = {w, start, mean, m, v};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_and_loss_pass_their_slopes_with_and_without_dropout),
        cmocka_unit_test(without_a_product_heads_are_those_of_a_product_of_zero),
        cmocka_unit_test(losses_of_extreme_logits_are_finite),
        cmocka_unit_test(a_reference_has_the_sum_of_its_pairs),
        cmocka_unit_test(a_product_passes_each_factor_times_the_other),
        cmocka_unit_test(kernels_are_folded_as_for_evaluation_and_back_as_the_adjoint),
        cmocka_unit_test(heads_are_folded_as_for_evaluation_and_back_as_the_adjoint),
        cmocka_unit_test(g_and_w_are_merged_as_for_evaluation_and_pass_their_slopes),
        cmocka_unit_test(only_finite_gradients_pass),
        cmocka_unit_test(updates_are_adams),
    };
    vj_emulate_checks_arguments = false;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
