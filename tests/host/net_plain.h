/* SPDX-License-Identifier: MIT */
/*
 * The network written down as the specification has it: unfolded, in double, one number at a time.
 * Shares no code with host/net_*.c, and is meant for small shapes only.
 */
#ifndef VJ_TESTS_NET_PLAIN_H
#define VJ_TESTS_NET_PLAIN_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/weights.h"

/* A map in NHWC order. */
struct plain_map {
    size_t side, channels;
    double *v;
};

static inline struct plain_map plain_new(size_t side, size_t channels)
{
    struct plain_map m = {side, channels, calloc(side * side * channels, sizeof(double))};
    if (!m.v)
        abort();
    return m;
}

static inline const float *plain_tensor(const struct vj_weights *w, const char *format, ...)
{
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    const struct vj_tensor *t = vj_weights_find(w, name);
    if (!t)
        abort();
    return t->data;
}

/* SAME convolution of odd size k with bias, HWIO kernel. Unchecked: it is most of the time of tests
 * with sanitizers. */
__attribute__((no_sanitize("address", "undefined"))) static inline struct plain_map
plain_conv(const struct plain_map *in, size_t k, size_t out_channels, const float *kernel,
           const float *bias)
{
    const size_t n = in->side, ci = in->channels, pad = k / 2;
    struct plain_map out = plain_new(n, out_channels);
    for (size_t y = 0; y < n; y++)
        for (size_t x = 0; x < n; x++) {
            double *sum = out.v + (y * n + x) * out_channels;
            for (size_t o = 0; o < out_channels; o++)
                sum[o] = bias[o];
            for (size_t tap = 0; tap < k * k; tap++) {
                const size_t sy = y + tap / k - pad, sx = x + tap % k - pad; /* wraps outside */
                if (sy >= n || sx >= n)
                    continue;
                for (size_t i = 0; i < ci; i++)
                    for (size_t o = 0; o < out_channels; o++)
                        sum[o] += in->v[(sy * n + sx) * ci + i] *
                                  (double)kernel[(tap * ci + i) * out_channels + o];
            }
        }
    return out;
}

static inline void plain_relu(struct plain_map *m)
{
    for (size_t i = 0; i < m->side * m->side * m->channels; i++)
        m->v[i] = m->v[i] > 0 ? m->v[i] : 0;
}

static inline struct plain_map plain_max_pool(const struct plain_map *in)
{
    const size_t n = in->side / 2, c = in->channels;
    struct plain_map out = plain_new(n, c);
    for (size_t y = 0; y < n; y++)
        for (size_t x = 0; x < n; x++)
            for (size_t k = 0; k < c; k++) {
                double m = -INFINITY;
                for (size_t d = 0; d < 4; d++)
                    m = fmax(m, in->v[((2 * y + d / 2) * in->side + 2 * x + d % 2) * c + k]);
                out.v[(y * n + x) * c + k] = m;
            }
    return out;
}

/* mlp of channel attention, added onto logit[c]. */
static inline void plain_mlp(const struct vj_weights *w, const char *scope, int layer, size_t c,
                             const double *in, double *logit)
{
    const size_t hidden = c / 16;
    const float *k0 = plain_tensor(w, "%s/conv%d/ch_at/mlp_0/kernel", scope, layer);
    const float *b0 = plain_tensor(w, "%s/conv%d/ch_at/mlp_0/bias", scope, layer);
    const float *k1 = plain_tensor(w, "%s/conv%d/ch_at/mlp_1/kernel", scope, layer);
    const float *b1 = plain_tensor(w, "%s/conv%d/ch_at/mlp_1/bias", scope, layer);
    for (size_t o = 0; o < c; o++)
        logit[o] += b1[o];
    for (size_t h = 0; h < hidden; h++) {
        double sum = b0[h];
        for (size_t i = 0; i < c; i++)
            sum += in[i] * (double)k0[i * hidden + h];
        if (sum > 0)
            for (size_t o = 0; o < c; o++)
                logit[o] += sum * (double)k1[h * c + o];
    }
}

static inline void plain_attention(const struct vj_weights *w, const char *scope, int layer,
                                   struct plain_map *m)
{
    const size_t c = m->channels, pixels = m->side * m->side;
    double *mean = calloc(3 * c, sizeof(double)), *max = mean + c, *logit = max + c;
    for (size_t k = 0; k < c; k++) {
        max[k] = -INFINITY;
        for (size_t i = 0; i < pixels; i++) {
            mean[k] += m->v[i * c + k] / (double)pixels;
            max[k] = fmax(max[k], m->v[i * c + k]);
        }
    }
    plain_mlp(w, scope, layer, c, mean, logit);
    plain_mlp(w, scope, layer, c, max, logit);
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < c; k++)
            m->v[i * c + k] *= 1 / (1 + exp(-logit[k]));
    free(mean);
}

