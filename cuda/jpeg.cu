/* SPDX-License-Identifier: MIT */
/* JPEG candidates: memory and launches; what the kernels do is in jpeg_body.h. */
#include "cuda/launch.h"

extern "C" {
#include "cuda/jpeg.h"
#include "cuda/jpeg_body.h"
#include "cuda/jpeg_size_body.h"
}

enum { QUALITIES = 101 }; /* quality factors by number; 0 is not used */

struct vj_cuda_jpeg {
    size_t max_width, max_height;
    int channels;
    enum vj_subsampling sampling;
    int levels;
    struct vj_jpeg_geometry g; /* all zero: nothing is loaded */

    uint8_t *memory; /* owned; the arrays below lie in it */
    int16_t *coefficients;
    int16_t *scan;
    struct vj_cuda_steps *steps;
    struct vj_cuda_codes *codes;
    uint16_t *block_bits;
    uint32_t *segment_bits;
    uint64_t *start;
    uint32_t *stuffed;
    uint8_t (*common)[2];
};

/* ---- Kernels -------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(VJ_CUDA_JPEG_THREADS)
    forward_kernel(const __grid_constant__ struct vj_cuda_forward_job job)
{
    __shared__ struct vj_cuda_forward_shared s;
    vj_cuda_forward_rows(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_forward_columns(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_forward_store(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_THREADS)
    reorder_kernel(const __grid_constant__ struct vj_cuda_reorder_job job)
{
    vj_cuda_reorder(&job, vj_cuda_here(), threadIdx.x);
}

/* Five blocks on a multiprocessor: with 60 registers, which it would take, there is room for four.
 */
