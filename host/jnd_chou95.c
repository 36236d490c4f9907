/* SPDX-License-Identifier: MIT */
/*
 * Chou and Li, "A perceptually tuned subband image coder based on the measure of
 * just-noticeable-distortion profile", IEEE Trans. Circuits Syst. Video Technol. 5(6), 1995: the
 * larger of a spatial masking threshold and a luminance adaptation threshold (`paper`), or, as in
 * the code in circulation, both of them joined by the later additivity model (`authors`).
 */
#include <string.h>

#include "host/jnd_blocks.h"
#include "host/jnd_math.h"
#include "host/simd.h"

enum { AUTHORS, PAPER };
enum { STAGE_BACKGROUND, STAGE_GRADIENT, STAGE_SPATIAL, STAGE_LUMINANCE };

static const char *const variants[] = {"authors", "paper", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"background", "weighted mean of the 5x5 neighbourhood", "grey level", VJ_JND_PLANE, 0},
    {"gradient", "largest of four directional 5x5 gradients", "grey level", VJ_JND_PLANE, 0},
    {"spatial", "threshold of spatial masking", "grey level", VJ_JND_PLANE, 0},
    {"luminance", "threshold of luminance adaptation", "grey level", VJ_JND_PLANE, 0},
    {0},
};

static size_t workspace(size_t width, size_t height, int threads)
{
    (void)threads;
    struct vj_jnd_arena count = {0};
    vj_jnd_take_padded(&count, width, height, 2);
    return vj_jnd_taken(&count);
}

struct span {
    float background[VJ_JND_SPAN], gradient[VJ_JND_SPAN], spatial[VJ_JND_SPAN],
        luminance[VJ_JND_SPAN], map[VJ_JND_SPAN];
};

VJ_SIMD static void thresholds(const uint16_t *background32, const uint16_t *gradient16, size_t n,
                               bool add, struct span *s)
{
    for (size_t i = 0; i < n; i++) {
        float b = (float)background32[i] / 32.0f, g = (float)gradient16[i] / 16.0f;
        float spatial = vj_jnd_spatial(g, b), luminance = vj_jnd_luminance(b);
        s->background[i] = b;
        s->gradient[i] = g;
        s->spatial[i] = spatial;
        s->luminance[i] = luminance;
        s->map[i] = add ? vj_jnd_namm(spatial, luminance) : vj_jnd_maxf(spatial, luminance);
    }
}

static void compute_row(const struct vj_jnd_job *job, const struct vj_jnd_padded *plane, size_t y)
{
    for (size_t x = 0; x < job->width; x += VJ_JND_SPAN) {
        size_t n = job->width - x < VJ_JND_SPAN ? job->width - x : VJ_JND_SPAN;
        const int16_t *src = vj_jnd_at(plane, (ptrdiff_t)y, (ptrdiff_t)x);
        uint16_t background32[VJ_JND_SPAN], gradient16[VJ_JND_SPAN];
        struct span s;
        vj_jnd_background(src, plane->stride, n, background32);
        vj_jnd_gradient(src, plane->stride, n, gradient16);
        thresholds(background32, gradient16, n, job->variant == AUTHORS, &s);
        memcpy(job->map + y * job->width + x, s.map, n * sizeof(float));
        vj_jnd_stage(job, STAGE_BACKGROUND, y, x, s.background, n);
        vj_jnd_stage(job, STAGE_GRADIENT, y, x, s.gradient, n);
        vj_jnd_stage(job, STAGE_SPATIAL, y, x, s.spatial, n);
        vj_jnd_stage(job, STAGE_LUMINANCE, y, x, s.luminance, n);
    }
}

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    (void)err;
    struct vj_jnd_padded plane = vj_jnd_take_padded(&ws->arena, job->width, job->height, 2);
    vj_jnd_pad(&plane, job->luma, VJ_JND_ZERO, ws->threads);
#pragma omp parallel for schedule(static) num_threads(ws->threads)
    for (size_t y = 0; y < job->height; y++)
        compute_row(job, &plane, y);
    return 0;
}

const struct vj_jnd_model vj_jnd_chou95 = {
    .name = "chou95",
    .reference = "Chou, Li: A perceptually tuned subband image coder based on the measure of "
                 "just-noticeable-distortion profile. IEEE TCSVT 5(6), 1995",
    .variants = variants,
    .stages = stages,
    .min_side = 1,
    .workspace = workspace,
    .compute = compute,
};
