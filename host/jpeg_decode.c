/* SPDX-License-Identifier: MIT */
/*
 * The decoding half of JPEG at any quality factor: coefficients to pixels, whole pictures or
 * windows.
 *
 * A window is worked through in bands of one row of MCUs: first the blocks that the band depends on
 * are computed, each once per call, into component planes; then its rows are up-sampled and
 * converted while those samples are in cache.
 */
#include <errno.h>
#include <string.h>

#include "host/jpeg_internal.h"
#include "host/simd.h"

/* Blocks that pass the stages of decode_blocks() together: enough to hide latencies, yet in L1. */
enum { BATCH = 32 };

/* A range of rows or columns, both ends included. */
struct range {
    size_t first, last;
};

struct rect {
    size_t y, x, height, width;
};

/* One decoding of one picture. */
struct job {
    const struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
};

/*
 * De-quantised coefficients of a block after a round trip through quantisation. Returns 0 when none
 * but the DC is left.
 */
VJ_JPEG_INLINE int requantise(const int16_t *restrict t, const struct vj_jpeg_quantiser *restrict z,
                              int16_t *restrict out)
{
    int16_t any = 0;
    for (int k = 0; k < 64; k++) {
        int16_t level = vj_jpeg_quantise(t[k], z, k);
        any = (int16_t)(any | (k ? level : 0));
        out[k] = (int16_t)(level * (int16_t)z->q[k]);
    }
    return any;
}

/*
 * One pass of the inverse transform over the columns of 64 words. What pass 1 makes of quantised
 * pictures fits 16 bits: a row's spectrum stays below 4096, quantisation errors of half a step in
 * all eight coefficients add less than 5700.
 */
VJ_JPEG_INLINE void inverse_pass(const int16_t *restrict words, int *restrict v, int pass,
                                 const struct vj_jpeg_cosines *restrict cosines)
{
    for (int i = 0; i < 64; i++)
        v[i] = words[i];
    for (int i = 0; i < 8; i++) {
        int line[8] = {v[i],      v[8 + i],  v[16 + i], v[24 + i],
                       v[32 + i], v[40 + i], v[48 + i], v[56 + i]};
        vj_jpeg_idct8(cosines, line, pass);
        for (int k = 0; k < 8; k++)
            v[8 * k + i] = line[k];
    }
}

VJ_JPEG_INLINE void store_block(uint8_t *restrict out, size_t stride, const uint8_t *restrict block)
{
    for (size_t i = 0; i < 8; i++)
        memcpy(out + i * stride, block + 8 * i, 8);
}

VJ_JPEG_INLINE void store_flat(uint8_t *restrict out, size_t stride, uint8_t sample)
{
    for (size_t i = 0; i < 8; i++)
        memset(out + i * stride, sample, 8);
}

/*
 * Decodes those of `count` <= BATCH neighbouring blocks that are not decoded yet. Stage by stage
 * over the whole batch, because a single block's dependency chain is too long for a processor's
 * window.
 */
VJ_SIMD static void decode_blocks(const int16_t *restrict coefficients, uint8_t *restrict decoded,
                                  uint8_t *restrict out, size_t stride, size_t count,
                                  const struct vj_jpeg_quantiser *restrict quantiser,
                                  const struct vj_jpeg_cosines *restrict cosines)
{
    _Alignas(32) int16_t words[BATCH][64];
    _Alignas(32) uint8_t samples[BATCH][64];
    _Alignas(32) int v[64];
    uint8_t *place[BATCH];
    size_t n = 0;
    for (size_t b = 0; b < count; b++) {
        if (decoded[b])
            continue;
        decoded[b] = 1;
        place[n] = out + 8 * b;
        if (requantise(coefficients + 64 * b, quantiser, words[n]))
            n++;
        else
            store_flat(place[n], stride, vj_jpeg_sample(vj_jpeg_idct_flat(words[n][0])));
    }
    for (size_t i = 0; i < n; i++) {
        inverse_pass(words[i], v, 1, cosines);
        for (int k = 0; k < 64; k++)
            words[i][k] = (int16_t)v[k];
    }
    for (size_t i = 0; i < n; i++)
        vj_jpeg_transpose_words(words[i]);
    for (size_t i = 0; i < n; i++) {
        inverse_pass(words[i], v, 2, cosines);
        for (int k = 0; k < 64; k++)
            words[i][k] = (int16_t)v[k];
    }
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 64; k++)
            samples[i][k] = vj_jpeg_sample(words[i][k]);
    }
    for (size_t i = 0; i < n; i++) {
        vj_jpeg_transpose_bytes(samples[i]);
        store_block(place[i], stride, samples[i]);
    }
}

