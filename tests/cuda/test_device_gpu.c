/* SPDX-License-Identifier: MIT */
/*
 * The CUDA device against the CPU device, end to end through the table of host/device.h. Sizes,
 * qualities and numbers by the rules on maps must be equal to the last bit; scores lie within a
 * limit. Within the CUDA device everything must be equal bit for bit, however the work is cut up:
 * calls, slots, devices, files or synthesised candidates, first run or second.
 *
 * VPJND_TEST_SELECTOR in the environment tests another device than `cuda`, e.g. cuda:1.
 */
#include "tests/cuda/device_rig.h"

#include <math.h>

/*
 * Largest ||gpu - cpu|| / ||cpu|| over the scores, patch qualities and patch weights of one
 * picture. fp32: sums of up to 49,152 products in another order. tf32 and fp16: operands of 10 bits
 * of mantissa, 2^-11 each, through five layers.
 */
static const double score_limit[] = {1e-4, 2e-2, 2e-2};

static double distance(const float *a, const float *b, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / norm);
}

static void expect_close(const struct answers *gpu, const struct answers *cpu, double limit)
{
    assert_memory_equal(gpu->bytes, cpu->bytes, sizeof(gpu->bytes));
    assert_memory_equal(gpu->quality, cpu->quality, sizeof(gpu->quality));
    assert_memory_equal(gpu->ssimulacra2, cpu->ssimulacra2, sizeof(gpu->ssimulacra2));
    assert_memory_equal(gpu->share, cpu->share, sizeof(gpu->share));
    assert_memory_equal(gpu->excess, cpu->excess, sizeof(gpu->excess));
    assert_memory_equal(gpu->noise_gain, cpu->noise_gain, sizeof(gpu->noise_gain));
    double score = distance(gpu->score[0][0], cpu->score[0][0], sizeof(gpu->score) / 4);
    double quality = distance(gpu->patch_quality[0][0][0], cpu->patch_quality[0][0][0],
                              sizeof(gpu->patch_quality) / 4);
    double weight = distance(gpu->patch_weight[0][0][0], cpu->patch_weight[0][0][0],
                             sizeof(gpu->patch_weight) / 4);
    print_message("scores %.2g, patch qualities %.2g, patch weights %.2g (limit %.2g)\n", score,
                  quality, weight, limit);
    assert_true(score <= limit && quality <= limit && weight <= limit); /* NaN fails */
}

/* ---- parity ---- */

struct shape {
    size_t width, height;
    int channels;
    enum vj_subsampling sampling;
    int anchor_qf;
    bool reference, from_anchor, own_jnd;
    enum vj_jnd_scale scale;
};

static const struct shape shapes[] = {
    {PIXELS(200), PIXELS(181), 3, VJ_SUBSAMPLING_420, 100, false, true, false, VJ_JND_MINMAX},
    {PIXELS(177), PIXELS(259), 3, VJ_SUBSAMPLING_444, 0, false, false, true, VJ_JND_MAX},
    {PIXELS(333), PIXELS(217), 1, VJ_SUBSAMPLING_420, 0, false, false, false, VJ_JND_NONE},
    {PIXELS(48), PIXELS(48), 3, VJ_SUBSAMPLING_420, 50, false, false, false, VJ_JND_MINMAX},
    {SIDE + 1, PIXELS(63), 1, VJ_SUBSAMPLING_420, 100, false, true, true, VJ_JND_MAX},
    {PIXELS(190), PIXELS(177), 3, VJ_SUBSAMPLING_420, 0, true, true, false, VJ_JND_MINMAX},
};

static void compare_devices(const struct shape *shape, enum vj_precision precision)
{
    struct setup s;
    struct vj_image img = picture(shape->width, shape->height, shape->channels, 11);
    struct vj_image other = picture(shape->width, shape->height, shape->channels, 12);
    setup_open(&s, shape->width + 9, shape->height + 3, shape->sampling, 1);
    s.plan.net_scale = shape->scale;
    s.plan.jnd_from_anchor = shape->from_anchor;
    const struct course course = {.img = &img,
                                  .reference = shape->reference ? &other : NULL,
                                  .anchor_qf = shape->anchor_qf,
                                  .seed = 3,
                                  .step = LEVELS,
                                  .own_jnd = shape->own_jnd};
    struct vj_device cpu = device_open("cpu", &s.plan);
    struct answers *expected = run(&cpu, &course);
    vj_device_close(&cpu);
    s.plan.precision = precision;
    struct vj_device gpu = device_open(selector(), &s.plan);
    struct answers *got = run(&gpu, &course);
    vj_device_close(&gpu);
    expect_close(got, expected, score_limit[precision]);
    free(got);
    free(expected);
    vj_image_free(&img);
    vj_image_free(&other);
    setup_close(&s);
}

