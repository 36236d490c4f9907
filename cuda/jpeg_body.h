/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that transform and decode JPEG candidates, in C that runs on both sides.
 *
 * A kernel is a sequence of steps with a barrier between them. Each step is a function of the
 * launch's arguments, the shared memory of its thread block, the block's place in the grid and the
 * thread's number.
 */
#ifndef VJ_CUDA_JPEG_BODY_H
#define VJ_CUDA_JPEG_BODY_H

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/aligned.h"
#include "cuda/geometry.h"

/*
 * 4, 8 or 16 bytes between places on boundaries of as many, in one access each. A device makes
 * whole-word accesses only of types that promise the alignment.
 */
static inline VJ_HD void vj_cuda_copy4(void *to, const void *from)
{
#ifdef __CUDA_ARCH__
    *(uint32_t *)to = *(const uint32_t *)from;
#else
    vj_cuda_expect_aligned(to, 4);
    vj_cuda_expect_aligned(from, 4);
    memcpy(to, from, 4);
#endif
}

static inline VJ_HD void vj_cuda_copy8(void *to, const void *from)
{
#ifdef __CUDA_ARCH__
    *(uint2 *)to = *(const uint2 *)from;
#else
    vj_cuda_expect_aligned(to, 8);
    vj_cuda_expect_aligned(from, 8);
    memcpy(to, from, 8);
#endif
}

static inline VJ_HD void vj_cuda_copy16(void *to, const void *from)
{
#ifdef __CUDA_ARCH__
    *(uint4 *)to = *(const uint4 *)from;
#else
    vj_cuda_expect_aligned(to, 16);
    vj_cuda_expect_aligned(from, 16);
    memcpy(to, from, 16);
#endif
}

/*
 * 8x8 words of a block in shared memory. A row is 9 words apart and a block 72, so that the eight
 * threads of each of four blocks, reading either along a row or down a column each, touch 32
 * different banks.
 */
enum {
    VJ_CUDA_WORK_ROW = 9,
    VJ_CUDA_WORK_BLOCK = 72,
};

/* Component that block number `block` of the picture belongs to. */
static inline VJ_HD int vj_cuda_component(const struct vj_jpeg_geometry *g, size_t block)
{
    int c = 0;
    while (c + 1 < g->channels && block >= g->component[c + 1].first)
        c++;
    return c;
}

/* ---- Forward transform --------------------------------------------------------------------- */

struct vj_cuda_forward_job {
    struct vj_jpeg_geometry g;
    const uint8_t *pixels; /* [height][width][channels] */
    int16_t *coefficients; /* [blocks][64], natural order */
};

struct vj_cuda_forward_shared {
    int work[VJ_CUDA_JPEG_BATCH * VJ_CUDA_WORK_BLOCK];
};

static inline struct vj_cuda_grid vj_cuda_forward_grid(const struct vj_jpeg_geometry *g)
{
    return vj_cuda_line_grid(g->blocks, VJ_CUDA_JPEG_BATCH, 1);
}

/* Sample of component c at full resolution; beyond the picture, that of its last row or column. */
static inline VJ_HD int vj_cuda_full_sample(const struct vj_cuda_forward_job *job, int c, size_t y,
                                            size_t x)
{
    const struct vj_jpeg_geometry *g = &job->g;
    y = y < g->height ? y : g->height - 1;
    x = x < g->width ? x : g->width - 1;
    const uint8_t *p = job->pixels + (y * g->width + x) * (size_t)g->channels;
    if (g->channels == 1)
        return p[0];
    return c == 0   ? vj_jpeg_y(p[0], p[1], p[2])
           : c == 1 ? vj_jpeg_cb(p[0], p[1], p[2])
                    : vj_jpeg_cr(p[0], p[1], p[2]);
}

/*
 * Sample of component c as it is coded. Down-sampled rows beyond the plane repeat its last row;
 * down-sampled columns beyond it come from pixels that repeat the picture's last column.
 */
