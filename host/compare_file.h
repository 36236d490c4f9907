/* SPDX-License-Identifier: MIT */
/* Several results files in one report: what `vpjnd compare` prints. */
#ifndef VJ_HOST_COMPARE_FILE_H
#define VJ_HOST_COMPARE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/text.h"
#include "host/error.h"
#include "host/report_file.h"

struct vj_compare_options {
    const char *const *path;         /* [count] results files, finished or not */
    size_t count;                    /* 2 or more */
    bool force;                      /* compare even where figures are not comparable */
    struct vj_report_options report; /* every pair is compared, unless it says otherwise */
};

/*
 * Appends one report of all predictors of all files, on the images that every file has evaluated
 * and labelled; a file without any labels, which only force lets beside one with labels, need not
 * have labelled them. Where the first file has no label, on those that every file has evaluated,
 * with what their predictions agree in instead of their errors. A file is called by its stem (its
 * path where stems are equal), and so are, as STEM/NAME, predictors whose name occurs in several
 * files; one that is to be compared with and says the same in all of them stands once, as NAME.
 * Labels, folds, sizes and qualities, and the seed of the intervals, are those of the first file.
 *
 * Errors: -EINVAL when the files differ in what makes figures comparable and force is not set;
 * *out then holds the list of what they differ in. -ENODATA when no image is in all of them.
 */
int vj_compare_files(struct vj_text *out, const struct vj_compare_options *options,
                     struct vj_error *err);

#endif
