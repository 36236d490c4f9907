/* SPDX-License-Identifier: MIT */
/*
 * resjnd24: ResJND on a whole picture, in memory that does not grow with its height.
 *
 * r(0) = relu(in(x)), and recursion k makes r(k) = relu(conv2(relu(conv1(r(k-1)))) + r(0)), which
 * is relu(h) of host/resjnd.h; h itself is never needed. The picture is gone through in stripes of
 * STRIPE rows. Recursion k lags 2 k rows behind r(0), because it sees 2 rows further than it makes:
 * all it then lacks of r(k-1) are that one's last KEPT rows of the stripe before, which are kept.
 * Nothing is computed twice but the surroundings of tiles between conv1 and conv2.
 *
 *     r(k)  rows s STRIPE - 2 k      .. + STRIPE    of stripe s
 *     out   rows s STRIPE - RADIUS + 1 .. + STRIPE
 *
 * Rows outside the picture are zeros in every layer, and so are columns: what padding is.
 */
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/onednn.h"
#include "host/resjnd.h"
#include "host/simd.h"

enum {
    SIDE = 32, /* of a tile */
    STRIPE = SIDE,
    KEPT = 4,
    ROWS = STRIPE + KEPT,           /* of a stripe with what was kept before it */
    LAG = 2 * VJ_RESJND_RECURSIONS, /* rows of the last recursion behind the first layer */
    RING = STRIPE + LAG,            /* rows of r(0) in use at once */
    WIDE = SIDE + 2 * 2,
    MIDDLE = SIDE + 2, /* sides of a tile before conv1 and before conv2 */
};

static const char *const variants[] = {"authors", NULL};
static const struct vj_jnd_stage_info stages[] = {
    {"cpl_r", "critical perceptual lossless picture, red, not clipped", "grey level", VJ_JND_PLANE,
     0},
    {"cpl_g", "the same, green", "grey level", VJ_JND_PLANE, 0},
    {"cpl_b", "the same, blue", "grey level", VJ_JND_PLANE, 0},
    {0},
};

struct vj_resjnd {
    size_t width; /* channels */
    struct vj_dnn *dnn;
    struct vj_dnn_op *op[VJ_RESJND_LAYERS];
    size_t scratch; /* bytes that any of them needs */
    char sha256[VJ_SHA256_HEX];
};

/* What each thread works in. */
struct thread {
    float *wide, *middle, *tile; /* [side][side][channels] */
    void *scratch;
    struct vj_dnn_call *call[VJ_RESJND_LAYERS];
};

struct map {
    const struct vj_resjnd *net;
    const struct vj_jnd_job *job;
    size_t width, height, channels;
    size_t row;           /* floats of a row of features: width x channels */
    float *stripe, *next; /* [ROWS] rows: r(k - 1) and r(k) */
    float *kept;          /* [RECURSIONS + 1][KEPT] rows */
    float *first;         /* [RING] rows of r(0), row y at y % RING */
    struct thread *thread;
    int threads;
    ptrdiff_t top; /* picture row of the first row that the layer makes */
};

/* ---- the network ---- */

void vj_resjnd_free(struct vj_resjnd *net)
{
    if (!net)
        return;
    for (int l = 0; l < VJ_RESJND_LAYERS; l++)
        vj_dnn_op_free(net->op[l]);
    vj_dnn_free(net->dnn);
    free(net);
}

const char *vj_resjnd_sha256(const struct vj_resjnd *net)
{
    return net->sha256;
}

static int prepare(struct vj_resjnd *net, const struct vj_resjnd_file *file, struct vj_error *err)
{
    int r = vj_dnn_create(&net->dnn, err);
    for (int l = 0; !r && l < VJ_RESJND_LAYERS; l++) {
        const struct vj_tensor *t = &file->weights.tensors[l];
        size_t side = l == VJ_RESJND_CONV1 ? WIDE : MIDDLE;
        const struct vj_dnn_conv conv = {.name = "resjnd24",
                                         .batch = 1,
                                         .height = side,
                                         .width = side,
                                         .in = t->shape[2],
                                         .out = t->shape[3],
                                         .kernel = 3,
                                         .relu = l == VJ_RESJND_CONV1,
                                         .valid = true,
                                         .src_block = t->shape[2],
                                         .dst_block = t->shape[3]};
        r = vj_dnn_conv_prepare(&net->op[l], net->dnn, &conv, t->data, NULL, err);
        if (!r && vj_dnn_op_scratch_bytes(net->op[l]) > net->scratch)
            net->scratch = vj_dnn_op_scratch_bytes(net->op[l]);
    }
    return r;
}

