/* SPDX-License-Identifier: MIT */
/* What the tests of weights, in memory and as a file, share. */
#ifndef VJ_TESTS_HOST_WEIGHTS_RIG_H
#define VJ_TESTS_HOST_WEIGHTS_RIG_H

#include "tests/vj_test.h"

#include "host/weights.h"

static struct vj_error err;

static inline void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

static inline struct vj_net_shape small_shape(enum vj_variant variant)
{
    struct vj_net_shape s = {variant, VJ_NON_LOCAL_RESHAPE, 16, 3, {16, 32, 16, 8}};
    return s;
}

#endif