static __global__ void __launch_bounds__(VJ_CUDA_JPEG_THREADS, 5)
    decode_kernel(const __grid_constant__ struct vj_cuda_decode_job job)
{
    __shared__ struct vj_cuda_decode_shared s;
    vj_cuda_decode_tile(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_decode_places(&job, &s, threadIdx.x);
    __syncthreads();
    for (int table = 0, first = 0; table < 2; first = s.tile.end[table], table++) {
        struct vj_cuda_decode_thread own;
        vj_cuda_decode_steps(&job, &own, vj_cuda_here(), table, threadIdx.x);
        for (; first < s.tile.end[table]; first += VJ_CUDA_JPEG_BATCH) {
            const int index = first + (int)(threadIdx.x / 8);
            const bool works = index < s.tile.end[table];
            if (works)
                vj_cuda_decode_requantise(&job, &s, &own, index, threadIdx.x);
            __syncwarp();
            if (works)
                vj_cuda_decode_columns(&s, threadIdx.x);
            __syncwarp();
            if (works)
                vj_cuda_decode_rows(&s, index, threadIdx.x);
        }
    }
    __syncthreads();
    vj_cuda_decode_store(&job, &s, threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_SEGMENT)
    lengths_kernel(const __grid_constant__ struct vj_cuda_size_job job)
{
    __shared__ struct vj_cuda_size_shared s;
    vj_cuda_size_tables(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_size_lengths(&job, &s, vj_cuda_here(), threadIdx.x);
    for (unsigned half = VJ_CUDA_SEGMENT / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_size_add(&s, half, threadIdx.x);
    }
    vj_cuda_size_segment(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_SCAN_THREADS)
    starts_kernel(const __grid_constant__ struct vj_cuda_size_job job)
{
    __shared__ struct vj_cuda_scan_shared s;
    vj_cuda_start_sums(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_start_scan(&s, threadIdx.x);
    __syncthreads();
    vj_cuda_start_store(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_SEGMENT)
    emit_kernel(const __grid_constant__ struct vj_cuda_size_job job)
{
    __shared__ struct vj_cuda_emit_shared s;
    vj_cuda_size_tables(&job, &s.size, vj_cuda_here(), threadIdx.x);
    vj_cuda_emit_clear(&job, &s, vj_cuda_here(), threadIdx.x);
    int from = 0;
    for (unsigned distance = 1; distance < VJ_CUDA_SEGMENT; distance *= 2, from = !from) {
        __syncthreads();
        vj_cuda_emit_scan(&s, distance, from, threadIdx.x);
    }
    __syncthreads();
    vj_cuda_emit_bits(&job, &s, vj_cuda_here(), threadIdx.x);
    __syncthreads();
    vj_cuda_emit_count(&job, &s, vj_cuda_here(), threadIdx.x);
    for (unsigned half = VJ_CUDA_SEGMENT / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_size_add(&s.size, half, threadIdx.x);
    }
    vj_cuda_emit_store(&job, &s, vj_cuda_here(), threadIdx.x);
}

static __global__ void __launch_bounds__(VJ_CUDA_SCAN_THREADS)
    totals_kernel(const __grid_constant__ struct vj_cuda_size_job job)
{
    __shared__ struct vj_cuda_scan_shared s;
    vj_cuda_total_sums(&job, &s, vj_cuda_here(), threadIdx.x);
    for (unsigned half = VJ_CUDA_SCAN_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        vj_cuda_total_add(&s, half, threadIdx.x);
    }
    vj_cuda_total_store(&job, &s, vj_cuda_here(), threadIdx.x);
}

static_assert(sizeof(struct vj_cuda_decode_shared) <= VJ_CUDA_SHARED, "shared memory of decoding");
static_assert(sizeof(struct vj_cuda_emit_shared) <= VJ_CUDA_SHARED, "shared memory of coding");

/* ---- Memory --------------------------------------------------------------------------------- */

static int check_shape(size_t width, size_t height, int channels, enum vj_subsampling sampling,
                       struct vj_error *err)
{
    if (width < 1 || height < 1 || width > VJ_JPEG_MAX_SIDE || height > VJ_JPEG_MAX_SIDE)
        return vj_fail(err, -EINVAL, "picture of %zu x %zu pixels: JPEG takes 1 to %d each way",
                       width, height, (int)VJ_JPEG_MAX_SIDE);
    if (channels != 1 && channels != 3)
        return vj_fail(err, -EINVAL, "picture with %d channels: JPEG takes 1 (grey) or 3 (RGB)",
                       channels);
    if (sampling != VJ_SUBSAMPLING_420 && sampling != VJ_SUBSAMPLING_444)
        return vj_fail(err, -EINVAL, "chroma sampling %d: choose 420 or 444", (int)sampling);
    return 0;
}

static int check_levels(int levels, struct vj_error *err)
{
    if (levels < 1 || levels > VJ_CUDA_LEVELS)
        return vj_fail(err, -EINVAL, "room for %d quality factors asked for: choose 1 to %d",
                       levels, (int)VJ_CUDA_LEVELS);
    return 0;
}

/* Lays out the arrays; with base NULL it only counts. */
static size_t lay_out(struct vj_cuda_jpeg *j, uint8_t *base)
{
    size_t blocks = vj_jpeg_geometry(j->max_width, j->max_height, j->channels, j->sampling).blocks;
    size_t scan = vj_cuda_max_scan_blocks(j->max_width, j->max_height, j->channels, j->sampling);
    size_t segments = vj_cuda_blocks(scan, VJ_CUDA_SEGMENT), levels = (size_t)j->levels;
    struct vj_cuda_arena arena = {base, 0};
    j->coefficients = (int16_t *)vj_cuda_take(&arena, blocks, 64 * sizeof(int16_t));
    j->scan = (int16_t *)vj_cuda_take(&arena, scan, 64 * sizeof(int16_t));
    j->steps = (struct vj_cuda_steps *)vj_cuda_take(&arena, 2 * QUALITIES, sizeof(*j->steps));
    j->codes = (struct vj_cuda_codes *)vj_cuda_take(&arena, 2, sizeof(*j->codes));
    j->block_bits = (uint16_t *)vj_cuda_take(&arena, levels, scan * sizeof(uint16_t));
    j->segment_bits = (uint32_t *)vj_cuda_take(&arena, levels, segments * sizeof(uint32_t));
    j->start = (uint64_t *)vj_cuda_take(&arena, levels, segments * sizeof(uint64_t));
    j->stuffed = (uint32_t *)vj_cuda_take(&arena, levels, segments * sizeof(uint32_t));
    j->common = (uint8_t(*)[2])vj_cuda_take(&arena, levels, segments * 2);
    return vj_cuda_taken(&arena);
}

static struct vj_cuda_jpeg described(size_t max_width, size_t max_height, int channels,
                                     enum vj_subsampling sampling, int levels)
{
    struct vj_cuda_jpeg j;
    memset(&j, 0, sizeof(j));
    j.max_width = max_width;
    j.max_height = max_height;
    j.channels = channels;
    j.sampling = sampling;
    j.levels = levels;
    return j;
}

size_t vj_cuda_jpeg_bytes(size_t max_width, size_t max_height, int channels,
                          enum vj_subsampling sampling, int levels)
{
    if (check_shape(max_width, max_height, channels, sampling, NULL) || check_levels(levels, NULL))
        return 0;
    struct vj_cuda_jpeg j = described(max_width, max_height, channels, sampling, levels);
    return lay_out(&j, NULL);
}

/* Steps of every quality factor and the Huffman codes; there before any stream reads them. */
static int upload_tables(struct vj_cuda_jpeg *j, struct vj_error *err)
{
    struct vj_cuda_codes codes[2];
    struct vj_cuda_steps *steps = (struct vj_cuda_steps *)vj_calloc(2 * QUALITIES, sizeof(*steps));
    if (!steps)
        return vj_fail(err, -ENOMEM, "out of memory");
    for (int i = 2; i < 2 * QUALITIES; i++)
        vj_cuda_steps_init(&steps[i], i % 2, i / 2);
    for (int table = 0; table < 2; table++)
        vj_cuda_codes_init(&codes[table], table);
    int rc = VJ_CUDA(
        cudaMemcpy(j->steps, steps, 2 * QUALITIES * sizeof(*steps), cudaMemcpyHostToDevice), err);
    if (!rc)
        rc = VJ_CUDA(cudaMemcpy(j->codes, codes, sizeof(codes), cudaMemcpyHostToDevice), err);
    free(steps);
    return rc ? rc : VJ_CUDA(cudaDeviceSynchronize(), err);
}

int vj_cuda_jpeg_create(struct vj_cuda_jpeg **jpeg, size_t max_width, size_t max_height,
                        int channels, enum vj_subsampling sampling, int levels,
                        struct vj_error *err)
{
    *jpeg = NULL;
    int rc = check_shape(max_width, max_height, channels, sampling, err);
    if (!rc)
        rc = check_levels(levels, err);
    if (rc)
        return rc;
    struct vj_cuda_jpeg *j = (struct vj_cuda_jpeg *)vj_calloc(1, sizeof(*j));
    if (!j)
        return vj_fail(err, -ENOMEM, "out of memory");
    *j = described(max_width, max_height, channels, sampling, levels);
    rc =
        vj_cuda_memory(&j->memory, lay_out(j, NULL), max_width, max_height, "JPEG candidates", err);
    if (!rc) {
        lay_out(j, j->memory);
        rc = upload_tables(j, err);
    }
    if (rc) {
        vj_cuda_jpeg_destroy(j);
        return rc;
    }
    *jpeg = j;
    return 0;
}

void vj_cuda_jpeg_destroy(struct vj_cuda_jpeg *jpeg)
{
    if (!jpeg)
        return;
    cudaFree(jpeg->memory);
    free(jpeg);
}

/* ---- Stages --------------------------------------------------------------------------------- */

static int check_room(const struct vj_cuda_jpeg *j, size_t width, size_t height, int channels,
                      enum vj_subsampling sampling, struct vj_error *err)
{
    if (width > j->max_width || height > j->max_height || channels > j->channels ||
        (channels == 3 && sampling == VJ_SUBSAMPLING_444 && j->sampling != VJ_SUBSAMPLING_444))
        return vj_fail(err, -ENOSPC,
                       "picture of %zu x %zu pixels, %d channels, sampling %d, on the device: it "
                       "was prepared for %zu x %zu, %d channels, sampling %d",
                       width, height, channels, (int)sampling, j->max_width, j->max_height,
                       j->channels, (int)j->sampling);
    return 0;
}

static int reorder(struct vj_cuda_jpeg *j, cudaStream_t stream, const struct vj_jpeg_geometry *g,
                   struct vj_error *err)
{
    struct vj_cuda_reorder_job job;
    memset(&job, 0, sizeof(job));
    job.g = *g;
    job.coefficients = j->coefficients;
    job.scan = j->scan;
    job.scan_blocks = vj_cuda_scan_blocks(g);
    memcpy(job.natural, vj_jpeg_zigzag(), sizeof(job.natural));
    vj_cuda_launch(reorder_kernel, vj_cuda_dim(vj_cuda_reorder_grid(g)), VJ_CUDA_THREADS, stream,
                   job);
    return VJ_CUDA_LAUNCHED("JPEG scan order", err);
}

int vj_cuda_jpeg_load(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const uint8_t *d_pixels,
                      size_t width, size_t height, int channels, enum vj_subsampling sampling,
                      struct vj_error *err)
{
    memset(&jpeg->g, 0, sizeof(jpeg->g));
    int rc = check_shape(width, height, channels, sampling, err);
    if (!rc)
        rc = check_room(jpeg, width, height, channels, sampling, err);
    if (rc)
        return rc;
    struct vj_cuda_forward_job job;
    memset(&job, 0, sizeof(job));
    job.g = vj_jpeg_geometry(width, height, channels, sampling);
    job.pixels = d_pixels;
    job.coefficients = jpeg->coefficients;
    vj_cuda_launch(forward_kernel, vj_cuda_dim(vj_cuda_forward_grid(&job.g)), VJ_CUDA_JPEG_THREADS,
                   stream, job);
    rc = VJ_CUDA_LAUNCHED("JPEG forward transform", err);
    if (!rc)
        rc = reorder(jpeg, stream, &job.g, err);
    if (!rc)
        jpeg->g = job.g;
    return rc;
}

static int check_loaded(const struct vj_cuda_jpeg *j, struct vj_error *err)
{
    if (!j->g.blocks)
        return vj_fail(err, -EINVAL, "no picture is loaded for JPEG candidates: load one first");
    return 0;
}

/* What decoding whole pictures and patches have in common. */
static int decode_job(const struct vj_cuda_jpeg *j, const int *qf, int count, uint8_t *d_out,
                      struct vj_cuda_decode_job *job, struct vj_error *err)
{
    memset(job, 0, sizeof(*job));
    job->g = j->g;
    job->coefficients = j->coefficients;
    job->steps = j->steps;
    job->out = d_out;
    int rc = check_loaded(j, err);
    return rc ? rc : vj_cuda_levels_set(&job->levels, qf, count, j->levels, err);
}

int vj_cuda_jpeg_decode(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                        uint8_t *d_out, struct vj_error *err)
{
    struct vj_cuda_decode_job job;
    int rc = decode_job(jpeg, qf, count, d_out, &job, err);
    if (rc)
        return rc;
    vj_cuda_launch(decode_kernel, vj_cuda_dim(vj_cuda_decode_grid(&job.g, count)),
                   VJ_CUDA_JPEG_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("JPEG candidates", err);
}

int vj_cuda_jpeg_patches(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                         const int32_t (*d_origin)[2], size_t patches, size_t side, uint8_t *d_out,
                         struct vj_error *err)
{
    struct vj_cuda_decode_job job;
    int rc = decode_job(jpeg, qf, count, d_out, &job, err);
    if (!rc)
        rc = vj_cuda_check_patches(patches, side, job.g.width, job.g.height, err);
    if (rc || patches == 0)
        return rc;
    job.origin = d_origin;
    job.patches = patches;
    job.side = side;
    vj_cuda_launch(decode_kernel, vj_cuda_dim(vj_cuda_patches_grid(patches, side, count)),
                   VJ_CUDA_JPEG_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("JPEG patches", err);
}

static void size_job(const struct vj_cuda_jpeg *j, int64_t *d_bytes, struct vj_cuda_size_job *job)
{
    memset(job, 0, sizeof(*job));
    job->scan = j->scan;
    job->steps = j->steps;
    job->codes = j->codes;
    job->scan_blocks = vj_cuda_scan_blocks(&j->g);
    job->segments = vj_cuda_blocks(job->scan_blocks, VJ_CUDA_SEGMENT);
    job->unit = vj_cuda_scan_unit(&j->g);
    job->luma = vj_cuda_scan_luma(&j->g);
    job->overhead = vj_cuda_jpeg_overhead(j->g.channels);
    job->block_bits = j->block_bits;
    job->segment_bits = j->segment_bits;
    job->start = j->start;
    job->stuffed = j->stuffed;
    job->common = j->common;
    job->bytes = d_bytes;
    memcpy(job->natural, vj_jpeg_zigzag(), sizeof(job->natural));
}

int vj_cuda_jpeg_sizes(struct vj_cuda_jpeg *jpeg, cudaStream_t stream, const int *qf, int count,
                       int64_t *d_bytes, struct vj_error *err)
{
    int rc = check_loaded(jpeg, err);
    if (rc)
        return rc;
    struct vj_cuda_size_job job;
    size_job(jpeg, d_bytes, &job);
    rc = vj_cuda_levels_set(&job.levels, qf, count, jpeg->levels, err);
    if (rc)
        return rc;
    const dim3 segments = vj_cuda_dim(vj_cuda_segment_grid(job.scan_blocks, count));
    vj_cuda_launch(lengths_kernel, segments, VJ_CUDA_SEGMENT, stream, job);
    rc = VJ_CUDA_LAUNCHED("JPEG code lengths", err);
    if (rc)
        return rc;
    vj_cuda_launch(starts_kernel, (unsigned)count, VJ_CUDA_SCAN_THREADS, stream, job);
    rc = VJ_CUDA_LAUNCHED("JPEG segment starts", err);
    if (rc)
        return rc;
    vj_cuda_launch(emit_kernel, segments, VJ_CUDA_SEGMENT, stream, job);
    rc = VJ_CUDA_LAUNCHED("JPEG coding", err);
    if (rc)
        return rc;
    vj_cuda_launch(totals_kernel, (unsigned)count, VJ_CUDA_SCAN_THREADS, stream, job);
    return VJ_CUDA_LAUNCHED("JPEG sizes", err);
}
