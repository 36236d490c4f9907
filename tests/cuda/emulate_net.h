/* SPDX-License-Identifier: MIT */
/*
 * The network on CUDA without a device: the kernels' bodies in loops, on the memory that the plan
 * lays out, with naive stand-ins for cuDNN's convolution and cuBLASLt's product by columns. The
 * order of calls is that of cuda/net.cu. A work's memory is NaN at first.
 */
#ifndef VJ_TESTS_CUDA_EMULATE_NET_H
#define VJ_TESTS_CUDA_EMULATE_NET_H

#include "tests/cuda/emulate.h"

#include "cuda/net_body.h"
#include "cuda/net_tiles_body.h"
#include "tests/cuda/emulate_first.h"
#include "tests/cuda/emulate_softmax.h"

enum { EMU_PICTURE = 0, EMU_MAPS, EMU_STREAMS, EMU_THETA = 0, EMU_PHI, EMU_VALUE };

struct emu_extractor {
    void *kernel[VJ_NET_LAYERS], *bias[VJ_NET_LAYERS];
    struct vj_cuda_net_attention attention[3];
    void *projection[3], *projection_bias[3];
    uint32_t first[VJ_CUDA_FIRST_WORDS];
    const float *first_bias;
};

struct emu_net {
    struct vj_cuda_net_plan plan;
    bool half;
    struct emu_extractor extractor[EMU_STREAMS];
    void *reference, *distorted, *product;
    float *hidden_bias, second_kernel[2 * VJ_NET_HIDDEN], second_bias[2];
    void *owned[64];
    int owned_count;
    char *memory;
    size_t max_patches;
    struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS];
};

/* Two convolutions in each of five blocks, no attention, no map. */
static inline bool emu_pw(const struct emu_net *e)
{
    return e->plan.shape.variant == VJ_VARIANT_PW_JND;
}

static inline void *emu_own(struct emu_net *e, size_t bytes)
{
    assert_true(e->owned_count < 64);
    void *p = vj_alloc_aligned(bytes, 1);
    assert_non_null(p);
    e->owned[e->owned_count++] = p;
    return p;
}

static inline void *emu_elements(struct emu_net *e, const float *from, size_t count)
{
    void *to = emu_own(e, count * e->plan.element);
    for (size_t i = 0; i < count; i++)
        vj_cuda_net_set(to, i, from[i], e->half);
    return to;
}

