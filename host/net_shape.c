/* SPDX-License-Identifier: MIT */
/* What devices need of host/weights.h, apart from its files: no HDF5 in here. */
#include <errno.h>
#include <string.h>

#include "host/net_fold.h"
#include "host/net_form.h"
#include "host/weights.h"

enum {
    MAX_CHANNELS = 1024,
    MAX_PATCHES = 4096,
    MAX_PATCH_SIZE = 256,
};

static const struct vj_net_form forms[VJ_VARIANTS] = {
    [VJ_VARIANT_RELEASED] = {.name = "released",
                             .blocks = 4,
                             .convs = 1,
                             .attention = true,
                             .non_local = true,
                             .jnd = true,
                             .jnd_stream = true,
                             .copies = 2, /* max-pool and mean-pool twins, both identities */
                             .gain = 1,
                             .patch_size = 128,
                             .channels = {32, 64, 128, 256}},
    [VJ_VARIANT_FIGURE] = {.name = "figure",
                           .blocks = 4,
                           .convs = 1,
                           .attention = true,
                           .non_local = true,
                           .jnd = true,
                           .statistics = true,
                           .copies = 1,
                           .gain = 1,
                           .patch_size = 128,
                           .channels = {32, 64, 128, 256}},
    [VJ_VARIANT_PW_JND] = {.name = "pw-jnd",
                           .blocks = 5,
                           .convs = 2,
                           .copies = 1,
                           .gain = 2.6, /* 2, and what the cut at 2 standard deviations takes */
                           .patch_size = 32,
                           .channels = {32, 64, 128, 256, 512}},
};

const struct vj_net_form *vj_net_form(enum vj_variant variant)
{
    return &forms[variant];
}

const char *vj_variant_name(enum vj_variant v)
{
    return (unsigned)v < VJ_VARIANTS ? forms[v].name : "unknown";
}

int vj_net_layers(const struct vj_net_shape *shape)
{
    const struct vj_net_form *form = vj_net_form(shape->variant);
    return form->blocks * form->convs;
}

struct vj_net_layer vj_net_layer(const struct vj_net_shape *shape, int layer)
{
    static const char *const names[VJ_NET_CONVS][VJ_NET_LAYERS] = {
        {"conv1", "conv2", "conv3", "conv4", "conv5"},
        {"conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2",
         "conv5_1", "conv5_2"},
    };
    const int convs = vj_net_form(shape->variant)->convs, block = layer / convs;
    const int before = (layer - 1) / convs; /* block of the layer before */
    return (struct vj_net_layer){
        .name = names[convs - 1][layer],
        .block = block,
        .first = layer % convs == 0,
        .last = layer % convs == convs - 1,
        .side = vj_net_side(shape, block),
        .in = layer ? (size_t)shape->channels[before] : 3,
        .out = (size_t)shape->channels[block],
    };
}

struct vj_net_shape vj_net_shape_default(enum vj_variant variant)
{
    const struct vj_net_form *form = vj_net_form(variant);
    struct vj_net_shape shape = {
        .variant = variant,
        .non_local = VJ_NON_LOCAL_RESHAPE,
        .patch_size = form->patch_size,
        .patches = 32,
    };
    memcpy(shape.channels, form->channels, sizeof(shape.channels));
    return shape;
}

static int check_channels(const struct vj_net_shape *s, struct vj_error *err)
{
    const struct vj_net_form *form = vj_net_form(s->variant);
    for (int i = 0; i < VJ_NET_BLOCKS; i++) {
        const int c = s->channels[i];
        if (i >= form->blocks) {
            if (c != 0)
                return vj_fail(err, -EINVAL,
                               "channels[%d] is %d, must be 0: the variant has %d blocks", i, c,
                               form->blocks);
        } else if (i == form->blocks - 1 && form->non_local) {
            if (c < 1 || c > MAX_CHANNELS)
                return vj_fail(err, -EINVAL, "channels[%d] is %d, must be 1 to %d", i, c,
                               MAX_CHANNELS);
        } else if (c < 16 || c > MAX_CHANNELS || c % 16 != 0) {
            return vj_fail(err, -EINVAL,
                           "channels[%d] is %d, must be a multiple of 16 from 16 to %d", i, c,
                           MAX_CHANNELS);
        }
    }
    return 0;
}

int vj_net_shape_check(const struct vj_net_shape *s, struct vj_error *err)
{
    if ((unsigned)s->variant >= VJ_VARIANTS)
        return vj_fail(err, -EINVAL, "variant %d is unknown", (int)s->variant);
    if ((unsigned)s->non_local > VJ_NON_LOCAL_TRANSPOSE)
        return vj_fail(err, -EINVAL, "non_local %d is unknown", (int)s->non_local);
    const struct vj_net_form *form = vj_net_form(s->variant);
    if (!form->non_local && s->non_local != VJ_NON_LOCAL_RESHAPE)
        return vj_fail(err, -EINVAL,
                       "non_local is transpose, but variant %s has no non-local block",
                       vj_variant_name(s->variant));
    const int step = 1 << form->blocks;
    if (s->patch_size < step || s->patch_size > MAX_PATCH_SIZE || s->patch_size % step != 0)
        return vj_fail(err, -EINVAL, "patch_size is %d, must be a multiple of %d from %d to %d",
                       s->patch_size, step, step, MAX_PATCH_SIZE);
    if (s->patches < 1 || s->patches > MAX_PATCHES)
        return vj_fail(err, -EINVAL, "patches is %d, must be 1 to %d", s->patches, MAX_PATCHES);
    return check_channels(s, err);
}

struct vj_tensor *vj_weights_find(const struct vj_weights *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->tensors[i].name, name) == 0)
            return &w->tensors[i];
    return NULL;
}
