/* SPDX-License-Identifier: MIT */
/*
 * A 3x3 convolution of one patch by Winograd's F(4x4, 3x3) (host/winograd.h): its products over
 * channels are one of oneDNN's, batched, over strips of tiles.
 *
 * Maps are as in host/onednn.h. A convolution is shared by threads, but loaded by one while no call
 * runs; a call belongs to one thread.
 */
#ifndef VJ_HOST_WINOGRAD_CONV_H
#define VJ_HOST_WINOGRAD_CONV_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/onednn.h"

struct vj_winograd_conv;
struct vj_winograd_call;

/* Whether this way is open, and faster than a direct one: maps of 16 tiles of 4x4 or more, channels
 * and the blocks that are asked for multiples of 8. */
bool vj_winograd_conv_suits(const struct vj_dnn_conv *shape);

/*
 * shape: one that suits, whatever its batch; name and lifetimes as for vj_dnn_conv_prepare().
 * Blocks that are left open become 8. Errors: -ENOMEM, -EIO.
 */
int vj_winograd_conv_prepare(struct vj_winograd_conv **conv, struct vj_dnn *dnn,
                             const struct vj_dnn_conv *shape, struct vj_error *err);
void vj_winograd_conv_free(struct vj_winograd_conv *conv);

/* kernel: [3][3][in][out] (HWIO); bias: [out], or NULL for none; both copied */
void vj_winograd_conv_load(struct vj_winograd_conv *conv, const float *kernel, const float *bias);

/* As vj_dnn_op_...() say of an operation; the implementation is that of the products. */
size_t vj_winograd_conv_src_block(const struct vj_winograd_conv *conv);
size_t vj_winograd_conv_dst_block(const struct vj_winograd_conv *conv);
size_t vj_winograd_conv_weight_bytes(const struct vj_winograd_conv *conv);
size_t vj_winograd_conv_scratch_bytes(const struct vj_winograd_conv *conv);
const char *vj_winograd_conv_implementation(const struct vj_winograd_conv *conv);

/* scratch: vj_winograd_conv_scratch_bytes() on a 64-byte boundary, free for other use between runs;
 * it and conv must outlive the call. */
int vj_winograd_bind(struct vj_winograd_call **call, const struct vj_winograd_conv *conv,
                     void *scratch, struct vj_error *err);
void vj_winograd_call_free(struct vj_winograd_call *call);

/* dst = conv(src) + bias, and its relu where the shape says so; src and dst do not overlap. */
int vj_winograd_run(struct vj_winograd_call *call, const float *src, float *dst,
                    struct vj_error *err);

#endif
