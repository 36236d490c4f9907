/* SPDX-License-Identifier: MIT */
/* Someone else's results as a predictor: a CSV file of predictions, of scores or of a measure. */
#ifndef VJ_HOST_EXTERNAL_H
#define VJ_HOST_EXTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"
#include "host/sha256.h"

/* What a file says, as the header has it. */
enum vj_external_form {
    VJ_EXTERNAL_QF = 0,     /* qf_pred: a quality factor for each image */
    VJ_EXTERNAL_SCORE,      /* the probability that a candidate's difference is visible */
    VJ_EXTERNAL_QUALITY,    /* a measure of each candidate, the higher the better */
    VJ_EXTERNAL_DISTORTION, /* the higher the worse */
    VJ_EXTERNAL_FORMS,
};

/* Name of the column that tells the form. */
const char *vj_external_column(enum vj_external_form form);

/* One image's results. */
struct vj_external_row {
    char *image;  /* as written; owned */
    int qf;       /* predicted quality factor; VJ_QF_UNKNOWN without one, or in the other forms */
    float *score; /* [101], index = quality factor: the number of the other forms, NaN without one;
                     NULL when qf is given; owned */
};

struct vj_external_stem;

struct vj_external {
    struct vj_external_row *row; /* sorted by image */
    struct vj_external_stem
        *stem; /* [count], sorted by the images' names without folder and suffix */
    size_t count;
    size_t folder; /* bytes of the folder that all names begin with, its slash included */
    enum vj_external_form form;
    size_t rounded;             /* predictions that were no whole numbers */
    char sha256[VJ_SHA256_HEX]; /* of the file */
};

/*
 * Reads `image,qf_pred` (a number from 1 to 100; others than whole ones are rounded, halves
 * upwards) or, with one row for each quality factor, `image,qf,score` (from 0 to 1: the probability
 * that the difference is visible), `image,qf,quality` or `image,qf,distortion` (any number that a
 * float holds). An empty cell means the same as no such row: no answer.
 * external: zeroed; to be freed after a failure, too
 * Errors: -ENOENT and others from reading, -EINVAL with file and line, -ENOMEM
 */
int vj_external_read(struct vj_external *external, const char *path, struct vj_error *err);

/* Has each candidate a number of its own? */
static inline bool vj_external_has_scores(const struct vj_external *external)
{
    return external->form != VJ_EXTERNAL_QF;
}

/* Does that number say nothing until a threshold is fitted to it? */
static inline bool vj_external_is_measure(const struct vj_external *external)
{
    return external->form == VJ_EXTERNAL_QUALITY || external->form == VJ_EXTERNAL_DISTORTION;
}

/*
 * The row of an image: the one with its name; else the only one of that name below a folder that
 * all rows lie in ("photos/sub/a.png" is sub/a.png where all begin with "photos/"); else the only
 * one whose name is the same without folder and suffix ("out/a.bmp", "a.png" and "a" are); else
 * NULL.
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
