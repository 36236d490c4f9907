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

/* ---- Quantisation -------------------------------------------------------------------------- */

/*
 * A quantisation step, ready to divide by (struct vj_jpeg_quantiser): the level of a coefficient t
 * is (|t| + half) * mul >> shift, 0 while |t| < half. The product is below 2^29.
 */
struct vj_cuda_step {
    uint32_t divide; /* half << 16 | mul */
    uint32_t scale;  /* shift << 16 | q */
};

/* Steps of a table, natural order. */
struct vj_cuda_steps {
    struct vj_cuda_step step[64];
};

/* table: 0 luma, 1 chroma; quality factor 1..100. Host only. */
static inline void vj_cuda_steps_init(struct vj_cuda_steps *steps, int table, int qf)
{
    struct vj_jpeg_quantiser z;
    vj_jpeg_quantiser_init(&z, table, qf);
    for (int k = 0; k < 64; k++) {
        uint32_t shift = 31; /* post is 2^(31 - shift) */
        while (z.post[k] >> (31 - shift) > 1)
            shift--;
        steps->step[k].divide = (uint32_t)z.half[k] << 16 | z.mul[k];
        steps->step[k].scale = shift << 16 | z.q[k];
    }
}

static inline VJ_HD int vj_cuda_magnitude(int t)
{
    return t < 0 ? -t : t;
}

static inline VJ_HD bool vj_cuda_is_zero(int t, const struct vj_cuda_step *step)
{
    return vj_cuda_magnitude(t) < (int)(step->divide >> 16);
}

/* As vj_jpeg_quantise(). */
static inline VJ_HD int vj_cuda_level(int t, const struct vj_cuda_step *step)
{
    const unsigned n = (unsigned)vj_cuda_magnitude(t) + (step->divide >> 16);
    const int level = (int)(n * (step->divide & 0xffff) >> (step->scale >> 16));
    return t < 0 ? -level : level;
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
    const int16_t *coefficients;       /* [blocks][64] */
    const struct vj_cuda_steps *steps; /* [101][2]: quality factor, table */
    const int32_t (*origin)[2];        /* of patches; NULL: whole pictures */
    size_t patches, side;              /* number and size of patches */
    uint8_t *out; /* [level][height][width][channels] or [level][patch][side][side][3] */
    struct vj_cuda_levels levels;
};

enum {
    VJ_CUDA_PLANE_STRIDE = VJ_CUDA_TILE_ACROSS * 8,
    VJ_CUDA_PLANE = VJ_CUDA_TILE_DOWN * 8 * VJ_CUDA_PLANE_STRIDE,
    VJ_CUDA_TILE_BLOCKS = 3 * VJ_CUDA_TILE_DOWN * VJ_CUDA_TILE_ACROSS,
    VJ_CUDA_TILE_GROUPS = VJ_CUDA_TILE_WIDTH / 4, /* a row's pixels in fours */
};

/* A rectangle of pixels or of blocks. */
struct vj_cuda_rect {
    int y, x, height, width;
};

/* What one thread block makes. */
struct vj_cuda_tile {
    struct vj_cuda_rect pixels;   /* in the picture */
    struct vj_cuda_rect block[3]; /* blocks of each component that it depends on */
    int end[2];                   /* blocks of the first component, and of all */
    uint8_t *out;                 /* of its first pixel */
    size_t stride;                /* bytes from row to row of the output */
    int channels;                 /* of the output */
};

/* A block of a tile: its number in the picture, and where its first sample goes. */
struct vj_cuda_block_place {
    uint32_t block, sample;
};

