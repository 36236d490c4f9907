/* SPDX-License-Identifier: MIT */
#include "host/results.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/checked.h"
#include "host/h5.h"

enum {
    PATH_SIZE = 4096,
    CHUNK_BYTES = 1 << 18, /* a chunk of the published file holds about this much */
    DEFLATE_LEVEL = 4,
    MEMBERS_MAX = 4096,
};

struct vj_results {
    char path[PATH_SIZE];
    hid_t file;
    bool broken; /* something could not be read or written: HDF5 must not write the rest */
};

static hid_t memory_type(enum vj_column_type type, size_t string_size)
{
    hid_t t;
    switch (type) {
    case VJ_COLUMN_F32:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case VJ_COLUMN_F64:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case VJ_COLUMN_I32:
        return H5Tcopy(H5T_NATIVE_INT32);
    case VJ_COLUMN_I64:
        return H5Tcopy(H5T_NATIVE_INT64);
    case VJ_COLUMN_U8:
        return H5Tcopy(H5T_NATIVE_UINT8);
    case VJ_COLUMN_STRING:
        t = H5Tcopy(H5T_C_S1);
        H5Tset_size(t, string_size);
        H5Tset_strpad(t, H5T_STR_NULLPAD);
        H5Tset_cset(t, H5T_CSET_UTF8);
        return t;
    }
    return H5I_INVALID_HID;
}

static void set_fill(hid_t properties, enum vj_column_type type)
{
    static const float nan32 = NAN;
    static const double nan64 = NAN;
    static const int32_t minus32 = -1;
    static const int64_t minus64 = -1;
    static const uint8_t all = 255;
    switch (type) {
    case VJ_COLUMN_F32:
        H5Pset_fill_value(properties, H5T_NATIVE_FLOAT, &nan32);
        break;
    case VJ_COLUMN_F64:
        H5Pset_fill_value(properties, H5T_NATIVE_DOUBLE, &nan64);
        break;
    case VJ_COLUMN_I32:
        H5Pset_fill_value(properties, H5T_NATIVE_INT32, &minus32);
        break;
    case VJ_COLUMN_I64:
        H5Pset_fill_value(properties, H5T_NATIVE_INT64, &minus64);
        break;
    case VJ_COLUMN_U8:
        H5Pset_fill_value(properties, H5T_NATIVE_UINT8, &all);
        break;
    case VJ_COLUMN_STRING: /* zero bytes, HDF5's own default */
        break;
    }
}

static int fail(struct vj_results *results, const char *what, const char *object,
                struct vj_error *err)
{
    results->broken = true;
    return vj_fail(err, -EIO, "%s: cannot %s %s; is the disk full or the file damaged?",
                   results->path, what, object);
}

/*
 * HDF5's own bookkeeping stays in memory until a flush writes it: what a run adds at its end must
 * not reach the .part piece by piece, where a kill in between would leave it unreadable.
 */
static int hold_metadata(hid_t file)
{
    H5AC_cache_config_t config = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    if (H5Fget_mdc_config(file, &config) < 0)
        return -EIO;
    config.evictions_enabled = false;
    config.incr_mode = H5C_incr__off;
    config.flash_incr_mode = H5C_flash_incr__off;
    config.decr_mode = H5C_decr__off;
    return H5Fset_mdc_config(file, &config) < 0 ? -EIO : 0;
}

static hid_t link_creation(void)
{
    hid_t p = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(p, 1);
    return p;
}

static int create_column(struct vj_results *results, size_t images, const struct vj_column *c,
                         struct vj_error *err)
{
    hsize_t dim[1 + VJ_COLUMN_RANK_MAX] = {images};
    for (int i = 0; i < c->rank; i++)
        dim[1 + i] = c->dim[i];
    hid_t type = memory_type(c->type, c->string_size);
    hid_t space = H5Screate_simple(1 + c->rank, dim, NULL);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hid_t link = link_creation();
    H5Pset_obj_track_times(properties, false); /* same run, same bytes */
    H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(properties, H5D_FILL_TIME_ALLOC);
    set_fill(properties, c->type);
    hid_t d = H5Dcreate2(results->file, c->path, type, space, link, properties, H5P_DEFAULT);
    int r = d < 0 ? -EIO : vj_h5_write_text(d, "description", c->description, NULL);
    if (!r && c->units)
        r = vj_h5_write_text(d, "units", c->units, NULL);
    if (d >= 0)
        H5Dclose(d);
    H5Pclose(link);
    H5Pclose(properties);
    H5Sclose(space);
    H5Tclose(type);
    return r ? fail(results, "create column", c->path, err) : 0;
}

