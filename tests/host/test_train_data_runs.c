/* SPDX-License-Identifier: MIT */
/* What must not change a batch of training data, and what is refused. */
#include "tests/host/train_data_rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "host/jpeg_plan.h"

/* ---- what must not matter ---- */

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_batch(const struct vj_train_batch *b)
{
    size_t pixels = (size_t)PATCHES * SIDE * SIDE;
    uint64_t h = hash(0xcbf29ce484222325u, b->r, b->references * pixels * 3);
    h = hash(h, b->j, b->references * pixels);
    h = hash(h, b->d, b->pairs * pixels * 3);
    h = hash(h, b->reference, b->pairs * sizeof(*b->reference));
    h = hash(h, b->target, b->pairs * sizeof(*b->target));
    return hash(h, b->importance, b->pairs * sizeof(*b->importance));
}

enum { STEPS = 6 };

/* order: steps to ask for, each 1..STEPS at least once, 0 ends it */
static void hash_steps(uint64_t out[STEPS], const char *settings, const int *order)
{
    struct rig rig;
    rig_open(&rig, settings);
    for (; *order; order++) {
        struct vj_train_batch batch = batch_of(&rig, (uint64_t)*order);
        out[*order - 1] = hash_batch(&batch);
    }
    rig_close(&rig);
}

static void check_indifference(const char *settings)
{
    static const int forth[] = {1, 2, 3, 4, 5, 6, 0}, back[] = {6, 5, 4, 3, 2, 1, 0},
                     wild[] = {4, 4, 1, 6, 2, 6, 5, 3, 1, 0};
    uint64_t want[STEPS], got[STEPS];
    char text[512];
    static const char *const ways[] = {"threads=1 cache=4G", "threads=2 cache=4G",
                                       "threads=3 cache=4G", "threads=1 cache=0",
                                       "threads=3 cache=0",  "threads=2 cache=150K"};
    snprintf(text, sizeof(text), "%s threads=1", settings);
    hash_steps(want, text, forth);
    for (size_t i = 0; i < STEPS; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(want[i] != want[j]);
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        snprintf(text, sizeof(text), "%s %s", settings, ways[way]);
        hash_steps(got, text, way % 2 ? back : wild);
        assert_memory_equal(got, want, sizeof(want));
    }
}

static void test_threads_order_of_steps_and_cache_do_not_matter(void **state)
{
    (void)state;
    check_indifference("batch_levels=2 loss=visual-importance");
    check_indifference(
        "batch=7 jnd_source=anchor jnd_patches=independent"); /* pictures come twice */
}

static void test_the_seed_matters(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t h[2];
    for (int i = 0; i < 2; i++) {
        rig_open(&rig, i ? "seed=12" : "seed=11");
        struct vj_train_batch batch = batch_of(&rig, 1);
        h[i] = hash_batch(&batch);
        rig_close(&rig);
    }
    assert_true(h[0] != h[1]);
}

static void test_a_batch_stays_while_the_next_one_is_made(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "");
    struct vj_train_batch first = batch_of(&rig, 1);
    uint64_t before = hash_batch(&first);
    struct vj_train_batch second = batch_of(&rig, 2);
    assert_true(hash_batch(&first) == before);
    assert_true(hash_batch(&second) != before);
    rig_close(&rig);
}

struct call {
    struct rig *rig;
    uint64_t step, hash;
};

static void *call_batch(void *user)
{
    struct call *call = user;
    struct vj_train_batch batch = batch_of(call->rig, call->step);
    call->hash = hash_batch(&batch);
    return NULL;
}

