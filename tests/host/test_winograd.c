/* SPDX-License-Identifier: MIT */
/*
 * Winograd's F(4x4, 3x3) (host/winograd.h) against the definition of a convolution in double, the
 * rounding errors that its points were chosen by, and the convolution that is made of it
 * (host/net_conv.h) on odd sizes, in every layout, with sentinels around what it writes.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <omp.h>

#include "host/checked.h"
#include "host/net_conv.h"
#include "host/train_conv.h"
#include "host/winograd.h"
#include "host/winograd_conv.h"
#include "tests/host/net_formula.h"

static struct vj_error err;

static void ok(int rc)
{
    if (rc) {
        print_error("%s\n", err.text);
        fail();
    }
}

/* In [-1, 1), a function of its number. */
static float number(size_t i)
{
    return (float)(formula_mix((uint32_t)i) >> 8) * (1.0f / 8388608.0f) - 1.0f;
}

/* ---- The arithmetic ---- */

static struct vj_winograd_six column_of(float d[6][6], size_t x)
{
    struct vj_winograd_six six = {d[0][x], d[1][x], d[2][x], d[3][x], d[4][x], d[5][x]};
    return six;
}

static struct vj_winograd_six row_of(float d[6][6], size_t y)
{
    struct vj_winograd_six six = {d[y][0], d[y][1], d[y][2], d[y][3], d[y][4], d[y][5]};
    return six;
}

static void set_column(float d[6][6], size_t x, struct vj_winograd_six v)
{
    d[0][x] = v.v0;
    d[1][x] = v.v1;
    d[2][x] = v.v2;
    d[3][x] = v.v3;
    d[4][x] = v.v4;
    d[5][x] = v.v5;
}

/* B^T d B, in place. */
static void transform_inputs(float d[6][6])
{
    for (size_t x = 0; x < 6; x++)
        set_column(d, x, vj_winograd_input(column_of(d, x)));
    for (size_t y = 0; y < 6; y++) {
        const struct vj_winograd_six v = vj_winograd_input(row_of(d, y));
        const float line[6] = {v.v0, v.v1, v.v2, v.v3, v.v4, v.v5};
        memcpy(d[y], line, sizeof(line));
    }
}

/* A^T m A. */
static void transform_products(float m[6][6], float out[4][4])
{
    float half[6][6] = {{0}};
    for (size_t x = 0; x < 6; x++) {
        const struct vj_winograd_four v = vj_winograd_output(column_of(m, x));
        half[0][x] = v.v0;
        half[1][x] = v.v1;
        half[2][x] = v.v2;
        half[3][x] = v.v3;
    }
    for (size_t y = 0; y < 4; y++) {
        const struct vj_winograd_four v = vj_winograd_output(row_of(half, y));
        const float line[4] = {v.v0, v.v1, v.v2, v.v3};
        memcpy(out[y], line, sizeof(line));
    }
}

/* Each of the 36 inputs and 9 kernel elements alone: what is not a product of theirs is a zero. */
static void every_input_meets_every_kernel_element_as_in_a_convolution(void **state)
{
    (void)state;
    float worst = 0;
    for (size_t input = 0; input < 36; input++) {
        for (size_t element = 0; element < 9; element++) {
            float d[6][6] = {{0}}, g[9] = {0}, u[36], out[4][4];
            d[input / 6][input % 6] = 1;
            g[element] = 1;
            transform_inputs(d);
            vj_winograd_kernel(g, 1, u, 1);
            for (size_t i = 0; i < 36; i++)
                d[i / 6][i % 6] *= u[i];
            transform_products(d, out);
            for (size_t y = 0; y < 4; y++)
                for (size_t x = 0; x < 4; x++) {
                    const bool hit = y + element / 3 == input / 6 && x + element % 3 == input % 6;
                    worst = fmaxf(worst, fabsf(out[y][x] - (hit ? 1.0f : 0.0f)));
                }
        }
    }
    print_message("worst difference to 0 or 1: %.2g\n", (double)worst);
    assert_true(worst < 3e-6f);
}

