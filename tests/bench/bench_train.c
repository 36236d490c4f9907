/* SPDX-License-Identifier: MIT */
/*
 * bench_train [THREADS [ROUNDS]]: speed of the CPU trainer, held against oneDNN's own convolutions
 * and matrix products of the same shapes in the same run.
 *
 * First table, per patch and thread: the convolutions of one chunk of patches, forward, backward by
 * the source and backward by the weights, in layouts of oneDNN's choice, and the products of the
 * non-local block. All threads run at once, each on buffers of its own; the figure is processor
 * time of the slowest thread, the best of ROUNDS (default 10) rounds in which all take turns.
 * Second table: whole steps, wall clock, best of the rounds, and which share of a step the times of
 * the first table would take.
 *
 * Network: `figure`, 32 patches, keep 0.5, 4 pairs a step: of 4 references, as in the released
 * training, or of one. A step sees the patches of references, pairs and pixel-JND maps.
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/checked.h"
#include "host/onednn_train.h"
#include "host/trainer.h"
#include "tests/host/net_formula.h"

enum { PATCHES = 32, PAIRS = 4, MAX_THREADS = 256, LAYERS = 4 };

/* Patches of one pass of primitives: what the trainer takes (host/trainer_cpu.c). */
static size_t chunk_patches(size_t side)
{
    return 8 * 64 * 64 / (side * side);
}

enum pass { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, PASSES };

/* Buffers of one thread, filled with small numbers. */
struct buffers {
    struct vj_dnn_conv_train_call *call;
    float *src, *dst, *kernel, *bias;
    void *scratch;
};

/* A convolution, or a group of equal matrix products when conv is NULL. */
struct item {
    const char *name;
    struct vj_dnn_conv_train *conv;
    struct buffers thread[MAX_THREADS];
    size_t rows, columns, depth, products; /* per patch and pass */
    size_t batch;
    double macs;         /* of the forward pass, per patch */
    double best[PASSES]; /* seconds per patch and thread; 0: there is no such pass */
};

static void die(const struct vj_error *err)
{
    fprintf(stderr, "bench_train: %s\n", err->text);
    exit(1);
}

