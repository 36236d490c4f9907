/* SPDX-License-Identifier: MIT */
/*
 * Milliseconds, TFLOP/s and GB/s of every layer and of whole passes on a GPU, next to what a large
 * square product of cuBLASLt in the same precision and a large copy reach in the same run. The
 * floor is what the layers would take if each ran at the one speed or the other, whichever holds
 * it back: what is gained at most without other layers.
 *
 *     bench_net_gpu [ROWS [PATCHES [CANDIDATES]]]
 *
 * Medians, all variants with patches of their own size. ROWS is what the device takes for so many
 * patches (vj_cuda_rows()); patches of less than 64 pixels have more (vj_cuda_net_rows()). Two
 * floating-point operations per multiply-accumulate, padding and attention not counted; a layer's
 * are those of its own way (enum vj_cuda_net_way), those of whole calls the direct convolution's,
 * so that ways with less of them show. Inputs are noise, since zeros make tensor cores faster than
 * they are.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>
#include <math.h>

extern "C" {
#include "cuda/net_internal.h"
#include "cuda/net_kernels.h"
#include "cuda/plan.h"
#include "host/rng.h"
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
    fprintf(stderr, "bench_net_gpu: %s\n", err.text);
    exit(1);
}

static double median(std::vector<double> v)
{
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

static void *device_memory(size_t bytes)
{
    void *p = NULL;
    must(VJ_CUDA(cudaMalloc(&p, bytes), &err));
    return p;
}

static double elapsed(cudaEvent_t from, cudaEvent_t to)
{
    float ms = 0;
    must(VJ_CUDA(cudaEventElapsedTime(&ms, from, to), &err));
    return (double)ms;
}

/* Noise in [-1/2, 1/2) as elements of the precision. The GPU idles while one thread makes it: all
 * four words of a call are used. */
static void *device_noise(enum vj_cuda_precision precision, size_t count)
{
    std::vector<float> host(count);
    for (size_t i = 0; i < count; i += 4) {
        const struct vj_u32x4 words = vj_philox((uint32_t)(i / 4), 0, 0, 0, 1, 2);
        for (size_t k = 0; k < std::min((size_t)4, count - i); k++)
            host[i + k] = (float)(vj_random_unit(words.v[k]) - 0.5);
    }
    void *from = device_memory(count * sizeof(float)), *to = device_memory(count * sizeof(float));
    int *flag = static_cast<int *>(device_memory(sizeof(int)));
    must(VJ_CUDA(cudaMemcpy(from, host.data(), count * sizeof(float), cudaMemcpyHostToDevice),
                 &err));
    must(VJ_CUDA(vj_cuda_net_convert(precision, 0, static_cast<float *>(from), to, count, flag),
                 &err));
    must(VJ_CUDA(cudaDeviceSynchronize(), &err));
    cudaFree(from);
    cudaFree(flag);
    return to;
}

/* TFLOP/s of one large product; measured once, since its matrices take the host some time. */
static double ceiling(enum vj_cuda_precision precision)
{
    const size_t n = 8192;
    static double known[3]; /* by precision, 0 = not yet */
    if (known[precision] > 0)
        return known[precision];
    struct vj_cuda_net_matmul matmul = {};
    matmul.name = "ceiling";
    matmul.m = matmul.n = matmul.k = matmul.ld_a = matmul.ld_b = matmul.ld_d = n;
    matmul.batch = 1;
    struct vj_cuda_net_matmul_op op;
    cublasLtHandle_t lt;
    cudaStream_t stream;
    cudaEvent_t from, to;
    std::vector<double> ms;
    void *a = device_noise(precision, n * n), *b = device_noise(precision, n * n);
    void *d = device_memory(n * n * sizeof(float));
    void *workspace = device_memory(VJ_CUDA_NET_MATMUL_WORKSPACE);
    must(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    must(VJ_CUBLAS(cublasLtCreate(&lt), &err));
    must(vj_cuda_net_matmul_prepare(&op, lt, &matmul, precision, NULL, &err));
    must(VJ_CUDA(cudaEventCreate(&from), &err));
    must(VJ_CUDA(cudaEventCreate(&to), &err));
    for (int i = 0; i < warm_up + repeats; i++) {
        must(VJ_CUDA(cudaEventRecord(from, stream), &err));
        must(vj_cuda_net_matmul_run(&op, lt, stream, a, b, d, workspace, &err));
        must(VJ_CUDA(cudaEventRecord(to, stream), &err));
        must(VJ_CUDA(cudaEventSynchronize(to), &err));
        if (i >= warm_up)
            ms.push_back(elapsed(from, to));
    }
    vj_cuda_net_matmul_free(&op);
    cublasLtDestroy(lt);
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    cudaStreamDestroy(stream);
    for (void *p : {a, b, d, workspace})
        cudaFree(p);
    known[precision] = 2.0 * (double)n * (double)n * (double)n / (median(ms) * 1e-3) * 1e-12;
    return known[precision];
}

/* GB/s of a copy of 2 GiB on the GPU, read and written; measured once. */
static double copy_speed(void)
{
    const size_t bytes = (size_t)2 << 30;
    static double known; /* 0 = not yet */
    if (known > 0)
        return known;
    cudaStream_t stream;
    cudaEvent_t from, to;
    std::vector<double> ms;
    void *a = device_memory(bytes), *b = device_memory(bytes);
    must(VJ_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), &err));
    must(VJ_CUDA(cudaEventCreate(&from), &err));
    must(VJ_CUDA(cudaEventCreate(&to), &err));
    must(VJ_CUDA(cudaMemsetAsync(a, 0x5a, bytes, stream), &err));
    for (int i = 0; i < warm_up + repeats; i++) {
        must(VJ_CUDA(cudaEventRecord(from, stream), &err));
        must(VJ_CUDA(cudaMemcpyAsync(b, a, bytes, cudaMemcpyDeviceToDevice, stream), &err));
        must(VJ_CUDA(cudaEventRecord(to, stream), &err));
        must(VJ_CUDA(cudaEventSynchronize(to), &err));
        if (i >= warm_up)
            ms.push_back(elapsed(from, to));
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    cudaStreamDestroy(stream);
    cudaFree(a);
    cudaFree(b);
    known = 2.0 * (double)bytes / (median(ms) * 1e-3) * 1e-9;
    return known;
}

