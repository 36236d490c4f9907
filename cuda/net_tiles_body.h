/* SPDX-License-Identifier: MIT */
/*
 * Winograd's F(4x4, 3x3) (host/winograd.h) on a device: what lies before and behind the products of
 * vj_cuda_net_conv_product(). A thread has one channel of one tile, so that neighbours read and
 * write neighbours; everything of it stays in registers. Single precision.
 */
#ifndef VJ_CUDA_NET_TILES_BODY_H
#define VJ_CUDA_NET_TILES_BODY_H

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
    const float *map; /* [patches][side][side][channels] */
    float *inputs;    /* [36][tiles][channels] */
};

struct vj_cuda_net_tiles_out_job {
    struct vj_cuda_net_tiles shape;
    const float *products; /* [36][tiles][channels] */
    const float *bias;     /* [channels] */
    float *map;            /* [patches][side][side][channels] */
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
    unsigned y, x; /* first pixel of its outputs */
    size_t map;    /* of pixel (0, 0) of its channel in the map */
};

static inline VJ_HD struct vj_cuda_net_tile vj_cuda_net_tile_of(const struct vj_cuda_net_tiles *t,
                                                                unsigned thread)
{
    struct vj_cuda_net_tile at;
    const unsigned channel = thread % t->channels, tile = thread / t->channels;
    const unsigned line = tile / t->across, patch = line / t->across;
    at.y = line % t->across * VJ_WINOGRAD_OUT;
    at.x = tile % t->across * VJ_WINOGRAD_OUT;
    at.map = (size_t)patch * t->side * t->side * t->channels + channel;
    return at;
}

static inline VJ_HD struct vj_winograd_six vj_cuda_net_six(const float v[VJ_WINOGRAD_IN])
{
    struct vj_winograd_six six = {v[0], v[1], v[2], v[3], v[4], v[5]};
    return six;
}

/* Pixel (y, x) of a thread's channel, or zero outside. */
static inline VJ_HD float vj_cuda_net_tile_pixel(const struct vj_cuda_net_tiles_in_job *j,
                                                 size_t map, unsigned y, unsigned x)
{
    const struct vj_cuda_net_tiles *t = &j->shape;
    /* Above and left of the map these are huge numbers, which are outside too. */
    return y < t->side && x < t->side ? j->map[map + ((size_t)y * t->side + x) * t->channels]
                                      : 0.0f;
}

static inline VJ_HD void vj_cuda_net_tiles_in_step(const struct vj_cuda_net_tiles_in_job *j,
                                                   size_t thread)
{
    const struct vj_cuda_net_tile at = vj_cuda_net_tile_of(&j->shape, (unsigned)thread);
    float half[VJ_WINOGRAD_IN][VJ_WINOGRAD_IN]; /* [row][column] */
    VJ_UNROLL
    for (unsigned x = 0; x < VJ_WINOGRAD_IN; x++) {
        float d[VJ_WINOGRAD_IN];
        VJ_UNROLL
        for (unsigned y = 0; y < VJ_WINOGRAD_IN; y++)
            d[y] = vj_cuda_net_tile_pixel(j, at.map, at.y + y - 1, at.x + x - 1);
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
        float *row = to + y * VJ_WINOGRAD_IN * j->shape.plane;
        row[0] = v.v0;
        row[j->shape.plane] = v.v1;
        row[2 * j->shape.plane] = v.v2;
        row[3 * j->shape.plane] = v.v3;
        row[4 * j->shape.plane] = v.v4;
        row[5 * j->shape.plane] = v.v5;
    }
}

/* relu of an output to pixel (y, x), where there is one. */
static inline VJ_HD void vj_cuda_net_tile_store(const struct vj_cuda_net_tiles_out_job *j,
                                                size_t map, unsigned y, unsigned x, float v)
{
    const struct vj_cuda_net_tiles *t = &j->shape;
    if (y < t->side && x < t->side)
        j->map[map + ((size_t)y * t->side + x) * t->channels] = v < 0.0f ? 0.0f : v; /* keeps NaN */
}

static inline VJ_HD void vj_cuda_net_tiles_out_step(const struct vj_cuda_net_tiles_out_job *j,
                                                    size_t thread)
{
    const struct vj_cuda_net_tile at = vj_cuda_net_tile_of(&j->shape, (unsigned)thread);
    const float bias = j->bias[(unsigned)thread % j->shape.channels];
    const float *from = j->products + thread;
    float half[VJ_WINOGRAD_OUT][VJ_WINOGRAD_IN]; /* [row][column] */
    VJ_UNROLL
    for (unsigned x = 0; x < VJ_WINOGRAD_IN; x++) {
        float m[VJ_WINOGRAD_IN];
        VJ_UNROLL
        for (unsigned y = 0; y < VJ_WINOGRAD_IN; y++)
            m[y] = from[(y * VJ_WINOGRAD_IN + x) * j->shape.plane];
        const struct vj_winograd_four v = vj_winograd_output(vj_cuda_net_six(m));
        half[0][x] = v.v0;
        half[1][x] = v.v1;
        half[2][x] = v.v2;
        half[3][x] = v.v3;
    }
    VJ_UNROLL
    for (unsigned y = 0; y < VJ_WINOGRAD_OUT; y++) {
        const struct vj_winograd_four v = vj_winograd_output(vj_cuda_net_six(half[y]));
        vj_cuda_net_tile_store(j, at.map, at.y + y, at.x, v.v0 + bias);
        vj_cuda_net_tile_store(j, at.map, at.y + y, at.x + 1, v.v1 + bias);
        vj_cuda_net_tile_store(j, at.map, at.y + y, at.x + 2, v.v2 + bias);
        vj_cuda_net_tile_store(j, at.map, at.y + y, at.x + 3, v.v3 + bias);
    }
}

#ifdef __cplusplus
}
#endif

#endif
