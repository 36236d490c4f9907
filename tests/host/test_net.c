/* SPDX-License-Identifier: MIT */
/*
 * The network on the CPU against the unfolded formulas in plain C, and against itself: bits must
 * not depend on threads, batch or position. Against PyTorch: test_net_golden.c.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <omp.h>

#include "host/checked.h"
#include "host/net.h"
#include "host/net_internal.h"
#include "tests/host/net_formula.h"
#include "tests/host/net_plain.h"
#include "tests/host/net_rig.h"

/* The one network of full size, 102 million weights, is made once for all tests that need it. */
static struct rig full;

static int make_full(void **state)
{
    (void)state;
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    rig_make(&full, &shape, 2);
    return 0;
}

static int free_full(void **state)
{
    (void)state;
    rig_free(&full);
    return 0;
}

/* ---- against the unfolded formulas ---- */

static void compare_with_plain(const struct vj_net_shape *shape)
{
    enum { P = 2, N = 2 };
    struct rig rig;
    rig_make(&rig, shape, 2);
    struct pictures pic = pictures_make(&rig, P, N);
    struct vj_net_reference *ref = reference_make(&rig, &pic, P);
    float score[N], quality[N * P], weight[N * P];
    ok(vj_net_scores(rig.work, ref, pic.d, N, score, quality, weight, &err));

    const char *jnd_scope =
        shape->variant == VJ_VARIANT_RELEASED ? "extract_jnd_feature" : "extract_feature";
    const size_t count = plain_feature_count(shape), px = rig.pixels;
    for (size_t i = 0; i < N; i++) {
        double weighted = 0, weights = 0, most = 0;
        for (size_t p = 0; p < P; p++) {
            struct plain_sum q, a;
            double *r = plain_features(&rig.w, "extract_feature", pic.r + p * px * 3, 3);
            double *d = plain_features(&rig.w, "extract_feature", pic.d + (i * P + p) * px * 3, 3);
            double *j = shape->variant == VJ_VARIANT_PW_JND
                            ? NULL
                            : plain_features(&rig.w, jnd_scope, pic.j + p * px, 1);
            plain_patch(&rig.w, r, d, j, count, &q, &a);
            weighted += q.value * a.value;
            weights += a.value;
            most = fmax(most, q.terms);
            assert_true(fabs(quality[i * P + p] - q.value) <= SCORE_LIMIT * q.terms);
            assert_true(fabs(weight[i * P + p] - a.value) <= SCORE_LIMIT * a.terms);
            free(r);
            free(d);
            free(j);
        }
        assert_true(fabs(score[i] - weighted / weights) <= SCORE_LIMIT * most);
    }
    vj_net_reference_free(ref);
    pictures_free(&pic);
    rig_free(&rig);
}

static void folded_network_equals_the_unfolded_one(void **state)
{
    (void)state;
    const struct vj_net_shape shapes[] = {
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 24),
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 16),
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_TRANSPOSE, 32, 32, 16, 16, 21),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 48, 16, 16, 32, 8),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 16, 48, 16, 16, 1),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 64),
        pw_shape(32, 16, 16, 32, 16, 48),
        pw_shape(64, 16, 32, 16, 16, 16),
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        compare_with_plain(&shapes[i]);
}

