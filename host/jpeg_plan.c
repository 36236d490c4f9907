/* SPDX-License-Identifier: MIT */
/* Memory of plans, and the forward half of JPEG: RGB to transform coefficients, once per picture.
 */
#include "host/jpeg_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/jpeg_internal.h"
#include "host/simd.h"

/* Rows of the strip: where each component's samples of one row of MCUs lie while loading. */
enum {
    STRIP_FULL = 0,      /* 16 rows each of Y, Cb, Cr as converted */
    STRIP_HALF = 3 * 16, /* 8 rows each of Cb, Cr, down-sampled */
    STRIP_ROWS = 3 * 16 + 2 * 8,
};

int vj_jpeg_check_shape(size_t width, size_t height, int channels, enum vj_subsampling sampling,
                        struct vj_error *err)
{
    if (width < 1 || height < 1 || width > VJ_JPEG_MAX_SIDE || height > VJ_JPEG_MAX_SIDE)
        return vj_fail(err, -EINVAL, "picture of %zu x %zu pixels: JPEG takes 1 to %d each way",
                       width, height, VJ_JPEG_MAX_SIDE);
    if (channels != 1 && channels != 3)
        return vj_fail(err, -EINVAL, "picture with %d channels: JPEG takes 1 (grey) or 3 (RGB)",
                       channels);
    if (sampling != VJ_SUBSAMPLING_420 && sampling != VJ_SUBSAMPLING_444)
        return vj_fail(err, -EINVAL, "chroma sampling %d: choose 420 or 444", (int)sampling);
    return 0;
}

/* Bytes per row of the strip: whole MCUs of either sampling. */
static size_t strip_stride(size_t width)
{
    return (width + 15) / 16 * 16;
}

size_t vj_jpeg_plan_bytes(size_t max_width, size_t max_height, int channels,
                          enum vj_subsampling sampling)
{
    if (vj_jpeg_check_shape(max_width, max_height, channels, sampling, NULL))
        return 0;
    size_t blocks = vj_jpeg_geometry(max_width, max_height, channels, sampling).blocks;
    return sizeof(struct vj_jpeg_plan) + blocks * 64 * sizeof(int16_t) +
           STRIP_ROWS * strip_stride(max_width);
}

int vj_jpeg_plan_reserve(struct vj_jpeg_plan **plan, size_t max_width, size_t max_height,
                         int channels, enum vj_subsampling sampling, struct vj_error *err)
{
    *plan = NULL;
    int rc = vj_jpeg_check_shape(max_width, max_height, channels, sampling, err);
    if (rc)
        return rc;
    struct vj_jpeg_plan *p = vj_calloc(1, sizeof(*p));
    if (!p)
        goto out_of_memory;
    p->block_capacity = vj_jpeg_geometry(max_width, max_height, channels, sampling).blocks;
    p->strip_capacity = strip_stride(max_width);
    p->coefficients = vj_alloc_aligned(p->block_capacity, 64 * sizeof(int16_t));
    p->strip = vj_alloc_aligned(STRIP_ROWS, p->strip_capacity);
    if (!p->coefficients || !p->strip)
        goto out_of_memory;
    *plan = p;
    return 0;

out_of_memory:
    vj_jpeg_plan_free(p);
    return vj_fail(err, -ENOMEM, "no memory (%zu bytes) for the JPEG plan of a %zu x %zu picture",
                   vj_jpeg_plan_bytes(max_width, max_height, channels, sampling), max_width,
                   max_height);
}

void vj_jpeg_plan_free(struct vj_jpeg_plan *plan)
{
    if (!plan)
        return;
    free(plan->coefficients);
    free(plan->strip);
    free(plan);
}

int vj_jpeg_plan_create(struct vj_jpeg_plan **plan, const struct vj_image *img,
                        enum vj_subsampling sampling, struct vj_error *err)
{
    int rc = vj_jpeg_plan_reserve(plan, img->width, img->height, img->channels, sampling, err);
    if (!*plan)
        return rc;
    rc = vj_jpeg_plan_load(*plan, img, sampling, err);
    if (rc) {
        vj_jpeg_plan_free(*plan);
        *plan = NULL;
    }
    return rc;
}

const struct vj_jpeg_geometry *vj_jpeg_plan_geometry(const struct vj_jpeg_plan *plan)
{
    return &plan->geometry;
}

const int16_t *vj_jpeg_plan_coefficients(const struct vj_jpeg_plan *plan)
{
    return plan->coefficients;
}

static uint8_t *strip_row(const struct vj_jpeg_plan *p, size_t row)
{
    return p->strip + row * p->strip_stride;
}

VJ_SIMD static void convert_row(const uint8_t *restrict rgb, uint8_t *restrict y,
                                uint8_t *restrict cb, uint8_t *restrict cr, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
        y[i] = (uint8_t)vj_jpeg_y(r, g, b);
        cb[i] = (uint8_t)vj_jpeg_cb(r, g, b);
        cr[i] = (uint8_t)vj_jpeg_cr(r, g, b);
    }
}

/* Fills the strip's full-resolution rows from picture rows top .. top + rows - 1, edges replicated.
 */
