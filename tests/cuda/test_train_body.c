/* SPDX-License-Identifier: MIT */
/*
 * Kernels of the training step on the CPU (tests/cuda/emulate_cuda.h): every way back against
 * differences of its way forward, which is written down here in double, one number at a time.
 */
#include "tests/cuda/train_slopes.h"

#include "cuda/net_kernels.h"
#include "host/net_fold.h"
#include "host/weights.h"
#include "tests/cuda/emulate_memory.h"

/* ---- blocks 1..3 ---- */

struct block {
    struct vj_cuda_net_pool_shape shape;
    size_t rows, units, map, pooled;
    float *z, *h, *gradient; /* before and after relu; at the output */
    float *weights[4];       /* mlp_0 kernel, bias, mlp_1 kernel, bias */
    size_t counts[4];
    float *sums, *peaks, *scale, *max; /* forward kernels' */
    int varied;                        /* which of weights an objective varies; -1: z */
};

/* As the training step has it. */
static struct vj_cuda_net_plan block_plan(int side, int channels, size_t rows)
{
    const struct vj_net_shape shape = {
        VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, side, 1, {channels, 16, 16, 16}};
    struct vj_cuda_net_plan plan;
    assert_int_equal(vj_cuda_net_plan_make(&plan, &shape, rows, VJ_CUDA_FP32, NULL), 0);
    vj_cuda_net_plan_every_map(&plan);
    return plan;
}

/* The forward kernels, which have tests of their own. */
static void block_forward(struct block *b)
{
    const struct vj_cuda_net_plan plan = block_plan(b->shape.side, b->shape.channels, b->rows);
    const struct vj_cuda_net_attention attention = {b->weights[0], b->weights[1], b->weights[2],
                                                    b->weights[3]};
    launched(vj_cuda_net_pool(&plan, 0, NULL, b->h, b->max, b->sums, b->peaks, NULL));
    launched(vj_cuda_net_attend(&plan, 0, NULL, &attention, b->sums, b->peaks, b->scale));
}

static struct block block_make(int side, int channels, size_t rows)
{
    struct block b = {
        .shape = block_plan(side, channels, rows).pool[0], .rows = rows, .varied = -1};
    const size_t c = (size_t)channels, half = (size_t)side / 2;
    const size_t parts = rows * (size_t)b.shape.blocks * c;
    b.units = c / 16;
    b.map = rows * (size_t)side * (size_t)side * c;
    b.pooled = rows * half * half * c;
    const size_t counts[4] = {c * b.units, b.units, b.units * c, c};
    memcpy(b.counts, counts, sizeof(counts));
    for (int i = 0; i < 4; i++)
        b.weights[i] = noise(counts[i], 10 + (uint32_t)i, -0.4f, 0.5f);
    b.z = noise(b.map, 1, -0.5f, 1.0f);
    b.h = noise(b.map, 1, -0.5f, 1.0f);
    for (size_t i = 0; i < b.map; i++)
        b.h[i] = vj_cuda_net_relu(b.h[i]);
    b.gradient = noise(b.pooled, 2, -1.0f, 1.0f);
    b.sums = rubbish(parts, sizeof(float));
    b.peaks = rubbish(parts, sizeof(float));
    b.scale = rubbish(rows * c, sizeof(float));
    b.max = rubbish(b.pooled, sizeof(float));
    block_forward(&b);
    return b;
}