int vj_results_create(struct vj_results **out, const char *path, size_t images,
                      const struct vj_column *columns, size_t count, struct vj_error *err)
{
    *out = NULL;
    struct vj_results *results = vj_calloc(1, sizeof(*results));
    if (!results)
        return vj_fail(err, -ENOMEM, "out of memory");
    snprintf(results->path, sizeof(results->path), "%s", path);
    int r = vj_h5_create(&results->file, path, err);
    if (r) {
        free(results);
        unlink(path);
        return r;
    }
    if (hold_metadata(results->file))
        r = fail(results, "set up", "the metadata cache", err);
    for (size_t i = 0; !r && i < count; i++)
        r = create_column(results, images, &columns[i], err);
    if (!r)
        r = vj_results_flush(results, err);
    if (r) {
        vj_results_close(results);
        unlink(path);
        return r;
    }
    *out = results;
    return 0;
}

int vj_results_open(struct vj_results **out, const char *path, bool writable, struct vj_error *err)
{
    *out = NULL;
    if (access(path, writable ? R_OK | W_OK : R_OK) != 0)
        return vj_fail(err, -errno, "cannot open results file %s: %s", path, strerror(errno));
    int r = vj_h5_check_regular(path, err);
    if (r)
        return r;
    struct vj_results *results = vj_calloc(1, sizeof(*results));
    if (!results)
        return vj_fail(err, -ENOMEM, "out of memory");
    snprintf(results->path, sizeof(results->path), "%s", path);
    vj_h5_start();
    hid_t how = vj_h5_access();
    results->file = how < 0 ? -1 : H5Fopen(path, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, how);
    if (how >= 0)
        H5Pclose(how);
    if (results->file < 0) {
        free(results);
        return vj_fail(err, -EINVAL,
                       "%s is not a readable HDF5 file; is it damaged, or is a run still writing "
                       "it?",
                       path);
    }
    if (writable && hold_metadata(results->file)) {
        r = fail(results, "set up", "the metadata cache", err);
        vj_results_close(results);
        return r;
    }
    *out = results;
    return 0;
}

const char *vj_results_path(const struct vj_results *results)
{
    return results->path;
}

void vj_results_close(struct vj_results *results)
{
    if (!results)
        return;
    if (results->broken)
        vj_h5_abandon(results->file);
    else
        vj_h5_close(results->file, results->path, NULL);
    free(results);
}

int vj_results_flush(struct vj_results *results, struct vj_error *err)
{
    vj_h5_start();
    if (H5Fflush(results->file, H5F_SCOPE_GLOBAL) < 0)
        return fail(results, "write to", "the disk", err);
    return 0;
}

int vj_results_sync(struct vj_results *results, struct vj_error *err)
{
    int *fd;
    int r = vj_results_flush(results, err);
    if (!r && (H5Fget_vfd_handle(results->file, H5P_DEFAULT, (void **)&fd) < 0 || fdatasync(*fd)))
        r = fail(results, "write to", "the disk", err);
    return r;
}

bool vj_results_has(const struct vj_results *results, const char *path)
{
    vj_h5_start();
    return vj_h5_exists(results->file, path);
}

static int open_column(struct vj_results *results, const char *path, hid_t *dataset, hid_t *space,
                       struct vj_error *err)
{
    vj_h5_start();
    *dataset = *space = H5I_INVALID_HID;
    if (!vj_h5_exists(results->file, path))
        return vj_fail(err, -ENOENT, "%s has no dataset %s", results->path, path);
    *dataset = H5Dopen2(results->file, path, H5P_DEFAULT);
    if (*dataset < 0)
        return vj_h5_fail(err, "%s: %s cannot be opened as a dataset", results->path, path);
    if (!vj_h5_is_self_contained(*dataset)) {
        H5Dclose(*dataset);
        return vj_fail(err, -EINVAL,
                       "%s: the values of dataset %s lie in another file, which is not read; "
                       "`h5repack` puts them into one",
                       results->path, path);
    }
    *space = H5Dget_space(*dataset);
    return 0;
}

