/* SPDX-License-Identifier: MIT */
/*
 * SSIMULACRA2 in exact mode. A distorted picture is worked through in strips of columns, from top
 * to bottom, with the last nine rows of t, t t and a t at hand: no plane of it is ever stored but
 * the linear light of the smaller scales. Sums are kept per column, in double, and added up in one
 * order, so that nothing depends on vector width.
 */
#include <string.h>

#include "host/simd.h"
#include "host/ssimulacra2_internal.h"

enum {
    CHANNELS = VJ_SSIMULACRA2_CHANNELS,
    MAPS = VJ_SSIMULACRA2_MAPS,
    REACH = VJ_SSIMULACRA2_REACH,
    TAPS = VJ_SSIMULACRA2_TAPS,
    STRIP = VJ_SSIMULACRA2_STRIP,
    ROW = STRIP + 2 * REACH, /* a strip and the columns that its filter reaches */
    KINDS = 3,
};

/* Of the rows that are filtered. */
enum { T, T_T, A_T };

struct vj_ssimulacra2_exact {
    float light[3][ROW]; /* one row of the first scale */
    float xyb[CHANNELS][ROW];
    float ring[CHANNELS][KINDS][TAPS][ROW]; /* row y lies in y % TAPS; zero outside the plane */
    float filtered[KINDS][ROW];             /* one row, filtered down the columns */
    float error[STRIP], edge[STRIP];
    struct vj_ssimulacra2_columns sums[CHANNELS];
    /* Row of a whole plane with REACH zeros to each side, while an original is loaded. */
    double *mean, *square;
};

struct vj_ssimulacra2_exact *vj_ssimulacra2_exact_place(struct vj_ssimulacra2_arena *arena,
                                                        size_t width)
{
    struct vj_ssimulacra2_exact *work = vj_ssimulacra2_take(arena, 1, sizeof(*work));
    double *mean = vj_ssimulacra2_take(arena, width + 2 * REACH, sizeof(double));
    double *square = vj_ssimulacra2_take(arena, width + 2 * REACH, sizeof(double));
    if (work) {
        work->mean = mean;
        work->square = square;
    }
    return work;
}

VJ_SIMD static void convert(float *restrict x, float *restrict y, float *restrict b,
                            const float *restrict red, const float *restrict green,
                            const float *restrict blue, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vj_xyb v = vj_ssimulacra2_xyb(red[i], green[i], blue[i]);
        x[i] = v.x;
        y[i] = v.y;
        b[i] = v.b;
    }
}

/* Columns x..x+count-1 of row y, to to[0..2]. count <= ROW */
static void xyb_row(float *const to[CHANNELS], const struct vj_ssimulacra2_light *light, size_t y,
                    size_t x, size_t count, struct vj_ssimulacra2_exact *work)
{
    const float *row[3];
    vj_ssimulacra2_light_row(
        light, y, x, count, (float *const[3]){work->light[0], work->light[1], work->light[2]}, row);
    convert(to[0], to[1], to[2], row[0], row[1], row[2], count);
}

/* ---- original --------------------------------------------------------------------------- */

/*
 * Moments of the columns of row y and of its neighbours, weighted. Rows outside the plane are left
 * out: they are zero.
 */
VJ_SIMD static void column_moments(double *restrict mean, double *restrict square,
                                   const float *restrict plane, size_t width, size_t height,
                                   size_t y)
{
    size_t first = y < REACH ? 0 : y - REACH;
    size_t last = height - 1 - y < REACH ? height - 1 : y + REACH;
    memset(mean, 0, width * sizeof(*mean));
    memset(square, 0, width * sizeof(*square));
    for (size_t k = first; k <= last; k++) {
        const float *row = plane + k * width;
        const double w = vj_ssimulacra2_tap(k < y ? y - k : k - y);
        for (size_t x = 0; x < width; x++) {
            double v = row[x];
            mean[x] += w * v;
            square[x] += w * (v * v);
        }
    }
}

