/* SPDX-License-Identifier: MIT */
/* Shapes of networks for tests of the CUDA device's plan, and numbers to fill them with. */
#ifndef VJ_TESTS_CUDA_NET_SHAPES_H
#define VJ_TESTS_CUDA_NET_SHAPES_H

#include "cuda/net_plan.h"
#include "host/net_fold.h"
#include "host/rng.h"

static struct vj_error err;

static inline void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

static inline struct vj_net_shape shape_of(enum vj_variant variant, enum vj_non_local non_local,
                                           int size, int c1, int c2, int c3, int c4)
{
    struct vj_net_shape s = vj_net_shape_default(variant);
    s.non_local = non_local;
    s.patch_size = size;
    s.channels[0] = c1;
    s.channels[1] = c2;
    s.channels[2] = c3;
    s.channels[3] = c4;
    return s;
}

static inline struct vj_net_shape pw_shape_of(int size, int c1, int c2, int c3, int c4, int c5)
{
    struct vj_net_shape s = shape_of(VJ_VARIANT_PW_JND, VJ_NON_LOCAL_RESHAPE, size, c1, c2, c3, c4);
    s.channels[4] = c5;
    return s;
}

enum { MANY = 11 };

/* The default shapes, odd channel counts, and both ends of every range. */
static inline size_t many_shapes(struct vj_net_shape *list)
{
    const struct vj_net_shape shapes[] = {
        vj_net_shape_default(VJ_VARIANT_RELEASED),
        vj_net_shape_default(VJ_VARIANT_FIGURE),
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 1),
        shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 32, 48, 16, 80, 21),
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_TRANSPOSE, 48, 16, 112, 32, 24),
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 240, 1024, 16, 1008, 300),
        shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 256, 1024, 1024, 1024, 1024),
        vj_net_shape_default(VJ_VARIANT_PW_JND),
        pw_shape_of(32, 16, 16, 16, 16, 16),
        pw_shape_of(96, 48, 16, 112, 32, 80),
        pw_shape_of(256, 1024, 16, 1008, 1024, 1024),
    };
    assert_int_equal(sizeof(shapes) / sizeof(shapes[0]), MANY);
    memcpy(list, shapes, sizeof(shapes));
    return sizeof(shapes) / sizeof(shapes[0]);
}

static inline double noise(uint32_t stream, size_t i)
{
    return vj_random_unit(vj_random4(7, VJ_RNG_TEST, stream, (uint32_t)i).v[0]) - 0.5;
}

static inline double *noisy(uint32_t stream, size_t count)
{
    double *v = malloc(count * sizeof(double));
    for (size_t i = 0; i < count; i++)
        v[i] = noise(stream, i);
    return v;
}

#endif
