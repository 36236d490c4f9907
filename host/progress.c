/* SPDX-License-Identifier: MIT */
#include "host/progress.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "eval/text.h"

/* Takes back what stands on a terminal's line. */
static const char erase[] = "\r\033[K";

double vj_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Whether lines can be rewritten: a terminal that says what it is, and is not "dumb". */
static bool rewrites_lines(FILE *out)
{
    const char *term = getenv("TERM");
    return isatty(fileno(out)) == 1 && term && term[0] && strcmp(term, "dumb") != 0;
}

/* Columns that a line may take without being wrapped: it could not be rewritten then. */
static size_t usable_columns(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return SIZE_MAX; /* does not say */
    return size.ws_col - 1u;
}

void vj_progress_start(struct vj_progress *p, FILE *out, size_t total, size_t skipped)
{
    *p = (struct vj_progress){.out = out, .total = total, .done = skipped, .skipped = skipped};
    p->terminal = rewrites_lines(out);
    p->start = p->last = vj_seconds();
}

/* 3725 s -> "1:02:05"; below an hour "2:05". */
static void format_time(char *text, size_t size, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

static void print_line(struct vj_progress *p, double now)
{
    size_t fresh = p->done - p->skipped;
    double rate = now > p->start ? (double)fresh / (now - p->start) : 0;
    char left[32] = "?";
    if (rate > 0)
        format_time(left, sizeof(left), (double)(p->total - p->done) / rate);
    char line[256], failed[64] = "";
    if (p->failed)
        snprintf(failed, sizeof(failed), "  %zu failed", p->failed);
    snprintf(line, sizeof(line), "%zu/%zu images  %.2f images/s  %s left%s", p->done, p->total,
             rate, left, failed);
    if (p->terminal) {
        size_t columns = usable_columns(p->out); /* the line is ASCII: a byte each */
        if (columns < strlen(line))
            line[columns] = '\0';
    }
    fprintf(p->out, "%s%s%s", p->terminal ? erase : "", line, p->terminal ? "" : "\n");
    fflush(p->out);
    p->last = now;
}

void vj_progress_step(struct vj_progress *p, bool failed)
{
    p->done++;
    p->failed += failed;
    double now = vj_seconds();
    if (now - p->last >= (p->terminal ? 0.1 : 10.0))
        print_line(p, now);
}

void vj_progress_note(struct vj_progress *p, const char *text)
{
    struct vj_text plain = {0};
    vj_text_plain(&plain, text);
    fprintf(p->out, "%s%s\n", p->terminal ? erase : "", plain.data ? plain.data : "");
    fflush(p->out);
    vj_text_free(&plain);
}

double vj_progress_finish(struct vj_progress *p)
{
    double now = vj_seconds();
    print_line(p, now);
    if (p->terminal)
        fputc('\n', p->out);
    return now - p->start;
}
