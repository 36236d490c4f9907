/* SPDX-License-Identifier: MIT */
/*
 * Wu, Shi, Lin, Liu and Qi, "Just noticeable difference estimation for images with free-energy
 * principle", IEEE Trans. Multimedia 15(7), 2013, as the authors' public code computes it
 * (`authors`).
 *
 * The brain is taken to predict a pixel from its surroundings: by the mean of the 440 pixels within
 * 10 rows and columns, each weighted by how alike the 7x7 patches around it and around the pixel
 * are. What is predicted is masked by luminance and contrast, what is not (disorder) by itself.
 *
 * Patch distances are exact integers; weights and their sums are in double, because the prediction
 * is rounded to a whole grey level, and float32 would tip some pixels over. Where the weighted mean
 * lies within 1e-9 or so of a half, arithmetic in another order may still round it the other way.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jnd_canny.h"
#include "host/jnd_math.h"
#include "host/simd.h"

enum {
    REACH = VJ_JND_FEP_REACH,
    PATCH = VJ_JND_FEP_PATCH,
    SIDE = VJ_JND_FEP_SIDE,
    AREA = VJ_JND_FEP_AREA,
    OFFSETS = VJ_JND_FEP_OFFSETS,
    STRIP = 64, /* columns that are worked on at a time */
    BAND = 64,  /* and rows */
};

enum {
    STAGE_DEVIATION,
    STAGE_BANDWIDTH,
    STAGE_PREDICTION,
    STAGE_RESIDUAL,
    STAGE_LUMINANCE,
    STAGE_CONTRAST,
    STAGE_EDGE,
    STAGE_WEIGHT,
    STAGE_DISORDER,
};

static const char *const variants[] = {"authors", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"deviation", "standard deviation over 7x7", "grey level", VJ_JND_PLANE, 0},
    {"bandwidth", "root mean square patch difference at which a neighbour's weight is 1/e",
     "grey level", VJ_JND_PLANE, 0},
    {"prediction", "luma as its neighbours predict it, rounded", "grey level", VJ_JND_PLANE, 0},
    {"residual", "absolute difference of luma and prediction", "grey level", VJ_JND_PLANE, 0},
    {"luminance", "threshold of luminance adaptation to the prediction", "grey level", VJ_JND_PLANE,
     0},
    {"contrast", "threshold of contrast masking by the prediction", "grey level", VJ_JND_PLANE, 0},
    {"edge", "Canny edges, 1 on an edge", NULL, VJ_JND_PLANE, 0},
    {"weight", "edge weight", NULL, VJ_JND_PLANE, 0},
    {"disorder", "threshold of disorder masking", "grey level", VJ_JND_PLANE, 0},
    {0},
};

/* What one thread works with on a strip of a band. */
struct strip {
    int32_t column[OFFSETS][STRIP + SIDE]; /* squared differences, summed down the patch's rows */
    int32_t distance[OFFSETS][STRIP];      /* and across its columns */
};

struct fep {
    const struct vj_jnd_job *job;
    size_t width, height;
    struct vj_jnd_padded plane;     /* replicate border, wide enough for Canny */
    struct vj_jnd_padded wide;      /* symmetric border, wide enough for neighbours' patches */
    struct vj_jnd_padded dark;      /* zeros outside */
    struct vj_jnd_padded predicted; /* the prediction, zeros outside */
    struct vj_canny canny;
    uint8_t *prediction, *residual;
    uint8_t *edge, *dilated;
    struct strip *strip; /* per thread */
    double sensitivity[256];
    float adaptation[256];
    struct vj_jnd_gaussian residual_gaussian, weight_gaussian;
};

static void take(struct fep *f, struct vj_jnd_arena *arena, size_t width, size_t height,
                 int threads)
{
    f->width = width;
    f->height = height;
    f->plane = vj_jnd_take_padded(arena, width, height, VJ_CANNY_RADIUS);
    f->wide = vj_jnd_take_padded(arena, width, height, REACH + PATCH);
    f->dark = vj_jnd_take_padded(arena, width, height, PATCH);
    f->predicted = vj_jnd_take_padded(arena, width, height, 2);
    f->canny = vj_canny_take(arena, width, height, threads);
    f->prediction = vj_jnd_take(arena, height, width);
    f->residual = vj_jnd_take(arena, height, width);
    f->edge = vj_jnd_take(arena, height, width);
    f->dilated = vj_jnd_take(arena, height, width);
    f->strip = vj_jnd_take(arena, (size_t)threads, sizeof(*f->strip));
}

static size_t workspace(size_t width, size_t height, int threads)
{
    struct vj_jnd_arena count = {0};
    struct fep f;
    take(&f, &count, width, height, threads);
    return vj_jnd_taken(&count);
}

