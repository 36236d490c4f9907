/* SPDX-License-Identifier: MIT */
/*
 * Two passes at once go through the picture in tiles. A thread copies a tile and as many pixels
 * around it as there are iterations, iterates on what each iteration leaves known (a pixel less on
 * each side), and writes the tile itself to the other copy of the state. So the many iterations run
 * in the cache, and tiles need nothing of each other meanwhile.
 */
#include "host/tvl1.h"

#include <omp.h>
#include <string.h>

#include "host/simd.h"
#include "host/tvl1_math.h"

enum {
    SWEEP = 2, /* passes that a tile goes through at once */
    HALO = SWEEP * VJ_TVL1_ITERATIONS,
    TILE_WIDTH = 352,
    TILE_HEIGHT = 96,
    ACROSS = TILE_WIDTH + 2 * HALO,
    DOWN = TILE_HEIGHT + 2 * HALO,
    AREA = ACROSS * DOWN,
};

/* Planes of a thread's tile; zeros beyond the picture. */
enum { PICTURE, PIXEL, AHEAD, RIGHT, BELOW, PLANES };

_Static_assert(VJ_TVL1_PASSES % SWEEP == 0, "no sweep is incomplete");

/* Planes of the state. */
enum { STATE_PIXEL, STATE_RIGHT, STATE_BELOW, STATES };

struct tile {
    float *plane[PLANES];
    ptrdiff_t top, left; /* of plane[][0] in the picture */
    /* Rows and columns of the planes that lie in the picture. */
    ptrdiff_t first_row, rows, first_column, columns;
};

struct vj_tvl1 vj_tvl1_take(struct vj_jnd_arena *arena, size_t width, size_t height, int threads)
{
    struct vj_tvl1 t = {.width = width, .height = height, .threads = threads};
    for (int i = 0; i < 2; i++)
        t.state[i] = vj_jnd_take(arena, height, width * STATES * sizeof(float));
    t.tile = vj_jnd_take(arena, (size_t)threads, PLANES * AREA * sizeof(float));
    return t;
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b)
{
    return a > b ? a : b;
}

/* Tile number i, its planes in the thread's memory. */
static struct tile tile_at(const struct vj_tvl1 *t, size_t i, float *memory)
{
    size_t across = (t->width + TILE_WIDTH - 1) / TILE_WIDTH;
    ptrdiff_t width = (ptrdiff_t)t->width, height = (ptrdiff_t)t->height;
    struct tile tile = {.top = (ptrdiff_t)(i / across) * TILE_HEIGHT - HALO,
                        .left = (ptrdiff_t)(i % across) * TILE_WIDTH - HALO};
    for (int k = 0; k < PLANES; k++)
        tile.plane[k] = memory + (ptrdiff_t)k * AREA;
    tile.first_row = most(-tile.top, 0);
    tile.first_column = most(-tile.left, 0);
    tile.rows = least(height - tile.top, DOWN);
    tile.columns = least(width - tile.left, ACROSS);
    return tile;
}

/* Copies what the picture has of a tile; before the first sweep there is no state yet. */
static void load(const struct vj_tvl1 *t, const uint8_t *luma, const float *state,
                 const struct tile *tile)
{
    static const int plane_of[STATES] = {PIXEL, RIGHT, BELOW};
    memset(tile->plane[0], 0, PLANES * AREA * sizeof(float));
    size_t n = (size_t)(tile->columns - tile->first_column), pixels = t->width * t->height;
    for (ptrdiff_t y = tile->first_row; y < tile->rows; y++) {
        ptrdiff_t at = y * ACROSS + tile->first_column;
        size_t p = (size_t)(tile->top + y) * t->width + (size_t)(tile->left + tile->first_column);
        for (size_t x = 0; x < n; x++)
            tile->plane[PICTURE][at + (ptrdiff_t)x] = luma[p + x];
        if (!state) {
            memcpy(tile->plane[PIXEL] + at, tile->plane[PICTURE] + at, n * sizeof(float));
            continue;
        }
        for (int k = 0; k < STATES; k++)
            memcpy(tile->plane[plane_of[k]] + at, state + (size_t)k * pixels + p,
                   n * sizeof(float));
    }
}

