/* SPDX-License-Identifier: MIT */
/* The training step from inside, shared by train.c, train_extract.c and train_heads.c. */
#ifndef VJ_CUDA_TRAIN_INTERNAL_H
#define VJ_CUDA_TRAIN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "cuda/net_ops.h"
#include "cuda/train_ops.h"
#include "cuda/train_plan.h"
#include "host/trainer.h"

/* The three maps of conv4's output that the non-local block is made of. */
enum { VJ_CUDA_TRAIN_PROJECTIONS = 3 };

struct vj_cuda_trainer {
    struct vj_cuda_train_plan plan;
    struct vj_trainer_plan options; /* weights aside, which are the caller's: NULL */
    struct vj_tensor *tensor;       /* [plan.tensors.count]: names and counts, no data */
    int ordinal;
    cudaStream_t stream;
    cudnnHandle_t dnn;
    cublasLtHandle_t lt;
    char *memory;    /* device, plan.total bytes */
    void *workspace; /* device, of the hungriest layer */
    size_t workspace_bytes;
    struct vj_cuda_net_conv_op conv[VJ_NET_LAYERS];
    struct vj_cuda_train_conv_op back[VJ_NET_LAYERS];
    struct vj_cuda_net_matmul_op projection[2][VJ_CUDA_TRAIN_PROJECTIONS]; /* with biases */
    struct vj_cuda_net_matmul_op forward[VJ_CUDA_NET_PRODUCTS];            /* PROJECTION unused */
    struct vj_cuda_net_matmul_op product[VJ_CUDA_TRAIN_PRODUCTS];
};

/* One step's batch, on the device already. */
struct vj_cuda_train_batch {
    size_t references, pairs;
    const uint32_t *reference; /* host, [pairs] */
    uint64_t step;
};

static inline float *vj_cuda_train_at(const struct vj_cuda_trainer *t, int buffer)
{
    return (float *)(void *)(t->memory + t->plan.offset[buffer]);
}

static inline uint8_t *vj_cuda_train_bytes_at(const struct vj_cuda_trainer *t, int buffer)
{
    return (uint8_t *)t->memory + t->plan.offset[buffer];
}

/* Zeros, as the forward kernels want; behind them what tells of numbers that are not finite. */
static inline int *vj_cuda_train_flags(const struct vj_cuda_trainer *t)
{
    return (int *)(void *)vj_cuda_train_bytes_at(t, VJ_CUDA_TRAIN_FLAGS);
}

/* What is kept of a picture. */
static inline float *vj_cuda_train_kept_at(const struct vj_cuda_trainer *t, size_t picture,
                                           int kept)
{
    const struct vj_cuda_train_plan *p = &t->plan;
    return (float *)(void *)(t->memory + p->first + picture * p->picture + p->kept[kept]);
}

/* Streams with weights of their own. */
static inline int vj_cuda_train_streams(const struct vj_cuda_trainer *t)
{
    return vj_cuda_train_plan_streams(&t->plan);
}

/* Input of convolution i: patches, the block's convolution before, or the block before. */
static inline float *vj_cuda_train_conv_input(const struct vj_cuda_trainer *t, size_t picture,
                                              int i)
{
    const struct vj_net_layer layer = vj_net_layer(&t->plan.net.shape, i);
    if (!layer.first)
        return vj_cuda_train_kept_at(t, picture, vj_cuda_train_map_of(&t->plan, i - 1));
    return i ? vj_cuda_train_kept_at(t, picture, VJ_CUDA_TRAIN_POOLED + layer.block - 1)
             : vj_cuda_train_at(t, VJ_CUDA_TRAIN_INPUT);
}

/* Numbers of pictures: R, J and D of a step. */
static inline size_t vj_cuda_train_map_picture(const struct vj_cuda_trainer *t, size_t reference)
{
    return t->plan.max_references + reference;
}

static inline size_t vj_cuda_train_pair_picture(const struct vj_cuda_trainer *t, size_t pair)
{
    return vj_cuda_train_reference_pictures(&t->plan, t->plan.max_references) + pair;
}

/* A tensor in a set, and its gradient. */
static inline float *vj_cuda_train_weight(const struct vj_cuda_trainer *t, size_t offset)
{
    return vj_cuda_train_at(t, VJ_CUDA_TRAIN_SET + VJ_TRAIN_WEIGHTS) + offset;
}

static inline float *vj_cuda_train_gradient(const struct vj_cuda_trainer *t, size_t offset)
{
    return vj_cuda_train_at(t, VJ_CUDA_TRAIN_GRADIENT) + offset;
}

/* One picture's way through the feature extractor of a stream (0 = pictures, 1 = maps). */
struct vj_cuda_train_pass {
    const struct vj_cuda_trainer *t;
    size_t picture;
    int stream;
    const uint8_t *patches; /* device, [P][S][S][channels] */
    int channels;
    struct vj_error *err;
};

/* Features from patches; everything on the way is kept. */
int vj_cuda_train_extract(const struct vj_cuda_train_pass *pass);

/* Gradients of the extractor's weights, added up, from the gradient at the picture's features. */
int vj_cuda_train_extract_back(const struct vj_cuda_train_pass *pass);

/* Logits and losses from features. */
int vj_cuda_train_heads(const struct vj_cuda_trainer *t, const struct vj_cuda_train_batch *batch,
                        struct vj_error *err);

/* Gradients of the heads' weights, added up, and at the features of every picture. */
int vj_cuda_train_heads_back(const struct vj_cuda_trainer *t,
                             const struct vj_cuda_train_batch *batch, struct vj_error *err);

/* Weights into the form that layers read; gradients back into the form of the weights. */
int vj_cuda_train_fold(const struct vj_cuda_trainer *t, struct vj_error *err);
int vj_cuda_train_unfold(const struct vj_cuda_trainer *t, struct vj_error *err);

/* Sums of the columns of x, [rows][ld], added to `to`, [columns]. */
int vj_cuda_train_add_columns(const struct vj_cuda_trainer *t, const float *x, size_t rows,
                              size_t columns, size_t ld, float *to, struct vj_error *err);

/* D = A B or D += A B with a prepared product. */
static inline int vj_cuda_train_multiply(const struct vj_cuda_trainer *t,
                                         const struct vj_cuda_net_matmul_op *op, const float *a,
                                         const float *b, float *d, struct vj_error *err)
{
    return vj_cuda_net_matmul_run(op, t->lt, t->stream, a, b, d, t->workspace, err);
}

#endif
