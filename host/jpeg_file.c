/* SPDX-License-Identifier: MIT */
/*
 * The entropy-coding half of JPEG at any quality factor: the exact file, or its size alone. The
 * true bit stream is made either way, because every byte FF of it costs a byte more.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/jpeg_huffman.h"
#include "host/jpeg_internal.h"
#include "host/simd.h"

enum {
    SYMBOL_END_OF_BLOCK = 0x00,
    SYMBOL_SIXTEEN_ZEROS = 0xF0,
};

/* Where the file goes: `size` counts on when `out` is full or NULL. */
struct sink {
    uint8_t *out;
    size_t capacity;
    size_t size;
};

static void sink_byte(struct sink *sink, uint8_t byte)
{
    if (sink->size < sink->capacity)
        sink->out[sink->size] = byte;
    sink->size++;
}

static void sink_word(struct sink *sink, size_t word)
{
    sink_byte(sink, (uint8_t)(word >> 8));
    sink_byte(sink, (uint8_t)word);
}

static void sink_bytes(struct sink *sink, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sink_byte(sink, bytes[i]);
}

VJ_SIMD static size_t count_ff(const uint8_t *bytes, size_t count)
{
    size_t total = 0;
    while (count) {
        /* Short runs keep the vectorised count in narrow lanes. */
        size_t run = count < 128 ? count : 128;
        uint8_t found = 0;
        for (size_t i = 0; i < run; i++)
            found = (uint8_t)(found + (bytes[i] == 0xFF));
        total += found;
        bytes += run;
        count -= run;
    }
    return total;
}

