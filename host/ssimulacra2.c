/* SPDX-License-Identifier: MIT */
#include "host/ssimulacra2.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/simd.h"
#include "host/ssimulacra2_internal.h"

enum {
    SCALES = VJ_SSIMULACRA2_SCALES,
    CHANNELS = VJ_SSIMULACRA2_CHANNELS,
};

/* Linear light of one picture at all scales; the first one has no planes. */
struct pyramid {
    struct vj_ssimulacra2_light scale[SCALES];
};

/* Work space of whichever mode is in force; the other's is NULL. */
struct work {
    struct vj_ssimulacra2_exact *exact;
    struct vj_ssimulacra2_parity *parity;
};

struct vj_ssimulacra2_reference {
    size_t max_width, max_height;
    enum vj_ssimulacra2_mode mode;
    size_t width, height; /* of the picture loaded; 0 when none is */
    int channels;
    int scales;
    float table[256]; /* linear light of a byte */
    uint8_t *memory;  /* owned; everything below lies in it */
    struct vj_ssimulacra2_scale scale[SCALES];
    struct pyramid pyramid;
    struct work work;
};

struct vj_ssimulacra2_scratch {
    size_t max_width, max_height;
    enum vj_ssimulacra2_mode mode;
    uint8_t *memory; /* owned; what follows lies in it */
    struct pyramid pyramid;
    struct work work;
};

/* ---- memory ----------------------------------------------------------------------------- */

void *vj_ssimulacra2_take(struct vj_ssimulacra2_arena *arena, size_t count, size_t size)
{
    void *p = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + 63) / 64 * 64;
    return p;
}

static bool is_mode(enum vj_ssimulacra2_mode mode)
{
    return mode == VJ_SSIMULACRA2_EXACT || mode == VJ_SSIMULACRA2_PARITY;
}

static int check_limits(size_t width, size_t height, enum vj_ssimulacra2_mode mode,
                        struct vj_error *err)
{
    size_t pixels;
    if (!is_mode(mode))
        return vj_fail(err, -EINVAL, "SSIMULACRA2: mode %d is neither exact 1 nor parity 2",
                       (int)mode);
    if (width == 0 || height == 0)
        return vj_fail(err, -EINVAL, "SSIMULACRA2: a picture of %zux%zu has no pixels", width,
                       height);
    if (!vj_size_mul(width, height, &pixels) || pixels > VJ_SSIMULACRA2_MAX_PIXELS)
        return vj_fail(
            err, -EINVAL,
            "SSIMULACRA2: %zux%zu is more than the %zu pixels supported; use smaller pictures",
            width, height, VJ_SSIMULACRA2_MAX_PIXELS);
    return 0;
}

static void place_pyramid(struct pyramid *p, struct vj_ssimulacra2_arena *arena, size_t width,
                          size_t height)
{
    for (int s = 1, n = vj_ssimulacra2_scales(width, height); s < n; s++) {
        width = vj_ssimulacra2_half(width);
        height = vj_ssimulacra2_half(height);
        for (int c = 0; c < 3; c++)
            p->scale[s].plane[c] = vj_ssimulacra2_take(arena, width * height, sizeof(float));
    }
}

static void place_work(struct work *work, struct vj_ssimulacra2_arena *arena, size_t width,
                       size_t height, enum vj_ssimulacra2_mode mode)
{
    if (vj_ssimulacra2_scales(width, height) == 0)
        return;
    if (mode == VJ_SSIMULACRA2_EXACT)
        work->exact = vj_ssimulacra2_exact_place(arena, width);
    else
        work->parity = vj_ssimulacra2_parity_place(arena, width, height);
}

static size_t place_reference(struct vj_ssimulacra2_reference *r, uint8_t *base)
{
    struct vj_ssimulacra2_arena arena = {base, 0};
    size_t width = r->max_width, height = r->max_height;
    place_pyramid(&r->pyramid, &arena, width, height);
    place_work(&r->work, &arena, width, height, r->mode);
    for (int s = 0, n = vj_ssimulacra2_scales(width, height); s < n; s++) {
        struct vj_ssimulacra2_scale *scale = &r->scale[s];
        for (int c = 0; c < CHANNELS; c++) {
            scale->plane[c] = vj_ssimulacra2_take(&arena, width * height, sizeof(float));
            scale->mean[c] = vj_ssimulacra2_take(&arena, width * height, sizeof(float));
            scale->second[c] = vj_ssimulacra2_take(&arena, width * height, sizeof(float));
        }
        width = vj_ssimulacra2_half(width);
        height = vj_ssimulacra2_half(height);
    }
    return arena.used;
}

static size_t place_scratch(struct vj_ssimulacra2_scratch *s, uint8_t *base)
{
    struct vj_ssimulacra2_arena arena = {base, 0};
    place_pyramid(&s->pyramid, &arena, s->max_width, s->max_height);
    place_work(&s->work, &arena, s->max_width, s->max_height, s->mode);
    return arena.used;
}

