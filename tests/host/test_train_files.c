/* SPDX-License-Identifier: MIT */
/* Training runs and files: what lies beside the weights, and what goes bad under way. */
#include "tests/host/train_run.h"

#include "host/file_lock.h"
#include "host/h5.h"

/* ---- what lies beside the weights ---- */

static bool is_there(const char *name)
{
    char path[4096];
    return access(in_folder(path, name), F_OK) == 0;
}

static void remove_file(const char *name)
{
    char path[4096];
    assert_int_equal(unlink(in_folder(path, name)), 0);
}

static void refuses(const char *output, bool resume, const char *const *pairs, int code,
                    const char *text)
{
    struct vj_train_summary s;
    struct vj_error err = {0};
    assert_int_equal(train(output, resume, pairs, &s, &err), code);
    vj_assert_contains(err.text, text);
}

static void two_runs_do_not_write_the_same_files(void **state)
{
    (void)state;
    char path[4096];
    const char *const pairs[] = {"steps=1", NULL};
    struct vj_train_summary s;
    struct vj_error err = {0};
    struct vj_file_lock lock, second;
    assert_int_equal(vj_file_lock(&lock, in_folder(path, "busy.h5.state.lock"), &err), 0);
    assert_int_equal(vj_file_lock(&second, path, &err), -EBUSY);
    vj_file_unlock(&second);
    refuses("busy.h5", false, pairs, -EBUSY, "is being made by another training run");
    refuses("busy.h5", true, pairs, -EBUSY, "busy.h5.state.lock; wait for its end");
    vj_file_unlock(&lock);
    assert_false(is_there("busy.h5.state.lock"));
    write_text("busy.h5.state.lock", ""); /* of a run that was killed */
    must_train("busy.h5", false, pairs, &s);
    assert_false(is_there("busy.h5.state.lock"));
}

static void a_run_takes_nothing_but_its_own_files(void **state)
{
    (void)state;
    char path[4096], text[64] = "", start[4200];
    const char *const pairs[] = {"steps=1", NULL};
    struct vj_train_summary s;
    static const char *const others[] = {"mine.h5.part", "mine.h5.state.part", "mine.h5.log.part"};
    for (size_t i = 0; i < 3; i++)
        write_text(others[i], "hours of work");
    must_train("mine.h5", false, pairs, &s);
    for (size_t i = 0; i < 3; i++) {
        FILE *file = fopen(in_folder(path, others[i]), "rb");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof(text), file));
        assert_string_equal(text, "hours of work");
        fclose(file);
    }
    write_text("notes.h5.log", "my notes");
    refuses("notes.h5", false, pairs, -EEXIST, "notes.h5.log is there and is no file of kind");
    must_train("self.h5", false, pairs, &s);
    remove_file("self.h5.state");
    snprintf(start, sizeof(start), "start=%s/./self.h5", folder);
    refuses("self.h5", false, (const char *const[]){start, "steps=1", NULL}, -EINVAL,
            "self.h5 is the file of option start");
    assert_true(is_there("self.h5"));
}

/* Root may write anywhere but here. */
static void a_folder_that_cannot_be_written_to_is_told_at_the_start(void **state)
{
    (void)state;
    struct vj_config config;
    struct vj_train_summary s;
    struct vj_error err = {0};
    configure(&config, NULL);
    const struct vj_train_options options = {
        .config = &config, .output = "/sys/vpjnd.h5", .quiet = true};
    if (access("/sys/kernel", F_OK) != 0) /* not mounted, then it is a folder like any other */
        skip();
    assert_true(vj_train_run(&options, &s, &err) < 0);
    vj_assert_contains(err.text, "/sys/vpjnd.h5.state.lock cannot be made");
    assert_int_equal(s.train_items, 0);
}

static int get_run_away(void *state, enum vj_train_set which, struct vj_weights *set,
                        struct vj_error *err)
{
    (void)err;
    for (size_t i = 0; i < set->count; i++)
        memset(set->tensors[i].data, 0, set->tensors[i].count * sizeof(float));
    if (which == *(const enum vj_train_set *)state)
        set->tensors[1].data[0] = which == VJ_TRAIN_AVERAGE ? NAN : INFINITY;
    return 0;
}

