/* SPDX-License-Identifier: MIT */
/*
 * One picture through the device: maps, candidates, scores. The engine is the same for `eval` and
 * `predict`; it knows neither data sets' labels nor results files.
 */
#ifndef VJ_HOST_ENGINE_H
#define VJ_HOST_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "eval/search.h"
#include "host/device.h"
#include "host/error.h"
#include "host/options.h"
#include "host/predictors.h"
#include "host/stream.h"

/* Seconds per picture; `read` is spent in the decode threads, beside the others. */
enum vj_stage {
    VJ_STAGE_READ,
    VJ_STAGE_SOURCE,     /* forward transform, reference planes */
    VJ_STAGE_JND,        /* pixel-JND maps */
    VJ_STAGE_REFERENCE,  /* features that do not depend on the quality factor */
    VJ_STAGE_CANDIDATES, /* pixels, sizes, image metrics, patches of all candidates */
    VJ_STAGE_NETWORK,    /* scores */
    VJ_STAGE_COUNT,
};
extern const char *const vj_stage_names[VJ_STAGE_COUNT];

/*
 * Everything measured on one picture. Arrays over quality factors have `levels` entries, level i is
 * QF qf_first + i. Values not evaluated are NaN, integers -1. Owned by vj_row_alloc()'s caller.
 */
struct vj_row {
    size_t index; /* row of the results file; the caller's */
    int status;   /* 0, or negative errno */
    char error[512];
    size_t width, height;
    char source_sha256[VJ_SHA256_HEX]; /* as in struct vj_loaded */
    int32_t candidate_files;           /* 1 files of the data set, 0 synthesised, -1 unknown */
    int64_t *bytes;
    double *psnr_y, *psnr_rgb, *ssim, *ms_ssim, *ssimulacra2;
    int32_t (*origin)[2];  /* [draws][patches] (y, x); NULL without networks */
    float **score;         /* [predictors]: [levels] or NULL; networks: mean of the draws */
    float **draw_score;    /* [predictors]: [draws][levels], networks with more than one draw */
    float **patch_quality; /* [predictors]: [draws][levels][patches], of networks */
    float **patch_weight;
    double seconds[VJ_STAGE_COUNT];
};

/* One picture on its way through the device; the engine's own. */
struct vj_passage {
    struct vj_engine *engine;
    struct vj_loaded *loaded;
    struct vj_row *row;
    bool files;     /* candidates are files, not synthesised */
    bool *wanted;   /* [plan.weights_count] networks that score it */
    bool networks;  /* whether any does */
    int64_t *bytes; /* [levels] */
    struct vj_quality_values *quality;
    double *ssimulacra2;                            /* [levels] */
    bool *measured;                                 /* [levels] by a rule that asks lazily */
    double *pixel[VJ_JND_RULES][VJ_DEVICE_JND_MAX]; /* [levels], or NULL */
    struct vj_error error;
};

struct vj_engine {
    struct vj_config config; /* copy */
    struct vj_predictors *predictors;
    struct vj_device_plan plan;  /* threads, patches etc. as in force */
    struct vj_jnd_model *loaded; /* the pixel-JND model that needs weights, where one is used */
    struct vj_device device;
    char device_note[256]; /* why `auto` did not take the GPU, or empty */
    struct vj_search_options search;
    int levels;
    /*
     * Rules on maps are measured where their searches ask, and nowhere else: lazy, every tolerance
     * given, and nobody who needs the pixels of every candidate (image metrics, thresholds on
     * them). Where somebody does, one pass measures all of them together.
     */
    bool lazy_rules;
    bool measures_all;                 /* every candidate is measured, by metrics or rules */
    const struct vj_weights **weights; /* what plan.weights points to */
    struct vj_passage *passage;        /* [slots] */
};

/*
 * Opens the device with all the memory the run needs.
 * config, max_width, max_height: what to plan for
 * predictors: borrowed until vj_engine_close(); the index of each pixel predictor's map is set
 */
