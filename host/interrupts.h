/* SPDX-License-Identifier: MIT */
/* What a long run does on Ctrl-C. */
#ifndef VJ_HOST_INTERRUPTS_H
#define VJ_HOST_INTERRUPTS_H

#include <signal.h>
#include <stddef.h>

/*
 * Calls the handler once on SIGINT and on SIGTERM; the next signal does what it always did. One
 * that the program was started with to ignore, as shells do for commands behind &, stays ignored.
 */
static inline void vj_catch_interruptions(void (*handler)(int))
{
    const int signals[] = {SIGINT, SIGTERM};
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESETHAND};
    struct sigaction was;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

#endif