/* n pixels of a row; pointers are to the first of them. */
VJ_SIMD static void move_pixels(const float *f, const float *right, const float *below, size_t n,
                                const struct vj_tvl1_step *step, float *restrict u,
                                float *restrict ahead)
{
    const float *left = right - 1, *above = below - ACROSS;
    for (size_t i = 0; i < n; i++) {
        float now = vj_tvl1_pixel(u[i], f[i], left[i], right[i], above[i], below[i], step);
        ahead[i] = vj_tvl1_ahead(now, u[i]);
        u[i] = now;
    }
}

/* n dual values of a row; second: the other pixels of the pairs. */
VJ_SIMD static void move_duals(const float *first, const float *second, size_t n,
                               const struct vj_tvl1_step *step, float *restrict dual)
{
    for (size_t i = 0; i < n; i++)
        dual[i] = vj_tvl1_dual(dual[i], first[i], second[i], step);
}

/*
 * Iteration number k of a sweep: of the tile's planes, k pixels on each side are no longer known.
 * Dual values follow their pixels closely, while both are in the cache.
 */
static void iterate(const struct tile *tile, ptrdiff_t k, const struct vj_tvl1_step *step)
{
    float *const *plane = tile->plane;
    ptrdiff_t first_row = most(tile->first_row, k + 1), rows = least(tile->rows, DOWN - k);
    ptrdiff_t x = most(tile->first_column, k + 1), n = least(tile->columns, ACROSS - k) - x;
    for (ptrdiff_t y = first_row; n > 0 && y < rows; y++) {
        ptrdiff_t at = y * ACROSS + x;
        const float *ahead = plane[AHEAD] + at;
        move_pixels(plane[PICTURE] + at, plane[RIGHT] + at, plane[BELOW] + at, (size_t)n, step,
                    plane[PIXEL] + at, plane[AHEAD] + at);
        move_duals(ahead, ahead + 1, (size_t)(n - 1), step, plane[RIGHT] + at);
        if (y > first_row)
            move_duals(ahead - ACROSS, ahead, (size_t)n, step, plane[BELOW] + at - ACROSS);
    }
}

/* Writes the tile itself: to the state, or after the last sweep its levels to the structure. */
static void store(const struct vj_tvl1 *t, const struct tile *tile, float *state,
                  uint8_t *structure)
{
    static const int plane_of[STATES] = {PIXEL, RIGHT, BELOW};
    size_t n = (size_t)(least(tile->columns, HALO + TILE_WIDTH) - HALO);
    size_t pixels = t->width * t->height;
    for (ptrdiff_t y = HALO; y < least(tile->rows, HALO + TILE_HEIGHT); y++) {
        ptrdiff_t at = y * ACROSS + HALO;
        size_t p = (size_t)(tile->top + y) * t->width + (size_t)(tile->left + HALO);
        for (int k = 0; state && k < STATES; k++)
            memcpy(state + (size_t)k * pixels + p, tile->plane[plane_of[k]] + at,
                   n * sizeof(float));
        for (size_t x = 0; !state && x < n; x++)
            structure[p + x] = vj_tvl1_level(tile->plane[PIXEL][at + (ptrdiff_t)x]);
    }
}

void vj_tvl1_structure(const struct vj_tvl1 *t, const uint8_t *luma, uint8_t *structure)
{
    size_t tiles =
        ((t->width + TILE_WIDTH - 1) / TILE_WIDTH) * ((t->height + TILE_HEIGHT - 1) / TILE_HEIGHT);
    for (int pass = 0; pass < VJ_TVL1_PASSES; pass += SWEEP) {
        const float *before = pass ? t->state[pass / SWEEP % 2] : NULL;
        float *after = pass + SWEEP < VJ_TVL1_PASSES ? t->state[(pass / SWEEP + 1) % 2] : NULL;
#pragma omp parallel for schedule(dynamic) num_threads(t->threads)
        for (size_t i = 0; i < tiles; i++) {
            float *memory = t->tile + (size_t)omp_get_thread_num() * PLANES * AREA;
            struct tile tile = tile_at(t, i, memory);
            load(t, luma, before, &tile);
            for (int k = 0; k < HALO; k++) {
                const struct vj_tvl1_step step = vj_tvl1_step(pass + k / VJ_TVL1_ITERATIONS);
                iterate(&tile, k, &step);
            }
            store(t, &tile, after, structure);
        }
    }
}
