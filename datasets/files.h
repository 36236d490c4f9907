/* SPDX-License-Identifier: MIT */
/* Texts, file sizes and folders, for the loaders and for what is written beside pictures. */
#ifndef VJ_DATASETS_FILES_H
#define VJ_DATASETS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/* Formatted string in fresh memory (free()); *out is NULL and -ENOMEM when there is none. */
int vj_text(char **out, struct vj_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Appends to the string in a buffer of `size` bytes, 4 or more; what does not fit is cut off, and
 * the string then ends in "...".
 */
void vj_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The number in a name made of `before`, a number >= 1 written with at least `digits` digits (zeros
 * in front only up to that width, nine digits at most) and `after`; 0 for any other name.
 */
int vj_numbered_name(const char *name, const char *before, int digits, const char *after);

/*
 * first[i] = smallest j with texts[j] equal to texts[i], so first[i] = i unless the text occurs
 * earlier. Errors: -ENOMEM.
 */
int vj_first_equals(size_t *first, char *const *texts, size_t count, struct vj_error *err);

/* 0 and the size of a regular file (links are followed), or a negative errno (-EISDIR for a folder,
 * -EINVAL for a pipe or device). */
int vj_file_size(const char *path, int64_t *size);

bool vj_is_folder(const char *path);

/* Makes a folder in one that is there, if it is not there itself.
 * Errors: -ENOTDIR for a file of that name; reasons of the file system. */
int vj_make_folder(const char *path, struct vj_error *err);

/* -ENOENT or -ENOTDIR, naming the option root, when it is no folder. */
int vj_check_root(const char *root, struct vj_error *err);

/* Whether a name ends as pictures that can be read do: .jpg, .jpeg, .png, .bmp, .ppm, .pgm, in any
 * case. */
bool vj_is_picture_name(const char *name);

/* Names in a folder, sorted bytewise. */
struct vj_names {
    char **name; /* owned */
    size_t count;
    size_t passed_over; /* files that `keep` did not want, and the bytewise first of their names */
    char *first_passed; /* owned; NULL = none */
};

/*
 * Lists a folder without names that start with a dot.
 * keep: NULL, or which names to take (called with the bare name)
 * Errors: -errno of opendir, -E2BIG beyond INT_MAX names, -ENOMEM. names is empty on failure.
 */
int vj_names_list(struct vj_names *names, const char *folder, bool (*keep)(const char *name),
                  struct vj_error *err);

/*
 * Lists the files of a folder and of all its sub-folders by their paths below it, "sub/a.png".
 * Names that start with a dot are passed over, links to files are files, also those that lead
 * nowhere, and links to folders are not followed; `folder` itself may be one.
 * keep, errors: as above; a sub-folder that cannot be listed is an error, too
 */
int vj_names_tree(struct vj_names *names, const char *folder, bool (*keep)(const char *name),
                  struct vj_error *err);

/* "3 files that are no pictures by their endings, notes.txt for one", or "" where all were kept. */
void vj_names_describe_passed(const struct vj_names *names, char *text, size_t size);

void vj_names_free(struct vj_names *names);

#endif
