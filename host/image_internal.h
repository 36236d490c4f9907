/* SPDX-License-Identifier: MIT */
/* What the image sources share among themselves; nothing outside host/image*.c and its tests. */
#ifndef VJ_HOST_IMAGE_INTERNAL_H
#define VJ_HOST_IMAGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "host/error.h"
#include "host/image.h"

/* One picture file in memory; borrowed, never freed by the decoders. */
struct vj_image_source {
    const uint8_t *data;
    size_t size;
    size_t length;    /* bytes of the whole file: size, or more, or SIZE_MAX where unknown */
    const char *name; /* what errors call it */
};

/*
 * One decoder per format. They get resolved options: never NULL, max_pixels > 0, a valid alpha
 * mode.
 *
 * read: `img` is zeroed on entry; on failure it is freed and zeroed again
 * info: fills everything but info->format; refuses what read would refuse for its kind of samples,
 *       and uncompressed samples that do not fit into src->length (-EBADMSG)
 */
typedef int vj_image_read_fn(struct vj_image *img, const struct vj_image_source *src,
                             const struct vj_image_options *opt, struct vj_error *err);
typedef int vj_image_info_fn(struct vj_image_info *info, const struct vj_image_source *src,
                             struct vj_error *err);

vj_image_read_fn vj_image_read_jpeg, vj_image_read_png, vj_image_read_bmp, vj_image_read_pnm;
vj_image_info_fn vj_image_info_jpeg, vj_image_info_png, vj_image_info_bmp, vj_image_info_pnm;

/* Refuses an empty picture (-EBADMSG) and one of more than max_pixels pixels (-EFBIG). */
int vj_image_check_size(const char *name, uint64_t width, uint64_t height, size_t max_pixels,
                        struct vj_error *err);

/* The refusal every format gives for a pixel that is not opaque under VJ_ALPHA_REFUSE (-ENOTSUP).
 */
int vj_image_refuse_alpha(const char *name, struct vj_error *err);

/* Level of the background that an alpha mode blends over; none shows under VJ_ALPHA_REFUSE. */
static inline unsigned vj_alpha_background(enum vj_alpha_mode alpha)
{
    return alpha == VJ_ALPHA_WHITE ? 255 : 0;
}

/* level * alpha + background * (1 - alpha) in coded values, rounded to nearest. */
static inline uint8_t vj_alpha_blend(unsigned level, unsigned alpha, unsigned background)
{
    return (uint8_t)((level * alpha + background * (255 - alpha) + 127) / 255);
}

/* Text of a positive errno in the caller's buffer; strerror() is not thread-safe everywhere. */
const char *vj_errno_text(int code, char *buffer, size_t size);

/*
 * Reads an open regular file that was `expected` bytes long a moment ago. A file of another length
 * now is being written by somebody, and refused (-EBUSY). *data is owned by the caller (free()).
 */
int vj_file_read_fd(uint8_t **data, size_t *size, int fd, size_t expected, const char *path,
                    struct vj_error *err);

/* Reads the first `limit` bytes at most of a file that has *length. */
int vj_file_read_head(uint8_t **data, size_t *size, size_t *length, const char *path, size_t limit,
                      struct vj_error *err);

/*
 * A file under construction beside its target, which appears under its own name only when complete.
 * Life: vj_part_open(), vj_part_write()..., then exactly one of vj_part_commit(), vj_part_abort().
 * A failed vj_part_open() or vj_part_commit() leaves nothing behind, neither on disk nor in memory.
 */
struct vj_part {
    FILE *stream;
    char *temporary;  /* owned */
    const char *path; /* borrowed */
};

int vj_part_open(struct vj_part *part, const char *path, struct vj_error *err);
int vj_part_write(struct vj_part *part, const void *bytes, size_t size, struct vj_error *err);
int vj_part_commit(struct vj_part *part, struct vj_error *err);
void vj_part_abort(struct vj_part *part);

/* Refuses what no writer can store: no pixels, or another number of channels than 1 and 3. */
int vj_image_check_writable(const struct vj_image *img, const char *path, struct vj_error *err);

#endif