static void a_training_that_has_run_away_replaces_no_checkpoint(void **state)
{
    (void)state;
    static const struct vj_trainer_ops ops = {.name = "cpu", .get = get_run_away};
    static const char *const text[VJ_TRAIN_SETS] = {"in set weights: tensor ", "in set moment_1",
                                                    "in set moment_2", "in set average"};
    char path[4096];
    struct vj_train_summary s;
    struct vj_weights scratch;
    struct vj_train_progress progress = {.step = 2};
    must_train("away.h5", false, (const char *const[]){"steps=1", NULL}, &s);
    read_file("start.h5", &scratch);
    in_folder(path, "away.h5.state");
    for (int which = 0; which < VJ_TRAIN_SETS; which++) {
        enum vj_train_set bad = (enum vj_train_set)which;
        const struct vj_trainer trainer = {.ops = &ops, .state = &bad};
        struct vj_error err = {0};
        assert_int_equal(vj_train_state_write(path, &trainer, &progress, "", "", &scratch, &err),
                         -EDOM);
        vj_assert_contains(err.text, text[which]);
        vj_assert_contains(err.text, "lower option learning_rate");
        assert_int_equal(vj_train_get(&trainer, bad, &scratch, &err), -EDOM);
    }
    vj_weights_free(&scratch);
    must_train("away.h5", true, (const char *const[]){"steps=2", NULL}, &s);
    assert_int_equal(s.resumed, 1);
}

static void weights_say_how_many_patches_they_were_chosen_with(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[4];
        int patches;
    } cases[] = {
        {{"steps=1", NULL}, 2}, /* those of start.h5 */
        {{"steps=1", "patches=3", NULL}, 3},
        {{"steps=1", "patches=3", "validate_patches=5"}, 5},
    };
    struct vj_train_summary s;
    struct vj_weights w;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[32];
        snprintf(name, sizeof(name), "patches-%zu.h5", i);
        must_train(name, false, cases[i].pairs, &s);
        read_file(name, &w);
        assert_int_equal(w.shape.patches, cases[i].patches);
        vj_weights_free(&w);
    }
}

static void best_weights_that_are_gone_are_missed(void **state)
{
    (void)state;
    struct vj_train_summary s;
    const char *const best[] = {"steps=8", NULL}, *const latest[] = {"steps=4", "valid_ids=", NULL};
    must_train("gone.h5", false, best, &s);
    remove_file("gone.h5");
    refuses("gone.h5", true, best, -ENOENT, "which held the best weights (of step 8), is gone");
    /* without validation the checkpoint holds what OUT held */
    must_train("latest.h5", false, latest, &s);
    must_train("again.h5", false, latest, &s);
    remove_file("again.h5");
    must_train("again.h5", true, latest, &s);
    assert_int_equal(s.steps, s.resumed);
    assert_same_weights("latest.h5", "again.h5");
}

static void lost_learning_curves_end_no_run(void **state)
{
    (void)state;
    char path[4096];
    struct vj_train_summary s;
    struct vj_train_log log = {0};
    struct vj_error err = {0};
    must_train("curves.h5", false, NULL, &s);
    must_train("lost.h5", false, (const char *const[]){"steps=8", NULL}, &s);
    remove_file("lost.h5.log");
    must_train("lost.h5", true, NULL, &s);
    assert_int_equal(s.resumed, 8);
    assert_same_weights("curves.h5", "lost.h5");
    assert_int_equal(vj_train_log_read(&log, in_folder(path, "lost.h5.log"), &err), 0);
    assert_true(log.rows == 2 && log.step[0] == 10);
    assert_int_equal(log.validations, 2);
    assert_int_equal(log.validation_step[0], 16);
    vj_train_log_free(&log);
}