static void answers_are_those_of_the_cpu(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        compare_devices(&shapes[i], VJ_PRECISION_FP32);
}

static void lower_precisions_stay_within_their_limits(void **state)
{
    (void)state;
    if (strcmp(selector(), "cpu") == 0)
        skip();
    compare_devices(&shapes[0], VJ_PRECISION_TF32);
    compare_devices(&shapes[0], VJ_PRECISION_FP16);
}

/* ---- the same work, cut up differently ---- */

static void a_second_run_gives_the_same_bits(void **state)
{
    (void)state;
    struct fixture f;
    struct answers *again[2];
    fixture_open(&f, 1);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *first = run(&gpu, &f.course[0]);
    free(run(&gpu, &f.course[1])); /* another picture in between leaves nothing behind */
    again[0] = run(&gpu, &f.course[0]);
    vj_device_close(&gpu);
    gpu = device_open(selector(), &f.s.plan);
    again[1] = run(&gpu, &f.course[0]);
    vj_device_close(&gpu);
    for (int i = 0; i < 2; i++) {
        expect_same(first, again[i]);
        free(again[i]);
    }
    free(first);
    fixture_close(&f);
}

/* Which networks score a picture is another choice for each, e.g. the one of its test fold. */
static void networks_that_are_not_wanted_give_no_scores_and_change_none(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *all = run(&gpu, &f.course[0]);
    for (size_t n = 0; n < NETWORKS; n++) {
        struct vj_error err = {0};
        bool wanted[NETWORKS] = {false};
        float score[LEVELS];
        size_t other = (n + 1) % NETWORKS;
        free(run(&gpu, &f.course[1])); /* the other network's reference side is of this picture */
        wanted[n] = true;
        f.course[0].wanted = wanted;
        struct answers *one = run(&gpu, &f.course[0]);
        assert_memory_equal(all->score[n], one->score[n], sizeof(one->score[n]));
        assert_memory_equal(all->patch_weight[n], one->patch_weight[n],
                            sizeof(one->patch_weight[n]));
        assert_memory_not_equal(all->score[other], one->score[other], sizeof(one->score[other]));
        assert_int_equal(gpu.ops->scores(gpu.state, 0, other, 0, LEVELS, score, NULL, NULL, &err),
                         -EINVAL);
        vj_assert_contains(err.text, other ? "scores of network 1, which positions() did not want"
                                           : "scores of network 0, which positions() did not want");
        assert_int_equal(gpu.ops->wait(gpu.state, 0, &err), 0);
        free(one);
    }
    free(all);
    vj_device_close(&gpu);
    fixture_close(&f);
}

/* One level per call leaves many results on their way: more than there is room for. */
static void the_number_of_levels_per_call_changes_nothing(void **state)
{
    (void)state;
    static const int steps[] = {1, 5, 7};
    struct fixture f;
    fixture_open(&f, 1);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *whole = run(&gpu, &f.course[0]);
    for (int i = 0; i < 3; i++) {
        f.course[0].step = steps[i];
        struct answers *parts = run(&gpu, &f.course[0]);
        expect_same(whole, parts);
        free(parts);
    }
    free(whole);
    vj_device_close(&gpu);
    fixture_close(&f);
}

static void expect_alone(const struct fixture *f, const char *name, int slots, int rounds)
{
    struct answers *alone[3], *together[3];
    struct vj_device_plan plan = f->s.plan;
    plan.slots = 1;
    struct vj_device gpu = device_open(selector(), &plan);
    for (int i = 0; i < 3; i++)
        alone[i] = run(&gpu, &f->course[i]);
    vj_device_close(&gpu);
    plan.slots = slots;
    gpu = device_open(name, &plan);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 3; i++) {
            together[i] = fresh();
            ask(&gpu, (i + round) % slots, &f->course[i], together[i]);
        }
        for (int i = 0; i < 3; i++)
            wait_for(&gpu, (i + round) % slots);
        for (int i = 0; i < 3; i++) {
            expect_same(alone[i], together[i]);
            free(together[i]);
        }
    }
    vj_device_close(&gpu);
    for (int i = 0; i < 3; i++)
        free(alone[i]);
}

static void pictures_in_flight_do_not_touch_each_other(void **state)
{
    (void)state;
    if (strcmp(selector(), "cpu") == 0)
        skip(); /* the CPU device keeps one working set */
    struct fixture f;
    fixture_open(&f, 3);
    expect_alone(&f, selector(), 3, EMULATED ? 2 : 4);
    expect_alone(&f, selector(), 2, 2); /* fewer slots than pictures: source() waits */
    fixture_close(&f);
}

