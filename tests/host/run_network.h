/* SPDX-License-Identifier: MIT */
/* Whole runs of one small network with random weights whose positive class is open, and a constant.
 */
#ifndef VJ_TESTS_RUN_NETWORK_H
#define VJ_TESTS_RUN_NETWORK_H

#include "tests/host/run_rig.h"
#include "tests/host/small_network.h"

enum { PATCHES = 3 };

static char weights[4096];

/* The folder, `count` labelled pictures in it, and the weights. */
static inline void set_up_network(int count, const int32_t *labels)
{
    const struct vj_net_shape shape = {.variant = VJ_VARIANT_FIGURE,
                                       .patch_size = 32,
                                       .patches = PATCHES,
                                       .channels = {16, 16, 16, 16}};
    folder = vj_test_mkdir();
    write_labelled_pictures(count, labels);
    write_network(in_folder(weights, "w.h5"), &shape, 7, VJ_POSITIVE_AUTO, VJ_ORIGIN_RANDOM);
}

static inline int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static inline int run(const char *output, char path[4096], const char *const *pairs,
                      struct vj_run_summary *summary, struct vj_error *err)
{
    char predictors[4200];
    snprintf(predictors, sizeof(predictors), "constant,vpjnd:%s", weights);
    return run_as(output, path, predictors, pairs, false, summary, err);
}

#endif
