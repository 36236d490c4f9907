/* SPDX-License-Identifier: MIT */
#include "host/report_options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    KEY_CSV = VJ_REPORT_OPTION_KEYS,
    KEY_IMAGES_CSV,
    KEY_SWEEP_CSV,
    KEY_JSON,
    KEY_HTML,
    KEY_LATEX,
    KEY_METRICS,
    KEY_FOLDS,
    KEY_SWEEP,
    KEY_IMAGES,
    KEY_PUBLISHED,
    KEY_PUBLISHED_FILE,
    KEY_AGAINST,
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Form:", 1},
    {"csv", KEY_CSV, NULL, 0, "one line per predictor, fold and metric, then per pair and test", 1},
    {"images-csv", KEY_IMAGES_CSV, NULL, 0, "one line per predictor and picture", 1},
    {"sweep-csv", KEY_SWEEP_CSV, NULL, 0,
     "one line per predictor, point of a rate-damage curve and quantity", 1},
    {"json", KEY_JSON, NULL, 0, "everything, as one JSON object", 1},
    {"latex", KEY_LATEX, NULL, 0, "accuracy and differences, as tables for a paper", 1},
    {"html", KEY_HTML, NULL, 0, "everything, as a web page with charts", 1},
    {NULL, 0, NULL, 0, "More sections of the text:", 2},
    {"metrics", KEY_METRICS, NULL, 0, "every metric with its interval", 2},
    {"folds", KEY_FOLDS, NULL, 0, "MAD of every fold", 2},
    {"sweep", KEY_SWEEP, NULL, 0,
     "saving against damage over safety offsets, every fifth, and tolerances", 2},
    {"images", KEY_IMAGES, NULL, 0, "predictions of every picture", 2},
    {NULL, 0, NULL, 0, "Differences:", 4},
    {"against", KEY_AGAINST, "PREDICTOR", 0,
     "compare all predictors with this one, named as in the table, or with =all each with each "
     "other; default: of one file with its first, of several each with each other; a name of "
     "several files will do where all of them predict the same",
     4},
    {NULL, 0, NULL, 0,
     "Figures of others, in tables of their own (not in a CSV, not in LaTeX):", 3},
    {"published", KEY_PUBLISHED, "all", OPTION_ARG_OPTIONAL,
     "published figures of the data set at hand; =all: of every data set", 3},
    {"published-file", KEY_PUBLISHED_FILE, "FILE", 0,
     "where they stand; default results/published.csv here or beside the program", 3},
    {0},
};

static bool is_ours_alone(enum vj_report_form form)
{
    return form == VJ_REPORT_FORM_CSV || form == VJ_REPORT_FORM_IMAGES_CSV ||
           form == VJ_REPORT_FORM_SWEEP_CSV || form == VJ_REPORT_FORM_LATEX;
}

/* Printing one of two forms that were asked for would leave the other out without a word. */
static void set_form(struct argp_state *state, struct vj_report_options *o,
                     enum vj_report_form form)
{
    if (o->form != VJ_REPORT_FORM_TEXT && o->form != form)
        argp_error(state,
                   "one form at a time: --csv, --images-csv, --sweep-csv, --json, --latex or "
                   "--html");
    o->form = form;
}

size_t vj_report_terminal_columns(void)
{
    enum { LEAST = 40, MOST = 1000 };
    const char *given = getenv("COLUMNS");
    struct winsize size;
    long columns = 0;
    if (isatty(STDOUT_FILENO) != 1)
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    if (columns == 0 && given)
        columns = strtol(given, NULL, 10);
    if (columns <= 0)
        return 0;
    return (size_t)(columns < LEAST ? LEAST : columns > MOST ? MOST : columns);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct vj_report_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        o->columns = vj_report_terminal_columns();
        return 0;
    case KEY_CSV:
        set_form(state, o, VJ_REPORT_FORM_CSV);
        return 0;
    case KEY_IMAGES_CSV:
        set_form(state, o, VJ_REPORT_FORM_IMAGES_CSV);
        return 0;
    case KEY_SWEEP_CSV:
        set_form(state, o, VJ_REPORT_FORM_SWEEP_CSV);
        return 0;
    case KEY_JSON:
        set_form(state, o, VJ_REPORT_FORM_JSON);
        return 0;
    case KEY_LATEX:
        set_form(state, o, VJ_REPORT_FORM_LATEX);
        return 0;
    case KEY_HTML:
        set_form(state, o, VJ_REPORT_FORM_HTML);
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
    case KEY_AGAINST:
        o->against = arg;
        return 0;
    case KEY_PUBLISHED:
        if (arg && strcmp(arg, "all") != 0)
            argp_error(state, "--published takes nothing or =all, not '%s'", arg);
        o->published = arg ? VJ_PUBLISHED_ALL : VJ_PUBLISHED_DATASET;
        return 0;
    case KEY_PUBLISHED_FILE:
        o->published_file = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->published_file && !o->published)
            o->published = VJ_PUBLISHED_DATASET;
        if (o->published && is_ours_alone(o->form))
            argp_error(state, "--published goes with the text, --json or --html: a CSV and a table "
                              "for a paper are ours alone");
        if (o->sections && o->form != VJ_REPORT_FORM_TEXT)
            argp_error(state, "--metrics, --folds, --sweep and --images add sections to the text; "
                              "the other forms have none, leave them out");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp vj_report_options_argp = {.options = options, .parser = parse};
