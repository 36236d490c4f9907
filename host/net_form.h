/* SPDX-License-Identifier: MIT */
/*
 * How the variants differ: the one description that weights, both passes and both heads go by.
 *
 * A network is a row of blocks; a block is `convs` convolutions 3x3 (SAME, bias, relu), channel
 * attention in all blocks but the last where there is any, and 2x2 max pooling. A non-local block,
 * where there is one, stands between the last convolution and its pooling. The last pooled map,
 * flattened (HWC) or reduced, is what the heads see of a patch:
 *   quality  q_p = dense(relu(dense([f_r, f_d, f_r - f_d], 512)), 1)
 *   weight   a_p = relu(dense(relu(dense([f_r, f_d, third], 512)), 1)) + 1e-6
 * with third = f_d f_j where a pixel-JND map is seen, f_r - f_d otherwise.
 */
#ifndef VJ_HOST_NET_FORM_H
#define VJ_HOST_NET_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "host/weights.h"

enum { VJ_NET_CONVS = 2, VJ_NET_LAYERS = VJ_NET_BLOCKS * VJ_NET_CONVS };

#define VJ_NET_LEAST_WEIGHT 1e-6f /* of a patch, where the relu lets nothing through */

struct vj_net_form {
    const char *name;
    int blocks;                /* 1..VJ_NET_BLOCKS */
    int convs;                 /* convolutions of a block, 1..VJ_NET_CONVS */
    bool attention, non_local; /* a non-local block is conv4's: of four blocks of one convolution */
    bool jnd;                  /* sees a pixel-JND map */
    bool jnd_stream;           /* the map passes weights of its own, "extract_jnd_feature" */
    bool statistics; /* features are mean and standard deviation per channel; else flattened */
    int copies;      /* of each feature among the inputs of the heads */
    double gain;     /* initial 3x3 kernels have the variance gain / fan in, before the cut */
    int patch_size;  /* default; a multiple of 2^blocks */
    int channels[VJ_NET_BLOCKS]; /* default */
};

const struct vj_net_form *vj_net_form(enum vj_variant variant);

/* One convolution; layers are numbered from 0 through all blocks. */
struct vj_net_layer {
    const char *name; /* scope in the weight file: "conv3", or "conv3_2" of two in a block */
    int block;        /* from 0 */
    bool first, last; /* of its block */
    size_t side;      /* of its map */
    size_t in, out;   /* channels */
};

int vj_net_layers(const struct vj_net_shape *shape);
struct vj_net_layer vj_net_layer(const struct vj_net_shape *shape, int layer);

/* Number of a block's last convolution. */
static inline int vj_net_block_end(const struct vj_net_form *form, int block)
{
    return block * form->convs + form->convs - 1;
}

/* Blocks with channel attention: all but the last, or none. */
static inline int vj_net_attentions(const struct vj_net_form *form)
{
    return form->attention ? form->blocks - 1 : 0;
}

/* Side of the map that block i works on; of the last pooled map for i = blocks. */
static inline size_t vj_net_side(const struct vj_net_shape *shape, int i)
{
    return (size_t)shape->patch_size >> i;
}

/* Channels of the last block. */
static inline size_t vj_net_last_channels(const struct vj_net_shape *shape)
{
    return (size_t)shape->channels[vj_net_form(shape->variant)->blocks - 1];
}

#endif
