/* SPDX-License-Identifier: MIT */
/*
 * bench_net [THREADS [ROUNDS]]: speed of the network on the CPU, held against oneDNN's own
 * convolutions of the same shapes in the same run.
 *
 * First table, per patch and thread: every operation of the feature extractor as prepared (batch 1,
 * one thread) beside oneDNN's convolution of that shape at its best (layouts of its choice, batch
 * 8). All threads run at once, each on buffers of its own; the figure is processor time of the
 * slowest thread, the best of ROUNDS (default 15) rounds in which all operations take turns. Second
 * table: whole calls of vj_net_scores() and vj_net_reference_load() for 8 candidates of 32 patches,
 * all variants, wall clock, best of the rounds; "cpu ms" is processor time of all threads for a
 * patch, their waiting for each other included. The first table is of `figure`, in whose layers all
 * kinds of operations appear; patches have the variant's own size.
 *
 * Multiply-accumulates are those of the folded network, direct convolution (spec network.md).
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/checked.h"
#include "host/net.h"
#include "host/net_internal.h"
#include "tests/host/net_formula.h"

enum { BATCH = 8, PATCHES = 32, CANDIDATES = 8, MAX_THREADS = 256, MAX_ITEMS = 24 };

struct bench {
    int threads, rounds;
    struct vj_weights w;
    struct vj_net *net;
    struct vj_net_work *work;
    uint8_t *patch;  /* [S][S][3] */
    float *features; /* [threads][features] */
};

/* One thing to be timed: run() is called by every thread with its number. */
struct item {
    const char *name;
    void (*run)(struct bench *b, const struct item *item, int thread);
    int index;            /* which operation */
    double macs;          /* per patch */
    int patches;          /* per run */
    double best;          /* seconds per patch and thread */
    struct vj_dnn_op *op; /* oneDNN's own */
    struct vj_dnn_call *call[MAX_THREADS];
    void *memory[MAX_THREADS];
};

static void die(const struct vj_error *err)
{
    fprintf(stderr, "bench_net: %s\n", err->text);
    exit(1);
}

static double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must_run(struct vj_dnn_call *call)
{
    struct vj_error err;
    if (vj_dnn_run(call, &err))
        die(&err);
}

static void run_conv(struct bench *b, const struct item *item, int thread)
{
    struct vj_error err;
    if (vj_net_conv_run(b->work->thread[thread].stream[VJ_NET_PICTURE].conv[item->index], &err))
        die(&err);
}

static void run_projections(struct bench *b, const struct item *item, int thread)
{
    struct vj_extractor_thread *t = &b->work->thread[thread];
    (void)item;
    must_run(t->stream[VJ_NET_PICTURE].theta);
    must_run(t->stream[VJ_NET_PICTURE].phi);
    must_run(t->stream[VJ_NET_PICTURE].value);
}

static void run_affinity(struct bench *b, const struct item *item, int thread)
{
    (void)item;
    must_run(b->work->thread[thread].affinity_call);
}

static void run_softmax(struct bench *b, const struct item *item, int thread)
{
    (void)item;
    must_run(b->work->thread[thread].softmax_call);
}

static void run_attend(struct bench *b, const struct item *item, int thread)
{
    (void)item;
    must_run(b->work->thread[thread].attend_call);
}

static void run_extractor(struct bench *b, const struct item *item, int thread)
{
    struct vj_error err;
    (void)item;
    float *out = b->features + (size_t)thread * b->net->features;
    if (vj_extractor_run(&b->work->thread[thread], b->net, VJ_NET_PICTURE, b->patch, 3, out, NULL,
                         NULL, &err))
        die(&err);
}

static void run_own(struct bench *b, const struct item *item, int thread)
{
    (void)b;
    must_run(item->call[thread]);
}

/* oneDNN's convolution at its best: buffers of the largest padded size, filled with small numbers.
 */
