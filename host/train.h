/* SPDX-License-Identifier: MIT */
/*
 * One training run: a labelled data set in, a weight file out (spec network.md, "Training").
 *
 * Beside the weight file OUT it keeps OUT.state, the checkpoint that --resume goes on from, and
 * OUT.log, the learning curves (host/train_state.h). OUT holds the best weights so far: the moving
 * average that had the smallest MAD on the validation items; without these, the latest.
 */
#ifndef VJ_HOST_TRAIN_H
#define VJ_HOST_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/error.h"
#include "host/options.h"

struct vj_train_options {
    const struct vj_config *config;    /* made for VJ_USE_TRAIN */
    const char *output;                /* OUT, the weight file */
    bool resume;                       /* go on with OUT.state where there is one */
    const volatile sig_atomic_t *stop; /* not 0: end after the step; NULL: never */
    bool quiet;                        /* no progress on standard error, but why there is no GPU */
};

struct vj_train_summary {
    int64_t steps;     /* done, those of resumed runs included */
    int64_t resumed;   /* of these, done before this run */
    int64_t best_step; /* 0: no validation */
    double best_mad;   /* QF; NaN without validation */
    bool stopped;      /* by `patience` */
    bool interrupted;  /* by options.stop; --resume goes on */
    bool dead_weights; /* at the last validation every patch weight was the smallest there is */
    size_t train_items, validation_items;
    size_t broken_items;              /* left out of both, as cannot be read */
    double seconds, pairs_per_second; /* of this process */
};

/*
 * Runs it. An existing OUT.state without `resume` is an error, so that hours of work are not lost
 * to a forgotten flag. A run cut off at any moment and resumed ends in the same weights, bit for
 * bit, as one that was never cut off (on the same device and libraries). Errors: the
 * configuration's and the data's; -EDOM when the loss is no longer finite.
 */
int vj_train_run(const struct vj_train_options *options, struct vj_train_summary *summary,
                 struct vj_error *err);

#endif
