/* SPDX-License-Identifier: MIT */
/* Bodies of the edge detector's kernels (host/jnd_canny.h), written as described in jpeg_body.h. */
#ifndef VJ_CUDA_JND_CANNY_BODY_H
#define VJ_CUDA_JND_CANNY_BODY_H

#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/atomic_body.h"
#include "cuda/jnd_body.h"
#include "host/jnd_canny.h"

/* ---- Gradient and suppression -------------------------------------------------------------- */

enum {
    VJ_CUDA_CANNY_HALO = VJ_CANNY_RADIUS + 1, /* suppression needs the gradient of neighbours */
    VJ_CUDA_CANNY_SAMPLES_ACROSS = VJ_CUDA_CANNY_WIDTH + 2 * VJ_CUDA_CANNY_HALO,
    VJ_CUDA_CANNY_SAMPLES_DOWN = VJ_CUDA_CANNY_HEIGHT + 2 * VJ_CUDA_CANNY_HALO,
    VJ_CUDA_CANNY_ACROSS = VJ_CUDA_CANNY_WIDTH + 2, /* gradients: one pixel around the tile */
    VJ_CUDA_CANNY_DOWN = VJ_CUDA_CANNY_HEIGHT + 2,
};

struct vj_cuda_canny_job {
    struct vj_cuda_plane plane;
    struct vj_canny_taps taps;
    double *kept;       /* [height][width]: magnitude of kept pixels, 0 elsewhere */
    double *peak;       /* [thread blocks]: largest magnitude of the tile */
    uint32_t *gradient; /* [thread blocks]: largest vj_cuda_gradient(), outer 2 pixels apart */
};

struct vj_cuda_canny_shared {
    double g_along_y[VJ_CUDA_CANNY_DOWN * VJ_CUDA_CANNY_SAMPLES_ACROSS];
    double d_along_y[VJ_CUDA_CANNY_DOWN * VJ_CUDA_CANNY_SAMPLES_ACROSS];
    double gx[VJ_CUDA_CANNY_DOWN * VJ_CUDA_CANNY_ACROSS];
    double gy[VJ_CUDA_CANNY_DOWN * VJ_CUDA_CANNY_ACROSS];
    double m[VJ_CUDA_CANNY_DOWN * VJ_CUDA_CANNY_ACROSS];
    double peak[VJ_CUDA_THREADS];
    uint32_t gradient[VJ_CUDA_THREADS];
    int16_t samples[VJ_CUDA_CANNY_SAMPLES_DOWN * VJ_CUDA_CANNY_SAMPLES_ACROSS];
};

static inline struct vj_cuda_grid vj_cuda_canny_grid(const struct vj_cuda_plane *plane)
{
    return vj_cuda_tile_grid((size_t)plane->width, (size_t)plane->height, VJ_CUDA_CANNY_WIDTH,
                             VJ_CUDA_CANNY_HEIGHT, 1);
}

/* Step 1: samples, the nearest pixel beyond the picture. */
static inline VJ_HD void vj_cuda_canny_load(const struct vj_cuda_canny_job *job,
                                            struct vj_cuda_canny_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    int top = (int)at.y * VJ_CUDA_CANNY_HEIGHT - VJ_CUDA_CANNY_HALO;
    int left = (int)at.x * VJ_CUDA_CANNY_WIDTH - VJ_CUDA_CANNY_HALO;
    int count = VJ_CUDA_CANNY_SAMPLES_DOWN * VJ_CUDA_CANNY_SAMPLES_ACROSS;
    for (int i = (int)thread; i < count; i += VJ_CUDA_THREADS) {
        int y = vj_cuda_clamp(top + i / VJ_CUDA_CANNY_SAMPLES_ACROSS, 0, plane->height - 1);
        int x = vj_cuda_clamp(left + i % VJ_CUDA_CANNY_SAMPLES_ACROSS, 0, plane->width - 1);
        s->samples[i] = plane->luma[(size_t)y * (size_t)plane->width + (size_t)x];
    }
}

/* Step 2: both filters down the columns. */
static inline VJ_HD void vj_cuda_canny_columns(const struct vj_cuda_canny_job *job,
                                               struct vj_cuda_canny_shared *s, unsigned thread)
{
    const int across = VJ_CUDA_CANNY_SAMPLES_ACROSS;
    for (int i = (int)thread; i < VJ_CUDA_CANNY_DOWN * across; i += VJ_CUDA_THREADS) {
        const int16_t *p = s->samples + i + VJ_CANNY_RADIUS * across;
        double g = job->taps.g[0] * p[0], d = 0;
        for (int k = 1; k <= VJ_CANNY_RADIUS; k++) {
            g += job->taps.g[k] * (p[-k * across] + p[k * across]);
            d += job->taps.d[k] * (p[k * across] - p[-k * across]);
        }
        s->g_along_y[i] = g;
        s->d_along_y[i] = d;
    }
}