static void prepare_own(struct bench *b, struct item *item, const struct vj_dnn_conv *conv)
{
    struct vj_error err;
    const size_t kernel_floats = conv->kernel * conv->kernel * conv->in * conv->out;
    const size_t floats = conv->batch * conv->height * conv->width * 16 *
                          ((conv->in + 15) / 16 + (conv->out + 15) / 16);
    float *kernel = vj_calloc(kernel_floats + conv->out, sizeof(float));
    for (size_t i = 0; kernel && i < kernel_floats; i++)
        kernel[i] = (float)(formula_mix((uint32_t)i) >> 8) * 1e-9f;
    if (!kernel ||
        vj_dnn_conv_prepare(&item->op, b->net->dnn, conv, kernel, kernel + kernel_floats, &err))
        die(&err);
    free(kernel);
    for (int t = 0; t < b->threads; t++) {
        float *memory = vj_alloc_aligned(floats + vj_dnn_op_scratch_bytes(item->op) / 4 + 64, 4);
        if (!memory)
            exit(1);
        for (size_t i = 0; i < floats; i++)
            memory[i] = (float)(formula_mix((uint32_t)i) >> 8) * 1e-8f;
        float *dst =
            memory + conv->batch * conv->height * conv->width * 16 * ((conv->in + 15) / 16);
        item->memory[t] = memory;
        if (vj_dnn_bind(&item->call[t], item->op, memory, NULL, dst, memory + floats, &err))
            die(&err);
    }
}

/* Seconds of processor time of the slowest thread for one run of the item. */
static double time_once(struct bench *b, const struct item *item, int repeats)
{
    double slowest = 0;
#pragma omp parallel num_threads(b->threads) reduction(max : slowest)
    {
        omp_set_num_threads(1);
        const int thread = omp_get_thread_num();
        const double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < repeats; i++)
            item->run(b, item, thread);
        slowest = (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start) / repeats;
    }
    return slowest;
}

static void take_turns(struct bench *b, struct item *items, int count)
{
    int repeats[MAX_ITEMS];
    for (int i = 0; i < count; i++) {
        items[i].best = INFINITY;
        repeats[i] = 1 + (int)(0.01 / time_once(b, &items[i], 1)); /* about 10 ms a turn */
    }
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < count; i++)
            items[i].best =
                fmin(items[i].best, time_once(b, &items[i], repeats[i]) / items[i].patches);
}

static void print_row(const char *name, double macs, double ours, double own)
{
    printf("%-14s %8.1f", name, macs * 1e-6);
    printf(" %10.3f %9.1f", ours * 1e3, macs / ours * 1e-9);
    if (own > 0)
        printf(" %10.3f %9.1f %7.2f", own * 1e3, macs / own * 1e-9, own / ours);
    printf("\n");
}