/* Events behind the layers of one pass, and their times over the repeats. */
struct timeline {
    std::vector<cudaEvent_t> event;
    std::vector<const char *> layer;
    std::vector<double> macs, bytes;
    std::vector<std::vector<double>> ms;
    size_t next;
};

static int mark(void *user, cudaStream_t stream, const struct vj_cuda_net_stage *stage,
                struct vj_error *e)
{
    struct timeline *t = static_cast<struct timeline *>(user);
    if (t->next == t->layer.size()) {
        cudaEvent_t event;
        int r = VJ_CUDA(cudaEventCreate(&event), e);
        if (r)
            return r;
        t->event.push_back(event);
        t->layer.push_back(stage->layer);
        t->macs.push_back(stage->macs);
        t->bytes.push_back(stage->bytes);
        t->ms.emplace_back();
    }
    return VJ_CUDA(cudaEventRecord(t->event[t->next++], stream), e);
}

struct rig {
    struct vj_cuda_net *net;
    struct vj_cuda_net_work *work;
    uint8_t *r, *j, *d;
    float *score, *quality, *weight;
    size_t patches, n;
    cudaStream_t stream;
};

static void score(const struct rig *rig, size_t n)
{
    must(vj_cuda_net_scores(rig->work, rig->stream, 0, rig->d, n, rig->patches, rig->score,
                            rig->quality, rig->weight, &err));
}

/* One full batch, layer by layer. */
static void bench_layers(const struct rig *rig, double top)
{
    const double rows = (double)vj_cuda_net_get_plan(rig->net)->rows;
    struct timeline t = {};
    cudaEvent_t start;
    double total = 0, floor = 0;
    must(VJ_CUDA(cudaEventCreate(&start), &err));
    vj_cuda_net_set_hook(rig->work, mark, &t);
    for (int i = 0; i < warm_up + repeats; i++) {
        t.next = 0;
        must(VJ_CUDA(cudaEventRecord(start, rig->stream), &err));
        score(rig, (size_t)rows / rig->patches);
        must(VJ_CUDA(cudaStreamSynchronize(rig->stream), &err));
        for (size_t k = 0; k < t.next && i >= warm_up; k++)
            t.ms[k].push_back(elapsed(k ? t.event[k - 1] : start, t.event[k]));
    }
    vj_cuda_net_set_hook(rig->work, NULL, NULL);
    for (size_t k = 0; k < t.layer.size(); k++) {
        const double ms = median(t.ms[k]), flop = 2 * t.macs[k] * rows, bytes = t.bytes[k] * rows;
        const double tflops = flop / (ms * 1e-3) * 1e-12, gbytes = bytes / (ms * 1e-3) * 1e-9;
        total += ms;
        floor += std::max(flop / (top * 1e9), bytes / (copy_speed() * 1e6));
        printf("  %-12s %8.3f ms %8.0f GB/s %5.1f%%", t.layer[k], ms, gbytes,
               100 * gbytes / copy_speed());
        if (flop > 0)
            printf(" %8.1f TFLOP/s %5.1f%%", tflops, 100 * tflops / top);
        printf("\n");
        cudaEventDestroy(t.event[k]);
    }
    printf("  %-12s %8.3f ms, floor %.3f ms\n", "sum", total, floor);
    cudaEventDestroy(start);
}

