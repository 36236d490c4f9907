/* SPDX-License-Identifier: MIT */
#include "host/jnd_map.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jpeg_model.h"
#include "host/resjnd.h"
#include "host/simd.h"

const struct vj_jnd_model *const vj_jnd_models[] = {
    &vj_jnd_chou95, &vj_jnd_yang05, &vj_jnd_liu10,    &vj_jnd_fep13,
    &vj_jnd_epc17,  &vj_jnd_klt22,  &vj_jnd_resjnd24, NULL};

static const char *const scale_names[] = {"minmax", "max", "none", NULL};

/* --- names ------------------------------------------------------------------------------------ */

/* Appends ", name" (or "name" to an empty text); a text that is full stays as it is. */
static void list_name(char *text, size_t size, const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
}

const struct vj_jnd_model *vj_jnd_find(const char *name, struct vj_error *err)
{
    char known[512] = "";
    for (size_t i = 0; vj_jnd_models[i]; i++) {
        if (strcmp(name, vj_jnd_models[i]->name) == 0)
            return vj_jnd_models[i];
        list_name(known, sizeof(known), vj_jnd_models[i]->name);
    }
    vj_fail(err, -EINVAL, "unknown pixel-JND model \"%s\"; known models: %s", name, known);
    return NULL;
}

static int need_weights(const struct vj_jnd_model *model, struct vj_error *err)
{
    return vj_fail(err, -EINVAL,
                   "pixel-JND model %s needs its authors' weights, which carry no licence and are "
                   "not part of this program: turn your copy into a weight file with `vpjnd import "
                   "FILE.pth -o FILE.h5`, and name "
                   "that (--weights of `vpjnd map`, else option jnd_weights)",
                   model->name);
}

int vj_jnd_load(struct vj_jnd_model **loaded, const struct vj_jnd_model *model, const char *path,
                struct vj_error *err)
{
    struct vj_resjnd_file file = {0};
    *loaded = NULL;
    if (!model->needs_weights)
        return vj_fail(err, -EINVAL, "pixel-JND model %s has no weights; leave the file out",
                       model->name);
    if (!*path)
        return need_weights(model, err);
    struct vj_jnd_model *copy = vj_calloc(1, sizeof(*copy));
    int r = copy ? vj_resjnd_file_read(&file, path, err) : vj_fail(err, -ENOMEM, "out of memory");
    if (!r) {
        *copy = *model;
        r = vj_resjnd_create(&copy->net, &file, err);
    }
    vj_resjnd_file_free(&file);
    if (r) {
        free(copy);
        return r;
    }
    copy->weights_sha256 = vj_resjnd_sha256(copy->net);
    *loaded = copy;
    return 0;
}

void vj_jnd_unload(struct vj_jnd_model *loaded)
{
    if (!loaded)
        return;
    vj_resjnd_free(loaded->net);
    free(loaded);
}

/* Index of `name` in a NULL-terminated list, or -1 with the list written to `known`. */
static ptrdiff_t name_index(const char *const *names, const char *name, char *known, size_t size)
{
    known[0] = '\0';
    for (ptrdiff_t i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
        list_name(known, size, names[i]);
    }
    return -1;
}

int vj_jnd_variant_find(size_t *variant, const struct vj_jnd_model *model, const char *name,
                        struct vj_error *err)
{
    char known[512];
    ptrdiff_t index = name ? name_index(model->variants, name, known, sizeof(known)) : 0;
    if (index < 0)
        return vj_fail(err, -EINVAL, "pixel-JND model %s has no variant \"%s\"; its variants: %s",
                       model->name, name, known);
    *variant = (size_t)index;
    return 0;
}

const char *vj_jnd_scale_name(enum vj_jnd_scale scale)
{
    return scale_names[scale];
}

int vj_jnd_scale_parse(enum vj_jnd_scale *scale, const char *name, struct vj_error *err)
{
    char known[64];
    ptrdiff_t index = name_index(scale_names, name, known, sizeof(known));
    if (index < 0)
        return vj_fail(err, -EINVAL, "unknown scaling of a pixel-JND map \"%s\"; choices: %s", name,
                       known);
    *scale = (enum vj_jnd_scale)index;
    return 0;
}

struct vj_jnd_size vj_jnd_stage_size(const struct vj_jnd_stage_info *stage, size_t width,
                                     size_t height)
{
    switch (stage->extent) {
    case VJ_JND_HALF:
        return (struct vj_jnd_size){height / 2 + height % 2, width / 2 + width % 2};
    case VJ_JND_LIST64:
        return (struct vj_jnd_size){1, 64};
    case VJ_JND_ONE:
        return (struct vj_jnd_size){1, 1};
    default:
        return (struct vj_jnd_size){height, width};
    }
}

