/* SPDX-License-Identifier: MIT */
/*
 * The training step on a CUDA device, in plain C: where every tensor, activation and gradient lies,
 * and the shapes of the products of the way back. Everything is tested without a GPU.
 *
 * Patches pass through the layers picture by picture, P of them, forward and back: `rows` of the
 * network's plan is P. A step has up to max_references pictures R, as many maps J where a map is
 * seen, and max_pairs pictures D; what the layers of each have put out is kept until its way back.
 * S, L, N, C and F are those of cuda/net_plan.h; what a variant does not have takes no memory.
 */
#ifndef VJ_CUDA_TRAIN_PLAN_H
#define VJ_CUDA_TRAIN_PLAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/net_plan.h"
#include "host/error.h"
#include "host/trainer.h"
#include "host/weights.h"

enum {
    VJ_CUDA_TRAIN_ALIGNMENT = 64,       /* of a tensor among the tensors of a set, numbers */
    VJ_CUDA_TRAIN_COLUMN_PARTS = 256,   /* most partial sums of a column */
    VJ_CUDA_TRAIN_COLUMN_SHORTEST = 64, /* least rows that a thread adds up for one */
};

/*
 * Offsets of tensors in a set: weights, moments, average or gradient, all laid out alike, one
 * tensor behind the other in the order of the weights, VJ_CUDA_TRAIN_ALIGNMENT numbers apart or a
 * multiple of that. What lies between them is zero and stays so.
 */
struct vj_cuda_train_stream {
    size_t kernel[VJ_NET_LAYERS], bias[VJ_NET_LAYERS];
    size_t attention[VJ_NET_BLOCKS - 1][4]; /* mlp_0 kernel and bias, mlp_1 kernel and bias */
    size_t theta, theta_bias, phi, phi_bias, g, g_bias, w, w_bias;
};

struct vj_cuda_train_head {
    size_t kernel_1, bias_1, kernel_2, bias_2;
};

struct vj_cuda_train_tensors {
    size_t count, total;                   /* tensors; numbers of a set, gaps included */
    struct vj_cuda_train_stream stream[2]; /* pictures, maps; the same twice but for `released` */
    struct vj_cuda_train_head head[2];     /* quality, weight */
};

/* Numbers that a tensor of `count` takes of a set. */
size_t vj_cuda_train_step_over(size_t count);

/* What is kept of one picture, all float. */
enum vj_cuda_train_kept {
    VJ_CUDA_TRAIN_MAP = 0, /* layer by layer, TOKENS aside: [P][side][side][channels], after relu;
                              on the way back the gradient before it */
    VJ_CUDA_TRAIN_POOLED = VJ_CUDA_TRAIN_MAP + VJ_NET_LAYERS, /* block by block but for the last:
                                                                 pooled and scaled */
    VJ_CUDA_TRAIN_SUMS = VJ_CUDA_TRAIN_POOLED + VJ_NET_BLOCKS - 1,  /* [P][pool.blocks][channels] */
    VJ_CUDA_TRAIN_PEAKS = VJ_CUDA_TRAIN_SUMS + VJ_NET_BLOCKS - 1,   /* the same */
    VJ_CUDA_TRAIN_SCALE = VJ_CUDA_TRAIN_PEAKS + VJ_NET_BLOCKS - 1,  /* [P][channels] */
    VJ_CUDA_TRAIN_TOKENS = VJ_CUDA_TRAIN_SCALE + VJ_NET_BLOCKS - 1, /* [P][N][conv[3].out] */
    VJ_CUDA_TRAIN_THETA,                                            /* [P][N][C] */
    VJ_CUDA_TRAIN_PHI,
    VJ_CUDA_TRAIN_VALUE,
    VJ_CUDA_TRAIN_CHANCES,           /* [P][N][N] */
    VJ_CUDA_TRAIN_ATTENDED,          /* [P][N][C] */
    VJ_CUDA_TRAIN_LAST,              /* [P][L][L][C]; the memory of FEATURES but for statistics */
    VJ_CUDA_TRAIN_FEATURES,          /* [P][F] */
    VJ_CUDA_TRAIN_FEATURES_GRADIENT, /* [P][F]: gradient at the features */
    VJ_CUDA_TRAIN_KEPT,
};

/* What there is once. Floats where nothing else is said; those of both streams in a row. */
enum vj_cuda_train_buffer {
    VJ_CUDA_TRAIN_SET = 0, /* 4: enum vj_train_set */

