/* SPDX-License-Identifier: MIT */
#include "host/trainer.h"

#include <errno.h>
#include <stdio.h>

#include "host/device_module.h"

static int open_cuda(struct vj_trainer *t, const struct vj_device_selection *selected,
                     const struct vj_trainer_plan *plan, struct vj_error *err)
{
    const struct vj_device_module *module;
    struct vj_device_selection s = *selected;
    int r = vj_device_module_gpus(&s, &module, err);
    if (r)
        return r;
    if (s.count > 1)
        return vj_fail(err, -EINVAL, "%d GPUs, training uses one; name it as cuda:N", s.count);
    r = module->trainer->open(&t->state, plan, s.ordinal[0], err);
    if (!r)
        t->ops = module->trainer;
    return r;
}

static int open_cpu(struct vj_trainer *t, const struct vj_trainer_plan *plan, int ordinal,
                    struct vj_error *err)
{
    int r = vj_trainer_cpu.open(&t->state, plan, ordinal, err);
    if (!r)
        t->ops = &vj_trainer_cpu;
    return r;
}

int vj_trainer_open(struct vj_trainer *t, const char *selector, const struct vj_trainer_plan *plan,
                    char note[256], struct vj_error *err)
{
    struct vj_device_selection s;
    struct vj_error why = {0};
    *t = (struct vj_trainer){0};
    note[0] = '\0';
    int r = vj_device_select(&s, selector, err);
    if (r)
        return r;
    if (s.kind == VJ_DEVICE_CPU)
        return open_cpu(t, plan, s.ordinal[0], err);
    r = open_cuda(t, &s, plan, &why);
    if (!r)
        return 0;
    if (s.kind == VJ_DEVICE_CUDA)
        return vj_fail(err, r, "device %s: %s", selector, why.text);
    snprintf(note, 256, "device auto: training on the CPU, %.200s", why.text);
    return open_cpu(t, plan, 0, err);
}

void vj_trainer_close(struct vj_trainer *t)
{
    if (t->ops)
        t->ops->close(t->state);
    *t = (struct vj_trainer){0};
}
