/* SPDX-License-Identifier: MIT */
/*
 * bench_device_gpu [DEVICE [ROUNDS]]: a device end to end on 1080p pictures in memory, all quality
 * factors 1..100, PSNR + SSIM + MS-SSIM + sizes, chou95 share of pixels, VP-JNDnet (figure, random
 * weights) with 32 and 64 patches in each precision; then, on a GPU, with
 * SSIMULACRA2 too; last the stage of candidates by what is asked of it. DEVICE: cuda (default),
 * cpu, cuda:0,1, ...
 *
 * Stages: milliseconds of one picture when each is waited for, median of ROUNDS (default 9) after
 * two warm-ups. Images per second: pictures follow each other through the slots as in a run,
 * 4 x ROUNDS of them, wall clock. Decoding of files is not in it. Columns are explained in
 * docs/gpu.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/checked.h"
#include "host/device.h"
#include "host/rng.h"

enum { WIDTH = 1920, HEIGHT = 1080, LEVELS = 100, PICTURES = 4, SLOTS = 3, ROUNDS_MAX = 1000 };

enum stage { SOURCE, MAPS, POSITIONS, CANDIDATES, NETWORK, STAGES };

struct bench {
    struct vj_device device;
    struct vj_device_plan plan;
    const struct vj_weights *weights[1];
    struct vj_image picture[PICTURES];
    int32_t (*origin)[2];
    struct vj_candidate_request request; /* what is asked of candidates */
    struct {
        int64_t bytes[LEVELS];
        struct vj_quality_values quality[LEVELS];
        double ssimulacra2[LEVELS];
        double share[LEVELS];
        float score[LEVELS];
    } out[SLOTS];
};

static const struct vj_candidate_request everything = {
    .sizes = true, .metrics = true, .patches = true};