/* Root mean square error and value of sums over `channels` of random inputs and kernels. */
static void rounding(size_t channels, double *winograd, double *direct)
{
    enum { TILES = 400 };
    double square = 0, error = 0, error_direct = 0;
    for (size_t tile = 0; tile < TILES; tile++) {
        float sum[6][6] = {{0}}, out[4][4], plain[4][4] = {{0}};
        double exact[4][4] = {{0}};
        for (size_t c = 0; c < channels; c++) {
            float d[6][6], g[9], u[36];
            const size_t base = (tile * channels + c) * 64;
            for (size_t i = 0; i < 36; i++)
                d[i / 6][i % 6] = fmaxf(number(base + i), 0.0f); /* as behind a relu */
            for (size_t i = 0; i < 9; i++)
                g[i] = number(base + 36 + i);
            for (size_t i = 0; i < 16 * 9; i++) {
                const size_t y = i / 36, x = i / 9 % 4, k = i % 9;
                const float v = d[y + k / 3][x + k % 3];
                plain[y][x] += v * g[k];
                exact[y][x] += (double)v * (double)g[k];
            }
            transform_inputs(d);
            vj_winograd_kernel(g, 1, u, 1);
            for (size_t i = 0; i < 36; i++)
                sum[i / 6][i % 6] += d[i / 6][i % 6] * u[i];
        }
        transform_products(sum, out);
        for (size_t i = 0; i < 16; i++) {
            const double e = exact[i / 4][i % 4];
            square += e * e;
            error += pow((double)out[i / 4][i % 4] - e, 2);
            error_direct += pow((double)plain[i / 4][i % 4] - e, 2);
        }
    }
    *winograd = sqrt(error / square);
    *direct = sqrt(error_direct / square);
}

static void rounding_errors_are_about_those_of_a_direct_sum(void **state)
{
    (void)state;
    double winograd, direct;
    for (size_t channels = 32; channels <= 128; channels *= 2) {
        rounding(channels, &winograd, &direct);
        print_message("%zu channels: Winograd %.2g of the root mean square, direct sum %.2g\n",
                      channels, winograd, direct);
        assert_true(winograd < 1.2e-6);
        assert_true(winograd < 2.5 * direct);
    }
}

/* ---- The convolution ---- */

enum { SENTINELS = 64 };

static const float sentinel = -12345.0f;

struct shape {
    size_t height, width, in, out, src_block, dst_block;
};

/* Element (c, y, x) of a map in channel blocks. */
static size_t at(size_t block, size_t height, size_t width, size_t c, size_t y, size_t x)
{
    return ((c / block * height + y) * width + x) * block + c % block;
}

static double defined(const struct shape *s, const float *src, const float *kernel,
                      const float *bias, size_t co, size_t y, size_t x)
{
    double sum = (double)bias[co];
    for (size_t k = 0; k < 9; k++) {
        const size_t yy = y + k / 3 - 1, xx = x + k % 3 - 1;
        if (yy >= s->height || xx >= s->width)
            continue;
        for (size_t ci = 0; ci < s->in; ci++)
            sum += (double)src[at(s->src_block, s->height, s->width, ci, yy, xx)] *
                   (double)kernel[(k * s->in + ci) * s->out + co];
    }
    return sum > 0 ? sum : 0;
}

struct rig {
    struct vj_dnn *dnn;
    struct vj_net_conv *conv;
    struct vj_net_conv_call *call;
    float *src, *dst, *kernel, *bias, *scratch;
    size_t src_floats, dst_floats;
};

