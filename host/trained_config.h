/* SPDX-License-Identifier: MIT */
/* What a weight file says of the configuration that it was trained with. */
#ifndef VJ_HOST_TRAINED_CONFIG_H
#define VJ_HOST_TRAINED_CONFIG_H

#include <stdbool.h>

#include "host/options.h"
#include "host/weights.h"

/*
 * config: that of the training, options that the file does not name at their defaults
 * Returns false for weights that were not trained by this program, or whose configuration it
 * cannot read: nothing may be lost for that.
 */
bool vj_trained_config(struct vj_config *config, const struct vj_weights *weights);

/*
 * positions: how the patches lay in training, VJ_POSITIONS_UNIFORM for weights that this program
 * did not train
 * Errors: -EINVAL where a record of training is there and cannot be read, with what is wrong in it:
 * positions taken for others would change every score
 */
int vj_trained_positions(int *positions, const struct vj_weights *weights, struct vj_error *err);

#endif
