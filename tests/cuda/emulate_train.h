/* SPDX-License-Identifier: MIT */
/* The training step's own kernels as loops around their bodies; see tests/cuda/emulate.h. */
#ifndef VJ_TESTS_CUDA_EMULATE_TRAIN_H
#define VJ_TESTS_CUDA_EMULATE_TRAIN_H

#include "tests/cuda/emulate.h"

#include "cuda/train_body.h"
#include "cuda/train_head_body.h"

/* A kernel of one step, a thread for each of the job's numbers. */
#define EMU_TRAIN_EACH(step, job)                                                                  \
    do {                                                                                           \
        const struct vj_cuda_grid emu_grid = {vj_cuda_net_blocks((job)->count), 1, 1};             \
        EMULATE_BLOCKS(emu_grid, at)                                                               \
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)                                               \
        if ((size_t)at.x * VJ_CUDA_NET_THREADS + thread < (job)->count)                            \
            step((job), (size_t)at.x *VJ_CUDA_NET_THREADS + thread);                               \
    } while (0)

static inline void emu_train_gather(const struct vj_cuda_train_gather_job *j, size_t rows)
{
    const struct vj_cuda_grid grid = {(unsigned)j->shape.blocks, (unsigned)rows, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_train_gather_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_gather(j, &shared, at.x, at.y, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_combine(j, &shared, at.x, at.y, (int)thread);
    }
}

static inline void emu_train_attend(const struct vj_cuda_train_attend_job *j, size_t rows)
{
    const struct vj_cuda_grid grid = {(unsigned)rows, 1, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_train_attend_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_attend_logit(j, &shared, at.x, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_attend_hidden(j, &shared, at.x, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_attend_in(j, &shared, at.x, (int)thread);
    }
}

static inline void emu_train_softmax(const struct vj_cuda_train_softmax_job *j)
{
    const struct vj_cuda_grid grid = {vj_cuda_net_blocks(j->rows * VJ_CUDA_NET_LANES), 1, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_train_softmax_shared shared;
        const size_t first = (size_t)at.x * VJ_CUDA_NET_WARPS;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_softmax_sum(j, &shared, first + thread / VJ_CUDA_NET_LANES, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_softmax_write(j, &shared, first + thread / VJ_CUDA_NET_LANES, (int)thread);
    }
}

static inline void emu_train_columns(const struct vj_cuda_train_columns_job *j)
{
    const struct vj_cuda_grid grid = {(unsigned)j->shape.parts, (unsigned)j->shape.blocks, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_train_columns_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_columns_sum(j, &shared, at.x, at.y, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_train_columns_write(j, &shared, at.x, at.y, (int)thread);
    }
}

static inline void emu_train_out(const struct vj_cuda_train_out_job *j, size_t rows)
{
    const struct vj_cuda_grid grid = {(unsigned)rows, 1, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_train_out_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_train_out_sum(j, &shared, at.x, (int)thread);
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_train_out_write(j, &shared, at.x, (int)thread);
    }
}

#endif
