/* SPDX-License-Identifier: MIT */
/*
 * Wu, Li, Dong, Shi, Lin and Kuo, "Enhanced just noticeable difference model for images with
 * pattern complexity", IEEE Trans. Image Process. 26(6), 2017. Two kinds of masking compete:
 * luminance contrast, and pattern (contrast times the number of different orientations around a
 * pixel). The larger one joins luminance adaptation.
 *
 * `authors`, as the public code computes it: contrast is the local standard deviation, the number
 * of orientations is smoothed, and pattern masking is taken back near edges.
 *
 * `paper`, by the formulas: contrast is the Prewitt gradient magnitude, the number is that of
 * occupied bins, and edges play no part. The paper leaves some of it open; our reading:
 *   - the Prewitt operators are divided by 3, so that a step of h grey levels has the magnitude h;
 *   - the edge pixel is repeated outside the picture for them, as in `authors`;
 *   - orientations are those of `authors`, in 15 bins of 12 degrees: the two ends, which are one
 *     direction, are one bin; a pixel without structure has no orientation and occupies no bin,
 *     nor does one outside the picture, so that N runs from 0 (no pattern masking) to 9;
 *   - the local mean is the background of the other models, not rounded.
 */
#include <math.h>
#include <string.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jnd_canny.h"
#include "host/jnd_math.h"
#include "host/simd.h"

/* Gains and half-saturation constants of the two masking functions. */
#define PATTERN_GAIN    0.3f
#define PATTERN_FLOOR   1.0f
#define ADAPTATION_GAIN 0.7f

/* The standard deviation is not defined on an outer frame this wide. */
#define CONTRAST_FRAME 2

enum { AUTHORS, PAPER };
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
    STAGE_GRADIENT,
};

#define AUTHORS_ONLY (1u << PAPER)
#define PAPER_ONLY   (1u << AUTHORS)

static const char *const variants[] = {"authors", "paper", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"luminance", "threshold of luminance adaptation", "grey level", VJ_JND_PLANE, 0},
    {"deviation", "standard deviation over 5x5", "grey level", VJ_JND_PLANE, AUTHORS_ONLY},
    {"contrast", "threshold of luminance contrast", "grey level", VJ_JND_PLANE, 0},
    {"bin", "orientation in steps of 12 degrees, 0..15; 16 without structure", NULL, VJ_JND_PLANE,
     0},
    {"count", "different orientations over 3x3", NULL, VJ_JND_PLANE, 0},
    {"complexity", "pattern complexity: the smoothed count", NULL, VJ_JND_PLANE, AUTHORS_ONLY},
    {"edge", "Canny edges, 1 on an edge", NULL, VJ_JND_PLANE, AUTHORS_ONLY},
    {"weight", "edge weight", NULL, VJ_JND_PLANE, AUTHORS_ONLY},
    {"pattern", "threshold of pattern masking", "grey level", VJ_JND_PLANE, 0},
    {"gradient", "Prewitt gradient magnitude", "grey level", VJ_JND_PLANE, PAPER_ONLY},
    {0},
};

struct epc {
    const struct vj_jnd_job *job;
    size_t width, height;
    struct vj_jnd_padded plane; /* replicate border, wide enough for Canny */
    struct vj_jnd_padded dark;  /* zeros outside, for the background */
    struct vj_canny canny;
    uint16_t *bits;     /* orientation bits, with a frame of one pixel without orientation */
    size_t bits_stride; /* width + 2 */
    uint8_t *count;     /* orientations around each pixel */
    uint8_t *edge;      /* Canny edges */
    uint8_t *dilated;   /* the same, dilated */
    float adaptation[256];
    struct vj_jnd_gaussian complexity_gaussian, weight_gaussian;
};

static uint16_t *take_bits(struct vj_jnd_arena *arena, size_t width, size_t height)
{
    size_t columns, rows, row_bytes;
    if (!vj_size_add(width, 2, &columns) || !vj_size_add(height, 2, &rows) ||
        !vj_size_mul(columns, sizeof(uint16_t), &row_bytes)) {
        arena->used = SIZE_MAX;
        return NULL;
    }
    return vj_jnd_take(arena, rows, row_bytes);
}

