/* SPDX-License-Identifier: MIT */
/* vpjnd eval: a data set in, predictions and metrics out. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/text.h"
#include "host/commands.h"
#include "host/common_options.h"
#include "host/interrupts.h"
#include "host/options.h"
#include "host/progress.h"
#include "host/report_file.h"
#include "host/report_options.h"
#include "host/run.h"

struct arguments {
    struct vj_config config;
    struct vj_text folds; /* ",vpjnd-folds:PATTERN" of every --folds */
    const char *output;
    const char **rows_from; /* [rows_from_count], the strings are argv's */
    size_t rows_from_count;
    bool resume, quiet;
};

enum { KEY_CONFIG = 256, KEY_SET, KEY_FOLDS, KEY_JND, KEY_RESUME, KEY_ROWS_FROM, KEY_MEMORY };

static const struct argp_option options[] = {
    {"config", KEY_CONFIG, "FILE", 0, "read options from a configuration file", 0},
    {"set", KEY_SET, "KEY=VALUE", 0,
     "set one option; wins over what stands before it; predictors+=P adds to the list", 0},
    {"folds", KEY_FOLDS, "PATTERN", 0,
     "cross-validated networks: PATTERN with {fold}, as in net-{fold}.h5 or net-{fold:02d}.h5, "
     "names one weight file for each test fold, trained without it; each image is scored by the "
     "file of its fold, and all images make one predictor; same as vpjnd-folds:PATTERN at the end "
     "of the option predictors; needs the option folds",
     0},
    {"output", 'o', "FILE.h5", 0, "results file; FILE.h5.part while the run goes on", 0},
    {"resume", KEY_RESUME, NULL, 0, "go on with FILE.h5.part of a run that was cut short", 0},
    {"rows-from", KEY_ROWS_FROM, "PART.h5", 0,
     "take the images that a results file has instead of evaluating them: one of the same command "
     "but for ids, part, limit, root, threads and memory, finished or not; may be given several "
     "times, "
     "so "
     "that the parts of a sweep become one file",
     0},
    {"jnd", KEY_JND, "K", 0, "same as --set jnd=K: search JND 1, 2 or 3", 0},
    {"max-memory", KEY_MEMORY, "BYTES", 0, "same as --set max_memory=BYTES", 0},
    {"quiet", 'q', NULL, 0, "no report at the end", 0},
    {0},
};

static void check(int r, const struct vj_error *err, struct argp_state *state)
{
    if (r)
        argp_failure(state, VJ_EXIT_USAGE, 0, "%s", err->text);
}

static void add_rows_from(struct arguments *a, const char *path, struct argp_state *state)
{
    const char **list = realloc(a->rows_from, (a->rows_from_count + 1) * sizeof(*list));
    if (!list)
        argp_failure(state, VJ_EXIT_USAGE, 0, "out of memory");
    a->rows_from = list;
    a->rows_from[a->rows_from_count++] = path;
}

