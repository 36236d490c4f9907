/* SPDX-License-Identifier: MIT */
/*
 * A 3x3 convolution of training, whose weights change at every step: result and derivative by the
 * source by Winograd's way where that is faster (host/winograd_conv.h), else, and the weights'
 * derivative always, by oneDNN's direct one (host/onednn_train.h), whose layouts both have.
 */
#ifndef VJ_HOST_TRAIN_CONV_H
#define VJ_HOST_TRAIN_CONV_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/onednn_train.h"
#include "host/winograd_conv.h"

struct vj_train_conv {
    const char *name;
    struct vj_dnn_conv_train *direct;
    struct vj_winograd_conv *forward, *back; /* NULL: the direct way */
    float *turned;                           /* [3][3][out][in], for the way back */
    size_t batch, in, out;
};

struct vj_train_conv_call {
    const struct vj_train_conv *conv;
    struct vj_dnn_conv_train_call *direct;
    struct vj_winograd_call *forward, *back;
};

/*
 * Winograd's way, after `direct` was prepared for the same shape: it goes by the direct one's
 * blocks. backward_data: whether the derivative by the source is ever wanted
 * c: zeroed but for `direct`; released with vj_train_conv_free() whatever the outcome
 */
int vj_train_conv_complete(struct vj_train_conv *c, struct vj_dnn *dnn,
                           const struct vj_dnn_conv *shape, bool backward_data,
                           struct vj_error *err);
void vj_train_conv_free(struct vj_train_conv *c);

/* Takes new weights. kernel: [3][3][in][out] (HWIO), bias: [out]; both copied. */
int vj_train_conv_load(struct vj_train_conv *c, const float *kernel, const float *bias,
                       struct vj_error *err);

/* Bytes of scratch memory each call needs, on a 64-byte boundary. */
size_t vj_train_conv_scratch_bytes(const struct vj_train_conv *c);

/* call: zeroed; released with vj_train_conv_call_free() whatever the outcome. scratch stays the
 * caller's and must outlive the call, as must c. One thread at a time per call. */
int vj_train_conv_bind(struct vj_train_conv_call *call, const struct vj_train_conv *c,
                       void *scratch, struct vj_error *err);
void vj_train_conv_call_free(struct vj_train_conv_call *call);

/* As vj_dnn_forward() and vj_dnn_backward_data(). */
int vj_train_conv_forward(const struct vj_train_conv_call *call, const float *src, float *dst,
                          struct vj_error *err);
int vj_train_conv_backward_data(const struct vj_train_conv_call *call, const float *diff_dst,
                                float *diff_src, struct vj_error *err);

#endif
