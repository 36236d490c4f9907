/* SPDX-License-Identifier: MIT */
#include "cuda/net_weights.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "host/checked.h"
#include "host/net_fold.h"
}

#include "cuda/check.h"

/* What loading needs along the way. */
struct loader {
    struct vj_cuda_net_weights *to;
    const struct vj_cuda_net_plan *plan;
    const struct vj_weights *from;
    float *staging; /* device, as large as the largest tensor */
    int *flag;      /* device: a number does not fit the element type */
    struct vj_error *err;
};

static int take(struct loader *l, size_t bytes, void **memory)
{
    struct vj_cuda_net_weights *w = l->to;
    if (w->owned_count == VJ_CUDA_NET_MAX_TENSORS)
        return vj_fail(l->err, -EINVAL, "the network has more than %d tensors",
                       VJ_CUDA_NET_MAX_TENSORS);
    int r = VJ_CUDA(cudaMalloc(memory, bytes), l->err);
    if (r)
        return r;
    w->owned[w->owned_count++] = *memory;
    w->bytes += bytes;
    return 0;
}

static int upload_single(struct loader *l, const float *from, size_t count, float **to)
{
    void *memory = NULL;
    int r = take(l, count * sizeof(float), &memory);
    if (!r)
        r = VJ_CUDA(cudaMemcpy(memory, from, count * sizeof(float), cudaMemcpyHostToDevice),
                    l->err);
    *to = static_cast<float *>(memory);
    return r;
}

/* Uploads and converts to the element type; `name` is for the text of an overflow. */
static int upload(struct loader *l, const char *name, const float *from, size_t count, void **to)
{
    int overflow = 0;
    int r = take(l, count * l->plan->element, to);
    if (!r)
        r = VJ_CUDA(cudaMemcpy(l->staging, from, count * sizeof(float), cudaMemcpyHostToDevice),
                    l->err);
    if (!r)
        r = VJ_CUDA(cudaMemset(l->flag, 0, sizeof(*l->flag)), l->err);
    if (!r)
        r = VJ_CUDA(vj_cuda_net_convert(l->plan->precision, 0, l->staging, *to, count, l->flag),
                    l->err);
    if (!r)
        r = VJ_CUDA(cudaMemcpy(&overflow, l->flag, sizeof(overflow), cudaMemcpyDeviceToHost),
                    l->err);
    if (!r && overflow)
        r = vj_fail(l->err, -EINVAL,
                    "%s has weights beyond half precision's 65,504: use precision tf32 or fp32",
                    name);
    return r;
}

static int load_conv(struct loader *l, struct vj_cuda_net_extractor *e, const char *stream, int i)
{
    const struct vj_cuda_net_conv *c = &l->plan->conv[i];
    const size_t in = (size_t)c->real_in, out = (size_t)c->real_out;
    const size_t padded = vj_cuda_net_conv_kernel_floats(c);
    const float *kernel =
        vj_net_tensor(l->from, 9 * in * out, l->err, "%s/%s/weights", stream, c->name);
    const float *bias =
        kernel ? vj_net_tensor(l->from, out, l->err, "%s/%s/biases", stream, c->name) : NULL;
    if (!bias)
        return -EINVAL;
    float *made = static_cast<float *>(vj_calloc(padded + (size_t)c->out, sizeof(float)));
    if (!made)
        return vj_fail(l->err, -ENOMEM, "out of memory for the kernel of %s", c->name);
    vj_cuda_net_conv_kernel(c, kernel, made);
    memcpy(made + padded, bias, out * sizeof(float));
    int r = upload(l, c->name, made, padded, &e->kernel[i]);
    if (!r)
        r = upload(l, c->name, made + padded, (size_t)c->out, &e->bias[i]);
    free(made);
    return r;
}

static int load_first(struct loader *l, struct vj_cuda_net_extractor *e, const char *stream)
{
    enum { CHANNELS = VJ_CUDA_FIRST_CHANNELS, WORDS = VJ_CUDA_FIRST_WORDS };
    const float *kernel = vj_net_tensor(l->from, 27 * CHANNELS, l->err, "%s/conv1/weights", stream);
    const float *bias =
        kernel ? vj_net_tensor(l->from, CHANNELS, l->err, "%s/conv1/biases", stream) : NULL;
    uint32_t packed[WORDS];
    void *memory = NULL;
    if (!bias)
        return -EINVAL;
    vj_cuda_net_first_pack(kernel, l->plan->precision, packed);
    int r = take(l, sizeof(packed), &memory);
    if (!r)
        r = VJ_CUDA(cudaMemcpy(memory, packed, sizeof(packed), cudaMemcpyHostToDevice), l->err);
    e->first = static_cast<uint32_t *>(memory);
    return r ? r : upload_single(l, bias, CHANNELS, &e->first_bias);
}

static int load_attention_part(struct loader *l, const char *stream, int layer, const char *part,
                               size_t count, const float **to)
{
    float *memory = NULL;
    const float *from =
        vj_net_tensor(l->from, count, l->err, "%s/conv%d/ch_at/%s", stream, layer + 1, part);
    int r = from ? upload_single(l, from, count, &memory) : -EINVAL;
    *to = memory;
    return r;
}

