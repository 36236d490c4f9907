/* SPDX-License-Identifier: MIT */
/*
 * Whether cuDNN's graphs would run the 3x3 convolutions faster than the calls that the program
 * makes (cuda/net_ops.h): for every convolution of the variants, in batches of candidates of 32
 * patches, milliseconds of the program's call and of the engines that cuDNN advises for
 * convolution, bias and relu in one graph, as far as they keep the program's promises.
 *
 *     bench_engines_gpu [SECONDS]
 *
 * Medians. Inputs are noise. Behind SECONDS (default 120) no further engine is begun. "differs":
 * largest difference to the program's output in the first 2^20 numbers over their largest.
 */
#include <stdio.h>

#include <cudnn.h>

#if CUDNN_VERSION >= 90800

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cuda_runtime_api.h>

#include "cuda/net_kernels.h"
#include "cuda/net_ops.h"
#include "cuda/plan.h"
#include "host/rng.h"
#include "host/weights.h"
#include "tests/cuda/cudnn_graph.h"

#include "cuda/check.h"

enum { PATCHES = 32, QUESTIONS = 128, WARM_UP = 2, REPEATS = 7, COMPARED = 1 << 20 };

static const size_t most_workspace = (size_t)1 << 30;

static struct vj_error err;

/* A benchmark has nobody to pass an error on to. */
static void must(int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "bench_engines_gpu: %s\n", err.text);
    exit(1);
}

