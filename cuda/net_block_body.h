/* SPDX-License-Identifier: MIT */
/*
 * A block behind the first in one kernel on tensor cores, for tf32 and fp16: from the pooled map
 * before it, which it scales as it reads, to its own, with the sums and peaks that channel
 * attention wants, without ever storing the map of full size. Of a patch of 128 pixels the second
 * block moves 0.4 MB in place of 2.1 (fp16; tf32: twice that).
 *
 * Bodies and products as in cuda/net_first_body.h. A thread block takes 256 pixels of the map, all
 * columns of some rows, and 64 of its channels; a warp two rows, 16 pixels of each. What it reads
 * of a pixel at a time is a chunk of 16 words of one number in single precision or of two halves,
 * two steps of eight. Column c of product n is channel 16 (c / 2) + 2 n + c % 2, so that a lane's
 * channels are neighbours.
 */
#ifndef VJ_CUDA_NET_BLOCK_BODY_H
#define VJ_CUDA_NET_BLOCK_BODY_H

#include "cuda/net_first_body.h"

enum {
    VJ_CUDA_BLOCK_WARPS = 8,
    VJ_CUDA_BLOCK_THREADS = VJ_CUDA_BLOCK_WARPS * VJ_CUDA_NET_LANES,
    VJ_CUDA_BLOCK_OWN = VJ_CUDA_BLOCK_CHANNELS / 4, /* channels of a lane */
    /* Words from pixel to pixel: lanes of a warp touch 32 different banks. */
    VJ_CUDA_BLOCK_PITCH = VJ_CUDA_BLOCK_WORDS + 2,
    /* Pixels under those of a thread block, of maps of 64 pixels. */
    VJ_CUDA_BLOCK_MOST_SAMPLES = (VJ_CUDA_BLOCK_PIXELS / 64 + 2) * (64 + 2),
    VJ_CUDA_BLOCK_AT_ONCE = 4, /* quarters of a chunk that a thread has on their way */
};

struct vj_cuda_block_job {
    const void *map;        /* [rows][side][side][in] */
    const float *scale;     /* [rows][in] */
    const uint32_t *kernel; /* as vj_cuda_net_conv_kernel() has it */
    const void *bias;       /* [out] */
    void *pooled;           /* [rows][side / 2][side / 2][out] */
    float *sums, *peaks;    /* [rows][side * side / VJ_CUDA_BLOCK_PIXELS][out] */
    int *flags;             /* [rows] */
    int side, in, out;
    bool half;
};

struct vj_cuda_block_shared {
    __attribute__((aligned(8))) uint32_t samples[VJ_CUDA_BLOCK_MOST_SAMPLES * VJ_CUDA_BLOCK_PITCH];
    float sum[VJ_CUDA_BLOCK_WARPS][VJ_CUDA_BLOCK_CHANNELS];
    float peak[VJ_CUDA_BLOCK_WARPS][VJ_CUDA_BLOCK_CHANNELS];
};

/* What a thread reads of a chunk at once, as it lies in memory. */
struct vj_cuda_block_quarters {
    __attribute__((aligned(16))) uint32_t v[VJ_CUDA_BLOCK_AT_ONCE][4];
};

/* Sums and peaks of one lane's channels. */
struct vj_cuda_block_statistics {
    float sum[VJ_CUDA_BLOCK_OWN], peak[VJ_CUDA_BLOCK_OWN];
};

/* Quarters of a chunk under a thread block's pixels. */
static inline VJ_HD int vj_cuda_block_places(int side)
{
    return 4 * (VJ_CUDA_BLOCK_PIXELS / side + 2) * (side + 2);
}

/* The first of a lane's channels, of those of its thread block. */
static inline VJ_HD int vj_cuda_block_channel(int lane)
{
    return lane % 4 * VJ_CUDA_BLOCK_OWN;
}

/* A warp's upper row in its thread block, and the first of its columns. */
static inline VJ_HD int vj_cuda_block_row(int side, int thread)
{
    return thread / VJ_CUDA_NET_LANES / (side / 16) * 2;
}

static inline VJ_HD int vj_cuda_block_column(int side, int thread)
{
    return thread / VJ_CUDA_NET_LANES % (side / 16) * 16;
}

/* Place i of the samples: a quarter of a chunk of a pixel under the thread block's. */
struct vj_cuda_block_place {
    int y, x; /* in the map, or around it */
    bool inside;
};

