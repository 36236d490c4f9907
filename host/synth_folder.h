/* SPDX-License-Identifier: MIT */
/*
 * The folder that `vpjnd synth` writes: MCL-JCI's layout and SYNTHETIC.txt, which says what the
 * pictures are and from which settings they were made (datasets/synthetic.c reads it). A folder is
 * filled again only with the same settings, so that no set is a mixture of two.
 */
#ifndef VJ_HOST_SYNTH_FOLDER_H
#define VJ_HOST_SYNTH_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"
#include "host/synth_photos.h"

enum { VJ_SYNTH_COUNT_MAX = 9999 };

/* What decides the content of the files. Pictures 1..procedural are painted, the rest are windows.
 */
struct vj_synth_set {
    const char *folder;
    size_t procedural;
    size_t width, height;
    uint64_t seed;
    const struct vj_photos *photos; /* NULL without --photos */
    size_t crops;                   /* asked for, per photograph */
    bool shrink, fade, expose, camera;
    bool files; /* the candidates are written too; not part of the settings */
};

/* Pictures in all. */
size_t vj_synth_count(const struct vj_synth_set *set);

/*
 * Makes the folder, or checks that it holds the same set, and leaves the marker and the empty
 * layout in it. Errors: -EEXIST (holds something else), -errno.
 */
int vj_synth_prepare(const struct vj_synth_set *set, struct vj_error *err);

/*
 * Writes one picture, its label and, with set->files, its 100 candidates.
 * id:  1..count
 * jnd: 1..99, or VJ_QF_UNKNOWN
 */
int vj_synth_write(const struct vj_synth_set *set, const struct vj_image *picture, size_t id,
                   int jnd, struct vj_error *err);

#endif
