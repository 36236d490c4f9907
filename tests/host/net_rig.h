/* SPDX-License-Identifier: MIT */
/* A network with weights by formula, and pictures for it. */
#ifndef VJ_TESTS_NET_RIG_H
#define VJ_TESTS_NET_RIG_H

#include "tests/vj_test.h"

#include "host/net.h"
#include "host/net_internal.h"
#include "tests/host/net_formula.h"

/*
 * Error of a score over the magnitudes of what the head adds up, which may cancel; measured: below
 * 5e-7, with any of oneDNN's instruction sets.
 */
#define SCORE_LIMIT 2e-6

static struct vj_error err;

static inline void ok(int r)
{
    if (r)
        fail_msg("%d: %s", r, err.text);
}

/* Weights by formula and everything built on them. */
struct rig {
    struct vj_weights w;
    struct vj_net *net;
    struct vj_net_work *work;
    size_t pixels; /* of a patch */
};

static inline void rig_make(struct rig *rig, const struct vj_net_shape *shape, int threads)
{
    memset(rig, 0, sizeof(*rig));
    ok(formula_weights(&rig->w, shape, &err));
    ok(vj_net_create(&rig->net, &rig->w, &err));
    ok(vj_net_work_create(&rig->work, rig->net, threads, &err));
    rig->pixels = (size_t)shape->patch_size * (size_t)shape->patch_size;
}

static inline void rig_free(struct rig *rig)
{
    vj_net_work_free(rig->work);
    vj_net_free(rig->net);
    vj_weights_free(&rig->w);
}

static inline struct vj_net_shape small_shape(enum vj_variant variant, enum vj_non_local non_local,
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

/* Patches 0..P-1 of the reference, the JND map, and n candidates. */
struct pictures {
    uint8_t *r, *j, *d;
};

static inline struct pictures pictures_make(const struct rig *rig, size_t patches, size_t n)
{
    const size_t size = (size_t)rig->w.shape.patch_size, px = rig->pixels;
    struct pictures p = {malloc(patches * px * 3), malloc(patches * px),
                         malloc(n * patches * px * 3)};
    for (size_t k = 0; k < patches; k++) {
        formula_patch(p.r + k * px * 3, FORMULA_REFERENCE, k, size, 3);
        formula_patch(p.j + k * px, FORMULA_JND, k, size, 1);
        for (size_t i = 0; i < n; i++)
            formula_patch(p.d + (i * patches + k) * px * 3, FORMULA_CANDIDATE + (int)i, k, size, 3);
    }
    return p;
}

static inline void pictures_free(struct pictures *p)
{
    free(p->r);
    free(p->j);
    free(p->d);
}

static inline struct vj_net_reference *reference_make(struct rig *rig, const struct pictures *p,
                                                      size_t patches)
{
    struct vj_net_reference *ref;
    ok(vj_net_reference_create(&ref, rig->net, patches, &err));
    ok(vj_net_reference_load(ref, rig->work, p->r, p->j, patches, &err));
    return ref;
}

#endif
