/* SPDX-License-Identifier: MIT */
/*
 * What of the CUDA network can be wrong without a GPU: shapes, layouts, the way from row-major
 * products to a library that stores by columns, memory, the walk of the pooling kernel.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>

#include "tests/cuda/net_shapes.h"

/* ---- the plan against the specification's figures ---- */

static void the_default_plan_has_the_numbers_of_the_specification(void **state)
{
    (void)state;
    struct vj_cuda_net_plan p;
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    ok(vj_cuda_net_plan_make(&p, &shape, 128, VJ_CUDA_FP32, &err));
    assert_int_equal(p.positions, 256);
    assert_int_equal(p.features, 16384);
    assert_int_equal(p.element, 4);
    const int sides[4] = {128, 64, 32, 16}, outs[4] = {32, 64, 128, 256};
    double convs = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(p.conv[i].side, sides[i]);
        assert_int_equal(p.conv[i].out, outs[i]);
        assert_int_equal(p.conv[i].real_in, i ? outs[i - 1] : 3);
        convs += vj_cuda_net_conv_macs(&p.conv[i]);
    }
    assert_int_equal(p.conv[0].in, 4);
    assert_true(fabs(convs - 240.6e6) < 0.05e6);
    assert_true(fabs(vj_cuda_net_macs(&p) - 349.7e6) < 0.05e6);

    shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    ok(vj_cuda_net_plan_make(&p, &shape, 128, VJ_CUDA_FP16, &err));
    assert_int_equal(p.features, 512);
    assert_int_equal(p.slices, 1);
    assert_int_equal(p.element, 2);
    assert_int_equal(p.conv[0].in, 8);
}

/* 67.5 M multiply-accumulates, 66.9 M of them convolutions, in the documentation. */
static void the_default_plan_of_pw_jnd_has_the_numbers_of_the_documentation(void **state)
{
    (void)state;
    static const int outs[5] = {32, 64, 128, 256, 512};
    struct vj_cuda_net_plan p;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_PW_JND);
    ok(vj_cuda_net_plan_make(&p, &shape, 128, VJ_CUDA_FP32, &err));
    assert_int_equal(p.layers, 10);
    assert_int_equal(p.positions, 0);
    assert_int_equal(p.last, 1);
    assert_int_equal(p.features, 512);
    assert_int_equal(p.slices, 1);
    double convs = 0;
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof(name), "conv%d_%d", i / 2 + 1, i % 2 + 1);
        assert_string_equal(p.conv[i].name, name);
        assert_int_equal(p.conv[i].side, 32 >> i / 2);
        assert_int_equal(p.conv[i].out, outs[i / 2]);
        assert_int_equal(p.conv[i].real_in, i ? outs[(i - 1) / 2] : 3);
        convs += vj_cuda_net_conv_macs(&p.conv[i]);
    }
    assert_true(fabs(convs - 66.9e6) < 0.05e6);
    assert_true(fabs(vj_cuda_net_macs(&p) - 67.5e6) < 0.05e6);
    assert_true(vj_cuda_net_macs(&p) - convs == 1024 * 512 + 1024);
    for (int i = 0; i < VJ_CUDA_NET_PRODUCTS; i++)
        assert_int_equal(p.product[i].batch, i == VJ_CUDA_NET_HEAD_PAIR);
}

/* 256 positions and channels, phi reshaped, tensor cores. */
static void the_default_non_local_block_is_one_kernel_on_tensor_cores(void **state)
{
    (void)state;
    const struct {
        struct vj_net_shape shape;
        bool one;
    } list[] = {
        {vj_net_shape_default(VJ_VARIANT_RELEASED), true},
        {vj_net_shape_default(VJ_VARIANT_FIGURE), true},
        {vj_net_shape_default(VJ_VARIANT_PW_JND), false},
        {shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 128, 16, 48, 16, 256), true},
        {shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 128, 32, 64, 128, 256), false},
        {shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 128, 32, 64, 128, 255), false},
        {shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 112, 32, 64, 128, 256), false},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
            struct vj_cuda_net_plan p;
            ok(vj_cuda_net_plan_make(&p, &list[i].shape, 2, (enum vj_cuda_precision)precision,
                                     &err));
            assert_int_equal(p.non_local, list[i].one && precision != VJ_CUDA_FP32);
        }
}