static void graph_failed(const char *call, const char *status, const char *why)
{
    fprintf(stderr, "bench_engines_gpu: %s: %s: %s\n", call, status, why);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench {
    cudnnHandle_t handle;
    cudaEvent_t from, to;
    void *x, *kernel, *bias, *y, *workspace; /* on the device */
    size_t x_bytes, y_bytes;
    float *wide;         /* on the device, [COMPARED] */
    float *want, *have;  /* [COMPARED] */
    const char *refusal; /* of the last engine that did not run */
    double deadline;
};

/* ---- memory ---- */

static void *device_memory(size_t bytes)
{
    void *p = NULL;
    must(VJ_CUDA(cudaMalloc(&p, bytes), &err));
    return p;
}

/* Fills with noise in [-1/2, 1/2), the same 2^22 numbers again and again. */
static void fill(enum vj_cuda_precision precision, void *to, size_t bytes)
{
    enum { COUNT = 1 << 22 };
    const size_t element = precision == VJ_CUDA_FP16 ? 2 : 4;
    static float host[COUNT];
    for (size_t i = 0; i < COUNT; i += 4) {
        const struct vj_u32x4 words = vj_random4(1, VJ_RNG_TEST, 0, (uint32_t)i);
        for (size_t k = 0; k < 4; k++)
            host[i + k] = (float)(vj_random_unit(words.v[k]) - 0.5);
    }
    float *wide = device_memory(sizeof(host));
    char *part = device_memory(COUNT * element);
    int *flag = device_memory(sizeof(*flag));
    must(VJ_CUDA(cudaMemcpy(wide, host, sizeof(host), cudaMemcpyHostToDevice), &err));
    must(VJ_CUDA(vj_cuda_net_convert(precision, 0, wide, part, COUNT, flag), &err));
    for (size_t done = 0; done < bytes; done += COUNT * element) {
        const size_t rest = bytes - done, whole = COUNT * element;
        must(VJ_CUDA(cudaMemcpy((char *)to + done, part, rest < whole ? rest : whole,
                                cudaMemcpyDeviceToDevice),
                     &err));
    }
    must(VJ_CUDA(cudaDeviceSynchronize(), &err));
    cudaFree(wide);
    cudaFree(part);
    cudaFree(flag);
}

/* The first numbers of y, as floats. */
static void read_output(const struct bench *b, const struct question *q, float *to)
{
    const enum vj_cuda_precision stored =
        q->precision == VJ_CUDA_FP16 ? VJ_CUDA_FP16 : VJ_CUDA_FP32;
    must(VJ_CUDA(vj_cuda_net_widen(stored, 0, b->y, b->wide, COMPARED), &err));
    must(VJ_CUDA(cudaMemcpy(to, b->wide, COMPARED * sizeof(float), cudaMemcpyDeviceToHost), &err));
}

static double difference(const struct bench *b)
{
    double most = 0, largest = 0;
    for (size_t i = 0; i < COMPARED; i++) {
        const double d = fabs((double)b->have[i] - (double)b->want[i]);
        if (isnan(d))
            return d;
        most = fmax(most, d);
        largest = fmax(largest, fabs((double)b->want[i]));
    }
    return most / largest;
}

/* ---- times ---- */

struct run {
    int (*once)(struct bench *b, void *user);
    void *user;
};

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median milliseconds, or -1 where it does not run. */
static double milliseconds(struct bench *b, struct run run)
{
    double ms[REPEATS];
    for (int i = -WARM_UP; i < REPEATS; i++) {
        float elapsed = 0;
        must(VJ_CUDA(cudaEventRecord(b->from, 0), &err));
        if (run.once(b, run.user))
            return -1;
        must(VJ_CUDA(cudaEventRecord(b->to, 0), &err));
        must(VJ_CUDA(cudaEventSynchronize(b->to), &err));
        must(VJ_CUDA(cudaEventElapsedTime(&elapsed, b->from, b->to), &err));
        if (i >= 0)
            ms[i] = (double)elapsed;
    }
    qsort(ms, REPEATS, sizeof(ms[0]), compare_doubles);
    return ms[REPEATS / 2];
}

static double tflops(const struct question *q, double ms)
{
    const double macs = 9.0 * (double)(q->rows * q->side * q->side * q->in * q->out);
    return 2 * macs / (ms * 1e-3) * 1e-12;
}

/* ---- the program's call ---- */

static int run_program(struct bench *b, void *user)
{
    const struct vj_cuda_net_conv_memory m = {b->x, b->kernel, b->bias, b->y, b->workspace};
    return vj_cuda_net_conv_run(user, b->handle, 0, &m, &err);
}

static double bench_program(struct bench *b, const struct question *q)
{
    const struct vj_cuda_net_conv conv = {.name = q->name,
                                          .side = (int)q->side,
                                          .in = (int)q->in,
                                          .out = (int)q->out,
                                          .real_in = (int)q->in,
                                          .real_out = (int)q->out};
    const struct vj_cuda_net_conv_memory m = {b->x, b->kernel, b->bias, b->y, NULL};
    struct vj_cuda_net_conv_op op;
    char text[512];
    must(vj_cuda_net_conv_prepare(&op, &conv, (size_t)q->rows, q->precision, &err));
    must(vj_cuda_net_conv_choose(&op, b->handle, &m, &err));
    if (op.workspace > most_workspace)
        must(vj_fail(&err, -ENOMEM, "%s wants %zu bytes", q->name, op.workspace));
    const double ms = milliseconds(b, (struct run){run_program, &op});
    if (ms < 0)
        must(-1);
    read_output(b, q, b->want);
    vj_cuda_net_conv_describe(&op, text, sizeof(text));
    printf("%s, %lld x %lld x %lld, %lld to %lld: %.3f ms, %.1f TFLOP/s; %s",
           vj_cuda_precision_name(q->precision), (long long)q->rows, (long long)q->side,
           (long long)q->side, (long long)q->in, (long long)q->out, ms, tflops(q, ms), text);
    vj_cuda_net_conv_free(&op);
    return ms;
}

/* ---- cuDNN's engines ---- */

struct planned {
    descriptor plan, pack;
};

static int run_plan(struct bench *b, void *user)
{
    const struct planned *p = user;
    const cudnnStatus_t status = cudnnBackendExecute(b->handle, p->plan, p->pack);
    if (status != CUDNN_STATUS_SUCCESS)
        b->refusal = cudnnGetErrorString(status);
    return status != CUDNN_STATUS_SUCCESS;
}

static descriptor pack_of(struct bag *bag, const struct bench *b)
{
    void *memory[] = {b->x, b->kernel, b->y, b->bias};
    const int64_t id[] = {X, W, Y, BIAS};
    descriptor d = make(bag, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 4, memory);
    set(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 4, id);
    set(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &b->workspace);
    return finish(d);
}

/* False: cuDNN makes no plan of the configuration. */
static bool plan_of(struct bag *bag, const struct bench *b, descriptor config, descriptor *plan)
{
    *plan = make(bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_descriptor(*plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    set(*plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->handle);
    return supported(cudnnBackendFinalize(*plan), "plan");
}

static void bench_engine(struct bench *b, const struct question *q, struct bag *bag,
                         descriptor config, struct engine e, double program)
{
    const double start = seconds();
    struct planned p;
    if (!plan_of(bag, b, config, &p.plan))
        return;
    const double planning = seconds() - start;
    e.workspace = get_number(p.plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    printf("  engine %lld, workspace %.1f MiB, planned in %.2f s: ", (long long)e.index,
           (double)e.workspace / (1 << 20), planning);
    if ((size_t)e.workspace > most_workspace) {
        printf("not run\n");
        return;
    }
    p.pack = pack_of(bag, b);
    must(VJ_CUDA(cudaMemset(b->y, 0xff, b->y_bytes), &err)); /* NaN */
    const double ms = milliseconds(b, (struct run){run_plan, &p});
    if (ms < 0) {
        printf("refused, %s\n", b->refusal);
        return;
    }
    read_output(b, q, b->have);
    printf("%.3f ms, %.1f TFLOP/s, %.2f times as fast; differs by %.1e\n", ms, tflops(q, ms),
           program / ms, difference(b));
}

static void bench_engines(struct bench *b, const struct question *q, double program)
{
    struct bag bag = {.count = 0};
    descriptor config[ADVISED], graph = graph_of(&bag, q, b->handle);
    const int64_t count = advice(&bag, graph, NULL, config);
    for (int64_t i = 0; i < count && seconds() < b->deadline; i++) {
        const size_t before = bag.count;
        struct engine e;
        read_config(&bag, config[i], &e);
        if (keeps(q, e.notes))
            bench_engine(b, q, &bag, config[i], e, program);
        destroy_down_to(&bag, before);
    }
    destroy_down_to(&bag, 0);
    fflush(stdout);
}

/* ---- all convolutions ---- */

static bool known(const struct question *all, size_t count, const struct question *q)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].rows == q->rows && all[i].side == q->side && all[i].in == q->in &&
            all[i].out == q->out)
            return true;
    return false;
}

/* Each convolution once, though variants share them. */
static size_t list(struct question all[QUESTIONS], enum vj_cuda_precision precision)
{
    size_t count = 0;
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const struct vj_net_shape shape = vj_net_shape_default((enum vj_variant)variant);
        const size_t rows = vj_cuda_net_rows(&shape, vj_cuda_rows(PATCHES), PATCHES);
        struct vj_cuda_net_plan plan;
        must(vj_cuda_net_plan_make(&plan, &shape, rows, precision, &err));
        for (int i = 0; i < plan.layers && count < QUESTIONS; i++) {
            struct question *q = &all[count];
            *q = (struct question){.kind = FUSED,
                                   .precision = precision,
                                   .rows = (int64_t)rows,
                                   .side = plan.conv[i].side,
                                   .in = plan.conv[i].in,
                                   .out = plan.conv[i].out};
            snprintf(q->name, sizeof(q->name), "%s %s", plan.form->name, plan.conv[i].name);
            count += !known(all, count, q);
        }
    }
    return count;
}

