/* SPDX-License-Identifier: MIT */
/* Launchers of the training step's own kernels; see emulate_libraries.c. */
#include "tests/cuda/emulate_train.h"

#include "cuda/train_kernels.h"

#define EACH(name, job_type)                                                                       \
    cudaError_t vj_cuda_train_##name##_launch(cudaStream_t stream, const struct job_type *job)     \
    {                                                                                              \
        (void)stream;                                                                              \
        EMU_TRAIN_EACH(vj_cuda_train_##name##_step, job);                                          \
        return cudaGetLastError();                                                                 \
    }

EACH(mlp, vj_cuda_train_mlp_job)
EACH(scatter, vj_cuda_train_scatter_job)
EACH(spread, vj_cuda_train_spread_job)
EACH(deviation, vj_cuda_train_deviation_job)
EACH(unjoin, vj_cuda_train_unjoin_job)
EACH(mask, vj_cuda_train_mask_job)
EACH(add, vj_cuda_train_add_job)
EACH(hidden, vj_cuda_train_hidden_job)
EACH(loss, vj_cuda_train_loss_job)
EACH(second, vj_cuda_train_second_job)
EACH(unhide, vj_cuda_train_unhide_job)
EACH(share, vj_cuda_train_share_job)
EACH(factors, vj_cuda_train_factors_job)
EACH(fold_kernel, vj_cuda_train_kernel_job)
EACH(unfold_kernel, vj_cuda_train_kernel_job)
EACH(fold_heads, vj_cuda_train_heads_job)
EACH(unfold_heads, vj_cuda_train_heads_job)
EACH(merge, vj_cuda_train_merge_job)
EACH(unmerge, vj_cuda_train_unmerge_job)
EACH(finite, vj_cuda_train_finite_job)
EACH(adam, vj_cuda_train_adam_job)

cudaError_t vj_cuda_train_gather_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_gather_job *job, size_t rows)
{
    (void)stream;
    emu_train_gather(job, rows);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_attend_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_attend_job *job, size_t rows)
{
    (void)stream;
    emu_train_attend(job, rows);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_softmax_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_softmax_job *job)
{
    (void)stream;
    emu_train_softmax(job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_columns_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_columns_job *job)
{
    (void)stream;
    emu_train_columns(job);
    return cudaGetLastError();
}

cudaError_t vj_cuda_train_out_launch(cudaStream_t stream, const struct vj_cuda_train_out_job *job,
                                     size_t rows)
{
    (void)stream;
    emu_train_out(job, rows);
    return cudaGetLastError();
}