static void bench_extractor(struct bench *b)
{
    const struct vj_net_shape *s = &b->net->shape;
    const size_t side = (size_t)s->patch_size / 8, n = side * side, c = (size_t)s->channels[3];
    static const char *const names[] = {"conv1 3x3", "conv2 3x3", "conv3 3x3", "conv4 3x3"};
    struct item items[MAX_ITEMS] = {0};
    int count = 0;
    for (int i = 0; i < 4; i++) {
        const size_t in = i ? (size_t)s->channels[i - 1] : 3, out = (size_t)s->channels[i];
        const size_t edge = (size_t)s->patch_size >> i;
        const double macs = (double)(9 * in * out * edge * edge);
        items[count++] = (struct item){names[i], run_conv, i, macs, 1, 0, NULL, {0}, {0}};
        items[count] = (struct item){names[i], run_own, i, macs, BATCH, 0, NULL, {0}, {0}};
        const struct vj_dnn_conv conv = {
            .name = names[i],
            .batch = BATCH,
            .height = edge,
            .width = edge,
            .in = in,
            .out = out,
            .kernel = 3,
            .relu = true,
        };
        prepare_own(b, &items[count++], &conv);
    }
    const double one = (double)(n * c * c), product = (double)(n * n * c);
    items[count++] =
        (struct item){"1x1 (three)", run_projections, 0, 3 * one, 1, 0, NULL, {0}, {0}};
    items[count] = (struct item){"1x1 (three)", run_own, 0, 3 * one, BATCH, 0, NULL, {0}, {0}};
    const struct vj_dnn_conv conv = {
        .name = "1x1",
        .batch = BATCH,
        .height = side,
        .width = side,
        .in = c,
        .out = 3 * c,
        .kernel = 1,
    };
    prepare_own(b, &items[count++], &conv);
    const int affinity = count, softmax = count + 1, attend = count + 2, whole = count + 3;
    items[count++] = (struct item){"affinity", run_affinity, 0, product, 1, 0, NULL, {0}, {0}};
    items[count++] = (struct item){"softmax", run_softmax, 0, 0, 1, 0, NULL, {0}, {0}};
    items[count++] = (struct item){"attend", run_attend, 0, product, 1, 0, NULL, {0}, {0}};
    items[count++] = (struct item){"extractor", run_extractor, 0, 0, 1, 0, NULL, {0}, {0}};
    run_extractor(b, NULL, 0);
    for (int t = 1; t < b->threads; t++)
        run_extractor(b, NULL, t); /* buffers hold what they hold in use */
    take_turns(b, items, count);

    printf("%-14s %8s %10s %9s %10s %9s %7s\n", "operation", "MMAC", "ours ms", "GMAC/s",
           "oneDNN ms", "GMAC/s", "ratio");
    double macs = 0, ours = 0, conv_macs = 0, conv_seconds = 0;
    for (int i = 0; i < affinity; i += 2) {
        print_row(items[i].name, items[i].macs, items[i].best, items[i + 1].best);
        macs += items[i].macs;
        ours += items[i].best;
        conv_macs += items[i].macs;
        conv_seconds += items[i + 1].best;
    }
    print_row("affinity", product, items[affinity].best, 0);
    printf("%-14s %8s %10.3f\n", "softmax", "", items[softmax].best * 1e3);
    print_row("attend", product, items[attend].best, 0);
    macs += 2 * product;
    ours += items[affinity].best + items[softmax].best + items[attend].best;
    printf("%-14s %8s %10.3f\n", "other loops", "", (items[whole].best - ours) * 1e3);
    /* held against: all its multiply-accumulates at the speed of oneDNN's convolutions above */
    print_row("extractor", macs, items[whole].best, macs / (conv_macs / conv_seconds));
    for (int i = 0; i < count; i++) {
        for (int t = 0; t < b->threads; t++) {
            vj_dnn_call_free(items[i].call[t]);
            free(items[i].memory[t]);
        }
        vj_dnn_op_free(items[i].op);
    }
}

/* Of a candidate's patch, attention and second layers aside. */
static double patch_macs(const struct vj_net *net)
{
    const struct vj_net_form *form = net->form;
    const double c = (double)vj_net_last_channels(&net->shape);
    const double side = (double)vj_net_side(&net->shape, form->blocks - 1), n = side * side;
    const double parts = form->jnd ? 3 : 2; /* f_d of both heads, f_d * f_j of one */
    double macs = parts * (double)net->features * VJ_NET_HIDDEN;
    if (form->non_local)
        macs += 3 * n * c * c + 2 * n * n * c;
    for (int i = 0; i < vj_net_layers(&net->shape); i++) {
        const struct vj_net_layer layer = vj_net_layer(&net->shape, i);
        macs += 9.0 * (double)(layer.side * layer.side * layer.in * layer.out);
    }
    return macs;
}

