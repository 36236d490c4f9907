/* SPDX-License-Identifier: MIT */
#include "host/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REASON = 256 };

/*
 * The first entry of an upward walk is where it went wrong. Failed system calls are described with
 * date, buffer address and more; the system's own message is enough of that.
 */
static herr_t innermost(unsigned n, const H5E_error2_t *e, void *data)
{
    static const char mark[] = "error message = '";
    const char *text = e->desc ? e->desc : "no reason given";
    const char *system = strstr(text, mark);
    (void)n;
    if (system)
        text = system + strlen(mark);
    snprintf(data, REASON, "%.*s", system ? (int)strcspn(text, "'") : REASON, text);
    return 1;
}

int vj_h5_fail(struct vj_error *err, const char *format, ...)
{
    char text[VJ_ERROR_TEXT], reason[REASON] = "no reason given by HDF5";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, reason);
    H5Eclear2(H5E_DEFAULT);
    return vj_fail(err, -EIO, "%s: %s", text, reason);
}

/*
 * HDF5 prints nothing, and tidies nothing up when the program ends: every file is closed by then,
 * and its own tidying crashes (1.10) over a file whose closing failed, as on a full disk. Links
 * into other files lead nowhere: HDF5 would open whatever they name, a FIFO or a device, too.
 */
void vj_h5_start(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (H5Lis_registered(H5L_TYPE_EXTERNAL) > 0)
        H5Lunregister(H5L_TYPE_EXTERNAL);
}

bool vj_h5_is_self_contained(hid_t set)
{
    hid_t list = H5Dget_create_plist(set);
    if (list < 0)
        return false;
    bool is = H5Pget_layout(list) != H5D_VIRTUAL && H5Pget_external_count(list) == 0;
    H5Pclose(list);
    return is;
}

int vj_h5_check_regular(const char *path, struct vj_error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would block */
    if (fd < 0)
        return vj_fail(err, -errno, "%s: cannot be opened: %s", path, strerror(errno));
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    close(fd);
    if (!regular)
        return vj_fail(err, -EINVAL, "%s: is not a regular file", path);
    return 0;
}

int vj_h5_open(hid_t *file, const char *path, struct vj_error *err)
{
    *file = H5I_INVALID_HID;
    vj_h5_start();
    int r = vj_h5_check_regular(path, err);
    if (r)
        return r;
    htri_t is_hdf5 = H5Fis_hdf5(path);
    if (is_hdf5 <= 0) {
        H5Eclear2(H5E_DEFAULT);
        return vj_fail(err, -EINVAL, "%s: is not an HDF5 file", path);
    }
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (*file < 0)
        return vj_h5_fail(err, "%s: cannot be opened as HDF5, it may be cut off or damaged", path);
    return 0;
}

static int check_folder(const char *path, struct vj_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!*path || (slash && !slash[1]))
        return vj_fail(err, -EINVAL, "output '%s': name a file", path);
    if (!slash)
        return 0;
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct stat status;
    int r = 0;
    if (!folder)
        r = vj_fail(err, -ENOMEM, "out of memory");
    else if (stat(folder, &status) != 0)
        r = vj_fail(err, -errno, "output %s: its folder %s: %s", path, folder, strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        r = vj_fail(err, -ENOTDIR, "output %s: %s is no folder", path, folder);
    free(folder);
    return r;
}

/* Whether the file is of HDF5 and says of itself that it is of this kind. */
static bool is_of_kind(const char *path, const char *schema)
{
    hid_t file;
    char text[64];
    struct vj_error ignored = {0};
    if (vj_h5_open(&file, path, &ignored))
        return false;
    bool is = vj_h5_read_text(file, "schema", text, sizeof(text), &ignored) == 0 &&
              strcmp(text, schema) == 0;
    vj_h5_close(file, path, &ignored);
    return is;
}

/* Who asks for one of these wants a table or a page, not HDF5 under its name. */
static int check_ending(const char *path, struct vj_error *err)
{
    static const char *const others[] = {".csv", ".json", ".html", ".txt", ".png", ".jpg"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasecmp(dot, others[i]) == 0)
            return vj_fail(err, -EINVAL,
                           "output %s would be an HDF5 file; name it so (%.*s.h5), `vpjnd report` "
                           "makes tables and pages of results",
                           path, (int)(dot - path), path);
    return 0;
}

