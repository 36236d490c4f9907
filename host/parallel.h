/* SPDX-License-Identifier: MIT */
/* Loops over independent work that can fail, on OpenMP threads. */
#ifndef VJ_HOST_PARALLEL_H
#define VJ_HOST_PARALLEL_H

#include <stddef.h>
#include <string.h>

#include "host/error.h"

/*
 * Calls work(user, i, &own) for i = 0..count-1 in any order, on at most `threads` threads; within
 * it, omp_get_thread_num() is below `threads`. All calls are made, also after a failure.
 * Returns 0 or, with its text, the failure of the smallest i: the same on any number of threads.
 */
static inline int vj_parallel(size_t count, int threads,
                              int (*work)(void *user, size_t i, struct vj_error *err), void *user,
                              struct vj_error *err)
{
    struct vj_error first = {0};
    size_t first_at = count;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < count; i++) {
        struct vj_error own = {0};
        int r = work(user, i, &own);
        if (r == 0)
            continue;
        if (own.code == 0)
            vj_fail(&own, r, "%s", strerror(-r));
#pragma omp critical(vj_parallel_error)
        if (i < first_at) {
            first_at = i;
            first = own;
        }
    }
    return first.code ? vj_fail(err, first.code, "%s", first.text) : 0;
}

#endif
