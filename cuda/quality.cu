/* SPDX-License-Identifier: MIT */
/* Quality of candidates: memory and launches; what the kernels do is in quality_body.h. */
#include "cuda/launch.h"

extern "C" {
#include "cuda/quality.h"
#include "cuda/quality_body.h"
}

struct vj_cuda_quality {
    size_t max_width, max_height;
    int which, levels;
    struct vj_cuda_quality_shape shape; /* of the picture loaded; width 0: none is */
    const uint8_t *reference;           /* borrowed */

    uint8_t *memory; /* owned; the arrays below lie in it */
    float *luma[VJ_MS_SSIM_SCALES];
    float *var[VJ_MS_SSIM_SCALES];
    float *difference[VJ_MS_SSIM_SCALES]; /* of VJ_CUDA_QUALITY_BATCH candidates; [0] is NULL */
    uint64_t (*part)[2];
};

/* ---- Kernels -------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    reference_luma_kernel(const __grid_constant__ struct vj_cuda_reference_luma_job job)
{
    vj_cuda_reference_luma(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    pool_kernel(const __grid_constant__ struct vj_cuda_pool_job job)
{
    vj_cuda_pool_pixel(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    variance_kernel(const __grid_constant__ struct vj_cuda_variance_job job)
{
    __shared__ struct vj_cuda_variance_shared s;
    vj_cuda_variance_columns(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_variance_windows(&job, &s, vj_cuda_here(), threadIdx.x);
}

/* Adds up over the threads of a block, a power of two of them. */
static __device__ void add_sums(struct vj_cuda_sum_shared *s, unsigned threads)
{
    for (unsigned half = threads / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_sum_add(s, half, threadIdx.x);
    }
    __syncthreads();
}

/* channels: of the pixels */
template <unsigned channels>
static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    difference_kernel(const __grid_constant__ struct vj_cuda_difference_job job)
{
    __shared__ struct vj_cuda_sum_shared s;
    vj_cuda_difference_column(&job, channels, &s, vj_cuda_here(), threadIdx.x);
    add_sums(&s, VJ_CUDA_THREADS);
    vj_cuda_sum_store(job.part, &s, vj_cuda_here(), gridDim.x, gridDim.y, threadIdx.x);
}

