/* SPDX-License-Identifier: MIT */
/*
 * 8-bit pictures and their files: JPEG (libjpeg-turbo), PNG (libpng), BMP, PPM/PGM.
 *
 * Files are hostile: every size is checked before memory is taken, decoder warnings count as
 * corruption, and every failure names the file, the field, its value and what to do.
 */
#ifndef VJ_HOST_IMAGE_H
#define VJ_HOST_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/* A picture: height x width x channels, row-major, tightly packed, 8 bits per sample. */
struct vj_image {
    size_t width, height; /* pixels, >= 1 */
    int channels;         /* 1 = grey, 3 = RGB */
    uint8_t *data;        /* owned; vj_image_free() */
};

enum vj_alpha_mode {
    VJ_ALPHA_REFUSE = 0, /* a pixel that is not opaque is an error */
    VJ_ALPHA_BLACK,      /* blend over black */
    VJ_ALPHA_WHITE,      /* blend over white */
};

/* From its name, "refuse", "black" or "white". -EINVAL for another one. */
int vj_alpha_mode_parse(enum vj_alpha_mode *mode, const char *name, struct vj_error *err);

#define VJ_IMAGE_MAX_PIXELS ((size_t)1 << 28) /* 268 Mpixel */

struct vj_image_options {
    enum vj_alpha_mode alpha;
    size_t max_pixels; /* larger pictures are refused before allocation; 0 = VJ_IMAGE_MAX_PIXELS */
};

enum vj_image_format {
    VJ_FORMAT_UNKNOWN = 0,
    VJ_FORMAT_JPEG,
    VJ_FORMAT_PNG,
    VJ_FORMAT_BMP,
    VJ_FORMAT_PNM,
};

/* What a header says, without decoding pixels. */
struct vj_image_info {
    enum vj_image_format format;
    size_t width, height;
    int channels; /* as vj_image_read would return it: 1 or 3 */
    bool alpha;   /* has an alpha channel, whose pixels may all be opaque */
};

/*
 * Reads a whole file into memory (for decoding later, possibly in another thread).
 * max_bytes: larger files are refused; 0 = 2^30.
 * *data is owned by the caller (free()); *size >= 1 on success, an empty file is an error.
 */
int vj_file_read(uint8_t **data, size_t *size, const char *path, size_t max_bytes,
                 struct vj_error *err);

/* Writes a whole file; it appears under its name only when complete. */
int vj_file_write(const char *path, const void *data, size_t size, struct vj_error *err);

/*
 * Decodes a picture file. The format is found from the content; an extension of another known
 * format is an error, so that a renamed file does not pass unseen.
 * img:  filled on success (caller frees with vj_image_free), zeroed on failure
 * opt:  NULL = defaults
 */
int vj_image_read(struct vj_image *img, const char *path, const struct vj_image_options *opt,
                  struct vj_error *err);

/* The same from memory; `name` is what errors call it (and its extension is checked if it has one).
 */
int vj_image_read_memory(struct vj_image *img, const uint8_t *data, size_t size, const char *name,
                         const struct vj_image_options *opt, struct vj_error *err);

/*
 * Reads the header only. -EBADMSG also when the file is too short for the uncompressed samples
 * (BMP, PPM, PGM) that the header announces: a header that cannot be true.
 */
int vj_image_probe(struct vj_image_info *info, const char *path, struct vj_error *err);

/* The same of bytes in memory, which may be no more than the start of the file. */
int vj_image_probe_memory(struct vj_image_info *info, const uint8_t *data, size_t size,
                          const char *name, struct vj_error *err);

/* Allocates an uninitialised picture (overflow-checked). */
int vj_image_alloc(struct vj_image *img, size_t width, size_t height, int channels,
                   struct vj_error *err);

/* Releases the pixels and zeroes the struct; harmless on a zeroed one. */
void vj_image_free(struct vj_image *img);

/* Makes a grey picture RGB by replication; an RGB one is left as it is. */
int vj_image_to_rgb(struct vj_image *img, struct vj_error *err);

/* Writes an 8-bit PNG (grey or RGB), atomically: a temporary file beside it is renamed. */
int vj_image_write_png(const struct vj_image *img, const char *path, struct vj_error *err);

/* Writes a 24-bit bottom-up BMP (grey is replicated). */
int vj_image_write_bmp(const struct vj_image *img, const char *path, struct vj_error *err);

/*
 * JPEG quality factor of a file, read from its quantisation tables (IJG scaling of the Annex K
 * tables, table 0 for luma and, for colour files, table 1 for chroma must both agree).
 * Returns the QF 1..100 in *qf, or -ENOENT with a text when no QF gives these tables. When several
 * QFs give the same tables (none do for the standard tables, 1..100, beyond clamping), the largest.
 */
int vj_jpeg_quality(int *qf, const uint8_t *data, size_t size, const char *name,
                    struct vj_error *err);

/* The same of a file, of which no more is read than it takes. Errors: also those of reading it. */
int vj_jpeg_file_quality(int *qf, const char *path, struct vj_error *err);

/*
 * Width and height in pixels of a BPG picture, from its file's header; the picture is not decoded.
 * Errors: -EBADMSG for another kind of file or a damaged header, what opening the file gives
 */
int vj_bpg_probe(size_t *width, size_t *height, const char *path, struct vj_error *err);

enum vj_subsampling {
    VJ_SUBSAMPLING_444 = 444,
    VJ_SUBSAMPLING_420 = 420,
};

/*
 * Encodes with libjpeg-turbo: baseline, ISLOW DCT, standard Huffman tables, JFIF header, no
 * comments. Grey pictures give one-component files whatever the sampling. *data is owned by the
 * caller (free()).
 */
int vj_jpeg_encode(uint8_t **data, size_t *size, const struct vj_image *img, int qf,
                   enum vj_subsampling sampling, struct vj_error *err);

#endif
