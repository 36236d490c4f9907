/* SPDX-License-Identifier: MIT */
#include "host/trained_config.h"

#include <stddef.h>

bool vj_trained_config(struct vj_config *config, const struct vj_weights *weights)
{
    vj_config_defaults(config, VJ_USE_TRAIN);
    return weights->trained &&
           vj_config_parse(config, weights->trained->config, "trained_config", NULL) == 0;
}

int vj_trained_positions(const struct vj_weights *weights)
{
    struct vj_config config;
    return vj_trained_config(&config, weights) && config.positions == VJ_POSITIONS_EVEN
               ? VJ_POSITIONS_EVEN
               : VJ_POSITIONS_UNIFORM;
}
