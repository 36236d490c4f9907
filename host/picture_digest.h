/* SPDX-License-Identifier: MIT */
/*
 * A picture's name for life: the SHA-256 of what is to be seen in it, the same under any file name,
 * in any folder and in any lossless format. Weight files list the pictures that made them by it, so
 * that a run can tell whether it judges them on pictures that they have seen.
 *
 * Digested are width and height, as 64-bit little-endian numbers, and the RGB samples row by row; a
 * grey picture has three equal ones.
 */
#ifndef VJ_HOST_PICTURE_DIGEST_H
#define VJ_HOST_PICTURE_DIGEST_H

#include "host/error.h"
#include "host/image.h"
#include "host/sha256.h"

/* May be called from several threads at once. Errors: -ENOMEM, -EIO. */
int vj_picture_digest(char hex[VJ_SHA256_HEX], const struct vj_image *img, struct vj_error *err);

#endif
