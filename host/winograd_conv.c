/* SPDX-License-Identifier: MIT */
#include "host/winograd_conv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/simd.h"
#include "host/winograd.h"

enum {
    LANES = 8,      /* channels handled together */
    MIN_TILES = 16, /* below, the products read their weights too often: measured with pw-jnd */
    STRIP_BYTES = 2 << 20,
};

struct vj_winograd_conv {
    struct vj_dnn_op *products;
    size_t height, width, in, out;
    bool relu;
    size_t src_block, dst_block;
    size_t across, tiles; /* tiles of a row, and of the map */
    size_t strip;         /* tiles that are transformed and multiplied together */
    float *kernel;        /* [36][in][out], owned */
    float *bias;          /* [out], owned */
};

struct vj_winograd_call {
    const struct vj_winograd_conv *conv;
    struct vj_dnn_call *call;
    float *inputs;   /* [strip][36][in], the caller's */
    float *products; /* [strip][36][out], the caller's */
};

/* Into every clone of its caller, so that it is compiled for the clone's processor. */
#define INLINE static inline __attribute__((always_inline))

/* ---- Transforms --------------------------------------------------------------------------------
 */

/* Where a tile's LANES channels lie. */
struct place {
    size_t block, plane; /* floats between neighbouring pixels, and between channel blocks */
    size_t height, width;
};

INLINE size_t channel_start(const struct place *p, size_t channel)
{
    return channel / p->block * p->plane + channel % p->block;
}

/* Column x of the inputs of LANES channels, from the map or zero. */
INLINE void load_column(const float *src, const struct place *p, size_t y, size_t x, bool inside,
                        float d[VJ_WINOGRAD_IN][LANES])
{
    static const float zeros[LANES] = {0};
    for (size_t i = 0; i < VJ_WINOGRAD_IN; i++) {
        /* Above and left of the map these become huge numbers, which are outside too. */
        const bool here = inside || (y + i < p->height && x < p->width);
        memcpy(d[i], here ? src + ((y + i) * p->width + x) * p->block : zeros, sizeof(d[i]));
    }
}

INLINE struct vj_winograd_six take_six(const float *from, size_t step)
{
    struct vj_winograd_six six = {from[0],        from[step],     from[2 * step],
                                  from[3 * step], from[4 * step], from[5 * step]};
    return six;
}

INLINE void input_line(const float *d, size_t step, float *v, size_t v_step)
{
#pragma omp simd
    for (size_t c = 0; c < LANES; c++) {
        const struct vj_winograd_six six = vj_winograd_input(take_six(d + c, step));
        v[c] = six.v0;
        v[v_step + c] = six.v1;
        v[2 * v_step + c] = six.v2;
        v[3 * v_step + c] = six.v3;
        v[4 * v_step + c] = six.v4;
        v[5 * v_step + c] = six.v5;
    }
}

/* src: LANES channels of a map; v: the same channels of a tile, products `v_step` floats apart */
INLINE void input_tile(const float *src, const struct place *p, size_t y, size_t x, bool inside,
                       float *v, size_t v_step)
{
    float half[VJ_WINOGRAD_IN][VJ_WINOGRAD_IN][LANES]; /* [row][column] */
    for (size_t j = 0; j < VJ_WINOGRAD_IN; j++) {
        float d[VJ_WINOGRAD_IN][LANES];
        load_column(src, p, y, x + j, inside, d);
        input_line(&d[0][0], LANES, &half[0][j][0], (size_t)VJ_WINOGRAD_IN * LANES);
    }
    for (size_t i = 0; i < VJ_WINOGRAD_IN; i++)
        input_line(&half[i][0][0], LANES, v + i * VJ_WINOGRAD_IN * v_step, v_step);
}

VJ_SIMD static void input_strip(const struct vj_winograd_conv *conv, const float *src, size_t first,
                                size_t count, float *inputs)
{
    const struct place p = {conv->src_block, conv->height * conv->width * conv->src_block,
                            conv->height, conv->width};
    for (size_t tile = 0; tile < count; tile++) {
        const size_t y = (first + tile) / conv->across * VJ_WINOGRAD_OUT - 1;
        const size_t x = (first + tile) % conv->across * VJ_WINOGRAD_OUT - 1;
        const bool inside = y < conv->height && x < conv->width &&
                            y + VJ_WINOGRAD_IN <= conv->height && x + VJ_WINOGRAD_IN <= conv->width;
        float *to = inputs + tile * VJ_WINOGRAD_PRODUCTS * conv->in;
        for (size_t c = 0; c < conv->in; c += LANES) {
            const float *from = src + channel_start(&p, c);
            if (inside)
                input_tile(from, &p, y, x, true, to + c, conv->in);
            else
                input_tile(from, &p, y, x, false, to + c, conv->in);
        }
    }
}