int vj_h5_check_output(const char *path, const char *schema, struct vj_error *err)
{
    int r = check_ending(path, err);
    if (!r)
        r = check_folder(path, err);
    if (r)
        return r;
    struct stat status;
    if (stat(path, &status) != 0)
        return 0;
    if (!S_ISREG(status.st_mode))
        return vj_fail(err, -EINVAL, "output %s is there and is no regular file; name another one",
                       path);
    if (status.st_size > 0 && !is_of_kind(path, schema))
        return vj_fail(err, -EEXIST,
                       "output %s is there and is no file of kind %s, so it is not replaced; name "
                       "another one, or remove it",
                       path, schema);
    return 0;
}

/*
 * The format of HDF5 1.8 puts checksums on metadata; the library's default is the older one. And no
 * sieve: a row of a column is less than a kilobyte, but through a sieve each of them costs reading
 * and writing 64 KiB.
 */
hid_t vj_h5_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && (H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0 ||
                        H5Pset_sieve_buf_size(access, 0) < 0)) {
        H5Pclose(access);
        access = H5I_INVALID_HID;
    }
    return access;
}

int vj_h5_create(hid_t *file, const char *path, struct vj_error *err)
{
    vj_h5_start();
    hid_t access = vj_h5_access();
    *file = access >= 0 ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access) : H5I_INVALID_HID;
    int r = 0;
    if (*file < 0)
        r = vj_h5_fail(err, "%s: cannot be created; check the folder and its permissions", path);
    if (access >= 0)
        H5Pclose(access);
    return r;
}

/* The file's descriptor in the default driver, or -1. */
static int descriptor_of(hid_t file)
{
    int *fd = NULL;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&fd) < 0 || !fd)
        return -1;
    return *fd;
}

void vj_h5_abandon(hid_t file)
{
    if (file < 0)
        return;
    int fd = descriptor_of(file), nowhere = memfd_create("vpjnd", MFD_CLOEXEC);
    if (fd >= 0 && nowhere >= 0)
        dup3(nowhere, fd, O_CLOEXEC);
    if (nowhere >= 0)
        close(nowhere);
    H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
}

/*
 * Room on the disk for what is still to be flushed, so that HDF5 does not find out half-way, which
 * it does not recover from. Returns 0 or an errno; file systems that cannot tell are believed.
 */
static int reserve(hid_t file)
{
    enum { MARGIN = 1 << 20 }; /* metadata that HDF5 allots when flushing */
    hsize_t size;
    int fd = descriptor_of(file);
    if (fd < 0 || H5Fget_filesize(file, &size) < 0)
        return 0;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size + MARGIN) == 0)
        return 0;
    return errno == ENOSPC || errno == EFBIG || errno == EDQUOT || errno == EIO ? errno : 0;
}

int vj_h5_close(hid_t file, const char *path, struct vj_error *err)
{
    unsigned intent = H5F_ACC_RDONLY;
    if (file < 0)
        return 0;
    /* A reader of a file that is open for writing elsewhere says H5F_ACC_RDWR as well: it shares
     * the writer's descriptor, which must stay. */
    bool last = H5Fget_obj_count(file, H5F_OBJ_FILE) <= 1;
    if (last && H5Fget_intent(file, &intent) >= 0 && (intent & H5F_ACC_RDWR)) {
        int r = reserve(file);
        if (r) {
            vj_h5_abandon(file);
            return vj_fail(err, -r, "%s: cannot be written to the end: %s", path, strerror(r));
        }
    }
    if (H5Fclose(file) < 0)
        return vj_h5_fail(err, "%s: cannot be written to the end", path);
    return 0;
}

int vj_h5_temporary(char **name, const char *path, struct vj_error *err)
{
    if (asprintf(name, "%s.part.XXXXXX", path) < 0) {
        *name = NULL;
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    }
    int fd = mkostemp(*name, O_CLOEXEC);
    if (fd >= 0) {
        fchmod(fd, 0600); /* the umask may have taken even that */
        return fd;
    }
    int r = vj_fail(err, -errno,
                    "%s cannot be created: %s; check the folder, its permissions and its room",
                    *name, strerror(errno));
    free(*name);
    *name = NULL;
    return r;
}

void vj_h5_usual_mode(int fd)
{
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
}

