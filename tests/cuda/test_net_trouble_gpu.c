/* SPDX-License-Identifier: MIT */
/*
 * The network on a GPU where something does not fit: values beyond half's range, references,
 * memory, algorithms that libraries refuse; and how it says what it has taken. Skipped without a
 * device.
 */
#include "tests/vj_test.h"

#include <errno.h>

#include "tests/cuda/fail_each.h"
#include "tests/cuda/net_gpu_rig.h"

static void values_beyond_half_precision_are_not_a_number_but_finite_in_tf32(void **state)
{
    (void)state;
    enum { P = 2, N = 2 };
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 16);
    for (int precision = VJ_CUDA_TF32; precision <= VJ_CUDA_FP16; precision++) {
        struct vj_weights w = {0};
        struct rig rig = {.precision = (enum vj_cuda_precision)precision, .pixels = 32 * 32};
        ok(formula_weights(&w, &shape, &err));
        struct vj_tensor *t = vj_weights_find(&w, "extract_feature/conv1/weights");
        for (size_t i = 0; i < t->count; i++)
            t->data[i] = 30000.0f;
        rig.w.shape = shape;
        ok(vj_cuda_net_create(&rig.gpu, &w, 3, 2, rig.precision, &err));
        ok(vj_cuda_net_work_create(&rig.gpu_work, rig.gpu, 2, P, &err));
        struct pictures p = pictures_make(&rig, P, N);
        memset(p.r, 127, P * rig.pixels * 3);
        memset(p.j, 127, P * rig.pixels);
        memset(p.d, 127, N * P * rig.pixels * 3);
        memset(p.d + 3 * rig.pixels * 3, 255, rig.pixels * 3);
        const struct values v = gpu_values(&rig, &p, P, N);
        const bool half = precision == VJ_CUDA_FP16;
        for (size_t i = 0; i < N * P; i++)
            assert_int_equal(isfinite(v.quality[i]) != 0, !(half && i == 3));
        assert_true(isfinite(v.score[0]));
        assert_int_equal(isfinite(v.score[1]) != 0, !half);
        pictures_free(&p);
        vj_cuda_net_work_destroy(rig.gpu_work);
        vj_cuda_net_destroy(rig.gpu);
        vj_weights_free(&w);
    }
}

/* What leaves half's range between two convolutions and what the second one makes zero of it. */
static void values_beyond_half_precision_inside_a_block_are_not_lost(void **state)
{
    (void)state;
    enum { P = 2, N = 2 };
    const struct vj_net_shape shape = pw_shape(32, 16, 16, 16, 16, 16);
    struct vj_weights w = {0};
    struct rig rig = {.precision = VJ_CUDA_FP16, .pixels = 32 * 32};
    ok(formula_weights(&w, &shape, &err));
    const struct vj_tensor *first = vj_weights_find(&w, "extract_feature/conv1_1/weights");
    const struct vj_tensor *second = vj_weights_find(&w, "extract_feature/conv1_2/weights");
    for (size_t i = 0; i < first->count; i++)
        first->data[i] = 30000.0f;
    for (size_t i = 0; i < second->count; i++)
        second->data[i] = -1.0f;
    rig.w.shape = shape;
    ok(vj_cuda_net_create(&rig.gpu, &w, 3, 2, rig.precision, &err));
    ok(vj_cuda_net_work_create(&rig.gpu_work, rig.gpu, 2, P, &err));
    struct pictures p = pictures_make(&rig, P, N);
    memset(p.r, 127, P * rig.pixels * 3);
    memset(p.d, 127, N * P * rig.pixels * 3);
    memset(p.d + rig.pixels * 3, 255, rig.pixels * 3);
    const struct values v = gpu_values(&rig, &p, P, N);
    for (size_t i = 0; i < N * P; i++)
        assert_int_equal(isfinite(v.quality[i]) != 0, i != 1);
    assert_false(isfinite(v.score[0]));
    assert_true(isfinite(v.score[1]));
    pictures_free(&p);
    vj_cuda_net_work_destroy(rig.gpu_work);
    vj_cuda_net_destroy(rig.gpu);
    vj_weights_free(&w);
}

static void weights_beyond_half_precision_are_refused_by_name(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16);
    struct vj_weights w = {0};
    struct vj_cuda_net *net;
    ok(formula_weights(&w, &shape, &err));
    vj_weights_find(&w, "extract_feature/conv2/weights")->data[7] = 70000.0f;
    assert_int_equal(vj_cuda_net_create(&net, &w, 1, 1, VJ_CUDA_FP16, &err), -EINVAL);
    vj_assert_contains(err.text, "conv2");
    assert_null(net);
    ok(vj_cuda_net_create(&net, &w, 1, 1, VJ_CUDA_FP32, &err));
    vj_cuda_net_destroy(net);
    vj_weights_free(&w);
}

