/* SPDX-License-Identifier: MIT */
/*
 * Building blocks of the procedural pictures: hashes, lattice noise, colours. Internal.
 *
 * Only + - * / sqrtf and conversions of floats are used, all of which IEEE 754 rounds in one way,
 * so that a picture has the same bytes on every machine; no sin, exp or pow, whose last bit depends
 * on the C library.
 */
#ifndef VJ_DATASETS_GENERATOR_NOISE_H
#define VJ_DATASETS_GENERATOR_NOISE_H

#include <math.h>
#include <stdint.h>

#include "host/rng.h"

/* ---- random parameters of a picture: drawn one after the other ---- */

struct vj_dice {
    uint64_t seed;
    uint32_t picture;
    uint32_t rolled;
};

static inline uint32_t vj_roll_word(struct vj_dice *d)
{
    struct vj_u32x4 r = vj_random4(d->seed, VJ_RNG_SYNTHETIC, d->picture, d->rolled / 4);
    return r.v[d->rolled++ % 4];
}

/* Uniform in [low, high). */
static inline float vj_roll(struct vj_dice *d, float low, float high)
{
    return low + (high - low) * ((float)(vj_roll_word(d) >> 8) * (1.0f / 16777216.0f));
}

/* Integer in [0, n). */
static inline uint32_t vj_roll_below(struct vj_dice *d, uint32_t n)
{
    return vj_random_below(vj_roll_word(d), n);
}

/* ---- random numbers of a place: functions of integer coordinates ---- */

#define VJ_HASH_X 0x9E3779B1u
#define VJ_HASH_Y 0x85EBCA77u

