/* SPDX-License-Identifier: MIT */
/*
 * TensorFlow V2 checkpoints (PREFIX.index with PREFIX.data-00000-of-0000N), and their import as
 * weights.
 *
 * The index is a sorted table (host/checkpoint_table.h) from tensor names to protocol buffers; the
 * empty name holds the bundle's header. Everything in it is checked when it is opened, the data
 * shards only when a tensor is read. Format: the authors' own tensor index (spec network.md).
 */
#ifndef VJ_HOST_CHECKPOINT_H
#define VJ_HOST_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/weights.h"

enum {
    VJ_CHECKPOINT_RANK_MAX = 8,
    VJ_CHECKPOINT_INDEX_MAX = 16 << 20,  /* larger index files are refused, bytes */
    VJ_CHECKPOINT_TENSORS_MAX = 1 << 16, /* more tensors are refused */
    VJ_CHECKPOINT_SHARDS_MAX = 99999,    /* file names have five digits */
    VJ_CHECKPOINT_FLOAT32 = 1,           /* value of `dtype` */
    VJ_CHECKPOINT_SHAPE_TEXT = 176,      /* characters of the longest shape as text, with its NUL */
};

/* What the index says about one tensor. */
struct vj_checkpoint_entry {
    char *name; /* bytes outside printable ASCII, and '\', are written \xNN */
    int dtype;  /* TensorFlow's number, >= 1; vj_checkpoint_dtype_name() */
    int rank;   /* 0..VJ_CHECKPOINT_RANK_MAX; 0 is a scalar */
    uint64_t shape[VJ_CHECKPOINT_RANK_MAX];
    uint64_t count;  /* numbers: product of shape[0..rank-1], 1 for a scalar */
    uint32_t shard;  /* 0 .. number of shards - 1 */
    uint64_t offset; /* of the first byte in the shard; offset + size < 2^63 */
    uint64_t size; /* bytes; count x size of one number where that is fixed and `sliced` is false */
    uint32_t crc32c; /* of the tensor's bytes, unmasked */
    bool sliced;     /* stored in pieces under other names: cannot be read */
};

/* An opened index. Reading tensors changes it (the open shard): one thread at a time. */
struct vj_checkpoint;

/*
 * Opens PREFIX.index and checks it throughout: table structure and block CRCs, rising names,
 * header, protocol buffer fields, sizes against shapes, shard numbers. Data shards are not touched.
 *
 * prefix: path without ".index"
 * *c:     released with vj_checkpoint_close(); NULL on failure
 * err:    -ENOENT and the like when the file cannot be read, -EBADMSG damage, -ENOTSUP what this
 *         reader does not know (big endian, newer format, Snappy in a build without it); the text
 *         names the file and, for damage, the block
 */
int vj_checkpoint_open(struct vj_checkpoint **c, const char *prefix, struct vj_error *err);

/*
 * The same from an index already in memory (`size` bytes, not kept); errors call it PREFIX.index,
 * and shards are looked for at `prefix`.
 */
int vj_checkpoint_open_memory(struct vj_checkpoint **c, const char *prefix, const uint8_t *data,
                              size_t size, struct vj_error *err);

/* Number of tensors. */
size_t vj_checkpoint_count(const struct vj_checkpoint *c);

/* Number of data shards, 1..VJ_CHECKPOINT_SHARDS_MAX. */
uint32_t vj_checkpoint_shards(const struct vj_checkpoint *c);

/* Tensor i in [0, count), in the order of the names' bytes; lives as long as `c`. */
const struct vj_checkpoint_entry *vj_checkpoint_entry(const struct vj_checkpoint *c, size_t i);

/* Tensor by name, or NULL. */
const struct vj_checkpoint_entry *vj_checkpoint_find(const struct vj_checkpoint *c,
                                                     const char *name);

/*
 * "[3,3,64,128]", "[]" for a scalar.
 * text: VJ_CHECKPOINT_SHAPE_TEXT characters; rank: 0..VJ_CHECKPOINT_RANK_MAX
 */
void vj_checkpoint_format_shape(char *text, int rank, const uint64_t *shape);

/* "float32", "int64", ...; "unknown" for a number that this reader has no name for. */
const char *vj_checkpoint_dtype_name(int dtype);

/*
 * Checks without reading that a tensor can be had: float32, not sliced, its shard a file that holds
 * its bytes. Errors as for vj_checkpoint_read().
 */
int vj_checkpoint_locate(struct vj_checkpoint *c, const struct vj_checkpoint_entry *e,
                         struct vj_error *err);

/*
 * Reads a float32 tensor and checks its CRC-32C and that every number is finite.
 *
 * e:   of this checkpoint
 * out: e->count numbers, row-major; undefined after a failure
 * count: must be e->count
 * err: -ENOENT shard missing, -EBADMSG shard too short, a Git LFS pointer, CRC mismatch or
 * non-finite numbers, -ENOTSUP another type or slices, -EINVAL wrong count; the text names the
 * tensor, and the shard when the shard is at fault
 */
int vj_checkpoint_read(struct vj_checkpoint *c, const struct vj_checkpoint_entry *e, float *out,
                       size_t count, struct vj_error *err);

/* NULL is allowed. */
void vj_checkpoint_close(struct vj_checkpoint *c);

/* Zeroed: moving averages, positive class decided later, 32 patches, 128 pixels. */
struct vj_checkpoint_import_options {
    bool raw; /* the variables themselves, not their moving averages */
    enum vj_positive_class positive_class;
    int patches;    /* per picture, recorded as the default of evaluation; 0 = as trained, 32 */
    int patch_size; /* pixels; 0 = what the heads tell (`released`), 128 (`figure`, they do not) */
};

/*
 * Makes weights of a checkpoint: of each tensor NAME that the network needs, the moving average
 * (NAME/ExponentialMovingAverage), or with opt->raw the variable NAME itself.
 *
 * The variant is `released` when there is an `extract_jnd_feature`, else `figure`. Channels are
 * those of the kernels; the patch size of `released` follows from the number of inputs of the
 * heads. Nothing large is allocated before the shards are known to hold it, and no tensor is read
 * before all of them have been found with the right shape.
 *
 * w:   zeroed by the caller; released with vj_weights_free() whatever the outcome
 * opt: NULL = defaults
 * err: as vj_checkpoint_open() and vj_checkpoint_read(); -ENOENT a tensor or its moving average is
 *      missing, -EINVAL its shape is not the network's or the shapes are no network's
 */
int vj_checkpoint_import(struct vj_weights *w, const char *prefix,
                         const struct vj_checkpoint_import_options *opt, struct vj_error *err);

#endif
