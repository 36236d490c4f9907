/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the kernels that find the exact size of a JPEG candidate, written as described in
 * jpeg_body.h.
 *
 * The size depends on the bits themselves, because each FF byte of the scan is followed by a zero.
 * So the true bits are made, by many thread blocks at once: the scan is cut into segments of
 * VJ_CUDA_SEGMENT blocks,
 *   1. the length of each block's code, and of each segment, is found;
 *   2. a prefix sum per candidate gives the bit at which each segment starts;
 *   3. each segment writes its bits to shared memory, counts the FF bytes that it alone fills and
 *      notes its share of the bytes at its two ends, which it has in common with a neighbour;
 *   4. per candidate, counts are added up and the common bytes are put together.
 * The last segment fills its last byte with ones. A byte is never shared by three segments: every
 * segment but the last has at least 4 x VJ_CUDA_SEGMENT bits, and the last one ends a byte.
 */
#ifndef VJ_CUDA_JPEG_SIZE_BODY_H
#define VJ_CUDA_JPEG_SIZE_BODY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "cuda/atomic_body.h"
#include "cuda/jpeg_body.h"

enum {
    VJ_CUDA_CODES_DC = 16,  /* symbols of a DC table: categories 0..11 */
    VJ_CUDA_CODES_AC = 256, /* symbols of an AC table */
    VJ_CUDA_CODES = VJ_CUDA_CODES_DC + VJ_CUDA_CODES_AC,
};

/*
 * Codes of a Huffman table pair, DC first: code << 5 | length, where the code has room for the
 * magnitude bits that follow it and the length counts them (struct vj_jpeg_codes); 26 + 5 bits.
 */
struct vj_cuda_codes {
    uint32_t entry[VJ_CUDA_CODES];
};

/* The standard tables, 0 luma, 1 chroma. Host only. */
static inline void vj_cuda_codes_init(struct vj_cuda_codes *codes, int table)
{
    struct vj_jpeg_codes dc, ac;
    vj_jpeg_codes_init(&dc, vj_jpeg_standard_huffman(table, 0));
    vj_jpeg_codes_init(&ac, vj_jpeg_standard_huffman(table, 1));
    for (int i = 0; i < VJ_CUDA_CODES_DC; i++)
        codes->entry[i] = dc.symbol[i].code << 5 | dc.symbol[i].length;
    for (int i = 0; i < VJ_CUDA_CODES_AC; i++)
        codes->entry[VJ_CUDA_CODES_DC + i] = ac.symbol[i].code << 5 | ac.symbol[i].length;
}

/* ---- Coefficients in the order of the scan ------------------------------------------------- */

struct vj_cuda_reorder_job {
    struct vj_jpeg_geometry g;
    const int16_t *coefficients; /* [blocks][64], natural order */
    int16_t *scan;               /* [64][scan blocks], zigzag order */
    size_t scan_blocks;
    uint8_t natural[64]; /* vj_jpeg_zigzag() */
};

static inline struct vj_cuda_grid vj_cuda_reorder_grid(const struct vj_jpeg_geometry *g)
{
    return vj_cuda_line_grid(vj_cuda_scan_blocks(g), VJ_CUDA_THREADS, 1);
}

/* Number of block `i` of component c in an MCU, or -1 when it lies beyond the picture. */
static inline VJ_HD int64_t vj_cuda_scan_source(const struct vj_jpeg_geometry *g, size_t mcu, int c,
                                                int i)
{
    const struct vj_jpeg_component *component = &g->component[c];
    size_t side = c == 0 ? (size_t)g->factor : 1;
    size_t row = mcu / g->mcus_across * side + (size_t)i / side;
    size_t column = mcu % g->mcus_across * side + (size_t)i % side;
    if (row >= component->down || column >= component->across)
        return -1;
    return (int64_t)(component->first + row * component->across + column);
}

/*
 * One block of the scan per thread. One beyond the picture gets the DC of the block before it in
 * its MCU, and nothing else; the first block of an MCU is always within.
 */
