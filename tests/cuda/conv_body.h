/* SPDX-License-Identifier: MIT */
/*
 * A 3x3 convolution in single precision as a product of matrices whose left one is never stored:
 * what bench_conv_gpu asks is whether it beats cuDNN's fp32 kernels at the networks' shapes.
 *
 * Rows of the product are pixels of all maps, columns output channels; the sum runs over taps, row
 * by row, and in a tap over input channels, in one order. A thread block takes `down` pixels and
 * `across` channels, in steps of VJ_CONV_STEP input channels of one tap; a thread 8 pixels and 8
 * channels. The next step's numbers are fetched while this one's are multiplied.
 */
#ifndef VJ_TESTS_CUDA_CONV_BODY_H
#define VJ_TESTS_CUDA_CONV_BODY_H

#include "cuda/net_body.h"

enum {
    VJ_CONV_STEP = 8,
    VJ_CONV_MOST = 128, /* pixels and channels of a block */
    VJ_CONV_STRIDE = VJ_CONV_MOST + 4,
    VJ_CONV_FETCHES = 4, /* of quads, by a thread, from the maps in a step */
};

struct vj_conv_job {
    const float *map;    /* [rows][side][side][in] */
    const float *kernel; /* [3][3][in][out] */
    const float *bias;   /* [out] */
    float *to;           /* [rows][side][side][out], after relu */
    int side, in, out;   /* in: a multiple of VJ_CONV_STEP; out: of 4 */
    int pixels;          /* rows * side * side */
};

/* Pixels and channels of a block: multiples of 8 and at most VJ_CONV_MOST, at least 64 threads. */
struct vj_conv_block {
    int down, across;
};

struct vj_conv_shared {
    float pixel[2][VJ_CONV_STEP * VJ_CONV_STRIDE];   /* [step][pixel] */
    float channel[2][VJ_CONV_STEP * VJ_CONV_STRIDE]; /* [step][channel] */
};

/* What a thread has on its way to shared memory. */
struct vj_conv_fetched {
    struct vj_cuda_net_quad pixel[VJ_CONV_FETCHES], channel[VJ_CONV_FETCHES];
};

/* Pixels that a thread fetches for: where their centres lie, and their rows and columns. */
struct vj_conv_places {
    int at[VJ_CONV_FETCHES], y[VJ_CONV_FETCHES], x[VJ_CONV_FETCHES];
};

struct vj_conv_sums {
    float v[8][8]; /* pixels, channels */
};

static inline VJ_HD int vj_conv_threads(struct vj_conv_block b)
{
    return b.down * b.across / 64;
}

static inline VJ_HD int vj_conv_pixel_fetches(struct vj_conv_block b)
{
    return b.down * VJ_CONV_STEP / 4 / vj_conv_threads(b);
}

static inline VJ_HD int vj_conv_channel_fetches(struct vj_conv_block b)
{
    return b.across * VJ_CONV_STEP / 4 / vj_conv_threads(b);
}

/* Input channels `first` .. of a tap. */
struct vj_conv_step {
    int tap, first;
};

/* The step after; beyond the last one tap is 9. */
static inline VJ_HD struct vj_conv_step vj_conv_next(const struct vj_conv_job *j,
                                                     struct vj_conv_step s)
{
    s.first += VJ_CONV_STEP;
    if (s.first >= j->in) {
        s.first = 0;
        s.tap++;
    }
    return s;
}

/* Which pixel of the block a thread's fetch i is for. */
static inline VJ_HD int vj_conv_fetched_pixel(struct vj_conv_block b, int thread, int i)
{
    return (thread + i * vj_conv_threads(b)) / 2;
}

static inline VJ_HD void vj_conv_place(const struct vj_conv_job *j, struct vj_conv_block b,
                                       struct vj_conv_places *p, unsigned part, int thread)
{
    for (int i = 0; i < vj_conv_pixel_fetches(b); i++) {
        const unsigned side = (unsigned)j->side;
        const unsigned pixel =
            part * (unsigned)b.down + (unsigned)vj_conv_fetched_pixel(b, thread, i);
        p->at[i] = (int)pixel * j->in + thread % 2 * 4;
        p->x[i] = (int)(pixel % side);
        p->y[i] = (int)(pixel / side % side);
        if (pixel >= (unsigned)j->pixels)
            p->y[i] = -4; /* its taps are all outside */
    }
}