static inline VJ_HD int vj_cuda_coded_sample(const struct vj_cuda_forward_job *job, int c, size_t y,
                                             size_t x)
{
    const struct vj_jpeg_geometry *g = &job->g;
    if (c == 0 || g->factor == 1)
        return vj_cuda_full_sample(job, c, y, x);
    size_t last = g->component[c].height - 1;
    y = y < last ? y : last;
    int sum = vj_cuda_full_sample(job, c, 2 * y, 2 * x) +
              vj_cuda_full_sample(job, c, 2 * y, 2 * x + 1) +
              vj_cuda_full_sample(job, c, 2 * y + 1, 2 * x) +
              vj_cuda_full_sample(job, c, 2 * y + 1, 2 * x + 1);
    return vj_jpeg_box(sum, x);
}

/* Step 1: a row of samples, transformed. */
static inline VJ_HD void vj_cuda_forward_rows(const struct vj_cuda_forward_job *job,
                                              struct vj_cuda_forward_shared *s,
                                              struct vj_cuda_place at, unsigned thread)
{
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    size_t block = (size_t)at.x * VJ_CUDA_JPEG_BATCH + thread / 8;
    if (block >= job->g.blocks)
        return;
    int c = vj_cuda_component(&job->g, block);
    const struct vj_jpeg_component *component = &job->g.component[c];
    size_t y = (block - component->first) / component->across * 8 + thread % 8;
    size_t x = (block - component->first) % component->across * 8;
    int v[8];
    for (int k = 0; k < 8; k++)
        v[k] = vj_cuda_coded_sample(job, c, y, x + (size_t)k) - 128;
    vj_jpeg_fdct8(&cosines, v, 1);
    int *row = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8 * VJ_CUDA_WORK_ROW;
    for (int k = 0; k < 8; k++)
        row[k] = v[k];
}

/* Step 2: a column, transformed. */
static inline VJ_HD void vj_cuda_forward_columns(const struct vj_cuda_forward_job *job,
                                                 struct vj_cuda_forward_shared *s,
                                                 struct vj_cuda_place at, unsigned thread)
{
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    if ((size_t)at.x * VJ_CUDA_JPEG_BATCH + thread / 8 >= job->g.blocks)
        return;
    int *column = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8;
    int v[8];
    for (int k = 0; k < 8; k++)
        v[k] = column[k * VJ_CUDA_WORK_ROW];
    vj_jpeg_fdct8(&cosines, v, 2);
    for (int k = 0; k < 8; k++)
        column[k * VJ_CUDA_WORK_ROW] = v[k];
}

/* Step 3: a row, stored. */
static inline VJ_HD void vj_cuda_forward_store(const struct vj_cuda_forward_job *job,
                                               const struct vj_cuda_forward_shared *s,
                                               struct vj_cuda_place at, unsigned thread)
{
    size_t block = (size_t)at.x * VJ_CUDA_JPEG_BATCH + thread / 8;
    if (block >= job->g.blocks)
        return;
    const int *row = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8 * VJ_CUDA_WORK_ROW;
    __attribute__((aligned(16))) int16_t out[8];
    for (int k = 0; k < 8; k++)
        out[k] = (int16_t)row[k];
    vj_cuda_copy16(job->coefficients + block * 64 + thread % 8 * 8, out);
}

/* ---- Decoding ------------------------------------------------------------------------------ */

/*
 * Whole candidates or patches of them. The picture is cut into tiles of VJ_CUDA_TILE_WIDTH x
 * VJ_CUDA_TILE_HEIGHT pixels, or each patch is; a thread block decodes the blocks that its tile
 * depends on into shared memory, then up-samples and converts. Blocks along a tile's border are
 * decoded by its neighbours as well, which costs less than passing them on would.
 */
