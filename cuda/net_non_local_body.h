/* SPDX-License-Identifier: MIT */
/*
 * The non-local block behind its projections, residual sum and last pooling in one kernel on tensor
 * cores, for tf32 and fp16: from tokens, theta, phi and value to the last pooled map, without ever
 * storing affinities, chances or what is attended to. Of a patch 0.6 MB are moved in place of 1.6
 * (fp16; tf32: 1.1 in place of 2.7).
 *
 * Bodies as in cuda/net_body.h. A thread block takes half the positions of a patch, a warp 16 of
 * them, two rows of eight pixels, with their affinities to all positions in registers. Products are
 * those of cuda/net_first_body.h: lane l is group l / 4 and member l % 4. Row r of a product is
 * pixel 2 (g % 4) + r / 8 of row g / 4, g = r % 8, so that a lane has both pixels of a pair and the
 * lane 16 away the pair below; column c is channel or position c.
 *
 * What a product sums over, k, comes in words of one number in single precision or of two halves.
 * Of matrices on its right, phi and value, a tile of 32 words by 64 columns at a time lies in
 * shared memory, the next one in registers on its way there.
 */
#ifndef VJ_CUDA_NET_NON_LOCAL_BODY_H
#define VJ_CUDA_NET_NON_LOCAL_BODY_H

#include "cuda/net_first_body.h"

enum {
    VJ_CUDA_NON_LOCAL_PIXELS = 16, /* of a warp, as of a row of the map */
    VJ_CUDA_NON_LOCAL_WARPS = 8,
    VJ_CUDA_NON_LOCAL_THREADS = VJ_CUDA_NON_LOCAL_WARPS * VJ_CUDA_NET_LANES,
    VJ_CUDA_NON_LOCAL_PARTS =
        VJ_CUDA_NON_LOCAL_N / (VJ_CUDA_NON_LOCAL_WARPS * VJ_CUDA_NON_LOCAL_PIXELS),
    VJ_CUDA_NON_LOCAL_WORDS = 32, /* of a tile */
    VJ_CUDA_NON_LOCAL_COLUMNS = 64,
    VJ_CUDA_NON_LOCAL_ACROSS = VJ_CUDA_NON_LOCAL_N / VJ_CUDA_NON_LOCAL_COLUMNS,
    VJ_CUDA_NON_LOCAL_STEPS = VJ_CUDA_NON_LOCAL_WORDS / 8,      /* products down a tile */
    VJ_CUDA_NON_LOCAL_PRODUCTS = VJ_CUDA_NON_LOCAL_COLUMNS / 8, /* and across */
    VJ_CUDA_NON_LOCAL_MOST_STRIDE = VJ_CUDA_NON_LOCAL_COLUMNS + 8,
    VJ_CUDA_NON_LOCAL_QUADS = VJ_CUDA_NON_LOCAL_COLUMNS / 4,
    VJ_CUDA_NON_LOCAL_DOWN = VJ_CUDA_NON_LOCAL_THREADS / VJ_CUDA_NON_LOCAL_QUADS,
    VJ_CUDA_NON_LOCAL_ROUNDS = VJ_CUDA_NON_LOCAL_WORDS / VJ_CUDA_NON_LOCAL_DOWN,
};

struct vj_cuda_non_local_job {
    const void *tokens;    /* [rows][N][C] */
    const void *projected; /* [rows][N][3][C] */
    void *last;            /* [rows][N / 4][C] */
    int *flags;            /* [rows] */
    bool half;
};

/* What of `projected` at a position. */
enum vj_cuda_non_local_matrix {
    VJ_CUDA_NON_LOCAL_THETA = 0,
    VJ_CUDA_NON_LOCAL_PHI,
    VJ_CUDA_NON_LOCAL_VALUE,
};
enum { VJ_CUDA_NON_LOCAL_PITCH = VJ_CUDA_NET_PROJECTIONS * VJ_CUDA_NON_LOCAL_N };

struct vj_cuda_non_local_shared {
    __attribute__((aligned(16)))
    uint32_t tile[2][VJ_CUDA_NON_LOCAL_WORDS * VJ_CUDA_NON_LOCAL_MOST_STRIDE];
};

/*
 * What is read from memory stays as it lies there until it is of use, so that nothing waits for it:
 * a thread's part of a tile, quads of columns of a row or, of halves, of two.
 */
struct vj_cuda_non_local_part {
    __attribute__((aligned(16))) uint32_t v[VJ_CUDA_NON_LOCAL_ROUNDS][4];
};

/* A lane's affinities: of its left pixel to positions 8 n + 2 member and the next, then of its
 * right one. */
