/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that hold candidates against maps (host/jnd_rules.h), written as described
 * in jpeg_body.h. Counts and squares of differences are integers, which any order adds up to the
 * same; sums of doubles are made in the order of host/jnd_rules.h.
 */
#ifndef VJ_CUDA_JND_RULES_BODY_H
#define VJ_CUDA_JND_RULES_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/jnd_body.h"
#include "host/jnd_rules.h"

/* |D - R| of a pixel. candidate: the picture; reference: luma */
static inline VJ_HD int vj_cuda_luma_difference(const uint8_t *candidate, int channels,
                                                const uint8_t *reference, size_t i)
{
    int difference =
        (int)vj_cuda_luma_pixel(candidate + i * (size_t)channels, channels) - (int)reference[i];
    return difference < 0 ? -difference : difference;
}

/* ---- Sums over the pixels of candidates, and of maps --------------------------------------- */

enum {
    VJ_CUDA_RULES_SEGMENTS = VJ_CUDA_THREADS / VJ_JND_LANES, /* of a block: a thread per lane */
};

/* Of a lane, a segment or a candidate. */
struct vj_cuda_rules_sums {
    double real;     /* excesses, or the noise energy */
    uint32_t above;  /* of at most a segment, as is the next */
    uint32_t square; /* of differences */
};

struct vj_cuda_rules_job {
    const uint8_t *candidates; /* [count][pixels][channels]; NULL: the noise energy of the map */
    size_t count;              /* 1 for the noise energy */
    size_t pixels;
    int channels;
    const uint8_t *reference; /* luma */
    const float *map;
    struct vj_cuda_rules_sums *part; /* [segments][count] */
    double *share;                   /* [count], or NULL, as are the next two */
    double *real;                    /* excesses, or the noise energy */
    uint64_t *square;                /* sums, not means */
};

struct vj_cuda_rules_shared {
    struct vj_cuda_rules_sums lane[VJ_CUDA_THREADS];
};

static inline VJ_HD size_t vj_cuda_rules_segments(size_t pixels)
{
    return vj_cuda_blocks(pixels, VJ_JND_SEGMENT);
}

static inline struct vj_cuda_grid vj_cuda_rules_grid(const struct vj_cuda_rules_job *job)
{
    return vj_cuda_line_grid(vj_cuda_rules_segments(job->pixels), VJ_CUDA_RULES_SEGMENTS,
                             job->count);
}

/* Step 1: a lane of a segment per thread. */
static inline VJ_HD void vj_cuda_rules_lane(const struct vj_cuda_rules_job *job,
                                            struct vj_cuda_rules_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    const uint8_t *candidate = NULL;
    if (job->candidates)
        candidate = job->candidates + at.z * job->pixels * (size_t)job->channels;
    const size_t segment = (size_t)at.x * VJ_CUDA_RULES_SEGMENTS + thread / VJ_JND_LANES;
    const size_t first = segment * VJ_JND_SEGMENT, rest = first + VJ_JND_SEGMENT;
    const size_t end = rest < job->pixels ? rest : job->pixels;
    struct vj_cuda_rules_sums sums = {0, 0, 0};
    for (size_t i = first + thread % VJ_JND_LANES; i < end; i += VJ_JND_LANES) {
        if (!candidate) {
            sums.real += vj_jnd_energy_term(job->map[i]);
            continue;
        }
        int difference = vj_cuda_luma_difference(candidate, job->channels, job->reference, i);
        sums.square += (uint32_t)(difference * difference);
        if ((float)difference > job->map[i]) { /* else the term is 0, and doubles are slow */
            sums.real += vj_jnd_excess_term(difference, job->map[i]);
            sums.above++;
        }
    }
    s->lane[thread] = sums;
}

/* Step 2: a segment per thread. */
static inline VJ_HD void vj_cuda_rules_segment(const struct vj_cuda_rules_job *job,
                                               const struct vj_cuda_rules_shared *s,
                                               struct vj_cuda_place at, unsigned thread)
{
    const size_t segment = (size_t)at.x * VJ_CUDA_RULES_SEGMENTS + thread;
    if (thread >= VJ_CUDA_RULES_SEGMENTS || segment >= vj_cuda_rules_segments(job->pixels))
        return;
    struct vj_cuda_rules_sums sums = {0, 0, 0};
    for (size_t k = 0; k < VJ_JND_LANES; k++) {
        const struct vj_cuda_rules_sums *lane = &s->lane[thread * VJ_JND_LANES + k];
        sums.real += lane->real;
        sums.above += lane->above;
        sums.square += lane->square;
    }
    job->part[segment * job->count + at.z] = sums;
}

/* Second kernel, a thread per candidate. They are few and wait for memory: parts are fetched many
 * at a time, and added in their order. */
static inline VJ_HD void vj_cuda_rules_total(const struct vj_cuda_rules_job *job, unsigned thread)
{
    enum { AT_ONCE = 16 };
    const size_t segments = vj_cuda_rules_segments(job->pixels);
    double real = 0;
    uint64_t above = 0, square = 0;
    for (size_t first = 0; first < segments; first += AT_ONCE) {
        struct vj_cuda_rules_sums part[AT_ONCE] = {{0, 0, 0}};
        VJ_UNROLL
        for (size_t k = 0; k < AT_ONCE; k++)
            if (first + k < segments)
                part[k] = job->part[(first + k) * job->count + thread];
        VJ_UNROLL
        for (size_t k = 0; k < AT_ONCE; k++) {
            real += part[k].real;
            above += part[k].above;
            square += part[k].square;
        }
    }
    if (job->share)
        job->share[thread] = (double)above / (double)job->pixels;
    if (job->real)
        job->real[thread] = real / (double)job->pixels;
    if (job->square)
        job->square[thread] = square;
}

#ifdef __cplusplus
}
#endif

#endif
