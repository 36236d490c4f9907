/* SPDX-License-Identifier: MIT */
/*
 * The program's 3x3 convolutions as graphs of cuDNN's backend, and what its engines say of
 * themselves. Whoever includes this defines graph_failed(), which does not come back.
 */
#ifndef VJ_TESTS_CUDNN_GRAPH_H
#define VJ_TESTS_CUDNN_GRAPH_H

#include <cudnn.h>
#include <stdbool.h>
#include <stdint.h>

#include "cuda/net_plan.h"

static void graph_failed(const char *call, const char *status, const char *why);

typedef cudnnBackendDescriptor_t descriptor;

/* ---- cuDNN's descriptors ---- */

#define OK(call) check((call), #call)

static void check(cudnnStatus_t status, const char *call)
{
    char why[512] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return;
    cudnnGetLastErrorString(why, sizeof(why));
    graph_failed(call, cudnnGetErrorString(status), why);
}

/* True: done; false: the library has no such engine. Anything else is a failure. */
static bool supported(cudnnStatus_t status, const char *call)
{
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED)
        return false;
    check(status, call);
    return true;
}

/* Owner of descriptors, which are destroyed in the order opposite to that of their making. */
struct bag {
    descriptor item[512];
    size_t count;
};

static descriptor make(struct bag *b, cudnnBackendDescriptorType_t type)
{
    if (b->count == sizeof(b->item) / sizeof(b->item[0]))
        graph_failed("make", "too many descriptors", "");
    OK(cudnnBackendCreateDescriptor(type, &b->item[b->count]));
    return b->item[b->count++];
}

static void destroy_down_to(struct bag *b, size_t count)
{
    while (b->count > count)
        OK(cudnnBackendDestroyDescriptor(b->item[--b->count]));
}

static void set(descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t count, const void *value)
{
    OK(cudnnBackendSetAttribute(d, name, type, count, value));
}

static void set_descriptor(descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static descriptor finish(descriptor d)
{
    OK(cudnnBackendFinalize(d));
    return d;
}

static int64_t get_number(descriptor d, cudnnBackendAttributeName_t name)
{
    int64_t count = 0, value = -1;
    OK(cudnnBackendGetAttribute(d, name, CUDNN_TYPE_INT64, 1, &count, &value));
    return value;
}

/* ---- convolutions ---- */

enum kind { FUSED = 0, PLAIN, DATA, FILTER, KINDS };
static const char *const kind_names[KINDS] = {"fused", "plain", "data", "filter"};

struct question {
    char name[32]; /* variant and layer */
    enum kind kind;
    enum vj_cuda_precision precision;
    int64_t rows, side, in, out;
};

/* ---- graphs of operations ---- */

/* By what a plan's tensors are given their memory. SUM and BIASED have none. */
enum tensor_id { X = 1, W, Y, BIAS, SUM, BIASED };

/* NHWC in memory. A virtual tensor lies between the operations of a graph, in single precision. */
static descriptor tensor(struct bag *b, enum tensor_id is, bool half, int64_t n, int64_t c,
                         int64_t side)
{
    const bool virtual = is >= SUM;
    const cudnnDataType_t type = half && !virtual ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
    const int64_t dims[4] = {n, c, side, side};
    const int64_t strides[4] = {side * side * c, 1, side * c, c};
    const int64_t id = is, alignment = 16;
    descriptor d = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &virtual);
    return finish(d);
}

/* 3x3, padded by one, sums in single precision. */
static descriptor geometry(struct bag *b)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t ones[2] = {1, 1}, dims = 2;
    descriptor d = make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, ones);
    set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, ones);
    set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, ones);
    return finish(d);
}

/* x and y stand for their gradients, w for its own, where the operation makes one. */
static descriptor convolution(struct bag *b, enum kind kind, descriptor x, descriptor w,
                              descriptor y)
{
#define OF(what) CUDNN_ATTR_OPERATION_CONVOLUTION_##what
    static const struct {
        cudnnBackendDescriptorType_t type;
        cudnnBackendAttributeName_t geometry, x, w, y, alpha, beta;
    } operation[] = {
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, OF(FORWARD_CONV_DESC),
         OF(FORWARD_X), OF(FORWARD_W), OF(FORWARD_Y), OF(FORWARD_ALPHA), OF(FORWARD_BETA)},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, OF(BWD_DATA_CONV_DESC),
         OF(BWD_DATA_DX), OF(BWD_DATA_W), OF(BWD_DATA_DY), OF(BWD_DATA_ALPHA), OF(BWD_DATA_BETA)},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, OF(BWD_FILTER_CONV_DESC),
         OF(BWD_FILTER_X), OF(BWD_FILTER_DW), OF(BWD_FILTER_DY), OF(BWD_FILTER_ALPHA),
         OF(BWD_FILTER_BETA)},
    };