struct vj_cuda_non_local_affinities {
    float v[VJ_CUDA_NON_LOCAL_N / 8][4];
};

/* The same as operands of products, e^(affinity - the largest): of halves there are half as many.
 */
struct vj_cuda_non_local_chances {
    struct vj_cuda_first_a a[VJ_CUDA_NON_LOCAL_N / 8];
};

/* Tokens of a lane's left and right pixel, of the two channels of a product. */
struct vj_cuda_non_local_tokens {
    __attribute__((aligned(8))) uint32_t v[2][2];
};

/* Of a left and a right pixel, or of two neighbouring channels. */
struct vj_cuda_non_local_pair {
    float v[2];
};

/* A lane's left pixel: its position in the patch. */
static inline VJ_HD int vj_cuda_non_local_position(unsigned part, int thread)
{
    const int piece = (int)part * VJ_CUDA_NON_LOCAL_WARPS + thread / VJ_CUDA_NET_LANES;
    const int group = thread % VJ_CUDA_NET_LANES / 4;
    const int y = piece / 2 * 2 + group / 4, x = piece % 2 * 8 + group % 4 * 2;
    return y * VJ_CUDA_NON_LOCAL_PIXELS + x;
}

/*
 * Words of a lane's operand in the eight of a step, first and second. Affinities come as pairs of
 * neighbours, so these are neighbours; a word has both where it holds halves.
 */
static inline VJ_HD int vj_cuda_non_local_word(int lane, int which, bool half)
{
    const int member = lane % 4;
    return half ? member + 4 * which : 2 * member + which;
}

/* Words from row to row of a tile: lanes of a warp touch 32 different banks. */
static inline VJ_HD int vj_cuda_non_local_stride(bool half)
{
    return VJ_CUDA_NON_LOCAL_COLUMNS + (half ? 8 : 4);
}

static inline VJ_HD uint32_t vj_cuda_non_local_tf32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return vj_cuda_first_tf32(value);
}

/* Two neighbours as they lie in memory: a word of halves, or two of single numbers. */
static inline VJ_HD struct vj_cuda_non_local_pair vj_cuda_non_local_numbers(const uint32_t word[2],
                                                                            bool half)
{
    struct vj_cuda_non_local_pair pair;
    if (half) {
#ifdef __CUDA_ARCH__
        const float2 both = __half22float2(*(const __half2 *)word);
        pair.v[0] = both.x;
        pair.v[1] = both.y;
#else
        pair.v[0] = vj_cuda_net_half_value((uint16_t)word[0]);
        pair.v[1] = vj_cuda_net_half_value((uint16_t)(word[0] >> 16));
#endif
    } else {
        memcpy(pair.v, word, sizeof(pair.v));
    }
    return pair;
}

static inline VJ_HD void vj_cuda_non_local_set2(void *to, size_t i,
                                                struct vj_cuda_non_local_pair pair, bool half)
{
#ifdef __CUDA_ARCH__
    if (half)
        ((__half2 *)to)[i / 2] = __floats2half2_rn(pair.v[0], pair.v[1]);
    else
        ((float2 *)to)[i / 2] = make_float2(pair.v[0], pair.v[1]);
#else
    vj_cuda_expect_aligned((char *)to + i * (half ? 2 : 4), half ? 4 : 8);
    for (size_t k = 0; k < 2; k++)
        vj_cuda_net_set(to, i + k, pair.v[k], half);
#endif
}

/*
 * Reads a thread's part of tile (y, x) of a matrix on the right: words thread / 32 + 8 i, i =
 * 0..3, and columns 4 (thread % 32) to the third behind.
 */
static inline VJ_HD struct vj_cuda_non_local_part
vj_cuda_non_local_fetch(const struct vj_cuda_non_local_job *j, enum vj_cuda_non_local_matrix matrix,
                        size_t row, int y, int x, int thread)
{
    struct vj_cuda_non_local_part part;
    const size_t first = row * VJ_CUDA_NON_LOCAL_N * VJ_CUDA_NON_LOCAL_PITCH +
                         (size_t)(matrix * VJ_CUDA_NON_LOCAL_N + x * VJ_CUDA_NON_LOCAL_COLUMNS +
                                  thread % VJ_CUDA_NON_LOCAL_QUADS * 4);
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_NON_LOCAL_ROUNDS; i++) {
        const size_t word = (size_t)(y * VJ_CUDA_NON_LOCAL_WORDS +
                                     thread / VJ_CUDA_NON_LOCAL_QUADS + VJ_CUDA_NON_LOCAL_DOWN * i);
        if (j->half) {
            const uint16_t *from =
                (const uint16_t *)j->projected + first + 2 * word * VJ_CUDA_NON_LOCAL_PITCH;
            vj_cuda_copy8(part.v[i], from);
            vj_cuda_copy8(part.v[i] + 2, from + VJ_CUDA_NON_LOCAL_PITCH);
        } else {
            vj_cuda_copy16(part.v[i],
                           (const float *)j->projected + first + word * VJ_CUDA_NON_LOCAL_PITCH);
        }
    }
    return part;
}

