/* SPDX-License-Identifier: MIT */
/*
 * Whether the first block of `figure` would be faster as one kernel (first_block_body.h) than as
 * the program's input, first convolution and pooling, in tf32 and fp16: milliseconds of both for
 * one batch of 128-pixel patches, and GB/s of what the one kernel reads and writes.
 *
 *     bench_first_block_gpu [ROWS]
 *
 * Medians. Its output is held against the definition in double for the first and last patch.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_fp16.h>
#include <cuda_runtime.h>

extern "C" {
#include "cuda/net_internal.h"
#include "host/rng.h"
#include "tests/cuda/first_block_body.h"
}

#include "cuda/check.h"

constexpr int repeats = 21, warm_up = 3, side = 128, replaced = 3; /* input, conv1, attention1 */

static struct vj_error err;

/* A benchmark has nobody to pass an error on to. */
static void must(int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "bench_first_block_gpu: %s\n", err.text);
    exit(1);
}

static double median(std::vector<double> v)
{
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

static double elapsed(cudaEvent_t from, cudaEvent_t to)
{
    float ms = 0;
    must(VJ_CUDA(cudaEventElapsedTime(&ms, from, to), &err));
    return (double)ms;
}

static cudaEvent_t make_event(void)
{
    cudaEvent_t event;
    must(VJ_CUDA(cudaEventCreate(&event), &err));
    return event;
}

static void *on_device(const void *from, size_t bytes)
{
    void *to = NULL;
    must(VJ_CUDA(cudaMalloc(&to, bytes), &err));
    must(VJ_CUDA(from ? cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice)
                      : cudaMemset(to, 0xff, bytes), /* NaN */
                 &err));
    must(VJ_CUDA(cudaDeviceSynchronize(), &err));
    return to;
}

/* ---- the one kernel ---- */

template <bool half> __device__ void multiply(fb_d &d, const fb_a &a, const fb_b &b)
{
    if (half)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
                     : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]),
                       "r"(b.v[1]));
    else
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
                     : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]),
                       "r"(b.v[1]));
}

template <bool half>
__global__ void __launch_bounds__(FB_THREADS) first_block_kernel(const struct fb_job job)
{
    constexpr int steps = half ? FB_STEPS_HALF : FB_STEPS_FLOAT;
    constexpr size_t samples_bytes = FB_SAMPLES * (half ? 2 : 4);
    constexpr size_t statistics_bytes = FB_THREADS * sizeof(struct fb_statistics);
    __shared__ __align__(
        16) char shared[samples_bytes > statistics_bytes ? samples_bytes : statistics_bytes];
    struct fb_job j = job;
    j.half = half;
    const int thread = (int)threadIdx.x, lane = thread % 32, y = thread / 32 * 2;
    fb_load(&j, shared, blockIdx.x, blockIdx.y, thread);
    struct fb_b b[steps][FB_PRODUCTS];
    float bias[8];
    for (int s = 0; s < steps; s++)
        for (int n = 0; n < FB_PRODUCTS; n++)
            b[s][n] = ((const struct fb_b *)j.kernel)[(s * FB_PRODUCTS + n) * 32 + lane];
    for (int c = 0; c < 8; c++)
        bias[c] = j.bias[8 * (lane % 4) + c];
    struct fb_statistics mine = {};
    __syncthreads();
    for (int x = 0; x < j.side; x += 16) {
        struct fb_d d[2][FB_PRODUCTS] = {};
        for (int s = 0; s < steps; s++)
            for (int k = 0; k < 2; k++) {
                const struct fb_a a = fb_samples(shared, half, s, y + k, x, lane);
                for (int n = 0; n < FB_PRODUCTS; n++)
                    multiply<half>(d[k][n], a, b[s][n]);
            }
        fb_finish(&j, d, bias, &mine, blockIdx.x, blockIdx.y, y, x, lane);
    }
    __syncthreads();
    struct fb_statistics *all = (struct fb_statistics *)shared;
    all[thread] = mine;
    __syncthreads();
    fb_total(&j, all, blockIdx.x, blockIdx.y, thread);
}

