/* SPDX-License-Identifier: MIT */
/*
 * Liu, Lin, Paul, Deng and Zhang, "Just noticeable difference for images with decomposition model
 * for separating edge and textured regions", IEEE Trans. Circuits Syst. Video Technol. 20(11),
 * 2010: the picture is split into structure u and texture v = f - u, edges of the structure mask a
 * little, texture masks much, and both together join luminance adaptation.
 *
 * u minimises total variation with an absolute data term,
 *     sum over adjacent pairs |u_p - u_q| + 0.8 sum |f_p - u_p|,
 * over whole grey levels. Both sums are sums over levels l of terms in the sets {u >= l}, so each
 * of these sets is a minimum cut of its own, and the largest ones are nested: together they are the
 * largest minimiser, exact and unique. Capacities are those of the energy times 5.
 *
 * The levels are found by halving: a cut at the middle level of the range parts the picture into
 * pixels above and below, each with half of the range left. A neighbour whose range lies elsewhere
 * is known to be above or below whatever level comes next, so it counts as an arc to the source or
 * to the sink, and one cut of the whole grid halves the ranges of all pixels.
 *
 * Variants that end in `-pd` have the structure of host/tvl1.h instead. Its energy is a little
 * larger, but its steps are the same for all pixels, so that a GPU has a use for them.
 */
#include <errno.h>
#include <string.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jnd_math.h"
#include "host/maxflow.h"
#include "host/simd.h"
#include "host/tvl1.h"

/* Times 5: total variation 1, data 0.8. */
enum { PAIR = 5, DATA = 4 };

enum { AUTHORS, PAPER, AUTHORS_PD, PAPER_PD };
enum {
    STAGE_STRUCTURE,
    STAGE_TEXTURE,
    STAGE_BACKGROUND,
    STAGE_LUMINANCE,
    STAGE_EDGE_MASKING,
    STAGE_TEXTURE_MASKING,
    STAGE_CONTRAST,
};

static const char *const variants[] = {"authors", "paper", "authors-pd", "paper-pd", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"structure", "piecewise flat part of the picture, by total variation", "grey level",
     VJ_JND_PLANE, 0},
    {"texture", "the picture less its structure", "grey level", VJ_JND_PLANE, 0},
    {"background", "weighted mean of the 5x5 neighbourhood", "grey level", VJ_JND_PLANE, 0},
    {"luminance", "threshold of luminance adaptation", "grey level", VJ_JND_PLANE, 0},
    {"edge_masking", "threshold of masking by structure", "grey level", VJ_JND_PLANE, 0},
    {"texture_masking", "threshold of masking by texture", "grey level", VJ_JND_PLANE, 0},
    {"contrast", "threshold of both kinds of masking", "grey level", VJ_JND_PLANE, 0},
    {0},
};

/* The levels that a pixel of the structure may still have. */
struct range {
    uint8_t low, high;
};

struct liu {
    const struct vj_jnd_job *job;
    size_t width, height;
    uint8_t *structure;
    struct vj_jnd_padded dark;         /* the picture, zeros outside */
    struct vj_jnd_padded flat, detail; /* structure and texture, zeros outside */

    /* Of the exact structure. */
    struct vj_flow_grid grid;
    struct range *range;

    struct vj_tvl1 tvl1; /* of the other, in the same memory */
};

static bool is_paper(size_t variant)
{
    return variant == PAPER || variant == PAPER_PD;
}

static void take_shared(struct liu *l, struct vj_jnd_arena *arena, size_t width, size_t height)
{
    l->width = width;
    l->height = height;
    l->structure = vj_jnd_take(arena, height, width);
    l->dark = vj_jnd_take_padded(arena, width, height, 2);
    l->flat = vj_jnd_take_padded(arena, width, height, 2);
    l->detail = vj_jnd_take_padded(arena, width, height, 2);
}

static void take_exact(struct liu *l, struct vj_jnd_arena *arena)
{
    l->grid.width = l->width;
    l->grid.height = l->height;
    l->grid.node =
        vj_jnd_take(arena, vj_flow_node_count(l->width, l->height), sizeof(struct vj_flow_node));
    l->range = vj_jnd_take(arena, l->height, l->width * sizeof(*l->range));
}

/* The variant is not known yet: what the larger of both ways needs. */
static size_t workspace(size_t width, size_t height, int threads)
{
    struct vj_jnd_arena exact = {0};
    struct liu l;
    take_shared(&l, &exact, width, height);
    struct vj_jnd_arena primal_dual = exact;
    take_exact(&l, &exact);
    vj_tvl1_take(&primal_dual, width, height, threads);
    size_t a = vj_jnd_taken(&exact), b = vj_jnd_taken(&primal_dual);
    return a == 0 || b == 0 ? 0 : a > b ? a : b;
}

