/* SPDX-License-Identifier: MIT */
/* vpjnd report: the tables of a results file. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/text.h"
#include "host/commands.h"
#include "host/report_file.h"

struct arguments {
    const char *path;
    enum vj_report_form form;
    unsigned sections;
};

enum { KEY_CSV = 256, KEY_IMAGES_CSV, KEY_JSON, KEY_METRICS, KEY_FOLDS, KEY_SWEEP, KEY_IMAGES };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Form:", 1},
    {"csv", KEY_CSV, NULL, 0, "one line per predictor, fold and metric", 1},
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
    switch (key) {
    case KEY_CSV:
        a->form = VJ_REPORT_FORM_CSV;
        return 0;
    case KEY_IMAGES_CSV:
        a->form = VJ_REPORT_FORM_IMAGES_CSV;
        return 0;
    case KEY_JSON:
        a->form = VJ_REPORT_FORM_JSON;
        return 0;
    case KEY_METRICS:
        a->sections |= VJ_REPORT_METRICS;
        return 0;
    case KEY_FOLDS:
        a->sections |= VJ_REPORT_FOLDS;
        return 0;
    case KEY_SWEEP:
        a->sections |= VJ_REPORT_SWEEP;
        return 0;
    case KEY_IMAGES:
        a->sections |= VJ_REPORT_IMAGES;
        return 0;
    case ARGP_KEY_ARG:
        if (a->path)
            argp_error(state, "one results file at a time; '%s' is the second", arg);
        a->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->path)
            argp_error(state, "no results file given");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RESULTS.h5",
    .doc = "Prints the tables of a results file; of an unfinished one (.part), what is there.",
};

int vj_cmd_report(int argc, char **argv)
{
    struct arguments a = {.form = VJ_REPORT_FORM_TEXT};
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    struct vj_text text = {0};
    int r = vj_report_file(&text, a.path, a.form, a.sections, &err);
    if (r)
        fprintf(stderr, "vpjnd: %s\n", err.text);
    else
        fputs(text.data ? text.data : "", stdout);
    vj_text_free(&text);
    return r ? VJ_EXIT_USAGE : VJ_EXIT_OK;
}
