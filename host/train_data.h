/* SPDX-License-Identifier: MIT */
/*
 * Training data: which pairs a step sees and the patches they consist of.
 *
 * Pictures come from any labelled data set (datasets/dataset.h). Candidates are synthesised by the
 * exact JPEG model from the source, or read from the data set's own files; the pixel-JND map is
 * made as in evaluation. Batch number `step` is a pure function of (configuration, data, step):
 * nothing depends on threads, on what was asked before, or on what is kept in memory, so that a
 * resumed run sees the same batches. What is drawn, and how: host/train_pairs.h.
 */
#ifndef VJ_HOST_TRAIN_DATA_H
#define VJ_HOST_TRAIN_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"
#include "host/error.h"
#include "host/jnd_map.h"
#include "host/options.h"
#include "host/trainer.h"
#include "host/weights.h"

struct vj_train_data;

/*
 * Lists the pictures and looks at the headers of their files (host/train_list.h); none is decoded.
 * config: dataset, root, labels, candidates, jnd..., patches, seed, the pixel-JND options and the
 *         training options (host/options.h); copied
 * ds:     opened with these options; borrowed until vj_train_data_close()
 * item:   [count] indices into ds of the pictures to train with; copied. Batches depend on their
 *         order
 * shape:  of the network: patch_size, patches when config->patches is 0
 * positive: AUTO counts as LOSSY
 * Errors name item and file: no picture, a picture smaller than a patch, an item without a label,
 * files that are not what the data set says.
 */
int vj_train_data_open(struct vj_train_data **data, const struct vj_config *config,
                       const struct vj_dataset *ds, const size_t *item, size_t count,
                       const struct vj_net_shape *shape, enum vj_positive_class positive,
                       struct vj_error *err);
void vj_train_data_close(struct vj_train_data *data);

/* Patches per picture of every batch. */
size_t vj_train_data_patches(const struct vj_train_data *data);

/*
 * Fingerprint of the data set as it was opened for the labels of JND `jnd`, 1..3, where anchors =
 * levels took some from there; "" for others and for config->jnd itself.
 */
const char *vj_train_data_level_fingerprint(const struct vj_train_data *data, int jnd);

/* SHA-256 of the weights of the pixel-JND model that makes the maps; NULL where it has none. */
const char *vj_train_data_jnd_sha256(const struct vj_train_data *data);

/*
 * Assembles the batch of a step, step >= 1, of config->batch references with config->batch_levels
 * quality factors each. The arrays that *batch points to are owned by `data` and stay valid until
 * the next call but one, so that one batch can be made while the one before is worked on. One call
 * at a time, but not always from the same thread.
 * Errors name picture and file, e.g. one that has changed since it was opened. The next call may
 * succeed.
 */
int vj_train_data_batch(struct vj_train_data *data, uint64_t step, struct vj_train_batch *batch,
                        struct vj_error *err);

/* Bytes held, for the log; may be asked at any time from any thread. */
size_t vj_train_data_bytes(const struct vj_train_data *data);

#endif
