/* SPDX-License-Identifier: MIT */
/*
 * The first block of the network in one kernel for fp32: what cuda/net_first_body.h does on tensor
 * cores, here with a fused multiply-add in single precision for each product. Of a patch of 128
 * pixels 0.6 MB are moved in place of 5.3.
 *
 * A thread takes tiles of 2 rows, 4 columns and 8 channels. Its channels are its warp's, so that a
 * warp reads one word of the kernel at a time; its 8 samples of a channel and tap serve 64 sums.
 * Each sum runs over the picture's channels, and in a channel over the taps, row by row.
 */
#ifndef VJ_CUDA_NET_FIRST_FP32_BODY_H
#define VJ_CUDA_NET_FIRST_FP32_BODY_H

#include "cuda/net_first_body.h"

enum {
    VJ_CUDA_FIRST32_GROUP = 8, /* channels of a thread */
    VJ_CUDA_FIRST32_GROUPS = VJ_CUDA_FIRST_CHANNELS / VJ_CUDA_FIRST32_GROUP,
    VJ_CUDA_FIRST32_COLUMNS = 4,                          /* of a tile */
    VJ_CUDA_FIRST32_STRIDE = VJ_CUDA_FIRST_MOST_SIDE + 4, /* samples of a row, whole quads */
    VJ_CUDA_FIRST32_PLANE = (VJ_CUDA_FIRST_ROWS + 2) * VJ_CUDA_FIRST32_STRIDE,
    VJ_CUDA_FIRST32_SAMPLES = 3 * VJ_CUDA_FIRST32_PLANE,
    VJ_CUDA_FIRST32_KERNEL = VJ_CUDA_FIRST_TAPS * 3 * VJ_CUDA_FIRST_CHANNELS,
    VJ_CUDA_FIRST32_WORKERS = VJ_CUDA_FIRST_THREADS / VJ_CUDA_FIRST32_GROUPS, /* on tiles */
};

struct vj_cuda_first32_shared {
    float samples[VJ_CUDA_FIRST32_SAMPLES]; /* planes; pixel x of a row is number x + 1 */
    float kernel[VJ_CUDA_FIRST32_KERNEL];   /* HWIO */
};

struct vj_cuda_first32_tile {
    float v[2][VJ_CUDA_FIRST32_COLUMNS][VJ_CUDA_FIRST32_GROUP];
};

static inline VJ_HD int vj_cuda_first32_group(int thread)
{
    return thread / VJ_CUDA_NET_LANES % VJ_CUDA_FIRST32_GROUPS;
}

/* Which of the threads with its channels a thread is: the number of its first tile. */
static inline VJ_HD int vj_cuda_first32_worker(int thread)
{
    return thread / VJ_CUDA_NET_LANES / VJ_CUDA_FIRST32_GROUPS * VJ_CUDA_NET_LANES +
           thread % VJ_CUDA_NET_LANES;
}

static inline VJ_HD int vj_cuda_first32_tiles(int side)
{
    return VJ_CUDA_FIRST_ROWS / 2 * (side / VJ_CUDA_FIRST32_COLUMNS);
}

/* Step 1: the kernel, and samples under the thread block's rows; 0 around the patch. */
static inline VJ_HD void vj_cuda_first32_load(const struct vj_cuda_first_job *j,
                                              struct vj_cuda_first32_shared *shared, unsigned part,
                                              size_t row, int thread)
{
    const int across = j->side + 2, first = (int)part * VJ_CUDA_FIRST_ROWS - 1;
    const size_t channels = (size_t)j->channels;
    const uint8_t *patch = j->patches + row * (size_t)(j->side * j->side) * channels;
    for (int i = thread; i < VJ_CUDA_FIRST32_KERNEL; i += VJ_CUDA_FIRST_THREADS)
        memcpy(&shared->kernel[i], &j->kernel[i], sizeof(float));
    for (int i = thread; i < (VJ_CUDA_FIRST_ROWS + 2) * across; i += VJ_CUDA_FIRST_THREADS) {
        const int y = i / across, x = i % across, py = first + y, px = x - 1;
        const bool inside = row < j->count && py >= 0 && py < j->side && px >= 0 && px < j->side;
        const size_t from = inside ? (size_t)(py * j->side + px) * channels : 0;
        for (int c = 0; c < 3; c++) {
            float v = 0.0f;
            if (inside)
                v = vj_cuda_net_sample(patch[from + (size_t)(channels == 3 ? c : 0)]);
            shared->samples[c * VJ_CUDA_FIRST32_PLANE + y * VJ_CUDA_FIRST32_STRIDE + x] = v;
        }
    }
}

