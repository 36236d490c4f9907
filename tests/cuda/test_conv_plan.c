/* SPDX-License-Identifier: MIT */
/*
 * How the CUDA device computes convolutions, as far as that can be wrong without a GPU: the
 * kernels' layouts, which way is taken, and how many patches are in work at a time.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "tests/cuda/net_shapes.h"
#include "tests/host/net_plain.h"

/* A padded cross-correlation as cuDNN defines it, NHWC and KRSC. */
static double convolve_at(const struct vj_cuda_net_conv *c, const double *x, const float *krsc,
                          int y0, int x0, int out)
{
    double sum = 0;
    for (int r = 0; r < 3; r++)
        for (int s = 0; s < 3; s++) {
            const int y = y0 + r - 1, xx = x0 + s - 1;
            if (y < 0 || xx < 0 || y >= c->side || xx >= c->side)
                continue;
            for (int i = 0; i < c->in; i++)
                sum += x[(y * c->side + xx) * c->in + i] *
                       (double)krsc[((out * 3 + r) * 3 + s) * c->in + i];
        }
    return sum;
}

static void kernels_in_cudnn_order_convolve_like_those_of_the_weight_file(void **state)
{
    (void)state;
    const struct vj_cuda_net_conv list[] = {
        {.name = "input", .side = 5, .in = 4, .out = 16, .real_in = 3, .real_out = 16},
        {.name = "halves", .side = 4, .in = 8, .out = 24, .real_in = 3, .real_out = 21},
        {.name = "plain", .side = 3, .in = 16, .out = 8, .real_in = 16, .real_out = 8},
    };
    for (size_t n = 0; n < sizeof(list) / sizeof(list[0]); n++) {
        const struct vj_cuda_net_conv *c = &list[n];
        const size_t in = (size_t)c->real_in, out = (size_t)c->real_out, side = (size_t)c->side;
        float *hwio = malloc(9 * in * out * sizeof(float));
        float *krsc = malloc(9 * (size_t)c->in * (size_t)c->out * sizeof(float));
        float *bias = calloc(out, sizeof(float));
        for (size_t i = 0; i < 9 * in * out; i++)
            hwio[i] = (float)noise(8, i);
        memset(krsc, 0xff, 9 * (size_t)c->in * (size_t)c->out * sizeof(float)); /* NaN */
        vj_cuda_net_conv_kernel(c, hwio, krsc);

        struct plain_map x = plain_new(side, in);
        double *padded = noisy(9, side * side * (size_t)c->in); /* padding: anything finite */
        for (size_t i = 0; i < side * side; i++)
            for (size_t k = 0; k < in; k++)
                x.v[i * in + k] = padded[i * (size_t)c->in + k];
        struct plain_map want = plain_conv(&x, 3, out, hwio, bias);
        for (int y = 0; y < c->side; y++)
            for (int xx = 0; xx < c->side; xx++)
                for (int o = 0; o < c->out; o++) {
                    const double have = convolve_at(c, padded, krsc, y, xx, o);
                    const size_t at = ((size_t)y * side + (size_t)xx) * out + (size_t)o;
                    assert_true(o < c->real_out ? fabs(have - want.v[at]) < 1e-12 : have == 0);
                }
        free(x.v);
        free(want.v);
        free(padded);
        free(hwio);
        free(krsc);
        free(bias);
    }
}

