/* SPDX-License-Identifier: MIT */
/*
 * Training steps of VP-JNDnet on a device: forward, loss, backward, Adam, moving average of the
 * weights (spec network.md, "Training, as released"). A trainer owns the weights, the two moments
 * and the average while it is open; files, data and the loop are the caller's (host/train.h).
 *
 * The CPU's is the reference. A step gives the same bits on any number of threads: patches are
 * worked on in chunks whose size does not depend on it, and sums over chunks are formed in order.
 */
#ifndef VJ_HOST_TRAINER_H
#define VJ_HOST_TRAINER_H

#include <stddef.h>
#include <stdint.h>

#include "host/adam.h"
#include "host/error.h"
#include "host/weights.h"

/*
 * Pairs of one step. A pair is a distorted picture and the reference it is compared with; pairs of
 * one reference share its patches, its pixel-JND patches and their features. S = patch_size, P =
 * patches. Everything is borrowed for the call.
 */
struct vj_train_batch {
    size_t references; /* 1..plan.max_references */
    size_t pairs;      /* 1..plan.max_pairs */
    const uint8_t *r;  /* [references][P][S][S][3] reference patches, RGB */
    const uint8_t *j;  /* [references][P][S][S] pixel-JND patches; NULL where none is seen */
    const uint8_t *d;  /* [pairs][P][S][S][3] distorted patches, RGB */
    const uint32_t *reference; /* [pairs] index of each pair's reference */
    const float *target;       /* [pairs] 0..1, chance that the pair is of the positive class */
    const float *importance;   /* [pairs] factor of the pair's cross-entropy, finite, >= 0 */
};

/* What stays the same over all steps; the trainer takes all of its memory for it. */
struct vj_trainer_plan {
    const struct vj_weights *weights; /* initial weights: copied */
    size_t patches;                   /* P, per picture */
    size_t max_references, max_pairs;
    struct vj_adam adam; /* constants of the optimiser; adam.rate is given per step */
    double average;      /* largest decay of the moving average, 0..1; the graph's: 0.9999 */
    double keep;         /* dropout: share of hidden units kept, in (0, 1]; 1 = no dropout */
    uint64_t seed;       /* of the dropout masks */
    int threads;         /* CPU threads, >= 1 */
};

/* The four sets of tensors that a training state consists of, each shaped like the weights. */
enum vj_train_set {
    VJ_TRAIN_WEIGHTS = 0,
    VJ_TRAIN_MOMENT_1, /* Adam's m */
    VJ_TRAIN_MOMENT_2, /* Adam's v */
    VJ_TRAIN_AVERAGE,  /* moving average of the weights: what evaluation uses */
    VJ_TRAIN_SETS,
};

struct vj_trainer_ops {
    const char *name; /* "cpu", "cuda" */

    /*
     * *state: owned by the caller (close). weights start at plan->weights, so does their average;
     * moments start at zero. ordinal: which device of this kind, 0 = the first.
     * Errors: -EINVAL (shape, plan), -ENOMEM, -ENODEV, -EIO (library, with its status).
     */
    int (*open)(void **state, const struct vj_trainer_plan *plan, int ordinal,
                struct vj_error *err);
    void (*close)(void *state); /* NULL is harmless */

    /*
     * One step.
     * step:  number of this step, from 1: t of Adam's bias correction, and key of dropout masks
     * rate:  learning rate
     * loss:  sum over the pairs of importance * sigmoid cross-entropy of the pair's logit
     * logit: [pairs], of the weights before this step, with dropout; or NULL
     * Errors: -EINVAL (batch outside the plan), -EDOM (a loss or gradient that is not finite: the
     * weights are then untouched), -EIO.
     */
    int (*step)(void *state, const struct vj_train_batch *batch, uint64_t step, double rate,
                double *loss, float *logit, struct vj_error *err);

    /*
     * The gradient of the loss of a batch at the current weights, for checks; nothing is updated.
     * gradient: shaped like the weights (vj_weights_alloc), overwritten
     */
    int (*gradient)(void *state, const struct vj_train_batch *batch, uint64_t step,
                    struct vj_weights *gradient, double *loss, float *logit, struct vj_error *err);

    /* Copies one set out of, or into, the trainer. set: shaped like the weights. */
    int (*get)(void *state, enum vj_train_set which, struct vj_weights *set, struct vj_error *err);
    int (*set)(void *state, enum vj_train_set which, const struct vj_weights *set,
               struct vj_error *err);

    /* Bytes held, and the libraries used, for the log. */
    size_t (*bytes)(const void *state);
    void (*libraries)(const void *state, char *text, size_t size);
};

extern const struct vj_trainer_ops vj_trainer_cpu;

/* An open trainer: the table and its state. */
struct vj_trainer {
    const struct vj_trainer_ops *ops;
    void *state;
};

/*
 * Opens the trainer that `selector` names, in the words of vj_device_open() (host/device.h): "auto"
 * takes the first GPU, or the CPU with the reason in `note` (empty when there is nothing to say);
 * "cpu"; "cuda"; "cuda:N". A trainer uses one GPU: several are -EINVAL.
 */
int vj_trainer_open(struct vj_trainer *t, const char *selector, const struct vj_trainer_plan *plan,
                    char note[256], struct vj_error *err);
void vj_trainer_close(struct vj_trainer *t);

#endif
