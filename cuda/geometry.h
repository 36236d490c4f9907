/* SPDX-License-Identifier: MIT */
/*
 * Launch geometry of the kernels in plain C: tile sizes, grids, numbers of segments and partial
 * sums, memory layout. No CUDA in here, so that tests without a device can go through all of it.
 */
#ifndef VJ_CUDA_GEOMETRY_H
#define VJ_CUDA_GEOMETRY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "host/error.h"
#include "host/hostdevice.h"
#include "host/jpeg_model.h"
#include "host/quality.h"
#include "host/quality_math.h"
#include "host/ssimulacra2_score.h"

enum {
    VJ_CUDA_THREADS = 256,      /* of most kernels */
    VJ_CUDA_LEVELS = 101,       /* quality factors per call, at most */
    VJ_CUDA_MAX_GRID_Y = 65535, /* CUDA's limit for grid.y and grid.z */
    VJ_CUDA_SHARED = 48 * 1024, /* bytes of shared memory that any kernel may use */
};

/* Blocks of a launch. */
struct vj_cuda_grid {
    unsigned x, y, z;
};

/* A thread block's place in its grid. */
struct vj_cuda_place {
    unsigned x, y, z;
};

static inline VJ_HD size_t vj_cuda_blocks(size_t count, size_t per_block)
{
    return (count + per_block - 1) / per_block;
}

/* A grid of tiles over a plane, `depth` planes; the plane's height is below 65536 rows of tiles. */
static inline struct vj_cuda_grid vj_cuda_tile_grid(size_t width, size_t height, size_t tile_width,
                                                    size_t tile_height, size_t depth)
{
    struct vj_cuda_grid grid;
    grid.x = (unsigned)vj_cuda_blocks(width, tile_width);
    grid.y = (unsigned)vj_cuda_blocks(height, tile_height);
    grid.z = (unsigned)depth;
    return grid;
}

/* A one-dimensional grid, `depth` times. */
static inline struct vj_cuda_grid vj_cuda_line_grid(size_t count, size_t per_block, size_t depth)
{
    return vj_cuda_tile_grid(count, 1, per_block, 1, depth);
}

static inline VJ_HD int vj_cuda_min(int a, int b)
{
    return a < b ? a : b;
}

static inline VJ_HD int vj_cuda_clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* ---- Memory --------------------------------------------------------------------------------- */

/*
 * Device memory handed out front to back, on 256-byte boundaries as cudaMalloc() gives them. With
 * base NULL it only counts, so that one function serves to size an allocation and to lay it out.
 */
struct vj_cuda_arena {
    uint8_t *base;
    size_t used; /* bytes; SIZE_MAX after an overflow */
};

static inline void *vj_cuda_take(struct vj_cuda_arena *arena, size_t count, size_t size)
{
    size_t bytes, used;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - 255 ||
        __builtin_add_overflow(arena->used, (bytes + 255) / 256 * 256, &used)) {
        arena->used = SIZE_MAX;
        return NULL;
    }
    void *taken = arena->base ? arena->base + arena->used : NULL;
    arena->used = used;
    return taken;
}

/* What has been taken: bytes, or 0 after an overflow. */
static inline size_t vj_cuda_taken(const struct vj_cuda_arena *arena)
{
    return arena->used == SIZE_MAX ? 0 : arena->used;
}

/* ---- JPEG ----------------------------------------------------------------------------------- */

enum {
    /* Eight threads per 8x8 block, one per row or column. */
    VJ_CUDA_JPEG_THREADS = 256,
    VJ_CUDA_JPEG_BATCH = VJ_CUDA_JPEG_THREADS / 8,

    /* Decoding: pixels that one thread block makes. */
    VJ_CUDA_TILE_WIDTH = 64,
    VJ_CUDA_TILE_HEIGHT = 64,
    /* Most blocks that a tile anywhere depends on: one that begins within a block has one more. */
    VJ_CUDA_TILE_ACROSS = VJ_CUDA_TILE_WIDTH / 8 + 1,
    VJ_CUDA_TILE_DOWN = VJ_CUDA_TILE_HEIGHT / 8 + 1,

