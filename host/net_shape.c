/* SPDX-License-Identifier: MIT */
/* What devices need of host/weights.h, apart from its files: no HDF5 in here. */
#include <errno.h>
#include <string.h>

#include "host/net_fold.h"
#include "host/weights.h"

enum {
    MAX_CHANNELS = 1024,
    MAX_PATCHES = 4096,
};

struct vj_net_shape vj_net_shape_default(enum vj_variant variant)
{
    struct vj_net_shape shape = {
        .variant = variant,
        .non_local = VJ_NON_LOCAL_RESHAPE,
        .patch_size = 128,
        .patches = 32,
        .channels = {32, 64, 128, 256},
    };
    return shape;
}

int vj_net_shape_check(const struct vj_net_shape *s, struct vj_error *err)
{
    if ((unsigned)s->variant > VJ_VARIANT_FIGURE)
        return vj_fail(err, -EINVAL, "variant %d is unknown", (int)s->variant);
    if ((unsigned)s->non_local > VJ_NON_LOCAL_TRANSPOSE)
        return vj_fail(err, -EINVAL, "non_local %d is unknown", (int)s->non_local);
    if (s->patch_size < 16 || s->patch_size > 256 || s->patch_size % 16 != 0)
        return vj_fail(err, -EINVAL, "patch_size is %d, must be a multiple of 16 from 16 to 256",
                       s->patch_size);
    if (s->patches < 1 || s->patches > MAX_PATCHES)
        return vj_fail(err, -EINVAL, "patches is %d, must be 1 to %d", s->patches, MAX_PATCHES);
    for (int i = 0; i < 3; i++)
        if (s->channels[i] < 16 || s->channels[i] > MAX_CHANNELS || s->channels[i] % 16 != 0)
            return vj_fail(err, -EINVAL,
                           "channels[%d] is %d, must be a multiple of 16 from 16 to %d", i,
                           s->channels[i], MAX_CHANNELS);
    if (s->channels[3] < 1 || s->channels[3] > MAX_CHANNELS)
        return vj_fail(err, -EINVAL, "channels[3] is %d, must be 1 to %d", s->channels[3],
                       MAX_CHANNELS);
    return 0;
}

struct vj_tensor *vj_weights_find(const struct vj_weights *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->tensors[i].name, name) == 0)
            return &w->tensors[i];
    return NULL;
}
