/* SPDX-License-Identifier: MIT */
#include "cuda/net_plan.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "cuda/net_block_body.h"
#include "host/checked.h"
#include "host/net_fold.h"
#include "host/net_form.h"
#include "host/winograd.h"

static const char *const precision_names[] = {"fp32", "tf32", "fp16"};

const struct vj_cuda_net_form vj_cuda_net_forms[VJ_CUDA_NET_FORMS] = {
    {"IMPLICIT_PRECOMP_GEMM", true, true},
    {"IMPLICIT_PRECOMP_GEMM", true, false},
    {"IMPLICIT_GEMM", false, true},
    {"IMPLICIT_GEMM", false, false},
};

const char *vj_cuda_precision_name(enum vj_cuda_precision precision)
{
    return precision_names[precision];
}

int vj_cuda_precision_parse(enum vj_cuda_precision *precision, const char *name,
                            struct vj_error *err)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(name, precision_names[i]) == 0) {
            *precision = (enum vj_cuda_precision)i;
            return 0;
        }
    return vj_fail(err, -EINVAL, "precision \"%s\" is unknown; known are fp32, tf32 and fp16",
                   name);
}

static size_t round_up(size_t value, size_t step)
{
    return (value + step - 1) / step * step;
}

/*
 * Channels in memory: 16-byte pixels at least, as the tensor cores' and the widest loads need (4
 * floats or 8 halves). All but conv4 of a non-local block make multiples of 16 anyway.
 */
static int pad_channels(size_t channels, size_t element)
{
    return (int)round_up(channels, 16 / element);
}

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t tiles_of(const struct vj_cuda_net_conv *c)
{
    return (size_t)c->across * (size_t)c->across;
}

/* Patches of a group: as few groups as memory allows, or up to twice as many where that leaves less
 * of the last one empty. */
static size_t plan_group(size_t rows, size_t patch_bytes)
{
    const size_t most = VJ_CUDA_NET_TILE_BYTES / patch_bytes;
    const size_t fewest = ceil_div(rows, most ? most : 1);
    size_t best = ceil_div(rows, fewest), empty = best * fewest - rows;
    for (size_t groups = fewest + 1; groups <= 2 * fewest && empty > 0; groups++) {
        const size_t group = ceil_div(rows, groups);
        if (group * groups - rows < empty) {
            best = group;
            empty = group * groups - rows;
        }
    }
    return best;
}

/*
 * Layer i between two attentions, of a shape that the kernel has. Behind another one or the first
 * block only, so that vj_cuda_net_pooled() gives it two places.
 */
static bool is_block(const struct vj_cuda_net_plan *p, int i)
{
    const struct vj_cuda_net_conv *c = &p->conv[i];
    const size_t chunk = VJ_CUDA_BLOCK_WORDS * 4 / p->element;
    return p->precision != VJ_CUDA_FP32 && p->form->convs == 1 && i > 0 &&
           i < vj_net_attentions(p->form) && (i == 1 || p->conv[i - 1].way == VJ_CUDA_NET_BLOCK) &&
           (c->side == 64 || c->side == 32) && (size_t)c->real_in % chunk == 0 &&
           c->real_out % VJ_CUDA_BLOCK_CHANNELS == 0;
}

static void plan_way(struct vj_cuda_net_plan *p, int i)
{
    enum { FEWEST = 16 }; /* channels: not of the patches themselves */
    struct vj_cuda_net_conv *c = &p->conv[i];
    c->group = p->rows;
    if (is_block(p, i)) {
        c->way = VJ_CUDA_NET_BLOCK;
        c->pair = 4 / (int)p->element;
    }
    if (p->precision != VJ_CUDA_FP32 || c->real_in < FEWEST)
        return;
    if (c->side == 2) {
        c->way = VJ_CUDA_NET_DENSE;
    } else if (c->side >= VJ_WINOGRAD_OUT) {
        c->way = VJ_CUDA_NET_TILED;
        c->across = (c->side + VJ_WINOGRAD_OUT - 1) / VJ_WINOGRAD_OUT;
        c->group = plan_group(p->rows, VJ_WINOGRAD_PRODUCTS * tiles_of(c) *
                                           (size_t)(c->in + c->out) * sizeof(float));
    }
}

