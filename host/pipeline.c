/* SPDX-License-Identifier: MIT */
#include "host/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

/* Pictures that the device works on, oldest first. */
struct in_flight {
    struct vj_loaded **loaded; /* [slots] */
    size_t count;
};

/* Waits for the oldest picture and hands its row over. */
static int take_oldest(const struct vj_pipeline *p, struct in_flight *flight,
                       struct vj_stream *stream, struct vj_error *err)
{
    struct vj_loaded *loaded = flight->loaded[0];
    const size_t index = loaded->index;
    const int slot = loaded->slot;
    memmove(flight->loaded, flight->loaded + 1, --flight->count * sizeof(*flight->loaded));
    vj_engine_collect(p->engine, slot);
    vj_stream_release(stream, loaded);
    return p->take(p->user, index, slot, err);
}

static int run_all(const struct vj_pipeline *p, struct in_flight *flight, struct vj_stream *stream,
                   struct vj_error *err)
{
    /* One slot stays free for the decode threads, so that they are never idle. */
    const size_t most = p->read.slots > 1 ? (size_t)p->read.slots - 1 : 1;
    struct vj_loaded *loaded = NULL;
    bool full = false;
    int r = p->full(p->user, &full, err);
    while (!r && (loaded = vj_stream_next(stream)) != NULL) {
        vj_engine_submit(p->engine, loaded, full, p->row[loaded->slot]);
        flight->loaded[flight->count++] = loaded;
        /* While all are scored in full, whether the next one is depends on this one's row. */
        while (!r && flight->count > 0 && (flight->count >= most || full)) {
            r = take_oldest(p, flight, stream, err);
            if (!r)
                r = p->full(p->user, &full, err);
        }
    }
    while (!r && flight->count > 0)
        r = take_oldest(p, flight, stream, err);
    return r;
}

int vj_pipeline_run(const struct vj_pipeline *p, struct vj_error *err)
{
    struct vj_stream *stream = NULL;
    struct in_flight flight = {.loaded = vj_calloc((size_t)p->read.slots, sizeof(*flight.loaded))};
    if (!flight.loaded)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_stream_open(&stream, p->load, p->source, p->index, p->count, &p->read, err);
    if (!r)
        r = run_all(p, &flight, stream, err);
    /* After a failure pictures may still be with the device: wait before their memory goes. */
    for (size_t i = 0; i < flight.count; i++)
        vj_engine_collect(p->engine, flight.loaded[i]->slot);
    vj_stream_close(stream);
    free(flight.loaded);
    return r;
}
