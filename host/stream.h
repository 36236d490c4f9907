/* SPDX-License-Identifier: MIT */
/*
 * Worker threads read and decode pictures ahead of the device and hand them over in order through a
 * ring of slots.
 */
#ifndef VJ_HOST_STREAM_H
#define VJ_HOST_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/image.h"
#include "host/sha256.h"

/* A candidate file as it lies on the disk; decoded later, by the device's threads. */
struct vj_file_bytes {
    uint8_t *data; /* NULL: none */
    size_t size;
    int64_t rate; /* bytes of the candidate: of a decoded picture those of its stream, -1 unknown */
};

/* One item in memory. In `files` mode all pictures are RGB; else grey sources stay grey. */
struct vj_loaded {
    struct vj_image_options image; /* how it is read; its candidates are decoded later */
    size_t index;                  /* in the data set, or of the caller's list */
    int slot;
    struct vj_item item;
    struct vj_image source;
    struct vj_image reference; /* data NULL: the data set gives none */
    int channels; /* of the source's file; the source becomes RGB beside candidates that are */
    struct vj_file_bytes candidate[VJ_LEVELS_MAX + 1];
    char source_sha256[VJ_SHA256_HEX]; /* of the source (host/picture_digest.h); of items only */
    struct vj_error error;             /* code != 0: the item failed, nothing else may be used */
    double seconds;                    /* spent reading and decoding */
};

struct vj_stream_options {
    int threads, slots; /* >= 1 */
    struct vj_image_options image;
    size_t max_width, max_height; /* what the device has memory for */
    size_t min_side;              /* smallest side that can be evaluated, e.g. the patch size */
};

struct vj_stream;

/* Reads and decodes number loaded->index of a source into `loaded`, as vj_load_item() and
 * vj_load_picture() do; called in worker threads. */
typedef void vj_load_fn(struct vj_loaded *loaded, const void *source,
                        const struct vj_stream_options *options);

/*
 * Starts the workers on index[0..count-1] of a source, or, index being NULL, on 0..count-1.
 * source, index: borrowed until vj_stream_close()
 */
int vj_stream_open(struct vj_stream **stream, vj_load_fn *load, const void *source,
                   const size_t *index, size_t count, const struct vj_stream_options *options,
                   struct vj_error *err);

/*
 * The next item in order, or NULL after the last one. Owned by the stream; release it when done, in
 * any order. At most `slots` items may be out: the caller releases one before asking for another.
 */
struct vj_loaded *vj_stream_next(struct vj_stream *stream);

/* Frees the item's memory and its slot. */
void vj_stream_release(struct vj_stream *stream, struct vj_loaded *loaded);

/* Stops the workers (finishing what they hold) and frees everything. NULL is harmless. */
void vj_stream_close(struct vj_stream *stream);

/* Reads the head of a JPEG file. Errors: -EINVAL where its quantisation tables are those of another
 * quality than `qf`, -ENOENT where no quality gives them; those of reading it. */
int vj_check_file_quality(const char *path, int qf, struct vj_error *err);

/*
 * Reads a JPEG that candidates are compared with, as vj_image_read(), and checks that it is of the
 * quality that its place in the data set says: candidates' files are checked so too.
 * Errors: -EINVAL for another quality, -ENOENT where no quality gives its tables
 */
int vj_load_anchor(struct vj_image *img, const char *path, int qf,
                   const struct vj_image_options *options, struct vj_error *err);

/*
 * Reads and decodes one item in the calling thread; failures go to loaded->error.
 * loaded: zeroed by the caller except index; released with vj_loaded_free()
 */
void vj_load_item(struct vj_loaded *loaded, const struct vj_dataset *ds,
                  const struct vj_stream_options *options);
void vj_loaded_free(struct vj_loaded *loaded);

/*
 * The same for a picture that belongs to no data set.
 * name: keys its patch positions, as a data set's would
 * anchor_qf: what candidates are compared with: 0 the picture itself, else its JPEG at this QF
 */
void vj_load_picture(struct vj_loaded *loaded, const char *path, const char *name, int anchor_qf,
                     const struct vj_stream_options *options);

/*
 * Decodes the candidate at `qf` of a loaded item: a vj_candidate_fetch whose user is the item. The
 * quality factor is read from a JPEG file's quantisation tables and must be the one its name
 * claims; of pictures that another codec left decoded it is taken from the name. Width and height
 * must be those of the source.
 * img: NULL: only the bytes are wanted, and the picture is not decoded
 */
int vj_loaded_fetch(void *user, int qf, struct vj_image *img, int64_t *bytes, struct vj_error *err);

#endif