static void channels_in_memory_are_whole_16_byte_groups_and_cover_the_weights(void **state)
{
    (void)state;
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
            struct vj_cuda_net_plan p;
            ok(vj_cuda_net_plan_make(&p, &shapes[i], 1, (enum vj_cuda_precision)precision, &err));
            for (int c = 0; c < p.layers; c++) {
                const struct vj_cuda_net_conv *conv = &p.conv[c];
                assert_int_equal((size_t)conv->in * p.element % 16, 0);
                assert_int_equal((size_t)conv->out * p.element % 16, 0);
                assert_true(conv->in >= conv->real_in && conv->in < conv->real_in + 8);
                assert_true(conv->out >= conv->real_out && conv->out < conv->real_out + 8);
                if (c > 0)
                    assert_int_equal(conv->in, p.conv[c - 1].out);
            }
        }
}

/* ---- products: rows and columns ---- */

/* What BLAS documents: matrices by columns, D[i + j ld] = sum_l op(A)[i, l] op(B)[l, j]. */
static void product_by_columns(const struct vj_cuda_net_column_matmul *c, size_t batch,
                               const double *a, const double *b, double *d)
{
    for (size_t p = 0; p < batch; p++)
        for (size_t i = 0; i < c->m; i++)
            for (size_t j = 0; j < c->n; j++) {
                double sum = 0;
                for (size_t l = 0; l < c->k; l++) {
                    const size_t row = c->a_transposed ? l : i, col = c->a_transposed ? i : l;
                    const size_t row_b = c->b_transposed ? j : l, col_b = c->b_transposed ? l : j;
                    assert_true(row < c->a.rows && col < c->a.cols);
                    assert_true(row_b < c->b.rows && col_b < c->b.cols);
                    sum += a[p * c->a.stride + row + col * c->a.ld] *
                           b[p * c->b.stride + row_b + col_b * c->b.ld];
                }
                assert_true(i < c->d.rows && j < c->d.cols);
                d[p * c->d.stride + i + j * c->d.ld] = sum;
            }
}

/* What struct vj_cuda_net_matmul says, with C's two-dimensional indices. */
static double element_by_rows(const struct vj_cuda_net_matmul *m, size_t p, size_t row, size_t col,
                              const double *a, const double *b)
{
    double sum = 0;
    for (size_t l = 0; l < m->k; l++)
        sum += a[p * m->stride_a + (m->a_transposed ? l * m->ld_a + row : row * m->ld_a + l)] *
               b[p * m->stride_b + (m->b_transposed ? col * m->ld_b + l : l * m->ld_b + col)];
    return sum;
}

static void compare_products(const struct vj_cuda_net_matmul *m)
{
    const size_t rows_a = m->a_transposed ? m->k : m->m;
    const size_t size_a = (m->batch - 1) * m->stride_a + rows_a * m->ld_a;
    const size_t rows_b = m->b_transposed ? m->n : m->k;
    const size_t size_b = (m->batch - 1) * m->stride_b + rows_b * m->ld_b;
    const size_t size_d = (m->batch - 1) * m->stride_d + m->m * m->ld_d;
    double *a = noisy(1, size_a), *b = noisy(2, size_b), *d = calloc(size_d, sizeof(double));
    struct vj_cuda_net_column_matmul c;
    vj_cuda_net_matmul_by_columns(m, &c);
    /* The library takes our B for its A, and our A for its B. */
    product_by_columns(&c, m->batch, b, a, d);
    for (size_t p = 0; p < m->batch; p++)
        for (size_t row = 0; row < m->m; row++)
            for (size_t col = 0; col < m->n; col++)
                assert_true(d[p * m->stride_d + row * m->ld_d + col] ==
                            element_by_rows(m, p, row, col, a, b));
    free(a);
    free(b);
    free(d);
}