static void rig_make(struct rig *r, const struct shape *s)
{
    const size_t kernel = 9 * s->in * s->out;
    const struct vj_dnn_conv conv = {
        .name = "conv",
        .batch = 1,
        .height = s->height,
        .width = s->width,
        .in = s->in,
        .out = s->out,
        .kernel = 3,
        .relu = true,
        .src_block = s->src_block,
        .dst_block = s->dst_block,
    };
    assert_true(vj_winograd_conv_suits(&conv));
    r->src_floats = s->height * s->width * s->in;
    r->dst_floats = s->height * s->width * s->out;
    r->src = vj_alloc_aligned(r->src_floats, sizeof(float));
    r->dst = vj_alloc_aligned(r->dst_floats + 2 * SENTINELS, sizeof(float));
    r->kernel = vj_calloc(kernel, sizeof(float));
    r->bias = vj_calloc(s->out, sizeof(float));
    assert_true(r->src && r->dst && r->kernel && r->bias);
    for (size_t i = 0; i < r->src_floats; i++)
        r->src[i] = number(i);
    for (size_t i = 0; i < kernel; i++)
        r->kernel[i] = number(1000000 + i);
    for (size_t i = 0; i < s->out; i++)
        r->bias[i] = number(2000000 + i);
    for (size_t i = 0; i < r->dst_floats + 2 * SENTINELS; i++)
        r->dst[i] = sentinel;
    ok(vj_dnn_create(&r->dnn, &err));
    ok(vj_net_conv_prepare(&r->conv, r->dnn, &conv, r->kernel, r->bias, &err));
    r->scratch = vj_alloc_aligned(vj_net_conv_scratch_bytes(r->conv), 1);
    assert_non_null(r->scratch);
    memset(r->scratch, 0, vj_net_conv_scratch_bytes(r->conv));
    ok(vj_net_conv_bind(&r->call, r->conv, r->src, r->dst + SENTINELS, r->scratch, &err));
}

static void rig_free(struct rig *r)
{
    vj_net_conv_call_free(r->call);
    vj_net_conv_free(r->conv);
    vj_dnn_free(r->dnn);
    free(r->src);
    free(r->dst);
    free(r->kernel);
    free(r->bias);
    free(r->scratch);
}

/* Largest difference to the definition, of the outputs' root mean square. */
static double worst_error(const struct rig *r, const struct shape *s)
{
    double worst = 0, square = 0;
    for (size_t co = 0; co < s->out; co++)
        for (size_t y = 0; y < s->height; y++)
            for (size_t x = 0; x < s->width; x++) {
                const double is =
                    (double)r->dst[SENTINELS + at(s->dst_block, s->height, s->width, co, y, x)];
                const double right = defined(s, r->src, r->kernel, r->bias, co, y, x);
                square += right * right;
                worst = fmax(worst, fabs(is - right));
            }
    return worst / sqrt(square / (double)r->dst_floats);
}

static const struct shape shapes[] = {
    {16, 16, 8, 8, 8, 8},   {13, 14, 16, 24, 8, 8},    {13, 17, 24, 16, 24, 16},
    {15, 21, 32, 8, 16, 8}, {14, 20, 16, 32, 16, 32},  {4, 64, 8, 40, 8, 8},
    {61, 4, 8, 16, 8, 16},  {19, 18, 48, 112, 16, 16}, {64, 64, 32, 64, 8, 8},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void sizes_and_layouts_agree_with_the_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        struct rig r;
        rig_make(&r, s);
        assert_int_equal(vj_net_conv_src_block(r.conv), s->src_block);
        assert_int_equal(vj_net_conv_dst_block(r.conv), s->dst_block);
        ok(vj_net_conv_run(r.call, &err));
        const double worst = worst_error(&r, s);
        print_message("%zux%zu, %zu to %zu channels: %.2g\n", s->width, s->height, s->in, s->out,
                      worst);
        assert_true(worst < 1.5e-5); /* the customary points reach 2.2e-5 with 64 channels */
        for (size_t k = 0; k < SENTINELS; k++) {
            assert_true(r.dst[k] == sentinel);
            assert_true(r.dst[SENTINELS + r.dst_floats + k] == sentinel);
        }
        rig_free(&r);
    }
}

/* What an earlier run left in the strips does not show: the last one is not filled to its end. */
static void a_run_depends_on_its_source_alone(void **state)
{
    (void)state;
    const struct shape s = {64, 44, 64, 128, 8, 8};
    struct rig r;
    rig_make(&r, &s);
    ok(vj_net_conv_run(r.call, &err));
    float *first = vj_calloc(r.dst_floats, sizeof(float));
    assert_non_null(first);
    memcpy(first, r.dst + SENTINELS, r.dst_floats * sizeof(float));
    const size_t bytes = vj_net_conv_scratch_bytes(r.conv);
    assert_true(bytes < VJ_WINOGRAD_PRODUCTS * (16 * 11) * (64 + 128) * sizeof(float)); /* strips */
    memset(r.scratch, 0xff, bytes); /* not numbers */
    memset(r.dst + SENTINELS, 0xff, r.dst_floats * sizeof(float));
    ok(vj_net_conv_run(r.call, &err));
    assert_memory_equal(first, r.dst + SENTINELS, r.dst_floats * sizeof(float));
    free(first);
    rig_free(&r);
}

