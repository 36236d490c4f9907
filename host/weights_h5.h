/* SPDX-License-Identifier: MIT */
/* Tensors of a network in an open HDF5 file: weight files and training checkpoints. */
#ifndef VJ_HOST_WEIGHTS_H5_H
#define VJ_HOST_WEIGHTS_H5_H

#include <hdf5.h>
#include <stddef.h>

#include "host/error.h"
#include "host/weights.h"

/*
 * Writes every tensor as a dataset below `at`, at the path that is its name.
 * Errors: -EDOM, before anything is written, for tensors that vj_weights_check_finite() refuses.
 */
int vj_weights_write_tensors(hid_t at, const struct vj_weights *w, struct vj_error *err);

/*
 * Reads them back into w, which has its tensors allocated (vj_weights_alloc). Shapes, types and
 * `file_size`, the bytes of the whole file, are checked first; values must be finite.
 */
int vj_weights_read_tensors(hid_t at, struct vj_weights *w, size_t file_size, struct vj_error *err);

/*
 * Holds the tensors against w->sha256 as it was read.
 * Errors: -EINVAL with both digests.
 */
int vj_weights_verify(struct vj_weights *w, struct vj_error *err);

/* The list of pictures that trained weights have seen; a file without one has none. */
int vj_seen_write(hid_t file, const struct vj_seen *s, struct vj_error *err);
/* s: zeroed by the caller; freed by vj_seen_free() whatever the outcome. -EINVAL for anything but
 * digests. */
int vj_seen_read(hid_t file, struct vj_seen *s, struct vj_error *err);

/* Writes the attributes of a weight file; owner: what the caller gave with it. */
typedef int (*vj_weights_attributes)(hid_t at, const void *owner, struct vj_error *err);

/*
 * Writes a file of attributes and tensors, whole or not at all (struct vj_h5_part).
 * w->sha256 is made anew before the attributes are written.
 * Errors name the path: -ENOMEM, -errno, -EIO.
 */
int vj_weights_write_file(struct vj_weights *w, const char *path, vj_weights_attributes attributes,
                          const void *owner, struct vj_error *err);

#endif