/* Step 2: sums of the tile whose upper left corner is row y of the thread block and column x. */
static inline VJ_HD struct vj_cuda_first32_tile
vj_cuda_first32_sums(const struct vj_cuda_first32_shared *shared, int y, int x, int group)
{
    struct vj_cuda_first32_tile t;
    VJ_UNROLL
    for (int i = 0; i < 2 * VJ_CUDA_FIRST32_COLUMNS; i++)
        for (int n = 0; n < VJ_CUDA_FIRST32_GROUP; n++)
            t.v[i / VJ_CUDA_FIRST32_COLUMNS][i % VJ_CUDA_FIRST32_COLUMNS][n] = 0.0f;
    for (int c = 0; c < 3; c++) {
        struct vj_cuda_net_quad left[4], right[4]; /* columns x .. x + 7, of which 6 are of use */
        for (int r = 0; r < 4; r++) {
            const size_t at =
                (size_t)(c * VJ_CUDA_FIRST32_PLANE + (y + r) * VJ_CUDA_FIRST32_STRIDE + x);
            left[r] = vj_cuda_net_get4(shared->samples, at, false);
            right[r] = vj_cuda_net_get4(shared->samples, at + 4, false);
        }
        VJ_UNROLL
        for (int tap = 0; tap < VJ_CUDA_FIRST_TAPS; tap++) {
            const size_t at =
                (size_t)((tap * 3 + c) * VJ_CUDA_FIRST_CHANNELS + group * VJ_CUDA_FIRST32_GROUP);
            const struct vj_cuda_net_quad low = vj_cuda_net_get4(shared->kernel, at, false);
            const struct vj_cuda_net_quad high = vj_cuda_net_get4(shared->kernel, at + 4, false);
            for (int k = 0; k < 2 * VJ_CUDA_FIRST32_COLUMNS; k++) {
                const int r = k / VJ_CUDA_FIRST32_COLUMNS, i = k % VJ_CUDA_FIRST32_COLUMNS;
                const int px = i + tap % 3;
                const float s = px < 4 ? left[r + tap / 3].v[px] : right[r + tap / 3].v[px - 4];
                for (int n = 0; n < 4; n++) {
                    t.v[r][i][n] = fmaf(s, low.v[n], t.v[r][i][n]);
                    t.v[r][i][n + 4] = fmaf(s, high.v[n], t.v[r][i][n + 4]);
                }
            }
        }
    }
    return t;
}

/* Step 3: bias, relu, statistics and pooling of a tile. y: its upper row in the thread block. */
static inline VJ_HD void vj_cuda_first32_finish(const struct vj_cuda_first_job *j,
                                                const struct vj_cuda_first32_tile *tile,
                                                const float bias[VJ_CUDA_FIRST32_GROUP],
                                                struct vj_cuda_first_statistics *t, unsigned part,
                                                size_t row, int y, int x, int group)
{
    const size_t half_side = (size_t)(j->side / 2);
    const size_t py = (size_t)((int)part * VJ_CUDA_FIRST_ROWS + y) / 2;
    VJ_UNROLL
    for (int pair = 0; pair < VJ_CUDA_FIRST32_COLUMNS / 2; pair++) {
        struct vj_cuda_net_quad out[2];
        for (int n = 0; n < VJ_CUDA_FIRST32_GROUP; n++) {
            float v[4];
            for (int k = 0; k < 4; k++)
                v[k] = vj_cuda_net_relu(tile->v[k / 2][2 * pair + k % 2][n] + bias[n]);
            out[n / 4].v[n % 4] = vj_cuda_first_pool(v, t, n);
        }
        const size_t px = (size_t)(x / 2 + pair);
        const size_t at = ((row * half_side + py) * half_side + px) * VJ_CUDA_FIRST_CHANNELS +
                          (size_t)(group * VJ_CUDA_FIRST32_GROUP);
        vj_cuda_net_set4(j->pooled, at, out[0], false);
        vj_cuda_net_set4(j->pooled, at + 4, out[1], false);
    }
}

/* Where vj_cuda_first_total() looks for a thread's statistics. */
static inline VJ_HD int vj_cuda_first32_place(int thread)
{
    return VJ_CUDA_FIRST32_GROUPS * vj_cuda_first32_worker(thread) + vj_cuda_first32_group(thread);
}

#endif