static void must(int r, const struct vj_error *err)
{
    if (r) {
        fprintf(stderr, "bench_device_gpu: %s\n", err->text);
        exit(r == -19 /* ENODEV */ ? 77 : 1);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(struct vj_image *img, uint64_t seed)
{
    struct vj_error err = {0};
    must(vj_image_alloc(img, WIDTH, HEIGHT, 3, &err), &err);
    for (size_t y = 0, i = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++)
            for (size_t c = 0; c < 3; c++, i++) {
                uint32_t noise = vj_random4(seed, VJ_RNG_TEST, c, (uint32_t)(y * WIDTH + x)).v[0];
                img->data[i] = (uint8_t)((x * (2 + c) / 16 + y / 5) % 220 + noise % 24);
            }
}

static void place(struct bench *b)
{
    uint32_t side = (uint32_t)b->plan.patch_size;
    for (int p = 0; p < b->plan.patches; p++) {
        struct vj_u32x4 word = vj_random4(1, VJ_RNG_PATCHES, 0, (uint32_t)p);
        b->origin[p][0] = (int32_t)vj_random_below(word.v[0], HEIGHT - side + 1);
        b->origin[p][1] = (int32_t)vj_random_below(word.v[1], WIDTH - side + 1);
    }
}

static void ask(struct bench *b, int slot, int picture, enum stage stage)
{
    const struct vj_device_ops *ops = b->device.ops;
    void *state = b->device.state;
    struct vj_error err = {0};
    int qf[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        qf[i] = i + 1;
    struct vj_candidate_request request = b->request;
    request.qf = qf;
    request.count = LEVELS;
    const struct vj_candidate_values out = {.bytes = b->out[slot].bytes,
                                            .quality = b->out[slot].quality,
                                            .ssimulacra2 = b->out[slot].ssimulacra2,
                                            .share = {b->out[slot].share}};
    switch (stage) {
    case SOURCE:
        must(ops->source(state, slot, &b->picture[picture], NULL, 100, &err), &err);
        break;
    case MAPS:
        must(ops->jnd_maps(state, slot, &err), &err);
        break;
    case POSITIONS:
        must(ops->positions(state, slot, (const int32_t(*)[2])b->origin, NULL, NULL, &err), &err);
        break;
    case CANDIDATES:
        must(ops->candidates(state, slot, &request, &out, &err), &err);
        break;
    default:
        must(ops->scores(state, slot, 0, 0, LEVELS, b->out[slot].score, NULL, NULL, &err), &err);
    }
}

static void wait_for(struct bench *b, int slot)
{
    struct vj_error err = {0};
    must(b->device.ops->wait(b->device.state, slot, &err), &err);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *times, int count)
{
    qsort(times, (size_t)count, sizeof(double), compare);
    return times[count / 2];
}

/* Median milliseconds of every stage on its own. */
static void time_stages(struct bench *b, int rounds, double median[STAGES])
{
    static double times[STAGES][ROUNDS_MAX];
    for (int round = -2; round < rounds; round++)
        for (int stage = 0; stage < STAGES; stage++) {
            double start = seconds();
            ask(b, 0, (round + 2) % PICTURES, (enum stage)stage);
            wait_for(b, 0);
            if (round >= 0)
                times[stage][round] = 1e3 * (seconds() - start);
        }
    for (int stage = 0; stage < STAGES; stage++)
        median[stage] = median_of(times[stage], rounds);
}

/* Median milliseconds of candidates of which only some things are asked. */
static double time_part(struct bench *b, const struct vj_candidate_request *what, int rounds)
{
    static double times[ROUNDS_MAX];
    b->request = *what;
    for (int stage = SOURCE; stage < CANDIDATES; stage++)
        ask(b, 0, 0, (enum stage)stage);
    for (int round = -2; round < rounds; round++) {
        wait_for(b, 0);
        const double start = seconds();
        ask(b, 0, 0, CANDIDATES);
        wait_for(b, 0);
        if (round >= 0)
            times[round] = 1e3 * (seconds() - start);
    }
    b->request = everything;
    return median_of(times, rounds);
}

/*
 * What the stage of candidates spends its time on: metrics of one kind are whole decoded pictures
 * and that kind; patches alone are decoded without the rest of their pictures.
 */
static void run_parts(struct bench *b, const char *selector, int rounds)
{
    static const struct {
        const char *name;
        int quality;
        struct vj_candidate_request what;
    } parts[] = {
        {"sizes", VJ_QUALITY_ALL, {.sizes = true}},
        {"patches alone", VJ_QUALITY_ALL, {.patches = true}},
        {"PSNR", VJ_QUALITY_PSNR, {.metrics = true}},
        {"PSNR, SSIM", VJ_QUALITY_PSNR | VJ_QUALITY_SSIM, {.metrics = true}},
        {"PSNR, SSIM, MS-SSIM", VJ_QUALITY_ALL, {.metrics = true}},
    };
    const struct vj_device_plan plan = b->plan;
    struct vj_error err = {0};
    char note[256];
    b->plan.patches = 32;
    b->plan.precision = VJ_PRECISION_FP32;
    b->plan.ssimulacra2 = VJ_SSIMULACRA2_OFF;
    b->plan.jnd_share[0] = false;
    printf("\ncandidates, one thing asked          ms\n");
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        b->plan.quality = parts[i].quality;
        must(vj_device_open(&b->device, selector, &b->plan, note, &err), &err);
        b->origin = vj_calloc((size_t)b->plan.patches, sizeof(*b->origin));
        place(b);
        printf("%-30s %8.2f\n", parts[i].name, time_part(b, &parts[i].what, rounds));
        fflush(stdout);
        free(b->origin);
        vj_device_close(&b->device);
    }
    b->plan = plan;
}

static double images_per_second(struct bench *b, int pictures)
{
    double start = seconds();
    for (int i = 0; i < pictures + SLOTS - 1; i++) {
        if (i >= SLOTS - 1)
            wait_for(b, (i - SLOTS + 1) % SLOTS);
        for (int stage = 0; i < pictures && stage < STAGES; stage++)
            ask(b, i % SLOTS, i % PICTURES, (enum stage)stage);
    }
    return pictures / (seconds() - start);
}

static void run(struct bench *b, const char *selector, int patches, enum vj_precision precision,
                enum vj_ssimulacra2_mode ssimulacra2, int rounds)
{
    static const char *const names[] = {"fp32", "tf32", "fp16"};
    static const char *const modes[] = {"-", "exact", "parity"};
    struct vj_device_info info = {0};
    struct vj_error err = {0};
    char note[256];
    double ms[STAGES], sum = 0;
    b->plan.patches = patches;
    b->plan.precision = precision;
    b->plan.ssimulacra2 = ssimulacra2;
    must(vj_device_open(&b->device, selector, &b->plan, note, &err), &err);
    b->origin = vj_calloc((size_t)patches, sizeof(*b->origin));
    place(b);
    time_stages(b, rounds, ms);
    double speed = images_per_second(b, 4 * rounds);
    b->device.ops->info(b->device.state, &info);
    for (int stage = 0; stage < STAGES; stage++)
        sum += ms[stage];
    printf("%-9s %-11s %7d %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f %9.2f %7zu\n", names[precision],
           modes[ssimulacra2], patches, ms[SOURCE], ms[MAPS], ms[POSITIONS], ms[CANDIDATES],
           ms[NETWORK], sum, speed, info.memory >> 20);
    fflush(stdout);
    free(b->origin);
    vj_device_close(&b->device);
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *selector = argc > 1 ? argv[1] : "cuda";
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    bool cpu = strcmp(selector, "cpu") == 0;
    struct vj_weights weights = {0};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_error err = {0};
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_device_gpu [DEVICE [ROUNDS]], 1..%d rounds\n", ROUNDS_MAX);
        return 2;
    }
    must(vj_weights_init(&weights, &shape, 1, &err), &err);
    b.weights[0] = &weights;
    b.request = everything;
    b.plan = (struct vj_device_plan){.max_width = WIDTH,
                                     .max_height = HEIGHT,
                                     .slots = SLOTS,
                                     .threads = 2,
                                     .levels = LEVELS,
                                     .sampling = VJ_SUBSAMPLING_420,
                                     .quality = VJ_QUALITY_ALL,
                                     .jnd_count = 2,
                                     .net_jnd = 1,
                                     .weights = b.weights,
                                     .weights_count = 1,
                                     .draws = 1,
                                     .patch_size = shape.patch_size};
    b.plan.jnd[0].model = vj_jnd_find("chou95", NULL);
    b.plan.jnd[1].model = vj_jnd_find("epc17", NULL);
    b.plan.jnd_share[0] = true;
    for (int i = 0; i < PICTURES; i++)
        fill(&b.picture[i], 40 + (uint64_t)i);
    printf("precision ssimulacra2 patches   source      jnd reference candidat.  network      sum  "
           "images/s     MiB\n");
    for (int p = 0; p < (cpu ? 1 : 3); p++)
        for (int patches = 32; patches <= 64; patches += 32)
            run(&b, selector, patches, (enum vj_precision)p, VJ_SSIMULACRA2_OFF, rounds);
    for (int mode = VJ_SSIMULACRA2_EXACT; !cpu && mode <= VJ_SSIMULACRA2_PARITY; mode++)
        run(&b, selector, 32, VJ_PRECISION_FP32, (enum vj_ssimulacra2_mode)mode, rounds);
    run_parts(&b, selector, rounds);
    for (int i = 0; i < PICTURES; i++)
        vj_image_free(&b.picture[i]);
    vj_weights_free(&weights);
    return 0;
}