    /* Weights as the layers read them, made from the set of weights in every step. */
    VJ_CUDA_TRAIN_KERNEL =
        VJ_CUDA_TRAIN_SET + VJ_TRAIN_SETS, /* 2 x VJ_NET_LAYERS: [out][3][3][in], layer by layer */
    VJ_CUDA_TRAIN_MERGED = VJ_CUDA_TRAIN_KERNEL + 2 * VJ_NET_LAYERS, /* 2: [C][C], g times w */
    VJ_CUDA_TRAIN_MERGED_BIAS = VJ_CUDA_TRAIN_MERGED + 2,            /* 2: [C] */
    VJ_CUDA_TRAIN_REFERENCE = VJ_CUDA_TRAIN_MERGED_BIAS + 2,         /* [F][2 * 512] */
    VJ_CUDA_TRAIN_DISTORTED,                                         /* [F][2 * 512] */
    VJ_CUDA_TRAIN_PRODUCT,                                           /* [F][512] */

    /* Gradients, summed up over the pictures of a step: in a row, so that one call clears them. */
    VJ_CUDA_TRAIN_GRADIENT, /* a set */
    VJ_CUDA_TRAIN_KERNEL_GRADIENT,
    VJ_CUDA_TRAIN_MERGED_GRADIENT = VJ_CUDA_TRAIN_KERNEL_GRADIENT + 2 * VJ_NET_LAYERS,
    VJ_CUDA_TRAIN_MERGED_BIAS_GRADIENT = VJ_CUDA_TRAIN_MERGED_GRADIENT + 2,
    VJ_CUDA_TRAIN_REFERENCE_GRADIENT = VJ_CUDA_TRAIN_MERGED_BIAS_GRADIENT + 2,
    VJ_CUDA_TRAIN_DISTORTED_GRADIENT,
    VJ_CUDA_TRAIN_PRODUCT_GRADIENT,

    /* The batch. */
    VJ_CUDA_TRAIN_R,            /* u8 [max_references][P][S][S][3] */
    VJ_CUDA_TRAIN_J,            /* u8 [max_references][P][S][S] */
    VJ_CUDA_TRAIN_D,            /* u8 [max_pairs][P][S][S][3] */
    VJ_CUDA_TRAIN_REFERENCE_OF, /* u32 [max_pairs] */
    VJ_CUDA_TRAIN_TARGET,       /* [max_pairs] */
    VJ_CUDA_TRAIN_IMPORTANCE,   /* [max_pairs] */

    /* Of a pass of one picture, forward and back. */
    VJ_CUDA_TRAIN_INPUT,          /* [P][S][S][conv[0].in] */
    VJ_CUDA_TRAIN_INPUT_GRADIENT, /* gradient at a convolution's input but for the first one's */
    VJ_CUDA_TRAIN_SCALE_PARTS,    /* [P][pool.blocks][channels]: gradient of the scale, in parts */
    VJ_CUDA_TRAIN_PEAK_PARTS,     /* u32, the same: where a part's maximum is */
    VJ_CUDA_TRAIN_PEAK,           /* u32 [P][channels]: where the patch's maximum is */
    VJ_CUDA_TRAIN_ATTENTION, /* [P][5 * channels + 4 * channels / 16]: of attention, see its job */
    VJ_CUDA_TRAIN_LAST_GRADIENT,  /* [P][L][L][C]; only where there are statistics */
    VJ_CUDA_TRAIN_JOINED,         /* [P][N][conv[3].out]: gradient at conv4's output */
    VJ_CUDA_TRAIN_THETA_GRADIENT, /* [P][N][C] */
    VJ_CUDA_TRAIN_PHI_GRADIENT,
    VJ_CUDA_TRAIN_VALUE_GRADIENT,
    VJ_CUDA_TRAIN_CHANCES_GRADIENT, /* [P][N][N], then at the affinity */
    VJ_CUDA_TRAIN_SQUARES, /* [P][C][C]: gradient of a projection's kernel, patch by patch */
    VJ_CUDA_TRAIN_FRESH,   /* a convolution's kernel: its gradient of one picture */
    VJ_CUDA_TRAIN_COLUMNS, /* [VJ_CUDA_TRAIN_COLUMN_PARTS][most columns]: sums of columns */

    /* Of the heads. */
    VJ_CUDA_TRAIN_BIAS,           /* [2 * 512]: of the first layers, side by side */
    VJ_CUDA_TRAIN_CONSTANT,       /* [max_references][P][2 * 512] */
    VJ_CUDA_TRAIN_PAIR,           /* [slices][P][2 * 512] */
    VJ_CUDA_TRAIN_OF_TIMES,       /* [slices][P][512] */
    VJ_CUDA_TRAIN_TIMES,          /* [P][F]: f_d * f_j */
    VJ_CUDA_TRAIN_TIMES_GRADIENT, /* [P][F] */
    VJ_CUDA_TRAIN_HIDDEN, /* [max_pairs][P][2 * 512] after dropout, then the gradient before relu */
    VJ_CUDA_TRAIN_HIDDEN_OF_R,  /* [max_references][P][2 * 512]: that gradient's sum over pairs */
    VJ_CUDA_TRAIN_OUT,          /* [2][max_pairs][P]: second layers' output */
    VJ_CUDA_TRAIN_OUT_GRADIENT, /* the same */
    VJ_CUDA_TRAIN_LOGIT,        /* [max_pairs] */
    VJ_CUDA_TRAIN_LOSS,         /* double [max_pairs] */
    VJ_CUDA_TRAIN_FLAGS, /* int [P + 1]: zeros, as forward kernels want; a number not finite */
    VJ_CUDA_TRAIN_BUFFERS,
};