static inline VJ_HD void vj_cuda_reorder(const struct vj_cuda_reorder_job *job,
                                         struct vj_cuda_place at, unsigned thread)
{
    size_t position = (size_t)at.x * VJ_CUDA_THREADS + thread;
    if (position >= job->scan_blocks)
        return;
    int unit = vj_cuda_scan_unit(&job->g), luma = vj_cuda_scan_luma(&job->g);
    size_t mcu = position / (size_t)unit;
    int j = (int)(position % (size_t)unit);
    int c = j < luma ? 0 : j - luma + 1, i = j < luma ? j : 0;
    int64_t block = vj_cuda_scan_source(&job->g, mcu, c, i);
    int coefficients = block < 0 ? 1 : 64;
    while (block < 0)
        block = vj_cuda_scan_source(&job->g, mcu, c, --i);
    const int16_t *from = job->coefficients + (size_t)block * 64;
    for (int k = 0; k < 64; k++)
        job->scan[(size_t)k * job->scan_blocks + position] =
            k < coefficients ? from[job->natural[k]] : (int16_t)0;
}

/* ---- Coding -------------------------------------------------------------------------------- */

/* What segment kernels need of a call. Arrays are [level][scan blocks] or [level][segments]. */
struct vj_cuda_size_job {
    const int16_t *scan;               /* [64][scan blocks] */
    const struct vj_cuda_steps *steps; /* [101][2], natural order */
    const struct vj_cuda_codes *codes; /* [2] */
    size_t scan_blocks, segments;
    int unit, luma;       /* blocks of an MCU, and how many of them are luma */
    int overhead;         /* bytes beside the scan */
    uint16_t *block_bits; /* length of each block's code */
    uint32_t *segment_bits;
    uint64_t *start;      /* first bit of each segment */
    uint32_t *stuffed;    /* FF bytes that a segment fills alone */
    uint8_t (*common)[2]; /* bits of a segment in the bytes that it starts and ends within */
    int64_t *bytes;       /* [level]: the result */
    uint8_t natural[64];
    struct vj_cuda_levels levels;
};

struct vj_cuda_size_shared {
    struct vj_cuda_steps steps[2]; /* zigzag order */
    struct vj_cuda_codes codes[2];
    uint32_t sum[2][VJ_CUDA_SEGMENT];
};

struct vj_cuda_emit_shared {
    struct vj_cuda_size_shared size;
    uint32_t words[VJ_CUDA_SEGMENT_WORDS]; /* a segment's bits, first bit highest */
};

static inline struct vj_cuda_grid vj_cuda_segment_grid(size_t scan_blocks, int count)
{
    return vj_cuda_line_grid(scan_blocks, VJ_CUDA_SEGMENT, (size_t)count);
}

/* Where a thread's bits go: whole words as they fill up. Only counted when words is NULL. */
struct vj_cuda_bits {
    uint32_t *words;
    uint64_t pending;
    unsigned filled; /* bits of `pending` that count, below 32 between calls */
    unsigned total;
};

static inline VJ_HD void vj_cuda_put(struct vj_cuda_bits *b, uint32_t entry, uint32_t magnitude)
{
    unsigned length = entry & 31;
    b->total += length;
    if (!b->words)
        return;
    b->pending = b->pending << length | (entry >> 5 | magnitude);
    b->filled += length;
    if (b->filled >= 32) {
        b->filled -= 32;
        vj_cuda_atomic_or(b->words++, (uint32_t)(b->pending >> b->filled));
    }
}

static inline VJ_HD void vj_cuda_flush(struct vj_cuda_bits *b)
{
    if (b->filled)
        vj_cuda_atomic_or(b->words, (uint32_t)(b->pending << (32 - b->filled)));
}

static inline VJ_HD void vj_cuda_put_value(struct vj_cuda_bits *b, const uint32_t *table, int run,
                                           int v)
{
    int category = vj_jpeg_category(v);
    vj_cuda_put(b, table[run << 4 | category], vj_jpeg_magnitude_bits(v, category));
}

/* Position of the block before in the same component, or -1. */
static inline VJ_HD int64_t vj_cuda_scan_before(int unit, int luma, size_t position)
{
    int j = (int)(position % (size_t)unit);
    int back = j == 0 ? unit - luma + 1 : j < luma ? 1 : unit;
    return (int64_t)position - back;
}

