/* SPDX-License-Identifier: MIT */
/* vpjnd train: a labelled data set in, a weight file out. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/commands.h"
#include "host/common_options.h"
#include "host/interrupts.h"
#include "host/options.h"
#include "host/progress.h"
#include "host/train.h"

struct arguments {
    struct vj_config config;
    const char *output;
    bool resume, quiet;
};

enum { KEY_CONFIG = 256, KEY_SET, KEY_RESUME };

static const struct argp_option options[] = {
    {"config", KEY_CONFIG, "FILE", 0, "read options from a configuration file", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "set one option; wins over what stands before it", 0},
    {"output", 'o', "FILE.h5", 0, "weight file; FILE.h5.state and FILE.h5.log beside it", 0},
    {"resume", KEY_RESUME, NULL, 0, "go on with FILE.h5.state of a run that was cut short", 0},
    {"quiet", 'q', NULL, 0, "no progress", 0},
    {0},
};

static void apply(struct argp_state *state, int r, const struct vj_error *err)
{
    if (r)
        argp_error(state, "%s", err->text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct vj_error err = {0};
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->config;
        return 0;
    case KEY_CONFIG:
        apply(state, vj_config_read(&a->config, arg, &err), &err);
        return 0;
    case KEY_SET:
        apply(state, vj_config_set_pair(&a->config, arg, &err), &err);
        return 0;
    case KEY_RESUME:
        a->resume = true;
        return 0;
    case 'q':
        a->quiet = true;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'; options are given as --set key=value", arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->output)
            argp_error(state, "say where to write the weights: -o FILE.h5");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Appends the option table to --help. */
static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    char *help = key == ARGP_KEY_HELP_POST_DOC ? vj_config_help(VJ_USE_TRAIN) : NULL;
    return help ? help : (char *)text;
}

static const struct argp_child children[] = {{&vj_common_options_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Trains VP-JNDnet or PW-JND on the labels of a data set. FILE.h5 holds the weights that "
           "were best on the validation items (the latest, without these); FILE.h5.log holds the "
           "learning curves.\v",
    .children = children,
    .help_filter = help_filter,
};

static void print_summary(const char *path, const struct vj_train_summary *s)
{
    printf("%s: %lld steps on %zu pictures", path, (long long)s->steps, s->train_items);
    if (s->stopped)
        printf(", stopped for want of progress");
    if (s->interrupted)
        printf(", interrupted; --resume goes on");
    if (s->best_step > 0)
        printf("; validation MAD %.2f QF at step %lld (%zu pictures)", s->best_mad,
               (long long)s->best_step, s->validation_items);
    if (s->steps > s->resumed)
        printf("; %.1f pairs/s", s->pairs_per_second);
    putchar('\n');
}

static volatile sig_atomic_t interruption; /* the signal */

/* The first Ctrl-C ends training after a step, which is kept; a second one ends the program. */
static void interrupt(int signal_number)
{
    interruption = signal_number;
}

int vj_cmd_train(int argc, char **argv)
{
    struct arguments a = {0};
    struct vj_error err = {0};
    struct vj_train_summary summary;
    vj_config_defaults(&a.config, VJ_USE_TRAIN);
    vj_refuse_bare_options(&argp, argc, argv, VJ_USE_TRAIN);
    argp_parse(&argp, argc, argv, 0, NULL, &a);

    const struct vj_train_options run = {.config = &a.config,
                                         .output = a.output,
                                         .resume = a.resume,
                                         .stop = &interruption,
                                         .quiet = a.quiet};
    vj_catch_interruptions(interrupt);
    int r = vj_train_run(&run, &summary, &err);
    if (vj_line_can_change(stderr) && !a.quiet)
        fputc('\n', stderr);
    if (r) {
        vj_error_show(&err);
        return VJ_EXIT_USAGE;
    }
    print_summary(a.output, &summary);
    fflush(stdout);
    if (summary.interrupted)
        raise(interruption); /* as shells and batch systems expect it */
    return VJ_EXIT_OK;
}
