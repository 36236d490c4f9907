/* SPDX-License-Identifier: MIT */
#include "cuda/module.h"

#include "cuda/device_internal.h"
#include "cuda/train.h"

#define EXPORTED __attribute__((visibility("default")))

static const struct vj_device_module module = {
    .built = VJ_CUDA_BUILT,
    .ops = &vj_device_cuda,
    .trainer = &vj_trainer_cuda,
    .count = vj_cuda_count,
    .probe = vj_cuda_probe,
};

EXPORTED int vj_device_module_api(void)
{
    return VJ_DEVICE_API;
}

EXPORTED const struct vj_device_module *vj_device_module(int api)
{
    return api == VJ_DEVICE_API ? &module : NULL;
}
