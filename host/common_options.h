/* SPDX-License-Identifier: MIT */
/* Command-line options that commands have in common. */
#ifndef VJ_HOST_COMMON_OPTIONS_H
#define VJ_HOST_COMMON_OPTIONS_H

#include <argp.h>

#include "host/options.h"

/*
 * Of eval, train and predict: --device, --threads and --alpha, each the same as --set: a child of a
 * command's argp whose input is a struct vj_config (state->child_inputs[0] at ARGP_KEY_INIT). Its
 * keys start at VJ_COMMON_OPTION_KEYS. A value that is not allowed ends the program with
 * VJ_EXIT_USAGE.
 */
extern const struct argp vj_common_options_argp;

enum { VJ_COMMON_OPTION_KEYS = 2048 };

/*
 * Value of --threads of a command without a configuration: a whole number from 1.
 * Errors: -EINVAL
 */
int vj_parse_threads(int *threads, const char *text, struct vj_error *err);

/*
 * Ends the program with VJ_EXIT_USAGE where an argument has an option of the table for one of the
 * command line, as in --root=DIR, and says how it is given. To be called before argp_parse(), which
 * only says that it does not know it.
 * use: VJ_USE_* of the command
 */
void vj_refuse_bare_options(const struct argp *argp, int argc, char **argv, int use);

#endif