    /* Sizes: blocks in scan order that one thread block codes, a thread each. */
    VJ_CUDA_SEGMENT = 128,
    /* 32-bit words that a segment's bits can take: up to 7 bits of the byte that it starts in
     * belong to the segment before, and the last segment is padded with up to 7. */
    VJ_CUDA_SEGMENT_WORDS = (VJ_CUDA_SEGMENT * VJ_JPEG_MAX_BLOCK_BITS + 7 + 7 + 31) / 32,
    VJ_CUDA_SCAN_THREADS = 256, /* of the kernels that join a candidate's segments */
};

/* Quality factors of a call, by value in a kernel's parameters. */
struct vj_cuda_levels {
    uint8_t qf[VJ_CUDA_LEVELS];
};

/* Copies a list of quality factors; `capacity` is how many the object was created for. */
static inline int vj_cuda_levels_set(struct vj_cuda_levels *levels, const int *qf, int count,
                                     int capacity, struct vj_error *err)
{
    if (count < 1 || count > capacity || count > VJ_CUDA_LEVELS)
        return vj_fail(err, -EINVAL, "%d quality factors asked for, there is room for 1 to %d",
                       count, capacity < VJ_CUDA_LEVELS ? capacity : VJ_CUDA_LEVELS);
    for (int i = 0; i < count; i++) {
        if (qf[i] < 1 || qf[i] > 100)
            return vj_fail(err, -EINVAL, "JPEG quality factor %d: choose 1 to 100", qf[i]);
        levels->qf[i] = (uint8_t)qf[i];
    }
    return 0;
}

/* Blocks per MCU that an interleaved scan codes, and how many of them, the first ones, are luma. */
static inline VJ_HD int vj_cuda_scan_luma(const struct vj_jpeg_geometry *g)
{
    return g->factor * g->factor;
}

static inline VJ_HD int vj_cuda_scan_unit(const struct vj_jpeg_geometry *g)
{
    return vj_cuda_scan_luma(g) + g->channels - 1;
}

/* Blocks of the scan, dummies included. */
static inline VJ_HD size_t vj_cuda_scan_blocks(const struct vj_jpeg_geometry *g)
{
    return g->mcus_across * g->mcus_down * (size_t)vj_cuda_scan_unit(g);
}

/*
 * Most blocks of a scan that any picture up to this size can have. Dummies make that of a small
 * 4:2:0 picture longer than that of the same picture in 4:4:4.
 */
static inline size_t vj_cuda_max_scan_blocks(size_t max_width, size_t max_height, int channels,
                                             enum vj_subsampling sampling)
{
    struct vj_jpeg_geometry asked = vj_jpeg_geometry(max_width, max_height, channels, sampling);
    struct vj_jpeg_geometry halved =
        vj_jpeg_geometry(max_width, max_height, channels, VJ_SUBSAMPLING_420);
    size_t a = vj_cuda_scan_blocks(&asked), b = vj_cuda_scan_blocks(&halved);
    return a > b ? a : b;
}

/* Bytes of a file beside its scan: headers from SOI to SOS, and EOI. */
static inline int vj_cuda_jpeg_overhead(int channels)
{
    return (channels == 3 ? 623 : 328) + 2;
}

/* Tiles that cover a square patch. */
static inline VJ_HD unsigned vj_cuda_patch_tiles_across(size_t side)
{
    return (unsigned)vj_cuda_blocks(side, VJ_CUDA_TILE_WIDTH);
}

static inline VJ_HD unsigned vj_cuda_patch_tiles_down(size_t side)
{
    return (unsigned)vj_cuda_blocks(side, VJ_CUDA_TILE_HEIGHT);
}