#undef OF
    const int at = kind == DATA ? 1 : kind == FILTER ? 2 : 0;
    const float one = 1, zero = 0;
    descriptor shape = geometry(b), d = make(b, operation[at].type);
    set_descriptor(d, operation[at].geometry, shape);
    set_descriptor(d, operation[at].x, x);
    set_descriptor(d, operation[at].w, w);
    set_descriptor(d, operation[at].y, y);
    set(d, operation[at].alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(d, operation[at].beta, CUDNN_TYPE_FLOAT, 1, &zero);
    return finish(d);
}

/* y = x + bias, or y = relu(x), which leaves NaN what it is, where bias is NULL. */
static descriptor pointwise(struct bag *b, descriptor x, descriptor bias, descriptor y)
{
    const cudnnPointwiseMode_t mode = bias ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_RELU_FWD;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
    descriptor what = make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(what, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(what, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    if (!bias)
        set(what, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan);
    finish(what);
    descriptor d = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, what);
    set_descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (bias)
        set_descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias);
    set_descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return finish(d);
}

/* handle: of the card that it is to run on; NULL: of none. */
static descriptor graph_of(struct bag *b, const struct question *q, cudnnHandle_t handle)
{
    const bool half = q->precision == VJ_CUDA_FP16;
    descriptor op[3], graph;
    int64_t count = 1;
    descriptor x = tensor(b, X, half, q->rows, q->in, q->side);
    descriptor w = tensor(b, W, half, q->out, q->in, 3);
    descriptor y = tensor(b, Y, half, q->rows, q->out, q->side);
    if (q->kind == FUSED) {
        descriptor sum = tensor(b, SUM, half, q->rows, q->out, q->side);
        descriptor biased = tensor(b, BIASED, half, q->rows, q->out, q->side);
        descriptor bias = tensor(b, BIAS, half, 1, q->out, 1);
        op[0] = convolution(b, q->kind, x, w, sum);
        op[1] = pointwise(b, sum, bias, biased);
        op[2] = pointwise(b, biased, NULL, y);
        count = 3;
    } else {
        op[0] = convolution(b, q->kind, x, w, y);
    }
    graph = make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, op);
    if (handle)
        set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    return finish(graph);
}

/* ---- engines ---- */

struct engine {
    int64_t index, workspace;
    unsigned notes; /* bits 1 << cudnnBackendNumericalNote_t */
};

enum { ADVISED = 64 }; /* configurations, at most */

/*
 * What cuDNN advises for a graph, best first. properties: description of a card, NULL: the card of
 * the graph's handle.
 */
static int64_t advice(struct bag *b, descriptor graph, descriptor properties,
                      descriptor config[ADVISED])
{
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    descriptor d = make(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t count = 0;
    set_descriptor(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    if (properties)
        set_descriptor(d, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties);
    set(d, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finish(d);
    for (int i = 0; i < ADVISED; i++)
        config[i] = make(b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    OK(cudnnBackendGetAttribute(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                ADVISED, &count, config));
    return count < ADVISED ? count : ADVISED;
}

static void read_engine(descriptor d, struct engine *e)
{
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    OK(cudnnBackendGetAttribute(d, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, note));
    e->index = get_number(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
    e->notes = 0;
    for (int64_t i = 0; i < count; i++)
        e->notes |= 1u << note[i];
}

static void read_config(struct bag *b, descriptor config, struct engine *e)
{
    descriptor d = make(b, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t one;
    OK(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                1, &one, &d));
    read_engine(d, e);
}

/* Whether the promises of cuda/net_ops.h are kept; gradients may be computed in any way. */
static bool keeps(const struct question *q, unsigned notes)
{
    const unsigned never = 1u << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS |
                           1u << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION |
                           1u << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    const unsigned no_product =
        1u << CUDNN_NUMERICAL_NOTE_FFT | 1u << CUDNN_NUMERICAL_NOTE_WINOGRAD;
    const bool tensor_cores = notes & 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    if (notes & never || (q->kind <= PLAIN && notes & no_product))
        return false;
    return tensor_cores == (q->precision != VJ_CUDA_FP32);
}

#endif
