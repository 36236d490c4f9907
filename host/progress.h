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

struct vj_progress {
    FILE *out;
    bool terminal;                       /* lines are rewritten */
    size_t total, done, failed, skipped; /* skipped: already there when resuming */
    double start, last;                  /* seconds, monotonic */
};

/* total: items of the run; skipped: items that need no work. */
void vj_progress_start(struct vj_progress *p, FILE *out, size_t total, size_t skipped);

/* One item is done; prints at most ten times a second on a terminal, else every ten seconds. */
void vj_progress_step(struct vj_progress *p, bool failed);

/*
 * A line that stays, e.g. a failure; the progress line moves below it. Control characters, which
 * names of files may hold, are printed as "?".
 */
void vj_progress_note(struct vj_progress *p, const char *text);

/* Ends the line. Returns seconds since the start. */
double vj_progress_finish(struct vj_progress *p);

/* Monotonic clock, seconds. */
double vj_seconds(void);

#endif
