/* SPDX-License-Identifier: MIT */
/*
 * An experiment for the first run on a card, no part of the program: the first block of the network
 * in one kernel on tensor cores. From 8-bit patches to the pooled map, with the sums and peaks that
 * channel attention wants, without ever storing the map of full size: of a patch of 128 pixels 0.3
 * MB are moved in place of 2.9 (fp16; tf32: 0.6 in place of 5.3).
 *
 * Bodies as in cuda/net_body.h. A warp takes two rows of the map, 16 pixels at a time: products of
 * 16 pixels, 8 channels and 16 (fp16) or 8 (tf32) taps, PTX's mma.m16n8k16 and m16n8k8. Lane l is
 * group l / 4 and member l % 4. Row r of a product is pixel 2 (r % 8) + r / 8, so that a lane has
 * both pixels of a pair, and column c of product n is channel 8 (c / 2) + 2 n + c % 2, so that a
 * lane's channels are neighbours. Tap t is row t / 3 and column t % 3 of the kernel; four numbers
 * each, of which the last is zero.
 */
#ifndef VJ_TESTS_FIRST_BLOCK_BODY_H
#define VJ_TESTS_FIRST_BLOCK_BODY_H

#include "cuda/net_body.h"

enum {
    FB_CHANNELS = 32,
    FB_WARPS = 8,
    FB_THREADS = 32 * FB_WARPS,
    FB_ROWS = 2 * FB_WARPS, /* of the map, of a thread block */
    FB_MOST_SIDE = 128,
    FB_STRIDE = 4 * (FB_MOST_SIDE + 2), /* numbers of a row of samples */
    FB_SAMPLES = (FB_ROWS + 2) * FB_STRIDE,
    FB_PRODUCTS = FB_CHANNELS / 8,
    FB_TAPS = 9,
    FB_STEPS_HALF = 3,  /* of 4 taps */
    FB_STEPS_FLOAT = 5, /* of 2 */
};

struct fb_job {
    const uint8_t *patches; /* [rows][side][side][3] */
    const uint32_t *kernel; /* as fb_pack() has it */
    const float *bias;      /* [FB_CHANNELS] */
    void *pooled;           /* [rows][side / 2][side / 2][FB_CHANNELS] */
    float *sums, *peaks;    /* [rows][side / FB_ROWS][FB_CHANNELS] */
    int side;               /* a multiple of 16 */
    bool half;
};

/* Registers of one lane's operands. */
struct fb_a {
    uint32_t v[4];
};
struct fb_b {
    uint32_t v[2];
};
struct fb_d {
    float v[4];
};

/* Sums and peaks of one lane's channels. */
struct fb_statistics {
    float sum[8], peak[8];
};

static inline VJ_HD int fb_steps(bool half)
{
    return half ? FB_STEPS_HALF : FB_STEPS_FLOAT;
}

static inline VJ_HD int fb_channel(int product, int column)
{
    return 8 * (column / 2) + 2 * product + column % 2;
}

/* The bits that tensor cores of tf32 see: 10 of the fraction, ties away from zero. */
static inline VJ_HD uint32_t fb_tf32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (bits + 0x1000u) & 0xffffe000u;
}

/* Element i of samples or of a pair of halves. */
static inline VJ_HD void fb_store(void *to, int i, float value, bool half)
{
    if (half)
        vj_cuda_net_set(to, (size_t)i, value, true);
    else
        ((uint32_t *)to)[i] = fb_tf32(value);
}

/* Kernel HWIO [3][3][3][FB_CHANNELS] as lanes hold it: [step][product][lane][2]. On the host. */
static inline void fb_pack(const float *hwio, bool half, uint32_t *packed)
{
    const int steps = fb_steps(half), pair = half ? 2 : 1;
    for (int s = 0; s < steps; s++)
        for (int n = 0; n < FB_PRODUCTS; n++)
            for (int lane = 0; lane < 32; lane++)
                for (int r = 0; r < 2; r++) {
                    uint32_t *to = packed + (((s * FB_PRODUCTS + n) * 32 + lane) * 2 + r);
                    *to = 0;
                    for (int i = 0; i < pair; i++) {
                        const int k =
                            half ? 16 * s + 2 * (lane % 4) + i + 8 * r : 8 * s + lane % 4 + 4 * r;
                        const int tap = k / 4, c = k % 4;
                        if (tap < FB_TAPS && c < 3)
                            fb_store(to, i,
                                     hwio[(tap * 3 + c) * FB_CHANNELS + fb_channel(n, lane / 4)],
                                     half);
                    }
                }
}