int vj_engine_open(struct vj_engine *engine, const struct vj_config *config,
                   struct vj_predictors *predictors, size_t max_width, size_t max_height,
                   struct vj_error *err);
void vj_engine_close(struct vj_engine *engine);

/* Threads in force for a `threads` option: as given, or one per core. */
int vj_engine_threads(int threads);

int vj_row_alloc(struct vj_row *row, const struct vj_engine *engine, struct vj_error *err);
void vj_row_free(struct vj_row *row, const struct vj_engine *engine);

/*
 * How many of a network's patch weights are above VJ_NET_LEAST_WEIGHT. Where none of a whole run
 * is, the output that makes them is dead (docs/network.md). weights: filled with how many there
 * are: of what was scored; 0 of what is no network
 */
size_t vj_row_live_weights(const struct vj_row *row, const struct vj_engine *engine,
                           size_t predictor, size_t *weights);

/*
 * Evaluates one loaded picture in two steps, so that the device can work on the next picture while
 * this one's results are awaited: vj_engine_submit() asks for everything, vj_engine_collect() waits
 * and fills the row. Between them, loaded and row must stay as they are, and other pictures may be
 * submitted to other slots (loaded->slot, below the configuration's slots). A failure is recorded
 * in the row (status, error) and is not a failure of the run.
 *
 * row:  from vj_row_alloc(), may be reused
 * full: score every quality factor by the networks even when the configuration says lazy (while a
 *       network's positive class is still to be decided)
 */
void vj_engine_submit(struct vj_engine *engine, struct vj_loaded *loaded, bool full,
                      struct vj_row *row);
void vj_engine_collect(struct vj_engine *engine, int slot);

/*
 * Probabilities that the difference is visible, from a network's scores (logits): sigmoid(score)
 * when positive means lossy, else 1 - sigmoid(score); NaN where a score is not finite.
 */
void vj_lossy_probability(const float *score, int levels, enum vj_positive_class positive,
                          float *probability);

/*
 * Is a candidate better than the picture that candidates are compared with, a JPEG of quality
 * factor anchor_qf (0: the source itself)? JND 2 and 3 are searched below the picture at the JND
 * before; what lies above it counts as invisible, whatever a predictor says of it.
 */
static inline bool vj_above_anchor(int anchor_qf, int qf)
{
    return anchor_qf > 0 && qf > anchor_qf;
}

/* Levels of a picture that are not above its anchor: these are searched. */
int vj_levels_to_anchor(const struct vj_engine *engine, int anchor_qf);

/*
 * vj_lossy_probability() of all levels for the search, by the first predictor's positive class:
 * what is above the anchor is lossless. score, probability: [levels]
 */
void vj_search_probability(const struct vj_engine *engine, int anchor_qf, const float *score,
                           float *probability);

/* The positive class of networks that leave it open is decided on this many evaluated images. */
enum { VJ_POSITIVE_IMAGES = 4 };

/*
 * Decides what a positive score means when the weight file leaves it open: lossy where low quality
 * factors score higher than high ones, else lossless.
 * score: [images][stride] logits of evaluated images, `levels` of them; an image of which one is
 * not finite has no say; images >= 1 mean:  filled with the mean score of the lower and of the
 * upper half of the levels; NaN when no image has a say
 */
enum vj_positive_class vj_positive_from_scores(const float *score, size_t stride, size_t images,
                                               int levels, double mean[2]);

/*
 * Patch positions of one draw: uniform in [0, height-size] x [0, width-size], independent, with
 * replacement; or those of host/patch_place.h. A function of (seed, name, draw, purpose) alone.
 * even:    positions that cover the picture evenly
 * aligned: true for the positions of the picture's patches, false for the map's own
 * origin:  [patches] (y, x), written
 */
void vj_patch_positions(uint64_t seed, const char *name, int draw, bool even, bool aligned,
                        size_t width, size_t height, int size, int patches, int32_t (*origin)[2]);

#endif