/* Reads the numbers of a step. */
static inline VJ_HD void vj_conv_fetch(const struct vj_conv_job *j, struct vj_conv_block b,
                                       const struct vj_conv_places *p, struct vj_conv_fetched *f,
                                       unsigned column, struct vj_conv_step s, int thread)
{
    const struct vj_cuda_net_quad none = {{0.0f, 0.0f, 0.0f, 0.0f}};
    const int dy = s.tap / 3 - 1, dx = s.tap % 3 - 1;
    for (int i = 0; i < vj_conv_pixel_fetches(b); i++) {
        const bool inside = (unsigned)(p->y[i] + dy) < (unsigned)j->side &&
                            (unsigned)(p->x[i] + dx) < (unsigned)j->side;
        const int at = p->at[i] + (dy * j->side + dx) * j->in + s.first;
        f->pixel[i] = inside ? vj_cuda_net_get4(j->map, (size_t)at, false) : none;
    }
    for (int i = 0; i < vj_conv_channel_fetches(b); i++) {
        const int quads = b.across / 4, quad = thread + i * vj_conv_threads(b);
        const int k = quad / quads, c = (int)column * b.across + quad % quads * 4;
        const size_t at = (size_t)(s.tap * j->in + s.first + k) * (size_t)j->out + (size_t)c;
        f->channel[i] = c < j->out ? vj_cuda_net_get4(j->kernel, at, false) : none;
    }
}

/* Puts them into one of the two buffers. */
static inline VJ_HD void vj_conv_put(struct vj_conv_block b, const struct vj_conv_fetched *f,
                                     struct vj_conv_shared *shared, int buffer, int thread)
{
    for (int i = 0; i < vj_conv_pixel_fetches(b); i++) {
        const int pixel = vj_conv_fetched_pixel(b, thread, i), k = thread % 2 * 4;
        for (int n = 0; n < 4; n++)
            shared->pixel[buffer][(k + n) * VJ_CONV_STRIDE + pixel] = f->pixel[i].v[n];
    }
    for (int i = 0; i < vj_conv_channel_fetches(b); i++) {
        const int quads = b.across / 4, quad = thread + i * vj_conv_threads(b);
        vj_cuda_net_set4(shared->channel[buffer],
                         (size_t)(quad / quads * VJ_CONV_STRIDE + quad % quads * 4), f->channel[i],
                         false);
    }
}

/*
 * A thread's pixels are two runs of four, half a block apart, and its channels likewise: a warp's
 * reads are neighbours.
 */
static inline VJ_HD int vj_conv_pixel_run(struct vj_conv_block b, int thread, int run)
{
    return run * b.down / 2 + thread / (b.across / 8) * 4;
}

static inline VJ_HD int vj_conv_channel_run(struct vj_conv_block b, int thread, int run)
{
    return run * b.across / 2 + thread % (b.across / 8) * 4;
}

static inline VJ_HD void vj_conv_multiply(struct vj_conv_block b,
                                          const struct vj_conv_shared *shared, int buffer,
                                          struct vj_conv_sums *sums, int thread)
{
    VJ_UNROLL
    for (int k = 0; k < VJ_CONV_STEP; k++) {
        struct vj_cuda_net_quad pixel[2], channel[2];
        for (int run = 0; run < 2; run++) {
            const int row = k * VJ_CONV_STRIDE;
            pixel[run] = vj_cuda_net_get4(shared->pixel[buffer],
                                          (size_t)(row + vj_conv_pixel_run(b, thread, run)), false);
            channel[run] =
                vj_cuda_net_get4(shared->channel[buffer],
                                 (size_t)(row + vj_conv_channel_run(b, thread, run)), false);
        }
        for (int p = 0; p < 8; p++)
            for (int c = 0; c < 8; c++)
                sums->v[p][c] = fmaf(pixel[p / 4].v[p % 4], channel[c / 4].v[c % 4], sums->v[p][c]);
    }
}

static inline VJ_HD void vj_conv_finish(const struct vj_conv_job *j, struct vj_conv_block b,
                                        const struct vj_conv_sums *sums, unsigned part,
                                        unsigned column, int thread)
{
    for (int run = 0; run < 2; run++) {
        const int c = (int)column * b.across + vj_conv_channel_run(b, thread, run);
        if (c >= j->out)
            continue;
        const struct vj_cuda_net_quad bias = vj_cuda_net_get4(j->bias, (size_t)c, false);
        for (int p = 0; p < 8; p++) {
            const int pixel = (int)part * b.down + vj_conv_pixel_run(b, thread, p / 4) + p % 4;
            struct vj_cuda_net_quad q;
            for (int n = 0; n < 4; n++)
                q.v[n] = vj_cuda_net_relu(sums->v[p][4 * run + n] + bias.v[n]);
            if (pixel < j->pixels)
                vj_cuda_net_set4(j->to, (size_t)pixel * (size_t)j->out + (size_t)c, q, false);
        }
    }
}

#endif