static void two_devices_give_what_one_gives(void **state)
{
    (void)state;
    if (strcmp(selector(), "cuda") != 0)
        skip();
    struct fixture f;
    fixture_open(&f, 3);
    expect_alone(&f, "cuda:0,0", 3, 2);
    fixture_close(&f);
}

static void files_give_what_synthesised_candidates_give(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1);
    /* Room for pictures so large that a ring buffer holds 3: both are refilled within a call. */
    f.s.plan.max_width = 6000;
    f.s.plan.max_height = 2000;
    struct shelf shelf = {.img = f.img[0]};
    assert_int_equal(vj_jpeg_plan_create(&shelf.plan, &f.img[0], VJ_SUBSAMPLING_420, NULL), 0);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct answers *made = run(&gpu, &f.course[0]);
    f.course[0].fetch = take_from_shelf;
    f.course[0].user = &shelf;
    for (int step = LEVELS; step >= 3; step -= 4) {
        f.course[0].step = step;
        struct answers *read = run(&gpu, &f.course[0]);
        expect_same(made, read);
        free(read);
    }
    free(made);
    vj_device_close(&gpu);
    vj_jpeg_plan_free(shelf.plan);
    fixture_close(&f);
}

/* Both kinds go through the same buffers. */
static void files_beside_synthesised_candidates_do_not_touch_each_other(void **state)
{
    (void)state;
    if (strcmp(selector(), "cpu") == 0)
        skip(); /* the CPU device keeps one working set */
    struct fixture f;
    struct answers *alone[2], *together[2];
    fixture_open(&f, 2);
    f.s.plan.max_width = 6000; /* more calls' worth of candidates than buffers */
    f.s.plan.max_height = 2000;
    struct shelf shelf = {.img = f.img[0]};
    assert_int_equal(vj_jpeg_plan_create(&shelf.plan, &f.img[0], VJ_SUBSAMPLING_420, NULL), 0);
    struct vj_device gpu = device_open(selector(), &f.s.plan);
    struct course course[2] = {f.course[0], f.course[1]};
    course[0].fetch = take_from_shelf;
    course[0].user = &shelf;
    for (int i = 0; i < 2; i++)
        alone[i] = run(&gpu, &course[i]);
    for (int first = 0; first < 2; first++) {
        for (int i = 0; i < 2; i++) {
            const int which = (first + i) % 2;
            together[which] = fresh();
            ask(&gpu, which, &course[which], together[which]);
        }
        for (int i = 0; i < 2; i++) {
            wait_for(&gpu, i);
            expect_same(alone[i], together[i]);
            free(together[i]);
        }
    }
    for (int i = 0; i < 2; i++)
        free(alone[i]);
    vj_device_close(&gpu);
    vj_jpeg_plan_free(shelf.plan);
    fixture_close(&f);
}

/* ---- a metric on its own ---- */

/* A picture of size width, height and channels: its metrics of all candidates in one call. */
static void measure(const struct vj_device *device, const size_t size[3], uint64_t seed,
                    int anchor_qf, const struct vj_candidate_values *out)
{
    struct vj_error err = {0};
    struct vj_image img = picture(size[0], size[1], (int)size[2], seed);
    const struct vj_candidate_request request = {.qf = levels_qf, .count = LEVELS, .metrics = true};
    must(device->ops->source(device->state, 0, &img, NULL, anchor_qf, &err), &err);
    must(device->ops->jnd_maps(device->state, 0, &err), &err);
    must(device->ops->candidates(device->state, 0, &request, out, &err), &err);
    wait_for(device, 0);
    vj_image_free(&img);
}

/* Pictures of several sizes, one too small for the metric. */
static void scores_alone(const char *name, const struct vj_device_plan *plan,
                         double score[3][LEVELS])
{
    static const size_t size[3][3] = {{121, 64, 3}, {7, 30, 3}, {90, 117, 1}};
    struct vj_device device = device_open(name, plan);
    for (int i = 0; i < 3; i++) {
        const struct vj_candidate_values out = {.ssimulacra2 = score[i]};
        measure(&device, size[i], 31, i == 2 ? 100 : 0, &out);
    }
    vj_device_close(&device);
}

