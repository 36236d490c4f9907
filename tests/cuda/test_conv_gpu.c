/* SPDX-License-Identifier: MIT */
/*
 * Convolutions in the ways of cuda/net_conv.h, each alone, against the definition in double, with
 * sentinels around what they write. Skipped without a device.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "cuda/net_conv.h"

#include "cuda/check.h"
#include "tests/cuda/gpu_there.h"
#include "tests/host/net_formula.h"

enum { ROWS = 5, AROUND = 64 };

static const float sentinel = -12345.0f;

static struct vj_error err;

static void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

static void *on_device(const void *from, size_t bytes)
{
    void *to = NULL;
    ok(VJ_CUDA(cudaMalloc(&to, bytes), &err));
    if (from)
        ok(VJ_CUDA(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), &err));
    else
        ok(VJ_CUDA(cudaMemset(to, 0xff, bytes), &err)); /* NaN */
    ok(VJ_CUDA(cudaDeviceSynchronize(), &err)); /* the stream below does not wait for either */
    return to;
}

static float small_number(size_t i)
{
    return (float)(formula_mix((uint32_t)i) >> 8) * (1.0f / 8388608.0f) - 1.0f;
}

static float *small_numbers(size_t first, size_t count)
{
    float *v = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        v[i] = small_number(first + i);
    return v;
}

/* What a convolution takes in. scale: [ROWS][in] */
struct given {
    float *x, *hwio, *bias, *scale;
};

/* relu(conv(x * scale) + bias) of one number, in double. */
static double convolved(const struct vj_cuda_net_conv *c, const struct given *g, size_t row,
                        size_t y, size_t x, size_t o)
{
    const size_t side = (size_t)c->side, in = (size_t)c->in, out = (size_t)c->out;
    double sum = (double)g->bias[o];
    for (size_t tap = 0; tap < 9; tap++) {
        const size_t sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
        if (sy >= side || sx >= side)
            continue;
        for (size_t i = 0; i < in; i++) {
            const double scale = c->scaled ? (double)g->scale[row * in + i] : 1;
            sum += (double)g->x[((row * side + sy) * side + sx) * in + i] * scale *
                   (double)g->hwio[(tap * in + i) * out + o];
        }
    }
    return sum > 0 ? sum : 0;
}

/* Numbers of one map as it is written. */
static size_t written(const struct vj_cuda_net_conv *c)
{
    const size_t side = (size_t)(c->pooled ? c->side / 2 : c->side);
    return side * side * (size_t)c->out;
}

/* Number k of what is written of all rows. */
static double defined(const struct vj_cuda_net_conv *c, const struct given *g, size_t k)
{
    const size_t out = (size_t)c->out, row = k / written(c), o = k % out;
    const size_t step = c->pooled ? 2 : 1, side = (size_t)c->side / step;
    const size_t y = k % written(c) / out / side * step, x = k / out % side * step;
    double top = 0;
    for (size_t i = 0; i < step * step; i++)
        top = fmax(top, convolved(c, g, row, y + i / 2, x + i % 2, o));
    return top;
}

/* What is written, and of those that pool, sums and maxima of tiles; the caller frees. */
struct result {
    float *y, *sums, *peaks;
};

static float *from_device(const float *from, size_t count)
{
    float *to = malloc(count * sizeof(float));
    ok(VJ_CUDA(cudaMemcpy(to, from, count * sizeof(float), cudaMemcpyDeviceToHost), &err));
    return to;
}