static void block_free(struct block *b)
{
    void *const all[] = {b->z,          b->h,          b->gradient,   b->weights[0],
                         b->weights[1], b->weights[2], b->weights[3], b->sums,
                         b->peaks,      b->scale,      b->max};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

/* mlp of channel attention, added onto logit. */
static void mlp(size_t c, size_t units, const double *const w[4], const double *in, double *logit)
{
    for (size_t o = 0; o < c; o++)
        logit[o] += w[3][o];
    for (size_t u = 0; u < units; u++) {
        double sum = w[1][u];
        for (size_t i = 0; i < c; i++)
            sum += in[i] * w[0][i * units + u];
        for (size_t o = 0; o < c && sum > 0; o++)
            logit[o] += sum * w[2][u * c + o];
    }
}

/* One patch: out = maxpool(relu(z)) * sigmoid(mlp(mean) + mlp(max)) */
static void block_row(const struct block *b, const double *z, const double *const w[4], double *out)
{
    const size_t c = (size_t)b->shape.channels, side = (size_t)b->shape.side, half = side / 2;
    double *mean = calloc(3 * c, sizeof(*mean)), *max = mean + c, *logit = max + c;
    for (size_t i = 0; i < side * side * c; i++) {
        const double h = fmax(z[i], 0);
        mean[i % c] += h / (double)(side * side);
        max[i % c] = fmax(max[i % c], h);
    }
    mlp(c, b->units, w, mean, logit);
    mlp(c, b->units, w, max, logit);
    for (size_t p = 0; p < half * half; p++)
        for (size_t k = 0; k < c; k++) {
            double top = 0;
            for (size_t d = 0; d < 4; d++) {
                const size_t y = 2 * (p / half) + d / 2, x = 2 * (p % half) + d % 2;
                top = fmax(top, z[(y * side + x) * c + k]);
            }
            out[p * c + k] = top / (1 + exp(-logit[k]));
        }
    free(mean);
}

static double block_objective(const double *x, const void *user)
{
    const struct block *b = user;
    double *z = malloc(b->map * sizeof(*z)), *out = malloc(b->pooled * sizeof(*out));
    double *copy[4];
    const double *w[4];
    for (int i = 0; i < 4; i++) {
        copy[i] = malloc(b->counts[i] * sizeof(double));
        for (size_t k = 0; k < b->counts[i]; k++)
            copy[i][k] = (double)b->weights[i][k];
        w[i] = i == b->varied ? x : copy[i];
    }
    for (size_t i = 0; i < b->map; i++)
        z[i] = b->varied < 0 ? x[i] : (double)b->z[i];
    for (size_t row = 0; row < b->rows; row++)
        block_row(b, z + row * (b->map / b->rows), w, out + row * (b->pooled / b->rows));
    const double loss = inner(out, b->gradient, b->pooled);
    for (int i = 0; i < 4; i++)
        free(copy[i]);
    free(z);
    free(out);
    return loss;
}

/* What the kernels of a block give. */
struct block_back {
    float *map, *weights[4];
};

static struct block_back block_back(const struct block *b)
{
    const size_t c = (size_t)b->shape.channels, parts = b->rows * (size_t)b->shape.blocks * c;
    struct block_back back = {.map = rubbish(b->map, sizeof(float))};
    memcpy(back.map, b->h, b->map * sizeof(float));
    for (int i = 0; i < 4; i++)
        back.weights[i] = zeros(b->counts[i]);
    float *scale_parts = rubbish(parts, sizeof(float));
    uint32_t *peak_parts = rubbish(parts, sizeof(uint32_t));
    uint32_t *peak = rubbish(b->rows * c, sizeof(uint32_t));
    const struct vj_cuda_train_units units = {
        rubbish(2 * b->rows * c, sizeof(float)), rubbish(2 * b->rows * c, sizeof(float)),
        rubbish(b->rows * c, sizeof(float)), rubbish(2 * b->rows * b->units, sizeof(float)),
        rubbish(2 * b->rows * b->units, sizeof(float))};
    const struct vj_cuda_train_gather_job gather = {b->shape, back.map, b->gradient, scale_parts,
                                                    peak_parts};
    const struct vj_cuda_train_attend_job attend = {
        {b->shape,
         {b->weights[0], b->weights[1], b->weights[2], b->weights[3]},
         b->sums,
         b->peaks,
         b->scale},
        scale_parts,
        peak_parts,
        units,
        peak};
    const struct vj_cuda_train_mlp_job of_mlp = {
        units,
        {back.weights[0], back.weights[1], back.weights[2], back.weights[3]},
        b->rows,
        c,
        2 * c * b->units + b->units + c};
    const struct vj_cuda_train_scatter_job scatter = {
        back.map, b->gradient,           b->scale, units.in_gradient,
        peak,     (size_t)b->shape.side, c,        b->pooled / 4};
    launched(vj_cuda_train_gather_launch(NULL, &gather, b->rows));
    launched(vj_cuda_train_attend_launch(NULL, &attend, b->rows));
    launched(vj_cuda_train_mlp_launch(NULL, &of_mlp));
    launched(vj_cuda_train_scatter_launch(NULL, &scatter));
    void *const all[] = {scale_parts,  peak_parts,           peak,
                         units.in,     units.in_gradient,    units.logit_gradient,
                         units.hidden, units.hidden_gradient};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    return back;
}

static void block_back_free(struct block_back *back)
{
    free(back->map);
    for (int i = 0; i < 4; i++)
        free(back->weights[i]);
}

/* Slopes where the largest h of a patch and channel is, which attention's maximum sees. */
static void compare_peaks(struct block *b, const struct block_back *back)
{
    const size_t c = (size_t)b->shape.channels, row = b->map / b->rows;
    size_t top = 0;
    for (size_t i = 0; i < row; i += c)
        if (b->z[i] > b->z[top])
            top = i;
    double *x = malloc(b->map * sizeof(*x));
    for (size_t i = 0; i < b->map; i++)
        x[i] = (double)b->z[i];
    const double step = 1e-6, value = x[top];
    x[top] = value + step;
    const double up = block_objective(x, b);
    x[top] = value - step;
    const double slope = (up - block_objective(x, b)) / (2 * step);
    assert_true(fabs((double)back->map[top] - slope) <= limit * fabs(slope));
    free(x);
}

static void attention_and_pooling_pass_the_slopes_of_their_forms(void **state)
{
    (void)state;
    static const struct {
        int side, channels;
        size_t rows;
    } list[] = {{16, 16, 2}, {64, 48, 2}, {32, 32, 3}, {16, 320, 2}}; /* more than threads */
    static const char *const names[4] = {"mlp_0 kernel", "mlp_0 bias", "mlp_1 kernel",
                                         "mlp_1 bias"};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct block b = block_make(list[i].side, list[i].channels, list[i].rows);
        struct block_back back = block_back(&b);
        compare_slopes("map", block_objective, &b, b.z, b.map, back.map, 12);
        compare_peaks(&b, &back);
        for (b.varied = 0; b.varied < 4; b.varied++)
            compare_slopes(names[b.varied], block_objective, &b, b.weights[b.varied],
                           b.counts[b.varied], back.weights[b.varied], 3);
        IN_SEVERAL_ORDERS
        {
            struct block_back again = block_back(&b);
            assert_memory_equal(again.map, back.map, b.map * sizeof(float));
            for (int k = 0; k < 4; k++)
                assert_memory_equal(again.weights[k], back.weights[k], b.counts[k] * sizeof(float));
            block_back_free(&again);
        }
        block_back_free(&back);
        block_free(&b);
    }
}

