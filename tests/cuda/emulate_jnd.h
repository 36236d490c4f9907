/* SPDX-License-Identifier: MIT */
/* The kernels of cuda/jnd.cu and cuda/patch.cu as loops, as emulate_jpeg.h has those of JPEG. */
#ifndef VJ_TESTS_CUDA_EMULATE_JND_H
#define VJ_TESTS_CUDA_EMULATE_JND_H

#include "cuda/jnd_body.h"
#include "cuda/jnd_canny_body.h"
#include "cuda/jnd_epc_body.h"
#include "cuda/jnd_fep_body.h"
#include "cuda/jnd_klt_body.h"
#include "cuda/jnd_liu_body.h"
#include "cuda/jnd_paper_body.h"
#include "cuda/jnd_rules_body.h"
#include "cuda/jnd_yang_body.h"
#include "cuda/patch_body.h"
#include "tests/cuda/emulate.h"

static inline void emulate_gather(const struct vj_cuda_gather_job *job, int count)
{
    struct vj_cuda_grid grid = vj_cuda_gather_grid(job->patches, job->side, count);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_gather_pixel(job, at, t);
}

static inline void emulate_luma(const struct vj_image *img, uint8_t *luma)
{
    struct vj_cuda_luma_job job = {img->data, img->width * img->height, img->channels, luma};
    struct vj_cuda_grid grid = vj_cuda_line_grid(job.count, VJ_CUDA_THREADS, 1);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_luma_step(&job, at, t);
}

