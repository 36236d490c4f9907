/* SPDX-License-Identifier: MIT */
#include "host/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/device_group.h"
#include "host/device_module.h"

/* ---- opening ---- */

static int open_cuda(struct vj_device *device, const struct vj_device_selection *selected,
                     const struct vj_device_plan *plan, struct vj_error *err)
{
    const struct vj_device_module *module;
    struct vj_device_selection s = *selected;
    int r = vj_device_module_gpus(&s, &module, err);
    if (r)
        return r;
    if (s.count > 1)
        return vj_device_group_open(device, module->ops, s.ordinal, s.count, plan, err);
    r = module->ops->open(&device->state, plan, s.ordinal[0], err);
    if (!r)
        device->ops = module->ops;
    return r;
}

static int open_cpu(struct vj_device *device, const struct vj_device_selection *s,
                    const struct vj_device_plan *plan, struct vj_error *err)
{
    if (plan->precision != VJ_PRECISION_FP32)
        return vj_fail(err, -ENOTSUP, "option precision: the CPU computes in fp32 only");
    int r = vj_device_cpu.open(&device->state, plan, s->ordinal[0], err);
    if (!r)
        device->ops = &vj_device_cpu;
    return r;
}

int vj_device_open(struct vj_device *device, const char *selector,
                   const struct vj_device_plan *plan, char note[256], struct vj_error *err)
{
    struct vj_device_selection s;
    struct vj_error why = {0};
    *device = (struct vj_device){0};
    note[0] = '\0';
    int r = vj_device_select(&s, selector, err);
    if (r)
        return r;
    if (s.kind == VJ_DEVICE_CPU)
        return open_cpu(device, &s, plan, err);
    r = open_cuda(device, &s, plan, &why);
    if (!r)
        return 0;
    if (s.kind == VJ_DEVICE_CUDA)
        return vj_fail(err, r, "device %s: %s; use --device cpu", selector, why.text);
    if (plan->precision != VJ_PRECISION_FP32)
        return vj_fail(err, r, "option precision: fp32 only without a GPU; device auto: %s",
                       why.text);
    snprintf(note, 256, "device auto: using the CPU, %.200s", why.text);
    return open_cpu(device, &s, plan, err);
}

void vj_device_close(struct vj_device *device)
{
    if (device->ops)
        device->ops->close(device->state);
    *device = (struct vj_device){0};
}

/* ---- listing ---- */

static void list_gpus(FILE *out, const struct vj_device_module *module)
{
    struct vj_error err = {0};
    int gpus = 0;
    if (module->count(&gpus, &err))
        fprintf(out, "cuda    not usable  %s\n", err.text);
    for (int i = 0; i < gpus; i++) {
        char text[256] = "";
        int r = module->probe(i, text, sizeof(text), &err);
        fprintf(out, "cuda:%-2d %s  %s%s%s\n", i, r ? "not usable" : "usable    ", text,
                r && text[0] ? ": " : "", r ? err.text : "");
    }
}

static void list_cuda(FILE *out)
{
    const struct vj_device_module *module;
    struct vj_error err = {0};
    char path[4096];
    if (vj_device_module_load(&module, path, &err)) {
        fprintf(out, "cuda    %s  %s\n", path[0] ? "not usable" : "not built ", err.text);
        return;
    }
    fprintf(out, "cuda    compiled    %s; %s\n", module->built, path);
    list_gpus(out, module);
}

int vj_device_list(char **text, struct vj_error *err)
{
    struct vj_device_info info = {0};
    size_t size;
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    if (!out)
        return vj_fail(err, -ENOMEM, "out of memory");
    vj_device_cpu.info(NULL, &info);
    fprintf(out, "cpu     usable      %s; %s\n", info.name, info.libraries);
    list_cuda(out);
    bool bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad)
        return 0;
    free(*text);
    *text = NULL;
    return vj_fail(err, -ENOMEM, "out of memory");
}