static void a_tensor_that_is_missing_is_named(void **state)
{
    (void)state;
    for (int i = 0; i < USUAL; i++) {
        const struct vj_net_shape shape = usual_shape(i);
        struct vj_weights w = {0};
        ok(formula_weights(&w, &shape, &err));
        for (size_t k = 0; k < w.count; k++) {
            struct vj_cuda_net *net;
            char name[sizeof(w.tensors[k].name)];
            memcpy(name, w.tensors[k].name, sizeof(name));
            snprintf(w.tensors[k].name, sizeof(name), "another");
            assert_int_equal(vj_cuda_net_create(&net, &w, 1, 1, VJ_CUDA_FP32, &err), -EINVAL);
            assert_null(net);
            vj_assert_contains(err.text, name);
            memcpy(w.tensors[k].name, name, sizeof(name));
        }
        vj_weights_free(&w);
    }
}

/* All of them, with padding and Winograd's larger kernels, and no matrix that a variant has not. */
static void weights_take_the_memory_of_their_parameters(void **state)
{
    (void)state;
    for (int i = 0; i < USUAL; i++) {
        const struct vj_net_shape shape = usual_shape(i);
        struct vj_weights w = {0};
        struct vj_cuda_net *net;
        size_t parameters = 0;
        ok(formula_weights(&w, &shape, &err));
        for (size_t k = 0; k < w.count; k++)
            parameters += w.tensors[k].count;
        ok(vj_cuda_net_create(&net, &w, 1, 1, VJ_CUDA_FP32, &err));
        const size_t bytes = vj_cuda_net_bytes(net);
        print_message("variant %d: %zu bytes for %zu parameters\n", i, bytes, parameters);
        assert_true(bytes >= 4 * parameters && bytes <= 6 * parameters);
        vj_cuda_net_destroy(net);
        vj_weights_free(&w);
    }
}

static void what_does_not_fit_the_reference_is_refused(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        small_shape(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16);
    struct rig rig;
    rig_make(&rig, &shape, 4, VJ_CUDA_FP32, 3);
    struct pictures p = pictures_make(&rig, 3, 1);
    struct device_side s = device_side_make(&rig, &p, 3, 1);
    struct vj_cuda_net_work *w = rig.gpu_work;
    assert_int_equal(vj_cuda_net_scores(w, 0, 0, s.d, 1, 3, s.score, s.quality, s.weight, &err),
                     -EINVAL);
    assert_int_equal(vj_cuda_net_reference(w, 0, 0, s.r, s.j, 4, &err), -EINVAL);
    assert_int_equal(vj_cuda_net_reference(w, 0, 2, s.r, s.j, 3, &err), -EINVAL);
    assert_int_equal(vj_cuda_net_reference(w, 0, 0, s.r, NULL, 3, &err), -EINVAL);
    vj_assert_contains(err.text, "variant figure sees a pixel-JND map, none is given");
    ok(vj_cuda_net_reference(w, 0, 0, s.r, s.j, 3, &err));
    assert_int_equal(vj_cuda_net_scores(w, 0, 0, s.d, 1, 2, s.score, s.quality, s.weight, &err),
                     -EINVAL);
    assert_int_equal(vj_cuda_net_scores(w, 0, 0, s.d, 0, 3, s.score, s.quality, s.weight, &err),
                     -EINVAL);
    assert_int_equal(vj_cuda_net_work_bytes(w), vj_cuda_net_work_bytes_needed(rig.gpu, 2, 3));
    struct vj_cuda_net *none = rig.gpu;
    assert_int_equal(vj_cuda_net_create(&none, &rig.w, 4, 5, VJ_CUDA_FP32, &err), -EINVAL);
    vj_assert_contains(err.text, "5 rows of reference sides, more than the 4 of candidates");
    assert_int_equal(vj_cuda_net_create(&none, &rig.w, 4, 0, VJ_CUDA_FP32, &err), -EINVAL);
    assert_null(none);
    cuda(cudaDeviceSynchronize());
    device_side_free(&s);
    pictures_free(&p);
    rig_free(&rig);
}

static void need_emulation(void)
{
    if (!EMULATED) {
        print_message("skipped: only the emulation can be made small or refuse on demand\n");
        skip();
    }
}

