/* SPDX-License-Identifier: MIT */
/* The pictures that a command line names, by themselves or by their folders. */
#ifndef VJ_HOST_PICTURES_H
#define VJ_HOST_PICTURES_H

#include <stddef.h>

#include "host/error.h"

struct vj_picture {
    char *path;       /* owned */
    const char *name; /* in it: the file's, or of a picture of a folder its path below that */
};

/* Zero-initialise before use; vj_pictures_free() afterwards. */
struct vj_pictures {
    struct vj_picture *picture;
    size_t count, capacity;
};

/*
 * Adds a picture, which need not be there, or those of a folder and its sub-folders, with the names
 * and in the order that the data set `folder` gives them. Files of a folder that are no pictures
 * are counted on standard error.
 * Errors: -ENOENT for a folder without pictures; those of vj_names_tree(); -ENOMEM
 */
int vj_pictures_add(struct vj_pictures *pictures, const char *argument, struct vj_error *err);

/* Prints on standard error why a picture failed: `error`, with the path where it does not begin
 * with that. */
void vj_picture_show_failure(const char *path, const char *error);

void vj_pictures_free(struct vj_pictures *pictures);

#endif
