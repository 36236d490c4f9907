/* SPDX-License-Identifier: MIT */
/* vpjnd compare: the predictors of several results files in one table. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/text.h"
#include "host/checked.h"
#include "host/commands.h"
#include "host/compare_file.h"
#include "host/progress.h"
#include "host/report_options.h"

struct arguments {
    const char **path; /* [argc] */
    struct vj_compare_options options;
};

enum { KEY_FORCE = 256 };

static const struct argp_option options[] = {
    {"force", KEY_FORCE, NULL, 0,
     "compare even where the runs differ in data set, labels, codec, quality factors or images", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_compare_options *o = &a->options;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->report;
        return 0;
    case KEY_FORCE:
        o->force = true;
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

static const struct argp_child children[] = {{&vj_report_options_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "A.h5 B.h5...",
    .doc = "Prints one table of the predictors of several results files, on the images that every "
           "file has evaluated and labelled, with tests of their differences. Of files without "
           "labels it says how far the predictions agree. It says what the runs differ in, and "
           "refuses where that makes their figures incomparable.",
    .children = children,
};

int vj_cmd_compare(int argc, char **argv)
{
    struct arguments a = {0};
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
    if (r && text.data)
        fputc('\n', stderr);
    if (r)
        vj_error_show(&err);
    vj_text_free(&text);
    free(a.path);
    return r ? VJ_EXIT_USAGE : VJ_EXIT_OK;
}
