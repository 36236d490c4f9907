/* SPDX-License-Identifier: MIT */
#include "host/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "host/net_fold.h"
#include "host/utf8.h"

#define AVERAGE_SUFFIX "/ExponentialMovingAverage"
#define HEAD_WEIGHTS   "regressions/block1/weights"
#define JND_STREAM     "extract_jnd_feature/"

enum { PATCH_STEP = 16, PATCH_MAX = 256 }; /* pixels; what vj_weights_alloc() allows */

/* Where an import takes its tensors from. */
struct source {
    struct vj_checkpoint *checkpoint;
    const char *suffix; /* behind the network's names: AVERAGE_SUFFIX, or "" for raw variables */
};

static int find_tensor(const struct vj_checkpoint_entry **e, const struct source *s,
                       const char *name, struct vj_error *err)
{
    char full[sizeof(((struct vj_tensor *)0)->name) + sizeof(AVERAGE_SUFFIX)];
    snprintf(full, sizeof(full), "%s%s", name, s->suffix);
    *e = vj_checkpoint_find(s->checkpoint, full);
    if (*e)
        return 0;
    if (*s->suffix && vj_checkpoint_find(s->checkpoint, name))
        return vj_fail(err, -ENOENT,
                       "no tensor %s, only the variable without its moving average; import the raw "
                       "variables (--raw) if that is meant",
                       full);
    return vj_fail(err, -ENOENT, "no tensor %s; is this a checkpoint of the VP-JND network?", full);
}

static int expect_shape(const struct vj_checkpoint_entry *e, int rank, const uint64_t *shape,
                        struct vj_error *err)
{
    if (e->rank == rank && memcmp(e->shape, shape, (size_t)rank * sizeof(*shape)) == 0)
        return 0;
    char found[VJ_CHECKPOINT_SHAPE_TEXT], expected[VJ_CHECKPOINT_SHAPE_TEXT];
    vj_checkpoint_format_shape(found, e->rank, e->shape);
    if (e->rank != rank)
        return vj_fail(err, -EINVAL, "tensor %s has shape %s, expected %d dimensions", e->name,
                       found, rank);
    vj_checkpoint_format_shape(expected, rank, shape);
    return vj_fail(err, -EINVAL, "tensor %s has shape %s, expected %s", e->name, found, expected);
}

/*
 * Finds a tensor from which the network's shape is derived. Those of its dimensions that are
 * already known must be as in `shape`; the others, 0 there, are filled in. Its bytes must be in the
 * shard, so that the shards' size bounds what is allocated later: kernels and heads by these
 * tensors, the rest is small for any number of channels that vj_weights_alloc() allows.
 */
static int find_anchor(uint64_t *shape, int rank, const struct source *s, const char *name,
                       struct vj_error *err)
{
    const struct vj_checkpoint_entry *e;
    int ret = find_tensor(&e, s, name, err);
    if (ret)
        return ret;
    for (int i = 0; i < rank && i < e->rank; i++) {
        if (shape[i] != 0)
            continue;
        if (e->shape[i] < 1 || e->shape[i] > INT_MAX)
            return vj_fail(err, -EINVAL, "tensor %s: dimension %d is %" PRIu64 ", expected 1 to %d",
                           e->name, i, e->shape[i], INT_MAX);
        shape[i] = e->shape[i];
    }
    ret = expect_shape(e, rank, shape, err);
    return ret ? ret : vj_checkpoint_locate(s->checkpoint, e, err);
}

static int derive_channels(int channels[4], const struct source *s, struct vj_error *err)
{
    uint64_t inputs = 3;
    for (int i = 0; i < 4; i++) {
        uint64_t shape[4] = {3, 3, inputs, 0};
        char name[80];
        snprintf(name, sizeof(name), "extract_feature/conv%d/weights", i + 1);
        int ret = find_anchor(shape, 4, s, name, err);
        if (ret)
            return ret;
        inputs = shape[3];
        channels[i] = (int)inputs;
    }
    return 0;
}

static bool has_jnd_stream(const struct vj_checkpoint *c)
{
    for (size_t i = 0; i < vj_checkpoint_count(c); i++)
        if (strncmp(vj_checkpoint_entry(c, i)->name, JND_STREAM, strlen(JND_STREAM)) == 0)
            return true;
    return false;
}

/* `released`: the heads see every position of the feature map, so that their inputs tell its size.
 */
