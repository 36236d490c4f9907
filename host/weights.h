/* SPDX-License-Identifier: MIT */
/*
 * Weights of a picture-wise JND network: named float32 tensors plus the facts without which they
 * mean nothing, in memory and as an HDF5 file.
 *
 * File (HDF5): root attributes schema = "vpjnd-weights", schema_version = 1, variant, patch_size,
 * patches, channels (one number per block), non_local (of variants with a non-local block),
 * positive_class, origin, origin_text, sha256, program_version; one float32 dataset per tensor at
 * its own path, e.g. /extract_feature/conv1/weights. Trained weights: attributes trained_* and the
 * dataset trained_pictures (struct vj_trained).
 */
#ifndef VJ_HOST_WEIGHTS_H
#define VJ_HOST_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/sha256.h"

enum vj_variant {
    VJ_VARIANT_RELEASED =
        0, /* the graph of the released checkpoint: identity "pooling", own JND stream */
    VJ_VARIANT_FIGURE, /* the paper's figure: mean + std pooling, JND stream shares weights */
    VJ_VARIANT_PW_JND, /* PW-JND (Liu et al. 2020): ten convolutions, no attention, no JND map */
    VJ_VARIANTS,
};

/* Which side of the decision a positive logit stands for. */
enum vj_positive_class {
    VJ_POSITIVE_AUTO = 0, /* unknown: decided on the first evaluated images, decision recorded */
    VJ_POSITIVE_LOSSY,
    VJ_POSITIVE_LOSSLESS,
};

/* Where the numbers come from. Random weights never get an accuracy row in any report. */
enum vj_weights_origin {
    VJ_ORIGIN_RANDOM = 0,
    VJ_ORIGIN_IMPORTED,
    VJ_ORIGIN_TRAINED,
};

enum vj_non_local {
    VJ_NON_LOCAL_RESHAPE = 0, /* phi's N x C memory re-read as C x N: the released graph */
    VJ_NON_LOCAL_TRANSPOSE,   /* the textbook form, for new training only */
};

/* Attribute `schema` of a weight file. */
#define VJ_WEIGHTS_SCHEMA "vpjnd-weights"

enum { VJ_NET_BLOCKS = 5 }; /* at most; how many a variant has says host/net_form.h */

/* The network's shape: data in the weight file, not constants in code. */
struct vj_net_shape {
    enum vj_variant variant;
    enum vj_non_local non_local; /* RESHAPE where the variant has no non-local block */
    int patch_size; /* multiple of 16 (pw-jnd: 32), up to 256; patches are patch_size x patch_size
                       x 3 */
    int patches; /* default of `patches`: as many as the weights were validated, else trained, with
                  */
    int channels[VJ_NET_BLOCKS]; /* output channels of each block, 0 behind the last; multiples of
                                    16, but for the last in front of a non-local block */
};

struct vj_tensor {
    char name[80]; /* e.g. "extract_feature/conv1/ch_at/mlp_0/kernel", as in the released checkpoint
                    */
    int rank;      /* 1..4 */
    size_t shape[4];
    size_t count; /* product of shape[0..rank-1] */
    float *data;  /* owned; kernels HWIO, dense weights [in, out] */
};

/* Pictures by their digests (host/picture_digest.h), rising, each once; owned. */
struct vj_seen {
    char (*picture)[VJ_SHA256_HEX];
    size_t count;
};

/* Puts digests in order and drops repeated ones; the functions that look for one need it. */
void vj_seen_sort(struct vj_seen *s);
bool vj_seen_has(const struct vj_seen *s, const char *digest);
/* Replaces what *to holds. Errors: -ENOMEM, with *to empty. */
int vj_seen_copy(struct vj_seen *to, const struct vj_seen *from, struct vj_error *err);
void vj_seen_free(struct vj_seen *s);

