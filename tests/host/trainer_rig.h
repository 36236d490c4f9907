/* SPDX-License-Identifier: MIT */
/* Batches, trainers and what they hold, for the tests of a trainer. */
#ifndef VJ_TESTS_TRAINER_RIG_H
#define VJ_TESTS_TRAINER_RIG_H

#include "tests/vj_test.h"

#include <math.h>

#include "host/trainer.h"
#include "tests/host/net_formula.h"

static const struct vj_trainer_ops *const ops = &vj_trainer_cpu;
static struct vj_error err;

static inline void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

/* Formula weights with attentions alive and a softer softmax, as golden/train/make_golden.py has
 * them. */
static inline void live_weights(struct vj_weights *w, const struct vj_net_shape *shape)
{
    memset(w, 0, sizeof(*w));
    ok(formula_weights(w, shape, &err));
    for (size_t i = 0; i < w->count; i++) {
        const struct vj_tensor *t = &w->tensors[i];
        const bool raise = strstr(t->name, "mlp_0/bias");
        const bool soften =
            strstr(t->name, "theta_conv/kernel") || strstr(t->name, "phi_conv/kernel");
        for (size_t k = 0; k < t->count; k++)
            t->data[k] = raise ? t->data[k] + 0.5f : soften ? t->data[k] * 0.25f : t->data[k];
    }
}

static inline void like(struct vj_weights *set, const struct vj_net_shape *shape)
{
    memset(set, 0, sizeof(*set));
    ok(vj_weights_alloc(set, shape, &err));
}

static inline double norm(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static inline bool same_bits(const struct vj_weights *a, const struct vj_weights *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (memcmp(a->tensors[i].data, b->tensors[i].data, a->tensors[i].count * sizeof(float)) !=
            0) {
            print_message("%s differs\n", a->tensors[i].name);
            return false;
        }
    return true;
}

/* ---- batches ---- */

enum { MAX_PAIRS = 8, MAX_REFERENCES = 4 };

/* A batch that owns its patches. */
struct data {
    struct vj_train_batch batch;
    uint8_t *r, *j, *d;
    uint32_t reference[MAX_PAIRS];
    float target[MAX_PAIRS], importance[MAX_PAIRS];
};

static inline void data_alloc(struct data *data, size_t size, size_t patches, size_t references,
                              size_t pairs)
{
    const size_t px = size * size * patches;
    assert_true(references <= MAX_REFERENCES && pairs <= MAX_PAIRS);
    memset(data, 0, sizeof(*data));
    data->r = malloc(references * px * 3);
    data->j = malloc(references * px);
    data->d = malloc(pairs * px * 3);
    data->batch = (struct vj_train_batch){
        .references = references,
        .pairs = pairs,
        .r = data->r,
        .j = data->j,
        .d = data->d,
        .reference = data->reference,
        .target = data->target,
        .importance = data->importance,
    };
}

static inline void data_free(struct data *data)
{
    free(data->r);
    free(data->j);
    free(data->d);
}

/* Pictures by formula; the pairs take turns among the references and grow coarser. */
static inline void data_make(struct data *data, size_t size, size_t patches, size_t references,
                             size_t pairs)
{
    const size_t px = size * size;
    data_alloc(data, size, patches, references, pairs);
    for (size_t k = 0; k < references * patches; k++) {
        formula_patch(data->r + k * px * 3, FORMULA_REFERENCE, k, size, 3);
        formula_patch(data->j + k * px, FORMULA_JND, k, size, 1);
    }
    for (size_t i = 0; i < pairs; i++) {
        data->reference[i] = (uint32_t)(i % references);
        data->target[i] = i / references % 2 ? 1 : 0;
        data->importance[i] = 1 + 0.25f * (float)(i % 3);
        for (size_t p = 0; p < patches; p++)
            formula_patch(data->d + (i * patches + p) * px * 3,
                          FORMULA_CANDIDATE + (int)(i / references * 6),
                          data->reference[i] * patches + p, size, 3);
    }
}

/* ---- trainers ---- */

/* A network's shape, its initial weights and how it is to be trained. */
struct setup {
    struct vj_weights w;
    struct vj_trainer_plan plan;
};

static inline void setup_make(struct setup *s, const struct vj_net_shape *shape, size_t patches,
                              const struct data *data, double keep)
{
    live_weights(&s->w, shape);
    s->plan = (struct vj_trainer_plan){
        .weights = &s->w,
        .patches = patches,
        .max_references = data->batch.references,
        .max_pairs = data->batch.pairs,
        .adam = {0.9, 0.999, 1e-8},
        .average = 0.9999,
        .keep = keep,
        .seed = 11,
        .threads = 2,
    };
}

static inline struct vj_net_shape shape_of(enum vj_variant variant, enum vj_non_local non_local,
                                           int size, int c1, int c2, int c3, int c4)
{
    struct vj_net_shape s = vj_net_shape_default(variant);
    const int channels[4] = {c1, c2, c3, c4};
    s.non_local = non_local;
    s.patch_size = size;
    memcpy(s.channels, channels, sizeof(channels));
    return s;
}

static inline void *trainer_open(const struct vj_trainer_plan *plan)
{
    void *state = NULL;
    ok(ops->open(&state, plan, 0, &err));
    assert_non_null(state);
    return state;
}

/* All that a trainer holds. */
struct snapshot {
    struct vj_weights set[VJ_TRAIN_SETS];
};

static inline void snapshot_take(struct snapshot *s, void *state, const struct vj_net_shape *shape)
{
    for (int i = 0; i < VJ_TRAIN_SETS; i++) {
        like(&s->set[i], shape);
        ok(ops->get(state, (enum vj_train_set)i, &s->set[i], &err));
    }
}

static inline void snapshot_free(struct snapshot *s)
{
    for (int i = 0; i < VJ_TRAIN_SETS; i++)
        vj_weights_free(&s->set[i]);
}

static inline void assert_same_snapshot(const struct snapshot *a, const struct snapshot *b)
{
    for (int i = 0; i < VJ_TRAIN_SETS; i++)
        if (!same_bits(&a->set[i], &b->set[i]))
            fail_msg("set %d has other bits", i);
}

/* Largest error found so far over what is allowed. */
struct worst {
    double ratio;
    const char *tensor;
};

static inline void note(struct worst *w, const char *tensor, double error, double allowed)
{
    const double ratio = error / allowed;
    if (isnan(w->ratio) || ratio <= w->ratio) /* NaN is larger than any and stays */
        return;
    *w = (struct worst){ratio, tensor};
}

static inline void report(const char *name, const char *what, const struct worst *w)
{
    print_message("%-26s %-10s at %.2f of the limit in %s\n", name, what, w->ratio,
                  w->tensor ? w->tensor : "-");
    assert_true(w->ratio <= 1);
}

#endif
