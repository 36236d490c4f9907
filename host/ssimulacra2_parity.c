/* SPDX-License-Identifier: MIT */
/*
 * SSIMULACRA2 in parity mode: the reference program's float32 operations in its order, noise
 * included. Every operation that it rounds is rounded here, so what may change is only which values
 * are computed side by side: rows are filtered LANES at a time, columns all together.
 */
#include <string.h>

#include "host/simd.h"
#include "host/ssimulacra2_internal.h"

enum {
    CHANNELS = VJ_SSIMULACRA2_CHANNELS,
    MAPS = VJ_SSIMULACRA2_MAPS,
    POLES = VJ_SSIMULACRA2_POLES,
    LANES = 8, /* rows that are filtered together */
    START = 4, /* the recursions start at output -START */
    DELAY = 6, /* u[n] = in[n - DELAY] + in[n + START] */
    STRIP = VJ_SSIMULACRA2_STRIP,
};

struct vj_ssimulacra2_parity {
    struct vj_ssimulacra2_pole pole[POLES];
    float light[3][STRIP];              /* part of a row of the first scale */
    float *plane[CHANNELS];             /* of the distorted picture */
    float *rows;                        /* a plane filtered along its rows */
    float *m2, *s22, *s12;              /* F(d), F(d d), F(a d) */
    float (*in)[LANES];                 /* [width] rows to be filtered, side by side */
    float (*u)[LANES];                  /* [width + START], u[n] in n + START */
    float (*sum)[LANES];                /* [width] of the recursions' outputs */
    float *last[POLES], *before[POLES]; /* [width] outputs of the two rows before */
    struct vj_ssimulacra2_columns sums;
    float *zero; /* [width] a row outside the plane */
};

struct vj_ssimulacra2_parity *vj_ssimulacra2_parity_place(struct vj_ssimulacra2_arena *arena,
                                                          size_t width, size_t height)
{
    struct vj_ssimulacra2_parity none; /* while only counting */
    struct vj_ssimulacra2_parity *placed = vj_ssimulacra2_take(arena, 1, sizeof(*placed));
    struct vj_ssimulacra2_parity *work = placed ? placed : &none;
    float **planes[] = {&work->plane[0], &work->plane[1], &work->plane[2], &work->rows,
                        &work->m2,       &work->s22,      &work->s12};
    for (size_t i = 0; i < sizeof(planes) / sizeof(planes[0]); i++)
        *planes[i] = vj_ssimulacra2_take(arena, width * height, sizeof(float));
    work->in = vj_ssimulacra2_take(arena, width, sizeof(*work->in));
    work->u = vj_ssimulacra2_take(arena, width + START, sizeof(*work->u));
    work->sum = vj_ssimulacra2_take(arena, width, sizeof(*work->sum));
    for (int k = 0; k < POLES; k++) {
        work->pole[k] = vj_ssimulacra2_pole(k);
        work->last[k] = vj_ssimulacra2_take(arena, width, sizeof(float));
        work->before[k] = vj_ssimulacra2_take(arena, width, sizeof(float));
    }
    work->zero = vj_ssimulacra2_take(arena, width, sizeof(float));
    if (placed)
        memset(work->zero, 0, width * sizeof(float));
    return placed;
}

/* ---- colour ----------------------------------------------------------------------------- */

VJ_SIMD static void convert(float *restrict x, float *restrict y, float *restrict b,
                            const float *restrict red, const float *restrict green,
                            const float *restrict blue, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vj_xyb v = vj_ssimulacra2_parity_xyb(red[i], green[i], blue[i]);
        x[i] = v.x;
        y[i] = v.y;
        b[i] = v.b;
    }
}

static void xyb_planes(float *const plane[CHANNELS], const struct vj_ssimulacra2_light *light,
                       struct vj_ssimulacra2_parity *work)
{
    float *const buffer[3] = {work->light[0], work->light[1], work->light[2]};
    for (size_t y = 0; y < light->height; y++)
        for (size_t x = 0; x < light->width; x += STRIP) {
            const float *row[3];
            size_t at = y * light->width + x;
            size_t count = light->width - x < STRIP ? light->width - x : STRIP;
            vj_ssimulacra2_light_row(light, y, x, count, buffer, row);
            convert(plane[0] + at, plane[1] + at, plane[2] + at, row[0], row[1], row[2], count);
        }
}

/* ---- filter along rows ------------------------------------------------------------------ */

/* The product of p and q, or p alone when q is NULL, of `lanes` rows; the last fills up the rest.
 */
