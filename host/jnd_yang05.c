/* SPDX-License-Identifier: MIT */
/*
 * Yang, Ling, Lu, Ong and Yao, "Just noticeable distortion model and its applications in video
 * coding", Signal Processing: Image Communication 20(7), 2005: texture masking, taken back near
 * edges, joined with luminance adaptation by the additivity model that the paper introduces.
 *
 * `authors`, the code in circulation, has Chou and Li's slope and offset in the texture threshold
 * and dilates the edges. `paper` has a constant slope, does not dilate, and tells thresholds of Cb
 * and Cr too (stages jnd_cb, jnd_cr): the same with their own gradients, slopes and overlaps. Our
 * reading where the paper speaks of a down-scaled luma: chroma is that of 4:2:0, and the edge
 * weight and the background of a chroma sample are the means of those of its 2x2 luma pixels.
 */
#include <string.h>

#include "host/jnd_blocks.h"
#include "host/jnd_canny.h"
#include "host/jnd_math.h"
#include "host/simd.h"

enum { AUTHORS, PAPER };
enum {
    STAGE_BACKGROUND,
    STAGE_GRADIENT,
    STAGE_EDGE,
    STAGE_WEIGHT,
    STAGE_TEXTURE,
    STAGE_LUMINANCE,
    STAGE_WEIGHT_CHROMA,
    STAGE_LUMINANCE_CHROMA,
    STAGE_GRADIENT_CB,
    STAGE_GRADIENT_CR,
    STAGE_JND_CB,
    STAGE_JND_CR,
};

/* Paper: slope of texture masking and overlap with luminance adaptation, of one chroma plane. */
struct chroma {
    float slope, overlap;
    size_t gradient_stage, jnd_stage;
};

static const struct chroma blue = {0.65f, 0.25f, STAGE_GRADIENT_CB, STAGE_JND_CB};
static const struct chroma red = {0.45f, 0.2f, STAGE_GRADIENT_CR, STAGE_JND_CR};

#define PAPER_ONLY (1u << AUTHORS)

static const char *const variants[] = {"authors", "paper", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"background", "weighted mean of the 5x5 neighbourhood", "grey level", VJ_JND_PLANE, 0},
    {"gradient", "largest of four directional 5x5 gradients", "grey level", VJ_JND_PLANE, 0},
    {"edge", "Canny edges, 1 on an edge", NULL, VJ_JND_PLANE, 0},
    {"weight", "edge weight", NULL, VJ_JND_PLANE, 0},
    {"texture", "threshold of texture masking", "grey level", VJ_JND_PLANE, 0},
    {"luminance", "threshold of luminance adaptation", "grey level", VJ_JND_PLANE, 0},
    {"weight_chroma", "edge weight, means of 2x2", NULL, VJ_JND_HALF, PAPER_ONLY},
    {"luminance_chroma", "threshold of luminance adaptation to means of 2x2 of the background",
     "grey level", VJ_JND_HALF, PAPER_ONLY},
    {"gradient_cb", "largest of four directional 5x5 gradients of Cb", "grey level", VJ_JND_HALF,
     PAPER_ONLY},
    {"gradient_cr", "largest of four directional 5x5 gradients of Cr", "grey level", VJ_JND_HALF,
     PAPER_ONLY},
    {"jnd_cb", "just noticeable difference of Cb (4:2:0)", "grey level", VJ_JND_HALF, PAPER_ONLY},
    {"jnd_cr", "just noticeable difference of Cr (4:2:0)", "grey level", VJ_JND_HALF, PAPER_ONLY},
    {0},
};

struct yang {
    const struct vj_jnd_job *job;
    size_t width, height;
    size_t half_width, half_height;
    struct vj_jnd_padded plane;  /* replicate border, wide enough for Canny */
    struct vj_jnd_padded dark;   /* zeros outside */
    struct vj_jnd_padded colour; /* Cb or Cr, zeros outside */
    struct vj_canny canny;
    uint8_t *edge;
    uint8_t *widened; /* edges as they enter the weight: dilated, or the edges themselves */
    float attenuation;
    struct vj_jnd_gaussian gaussian;
};

