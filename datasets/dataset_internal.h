/* SPDX-License-Identifier: MIT */
/* What the loaders share: the registry's entries, item building, the MCL-JCI layout. */
#ifndef VJ_DATASETS_DATASET_INTERNAL_H
#define VJ_DATASETS_DATASET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "datasets/dataset.h"
#include "host/error.h"

extern const struct vj_dataset_ops vj_dataset_mcl_jci;
extern const struct vj_dataset_ops vj_dataset_konjnd_1k;
extern const struct vj_dataset_ops vj_dataset_manifest;
extern const struct vj_dataset_ops vj_dataset_folder;
extern const struct vj_dataset_ops vj_dataset_synthetic;

enum vj_candidates {
    VJ_CANDIDATES_UNSAID = 0,
    VJ_CANDIDATES_FILES,
    VJ_CANDIDATES_SYNTHESIZE,
    VJ_CANDIDATES_MIXED, /* by the item; manifests only */
};

/* NULL gives VJ_CANDIDATES_UNSAID. mixed: whether that mode is known too */
int vj_candidates_parse(enum vj_candidates *candidates, const char *text, bool mixed,
                        struct vj_error *err);
/* Notes the mode in force; UNSAID counts as SYNTHESIZE. */
void vj_candidates_record(struct vj_dataset_info *info, enum vj_candidates candidates);

/* Refuses a codec other than JPEG for data sets that have nothing else. */
int vj_require_jpeg(const struct vj_dataset_options *opt, const char *dataset,
                    struct vj_error *err);

/* Whether the codec asked for is JPEG. */
bool vj_codec_is_jpeg(const struct vj_dataset_options *opt);

/* Refuses candidates that would have to be synthesised with a codec other than JPEG. */
int vj_require_files(const struct vj_dataset_options *opt, enum vj_candidates candidates,
                     struct vj_error *err);

/* Refuses a target other than JND 1 for data sets whose labels have only that. */
int vj_require_first_jnd(const struct vj_dataset_options *opt, const char *dataset,
                         struct vj_error *err);

/* Empty item: no label, no fold. */
void vj_item_init(struct vj_item *item);

/*
 * Marks the item broken with the failure recorded in `cause`; an earlier mark stays. Returns 0, or
 * -ENOMEM with *err set.
 */
int vj_item_break(struct vj_item *item, const struct vj_error *cause, struct vj_error *err);

/*
 * Looks for the item's files: source, reference, and candidates qf_first..qf_last, with the streams
 * that were named, when `candidates`. Missing ones become NULL; whatever is missing breaks the item
 * with the first path and the number of them. Returns 0, or -ENOMEM.
 */
int vj_item_check_files(struct vj_item *item, bool candidates, int qf_first, int qf_last,
                        struct vj_error *err);

/* ---- the MCL-JCI layout, shared with `synthetic` (mcl_jci.c) ---- */

#define VJ_SYNTHETIC_FILE "SYNTHETIC.txt" /* marks a tree of procedural pictures */

struct vj_mcl_tree {
    int *ids;           /* source numbers, ascending; owned by the caller, copied */
    size_t count;       /* >= 1 */
    size_t subjects;    /* rows of every JND_samples file, 0 = any number */
    const char *labels; /* default label definition */
};

/* Checks that `root` holds the layout's folder of sources. */
int vj_mcl_check_root(const char *root, struct vj_error *err);

/* Folder of the source pictures in fresh memory: ROOT/source_images/[BMP]. */
int vj_mcl_source_folder(char **path, const char *root, struct vj_error *err);

/* Number of the source in a name of the form ImageJND_SRC<n>.bmp (at least two digits), else 0. */
int vj_mcl_source_id(const char *name);

int vj_mcl_open(void **state, const struct vj_mcl_tree *tree, const struct vj_dataset_options *opt,
                struct vj_dataset_info *info, struct vj_error *err);
size_t vj_mcl_count(const void *state);
int vj_mcl_item(const void *state, size_t index, struct vj_item *item, struct vj_error *err);
void vj_mcl_close(void *state);

#endif
