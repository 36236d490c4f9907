/* SPDX-License-Identifier: MIT */
/*
 * Which devices a selector names, and the CUDA module behind them: what opening a device for
 * evaluation (host/device.c) and one for training (host/trainer.c) share.
 */
#ifndef VJ_HOST_DEVICE_MODULE_H
#define VJ_HOST_DEVICE_MODULE_H

#include <stdbool.h>

#include "cuda/module.h"
#include "host/device.h"
#include "host/error.h"

enum vj_device_kind { VJ_DEVICE_AUTO, VJ_DEVICE_CPU, VJ_DEVICE_CUDA };

struct vj_device_selection {
    enum vj_device_kind kind;
    bool all; /* every GPU; the list is empty until vj_device_module_gpus() */
    int ordinal[VJ_DEVICE_GPU_MAX];
    int count;
};

/* -EINVAL with the known forms when the selector is none of them. */
int vj_device_select(struct vj_device_selection *s, const char *selector, struct vj_error *err);

/*
 * Finds, loads and checks the module.
 * path: filled as far as it was found
 * Every failure is -ENODEV with one line that says what is missing.
 */
int vj_device_module_load(const struct vj_device_module **module, char path[4096],
                          struct vj_error *err);

/*
 * The same, and probes the GPUs of the selection, `all` replaced by their list. A module that is
 * not named by VPJND_CUDA_MODULE is loaded only where there is an NVIDIA driver. -ENODEV (no
 * module, no such GPU), or what the probe of a GPU says.
 */
int vj_device_module_gpus(struct vj_device_selection *s, const struct vj_device_module **module,
                          struct vj_error *err);

#endif
