/* SPDX-License-Identifier: MIT */
#include "host/trained_config.h"

#include <errno.h>
#include <stddef.h>

bool vj_trained_config(struct vj_config *config, const struct vj_weights *weights)
{
    vj_config_defaults(config, VJ_USE_TRAIN);
    return weights->trained &&
           vj_config_parse(config, weights->trained->config, "trained_config", NULL) == 0;
}

int vj_trained_positions(int *positions, const struct vj_weights *weights, struct vj_error *err)
{
    struct vj_config config;
    *positions = VJ_POSITIONS_UNIFORM;
    vj_config_defaults(&config, VJ_USE_TRAIN);
    if (!weights->trained)
        return 0;
    int r = vj_config_parse(&config, weights->trained->config, "attribute trained_config", err);
    if (r == -ENOMEM)
        return r;
    if (r)
        return vj_fail_prefix(err, "positions = uniform or even must be given, as the weights' "
                                   "record of training cannot be read");
    if (config.positions == VJ_POSITIONS_EVEN)
        *positions = VJ_POSITIONS_EVEN;
    return 0;
}