int vj_h5_part_open(struct vj_h5_part *part, const char *path, struct vj_error *err)
{
    *part = (struct vj_h5_part){.file = H5I_INVALID_HID, .path = path};
    part->fd = vj_h5_temporary(&part->name, path, err);
    if (part->fd < 0)
        return part->fd;
    int r = vj_h5_create(&part->file, part->name, err);
    return r ? vj_h5_part_end(part, r, err) : 0;
}

int vj_h5_part_end(struct vj_h5_part *part, int written, struct vj_error *err)
{
    int r = written;
    if (r)
        vj_h5_abandon(part->file);
    else
        r = vj_h5_close(part->file, part->path, err);
    /* By this descriptor: under the umask's permissions the file might not be opened again. */
    if (!r && fsync(part->fd) != 0)
        r = vj_fail(err, -errno, "%s: cannot be flushed to disk: %s", part->path, strerror(errno));
    if (!r)
        vj_h5_usual_mode(part->fd);
    if (!r && rename(part->name, part->path) != 0)
        r = vj_fail(err, -errno, "%s: cannot be renamed to %s: %s", part->name, part->path,
                    strerror(errno));
    if (r)
        unlink(part->name);
    close(part->fd);
    free(part->name);
    return r;
}

/* Replaces attribute `name` by one value (count 1) or a list, all of them in `memory_type`. */
static int write_attribute(hid_t at, const char *name, hid_t file_type, hid_t memory_type,
                           const void *values, size_t count, struct vj_error *err)
{
    hsize_t dims = count;
    hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dims, NULL);
    hid_t attribute = H5I_INVALID_HID;
    if (space >= 0 && H5Aexists(at, name) > 0)
        H5Adelete(at, name);
    if (space >= 0)
        attribute = H5Acreate2(at, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    int r = 0;
    if (attribute < 0 || H5Awrite(attribute, memory_type, values) < 0)
        r = vj_h5_fail(err, "attribute %s cannot be written", name);
    if (attribute >= 0)
        H5Aclose(attribute);
    if (space >= 0)
        H5Sclose(space);
    return r;
}

int vj_h5_write_ints(hid_t at, const char *name, const int64_t *values, size_t count,
                     struct vj_error *err)
{
    return write_attribute(at, name, H5T_STD_I64LE, H5T_NATIVE_INT64, values, count, err);
}

int vj_h5_write_uint64(hid_t at, const char *name, uint64_t value, struct vj_error *err)
{
    return write_attribute(at, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, 1, err);
}

int vj_h5_write_doubles(hid_t at, const char *name, const double *values, size_t count,
                        struct vj_error *err)
{
    return write_attribute(at, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values, count, err);
}

/* Fixed-length: it lies in the checksummed header, variable-length text would not. */
static hid_t utf8_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, size) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

int vj_h5_write_text(hid_t at, const char *name, const char *text, struct vj_error *err)
{
    const size_t size = strlen(text) + 1;
    if (size > VJ_H5_TEXT_MAX)
        return vj_fail(err, -E2BIG,
                       "attribute %s would be a text of %zu bytes, and no more than %d are read",
                       name, size - 1, VJ_H5_TEXT_MAX - 1);
    hid_t type = utf8_type(size);
    if (type < 0)
        return vj_h5_fail(err, "attribute %s cannot be written", name);
    int r = write_attribute(at, name, type, type, text, 1, err);
    H5Tclose(type);
    return r;
}

int vj_h5_has(hid_t at, const char *name, struct vj_error *err)
{
    htri_t found = H5Aexists(at, name);
    if (found < 0)
        return vj_h5_fail(err, "attribute %s cannot be looked up", name);
    return found > 0;
}

struct attribute {
    hid_t id, type, space;
};

static void attribute_close(struct attribute *a)
{
    if (a->space >= 0)
        H5Sclose(a->space);
    if (a->type >= 0)
        H5Tclose(a->type);
    if (a->id >= 0)
        H5Aclose(a->id);
}

/* Opens an attribute of `count` values and the given class; closed by the caller on success only.
 */