static void launch(const struct fb_job &job, size_t rows, cudaStream_t stream)
{
    const dim3 grid(side / FB_ROWS, (unsigned)rows);
    (job.half ? first_block_kernel<true>
              : first_block_kernel<false>)<<<grid, FB_THREADS, 0, stream>>>(job);
    must(VJ_CUDA_LAUNCHED("first block", &err));
}

/* Largest difference to the definition over the largest value; sums and peaks likewise. */
static double difference(const struct fb_job &device, const uint8_t *patch, const float *hwio,
                         const float *bias, size_t row)
{
    const size_t px = side * side / 4, parts = side / FB_ROWS;
    std::vector<char> pooled(px * FB_CHANNELS * (device.half ? 2 : 4));
    std::vector<float> sums(parts * FB_CHANNELS), peaks(parts * FB_CHANNELS);
    must(VJ_CUDA(cudaMemcpy(pooled.data(), (char *)device.pooled + row * pooled.size(),
                            pooled.size(), cudaMemcpyDeviceToHost),
                 &err));
    must(VJ_CUDA(cudaMemcpy(sums.data(), device.sums + row * sums.size(),
                            sums.size() * sizeof(float), cudaMemcpyDeviceToHost),
                 &err));
    must(VJ_CUDA(cudaMemcpy(peaks.data(), device.peaks + row * peaks.size(),
                            peaks.size() * sizeof(float), cudaMemcpyDeviceToHost),
                 &err));
    double worst = 0, largest = 0, statistics = 0;
    for (int c = 0; c < FB_CHANNELS; c++) {
        double sum = 0, peak = 0, have_sum = 0, have_peak = 0;
        for (int y = 0; y < side; y += 2)
            for (int x = 0; x < side; x += 2) {
                double top = 0;
                for (int k = 0; k < 4; k++) {
                    const double v =
                        fb_by_definition(patch, hwio, bias, side, y + k / 2, x + k % 2, c);
                    sum += v;
                    top = std::max(top, v);
                }
                const size_t at = (size_t)(y / 2 * (side / 2) + x / 2) * FB_CHANNELS + (size_t)c;
                const double d =
                    fabs(top - (double)vj_cuda_net_get(pooled.data(), at, device.half));
                worst = d <= worst ? worst : d; /* NaN stays */
                peak = std::max(peak, top);
            }
        for (size_t part = 0; part < parts; part++) {
            have_sum += (double)sums[part * FB_CHANNELS + (size_t)c];
            have_peak = std::max(have_peak, (double)peaks[part * FB_CHANNELS + (size_t)c]);
        }
        largest = std::max(largest, peak);
        if (sum > 0)
            statistics =
                std::max({statistics, fabs(sum - have_sum) / sum, fabs(peak - have_peak) / peak});
    }
    return std::max(worst / largest, statistics);
}

/* ---- the program's layers ---- */

struct timeline {
    cudaEvent_t event[replaced];
    int next;
};

static int mark(void *user, cudaStream_t stream, const struct vj_cuda_net_stage *stage,
                struct vj_error *e)
{
    struct timeline *t = static_cast<struct timeline *>(user);
    (void)stage;
    return t->next < replaced ? VJ_CUDA(cudaEventRecord(t->event[t->next++], stream), e) : 0;
}

/* Milliseconds of input, conv1 and attention1, the last of which is pooling and a small product. */
static double bench_program(const struct vj_weights *w, enum vj_cuda_precision precision,
                            const uint8_t *d_patches, size_t rows, cudaStream_t stream)
{
    struct vj_cuda_net *net = NULL;
    struct vj_cuda_net_work *work = NULL;
    struct timeline t = {};
    std::vector<double> ms;
    must(vj_cuda_net_create(&net, w, rows, rows, precision, &err));
    must(vj_cuda_net_work_create(&work, net, 1, rows, &err));
    cudaEvent_t start = make_event();
    for (auto &event : t.event)
        event = make_event();
    vj_cuda_net_set_hook(work, mark, &t);
    for (int i = 0; i < warm_up + repeats; i++) {
        t.next = 0;
        must(VJ_CUDA(cudaEventRecord(start, stream), &err));
        must(vj_cuda_net_extract(work, stream, VJ_CUDA_NET_PICTURE, d_patches, 3, rows, &err));
        must(VJ_CUDA(cudaStreamSynchronize(stream), &err));
        if (i >= warm_up)
            ms.push_back(elapsed(start, t.event[replaced - 1]));
    }
    for (auto event : t.event)
        cudaEventDestroy(event);
    cudaEventDestroy(start);
    vj_cuda_net_work_destroy(work);
    vj_cuda_net_destroy(net);
    return median(ms);
}