static double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *numbers(size_t count)
{
    float *p = vj_alloc_aligned(count, sizeof(float));
    if (!p) {
        fprintf(stderr, "bench_train: out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < count; i++)
        p[i] = (float)(formula_mix((uint32_t)i) >> 8) * 1e-8f;
    return p;
}

static void prepare_conv(struct item *item, struct vj_dnn *dnn, const struct vj_dnn_conv *shape,
                         bool backward_data, int threads)
{
    struct vj_error err;
    const size_t kernel_floats = shape->kernel * shape->kernel * shape->in * shape->out;
    item->name = shape->name;
    item->batch = shape->batch;
    item->macs = (double)(kernel_floats * shape->height * shape->width);
    float *kernel = numbers(kernel_floats), *bias = numbers(shape->out);
    if (vj_dnn_conv_train_prepare(&item->conv, dnn, shape, backward_data, &err) ||
        vj_dnn_conv_train_load(item->conv, kernel, bias, &err))
        die(&err);
    free(kernel);
    free(bias);
    for (int t = 0; t < threads; t++) {
        struct buffers *b = &item->thread[t];
        b->src = numbers(shape->batch * vj_dnn_conv_train_src_floats(item->conv));
        b->dst = numbers(shape->batch * vj_dnn_conv_train_dst_floats(item->conv));
        b->kernel = numbers(vj_dnn_conv_train_kernel_floats(item->conv));
        b->bias = numbers((shape->out + 15) / 16 * 16);
        b->scratch = numbers(vj_dnn_conv_train_scratch_bytes(item->conv) / sizeof(float) + 16);
        if (vj_dnn_conv_train_bind(&b->call, item->conv, b->scratch, &err))
            die(&err);
    }
}

/* Products c[rows][columns] = a b over `depth`, and both of their derivatives. */
static void prepare_products(struct item *item, const char *name, size_t rows, size_t columns,
                             size_t depth, size_t products, size_t batch, int threads)
{
    *item = (struct item){.name = name,
                          .rows = rows,
                          .columns = columns,
                          .depth = depth,
                          .products = products,
                          .batch = batch,
                          .macs = (double)(rows * columns * depth * products)};
    for (int t = 0; t < threads; t++) {
        item->thread[t].src = numbers(rows * depth);
        item->thread[t].kernel = numbers(depth * columns);
        item->thread[t].dst = numbers(rows * columns);
    }
}

static int multiply(const struct item *item, const struct buffers *b, enum pass pass,
                    struct vj_error *err)
{
    const size_t m = item->rows, n = item->columns, k = item->depth;
    switch (pass) {
    case FORWARD:
        return vj_dnn_gemm(false, false, m, n, k, b->src, k, b->kernel, n, 0, b->dst, n, err);
    case BACKWARD_DATA:
        return vj_dnn_gemm(false, true, m, k, n, b->dst, n, b->kernel, n, 0, b->src, k, err);
    default:
        return vj_dnn_gemm(true, false, k, n, m, b->src, k, b->dst, n, 0, b->kernel, n, err);
    }
}

static int run_once(const struct item *item, const struct buffers *b, enum pass pass,
                    struct vj_error *err)
{
    int r = 0;
    if (!item->conv) {
        for (size_t i = 0; i < item->products * item->batch && !r; i++)
            r = multiply(item, b, pass, err);
        return r;
    }
    switch (pass) {
    case FORWARD:
        return vj_dnn_forward(b->call, b->src, b->dst, err);
    case BACKWARD_DATA:
        return vj_dnn_backward_data(b->call, b->dst, b->src, err);
    default:
        return vj_dnn_backward_weights(b->call, b->src, b->dst, b->kernel, b->bias, err);
    }
}

/* Seconds of processor time of the slowest thread for one run of a pass. */
static double time_once(const struct item *item, enum pass pass, int threads, int repeats)
{
    double slowest = 0;
#pragma omp parallel num_threads(threads) reduction(max : slowest)
    {
        omp_set_num_threads(1);
        struct vj_error err;
        const double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < repeats; i++)
            if (run_once(item, &item->thread[omp_get_thread_num()], pass, &err))
                die(&err);
        slowest = (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start) / repeats;
    }
    return slowest;
}

static void take_turns(struct item *items, int count, int threads, int rounds)
{
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            for (int pass = FORWARD; pass < PASSES; pass++) {
                if (i == 0 && pass == BACKWARD_DATA)
                    continue; /* the input has no derivative */
                struct item *item = &items[i];
                const double once = time_once(item, (enum pass)pass, threads, 1);
                const double best =
                    time_once(item, (enum pass)pass, threads, 1 + (int)(0.005 / once)) /
                    (double)item->batch;
                if (round == 0 || best < item->best[pass])
                    item->best[pass] = best;
            }
}

static void release(struct item *item, int threads)
{
    for (int t = 0; t < threads; t++) {
        struct buffers *b = &item->thread[t];
        vj_dnn_conv_train_call_free(b->call);
        free(b->src);
        free(b->dst);
        free(b->kernel);
        free(b->bias);
        free(b->scratch);
    }
    vj_dnn_conv_train_free(item->conv);
}

static void print_pass(double macs, double seconds)
{
    if (seconds > 0)
        printf(" %9.3f %7.1f", seconds * 1e3, macs / seconds * 1e-9);
    else
        printf(" %9s %7s", "", "");
}

static double sum_of(const struct item *item)
{
    return item->best[FORWARD] + item->best[BACKWARD_DATA] + item->best[BACKWARD_WEIGHTS];
}

/* oneDNN's seconds per patch and thread: of the convolutions, and of convolutions and products. */
struct floor {
    double convolutions, all;
};

enum { ITEMS = LAYERS + 3 };

static void prepare_items(struct item *items, struct vj_dnn *dnn, const struct vj_net_shape *shape,
                          int threads)
{
    static const char *const names[LAYERS] = {"conv1 3x3", "conv2 3x3", "conv3 3x3", "conv4 3x3"};
    const size_t side = (size_t)shape->patch_size, batch = chunk_patches(side);
    const size_t n = side / 8 * (side / 8), c = (size_t)shape->channels[3];
    for (int i = 0; i < LAYERS; i++) {
        const struct vj_dnn_conv conv = {
            .name = names[i],
            .batch = batch,
            .height = side >> i,
            .width = side >> i,
            .in = i ? (size_t)shape->channels[i - 1] : 3,
            .out = (size_t)shape->channels[i],
            .kernel = 3,
            .relu = true,
        };
        prepare_conv(&items[i], dnn, &conv, i > 0, threads);
    }
    prepare_products(&items[LAYERS], "1x1 (three)", n, c, c, 3, batch, threads);
    prepare_products(&items[LAYERS + 1], "affinity", n, n, c, 1, batch, threads);
    prepare_products(&items[LAYERS + 2], "attend", n, c, n, 1, batch, threads);
}

static struct floor bench_primitives(const struct vj_net_shape *shape, int threads, int rounds)
{
    static struct item items[ITEMS];
    struct vj_error err;
    struct vj_dnn *dnn;
    struct floor floor = {0, 0};
    const int ambient = omp_get_max_threads();
    memset(items, 0, sizeof(items));
    omp_set_num_threads(1); /* primitives keep the number they were prepared under */
    if (vj_dnn_create(&dnn, &err))
        die(&err);
    prepare_items(items, dnn, shape, threads);
    take_turns(items, ITEMS, threads, rounds);
    omp_set_num_threads(ambient);
    printf("\n%d pixels, chunks of %zu patches; ms and G multiply-accumulates/s per thread\n",
           shape->patch_size, chunk_patches((size_t)shape->patch_size));
    printf("%-12s %7s %9s %7s %9s %7s %9s %7s %9s  %s\n", "per patch", "MMAC", "forward", "",
           "data", "", "weights", "", "all", "implementations");
    for (int i = 0; i < ITEMS; i++) {
        char text[128] = "sgemm";
        const struct item *item = &items[i];
        if (item->conv)
            vj_dnn_conv_train_describe(item->conv, text, sizeof(text));
        printf("%-12s %7.1f", item->name, item->macs * 1e-6);
        for (int pass = FORWARD; pass < PASSES; pass++)
            print_pass(item->macs, item->best[pass]);
        printf(" %9.3f  %s\n", sum_of(item) * 1e3, text);
        floor.convolutions += i < LAYERS ? sum_of(item) : 0;
        floor.all += sum_of(item);
    }
    printf("%-12s %74.3f\n%-12s %74.3f\n", "convolutions", floor.convolutions * 1e3, "all",
           floor.all * 1e3);
    for (int i = 0; i < ITEMS; i++)
        release(&items[i], threads);
    vj_dnn_free(dnn);
    return floor;
}

/* A batch of 4 pairs that share `references` references; its patches are its own. */
static void make_batch(struct vj_train_batch *batch, size_t side, size_t references)
{
    static const uint32_t reference[2][PAIRS] = {{0, 0, 0, 0}, {0, 1, 2, 3}};
    static const float target[PAIRS] = {0, 1, 0, 1}, importance[PAIRS] = {1, 1, 1, 1};
    const size_t pixels = side * side;
    uint8_t *r = vj_calloc(references * PATCHES, pixels * 3);
    uint8_t *j = vj_calloc(references * PATCHES, pixels);
    uint8_t *d = vj_calloc((size_t)PAIRS * PATCHES, pixels * 3);
    if (!r || !j || !d)
        exit(1);
    for (size_t i = 0; i < references * PATCHES; i++) {
        formula_patch(r + i * pixels * 3, FORMULA_REFERENCE, i, side, 3);
        formula_patch(j + i * pixels, FORMULA_JND, i, side, 1);
    }
    for (size_t i = 0; i < (size_t)PAIRS * PATCHES; i++)
        formula_patch(d + i * pixels * 3, FORMULA_CANDIDATE + (int)(i / PATCHES), i % PATCHES, side,
                      3);
    *batch = (struct vj_train_batch){.references = references,
                                     .pairs = PAIRS,
                                     .r = r,
                                     .j = j,
                                     .d = d,
                                     .reference = reference[references > 1],
                                     .target = target,
                                     .importance = importance};
}

static void free_batch(struct vj_train_batch *batch)
{
    free((void *)batch->r);
    free((void *)batch->j);
    free((void *)batch->d);
}

static void bench_steps(const struct vj_net_shape *shape, size_t references, struct floor floor,
                        int threads, int rounds)
{
    struct vj_error err;
    struct vj_weights w = {0};
    struct vj_train_batch batch;
    void *state;
    double loss, best = INFINITY;
    make_batch(&batch, (size_t)shape->patch_size, references);
    if (vj_weights_init(&w, shape, 1, &err))
        die(&err);
    const struct vj_trainer_plan plan = {.weights = &w,
                                         .patches = PATCHES,
                                         .max_references = references,
                                         .max_pairs = PAIRS,
                                         .adam = {0.9, 0.999, 1e-8},
                                         .average = 0.9999,
                                         .keep = 0.5,
                                         .seed = 1,
                                         .threads = threads};
    if (vj_trainer_cpu.open(&state, &plan, 0, &err))
        die(&err);
    for (int round = 0; round <= rounds; round++) { /* the first one warms up */
        const double start = clock_seconds(CLOCK_MONOTONIC);
        if (vj_trainer_cpu.step(state, &batch, 1 + (uint64_t)round, 1e-4, &loss, NULL, &err))
            die(&err);
        const double seconds = clock_seconds(CLOCK_MONOTONIC) - start;
        best = round && seconds < best ? seconds : best;
    }
    const double patches = (double)((2 * references + PAIRS) * PATCHES);
    printf("%6d %10zu %9.0f %10.1f %9.2f %11.1f %12.1f %% %9.1f %% %8zu\n", shape->patch_size,
           references, patches, best * 1e3, PAIRS / best, patches / best,
           100 * floor.convolutions * patches / threads / best,
           100 * floor.all * patches / threads / best, vj_trainer_cpu.bytes(state) >> 20);
    vj_trainer_cpu.close(state);
    vj_weights_free(&w);
    free_batch(&batch);
}

int main(int argc, char **argv)
{
    static const int sides[] = {128, 64};
    enum { SIDES = 2 };
    const int threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads();
    const int rounds = argc > 2 ? atoi(argv[2]) : 10;
    char library[128];
    struct floor floor[SIDES];
    if (threads < 1 || threads > MAX_THREADS || rounds < 1) {
        fprintf(stderr, "usage: bench_train [THREADS 1..%d [ROUNDS]]\n", MAX_THREADS);
        return 2;
    }
    vj_dnn_describe(library, sizeof(library));
    printf("%s, %d thread%s, %d rounds\n", library, threads, threads == 1 ? "" : "s", rounds);
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    for (int i = 0; i < SIDES; i++) {
        shape.patch_size = sides[i];
        floor[i] = bench_primitives(&shape, threads, rounds);
    }
    printf("\n%6s %10s %9s %10s %9s %11s %14s %11s %8s\n", "pixels", "references", "patches",
           "ms/step", "pairs/s", "patches/s", "convolutions", "products", "MiB");
    for (int i = 0; i < SIDES; i++) {
        shape.patch_size = sides[i];
        for (size_t references = 1; references <= PAIRS; references += PAIRS - 1)
            bench_steps(&shape, references, floor[i], threads, rounds);
    }
    return 0;
}
