/* SPDX-License-Identifier: MIT */
/*
 * The non-local block as one kernel, run on the CPU (tests/cuda/emulate_cuda.h), against its
 * definition in double.
 */
#include "tests/vj_test.h"

#include <math.h>

#include "cuda/net_kernels.h"
#include "cuda/net_non_local_body.h"
#include "host/rng.h"
#include "tests/cuda/emulate_memory.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/written.h"

enum {
    N = VJ_CUDA_NON_LOCAL_N,
    SIDE = 16,
    ROWS = RACES ? 1 : 2,
    NUMBERS = N * N, /* of a matrix */
};

enum { THETA, PHI, VALUE, TOKENS, MATRICES };

/* What the kernel reads, as elements and as the numbers that those are, and what it writes. */
struct block {
    struct vj_cuda_net_plan plan;
    void *tokens, *projected;
    float *numbers; /* [ROWS][MATRICES][N][N] */
    struct written last;
    int flags[ROWS];
};

static float *numbers_of(const struct block *b, size_t row, int matrix)
{
    return b->numbers + (row * MATRICES + (size_t)matrix) * NUMBERS;
}

/* Number i of a matrix. */
static void set(struct block *b, size_t row, int matrix, size_t i, float value)
{
    const bool half = b->plan.precision == VJ_CUDA_FP16;
    void *to = matrix == TOKENS ? b->tokens : b->projected;
    const size_t at =
        matrix == TOKENS ? row * NUMBERS + i : ((row * N + i / N) * 3 + (size_t)matrix) * N + i % N;
    vj_cuda_net_set(to, at, value, half);
    numbers_of(b, row, matrix)[i] = vj_cuda_net_get(to, at, half);
}

/* Affinities of theta and phi reach beyond 10, so that softmax is neither flat nor one peak. */
static void make(struct block *b, enum vj_cuda_precision precision)
{
    static const float largest[MATRICES] = {1.0f, 1.0f, 4.0f, 2.0f};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    memset(b, 0, sizeof(*b));
    assert_int_equal(vj_cuda_net_plan_make(&b->plan, &shape, ROWS, precision, NULL), 0);
    assert_true(b->plan.non_local);
    b->tokens = malloc(ROWS * NUMBERS * b->plan.element);
    b->projected = malloc(3 * ROWS * NUMBERS * b->plan.element);
    b->numbers = malloc(ROWS * MATRICES * NUMBERS * sizeof(float));
    for (uint32_t i = 0; i < ROWS * MATRICES * NUMBERS; i++) {
        const double unit = vj_random_unit(vj_random4(5, VJ_RNG_TEST, 0, i).v[0]);
        const int matrix = (int)(i / NUMBERS % MATRICES);
        set(b, i / NUMBERS / MATRICES, matrix, i % NUMBERS,
            largest[matrix] * (float)(2 * unit - 1));
    }
    b->last = written_make(ROWS * NUMBERS / 4 * b->plan.element);
}

static void done(struct block *b)
{
    free(b->tokens);
    free(b->projected);
    free(b->numbers);
    written_free(&b->last);
}

