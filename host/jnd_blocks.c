/* SPDX-License-Identifier: MIT */
#include "host/jnd_blocks.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "host/checked.h"
#include "host/jnd_math.h"
#include "host/simd.h"

/* --- scratch memory --------------------------------------------------------------------------- */

void *vj_jnd_take(struct vj_jnd_arena *arena, size_t count, size_t size)
{
    size_t bytes, used;
    if (!vj_size_mul(count, size, &bytes) || !vj_size_add(bytes, 63, &bytes) ||
        !vj_size_add(arena->used, bytes / 64 * 64, &used)) {
        arena->used = SIZE_MAX;
        return NULL;
    }
    void *taken = arena->base ? arena->base + arena->used : NULL;
    arena->used = used;
    return taken;
}

size_t vj_jnd_taken(const struct vj_jnd_arena *arena)
{
    return arena->used == SIZE_MAX ? 0 : arena->used;
}

/* --- stages ----------------------------------------------------------------------------------- */

void vj_jnd_stage(const struct vj_jnd_job *job, size_t stage, size_t y, size_t x,
                  const float *values, size_t n)
{
    if (vj_jnd_wants(job, stage))
        memcpy(job->stages[stage] + y * job->width + x, values, n * sizeof(*values));
}

/* --- padded planes ---------------------------------------------------------------------------- */

struct vj_jnd_padded vj_jnd_take_padded(struct vj_jnd_arena *arena, size_t width, size_t height,
                                        size_t pad)
{
    struct vj_jnd_padded plane = {.width = width, .height = height, .pad = pad};
    size_t rows, row_bytes;
    if (!vj_size_add(width, 2 * pad, &plane.stride) || !vj_size_add(height, 2 * pad, &rows) ||
        !vj_size_mul(plane.stride, sizeof(*plane.data), &row_bytes)) {
        arena->used = SIZE_MAX;
        return plane;
    }
    plane.data = vj_jnd_take(arena, rows, row_bytes);
    return plane;
}

/* Which of n samples lies at position i of the border-extended line; -1: a zero. */
static ptrdiff_t inside(ptrdiff_t i, ptrdiff_t n, enum vj_jnd_border border)
{
    if (i >= 0 && i < n)
        return i;
    if (border == VJ_JND_ZERO)
        return -1;
    if (border == VJ_JND_REPLICATE)
        return i < 0 ? 0 : n - 1;
    assert(n > 0);
    ptrdiff_t phase = i % (2 * n);
    if (phase < 0)
        phase += 2 * n;
    return phase < n ? phase : 2 * n - 1 - phase;
}

static void pad_row(struct vj_jnd_padded *plane, const uint8_t *src, enum vj_jnd_border border,
                    ptrdiff_t y)
{
    ptrdiff_t width = (ptrdiff_t)plane->width, pad = (ptrdiff_t)plane->pad;
    ptrdiff_t from = inside(y, (ptrdiff_t)plane->height, border);
    int16_t *row = plane->data + (size_t)(y + pad) * plane->stride + pad;
    if (from < 0) {
        memset(row - pad, 0, plane->stride * sizeof(*row));
        return;
    }
    const uint8_t *line = src + (size_t)from * plane->width;
    for (ptrdiff_t x = 0; x < width; x++)
        row[x] = line[x];
    for (ptrdiff_t k = 1; k <= pad; k++) {
        ptrdiff_t left = inside(-k, width, border), right = inside(width - 1 + k, width, border);
        row[-k] = left < 0 ? 0 : line[left];
        row[width - 1 + k] = right < 0 ? 0 : line[right];
    }
}

void vj_jnd_pad(struct vj_jnd_padded *plane, const uint8_t *src, enum vj_jnd_border border,
                int threads)
{
    ptrdiff_t pad = (ptrdiff_t)plane->pad, end = (ptrdiff_t)plane->height + pad;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (ptrdiff_t y = -pad; y < end; y++)
        pad_row(plane, src, border, y);
}

/* --- integer filters -------------------------------------------------------------------------- */