static void gather_rows(float (*restrict in)[LANES], const float *p, const float *q, size_t width,
                        size_t lanes)
{
    for (size_t l = 0; l < LANES; l++) {
        size_t row = (l < lanes ? l : lanes - 1) * width;
        const float *a = p + row, *b = q ? q + row : NULL;
        for (size_t x = 0; x < width; x++)
            in[x][l] = b ? a[x] * b[x] : a[x];
    }
}

static void scatter_rows(float *restrict out, const float (*restrict sum)[LANES], size_t width,
                         size_t lanes)
{
    for (size_t l = 0; l < lanes; l++)
        for (size_t x = 0; x < width; x++)
            out[l * width + x] = sum[x][l];
}

VJ_SIMD static void pair_rows(float (*restrict u)[LANES], const float (*restrict in)[LANES],
                              size_t width)
{
    const size_t apart = START + DELAY;
    for (size_t i = 0; i < width + START; i++)
        for (int l = 0; l < LANES; l++) {
            float ahead = i < width ? in[i][l] : 0.0f;
            float behind = i >= apart ? in[i - apart][l] : 0.0f;
            u[i][l] = behind + ahead;
        }
}

/*
 * The two outputs before the next one. In what follows "unroll 1" keeps the loop over the lanes
 * whole until it becomes vectors; taken apart too early, it stays scalar.
 */
struct past {
    float last[LANES], before[LANES];
};

/* Output i from the same past, from the inputs since. */
static inline void along(float out[LANES], int i, const struct past *past, const float (*u)[LANES],
                         const struct vj_ssimulacra2_pole *p)
{
#pragma GCC unroll 1
    for (int l = 0; l < LANES; l++)
        out[l] = vj_ssimulacra2_parity_along(p, i, &u[0][l], LANES, past->last[l], past->before[l]);
}

static inline void one_step(float out[4][LANES], struct past *past, const float (*u)[LANES],
                            const struct vj_ssimulacra2_pole *p)
{
    along(out[0], 0, past, u, p);
    memcpy(past->before, past->last, sizeof(past->before));
    memcpy(past->last, out[0], sizeof(past->last));
}

static inline void four_steps(float out[4][LANES], struct past *past, const float (*u)[LANES],
                              const struct vj_ssimulacra2_pole *p)
{
    along(out[0], 0, past, u, p);
    along(out[1], 1, past, u, p);
    along(out[2], 2, past, u, p);
    along(out[3], 3, past, u, p);
    memcpy(past->before, out[2], sizeof(past->before));
    memcpy(past->last, out[3], sizeof(past->last));
}

/* One recursion; its outputs are added to `sum`, or put there when it is the first. */
VJ_SIMD static void run_rows(float (*restrict sum)[LANES], const float (*restrict u)[LANES],
                             size_t width, const struct vj_ssimulacra2_pole *pole, int first)
{
    struct past past = {{0}, {0}};
    float y[4][LANES];
    size_t n = 0;
    for (size_t i = 0; i < START; i++)
        one_step(y, &past, u + i, pole);
    while (n < width) {
        size_t steps = vj_ssimulacra2_parity_steps(n, width);
        if (steps == 4)
            four_steps(y, &past, u + n + START, pole);
        else
            one_step(y, &past, u + n + START, pole);
        for (size_t i = 0; i < steps; i++)
#pragma GCC unroll 1
            for (int l = 0; l < LANES; l++)
                sum[n + i][l] = first ? y[i][l] : y[i][l] + sum[n + i][l];
        n += steps;
    }
}

static void filter_rows(float *out, const float *p, const float *q, size_t width, size_t height,
                        struct vj_ssimulacra2_parity *work)
{
    for (size_t y = 0; y < height; y += LANES) {
        size_t lanes = height - y < LANES ? height - y : LANES;
        gather_rows(work->in, p + y * width, q ? q + y * width : NULL, width, lanes);
        pair_rows(work->u, (const float(*)[LANES])work->in, width);
        for (int k = POLES - 1; k >= 0; k--) /* y_k1 + (y_k3 + y_k5) */
            run_rows(work->sum, (const float(*)[LANES])work->u, width, &work->pole[k],
                     k == POLES - 1);
        scatter_rows(out + y * width, (const float(*)[LANES])work->sum, width, lanes);
    }
}

/* ---- filter down columns ---------------------------------------------------------------- */

/* The next output of one recursion, into `before`, which the caller then takes for the last. */
VJ_SIMD static void step_columns(float *restrict before, const float *restrict last,
                                 const float *restrict behind, const float *restrict ahead,
                                 size_t width, const struct vj_ssimulacra2_pole *pole)
{
    const struct vj_ssimulacra2_pole p = *pole;
    for (size_t x = 0; x < width; x++)
        before[x] = vj_ssimulacra2_parity_down(&p, behind[x] + ahead[x], last[x], before[x]);
}

