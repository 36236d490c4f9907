/* SPDX-License-Identifier: MIT */
#include "cuda/net_conv.h"

#include <cstdio>
#include <cstring>

#include "cuda/check.h"
#include "cuda/net_kernels.h"

int vj_cuda_net_layer_prepare(struct vj_cuda_net_layer *layer, const struct vj_cuda_net_conv *conv,
                              size_t rows, enum vj_cuda_precision precision,
                              const struct vj_cuda_net_handles *handles,
                              const struct vj_cuda_net_conv_memory *m, struct vj_error *err)
{
    memset(layer, 0, sizeof(*layer));
    layer->conv = *conv;
    layer->rows = rows;
    layer->precision = precision;
    if (conv->way == VJ_CUDA_NET_BLOCK)
        return 0;
    if (conv->way == VJ_CUDA_NET_DIRECT) {
        int r = vj_cuda_net_conv_prepare(&layer->direct, conv, rows, precision, err);
        if (!r)
            r = vj_cuda_net_conv_choose(&layer->direct, handles->dnn, m, err);
        layer->workspace = layer->direct.workspace;
        return r;
    }
    const struct vj_cuda_net_matmul product = vj_cuda_net_conv_product(conv);
    int r =
        vj_cuda_net_matmul_prepare(&layer->product, handles->lt, &product, precision, NULL, err);
    layer->workspace =
        vj_cuda_net_conv_inputs(conv) + vj_cuda_net_conv_products(conv) + layer->product.workspace;
    return r;
}

void vj_cuda_net_layer_free(struct vj_cuda_net_layer *layer)
{
    vj_cuda_net_conv_free(&layer->direct);
    vj_cuda_net_matmul_free(&layer->product);
    memset(layer, 0, sizeof(*layer));
}

/* Behind the products of patches first.. */
static int finish_group(const struct vj_cuda_net_conv *c, cudaStream_t stream,
                        const struct vj_cuda_net_conv_memory *m,
                        const struct vj_cuda_net_around *around, const float *products,
                        size_t first, size_t patches, struct vj_error *err)
{
    const size_t out = (size_t)c->out, pixels = (size_t)c->side * (size_t)c->side;
    const size_t tiles = first * (size_t)c->across * (size_t)c->across * out;
    const float *bias = static_cast<const float *>(m->bias);
    float *y = static_cast<float *>(m->y);
    if (!c->pooled)
        return VJ_CUDA(
            vj_cuda_net_tiles_out(c, stream, products, bias, patches, y + first * pixels * out),
            err);
    return VJ_CUDA(vj_cuda_net_tiles_pool(c, stream, products, bias, patches,
                                          y + first * (pixels / 4) * out,
                                          around->sums ? around->sums + tiles : NULL,
                                          around->sums ? around->peaks + tiles : NULL),
                   err);
}

/* Of the last group's matrices a part may be left from the one before: nobody reads its products.
 */
static int run_tiled(const struct vj_cuda_net_layer *layer, cublasLtHandle_t lt,
                     cudaStream_t stream, const struct vj_cuda_net_conv_memory *m,
                     const struct vj_cuda_net_around *around, struct vj_error *err)
{
    const struct vj_cuda_net_conv *c = &layer->conv;
    const size_t in = (size_t)c->in, pixels = (size_t)c->side * (size_t)c->side;
    const float *x = static_cast<const float *>(m->x);
    const float *scale = c->scaled ? around->scale : NULL;
    char *memory = static_cast<char *>(m->workspace);
    float *inputs = reinterpret_cast<float *>(memory);
    float *products = reinterpret_cast<float *>(memory + vj_cuda_net_conv_inputs(c));
    char *rest = memory + vj_cuda_net_conv_inputs(c) + vj_cuda_net_conv_products(c);
    int r = 0;
    for (size_t first = 0; first < layer->rows && !r; first += c->group) {
        const size_t left = layer->rows - first, patches = left < c->group ? left : c->group;
        r = VJ_CUDA(vj_cuda_net_tiles_in(c, stream, x + first * pixels * in,
                                         scale ? scale + first * in : NULL, patches, inputs),
                    err);
        if (!r)
            r = vj_cuda_net_matmul_run(&layer->product, lt, stream, inputs, m->kernel, products,
                                       rest, err);
        if (!r)
            r = finish_group(c, stream, m, around, products, first, patches, err);
    }
    return r;
}

static int run_dense(const struct vj_cuda_net_layer *layer, cublasLtHandle_t lt,
                     cudaStream_t stream, const struct vj_cuda_net_conv_memory *m,
                     struct vj_error *err)
{
    const struct vj_cuda_net_conv *c = &layer->conv;
    int r = vj_cuda_net_matmul_run(&layer->product, lt, stream, m->x, m->kernel, m->y, m->workspace,
                                   err);
    return r ? r
             : VJ_CUDA(vj_cuda_net_bias_relu(VJ_CUDA_FP32, stream, m->y, m->bias, layer->rows * 4,
                                             (size_t)c->out),
                       err);
}

int vj_cuda_net_layer_run(const struct vj_cuda_net_layer *layer,
                          const struct vj_cuda_net_handles *handles, cudaStream_t stream,
                          const struct vj_cuda_net_conv_memory *m,
                          const struct vj_cuda_net_around *around, struct vj_error *err)
{
    switch (layer->conv.way) {
    case VJ_CUDA_NET_TILED:
        return run_tiled(layer, handles->lt, stream, m, around, err);
    case VJ_CUDA_NET_DENSE:
        return run_dense(layer, handles->lt, stream, m, err);
    case VJ_CUDA_NET_BLOCK:
        return VJ_CUDA(vj_cuda_net_block(&layer->conv, layer->precision, stream, layer->rows, m->x,
                                         around->scale, m->kernel, m->bias, m->y, around->sums,
                                         around->peaks, around->flags),
                       err);
    default:
        return vj_cuda_net_conv_run(&layer->direct, handles->dnn, stream, m, err);
    }
}

int vj_cuda_net_layer_describe(const struct vj_cuda_net_layer *layer, char *text, size_t size)
{
    char product[160];
    if (layer->conv.way == VJ_CUDA_NET_DIRECT)
        return vj_cuda_net_conv_describe(&layer->direct, text, size);
    if (layer->conv.way == VJ_CUDA_NET_BLOCK)
        return snprintf(text, size, "%s and its pooling in one kernel\n", layer->conv.name);
    vj_cuda_net_matmul_describe(&layer->product, product, sizeof(product));
    if (layer->conv.way == VJ_CUDA_NET_DENSE)
        return snprintf(text, size, "%s as one product\n%s", layer->conv.name, product);
    return snprintf(text, size,
                    "%s by Winograd's 4x4 tiles, %zu patches at a time, workspace %zu\n%s",
                    layer->conv.name, layer->conv.group, layer->workspace, product);
}
