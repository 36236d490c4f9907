/* SPDX-License-Identifier: MIT */
/* The kernels of cuda/jpeg.cu as loops: the same steps with the same barriers between them. */
#ifndef VJ_TESTS_CUDA_EMULATE_JPEG_H
#define VJ_TESTS_CUDA_EMULATE_JPEG_H

#include "cuda/jpeg_body.h"
#include "cuda/jpeg_size_body.h"
#include "tests/cuda/emulate.h"

/* What struct vj_cuda_jpeg holds on a device. */
struct emulated_jpeg {
    struct vj_jpeg_geometry g;
    struct guarded coefficients_memory, scan_memory;
    int16_t *coefficients, *scan;
    struct vj_jpeg_quantiser *quantisers;
    struct vj_cuda_codes codes[2];
};

static inline void emulate_forward(struct emulated_jpeg *j, const uint8_t *pixels)
{
    struct vj_cuda_forward_job job = {.g = j->g, .pixels = pixels, .coefficients = j->coefficients};
    struct vj_cuda_grid grid = vj_cuda_forward_grid(&j->g);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_forward_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
        vj_cuda_forward_rows(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
        vj_cuda_forward_columns(&job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
        vj_cuda_forward_store(&job, &s, at, t);
    }
}

static inline void emulate_reorder(struct emulated_jpeg *j)
{
    struct vj_cuda_reorder_job job = {.g = j->g,
                                      .coefficients = j->coefficients,
                                      .scan = j->scan,
                                      .scan_blocks = vj_cuda_scan_blocks(&j->g)};
    memcpy(job.natural, vj_jpeg_zigzag(), sizeof(job.natural));
    struct vj_cuda_grid grid = vj_cuda_reorder_grid(&j->g);
    EMULATE_BLOCKS(grid, at)
    EMULATE_THREADS(VJ_CUDA_THREADS, t)
    vj_cuda_reorder(&job, at, t);
}

static inline void emulate_jpeg_load(struct emulated_jpeg *j, const struct vj_image *img,
                                     enum vj_subsampling sampling)
{
    j->g = vj_jpeg_geometry(img->width, img->height, img->channels, sampling);
    j->coefficients = guarded_take(&j->coefficients_memory, j->g.blocks * 64 * sizeof(int16_t));
    j->scan = guarded_take(&j->scan_memory, vj_cuda_scan_blocks(&j->g) * 64 * sizeof(int16_t));
    j->quantisers = vj_alloc_aligned(2 * 101, sizeof(*j->quantisers));
    assert_non_null(j->quantisers);
    for (int i = 2; i < 2 * 101; i++)
        vj_jpeg_quantiser_init(&j->quantisers[i], i % 2, i / 2);
    for (int table = 0; table < 2; table++)
        vj_cuda_codes_init(&j->codes[table], table);
    emulate_forward(j, img->data);
    emulate_reorder(j);
}

static inline void emulate_jpeg_free(struct emulated_jpeg *j)
{
    guarded_release(&j->coefficients_memory);
    guarded_release(&j->scan_memory);
    free(j->quantisers);
}

/* Whole candidates when origin is NULL, otherwise patches. */
static inline void emulate_decode(const struct emulated_jpeg *j, const int *qf, int count,
                                  const int32_t (*origin)[2], size_t patches, size_t side,
                                  uint8_t *out)
{
    struct vj_cuda_decode_job job = {.g = j->g,
                                     .coefficients = j->coefficients,
                                     .quantisers = j->quantisers,
                                     .origin = origin,
                                     .patches = patches,
                                     .side = side,
                                     .out = out};
    assert_int_equal(vj_cuda_levels_set(&job.levels, qf, count, VJ_CUDA_LEVELS, NULL), 0);
    struct vj_cuda_grid grid =
        origin ? vj_cuda_patches_grid(patches, side, count) : vj_cuda_decode_grid(&j->g, count);
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_decode_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
        vj_cuda_decode_tables(&job, &s, at, t);
        for (int first = 0; first < s.tile.blocks; first += VJ_CUDA_JPEG_BATCH) {
            EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
            {
                /* No barrier lies between a batch's end and the next one's beginning. */
                if (first)
                    vj_cuda_decode_rows(&s, first - VJ_CUDA_JPEG_BATCH, t);
                vj_cuda_decode_requantise(&job, &s, first, t);
            }
            EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
            vj_cuda_decode_columns(&s, first, t);
        }
        EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
        vj_cuda_decode_rows(&s, (s.tile.blocks - 1) / VJ_CUDA_JPEG_BATCH * VJ_CUDA_JPEG_BATCH, t);
        EMULATE_THREADS(VJ_CUDA_JPEG_THREADS, t)
        vj_cuda_decode_store(&job, &s, t);
    }
}