/* Foldings 1 to 3, each matrix by itself: the product with random features. */
static void folded_head_matrices_equal_the_unfolded_products(void **state)
{
    (void)state;
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        struct vj_weights w = {0};
        const bool pw = variant == VJ_VARIANT_PW_JND;
        const struct vj_net_shape shape =
            pw ? pw_shape(64, 16, 16, 16, 16, 16)
               : small_shape((enum vj_variant)variant, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 12);
        ok(formula_weights(&w, &shape, &err));
        const size_t f = vj_net_features(&shape), copies = variant == VJ_VARIANT_RELEASED ? 2 : 1;
        assert_int_equal(f, variant == VJ_VARIANT_RELEASED ? 48 : pw ? 64 : 24);
        assert_int_equal(vj_net_head_inputs(&shape), 3 * copies * f);
        float *matrix[VJ_FOLD_PARTS];
        const int parts = vj_net_fold_parts(&shape);
        assert_int_equal(parts, pw ? 4 : 5);
        for (int part = 0; part < parts; part++) {
            matrix[part] = malloc(f * VJ_NET_HIDDEN * sizeof(float));
            ok(vj_net_fold_head(&w, (enum vj_fold_part)part, matrix[part], &err));
        }
        const float *quality = plain_tensor(&w, "regressions/block1/weights");
        const float *weight = plain_tensor(&w, "weightings/block1/weights");
        for (size_t o = 0; o < VJ_NET_HIDDEN; o += 7) {
            double q_full = 0, q_folded = 0, a_full = 0, a_folded = 0, scale = 0;
            for (size_t i = 0; i < f; i++) {
                const double r = sin(1.0 + (double)i), d = cos(3.0 * (double)i), j = 0.3 + d * r;
                const double third_q = r - d, third_a = pw ? r - d : d * j;
                for (size_t k = 0; k < copies; k++) {
                    const size_t row = k * f + i, step = copies * f;
                    q_full += r * quality[row * VJ_NET_HIDDEN + o] +
                              d * quality[(step + row) * VJ_NET_HIDDEN + o] +
                              third_q * quality[(2 * step + row) * VJ_NET_HIDDEN + o];
                    a_full += r * weight[row * VJ_NET_HIDDEN + o] +
                              d * weight[(step + row) * VJ_NET_HIDDEN + o] +
                              third_a * weight[(2 * step + row) * VJ_NET_HIDDEN + o];
                }
                const size_t at = i * VJ_NET_HIDDEN + o;
                q_folded += r * matrix[VJ_FOLD_QUALITY_REFERENCE][at] +
                            d * matrix[VJ_FOLD_QUALITY_DISTORTED][at];
                a_folded += r * matrix[VJ_FOLD_WEIGHT_REFERENCE][at] +
                            d * matrix[VJ_FOLD_WEIGHT_DISTORTED][at];
                if (!pw)
                    a_folded += third_a * matrix[VJ_FOLD_WEIGHT_PRODUCT][at];
                scale += fabs(q_folded) + fabs(a_folded);
            }
            assert_true(fabs(q_full - q_folded) <= 1e-6 * scale);
            assert_true(fabs(a_full - a_folded) <= 1e-6 * scale);
        }
        for (int part = 0; part < parts; part++)
            free(matrix[part]);
        vj_weights_free(&w);
    }
}

static void only_networks_that_see_a_map_ask_for_one(void **state)
{
    (void)state;
    const struct vj_net_shape shapes[] = {
        pw_shape(32, 16, 16, 16, 16, 16),
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 16)};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        struct vj_net_reference *ref;
        float score, again;
        rig_make(&rig, &shapes[i], 1);
        struct pictures pic = pictures_make(&rig, 2, 1);
        ok(vj_net_reference_create(&ref, rig.net, 2, &err));
        int r = vj_net_reference_load(ref, rig.work, pic.r, NULL, 2, &err);
        if (i == 0) {
            ok(r);
            ok(vj_net_scores(rig.work, ref, pic.d, 1, &score, NULL, NULL, &err));
            ok(vj_net_reference_load(ref, rig.work, pic.r, pic.j, 2, &err));
            ok(vj_net_scores(rig.work, ref, pic.d, 1, &again, NULL, NULL, &err));
            assert_true(score == again);
        } else {
            assert_int_equal(r, -EINVAL);
            vj_assert_contains(err.text, "variant figure sees a pixel-JND map");
        }
        vj_net_reference_free(ref);
        pictures_free(&pic);
        rig_free(&rig);
    }
}

/* Folding 5 on one pixel: (h Wg + bg) Ww + bw. */
static void folded_value_projection_equals_g_then_w(void **state)
{
    (void)state;
    enum { C = 12 };
    struct vj_weights w = {0};
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, C);
    ok(formula_weights(&w, &shape, &err));
    float kernel[C * C], bias[C];
    ok(vj_net_fold_value(&w, "extract_feature", kernel, bias, &err));
    struct plain_map h = plain_new(1, C);
    for (size_t i = 0; i < C; i++)
        h.v[i] = sin((double)i);
    struct plain_map g = plain_projection(&w, "extract_feature", &h, "g");
    struct plain_map out = plain_projection(&w, "extract_feature", &g, "w");
    for (size_t o = 0; o < C; o++) {
        double folded = bias[o];
        for (size_t i = 0; i < C; i++)
            folded += h.v[i] * (double)kernel[i * C + o];
        assert_true(fabs(folded - out.v[o]) <= 1e-6);
    }
    free(h.v);
    free(g.v);
    free(out.v);
    vj_weights_free(&w);
}

