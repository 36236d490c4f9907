/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that hold candidates against maps (host/jnd_rules.h), written as described
 * in jpeg_body.h. Counts and squares of differences are integers, which any order adds up to the
 * same; sums of doubles are made in the CPU's order.
 */
#ifndef VJ_CUDA_JND_RULES_BODY_H
#define VJ_CUDA_JND_RULES_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_body.h"
#include "host/device.h"
#include "host/jnd_rules.h"

/* |D - R| of a pixel. candidate: the picture; reference: luma */
static inline VJ_HD int vj_cuda_luma_difference(const uint8_t *candidate, int channels,
                                                const uint8_t *reference, size_t i)
{
    int difference =
        (int)vj_cuda_luma_pixel(candidate + i * (size_t)channels, channels) - (int)reference[i];
    return difference < 0 ? -difference : difference;
}

/* ---- Share of pixels above a map, and squares of differences ------------------------------- */

struct vj_cuda_share_sums {
    uint64_t above, square;
};

struct vj_cuda_share_job {
    const uint8_t *candidates; /* [count][pixels][channels] */
    size_t pixels;
    int channels;
    const uint8_t *reference; /* luma */
    const float *map;
    struct vj_cuda_share_sums *part; /* [count][VJ_CUDA_SHARE_PARTS] */
    double *share;                   /* [count], or NULL */
    uint64_t *square;                /* [count], or NULL */
};

struct vj_cuda_share_shared {
    struct vj_cuda_share_sums sums[VJ_CUDA_THREADS];
};

static inline struct vj_cuda_grid vj_cuda_share_grid(int count)
{
    struct vj_cuda_grid grid;
    grid.x = VJ_CUDA_SHARE_PARTS;
    grid.y = 1;
    grid.z = (unsigned)count;
    return grid;
}

/* Step 1: a share of the pixels per thread. */
static inline VJ_HD void vj_cuda_share_count(const struct vj_cuda_share_job *job,
                                             struct vj_cuda_share_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    const uint8_t *candidate = job->candidates + at.z * job->pixels * (size_t)job->channels;
    uint64_t above = 0, square = 0;
    for (size_t i = (size_t)at.x * VJ_CUDA_THREADS + thread; i < job->pixels;
         i += (size_t)VJ_CUDA_SHARE_PARTS * VJ_CUDA_THREADS) {
        int difference = vj_cuda_luma_difference(candidate, job->channels, job->reference, i);
        above += (float)difference > job->map[i];
        square += (uint64_t)(difference * difference);
    }
    s->sums[thread].above = above;
    s->sums[thread].square = square;
}

/* Step 2, for half = half the threads, ..., 1. */
static inline VJ_HD void vj_cuda_share_add(struct vj_cuda_share_shared *s, unsigned half,
                                           unsigned thread)
{
    if (thread >= half)
        return;
    s->sums[thread].above += s->sums[thread + half].above;
    s->sums[thread].square += s->sums[thread + half].square;
}

/* Step 3. */
static inline VJ_HD void vj_cuda_share_part(const struct vj_cuda_share_job *job,
                                            const struct vj_cuda_share_shared *s,
                                            struct vj_cuda_place at, unsigned thread)
{
    if (thread == 0)
        job->part[(size_t)at.z * VJ_CUDA_SHARE_PARTS + at.x] = s->sums[0];
}

/* Second kernel, a thread per candidate. */
static inline VJ_HD void vj_cuda_share_total(const struct vj_cuda_share_job *job, unsigned thread)
{
    uint64_t above = 0, square = 0;
    for (size_t i = 0; i < VJ_CUDA_SHARE_PARTS; i++) {
        above += job->part[(size_t)thread * VJ_CUDA_SHARE_PARTS + i].above;
        square += job->part[(size_t)thread * VJ_CUDA_SHARE_PARTS + i].square;
    }
    if (job->share)
        job->share[thread] = (double)above / (double)job->pixels;
    if (job->square)
        job->square[thread] = square;
}

/* ---- Means in the CPU's order -------------------------------------------------------------- */

/*
 * A sum of doubles depends on its order, and the CPU's runs through the picture from the first
 * pixel to the last, the excess in VJ_JND_LANES lanes side by side, the noise energy in one. A
 * thread block keeps that order: its first warp adds, a thread per lane, what the other warps have
 * computed in the chunk of pixels before, while they compute the next. Every candidate and map has
 * a block of its own, so that what takes long in one of them is done for all at once.
 */
enum {
    VJ_CUDA_MEAN_ADDERS = 32, /* threads that do not compute; one per lane of them adds */
    VJ_CUDA_MEAN_WORKERS = VJ_CUDA_THREADS - VJ_CUDA_MEAN_ADDERS,
    VJ_CUDA_MEAN_CHUNK = VJ_CUDA_MEAN_WORKERS * 8,
    VJ_CUDA_MEAN_AHEAD = 16, /* terms that a thread reads before it adds them */
};

