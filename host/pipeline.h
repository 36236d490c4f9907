/* SPDX-License-Identifier: MIT */
/*
 * Pictures through the device: worker threads read them ahead, the device works on as many as there
 * are slots but one, which stays to be read into, and the caller takes their rows in order
 * meanwhile.
 */
#ifndef VJ_HOST_PIPELINE_H
#define VJ_HOST_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/engine.h"
#include "host/error.h"
#include "host/stream.h"

struct vj_pipeline {
    struct vj_engine *engine;
    vj_load_fn *load; /* what the workers call, with `source` and one of index[0..count-1] */
    const void *source;
    const size_t *index; /* [count]; NULL: 0..count-1 */
    size_t count;
    struct vj_stream_options read; /* as many slots as the engine has */
    struct vj_row **row;           /* [slots] what the picture in each slot is measured into */

    /* Whether networks score every quality factor of the next picture. Where they do it is waited
     * for before another one is submitted. */
    int (*full)(void *user, bool *full, struct vj_error *err);
    /* The picture in the slot is done, for good or ill (row[slot]->status). Its row may be
     * exchanged for another one. */
    int (*take)(void *user, size_t index, int slot, struct vj_error *err);
    void *user;
};

/*
 * Puts all pictures through. An error of full() or take() ends it; the device is waited for.
 * Errors: these; -ENOMEM, of vj_stream_open()
 */
int vj_pipeline_run(const struct vj_pipeline *pipeline, struct vj_error *err);

#endif