static inline VJ_HD struct vj_cuda_block_place
vj_cuda_block_place_of(const struct vj_cuda_block_job *j, unsigned part, int i)
{
    const int rows = VJ_CUDA_BLOCK_PIXELS / j->side, across = j->side + 2, pixel = i / 4;
    struct vj_cuda_block_place p;
    p.y = (int)part * rows + pixel / across - 1;
    p.x = pixel % across - 1;
    p.inside =
        i < vj_cuda_block_places(j->side) && p.y >= 0 && p.y < j->side && p.x >= 0 && p.x < j->side;
    return p;
}

/* The first channel of a thread's quarter. */
static inline VJ_HD int vj_cuda_block_first(const struct vj_cuda_block_job *j, int chunk,
                                            int thread)
{
    return (chunk * VJ_CUDA_BLOCK_WORDS + thread % 4 * 4) * (j->half ? 2 : 1);
}

/* Step 1, from place `from` + thread on in steps of the number of threads: reads. */
static inline VJ_HD struct vj_cuda_block_quarters
vj_cuda_block_fetch(const struct vj_cuda_block_job *j, unsigned part, size_t row, int chunk,
                    int from, int thread)
{
    struct vj_cuda_block_quarters q;
    const size_t side = (size_t)j->side, first = (size_t)vj_cuda_block_first(j, chunk, thread);
    VJ_UNROLL
    for (int k = 0; k < VJ_CUDA_BLOCK_AT_ONCE; k++) {
        const struct vj_cuda_block_place p =
            vj_cuda_block_place_of(j, part, from + thread + k * VJ_CUDA_BLOCK_THREADS);
        const size_t pixel = (row * side + (size_t)p.y) * side + (size_t)p.x;
        if (p.inside)
            vj_cuda_copy16(q.v[k], (const char *)j->map +
                                       (pixel * (size_t)j->in + first) * (j->half ? 2 : 4));
    }
    return q;
}

/* Scales them and stores them as tensor cores take them; 0 around the map. */
static inline VJ_HD void vj_cuda_block_store(const struct vj_cuda_block_job *j, uint32_t *samples,
                                             const struct vj_cuda_block_quarters *q, unsigned part,
                                             size_t row, int chunk, int from, int thread)
{
    const int width = vj_cuda_net_width(j->half), places = vj_cuda_block_places(j->side);
    float scale[8];
    VJ_UNROLL
    for (int k = 0; k < width; k++)
        scale[k] =
            j->scale[row * (size_t)j->in + (size_t)(vj_cuda_block_first(j, chunk, thread) + k)];
    VJ_UNROLL
    for (int k = 0; k < VJ_CUDA_BLOCK_AT_ONCE; k++) {
        const int i = from + thread + k * VJ_CUDA_BLOCK_THREADS;
        __attribute__((aligned(8))) uint32_t words[4] = {0, 0, 0, 0};
        if (vj_cuda_block_place_of(j, part, i).inside) {
            const struct vj_cuda_net_wide w = vj_cuda_net_get_wide(q->v[k], 0, j->half);
            VJ_UNROLL
            for (int n = 0; n < 4; n++)
                words[n] = j->half ? vj_cuda_first_halves(w.v[2 * n] * scale[2 * n],
                                                          w.v[2 * n + 1] * scale[2 * n + 1])
                                   : vj_cuda_first_tf32(w.v[n] * scale[n]);
        }
        if (i < places) {
            uint32_t *to = samples + i / 4 * VJ_CUDA_BLOCK_PITCH + i % 4 * 4;
            vj_cuda_copy8(to, words);
            vj_cuda_copy8(to + 2, words + 2);
        }
    }
}

/* A lane's part of step s of a tap for its warp's row y (0, 1). */
static inline VJ_HD struct vj_cuda_first_a vj_cuda_block_samples(const uint32_t *samples, int side,
                                                                 int tap, int s, int y, int thread)
{
    struct vj_cuda_first_a a;
    const int lane = thread % VJ_CUDA_NET_LANES;
    const int row = vj_cuda_block_row(side, thread) + y + tap / 3;
    const int column = vj_cuda_block_column(side, thread) + 2 * (lane / 4) + tap % 3;
    for (int r = 0; r < 4; r++)
        a.v[r] = samples[(row * (side + 2) + column + r % 2) * VJ_CUDA_BLOCK_PITCH + 8 * s +
                         lane % 4 + 4 * (r / 2)];
    return a;
}