/* All pixels alike: everything goes to the first, and to none where relu was at 0. */
static void of_equal_maxima_the_first_in_row_major_order_has_the_gradient(void **state)
{
    (void)state;
    enum { SIDE = 64, C = 48 };
    struct block b = block_make(SIDE, C, 1);
    for (size_t i = 0; i < b.map; i++)
        b.h[i] = i % C == 7 ? 0.0f : 0.25f;
    block_forward(&b);
    IN_SEVERAL_ORDERS
    {
        struct block_back back = block_back(&b);
        const float *m = back.map;
        for (size_t k = 0; k < C; k++) {
            const size_t last = (SIDE * SIDE - 1) * C + k; /* no maximum's first place */
            const float mean = m[last], at_first = m[k], at_second = m[2 * C + k];
            if (k == 7) {
                for (size_t p = 0; p < (size_t)SIDE * SIDE; p++)
                    assert_true(m[p * C + k] == 0.0f);
                continue;
            }
            const float of_window = b.scale[k] * b.gradient[k];
            const float of_second = b.scale[k] * b.gradient[C + k];
            assert_true(fabsf(at_second - (mean + of_second)) <= 1e-6f);
            assert_true(fabsf(at_first - (mean + of_window)) > 1e-3f); /* the patch's maximum */
            assert_true(m[C + k] == mean && m[SIDE * C + k] == mean);
        }
        block_back_free(&back);
    }
    block_free(&b);
}