/* --- structure -------------------------------------------------------------------------------- */

/* The whole range of grey levels in the picture, for every pixel. */
static void start_ranges(const struct liu *l)
{
    const uint8_t *luma = l->job->luma;
    size_t pixels = l->width * l->height;
    struct range r = {luma[0], luma[0]};
    for (size_t i = 1; i < pixels; i++) {
        r.low = luma[i] < r.low ? luma[i] : r.low;
        r.high = luma[i] > r.high ? luma[i] : r.high;
    }
    for (size_t i = 0; i < pixels; i++)
        l->range[i] = r;
}

/* The level that the next cut asks a pixel about: above it or at it, or below? */
static int level_of(struct range r)
{
    return (r.low + r.high + 1) / 2;
}

/* Adds what the neighbour in one direction means for a pixel that is asked about its level. */
static void add_neighbour(struct vj_flow_node *node, int direction, struct range own,
                          struct range other)
{
    if (other.low > own.high)
        node->terminal += PAIR;
    else if (other.high < own.low)
        node->terminal -= PAIR;
    else
        node->arc[direction] = PAIR;
}

/* Capacities of one row; pixels whose level is known take no part. */
static void set_row(const struct liu *l, size_t y)
{
    for (size_t x = 0; x < l->width; x++) {
        struct vj_flow_node *node = vj_flow_node(&l->grid, y, x);
        const struct range *own = l->range + y * l->width + x;
        memset(node->arc, 0, sizeof(node->arc));
        node->terminal = 0;
        if (own->low == own->high)
            continue;
        node->terminal = l->job->luma[y * l->width + x] >= level_of(*own) ? DATA : -DATA;
        if (x > 0)
            add_neighbour(node, VJ_FLOW_LEFT, *own, own[-1]);
        if (x + 1 < l->width)
            add_neighbour(node, VJ_FLOW_RIGHT, *own, own[1]);
        if (y > 0)
            add_neighbour(node, VJ_FLOW_UP, *own, *(own - l->width));
        if (y + 1 < l->height)
            add_neighbour(node, VJ_FLOW_DOWN, *own, own[l->width]);
    }
}

/* Halves the ranges of one row by the cut; returns whether one is not down to a level yet. */
static bool halve_row(const struct liu *l, size_t y)
{
    bool open = false;
    for (size_t x = 0; x < l->width; x++) {
        struct range *r = l->range + y * l->width + x;
        if (r->low == r->high)
            continue;
        int level = level_of(*r);
        if (vj_flow_reaches_sink(vj_flow_node(&l->grid, y, x)))
            r->high = (uint8_t)(level - 1);
        else
            r->low = (uint8_t)level;
        open = open || r->low < r->high;
    }
    return open;
}

static void find_structure(const struct liu *l, int threads)
{
    start_ranges(l);
    bool open = l->range[0].low < l->range[0].high;
    while (open) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (size_t y = 0; y < l->height; y++)
            set_row(l, y);
        vj_flow_maximise(&l->grid, threads);
        open = false;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(|| : open)
        for (size_t y = 0; y < l->height; y++)
            open = halve_row(l, y) || open;
    }
    for (size_t i = 0; i < l->width * l->height; i++)
        l->structure[i] = l->range[i].low;
}

/* Signed texture into its padded plane. */
static void pad_texture(struct liu *l)
{
    memset(l->detail.data, 0,
           l->detail.stride * (l->height + 2 * l->detail.pad) * sizeof(*l->detail.data));
    for (size_t y = 0; y < l->height; y++) {
        int16_t *row = l->detail.data + (y + l->detail.pad) * l->detail.stride + l->detail.pad;
        for (size_t x = 0; x < l->width; x++) {
            size_t p = y * l->width + x;
            row[x] = (int16_t)(l->job->luma[p] - l->structure[p]);
        }
    }
}

/* --- map -------------------------------------------------------------------------------------- */

struct span {
    float background[VJ_JND_SPAN], luminance[VJ_JND_SPAN], edge[VJ_JND_SPAN], texture[VJ_JND_SPAN],
        contrast[VJ_JND_SPAN], map[VJ_JND_SPAN];
};

