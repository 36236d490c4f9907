/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>

#include "host/options.h"

#ifdef __SANITIZE_ADDRESS__
/* libconfig 1.5 loses a string in front of which it finds a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}
#endif

static void defaults_are_within_their_own_limits(void **state)
{
    (void)state;
    struct vj_config config;
    for (int use = VJ_USE_EVAL; use <= VJ_USE_TRAIN; use++) {
        vj_config_defaults(&config, (enum vj_config_use)use);
        for (size_t i = 0; i < vj_option_count; i++) {
            struct vj_error err = {0};
            const struct vj_option *o = &vj_options[i];
            if (o->key && (o->use & use) && vj_config_set(&config, o->key, o->fallback, &err))
                fail_msg("default of %s: %s", o->key, err.text);
        }
    }
    assert_int_equal(config.qf_first, 1);
    assert_int_equal(config.qf_last, 100);
    assert_int_equal(config.seed, 1);
    assert_int_equal(config.max_pixels, (size_t)256 << 20);
    assert_string_equal(config.jnd_model, "epc17");
}

static void options_of_another_command_are_refused_by_name(void **state)
{
    (void)state;
    struct vj_config config;
    struct vj_error err = {0};
    vj_config_defaults(&config, VJ_USE_EVAL);
    assert_int_equal(vj_config_set(&config, "learning_rate", "0.1", &err), -EINVAL);
    assert_non_null(strstr(err.text, "vpjnd train"));
    char *text = vj_config_text(&config, true);
    assert_null(strstr(text, "learning_rate"));
    free(text);
    vj_config_defaults(&config, VJ_USE_TRAIN);
    assert_int_equal(vj_config_set(&config, "learning_rate", "0.1", &err), 0);
    assert_int_equal(vj_config_set(&config, "learning_rate", "nan", &err), -EINVAL);
    assert_int_equal(vj_config_set(&config, "keep", "1.5", &err), -EINVAL);
    assert_non_null(strstr(err.text, "0.01 to 1"));
    assert_int_equal(vj_config_set(&config, "predictors", "constant", &err), -EINVAL);
    text = vj_config_text(&config, true);
    struct vj_config again;
    vj_config_defaults(&again, VJ_USE_TRAIN);
    if (vj_config_parse(&again, text, "copy", &err))
        fail_msg("%s", err.text);
    assert_true(again.learning_rate == 0.1);
    free(text);
    /* a file is shared by both commands */
    if (vj_config_parse(&again, "predictors = \"constant\"; steps = 7;\n", "file", &err))
        fail_msg("%s", err.text);
    assert_int_equal(again.steps, 7);
    assert_int_equal(vj_config_parse(&again, "stepps = 7;\n", "file", &err), -EINVAL);
    assert_non_null(strstr(err.text, "steps"));
}

static void text_reads_back_as_the_same_configuration(void **state)
{
    (void)state;
    struct vj_config a, b;
    struct vj_error err = {0};
    vj_config_defaults(&a, VJ_USE_EVAL);
    assert_int_equal(vj_config_set(&a, "root", "a \"quoted\\\" folder", &err), 0);
    assert_int_equal(vj_config_set(&a, "seed", "18446744073709551615", &err), 0);
    assert_int_equal(vj_config_set(&a, "lazy", "yes", &err), 0);
    assert_int_equal(vj_config_set(&a, "search", "max-likelihood", &err), 0);
    assert_int_equal(vj_config_set(&a, "max_memory", "3G", &err), 0);
    char *text = vj_config_text(&a, true);
    assert_non_null(text);
    vj_config_defaults(&b, VJ_USE_EVAL);
    if (vj_config_parse(&b, text, "copy", &err))
        fail_msg("%s", err.text);
    char *again = vj_config_text(&b, true);
    assert_string_equal(text, again);
    assert_int_equal(b.seed, UINT64_MAX);
    assert_int_equal(b.max_memory, (size_t)3 << 30);
    assert_string_equal(b.root, a.root);
    free(text);
    free(again);
}

