/* SPDX-License-Identifier: MIT */
#include "host/device_group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/checked.h"

struct group {
    struct vj_device_ops own;        /* with the members' name */
    const struct vj_device_ops *ops; /* of the members */
    int count;
    void *member[VJ_DEVICE_GPU_MAX]; /* states */
};

static void group_close(void *state)
{
    struct group *g = state;
    if (!g)
        return;
    for (int i = 0; i < g->count; i++)
        g->ops->close(g->member[i]);
    free(g);
}

static void group_info(const void *state, struct vj_device_info *info)
{
    const struct group *g = state;
    struct vj_device_info one = {0};
    g->ops->info(g->member[0], info);
    size_t memory = info->memory;
    for (int i = 1; i < g->count; i++) {
        g->ops->info(g->member[i], &one);
        memory += one.memory;
    }
    char first[sizeof(info->name)];
    snprintf(first, sizeof(first), "%s", info->name);
    snprintf(info->name, sizeof(info->name), "%d devices, the first: %.100s", g->count, first);
    info->memory = memory;
}

static void *member(const struct group *g, int slot)
{
    return g->member[slot % g->count];
}

static int group_source(void *state, int slot, const struct vj_image *source,
                        const struct vj_image *reference, int anchor_qf, struct vj_error *err)
{
    struct group *g = state;
    return g->ops->source(member(g, slot), slot / g->count, source, reference, anchor_qf, err);
}

static int group_jnd_maps(void *state, int slot, struct vj_error *err)
{
    struct group *g = state;
    return g->ops->jnd_maps(member(g, slot), slot / g->count, err);
}

static int group_positions(void *state, int slot, const int32_t (*origin)[2],
                           const int32_t (*jnd_origin)[2], const bool *wanted, struct vj_error *err)
{
    struct group *g = state;
    return g->ops->positions(member(g, slot), slot / g->count, origin, jnd_origin, wanted, err);
}

static int group_candidates(void *state, int slot, const struct vj_candidate_request *request,
                            const struct vj_candidate_values *out, struct vj_error *err)
{
    struct group *g = state;
    return g->ops->candidates(member(g, slot), slot / g->count, request, out, err);
}

static int group_scores(void *state, int slot, size_t network, int draw, int count, float *score,
                        float *quality, float *weight, struct vj_error *err)
{
    struct group *g = state;
    return g->ops->scores(member(g, slot), slot / g->count, network, draw, count, score, quality,
                          weight, err);
}

static int group_wait(void *state, int slot, struct vj_error *err)
{
    struct group *g = state;
    return g->ops->wait(member(g, slot), slot / g->count, err);
}

static void group_algorithms(const void *state, size_t network, char *text, size_t size)
{
    const struct group *g = state;
    g->ops->algorithms(g->member[0], network, text, size);
}

static int group_refuse_open(void **state, const struct vj_device_plan *plan, int ordinal,
                             struct vj_error *err)
{
    (void)plan;
    (void)ordinal;
    *state = NULL;
    return vj_fail(err, -EINVAL, "several devices are opened with vj_device_group_open()");
}

/*
 * Without a name: results are those of the members, whatever their number, so that a file of theirs
 * is of their kind (attribute device_kind, which --resume and --rows-from hold to).
 */
static const struct vj_device_ops group_ops = {
    .api = VJ_DEVICE_API,
    .open = group_refuse_open,
    .close = group_close,
    .info = group_info,
    .source = group_source,
    .jnd_maps = group_jnd_maps,
    .positions = group_positions,
    .candidates = group_candidates,
    .scores = group_scores,
    .wait = group_wait,
    .algorithms = group_algorithms,
};

int vj_device_group_open(struct vj_device *device, const struct vj_device_ops *ops,
                         const int *ordinal, int count, const struct vj_device_plan *plan,
                         struct vj_error *err)
{
    *device = (struct vj_device){0};
    if (count < 2 || count > VJ_DEVICE_GPU_MAX)
        return vj_fail(err, -EINVAL, "%d devices in one run: choose 1 to %d", count,
                       VJ_DEVICE_GPU_MAX);
    if (plan->slots < count)
        return vj_fail(err, -EINVAL,
                       "option slots = %d: %d devices need one each, and two each plus one keep "
                       "them busy (slots = %d)",
                       plan->slots, count, 2 * count + 1);
    struct group *g = vj_calloc(1, sizeof(*g));
    if (!g)
        return vj_fail(err, -ENOMEM, "out of memory");
    g->ops = ops;
    g->own = group_ops;
    g->own.name = ops->name;
    for (int i = 0; i < count; i++) {
        struct vj_device_plan own = *plan;
        own.slots = (plan->slots - i + count - 1) / count;
        int r = ops->open(&g->member[i], &own, ordinal[i], err);
        if (r) {
            group_close(g);
            return r;
        }
        g->count = i + 1;
    }
    device->ops = &g->own;
    device->state = g;
    return 0;
}