VJ_SIMD static void thresholds(const uint16_t *background32, const uint16_t *flat16,
                               const uint16_t *detail16, size_t n, bool paper, struct span *s)
{
    for (size_t i = 0; i < n; i++) {
        float b = (float)background32[i] / 32.0f;
        float flat = (float)flat16[i] / 16.0f, detail = (float)detail16[i] / 16.0f;
        float edge = vj_jnd_liu_edge(flat, b, paper);
        float texture = vj_jnd_liu_texture(detail, b, paper);
        float contrast = vj_jnd_liu_contrast(edge, texture, paper);
        float luminance = vj_jnd_luminance(b);
        s->background[i] = b;
        s->luminance[i] = luminance;
        s->edge[i] = edge;
        s->texture[i] = texture;
        s->contrast[i] = contrast;
        s->map[i] = vj_jnd_namm(luminance, contrast);
    }
}

static void hand_out_stages(const struct liu *l, size_t y, size_t x, size_t n, const struct span *s)
{
    float structure[VJ_JND_SPAN], texture[VJ_JND_SPAN];
    for (size_t i = 0; i < n; i++) {
        size_t p = y * l->width + x + i;
        structure[i] = l->structure[p];
        texture[i] = (float)(l->job->luma[p] - l->structure[p]);
    }
    vj_jnd_stage(l->job, STAGE_STRUCTURE, y, x, structure, n);
    vj_jnd_stage(l->job, STAGE_TEXTURE, y, x, texture, n);
    vj_jnd_stage(l->job, STAGE_BACKGROUND, y, x, s->background, n);
    vj_jnd_stage(l->job, STAGE_LUMINANCE, y, x, s->luminance, n);
    vj_jnd_stage(l->job, STAGE_EDGE_MASKING, y, x, s->edge, n);
    vj_jnd_stage(l->job, STAGE_TEXTURE_MASKING, y, x, s->texture, n);
    vj_jnd_stage(l->job, STAGE_CONTRAST, y, x, s->contrast, n);
}

static void map_row(const struct liu *l, size_t y)
{
    size_t stride = l->dark.stride; /* of all three planes */
    for (size_t x = 0; x < l->width; x += VJ_JND_SPAN) {
        size_t n = l->width - x < VJ_JND_SPAN ? l->width - x : VJ_JND_SPAN;
        ptrdiff_t row = (ptrdiff_t)y, column = (ptrdiff_t)x;
        uint16_t background32[VJ_JND_SPAN], flat16[VJ_JND_SPAN], detail16[VJ_JND_SPAN];
        struct span s;
        vj_jnd_background(vj_jnd_at(&l->dark, row, column), stride, n, background32);
        vj_jnd_gradient(vj_jnd_at(&l->flat, row, column), stride, n, flat16);
        vj_jnd_gradient(vj_jnd_at(&l->detail, row, column), stride, n, detail16);
        thresholds(background32, flat16, detail16, n, is_paper(l->job->variant), &s);
        memcpy(l->job->map + y * l->width + x, s.map, n * sizeof(float));
        if (l->job->stages)
            hand_out_stages(l, y, x, n, &s);
    }
}

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    int threads = ws->threads;
    bool exact = job->variant == AUTHORS || job->variant == PAPER;
    if (exact && vj_flow_node_count(job->width, job->height) == 0)
        return vj_fail(err, -EINVAL,
                       "picture of %zux%zu pixels: pixel-JND model liu10 ends at 2^32 - 1 pixels "
                       "with a frame of one around them; cut it up",
                       job->width, job->height);
    struct liu l = {.job = job};
    take_shared(&l, &ws->arena, job->width, job->height);
    if (exact) {
        take_exact(&l, &ws->arena);
        find_structure(&l, threads);
    } else {
        l.tvl1 = vj_tvl1_take(&ws->arena, job->width, job->height, threads);
        vj_tvl1_structure(&l.tvl1, job->luma, l.structure);
    }
    vj_jnd_pad(&l.dark, job->luma, VJ_JND_ZERO, threads);
    vj_jnd_pad(&l.flat, l.structure, VJ_JND_ZERO, threads);
    pad_texture(&l);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t y = 0; y < l.height; y++)
        map_row(&l, y);
    return 0;
}

const struct vj_jnd_model vj_jnd_liu10 = {
    .name = "liu10",
    .reference = "Liu, Lin, Paul, Deng, Zhang: Just noticeable difference for images with "
                 "decomposition model for separating edge and textured regions. IEEE TCSVT 20(11), "
                 "2010",
    .variants = variants,
    .stages = stages,
    .min_side = 1,
    .workspace = workspace,
    .compute = compute,
};
