/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "datasets/dataset.h"
#include "datasets/generator.h"
#include "host/commands.h"
#include "host/image.h"
#include "host/quality.h"

enum { WIDTH = 208, HEIGHT = 177, COUNT = 4 };

/* Runs `vpjnd synth WORDS...` in a child, because argp exits on wrong usage; stderr into `errors`.
 */
static int synth(const char *words, char *errors, size_t size)
{
    char *argv[32] = {(char *)"vpjnd synth"}, *copy = strdup(words), *rest = NULL;
    int argc = 1, channel[2];
    for (char *w = strtok_r(copy, " ", &rest); w && argc < 31; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    assert_int_equal(pipe(channel), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(channel[1], STDERR_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        close(channel[0]);
        close(channel[1]);
        int status = vj_cmd_synth(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    close(channel[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < size && (n = read(channel[0], errors + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    errors[used] = '\0';
    close(channel[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    free(copy);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int synth_into(const char *folder, const char *more, char *errors, size_t size)
{
    char words[4500];
    snprintf(words, sizeof(words), "-o %s --size %dx%d %s", folder, WIDTH, HEIGHT, more);
    return synth(words, errors, size);
}

static char *make_set(const char *more)
{
    char errors[2000], *folder = vj_test_mkdir();
    if (synth_into(folder, more, errors, sizeof(errors)) != VJ_EXIT_OK)
        fail_msg("synth %s: %s", more, errors);
    assert_string_equal(errors, ""); /* no progress unless stderr is a terminal */
    return folder;
}

static struct vj_dataset *open_set(const char *folder, const char *candidates)
{
    struct vj_dataset *ds;
    struct vj_error err = {0};
    const struct vj_dataset_options opt = {.root = folder, .candidates = candidates};
    if (vj_dataset_open(&ds, "synthetic", &opt, &err))
        fail_msg("%s", err.text);
    return ds;
}

static struct vj_item read_item(const struct vj_dataset *ds, size_t index)
{
    struct vj_item item;
    struct vj_error err = {0};
    if (vj_dataset_item(ds, index, &item, &err))
        fail_msg("%s", err.text);
    if (item.status)
        fail_msg("%s: %s", item.name, item.error);
    return item;
}

static struct vj_image decode(const struct vj_image *source, int qf)
{
    struct vj_image img;
    uint8_t *file;
    size_t size;
    assert_int_equal(vj_jpeg_encode(&file, &size, source, qf, VJ_SUBSAMPLING_420, NULL), 0);
    assert_int_equal(vj_image_read_memory(&img, file, size, "candidate.jpg", NULL, NULL), 0);
    free(file);
    return img;
}

/* The observer's definition, over again, with the codec in place of the candidate model. */
static int observe_with_codec(const struct vj_image *source)
{
    struct vj_quality_reference *ref;
    struct vj_quality_scratch *scratch;
    struct vj_image anchor = decode(source, 100);
    int jnd = VJ_QF_UNKNOWN;
    assert_int_equal(vj_quality_reference_create(&ref, WIDTH, HEIGHT, VJ_QUALITY_ALL, NULL), 0);
    assert_int_equal(vj_quality_scratch_create(&scratch, WIDTH, HEIGHT, VJ_QUALITY_ALL, NULL), 0);
    assert_int_equal(vj_quality_reference_load(ref, &anchor, NULL), 0);
    for (int qf = 1; qf < 100; qf++) {
        struct vj_image img = decode(source, qf);
        struct vj_quality_values v;
        assert_int_equal(vj_quality_compute(ref, img.data, scratch, &v), 0);
        if (v.ms_ssim < 0.9922)
            jnd = qf;
        vj_image_free(&img);
    }
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(ref);
    vj_image_free(&anchor);
    return jnd;
}

static void labels_follow_the_stated_definition(void **state)
{
    (void)state;
    char *folder = make_set("--count 4 --seed 3");
    struct vj_dataset *ds = open_set(folder, "synthesize");
    const struct vj_dataset_info *info = vj_dataset_info(ds);
    assert_int_equal(vj_dataset_count(ds), COUNT);
    assert_false(info->human_labels);
    vj_assert_contains(info->label_definition, "synthetic observer");
    vj_assert_contains(info->label_definition, "below 0.9922");
    for (size_t i = 0; i < COUNT; i++) {
        struct vj_item item = read_item(ds, i);
        struct vj_image source;
        assert_int_equal(vj_image_read(&source, item.source, NULL, NULL), 0);
        assert_int_equal(source.width, WIDTH);
        assert_int_equal(source.height, HEIGHT);
        assert_in_range(item.qf_true, 1, 99);
        assert_int_equal(item.qf_true, observe_with_codec(&source));
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
    struct vj_dataset *ds = open_set(folder, "synthesize");
    for (uint32_t i = 0; i < 2; i++) {
        struct vj_item item = read_item(ds, i);
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
    struct vj_dataset *ds = open_set(folder, "files");
    struct vj_item item = read_item(ds, 0);
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

/* 0 when the two trees hold the same files with the same content. */
static int compare_trees(const char *a, const char *b)
{
    char command[9000];
    snprintf(command, sizeof(command), "diff -r '%s' '%s' >/dev/null", a, b);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void threads_and_repeats_change_no_byte(void **state)
{
    (void)state;
    char errors[2000];
    char *one = make_set("--count 4 --seed 5 --threads 1");
    char *many = make_set("--count 4 --seed 5 --threads 3");
    assert_int_equal(compare_trees(one, many), 0);
    assert_int_equal(synth_into(many, "--count 4 --seed 5 --threads 2", errors, sizeof(errors)),
                     VJ_EXIT_OK);
    assert_int_equal(compare_trees(one, many), 0);
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
    assert_int_equal(compare_trees(folder, copy), 0);
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
        int status = synth(cases[i].words, errors, sizeof(errors));
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
        cmocka_unit_test(wrong_usage_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