struct vj_cuda_decode_job {
    struct vj_jpeg_geometry g;
    const int16_t *coefficients;                /* [blocks][64] */
    const struct vj_jpeg_quantiser *quantisers; /* [101][2]: quality factor, table */
    const int32_t (*origin)[2];                 /* of patches; NULL: whole pictures */
    size_t patches, side;                       /* number and size of patches */
    uint8_t *out; /* [level][height][width][channels] or [level][patch][side][side][3] */
    struct vj_cuda_levels levels;
};

enum { VJ_CUDA_PLANE_STRIDE = VJ_CUDA_TILE_ACROSS * 8 };

/* A rectangle of pixels or of blocks. */
struct vj_cuda_rect {
    int y, x, height, width;
};

/* What one thread block makes. */
struct vj_cuda_tile {
    struct vj_cuda_rect pixels;   /* in the picture */
    struct vj_cuda_rect block[3]; /* blocks of each component that it depends on */
    int blocks;                   /* of all components */
    uint8_t *out;                 /* of its first pixel */
    size_t stride;                /* bytes from row to row of the output */
    int channels;                 /* of the output */
};

struct vj_cuda_decode_shared {
    int work[VJ_CUDA_JPEG_BATCH * VJ_CUDA_WORK_BLOCK];
    struct vj_jpeg_quantiser quantiser[2];
    struct vj_cuda_tile tile;
    /* Decoded samples; rows of blocks are stored eight bytes at a time. */
    __attribute__((aligned(16))) uint8_t plane[3][VJ_CUDA_TILE_DOWN * 8 * VJ_CUDA_PLANE_STRIDE];
};

static inline struct vj_cuda_grid vj_cuda_decode_grid(const struct vj_jpeg_geometry *g, int count)
{
    return vj_cuda_tile_grid(g->width, g->height, VJ_CUDA_TILE_WIDTH, VJ_CUDA_TILE_HEIGHT,
                             (size_t)count);
}

/* Patches along x, tiles of a patch along y. */
static inline struct vj_cuda_grid vj_cuda_patches_grid(size_t patches, size_t side, int count)
{
    struct vj_cuda_grid grid;
    grid.x = (unsigned)patches;
    grid.y = vj_cuda_patch_tiles_across(side) * vj_cuda_patch_tiles_down(side);
    grid.z = (unsigned)count;
    return grid;
}

/* First and last sample that `count` pixels from `first` depend on, in 4:2:0 chroma. */
static inline VJ_HD int vj_cuda_chroma_first(int first)
{
    return first ? (first - 1) / 2 : 0;
}

static inline VJ_HD int vj_cuda_chroma_last(int first, int count, size_t samples)
{
    return vj_cuda_min((first + count) / 2, (int)samples - 1);
}

static inline VJ_HD struct vj_cuda_rect vj_cuda_tile_blocks(const struct vj_jpeg_geometry *g, int c,
                                                            const struct vj_cuda_rect *pixels)
{
    int y0 = pixels->y, y1 = pixels->y + pixels->height - 1;
    int x0 = pixels->x, x1 = pixels->x + pixels->width - 1;
    if (c > 0 && g->factor == 2) {
        y0 = vj_cuda_chroma_first(y0);
        x0 = vj_cuda_chroma_first(x0);
        y1 = vj_cuda_chroma_last(pixels->y, pixels->height, g->component[c].height);
        x1 = vj_cuda_chroma_last(pixels->x, pixels->width, g->component[c].width);
    }
    struct vj_cuda_rect r;
    r.y = y0 / 8;
    r.x = x0 / 8;
    r.height = y1 / 8 - y0 / 8 + 1;
    r.width = x1 / 8 - x0 / 8 + 1;
    return r;
}

