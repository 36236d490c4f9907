/* SPDX-License-Identifier: MIT */
/*
 * ResJND, the network behind pixel-JND model resjnd24, with weights of the user's own.
 *
 * Four 3x3 convolutions without bias, zeros around the picture: in (3 to W channels), conv1 and
 * conv2 (W to W), out (W to 3), W = 128 as published. With x = RGB / 255, rounded to nothing:
 *
 *     a = in(x);  h = a;  25 times: h = conv2(relu(conv1(relu(h)))) + relu(a)
 *     CPL = out(relu(h)) + x;  JND = root mean square over R, G, B of 255 |CPL - x|
 *
 * This is our reading of a recursion whose rectifiers work in place, so that the skip adds relu(a)
 * and not a. CPL is the "critical perceptual lossless" picture; it is not clipped.
 *
 * Weight file (HDF5): root attributes schema = "vpjnd-resjnd-weights", schema_version = 1, width,
 * source (name of the imported file), source_sha256, sha256 (over the tensors, as in
 * host/weights.h), program_version; float32 datasets in, conv1, conv2, out, each
 * [row][column][input channel][output channel].
 */
#ifndef VJ_HOST_RESJND_H
#define VJ_HOST_RESJND_H

#include <stddef.h>

#include "host/error.h"
#include "host/jnd_map.h"
#include "host/sha256.h"
#include "host/weights.h"

enum {
    VJ_RESJND_RECURSIONS = 25,
    VJ_RESJND_RADIUS =
        2 * VJ_RESJND_RECURSIONS + 2, /* pixels of the picture that reach one value */
    VJ_RESJND_WIDTH_MAX = 1024,
};

enum vj_resjnd_layer { VJ_RESJND_IN, VJ_RESJND_CONV1, VJ_RESJND_CONV2, VJ_RESJND_OUT };
enum { VJ_RESJND_LAYERS = 4 };

struct vj_resjnd_file {
    size_t width;
    struct vj_weights weights; /* tensors in the order of the layers, and their sha256; no more */
    char source[256];
    char source_sha256[VJ_SHA256_HEX];
};

/*
 * Takes the four tensors, all zeros. file: zeroed by the caller, and in all functions below to be
 * released with vj_resjnd_file_free() whatever the outcome. -EINVAL: width not 1..1024.
 */
int vj_resjnd_file_alloc(struct vj_resjnd_file *file, size_t width, struct vj_error *err);

/*
 * Takes the weights from a PyTorch file (host/pth.h) that holds them and nothing else. They are
 * told by their shapes, [W, 3, 3, 3], twice [W, W, 3, 3] (the first is conv1), [3, W, 3, 3], so
 * that names do not matter; W = 3, where that does not tell them apart, is refused.
 */
int vj_resjnd_import(struct vj_resjnd_file *file, const char *path, struct vj_error *err);

/* Shapes are checked before memory is taken, then the recorded SHA-256; values must be finite. */
int vj_resjnd_file_read(struct vj_resjnd_file *file, const char *path, struct vj_error *err);

/*
 * Writes atomically (temporary file + rename), after hashing the tensors. A file of another kind is
 * not replaced (-EEXIST).
 */
int vj_resjnd_file_write(struct vj_resjnd_file *file, const char *path, struct vj_error *err);

void vj_resjnd_file_free(struct vj_resjnd_file *file);

/* ---- the network ---- */

/* Ready to run; constant, so that any number of threads may use it at once. */
struct vj_resjnd;

/* net: out; owned by the caller, vj_resjnd_free(). The file may go afterwards. */
int vj_resjnd_create(struct vj_resjnd **net, const struct vj_resjnd_file *file,
                     struct vj_error *err);
void vj_resjnd_free(struct vj_resjnd *net);
const char *vj_resjnd_sha256(const struct vj_resjnd *net); /* hex; of the tensors */

/*
 * Bytes of workspace for pictures of this width: about 1 KiB W for each of its pixels, whatever
 * the height. 0 when the number does not fit a size_t.
 */
size_t vj_resjnd_workspace(const struct vj_resjnd *net, size_t width, int threads);

/*
 * The map of job->picture; called through vj_jnd_run(). Convolutions run on tiles of 32x32 pixels
 * and their exact surroundings, whatever the size of the picture and the number of threads, so that
 * values depend on neither.
 */
int vj_resjnd_map(const struct vj_resjnd *net, const struct vj_jnd_job *job,
                  struct vj_jnd_workspace *ws, struct vj_error *err);

#endif
