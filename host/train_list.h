/* SPDX-License-Identifier: MIT */
/*
 * The pictures of training as the data set describes them: where they lie, what their candidates
 * are compared with, at which quality factor the difference becomes visible. No pixels.
 */
#ifndef VJ_HOST_TRAIN_LIST_H
#define VJ_HOST_TRAIN_LIST_H

#include <stddef.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/options.h"
#include "host/sha256.h"

enum { VJ_TRAIN_ANCHORS_MAX = 3 };      /* JND 1, 2, 3, as the option jnd */
enum { VJ_LOSS_VISUAL_IMPORTANCE = 1 }; /* option loss */

/* What candidates are compared with: that of JND 1, the picture at JND 1, the picture at JND 2. */
struct vj_train_anchor {
    int jnd;         /* which JND the label is, 1..3 */
    int qf;          /* 0 = the source itself, else its JPEG at this quality factor */
    char *reference; /* file of the anchor, or NULL: the source, or synthesised; owned */
    int first, last; /* quality factors that are compared with it, first <= last */
    int boundary;    /* the label: lossy where qf <= boundary; may lie outside first..last */
};

struct vj_train_picture {
    size_t item; /* index in the data set */
    char *name;  /* owned */
    size_t width, height;
    size_t anchors;                                      /* >= 1 */
    struct vj_train_anchor anchor[VJ_TRAIN_ANCHORS_MAX]; /* in the order of their JNDs */
};

struct vj_train_list {
    struct vj_train_picture *picture; /* [count], owned */
    size_t count;
    /* Of the data set as opened for other JNDs than config->jnd; "" where it was not. */
    char fingerprint[VJ_TRAIN_ANCHORS_MAX][VJ_SHA256_HEX];
};

/*
 * Reads what the data set says of the pictures, and the headers of all files that training will
 * read: whatever is missing, of the wrong size or without a label is an error now.
 *
 * With anchors = first a picture has the anchor of the JND that the data set was opened for
 * (config->jnd). With anchors = levels it has those of JND 1, 2 and 3, as far as the data set knows
 * them; left out is one whose JND lies below qf_first, or not below the anchor (labels such as
 * `mean` are not always in order).
 *
 * list:       zeroed by the caller; released with vj_train_list_free() whatever the outcome
 * item:       [count] indices into ds
 * patch_size: smallest side that a picture may have
 * threads:    files looked at at the same time
 * Errors: name the picture and the file.
 */
int vj_train_list_read(struct vj_train_list *list, const struct vj_config *config,
                       const struct vj_dataset *ds, const size_t *item, size_t count,
                       size_t patch_size, int threads, struct vj_error *err);
void vj_train_list_free(struct vj_train_list *list);

#endif
