/* SPDX-License-Identifier: MIT */
/* A small network as a TensorFlow checkpoint. */
#ifndef VJ_TESTS_HOST_CHECKPOINT_MODEL_H
#define VJ_TESTS_HOST_CHECKPOINT_MODEL_H

#include "tests/host/checkpoint_files.h"
#include "tests/host/checkpoint_writer.h"

#include "host/weights.h"

static inline struct vj_net_shape small_shape(enum vj_variant variant, int patch_size)
{
    struct vj_net_shape shape = vj_net_shape_default(variant);
    shape.patch_size = patch_size;
    for (int i = 0; i < 4; i++)
        shape.channels[i] = 16;
    return shape;
}

/* Adds every tensor as NAME + suffix, in turn to every shard. */
static inline void put_weights(struct writer *w, const struct vj_weights *weights,
                               const char *suffix)
{
    for (size_t i = 0; i < weights->count; i++) {
        const struct vj_tensor *t = &weights->tensors[i];
        char name[200];
        snprintf(name, sizeof(name), "%s%s", t->name, suffix);
        writer_tensor(w, name, WRITER_FLOAT32, t->rank, t->shape, (uint32_t)i % w->num_shards,
                      t->data, t->count * sizeof(float));
    }
}

/* A checkpoint such as training leaves it: moving averages, variables of other values, and more. */
struct model {
    struct place place;
    struct vj_weights averages, variables;
    struct writer writer;
};

static inline void model_make(struct model *m, const struct vj_net_shape *shape, uint32_t shards)
{
    *m = (struct model){.place = place_make()};
    assert_int_equal(vj_weights_init(&m->averages, shape, 1, NULL), 0);
    assert_int_equal(vj_weights_init(&m->variables, shape, 2, NULL), 0);
    writer_start(&m->writer, shards);
    writer_header(&m->writer);
    put_weights(&m->writer, &m->variables, "");
    put_weights(&m->writer, &m->averages, AVERAGE);
    writer_tensor(&m->writer, "global_step", WRITER_INT32, 0, NULL, 0, "\x4a\x12\1", 4);
    writer_put(&m->writer, "extract_feature/conv1/biases/Adam", "\x08\1\x12\0\x28\4", 6);
}

static inline void model_free(struct model *m)
{
    vj_weights_free(&m->averages);
    vj_weights_free(&m->variables);
    writer_free(&m->writer);
    place_remove(&m->place);
}

#endif
