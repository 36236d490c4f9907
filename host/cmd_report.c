/* SPDX-License-Identifier: MIT */
/* vpjnd report: the tables of a results file. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/text.h"
#include "host/commands.h"
#include "host/progress.h"
#include "host/report_file.h"
#include "host/report_options.h"

struct arguments {
    const char *path;
    struct vj_report_options report;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->report;
        return 0;
    case ARGP_KEY_ARG:
        if (a->path)
            argp_error(state, "one results file at a time; '%s' is the second (see vpjnd compare)",
                       arg);
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

static const struct argp_child children[] = {{&vj_report_options_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .parser = parse,
    .args_doc = "RESULTS.h5",
    .doc = "Prints the tables of a results file on standard output; of an unfinished one (.part), "
           "what is there.",
    .children = children,
};

int vj_cmd_report(int argc, char **argv)
{
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    struct vj_error err = {0};
    struct vj_text text = {0};
    int r = vj_report_file(&text, a.path, &a.report, &err);
    if (r)
        vj_error_show(&err);
    else
        fputs(text.data ? text.data : "", stdout);
    vj_text_free(&text);
    return r ? VJ_EXIT_USAGE : VJ_EXIT_OK;
}