/* Refuses numbers and sizes of patches that no launch or picture has room for. */
static inline int vj_cuda_check_patches(size_t patches, size_t side, size_t width, size_t height,
                                        struct vj_error *err)
{
    if (side < 1 || side > width || side > height)
        return vj_fail(err, -EINVAL, "patches of %zu pixels: the picture has %zu x %zu", side,
                       width, height);
    if (vj_cuda_blocks(side * side, VJ_CUDA_THREADS) > VJ_CUDA_MAX_GRID_Y)
        return vj_fail(err, -EINVAL, "patches of %zu pixels: a device takes at most 4095", side);
    if (patches > INT32_MAX)
        return vj_fail(err, -EINVAL, "%zu patches: a device takes at most %d per call", patches,
                       INT32_MAX);
    return 0;
}

/*
 * Refuses patches that do not lie within the picture; for origins still in host memory.
 * origin: [patches][2], y and x
 */
static inline int vj_cuda_check_origins(const int32_t (*origin)[2], size_t patches, size_t side,
                                        size_t width, size_t height, struct vj_error *err)
{
    int rc = vj_cuda_check_patches(patches, side, width, height, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < patches; i++) {
        /* A negative origin turns into a huge one, which is refused alike. */
        size_t y = (size_t)origin[i][0], x = (size_t)origin[i][1];
        if (y > height - side || x > width - side)
            return vj_fail(err, -EINVAL,
                           "patch %zu of %zu: %zu x %zu pixels at x %d, y %d are not within the "
                           "picture of %zu x %zu",
                           i + 1, patches, side, side, (int)origin[i][1], (int)origin[i][0], width,
                           height);
    }
    return 0;
}

/* ---- Pixel-JND ------------------------------------------------------------------------------ */

enum {
    VJ_CUDA_JND_WIDTH = 32, /* map tile: a pixel per thread */
    VJ_CUDA_JND_HEIGHT = 8,

    VJ_CUDA_CANNY_WIDTH = 32, /* gradient tile: two pixels per thread */
    VJ_CUDA_CANNY_HEIGHT = 16,
};

/* ---- Quality -------------------------------------------------------------------------------- */

enum {
    VJ_CUDA_QUALITY_BATCH = 32, /* candidates in work at a time: planes are held for so many; a
                                   ring's 21 of 1080p are one batch */

    VJ_CUDA_QUAD_WIDTH = 32, /* differences: 2x2 pixels per thread, and so many times */
    VJ_CUDA_QUAD_HEIGHT = 8,
    VJ_CUDA_QUAD_STEPS = 4,
    VJ_CUDA_QUAD_ROWS = 2 * VJ_CUDA_QUAD_HEIGHT * VJ_CUDA_QUAD_STEPS, /* of pixels */

    VJ_CUDA_VARIANCE_WIDTH = 32, /* variances of the reference: two windows per thread */
    VJ_CUDA_VARIANCE_HEIGHT = 16,

    /* Windows: a thread goes down a column of samples, and sums up windows side by side. */
    VJ_CUDA_WINDOW_THREADS = 128,
    VJ_CUDA_WINDOW_STEP = 4, /* rows of windows at a time, and windows of a thread in each */
    VJ_CUDA_WINDOW_WIDTH =
        (VJ_CUDA_WINDOW_THREADS - VJ_SSIM_MARGIN) / VJ_CUDA_WINDOW_STEP * VJ_CUDA_WINDOW_STEP,
    VJ_CUDA_WINDOW_HEIGHT = 32,
};

/* Integer sums over one candidate, from which its quality follows. */
struct vj_cuda_quality_sums {
    uint64_t samples_squared;            /* of differences of samples */
    uint64_t luma_squared;               /* of differences of luma, thousandths^2 */
    int64_t contrast[VJ_MS_SSIM_SCALES]; /* losses by vj_ssim_fixed(), all windows of a scale */
    int64_t joint[VJ_MS_SSIM_SCALES];
};

