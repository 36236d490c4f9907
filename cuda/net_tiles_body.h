/* SPDX-License-Identifier: MIT */
/*
 * Winograd's F(4x4, 3x3) (host/winograd.h) on a device: what lies before and behind the products of
 * vj_cuda_net_conv_product(). A thread has one channel of one tile, so that neighbours read and
 * write neighbours; everything of it stays in registers. Single precision.
 */
#ifndef VJ_CUDA_NET_TILES_BODY_H
#define VJ_CUDA_NET_TILES_BODY_H

#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_plan.h"
#include "host/winograd.h"

/* Maps of some patches and their tiles. */
struct vj_cuda_net_tiles {
    unsigned side, across; /* of a map: pixels and tiles */
    unsigned channels;
    unsigned count; /* threads: patches * across * across * channels, less than 2^31 */
    size_t plane;   /* floats of one of the 36 matrices */
};

struct vj_cuda_net_tiles_in_job {
    struct vj_cuda_net_tiles shape;
    const float *map;   /* [patches][side][side][channels] */
    const float *scale; /* [patches][channels], to be multiplied with; or NULL */
    float *inputs;      /* [36][tiles][channels] */
};

struct vj_cuda_net_tiles_out_job {
    struct vj_cuda_net_tiles shape;
    const float *products; /* [36][tiles][channels] */
    const float *bias;     /* [channels] */
    float *map;            /* [patches][side][side][channels] */
};

struct vj_cuda_net_tiles_pool_job {
    struct vj_cuda_net_tiles shape;
    const float *products; /* [36][tiles][channels] */
    const float *bias;     /* [channels] */
    float *pooled;         /* [patches][side / 2][side / 2][channels]: 2x2 maxima */
    float *sums, *peaks;   /* of the tiles, [patches][across][across][channels]; or NULL */
};

/* patches: of the maps at hand, at most conv->group */
static inline VJ_HD struct vj_cuda_net_tiles
vj_cuda_net_tiles_of(const struct vj_cuda_net_conv *conv, size_t patches, int channels)
{
    struct vj_cuda_net_tiles t;
    const size_t tiles = (size_t)conv->across * (size_t)conv->across;
    t.side = (unsigned)conv->side;
    t.across = (unsigned)conv->across;
    t.channels = (unsigned)channels;
    t.count = (unsigned)(patches * tiles * (size_t)channels);
    t.plane = conv->group * tiles * (size_t)channels;
    return t;
}

/* Where a thread's tile lies. */
struct vj_cuda_net_tile {
    unsigned patch, channel;
    unsigned y, x; /* first pixel of its outputs */
};

static inline VJ_HD struct vj_cuda_net_tile vj_cuda_net_tile_of(const struct vj_cuda_net_tiles *t,
                                                                unsigned thread)
{
    struct vj_cuda_net_tile at;
    const unsigned tile = thread / t->channels, line = tile / t->across;
    at.patch = line / t->across;
    at.channel = thread % t->channels;
    at.y = line % t->across * VJ_WINOGRAD_OUT;
    at.x = tile % t->across * VJ_WINOGRAD_OUT;
    return at;
}

static inline VJ_HD struct vj_winograd_six vj_cuda_net_six(const float v[VJ_WINOGRAD_IN])
{
    struct vj_winograd_six six = {v[0], v[1], v[2], v[3], v[4], v[5]};
    return six;
}

static inline VJ_HD void vj_cuda_net_tiles_in_step(const struct vj_cuda_net_tiles_in_job *j,
                                                   size_t thread)
{
    const struct vj_cuda_net_tiles *t = &j->shape;
    const struct vj_cuda_net_tile at = vj_cuda_net_tile_of(t, (unsigned)thread);
    const float *map = j->map + (size_t)at.patch * t->side * t->side * t->channels + at.channel;
    const float scale = j->scale ? j->scale[(size_t)at.patch * t->channels + at.channel] : 1.0f;
    float half[VJ_WINOGRAD_IN][VJ_WINOGRAD_IN]; /* [row][column] */
    VJ_UNROLL
    for (unsigned x = 0; x < VJ_WINOGRAD_IN; x++) {
        float d[VJ_WINOGRAD_IN];
        VJ_UNROLL
        for (unsigned y = 0; y < VJ_WINOGRAD_IN; y++) {
            /* Above and left of the map these are huge numbers, which are outside too. */
            const unsigned from_y = at.y + y - 1, from_x = at.x + x - 1;
            d[y] = from_y < t->side && from_x < t->side
                       ? map[((size_t)from_y * t->side + from_x) * t->channels] * scale
                       : 0.0f;
        }
        const struct vj_winograd_six v = vj_winograd_input(vj_cuda_net_six(d));
        half[0][x] = v.v0;
        half[1][x] = v.v1;
        half[2][x] = v.v2;
        half[3][x] = v.v3;
        half[4][x] = v.v4;
        half[5][x] = v.v5;
    }
    float *to = j->inputs + thread;
    VJ_UNROLL
    for (unsigned y = 0; y < VJ_WINOGRAD_IN; y++) {
        const struct vj_winograd_six v = vj_winograd_input(vj_cuda_net_six(half[y]));
        float *row = to + y * VJ_WINOGRAD_IN * t->plane;
        row[0] = v.v0;
        row[t->plane] = v.v1;
        row[2 * t->plane] = v.v2;
        row[3 * t->plane] = v.v3;
        row[4 * t->plane] = v.v4;
        row[5 * t->plane] = v.v5;
    }
}