static double bench_kernel(const struct fb_job &job, size_t rows, cudaStream_t stream)
{
    cudaEvent_t from = make_event(), to = make_event();
    std::vector<double> ms;
    for (int i = 0; i < warm_up + repeats; i++) {
        must(VJ_CUDA(cudaEventRecord(from, stream), &err));
        launch(job, rows, stream);
        must(VJ_CUDA(cudaEventRecord(to, stream), &err));
        must(VJ_CUDA(cudaEventSynchronize(to), &err));
        if (i >= warm_up)
            ms.push_back(elapsed(from, to));
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return median(ms);
}

static void bench(const struct vj_weights *w, enum vj_cuda_precision precision, size_t rows)
{
    const bool half = precision == VJ_CUDA_FP16;
    const size_t px = side * side, parts = rows * (side / FB_ROWS) * FB_CHANNELS;
    const size_t out = rows * px / 4 * FB_CHANNELS * (half ? 2 : 4);
    const float *hwio = vj_weights_find(w, "extract_feature/conv1/weights")->data;
    const float *bias = vj_weights_find(w, "extract_feature/conv1/biases")->data;
    std::vector<uint8_t> patches(rows * px * 3);
    std::vector<uint32_t> packed((size_t)fb_steps(half) * FB_PRODUCTS * 32 * 2);
    for (size_t i = 0; i < patches.size(); i += sizeof(struct vj_u32x4)) {
        const struct vj_u32x4 words = vj_philox((uint32_t)(i / sizeof(words)), 0, 0, 0, 3, 4);
        memcpy(&patches[i], &words, std::min(sizeof(words), patches.size() - i));
    }
    fb_pack(hwio, half, packed.data());
    const struct fb_job job = {
        (const uint8_t *)on_device(patches.data(), patches.size()),
        (const uint32_t *)on_device(packed.data(), packed.size() * sizeof(packed[0])),
        (const float *)on_device(bias, FB_CHANNELS * sizeof(float)),
        on_device(NULL, out),
        (float *)on_device(NULL, parts * sizeof(float)),
        (float *)on_device(NULL, parts * sizeof(float)),
        side,
        half};
    cudaStream_t stream;
    must(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    const double program = bench_program(w, precision, job.patches, rows, stream);
    const double one = bench_kernel(job, rows, stream);
    const double first = difference(job, patches.data(), hwio, bias, 0);
    const double last = difference(job, patches.data() + (rows - 1) * px * 3, hwio, bias, rows - 1);
    printf("%s, %zu patches: the program's input, conv1 and pooling %.3f ms; one kernel %.3f ms, "
           "%.2f times as fast, %.0f GB/s; differs by %.1e and %.1e\n",
           vj_cuda_precision_name(precision), rows, program, one, program / one,
           (double)(patches.size() + out) / (one * 1e-3) * 1e-9, first, last);
    for (const void *p :
         {(const void *)job.patches, (const void *)job.kernel, (const void *)job.bias,
          (const void *)job.pooled, (const void *)job.sums, (const void *)job.peaks})
        cudaFree(const_cast<void *>(p));
    must(VJ_CUDA(cudaStreamDestroy(stream), &err));
}

int main(int argc, char **argv)
{
    const size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 256;
    const struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_weights w = {};
    if (rows < 1 || rows > VJ_CUDA_NET_MAX_ROWS) {
        fprintf(stderr, "usage: bench_first_block_gpu [ROWS]\n");
        return 2;
    }
    must(vj_weights_init(&w, &shape, 1, &err));
    bench(&w, VJ_CUDA_TF32, rows);
    bench(&w, VJ_CUDA_FP16, rows);
    vj_weights_free(&w);
    return 0;
}
