/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011). A number is a pure function of (seed, stream, index): the
 * same on every device, thread count and rank count. No state is kept anywhere.
 */
#ifndef VJ_HOST_RNG_H
#define VJ_HOST_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "host/hostdevice.h"

struct vj_u32x4 {
    uint32_t v[4];
};

/* Purposes that must never share numbers; part of the Philox counter. */
enum vj_rng_purpose {
    VJ_RNG_PATCHES = 1,   /* patch positions */
    VJ_RNG_WEIGHTS = 2,   /* initial values of network weights */
    VJ_RNG_BOOTSTRAP = 3, /* resampling of images */
    VJ_RNG_SYNTHETIC = 4, /* procedural pictures */
    VJ_RNG_FOLDS = 5,     /* random folds */
    VJ_RNG_TEST = 6,      /* unit tests and benchmarks */
    VJ_RNG_DROPOUT = 7,   /* dropout masks of training */
    VJ_RNG_PAIRS = 8,     /* which pairs a training step sees, where their patches lie */
    VJ_RNG_CROPS = 9,     /* windows of photographs that `synth --photos` cuts */
    VJ_RNG_EXPOSURE = 10, /* which of them are overexposed or underexposed, and how far */
    VJ_RNG_CAMERA = 11,   /* what is done to them as cameras do */
    VJ_RNG_NOISE = 12,    /* the grain that some of them get */
};

static inline VJ_HD struct vj_u32x4 vj_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                              uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    struct vj_u32x4 r = {{c0, c1, c2, c3}};
    return r;
}

/*
 * Four 32-bit words number `index` of the sequence (seed, purpose, stream).
 * seed:    the user's seed, all 64 bits are used
 * purpose: enum vj_rng_purpose, 0..255
 * stream:  what the numbers are for, e.g. a hash of the image's name; all 64 bits are used
 * index:   0 .. 2^24 - 1
 */
static inline VJ_HD struct vj_u32x4 vj_random4(uint64_t seed, int purpose, uint64_t stream,
                                               uint32_t index)
{
    return vj_philox((uint32_t)stream, (uint32_t)(stream >> 32), index, (uint32_t)purpose,
                     (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* Integer in [0, n), n >= 1, from one word; bias at most n / 2^32. */
static inline VJ_HD uint32_t vj_random_below(uint32_t word, uint32_t n)
{
    return (uint32_t)(((uint64_t)word * n) >> 32);
}

/* Uniform in (0, 1), never 0 or 1, from one word. */
static inline VJ_HD double vj_random_unit(uint32_t word)
{
    return ((double)word + 0.5) * (1.0 / 4294967296.0);
}

/* 64-bit FNV-1a of a NUL-terminated string: turns an image's name into a stream number. */
static inline uint64_t vj_name_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

#endif