static void ssimulacra2_alone_is_that_of_the_cpu_in_every_mode(void **state)
{
    (void)state;
    struct vj_device_plan plan = {.max_width = 121,
                                  .max_height = 117,
                                  .slots = 1,
                                  .threads = 1,
                                  .levels = LEVELS,
                                  .sampling = VJ_SUBSAMPLING_420,
                                  .net_jnd = -1,
                                  .draws = 1};
    for (int mode = VJ_SSIMULACRA2_EXACT; mode <= VJ_SSIMULACRA2_PARITY; mode++) {
        double expected[3][LEVELS], got[3][LEVELS];
        memset(got, 0xA5, sizeof(got));
        plan.ssimulacra2 = (enum vj_ssimulacra2_mode)mode;
        scores_alone("cpu", &plan, expected);
        scores_alone(selector(), &plan, got);
        for (int k = 0; k < LEVELS; k++) {
            assert_memory_equal(&got[0][k], &expected[0][k], sizeof(double));
            assert_true(isnan(got[1][k]) && isnan(expected[1][k]));
            assert_memory_equal(&got[2][k], &expected[2][k], sizeof(double));
        }
        assert_true(got[0][LEVELS - 1] > got[0][0] && got[0][0] < 50);
    }
}

/* ---- rules on maps of every model ---- */

enum { MAP_PICTURES = 2 };

struct map_numbers {
    double share[LEVELS], excess[LEVELS], noise_gain[LEVELS];
};

/* By all rules on the plan's only map; false: the device has no kernels for its model. */
static bool rules_alone(const char *name, const struct vj_device_plan *plan,
                        struct map_numbers numbers[MAP_PICTURES])
{
    static const size_t size[MAP_PICTURES][3] = {{83, 61, 3}, {68, 77, 1}};
    struct vj_device device;
    struct vj_error err = {0};
    char note[256];
    int r = vj_device_open(&device, name, plan, note, &err);
    if (r == -ENOTSUP)
        return false;
    must(r, &err);
    for (int i = 0; i < MAP_PICTURES; i++) {
        const struct vj_candidate_values out = {.share = {numbers[i].share},
                                                .excess = {numbers[i].excess},
                                                .noise_gain = {numbers[i].noise_gain}};
        measure(&device, size[i], 41, i ? 100 : 0, &out);
    }
    vj_device_close(&device);
    return true;
}

static void rules_on_maps_of_every_model_are_those_of_the_cpu(void **state)
{
    (void)state;
    struct vj_device_plan plan = {.max_width = 90,
                                  .max_height = 80,
                                  .slots = 1,
                                  .threads = 2,
                                  .levels = LEVELS,
                                  .sampling = VJ_SUBSAMPLING_420,
                                  .jnd_count = 1,
                                  .jnd_share = {true},
                                  .jnd_excess = {true},
                                  .jnd_noise = {true},
                                  .net_jnd = -1,
                                  .draws = 1};
    int compared = 0, refused = 0;
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        plan.jnd[0].model = vj_jnd_models[m];
        for (size_t v = 0; !vj_jnd_models[m]->needs_weights && vj_jnd_models[m]->variants[v]; v++) {
            struct map_numbers expected[MAP_PICTURES], got[MAP_PICTURES];
            plan.jnd[0].variant = v;
            memset(got, 0xA5, sizeof(got));
            memset(expected, 0x5A, sizeof(expected));
            assert_true(rules_alone("cpu", &plan, expected));
            if (!rules_alone(selector(), &plan, got)) {
                refused++;
                continue;
            }
            compared++;
            if (memcmp(expected, got, sizeof(got)) != 0)
                fail_msg("%s, %s: other numbers than on the CPU", vj_jnd_models[m]->name,
                         vj_jnd_models[m]->variants[v]);
        }
    }
    assert_true(compared >= 11);
    assert_int_equal(refused, strcmp(selector(), "cpu") == 0 ? 0 : 2); /* liu10's exact cuts */
}

/* ---- networks that see no pixel-JND map ---- */

enum { PW_SIDE = 32 };

/* Scores of one network for one picture. */
struct pw_scores {
    float score[LEVELS], quality[LEVELS][PATCHES], weight[LEVELS][PATCHES];
};