VJ_SIMD static void row_moments(float *restrict mean, float *restrict base,
                                const double *restrict column_mean,
                                const double *restrict column_square, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        double m = vj_ssimulacra2_window_double(column_mean + x, 1);
        double s = vj_ssimulacra2_window_double(column_square + x, 1);
        mean[x] = (float)m;
        base[x] = vj_ssimulacra2_base(m, s);
    }
}

/* Done once per original, so double takes the place of care with cancellation. */
void vj_ssimulacra2_exact_load(const struct vj_ssimulacra2_scale *scale,
                               const struct vj_ssimulacra2_light *light,
                               struct vj_ssimulacra2_exact *work)
{
    size_t width = scale->width, height = scale->height;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x += ROW) {
            size_t at = y * width + x;
            xyb_row(
                (float *const[3]){scale->plane[0] + at, scale->plane[1] + at, scale->plane[2] + at},
                light, y, x, width - x < ROW ? width - x : ROW, work);
        }
    memset(work->mean, 0, (width + 2 * REACH) * sizeof(*work->mean));
    memset(work->square, 0, (width + 2 * REACH) * sizeof(*work->square));
    for (int c = 0; c < CHANNELS; c++)
        for (size_t y = 0; y < height; y++) {
            column_moments(work->mean + REACH, work->square + REACH, scale->plane[c], width, height,
                           y);
            row_moments(scale->mean[c] + y * width, scale->second[c] + y * width, work->mean,
                        work->square, width);
        }
}

/* ---- distorted picture ------------------------------------------------------------------ */

VJ_SIMD static void products(float *restrict t, float *restrict t_t, float *restrict a_t,
                             const float *restrict a, const float *restrict d, size_t count)
{
    for (size_t x = 0; x < count; x++) {
        float difference = d[x] - a[x];
        t[x] = difference;
        t_t[x] = difference * difference;
        a_t[x] = a[x] * difference;
    }
}

/* ring: row y + k - REACH lies in row (first + k) % TAPS */
VJ_SIMD static void filter_columns(float *restrict out, const float (*restrict ring)[ROW],
                                   size_t first, size_t count)
{
    const float *r0 = ring[first], *r1 = ring[(first + 1) % TAPS], *r2 = ring[(first + 2) % TAPS];
    const float *r3 = ring[(first + 3) % TAPS], *r4 = ring[(first + 4) % TAPS];
    const float *r5 = ring[(first + 5) % TAPS], *r6 = ring[(first + 6) % TAPS];
    const float *r7 = ring[(first + 7) % TAPS], *r8 = ring[(first + 8) % TAPS];
    for (size_t x = 0; x < count; x++) {
        const float p[TAPS] = {r0[x], r1[x], r2[x], r3[x], r4[x], r5[x], r6[x], r7[x], r8[x]};
        out[x] = vj_ssimulacra2_window(p, 1);
    }
}

/* filtered: down the columns; t: the row itself, from the strip's first column on */
VJ_SIMD static void make_maps(float *restrict error, float *restrict edge,
                              const float (*restrict filtered)[ROW], const float *restrict t,
                              const float *restrict a, const float *restrict mean,
                              const float *restrict base, size_t count)
{
    for (size_t x = 0; x < count; x++) {
        float mean_t = vj_ssimulacra2_window(filtered[T] + x, 1);
        float mean_tt = vj_ssimulacra2_window(filtered[T_T] + x, 1);
        float mean_at = vj_ssimulacra2_window(filtered[A_T] + x, 1);
        error[x] = vj_ssimulacra2_error(mean_t, mean_tt, mean_at, mean[x], base[x]);
        edge[x] = vj_ssimulacra2_edge(a[x], mean[x], t[x], mean_t);
    }
}