/* Where element (c, y, x) of a map lies. */
static size_t at(const struct vj_map *m, size_t c, size_t y, size_t x)
{
    return ((c / m->block * m->height + y) * m->width + x) * m->block + c % m->block;
}

/* Folding 6, for every layout in and out: bits of scale * maxpool(h) are those of maxpool(h *
 * scale). */
static void pooling_before_scaling_gives_the_same_bits_in_every_layout(void **state)
{
    (void)state;
    enum { C = 48, S = 6 };
    const size_t blocks[] = {8, 16, C};
    float h[C * S * S], pooled[C * S * S / 4], mean[C], max[C], scale[C], first_mean[C];
    for (size_t bi = 0; bi < 3; bi++)
        for (size_t bo = 0; bo < 3; bo++) {
            const struct vj_map map = {C, S, S, blocks[bi]}, half = {C, S / 2, S / 2, blocks[bo]};
            for (size_t c = 0; c < C; c++) {
                scale[c] = 0.01f + 0.9f * (float)(formula_mix((uint32_t)c) >> 8) / 16777216.0f;
                for (size_t p = 0; p < S * S; p++) {
                    uint32_t word = formula_mix((uint32_t)(c * S * S + p + 1000));
                    h[at(&map, c, p / S, p % S)] = word & 1 ? (float)(word >> 8) * 3e-7f : 0.0f;
                }
            }
            vj_layer_pool(h, &map, pooled, half.block, mean, max);
            vj_layer_scale(pooled, &half, scale);
            for (size_t c = 0; c < C; c++) {
                float top = 0;
                double sum = 0;
                for (size_t y = 0; y < S; y += 2)
                    for (size_t x = 0; x < S; x += 2) {
                        float m = 0;
                        for (size_t d = 0; d < 4; d++) {
                            float v = h[at(&map, c, y + d / 2, x + d % 2)];
                            m = fmaxf(m, v * scale[c]);
                            top = fmaxf(top, v);
                            sum += v;
                        }
                        assert_true(pooled[at(&half, c, y / 2, x / 2)] == m);
                    }
                assert_true(max[c] == top);
                assert_true(fabs(mean[c] - sum / (S * S)) <= 1e-6 * sum);
                if (bi == 0 && bo == 0)
                    first_mean[c] = mean[c];
                assert_true(mean[c] == first_mean[c]);
            }
        }
}

static void maps_of_any_block_become_nhwc(void **state)
{
    (void)state;
    enum { C = 20, H = 3, W = 5 };
    const size_t blocks[] = {1, 8, 16, C};
    float from[32 * H * W], to[C * H * W];
    for (size_t b = 0; b < 4; b++) {
        const struct vj_map map = {C, H, W, blocks[b]};
        memset(from, 0xff, sizeof(from)); /* padding is not a number and must not come through */
        for (size_t i = 0; i < C * H * W; i++)
            from[at(&map, i % C, i / C / W, i / C % W)] = (float)i;
        vj_layer_to_nhwc(from, &map, to);
        for (size_t i = 0; i < C * H * W; i++)
            assert_true(to[i] == (float)i);
    }
}

static void input_conversion_is_exact_for_all_256_values(void **state)
{
    (void)state;
    uint8_t patch[256 * 3], grey[256];
    float planes[256 * 3], interleaved[256 * 3];
    const struct vj_map nchw = {3, 16, 16, 1}, nhwc = {3, 16, 16, 3};
    for (int i = 0; i < 256; i++) {
        grey[i] = (uint8_t)i;
        for (int c = 0; c < 3; c++)
            patch[3 * i + c] = (uint8_t)(i + 85 * c);
    }
    vj_layer_input(patch, 3, planes, &nchw);
    vj_layer_input(patch, 3, interleaved, &nhwc);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++) {
            volatile float product = (float)patch[3 * i + c] * (1.0f / 255.0f);
            float want = product - 0.5f;
            assert_true(planes[c * 256 + i] == want);
            assert_true(interleaved[3 * i + c] == want);
        }
    vj_layer_input(grey, 1, planes, &nchw);
    vj_layer_input(grey, 1, interleaved, &nhwc);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++) {
            volatile float product = (float)i * (1.0f / 255.0f);
            assert_true(planes[c * 256 + i] == product - 0.5f);
            assert_true(interleaved[3 * i + c] == product - 0.5f);
        }
}

