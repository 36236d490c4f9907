/* SPDX-License-Identifier: MIT */
/* ResJND's weights out of a PyTorch file. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "host/pth.h"
#include "host/resjnd.h"

/* Layer by shape; -1 for none. PyTorch's order is [output channel][input channel][row][column]. */
static int layer_of(const struct vj_pth_tensor *t, size_t width)
{
    if (t->rank != 4 || t->shape[2] != 3 || t->shape[3] != 3)
        return -1;
    if (t->shape[0] == width && t->shape[1] == 3)
        return VJ_RESJND_IN;
    if (t->shape[0] == 3 && t->shape[1] == width)
        return VJ_RESJND_OUT;
    return t->shape[0] == width && t->shape[1] == width ? VJ_RESJND_CONV1 : -1;
}

static int refuse(const struct vj_pth *pth, size_t i, const char *why, struct vj_error *err)
{
    const struct vj_pth_tensor *t = &pth->tensor[i];
    char shape[256] = "";
    for (int d = 0; d < t->rank; d++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof(shape) - used, "%s%zu", d ? ", " : "", t->shape[d]);
    }
    return vj_fail(err, -EINVAL,
                   "tensor %s [%s] %s; ResJND has four: [W, 3, 3, 3], twice [W, W, 3, 3] and "
                   "[3, W, 3, 3], without biases",
                   t->name, shape, why);
}

/* The width is the number of output channels of the one tensor that reads three. */
static int find_width(const struct vj_pth *pth, size_t *width, struct vj_error *err)
{
    if (pth->count != VJ_RESJND_LAYERS)
        return vj_fail(err, -EINVAL,
                       "holds %zu tensors; ResJND has four, and a file of something else is not "
                       "taken apart",
                       pth->count);
    *width = 0;
    for (size_t i = 0; i < pth->count; i++) {
        const struct vj_pth_tensor *t = &pth->tensor[i];
        if (t->rank == 4 && t->shape[1] == 3 && t->shape[2] == 3 && t->shape[3] == 3)
            *width = t->shape[0];
    }
    if (*width == 0)
        return refuse(pth, 0, "and the others: none reads three channels in 3x3 pixels", err);
    if (*width == 3)
        return vj_fail(err, -EINVAL, "width: with 3 channels the layers cannot be told apart");
    return 0;
}

/* tensor: [VJ_RESJND_LAYERS] index in the file for each layer */
static int assign(const struct vj_pth *pth, size_t width, const struct vj_pth_tensor **layer,
                  struct vj_error *err)
{
    for (size_t i = 0; i < pth->count; i++) {
        int l = layer_of(&pth->tensor[i], width);
        if (l == VJ_RESJND_CONV1 && layer[l])
            l = VJ_RESJND_CONV2;
        if (l < 0)
            return refuse(pth, i, "is none of the network's", err);
        if (layer[l])
            return refuse(pth, i, "is there too often", err);
        layer[l] = &pth->tensor[i];
    }
    return 0; /* four tensors in four places */
}

/* From [output][input][row][column] to [row][column][input][output]. */
static int copy_kernel(struct vj_tensor *to, const struct vj_pth_tensor *from, struct vj_error *err)
{
    const unsigned char *bytes = from->data;
    size_t outputs = from->shape[0], inputs = from->shape[1];
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < inputs; i++)
            for (size_t k = 0; k < 9; k++) {
                float value;
                memcpy(&value, bytes + ((o * inputs + i) * 9 + k) * sizeof(value), sizeof(value));
                if (!isfinite(value))
                    return vj_fail(err, -EINVAL,
                                   "tensor %s has values that are infinite or not a number",
                                   from->name);
                to->data[(k * inputs + i) * outputs + o] = value;
            }
    return 0;
}

static int take(struct vj_resjnd_file *file, const struct vj_pth *pth, struct vj_error *err)
{
    const struct vj_pth_tensor *layer[VJ_RESJND_LAYERS] = {NULL};
    size_t width = 0;
    int r = find_width(pth, &width, err);
    if (!r)
        r = assign(pth, width, layer, err);
    if (!r)
        r = vj_resjnd_file_alloc(file, width, err);
    for (int l = 0; !r && l < VJ_RESJND_LAYERS; l++)
        r = copy_kernel(&file->weights.tensors[l], layer[l], err);
    return r;
}

int vj_resjnd_import(struct vj_resjnd_file *file, const char *path, struct vj_error *err)
{
    struct vj_pth pth = {0};
    int r = vj_pth_open(&pth, path, err);
    if (!r) {
        r = take(file, &pth, err);
        if (r)
            vj_fail_prefix(err, "%s", path);
    }
    if (!r) {
        const char *slash = strrchr(path, '/');
        snprintf(file->source, sizeof(file->source), "%s", slash ? slash + 1 : path);
        memcpy(file->source_sha256, pth.sha256, sizeof(file->source_sha256));
    }
    vj_pth_close(&pth);
    return r;
}
