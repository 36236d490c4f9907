/* SPDX-License-Identifier: MIT */
/* Values with a meaning of their own in the arrays that this room takes and gives; folds. */
#ifndef VJ_EVAL_COMMON_H
#define VJ_EVAL_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum {
    VJ_EVAL_UNKNOWN = -1,      /* qf_true: no label; qf_pred: not evaluated; fold: none */
    VJ_EVAL_QF_MAX = 1023,     /* largest quality factor of any codec's scale, labels included */
    VJ_LOSSY_UNANSWERED = 255, /* a level whose answer is not known */
};

/* Fold of an image; VJ_EVAL_UNKNOWN for a negative number or without folds (NULL). */
static inline int32_t vj_fold_of(const int32_t *fold, size_t image)
{
    return fold && fold[image] >= 0 ? fold[image] : VJ_EVAL_UNKNOWN;
}

/*
 * The folds that occur, each once, ascending.
 *
 * fold:  [count]; NULL = no folds
 * list:  *list is owned by the caller (free()); NULL on failure
 * folds: how many there are, 0 when no image carries one
 *
 * Errors: -ENOMEM.
 */
int vj_list_folds(int32_t **list, size_t *folds, const int32_t *fold, size_t count,
                  struct vj_error *err);

#endif