/* Last of all, so that it does not matter whether --set predictors comes before or after. */
static void add_folds(struct arguments *a, struct argp_state *state)
{
    struct vj_text list = {0};
    struct vj_error err = {0};
    check(vj_text_status(&a->folds, &err), &err, state);
    if (!a->folds.data)
        return;
    bool alone = a->config.predictors[0] == '\0';
    vj_text_add(&list, "%s%s", a->config.predictors, a->folds.data + alone);
    check(vj_text_status(&list, &err), &err, state);
    check(vj_config_set(&a->config, "predictors", list.data, &err), &err, state);
    vj_text_free(&list);
    vj_text_free(&a->folds);
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
        check(vj_config_read(&a->config, arg, &err), &err, state);
        return 0;
    case KEY_SET:
        check(vj_config_set_pair(&a->config, arg, &err), &err, state);
        return 0;
    case KEY_FOLDS:
        if (strchr(arg, ','))
            argp_error(state, "--folds: '%s' has a comma, which separates predictors", arg);
        if (!strstr(arg, "{fold"))
            argp_error(state,
                       "--folds: '%s' has no {fold} in it; the option folds, which says what "
                       "images are tested together, is given as --set folds=...",
                       arg);
        vj_text_add(&a->folds, ",vpjnd-folds:%s", arg);
        return 0;
    case KEY_JND:
        check(vj_config_set(&a->config, "jnd", arg, &err), &err, state);
        return 0;
    case KEY_MEMORY:
        check(vj_config_set(&a->config, "max_memory", arg, &err), &err, state);
        return 0;
    case KEY_RESUME:
        a->resume = true;
        return 0;
    case KEY_ROWS_FROM:
        add_rows_from(a, arg, state);
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
            argp_error(state, "say where to write the results: -o FILE.h5");
        add_folds(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Appends the option table to --help. */
static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    char *help = key == ARGP_KEY_HELP_POST_DOC ? vj_config_help(VJ_USE_EVAL) : NULL;
    return help ? help : (char *)text;
}

static const struct argp_child children[] = {{&vj_common_options_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Evaluates predictors of the picture-wise just noticeable difference on a data set and "
           "writes predictions, metrics and everything measured to a results file.\v",
    .children = children,
    .help_filter = help_filter,
};

/* Enough for any; the rest of a longer one is not recorded. */
enum { COMMAND_LINE_MAX = 32768 };

/* One argument between single quotes; one inside becomes '\'' as a shell wants it. */
static void add_quoted(struct vj_text *text, const char *arg)
{
    vj_text_add(text, "'");
    for (const char *quote; (quote = strchr(arg, '\'')) != NULL; arg = quote + 1)
        vj_text_add(text, "%.*s'\\''", (int)(quote - arg), arg);
    vj_text_add(text, "%s'", arg);
}

/* The same for one with characters that reports do not print as they are. */
static void add_escaped(struct vj_text *text, const char *arg)
{
    vj_text_add(text, "$'");
    for (const unsigned char *s = (const unsigned char *)arg; *s; s++)
        vj_text_add(text, *s < ' ' || *s > '~' || *s == '\'' || *s == '\\' ? "\\%03o" : "%c", *s);
    vj_text_add(text, "'");
}

static bool is_plain(const char *arg)
{
    struct vj_text plain = {0};
    vj_text_plain(&plain, arg);
    const bool is = !plain.data || strcmp(plain.data, arg) == 0;
    vj_text_free(&plain);
    return is;
}

/* The command line as one string, quoted where a shell would need it, cut off when it is huge. */
static char *join_arguments(int argc, char **argv)
{
    struct vj_text text = {0};
    for (int i = 0; i < argc && text.size < COMMAND_LINE_MAX; i++) {
        vj_text_add(&text, "%s", i ? " " : "");
        if (!is_plain(argv[i]))
            add_escaped(&text, argv[i]);
        else if (i > 0 && (argv[i][0] == '\0' || strpbrk(argv[i], " '\"\\$`*?[]{}()<>|&;#~!")))
            add_quoted(&text, argv[i]);
        else
            vj_text_add(&text, "%s", argv[i]);
    }
    if (text.size > COMMAND_LINE_MAX)
        strcpy(text.data + COMMAND_LINE_MAX - 4, "...");
    return text.data;
}

static int print_report(const char *path, struct vj_error *err)
{
    const struct vj_report_options short_text = {.form = VJ_REPORT_FORM_TEXT,
                                                 .columns = vj_report_terminal_columns()};
    struct vj_text text = {0};
    int r = vj_report_file(&text, path, &short_text, err);
    if (!r)
        fputs(text.data ? text.data : "", stdout);
    vj_text_free(&text);
    return r;
}

/* What an interrupted run leaves: made beforehand, for a signal handler may only ask and write. */
static char part[4096];
static struct vj_text part_note;

static void tell_of_part(int signal_number)
{
    if (access(part, F_OK) == 0 && write(STDERR_FILENO, part_note.data, part_note.size) < 0)
        part[0] = '\0';   /* nobody is left to tell */
    raise(signal_number); /* as ever: the handler is reset */
}

static void watch_interrupts(const char *output)
{
    const int length = snprintf(part, sizeof(part), "%s.part", output);
    vj_text_add(&part_note, "\nvpjnd: interrupted; ");
    vj_text_plain(&part_note, part);
    vj_text_add(&part_note, " keeps the images that are done: go on with the same command and "
                            "--resume\n");
    if (length < 0 || (size_t)length >= sizeof(part) || vj_text_status(&part_note, NULL))
        return;
    vj_catch_interruptions(tell_of_part);
}

int vj_cmd_eval(int argc, char **argv)
{
    struct arguments a = {0};
    struct vj_error err = {0};
    struct vj_run_summary summary;
    vj_config_defaults(&a.config, VJ_USE_EVAL);
    vj_refuse_bare_options(&argp, argc, argv, VJ_USE_EVAL);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    watch_interrupts(a.output);

    char *command_line = join_arguments(argc, argv);
    const struct vj_run_options run = {.config = &a.config,
                                       .output = a.output,
                                       .resume = a.resume,
                                       .rows_from = a.rows_from,
                                       .rows_from_count = a.rows_from_count,
                                       .command_line = command_line ? command_line : "vpjnd eval"};
    int r = vj_run_eval(&run, &summary, &err);
    free(command_line);
    free(a.rows_from);
    if (!r && !a.quiet)
        r = print_report(a.output, &err);
    if (r) {
        vj_error_show(&err);
        return VJ_EXIT_USAGE;
    }
    if (summary.failed)
        fprintf(stderr, "vpjnd: %zu of %zu images failed\n", summary.failed, summary.images);
    return summary.failed ? VJ_EXIT_SOME_FAILED : VJ_EXIT_OK;
}
