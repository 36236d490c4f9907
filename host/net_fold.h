/* SPDX-License-Identifier: MIT */
/*
 * The exact foldings of the network (spec network.md, "Exact foldings" 1, 2, 3 and 5) as plain
 * arrays, for every device to lay out as it likes. Sums are formed in double and rounded once.
 *
 * A head's first layer sees three features f_r, f_d and a third, each of F' numbers. For `released`
 * the two halves of every feature are equal, so their rows of weights are added (1) and F' becomes
 * half of what the file has. With W1, W2, W3 the rows of the three parts: quality  W[f_r, f_d, f_r
 * - f_d] = (W1 + W3) f_r + (W2 - W3) f_d                            (2) weight   W[f_r, f_d, f_d *
 * f_j] = W1 f_r + W2 f_d + W3 (f_d * f_j)                         (3)
 * Where no pixel-JND map is seen, the weight head's inputs are those of the quality head, and it
 * folds as (2) does.
 */
#ifndef VJ_HOST_NET_FOLD_H
#define VJ_HOST_NET_FOLD_H

#include <stddef.h>

#include "host/error.h"
#include "host/weights.h"

enum { VJ_NET_HIDDEN = 512 }; /* units of a head's first layer */

enum vj_fold_part {
    VJ_FOLD_QUALITY_REFERENCE = 0, /* W1 + W3 of the quality head, times f_r */
    VJ_FOLD_QUALITY_DISTORTED,     /* W2 - W3, times f_d */
    VJ_FOLD_WEIGHT_REFERENCE,      /* W1 of the weight head, times f_r; without a map W1 + W3 */
    VJ_FOLD_WEIGHT_DISTORTED,      /* W2, times f_d; without a map W2 - W3 */
    VJ_FOLD_WEIGHT_PRODUCT,        /* W3, times f_d * f_j; not there without a map */
    VJ_FOLD_PARTS,
};

/* Parts of a network: VJ_FOLD_PARTS, or without the last one. */
int vj_net_fold_parts(const struct vj_net_shape *shape);

/* Refuses shapes outside struct vj_net_shape's documented ranges, naming field, value and range. */
int vj_net_shape_check(const struct vj_net_shape *shape, struct vj_error *err);

/* Numbers that a patch's map is reduced to, after folding 1: 16,384 released, 512 figure, pw-jnd.
 */
size_t vj_net_features(const struct vj_net_shape *shape);

/* Rows of regressions/block1/weights in the file, before folding: 98,304 released, 1,536 others. */
size_t vj_net_head_inputs(const struct vj_net_shape *shape);

/*
 * One folded matrix of a head's first layer.
 * out: [vj_net_features()][VJ_NET_HIDDEN]
 * Errors: -EINVAL when the weights lack the head's tensor or it has another size.
 */
int vj_net_fold_head(const struct vj_weights *w, enum vj_fold_part part, float *out,
                     struct vj_error *err);

/*
 * Folding 5: g and w of the non-local block in one, v = h Wg Ww + (bg Ww + bw), so that the block
 * is softmax(F) v (the rows of a softmax sum to 1). stream: "extract_feature" or
 * "extract_jnd_feature" kernel: [C][C] in, out; bias: [C]; C = vj_net_last_channels()
 */
int vj_net_fold_value(const struct vj_weights *w, const char *stream, float *kernel, float *bias,
                      struct vj_error *err);

/* The tensor of that name, which must have `count` values; NULL with a text otherwise. */
const float *vj_net_tensor(const struct vj_weights *w, size_t count, struct vj_error *err,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
