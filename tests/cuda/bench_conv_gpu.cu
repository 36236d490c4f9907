/* SPDX-License-Identifier: MIT */
/*
 * Convolutions of `figure` and `pw-jnd` in fp32: cuDNN's direct one beside the way that the program
 * takes (cuda/net_conv.h), in milliseconds for one batch, and how far the farthest output of one
 * lies from the other's; where ours pools by itself, its time with that, which saves a pass over
 * the map. Tiles are tried in groups of a quarter to four times as many patches.
 *
 *     bench_conv_gpu [ROWS]
 *
 * Medians. ROWS as in bench_net_gpu. TFLOP/s are those of the direct convolution, so that one that
 * makes less products may have more of them than the card.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cuda_runtime.h>
#include <math.h>

extern "C" {
#include "host/rng.h"
}

#include "cuda/net_conv.h"

#include "cuda/check.h"

constexpr int repeats = 21, warm_up = 3;

static struct vj_error err;
static struct vj_cuda_net_handles handles;
static cudaStream_t stream;

/* A benchmark has nobody to pass an error on to. */
static void must(int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "bench_conv_gpu: %s\n", err.text);
    exit(1);
}

/* ---- memory ---- */

static std::vector<float> noise(size_t count)
{
    std::vector<float> v(count);
    for (size_t i = 0; i < count; i += 4) {
        const struct vj_u32x4 words = vj_philox((uint32_t)(i / 4), 0, 0, 0, 1, 2);
        for (size_t k = 0; k < std::min((size_t)4, count - i); k++)
            v[i + k] = (float)(vj_random_unit(words.v[k]) - 0.5);
    }
    return v;
}

/* from NULL: bytes of NaN. */
static float *on_device(const float *from, size_t count)
{
    void *to = NULL;
    must(VJ_CUDA(cudaMalloc(&to, count * sizeof(float)), &err));
    must(VJ_CUDA(from ? cudaMemcpy(to, from, count * sizeof(float), cudaMemcpyHostToDevice)
                      : cudaMemset(to, 0xff, count * sizeof(float)),
                 &err));
    must(VJ_CUDA(cudaDeviceSynchronize(), &err));
    return static_cast<float *>(to);
}

static std::vector<float> on_host(const float *from, size_t count)
{
    std::vector<float> to(count);
    must(VJ_CUDA(cudaMemcpy(to.data(), from, count * sizeof(float), cudaMemcpyDeviceToHost), &err));
    return to;
}

/* ---- comparison ---- */

static cudaEvent_t make_event(void)
{
    cudaEvent_t event;
    must(VJ_CUDA(cudaEventCreate(&event), &err));
    return event;
}

