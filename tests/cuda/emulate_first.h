/* SPDX-License-Identifier: MIT */
/*
 * The kernel of cuda/net_first_body.h lane by lane, with products of 16 x 8 as PTX defines them,
 * and that of cuda/net_first_fp32_body.h thread by thread.
 */
#ifndef VJ_TESTS_CUDA_EMULATE_FIRST_H
#define VJ_TESTS_CUDA_EMULATE_FIRST_H

#include "tests/cuda/emulate.h"

#include "cuda/net_first_body.h"
#include "cuda/net_first_fp32_body.h"

/* Number i of a word: the word itself, or one of two halves. */
static inline float emulate_operand(const uint32_t *word, int i, bool half)
{
    uint16_t pair[2];
    float single;
    memcpy(pair, word, sizeof(pair));
    memcpy(&single, word, sizeof(single));
    return half ? vj_cuda_net_half_value(pair[i]) : single;
}

/* D += A B of one warp: mma.m16n8k16 on halves, m16n8k8 on floats. */
static inline void emulate_multiply(struct vj_cuda_first_d d[32],
                                    const struct vj_cuda_first_a a[32],
                                    const struct vj_cuda_first_b b[32], bool half)
{
    const int depth = half ? 16 : 8;
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 8; c++) {
            float *to = &d[r % 8 * 4 + c / 2].v[r / 8 * 2 + c % 2];
            for (int k = 0; k < depth; k++) {
                /* A: row r % 8 is the group; B: column c is. */
                const int pair = half ? 2 : 1, member = k / pair % 4, upper = k / (4 * pair);
                const uint32_t *from_a = &a[r % 8 * 4 + member].v[r / 8 + 2 * upper];
                const uint32_t *from_b = &b[c * 4 + member].v[upper];
                *to += emulate_operand(from_a, k % pair, half) *
                       emulate_operand(from_b, k % pair, half);
            }
        }
}

static inline void emulate_first_warp(const struct vj_cuda_first_job *j, const void *samples,
                                      struct vj_cuda_first_statistics *statistics, unsigned part,
                                      size_t row, int warp)
{
    const int steps = vj_cuda_first_steps(j->half);
    for (int x = 0; x < j->side; x += 16) {
        struct vj_cuda_first_d d[2][VJ_CUDA_FIRST_PRODUCTS][32];
        memset(d, 0, sizeof(d));
        for (int s = 0; s < steps; s++)
            for (int y = 0; y < 2; y++) {
                struct vj_cuda_first_a a[32];
                for (int lane = 0; lane < 32; lane++)
                    a[lane] = vj_cuda_first_samples(samples, j->half, s, 2 * warp + y, x, lane);
                for (int n = 0; n < VJ_CUDA_FIRST_PRODUCTS; n++)
                    emulate_multiply(d[y][n], a,
                                     (const struct vj_cuda_first_b *)j->kernel +
                                         (s * VJ_CUDA_FIRST_PRODUCTS + n) * 32,
                                     j->half);
            }
        for (int lane = 0; lane < 32; lane++) {
            struct vj_cuda_first_d mine[2][VJ_CUDA_FIRST_PRODUCTS];
            for (int y = 0; y < 2; y++)
                for (int n = 0; n < VJ_CUDA_FIRST_PRODUCTS; n++)
                    mine[y][n] = d[y][n][lane];
            vj_cuda_first_finish(j, (const struct vj_cuda_first_d(*)[VJ_CUDA_FIRST_PRODUCTS])mine,
                                 j->bias + 8 * (lane % 4), &statistics[warp * 32 + lane], part, row,
                                 2 * warp, x, lane);
        }
    }
}

static inline void emulate_first_block(const struct vj_cuda_first_job *j, unsigned part, size_t row)
{
    static uint32_t samples[VJ_CUDA_FIRST_SAMPLES];
    static struct vj_cuda_first_statistics statistics[VJ_CUDA_FIRST_THREADS];
    memset(samples, 0xff, sizeof(samples)); /* NaN */
    memset(statistics, 0, sizeof(statistics));
    EMULATE_THREADS(VJ_CUDA_FIRST_THREADS, thread)
    vj_cuda_first_load(j, samples, part, row, (int)thread);
    for (int warp = 0; warp < VJ_CUDA_FIRST_WARPS; warp++)
        emulate_first_warp(j, samples, statistics, part, row, warp);
    EMULATE_THREADS(VJ_CUDA_FIRST_THREADS, thread)
    vj_cuda_first_total(j, statistics, part, row, (int)thread);
}

static inline void emulate_first32_block(const struct vj_cuda_first_job *j, unsigned part,
                                         size_t row)
{
    static struct vj_cuda_first32_shared shared;
    static struct vj_cuda_first_statistics statistics[VJ_CUDA_FIRST_THREADS];
    const int across = j->side / VJ_CUDA_FIRST32_COLUMNS;
    memset(&shared, 0xff, sizeof(shared)); /* NaN */
    memset(statistics, 0xff, sizeof(statistics));
    EMULATE_THREADS(VJ_CUDA_FIRST_THREADS, thread)
    vj_cuda_first32_load(j, &shared, part, row, (int)thread);
    EMULATE_THREADS(VJ_CUDA_FIRST_THREADS, thread)
    {
        const int group = vj_cuda_first32_group((int)thread);
        struct vj_cuda_first_statistics *mine = &statistics[vj_cuda_first32_place((int)thread)];
        memset(mine, 0, sizeof(*mine));
        for (int i = vj_cuda_first32_worker((int)thread); i < vj_cuda_first32_tiles(j->side);
             i += VJ_CUDA_FIRST32_WORKERS) {
            const int y = 2 * (i / across), x = VJ_CUDA_FIRST32_COLUMNS * (i % across);
            const struct vj_cuda_first32_tile tile = vj_cuda_first32_sums(&shared, y, x, group);
            vj_cuda_first32_finish(j, &tile, j->bias + VJ_CUDA_FIRST32_GROUP * group, mine, part,
                                   row, y, x, group);
        }
    }
    EMULATE_THREADS(VJ_CUDA_FIRST_THREADS, thread)
    vj_cuda_first_total(j, statistics, part, row, (int)thread);
}

static inline void emulate_first(const struct vj_cuda_first_job *j,
                                 enum vj_cuda_precision precision, size_t rows)
{
    for (size_t row = 0; row < rows; row++)
        for (unsigned part = 0; part < (unsigned)(j->side / VJ_CUDA_FIRST_ROWS); part++)
            if (precision == VJ_CUDA_FP32)
                emulate_first32_block(j, part, row);
            else
                emulate_first_block(j, part, row);
}

#endif
