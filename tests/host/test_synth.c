/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <sys/stat.h>

#include "datasets/generator.h"
#include "tests/host/synth_rig.h"

enum { WIDTH = 208, HEIGHT = 177, COUNT = 4 };

static int synth_into(const char *folder, const char *more, char *errors, size_t size)
{
    char words[4500];
    snprintf(words, sizeof(words), "-o %s --size %dx%d %s", folder, WIDTH, HEIGHT, more);
    return synth_run(words, errors, size);
}

static char *make_set(const char *more)
{
    char errors[2000], *folder = vj_test_mkdir();
    if (synth_into(folder, more, errors, sizeof(errors)) != VJ_EXIT_OK)
        fail_msg("synth %s: %s", more, errors);
    assert_string_equal(errors, ""); /* no progress unless stderr is a terminal */
    return folder;
}

static void labels_follow_the_stated_definition(void **state)
{
    (void)state;
    char *folder = make_set("--count 4 --seed 3");
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), COUNT);
    assert_false(info->human_labels);
    vj_assert_contains(info->label_definition, "synthetic observer");
    vj_assert_contains(info->label_definition, "below 0.9922");
    for (size_t i = 0; i < COUNT; i++) {
        struct vj_item item = synth_item(ds, i);
        struct vj_image source;
        assert_int_equal(vj_image_read(&source, item.source, NULL, NULL), 0);
        assert_int_equal(source.width, WIDTH);
        assert_int_equal(source.height, HEIGHT);
        vj_assert_in_range(item.qf_true, 1, 99);
        assert_int_equal(item.qf_true, synth_observe(&source));
        vj_image_free(&source);
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    vj_test_rmdir(folder);
}

static void sources_are_the_generators_pictures(void **state)
{
    (void)state;
    char *folder = make_set("--count 2 --seed 11");
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    for (uint32_t i = 0; i < 2; i++) {
        struct vj_item item = synth_item(ds, i);
        struct vj_image written, made;
        assert_int_equal(vj_image_read(&written, item.source, NULL, NULL), 0);
        assert_int_equal(vj_image_alloc(&made, WIDTH, HEIGHT, 3, NULL), 0);
        assert_int_equal(vj_generate_picture(made.data, WIDTH, HEIGHT, 11, i, NULL), 0);
        assert_memory_equal(written.data, made.data, WIDTH * HEIGHT * 3);
        vj_image_free(&made);
        vj_image_free(&written);
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    vj_test_rmdir(folder);
}

static void files_are_the_whole_ladder(void **state)
{
    (void)state;
    char *folder = make_set("--count 1 --files");
    struct vj_dataset *ds = synth_open(folder, "files");
    struct vj_item item = synth_item(ds, 0);
    struct vj_image source;
    assert_int_equal(vj_image_read(&source, item.source, NULL, NULL), 0);
    for (int qf = 1; qf <= VJ_QF_MAX; qf++) {
        uint8_t *file, *expected;
        size_t size, expected_size;
        int found;
        assert_non_null(item.candidate[qf]);
        assert_int_equal(vj_file_read(&file, &size, item.candidate[qf], 0, NULL), 0);
        assert_int_equal(vj_jpeg_quality(&found, file, size, item.candidate[qf], NULL), 0);
        assert_int_equal(found, qf);
        assert_int_equal(
            vj_jpeg_encode(&expected, &expected_size, &source, qf, VJ_SUBSAMPLING_420, NULL), 0);
        assert_int_equal(size, expected_size);
        assert_memory_equal(file, expected, size);
        free(expected);
        free(file);
    }
    assert_string_equal(item.reference, item.candidate[100]);
    vj_image_free(&source);
    vj_item_free(&item);
    vj_dataset_close(ds);
    vj_test_rmdir(folder);
}

static void threads_and_repeats_change_no_byte(void **state)
{
    (void)state;
    char errors[2000];
    char *one = make_set("--count 4 --seed 5 --threads 1");
    char *many = make_set("--count 4 --seed 5 --threads 3");
    assert_int_equal(synth_compare_trees(one, many), 0);
    assert_int_equal(synth_into(many, "--count 4 --seed 5 --threads 2", errors, sizeof(errors)),
                     VJ_EXIT_OK);
    assert_int_equal(synth_compare_trees(one, many), 0);
    vj_test_rmdir(one);
    vj_test_rmdir(many);
}

static void a_folder_of_other_settings_is_left_alone(void **state)
{
    (void)state;
    char errors[2000];
    char *folder = make_set("--count 1 --seed 5"), *copy = make_set("--count 1 --seed 5");
    assert_int_equal(synth_into(folder, "--count 1 --seed 6", errors, sizeof(errors)),
                     VJ_EXIT_USAGE);
    vj_assert_contains(errors, "other settings");
    assert_int_equal(synth_into(folder, "--count 2 --seed 5", errors, sizeof(errors)),
                     VJ_EXIT_USAGE);
    assert_int_equal(synth_compare_trees(folder, copy), 0);
    vj_test_rmdir(folder);
    vj_test_rmdir(copy);
}

static void a_folder_of_something_else_is_left_alone(void **state)
{
    (void)state;
    char path[4200], errors[2000], *folder = vj_test_mkdir();
    snprintf(path, sizeof(path), "%s/letters", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(synth_into(folder, "--count 1", errors, sizeof(errors)), VJ_EXIT_USAGE);
    vj_assert_contains(errors, "is not empty");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing was added */
    free(folder);
}

/* What cannot be written, first or last, ends the command. */
static void a_file_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    static const char *const file[] = {"source_images/[BMP]/ImageJND_SRC01.bmp",
                                       "distorted_image/ImageJND_SRC01/ImageJND_SRC01_007.jpg",
                                       "SQF_data/Image_1_l_h.txt"};
    char path[4200], errors[2000], *folder = make_set("--count 1 --files");
    for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, file[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0777), 0);
        assert_int_equal(synth_into(folder, "--count 1 --files", errors, sizeof(errors)),
                         VJ_EXIT_USAGE);
        vj_assert_contains(errors, file[i]);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(synth_into(folder, "--count 1 --files", errors, sizeof(errors)),
                         VJ_EXIT_OK);
    }
    vj_test_rmdir(folder);
}