/* Entropy-coded bytes, each FF followed by 00. */
static void sink_scan(struct sink *sink, const uint8_t *bytes, size_t count)
{
    if (!sink->capacity) {
        sink->size += count + count_ff(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        sink_byte(sink, bytes[i]);
        if (bytes[i] == 0xFF)
            sink_byte(sink, 0);
    }
}

/* ---- Blocks to symbols ---------------------------------------------------------------------- */

/* Quantised block: values in natural order, and which of them are not zero, in zigzag order. */
struct levels {
    _Alignas(32) int16_t value[64];
    uint64_t nonzero;
};

VJ_JPEG_INLINE void quantise_block(struct levels *restrict levels, const int16_t *restrict t,
                                   const struct vj_jpeg_quantiser *restrict z,
                                   uint64_t (*restrict zigzag_flags)[256])
{
    _Alignas(32) uint8_t flag[64];
    for (int k = 0; k < 64; k++) {
        levels->value[k] = vj_jpeg_quantise(t[k], z, k);
        flag[k] = levels->value[k] != 0;
    }
    levels->nonzero = 0;
    for (int row = 0; row < 8; row++) {
        /* Gathers the eight flags in one byte: product term i lands on bit 56 + i, none collide. */
        uint64_t flags;
        memcpy(&flags, flag + 8 * row, sizeof(flags));
        levels->nonzero |= zigzag_flags[row][(le64toh(flags) * 0x0102040810204080u) >> 56];
    }
}

/* Bits in the making: the `pending` (fewer than 8) low bits of `word` are not written yet. */
struct bit_writer {
    uint64_t word;
    uint32_t pending;
    uint8_t *next;
};

/* Appends up to 56 bits. Stores eight bytes always: whether one is full is unpredictable. */
VJ_JPEG_INLINE void put_bits(struct bit_writer *w, uint32_t bits, uint32_t count)
{
    w->word = w->word << count | bits;
    w->pending += count;
    uint64_t out = htobe64(w->word << (-w->pending & 63));
    memcpy(w->next, &out, sizeof(out));
    w->next += w->pending >> 3;
    w->pending &= 7;
}

/* What symbols go to: codes to be written, or counts for tables yet to be made. */
struct coder {
    const struct vj_jpeg_codes *codes; /* DC, AC of the component's table */
    int64_t (*count)[256];             /* DC, AC; used when counting */
    struct bit_writer *writer;
};

VJ_JPEG_INLINE void code_symbol(const struct coder *coder, bool counting, int ac, int symbol,
                                uint32_t magnitude_bits)
{
    if (counting)
        coder->count[ac][symbol]++;
    else
        put_bits(coder->writer, coder->codes[ac].symbol[symbol].code | magnitude_bits,
                 coder->codes[ac].symbol[symbol].length);
}

VJ_JPEG_INLINE void code_value(const struct coder *coder, bool counting, int ac, int run, int v)
{
    int category = vj_jpeg_category(v);
    code_symbol(coder, counting, ac, run << 4 | category, vj_jpeg_magnitude_bits(v, category));
}

/* One block; dc_before: quantised DC of the component's block before it. */
VJ_JPEG_INLINE void code_block(const struct coder *coder, bool counting,
                               const struct levels *levels, int dc_before)
{
    const uint8_t *natural = vj_jpeg_zigzag();
    code_value(coder, counting, 0, 0, levels->value[0] - dc_before);
    int last = 0;
    for (uint64_t rest = levels->nonzero & ~(uint64_t)1; rest; rest &= rest - 1) {
        int k = __builtin_ctzll(rest);
        int run = k - last - 1;
        for (; run >= 16; run -= 16)
            code_symbol(coder, counting, 1, SYMBOL_SIXTEEN_ZEROS, 0);
        code_value(coder, counting, 1, run, levels->value[natural[k]]);
        last = k;
    }
    if (last < 63)
        code_symbol(coder, counting, 1, SYMBOL_END_OF_BLOCK, 0);
}

/* ---- The scan ------------------------------------------------------------------------------- */

struct scan {
    const struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    int dc[3]; /* DC of each component's last block */
    struct bit_writer writer;
    int64_t count[2][2][256]; /* [table][0 DC, 1 AC][symbol] */
};

enum {
    MCU_BLOCKS = 6, /* at most */
    BATCH_MCUS = 8, /* quantised together, so that this overlaps better than coding does */
};

/* Number of blocks that component c has in an MCU, each way. */
VJ_JPEG_INLINE size_t blocks_each_way(const struct vj_jpeg_geometry *g, int c)
{
    return c == 0 ? (size_t)g->factor : 1;
}

/* Quantises the blocks of one MCU in the order of the scan; returns behind the last. */
VJ_JPEG_INLINE struct levels *quantise_mcu(const struct scan *scan, size_t mcu_row,
                                           size_t mcu_column, struct levels *out)
{
    const struct vj_jpeg_geometry *g = &scan->plan->geometry;
    struct vj_jpeg_scratch *s = scan->scratch;
    for (int c = 0; c < g->channels; c++) {
        const struct vj_jpeg_component *component = &g->component[c];
        size_t side = blocks_each_way(g, c);
        for (size_t i = 0; i < side * side; i++, out++) {
            size_t row = mcu_row * side + (i >> 1), column = mcu_column * side + (i & 1);
            if (row < component->down && column < component->across) {
                size_t block = component->first + row * component->across + column;
                quantise_block(out, scan->plan->coefficients + block * 64,
                               &s->quantiser[component->table], s->zigzag_flags);
            } else {
                /* Beyond the picture: the DC of the block before it and nothing else. */
                out->value[0] = out[-1].value[0];
                out->nonzero = 0;
            }
        }
    }
    return out;
}

/* Codes the blocks of one MCU; returns behind the last. */
VJ_JPEG_INLINE const struct levels *code_mcu(struct scan *scan, bool counting,
                                             struct bit_writer *writer, const struct levels *in)
{
    const struct vj_jpeg_geometry *g = &scan->plan->geometry;
    for (int c = 0; c < g->channels; c++) {
        int table = g->component[c].table;
        const struct coder coder = {scan->scratch->codes[table], scan->count[table], writer};
        size_t side = blocks_each_way(g, c);
        for (size_t i = 0; i < side * side; i++, in++) {
            code_block(&coder, counting, in, scan->dc[c]);
            scan->dc[c] = in->value[0];
        }
    }
    return in;
}

VJ_JPEG_INLINE void scan_mcu_row(struct scan *scan, bool counting, size_t mcu_row)
{
    size_t across = scan->plan->geometry.mcus_across;
    struct levels batch[BATCH_MCUS * MCU_BLOCKS];
    struct bit_writer writer = scan->writer; /* a copy, to stay in registers */
    for (size_t first = 0; first < across; first += BATCH_MCUS) {
        size_t count = across - first < BATCH_MCUS ? across - first : BATCH_MCUS;
        struct levels *out = batch;
        for (size_t i = 0; i < count; i++)
            out = quantise_mcu(scan, mcu_row, first + i, out);
        const struct levels *in = batch;
        for (size_t i = 0; i < count; i++)
            in = code_mcu(scan, counting, &writer, in);
    }
    scan->writer = writer;
}

VJ_SIMD static void count_mcu_row(struct scan *scan, size_t mcu_row)
{
    scan_mcu_row(scan, true, mcu_row);
}

VJ_SIMD static void code_mcu_row(struct scan *scan, size_t mcu_row)
{
    scan_mcu_row(scan, false, mcu_row);
}

static void start_scan(struct scan *scan, const struct vj_jpeg_plan *plan,
                       struct vj_jpeg_scratch *scratch)
{
    memset(scan, 0, sizeof(*scan));
    scan->plan = plan;
    scan->scratch = scratch;
    scan->writer.next = scratch->bits;
}

/* Hands the whole bytes written so far to the sink. */
static void flush_bytes(struct scan *scan, struct sink *sink)
{
    struct bit_writer *w = &scan->writer;
    sink_scan(sink, scan->scratch->bits, (size_t)(w->next - scan->scratch->bits));
    w->next = scan->scratch->bits;
}

static void write_scan(struct scan *scan, struct sink *sink)
{
    for (size_t row = 0; row < scan->plan->geometry.mcus_down; row++) {
        code_mcu_row(scan, row);
        flush_bytes(scan, sink);
    }
    /* The last byte is filled up with ones. */
    uint32_t missing = -scan->writer.pending & 7;
    put_bits(&scan->writer, (1u << missing) - 1, missing);
    flush_bytes(scan, sink);
}

/* ---- The header ----------------------------------------------------------------------------- */

static void write_quantiser(struct sink *sink, int table, const struct vj_jpeg_quantiser *z)
{
    const uint8_t *natural = vj_jpeg_zigzag();
    sink_word(sink, 0xFFDB);
    sink_word(sink, 2 + 1 + 64);
    sink_byte(sink, (uint8_t)table);
    for (int k = 0; k < 64; k++)
        sink_byte(sink, (uint8_t)z->q[natural[k]]);
}

static void write_frame(struct sink *sink, const struct vj_jpeg_geometry *g)
{
    sink_word(sink, 0xFFC0);
    sink_word(sink, 8 + 3 * (size_t)g->channels);
    sink_byte(sink, 8);
    sink_word(sink, g->height);
    sink_word(sink, g->width);
    sink_byte(sink, (uint8_t)g->channels);
    for (int c = 0; c < g->channels; c++) {
        sink_byte(sink, (uint8_t)(c + 1));
        sink_byte(sink, c == 0 && g->factor == 2 ? 0x22 : 0x11);
        sink_byte(sink, (uint8_t)g->component[c].table);
    }
}

static void write_huffman(struct sink *sink, int table, int ac, const struct vj_jpeg_huffman *h)
{
    size_t symbols = 0;
    for (int n = 1; n <= 16; n++)
        symbols += h->bits[n];
    sink_word(sink, 0xFFC4);
    sink_word(sink, 2 + 1 + 16 + symbols);
    sink_byte(sink, (uint8_t)(ac << 4 | table));
    sink_bytes(sink, h->bits + 1, 16);
    sink_bytes(sink, h->values, symbols);
}

static void write_scan_header(struct sink *sink, const struct vj_jpeg_geometry *g)
{
    sink_word(sink, 0xFFDA);
    sink_word(sink, 6 + 2 * (size_t)g->channels);
    sink_byte(sink, (uint8_t)g->channels);
    for (int c = 0; c < g->channels; c++) {
        sink_byte(sink, (uint8_t)(c + 1));
        sink_byte(sink, (uint8_t)(g->component[c].table * 0x11));
    }
    sink_byte(sink, 0);  /* first and */
    sink_byte(sink, 63); /* last coefficient */
    sink_byte(sink, 0);
}

static void write_header(struct sink *sink, const struct vj_jpeg_geometry *g,
                         const struct vj_jpeg_scratch *s,
                         const struct vj_jpeg_huffman *huffman[2][2])
{
    /* JFIF 1.1, pixels of aspect 1:1, no thumbnail. */
    static const uint8_t start[] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 16, 'J', 'F', 'I', 'F',
                                    0,    1,    1,    0,    0, 1,  0,   1,   0,   0};
    int tables = g->channels == 3 ? 2 : 1;
    sink_bytes(sink, start, sizeof(start));
    for (int table = 0; table < tables; table++)
        write_quantiser(sink, table, &s->quantiser[table]);
    write_frame(sink, g);
    for (int table = 0; table < tables; table++) {
        for (int ac = 0; ac < 2; ac++)
            write_huffman(sink, table, ac, huffman[table][ac]);
    }
    write_scan_header(sink, g);
}

