/* SPDX-License-Identifier: MIT */
/*
 * Data sets: one file per data set behind one small table of functions, and the registry of them.
 *
 * A data set is a list of items: where the pictures of one source lie, and what people said of
 * them. This room knows files and labels; it decodes no pixels and knows neither devices nor
 * networks.
 */
#ifndef VJ_DATASETS_DATASET_H
#define VJ_DATASETS_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum {
    VJ_QF_MAX = 100,     /* quality factors are 1..100; so are another codec's levels, 1 = worst */
    VJ_QF_UNKNOWN = -1,  /* no label */
    VJ_FOLD_NONE = -1,   /* item belongs to no fold */
    VJ_LEVELS_MAX = 101, /* candidate levels of any codec */
};

/* One source picture with its candidates and labels. All strings are owned by the item. */
struct vj_item {
    char *name; /* unique in the data set, stable: keys random numbers and results rows */
    /* unique in the data set: its own number (MCL-JCI: 1..50; KonJND-1k: 1..1008), else row + 1 */
    int id;
    char *source; /* pristine picture (MCL-JCI: the BMP); the pixel-JND map is made from it */
    /* What the candidates are compared with. anchor_qf = 0: the source itself, reference is NULL.
     * anchor_qf = 1..100: a JPEG of that QF; `reference` names its file (MCL-JCI: the QF 100 JPEG),
     * or is NULL when candidates are synthesised: then the evaluator encodes it like a candidate.
     */
    int anchor_qf;
    char *reference;
    /* candidate[q] for q in qf_first..qf_last: path of the file at quality factor q, or NULL where
     * there is none; all NULL when candidates are synthesised. */
    char *candidate[VJ_LEVELS_MAX + 1];
    /* Whether the candidates are decoded pictures (PNG, ...) of a codec other than JPEG. Their
     * rates are then the sizes of the compressed files stream[q], unknown where that is NULL. */
    bool decoded;
    char *stream[VJ_LEVELS_MAX + 1];
    int qf_true;     /* PW-JND quality factor in the label definition in force, or VJ_QF_UNKNOWN */
    double qf_exact; /* the same before rounding (a mean, a median of two); NaN when unknown */
    int fold;        /* 1..K, or VJ_FOLD_NONE */
    bool has_sur;    /* sur[] is valid */
    /* sur[q]: share of subjects who see no difference at q, 1..100 (index 0 unused) */
    float sur[VJ_QF_MAX + 1];
    int status;  /* 0, or negative errno: the item is listed but cannot be evaluated */
    char *error; /* text when status != 0, else NULL */
};

/* What the user asked of a data set; strings are borrowed. */
struct vj_dataset_options {
    const char *root; /* folder, or CSV file for `manifest` */
    /* "sqf", "sur50", "sur75", "median", "mean", "none", or NULL = the data set's own default */
    const char *labels;
    const char *candidates; /* "files", "synthesize", "mixed"; NULL = the data set's default */
    const char *codec;      /* of the candidates; NULL = "jpeg" */
    const char *streams;    /* konjnd-1k: folder of the compressed files of a codec; or NULL */
    const char *folds;      /* "none", "surfeatnet10", "random:K", "manifest"; NULL = "none" */
    int jnd;                /* which JND is the target: 1, 2, 3 (0 = 1) */
    int qf_first, qf_last;  /* range of candidate QFs wanted; both 0 = 1..100 */
    uint64_t seed;          /* for random folds */
};

/* Facts of an opened data set, recorded in the results file. Strings are owned by the data set. */
struct vj_dataset_info {
    char dataset[32];           /* registry name */
    char label_definition[160]; /* "sqf: ..." in words, "none" without labels */
    char codec[16];             /* "jpeg", "bpg", ... */
    char candidates[16];        /* "files", "synthesize" or "mixed", as in force */
    char folds[32];             /* as in force */
    char fingerprint[65];       /* SHA-256 (hex) of what datasets/dataset.c lists there */
    char axis[160];             /* what was found of the axis' orientation, "" if nothing */
    /* What was found and is no part of the data set, counted and named: rows of a label file, a
     * manifest's columns of other names, a folder's files that are no pictures; "" = nothing. */
    char excluded[8192];
    int anchor_qf;     /* QF of the picture that JND 1 is searched from; 0 = the source itself */
    bool human_labels; /* false for synthetic observers (reports must say so) and without labels */
};

struct vj_dataset;

/* The small table each data set implements. `state` is the implementation's own. */
struct vj_dataset_ops {
    const char *name;        /* "mcl-jci" */
    const char *description; /* one line for `--help` and `vpjnd devices`-like listings */
    /* opt: checked and completed by vj_dataset_open (root present, jnd and QF range filled in). */
    int (*open)(void **state, const struct vj_dataset_options *opt, struct vj_dataset_info *info,
                struct vj_error *err);
    size_t (*count)(const void *state);
    /* Fills *item, which comes without label and fold (strings allocated for the caller). A broken
     * item is not a failure of this call: it sets item->status and item->error. May be called from
     * several threads at once. */
    int (*item)(const void *state, size_t index, struct vj_item *item, struct vj_error *err);
    void (*close)(void *state);
};

/* NULL-terminated registry. */
extern const struct vj_dataset_ops *const vj_datasets[];

/*
 * Opens a data set by registry name. The error of an unknown name lists the known ones.
 * *ds is owned by the caller (vj_dataset_close).
 */
int vj_dataset_open(struct vj_dataset **ds, const char *name, const struct vj_dataset_options *opt,
                    struct vj_error *err);
size_t vj_dataset_count(const struct vj_dataset *ds);
const struct vj_dataset_info *vj_dataset_info(const struct vj_dataset *ds);
/* index < count; the caller releases the item with vj_item_free(). */
int vj_dataset_item(const struct vj_dataset *ds, size_t index, struct vj_item *item,
                    struct vj_error *err);
void vj_dataset_close(struct vj_dataset *ds);
void vj_item_free(struct vj_item *item);

#endif