/* Wall clock of one call of each kind, best of the rounds. */
static void bench_calls(struct bench *b)
{
    struct vj_error err;
    const size_t px = (size_t)b->net->shape.patch_size * (size_t)b->net->shape.patch_size;
    const size_t rows = (size_t)CANDIDATES * PATCHES;
    uint8_t *r = vj_calloc(PATCHES, px * 3), *j = vj_calloc(PATCHES, px);
    uint8_t *d = vj_calloc(rows, px * 3);
    float score[CANDIDATES];
    struct vj_net_reference *ref;
    if (!r || !j || !d || vj_net_reference_create(&ref, b->net, PATCHES, &err))
        die(&err);
    for (size_t p = 0; p < PATCHES; p++) {
        formula_patch(r + p * px * 3, FORMULA_REFERENCE, p, (size_t)b->net->shape.patch_size, 3);
        formula_patch(j + p * px, FORMULA_JND, p, (size_t)b->net->shape.patch_size, 1);
    }
    for (size_t i = 0; i < rows; i++)
        memcpy(d + i * px * 3, r + i % PATCHES * px * 3, px * 3);
    double load = INFINITY, scores = INFINITY, heads = INFINITY, processor = INFINITY;
    for (int round = 0; round < (b->rounds + 2) / 3; round++) {
        double t0 = clock_seconds(CLOCK_MONOTONIC);
        if (vj_net_reference_load(ref, b->work, r, j, PATCHES, &err))
            die(&err);
        double t1 = clock_seconds(CLOCK_MONOTONIC);
        const double used = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (vj_net_scores(b->work, ref, d, CANDIDATES, score, NULL, NULL, &err))
            die(&err);
        double t2 = clock_seconds(CLOCK_MONOTONIC);
        processor = fmin(processor, clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - used);
        if (vj_heads_run(b->work->heads, VJ_HEADS_DISTORTED, rows, b->threads, &err))
            die(&err);
        double t3 = clock_seconds(CLOCK_MONOTONIC);
        load = fmin(load, t1 - t0);
        scores = fmin(scores, t2 - t1);
        heads = fmin(heads, t3 - t2);
    }
    const double macs = patch_macs(b->net), patches = (double)rows / scores;
    printf("%-9s %6d %8.1f %9.2f %9.2f %10.1f %9.2f %9.1f %11.2f %8.1f %% %10.2f\n",
           vj_variant_name(b->net->shape.variant), b->net->shape.patch_size, macs * 1e-6,
           1e3 / patches, processor / (double)rows * 1e3, patches, (double)px * patches * 1e-6,
           macs * patches * 1e-9, (double)CANDIDATES / scores, 100 * heads / scores,
           load / PATCHES * 1e3);
    vj_net_reference_free(ref);
    free(r);
    free(j);
    free(d);
}

static void open_bench(struct bench *b, enum vj_variant variant)
{
    struct vj_error err;
    struct vj_net_shape shape = vj_net_shape_default(variant);
    const size_t size = (size_t)shape.patch_size;
    if (formula_weights(&b->w, &shape, &err) || vj_net_create(&b->net, &b->w, &err) ||
        vj_net_work_create(&b->work, b->net, b->threads, &err))
        die(&err);
    vj_weights_free(&b->w);
    b->patch = vj_calloc(size * size, 3);
    b->features = vj_calloc((size_t)b->threads * b->net->features, sizeof(float));
    if (!b->patch || !b->features)
        exit(1);
    formula_patch(b->patch, FORMULA_REFERENCE, 0, size, 3);
}

static void close_bench(struct bench *b)
{
    vj_net_work_free(b->work);
    vj_net_free(b->net);
    free(b->patch);
    free(b->features);
}

int main(int argc, char **argv)
{
    struct bench b = {.threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads(),
                      .rounds = argc > 2 ? atoi(argv[2]) : 15};
    if (b.threads < 1 || b.threads > MAX_THREADS || b.rounds < 1) {
        fprintf(stderr, "usage: bench_net [THREADS 1..%d [ROUNDS]]\n", MAX_THREADS);
        return 2;
    }
    char library[128];
    vj_net_libraries(library, sizeof(library));
    printf("%s, %d thread%s, %d rounds\n\n", library, b.threads, b.threads == 1 ? "" : "s",
           b.rounds);
    static const enum vj_variant order[VJ_VARIANTS] = {VJ_VARIANT_FIGURE, VJ_VARIANT_RELEASED,
                                                       VJ_VARIANT_PW_JND};
    for (int i = 0; i < VJ_VARIANTS; i++) {
        open_bench(&b, order[i]);
        if (i == 0) {
            omp_set_num_threads(1); /* oneDNN's own, too, one thread each */
            bench_extractor(&b);
            printf("\n%-9s %6s %8s %9s %9s %10s %9s %9s %11s %10s %10s\n", "variant", "pixels",
                   "MMAC", "ms/patch", "cpu ms", "patches/s", "Mpixel/s", "GMAC/s", "images/s",
                   "heads", "ref ms");
        }
        bench_calls(&b);
        close_bench(&b);
    }
    return 0;
}