static int plan_convs(struct vj_cuda_net_plan *p, struct vj_error *err)
{
    for (int i = 0; i < p->layers; i++) {
        struct vj_cuda_net_conv *c = &p->conv[i];
        const struct vj_net_layer layer = vj_net_layer(&p->shape, i);
        c->name = layer.name;
        c->side = (int)layer.side;
        c->real_in = (int)layer.in;
        c->real_out = (int)layer.out;
        c->in = pad_channels((size_t)c->real_in, p->element);
        c->out = pad_channels((size_t)c->real_out, p->element);
        const size_t wide = (size_t)(c->in > c->out ? c->in : c->out);
        const size_t row = (size_t)c->side * (size_t)c->side * wide;
        if (p->rows > INT32_MAX / row)
            return vj_fail(err, -EINVAL,
                           "%zu rows of %s are %zu numbers, beyond cuDNN's 2^31: at most %zu rows",
                           p->rows, c->name, p->rows * row, (size_t)INT32_MAX / row);
        plan_way(p, i);
    }
    return 0;
}

/* Eight pooled pixels per thread: enough loads in flight, enough blocks for a large card. */
static void plan_pool(struct vj_cuda_net_pool_shape *pool, const struct vj_cuda_net_conv *conv,
                      size_t element)
{
    enum { PIXELS_PER_THREAD = 8 };
    pool->side = conv->side;
    pool->channels = conv->out;
    pool->groups = VJ_CUDA_NET_THREADS / (pool->channels * (int)element / 16);
    pool->span = PIXELS_PER_THREAD * pool->groups;
    const int pooled = conv->side / 2 * (conv->side / 2);
    pool->blocks = (pooled + pool->span - 1) / pool->span;
}

/*
 * Partial sums of a head's first layer: long sums are cut into equal pieces, each a product of its
 * own, added up in order afterwards. It fills the card when rows are few, it shortens the chains of
 * additions, and unlike a library's own splitting it does not depend on its version.
 */
static size_t plan_slices(size_t features)
{
    enum { MOST = 8, SHORTEST = 1024, GRAIN = 8 };
    for (size_t s = MOST; s > 1; s /= 2)
        if (features % (s * GRAIN) == 0 && features / s >= SHORTEST)
            return s;
    return 1;
}

static void plan_non_local(struct vj_cuda_net_plan *p)
{
    const size_t n = p->positions, c = (size_t)p->shape.channels[3], rows = p->rows;
    const bool transpose = p->shape.non_local == VJ_NON_LOCAL_TRANSPOSE;
    const size_t projected = p->non_local ? VJ_CUDA_NET_PROJECTIONS * c : c;
    p->product[VJ_CUDA_NET_PROJECTION] = (struct vj_cuda_net_matmul){
        .name = "projection",
        .m = rows * n,
        .n = projected,
        .k = c,
        .ld_a = (size_t)p->conv[3].out,
        .ld_b = projected,
        .ld_d = projected,
        .batch = 1,
        .bias = true,
    };
    if (p->non_local)
        return;
    /* Reshape: the [N][C] memory of phi is read as [C][N], as the released graph does. */
    p->product[VJ_CUDA_NET_AFFINITY] = (struct vj_cuda_net_matmul){
        .name = "affinity",
        .m = n,
        .n = n,
        .k = c,
        .ld_a = c,
        .ld_b = transpose ? c : n,
        .ld_d = n,
        .batch = rows,
        .stride_a = n * c,
        .stride_b = n * c,
        .stride_d = n * n,
        .b_transposed = transpose,
        .single_out = true,
    };
    p->product[VJ_CUDA_NET_ATTEND] = (struct vj_cuda_net_matmul){
        .name = "attend",
        .m = n,
        .n = c,
        .k = n,
        .ld_a = n,
        .ld_b = c,
        .ld_d = c,
        .batch = rows,
        .stride_a = n * n,
        .stride_b = n * c,
        .stride_d = n * c,
    };
}

static void plan_heads(struct vj_cuda_net_plan *p)
{
    const size_t k = p->features / p->slices, rows = p->rows;
    struct vj_cuda_net_matmul head = {
        .m = rows,
        .k = k,
        .ld_a = p->features,
        .batch = p->slices,
        .stride_a = k,
        .single_out = true,
    };
    for (int i = 0; i < 1 + p->form->jnd; i++) {
        head.name = i ? "head_product" : "head_pair";
        head.n = head.ld_b = head.ld_d = i ? VJ_NET_HIDDEN : 2 * VJ_NET_HIDDEN;
        head.stride_b = k * head.n;
        head.stride_d = rows * head.n;
        p->product[i ? VJ_CUDA_NET_HEAD_PRODUCT : VJ_CUDA_NET_HEAD_PAIR] = head;
    }
}

static bool is_one_kernel(const struct vj_cuda_net_plan *p)
{
    return p->form->attention && p->form->convs == 1 &&
           p->conv[0].real_out == VJ_CUDA_FIRST_CHANNELS &&
           p->conv[0].side % VJ_CUDA_FIRST_ROWS == 0 && p->conv[0].side <= VJ_CUDA_FIRST_MOST_SIDE;
}