static int derive_patch_size(struct vj_net_shape *shape, uint64_t inputs, struct vj_error *err)
{
    uint64_t usual = vj_net_head_inputs(shape);
    int usual_size = shape->patch_size;
    for (int size = PATCH_STEP; size <= PATCH_MAX; size += PATCH_STEP) {
        shape->patch_size = size;
        if (vj_net_head_inputs(shape) == inputs)
            return 0;
    }
    return vj_fail(err, -EINVAL,
                   HEAD_WEIGHTS ": found %" PRIu64 " inputs, which %d channels of conv4 give at no "
                                "patch size; expected e.g. %" PRIu64 " for patches of %d pixels",
                   inputs, shape->channels[3], usual, usual_size);
}

static int derive_shape(struct vj_net_shape *shape, const struct source *s,
                        const struct vj_checkpoint_import_options *opt, struct vj_error *err)
{
    bool released = has_jnd_stream(s->checkpoint);
    *shape = vj_net_shape_default(released ? VJ_VARIANT_RELEASED : VJ_VARIANT_FIGURE);
    if (opt->patches)
        shape->patches = opt->patches;
    if (opt->patch_size)
        shape->patch_size = opt->patch_size;

    uint64_t head[2] = {0, VJ_NET_HIDDEN};
    int ret = derive_channels(shape->channels, s, err);
    if (ret == 0)
        ret = find_anchor(head, 2, s, HEAD_WEIGHTS, err);
    if (ret)
        return ret;
    if (released) {
        ret = derive_patch_size(shape, head[0], err);
        if (ret == 0 && opt->patch_size && opt->patch_size != shape->patch_size)
            ret = vj_fail(err, -EINVAL,
                          "patches are of %d pixels, as the inputs of the heads tell, not %d",
                          shape->patch_size, opt->patch_size);
        return ret;
    }
    uint64_t expected = vj_net_head_inputs(shape);
    if (head[0] != expected)
        return vj_fail(err, -EINVAL,
                       HEAD_WEIGHTS
                       ": found %" PRIu64 " inputs, expected %" PRIu64 " for %d channels "
                       "of conv4 in the figure variant (there is no extract_jnd_feature)",
                       head[0], expected, shape->channels[3]);
    return 0;
}

/* Every tensor is there, of the right shape, with its bytes: before the first of them is read. */
static int check_tensors(const struct vj_weights *w, const struct source *s, struct vj_error *err)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct vj_tensor *t = &w->tensors[i];
        const struct vj_checkpoint_entry *e;
        uint64_t shape[4];
        for (int k = 0; k < t->rank; k++)
            shape[k] = t->shape[k];
        int ret = find_tensor(&e, s, t->name, err);
        if (ret == 0)
            ret = expect_shape(e, t->rank, shape, err);
        if (ret == 0)
            ret = vj_checkpoint_locate(s->checkpoint, e, err);
        if (ret)
            return ret;
    }
    return 0;
}

static int read_tensors(struct vj_weights *w, const struct source *s, struct vj_error *err)
{
    for (size_t i = 0; i < w->count; i++) {
        struct vj_tensor *t = &w->tensors[i];
        const struct vj_checkpoint_entry *e;
        int ret = find_tensor(&e, s, t->name, err);
        if (ret == 0)
            ret = vj_checkpoint_read(s->checkpoint, e, t->data, t->count, err);
        if (ret)
            return ret;
    }
    return 0;
}

static void record_origin(struct vj_weights *w, const char *prefix,
                          const struct vj_checkpoint_import_options *opt)
{
    const char *slash = strrchr(prefix, '/'), *name = slash ? slash + 1 : prefix;
    w->positive_class = opt->positive_class;
    w->origin = VJ_ORIGIN_IMPORTED;
    snprintf(w->origin_text, sizeof(w->origin_text), "checkpoint %.*s, %s",
             (int)vj_utf8_cut(name, 200), name, opt->raw ? "raw variables" : "moving averages");
}

int vj_checkpoint_import(struct vj_weights *w, const char *prefix,
                         const struct vj_checkpoint_import_options *opt, struct vj_error *err)
{
    static const struct vj_checkpoint_import_options defaults;
    if (!opt)
        opt = &defaults;

    struct vj_checkpoint *c;
    int ret = vj_checkpoint_open(&c, prefix, err);
    if (ret)
        return ret;
    struct source s = {c, opt->raw ? "" : AVERAGE_SUFFIX};
    struct vj_net_shape shape;
    ret = derive_shape(&shape, &s, opt, err);
    if (ret == 0)
        ret = vj_weights_alloc(w, &shape, err);
    if (ret == 0)
        ret = check_tensors(w, &s, err);
    if (ret == 0)
        ret = read_tensors(w, &s, err);
    vj_checkpoint_close(c);
    if (ret) {
        vj_fail_prefix(err, "%s", prefix);
        return ret;
    }
    record_origin(w, prefix, opt);
    return vj_weights_hash(w, err);
}
