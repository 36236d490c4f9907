/* SPDX-License-Identifier: MIT */
/*
 * A 3x3 convolution of one patch with bias and relu, by whichever of two ways is faster: oneDNN's
 * direct one, or Winograd's (host/winograd_conv.h).
 *
 * The way depends on the layer's shape alone. Maps are as in host/onednn.h; a prepared convolution
 * is shared by threads, a call belongs to one.
 */
#ifndef VJ_HOST_NET_CONV_H
#define VJ_HOST_NET_CONV_H

#include <stddef.h>

#include "host/error.h"
#include "host/onednn.h"

struct vj_net_conv;
struct vj_net_conv_call;

/*
 * conv:   batch 1, kernel 3, not valid; name and lifetimes as for vj_dnn_conv_prepare()
 * kernel: [3][3][in][out] (HWIO), bias: [out]; both copied
 * Winograd's way takes blocks of 8 where they are left to it.
 */
int vj_net_conv_prepare(struct vj_net_conv **conv, struct vj_dnn *dnn,
                        const struct vj_dnn_conv *shape, const float *kernel, const float *bias,
                        struct vj_error *err);
void vj_net_conv_free(struct vj_net_conv *conv);

/* As vj_dnn_op_...() say of an operation. */
size_t vj_net_conv_src_block(const struct vj_net_conv *conv);
size_t vj_net_conv_dst_block(const struct vj_net_conv *conv);
size_t vj_net_conv_weight_bytes(const struct vj_net_conv *conv);
size_t vj_net_conv_scratch_bytes(const struct vj_net_conv *conv);
/* "winograd, " and oneDNN's name of the product, or its name of the convolution. */
void vj_net_conv_describe(const struct vj_net_conv *conv, char *text, size_t size);

/* As vj_dnn_bind(), vj_dnn_call_free() and vj_dnn_run(). */
int vj_net_conv_bind(struct vj_net_conv_call **call, const struct vj_net_conv *conv, float *src,
                     float *dst, void *scratch, struct vj_error *err);
void vj_net_conv_call_free(struct vj_net_conv_call *call);
int vj_net_conv_run(struct vj_net_conv_call *call, struct vj_error *err);

#endif
