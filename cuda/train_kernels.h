/* SPDX-License-Identifier: MIT */
/*
 * Launchers of the training step's own kernels: each enqueues its job and reports whether it was
 * accepted. What a job says and does stands in cuda/train_body.h and cuda/train_head_body.h.
 */
#ifndef VJ_CUDA_TRAIN_KERNELS_H
#define VJ_CUDA_TRAIN_KERNELS_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/train_body.h"
#include "cuda/train_head_body.h"

/* Blocks with attention, back: gather, attend and mlp, then scatter. */
cudaError_t vj_cuda_train_gather_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_gather_job *job, size_t rows);
cudaError_t vj_cuda_train_attend_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_attend_job *job, size_t rows);
cudaError_t vj_cuda_train_mlp_launch(cudaStream_t stream, const struct vj_cuda_train_mlp_job *job);
cudaError_t vj_cuda_train_scatter_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_scatter_job *job);

/* Blocks without, back; and any relu. */
cudaError_t vj_cuda_train_spread_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_spread_job *job);
cudaError_t vj_cuda_train_mask_launch(cudaStream_t stream,
                                      const struct vj_cuda_train_mask_job *job);

/* Behind conv4 of a non-local block, back. */
cudaError_t vj_cuda_train_deviation_launch(cudaStream_t stream,
                                           const struct vj_cuda_train_deviation_job *job);
cudaError_t vj_cuda_train_unjoin_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_unjoin_job *job);
cudaError_t vj_cuda_train_softmax_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_softmax_job *job);

/* Sums. */
cudaError_t vj_cuda_train_columns_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_columns_job *job);
cudaError_t vj_cuda_train_add_launch(cudaStream_t stream, const struct vj_cuda_train_add_job *job);

/* Heads: forward, loss, back. */
cudaError_t vj_cuda_train_hidden_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_hidden_job *job);
cudaError_t vj_cuda_train_out_launch(cudaStream_t stream, const struct vj_cuda_train_out_job *job,
                                     size_t rows);
cudaError_t vj_cuda_train_loss_launch(cudaStream_t stream,
                                      const struct vj_cuda_train_loss_job *job);
cudaError_t vj_cuda_train_second_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_second_job *job);
cudaError_t vj_cuda_train_unhide_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_unhide_job *job);
cudaError_t vj_cuda_train_share_launch(cudaStream_t stream,
                                       const struct vj_cuda_train_share_job *job);
cudaError_t vj_cuda_train_factors_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_factors_job *job);

/* Forms of the weights and, the other way round, of gradients. */
cudaError_t vj_cuda_train_fold_kernel_launch(cudaStream_t stream,
                                             const struct vj_cuda_train_kernel_job *job);
cudaError_t vj_cuda_train_unfold_kernel_launch(cudaStream_t stream,
                                               const struct vj_cuda_train_kernel_job *job);
cudaError_t vj_cuda_train_fold_heads_launch(cudaStream_t stream,
                                            const struct vj_cuda_train_heads_job *job);
cudaError_t vj_cuda_train_unfold_heads_launch(cudaStream_t stream,
                                              const struct vj_cuda_train_heads_job *job);
cudaError_t vj_cuda_train_merge_launch(cudaStream_t stream,
                                       const struct vj_cuda_train_merge_job *job);
cudaError_t vj_cuda_train_unmerge_launch(cudaStream_t stream,
                                         const struct vj_cuda_train_unmerge_job *job);

/* The update. */
cudaError_t vj_cuda_train_finite_launch(cudaStream_t stream,
                                        const struct vj_cuda_train_finite_job *job);
cudaError_t vj_cuda_train_adam_launch(cudaStream_t stream,
                                      const struct vj_cuda_train_adam_job *job);

#ifdef __cplusplus
}
#endif

#endif
