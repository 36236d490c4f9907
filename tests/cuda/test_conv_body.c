/* SPDX-License-Identifier: MIT */
/* The convolution of conv_body.h, thread by thread, against its definition in double. */
#include "tests/cuda/emulate.h"

#include <math.h>

#include "tests/cuda/conv_body.h"

static float noise(uint32_t stream, size_t i)
{
    return (float)(vj_random_unit(vj_random4(stream, VJ_RNG_TEST, 0, (uint32_t)i).v[0]) - 0.5);
}

static float *noises(uint32_t stream, size_t count)
{
    float *v = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        v[i] = noise(stream, i);
    return v;
}

static void run_block(const struct vj_conv_job *j, struct vj_conv_block b, unsigned part,
                      unsigned column)
{
    static struct vj_conv_shared shared;
    static struct vj_conv_places place[VJ_CONV_MOST * VJ_CONV_MOST / 64];
    static struct vj_conv_fetched fetched[VJ_CONV_MOST * VJ_CONV_MOST / 64];
    static struct vj_conv_sums sums[VJ_CONV_MOST * VJ_CONV_MOST / 64];
    const unsigned threads = (unsigned)vj_conv_threads(b);
    struct vj_conv_step s = {0, 0};
    int buffer = 0;
    memset(&shared, 0xff, sizeof(shared)); /* NaN */
    memset(sums, 0, sizeof(sums));
    EMULATE_THREADS(threads, thread)
    {
        vj_conv_place(j, b, &place[thread], part, (int)thread);
        vj_conv_fetch(j, b, &place[thread], &fetched[thread], column, s, (int)thread);
        vj_conv_put(b, &fetched[thread], &shared, 0, (int)thread);
    }
    for (s = vj_conv_next(j, s); s.tap < 9; s = vj_conv_next(j, s), buffer = !buffer)
        EMULATE_THREADS(threads, thread)
        {
            vj_conv_fetch(j, b, &place[thread], &fetched[thread], column, s, (int)thread);
            vj_conv_multiply(b, &shared, buffer, &sums[thread], (int)thread);
            vj_conv_put(b, &fetched[thread], &shared, !buffer, (int)thread);
        }
    EMULATE_THREADS(threads, thread)
    {
        vj_conv_multiply(b, &shared, buffer, &sums[thread], (int)thread);
        vj_conv_finish(j, b, &sums[thread], part, column, (int)thread);
    }
}

static double by_definition(const struct vj_conv_job *j, int pixel, int c)
{
    const int side = j->side, y = pixel / side % side, x = pixel % side;
    double sum = (double)j->bias[c];
    for (int tap = 0; tap < 9; tap++) {
        const int dy = tap / 3 - 1, dx = tap % 3 - 1;
        for (int i = 0; y + dy >= 0 && y + dy < side && x + dx >= 0 && x + dx < side && i < j->in;
             i++)
            sum += (double)j->map[(pixel + dy * side + dx) * j->in + i] *
                   (double)j->kernel[(tap * j->in + i) * j->out + c];
    }
    return sum > 0 ? sum : 0;
}

static void compare(int rows, int side, int in, int out, struct vj_conv_block b)
{
    const int pixels = rows * side * side;
    const size_t numbers = (size_t)(pixels * out);
    struct guarded guard;
    float *to = guarded_take(&guard, numbers * sizeof(float));
    float *map = noises(1, (size_t)(pixels * in)), *kernel = noises(2, (size_t)(9 * in * out)),
          *bias = noises(3, (size_t)out);
    const struct vj_conv_job j = {map, kernel, bias, to, side, in, out, pixels};
    for (int part = 0; part * b.down < pixels; part++)
        for (int column = 0; column * b.across < out; column++)
            run_block(&j, b, (unsigned)part, (unsigned)column);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < numbers; i++) {
        const double want = by_definition(&j, (int)i / out, (int)i % out);
        assert_true(isfinite(to[i]));
        worst = fmax(worst, fabs((double)to[i] - want));
        largest = fmax(largest, want);
    }
    print_message("%d maps of %dx%dx%d to %d, blocks of %d x %d: %.1e of the largest\n", rows, side,
                  side, in, out, b.down, b.across, worst / largest);
    assert_true(worst / largest <= 1e-6);
    guarded_release(&guard);
    free(map);
    free(kernel);
    free(bias);
}

static void every_number_is_that_of_the_definition(void **state)
{
    (void)state;
    static const struct vj_conv_block blocks[] = {{128, 128}, {128, 64}, {128, 32}, {64, 64}};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
        compare(3, 8, 16, 128, blocks[i]);
        compare(5, 6, 8, 48, blocks[i]);
        compare(2, 2, 32, 4, blocks[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_that_of_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
