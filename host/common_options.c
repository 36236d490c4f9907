/* SPDX-License-Identifier: MIT */
#include "host/common_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/commands.h"

enum { KEY_DEVICE = VJ_COMMON_OPTION_KEYS, KEY_THREADS, KEY_ALPHA, KEY_END };

/* The option of the table behind each of them. */
static const char *const option_key[] = {"device", "threads", "alpha"};

static const struct argp_option options[] = {
    {"device", KEY_DEVICE, "NAME", 0, "same as --set device=NAME: auto, cpu, cuda[:N]", 0},
    {"threads", KEY_THREADS, "N", 0, "same as --set threads=N; 0 = one per core", 0},
    {"alpha", KEY_ALPHA, "MODE", 0,
     "same as --set alpha=MODE: transparent pixels: refuse the picture, or blend it over black or "
     "white",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct vj_error err = {0};
    if (key < VJ_COMMON_OPTION_KEYS || key >= KEY_END)
        return ARGP_ERR_UNKNOWN;
    if (vj_config_set(state->input, option_key[key - VJ_COMMON_OPTION_KEYS], arg, &err))
        argp_failure(state, VJ_EXIT_USAGE, 0, "%s", err.text);
    return 0;
}

const struct argp vj_common_options_argp = {.options = options, .parser = parse};

int vj_parse_threads(int *threads, const char *text, struct vj_error *err)
{
    enum { THREADS_MAX = 1024 };
    char *end;
    errno = 0;
    const long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > THREADS_MAX)
        return vj_fail(err, -EINVAL, "--threads: '%s' is not a whole number 1..%d", text,
                       THREADS_MAX);
    *threads = (int)n;
    return 0;
}

static bool argp_knows(const struct argp *argp, const char *name)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
        if (o->name && strcmp(o->name, name) == 0)
            return true;
    for (const struct argp_child *c = argp->children; c && c->argp; c++)
        if (argp_knows(c->argp, name))
            return true;
    return false;
}

void vj_refuse_bare_options(const struct argp *argp, int argc, char **argv, int use)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        char name[64];
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(argv[i] + 2, "="), argv[i] + 2);
        if (argp_knows(argp, name))
            continue;
        for (char *c = name; (c = strchr(c, '-'));)
            *c = '_';
        for (size_t k = 0; k < vj_option_count; k++)
            if (vj_options[k].key && vj_options[k].use & use &&
                strcmp(vj_options[k].key, name) == 0) {
                fprintf(stderr, "%s: option %s is given as --set %s=VALUE\n", argv[0], name, name);
                exit(VJ_EXIT_USAGE);
            }
    }
}