static inline VJ_HD void vj_cuda_picture_tile(const struct vj_cuda_decode_job *job,
                                              struct vj_cuda_place at, struct vj_cuda_tile *tile)
{
    const struct vj_jpeg_geometry *g = &job->g;
    size_t y = (size_t)at.y * VJ_CUDA_TILE_HEIGHT, x = (size_t)at.x * VJ_CUDA_TILE_WIDTH;
    tile->pixels.y = (int)y;
    tile->pixels.x = (int)x;
    tile->pixels.height = vj_cuda_min(VJ_CUDA_TILE_HEIGHT, (int)(g->height - y));
    tile->pixels.width = vj_cuda_min(VJ_CUDA_TILE_WIDTH, (int)(g->width - x));
    tile->channels = g->channels;
    tile->stride = g->width * (size_t)g->channels;
    tile->out = job->out + (at.z * g->height + y) * tile->stride + x * (size_t)g->channels;
}

static inline VJ_HD void vj_cuda_patch_tile(const struct vj_cuda_decode_job *job,
                                            struct vj_cuda_place at, struct vj_cuda_tile *tile)
{
    unsigned across = vj_cuda_patch_tiles_across(job->side);
    size_t y = (size_t)(at.y / across) * VJ_CUDA_TILE_HEIGHT;
    size_t x = (size_t)(at.y % across) * VJ_CUDA_TILE_WIDTH;
    tile->pixels.y = job->origin[at.x][0] + (int)y;
    tile->pixels.x = job->origin[at.x][1] + (int)x;
    tile->pixels.height = vj_cuda_min(VJ_CUDA_TILE_HEIGHT, (int)(job->side - y));
    tile->pixels.width = vj_cuda_min(VJ_CUDA_TILE_WIDTH, (int)(job->side - x));
    tile->channels = 3;
    tile->stride = job->side * 3;
    tile->out = job->out + ((at.z * job->patches + at.x) * job->side + y) * tile->stride + x * 3;
}

static inline VJ_HD void vj_cuda_tile_init(const struct vj_cuda_decode_job *job,
                                           struct vj_cuda_place at, struct vj_cuda_tile *tile)
{
    if (job->origin)
        vj_cuda_patch_tile(job, at, tile);
    else
        vj_cuda_picture_tile(job, at, tile);
    tile->blocks = 0;
    for (int c = 0; c < job->g.channels; c++) {
        tile->block[c] = vj_cuda_tile_blocks(&job->g, c, &tile->pixels);
        tile->blocks += tile->block[c].height * tile->block[c].width;
    }
}

/* Step 1: what the thread block makes, and the quantisers of its quality factor word by word. */
static inline VJ_HD void vj_cuda_decode_tables(const struct vj_cuda_decode_job *job,
                                               struct vj_cuda_decode_shared *s,
                                               struct vj_cuda_place at, unsigned thread)
{
    const size_t words = sizeof(s->quantiser) / 4;
    const uint8_t *from = (const uint8_t *)(job->quantisers + 2 * (size_t)job->levels.qf[at.z]);
    uint8_t *to = (uint8_t *)s->quantiser;
    for (size_t i = thread; i < words; i += VJ_CUDA_JPEG_THREADS)
        vj_cuda_copy4(to + 4 * i, from + 4 * i);
    if (thread == 0)
        vj_cuda_tile_init(job, at, &s->tile);
}

/* Where block number `index` of a tile lies: its component, and row and column among its blocks. */
struct vj_cuda_block_place {
    int component, row, column;
};

static inline VJ_HD struct vj_cuda_block_place vj_cuda_tile_block(const struct vj_cuda_tile *tile,
                                                                  int index)
{
    struct vj_cuda_block_place p;
    p.component = 0;
    while (index >= tile->block[p.component].height * tile->block[p.component].width) {
        index -= tile->block[p.component].height * tile->block[p.component].width;
        p.component++;
    }
    p.row = index / tile->block[p.component].width;
    p.column = index % tile->block[p.component].width;
    return p;
}