static inline void emulate_chou(const struct vj_cuda_plane *plane, bool add, float *map)
{
    struct vj_cuda_chou_job job = {*plane, add, map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_samples s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_load_samples(plane, false, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_chou_pixel(&job, &s, at, t);
    }
}

static inline void emulate_gradient(const struct vj_cuda_canny_job *job)
{
    struct vj_cuda_grid grid = vj_cuda_canny_grid(&job->plane);
    EMULATE_BLOCKS(grid, at)
    {
        static struct vj_cuda_canny_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_canny_load(job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_canny_columns(job, &s, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_canny_rows(job, &s, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_canny_suppress(job, &s, at, t);
        for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2)
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_canny_largest(s.peak, s.gradient, half, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_canny_store(job, &s, at, grid.x, t);
    }
}

static inline void emulate_limits(const struct vj_cuda_limits_job *job)
{
    struct vj_cuda_limits_shared s;
    memset(&s, 0xA5, sizeof(s));
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_limits_gather(job, &s, t);
    for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2)
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_canny_largest(s.peak, s.gradient, half, t);
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_limits_store(job, &s, t);
}

/* Edges from the magnitudes and limits of a job: four kernels. */
static inline void emulate_connect(const struct vj_cuda_edge_job *job)
{
    struct vj_cuda_grid grid = vj_cuda_edge_grid(job->width, job->height);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_edge_mark(job, at, t);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_edge_join(job, at, t);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_edge_tell(job, at, t);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_edge_store(job, at, t);
}

/* All of find_edges() in jnd.cu. edge: height x width; *gradient: the largest, inside */
static inline void emulate_edges(const struct vj_cuda_plane *plane, double threshold, uint8_t *edge,
                                 uint32_t *gradient)
{
    size_t pixels = (size_t)plane->width * (size_t)plane->height;
    size_t tiles = vj_cuda_grid_plane(vj_cuda_canny_grid(plane));
    struct guarded memory[5];
    struct vj_cuda_edge_limits found = {0};
    struct vj_cuda_canny_job canny = {*plane, vj_canny_taps(),
                                      guarded_take(&memory[0], pixels * sizeof(double)),
                                      guarded_take(&memory[1], tiles * sizeof(double)),
                                      guarded_take(&memory[2], tiles * sizeof(uint32_t))};
    emulate_gradient(&canny);
    struct vj_cuda_limits_job limits = {canny.peak, canny.gradient, tiles, threshold, &found};
    emulate_limits(&limits);
    struct vj_cuda_edge_job job = {canny.kept,
                                   &found,
                                   plane->width,
                                   plane->height,
                                   guarded_take(&memory[3], pixels),
                                   guarded_take(&memory[4], pixels * sizeof(uint32_t)),
                                   edge};
    emulate_connect(&job);
    *gradient = 0;
    for (size_t i = 0; i < tiles; i++)
        *gradient = canny.gradient[i] > *gradient ? canny.gradient[i] : *gradient;
    for (size_t i = 0; i < 5; i++)
        guarded_release(&memory[i]);
}

static inline void emulate_epc(const struct vj_cuda_plane *plane, const uint8_t *edge, float *map)
{
    struct vj_cuda_epc_job job = {
        .plane = *plane,
        .edge = edge,
        .attenuation = vj_jnd_weight_epc.attenuation,
        .complexity_gaussian = vj_jnd_gaussian(3, 1.0),
        .weight_gaussian =
            vj_jnd_gaussian(vj_jnd_weight_epc.gaussian_size, vj_jnd_weight_epc.gaussian_sigma),
        .map = map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_epc_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        {
            vj_cuda_load_samples(plane, true, &s.samples, at, t);
            vj_cuda_load_samples(plane, false, &s.dark, at, t);
            vj_cuda_epc_load(&job, &s, at, t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_epc_neighbours(&s, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_epc_counts(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_epc_columns(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_epc_pixel(&job, &s, at, t);
    }
}

static inline void emulate_paper(const struct vj_cuda_plane *plane, float *map)
{
    struct vj_cuda_paper_job job = {*plane, map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_paper_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        {
            vj_cuda_load_samples(plane, true, &s.samples, at, t);
            vj_cuda_load_samples(plane, false, &s.dark, at, t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_paper_neighbours(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_paper_pixel(&job, &s, at, t);
    }
}

static inline void emulate_dilate(const struct vj_cuda_plane *plane, const uint8_t *edge,
                                  const struct vj_jnd_shape *shape, uint8_t *dilated)
{
    struct vj_cuda_dilate_job job = {edge, plane->width, plane->height, *shape, dilated};
    struct vj_cuda_grid grid = vj_cuda_edge_grid(plane->width, plane->height);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_dilate_step(&job, at, t);
}

static inline void emulate_yang(const struct vj_cuda_plane *plane, bool paper, float *map)
{
    const struct vj_jnd_edge_weight *weight = &vj_jnd_weight_yang;
    size_t pixels = (size_t)plane->width * (size_t)plane->height;
    struct guarded memory[2];
    uint8_t *edge = guarded_take(&memory[0], pixels), *dilated = guarded_take(&memory[1], pixels);
    uint32_t gradient;
    emulate_edges(plane, VJ_JND_YANG_EDGE_THRESHOLD, edge, &gradient);
    emulate_dilate(plane, edge, weight->shape, dilated);
    struct vj_cuda_yang_job job = {
        .plane = *plane,
        .widened = paper ? edge : dilated,
        .paper = paper,
        .attenuation = paper ? VJ_JND_YANG_PAPER_ATTENUATION : weight->attenuation,
        .gaussian = vj_jnd_gaussian(weight->gaussian_size, weight->gaussian_sigma),
        .map = map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_yang_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        {
            vj_cuda_load_samples(plane, false, &s.dark, at, t);
            vj_cuda_yang_load(&job, &s, at, t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_yang_columns(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_yang_pixel(&job, &s, at, t);
    }
    guarded_release(&memory[0]);
    guarded_release(&memory[1]);
}

static inline void emulate_predict(const struct vj_cuda_plane *plane, uint8_t *prediction)
{
    struct vj_cuda_fep_predict_job job = {*plane, prediction};
    struct vj_cuda_grid grid = vj_cuda_fep_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        static struct vj_cuda_fep_predict_shared s;
        static struct vj_cuda_fep_pixels p[VJ_CUDA_THREADS];
        memset(&s, 0xA5, sizeof(s));
        memset(p, 0xA5, sizeof(p));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_fep_load(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_fep_begin(&s, &p[t], t);
        for (int first = 0; first < VJ_JND_FEP_OFFSETS; first += VJ_CUDA_FEP_BATCH) {
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_fep_rows(&s, first, t);
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_fep_nearest(&s, &p[t], t);
        }
        for (int first = 0; first < VJ_JND_FEP_OFFSETS; first += VJ_CUDA_FEP_BATCH) {
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_fep_rows(&s, first, t);
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_fep_weigh(&s, &p[t], first, t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_fep_predict(&job, &s, &p[t], at, t);
    }
}

static inline void emulate_fep(const struct vj_cuda_plane *plane, float *map)
{
    const struct vj_jnd_edge_weight *weight = &vj_jnd_weight_fep;
    size_t pixels = (size_t)plane->width * (size_t)plane->height;
    struct guarded memory[3];
    uint8_t *edge = guarded_take(&memory[0], pixels), *dilated = guarded_take(&memory[1], pixels);
    uint8_t *prediction = guarded_take(&memory[2], pixels);
    uint32_t gradient;
    emulate_edges(plane, VJ_JND_FEP_EDGE_THRESHOLD, edge, &gradient);
    emulate_dilate(plane, edge, weight->shape, dilated);
    emulate_predict(plane, prediction);
    struct vj_cuda_fep_job job = {
        .plane = *plane,
        .predicted = {prediction, plane->width, plane->height},
        .dilated = dilated,
        .attenuation = weight->attenuation,
        .residual_gaussian = vj_jnd_gaussian(7, 7.0 / 3),
        .weight_gaussian = vj_jnd_gaussian(weight->gaussian_size, weight->gaussian_sigma),
        .map = map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_fep_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        {
            vj_cuda_load_samples(plane, false, &s.dark, at, t);
            vj_cuda_load_samples(&job.predicted, false, &s.predicted, at, t);
            vj_cuda_fep_load_map(&job, &s, at, t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_fep_columns(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_fep_pixel(&job, &s, at, t);
    }
    for (size_t i = 0; i < 3; i++)
        guarded_release(&memory[i]);
}

/* All of find_structure() in jnd.cu. */
static inline void emulate_structure(const struct vj_cuda_plane *plane, uint8_t *structure)
{
    size_t pixels = (size_t)plane->width * (size_t)plane->height;
    struct guarded memory[6];
    float *p[6];
    for (size_t i = 0; i < 6; i++)
        p[i] = guarded_take(&memory[i], pixels * sizeof(float));
    const struct vj_cuda_tv_state state[2] = {{p[0], p[1], p[2]}, {p[3], p[4], p[5]}};
    struct vj_cuda_grid grid = vj_cuda_tv_grid(plane);
    for (int pass = 0; pass < VJ_TVL1_PASSES; pass++) {
        struct vj_cuda_tv_job job = {*plane, pass, state[pass % 2], state[(pass + 1) % 2],
                                     structure};
        EMULATE_BLOCKS(grid, at)
        {
            static struct vj_cuda_tv_shared s;
            static struct vj_cuda_tv_pixels own[VJ_CUDA_THREADS];
            memset(&s, 0xA5, sizeof(s));
            memset(own, 0xA5, sizeof(own));
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_tv_load(&job, &s, &own[t], at, t);
            for (int k = 0; k < VJ_TVL1_ITERATIONS; k++) {
                EMULATE_THREADS(VJ_CUDA_THREADS, t)
                vj_cuda_tv_move_pixels(&job, &s, &own[t], k, at, t);
                EMULATE_THREADS(VJ_CUDA_THREADS, t)
                vj_cuda_tv_move_duals(&job, &s, k, at, t);
            }
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_tv_store(&job, &s, &own[t], at, t);
        }
    }
    for (size_t i = 0; i < 6; i++)
        guarded_release(&memory[i]);
}

static inline void emulate_liu(const struct vj_cuda_plane *plane, const uint8_t *structure,
                               bool paper, float *map)
{
    struct vj_cuda_liu_job job = {*plane, {structure, plane->width, plane->height}, paper, map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_liu_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        {
            vj_cuda_load_samples(plane, false, &s.dark, at, t);
            vj_cuda_load_samples(&job.structure, false, &s.flat, at, t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_liu_texture(&s, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_liu_pixel(&job, &s, at, t);
    }
}

/* moments: zero before */
static inline void emulate_klt_sums(const struct vj_cuda_plane *plane,
                                    struct vj_klt_moments *moments)
{
    struct vj_cuda_klt_sum_job job = {*plane, moments};
    struct vj_cuda_grid grid = {VJ_CUDA_KLT_PARTS, 1, 1};
    EMULATE_BLOCKS(grid, at)
    {
        static struct vj_cuda_klt_sum_shared s;
        static struct vj_cuda_klt_sums sums[VJ_CUDA_THREADS];
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_klt_begin(&sums[t]);
        for (size_t batch = at.x; batch < vj_cuda_klt_batches(plane); batch += VJ_CUDA_KLT_PARTS) {
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_klt_load(&job, &s, batch, t);
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
            vj_cuda_klt_add(&job, &s, batch, &sums[t], t);
        }
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_klt_store(&job, &sums[t], t);
    }
}

/* Whole blocks of a plane, packed. */
static inline struct vj_cuda_plane emulate_whole_blocks(const struct vj_cuda_plane *plane,
                                                        uint8_t *luma)
{
    struct vj_cuda_plane whole = {luma, plane->width / VJ_KLT_SIDE * VJ_KLT_SIDE,
                                  plane->height / VJ_KLT_SIDE * VJ_KLT_SIDE};
    for (int y = 0; y < whole.height; y++)
        memcpy(luma + (size_t)y * (size_t)whole.width,
               plane->luma + (size_t)y * (size_t)plane->width, (size_t)whole.width);
    return whole;
}

static inline void emulate_klt(const struct vj_cuda_plane *plane, bool raw, float *map)
{
    const struct vj_jnd_edge_weight *weight = &vj_jnd_weight_epc;
    size_t pixels = (size_t)plane->width * (size_t)plane->height;
    static struct vj_klt_moments moments;
    static struct vj_klt_components components;
    struct guarded memory[3];
    uint8_t *luma = guarded_take(&memory[0], pixels), *edge = guarded_take(&memory[1], pixels);
    uint8_t *dilated = guarded_take(&memory[2], pixels);
    struct vj_cuda_plane whole = emulate_whole_blocks(plane, luma);
    uint32_t gradient;
    memset(&moments, 0, sizeof(moments));
    emulate_klt_sums(plane, &moments);
    vj_klt_components(&moments, &components);
    if (!raw) {
        emulate_edges(&whole, 0, edge, &gradient);
        emulate_dilate(&whole, edge, weight->shape, dilated);
    }
    struct vj_cuda_klt_job job = {
        .plane = *plane,
        .projection = components.projection[0],
        .dilated = raw ? NULL : dilated,
        .attenuation = weight->attenuation,
        .gaussian = vj_jnd_gaussian(weight->gaussian_size, weight->gaussian_sigma),
        .map = map};
    struct vj_cuda_grid grid = vj_cuda_map_grid(plane);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_klt_pixel(&job, at, t);
    for (size_t i = 0; i < 3; i++)
        guarded_release(&memory[i]);
}

static inline void emulate_to_u8(const float *map, size_t count, enum vj_jnd_scale scale,
                                 uint8_t *out, uint32_t *not_finite)
{
    struct guarded memory;
    struct vj_cuda_range *part = guarded_take(&memory, VJ_CUDA_RANGE_PARTS * sizeof(*part));
    struct vj_cuda_range_job range = {map, count, VJ_CUDA_RANGE_PARTS, part};
    struct vj_cuda_scale_job job = {map, count, scale, part, out, not_finite};
    struct vj_cuda_grid parts = {VJ_CUDA_RANGE_PARTS, 1, 1};
    struct vj_cuda_grid pixels = vj_cuda_line_grid(count, VJ_CUDA_THREADS, 1);
    struct vj_cuda_range_shared s;
    EMULATE_BLOCKS(parts, at)
    {
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_range_gather(&range, &s, at, t);
        for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2)
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_range_join(&s, half, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_range_store(&range, &s, at, t);
    }
    EMULATE_BLOCKS(pixels, at)
    {
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_scale_gather(&job, &s, t);
        for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2)
            EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_range_join(&s, half, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_scale_pixel(&job, &s, at, t);
    }
    guarded_release(&memory);
}

/* job->part is provided here. */
static inline void emulate_rules(struct vj_cuda_rules_job job)
{
    struct guarded memory;
    job.part =
        guarded_take(&memory, vj_cuda_rules_segments(job.pixels) * job.count * sizeof(*job.part));
    struct vj_cuda_grid grid = vj_cuda_rules_grid(&job);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_rules_shared s;
        memset(&s, 0xFF, sizeof(s)); /* NaN, which spreads to whatever uses it */
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_rules_lane(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_THREADS, t)
        vj_cuda_rules_segment(&job, &s, at, t);
    }
    EMULATE_THREADS((unsigned)job.count, t)
    vj_cuda_rules_total(&job, t);
    guarded_release(&memory);
}

#endif
