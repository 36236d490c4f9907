/* SPDX-License-Identifier: MIT */
/*
 * What training leaves on the disk beside the best weights OUT.h5: the checkpoint OUT.h5.state,
 * with all that a resumed run needs to end in the same bits as an unbroken one, and the learning
 * curves OUT.h5.log. Both are HDF5 files, written beside their target and renamed.
 */
#ifndef VJ_HOST_TRAIN_STATE_H
#define VJ_HOST_TRAIN_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/trainer.h"
#include "host/weights.h"

/* Attribute `schema` of the learning curves. */
#define VJ_TRAIN_LOG_SCHEMA "vpjnd-training-log"

/* Steps averaged in one row of the learning curve. */
enum { VJ_TRAIN_LOG_EVERY = 10 };

/* Learning curves, one entry per row; owned. */
struct vj_train_log {
    size_t rows, rows_room; /* means over VJ_TRAIN_LOG_EVERY steps */
    int64_t *step;          /* last step of the row */
    double *loss;           /* per pair */
    double *accuracy;       /* share of pairs whose logit is on the right side */
    double *rate;           /* learning rate */
    double *seconds;        /* since the start of the process; not reproducible */
    size_t validations, validations_room;
    int64_t *validation_step;
    double *mad, *bias; /* QF, on the validation items */
};

void vj_train_log_free(struct vj_train_log *log);
int vj_train_log_add(struct vj_train_log *log, int64_t step, double loss, double accuracy,
                     double rate, double seconds, struct vj_error *err);
int vj_train_log_validation(struct vj_train_log *log, int64_t step, double mad, double bias,
                            struct vj_error *err);
/* Drops what was logged after `step`. */
void vj_train_log_cut(struct vj_train_log *log, int64_t step);

int vj_train_log_write(const struct vj_train_log *log, const char *path, const char *config,
                       struct vj_error *err);
/* log: zeroed by the caller; freed by vj_train_log_free() whatever the outcome */
int vj_train_log_read(struct vj_train_log *log, const char *path, struct vj_error *err);

/* Everything but the tensors that the next step depends on. */
struct vj_train_progress {
    int64_t step;        /* steps done */
    int64_t best_step;   /* 0: none yet */
    double best_mad;     /* QF */
    int64_t since_best;  /* validations since */
    double partial_loss; /* sums over the pairs of the log row that is not full yet */
    int64_t partial_right, partial_pairs;
};

/*
 * Copies a set of tensors out of the trainer. -EDOM, naming set and tensor, when training has run
 * away: nobody reads such a file, so that none may take the place of an earlier one.
 */
int vj_train_get(const struct vj_trainer *trainer, enum vj_train_set set, struct vj_weights *to,
                 struct vj_error *err);

/*
 * Writes the checkpoint: the trainer's four sets of tensors, the progress, and what must be the
 * same when it is resumed. scratch: shaped like the weights, overwritten
 * Errors: vj_train_get()'s, and those of writing; the file of that name is as it was then.
 */
int vj_train_state_write(const char *path, const struct vj_trainer *trainer,
                         const struct vj_train_progress *progress, const char *config,
                         const char *fingerprint, struct vj_weights *scratch, struct vj_error *err);

/*
 * Reads it back into the trainer.
 * Errors: -ENOENT when there is none; -EINVAL, naming the first option that differs, when it
 * belongs to another configuration or data set; damage names file and tensor.
 */
int vj_train_state_read(const char *path, const struct vj_trainer *trainer,
                        struct vj_train_progress *progress, const char *config,
                        const char *fingerprint, struct vj_weights *scratch, struct vj_error *err);

#endif