static void test_batches_may_be_asked_for_from_changing_threads(void **state)
{
    (void)state;
    static const int forth[] = {1, 2, 3, 4, 5, 6, 0};
    uint64_t want[STEPS];
    struct rig rig;
    hash_steps(want, "", forth);
    rig_open(&rig, "");
    for (uint64_t step = 1; step <= STEPS; step++) {
        pthread_t thread;
        struct call call = {.rig = &rig, .step = step};
        assert_int_equal(pthread_create(&thread, NULL, call_batch, &call), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(call.hash == want[step - 1]);
    }
    rig_close(&rig);
}

static void test_the_cache_holds_what_it_may_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "cache=0");
    size_t empty = vj_train_data_bytes(rig.data);
    batch_of(&rig, 1);
    assert_int_equal(vj_train_data_bytes(rig.data), empty);
    rig_close(&rig);

    rig_open(&rig, "batch=5 cache=4G");
    empty = vj_train_data_bytes(rig.data);
    batch_of(&rig, 1);
    size_t full = vj_train_data_bytes(rig.data) - empty;
    size_t one = vj_jpeg_plan_bytes(WIDTH, HEIGHT, 3, VJ_SUBSAMPLING_420) + (size_t)WIDTH * HEIGHT;
    assert_int_equal(full, PICTURES * one);
    batch_of(&rig, 2);
    assert_int_equal(vj_train_data_bytes(rig.data) - empty, full);
    rig_close(&rig);

    char settings[64];
    snprintf(settings, sizeof(settings), "batch=5 cache=%zu", 3 * one);
    rig_open(&rig, settings);
    batch_of(&rig, 1);
    assert_int_equal(vj_train_data_bytes(rig.data) - empty, 3 * one);
    rig_close(&rig);
}

/* What is held of a picture that is not in memory: a place. */
static void test_pictures_that_are_not_in_memory_take_none(void **state)
{
    (void)state;
    enum { MANY = 2000, PLACE = 32 };
    size_t item[MANY], bytes[2];
    struct vj_config config = configure("cache=0 anchors=first");
    struct vj_dataset *ds = open_set(&config);
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    shape.patch_size = SIDE;
    for (size_t i = 0; i < MANY; i++)
        item[i] = i % PICTURES;
    for (int i = 0; i < 2; i++) {
        struct vj_error err = {0};
        struct vj_train_data *data;
        struct vj_train_batch batch;
        assert_int_equal(vj_train_data_open(&data, &config, ds, item, i ? MANY : PICTURES, &shape,
                                            VJ_POSITIVE_LOSSY, &err),
                         0);
        for (uint64_t step = 1; step <= 3; step++)
            assert_int_equal(vj_train_data_batch(data, step, &batch, &err), 0);
        bytes[i] = vj_train_data_bytes(data);
        vj_train_data_close(data);
    }
    vj_assert_in_range(bytes[1] - bytes[0], 1, (MANY - PICTURES) * PLACE);
    vj_dataset_close(ds);
}

static void test_the_positive_class_may_be_lossless(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct rig lossy, lossless;
    for (int spread = 0; spread < 2; spread++) {
        const char *settings = spread ? "batch_levels=2 label_spread=8" : "batch_levels=2";
        rig_open(&lossy, settings);
        assert_int_equal(rig_try(&lossless, settings, SIDE, VJ_POSITIVE_LOSSLESS, &err), 0);
        struct vj_train_batch a = batch_of(&lossy, 1), b = batch_of(&lossless, 1);
        for (size_t i = 0; i < a.pairs; i++)
            assert_true(fabsf(a.target[i] + b.target[i] - 1) <= 1e-7f);
        rig_close(&lossy);
        rig_close(&lossless);
    }
}

static void test_patches_come_from_the_network_when_no_option_says(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "patches=0");
    assert_int_equal(vj_train_data_patches(rig.data), PATCHES + 4);
    rig_close(&rig);
}

/* ---- errors ---- */

static void check_refused(const char *settings, int side, int code, const char *part,
                          const char *other_part)
{
    struct rig rig;
    struct vj_error err = {0};
    int r = rig_try(&rig, settings, side, VJ_POSITIVE_LOSSY, &err);
    rig_close(&rig);
    assert_int_equal(r, code);
    vj_assert_contains(err.text, part);
    vj_assert_contains(err.text, other_part);
}

static void test_pictures_smaller_than_a_patch_are_refused(void **state)
{
    (void)state;
    check_refused("", 96, -EINVAL, "ImageJND_SRC01.bmp is 111x83", "at least 96 pixels");
}

static void test_pictures_above_max_pixels_are_refused(void **state)
{
    (void)state;
    check_refused("max_pixels=9000", SIDE, -EFBIG, "ImageJND_SRC01.bmp is 111x83", "max_pixels");
}

