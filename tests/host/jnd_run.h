/* SPDX-License-Identifier: MIT */
/* One pixel-JND map for a test, in memory that held something else before. */
#ifndef VJ_TESTS_HOST_JND_RUN_H
#define VJ_TESTS_HOST_JND_RUN_H

#include "tests/vj_test.h"

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jnd_map.h"

static inline void *take(size_t count, size_t size)
{
    void *p = vj_alloc_aligned(count, size);
    assert_non_null(p);
    return p;
}

static inline void run_job(const struct vj_jnd_model *model, const struct vj_jnd_job *job,
                           int threads)
{
    struct vj_error err = {0};
    struct vj_jnd_workspace *ws;
    size_t bytes = vj_jnd_workspace_bytes(model, job->width, job->height, threads);
    assert_int_equal(vj_jnd_workspace_create(&ws, bytes, threads, &err), 0);
    memset(ws->arena.base, 0xFF, bytes); /* whatever was there before must not matter */
    if (vj_jnd_run(model, job, ws, &err))
        fail_msg("%s", err.text);
    vj_jnd_workspace_free(ws);
}

static inline void run(const struct vj_jnd_model *model, size_t variant, const uint8_t *luma,
                       size_t width, size_t height, int threads, float *map, float *const *stages)
{
    struct vj_jnd_job job = {.luma = luma,
                             .width = width,
                             .height = height,
                             .variant = variant,
                             .map = map,
                             .stages = stages};
    run_job(model, &job, threads);
}

#endif