VJ_SIMD void vj_jnd_background(const int16_t *src, size_t stride, size_t n, uint16_t *out)
{
    assert(n <= VJ_JND_SPAN);
    uint16_t five[VJ_JND_SPAN + 4], three[VJ_JND_SPAN + 4];
    const int16_t *mid = src - 2;
    const int16_t *up = mid - stride, *up2 = up - stride, *down = mid + stride,
                  *down2 = down + stride;
    for (size_t i = 0; i < n + 4; i++) {
        three[i] = (uint16_t)(up[i] + mid[i] + down[i]);
        five[i] = (uint16_t)(three[i] + up2[i] + down2[i]);
    }
    /* The 5x5 sum has every pixel once, the 3x3 sum the inner ring again and the centre twice. */
    for (size_t i = 0; i < n; i++) {
        uint16_t box = (uint16_t)(five[i] + five[i + 1] + five[i + 2] + five[i + 3] + five[i + 4]);
        uint16_t inner = (uint16_t)(three[i + 1] + three[i + 2] + three[i + 3]);
        out[i] = (uint16_t)(box + inner - 2 * src[i]);
    }
}

static inline int16_t max_abs(int16_t a, int16_t b)
{
    int16_t p = (int16_t)(a < 0 ? -a : a), q = (int16_t)(b < 0 ? -b : b);
    return p > q ? p : q;
}

VJ_SIMD void vj_jnd_gradient(const int16_t *src, size_t stride, size_t n, uint16_t *out)
{
    assert(n <= VJ_JND_SPAN);
    const int16_t *up = src - stride, *up2 = up - stride;
    const int16_t *down = src + stride, *down2 = down + stride;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) {
        /* Each operator changes sign when turned by 180 degrees: differences of opposite pixels. */
        int16_t n2 = (int16_t)(up2[i] - down2[i]);
        int16_t n1 = (int16_t)(up[i] - down[i]);
        int16_t w2 = (int16_t)(src[i - 2] - src[i + 2]);
        int16_t w1 = (int16_t)(src[i - 1] - src[i + 1]);
        int16_t nw = (int16_t)(up[i - 1] - down[i + 1]);
        int16_t ne = (int16_t)(up[i + 1] - down[i - 1]);
        int16_t wnw = (int16_t)(up[i - 2] - down[i + 2]);
        int16_t ene = (int16_t)(up[i + 2] - down[i - 2]);
        int16_t nnw = (int16_t)(up2[i - 1] - down2[i + 1]);
        int16_t nne = (int16_t)(up2[i + 1] - down2[i - 1]);

        int16_t g1 = (int16_t)(wnw + ene + 3 * (nw + ne) + 8 * n1);
        int16_t g4 = (int16_t)(nnw - nne + 3 * (nw - ne) + 8 * w1);
        int16_t vertical = (int16_t)(n2 + 3 * n1), horizontal = (int16_t)(w2 + 3 * w1);
        int16_t g2 = (int16_t)(vertical + horizontal + 8 * nw);
        int16_t g3 = (int16_t)(vertical - horizontal + 8 * ne);
        out[i] = (uint16_t)max_abs(max_abs(g1, g4), max_abs(g2, g3));
    }
}

VJ_SIMD static unsigned largest(const uint16_t *values, size_t n)
{
    uint16_t best = 0;
    for (size_t i = 0; i < n; i++)
        best = values[i] > best ? values[i] : best;
    return best;
}

static unsigned row_gradient(const struct vj_jnd_padded *plane, size_t y)
{
    unsigned best = 0;
    uint16_t span[VJ_JND_SPAN];
    size_t end = plane->width - 2;
    for (size_t x = 2; x < end; x += VJ_JND_SPAN) {
        size_t n = end - x < VJ_JND_SPAN ? end - x : VJ_JND_SPAN;
        vj_jnd_gradient(vj_jnd_at(plane, (ptrdiff_t)y, (ptrdiff_t)x), plane->stride, n, span);
        unsigned g = largest(span, n);
        best = g > best ? g : best;
    }
    return best;
}

unsigned vj_jnd_inner_gradient(const struct vj_jnd_padded *plane, int threads)
{
    if (plane->width < 5 || plane->height < 5)
        return 0;
    unsigned best = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(max : best)
    for (size_t y = 2; y < plane->height - 2; y++) {
        unsigned g = row_gradient(plane, y);
        best = g > best ? g : best;
    }
    return best;
}

