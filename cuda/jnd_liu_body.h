/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that make a map of liu10's primal-dual variants, written as described in
 * jpeg_body.h.
 */
#ifndef VJ_CUDA_JND_LIU_BODY_H
#define VJ_CUDA_JND_LIU_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_epc_body.h"
#include "host/tvl1_math.h"

/* ---- Structure ----------------------------------------------------------------------------- */

/*
 * One pass of host/tvl1_math.h per launch. A thread block has a square of pixels and iterates on
 * what each iteration leaves known of it, a pixel less on each side; in the end the tile in its
 * middle is known. Dual values and what they see of pixels lie in shared memory, pixels in
 * registers: of a column a thread has one in every VJ_CUDA_TV_STRIP rows.
 */
enum {
    VJ_CUDA_TV_HALO = VJ_TVL1_ITERATIONS,
    VJ_CUDA_TV_SIDE = 64, /* of the square */
    VJ_CUDA_TV_AREA = VJ_CUDA_TV_SIDE * VJ_CUDA_TV_SIDE,
    VJ_CUDA_TV_TILE = VJ_CUDA_TV_SIDE - 2 * VJ_CUDA_TV_HALO,
    VJ_CUDA_TV_STRIP = VJ_CUDA_THREADS / VJ_CUDA_TV_SIDE,
    VJ_CUDA_TV_PIXELS = VJ_CUDA_TV_AREA / VJ_CUDA_THREADS, /* of a thread */
};

/* Pixels and dual values, each height x width: of the pairs to the right, and downwards. */
struct vj_cuda_tv_state {
    float *pixel, *right, *below;
};

struct vj_cuda_tv_job {
    struct vj_cuda_plane plane;
    int pass;                              /* 0..VJ_TVL1_PASSES - 1 */
    struct vj_cuda_tv_state before, after; /* but for the first pass, and the last */
    uint8_t *structure;                    /* written in the last pass */
};

struct vj_cuda_tv_shared {
    float ahead[VJ_CUDA_TV_AREA];
    float right[VJ_CUDA_TV_AREA], below[VJ_CUDA_TV_AREA]; /* zero beyond the picture */
};

/* What a thread knows of its pixels. */
struct vj_cuda_tv_pixels {
    float u[VJ_CUDA_TV_PIXELS], f[VJ_CUDA_TV_PIXELS];
};

/* A thread's pixel number i. */
struct vj_cuda_tv_place {
    int sy, sx; /* in the square */
    int s;      /* sy * VJ_CUDA_TV_SIDE + sx */
    int y, x;   /* in the picture */
};

static inline struct vj_cuda_grid vj_cuda_tv_grid(const struct vj_cuda_plane *plane)
{
    return vj_cuda_tile_grid((size_t)plane->width, (size_t)plane->height, VJ_CUDA_TV_TILE,
                             VJ_CUDA_TV_TILE, 1);
}

static inline VJ_HD struct vj_cuda_tv_place vj_cuda_tv_place(struct vj_cuda_place at,
                                                             unsigned thread, int i)
{
    struct vj_cuda_tv_place p;
    p.sy = (int)thread / VJ_CUDA_TV_SIDE + i * VJ_CUDA_TV_STRIP;
    p.sx = (int)thread % VJ_CUDA_TV_SIDE;
    p.s = p.sy * VJ_CUDA_TV_SIDE + p.sx;
    p.y = (int)at.y * VJ_CUDA_TV_TILE - VJ_CUDA_TV_HALO + p.sy;
    p.x = (int)at.x * VJ_CUDA_TV_TILE - VJ_CUDA_TV_HALO + p.sx;
    return p;
}

/* Step 1. Before the first pass there is no state yet. */
static inline VJ_HD void vj_cuda_tv_load(const struct vj_cuda_tv_job *job,
                                         struct vj_cuda_tv_shared *s, struct vj_cuda_tv_pixels *own,
                                         struct vj_cuda_place at, unsigned thread)
{
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_TV_PIXELS; i++) {
        const struct vj_cuda_tv_place p = vj_cuda_tv_place(at, thread, i);
        const bool inside = vj_cuda_inside(&job->plane, p.y, p.x), known = inside && job->pass > 0;
        const size_t q = inside ? (size_t)p.y * (size_t)job->plane.width + (size_t)p.x : 0;
        own->f[i] = inside ? (float)job->plane.luma[q] : 0.0f;
        own->u[i] = known ? job->before.pixel[q] : own->f[i];
        s->right[p.s] = known ? job->before.right[q] : 0.0f;
        s->below[p.s] = known ? job->before.below[q] : 0.0f;
    }
}

/* Whether a pixel of the square is that of the picture, and known when k on each side are not. */
static inline VJ_HD bool vj_cuda_tv_known(const struct vj_cuda_plane *plane,
                                          const struct vj_cuda_tv_place *p, int k)
{
    return p->sy >= k && p->sx >= k && p->sy < VJ_CUDA_TV_SIDE - k && p->sx < VJ_CUDA_TV_SIDE - k &&
           vj_cuda_inside(plane, p->y, p->x);
}