/* Codes block `position` of the scan. Coefficients are fewer than 2^32. */
static inline VJ_HD void vj_cuda_code_block(const struct vj_cuda_size_job *job,
                                            const struct vj_cuda_size_shared *s, size_t position,
                                            struct vj_cuda_bits *out)
{
    int table = (int)(position % (size_t)job->unit) >= job->luma;
    const struct vj_cuda_step *step = s->steps[table].step;
    const uint32_t *dc = s->codes[table].entry, *ac = dc + VJ_CUDA_CODES_DC;
    const uint32_t apart = (uint32_t)job->scan_blocks;
    uint32_t at = (uint32_t)position;
    int64_t before = vj_cuda_scan_before(job->unit, job->luma, position);
    int predicted = before < 0 ? 0 : vj_cuda_level(job->scan[before], &step[0]);
    vj_cuda_put_value(out, dc, 0, vj_cuda_level(job->scan[at], &step[0]) - predicted);
    int run = 0, next = job->scan[at += apart]; /* on its way while the one before is coded */
    for (int k = 1; k < 64; k++) {
        const int t = next;
        if (k < 63)
            next = job->scan[at += apart];
        if (vj_cuda_is_zero(t, &step[k])) {
            run++;
            continue;
        }
        for (; run >= 16; run -= 16)
            vj_cuda_put(out, ac[0xF0], 0);
        vj_cuda_put_value(out, ac, run, vj_cuda_level(t, &step[k]));
        run = 0;
    }
    if (run)
        vj_cuda_put(out, ac[0x00], 0);
}

/* Step 1 of both segment kernels: tables to shared memory. */
static inline VJ_HD void vj_cuda_size_tables(const struct vj_cuda_size_job *job,
                                             struct vj_cuda_size_shared *s, struct vj_cuda_place at,
                                             unsigned thread)
{
    const struct vj_cuda_steps *from = job->steps + 2 * (size_t)job->levels.qf[at.z];
    for (unsigned i = thread; i < 2 * 64; i += VJ_CUDA_SEGMENT)
        s->steps[i / 64].step[i % 64] = from[i / 64].step[job->natural[i % 64]];
    for (unsigned i = thread; i < 2 * VJ_CUDA_CODES; i += VJ_CUDA_SEGMENT)
        s->codes[i / VJ_CUDA_CODES].entry[i % VJ_CUDA_CODES] =
            job->codes[i / VJ_CUDA_CODES].entry[i % VJ_CUDA_CODES];
}

/* Lengths, step 2: of each block. */
static inline VJ_HD void vj_cuda_size_lengths(const struct vj_cuda_size_job *job,
                                              struct vj_cuda_size_shared *s,
                                              struct vj_cuda_place at, unsigned thread)
{
    size_t position = (size_t)at.x * VJ_CUDA_SEGMENT + thread;
    struct vj_cuda_bits bits;
    memset(&bits, 0, sizeof(bits));
    if (position < job->scan_blocks) {
        vj_cuda_code_block(job, s, position, &bits);
        job->block_bits[at.z * job->scan_blocks + position] = (uint16_t)bits.total;
    }
    s->sum[0][thread] = bits.total;
}

/* Lengths, step 3, for half = VJ_CUDA_SEGMENT / 2, ..., 2, 1: adds up over the threads. */
static inline VJ_HD void vj_cuda_size_add(struct vj_cuda_size_shared *s, unsigned half,
                                          unsigned thread)
{
    if (thread < half)
        s->sum[0][thread] += s->sum[0][thread + half];
}

/* Lengths, step 4. */
static inline VJ_HD void vj_cuda_size_segment(const struct vj_cuda_size_job *job,
                                              const struct vj_cuda_size_shared *s,
                                              struct vj_cuda_place at, unsigned thread)
{
    if (thread == 0)
        job->segment_bits[at.z * job->segments + at.x] = s->sum[0][0];
}

/* ---- Starts of segments: one thread block per candidate ------------------------------------ */

