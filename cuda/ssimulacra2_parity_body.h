/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels of SSIMULACRA2's parity mode, beside those of ssimulacra2_body.h. Its
 * filter is a recursion along each row, then down each column of what came out: a thread per row
 * and product, then a thread per column, so that every float32 operation is the reference
 * program's.
 */
#ifndef VJ_CUDA_SSIMULACRA2_PARITY_BODY_H
#define VJ_CUDA_SSIMULACRA2_PARITY_BODY_H

#include "cuda/ssimulacra2_body.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* A thread block's rows, and columns that it takes at a time: blocks of four outputs begin at
     * multiples of four, so that none straddles two tiles. */
    VJ_CUDA_ALONG_ROWS = 32,
    VJ_CUDA_ALONG_COLUMNS = 32,
    VJ_CUDA_ALONG_THREADS = VJ_CUDA_ALONG_ROWS * VJ_CUDA_PARITY_PRODUCTS,
    VJ_CUDA_DOWN_THREADS = 64, /* a column each */

    VJ_CUDA_PARITY_START = 4, /* the recursions start at output -4 */
    VJ_CUDA_PARITY_DELAY = 6, /* u[n] = in[n - 6] + in[n + 4] */
    VJ_CUDA_ALONG_INPUTS = VJ_CUDA_ALONG_COLUMNS + VJ_CUDA_PARITY_DELAY + VJ_CUDA_PARITY_START,
    VJ_CUDA_ALONG_AT_ONCE = 7, /* inputs that a thread waits for at a time, of 14 */
};

/* What is filtered: p, p p and, of candidates, a p, with p the picture and a the original. */
enum { VJ_CUDA_PARITY_P, VJ_CUDA_PARITY_P_P, VJ_CUDA_PARITY_A_P };

/* One scale of the original alone, or of candidates. */
struct vj_cuda_parity_job {
    struct vj_cuda_ssimulacra2_shape shape;
    struct vj_cuda_ssimulacra2_xyb xyb; /* of the pictures */
    int scale;
    int products; /* 2: the original, 3: candidates */
    struct vj_cuda_ssimulacra2_original original;
    struct vj_ssimulacra2_pole pole[VJ_SSIMULACRA2_POLES];
    /* [count][channels][products][height][width]: filtered along the rows */
    float *rows;
    double *part; /* candidates: [count][shape.columns][channels][terms] */
};

static inline VJ_HD float *vj_cuda_parity_plane(const struct vj_cuda_parity_job *job,
                                                struct vj_cuda_place at, int product)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    size_t plane = ((size_t)at.z * VJ_SSIMULACRA2_CHANNELS + at.y) * (size_t)job->products;
    return job->rows +
           (plane + (size_t)product) * (shape->width[job->scale] * shape->height[job->scale]);
}

/* Channel at.y of pixel (y, x) of picture at.z. */
static inline VJ_HD float vj_cuda_parity_picture(const struct vj_cuda_parity_job *job,
                                                 struct vj_cuda_place at, size_t y, size_t x)
{
    return job->xyb.plane[at.z * job->xyb.picture + at.y * job->xyb.apart +
                          y * job->shape.width[job->scale] + x];
}

/* Where the original has that pixel. */
static inline VJ_HD size_t vj_cuda_parity_pixel(const struct vj_cuda_parity_job *job,
                                                struct vj_cuda_place at, size_t y, size_t x)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    return at.y * shape->pixels + shape->pixel[job->scale] + y * shape->width[job->scale] + x;
}

/* ---- Along rows ----------------------------------------------------------------------------- */

/* Rows are an odd number of words apart, so that threads side by side touch different banks. */
struct vj_cuda_along_shared {
    float p[VJ_CUDA_ALONG_ROWS][VJ_CUDA_ALONG_INPUTS + 1];
    float a[VJ_CUDA_ALONG_ROWS][VJ_CUDA_ALONG_INPUTS + 1];
    float out[VJ_CUDA_PARITY_PRODUCTS][VJ_CUDA_ALONG_ROWS][VJ_CUDA_ALONG_COLUMNS + 1];
};

