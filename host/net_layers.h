/* SPDX-License-Identifier: MIT */
/*
 * The layers between the convolutions. Maps are [channels / b][height][width][b] with channel block
 * b (host/onednn.h). Sums are formed in an order that depends neither on the block nor on anything
 * outside the map.
 */
#ifndef VJ_HOST_NET_LAYERS_H
#define VJ_HOST_NET_LAYERS_H

#include <stddef.h>
#include <stdint.h>

/* A map's geometry. Blocks are 8, 16 or `channels` where nothing else is said. */
struct vj_map {
    size_t channels, height, width;
    size_t block;
};

/*
 * Network input: float32(u8) * float32(1/255) - 0.5.
 * from: [height][width][channels] u8 with channels 1 or 3; one channel is replicated to three
 * to:   three channels, block 1 or 3
 */
void vj_layer_input(const uint8_t *from, size_t channels, float *to, const struct vj_map *map);

/*
 * 2x2 max pooling with stride 2 of a map h >= 0, and what channel attention needs of the unpooled
 * map: by folding 6 of the spec the maximum is that of the pooled map. pooled: half the height and
 * width, channel block `pooled_block` mean, max: [channels]; channels a multiple of 8
 */
void vj_layer_pool(const float *from, const struct vj_map *map, float *pooled, size_t pooled_block,
                   float *mean, float *max);

/* Multiplies each channel of a map by its scale. channels a multiple of 8. */
void vj_layer_scale(float *map_data, const struct vj_map *map, const float *scale);

/* Channel attention: two dense layers shared by the pooled mean and maximum. */
struct vj_attention {
    size_t channels, hidden; /* hidden = channels / 16, at most 64 */
    const float *kernel_0;   /* [channels][hidden] */
    const float *bias_0;     /* [hidden] */
    const float *kernel_1;   /* [hidden][channels] */
    const float *bias_1;     /* [channels], enters twice */
};

/* scale[c] = sigmoid(mlp(mean) + mlp(max)), in (0, 1). */
void vj_layer_attention(const struct vj_attention *a, const float *mean, const float *max,
                        float *scale);

/* Rewrites a map of any block as NHWC, [height * width][channels]. */
void vj_layer_to_nhwc(const float *from, const struct vj_map *map, float *to);

/*
 * Residual sum and 2x2 max pooling of two NHWC maps of height x width: out = maxpool(a + b),
 * [height / 2][width / 2][channels], NHWC.
 */
void vj_layer_join_pool(const float *a, const float *b, const struct vj_map *map, float *out);

/* Pooling of variant `figure`: per channel mean, then sqrt(population variance + 1e-6).
 * from: [positions][channels]; out: [2 * channels]; channels at most 1,024 */
void vj_layer_statistics(const float *from, size_t positions, size_t channels, float *out);

/* out[i] = a[i] * b[i] */
void vj_layer_product(const float *a, const float *b, float *out, size_t count);

/*
 * Second layer of a head: sum_i relu(constant[i] + hidden[i]) * kernel[i] + bias, where `constant`
 * is what the reference contributes. count a multiple of 16.
 */
float vj_layer_head(const float *constant, const float *hidden, const float *kernel, float bias,
                    size_t count);

#endif