/* ---- bits ---- */

/* Scores with their own work and reference. */
static void score_with(struct rig *rig, int threads, const uint8_t *r, const uint8_t *j,
                       const uint8_t *d, size_t patches, size_t n, float *score, float *quality,
                       float *weight)
{
    struct vj_net_work *work;
    struct vj_net_reference *ref;
    ok(vj_net_work_create(&work, rig->net, threads, &err));
    ok(vj_net_reference_create(&ref, rig->net, patches, &err));
    ok(vj_net_reference_load(ref, work, r, j, patches, &err));
    ok(vj_net_scores(work, ref, d, n, score, quality, weight, &err));
    vj_net_reference_free(ref);
    vj_net_work_free(work);
}

static void check_threads(struct rig *rig)
{
    enum { P = 5, N = 7 };
    struct pictures pic = pictures_make(rig, P, N);
    float score[N], quality[N * P], weight[N * P];
    score_with(rig, 1, pic.r, pic.j, pic.d, P, N, score, quality, weight);
    for (int threads = 2; threads <= 5; threads += threads == 3 ? 2 : 1) {
        float s[N], q[N * P], a[N * P];
        score_with(rig, threads, pic.r, pic.j, pic.d, P, N, s, q, a);
        assert_memory_equal(s, score, sizeof(score));
        assert_memory_equal(q, quality, sizeof(quality));
        assert_memory_equal(a, weight, sizeof(weight));
    }
    pictures_free(&pic);
}

/* n = 7 at once, each of the seven alone, and in reverse order. */
static void check_candidates(struct rig *rig)
{
    enum { P = 5, N = 7 };
    struct pictures pic = pictures_make(rig, P, N);
    const size_t bytes = P * rig->pixels * 3;
    float score[N], quality[N * P], weight[N * P], s[N], q[N * P], a[N * P];
    struct vj_net_reference *ref = reference_make(rig, &pic, P);
    ok(vj_net_scores(rig->work, ref, pic.d, N, score, quality, weight, &err));
    uint8_t *reversed = malloc(N * bytes);
    for (size_t i = 0; i < N; i++) {
        ok(vj_net_scores(rig->work, ref, pic.d + i * bytes, 1, s, q, a, &err));
        assert_true(s[0] == score[i]);
        assert_memory_equal(q, quality + i * P, P * sizeof(float));
        assert_memory_equal(a, weight + i * P, P * sizeof(float));
        memcpy(reversed + (N - 1 - i) * bytes, pic.d + i * bytes, bytes);
    }
    ok(vj_net_scores(rig->work, ref, reversed, N, s, NULL, NULL, &err));
    for (size_t i = 0; i < N; i++)
        assert_true(s[N - 1 - i] == score[i]);
    free(reversed);
    vj_net_reference_free(ref);
    pictures_free(&pic);
}

/* P = 32 against P = 1 for every `step`-th of them: the same bits, wherever the patch stands. */
static void check_patches(struct rig *rig, size_t step)
{
    enum { P = 32 };
    struct pictures pic = pictures_make(rig, P, 1);
    const size_t px = rig->pixels;
    float score, quality[P], weight[P];
    struct vj_net_reference *ref = reference_make(rig, &pic, P);
    ok(vj_net_scores(rig->work, ref, pic.d, 1, &score, quality, weight, &err));
    for (size_t p = 0; p < P; p += step) {
        float s, q, a;
        ok(vj_net_reference_load(ref, rig->work, pic.r + p * px * 3, pic.j + p * px, 1, &err));
        ok(vj_net_scores(rig->work, ref, pic.d + p * px * 3, 1, &s, &q, &a, &err));
        assert_true(q == quality[p]);
        assert_true(a == weight[p]);
        assert_true(s == (float)((double)q * (double)a / (double)a));
    }
    double weighted = 0, weights = 0;
    for (size_t p = 0; p < P; p++) {
        weighted += (double)quality[p] * (double)weight[p];
        weights += (double)weight[p];
    }
    assert_true(score == (float)(weighted / weights));
    vj_net_reference_free(ref);
    pictures_free(&pic);
}