/* Sees to it that the blocks of a component under the given samples are decoded. */
static void need_samples(const struct job *job, int c, struct range rows, struct range columns)
{
    const struct vj_jpeg_component *component = &job->plan->geometry.component[c];
    struct vj_jpeg_scratch *s = job->scratch;
    size_t stride = component->across * 8;
    size_t end = columns.last / 8 + 1;
    for (size_t row = rows.first / 8; row <= rows.last / 8; row++) {
        for (size_t column = columns.first / 8; column < end; column += BATCH) {
            size_t block = component->first + row * component->across + column;
            uint8_t *out = s->samples + component->first * 64 + row * 8 * stride + column * 8;
            decode_blocks(job->plan->coefficients + block * 64, s->decoded + block, out, stride,
                          end - column < BATCH ? end - column : BATCH,
                          &s->quantiser[component->table], &s->cosines);
        }
    }
}

/* Chroma samples that pixels first .. first + count - 1 of a row or column depend on in 4:2:0. */
static struct range chroma_range(size_t first, size_t count, size_t samples)
{
    struct range r = {first ? (first - 1) / 2 : 0, (first + count) / 2};
    if (r.last >= samples)
        r.last = samples - 1;
    return r;
}

static const uint8_t *sample_row(const struct job *job, int c, size_t row)
{
    const struct vj_jpeg_component *component = &job->plan->geometry.component[c];
    return job->scratch->samples + component->first * 64 + row * component->across * 8;
}

VJ_SIMD static void upsample_columns(const uint8_t *restrict nearer,
                                     const uint8_t *restrict farther, int16_t *restrict out,
                                     size_t count)
{
    for (size_t j = 0; j < count; j++)
        out[j] = (int16_t)vj_jpeg_upsample_down(nearer[j], farther[j]);
}

/* in[-1] and in[count] are read. */
VJ_SIMD static void upsample_row(const int16_t *restrict in, uint8_t *restrict out, size_t count)
{
    const ptrdiff_t end = (ptrdiff_t)count; /* signed: there is a sample before the first */
    for (ptrdiff_t j = 0; j < end; j++) {
        out[2 * j] = (uint8_t)vj_jpeg_upsample_even(in[j], in[j - 1]);
        out[2 * j + 1] = (uint8_t)vj_jpeg_upsample_odd(in[j], in[j + 1]);
    }
}

/* Full-resolution chroma of pixels x .. x + count - 1 of row y, in `buffer`. */
static const uint8_t *chroma_row(const struct job *job, int c, size_t y, size_t x, size_t count,
                                 uint8_t *buffer)
{
    const struct vj_jpeg_geometry *g = &job->plan->geometry;
    const struct vj_jpeg_component *component = &g->component[c];
    const uint8_t *nearer = sample_row(job, c, y / 2);
    if (vj_jpeg_repeats_chroma(g->width)) {
        for (size_t i = 0; i < count; i++)
            buffer[i] = nearer[(x + i) / 2];
        return buffer;
    }
    struct range rows = chroma_range(y, 1, component->height);
    struct range columns = chroma_range(x, count, component->width);
    const uint8_t *farther = sample_row(job, c, y % 2 ? rows.last : rows.first);
    /* One sample beyond either end: the picture's edge rule, and unused where the window ends. */
    size_t n = columns.last - columns.first + 1;
    int16_t *step = job->scratch->column_step + 1;
    upsample_columns(nearer + columns.first, farther + columns.first, step, n);
    step[-1] = step[0];
    step[n] = step[n - 1];
    size_t pairs = (x + count - 1) / 2 - x / 2 + 1;
    upsample_row(step + (x / 2 - columns.first), buffer, pairs);
    return buffer + x % 2;
}

VJ_SIMD static void convert_row(const uint8_t *restrict y, const uint8_t *restrict cb,
                                const uint8_t *restrict cr, uint8_t *restrict rgb, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int16_t blue = (int16_t)(cb[i] - 128), red = (int16_t)(cr[i] - 128);
        rgb[3 * i] = vj_jpeg_r(y[i], red);
        rgb[3 * i + 1] = vj_jpeg_g(y[i], blue, red);
        rgb[3 * i + 2] = vj_jpeg_b(y[i], blue);
    }
}

/* Pixels of a rectangle all of whose samples are decoded. */
static void convert_rect(const struct job *job, struct rect r, uint8_t *out)
{
    const struct vj_jpeg_geometry *g = &job->plan->geometry;
    for (size_t y = r.y; y < r.y + r.height; y++, out += r.width * (size_t)g->channels) {
        const uint8_t *luma = sample_row(job, 0, y) + r.x;
        if (g->channels == 1) {
            memcpy(out, luma, r.width);
            continue;
        }
        const uint8_t *chroma[2];
        for (int c = 0; c < 2; c++)
            chroma[c] = g->factor == 2
                            ? chroma_row(job, c + 1, y, r.x, r.width, job->scratch->chroma[c])
                            : sample_row(job, c + 1, y) + r.x;
        convert_row(luma, chroma[0], chroma[1], out, r.width);
    }
}

