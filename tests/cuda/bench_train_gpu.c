/* SPDX-License-Identifier: MIT */
/*
 * Training steps on a GPU: pairs per second and TFLOP/s of whole steps, and the losses of the first
 * ten steps beside the CPU's.
 *
 *     bench_train_gpu [PAIRS [PATCHES [REFERENCES]]]
 *
 * Medians over steps, upload of the patches included. Two floating-point operations per
 * multiply-accumulate, forward and back; padding not counted.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cuda_runtime_api.h>

#include "cuda/check.h"
#include "cuda/train.h"
#include "host/weights.h"
#include "tests/host/net_formula.h"

enum { WARM_UP = 3, REPEATS = 21, FIRST = 10 };

static struct vj_error err;

/* A benchmark has nobody to pass an error on to. */
static void must(int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "bench_train_gpu: %s\n", err.text);
    exit(1);
}

static void *memory(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        must(vj_fail(&err, -ENOMEM, "out of memory"));
    return p;
}

struct batch {
    uint8_t *r, *j, *d;
    uint32_t *reference;
    float *target, *importance;
    struct vj_train_batch batch;
};

static struct batch batch_make(size_t size, size_t patches, size_t references, size_t pairs)
{
    const size_t px = size * size;
    struct batch b = {memory(references * patches, px * 3),
                      memory(references * patches, px),
                      memory(pairs * patches, px * 3),
                      memory(pairs, sizeof(uint32_t)),
                      memory(pairs, sizeof(float)),
                      memory(pairs, sizeof(float)),
                      {0}};
    for (size_t k = 0; k < references * patches; k++) {
        formula_patch(b.r + k * px * 3, FORMULA_REFERENCE, k, size, 3);
        formula_patch(b.j + k * px, FORMULA_JND, k, size, 1);
    }
    for (size_t i = 0; i < pairs; i++) {
        b.reference[i] = (uint32_t)(i % references);
        b.target[i] = (float)(i % 2);
        b.importance[i] = 1;
        for (size_t k = 0; k < patches; k++)
            formula_patch(b.d + (i * patches + k) * px * 3, FORMULA_CANDIDATE + 8 * (int)(i % 2),
                          b.reference[i] * patches + k, size, 3);
    }
    b.batch = (struct vj_train_batch){references, pairs,       b.r,      b.j,
                                      b.d,        b.reference, b.target, b.importance};
    return b;
}

static void batch_free(struct batch *b)
{
    void *const all[] = {b->r, b->j, b->d, b->reference, b->target, b->importance};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

static struct vj_trainer_plan plan_for(const struct vj_weights *w, size_t patches,
                                       size_t references, size_t pairs)
{
    return (struct vj_trainer_plan){.weights = w,
                                    .patches = patches,
                                    .max_references = references,
                                    .max_pairs = pairs,
                                    .adam = {0.9, 0.999, 1e-8},
                                    .average = 0.9999,
                                    .keep = 0.5,
                                    .seed = 1,
                                    .threads = 16};
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_steps(const struct vj_weights *w, size_t patches, size_t references, size_t pairs)
{
    const struct vj_trainer_plan plan = plan_for(w, patches, references, pairs);
    struct batch b = batch_make((size_t)w->shape.patch_size, patches, references, pairs);
    double seconds[REPEATS], loss;
    char text[8192];
    void *trainer;
    must(vj_trainer_cuda.open(&trainer, &plan, 0, &err));
    vj_cuda_train_describe(trainer, text, sizeof(text));
    printf("%s", text);
    for (int i = 0; i < WARM_UP + REPEATS; i++) {
        const double start = now();
        must(vj_trainer_cuda.step(trainer, &b.batch, (uint64_t)i + 1, 1e-4, &loss, NULL, &err));
        must(VJ_CUDA(cudaDeviceSynchronize(), &err));
        if (i >= WARM_UP)
            seconds[i - WARM_UP] = now() - start;
    }
    qsort(seconds, REPEATS, sizeof(*seconds), compare_doubles);
    const double median = seconds[REPEATS / 2];
    const double flops = 2 * vj_cuda_train_step_macs(trainer, references, pairs);
    printf("RESULT %s, %zu pairs and %zu references of %zu patches: %.2f ms a step (%.2f to %.2f), "
           "%.1f pairs/s, %.2f TFLOP/s, %.2f GB on the GPU\n",
           vj_variant_name(w->shape.variant), pairs, references, patches, 1e3 * median,
           1e3 * seconds[0], 1e3 * seconds[REPEATS - 1], (double)pairs / median,
           flops / median * 1e-12, (double)vj_trainer_cuda.bytes(trainer) * 1e-9);
    vj_trainer_cuda.close(trainer);
    batch_free(&b);
}

/* The same steps on both devices, on a batch that a CPU gets through. */
static void compare_losses(const struct vj_weights *w)
{
    enum { PATCHES = 2, REFERENCES = 1, PAIRS = 2 };
    const struct vj_trainer_plan plan = plan_for(w, PATCHES, REFERENCES, PAIRS);
    struct batch b = batch_make((size_t)w->shape.patch_size, PATCHES, REFERENCES, PAIRS);
    double loss[2][FIRST], worst = 0;
    const struct vj_trainer_ops *const ops[2] = {&vj_trainer_cuda, &vj_trainer_cpu};
    for (int device = 0; device < 2; device++) {
        void *trainer;
        must(ops[device]->open(&trainer, &plan, 0, &err));
        for (int i = 0; i < FIRST; i++)
            must(ops[device]->step(trainer, &b.batch, (uint64_t)i + 1, 1e-4, &loss[device][i], NULL,
                                   &err));
        ops[device]->close(trainer);
    }
    for (int device = 0; device < 2; device++) {
        printf("RESULT %s, losses of %d steps of %d pairs of %d patches, %s:",
               vj_variant_name(w->shape.variant), FIRST, PAIRS, PATCHES, ops[device]->name);
        for (int i = 0; i < FIRST; i++)
            printf(" %.5f", loss[device][i]);
        printf("\n");
    }
    for (int i = 0; i < FIRST; i++)
        worst = fmax(worst, fabs(loss[0][i] - loss[1][i]) / fabs(loss[1][i]));
    printf("RESULT %s, largest difference of a loss: %.1e of it\n",
           vj_variant_name(w->shape.variant), worst);
    batch_free(&b);
}

int main(int argc, char **argv)
{
    const size_t pairs = argc > 1 ? strtoul(argv[1], NULL, 10) : 4;
    const size_t patches = argc > 2 ? strtoul(argv[2], NULL, 10) : 32;
    const size_t references = argc > 3 ? strtoul(argv[3], NULL, 10) : pairs;
    if (pairs < 1 || patches < 1 || references < 1 || pairs > 65535 || patches > 4096 ||
        references > pairs) {
        fprintf(stderr, "usage: bench_train_gpu [PAIRS [PATCHES [REFERENCES]]], with REFERENCES <= "
                        "PAIRS\n");
        return 2;
    }
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        struct vj_weights w = {0};
        const struct vj_net_shape shape = vj_net_shape_default((enum vj_variant)variant);
        must(vj_weights_init(&w, &shape, 1, &err));
        bench_steps(&w, patches, references, pairs);
        compare_losses(&w);
        vj_weights_free(&w);
    }
    return 0;
}