enum vj_cuda_train_product {
    VJ_CUDA_TRAIN_OF_VALUE = 0, /* chances^T times the gradient behind the block */
    VJ_CUDA_TRAIN_OF_CHANCES,   /* that gradient times value^T */
    VJ_CUDA_TRAIN_OF_THETA,  /* gradient of the affinity times phi, as the affinity reads it, ^T */
    VJ_CUDA_TRAIN_OF_PHI,    /* theta^T times gradient of the affinity, or its transpose */
    VJ_CUDA_TRAIN_OF_TOKENS, /* a projection's gradient times its kernel^T, added up */
    VJ_CUDA_TRAIN_OF_PROJECTION, /* tokens^T times a projection's gradient, patch by patch */
    VJ_CUDA_TRAIN_OF_PAIR,       /* features^T times both heads' gradient, added up */
    VJ_CUDA_TRAIN_OF_PRODUCT,    /* (f_d * f_j)^T times the weight head's, added up */
    VJ_CUDA_TRAIN_OF_FEATURES,   /* both heads' gradient times their weights^T */
    VJ_CUDA_TRAIN_OF_FACTORS,    /* the weight head's, likewise */
    VJ_CUDA_TRAIN_PRODUCTS,
};

/* Sums of the columns of [rows][ld]: a block takes `span` rows and `width` columns. */
struct vj_cuda_train_column_shape {
    size_t rows, columns, ld;
    size_t width;  /* columns of a block */
    size_t groups; /* rows in work at a time in a block: groups * width <= VJ_CUDA_NET_THREADS */
    size_t span;
    size_t parts, blocks; /* blocks over the rows, over the columns */
};

struct vj_cuda_train_plan {
    struct vj_cuda_net_plan net;
    struct vj_cuda_train_tensors tensors;
    size_t max_references, max_pairs;
    struct vj_cuda_net_matmul product[VJ_CUDA_TRAIN_PRODUCTS];

    size_t offset[VJ_CUDA_TRAIN_BUFFERS]; /* in the one allocation */
    size_t bytes[VJ_CUDA_TRAIN_BUFFERS];
    size_t kept[VJ_CUDA_TRAIN_KEPT]; /* in a picture's memory */
    size_t kept_bytes[VJ_CUDA_TRAIN_KEPT];
    size_t picture; /* bytes of a picture's memory */
    size_t first;   /* where that of the first picture lies; R, then J, then D */
    size_t total;   /* bytes of the whole, the libraries' workspace aside */
};

/*
 * Fills the plan. Errors: -EINVAL (shape or tensors that do not form a network, patches, pairs,
 * references, average, keep or moments out of range, each named).
 */
int vj_cuda_train_plan_make(struct vj_cuda_train_plan *plan, const struct vj_trainer_plan *trainer,
                            struct vj_error *err);

void vj_cuda_train_columns_make(struct vj_cuda_train_column_shape *shape, size_t rows,
                                size_t columns, size_t ld);

/* Stream whose weights a stream uses: there may be one set for both. */
static inline int vj_cuda_train_stream_of(const struct vj_cuda_train_plan *plan, int stream)
{
    return plan->net.form->jnd_stream ? stream : 0;
}

/* Streams with weights of their own. */
static inline int vj_cuda_train_plan_streams(const struct vj_cuda_train_plan *plan)
{
    return plan->net.form->jnd_stream ? 2 : 1;
}

/* Pictures of `references` references: R, and J where a map is seen. */
static inline size_t vj_cuda_train_reference_pictures(const struct vj_cuda_train_plan *plan,
                                                      size_t references)
{
    return plan->net.form->jnd ? 2 * references : references;
}

/* What is kept of a layer's output. */
static inline int vj_cuda_train_map_of(const struct vj_cuda_train_plan *plan, int layer)
{
    const bool tokens = plan->net.form->non_local && layer == plan->net.layers - 1;
    return tokens ? (int)VJ_CUDA_TRAIN_TOKENS : VJ_CUDA_TRAIN_MAP + layer;
}

/* Multiply-accumulates of a step, forward and back, padding not counted. */
double vj_cuda_train_macs(const struct vj_cuda_train_plan *plan, size_t references, size_t pairs);

#ifdef __cplusplus
}
#endif

#endif