/* Step 3: along the rows, and the magnitude. */
static inline VJ_HD void vj_cuda_canny_rows(const struct vj_cuda_canny_job *job,
                                            struct vj_cuda_canny_shared *s, unsigned thread)
{
    const int across = VJ_CUDA_CANNY_ACROSS;
    for (int i = (int)thread; i < VJ_CUDA_CANNY_DOWN * across; i += VJ_CUDA_THREADS) {
        int at = i / across * VJ_CUDA_CANNY_SAMPLES_ACROSS + i % across + VJ_CANNY_RADIUS;
        const double *g = s->g_along_y + at, *d = s->d_along_y + at;
        double x = 0, y = job->taps.g[0] * d[0];
        for (int k = 1; k <= VJ_CANNY_RADIUS; k++) {
            x += job->taps.d[k] * (g[k] - g[-k]);
            y += job->taps.g[k] * (d[k] + d[-k]);
        }
        s->gx[i] = x;
        s->gy[i] = y;
        s->m[i] = sqrt(x * x + y * y);
    }
}

/*
 * Whether pixel i of the gradient arrays is not below its neighbours on the gradient line. With the
 * components' absolute values a >= b, such a neighbour is (1 - b/a) of the axis neighbour plus b/a
 * of the diagonal one; both sides are multiplied by a. Ties within 1e-9 are kept.
 */
static inline VJ_HD bool vj_cuda_canny_keeps(const struct vj_cuda_canny_shared *s, int i)
{
    const double *m = s->m + i, *up = m - VJ_CUDA_CANNY_ACROSS, *down = m + VJ_CUDA_CANNY_ACROSS;
    double x = fabs(s->gx[i]), y = fabs(s->gy[i]);
    bool along_x = x >= y;
    bool falling = s->gx[i] * s->gy[i] > 0;
    double larger = along_x ? x : y, smaller = along_x ? y : x;
    double rest = larger - smaller;
    double axis1 = along_x ? m[1] : down[0];
    double axis2 = along_x ? m[-1] : up[0];
    double rising1 = along_x ? up[1] : down[-1];
    double rising2 = along_x ? down[-1] : up[1];
    double diagonal1 = falling ? down[1] : rising1;
    double diagonal2 = falling ? up[-1] : rising2;
    double own = m[0] * (1.0 + 1e-9) * larger;
    return own >= rest * axis1 + smaller * diagonal1 && own >= rest * axis2 + smaller * diagonal2;
}

/* Step 4: suppression, and each thread's largest values. The picture's frame is never an edge. */
static inline VJ_HD void vj_cuda_canny_suppress(const struct vj_cuda_canny_job *job,
                                                struct vj_cuda_canny_shared *s,
                                                struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_plane *plane = &job->plane;
    double peak = 0;
    int gradient = 0;
    for (int i = (int)thread; i < VJ_CUDA_CANNY_HEIGHT * VJ_CUDA_CANNY_WIDTH;
         i += VJ_CUDA_THREADS) {
        int ty = i / VJ_CUDA_CANNY_WIDTH, tx = i % VJ_CUDA_CANNY_WIDTH;
        int y = (int)at.y * VJ_CUDA_CANNY_HEIGHT + ty, x = (int)at.x * VJ_CUDA_CANNY_WIDTH + tx;
        if (y >= plane->height || x >= plane->width)
            continue;
        int p = (ty + 1) * VJ_CUDA_CANNY_ACROSS + tx + 1;
        bool frame = y == 0 || x == 0 || y + 1 == plane->height || x + 1 == plane->width;
        job->kept[(size_t)y * (size_t)plane->width + (size_t)x] =
            !frame && vj_cuda_canny_keeps(s, p) ? s->m[p] : 0;
        peak = s->m[p] > peak ? s->m[p] : peak;
        if (y >= 2 && x >= 2 && y + 2 < plane->height && x + 2 < plane->width) {
            int g = vj_cuda_gradient(s->samples +
                                         (ty + VJ_CUDA_CANNY_HALO) * VJ_CUDA_CANNY_SAMPLES_ACROSS +
                                         tx + VJ_CUDA_CANNY_HALO,
                                     VJ_CUDA_CANNY_SAMPLES_ACROSS);
            gradient = g > gradient ? g : gradient;
        }
    }
    s->peak[thread] = peak;
    s->gradient[thread] = (uint32_t)gradient;
}

