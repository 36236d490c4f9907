/* SPDX-License-Identifier: MIT */
/* Weights and patches by integer formula, the same as in tests/golden/net/make_golden.py. */
#ifndef VJ_TESTS_NET_FORMULA_H
#define VJ_TESTS_NET_FORMULA_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "host/rng.h"
#include "host/weights.h"

/* MurmurHash3's 32-bit finaliser (A. Appleby). */
static inline uint32_t formula_mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ x >> 16;
}

static inline void formula_tensor(struct vj_tensor *t)
{
    const uint32_t key = formula_mix((uint32_t)vj_name_hash(t->name));
    float scale = 0.1f;
    if (t->rank > 1) {
        bool sharp = strstr(t->name, "theta") || strstr(t->name, "phi");
        size_t fan_in = t->count / t->shape[t->rank - 1];
        scale = (float)sqrt((sharp ? 60.0 : 6.0) / (double)fan_in);
    }
    for (size_t i = 0; i < t->count; i++) {
        uint32_t word = formula_mix(key + (uint32_t)i * 0x9e3779b9u);
        t->data[i] = ((float)(word >> 8) - 8388608.0f) / 8388608.0f * scale;
    }
}

static inline int formula_weights(struct vj_weights *w, const struct vj_net_shape *shape,
                                  struct vj_error *err)
{
    int r = vj_weights_alloc(w, shape, err);
    for (size_t i = 0; i < w->count && !r; i++)
        formula_tensor(&w->tensors[i]);
    return r;
}

/* A shape of variant pw-jnd. */
static inline struct vj_net_shape pw_shape(int size, int c1, int c2, int c3, int c4, int c5)
{
    struct vj_net_shape s = vj_net_shape_default(VJ_VARIANT_PW_JND);
    const int channels[5] = {c1, c2, c3, c4, c5};
    s.patch_size = size;
    memcpy(s.channels, channels, sizeof(s.channels));
    return s;
}

enum { FORMULA_REFERENCE = 0, FORMULA_JND = 1, FORMULA_CANDIDATE = 2 };

/* One patch, [size][size][channels]; candidate i has kind FORMULA_CANDIDATE + i. */
static inline void formula_patch(uint8_t *out, int kind, size_t patch, size_t size, size_t channels)
{
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++)
            for (size_t c = 0; c < channels; c++) {
                const size_t at = (y * size + x) * channels + c;
                const size_t slope = 40 * patch + (3 + patch) * x + 2 * y + 31 * c;
                const uint32_t salt =
                    (kind == FORMULA_JND ? 977u : 131071u) * (uint32_t)(patch + 1);
                const uint32_t word = formula_mix((uint32_t)at + salt);
                size_t value;
                if (kind == FORMULA_JND)
                    value = (slope / 3 + word % 24) % 61;
                else
                    value = (slope / 2 + word % 48) % 256;
                if (kind >= FORMULA_CANDIDATE) {
                    size_t step = 4 * (size_t)(kind - 1) + 3;
                    value = value / step * step;
                }
                out[at] = (uint8_t)value;
            }
}

#endif
