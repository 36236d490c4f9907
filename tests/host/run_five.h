/* SPDX-License-Identifier: MIT */
/* Whole runs of a constant and the small network on five pictures, labelled 20, 30 to 60. */
#ifndef VJ_TESTS_RUN_FIVE_H
#define VJ_TESTS_RUN_FIVE_H

#include "tests/host/run_network.h"

enum { PICTURES = 5 };

static inline int set_up(void **state)
{
    (void)state;
    static const int32_t labels[PICTURES] = {20, 30, 40, 50, 60};
    set_up_network(PICTURES, labels);
    return 0;
}

static inline struct vj_results *run_and_open(const char *output, const char *const *pairs)
{
    char predictors[4200];
    snprintf(predictors, sizeof(predictors), "constant,vpjnd:%s", weights);
    return open_run(output, predictors, pairs);
}

/* Text attribute of an object; freed by the caller. */
static inline char *text_of(struct vj_results *r, const char *object, const char *name)
{
    char *text;
    struct vj_error err = {0};
    if (vj_results_get_text(r, object, name, &text, &err))
        fail_msg("%s", err.text);
    return text;
}

#endif
