/* SPDX-License-Identifier: MIT */
/*
 * The pictures of training in memory: whatever patches are cut from, of as many pictures as the
 * option `cache` allows, the least recently used given up first. A picture that is not there is
 * read again; what comes out never depends on it.
 *
 * Per picture of W x H pixels:
 *     candidates = synthesize   transform coefficients (vj_jpeg_plan_bytes) and, where an anchor is
 *                               the source itself, 3 W H (grey: W H)
 *     candidates = files        the bytes of all candidate files, and 3 W H for each anchor
 *     pixel-JND map, where one  W H; with jnd_source = anchor, for each anchor
 *     is seen
 */
#ifndef VJ_HOST_TRAIN_PICTURES_H
#define VJ_HOST_TRAIN_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/options.h"
#include "host/train_list.h"

struct vj_train_pictures;

/*
 * Nothing is read yet.
 * ds, list: borrowed until vj_train_pictures_close()
 * patches, patch_size: of every call that cuts patches
 * maps: whether pixel-JND maps are made; without them vj_train_map_patches() must not be called
 * threads: pictures read at the same time; number of threads that may cut patches
 */
int vj_train_pictures_open(struct vj_train_pictures **pictures, const struct vj_config *config,
                           const struct vj_dataset *ds, const struct vj_train_list *list,
                           size_t patches, size_t patch_size, bool maps, int threads,
                           struct vj_error *err);
void vj_train_pictures_close(struct vj_train_pictures *pictures); /* NULL is harmless */

/*
 * Makes sure that the pictures which[0..count-1] are in memory until vj_train_pictures_drop(); the
 * same picture may be named twice. Not while another thread is in any of these functions.
 * On failure none is held.
 */
int vj_train_pictures_hold(struct vj_train_pictures *pictures, const size_t *which, size_t count,
                           struct vj_error *err);
void vj_train_pictures_drop(struct vj_train_pictures *pictures);

/*
 * Patches of a held picture. Threads of an OpenMP team of at most `threads` may call these at the
 * same time.
 * origin: [patches] (y, x), within the picture
 * out:    reference, candidate: [patches][patch_size][patch_size][3]; map: [patches][S][S]; written
 */
int vj_train_reference_patches(struct vj_train_pictures *pictures, size_t index, size_t anchor,
                               const int32_t (*origin)[2], uint8_t *out, struct vj_error *err);
int vj_train_candidate_patches(struct vj_train_pictures *pictures, size_t index, int qf,
                               const int32_t (*origin)[2], uint8_t *out, struct vj_error *err);
void vj_train_map_patches(struct vj_train_pictures *pictures, size_t index, size_t anchor,
                          const int32_t (*origin)[2], uint8_t *out);

/*
 * SSIM (host/quality.h) of whole candidates of a held picture against the candidate at the anchor's
 * boundary. Threads: as above.
 * qf, ssim: [count]
 */
int vj_train_boundary_ssim(struct vj_train_pictures *pictures, size_t index, size_t anchor,
                           const int *qf, size_t count, double *ssim, struct vj_error *err);

/* SHA-256 of the weights of the pixel-JND model; NULL where it has none. */
const char *vj_train_pictures_jnd_sha256(const struct vj_train_pictures *pictures);

/* Bytes held now; may be asked at any time from any thread. */
size_t vj_train_pictures_bytes(const struct vj_train_pictures *pictures);

#endif