static void products_by_columns_are_the_products_by_rows(void **state)
{
    (void)state;
    const struct vj_cuda_net_matmul list[] = {
        {"square", 4, 4, 4, 4, 4, 4, 1, 0, 0, 0, false, false, false, false, false},
        {"wide", 2, 7, 3, 3, 7, 7, 1, 0, 0, 0, false, false, false, false, false},
        {"padded rows", 5, 3, 4, 9, 6, 8, 1, 0, 0, 0, false, true, false, false, false},
        {"transposed", 5, 3, 4, 4, 4, 3, 1, 0, 0, 0, true, false, false, false, false},
        {"batch", 3, 5, 2, 2, 5, 5, 4, 6, 10, 15, false, false, true, false, false},
        {"transposed batch", 3, 5, 2, 4, 3, 7, 3, 17, 19, 23, true, false, true, false, false},
        {"one B for all", 3, 2, 6, 6, 2, 2, 5, 18, 0, 6, false, false, false, false, false},
        {"single row", 1, 9, 5, 5, 9, 9, 2, 5, 45, 9, false, false, false, false, false},
        {"A transposed", 5, 3, 4, 5, 3, 3, 1, 0, 0, 0, false, false, false, true, false},
        {"both", 5, 3, 4, 9, 6, 8, 1, 0, 0, 0, true, false, false, true, false},
        {"A in a batch", 3, 5, 2, 4, 6, 7, 3, 17, 19, 23, false, false, true, true, false},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        compare_products(&list[i]);
}

/* F = theta reinterpret(phi, [C, N]), or theta phi^T, straight from the specification. */
static void the_affinity_reads_phi_as_the_specification_says(void **state)
{
    (void)state;
    for (int non_local = 0; non_local < 2; non_local++) {
        const struct vj_net_shape shape =
            shape_of(VJ_VARIANT_RELEASED, (enum vj_non_local)non_local, 32, 16, 16, 16, 5);
        struct vj_cuda_net_plan p;
        ok(vj_cuda_net_plan_make(&p, &shape, 2, VJ_CUDA_FP32, &err));
        const struct vj_cuda_net_matmul *m = &p.product[VJ_CUDA_NET_AFFINITY];
        const size_t n = 16, c = 5;
        double *theta = noisy(3, 2 * n * c), *phi = noisy(4, 2 * n * c);
        double *f = calloc(2 * n * n, sizeof(double));
        struct vj_cuda_net_column_matmul columns;
        vj_cuda_net_matmul_by_columns(m, &columns);
        product_by_columns(&columns, m->batch, phi, theta, f);
        for (size_t row = 0; row < 2; row++)
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < n; j++) {
                    double want = 0;
                    for (size_t k = 0; k < c; k++)
                        want += theta[(row * n + i) * c + k] *
                                phi[row * n * c +
                                    (non_local == VJ_NON_LOCAL_RESHAPE ? k * n + j : j * c + k)];
                    assert_true(fabs(f[(row * n + i) * n + j] - want) < 1e-12);
                }
        free(theta);
        free(phi);
        free(f);
    }
}

/* Tokens with padded channels times a [C][C] kernel; softmax rows times value. */
static void projection_and_attend_have_the_layouts_of_their_neighbours(void **state)
{
    (void)state;
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++) {
        struct vj_cuda_net_plan p;
        ok(vj_cuda_net_plan_make(&p, &shapes[i], 3, VJ_CUDA_FP16, &err));
        if (shapes[i].variant == VJ_VARIANT_PW_JND)
            continue;
        const size_t n = p.positions, c = (size_t)shapes[i].channels[3];
        const struct vj_cuda_net_matmul *m = &p.product[VJ_CUDA_NET_PROJECTION];
        assert_int_equal(m->m, 3 * n);
        assert_int_equal(m->ld_a, p.conv[3].out);
        const size_t width = p.non_local ? 3 * c : c;
        assert_true(m->k == c && m->n == width && m->ld_b == width && m->ld_d == width && m->bias);
        if (p.non_local)
            continue;
        m = &p.product[VJ_CUDA_NET_AFFINITY];
        assert_true(m->m == n && m->n == n && m->k == c && m->single_out && m->batch == 3);
        m = &p.product[VJ_CUDA_NET_ATTEND];
        assert_true(m->m == n && m->n == c && m->k == n && m->batch == 3);
        assert_int_equal(m->stride_a, p.product[VJ_CUDA_NET_AFFINITY].stride_d);
        assert_true(m->stride_b == n * c && m->stride_d == n * c);
    }
}