static void take(struct yang *g, struct vj_jnd_arena *arena, size_t width, size_t height,
                 int threads)
{
    g->width = width;
    g->height = height;
    g->half_width = width / 2 + width % 2;
    g->half_height = height / 2 + height % 2;
    g->plane = vj_jnd_take_padded(arena, width, height, VJ_CANNY_RADIUS);
    g->dark = vj_jnd_take_padded(arena, width, height, 2);
    g->colour = vj_jnd_take_padded(arena, g->half_width, g->half_height, 2);
    g->canny = vj_canny_take(arena, width, height, threads);
    g->edge = vj_jnd_take(arena, height, width);
    g->widened = vj_jnd_take(arena, height, width);
}

static size_t workspace(size_t width, size_t height, int threads)
{
    struct vj_jnd_arena count = {0};
    struct yang g;
    take(&g, &count, width, height, threads);
    return vj_jnd_taken(&count);
}

/* --- luma ------------------------------------------------------------------------------------- */

struct span {
    float background[VJ_JND_SPAN], gradient[VJ_JND_SPAN], weight[VJ_JND_SPAN], texture[VJ_JND_SPAN],
        luminance[VJ_JND_SPAN], map[VJ_JND_SPAN];
};

/* From background, gradient and weight to the map. */
VJ_SIMD static void thresholds(size_t n, bool paper, struct span *s)
{
    for (size_t i = 0; i < n; i++) {
        float b = s->background[i], masking = s->gradient[i] * s->weight[i];
        float texture = vj_jnd_yang_texture(masking, b, paper);
        float luminance = vj_jnd_luminance(b);
        s->texture[i] = texture;
        s->luminance[i] = luminance;
        s->map[i] = vj_jnd_namm(texture, luminance);
    }
}

/* Edge weight of n pixels. */
static void weight_span(const struct yang *g, size_t y, size_t x, size_t n, float *weight)
{
    vj_jnd_smooth(g->widened, g->width, g->height, y, x, n, &g->gaussian, -g->attenuation, 1.0f,
                  weight);
}

static void map_row(const struct yang *g, size_t y)
{
    const struct vj_jnd_job *job = g->job;
    for (size_t x = 0; x < g->width; x += VJ_JND_SPAN) {
        size_t n = g->width - x < VJ_JND_SPAN ? g->width - x : VJ_JND_SPAN;
        const int16_t *src = vj_jnd_at(&g->dark, (ptrdiff_t)y, (ptrdiff_t)x);
        uint16_t background32[VJ_JND_SPAN], gradient16[VJ_JND_SPAN];
        float edge[VJ_JND_SPAN];
        struct span s;
        vj_jnd_background(src, g->dark.stride, n, background32);
        vj_jnd_gradient(src, g->dark.stride, n, gradient16);
        for (size_t i = 0; i < n; i++) {
            s.background[i] = (float)background32[i] / 32.0f;
            s.gradient[i] = (float)gradient16[i] / 16.0f;
            edge[i] = g->edge[y * g->width + x + i];
        }
        weight_span(g, y, x, n, s.weight);
        thresholds(n, job->variant == PAPER, &s);
        memcpy(job->map + y * g->width + x, s.map, n * sizeof(float));
        vj_jnd_stage(job, STAGE_BACKGROUND, y, x, s.background, n);
        vj_jnd_stage(job, STAGE_GRADIENT, y, x, s.gradient, n);
        vj_jnd_stage(job, STAGE_EDGE, y, x, edge, n);
        vj_jnd_stage(job, STAGE_WEIGHT, y, x, s.weight, n);
        vj_jnd_stage(job, STAGE_TEXTURE, y, x, s.texture, n);
        vj_jnd_stage(job, STAGE_LUMINANCE, y, x, s.luminance, n);
    }
}

/* --- chroma ----------------------------------------------------------------------------------- */

#define HALF_SPAN (VJ_JND_SPAN / 2)

/* What luma contributes to n chroma samples of row y from column x on. */
struct half_span {
    float weight[HALF_SPAN], luminance[HALF_SPAN];
};

/* Sums of pairs of the m values from column x on; where the last one has no partner, it twice. */
static void add_pairs(const float *values, size_t m, float *sums)
{
    for (size_t i = 0; i < m; i += 2)
        sums[i / 2] += values[i] + values[i + 1 < m ? i + 1 : i];
}