struct vj_cuda_scan_shared {
    uint64_t sum[VJ_CUDA_SCAN_THREADS];
};

/* Segments that a thread looks after: first .. end - 1. */
static inline VJ_HD size_t vj_cuda_share_first(size_t segments, unsigned thread)
{
    return segments * thread / VJ_CUDA_SCAN_THREADS;
}

/* Step 1: bits of each thread's share. */
static inline VJ_HD void vj_cuda_start_sums(const struct vj_cuda_size_job *job,
                                            struct vj_cuda_scan_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    const uint32_t *bits = job->segment_bits + at.x * job->segments;
    size_t end = vj_cuda_share_first(job->segments, thread + 1);
    uint64_t sum = 0;
    for (size_t i = vj_cuda_share_first(job->segments, thread); i < end; i++)
        sum += bits[i];
    s->sum[thread] = sum;
}

/* Step 2: sums of all threads before, by the first thread: there are only a few hundred. */
static inline VJ_HD void vj_cuda_start_scan(struct vj_cuda_scan_shared *s, unsigned thread)
{
    uint64_t before = 0;
    for (unsigned i = 0; thread == 0 && i < VJ_CUDA_SCAN_THREADS; i++) {
        uint64_t own = s->sum[i];
        s->sum[i] = before;
        before += own;
    }
}

/* Step 3. */
static inline VJ_HD void vj_cuda_start_store(const struct vj_cuda_size_job *job,
                                             const struct vj_cuda_scan_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    const uint32_t *bits = job->segment_bits + at.x * job->segments;
    uint64_t *start = job->start + at.x * job->segments;
    size_t end = vj_cuda_share_first(job->segments, thread + 1);
    uint64_t before = s->sum[thread];
    for (size_t i = vj_cuda_share_first(job->segments, thread); i < end; i++) {
        start[i] = before;
        before += bits[i];
    }
}

/* ---- The bits ------------------------------------------------------------------------------ */

/* First bit of a segment within the words, and the bit behind its last, padding included. */
static inline VJ_HD unsigned vj_cuda_emit_phase(const struct vj_cuda_size_job *job,
                                                struct vj_cuda_place at)
{
    return (unsigned)(job->start[at.z * job->segments + at.x] & 7);
}

static inline VJ_HD unsigned vj_cuda_emit_end(const struct vj_cuda_size_job *job,
                                              struct vj_cuda_place at)
{
    unsigned end = vj_cuda_emit_phase(job, at) + job->segment_bits[at.z * job->segments + at.x];
    return at.x + 1 == job->segments ? (end + 7) / 8 * 8 : end;
}

/* Step 2: words that will be used set to zero, and lengths for the prefix sum. */
static inline VJ_HD void vj_cuda_emit_clear(const struct vj_cuda_size_job *job,
                                            struct vj_cuda_emit_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    unsigned words = (vj_cuda_emit_end(job, at) + 31) / 32;
    for (unsigned i = thread; i < words; i += VJ_CUDA_SEGMENT)
        s->words[i] = 0;
    size_t position = (size_t)at.x * VJ_CUDA_SEGMENT + thread;
    s->size.sum[0][thread] =
        position < job->scan_blocks ? job->block_bits[at.z * job->scan_blocks + position] : 0;
}

/*
 * Step 3, for distance = 1, 2, 4, ..., VJ_CUDA_SEGMENT / 2 and from = 0, 1, 0, ...: inclusive
 * prefix sum. It takes an odd number of rounds, so the result is in sum[1].
 */
static inline VJ_HD void vj_cuda_emit_scan(struct vj_cuda_emit_shared *s, unsigned distance,
                                           int from, unsigned thread)
{
    const uint32_t *in = s->size.sum[from];
    s->size.sum[!from][thread] = in[thread] + (thread >= distance ? in[thread - distance] : 0);
}

