/* SPDX-License-Identifier: MIT */
/*
 * The first block of the network in one kernel on tensor cores, for tf32 and fp16: from 8-bit
 * patches to the pooled map, with the sums and peaks that channel attention wants, without ever
 * storing the map of full size. Of a patch of 128 pixels 0.3 MB are moved in place of 2.9 (fp16;
 * tf32: 0.6 in place of 5.3).
 *
 * Bodies as in cuda/net_body.h. A warp takes two rows of the map, 16 pixels at a time: products of
 * 16 pixels, 8 channels and 16 (fp16) or 8 (tf32) taps, PTX's mma.m16n8k16 and m16n8k8. Lane l is
 * group l / 4 and member l % 4. Row r of a product is pixel 2 (r % 8) + r / 8, so that a lane has
 * both pixels of a pair, and column c of product n is channel 8 (c / 2) + 2 n + c % 2, so that a
 * lane's channels are neighbours. Tap t is row t / 3 and column t % 3 of the kernel; four numbers
 * each, of which the last is zero.
 */
#ifndef VJ_CUDA_NET_FIRST_BODY_H
#define VJ_CUDA_NET_FIRST_BODY_H

#include "cuda/net_body.h"

enum {
    VJ_CUDA_FIRST_WARPS = 8,
    VJ_CUDA_FIRST_THREADS = 32 * VJ_CUDA_FIRST_WARPS,
    VJ_CUDA_FIRST_STRIDE = 4 * (VJ_CUDA_FIRST_MOST_SIDE + 2), /* numbers of a row of samples */
    VJ_CUDA_FIRST_SAMPLES = (VJ_CUDA_FIRST_ROWS + 2) * VJ_CUDA_FIRST_STRIDE,
    VJ_CUDA_FIRST_TAPS = 9,
};

struct vj_cuda_first_job {
    const uint8_t *patches; /* [count][side][side][channels] */
    size_t count;           /* rows from it on are of samples that are zero */
    int channels;           /* 3, or 1 to be seen three times */
    const uint32_t *kernel; /* as vj_cuda_net_first_pack() has it for the precision */
    const float *bias;      /* [VJ_CUDA_FIRST_CHANNELS] */
    void *pooled;           /* [rows][side / 2][side / 2][VJ_CUDA_FIRST_CHANNELS] */
    float *sums, *peaks;    /* [rows][side / VJ_CUDA_FIRST_ROWS][VJ_CUDA_FIRST_CHANNELS] */
    int *flags;             /* [rows] */
    int side;               /* a multiple of VJ_CUDA_FIRST_ROWS */
    bool half;
};

/* Registers of one lane's operands. */
struct vj_cuda_first_a {
    uint32_t v[4];
};
struct vj_cuda_first_b {
    uint32_t v[2];
};
struct vj_cuda_first_d {
    float v[4];
};

/* Sums and peaks of one lane's channels. */
struct vj_cuda_first_statistics {
    float sum[8], peak[8];
};

static inline VJ_HD int vj_cuda_first_steps(bool half)
{
    return half ? VJ_CUDA_FIRST_STEPS_HALF : VJ_CUDA_FIRST_STEPS_FLOAT;
}

static inline VJ_HD int vj_cuda_first_channel(int product, int column)
{
    return 8 * (column / 2) + 2 * product + column % 2;
}

/* The bits that tensor cores of tf32 see: 10 of the fraction, ties away from zero; a NaN stays one.
 */
static inline VJ_HD uint32_t vj_cuda_first_tf32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (bits & 0x7fffffffu) > 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}

/* Two halves in a word, the first one lower. */
static inline VJ_HD uint32_t vj_cuda_first_halves(float first, float second)
{
    uint32_t word;
#ifdef __CUDA_ARCH__
    const __half2 both = __floats2half2_rn(first, second);
    memcpy(&word, &both, sizeof(word));
#else
    word = vj_cuda_net_half_bits(first) | (uint32_t)vj_cuda_net_half_bits(second) << 16;
#endif
    return word;
}

/* Element i of samples or of a pair of halves. */
static inline VJ_HD void vj_cuda_first_store(void *to, int i, float value, bool half)
{
    if (half)
        vj_cuda_net_set(to, (size_t)i, value, true);
    else
        ((uint32_t *)to)[i] = vj_cuda_first_tf32(value);
}

/* Step 1: samples under the thread block's rows, as the network sees them; 0 around the patch. */
static inline VJ_HD void vj_cuda_first_load(const struct vj_cuda_first_job *j, void *samples,
                                            unsigned part, size_t row, int thread)
{
    const int across = j->side + 2, first = (int)part * VJ_CUDA_FIRST_ROWS - 1;
    const size_t element = j->half ? 2 : 4;
    const size_t channels = (size_t)j->channels;
    const uint8_t *patch = j->patches + row * (size_t)(j->side * j->side) * channels;
    for (int i = thread; i < (VJ_CUDA_FIRST_ROWS + 2) * across; i += VJ_CUDA_FIRST_THREADS) {
        const int y = i / across, x = i % across, py = first + y, px = x - 1;
        const bool inside = row < j->count && py >= 0 && py < j->side && px >= 0 && px < j->side;
        const size_t from = inside ? (size_t)(py * j->side + px) * channels : 0;
        char *to = (char *)samples + (size_t)(y * VJ_CUDA_FIRST_STRIDE + 4 * x) * element;
        for (int c = 0; c < 4; c++) {
            float v = 0.0f;
            if (inside && c < 3)
                v = vj_cuda_net_sample(patch[from + (size_t)(channels == 3 ? c : 0)]);
            vj_cuda_first_store(to, c, v, j->half);
        }
    }
}