/* --- luma and chroma
 * ------------------------------------------------------------------------------------- */

VJ_SIMD static void luma_of_rgb(const uint8_t *rgb, size_t pixels, uint8_t *luma)
{
    for (size_t i = 0; i < pixels; i++) {
        uint32_t weighted = 2989u * rgb[3 * i] + 5870u * rgb[3 * i + 1] + 1140u * rgb[3 * i + 2];
        luma[i] = (uint8_t)((weighted + 5000u) / 10000u);
    }
}

void vj_jnd_luma(const struct vj_image *img, uint8_t *luma)
{
    size_t pixels = img->width * img->height;
    if (img->channels == 1)
        memcpy(luma, img->data, pixels);
    else
        luma_of_rgb(img->data, pixels, luma);
}

/* One row of chroma from the two rows of colours that it lies between. */
static void chroma_row(const uint8_t *upper, const uint8_t *lower, size_t width, uint8_t *cb,
                       uint8_t *cr)
{
    for (size_t x = 0; x < width / 2 + width % 2; x++) {
        size_t left = 2 * x, right = left + 1 < width ? left + 1 : left;
        const uint8_t *four[4] = {upper + 3 * left, upper + 3 * right, lower + 3 * left,
                                  lower + 3 * right};
        int blue = 0, red = 0;
        for (int k = 0; k < 4; k++) {
            blue += vj_jpeg_cb(four[k][0], four[k][1], four[k][2]);
            red += vj_jpeg_cr(four[k][0], four[k][1], four[k][2]);
        }
        cb[x] = (uint8_t)vj_jpeg_box(blue, x);
        cr[x] = (uint8_t)vj_jpeg_box(red, x);
    }
}

void vj_jnd_chroma(const struct vj_image *img, uint8_t *cb, uint8_t *cr)
{
    size_t columns = img->width / 2 + img->width % 2, rows = img->height / 2 + img->height % 2;
    if (img->channels == 1) {
        memset(cb, 128, rows * columns);
        memset(cr, 128, rows * columns);
        return;
    }
    for (size_t y = 0; y < rows; y++) {
        const uint8_t *upper = img->data + 2 * y * img->width * 3;
        const uint8_t *lower = 2 * y + 1 < img->height ? upper + img->width * 3 : upper;
        chroma_row(upper, lower, img->width, cb + y * columns, cr + y * columns);
    }
}

/* --- workspaces and running ------------------------------------------------------------------- */

size_t vj_jnd_workspace_bytes(const struct vj_jnd_model *model, size_t width, size_t height,
                              int threads)
{
    if (model->needs_weights) /* without them, vj_jnd_run() says what is missing */
        return model->net ? vj_resjnd_workspace(model->net, width, threads) : 1;
    return model->workspace(width, height, threads);
}

int vj_jnd_workspace_create(struct vj_jnd_workspace **ws, size_t bytes, int threads,
                            struct vj_error *err)
{
    *ws = NULL;
    if (threads < 1 || bytes == 0)
        return vj_fail(
            err, -EINVAL,
            "a pixel-JND workspace of %zu bytes for %d threads is impossible; the pictures "
            "are too large or the number of threads is below 1",
            bytes, threads);
    struct vj_jnd_workspace *new = vj_calloc(1, sizeof(*new));
    uint8_t *base = vj_alloc_aligned(bytes, 1);
    if (!new || !base) {
        free(new);
        free(base);
        return vj_fail(
            err, -ENOMEM,
            "no memory for a pixel-JND workspace of %zu bytes; use smaller pictures or fewer "
            "of them at a time",
            bytes);
    }
    new->arena.base = base;
    new->size = bytes;
    new->threads = threads;
    *ws = new;
    return 0;
}

void vj_jnd_workspace_free(struct vj_jnd_workspace *ws)
{
    if (!ws)
        return;
    free(ws->arena.base);
    free(ws);
}

static size_t count_names(const char *const *names)
{
    size_t n = 0;
    while (names[n])
        n++;
    return n;
}

static void clear_stages(const struct vj_jnd_model *model, const struct vj_jnd_job *job)
{
    for (size_t i = 0; job->stages && model->stages[i].name; i++) {
        struct vj_jnd_size size = vj_jnd_stage_size(&model->stages[i], job->width, job->height);
        if (job->stages[i])
            memset(job->stages[i], 0, size.rows * size.columns * sizeof(float));
    }
}