static int attribute_open(struct attribute *a, hid_t at, const char *name, H5T_class_t class,
                          const char *what, size_t count, struct vj_error *err)
{
    *a = (struct attribute){H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID};
    int r = vj_h5_has(at, name, err);
    if (r < 0)
        return r;
    if (r == 0)
        return vj_fail(err, -ENOENT, "attribute %s is missing", name);
    a->id = H5Aopen(at, name, H5P_DEFAULT);
    if (a->id >= 0) {
        a->type = H5Aget_type(a->id);
        a->space = H5Aget_space(a->id);
    }
    if (a->type < 0 || a->space < 0) {
        r = vj_h5_fail(err, "attribute %s cannot be opened", name);
        attribute_close(a);
        return r;
    }
    hssize_t points = H5Sget_simple_extent_npoints(a->space);
    if (H5Tget_class(a->type) == class && H5Sget_simple_extent_ndims(a->space) <= 1 &&
        points >= 0 && (size_t)points == count)
        return 0;
    attribute_close(a);
    return vj_fail(err, -EINVAL, "attribute %s must be %zu %s", name, count, what);
}

static int read_numbers(hid_t at, const char *name, H5T_class_t class, const char *what,
                        hid_t memory_type, void *values, size_t count, struct vj_error *err)
{
    struct attribute a;
    int r = attribute_open(&a, at, name, class, what, count, err);
    if (r)
        return r;
    if (H5Aread(a.id, memory_type, values) < 0)
        r = vj_h5_fail(err, "attribute %s cannot be read", name);
    attribute_close(&a);
    return r;
}

int vj_h5_read_ints(hid_t at, const char *name, int64_t *values, size_t count, struct vj_error *err)
{
    return read_numbers(at, name, H5T_INTEGER, count == 1 ? "whole number" : "whole numbers",
                        H5T_NATIVE_INT64, values, count, err);
}

int vj_h5_read_uint64(hid_t at, const char *name, uint64_t *value, struct vj_error *err)
{
    struct attribute a;
    int r = attribute_open(&a, at, name, H5T_INTEGER, "whole number", 1, err);
    if (r)
        return r;
    /* HDF5 would make 0 of a negative number. */
    const bool is_signed = H5Tget_sign(a.type) == H5T_SGN_2;
    if (H5Aread(a.id, is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64, value) < 0)
        r = vj_h5_fail(err, "attribute %s cannot be read", name);
    attribute_close(&a);
    return r;
}

int vj_h5_read_doubles(hid_t at, const char *name, double *values, size_t count,
                       struct vj_error *err)
{
    return read_numbers(at, name, H5T_FLOAT, count == 1 ? "real number" : "real numbers",
                        H5T_NATIVE_DOUBLE, values, count, err);
}

static int copy_text(char *text, size_t size, const char *from, size_t length, const char *name,
                     struct vj_error *err)
{
    if (length >= size)
        return vj_fail(err, -EINVAL, "attribute %s is %zu bytes long, at most %zu are allowed",
                       name, length, size - 1);
    if (memchr(from, '\0', length))
        return vj_fail(err, -EINVAL, "attribute %s has a zero byte inside its text", name);
    memcpy(text, from, length);
    text[length] = '\0';
    return 0;
}

static int read_variable_text(const struct attribute *a, const char *name, char *text, size_t size,
                              struct vj_error *err)
{
    char *value = NULL;
    if (H5Aread(a->id, a->type, &value) < 0)
        return vj_h5_fail(err, "attribute %s cannot be read", name);
    const char *from = value ? value : "";
    int r = copy_text(text, size, from, strlen(from), name, err);
    H5free_memory(value);
    return r;
}

static int read_fixed_text(const struct attribute *a, const char *name, char *text, size_t size,
                           struct vj_error *err)
{
    size_t stored = H5Tget_size(a->type);
    if (stored > VJ_H5_TEXT_MAX)
        return vj_fail(err, -EINVAL, "attribute %s claims %zu bytes of text", name, stored);
    char *value = calloc(stored + 1, 1);
    if (!value)
        return vj_fail(err, -ENOMEM, "out of memory for attribute %s", name);
    int r;
    if (H5Aread(a->id, a->type, value) < 0) {
        r = vj_h5_fail(err, "attribute %s cannot be read", name);
    } else {
        size_t length = stored; /* padding, zero bytes or blanks, is not text */
        char pad = H5Tget_strpad(a->type) == H5T_STR_SPACEPAD ? ' ' : '\0';
        while (length && value[length - 1] == pad)
            length--;
        r = copy_text(text, size, value, length, name, err);
    }
    free(value);
    return r;
}