/* A map of 2x2 as one row, times the kernel of that way. */
static void a_map_of_four_pixels_is_one_product(void **state)
{
    (void)state;
    const struct vj_cuda_net_conv c = {.name = "dense",
                                       .side = 2,
                                       .in = 20,
                                       .out = 24,
                                       .real_in = 18,
                                       .real_out = 21,
                                       .way = VJ_CUDA_NET_DENSE,
                                       .group = 3};
    const struct vj_cuda_net_matmul m = vj_cuda_net_conv_product(&c);
    const size_t in = 18, out = 21;
    float *hwio = malloc(9 * in * out * sizeof(float));
    float *kernel = malloc(vj_cuda_net_conv_kernel_floats(&c) * sizeof(float));
    float *bias = calloc(out, sizeof(float));
    for (size_t i = 0; i < 9 * in * out; i++)
        hwio[i] = (float)noise(8, i);
    memset(kernel, 0xff, vj_cuda_net_conv_kernel_floats(&c) * sizeof(float)); /* NaN */
    vj_cuda_net_conv_kernel(&c, hwio, kernel);
    assert_true(m.m == 3 && m.k == 80 && m.n == 96 && m.batch == 1);
    assert_int_equal(vj_cuda_net_conv_kernel_floats(&c), m.k * m.n);
    assert_true(vj_cuda_net_conv_made(&c) == 16.0 * 18 * 21);
    assert_int_equal(vj_cuda_net_conv_inputs(&c) + vj_cuda_net_conv_products(&c), 0);

    struct plain_map x = plain_new(2, in);
    double *padded = noisy(9, 4 * 20); /* padding: anything finite */
    for (size_t i = 0; i < 4 * in; i++)
        x.v[i] = padded[i / in * 20 + i % in];
    struct plain_map want = plain_conv(&x, 3, out, hwio, bias);
    for (size_t j = 0; j < m.n; j++) {
        double have = 0;
        for (size_t k = 0; k < m.k; k++)
            have += padded[k] * (double)kernel[k * m.n + j];
        assert_true(j % 24 < out ? fabs(have - want.v[j / 24 * out + j % 24]) < 1e-12 : have == 0);
    }
    free(x.v);
    free(want.v);
    free(padded);
    free(hwio);
    free(kernel);
    free(bias);
}

static void ways_are_those_of_the_precision(void **state)
{
    (void)state;
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
            struct vj_cuda_net_plan p;
            ok(vj_cuda_net_plan_make(&p, &shapes[i], 5, (enum vj_cuda_precision)precision, &err));
            for (int c = 0; c < p.layers; c++) {
                const struct vj_cuda_net_conv *conv = &p.conv[c];
                const enum vj_cuda_net_way way = c == 0 || precision != VJ_CUDA_FP32
                                                     ? VJ_CUDA_NET_DIRECT
                                                 : conv->side == 2 ? VJ_CUDA_NET_DENSE
                                                                   : VJ_CUDA_NET_TILED;
                if (conv->way != VJ_CUDA_NET_BLOCK || precision == VJ_CUDA_FP32)
                    assert_int_equal(conv->way, way);
                assert_true(vj_cuda_net_conv_made(conv) <= vj_cuda_net_conv_macs(conv));
            }
            vj_cuda_net_plan_every_map(&p);
            for (int c = 0; c < p.layers; c++) {
                assert_int_equal(p.conv[c].way, VJ_CUDA_NET_DIRECT);
                assert_false(p.conv[c].pooled || p.conv[c].scaled);
                assert_true(vj_cuda_net_conv_made(&p.conv[c]) == vj_cuda_net_conv_macs(&p.conv[c]));
            }
        }
}

/* conv2 and conv3, on tensor cores: 64 or 32 pixels, whole chunks of 16 words, 64 channels. */
static void blocks_are_one_kernel_where_it_has_their_shape(void **state)
{
    (void)state;
    static const struct {
        int side, channels[3];
        bool conv2[2], conv3[2]; /* in tf32, fp16 */
    } list[] = {
        {128, {32, 64, 128}, {true, true}, {true, true}},
        {64, {32, 64, 128}, {true, true}, {false, false}},
        {96, {32, 64, 128}, {false, false}, {false, false}},
        {128, {16, 64, 128}, {true, false}, {true, false}},
        {128, {32, 48, 128}, {false, false}, {false, false}},
        {128, {32, 64, 96}, {true, true}, {false, false}},
        {128, {64, 192, 64}, {true, true}, {true, true}},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++) {
            const int *c = list[i].channels, k = precision - VJ_CUDA_TF32;
            const struct vj_net_shape shape = shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE,
                                                       list[i].side, c[0], c[1], c[2], 256);
            struct vj_cuda_net_plan p;
            ok(vj_cuda_net_plan_make(&p, &shape, 5, (enum vj_cuda_precision)precision, &err));
            const bool want[4] = {false, k >= 0 && list[i].conv2[k], k >= 0 && list[i].conv3[k],
                                  false};
            for (int layer = 0; layer < 4; layer++) {
                const struct vj_cuda_net_conv *conv = &p.conv[layer];
                assert_int_equal(conv->way == VJ_CUDA_NET_BLOCK, want[layer]);
                if (!want[layer])
                    continue;
                assert_true(conv->scaled && conv->pooled);
                assert_int_equal(p.pool[layer].blocks, conv->side == 64 ? 16 : 4);
                assert_true(vj_cuda_net_conv_bytes(conv, p.element) ==
                            (double)((size_t)(conv->side * conv->side) * p.element) *
                                (c[layer - 1] + c[layer] / 4.0));
            }
        }
}