/* What the quality of a picture of this size is computed on. */
struct vj_cuda_quality_shape {
    size_t width, height;
    int channels;
    int which;  /* VJ_QUALITY_* */
    int scales; /* 0 (PSNR only, or the picture is too small), 1 or 5 */
};

static inline struct vj_cuda_quality_shape vj_cuda_quality_shape(size_t width, size_t height,
                                                                 int channels, int which)
{
    size_t side = width < height ? width : height;
    struct vj_cuda_quality_shape shape;
    shape.width = width;
    shape.height = height;
    shape.channels = channels;
    shape.which = which;
    shape.scales = 0;
    if ((which & VJ_QUALITY_MS_SSIM) && side >= VJ_MS_SSIM_MIN_SIDE)
        shape.scales = VJ_MS_SSIM_SCALES;
    else if ((which & VJ_QUALITY_SSIM) && side >= VJ_SSIM_TAPS)
        shape.scales = 1;
    return shape;
}

/* Thread blocks of the difference kernel, and of those of variances and windows at a scale. */
static inline struct vj_cuda_grid vj_cuda_quad_grid(size_t width, size_t height, size_t depth)
{
    return vj_cuda_tile_grid(width, height, 2 * VJ_CUDA_QUAD_WIDTH, VJ_CUDA_QUAD_ROWS, depth);
}

static inline struct vj_cuda_grid vj_cuda_variance_grid(size_t width, size_t height, int scale)
{
    return vj_cuda_tile_grid((width >> scale) - VJ_SSIM_MARGIN, (height >> scale) - VJ_SSIM_MARGIN,
                             VJ_CUDA_VARIANCE_WIDTH, VJ_CUDA_VARIANCE_HEIGHT, 1);
}

static inline struct vj_cuda_grid vj_cuda_window_grid(size_t width, size_t height, int scale,
                                                      size_t depth)
{
    return vj_cuda_tile_grid((width >> scale) - VJ_SSIM_MARGIN, (height >> scale) - VJ_SSIM_MARGIN,
                             VJ_CUDA_WINDOW_WIDTH, VJ_CUDA_WINDOW_HEIGHT, depth);
}

/* Thread blocks per plane of a grid. */
static inline size_t vj_cuda_grid_plane(struct vj_cuda_grid grid)
{
    return (size_t)grid.x * grid.y;
}

/* ---- SSIMULACRA2 ---------------------------------------------------------------------------- */

enum {
    VJ_CUDA_MOMENT_WIDTH = 32, /* moments of the original: a pixel per thread */
    VJ_CUDA_MOMENT_HEIGHT = 8,

    /* Exact maps: strips of columns, from top to bottom; those at the sides are read only. */
    VJ_CUDA_STRIP_COLUMNS = 128,
    VJ_CUDA_STRIP_THREADS = VJ_SSIMULACRA2_CHANNELS * VJ_CUDA_STRIP_COLUMNS,
    VJ_CUDA_STRIP_WIDTH = VJ_CUDA_STRIP_COLUMNS - 2 * VJ_SSIMULACRA2_REACH,
    VJ_CUDA_STRIP_STEP = VJ_SSIMULACRA2_CHANNELS, /* rows at a time */

    VJ_CUDA_PARITY_PRODUCTS = 3, /* planes per channel that parity mode filters */

    VJ_CUDA_TOTAL_THREADS = 32, /* of which one per channel and term adds up columns */
};

/* Bytes that planes of the candidates in work take at most, unless one candidate takes more. Parity
 * mode has a thread for a row or column, so that it takes several candidates to fill a card. */
#define VJ_CUDA_SSIMULACRA2_BYTES        ((size_t)256 << 20)
#define VJ_CUDA_SSIMULACRA2_PARITY_BYTES ((size_t)1 << 30)

