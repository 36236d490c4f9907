/* SPDX-License-Identifier: MIT */
/*
 * A results file as arrays: what eval/ computes metrics from. Used when a run ends (to fill
 * /metrics) and by every report, so that a report shows exactly what the file's columns say.
 */
#ifndef VJ_HOST_ANALYSIS_H
#define VJ_HOST_ANALYSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/metrics.h"
#include "eval/rules.h"
#include "host/error.h"
#include "host/results.h"

/* Safety offsets of the rate-damage curve, in QF. */
enum { VJ_SWEEP_FIRST = -20, VJ_SWEEP_COUNT = 41 };

struct vj_analysed_predictor {
    char *name;
    char *kind;                     /* "constant", "vpjnd", ... */
    char *note;                     /* fitted thresholds and decisions, or NULL */
    char *no_answer;                /* why images without a prediction have none, or NULL */
    bool random_weights;            /* no metrics are computed */
    int64_t seen, seen_if_released; /* attributes seen_images, seen_images_if_released, or 0 */
    size_t seen_of;                 /* images of the file that says so */
    int32_t *qf_pred;               /* [count] */
    uint8_t *lossy;                 /* [count][levels] */
    float *sur;                     /* [count][levels], or NULL */
    bool has_metrics;
    struct vj_metrics_table metrics;
    struct vj_sweep_point sweep[VJ_SWEEP_COUNT];
    int32_t *qf_tolerance; /* [count][VJ_TOLERANCE_STEPS], NULL where no tolerance is swept */
    struct vj_sweep_point tolerance[VJ_TOLERANCE_STEPS];
};

/* All arrays are owned; released by vj_analysis_free(). */
struct vj_analysis {
    size_t count; /* images */
    int levels, qf_first;
    char **name;
    char **error;         /* [count] NULL where the image is fine */
    char **source_sha256; /* [count] "" = unknown; NULL in a file that does not say */
    int32_t *status;      /* VJ_STATUS_* */
    int32_t *id, *qf_true, *fold;
    int32_t *width, *height; /* -1 unknown */
    int32_t *anchor;         /* as in struct vj_truth; NULL in a file that does not say */
    uint32_t *bytes;         /* [count][levels] */
    float *psnr_y, *ms_ssim; /* [count][levels], or NULL */
    float *sur; /* the same: fitted curves where the run has them, else the subjects as counted */
    float *
        counted; /* the same: the subjects as counted, where the run has fitted curves, else NULL */
    struct vj_analysed_predictor *predictor;
    size_t predictors;
};

/* Reads images, labels and candidates, and the predictors' answers where `answers` is set. */
int vj_analysis_load(struct vj_analysis *a, struct vj_results *results, bool answers,
                     struct vj_error *err);

/* Fills metrics and sweeps of every predictor whose weights are not random. boot: NULL = no
 * intervals */
int vj_analysis_compute(struct vj_analysis *a, const struct vj_bootstrap *boot,
                        struct vj_error *err);

/* The truth side of the arrays; borrowed from `a`. */
struct vj_truth vj_analysis_truth(const struct vj_analysis *a);

void vj_analysis_free(struct vj_analysis *a);

#endif