static void decode_rect(const struct job *job, struct rect r, uint8_t *out)
{
    const struct vj_jpeg_geometry *g = &job->plan->geometry;
    struct range columns = {r.x, r.x + r.width - 1};
    size_t bottom = r.y + r.height;
    for (size_t top = r.y, end; top < bottom; top = end) {
        end = (top / 16 + 1) * 16;
        if (end > bottom)
            end = bottom;
        for (int c = 0; c < g->channels; c++) {
            if (c > 0 && g->factor == 2)
                need_samples(job, c, chroma_range(top, end - top, g->component[c].height),
                             chroma_range(r.x, r.width, g->component[c].width));
            else
                need_samples(job, c, (struct range){top, end - 1}, columns);
        }
        convert_rect(job, (struct rect){top, r.x, end - top, r.width}, out);
        out += (end - top) * r.width * (size_t)g->channels;
    }
}

/* Starts a decoding: no block is decoded yet. */
static int start(struct job *job, const struct vj_jpeg_plan *plan, int qf,
                 struct vj_jpeg_scratch *scratch, struct vj_error *err)
{
    int rc = vj_jpeg_check(plan, qf, scratch, err);
    if (rc)
        return rc;
    *job = (struct job){.plan = plan, .scratch = scratch};
    for (int table = 0; table < 2; table++)
        vj_jpeg_quantiser_init(&scratch->quantiser[table], table, qf);
    memset(scratch->decoded, 0, plan->geometry.blocks);
    return 0;
}

static int check_rect(const struct vj_jpeg_plan *plan, struct rect r, struct vj_error *err)
{
    const struct vj_jpeg_geometry *g = &plan->geometry;
    if (r.height < 1 || r.width < 1 || r.height > g->height || r.width > g->width ||
        r.y > g->height - r.height || r.x > g->width - r.width)
        return vj_fail(err, -EINVAL,
                       "window of %zu x %zu pixels at x %td, y %td is not within the picture of "
                       "%zu x %zu",
                       r.width, r.height, (ptrdiff_t)r.x, (ptrdiff_t)r.y, g->width, g->height);
    return 0;
}

int vj_jpeg_plan_window(const struct vj_jpeg_plan *plan, int qf, size_t y, size_t x, size_t h,
                        size_t w, uint8_t *out, struct vj_jpeg_scratch *scratch,
                        struct vj_error *err)
{
    struct job job;
    struct rect r = {y, x, h, w};
    int rc = start(&job, plan, qf, scratch, err);
    if (!rc)
        rc = check_rect(plan, r, err);
    if (!rc)
        decode_rect(&job, r, out);
    return rc;
}

int vj_jpeg_plan_decode(const struct vj_jpeg_plan *plan, int qf, uint8_t *out,
                        struct vj_jpeg_scratch *scratch, struct vj_error *err)
{
    return vj_jpeg_plan_window(plan, qf, 0, 0, plan->geometry.height, plan->geometry.width, out,
                               scratch, err);
}

/* A negative origin turns into a huge one, which check_rect() refuses alike. */
static struct rect patch_rect(const int32_t origin[2], size_t side)
{
    return (struct rect){(size_t)origin[0], (size_t)origin[1], side, side};
}

/* Copies a window out of the whole picture. */
static void copy_rect(const struct job *job, struct rect r, uint8_t *out)
{
    size_t channels = (size_t)job->plan->geometry.channels;
    const uint8_t *in = job->scratch->pixels + (r.y * job->plan->geometry.width + r.x) * channels;
    for (size_t i = 0; i < r.height; i++)
        memcpy(out + i * r.width * channels, in + i * job->plan->geometry.width * channels,
               r.width * channels);
}

int vj_jpeg_plan_patches(const struct vj_jpeg_plan *plan, int qf, const int32_t (*origin)[2],
                         size_t count, size_t side, uint8_t *out, struct vj_jpeg_scratch *scratch,
                         struct vj_error *err)
{
    const struct vj_jpeg_geometry *g = &plan->geometry;
    struct job job;
    int rc = start(&job, plan, qf, scratch, err);
    for (size_t i = 0; !rc && i < count; i++) {
        rc = check_rect(plan, patch_rect(origin[i], side), err);
        if (rc)
            vj_fail_prefix(err, "patch %zu of %zu", i + 1, count);
    }
    if (rc || !count)
        return rc;
    /* Beyond this, up-sampling and converting every pixel once is less work than every patch. */
    bool whole = count >= g->width * g->height / (side * side) &&
                 g->width * g->height * (size_t)g->channels <= scratch->pixel_capacity;
    if (whole)
        decode_rect(&job, (struct rect){0, 0, g->height, g->width}, scratch->pixels);
    for (size_t i = 0; i < count; i++, out += side * side * (size_t)g->channels) {
        if (whole)
            copy_rect(&job, patch_rect(origin[i], side), out);
        else
            decode_rect(&job, patch_rect(origin[i], side), out);
    }
    return 0;
}
