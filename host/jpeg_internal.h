/* SPDX-License-Identifier: MIT */
/* What the files of the JPEG candidates share; nobody else includes it. */
#ifndef VJ_HOST_JPEG_INTERNAL_H
#define VJ_HOST_JPEG_INTERNAL_H

#include <stdbool.h>

#include "host/jpeg_plan.h"

/* For parts of VJ_SIMD functions: a copy apart would be compiled for the baseline processor. */
#define VJ_JPEG_INLINE static inline __attribute__((always_inline))

struct vj_jpeg_plan {
    struct vj_jpeg_geometry geometry; /* all zero: empty */
    int16_t *coefficients;            /* [blocks][64] */
    size_t block_capacity;
    uint8_t *strip; /* samples of one row of MCUs while loading, see jpeg_plan.c */
    size_t strip_capacity, strip_stride; /* bytes per row of the strip: at most, now */
};

/* One thread's work space; every array is sized for the largest picture. */
struct vj_jpeg_scratch {
    size_t block_capacity, width_capacity, pixel_capacity; /* the last in bytes */
    struct vj_jpeg_cosines cosines;
    struct vj_jpeg_quantiser quantiser[2];
    uint8_t *samples;              /* planes of decoded blocks, component c from first[c] * 64 */
    uint8_t *decoded;              /* [blocks]: 1 when the block's samples are there */
    uint8_t *pixels;               /* a whole picture, for patches that cover it more than once */
    int16_t *column_step;          /* a row of chroma between the two steps of up-sampling */
    uint8_t *chroma[2];            /* a row of full-resolution Cb, Cr */
    uint8_t *bits;                 /* entropy-coded bits of a row of MCUs */
    uint64_t zigzag_flags[8][256]; /* [row][flags of its coefficients] in zigzag order */
    struct vj_jpeg_codes codes[2][2]; /* [table][0 DC, 1 AC] */
};

/* Checks the arguments that describe a picture. */
int vj_jpeg_check_shape(size_t width, size_t height, int channels, enum vj_subsampling sampling,
                        struct vj_error *err);

/* Checks what every use of a plan needs: a picture, a valid QF, a scratch that is large enough. */
int vj_jpeg_check(const struct vj_jpeg_plan *plan, int qf, const struct vj_jpeg_scratch *scratch,
                  struct vj_error *err);

/*
 * Transposes 8 x 8. Interleaving the first half of the elements with the second turns the six bits
 * of an element's index round by one, so three rounds exchange row and column; compilers make
 * unpack instructions of it.
 */
VJ_JPEG_INLINE void vj_jpeg_interleave_words(int16_t *restrict to, const int16_t *restrict from)
{
    for (int i = 0; i < 32; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[i + 32];
    }
}

VJ_JPEG_INLINE void vj_jpeg_transpose_words(int16_t m[64])
{
    _Alignas(32) int16_t once[64], twice[64];
    vj_jpeg_interleave_words(once, m);
    vj_jpeg_interleave_words(twice, once);
    vj_jpeg_interleave_words(m, twice);
}

VJ_JPEG_INLINE void vj_jpeg_interleave_bytes(uint8_t *restrict to, const uint8_t *restrict from)
{
    for (int i = 0; i < 32; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[i + 32];
    }
}

VJ_JPEG_INLINE void vj_jpeg_transpose_bytes(uint8_t m[64])
{
    _Alignas(32) uint8_t once[64], twice[64];
    vj_jpeg_interleave_bytes(once, m);
    vj_jpeg_interleave_bytes(twice, once);
    vj_jpeg_interleave_bytes(m, twice);
}

#endif