static inline void emulate_lengths(const struct vj_cuda_size_job *job, struct vj_cuda_grid grid)
{
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_size_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_size_tables(job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_size_lengths(job, &s, at, t);
        for (unsigned half = VJ_CUDA_SEGMENT / 2; half > 0; half /= 2)
            EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_size_add(&s, half, t);
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_size_segment(job, &s, at, t);
    }
}

static inline void emulate_starts(const struct vj_cuda_size_job *job, struct vj_cuda_grid grid)
{
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_scan_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_SCAN_THREADS, t)
        vj_cuda_start_sums(job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_SCAN_THREADS, t)
        vj_cuda_start_scan(&s, t);
        EMULATE_THREADS(VJ_CUDA_SCAN_THREADS, t)
        vj_cuda_start_store(job, &s, at, t);
    }
}

static inline void emulate_emit(const struct vj_cuda_size_job *job, struct vj_cuda_grid grid)
{
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_emit_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        {
            vj_cuda_size_tables(job, &s.size, at, t);
            vj_cuda_emit_clear(job, &s, at, t);
        }
        int from = 0;
        for (unsigned distance = 1; distance < VJ_CUDA_SEGMENT; distance *= 2, from = !from)
            EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_emit_scan(&s, distance, from, t);
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_emit_bits(job, &s, at, t);
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_emit_count(job, &s, at, t);
        for (unsigned half = VJ_CUDA_SEGMENT / 2; half > 0; half /= 2)
            EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_size_add(&s.size, half, t);
        EMULATE_THREADS(VJ_CUDA_SEGMENT, t)
        vj_cuda_emit_store(job, &s, at, t);
    }
}

static inline void emulate_totals(const struct vj_cuda_size_job *job, struct vj_cuda_grid grid)
{
    EMULATE_BLOCKS(grid, at)
    {
        struct vj_cuda_scan_shared s;
        memset(&s, 0xA5, sizeof(s));
        EMULATE_THREADS(VJ_CUDA_SCAN_THREADS, t)
        vj_cuda_total_sums(job, &s, at, t);
        for (unsigned half = VJ_CUDA_SCAN_THREADS / 2; half > 0; half /= 2)
            EMULATE_THREADS(VJ_CUDA_SCAN_THREADS, t)
        vj_cuda_total_add(&s, half, t);
        EMULATE_THREADS(VJ_CUDA_SCAN_THREADS, t)
        vj_cuda_total_store(job, &s, at, t);
    }
}

static inline void emulate_sizes(const struct emulated_jpeg *j, const int *qf, int count,
                                 int64_t *bytes)
{
    struct vj_cuda_size_job job = {.scan = j->scan,
                                   .quantisers = j->quantisers,
                                   .codes = j->codes,
                                   .scan_blocks = vj_cuda_scan_blocks(&j->g),
                                   .unit = vj_cuda_scan_unit(&j->g),
                                   .luma = vj_cuda_scan_luma(&j->g),
                                   .overhead = vj_cuda_jpeg_overhead(j->g.channels),
                                   .bytes = bytes};
    job.segments = vj_cuda_blocks(job.scan_blocks, VJ_CUDA_SEGMENT);
    memcpy(job.natural, vj_jpeg_zigzag(), sizeof(job.natural));
    assert_int_equal(vj_cuda_levels_set(&job.levels, qf, count, VJ_CUDA_LEVELS, NULL), 0);
    struct guarded memory[5];
    size_t segments = (size_t)count * job.segments;
    job.block_bits = guarded_take(&memory[0], (size_t)count * job.scan_blocks * sizeof(uint16_t));
    job.segment_bits = guarded_take(&memory[1], segments * sizeof(uint32_t));
    job.start = guarded_take(&memory[2], segments * sizeof(uint64_t));
    job.stuffed = guarded_take(&memory[3], segments * sizeof(uint32_t));
    job.common = guarded_take(&memory[4], segments * 2);
    struct vj_cuda_grid per_segment = vj_cuda_segment_grid(job.scan_blocks, count);
    struct vj_cuda_grid per_level = {(unsigned)count, 1, 1};
    emulate_lengths(&job, per_segment);
    emulate_starts(&job, per_level);
    emulate_emit(&job, per_segment);
    emulate_totals(&job, per_level);
    for (size_t i = 0; i < 5; i++)
        guarded_release(&memory[i]);
}

#endif