static void convert_strip(struct vj_jpeg_plan *p, const struct vj_image *img, size_t top,
                          size_t rows)
{
    size_t width = img->width;
    for (size_t i = 0; i < rows; i++) {
        size_t row = top + i < img->height ? top + i : img->height - 1;
        const uint8_t *in = img->data + row * width * (size_t)img->channels;
        uint8_t *component[3];
        for (size_t c = 0; c < 3; c++)
            component[c] = strip_row(p, STRIP_FULL + 16 * c + i);
        if (img->channels == 1)
            memcpy(component[0], in, width);
        else
            convert_row(in, component[0], component[1], component[2], width);
        for (int c = 0; c < img->channels; c++)
            memset(component[c] + width, component[c][width - 1], p->strip_stride - width);
    }
}

VJ_SIMD static void box_row(const uint8_t *restrict above, const uint8_t *restrict below,
                            uint8_t *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int sum = above[2 * i] + above[2 * i + 1] + below[2 * i] + below[2 * i + 1];
        out[i] = (uint8_t)vj_jpeg_box(sum, i);
    }
}

/* Fills the strip's down-sampled rows; those below the picture repeat the last one. */
static void box_strip(struct vj_jpeg_plan *p, size_t mcu_row)
{
    size_t real = p->geometry.component[1].height - 8 * mcu_row;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < 8; i++) {
            uint8_t *out = strip_row(p, STRIP_HALF + 8 * c + i);
            const uint8_t *above = strip_row(p, STRIP_FULL + 16 * (c + 1) + 2 * i);
            if (i < real)
                box_row(above, above + p->strip_stride, out, p->strip_stride / 2);
            else
                memcpy(out, out - p->strip_stride, p->strip_stride / 2);
        }
    }
}

/* Forward transform of `count` neighbouring blocks. */
VJ_SIMD static void transform_blocks(const uint8_t *restrict samples, size_t stride,
                                     int16_t *restrict out, size_t count,
                                     const struct vj_jpeg_cosines *restrict cosines)
{
    for (size_t b = 0; b < count; b++, samples += 8, out += 64) {
        _Alignas(32) int16_t words[64];
        _Alignas(32) int v[64];
        for (size_t i = 0; i < 8; i++) {
            for (size_t j = 0; j < 8; j++)
                words[8 * i + j] = (int16_t)(samples[i * stride + j] - 128);
        }
        for (int pass = 1; pass <= 2; pass++) {
            vj_jpeg_transpose_words(words);
            for (int i = 0; i < 64; i++)
                v[i] = words[i];
            for (int i = 0; i < 8; i++) {
                int line[8] = {v[i],      v[8 + i],  v[16 + i], v[24 + i],
                               v[32 + i], v[40 + i], v[48 + i], v[56 + i]};
                vj_jpeg_fdct8(cosines, line, pass);
                for (int k = 0; k < 8; k++)
                    v[8 * k + i] = line[k];
            }
            for (int i = 0; i < 64; i++)
                words[i] = (int16_t)v[i];
        }
        memcpy(out, words, sizeof(words));
    }
}

/* Transforms the blocks of one component that row `mcu_row` of MCUs holds. */
static void transform_component(struct vj_jpeg_plan *p, int c, size_t mcu_row,
                                const struct vj_jpeg_cosines *cosines)
{
    const struct vj_jpeg_component *component = &p->geometry.component[c];
    bool halved = c > 0 && p->geometry.factor == 2;
    size_t strip = halved ? STRIP_HALF + 8 * ((size_t)c - 1) : STRIP_FULL + 16 * (size_t)c;
    size_t rows = c == 0 ? (size_t)p->geometry.factor : 1;
    for (size_t i = 0; i < rows; i++) {
        size_t row = mcu_row * rows + i;
        if (row >= component->down)
            return;
        int16_t *out = p->coefficients + (component->first + row * component->across) * 64;
        transform_blocks(strip_row(p, strip + 8 * i), p->strip_stride, out, component->across,
                         cosines);
    }
}

int vj_jpeg_plan_load(struct vj_jpeg_plan *plan, const struct vj_image *img,
                      enum vj_subsampling sampling, struct vj_error *err)
{
    plan->geometry = (struct vj_jpeg_geometry){0};
    int rc = vj_jpeg_check_shape(img->width, img->height, img->channels, sampling, err);
    if (rc)
        return rc;
    struct vj_jpeg_geometry g = vj_jpeg_geometry(img->width, img->height, img->channels, sampling);
    if (g.blocks > plan->block_capacity || strip_stride(img->width) > plan->strip_capacity)
        return vj_fail(
            err, -ENOSPC,
            "picture of %zu x %zu pixels (%zu blocks) does not fit the JPEG plan: it was "
            "reserved for %zu pixels across and %zu blocks",
            img->width, img->height, g.blocks, plan->strip_capacity, plan->block_capacity);
    plan->geometry = g;
    plan->strip_stride = strip_stride(img->width);
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    size_t mcu = 8 * (size_t)g.factor;
    for (size_t row = 0; row < g.mcus_down; row++) {
        convert_strip(plan, img, row * mcu, mcu);
        if (g.factor == 2)
            box_strip(plan, row);
        for (int c = 0; c < g.channels; c++)
            transform_component(plan, c, row, &cosines);
    }
    return 0;
}
