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

bool vj_line_can_change(FILE *out)
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

void vj_line_show(FILE *out, const char *text)
{
    if (!vj_line_can_change(out)) {
        fprintf(out, "%s\n", text);
    } else {
        const size_t length = strlen(text), columns = usable_columns(out);
        fprintf(out, "%s%.*s", erase, (int)(columns < length ? columns : length), text);
    }
    fflush(out);
}

/* A line of both, without the control characters of `text`. */
static void print_plain(FILE *out, const char *before, const char *text)
{
    struct vj_text plain = {0};
    vj_text_plain(&plain, text);
    fprintf(out, "%s%s\n", before, plain.data ? plain.data : "");
    fflush(out);
    vj_text_free(&plain);
}

void vj_line_keep(FILE *out, const char *text)
{
    print_plain(out, vj_line_can_change(out) ? erase : "", text);
}

void vj_error_show(const struct vj_error *err)
{
    print_plain(stderr, "vpjnd: ", err->text);
}

void vj_progress_start(struct vj_progress *p, FILE *out, size_t total, size_t skipped)
{
    *p = (struct vj_progress){.out = out, .total = total, .done = skipped, .skipped = skipped};
    p->terminal = vj_line_can_change(out);
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
    if (fresh == 0 && p->done == p->total)
        snprintf(line, sizeof(line), "%zu/%zu images, none left to evaluate", p->done, p->total);
    else
        snprintf(line, sizeof(line), "%zu/%zu images  %.2f images/s  %s left%s", p->done, p->total,
                 rate, left, failed);
    vj_line_show(p->out, line);
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
    vj_line_keep(p->out, text);
}

double vj_progress_finish(struct vj_progress *p)
{
    double now = vj_seconds();
    print_line(p, now);
    if (p->terminal)
        fputc('\n', p->out);
    return now - p->start;
}
