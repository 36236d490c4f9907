/* SPDX-License-Identifier: MIT */
/* What the files of the CPU network share; tests and benchmarks look inside through it. */
#ifndef VJ_HOST_NET_INTERNAL_H
#define VJ_HOST_NET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/net.h"
#include "host/net_conv.h"
#include "host/net_fold.h"
#include "host/net_form.h"
#include "host/net_layers.h"
#include "host/onednn.h"

/* Which weights a patch passes through. */
enum vj_net_stream {
    VJ_NET_PICTURE = 0, /* R and D */
    VJ_NET_JND,         /* J; the same prepared layers as PICTURE where it has none of its own */
    VJ_NET_STREAMS,
};

/* One feature extractor, prepared; what the variant does not have is NULL or empty. */
struct vj_extractor {
    struct vj_net_conv *conv[VJ_NET_LAYERS];
    struct vj_attention attention[VJ_NET_BLOCKS]; /* their tensors lie in `attention_data` */
    float *attention_data;
    struct vj_dnn_op *theta, *phi, *value;
};

/* The parts of the extractor without weights of their own, shared by all streams. */
struct vj_non_local_ops {
    struct vj_dnn_op *affinity; /* theta phi */
    struct vj_dnn_op *softmax;
    struct vj_dnn_op *attend; /* softmax(F) v */
};

/* The two heads, prepared, and their buffers; opaque outside net_heads.c. */
struct vj_heads;
struct vj_heads_work;

/* Buffers and bound calls of one thread. */
struct vj_extractor_thread {
    float *memory; /* one allocation, cut up into the buffers below */
    float *input, *between, *map, *pooled, *nhwc, *theta, *phi, *value, *affinity, *attended, *last;
    float *scratch;
    struct {
        struct vj_net_conv_call *conv[VJ_NET_LAYERS];
        struct vj_dnn_call *theta, *phi, *value;
    } stream[VJ_NET_STREAMS];
    struct vj_dnn_call *affinity_call, *softmax_call, *attend_call;
    size_t bytes;
};

/*
 * Called behind each layer when a pass is traced: layer name and its output, NHWC whatever the
 * prepared layout is. Layers in order: input, conv1, attention1, pool1, ... conv4, theta, phi,
 * value, affinity, softmax, attended, pool4, features; two convolutions of a block are conv1_1 and
 * conv1_2, and what the variant does not have is left out. `conv` maps are after the relu,
 * `attention` is the scale per channel, `affinity` is before the softmax.
 */
typedef void (*vj_net_probe)(void *user, const char *layer, const float *data, size_t count);

struct vj_net {
    struct vj_net_shape shape;
    enum vj_positive_class positive_class;
    struct vj_dnn *dnn;
    const struct vj_net_form *form;
    struct vj_extractor extractor[VJ_NET_STREAMS]; /* the second may be empty */
    struct vj_non_local_ops non_local;
    struct vj_heads *heads;
    size_t features; /* vj_net_features() */
};

struct vj_net_work {
    const struct vj_net *net;
    int threads;
    struct vj_extractor_thread *thread; /* [threads] */
    struct vj_heads_work *heads;
};

/* net_extract.c */

/* The streams that patches pass: without a map, the picture's alone. */
int vj_net_streams(const struct vj_net *net);

/* The extractor of a stream: its own, or the one it shares. */
const struct vj_extractor *vj_net_extractor(const struct vj_net *net, enum vj_net_stream stream);

int vj_extractor_prepare(struct vj_extractor *e, struct vj_dnn *dnn, const struct vj_weights *w,
                         const char *stream, struct vj_error *err);
void vj_extractor_release(struct vj_extractor *e);
size_t vj_extractor_bytes(const struct vj_extractor *e);

int vj_non_local_prepare(struct vj_non_local_ops *ops, struct vj_dnn *dnn,
                         const struct vj_net_shape *shape, struct vj_error *err);
void vj_non_local_release(struct vj_non_local_ops *ops);

int vj_extractor_thread_create(struct vj_extractor_thread *t, const struct vj_net *net,
                               struct vj_error *err);
void vj_extractor_thread_release(struct vj_extractor_thread *t);

/*
 * Features of one patch.
 * patch: [S][S][channels] u8, channels 3, or 1 to be seen three times
 * out:   [vj_net_features()]
 * probe: NULL, or called behind every layer
 */
int vj_extractor_run(struct vj_extractor_thread *t, const struct vj_net *net,
                     enum vj_net_stream stream, const uint8_t *patch, size_t channels, float *out,
                     vj_net_probe probe, void *user, struct vj_error *err);

/* net_heads.c */

/* Which rows of weights the features of a chunk of patches meet. */
enum vj_heads_pass {
    VJ_HEADS_REFERENCE = 0, /* f_r: its constant part of both hidden layers, biases included */
    VJ_HEADS_DISTORTED,     /* f_d and, with a map, f_d * f_j: the rest of the hidden layers */
    VJ_HEADS_PASSES,
};

enum { VJ_HEADS_ROWS = 8 * VJ_NET_ROW_BLOCK }; /* patches of a chunk */

int vj_heads_prepare(struct vj_heads **heads, struct vj_dnn *dnn, const struct vj_weights *w,
                     struct vj_error *err);
void vj_heads_free(struct vj_heads *heads);
size_t vj_heads_bytes(const struct vj_heads *heads);

int vj_heads_work_create(struct vj_heads_work **work, const struct vj_heads *heads,
                         struct vj_error *err);
void vj_heads_work_free(struct vj_heads_work *work);
size_t vj_heads_work_bytes(const struct vj_heads_work *work);

/* Rows to be filled before a pass, [features] each: f_r or f_d, and, with a map, f_d * f_j. */
float *vj_heads_features(struct vj_heads_work *work, size_t row);
float *vj_heads_products(struct vj_heads_work *work, size_t row);

/* Runs a pass over the first `rows` rows, 1..VJ_HEADS_ROWS, on up to `threads` threads. */
int vj_heads_run(struct vj_heads_work *work, enum vj_heads_pass pass, size_t rows, int threads,
                 struct vj_error *err);

/* After REFERENCE: a row's constant part, [2 * VJ_NET_HIDDEN], quality head then weight head. */
void vj_heads_constant(const struct vj_heads_work *work, size_t row, float *constant);

/* After DISTORTED: q_p and a_p of a row with its reference's constant part. */
void vj_heads_finish(const struct vj_heads_work *work, size_t row, const float *constant,
                     float *quality, float *weight);

/* net_init.c: quantile of the standard normal, p in [0.02, 0.98]. */
double vj_net_normal_quantile(double p);

#endif
