/* SPDX-License-Identifier: MIT */
/*
 * Modules that stand in for vpjnd_cuda.so. One FAKE_* is defined per build: FAKE_GOOD has two
 * devices that compute nothing but tell who was asked; the others are what a loader may come
 * across.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/module.h"

struct fake {
    int ordinal, slots;
};

/* The module has no symbol of the program, so it records its failures itself. */
static inline int fail(struct vj_error *err, int code, const char *text)
{
    if (err) {
        err->code = code;
        snprintf(err->text, sizeof(err->text), "%s", text);
    }
    return code;
}

static int fake_open(void **state, const struct vj_device_plan *plan, int ordinal,
                     struct vj_error *err)
{
    *state = NULL;
#ifdef FAKE_BAD_OPEN
    (void)plan;
    if (ordinal == 1)
        return fail(err, -ENOMEM, "the run needs 99 MiB more on GPU 1");
#endif
    struct fake *fake = calloc(1, sizeof(*fake));
    if (!fake)
        return fail(err, -ENOMEM, "out of memory");
    fake->ordinal = ordinal;
    fake->slots = plan->slots;
    *state = fake;
    return 0;
}

static void fake_close(void *state)
{
    free(state);
}

static void fake_info(const void *state, struct vj_device_info *info)
{
    const struct fake *fake = state;
    snprintf(info->name, sizeof(info->name), "fake %d with %d slots", fake->ordinal, fake->slots);
    snprintf(info->libraries, sizeof(info->libraries), "none");
    info->memory = (size_t)100 + (size_t)fake->ordinal;
}

/* Every stage answers with what it was asked, as a failure's text; slots beyond the plan's do not.
 */
static int tell(const struct fake *fake, int slot, const char *stage, struct vj_error *err)
{
    char text[128];
    snprintf(text, sizeof(text), "%s: device %d, slot %d of %d", stage, fake->ordinal, slot,
             fake->slots);
    return fail(err, slot < fake->slots ? -EXDEV : -EINVAL, text);
}

static int fake_source(void *state, int slot, const struct vj_image *source,
                       const struct vj_image *reference, int anchor_qf, struct vj_error *err)
{
    (void)source;
    (void)reference;
    (void)anchor_qf;
    return tell(state, slot, "source", err);
}

static int fake_jnd_maps(void *state, int slot, struct vj_error *err)
{
    return tell(state, slot, "jnd_maps", err);
}

static int fake_positions(void *state, int slot, const int32_t (*origin)[2],
                          const int32_t (*jnd_origin)[2], const bool *wanted, struct vj_error *err)
{
    (void)origin;
    (void)jnd_origin;
    (void)wanted;
    return tell(state, slot, "positions", err);
}

static int fake_candidates(void *state, int slot, const struct vj_candidate_request *request,
                           const struct vj_candidate_values *out, struct vj_error *err)
{
    (void)request;
    (void)out;
    return tell(state, slot, "candidates", err);
}

static int fake_scores(void *state, int slot, size_t network, int draw, int count, float *score,
                       float *quality, float *weight, struct vj_error *err)
{
    (void)network;
    (void)draw;
    (void)count;
    (void)score;
    (void)quality;
    (void)weight;
    return tell(state, slot, "scores", err);
}

static int fake_wait(void *state, int slot, struct vj_error *err)
{
    return tell(state, slot, "wait", err);
}

static void fake_algorithms(const void *state, size_t network, char *text, size_t size)
{
    (void)state;
    snprintf(text, size, "fake\nnetwork %zu\n", network);
}

static const struct vj_device_ops ops = {
#ifdef FAKE_OTHER_API
    .api = VJ_DEVICE_API + 1,
#else
    .api = VJ_DEVICE_API,
#endif
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .info = fake_info,
    .source = fake_source,
    .jnd_maps = fake_jnd_maps,
    .positions = fake_positions,
    .candidates = fake_candidates,
    .scores = fake_scores,
    .wait = fake_wait,
    .algorithms = fake_algorithms,
};

static int fake_trainer_open(void **state, const struct vj_trainer_plan *plan, int ordinal,
                             struct vj_error *err)
{
    *state = NULL;
#ifdef FAKE_BAD_OPEN
    return fail(err, -ENOMEM, "training needs 99 MiB more");
#endif
    struct fake *fake = calloc(1, sizeof(*fake));
    if (!fake)
        return fail(err, -ENOMEM, "out of memory");
    fake->ordinal = ordinal;
    fake->slots = (int)plan->max_pairs;
    *state = fake;
    return 0;
}

static void fake_trainer_libraries(const void *state, char *text, size_t size)
{
    const struct fake *fake = state;
    snprintf(text, size, "fake %d for %d pairs", fake->ordinal, fake->slots);
}

static const struct vj_trainer_ops trainer = {
    .name = "fake",
    .open = fake_trainer_open,
    .close = fake_close,
    .libraries = fake_trainer_libraries,
};

static int fake_count(int *count, struct vj_error *err)
{
#ifdef FAKE_NO_GPU
    *count = 0;
    return fail(err, -ENODEV, "the driver shows no GPU");
#else
    (void)err;
    *count = 2;
    return 0;
#endif
}

static int fake_probe(int ordinal, char *text, size_t size, struct vj_error *err)
{
    snprintf(text, size, "Fake %d", ordinal);
#ifdef FAKE_BAD_PROBE
    if (ordinal == 0)
        return fail(err, -EIO, "the probe kernel gave a wrong result");
#endif
    (void)err;
    return 0;
}

static const struct vj_device_module module = {
    .built = "nothing",
    .ops = &ops,
    .trainer = &trainer,
    .count = fake_count,
    .probe = fake_probe,
};

int vj_device_module_api(void)
{
#ifdef FAKE_WRONG_API
    return VJ_DEVICE_API + 1;
#else
    return VJ_DEVICE_API;
#endif
}

#ifndef FAKE_NO_SYMBOL
const struct vj_device_module *vj_device_module(int api)
{
    return api == vj_device_module_api() ? &module : NULL;
}
#else
const void *const unused[] = {&module};
#endif