/* Step 5, for half = VJ_CUDA_THREADS / 2, ..., 1. */
static inline VJ_HD void vj_cuda_canny_largest(double *peak, uint32_t *gradient, unsigned half,
                                               unsigned thread)
{
    if (thread >= half)
        return;
    peak[thread] = peak[thread + half] > peak[thread] ? peak[thread + half] : peak[thread];
    gradient[thread] =
        gradient[thread + half] > gradient[thread] ? gradient[thread + half] : gradient[thread];
}

/* Step 6. */
static inline VJ_HD void vj_cuda_canny_store(const struct vj_cuda_canny_job *job,
                                             const struct vj_cuda_canny_shared *s,
                                             struct vj_cuda_place at, unsigned across,
                                             unsigned thread)
{
    if (thread != 0)
        return;
    job->peak[(size_t)at.y * across + at.x] = s->peak[0];
    job->gradient[(size_t)at.y * across + at.x] = s->gradient[0];
}

/* ---- Thresholds, one thread block ---------------------------------------------------------- */

struct vj_cuda_edge_limits {
    double weak, strong; /* magnitudes above which a kept pixel is a weak, a strong edge */
};

struct vj_cuda_limits_job {
    const double *peak;
    const uint32_t *gradient;
    size_t parts;     /* of both */
    double threshold; /* share of the largest magnitude; 0 = that of the EPC and KLT models */
    struct vj_cuda_edge_limits *limits;
};

struct vj_cuda_limits_shared {
    double peak[VJ_CUDA_THREADS];
    uint32_t gradient[VJ_CUDA_THREADS];
};

/* Step 1: largest of each thread's share. Step 2 is vj_cuda_canny_largest(). */
static inline VJ_HD void vj_cuda_limits_gather(const struct vj_cuda_limits_job *job,
                                               struct vj_cuda_limits_shared *s, unsigned thread)
{
    double peak = 0;
    uint32_t gradient = 0;
    for (size_t i = thread; i < job->parts; i += VJ_CUDA_THREADS) {
        peak = job->peak[i] > peak ? job->peak[i] : peak;
        gradient = job->gradient[i] > gradient ? job->gradient[i] : gradient;
    }
    s->peak[thread] = peak;
    s->gradient[thread] = gradient;
}

/* Threshold of the EPC and KLT models, as vj_jnd_edge_threshold(). */
static inline VJ_HD double vj_cuda_edge_threshold(uint32_t inner_gradient)
{
    double threshold = inner_gradient ? 60.0 * 16.0 / inner_gradient : 0.8;
    return threshold < 0.8 ? threshold : 0.8;
}

/* Step 3. */
static inline VJ_HD void vj_cuda_limits_store(const struct vj_cuda_limits_job *job,
                                              const struct vj_cuda_limits_shared *s,
                                              unsigned thread)
{
    if (thread != 0)
        return;
    double threshold = job->threshold > 0 ? job->threshold : vj_cuda_edge_threshold(s->gradient[0]);
    double strong = threshold * s->peak[0];
    job->limits->strong = strong;
    job->limits->weak = 0.4 * strong;
}

/* ---- Connected edges ----------------------------------------------------------------------- */

/*
 * Components of weak pixels by union and find. A pixel's label is the number of a pixel of the same
 * component, never a larger one than its own; a root is its own label. Joining hangs the root with
 * the larger number below the other with an atomic minimum, so that in the end every component has
 * its smallest pixel as root, whatever order threads came in: exact and repeatable.
 */
enum {
    VJ_CUDA_WEAK = 1,
    VJ_CUDA_STRONG = 2,
    VJ_CUDA_HOLDS_STRONG = 4, /* on roots: the component has a strong pixel */
};

struct vj_cuda_edge_job {
    const double *kept;
    const struct vj_cuda_edge_limits *limits;
    int width, height;
    uint8_t *mark;
    uint32_t *label;
    uint8_t *edge; /* result: 1 on edges, else 0 */
};

static inline VJ_HD uint32_t vj_cuda_find(const uint32_t *label, uint32_t p)
{
    /* Other threads move labels while this one follows them. */
    for (uint32_t next = vj_cuda_atomic_read(&label[p]); next != p;
         next = vj_cuda_atomic_read(&label[p]))
        p = next;
    return p;
}

/* Two pixels to be joined, or what is left to be joined for them. */
struct vj_cuda_union {
    uint32_t a, b;
};

/* Goes up to the roots; false when there is only one, and the work is done. */
static inline VJ_HD bool vj_cuda_union_look(const uint32_t *label, struct vj_cuda_union *u)
{
    u->a = vj_cuda_find(label, u->a);
    u->b = vj_cuda_find(label, u->b);
    return u->a != u->b;
}