/* In single precision arithmetic holds its products back, elsewhere what they write and read. */
static bool is_one_non_local_kernel(const struct vj_cuda_net_plan *p)
{
    const size_t n = VJ_CUDA_NON_LOCAL_N;
    return p->precision != VJ_CUDA_FP32 && p->positions == n && (size_t)p->conv[3].real_out == n &&
           p->shape.non_local == VJ_NON_LOCAL_RESHAPE;
}

/* Parts of a patch that a pooling convolution has sums of. */
static int parts_of(const struct vj_cuda_net_conv *c)
{
    return c->way == VJ_CUDA_NET_BLOCK ? c->side * c->side / VJ_CUDA_BLOCK_PIXELS
                                       : (int)tiles_of(c);
}

static bool does_what_lies_around(const struct vj_cuda_net_conv *c)
{
    return c->way == VJ_CUDA_NET_TILED || c->way == VJ_CUDA_NET_BLOCK;
}

/* Some convolutions do what lies around them while they have the numbers in registers. */
static void plan_around(struct vj_cuda_net_plan *p)
{
    for (int b = 0; b < p->form->blocks; b++) {
        const int end = vj_net_block_end(p->form, b);
        struct vj_cuda_net_conv *c = &p->conv[end];
        if (!does_what_lies_around(c) || (p->form->non_local && b == p->form->blocks - 1))
            continue;
        c->pooled = true;
        if (b < vj_net_attentions(p->form))
            p->pool[b].blocks = parts_of(c);
    }
    for (int b = 0; b < vj_net_attentions(p->form); b++) {
        struct vj_cuda_net_conv *behind = &p->conv[vj_net_block_end(p->form, b) + 1];
        behind->scaled = does_what_lies_around(behind);
    }
}

int vj_cuda_net_plan_make(struct vj_cuda_net_plan *plan, const struct vj_net_shape *shape,
                          size_t rows, enum vj_cuda_precision precision, struct vj_error *err)
{
    memset(plan, 0, sizeof(*plan));
    int r = vj_net_shape_check(shape, err);
    if (r)
        return r;
    if (rows < 1 || rows > VJ_CUDA_NET_MAX_ROWS)
        return vj_fail(err, -EINVAL, "rows is %zu, must be 1 to %d", rows, VJ_CUDA_NET_MAX_ROWS);
    if ((unsigned)precision > VJ_CUDA_FP16)
        return vj_fail(err, -EINVAL, "precision %d is unknown", (int)precision);
    const struct vj_net_form *form = vj_net_form(shape->variant);
    plan->shape = *shape;
    plan->form = form;
    plan->precision = precision;
    plan->rows = rows;
    plan->element = precision == VJ_CUDA_FP16 ? 2 : 4;
    const size_t side = vj_net_side(shape, form->blocks - 1);
    plan->positions = form->non_local ? side * side : 0;
    plan->last = (side / 2) * (side / 2);
    plan->layers = vj_net_layers(shape);
    plan->features = vj_net_features(shape);
    plan->slices = plan_slices(plan->features);
    r = plan_convs(plan, err);
    if (r)
        return r;
    for (int i = 0; i < vj_net_attentions(form); i++)
        plan_pool(&plan->pool[i], &plan->conv[vj_net_block_end(form, i)], plan->element);
    plan->first = is_one_kernel(plan);
    if (plan->first)
        plan->pool[0].blocks = shape->patch_size / VJ_CUDA_FIRST_ROWS;
    plan_around(plan);
    plan->non_local = form->non_local && is_one_non_local_kernel(plan);
    if (form->non_local)
        plan_non_local(plan);
    plan_heads(plan);
    return 0;
}

enum vj_cuda_net_buffer vj_cuda_net_pooled(const struct vj_cuda_net_plan *plan, int block)
{
    if (block == plan->form->blocks - 1)
        return VJ_CUDA_NET_LAST;
    return plan->form->convs == 1 && block % 2 && plan->conv[block].pooled ? VJ_CUDA_NET_OTHER
                                                                           : VJ_CUDA_NET_POOLED;
}

void vj_cuda_net_plan_every_map(struct vj_cuda_net_plan *plan)
{
    plan->first = false;
    for (int i = 0; i < plan->layers; i++) {
        struct vj_cuda_net_conv *c = &plan->conv[i];
        c->way = VJ_CUDA_NET_DIRECT;
        c->across = 0;
        c->group = plan->rows;
        c->scaled = c->pooled = false;
    }
    for (int i = 0; i < vj_net_attentions(plan->form); i++)
        plan_pool(&plan->pool[i], &plan->conv[vj_net_block_end(plan->form, i)], plan->element);
}

