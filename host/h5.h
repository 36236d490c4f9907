/* SPDX-License-Identifier: MIT */
/*
 * HDF5 with this project's error reporting: every function returns 0 or a negative errno and its
 * text ends in HDF5's own reason; HDF5 itself prints nothing once vj_h5_open() or vj_h5_create()
 * has run. HDF5 is usually built without thread safety: one thread at a time in these functions,
 * program-wide.
 *
 * Files are created in the format of HDF5 1.8, whose metadata has checksums: damage is reported,
 * where the older format lets HDF5 itself crash on some of it.
 *
 * Attributes written here are scalars or one-dimensional: text as fixed-length UTF-8
 * with its NUL (bytes in h5py), whole numbers as little-endian int64, or uint64 where all 64 bits
 * count, real numbers as little-endian float64. Reading accepts any integer, any floating-point and
 * both string forms, but not another kind or count.
 */
#ifndef VJ_HOST_H5_H
#define VJ_HOST_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

#define VJ_H5_MAX_RANK 8

/* Bytes of an attribute's text, its end included: longer ones are neither read nor written. */
enum { VJ_H5_TEXT_MAX = 1 << 20 };

/*
 * Silences HDF5, and keeps it from tidying up when the program ends and from following links into
 * other files; before anything else is asked of it. The functions below call it themselves.
 */
void vj_h5_start(void);

/*
 * Whether a dataset's values lie in its own file. Those of others are never read: HDF5 would open
 * whatever they name, and wait for ever where that is a FIFO.
 */
bool vj_h5_is_self_contained(hid_t set);

/*
 * Checks, before there is anything to write, that `path` can become a file of this kind: its name
 * and folder, and that a file which is there already may be replaced: it is empty, or its attribute
 * `schema` is the one given. Errors: -EINVAL, -EEXIST, what looking for the folder gives.
 */
int vj_h5_check_output(const char *path, const char *schema, struct vj_error *err);

/* Refuses what is no regular file (-EINVAL), without blocking on a FIFO; reasons of opening it. */
int vj_h5_check_regular(const char *path, struct vj_error *err);

/*
 * Opens a file for reading. *file: H5I_INVALID_HID on failure, else to be given to vj_h5_close().
 * Errors: -ENOENT and other reasons of the file system, -EINVAL when the file is not HDF5.
 */
int vj_h5_open(hid_t *file, const char *path, struct vj_error *err);

/* How files are created, or opened to be written to; the caller closes it. Negative: no memory. */
hid_t vj_h5_access(void);

/* Creates a file, replacing one of that name. */
int vj_h5_create(hid_t *file, const char *path, struct vj_error *err);

/*
 * Makes an empty file beside `path` that nobody else has, PATH.part.XXXXXX, which only its owner
 * may read until vj_h5_usual_mode().
 * name: owned by the caller, NULL on failure
 * Returns its descriptor, or a negative errno: the folder's.
 */
int vj_h5_temporary(char **name, const char *path, struct vj_error *err);

/* Gives a file the permissions that one made by open() gets under the user's umask. */
void vj_h5_usual_mode(int fd);

/*
 * A file that appears whole or not at all: it is written under a name of its own and renamed. Two
 * that write the same PATH do not meet, the last one to be whole stays. A killed process leaves its
 * PATH.part.XXXXXX behind, which nobody reads.
 */
struct vj_h5_part {
    hid_t file; /* to be written to, and not to be closed */
    int fd;     /* of the same file */
    char *name;
    const char *path; /* borrowed */
};

/* Errors: the folder's; nothing is to be ended then. */
int vj_h5_part_open(struct vj_h5_part *part, const char *path, struct vj_error *err);

/*
 * Ends it, whatever became of writing to it.
 * written: 0 puts it in place, flushed to the disk before, so that a power cut leaves either the
 *          old file or the new one whole; a negative errno, whose text is in `err`, removes it
 * Returns `written`, or what went wrong with the rest; then the file of that name is as it was.
 */
