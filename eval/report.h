/* SPDX-License-Identifier: MIT */
/*
 * Reports of a run, or of several side by side: a text table and a web page for people, CSV and
 * JSON for programs. The caller fills the structs from results files; every string and array is
 * borrowed.
 */
#ifndef VJ_EVAL_REPORT_H
#define VJ_EVAL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/agreement.h"
#include "eval/metrics.h"
#include "eval/text.h"
#include "host/error.h"

/* One predictor. */
struct vj_report_row {
    const char *name;      /* "constant", "vpjnd-best", ... */
    const char *note;      /* one line under the table, e.g. fitted thresholds; NULL = none */
    const char *no_answer; /* why tested images without a prediction have none; NULL = not known */
    bool random_weights;   /* no accuracy is printed or written, only the throughput */
    const struct vj_metrics_table *metrics; /* NULL = none (random weights, no labels) */
    double images_per_second;               /* <= 0 or NaN = not measured */
    const int32_t *qf_pred;                 /* [images] -1 none; NULL = no per-image table for it */
    /* [images][qf_last - qf_first + 1] its answers: 1 lossy, 0 lossless, 255 none; NULL = none */
    const uint8_t *lossy;
    const struct vj_sweep_point *sweep; /* [sweep_count], NULL = none */
    size_t sweep_count;
    const struct vj_sweep_point *tolerance; /* [tolerance_count] over tolerances, NULL = none */
    size_t tolerance_count;
    /* Pictures of its results file that made the weights which judge them: no test. 0 = none known.
     */
    size_t seen, seen_of;
    bool seen_if_released; /* so far only if the weights are the released checkpoint */
};

/* Two predictors of `row`, compared. */
struct vj_report_comparison {
    size_t a, b; /* indices into row[] */
    struct vj_comparison result;
    double wilcoxon_p_holm; /* result.wilcoxon.p corrected for all comparisons of the report */
};

/* Two predictors of `row` where no image has a label. */
struct vj_report_agreement {
    size_t a, b; /* indices into row[] */
    struct vj_agreement result;
};

/* Where a results file comes from: one of its attributes. */
struct vj_report_fact {
    const char *name;  /* of the attribute */
    const char *label; /* the same for people */
    const char *value; /* may have several lines */
};

/* How the patches that the networks of a results file see were sampled: alike for all of them. */
struct vj_report_patches {
    int count;    /* from each picture in each draw; 0 = no network in the file */
    int size;     /* side in pixels */
    int draws;    /* independent sets of positions */
    bool even;    /* covering the picture evenly from a random start, else independent */
    bool own_map; /* those of the pixel-JND map have positions of their own */
};

/* One of several results files whose predictors stand in one report. */
struct vj_report_run {
    const char *name; /* stands for the file in lists and before predictors of equal names */
    const char *path;
    const char *program_version;
    const char *device;
    uint64_t seed;
    struct vj_report_patches patches;
    bool complete;
    size_t images; /* in the file */
    const struct vj_report_fact *fact;
    size_t facts;
};

/* A field in which the runs are not all alike. */
struct vj_report_difference {
    const char *field;        /* "seed", "label_definition", ... */
    bool barrier;             /* figures across it are not comparable; --force went over it */
    const char *const *value; /* [runs] in words; NULL where a file has none */
};

/* An image that is in some run and in no figure of the report. */
struct vj_report_left_out {
    const char *name;
    const char *reason;
};

/* A figure that others published. Empty strings stand for what the source does not say. */
struct vj_report_published {
    const char *model;
    const char *dataset; /* registry name where there is one */
    const char *codec;
    const char *metric;  /* as its source calls it; "curve_..." belongs to a rate-damage curve */
    const char *printed; /* the value, with the digits of its source */
    const char *spread;  /* its uncertainty likewise; empty = none stated */
    const char *units;
    const char *labels; /* label definition */
    const char *source;
    const char *note;   /* what the source leaves undefined */
    double value;       /* the same as a number */
    double uncertainty; /* as stated; NaN = none */
    bool below;         /* the true value is smaller than the one given */
    int jnd;            /* 1..3; 0 = not stated */
    int point;          /* of a curve, from 1; 0 = not of a curve */
};