static double time_calls(const struct rig *rig, bool reference)
{
    cudaEvent_t from, to;
    std::vector<double> ms;
    must(VJ_CUDA(cudaEventCreate(&from), &err));
    must(VJ_CUDA(cudaEventCreate(&to), &err));
    for (int i = 0; i < warm_up + repeats; i++) {
        must(VJ_CUDA(cudaEventRecord(from, rig->stream), &err));
        if (reference)
            must(vj_cuda_net_reference(rig->work, rig->stream, 0, rig->r, rig->j, rig->patches,
                                       &err));
        else
            score(rig, rig->n);
        must(VJ_CUDA(cudaEventRecord(to, rig->stream), &err));
        must(VJ_CUDA(cudaEventSynchronize(to), &err));
        if (i >= warm_up)
            ms.push_back(elapsed(from, to));
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return median(ms);
}

static void bench_whole(const struct rig *rig, double top)
{
    const double patches = (double)(rig->n * rig->patches);
    const double reference = time_calls(rig, true), scores = time_calls(rig, false);
    const double tflops =
        2 * vj_cuda_net_macs(vj_cuda_net_get_plan(rig->net)) * patches / (scores * 1e-3) * 1e-12;
    printf("  reference of %zu patches %.3f ms; %zu candidates %.3f ms: %.0f patches/s, %.1f "
           "TFLOP/s, %.1f%% of the ceiling, %.0f candidates/s\n",
           rig->patches, reference, rig->n, scores, patches / (scores * 1e-3), tflops,
           100 * tflops / top, (double)rig->n / (scores * 1e-3));
}

static void bench(const struct vj_weights *w, enum vj_cuda_precision precision, size_t rows,
                  size_t patches, size_t n)
{
    struct rig rig = {};
    char text[16384];
    const size_t px = (size_t)w->shape.patch_size * (size_t)w->shape.patch_size;
    rig.patches = patches;
    rig.n = n;
    std::vector<uint8_t> noise(n * patches * px * 3);
    for (size_t i = 0; i < noise.size(); i += sizeof(struct vj_u32x4)) {
        const struct vj_u32x4 words = vj_philox((uint32_t)(i / sizeof(words)), 0, 0, 0, 3, 4);
        memcpy(&noise[i], &words, std::min(sizeof(words), noise.size() - i));
    }
    must(VJ_CUDA(cudaStreamCreateWithFlags(&rig.stream, cudaStreamNonBlocking), &err));
    const double top = ceiling(precision);
    must(vj_cuda_net_create(&rig.net, w, rows, std::min(rows, patches), precision, &err));
    must(vj_cuda_net_work_create(&rig.work, rig.net, 1, patches, &err));
    rig.d = static_cast<uint8_t *>(device_memory(noise.size()));
    rig.score = static_cast<float *>(device_memory(n * sizeof(float)));
    rig.quality = static_cast<float *>(device_memory(n * patches * sizeof(float)));
    rig.weight = static_cast<float *>(device_memory(n * patches * sizeof(float)));
    must(VJ_CUDA(cudaMemcpy(rig.d, noise.data(), noise.size(), cudaMemcpyHostToDevice), &err));
    must(VJ_CUDA(cudaDeviceSynchronize(), &err)); /* the rig's stream does not wait for the copy */
    rig.r = rig.j = rig.d;
    must(vj_cuda_net_reference(rig.work, rig.stream, 0, rig.r, rig.j, patches, &err));
    vj_cuda_net_describe(rig.net, text, sizeof(text));
    printf("%s%s, weights %.0f MB, work %.0f MB; a product of 8192: %.1f TFLOP/s, a copy: %.0f "
           "GB/s\n",
           text, vj_variant_name(w->shape.variant), (double)vj_cuda_net_bytes(rig.net) * 1e-6,
           (double)vj_cuda_net_work_bytes(rig.work) * 1e-6, top, copy_speed());
    bench_layers(&rig, top);
    bench_whole(&rig, top);
    for (void *p : {(void *)rig.d, (void *)rig.score, (void *)rig.quality, (void *)rig.weight})
        cudaFree(p);
    vj_cuda_net_work_destroy(rig.work);
    vj_cuda_net_destroy(rig.net);
    must(VJ_CUDA(cudaStreamDestroy(rig.stream), &err));
}

int main(int argc, char **argv)
{
    const size_t patches = argc > 2 ? strtoul(argv[2], NULL, 10) : 32;
    const size_t rows = argc > 1      ? strtoul(argv[1], NULL, 10)
                        : patches > 0 ? vj_cuda_rows(patches)
                                      : 0;
    const size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
    if (patches < 1 || rows < patches || n * patches < rows) {
        fprintf(stderr, "usage: bench_net_gpu [ROWS [PATCHES [CANDIDATES]]], with PATCHES <= ROWS "
                        "<= PATCHES * CANDIDATES\n");
        return 2;
    }
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        struct vj_weights w = {};
        const struct vj_net_shape shape = vj_net_shape_default((enum vj_variant)variant);
        const size_t whole = std::min(vj_cuda_net_rows(&shape, rows, patches), n * patches);
        must(vj_weights_init(&w, &shape, 1, &err));
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision++)
            bench(&w, (enum vj_cuda_precision)precision, whole, patches, n);
        vj_weights_free(&w);
    }
    return 0;
}