/* The heads' products in slices, added up in order, are the whole product. */
static void slices_of_the_heads_add_up_to_the_whole_product(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 64, 16, 16, 16, 128);
    struct vj_cuda_net_plan p;
    ok(vj_cuda_net_plan_make(&p, &shape, 2, VJ_CUDA_FP32, &err));
    assert_int_equal(p.features, 2048);
    assert_int_equal(p.slices, 2);
    const size_t f = p.features, rows = 2;
    for (int which = VJ_CUDA_NET_HEAD_PAIR; which <= VJ_CUDA_NET_HEAD_PRODUCT; which++) {
        const struct vj_cuda_net_matmul *m = &p.product[which];
        const size_t width = which == VJ_CUDA_NET_HEAD_PAIR ? 1024 : 512;
        double *a = noisy(5, rows * f), *b = noisy(6, f * width);
        double *d = calloc(p.slices * rows * width, sizeof(double));
        struct vj_cuda_net_column_matmul columns;
        vj_cuda_net_matmul_by_columns(m, &columns);
        product_by_columns(&columns, m->batch, b, a, d);
        for (size_t row = 0; row < rows; row++)
            for (size_t i = 0; i < width; i += 37) {
                double want = 0, have = 0;
                for (size_t k = 0; k < f; k++)
                    want += a[row * f + k] * b[k * width + i];
                for (size_t s = 0; s < p.slices; s++)
                    have += d[(s * rows + row) * width + i];
                assert_true(fabs(want - have) < 1e-11);
            }
        free(a);
        free(b);
        free(d);
    }
}

static void slices_are_equal_and_none_is_short(void **state)
{
    (void)state;
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++) {
        struct vj_cuda_net_plan p;
        ok(vj_cuda_net_plan_make(&p, &shapes[i], 1, VJ_CUDA_FP16, &err));
        assert_int_equal(p.features % p.slices, 0);
        if (p.slices > 1) {
            assert_true(p.features / p.slices >= 1024);
            assert_int_equal(p.features / p.slices % 8, 0); /* 16-byte rows of halves */
        }
    }
    struct vj_cuda_net_plan p;
    ok(vj_cuda_net_plan_make(&p, &shapes[0], 1, VJ_CUDA_FP32, &err));
    assert_int_equal(p.slices, 8);
}

/* ---- pooling kernel ---- */

/* Its walk, thread by thread: every pooled pixel's every channel is visited once. width: channels
 * of a thread */
static void walk_pool(const struct vj_cuda_net_pool_shape *pool, int width)
{
    const int wides = pool->channels / width, half = pool->side / 2, pixels = half * half;
    unsigned char *seen = calloc((size_t)pixels * (size_t)wides, 1);
    assert_int_equal(pool->channels % width, 0);
    assert_true(pool->groups >= 1);
    assert_true(pool->groups * wides <= VJ_CUDA_NET_THREADS);
    for (int block = 0; block < pool->blocks; block++) {
        const int first = block * pool->span;
        const int end = first + pool->span < pixels ? first + pool->span : pixels;
        assert_true(first < end); /* no block without work */
        for (int thread = 0; thread < VJ_CUDA_NET_THREADS; thread++) {
            const int wide = thread % wides, group = thread / wides;
            if (group >= pool->groups)
                continue;
            for (int i = first + group; i < end; i += pool->groups) {
                assert_true(i / half * 2 + 1 < pool->side && i % half * 2 + 1 < pool->side);
                seen[(size_t)i * (size_t)wides + (size_t)wide]++;
            }
        }
    }
    for (size_t i = 0; i < (size_t)pixels * (size_t)wides; i++)
        assert_int_equal(seen[i], 1);
    free(seen);
}

static void the_pooling_kernel_visits_every_pixel_and_channel_once(void **state)
{
    (void)state;
    for (int size = 16; size <= 256; size += 48)
        for (int channels = 16; channels <= 1024; channels += channels < 128 ? 16 : 112)
            for (int half = 0; half < 2; half++) {
                const struct vj_net_shape shape = shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE,
                                                           size, channels, channels, channels, 8);
                struct vj_cuda_net_plan p;
                ok(vj_cuda_net_plan_make(&p, &shape, 1, half ? VJ_CUDA_FP16 : VJ_CUDA_FP32, &err));
                vj_cuda_net_plan_every_map(&p); /* one kernel of a first block pools by itself */
                assert_false(p.first);
                for (int i = 0; i < 3; i++)
                    walk_pool(&p.pool[i], half ? 8 : 4);
            }
}

/* ---- memory ---- */

