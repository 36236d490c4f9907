/* SPDX-License-Identifier: MIT */
/* Commands that make what runs start from, as a user meets them: import and synth. */
#include "tests/host/cli_rig.h"

#include "tests/host/checkpoint_model.h"

static void assert_said(const char *line, int status, const char *text)
{
    char output[8192];
    const int ended = shell(line, output, sizeof(output));
    if (ended != status || !strstr(output, text))
        fail_msg("%s\nended with %d, expected %d and \"%s\":\n%s", line, ended, status, text,
                 output);
}

static void assert_weights(const char *name, const struct vj_weights *expected, int patches,
                           enum vj_positive_class positive)
{
    char path[4096];
    struct vj_weights w = {0};
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (vj_weights_read(&w, path, &err))
        fail_msg("%s", err.text);
    assert_int_equal(w.count, expected->count);
    for (size_t i = 0; i < w.count; i++)
        assert_memory_equal(w.tensors[i].data, expected->tensors[i].data,
                            w.tensors[i].count * sizeof(float));
    assert_int_equal(w.shape.patches, patches);
    assert_int_equal(w.positive_class, positive);
    vj_weights_free(&w);
}

static void a_checkpoint_is_listed_and_imported(void **state)
{
    (void)state;
    const struct vj_net_shape shape = small_shape(VJ_VARIANT_RELEASED, 32);
    struct model m;
    char line[8192], prefix[4200];
    model_make(&m, &shape, 2);
    writer_save(&m.writer, m.place.prefix);
    snprintf(prefix, sizeof(prefix), "'%s'", m.place.prefix);

    snprintf(line, sizeof(line), "# %zu tensors, data shards: 2\n# name ",
             m.averages.count + m.variables.count + 2);
    char list[4300];
    snprintf(list, sizeof(list), "$V import %s --list | head -n 2", prefix);
    assert_said(list, 0, line);
    snprintf(line, sizeof(line), "$V import %s --list | tr -s ' ' | grep '^global_step'", prefix);
    assert_said(line, 0, "global_step [] int32 0 ");

    snprintf(line, sizeof(line), "$V import %s -o averages.h5", prefix);
    assert_said(line, 0, "averages.h5: released, ");
    assert_weights("averages.h5", &m.averages, 32, VJ_POSITIVE_AUTO);
    snprintf(line, sizeof(line),
             "$V import %s --raw --patches 9 --patch-size 32 --positive-class lossless -o raw.h5",
             prefix);
    assert_said(line, 0,
                "patches of 32 pixels, checkpoint model.ckpt, raw variables, positive class "
                "lossless, sha256 ");
    assert_weights("raw.h5", &m.variables, 9, VJ_POSITIVE_LOSSLESS);
    assert_said("$V predict --weights raw.h5 --set qf_last=4 a.png 2> said", 0, "a.png\t");

    static const struct {
        const char *options, *text;
    } refused[] = {
        {"--patch-size 48 -o x.h5", "48"},
        {"--patches 0 -o x.h5", "--patches: '0' is not a whole number from 1"},
        {"--patches 9x -o x.h5", "--patches: '9x' is not a whole number from 1"},
        {"--positive-class yes -o x.h5", "--positive-class: 'yes' is not auto, lossy or lossless"},
        {"", "say where to write the weights: -o W.h5"},
        {"--list -o x.h5", "--list writes no weights; leave out -o or --list"},
        {"more -o x.h5", "unexpected argument 'more'"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(line, sizeof(line), "$V import %s %s", prefix, refused[i].options);
        assert_said(line, 2, refused[i].text);
    }
    assert_said("$V import -o x.h5", 2, "say which checkpoint: the path in front of .index, or a");
    assert_said("ls x.h5", 2, "x.h5");
    model_free(&m);
}

/* Windows of a photograph: the options change them, and nothing else does. */
static void windows_of_photographs_are_those_that_the_options_say(void **state)
{
    (void)state;
    static const char settings[] = "seed = 3\ncrops = 6\nshrink = yes\nfade = yes\nexpose = "
                                   "yes\ncamera = yes\n";
    write_picture("photo.png", 640, 480, 3);
    assert_said(
        "$V synth --photos photo.png --procedural 1 --crops 6 --size 176x180 --shrink --fade "
        "--expose --camera --seed 3 --threads 2 -o all",
        0,
        "all: 1 procedural picture and 6 windows of photographs, 176x180, seed 3; the "
        "synthetic observer's JND is at QF ");
    assert_said("cat all/SYNTHETIC.txt", 0, settings);
    assert_said(
        "$V synth --photos photo.png --procedural 1 --crops 6 --size 176x180 --shrink --fade "
        "--expose --camera --seed 3 --threads 1 -o again > said && diff -r all again",
        0, "");
    /* Each change is in the files that it is for. */
    static const struct {
        const char *options, *pattern;
        int least;
    } changes[] = {
        {"--fade", " contrast [0-9]*/256", 3},
        {"--expose", " (black|white) [0-9]*/256", 2},
        {"--camera", " (enlarged|grain|sharpened|grey|jpeg)", 2},
        {"--shrink", " factor [23]", 1},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char line[512], output[4096];
        snprintf(line, sizeof(line),
                 "$V synth --photos photo.png --crops 6 --size 176x176 %s -o w%zu > said && "
                 "grep -c -E '^window.*%s' w%zu/SYNTHETIC.txt",
                 changes[i].options, i, changes[i].pattern, i);
        assert_int_equal(shell(line, output, sizeof(output)), 0);
        assert_in_range(atoi(output), changes[i].least, 6);
    }
    assert_said("$V synth --fade -o x", 2, "--photos");
    /* What lies there is gone on with or left alone. */
    assert_said(
        "cp -r w0 more && rm more/SQF_data/* && $V synth --photos photo.png --crops 6 --size "
        "176x176 --fade -o more > said && diff -r w0 more",
        0, "");
    assert_said("$V synth --photos photo.png --crops 6 --size 176x176 --fade --seed 2 -o w0", 2,
                "w0: holds a synthetic data set of other settings (see w0/SYNTHETIC.txt); name");
    assert_said("$V synth --count 1 --size 176x176 -o set", 2,
                "set: is not empty and has no SYNTHETIC.txt; name an empty or a new folder");
    /* Photographs that give no windows are listed; the others do. */
    assert_said("cp photo.png same.png && $V synth --photos same.png --photos photo.png --photos "
                "a.png --size 176x176 -o rest 2>&1 | tr '\\n' ' '",
                0, "a.png: 150x140 is smaller than the window, 176x176 ");
    assert_said("ls rest/SQF_data | wc -l", 0, "1\n");
    assert_said("$V synth --photos a.png --size 176x176 -o none", 2, "176x176");
}

/* Files are what the exact model makes, and a run has the same numbers by both ways. */
static void candidate_files_of_made_pictures_are_the_exact_models(void **state)
{
    (void)state;
    char files[8192], synthesised[8192];
    static const char run[] = "$V eval -q --set dataset=synthetic --set root=made --set "
                              "predictors=psnr-threshold,pixel-chou95:0.1 --set candidates=%s -o "
                              "%s.h5 2> said && $V report --images-csv %s.h5";
    char line[512];
    assert_said("$V synth --count 2 --size 176x177 --files -o made", 0, "2 procedural pictures, ");
    assert_said("ls made/distorted_image/*/*.jpg | wc -l", 0, "200\n");
    snprintf(line, sizeof(line), run, "files", "files", "files");
    assert_int_equal(shell(line, files, sizeof(files)), 0);
    snprintf(line, sizeof(line), run, "synthesize", "synthesize", "synthesize");
    assert_int_equal(shell(line, synthesised, sizeof(synthesised)), 0);
    vj_assert_contains(files, "\npixel-chou95,ImageJND_SRC02,");
    assert_string_equal(files, synthesised);
}

/* Parts of a sweep put together from the command line are the run in one piece. */
static void parts_are_put_together(void **state)
{
    (void)state;
    char whole[8192], parts[8192];
    static const char eval[] = "$V eval -q --set root=set --set predictors=psnr-threshold --set "
                               "qf_last=9 --set limit=0 2> said";
    char line[2048];
    snprintf(line, sizeof(line),
             "rm -f set/c.png; %s -o whole.h5; %s --set part=1/2 -o p1.h5; %s --set part=2/2 -o "
             "p2.h5; %s --rows-from p1.h5 --rows-from p2.h5 -o both.h5; $V report --csv whole.h5",
             eval, eval, eval, eval);
    assert_int_equal(shell(line, whole, sizeof(whole)), 0);
    assert_int_equal(shell("$V report --csv both.h5", parts, sizeof(parts)), 0);
    vj_assert_contains(whole, "psnr-threshold,,saving_mean,");
    assert_string_equal(whole, parts);
    assert_int_equal(shell("cat said", whole, sizeof(whole)), 0);
    vj_assert_contains(whole, "vpjnd: 1 image taken from p1.h5\n");
    vj_assert_contains(whole, "vpjnd: 1 image taken from p2.h5\n");
    assert_said("$V eval --set root=set --set predictors=psnr-threshold --max-memory 1M -o big.h5",
                2, "max_memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_is_listed_and_imported),
        cmocka_unit_test(windows_of_photographs_are_those_that_the_options_say),
        cmocka_unit_test(candidate_files_of_made_pictures_are_the_exact_models),
        cmocka_unit_test(parts_are_put_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
