/* SPDX-License-Identifier: MIT */
/*
 * Several devices of one kind as one: slot s of the group is slot s / n of device s % n, so that
 * pictures go to the n devices in turn. Nothing is split within a picture, hence every result is
 * what the device that computed it would give alone, and the group goes by its devices' name.
 */
#ifndef VJ_HOST_DEVICE_GROUP_H
#define VJ_HOST_DEVICE_GROUP_H

#include "host/device.h"
#include "host/error.h"

/*
 * Opens `count` devices with the same plan but for the slots, which are dealt out.
 * device:  filled; released with vj_device_close()
 * ops:     of every device, borrowed
 * ordinal: count numbers, 2..VJ_DEVICE_GPU_MAX of them; a number may be there more than once
 * Errors: -EINVAL (count; fewer slots than devices), what ops->open() gives.
 */
int vj_device_group_open(struct vj_device *device, const struct vj_device_ops *ops,
                         const int *ordinal, int count, const struct vj_device_plan *plan,
                         struct vj_error *err);

#endif
