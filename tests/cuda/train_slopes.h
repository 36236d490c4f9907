/* SPDX-License-Identifier: MIT */
/* What the tests of the training step's kernels share: gradients against differences in double. */
#ifndef VJ_TESTS_CUDA_TRAIN_SLOPES_H
#define VJ_TESTS_CUDA_TRAIN_SLOPES_H

#include "tests/vj_test.h"

#include <math.h>

#include "cuda/train_kernels.h"
#include "host/checked.h"
#include "host/rng.h"

/* Errors of single precision over the largest number of what is compared. */
static const double limit = 1e-5;

/* Of a launcher: it was accepted, and what it launched has run. */
static inline void launched(cudaError_t status)
{
    assert_int_equal(status, cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
}

static inline float *noise(size_t count, uint32_t seed, float low, float high)
{
    float *v = vj_alloc_aligned(count, sizeof(float));
    assert_non_null(v);
    for (size_t i = 0; i < count; i++) {
        const struct vj_u32x4 word = vj_random4(seed, VJ_RNG_TEST, 0, (uint32_t)i);
        v[i] = low + (high - low) * (float)vj_random_unit(word.v[0]);
    }
    return v;
}

/* Rubbish that shows. */
static inline void *rubbish(size_t count, size_t size)
{
    void *v = vj_alloc_aligned(count, size);
    assert_non_null(v);
    memset(v, 0xff, count * size);
    return v;
}

static inline void *zeros(size_t count)
{
    return memset(rubbish(count, sizeof(float)), 0, count * sizeof(float));
}

/* What a loss would be whose gradient at `out` is `gradient`. */
static inline double inner(const double *out, const float *gradient, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += out[i] * (double)gradient[i];
    return sum;
}

/* A function of all the numbers of one array, everything else held. */
typedef double (*objective)(const double *x, const void *user);

/* `have` against slopes of f at x, in `samples` places and where `have` is largest. */
static inline void compare_slopes(const char *what, objective f, const void *user, const float *x,
                                  size_t count, const float *have, size_t samples)
{
    double *at = malloc(count * sizeof(*at)), most = 0, worst = 0;
    size_t top = 0;
    for (size_t i = 0; i < count; i++) {
        at[i] = (double)x[i];
        if (!(fabs((double)have[i]) <= most)) {
            most = fabs((double)have[i]);
            top = i;
        }
    }
    for (size_t k = 0; k <= samples; k++) {
        const size_t i = k < samples ? k * count / samples : top;
        const double value = at[i], step = 1e-6;
        at[i] = value + step;
        const double up = f(at, user);
        at[i] = value - step;
        const double slope = (up - f(at, user)) / (2 * step);
        at[i] = value;
        const double error = fabs((double)have[i] - slope) / most;
        if (!(error <= limit))
            print_error("%s[%zu]: %.8g, not %.8g\n", what, i, (double)have[i], slope);
        worst = error <= worst ? worst : error;
    }
    print_message("%-28s %.1e\n", what, worst);
    assert_true(most > 0 && worst <= limit);
    free(at);
}

/* The statement that follows runs several times: the order of threads and blocks changes from
 * launch to launch, which must not change a bit. */
#define IN_SEVERAL_ORDERS for (int in_order = 0; in_order < 4; in_order++)

#endif
