/* SPDX-License-Identifier: MIT */
/*
 * SSIMULACRA2 of candidates: memory and launches; what the kernels do is in ssimulacra2_body.h and
 * ssimulacra2_parity_body.h.
 */
#include "cuda/launch.h"

extern "C" {
#include "cuda/ssimulacra2.h"
#include "cuda/ssimulacra2_body.h"
#include "cuda/ssimulacra2_parity_body.h"
}

struct vj_cuda_ssimulacra2 {
    size_t max_width, max_height;
    enum vj_ssimulacra2_mode mode;
    int levels;
    int batch; /* candidates in work at a time, at most */
    bool loaded;
    struct vj_cuda_ssimulacra2_shape shape; /* of the picture loaded */
    size_t width, height;
    int channels;

    uint8_t *memory; /* owned; the arrays below lie in it */
    float *table;
    struct vj_cuda_ssimulacra2_original original;
    float *light; /* of `batch` candidates; of the original while it is loaded */
    float *xyb;   /* parity: likewise, one scale at a time */
    float *rows;  /* the same */
    double *part;
};

/* ---- Kernels -------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    pool_kernel(const __grid_constant__ struct vj_cuda_ssimulacra2_pool_job job)
{
    vj_cuda_ssimulacra2_pool_pixel(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    xyb_kernel(const __grid_constant__ struct vj_cuda_ssimulacra2_xyb_job job)
{
    vj_cuda_ssimulacra2_xyb_pixel(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    moment_kernel(const __grid_constant__ struct vj_cuda_moment_job job)
{
    __shared__ struct vj_cuda_moment_shared s;
    vj_cuda_moment_columns(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_moment_rows(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_STRIP_THREADS)
    maps_kernel(const __grid_constant__ struct vj_cuda_maps_job job)
{
    __shared__ struct vj_cuda_maps_shared s;
    struct vj_cuda_maps_thread own;
    vj_cuda_maps_start(&job, &s, &own, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    for (unsigned row = 0; vj_cuda_maps_reach(&own, row); row += VJ_CUDA_STRIP_STEP) {
        vj_cuda_maps_colours(&job, &s, &own, vj_cuda_here(), row);
        __syncthreads();
        vj_cuda_maps_columns(&job, &s, &own, row);
        __syncthreads();
        vj_cuda_maps_measure(&job, &s, &own, row);
    }
    vj_cuda_maps_store(&job, &own, vj_cuda_here());
}

static __global__ void __launch_bounds__(VJ_CUDA_ALONG_THREADS)
    along_kernel(const __grid_constant__ struct vj_cuda_parity_job job)
{
    __shared__ struct vj_cuda_along_shared s;
    struct vj_cuda_along_thread own;
    const size_t width = job.shape.width[job.scale];
    for (size_t column = 0; column < width; column += VJ_CUDA_ALONG_COLUMNS) {
        vj_cuda_along_load(&job, &s, vj_cuda_here(), threadIdx.x, column);
        __syncthreads();
        vj_cuda_along_run(&job, &s, &own, threadIdx.x, column);
        __syncthreads();
        vj_cuda_along_store(&job, &s, vj_cuda_here(), threadIdx.x, column);
    }
}

/* The number of products is a constant, so that candidates' loads need not wait for stores of the
 * original's moments. */
