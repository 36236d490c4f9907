/* SPDX-License-Identifier: MIT */
#include "host/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the file is still the one of that name: its last holder removes it. */
static bool is_in_place(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/* A descriptor that holds the lock, or a negative errno. */
static int take(const char *path)
{
    enum { TRIES = 100 }; /* a file system may number the same file anew each time */
    for (int tried = 1;; tried++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            const int code = errno;
            if (code == ENOLCK || code == ENOSYS || code == ENOTSUP)
                return fd; /* a file system without locks */
            close(fd);
            return code == EWOULDBLOCK ? -EBUSY : -code;
        }
        if (tried == TRIES || is_in_place(fd, path))
            return fd;
        close(fd);
    }
}

int vj_file_lock(struct vj_file_lock *lock, const char *path, struct vj_error *err)
{
    lock->fd = -1;
    lock->path = strdup(path);
    if (!lock->path)
        return vj_fail(err, -ENOMEM, "out of memory");
    lock->fd = take(path);
    if (lock->fd >= 0)
        return 0;
    const int code = lock->fd;
    lock->fd = -1;
    if (code == -EBUSY)
        return vj_fail(err, code, "%s is held by another process", path);
    return vj_fail(err, code, "%s cannot be made: %s; check the folder and its permissions", path,
                   strerror(-code));
}

void vj_file_unlock(struct vj_file_lock *lock)
{
    if (lock->path && lock->fd >= 0) {
        unlink(lock->path); /* while it is held: nobody else's is removed */
        close(lock->fd);
    }
    free(lock->path);
    *lock = (struct vj_file_lock){.fd = -1};
}