static inline const float *emu_tensor(const struct vj_weights *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline const float *emu_tensor(const struct vj_weights *w, const char *format, ...)
{
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    const struct vj_tensor *t = vj_weights_find(w, name);
    assert_non_null(t);
    return t->data;
}

static inline void emu_extractor_load(struct emu_net *e, struct emu_extractor *x,
                                      const struct vj_weights *w, const char *stream)
{
    static const char *const names[2] = {"theta", "phi"};
    const size_t c = (size_t)e->plan.shape.channels[3];
    for (int i = 0; i < e->plan.layers; i++) {
        const struct vj_cuda_net_conv *conv = &e->plan.conv[i];
        const size_t count = vj_cuda_net_conv_kernel_floats(conv);
        float *kernel = calloc(count + (size_t)conv->out, sizeof(float));
        char scope[64];
        if (emu_pw(e))
            snprintf(scope, sizeof(scope), "%s/conv%d_%d", stream, i / 2 + 1, i % 2 + 1);
        else
            snprintf(scope, sizeof(scope), "%s/conv%d", stream, i + 1);
        vj_cuda_net_conv_kernel(conv, emu_tensor(w, "%s/weights", scope), kernel);
        memcpy(kernel + count, emu_tensor(w, "%s/biases", scope),
               (size_t)conv->real_out * sizeof(float));
        x->kernel[i] = emu_elements(e, kernel, count);
        x->bias[i] = emu_elements(e, kernel + count, (size_t)conv->out);
        free(kernel);
    }
    if (emu_pw(e))
        return;
    if (e->plan.first) {
        vj_cuda_net_first_pack(emu_tensor(w, "%s/conv1/weights", stream), e->plan.precision,
                               x->first);
        x->first_bias = emu_tensor(w, "%s/conv1/biases", stream);
    }
    for (int i = 0; i < 3; i++)
        x->attention[i] = (struct vj_cuda_net_attention){
            emu_tensor(w, "%s/conv%d/ch_at/mlp_0/kernel", stream, i + 1),
            emu_tensor(w, "%s/conv%d/ch_at/mlp_0/bias", stream, i + 1),
            emu_tensor(w, "%s/conv%d/ch_at/mlp_1/kernel", stream, i + 1),
            emu_tensor(w, "%s/conv%d/ch_at/mlp_1/bias", stream, i + 1)};
    for (int i = 0; i < 2; i++) {
        static const char format[] = "%s/conv4/Non-local4/%s/%s_conv/%s";
        x->projection[i] =
            emu_elements(e, emu_tensor(w, format, stream, names[i], names[i], "kernel"), c * c);
        x->projection_bias[i] =
            emu_elements(e, emu_tensor(w, format, stream, names[i], names[i], "bias"), c);
    }
    float *value = calloc(c * c + c, sizeof(float));
    assert_int_equal(vj_net_fold_value(w, stream, value, value + c * c, NULL), 0);
    x->projection[EMU_VALUE] = emu_elements(e, value, c * c);
    x->projection_bias[EMU_VALUE] = emu_elements(e, value + c * c, c);
    free(value);
}

static inline void *emu_pair(struct emu_net *e, const struct vj_weights *w, enum vj_fold_part left,
                             enum vj_fold_part right)
{
    const size_t f = e->plan.features, hidden = VJ_NET_HIDDEN;
    float *part = calloc(3 * f * hidden, sizeof(float)), *pair = part + f * hidden;
    const enum vj_fold_part parts[2] = {left, right};
    for (size_t side = 0; side < 2; side++) {
        assert_int_equal(vj_net_fold_head(w, parts[side], part, NULL), 0);
        for (size_t i = 0; i < f * hidden; i++)
            pair[i / hidden * 2 * hidden + side * hidden + i % hidden] = part[i];
    }
    void *out = emu_elements(e, pair, f * 2 * hidden);
    free(part);
    return out;
}

/* w must outlive the network. */
static inline void emu_make(struct emu_net *e, const struct vj_weights *w, size_t rows,
                            enum vj_cuda_precision precision, size_t references, size_t max_patches)
{
    static const char *const scopes[2] = {"regressions", "weightings"};
    const size_t hidden = VJ_NET_HIDDEN;
    size_t total;
    memset(e, 0, sizeof(*e));
    assert_int_equal(vj_cuda_net_plan_make(&e->plan, &w->shape, rows, precision, NULL), 0);
    e->half = precision == VJ_CUDA_FP16;
    emu_extractor_load(e, &e->extractor[EMU_PICTURE], w, "extract_feature");
    if (w->shape.variant == VJ_VARIANT_RELEASED)
        emu_extractor_load(e, &e->extractor[EMU_MAPS], w, "extract_jnd_feature");
    else
        e->extractor[EMU_MAPS] = e->extractor[EMU_PICTURE];
    e->reference = emu_pair(e, w, VJ_FOLD_QUALITY_REFERENCE, VJ_FOLD_WEIGHT_REFERENCE);
    e->distorted = emu_pair(e, w, VJ_FOLD_QUALITY_DISTORTED, VJ_FOLD_WEIGHT_DISTORTED);
    if (!emu_pw(e)) {
        float *part = calloc(e->plan.features * hidden, sizeof(float));
        assert_int_equal(vj_net_fold_head(w, VJ_FOLD_WEIGHT_PRODUCT, part, NULL), 0);
        e->product = emu_elements(e, part, e->plan.features * hidden);
        free(part);
    }
    e->hidden_bias = emu_own(e, 2 * hidden * sizeof(float));
    for (int i = 0; i < 2; i++) {
        memcpy(e->hidden_bias + (size_t)i * hidden, emu_tensor(w, "%s/block1/biases", scopes[i]),
               hidden * sizeof(float));
        memcpy(e->second_kernel + (size_t)i * hidden, emu_tensor(w, "%s/block2/weights", scopes[i]),
               hidden * sizeof(float));
        e->second_bias[i] = *emu_tensor(w, "%s/block2/biases", scopes[i]);
    }
    e->max_patches = max_patches;
    assert_int_equal(
        vj_cuda_net_plan_places(&e->plan, references, max_patches, 0, e->place, &total, NULL), 0);
    e->memory = emu_own(e, total);
    memset(e->memory, 0xff, total); /* NaN as floats and as halves */
}

static inline void emu_free(struct emu_net *e)
{
    for (int i = 0; i < e->owned_count; i++)
        free(e->owned[i]);
}

static inline void *emu_at(const struct emu_net *e, enum vj_cuda_net_buffer buffer)
{
    return e->memory + e->place[buffer].offset;
}

/* ---- launches ---- */

/* A kernel of one step, a thread for each of `count` numbers. */
#define EMU_EACH(count, step, job)                                                                 \
    do {                                                                                           \
        struct vj_cuda_grid emu_grid = {vj_cuda_net_blocks(count), 1, 1};                          \
        EMULATE_BLOCKS(emu_grid, at)                                                               \
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)                                               \
        if ((size_t)at.x * VJ_CUDA_NET_THREADS + thread < (count))                                 \
            step((job), (size_t)at.x *VJ_CUDA_NET_THREADS + thread);                               \
    } while (0)

