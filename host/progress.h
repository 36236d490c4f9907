/* SPDX-License-Identifier: MIT */
/*
 * Progress on standard error: one line rewritten in place, cut to the columns there are, on a
 * terminal that can do so; plain lines otherwise (TERM unset or dumb, a pipe, a file).
 */
#ifndef VJ_HOST_PROGRESS_H
#define VJ_HOST_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "host/error.h"

struct vj_progress {
    FILE *out;
    bool terminal;                       /* lines are rewritten */
    size_t total, done, failed, skipped; /* skipped: already there when resuming */
    double start, last;                  /* seconds, monotonic */
};

/* Whether lines can be rewritten: a terminal that says what it is, and is not "dumb". */
bool vj_line_can_change(FILE *out);

/*
 * Prints a line in place of the one shown before, cut to the columns there are, and leaves it open;
 * where lines cannot be rewritten, a line of its own. text: ASCII without control characters
 */
void vj_line_show(FILE *out, const char *text);

/*
 * A line that stays, in place of the one shown before. Control characters, which names of files may
 * hold, are printed as "?".
 */
void vj_line_keep(FILE *out, const char *text);

/*
 * The last words of a command that failed, "vpjnd: ..." on standard error. Control characters, of
 * names and values, are printed as "?": they would say something to the terminal.
 */
void vj_error_show(const struct vj_error *err);

/* total: items of the run; skipped: items that need no work. */
void vj_progress_start(struct vj_progress *p, FILE *out, size_t total, size_t skipped);

/* One item is done; prints at most ten times a second on a terminal, else every ten seconds. */
void vj_progress_step(struct vj_progress *p, bool failed);

/* A line that stays, e.g. a failure, by vj_line_keep(); the progress line moves below it. */
void vj_progress_note(struct vj_progress *p, const char *text);

/* Ends the line. Returns seconds since the start. */
double vj_progress_finish(struct vj_progress *p);

/* Monotonic clock, seconds. */
double vj_seconds(void);

#endif