static inline struct plain_map plain_projection(const struct vj_weights *w, const char *scope,
                                                const struct plain_map *in, const char *part)
{
    return plain_conv(in, 1, in->channels,
                      plain_tensor(w, "%s/conv4/Non-local4/%s/%s_conv/kernel", scope, part, part),
                      plain_tensor(w, "%s/conv4/Non-local4/%s/%s_conv/bias", scope, part, part));
}

/* h + nonlocal(h), in place. */
static inline void plain_non_local(const struct vj_weights *w, const char *scope,
                                   struct plain_map *h)
{
    const size_t c = h->channels, n = h->side * h->side;
    struct plain_map g = plain_projection(w, scope, h, "g");
    struct plain_map phi = plain_projection(w, scope, h, "phi");
    struct plain_map theta = plain_projection(w, scope, h, "theta");
    struct plain_map y = plain_new(h->side, c);
    double *row = calloc(n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        double top = -INFINITY, total = 0;
        for (size_t j = 0; j < n; j++) {
            row[j] = 0;
            for (size_t k = 0; k < c; k++) {
                /* reshape: element (k, j) of the n x c memory read as c x n */
                size_t at = w->shape.non_local == VJ_NON_LOCAL_TRANSPOSE ? j * c + k : k * n + j;
                row[j] += theta.v[i * c + k] * phi.v[at];
            }
            top = fmax(top, row[j]);
        }
        for (size_t j = 0; j < n; j++)
            total += row[j] = exp(row[j] - top);
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < c; k++)
                y.v[i * c + k] += row[j] / total * g.v[j * c + k];
    }
    struct plain_map out = plain_projection(w, scope, &y, "w");
    for (size_t i = 0; i < n * c; i++)
        h->v[i] += out.v[i];
    free(g.v);
    free(phi.v);
    free(theta.v);
    free(y.v);
    free(out.v);
    free(row);
}

/* Blocks of the extractor; pw-jnd sees no map, and has two convolutions in each. */
static inline int plain_blocks(const struct vj_net_shape *s)
{
    return s->variant == VJ_VARIANT_PW_JND ? 5 : 4;
}

static inline size_t plain_feature_count(const struct vj_net_shape *s)
{
    const size_t deep = (size_t)s->patch_size / 32;
    if (s->variant == VJ_VARIANT_PW_JND)
        return deep * deep * (size_t)s->channels[4];
    const size_t side = (size_t)s->patch_size / 16, c = (size_t)s->channels[3];
    return s->variant == VJ_VARIANT_RELEASED ? 2 * side * side * c : 2 * c;
}

/* What the first layer sees. patch: [S][S][channels], 1 or 3 channels. */
static inline struct plain_map plain_input(const struct vj_net_shape *s, const uint8_t *patch,
                                           size_t channels)
{
    struct plain_map h = plain_new((size_t)s->patch_size, 3);
    for (size_t i = 0; i < h.side * h.side; i++)
        for (size_t c = 0; c < 3; c++) {
            float u = (float)patch[i * channels + (channels == 3 ? c : 0)];
            h.v[3 * i + c] = u * (1.0f / 255.0f) - 0.5f;
        }
    return h;
}

/* Two convolutions and pooling: block 1..5 of pw-jnd. */
static inline struct plain_map plain_pair(const struct vj_weights *w, const char *scope, int block,
                                          const struct plain_map *in)
{
    const size_t c = (size_t)w->shape.channels[block - 1];
    struct plain_map a = plain_conv(in, 3, c, plain_tensor(w, "%s/conv%d_1/weights", scope, block),
                                    plain_tensor(w, "%s/conv%d_1/biases", scope, block));
    plain_relu(&a);
    struct plain_map b = plain_conv(&a, 3, c, plain_tensor(w, "%s/conv%d_2/weights", scope, block),
                                    plain_tensor(w, "%s/conv%d_2/biases", scope, block));
    plain_relu(&b);
    struct plain_map out = plain_max_pool(&b);
    free(a.v);
    free(b.v);
    return out;
}