size_t vj_cuda_net_pictures(size_t most)
{
    enum { CANDIDATES = 100 };
    size_t n = most < CANDIDATES ? most : CANDIDATES;
    while (CANDIDATES % n)
        n--;
    return n;
}

size_t vj_cuda_net_rows(const struct vj_net_shape *shape, size_t rows, size_t patches)
{
    const size_t side = (size_t)shape->patch_size, most = VJ_CUDA_NET_MAX_ROWS / rows;
    const size_t wanted = 64 * 64 / (side * side), times = wanted < most ? wanted : most;
    if (times <= 1)
        return rows;
    const size_t all = rows * times;
    return all % patches ? all : vj_cuda_net_pictures(all / patches) * patches;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Bytes of each buffer; rows, channels and sides are bounded, references and patches are not. */
static int measure(const struct vj_cuda_net_plan *p, size_t references, size_t max_patches,
                   size_t workspace, size_t bytes[VJ_CUDA_NET_BUFFERS], struct vj_error *err)
{
    const size_t e = p->element, f = sizeof(float), rows = p->rows, n = p->positions;
    const size_t c = vj_net_last_channels(&p->shape);
    const int blocks = p->form->blocks, ends = p->form->non_local ? blocks - 1 : blocks;
    size_t map = 0, between = 0, pooled[2] = {0, 0}, partial = 0, scale = 0;
    for (int i = 0; i < ends; i++) {
        const struct vj_cuda_net_conv *conv = &p->conv[vj_net_block_end(p->form, i)];
        const size_t side = (size_t)conv->side, out = (size_t)conv->out;
        const enum vj_cuda_net_buffer to = vj_cuda_net_pooled(p, i);
        between = larger(between, side * side * out);
        if ((i > 0 || !p->first) && !conv->pooled)
            map = larger(map, side * side * out);
        if (to != VJ_CUDA_NET_LAST)
            pooled[to == VJ_CUDA_NET_OTHER] =
                larger(pooled[to == VJ_CUDA_NET_OTHER], side / 2 * (side / 2) * out);
    }
    for (int i = 0; i < vj_net_attentions(p->form); i++) {
        const size_t out = (size_t)p->pool[i].channels;
        partial = larger(partial, (size_t)p->pool[i].blocks * out);
        scale = larger(scale, out);
    }
    const size_t side = (size_t)p->shape.patch_size, hidden = VJ_NET_HIDDEN;
    bytes[VJ_CUDA_NET_INPUT] = p->first ? 0 : rows * side * side * (size_t)p->conv[0].in * e;
    bytes[VJ_CUDA_NET_BETWEEN] = p->form->convs > 1 ? rows * between * e : 0;
    bytes[VJ_CUDA_NET_MAP] = rows * map * e;
    bytes[VJ_CUDA_NET_POOLED] = rows * pooled[0] * e;
    bytes[VJ_CUDA_NET_OTHER] = rows * pooled[1] * e;
    bytes[VJ_CUDA_NET_SUMS] = bytes[VJ_CUDA_NET_PEAKS] = rows * partial * f;
    bytes[VJ_CUDA_NET_SCALE] = rows * scale * f;
    bytes[VJ_CUDA_NET_TOKENS] = rows * n * (size_t)p->conv[p->layers - 1].out * e;
    if (p->non_local) {
        bytes[VJ_CUDA_NET_PROJECTED] = VJ_CUDA_NET_PROJECTIONS * rows * n * c * e;
    } else {
        bytes[VJ_CUDA_NET_THETA] = bytes[VJ_CUDA_NET_PHI] = bytes[VJ_CUDA_NET_VALUE] =
            bytes[VJ_CUDA_NET_ATTENDED] = rows * n * c * e;
        bytes[VJ_CUDA_NET_SCORES] = rows * n * n * f;
        bytes[VJ_CUDA_NET_CHANCES] = rows * n * n * e;
    }
    bytes[VJ_CUDA_NET_LAST] = rows * p->last * c * e;
    bytes[VJ_CUDA_NET_FEATURES] = rows * p->features * e;
    bytes[VJ_CUDA_NET_PAIR] = p->slices * rows * 2 * hidden * f;
    if (p->form->jnd) {
        bytes[VJ_CUDA_NET_TIMES] = bytes[VJ_CUDA_NET_FEATURES];
        bytes[VJ_CUDA_NET_PRODUCT] = p->slices * rows * hidden * f;
    }
    bytes[VJ_CUDA_NET_FLAGS] = rows * sizeof(int);
    bytes[VJ_CUDA_NET_WORKSPACE] = workspace;
    size_t patches;
    if (!vj_size_mul(references, max_patches, &patches) ||
        !vj_size_mul(patches, 2 * hidden * f, &bytes[VJ_CUDA_NET_CONSTANT]) ||
        !vj_size_mul(patches, p->form->jnd ? p->features * e : 0, &bytes[VJ_CUDA_NET_JND]))
        return vj_fail(err, -EOVERFLOW, "%zu references of %zu patches do not fit in memory",
                       references, max_patches);
    return 0;
}

static void set_life(struct vj_cuda_net_place *place, enum vj_cuda_net_step first,
                     enum vj_cuda_net_step last)
{
    place->first = first;
    place->last = last;
}

static void lives(struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS])
{
    for (int i = 0; i < VJ_CUDA_NET_BUFFERS; i++)
        set_life(&place[i], VJ_CUDA_NET_STEP_INPUT, VJ_CUDA_NET_STEP_ALWAYS);
    set_life(&place[VJ_CUDA_NET_INPUT], VJ_CUDA_NET_STEP_INPUT, VJ_CUDA_NET_STEP_BLOCKS);
    set_life(&place[VJ_CUDA_NET_BETWEEN], VJ_CUDA_NET_STEP_BLOCKS, VJ_CUDA_NET_STEP_BLOCKS);
    set_life(&place[VJ_CUDA_NET_MAP], VJ_CUDA_NET_STEP_BLOCKS, VJ_CUDA_NET_STEP_BLOCKS);
    set_life(&place[VJ_CUDA_NET_OTHER], VJ_CUDA_NET_STEP_BLOCKS, VJ_CUDA_NET_STEP_BLOCKS);
    set_life(&place[VJ_CUDA_NET_SUMS], VJ_CUDA_NET_STEP_BLOCKS, VJ_CUDA_NET_STEP_BLOCKS);
    set_life(&place[VJ_CUDA_NET_PEAKS], VJ_CUDA_NET_STEP_BLOCKS, VJ_CUDA_NET_STEP_BLOCKS);
    set_life(&place[VJ_CUDA_NET_TOKENS], VJ_CUDA_NET_STEP_CONV4, VJ_CUDA_NET_STEP_JOIN);
    set_life(&place[VJ_CUDA_NET_PROJECTED], VJ_CUDA_NET_STEP_PROJECT, VJ_CUDA_NET_STEP_JOIN);
    set_life(&place[VJ_CUDA_NET_THETA], VJ_CUDA_NET_STEP_PROJECT, VJ_CUDA_NET_STEP_AFFINITY);
    set_life(&place[VJ_CUDA_NET_PHI], VJ_CUDA_NET_STEP_PROJECT, VJ_CUDA_NET_STEP_AFFINITY);
    set_life(&place[VJ_CUDA_NET_VALUE], VJ_CUDA_NET_STEP_PROJECT, VJ_CUDA_NET_STEP_ATTEND);
    set_life(&place[VJ_CUDA_NET_SCORES], VJ_CUDA_NET_STEP_AFFINITY, VJ_CUDA_NET_STEP_SOFTMAX);
    set_life(&place[VJ_CUDA_NET_CHANCES], VJ_CUDA_NET_STEP_SOFTMAX, VJ_CUDA_NET_STEP_ATTEND);
    set_life(&place[VJ_CUDA_NET_ATTENDED], VJ_CUDA_NET_STEP_ATTEND, VJ_CUDA_NET_STEP_JOIN);
    set_life(&place[VJ_CUDA_NET_LAST], VJ_CUDA_NET_STEP_JOIN, VJ_CUDA_NET_STEP_HEADS);
}