int vj_resjnd_create(struct vj_resjnd **net, const struct vj_resjnd_file *file,
                     struct vj_error *err)
{
    *net = NULL;
    struct vj_resjnd *n = vj_calloc(1, sizeof(*n));
    if (!n)
        return vj_fail(err, -ENOMEM, "out of memory for the network");
    n->width = file->width;
    memcpy(n->sha256, file->weights.sha256, sizeof(n->sha256));
    /* A primitive keeps the number of threads it was made under. */
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    int r = prepare(n, file, err);
    omp_set_num_threads(threads);
    if (r) {
        vj_resjnd_free(n);
        return r;
    }
    *net = n;
    return 0;
}

/* ---- memory ---- */

static void *take_rows(struct vj_jnd_arena *arena, const struct map *m, size_t rows)
{
    return vj_jnd_take(arena, rows, m->row * sizeof(float));
}

static float *take_tile(struct vj_jnd_arena *arena, size_t side, size_t channels)
{
    return vj_jnd_take(arena, side * side * channels, sizeof(float));
}

/* Lays the memory out, or counts it; a width that overflows is noticed either way. */
static void take(struct map *m, struct vj_jnd_arena *arena, size_t width)
{
    size_t channels = m->net->width < 3 ? 3 : m->net->width; /* tiles hold pictures, too */
    m->width = width;
    m->channels = m->net->width;
    size_t bytes;
    if (!vj_size_mul(width, m->channels * sizeof(float), &bytes)) {
        arena->used = SIZE_MAX;
        return;
    }
    m->row = bytes / sizeof(float);
    m->stripe = take_rows(arena, m, ROWS);
    m->next = take_rows(arena, m, ROWS);
    m->kept = take_rows(arena, m, (VJ_RESJND_RECURSIONS + 1) * KEPT);
    m->first = take_rows(arena, m, RING);
    struct thread *thread = vj_jnd_take(arena, (size_t)m->threads, sizeof(*thread));
    for (int t = 0; t < m->threads; t++) {
        struct thread own = {.wide = take_tile(arena, WIDE, channels),
                             .middle = take_tile(arena, MIDDLE, channels),
                             .tile = take_tile(arena, SIDE, channels),
                             .scratch = vj_jnd_take(arena, m->net->scratch, 1)};
        if (arena->base)
            thread[t] = own;
    }
    m->thread = thread;
}

size_t vj_resjnd_workspace(const struct vj_resjnd *net, size_t width, int threads)
{
    struct vj_jnd_arena count = {0};
    struct map m = {.net = net, .threads = threads};
    take(&m, &count, width);
    return vj_jnd_taken(&count);
}

static int bind(const struct map *m, struct vj_error *err)
{
    int r = 0;
    for (int t = 0; !r && t < m->threads; t++) {
        struct thread *own = &m->thread[t];
        float *const from[VJ_RESJND_LAYERS] = {own->middle, own->wide, own->middle, own->middle};
        float *const to[VJ_RESJND_LAYERS] = {own->tile, own->middle, own->tile, own->tile};
        for (int l = 0; !r && l < VJ_RESJND_LAYERS; l++)
            r = vj_dnn_bind(&own->call[l], m->net->op[l], from[l], NULL, to[l], own->scratch, err);
    }
    return r;
}

static void unbind(const struct map *m)
{
    for (int t = 0; t < m->threads; t++)
        for (int l = 0; l < VJ_RESJND_LAYERS; l++)
            vj_dnn_call_free(m->thread[t].call[l]);
}

/* ---- tiles ---- */

/* The part of a row of n values from column x on that lies in the picture: from `before` on. */
struct part {
    size_t before, count;
    size_t x; /* of its first value */
};

static struct part inside(const struct map *m, ptrdiff_t x, size_t n)
{
    ptrdiff_t first = x < 0 ? 0 : x, end = x + (ptrdiff_t)n, width = (ptrdiff_t)m->width;
    end = end < width ? end : width;
    if (first >= end)
        return (struct part){0, 0, 0};
    return (struct part){(size_t)(first - x), (size_t)(end - first), (size_t)first};
}

static bool is_row(const struct map *m, ptrdiff_t y)
{
    return y >= 0 && y < (ptrdiff_t)m->height;
}

/* Copies side x side pixels of features, zeros beside the picture. rows: the first of them */
static void gather(const struct map *m, const float *rows, ptrdiff_t x, size_t side, float *to)
{
    const size_t c = m->channels;
    const struct part in = inside(m, x, side);
    for (size_t y = 0; y < side; y++, rows += m->row, to += side * c) {
        memset(to, 0, in.before * c * sizeof(*to));
        memcpy(to + in.before * c, rows + in.x * c, in.count * c * sizeof(*to));
        memset(to + (in.before + in.count) * c, 0, (side - in.before - in.count) * c * sizeof(*to));
    }
}

