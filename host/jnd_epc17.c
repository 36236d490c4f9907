/* SPDX-License-Identifier: MIT */
/*
 * Wu, Li, Dong, Shi, Lin and Kuo, "Enhanced just noticeable difference model for images with
 * pattern complexity", IEEE Trans. Image Process. 26(6), 2017, as the authors' public code computes
 * it
 * (`authors`).
 *
 * Two kinds of masking compete: luminance contrast (local standard deviation), and pattern (the
 * same contrast times the number of different orientations around a pixel, taken back near strong
 * edges). The larger one joins luminance adaptation.
 */
#include <math.h>
#include <string.h>

#include "host/jnd_blocks.h"
#include "host/jnd_canny.h"
#include "host/jnd_math.h"
#include "host/simd.h"

/* Gains and half-saturation constants of the two masking functions. */
#define CONTRAST_GAIN   (0.115f * 16.0f)
#define PATTERN_GAIN    0.3f
#define PATTERN_FLOOR   1.0f
#define ADAPTATION_GAIN 0.7f

/* The standard deviation is not defined on an outer frame this wide. */
#define CONTRAST_FRAME 2

enum {
    STAGE_ADAPTATION,
    STAGE_DEVIATION,
    STAGE_CONTRAST,
    STAGE_BINS,
    STAGE_COUNT,
    STAGE_COMPLEXITY,
    STAGE_EDGE,
    STAGE_WEIGHT,
    STAGE_PATTERN,
};

static const char *const variants[] = {"authors", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"luminance", "threshold of luminance adaptation", "grey level", VJ_JND_PLANE, 0},
    {"deviation", "standard deviation over 5x5", "grey level", VJ_JND_PLANE, 0},
    {"contrast", "threshold of luminance contrast", "grey level", VJ_JND_PLANE, 0},
    {"bin", "orientation in steps of 12 degrees, 0..15; 16 without structure", NULL, VJ_JND_PLANE,
     0},
    {"count", "different orientations over 3x3", NULL, VJ_JND_PLANE, 0},
    {"complexity", "pattern complexity: the smoothed count", NULL, VJ_JND_PLANE, 0},
    {"edge", "Canny edges, 1 on an edge", NULL, VJ_JND_PLANE, 0},
    {"weight", "edge weight", NULL, VJ_JND_PLANE, 0},
    {"pattern", "threshold of pattern masking", "grey level", VJ_JND_PLANE, 0},
    {0},
};

struct epc {
    const struct vj_jnd_job *job;
    size_t width, height;
    struct vj_jnd_padded plane; /* replicate border, wide enough for Canny */
    struct vj_jnd_padded dark;  /* zeros outside, for the background */
    struct vj_canny canny;
    uint16_t *bits;   /* orientation bits */
    uint8_t *count;   /* orientations around each pixel, 1 on the frame */
    uint8_t *edge;    /* Canny edges */
    uint8_t *dilated; /* the same, dilated */
    float adaptation[256];
    struct vj_jnd_gaussian complexity_gaussian, weight_gaussian;
};

static void take(struct epc *e, struct vj_jnd_arena *arena, size_t width, size_t height,
                 int threads)
{
    e->width = width;
    e->height = height;
    e->plane = vj_jnd_take_padded(arena, width, height, VJ_CANNY_RADIUS);
    e->dark = vj_jnd_take_padded(arena, width, height, 2);
    e->canny = vj_canny_take(arena, width, height, threads);
    e->bits = vj_jnd_take(arena, height, width * sizeof(*e->bits));
    e->count = vj_jnd_take(arena, height, width);
    e->edge = vj_jnd_take(arena, height, width);
    e->dilated = vj_jnd_take(arena, height, width);
}

static size_t workspace(size_t width, size_t height, int threads)
{
    struct vj_jnd_arena count = {0};
    struct epc e;
    take(&e, &count, width, height, threads);
    return vj_jnd_taken(&count);
}

static void orientation_row(const struct epc *e, size_t y)
{
    for (size_t x = 0; x < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - x < VJ_JND_SPAN ? e->width - x : VJ_JND_SPAN;
        vj_jnd_orientation(vj_jnd_at(&e->plane, (ptrdiff_t)y, (ptrdiff_t)x), e->plane.stride, n,
                           e->bits + y * e->width + x);
    }
}

static void count_row(const struct epc *e, size_t y)
{
    uint8_t *row = e->count + y * e->width;
    memset(row, 1, e->width);
    if (y == 0 || y + 1 == e->height)
        return;
    for (size_t x = 1; x + 1 < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - 1 - x < VJ_JND_SPAN ? e->width - 1 - x : VJ_JND_SPAN;
        vj_jnd_distinct(e->bits + y * e->width + x, e->width, n, row + x);
    }
}

/* Results for a span of a row. */
struct span {
    float adaptation[VJ_JND_SPAN], deviation[VJ_JND_SPAN], contrast[VJ_JND_SPAN],
        complexity[VJ_JND_SPAN], weight[VJ_JND_SPAN], pattern[VJ_JND_SPAN], map[VJ_JND_SPAN];
};

VJ_SIMD static void combine(const uint32_t *variance625, size_t n, struct span *s)
{
    for (size_t i = 0; i < n; i++) {
        float variance = (float)variance625[i] / 625.0f;
        float deviation = sqrtf(variance);
        float contrast = vj_jnd_epc_contrast(variance, CONTRAST_GAIN);
        float complexity = vj_jnd_epc_pattern(s->complexity[i], PATTERN_GAIN, PATTERN_FLOOR);
        float pattern = deviation * complexity * s->weight[i];
        s->deviation[i] = deviation;
        s->contrast[i] = contrast;
        s->pattern[i] = pattern;
        s->map[i] = vj_jnd_namm(s->adaptation[i], vj_jnd_maxf(contrast, pattern));
    }
}

