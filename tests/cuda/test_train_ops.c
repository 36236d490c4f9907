/* SPDX-License-Identifier: MIT */
/*
 * Which of cuDNN's algorithms a convolution's way back takes, on the emulation: one that repeats
 * its bits, whatever else is there, or none.
 */
#include "tests/vj_test.h"

#include <errno.h>

#include "cuda/train_ops.h"

#include "tests/cuda/gpu_buffer.h"

enum { ROWS = 2, SIDE = 4, CHANNELS = 16, ALGO_1 = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 };
enum { OTHER = CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED }; /* that repeats its bits */
_Static_assert(ALGO_1 == (int)CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 &&
                   OTHER == (int)CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
               "both lists have the same numbers");

struct rig {
    cudnnHandle_t dnn;
    struct vj_cuda_net_conv_op conv;
    struct vj_cuda_train_conv_op op;
    struct buffer map, other, kernel;
};

static void rig_make(struct rig *rig)
{
    static const struct vj_cuda_net_conv conv = {
        "conv2", SIDE, CHANNELS, CHANNELS, CHANNELS, CHANNELS, VJ_CUDA_NET_DIRECT,
        0,       ROWS, 0,        0,        0};
    static const float zeros[ROWS * SIDE * SIDE * CHANNELS];
    static const float kernel[9 * CHANNELS * CHANNELS];
    memset(rig, 0, sizeof(*rig));
    ok(VJ_CUDNN(cudnnCreate(&rig->dnn), &err));
    ok(vj_cuda_net_conv_prepare(&rig->conv, &conv, ROWS, VJ_CUDA_FP32, &err));
    rig->op.forward = &rig->conv;
    rig->map = buffer_of(zeros, sizeof(zeros));
    rig->other = buffer_of(zeros, sizeof(zeros));
    rig->kernel = buffer_of(kernel, sizeof(kernel));
}

static void rig_free(struct rig *rig)
{
    buffer_free(&rig->map);
    buffer_free(&rig->other);
    buffer_free(&rig->kernel);
    vj_cuda_net_conv_free(&rig->conv);
    cudnnDestroy(rig->dnn);
}

/* Gradient at the input, or the kernel's. Returns which algorithm was taken, else an error. */
static int choose(struct rig *rig, bool of_kernel)
{
    const struct vj_cuda_train_data_memory data = {rig->kernel.data, rig->map.data,
                                                   rig->other.data};
    const struct vj_cuda_train_filter_memory filter = {rig->map.data, rig->other.data,
                                                       rig->kernel.data};
    const int r = of_kernel ? vj_cuda_train_filter_choose(&rig->op, rig->dnn, &filter, &err)
                            : vj_cuda_train_data_choose(&rig->op, rig->dnn, &data, &err);
    return r ? r : of_kernel ? (int)rig->op.filter : (int)rig->op.data;
}

static void algorithms_repeat_their_bits(void **state)
{
    (void)state;
    static const struct {
        const char *back;
        int taken;
    } list[] = {{"0", ALGO_1}, {"1", OTHER}, {"varying", OTHER}, {"2", -ENOTSUP}};
    struct rig rig;
    rig_make(&rig);
    for (int of_kernel = 0; of_kernel < 2; of_kernel++) {
        for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
            setenv("VPJND_EMULATE_BACK", list[i].back, 1);
            assert_int_equal(choose(&rig, of_kernel), list[i].taken);
        }
        unsetenv("VPJND_EMULATE_BACK");
        vj_assert_contains(err.text, of_kernel ? "conv2: cuDNN computes its kernel's gradient in "
                                               : "conv2: cuDNN computes its gradient at the input "
                                                 "in ");
        vj_assert_contains(err.text, "none of 3 ways that repeat their bits; the first of them: "
                                     "cuDNN: cudnnGetConvolutionBackward");
    }
    rig_free(&rig);
}

/* Others want less, and would do with other bits. */
static void want_of_memory_is_named_and_no_other_algorithm_taken(void **state)
{
    (void)state;
    struct rig rig;
    rig_make(&rig);
    for (int of_kernel = 0; of_kernel < 2; of_kernel++) {
        setenv("VPJND_EMULATE_REFUSED", of_kernel ? "23456" : "65432", 1);
        assert_int_equal(choose(&rig, of_kernel), -ENOMEM);
        unsetenv("VPJND_EMULATE_REFUSED");
        vj_assert_contains(err.text, "conv2: no memory for cuDNN's work: CUDA: cudaMalloc");
        assert_int_equal(of_kernel ? (int)rig.op.filter : (int)rig.op.data, ALGO_1);
    }
    rig_free(&rig);
}

/*
 * ALGO_1 is taken where the library does not say what it has, and not where its size, its memory,
 * its call or the wait for it fails. Then another one is.
 */
static void a_call_that_fails_leads_to_another_algorithm(void **state)
{
    (void)state;
    struct rig rig;
    rig_make(&rig);
    for (int of_kernel = 0; of_kernel < 2; of_kernel++)
        for (int call = 1; call <= 6; call++) {
            char text[16];
            snprintf(text, sizeof(text), "%d", call);
            setenv("VPJND_EMULATE_FAIL", text, 1);
            const int taken = choose(&rig, of_kernel);
            assert_int_equal(getenv("VPJND_EMULATE_FAIL") != NULL, call == 6);
            unsetenv("VPJND_EMULATE_FAIL");
            assert_int_equal(taken, call == 1 || call == 6 ? ALGO_1 : OTHER);
            assert_int_equal(cudaGetLastError(), cudaSuccess);
        }
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algorithms_repeat_their_bits),
        cmocka_unit_test(want_of_memory_is_named_and_no_other_algorithm_taken),
        cmocka_unit_test(a_call_that_fails_leads_to_another_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
