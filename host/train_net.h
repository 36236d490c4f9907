/* SPDX-License-Identifier: MIT */
/*
 * What the files of the CPU trainer share (host/trainer_cpu.c): forward and backward passes of the
 * feature extractor and of the two heads, with the foldings of spec network.md applied to weights
 * that change at every step.
 *
 * Patches are worked on in chunks of `batch` patches, one thread and one pass of primitives each.
 * What the backward pass needs of a chunk is kept between the passes in the chunk's storage.
 */
#ifndef VJ_HOST_TRAIN_NET_H
#define VJ_HOST_TRAIN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/net_backward.h"
#include "host/net_fold.h"
#include "host/net_form.h"
#include "host/net_layers.h"
#include "host/train_conv.h"
#include "host/trainer.h"
#include "host/weights.h"

/* ---- feature extractor (train_extract.c) ---- */

/*
 * One stream's weights in the form that the passes want; views point into the weights given. What
 * the variant does not have is NULL or empty.
 */
struct vj_train_extractor {
    const char *stream; /* "extract_feature", "extract_jnd_feature" */
    struct vj_train_conv conv[VJ_NET_LAYERS];
    struct vj_attention attention[VJ_NET_BLOCKS];     /* views */
    const float *theta, *theta_bias, *phi, *phi_bias; /* views */
    float *value, *value_bias; /* folding 5: Wg Ww [C][C] and bg Ww + bw [C]; one allocation */
};

/*
 * Geometry, and where things lie in a chunk's storage and in a gradient; offsets in floats. Maps
 * are numbered by convolution, pooled maps by block; the last block's is NHWC, what the features
 * are made of.
 */
struct vj_train_layout {
    struct vj_net_shape shape;
    const struct vj_net_form *form;
    int layers;
    size_t batch;                      /* patches of a chunk */
    struct vj_map map[VJ_NET_LAYERS];  /* results of the convolutions */
    struct vj_map half[VJ_NET_BLOCKS]; /* pooled maps, in the layout that the next one reads */
    size_t input_block;
    size_t map_floats[VJ_NET_LAYERS], half_floats[VJ_NET_BLOCKS], input_floats; /* of one patch */
    size_t channels, positions; /* of the last block's map: C, N */
    size_t features;            /* vj_net_features() */
    struct {
        size_t input, map[VJ_NET_LAYERS], half[VJ_NET_BLOCKS];
        size_t mean[VJ_NET_BLOCKS], max[VJ_NET_BLOCKS], scale[VJ_NET_BLOCKS];
        size_t nhwc, theta, phi, value, attention, attended;
        size_t total;
    } keep;
    struct {
        size_t kernel[VJ_NET_LAYERS], bias[VJ_NET_LAYERS];
        size_t kernel_0[VJ_NET_BLOCKS], bias_0[VJ_NET_BLOCKS];
        size_t kernel_1[VJ_NET_BLOCKS], bias_1[VJ_NET_BLOCKS];
        size_t theta, theta_bias, phi, phi_bias, value, value_bias;
        size_t total;
    } gradient;
};

/* Buffers and handles of one thread; streams share what has the same shape. */
struct vj_train_thread {
    float *memory;     /* one allocation, cut up into the buffers below */
    float *map, *half; /* derivatives of a map and of a pooled map */
    float *between;    /* derivative of the map between the two convolutions of a block */
    float *tokens[4], *scores, *scratch;
    float *gradient; /* [layout.gradient.total], of one chunk */
    struct vj_train_conv_call call[2][VJ_NET_LAYERS];
    size_t bytes;
};

/*
 * Prepares the primitives of one stream for chunks of `batch` patches; weights come with
 * vj_train_extractor_load(). Errors: -ENOMEM, -EIO.
 */
int vj_train_extractor_prepare(struct vj_train_extractor *e, struct vj_dnn *dnn,
                               const struct vj_net_shape *shape, const char *stream, size_t batch,
                               struct vj_error *err);
void vj_train_extractor_release(struct vj_train_extractor *e);

/* Takes over the weights of a step; w must stay as it is until the next call. */
int vj_train_extractor_load(struct vj_train_extractor *e, const struct vj_weights *w,
                            struct vj_error *err);

void vj_train_layout_make(struct vj_train_layout *layout, const struct vj_net_shape *shape,
                          const struct vj_train_extractor *e, size_t batch);

int vj_train_thread_create(struct vj_train_thread *t, const struct vj_train_layout *layout,
                           const struct vj_train_extractor *streams, int count,
                           struct vj_error *err);
void vj_train_thread_release(struct vj_train_thread *t);

/* The patches of a chunk and where their features and derivatives lie. */
struct vj_train_chunk {
    int stream;              /* index into the extractors */
    size_t count;            /* patches, 1..batch; the rest of the chunk is padding */
    size_t channels;         /* of the patches: 3, or 1 to be seen three times */
    const uint8_t *patches;  /* [count][S][S][channels] */
    float *features;         /* [count][features] */
    const float *d_features; /* [count][features]; backward only */
    float *storage;          /* [layout.keep.total], kept between the passes */
};

int vj_train_extractor_forward(struct vj_train_thread *t, const struct vj_train_layout *layout,
                               const struct vj_train_extractor *e,
                               const struct vj_train_chunk *chunk, struct vj_error *err);

/* Fills t->gradient with the chunk's. */
int vj_train_extractor_backward(struct vj_train_thread *t, const struct vj_train_layout *layout,
                                const struct vj_train_extractor *e,
                                const struct vj_train_chunk *chunk, struct vj_error *err);

/* Writes a stream's gradient, a sum over chunks, into the tensors of `gradient`. */
int vj_train_extractor_unpack(const struct vj_train_layout *layout,
                              const struct vj_train_extractor *e, const float *sum,
                              const struct vj_weights *w, struct vj_weights *gradient,
                              struct vj_error *err);

/* ---- heads and loss (train_heads.c) ---- */

struct vj_train_heads; /* folded matrices, buffers, derivatives */

int vj_train_heads_create(struct vj_train_heads **heads, const struct vj_net_shape *shape,
                          const struct vj_trainer_plan *plan, struct vj_error *err);
void vj_train_heads_free(struct vj_train_heads *heads);
size_t vj_train_heads_bytes(const struct vj_train_heads *heads);

/* Folds the first layers for a step; w must stay as it is until the next call. */
int vj_train_heads_load(struct vj_train_heads *heads, const struct vj_weights *w,
                        struct vj_error *err);

/* Features of a batch and their derivatives; row reference * P + patch or pair * P + patch. */
struct vj_train_features {
    const float *r, *j; /* [references][P][features]; j, d_j: NULL where no map is seen */
    const float *d;     /* [pairs][P][features] */
    float *d_r, *d_j, *d_d;
};

/*
 * Forward and backward through both heads and the loss.
 * loss, logit: as in struct vj_trainer_ops
 * gradient: its tensors regressions/... and weightings/... are overwritten
 */
int vj_train_heads_run(struct vj_train_heads *heads, const struct vj_train_batch *batch,
                       uint64_t step, const struct vj_train_features *f, double *loss, float *logit,
                       struct vj_weights *gradient, struct vj_error *err);

#endif