static void wrong_usage_is_explained(void **state)
{
    (void)state;
    static const struct {
        const char *words, *answer;
    } cases[] = {
        {"--count 1", "-o DIR"},
        {"-o x --size 175x400", "176..16384"},
        {"-o x --size 400x175", "176..16384"},
        {"-o x --size 400", "WIDTHxHEIGHT"},
        {"-o x --size 400x300x", "WIDTHxHEIGHT"},
        {"-o x --size -400x300", "WIDTHxHEIGHT"},
        {"-o x --count 0", "1..9999"},
        {"-o x --count 5z", "1..9999"},
        {"-o x --seed -1", "--seed"},
        {"-o x --seed 18446744073709551616", "--seed"},
        {"-o x --threads 0", "--threads"},
        {"-o x more", "unexpected argument 'more'"},
        {"-o /nonexistent/folder/x --count 1", "/nonexistent/folder/x"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char errors[2000];
        int status = synth_run(cases[i].words, errors, sizeof(errors));
        if (i + 1 == sizeof(cases) / sizeof(*cases))
            assert_int_equal(status, VJ_EXIT_USAGE);
        else
            assert_true(status != VJ_EXIT_OK); /* argp's status is main()'s to choose */
        vj_assert_contains(errors, cases[i].answer);
    }
    assert_int_not_equal(access("x", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_follow_the_stated_definition),
        cmocka_unit_test(sources_are_the_generators_pictures),
        cmocka_unit_test(files_are_the_whole_ladder),
        cmocka_unit_test(threads_and_repeats_change_no_byte),
        cmocka_unit_test(a_folder_of_other_settings_is_left_alone),
        cmocka_unit_test(a_folder_of_something_else_is_left_alone),
        cmocka_unit_test(a_file_that_cannot_be_written_is_named),
        cmocka_unit_test(wrong_usage_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