static void take(struct epc *e, struct vj_jnd_arena *arena, size_t width, size_t height,
                 int threads)
{
    e->width = width;
    e->height = height;
    e->plane = vj_jnd_take_padded(arena, width, height, VJ_CANNY_RADIUS);
    e->dark = vj_jnd_take_padded(arena, width, height, 2);
    e->canny = vj_canny_take(arena, width, height, threads);
    e->bits = take_bits(arena, width, height);
    e->bits_stride = width + 2;
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

/* Orientation bits of pixel (y, x). */
static uint16_t *bits_at(const struct epc *e, size_t y, size_t x)
{
    return e->bits + (y + 1) * e->bits_stride + x + 1;
}

static void clear_bits_frame(const struct epc *e)
{
    memset(e->bits, 0, e->bits_stride * sizeof(*e->bits));
    memset(e->bits + (e->height + 1) * e->bits_stride, 0, e->bits_stride * sizeof(*e->bits));
    for (size_t y = 0; y < e->height; y++)
        *(bits_at(e, y, 0) - 1) = *bits_at(e, y, e->width) = 0;
}

static void orientation_row(const struct epc *e, size_t y)
{
    for (size_t x = 0; x < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - x < VJ_JND_SPAN ? e->width - x : VJ_JND_SPAN;
        vj_jnd_orientation(vj_jnd_at(&e->plane, (ptrdiff_t)y, (ptrdiff_t)x), e->plane.stride, n,
                           bits_at(e, y, x));
    }
}

/* Occupied bins around every pixel of a row (paper). */
static void occupied_row(const struct epc *e, size_t y)
{
    for (size_t x = 0; x < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - x < VJ_JND_SPAN ? e->width - x : VJ_JND_SPAN;
        vj_jnd_occupied(bits_at(e, y, x), e->bits_stride, n, e->count + y * e->width + x);
    }
}

/* Different bins around every pixel of a row, 1 on the frame (authors). */
static void count_row(const struct epc *e, size_t y)
{
    uint8_t *row = e->count + y * e->width;
    memset(row, 1, e->width);
    if (y == 0 || y + 1 == e->height)
        return;
    for (size_t x = 1; x + 1 < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - 1 - x < VJ_JND_SPAN ? e->width - 1 - x : VJ_JND_SPAN;
        vj_jnd_distinct(bits_at(e, y, x), e->bits_stride, n, row + x);
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
        float contrast = vj_jnd_epc_contrast(variance, VJ_JND_EPC_CONTRAST_GAIN);
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

/* Stages that only a caller who asks for them needs as floats; there are no edges in paper. */
static void integer_stages(const struct epc *e, size_t y, size_t x, size_t n)
{
    float bin[VJ_JND_SPAN], count[VJ_JND_SPAN], edge[VJ_JND_SPAN];
    for (size_t i = 0; i < n; i++) {
        size_t p = y * e->width + x + i;
        uint16_t bits = bits_at(e, y, x)[i];
        bin[i] = bits ? (float)__builtin_ctz(bits) : VJ_JND_UNSTRUCTURED;
        count[i] = e->count[p];
        edge[i] = e->job->variant == AUTHORS ? e->edge[p] : 0;
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

/* --- paper ------------------------------------------------------------------------------------ */

struct paper_span {
    float luminance[VJ_JND_SPAN], gradient[VJ_JND_SPAN], contrast[VJ_JND_SPAN],
        pattern[VJ_JND_SPAN], map[VJ_JND_SPAN];
};

/* Square of the Prewitt gradient, times 9. src: 1 pixel around the span */
VJ_SIMD static void prewitt(const int16_t *src, size_t stride, size_t n, int32_t *out)
{
    const int16_t *up = src - stride, *down = src + stride;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) {
        int32_t falling = down[i + 1] - up[i - 1], rising = up[i + 1] - down[i - 1];
        int32_t sx = falling + rising + src[i + 1] - src[i - 1];
        int32_t sy = falling - rising + down[i] - up[i];
        out[i] = sx * sx + sy * sy;
    }
}

VJ_SIMD static void combine_paper(const uint16_t *background32, const int32_t *gradient9,
                                  const uint8_t *count, size_t n, struct paper_span *s)
{
    for (size_t i = 0; i < n; i++) {
        float square = (float)gradient9[i] / 9.0f, gradient = sqrtf(square);
        float contrast = vj_jnd_epc_contrast(square, VJ_JND_EPC_CONTRAST_GAIN);
        float pattern = vj_jnd_epc_paper_pattern(gradient, (float)count[i]);
        float luminance = vj_jnd_luminance((float)background32[i] / 32.0f);
        s->luminance[i] = luminance;
        s->gradient[i] = gradient;
        s->contrast[i] = contrast;
        s->pattern[i] = pattern;
        s->map[i] = vj_jnd_namm(luminance, vj_jnd_maxf(contrast, pattern));
    }
}

static void paper_row(const struct epc *e, size_t y)
{
    for (size_t x = 0; x < e->width; x += VJ_JND_SPAN) {
        size_t n = e->width - x < VJ_JND_SPAN ? e->width - x : VJ_JND_SPAN;
        uint16_t background32[VJ_JND_SPAN];
        int32_t gradient9[VJ_JND_SPAN];
        struct paper_span s;
        vj_jnd_background(vj_jnd_at(&e->dark, (ptrdiff_t)y, (ptrdiff_t)x), e->dark.stride, n,
                          background32);
        prewitt(vj_jnd_at(&e->plane, (ptrdiff_t)y, (ptrdiff_t)x), e->plane.stride, n, gradient9);
        combine_paper(background32, gradient9, e->count + y * e->width + x, n, &s);
        memcpy(e->job->map + y * e->width + x, s.map, n * sizeof(float));
        vj_jnd_stage(e->job, STAGE_ADAPTATION, y, x, s.luminance, n);
        vj_jnd_stage(e->job, STAGE_GRADIENT, y, x, s.gradient, n);
        vj_jnd_stage(e->job, STAGE_CONTRAST, y, x, s.contrast, n);
        vj_jnd_stage(e->job, STAGE_PATTERN, y, x, s.pattern, n);
        if (e->job->stages)
            integer_stages(e, y, x, n);
    }
}

static void compute_paper(struct epc *e, int threads)
{
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (size_t y = 0; y < e->height; y++)
            orientation_row(e, y);
#pragma omp for schedule(static)
        for (size_t y = 0; y < e->height; y++)
            occupied_row(e, y);
#pragma omp for schedule(static)
        for (size_t y = 0; y < e->height; y++)
            paper_row(e, y);
    }
}

/* ---------------------------------------------------------------------------------------------- */

static void prepare_constants(struct epc *e)
{
    for (int b = 0; b < 256; b++)
        e->adaptation[b] = ADAPTATION_GAIN * vj_jnd_luminance((float)vj_jnd_lift(b));
    e->complexity_gaussian = vj_jnd_gaussian(3, 1.0);
    e->weight_gaussian =
        vj_jnd_gaussian(vj_jnd_weight_epc.gaussian_size, vj_jnd_weight_epc.gaussian_sigma);
}

static void compute_authors(struct epc *e, int threads)
{
    prepare_constants(e);
    unsigned gradient = vj_jnd_inner_gradient(&e->plane, threads);
    vj_canny(&e->plane, vj_jnd_edge_threshold(gradient), &e->canny, e->edge, threads);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (size_t y = 0; y < e->height; y++) {
            orientation_row(e, y);
            vj_jnd_dilate(e->edge, e->width, e->height, y, vj_jnd_weight_epc.shape,
                          e->dilated + y * e->width);
        }
#pragma omp for schedule(static)
        for (size_t y = 0; y < e->height; y++)
            count_row(e, y);
#pragma omp for schedule(static)
        for (size_t y = 0; y < e->height; y++)
            map_row(e, y);
    }
}

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    (void)err;
    int threads = ws->threads;
    struct epc e = {.job = job};
    take(&e, &ws->arena, job->width, job->height, threads);
    vj_jnd_pad(&e.plane, job->luma, VJ_JND_REPLICATE, threads);
    vj_jnd_pad(&e.dark, job->luma, VJ_JND_ZERO, threads);
    clear_bits_frame(&e);
    if (job->variant == AUTHORS)
        compute_authors(&e, threads);
    else
        compute_paper(&e, threads);
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
