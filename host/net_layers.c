/* SPDX-License-Identifier: MIT */
#include "host/net_layers.h"

#include <math.h>
#include <string.h>

#include "host/simd.h"

enum {
    LANES = 8, /* channels handled together: one vector of AVX2, two of SSE */
    MAX_HIDDEN = 64,
    MAX_CHANNELS = 1024,
};

/* Into every clone of its caller, so that it is compiled for the clone's processor. */
#define INLINE static inline __attribute__((always_inline))

INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}

/* Keeps NaN, so that scores show it. */
INLINE float relu(float v)
{
    return v < 0 ? 0 : v;
}

/* Where row y of LANES neighbouring channels begins; pixels are `block` floats apart. */
INLINE size_t row_start(size_t channel, size_t block, size_t height, size_t width, size_t y)
{
    return (channel / block * height + y) * width * block + channel % block;
}

INLINE float input_value(uint8_t v)
{
    return (float)v * (1.0f / 255.0f) - 0.5f;
}

INLINE void input_planes(const uint8_t *from, size_t channels, float *to, size_t pixels)
{
    for (size_t c = 0; c < 3; c++) {
        const uint8_t *source = from + (channels == 3 ? c : 0);
        float *plane = to + c * pixels;
        for (size_t i = 0; i < pixels; i++)
            plane[i] = input_value(source[i * channels]);
    }
}

INLINE void input_interleaved(const uint8_t *from, size_t channels, float *to, size_t pixels)
{
    if (channels == 3) {
        for (size_t i = 0; i < 3 * pixels; i++)
            to[i] = input_value(from[i]);
        return;
    }
    for (size_t i = 0; i < pixels; i++)
        to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = input_value(from[i]);
}

VJ_SIMD void vj_layer_input(const uint8_t *from, size_t channels, float *to,
                            const struct vj_map *map)
{
    size_t pixels = map->height * map->width;
    if (map->block != 1)
        input_interleaved(from, channels, to, pixels);
    else if (channels == 3)
        input_planes(from, 3, to, pixels);
    else
        input_planes(from, 1, to, pixels);
}

/* One row of the pooled map from two rows of the map; adds the row's sums to `sum`. */
INLINE void pool_row(const float *upper, const float *lower, size_t step, float *out,
                     size_t out_step, size_t out_width, float *sum, float *peak)
{
    float row[LANES] = {0};
    for (size_t x = 0; x < out_width; x++) {
#pragma omp simd
        for (size_t c = 0; c < LANES; c++) {
            float a = upper[c], b = upper[step + c], d = lower[c], e = lower[step + c];
            float m = larger(larger(a, b), larger(d, e));
            row[c] += (a + b) + (d + e);
            peak[c] = larger(m, peak[c]);
            out[c] = m;
        }
        upper += 2 * step;
        lower += 2 * step;
        out += out_step;
    }
    for (size_t c = 0; c < LANES; c++)
        sum[c] += row[c];
}

VJ_SIMD void vj_layer_pool(const float *from, const struct vj_map *map, float *pooled,
                           size_t pooled_block, float *mean, float *max)
{
    const size_t h = map->height, w = map->width, b = map->block;
    const float pixels = (float)(h * w);
    for (size_t channel = 0; channel < map->channels; channel += LANES) {
        float sum[LANES] = {0}, peak[LANES] = {0};
        for (size_t y = 0; y < h / 2; y++)
            pool_row(from + row_start(channel, b, h, w, 2 * y),
                     from + row_start(channel, b, h, w, 2 * y + 1), b,
                     pooled + row_start(channel, pooled_block, h / 2, w / 2, y), pooled_block,
                     w / 2, sum, peak);
        for (size_t c = 0; c < LANES; c++) {
            mean[channel + c] = sum[c] / pixels;
            max[channel + c] = peak[c];
        }
    }
}

VJ_SIMD void vj_layer_scale(float *map_data, const struct vj_map *map, const float *scale)
{
    const size_t b = map->block, pixels = map->height * map->width;
    for (size_t block = 0; block < map->channels / b; block++) {
        float *data = map_data + block * pixels * b;
        const float *s = scale + block * b;
        for (size_t i = 0; i < pixels; i++)
            for (size_t c = 0; c < b; c += LANES)
                for (size_t l = 0; l < LANES; l++)
                    data[i * b + c + l] *= s[c + l];
    }
}

