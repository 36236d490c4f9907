/* SPDX-License-Identifier: MIT */
/*
 * The CUDA device in trouble: candidates that are damaged files, requests that it refuses, and
 * calls of CUDA that fail, each in turn, where the emulation can make them fail. What was asked
 * before still arrives, and what is asked afterwards is answered as ever.
 *
 * VPJND_TEST_SELECTOR in the environment tests another device than `cuda`, e.g. cuda:1.
 * VPJND_TEST_STEP=n: one of n calls of CUDA fails, not one of 127; 1 takes an hour.
 */
#include "tests/cuda/device_rig.h"

static void a_bad_file_fails_its_picture_alone(void **state)
{
    (void)state;
    struct fixture f;
    char narrow[96];
    fixture_open(&f, 2);
    snprintf(narrow, sizeof(narrow), "the candidate at quality factor 64 has %zux%zu",
             f.img[0].width - 1, f.img[0].height);
    struct shelf shelf = {.img = f.img[0], .bad_qf = 88};
    assert_int_equal(vj_jpeg_plan_create(&shelf.plan, &f.img[0], VJ_SUBSAMPLING_420, NULL), 0);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *expected = run(&gpu, &f.course[0]);
    const struct vj_candidate_request request = {.qf = levels_qf,
                                                 .count = LEVELS,
                                                 .fetch = take_from_shelf,
                                                 .user = &shelf,
                                                 .sizes = true,
                                                 .metrics = true};
    for (int round = 0; round < 2; round++) {
        struct vj_error err = {0};
        struct answers *a = fresh();
        const struct vj_candidate_values out = {.bytes = a->bytes,
                                                .quality = a->quality,
                                                .ssimulacra2 = a->ssimulacra2,
                                                .share = {a->share[0], a->share[1]},
                                                .excess = {a->excess[0], a->excess[1]},
                                                .noise_gain = {NULL, a->noise_gain[1]}};
        int r = gpu.ops->candidates(gpu.state, 0, &request, &out, &err);
        if (round == 0 || strcmp(selector(), "cpu") != 0) {
            assert_int_equal(r, round ? -EINVAL : -EBADMSG);
            vj_assert_contains(err.text, round ? narrow : "shelf: candidate 88 is damaged");
        }
        assert_int_equal(gpu.ops->wait(gpu.state, 0, &err), 0);
        free(a);
        shelf.bad_qf = 0;
        shelf.wrong_qf = strcmp(selector(), "cpu") == 0 ? 0 : 64;
    }
    struct answers *after = run(&gpu, &f.course[0]);
    expect_same(expected, after);
    free(after);
    free(expected);
    vj_device_close(&gpu);
    vj_jpeg_plan_free(shelf.plan);
    fixture_close(&f);
}

/* ---- what is refused ---- */

/* What a failed call has sent is still on its way when the next one comes. */
static void positions_after_a_failure_are_those_asked_for(void **state)
{
    (void)state;
    if (!EMULATED) {
        print_message("skipped: only the emulation fails on demand\n");
        skip();
    }
    struct fixture f;
    struct vj_error err = {0};
    int32_t origin[PATCHES * DRAWS][2];
    fixture_open(&f, 1);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *expected = run(&gpu, &f.course[0]);
    must(gpu.ops->source(gpu.state, 0, &f.img[0], NULL, 0, &err), &err);
    must(gpu.ops->jnd_maps(gpu.state, 0, &err), &err);
    setenv("VPJND_EMULATE_LAUNCH", "1", 1);
    for (uint64_t seed = 90; seed < 92; seed++) {
        place(&f.img[0], seed, origin);
        assert_int_equal(
            gpu.ops->positions(gpu.state, 0, (const int32_t(*)[2])origin, NULL, NULL, &err), -EIO);
    }
    unsetenv("VPJND_EMULATE_LAUNCH");
    struct answers *got = run(&gpu, &f.course[0]);
    expect_same(expected, got);
    free(got);
    free(expected);
    vj_device_close(&gpu);
    fixture_close(&f);
}

