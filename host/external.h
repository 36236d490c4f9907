/* SPDX-License-Identifier: MIT */
/* Someone else's results as a predictor: a CSV file of predictions or of scores. */
#ifndef VJ_HOST_EXTERNAL_H
#define VJ_HOST_EXTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/sha256.h"

/* One image's results. */
struct vj_external_row {
    char *image; /* as written; owned */
    int qf;      /* predicted quality factor; VJ_QF_UNKNOWN without one, or when scores are given */
    float *score; /* [101], index = quality factor, NaN without one; NULL when qf is given; owned */
};

struct vj_external_stem;

struct vj_external {
    struct vj_external_row *row; /* sorted by image */
    struct vj_external_stem
        *stem; /* [count], sorted by the images' names without folder and suffix */
    size_t count;
    bool has_scores;
    size_t rounded;             /* predictions that were no whole numbers */
    char sha256[VJ_SHA256_HEX]; /* of the file */
};

/*
 * Reads `image,qf_pred` (a number from 1 to 100; others than whole ones are rounded, halves
 * upwards) or `image,qf,score` (one row for each quality factor, from 0 to 1: the probability that
 * the difference is visible). An empty qf_pred or score means the same as no such row: no answer.
 * external: zeroed; to be freed after a failure, too
 * Errors: -ENOENT and others from reading, -EINVAL with file and line, -ENOMEM
 */
int vj_external_read(struct vj_external *external, const char *path, struct vj_error *err);

/*
 * The row of an image: the one with its name, else the only one whose name is the same without
 * folder and suffix ("out/a.bmp", "a.png" and "a" are), else NULL.
 */
const struct vj_external_row *vj_external_find(const struct vj_external *external,
                                               const char *image);

/*
 * Refuses a file of which no row is an image's, one row fits several images, or several rows fit
 * one image.
 * path: of the file, for errors; image: [count] names. Errors: -EINVAL, -ENOMEM
 */
int vj_external_check(const struct vj_external *external, const char *path, char *const *image,
                      size_t count, struct vj_error *err);

void vj_external_free(struct vj_external *external);

#endif