size_t vj_ssimulacra2_reference_bytes(size_t max_width, size_t max_height,
                                      enum vj_ssimulacra2_mode mode)
{
    struct vj_ssimulacra2_reference r = {
        .max_width = max_width, .max_height = max_height, .mode = mode};
    return check_limits(max_width, max_height, mode, NULL) ? 0 : place_reference(&r, NULL);
}

size_t vj_ssimulacra2_scratch_bytes(size_t max_width, size_t max_height,
                                    enum vj_ssimulacra2_mode mode)
{
    struct vj_ssimulacra2_scratch s = {
        .max_width = max_width, .max_height = max_height, .mode = mode};
    return check_limits(max_width, max_height, mode, NULL) ? 0 : place_scratch(&s, NULL);
}

int vj_ssimulacra2_reference_create(struct vj_ssimulacra2_reference **ref, size_t max_width,
                                    size_t max_height, enum vj_ssimulacra2_mode mode,
                                    struct vj_error *err)
{
    *ref = NULL;
    int rc = check_limits(max_width, max_height, mode, err);
    if (rc)
        return rc;
    struct vj_ssimulacra2_reference *r = vj_calloc(1, sizeof(*r));
    if (!r)
        goto no_memory;
    r->max_width = max_width;
    r->max_height = max_height;
    r->mode = mode;
    r->memory = vj_alloc_aligned(place_reference(r, NULL), 1);
    if (!r->memory)
        goto no_memory;
    place_reference(r, r->memory);
    for (int i = 0; i < 256; i++)
        r->table[i] = mode == VJ_SSIMULACRA2_EXACT ? vj_ssimulacra2_linear((uint8_t)i)
                                                   : vj_ssimulacra2_parity_linear((uint8_t)i);
    *ref = r;
    return 0;

no_memory:
    vj_ssimulacra2_reference_free(r);
    return vj_fail(err, -ENOMEM, "SSIMULACRA2: no memory for an original of %zux%zu", max_width,
                   max_height);
}

void vj_ssimulacra2_reference_free(struct vj_ssimulacra2_reference *ref)
{
    if (!ref)
        return;
    free(ref->memory);
    free(ref);
}

int vj_ssimulacra2_scratch_create(struct vj_ssimulacra2_scratch **scratch, size_t max_width,
                                  size_t max_height, enum vj_ssimulacra2_mode mode,
                                  struct vj_error *err)
{
    *scratch = NULL;
    int rc = check_limits(max_width, max_height, mode, err);
    if (rc)
        return rc;
    struct vj_ssimulacra2_scratch *s = vj_calloc(1, sizeof(*s));
    if (!s)
        goto no_memory;
    s->max_width = max_width;
    s->max_height = max_height;
    s->mode = mode;
    s->memory = vj_alloc_aligned(place_scratch(s, NULL), 1);
    if (!s->memory)
        goto no_memory;
    place_scratch(s, s->memory);
    *scratch = s;
    return 0;

no_memory:
    vj_ssimulacra2_scratch_free(s);
    return vj_fail(err, -ENOMEM, "SSIMULACRA2: no memory for pictures of %zux%zu", max_width,
                   max_height);
}

void vj_ssimulacra2_scratch_free(struct vj_ssimulacra2_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->memory);
    free(scratch);
}

/* ---- linear light ----------------------------------------------------------------------- */

void vj_ssimulacra2_light_row(const struct vj_ssimulacra2_light *light, size_t y, size_t x,
                              size_t count, float *const buffer[3], const float *row[3])
{
    size_t at = y * light->width + x;
    const float *table = light->table;
    for (int c = 0; c < 3; c++)
        row[c] = light->bytes ? buffer[c] : light->plane[c] + at;
    if (!light->bytes)
        return;
    if (light->channels == 1) {
        const uint8_t *grey = light->bytes + at;
        for (size_t i = 0; i < count; i++)
            buffer[0][i] = buffer[1][i] = buffer[2][i] = table[grey[i]];
        return;
    }
    const uint8_t *rgb = light->bytes + 3 * at;
    for (size_t i = 0; i < count; i++) {
        buffer[0][i] = table[rgb[3 * i]];
        buffer[1][i] = table[rgb[3 * i + 1]];
        buffer[2][i] = table[rgb[3 * i + 2]];
    }
}

/* Row y of one colour of the second scale, from bytes. The last row and column count twice. */
static void pool_bytes(float *to, const struct vj_ssimulacra2_light *from, size_t y, size_t colour)
{
    size_t width = from->width, channels = (size_t)from->channels;
    size_t below = 2 * y + 1 < from->height ? 2 * y + 1 : 2 * y;
    const uint8_t *a = from->bytes + 2 * y * width * channels + colour;
    const uint8_t *b = from->bytes + below * width * channels + colour;
    const float *table = from->table;
    for (size_t x = 0; x < vj_ssimulacra2_half(width); x++) {
        size_t left = 2 * x * channels;
        size_t right = 2 * x + 1 < width ? left + channels : left;
        to[x] =
            vj_ssimulacra2_pool(table[a[left]], table[a[right]], table[b[left]], table[b[right]]);
    }
}

