/* SPDX-License-Identifier: MIT */
/*
 * bench_jnd [WIDTH HEIGHT [SECONDS [MODEL]]]: time per pixel-JND map for every variant of the
 * model, or of all models, with one and two threads, and of all rules on the last map for one
 * candidate; the median and the best over as many as fit into SECONDS (default 1), but at least 3.
 * The picture is procedural: flat areas, edges and texture side by side.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/checked.h"
#include "host/jnd_map.h"
#include "host/jnd_rules.h"
#include "host/rng.h"

enum { MIN_RUNS = 3, MAX_RUNS = 1000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void draw(uint8_t *luma, size_t width, size_t height)
{
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            uint32_t noise = vj_random4(1, VJ_RNG_TEST, y, (uint32_t)x).v[0] >> 24;
            uint32_t area = (uint32_t)((x / 97 + y / 61) % 4), grain = area == 3 ? 4 : 40;
            luma[y * width + x] = (uint8_t)(30 + 50 * area + noise / grain);
        }
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct map_run {
    const struct vj_jnd_model *model;
    struct vj_jnd_job job;
    struct vj_jnd_workspace *ws;
};

static int make_map(void *state, struct vj_error *err)
{
    struct map_run *run = state;
    return vj_jnd_run(run->model, &run->job, run->ws, err);
}

struct rules_run {
    const uint8_t *candidate, *luma;
    const float *map;
    size_t pixels;
    struct vj_jnd_statistics statistics;
};

static int apply_rules(void *state, struct vj_error *err)
{
    struct rules_run *run = state;
    (void)err;
    vj_jnd_measure(run->candidate, run->luma, run->map, run->pixels, 1, &run->statistics);
    return 0;
}

/* Times `work` and prints a row of the table. bytes: of its workspace */
static int measure(const char *name, const char *variant, int threads,
                   int (*work)(void *state, struct vj_error *err), void *state, size_t pixels,
                   size_t bytes, double seconds, struct vj_error *err)
{
    static double times[MAX_RUNS];
    int rc = work(state, err); /* touches the memory, starts the threads */
    size_t runs = 0;
    for (double start = now();
         !rc && runs < MAX_RUNS && (runs < MIN_RUNS || now() - start < seconds); runs++) {
        double before = now();
        rc = work(state, err);
        times[runs] = now() - before;
    }
    if (rc)
        return rc;
    qsort(times, runs, sizeof(*times), ascending);
    printf("%-8s %-10s %7d %10.2f %8.2f %9.1f %10.2f %8.1f\n", name, variant, threads,
           1e3 * times[runs / 2], 1e3 * times[0], 1 / times[runs / 2],
           1e9 * times[runs / 2] / (double)pixels, (double)bytes / (1 << 20));
    return 0;
}

static size_t number(const char *text, size_t fallback)
{
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : fallback;
    return text && (*end || value == 0 || value > 100000) ? 0 : value;
}

/* All variants of one model, with one and two threads. */
static int measure_model(const struct vj_jnd_model *model, const uint8_t *luma, size_t width,
                         size_t height, double seconds, float *map, struct vj_error *err)
{
    int rc = 0;
    for (size_t v = 0; !rc && model->variants[v]; v++)
        for (int threads = 1; !rc && threads <= 2; threads++) {
            struct map_run run = {model, {luma, width, height, .variant = v, .map = map}, NULL};
            size_t bytes = vj_jnd_workspace_bytes(model, width, height, threads);
            rc = vj_jnd_workspace_create(&run.ws, bytes, threads, err);
            if (!rc)
                rc = measure(model->name, model->variants[v], threads, make_map, &run,
                             width * height, bytes, seconds, err);
            vj_jnd_workspace_free(run.ws);
        }
    return rc;
}

/* All rules on a map, one candidate. */
static int measure_rules(const uint8_t *luma, const float *map, size_t pixels, double seconds,
                         struct vj_error *err)
{
    uint8_t *candidate = vj_alloc_aligned(pixels, 1);
    if (!candidate)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < pixels; i++)
        candidate[i] = (uint8_t)(luma[i] ^ (vj_random4(2, VJ_RNG_TEST, 0, (uint32_t)i).v[0] & 7));
    struct rules_run run = {.candidate = candidate, .luma = luma, .map = map, .pixels = pixels};
    int rc = measure("rules", "all", 1, apply_rules, &run, pixels, 0, seconds, err);
    free(candidate);
    return rc;
}

int main(int argc, char **argv)
{
    size_t width = number(argc > 1 ? argv[1] : NULL, 1920);
    size_t height = number(argc > 2 ? argv[2] : NULL, 1080);
    size_t seconds = number(argc > 3 ? argv[3] : NULL, 1);
    const char *only = argc > 4 ? argv[4] : NULL;
    struct vj_error err = {0};
    if (argc > 5 || argc == 2 || !width || !height || !seconds) {
        fprintf(stderr, "Usage: bench_jnd [WIDTH HEIGHT [SECONDS [MODEL]]]\n");
        return 2;
    }
    if (only && !vj_jnd_find(only, &err)) {
        fprintf(stderr, "bench_jnd: %s\n", err.text);
        return 2;
    }
    int rc = 1;
    uint8_t *luma = vj_alloc_aligned(width, height);
    float *map = vj_alloc_aligned(height, width * sizeof(*map));
    if (!luma || !map)
        goto out;
    draw(luma, width, height);
    printf("%zux%zu\n%-8s %-10s %7s %10s %8s %9s %10s %8s\n", width, height, "model", "variant",
           "threads", "median ms", "best ms", "maps/s", "ns/pixel", "MiB");
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        if (vj_jnd_models[m]->needs_weights)
            continue;
        if (only && strcmp(only, vj_jnd_models[m]->name) != 0)
            continue;
        if (measure_model(vj_jnd_models[m], luma, width, height, (double)seconds, map, &err)) {
            fprintf(stderr, "bench_jnd: %s\n", err.text);
            goto out;
        }
    }
    if (measure_rules(luma, map, width * height, (double)seconds, &err)) {
        fprintf(stderr, "bench_jnd: %s\n", err.text);
        goto out;
    }
    rc = 0;
out:
    free(luma);
    free(map);
    return rc;
}
