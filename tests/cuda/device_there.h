/* SPDX-License-Identifier: MIT */
/* Whether the program's device can be opened; prints why the tests are skipped where it cannot. */
#ifndef VJ_TESTS_CUDA_DEVICE_THERE_H
#define VJ_TESTS_CUDA_DEVICE_THERE_H

#include "tests/vj_test.h"

#include <errno.h>

#include "host/device.h"

static inline bool device_is_there(const char *selector)
{
    struct vj_device device;
    struct vj_device_plan plan = {.max_width = 16,
                                  .max_height = 16,
                                  .slots = 1,
                                  .threads = 1,
                                  .levels = 1,
                                  .sampling = VJ_SUBSAMPLING_420,
                                  .draws = 1};
    struct vj_error err = {0};
    char note[256];
    const int r = vj_device_open(&device, selector, &plan, note, &err);
    if (r == -ENODEV)
        printf("skipped: %s\n", err.text);
    else if (r)
        fail_msg("%s", err.text);
    else
        vj_device_close(&device);
    return !r;
}

#endif
