/* SPDX-License-Identifier: MIT */
/* One evaluation run: a data set in, a results file out. */
#ifndef VJ_HOST_RUN_H
#define VJ_HOST_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/options.h"

struct vj_run_options {
    const struct vj_config *config;
    const char *output; /* results file; OUTPUT.part while the run goes on */
    bool
        resume; /* go on with OUTPUT.part where there is one, leave a finished OUTPUT of this run */
    const char *command_line;     /* recorded */
    const char *const *rows_from; /* [rows_from_count] results files whose rows are taken over */
    size_t rows_from_count;
};

struct vj_run_summary {
    size_t images, failed, resumed;
    size_t dead; /* networks all of whose patch weights were the smallest there is */
    double seconds;
};

/*
 * Runs it. Failed images do not fail the run: they are counted, named on standard error, and
 * recorded. A failure of the machine does: no memory or file handles, or a data set that is not
 * there any more; OUTPUT.part stays. So it does when every image failed and OUTPUT is there
 * already. Where `device = auto` did not take the GPU, why is said there too, and which networks'
 * patch weights are dead. An existing results file OUTPUT is replaced when the run is complete
 * (with `resume` it must be this run's and stays), any other file is refused; an existing
 * OUTPUT.part without `resume` is an error, so that hours of work are not lost to a forgotten flag.
 * Images that a file of `rows_from` has are not evaluated (host/rows_from.h): how many is said on
 * standard error, and the files are recorded when OUTPUT.part is made.
 */
int vj_run_eval(const struct vj_run_options *options, struct vj_run_summary *summary,
                struct vj_error *err);

#endif