VJ_SIMD void vj_jnd_variance(const int16_t *src, size_t stride, size_t n, uint32_t *out)
{
    assert(n <= VJ_JND_SPAN);
    int32_t sum[VJ_JND_SPAN + 4], square[VJ_JND_SPAN + 4];
    const int16_t *r2 = src - 2, *r1 = r2 - stride, *r0 = r1 - stride;
    const int16_t *r3 = r2 + stride, *r4 = r3 + stride;
    for (size_t i = 0; i < n + 4; i++) {
        int32_t a = r0[i], b = r1[i], c = r2[i], d = r3[i], e = r4[i];
        sum[i] = a + b + c + d + e;
        square[i] = a * a + b * b + c * c + d * d + e * e;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t s = sum[i] + sum[i + 1] + sum[i + 2] + sum[i + 3] + sum[i + 4];
        int32_t q = square[i] + square[i + 1] + square[i + 2] + square[i + 3] + square[i + 4];
        out[i] = (uint32_t)(25 * q - s * s);
    }
}

VJ_SIMD void vj_jnd_orientation(const int16_t *src, size_t stride, size_t n, uint16_t *out)
{
    assert(n <= VJ_JND_SPAN);
    int32_t sx[VJ_JND_SPAN], sy[VJ_JND_SPAN];
    const int16_t *up = src - stride, *down = src + stride;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) {
        int16_t falling = (int16_t)(down[i + 1] - up[i - 1]);
        int16_t rising = (int16_t)(up[i + 1] - down[i - 1]);
        sx[i] = (int16_t)(falling + rising + src[i + 1] - src[i - 1]);
        sy[i] = (int16_t)(falling - rising + down[i] - up[i]);
    }
    /* Bit 16, "no structure", falls off the end of the 16 bits. */
    for (size_t i = 0; i < n; i++)
        out[i] = (uint16_t)(1u << vj_jnd_epc_bin(sx[i], sy[i]));
}

static inline uint16_t count_bits(uint16_t v)
{
    v = (uint16_t)(v - ((v >> 1) & 0x5555));
    v = (uint16_t)((v & 0x3333) + ((v >> 2) & 0x3333));
    v = (uint16_t)((v + (v >> 4)) & 0x0F0F);
    return (uint16_t)((v + (v >> 8)) & 0x1F);
}

VJ_SIMD void vj_jnd_distinct(const uint16_t *bits, size_t stride, size_t n, uint8_t *out)
{
    assert(n <= VJ_JND_SPAN);
    uint16_t any[VJ_JND_SPAN + 2], none[VJ_JND_SPAN + 2];
    const uint16_t *mid = bits - 1, *up = mid - stride, *down = mid + stride;
    for (size_t i = 0; i < n + 2; i++) {
        any[i] = (uint16_t)(up[i] | mid[i] | down[i]);
        none[i] = (uint16_t)((up[i] == 0) | (mid[i] == 0) | (down[i] == 0));
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t bins = count_bits((uint16_t)(any[i] | any[i + 1] | any[i + 2]));
        uint16_t unstructured = (uint16_t)(none[i] | none[i + 1] | none[i + 2]);
        out[i] = (uint8_t)(bits[i] ? bins + unstructured : 1);
    }
}

VJ_SIMD void vj_jnd_occupied(const uint16_t *bits, size_t stride, size_t n, uint8_t *out)
{
    assert(n <= VJ_JND_SPAN);
    uint16_t any[VJ_JND_SPAN + 2];
    const uint16_t *mid = bits - 1, *up = mid - stride, *down = mid + stride;
    for (size_t i = 0; i < n + 2; i++)
        any[i] = (uint16_t)(up[i] | mid[i] | down[i]);
    for (size_t i = 0; i < n; i++) {
        uint16_t bins = (uint16_t)(any[i] | any[i + 1] | any[i + 2]);
        out[i] = (uint8_t)count_bits((uint16_t)((bins | bins >> 15) & 0x7FFF));
    }
}

/* --- Gaussian smoothing ----------------------------------------------------------------------- */

struct vj_jnd_gaussian vj_jnd_gaussian(size_t size, double sigma)
{
    struct vj_jnd_gaussian g = {.radius = size / 2};
    assert(g.radius <= VJ_JND_RADIUS_MAX);
    double taps[VJ_JND_RADIUS_MAX + 1], sum = 0;
    for (size_t k = 0; k <= g.radius; k++) {
        taps[k] = exp(-(double)(k * k) / (2 * sigma * sigma));
        sum += k ? 2 * taps[k] : taps[k];
    }
    for (size_t k = 0; k <= g.radius; k++)
        g.taps[k] = (float)(taps[k] / sum);
    return g;
}