/* Puts a buffer at *offset and moves *offset behind it. */
static bool put(struct vj_cuda_net_place *place, size_t bytes, size_t *offset)
{
    size_t end;
    place->offset = *offset;
    place->bytes = bytes;
    if (!vj_size_add(*offset, bytes, &end) || end > SIZE_MAX - VJ_CUDA_NET_ALIGNMENT)
        return false;
    *offset = round_up(end, VJ_CUDA_NET_ALIGNMENT);
    return true;
}

/*
 * The largest buffers, input, maps and their sums, are of no use from conv4 of a non-local block
 * on: what it and the block write lies in the same memory.
 */
int vj_cuda_net_plan_places(const struct vj_cuda_net_plan *plan, size_t references,
                            size_t max_patches, size_t workspace,
                            struct vj_cuda_net_place place[VJ_CUDA_NET_BUFFERS], size_t *total,
                            struct vj_error *err)
{
    static const enum vj_cuda_net_buffer early[] = {VJ_CUDA_NET_INPUT, VJ_CUDA_NET_BETWEEN,
                                                    VJ_CUDA_NET_MAP,   VJ_CUDA_NET_OTHER,
                                                    VJ_CUDA_NET_SUMS,  VJ_CUDA_NET_PEAKS};
    static const enum vj_cuda_net_buffer late[] = {
        VJ_CUDA_NET_TOKENS, VJ_CUDA_NET_PROJECTED, VJ_CUDA_NET_THETA,   VJ_CUDA_NET_PHI,
        VJ_CUDA_NET_VALUE,  VJ_CUDA_NET_SCORES,    VJ_CUDA_NET_CHANCES, VJ_CUDA_NET_ATTENDED};
    static const enum vj_cuda_net_buffer own[] = {
        VJ_CUDA_NET_POOLED, VJ_CUDA_NET_SCALE,    VJ_CUDA_NET_LAST,     VJ_CUDA_NET_FEATURES,
        VJ_CUDA_NET_TIMES,  VJ_CUDA_NET_PAIR,     VJ_CUDA_NET_PRODUCT,  VJ_CUDA_NET_FLAGS,
        VJ_CUDA_NET_JND,    VJ_CUDA_NET_CONSTANT, VJ_CUDA_NET_WORKSPACE};
    size_t bytes[VJ_CUDA_NET_BUFFERS] = {0};
    if (references < 1 || max_patches < 1)
        return vj_fail(err, -EINVAL, "%zu references of %zu patches: both must be at least 1",
                       references, max_patches);
    int r = measure(plan, references, max_patches, workspace, bytes, err);
    if (r)
        return r;
    memset(place, 0, VJ_CUDA_NET_BUFFERS * sizeof(*place));
    lives(place);
    const bool in_place = plan->precision != VJ_CUDA_FP16;
    const bool flat = !plan->form->statistics;
    size_t first = 0, second = 0;
    bool fits = true;
    for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
        fits = fits && put(&place[early[i]], bytes[early[i]], &first);
    for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++)
        if (!(late[i] == VJ_CUDA_NET_CHANCES && in_place))
            fits = fits && put(&place[late[i]], bytes[late[i]], &second);
    size_t end = larger(first, second);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (!(own[i] == VJ_CUDA_NET_LAST && flat))
            fits = fits && put(&place[own[i]], bytes[own[i]], &end);
    if (!fits)
        return vj_fail(err, -EOVERFLOW, "%zu references of %zu patches do not fit in memory",
                       references, max_patches);
    if (in_place) {
        place[VJ_CUDA_NET_CHANCES].offset = place[VJ_CUDA_NET_SCORES].offset;
        place[VJ_CUDA_NET_CHANCES].bytes = bytes[VJ_CUDA_NET_CHANCES];
    }
    if (flat) {
        place[VJ_CUDA_NET_LAST].offset = place[VJ_CUDA_NET_FEATURES].offset;
        place[VJ_CUDA_NET_LAST].bytes = bytes[VJ_CUDA_NET_LAST];
    }
    *total = end;
    return 0;
}