/* The same of the picture's colours, 0..1. */
static void gather_colours(const struct map *m, ptrdiff_t y, ptrdiff_t x, float *to)
{
    const struct vj_image *img = m->job->picture;
    const struct part in = inside(m, x, MIDDLE);
    memset(to, 0, (size_t)MIDDLE * MIDDLE * 3 * sizeof(*to));
    for (size_t r = 0; r < MIDDLE; r++, y++, to += (size_t)MIDDLE * 3) {
        if (!is_row(m, y))
            continue;
        size_t channels = (size_t)img->channels;
        const uint8_t *from = img->data + ((size_t)y * m->width + in.x) * channels;
        for (size_t i = 0; i < in.count; i++)
            for (size_t c = 0; c < 3; c++)
                to[(in.before + i) * 3 + c] =
                    (float)from[i * channels + (channels == 3 ? c : 0)] / 255.0f;
    }
}

/* Zeros where a tile between conv1 and conv2 lies outside the picture. y, x: of its corner */
static void clear_outside(const struct map *m, float *tile, ptrdiff_t y, ptrdiff_t x)
{
    const size_t c = m->channels;
    const struct part in = inside(m, x, MIDDLE);
    for (size_t r = 0; r < MIDDLE; r++, y++, tile += MIDDLE * c) {
        size_t before = is_row(m, y) ? in.before : MIDDLE;
        size_t after = is_row(m, y) ? MIDDLE - in.before - in.count : 0;
        memset(tile, 0, before * c * sizeof(*tile));
        memset(tile + (MIDDLE - after) * c, 0, after * c * sizeof(*tile));
    }
}

VJ_SIMD static void rectify(const float *from, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] > 0 ? from[i] : 0;
}

VJ_SIMD static void add_rectify(const float *from, const float *skip, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++) {
        float sum = from[i] + skip[i];
        to[i] = sum > 0 ? sum : 0;
    }
}

static float *ring_row(const struct map *m, ptrdiff_t y)
{
    return m->first + (size_t)y % RING * m->row;
}

/* Writes a tile of r(0), for the first recursion and into the ring. */
static void store_first(const struct map *m, const float *tile, size_t x)
{
    const size_t c = m->channels, n = inside(m, (ptrdiff_t)x, SIDE).count * c;
    for (size_t r = 0; r < STRIPE; r++, tile += SIDE * c) {
        ptrdiff_t y = m->top + (ptrdiff_t)r;
        float *to = m->next + (KEPT + r) * m->row + x * c;
        if (!is_row(m, y)) {
            memset(to, 0, n * sizeof(*to));
            continue;
        }
        rectify(tile, n, to);
        memcpy(ring_row(m, y) + x * c, to, n * sizeof(*to));
    }
}

static void store(const struct map *m, const float *tile, size_t x)
{
    const size_t c = m->channels, n = inside(m, (ptrdiff_t)x, SIDE).count * c;
    for (size_t r = 0; r < STRIPE; r++, tile += SIDE * c) {
        ptrdiff_t y = m->top + (ptrdiff_t)r;
        float *to = m->next + (KEPT + r) * m->row + x * c;
        if (is_row(m, y))
            add_rectify(tile, ring_row(m, y) + x * c, n, to);
        else
            memset(to, 0, n * sizeof(*to));
    }
}

/* CPL - x is what the last layer gives, so neither is rounded on the way to the map. */
static void store_map(const struct map *m, const float *tile, size_t x)
{
    const struct vj_image *img = m->job->picture;
    const size_t n = inside(m, (ptrdiff_t)x, SIDE).count, channels = (size_t)img->channels;
    for (size_t r = 0; r < STRIPE; r++, tile += (size_t)SIDE * 3) {
        ptrdiff_t y = m->top + (ptrdiff_t)r;
        if (!is_row(m, y))
            continue;
        const uint8_t *colour = img->data + ((size_t)y * m->width + x) * channels;
        float *to = m->job->map + (size_t)y * m->width + x, cpl[3][SIDE];
        for (size_t i = 0; i < n; i++) {
            float red = 255.0f * tile[3 * i], green = 255.0f * tile[3 * i + 1];
            float blue = 255.0f * tile[3 * i + 2];
            to[i] = sqrtf((red * red + green * green + blue * blue) / 3.0f);
            for (size_t c = 0; c < 3; c++)
                cpl[c][i] = 255.0f * tile[3 * i + c] +
                            (float)colour[i * channels + (channels == 3 ? c : 0)];
        }
        for (size_t c = 0; c < 3; c++)
            vj_jnd_stage(m->job, c, (size_t)y, x, cpl[c], n);
    }
}

/* ---- layers ---- */

