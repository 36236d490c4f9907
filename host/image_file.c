/* SPDX-License-Identifier: MIT */
/* Whole files in and out of memory: reading what may be hostile, writing so that nobody sees half.
 */
#include "host/image_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/checked.h"

#define DEFAULT_MAX_BYTES ((size_t)1 << 30)
#define TEMPORARY_TRIES   1000

const char *vj_errno_text(int code, char *buffer, size_t size)
{
    return strerror_r(code, buffer, size);
}

static int check_regular(size_t *length, int fd, const char *path, struct vj_error *err)
{
    struct stat st;
    char why[128];
    if (fstat(fd, &st) != 0) {
        int code = errno;
        return vj_fail(err, -code, "%s: cannot be examined: %s", path,
                       vj_errno_text(code, why, sizeof(why)));
    }
    if (S_ISDIR(st.st_mode))
        return vj_fail(err, -EISDIR, "%s: is a folder; name a file in it", path);
    if (!S_ISREG(st.st_mode))
        return vj_fail(err, -EINVAL, "%s: is %s, not a regular file; copy its content to a file",
                       path, S_ISFIFO(st.st_mode) ? "a FIFO" : "a device");
    if (st.st_size <= 0)
        return vj_fail(err, -ENODATA, "%s: is empty (0 bytes); copy it again", path);
    *length = (size_t)st.st_size;
    return 0;
}

/* Opens without waiting (a FIFO would block) and refuses all but regular, non-empty files. */
static int open_regular(int *fd, size_t *length, const char *path, struct vj_error *err)
{
    char why[128];
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) {
        int code = errno;
        return vj_fail(err, -code, "%s: cannot be opened: %s; check the path and its permissions",
                       path, vj_errno_text(code, why, sizeof(why)));
    }
    int rc = check_regular(length, *fd, path, err);
    if (rc)
        close(*fd);
    return rc;
}

/* Reads until `want` bytes are there or the file ends. */
static int read_up_to(uint8_t *to, size_t want, size_t *got, int fd, const char *path,
                      struct vj_error *err)
{
    char why[128];
    *got = 0;
    while (*got < want) {
        ssize_t n = read(fd, to + *got, want - *got);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = errno;
            return vj_fail(err, -code, "%s: cannot be read after byte %zu: %s", path, *got,
                           vj_errno_text(code, why, sizeof(why)));
        }
        *got += (size_t)n;
    }
    return 0;
}

/* Allocates `want` bytes and fills them as far as the file goes. */
static int read_new(uint8_t **data, size_t want, size_t *got, int fd, const char *path,
                    struct vj_error *err)
{
    *data = malloc(want);
    if (!*data)
        return vj_fail(err, -ENOMEM, "%s: no memory for %zu bytes", path, want);
    int rc = read_up_to(*data, want, got, fd, path, err);
    if (rc) {
        free(*data);
        *data = NULL;
    }
    return rc;
}

int vj_file_read_fd(uint8_t **data, size_t *size, int fd, size_t expected, const char *path,
                    struct vj_error *err)
{
    size_t want;
    *data = NULL;
    *size = 0;
    if (!vj_size_add(expected, 1, &want)) /* the byte that shows growth */
        return vj_fail(err, -EFBIG, "%s: %zu bytes do not fit into memory", path, expected);
    uint8_t *bytes;
    size_t got = 0;
    int rc = read_new(&bytes, want, &got, fd, path, err);
    if (rc)
        return rc;
    if (got != expected) {
        free(bytes);
        return vj_fail(err, -EBUSY,
                       "%s: %s while it was read (%zu bytes at first); wait for its writer to "
                       "finish",
                       path, got > expected ? "grew" : "shrank", expected);
    }
    *data = bytes;
    *size = expected;
    return 0;
}

int vj_file_read(uint8_t **data, size_t *size, const char *path, size_t max_bytes,
                 struct vj_error *err)
{
    *data = NULL;
    *size = 0;
    if (max_bytes == 0)
        max_bytes = DEFAULT_MAX_BYTES;
    int fd;
    size_t length = 0;
    int rc = open_regular(&fd, &length, path, err);
    if (rc)
        return rc;
    if (length > max_bytes)
        rc = vj_fail(err, -EFBIG, "%s: %zu bytes, more than the %zu allowed; is it the right file?",
                     path, length, max_bytes);
    else
        rc = vj_file_read_fd(data, size, fd, length, path, err);
    close(fd);
    return rc;
}