void vj_cuda_net_matmul_by_columns(const struct vj_cuda_net_matmul *rows,
                                   struct vj_cuda_net_column_matmul *out)
{
    /* [r][c] by rows with ld is, unmoved, [c][r] by columns with the same ld. */
    out->m = rows->n;
    out->n = rows->m;
    out->k = rows->k;
    out->a_transposed = rows->b_transposed;
    out->a.rows = rows->b_transposed ? rows->k : rows->n;
    out->a.cols = rows->b_transposed ? rows->n : rows->k;
    out->a.ld = rows->ld_b;
    out->a.stride = rows->stride_b;
    out->b_transposed = rows->a_transposed;
    out->b.rows = rows->a_transposed ? rows->m : rows->k;
    out->b.cols = rows->a_transposed ? rows->k : rows->m;
    out->b.ld = rows->ld_a;
    out->b.stride = rows->stride_a;
    out->d = (struct vj_cuda_net_columns){rows->n, rows->m, rows->ld_d, rows->stride_d};
}

size_t vj_cuda_net_row_alignment(size_t ld_bytes, size_t stride_bytes)
{
    const size_t all = ld_bytes | stride_bytes | VJ_CUDA_NET_ALIGNMENT;
    return all & (~all + 1);
}

unsigned vj_cuda_net_blocks(size_t n)
{
    const size_t blocks = (n + VJ_CUDA_NET_THREADS - 1) / VJ_CUDA_NET_THREADS;
    return blocks ? (unsigned)blocks : 1;
}

double vj_cuda_net_conv_macs(const struct vj_cuda_net_conv *conv)
{
    return 9.0 * conv->side * conv->side * conv->real_in * conv->real_out;
}

