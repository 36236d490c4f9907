/* SPDX-License-Identifier: MIT */
#include "host/common_options.h"

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
