/* SPDX-License-Identifier: MIT */
/* The images and predictors that several results files have in common, found by name. */
#ifndef VJ_HOST_COMPARE_MATCH_H
#define VJ_HOST_COMPARE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "eval/report.h"
#include "host/error.h"
#include "host/report_source.h"

/* Rows of a results file by the name of their image. */
struct vj_image_index {
    const struct vj_analysis *analysis; /* borrowed */
    size_t *row;                        /* [analysis->count] in the order of the names, owned */
    bool labelled;                      /* some image has a label */
};

int vj_image_index_make(struct vj_image_index *index, const struct vj_analysis *analysis,
                        struct vj_error *err);
void vj_image_index_free(struct vj_image_index *index);

/* Row of an image, or -1. */
ssize_t vj_image_index_find(const struct vj_image_index *index, const char *name);

/* A run's predictor of that name, or NULL. */
const struct vj_analysed_predictor *vj_predictor_named(const struct vj_analysis *analysis,
                                                       const char *name);

/* Released by vj_matching_free(). */
struct vj_matching {
    bool labelled; /* some image of the first run has a label */
    size_t images; /* in every run and usable there, in the order of the first */
    size_t *row;   /* [images][runs] the image's row in each run */
    struct vj_report_left_out *left_out; /* all others, with the first reason; reasons are owned */
    size_t left_outs;
};

/*
 * Usable images are evaluated and, where the first run has labels, labelled in every run that has
 * any: those of the first are the truth, and a run without any has none to disagree with.
 * matching:   zeroed by the caller
 * index, run: [runs]; run[k].name stands for the file in reasons
 */
int vj_matching_make(struct vj_matching *matching, const struct vj_image_index *index,
                     const struct vj_report_run *run, size_t runs, struct vj_error *err);
void vj_matching_free(struct vj_matching *matching);

#endif