/* Stores it: what tensor cores take for single precision, or halves of two rows joined to words. */
static inline VJ_HD void vj_cuda_non_local_store(uint32_t *tile,
                                                 const struct vj_cuda_non_local_part *part,
                                                 int thread, bool half)
{
    VJ_UNROLL
    for (int i = 0; i < VJ_CUDA_NON_LOCAL_ROUNDS; i++) {
        __attribute__((aligned(16))) uint32_t words[4];
        for (int k = 0; k < 4; k++) {
            const uint32_t upper = part->v[i][k / 2], lower = part->v[i][2 + k / 2];
            words[k] = !half   ? vj_cuda_non_local_tf32(part->v[i][k])
                       : k % 2 ? upper >> 16 | (lower & 0xffff0000u)
                               : (upper & 0xffffu) | lower << 16;
        }
        vj_cuda_copy16(tile +
                           (thread / VJ_CUDA_NON_LOCAL_QUADS + VJ_CUDA_NON_LOCAL_DOWN * i) *
                               vj_cuda_non_local_stride(half) +
                           thread % VJ_CUDA_NON_LOCAL_QUADS * 4,
                       words);
    }
}

/* A lane's part of theta over the words of tiles y, step s: both of its pixels. */
static inline VJ_HD struct vj_cuda_first_a
vj_cuda_non_local_theta(const struct vj_cuda_non_local_job *j, unsigned part, size_t row, int y,
                        int s, int thread)
{
    struct vj_cuda_first_a a;
    const size_t words = VJ_CUDA_NON_LOCAL_PITCH / (j->half ? 2 : 1); /* of a position */
    const size_t position =
        row * VJ_CUDA_NON_LOCAL_N + (size_t)vj_cuda_non_local_position(part, thread);
    VJ_UNROLL
    for (int r = 0; r < 4; r++) {
        const size_t word = (size_t)(y * VJ_CUDA_NON_LOCAL_WORDS + 8 * s +
                                     vj_cuda_non_local_word(thread % 32, r / 2, j->half));
        a.v[r] = ((const uint32_t *)j->projected)[(position + (size_t)(r % 2)) * words + word];
    }
    return a;
}

/* As tensor cores take it. */
static inline VJ_HD struct vj_cuda_first_a vj_cuda_non_local_left(struct vj_cuda_first_a theta,
                                                                  bool half)
{
    for (int r = 0; r < 4; r++)
        theta.v[r] = half ? theta.v[r] : vj_cuda_non_local_tf32(theta.v[r]);
    return theta;
}

/* A lane's part of product n of step s of a tile. */
static inline VJ_HD struct vj_cuda_first_b vj_cuda_non_local_right(const uint32_t *tile, int s,
                                                                   int n, int lane, bool half)
{
    struct vj_cuda_first_b b;
    for (int which = 0; which < 2; which++)
        b.v[which] = tile[(8 * s + vj_cuda_non_local_word(lane, which, half)) *
                              vj_cuda_non_local_stride(half) +
                          8 * n + lane / 4];
    return b;
}

/* Softmax, step 1: the largest of a lane's affinities. Between steps that of four lanes is taken.
 */
static inline VJ_HD struct vj_cuda_non_local_pair
vj_cuda_non_local_top(const struct vj_cuda_non_local_job *j,
                      const struct vj_cuda_non_local_affinities *mine, size_t row)
{
    struct vj_cuda_non_local_pair top = {{-INFINITY, -INFINITY}};
    float doubt = 0.0f;
    VJ_UNROLL
    for (int n = 0; n < VJ_CUDA_NON_LOCAL_N / 8; n++)
        for (int i = 0; i < 4; i++) {
            doubt = vj_cuda_net_doubt(doubt, mine->v[n][i]);
            top.v[i / 2] = vj_cuda_net_larger(mine->v[n][i], top.v[i / 2]);
        }
    vj_cuda_net_guard(doubt, j->flags, row, j->half);
    return top;
}