/* A lane's part of the samples of step s for the 16 pixels from x of row y of the thread block. */
static inline VJ_HD struct vj_cuda_first_a vj_cuda_first_samples(const void *samples, bool half,
                                                                 int s, int y, int x, int lane)
{
    struct vj_cuda_first_a a;
    for (int r = 0; r < 4; r++) {
        const int k = half ? 16 * s + 2 * (lane % 4) + 8 * (r / 2) : 8 * s + lane % 4 + 4 * (r / 2);
        const int wanted = k / 4,
                  tap = wanted < VJ_CUDA_FIRST_TAPS ? wanted : VJ_CUDA_FIRST_TAPS - 1;
        const int at =
            (y + tap / 3) * VJ_CUDA_FIRST_STRIDE + 4 * (x + 2 * (lane / 4) + r % 2 + tap % 3);
        const char *from = (const char *)samples + (size_t)(at + k % 4) * (half ? 2 : 4);
#ifdef __CUDA_ARCH__
        a.v[r] = *(const uint32_t *)from;
#else
        memcpy(&a.v[r], from, sizeof(a.v[r]));
#endif
    }
    return a;
}

/* Rounds to the map's elements. */
static inline VJ_HD float vj_cuda_first_round(float value, bool half)
{
#ifdef __CUDA_ARCH__
    return half ? __half2float(__float2half_rn(value)) : value;
#else
    return half ? vj_cuda_net_half_value(vj_cuda_net_half_bits(value)) : value;
#endif
}

/* Statistics and maximum of a pooled pixel: left, right of the upper row, then of the lower. */
static inline VJ_HD float vj_cuda_first_pool(const float v[4], struct vj_cuda_first_statistics *t,
                                             int c)
{
    const float top =
        vj_cuda_net_larger(vj_cuda_net_larger(v[0], v[1]), vj_cuda_net_larger(v[2], v[3]));
    t->sum[c] += (v[0] + v[1]) + (v[2] + v[3]);
    t->peak[c] = vj_cuda_net_larger(t->peak[c], top);
    return top;
}

/* What the sums of a lane's products begin with: bias. */
static inline VJ_HD struct vj_cuda_first_d vj_cuda_first_begin(const float bias[8], int product)
{
    struct vj_cuda_first_d d;
    for (int i = 0; i < 4; i++)
        d.v[i] = bias[2 * product + i % 2];
    return d;
}

/*
 * Relu, statistics and pooling of 8 pairs of pixels of two rows. y: the upper row in the thread
 * block. Statistics are those of the map before it is rounded.
 */
static inline VJ_HD void vj_cuda_first_finish(
    const struct vj_cuda_first_job *j, const struct vj_cuda_first_d d[2][VJ_CUDA_FIRST_PRODUCTS],
    struct vj_cuda_first_statistics *t, unsigned part, size_t row, int y, int x, int lane)
{
    const int half_side = j->side / 2;
    const int py = ((int)part * VJ_CUDA_FIRST_ROWS + y) / 2, px = x / 2 + lane / 4;
    const size_t at = ((row * (size_t)half_side + (size_t)py) * (size_t)half_side + (size_t)px) *
                          VJ_CUDA_FIRST_CHANNELS +
                      (size_t)(8 * (lane % 4));
    struct vj_cuda_net_quad out[2];
    for (int n = 0; n < VJ_CUDA_FIRST_PRODUCTS; n++)
        for (int i = 0; i < 2; i++) {
            const int c = 2 * n + i;
            float v[4];
            for (int k = 0; k < 4; k++)
                v[k] = vj_cuda_net_relu(d[k / 2][n].v[2 * (k % 2) + i]);
            out[c / 4].v[c % 4] = vj_cuda_first_pool(v, t, c);
        }
    vj_cuda_net_set4(j->pooled, at, out[0], j->half);
    vj_cuda_net_set4(j->pooled, at + 4, out[1], j->half);
}

/* Last step: adds up over the groups of a warp and the warps, in order; thread = channel. */
static inline VJ_HD void
vj_cuda_first_total(const struct vj_cuda_first_job *j,
                    const struct vj_cuda_first_statistics shared[VJ_CUDA_FIRST_THREADS],
                    unsigned part, size_t row, int thread)
{
    float sum = 0.0f, peak = 0.0f;
    if (thread >= VJ_CUDA_FIRST_CHANNELS)
        return;
    for (int i = thread / 8; i < VJ_CUDA_FIRST_THREADS; i += 4) {
        sum += shared[i].sum[thread % 8];
        peak = vj_cuda_net_larger(peak, shared[i].peak[thread % 8]);
    }
    const size_t at =
        (row * (size_t)(j->side / VJ_CUDA_FIRST_ROWS) + part) * VJ_CUDA_FIRST_CHANNELS +
        (size_t)thread;
    j->sums[at] = sum;
    j->peaks[at] = peak;
    vj_cuda_net_guard(vj_cuda_net_doubt(sum, vj_cuda_first_round(peak, j->half)), j->flags, row,
                      j->half);
}

#endif