/* The two outputs before the next one. */
struct vj_cuda_along_thread {
    float last[VJ_SSIMULACRA2_POLES], before[VJ_SSIMULACRA2_POLES];
};

static inline struct vj_cuda_grid vj_cuda_along_grid(const struct vj_cuda_ssimulacra2_shape *shape,
                                                     int scale, size_t count)
{
    struct vj_cuda_grid grid = {(unsigned)vj_cuda_blocks(shape->height[scale], VJ_CUDA_ALONG_ROWS),
                                VJ_SSIMULACRA2_CHANNELS, (unsigned)count};
    return grid;
}

/* Input number i of a tile, row by row, of the picture and, of candidates, of the original. */
static inline VJ_HD void vj_cuda_along_read(const struct vj_cuda_parity_job *job,
                                            struct vj_cuda_place at, unsigned i, size_t column,
                                            float *p, float *a)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    const size_t y = (size_t)at.x * VJ_CUDA_ALONG_ROWS + i / VJ_CUDA_ALONG_INPUTS;
    /* Left of the plane this becomes a huge number, which is outside too. */
    const size_t x = column + i % VJ_CUDA_ALONG_INPUTS - VJ_CUDA_PARITY_DELAY;
    const bool inside = y < shape->height[job->scale] && x < shape->width[job->scale];
    *p = inside ? vj_cuda_parity_picture(job, at, y, x) : 0.0f;
    *a = inside && job->products > VJ_CUDA_PARITY_A_P
             ? job->original.plane[vj_cuda_parity_pixel(job, at, y, x)]
             : 0.0f;
}

/*
 * Step 1, for column = 0, VJ_CUDA_ALONG_COLUMNS, ...: inputs of outputs `column` and following. Few
 * threads wait for memory: each reads several before it stores the first.
 */
static inline VJ_HD void vj_cuda_along_load(const struct vj_cuda_parity_job *job,
                                            struct vj_cuda_along_shared *s, struct vj_cuda_place at,
                                            unsigned thread, size_t column)
{
    const unsigned step = VJ_CUDA_ALONG_THREADS, all = VJ_CUDA_ALONG_ROWS * VJ_CUDA_ALONG_INPUTS;
    for (unsigned first = thread; first < all; first += VJ_CUDA_ALONG_AT_ONCE * step) {
        float p[VJ_CUDA_ALONG_AT_ONCE], a[VJ_CUDA_ALONG_AT_ONCE];
        VJ_UNROLL
        for (unsigned n = 0; n < VJ_CUDA_ALONG_AT_ONCE; n++)
            vj_cuda_along_read(job, at, first + n * step, column, &p[n], &a[n]);
        VJ_UNROLL
        for (unsigned n = 0; n < VJ_CUDA_ALONG_AT_ONCE; n++) {
            const unsigned i = first + n * step;
            s->p[i / VJ_CUDA_ALONG_INPUTS][i % VJ_CUDA_ALONG_INPUTS] = p[n];
            s->a[i / VJ_CUDA_ALONG_INPUTS][i % VJ_CUDA_ALONG_INPUTS] = a[n];
        }
    }
}

/* Input number k of a tile's row. */
static inline VJ_HD float vj_cuda_along_input(const struct vj_cuda_along_shared *s, int product,
                                              unsigned row, size_t k)
{
    float p = s->p[row][k];
    if (product == VJ_CUDA_PARITY_P)
        return p;
    return product == VJ_CUDA_PARITY_P_P ? p * p : s->a[row][k] * p;
}

/*
 * `steps` outputs of all recursions from the same past, and their sums to out.
 * k: number in the tile of the first output's in[n - 6]
 */