/* "8 x 100": the rows and what a row has. */
static void describe_shape(char text[128], int axes, const hsize_t *size)
{
    int used = snprintf(text, 128, axes ? "%llu" : "a scalar", (unsigned long long)size[0]);
    for (int i = 1; i < axes && used < 128; i++)
        used += snprintf(text + used, 128 - (size_t)used, " x %llu", (unsigned long long)size[i]);
}

/*
 * Whether the file has the bytes that the column takes: those of all its chunks, which deflate
 * makes at most 1032 times smaller.
 */
static bool is_stored(hid_t file, hid_t dataset, int axes, const hsize_t *size)
{
    enum { DEFLATE_MOST = 1032 };
    hsize_t file_size = 0;
    hid_t type = H5Dget_type(dataset);
    size_t bytes = type < 0 ? 0 : H5Tget_size(type);
    bool fits = bytes > 0 && H5Fget_filesize(file, &file_size) >= 0;
    for (int i = 0; i < axes; i++)
        fits = fits && !__builtin_mul_overflow(bytes, (size_t)size[i], &bytes);
    const hsize_t stored = H5Dget_storage_size(dataset);
    if (type >= 0)
        H5Tclose(type);
    return fits && stored <= file_size && bytes / DEFLATE_MOST <= stored;
}

int vj_results_check(struct vj_results *results, const char *path, size_t rows, size_t values,
                     struct vj_error *err)
{
    static const char advice[] = "the file was changed, take another copy or make it again";
    hid_t dataset, space;
    int r = open_column(results, path, &dataset, &space, err);
    if (r)
        return r;
    hsize_t size[H5S_MAX_RANK] = {0};
    const hsize_t wanted[] = {rows, values};
    const int axes = H5Sget_simple_extent_dims(space, size, NULL), expected = values ? 2 : 1;
    if (axes != expected || size[0] != rows || (values && size[1] != values)) {
        char is[128], should[128];
        describe_shape(is, axes, size);
        describe_shape(should, expected, wanted);
        r = vj_fail(err, -EINVAL, "%s: dataset %s is %s, the rest of the file says %s; %s",
                    results->path, path, is, should, advice);
    } else if (!is_stored(results->file, dataset, axes, size)) {
        r = vj_fail(err, -EINVAL,
                    "%s: dataset %s has %zu rows, of which the file has not the bytes; %s",
                    results->path, path, rows, advice);
    }
    H5Sclose(space);
    H5Dclose(dataset);
    return r;
}

/* Whether values of a stored type are read as what the column is meant to have. */
static int check_kind(const struct vj_results *results, const char *path, hid_t stored,
                      enum vj_column_type type, struct vj_error *err)
{
    static const struct {
        H5T_class_t class;
        const char *what;
    } kinds[] = {
        [VJ_COLUMN_F32] = {H5T_FLOAT, "real numbers"},
        [VJ_COLUMN_F64] = {H5T_FLOAT, "real numbers"},
        [VJ_COLUMN_I32] = {H5T_INTEGER, "whole numbers"},
        [VJ_COLUMN_I64] = {H5T_INTEGER, "whole numbers"},
        [VJ_COLUMN_U8] = {H5T_INTEGER, "whole numbers"},
        [VJ_COLUMN_STRING] = {H5T_STRING, "texts of a fixed size"},
    };
    if (H5Tget_class(stored) == kinds[type].class && H5Tis_variable_str(stored) == 0)
        return 0;
    return vj_fail(err, -EINVAL,
                   "%s: dataset %s does not hold %s; the file was changed, take another copy or "
                   "make it again",
                   results->path, path, kinds[type].what);
}