/* The finaliser of MurmurHash3. */
static inline uint32_t vj_hash(uint32_t h)
{
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

static inline uint32_t vj_hash2(int32_t x, int32_t y, uint32_t key)
{
    return vj_hash(key + (uint32_t)x * VJ_HASH_X + (uint32_t)y * VJ_HASH_Y);
}

/* A byte of a hash as a number in [0, 1]. */
static inline float vj_byte(uint32_t hash, int number)
{
    return (float)((hash >> (8 * number)) & 255u) * (1.0f / 255.0f);
}

/* Nearly normal, mean 0, deviation 1, within +-3.5: the sum of four bytes. */
static inline float vj_grain(int32_t x, int32_t y, uint32_t key)
{
    uint32_t h = vj_hash2(x, y, key);
    int32_t sum = (int32_t)((h & 255u) + ((h >> 8) & 255u) + ((h >> 16) & 255u) + (h >> 24));
    return (float)(sum - 510) * (1.0f / 147.8f);
}

/* ---- scalars ---- */

static inline float vj_clamp01(float v)
{
    return v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
}

static inline float vj_mix(float a, float b, float t)
{
    return a + (b - a) * t;
}

/* 0 below `from`, 1 above `to`, smooth between; from > to turns it round. */
static inline float vj_smooth(float from, float to, float v)
{
    float t = vj_clamp01((v - from) / (to - from));
    return t * t * (3.0f - 2.0f * t);
}

/* Largest integer not above v, for |v| < 2^31. */
static inline int32_t vj_floor(float v)
{
    int32_t i = (int32_t)v;
    return i - (v < (float)i);
}

/* Period 1, in [-1, 1], a sine in looks: two parabolas. */
static inline float vj_wave(float v)
{
    float t = v - (float)vj_floor(v);
    return t < 0.5f ? 16.0f * t * (0.5f - t) : -16.0f * (t - 0.5f) * (1.0f - t);
}

/* About log2(v) for normal v > 0: exact at powers of two, 0.01 off between them. */
static inline float vj_log2(float v)
{
    union {
        float f;
        uint32_t u;
    } bits = {v};
    float exponent = (float)(int32_t)(bits.u >> 23) - 127.0f;
    bits.u = (bits.u & 0x7fffffu) | 0x3f800000u;
    float m = bits.f - 1.0f;
    return exponent + m * (1.34f - 0.34f * m);
}

/* Share of a pixel covered at signed distance d from an edge, both in the same unit; inside d < 0.
 */
static inline float vj_cover(float d, float pixel)
{
    return vj_clamp01(0.5f - d / pixel);
}

/* ---- noise ---- */

/* Product of (dx, dy) with the random direction of the lattice point whose place is hashed. */
static inline float vj_lattice_dot(uint32_t place, float dx, float dy)
{
    uint32_t h = vj_hash(place);
    float gx = (float)(int32_t)(h & 0xffffu) - 32767.5f;
    float gy = (float)(int32_t)(h >> 16) - 32767.5f;
    return (gx * dx + gy * dy) * (1.0f / 32767.5f);
}

/* Gradient noise (Perlin), mean 0, mostly within +-0.7. */
static inline float vj_noise(float x, float y, uint32_t key)
{
    int32_t ix = vj_floor(x), iy = vj_floor(y);
    float dx = x - (float)ix, dy = y - (float)iy;
    float fx = dx * dx * dx * (dx * (dx * 6.0f - 15.0f) + 10.0f);
    float fy = dy * dy * dy * (dy * (dy * 6.0f - 15.0f) + 10.0f);
    uint32_t place = key + (uint32_t)ix * VJ_HASH_X + (uint32_t)iy * VJ_HASH_Y;
    float top =
        vj_mix(vj_lattice_dot(place, dx, dy), vj_lattice_dot(place + VJ_HASH_X, dx - 1.0f, dy), fx);
    float bottom = vj_mix(vj_lattice_dot(place + VJ_HASH_Y, dx, dy - 1.0f),
                          vj_lattice_dot(place + VJ_HASH_X + VJ_HASH_Y, dx - 1.0f, dy - 1.0f), fx);
    return vj_mix(top, bottom, fy);
}

/*
 * Octaves of noise, each twice as fine and `gain` times as strong as the one before; gain 0.5 has
 * the 1/f amplitudes of natural pictures. Octaves finer than two pixels are left out. frequency: of
 * the first octave, per scene unit; pixel: size of a pixel in scene units
 */
static inline float vj_fractal(float x, float y, float frequency, int octaves, float gain,
                               float pixel, uint32_t key)
{
    float sum = 0.0f, amplitude = 1.0f;
    for (int i = 0; i < octaves && frequency * pixel < 0.5f; i++) {
        sum += amplitude * vj_noise(x * frequency, y * frequency, key + (uint32_t)i);
        float turned = 0.8f * x - 0.6f * y; /* so that the lattices do not line up */
        y = 0.6f * x + 0.8f * y;
        x = turned;
        amplitude *= gain;
        frequency *= 2.0f;
    }
    return sum;
}

/* The same of noise folded at 0, whose creases look like ridges; mean about 0. */
static inline float vj_ridged(float x, float y, float frequency, int octaves, float gain,
                              float pixel, uint32_t key)
{
    float sum = 0.0f, amplitude = 1.0f;
    for (int i = 0; i < octaves && frequency * pixel < 0.5f; i++) {
        float n = vj_noise(x * frequency, y * frequency, key + (uint32_t)i);
        sum += amplitude * (0.45f - 2.0f * (n < 0.0f ? -n : n));
        float turned = 0.8f * x - 0.6f * y;
        y = 0.6f * x + 0.8f * y;
        x = turned;
        amplitude *= gain;
        frequency *= 2.0f;
    }
    return sum;
}

/* ---- colours: display-referred RGB, 0..1 ---- */

struct vj_rgb {
    float r, g, b;
};

static inline struct vj_rgb vj_rgb_mix(struct vj_rgb a, struct vj_rgb b, float t)
{
    return (struct vj_rgb){vj_mix(a.r, b.r, t), vj_mix(a.g, b.g, t), vj_mix(a.b, b.b, t)};
}

static inline struct vj_rgb vj_rgb_scale(struct vj_rgb a, float t)
{
    return (struct vj_rgb){a.r * t, a.g * t, a.b * t};
}

/* A little warmer (v > 0) or cooler (v < 0). */
static inline struct vj_rgb vj_rgb_tint(struct vj_rgb a, float v)
{
    return (struct vj_rgb){a.r * (1.0f + v), a.g, a.b * (1.0f - v)};
}

#endif
