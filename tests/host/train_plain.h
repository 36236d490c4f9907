/* SPDX-License-Identifier: MIT */
/*
 * The loss of a training batch in double, on top of the plain network (net_plain.h), and its slope
 * by finite differences. Knows nothing of gradients, so it cannot share a trainer's mistakes; of
 * the program it uses the dropout masks alone.
 */
#ifndef VJ_TESTS_TRAIN_PLAIN_H
#define VJ_TESTS_TRAIN_PLAIN_H

#include "host/trainer.h"
#include "tests/host/net_plain.h"

/* What the loss depends on beside the weights. */
struct plain_training {
    const struct vj_train_batch *batch;
    size_t patches;
    double keep;
    uint64_t seed, step;
};

/* What one patch becomes: the maps before each layer, and the features. */
struct plain_trail {
    struct plain_map before[5];
    double *features;
};

/*
 * Patches of a batch: r, j [references * P], d [pairs * P], one after the other; those of j are
 * left empty where the network sees no map.
 */
struct plain_batch {
    struct plain_trail *trail;
    size_t r, j, d; /* where each begins */
    size_t count;
};

/* A patch's trail from layer `first` on, where it begins with `before`, which becomes its own. */
static inline void plain_trail_make(struct plain_trail *t, const struct vj_weights *w,
                                    const char *scope, int first, struct plain_map before)
{
    memset(t, 0, sizeof(*t));
    for (int layer = first; layer <= plain_blocks(&w->shape); layer++) {
        t->before[layer - 1] = before;
        before = plain_layer(w, scope, layer, &before);
    }
    t->features = plain_pooled(&w->shape, &before);
    free(before.v);
}

static inline void plain_trail_free(struct plain_trail *t)
{
    for (int i = 0; i < 5; i++)
        free(t->before[i].v);
    free(t->features);
}

/* Scope of the weights that see patch i of the batch. */
static inline const char *plain_scope(const struct vj_weights *w, const struct plain_batch *f,
                                      size_t i)
{
    const bool own = w->shape.variant == VJ_VARIANT_RELEASED && i >= f->j && i < f->d;
    return own ? "extract_jnd_feature" : "extract_feature";
}

static inline void plain_batch_make(struct plain_batch *f, const struct vj_weights *w,
                                    const struct plain_training *t)
{
    const struct vj_train_batch *b = t->batch;
    const size_t pixels = (size_t)w->shape.patch_size * (size_t)w->shape.patch_size;
    f->r = 0;
    f->j = b->references * t->patches;
    f->d = 2 * f->j;
    f->count = f->d + b->pairs * t->patches;
    f->trail = calloc(f->count, sizeof(*f->trail));
    for (size_t i = 0; i < f->count; i++) {
        struct plain_map in;
        if (w->shape.variant == VJ_VARIANT_PW_JND && i >= f->j && i < f->d)
            continue;
        if (i < f->j)
            in = plain_input(&w->shape, b->r + i * pixels * 3, 3);
        else if (i < f->d)
            in = plain_input(&w->shape, b->j + (i - f->j) * pixels, 1);
        else
            in = plain_input(&w->shape, b->d + (i - f->d) * pixels * 3, 3);
        plain_trail_make(&f->trail[i], w, plain_scope(w, f, i), 1, in);
    }
}

static inline void plain_batch_free(struct plain_batch *f)
{
    for (size_t i = 0; i < f->count; i++)
        plain_trail_free(&f->trail[i]);
    free(f->trail);
}

/* dense(dropout(relu(dense(inputs, 512))), 1) */
static inline double plain_dropped_head(const struct vj_weights *w, const char *scope, int head,
                                        const double *inputs, size_t count, size_t row,
                                        const struct plain_training *t)
{
    const float *k1 = plain_tensor(w, "%s/block1/weights", scope);
    const float *b1 = plain_tensor(w, "%s/block1/biases", scope);
    const float *k2 = plain_tensor(w, "%s/block2/weights", scope);
    const float *b2 = plain_tensor(w, "%s/block2/biases", scope);
    double out = b2[0], hidden[512];
    float factor[512];
    for (uint32_t group = 0; group < 128; group++)
        vj_dropout4(t->seed, t->step, head, (uint32_t)row, group, (float)t->keep,
                    factor + 4 * group);
    for (size_t o = 0; o < 512; o++)
        hidden[o] = b1[o];
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < 512; o++)
            hidden[o] += inputs[i] * (double)k1[i * 512 + o];
    for (size_t o = 0; o < 512; o++)
        out += hidden[o] > 0 ? hidden[o] * (double)factor[o] * (double)k2[o] : 0;
    return out;
}