INLINE void output_line(const float *m, size_t step, float *y, size_t y_step)
{
#pragma omp simd
    for (size_t c = 0; c < LANES; c++) {
        const struct vj_winograd_four four = vj_winograd_output(take_six(m + c, step));
        y[c] = four.v0;
        y[y_step + c] = four.v1;
        y[2 * y_step + c] = four.v2;
        y[3 * y_step + c] = four.v3;
    }
}

/* m: LANES channels of a tile; dst: the same channels of the tile's first pixel */
INLINE void output_tile(const float *m, size_t step, const float *bias, const struct place *p,
                        size_t rows, size_t columns, bool relu, float *dst)
{
    float half[VJ_WINOGRAD_OUT][VJ_WINOGRAD_IN][LANES]; /* [row][column] */
    for (size_t j = 0; j < VJ_WINOGRAD_IN; j++)
        output_line(m + j * step, VJ_WINOGRAD_IN * step, &half[0][j][0],
                    (size_t)VJ_WINOGRAD_IN * LANES);
    for (size_t i = 0; i < rows; i++) {
        float y[VJ_WINOGRAD_OUT][LANES];
        output_line(&half[i][0][0], LANES, &y[0][0], LANES);
        for (size_t x = 0; x < columns; x++) {
            float *to = dst + (i * p->width + x) * p->block;
#pragma omp simd
            for (size_t c = 0; c < LANES; c++) {
                const float v = y[x][c] + bias[c];
                to[c] = relu && v < 0 ? 0 : v; /* keeps NaN, so that scores show it */
            }
        }
    }
}

VJ_SIMD static void output_strip(const struct vj_winograd_conv *conv, const float *products,
                                 size_t first, size_t count, float *dst)
{
    const struct place p = {conv->dst_block, conv->height * conv->width * conv->dst_block,
                            conv->height, conv->width};
    for (size_t tile = 0; tile < count; tile++) {
        const size_t y = (first + tile) / conv->across * VJ_WINOGRAD_OUT;
        const size_t x = (first + tile) % conv->across * VJ_WINOGRAD_OUT;
        const size_t down = conv->height - y, right = conv->width - x;
        const bool whole = down >= VJ_WINOGRAD_OUT && right >= VJ_WINOGRAD_OUT;
        const float *from = products + tile * VJ_WINOGRAD_PRODUCTS * conv->out;
        float *to = dst + (y * conv->width + x) * conv->dst_block;
        const size_t rows = down < VJ_WINOGRAD_OUT ? down : VJ_WINOGRAD_OUT;
        const size_t columns = right < VJ_WINOGRAD_OUT ? right : VJ_WINOGRAD_OUT;
        for (size_t c = 0; c < conv->out; c += LANES) {
            const float *bias = conv->bias + c;
            float *start = to + channel_start(&p, c);
            if (whole && conv->relu)
                output_tile(from + c, conv->out, bias, &p, VJ_WINOGRAD_OUT, VJ_WINOGRAD_OUT, true,
                            start);
            else
                output_tile(from + c, conv->out, bias, &p, rows, columns, conv->relu, start);
        }
    }
}

/* ---- Preparation -------------------------------------------------------------------------------
 */

static size_t tiles_of(size_t side)
{
    return (side + VJ_WINOGRAD_OUT - 1) / VJ_WINOGRAD_OUT;
}

bool vj_winograd_conv_suits(const struct vj_dnn_conv *shape)
{
    return shape->in % LANES == 0 && shape->out % LANES == 0 && shape->src_block % LANES == 0 &&
           shape->dst_block % LANES == 0 &&
           tiles_of(shape->height) * tiles_of(shape->width) >= MIN_TILES;
}

/* Strips of equal size whose inputs and products take up to STRIP_BYTES, but for those of a single
 * tile with very many channels. */
static size_t strip_of(size_t tiles, size_t channels)
{
    const size_t tile = VJ_WINOGRAD_PRODUCTS * channels * sizeof(float);
    const size_t strips = (tiles * tile + STRIP_BYTES - 1) / STRIP_BYTES;
    return (tiles + strips - 1) / strips;
}