static void attention_hidden(const struct vj_attention *a, const float *from, float *hidden)
{
    for (size_t h = 0; h < a->hidden; h++) {
        float sum = 0;
        for (size_t c = 0; c < a->channels; c++)
            sum += from[c] * a->kernel_0[c * a->hidden + h];
        hidden[h] = relu(sum + a->bias_0[h]);
    }
}

static float attention_output(const struct vj_attention *a, const float *hidden, size_t c)
{
    float sum = 0;
    for (size_t h = 0; h < a->hidden; h++)
        sum += hidden[h] * a->kernel_1[h * a->channels + c];
    return sum + a->bias_1[c];
}

void vj_layer_attention(const struct vj_attention *a, const float *mean, const float *max,
                        float *scale)
{
    float of_mean[MAX_HIDDEN], of_max[MAX_HIDDEN];
    attention_hidden(a, mean, of_mean);
    attention_hidden(a, max, of_max);
    for (size_t c = 0; c < a->channels; c++) {
        float logit = attention_output(a, of_mean, c) + attention_output(a, of_max, c);
        scale[c] = 1.0f / (1.0f + expf(-logit));
    }
}

VJ_SIMD void vj_layer_to_nhwc(const float *from, const struct vj_map *map, float *to)
{
    const size_t b = map->block, pixels = map->height * map->width, channels = map->channels;
    for (size_t first = 0; first < channels; first += b) {
        const float *block = from + first / b * pixels * b;
        const size_t count = channels - first < b ? channels - first : b;
        for (size_t i = 0; i < pixels; i++) {
            float *at = to + i * channels + first;
            if (count == LANES) /* a size the compiler knows is one vector move */
                memcpy(at, block + i * b, LANES * sizeof(float));
            else
                memcpy(at, block + i * b, count * sizeof(float));
        }
    }
}

VJ_SIMD void vj_layer_join_pool(const float *a, const float *b, const struct vj_map *map,
                                float *out)
{
    const size_t channels = map->channels, row = map->width * channels;
    for (size_t y = 0; y < map->height / 2; y++)
        for (size_t x = 0; x < map->width / 2; x++) {
            const size_t at = 2 * y * row + 2 * x * channels;
            float *o = out + (y * (map->width / 2) + x) * channels;
            for (size_t c = 0; c < channels; c++) {
                const size_t i = at + c;
                float upper = larger(a[i] + b[i], a[i + channels] + b[i + channels]);
                float lower =
                    larger(a[i + row] + b[i + row], a[i + row + channels] + b[i + row + channels]);
                o[c] = larger(upper, lower);
            }
        }
}

VJ_SIMD void vj_layer_statistics(const float *from, size_t positions, size_t channels, float *out)
{
    double sum[MAX_CHANNELS] = {0}, square[MAX_CHANNELS] = {0};
    for (size_t i = 0; i < positions; i++)
        for (size_t c = 0; c < channels; c++)
            sum[c] += (double)from[i * channels + c];
    for (size_t c = 0; c < channels; c++)
        sum[c] /= (double)positions;
    for (size_t i = 0; i < positions; i++)
        for (size_t c = 0; c < channels; c++) {
            double d = (double)from[i * channels + c] - sum[c];
            square[c] += d * d;
        }
    for (size_t c = 0; c < channels; c++) {
        out[c] = (float)sum[c];
        out[channels + c] = (float)sqrt(square[c] / (double)positions + 1e-6);
    }
}

VJ_SIMD void vj_layer_product(const float *a, const float *b, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] * b[i];
}

VJ_SIMD float vj_layer_head(const float *constant, const float *hidden, const float *kernel,
                            float bias, size_t count)
{
    enum { WIDE = 2 * LANES };
    float partial[WIDE] = {0};
    for (size_t i = 0; i < count; i += WIDE)
        for (size_t l = 0; l < WIDE; l++)
            partial[l] += relu(constant[i + l] + hidden[i + l]) * kernel[i + l];
    float sum = 0;
    for (size_t l = 0; l < WIDE; l++)
        sum += partial[l];
    return sum + bias;
}