/* As few groups as memory allows, or up to twice as many if that leaves less of the last one empty.
 */
static size_t best_group(size_t rows, size_t patch_bytes)
{
    size_t most = VJ_CUDA_NET_TILE_BYTES / patch_bytes, best = 0, least = SIZE_MAX;
    most = most < 1 ? 1 : most < rows ? most : rows;
    const size_t fewest = (rows + most - 1) / most;
    for (size_t group = most; group >= 1; group--) {
        const size_t groups = (rows + group - 1) / group, empty = groups * group - rows;
        if (groups <= 2 * fewest && empty < least) {
            best = group;
            least = empty;
        }
    }
    return best;
}

/* Their matrices stay within what is set for them, if more than one patch's do. */
static void tiles_are_in_work_a_group_of_patches_at_a_time(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 2, 7, 32, 64, 100, 101, 256, 800};
    struct vj_net_shape shapes[MANY];
    const size_t count = many_shapes(shapes);
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
            struct vj_cuda_net_plan p;
            if (vj_cuda_net_plan_make(&p, &shapes[i], rows[r], VJ_CUDA_FP32, NULL))
                continue; /* more than 2^31 numbers */
            for (int c = 0; c < p.layers; c++) {
                const struct vj_cuda_net_conv *conv = &p.conv[c];
                if (conv->way != VJ_CUDA_NET_TILED) {
                    assert_int_equal(conv->group, rows[r]);
                    continue;
                }
                const size_t tiles = (size_t)conv->across * (size_t)conv->across;
                const size_t bytes = 36 * conv->group * tiles * 4;
                const struct vj_cuda_net_matmul m = vj_cuda_net_conv_product(conv);
                const size_t best =
                    best_group(rows[r], 36 * tiles * 4 * (size_t)(conv->in + conv->out));
                assert_int_equal(conv->group, best);
                assert_true(conv->across * 4 >= conv->side && (conv->across - 1) * 4 < conv->side);
                assert_true(bytes * (size_t)(conv->in + conv->out) <= VJ_CUDA_NET_TILE_BYTES ||
                            conv->group == 1);
                assert_true(m.m == conv->group * tiles && m.batch == 36 &&
                            m.k == (size_t)conv->in && m.n == (size_t)conv->out);
                assert_true(m.stride_a == m.m * m.k && m.stride_b == m.k * m.n &&
                            m.stride_d == m.m * m.n);
                assert_true(vj_cuda_net_conv_inputs(conv) >= bytes * (size_t)conv->in &&
                            vj_cuda_net_conv_products(conv) >= bytes * (size_t)conv->out);
            }
        }
    /* 256 rows of `figure`: whole groups of 64, 128 and 256. */
    struct vj_cuda_net_plan p;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    ok(vj_cuda_net_plan_make(&p, &shape, 256, VJ_CUDA_FP32, &err));
    for (int i = 1; i < 4; i++)
        assert_int_equal(p.conv[i].group, 32 << i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_in_cudnn_order_convolve_like_those_of_the_weight_file),
        cmocka_unit_test(a_map_of_four_pixels_is_one_product),
        cmocka_unit_test(ways_are_those_of_the_precision),
        cmocka_unit_test(blocks_are_one_kernel_where_it_has_their_shape),
        cmocka_unit_test(tiles_are_in_work_a_group_of_patches_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
