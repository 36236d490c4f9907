/* SPDX-License-Identifier: MIT */
#include "host/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

/* "cpu", "cuda" or "cuda:N" into a kind and an ordinal; "auto" is the caller's. */
static int parse_selector(const char *selector, char kind[8], int *ordinal, struct vj_error *err)
{
    const char *colon = strchr(selector, ':');
    size_t length = colon ? (size_t)(colon - selector) : strlen(selector);
    *ordinal = 0;
    bool known = (length == 3 && strncmp(selector, "cpu", 3) == 0) ||
                 (length == 4 && strncmp(selector, "cuda", 4) == 0);
    if (known && colon) {
        char *end;
        long n = strtol(colon + 1, &end, 10);
        known = end != colon + 1 && *end == '\0' && n >= 0 && n < 1024;
        *ordinal = (int)n;
    }
    if (!known)
        return vj_fail(err, -EINVAL, "device '%s' is not auto, cpu, cuda or cuda:N", selector);
    memcpy(kind, selector, length);
    kind[length] = '\0';
    return 0;
}

static const char no_cuda[] = "this build has no CUDA device";

int vj_device_open(struct vj_device *device, const char *selector,
                   const struct vj_device_plan *plan, char note[256], struct vj_error *err)
{
    char kind[8];
    int ordinal;
    *device = (struct vj_device){0};
    note[0] = '\0';
    if (strcmp(selector, "auto") == 0) {
        snprintf(note, 256, "device auto: using the CPU, %s", no_cuda);
        selector = "cpu";
    }
    int r = parse_selector(selector, kind, &ordinal, err);
    if (r)
        return r;
    if (strcmp(kind, "cuda") == 0)
        return vj_fail(err, -ENODEV, "device %s: %s; use --device cpu", selector, no_cuda);
    r = vj_device_cpu.open(&device->state, plan, ordinal, err);
    if (!r)
        device->ops = &vj_device_cpu;
    return r;
}

void vj_device_close(struct vj_device *device)
{
    if (device->ops)
        device->ops->close(device->state);
    *device = (struct vj_device){0};
}

int vj_device_list(char **text, struct vj_error *err)
{
    struct vj_device_info info = {0};
    vj_device_cpu.info(NULL, &info);
    if (asprintf(text, "cpu   usable      %s; %s\ncuda  not built   %s\n", info.name,
                 info.libraries, no_cuda) < 0) {
        *text = NULL;
        return vj_fail(err, -ENOMEM, "out of memory");
    }
    return 0;
}