static void run(struct block *b)
{
    memset(b->flags, 0, sizeof(b->flags));
    assert_int_equal(
        vj_cuda_net_non_local(&b->plan, NULL, b->tokens, b->projected, b->last.data, b->flags),
        cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
}

/* Tokens and what a position of a patch attends to: sum[N]. */
static void by_definition(const struct block *b, size_t row, size_t position, double sum[N])
{
    const float *theta = numbers_of(b, row, THETA) + position * N;
    const float *phi = numbers_of(b, row, PHI), *value = numbers_of(b, row, VALUE);
    double affinity[N] = {0}, top = -INFINITY, total = 0;
    for (size_t k = 0; k < N; k++) /* phi's memory as [C][N] */
        for (size_t n = 0; n < N; n++)
            affinity[n] += (double)theta[k] * (double)phi[k * N + n];
    for (size_t n = 0; n < N; n++)
        top = fmax(top, affinity[n]);
    for (size_t n = 0; n < N; n++)
        total += exp(affinity[n] - top);
    for (size_t c = 0; c < N; c++)
        sum[c] = (double)numbers_of(b, row, TOKENS)[position * N + c];
    for (size_t n = 0; n < N; n++)
        for (size_t c = 0; c < N; c++)
            sum[c] += exp(affinity[n] - top) / total * (double)value[n * N + c];
}

static void compare(enum vj_cuda_precision precision)
{
    /* Operands of 11 bits, chances alone where the numbers are halves; affinities reach 15. Cut off
     * rather than rounded they would miss it. */
    const double limit = precision == VJ_CUDA_FP16 ? 5e-4 : 1.3e-3;
    static double sum[N][N];
    struct block b;
    double worst = 0, largest = 0;
    make(&b, precision);
    run(&b);
    for (size_t row = 0; row < ROWS; row++) {
        assert_int_equal(b.flags[row], 0);
        for (size_t n = 0; n < N; n++)
            by_definition(&b, row, n, sum[n]);
        for (size_t i = 0; i < N / 4 * N; i++) {
            const size_t pixel = i / N, c = i % N;
            const size_t corner = pixel / (SIDE / 2) * 2 * SIDE + pixel % (SIDE / 2) * 2;
            const double want = fmax(fmax(sum[corner][c], sum[corner + 1][c]),
                                     fmax(sum[corner + SIDE][c], sum[corner + SIDE + 1][c]));
            const double have = (double)vj_cuda_net_get(b.last.data, row * N / 4 * N + i,
                                                        precision == VJ_CUDA_FP16);
            assert_true(isfinite(have));
            worst = fmax(worst, fabs(have - want));
            largest = fmax(largest, fabs(want));
        }
    }
    print_message("%s: %.1e of the largest\n", vj_cuda_precision_name(precision), worst / largest);
    assert_true(worst / largest <= limit);
    done(&b);
}

static void every_number_is_that_of_the_definition(void **state)
{
    (void)state;
    compare(VJ_CUDA_TF32);
    compare(VJ_CUDA_FP16);
}

static void check_flags(struct block *b, size_t flagged)
{
    run(b);
    for (size_t row = 0; row < ROWS; row++)
        assert_int_equal(b->flags[row], row == flagged);
}

/* What is not finite in one place of one matrix flags its patch alone: phi makes affinities of
 * minus infinity, chances of 0, which change nothing else. */
static void what_leaves_the_range_of_halves_flags_its_row(void **state)
{
    (void)state;
    if (RACES) /* sees no more than above */
        skip();
    enum { CHANNEL = 77 };
    static const size_t place[MATRICES] = {NUMBERS - 1, CHANNEL * N + 130, 0, 200 * N + 255};
    struct block b;
    make(&b, VJ_CUDA_FP16);
    for (size_t n = 0; n < N; n++)
        set(&b, ROWS - 1, THETA, n * N + CHANNEL, 0.5f);
    for (int m = 0; m < MATRICES; m++) {
        const float before = numbers_of(&b, ROWS - 1, m)[place[m]];
        set(&b, ROWS - 1, m, place[m], m == PHI ? -INFINITY : INFINITY);
        check_flags(&b, ROWS - 1);
        set(&b, ROWS - 1, m, place[m], before);
    }
    done(&b);
}

/* Of finite numbers, sums that halves cannot hold. */
static void a_sum_beyond_the_range_of_halves_flags_its_row(void **state)
{
    (void)state;
    if (RACES)
        skip();
    enum { CHANNEL = 200 };
    struct block b;
    make(&b, VJ_CUDA_FP16);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t n = 0; n < N; n++)
            set(&b, row, VALUE, n * N + CHANNEL, 60000.0f);
    set(&b, 0, TOKENS, 37 * N + CHANNEL, 60000.0f);
    check_flags(&b, 0);
    done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_that_of_the_definition),
        cmocka_unit_test(what_leaves_the_range_of_halves_flags_its_row),
        cmocka_unit_test(a_sum_beyond_the_range_of_halves_flags_its_row),
    };
    vj_emulate_checks_arguments = false;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