/* A tile's outputs, relu of the sums and the bias. */
struct vj_cuda_net_tile_outputs {
    float v[VJ_WINOGRAD_OUT][VJ_WINOGRAD_OUT];
};

static inline VJ_HD float vj_cuda_net_tile_relu(float v)
{
    return v < 0.0f ? 0.0f : v; /* keeps NaN */
}

static inline VJ_HD struct vj_cuda_net_tile_outputs
vj_cuda_net_tile_outputs_of(const struct vj_cuda_net_tiles *t, const float *products,
                            const float *biases, size_t thread)
{
    const float bias = biases[(unsigned)thread % t->channels];
    const float *from = products + thread;
    float half[VJ_WINOGRAD_OUT][VJ_WINOGRAD_IN]; /* [row][column] */
    struct vj_cuda_net_tile_outputs out;
    VJ_UNROLL
    for (unsigned x = 0; x < VJ_WINOGRAD_IN; x++) {
        float m[VJ_WINOGRAD_IN];
        VJ_UNROLL
        for (unsigned y = 0; y < VJ_WINOGRAD_IN; y++)
            m[y] = from[(y * VJ_WINOGRAD_IN + x) * t->plane];
        const struct vj_winograd_four v = vj_winograd_output(vj_cuda_net_six(m));
        half[0][x] = v.v0;
        half[1][x] = v.v1;
        half[2][x] = v.v2;
        half[3][x] = v.v3;
    }
    VJ_UNROLL
    for (unsigned y = 0; y < VJ_WINOGRAD_OUT; y++) {
        const struct vj_winograd_four v = vj_winograd_output(vj_cuda_net_six(half[y]));
        out.v[y][0] = vj_cuda_net_tile_relu(v.v0 + bias);
        out.v[y][1] = vj_cuda_net_tile_relu(v.v1 + bias);
        out.v[y][2] = vj_cuda_net_tile_relu(v.v2 + bias);
        out.v[y][3] = vj_cuda_net_tile_relu(v.v3 + bias);
    }
    return out;
}

static inline VJ_HD void vj_cuda_net_tiles_out_step(const struct vj_cuda_net_tiles_out_job *j,
                                                    size_t thread)
{
    const struct vj_cuda_net_tiles *t = &j->shape;
    const struct vj_cuda_net_tile at = vj_cuda_net_tile_of(t, (unsigned)thread);
    const struct vj_cuda_net_tile_outputs out =
        vj_cuda_net_tile_outputs_of(t, j->products, j->bias, thread);
    float *map = j->map + (size_t)at.patch * t->side * t->side * t->channels + at.channel;
    VJ_UNROLL
    for (unsigned y = 0; y < VJ_WINOGRAD_OUT; y++) {
        VJ_UNROLL
        for (unsigned x = 0; x < VJ_WINOGRAD_OUT; x++)
            if (at.y + y < t->side && at.x + x < t->side)
                map[((size_t)(at.y + y) * t->side + at.x + x) * t->channels] = out.v[y][x];
    }
}

static inline VJ_HD float vj_cuda_net_tile_larger(float a, float b)
{
    return b > a || isnan(b) ? b : a; /* keeps NaN */
}

/* Pixels of a map of even side come and go by fours, so that a window is whole or outside. */
static inline VJ_HD void vj_cuda_net_tiles_pool_step(const struct vj_cuda_net_tiles_pool_job *j,
                                                     size_t thread)
{
    const struct vj_cuda_net_tiles *t = &j->shape;
    const struct vj_cuda_net_tile at = vj_cuda_net_tile_of(t, (unsigned)thread);
    const struct vj_cuda_net_tile_outputs out =
        vj_cuda_net_tile_outputs_of(t, j->products, j->bias, thread);
    const unsigned half = t->side / 2;
    float *pooled = j->pooled + (size_t)at.patch * half * half * t->channels + at.channel;
    float sum = 0.0f, peak = 0.0f;
    VJ_UNROLL
    for (unsigned y = 0; y < VJ_WINOGRAD_OUT; y += 2) {
        VJ_UNROLL
        for (unsigned x = 0; x < VJ_WINOGRAD_OUT; x += 2) {
            const float a = out.v[y][x], b = out.v[y][x + 1];
            const float c = out.v[y + 1][x], d = out.v[y + 1][x + 1];
            const float top = vj_cuda_net_tile_larger(vj_cuda_net_tile_larger(a, b),
                                                      vj_cuda_net_tile_larger(c, d));
            const unsigned to_y = (at.y + y) / 2, to_x = (at.x + x) / 2;
            if (to_y >= half || to_x >= half)
                continue;
            pooled[((size_t)to_y * half + to_x) * t->channels] = top;
            sum += (a + b) + (c + d);
            peak = vj_cuda_net_tile_larger(peak, top);
        }
    }
    if (j->sums) {
        j->sums[thread] = sum;
        j->peaks[thread] = peak;
    }
}

#ifdef __cplusplus
}
#endif

#endif
