/* SPDX-License-Identifier: MIT */
/* Random weights of a small network that answers something, for whole runs. */
#ifndef VJ_TESTS_SMALL_NETWORK_H
#define VJ_TESTS_SMALL_NETWORK_H

#include "tests/vj_test.h"

#include "host/weights.h"

static inline void write_network(const char *path, const struct vj_net_shape *shape, uint64_t seed,
                                 enum vj_positive_class positive, enum vj_weights_origin origin)
{
    struct vj_weights w = {0};
    struct vj_error err = {0};
    if (vj_weights_init(&w, shape, seed, &err))
        fail_msg("%s", err.text);
    /* Patch weights must not all be cut off by their relu. */
    vj_weights_find(&w, "weightings/block2/biases")->data[0] = 1.0f;
    w.positive_class = positive;
    w.origin = origin;
    if (vj_weights_write(&w, path, &err))
        fail_msg("%s", err.text);
    vj_weights_free(&w);
}

#endif