int vj_file_read_head(uint8_t **data, size_t *size, size_t *length, const char *path, size_t limit,
                      struct vj_error *err)
{
    int fd;
    *data = NULL;
    *size = *length = 0;
    int rc = open_regular(&fd, length, path, err);
    if (rc)
        return rc;
    if (*length <= limit)
        rc = vj_file_read_fd(data, size, fd, *length, path, err);
    else
        rc = read_new(data, limit, size, fd, path, err);
    close(fd);
    return rc;
}

/*
 * The temporary name does not contain the target's, which may already be as long as names can be;
 * process and thread make it unique, the try number steps over what a killed run left.
 */
static char *temporary_name(const char *path, unsigned attempt)
{
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path + 1) : 0;
    char *name;
    if (asprintf(&name, "%.*s.vjpart-%ld-%ld-%u", folder, path, (long)getpid(), (long)gettid(),
                 attempt) < 0)
        return NULL;
    return name;
}

static int open_temporary(struct vj_part *part)
{
    for (unsigned attempt = 0; attempt < TEMPORARY_TRIES; attempt++) {
        part->temporary = temporary_name(part->path, attempt);
        if (!part->temporary)
            return -ENOMEM;
        /* 0666 and not mkstemp()'s 0600: the result is an ordinary file under the user's umask. */
        int fd = open(part->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        int code = errno;
        free(part->temporary);
        part->temporary = NULL;
        if (code != EEXIST)
            return -code;
    }
    return -EEXIST;
}

int vj_part_open(struct vj_part *part, const char *path, struct vj_error *err)
{
    char why[128];
    memset(part, 0, sizeof(*part));
    part->path = path;
    if (strlen(path) > PATH_MAX)
        return vj_fail(err, -ENAMETOOLONG, "%.100s...: path of %zu bytes is too long", path,
                       strlen(path));
    int fd = open_temporary(part);
    if (fd < 0)
        return vj_fail(err, fd, "%s: cannot create a file in its folder: %s", path,
                       vj_errno_text(-fd, why, sizeof(why)));
    part->stream = fdopen(fd, "wb");
    if (!part->stream) {
        close(fd);
        vj_part_abort(part);
        return vj_fail(err, -ENOMEM, "%s: no memory to write it", path);
    }
    return 0;
}

static int fail_write(const struct vj_part *part, int code, struct vj_error *err)
{
    char why[128];
    return vj_fail(err, -code, "%s: cannot be written: %s", part->path,
                   vj_errno_text(code, why, sizeof(why)));
}

int vj_part_write(struct vj_part *part, const void *bytes, size_t size, struct vj_error *err)
{
    errno = 0;
    if (fwrite(bytes, 1, size, part->stream) != size)
        return fail_write(part, errno ? errno : EIO, err);
    return 0;
}

int vj_part_commit(struct vj_part *part, struct vj_error *err)
{
    errno = 0;
    int failed = fclose(part->stream); /* flushes: a full disk may show only here */
    part->stream = NULL;
    if (!failed)
        failed = rename(part->temporary, part->path);
    int rc = failed ? fail_write(part, errno ? errno : EIO, err) : 0;
    if (!failed) {
        free(part->temporary);
        part->temporary = NULL;
    }
    vj_part_abort(part);
    return rc;
}

int vj_file_write(const char *path, const void *data, size_t size, struct vj_error *err)
{
    struct vj_part part;
    int rc = vj_part_open(&part, path, err);
    if (rc)
        return rc;
    rc = vj_part_write(&part, data, size, err);
    if (!rc)
        return vj_part_commit(&part, err);
    vj_part_abort(&part);
    return rc;
}

void vj_part_abort(struct vj_part *part)
{
    if (part->stream)
        fclose(part->stream);
    if (part->temporary)
        unlink(part->temporary);
    free(part->temporary);
    memset(part, 0, sizeof(*part));
}