VJ_SIMD static void pool_plane(float *restrict to, const float *restrict from, size_t width,
                               size_t height)
{
    size_t across = vj_ssimulacra2_half(width);
    for (size_t y = 0; y < vj_ssimulacra2_half(height); y++) {
        const float *a = from + 2 * y * width;
        const float *b = 2 * y + 1 < height ? a + width : a;
        for (size_t x = 0; x < width / 2; x++)
            to[y * across + x] =
                vj_ssimulacra2_pool(a[2 * x], a[2 * x + 1], b[2 * x], b[2 * x + 1]);
        if (width % 2) {
            size_t last = width - 1;
            to[y * across + across - 1] = vj_ssimulacra2_pool(a[last], a[last], b[last], b[last]);
        }
    }
}

static void fill_pyramid(struct pyramid *p, const uint8_t *bytes, size_t width, size_t height,
                         int channels, const float *table)
{
    int scales = vj_ssimulacra2_scales(width, height);
    for (int s = 0; s < scales; s++) {
        struct vj_ssimulacra2_light *light = &p->scale[s];
        light->width = width;
        light->height = height;
        light->bytes = s == 0 ? bytes : NULL;
        light->channels = channels;
        light->table = table;
        for (size_t c = 0; s == 1 && c < 3; c++)
            for (size_t y = 0; y < height; y++)
                pool_bytes(light->plane[c] + y * width, &p->scale[0], y, channels == 3 ? c : 0);
        for (int c = 0; s > 1 && c < 3; c++)
            pool_plane(light->plane[c], light[-1].plane[c], light[-1].width, light[-1].height);
        width = vj_ssimulacra2_half(width);
        height = vj_ssimulacra2_half(height);
    }
}

/* ---- pictures --------------------------------------------------------------------------- */

int vj_ssimulacra2_reference_load(struct vj_ssimulacra2_reference *ref, const struct vj_image *img,
                                  struct vj_error *err)
{
    ref->width = 0;
    ref->height = 0;
    if (img->channels != 1 && img->channels != 3)
        return vj_fail(err, -EINVAL, "SSIMULACRA2: original has %d channels, expected 1 or 3",
                       img->channels);
    if (img->width == 0 || img->height == 0 || img->width > ref->max_width ||
        img->height > ref->max_height)
        return vj_fail(err, -EINVAL,
                       "SSIMULACRA2: original of %zux%zu does not fit the memory taken for %zux%zu",
                       img->width, img->height, ref->max_width, ref->max_height);
    ref->channels = img->channels;
    ref->scales = vj_ssimulacra2_scales(img->width, img->height);
    fill_pyramid(&ref->pyramid, img->data, img->width, img->height, img->channels, ref->table);
    for (int s = 0; s < ref->scales; s++) {
        const struct vj_ssimulacra2_light *light = &ref->pyramid.scale[s];
        struct vj_ssimulacra2_scale *scale = &ref->scale[s];
        scale->width = light->width;
        scale->height = light->height;
        if (ref->mode == VJ_SSIMULACRA2_EXACT)
            vj_ssimulacra2_exact_load(scale, light, ref->work.exact);
        else
            vj_ssimulacra2_parity_load(scale, light, ref->work.parity);
    }
    ref->width = img->width;
    ref->height = img->height;
    return 0;
}

void vj_ssimulacra2_add_columns(struct vj_ssimulacra2_sums *sums,
                                const struct vj_ssimulacra2_columns *columns, size_t count)
{
    for (int m = 0; m < VJ_SSIMULACRA2_MAPS; m++)
        for (size_t x = 0; x < count; x++) {
            sums->first[m] += columns->first[m][x];
            sums->fourth[m] += columns->fourth[m][x];
        }
}

int vj_ssimulacra2_compute(const struct vj_ssimulacra2_reference *ref, const uint8_t *distorted,
                           struct vj_ssimulacra2_scratch *scratch,
                           struct vj_ssimulacra2_result *out)
{
    *out = (struct vj_ssimulacra2_result){.score = NAN};
    if (ref->width == 0 || ref->width > scratch->max_width || ref->height > scratch->max_height ||
        ref->mode != scratch->mode)
        return -EINVAL;
    struct vj_ssimulacra2_totals totals;
    fill_pyramid(&scratch->pyramid, distorted, ref->width, ref->height, ref->channels, ref->table);
    for (int s = 0; s < ref->scales; s++) {
        const struct vj_ssimulacra2_scale *scale = &ref->scale[s];
        const struct vj_ssimulacra2_light *light = &scratch->pyramid.scale[s];
        if (ref->mode == VJ_SSIMULACRA2_EXACT)
            vj_ssimulacra2_exact_sums(scale, light, scratch->work.exact, totals.of[s]);
        else
            vj_ssimulacra2_parity_sums(scale, light, scratch->work.parity, totals.of[s]);
    }
    vj_ssimulacra2_finish(ref->width, ref->height, &totals, out);
    return 0;
}
