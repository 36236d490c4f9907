/* SPDX-License-Identifier: MIT */
/*
 * Windows of photographs, the pictures of `vpjnd synth --photos`: which files, which windows of
 * them, and their pixels.
 *
 * Photographs come in the order of the options; those of a folder in the order of their paths,
 * compared name by name and bytewise. All windows of a photograph lie next to each other. Which
 * windows are cut depends on the seed, the file's bare name and the photograph's size alone, so a
 * photograph gives the same windows wherever it lies and whatever lies beside it.
 */
#ifndef VJ_HOST_SYNTH_PHOTOS_H
#define VJ_HOST_SYNTH_PHOTOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"
#include "host/sha256.h"
#include "host/synth_camera.h"

#define VJ_SYNTH_MARKER "SYNTHETIC.txt" /* in the root of every data set of `vpjnd synth` */

enum {
    VJ_SHRINK_MAX = 3,
    VJ_CONTRAST_FULL = 256,
    VJ_CONTRAST_MIN = 24,  /* of a faded window; drawn evenly from here ... */
    VJ_CONTRAST_MAX = 183, /* ... to here, 9 to 71 percent */
    VJ_CLIPPED_MIN = 26,   /* of 256 samples of an exposed window that are white, or black; ... */
    VJ_CLIPPED_MAX = 154,  /* ... drawn evenly, 10 to 60 percent */
    VJ_PHOTO_DEPTH = 32,   /* folders within folders; ends the search in looping links */
};

struct vj_photo {
    char *path;           /* as it is opened */
    char *name;           /* path below the folder of the option, or the file's bare name */
    size_t width, height; /* pixels */
    char sha256[VJ_SHA256_HEX];
    char *refusal; /* NULL, or why no window is cut from it, with the path in front */
};

/* A rectangle of the photograph reduced by `factor`, then exposed, then lowered in contrast, then
 * changed as cameras do. */
struct vj_window {
    size_t photo; /* index */
    size_t x, y;  /* upper left corner, pixels of the reduced photograph */
    int factor;   /* 1..VJ_SHRINK_MAX */
    int clipped;  /* of 256 samples: white when positive, black when negative, 0: left as it is */
    int contrast; /* VJ_CONTRAST_MIN..VJ_CONTRAST_MAX, or VJ_CONTRAST_FULL: left as it is */
    struct vj_camera camera;
};

struct vj_photos {
    struct vj_photo *photo; /* owned */
    size_t count;
    struct vj_window *window; /* owned */
    size_t windows;
    size_t refused; /* photographs with a refusal */
};

struct vj_window_options {
    size_t width, height; /* of a window, pixels */
    size_t crops;         /* windows per photograph; equal ones are cut once */
    size_t limit;         /* windows in all, the first ones; 0 = all */
    uint64_t seed;
    bool shrink; /* factors 1..VJ_SHRINK_MAX instead of 1 */
    bool fade;   /* every second window of a photograph gets less contrast */
    bool expose; /* the third and fourth of every four get brighter or darker */
    bool camera; /* the last four of every eight go through vj_camera_apply() */
};

/*
 * Adds a file, whatever its name, or the picture files (*.jpg, *.jpeg, *.png, *.bmp, *.ppm, *.pgm
 * in any case) in a folder and the folders below it. Left out are hidden files, folders whose name
 * begins with '_' or '.', and data sets that `vpjnd synth` wrote: pictures cut from pictures of an
 * earlier run would be no photographs. photos is zeroed before the first call.
 * Errors: -ENOENT (no such file, no picture in the folder), -ELOOP, -ENOMEM, -errno of listing.
 */
int vj_photos_add(struct vj_photos *photos, const char *path, struct vj_error *err);

/*
 * Decodes every photograph once and decides on the windows. A photograph that cannot be decoded, is
 * smaller than a window or is the same file as an earlier one gets a refusal.
 * threads: photographs decoded at the same time; does not change the outcome
 * Errors: -ENOMEM. No windows at all is no error.
 */
int vj_photos_plan(struct vj_photos *photos, const struct vj_window_options *opt, int threads,
                   struct vj_error *err);

/* Harmless on a zeroed struct. */
void vj_photos_free(struct vj_photos *photos);

/*
 * Reads a photograph anew, as RGB (grey is replicated).
 * img: freed by the caller; zeroed on failure
 * Errors: those of vj_image_read(); -ESTALE when the file is not what vj_photos_plan() saw.
 */
int vj_photo_read(struct vj_image *img, const struct vj_photo *photo, struct vj_error *err);

/*
 * Copies a window, or reduces it: every pixel is the mean of factor x factor pixels, per channel,
 * halves rounded up. Then, where clipped is not 0, all samples of all channels are raised by one
 * number, the least with which at least clipped/256 of them are 255 or would be more, and more is
 * cut to 255; or they are lowered so towards 0. Then, below full contrast, v becomes m + (v - m)
 * contrast/256 with the mean m of the channel in the window, both rounded to the nearest integer,
 * halves up. Then vj_camera_apply() does its steps.
 * window: its pixels are allocated and 3-channel; its size is that of the window
 * photo:  RGB; holds the window
 * Errors: those of vj_camera_apply()
 */
int vj_window_cut(struct vj_image *window, const struct vj_image *photo,
                  const struct vj_window *where, struct vj_error *err);

#endif
