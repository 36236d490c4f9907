/* SPDX-License-Identifier: MIT */
/* Weight files of ResJND. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/checked.h"
#include "host/h5.h"
#include "host/resjnd.h"
#include "host/version.h"
#include "host/weights_h5.h"

enum { SCHEMA_VERSION = 1 };
#define SCHEMA "vpjnd-resjnd-weights"

int vj_resjnd_file_alloc(struct vj_resjnd_file *file, size_t width, struct vj_error *err)
{
    static const char *const names[VJ_RESJND_LAYERS] = {"in", "conv1", "conv2", "out"};
    if (width < 1 || width > VJ_RESJND_WIDTH_MAX)
        return vj_fail(err, -EINVAL, "width: %zu channels, must be 1 to %d", width,
                       VJ_RESJND_WIDTH_MAX);
    file->width = width;
    file->weights.tensors = vj_calloc(VJ_RESJND_LAYERS, sizeof(*file->weights.tensors));
    if (!file->weights.tensors)
        return vj_fail(err, -ENOMEM, "out of memory for %d tensors", VJ_RESJND_LAYERS);
    file->weights.count = VJ_RESJND_LAYERS;
    for (int i = 0; i < VJ_RESJND_LAYERS; i++) {
        size_t in = i == VJ_RESJND_IN ? 3 : width, out = i == VJ_RESJND_OUT ? 3 : width;
        struct vj_tensor *t = &file->weights.tensors[i];
        *t = (struct vj_tensor){.rank = 4, .shape = {3, 3, in, out}, .count = 9 * in * out};
        snprintf(t->name, sizeof(t->name), "%s", names[i]);
        t->data = vj_calloc(t->count, sizeof(*t->data));
        if (!t->data)
            return vj_fail(err, -ENOMEM, "out of memory for tensor %s (%zu bytes)", t->name,
                           t->count * sizeof(*t->data));
    }
    return 0;
}

void vj_resjnd_file_free(struct vj_resjnd_file *file)
{
    vj_weights_free(&file->weights);
    *file = (struct vj_resjnd_file){0};
}

/* ---- reading ---- */

static int read_attributes(hid_t at, struct vj_resjnd_file *file, int64_t *width,
                           char sha256[VJ_SHA256_HEX], struct vj_error *err)
{
    char schema[64];
    int64_t version;
    int r = vj_h5_read_text(at, "schema", schema, sizeof(schema), err);
    if (!r && strcmp(schema, SCHEMA) != 0)
        r = vj_fail(err, -EINVAL,
                    "attribute schema is '%s': not a weight file of resjnd24 ('%s'), which `vpjnd "
                    "import` makes of a .pth file",
                    schema, SCHEMA);
    if (!r)
        r = vj_h5_read_int(at, "schema_version", &version, err);
    if (!r && version != SCHEMA_VERSION)
        r = vj_fail(err, -EINVAL,
                    "schema_version is %" PRId64 ", this program reads %d; update the program",
                    version, SCHEMA_VERSION);
    if (!r)
        r = vj_h5_read_int(at, "width", width, err);
    if (!r)
        r = vj_h5_read_text(at, "source", file->source, sizeof(file->source), err);
    if (!r)
        r = vj_h5_read_text(at, "source_sha256", file->source_sha256, sizeof(file->source_sha256),
                            err);
    return r ? r : vj_h5_read_text(at, "sha256", sha256, VJ_SHA256_HEX, err);
}

static int read_open_file(struct vj_resjnd_file *file, hid_t at, size_t file_size,
                          struct vj_error *err)
{
    int64_t width = 0;
    char recorded[VJ_SHA256_HEX];
    int r = read_attributes(at, file, &width, recorded, err);
    if (r)
        return r;
    size_t tensors = width < 1 || width > VJ_RESJND_WIDTH_MAX
                         ? 0 /* refused below */
                         : 9 * sizeof(float) * (size_t)width * (6 + 2 * (size_t)width);
    if (tensors > file_size)
        return vj_fail(err, -EINVAL,
                       "holds %zu bytes, tensors of width %" PRId64 " alone need %zu: the file is "
                       "cut off",
                       file_size, width, tensors);
    r = vj_resjnd_file_alloc(file, width < 0 ? 0 : (size_t)width, err);
    if (!r)
        r = vj_weights_read_tensors(at, &file->weights, file_size, err);
    if (r)
        return r;
    memcpy(file->weights.sha256, recorded, sizeof(recorded));
    return vj_weights_verify(&file->weights, err);
}

int vj_resjnd_file_read(struct vj_resjnd_file *file, const char *path, struct vj_error *err)
{
    hid_t at;
    int r = vj_h5_open(&at, path, err);
    if (r)
        return r;
    struct stat st;
    r = stat(path, &st) != 0 ? vj_fail(err, -errno, "cannot be examined: %s", strerror(errno))
                             : read_open_file(file, at, (size_t)st.st_size, err);
    vj_h5_close(at, path, NULL);
    if (r)
        vj_fail_prefix(err, "%s", path);
    return r;
}

/* ---- writing ---- */

static int write_attributes(hid_t at, const void *owner, struct vj_error *err)
{
    const struct vj_resjnd_file *file = owner;
    const struct {
        const char *name, *value;
    } texts[] = {
        {"schema", SCHEMA},
        {"source", file->source},
        {"source_sha256", file->source_sha256},
        {"sha256", file->weights.sha256},
        {"program_version", VJ_VERSION},
    };
    int r = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !r; i++)
        r = vj_h5_write_text(at, texts[i].name, texts[i].value, err);
    if (!r)
        r = vj_h5_write_int(at, "schema_version", SCHEMA_VERSION, err);
    return r ? r : vj_h5_write_int(at, "width", (int64_t)file->width, err);
}

int vj_resjnd_file_write(struct vj_resjnd_file *file, const char *path, struct vj_error *err)
{
    int r = vj_h5_check_output(path, SCHEMA, err);
    return r ? r : vj_weights_write_file(&file->weights, path, write_attributes, file, err);
}
