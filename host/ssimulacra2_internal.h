/* SPDX-License-Identifier: MIT */
/* What the two modes of SSIMULACRA2 share: scales of a picture, memory, norms. */
#ifndef VJ_HOST_SSIMULACRA2_INTERNAL_H
#define VJ_HOST_SSIMULACRA2_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "host/ssimulacra2.h"
#include "host/ssimulacra2_score.h"

/*
 * Memory is laid out once, by the same function that counts it: with base NULL nothing but `used`
 * changes and pointers come out NULL.
 */
struct vj_ssimulacra2_arena {
    uint8_t *base;
    size_t used; /* bytes */
};

/* On a 64-byte boundary. */
void *vj_ssimulacra2_take(struct vj_ssimulacra2_arena *arena, size_t count, size_t size);

/* Linear light of a picture at one scale: scale 0 is its bytes, the others are planes. */
struct vj_ssimulacra2_light {
    size_t width, height;
    const uint8_t *bytes; /* height x width x channels, borrowed; scale 0 only */
    int channels;
    const float *table; /* [256], linear light of a byte */
    float *plane[3];    /* red, green, blue; other scales */
};

/*
 * Points row[0..2] to `count` values of red, green and blue from (x, y) on, in the planes
 * themselves or, at scale 0, in buffer[0..2].
 */
void vj_ssimulacra2_light_row(const struct vj_ssimulacra2_light *light, size_t y, size_t x,
                              size_t count, float *const buffer[3], const float *row[3]);

/* The original at one scale: what the maps of every distorted picture need. */
struct vj_ssimulacra2_scale {
    size_t width, height;
    float *plane[VJ_SSIMULACRA2_CHANNELS];  /* a */
    float *mean[VJ_SSIMULACRA2_CHANNELS];   /* F(a) */
    float *second[VJ_SSIMULACRA2_CHANNELS]; /* exact: vj_ssimulacra2_base(); parity: F(a a) */
};

/* Columns that are summed together; what the exact mode keeps of them stays in the cache. */
enum { VJ_SSIMULACRA2_STRIP = 512 };

/*
 * The same for each column of a strip: sums that are added up in one order at the end, so that
 * nothing depends on the width of the processor's vectors.
 */
struct vj_ssimulacra2_columns {
    double first[VJ_SSIMULACRA2_MAPS][VJ_SSIMULACRA2_STRIP];
    double fourth[VJ_SSIMULACRA2_MAPS][VJ_SSIMULACRA2_STRIP];
};

void vj_ssimulacra2_add_columns(struct vj_ssimulacra2_sums *sums,
                                const struct vj_ssimulacra2_columns *columns, size_t count);

/* Work space of each mode, for planes up to a given size. */
struct vj_ssimulacra2_exact;
struct vj_ssimulacra2_parity;

struct vj_ssimulacra2_exact *vj_ssimulacra2_exact_place(struct vj_ssimulacra2_arena *arena,
                                                        size_t width);
struct vj_ssimulacra2_parity *vj_ssimulacra2_parity_place(struct vj_ssimulacra2_arena *arena,
                                                          size_t width, size_t height);

/* Fills the planes of `scale` from the original's linear light. */
void vj_ssimulacra2_exact_load(const struct vj_ssimulacra2_scale *scale,
                               const struct vj_ssimulacra2_light *light,
                               struct vj_ssimulacra2_exact *work);
void vj_ssimulacra2_parity_load(const struct vj_ssimulacra2_scale *scale,
                                const struct vj_ssimulacra2_light *light,
                                struct vj_ssimulacra2_parity *work);

/* Sums of one scale against the distorted picture's linear light, [channel]. */
void vj_ssimulacra2_exact_sums(const struct vj_ssimulacra2_scale *scale,
                               const struct vj_ssimulacra2_light *light,
                               struct vj_ssimulacra2_exact *work,
                               struct vj_ssimulacra2_sums sums[VJ_SSIMULACRA2_CHANNELS]);
void vj_ssimulacra2_parity_sums(const struct vj_ssimulacra2_scale *scale,
                                const struct vj_ssimulacra2_light *light,
                                struct vj_ssimulacra2_parity *work,
                                struct vj_ssimulacra2_sums sums[VJ_SSIMULACRA2_CHANNELS]);

#endif