VJ_SIMD static void add_maps(struct vj_ssimulacra2_columns *restrict sums,
                             const float *restrict error, const float *restrict edge, size_t count)
{
    for (size_t x = 0; x < count; x++) {
        float term[VJ_SSIMULACRA2_TERMS];
        vj_ssimulacra2_terms(error[x], edge[x], term);
        for (int m = 0; m < MAPS; m++) {
            sums->first[m][x] += term[m];
            sums->fourth[m][x] += term[MAPS + m];
        }
    }
}

/* Columns x..x+count-1 of a plane; the filter reads columns first..first+read-1. */
struct strip {
    size_t x, count;
    size_t first, read;
    size_t offset; /* of column `first` in a ROW */
};

static struct strip strip_at(size_t x, size_t width)
{
    struct strip s = {.x = x, .count = width - x < STRIP ? width - x : STRIP};
    size_t end = width - x - s.count < REACH ? width : x + s.count + REACH;
    s.first = x < REACH ? 0 : x - REACH;
    s.read = end - s.first;
    s.offset = s.first + REACH - x;
    return s;
}

/* Row y of the strip into the rings; below the plane there are zeros. */
static void take_row(const struct vj_ssimulacra2_scale *scale,
                     const struct vj_ssimulacra2_light *light, const struct strip *s, size_t y,
                     struct vj_ssimulacra2_exact *work)
{
    size_t slot = y % TAPS;
    if (y < scale->height)
        xyb_row((float *const[3]){work->xyb[0], work->xyb[1], work->xyb[2]}, light, y, s->first,
                s->read, work);
    for (int c = 0; c < CHANNELS; c++) {
        float(*ring)[TAPS][ROW] = work->ring[c];
        if (y < scale->height)
            products(ring[T][slot] + s->offset, ring[T_T][slot] + s->offset,
                     ring[A_T][slot] + s->offset, scale->plane[c] + y * scale->width + s->first,
                     work->xyb[c], s->read);
        for (int k = 0; y >= scale->height && k < KINDS; k++)
            memset(ring[k][slot], 0, sizeof(ring[k][slot]));
    }
}

/* Maps of row y, once row y + REACH is in the rings. */
static void measure_row(const struct vj_ssimulacra2_scale *scale, const struct strip *s, size_t y,
                        struct vj_ssimulacra2_exact *work)
{
    size_t at = y * scale->width + s->x;
    for (int c = 0; c < CHANNELS; c++) {
        for (int k = 0; k < KINDS; k++)
            filter_columns(work->filtered[k], (const float(*)[ROW])work->ring[c][k],
                           (y + TAPS - REACH) % TAPS, s->count + 2 * REACH);
        make_maps(work->error, work->edge, (const float(*)[ROW])work->filtered,
                  work->ring[c][T][y % TAPS] + REACH, scale->plane[c] + at, scale->mean[c] + at,
                  scale->second[c] + at, s->count);
        add_maps(&work->sums[c], work->error, work->edge, s->count);
    }
}

void vj_ssimulacra2_exact_sums(const struct vj_ssimulacra2_scale *scale,
                               const struct vj_ssimulacra2_light *light,
                               struct vj_ssimulacra2_exact *work,
                               struct vj_ssimulacra2_sums sums[CHANNELS])
{
    for (int c = 0; c < CHANNELS; c++)
        sums[c] = (struct vj_ssimulacra2_sums){{0}, {0}};
    for (size_t x = 0; x < scale->width; x += STRIP) {
        const struct strip s = strip_at(x, scale->width);
        memset(work->ring, 0, sizeof(work->ring));
        memset(work->sums, 0, sizeof(work->sums));
        for (size_t y = 0; y < scale->height + REACH; y++) {
            take_row(scale, light, &s, y, work);
            if (y >= REACH)
                measure_row(scale, &s, y - REACH, work);
        }
        for (int c = 0; c < CHANNELS; c++)
            vj_ssimulacra2_add_columns(&sums[c], &work->sums[c], s.count);
    }
}