static void what_is_not_a_number_stays_none(void **state)
{
    (void)state;
    const struct shape s = {16, 16, 8, 8, 8, 8};
    struct rig r;
    rig_make(&r, &s);
    r.src[at(8, 16, 16, 3, 5, 6)] = NAN;
    ok(vj_net_conv_run(r.call, &err));
    for (size_t c = 0; c < 8; c++)
        assert_true(isnan(r.dst[SENTINELS + at(8, 16, 16, c, 5, 6)]));
    assert_false(isnan(r.dst[SENTINELS + at(8, 16, 16, 0, 15, 15)]));
    rig_free(&r);
}

static void small_maps_and_odd_channels_are_left_to_onednn(void **state)
{
    (void)state;
    struct vj_dnn_conv conv = {.height = 16, .width = 16, .in = 8, .out = 8};
    assert_true(vj_winograd_conv_suits(&conv));
    conv.height = 12;
    assert_false(vj_winograd_conv_suits(&conv));
    conv.height = 13;
    assert_true(vj_winograd_conv_suits(&conv));
    conv.in = 3;
    assert_false(vj_winograd_conv_suits(&conv));
    conv.in = 8;
    conv.out = 12;
    assert_false(vj_winograd_conv_suits(&conv));

    const float kernel[9 * 3 * 4] = {0}, bias[4] = {0};
    const struct vj_dnn_conv direct = {
        .name = "direct",
        .batch = 1,
        .height = 20,
        .width = 20,
        .in = 3,
        .out = 4,
        .kernel = 3,
        .relu = true,
    };
    struct vj_dnn *dnn;
    struct vj_net_conv *c;
    char text[128];
    ok(vj_dnn_create(&dnn, &err));
    ok(vj_net_conv_prepare(&c, dnn, &direct, kernel, bias, &err));
    vj_net_conv_describe(c, text, sizeof(text));
    assert_null(strstr(text, "winograd"));
    vj_net_conv_free(c);
    vj_dnn_free(dnn);
}

/* ---- training ---- */

struct way {
    struct vj_train_conv conv;
    struct vj_train_conv_call call;
    float *scratch, *dst, *diff_src;
};

/* With Winograd's way where it suits, or the direct one alone. */
static void way_make(struct way *w, struct vj_dnn *dnn, const struct vj_dnn_conv *shape,
                     bool winograd, const float *kernel, const float *bias)
{
    memset(w, 0, sizeof(*w));
    ok(vj_dnn_conv_train_prepare(&w->conv.direct, dnn, shape, true, &err));
    if (winograd)
        ok(vj_train_conv_complete(&w->conv, dnn, shape, true, &err));
    ok(vj_train_conv_load(&w->conv, kernel, bias, &err));
    w->scratch = vj_alloc_aligned(vj_train_conv_scratch_bytes(&w->conv) + 64, 1);
    w->dst = vj_calloc(shape->batch * vj_dnn_conv_train_dst_floats(w->conv.direct), 4);
    w->diff_src = vj_calloc(shape->batch * vj_dnn_conv_train_src_floats(w->conv.direct), 4);
    assert_true(w->scratch && w->dst && w->diff_src);
    ok(vj_train_conv_bind(&w->call, &w->conv, w->scratch, &err));
}

static void way_free(struct way *w)
{
    vj_train_conv_call_free(&w->call);
    vj_train_conv_free(&w->conv);
    free(w->scratch);
    free(w->dst);
    free(w->diff_src);
}

/* ||a - b|| / ||b|| */
static double apart(const float *a, const float *b, size_t count)
{
    double difference = 0, square = 0;
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)a[i] - (double)b[i], 2);
        square += pow((double)b[i], 2);
    }
    assert_true(square > 0);
    return sqrt(difference / square);
}

