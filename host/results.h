/* SPDX-License-Identifier: MIT */
/*
 * The results file (HDF5): columns whose axis 0 is the image.
 *
 * While a run goes on, its results lie in NAME.part: every column at its full size, contiguous,
 * with all of HDF5's own bookkeeping on the disk before the first image. Writing a row then changes
 * nothing but that row's bytes, so a run that is killed at any moment leaves a file that every HDF5
 * reader opens and that --resume can finish. vj_results_publish() copies it into the final form
 * (chunked, extensible, shuffle + deflate) and renames that into place.
 *
 * One thread writes at a time.
 */
#ifndef VJ_HOST_RESULTS_H
#define VJ_HOST_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum vj_column_type {
    VJ_COLUMN_F32,    /* never written: NaN */
    VJ_COLUMN_F64,    /* never written: NaN */
    VJ_COLUMN_I32,    /* never written: -1 */
    VJ_COLUMN_I64,    /* never written: -1 */
    VJ_COLUMN_U8,     /* never written: 255 */
    VJ_COLUMN_STRING, /* fixed size, NUL-padded UTF-8; never written: empty */
};

enum { VJ_COLUMN_RANK_MAX = 3 };

struct vj_column {
    char path[192]; /* "/images/width" */
    enum vj_column_type type;
    size_t string_size; /* VJ_COLUMN_STRING: bytes per value */
    int rank;           /* axes beyond axis 0, 0..3 */
    size_t dim[VJ_COLUMN_RANK_MAX];
    const char *description; /* attribute of the dataset */
    const char *units;       /* attribute, or NULL */
};

struct vj_results;

/* Creates the file with all columns filled with their "never written" values. */
int vj_results_create(struct vj_results **results, const char *path, size_t images,
                      const struct vj_column *columns, size_t count, struct vj_error *err);

/* Opens an existing file; writable: a .part to go on with. */
int vj_results_open(struct vj_results **results, const char *path, bool writable,
                    struct vj_error *err);

/* Its file, for error texts. */
const char *vj_results_path(const struct vj_results *results);

/* Closes; what was written stays. NULL is harmless. */
void vj_results_close(struct vj_results *results);

/* Hands everything written so far to the operating system. */
int vj_results_flush(struct vj_results *results, struct vj_error *err);

/* The same, and waits until it is on the disk: what is written later cannot overtake it there. */
int vj_results_sync(struct vj_results *results, struct vj_error *err);

bool vj_results_has(const struct vj_results *results, const char *path);
/* What is damaged counts as there: reading it says why it cannot be read. */
bool vj_results_has_attribute(struct vj_results *results, const char *object, const char *name);

/*
 * Rows first..first+count-1 of a column; type is the one in memory (float, double, int32_t,
 * int64_t, uint8_t, or char[string_size]); -EINVAL where the file has numbers of another kind, or
 * their values lie outside of it. `data` has room for rows as the file has them: see
 * vj_results_check(). Errors name the file and the column.
 */
int vj_results_write(struct vj_results *results, const char *path, enum vj_column_type type,
                     size_t first, size_t count, const void *data, struct vj_error *err);
int vj_results_read(struct vj_results *results, const char *path, enum vj_column_type type,
                    size_t first, size_t count, void *data, struct vj_error *err);

/*
 * Checks, before there is room for it, that a column has `rows` rows of one value each (values 0)
 * or of `values`, and that the file is large enough to hold them: a few bytes can claim any number
 * of rows that were never written.
 * Errors: -ENOENT, -EINVAL with the file, the column, what it is and what to do.
 */
int vj_results_check(struct vj_results *results, const char *path, size_t rows, size_t values,
                     struct vj_error *err);

/* Axes of a column: rank beyond axis 0 and their sizes, number of rows; string size or 0. */
int vj_results_shape(struct vj_results *results, const char *path, size_t *rows, int *rank,
                     size_t dim[VJ_COLUMN_RANK_MAX], size_t *string_size, struct vj_error *err);

/* Small things beside the columns: scalars, vectors and attributes. Existing ones are replaced. */
int vj_results_group(struct vj_results *results, const char *path, const char *description,
                     struct vj_error *err);
int vj_results_vector(struct vj_results *results, const char *path, enum vj_column_type type,
                      const void *data, size_t count, const char *description, const char *units,
                      struct vj_error *err);
int vj_results_scalar(struct vj_results *results, const char *path, double value,
                      const char *description, const char *units, struct vj_error *err);
int vj_results_set_text(struct vj_results *results, const char *object, const char *name,
                        const char *value, struct vj_error *err);
int vj_results_set_int(struct vj_results *results, const char *object, const char *name,
                       int64_t value, struct vj_error *err);
int vj_results_set_ints(struct vj_results *results, const char *object, const char *name,
                        const int64_t *values, size_t count, struct vj_error *err);
int vj_results_set_uint64(struct vj_results *results, const char *object, const char *name,
                          uint64_t value, struct vj_error *err);
int vj_results_set_double(struct vj_results *results, const char *object, const char *name,
                          double value, struct vj_error *err);

/*
 * Attributes and scalars back; -ENOENT when there is none. *text is owned by the caller.
 * get_ints: -EINVAL where there are more or fewer than `count`
 * get_uint64: of a signed number the 64 bits, as host/h5.h
 */
int vj_results_get_text(struct vj_results *results, const char *object, const char *name,
                        char **text, struct vj_error *err);
int vj_results_get_int(struct vj_results *results, const char *object, const char *name,
                       int64_t *value, struct vj_error *err);
int vj_results_get_ints(struct vj_results *results, const char *object, const char *name,
                        int64_t *values, size_t count, struct vj_error *err);
int vj_results_get_uint64(struct vj_results *results, const char *object, const char *name,
                          uint64_t *value, struct vj_error *err);
int vj_results_get_double(struct vj_results *results, const char *object, const char *name,
                          double *value, struct vj_error *err);
/* The same of attributes that a file may lack: then 0, with *text NULL and *value as it was. */
int vj_results_find_text(struct vj_results *results, const char *object, const char *name,
                         char **text, struct vj_error *err);
int vj_results_find_int(struct vj_results *results, const char *object, const char *name,
                        int64_t *value, struct vj_error *err);
int vj_results_find_double(struct vj_results *results, const char *object, const char *name,
                           double *value, struct vj_error *err);
int vj_results_get_scalar(struct vj_results *results, const char *path, double *value,
                          struct vj_error *err);

/* Names of the members of a group, sorted; *names and each name are owned by the caller. */
int vj_results_members(struct vj_results *results, const char *group, char ***names, size_t *count,
                       struct vj_error *err);
void vj_results_members_free(char **names, size_t count);

/*
 * Makes `path` from an open .part: same content, columns chunked, extensible and compressed, root
 * attribute complete = 1. Written beside `path` and renamed; then the .part is removed and
 * closed. *results is NULL afterwards, whatever the outcome; after a failure the .part is still
 * there.
 */
int vj_results_publish(struct vj_results **results, const char *path, struct vj_error *err);

#endif
