/* SPDX-License-Identifier: MIT */
/* vpjnd compare: the predictors of several results files in one table. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/text.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/compare_file.h"

struct arguments {
    const char **path; /* [argc] */
    struct vj_compare_options options;
};

enum {
    KEY_FORCE = 256,
    KEY_AGAINST,
    KEY_CSV,
    KEY_IMAGES_CSV,
    KEY_JSON,
    KEY_METRICS,
    KEY_FOLDS,
    KEY_SWEEP,
    KEY_IMAGES
};

static const struct argp_option options[] = {
    {"against", KEY_AGAINST, "PREDICTOR", 0,
     "compare all predictors with this one, named as in the table; default: every pair", 0},
    {"force", KEY_FORCE, NULL, 0,
     "compare even where the runs differ in data set, labels, codec, quality factors or images", 0},
    {NULL, 0, NULL, 0, "Form:", 1},
    {"csv", KEY_CSV, NULL, 0, "one line per predictor, fold and metric, then per pair and test", 1},
    {"images-csv", KEY_IMAGES_CSV, NULL, 0, "one line per predictor and image", 1},
    {"json", KEY_JSON, NULL, 0, "everything, as one JSON object", 1},
    {NULL, 0, NULL, 0, "More sections of the text:", 2},
    {"metrics", KEY_METRICS, NULL, 0, "every metric with its interval", 2},
    {"folds", KEY_FOLDS, NULL, 0, "MAD of every fold", 2},
    {"sweep", KEY_SWEEP, NULL, 0, "saving against damage over safety offsets", 2},
    {"images", KEY_IMAGES, NULL, 0, "predictions of every image", 2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_compare_options *o = &a->options;
    switch (key) {
    case KEY_FORCE:
        o->force = true;
        return 0;
    case KEY_AGAINST:
        o->against = arg;
        return 0;
    case KEY_CSV:
        o->form = VJ_REPORT_FORM_CSV;
        return 0;
    case KEY_IMAGES_CSV:
        o->form = VJ_REPORT_FORM_IMAGES_CSV;
        return 0;
    case KEY_JSON:
        o->form = VJ_REPORT_FORM_JSON;
        return 0;
    case KEY_METRICS:
        o->sections |= VJ_REPORT_METRICS;
        return 0;
    case KEY_FOLDS:
        o->sections |= VJ_REPORT_FOLDS;
        return 0;
    case KEY_SWEEP:
        o->sections |= VJ_REPORT_SWEEP;
        return 0;
    case KEY_IMAGES:
        o->sections |= VJ_REPORT_IMAGES;
        return 0;
    case ARGP_KEY_ARG:
        a->path[o->count++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->count < 2)
            argp_error(state, "give two results files or more");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "A.h5 B.h5...",
    .doc = "Prints one table of the predictors of several results files, on the images that every "
           "file has evaluated and labelled, with tests of their differences. It says what the "
           "runs differ in, and refuses where that makes their figures incomparable.",
};

int vj_cmd_compare(int argc, char **argv)
{
    struct arguments a = {.options = {.form = VJ_REPORT_FORM_TEXT}};
    struct vj_error err = {0};
    struct vj_text text = {0};
    a.path = vj_calloc((size_t)argc, sizeof(*a.path));
    if (!a.path) {
        fputs("vpjnd: out of memory\n", stderr);
        return VJ_EXIT_USAGE;
    }
    a.options.path = a.path;
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    int r = vj_compare_files(&text, &a.options, &err);
    fputs(text.data ? text.data : "", r ? stderr : stdout);
    if (r)
        fprintf(stderr, "%svpjnd: %s\n", text.data ? "\n" : "", err.text);
    vj_text_free(&text);
    free(a.path);
    return r ? VJ_EXIT_USAGE : VJ_EXIT_OK;
}