static bool share_by_design(const struct vj_cuda_net_plan *p, int a, int b)
{
    const bool softmax = a == VJ_CUDA_NET_SCORES && b == VJ_CUDA_NET_CHANCES;
    const bool flattened = a == VJ_CUDA_NET_LAST && b == VJ_CUDA_NET_FEATURES;
    return (softmax && p->precision != VJ_CUDA_FP16) ||
           (flattened && p->shape.variant != VJ_VARIANT_FIGURE);
}

/* Buffers of what the variant has. */
static bool in_use(const struct vj_cuda_net_plan *p, int buffer)
{
    const bool pw = p->shape.variant == VJ_VARIANT_PW_JND;
    switch (buffer) {
    case VJ_CUDA_NET_INPUT:
        return !p->first;
    case VJ_CUDA_NET_BETWEEN:
        return pw;
    case VJ_CUDA_NET_MAP: /* some convolutions pool by themselves */
        if (pw)
            return p->precision != VJ_CUDA_FP32 || p->conv[p->layers - 1].side == 2;
        return !p->first || !p->conv[1].pooled || !p->conv[2].pooled;
    case VJ_CUDA_NET_OTHER:
        return !pw && p->conv[1].pooled;
    case VJ_CUDA_NET_SUMS:
    case VJ_CUDA_NET_PEAKS:
    case VJ_CUDA_NET_SCALE:
    case VJ_CUDA_NET_TOKENS:
    case VJ_CUDA_NET_TIMES:
    case VJ_CUDA_NET_PRODUCT:
    case VJ_CUDA_NET_JND:
        return !pw;
    case VJ_CUDA_NET_PROJECTED:
        return p->non_local;
    case VJ_CUDA_NET_THETA:
    case VJ_CUDA_NET_PHI:
    case VJ_CUDA_NET_VALUE:
    case VJ_CUDA_NET_SCORES:
    case VJ_CUDA_NET_CHANCES:
    case VJ_CUDA_NET_ATTENDED:
        return !pw && !p->non_local;
    default:
        return true;
    }
}

static void check_places(const struct vj_cuda_net_plan *p, size_t references, size_t patches,
                         size_t workspace)
{
    struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
    size_t total;
    ok(vj_cuda_net_plan_places(p, references, patches, workspace, place, &total, &err));
    for (int a = 0; a < VJ_CUDA_NET_BUFFERS; a++) {
        assert_int_equal(place[a].offset % VJ_CUDA_NET_ALIGNMENT, 0);
        assert_true(place[a].offset + place[a].bytes <= total);
        if (a != VJ_CUDA_NET_WORKSPACE)
            assert_int_equal(place[a].bytes > 0, in_use(p, a));
        for (int b = a + 1; b < VJ_CUDA_NET_BUFFERS; b++) {
            const bool at_once = place[a].first <= place[b].last && place[b].first <= place[a].last;
            const bool apart = place[a].offset + place[a].bytes <= place[b].offset ||
                               place[b].offset + place[b].bytes <= place[a].offset;
            if (!in_use(p, a) || !in_use(p, b)) {
                continue;
            } else if (share_by_design(p, a, b)) {
                assert_int_equal(place[a].offset, place[b].offset);
                assert_int_equal(place[a].bytes, place[b].bytes);
            } else if (at_once && !apart) {
                fail_msg("buffers %d and %d overlap", a, b);
            }
        }
    }
    const size_t pairs = references * patches;
    assert_int_equal(place[VJ_CUDA_NET_CONSTANT].bytes, pairs * 1024 * sizeof(float));
    if (in_use(p, VJ_CUDA_NET_JND))
        assert_int_equal(place[VJ_CUDA_NET_JND].bytes, pairs * p->features * p->element);
    assert_int_equal(place[VJ_CUDA_NET_WORKSPACE].bytes, workspace);
}

static void buffers_that_live_at_the_same_time_lie_apart(void **state)
{
    (void)state;
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
            struct vj_cuda_net_plan p;
            ok(vj_cuda_net_plan_make(&p, &shapes[i], 5, (enum vj_cuda_precision)precision, &err));
            check_places(&p, 1, 1, 0);
            check_places(&p, 3, 64, 1000001);
        }
}