static void bench_precision(struct bench *b, enum vj_cuda_precision precision)
{
    static struct question all[QUESTIONS];
    const size_t count = list(all, precision);
    fill(precision, b->x, b->x_bytes);
    fill(precision, b->kernel, (size_t)64 << 20);
    fill(precision, b->bias, (size_t)1 << 20);
    for (size_t i = 0; i < count && seconds() < b->deadline; i++) {
        const double program = bench_program(b, &all[i]);
        bench_engines(b, &all[i], program);
    }
}

/* The largest input and output in single precision. */
static void take_memory(struct bench *b)
{
    static struct question all[QUESTIONS];
    const size_t count = list(all, VJ_CUDA_FP32);
    for (size_t i = 0; i < count; i++) {
        const struct question *q = &all[i];
        const size_t pixels = (size_t)(q->rows * q->side * q->side) * sizeof(float);
        const size_t x = pixels * (size_t)q->in, y = pixels * (size_t)q->out;
        b->x_bytes = x > b->x_bytes ? x : b->x_bytes;
        b->y_bytes = y > b->y_bytes ? y : b->y_bytes;
    }
    b->x = device_memory(b->x_bytes);
    b->y = device_memory(b->y_bytes);
    b->kernel = device_memory((size_t)64 << 20);
    b->bias = device_memory((size_t)1 << 20);
    b->workspace = device_memory(most_workspace);
    b->wide = device_memory(COMPARED * sizeof(float));
    b->want = calloc(COMPARED, sizeof(float));
    b->have = calloc(COMPARED, sizeof(float));
    if (!b->want || !b->have)
        must(vj_fail(&err, -ENOMEM, "out of memory"));
}

int main(int argc, char **argv)
{
    static const enum vj_cuda_precision order[] = {VJ_CUDA_FP16, VJ_CUDA_TF32, VJ_CUDA_FP32};
    struct bench b = {.deadline = seconds() + (argc > 1 ? atof(argv[1]) : 120)};
    take_memory(&b);
    must(VJ_CUDA(cudaEventCreate(&b.from), &err));
    must(VJ_CUDA(cudaEventCreate(&b.to), &err));
    must(VJ_CUDNN(cudnnCreate(&b.handle), &err));
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        bench_precision(&b, order[i]);
    cudnnDestroy(b.handle);
    return 0;
}

#else

int main(void)
{
    printf("cuDNN %d is not known to have what this asks for, 9.8 has\n", CUDNN_VERSION);
    return 0;
}

#endif