int vj_results_shape(struct vj_results *results, const char *path, size_t *rows, int *rank,
                     size_t dim[VJ_COLUMN_RANK_MAX], size_t *string_size, struct vj_error *err)
{
    hid_t dataset, space;
    int r = open_column(results, path, &dataset, &space, err);
    if (r)
        return r;
    hsize_t size[1 + VJ_COLUMN_RANK_MAX] = {0};
    int axes = H5Sget_simple_extent_ndims(space);
    if (axes < 1 || axes > 1 + VJ_COLUMN_RANK_MAX) {
        r = vj_fail(err, -EINVAL, "%s: dataset %s has %d axes, expected 1 to %d", results->path,
                    path, axes, 1 + VJ_COLUMN_RANK_MAX);
    } else {
        H5Sget_simple_extent_dims(space, size, NULL);
        *rows = size[0];
        *rank = axes - 1;
        for (int i = 0; i < VJ_COLUMN_RANK_MAX; i++)
            dim[i] = i < *rank ? (size_t)size[1 + i] : 1;
        hid_t type = H5Dget_type(dataset);
        *string_size = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0
                           ? H5Tget_size(type)
                           : 0;
        H5Tclose(type);
    }
    H5Sclose(space);
    H5Dclose(dataset);
    return r;
}

static int transfer(struct vj_results *results, const char *path, enum vj_column_type type,
                    size_t first, size_t count, void *to, const void *from, struct vj_error *err)
{
    hid_t dataset, space;
    int r = open_column(results, path, &dataset, &space, err);
    if (r)
        return r;
    hsize_t size[1 + VJ_COLUMN_RANK_MAX], start[1 + VJ_COLUMN_RANK_MAX] = {first};
    int axes = H5Sget_simple_extent_ndims(space);
    if (axes < 1 || axes > 1 + VJ_COLUMN_RANK_MAX) {
        r = vj_fail(err, -EINVAL, "%s: dataset %s has %d axes", results->path, path, axes);
        goto close;
    }
    H5Sget_simple_extent_dims(space, size, NULL);
    if (first > size[0] || count > size[0] - first) {
        r = vj_fail(err, -ERANGE, "%s: dataset %s has %llu rows, rows %zu to %zu wanted",
                    results->path, path, (unsigned long long)size[0], first, first + count);
        goto close;
    }
    if (count == 0)
        goto close;
    size[0] = count;
    hid_t stored = H5Dget_type(dataset);
    r = check_kind(results, path, stored, type, err);
    if (r) {
        H5Tclose(stored);
        goto close;
    }
    hid_t mem = memory_type(type, H5Tget_size(stored));
    hid_t block = H5Screate_simple(axes, size, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL);
    herr_t e = to ? H5Dread(dataset, mem, block, space, H5P_DEFAULT, to)
                  : H5Dwrite(dataset, mem, block, space, H5P_DEFAULT, from);
    if (e < 0)
        r = fail(results, to ? "read" : "write", path, err);
    H5Sclose(block);
    H5Tclose(mem);
    H5Tclose(stored);
close:
    H5Sclose(space);
    H5Dclose(dataset);
    return r;
}

int vj_results_write(struct vj_results *results, const char *path, enum vj_column_type type,
                     size_t first, size_t count, const void *data, struct vj_error *err)
{
    return transfer(results, path, type, first, count, NULL, data, err);
}

int vj_results_read(struct vj_results *results, const char *path, enum vj_column_type type,
                    size_t first, size_t count, void *data, struct vj_error *err)
{
    return transfer(results, path, type, first, count, data, NULL, err);
}

int vj_results_group(struct vj_results *results, const char *path, const char *description,
                     struct vj_error *err)
{
    vj_h5_start();
    if (!vj_h5_exists(results->file, path)) {
        hid_t link = link_creation();
        hid_t g = H5Gcreate2(results->file, path, link, H5P_DEFAULT, H5P_DEFAULT);
        H5Pclose(link);
        if (g < 0)
            return fail(results, "create group", path, err);
        H5Gclose(g);
    }
    return vj_results_set_text(results, path, "description", description, err);
}