/* Logit of one pair: patches weighted by their heads. */
static inline double plain_logit(const struct vj_weights *w, const struct plain_batch *f,
                                 const struct plain_training *t, size_t pair)
{
    const size_t count = plain_feature_count(&w->shape);
    double weighted = 0, weights = 0, *in = calloc(3 * count, sizeof(double));
    for (size_t p = 0; p < t->patches; p++) {
        const size_t row = pair * t->patches + p, ref = t->batch->reference[pair] * t->patches + p;
        const double *r = f->trail[f->r + ref].features, *j = f->trail[f->j + ref].features;
        const double *d = f->trail[f->d + row].features;
        memcpy(in, r, count * sizeof(double));
        memcpy(in + count, d, count * sizeof(double));
        for (size_t i = 0; i < count; i++)
            in[2 * count + i] = r[i] - d[i];
        const double q =
            plain_dropped_head(w, "regressions", VJ_DROPOUT_QUALITY, in, 3 * count, row, t);
        for (size_t i = 0; i < count; i++)
            in[2 * count + i] = plain_third(w, r[i], d[i], j, i);
        const double a =
            fmax(plain_dropped_head(w, "weightings", VJ_DROPOUT_WEIGHT, in, 3 * count, row, t), 0) +
            1e-6;
        weighted += q * a;
        weights += a;
    }
    free(in);
    return weighted / weights;
}

/* Loss of the batch; logit: [pairs] or NULL. */
static inline double plain_loss(const struct vj_weights *w, const struct plain_batch *f,
                                const struct plain_training *t, double *logit)
{
    double loss = 0;
    for (size_t i = 0; i < t->batch->pairs; i++) {
        const double x = plain_logit(w, f, t, i), target = (double)t->batch->target[i];
        loss += (double)t->batch->importance[i] *
                (target * log1p(exp(-x)) + (1 - target) * log1p(exp(x)));
        if (logit)
            logit[i] = x;
    }
    return loss;
}

/* First layer or block of the extractor that a tensor can change; 9 for a tensor of the heads. */
static inline int plain_layer_of(const char *tensor)
{
    const char *layer = strstr(tensor, "/conv");
    return strncmp(tensor, "extract_", 8) == 0 && layer ? layer[5] - '0' : 9;
}

/* The loss with element `at` of a tensor replaced. base: the batch before that. */
static inline double plain_loss_at(struct vj_weights *w, struct vj_tensor *tensor, size_t at,
                                   float value, const struct plain_batch *base,
                                   const struct plain_training *t)
{
    const int layer = plain_layer_of(tensor->name);
    const float old = tensor->data[at];
    struct plain_batch changed = *base;
    changed.trail = calloc(base->count, sizeof(*changed.trail));
    tensor->data[at] = value;
    for (size_t i = 0; i < base->count; i++) {
        const char *scope = plain_scope(w, base, i);
        const size_t length = strlen(scope);
        if (layer == 9 || !base->trail[i].features || strncmp(tensor->name, scope, length) != 0 ||
            tensor->name[length] != '/') {
            changed.trail[i].features = base->trail[i].features;
            continue;
        }
        const struct plain_map *in = &base->trail[i].before[layer - 1];
        struct plain_map copy = plain_new(in->side, in->channels);
        memcpy(copy.v, in->v, in->side * in->side * in->channels * sizeof(double));
        plain_trail_make(&changed.trail[i], w, scope, layer, copy);
    }
    const double loss = plain_loss(w, &changed, t, NULL);
    for (size_t i = 0; i < base->count; i++)
        if (changed.trail[i].features != base->trail[i].features)
            plain_trail_free(&changed.trail[i]);
    free(changed.trail);
    tensor->data[at] = old;
    return loss;
}

/* Central difference quotient over a step of about h on either side. */
static inline double plain_quotient(struct vj_weights *w, struct vj_tensor *tensor, size_t at,
                                    double h, const struct plain_batch *base,
                                    const struct plain_training *t)
{
    const double middle = tensor->data[at];
    const float low = (float)(middle - h), high = (float)(middle + h);
    return (plain_loss_at(w, tensor, at, high, base, t) -
            plain_loss_at(w, tensor, at, low, base, t)) /
           ((double)high - (double)low);
}

/*
 * Slope of the loss along one weight, from the largest step at which a step of a quarter gives the
 * same quotient within `tolerance`. False where there is none: the loss has a kink too near.
 */
static inline bool plain_slope(struct vj_weights *w, struct vj_tensor *tensor, size_t at,
                               double tolerance, const struct plain_batch *base,
                               const struct plain_training *t, double *slope)
{
    double h = 1.0 / 8192, wide = plain_quotient(w, tensor, at, h, base, t);
    for (int i = 0; i < 4; i++) {
        h /= 4;
        *slope = plain_quotient(w, tensor, at, h, base, t);
        if (fabs(*slope - wide) <= tolerance)
            return true;
        wide = *slope;
    }
    return false;
}

#endif