static void options_of_the_machine_stay_out_of_the_text_that_must_match(void **state)
{
    (void)state;
    struct vj_config config;
    vj_config_defaults(&config, VJ_USE_EVAL);
    char *text = vj_config_text(&config, false);
    assert_null(strstr(text, "threads"));
    assert_null(strstr(text, "slots"));
    assert_non_null(strstr(text, "seed"));
    free(text);
}

static void lists_of_a_file_become_one_value(void **state)
{
    (void)state;
    struct vj_config config;
    struct vj_error err = {0};
    vj_config_defaults(&config, VJ_USE_EVAL);
    assert_int_equal(vj_config_parse(&config, "predictors = [\"constant\", \"psnr-threshold\"];\n",
                                     "text", &err),
                     0);
    assert_string_equal(config.predictors, "constant,psnr-threshold");
}

static void bad_values_are_refused_with_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *pair, *text;
    } cases[] = {
        {"qf_frist=1", "unknown option 'qf_frist'; did you mean 'qf_first'?"},
        {"xyzzy=1", "unknown option 'xyzzy'; `vpjnd eval --help` lists them"},
        {"lr=1", "unknown option 'lr'; `vpjnd eval --help` lists"}, /* no word is near to it */
        {"colour_of_the_sky=1", "unknown option 'colour_of_the_sky'; `vpjnd eval --help` lists"},
        {"qf_first", "--set 'qf_first' is not of the form key=value"},
        {"=3", "--set '=3' is not of the form key=value"},
        {"qf_first=0", "option qf_first: '0' is not a whole number from 1 to 100"},
        {"qf_last=101", "option qf_last: '101' is not a whole number from 1 to 100"},
        {"qf_last=", "option qf_last: '' is not a whole number from 1 to 100"},
        {"qf_last=50x", "option qf_last: '50x' is not a whole number from 1 to 100"},
        {"qf_last=99999999999999999999", "is not a whole number from 1 to 100"},
        {"seed=-1", "option seed: '-1' is not a whole number from 0 to 2^64-1"},
        {"seed=18446744073709551616", "is not a whole number from 0 to 2^64-1"},
        {"lazy=maybe", "option lazy: 'maybe' is not true or false"},
        {"search=bisect", "option search: 'bisect' is not one of binary-block,sliding-window,"},
        {"search=binary-bloc", "option search: 'binary-bloc' is not one of"},
        {"sampling=422", "option sampling: '422' is not one of 420,444"},
        {"max_memory=8Q", "option max_memory: '8Q' is not a size such as 8G"},
        {"max_memory=-1", "option max_memory: '-1' is not a size"},
        {"max_memory=99999999999G", "option max_memory: '99999999999G' is not a size"},
        {"jnd=4", "option jnd: '4' is not a whole number from 1 to 3"},
        {"draws=0", "option draws: '0' is not a whole number from 1 to 64"},
        {"root=a\nb", "option root: control character 0xa in its value"},
        {"labels=abcdefghijklmnopqrstuvwxyz", "option labels: value of 26 characters is longer"},
        {"ids+=5", "--set ids+=5: only predictors can be added to with +="},
        {"rot+=5", "--set rot+=5: only predictors can be added to"},
        {"+=5", "--set '+=5' is not of the form key=value"},
        {"=5", "--set '=5' is not of the form key=value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_config config;
        struct vj_error err = {0};
        vj_config_defaults(&config, VJ_USE_EVAL);
        assert_int_equal(vj_config_set_pair(&config, cases[i].pair, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
    }
}

static void predictors_can_be_added_to(void **state)
{
    (void)state;
    struct vj_config config;
    struct vj_error err = {0};
    char *many;
    vj_config_defaults(&config, VJ_USE_EVAL);
    assert_int_equal(vj_config_set_pair(&config, "predictors+=pixel-epc17", &err), 0);
    assert_int_equal(vj_config_set_pair(&config, "predictors+=external:a=b+.csv", &err), 0);
    assert_string_equal(config.predictors, "constant,pixel-epc17,external:a=b+.csv");
    assert_int_equal(vj_config_set_pair(&config, "predictors=", &err), 0);
    assert_int_equal(vj_config_set_pair(&config, "predictors+=psnr-threshold", &err), 0);
    assert_string_equal(config.predictors, "psnr-threshold");
    assert_int_equal(asprintf(&many, "predictors+=%*s", (int)sizeof(config.predictors) - 16, "x"),
                     sizeof(config.predictors) - 4);
    assert_int_equal(vj_config_set_pair(&config, many, &err), 0);
    assert_int_equal(vj_config_set_pair(&config, "predictors+=x", &err), -EINVAL);
    vj_assert_contains(err.text, "--set predictors+=x: all together are longer than ");
    free(many);
}

static void bad_files_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *content, *text;
    } cases[] = {
        {"qf_first = 1;\nqf_last = ;\n", "run.cfg:2: syntax error at 'qf_last = ;'; there is no"},
        {"qf_first = 1;\nqf_first = 2;\n",
         "run.cfg:2: duplicate setting name at 'qf_first = 2;'; an option is set once"},
        {"root = x/y;\n",
         "run.cfg:1: syntax error at 'root = x/y;'; put the value in double quotes"},
        {"max_memory = 3G;", "at 'max_memory = 3G;'; put the value in double quotes"},
        {"  qf_last \"3\"\r\n", "run.cfg:1: syntax error at 'qf_last \"3\"'; write key = value"},
        {"qf_first == 3", "at 'qf_first == 3'; write key = value; look at the line above"},
        {"predictors = \"a\", \"b\";", "put several values in brackets"},
        {"predictors = [\"a\", \"b\",];", "without a comma behind the last"},
        {"predictors = [\"a\"\nqf_last = 3;",
         "run.cfg:2: syntax error at 'qf_last = 3;'; the list"},
        {"predictors = [\"a\", 3];",
         "mismatched element type in array at 'predictors = [\"a\", 3];'"},
        {"root = \"x;\nlabels = \"none\";\n",
         "run.cfg:1: the double quote opened here is not closed in its line"},
        {"\nroot = \"x;", "run.cfg:2: the double quote opened here is not closed"},
        {"root = \"", "run.cfg:1: the double quote opened here is not closed"},
        {"qf_last = 9;\n/* seed = 3;\n", "run.cfg:2: the comment opened here is not closed"},
        {"/*/", "run.cfg:1: the comment opened here is not closed"},
        {"\n\nqf_last = 101;\n", "run.cfg:3: option qf_last: '101' is not a whole number"},
        {"jnd_skale = \"max\";\n", "run.cfg:1: unknown option 'jnd_skale'; did you mean"},
        {"group = { a = 1; };\n", "run.cfg:1: option group: groups are not used"},
        {"predictors = [1, 2];\n", "run.cfg:1: option predictors: element 1 is not a string"},
        {"qf_first = 1.5;\n", "run.cfg:1: option qf_first: '1.5' is not a whole number"},
        {"\nseed = 99999999999;\n",
         "run.cfg:2: 99999999999 is beyond 32 bits; write it as a decimal number in quotes"},
        {"max_pixels = 4294967297;", "run.cfg:1: 4294967297 is beyond 32 bits"},
        {"seed = 0x100000000;", "run.cfg:1: 0x100000000 is beyond 32 bits"},
        {"seed = 18446744073709551616L;", "run.cfg:1: 18446744073709551616L is beyond 64 bits"},
        {"# \"\n/* \" */ root = \"a\\\"\";\nseed = 4294967296;", "run.cfg:3: 4294967296 is beyond"},
        {"qf_first = 1;\n  @include \"more.cfg\"\n", "run.cfg:2: @include is not used"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_config config;
        struct vj_error err = {0};
        vj_config_defaults(&config, VJ_USE_EVAL);
        assert_int_equal(vj_config_parse(&config, cases[i].content, "run.cfg", &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
    }
    struct vj_config config;
    struct vj_error err = {0};
    assert_int_equal(vj_config_read(&config, "/nonexistent/run.cfg", &err), -ENOENT);
    vj_assert_contains(err.text, "cannot open configuration file /nonexistent/run.cfg");
    assert_int_equal(vj_config_read(&config, "/", &err), -EISDIR);
    vj_assert_contains(err.text, "configuration file / is a folder");
    assert_int_equal(vj_config_read(&config, "/dev/zero", &err), -EINVAL);
    vj_assert_contains(err.text, "/dev/zero has a zero byte at 0");
}

/* What looks like a large number or a directive to the eye alone. */
static void words_and_comments_are_not_taken_for_numbers_or_directives(void **state)
{
    (void)state;
    static const char text[] = "// 99999999999 @include\n# \"99999999999\n"
                               "root = \"@include/99999999999\"; /* 99999999999\n @include */\n"
                               "seed = 99999999999L;\nlearning_rate = 1.5e-3;\nqf_last = 0x50;\n"
                               "average = .33333333333;\nkeep = 1e-0000000000;\n"
                               "max_memory = \"4294967296\";";
    struct vj_config config;
    struct vj_error err = {0};
    vj_config_defaults(&config, VJ_USE_EVAL | VJ_USE_TRAIN);
    if (vj_config_parse(&config, text, "run.cfg", &err))
        fail_msg("%s", err.text);
    assert_string_equal(config.root, "@include/99999999999");
    assert_true(config.seed == 99999999999);
    assert_int_equal(config.qf_last, 80);
    assert_true(config.average > 0.333 && config.average < 0.334 && config.keep == 1);
    assert_true(config.max_memory == (size_t)1 << 32);
}

static void a_file_and_an_empty_one_are_read(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir(), path[4200];
    static const char *const texts[] = {"",
                                        "qf_last = 33;",
                                        "\xEF\xBB\xBFqf_last = 33;",
                                        "qf_last = 33;\n# end",
                                        "qf_last = 33; // end",
                                        "qf_last = 33; /**/"};
    for (size_t full = 0; full < sizeof(texts) / sizeof(texts[0]); full++) {
        struct vj_config config;
        struct vj_error err = {0};
        snprintf(path, sizeof(path), "%s/%zu.cfg", folder, full);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(texts[full], file);
        fclose(file);
        vj_config_defaults(&config, VJ_USE_EVAL);
        if (vj_config_read(&config, path, &err))
            fail_msg("%s", err.text);
        assert_int_equal(config.qf_last, full ? 33 : 100);
    }
    vj_test_rmdir(folder);
}

static void options_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pair, *text;
    } cases[] = {
        {"qf_first=60", "option qf_first = 60 is above qf_last = 50"},
        {"block_threshold=6", "option block_threshold = 6 is above block = 5"},
        {"window_threshold=9", "option window_threshold = 9 is above window = 5"},
        {"predictors=", "option predictors is empty"},
        {"dataset=", "option dataset is empty"},
        {"root=", "option root is empty; say where data set folder lies (root=DIR)"},
        {"bootstrap=39", "option bootstrap = 39: an interval of 95 % takes 40 resamples or more"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_config config;
        struct vj_error err = {0};
        vj_config_defaults(&config, VJ_USE_EVAL);
        vj_config_set(&config, "root", "somewhere", NULL);
        vj_config_set(&config, "qf_last", "50", NULL);
        assert_int_equal(vj_config_check(&config, &err), 0);
        assert_int_equal(vj_config_set_pair(&config, cases[i].pair, &err), 0);
        assert_int_equal(vj_config_check(&config, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_within_their_own_limits),
        cmocka_unit_test(options_of_another_command_are_refused_by_name),
        cmocka_unit_test(text_reads_back_as_the_same_configuration),
        cmocka_unit_test(options_of_the_machine_stay_out_of_the_text_that_must_match),
        cmocka_unit_test(lists_of_a_file_become_one_value),
        cmocka_unit_test(bad_values_are_refused_with_what_is_allowed),
        cmocka_unit_test(predictors_can_be_added_to),
        cmocka_unit_test(bad_files_are_refused_with_their_line),
        cmocka_unit_test(words_and_comments_are_not_taken_for_numbers_or_directives),
        cmocka_unit_test(a_file_and_an_empty_one_are_read),
        cmocka_unit_test(options_that_contradict_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