/* How weights were trained: what a reader must know before judging them. */
struct vj_trained {
    char dataset[32];      /* registry name */
    char fingerprint[65];  /* of the data set, as in results files */
    char labels[160];      /* label definition, in words */
    int fold;              /* fold that was left for testing, 0 = none */
    char *ids;             /* owned; numbers of all items that trained or validated: "1-30,42" */
    int64_t step;          /* steps that led to these weights */
    double validation_mad; /* QF, on the validation items; NaN without validation */
    char *config;          /* owned; the configuration, as text that can be read again; of paths
                              the last name alone */
    struct vj_seen seen;   /* sources that trained or validated, also the weights that training
                              started from; none in files of earlier programs */
    char start_sha256[65]; /* of the weights that training started from; "" = fresh ones */
    char jnd_weights_sha256[65]; /* of the model that made the maps; "" = it has no weights */
};

/*
 * Whether the item numbers of a record are those of this data set. mcl-jci and konjnd-1k name a
 * collection; other names (manifest, synthetic, folder) only a form, so there the fingerprint
 * decides. That a picture has been seen, in whatever data set, says `seen`.
 */
bool vj_trained_with(const struct vj_trained *t, const char *dataset, const char *fingerprint);

struct vj_weights {
    struct vj_net_shape shape;
    enum vj_positive_class positive_class;
    enum vj_weights_origin origin;
    char origin_text[256]; /* e.g. "init seed 1", "checkpoint best_model.ckpt, moving averages" */
    char sha256[65]; /* hex; over the tensors in order: name, NUL, rank, shape (u64 LE), data */
    struct vj_tensor *tensors;
    size_t count;
    struct vj_trained *trained; /* owned; NULL unless origin is VJ_ORIGIN_TRAINED */
};

/*
 * The shape of the authors' network: 32 patches of 128 pixels, channels 32 64 128 256; pw-jnd: 32
 * of 32 pixels, channels 32 64 128 256 512.
 */
struct vj_net_shape vj_net_shape_default(enum vj_variant variant);

/*
 * Checks the shape and allocates the full list of tensors it needs, zero-filled, in a fixed order.
 * w: zeroed by the caller; released with vj_weights_free() whatever the outcome.
 */
int vj_weights_alloc(struct vj_weights *w, const struct vj_net_shape *shape, struct vj_error *err);

/* Tensor by name, or NULL. */
struct vj_tensor *vj_weights_find(const struct vj_weights *w, const char *name);

/*
 * Fresh random weights with the released graph's initialisers (spec network.md), seeded; the 3x3
 * kernels of pw-jnd have 2.6 times their variance, so that ten layers of relu keep the scale (He et
 * al., ICCV 2015).
 */
int vj_weights_init(struct vj_weights *w, const struct vj_net_shape *shape, uint64_t seed,
                    struct vj_error *err);

/* -EDOM, naming the tensor, when a value is infinite or not a number. */
int vj_weights_check_finite(const struct vj_weights *w, struct vj_error *err);

/* Recomputes w->sha256 from the tensors. */
int vj_weights_hash(struct vj_weights *w, struct vj_error *err);

/*
 * Reads a weight file. Shapes are checked against the network's before memory is taken; the
 * recorded SHA-256 is verified; non-finite values are an error that names the tensor.
 */
int vj_weights_read(struct vj_weights *w, const char *path, struct vj_error *err);

/*
 * Writes a weight file atomically (temporary file + rename), after vj_weights_hash(). Replaces
 * nothing else than a weight file (vj_h5_check_output()).
 */
int vj_weights_write(struct vj_weights *w, const char *path, struct vj_error *err);

void vj_weights_free(struct vj_weights *w);

const char *vj_variant_name(enum vj_variant v);               /* "released", "figure", "pw-jnd" */
const char *vj_positive_class_name(enum vj_positive_class c); /* "auto", "lossy", "lossless" */
const char *vj_non_local_name(enum vj_non_local n);           /* "reshape", "transpose" */
const char *vj_weights_origin_name(enum vj_weights_origin o); /* "random", "imported", "trained" */
/* 0 and *v, or -EINVAL with the list of known names. */
int vj_variant_parse(enum vj_variant *v, const char *name, struct vj_error *err);

#endif
