/* SPDX-License-Identifier: MIT */
/*
 * The list of predictors of a run: parsed from the `predictors` option, each with the name it
 * carries in the results file. What a predictor needs from the device follows from the list; how
 * scores become one quality factor is eval/'s business.
 */
#ifndef VJ_HOST_PREDICTORS_H
#define VJ_HOST_PREDICTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/rules.h"
#include "host/error.h"
#include "host/external.h"
#include "host/jnd_map.h"
#include "host/jnd_rules.h"
#include "host/weights.h"

enum vj_predictor_kind {
    VJ_PREDICTOR_CONSTANT, /* median label outside the image's fold */
    VJ_PREDICTOR_PSNR,     /* lossy where PSNR-Y is below a threshold */
    VJ_PREDICTOR_SSIM,
    VJ_PREDICTOR_MS_SSIM,
    VJ_PREDICTOR_SSIMULACRA2,
    VJ_PREDICTOR_PIXEL,    /* a rule on a pixel-JND map, host/jnd_rules.h */
    VJ_PREDICTOR_RATIO,    /* a line in the logarithm of the compression ratio at one QF */
    VJ_PREDICTOR_EXTERNAL, /* someone else's results, from a CSV file */
    VJ_PREDICTOR_NETWORK,  /* VP-JNDnet */
    VJ_PREDICTOR_FOLDS,    /* the same cross-validated: one weight file for each test fold */
};

struct vj_predictor {
    enum vj_predictor_kind kind;
    char name[128]; /* unique in the run: group name in the results file */
    char kind_name[32];
    bool fit;                             /* threshold is fitted on training folds */
    double threshold;                     /* else this one */
    const struct vj_jnd_model *jnd_model; /* VJ_PREDICTOR_PIXEL */
    size_t jnd_variant;
    enum vj_jnd_rule jnd_rule;
    int ratio_qf;                          /* RATIO: quality factor of the ratio */
    int jnd;                               /* index of the map in the device plan */
    char path[1024];                       /* EXTERNAL, NETWORK: the file; FOLDS: the pattern */
    size_t network;                        /* NETWORK, FOLDS: (first) index among all networks */
    int *fold;                             /* FOLDS: [folds] rising; network + i is fold[i]'s */
    size_t folds;                          /* FOLDS: those that occur among the images */
    enum vj_positive_class positive_class; /* networks: in force; AUTO until it is decided */
    bool positive_auto;                    /* it was left to the harness to decide */
    struct vj_external external;
};

struct vj_predictors {
    struct vj_predictor *list;
    size_t count;
    struct vj_weights *weights; /* of the networks, in order */
    size_t networks;
};

/*
 * Parses the list and reads the files it names, but for the weight files of folds: these follow
 * with vj_predictors_open_folds(), once the images are known.
 * codec: of the candidates, "jpeg" or "bpg", which have thresholds that need not be named; or
 * another positive_class: VJ_POSITIVE_AUTO = as each weight file says, else it wins over the file
 * p: zeroed by the caller; released with vj_predictors_free() whatever the outcome
 */
int vj_predictors_open(struct vj_predictors *p, const char *list, const char *codec,
                       enum vj_positive_class positive_class, struct vj_error *err);
void vj_predictors_free(struct vj_predictors *p);

/* The images of a run, as weight files of folds are held against them. Borrowed. */
struct vj_fold_images {
    const char *dataset;     /* registry name */
    const char *fingerprint; /* of the data set */
    size_t count;
    const int32_t *fold; /* [count] test fold, 1..VJ_FOLDS_MAX, or VJ_FOLD_NONE */
    const int32_t *id;   /* [count] number in the data set */
};

/*
 * Reads the weight files of every VJ_PREDICTOR_FOLDS in the list, one for each fold that occurs:
 * its pattern with {fold} filled in. Networks are numbered anew, in the order of the list.
 * Errors: -EINVAL (no image has a fold; files differ in shape, origin or positive class; a file
 * says that it was trained with images of its fold), -ENOENT (the text names every file that is
 * missing), what vj_weights_read() gives, -ENOMEM.
 */
int vj_predictors_open_folds(struct vj_predictors *p, const struct vj_fold_images *images,
                             enum vj_positive_class positive_class, struct vj_error *err);

/*
 * Frees the tensors of all networks, for when a device has its own copies; what else is known of
 * the weights stays.
 */
void vj_predictors_drop_tensors(struct vj_predictors *p);

/* Whether the scores are those of VP-JNDnet. */
static inline bool vj_predictor_is_network(const struct vj_predictor *p)
{
    return p->kind == VJ_PREDICTOR_NETWORK || p->kind == VJ_PREDICTOR_FOLDS;
}

/* How many networks of the run are its own; of folds none until these are known. */
static inline size_t vj_predictor_networks(const struct vj_predictor *p)
{
    return p->kind == VJ_PREDICTOR_NETWORK ? 1 : p->folds;
}

/* Has each candidate a number that answers go by? A constant and a given QF name one QF alone. */
static inline bool vj_predictor_has_scores(const struct vj_predictor *p)
{
    return p->kind == VJ_PREDICTOR_EXTERNAL ? vj_external_has_scores(&p->external)
                                            : p->kind != VJ_PREDICTOR_CONSTANT;
}

/* Is a candidate lossy by which side of a threshold its number is on: a metric or a rule on a map?
 */
static inline bool vj_predictor_has_threshold(const struct vj_predictor *p)
{
    return p->kind == VJ_PREDICTOR_PSNR || p->kind == VJ_PREDICTOR_SSIM ||
           p->kind == VJ_PREDICTOR_MS_SSIM || p->kind == VJ_PREDICTOR_SSIMULACRA2 ||
           p->kind == VJ_PREDICTOR_PIXEL;
}

/* Which side that is. p: has a threshold */
static inline enum vj_rule vj_threshold_rule(const struct vj_predictor *p)
{
    return p->kind == VJ_PREDICTOR_PIXEL && p->jnd_rule != VJ_JND_NOISE ? VJ_RULE_ABOVE_IS_LOSSY
                                                                        : VJ_RULE_BELOW_IS_LOSSY;
}

/* Pictures with a side below this have no such metric; 1: all have it. metric: filled, its name */
int vj_predictor_least_side(const struct vj_predictor *p, const char **metric);

/* Index, among the networks of the run, of the one that scores an image of this test fold. */
#define VJ_NETWORK_NONE SIZE_MAX
size_t vj_predictor_network(const struct vj_predictor *p, int fold);

/*
 * Appends the constant predictor unless the list has it: what any model must beat is in every
 * report of labelled images, asked for or not.
 */
int vj_predictors_add_constant(struct vj_predictors *p, struct vj_error *err);

#endif