struct vj_report {
    const char *dataset;
    const char *label_definition; /* as in the results file, e.g. "sqf: first drop of ..." */
    bool human_labels;            /* false: a sentence says that nobody looked at these pictures */
    const char *candidates;       /* "files", "synthesize" or "mixed" */
    const char *codec;            /* "jpeg" */
    const char *folds;            /* "none", "surfeatnet10", ... */
    const char *axis;       /* how file numbers became quality factors; NULL or "" = no matter */
    const char *excluded;   /* what of the data set is no item, in words; likewise */
    const char *duplicates; /* which images are the same picture, in words; likewise */
    const char *rows_from;  /* files whose images were taken over, in words; likewise */
    int qf_first, qf_last;
    uint64_t seed;
    struct vj_report_patches patches; /* of one file; of several each has its own */
    const char *device;
    size_t pending; /* images that an unfinished run has not evaluated yet */
    const char *results_file;
    const char *program_version;
    const struct vj_report_fact *fact; /* of one file; of several each has its own */
    size_t facts;
    /* false: a run that goes on or was cut short. The report then says how far it is and how to
     * finish it, and has no table of predictions or figures, which are made at the end. */
    bool complete;
    const char *measured; /* of an unfinished run: what its file holds of pictures that are done */
    const char *resume;   /* of an unfinished run: the command that finishes it; NULL = not known */
    double confidence;    /* of the intervals, e.g. 0.95 */
    size_t resamples;     /* bootstrap resamples, 0 = no intervals */

    size_t images;                 /* all images of the run */
    const char *const *image_name; /* [images] */
    const int32_t *image_fold;     /* [images] -1 none; NULL = none */
    const int32_t *qf_true;        /* [images] -1 unknown; NULL = no labels */
    const int32_t *anchor; /* [images] quality factor of the anchor; NULL or 0 = the source */
    const int32_t *image_width, *image_height; /* [images] of the source, -1 unknown; or NULL */
    const uint32_t *bytes;       /* [images][qf_last - qf_first + 1] 0 unknown; NULL = none known */
    const int32_t *image_status; /* [images] 0 fine, 1 failed, -1 pending; NULL = none failed */
    const char *const *image_error; /* [images] of a failed one; NULL = not known */

    const struct vj_report_row *row;
    size_t rows;
    const struct vj_report_comparison *comparison;
    size_t comparisons;
    const struct vj_report_agreement *agreement; /* instead of comparisons, without labels */
    size_t agreements;

    /*
     * A comparison of several results files: label, candidates and what follows from them are those
     * of run[0]. All NULL and 0 in the report of one file.
     */
    const struct vj_report_run *run;
    size_t runs;
    const struct vj_report_difference *difference;
    size_t differences;
    const struct vj_report_left_out *left_out;
    size_t left_outs;

    /* Others' figures, shown in tables of their own; published_file NULL = not asked for. */
    const char *published_file;
    const struct vj_report_published *published;
    size_t publisheds;

    size_t columns; /* of the text report's lines, 0 = VJ_REPORT_COLUMNS */
};

/* Sections of the text report beside header, accuracy table, throughput and failures. */
enum vj_report_sections {
    VJ_REPORT_METRICS = 1 << 0, /* every metric of every predictor with its interval */
    VJ_REPORT_FOLDS = 1 << 1,   /* MAD per fold */
    VJ_REPORT_SWEEP = 1 << 2,   /* rate-damage curves, every fifth safety offset */
    VJ_REPORT_IMAGES = 1 << 3,  /* per image: PW-JND / smallest lossless QF of every predictor; of
                                   an unfinished run: whether it is done */
};