/* The same patch in every row of every block of more than one chunk. */
static void check_rows(struct rig *rig, size_t rows)
{
    struct pictures pic = pictures_make(rig, 1, 1);
    const size_t bytes = rig->pixels * 3;
    uint8_t *d = malloc(rows * bytes);
    for (size_t i = 0; i < rows; i++)
        memcpy(d + i * bytes, pic.d, bytes);
    float *score = malloc(3 * rows * sizeof(float)), *quality = score + rows,
          *weight = quality + rows;
    struct vj_net_reference *ref = reference_make(rig, &pic, 1);
    ok(vj_net_scores(rig->work, ref, d, rows, score, quality, weight, &err));
    for (size_t i = 1; i < rows; i++) {
        assert_true(quality[i] == quality[0]);
        assert_true(weight[i] == weight[0]);
        assert_true(score[i] == score[0]);
    }
    vj_net_reference_free(ref);
    free(score);
    free(d);
    pictures_free(&pic);
}

static const struct vj_net_shape *bits_shapes(size_t *count)
{
    static struct vj_net_shape shapes[3];
    shapes[0] = small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 20);
    shapes[1] = small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 64, 32, 64, 128, 256);
    shapes[2] = pw_shape(64, 16, 32, 16, 16, 32);
    *count = 3;
    return shapes;
}

static void bits_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    size_t count;
    const struct vj_net_shape *shapes = bits_shapes(&count);
    for (size_t i = 0; i < count; i++) {
        struct rig rig;
        rig_make(&rig, &shapes[i], 1);
        check_threads(&rig);
        rig_free(&rig);
    }
    check_threads(&full);
}

static void bits_do_not_depend_on_the_other_candidates_of_a_call(void **state)
{
    (void)state;
    size_t count;
    const struct vj_net_shape *shapes = bits_shapes(&count);
    for (size_t i = 0; i < count; i++) {
        struct rig rig;
        rig_make(&rig, &shapes[i], 2);
        check_candidates(&rig);
        rig_free(&rig);
    }
    check_candidates(&full);
}

static void bits_do_not_depend_on_the_other_patches(void **state)
{
    (void)state;
    size_t count;
    const struct vj_net_shape *shapes = bits_shapes(&count);
    for (size_t i = 0; i < count; i++) {
        struct rig rig;
        rig_make(&rig, &shapes[i], 3);
        check_patches(&rig, 1);
        rig_free(&rig);
    }
    check_patches(&full, getenv("VPJND_TEST_FULL") ? 1 : 5); /* each costs 100 MB of weights */
}

static void bits_do_not_depend_on_the_row_of_a_block_or_chunk(void **state)
{
    (void)state;
    size_t count;
    const struct vj_net_shape *shapes = bits_shapes(&count);
    for (size_t i = 0; i < count; i++) {
        struct rig rig;
        rig_make(&rig, &shapes[i], 2);
        check_rows(&rig, VJ_HEADS_ROWS + VJ_NET_ROW_BLOCK + 3);
        rig_free(&rig);
    }
    check_rows(&full, VJ_NET_ROW_BLOCK + 3);
}

/* 60 candidates of 5 patches: 300 rows, and the chunk of 256 ends in the middle of a picture. */
static void bits_do_not_depend_on_where_a_chunk_ends(void **state)
{
    (void)state;
    enum { P = 5, N = 60 };
    size_t count;
    struct rig rig;
    rig_make(&rig, &bits_shapes(&count)[0], 2);
    assert_true(VJ_HEADS_ROWS < N * P && VJ_HEADS_ROWS % P != 0);
    struct pictures pic = pictures_make(&rig, P, N);
    struct vj_net_reference *ref = reference_make(&rig, &pic, P);
    float score[N], weight[N * P], s, a[P];
    ok(vj_net_scores(rig.work, ref, pic.d, N, score, NULL, weight, &err));
    for (size_t i = 0; i < N; i++) {
        ok(vj_net_scores(rig.work, ref, pic.d + i * P * rig.pixels * 3, 1, &s, NULL, a, &err));
        assert_true(s == score[i]);
        assert_memory_equal(a, weight + i * P, sizeof(a));
    }
    vj_net_reference_free(ref);
    pictures_free(&pic);
    rig_free(&rig);
}