/* Steps 2, 3 and 4 are repeated for each batch; first: number of the batch's first block. */
static inline VJ_HD void vj_cuda_decode_requantise(const struct vj_cuda_decode_job *job,
                                                   struct vj_cuda_decode_shared *s, int first,
                                                   unsigned thread)
{
    const struct vj_cuda_tile *tile = &s->tile;
    int index = first + (int)(thread / 8);
    if (index >= tile->blocks)
        return;
    struct vj_cuda_block_place p = vj_cuda_tile_block(tile, index);
    const struct vj_jpeg_component *component = &job->g.component[p.component];
    size_t row = (size_t)(tile->block[p.component].y + p.row);
    size_t column = (size_t)(tile->block[p.component].x + p.column);
    size_t block = component->first + row * component->across + column;
    const struct vj_jpeg_quantiser *z = &s->quantiser[component->table];
    int line = (int)(thread % 8);
    __attribute__((aligned(16))) int16_t t[8];
    vj_cuda_copy16(t, job->coefficients + block * 64 + line * 8);
    int *to = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + line * VJ_CUDA_WORK_ROW;
    for (int k = 0; k < 8; k++)
        to[k] = vj_jpeg_quantise(t[k], z, 8 * line + k) * (int)z->q[8 * line + k];
}

/* Step 3: a column of the inverse transform. */
static inline VJ_HD void vj_cuda_decode_columns(struct vj_cuda_decode_shared *s, int first,
                                                unsigned thread)
{
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    if (first + (int)(thread / 8) >= s->tile.blocks)
        return;
    int *column = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8;
    int v[8];
    for (int k = 0; k < 8; k++)
        v[k] = column[k * VJ_CUDA_WORK_ROW];
    vj_jpeg_idct8(&cosines, v, 1);
    for (int k = 0; k < 8; k++)
        column[k * VJ_CUDA_WORK_ROW] = v[k];
}

/*
 * Step 4: a row of the inverse transform, to samples. The next batch's step 2 writes to the row
 * that the same thread reads here, so that no barrier is needed between the two.
 */
static inline VJ_HD void vj_cuda_decode_rows(struct vj_cuda_decode_shared *s, int first,
                                             unsigned thread)
{
    const struct vj_cuda_tile *tile = &s->tile;
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    int index = first + (int)(thread / 8);
    if (index >= tile->blocks)
        return;
    const int *row = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8 * VJ_CUDA_WORK_ROW;
    int v[8];
    for (int k = 0; k < 8; k++)
        v[k] = row[k];
    vj_jpeg_idct8(&cosines, v, 2);
    struct vj_cuda_block_place p = vj_cuda_tile_block(tile, index);
    uint8_t *out = s->plane[p.component] + (p.row * 8 + (int)(thread % 8)) * VJ_CUDA_PLANE_STRIDE +
                   p.column * 8;
    __attribute__((aligned(8))) uint8_t samples[8];
    for (int k = 0; k < 8; k++)
        samples[k] = vj_jpeg_sample((int16_t)v[k]);
    vj_cuda_copy8(out, samples);
}

/* Decoded sample (y, x) of component c; it must be one that the tile depends on. */
static inline VJ_HD int vj_cuda_tile_sample(const struct vj_cuda_decode_shared *s, int c, int y,
                                            int x)
{
    const struct vj_cuda_rect *block = &s->tile.block[c];
    return s->plane[c][(y - 8 * block->y) * VJ_CUDA_PLANE_STRIDE + x - 8 * block->x];
}

