/* SPDX-License-Identifier: MIT */
/*
 * Training on a CUDA device, all variants: the table of host/trainer.h. Convolutions are cuDNN's,
 * matrix products cuBLASLt's, the rest own kernels; everything in single precision, nothing rounded
 * to tensor-core formats.
 *
 * The layers see the folded form of the weights (host/net_fold.h), made anew in every step, and the
 * gradients come back through the foldings. A step is deterministic: one pinned algorithm per
 * layer, none of which adds numbers in an order of its own, pictures worked on one after the other.
 * Two steps from the same state give the same bits on one model of GPU with one set of libraries.
 *
 * Memory, all taken by open(): cuda/train_plan.c is the formula, docs/gpu.md has it in words. The
 * libraries' workspace comes on top.
 */
#ifndef VJ_CUDA_TRAIN_H
#define VJ_CUDA_TRAIN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "host/trainer.h"

extern const struct vj_trainer_ops vj_trainer_cuda;

/* Lines for a record: libraries, memory, every layer with its algorithms. Cut off at `size`. */
void vj_cuda_train_describe(const void *state, char *text, size_t size);

/* Multiply-accumulates of a step, forward and back. */
double vj_cuda_train_step_macs(const void *state, size_t references, size_t pairs);

#ifdef __cplusplus
}
#endif

#endif
