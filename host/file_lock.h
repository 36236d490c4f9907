/* SPDX-License-Identifier: MIT */
/* One process at a time: a lock that ends with the process that holds it, however it ends. */
#ifndef VJ_HOST_FILE_LOCK_H
#define VJ_HOST_FILE_LOCK_H

#include "host/error.h"

struct vj_file_lock {
    int fd;     /* -1: not held */
    char *path; /* owned */
};

/*
 * Takes the lock without waiting. It is flock(2) on a file of its own, as what it protects is
 * replaced by renaming; a killed process leaves the empty file, which the next one takes over.
 *
 * The lock has no effect between machines where the file system is mounted with locks of each
 * machine alone (NFS with nolock or local_lock, Lustre with localflock, most of FUSE), and none at
 * all where it has no locks: then it is taken for held.
 *
 * lock: of zeros or not; to be given to vj_file_unlock() whatever the outcome
 * path: of the lock's file, which is made
 * Errors: -EBUSY when another process holds it; the folder's, e.g. -EACCES, -EROFS, -ENOSPC.
 */
int vj_file_lock(struct vj_file_lock *lock, const char *path, struct vj_error *err);

/* Gives it back and removes its file; no-op where it is not held. */
void vj_file_unlock(struct vj_file_lock *lock);

#endif
