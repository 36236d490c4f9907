/* SPDX-License-Identifier: MIT */
/*
 * What the CUDA module exports. The module is a shared object (vpjnd_cuda.so) that the program
 * loads at run time, so that one program runs with and without a GPU, a driver or CUDA's libraries.
 *
 * The loader (host/device_module.c) looks the two functions up by name, checks the version first,
 * and only then asks for the table. Nothing in the module refers to symbols of the program.
 */
#ifndef VJ_CUDA_MODULE_H
#define VJ_CUDA_MODULE_H

#include <stddef.h>

#include "host/device.h"
#include "host/error.h"
#include "host/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VJ_MODULE_FILE       "vpjnd_cuda.so"
#define VJ_MODULE_API_SYMBOL "vj_device_module_api"
#define VJ_MODULE_SYMBOL     "vj_device_module"

struct vj_device_module {
    const char *built; /* "CUDA 13.0, cuDNN 9.19.0, sm_80 sm_90 compute_90" */
    const struct vj_device_ops *ops;
    const struct vj_trainer_ops *trainer;

    /*
     * Number of GPUs that the driver shows, >= 1.
     * -ENODEV with the reason (no driver, driver too old, no GPU).
     */
    int (*count)(int *count, struct vj_error *err);

    /*
     * Runs a kernel on one GPU and reads its result back.
     * text: what the GPU is ("NVIDIA H200, 139 GiB, compute capability 9.0"), also after a failure
     *       as far as known; cut off at `size`, always ended
     * -ENODEV (no such GPU, no code for it), -EIO (wrong result, or the device failed).
     */
    int (*probe)(int ordinal, char *text, size_t size, struct vj_error *err);
};

/* The version of the interface, VJ_DEVICE_API, that the module was built with. */
int vj_device_module_api(void);

/* The module's table, constant; NULL when `api` is not the version it was built with. */
const struct vj_device_module *vj_device_module(int api);

#ifdef __cplusplus
}
#endif

#endif
