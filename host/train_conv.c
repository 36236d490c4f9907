/* SPDX-License-Identifier: MIT */
#include "host/train_conv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

/* The convolution that takes the derivative by the result to that by the source. */
static int prepare_back(struct vj_train_conv *c, struct vj_dnn *dnn,
                        const struct vj_dnn_conv *forward, struct vj_error *err)
{
    struct vj_dnn_conv back = *forward;
    back.in = forward->out;
    back.out = forward->in;
    back.src_block = forward->dst_block;
    back.dst_block = forward->src_block;
    back.relu = false;
    if (!vj_winograd_conv_suits(&back))
        return 0;
    c->turned = vj_calloc(9 * c->in * c->out, sizeof(float));
    if (!c->turned)
        return vj_fail(err, -ENOMEM, "out of memory for the weights of %s", c->name);
    return vj_winograd_conv_prepare(&c->back, dnn, &back, err);
}

int vj_train_conv_complete(struct vj_train_conv *c, struct vj_dnn *dnn,
                           const struct vj_dnn_conv *shape, bool backward_data,
                           struct vj_error *err)
{
    struct vj_dnn_conv forward = *shape;
    forward.src_block = vj_dnn_conv_train_src_block(c->direct);
    forward.dst_block = vj_dnn_conv_train_dst_block(c->direct);
    c->name = shape->name;
    c->batch = shape->batch;
    c->in = shape->in;
    c->out = shape->out;
    int r = 0;
    if (vj_winograd_conv_suits(&forward))
        r = vj_winograd_conv_prepare(&c->forward, dnn, &forward, err);
    return r || !backward_data ? r : prepare_back(c, dnn, &forward, err);
}

void vj_train_conv_free(struct vj_train_conv *c)
{
    vj_dnn_conv_train_free(c->direct);
    vj_winograd_conv_free(c->forward);
    vj_winograd_conv_free(c->back);
    free(c->turned);
    memset(c, 0, sizeof(*c));
}

/* Turned by half a turn, with sources and results changed over. */
static void turn(const float *kernel, size_t in, size_t out, float *turned)
{
    for (size_t tap = 0; tap < 9; tap++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                turned[((8 - tap) * out + o) * in + i] = kernel[(tap * in + i) * out + o];
}

int vj_train_conv_load(struct vj_train_conv *c, const float *kernel, const float *bias,
                       struct vj_error *err)
{
    if (c->forward)
        vj_winograd_conv_load(c->forward, kernel, bias);
    if (c->back) {
        turn(kernel, c->in, c->out, c->turned);
        vj_winograd_conv_load(c->back, c->turned, NULL);
    }
    return vj_dnn_conv_train_load(c->direct, kernel, bias, err);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t vj_train_conv_scratch_bytes(const struct vj_train_conv *c)
{
    size_t bytes = vj_dnn_conv_train_scratch_bytes(c->direct);
    if (c->forward)
        bytes = larger(bytes, vj_winograd_conv_scratch_bytes(c->forward));
    if (c->back)
        bytes = larger(bytes, vj_winograd_conv_scratch_bytes(c->back));
    return bytes;
}

int vj_train_conv_bind(struct vj_train_conv_call *call, const struct vj_train_conv *c,
                       void *scratch, struct vj_error *err)
{
    call->conv = c;
    int r = vj_dnn_conv_train_bind(&call->direct, c->direct, scratch, err);
    if (!r && c->forward)
        r = vj_winograd_bind(&call->forward, c->forward, scratch, err);
    if (!r && c->back)
        r = vj_winograd_bind(&call->back, c->back, scratch, err);
    return r;
}

void vj_train_conv_call_free(struct vj_train_conv_call *call)
{
    vj_dnn_conv_train_call_free(call->direct);
    vj_winograd_call_free(call->forward);
    vj_winograd_call_free(call->back);
    memset(call, 0, sizeof(*call));
}

/* Every patch of the batch, `from` and `to` floats apart. */
static int run_each(struct vj_winograd_call *call, size_t batch, const float *src, size_t from,
                    float *dst, size_t to, struct vj_error *err)
{
    int r = 0;
    for (size_t p = 0; p < batch && !r; p++)
        r = vj_winograd_run(call, src + p * from, dst + p * to, err);
    return r;
}

int vj_train_conv_forward(const struct vj_train_conv_call *call, const float *src, float *dst,
                          struct vj_error *err)
{
    const struct vj_train_conv *c = call->conv;
    return call->forward
               ? run_each(call->forward, c->batch, src, vj_dnn_conv_train_src_floats(c->direct),
                          dst, vj_dnn_conv_train_dst_floats(c->direct), err)
               : vj_dnn_forward(call->direct, src, dst, err);
}

int vj_train_conv_backward_data(const struct vj_train_conv_call *call, const float *diff_dst,
                                float *diff_src, struct vj_error *err)
{
    const struct vj_train_conv *c = call->conv;
    return call->back
               ? run_each(call->back, c->batch, diff_dst, vj_dnn_conv_train_dst_floats(c->direct),
                          diff_src, vj_dnn_conv_train_src_floats(c->direct), err)
               : vj_dnn_backward_data(call->direct, diff_dst, diff_src, err);
}