/* ---- blocks without attention ---- */

/* Of a block of pw-jnd, as far as its kernels read it; sides and channels of any number. */
static struct vj_cuda_net_plan plain_plan(int side, int channels, size_t rows,
                                          enum vj_cuda_precision precision)
{
    struct vj_cuda_net_plan plan = {
        .form = vj_net_form(VJ_VARIANT_PW_JND), .precision = precision, .rows = rows};
    plan.conv[0] = plan.conv[1] = (struct vj_cuda_net_conv){.side = side, .out = channels};
    return plan;
}

struct plain_block {
    size_t rows, side, c;
    const float *gradient;
};

/* x: before relu */
static double plain_block_objective(const double *x, const void *user)
{
    const struct plain_block *b = user;
    const size_t half = b->side / 2;
    double loss = 0;
    for (size_t i = 0; i < b->rows * half * half * b->c; i++) {
        const size_t k = i % b->c, pixel = i / b->c, row = pixel / (half * half);
        double top = 0;
        for (size_t d = 0; d < 4; d++) {
            const size_t at = (row * b->side + 2 * (pixel / half % half) + d / 2) * b->side +
                              2 * (pixel % half) + d % 2;
            top = fmax(top, x[at * b->c + k]);
        }
        loss += top * (double)b->gradient[i];
    }
    return loss;
}

static void pooling_without_attention_passes_its_slopes(void **state)
{
    (void)state;
    enum { ROWS = 3, SIDE = 6, C = 20, COUNT = ROWS * SIDE * SIDE * C };
    float *z = noise(COUNT, 1, -1, 0.5f), *gradient = noise(COUNT / 4, 2, -1, 1);
    const struct plain_block b = {ROWS, SIDE, C, gradient};
    const struct vj_cuda_net_plan plan = plain_plan(SIDE, C, ROWS, VJ_CUDA_FP32);
    for (size_t k = 0; k < 4; k++) /* a window that relu has closed */
        z[((k / 2) * SIDE + k % 2) * C + 3] = -0.5f;
    IN_SEVERAL_ORDERS
    {
        float *map = rubbish(COUNT, sizeof(float)), *pooled = rubbish(COUNT / 4, sizeof(float));
        int flags[ROWS] = {0};
        for (size_t i = 0; i < COUNT; i++)
            map[i] = z[i] > 0 ? z[i] : 0;
        const struct vj_cuda_train_spread_job back = {map, gradient, SIDE, C, COUNT / 16};
        launched(vj_cuda_net_halve(&plan, 0, NULL, map, pooled, flags));
        double *before = calloc(COUNT, sizeof(*before));
        for (size_t i = 0; i < COUNT; i++)
            before[i] = (double)z[i];
        const double want = plain_block_objective(before, &b);
        double have = 0;
        for (size_t i = 0; i < COUNT / 4; i++)
            have += (double)pooled[i] * (double)gradient[i];
        assert_true(fabs(have - want) <= 1e-5);
        assert_true(pooled[3] == 0);
        launched(vj_cuda_train_spread_launch(NULL, &back));
        compare_slopes("plain pooling", plain_block_objective, &b, z, COUNT, map, 60);
        for (size_t k = 0; k < 4; k++)
            assert_true(map[((k / 2) * SIDE + k % 2) * C + 3] == 0);
        free(before);
        free(map);
        free(pooled);
    }
    free(z);
    free(gradient);
}

