/* SPDX-License-Identifier: MIT */
#include "cuda/train_plan.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/net_fold.h"

static size_t round_up(size_t value, size_t step)
{
    return (value + step - 1) / step * step;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t vj_cuda_train_step_over(size_t count)
{
    return round_up(count, VJ_CUDA_TRAIN_ALIGNMENT);
}

/* ---- tensors ---- */

/* Looks tensors up one after the other; the first that is missing ends it. */
struct finder {
    const struct vj_weights *w;
    struct vj_error *err;
    int failed;
};

static size_t find(struct finder *f, size_t count, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t find(struct finder *f, size_t count, const char *format, ...)
{
    char name[sizeof(f->w->tensors->name)];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    if (f->failed)
        return 0;
    if (!vj_net_tensor(f->w, count, f->err, "%s", name)) {
        f->failed = -EINVAL;
        return 0;
    }
    size_t offset = 0;
    for (size_t i = 0; strcmp(f->w->tensors[i].name, name) != 0; i++)
        offset += vj_cuda_train_step_over(f->w->tensors[i].count);
    return offset;
}

static void find_projection(struct finder *f, const char *scope, const char *part, size_t c,
                            size_t *kernel, size_t *bias)
{
    static const char format[] = "%s/conv4/Non-local4/%s/%s_conv/%s";
    *kernel = find(f, c * c, format, scope, part, part, "kernel");
    *bias = find(f, c, format, scope, part, part, "bias");
}

static void find_stream(struct finder *f, const struct vj_cuda_net_plan *net, const char *scope,
                        struct vj_cuda_train_stream *s)
{
    static const char *const parts[4] = {"mlp_0/kernel", "mlp_0/bias", "mlp_1/kernel",
                                         "mlp_1/bias"};
    for (int i = 0; i < net->layers; i++) {
        const struct vj_cuda_net_conv *c = &net->conv[i];
        s->kernel[i] =
            find(f, 9 * (size_t)c->real_in * (size_t)c->real_out, "%s/%s/weights", scope, c->name);
        s->bias[i] = find(f, (size_t)c->real_out, "%s/%s/biases", scope, c->name);
    }
    for (int i = 0; i < vj_net_attentions(net->form); i++) {
        const size_t c = (size_t)net->shape.channels[i], units = c / 16;
        const size_t count[4] = {c * units, units, units * c, c};
        for (int k = 0; k < 4; k++)
            s->attention[i][k] = find(f, count[k], "%s/conv%d/ch_at/%s", scope, i + 1, parts[k]);
    }
    if (!net->form->non_local)
        return;
    const size_t c = vj_net_last_channels(&net->shape);
    find_projection(f, scope, "theta", c, &s->theta, &s->theta_bias);
    find_projection(f, scope, "phi", c, &s->phi, &s->phi_bias);
    find_projection(f, scope, "g", c, &s->g, &s->g_bias);
    find_projection(f, scope, "w", c, &s->w, &s->w_bias);
}

static int plan_tensors(struct vj_cuda_train_plan *p, const struct vj_weights *w,
                        struct vj_error *err)
{
    static const char *const heads[2] = {"regressions", "weightings"};
    struct vj_cuda_train_tensors *t = &p->tensors;
    struct finder f = {w, err, 0};
    find_stream(&f, &p->net, "extract_feature", &t->stream[0]);
    if (p->net.form->jnd_stream)
        find_stream(&f, &p->net, "extract_jnd_feature", &t->stream[1]);
    else
        t->stream[1] = t->stream[0];
    for (int i = 0; i < 2; i++) {
        struct vj_cuda_train_head *h = &t->head[i];
        h->kernel_1 =
            find(&f, vj_net_head_inputs(&w->shape) * VJ_NET_HIDDEN, "%s/block1/weights", heads[i]);
        h->bias_1 = find(&f, VJ_NET_HIDDEN, "%s/block1/biases", heads[i]);
        h->kernel_2 = find(&f, VJ_NET_HIDDEN, "%s/block2/weights", heads[i]);
        h->bias_2 = find(&f, 1, "%s/block2/biases", heads[i]);
    }
    t->count = w->count;
    for (size_t i = 0; i < w->count; i++)
        t->total += vj_cuda_train_step_over(w->tensors[i].count);
    return f.failed;
}

/* ---- products of the way back ---- */

/* The block: y = chances value, chances = softmax(theta phi), each patch by itself. */
static void plan_block(struct vj_cuda_train_plan *p)
{
    const size_t rows = p->net.rows, n = p->net.positions, c = (size_t)p->net.shape.channels[3];
    const size_t padded = (size_t)p->net.conv[3].out;
    const bool transpose = p->net.shape.non_local == VJ_NON_LOCAL_TRANSPOSE;
    p->product[VJ_CUDA_TRAIN_OF_VALUE] = (struct vj_cuda_net_matmul){
        .name = "of_value",
        .m = n,
        .n = c,
        .k = n,
        .ld_a = n,
        .ld_b = padded,
        .ld_d = c,
        .batch = rows,
        .stride_a = n * n,
        .stride_b = n * padded,
        .stride_d = n * c,
        .a_transposed = true,
    };
    p->product[VJ_CUDA_TRAIN_OF_CHANCES] = (struct vj_cuda_net_matmul){
        .name = "of_chances",
        .m = n,
        .n = n,
        .k = c,
        .ld_a = padded,
        .ld_b = c,
        .ld_d = n,
        .batch = rows,
        .stride_a = n * padded,
        .stride_b = n * c,
        .stride_d = n * n,
        .b_transposed = true,
    };
    /* Reshape: phi's [N][C] memory is the [C][N] matrix of the affinity, and so is its gradient. */
    p->product[VJ_CUDA_TRAIN_OF_THETA] = (struct vj_cuda_net_matmul){
        .name = "of_theta",
        .m = n,
        .n = c,
        .k = n,
        .ld_a = n,
        .ld_b = transpose ? c : n,
        .ld_d = c,
        .batch = rows,
        .stride_a = n * n,
        .stride_b = n * c,
        .stride_d = n * c,
        .b_transposed = !transpose,
    };
    p->product[VJ_CUDA_TRAIN_OF_PHI] = (struct vj_cuda_net_matmul){
        .name = "of_phi",
        .m = transpose ? n : c,
        .n = transpose ? c : n,
        .k = n,
        .ld_a = transpose ? n : c,
        .ld_b = transpose ? c : n,
        .ld_d = transpose ? c : n,
        .batch = rows,
        .stride_a = transpose ? n * n : n * c,
        .stride_b = transpose ? n * c : n * n,
        .stride_d = n * c,
        .a_transposed = true,
    };
}

static void plan_projection(struct vj_cuda_train_plan *p)
{
    const size_t rows = p->net.rows, n = p->net.positions, c = (size_t)p->net.shape.channels[3];
    const size_t padded = (size_t)p->net.conv[3].out;
    p->product[VJ_CUDA_TRAIN_OF_TOKENS] = (struct vj_cuda_net_matmul){
        .name = "of_tokens",
        .m = rows * n,
        .n = c,
        .k = c,
        .ld_a = c,
        .ld_b = c,
        .ld_d = padded,
        .batch = 1,
        .b_transposed = true,
        .accumulate = true,
    };
    /* One small product per patch: a single one over all positions would leave a card idle. */
    p->product[VJ_CUDA_TRAIN_OF_PROJECTION] = (struct vj_cuda_net_matmul){
        .name = "of_projection",
        .m = c,
        .n = c,
        .k = n,
        .ld_a = padded,
        .ld_b = c,
        .ld_d = c,
        .batch = rows,
        .stride_a = n * padded,
        .stride_b = n * c,
        .stride_d = c * c,
        .a_transposed = true,
    };
}

static void plan_heads(struct vj_cuda_train_plan *p)
{
    const size_t rows = p->net.rows, f = p->net.features, both = 2 * VJ_NET_HIDDEN;
    p->product[VJ_CUDA_TRAIN_OF_PAIR] = (struct vj_cuda_net_matmul){
        .name = "of_pair",
        .m = f,
        .n = both,
        .k = rows,
        .ld_a = f,
        .ld_b = both,
        .ld_d = both,
        .batch = 1,
        .a_transposed = true,
        .accumulate = true,
    };
    p->product[VJ_CUDA_TRAIN_OF_FEATURES] = (struct vj_cuda_net_matmul){
        .name = "of_features",
        .m = rows,
        .n = f,
        .k = both,
        .ld_a = both,
        .ld_b = both,
        .ld_d = f,
        .batch = 1,
        .b_transposed = true,
    };
    if (!p->net.form->jnd)
        return;
    p->product[VJ_CUDA_TRAIN_OF_PRODUCT] = (struct vj_cuda_net_matmul){
        .name = "of_product",
        .m = f,
        .n = VJ_NET_HIDDEN,
        .k = rows,
        .ld_a = f,
        .ld_b = both,
        .ld_d = VJ_NET_HIDDEN,
        .batch = 1,
        .a_transposed = true,
        .accumulate = true,
    };
    p->product[VJ_CUDA_TRAIN_OF_FACTORS] = (struct vj_cuda_net_matmul){
        .name = "of_factors",
        .m = rows,
        .n = f,
        .k = VJ_NET_HIDDEN,
        .ld_a = both,
        .ld_b = VJ_NET_HIDDEN,
        .ld_d = f,
        .batch = 1,
        .b_transposed = true,
    };
}

/* ---- places ---- */

/* Of convolutions: a patch's input, the first one's aside, a kernel, channels; of attention. */
struct largest {
    size_t input, kernel, channels;
    size_t parts, attended; /* partial sums, channels */
};

static struct largest find_largest(const struct vj_cuda_net_plan *net)
{
    struct largest most = {0, 0, 0, 0, 0};
    for (int i = 0; i < net->layers; i++) {
        const size_t side = (size_t)net->conv[i].side;
        const size_t in = (size_t)net->conv[i].in, out = (size_t)net->conv[i].out;
        if (i)
            most.input = larger(most.input, side * side * in);
        most.kernel = larger(most.kernel, 9 * in * out);
        most.channels = larger(most.channels, out);
    }
    for (int i = 0; i < vj_net_attentions(net->form); i++) {
        const size_t c = (size_t)net->pool[i].channels;
        most.parts = larger(most.parts, (size_t)net->pool[i].blocks * c);
        most.attended = larger(most.attended, c);
    }
    return most;
}

static void measure_kept(const struct vj_cuda_train_plan *p, size_t bytes[VJ_CUDA_TRAIN_KEPT])
{
    const struct vj_cuda_net_plan *net = &p->net;
    const size_t patch = net->rows * sizeof(float), n = net->positions;
    const size_t c = vj_net_last_channels(&net->shape);
    for (int i = 0; i < net->layers; i++) {
        const size_t side = (size_t)net->conv[i].side;
        bytes[vj_cuda_train_map_of(p, i)] = patch * side * side * (size_t)net->conv[i].out;
    }
    for (int i = 0; i < net->form->blocks - 1; i++) {
        const struct vj_cuda_net_conv *conv = &net->conv[vj_net_block_end(net->form, i)];
        const size_t half = (size_t)conv->side / 2;
        bytes[VJ_CUDA_TRAIN_POOLED + i] = patch * half * half * (size_t)conv->out;
    }
    for (int i = 0; i < vj_net_attentions(net->form); i++) {
        const size_t out = (size_t)net->pool[i].channels, parts = (size_t)net->pool[i].blocks;
        bytes[VJ_CUDA_TRAIN_SUMS + i] = bytes[VJ_CUDA_TRAIN_PEAKS + i] = patch * parts * out;
        bytes[VJ_CUDA_TRAIN_SCALE + i] = patch * out;
    }
    bytes[VJ_CUDA_TRAIN_THETA] = bytes[VJ_CUDA_TRAIN_PHI] = bytes[VJ_CUDA_TRAIN_VALUE] =
        bytes[VJ_CUDA_TRAIN_ATTENDED] = patch * n * c;
    bytes[VJ_CUDA_TRAIN_CHANCES] = patch * n * n;
    bytes[VJ_CUDA_TRAIN_LAST] = net->form->statistics ? patch * net->last * c : 0;
    bytes[VJ_CUDA_TRAIN_FEATURES] = bytes[VJ_CUDA_TRAIN_FEATURES_GRADIENT] = patch * net->features;
}

static void measure_weights(const struct vj_cuda_train_plan *p, size_t *bytes)
{
    const struct vj_cuda_net_plan *net = &p->net;
    const size_t f = sizeof(float);
    const size_t c = net->form->non_local ? vj_net_last_channels(&net->shape) : 0;
    const size_t pair = net->features * 2 * VJ_NET_HIDDEN * f;
    for (int i = 0; i < VJ_TRAIN_SETS; i++)
        bytes[VJ_CUDA_TRAIN_SET + i] = p->tensors.total * f;
    bytes[VJ_CUDA_TRAIN_GRADIENT] = p->tensors.total * f;
    for (int s = 0; s < vj_cuda_train_plan_streams(p); s++) {
        for (int i = 0; i < net->layers; i++)
            bytes[VJ_CUDA_TRAIN_KERNEL + VJ_NET_LAYERS * s + i] =
                bytes[VJ_CUDA_TRAIN_KERNEL_GRADIENT + VJ_NET_LAYERS * s + i] =
                    9 * (size_t)net->conv[i].in * (size_t)net->conv[i].out * f;
        bytes[VJ_CUDA_TRAIN_MERGED + s] = bytes[VJ_CUDA_TRAIN_MERGED_GRADIENT + s] = c * c * f;
        bytes[VJ_CUDA_TRAIN_MERGED_BIAS + s] = bytes[VJ_CUDA_TRAIN_MERGED_BIAS_GRADIENT + s] =
            c * f;
    }
    bytes[VJ_CUDA_TRAIN_REFERENCE] = bytes[VJ_CUDA_TRAIN_REFERENCE_GRADIENT] = pair;
    bytes[VJ_CUDA_TRAIN_DISTORTED] = bytes[VJ_CUDA_TRAIN_DISTORTED_GRADIENT] = pair;
    if (net->form->jnd)
        bytes[VJ_CUDA_TRAIN_PRODUCT] = bytes[VJ_CUDA_TRAIN_PRODUCT_GRADIENT] = pair / 2;
}

static void measure_batch(const struct vj_cuda_train_plan *p, size_t *bytes)
{
    const size_t side = (size_t)p->net.shape.patch_size;
    const size_t picture = p->net.rows * side * side;
    bytes[VJ_CUDA_TRAIN_R] = p->max_references * picture * 3;
    bytes[VJ_CUDA_TRAIN_J] = p->net.form->jnd ? p->max_references * picture : 0;
    bytes[VJ_CUDA_TRAIN_D] = p->max_pairs * picture * 3;
    bytes[VJ_CUDA_TRAIN_REFERENCE_OF] = p->max_pairs * sizeof(uint32_t);
    bytes[VJ_CUDA_TRAIN_TARGET] = bytes[VJ_CUDA_TRAIN_IMPORTANCE] = p->max_pairs * sizeof(float);
}

static void measure_pass(const struct vj_cuda_train_plan *p, size_t *bytes)
{
    const struct vj_cuda_net_plan *net = &p->net;
    const struct largest most = find_largest(net);
    const size_t patch = net->rows * sizeof(float), n = net->positions;
    const size_t side = (size_t)net->shape.patch_size;
    const bool non_local = net->form->non_local;
    const size_t c = non_local ? vj_net_last_channels(&net->shape) : 0;
    const size_t padded = (size_t)net->conv[net->layers - 1].out;
    bytes[VJ_CUDA_TRAIN_INPUT] = patch * side * side * (size_t)net->conv[0].in;
    bytes[VJ_CUDA_TRAIN_INPUT_GRADIENT] = patch * most.input;
    bytes[VJ_CUDA_TRAIN_SCALE_PARTS] = bytes[VJ_CUDA_TRAIN_PEAK_PARTS] = patch * most.parts;
    bytes[VJ_CUDA_TRAIN_PEAK] = patch * most.attended;
    bytes[VJ_CUDA_TRAIN_ATTENTION] = patch * (5 * most.attended + 4 * (most.attended / 16));
    bytes[VJ_CUDA_TRAIN_LAST_GRADIENT] = net->form->statistics ? patch * net->last * c : 0;
    bytes[VJ_CUDA_TRAIN_JOINED] = patch * n * padded;
    bytes[VJ_CUDA_TRAIN_THETA_GRADIENT] = bytes[VJ_CUDA_TRAIN_PHI_GRADIENT] =
        bytes[VJ_CUDA_TRAIN_VALUE_GRADIENT] = patch * n * c;
    bytes[VJ_CUDA_TRAIN_CHANCES_GRADIENT] = patch * n * n;
    bytes[VJ_CUDA_TRAIN_SQUARES] = patch * c * c;
    bytes[VJ_CUDA_TRAIN_FRESH] = most.kernel * sizeof(float);
    bytes[VJ_CUDA_TRAIN_COLUMNS] =
        VJ_CUDA_TRAIN_COLUMN_PARTS * sizeof(float) * larger(most.channels, VJ_NET_HIDDEN);
}

static void measure_heads(const struct vj_cuda_train_plan *p, size_t *bytes)
{
    const size_t patch = p->net.rows * sizeof(float), both = 2 * VJ_NET_HIDDEN;
    bytes[VJ_CUDA_TRAIN_BIAS] = both * sizeof(float);
    bytes[VJ_CUDA_TRAIN_CONSTANT] = bytes[VJ_CUDA_TRAIN_HIDDEN_OF_R] =
        p->max_references * patch * both;
    bytes[VJ_CUDA_TRAIN_PAIR] = p->net.slices * patch * both;
    if (p->net.form->jnd) {
        bytes[VJ_CUDA_TRAIN_OF_TIMES] = p->net.slices * patch * VJ_NET_HIDDEN;
        bytes[VJ_CUDA_TRAIN_TIMES] = bytes[VJ_CUDA_TRAIN_TIMES_GRADIENT] = patch * p->net.features;
    }
    bytes[VJ_CUDA_TRAIN_HIDDEN] = p->max_pairs * patch * both;
    bytes[VJ_CUDA_TRAIN_OUT] = bytes[VJ_CUDA_TRAIN_OUT_GRADIENT] = 2 * p->max_pairs * patch;
    bytes[VJ_CUDA_TRAIN_LOGIT] = p->max_pairs * sizeof(float);
    bytes[VJ_CUDA_TRAIN_LOSS] = p->max_pairs * sizeof(double);
    bytes[VJ_CUDA_TRAIN_FLAGS] = (p->net.rows + 1) * sizeof(int);
}

/* Nothing here can overflow: patches of a step, channels, sides and weights are all bounded. */
static void plan_places(struct vj_cuda_train_plan *p)
{
    measure_kept(p, p->kept_bytes);
    measure_weights(p, p->bytes);
    measure_batch(p, p->bytes);
    measure_pass(p, p->bytes);
    measure_heads(p, p->bytes);
    for (int i = 0; i < VJ_CUDA_TRAIN_KEPT; i++) {
        p->kept[i] = p->picture;
        p->picture += round_up(p->kept_bytes[i], VJ_CUDA_NET_ALIGNMENT);
    }
    if (!p->net.form->statistics)
        p->kept[VJ_CUDA_TRAIN_LAST] = p->kept[VJ_CUDA_TRAIN_FEATURES];
    for (int i = 0; i < VJ_CUDA_TRAIN_BUFFERS; i++) {
        p->offset[i] = p->total;
        p->total += round_up(p->bytes[i], VJ_CUDA_NET_ALIGNMENT);
    }
    p->first = p->total;
    p->total +=
        (vj_cuda_train_reference_pictures(p, p->max_references) + p->max_pairs) * p->picture;
}

/* ---- the plan ---- */

static int check(const struct vj_trainer_plan *t, struct vj_error *err)
{
    const size_t most = VJ_DROPOUT_ROWS - 1; /* patches of a step's pairs */
    if (t->patches < 1 || t->patches > VJ_CUDA_NET_MAX_ROWS)
        return vj_fail(err, -EINVAL, "%zu patches per picture, must be 1 to %d", t->patches,
                       VJ_CUDA_NET_MAX_ROWS);
    if (t->max_pairs < 1 || t->max_pairs > most / t->patches)
        return vj_fail(err, -EINVAL, "%zu pairs of %zu patches, must be 1 to %zu", t->max_pairs,
                       t->patches, most / t->patches);
    if (t->max_references < 1 || t->max_references > most / t->patches)
        return vj_fail(err, -EINVAL, "%zu references of %zu patches, must be 1 to %zu",
                       t->max_references, t->patches, most / t->patches);
    if (!(t->keep > 0 && t->keep <= 1))
        return vj_fail(err, -EINVAL, "keep is %g, must be above 0 and at most 1", t->keep);
    if (!(t->average >= 0 && t->average <= 1))
        return vj_fail(err, -EINVAL, "average is %g, must be 0 to 1", t->average);
    const struct vj_adam_step s = vj_adam_at(&t->adam, t->average, 1, 1); /* rounded to float */
    if (!(s.beta_1 >= 0 && s.beta_1 < 1 && s.beta_2 >= 0 && s.beta_2 < 1 && s.epsilon > 0 &&
          isfinite(s.epsilon)))
        return vj_fail(err, -EINVAL,
                       "Adam's beta_1 = %g and beta_2 = %g must be from 0 to below 1, epsilon = %g "
                       "above 0",
                       t->adam.beta_1, t->adam.beta_2, t->adam.epsilon);
    return 0;
}

int vj_cuda_train_plan_make(struct vj_cuda_train_plan *plan, const struct vj_trainer_plan *trainer,
                            struct vj_error *err)
{
    memset(plan, 0, sizeof(*plan));
    int r = check(trainer, err);
    if (!r)
        r = vj_cuda_net_plan_make(&plan->net, &trainer->weights->shape, trainer->patches,
                                  VJ_CUDA_FP32, err);
    if (!r)
        r = plan_tensors(plan, trainer->weights, err);
    if (r)
        return r;
    vj_cuda_net_plan_every_map(&plan->net);
    plan->max_references = trainer->max_references;
    plan->max_pairs = trainer->max_pairs;
    if (plan->net.form->non_local) {
        plan_block(plan);
        plan_projection(plan);
    }
    plan_heads(plan);
    plan_places(plan);
    return 0;
}

void vj_cuda_train_columns_make(struct vj_cuda_train_column_shape *shape, size_t rows,
                                size_t columns, size_t ld)
{
    const size_t width = columns < VJ_CUDA_NET_THREADS ? columns : VJ_CUDA_NET_THREADS;
    const size_t groups = VJ_CUDA_NET_THREADS / width;
    const size_t even = (rows + VJ_CUDA_TRAIN_COLUMN_PARTS - 1) / VJ_CUDA_TRAIN_COLUMN_PARTS;
    const size_t span = larger(even, VJ_CUDA_TRAIN_COLUMN_SHORTEST * groups);
    *shape = (struct vj_cuda_train_column_shape){
        .rows = rows,
        .columns = columns,
        .ld = ld,
        .width = width,
        .groups = groups,
        .span = span,
        .parts = (rows + span - 1) / span,
        .blocks = (columns + width - 1) / width,
    };
}

double vj_cuda_train_macs(const struct vj_cuda_train_plan *plan, size_t references, size_t pairs)
{
    const struct vj_cuda_net_plan *net = &plan->net;
    const double heads = vj_cuda_net_head_macs(net);
    const double extractor = vj_cuda_net_macs(net) - heads;
    /* A product's two gradients are products of its size; nobody asks for the pictures' own. */
    const double picture = 3 * extractor - vj_cuda_net_conv_macs(&net->conv[0]);
    const double rows = (double)net->rows;
    const double pictures = (double)vj_cuda_train_reference_pictures(plan, 1);
    const double of_reference =
        pictures * picture + 3 * 2.0 * (double)net->features * VJ_NET_HIDDEN;
    return rows * ((double)references * of_reference + (double)pairs * (picture + 3 * heads));
}
