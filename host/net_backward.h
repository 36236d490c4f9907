/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of the layers of host/net_layers.h; maps and names as there. d_x is the derivative of
 * the loss by x. Where several values share a maximum, the first one, row by row, takes all of its
 * derivative; a relu's derivative at 0 is 0. Sums are formed in an order that depends on nothing
 * outside the map.
 */
#ifndef VJ_HOST_NET_BACKWARD_H
#define VJ_HOST_NET_BACKWARD_H

#include <stddef.h>

#include "host/net_layers.h"

/*
 * Derivative of a channel's scale s in the block pooled = s maxpool(h):
 * d_logit[c] = (1 - s) sum over positions of d_pooled * pooled, which is d_s s (1 - s).
 * pooled, d_pooled: maps of geometry `half`, the scaled and pooled map and its derivative
 * scale, d_logit:   [channels]; channels a multiple of 8
 */
void vj_backward_scale(const float *pooled, const float *d_pooled, const struct vj_map *half,
                       const float *scale, float *d_logit);

/* Derivatives of the attention's own weights; added to, not overwritten. */
struct vj_attention_gradient {
    float *kernel_0, *bias_0, *kernel_1, *bias_1; /* shaped as in struct vj_attention */
};

/*
 * Channel attention: from d_logit to the derivatives of both of its inputs and of its weights.
 * mean, max, d_mean, d_max: [channels]
 */
void vj_backward_attention(const struct vj_attention *a, const float *mean, const float *max,
                           const float *d_logit, float *d_mean, float *d_max,
                           const struct vj_attention_gradient *gradient);

/*
 * Back through scaling, 2x2 pooling, both global poolings and the convolution's relu:
 * d_pre, the derivative in front of the relu.
 * h: [channels] map of geometry `map` behind the relu; max: its largest value per channel
 * d_pooled: derivative of the scaled, pooled map, half the size, channel block `half_block`
 * d_pre: map of geometry `map`, overwritten; channels a multiple of 8
 */
void vj_backward_pool(const float *h, const struct vj_map *map, const float *d_pooled,
                      size_t half_block, const float *scale, const float *max, const float *d_mean,
                      const float *d_max, float *d_pre);

/*
 * out = maxpool(a + b), NHWC: the derivative of a + b.
 * d_sum: [height * width][channels], overwritten
 */
void vj_backward_join_pool(const float *a, const float *b, const struct vj_map *map,
                           const float *d_out, float *d_sum);

/*
 * Mean and standard deviation of variant `figure`.
 * from: [positions][channels]; out, d_out: [2 * channels] values and derivatives of
 * vj_layer_statistics(); d_from: [positions][channels], overwritten
 */
void vj_backward_statistics(const float *from, size_t positions, size_t channels, const float *out,
                            const float *d_out, float *d_from);

/*
 * Softmax of each row of p = softmax(f): d_f = p (d_p - sum of d_p p over the row), in place.
 * p, d_p: [rows][columns]
 */
void vj_backward_softmax(const float *p, float *d_p, size_t rows, size_t columns);

/* In place: rows of f become their softmax. f: [rows][columns] */
void vj_layer_softmax(float *f, size_t rows, size_t columns);

/*
 * From NHWC, with the derivative of the relu, to the layout of a convolution's result: zero where
 * h <= 0 and in channels that pad the last block.
 * d, h: [height * width][channels]; to: map of geometry `map`
 */
void vj_backward_relu_to_blocks(const float *d, const float *h, const struct vj_map *map,
                                float *to);

/* Derivative of a relu, in place: zero where its result h is not above 0. h, d: [count] */
void vj_backward_relu(const float *h, size_t count, float *d);

/* sum[c] += sum of from[i][c] over rows. from: [rows][columns] */
void vj_add_columns(const float *from, size_t rows, size_t columns, float *sum);

#endif