/* Step 2, for k = 0..VJ_TVL1_ITERATIONS - 1: pixels whose pairs on all four sides are known. */
static inline VJ_HD void vj_cuda_tv_move_pixels(const struct vj_cuda_tv_job *job,
                                                struct vj_cuda_tv_shared *s,
                                                struct vj_cuda_tv_pixels *own, int k,
                                                struct vj_cuda_place at, unsigned thread)
{
    const struct vj_tvl1_step step = vj_tvl1_step(job->pass);
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_TV_PIXELS; i++) {
        const struct vj_cuda_tv_place p = vj_cuda_tv_place(at, thread, i);
        if (p.sy <= k || p.sx <= k || !vj_cuda_tv_known(&job->plane, &p, k))
            continue;
        float now = vj_tvl1_pixel(own->u[i], own->f[i], s->right[p.s - 1], s->right[p.s],
                                  s->below[p.s - VJ_CUDA_TV_SIDE], s->below[p.s], &step);
        s->ahead[p.s] = vj_tvl1_ahead(now, own->u[i]);
        own->u[i] = now;
    }
}

/* Step 3, after each step 2: dual values of pairs that lie in the picture. */
static inline VJ_HD void vj_cuda_tv_move_duals(const struct vj_cuda_tv_job *job,
                                               struct vj_cuda_tv_shared *s, int k,
                                               struct vj_cuda_place at, unsigned thread)
{
    const struct vj_tvl1_step step = vj_tvl1_step(job->pass);
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_TV_PIXELS; i++) {
        const struct vj_cuda_tv_place p = vj_cuda_tv_place(at, thread, i);
        if (!vj_cuda_tv_known(&job->plane, &p, k + 1))
            continue;
        const float ahead = s->ahead[p.s];
        if (p.x + 1 < job->plane.width)
            s->right[p.s] = vj_tvl1_dual(s->right[p.s], ahead, s->ahead[p.s + 1], &step);
        if (p.y + 1 < job->plane.height)
            s->below[p.s] =
                vj_tvl1_dual(s->below[p.s], ahead, s->ahead[p.s + VJ_CUDA_TV_SIDE], &step);
    }
}

/* Step 4: the tile to the state, or after the last pass its levels to the structure. */
static inline VJ_HD void vj_cuda_tv_store(const struct vj_cuda_tv_job *job,
                                          const struct vj_cuda_tv_shared *s,
                                          const struct vj_cuda_tv_pixels *own,
                                          struct vj_cuda_place at, unsigned thread)
{
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_TV_PIXELS; i++) {
        const struct vj_cuda_tv_place p = vj_cuda_tv_place(at, thread, i);
        if (!vj_cuda_tv_known(&job->plane, &p, VJ_CUDA_TV_HALO))
            continue;
        const size_t q = (size_t)p.y * (size_t)job->plane.width + (size_t)p.x;
        if (job->pass + 1 == VJ_TVL1_PASSES) {
            job->structure[q] = vj_tvl1_level(own->u[i]);
            continue;
        }
        job->after.pixel[q] = own->u[i];
        job->after.right[q] = s->right[p.s];
        job->after.below[q] = s->below[p.s];
    }
}

/* ---- The map ------------------------------------------------------------------------------- */

struct vj_cuda_liu_job {
    struct vj_cuda_plane plane, structure;
    bool paper;
    float *map;
};

struct vj_cuda_liu_shared {
    struct vj_cuda_samples dark, flat, detail; /* picture, structure, texture; zero beyond */
};

/*
 * Step 1 is vj_cuda_load_samples() of picture and structure with zeros outside, and texture, for
 * which a thread reads no samples but those that it loaded.
 */
static inline VJ_HD void vj_cuda_liu_texture(struct vj_cuda_liu_shared *s, unsigned thread)
{
    for (int i = (int)thread; i < VJ_CUDA_JND_ROWS * VJ_CUDA_JND_STRIDE; i += VJ_CUDA_THREADS)
        s->detail.v[i] = (int16_t)(s->dark.v[i] - s->flat.v[i]);
}

/* Step 2: a pixel per thread. */
static inline VJ_HD void vj_cuda_liu_pixel(const struct vj_cuda_liu_job *job,
                                           const struct vj_cuda_liu_shared *s,
                                           struct vj_cuda_place at, unsigned thread)
{
    struct vj_cuda_map_pixel pixel;
    if (!vj_cuda_map_pixel(&job->plane, at, thread, &pixel))
        return;
    const int ty = pixel.ty, tx = pixel.tx;
    float b = (float)vj_cuda_background(vj_cuda_samples_at(&s->dark, ty, tx), VJ_CUDA_ROW) / 32.0f;
    float flat = (float)vj_cuda_gradient(vj_cuda_samples_at(&s->flat, ty, tx), VJ_CUDA_ROW) / 16.0f;
    float detail =
        (float)vj_cuda_gradient(vj_cuda_samples_at(&s->detail, ty, tx), VJ_CUDA_ROW) / 16.0f;
    float edge = vj_jnd_liu_edge(flat, b, job->paper);
    float texture = vj_jnd_liu_texture(detail, b, job->paper);
    job->map[pixel.at] =
        vj_jnd_namm(vj_jnd_luminance(b), vj_jnd_liu_contrast(edge, texture, job->paper));
}

#ifdef __cplusplus
}
#endif

#endif
