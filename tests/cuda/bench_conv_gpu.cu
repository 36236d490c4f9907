/* SPDX-License-Identifier: MIT */
/*
 * Whether the convolution of conv_body.h beats cuDNN's in fp32 (the form that the program takes) at
 * the shapes of `figure` and `pw-jnd`: milliseconds of both for one batch, ours with blocks of each
 * size, and how far the farthest of its outputs lies from cuDNN's.
 *
 *     bench_conv_gpu [ROWS]
 *
 * Medians. ROWS as in bench_net_gpu. Convolutions of fewer than VJ_CONV_STEP input channels are
 * left out.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>

extern "C" {
#include "host/rng.h"
#include "tests/cuda/conv_body.h"
}

#include "cuda/net_ops.h"

#include "cuda/check.h"

constexpr int repeats = 21, warm_up = 3;

static struct vj_error err;

/* A benchmark has nobody to pass an error on to. */
static void must(int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "bench_conv_gpu: %s\n", err.text);
    exit(1);
}

/* ---- the kernel ---- */

template <int down, int across>
__global__ void __launch_bounds__(down *across / 64, 512 * 64 / (down * across))
    conv_kernel(const struct vj_conv_job j)
{
    __shared__ __align__(16) struct vj_conv_shared shared;
    constexpr struct vj_conv_block b = {down, across};
    const int thread = (int)threadIdx.x;
    struct vj_conv_places place;
    struct vj_conv_fetched fetched;
    struct vj_conv_sums sums = {};
    struct vj_conv_step s = {0, 0};
    int buffer = 0;
    vj_conv_place(&j, b, &place, blockIdx.x, thread);
    vj_conv_fetch(&j, b, &place, &fetched, blockIdx.y, s, thread);
    vj_conv_put(b, &fetched, &shared, 0, thread);
    __syncthreads();
    for (s = vj_conv_next(&j, s); s.tap < 9; s = vj_conv_next(&j, s)) {
        vj_conv_fetch(&j, b, &place, &fetched, blockIdx.y, s, thread);
        vj_conv_multiply(b, &shared, buffer, &sums, thread);
        vj_conv_put(b, &fetched, &shared, !buffer, thread);
        __syncthreads();
        buffer = !buffer;
    }
    vj_conv_multiply(b, &shared, buffer, &sums, thread);
    vj_conv_finish(&j, b, &sums, blockIdx.x, blockIdx.y, thread);
}

template <int down, int across> static void launch(const struct vj_conv_job &j, cudaStream_t stream)
{
    const dim3 grid((unsigned)((j.pixels + down - 1) / down),
                    (unsigned)((j.out + across - 1) / across));
    conv_kernel<down, across><<<grid, down * across / 64, 0, stream>>>(j);
    must(VJ_CUDA_LAUNCHED("convolution", &err));
}

static const struct {
    const char *name;
    void (*launch)(const struct vj_conv_job &j, cudaStream_t stream);
} kernels[] = {{"128x128", launch<128, 128>},
               {"128x64", launch<128, 64>},
               {"128x32", launch<128, 32>},
               {"64x64", launch<64, 64>}};

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
template <typename Call> static double milliseconds(cudaStream_t stream, Call call)
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

static double difference(const float *have, const float *want, size_t count)
{
    const std::vector<float> a = on_host(have, count), b = on_host(want, count);
    double apart = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(a[i]) < INFINITY && fabsf(b[i]) < INFINITY))
            return INFINITY;
        apart = std::max(apart, fabs((double)a[i] - (double)b[i]));
        largest = std::max(largest, fabs((double)b[i]));
    }
    return apart / largest;
}

static void compare(cudnnHandle_t dnn, cudaStream_t stream, const struct vj_cuda_net_conv *c,
                    size_t rows)
{
    const size_t pixels = rows * (size_t)c->side * (size_t)c->side;
    const size_t in = (size_t)c->in, out = (size_t)c->out, numbers = pixels * out;
    const std::vector<float> hwio = noise(9 * in * out);
    std::vector<float> krsc(hwio.size());
    vj_cuda_net_conv_kernel(c, hwio.data(), krsc.data());
    float *map = on_device(noise(pixels * in).data(), pixels * in);
    float *bias = on_device(noise(out).data(), out);
    float *kernel = on_device(hwio.data(), hwio.size());
    float *theirs = on_device(krsc.data(), krsc.size());
    float *want = on_device(NULL, numbers), *have = on_device(NULL, numbers);
    struct vj_cuda_net_conv_op op;
    struct vj_cuda_net_conv_memory m = {map, theirs, bias, want, NULL};
    must(vj_cuda_net_conv_prepare(&op, c, rows, VJ_CUDA_FP32, &err));
    must(vj_cuda_net_conv_choose(&op, dnn, &m, &err));
    void *workspace = NULL;
    if (op.workspace)
        must(VJ_CUDA(cudaMalloc(&workspace, op.workspace), &err));
    m.workspace = workspace;
    const double operations = 2e-9 * vj_cuda_net_conv_macs(c) * (double)rows;
    const double cudnn =
        milliseconds(stream, [&] { must(vj_cuda_net_conv_run(&op, dnn, stream, &m, &err)); });
    printf("%-8s %4dx%-3d %3d to %3d  cuDNN %6.3f ms %5.1f TFLOP/s", c->name, c->side, c->side,
           c->in, c->out, cudnn, operations / cudnn);
    const struct vj_conv_job j = {map, kernel, bias, have, c->side, c->in, c->out, (int)pixels};
    double best = INFINITY, apart = 0;
    for (const auto &k : kernels) {
        must(VJ_CUDA(cudaMemset(have, 0xff, numbers * sizeof(float)), &err));
        must(VJ_CUDA(cudaDeviceSynchronize(), &err));
        const double ms = milliseconds(stream, [&] { k.launch(j, stream); });
        printf("  %s %6.3f", k.name, ms);
        best = std::min(best, ms);
        apart = std::max(apart, difference(have, want, numbers));
    }
    printf("  best %5.1f TFLOP/s, %.2f times, %.1e apart\n", operations / best, cudnn / best,
           apart);
    fflush(stdout);
    vj_cuda_net_conv_free(&op);
    for (void *p : {(void *)map, (void *)bias, (void *)kernel, (void *)theirs, (void *)want,
                    (void *)have, workspace})
        cudaFree(p);
}

int main(int argc, char **argv)
{
    const int rows = argc > 1 ? atoi(argv[1]) : 256;
    if (rows < 1) {
        fprintf(stderr, "usage: bench_conv_gpu [ROWS]\n");
        return 2;
    }
    cudnnHandle_t dnn;
    cudaStream_t stream;
    must(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    must(VJ_CUDNN(cudnnCreate(&dnn), &err));
    must(VJ_CUDNN(cudnnSetStream(dnn, stream), &err));
    for (const enum vj_variant variant : {VJ_VARIANT_FIGURE, VJ_VARIANT_PW_JND}) {
        const struct vj_net_shape shape = vj_net_shape_default(variant);
        struct vj_cuda_net_plan plan;
        const size_t batch = vj_cuda_net_rows(&shape, (size_t)rows, 32);
        must(vj_cuda_net_plan_make(&plan, &shape, batch, VJ_CUDA_FP32, &err));
        printf("%s, fp32, batch %zu, blocks of pixels x channels in ms\n", vj_variant_name(variant),
               batch);
        for (int i = 0; i < plan.layers; i++)
            if (plan.conv[i].in >= VJ_CONV_STEP)
                compare(dnn, stream, &plan.conv[i], batch);
    }
    cudnnDestroy(dnn);
    return 0;
}