static inline VJ_HD void vj_cuda_along_steps(const struct vj_cuda_parity_job *job,
                                             const struct vj_cuda_along_shared *s,
                                             struct vj_cuda_along_thread *own, int product,
                                             unsigned row, size_t k, int steps, float out[4])
{
    const int apart = VJ_CUDA_PARITY_DELAY + VJ_CUDA_PARITY_START;
    float u[4] = {0, 0, 0, 0}, y[VJ_SSIMULACRA2_POLES][4];
    VJ_UNROLL
    for (int i = 0; i < 4; i++)
        if (i < steps)
            u[i] = vj_cuda_along_input(s, product, row, k + (size_t)i) +
                   vj_cuda_along_input(s, product, row, k + (size_t)(i + apart));
    VJ_UNROLL
    for (int j = 0; j < VJ_SSIMULACRA2_POLES; j++) {
        VJ_UNROLL
        for (int i = 0; i < 4; i++)
            y[j][i] =
                vj_ssimulacra2_parity_along(&job->pole[j], i, u, 1, own->last[j], own->before[j]);
        own->before[j] = steps == 4 ? y[j][2] : own->last[j];
        own->last[j] = steps == 4 ? y[j][3] : y[j][0];
    }
    VJ_UNROLL
    for (int i = 0; i < 4; i++)
        out[i] = vj_ssimulacra2_parity_sum(y[0][i], y[1][i], y[2][i]);
}

/* The recursions' start, from zero and at output -4: before step 2 of the first column. */
static inline VJ_HD void vj_cuda_along_start(const struct vj_cuda_parity_job *job,
                                             struct vj_cuda_along_shared *s,
                                             struct vj_cuda_along_thread *own, unsigned thread)
{
    const unsigned row = thread % VJ_CUDA_ALONG_ROWS;
    const int product = (int)(thread / VJ_CUDA_ALONG_ROWS);
    for (int j = 0; j < VJ_SSIMULACRA2_POLES; j++)
        own->last[j] = own->before[j] = 0;
    /* in[n - 6] lies four columns further to the left than the tile begins, and is zero. */
    for (int n = 0; n < VJ_CUDA_PARITY_START; n++) {
        const float ahead =
            vj_cuda_along_input(s, product, row, (size_t)(VJ_CUDA_PARITY_DELAY + n));
        const float u = 0.0f + ahead;
        for (int j = 0; j < VJ_SSIMULACRA2_POLES; j++) {
            float y =
                vj_ssimulacra2_parity_along(&job->pole[j], 0, &u, 1, own->last[j], own->before[j]);
            own->before[j] = own->last[j];
            own->last[j] = y;
        }
    }
}

/* Step 2: the outputs of a tile, one row and product per thread. */
static inline VJ_HD void vj_cuda_along_run(const struct vj_cuda_parity_job *job,
                                           struct vj_cuda_along_shared *s,
                                           struct vj_cuda_along_thread *own, unsigned thread,
                                           size_t column)
{
    const size_t width = job->shape.width[job->scale];
    const unsigned row = thread % VJ_CUDA_ALONG_ROWS;
    const int product = (int)(thread / VJ_CUDA_ALONG_ROWS);
    if (product >= job->products)
        return;
    if (column == 0)
        vj_cuda_along_start(job, s, own, thread);
    for (size_t k = 0; k < VJ_CUDA_ALONG_COLUMNS && column + k < width;) {
        const size_t steps = vj_ssimulacra2_parity_steps(column + k, width);
        float out[4];
        vj_cuda_along_steps(job, s, own, product, row, k, (int)steps, out);
        for (size_t i = 0; i < steps; i++)
            s->out[product][row][k + i] = out[i];
        k += steps;
    }
}

