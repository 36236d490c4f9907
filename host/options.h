/* SPDX-License-Identifier: MIT */
/*
 * Every option of a run, as data: one table serves the configuration file, --set, --help and the
 * copy of the configuration in the results file.
 */
#ifndef VJ_HOST_OPTIONS_H
#define VJ_HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/jnd_map.h"

enum { VJ_OPTION_TEXT = 1024 };

/* What a configuration is for; an option that another command has is refused by name. */
enum vj_config_use {
    VJ_USE_EVAL = 1, /* `vpjnd eval` and what shares its options */
    VJ_USE_TRAIN = 2,
};

/* Option `positions`. */
enum { VJ_POSITIONS_UNIFORM, VJ_POSITIONS_EVEN, VJ_POSITIONS_AUTO };

/* The configuration of one run; field meanings and ranges stand in the table of options.c. */
struct vj_config {
    enum vj_config_use use;
    /* data */
    char dataset[64];
    char root[VJ_OPTION_TEXT];
    char labels[16];
    char candidates[16];
    char codec[16];
    char streams[VJ_OPTION_TEXT];
    char folds[32];
    int jnd;
    int sur; /* enum vj_sur_model */
    char ids[VJ_OPTION_TEXT];
    char part[VJ_OPTION_TEXT];
    int limit;
    int alpha;
    int sampling;
    int jnd_source;
    size_t max_pixels;
    /* what is predicted, and how the answers become one quality factor */
    char predictors[4 * VJ_OPTION_TEXT];
    int qf_first, qf_last;
    int search;
    int block, block_threshold;
    int window, window_threshold;
    bool lazy;
    /* network input */
    int patches;
    int draws;
    uint64_t seed;
    char jnd_model[32];
    char jnd_variant[32];
    char jnd_weights[1024];
    int jnd_scale;
    int positions; /* VJ_POSITIONS_* */
    int jnd_patches;
    int positive_class;
    /* what is measured and kept */
    char image_metrics[64];
    int ssimulacra2_mode;
    bool store_patches;
    int bootstrap;
    /* training: network and data */
    char start[VJ_OPTION_TEXT];
    int variant, non_local;
    int patch_size;
    int fold;
    char valid_ids[VJ_OPTION_TEXT];
    int anchors, pairs;
    int batch, batch_levels;
    bool flip;
    /* training: optimisation */
    int steps;
    double learning_rate;
    int decay_steps;
    double decay_rate;
    double average, keep;
    double weight_bias;
    int loss;
    double importance;
    double label_spread;
    int validate_every, validate_patches, patience, checkpoint_every;
    size_t cache;
    /* machine */
    char device[32];
    int precision;
    int threads;
    int decode_threads;
    int slots;
    size_t max_memory;
};

enum vj_option_type {
    VJ_OPTION_STRING, /* char[size] */
    VJ_OPTION_INT,    /* int, min..max */
    VJ_OPTION_REAL,   /* double, min..max */
    VJ_OPTION_UINT64, /* uint64_t */
    VJ_OPTION_BOOL,   /* bool: true/false, yes/no, on/off, 1/0 */
    VJ_OPTION_CHOICE, /* int: index into the comma-separated `choices` */
    VJ_OPTION_BYTES,  /* size_t with an optional suffix K, M, G (powers of 1024) */
};

struct vj_option {
    const char *key;
    const char *help;
    enum vj_option_type type;
    const char *fallback; /* default, as text */
    double min, max;      /* VJ_OPTION_INT, VJ_OPTION_REAL */
    const char *choices;  /* VJ_OPTION_CHOICE, or NULL */
    const char *group;    /* heading in --help; NULL = same as the one above */
    size_t offset, size;  /* of the field in struct vj_config */
    bool affects_results; /* false: may differ between a run and its --resume */
    int use;              /* VJ_USE_*, joined with |: the commands that it belongs to */
};

/* The table; vj_option_count entries. */
extern const struct vj_option vj_options[];
extern const size_t vj_option_count;

/* Sets every field to its default; from then on only options of `use` can be set. */
void vj_config_defaults(struct vj_config *config, enum vj_config_use use);

/* Sets one field from text. The error names the key, the value and what is allowed. */
int vj_config_set(struct vj_config *config, const char *key, const char *value,
                  struct vj_error *err);

/* The same from "key=value", the form of --set; "predictors+=value" adds to the list. */
int vj_config_set_pair(struct vj_config *config, const char *pair, struct vj_error *err);

/*
 * Reads a libconfig file; the error names file and line. Keys are those of the table, nothing else;
 * integers beyond 32 bits stand in quotes or end in L, and @include is refused.
 * A file describes an experiment, training and evaluation alike: what the other command has is
 * skipped here, while --set refuses it.
 * Errors: -EINVAL, -ENOMEM, and those of opening and reading
 */
int vj_config_read(struct vj_config *config, const char *path, struct vj_error *err);

/* The same from text (as vj_config_text() gives it); `name` is what errors call it. */
int vj_config_parse(struct vj_config *config, const char *text, const char *name,
                    struct vj_error *err);

/* Checks fields against each other (qf_first <= qf_last, block sizes, ...). */
int vj_config_check(const struct vj_config *config, struct vj_error *err);

/*
 * The pixel-JND model that feeds networks and its variant, by the options jnd_model and
 * jnd_variant. Errors: -EINVAL with the names that there are
 */
int vj_config_jnd(const struct vj_jnd_model **model, size_t *variant,
                  const struct vj_config *config, struct vj_error *err);

/* Of these, what also holds without a data set: range of quality factors, search. */
int vj_config_check_search(const struct vj_config *config, struct vj_error *err);

/*
 * The configuration as text that vj_config_read() accepts, one `key = value;` line per option.
 * all: false leaves out the options that cannot change a result.
 * Returns a string owned by the caller (free()), NULL when out of memory.
 */
char *vj_config_text(const struct vj_config *config, bool all);

/*
 * The table for --help, as a string owned by the caller; NULL when out of memory. What argp's
 * help_filter returns for ARGP_KEY_HELP_POST_DOC.
 */
char *vj_config_help(enum vj_config_use use);

/*
 * Opens the data set that a configuration names, for JND `jnd` (1, 2, 3), as evaluation and
 * training see it. *ds is owned by the caller (vj_dataset_close).
 */
int vj_config_dataset(struct vj_dataset **ds, const struct vj_config *config, int jnd,
                      struct vj_error *err);

#endif