/* ---- The file ------------------------------------------------------------------------------- */

/* Makes the tables that suit the picture best. */
static void optimise(const struct vj_jpeg_plan *plan, struct vj_jpeg_scratch *scratch,
                     struct vj_jpeg_huffman optimal[2][2])
{
    struct scan scan;
    start_scan(&scan, plan, scratch);
    for (size_t row = 0; row < plan->geometry.mcus_down; row++)
        count_mcu_row(&scan, row);
    for (int table = 0; table < (plan->geometry.channels == 3 ? 2 : 1); table++) {
        for (int ac = 0; ac < 2; ac++)
            vj_jpeg_optimal_huffman(scan.count[table][ac], &optimal[table][ac]);
    }
}

static int write_file(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                      struct sink *sink, struct vj_jpeg_scratch *scratch, struct vj_error *err)
{
    int rc = vj_jpeg_check(plan, qf, scratch, err);
    if (rc)
        return rc;
    if (coding != VJ_JPEG_CODING_STANDARD && coding != VJ_JPEG_CODING_OPTIMAL)
        return vj_fail(err, -EINVAL, "JPEG coding %d: choose standard or optimal", (int)coding);

    struct vj_jpeg_huffman optimal[2][2];
    const struct vj_jpeg_huffman *huffman[2][2];
    for (int table = 0; table < 2; table++)
        vj_jpeg_quantiser_init(&scratch->quantiser[table], table, qf);
    if (coding == VJ_JPEG_CODING_OPTIMAL)
        optimise(plan, scratch, optimal);
    for (int table = 0; table < (plan->geometry.channels == 3 ? 2 : 1); table++) {
        for (int ac = 0; ac < 2; ac++) {
            huffman[table][ac] = coding == VJ_JPEG_CODING_OPTIMAL
                                     ? &optimal[table][ac]
                                     : vj_jpeg_standard_huffman(table, ac);
            vj_jpeg_codes_init(&scratch->codes[table][ac], huffman[table][ac]);
        }
    }

    struct scan scan;
    start_scan(&scan, plan, scratch);
    write_header(sink, &plan->geometry, scratch, huffman);
    write_scan(&scan, sink);
    sink_word(sink, 0xFFD9);
    return 0;
}

