/* SPDX-License-Identifier: MIT */
/*
 * Label definitions: one picture-wise JND per source from the official stair quality function or
 * from the answers of single subjects. The definitions differ by up to 13.5 QF on average (MCL-JCI,
 * JND 1: sqf 39.58, sur75 35.18, median 26.06), so the one in force is named in words in every
 * results file.
 *
 * Convention of a subject's answer: JND q means that the subject sees the difference at QF q and
 * below, none above; 0 means that the subject sees none at any QF. Hence
 *     SUR(q) = share of subjects with JND < q     (strictly: the picture at the JND is seen).
 * This is the reading that reproduces the published table of noticing fractions of MCL-JCI in all
 * 4,950 pairs; the non-strict one fails in 711 (tests/datasets/test_labels.c).
 */
#ifndef VJ_DATASETS_LABELS_H
#define VJ_DATASETS_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/error.h"

enum vj_label {
    VJ_LABEL_NONE = 0,
    VJ_LABEL_SQF,    /* JND k = QF of the k-th drop of the stair quality function */
    VJ_LABEL_SUR50,  /* smallest QF with SUR(q) >= 50 % */
    VJ_LABEL_SUR75,  /* smallest QF with SUR(q) >= 75 % */
    VJ_LABEL_MEDIAN, /* of the subjects' JNDs; subjects without one rank below QF 1 */
    VJ_LABEL_MEAN,   /* of the subjects' JNDs; subjects without one are left out */
};

enum {
    VJ_JND_MAX = 3,         /* JND 1, 2, 3 */
    VJ_SUBJECTS_MAX = 1024, /* answers to one source */
    VJ_STAIRS_MAX = 100,    /* points of a stair quality function */
};

/* `exact` before rounding; qf = nearest integer, halves upwards (to the higher quality).
 * VJ_QF_UNKNOWN and NaN where the definition gives no QF (e.g. half the subjects have no such JND).
 */
struct vj_label_value {
    int qf;
    double exact;
};

/* Points of a stair quality function: qf[0] = 100 is the anchor, qf[k] is JND k, descending. */
struct vj_stairs {
    size_t count; /* 1..VJ_STAIRS_MAX */
    int qf[VJ_STAIRS_MAX];
    double height[VJ_STAIRS_MAX];
};

/* Answers to one source: qf[k - 1][s] = JND k of subject s, 1..100, or 0 = no such JND. */
struct vj_subjects {
    size_t count;
    int qf[VJ_JND_MAX][VJ_SUBJECTS_MAX];
};

/* name: NULL gives `fallback`; -EINVAL with the list of known names otherwise. */
int vj_label_parse(enum vj_label *label, const char *name, enum vj_label fallback,
                   struct vj_error *err);
const char *vj_label_name(enum vj_label label);

/* The definition in words for JND `jnd`, e.g. "sur75: smallest QF at which ..."; "none". */
void vj_label_describe(char *text, size_t size, enum vj_label label, int jnd);

/*
 * Reads SQF_data/Image_<n>_l_h.txt: line 1 the QFs, 100 first, strictly descending; line 2 as many
 * stair heights. Blanks in any number, CR ignored, further lines ignored.
 * Errors: -EINVAL naming file:line and value.
 */
int vj_stairs_read(struct vj_stairs *stairs, const char *path, struct vj_error *err);

/* JND `jnd` of a stair quality function. */
struct vj_label_value vj_stairs_label(const struct vj_stairs *stairs, int jnd);

/*
 * Reads JND_samples/JND_image_<nn>.txt: one subject per line, QFs descending, separated by anything
 * that is not a digit, but a sign before one or a point beside one is an error; 0 or nothing = no
 * such JND; lines without digits are skipped.
 * rows: subjects that must be there, 0 = any number.
 * jnd:  values up to this one must descend (later ones have no bearing on any label).
 * Errors: -EINVAL naming file:line and value.
 */
int vj_subjects_read(struct vj_subjects *subjects, const char *path, size_t rows, int jnd,
                     struct vj_error *err);

/* The label that `count` answers (0..100) give; NONE and SQF give VJ_QF_UNKNOWN. */
struct vj_label_value vj_label_from_answers(enum vj_label label, const int *answers, size_t count);

/* sur[q] for q = 1..100 (sur[0] = 0) of `count` answers, count >= 1. */
void vj_sur_from_answers(float sur[VJ_QF_MAX + 1], const int *answers, size_t count);

/* A whole decimal number with nothing but blanks around it; false otherwise or when not finite. */
bool vj_parse_number(const char *text, double *value);

#endif