static int put_small(struct vj_results *results, const char *path, enum vj_column_type type,
                     const void *data, hid_t space, const char *description, const char *units,
                     struct vj_error *err)
{
    vj_h5_start();
    if (vj_h5_exists(results->file, path))
        H5Ldelete(results->file, path, H5P_DEFAULT);
    hid_t t = memory_type(type, 1);
    hid_t link = link_creation();
    hid_t d = H5Dcreate2(results->file, path, t, space, link, H5P_DEFAULT, H5P_DEFAULT);
    int r = d < 0 || H5Dwrite(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0 ? -EIO : 0;
    if (!r)
        r = vj_h5_write_text(d, "description", description, NULL);
    if (!r && units)
        r = vj_h5_write_text(d, "units", units, NULL);
    if (d >= 0)
        H5Dclose(d);
    H5Pclose(link);
    H5Tclose(t);
    return r ? fail(results, "write", path, err) : 0;
}

int vj_results_vector(struct vj_results *results, const char *path, enum vj_column_type type,
                      const void *data, size_t count, const char *description, const char *units,
                      struct vj_error *err)
{
    hsize_t dim = count;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    int r = put_small(results, path, type, data, space, description, units, err);
    H5Sclose(space);
    return r;
}

int vj_results_scalar(struct vj_results *results, const char *path, double value,
                      const char *description, const char *units, struct vj_error *err)
{
    hid_t space = H5Screate(H5S_SCALAR);
    int r = put_small(results, path, VJ_COLUMN_F64, &value, space, description, units, err);
    H5Sclose(space);
    return r;
}

static hid_t open_object(struct vj_results *results, const char *object)
{
    vj_h5_start();
    return vj_h5_exists(results->file, object) ? H5Oopen(results->file, object, H5P_DEFAULT) : -1;
}

bool vj_results_has_attribute(struct vj_results *results, const char *object, const char *name)
{
    hid_t o = open_object(results, object);
    bool has = o >= 0 ? vj_h5_has(o, name, NULL) != 0 : vj_h5_exists(results->file, object);
    if (o >= 0)
        H5Oclose(o);
    return has;
}

/* Ends writing an attribute of `o`; r: what came of it. */
static int close_written(struct vj_results *results, hid_t o, int r, struct vj_error *err)
{
    H5Oclose(o);
    results->broken = results->broken || r == -EIO;
    return r ? vj_fail_prefix(err, "%s", results->path) : 0;
}

int vj_results_set_text(struct vj_results *results, const char *object, const char *name,
                        const char *value, struct vj_error *err)
{
    hid_t o = open_object(results, object);
    return o < 0 ? fail(results, "open", object, err)
                 : close_written(results, o, vj_h5_write_text(o, name, value, err), err);
}

int vj_results_set_int(struct vj_results *results, const char *object, const char *name,
                       int64_t value, struct vj_error *err)
{
    return vj_results_set_ints(results, object, name, &value, 1, err);
}

int vj_results_set_ints(struct vj_results *results, const char *object, const char *name,
                        const int64_t *values, size_t count, struct vj_error *err)
{
    hid_t o = open_object(results, object);
    return o < 0 ? fail(results, "open", object, err)
                 : close_written(results, o, vj_h5_write_ints(o, name, values, count, err), err);
}

int vj_results_set_uint64(struct vj_results *results, const char *object, const char *name,
                          uint64_t value, struct vj_error *err)
{
    hid_t o = open_object(results, object);
    return o < 0 ? fail(results, "open", object, err)
                 : close_written(results, o, vj_h5_write_uint64(o, name, value, err), err);
}

int vj_results_set_double(struct vj_results *results, const char *object, const char *name,
                          double value, struct vj_error *err)
{
    hid_t o = open_object(results, object);
    return o < 0 ? fail(results, "open", object, err)
                 : close_written(results, o, vj_h5_write_doubles(o, name, &value, 1, err), err);
}

/* Ends reading an attribute of `o`; r: what came of it. */
static int close_read(const struct vj_results *results, hid_t o, const char *object, int r,
                      struct vj_error *err)
{
    H5Oclose(o);
    if (r && strcmp(object, "/") == 0)
        vj_fail_prefix(err, "%s", results->path);
    else if (r)
        vj_fail_prefix(err, "%s: %s", results->path, object);
    return r;
}

/* Opens the object that must carry an attribute; the caller closes it. */
static int open_holder(struct vj_results *results, const char *object, const char *name, hid_t *o,
                       struct vj_error *err)
{
    *o = open_object(results, object);
    const int has = *o >= 0 ? vj_h5_has(*o, name, err) : 0;
    if (has > 0)
        return 0;
    if (has < 0)
        return close_read(results, *o, object, has, err);
    if (*o >= 0)
        H5Oclose(*o);
    return vj_fail(err, -ENOENT, "%s: %s has no attribute %s", results->path, object, name);
}

int vj_results_get_text(struct vj_results *results, const char *object, const char *name,
                        char **text, struct vj_error *err)
{
    hid_t o;
    *text = NULL;
    int r = open_holder(results, object, name, &o, err);
    if (r)
        return r;
    char *value = vj_calloc(VJ_H5_TEXT_MAX, 1);
    r = value ? vj_h5_read_text(o, name, value, VJ_H5_TEXT_MAX, err)
              : vj_fail(err, -ENOMEM, "out of memory");
    if (r)
        free(value);
    else
        *text = value;
    return close_read(results, o, object, r, err);
}

int vj_results_get_int(struct vj_results *results, const char *object, const char *name,
                       int64_t *value, struct vj_error *err)
{
    return vj_results_get_ints(results, object, name, value, 1, err);
}

int vj_results_get_ints(struct vj_results *results, const char *object, const char *name,
                        int64_t *values, size_t count, struct vj_error *err)
{
    hid_t o;
    int r = open_holder(results, object, name, &o, err);
    if (r)
        return r;
    return close_read(results, o, object, vj_h5_read_ints(o, name, values, count, err), err);
}

int vj_results_get_uint64(struct vj_results *results, const char *object, const char *name,
                          uint64_t *value, struct vj_error *err)
{
    hid_t o;
    int r = open_holder(results, object, name, &o, err);
    if (r)
        return r;
    return close_read(results, o, object, vj_h5_read_uint64(o, name, value, err), err);
}

int vj_results_get_double(struct vj_results *results, const char *object, const char *name,
                          double *value, struct vj_error *err)
{
    hid_t o;
    int r = open_holder(results, object, name, &o, err);
    if (r)
        return r;
    return close_read(results, o, object, vj_h5_read_doubles(o, name, value, 1, err), err);
}

int vj_results_find_text(struct vj_results *results, const char *object, const char *name,
                         char **text, struct vj_error *err)
{
    *text = NULL;
    return vj_results_has_attribute(results, object, name)
               ? vj_results_get_text(results, object, name, text, err)
               : 0;
}

int vj_results_find_int(struct vj_results *results, const char *object, const char *name,
                        int64_t *value, struct vj_error *err)
{
    return vj_results_has_attribute(results, object, name)
               ? vj_results_get_int(results, object, name, value, err)
               : 0;
}

int vj_results_find_double(struct vj_results *results, const char *object, const char *name,
                           double *value, struct vj_error *err)
{
    return vj_results_has_attribute(results, object, name)
               ? vj_results_get_double(results, object, name, value, err)
               : 0;
}

int vj_results_get_scalar(struct vj_results *results, const char *path, double *value,
                          struct vj_error *err)
{
    hid_t dataset, space;
    int r = open_column(results, path, &dataset, &space, err);
    if (r)
        return r;
    if (H5Sget_simple_extent_npoints(space) != 1 ||
        H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) < 0)
        r = vj_fail(err, -EINVAL, "%s: dataset %s is not a single number", results->path, path);
    H5Sclose(space);
    H5Dclose(dataset);
    return r;
}

