/* SPDX-License-Identifier: MIT */
#include "host/jnd_canny.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "host/checked.h"
#include "host/simd.h"

#define RADIUS VJ_CANNY_RADIUS

/* Weak edges reach down to this share of the threshold. */
#define WEAK_SHARE 0.4

/* Neighbours that are equal up to rounding count as equal. */
#define TIE (1.0 + 1e-9)

enum mark {
    NOTHING = 0,
    WEAK,
    STRONG,
    EDGE,
};

/* Gradient of one row; the border columns are there, but no pixel beyond them. */
struct gradient_row {
    double *gx, *gy, *m;
};

/* Rows that one thread works with. */
struct row_buffers {
    double *g_along_y, *d_along_y; /* with RADIUS more columns on each side */
    struct gradient_row ring[3];   /* row y is in ring[y % 3] */
};

struct vj_canny_taps vj_canny_taps(void)
{
    double g[2 * RADIUS + 1], sum = 0;
    for (int x = -RADIUS; x <= RADIUS; x++) {
        g[x + RADIUS] = exp(-(double)(x * x) / 4.0);
        sum += g[x + RADIUS];
    }
    struct vj_canny_taps taps = {.g[0] = g[RADIUS] / sum};
    /* Central differences of an even function are odd, so one half tells all of d. */
    double positive = 0;
    for (int k = 1; k <= RADIUS; k++) {
        double before = g[RADIUS + k - 1];
        taps.g[k] = g[RADIUS + k] / sum;
        taps.d[k] = k < RADIUS ? (before - g[RADIUS + k + 1]) / 2 : before - g[RADIUS + k];
        positive += taps.d[k];
    }
    for (int k = 1; k <= RADIUS; k++)
        taps.d[k] /= positive;
    return taps;
}

struct vj_canny vj_canny_take(struct vj_jnd_arena *arena, size_t width, size_t height, int threads)
{
    struct vj_canny c = {0};
    size_t pixels, per_thread;
    if (!vj_size_mul(width, height, &pixels) || !vj_size_mul(width, 11, &per_thread) ||
        !vj_size_add(per_thread, 4 * RADIUS, &per_thread) ||
        !vj_size_mul(per_thread, (size_t)threads, &c.rows_per_thread)) {
        arena->used = SIZE_MAX;
        return c;
    }
    c.kept = vj_jnd_take(arena, pixels, sizeof(*c.kept));
    c.pending = vj_jnd_take(arena, pixels, sizeof(*c.pending));
    c.rows = vj_jnd_take(arena, c.rows_per_thread, sizeof(*c.rows));
    c.rows_per_thread = per_thread;
    return c;
}

static struct row_buffers split_rows(double *rows, size_t width)
{
    struct row_buffers b = {.g_along_y = rows, .d_along_y = rows + width + 2 * RADIUS};
    double *next = b.d_along_y + width + 2 * RADIUS;
    for (size_t r = 0; r < 3; r++, next += 3 * width)
        b.ring[r] = (struct gradient_row){next, next + width, next + 2 * width};
    return b;
}

/* Both filters down n columns; src: first column, RADIUS rows around it. */
VJ_SIMD static void filter_columns(const int16_t *src, size_t stride, size_t n,
                                   const struct vj_canny_taps *taps, double *restrict g_out,
                                   double *restrict d_out)
{
    for (size_t i = 0; i < n; i++) {
        double g = taps->g[0] * src[i], d = 0;
        const int16_t *above = src + i, *below = src + i;
#pragma GCC unroll 6
        for (int k = 1; k <= RADIUS; k++) {
            above -= stride;
            below += stride;
            g += taps->g[k] * (*above + *below);
            d += taps->d[k] * (*below - *above);
        }
        g_out[i] = g;
        d_out[i] = d;
    }
}

/* The other halves along the row, and the magnitude. Inputs have RADIUS columns around the n. */
VJ_SIMD static void filter_row(const double *g_along_y, const double *d_along_y, size_t n,
                               const struct vj_canny_taps *taps, double *restrict gx,
                               double *restrict gy, double *restrict m)
{
    for (size_t i = 0; i < n; i++) {
        const double *across = g_along_y + RADIUS + i, *down = d_along_y + RADIUS + i;
        double x = 0, y = taps->g[0] * down[0];
#pragma GCC unroll 6
        for (int k = 1; k <= RADIUS; k++) {
            x += taps->d[k] * (across[k] - across[-k]);
            y += taps->g[k] * (down[k] + down[-k]);
        }
        gx[i] = x;
        gy[i] = y;
        m[i] = sqrt(x * x + y * y);
    }
}

VJ_SIMD static double largest(const double *values, size_t n)
{
    double best = 0;
#pragma omp simd reduction(max : best)
    for (size_t i = 0; i < n; i++)
        best = values[i] > best ? values[i] : best;
    return best;
}

/*
 * Suppression of one row, border columns apart. With the components' absolute values a >= b, the
 * neighbour on the gradient line is (1 - b/a) of the axis neighbour plus b/a of the diagonal one;
 * both sides of the comparison are multiplied by a.
 */