/* Step 4: each thread's block; the last block of the scan fills its last byte up with ones. */
static inline VJ_HD void vj_cuda_emit_bits(const struct vj_cuda_size_job *job,
                                           struct vj_cuda_emit_shared *s, struct vj_cuda_place at,
                                           unsigned thread)
{
    size_t position = (size_t)at.x * VJ_CUDA_SEGMENT + thread;
    if (position >= job->scan_blocks)
        return;
    unsigned first = vj_cuda_emit_phase(job, at) + (thread ? s->size.sum[1][thread - 1] : 0);
    struct vj_cuda_bits bits;
    bits.words = s->words + first / 32;
    bits.pending = 0;
    bits.filled = first % 32;
    bits.total = 0;
    vj_cuda_code_block(job, &s->size, position, &bits);
    if (position + 1 == job->scan_blocks) {
        unsigned missing = -(first + bits.total) & 7;
        vj_cuda_put(&bits, missing, (1u << missing) - 1);
    }
    vj_cuda_flush(&bits);
}

static inline VJ_HD uint8_t vj_cuda_byte(const uint32_t *words, unsigned i)
{
    return (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
}

/* Step 5: FF bytes between the first and the last byte boundary of the segment. */
static inline VJ_HD void vj_cuda_emit_count(const struct vj_cuda_size_job *job,
                                            struct vj_cuda_emit_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    unsigned first = (vj_cuda_emit_phase(job, at) + 7) / 8, end = vj_cuda_emit_end(job, at) / 8;
    uint32_t count = 0;
    for (unsigned word = first / 4 + thread; word * 4 < end; word += VJ_CUDA_SEGMENT) {
        for (unsigned i = word * 4; i < word * 4 + 4; i++)
            count += i >= first && i < end && vj_cuda_byte(s->words, i) == 0xFF;
    }
    s->size.sum[0][thread] = count;
}

/* Step 6 is vj_cuda_size_add(). Step 7: results of the segment. */
static inline VJ_HD void vj_cuda_emit_store(const struct vj_cuda_size_job *job,
                                            const struct vj_cuda_emit_shared *s,
                                            struct vj_cuda_place at, unsigned thread)
{
    if (thread != 0)
        return;
    size_t segment = at.z * job->segments + at.x;
    unsigned phase = vj_cuda_emit_phase(job, at), end = vj_cuda_emit_end(job, at);
    job->stuffed[segment] = s->size.sum[0][0];
    job->common[segment][0] = phase ? vj_cuda_byte(s->words, 0) : 0;
    job->common[segment][1] = end % 8 ? vj_cuda_byte(s->words, end / 8) : 0;
}

/* ---- Sizes: one thread block per candidate ------------------------------------------------- */

/* Step 1: FF bytes of each thread's share of segments, with the byte that each one ends within. */
static inline VJ_HD void vj_cuda_total_sums(const struct vj_cuda_size_job *job,
                                            struct vj_cuda_scan_shared *s, struct vj_cuda_place at,
                                            unsigned thread)
{
    size_t base = at.x * job->segments;
    size_t end = vj_cuda_share_first(job->segments, thread + 1);
    uint64_t sum = 0;
    for (size_t i = vj_cuda_share_first(job->segments, thread); i < end; i++) {
        sum += job->stuffed[base + i];
        if (i + 1 < job->segments)
            sum += (job->common[base + i][1] | job->common[base + i + 1][0]) == 0xFF;
    }
    s->sum[thread] = sum;
}

/* Step 2, for half = VJ_CUDA_SCAN_THREADS / 2, ..., 1. */
static inline VJ_HD void vj_cuda_total_add(struct vj_cuda_scan_shared *s, unsigned half,
                                           unsigned thread)
{
    if (thread < half)
        s->sum[thread] += s->sum[thread + half];
}

/* Step 3. */
static inline VJ_HD void vj_cuda_total_store(const struct vj_cuda_size_job *job,
                                             const struct vj_cuda_scan_shared *s,
                                             struct vj_cuda_place at, unsigned thread)
{
    if (thread != 0)
        return;
    size_t last = at.x * job->segments + job->segments - 1;
    uint64_t scan = (job->start[last] + job->segment_bits[last] + 7) / 8;
    job->bytes[at.x] = (int64_t)(scan + s->sum[0]) + job->overhead;
}

#ifdef __cplusplus
}
#endif

#endif