int vj_results_members(struct vj_results *results, const char *group, char ***names, size_t *count,
                       struct vj_error *err)
{
    *names = NULL;
    *count = 0;
    hid_t g = open_object(results, group);
    H5G_info_t info = {0};
    if (g < 0 || H5Gget_info(g, &info) < 0 || info.nlinks > MEMBERS_MAX) {
        if (g >= 0)
            H5Oclose(g);
        return vj_fail(err, -ENOENT, "%s has no usable group %s", results->path, group);
    }
    char **list = vj_calloc(info.nlinks, sizeof(*list));
    int r = list ? 0 : -ENOMEM;
    for (hsize_t i = 0; !r && i < info.nlinks; i++) {
        char name[256];
        if (H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof(name),
                               H5P_DEFAULT) < 0 ||
            !(list[i] = strdup(name)))
            r = -ENOMEM;
    }
    H5Oclose(g);
    if (r) {
        vj_results_members_free(list, info.nlinks);
        return vj_fail(err, r, "out of memory");
    }
    *names = list;
    *count = info.nlinks;
    return 0;
}

void vj_results_members_free(char **names, size_t count)
{
    if (!names)
        return;
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* ---- publishing ---- */

struct copy {
    hid_t from, to;
    int error;     /* of the last data set */
    char name[64]; /* of the last object, what is longer is cut off */
};

static herr_t copy_attribute(hid_t from, const char *name, const H5A_info_t *info, void *user)
{
    (void)info;
    hid_t to = *(hid_t *)user;
    hid_t a = H5Aopen(from, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(a);
    hid_t space = H5Aget_space(a);
    size_t bytes = H5Tget_size(type) * (size_t)H5Sget_simple_extent_npoints(space);
    void *value = vj_calloc(bytes, 1);
    hid_t b = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t e =
        !value || b < 0 || H5Aread(a, type, value) < 0 || H5Awrite(b, type, value) < 0 ? -1 : 0;
    if (value && e >= 0)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
    free(value);
    if (b >= 0)
        H5Aclose(b);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(a);
    return e;
}

/* Chunks of whole rows, about CHUNK_BYTES each; one row is cut along its first axis if larger. */
static void choose_chunk(int axes, const hsize_t *size, size_t value_bytes, hsize_t *chunk)
{
    size_t row = value_bytes;
    for (int i = 1; i < axes; i++) {
        chunk[i] = size[i] ? size[i] : 1;
        row *= (size_t)chunk[i];
    }
    chunk[0] = row < CHUNK_BYTES ? CHUNK_BYTES / row : 1;
    if (chunk[0] > size[0])
        chunk[0] = size[0] ? size[0] : 1;
    for (int i = 1; i < axes && row > (size_t)4 * CHUNK_BYTES; i++) {
        hsize_t parts = (row + CHUNK_BYTES - 1) / CHUNK_BYTES;
        hsize_t smaller = (chunk[i] + parts - 1) / parts;
        row = row / (size_t)chunk[i] * (size_t)smaller;
        chunk[i] = smaller;
    }
}

/* Copies the data in slabs of rows, so that memory stays bounded whatever the column's size. */
static int copy_rows(hid_t from, hid_t to, hid_t type, int axes, const hsize_t *size, hsize_t step)
{
    size_t row = H5Tget_size(type);
    for (int i = 1; i < axes; i++)
        row *= (size_t)size[i];
    if (row && step * row < ((hsize_t)1 << 24))
        step = ((hsize_t)1 << 24) / row / step * step;
    if (step > size[0])
        step = size[0] ? size[0] : 1;
    void *buffer = vj_calloc((size_t)step, row);
    int r = buffer ? 0 : -ENOMEM;
    hid_t from_space = H5Dget_space(from), to_space = H5Dget_space(to);
    for (hsize_t at = 0; !r && at < size[0]; at += step) {
        hsize_t start[1 + VJ_COLUMN_RANK_MAX] = {at};
        hsize_t block[1 + VJ_COLUMN_RANK_MAX];
        memcpy(block, size, sizeof(block));
        block[0] = size[0] - at < step ? size[0] - at : step;
        hid_t mem = H5Screate_simple(axes, block, NULL);
        H5Sselect_hyperslab(from_space, H5S_SELECT_SET, start, NULL, block, NULL);
        H5Sselect_hyperslab(to_space, H5S_SELECT_SET, start, NULL, block, NULL);
        if (H5Dread(from, type, mem, from_space, H5P_DEFAULT, buffer) < 0 ||
            H5Dwrite(to, type, mem, to_space, H5P_DEFAULT, buffer) < 0)
            r = -EIO;
        H5Sclose(mem);
    }
    H5Sclose(from_space);
    H5Sclose(to_space);
    free(buffer);
    return r;
}

static int copy_dataset(hid_t from_file, hid_t from, hid_t to_file, const char *path)
{
    hid_t type = H5Dget_type(from);
    hid_t space = H5Dget_space(from);
    hid_t old = H5Dget_create_plist(from);
    hsize_t size[1 + VJ_COLUMN_RANK_MAX] = {0}, most[1 + VJ_COLUMN_RANK_MAX];
    hsize_t chunk[1 + VJ_COLUMN_RANK_MAX] = {1};
    int axes = H5Sget_simple_extent_ndims(space);
    int r = axes > 1 + VJ_COLUMN_RANK_MAX || !vj_h5_is_self_contained(from) ? -EINVAL : 0;
    hid_t new_space = H5Scopy(space);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, false);
    if (!r && axes > 0) {
        H5Sget_simple_extent_dims(space, size, NULL);
        r = is_stored(from_file, from, axes, size) ? 0 : -EINVAL;
    }
    if (!r && axes > 0) {
        memcpy(most, size, sizeof(most));
        most[0] = H5S_UNLIMITED;
        H5Sset_extent_simple(new_space, axes, size, most);
        choose_chunk(axes, size, H5Tget_size(type), chunk);
        H5Pset_chunk(properties, axes, chunk);
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, DEFLATE_LEVEL);
    }
    H5D_fill_value_t fill = H5D_FILL_VALUE_DEFAULT;
    H5Pfill_value_defined(old, &fill);
    if (!r && fill == H5D_FILL_VALUE_USER_DEFINED) {
        unsigned char value[16];
        if (H5Tget_size(type) <= sizeof(value) && H5Pget_fill_value(old, type, value) >= 0)
            H5Pset_fill_value(properties, type, value);
    }
    hid_t link = link_creation();
    hid_t to = r ? -1 : H5Dcreate2(to_file, path, type, new_space, link, properties, H5P_DEFAULT);
    if (!r && to < 0)
        r = -EIO;
    if (!r)
        r = H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &to) < 0 ? -EIO : 0;
    if (!r && axes > 0)
        r = copy_rows(from, to, type, axes, size, chunk[0]);
    if (!r && axes == 0) {
        double value;
        if (H5Dread(from, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0 ||
            H5Dwrite(to, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0)
            r = -EIO;
    }
    if (to >= 0)
        H5Dclose(to);
    H5Pclose(link);
    H5Pclose(properties);
    H5Sclose(new_space);
    H5Pclose(old);
    H5Sclose(space);
    H5Tclose(type);
    return r;
}

static herr_t copy_object(hid_t root, const char *name, const H5O_info_t *info, void *user)
{
    struct copy *copy = user;
    bool is_root = strcmp(name, ".") == 0;
    snprintf(copy->name, sizeof(copy->name), "/%s", is_root ? "" : name);
    hid_t from = H5Oopen(root, name, H5P_DEFAULT);
    if (from < 0)
        return -1;
    int r = 0;
    if (info->type == H5O_TYPE_DATASET) {
        r = copy_dataset(copy->from, from, copy->to, name);
        copy->error = r;
    } else if (info->type == H5O_TYPE_GROUP) {
        hid_t link = link_creation();
        hid_t to = is_root ? H5Gopen2(copy->to, "/", H5P_DEFAULT)
                           : H5Gcreate2(copy->to, name, link, H5P_DEFAULT, H5P_DEFAULT);
        H5Pclose(link);
        if (to < 0 || H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &to) < 0)
            r = -EIO;
        if (to >= 0)
            H5Gclose(to);
    }
    H5Oclose(from);
    return r ? -1 : 0;
}