/* As many reference patches as do not fit into one chunk, against the last few alone. */
static void bits_do_not_depend_on_the_chunk_of_the_reference(void **state)
{
    (void)state;
    enum { P = VJ_HEADS_ROWS + 7, LAST = 4 };
    size_t count;
    struct rig rig;
    rig_make(&rig, &bits_shapes(&count)[0], 2);
    struct pictures pic = pictures_make(&rig, P, 1);
    const size_t px = rig.pixels, first = P - LAST;
    struct vj_net_reference *ref = reference_make(&rig, &pic, P);
    float score, quality[P], weight[P], q[LAST], a[LAST];
    ok(vj_net_scores(rig.work, ref, pic.d, 1, &score, quality, weight, &err));
    ok(vj_net_reference_load(ref, rig.work, pic.r + first * px * 3, pic.j + first * px, LAST,
                             &err));
    ok(vj_net_scores(rig.work, ref, pic.d + first * px * 3, 1, &score, q, a, &err));
    assert_memory_equal(q, quality + first, sizeof(q));
    assert_memory_equal(a, weight + first, sizeof(a));
    vj_net_reference_free(ref);
    pictures_free(&pic);
    rig_free(&rig);
}

static void two_works_side_by_side_give_the_bits_of_one(void **state)
{
    (void)state;
    enum { P = 3, N = 4 };
    size_t count;
    struct rig rig;
    rig_make(&rig, &bits_shapes(&count)[0], 1);
    struct pictures pic = pictures_make(&rig, P, N);
    float score[N], each[4][N], quality[N * P], weight[N * P];
    score_with(&rig, 1, pic.r, pic.j, pic.d, P, N, score, quality, weight);
    struct vj_net_reference *ref = reference_make(&rig, &pic, P);
    struct vj_net_work *work[4];
    struct vj_error errors[4] = {0};
    int failed = 0;
    for (int t = 0; t < 4; t++)
        ok(vj_net_work_create(&work[t], rig.net, 1, &err));
#pragma omp parallel for num_threads(4) reduction(+ : failed)
    for (int t = 0; t < 4; t++)
        failed += vj_net_scores(work[t], ref, pic.d, N, each[t], NULL, NULL, &errors[t]) != 0;
    assert_int_equal(failed, 0);
    for (int t = 0; t < 4; t++) {
        assert_memory_equal(each[t], score, sizeof(score));
        vj_net_work_free(work[t]);
    }
    vj_net_reference_free(ref);
    pictures_free(&pic);
    rig_free(&rig);
}

/* ---- conduct ---- */

static void callers_thread_count_is_left_alone(void **state)
{
    (void)state;
    size_t count;
    const int before = omp_get_max_threads();
    for (int threads = 1; threads <= 4; threads += 3) {
        omp_set_num_threads(threads);
        struct rig rig;
        rig_make(&rig, &bits_shapes(&count)[0], 0);
        assert_int_equal(rig.work->threads, threads);
        assert_int_equal(omp_get_max_threads(), threads);
        check_rows(&rig, 3);
        assert_int_equal(omp_get_max_threads(), threads);
        rig_free(&rig);
    }
    omp_set_num_threads(before);
}

static void no_layer_falls_back_to_a_reference_implementation(void **state)
{
    (void)state;
    for (int s = 0; s < VJ_NET_STREAMS; s++) {
        const struct vj_extractor *e = vj_net_extractor(full.net, (enum vj_net_stream)s);
        const struct vj_dnn_op *ops[] = {e->theta, e->phi, e->value};
        for (int i = 0; i < 4; i++) {
            char text[128];
            vj_net_conv_describe(e->conv[i], text, sizeof(text));
            assert_null(strstr(text, "ref"));
        }
        for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
            assert_null(strstr(vj_dnn_op_implementation(ops[i]), "ref"));
    }
    assert_null(strstr(vj_dnn_op_implementation(full.net->non_local.affinity), "ref"));
    assert_null(strstr(vj_dnn_op_implementation(full.net->non_local.softmax), "ref"));
    assert_null(strstr(vj_dnn_op_implementation(full.net->non_local.attend), "ref"));
}