/* The scales of a picture, and where each begins in arrays that hold all of them. */
struct vj_cuda_ssimulacra2_shape {
    int scales; /* 0: too small a picture */
    size_t width[VJ_SSIMULACRA2_SCALES], height[VJ_SSIMULACRA2_SCALES];
    size_t pixel[VJ_SSIMULACRA2_SCALES];  /* in planes */
    size_t column[VJ_SSIMULACRA2_SCALES]; /* in rows */
    size_t pixels, columns;               /* of all scales */
};

static inline struct vj_cuda_ssimulacra2_shape vj_cuda_ssimulacra2_shape(size_t width,
                                                                         size_t height)
{
    struct vj_cuda_ssimulacra2_shape shape = {
        vj_ssimulacra2_scales(width, height), {0}, {0}, {0}, {0}, 0, 0};
    for (int s = 0; s < shape.scales; s++) {
        shape.width[s] = width;
        shape.height[s] = height;
        shape.pixel[s] = shape.pixels;
        shape.column[s] = shape.columns;
        shape.pixels += width * height;
        shape.columns += width;
        width = vj_ssimulacra2_half(width);
        height = vj_ssimulacra2_half(height);
    }
    return shape;
}

/* Pixels of the planes that hold the linear light of all scales but the first. */
static inline VJ_HD size_t vj_cuda_ssimulacra2_lights(const struct vj_cuda_ssimulacra2_shape *shape)
{
    return shape->pixels - shape->width[0] * shape->height[0];
}

/*
 * Bytes of the planes of a candidate in work: linear light of all scales but the first and, in
 * parity mode, of the largest scale X, Y, B and products filtered along their rows.
 */
static inline size_t vj_cuda_ssimulacra2_planes(const struct vj_cuda_ssimulacra2_shape *most,
                                                enum vj_ssimulacra2_mode mode)
{
    size_t planes = 3 * vj_cuda_ssimulacra2_lights(most);
    if (mode == VJ_SSIMULACRA2_PARITY)
        planes += (size_t)(VJ_SSIMULACRA2_CHANNELS * (1 + VJ_CUDA_PARITY_PRODUCTS)) *
                  most->width[0] * most->height[0];
    return planes * sizeof(float);
}

/* Candidates in work at a time: as many as those bytes hold, at least one. */
static inline int vj_cuda_ssimulacra2_batch(const struct vj_cuda_ssimulacra2_shape *most,
                                            enum vj_ssimulacra2_mode mode, int levels)
{
    size_t one = vj_cuda_ssimulacra2_planes(most, mode);
    size_t bytes = mode == VJ_SSIMULACRA2_PARITY ? VJ_CUDA_SSIMULACRA2_PARITY_BYTES
                                                 : VJ_CUDA_SSIMULACRA2_BYTES;
    size_t fit = one ? bytes / one : (size_t)levels;
    return fit < 1 ? 1 : fit < (size_t)levels ? (int)fit : levels;
}

/* How many of `left` to take next, so that parts of at most `most` are about equal. */
static inline int vj_cuda_even_part(int left, int most)
{
    int parts = (left + most - 1) / most;
    return (left + parts - 1) / parts;
}

/* Thread blocks side by side on one scale. */
static inline VJ_HD unsigned vj_cuda_strips(const struct vj_cuda_ssimulacra2_shape *shape,
                                            int scale)
{
    return (unsigned)vj_cuda_blocks(shape->width[scale], VJ_CUDA_STRIP_WIDTH);
}

/* All strips of all scales, of `count` candidates. */
static inline struct vj_cuda_grid vj_cuda_strip_grid(const struct vj_cuda_ssimulacra2_shape *shape,
                                                     size_t count)
{
    struct vj_cuda_grid grid = {0, 1, (unsigned)count};
    for (int s = 0; s < shape->scales; s++)
        grid.x += vj_cuda_strips(shape, s);
    return grid;
}

#ifdef __cplusplus
}
#endif

#endif