static int first_tile(const struct map *m, struct thread *own, size_t x, struct vj_error *err)
{
    gather_colours(m, m->top - 1, (ptrdiff_t)x - 1, own->middle);
    int r = vj_dnn_run(own->call[VJ_RESJND_IN], err);
    if (!r)
        store_first(m, own->tile, x);
    return r;
}

static int recursion_tile(const struct map *m, struct thread *own, size_t x, struct vj_error *err)
{
    gather(m, m->stripe, (ptrdiff_t)x - 2, WIDE, own->wide);
    int r = vj_dnn_run(own->call[VJ_RESJND_CONV1], err);
    if (r)
        return r;
    clear_outside(m, own->middle, m->top - 1, (ptrdiff_t)x - 1);
    r = vj_dnn_run(own->call[VJ_RESJND_CONV2], err);
    if (!r)
        store(m, own->tile, x);
    return r;
}

static int last_tile(const struct map *m, struct thread *own, size_t x, struct vj_error *err)
{
    gather(m, m->stripe + (KEPT - 2) * m->row, (ptrdiff_t)x - 1, MIDDLE, own->middle);
    int r = vj_dnn_run(own->call[VJ_RESJND_OUT], err);
    if (!r)
        store_map(m, own->tile, x);
    return r;
}

typedef int tile_function(const struct map *m, struct thread *own, size_t x, struct vj_error *err);

static int run_layer(const struct map *m, tile_function *run, struct vj_error *err)
{
    int failed = 0;
#pragma omp parallel num_threads(m->threads)
    {
        omp_set_num_threads(1); /* of this task only: what the primitives were prepared for */
#pragma omp for schedule(dynamic, 1)
        for (size_t x = 0; x < m->width; x += SIDE) {
            struct vj_error own = {0};
            int r = run(m, &m->thread[omp_get_thread_num()], x, &own);
            if (r)
#pragma omp critical(vj_resjnd_error)
                failed = vj_fail(err, r, "%s", own.text);
        }
    }
    return failed;
}

/* Whether any row that a layer makes, from `top` on, lies in the picture. */
static bool any_row(const struct map *m, ptrdiff_t top)
{
    return top < (ptrdiff_t)m->height && top + STRIPE > 0;
}

static float *kept_rows(const struct map *m, int k)
{
    return m->kept + (size_t)k * KEPT * m->row;
}

/* Makes r(k) of the stripe in `stripe`, which holds r(k - 1) before. */
static int make_features(struct map *m, ptrdiff_t top, int k, struct vj_error *err)
{
    const size_t kept = KEPT * m->row * sizeof(float);
    int r = 0;
    m->top = top - 2 * k;
    memcpy(m->next, kept_rows(m, k), kept);
    if (any_row(m, m->top))
        r = run_layer(m, k == 0 ? first_tile : recursion_tile, err);
    else
        memset(m->next + KEPT * m->row, 0, STRIPE * m->row * sizeof(float));
    memcpy(kept_rows(m, k), m->next + STRIPE * m->row, kept);
    float *made = m->next;
    m->next = m->stripe;
    m->stripe = made;
    return r;
}

static int run_stripe(struct map *m, ptrdiff_t top, struct vj_error *err)
{
    int r = 0;
    for (int k = 0; !r && k <= VJ_RESJND_RECURSIONS; k++)
        r = make_features(m, top, k, err);
    m->top = top - LAG - 1;
    return r || !any_row(m, m->top) ? r : run_layer(m, last_tile, err);
}

int vj_resjnd_map(const struct vj_resjnd *net, const struct vj_jnd_job *job,
                  struct vj_jnd_workspace *ws, struct vj_error *err)
{
    if (!job->picture || job->picture->width != job->width || job->picture->height != job->height)
        return vj_fail(err, -EINVAL,
                       "pixel-JND model resjnd24 sees colours: it needs the picture itself");
    struct map m = {.net = net, .job = job, .height = job->height, .threads = ws->threads};
    take(&m, &ws->arena, job->width);
    memset(m.kept, 0, (VJ_RESJND_RECURSIONS + 1) * KEPT * m.row * sizeof(float));
    int r = bind(&m, err);
    for (ptrdiff_t top = 0; !r && top - LAG - 1 < (ptrdiff_t)m.height; top += STRIPE)
        r = run_stripe(&m, top, err);
    unbind(&m);
    return r;
}

const struct vj_jnd_model vj_jnd_resjnd24 = {
    .name = "resjnd24",
    .reference = "ResJND: Rethinking and conceptualizing just noticeable difference estimation by "
                 "residual learning; github.com/Knife646/ResJND",
    .variants = variants,
    .stages = stages,
    .min_side = 1,
    .needs_weights = true,
};