static int load_attention(struct loader *l, struct vj_cuda_net_extractor *e, const char *stream,
                          int i)
{
    struct vj_cuda_net_attention *a = &e->attention[i];
    const size_t c = (size_t)l->plan->shape.channels[i], hidden = c / 16;
    int r = load_attention_part(l, stream, i, "mlp_0/kernel", c * hidden, &a->kernel_0);
    if (!r)
        r = load_attention_part(l, stream, i, "mlp_0/bias", hidden, &a->bias_0);
    if (!r)
        r = load_attention_part(l, stream, i, "mlp_1/kernel", hidden * c, &a->kernel_1);
    if (!r)
        r = load_attention_part(l, stream, i, "mlp_1/bias", c, &a->bias_1);
    return r;
}

/* What one of theta, phi and value is made of on the host. */
struct projection {
    const char *name;
    const float *kernel, *bias; /* [C][C], [C] */
};

static int find_projection(struct loader *l, const char *stream, struct projection *p)
{
    static const char format[] = "%s/conv4/Non-local4/%s/%s_conv/%s";
    const size_t c = (size_t)l->plan->shape.channels[3];
    p->kernel = vj_net_tensor(l->from, c * c, l->err, format, stream, p->name, p->name, "kernel");
    if (p->kernel)
        p->bias = vj_net_tensor(l->from, c, l->err, format, stream, p->name, p->name, "bias");
    return p->bias ? 0 : -EINVAL;
}

/* Side by side: [C][3 C]. */
static int load_side_by_side(struct loader *l, struct vj_cuda_net_extractor *e,
                             const struct projection *p)
{
    static const char name[] = "theta, phi or g times w";
    const size_t c = (size_t)l->plan->shape.channels[3], width = VJ_CUDA_NET_PROJECTIONS * c;
    float *all = static_cast<float *>(vj_calloc((c + 1) * width, sizeof(float)));
    if (!all)
        return vj_fail(l->err, -ENOMEM, "out of memory for the non-local block");
    for (size_t i = 0; i < VJ_CUDA_NET_PROJECTIONS; i++) {
        for (size_t k = 0; k < c; k++)
            memcpy(all + k * width + i * c, p[i].kernel + k * c, c * sizeof(float));
        memcpy(all + c * width + i * c, p[i].bias, c * sizeof(float));
    }
    int r = upload(l, name, all, c * width, &e->projection[0]);
    if (!r)
        r = upload(l, name, all + c * width, width, &e->projection_bias[0]);
    free(all);
    return r;
}

static int load_one_by_one(struct loader *l, struct vj_cuda_net_extractor *e,
                           const struct projection *p)
{
    const size_t c = (size_t)l->plan->shape.channels[3];
    int r = 0;
    for (int i = 0; i < VJ_CUDA_NET_PROJECTIONS && !r; i++) {
        r = upload(l, p[i].name, p[i].kernel, c * c, &e->projection[i]);
        if (!r)
            r = upload(l, p[i].name, p[i].bias, c, &e->projection_bias[i]);
    }
    return r;
}

static int load_projections(struct loader *l, struct vj_cuda_net_extractor *e, const char *stream)
{
    const size_t c = (size_t)l->plan->shape.channels[3];
    float *folded = static_cast<float *>(vj_calloc(c * c + c, sizeof(float)));
    if (!folded)
        return vj_fail(l->err, -ENOMEM, "out of memory for the non-local block");
    struct projection p[VJ_CUDA_NET_PROJECTIONS] = {
        {"theta", NULL, NULL}, {"phi", NULL, NULL}, {"g times w", folded, folded + c * c}};
    int r = find_projection(l, stream, &p[0]);
    if (!r)
        r = find_projection(l, stream, &p[1]);
    if (!r)
        r = vj_net_fold_value(l->from, stream, folded, folded + c * c, l->err);
    if (!r)
        r = l->plan->non_local ? load_side_by_side(l, e, p) : load_one_by_one(l, e, p);
    free(folded);
    return r;
}

static int load_extractor(struct loader *l, struct vj_cuda_net_extractor *e, const char *stream)
{
    int r = 0;
    for (int i = 0; i < l->plan->layers && !r; i++)
        r = load_conv(l, e, stream, i);
    if (!r && l->plan->first)
        r = load_first(l, e, stream);
    for (int i = 0; i < vj_net_attentions(l->plan->form) && !r; i++)
        r = load_attention(l, e, stream, i);
    return r || !l->plan->form->non_local ? r : load_projections(l, e, stream);
}