/* variance625 of a span, 0 on the picture's outer frame. */
static void variance_span(const struct epc *e, size_t y, size_t x, size_t n, uint32_t *variance625)
{
    memset(variance625, 0, n * sizeof(*variance625));
    if (y < CONTRAST_FRAME || y + CONTRAST_FRAME >= e->height || e->width <= 2 * CONTRAST_FRAME)
        return;
    size_t first = x < CONTRAST_FRAME ? CONTRAST_FRAME : x;
    size_t end = x + n < e->width - CONTRAST_FRAME ? x + n : e->width - CONTRAST_FRAME;
    if (first < end)
        vj_jnd_variance(vj_jnd_at(&e->plane, (ptrdiff_t)y, (ptrdiff_t)first), e->plane.stride,
                        end - first, variance625 + (first - x));
}

/* Stages that only a caller who asks for them needs as floats. */
static void integer_stages(const struct epc *e, size_t y, size_t x, size_t n)
{
    float bin[VJ_JND_SPAN], count[VJ_JND_SPAN], edge[VJ_JND_SPAN];
    for (size_t i = 0; i < n; i++) {
        size_t p = y * e->width + x + i;
        bin[i] = e->bits[p] ? (float)__builtin_ctz(e->bits[p]) : VJ_JND_UNSTRUCTURED;
        count[i] = e->count[p];
        edge[i] = e->edge[p];
    }
    vj_jnd_stage(e->job, STAGE_BINS, y, x, bin, n);
    vj_jnd_stage(e->job, STAGE_COUNT, y, x, count, n);
    vj_jnd_stage(e->job, STAGE_EDGE, y, x, edge, n);
}

static void hand_out_stages(const struct epc *e, size_t y, size_t x, size_t n, const struct span *s)
{
    vj_jnd_stage(e->job, STAGE_ADAPTATION, y, x, s->adaptation, n);
    vj_jnd_stage(e->job, STAGE_DEVIATION, y, x, s->deviation, n);
    vj_jnd_stage(e->job, STAGE_CONTRAST, y, x, s->contrast, n);
    vj_jnd_stage(e->job, STAGE_COMPLEXITY, y, x, s->complexity, n);
    vj_jnd_stage(e->job, STAGE_WEIGHT, y, x, s->weight, n);
    vj_jnd_stage(e->job, STAGE_PATTERN, y, x, s->pattern, n);
    integer_stages(e, y, x, n);
}

static void map_row(const struct epc *e, size_t y)
{
    for (size_t x = 0; x < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - x < VJ_JND_SPAN ? e->width - x : VJ_JND_SPAN;
        uint16_t background32[VJ_JND_SPAN];
        uint32_t variance625[VJ_JND_SPAN];
        struct span s;
        vj_jnd_background(vj_jnd_at(&e->dark, (ptrdiff_t)y, (ptrdiff_t)x), e->dark.stride, n,
                          background32);
        for (size_t i = 0; i < n; i++)
            s.adaptation[i] = e->adaptation[background32[i] / 32];
        variance_span(e, y, x, n, variance625);
        vj_jnd_smooth(e->count, e->width, e->height, y, x, n, &e->complexity_gaussian, 1.0f, 0.0f,
                      s.complexity);
        vj_jnd_smooth(e->dilated, e->width, e->height, y, x, n, &e->weight_gaussian,
                      -vj_jnd_weight_epc.attenuation, 1.0f, s.weight);
        combine(variance625, n, &s);
        memcpy(e->job->map + y * e->width + x, s.map, n * sizeof(float));
        if (e->job->stages)
            hand_out_stages(e, y, x, n, &s);
    }
}

static void prepare_constants(struct epc *e)
{
    for (int b = 0; b < 256; b++)
        e->adaptation[b] = ADAPTATION_GAIN * vj_jnd_luminance((float)vj_jnd_lift(b));
    e->complexity_gaussian = vj_jnd_gaussian(3, 1.0);
    e->weight_gaussian =
        vj_jnd_gaussian(vj_jnd_weight_epc.gaussian_size, vj_jnd_weight_epc.gaussian_sigma);
}

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    (void)err;
    int threads = ws->threads;
    struct epc e = {.job = job};
    take(&e, &ws->arena, job->width, job->height, threads);
    prepare_constants(&e);
    vj_jnd_pad(&e.plane, job->luma, VJ_JND_REPLICATE, threads);
    vj_jnd_pad(&e.dark, job->luma, VJ_JND_ZERO, threads);

    unsigned gradient = vj_jnd_inner_gradient(&e.plane, threads);
    vj_canny(&e.plane, vj_jnd_edge_threshold(gradient), &e.canny, e.edge, threads);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (size_t y = 0; y < e.height; y++) {
            orientation_row(&e, y);
            vj_jnd_dilate(e.edge, e.width, e.height, y, vj_jnd_weight_epc.shape,
                          e.dilated + y * e.width);
        }
#pragma omp for schedule(static)
        for (size_t y = 0; y < e.height; y++)
            count_row(&e, y);
#pragma omp for schedule(static)
        for (size_t y = 0; y < e.height; y++)
            map_row(&e, y);
    }
    return 0;
}

const struct vj_jnd_model vj_jnd_epc17 = {
    .name = "epc17",
    .reference =
        "Wu, Li, Dong, Shi, Lin, Kuo: Enhanced just noticeable difference model for images "
        "with pattern complexity. IEEE TIP 26(6), 2017",
    .variants = variants,
    .stages = stages,
    .min_side = 1,
    .workspace = workspace,
    .compute = compute,
};