/* Every buffer is as large as the layers that write it need, from the products' own layouts. */
static void buffers_hold_what_the_layers_write(void **state)
{
    (void)state;
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
            struct vj_cuda_net_plan p;
            struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
            size_t total;
            const size_t rows = 7;
            ok(vj_cuda_net_plan_make(&p, &shapes[i], rows, (enum vj_cuda_precision)precision,
                                     &err));
            ok(vj_cuda_net_plan_places(&p, 1, 1, 0, place, &total, &err));
            const struct {
                enum vj_cuda_net_product product;
                enum vj_cuda_net_buffer a, d;
            } uses[] = {
                {VJ_CUDA_NET_PROJECTION, VJ_CUDA_NET_TOKENS, VJ_CUDA_NET_PROJECTED},
                {VJ_CUDA_NET_PROJECTION, VJ_CUDA_NET_TOKENS, VJ_CUDA_NET_THETA},
                {VJ_CUDA_NET_PROJECTION, VJ_CUDA_NET_TOKENS, VJ_CUDA_NET_PHI},
                {VJ_CUDA_NET_PROJECTION, VJ_CUDA_NET_TOKENS, VJ_CUDA_NET_VALUE},
                {VJ_CUDA_NET_AFFINITY, VJ_CUDA_NET_THETA, VJ_CUDA_NET_SCORES},
                {VJ_CUDA_NET_ATTEND, VJ_CUDA_NET_CHANCES, VJ_CUDA_NET_ATTENDED},
                {VJ_CUDA_NET_HEAD_PAIR, VJ_CUDA_NET_FEATURES, VJ_CUDA_NET_PAIR},
                {VJ_CUDA_NET_HEAD_PRODUCT, VJ_CUDA_NET_TIMES, VJ_CUDA_NET_PRODUCT},
            };
            for (size_t u = 0; u < sizeof(uses) / sizeof(uses[0]); u++) {
                const struct vj_cuda_net_matmul *m = &p.product[uses[u].product];
                if (!in_use(&p, uses[u].d))
                    continue;
                const size_t element_d = m->single_out ? 4 : p.element;
                const size_t read = (m->batch - 1) * m->stride_a + (m->m - 1) * m->ld_a + m->k;
                const size_t written = (m->batch - 1) * m->stride_d + (m->m - 1) * m->ld_d + m->n;
                assert_true(read * p.element <= place[uses[u].a].bytes);
                assert_int_equal(written * element_d, place[uses[u].d].bytes);
            }
            const bool pw = shapes[i].variant == VJ_VARIANT_PW_JND;
            for (int c = p.first; c < p.layers; c++) {
                const size_t pixels = rows * (size_t)p.conv[c].side * (size_t)p.conv[c].side;
                const size_t in = pixels * (size_t)p.conv[c].in * p.element;
                const size_t out = pixels * (size_t)p.conv[c].out * p.element;
                const bool second = pw && c % 2, pools = second || (!pw && c < 3);
                const int block = pw ? c / 2 : c;
                const int from = second  ? VJ_CUDA_NET_BETWEEN
                                 : block ? (int)vj_cuda_net_pooled(&p, block - 1)
                                         : VJ_CUDA_NET_INPUT;
                const int map = pw      ? second ? VJ_CUDA_NET_MAP : VJ_CUDA_NET_BETWEEN
                                : c < 3 ? VJ_CUDA_NET_MAP
                                        : VJ_CUDA_NET_TOKENS;
                const int pooled = (int)vj_cuda_net_pooled(&p, block);
                assert_true(in <= place[from].bytes);
                if (c == 3 && !pw) /* what it writes lies over what is of no use any more */
                    assert_true(place[from].last >= VJ_CUDA_NET_STEP_CONV4);
                assert_true(p.conv[c].pooled || out <= place[map].bytes);
                assert_true(!p.conv[c].pooled || (pools && pooled != from));
                assert_true(!pools || out / 4 <= place[pooled].bytes);
                assert_true(!p.conv[c].scaled || (!pw && c > 0));
                if (pw || c == 3)
                    continue;
                const size_t parts = rows * (size_t)p.pool[c].blocks * (size_t)p.conv[c].out;
                if (p.conv[c].pooled && p.conv[c].way == VJ_CUDA_NET_TILED)
                    assert_int_equal(p.pool[c].blocks, p.conv[c].across * p.conv[c].across);
                assert_true(parts * sizeof(float) <= place[VJ_CUDA_NET_SUMS].bytes);
                assert_true(parts * sizeof(float) <= place[VJ_CUDA_NET_PEAKS].bytes);
                assert_true(rows * (size_t)p.conv[c].out * 4 <= place[VJ_CUDA_NET_SCALE].bytes);
            }
        }
}