/* Elements as floats; the caller frees. */
static inline float *emu_wide(const struct emu_net *e, const void *from, size_t count)
{
    float *wide = calloc(count, sizeof(float));
    for (size_t i = 0; i < count; i++)
        wide[i] = vj_cuda_net_get(from, i, e->half);
    return wide;
}

/* cuBLASLt's part, as it is called: by columns, our B first. */
static inline void emu_product(const struct emu_net *e, const struct vj_cuda_net_matmul *m,
                               const void *our_a, const void *our_b, const void *bias, void *to)
{
    struct vj_cuda_net_column_matmul c;
    vj_cuda_net_matmul_by_columns(m, &c);
    float *a = emu_wide(e, our_b, (m->batch - 1) * c.a.stride + c.a.cols * c.a.ld);
    float *b = emu_wide(e, our_a, (m->batch - 1) * c.b.stride + (c.n - 1) * c.b.ld + c.k);
    for (size_t p = 0; p < m->batch; p++)
        for (size_t i = 0; i < c.m; i++)
            for (size_t j = 0; j < c.n; j++) {
                double sum = bias ? vj_cuda_net_get(bias, i, e->half) : 0.0f;
                for (size_t l = 0; l < c.k; l++)
                    sum +=
                        (double)
                            a[p * c.a.stride + (c.a_transposed ? l + i * c.a.ld : i + l * c.a.ld)] *
                        (double)b[p * c.b.stride + l + j * c.b.ld];
                vj_cuda_net_set(to, p * c.d.stride + i + j * c.d.ld, (float)sum,
                                e->half && !m->single_out);
            }
    free(a);
    free(b);
}

static inline void emu_matmul(const struct emu_net *e, enum vj_cuda_net_product which,
                              const void *our_a, const void *our_b, const void *bias, void *to)
{
    emu_product(e, &e->plan.product[which], our_a, our_b, bias, to);
}

/* cuDNN's part: NHWC, KRSC, padded by one, bias, relu. */
static inline void emu_direct(const struct emu_net *e, const struct emu_extractor *x, int layer,
                              const void *from, void *to)
{
    const struct vj_cuda_net_conv *c = &e->plan.conv[layer];
    const size_t side = (size_t)c->side, in = (size_t)c->in, out = (size_t)c->out;
    const size_t pixels = e->plan.rows * side * side;
    float *wide = emu_wide(e, from, pixels * in);
    float *kernel = emu_wide(e, x->kernel[layer], out * 9 * in);
    for (size_t p = 0; p < pixels; p++)
        for (size_t o = 0; o < out; o++) {
            const size_t row = p / (side * side), y = p / side % side, xx = p % side;
            double sum = vj_cuda_net_get(x->bias[layer], o, e->half);
            for (size_t tap = 0; tap < 9; tap++) {
                const size_t sy = y + tap / 3 - 1, sx = xx + tap % 3 - 1;
                if (sy >= side || sx >= side)
                    continue;
                const float *at = wide + ((row * side + sy) * side + sx) * in;
                for (size_t i = 0; i < in; i++)
                    sum += (double)at[i] * (double)kernel[(o * 9 + tap) * in + i];
            }
            vj_cuda_net_set(to, p * out + o, sum < 0 ? 0.0f : (float)sum, e->half);
        }
    free(wide);
    free(kernel);
}