/* Layer 1..4 of the extractor, or block 1..5, pooling included. */
static inline struct plain_map plain_layer(const struct vj_weights *w, const char *scope, int layer,
                                           const struct plain_map *in)
{
    if (w->shape.variant == VJ_VARIANT_PW_JND)
        return plain_pair(w, scope, layer, in);
    struct plain_map h = plain_conv(in, 3, (size_t)w->shape.channels[layer - 1],
                                    plain_tensor(w, "%s/conv%d/weights", scope, layer),
                                    plain_tensor(w, "%s/conv%d/biases", scope, layer));
    plain_relu(&h);
    if (layer < 4)
        plain_attention(w, scope, layer, &h);
    else
        plain_non_local(w, scope, &h);
    struct plain_map out = plain_max_pool(&h);
    free(h.v);
    return out;
}

/* Unfolded features of the last layer's map: `released` has everything twice. */
static inline double *plain_pooled(const struct vj_net_shape *s, const struct plain_map *h)
{
    const size_t c = h->channels, pixels = h->side * h->side, half = plain_feature_count(s) / 2;
    double *f = calloc(plain_feature_count(s), sizeof(double));
    if (s->variant == VJ_VARIANT_PW_JND) {
        memcpy(f, h->v, pixels * c * sizeof(double));
        return f;
    }
    if (s->variant == VJ_VARIANT_RELEASED) {
        memcpy(f, h->v, half * sizeof(double));
        memcpy(f + half, h->v, half * sizeof(double));
        return f;
    }
    for (size_t k = 0; k < c; k++) {
        for (size_t i = 0; i < pixels; i++)
            f[k] += h->v[i * c + k] / (double)pixels;
        for (size_t i = 0; i < pixels; i++)
            f[c + k] += pow(h->v[i * c + k] - f[k], 2) / (double)pixels;
        f[c + k] = sqrt(f[c + k] + 1e-6);
    }
    return f;
}

static inline double *plain_features(const struct vj_weights *w, const char *scope,
                                     const uint8_t *patch, size_t channels)
{
    struct plain_map h = plain_input(&w->shape, patch, channels);
    for (int layer = 1; layer <= plain_blocks(&w->shape); layer++) {
        struct plain_map next = plain_layer(w, scope, layer, &h);
        free(h.v);
        h = next;
    }
    double *f = plain_pooled(&w->shape, &h);
    free(h.v);
    return f;
}

/* Of a sum: its value, and the sum of its terms' magnitudes, by which rounding is to be judged. */
struct plain_sum {
    double value, terms;
};

/* dense(relu(dense(inputs, 512)), 1) */
static inline struct plain_sum plain_head(const struct vj_weights *w, const char *scope,
                                          const double *inputs, size_t count)
{
    const float *k1 = plain_tensor(w, "%s/block1/weights", scope);
    const float *b1 = plain_tensor(w, "%s/block1/biases", scope);
    const float *k2 = plain_tensor(w, "%s/block2/weights", scope);
    const float *b2 = plain_tensor(w, "%s/block2/biases", scope);
    struct plain_sum out = {b2[0], fabs((double)b2[0])};
    double hidden[512];
    for (size_t o = 0; o < 512; o++)
        hidden[o] = b1[o];
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < 512; o++)
            hidden[o] += inputs[i] * (double)k1[i * 512 + o];
    for (size_t o = 0; o < 512; o++) {
        const double term = hidden[o] > 0 ? hidden[o] * (double)k2[o] : 0;
        out.value += term;
        out.terms += fabs(term);
    }
    return out;
}

/* Third part of what the weight head sees. f_j: NULL for pw-jnd */
static inline double plain_third(const struct vj_weights *w, double f_r, double f_d,
                                 const double *f_j, size_t i)
{
    return w->shape.variant == VJ_VARIANT_PW_JND ? f_r - f_d : f_d * f_j[i];
}

/* q_p and a_p of one patch from its three features of `count` numbers each. */
static inline void plain_patch(const struct vj_weights *w, const double *f_r, const double *f_d,
                               const double *f_j, size_t count, struct plain_sum *q,
                               struct plain_sum *a)
{
    double *in = calloc(3 * count, sizeof(double));
    memcpy(in, f_r, count * sizeof(double));
    memcpy(in + count, f_d, count * sizeof(double));
    for (size_t i = 0; i < count; i++)
        in[2 * count + i] = f_r[i] - f_d[i];
    *q = plain_head(w, "regressions", in, 3 * count);
    for (size_t i = 0; i < count; i++)
        in[2 * count + i] = plain_third(w, f_r[i], f_d[i], f_j, i);
    *a = plain_head(w, "weightings", in, 3 * count);
    a->value = fmax(a->value, 0) + 1e-6;
    free(in);
}

#endif