static struct pw_scores pw_run(const char *name, const struct vj_device_plan *plan, size_t network)
{
    struct vj_device device = device_open(name, plan);
    const struct vj_device_ops *ops = device.ops;
    struct vj_image img = picture(200, 181, 3, 11);
    struct vj_error err = {0};
    struct pw_scores s;
    int32_t origin[PATCHES][2];
    const struct vj_candidate_request request = {.qf = levels_qf, .count = LEVELS, .patches = true};
    const struct vj_candidate_values out = {.bytes = NULL};
    memset(&s, 0xA5, sizeof(s));
    for (int32_t p = 0; p < PATCHES; p++) {
        origin[p][0] = 23 * p;
        origin[p][1] = 136 - 31 * p;
    }
    must(ops->source(device.state, 0, &img, NULL, 100, &err), &err);
    must(ops->jnd_maps(device.state, 0, &err), &err);
    must(ops->positions(device.state, 0, (const int32_t(*)[2])origin, NULL, NULL, &err), &err);
    must(ops->candidates(device.state, 0, &request, &out, &err), &err);
    must(ops->scores(device.state, 0, network, 0, LEVELS, s.score, s.quality[0], s.weight[0], &err),
         &err);
    wait_for(&device, 0);
    vj_image_free(&img);
    vj_device_close(&device);
    return s;
}

static void pw_expect_close(const struct pw_scores *gpu, const struct pw_scores *cpu, double limit)
{
    const double score = distance(gpu->score, cpu->score, LEVELS);
    const double quality = distance(gpu->quality[0], cpu->quality[0], LEVELS * PATCHES);
    const double weight = distance(gpu->weight[0], cpu->weight[0], LEVELS * PATCHES);
    print_message("scores %.2g, patch qualities %.2g, patch weights %.2g (limit %.2g)\n", score,
                  quality, weight, limit);
    assert_true(score <= limit && quality <= limit && weight <= limit); /* NaN fails */
}

/* pw-jnd alone without any map, then beside a network that has one. */
static void networks_without_a_map_score_as_on_the_cpu_alone_and_beside_others(void **state)
{
    (void)state;
    struct vj_weights weights[2];
    const struct vj_weights *const list[2] = {&weights[0], &weights[1]};
    struct vj_error err = {0};
    memset(weights, 0, sizeof(weights));
    for (int i = 0; i < 2; i++) {
        struct vj_net_shape shape = vj_net_shape_default(i ? VJ_VARIANT_FIGURE : VJ_VARIANT_PW_JND);
        shape.patch_size = PW_SIDE;
        if (EMULATED)
            make_narrow(&shape);
        must(vj_weights_init(&weights[i], &shape, 17, &err), &err);
    }
    struct vj_device_plan alone = {.max_width = 200,
                                   .max_height = 200,
                                   .slots = 1,
                                   .threads = 4,
                                   .levels = LEVELS,
                                   .sampling = VJ_SUBSAMPLING_420,
                                   .net_jnd = -1,
                                   .weights = list,
                                   .weights_count = 1,
                                   .patches = PATCHES,
                                   .draws = 1,
                                   .patch_size = PW_SIDE};
    struct vj_device_plan both = alone;
    both.weights_count = 2;
    both.jnd_count = 1;
    both.jnd[0].model = vj_jnd_find("chou95", NULL);
    both.net_jnd = 0;
    both.net_scale = VJ_JND_MINMAX;
    const struct pw_scores pw = pw_run("cpu", &alone, 0), figure = pw_run("cpu", &both, 1);
    for (int precision = 0; precision < 3; precision++) {
        alone.precision = both.precision = (enum vj_precision)precision;
        if (precision != VJ_PRECISION_FP32 && strcmp(selector(), "cpu") == 0)
            continue;
        const struct pw_scores one = pw_run(selector(), &alone, 0);
        const struct pw_scores first = pw_run(selector(), &both, 0);
        const struct pw_scores second = pw_run(selector(), &both, 1);
        pw_expect_close(&one, &pw, score_limit[precision]);
        pw_expect_close(&second, &figure, score_limit[precision]);
        assert_memory_equal(&one, &first, sizeof(one));
    }
    for (int i = 0; i < 2; i++)
        vj_weights_free(&weights[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_cpu),
        cmocka_unit_test(lower_precisions_stay_within_their_limits),
        cmocka_unit_test(a_second_run_gives_the_same_bits),
        cmocka_unit_test(networks_that_are_not_wanted_give_no_scores_and_change_none),
        cmocka_unit_test(the_number_of_levels_per_call_changes_nothing),
        cmocka_unit_test(pictures_in_flight_do_not_touch_each_other),
        cmocka_unit_test(two_devices_give_what_one_gives),
        cmocka_unit_test(files_give_what_synthesised_candidates_give),
        cmocka_unit_test(files_beside_synthesised_candidates_do_not_touch_each_other),
        cmocka_unit_test(ssimulacra2_alone_is_that_of_the_cpu_in_every_mode),
        cmocka_unit_test(rules_on_maps_of_every_model_are_those_of_the_cpu),
        cmocka_unit_test(networks_without_a_map_score_as_on_the_cpu_alone_and_beside_others),
    };
    if (!device_is_there(selector()))
        return VJ_TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