static struct result run_layer(const struct vj_cuda_net_conv *c, const struct given *g)
{
    const size_t x_count = ROWS * (size_t)c->side * (size_t)c->side * (size_t)c->in;
    const size_t y_count = ROWS * written(c);
    const size_t parts = ROWS * (size_t)c->across * (size_t)c->across * (size_t)c->out;
    struct vj_cuda_net_handles handles;
    struct vj_cuda_net_layer layer;
    cudaStream_t stream;
    char text[512];
    const size_t kernel_count = vj_cuda_net_conv_kernel_floats(c), all = y_count + 2 * AROUND;
    float *kernel = malloc(kernel_count * sizeof(float)), *out = malloc(all * sizeof(float));
    vj_cuda_net_conv_kernel(c, g->hwio, kernel);
    for (size_t i = 0; i < all; i++)
        out[i] = sentinel;
    float *y = on_device(out, all * sizeof(float));
    const bool attention = c->pooled && strcmp(c->name, "without sums") != 0;
    float *sums = attention ? on_device(NULL, parts * sizeof(float)) : NULL;
    float *peaks = attention ? on_device(NULL, parts * sizeof(float)) : NULL;
    float *scale = on_device(g->scale, ROWS * (size_t)c->in * sizeof(float));
    const struct vj_cuda_net_around around = {scale, sums, peaks, NULL};
    struct vj_cuda_net_conv_memory m = {
        on_device(g->x, x_count * sizeof(float)), on_device(kernel, kernel_count * sizeof(float)),
        on_device(g->bias, (size_t)c->out * sizeof(float)), y + AROUND, NULL};
    ok(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    ok(VJ_CUDNN(cudnnCreate(&handles.dnn), &err));
    ok(VJ_CUBLAS(cublasLtCreate(&handles.lt), &err));
    ok(VJ_CUDNN(cudnnSetStream(handles.dnn, stream), &err));
    ok(vj_cuda_net_layer_prepare(&layer, c, ROWS, VJ_CUDA_FP32, &handles, &m, &err));
    m.workspace = layer.workspace ? on_device(NULL, layer.workspace) : NULL;
    for (int again = 0; again < 2; again++)
        ok(vj_cuda_net_layer_run(&layer, &handles, stream, &m, &around, &err));
    ok(VJ_CUDA(cudaStreamSynchronize(stream), &err));
    free(out);
    out = from_device(y, all);
    for (size_t i = 0; i < AROUND; i++)
        assert_true(out[i] == sentinel && out[all - 1 - i] == sentinel);
    memmove(out, out + AROUND, y_count * sizeof(float));
    const struct result result = {out, sums ? from_device(sums, parts) : NULL,
                                  sums ? from_device(peaks, parts) : NULL};
    vj_cuda_net_layer_describe(&layer, text, sizeof(text));
    print_message("%s", text);
    vj_cuda_net_layer_free(&layer);
    cudnnDestroy(handles.dnn);
    cublasLtDestroy(handles.lt);
    cudaStreamDestroy(stream);
    const void *const memory[] = {m.x, m.kernel, m.bias, y, m.workspace, sums, peaks, scale};
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
        cudaFree((void *)memory[i]);
    free(kernel);
    return result;
}

/* Sums and maxima of a tile are those of its outputs inside the map. */
static void check_parts(const struct vj_cuda_net_conv *c, const struct given *g,
                        const struct result *result)
{
    const size_t out = (size_t)c->out, across = (size_t)c->across, side = (size_t)c->side;
    for (size_t k = 0; k < ROWS * across * across * out; k += 7) {
        const size_t o = k % out, tile = k / out, row = tile / (across * across);
        double sum = 0, top = 0;
        for (size_t i = 0; i < 16; i++) {
            const size_t y = tile / across % across * 4 + i / 4, x = tile % across * 4 + i % 4;
            const double v = y < side && x < side ? convolved(c, g, row, y, x, o) : 0;
            sum += v;
            top = fmax(top, v);
        }
        assert_true(fabs((double)result->sums[k] - sum) < 1e-5 * (1 + sum));
        assert_true(fabs((double)result->peaks[k] - top) < 1e-5 * (1 + sum));
    }
}

/* Groups that do not divide the rows, tiles that reach over the edge, rows of four pixels. */
static void products_agree_with_the_definition_of_a_convolution(void **state)
{
    (void)state;
    static const struct vj_cuda_net_conv list[] = {
        {"two at a time", 14, 16, 24, 16, 24, VJ_CUDA_NET_TILED, 4, 2, false, false, 0},
        {"all at a time", 14, 16, 24, 16, 24, VJ_CUDA_NET_TILED, 4, ROWS, false, false, 0},
        {"one tile", 4, 32, 20, 32, 20, VJ_CUDA_NET_TILED, 1, 3, false, false, 0},
        {"six pixels", 6, 20, 36, 20, 36, VJ_CUDA_NET_TILED, 2, 4, false, false, 0},
        {"scaled", 12, 16, 16, 16, 16, VJ_CUDA_NET_TILED, 3, 2, true, false, 0},
        {"pooled", 14, 16, 24, 16, 24, VJ_CUDA_NET_TILED, 4, 3, false, true, 0},
        {"both", 10, 24, 16, 24, 16, VJ_CUDA_NET_TILED, 3, 2, true, true, 0},
        {"without sums", 6, 16, 32, 16, 32, VJ_CUDA_NET_TILED, 2, 3, false, true, 0},
        {"a row", 2, 48, 32, 48, 32, VJ_CUDA_NET_DENSE, 0, ROWS, false, false, 0},
        {"direct", 5, 16, 24, 16, 24, VJ_CUDA_NET_DIRECT, 0, ROWS, false, false, 0},
    };
    float *two = NULL; /* what patches give that pass by twos */
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct vj_cuda_net_conv *c = &list[i];
        const size_t in = (size_t)c->in, out = (size_t)c->out;
        const size_t pixels = ROWS * (size_t)c->side * (size_t)c->side, count = ROWS * written(c);
        struct given g = {small_numbers(0, pixels * in), small_numbers(1000000, 9 * in * out),
                          small_numbers(2000000, out), small_numbers(3000000, ROWS * in)};
        struct result result = run_layer(c, &g);
        double worst = 0, square = 0;
        for (size_t k = 0; k < count; k++) {
            const double want = defined(c, &g, k);
            worst = fmax(worst, fabs((double)result.y[k] - want));
            square += want * want;
        }
        worst /= sqrt(square / (double)count);
        print_message("%-14s off by %.1e of the root mean square\n", c->name, worst);
        assert_true(worst < 1.5e-5); /* as on the CPU: tests/host/test_winograd.c */
        if (result.sums)
            check_parts(c, &g, &result);
        /* A library may take another order of sums for products of another size. */
        if (i == 1 && EMULATED)
            assert_memory_equal(result.y, two, count * sizeof(float));
        free(g.x);
        free(g.hwio);
        free(g.bias);
        free(g.scale);
        free(two);
        two = result.y;
        free(result.sums);
        free(result.peaks);
    }
    free(two);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_agree_with_the_definition_of_a_convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