struct vj_cuda_mean_job {
    const uint8_t *candidates; /* [count][pixels][channels]; NULL: the noise energy of the maps */
    size_t pixels;
    int channels;
    const uint8_t *reference; /* luma */
    unsigned lanes;           /* VJ_JND_LANES, or 1 for the noise energy */
    const float *map[VJ_DEVICE_JND_MAX];
    double *mean[VJ_DEVICE_JND_MAX]; /* [count] of each map */
};

struct vj_cuda_mean_shared {
    double term[2][VJ_CUDA_MEAN_CHUNK];
    double lane[VJ_JND_LANES];
};

static inline struct vj_cuda_grid vj_cuda_mean_grid(int count, int maps)
{
    struct vj_cuda_grid grid;
    grid.x = (unsigned)count;
    grid.y = (unsigned)maps;
    grid.z = 1;
    return grid;
}

static inline VJ_HD size_t vj_cuda_mean_chunks(const struct vj_cuda_mean_job *job)
{
    return vj_cuda_blocks(job->pixels, VJ_CUDA_MEAN_CHUNK);
}

/* Computes a chunk's terms; zeros beyond the picture. */
static inline VJ_HD void vj_cuda_mean_terms(const struct vj_cuda_mean_job *job,
                                            struct vj_cuda_mean_shared *s, size_t chunk,
                                            struct vj_cuda_place at, unsigned thread)
{
    const float *map = job->map[at.y];
    if (thread < VJ_CUDA_MEAN_ADDERS)
        return;
    for (size_t k = thread - VJ_CUDA_MEAN_ADDERS; k < VJ_CUDA_MEAN_CHUNK;
         k += VJ_CUDA_MEAN_WORKERS) {
        const size_t i = chunk * VJ_CUDA_MEAN_CHUNK + k;
        double term = 0;
        if (i < job->pixels && job->candidates) {
            const uint8_t *candidate = job->candidates + at.x * job->pixels * (size_t)job->channels;
            term = vj_jnd_excess_term(
                vj_cuda_luma_difference(candidate, job->channels, job->reference, i), map[i]);
        } else if (i < job->pixels) {
            term = (double)map[i] * (double)map[i];
        }
        s->term[chunk % 2][k] = term;
    }
}

/* Adds a chunk's terms. *sum: of the thread's lane */
static inline VJ_HD void vj_cuda_mean_add(const struct vj_cuda_mean_job *job,
                                          const struct vj_cuda_mean_shared *s, size_t chunk,
                                          unsigned thread, double *sum)
{
    if (thread >= job->lanes)
        return;
    const double *term = s->term[chunk % 2] + thread;
    for (unsigned k = 0; k < VJ_CUDA_MEAN_CHUNK / job->lanes; k += VJ_CUDA_MEAN_AHEAD) {
        double next[VJ_CUDA_MEAN_AHEAD];
        VJ_CUDA_UNROLL
        for (unsigned i = 0; i < VJ_CUDA_MEAN_AHEAD; i++)
            next[i] = term[(k + i) * job->lanes];
        VJ_CUDA_UNROLL
        for (unsigned i = 0; i < VJ_CUDA_MEAN_AHEAD; i++)
            *sum += next[i];
    }
}

/*
 * Steps, with a barrier after each: terms of chunk 0; then for every chunk terms of the next one
 * and this one's sums; lanes; the mean.
 */
static inline VJ_HD void vj_cuda_mean_step(const struct vj_cuda_mean_job *job,
                                           struct vj_cuda_mean_shared *s, size_t chunk,
                                           struct vj_cuda_place at, unsigned thread, double *sum)
{
    if (chunk + 1 < vj_cuda_mean_chunks(job))
        vj_cuda_mean_terms(job, s, chunk + 1, at, thread);
    vj_cuda_mean_add(job, s, chunk, thread, sum);
}

static inline VJ_HD void vj_cuda_mean_lanes(const struct vj_cuda_mean_job *job,
                                            struct vj_cuda_mean_shared *s, unsigned thread,
                                            double sum)
{
    if (thread < job->lanes)
        s->lane[thread] = sum;
}

static inline VJ_HD void vj_cuda_mean_write(const struct vj_cuda_mean_job *job,
                                            const struct vj_cuda_mean_shared *s,
                                            struct vj_cuda_place at, unsigned thread)
{
    if (thread != 0)
        return;
    double sum = 0;
    for (unsigned k = 0; k < job->lanes; k++)
        sum += s->lane[k];
    job->mean[at.y][at.x] = sum / (double)job->pixels;
}

#ifdef __cplusplus
}
#endif

#endif