template <int products>
static __global__ void __launch_bounds__(VJ_CUDA_DOWN_THREADS)
    down_kernel(const __grid_constant__ struct vj_cuda_parity_job job)
{
    vj_cuda_down_column(&job, products, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_TOTAL_THREADS)
    column_total_kernel(const __grid_constant__ struct vj_cuda_column_total_job job)
{
    vj_cuda_column_total(&job, vj_cuda_here(), threadIdx.x);
}

static_assert(sizeof(struct vj_cuda_moment_shared) <= VJ_CUDA_SHARED, "shared memory of moments");
static_assert(sizeof(struct vj_cuda_maps_shared) <= VJ_CUDA_SHARED, "shared memory of maps");
static_assert(VJ_CUDA_ALONG_COLUMNS % 4 == 0, "blocks of four outputs");
static_assert(VJ_CUDA_ALONG_ROWS * VJ_CUDA_ALONG_INPUTS %
                      (VJ_CUDA_ALONG_AT_ONCE * VJ_CUDA_ALONG_THREADS) ==
                  0,
              "threads share a tile's inputs out");
static_assert(sizeof(struct vj_cuda_along_shared) <= VJ_CUDA_SHARED, "shared memory of rows");

/* ---- Memory --------------------------------------------------------------------------------- */

static int check_size(size_t width, size_t height, struct vj_error *err)
{
    size_t pixels;
    if (width < 1 || height < 1 || !vj_size_mul(width, height, &pixels) ||
        pixels > VJ_SSIMULACRA2_MAX_PIXELS ||
        vj_cuda_blocks(height, VJ_CUDA_MOMENT_HEIGHT) > VJ_CUDA_MAX_GRID_Y)
        return vj_fail(err, -EINVAL,
                       "SSIMULACRA2 on a device: %zux%zu pixels, supported are 1 to %zu and at "
                       "most %d rows",
                       width, height, VJ_SSIMULACRA2_MAX_PIXELS,
                       VJ_CUDA_MAX_GRID_Y * VJ_CUDA_MOMENT_HEIGHT);
    return 0;
}

static int check_count(int count, int capacity, struct vj_error *err)
{
    if (count < 1 || count > capacity)
        return vj_fail(err, -EINVAL,
                       "SSIMULACRA2 of %d candidates asked for, there is room for 1 to %d", count,
                       capacity);
    return 0;
}

static int check_plan(size_t max_width, size_t max_height, enum vj_ssimulacra2_mode mode,
                      int levels, struct vj_error *err)
{
    if (mode != VJ_SSIMULACRA2_EXACT && mode != VJ_SSIMULACRA2_PARITY)
        return vj_fail(err, -EINVAL, "SSIMULACRA2: mode %d is neither exact 1 nor parity 2",
                       (int)mode);
    int rc = check_size(max_width, max_height, err);
    return rc ? rc : check_count(levels, VJ_CUDA_LEVELS, err);
}

/* Lays out the arrays; with base NULL it only counts. */
static size_t lay_out(struct vj_cuda_ssimulacra2 *q, uint8_t *base)
{
    const struct vj_cuda_ssimulacra2_shape most =
        vj_cuda_ssimulacra2_shape(q->max_width, q->max_height);
    const size_t planes = VJ_SSIMULACRA2_CHANNELS * most.pixels;
    const size_t batch = (size_t)q->batch;
    struct vj_cuda_arena arena = {base, 0};
    q->table = (float *)vj_cuda_take(&arena, 256, sizeof(float));
    q->original.plane = (float *)vj_cuda_take(&arena, planes, sizeof(float));
    q->original.mean = (float *)vj_cuda_take(&arena, planes, sizeof(float));
    q->original.second = (float *)vj_cuda_take(&arena, planes, sizeof(float));
    q->light =
        (float *)vj_cuda_take(&arena, batch, 3 * vj_cuda_ssimulacra2_lights(&most) * sizeof(float));
    if (q->mode == VJ_SSIMULACRA2_PARITY) {
        const size_t largest =
            VJ_SSIMULACRA2_CHANNELS * most.width[0] * most.height[0] * sizeof(float);
        q->xyb = (float *)vj_cuda_take(&arena, batch, largest);
        q->rows = (float *)vj_cuda_take(&arena, batch, VJ_CUDA_PARITY_PRODUCTS * largest);
    }
    q->part = (double *)vj_cuda_take(&arena, batch,
                                     VJ_SSIMULACRA2_CHANNELS * VJ_SSIMULACRA2_TERMS * most.columns *
                                         sizeof(double));
    return vj_cuda_taken(&arena);
}

static struct vj_cuda_ssimulacra2 described(size_t max_width, size_t max_height,
                                            enum vj_ssimulacra2_mode mode, int levels)
{
    struct vj_cuda_ssimulacra2 q;
    memset(&q, 0, sizeof(q));
    q.max_width = max_width;
    q.max_height = max_height;
    q.mode = mode;
    q.levels = levels;
    const struct vj_cuda_ssimulacra2_shape most = vj_cuda_ssimulacra2_shape(max_width, max_height);
    q.batch = vj_cuda_ssimulacra2_batch(&most, mode, levels);
    return q;
}

size_t vj_cuda_ssimulacra2_bytes(size_t max_width, size_t max_height, enum vj_ssimulacra2_mode mode,
                                 int levels)
{
    if (check_plan(max_width, max_height, mode, levels, NULL))
        return 0;
    struct vj_cuda_ssimulacra2 q = described(max_width, max_height, mode, levels);
    return lay_out(&q, NULL);
}

/* Whole before anything else runs on the device: kernels of any stream may read it from then on. */
static int send_table(struct vj_cuda_ssimulacra2 *q, struct vj_error *err)
{
    float table[256];
    for (int i = 0; i < 256; i++)
        table[i] = q->mode == VJ_SSIMULACRA2_PARITY ? vj_ssimulacra2_parity_linear((uint8_t)i)
                                                    : vj_ssimulacra2_linear((uint8_t)i);
    int rc = VJ_CUDA(cudaMemcpy(q->table, table, sizeof(table), cudaMemcpyHostToDevice), err);
    return rc ? rc : VJ_CUDA(cudaDeviceSynchronize(), err);
}

int vj_cuda_ssimulacra2_create(struct vj_cuda_ssimulacra2 **ssimulacra2, size_t max_width,
                               size_t max_height, enum vj_ssimulacra2_mode mode, int levels,
                               struct vj_error *err)
{
    *ssimulacra2 = NULL;
    int rc = check_plan(max_width, max_height, mode, levels, err);
    if (rc)
        return rc;
    struct vj_cuda_ssimulacra2 *q = (struct vj_cuda_ssimulacra2 *)vj_calloc(1, sizeof(*q));
    if (!q)
        return vj_fail(err, -ENOMEM, "out of memory");
    *q = described(max_width, max_height, mode, levels);
    rc = vj_cuda_memory(&q->memory, lay_out(q, NULL), max_width, max_height, "SSIMULACRA2", err);
    if (!rc) {
        lay_out(q, q->memory);
        rc = send_table(q, err);
    }
    if (rc) {
        vj_cuda_ssimulacra2_destroy(q);
        return rc;
    }
    *ssimulacra2 = q;
    return 0;
}

void vj_cuda_ssimulacra2_destroy(struct vj_cuda_ssimulacra2 *ssimulacra2)
{
    if (!ssimulacra2)
        return;
    cudaFree(ssimulacra2->memory);
    free(ssimulacra2);
}

/* ---- Both sides ----------------------------------------------------------------------------- */

static struct vj_cuda_ssimulacra2_pictures pictures_of(const struct vj_cuda_ssimulacra2 *q,
                                                       const uint8_t *d_pixels)
{
    struct vj_cuda_ssimulacra2_pictures pictures;
    memset(&pictures, 0, sizeof(pictures));
    pictures.shape = q->shape;
    pictures.bytes = d_pixels;
    pictures.channels = q->channels;
    pictures.table = q->table;
    pictures.light = q->light;
    return pictures;
}

/* All scales of the linear light but the first, which is made from bytes wherever it is needed. */
static int pool(const struct vj_cuda_ssimulacra2_pictures *pictures, cudaStream_t stream, int count,
                struct vj_error *err)
{
    int rc = 0;
    for (int s = 1; !rc && s < pictures->shape.scales; s++) {
        struct vj_cuda_ssimulacra2_pool_job job = {*pictures, s};
        vj_cuda_launch(
            pool_kernel,
            vj_cuda_dim(vj_cuda_ssimulacra2_pixel_grid(&pictures->shape, s, (size_t)count)),
            VJ_CUDA_THREADS, stream, job);
        rc = VJ_CUDA_LAUNCHED("linear light", err);
    }
    return rc;
}

/* X, Y, B of one scale. */
static int make_xyb(const struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                    const struct vj_cuda_ssimulacra2_pictures *pictures, int scale,
                    struct vj_cuda_ssimulacra2_xyb to, int count, struct vj_error *err)
{
    struct vj_cuda_ssimulacra2_xyb_job job = {*pictures, scale, q->mode == VJ_SSIMULACRA2_PARITY,
                                              to};
    vj_cuda_launch(xyb_kernel,
                   vj_cuda_dim(vj_cuda_ssimulacra2_pixel_grid(&q->shape, scale, (size_t)count)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("X, Y, B", err);
}

/* Parity mode: one scale of the original (products 2) or of candidates (3), filtered. */
static int filter(const struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                  struct vj_cuda_ssimulacra2_xyb xyb, int scale, int products, int count,
                  struct vj_error *err)
{
    struct vj_cuda_parity_job job;
    memset(&job, 0, sizeof(job));
    job.shape = q->shape;
    job.xyb = xyb;
    job.scale = scale;
    job.products = products;
    job.original = q->original;
    for (int k = 0; k < VJ_SSIMULACRA2_POLES; k++)
        job.pole[k] = vj_ssimulacra2_pole(k);
    job.rows = q->rows;
    job.part = q->part;
    vj_cuda_launch(along_kernel, vj_cuda_dim(vj_cuda_along_grid(&q->shape, scale, (size_t)count)),
                   VJ_CUDA_ALONG_THREADS, stream, job);
    int rc = VJ_CUDA_LAUNCHED("SSIMULACRA2 rows", err);
    if (rc)
        return rc;
    const dim3 columns = vj_cuda_dim(vj_cuda_down_grid(&q->shape, scale, (size_t)count));
    if (products == VJ_CUDA_PARITY_PRODUCTS)
        vj_cuda_launch(down_kernel<VJ_CUDA_PARITY_PRODUCTS>, columns, VJ_CUDA_DOWN_THREADS, stream,
                       job);
    else
        vj_cuda_launch(down_kernel<VJ_CUDA_PARITY_A_P>, columns, VJ_CUDA_DOWN_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("SSIMULACRA2 columns", err);
}

/* ---- Original ------------------------------------------------------------------------------- */

static int load_scale(const struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                      const struct vj_cuda_ssimulacra2_pictures *pictures, int s,
                      struct vj_error *err)
{
    const struct vj_cuda_ssimulacra2_xyb xyb =
        vj_cuda_ssimulacra2_xyb_of(&q->original, &q->shape, s);
    int rc = make_xyb(q, stream, pictures, s, xyb, 1, err);
    if (rc)
        return rc;
    if (q->mode == VJ_SSIMULACRA2_PARITY)
        return filter(q, stream, xyb, s, VJ_CUDA_PARITY_A_P, 1, err);
    struct vj_cuda_moment_job moments = {q->shape, s, q->original};
    vj_cuda_launch(moment_kernel, vj_cuda_dim(vj_cuda_moment_grid(&q->shape, s)), VJ_CUDA_THREADS,
                   stream, moments);
    return VJ_CUDA_LAUNCHED("moments of the original", err);
}

int vj_cuda_ssimulacra2_load(struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                             const uint8_t *d_pixels, size_t width, size_t height, int channels,
                             struct vj_error *err)
{
    q->loaded = false;
    if (channels != 1 && channels != 3)
        return vj_fail(err, -EINVAL, "SSIMULACRA2: original has %d channels, expected 1 or 3",
                       channels);
    if (width > q->max_width || height > q->max_height)
        return vj_fail(err, -ENOSPC,
                       "SSIMULACRA2: original of %zux%zu, the device was prepared for %zux%zu",
                       width, height, q->max_width, q->max_height);
    int rc = check_size(width, height, err);
    if (rc)
        return rc;
    q->shape = vj_cuda_ssimulacra2_shape(width, height);
    q->width = width;
    q->height = height;
    q->channels = channels;
    const struct vj_cuda_ssimulacra2_pictures pictures = pictures_of(q, d_pixels);
    rc = pool(&pictures, stream, 1, err);
    for (int s = 0; !rc && s < q->shape.scales; s++)
        rc = load_scale(q, stream, &pictures, s, err);
    q->loaded = rc == 0;
    return rc;
}

/* ---- Candidates ----------------------------------------------------------------------------- */

/* Sums over the maps of every column. */
static int maps(const struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                const struct vj_cuda_ssimulacra2_pictures *pictures, int count,
                struct vj_error *err)
{
    int rc = 0;
    if (q->mode == VJ_SSIMULACRA2_PARITY) {
        for (int s = 0; !rc && s < q->shape.scales; s++) {
            const size_t pixels = q->shape.width[s] * q->shape.height[s];
            const struct vj_cuda_ssimulacra2_xyb xyb = {q->xyb, pixels,
                                                        VJ_SSIMULACRA2_CHANNELS * pixels};
            rc = make_xyb(q, stream, pictures, s, xyb, count, err);
            if (!rc)
                rc = filter(q, stream, xyb, s, VJ_CUDA_PARITY_PRODUCTS, count, err);
        }
        return rc;
    }
    if (q->shape.scales == 0)
        return 0;
    struct vj_cuda_maps_job job = {*pictures, q->original, q->part};
    vj_cuda_launch(maps_kernel, vj_cuda_dim(vj_cuda_strip_grid(&q->shape, (size_t)count)),
                   VJ_CUDA_STRIP_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("SSIMULACRA2 maps", err);
}

/* At most q->batch candidates. */
static int compute_batch(const struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                         const uint8_t *d_candidates, int count,
                         struct vj_ssimulacra2_totals *d_totals, struct vj_error *err)
{
    const struct vj_cuda_ssimulacra2_pictures pictures = pictures_of(q, d_candidates);
    int rc = pool(&pictures, stream, count, err);
    if (!rc)
        rc = maps(q, stream, &pictures, count, err);
    if (rc)
        return rc;
    struct vj_cuda_column_total_job total = {q->shape, q->part, d_totals};
    vj_cuda_launch(column_total_kernel, dim3(VJ_SSIMULACRA2_SCALES, (unsigned)count),
                   VJ_CUDA_TOTAL_THREADS, stream, total);
    return VJ_CUDA_LAUNCHED("SSIMULACRA2 totals", err);
}

int vj_cuda_ssimulacra2_compute(struct vj_cuda_ssimulacra2 *q, cudaStream_t stream,
                                const uint8_t *d_candidates, int count,
                                struct vj_ssimulacra2_totals *d_totals, struct vj_error *err)
{
    if (!q->loaded)
        return vj_fail(err, -EINVAL, "SSIMULACRA2: no original is loaded on the device");
    int rc = check_count(count, q->levels, err);
    const size_t bytes = q->width * q->height * (size_t)q->channels;
    for (int first = 0; !rc && first < count;) {
        const int n = vj_cuda_even_part(count - first, q->batch);
        rc = compute_batch(q, stream, d_candidates + (size_t)first * bytes, n, d_totals + first,
                           err);
        first += n;
    }
    return rc;
}

void vj_cuda_ssimulacra2_finish(const struct vj_cuda_ssimulacra2 *q,
                                const struct vj_ssimulacra2_totals *totals, int count,
                                double *score)
{
    for (int i = 0; i < count; i++) {
        struct vj_ssimulacra2_result result;
        vj_ssimulacra2_finish(q->width, q->height, &totals[i], &result);
        score[i] = result.score;
    }
}