/* Chroma of pixel (y, x) in 4:2:0. */
static inline VJ_HD int vj_cuda_tile_chroma(const struct vj_jpeg_geometry *g,
                                            const struct vj_cuda_decode_shared *s, int c, int y,
                                            int x)
{
    int row = y / 2, column = x / 2;
    if (vj_jpeg_repeats_chroma(g->width))
        return vj_cuda_tile_sample(s, c, row, column);
    int last_row = (int)g->component[c].height - 1, last_column = (int)g->component[c].width - 1;
    int other_row = vj_cuda_clamp(y % 2 ? row + 1 : row - 1, 0, last_row);
    int other_column = vj_cuda_clamp(x % 2 ? column + 1 : column - 1, 0, last_column);
    int nearer = vj_jpeg_upsample_down(vj_cuda_tile_sample(s, c, row, column),
                                       vj_cuda_tile_sample(s, c, other_row, column));
    int farther = vj_jpeg_upsample_down(vj_cuda_tile_sample(s, c, row, other_column),
                                        vj_cuda_tile_sample(s, c, other_row, other_column));
    return x % 2 ? vj_jpeg_upsample_odd(nearer, farther) : vj_jpeg_upsample_even(nearer, farther);
}

/* Pixel (y, x) of the picture. */
static inline VJ_HD void vj_cuda_tile_pixel(const struct vj_jpeg_geometry *g,
                                            const struct vj_cuda_decode_shared *s, int y, int x,
                                            uint8_t rgb[3])
{
    int luma = vj_cuda_tile_sample(s, 0, y, x);
    if (g->channels == 1) {
        rgb[0] = rgb[1] = rgb[2] = (uint8_t)luma;
        return;
    }
    int cb, cr;
    if (g->factor == 2) {
        cb = vj_cuda_tile_chroma(g, s, 1, y, x);
        cr = vj_cuda_tile_chroma(g, s, 2, y, x);
    } else {
        cb = vj_cuda_tile_sample(s, 1, y, x);
        cr = vj_cuda_tile_sample(s, 2, y, x);
    }
    int16_t blue = (int16_t)(cb - 128), red = (int16_t)(cr - 128);
    rgb[0] = vj_jpeg_r((int16_t)luma, red);
    rgb[1] = vj_jpeg_g((int16_t)luma, blue, red);
    rgb[2] = vj_jpeg_b((int16_t)luma, blue);
}

/*
 * `count` of 12 bytes, in words where they lie on word boundaries. All indices are constants once
 * the loops are unrolled, so that a thread's bytes stay in registers.
 */
static inline VJ_HD void vj_cuda_store_bytes(uint8_t *out, const uint8_t bytes[12], int count)
{
    if (((uintptr_t)out | (unsigned)count) % 4 == 0) {
        for (int i = 0; i < 12; i += 4) {
            if (i < count)
                vj_cuda_copy4(out + i, bytes + i);
        }
        return;
    }
    for (int i = 0; i < 12; i++) {
        if (i < count)
            out[i] = bytes[i];
    }
}

/* Step 5: pixels, four in a row per thread; beyond the tile's end the last one is made again. */
static inline VJ_HD void vj_cuda_decode_store(const struct vj_cuda_decode_job *job,
                                              const struct vj_cuda_decode_shared *s,
                                              unsigned thread)
{
    const struct vj_cuda_tile *tile = &s->tile;
    int groups = (tile->pixels.width + 3) / 4;
    for (int i = (int)thread; i < groups * tile->pixels.height; i += VJ_CUDA_JPEG_THREADS) {
        int y = i / groups, x = i % groups * 4;
        int pixels = vj_cuda_min(4, tile->pixels.width - x);
        __attribute__((aligned(4))) uint8_t bytes[12];
        for (int k = 0; k < 4; k++) {
            uint8_t rgb[3];
            vj_cuda_tile_pixel(&job->g, s, tile->pixels.y + y,
                               tile->pixels.x + x + vj_cuda_min(k, pixels - 1), rgb);
            if (tile->channels == 1) {
                bytes[k] = rgb[0];
            } else {
                bytes[3 * k] = rgb[0];
                bytes[3 * k + 1] = rgb[1];
                bytes[3 * k + 2] = rgb[2];
            }
        }
        vj_cuda_store_bytes(tile->out + (size_t)y * tile->stride + x * tile->channels, bytes,
                            pixels * tile->channels);
    }
}

#ifdef __cplusplus
}
#endif

#endif
