/* SPDX-License-Identifier: MIT */
#include "host/net_backward.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "host/simd.h"

enum {
    LANES = 8, /* channels handled together, as in net_layers.c */
    MAX_HIDDEN = 64,
    MAX_CHANNELS = 1024,
};

/* Into every clone of its caller, so that it is compiled for the clone's processor. */
#define INLINE static inline __attribute__((always_inline))

INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}

/* Where row y of LANES neighbouring channels begins; pixels are `block` floats apart. */
INLINE size_t row_start(size_t channel, size_t block, size_t height, size_t width, size_t y)
{
    return (channel / block * height + y) * width * block + channel % block;
}

VJ_SIMD void vj_backward_scale(const float *pooled, const float *d_pooled,
                               const struct vj_map *half, const float *scale, float *d_logit)
{
    const size_t b = half->block, h = half->height, w = half->width;
    for (size_t channel = 0; channel < half->channels; channel += LANES) {
        double sum[LANES] = {0};
        for (size_t y = 0; y < h; y++) {
            const size_t at = row_start(channel, b, h, w, y);
            float row[LANES] = {0};
            for (size_t x = 0; x < w; x++)
                for (size_t c = 0; c < LANES; c++)
                    row[c] += pooled[at + x * b + c] * d_pooled[at + x * b + c];
            for (size_t c = 0; c < LANES; c++)
                sum[c] += (double)row[c];
        }
        for (size_t c = 0; c < LANES; c++)
            d_logit[channel + c] = (float)sum[c] * (1.0f - scale[channel + c]);
    }
}

/* One of the two passes through the shared layers; the derivative of the logits is the same. */
static void attention_pass(const struct vj_attention *a, const float *from, const float *d_logit,
                           float *d_from, const struct vj_attention_gradient *gradient)
{
    float hidden[MAX_HIDDEN], d_hidden[MAX_HIDDEN];
    for (size_t h = 0; h < a->hidden; h++) {
        float sum = 0, d = 0;
        for (size_t c = 0; c < a->channels; c++)
            sum += from[c] * a->kernel_0[c * a->hidden + h];
        hidden[h] = larger(sum + a->bias_0[h], 0);
        for (size_t c = 0; c < a->channels; c++)
            d += d_logit[c] * a->kernel_1[h * a->channels + c];
        d_hidden[h] = hidden[h] > 0 ? d : 0;
        for (size_t c = 0; c < a->channels; c++)
            gradient->kernel_1[h * a->channels + c] += hidden[h] * d_logit[c];
        gradient->bias_0[h] += d_hidden[h];
    }
    for (size_t c = 0; c < a->channels; c++) {
        float d = 0;
        for (size_t h = 0; h < a->hidden; h++) {
            d += d_hidden[h] * a->kernel_0[c * a->hidden + h];
            gradient->kernel_0[c * a->hidden + h] += from[c] * d_hidden[h];
        }
        d_from[c] = d;
        gradient->bias_1[c] += d_logit[c];
    }
}

void vj_backward_attention(const struct vj_attention *a, const float *mean, const float *max,
                           const float *d_logit, float *d_mean, float *d_max,
                           const struct vj_attention_gradient *gradient)
{
    attention_pass(a, mean, d_logit, d_mean, gradient);
    attention_pass(a, max, d_logit, d_max, gradient);
}

/* Number of the first position, row by row, that holds each of LANES channels' maximum. */
INLINE void first_positions(const float *h, size_t pixels, size_t block, const float *max,
                            uint32_t *position)
{
    for (size_t c = 0; c < LANES; c++)
        position[c] = UINT32_MAX;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < LANES; c++) {
            uint32_t here = h[i * block + c] == max[c] ? (uint32_t)i : UINT32_MAX;
            position[c] = here < position[c] ? here : position[c];
        }
}

/*
 * Two rows of LANES channels: each 2x2 window's derivative g goes to its first maximum,
 * `everywhere` to all of them, and nothing to where the relu was closed.
 */
INLINE void unpool_rows(const float *upper, const float *lower, size_t step, const float *g,
                        size_t g_step, size_t windows, const float *scale, const float *everywhere,
                        float *d_upper, float *d_lower)
{
    for (size_t x = 0; x < windows; x++) {
#pragma omp simd
        for (size_t c = 0; c < LANES; c++) {
            const float v0 = upper[c], v1 = upper[step + c];
            const float v2 = lower[c], v3 = lower[step + c];
            const float m = larger(larger(v0, v1), larger(v2, v3));
            const float d = g[c] * scale[c], rest = everywhere[c];
            const int is0 = v0 == m, is1 = !is0 & (v1 == m);
            const int is2 = !is0 & !is1 & (v2 == m), is3 = !is0 & !is1 & !is2;
            d_upper[c] = v0 > 0 ? (is0 ? d : 0) + rest : 0;
            d_upper[step + c] = v1 > 0 ? (is1 ? d : 0) + rest : 0;
            d_lower[c] = v2 > 0 ? (is2 ? d : 0) + rest : 0;
            d_lower[step + c] = v3 > 0 ? (is3 ? d : 0) + rest : 0;
        }
        upper += 2 * step;
        lower += 2 * step;
        d_upper += 2 * step;
        d_lower += 2 * step;
        g += g_step;
    }
}