/* Step 3: stores them. Nothing of step 1 of the next tile is in its way. */
static inline VJ_HD void vj_cuda_along_store(const struct vj_cuda_parity_job *job,
                                             const struct vj_cuda_along_shared *s,
                                             struct vj_cuda_place at, unsigned thread,
                                             size_t column)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    const size_t width = shape->width[job->scale];
    for (int product = 0; product < job->products; product++) {
        float *to = vj_cuda_parity_plane(job, at, product);
        for (unsigned i = thread; i < VJ_CUDA_ALONG_ROWS * VJ_CUDA_ALONG_COLUMNS;
             i += VJ_CUDA_ALONG_THREADS) {
            const unsigned row = i / VJ_CUDA_ALONG_COLUMNS, k = i % VJ_CUDA_ALONG_COLUMNS;
            size_t y = (size_t)at.x * VJ_CUDA_ALONG_ROWS + row;
            if (y < shape->height[job->scale] && column + k < width)
                to[y * width + column + k] = s->out[product][row][k];
        }
    }
}

/* ---- Down columns --------------------------------------------------------------------------- */

/* The filter down one column. */
struct vj_cuda_down_thread {
    float last[VJ_CUDA_PARITY_PRODUCTS][VJ_SSIMULACRA2_POLES];
    float before[VJ_CUDA_PARITY_PRODUCTS][VJ_SSIMULACRA2_POLES];
    double sum[VJ_SSIMULACRA2_TERMS];
};

static inline struct vj_cuda_grid vj_cuda_down_grid(const struct vj_cuda_ssimulacra2_shape *shape,
                                                    int scale, size_t count)
{
    struct vj_cuda_grid grid = {(unsigned)vj_cuda_blocks(shape->width[scale], VJ_CUDA_DOWN_THREADS),
                                VJ_SSIMULACRA2_CHANNELS, (unsigned)count};
    return grid;
}

/* What step i reads: inputs of the filter, and of the maps of output i - 4 of a candidate. */
struct vj_cuda_down_row {
    float ahead[VJ_CUDA_PARITY_PRODUCTS], behind[VJ_CUDA_PARITY_PRODUCTS];
    float a, d, mean, second;
};

/* Outside the plane, what is read is zero. */
static inline VJ_HD struct vj_cuda_down_row vj_cuda_down_read(const struct vj_cuda_parity_job *job,
                                                              int products, struct vj_cuda_place at,
                                                              size_t x, size_t i)
{
    const size_t apart = VJ_CUDA_PARITY_START + VJ_CUDA_PARITY_DELAY;
    const size_t width = job->shape.width[job->scale], height = job->shape.height[job->scale];
    struct vj_cuda_down_row row = {{0, 0, 0}, {0, 0, 0}, 0, 0, 0, 0};
    VJ_UNROLL
    for (int product = 0; product < VJ_CUDA_PARITY_PRODUCTS; product++) {
        if (product >= products)
            continue;
        const float *in = vj_cuda_parity_plane(job, at, product) + x;
        row.ahead[product] = i < height ? in[i * width] : 0.0f;
        row.behind[product] = i >= apart && i - apart < height ? in[(i - apart) * width] : 0.0f;
    }
    /* Above the plane this becomes a huge number, which is outside too. */
    const size_t y = i - VJ_CUDA_PARITY_START;
    if (products <= VJ_CUDA_PARITY_A_P || y >= height)
        return row;
    const size_t pixel = vj_cuda_parity_pixel(job, at, y, x);
    row.a = job->original.plane[pixel];
    row.mean = job->original.mean[pixel];
    row.second = job->original.second[pixel];
    row.d = vj_cuda_parity_picture(job, at, y, x);
    return row;
}