VJ_SIMD static void add_scaled(float *sum, const uint8_t *src, size_t n, float scale, float offset)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += scale * (float)src[i] + offset;
}

/* line: n + 2 radius values */
VJ_SIMD static void convolve_span(const float *line, size_t n, const struct vj_jnd_gaussian *g,
                                  float *out)
{
    const float *centre = line + g->radius;
    for (size_t i = 0; i < n; i++)
        out[i] = g->taps[0] * centre[i];
    for (size_t k = 1; k <= g->radius; k++) {
        const float *before = centre - k, *after = centre + k;
        float tap = g->taps[k];
        for (size_t i = 0; i < n; i++)
            out[i] += tap * (before[i] + after[i]);
    }
}

void vj_jnd_smooth(const uint8_t *src, size_t width, size_t height, size_t y, size_t x, size_t n,
                   const struct vj_jnd_gaussian *gaussian, float scale, float offset, float *out)
{
    assert(n <= VJ_JND_SPAN);
    size_t radius = gaussian->radius;
    float line[VJ_JND_SPAN + 2 * VJ_JND_RADIUS_MAX] = {0};
    size_t left = x < radius ? 0 : x - radius;
    size_t right = width - (x + n) < radius ? width : x + n + radius;
    float *first = line + (radius + left - x);
    for (size_t k = 0; k <= 2 * radius; k++) {
        if (y + k < radius || y + k - radius >= height)
            continue;
        size_t distance = k < radius ? radius - k : k - radius;
        float tap = gaussian->taps[distance];
        add_scaled(first, src + (y + k - radius) * width + left, right - left, tap * scale,
                   tap * offset);
    }
    convolve_span(line, n, gaussian, out);
}

/* --- dilation and edge weight ----------------------------------------------------------------- */

const struct vj_jnd_shape vj_jnd_square5 = {2, {2, 2, 2}};
const struct vj_jnd_shape vj_jnd_diamond5 = {2, {2, 1, 0}};
const struct vj_jnd_shape vj_jnd_square11 = {5, {5, 5, 5, 5, 5, 5}};

const struct vj_jnd_edge_weight vj_jnd_weight_yang = {&vj_jnd_square11, 0.95f, 7, 0.8};
const struct vj_jnd_edge_weight vj_jnd_weight_fep = {&vj_jnd_diamond5, 0.8f, 5, 0.8};
const struct vj_jnd_edge_weight vj_jnd_weight_epc = {&vj_jnd_square5, 1.0f, 5, 0.8};

VJ_SIMD static void or_into(uint8_t *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] |= src[i];
}

/* ORs rows y +- k whose reach is `reach` into line, then line shifted by up to `reach` into out. */
static void dilate_reach(const uint8_t *src, size_t width, size_t height, size_t y, size_t x,
                         size_t n, const struct vj_jnd_shape *shape, size_t reach, uint8_t *out)
{
    uint8_t line[VJ_JND_SPAN + 2 * VJ_JND_RADIUS_MAX] = {0};
    size_t left = x < reach ? 0 : x - reach;
    size_t right = width - (x + n) < reach ? width : x + n + reach;
    uint8_t *first = line + (reach + left - x);
    for (size_t k = 0; k <= shape->radius; k++) {
        if (shape->reach[k] != reach)
            continue;
        if (y >= k)
            or_into(first, src + (y - k) * width + left, right - left);
        if (k && height - y > k)
            or_into(first, src + (y + k) * width + left, right - left);
    }
    for (size_t shift = 0; shift <= 2 * reach; shift++)
        or_into(out, line + shift, n);
}

void vj_jnd_dilate(const uint8_t *src, size_t width, size_t height, size_t y,
                   const struct vj_jnd_shape *shape, uint8_t *out)
{
    memset(out, 0, width);
    for (size_t x = 0; x < width; x += VJ_JND_SPAN) {
        size_t n = width - x < VJ_JND_SPAN ? width - x : VJ_JND_SPAN;
        for (size_t k = 0; k <= shape->radius; k++)
            if (k == 0 || shape->reach[k] != shape->reach[k - 1])
                dilate_reach(src, width, height, y, x, n, shape, shape->reach[k], out + x);
    }
}

double vj_jnd_edge_threshold(unsigned inner_gradient)
{
    double threshold = inner_gradient ? 60.0 * 16.0 / inner_gradient : 0.8;
    return threshold < 0.8 ? threshold : 0.8;
}
