/* SPDX-License-Identifier: MIT */
/*
 * Cross-validation folds. A fold number says which fold tests the item; what trains and what
 * validates is the evaluation's business (SUR-FeatNet: fold k tests, k + 1 validates, the rest
 * trains).
 */
#ifndef VJ_DATASETS_FOLDS_H
#define VJ_DATASETS_FOLDS_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum vj_folds_kind {
    VJ_FOLDS_NONE = 0,
    VJ_FOLDS_SURFEATNET10, /* the published 10 folds of MCL-JCI */
    VJ_FOLDS_RANDOM,       /* K seeded folds of balanced size */
    VJ_FOLDS_MANIFEST,     /* the manifest's own column */
};

enum { VJ_FOLDS_MAX = 1000 };

struct vj_folds {
    enum vj_folds_kind kind;
    int count; /* folds of VJ_FOLDS_RANDOM (2..VJ_FOLDS_MAX) and VJ_FOLDS_SURFEATNET10 (10), else 0
                */
};

/* text: "none", "surfeatnet10", "random:K", "manifest", or NULL = "none". */
int vj_folds_parse(struct vj_folds *folds, const char *text, struct vj_error *err);

/* Fold 1..10 of an MCL-JCI source 1..50 (Lin et al., SUR-FeatNet, 2020); VJ_FOLD_NONE otherwise. */
int vj_folds_surfeatnet(int source);

/*
 * fold[i] in 1..k for `count` items with distinct names; sizes differ by at most one. An item's
 * fold depends on the seed and on the set of names, not on their order. Errors: -EINVAL when k >
 * count, -ENOMEM.
 */
int vj_folds_random(int *fold, char *const *names, size_t count, int k, uint64_t seed,
                    struct vj_error *err);

#endif