int vj_winograd_conv_prepare(struct vj_winograd_conv **conv, struct vj_dnn *dnn,
                             const struct vj_dnn_conv *shape, struct vj_error *err)
{
    *conv = NULL;
    struct vj_winograd_conv *c = vj_calloc(1, sizeof(*c));
    if (!c)
        return vj_fail(err, -ENOMEM, "out of memory for %s", shape->name);
    c->height = shape->height;
    c->width = shape->width;
    c->in = shape->in;
    c->out = shape->out;
    c->relu = shape->relu;
    c->src_block = shape->src_block ? shape->src_block : LANES;
    c->dst_block = shape->dst_block ? shape->dst_block : LANES;
    c->across = tiles_of(c->width);
    c->tiles = c->across * tiles_of(c->height);
    c->strip = strip_of(c->tiles, c->in + c->out);
    const struct vj_dnn_matmul matmul = {
        .name = shape->name,
        .batch = VJ_WINOGRAD_PRODUCTS,
        .rows = c->strip,
        .depth = c->in,
        .columns = c->out,
    };
    int r = vj_dnn_matmul_prepare(&c->products, dnn, &matmul, err);
    c->kernel = vj_alloc_aligned(VJ_WINOGRAD_PRODUCTS * c->in * c->out, sizeof(float));
    c->bias = vj_alloc_aligned(c->out, sizeof(float));
    if (!r && (!c->kernel || !c->bias))
        r = vj_fail(err, -ENOMEM, "out of memory for the weights of %s", shape->name);
    if (r) {
        vj_winograd_conv_free(c);
        return r;
    }
    *conv = c;
    return 0;
}

void vj_winograd_conv_load(struct vj_winograd_conv *conv, const float *kernel, const float *bias)
{
    const size_t pairs = conv->in * conv->out;
    for (size_t i = 0; i < pairs; i++)
        vj_winograd_kernel(kernel + i, pairs, conv->kernel + i, pairs);
    if (bias)
        memcpy(conv->bias, bias, conv->out * sizeof(float));
    else
        memset(conv->bias, 0, conv->out * sizeof(float));
}

void vj_winograd_conv_free(struct vj_winograd_conv *conv)
{
    if (!conv)
        return;
    vj_dnn_op_free(conv->products);
    free(conv->kernel);
    free(conv->bias);
    free(conv);
}

size_t vj_winograd_conv_src_block(const struct vj_winograd_conv *conv)
{
    return conv->src_block;
}

size_t vj_winograd_conv_dst_block(const struct vj_winograd_conv *conv)
{
    return conv->dst_block;
}

size_t vj_winograd_conv_weight_bytes(const struct vj_winograd_conv *conv)
{
    return (VJ_WINOGRAD_PRODUCTS * conv->in + 1) * conv->out * sizeof(float);
}

/* Of each part of a call's scratch memory: a multiple of 64. */
static size_t strip_bytes(const struct vj_winograd_conv *conv, size_t channels)
{
    return (VJ_WINOGRAD_PRODUCTS * conv->strip * channels * sizeof(float) + 63) / 64 * 64;
}

size_t vj_winograd_conv_scratch_bytes(const struct vj_winograd_conv *conv)
{
    return strip_bytes(conv, conv->in) + strip_bytes(conv, conv->out) +
           vj_dnn_op_scratch_bytes(conv->products);
}

const char *vj_winograd_conv_implementation(const struct vj_winograd_conv *conv)
{
    return vj_dnn_op_implementation(conv->products);
}

/* ---- Calls -------------------------------------------------------------------------------------
 */

int vj_winograd_bind(struct vj_winograd_call **call, const struct vj_winograd_conv *conv,
                     void *scratch, struct vj_error *err)
{
    *call = NULL;
    struct vj_winograd_call *c = vj_calloc(1, sizeof(*c));
    if (!c)
        return vj_fail(err, -ENOMEM, "out of memory for a call of a convolution");
    char *next = scratch;
    c->conv = conv;
    c->inputs = (float *)next;
    next += strip_bytes(conv, conv->in);
    c->products = (float *)next;
    next += strip_bytes(conv, conv->out);
    int r = vj_dnn_bind(&c->call, conv->products, c->inputs, conv->kernel, c->products, next, err);
    if (r) {
        vj_winograd_call_free(c);
        return r;
    }
    *call = c;
    return 0;
}

void vj_winograd_call_free(struct vj_winograd_call *call)
{
    if (!call)
        return;
    vj_dnn_call_free(call->call);
    free(call);
}

int vj_winograd_run(struct vj_winograd_call *call, const float *src, float *dst,
                    struct vj_error *err)
{
    const struct vj_winograd_conv *conv = call->conv;
    int r = 0;
    /* Rows of the last strip behind the last tile hold what they held: nobody reads their products.
     */
    for (size_t first = 0; first < conv->tiles && !r; first += conv->strip) {
        const size_t left = conv->tiles - first, count = left < conv->strip ? left : conv->strip;
        input_strip(conv, src, first, count, call->inputs);
        r = vj_dnn_run(call->call, err);
        if (!r)
            output_strip(conv, call->products, first, count, dst);
    }
    return r;
}
