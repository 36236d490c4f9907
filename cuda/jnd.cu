/* SPDX-License-Identifier: MIT */
/* Pixel-JND maps: memory and launches; what the kernels do is in jnd*_body.h. */
#include "cuda/launch.h"

extern "C" {
#include "cuda/jnd.h"
#include "cuda/jnd_body.h"
#include "cuda/jnd_canny_body.h"
#include "cuda/jnd_epc_body.h"
#include "cuda/jnd_fep_body.h"
#include "cuda/jnd_klt_body.h"
#include "cuda/jnd_liu_body.h"
#include "cuda/jnd_paper_body.h"
#include "cuda/jnd_rules_body.h"
#include "cuda/jnd_yang_body.h"
}

/* What the host computes of klt22 in the middle of a stream. */
struct vj_cuda_klt_host {
    struct vj_klt_moments moments;
    struct vj_klt_components components;
};

struct vj_cuda_jnd {
    size_t max_width, max_height;
    int levels;
    struct vj_canny_taps taps;
    struct vj_jnd_gaussian complexity_gaussian, weight_gaussian, yang_gaussian;
    struct vj_jnd_gaussian residual_gaussian, fep_gaussian;

    uint8_t *memory; /* owned; the arrays below lie in it */
    double *kept;
    double *peak;
    uint32_t *gradient;
    struct vj_cuda_edge_limits *limits;
    uint8_t *mark;
    uint32_t *label;
    uint8_t *edge;
    float *dual; /* two planes */
    struct vj_cuda_range *range;
    struct vj_cuda_rules_sums *part;
    struct vj_klt_moments *moments;
    double *projection;

    struct vj_cuda_klt_host *klt; /* pinned, owned */
};

/* ---- Kernels -------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    luma_kernel(const __grid_constant__ struct vj_cuda_luma_job job)
{
    vj_cuda_luma_step(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    chou_kernel(const __grid_constant__ struct vj_cuda_chou_job job)
{
    __shared__ struct vj_cuda_samples s;
    vj_cuda_load_samples(&job.plane, false, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_chou_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    canny_kernel(const __grid_constant__ struct vj_cuda_canny_job job)
{
    __shared__ struct vj_cuda_canny_shared s;
    vj_cuda_canny_load(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_canny_columns(&job, &s, threadIdx.x);
    __syncthreads();
    vj_cuda_canny_rows(&job, &s, threadIdx.x);
    __syncthreads();
    vj_cuda_canny_suppress(&job, &s, vj_cuda_here(), threadIdx.x);
    for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_canny_largest(s.peak, s.gradient, half, threadIdx.x);
    }
    vj_cuda_canny_store(&job, &s, vj_cuda_here(), gridDim.x, threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    limits_kernel(const __grid_constant__ struct vj_cuda_limits_job job)
{
    __shared__ struct vj_cuda_limits_shared s;
    vj_cuda_limits_gather(&job, &s, threadIdx.x);
    for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_canny_largest(s.peak, s.gradient, half, threadIdx.x);
    }
    vj_cuda_limits_store(&job, &s, threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    mark_kernel(const __grid_constant__ struct vj_cuda_edge_job job)
{
    vj_cuda_edge_mark(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    join_kernel(const __grid_constant__ struct vj_cuda_edge_job job)
{
    vj_cuda_edge_join(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    tell_kernel(const __grid_constant__ struct vj_cuda_edge_job job)
{
    vj_cuda_edge_tell(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    edge_kernel(const __grid_constant__ struct vj_cuda_edge_job job)
{
    vj_cuda_edge_store(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    epc_kernel(const __grid_constant__ struct vj_cuda_epc_job job)
{
    __shared__ struct vj_cuda_epc_shared s;
    vj_cuda_load_samples(&job.plane, true, &s.samples, vj_cuda_here(), threadIdx.x);
    vj_cuda_load_samples(&job.plane, false, &s.dark, vj_cuda_here(), threadIdx.x);
    vj_cuda_epc_load(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_epc_neighbours(&s, threadIdx.x);
    __syncthreads();
    vj_cuda_epc_counts(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_epc_columns(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_epc_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    paper_kernel(const __grid_constant__ struct vj_cuda_paper_job job)
{
    __shared__ struct vj_cuda_paper_shared s;
    vj_cuda_load_samples(&job.plane, true, &s.samples, vj_cuda_here(), threadIdx.x);
    vj_cuda_load_samples(&job.plane, false, &s.dark, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_paper_neighbours(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_paper_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    dilate_kernel(const __grid_constant__ struct vj_cuda_dilate_job job)
{
    vj_cuda_dilate_step(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    yang_kernel(const __grid_constant__ struct vj_cuda_yang_job job)
{
    __shared__ struct vj_cuda_yang_shared s;
    vj_cuda_load_samples(&job.plane, false, &s.dark, vj_cuda_here(), threadIdx.x);
    vj_cuda_yang_load(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_yang_columns(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_yang_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    predict_kernel(const __grid_constant__ struct vj_cuda_fep_predict_job job)
{
    __shared__ struct vj_cuda_fep_predict_shared s;
    struct vj_cuda_fep_pixels p;
    vj_cuda_fep_load(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_fep_begin(&s, &p, threadIdx.x);
    for (int first = 0; first < VJ_JND_FEP_OFFSETS; first += VJ_CUDA_FEP_BATCH) {
        vj_cuda_fep_rows(&s, first, threadIdx.x);
        __syncthreads();
        vj_cuda_fep_nearest(&s, &p, threadIdx.x);
        __syncthreads();
    }
    for (int first = 0; first < VJ_JND_FEP_OFFSETS; first += VJ_CUDA_FEP_BATCH) {
        vj_cuda_fep_rows(&s, first, threadIdx.x);
        __syncthreads();
        vj_cuda_fep_weigh(&s, &p, first, threadIdx.x);
        __syncthreads();
    }
    vj_cuda_fep_predict(&job, &s, &p, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    fep_kernel(const __grid_constant__ struct vj_cuda_fep_job job)
{
    __shared__ struct vj_cuda_fep_shared s;
    vj_cuda_load_samples(&job.plane, false, &s.dark, vj_cuda_here(), threadIdx.x);
    vj_cuda_load_samples(&job.predicted, false, &s.predicted, vj_cuda_here(), threadIdx.x);
    vj_cuda_fep_load_map(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_fep_columns(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_fep_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

/* Three thread blocks at a time on a multiprocessor, as many as their shared memory lets in on
 * sm_80: the compiler has to do with 80 registers. */