/* Megabytes of a row in the documentation. */
static void a_row_takes_what_the_documentation_says(void **state)
{
    (void)state;
    static const struct {
        enum vj_variant variant;
        enum vj_cuda_precision precision;
        double megabytes;
    } list[] = {{VJ_VARIANT_RELEASED, VJ_CUDA_FP32, 2.3}, {VJ_VARIANT_RELEASED, VJ_CUDA_TF32, 1.8},
                {VJ_VARIANT_RELEASED, VJ_CUDA_FP16, 0.9}, {VJ_VARIANT_PW_JND, VJ_CUDA_FP32, 0.2},
                {VJ_VARIANT_PW_JND, VJ_CUDA_TF32, 0.3},   {VJ_VARIANT_PW_JND, VJ_CUDA_FP16, 0.2}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct vj_net_shape shape = vj_net_shape_default(list[i].variant);
        size_t total[2];
        for (size_t k = 0; k < 2; k++) {
            struct vj_cuda_net_plan p;
            struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
            ok(vj_cuda_net_plan_make(&p, &shape, 256 + 256 * k, list[i].precision, &err));
            ok(vj_cuda_net_plan_places(&p, 1, 1, 0, place, &total[k], &err));
        }
        const double row = (double)(total[1] - total[0]) / 256 * 1e-6;
        print_message("%s %s: %.3f MB a row\n", vj_variant_name(list[i].variant),
                      vj_cuda_precision_name(list[i].precision), row);
        assert_true(fabs(row - list[i].megabytes) <= 0.05);
    }
}

static void memory_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct vj_cuda_net_plan p;
    struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
    size_t total;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    ok(vj_cuda_net_plan_make(&p, &shape, 64, VJ_CUDA_FP32, &err));
    assert_int_equal(vj_cuda_net_plan_places(&p, SIZE_MAX, 2, 0, place, &total, &err), -EOVERFLOW);
    /* 4,096 + 65,536 bytes a patch: either fits alone. */
    assert_int_equal(vj_cuda_net_plan_places(&p, 1, SIZE_MAX / 66000, 0, place, &total, &err),
                     -EOVERFLOW);
    assert_int_equal(vj_cuda_net_plan_places(&p, 1, 1, SIZE_MAX - 100, place, &total, &err),
                     -EOVERFLOW);
    assert_int_equal(vj_cuda_net_plan_places(&p, 0, 1, 0, place, &total, &err), -EINVAL);
    assert_int_equal(vj_cuda_net_plan_places(&p, 1, 0, 0, place, &total, &err), -EINVAL);
}

static void alignment_is_what_every_row_has(void **state)
{
    (void)state;
    const size_t lds[] = {1, 2, 6, 8, 20, 48, 64, 96, 256, 512, 1024, 131072};
    for (size_t i = 0; i < sizeof(lds) / sizeof(lds[0]); i++)
        for (size_t j = 0; j < sizeof(lds) / sizeof(lds[0]); j++) {
            size_t want = VJ_CUDA_NET_ALIGNMENT;
            for (size_t product = 0; product < 3; product++)
                for (size_t row = 0; row < 3; row++)
                    while ((product * lds[j] + row * lds[i]) % want)
                        want /= 2;
            assert_int_equal(vj_cuda_net_row_alignment(lds[i], lds[j]), want);
        }
    assert_int_equal(vj_cuda_net_row_alignment(1024, 0), 256);
}

static void blocks_cover_every_element(void **state)
{
    (void)state;
    for (size_t n = 1; n < 2000; n += 51) {
        const size_t blocks = vj_cuda_net_blocks(n);
        assert_true(blocks * VJ_CUDA_NET_THREADS >= n);
        assert_true((blocks - 1) * VJ_CUDA_NET_THREADS < n);
    }
    assert_int_equal(vj_cuda_net_blocks(256), 1);
    assert_int_equal(vj_cuda_net_blocks(257), 2);
}

/* 32 patches of 32 pixels: 4 batches of 25 candidates, not of 32; 64: 7 of 15, not of 16. What is
 * cut into parts of pictures stays as it is. */