/* Results and derivatives by the source of three patches, after weights were loaded twice. */
static void training_takes_the_same_steps_both_ways(void **state)
{
    (void)state;
    static const struct {
        size_t height, width, in, out;
    } sizes[] = {{16, 16, 8, 16}, {19, 23, 16, 8}, {32, 32, 32, 64}, {13, 40, 24, 40}};
    struct vj_dnn *dnn;
    omp_set_num_threads(1);
    ok(vj_dnn_create(&dnn, &err));
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        const struct vj_dnn_conv shape = {.name = "training",
                                          .batch = 3,
                                          .height = sizes[k].height,
                                          .width = sizes[k].width,
                                          .in = sizes[k].in,
                                          .out = sizes[k].out,
                                          .kernel = 3,
                                          .relu = true,
                                          .src_block = k % 2 ? sizes[k].in : 8,
                                          .dst_block = k % 2 ? sizes[k].out : 8};
        const size_t weights = 9 * shape.in * shape.out, pixels = shape.height * shape.width;
        float *kernel = vj_calloc(weights, sizeof(float));
        float *bias = vj_calloc(shape.out, sizeof(float));
        float *src = vj_calloc(3 * pixels * shape.in, sizeof(float));
        float *diff_dst = vj_calloc(3 * pixels * shape.out, sizeof(float));
        struct way winograd, direct;
        assert_true(kernel && bias && src && diff_dst);
        way_make(&winograd, dnn, &shape, true, kernel, bias);
        way_make(&direct, dnn, &shape, false, kernel, bias);
        assert_non_null(winograd.conv.forward);
        assert_non_null(winograd.conv.back);
        assert_null(direct.conv.forward);
        for (size_t i = 0; i < weights; i++)
            kernel[i] = number(i);
        for (size_t i = 0; i < shape.out; i++)
            bias[i] = number(1000000 + i);
        for (size_t i = 0; i < 3 * pixels * shape.in; i++)
            src[i] = number(2000000 + i);
        for (size_t i = 0; i < 3 * pixels * shape.out; i++)
            diff_dst[i] = number(3000000 + i);
        for (int way = 0; way < 2; way++) {
            struct way *w = way ? &winograd : &direct;
            ok(vj_train_conv_load(&w->conv, kernel, bias, &err));
            ok(vj_train_conv_forward(&w->call, src, w->dst, &err));
            ok(vj_train_conv_backward_data(&w->call, diff_dst, w->diff_src, &err));
        }
        const double forward = apart(winograd.dst, direct.dst, 3 * pixels * shape.out);
        const double back = apart(winograd.diff_src, direct.diff_src, 3 * pixels * shape.in);
        print_message("results differ by %.1e, derivatives by %.1e\n", forward, back);
        assert_true(forward > 0 && forward < 1e-6 && back > 0 && back < 1e-6);
        way_free(&winograd);
        way_free(&direct);
        free(kernel);
        free(bias);
        free(src);
        free(diff_dst);
    }
    vj_dnn_free(dnn);
}

/* Where value (c, y, x) of patch p lies in maps whose channels stand in blocks. */
static size_t value_at(size_t p, size_t c, size_t y, size_t x, size_t channels, size_t block,
                       size_t height, size_t width)
{
    const size_t planes = (channels + block - 1) / block;
    return (((p * planes + c / block) * height + y) * width + x) * block + c % block;
}

/* What the weight of a tap gets by the definition: [in][out], tap = 3 row + column. */
static double weight_slope(const struct vj_dnn_conv *s, const float *src, const float *diff_dst,
                           size_t tap, size_t in, size_t out)
{
    double sum = 0;
    for (size_t p = 0; p < s->batch; p++)
        for (size_t y = 0; y < s->height; y++)
            for (size_t x = 0; x < s->width; x++) {
                const size_t from_y = y + tap / 3 - 1, from_x = x + tap % 3 - 1; /* may wrap */
                if (from_y < s->height && from_x < s->width)
                    sum += (double)src[value_at(p, in, from_y, from_x, s->in, s->src_block,
                                                s->height, s->width)] *
                           (double)diff_dst[value_at(p, out, y, x, s->out, s->dst_block, s->height,
                                                     s->width)];
            }
    return sum;
}

/*
 * Derivatives by the weights of maps smaller than the kernel: twice, so that what a call leaves
 * behind shows; those of the networks (2x2) not by oneDNN's reference, which takes seconds for
 * them.
 */