static void work_that_does_not_fit_the_gpu_is_refused_with_both_numbers(void **state)
{
    (void)state;
    need_emulation();
    const struct vj_net_shape shape = usual_shape(0);
    struct rig rig;
    struct vj_cuda_net_work *work;
    rig_make(&rig, &shape, 4, VJ_CUDA_FP32, 3);
    work = rig.gpu_work;
    setenv("VPJND_EMULATE_MEMORY", "1500", 1);
    assert_int_equal(vj_cuda_net_work_create(&work, rig.gpu, 64, 64, &err), -ENOMEM);
    unsetenv("VPJND_EMULATE_MEMORY");
    assert_null(work);
    vj_assert_contains(err.text, "a network's work needs ");
    vj_assert_contains(err.text, " MiB on the GPU, 0 MiB are free; lower slots or patches");
    rig_free(&rig);
}

/* What the libraries settled on for a small network of the first usual variant, which leaves its
 * convolutions to cuDNN in tf32; bytes of a work. */
static size_t describe_small(char *text, size_t size)
{
    const struct vj_net_shape shape = usual_shape(0);
    struct vj_weights w = {0};
    struct vj_cuda_net *net;
    ok(formula_weights(&w, &shape, &err));
    ok(vj_cuda_net_create(&net, &w, 2, 2, VJ_CUDA_TF32, &err));
    vj_cuda_net_describe(net, text, size);
    const size_t bytes = vj_cuda_net_work_bytes_needed(net, 1, 1);
    vj_cuda_net_destroy(net);
    vj_weights_free(&w);
    return bytes;
}

static void a_convolution_without_its_relu_says_why(void **state)
{
    (void)state;
    char text[4096];
    need_emulation();
    describe_small(text, sizeof(text));
    vj_assert_contains(text, "conv2 IMPLICIT_PRECOMP_GEMM fused workspace 12345\n");
    setenv("VPJND_EMULATE_FORMS", "1", 1);
    describe_small(text, sizeof(text));
    unsetenv("VPJND_EMULATE_FORMS");
    vj_assert_contains(text,
                       "conv2 IMPLICIT_PRECOMP_GEMM apart workspace 12345, refused before: cuDNN: "
                       "cudnnConvolutionBiasActivationForward: not supported (the emulation would "
                       "not)\n");
}

/* conv2 takes 2 patches of 16 x 16 pixels and 16 channels to 32 channels. */
static void a_fused_convolution_gets_room_for_copies_before_it_is_taken_apart(void **state)
{
    (void)state;
    char text[4096], want[128];
    const size_t copies = ((size_t)2 * 16 * 16 * (16 + 32) + 9 * 16 * 32) * 4 + (1 << 20);
    need_emulation();
    setenv("VPJND_EMULATE_COPIES", "1", 1);
    const size_t bytes = describe_small(text, sizeof(text));
    unsetenv("VPJND_EMULATE_COPIES");
    snprintf(want, sizeof(want), "conv2 IMPLICIT_PRECOMP_GEMM fused workspace %zu\n", copies);
    vj_assert_contains(text, want);
    assert_true(bytes >= copies); /* the work has that room too */
}

/* Both ways of fp32 are recorded, with what cuBLASLt settled on. */
static void ways_of_convolutions_are_described(void **state)
{
    (void)state;
    for (int i = 0; i < USUAL; i++) {
        const struct vj_net_shape shape = usual_shape(i);
        struct vj_weights w = {0};
        struct vj_cuda_net *net;
        char text[4096];
        ok(formula_weights(&w, &shape, &err));
        ok(vj_cuda_net_create(&net, &w, 2, 2, VJ_CUDA_FP32, &err));
        vj_cuda_net_describe(net, text, sizeof(text));
        vj_assert_contains(text, i ? "conv2_1 by Winograd's 4x4 tiles, 2 patches at a time"
                                   : "conv2 by Winograd's 4x4 tiles, 2 patches at a time");
        vj_assert_contains(text, i ? "\nconv2_1 algorithm " : "\nconv2 algorithm ");
        assert_int_equal(strstr(text, "conv5_2 as one product\nconv5_2 algorithm ") != NULL,
                         i == 1);
        vj_cuda_net_destroy(net);
        vj_weights_free(&w);
    }
}

