/* SPDX-License-Identifier: MIT */
/* Files that a command makes of pictures, below one folder, each where its picture lies below its
 * own: "sub/photo.jpeg" gives DIR/sub/photo and an ending. */
#ifndef VJ_HOST_OUTPUTS_H
#define VJ_HOST_OUTPUTS_H

#include <stddef.h>
#include <sys/types.h>

#include "host/error.h"
#include "host/pictures.h"

/* A file, whatever the path to it. */
struct vj_file_id {
    dev_t device;
    ino_t inode;
};

struct vj_outputs {
    const struct vj_pictures *pictures;
    const char *folder;
    const char *endings;      /* how files are called after the stem, for messages: "_QQQ.png" */
    char **stem;              /* [pictures->count], owned */
    struct vj_file_id *given; /* [given_count] the pictures that are there, sorted, owned */
    size_t given_count;
};

/*
 * Finds the stems of the pictures, which have to be as different as the pictures. All three
 * arguments are kept, not copied. vj_outputs_free() afterwards, also after an error.
 * Errors: -EEXIST for a picture that is given twice and for two with the same stem; -ENOMEM
 */
int vj_outputs_init(struct vj_outputs *outputs, const struct vj_pictures *pictures,
                    const char *folder, const char *endings, struct vj_error *err);

/* Path of what picture number `index` gives with this ending; the caller frees it.
 * Errors: -ENOMEM */
int vj_outputs_path(char **path, const struct vj_outputs *outputs, size_t index, const char *ending,
                    struct vj_error *err);

/*
 * Makes sure that a file at `path` would replace none of the pictures, by whatever path: what an
 * earlier command left among the pictures is a picture for the next.
 * Errors: -EEXIST
 */
int vj_outputs_check(const struct vj_outputs *outputs, const char *path, struct vj_error *err);

/* Makes the folder and below it the sub-folders that picture number `index` needs.
 * Errors: of vj_make_folder(), -ENOMEM */
int vj_outputs_make_folders(const struct vj_outputs *outputs, size_t index, struct vj_error *err);

/* Harmless on one of zeros. */
void vj_outputs_free(struct vj_outputs *outputs);

#endif