/* Equal maxima: the first has the gradient. A NaN stays one, and halves beyond their range show. */
static void pooling_without_attention_takes_the_first_maximum_and_loses_nothing(void **state)
{
    (void)state;
    enum { C = 4, HALVES = 8 }; /* channels */
    float map[4 * C] = {1, 2, 0, 5, 3, 2, 0, NAN, 3, 1, 0, 7, 3, 2, 0, 7}, pooled[C];
    const float gradient[C] = {10, 20, 30, 40};
    static const float want[4 * C] = {0, 20, 0, 0, 10, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0};
    uint16_t halves[2 * 4 * HALVES], half_pooled[2 * HALVES];
    int flags[2] = {0, 0};
    const struct vj_cuda_net_plan plan = plain_plan(2, C, 1, VJ_CUDA_FP32);
    const struct vj_cuda_net_plan of_halves = plain_plan(2, HALVES, 2, VJ_CUDA_FP16);
    launched(vj_cuda_net_halve(&plan, 0, NULL, map, pooled, flags));
    assert_true(pooled[0] == 3 && pooled[1] == 2 && pooled[2] == 0 && isnan(pooled[3]));
    assert_int_equal(flags[0], 0);
    map[7] = 7;
    const struct vj_cuda_train_spread_job back = {map, gradient, 2, C, 1};
    launched(vj_cuda_train_spread_launch(NULL, &back));
    for (size_t i = 0; i < 4 * C; i++)
        assert_true(map[i] == want[i]);
    for (size_t i = 0; i < 2 * 4 * HALVES; i++)
        halves[i] = vj_cuda_net_half_bits(i == 4 * HALVES + 9 ? 70000.0f : (float)i);
    launched(vj_cuda_net_halve(&of_halves, 0, NULL, halves, half_pooled, flags));
    assert_true(flags[0] == 0 && flags[1] != 0);
    assert_true(vj_cuda_net_half_value(half_pooled[2]) == 26.0f);
    flags[1] = 0;
    launched(vj_cuda_net_check(&of_halves, 0, NULL, halves, flags));
    assert_true(flags[0] == 0 && flags[1] != 0);
}

/* ---- behind conv4 ---- */

struct join {
    size_t rows, side, c, padded;
    const float *tokens, *attended, *gradient;
};

/* x: tokens; attended held */
static double join_objective(const double *x, const void *user)
{
    const struct join *j = user;
    const size_t half = j->side / 2;
    double loss = 0;
    for (size_t i = 0; i < j->rows * half * half * j->c; i++) {
        const size_t k = i % j->c, pixel = i / j->c, row = pixel / (half * half);
        double top = -INFINITY;
        for (size_t d = 0; d < 4; d++) {
            const size_t at = (row * j->side + 2 * (pixel / half % half) + d / 2) * j->side +
                              2 * (pixel % half) + d % 2;
            top = fmax(top, x[at * j->padded + k] + (double)j->attended[at * j->c + k]);
        }
        loss += top * (double)j->gradient[i];
    }
    return loss;
}

static void the_last_pooling_passes_its_slopes_and_leaves_padding_alone(void **state)
{
    (void)state;
    enum { ROWS = 2, SIDE = 6, C = 21, PADDED = 24, PIXELS = ROWS * SIDE * SIDE };
    float *tokens = noise(PIXELS * PADDED, 1, 0, 1), *attended = noise(PIXELS * C, 2, -1, 1);
    float *gradient = noise(PIXELS / 4 * C, 3, -1, 1);
    const struct join j = {ROWS, SIDE, C, PADDED, tokens, attended, gradient};
    IN_SEVERAL_ORDERS
    {
        float *joined = rubbish(PIXELS * PADDED, sizeof(float));
        const struct vj_cuda_train_unjoin_job job = {
            tokens, attended, gradient, joined, SIDE, C, (size_t)PADDED, PIXELS / 4 * C};
        launched(vj_cuda_train_unjoin_launch(NULL, &job));
        for (size_t i = 0; i < PIXELS * PADDED; i++) {
            assert_true((i % PADDED >= C) == (joined[i] != joined[i])); /* NaN as before */
            if (i % PADDED >= C)
                joined[i] = 0;
        }
        compare_slopes("joined", join_objective, &j, tokens, PIXELS * PADDED, joined, 40);
        const struct vj_cuda_train_mask_job mask = {tokens, joined, joined, PIXELS * PADDED / 4};
        tokens[5] = 0;
        joined[5] = 1;
        joined[6] = NAN;
        tokens[6] = 0;
        launched(vj_cuda_train_mask_launch(NULL, &mask));
        assert_true(joined[5] == 0 && joined[6] == 0 && tokens[7] > 0);
        free(joined);
    }
    free(tokens);
    free(attended);
    free(gradient);
}