int vj_jpeg_plan_size(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                      int64_t *bytes, struct vj_jpeg_scratch *scratch, struct vj_error *err)
{
    struct sink sink = {0};
    int rc = write_file(plan, qf, coding, &sink, scratch, err);
    *bytes = rc ? 0 : (int64_t)sink.size;
    return rc;
}

int vj_jpeg_plan_file(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                      uint8_t *out, size_t capacity, int64_t *bytes,
                      struct vj_jpeg_scratch *scratch, struct vj_error *err)
{
    struct sink sink = {.out = out, .capacity = capacity};
    int rc = write_file(plan, qf, coding, &sink, scratch, err);
    *bytes = rc ? 0 : (int64_t)sink.size;
    if (!rc && sink.size > capacity)
        return vj_fail(err, -ENOSPC, "JPEG file of %zu bytes: there is room for %zu", sink.size,
                       capacity);
    return rc;
}

int vj_jpeg_plan_write(const struct vj_jpeg_plan *plan, int qf, enum vj_jpeg_coding coding,
                       const char *path, int64_t *bytes, struct vj_jpeg_scratch *scratch,
                       struct vj_error *err)
{
    int rc = vj_jpeg_plan_size(plan, qf, coding, bytes, scratch, err);
    if (rc)
        return rc;
    const size_t size = (size_t)*bytes;
    uint8_t *file = malloc(size);
    if (!file)
        return vj_fail(err, -ENOMEM, "no memory for a JPEG file of %zu bytes", size);
    rc = vj_jpeg_plan_file(plan, qf, coding, file, size, bytes, scratch, err);
    if (!rc)
        rc = vj_file_write(path, file, size, err);
    free(file);
    return rc;
}