static void luma_of_chroma(const struct yang *g, size_t y, size_t x, struct half_span *s)
{
    size_t left = 2 * x, m = g->width - left < VJ_JND_SPAN ? g->width - left : VJ_JND_SPAN;
    size_t n = m / 2 + m % 2;
    float weight[HALF_SPAN] = {0}, background[HALF_SPAN] = {0};
    for (size_t k = 0; k < 2; k++) {
        size_t row = 2 * y + k < g->height ? 2 * y + k : 2 * y;
        float values[VJ_JND_SPAN];
        uint16_t background32[VJ_JND_SPAN];
        weight_span(g, row, left, m, values);
        add_pairs(values, m, weight);
        vj_jnd_background(vj_jnd_at(&g->dark, (ptrdiff_t)row, (ptrdiff_t)left), g->dark.stride, m,
                          background32);
        for (size_t i = 0; i < m; i++)
            values[i] = background32[i];
        add_pairs(values, m, background);
    }
    for (size_t i = 0; i < n; i++) {
        s->weight[i] = weight[i] / 4.0f;
        s->luminance[i] = vj_jnd_luminance(background[i] / 128.0f);
    }
}

/* Copies n values of a chroma stage, if the caller wants that stage. */
static void chroma_stage(const struct yang *g, size_t stage, size_t y, size_t x,
                         const float *values, size_t n)
{
    if (vj_jnd_wants(g->job, stage))
        memcpy(g->job->stages[stage] + y * g->half_width + x, values, n * sizeof(*values));
}

static void chroma_row(const struct yang *g, const struct chroma *c, size_t y)
{
    for (size_t x = 0; x < g->half_width; x += HALF_SPAN) {
        size_t n = g->half_width - x < HALF_SPAN ? g->half_width - x : HALF_SPAN;
        uint16_t gradient16[VJ_JND_SPAN];
        float gradient[HALF_SPAN], jnd[HALF_SPAN];
        struct half_span s;
        vj_jnd_gradient(vj_jnd_at(&g->colour, (ptrdiff_t)y, (ptrdiff_t)x), g->colour.stride, n,
                        gradient16);
        luma_of_chroma(g, y, x, &s);
        for (size_t i = 0; i < n; i++) {
            gradient[i] = (float)gradient16[i] / 16.0f;
            jnd[i] =
                vj_jnd_join(c->slope * (gradient[i] * s.weight[i]), s.luminance[i], c->overlap);
        }
        chroma_stage(g, STAGE_WEIGHT_CHROMA, y, x, s.weight, n);
        chroma_stage(g, STAGE_LUMINANCE_CHROMA, y, x, s.luminance, n);
        chroma_stage(g, c->gradient_stage, y, x, gradient, n);
        chroma_stage(g, c->jnd_stage, y, x, jnd, n);
    }
}

static void chroma_thresholds(struct yang *g, const struct chroma *c, const uint8_t *samples,
                              int threads)
{
    vj_jnd_pad(&g->colour, samples, VJ_JND_ZERO, threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t y = 0; y < g->half_height; y++)
        chroma_row(g, c, y);
}

/* ---------------------------------------------------------------------------------------------- */

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    (void)err;
    int threads = ws->threads;
    bool paper = job->variant == PAPER;
    const struct vj_jnd_edge_weight *weight = &vj_jnd_weight_yang;
    struct yang g = {.job = job};
    take(&g, &ws->arena, job->width, job->height, threads);
    g.attenuation = paper ? VJ_JND_YANG_PAPER_ATTENUATION : weight->attenuation;
    g.gaussian = vj_jnd_gaussian(weight->gaussian_size, weight->gaussian_sigma);
    vj_jnd_pad(&g.plane, job->luma, VJ_JND_REPLICATE, threads);
    vj_jnd_pad(&g.dark, job->luma, VJ_JND_ZERO, threads);
    vj_canny(&g.plane, VJ_JND_YANG_EDGE_THRESHOLD, &g.canny, g.edge, threads);
    if (paper)
        g.widened = g.edge;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (size_t y = 0; y < g.height; y++)
            if (!paper)
                vj_jnd_dilate(g.edge, g.width, g.height, y, weight->shape, g.widened + y * g.width);
#pragma omp for schedule(static)
        for (size_t y = 0; y < g.height; y++)
            map_row(&g, y);
    }
    if (paper && job->stages && job->cb && job->cr) {
        chroma_thresholds(&g, &blue, job->cb, threads);
        chroma_thresholds(&g, &red, job->cr, threads);
    }
    return 0;
}

const struct vj_jnd_model vj_jnd_yang05 = {
    .name = "yang05",
    .reference = "Yang, Ling, Lu, Ong, Yao: Just noticeable distortion model and its applications "
                 "in video coding. Signal Processing: Image Communication 20(7), 2005",
    .variants = variants,
    .stages = stages,
    .min_side = 1,
    .workspace = workspace,
    .compute = compute,
};