/* Output i - 4 of every product, to filtered. */
static inline VJ_HD void vj_cuda_down_step(const struct vj_cuda_parity_job *job, int products,
                                           struct vj_cuda_down_thread *own,
                                           const struct vj_cuda_down_row *row,
                                           float filtered[VJ_CUDA_PARITY_PRODUCTS])
{
    VJ_UNROLL
    for (int product = 0; product < VJ_CUDA_PARITY_PRODUCTS; product++) {
        if (product >= products)
            continue;
        VJ_UNROLL
        for (int j = 0; j < VJ_SSIMULACRA2_POLES; j++) {
            float y = vj_ssimulacra2_parity_down(&job->pole[j],
                                                 row->behind[product] + row->ahead[product],
                                                 own->last[product][j], own->before[product][j]);
            own->before[product][j] = own->last[product][j];
            own->last[product][j] = y;
        }
        filtered[product] = vj_ssimulacra2_parity_sum(own->last[product][0], own->last[product][1],
                                                      own->last[product][2]);
    }
}

/* The original's moments, or a candidate's maps, of pixel (y, x). */
static inline VJ_HD void vj_cuda_down_use(const struct vj_cuda_parity_job *job, int products,
                                          struct vj_cuda_down_thread *own,
                                          const struct vj_cuda_down_row *row,
                                          struct vj_cuda_place at, size_t y, size_t x,
                                          const float *filtered)
{
    const float m2 = filtered[VJ_CUDA_PARITY_P], s22 = filtered[VJ_CUDA_PARITY_P_P];
    if (products <= VJ_CUDA_PARITY_A_P) {
        const size_t pixel = vj_cuda_parity_pixel(job, at, y, x);
        job->original.mean[pixel] = m2;
        job->original.second[pixel] = s22;
        return;
    }
    double term[VJ_SSIMULACRA2_TERMS];
    vj_ssimulacra2_parity_terms(
        vj_ssimulacra2_parity_error(row->mean, m2, row->second, s22, filtered[VJ_CUDA_PARITY_A_P]),
        vj_ssimulacra2_parity_edge(row->a, row->mean, row->d, m2), term);
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        own->sum[k] += term[k];
}

/* One step: a column from top to bottom. products: job->products, by value so that it may be a
 * constant */
static inline VJ_HD void vj_cuda_down_column(const struct vj_cuda_parity_job *job, int products,
                                             struct vj_cuda_place at, unsigned thread)
{
    const struct vj_cuda_ssimulacra2_shape *shape = &job->shape;
    const size_t x = (size_t)at.x * VJ_CUDA_DOWN_THREADS + thread;
    struct vj_cuda_down_thread own;
    if (x >= shape->width[job->scale])
        return;
    VJ_UNROLL
    for (int product = 0; product < VJ_CUDA_PARITY_PRODUCTS; product++)
        VJ_UNROLL
    for (int j = 0; j < VJ_SSIMULACRA2_POLES; j++)
        own.last[product][j] = own.before[product][j] = 0;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        own.sum[k] = 0;
    /* Few threads wait for memory: the next row is on its way while one is worked on. */
    struct vj_cuda_down_row next = vj_cuda_down_read(job, products, at, x, 0);
    for (size_t i = 0; i < shape->height[job->scale] + VJ_CUDA_PARITY_START; i++) {
        const struct vj_cuda_down_row row = next;
        float filtered[VJ_CUDA_PARITY_PRODUCTS] = {0, 0, 0};
        next = vj_cuda_down_read(job, products, at, x, i + 1);
        vj_cuda_down_step(job, products, &own, &row, filtered);
        if (i >= VJ_CUDA_PARITY_START)
            vj_cuda_down_use(job, products, &own, &row, at, i - VJ_CUDA_PARITY_START, x, filtered);
    }
    if (products <= VJ_CUDA_PARITY_A_P)
        return;
    double *to =
        job->part +
        ((at.z * shape->columns + shape->column[job->scale] + x) * VJ_SSIMULACRA2_CHANNELS + at.y) *
            VJ_SSIMULACRA2_TERMS;
    VJ_UNROLL
    for (int k = 0; k < VJ_SSIMULACRA2_TERMS; k++)
        to[k] = own.sum[k];
}

#ifdef __cplusplus
}
#endif

#endif
