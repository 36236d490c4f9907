/* SPDX-License-Identifier: MIT */
#include "host/progress.h"

#include <time.h>
#include <unistd.h>

double vj_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void vj_progress_start(struct vj_progress *p, FILE *out, size_t total, size_t skipped)
{
    *p = (struct vj_progress){.out = out, .total = total, .done = skipped, .skipped = skipped};
    p->terminal = isatty(fileno(out)) == 1;
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
    fprintf(p->out, "%s%zu/%zu images  %.2f images/s  %s left", p->terminal ? "\r\033[K" : "",
            p->done, p->total, rate, left);
    if (p->failed)
        fprintf(p->out, "  %zu failed", p->failed);
    if (!p->terminal)
        fputc('\n', p->out);
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
    fprintf(p->out, "%s%s\n", p->terminal ? "\r\033[K" : "", text);
    fflush(p->out);
}

double vj_progress_finish(struct vj_progress *p)
{
    double now = vj_seconds();
    print_line(p, now);
    if (p->terminal)
        fputc('\n', p->out);
    return now - p->start;
}