static void maps_smaller_than_a_kernel_train_as_fast_as_others(void **state)
{
    (void)state;
    static const struct {
        size_t height, width, in, out;
    } sizes[] = {{2, 2, 128, 256}, {1, 1, 16, 32}, {2, 5, 16, 32}, {3, 1, 16, 32}};
    char text[128];
    struct vj_dnn *dnn;
    ok(vj_dnn_create(&dnn, &err));
    vj_dnn_describe(text, sizeof(text));
    const bool fast = strstr(text, "AVX2") || strstr(text, "AVX-512");
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        struct vj_dnn_conv shape = {.name = "small",
                                    .batch = 3,
                                    .height = sizes[k].height,
                                    .width = sizes[k].width,
                                    .in = sizes[k].in,
                                    .out = sizes[k].out,
                                    .kernel = 3,
                                    .src_block = VJ_DNN_ANY,
                                    .dst_block = VJ_DNN_ANY};
        struct vj_dnn_conv_train *conv;
        struct vj_dnn_conv_train_call *call;
        ok(vj_dnn_conv_train_prepare(&conv, dnn, &shape, true, &err));
        vj_dnn_conv_train_describe(conv, text, sizeof(text));
        if (fast && k == 0)
            assert_null(strstr(strrchr(text, ','), "ref"));
        shape.src_block = vj_dnn_conv_train_src_block(conv);
        shape.dst_block = vj_dnn_conv_train_dst_block(conv);
        const size_t from = shape.batch * vj_dnn_conv_train_src_floats(conv);
        const size_t by = shape.batch * vj_dnn_conv_train_dst_floats(conv);
        float *scratch = vj_alloc_aligned(vj_dnn_conv_train_scratch_bytes(conv) + 64, 1);
        float *src = vj_alloc_aligned(from, sizeof(float));
        float *diff_dst = vj_alloc_aligned(by, sizeof(float));
        float *own = vj_alloc_aligned(vj_dnn_conv_train_kernel_floats(conv), sizeof(float));
        float *kernel = vj_calloc(9 * shape.in * shape.out, sizeof(float)), bias[256];
        assert_true(scratch && src && diff_dst && own && kernel);
        ok(vj_dnn_conv_train_bind(&call, conv, scratch, &err));
        for (size_t turn = 1; turn <= 2; turn++) {
            for (size_t i = 0; i < from; i++)
                src[i] = number(turn * 1000000 + i);
            for (size_t i = 0; i < by; i++)
                diff_dst[i] = number(turn * 3000000 + i);
            ok(vj_dnn_backward_weights(call, src, diff_dst, own, bias, &err));
            ok(vj_dnn_conv_train_unpack(conv, own, kernel, &err));
            for (size_t i = 0; i < 9 * shape.in * shape.out; i++) {
                const size_t in = i / shape.out % shape.in, out = i % shape.out;
                const double wanted =
                    weight_slope(&shape, src, diff_dst, i / shape.out / shape.in, in, out);
                assert_true(fabs((double)kernel[i] - wanted) < 1e-5);
            }
            for (size_t out = 0; out < shape.out; out++) {
                double wanted = 0;
                for (size_t i = 0; i < shape.batch * shape.height * shape.width; i++)
                    wanted += (double)diff_dst[value_at(
                        i / shape.width / shape.height, out, i / shape.width % shape.height,
                        i % shape.width, shape.out, shape.dst_block, shape.height, shape.width)];
                assert_true(fabs((double)bias[out] - wanted) < 1e-5);
            }
        }
        vj_dnn_conv_train_call_free(call);
        vj_dnn_conv_train_free(conv);
        free(scratch);
        free(src);
        free(diff_dst);
        free(own);
        free(kernel);
    }
    vj_dnn_free(dnn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_meets_every_kernel_element_as_in_a_convolution),
        cmocka_unit_test(rounding_errors_are_about_those_of_a_direct_sum),
        cmocka_unit_test(sizes_and_layouts_agree_with_the_definition),
        cmocka_unit_test(a_run_depends_on_its_source_alone),
        cmocka_unit_test(what_is_not_a_number_stays_none),
        cmocka_unit_test(training_takes_the_same_steps_both_ways),
        cmocka_unit_test(maps_smaller_than_a_kernel_train_as_fast_as_others),
        cmocka_unit_test(small_maps_and_odd_channels_are_left_to_onednn),
    };
    omp_set_num_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
