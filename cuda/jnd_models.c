/* SPDX-License-Identifier: MIT */
/* Which pixel-JND models the CUDA device has kernels for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cuda/jnd.h"

enum vj_cuda_jnd_kind vj_cuda_jnd_kind(const struct vj_jnd_model *model, size_t variant)
{
    static const struct {
        const char *model, *variant;
        enum vj_cuda_jnd_kind kind;
    } known[] = {
        {"chou95", "authors", VJ_CUDA_JND_CHOU95},
        {"chou95", "paper", VJ_CUDA_JND_CHOU95_PAPER},
        {"epc17", "authors", VJ_CUDA_JND_EPC17},
        {"epc17", "paper", VJ_CUDA_JND_EPC17_PAPER},
        {"yang05", "authors", VJ_CUDA_JND_YANG05},
        {"yang05", "paper", VJ_CUDA_JND_YANG05_PAPER},
        {"fep13", "authors", VJ_CUDA_JND_FEP13},
        {"klt22", "authors", VJ_CUDA_JND_KLT22},
        {"klt22", "raw", VJ_CUDA_JND_KLT22_RAW},
        {"liu10", "authors-pd", VJ_CUDA_JND_LIU10},
        {"liu10", "paper-pd", VJ_CUDA_JND_LIU10_PAPER},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(model->name, known[i].model) == 0 &&
            strcmp(model->variants[variant], known[i].variant) == 0)
            return known[i].kind;
    }
    return VJ_CUDA_JND_NONE;
}

/* " (there are some for NAME, NAME)", the variants that have kernels; empty without one. */
static void list_known(const struct vj_jnd_model *model, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t v = 0; model->variants[v]; v++) {
        size_t used = strlen(text);
        if (vj_cuda_jnd_kind(model, v) != VJ_CUDA_JND_NONE)
            snprintf(text + used, size - used, "%s%s", used ? ", " : " (there are some for ",
                     model->variants[v]);
    }
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", used ? ")" : "");
}

int vj_cuda_jnd_supported(const struct vj_jnd_model *model, size_t variant, struct vj_error *err)
{
    size_t variants = 0;
    while (model->variants[variants])
        variants++;
    if (variant >= variants)
        return vj_fail(err, -EINVAL, "pixel-JND model %s has no variant number %zu", model->name,
                       variant);
    if (vj_cuda_jnd_kind(model, variant) != VJ_CUDA_JND_NONE)
        return 0;
    char others[128];
    list_known(model, others, sizeof(others));
    /* Whoever opens the device says what to do about it, or takes the CPU. */
    return vj_fail(err, -ENOTSUP,
                   "the CUDA device has no kernels for pixel-JND model %s, variant %s%s",
                   model->name, model->variants[variant], others);
}
