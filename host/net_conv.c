/* SPDX-License-Identifier: MIT */
#include "host/net_conv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/winograd_conv.h"

/* One of the two, here and in a call. */
struct vj_net_conv {
    struct vj_dnn_op *direct;
    struct vj_winograd_conv *winograd;
};

struct vj_net_conv_call {
    struct vj_dnn_call *direct;
    struct vj_winograd_call *winograd;
    const float *src; /* Winograd's, as dst: the caller's */
    float *dst;
};

static int prepare(struct vj_net_conv *c, struct vj_dnn *dnn, const struct vj_dnn_conv *shape,
                   const float *kernel, const float *bias, struct vj_error *err)
{
    if (!vj_winograd_conv_suits(shape))
        return vj_dnn_conv_prepare(&c->direct, dnn, shape, kernel, bias, err);
    int r = vj_winograd_conv_prepare(&c->winograd, dnn, shape, err);
    if (!r)
        vj_winograd_conv_load(c->winograd, kernel, bias);
    return r;
}

int vj_net_conv_prepare(struct vj_net_conv **conv, struct vj_dnn *dnn,
                        const struct vj_dnn_conv *shape, const float *kernel, const float *bias,
                        struct vj_error *err)
{
    *conv = NULL;
    struct vj_net_conv *c = vj_calloc(1, sizeof(*c));
    if (!c)
        return vj_fail(err, -ENOMEM, "out of memory for %s", shape->name);
    int r = prepare(c, dnn, shape, kernel, bias, err);
    if (r) {
        vj_net_conv_free(c);
        return r;
    }
    *conv = c;
    return 0;
}

void vj_net_conv_free(struct vj_net_conv *conv)
{
    if (!conv)
        return;
    vj_dnn_op_free(conv->direct);
    vj_winograd_conv_free(conv->winograd);
    free(conv);
}

size_t vj_net_conv_src_block(const struct vj_net_conv *conv)
{
    return conv->winograd ? vj_winograd_conv_src_block(conv->winograd)
                          : vj_dnn_op_src_block(conv->direct);
}

size_t vj_net_conv_dst_block(const struct vj_net_conv *conv)
{
    return conv->winograd ? vj_winograd_conv_dst_block(conv->winograd)
                          : vj_dnn_op_dst_block(conv->direct);
}

size_t vj_net_conv_weight_bytes(const struct vj_net_conv *conv)
{
    return conv->winograd ? vj_winograd_conv_weight_bytes(conv->winograd)
                          : vj_dnn_op_weight_bytes(conv->direct);
}

size_t vj_net_conv_scratch_bytes(const struct vj_net_conv *conv)
{
    return conv->winograd ? vj_winograd_conv_scratch_bytes(conv->winograd)
                          : vj_dnn_op_scratch_bytes(conv->direct);
}

void vj_net_conv_describe(const struct vj_net_conv *conv, char *text, size_t size)
{
    if (conv->winograd)
        snprintf(text, size, "winograd, %s", vj_winograd_conv_implementation(conv->winograd));
    else
        snprintf(text, size, "%s", vj_dnn_op_implementation(conv->direct));
}

int vj_net_conv_bind(struct vj_net_conv_call **call, const struct vj_net_conv *conv, float *src,
                     float *dst, void *scratch, struct vj_error *err)
{
    *call = NULL;
    struct vj_net_conv_call *c = vj_calloc(1, sizeof(*c));
    if (!c)
        return vj_fail(err, -ENOMEM, "out of memory for a call of a convolution");
    c->src = src;
    c->dst = dst;
    int r = conv->winograd ? vj_winograd_bind(&c->winograd, conv->winograd, scratch, err)
                           : vj_dnn_bind(&c->direct, conv->direct, src, NULL, dst, scratch, err);
    if (r) {
        vj_net_conv_call_free(c);
        return r;
    }
    *call = c;
    return 0;
}

void vj_net_conv_call_free(struct vj_net_conv_call *call)
{
    if (!call)
        return;
    vj_dnn_call_free(call->direct);
    vj_winograd_call_free(call->winograd);
    free(call);
}

int vj_net_conv_run(struct vj_net_conv_call *call, struct vj_error *err)
{
    return call->winograd ? vj_winograd_run(call->winograd, call->src, call->dst, err)
                          : vj_dnn_run(call->direct, err);
}