double vj_cuda_net_conv_made(const struct vj_cuda_net_conv *conv)
{
    const double pairs = (double)conv->real_in * conv->real_out;
    switch (conv->way) {
    case VJ_CUDA_NET_TILED:
        return (double)(VJ_WINOGRAD_PRODUCTS * tiles_of(conv)) * pairs;
    case VJ_CUDA_NET_DENSE:
        return 16 * pairs;
    default:
        return vj_cuda_net_conv_macs(conv);
    }
}

double vj_cuda_net_conv_bytes(const struct vj_cuda_net_conv *conv, size_t element)
{
    const double pixels = (double)conv->side * conv->side;
    const double tiles = conv->way == VJ_CUDA_NET_TILED ? (double)tiles_of(conv) : 0;
    const double in = pixels * conv->in, out = (conv->pooled ? pixels / 4 : pixels) * conv->out;
    /* Transformed inputs and products are written and read. */
    return (in + out + 2 * VJ_WINOGRAD_PRODUCTS * tiles * (conv->in + conv->out)) * (double)element;
}

double vj_cuda_net_head_macs(const struct vj_cuda_net_plan *plan)
{
    const double parts = plan->form->jnd ? 3 : 2; /* f_d of both heads, f_d * f_j of one */
    return parts * (double)plan->features * VJ_NET_HIDDEN + 2.0 * VJ_NET_HIDDEN;
}

double vj_cuda_net_macs(const struct vj_cuda_net_plan *plan)
{
    const double n = (double)plan->positions, c = (double)vj_net_last_channels(&plan->shape);
    double macs = 3 * n * c * c + 2 * n * n * c; /* projections; affinity and attend */
    for (int i = 0; i < plan->layers; i++)
        macs += vj_cuda_net_conv_macs(&plan->conv[i]);
    for (int i = 0; i < vj_net_attentions(plan->form); i++) /* two inputs: c -> c/16 -> c */
        macs += 4.0 * plan->shape.channels[i] * (plan->shape.channels[i] / 16);
    return macs + vj_cuda_net_head_macs(plan);
}

struct vj_cuda_net_matmul vj_cuda_net_conv_product(const struct vj_cuda_net_conv *conv)
{
    const bool tiled = conv->way == VJ_CUDA_NET_TILED;
    const size_t pixels = tiled ? 1 : 4; /* of a row of the matrices */
    const size_t m = conv->group * (tiled ? tiles_of(conv) : 1);
    const size_t in = pixels * (size_t)conv->in, out = pixels * (size_t)conv->out;
    return (struct vj_cuda_net_matmul){
        .name = conv->name,
        .m = m,
        .n = out,
        .k = in,
        .ld_a = in,
        .ld_b = out,
        .ld_d = out,
        .batch = tiled ? VJ_WINOGRAD_PRODUCTS : 1,
        .stride_a = m * in,
        .stride_b = in * out,
        .stride_d = m * out,
    };
}

static size_t tile_bytes(const struct vj_cuda_net_conv *conv, int channels)
{
    if (conv->way != VJ_CUDA_NET_TILED)
        return 0;
    return round_up(VJ_WINOGRAD_PRODUCTS * conv->group * tiles_of(conv) * (size_t)channels *
                        sizeof(float),
                    VJ_CUDA_NET_ALIGNMENT);
}

size_t vj_cuda_net_conv_inputs(const struct vj_cuda_net_conv *conv)
{
    return tile_bytes(conv, conv->in);
}

size_t vj_cuda_net_conv_products(const struct vj_cuda_net_conv *conv)
{
    return tile_bytes(conv, conv->out);
}

static void direct_kernel(const struct vj_cuda_net_conv *conv, const float *hwio, float *krsc)
{
    const size_t in = (size_t)conv->in, real_in = (size_t)conv->real_in;
    const size_t real_out = (size_t)conv->real_out;
    for (size_t o = 0; o < real_out; o++)
        for (size_t tap = 0; tap < 9; tap++)
            for (size_t i = 0; i < real_in; i++)
                krsc[(o * 9 + tap) * in + i] = hwio[(tap * real_in + i) * real_out + o];
}

static void tiled_kernel(const struct vj_cuda_net_conv *conv, const float *hwio, float *to)
{
    const size_t out = (size_t)conv->out, real_in = (size_t)conv->real_in;
    const size_t real_out = (size_t)conv->real_out;
    for (size_t i = 0; i < real_in; i++)
        for (size_t o = 0; o < real_out; o++)
            vj_winograd_kernel(hwio + i * real_out + o, real_in * real_out, to + i * out + o,
                               (size_t)conv->in * out);
}