VJ_SIMD static void suppress_row(const struct gradient_row *row, const double *up,
                                 const double *down, size_t width, double *kept)
{
    const double *gx = row->gx, *gy = row->gy, *m = row->m;
    for (size_t i = 1; i + 1 < width; i++) {
        double x = fabs(gx[i]), y = fabs(gy[i]);
        bool along_x = x >= y;
        bool falling = gx[i] * gy[i] > 0; /* the gradient points right and down, or left and up */
        double larger = along_x ? x : y, smaller = along_x ? y : x;
        double rest = larger - smaller;

        double axis1 = along_x ? m[i + 1] : down[i];
        double axis2 = along_x ? m[i - 1] : up[i];
        double rising1 = along_x ? up[i + 1] : down[i - 1];
        double rising2 = along_x ? down[i - 1] : up[i + 1];
        double diagonal1 = falling ? down[i + 1] : rising1;
        double diagonal2 = falling ? up[i - 1] : rising2;

        double own = m[i] * TIE * larger;
        bool keep = (own >= rest * axis1 + smaller * diagonal1) &
                    (own >= rest * axis2 + smaller * diagonal2);
        kept[i] = keep ? m[i] : 0;
    }
}

/* Gradient of row y into its place in the ring; returns the row's largest magnitude. */
static double gradient_row(const struct vj_jnd_padded *plane, size_t y,
                           const struct vj_canny_taps *taps, struct row_buffers *rows)
{
    struct gradient_row *out = &rows->ring[y % 3];
    filter_columns(vj_jnd_at(plane, (ptrdiff_t)y, -RADIUS), plane->stride,
                   plane->width + 2 * RADIUS, taps, rows->g_along_y, rows->d_along_y);
    filter_row(rows->g_along_y, rows->d_along_y, plane->width, taps, out->gx, out->gy, out->m);
    return largest(out->m, plane->width);
}

/* Suppression for rows first..end-1; returns their largest magnitude (or a neighbouring row's). */
static double suppress_band(const struct vj_jnd_padded *plane, size_t first, size_t end,
                            const struct vj_canny_taps *taps, struct row_buffers *rows,
                            double *kept)
{
    size_t width = plane->width, height = plane->height;
    double peak = 0;
    size_t begin = first ? first - 1 : 0, stop = end < height ? end + 1 : height;
    for (size_t y = begin; y < stop; y++) {
        double m = gradient_row(plane, y, taps, rows);
        peak = m > peak ? m : peak;
        if (y < first + 1)
            continue;
        size_t done = y - 1; /* has its lower neighbour now */
        if (done > 0 && done + 1 < height)
            suppress_row(&rows->ring[done % 3], rows->ring[(done + 2) % 3].m, rows->ring[y % 3].m,
                         width, kept + done * width);
    }
    return peak;
}

VJ_SIMD static void mark_row(const double *kept, size_t n, double weak, double strong, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((kept[i] > weak) + (kept[i] > strong));
}

/* The frame is never an edge, and what suppression leaves there was never written. */
static void mark_rows(const struct vj_canny *scratch, size_t width, size_t height, double weak,
                      double strong, uint8_t *mark, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t y = 0; y < height; y++) {
        uint8_t *row = mark + y * width;
        memset(row, NOTHING, width);
        if (y > 0 && y + 1 < height && width > 2)
            mark_row(scratch->kept + y * width + 1, width - 2, weak, strong, row + 1);
    }
}

/* Visits everything connected to pixel p; marks are never on the frame, so neighbours exist. */
static void follow(size_t p, size_t width, uint8_t *mark, uint32_t *pending)
{
    size_t waiting = 0;
    mark[p] = EDGE;
    pending[waiting++] = (uint32_t)p;
    while (waiting) {
        size_t corner = pending[--waiting] - width - 1;
        for (size_t k = 0; k < 9; k++) {
            size_t q = corner + k / 3 * width + k % 3;
            if (mark[q] == WEAK || mark[q] == STRONG) {
                mark[q] = EDGE;
                pending[waiting++] = (uint32_t)q;
            }
        }
    }
}

void vj_canny(const struct vj_jnd_padded *plane, double threshold, struct vj_canny *scratch,
              uint8_t *edge, int threads)
{
    size_t width = plane->width, height = plane->height, pixels = width * height;
    struct vj_canny_taps taps = vj_canny_taps();
    double peak = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(max : peak)
    for (int band = 0; band < threads; band++) {
        size_t first = height * (size_t)band / (size_t)threads;
        size_t end = height * ((size_t)band + 1) / (size_t)threads;
        struct row_buffers rows =
            split_rows(scratch->rows + (size_t)band * scratch->rows_per_thread, width);
        double m = first < end ? suppress_band(plane, first, end, &taps, &rows, scratch->kept) : 0;
        peak = m > peak ? m : peak;
    }
    /* A peak of 0 leaves nothing above 0: no edges. */
    double strong = threshold * peak;
    mark_rows(scratch, width, height, WEAK_SHARE * strong, strong, edge, threads);
    for (uint8_t *seed = edge; (seed = memchr(seed, STRONG, pixels - (size_t)(seed - edge)));)
        follow((size_t)(seed - edge), width, edge, scratch->pending);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            edge[y * width + x] = edge[y * width + x] == EDGE;
}
