/* SPDX-License-Identifier: MIT */
/*
 * A training run on the CUDA device: it ends near that of the CPU, and with the same bits after a
 * cut.
 */
#include "tests/host/train_run.h"

#include <math.h>

#include "tests/cuda/device_there.h"
#include "tests/cuda/emulated.h"

/* ||gpu - cpu|| / ||cpu - start|| over all tensors. */
static double distance(const struct vj_weights *gpu, const struct vj_weights *cpu,
                       const struct vj_weights *start)
{
    double apart = 0, change = 0;
    for (size_t i = 0; i < cpu->count; i++)
        for (size_t k = 0; k < cpu->tensors[i].count; k++) {
            const double value = (double)cpu->tensors[i].data[k];
            apart += pow((double)gpu->tensors[i].data[k] - value, 2);
            change += pow((double)start->tensors[i].data[k] - value, 2);
        }
    assert_true(change > 0);
    return sqrt(apart / change);
}

/* Without validation OUT is the latest average, which tells of every step. */
static void train_on(const char *device, const char *output, const char *steps, bool resume,
                     struct vj_train_summary *s)
{
    must_train(output, resume, (const char *const[]){device, "valid_ids=", "ids=1-5", steps, NULL},
               s);
}

static void a_run_ends_near_that_of_the_cpu_and_a_resumed_one_like_an_unbroken_one(void **state)
{
    (void)state;
    struct vj_train_summary s;
    struct vj_weights gpu, cpu, start;
    train_on("device=cpu", "cpu.h5", "steps=12", false, &s);
    train_on("device=cuda", "gpu.h5", "steps=12", false, &s);
    read_file("gpu.h5", &gpu);
    read_file("cpu.h5", &cpu);
    read_file("start.h5", &start);
    const double apart = distance(&gpu, &cpu, &start);
    print_message("weights differ by %.1e of their change\n", apart);
    assert_true(apart > 0 && apart <= 1e-2); /* 0: both ran on the CPU */
    vj_weights_free(&gpu);
    vj_weights_free(&cpu);
    vj_weights_free(&start);

    train_on("device=cuda", "cut.h5", "steps=7", false, &s);
    train_on("device=cuda", "cut.h5", "steps=12", true, &s);
    assert_int_equal(s.resumed, 7);
    assert_same_weights("gpu.h5", "cut.h5");
    assert_same_log("gpu.h5.log", "cut.h5.log");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_near_that_of_the_cpu_and_a_resumed_one_like_an_unbroken_one),
    };
    if (!device_is_there("cuda"))
        return VJ_TEST_SKIPPED;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