/* Of equal sums the first in row-major order; the two parts of which each is made may differ. */
static void of_equal_sums_the_first_has_the_gradient(void **state)
{
    (void)state;
    enum { C = 4 };
    const float tokens[4 * C] = {1, 0, 2, 1, 1, 3, 1, 1, 1, 2, 3, 1, 1, 1, 0, 1};
    const float attended[4 * C] = {1, -2, 1, 0, 1, 0, 2, 1, 1, 1, -3, 0, 1, 2, 3, 1};
    const float gradient[C] = {10, 20, 30, 40};
    static const float want[4 * C] = {10, 0, 30, 0, 0, 20, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0};
    float joined[4 * C];
    const struct vj_cuda_train_unjoin_job job = {tokens, attended, gradient, joined, 2, C, C, C};
    launched(vj_cuda_train_unjoin_launch(NULL, &job));
    for (size_t i = 0; i < 4 * C; i++)
        assert_true(joined[i] == want[i]);
}

struct statistics {
    size_t positions, c;
    const float *gradient;
};

/* One patch. */
static double statistics_objective(const double *x, const void *user)
{
    const struct statistics *s = user;
    double loss = 0;
    for (size_t k = 0; k < s->c; k++) {
        double mean = 0, square = 0;
        for (size_t p = 0; p < s->positions; p++)
            mean += x[p * s->c + k] / (double)s->positions;
        for (size_t p = 0; p < s->positions; p++)
            square += pow(x[p * s->c + k] - mean, 2) / (double)s->positions;
        loss += mean * (double)s->gradient[k] + sqrt(square + 1e-6) * (double)s->gradient[s->c + k];
    }
    return loss;
}

static void mean_and_deviation_pass_their_slopes(void **state)
{
    (void)state;
    enum { ROWS = 3, POSITIONS = 9, C = 21, ROW = POSITIONS * C };
    float *last = noise(ROWS * ROW, 1, -1, 2), *gradient = noise(ROWS * 2 * C, 2, -1, 1);
    float *features = rubbish(ROWS * 2 * C, sizeof(float)),
          *out = rubbish(ROWS * ROW, sizeof(float));
    for (size_t p = 0; p < POSITIONS; p++)
        last[p * C + 4] = 0.75f; /* no deviation */
    struct vj_cuda_net_plan plan = {.rows = ROWS, .positions = 4 * POSITIONS};
    const struct vj_cuda_train_deviation_job job = {last,      features, gradient, out,
                                                    POSITIONS, C,        ROWS * C};
    plan.shape.channels[3] = C;
    launched(vj_cuda_net_statistics(&plan, NULL, last, features));
    IN_SEVERAL_ORDERS
    launched(vj_cuda_train_deviation_launch(NULL, &job));
    for (size_t row = 0; row < ROWS; row++) {
        const struct statistics s = {POSITIONS, C, gradient + row * 2 * C};
        compare_slopes("statistics", statistics_objective, &s, last + row * ROW, ROW,
                       out + row * ROW, 30);
    }
    free(last);
    free(gradient);
    free(features);
    free(out);
}

struct softmax {
    size_t n;
    const float *gradient;
};

static double softmax_objective(const double *x, const void *user)
{
    const struct softmax *s = user;
    double top = -INFINITY, sum = 0, loss = 0;
    for (size_t i = 0; i < s->n; i++)
        top = fmax(top, x[i]);
    for (size_t i = 0; i < s->n; i++)
        sum += exp(x[i] - top);
    for (size_t i = 0; i < s->n; i++)
        loss += exp(x[i] - top) / sum * (double)s->gradient[i];
    return loss;
}