static void misuse_is_refused_with_a_reason(void **state)
{
    (void)state;
    size_t count;
    struct rig rig, other;
    rig_make(&rig, &bits_shapes(&count)[0], 1);
    rig_make(&other, &bits_shapes(&count)[0], 1);
    struct pictures pic = pictures_make(&rig, 2, 1);
    struct vj_net_reference *ref;
    float score;
    ok(vj_net_reference_create(&ref, rig.net, 2, &err));
    assert_int_equal(vj_net_scores(rig.work, ref, pic.d, 1, &score, NULL, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "no patches were loaded");
    assert_int_equal(vj_net_reference_load(ref, rig.work, pic.r, pic.j, 3, &err), -EINVAL);
    vj_assert_contains(err.text, "3 patches for a reference with room for 1 to 2");
    assert_int_equal(vj_net_reference_load(ref, rig.work, pic.r, pic.j, 0, &err), -EINVAL);
    assert_int_equal(vj_net_reference_load(ref, other.work, pic.r, pic.j, 2, &err), -EINVAL);
    vj_assert_contains(err.text, "different networks");
    ok(vj_net_reference_load(ref, rig.work, pic.r, pic.j, 2, &err));
    assert_int_equal(vj_net_scores(other.work, ref, pic.d, 1, &score, NULL, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "different networks");
    assert_int_equal(vj_net_scores(rig.work, ref, pic.d, SIZE_MAX, &score, NULL, NULL, &err),
                     -EINVAL);
    assert_int_equal(vj_net_scores(rig.work, ref, pic.d, 0, &score, NULL, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "0 candidates");
    vj_net_reference_free(ref);
    pictures_free(&pic);
    rig_free(&rig);
    rig_free(&other);
}

/* Every tensor in turn is taken away or given another size. */
static void weights_that_form_no_network_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_weights w = {0};
    struct vj_net *net;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 8);
    ok(formula_weights(&w, &shape, &err));
    for (size_t i = 0; i < w.count; i++) {
        struct vj_tensor *t = &w.tensors[i];
        char name[sizeof(t->name)];
        memcpy(name, t->name, sizeof(name));
        t->name[0] = '?';
        assert_int_equal(vj_net_create(&net, &w, &err), -EINVAL);
        assert_null(net);
        vj_assert_contains(err.text, name);
        memcpy(t->name, name, sizeof(name));
        t->count++;
        assert_int_equal(vj_net_create(&net, &w, &err), -EINVAL);
        vj_assert_contains(err.text, name);
        vj_assert_contains(err.text, "the network needs");
        t->count--;
    }
    w.shape.patch_size = 24;
    assert_int_equal(vj_net_create(&net, &w, &err), -EINVAL);
    vj_assert_contains(err.text, "patch_size is 24");
    vj_weights_free(&w);
}

/* As on a GPU: a network that overflows must not look like one that answers. */
static void a_hidden_unit_that_is_not_a_number_is_not_taken_for_zero(void **state)
{
    (void)state;
    enum { COUNT_HERE = 32 };
    float constant[COUNT_HERE] = {0}, hidden[COUNT_HERE], kernel[COUNT_HERE];
    for (int i = 0; i < COUNT_HERE; i++) {
        hidden[i] = i % 2 ? 1 : -1;
        kernel[i] = 1;
    }
    assert_true(vj_layer_head(constant, hidden, kernel, 0.5f, COUNT_HERE) == COUNT_HERE / 2 + 0.5f);
    hidden[7] = NAN;
    assert_true(isnan(vj_layer_head(constant, hidden, kernel, 0.5f, COUNT_HERE)));
}

static void sizes_and_libraries_are_reported(void **state)
{
    (void)state;
    char text[128];
    vj_net_libraries(text, sizeof(text));
    vj_assert_contains(text, "oneDNN ");
    vj_assert_contains(text, "OpenMP");
    char all[2048], cut[40];
    vj_net_algorithms(full.net, all, sizeof(all));
    vj_assert_contains(all, "oneDNN ");
    vj_assert_contains(all, "\nconv1 ");
    vj_assert_contains(all, "\nconv4 winograd, ");
    vj_assert_contains(all, "\nattend ");
    vj_net_algorithms(full.net, cut, sizeof(cut));
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    assert_memory_equal(cut, all, sizeof(cut) - 1);
    /* five folded matrices of 16,384 x 512, and two extractors of at least 524,000 values and three
     * kernels of 387,072, for Winograd's way with 36 in place of 9 */
    const size_t heads = (size_t)5 * 16384 * 512 * sizeof(float);
    const size_t extractor = (524000 + (size_t)3 * 387072) * sizeof(float);
    assert_true(vj_net_bytes(full.net) > heads + 2 * extractor);
    assert_true(vj_net_bytes(full.net) < heads + 2 * extractor + ((size_t)4 << 20));
    assert_true(vj_net_work_bytes(full.work) > (size_t)VJ_HEADS_ROWS * 2 * 16384 * sizeof(float));
    struct vj_net_reference *ref;
    ok(vj_net_reference_create(&ref, full.net, 32, &err));
    assert_true(vj_net_reference_bytes(ref) >= (size_t)32 * (16384 + 1024) * sizeof(float));
    vj_net_reference_free(ref);
    assert_int_equal(vj_net_get_shape(full.net)->patch_size, 128);
    assert_int_equal(vj_net_positive_class(full.net), full.w.positive_class);
}

static void the_patch_weight_never_falls_below_one_millionth(void **state)
{
    (void)state;
    size_t count;
    struct vj_weights w = {0};
    ok(formula_weights(&w, &bits_shapes(&count)[0], &err));
    vj_weights_find(&w, "weightings/block2/biases")->data[0] = -1000;
    struct rig rig = {.w = w};
    ok(vj_net_create(&rig.net, &w, &err));
    ok(vj_net_work_create(&rig.work, rig.net, 1, &err));
    rig.pixels = (size_t)w.shape.patch_size * (size_t)w.shape.patch_size;
    struct pictures pic = pictures_make(&rig, 2, 1);
    struct vj_net_reference *ref = reference_make(&rig, &pic, 2);
    float score, quality[2], weight[2];
    ok(vj_net_scores(rig.work, ref, pic.d, 1, &score, quality, weight, &err));
    assert_true(weight[0] == 1e-6f && weight[1] == 1e-6f);
    assert_true(fabsf(score - (quality[0] + quality[1]) / 2) <= 1e-6f);
    vj_net_reference_free(ref);
    pictures_free(&pic);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_network_equals_the_unfolded_one),
        cmocka_unit_test(folded_head_matrices_equal_the_unfolded_products),
        cmocka_unit_test(only_networks_that_see_a_map_ask_for_one),
        cmocka_unit_test(folded_value_projection_equals_g_then_w),
        cmocka_unit_test(pooling_before_scaling_gives_the_same_bits_in_every_layout),
        cmocka_unit_test(maps_of_any_block_become_nhwc),
        cmocka_unit_test(input_conversion_is_exact_for_all_256_values),
        cmocka_unit_test(bits_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(bits_do_not_depend_on_the_other_candidates_of_a_call),
        cmocka_unit_test(bits_do_not_depend_on_the_other_patches),
        cmocka_unit_test(bits_do_not_depend_on_the_row_of_a_block_or_chunk),
        cmocka_unit_test(bits_do_not_depend_on_where_a_chunk_ends),
        cmocka_unit_test(bits_do_not_depend_on_the_chunk_of_the_reference),
        cmocka_unit_test(two_works_side_by_side_give_the_bits_of_one),
        cmocka_unit_test(callers_thread_count_is_left_alone),
        cmocka_unit_test(no_layer_falls_back_to_a_reference_implementation),
        cmocka_unit_test(misuse_is_refused_with_a_reason),
        cmocka_unit_test(weights_that_form_no_network_are_refused_by_name),
        cmocka_unit_test(a_hidden_unit_that_is_not_a_number_is_not_taken_for_zero),
        cmocka_unit_test(sizes_and_libraries_are_reported),
        cmocka_unit_test(the_patch_weight_never_falls_below_one_millionth),
    };
    return cmocka_run_group_tests(tests, make_full, free_full);
}
