/* SPDX-License-Identifier: MIT */
#include "host/net_fold.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/net_form.h"

size_t vj_net_features(const struct vj_net_shape *shape)
{
    const struct vj_net_form *form = vj_net_form(shape->variant);
    const size_t c = vj_net_last_channels(shape), side = vj_net_side(shape, form->blocks);
    return form->statistics ? 2 * c : side * side * c;
}

static size_t copies(const struct vj_net_shape *shape)
{
    return (size_t)vj_net_form(shape->variant)->copies;
}

size_t vj_net_head_inputs(const struct vj_net_shape *shape)
{
    return 3 * copies(shape) * vj_net_features(shape);
}

int vj_net_fold_parts(const struct vj_net_shape *shape)
{
    return vj_net_form(shape->variant)->jnd ? VJ_FOLD_PARTS : VJ_FOLD_WEIGHT_PRODUCT;
}

const float *vj_net_tensor(const struct vj_weights *w, size_t count, struct vj_error *err,
                           const char *format, ...)
{
    char name[sizeof(((struct vj_tensor *)0)->name)];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    const struct vj_tensor *t = vj_weights_find(w, name);
    if (!t || !t->data) {
        vj_fail(err, -EINVAL, "the weights have no tensor %s", name);
        return NULL;
    }
    if (t->count != count) {
        vj_fail(err, -EINVAL, "tensor %s has %zu values, the network needs %zu", name, t->count,
                count);
        return NULL;
    }
    return t->data;
}

/* What a folded matrix is made of: signs of the three thirds of the head's rows. */
struct recipe {
    const char *head;
    int sign[3];
};

/* By whether the network sees a pixel-JND map. */
static const struct recipe recipes[2][VJ_FOLD_PARTS] = {
    [false] = {[VJ_FOLD_QUALITY_REFERENCE] = {"regressions", {1, 0, 1}},
               [VJ_FOLD_QUALITY_DISTORTED] = {"regressions", {0, 1, -1}},
               [VJ_FOLD_WEIGHT_REFERENCE] = {"weightings", {1, 0, 1}},
               [VJ_FOLD_WEIGHT_DISTORTED] = {"weightings", {0, 1, -1}}},
    [true] = {[VJ_FOLD_QUALITY_REFERENCE] = {"regressions", {1, 0, 1}},
              [VJ_FOLD_QUALITY_DISTORTED] = {"regressions", {0, 1, -1}},
              [VJ_FOLD_WEIGHT_REFERENCE] = {"weightings", {1, 0, 0}},
              [VJ_FOLD_WEIGHT_DISTORTED] = {"weightings", {0, 1, 0}},
              [VJ_FOLD_WEIGHT_PRODUCT] = {"weightings", {0, 0, 1}}},
};

static void fold_row(const struct recipe *recipe, const float *rows, size_t row, size_t features,
                     size_t halves, float *out)
{
    double sum[VJ_NET_HIDDEN] = {0};
    for (size_t third = 0; third < 3; third++) {
        if (recipe->sign[third] == 0)
            continue;
        for (size_t half = 0; half < halves; half++) {
            const float *from = rows + ((third * halves + half) * features + row) * VJ_NET_HIDDEN;
            for (size_t i = 0; i < VJ_NET_HIDDEN; i++)
                sum[i] += recipe->sign[third] * (double)from[i];
        }
    }
    for (size_t i = 0; i < VJ_NET_HIDDEN; i++)
        out[i] = (float)sum[i];
}

int vj_net_fold_head(const struct vj_weights *w, enum vj_fold_part part, float *out,
                     struct vj_error *err)
{
    const struct recipe *recipe = &recipes[vj_net_form(w->shape.variant)->jnd][part];
    if ((int)part >= vj_net_fold_parts(&w->shape))
        return vj_fail(err, -EINVAL, "variant %s has no product with a map",
                       vj_variant_name(w->shape.variant));
    const size_t features = vj_net_features(&w->shape), halves = copies(&w->shape);
    const float *rows = vj_net_tensor(w, vj_net_head_inputs(&w->shape) * VJ_NET_HIDDEN, err,
                                      "%s/block1/weights", recipe->head);
    if (!rows)
        return -EINVAL;
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < features; row++)
        fold_row(recipe, rows, row, features, halves, out + row * VJ_NET_HIDDEN);
    return 0;
}

/* out[i][o] = sum_m a[i][m] b[m][o] + add[o] (add may be NULL), accumulated in double. */
static int multiply(size_t rows, size_t c, const float *a, const float *b, const float *add,
                    float *out, struct vj_error *err)
{
    double *sum = vj_calloc(c, sizeof(*sum));
    if (!sum)
        return vj_fail(err, -ENOMEM, "out of memory for folding the non-local block");
    for (size_t i = 0; i < rows; i++) {
        for (size_t o = 0; o < c; o++)
            sum[o] = add ? (double)add[o] : 0.0;
        for (size_t m = 0; m < c; m++)
            for (size_t o = 0; o < c; o++)
                sum[o] += (double)a[i * c + m] * (double)b[m * c + o];
        for (size_t o = 0; o < c; o++)
            out[i * c + o] = (float)sum[o];
    }
    free(sum);
    return 0;
}

int vj_net_fold_value(const struct vj_weights *w, const char *stream, float *kernel, float *bias,
                      struct vj_error *err)
{
    const size_t c = vj_net_last_channels(&w->shape);
    static const char format[] = "%s/conv4/Non-local4/%s/%s_conv/%s";
    const float *g = vj_net_tensor(w, c * c, err, format, stream, "g", "g", "kernel");
    const float *g_bias = g ? vj_net_tensor(w, c, err, format, stream, "g", "g", "bias") : NULL;
    const float *out =
        g_bias ? vj_net_tensor(w, c * c, err, format, stream, "w", "w", "kernel") : NULL;
    const float *out_bias = out ? vj_net_tensor(w, c, err, format, stream, "w", "w", "bias") : NULL;
    if (!out_bias)
        return -EINVAL;
    int r = multiply(c, c, g, out, NULL, kernel, err);
    return r ? r : multiply(1, c, g_bias, out, out_bias, bias, err);
}