/*
 * Longest line of the text report, long words of the caller aside: where the caller gives none, and
 * of sentences in any case.
 */
enum { VJ_REPORT_COLUMNS = 100 };

/*
 * -EINVAL when a comparison names a predictor that is not there or has random weights; the
 * functions below check it themselves.
 */
int vj_report_check(const struct vj_report *report, struct vj_error *err);

/*
 * Appends the text report: plain ASCII but for the caller's strings. "-" stands for what is absent.
 * sections: sum of enum vj_report_sections
 *
 * Errors: as vj_report_check(), -ENOMEM.
 */
int vj_report_text(struct vj_text *out, const struct vj_report *report, unsigned sections,
                   struct vj_error *err);

/*
 * Appends what the runs of a comparison differ in, field by field with each file's value; nothing
 * when there is no difference. vj_report_text() has it as one of its sections.
 */
void vj_report_differences(struct vj_text *out, const struct vj_report *report);

/*
 * Appends a CSV table (RFC 4180, CRLF), one line per predictor, fold and metric present:
 * predictor,fold,metric,value,ci_low,ci_high,n,units; fold is empty for pooled values, the
 * interval's fields are empty where there is none. Predictors with random weights have one line,
 * images_per_second. Of weights that are known to have been made from images of the run there is
 * seen_images (seen_images_if_released where that depends on which weights they are) with n images
 * in its file. Two predictors that were compared follow as "a - b": mad_difference,
 * pair_accuracy_difference, wilcoxon_p, wilcoxon_p_holm, mcnemar_p, nearer_a, nearer_b, tied;
 * without labels the names of vj_agreement_info().
 */
int vj_report_csv(struct vj_text *out, const struct vj_report *report, struct vj_error *err);

/*
 * Appends a CSV table of predictions, one line per predictor and image: predictor, image, fold,
 * qf_true, qf_pred, smallest_lossless_qf, failure (why there is no prediction), qf_error
 * (predicted - true), bytes of the candidate at the smallest lossless QF, saving (what it saves
 * against the highest QF, a share), bits_per_pixel; unknown fields are empty.
 */
int vj_report_images_csv(struct vj_text *out, const struct vj_report *report, struct vj_error *err);

/*
 * Appends a CSV table of rate-damage curves, one line per predictor, point and quantity present:
 * predictor,axis,at,metric,value,n,units. `at` is the safety offset (axis = offset, in QF) or, of a
 * rule on a pixel-JND map, its tolerance (axis = tolerance, in the units of its score). Predictors
 * with random weights have none.
 */
int vj_report_sweep_csv(struct vj_text *out, const struct vj_report *report, struct vj_error *err);

/*
 * Appends one JSON object (RFC 8259) with everything in *report. Others' figures stand under the
 * key "published", never among the predictors. Absent metrics are absent keys; no NaN or infinity
 * is ever written.
 */
int vj_report_json(struct vj_text *out, const struct vj_report *report, struct vj_error *err);

/*
 * Appends a web page with everything in *report: one file with its style and its charts (SVG) in
 * it, no script, nothing to load. Predictors are sorted by MAD and the first six, and the first six
 * rules with several tolerances, have a colour of their own. Of the pictures it lists the 200 with
 * the largest mean error, without labels the first 200, and the first 200 of those that failed or
 * are left out; its size does not grow with the images beyond that.
 * Errors: as vj_report_check(), -ENOMEM.
 */
int vj_report_html(struct vj_text *out, const struct vj_report *report, struct vj_error *err);

/*
 * Appends LaTeX tables (package booktabs) of accuracy and, where predictors were compared, of
 * differences, each with a caption that says what its figures rest on: data set, labels, folds,
 * intervals, predictors whose figures are no test. Columns that no predictor has are left out.
 * Errors: as vj_report_check(), -ENOMEM.
 */
int vj_report_latex(struct vj_text *out, const struct vj_report *report, struct vj_error *err);

#endif
