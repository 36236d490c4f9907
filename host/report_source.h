/* SPDX-License-Identifier: MIT */
/* What reports read of a results file, and the rows and comparisons that they make of it. */
#ifndef VJ_HOST_REPORT_SOURCE_H
#define VJ_HOST_REPORT_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "eval/report.h"
#include "host/analysis.h"
#include "host/error.h"
#include "host/options.h"
#include "host/results.h"

/* Root attributes that every results file has as text. */
enum vj_fact {
    VJ_FACT_DATASET,
    VJ_FACT_LABELS,
    VJ_FACT_CANDIDATES,
    VJ_FACT_CODEC,
    VJ_FACT_FOLDS,
    VJ_FACT_DEVICE,
    VJ_FACT_VERSION,
    VJ_FACT_CONFIG,
    VJ_FACTS,
};

enum { VJ_REPORT_FACTS_MAX = 16 };

/* An open results file, read. Released by vj_report_source_close(), whatever the outcome. */
struct vj_report_source {
    const char *path; /* borrowed */
    struct vj_results *results;
    char *fact[VJ_FACTS];                           /* owned */
    char *axis, *excluded, *duplicates, *rows_from; /* owned; NULL in a file that does not say */
    struct vj_report_fact provenance[VJ_REPORT_FACTS_MAX]; /* values owned */
    size_t provenances;
    uint64_t seed;
    int64_t complete, human_labels;
    double images_per_second; /* 0 = not measured */
    struct vj_report_patches patches;
    char *measured, *resume; /* owned; as in struct vj_report, of an unfinished file, else NULL */
    struct vj_config config;
    struct vj_analysis analysis;
};

/* Reads a results file, finished or not; source zeroed by the caller. The error names the file. */
int vj_report_source_open(struct vj_report_source *source, const char *path, struct vj_error *err);
void vj_report_source_close(struct vj_report_source *source);

/* Rows of a report and the comparisons between them; released by vj_report_tables_free(). */
struct vj_report_tables {
    struct vj_report_row *row; /* one per predictor of the analysis, strings borrowed from it */
    size_t rows;
    struct vj_report_comparison *comparison;
    size_t comparisons;
    struct vj_report_agreement *agreement; /* instead of comparisons, where no image has a label */
    size_t agreements;
};

/* Which pairs of predictors are compared; any other number is the one that all others are held
 * against. */
enum {
    VJ_AGAINST_FIRST = -1, /* the first that has metrics */
    VJ_AGAINST_ALL = -2,   /* every one with every other */
};

/*
 * Which pairs a name stands for: a predictor that all others are held against, "all" for every
 * pair, NULL for `otherwise`.
 * Errors: -EINVAL for a name that no predictor of the analysis has, or one with random weights.
 */
int vj_report_against(int *against, const struct vj_analysis *analysis, const char *name,
                      int otherwise, struct vj_error *err);

/*
 * Computes the metrics of every predictor and compares them.
 * tables: zeroed by the caller; images_per_second is left 0
 * against: VJ_AGAINST_* or the index of a predictor that has metrics
 */
int vj_report_tables_make(struct vj_report_tables *tables, struct vj_analysis *analysis,
                          const struct vj_bootstrap *boot, int against, struct vj_error *err);
void vj_report_tables_free(struct vj_report_tables *tables);

/* The report's fields that a single file, or the first of several, decides. Strings are borrowed.
 */
void vj_report_fill(struct vj_report *report, const struct vj_report_source *source,
                    const struct vj_analysis *analysis, const struct vj_report_tables *tables);

/* How results files are resampled: their own seed and number of resamples. */
struct vj_bootstrap vj_report_bootstrap(const struct vj_report_source *source);

#endif
