/* SPDX-License-Identifier: MIT */
/*
 * Convolutions in the ways of cuda/net_conv.h, each alone, against the definition in double, with
 * sentinels around what they write. Skipped without a device.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "cuda/net_conv.h"

#include "cuda/check.h"
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

/* relu(conv(x) + bias) of one number, in double. */
static double convolved(const struct vj_cuda_net_conv *c, const float *x, const float *hwio,
                        const float *bias, size_t pixel, size_t o)
{
    const size_t side = (size_t)c->side, in = (size_t)c->in, out = (size_t)c->out;
    const size_t row = pixel / (side * side), y = pixel / side % side, xx = pixel % side;
    double sum = (double)bias[o];
    for (size_t tap = 0; tap < 9; tap++) {
        const size_t sy = y + tap / 3 - 1, sx = xx + tap % 3 - 1;
        if (sy >= side || sx >= side)
            continue;
        for (size_t i = 0; i < in; i++)
            sum += (double)x[((row * side + sy) * side + sx) * in + i] *
                   (double)hwio[(tap * in + i) * out + o];
    }
    return sum > 0 ? sum : 0;
}

/* The numbers of ROWS maps; the caller frees. */
static float *run_layer(const struct vj_cuda_net_conv *c, const float *x, size_t x_count,
                        const float *hwio, const float *bias, size_t y_count)
{
    struct vj_cuda_net_handles handles;
    struct vj_cuda_net_layer layer;
    cudaStream_t stream;
    char text[512];
    const size_t kernel_count = vj_cuda_net_conv_kernel_floats(c), all = y_count + 2 * AROUND;
    float *kernel = malloc(kernel_count * sizeof(float)), *out = malloc(all * sizeof(float));
    vj_cuda_net_conv_kernel(c, hwio, kernel);
    for (size_t i = 0; i < all; i++)
        out[i] = sentinel;
    float *y = on_device(out, all * sizeof(float));
    struct vj_cuda_net_conv_memory m = {
        on_device(x, x_count * sizeof(float)), on_device(kernel, kernel_count * sizeof(float)),
        on_device(bias, (size_t)c->out * sizeof(float)), y + AROUND, NULL};
    ok(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    ok(VJ_CUDNN(cudnnCreate(&handles.dnn), &err));
    ok(VJ_CUBLAS(cublasLtCreate(&handles.lt), &err));
    ok(VJ_CUDNN(cudnnSetStream(handles.dnn, stream), &err));
    ok(vj_cuda_net_layer_prepare(&layer, c, ROWS, VJ_CUDA_FP32, &handles, &m, &err));
    m.workspace = on_device(NULL, layer.workspace);
    for (int again = 0; again < 2; again++)
        ok(vj_cuda_net_layer_run(&layer, &handles, stream, &m, &err));
    ok(VJ_CUDA(cudaStreamSynchronize(stream), &err));
    ok(VJ_CUDA(cudaMemcpy(out, y, all * sizeof(float), cudaMemcpyDeviceToHost), &err));
    for (size_t i = 0; i < AROUND; i++)
        assert_true(out[i] == sentinel && out[all - 1 - i] == sentinel);
    memmove(out, out + AROUND, y_count * sizeof(float));
    vj_cuda_net_layer_describe(&layer, text, sizeof(text));
    print_message("%s", text);
    vj_cuda_net_layer_free(&layer);
    cudnnDestroy(handles.dnn);
    cublasLtDestroy(handles.lt);
    cudaStreamDestroy(stream);
    const void *const memory[] = {m.x, m.kernel, m.bias, y, m.workspace};
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
        cudaFree((void *)memory[i]);
    free(kernel);
    return out;
}

/* Groups that do not divide the rows, tiles that reach over the edge, rows of four pixels. */
static void products_agree_with_the_definition_of_a_convolution(void **state)
{
    (void)state;
    static const struct vj_cuda_net_conv list[] = {
        {"two at a time", 14, 16, 24, 16, 24, VJ_CUDA_NET_TILED, 4, 2},
        {"all at a time", 14, 16, 24, 16, 24, VJ_CUDA_NET_TILED, 4, ROWS},
        {"one tile", 4, 32, 20, 32, 20, VJ_CUDA_NET_TILED, 1, 3},
        {"six pixels", 6, 20, 36, 20, 36, VJ_CUDA_NET_TILED, 2, 4},
        {"a row", 2, 48, 32, 48, 32, VJ_CUDA_NET_DENSE, 0, ROWS},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct vj_cuda_net_conv *c = &list[i];
        const size_t in = (size_t)c->in, out = (size_t)c->out;
        const size_t pixels = ROWS * (size_t)c->side * (size_t)c->side;
        float *x = small_numbers(0, pixels * in), *hwio = small_numbers(1000000, 9 * in * out);
        float *bias = small_numbers(2000000, out);
        float *y = run_layer(c, x, pixels * in, hwio, bias, pixels * out);
        double worst = 0, square = 0;
        for (size_t k = 0; k < pixels * out; k++) {
            const double want = convolved(c, x, hwio, bias, k / out, k % out);
            worst = fmax(worst, fabs((double)y[k] - want));
            square += want * want;
        }
        worst /= sqrt(square / (double)(pixels * out));
        print_message("%-14s off by %.1e of the root mean square\n", c->name, worst);
        assert_true(worst < 1.5e-5); /* as on the CPU: tests/host/test_winograd.c */
        free(x);
        free(hwio);
        free(bias);
        free(y);
    }
}

int main(void)
{
    int devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    if (status != cudaSuccess || devices == 0) {
        print_message("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_agree_with_the_definition_of_a_convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