/* A group of patches at a time, in matrices that are NaN before the first. */
static inline void emu_tiled(const struct emu_net *e, const struct emu_extractor *x, int layer,
                             const float *from, float *to)
{
    const struct vj_cuda_net_conv *c = &e->plan.conv[layer];
    const struct vj_cuda_net_matmul product = vj_cuda_net_conv_product(c);
    const size_t in = (size_t)c->in, out = (size_t)c->out;
    const size_t pixels = (size_t)c->side * (size_t)c->side;
    const size_t tiles = (size_t)c->across * (size_t)c->across;
    const float *scale = c->scaled ? emu_at(e, VJ_CUDA_NET_SCALE) : NULL;
    float *sums = emu_pw(e) ? NULL : emu_at(e, VJ_CUDA_NET_SUMS);
    float *peaks = emu_pw(e) ? NULL : emu_at(e, VJ_CUDA_NET_PEAKS);
    float *inputs = malloc(vj_cuda_net_conv_inputs(c));
    float *products = malloc(vj_cuda_net_conv_products(c));
    memset(inputs, 0xff, vj_cuda_net_conv_inputs(c));
    for (size_t first = 0; first < e->plan.rows; first += c->group) {
        const size_t left = e->plan.rows - first, patches = left < c->group ? left : c->group;
        const struct vj_cuda_net_tiles_in_job read = {vj_cuda_net_tiles_of(c, patches, c->in),
                                                      from + first * pixels * in,
                                                      scale ? scale + first * in : NULL, inputs};
        const struct vj_cuda_net_tiles shape = vj_cuda_net_tiles_of(c, patches, c->out);
        float *written = to + first * (c->pooled ? pixels / 4 : pixels) * out;
        const struct vj_cuda_net_tiles_out_job map = {shape, products, x->bias[layer], written};
        const struct vj_cuda_net_tiles_pool_job pool = {shape,
                                                        products,
                                                        x->bias[layer],
                                                        written,
                                                        sums ? sums + first * tiles * out : NULL,
                                                        sums ? peaks + first * tiles * out : NULL};
        EMU_EACH(read.shape.count, vj_cuda_net_tiles_in_step, &read);
        emu_product(e, &product, inputs, x->kernel[layer], NULL, products);
        if (c->pooled)
            EMU_EACH(pool.shape.count, vj_cuda_net_tiles_pool_step, &pool);
        else
            EMU_EACH(map.shape.count, vj_cuda_net_tiles_out_step, &map);
    }
    free(inputs);
    free(products);
}

static inline void emu_conv(const struct emu_net *e, const struct emu_extractor *x, int layer,
                            const void *from, void *to)
{
    const struct vj_cuda_net_conv *c = &e->plan.conv[layer];
    const struct vj_cuda_net_bias_job bias = {to, x->bias[layer], e->plan.rows * 4 * (size_t)c->out,
                                              (size_t)c->out, false};
    switch (c->way) {
    case VJ_CUDA_NET_DIRECT:
        emu_direct(e, x, layer, from, to);
        break;
    case VJ_CUDA_NET_TILED:
        emu_tiled(e, x, layer, from, to);
        break;
    case VJ_CUDA_NET_DENSE: {
        const struct vj_cuda_net_matmul product = vj_cuda_net_conv_product(c);
        emu_product(e, &product, from, x->kernel[layer], NULL, to);
        EMU_EACH(bias.count / 4, vj_cuda_net_bias_step, &bias);
        break;
    }
    }
}

