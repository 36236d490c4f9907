/* SPDX-License-Identifier: MIT */
/* The images of a run, as far as they are known before any is evaluated. */
#ifndef VJ_HOST_IMAGE_LIST_H
#define VJ_HOST_IMAGE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/image.h"

/* What is known of the images before any is evaluated; arrays of `count`, owned by the caller. */
struct vj_image_list {
    size_t count;
    size_t *item; /* index of each image in the data set */
    char **name;
    int32_t *id, *fold, *qf_true, *anchor_qf;
    double *qf_exact;
    float *sur; /* [count][100], NaN where there are no subjects' data; NULL when nowhere */
    int32_t *other_fold, *other_qf_true; /* [others] of items left out by ids, part, limit */
    size_t others;
    size_t max_width, max_height; /* of those whose header could be read, max_pixels at most */
    size_t widest, tallest;       /* the first images that have them; 0 when none could be read */
};

/*
 * Asks the data set for its items and reads the headers of their pictures.
 * ids:   numbers of the items wanted, as in the option `ids`; "" = all
 * part:  "I/N", only the I-th of N neighbouring shares of these, 1 <= I <= N, which differ by one
 *        item at most; "" = all
 * limit: only the first so many of these; 0 = all
 * max_pixels: larger pictures, which reading refuses, do not count in max_width and max_height
 * Errors: -EINVAL, naming the option, for ids that are no list or name no item, for a part that is
 *         none or has no item; those of the data set; -ENOMEM
 */
int vj_image_list_read(struct vj_image_list *list, const struct vj_dataset *ds, const char *ids,
                       const char *part, int limit, size_t max_pixels, struct vj_error *err);
void vj_image_list_free(struct vj_image_list *list);

/* Whether a picture is evaluated: not longer than JPEG takes, nor larger than max_pixels (0: the
 * program's limit). */
bool vj_size_taken(const struct vj_image_info *info, size_t max_pixels);

/*
 * Adds to the text of an error of vj_engine_open() which pictures set the size that it planned for,
 * where the text is about that size. Returns err->code.
 * width, height:   as given to vj_engine_open()
 * widest, tallest: names of pictures that have them, perhaps the same
 * err:             not NULL
 */
int vj_name_largest(size_t width, size_t height, const char *widest, const char *tallest,
                    struct vj_error *err);

/*
 * Adds to the text of an error that misses labels why the first broken item of the data set is
 * broken, if one is: its label may be what is missing. Returns err->code.
 * err: not NULL
 */
int vj_name_first_broken(const struct vj_dataset *ds, struct vj_error *err);

#endif