static __global__ void __launch_bounds__(VJ_CUDA_THREADS, 3)
    structure_kernel(const __grid_constant__ struct vj_cuda_tv_job job)
{
    __shared__ struct vj_cuda_tv_shared s;
    struct vj_cuda_tv_pixels own;
    vj_cuda_tv_load(&job, &s, &own, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    for (int k = 0; k < VJ_TVL1_ITERATIONS; k++) {
        vj_cuda_tv_move_pixels(&job, &s, &own, k, vj_cuda_here(), threadIdx.x);
        __syncthreads();
        vj_cuda_tv_move_duals(&job, &s, k, vj_cuda_here(), threadIdx.x);
        __syncthreads();
    }
    vj_cuda_tv_store(&job, &s, &own, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    liu_kernel(const __grid_constant__ struct vj_cuda_liu_job job)
{
    __shared__ struct vj_cuda_liu_shared s;
    vj_cuda_load_samples(&job.plane, false, &s.dark, vj_cuda_here(), threadIdx.x);
    vj_cuda_load_samples(&job.structure, false, &s.flat, vj_cuda_here(), threadIdx.x);
    vj_cuda_liu_texture(&s, threadIdx.x);
    __syncthreads();
    vj_cuda_liu_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    klt_sum_kernel(const __grid_constant__ struct vj_cuda_klt_sum_job job)
{
    __shared__ struct vj_cuda_klt_sum_shared s;
    struct vj_cuda_klt_sums sums;
    vj_cuda_klt_begin(&sums);
    for (size_t batch = blockIdx.x; batch < vj_cuda_klt_batches(&job.plane);
         batch += VJ_CUDA_KLT_PARTS) {
        vj_cuda_klt_load(&job, &s, batch, threadIdx.x);
        __syncthreads();
        vj_cuda_klt_add(&job, &s, batch, &sums, threadIdx.x);
        __syncthreads();
    }
    vj_cuda_klt_store(&job, &sums, threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    klt_kernel(const __grid_constant__ struct vj_cuda_klt_job job)
{
    vj_cuda_klt_pixel(&job, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    range_kernel(const __grid_constant__ struct vj_cuda_range_job job)
{
    __shared__ struct vj_cuda_range_shared s;
    vj_cuda_range_gather(&job, &s, vj_cuda_here(), threadIdx.x);
    for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_range_join(&s, half, threadIdx.x);
    }
    vj_cuda_range_store(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    scale_kernel(const __grid_constant__ struct vj_cuda_scale_job job)
{
    __shared__ struct vj_cuda_range_shared s;
    vj_cuda_scale_gather(&job, &s, threadIdx.x);
    for (unsigned half = VJ_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_range_join(&s, half, threadIdx.x);
    }
    __syncthreads();
    vj_cuda_scale_pixel(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    rules_kernel(const __grid_constant__ struct vj_cuda_rules_job job)
{
    __shared__ struct vj_cuda_rules_shared s;
    vj_cuda_rules_lane(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_rules_segment(&job, &s, vj_cuda_here(), threadIdx.x);
}

/* Bounded, so that there are registers for the parts on their way. */
static __global__ void __launch_bounds__(VJ_CUDA_LEVELS)
    rules_total_kernel(const __grid_constant__ struct vj_cuda_rules_job job)
{
    vj_cuda_rules_total(&job, threadIdx.x);
}

static_assert(sizeof(struct vj_cuda_canny_shared) <= VJ_CUDA_SHARED, "shared memory of Canny");
static_assert(sizeof(struct vj_cuda_epc_shared) <= VJ_CUDA_SHARED, "shared memory of epc17");
static_assert(sizeof(struct vj_cuda_paper_shared) <= VJ_CUDA_SHARED,
              "shared memory of epc17 paper");
static_assert(sizeof(struct vj_cuda_yang_shared) <= VJ_CUDA_SHARED, "shared memory of yang05");
static_assert(sizeof(struct vj_cuda_fep_predict_shared) <= VJ_CUDA_SHARED,
              "shared memory of fep13's prediction");
static_assert(sizeof(struct vj_cuda_fep_shared) <= VJ_CUDA_SHARED, "shared memory of fep13");
static_assert(sizeof(struct vj_cuda_tv_shared) <= VJ_CUDA_SHARED,
              "shared memory of liu10's structure");
static_assert(sizeof(struct vj_cuda_liu_shared) <= VJ_CUDA_SHARED, "shared memory of liu10");
static_assert(VJ_CUDA_TV_PIXELS * VJ_CUDA_THREADS == VJ_CUDA_TV_AREA &&
                  VJ_CUDA_TV_STRIP * VJ_CUDA_TV_SIDE == VJ_CUDA_THREADS,
              "threads share liu10's squares out");
static_assert(sizeof(struct vj_cuda_rules_shared) <= VJ_CUDA_SHARED, "shared memory of rules");
static_assert(VJ_CUDA_KLT_ACROSS * VJ_CUDA_KLT_ACROSS == VJ_CUDA_THREADS,
              "a thread for every 4x4 products of klt22");
static_assert(VJ_JND_FEP_OFFSETS % VJ_CUDA_FEP_BATCH == 0, "no batch of neighbours is incomplete");

/* ---- Memory --------------------------------------------------------------------------------- */

static int check_size(size_t width, size_t height, struct vj_error *err)
{
    size_t pixels;
    if (width < 1 || height < 1 || !vj_size_mul(width, height, &pixels) || pixels > INT32_MAX ||
        vj_cuda_blocks(height, VJ_CUDA_JND_HEIGHT) > VJ_CUDA_MAX_GRID_Y)
        return vj_fail(err, -EINVAL,
                       "picture of %zux%zu pixels: pixel-JND maps on a device take 1 to 2^31 - 1 "
                       "pixels and at most %d rows",
                       width, height, VJ_CUDA_MAX_GRID_Y * VJ_CUDA_JND_HEIGHT);
    return 0;
}

static int check_count(int count, int capacity, struct vj_error *err)
{
    if (count < 1 || count > capacity)
        return vj_fail(err, -EINVAL, "%d candidates for pixel-JND rules, there is room for 1 to %d",
                       count, capacity);
    return 0;
}

/* Lays out the arrays; with base NULL it only counts. */
static size_t lay_out(struct vj_cuda_jnd *j, uint8_t *base)
{
    const struct vj_cuda_plane plane = {NULL, (int)j->max_width, (int)j->max_height};
    size_t pixels = j->max_width * j->max_height;
    size_t tiles = vj_cuda_grid_plane(vj_cuda_canny_grid(&plane));
    struct vj_cuda_arena arena = {base, 0};
    j->kept = (double *)vj_cuda_take(&arena, pixels, sizeof(double));
    j->peak = (double *)vj_cuda_take(&arena, tiles, sizeof(double));
    j->gradient = (uint32_t *)vj_cuda_take(&arena, tiles, sizeof(uint32_t));
    j->limits = (struct vj_cuda_edge_limits *)vj_cuda_take(&arena, 1, sizeof(*j->limits));
    j->mark = (uint8_t *)vj_cuda_take(&arena, pixels, 1);
    j->label = (uint32_t *)vj_cuda_take(&arena, pixels, sizeof(uint32_t));
    j->edge = (uint8_t *)vj_cuda_take(&arena, pixels, 1);
    j->dual = (float *)vj_cuda_take(&arena, pixels, 2 * sizeof(float));
    j->range = (struct vj_cuda_range *)vj_cuda_take(&arena, VJ_CUDA_RANGE_PARTS, sizeof(*j->range));
    j->part = (struct vj_cuda_rules_sums *)vj_cuda_take(&arena, vj_cuda_rules_segments(pixels),
                                                        (size_t)j->levels * sizeof(*j->part));
    j->moments = (struct vj_klt_moments *)vj_cuda_take(&arena, 1, sizeof(*j->moments));
    j->projection = (double *)vj_cuda_take(&arena, VJ_KLT_AREA * VJ_KLT_AREA, sizeof(double));
    return vj_cuda_taken(&arena);
}

size_t vj_cuda_jnd_pinned_bytes(void)
{
    return sizeof(struct vj_cuda_klt_host);
}

size_t vj_cuda_jnd_bytes(size_t max_width, size_t max_height, int levels)
{
    if (check_size(max_width, max_height, NULL) || check_count(levels, VJ_CUDA_LEVELS, NULL))
        return 0;
    struct vj_cuda_jnd j;
    memset(&j, 0, sizeof(j));
    j.max_width = max_width;
    j.max_height = max_height;
    j.levels = levels;
    return lay_out(&j, NULL);
}

int vj_cuda_jnd_create(struct vj_cuda_jnd **jnd, size_t max_width, size_t max_height, int levels,
                       struct vj_error *err)
{
    *jnd = NULL;
    int rc = check_size(max_width, max_height, err);
    if (!rc)
        rc = check_count(levels, VJ_CUDA_LEVELS, err);
    if (rc)
        return rc;
    struct vj_cuda_jnd *j = (struct vj_cuda_jnd *)vj_calloc(1, sizeof(*j));
    if (!j)
        return vj_fail(err, -ENOMEM, "out of memory");
    j->max_width = max_width;
    j->max_height = max_height;
    j->levels = levels;
    j->taps = vj_canny_taps();
    j->complexity_gaussian = vj_jnd_gaussian(3, 1.0);
    j->weight_gaussian =
        vj_jnd_gaussian(vj_jnd_weight_epc.gaussian_size, vj_jnd_weight_epc.gaussian_sigma);
    j->yang_gaussian =
        vj_jnd_gaussian(vj_jnd_weight_yang.gaussian_size, vj_jnd_weight_yang.gaussian_sigma);
    j->residual_gaussian = vj_jnd_gaussian(7, 7.0 / 3);
    j->fep_gaussian =
        vj_jnd_gaussian(vj_jnd_weight_fep.gaussian_size, vj_jnd_weight_fep.gaussian_sigma);
    rc = vj_cuda_memory(&j->memory, lay_out(j, NULL), max_width, max_height, "pixel-JND maps", err);
    if (!rc)
        rc = VJ_CUDA(cudaHostAlloc((void **)&j->klt, sizeof(*j->klt), cudaHostAllocDefault), err);
    if (rc) {
        vj_cuda_jnd_destroy(j);
        return rc;
    }
    lay_out(j, j->memory);
    *jnd = j;
    return 0;
}

void vj_cuda_jnd_destroy(struct vj_cuda_jnd *jnd)
{
    if (!jnd)
        return;
    cudaFree(jnd->memory);
    cudaFreeHost(jnd->klt);
    free(jnd);
}

static int check_room(const struct vj_cuda_jnd *j, size_t width, size_t height,
                      struct vj_error *err)
{
    if (width > j->max_width || height > j->max_height)
        return vj_fail(err, -ENOSPC,
                       "picture of %zux%zu pixels: the device was prepared for pixel-JND maps of "
                       "%zux%zu",
                       width, height, j->max_width, j->max_height);
    return check_size(width, height, err);
}

/* ---- Maps ----------------------------------------------------------------------------------- */

int vj_cuda_luma(cudaStream_t stream, const uint8_t *d_pixels, size_t width, size_t height,
                 int channels, uint8_t *d_luma, struct vj_error *err)
{
    int rc = check_size(width, height, err);
    if (rc)
        return rc;
    struct vj_cuda_luma_job job = {d_pixels, width * height, channels, d_luma};
    vj_cuda_launch(luma_kernel, vj_cuda_dim(vj_cuda_line_grid(job.count, VJ_CUDA_THREADS, 1)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("luma", err);
}

/* Canny edges, into jnd->edge. threshold: as in struct vj_cuda_limits_job */
static int find_edges(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                      double threshold, struct vj_error *err)
{
    const struct vj_cuda_grid tiles = vj_cuda_canny_grid(plane);
    struct vj_cuda_canny_job canny = {*plane, j->taps, j->kept, j->peak, j->gradient};
    vj_cuda_launch(canny_kernel, vj_cuda_dim(tiles), VJ_CUDA_THREADS, stream, canny);
    int rc = VJ_CUDA_LAUNCHED("edge gradient", err);
    if (rc)
        return rc;
    struct vj_cuda_limits_job limits = {j->peak, j->gradient, vj_cuda_grid_plane(tiles), threshold,
                                        j->limits};
    vj_cuda_launch(limits_kernel, 1, VJ_CUDA_THREADS, stream, limits);
    rc = VJ_CUDA_LAUNCHED("edge thresholds", err);
    if (rc)
        return rc;
    const dim3 pixels = vj_cuda_dim(vj_cuda_edge_grid(plane->width, plane->height));
    struct vj_cuda_edge_job edge = {j->kept, j->limits, plane->width, plane->height,
                                    j->mark, j->label,  j->edge};
    vj_cuda_launch(mark_kernel, pixels, VJ_CUDA_THREADS, stream, edge);
    rc = VJ_CUDA_LAUNCHED("edge marks", err);
    if (rc)
        return rc;
    vj_cuda_launch(join_kernel, pixels, VJ_CUDA_THREADS, stream, edge);
    rc = VJ_CUDA_LAUNCHED("edge components", err);
    if (rc)
        return rc;
    vj_cuda_launch(tell_kernel, pixels, VJ_CUDA_THREADS, stream, edge);
    rc = VJ_CUDA_LAUNCHED("strong edges", err);
    if (rc)
        return rc;
    vj_cuda_launch(edge_kernel, pixels, VJ_CUDA_THREADS, stream, edge);
    return VJ_CUDA_LAUNCHED("edges", err);
}

/* Dilates the edges into jnd->mark: the marks have served. */
static int dilate_edges(struct vj_cuda_jnd *j, cudaStream_t stream,
                        const struct vj_cuda_plane *plane, const struct vj_jnd_shape *shape,
                        struct vj_error *err)
{
    struct vj_cuda_dilate_job job = {j->edge, plane->width, plane->height, *shape, j->mark};
    vj_cuda_launch(dilate_kernel, vj_cuda_dim(vj_cuda_edge_grid(plane->width, plane->height)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("dilated edges", err);
}

static int chou95(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                  bool add, float *d_map, struct vj_error *err)
{
    (void)j;
    struct vj_cuda_chou_job job = {*plane, add, d_map};
    vj_cuda_launch(chou_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("chou95 map", err);
}

static int epc17(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                 float *d_map, struct vj_error *err)
{
    int rc = find_edges(j, stream, plane, 0, err);
    if (rc)
        return rc;
    struct vj_cuda_epc_job job;
    memset(&job, 0, sizeof(job));
    job.plane = *plane;
    job.edge = j->edge;
    job.attenuation = vj_jnd_weight_epc.attenuation;
    job.complexity_gaussian = j->complexity_gaussian;
    job.weight_gaussian = j->weight_gaussian;
    job.map = d_map;
    vj_cuda_launch(epc_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("epc17 map", err);
}

static int epc17_paper(cudaStream_t stream, const struct vj_cuda_plane *plane, float *d_map,
                       struct vj_error *err)
{
    struct vj_cuda_paper_job job = {*plane, d_map};
    vj_cuda_launch(paper_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream,
                   job);
    return VJ_CUDA_LAUNCHED("epc17 map", err);
}

static int yang05(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                  bool paper, float *d_map, struct vj_error *err)
{
    int rc = find_edges(j, stream, plane, VJ_JND_YANG_EDGE_THRESHOLD, err);
    if (rc)
        return rc;
    struct vj_cuda_yang_job job;
    memset(&job, 0, sizeof(job));
    job.plane = *plane;
    job.widened = j->edge;
    job.paper = paper;
    job.attenuation = paper ? VJ_JND_YANG_PAPER_ATTENUATION : vj_jnd_weight_yang.attenuation;
    job.gaussian = j->yang_gaussian;
    job.map = d_map;
    if (!paper) {
        rc = dilate_edges(j, stream, plane, vj_jnd_weight_yang.shape, err);
        if (rc)
            return rc;
        job.widened = j->mark;
    }
    vj_cuda_launch(yang_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("yang05 map", err);
}

static int fep13(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                 float *d_map, struct vj_error *err)
{
    int rc = find_edges(j, stream, plane, VJ_JND_FEP_EDGE_THRESHOLD, err);
    if (!rc)
        rc = dilate_edges(j, stream, plane, vj_jnd_weight_fep.shape, err);
    if (rc)
        return rc;
    /* The labels have served: the prediction takes their place. */
    struct vj_cuda_fep_predict_job predict = {*plane, (uint8_t *)j->label};
    vj_cuda_launch(predict_kernel, vj_cuda_dim(vj_cuda_fep_grid(plane)), VJ_CUDA_THREADS, stream,
                   predict);
    rc = VJ_CUDA_LAUNCHED("fep13 prediction", err);
    if (rc)
        return rc;
    struct vj_cuda_fep_job job;
    memset(&job, 0, sizeof(job));
    job.plane = job.predicted = *plane;
    job.predicted.luma = predict.prediction;
    job.dilated = j->mark;
    job.attenuation = vj_jnd_weight_fep.attenuation;
    job.residual_gaussian = j->residual_gaussian;
    job.weight_gaussian = j->fep_gaussian;
    job.map = d_map;
    vj_cuda_launch(fep_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("fep13 map", err);
}

/*
 * Structure into jnd->mark. Between passes the state lies by turns where Canny has its magnitudes
 * and labels, and in the duals and the map, which is not made yet.
 */
static int find_structure(struct vj_cuda_jnd *j, cudaStream_t stream,
                          const struct vj_cuda_plane *plane, float *d_map, struct vj_error *err)
{
    const size_t pixels = (size_t)plane->width * (size_t)plane->height;
    const struct vj_cuda_tv_state state[2] = {
        {(float *)j->kept, (float *)j->kept + pixels, (float *)j->label},
        {d_map, j->dual, j->dual + pixels}};
    const dim3 grid = vj_cuda_dim(vj_cuda_tv_grid(plane));
    int rc = 0;
    for (int pass = 0; !rc && pass < VJ_TVL1_PASSES; pass++) {
        struct vj_cuda_tv_job job = {*plane, pass, state[pass % 2], state[(pass + 1) % 2], j->mark};
        vj_cuda_launch(structure_kernel, grid, VJ_CUDA_THREADS, stream, job);
        rc = VJ_CUDA_LAUNCHED("liu10 structure", err);
    }
    return rc;
}

static int liu10(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                 bool paper, float *d_map, struct vj_error *err)
{
    int rc = find_structure(j, stream, plane, d_map, err);
    if (rc)
        return rc;
    struct vj_cuda_liu_job job = {*plane, {j->mark, plane->width, plane->height}, paper, d_map};
    vj_cuda_launch(liu_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("liu10 map", err);
}

/* Called by the stream when the sums have come. */
static void CUDART_CB find_components(void *user)
{
    struct vj_cuda_klt_host *klt = (struct vj_cuda_klt_host *)user;
    vj_klt_components(&klt->moments, &klt->components);
}

/* Sums to the host, and the projection that it finds back; all in the order of the stream. */
static int find_projection(struct vj_cuda_jnd *j, cudaStream_t stream,
                           const struct vj_cuda_plane *plane, struct vj_error *err)
{
    struct vj_cuda_klt_sum_job job = {*plane, j->moments};
    int rc = VJ_CUDA(cudaMemsetAsync(j->moments, 0, sizeof(*j->moments), stream), err);
    if (rc)
        return rc;
    vj_cuda_launch(klt_sum_kernel, VJ_CUDA_KLT_PARTS, VJ_CUDA_THREADS, stream, job);
    rc = VJ_CUDA_LAUNCHED("sums over blocks", err);
    if (!rc)
        rc = VJ_CUDA(cudaMemcpyAsync(&j->klt->moments, j->moments, sizeof(*j->moments),
                                     cudaMemcpyDeviceToHost, stream),
                     err);
    if (!rc)
        rc = VJ_CUDA(cudaLaunchHostFunc(stream, find_components, j->klt), err);
    if (!rc)
        rc = VJ_CUDA(cudaMemcpyAsync(j->projection, j->klt->components.projection,
                                     sizeof(j->klt->components.projection), cudaMemcpyHostToDevice,
                                     stream),
                     err);
    return rc;
}

/* Edges of the whole blocks alone, dilated, into jnd->mark. */
static int find_block_edges(struct vj_cuda_jnd *j, cudaStream_t stream,
                            const struct vj_cuda_plane *plane, uint8_t *scratch,
                            struct vj_error *err)
{
    struct vj_cuda_plane whole = {plane->luma, plane->width / VJ_KLT_SIDE * VJ_KLT_SIDE,
                                  plane->height / VJ_KLT_SIDE * VJ_KLT_SIDE};
    int rc = 0;
    if (whole.width < plane->width) {
        const size_t width = (size_t)whole.width;
        rc = VJ_CUDA(cudaMemcpy2DAsync(scratch, width, plane->luma, (size_t)plane->width, width,
                                       (size_t)whole.height, cudaMemcpyDeviceToDevice, stream),
                     err);
        whole.luma = scratch;
    }
    if (!rc)
        rc = find_edges(j, stream, &whole, 0, err);
    return rc ? rc : dilate_edges(j, stream, &whole, vj_jnd_weight_epc.shape, err);
}

static int klt22(struct vj_cuda_jnd *j, cudaStream_t stream, const struct vj_cuda_plane *plane,
                 bool raw, float *d_map, struct vj_error *err)
{
    int rc = vj_klt_check((size_t)plane->width, (size_t)plane->height, err);
    if (!rc)
        rc = find_projection(j, stream, plane, err);
    /* Until the map is made, its memory has room for the whole blocks' luma. */
    if (!rc && !raw)
        rc = find_block_edges(j, stream, plane, (uint8_t *)d_map, err);
    if (rc)
        return rc;
    struct vj_cuda_klt_job job;
    memset(&job, 0, sizeof(job));
    job.plane = *plane;
    job.projection = j->projection;
    job.dilated = raw ? NULL : j->mark;
    job.attenuation = vj_jnd_weight_epc.attenuation;
    job.gaussian = j->weight_gaussian;
    job.map = d_map;
    vj_cuda_launch(klt_kernel, vj_cuda_dim(vj_cuda_map_grid(plane)), VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("klt22 map", err);
}

int vj_cuda_jnd_compute(struct vj_cuda_jnd *jnd, cudaStream_t stream,
                        const struct vj_jnd_model *model, size_t variant, const uint8_t *d_luma,
                        size_t width, size_t height, float *d_map, struct vj_error *err)
{
    int rc = check_room(jnd, width, height, err);
    if (!rc)
        rc = vj_cuda_jnd_supported(model, variant, err);
    if (rc)
        return rc;
    const struct vj_cuda_plane plane = {d_luma, (int)width, (int)height};
    enum vj_cuda_jnd_kind kind = vj_cuda_jnd_kind(model, variant);
    switch (kind) {
    case VJ_CUDA_JND_EPC17:
        return epc17(jnd, stream, &plane, d_map, err);
    case VJ_CUDA_JND_EPC17_PAPER:
        return epc17_paper(stream, &plane, d_map, err);
    case VJ_CUDA_JND_YANG05:
    case VJ_CUDA_JND_YANG05_PAPER:
        return yang05(jnd, stream, &plane, kind == VJ_CUDA_JND_YANG05_PAPER, d_map, err);
    case VJ_CUDA_JND_FEP13:
        return fep13(jnd, stream, &plane, d_map, err);
    case VJ_CUDA_JND_LIU10:
    case VJ_CUDA_JND_LIU10_PAPER:
        return liu10(jnd, stream, &plane, kind == VJ_CUDA_JND_LIU10_PAPER, d_map, err);
    case VJ_CUDA_JND_KLT22:
    case VJ_CUDA_JND_KLT22_RAW:
        return klt22(jnd, stream, &plane, kind == VJ_CUDA_JND_KLT22_RAW, d_map, err);
    default:
        return chou95(jnd, stream, &plane, kind == VJ_CUDA_JND_CHOU95, d_map, err);
    }
}

/* ---- What is made of maps ------------------------------------------------------------------- */

static_assert((int)VJ_CUDA_RANGE_PARTS == (int)VJ_CUDA_THREADS, "a thread joins each range");

int vj_cuda_jnd_to_u8(struct vj_cuda_jnd *jnd, cudaStream_t stream, const float *d_map,
                      size_t width, size_t height, enum vj_jnd_scale scale, uint8_t *d_out,
                      uint32_t *d_not_finite, struct vj_error *err)
{
    int rc = check_room(jnd, width, height, err);
    if (rc)
        return rc;
    size_t pixels = width * height;
    struct vj_cuda_range_job range = {d_map, pixels, VJ_CUDA_RANGE_PARTS, jnd->range};
    vj_cuda_launch(range_kernel, VJ_CUDA_RANGE_PARTS, VJ_CUDA_THREADS, stream, range);
    rc = VJ_CUDA_LAUNCHED("range of a map", err);
    if (rc)
        return rc;
    struct vj_cuda_scale_job job = {d_map, pixels, scale, jnd->range, d_out, d_not_finite};
    vj_cuda_launch(scale_kernel, vj_cuda_dim(vj_cuda_line_grid(pixels, VJ_CUDA_THREADS, 1)),
                   VJ_CUDA_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("scaling of a map", err);
}

static int sum_up(cudaStream_t stream, const struct vj_cuda_rules_job *job, struct vj_error *err)
{
    vj_cuda_launch(rules_kernel, vj_cuda_dim(vj_cuda_rules_grid(job)), VJ_CUDA_THREADS, stream,
                   *job);
    int rc = VJ_CUDA_LAUNCHED("sums over a map", err);
    if (rc)
        return rc;
    vj_cuda_launch(rules_total_kernel, 1, (unsigned)job->count, stream, *job);
    return VJ_CUDA_LAUNCHED("numbers by the rules", err);
}

int vj_cuda_jnd_measure(struct vj_cuda_jnd *jnd, cudaStream_t stream, const uint8_t *d_candidates,
                        int count, size_t width, size_t height, int channels,
                        const uint8_t *d_reference_luma, const float *d_map, double *d_share,
                        double *d_excess, uint64_t *d_square, struct vj_error *err)
{
    int rc = check_room(jnd, width, height, err);
    if (!rc)
        rc = check_count(count, jnd->levels, err);
    if (rc)
        return rc;
    const struct vj_cuda_rules_job job = {d_candidates,     (size_t)count, width * height, channels,
                                          d_reference_luma, d_map,         jnd->part,      d_share,
                                          d_excess,         d_square};
    return sum_up(stream, &job, err);
}

int vj_cuda_jnd_noise_energy(struct vj_cuda_jnd *jnd, cudaStream_t stream, size_t width,
                             size_t height, const float *d_map, double *d_energy,
                             struct vj_error *err)
{
    int rc = check_room(jnd, width, height, err);
    if (rc)
        return rc;
    const struct vj_cuda_rules_job job = {NULL,  1,         width * height, 1,        NULL,
                                          d_map, jnd->part, NULL,           d_energy, NULL};
    return sum_up(stream, &job, err);
}
