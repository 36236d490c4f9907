/* SPDX-License-Identifier: MIT */
/*
 * The pictures of a training run in memory: source, references, candidates, pixel-JND map. As many
 * are kept as a number of bytes allows, the least recently used go first; what is kept changes no
 * number.
 */
#ifndef VJ_HOST_TRAIN_PICTURES_H
#define VJ_HOST_TRAIN_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/jpeg_plan.h"
#include "host/options.h"
#include "host/stream.h"

enum { VJ_TRAIN_LEVELS_MAX = 3 }; /* JND levels that can be anchors */

/* What the candidates of a picture are compared with at one JND level. */
struct vj_train_level {
    int anchor_qf; /* 0: the source itself */
    char *path;    /* owned; file of the reference, or NULL: made from the source */
    int boundary;  /* the JND: lossy where qf <= boundary */
    /* importance factor's SSIM of candidate qf to the candidate at the boundary; NaN: not yet */
    double *ssim; /* owned, [VJ_QF_MAX + 1]; NULL unless the loss wants it */
};

/* One picture; loaded == false: only what the data set says of it. */
struct vj_train_picture {
    size_t item; /* index in the data set */
    char *name;  /* owned, for error texts */
    struct vj_train_level level[VJ_TRAIN_LEVELS_MAX];
    int levels; /* >= 1 */
    bool loaded;
    uint64_t used; /* when it was last asked for */
    size_t bytes;  /* held while loaded */
    size_t width, height;
    int channels;                            /* of sources and candidates: 1 or 3 */
    struct vj_loaded file;                   /* source; candidate files in `files` mode */
    struct vj_jpeg_plan *plan;               /* synthesised candidates, or NULL */
    uint8_t *reference[VJ_TRAIN_LEVELS_MAX]; /* [height][width][channels] */
    uint8_t *map;                            /* [height][width] */
};

struct vj_train_pictures;

/*
 * Lists the pictures and checks their headers; nothing is decoded.
 * config, ds, item, count: as for vj_train_data_open(); side: smallest side a picture may have
 */
int vj_train_pictures_open(struct vj_train_pictures **p, const struct vj_config *config,
                           const struct vj_dataset *ds, const size_t *item, size_t count,
                           size_t side, struct vj_error *err);
void vj_train_pictures_close(struct vj_train_pictures *p);

/* Picture i; its pixels are there only after vj_train_pictures_load(). */
const struct vj_train_picture *vj_train_picture_at(const struct vj_train_pictures *p, size_t i);

/* Largest sides of all pictures. */
void vj_train_pictures_sides(const struct vj_train_pictures *p, size_t *width, size_t *height);

/* Loads the pictures wanted[0..count-1], on several threads, and keeps them until the next call. */
int vj_train_pictures_load(struct vj_train_pictures *p, const size_t *wanted, size_t count,
                           struct vj_error *err);

/* Bytes held now. */
size_t vj_train_pictures_bytes(const struct vj_train_pictures *p);

/*
 * Pixels of a whole candidate of a loaded picture, [height][width][channels]; owned by the caller
 * (vj_image_free).
 */
int vj_train_picture_candidate(const struct vj_train_picture *picture, int qf,
                               struct vj_jpeg_scratch *scratch, struct vj_image *img,
                               struct vj_error *err);

/*
 * SSIM on Y of the candidates at qf and at the level's boundary, remembered (host/quality.h).
 * Calls for one picture must not overlap.
 */
int vj_train_picture_ssim(struct vj_train_pictures *p, size_t i, int level, int qf,
                          struct vj_jpeg_scratch *scratch, double *ssim, struct vj_error *err);

#endif