/* Nothing listed, which is no failure of the call, and an algorithm listed as unusable. */
static void a_product_without_an_algorithm_is_refused(void **state)
{
    (void)state;
    static const char *const states[] = {"none", "1"};
    const struct vj_net_shape shape = usual_shape(0);
    struct vj_weights w = {0};
    struct vj_cuda_net *net;
    need_emulation();
    ok(formula_weights(&w, &shape, &err));
    for (int i = 0; i < 2; i++) {
        setenv("VPJND_EMULATE_STATE", states[i], 1);
        assert_int_equal(vj_cuda_net_create(&net, &w, 2, 2, VJ_CUDA_FP32, &err), -ENOTSUP);
        unsetenv("VPJND_EMULATE_STATE");
        assert_null(net);
        vj_assert_contains(err.text, "cuBLASLt has no algorithm for");
    }
    vj_weights_free(&w);
}

struct scoring {
    struct rig *rig;
    struct device_side side;
    float expected; /* NaN: not known yet */
};

static int score_one(void *user)
{
    struct scoring *g = user;
    struct vj_cuda_net_work *w = g->rig->gpu_work;
    const struct device_side *s = &g->side;
    float score;
    int r = vj_cuda_net_reference(w, g->rig->stream, 0, s->r, s->j, 1, &err);
    if (!r)
        r = vj_cuda_net_scores(w, g->rig->stream, 0, s->d, 1, 1, s->score, s->quality, s->weight,
                               &err);
    if (!r)
        r = VJ_CUDA(cudaStreamSynchronize(g->rig->stream), &err);
    if (!r)
        r = VJ_CUDA(cudaMemcpy(&score, s->score, sizeof(score), cudaMemcpyDeviceToHost), &err);
    if (!r && isnan(g->expected))
        g->expected = score;
    assert_true(r || score == g->expected);
    return r;
}

/* Another network of the same weights, and its score. */
static int create_one(void *user)
{
    const struct scoring *g = user;
    struct rig other = *g->rig;
    struct scoring mine = {&other, g->side, g->expected};
    int r = vj_cuda_net_create(&other.gpu, &other.w, 1, 1, other.precision, &err);
    other.gpu_work = NULL;
    if (!r)
        r = vj_cuda_net_work_create(&other.gpu_work, other.gpu, 1, 1, &err);
    if (!r)
        r = score_one(&mine);
    if (r)
        cuda(cudaDeviceSynchronize()); /* what was asked for before still works on it */
    vj_cuda_net_work_destroy(other.gpu_work);
    vj_cuda_net_destroy(other.gpu);
    return r;
}

/* Scores twice: by calls that are made, and by those that a recording replays or begins. Where none
 * can be made, or none be kept, calls are made again; and where an algorithm cannot be tried,
 * another one is taken. */
static void a_call_that_fails_is_reported_whichever_it_is(void **state)
{
    (void)state;
    need_emulation();
    for (int i = 0; i < USUAL; i++)
        for (int precision = VJ_CUDA_FP32; precision <= VJ_CUDA_FP16; precision += 2) {
            const struct vj_net_shape shape = usual_shape(i);
            struct rig rig;
            rig_make(&rig, &shape, 1, (enum vj_cuda_precision)precision, 1);
            struct pictures p = pictures_make(&rig, 1, 1);
            struct scoring g = {&rig, device_side_make(&rig, &p, 1, 1), NAN};
            ok(score_one(&g));
            for (int again = 0; again < 2; again++)
                print_message("variant %d: %u calls\n", i, fail_each(score_one, &g, 1, true));
            if (precision == VJ_CUDA_FP16) /* where cuDNN has all convolutions */
                print_message("variant %d: %u calls\n", i, fail_each(create_one, &g, 3, true));
            device_side_free(&g.side);
            pictures_free(&p);
            rig_free(&rig);
        }
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_beyond_half_precision_are_not_a_number_but_finite_in_tf32),
        cmocka_unit_test(values_beyond_half_precision_inside_a_block_are_not_lost),
        cmocka_unit_test(weights_beyond_half_precision_are_refused_by_name),
        cmocka_unit_test(a_tensor_that_is_missing_is_named),
        cmocka_unit_test(weights_take_the_memory_of_their_parameters),
        cmocka_unit_test(what_does_not_fit_the_reference_is_refused),
        cmocka_unit_test(work_that_does_not_fit_the_gpu_is_refused_with_both_numbers),
        cmocka_unit_test(a_convolution_without_its_relu_says_why),
        cmocka_unit_test(a_fused_convolution_gets_room_for_copies_before_it_is_taken_apart),
        cmocka_unit_test(ways_of_convolutions_are_described),
        cmocka_unit_test(a_product_without_an_algorithm_is_refused),
        cmocka_unit_test(a_call_that_fails_is_reported_whichever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