/*
 * Hangs the larger root below the smaller; true when the work is done. It is not when another
 * thread was first and hung the larger one below a third pixel, which is then to be joined with the
 * smaller.
 */
static inline VJ_HD bool vj_cuda_union_hang(uint32_t *label, struct vj_cuda_union *u)
{
    uint32_t low = u->a < u->b ? u->a : u->b, high = u->a < u->b ? u->b : u->a;
    uint32_t old = vj_cuda_atomic_min(&label[high], low);
    u->a = old;
    u->b = low;
    return old == high;
}

static inline VJ_HD void vj_cuda_unite(uint32_t *label, uint32_t a, uint32_t b)
{
    struct vj_cuda_union u = {a, b};
    while (vj_cuda_union_look(label, &u)) {
        if (vj_cuda_union_hang(label, &u))
            return;
    }
}

static inline struct vj_cuda_grid vj_cuda_edge_grid(int width, int height)
{
    return vj_cuda_line_grid((size_t)width * (size_t)height, VJ_CUDA_THREADS, 1);
}

/* Number of a thread's pixel; false beyond the picture. */
static inline VJ_HD bool vj_cuda_edge_pixel(const struct vj_cuda_edge_job *job,
                                            struct vj_cuda_place at, unsigned thread, size_t *p)
{
    *p = (size_t)at.x * VJ_CUDA_THREADS + thread;
    return *p < (size_t)job->width * (size_t)job->height;
}

/* Kernel 1: marks, and as a first label the start of the run of weak pixels within 32. */
static inline VJ_HD void vj_cuda_edge_mark(const struct vj_cuda_edge_job *job,
                                           struct vj_cuda_place at, unsigned thread)
{
    size_t p;
    if (!vj_cuda_edge_pixel(job, at, thread, &p))
        return;
    const double weak = job->limits->weak, strong = job->limits->strong;
    double v = job->kept[p];
    job->mark[p] = (uint8_t)((v > weak ? VJ_CUDA_WEAK : 0) | (v > strong ? VJ_CUDA_STRONG : 0));
    size_t start = p;
    /* The frame is never weak, so a run ends with its row. */
    while (v > weak && start % 32 && job->kept[start - 1] > weak)
        start--;
    job->label[p] = (uint32_t)start;
}

/* Kernel 2: joins a weak pixel with those of its neighbours that come before it. */
static inline VJ_HD void vj_cuda_edge_join(const struct vj_cuda_edge_job *job,
                                           struct vj_cuda_place at, unsigned thread)
{
    size_t p;
    if (!vj_cuda_edge_pixel(job, at, thread, &p) || !(job->mark[p] & VJ_CUDA_WEAK))
        return;
    /* Not on the frame, so all neighbours exist. */
    size_t above = p - (size_t)job->width;
    const size_t before[4] = {p - 1, above - 1, above, above + 1};
    for (int i = 0; i < 4; i++) {
        if (job->mark[before[i]] & VJ_CUDA_WEAK)
            vj_cuda_unite(job->label, (uint32_t)p, (uint32_t)before[i]);
    }
}

/*
 * Kernel 3: strong pixels tell their roots. All that write to a root's mark write the same, and
 * what others read of it meanwhile, the strong bit, does not change.
 */
static inline VJ_HD void vj_cuda_edge_tell(const struct vj_cuda_edge_job *job,
                                           struct vj_cuda_place at, unsigned thread)
{
    size_t p;
    if (!vj_cuda_edge_pixel(job, at, thread, &p) ||
        !(vj_cuda_atomic_read_byte(&job->mark[p]) & VJ_CUDA_STRONG))
        return;
    uint8_t *root = &job->mark[vj_cuda_find(job->label, (uint32_t)p)];
    vj_cuda_atomic_write_byte(root,
                              (uint8_t)(vj_cuda_atomic_read_byte(root) | VJ_CUDA_HOLDS_STRONG));
}

/* Kernel 4. */
static inline VJ_HD void vj_cuda_edge_store(const struct vj_cuda_edge_job *job,
                                            struct vj_cuda_place at, unsigned thread)
{
    size_t p;
    if (!vj_cuda_edge_pixel(job, at, thread, &p))
        return;
    bool edge = false;
    if (job->mark[p] & VJ_CUDA_WEAK)
        edge = job->mark[vj_cuda_find(job->label, (uint32_t)p)] & VJ_CUDA_HOLDS_STRONG;
    job->edge[p] = edge;
}

#ifdef __cplusplus
}
#endif

#endif