VJ_SIMD void vj_backward_pool(const float *h, const struct vj_map *map, const float *d_pooled,
                              size_t half_block, const float *scale, const float *max,
                              const float *d_mean, const float *d_max, float *d_pre)
{
    const size_t height = map->height, width = map->width, b = map->block;
    const float share = 1.0f / (float)(height * width);
    for (size_t channel = 0; channel < map->channels; channel += LANES) {
        const size_t start = row_start(channel, b, height, width, 0);
        float everywhere[LANES];
        uint32_t position[LANES];
        for (size_t c = 0; c < LANES; c++)
            everywhere[c] = d_mean[channel + c] * share;
        first_positions(h + start, height * width, b, max + channel, position);
        for (size_t y = 0; y < height / 2; y++) {
            const size_t upper = row_start(channel, b, height, width, 2 * y);
            const size_t lower = row_start(channel, b, height, width, 2 * y + 1);
            unpool_rows(h + upper, h + lower, b,
                        d_pooled + row_start(channel, half_block, height / 2, width / 2, y),
                        half_block, width / 2, scale + channel, everywhere, d_pre + upper,
                        d_pre + lower);
        }
        for (size_t c = 0; c < LANES; c++)
            if (max[channel + c] > 0)
                d_pre[start + position[c] * b + c] += d_max[channel + c];
    }
}

VJ_SIMD void vj_backward_join_pool(const float *a, const float *b, const struct vj_map *map,
                                   const float *d_out, float *d_sum)
{
    const size_t channels = map->channels, row = map->width * channels;
    for (size_t y = 0; y < map->height / 2; y++)
        for (size_t x = 0; x < map->width / 2; x++) {
            const size_t at = 2 * y * row + 2 * x * channels;
            const float *d = d_out + (y * (map->width / 2) + x) * channels;
            for (size_t c = 0; c < channels; c++) {
                const size_t i = at + c;
                const float v0 = a[i] + b[i], v1 = a[i + channels] + b[i + channels];
                const float v2 = a[i + row] + b[i + row];
                const float v3 = a[i + row + channels] + b[i + row + channels];
                const float m = larger(larger(v0, v1), larger(v2, v3));
                const int is0 = v0 == m, is1 = !is0 & (v1 == m);
                const int is2 = !is0 & !is1 & (v2 == m), is3 = !is0 & !is1 & !is2;
                d_sum[i] = is0 ? d[c] : 0;
                d_sum[i + channels] = is1 ? d[c] : 0;
                d_sum[i + row] = is2 ? d[c] : 0;
                d_sum[i + row + channels] = is3 ? d[c] : 0;
            }
        }
}

VJ_SIMD void vj_backward_statistics(const float *from, size_t positions, size_t channels,
                                    const float *out, const float *d_out, float *d_from)
{
    const float share = 1.0f / (float)positions;
    float slope[MAX_CHANNELS];
    for (size_t c = 0; c < channels; c++)
        slope[c] = d_out[channels + c] * share / out[channels + c];
    for (size_t i = 0; i < positions; i++)
        for (size_t c = 0; c < channels; c++)
            d_from[i * channels + c] =
                d_out[c] * share + slope[c] * (from[i * channels + c] - out[c]);
}

VJ_SIMD void vj_backward_softmax(const float *p, float *d_p, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = p + r * columns;
        float *d = d_p + r * columns;
        float partial[LANES] = {0};
        size_t i = 0;
        for (; i + LANES <= columns; i += LANES)
            for (size_t l = 0; l < LANES; l++)
                partial[l] += row[i + l] * d[i + l];
        for (; i < columns; i++)
            partial[0] += row[i] * d[i];
        float sum = 0;
        for (size_t l = 0; l < LANES; l++)
            sum += partial[l];
        for (i = 0; i < columns; i++)
            d[i] = row[i] * (d[i] - sum);
    }
}

void vj_layer_softmax(float *f, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = f + r * columns;
        float top = row[0], sum = 0;
        for (size_t i = 1; i < columns; i++)
            top = larger(row[i], top);
        for (size_t i = 0; i < columns; i++)
            row[i] = expf(row[i] - top);
        for (size_t i = 0; i < columns; i++)
            sum += row[i];
        for (size_t i = 0; i < columns; i++)
            row[i] /= sum;
    }
}

VJ_SIMD void vj_backward_relu_to_blocks(const float *d, const float *h, const struct vj_map *map,
                                        float *to)
{
    const size_t b = map->block, pixels = map->height * map->width, channels = map->channels;
    for (size_t first = 0; first < channels; first += b) {
        float *block = to + first / b * pixels * b;
        const size_t count = channels - first < b ? channels - first : b;
        for (size_t i = 0; i < pixels; i++) {
            const size_t at = i * channels + first;
            for (size_t c = 0; c < count; c++)
                block[i * b + c] = h[at + c] > 0 ? d[at + c] : 0;
            for (size_t c = count; c < b; c++)
                block[i * b + c] = 0;
        }
    }
}

VJ_SIMD void vj_backward_relu(const float *h, size_t count, float *d)
{
    for (size_t i = 0; i < count; i++)
        d[i] = h[i] > 0 ? d[i] : 0;
}

VJ_SIMD void vj_add_columns(const float *from, size_t rows, size_t columns, float *sum)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            sum[c] += from[r * columns + c];
}
