/* SPDX-License-Identifier: MIT */
/* Work space of one thread that decodes or sizes JPEG candidates. */
#include <errno.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/jpeg_internal.h"

/* Bytes behind each row and bit buffer, so that whole words may be stored. */
enum { SLACK = 64 };

/* Sizes of the arrays, in elements. */
struct sizes {
    size_t blocks;
    size_t pixels; /* bytes */
    size_t row;    /* a full-resolution row */
    size_t bits;   /* bytes */
};

static struct sizes array_sizes(size_t max_width, size_t max_height, int channels,
                                enum vj_subsampling sampling)
{
    /* 4:2:0 has the most, and a colour picture may come where a larger grey one was expected. */
    size_t mcu_row_blocks = (max_width + 15) / 16 * 6;
    return (struct sizes){
        .blocks = vj_jpeg_geometry(max_width, max_height, channels, sampling).blocks,
        .pixels = max_width * max_height * (size_t)channels,
        .row = max_width + SLACK,
        .bits = mcu_row_blocks * ((VJ_JPEG_MAX_BLOCK_BITS + 7) / 8) + SLACK,
    };
}

size_t vj_jpeg_scratch_bytes(size_t max_width, size_t max_height, int channels,
                             enum vj_subsampling sampling)
{
    if (!vj_jpeg_plan_bytes(max_width, max_height, channels, sampling))
        return 0;
    struct sizes n = array_sizes(max_width, max_height, channels, sampling);
    return sizeof(struct vj_jpeg_scratch) + n.blocks * (64 + 1) + n.pixels +
           n.row * (sizeof(int16_t) + 2) + n.bits;
}

/* Flags of a row of eight coefficients, bit i for column i, to flags in zigzag order. */
static void fill_zigzag_flags(uint64_t flags[8][256])
{
    const uint8_t *natural = vj_jpeg_zigzag();
    for (int k = 0; k < 64; k++) {
        int row = natural[k] / 8, column = natural[k] % 8;
        for (int set = 0; set < 256; set++)
            flags[row][set] |= (uint64_t)(set >> column & 1) << k;
    }
}

int vj_jpeg_scratch_create(struct vj_jpeg_scratch **scratch, size_t max_width, size_t max_height,
                           int channels, enum vj_subsampling sampling, struct vj_error *err)
{
    *scratch = NULL;
    int rc = vj_jpeg_check_shape(max_width, max_height, channels, sampling, err);
    if (rc)
        return rc;
    struct sizes n = array_sizes(max_width, max_height, channels, sampling);
    struct vj_jpeg_scratch *s = vj_calloc(1, sizeof(*s));
    if (!s)
        goto out_of_memory;
    s->block_capacity = n.blocks;
    s->width_capacity = max_width;
    s->pixel_capacity = n.pixels;
    s->samples = vj_alloc_aligned(n.blocks, 64);
    s->decoded = vj_alloc_aligned(n.blocks, 1);
    s->pixels = vj_alloc_aligned(n.pixels, 1);
    s->column_step = vj_alloc_aligned(n.row, sizeof(int16_t));
    s->chroma[0] = vj_alloc_aligned(n.row, 1);
    s->chroma[1] = vj_alloc_aligned(n.row, 1);
    s->bits = vj_alloc_aligned(n.bits, 1);
    if (!s->samples || !s->decoded || !s->pixels || !s->column_step || !s->chroma[0] ||
        !s->chroma[1] || !s->bits)
        goto out_of_memory;
    s->cosines = vj_jpeg_cosines();
    fill_zigzag_flags(s->zigzag_flags);
    *scratch = s;
    return 0;

out_of_memory:
    vj_jpeg_scratch_free(s);
    return vj_fail(err, -ENOMEM, "no memory (%zu bytes) to decode JPEG candidates of %zu x %zu",
                   vj_jpeg_scratch_bytes(max_width, max_height, channels, sampling), max_width,
                   max_height);
}

void vj_jpeg_scratch_free(struct vj_jpeg_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->samples);
    free(scratch->decoded);
    free(scratch->pixels);
    free(scratch->column_step);
    free(scratch->chroma[0]);
    free(scratch->chroma[1]);
    free(scratch->bits);
    free(scratch);
}

int vj_jpeg_check(const struct vj_jpeg_plan *plan, int qf, const struct vj_jpeg_scratch *scratch,
                  struct vj_error *err)
{
    const struct vj_jpeg_geometry *g = &plan->geometry;
    if (!g->blocks)
        return vj_fail(err, -EINVAL, "the JPEG plan holds no picture: load one first");
    if (qf < 1 || qf > 100)
        return vj_fail(err, -EINVAL, "JPEG quality factor %d: choose 1 to 100", qf);
    if (g->blocks > scratch->block_capacity || g->width > scratch->width_capacity)
        return vj_fail(
            err, -ENOSPC,
            "picture of %zu x %zu pixels (%zu blocks) does not fit the work space: it was "
            "made for %zu pixels across and %zu blocks",
            g->width, g->height, g->blocks, scratch->width_capacity, scratch->block_capacity);
    return 0;
}