int vj_h5_read_text(hid_t at, const char *name, char *text, size_t size, struct vj_error *err)
{
    struct attribute a;
    int r = attribute_open(&a, at, name, H5T_STRING, "text", 1, err);
    if (r)
        return r;
    if (H5Tis_variable_str(a.type) > 0)
        r = read_variable_text(&a, name, text, size, err);
    else
        r = read_fixed_text(&a, name, text, size, err);
    attribute_close(&a);
    return r;
}

bool vj_h5_exists(hid_t at, const char *path)
{
    char part[4096];
    size_t length = strlen(path);
    if (length >= sizeof(part))
        return false;
    if (strcmp(path, "/") == 0)
        return true;
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        const htri_t there = H5Lexists(at, part, H5P_DEFAULT);
        if (there <= 0)
            return there < 0;
    }
    return true;
}

static bool is_plain(hid_t set, size_t bytes)
{
    hid_t list = H5Dget_create_plist(set);
    if (list < 0)
        return false;
    bool plain = H5Pget_layout(list) == H5D_CONTIGUOUS && H5Pget_nfilters(list) == 0 &&
                 H5Pget_external_count(list) == 0 && H5Dget_storage_size(set) == bytes;
    H5Pclose(list);
    return plain;
}

static int describe(hid_t set, const char *path, struct vj_h5_info *info, struct vj_error *err)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    memset(info, 0, sizeof(*info));
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    int rank = space >= 0 ? H5Sget_simple_extent_dims(space, dims, NULL) : -1;
    int r = 0;
    if (type < 0 || rank < 0) {
        r = vj_h5_fail(err, "dataset %s cannot be described", path);
    } else if (rank > VJ_H5_MAX_RANK) {
        r = vj_fail(err, -EINVAL, "dataset %s has %d dimensions, at most %d are allowed", path,
                    rank, VJ_H5_MAX_RANK);
    } else {
        size_t bytes = H5Tget_size(type);
        bool fits = true;
        info->rank = rank;
        for (int i = 0; i < rank; i++) {
            info->dims[i] = dims[i];
            fits = fits && !__builtin_mul_overflow(bytes, info->dims[i], &bytes);
        }
        info->is_float32 = H5Tequal(type, H5T_IEEE_F32LE) > 0;
        info->is_plain = fits && is_plain(set, bytes);
    }
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return r;
}

int vj_h5_dataset_open(hid_t *set, hid_t at, const char *path, struct vj_h5_info *info,
                       struct vj_error *err)
{
    *set = H5I_INVALID_HID;
    if (!vj_h5_exists(at, path)) {
        H5Eclear2(H5E_DEFAULT);
        return vj_fail(err, -ENOENT, "dataset %s is missing", path);
    }
    *set = H5Dopen2(at, path, H5P_DEFAULT);
    if (*set < 0)
        return vj_h5_fail(err, "%s cannot be opened as a dataset", path);
    int r = vj_h5_is_self_contained(*set)
                ? describe(*set, path, info, err)
                : vj_fail(err, -EINVAL,
                          "the values of dataset %s lie in another file, which is not read", path);
    if (r) {
        H5Dclose(*set);
        *set = H5I_INVALID_HID;
    }
    return r;
}

int vj_h5_dataset_read_floats(hid_t set, const char *path, float *data, struct vj_error *err)
{
    if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        return vj_h5_fail(err, "dataset %s cannot be read", path);
    return 0;
}

int vj_h5_dataset_write_floats(hid_t at, const char *path, int rank, const size_t *dims,
                               const float *data, struct vj_error *err)
{
    hsize_t size[VJ_H5_MAX_RANK];
    if (rank < 1 || rank > VJ_H5_MAX_RANK)
        return vj_fail(err, -EINVAL, "dataset %s: %d dimensions, must be 1 to %d", path, rank,
                       VJ_H5_MAX_RANK);
    for (int i = 0; i < rank; i++)
        size[i] = dims[i];
    hid_t space = H5Screate_simple(rank, size, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    hid_t set = H5I_INVALID_HID;
    if (links >= 0 && H5Pset_create_intermediate_group(links, 1) >= 0)
        set = H5Dcreate2(at, path, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
    int r = 0;
    if (set < 0 || H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        r = vj_h5_fail(err, "dataset %s cannot be written", path);
    if (set >= 0)
        H5Dclose(set);
    if (links >= 0)
        H5Pclose(links);
    if (space >= 0)
        H5Sclose(space);
    return r;
}