static void softmax_passes_its_slopes(void **state)
{
    (void)state;
    static const size_t sizes[] = {4, 36, 64, 100};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const size_t n = sizes[i], rows = 2 * n + 1;
        float *x = noise(rows * n, 1, -3, 3), *gradient = noise(rows * n, 2, -1, 1);
        float *chances = rubbish(rows * n, sizeof(float)), *first = NULL;
        for (size_t row = 0; row < rows; row++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += exp((double)x[row * n + k]);
            for (size_t k = 0; k < n; k++)
                chances[row * n + k] = (float)(exp((double)x[row * n + k]) / sum);
        }
        IN_SEVERAL_ORDERS
        {
            float *back = rubbish(rows * n, sizeof(float));
            memcpy(back, gradient, rows * n * sizeof(float));
            const struct vj_cuda_train_softmax_job job = {chances, back, rows, n};
            launched(vj_cuda_train_softmax_launch(NULL, &job));
            if (first)
                assert_memory_equal(first, back, rows * n * sizeof(float));
            else
                first = back;
            if (first != back)
                free(back);
        }
        for (size_t row = 0; row < rows; row += rows - 1) {
            const struct softmax s = {n, gradient + row * n};
            compare_slopes("softmax", softmax_objective, &s, x + row * n, n, first + row * n, n);
        }
        free(x);
        free(gradient);
        free(chances);
        free(first);
    }
}

static void columns_are_added_up_in_one_order(void **state)
{
    (void)state;
    enum { AROUND = 16 };
    static const size_t list[][3] = {{1, 5, 5},        {700, 16, 16},   {5000, 21, 24},
                                     {300, 512, 1024}, {40000, 48, 48}, {65, 600, 600}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const size_t rows = list[i][0], columns = list[i][1], ld = list[i][2];
        float *x = noise(rows * ld, (uint32_t)i, -1, 1), *first = NULL;
        struct vj_cuda_train_columns_job job = {.x = x};
        vj_cuda_train_columns_make(&job.shape, rows, columns, ld);
        IN_SEVERAL_ORDERS
        {
            float *to = noise(columns, 9, -1, 1);
            const size_t count = job.shape.parts * columns;
            float *memory = rubbish(count + 2 * AROUND, sizeof(float));
            job.parts = memory + AROUND;
            launched(vj_cuda_train_columns_launch(NULL, &job));
            const struct vj_cuda_train_add_job add = {job.parts, to, job.shape.parts, columns};
            launched(vj_cuda_train_add_launch(NULL, &add));
            for (size_t k = 0; k < AROUND; k++)
                assert_true(isnan(memory[k]) && isnan(job.parts[count + k]));
            free(memory);
            if (first)
                assert_memory_equal(first, to, columns * sizeof(float));
            else
                first = to;
            if (first != to)
                free(to);
        }
        float *before = noise(columns, 9, -1, 1);
        for (size_t c = 0; c < columns; c++) {
            double sum = (double)before[c];
            for (size_t row = 0; row < rows; row++)
                sum += (double)x[row * ld + c];
            assert_true(fabs((double)first[c] - sum) <= 1e-6 * sqrt((double)rows) + 1e-6);
        }
        free(before);
        free(first);
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_and_pooling_pass_the_slopes_of_their_forms),
        cmocka_unit_test(of_equal_maxima_the_first_in_row_major_order_has_the_gradient),
        cmocka_unit_test(pooling_without_attention_passes_its_slopes),
        cmocka_unit_test(pooling_without_attention_takes_the_first_maximum_and_loses_nothing),
        cmocka_unit_test(the_last_pooling_passes_its_slopes_and_leaves_padding_alone),
        cmocka_unit_test(of_equal_sums_the_first_has_the_gradient),
        cmocka_unit_test(mean_and_deviation_pass_their_slopes),
        cmocka_unit_test(softmax_passes_its_slopes),
        cmocka_unit_test(columns_are_added_up_in_one_order),
    };
    vj_emulate_checks_arguments = false;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