VJ_SIMD static void add_rows(float *restrict out, float *const last[POLES], size_t width)
{
    const float *a = last[0], *b = last[1], *c = last[2];
    for (size_t x = 0; x < width; x++)
        out[x] = vj_ssimulacra2_parity_sum(a[x], b[x], c[x]);
}

static void filter_columns(float *out, const float *in, size_t width, size_t height,
                           struct vj_ssimulacra2_parity *work)
{
    for (int k = 0; k < POLES; k++) {
        memset(work->last[k], 0, width * sizeof(float));
        memset(work->before[k], 0, width * sizeof(float));
    }
    for (size_t i = 0; i < height + START; i++) { /* output i - START */
        const float *ahead = i < height ? in + i * width : work->zero;
        const float *behind = i >= START + DELAY ? in + (i - START - DELAY) * width : work->zero;
        for (int k = 0; k < POLES; k++) {
            step_columns(work->before[k], work->last[k], behind, ahead, width, &work->pole[k]);
            float *newest = work->before[k];
            work->before[k] = work->last[k];
            work->last[k] = newest;
        }
        if (i >= START)
            add_rows(out + (i - START) * width, work->last, width);
    }
}

/* F(p q), or F(p) when q is NULL. */
static void filter(float *out, const float *p, const float *q, size_t width, size_t height,
                   struct vj_ssimulacra2_parity *work)
{
    filter_rows(work->rows, p, q, width, height, work);
    filter_columns(out, work->rows, width, height, work);
}

/* ---- pictures --------------------------------------------------------------------------- */

void vj_ssimulacra2_parity_load(const struct vj_ssimulacra2_scale *scale,
                                const struct vj_ssimulacra2_light *light,
                                struct vj_ssimulacra2_parity *work)
{
    xyb_planes(scale->plane, light, work);
    for (int c = 0; c < CHANNELS; c++) {
        const float *a = scale->plane[c];
        filter(scale->mean[c], a, NULL, scale->width, scale->height, work);
        filter(scale->second[c], a, a, scale->width, scale->height, work);
    }
}

/* `count` pixels of a row, each column to its own sums. */
VJ_SIMD static void add_maps(struct vj_ssimulacra2_columns *restrict sums, const float *restrict a,
                             const float *restrict m1, const float *restrict s11,
                             const float *restrict d, const float *restrict m2,
                             const float *restrict s22, const float *restrict s12, size_t count)
{
    for (size_t x = 0; x < count; x++) {
        double term[VJ_SSIMULACRA2_TERMS];
        vj_ssimulacra2_parity_terms(
            vj_ssimulacra2_parity_error(m1[x], m2[x], s11[x], s22[x], s12[x]),
            vj_ssimulacra2_parity_edge(a[x], m1[x], d[x], m2[x]), term);
        for (int m = 0; m < MAPS; m++) {
            sums->first[m][x] += term[m];
            sums->fourth[m][x] += term[MAPS + m];
        }
    }
}

static struct vj_ssimulacra2_sums sum_maps(const struct vj_ssimulacra2_scale *scale, int channel,
                                           struct vj_ssimulacra2_parity *work)
{
    struct vj_ssimulacra2_sums sums = {{0}, {0}};
    for (size_t x = 0; x < scale->width; x += STRIP) {
        size_t count = scale->width - x < STRIP ? scale->width - x : STRIP;
        memset(&work->sums, 0, sizeof(work->sums));
        for (size_t y = 0; y < scale->height; y++) {
            size_t at = y * scale->width + x;
            add_maps(&work->sums, scale->plane[channel] + at, scale->mean[channel] + at,
                     scale->second[channel] + at, work->plane[channel] + at, work->m2 + at,
                     work->s22 + at, work->s12 + at, count);
        }
        vj_ssimulacra2_add_columns(&sums, &work->sums, count);
    }
    return sums;
}

void vj_ssimulacra2_parity_sums(const struct vj_ssimulacra2_scale *scale,
                                const struct vj_ssimulacra2_light *light,
                                struct vj_ssimulacra2_parity *work,
                                struct vj_ssimulacra2_sums sums[CHANNELS])
{
    xyb_planes(work->plane, light, work);
    for (int c = 0; c < CHANNELS; c++) {
        const float *a = scale->plane[c], *d = work->plane[c];
        filter(work->m2, d, NULL, scale->width, scale->height, work);
        filter(work->s22, d, d, scale->width, scale->height, work);
        filter(work->s12, a, d, scale->width, scale->height, work);
        sums[c] = sum_maps(scale, c, work);
    }
}