/* channels: of the pixels that samples are made from, 0 where they are there. */
template <unsigned channels>
static __global__ void __launch_bounds__(VJ_CUDA_WINDOW_THREADS)
    window_kernel(const __grid_constant__ struct vj_cuda_window_job job)
{
    __shared__ __align__(16) struct vj_cuda_window_shared s;
    struct vj_cuda_window_thread own;
    const size_t rows = vj_cuda_window_rows(&job, vj_cuda_here());
    vj_cuda_window_start(&job, channels, &own, vj_cuda_here(), threadIdx.x);
    for (size_t row = 0; row < rows; row += VJ_CUDA_WINDOW_STEP) {
        vj_cuda_window_columns(&job, channels, &s, &own, vj_cuda_here(), threadIdx.x, row);
        __syncthreads();
        vj_cuda_window_losses(&job, &s, &own, vj_cuda_here(), threadIdx.x, row);
        __syncthreads();
    }
    vj_cuda_window_sums(&s, &own, threadIdx.x);
    add_sums(&s.sums, VJ_CUDA_WINDOW_THREADS);
    vj_cuda_sum_store(job.part, &s.sums, vj_cuda_here(), gridDim.x, gridDim.y, threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    total_kernel(const __grid_constant__ struct vj_cuda_total_job job)
{
    __shared__ struct vj_cuda_sum_shared s;
    vj_cuda_total_gather(&job, &s, vj_cuda_here(), threadIdx.x);
    add_sums(&s, VJ_CUDA_THREADS);
    vj_cuda_total_write(&job, &s, vj_cuda_here(), threadIdx.x);
}

static_assert(sizeof(struct vj_cuda_window_shared) <= VJ_CUDA_SHARED, "shared memory of windows");
static_assert(VJ_CUDA_WINDOW_STEP % 4 == 0 && (VJ_CUDA_WINDOW_SAMPLES + 2) % 4 == 0,
              "columns are taken by fours");
static_assert((VJ_CUDA_WINDOW_GROUPS - 1) * VJ_CUDA_WINDOW_STEP + VJ_CUDA_WINDOW_SAMPLES + 2 <=
                  VJ_CUDA_WINDOW_THREADS,
              "columns under the last windows of a row");
static_assert(VJ_CUDA_WINDOW_GROUPS * VJ_CUDA_WINDOW_STEP <= VJ_CUDA_WINDOW_THREADS,
              "a thread for each group of windows");
static_assert((VJ_CUDA_WINDOW_THREADS & (VJ_CUDA_WINDOW_THREADS - 1)) == 0 &&
                  (int)VJ_CUDA_WINDOW_THREADS <= (int)VJ_CUDA_THREADS,
              "sums are added up by halves");
static_assert(sizeof(struct vj_cuda_variance_shared) <= VJ_CUDA_SHARED, "shared memory of moments");

/* ---- Memory --------------------------------------------------------------------------------- */

static int check_size(size_t width, size_t height, struct vj_error *err)
{
    size_t pixels;
    if (width < 1 || height < 1 || !vj_size_mul(width, height, &pixels) ||
        pixels > VJ_QUALITY_MAX_PIXELS ||
        vj_cuda_blocks(height, VJ_CUDA_VARIANCE_HEIGHT) > VJ_CUDA_MAX_GRID_Y)
        return vj_fail(err, -EINVAL,
                       "quality metrics on a device: %zux%zu pixels, supported are 1 to %zu and at "
                       "most %d rows",
                       width, height, VJ_QUALITY_MAX_PIXELS,
                       VJ_CUDA_MAX_GRID_Y * VJ_CUDA_VARIANCE_HEIGHT);
    return 0;
}

static int check_count(int count, int capacity, struct vj_error *err)
{
    if (count < 1 || count > capacity)
        return vj_fail(err, -EINVAL,
                       "quality of %d candidates asked for, there is room for 1 to %d", count,
                       capacity);
    return 0;
}

static int check_plan(size_t max_width, size_t max_height, int which, int levels,
                      struct vj_error *err)
{
    if (which <= 0 || (which & ~VJ_QUALITY_ALL))
        return vj_fail(err, -EINVAL,
                       "quality metrics: set %d is not a union of PSNR 1, SSIM 2, MS-SSIM 4",
                       which);
    int rc = check_size(max_width, max_height, err);
    return rc ? rc : check_count(levels, VJ_CUDA_LEVELS, err);
}

/* Candidates that are worked on at a time. */
static int batch_of(int levels)
{
    return levels < VJ_CUDA_QUALITY_BATCH ? levels : VJ_CUDA_QUALITY_BATCH;
}

/* Lays out the arrays; with base NULL it only counts. */
static size_t lay_out(struct vj_cuda_quality *q, uint8_t *base)
{
    size_t batch = (size_t)batch_of(q->levels);
    struct vj_cuda_quality_shape most =
        vj_cuda_quality_shape(q->max_width, q->max_height, 3, q->which);
    struct vj_cuda_arena arena = {base, 0};
    size_t parts = vj_cuda_grid_plane(vj_cuda_quad_grid(q->max_width, q->max_height, 1));
    for (int s = 0; s < most.scales; s++) {
        size_t pixels = (q->max_width >> s) * (q->max_height >> s);
        q->luma[s] = (float *)vj_cuda_take(&arena, pixels, sizeof(float));
        q->var[s] = (float *)vj_cuda_take(&arena, pixels, sizeof(float));
        if (s > 0)
            q->difference[s] = (float *)vj_cuda_take(&arena, batch, pixels * sizeof(float));
        size_t tiles = vj_cuda_grid_plane(vj_cuda_window_grid(q->max_width, q->max_height, s, 1));
        parts = tiles > parts ? tiles : parts;
    }
    q->part = (uint64_t(*)[2])vj_cuda_take(&arena, batch, parts * 2 * sizeof(uint64_t));
    return vj_cuda_taken(&arena);
}

static struct vj_cuda_quality described(size_t max_width, size_t max_height, int which, int levels)
{
    struct vj_cuda_quality q;
    memset(&q, 0, sizeof(q));
    q.max_width = max_width;
    q.max_height = max_height;
    q.which = which;
    q.levels = levels;
    return q;
}

size_t vj_cuda_quality_bytes(size_t max_width, size_t max_height, int which, int levels)
{
    if (check_plan(max_width, max_height, which, levels, NULL))
        return 0;
    struct vj_cuda_quality q = described(max_width, max_height, which, levels);
    return lay_out(&q, NULL);
}

int vj_cuda_quality_create(struct vj_cuda_quality **quality, size_t max_width, size_t max_height,
                           int which, int levels, struct vj_error *err)
{
    *quality = NULL;
    int rc = check_plan(max_width, max_height, which, levels, err);
    if (rc)
        return rc;
    struct vj_cuda_quality *q = (struct vj_cuda_quality *)vj_calloc(1, sizeof(*q));
    if (!q)
        return vj_fail(err, -ENOMEM, "out of memory");
    *q = described(max_width, max_height, which, levels);
    rc =
        vj_cuda_memory(&q->memory, lay_out(q, NULL), max_width, max_height, "quality metrics", err);
    if (rc) {
        vj_cuda_quality_destroy(q);
        return rc;
    }
    lay_out(q, q->memory);
    *quality = q;
    return 0;
}

void vj_cuda_quality_destroy(struct vj_cuda_quality *quality)
{
    if (!quality)
        return;
    cudaFree(quality->memory);
    free(quality);
}

/* ---- Reference ------------------------------------------------------------------------------ */

static int pool(cudaStream_t stream, const float *from, float *to, size_t width, size_t height,
                int planes, struct vj_error *err)
{
    struct vj_cuda_pool_job job = {from, to, width, height};
    vj_cuda_launch(pool_kernel, vj_cuda_dim(vj_cuda_pool_grid(width, height, planes)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("2x2 means", err);
}

static int load_scale(struct vj_cuda_quality *q, cudaStream_t stream,
                      const struct vj_cuda_quality_shape *shape, const uint8_t *d_pixels, int s,
                      struct vj_error *err)
{
    size_t width = shape->width >> s, height = shape->height >> s;
    int rc;
    if (s == 0) {
        struct vj_cuda_reference_luma_job job = {d_pixels, width * height, shape->channels,
                                                 q->luma[0]};
        vj_cuda_launch(reference_luma_kernel,
                       vj_cuda_dim(vj_cuda_line_grid(job.count, VJ_CUDA_THREADS, 1)),
                       VJ_CUDA_THREADS, stream, job);
        rc = VJ_CUDA_LAUNCHED("luma of the reference", err);
    } else {
        rc = pool(stream, q->luma[s - 1], q->luma[s], shape->width >> (s - 1),
                  shape->height >> (s - 1), 1, err);
    }
    if (rc)
        return rc;
    struct vj_cuda_variance_job job = {q->luma[s], q->var[s], width, height};
    vj_cuda_launch(variance_kernel,
                   vj_cuda_dim(vj_cuda_variance_grid(shape->width, shape->height, s)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("variances of the reference", err);
}

int vj_cuda_quality_load(struct vj_cuda_quality *quality, cudaStream_t stream,
                         const uint8_t *d_pixels, size_t width, size_t height, int channels,
                         struct vj_error *err)
{
    quality->shape.width = 0;
    if (channels != 1 && channels != 3)
        return vj_fail(err, -EINVAL, "quality metrics: reference has %d channels, expected 1 or 3",
                       channels);
    if (width > quality->max_width || height > quality->max_height)
        return vj_fail(err, -ENOSPC,
                       "quality metrics: reference of %zux%zu, the device was prepared for %zux%zu",
                       width, height, quality->max_width, quality->max_height);
    int rc = check_size(width, height, err);
    const struct vj_cuda_quality_shape shape =
        vj_cuda_quality_shape(width, height, channels, quality->which);
    for (int s = 0; !rc && s < shape.scales; s++)
        rc = load_scale(quality, stream, &shape, d_pixels, s, err);
    if (rc)
        return rc;
    quality->reference = d_pixels;
    quality->shape = shape;
    return 0;
}

/* ---- Candidates ----------------------------------------------------------------------------- */

static int total(const struct vj_cuda_quality *q, cudaStream_t stream, struct vj_cuda_grid grid,
                 int scale, struct vj_cuda_quality_sums *d_sums, struct vj_error *err)
{
    struct vj_cuda_total_job job = {q->part, vj_cuda_grid_plane(grid), scale, d_sums};
    vj_cuda_launch(total_kernel, grid.z, VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("quality totals", err);
}

static int differences(const struct vj_cuda_quality *q, cudaStream_t stream,
                       const struct vj_cuda_difference_job *job, int count,
                       struct vj_cuda_quality_sums *d_sums, struct vj_error *err)
{
    const struct vj_cuda_grid grid = vj_cuda_quad_grid(job->width, job->height, (size_t)count);
    vj_cuda_launch(job->channels == 1 ? difference_kernel<1> : difference_kernel<3>,
                   vj_cuda_dim(grid), VJ_CUDA_THREADS, stream, *job);
    int rc = VJ_CUDA_LAUNCHED("squared differences", err);
    return rc ? rc : total(q, stream, grid, -1, d_sums, err);
}

static int windows(const struct vj_cuda_quality *q, cudaStream_t stream,
                   const struct vj_cuda_difference_job *pixels, int s, int count,
                   struct vj_cuda_quality_sums *d_sums, struct vj_error *err)
{
    const struct vj_cuda_quality_shape *shape = &q->shape;
    struct vj_cuda_window_job job;
    memset(&job, 0, sizeof(job));
    job.luma = q->luma[s];
    job.var = q->var[s];
    job.width = shape->width >> s;
    job.height = shape->height >> s;
    job.joint = vj_cuda_quality_joint(shape, s);
    job.difference = s > 0 ? q->difference[s] : NULL;
    job.pixels = *pixels;
    job.part = q->part;
    const struct vj_cuda_grid grid =
        vj_cuda_window_grid(shape->width, shape->height, s, (size_t)count);
    vj_cuda_launch(s > 0                   ? window_kernel<0>
                   : pixels->channels == 1 ? window_kernel<1>
                                           : window_kernel<3>,
                   vj_cuda_dim(grid), VJ_CUDA_WINDOW_THREADS, stream, job);
    int rc = VJ_CUDA_LAUNCHED("structural losses", err);
    return rc ? rc : total(q, stream, grid, s, d_sums, err);
}

/* At most VJ_CUDA_QUALITY_BATCH candidates. */
static int compute_batch(const struct vj_cuda_quality *q, cudaStream_t stream,
                         const uint8_t *d_candidates, int count,
                         struct vj_cuda_quality_sums *d_sums, struct vj_error *err)
{
    const struct vj_cuda_quality_shape *shape = &q->shape;
    struct vj_cuda_difference_job pixels = {q->reference,  d_candidates,    shape->width,
                                            shape->height, shape->channels, q->difference[1],
                                            q->part};
    if (shape->scales < VJ_MS_SSIM_SCALES)
        pixels.half = NULL;
    int rc = differences(q, stream, &pixels, count, d_sums, err);
    for (int s = 0; !rc && s < shape->scales; s++) {
        if (s > 1)
            rc = pool(stream, q->difference[s - 1], q->difference[s], shape->width >> (s - 1),
                      shape->height >> (s - 1), count, err);
        if (!rc)
            rc = windows(q, stream, &pixels, s, count, d_sums, err);
    }
    return rc;
}

int vj_cuda_quality_compute(struct vj_cuda_quality *quality, cudaStream_t stream,
                            const uint8_t *d_candidates, int count,
                            struct vj_cuda_quality_sums *d_sums, struct vj_error *err)
{
    const struct vj_cuda_quality_shape *shape = &quality->shape;
    if (shape->width == 0)
        return vj_fail(err, -EINVAL, "quality metrics: no reference is loaded on the device");
    int rc = check_count(count, quality->levels, err);
    int batch = batch_of(quality->levels);
    size_t bytes = shape->width * shape->height * (size_t)shape->channels;
    for (int first = 0; !rc && first < count; first += batch)
        rc = compute_batch(quality, stream, d_candidates + (size_t)first * bytes,
                           count - first < batch ? count - first : batch, d_sums + first, err);
    return rc;
}

void vj_cuda_quality_finish(const struct vj_cuda_quality *quality,
                            const struct vj_cuda_quality_sums *sums, int count,
                            struct vj_quality_values *values)
{
    for (int i = 0; i < count; i++)
        vj_cuda_quality_value(&quality->shape, &sums[i], &values[i]);
}