int vj_h5_part_end(struct vj_h5_part *part, int written, struct vj_error *err);

/*
 * Flushes and closes; no-op for an invalid id. Only after success is a written file complete.
 * Errors: -ENOSPC, -EDQUOT, -EFBIG when there is no room for the rest, -EIO. The id is gone anyway.
 */
int vj_h5_close(hid_t file, const char *path, struct vj_error *err);

/*
 * Closes a file that is given up after a failed write; no-op for an invalid id. HDF5 wants to write
 * the rest even then, and crashes later if that fails; it is therefore left to write it to memory.
 * What has reached the disk stays there.
 */
void vj_h5_abandon(hid_t file);

/* Records "<text>: <HDF5's innermost message>" with -EIO; clears HDF5's error stack. */
int vj_h5_fail(struct vj_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Attributes of a file (its root group), group or dataset `at`; writing replaces an existing one.
 * Errors: -E2BIG for a text above VJ_H5_TEXT_MAX, -EIO
 */
int vj_h5_write_text(hid_t at, const char *name, const char *text, struct vj_error *err);
int vj_h5_write_ints(hid_t at, const char *name, const int64_t *values, size_t count,
                     struct vj_error *err);
int vj_h5_write_uint64(hid_t at, const char *name, uint64_t value, struct vj_error *err);
int vj_h5_write_doubles(hid_t at, const char *name, const double *values, size_t count,
                        struct vj_error *err);
static inline int vj_h5_write_int(hid_t at, const char *name, int64_t value, struct vj_error *err)
{
    return vj_h5_write_ints(at, name, &value, 1, err);
}

/* 1 when the attribute exists, 0 when not, or a negative errno. */
int vj_h5_has(hid_t at, const char *name, struct vj_error *err);

/* Copies text of at most size - 1 bytes; longer text, or text with a NUL inside, is an error. */
int vj_h5_read_text(hid_t at, const char *name, char *text, size_t size, struct vj_error *err);
/* Exactly `count` values. */
int vj_h5_read_ints(hid_t at, const char *name, int64_t *values, size_t count,
                    struct vj_error *err);
/* One value; of a signed one, as vj_h5_write_int() makes it, the 64 bits: -1 is 2^64 - 1. */
int vj_h5_read_uint64(hid_t at, const char *name, uint64_t *value, struct vj_error *err);
int vj_h5_read_doubles(hid_t at, const char *name, double *values, size_t count,
                       struct vj_error *err);
static inline int vj_h5_read_int(hid_t at, const char *name, int64_t *value, struct vj_error *err)
{
    return vj_h5_read_ints(at, name, value, 1, err);
}

/*
 * Whether every link on the way to `path` exists, so that a missing dataset is told from a damaged
 * one; HDF5's own question wants all but the last to be there. A link that cannot be looked up
 * counts as one that exists: opening it says why.
 */
bool vj_h5_exists(hid_t at, const char *path);

/* What a dataset is, without reading it. */
struct vj_h5_info {
    int rank;
    size_t dims[VJ_H5_MAX_RANK];
    bool is_float32; /* little-endian IEEE single precision */
    bool is_plain;   /* contiguous, neither chunked nor filtered nor external, fully stored */
};

/* Opens dataset `path` below `at`; *set to be closed with H5Dclose(). -ENOENT when there is none.
 */
int vj_h5_dataset_open(hid_t *set, hid_t at, const char *path, struct vj_h5_info *info,
                       struct vj_error *err);

/* Reads the whole dataset as float into room for all its values. path: for the error text. */
int vj_h5_dataset_read_floats(hid_t set, const char *path, float *data, struct vj_error *err);

/* Writes a contiguous little-endian float32 dataset; groups on the way are made. */
int vj_h5_dataset_write_floats(hid_t at, const char *path, int rank, const size_t *dims,
                               const float *data, struct vj_error *err);

#endif