static int copy_file(struct vj_results *results, const char *path, struct vj_error *err)
{
    struct vj_results out = {0};
    struct vj_h5_part part;
    int r = vj_h5_part_open(&part, path, err);
    if (r)
        return r;
    out.file = part.file;
    snprintf(out.path, sizeof(out.path), "%s", path);
    struct copy copy = {.from = results->file, .to = out.file};
    if (H5Ovisit(results->file, H5_INDEX_NAME, H5_ITER_INC, copy_object, &copy) < 0)
        r = vj_fail(err, copy.error ? copy.error : -EIO, "cannot copy %s of %s into %s%s",
                    copy.name, results->path, path,
                    copy.error == -ENOMEM ? ": out of memory"
                                          : "; is the disk full or the file damaged?");
    if (!r)
        r = vj_results_set_int(&out, "/", "complete", 1, err);
    return vj_h5_part_end(&part, r, err);
}

int vj_results_publish(struct vj_results **results, const char *path, struct vj_error *err)
{
    vj_h5_start();
    int r = copy_file(*results, path, err);
    if (!r)
        unlink((*results)->path);
    /* What finishing added to the .part is made again by --resume; it is not worth the risk. */
    (*results)->broken = (*results)->broken || r;
    /* Last: closing writes to the .part what was added at the end, and not in one go. */
    vj_results_close(*results);
    *results = NULL;
    return r;
}
