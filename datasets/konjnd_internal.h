/* SPDX-License-Identifier: MIT */
/* What the two files of `konjnd-1k` share: the opened data set and its candidates' axis. */
#ifndef VJ_DATASETS_KONJND_INTERNAL_H
#define VJ_DATASETS_KONJND_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "datasets/dataset_internal.h"
#include "datasets/labels.h"
#include "host/error.h"

enum {
    KONJND_BPG_LEVELS = 49, /* level = 52 - max(q, 3): q 1, 2 and 3 are one picture */
    /* number of the first row, where rows without a source of their own are numbered: those of
     * sources have nine digits at most */
    KONJND_ROWS_FROM = 1000000001,
};

/* One half of the data set, by the codec of its candidates. */
struct konjnd_half {
    const char *type; /* as in the CSV, and in small letters in the option `codec` */
    const char *folder;
    int files;    /* candidates of a source, index 1..files */
    int levels;   /* of quality, 1..levels, 1 = worst */
    bool decoded; /* BPG: its candidates are PNGs */
};

struct konjnd_row {
    char *name;   /* "SRC0001" */
    char *error;  /* what is wrong with the row, or NULL */
    int *ratings; /* file-index units */
    size_t count; /* of ratings */
    int id;       /* of the source; 0 where the row names none, or one that an earlier row has */
};

/* Numbers of sources, in the order of the file. */
struct konjnd_numbers {
    int *id;
    size_t count, capacity;
};

struct konjnd {
    char *root;
    char *file;    /* the CSV */
    char *streams; /* folder of BPG files, or NULL */
    const struct konjnd_half *half;
    enum vj_label label;
    enum vj_candidates candidates;
    int qf_first, qf_last;
    bool reversed; /* index 1 is the best picture of JPEG, the worst of BPG: 101 - QF, 52 - q */
    struct konjnd_row *rows;
    size_t count;
    struct konjnd_numbers other_half, unknown; /* rows that are no items */
};

/* Path of the candidate with this file index, in fresh memory. */
int vj_konjnd_candidate(const struct konjnd *k, const char *name, int index, char **path,
                        struct vj_error *err);

/* File index of a level; of BPG's level 49, which has three, that of q = 3. */
int vj_konjnd_index(const struct konjnd *k, int level);

/* Level of a file index, 1..half->files. */
int vj_konjnd_level(const struct konjnd *k, int index);

/* Compression parameter -q of bpgenc of a level of BPG, 3..51. */
int vj_konjnd_bpg_q(int level);

/*
 * Finds k->reversed from the candidates' files and describes it in info->axis.
 * Errors: -ENOENT no ladder to tell from, -EINVAL ladders that cannot tell or disagree
 */
int vj_konjnd_orient(struct konjnd *k, struct vj_dataset_info *info, struct vj_error *err);

#endif