/* As for a checkpoint that is older than the curves beside it. */
static void curves_are_cut_behind_a_step(void **state)
{
    (void)state;
    static const struct {
        int64_t step;
        size_t rows, validations;
    } cuts[] = {{30, 3, 3}, {29, 2, 3}, {24, 2, 3}, {20, 2, 2}, {16, 1, 2}, {8, 0, 1}, {0, 0, 0}};
    struct vj_train_log log = {0};
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(vj_train_log_add(&log, 10 * i, 1, 0.5, 0.1, 2, NULL), 0);
        assert_int_equal(vj_train_log_validation(&log, 8 * i, 3, -1, NULL), 0);
    }
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        vj_train_log_cut(&log, cuts[i].step);
        assert_int_equal(log.rows, cuts[i].rows);
        assert_int_equal(log.validations, cuts[i].validations);
    }
    vj_train_log_free(&log);
}

static void damaged_learning_curves_need_not_end_one(void **state)
{
    (void)state;
    char path[4096];
    const char *const pairs[] = {"steps=8", NULL};
    struct vj_train_summary s;
    must_train("spoilt.h5", false, pairs, &s);
    hid_t file = H5Fopen(in_folder(path, "spoilt.h5.log"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0 && H5Ldelete(file, "loss", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    refuses("spoilt.h5", true, pairs, -ENOENT,
            "spoilt.h5.log: dataset loss is missing; remove it to go on without the learning");
    remove_file("spoilt.h5.log");
    must_train("spoilt.h5", true, pairs, &s);
    assert_int_equal(s.resumed, 8);
}

/* Rows that are not there take no room of a file, but would of memory. */
static void learning_curves_hold_what_they_claim(void **state)
{
    (void)state;
    char path[4096];
    const char *const pairs[] = {"steps=8", NULL};
    const hsize_t rows = 1 << 28, chunk = 1024;
    struct vj_train_summary s;
    must_train("vast.h5", false, pairs, &s);
    hid_t file = H5Fopen(in_folder(path, "vast.h5.log"), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &rows, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(file >= 0 && H5Ldelete(file, "step", H5P_DEFAULT) >= 0);
    assert_true(H5Pset_chunk(list, 1, &chunk) >= 0);
    hid_t set = H5Dcreate2(file, "step", H5T_STD_I64LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Pclose(list);
    H5Sclose(space);
    H5Fclose(file);
    refuses("vast.h5", true, pairs, -EINVAL,
            "vast.h5.log: dataset step is not a column of at most");
}

static void set_second_moment(const char *state, float value)
{
    hid_t file = H5Fopen(state, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/moment_2/regressions/block2/biases", H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0);
    H5Dclose(set);
    H5Fclose(file);
}

/* A count that cannot go on, and a best validation that none is better than. */
static void progress_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t value;
        const char *text;
    } counts[] = {
        {"since_best", INT64_MAX, "attribute since_best is 9223372036854775807, it must be 0 to "},
        {"best_step", 5, "attribute best_step is 5, it must be 0 to 4"},
        {"partial_right", 100000, "attribute partial_right is 100000, it must be 0 to "},
        {"step", -1, "attribute step is -1, it must be 0 to "},
    };
    const char *const pairs[] = {"steps=4", NULL}, *const more[] = {"steps=8", NULL};
    const double mads[] = {NAN, -1};
    char path[4096];
    struct vj_train_summary s;
    struct vj_error err = {0};
    must_train("counts.h5", false, pairs, &s);
    in_folder(path, "counts.h5.state");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) + 2; i++) {
        const bool mad = i < 2;
        const char *name = mad ? "best_mad" : counts[i - 2].name;
        double was_mad = 0;
        int64_t was = 0;
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(file >= 0);
        assert_int_equal(mad ? vj_h5_read_doubles(file, name, &was_mad, 1, &err)
                             : vj_h5_read_int(file, name, &was, &err),
                         0);
        assert_int_equal(mad ? vj_h5_write_doubles(file, name, &mads[i], 1, &err)
                             : vj_h5_write_int(file, name, counts[i - 2].value, &err),
                         0);
        H5Fclose(file);
        refuses("counts.h5", true, more, -EINVAL,
                mad ? "counts.h5.state: attribute best_mad is" : counts[i - 2].text);
        file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_int_equal(mad ? vj_h5_write_doubles(file, name, &was_mad, 1, &err)
                             : vj_h5_write_int(file, name, was, &err),
                         0);
        H5Fclose(file);
    }
    set_second_moment(path, -1);
    refuses("counts.h5", true, more, -EINVAL,
            "counts.h5.state: moment_2: dataset regressions/block2/biases has -1, it must not be");
    set_second_moment(path, 0.5f);
    must_train("counts.h5", true, more, &s);
    assert_int_equal(s.resumed, 4);
}

/* What was read of the record until then says nothing of how the patches lay. */
static void a_start_with_a_damaged_record_is_refused(void **state)
{
    (void)state;
    char path[4096], start[4200];
    struct vj_train_summary s;
    must_train("record.h5", false, (const char *const[]){"steps=1", NULL}, &s);
    hid_t file = H5Fopen(in_folder(path, "record.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(H5Adelete(file, "trained_labels") >= 0);
    H5Fclose(file);
    snprintf(start, sizeof(start), "start=%s", path);
    refuses("onward.h5", false, (const char *const[]){start, "steps=1", NULL}, -ENOENT,
            "record.h5: attribute trained_labels is missing");
}

/* What was asked for does not count, but what it was made on; earlier programs recorded the former.
 */
static void the_device_counts_by_what_it_is(void **state)
{
    (void)state;
    enum { SIZE = 60000 };
    char path[4096], *text = calloc(1, SIZE), *old = calloc(1, SIZE);
    struct vj_train_summary s;
    struct vj_error err = {0};
    must_train("device.h5", false, (const char *const[]){"steps=1", NULL}, &s);
    if (train("device.h5", true, (const char *const[]){"device=auto", "steps=1", NULL}, &s, &err))
        vj_assert_contains(err.text, "it was made on device cpu, this run is on ");
    hid_t file = H5Fopen(in_folder(path, "device.h5.state"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0 && text && old);
    assert_int_equal(vj_h5_read_text(file, "config", text, SIZE, &err), 0);
    assert_null(strstr(text, "device = "));
    const char *seed = strstr(text, "seed = ");
    assert_non_null(seed);
    snprintf(old, SIZE, "%.*sdevice = \"auto\";\n%s", (int)(seed - text), text, seed);
    assert_int_equal(vj_h5_write_text(file, "config", old, &err), 0);
    assert_int_equal(vj_h5_close(file, path, &err), 0);
    free(text);
    free(old);
    must_train("device.h5", true, (const char *const[]){"steps=2", NULL}, &s);
    assert_int_equal(s.resumed, 1);
}

/* ---- files that go bad under way ---- */

/* Turns over bytes in the middle of a file, or back: its header and size stay. */
static void turn_bytes(const char *name)
{
    char path[4096];
    uint8_t bytes[8];
    FILE *file = fopen(in_folder(path, name), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long middle = ftell(file) / 2;
    assert_int_equal(fseek(file, middle, SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] ^= 0xff;
    assert_int_equal(fseek(file, middle, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    assert_int_equal(fclose(file), 0);
}

/* Pictures 1 and 2 with levels 1..4 as files k<level>.png, picture 3 with v<level>.png. */
static void write_levels(void)
{
    char path[4096], name[32];
    for (int level = 1; level <= 4; level++) {
        snprintf(name, sizeof(name), "k%d.png", level);
        write_picture(in_folder(path, name), 6 - level);
        snprintf(name, sizeof(name), "v%d.png", level);
        write_picture(in_folder(path, name), 6 - level);
    }
    write_text("levels.csv", "image,candidates,qf_true\np0.png,k{qf}.png,2\np1.png,k{qf}.png,2\n"
                             "p2.png,v{qf}.png,3\n");
}

enum { LEVEL_PAIRS = 11 };

static void list_level_pairs(const char *pairs[LEVEL_PAIRS], const char *root, const char *seed,
                             const char *valid)
{
    const char *const all[LEVEL_PAIRS] = {
        root,      "codec=vvc", "qf_last=4",      "anchors=first",       "pairs=uniform",
        "batch=1", "ids=1-2",   "batch_levels=1", "checkpoint_every=99", seed,
        valid};
    memcpy(pairs, all, sizeof(all));
}

static void steps_before_a_bad_picture_are_kept(void **state)
{
    (void)state;
    char root[4200] = "root=", seed[16];
    struct vj_train_summary s = {0};
    struct vj_error err = {0};
    const char *pairs[LEVEL_PAIRS + 1] = {NULL};
    write_levels();
    in_folder(root + 5, "levels.csv");
    turn_bytes("k4.png");
    for (int k = 1; s.steps == 0; k++) { /* until it is not the first step that wants it */
        snprintf(seed, sizeof(seed), "seed=%d", k);
        list_level_pairs(pairs, root, seed, "valid_ids=");
        assert_true(train("kept.h5", false, pairs, &s, &err) < 0);
    }
    vj_assert_contains(err.text, "k4.png");
    vj_assert_contains(err.text, "when this is mended, go on with --resume, unless a file then has "
                                 "another size than when training began");
    const int64_t kept = s.steps;
    assert_true(is_there("kept.h5"));
    turn_bytes("k4.png");
    must_train("kept.h5", true, pairs, &s);
    assert_int_equal(s.resumed, kept);
    must_train("kept-whole.h5", false, pairs, &s);
    assert_same_weights("kept-whole.h5", "kept.h5");
    assert_same_log("kept-whole.h5.log", "kept.h5.log");
}

static void a_validation_that_failed_is_made_up_for(void **state)
{
    (void)state;
    char root[4200] = "root=";
    struct vj_train_summary s;
    struct vj_error err = {0};
    const char *pairs[LEVEL_PAIRS + 2] = {NULL};
    write_levels();
    in_folder(root + 5, "levels.csv");
    for (int end = 0; end < 2; end++) { /* at a validation under way, and at the last one */
        char whole[32], failed[32];
        snprintf(whole, sizeof(whole), "unfailed-%d.h5", end);
        snprintf(failed, sizeof(failed), "failed-%d.h5", end);
        list_level_pairs(pairs, root, "seed=1", "valid_ids=3");
        pairs[LEVEL_PAIRS] = end ? "steps=5" : "steps=24";
        must_train(whole, false, pairs, &s);
        for (int level = 1; level <= 4; level++)
            turn_bytes((const char *const[]){"v1.png", "v2.png", "v3.png", "v4.png"}[level - 1]);
        assert_true(train(failed, false, pairs, &s, &err) < 0);
        vj_assert_contains(err.text, "validation picture p2.png");
        vj_assert_contains(err.text, "go on with --resume");
        assert_int_equal(s.steps, end ? 5 : 8);
        for (int level = 1; level <= 4; level++)
            turn_bytes((const char *const[]){"v1.png", "v2.png", "v3.png", "v4.png"}[level - 1]);
        must_train(failed, true, pairs, &s);
        assert_int_equal(s.resumed, end ? 5 : 8);
        assert_same_weights(whole, failed);
        char a[64], b[64];
        snprintf(a, sizeof(a), "%s.log", whole);
        snprintf(b, sizeof(b), "%s.log", failed);
        assert_same_log(a, b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_runs_do_not_write_the_same_files),
        cmocka_unit_test(a_run_takes_nothing_but_its_own_files),
        cmocka_unit_test(a_folder_that_cannot_be_written_to_is_told_at_the_start),
        cmocka_unit_test(a_training_that_has_run_away_replaces_no_checkpoint),
        cmocka_unit_test(weights_say_how_many_patches_they_were_chosen_with),
        cmocka_unit_test(best_weights_that_are_gone_are_missed),
        cmocka_unit_test(lost_learning_curves_end_no_run),
        cmocka_unit_test(curves_are_cut_behind_a_step),
        cmocka_unit_test(damaged_learning_curves_need_not_end_one),
        cmocka_unit_test(learning_curves_hold_what_they_claim),
        cmocka_unit_test(progress_that_cannot_be_is_refused),
        cmocka_unit_test(a_start_with_a_damaged_record_is_refused),
        cmocka_unit_test(the_device_counts_by_what_it_is),
        cmocka_unit_test(steps_before_a_bad_picture_are_kept),
        cmocka_unit_test(a_validation_that_failed_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