int vj_jnd_run(const struct vj_jnd_model *model, const struct vj_jnd_job *job,
               struct vj_jnd_workspace *ws, struct vj_error *err)
{
    size_t pixels;
    if (job->width < model->min_side || job->height < model->min_side)
        return vj_fail(err, -EINVAL,
                       "picture of %zux%zu pixels: pixel-JND model %s needs %zu each way; "
                       "take a larger picture or another model",
                       job->width, job->height, model->name, model->min_side);
    if (!vj_size_mul(job->width, job->height, &pixels) || pixels > UINT32_MAX)
        return vj_fail(
            err, -EINVAL,
            "picture of %zux%zu pixels: pixel-JND maps end at 2^32 - 1 pixels; cut it up",
            job->width, job->height);
    if (job->variant >= count_names(model->variants))
        return vj_fail(err, -EINVAL, "pixel-JND model %s has no variant number %zu", model->name,
                       job->variant);
    if (model->needs_weights && !model->net)
        return need_weights(model, err);
    size_t bytes = vj_jnd_workspace_bytes(model, job->width, job->height, ws->threads);
    if (bytes == 0 || bytes > ws->size)
        return vj_fail(
            err, -ENOBUFS,
            "picture of %zux%zu pixels: pixel-JND model %s needs a workspace of %zu bytes, "
            "this one has %zu; create it for the largest picture",
            job->width, job->height, model->name, bytes, ws->size);
    clear_stages(model, job);
    ws->arena.used = 0;
    return model->net ? vj_resjnd_map(model->net, job, ws, err) : model->compute(job, ws, err);
}

int vj_jnd_compute(const char *model_name, const char *variant, const struct vj_image *img,
                   float *map, struct vj_error *err)
{
    const struct vj_jnd_model *model = vj_jnd_find(model_name, err);
    if (!model)
        return -EINVAL;
    struct vj_jnd_job job = {
        .width = img->width, .height = img->height, .picture = img, .map = map};
    int rc = vj_jnd_variant_find(&job.variant, model, variant, err);
    if (rc)
        return rc;

    int threads = omp_get_max_threads();
    struct vj_jnd_workspace *ws = NULL;
    uint8_t *luma = vj_alloc_aligned(img->width, img->height);
    if (!luma)
        return vj_fail(err, -ENOMEM, "no memory for the luma of %zux%zu pixels", img->width,
                       img->height);
    rc = vj_jnd_workspace_create(
        &ws, vj_jnd_workspace_bytes(model, img->width, img->height, threads), threads, err);
    if (!ws)
        goto out;
    vj_jnd_luma(img, luma);
    job.luma = luma;
    rc = vj_jnd_run(model, &job, ws, err);
out:
    vj_jnd_workspace_free(ws);
    free(luma);
    return rc;
}

/* --- maps as 8-bit pictures ------------------------------------------------------------------- */

/* Smallest and largest of n >= 1 values; false when one is not finite. */
VJ_SIMD static bool value_range(const float *map, size_t n, float *min, float *max)
{
    float lo = map[0], hi = map[0], poison = 0;
#pragma omp simd reduction(min : lo) reduction(max : hi) reduction(+ : poison)
    for (size_t i = 0; i < n; i++) {
        lo = map[i] < lo ? map[i] : lo;
        hi = map[i] > hi ? map[i] : hi;
        poison += map[i] * 0.0f; /* 0 for a finite value, else NaN for ever */
    }
    *min = lo;
    *max = hi;
    return poison == 0;
}

/* round(clamp((map - origin) * 255 / range)) */
VJ_SIMD static void scale_to_u8(const float *map, size_t n, double origin, double range,
                                uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        double v = ((double)map[i] - origin) * 255.0 / range;
        v = v > 0 ? v : 0;
        v = v < 255 ? v : 255;
        out[i] = (uint8_t)(int)(v + 0.5);
    }
}

int vj_jnd_to_u8(const float *map, size_t n, enum vj_jnd_scale scale, uint8_t *out,
                 struct vj_error *err)
{
    if (n == 0)
        return 0;
    float min, max;
    if (!value_range(map, n, &min, &max))
        return vj_fail(err, -EDOM, "the pixel-JND map holds a value that is not finite");
    double origin = scale == VJ_JND_MINMAX ? (double)min : 0;
    double range = scale == VJ_JND_NONE ? 255 : (double)max - origin;
    if (range > 0)
        scale_to_u8(map, n, origin, range, out);
    else
        memset(out, 0, n);
    return 0;
}