/* Step 1: samples under the thread block's rows, as the network sees them; 0 around the patch. */
static inline VJ_HD void fb_load(const struct fb_job *j, void *samples, unsigned part, size_t row,
                                 int thread)
{
    const int across = j->side + 2, first = (int)part * FB_ROWS - 1;
    const size_t element = j->half ? 2 : 4;
    const uint8_t *patch = j->patches + row * (size_t)(j->side * j->side) * 3;
    for (int i = thread; i < (FB_ROWS + 2) * across; i += FB_THREADS) {
        const int y = i / across, x = i % across, py = first + y, px = x - 1;
        const bool inside = py >= 0 && py < j->side && px >= 0 && px < j->side;
        char *to = (char *)samples + (size_t)(y * FB_STRIDE + 4 * x) * element;
        for (int c = 0; c < 4; c++)
            fb_store(to, c,
                     inside && c < 3 ? (float)patch[(size_t)(py * j->side + px) * 3 + (size_t)c] *
                                               (1.0f / 255.0f) -
                                           0.5f
                                     : 0.0f,
                     j->half);
    }
}

/* A lane's part of the samples of step s for the 16 pixels from x of row y of the thread block. */
static inline VJ_HD struct fb_a fb_samples(const void *samples, bool half, int s, int y, int x,
                                           int lane)
{
    struct fb_a a;
    for (int r = 0; r < 4; r++) {
        const int k = half ? 16 * s + 2 * (lane % 4) + 8 * (r / 2) : 8 * s + lane % 4 + 4 * (r / 2);
        const int wanted = k / 4, tap = wanted < FB_TAPS ? wanted : FB_TAPS - 1;
        const int at = (y + tap / 3) * FB_STRIDE + 4 * (x + 2 * (lane / 4) + r % 2 + tap % 3);
        a.v[r] = half ? ((const uint32_t *)samples)[(at + k % 4) / 2]
                      : ((const uint32_t *)samples)[at + k % 4];
    }
    return a;
}

/* Rounds to the map's elements. */
static inline VJ_HD float fb_round(float value, bool half)
{
#ifdef __CUDA_ARCH__
    return half ? __half2float(__float2half_rn(value)) : value;
#else
    return half ? vj_cuda_net_half_value(vj_cuda_net_half_bits(value)) : value;
#endif
}

/*
 * Bias, relu, statistics and pooling of 8 pairs of pixels of two rows. y: the upper row in the
 * thread block.
 */
static inline VJ_HD void fb_finish(const struct fb_job *j, const struct fb_d d[2][FB_PRODUCTS],
                                   const float bias[8], struct fb_statistics *t, unsigned part,
                                   size_t row, int y, int x, int lane)
{
    const int half_side = j->side / 2;
    const int py = ((int)part * FB_ROWS + y) / 2, px = x / 2 + lane / 4;
    const size_t at =
        ((row * (size_t)half_side + (size_t)py) * (size_t)half_side + (size_t)px) * FB_CHANNELS +
        (size_t)(8 * (lane % 4));
    struct vj_cuda_net_quad out[2];
    for (int n = 0; n < FB_PRODUCTS; n++)
        for (int i = 0; i < 2; i++) {
            const int c = 2 * n + i;
            float v[4];
            for (int k = 0; k < 4; k++) { /* left, right of the upper row, then of the lower */
                const float biased = d[k / 2][n].v[2 * (k % 2) + i] + bias[c];
                v[k] = fb_round(biased > 0.0f ? biased : 0.0f, j->half);
            }
            const float top =
                vj_cuda_net_larger(vj_cuda_net_larger(v[0], v[1]), vj_cuda_net_larger(v[2], v[3]));
            t->sum[c] += (v[0] + v[1]) + (v[2] + v[3]);
            t->peak[c] = vj_cuda_net_larger(t->peak[c], top);
            out[c / 4].v[c % 4] = top;
        }
    vj_cuda_net_set4(j->pooled, at, out[0], j->half);
    vj_cuda_net_set4(j->pooled, at + 4, out[1], j->half);
}

/* Last step: adds up over the groups of a warp and the warps, in order; thread = channel. */
static inline VJ_HD void fb_total(const struct fb_job *j,
                                  const struct fb_statistics shared[FB_THREADS], unsigned part,
                                  size_t row, int thread)
{
    float sum = 0.0f, peak = 0.0f;
    if (thread >= FB_CHANNELS)
        return;
    for (int i = thread / 8; i < FB_THREADS; i += 4) {
        sum += shared[i].sum[thread % 8];
        peak = vj_cuda_net_larger(peak, shared[i].peak[thread % 8]);
    }
    const size_t at = (row * (size_t)(j->side / FB_ROWS) + part) * FB_CHANNELS + (size_t)thread;
    j->sums[at] = sum;
    j->peaks[at] = peak;
}

/* The map of full size, by its definition. On the host. */
static inline double fb_by_definition(const uint8_t *patch, const float *hwio, const float *bias,
                                      int side, int y, int x, int channel)
{
    double sum = (double)bias[channel];
    for (int tap = 0; tap < FB_TAPS; tap++) {
        const int py = y + tap / 3 - 1, px = x + tap % 3 - 1;
        for (int c = 0; c < 3 && py >= 0 && py < side && px >= 0 && px < side; c++)
            sum += (patch[(py * side + px) * 3 + c] / 255.0 - 0.5) *
                   (double)hwio[(tap * 3 + c) * FB_CHANNELS + channel];
    }
    return sum > 0 ? sum : 0;
}

#endif