/* --- noise sensitivity ------------------------------------------------------------------------ */

/* Population variance over 7x7 pixels times 49 * 49, exact; src: 3 pixels around the span. */
VJ_SIMD static void variance(const int16_t *src, size_t stride, size_t n, int32_t *out)
{
    int32_t sum[VJ_JND_SPAN + SIDE] = {0}, square[VJ_JND_SPAN + SIDE] = {0};
    const int16_t *row = src - PATCH * stride - PATCH;
    for (int k = 0; k < SIDE; k++, row += stride) {
        for (size_t i = 0; i < n + SIDE - 1; i++) {
            sum[i] += row[i];
            square[i] += row[i] * row[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        int32_t s = 0, q = 0;
        for (size_t k = 0; k < SIDE; k++) {
            s += sum[i + k];
            q += square[i + k];
        }
        out[i] = AREA * q - s * s;
    }
}

static void bandwidths(const struct fep *f, size_t y, size_t x, size_t n, double *squared)
{
    uint16_t background32[VJ_JND_SPAN];
    int32_t variance2401[VJ_JND_SPAN];
    const int16_t *src = vj_jnd_at(&f->dark, (ptrdiff_t)y, (ptrdiff_t)x);
    vj_jnd_background(src, f->dark.stride, n, background32);
    variance(src, f->dark.stride, n, variance2401);
    for (size_t i = 0; i < n; i++)
        squared[i] =
            vj_jnd_fep_bandwidth_squared(f->sensitivity[background32[i] / 32], variance2401[i]);
}

/* --- prediction ------------------------------------------------------------------------------- */

/* column += (a - b)^2 */
VJ_SIMD static void add_row(const int16_t *a, const int16_t *b, size_t n, int32_t *column)
{
    for (size_t i = 0; i < n; i++) {
        int32_t d = a[i] - b[i];
        column[i] += d * d;
    }
}

/* column += (a - b)^2 of the row that comes in - that of the row that leaves, `back` before it */
VJ_SIMD static void slide_rows(const int16_t *a, const int16_t *b, size_t back, size_t n,
                               int32_t *column)
{
    const int16_t *old_a = a - back, *old_b = b - back;
    for (size_t i = 0; i < n; i++) {
        int32_t in = a[i] - b[i], out = old_a[i] - old_b[i];
        column[i] += in * in - out * out;
    }
}

/* Sums of SIDE columns, and the least of them so far. */
VJ_SIMD static void add_columns(const int32_t *restrict column, size_t n,
                                int32_t *restrict distance, int32_t *restrict least)
{
    for (size_t i = 0; i < n; i++) {
        int32_t d = column[i] + column[i + 1] + column[i + 2] + column[i + 3] + column[i + 4] +
                    column[i + 5] + column[i + 6];
        distance[i] = d;
        least[i] = d < least[i] ? d : least[i];
    }
}

/* Adds one neighbour of each pixel: its weight, and by how much it differs from the pixel. */
VJ_SIMD static void weigh(const int32_t *restrict distance, const int32_t *restrict least,
                          const double *restrict rate, const int16_t *pixel,
                          const int16_t *neighbour, size_t n, double *restrict weights,
                          double *restrict total)
{
    for (size_t i = 0; i < n; i++) {
        double w = vj_jnd_fep_weight(distance[i], least[i], rate[i]);
        weights[i] += w;
        total[i] += w * (double)(neighbour[i] - pixel[i]);
    }
}

/* Elements from a pixel of the wide plane to its neighbour number k. */
static ptrdiff_t neighbour(const struct fep *f, int k)
{
    return vj_jnd_fep_row(k) * (ptrdiff_t)f->wide.stride + vj_jnd_fep_column(k);
}

/* Distances of row y: sums of all rows of the patches when they are `fresh`, else the next row. */
static void distances(const struct fep *f, size_t y, size_t x, size_t n, bool fresh,
                      struct strip *s, int32_t *least)
{
    const size_t stride = f->wide.stride, columns = n + SIDE - 1;
    const int16_t *last = vj_jnd_at(&f->wide, (ptrdiff_t)y + PATCH, (ptrdiff_t)x - PATCH);
    for (size_t i = 0; i < n; i++)
        least[i] = INT32_MAX;
    for (int k = 0; k < OFFSETS; k++) {
        const ptrdiff_t away = neighbour(f, k);
        int32_t *column = s->column[k];
        if (fresh) {
            memset(column, 0, columns * sizeof(*column));
            for (size_t back = 0; back < SIDE; back++)
                add_row(last - back * stride, last - back * stride + away, columns, column);
        } else {
            slide_rows(last, last + away, SIDE * stride, columns, column);
        }
        add_columns(column, n, s->distance[k], least);
    }
}

/*
 * Predicts n pixels of a row. Weights are relative to the largest one, which is that of the nearest
 * patch and also the pixel's own: in strong texture they would all underflow otherwise.
 */
static void predict(const struct fep *f, size_t y, size_t x, size_t n, const struct strip *s,
                    const int32_t *least)
{
    double rate[STRIP], weights[STRIP], total[STRIP] = {0};
    const int16_t *pixel = vj_jnd_at(&f->wide, (ptrdiff_t)y, (ptrdiff_t)x);
    bandwidths(f, y, x, n, rate);
    for (size_t i = 0; i < n; i++) {
        rate[i] = vj_jnd_fep_rate(rate[i]);
        weights[i] = 1.0;
    }
    for (int k = 0; k < OFFSETS; k++)
        weigh(s->distance[k], least, rate, pixel, pixel + neighbour(f, k), n, weights, total);
    for (size_t i = 0; i < n; i++) {
        int value = vj_jnd_fep_prediction(pixel[i], total[i], weights[i]);
        f->prediction[y * f->width + x + i] = (uint8_t)value;
        f->residual[y * f->width + x + i] =
            (uint8_t)(value > pixel[i] ? value - pixel[i] : pixel[i] - value);
    }
}

static void predict_band(const struct fep *f, size_t band, size_t x, struct strip *s)
{
    size_t n = f->width - x < STRIP ? f->width - x : STRIP;
    size_t first = band * BAND, end = f->height - first < BAND ? f->height : first + BAND;
    for (size_t y = first; y < end; y++) {
        int32_t least[STRIP];
        distances(f, y, x, n, y == first, s, least);
        predict(f, y, x, n, s, least);
    }
}

static void predict_all(const struct fep *f, int threads)
{
    size_t bands = f->height / BAND + (f->height % BAND != 0);
#pragma omp parallel num_threads(threads)
    {
        struct strip *mine = &f->strip[omp_get_thread_num()];
#pragma omp for collapse(2) schedule(dynamic)
        for (size_t band = 0; band < bands; band++)
            for (size_t x = 0; x < f->width; x += STRIP)
                predict_band(f, band, x, mine);
    }
}

/* --- map -------------------------------------------------------------------------------------- */

struct span {
    float luminance[VJ_JND_SPAN], contrast[VJ_JND_SPAN], weight[VJ_JND_SPAN], smooth[VJ_JND_SPAN],
        disorder[VJ_JND_SPAN], map[VJ_JND_SPAN];
};

VJ_SIMD static void contrast(const uint16_t *background32, const uint16_t *gradient16, size_t n,
                             float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = vj_jnd_fep_contrast(gradient16[i], background32[i]);
}

VJ_SIMD static void combine(const int32_t *variance2401, const uint8_t *residual, size_t n,
                            struct span *s)
{
    for (size_t i = 0; i < n; i++) {
        float disorder =
            vj_jnd_fep_disorder(variance2401[i], residual[i], s->smooth[i], s->weight[i]);
        s->disorder[i] = disorder;
        s->map[i] = vj_jnd_namm(vj_jnd_namm(s->luminance[i], s->contrast[i]), disorder);
    }
}

/* Map without the frame, which is 2 pixels wide above and left, 3 below and right. */
static void store_map(const struct fep *f, size_t y, size_t x, const float *values, size_t n)
{
    float *row = f->job->map + y * f->width;
    bool inside = y >= 2 && y + 4 <= f->height;
    for (size_t i = 0; i < n; i++)
        row[x + i] = inside && x + i >= 2 && x + i + 4 <= f->width ? values[i] : 0.0f;
}

/* Stages that only a caller who asks for them needs. */
static void hand_out_stages(const struct fep *f, size_t y, size_t x, size_t n,
                            const int32_t *variance2401, const struct span *s)
{
    float deviation[VJ_JND_SPAN], bandwidth[VJ_JND_SPAN], prediction[VJ_JND_SPAN],
        residual[VJ_JND_SPAN], edge[VJ_JND_SPAN];
    double squared[VJ_JND_SPAN];
    bandwidths(f, y, x, n, squared);
    for (size_t i = 0; i < n; i++) {
        size_t p = y * f->width + x + i;
        deviation[i] = (float)(sqrt((double)variance2401[i]) / AREA);
        bandwidth[i] = (float)sqrt(squared[i]);
        prediction[i] = f->prediction[p];
        residual[i] = f->residual[p];
        edge[i] = f->edge[p];
    }
    vj_jnd_stage(f->job, STAGE_DEVIATION, y, x, deviation, n);
    vj_jnd_stage(f->job, STAGE_BANDWIDTH, y, x, bandwidth, n);
    vj_jnd_stage(f->job, STAGE_PREDICTION, y, x, prediction, n);
    vj_jnd_stage(f->job, STAGE_RESIDUAL, y, x, residual, n);
    vj_jnd_stage(f->job, STAGE_EDGE, y, x, edge, n);
    vj_jnd_stage(f->job, STAGE_LUMINANCE, y, x, s->luminance, n);
    vj_jnd_stage(f->job, STAGE_CONTRAST, y, x, s->contrast, n);
    vj_jnd_stage(f->job, STAGE_WEIGHT, y, x, s->weight, n);
    vj_jnd_stage(f->job, STAGE_DISORDER, y, x, s->disorder, n);
}

static void map_row(const struct fep *f, size_t y)
{
    for (size_t x = 0; x < f->width; x += VJ_JND_SPAN) {
        size_t n = f->width - x < VJ_JND_SPAN ? f->width - x : VJ_JND_SPAN;
        const int16_t *src = vj_jnd_at(&f->predicted, (ptrdiff_t)y, (ptrdiff_t)x);
        uint16_t background32[VJ_JND_SPAN], gradient16[VJ_JND_SPAN];
        int32_t variance2401[VJ_JND_SPAN];
        struct span s;
        vj_jnd_background(src, f->predicted.stride, n, background32);
        vj_jnd_gradient(src, f->predicted.stride, n, gradient16);
        variance(vj_jnd_at(&f->dark, (ptrdiff_t)y, (ptrdiff_t)x), f->dark.stride, n, variance2401);
        for (size_t i = 0; i < n; i++)
            s.luminance[i] = f->adaptation[background32[i] / 32];
        contrast(background32, gradient16, n, s.contrast);
        vj_jnd_smooth(f->residual, f->width, f->height, y, x, n, &f->residual_gaussian, 1.0f, 0.0f,
                      s.smooth);
        vj_jnd_smooth(f->dilated, f->width, f->height, y, x, n, &f->weight_gaussian,
                      -vj_jnd_weight_fep.attenuation, 1.0f, s.weight);
        combine(variance2401, f->residual + y * f->width + x, n, &s);
        store_map(f, y, x, s.map, n);
        if (f->job->stages)
            hand_out_stages(f, y, x, n, variance2401, &s);
    }
}

static void prepare_constants(struct fep *f)
{
    for (int b = 0; b < 256; b++) {
        f->sensitivity[b] = vj_jnd_fep_sensitivity(b);
        f->adaptation[b] = vj_jnd_luminance((float)vj_jnd_lift(b));
    }
    f->residual_gaussian = vj_jnd_gaussian(7, 7.0 / 3);
    f->weight_gaussian =
        vj_jnd_gaussian(vj_jnd_weight_fep.gaussian_size, vj_jnd_weight_fep.gaussian_sigma);
}

static int compute(const struct vj_jnd_job *job, struct vj_jnd_workspace *ws, struct vj_error *err)
{
    (void)err;
    int threads = ws->threads;
    struct fep f = {.job = job};
    take(&f, &ws->arena, job->width, job->height, threads);
    prepare_constants(&f);
    vj_jnd_pad(&f.plane, job->luma, VJ_JND_REPLICATE, threads);
    vj_jnd_pad(&f.wide, job->luma, VJ_JND_SYMMETRIC, threads);
    vj_jnd_pad(&f.dark, job->luma, VJ_JND_ZERO, threads);
    predict_all(&f, threads);
    vj_jnd_pad(&f.predicted, f.prediction, VJ_JND_ZERO, threads);
    vj_canny(&f.plane, VJ_JND_FEP_EDGE_THRESHOLD, &f.canny, f.edge, threads);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (size_t y = 0; y < f.height; y++)
            vj_jnd_dilate(f.edge, f.width, f.height, y, vj_jnd_weight_fep.shape,
                          f.dilated + y * f.width);
#pragma omp for schedule(static)
        for (size_t y = 0; y < f.height; y++)
            map_row(&f, y);
    }
    return 0;
}

const struct vj_jnd_model vj_jnd_fep13 = {
    .name = "fep13",
    .reference = "Wu, Shi, Lin, Liu, Qi: Just noticeable difference estimation for images with "
                 "free-energy principle. IEEE TMM 15(7), 2013",
    .variants = variants,
    .stages = stages,
    .min_side = 1,
    .workspace = workspace,
    .compute = compute,
};