struct vj_cuda_decode_shared {
    int work[VJ_CUDA_JPEG_BATCH * VJ_CUDA_WORK_BLOCK];
    struct vj_cuda_tile tile;
    struct vj_cuda_block_place place[VJ_CUDA_TILE_BLOCKS];
    /* Decoded samples of each component; rows of blocks are stored eight bytes at a time. */
    __attribute__((aligned(16))) uint8_t plane[3 * VJ_CUDA_PLANE];
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

/* Step 1: what the thread block makes. */
static inline VJ_HD void vj_cuda_decode_tile(const struct vj_cuda_decode_job *job,
                                             struct vj_cuda_decode_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    struct vj_cuda_tile *tile = &s->tile;
    if (thread)
        return;
    if (job->origin)
        vj_cuda_patch_tile(job, at, tile);
    else
        vj_cuda_picture_tile(job, at, tile);
    int blocks = 0;
    for (int c = 0; c < job->g.channels; c++) {
        tile->block[c] = vj_cuda_tile_blocks(&job->g, c, &tile->pixels);
        blocks += tile->block[c].height * tile->block[c].width;
        tile->end[c > 0] = blocks;
    }
    if (job->g.channels == 1)
        tile->end[1] = blocks;
}

/* Step 2: where the tile's blocks are. */
static inline VJ_HD void vj_cuda_decode_places(const struct vj_cuda_decode_job *job,
                                               struct vj_cuda_decode_shared *s, unsigned thread)
{
    const struct vj_cuda_tile *tile = &s->tile;
    for (int i = (int)thread; i < tile->end[1]; i += VJ_CUDA_JPEG_THREADS) {
        int c = 0, index = i;
        while (index >= tile->block[c].height * tile->block[c].width) {
            index -= tile->block[c].height * tile->block[c].width;
            c++;
        }
        const struct vj_cuda_rect *block = &tile->block[c];
        const struct vj_jpeg_component *component = &job->g.component[c];
        const int row = index / block->width, column = index % block->width;
        s->place[i].block =
            (uint32_t)(component->first + (size_t)(block->y + row) * component->across +
                       (size_t)(block->x + column));
        s->place[i].sample =
            (uint32_t)(c * VJ_CUDA_PLANE + row * 8 * VJ_CUDA_PLANE_STRIDE + column * 8);
    }
}

/* Steps of a row of a table, which a thread keeps for all of its blocks. */
struct vj_cuda_decode_thread {
    struct vj_cuda_step step[8];
};

/* Step 3, for each table. */
static inline VJ_HD void vj_cuda_decode_steps(const struct vj_cuda_decode_job *job,
                                              struct vj_cuda_decode_thread *own,
                                              struct vj_cuda_place at, int table, unsigned thread)
{
    const struct vj_cuda_steps *steps = job->steps + 2 * (size_t)job->levels.qf[at.z] + table;
    VJ_UNROLL
    for (int k = 0; k < 8; k++)
        vj_cuda_copy8(&own->step[k], &steps->step[thread % 8 * 8 + (unsigned)k]);
}

/*
 * Steps 4, 5 and 6 are repeated until the table's blocks are done, block number `index` of the tile
 * by eight threads of one warp.
 */
static inline VJ_HD void vj_cuda_decode_requantise(const struct vj_cuda_decode_job *job,
                                                   struct vj_cuda_decode_shared *s,
                                                   const struct vj_cuda_decode_thread *own,
                                                   int index, unsigned thread)
{
    int line = (int)(thread % 8);
    __attribute__((aligned(16))) int16_t t[8];
    vj_cuda_copy16(t, job->coefficients + (size_t)s->place[index].block * 64 + line * 8);
    int *to = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + line * VJ_CUDA_WORK_ROW;
    VJ_UNROLL
    for (int k = 0; k < 8; k++)
        to[k] = vj_cuda_level(t[k], &own->step[k]) * (int)(own->step[k].scale & 0xffff);
}

/* Step 5: a column of the inverse transform. */
static inline VJ_HD void vj_cuda_decode_columns(struct vj_cuda_decode_shared *s, unsigned thread)
{
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    int *column = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8;
    int v[8];
    for (int k = 0; k < 8; k++)
        v[k] = column[k * VJ_CUDA_WORK_ROW];
    vj_jpeg_idct8(&cosines, v, 1);
    for (int k = 0; k < 8; k++)
        column[k * VJ_CUDA_WORK_ROW] = v[k];
}

/* Four samples 0..255, the first one lowest. */
static inline VJ_HD uint32_t vj_cuda_pack(int a, int b, int c, int d)
{
    return (uint32_t)a | (uint32_t)b << 8 | (uint32_t)c << 16 | (uint32_t)d << 24;
}

/*
 * Step 6: a row of the inverse transform, to samples. The next step 4 writes to the row that the
 * same thread reads here, so that nothing has to be waited for between the two.
 */
static inline VJ_HD void vj_cuda_decode_rows(struct vj_cuda_decode_shared *s, int index,
                                             unsigned thread)
{
    const struct vj_jpeg_cosines cosines = vj_jpeg_cosines();
    const int *row = s->work + thread / 8 * VJ_CUDA_WORK_BLOCK + thread % 8 * VJ_CUDA_WORK_ROW;
    int v[8];
    for (int k = 0; k < 8; k++)
        v[k] = row[k];
    vj_jpeg_idct8(&cosines, v, 2);
    for (int k = 0; k < 8; k++)
        v[k] = vj_cuda_clamp(v[k] + 128, 0, 255);
    __attribute__((aligned(8))) const uint32_t samples[2] = {vj_cuda_pack(v[0], v[1], v[2], v[3]),
                                                             vj_cuda_pack(v[4], v[5], v[6], v[7])};
    vj_cuda_copy8(s->plane + s->place[index].sample + thread % 8 * VJ_CUDA_PLANE_STRIDE, samples);
}

/*
 * Four pixels of a row, x .. x + 3 of the picture, those beyond the tile's end being its last
 * one's: their columns in the plane of luma, and those of the chroma samples that they depend on.
 * In 4:2:0 these are (x - 1) / 2 and three more, within the plane.
 */
struct vj_cuda_four {
    int luma[4], chroma[4];
    bool filtered, odd; /* whether chroma is up-sampled by the filter; whether x is odd */
};

static inline VJ_HD struct vj_cuda_four vj_cuda_four_pixels(const struct vj_jpeg_geometry *g,
                                                            const struct vj_cuda_tile *tile, int x)
{
    struct vj_cuda_four f;
    const int left = 8 * tile->block[1].x;
    f.filtered = g->channels == 3 && g->factor == 2 && !vj_jpeg_repeats_chroma(g->width);
    f.odd = (tile->pixels.x + x) % 2;
    VJ_UNROLL
    for (int k = 0; k < 4; k++) {
        const int pixel = tile->pixels.x + vj_cuda_min(x + k, tile->pixels.width - 1);
        f.luma[k] = pixel - 8 * tile->block[0].x;
        f.chroma[k] = 0;
        if (f.filtered)
            f.chroma[k] = vj_cuda_clamp((tile->pixels.x + x + 1) / 2 - 1 + k, 0,
                                        vj_cuda_chroma_last(tile->pixels.x, tile->pixels.width,
                                                            g->component[1].width)) -
                          left;
        else if (g->channels == 3)
            f.chroma[k] = pixel / g->factor - left;
    }
    return f;
}

/* Chroma less 128 of four pixels from four samples of a row, or results of the step down columns.
 */
static inline VJ_HD void vj_cuda_four_chroma(const struct vj_cuda_four *f, const int v[4],
                                             int out[4])
{
    VJ_UNROLL
    for (int k = 0; k < 4; k++)
        out[k] = v[k] - 128;
    if (!f->filtered)
        return;
    const int all[5] = {
        vj_jpeg_upsample_odd(v[0], v[1]), vj_jpeg_upsample_even(v[1], v[0]),
        vj_jpeg_upsample_odd(v[1], v[2]), vj_jpeg_upsample_even(v[2], v[1]),
        vj_jpeg_upsample_odd(v[2], v[3]),
    };
    VJ_UNROLL
    for (int k = 0; k < 4; k++)
        out[k] = (f->odd ? all[k] : all[k + 1]) - 128;
}

/* As vj_jpeg_r(), vj_jpeg_g() and vj_jpeg_b(), in 32 bits, which a device has its units for. */
static inline VJ_HD void vj_cuda_rgb(int y, int cb, int cr, int rgb[3])
{
    rgb[0] = vj_cuda_clamp(y + ((91881 * cr + 32768) >> 16), 0, 255);
    rgb[1] = vj_cuda_clamp(y + ((-22554 * cb - 46802 * cr + 32768) >> 16), 0, 255);
    rgb[2] = vj_cuda_clamp(y + ((116130 * cb + 32768) >> 16), 0, 255);
}

/* The first `count` bytes of three words, a word at a time where both lie on word boundaries. */
static inline VJ_HD void vj_cuda_store_bytes(uint8_t *out, const uint32_t words[3], int count)
{
    if (((uintptr_t)out | (unsigned)count) % 4 == 0) {
        VJ_UNROLL
        for (int i = 0; i < 3; i++) {
            if (4 * i < count)
                vj_cuda_copy4(out + 4 * i, &words[i]);
        }
        return;
    }
    VJ_UNROLL
    for (int i = 0; i < 12; i++) {
        if (i < count)
            out[i] = (uint8_t)(words[i / 4] >> (i % 4 * 8));
    }
}

/* Four pixels of row y of the picture. cb, cr: less 128; unused for grey */
static inline VJ_HD void vj_cuda_store_four(const struct vj_jpeg_geometry *g,
                                            const struct vj_cuda_decode_shared *s,
                                            const struct vj_cuda_four *f, int y, int x,
                                            const int cb[4], const int cr[4])
{
    const struct vj_cuda_tile *tile = &s->tile;
    const uint8_t *luma = s->plane + (y - 8 * tile->block[0].y) * VJ_CUDA_PLANE_STRIDE;
    int rgb[4][3];
    VJ_UNROLL
    for (int k = 0; k < 4; k++) {
        rgb[k][0] = rgb[k][1] = rgb[k][2] = luma[f->luma[k]];
        if (g->channels == 3)
            vj_cuda_rgb(luma[f->luma[k]], cb[k], cr[k], rgb[k]);
    }
    uint32_t words[3] = {vj_cuda_pack(rgb[0][0], rgb[1][0], rgb[2][0], rgb[3][0]), 0, 0};
    if (tile->channels == 3) {
        words[0] = vj_cuda_pack(rgb[0][0], rgb[0][1], rgb[0][2], rgb[1][0]);
        words[1] = vj_cuda_pack(rgb[1][1], rgb[1][2], rgb[2][0], rgb[2][1]);
        words[2] = vj_cuda_pack(rgb[2][2], rgb[3][0], rgb[3][1], rgb[3][2]);
    }
    vj_cuda_store_bytes(tile->out + (size_t)(y - tile->pixels.y) * tile->stride +
                            x * tile->channels,
                        words, vj_cuda_min(4, tile->pixels.width - x) * tile->channels);
}

/* The samples of chroma that rows 2p + 1 and 2p + 2 of a tile depend on. */
static inline VJ_HD void vj_cuda_pair_samples(const struct vj_jpeg_geometry *g,
                                              const struct vj_cuda_decode_shared *s,
                                              const struct vj_cuda_four *four, int p,
                                              int sample[2][2][4])
{
    const struct vj_cuda_rect *pixels = &s->tile.pixels;
    VJ_UNROLL
    for (int row = 0; row < 2; row++) {
        const int y = g->factor == 2 ? vj_cuda_clamp(p + row, 0, (int)g->component[1].height - 1)
                                     : vj_cuda_clamp(2 * p + 1 + row, pixels->y,
                                                     pixels->y + pixels->height - 1);
        const uint8_t *from =
            s->plane + VJ_CUDA_PLANE + (y - 8 * s->tile.block[1].y) * VJ_CUDA_PLANE_STRIDE;
        VJ_UNROLL
        for (int k = 0; k < 4; k++) {
            sample[0][row][k] = from[four->chroma[k]];
            sample[1][row][k] = from[VJ_CUDA_PLANE + four->chroma[k]];
        }
    }
}

/*
 * Step 7: pixels, per thread four in each of the rows 2p + 1 and 2p + 2 of the picture, which in
 * 4:2:0 depend on the rows p and p + 1 of chroma.
 */
static inline VJ_HD void vj_cuda_decode_store(const struct vj_cuda_decode_job *job,
                                              const struct vj_cuda_decode_shared *s,
                                              unsigned thread)
{
    const struct vj_jpeg_geometry *g = &job->g;
    const struct vj_cuda_tile *tile = &s->tile;
    const int x = (int)(thread % VJ_CUDA_TILE_GROUPS) * 4, first = tile->pixels.y;
    if (x >= tile->pixels.width)
        return;
    const struct vj_cuda_four four = vj_cuda_four_pixels(g, tile, x);
    for (int p = (first + 1) / 2 - 1 + (int)(thread / VJ_CUDA_TILE_GROUPS);
         2 * p + 1 < first + tile->pixels.height; p += VJ_CUDA_JPEG_THREADS / VJ_CUDA_TILE_GROUPS) {
        int sample[2][2][4] = {{{0}}}; /* of a component in row 0 or 1 */
        if (g->channels == 3)
            vj_cuda_pair_samples(g, s, &four, p, sample);
        VJ_UNROLL
        for (int row = 0; row < 2; row++) {
            const int y = 2 * p + 1 + row;
            int chroma[2][4];
            if (y < first || y >= first + tile->pixels.height)
                continue;
            VJ_UNROLL
            for (int c = 0; c < 2; c++) {
                int v[4];
                VJ_UNROLL
                for (int k = 0; k < 4; k++)
                    v[k] = four.filtered
                               ? vj_jpeg_upsample_down(sample[c][row][k], sample[c][!row][k])
                               : sample[c][row][k];
                vj_cuda_four_chroma(&four, v, chroma[c]);
            }
            vj_cuda_store_four(g, s, &four, y, x, chroma[0], chroma[1]);
        }
    }
}

#ifdef __cplusplus
}
#endif

#endif