/* Median milliseconds of what `call` sends to the stream. */
template <typename Call> static double milliseconds(Call call)
{
    const cudaEvent_t from = make_event(), to = make_event();
    std::vector<double> all;
    for (int i = 0; i < warm_up + repeats; i++) {
        float ms = 0;
        must(VJ_CUDA(cudaEventRecord(from, stream), &err));
        call();
        must(VJ_CUDA(cudaEventRecord(to, stream), &err));
        must(VJ_CUDA(cudaEventSynchronize(to), &err));
        must(VJ_CUDA(cudaEventElapsedTime(&ms, from, to), &err));
        if (i >= warm_up)
            all.push_back((double)ms);
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

static double difference(const std::vector<float> &a, const std::vector<float> &b)
{
    double apart = 0, largest = 0;
    for (size_t i = 0; i < a.size(); i++) {
        if (!(fabsf(a[i]) < INFINITY && fabsf(b[i]) < INFINITY))
            return INFINITY;
        apart = std::max(apart, fabs((double)a[i] - (double)b[i]));
        largest = std::max(largest, fabs((double)b[i]));
    }
    return apart / largest;
}

/* One convolution of `rows` patches: its outputs, and the milliseconds that it takes. */
static std::vector<float> run(const struct vj_cuda_net_conv *c, size_t rows, double *ms)
{
    const size_t pixels = rows * (size_t)c->side * (size_t)c->side;
    const size_t in = (size_t)c->in, out = (size_t)c->out;
    const std::vector<float> hwio = noise(9 * in * out);
    std::vector<float> made(vj_cuda_net_conv_kernel_floats(c));
    vj_cuda_net_conv_kernel(c, hwio.data(), made.data());
    float *map = on_device(noise(pixels * in).data(), pixels * in);
    float *bias = on_device(noise(out).data(), out);
    float *kernel = on_device(made.data(), made.size());
    float *to = on_device(NULL, pixels * out);
    struct vj_cuda_net_conv_memory m = {map, kernel, bias, to, NULL};
    struct vj_cuda_net_layer layer;
    must(vj_cuda_net_layer_prepare(&layer, c, rows, VJ_CUDA_FP32, &handles, &m, &err));
    m.workspace = layer.workspace ? on_device(NULL, (layer.workspace + 3) / 4) : NULL;
    const size_t parts = c->pooled ? rows * (size_t)c->across * (size_t)c->across * out : 0;
    struct vj_cuda_net_around around = {NULL, NULL, NULL, NULL};
    if (c->pooled && c->scaled) { /* with attention before and behind it */
        around.scale = on_device(noise(rows * in).data(), rows * in);
        around.sums = on_device(NULL, parts);
        around.peaks = on_device(NULL, parts);
    }
    *ms = milliseconds(
        [&] { must(vj_cuda_net_layer_run(&layer, &handles, stream, &m, &around, &err)); });
    const std::vector<float> result = on_host(to, pixels * out);
    vj_cuda_net_layer_free(&layer);
    for (void *p : {(void *)map, (void *)bias, (void *)kernel, (void *)to, m.workspace,
                    (void *)around.scale, (void *)around.sums, (void *)around.peaks})
        cudaFree(p);
    return result;
}

static void compare(const struct vj_cuda_net_conv *c, size_t rows)
{
    struct vj_cuda_net_conv direct = *c, plain = *c;
    double cudnn, ms, pooled;
    direct.way = VJ_CUDA_NET_DIRECT;
    direct.pooled = plain.pooled = plain.scaled = false;
    const std::vector<float> want = run(&direct, rows, &cudnn), have = run(&plain, rows, &ms);
    const double operations = 2e-9 * vj_cuda_net_conv_macs(c) * (double)rows;
    printf("%-8s %3dx%-3d %3d to %3d  cuDNN %6.3f ms %5.1f TFLOP/s  %s %6.3f ms %5.1f TFLOP/s, "
           "%.2f times, %.1e apart",
           c->name, c->side, c->side, c->in, c->out, cudnn, operations / cudnn,
           c->way == VJ_CUDA_NET_TILED ? "tiles" : "dense", ms, operations / ms, cudnn / ms,
           difference(have, want));
    if (c->pooled) {
        run(c, rows, &pooled);
        printf(", pooled %.3f ms", pooled);
    }
    for (const size_t quarters : {1, 2, 4, 8, 16}) {
        struct vj_cuda_net_conv other = plain;
        other.group = c->group * quarters / 4;
        if (c->way != VJ_CUDA_NET_TILED || other.group < 1 || other.group > rows)
            continue;
        run(&other, rows, &ms);
        printf("  by %zu %.3f", other.group, ms);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const int rows = argc > 1 ? atoi(argv[1]) : 256;
    if (rows < 1) {
        fprintf(stderr, "usage: bench_conv_gpu [ROWS]\n");
        return 2;
    }
    must(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    must(VJ_CUDNN(cudnnCreate(&handles.dnn), &err));
    must(VJ_CUDNN(cudnnSetStream(handles.dnn, stream), &err));
    must(VJ_CUBLAS(cublasLtCreate(&handles.lt), &err));
    for (const enum vj_variant variant : {VJ_VARIANT_FIGURE, VJ_VARIANT_PW_JND}) {
        const struct vj_net_shape shape = vj_net_shape_default(variant);
        struct vj_cuda_net_plan plan;
        const size_t batch = vj_cuda_net_rows(&shape, (size_t)rows, 32);
        must(vj_cuda_net_plan_make(&plan, &shape, batch, VJ_CUDA_FP32, &err));
        printf("%s, fp32, batch %zu\n", vj_variant_name(variant), batch);
        for (int i = 0; i < plan.layers; i++)
            if (plan.conv[i].way != VJ_CUDA_NET_DIRECT)
                compare(&plan.conv[i], batch);
    }
    cublasLtDestroy(handles.lt);
    cudnnDestroy(handles.dnn);
    return 0;
}