/* Two folded matrices side by side: [F][2 * 512]. part: [F][512] for use here. */
static int load_pair(struct loader *l, enum vj_fold_part left, enum vj_fold_part right, float *part,
                     float *pair, void **to)
{
    const enum vj_fold_part parts[2] = {left, right};
    const size_t hidden = VJ_NET_HIDDEN, features = l->plan->features;
    for (size_t side = 0; side < 2; side++) {
        int r = vj_net_fold_head(l->from, parts[side], part, l->err);
        if (r)
            return r;
        for (size_t i = 0; i < features; i++)
            memcpy(pair + (2 * i + side) * hidden, part + i * hidden, hidden * sizeof(float));
    }
    return upload(l, "the heads' first layer", pair, features * 2 * hidden, to);
}

static int load_small(struct loader *l)
{
    static const char *const scopes[2] = {"regressions", "weightings"};
    const size_t hidden = VJ_NET_HIDDEN;
    float bias_1[2 * VJ_NET_HIDDEN], kernel_2[2 * VJ_NET_HIDDEN], bias_2[2];
    float *kernel = NULL, *bias = NULL;
    for (int i = 0; i < 2; i++) {
        const float *b1 = vj_net_tensor(l->from, hidden, l->err, "%s/block1/biases", scopes[i]);
        const float *k2 =
            b1 ? vj_net_tensor(l->from, hidden, l->err, "%s/block2/weights", scopes[i]) : NULL;
        const float *b2 =
            k2 ? vj_net_tensor(l->from, 1, l->err, "%s/block2/biases", scopes[i]) : NULL;
        if (!b2)
            return -EINVAL;
        memcpy(bias_1 + i * hidden, b1, hidden * sizeof(float));
        memcpy(kernel_2 + i * hidden, k2, hidden * sizeof(float));
        bias_2[i] = *b2;
    }
    int r = upload_single(l, bias_1, 2 * hidden, &l->to->hidden_bias);
    if (!r)
        r = upload_single(l, kernel_2, 2 * hidden, &kernel);
    if (!r)
        r = upload_single(l, bias_2, 2, &bias);
    l->to->second = {kernel, bias};
    return r;
}

static int load_heads(struct loader *l)
{
    const size_t count = l->plan->features * VJ_NET_HIDDEN;
    float *part = static_cast<float *>(vj_calloc(3 * count, sizeof(float)));
    if (!part)
        return vj_fail(l->err, -ENOMEM, "out of memory for folding the heads");
    int r = load_pair(l, VJ_FOLD_QUALITY_REFERENCE, VJ_FOLD_WEIGHT_REFERENCE, part, part + count,
                      &l->to->reference);
    if (!r)
        r = load_pair(l, VJ_FOLD_QUALITY_DISTORTED, VJ_FOLD_WEIGHT_DISTORTED, part, part + count,
                      &l->to->distorted);
    if (!r && l->plan->form->jnd)
        r = vj_net_fold_head(l->from, VJ_FOLD_WEIGHT_PRODUCT, part, l->err);
    if (!r && l->plan->form->jnd)
        r = upload(l, "the weight head's first layer", part, count, &l->to->product);
    free(part);
    return r ? r : load_small(l);
}

static size_t largest_tensor(const struct vj_cuda_net_plan *plan)
{
    size_t count = plan->features * 2 * VJ_NET_HIDDEN;
    for (int i = 0; i < plan->layers; i++) {
        const size_t kernel = vj_cuda_net_conv_kernel_floats(&plan->conv[i]);
        count = kernel > count ? kernel : count;
    }
    const size_t c = plan->form->non_local ? vj_net_last_channels(&plan->shape) : 0;
    const size_t projections = VJ_CUDA_NET_PROJECTIONS * c * c;
    return projections > count ? projections : count;
}

int vj_cuda_net_weights_load(struct vj_cuda_net_weights *weights,
                             const struct vj_cuda_net_plan *plan, const struct vj_weights *w,
                             struct vj_error *err)
{
    struct loader l = {weights, plan, w, NULL, NULL, err};
    struct vj_cuda_net_extractor *e = weights->extractor;
    void *staging = NULL, *flag = NULL;
    memset(weights, 0, sizeof(*weights));
    int r = VJ_CUDA(cudaMalloc(&staging, largest_tensor(plan) * sizeof(float)), err);
    if (!r)
        r = VJ_CUDA(cudaMalloc(&flag, sizeof(int)), err);
    l.staging = static_cast<float *>(staging);
    l.flag = static_cast<int *>(flag);
    if (!r)
        r = load_extractor(&l, &e[VJ_CUDA_NET_PICTURE], "extract_feature");
    if (!r && plan->form->jnd_stream)
        r = load_extractor(&l, &e[VJ_CUDA_NET_MAPS], "extract_jnd_feature");
    else
        e[VJ_CUDA_NET_MAPS] = e[VJ_CUDA_NET_PICTURE];
    if (!r)
        r = load_heads(&l);
    if (!r)
        r = VJ_CUDA(cudaDeviceSynchronize(), err);
    cudaFree(staging);
    cudaFree(flag);
    return r;
}

void vj_cuda_net_weights_free(struct vj_cuda_net_weights *weights)
{
    for (int i = 0; i < weights->owned_count; i++)
        cudaFree(weights->owned[i]);
    memset(weights, 0, sizeof(*weights));
}