static void dense_kernel(const struct vj_cuda_net_conv *conv, const float *hwio, float *to)
{
    const size_t in = (size_t)conv->in, out = (size_t)conv->out;
    const size_t real_in = (size_t)conv->real_in, real_out = (size_t)conv->real_out;
    for (size_t p = 0; p < 16; p++) {
        const size_t from = p / 4, of = p % 4; /* pixels */
        const size_t tap = (from / 2 + 1 - of / 2) * 3 + (from % 2 + 1 - of % 2);
        for (size_t i = 0; i < real_in; i++)
            for (size_t o = 0; o < real_out; o++)
                to[((from * in + i) * 4 + of) * out + o] = hwio[(tap * real_in + i) * real_out + o];
    }
}

static void block_kernel(const struct vj_cuda_net_conv *conv, const float *hwio, float *to)
{
    const int pair = conv->pair, chunk = VJ_CUDA_BLOCK_WORDS * pair, chunks = conv->in / chunk;
    for (int tap = 0; tap < VJ_CUDA_FIRST_TAPS; tap++)
        for (int i = 0; i < conv->in; i++)
            for (int o = 0; o < conv->out; o++) {
                /* Channel 16 (c / 2) + 2 n + c % 2, word 8 s + member + 4 r. */
                const int own = o % VJ_CUDA_BLOCK_CHANNELS, word = i % chunk / pair;
                const int n = own % VJ_CUDA_BLOCK_OWN / 2;
                const int column = own / VJ_CUDA_BLOCK_OWN * 2 + own % 2;
                const int lane = column * 4 + word % 4, r = word % 8 / 4;
                const size_t operand = vj_cuda_block_operand(chunks, o / VJ_CUDA_BLOCK_CHANNELS,
                                                             i / chunk, tap, word / 8, n, lane);
                const float v = hwio[(tap * conv->in + i) * conv->out + o];
                float *at = &to[(operand * 2 + (size_t)r) * (size_t)pair + (size_t)(i % pair)];
                const uint32_t bits = vj_cuda_first_tf32(v);
                memcpy(at, pair == 1 ? (const void *)&bits : (const void *)&v, sizeof(v));
            }
}

size_t vj_cuda_net_conv_kernel_floats(const struct vj_cuda_net_conv *conv)
{
    static const size_t taps[] = {[VJ_CUDA_NET_DIRECT] = 9,
                                  [VJ_CUDA_NET_TILED] = VJ_WINOGRAD_PRODUCTS,
                                  [VJ_CUDA_NET_DENSE] = 16,
                                  [VJ_CUDA_NET_BLOCK] = 9};
    return taps[conv->way] * (size_t)conv->in * (size_t)conv->out;
}

void vj_cuda_net_conv_kernel(const struct vj_cuda_net_conv *conv, const float *hwio, float *kernel)
{
    memset(kernel, 0, vj_cuda_net_conv_kernel_floats(conv) * sizeof(float));
    switch (conv->way) {
    case VJ_CUDA_NET_TILED:
        tiled_kernel(conv, hwio, kernel);
        break;
    case VJ_CUDA_NET_DENSE:
        dense_kernel(conv, hwio, kernel);
        break;
    case VJ_CUDA_NET_BLOCK:
        block_kernel(conv, hwio, kernel);
        break;
    default:
        direct_kernel(conv, hwio, kernel);
    }
}

/* One word of a lane's operands in step s: a number in single precision, or two halves. */
static void pack_word(const float *hwio, bool half, int s, int channel, int member, int r,
                      uint32_t *to)
{
    const int pair = half ? 2 : 1;
    for (int i = 0; i < pair; i++) {
        const int k = pair * (8 * s + member + 4 * r) + i, tap = k / 4, c = k % 4;
        if (tap < VJ_CUDA_FIRST_TAPS && c < 3)
            vj_cuda_first_store(to, i, hwio[(tap * 3 + c) * VJ_CUDA_FIRST_CHANNELS + channel],
                                half);
    }
}

void vj_cuda_net_first_pack(const float *hwio, enum vj_cuda_precision precision, uint32_t *packed)
{
    const bool half = precision == VJ_CUDA_FP16;
    const int words = vj_cuda_first_steps(half) * VJ_CUDA_FIRST_PRODUCTS * 32 * 2;
    memset(packed, 0, VJ_CUDA_FIRST_WORDS * sizeof(*packed));
    if (precision == VJ_CUDA_FP32) {
        memcpy(packed, hwio, VJ_CUDA_FIRST_TAPS * 3 * VJ_CUDA_FIRST_CHANNELS * sizeof(*packed));
        return;
    }
    for (int w = 0; w < words; w++) {
        const int r = w % 2, lane = w / 2 % 32, product = w / 64 % VJ_CUDA_FIRST_PRODUCTS;
        pack_word(hwio, half, w / 64 / VJ_CUDA_FIRST_PRODUCTS,
                  vj_cuda_first_channel(product, lane / 4), lane % 4, r, &packed[w]);
    }
}
