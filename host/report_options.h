/* SPDX-License-Identifier: MIT */
/* The command-line options that every kind of report has. */
#ifndef VJ_HOST_REPORT_OPTIONS_H
#define VJ_HOST_REPORT_OPTIONS_H

#include <argp.h>

#include "host/report_file.h"

/*
 * Form, sections, published figures: a child of a command's argp whose input is a struct
 * vj_report_options (state->child_inputs[0] at ARGP_KEY_INIT). Its keys start at
 * VJ_REPORT_OPTION_KEYS.
 */
extern const struct argp vj_report_options_argp;

enum { VJ_REPORT_OPTION_KEYS = 1024 };

/* Columns of the terminal that standard output is; 0 where it is none, or does not say. */
size_t vj_report_terminal_columns(void);

#endif