/* Number of a lane's part of the kernel: product n of step s of a tap. group: of 64 channels */
static inline VJ_HD size_t vj_cuda_block_operand(int chunks, int group, int chunk, int tap, int s,
                                                 int n, int lane)
{
    const int step =
        ((group * chunks + chunk) * VJ_CUDA_FIRST_TAPS + tap) * VJ_CUDA_BLOCK_STEPS + s;
    return (size_t)((step * VJ_CUDA_BLOCK_PRODUCTS + n) * VJ_CUDA_NET_LANES + lane);
}

/* One access of 8 bytes a lane. */
static inline VJ_HD struct vj_cuda_first_b vj_cuda_block_right(const uint32_t *kernel, int chunks,
                                                               int group, int chunk, int tap, int s,
                                                               int n, int lane)
{
    __attribute__((aligned(8))) struct vj_cuda_first_b b;
    vj_cuda_copy8(b.v, kernel + 2 * vj_cuda_block_operand(chunks, group, chunk, tap, s, n, lane));
    return b;
}

/* Step 2, behind the products: relu, statistics and pooling of a lane's four pixels. */
static inline VJ_HD struct vj_cuda_block_statistics
vj_cuda_block_finish(const struct vj_cuda_block_job *j,
                     const struct vj_cuda_first_d d[2][VJ_CUDA_BLOCK_PRODUCTS], unsigned part,
                     size_t row, int group, int thread)
{
    const int rows = VJ_CUDA_BLOCK_PIXELS / j->side, half_side = j->side / 2;
    const int width = vj_cuda_net_width(j->half), lane = thread % VJ_CUDA_NET_LANES;
    const int y = ((int)part * rows + vj_cuda_block_row(j->side, thread)) / 2;
    const int x = vj_cuda_block_column(j->side, thread) / 2 + lane / 4;
    const size_t pixel = (row * (size_t)half_side + (size_t)y) * (size_t)half_side + (size_t)x;
    const size_t at = pixel * (size_t)j->out +
                      (size_t)(group * VJ_CUDA_BLOCK_CHANNELS + vj_cuda_block_channel(lane));
    struct vj_cuda_block_statistics t;
    VJ_UNROLL
    for (int c = 0; c < VJ_CUDA_BLOCK_OWN; c += width) {
        struct vj_cuda_net_wide out;
        VJ_UNROLL
        for (int k = c; k < c + width; k++) {
            float v[4];
            for (int i = 0; i < 4; i++)
                v[i] = vj_cuda_net_relu(d[i / 2][k / 2].v[2 * (i % 2) + k % 2]);
            t.sum[k] = (v[0] + v[1]) + (v[2] + v[3]);
            t.peak[k] =
                vj_cuda_net_larger(vj_cuda_net_larger(v[0], v[1]), vj_cuda_net_larger(v[2], v[3]));
            out.v[k - c] = t.peak[k];
        }
        vj_cuda_net_set_wide(j->pooled, at + (size_t)c, out, j->half);
    }
    return t;
}

/* Last step: adds up over the warps, in order; thread = channel. */
static inline VJ_HD void vj_cuda_block_total(const struct vj_cuda_block_job *j,
                                             const struct vj_cuda_block_shared *shared,
                                             unsigned part, size_t row, int group, int thread)
{
    const int parts = j->side * j->side / VJ_CUDA_BLOCK_PIXELS;
    if (thread >= VJ_CUDA_BLOCK_CHANNELS)
        return;
    float sum = shared->sum[0][thread], peak = shared->peak[0][thread];
    for (int w = 1; w < VJ_CUDA_BLOCK_WARPS; w++) {
        sum += shared->sum[w][thread];
        peak = vj_cuda_net_larger(peak, shared->peak[w][thread]);
    }
    const size_t at = (row * (size_t)parts + part) * (size_t)j->out +
                      (size_t)(group * VJ_CUDA_BLOCK_CHANNELS + thread);
    j->sums[at] = sum;
    j->peaks[at] = peak;
    vj_cuda_net_guard(vj_cuda_net_doubt(sum, vj_cuda_first_round(peak, j->half)), j->flags, row,
                      j->half);
}

#endif