static inline void emu_pool(const struct emu_net *e, int layer)
{
    const struct vj_cuda_net_pool_shape shape = e->plan.pool[layer];
    const struct vj_cuda_net_pool_job pool = {shape,
                                              emu_at(e, VJ_CUDA_NET_MAP),
                                              emu_at(e, VJ_CUDA_NET_POOLED),
                                              emu_at(e, VJ_CUDA_NET_SUMS),
                                              emu_at(e, VJ_CUDA_NET_PEAKS),
                                              emu_at(e, VJ_CUDA_NET_FLAGS),
                                              e->half};
    const struct vj_cuda_grid grid = {(unsigned)shape.blocks, (unsigned)e->plan.rows, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_net_pool_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_pool_gather(&pool, &shared, at.x, at.y, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_pool_combine(&pool, &shared, at.x, at.y, (int)thread);
    }
}

static inline void emu_attend(const struct emu_net *e, const struct emu_extractor *x, int layer)
{
    const struct vj_cuda_net_pool_shape shape = e->plan.pool[layer];
    const size_t channels = (size_t)shape.channels, half = (size_t)shape.side / 2;
    void *pooled = emu_at(e, vj_cuda_net_pooled(&e->plan, layer));
    float *sums = emu_at(e, VJ_CUDA_NET_SUMS), *peaks = emu_at(e, VJ_CUDA_NET_PEAKS);
    float *scale = emu_at(e, VJ_CUDA_NET_SCALE);
    const struct vj_cuda_net_attend_job attend = {shape, x->attention[layer], sums, peaks, scale};
    const struct vj_cuda_grid grid = {(unsigned)e->plan.rows, 1, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_net_attend_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_mean(&attend, &shared, at.x, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_hidden(&attend, &shared, (int)thread);
        EMULATE_THREADS(VJ_CUDA_NET_THREADS, thread)
        vj_cuda_net_attend_scale(&attend, &shared, at.x, (int)thread);
    }
    const size_t patch = half * half * channels;
    const struct vj_cuda_net_scale_job s = {pooled, scale,    e->plan.rows * patch,
                                            patch,  channels, e->half};
    if (!e->plan.conv[layer + 1].scaled)
        EMU_EACH(s.count / 4, vj_cuda_net_scale_step, &s);
}

static inline void emu_softmax(const struct emu_net *e)
{
    const struct vj_cuda_net_softmax_job j = {emu_at(e, VJ_CUDA_NET_SCORES),
                                              emu_at(e, VJ_CUDA_NET_CHANCES),
                                              emu_at(e, VJ_CUDA_NET_FLAGS),
                                              e->plan.rows * e->plan.positions,
                                              e->plan.positions,
                                              e->half};
    emulate_softmax(&j);
}

/* ---- passes ---- */

/* Block b of pw-jnd: from input or pooled to pooled, or to the features. */
static inline void emu_pair_of_convs(const struct emu_net *e, const struct emu_extractor *x, int b)
{
    const struct vj_cuda_net_conv *c = &e->plan.conv[2 * b + 1];
    const size_t side = (size_t)c->side, channels = (size_t)c->out, rows = e->plan.rows;
    void *between = emu_at(e, VJ_CUDA_NET_BETWEEN), *map = emu_at(e, VJ_CUDA_NET_MAP);
    int *flags = emu_at(e, VJ_CUDA_NET_FLAGS);
    const size_t patch = side * side * channels;
    const struct vj_cuda_net_check_job check = {between, flags, patch, rows * patch / 4};
    const struct vj_cuda_net_halve_job halve = {
        map,      emu_at(e, b < 4 ? VJ_CUDA_NET_POOLED : VJ_CUDA_NET_FEATURES),
        flags,    side,
        channels, rows * patch / 16,
        e->half};
    emu_conv(e, x, 2 * b, emu_at(e, b ? VJ_CUDA_NET_POOLED : VJ_CUDA_NET_INPUT), between);
    if (e->half)
        EMU_EACH(check.count, vj_cuda_net_check_step, &check);
    emu_conv(e, x, 2 * b + 1, between, c->pooled ? halve.pooled : map);
    if (!c->pooled)
        EMU_EACH(halve.count, vj_cuda_net_halve_step, &halve);
}

static inline void emu_extract(const struct emu_net *e, int stream, const uint8_t *patches,
                               int channels, size_t count)
{
    const struct vj_cuda_net_plan *p = &e->plan;
    const struct emu_extractor *x = &e->extractor[stream];
    const size_t patch = (size_t)p->shape.patch_size * (size_t)p->shape.patch_size;
    const size_t c = (size_t)p->shape.channels[3];
    static const enum vj_cuda_net_buffer projected[3] = {VJ_CUDA_NET_THETA, VJ_CUDA_NET_PHI,
                                                         VJ_CUDA_NET_VALUE};
    memset(emu_at(e, VJ_CUDA_NET_FLAGS), 0, e->place[VJ_CUDA_NET_FLAGS].bytes);
    const struct vj_cuda_net_input_job input = {
        patches, emu_at(e, VJ_CUDA_NET_INPUT), count * patch, p->rows * patch, channels, e->half};
    const struct vj_cuda_first_job one = {patches,
                                          count,
                                          channels,
                                          x->first,
                                          x->first_bias,
                                          emu_at(e, VJ_CUDA_NET_POOLED),
                                          emu_at(e, VJ_CUDA_NET_SUMS),
                                          emu_at(e, VJ_CUDA_NET_PEAKS),
                                          emu_at(e, VJ_CUDA_NET_FLAGS),
                                          p->shape.patch_size,
                                          e->half};
    if (p->first)
        emulate_first(&one, p->precision, p->rows);
    else
        EMU_EACH(input.pixels, vj_cuda_net_input_step, &input);
    for (int b = 0; b < 5 && emu_pw(e); b++)
        emu_pair_of_convs(e, x, b);
    if (emu_pw(e))
        return;
    for (int i = 0; i < 3; i++) {
        const bool pooled = p->conv[i].pooled;
        if (i > 0 || !p->first)
            emu_conv(e, x, i, emu_at(e, i ? vj_cuda_net_pooled(p, i - 1) : VJ_CUDA_NET_INPUT),
                     emu_at(e, pooled ? vj_cuda_net_pooled(p, i) : VJ_CUDA_NET_MAP));
        if (!pooled && (i > 0 || !p->first))
            emu_pool(e, i);
        emu_attend(e, x, i);
    }
    emu_conv(e, x, 3, emu_at(e, vj_cuda_net_pooled(p, 2)), emu_at(e, VJ_CUDA_NET_TOKENS));
    for (int i = 0; i < 3; i++)
        emu_matmul(e, VJ_CUDA_NET_PROJECTION, emu_at(e, VJ_CUDA_NET_TOKENS), x->projection[i],
                   x->projection_bias[i], emu_at(e, projected[i]));
    emu_matmul(e, VJ_CUDA_NET_AFFINITY, emu_at(e, VJ_CUDA_NET_THETA), emu_at(e, VJ_CUDA_NET_PHI),
               NULL, emu_at(e, VJ_CUDA_NET_SCORES));
    emu_softmax(e);
    emu_matmul(e, VJ_CUDA_NET_ATTEND, emu_at(e, VJ_CUDA_NET_CHANCES), emu_at(e, VJ_CUDA_NET_VALUE),
               NULL, emu_at(e, VJ_CUDA_NET_ATTENDED));
    const struct vj_cuda_net_join_job join = {emu_at(e, VJ_CUDA_NET_TOKENS),
                                              emu_at(e, VJ_CUDA_NET_ATTENDED),
                                              emu_at(e, VJ_CUDA_NET_LAST),
                                              emu_at(e, VJ_CUDA_NET_FLAGS),
                                              (size_t)p->conv[3].side,
                                              c,
                                              (size_t)p->conv[3].out,
                                              p->rows * (p->positions / 4) * c,
                                              e->half};
    EMU_EACH(join.count, vj_cuda_net_join_step, &join);
    const struct vj_cuda_net_statistics_job statistics = {emu_at(e, VJ_CUDA_NET_LAST),
                                                          emu_at(e, VJ_CUDA_NET_FEATURES),
                                                          p->positions / 4,
                                                          c,
                                                          p->rows * c,
                                                          e->half};
    if (p->shape.variant == VJ_VARIANT_FIGURE)
        EMU_EACH(statistics.count, vj_cuda_net_statistics_step, &statistics);
}

static inline size_t emu_smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline float *emu_constant(const struct emu_net *e, size_t reference)
{
    return (float *)emu_at(e, VJ_CUDA_NET_CONSTANT) +
           reference * e->max_patches * 2 * VJ_NET_HIDDEN;
}

static inline char *emu_jnd(const struct emu_net *e, size_t reference)
{
    return (char *)emu_at(e, VJ_CUDA_NET_JND) +
           reference * e->max_patches * e->plan.features * e->plan.element;
}

static inline void emu_reference(const struct emu_net *e, size_t reference, const uint8_t *r,
                                 const uint8_t *jnd, size_t patches)
{
    const struct vj_cuda_net_plan *p = &e->plan;
    const size_t pixels = (size_t)p->shape.patch_size * (size_t)p->shape.patch_size;
    for (size_t first = 0; first < patches; first += p->rows) {
        const size_t count = emu_smaller(p->rows, patches - first);
        emu_extract(e, EMU_PICTURE, r + first * pixels * 3, 3, count);
        emu_matmul(e, VJ_CUDA_NET_HEAD_PAIR, emu_at(e, VJ_CUDA_NET_FEATURES), e->reference, NULL,
                   emu_at(e, VJ_CUDA_NET_PAIR));
        const struct vj_cuda_net_constant_job constant = {emu_at(e, VJ_CUDA_NET_PAIR),
                                                          e->hidden_bias,
                                                          emu_at(e, VJ_CUDA_NET_FLAGS),
                                                          emu_constant(e, reference) +
                                                              first * 2 * VJ_NET_HIDDEN,
                                                          p->rows,
                                                          p->slices,
                                                          count * 2 * VJ_NET_HIDDEN};
        EMU_EACH(constant.count, vj_cuda_net_constant_step, &constant);
        if (emu_pw(e))
            continue;
        emu_extract(e, EMU_MAPS, jnd + first * pixels, 1, count);
        const struct vj_cuda_net_keep_job keep = {emu_at(e, VJ_CUDA_NET_FEATURES),
                                                  emu_jnd(e, reference) +
                                                      first * p->features * p->element,
                                                  emu_at(e, VJ_CUDA_NET_FLAGS),
                                                  p->features,
                                                  count * p->features,
                                                  e->half};
        EMU_EACH(keep.count, vj_cuda_net_keep_step, &keep);
    }
}

static inline void emu_finish(const struct emu_net *e, size_t reference, size_t first,
                              size_t patches, size_t count, float *quality, float *weight)
{
    const struct vj_cuda_net_finish_job j = {.pair = emu_at(e, VJ_CUDA_NET_PAIR),
                                             .product =
                                                 emu_pw(e) ? NULL : emu_at(e, VJ_CUDA_NET_PRODUCT),
                                             .constant = emu_constant(e, reference),
                                             .second = {e->second_kernel, e->second_bias},
                                             .flags = emu_at(e, VJ_CUDA_NET_FLAGS),
                                             .quality = quality,
                                             .weight = weight,
                                             .rows = e->plan.rows,
                                             .slices = e->plan.slices,
                                             .first = first,
                                             .patches = patches};
    const struct vj_cuda_grid grid = {(unsigned)count, 1, 1};
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_net_finish_shared shared;
        memset(&shared, 0xff, sizeof(shared));
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_net_finish_sum(&j, &shared, at.x, (int)thread);
        EMULATE_THREADS(2 * VJ_CUDA_NET_LANES, thread)
        vj_cuda_net_finish_write(&j, &shared, at.x, (int)thread);
    }
}

static inline void emu_scores(const struct emu_net *e, size_t reference, const uint8_t *d, size_t n,
                              size_t patches, float *score, float *quality, float *weight)
{
    const struct vj_cuda_net_plan *p = &e->plan;
    const size_t pixels = (size_t)p->shape.patch_size * (size_t)p->shape.patch_size;
    const size_t rows = n * patches;
    for (size_t first = 0; first < rows; first += p->rows) {
        const size_t count = emu_smaller(p->rows, rows - first);
        emu_extract(e, EMU_PICTURE, d + first * pixels * 3, 3, count);
        const struct vj_cuda_net_times_job times = {emu_at(e, VJ_CUDA_NET_FEATURES),
                                                    emu_jnd(e, reference),
                                                    emu_at(e, VJ_CUDA_NET_TIMES),
                                                    emu_at(e, VJ_CUDA_NET_FLAGS),
                                                    first,
                                                    patches,
                                                    p->features,
                                                    p->rows * p->features,
                                                    e->half};
        if (!emu_pw(e))
            EMU_EACH(times.count, vj_cuda_net_times_step, &times);
        emu_matmul(e, VJ_CUDA_NET_HEAD_PAIR, emu_at(e, VJ_CUDA_NET_FEATURES), e->distorted, NULL,
                   emu_at(e, VJ_CUDA_NET_PAIR));
        if (!emu_pw(e))
            emu_matmul(e, VJ_CUDA_NET_HEAD_PRODUCT, emu_at(e, VJ_CUDA_NET_TIMES), e->product, NULL,
                       emu_at(e, VJ_CUDA_NET_PRODUCT));
        emu_finish(e, reference, first, patches, count, quality + first, weight + first);
    }
    const struct vj_cuda_net_mean_job mean = {quality, weight, score, n, patches};
    EMU_EACH(n, vj_cuda_net_mean_step, &mean);
}

#endif
