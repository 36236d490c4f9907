/* SPDX-License-Identifier: MIT */
/* vpjnd devices: what was compiled, found, usable, and why not. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/commands.h"
#include "host/device.h"
#include "host/progress.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    if (key == ARGP_KEY_ARG)
        argp_error(state, "unexpected argument '%s'", arg);
    return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
    .parser = parse,
    .doc = "Lists the devices this program knows: compiled in or not, found, usable, and why not.",
};

int vj_cmd_devices(int argc, char **argv)
{
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    struct vj_error err = {0};
    char *text;
    if (vj_device_list(&text, &err)) {
        vj_error_show(&err);
        return VJ_EXIT_USAGE;
    }
    fputs(text, stdout);
    free(text);
    return VJ_EXIT_OK;
}