static void test_a_range_without_quality_factors_below_the_anchor_is_refused(void **state)
{
    (void)state;
    check_refused("qf_first=100", SIDE, -ENODATA, "training picture ImageJND_SRC01",
                  "below the anchor at 100");
}

static void test_a_boundary_outside_the_range_of_files_is_refused_for_its_importance(void **state)
{
    (void)state;
    check_refused("candidates=files loss=visual-importance qf_first=61 anchors=first", SIDE,
                  -ENOENT, "training picture ImageJND_SRC01", "quality factor 60");
}

/* Runs `check` while the file at `path` is `content`, or does not exist when that is NULL. */
static void with_file(const char *path, const void *content, size_t size, void (*check)(void))
{
    char aside[4200], *name = strdup(path);
    snprintf(aside, sizeof(aside), "%s.aside", name);
    assert_int_equal(rename(name, aside), 0);
    if (content) {
        FILE *file = fopen(name, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(content, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
    }
    check();
    assert_int_equal(rename(aside, name), 0);
    free(name);
}

static void expect_no_label(void)
{
    check_refused("", SIDE, -ENODATA, "training picture ImageJND_SRC03", "no label");
}

static void expect_bad_label(void)
{
    check_refused("", SIDE, -EINVAL, "training picture ImageJND_SRC03", "Image_3_l_h.txt");
}

static void expect_missing_candidate(void)
{
    check_refused("candidates=files", SIDE, -ENOENT, "training picture ImageJND_SRC02",
                  "ImageJND_SRC02_050.jpg");
}

static void expect_wrong_size(void)
{
    check_refused("candidates=files", SIDE, -EINVAL, "ImageJND_SRC02_050.jpg is 111x40",
                  "ImageJND_SRC02.bmp is 111x83");
}

static void expect_wrong_quality(void)
{
    check_refused("candidates=files", SIDE, -EINVAL, "training picture ImageJND_SRC02",
                  "050.jpg: its quantisation tables say quality factor 49, its place in the");
}

static void expect_no_header(void)
{
    check_refused("candidates=files", SIDE, -EBADMSG, "training picture ImageJND_SRC02",
                  "ImageJND_SRC02_050.jpg");
}

static void expect_transparent(void)
{
    check_refused("", SIDE, -ENOTSUP, "training picture ImageJND_SRC02", "transparent pixels");
}

static void expect_small(void)
{
    check_refused("", SIDE, -EINVAL, "training picture ImageJND_SRC02",
                  "ImageJND_SRC02.bmp is 21x13");
}

static void with_golden(const char *path, const char *golden, void (*check)(void))
{
    struct vj_error err = {0};
    uint8_t *bytes;
    size_t size;
    if (vj_file_read(&bytes, &size, golden, 0, &err))
        fail_msg("%s", err.text);
    with_file(path, bytes, size, check);
    free(bytes);
}

static void test_items_that_cannot_train_are_named_at_opening(void **state)
{
    (void)state;
    static const char none[] = "100\n1\n", bad[] = "100 x\n1\n";
    struct vj_error err = {0};
    struct vj_image img = paint(2);
    uint8_t *low, *other;
    size_t size, other_size;
    assert_int_equal(vj_jpeg_encode(&other, &other_size, &img, 49, VJ_SUBSAMPLING_420, &err), 0);
    img.height = 40;
    assert_int_equal(vj_jpeg_encode(&low, &size, &img, 50, VJ_SUBSAMPLING_420, &err), 0);
    vj_image_free(&img);
    char label[4096], candidate[4096];
    strcpy(label, path_in("SQF_data/Image_3_l_h.txt"));
    strcpy(candidate, path_in("distorted_image/ImageJND_SRC02/ImageJND_SRC02_050.jpg"));
    with_file(label, none, strlen(none), expect_no_label);
    with_file(label, bad, strlen(bad), expect_bad_label);
    with_file(candidate, NULL, 0, expect_missing_candidate);
    with_file(candidate, low, size, expect_wrong_size);
    with_file(candidate, other, other_size, expect_wrong_quality);
    with_file(candidate, low, 100, expect_no_header);
    strcpy(candidate, path_in("source_images/[BMP]/ImageJND_SRC02.bmp"));
    with_golden(candidate, VJ_TEST_GOLDEN "/image/alpha_appended.bmp", expect_transparent);
    with_golden(candidate, VJ_TEST_GOLDEN "/image/alpha_opaque.bmp", expect_small);
    free(low);
    free(other);
}

static void test_a_data_set_without_items_is_refused(void **state)
{
    (void)state;
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_config config = configure("");
    struct vj_dataset *ds = open_set(&config);
    struct vj_train_data *data;
    struct vj_error err = {0};
    size_t none = 0;
    assert_int_equal(
        vj_train_data_open(&data, &config, ds, &none, 0, &shape, VJ_POSITIVE_AUTO, &err), -ENODATA);
    assert_null(data);
    vj_assert_contains(err.text, "no pictures to train with");
    vj_dataset_close(ds);
    vj_train_data_close(NULL);
}

static void test_step_zero_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct vj_error err = {0};
    struct vj_train_batch batch;
    rig_open(&rig, "");
    assert_int_equal(vj_train_data_batch(rig.data, 0, &batch, &err), -EINVAL);
    vj_assert_contains(err.text, "steps count from 1");
    rig_close(&rig);
}

static struct rig during; /* training data while its files change */

static void expect_failing_batch(void)
{
    struct vj_error err = {0};
    struct vj_train_batch batch;
    assert_true(vj_train_data_batch(during.data, 1, &batch, &err) < 0);
    vj_assert_contains(err.text, "training picture ImageJND_SRC04");
    vj_assert_contains(err.text, "ImageJND_SRC04.bmp");
}

static void test_a_picture_that_changes_during_training_is_named_and_may_come_back(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_image img = paint(9);
    char source[4096], smaller[4096];
    struct rig untouched;
    img.width--;
    strcpy(source, path_in("source_images/[BMP]/ImageJND_SRC04.bmp"));
    strcpy(smaller, path_in("smaller.bmp"));
    assert_int_equal(vj_image_write_bmp(&img, smaller, &err), 0);
    vj_image_free(&img);
    uint8_t *bytes;
    size_t size;
    assert_int_equal(vj_file_read(&bytes, &size, smaller, 0, &err), 0);

    rig_open(&untouched, "batch=5");
    struct vj_train_batch batch = batch_of(&untouched, 1);
    uint64_t want = hash_batch(&batch);
    rig_close(&untouched);

    rig_open(&during, "batch=5");
    with_file(source, NULL, 0, expect_failing_batch);
    with_file(source, bytes, size / 2, expect_failing_batch);
    with_file(source, bytes, size, expect_failing_batch);
    batch = batch_of(&during, 1);
    assert_true(hash_batch(&batch) == want);
    rig_close(&during);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_order_of_steps_and_cache_do_not_matter),
        cmocka_unit_test(test_the_seed_matters),
        cmocka_unit_test(test_a_batch_stays_while_the_next_one_is_made),
        cmocka_unit_test(test_batches_may_be_asked_for_from_changing_threads),
        cmocka_unit_test(test_the_cache_holds_what_it_may_and_no_more),
        cmocka_unit_test(test_pictures_that_are_not_in_memory_take_none),
        cmocka_unit_test(test_the_positive_class_may_be_lossless),
        cmocka_unit_test(test_patches_come_from_the_network_when_no_option_says),
        cmocka_unit_test(test_pictures_smaller_than_a_patch_are_refused),
        cmocka_unit_test(test_pictures_above_max_pixels_are_refused),
        cmocka_unit_test(test_a_range_without_quality_factors_below_the_anchor_is_refused),
        cmocka_unit_test(test_a_boundary_outside_the_range_of_files_is_refused_for_its_importance),
        cmocka_unit_test(test_items_that_cannot_train_are_named_at_opening),
        cmocka_unit_test(test_a_data_set_without_items_is_refused),
        cmocka_unit_test(test_step_zero_is_refused),
        cmocka_unit_test(test_a_picture_that_changes_during_training_is_named_and_may_come_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