static void batches_of_small_patches_have_more_rows(void **state)
{
    (void)state;
    static const struct {
        int size;
        size_t patches, rows, want;
    } list[] = {{128, 32, 320, 320}, {64, 32, 320, 320},   {48, 32, 320, 320},   {32, 32, 320, 800},
                {32, 64, 320, 1280}, {32, 96, 192, 480},   {32, 513, 257, 1028}, {32, 1, 100, 100},
                {16, 32, 320, 3200}, {16, 500, 250, 2500}, {32, 4000, 308, 1232}};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        shape.patch_size = list[i].size;
        assert_int_equal(vj_cuda_net_rows(&shape, list[i].rows, list[i].patches), list[i].want);
    }
}

/* ---- refusals ---- */

static void what_is_out_of_range_is_named(void **state)
{
    (void)state;
    struct vj_cuda_net_plan p;
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_RELEASED);
    assert_int_equal(vj_cuda_net_plan_make(&p, &shape, 0, VJ_CUDA_FP32, &err), -EINVAL);
    vj_assert_contains(err.text, "rows is 0");
    assert_int_equal(vj_cuda_net_plan_make(&p, &shape, 4097, VJ_CUDA_FP32, &err), -EINVAL);
    assert_int_equal(vj_cuda_net_plan_make(&p, &shape, 1, (enum vj_cuda_precision)3, &err),
                     -EINVAL);
    /* 128 * 128 * 32 numbers a row: 4,095 rows are the last below 2^31. */
    ok(vj_cuda_net_plan_make(&p, &shape, 4095, VJ_CUDA_FP32, &err));
    assert_int_equal(vj_cuda_net_plan_make(&p, &shape, 4096, VJ_CUDA_FP32, &err), -EINVAL);
    vj_assert_contains(err.text, "at most 4095 rows");
    shape.patch_size = 100;
    assert_int_equal(vj_cuda_net_plan_make(&p, &shape, 1, VJ_CUDA_FP32, &err), -EINVAL);
    vj_assert_contains(err.text, "patch_size");
    shape = pw_shape_of(256, 32, 64, 128, 256, 512);
    assert_int_equal(vj_cuda_net_plan_make(&p, &shape, 1024, VJ_CUDA_FP32, &err), -EINVAL);
    vj_assert_contains(err.text, "1024 rows of conv1_1 are 2147483648 numbers");
    vj_assert_contains(err.text, "at most 1023 rows");
}

static void precisions_have_names(void **state)
{
    (void)state;
    for (int i = VJ_CUDA_FP32; i <= VJ_CUDA_FP16; i++) {
        enum vj_cuda_precision back;
        ok(vj_cuda_precision_parse(&back, vj_cuda_precision_name((enum vj_cuda_precision)i), &err));
        assert_int_equal(back, i);
    }
    enum vj_cuda_precision none;
    assert_int_equal(vj_cuda_precision_parse(&none, "bf16", &err), -EINVAL);
    vj_assert_contains(err.text, "tf32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_plan_has_the_numbers_of_the_specification),
        cmocka_unit_test(the_default_plan_of_pw_jnd_has_the_numbers_of_the_documentation),
        cmocka_unit_test(the_default_non_local_block_is_one_kernel_on_tensor_cores),
        cmocka_unit_test(channels_in_memory_are_whole_16_byte_groups_and_cover_the_weights),
        cmocka_unit_test(products_by_columns_are_the_products_by_rows),
        cmocka_unit_test(the_affinity_reads_phi_as_the_specification_says),
        cmocka_unit_test(projection_and_attend_have_the_layouts_of_their_neighbours),
        cmocka_unit_test(slices_of_the_heads_add_up_to_the_whole_product),
        cmocka_unit_test(slices_are_equal_and_none_is_short),
        cmocka_unit_test(the_pooling_kernel_visits_every_pixel_and_channel_once),
        cmocka_unit_test(buffers_that_live_at_the_same_time_lie_apart),
        cmocka_unit_test(buffers_hold_what_the_layers_write),
        cmocka_unit_test(a_row_takes_what_the_documentation_says),
        cmocka_unit_test(memory_that_does_not_fit_is_an_error),
        cmocka_unit_test(alignment_is_what_every_row_has),
        cmocka_unit_test(blocks_cover_every_element),
        cmocka_unit_test(batches_of_small_patches_have_more_rows),
        cmocka_unit_test(what_is_out_of_range_is_named),
        cmocka_unit_test(precisions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
