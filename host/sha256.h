/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) of bytes that arrive in pieces; OpenSSL does the work. */
#ifndef VJ_HOST_SHA256_H
#define VJ_HOST_SHA256_H

#include <stddef.h>

#include "host/error.h"

#define VJ_SHA256_HEX 65 /* 64 lower-case hexadecimal digits and the NUL */

struct vj_sha256 {
    void *context; /* owned; released by vj_sha256_end() or vj_sha256_cancel() */
};

/* Starts a digest. s need not be initialised. Errors: -ENOMEM, -EIO. */
int vj_sha256_begin(struct vj_sha256 *s, struct vj_error *err);

/* Adds size bytes; after a failure only vj_sha256_cancel() may follow. */
int vj_sha256_add(struct vj_sha256 *s, const void *data, size_t size, struct vj_error *err);

/* Writes the digest of everything added and releases the context, whatever the outcome. */
int vj_sha256_end(struct vj_sha256 *s, char hex[VJ_SHA256_HEX], struct vj_error *err);

void vj_sha256_cancel(struct vj_sha256 *s);

#endif