/* Step 2: e^(affinity - top), and a lane's sums of it; likewise. */
static inline VJ_HD struct vj_cuda_non_local_pair
vj_cuda_non_local_sum(struct vj_cuda_non_local_affinities *mine, struct vj_cuda_non_local_pair top)
{
    struct vj_cuda_non_local_pair sum = {{0.0f, 0.0f}};
    VJ_UNROLL
    for (int n = 0; n < VJ_CUDA_NON_LOCAL_N / 8; n++)
        for (int i = 0; i < 4; i++) {
            mine->v[n][i] = expf(mine->v[n][i] - top.v[i / 2]);
            sum.v[i / 2] += mine->v[n][i];
        }
    return sum;
}

/* Step 3: as operands. */
static inline VJ_HD struct vj_cuda_non_local_chances
vj_cuda_non_local_operands(const struct vj_cuda_non_local_affinities *mine, bool half)
{
    struct vj_cuda_non_local_chances c;
    VJ_UNROLL
    for (int s = 0; s < VJ_CUDA_NON_LOCAL_N / (half ? 16 : 8); s++)
        for (int r = 0; r < 4; r++) {
            const float *halves = mine->v[half ? 2 * s + r / 2 : s] + 2 * (r % 2);
            uint32_t bits;
            memcpy(&bits, &mine->v[s][2 * (r % 2) + r / 2], sizeof(bits));
            c.a[s].v[r] =
                half ? vj_cuda_first_halves(halves[0], halves[1]) : vj_cuda_non_local_tf32(bits);
        }
    return c;
}

/* Those that a lane's sums of product n of tiles x are added to. */
static inline VJ_HD struct vj_cuda_non_local_tokens
vj_cuda_non_local_residual(const struct vj_cuda_non_local_job *j, unsigned part, size_t row, int x,
                           int n, int thread)
{
    struct vj_cuda_non_local_tokens tokens;
    const size_t position =
        row * VJ_CUDA_NON_LOCAL_N + (size_t)vj_cuda_non_local_position(part, thread);
    const size_t channel = (size_t)(x * VJ_CUDA_NON_LOCAL_COLUMNS + 8 * n + 2 * (thread % 4));
    VJ_UNROLL
    for (size_t pixel = 0; pixel < 2; pixel++) {
        const size_t at = (position + pixel) * VJ_CUDA_NON_LOCAL_N + channel;
        tokens.v[pixel][1] = 0;
        if (j->half)
            vj_cuda_copy4(tokens.v[pixel], (const uint16_t *)j->tokens + at);
        else
            vj_cuda_copy8(tokens.v[pixel], (const float *)j->tokens + at);
    }
    return tokens;
}

/* Residual sums of a lane's two channels: the larger of its pixels. over: 1 / sum of each pixel */
static inline VJ_HD struct vj_cuda_non_local_pair
vj_cuda_non_local_join(const struct vj_cuda_non_local_tokens *tokens, const float d[4],
                       struct vj_cuda_non_local_pair over, bool half, float *doubt)
{
    struct vj_cuda_non_local_pair top = {{-INFINITY, -INFINITY}};
    VJ_UNROLL
    for (int pixel = 0; pixel < 2; pixel++) {
        const struct vj_cuda_non_local_pair token =
            vj_cuda_non_local_numbers(tokens->v[pixel], half);
        for (int i = 0; i < 2; i++) {
            const float v = token.v[i] + d[2 * pixel + i] * over.v[pixel];
            *doubt = vj_cuda_net_doubt(*doubt, v);
            top.v[i] = vj_cuda_net_larger(v, top.v[i]);
        }
    }
    return top;
}

/* Their maxima with those of the row below, stored by the lanes of the row above. */
static inline VJ_HD void vj_cuda_non_local_keep(const struct vj_cuda_non_local_job *j,
                                                struct vj_cuda_non_local_pair top, unsigned part,
                                                size_t row, int x, int n, int thread, float *doubt)
{
    const int position = vj_cuda_non_local_position(part, thread);
    const int y = position / VJ_CUDA_NON_LOCAL_PIXELS / 2;
    const int pixel = y * (VJ_CUDA_NON_LOCAL_PIXELS / 2) + position % VJ_CUDA_NON_LOCAL_PIXELS / 2;
    const size_t channel = (size_t)(x * VJ_CUDA_NON_LOCAL_COLUMNS + 8 * n + 2 * (thread % 4));
    if (thread % 32 >= 16)
        return;
    for (int i = 0; i < 2; i++)
        *doubt = vj_cuda_net_doubt(*doubt, vj_cuda_first_round(top.v[i], j->half));
    vj_cuda_non_local_set2(
        j->last, (row * (VJ_CUDA_NON_LOCAL_N / 4) + (size_t)pixel) * VJ_CUDA_NON_LOCAL_N + channel,
        top, j->half);
}

#endif
