/* SPDX-License-Identifier: MIT */
/*
 * JPEG candidates without a codec: a picture's forward transform is computed once, and the decoded
 * pixels and the file size at any quality factor follow from it, byte for byte what libjpeg-turbo's
 * encoder and decoder give with their defaults (host/jpeg_model.h has the arithmetic).
 *
 * A loaded plan is read-only: any number of threads may use one at the same time, each with a
 * scratch of its own. Loading, decoding and sizing allocate nothing.
 */
#ifndef VJ_HOST_JPEG_PLAN_H
#define VJ_HOST_JPEG_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"
#include "host/jpeg_model.h"

struct vj_jpeg_plan;    /* transform coefficients of one picture, all components */
struct vj_jpeg_scratch; /* work space of one thread */

/*
 * Takes memory for pictures up to max_width x max_height pixels; the plan is empty until it is
 * loaded. max_width, max_height: 1..VJ_JPEG_MAX_SIDE channels, sampling:    the most demanding
 * expected; 3 and VJ_SUBSAMPLING_444 hold everything *plan is owned by the caller,
 * vj_jpeg_plan_free(). Errors: -EINVAL, -ENOMEM.
 */
int vj_jpeg_plan_reserve(struct vj_jpeg_plan **plan, size_t max_width, size_t max_height,
                         int channels, enum vj_subsampling sampling, struct vj_error *err);

/*
 * Replaces the plan's picture. Pixels are copied from, not kept.
 * sampling: of the candidates; ignored for a grey picture
 * Errors: -EINVAL; -ENOSPC when the picture is wider than reserved or has more blocks. The plan is
 * empty after an error.
 */
int vj_jpeg_plan_load(struct vj_jpeg_plan *plan, const struct vj_image *img,
                      enum vj_subsampling sampling, struct vj_error *err);

/* Reserves just enough for one picture and loads it. */
int vj_jpeg_plan_create(struct vj_jpeg_plan **plan, const struct vj_image *img,
                        enum vj_subsampling sampling, struct vj_error *err);

/* NULL is harmless. */
void vj_jpeg_plan_free(struct vj_jpeg_plan *plan);

/* Geometry of the loaded picture; zero blocks when the plan is empty. Valid until the next load. */
const struct vj_jpeg_geometry *vj_jpeg_plan_geometry(const struct vj_jpeg_plan *plan);

/*
 * Coefficients, blocks x 64, in natural order within a block, blocks of a component in raster order
 * from geometry->component[c].first; the 2-D DCT of T.81 scaled by 8, not quantised. Owned by the
 * plan.
 */
const int16_t *vj_jpeg_plan_coefficients(const struct vj_jpeg_plan *plan);

/* Work space for pictures up to the given size; arguments and errors as vj_jpeg_plan_reserve(). */
int vj_jpeg_scratch_create(struct vj_jpeg_scratch **scratch, size_t max_width, size_t max_height,
                           int channels, enum vj_subsampling sampling, struct vj_error *err);

/* NULL is harmless. */
void vj_jpeg_scratch_free(struct vj_jpeg_scratch *scratch);

/* Bytes that the two calls take for these arguments, for a memory budget; 0 for invalid arguments.
 */
size_t vj_jpeg_plan_bytes(size_t max_width, size_t max_height, int channels,
                          enum vj_subsampling sampling);
size_t vj_jpeg_scratch_bytes(size_t max_width, size_t max_height, int channels,
                             enum vj_subsampling sampling);

/*
 * Decoded pixels of the whole picture at a quality factor.
 * qf:  1..100
 * out: height x width x channels, written
 * Errors, here and below: -EINVAL (qf, region, empty plan), -ENOSPC (scratch made for less).
 */
int vj_jpeg_plan_decode(const struct vj_jpeg_plan *plan, int qf, uint8_t *out,
                        struct vj_jpeg_scratch *scratch, struct vj_error *err);

/*
 * Decoded pixels of a window: the same as that part of the whole picture, but only the blocks that
 * it depends on are computed.
 * y, x: top left corner; h, w: >= 1; the window must lie within the picture
 * out:  h x w x channels, written
 */
int vj_jpeg_plan_window(const struct vj_jpeg_plan *plan, int qf, size_t y, size_t x, size_t h,
                        size_t w, uint8_t *out, struct vj_jpeg_scratch *scratch,
                        struct vj_error *err);

/*
 * Decoded pixels of many square windows, which may overlap: a block that several of them need is
 * computed once, and patches that cover the picture more than once are copied from the whole of it.
 * origin: count x 2, y and x of each top left corner
 * side:   pixels; every window must lie within the picture
 * out:    count x side x side x channels, written
 */
int vj_jpeg_plan_patches(const struct vj_jpeg_plan *plan, int qf, const int32_t (*origin)[2],
                         size_t count, size_t side, uint8_t *out, struct vj_jpeg_scratch *scratch,
                         struct vj_error *err);

enum vj_jpeg_coding {
    VJ_JPEG_CODING_STANDARD = 0, /* Annex K Huffman tables: what vj_jpeg_encode() writes */
    VJ_JPEG_CODING_OPTIMAL,      /* tables made for the picture: what `jpegtran -optimize` writes */
};

/* Exact size in bytes of the baseline JFIF file at a quality factor. */
int vj_jpeg_plan_size(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                      int64_t *bytes, struct vj_jpeg_scratch *scratch, struct vj_error *err);

/*
 * The file itself.
 * out:      at most `capacity` bytes, written
 * *bytes:   size of the file, also when it does not fit (-ENOSPC; `out` then holds no usable file)
 */
int vj_jpeg_plan_file(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                      uint8_t *out, size_t capacity, int64_t *bytes,
                      struct vj_jpeg_scratch *scratch, struct vj_error *err);

/*
 * The file at `path`, under its name only when it is complete.
 * *bytes: its size
 * Errors: as above, -ENOMEM, and those of the file system.
 */
int vj_jpeg_plan_write(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                       const char *path, int64_t *bytes, struct vj_jpeg_scratch *scratch,
                       struct vj_error *err);

#endif