/* Neither maps, positions nor patches. */
static void nothing_is_left_of_the_picture_before(struct vj_device *gpu, const struct vj_image *img,
                                                  const struct vj_candidate_request *usual,
                                                  const struct vj_candidate_values *out)
{
    const struct vj_device_ops *ops = gpu->ops;
    struct vj_candidate_request request = *usual;
    struct vj_error err = {0};
    int32_t place_of[PATCHES * DRAWS][2];
    const int32_t(*origin)[2] = (const int32_t(*)[2])place_of;
    float score;
    place(img, 17, place_of);
    must(ops->positions(gpu->state, 0, origin, NULL, NULL, &err), &err);
    request.patches = true;
    must(ops->candidates(gpu->state, 0, &request, out, &err), &err);
    must(ops->source(gpu->state, 0, img, NULL, 0, &err), &err);
    assert_int_equal(ops->positions(gpu->state, 0, origin, NULL, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "before the pixel-JND maps");
    assert_int_equal(ops->candidates(gpu->state, 0, &request, out, &err), -EINVAL);
    vj_assert_contains(err.text, "patches asked for before positions()");
    request.patches = false;
    request.metrics = true;
    assert_int_equal(ops->candidates(gpu->state, 0, &request, out, &err), -EINVAL);
    vj_assert_contains(err.text, "rules on pixel-JND maps asked for before jnd_maps()");
    assert_int_equal(ops->scores(gpu->state, 0, 0, 0, 1, &score, NULL, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "patches of 0 were kept");
    assert_int_equal(ops->wait(gpu->state, 0, &err), 0);
}

static void requests_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    if (strcmp(selector(), "cpu") == 0)
        skip();
    struct fixture f;
    struct vj_error err = {0};
    float score[LEVELS];
    int64_t bytes[LEVELS];
    fixture_open(&f, 1);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    const struct vj_device_ops *ops = gpu.ops;
    const struct vj_candidate_values out = {.bytes = bytes};
    struct vj_candidate_request request = {.qf = levels_qf, .count = 1, .sizes = true};
    struct vj_image large = picture(PIXELS(200) + 1, 64, 3, 1);
    char sizes[96];
    snprintf(sizes, sizeof(sizes), "picture of %zux64 is larger than the planned %zux%zu",
             large.width, PIXELS(200), PIXELS(200));
    int32_t outside[PATCHES * DRAWS][2] = {{0}};
    outside[3][1] = (int32_t)PIXELS(200) - SIDE + 1;

    assert_int_equal(ops->wait(gpu.state, 1, &err), -EINVAL);
    vj_assert_contains(err.text, "slot 1 of 1");
    assert_int_equal(ops->candidates(gpu.state, 0, &request, &out, &err), -EINVAL);
    vj_assert_contains(err.text, "no picture is loaded into slot 0");
    assert_int_equal(ops->source(gpu.state, 0, &large, NULL, 0, &err), -EFBIG);
    vj_assert_contains(err.text, sizes);
    assert_int_equal(ops->source(gpu.state, 0, &f.img[0], &f.img[1], 0, &err), -EINVAL);
    must(ops->source(gpu.state, 0, &f.img[0], NULL, 0, &err), &err);
    assert_int_equal(ops->positions(gpu.state, 0, (const int32_t(*)[2])outside, NULL, NULL, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "before the pixel-JND maps");
    must(ops->jnd_maps(gpu.state, 0, &err), &err);
    assert_int_equal(ops->positions(gpu.state, 0, (const int32_t(*)[2])outside, NULL, NULL, &err),
                     -EINVAL);
    vj_assert_contains(err.text, EMULATED ? "patch 4 of 6" : "patch 4 of 10");
    request.patches = true;
    assert_int_equal(ops->candidates(gpu.state, 0, &request, &out, &err), -EINVAL);
    request.patches = false;
    request.count = LEVELS + 1;
    assert_int_equal(ops->candidates(gpu.state, 0, &request, &out, &err), -EINVAL);
    request.count = 1;
    must(ops->candidates(gpu.state, 0, &request, &out, &err), &err);
    assert_int_equal(ops->scores(gpu.state, 0, 0, 0, 1, score, NULL, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "patches of 0 were kept");
    assert_int_equal(ops->wait(gpu.state, 0, &err), 0);
    vj_assert_in_range(bytes[0], 623, PIXELS(200) * PIXELS(200));
    nothing_is_left_of_the_picture_before(&gpu, &f.img[0], &request, &out);
    vj_image_free(&large);
    vj_device_close(&gpu);
    fixture_close(&f);
}

static void a_run_that_does_not_fit_the_gpu_is_refused_with_both_numbers(void **state)
{
    (void)state;
    if (!EMULATED) {
        print_message("skipped: only the emulation can be made small\n");
        skip();
    }
    struct setup s;
    struct vj_device device;
    struct vj_error err = {0};
    char note[256];
    setup_open(&s, 64, 64, VJ_SUBSAMPLING_420, 1);
    s.plan.weights_count = 0;
    setenv("VPJND_EMULATE_MEMORY", "1500", 1);
    assert_int_equal(vj_device_open(&device, selector(), &s.plan, note, &err), -ENOMEM);
    unsetenv("VPJND_EMULATE_MEMORY");
    vj_assert_contains(err.text, "the run needs ");
    vj_assert_contains(err.text, " MiB more on GPU 0 for pictures of 64x64, 0 MiB are free; lower "
                                 "slots or patches");
    setup_close(&s);
}

static void
a_pixel_jnd_model_without_kernels_is_an_error_and_auto_says_that_it_takes_the_cpu(void **state)
{
    (void)state;
    struct setup s;
    struct vj_device device;
    struct vj_error err = {0};
    char note[256];
    setup_open(&s, 64, 64, VJ_SUBSAMPLING_420, 1);
    s.plan.jnd[0].model = vj_jnd_find("liu10", NULL);
    s.plan.jnd[0].variant = 1;
    assert_int_equal(vj_device_open(&device, selector(), &s.plan, note, &err), -ENOTSUP);
    vj_assert_contains(err.text, "the CUDA device has no kernels for pixel-JND model liu10, "
                                 "variant paper (there are some for authors-pd, paper-pd); "
                                 "use --device cpu");
    assert_int_equal(vj_device_open(&device, "auto", &s.plan, note, &err), 0);
    assert_string_equal(note, "device auto: using the CPU, the CUDA device has no kernels for "
                              "pixel-JND model liu10, variant paper (there are some for "
                              "authors-pd, paper-pd)");
    assert_ptr_equal(device.ops, &vj_device_cpu);
    vj_device_close(&device);
    s.plan.jnd[0].variant = 3;
    must(vj_device_open(&device, selector(), &s.plan, note, &err), &err);
    assert_ptr_not_equal(device.ops, &vj_device_cpu);
    vj_device_close(&device);
    setup_close(&s);
}

/* ---- values on their way ---- */

static void values_of_calls_before_a_failed_one_arrive(void **state)
{
    (void)state;
    struct fixture f;
    struct vj_error err = {0};
    fixture_open(&f, 1);
    struct shelf shelf = {.img = f.img[0], .bad_qf = 88};
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *expected = run(&gpu, &f.course[0]);
    struct answers *got = fresh(), *lost = fresh();
    assert_int_equal(vj_jpeg_plan_create(&shelf.plan, &f.img[0], VJ_SUBSAMPLING_420, NULL), 0);
    ask(&gpu, 0, &f.course[0], got);
    const struct vj_candidate_request request = {
        .qf = levels_qf, .count = LEVELS, .fetch = take_from_shelf, .user = &shelf, .sizes = true};
    const struct vj_candidate_values out = {.bytes = lost->bytes};
    assert_int_equal(gpu.ops->candidates(gpu.state, 0, &request, &out, &err), -EBADMSG);
    wait_for(&gpu, 0);
    expect_same(expected, got);
    free(lost);
    free(got);
    free(expected);
    vj_device_close(&gpu);
    vj_jpeg_plan_free(shelf.plan);
    fixture_close(&f);
}

/* A white picture, of which the second network alone makes more than halves hold. Asked for without
 * the values of patches, that have no memory of their own then. */
static void what_leaves_the_range_of_halves_is_an_error_that_names_the_network(void **state)
{
    (void)state;
    if (strcmp(selector(), "cpu") == 0)
        skip();
    struct setup s;
    struct vj_error err = {0};
    int32_t origin[PATCHES * DRAWS][2];
    float score[2] = {0};
    int64_t bytes;
    struct vj_image white = picture(PIXELS(48), PIXELS(48), 3, 1);
    memset(white.data, 255, white.width * white.height * 3);
    setup_open(&s, white.width, white.height, VJ_SUBSAMPLING_420, 1);
    s.plan.precision = VJ_PRECISION_FP16;
    const struct vj_tensor *t = vj_weights_find(&s.weights[1], "extract_feature/conv1/weights");
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = 30000.0f;
    struct vj_device gpu = device_open(selector(), &s.plan);
    const struct vj_device_ops *ops = gpu.ops;
    const struct vj_candidate_request request = {.qf = levels_qf, .count = 1, .patches = true};
    const struct vj_candidate_values out = {.bytes = &bytes};
    place(&white, 3, origin);
    must(ops->source(gpu.state, 0, &white, NULL, 0, &err), &err);
    must(ops->jnd_maps(gpu.state, 0, &err), &err);
    must(ops->positions(gpu.state, 0, (const int32_t(*)[2])origin, NULL, NULL, &err), &err);
    must(ops->candidates(gpu.state, 0, &request, &out, &err), &err);
    must(ops->scores(gpu.state, 0, 0, 0, 1, &score[0], NULL, NULL, &err), &err);
    must(ops->wait(gpu.state, 0, &err), &err);
    assert_true(isfinite(score[0]));
    must(ops->scores(gpu.state, 0, 1, 0, 1, &score[1], NULL, NULL, &err), &err);
    assert_int_equal(ops->wait(gpu.state, 0, &err), -ERANGE);
    vj_assert_contains(err.text, "network 2 leaves the range of half precision on this picture");
    assert_int_equal(ops->wait(gpu.state, 0, &err), 0);
    vj_device_close(&gpu);
    vj_image_free(&white);
    setup_close(&s);
}

static void a_device_says_what_it_is_made_of(void **state)
{
    (void)state;
    if (!EMULATED) {
        print_message("skipped: cards and their libraries differ\n");
        skip();
    }
    struct setup s;
    struct vj_device_info info;
    int major = 0, minor = 0;
    setup_open(&s, 64, 64, VJ_SUBSAMPLING_420, 1);
    struct vj_device gpu = device_open(selector(), &s.plan);
    gpu.ops->info(gpu.state, &info);
    print_message("%s; %s\n", info.name, info.libraries);
    vj_assert_contains(info.name, "CUDA:0 emulated");
    vj_assert_contains(info.name, ", driver for CUDA ");
    vj_assert_contains(info.name, " MiB pinned");
    assert_int_equal(sscanf(info.libraries, "CUDA %d.%d, ", &major, &minor), 2);
    assert_true(major >= 12 && minor >= 0 && minor < 10);
    vj_assert_contains(info.libraries, ", cuDNN 9.19.0, cuBLASLt 13.1.0; emulated");
    vj_assert_contains(info.libraries, ", driver for CUDA ");
    vj_assert_contains(info.libraries, ", fp32, ");
    vj_device_close(&gpu);
    setup_close(&s);
}

/* ---- calls of CUDA that fail ---- */

static void fail_at(unsigned call)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", call);
    setenv("VPJND_EMULATE_FAIL", text, 1);
}

/* Whether call `call` of opening, or of two pictures of which one has files, was there to fail. */
static bool survives(const struct fixture *f, const struct course course[2], unsigned call,
                     struct answers *const expected[2])
{
    struct vj_device gpu;
    struct vj_error err = {0};
    struct answers *got[2] = {fresh(), fresh()};
    char note[256];
    bool failed;
    fail_at(call);
    int r = vj_device_open(&gpu, selector(), &f->s.plan, note, &err);
    if (r) {
        failed = !getenv("VPJND_EMULATE_FAIL");
        unsetenv("VPJND_EMULATE_FAIL");
    } else {
        for (int i = 0; i < 2; i++) {
            const int asked = try_to_ask(&gpu, i, &course[i], got[i], &err);
            r = r ? r : asked;
        }
        for (int i = 0; i < 2; i++) {
            const int waited = gpu.ops->wait(gpu.state, i, &err);
            r = r ? r : waited;
        }
        failed = !getenv("VPJND_EMULATE_FAIL");
        unsetenv("VPJND_EMULATE_FAIL");
        for (int i = 0; !r && i < 2; i++) /* another way was taken */
            expect_same(expected[i], got[i]);
        for (int i = 0; i < 2; i++) { /* whatever has failed, what comes next does not show it */
            free(got[i]);
            got[i] = fresh();
            ask(&gpu, i, &course[i], got[i]);
        }
        for (int i = 0; i < 2; i++) {
            wait_for(&gpu, i);
            expect_same(expected[i], got[i]);
        }
        vj_device_close(&gpu);
    }
    for (int i = 0; i < 2; i++)
        free(got[i]);
    if (r && !strstr(err.text, "CUDA") && !strstr(err.text, "cuDNN") && !strstr(err.text, "cuBLAS"))
        fail_msg("call %u: \"%s\" names none of the libraries", call, err.text);
    return failed;
}

static void every_call_of_cuda_may_fail(void **state)
{
    (void)state;
    if (!EMULATED) {
        print_message("skipped: only the emulation fails on demand\n");
        skip();
    }
    struct fixture f;
    struct answers *expected[2];
    fixture_open(&f, 2);
    struct shelf shelf = {.img = f.img[0]};
    assert_int_equal(vj_jpeg_plan_create(&shelf.plan, &f.img[0], VJ_SUBSAMPLING_420, NULL), 0);
    struct course course[2] = {f.course[2], f.course[0]};
    course[1].fetch = take_from_shelf;
    course[1].user = &shelf;
    course[0].step = course[1].step = 3; /* more calls than buffers */
    course[0].wanted = course[1].wanted = (const bool[NETWORKS]){true};
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    for (int i = 0; i < 2; i++)
        expected[i] = run(&gpu, &course[i]);
    vj_device_close(&gpu);
    const char *step = getenv("VPJND_TEST_STEP");
    unsigned call = 1;
    while (survives(&f, course, call, expected))
        call += step ? (unsigned)strtoul(step, NULL, 10) : 127;
    print_message("up to call %u\n", call);
    assert_true(call > 100);
    for (int i = 0; i < 2; i++)
        free(expected[i]);
    vj_jpeg_plan_free(shelf.plan);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_file_fails_its_picture_alone),
        cmocka_unit_test(positions_after_a_failure_are_those_asked_for),
        cmocka_unit_test(requests_that_do_not_fit_are_refused),
        cmocka_unit_test(a_run_that_does_not_fit_the_gpu_is_refused_with_both_numbers),
        cmocka_unit_test(
            a_pixel_jnd_model_without_kernels_is_an_error_and_auto_says_that_it_takes_the_cpu),
        cmocka_unit_test(values_of_calls_before_a_failed_one_arrive),
        cmocka_unit_test(what_leaves_the_range_of_halves_is_an_error_that_names_the_network),
        cmocka_unit_test(a_device_says_what_it_is_made_of),
        cmocka_unit_test(every_call_of_cuda_may_fail),
    };
    if (!device_is_there(selector()))
        return VJ_TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
