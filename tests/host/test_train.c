/* SPDX-License-Identifier: MIT */
/* Training runs from the outside: same bits after any cut, what is kept, what is refused. */
#include "tests/host/train_run.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "host/engine.h"
#include "host/h5.h"
#include "host/predictors.h"
#include "host/progress.h"
#include "host/resjnd.h"
#include "host/results.h"
#include "host/run.h"
#include "host/trained_config.h"

static void a_resumed_run_ends_like_an_unbroken_one(void **state)
{
    (void)state;
    struct vj_train_summary s;
    /* without validation OUT is the latest average, so that it tells of every step */
    must_train("whole.h5", false, (const char *const[]){"valid_ids=", "ids=1-5", NULL}, &s);
    assert_int_equal(s.steps, STEPS);
    assert_int_equal(s.resumed, 0);
    assert_int_equal(s.train_items, PICTURES - 1);
    /* cut where neither a row of the log nor a checkpoint ends */
    must_train("cut.h5", false, (const char *const[]){"valid_ids=", "ids=1-5", "steps=13", NULL},
               &s);
    must_train("cut.h5", true,
               (const char *const[]){"valid_ids=", "ids=1-5", "steps=17", "threads=3", NULL}, &s);
    assert_int_equal(s.resumed, 13);
    must_train("cut.h5", true, (const char *const[]){"valid_ids=", "ids=1-5", NULL}, &s);
    assert_int_equal(s.resumed, 17);
    assert_same_weights("whole.h5", "cut.h5");
    assert_same_log("whole.h5.log", "cut.h5.log");
    /* nothing left to do is no error */
    must_train("cut.h5", true, (const char *const[]){"valid_ids=", "ids=1-5", NULL}, &s);
    assert_int_equal(s.steps, s.resumed);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct vj_train_summary s;
    must_train("t1.h5", false, (const char *const[]){"threads=1", NULL}, &s);
    must_train("t3.h5", false, (const char *const[]){"threads=3", NULL}, &s);
    assert_same_weights("t1.h5", "t3.h5");
    assert_same_log("t1.h5.log", "t3.h5.log");
}

static void another_seed_gives_other_weights(void **state)
{
    (void)state;
    struct vj_train_summary s;
    struct vj_weights a, b;
    must_train("s1.h5", false, (const char *const[]){"steps=2", NULL}, &s);
    must_train("s2.h5", false, (const char *const[]){"steps=2", "seed=2", NULL}, &s);
    read_file("s1.h5", &a);
    read_file("s2.h5", &b);
    assert_string_not_equal(a.sha256, b.sha256);
    vj_weights_free(&a);
    vj_weights_free(&b);
}

/* Starts `vpjnd train`; returns its process. */
static pid_t start_program(const char *output, const char *steps, const char *checkpoint_every)
{
    char root[4096], start[4096], out[4096];
    snprintf(root, sizeof(root), "root=%.4000s/all.csv", folder);
    snprintf(start, sizeof(start), "start=%.4000s/start.h5", folder);
    snprintf(out, sizeof(out), "%.4000s/%s", folder, output);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    signal(SIGINT, SIG_DFL); /* behind & it is ignored, and would be by the program */
    execl(VJ_PROGRAM, VJ_PROGRAM, "train", "-q", "--resume", "--set", "dataset=manifest", "--set",
          root, "--set", start, "--set", "device=cpu", "--set", "batch=2", "--set",
          "batch_levels=2", "--set", "learning_rate=1e-3", "--set", "average=0.9", "--set",
          "valid_ids=6", "--set", "validate_every=8", "--set", steps, "--set", checkpoint_every,
          "--set", "jnd_model=chou95", "-o", out, (char *)NULL);
    _exit(127);
}

static void finish_and_compare(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_same_weights("unbroken.h5", "killed.h5");
    assert_same_log("unbroken.h5.log", "killed.h5.log");
}

/* As on a full disk: what is there already stays, and the error says how to go on from it. */
static void a_disk_that_is_full_leaves_the_steps_before(void **state)
{
    (void)state;
    char path[4096], said[4096] = "";
    int status = 0;
    struct rlimit old, small;
    must_train("full.h5", false, (const char *const[]){"steps=8", NULL},
               &(struct vj_train_summary){0});
    const int file = open(in_folder(path, "said"), O_RDWR | O_CREAT, 0600), terminal = dup(2);
    assert_true(file >= 0 && terminal >= 0 && getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = (struct rlimit){.rlim_cur = 20000, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    dup2(file, 2);
    pid_t child = start_program("full.h5", "steps=12", "checkpoint_every=4");
    dup2(terminal, 2);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    assert_true(pread(file, said, sizeof(said) - 1, 0) > 0);
    vj_assert_contains(said, "full.h5.state keeps the first 8 of 12 steps: when this is mended, go "
                             "on with --resume");
    close(file);
    close(terminal);
    must_train("full.h5", true, (const char *const[]){"steps=12", NULL},
               &(struct vj_train_summary){0});
}

/* With no checkpoint in sight the steps that are done are kept all the same. */
static void interrupted_it_keeps_its_steps(void **state)
{
    (void)state;
    char path[4096];
    int status = 0;
    pid_t child = start_program("stopped.h5", "steps=100000", "checkpoint_every=100000");
    for (int i = 0; i < 600 && access(in_folder(path, "stopped.h5.state.lock"), F_OK) != 0; i++)
        usleep(100000);
    usleep(500000);
    kill(child, SIGINT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    assert_int_equal(access(in_folder(path, "stopped.h5.state"), F_OK), 0);
}

static void killed_at_random_points_it_ends_in_the_same_weights(void **state)
{
    (void)state;
    enum { KILLS = 20 };
    char command[4300];
    const double start = vj_seconds();
    must_train("unbroken.h5", false, NULL, &(struct vj_train_summary){0});
    double whole = vj_seconds() - start;
    snprintf(command, sizeof(command), "rm -f '%s'/killed.h5*", folder);
    for (unsigned kills = 0, round = 0; kills < KILLS; round++) {
        int status = 0;
        pid_t child = start_program("killed.h5", "steps=24", "checkpoint_every=1");
        usleep((useconds_t)(whole * 1e6 * (double)(round * 7919 % 97) / 97));
        if (waitpid(child, &status, WNOHANG) ==
            child) { /* it was through: once more from the start */
            assert_int_equal(WEXITSTATUS(status), 0);
            assert_same_weights("unbroken.h5", "killed.h5");
            assert_int_equal(system(command), 0);
            whole /= 2; /* the machine was busier when this was measured */
            continue;
        }
        kill(child, kills % 2 ? SIGINT : SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        kills += WIFSIGNALED(status);
    }
    finish_and_compare(start_program("killed.h5", "steps=24", "checkpoint_every=1"));
}

static void the_best_validated_weights_are_kept_with_their_record(void **state)
{
    (void)state;
    char path[4096];
    struct vj_train_summary s;
    struct vj_error err = {0};
    struct vj_train_log log = {0};
    struct vj_weights w;
    must_train("best.h5", false, NULL, &s);
    assert_int_equal(vj_train_log_read(&log, in_folder(path, "best.h5.log"), &err), 0);
    assert_int_equal(log.rows, STEPS / VJ_TRAIN_LOG_EVERY);
    assert_int_equal(log.validations, 3);
    double best = INFINITY;
    int64_t step = 0;
    for (size_t i = 0; i < log.validations; i++)
        if (log.mad[i] < best) {
            best = log.mad[i];
            step = log.validation_step[i];
        }
    read_file("best.h5", &w);
    assert_int_equal(w.origin, VJ_ORIGIN_TRAINED);
    assert_non_null(w.trained);
    assert_int_equal(w.trained->step, step);
    assert_true(w.trained->validation_mad == best && s.best_mad == best);
    assert_string_equal(w.trained->dataset, "manifest");
    assert_string_equal(w.trained->ids, "1-6");
    vj_assert_contains(w.trained->config, "batch_levels = 2;");
    vj_weights_free(&w);
    vj_train_log_free(&log);
}

/* Judges STEM.h5 on the pictures `ids`; the results file is open for reading. */
static struct vj_results *judge(const char *stem, const char *ids, const char *jnd_model,
                                const char *jnd_weights)
{
    char path[4096], pair[4200];
    struct vj_run_summary run;
    struct vj_error err = {0};
    struct vj_config config;
    struct vj_results *results = NULL;
    snprintf(path, sizeof(path), "%s.h5", stem);
    snprintf(pair, sizeof(pair), "vpjnd:%s/%s", folder, path);
    const char *const set[][2] = {{"predictors", pair},         {"dataset", "manifest"},
                                  {"image_metrics", "none"},    {"bootstrap", "0"},
                                  {"jnd_model", jnd_model},     {"ids", ids},
                                  {"jnd_weights", jnd_weights}, {"positions", "uniform"}};
    vj_config_defaults(&config, VJ_USE_EVAL);
    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
        if (vj_config_set(&config, set[i][0], set[i][1], &err))
            fail_msg("%s", err.text);
    vj_config_set(&config, "root", in_folder(path, "all.csv"), NULL);
    const struct vj_run_options options = {
        .config = &config, .output = in_folder(path, "results.h5"), .command_line = "test"};
    unlink(path);
    if (vj_run_eval(&options, &run, &err) || vj_results_open(&results, path, false, &err))
        fail_msg("%s", err.text);
    assert_int_equal(run.failed, 0);
    return results;
}

/* An attribute of the only predictor; owned by the caller. */
static char *told(struct vj_results *results, const char *predictor, const char *attribute)
{
    char group[128], *text = NULL;
    struct vj_error err = {0};
    snprintf(group, sizeof(group), "/predictors/%s", predictor);
    if (vj_results_get_text(results, group, attribute, &text, &err))
        fail_msg("%s", err.text);
    return text;
}

static void a_run_that_judges_weights_on_their_own_pictures_says_so(void **state)
{
    (void)state;
    struct vj_train_summary s;
    must_train("judged.h5", false, (const char *const[]){"steps=4", "ids=1-2", NULL}, &s);
    struct vj_results *results = judge("judged", "", "chou95", "");
    char *note = told(results, "vpjnd-judged", "note");
    vj_assert_contains(note, "NOT A TEST: 3 of 6 images trained or validated these weights");
    assert_null(strstr(note, "OTHER MAPS"));
    free(note);
    vj_results_close(results);
}

static void a_run_with_other_maps_than_in_training_says_so(void **state)
{
    (void)state;
    struct vj_train_summary s;
    must_train("maps.h5", false, (const char *const[]){"steps=1", "ids=1", NULL}, &s);
    struct vj_results *results = judge("maps", "1", "epc17", "");
    char *note = told(results, "vpjnd-maps", "note");
    vj_assert_contains(note, "OTHER MAPS than in training: epc17 (authors) minmax of the source "
                             "here, chou95 (authors) minmax of the source then");
    free(note);
    vj_results_close(results);

    /* A record that cannot be read costs no run where positions are said. */
    static const char *const records[] = {"no configuration", "jnd_model = \"other\";\n",
                                          "jnd_model = \"other\";\ncodec = \"bpg\";\n"};
    for (size_t i = 0; i < 3; i++) {
        char path[4096];
        struct vj_weights w;
        struct vj_error err = {0};
        read_file("maps.h5", &w);
        free(w.trained->config);
        w.trained->config = strdup(records[i]);
        assert_int_equal(vj_weights_write(&w, in_folder(path, "unread.h5"), &err), 0);
        vj_weights_free(&w);
        results = judge("unread", "1", "epc17", "");
        note = told(results, "vpjnd-unread", "note");
        assert_null(strstr(note, "OTHER MAPS"));
        assert_int_equal(i == 2,
                         strstr(note, "OTHER CODEC than in training: jpeg here, bpg then") != NULL);
        free(note);
        vj_results_close(results);
    }
}

/* What validation lacks ends training before its first step, not at the first validation. */
static void a_picture_too_small_to_validate_is_refused_at_the_start(void **state)
{
    (void)state;
    char path[4096], pair[4200], small[4096];
    struct vj_image img;
    struct vj_train_summary s;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, 15, 40, 3, &err), 0);
    memset(img.data, 90, 15 * 40 * 3);
    assert_int_equal(vj_image_write_png(&img, in_folder(small, "small.png"), &err), 0);
    vj_image_free(&img);
    FILE *csv = fopen(in_folder(path, "small.csv"), "w");
    assert_non_null(csv);
    fputs("image,candidates,qf_true\np0.png,,30\nsmall.png,,40\n", csv);
    fclose(csv);
    snprintf(pair, sizeof(pair), "root=%s", path);
    assert_int_equal(train("small.h5", false,
                           (const char *const[]){pair, "ids=1", "valid_ids=2", "batch=1", NULL}, &s,
                           &err),
                     -EINVAL);
    vj_assert_contains(err.text, "validation: ");
    vj_assert_contains(err.text, "small.png is 15x40, smaller than a patch of 16x16");
    assert_int_equal(s.steps, 0);
}

static void the_record_names_no_folder_of_this_machine(void **state)
{
    (void)state;
    char path[4096];
    struct vj_train_summary s;
    struct vj_weights w, start;
    must_train("shared.h5", false, (const char *const[]){"steps=4", NULL}, &s);
    read_file("shared.h5", &w);
    read_file("start.h5", &start);
    vj_assert_contains(w.trained->config, "root = \"all.csv\";");
    vj_assert_contains(w.trained->config, "start = \"start.h5\";");
    vj_assert_contains(w.trained->config, "patch_size = 16;"); /* theirs, where no option says */
    assert_null(strstr(w.trained->config, folder));
    assert_string_equal(w.trained->start_sha256, start.sha256);
    vj_weights_free(&start);
    vj_weights_free(&w);
    must_train("fresh.h5", false,
               (const char *const[]){"steps=1", "start=", "patch_size=16", "patches=2", NULL}, &s);
    read_file("fresh.h5", &w);
    assert_string_equal(w.trained->start_sha256, "");
    vj_weights_free(&w);
    static const char *const files[] = {"shared.h5", "shared.h5.log"};
    for (size_t i = 0; i < 2; i++) {
        char command[8400];
        snprintf(command, sizeof(command), "grep -aqF '%s' '%s'", folder,
                 in_folder(path, files[i]));
        assert_int_equal(WEXITSTATUS(system(command)), 1);
    }
}

/* Random weights of eight channels, as ResJND's, times `factor`. */
static void write_resjnd(float factor)
{
    char path[4096];
    struct vj_resjnd_file file = {0};
    struct vj_error err = {0};
    if (vj_resjnd_import(&file, VJ_TEST_GOLDEN "/resjnd/net.pth", &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < file.weights.tensors[0].count; i++)
        file.weights.tensors[0].data[i] *= factor;
    if (vj_resjnd_file_write(&file, in_folder(path, "resjnd.h5"), &err))
        fail_msg("%s", err.text);
    vj_resjnd_file_free(&file);
}

static void maps_of_resjnd24_train_and_judge_and_belong_to_the_run(void **state)
{
    (void)state;
    char path[4096], option[4200];
    struct vj_train_summary s;
    struct vj_error err = {0};
    struct vj_weights with, without;
    snprintf(option, sizeof(option), "jnd_weights=%s", in_folder(path, "resjnd.h5"));
    const char *const pairs[] = {"jnd_model=resjnd24", option,    "ids=1",
                                 "valid_ids=",         "steps=4", NULL};
    write_resjnd(1);
    must_train("resjnd-net.h5", false, pairs, &s);
    must_train("chou95-net.h5", false,
               (const char *const[]){"ids=1", "valid_ids=", "steps=4", NULL}, &s);
    read_file("resjnd-net.h5", &with);
    read_file("chou95-net.h5", &without);
    assert_string_not_equal(with.sha256, without.sha256);
    assert_string_equal(without.trained->jnd_weights_sha256, "");

    struct vj_results *results = judge("resjnd-net", "1", "resjnd24", in_folder(path, "resjnd.h5"));
    char *digest = told(results, "vpjnd-resjnd-net", "jnd_weights_sha256"),
         *note = told(results, "vpjnd-resjnd-net", "note");
    assert_int_equal(strlen(digest), 64);
    assert_string_equal(with.trained->jnd_weights_sha256, digest);
    assert_null(strstr(note, "OTHER MAPS"));
    free(digest);
    free(note);
    vj_results_close(results);
    vj_weights_free(&with);
    vj_weights_free(&without);

    write_resjnd(0.5f); /* another model under the same name */
    assert_int_equal(train("resjnd-net.h5", true, pairs, &s, &err), -EINVAL);
    vj_assert_contains(err.text, "resjnd-net.h5.state");
    vj_assert_contains(err.text, "made with jnd_weights_sha256 = ");
    results = judge("resjnd-net", "1", "resjnd24", in_folder(path, "resjnd.h5"));
    note = told(results, "vpjnd-resjnd-net", "note");
    vj_assert_contains(note, "OTHER MAPS than in training: resjnd24 ");
    free(note);
    vj_results_close(results);
    write_resjnd(1);
    must_train("resjnd-net.h5", true, pairs, &s);
}

static void other_start_weights_under_the_same_name_are_refused(void **state)
{
    (void)state;
    char path[4096], option[4200];
    struct vj_train_summary s;
    struct vj_error err = {0};
    struct vj_weights w;
    read_file("start.h5", &w);
    snprintf(option, sizeof(option), "start=%s", in_folder(path, "moved.h5"));
    const char *const pairs[] = {option, "steps=4", NULL};
    assert_int_equal(vj_weights_write(&w, path, &err), 0);
    must_train("moved-net.h5", false, pairs, &s);
    w.tensors[0].data[0] += 0.25f;
    assert_int_equal(vj_weights_write(&w, path, &err), 0);
    assert_int_equal(train("moved-net.h5", true, pairs, &s, &err), -EINVAL);
    vj_assert_contains(err.text, "made with start_sha256 = ");
    vj_weights_free(&w);
}

/* As an earlier program left it: the configuration says nothing of the weights' digests. */
static void a_state_that_says_less_is_refused_in_words(void **state)
{
    (void)state;
    enum { SIZE = 60000 };
    char path[4096], *text = calloc(SIZE, 1);
    struct vj_train_summary s;
    struct vj_error err = {0};
    const char *const pairs[] = {"steps=1", NULL};
    must_train("older.h5", false, pairs, &s);
    hid_t file = H5Fopen(in_folder(path, "older.h5.state"), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0 && text);
    assert_int_equal(vj_h5_read_text(file, "config", text, SIZE, &err), 0);
    char *digest = strstr(text, "start_sha256");
    assert_non_null(digest);
    *digest = '\0';
    assert_int_equal(vj_h5_write_text(file, "config", text, &err), 0);
    assert_int_equal(vj_h5_close(file, path, &err), 0);
    free(text);
    assert_int_equal(train("older.h5", true, pairs, &s, &err), -EINVAL);
    vj_assert_contains(err.text, "older.h5.state: it was made with nothing more and this run has "
                                 "start_sha256 = ");
}

static void start_weights_decide_what_the_network_is(void **state)
{
    (void)state;
    static const struct {
        const char *pair, *text;
    } cases[] = {
        {"variant=released", "start.h5: it is a network of variant figure; leave option variant"},
        {"patch_size=32", "start.h5: it is a network for patches of 16 pixels; leave option"},
        {"non_local=transpose", "start.h5: it was made with another non_local"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_train_summary s;
        struct vj_error err = {0};
        const char *const pairs[] = {cases[i].pair, "steps=1", NULL};
        assert_int_equal(train("other.h5", false, pairs, &s, &err), -EINVAL);
        vj_assert_contains(err.text, cases[i].text);
    }
}

static float weight_bias_of(const char *name)
{
    struct vj_weights w;
    read_file(name, &w);
    const float bias = vj_weights_find(&w, "weightings/block2/biases")->data[0];
    vj_weights_free(&w);
    return bias;
}

static void patch_weights_that_are_dead_are_seen_and_brought_to_life(void **state)
{
    (void)state;
    char path[4096], start[4200] = "start=";
    struct vj_weights w;
    struct vj_train_summary s;
    struct vj_error err = {0};
    read_file("start.h5", &w);
    vj_weights_find(&w, "weightings/block2/biases")->data[0] = -100;
    if (vj_weights_hash(&w, &err) || vj_weights_write(&w, in_folder(path, "dead.h5"), &err))
        fail_msg("%s", err.text);
    vj_weights_free(&w);
    in_folder(start + strlen(start), "dead.h5");
    const char *const dead[] = {start, "steps=8", NULL};
    must_train("dead-on.h5", false, dead, &s);
    assert_true(s.dead_weights);
    assert_true(weight_bias_of("dead-on.h5") == -100);
    const char *const alive[] = {start, "steps=8", "weight_bias=1", NULL};
    must_train("lively.h5", false, alive, &s);
    assert_false(s.dead_weights);
    assert_true(fabsf(weight_bias_of("lively.h5") - 1) < 0.1f);
    assert_true(weight_bias_of("lively.h5") != 1); /* it learns */
    must_train("begun.h5", false,
               (const char *const[]){"start=", "patch_size=16", "steps=1", "variant=figure",
                                     "weight_bias=1", NULL},
               &s);
    assert_true(fabsf(weight_bias_of("begun.h5") - 1) < 0.1f);
}

/* Even positions are inherited by fine-tuning and by whoever judges the weights. */
static void patches_lie_as_in_training_unless_said_otherwise(void **state)
{
    (void)state;
    char path[4096], start[4200];
    struct vj_train_summary s;
    struct vj_weights w;
    int positions;
    read_file("start.h5", &w);
    assert_int_equal(vj_trained_positions(&positions, &w, NULL), 0);
    assert_int_equal(positions, VJ_POSITIONS_UNIFORM);
    vj_weights_free(&w);
    must_train("even.h5", false, (const char *const[]){"positions=even", "steps=1", NULL}, &s);
    read_file("even.h5", &w);
    assert_int_equal(vj_trained_positions(&positions, &w, NULL), 0);
    assert_int_equal(positions, VJ_POSITIONS_EVEN);
    vj_weights_free(&w);
    snprintf(start, sizeof(start), "start=%s", in_folder(path, "even.h5"));
    must_train("even-2.h5", false, (const char *const[]){start, "steps=1", NULL}, &s);
    read_file("even-2.h5", &w);
    vj_assert_contains(w.trained->config, "positions = \"even\"");
    vj_weights_free(&w);

    struct vj_error err = {0};
    struct vj_config config;
    struct vj_engine engine;
    struct vj_predictors p = {0};
    char list[12600], uniform[4096];
    snprintf(list, sizeof(list), "vpjnd:%s,vpjnd:%s", path, in_folder(uniform, "start.h5"));
    vj_config_defaults(&config, VJ_USE_EVAL);
    vj_config_set(&config, "device", "cpu", NULL);
    assert_int_equal(vj_predictors_open(&p, list, "jpeg", VJ_POSITIVE_AUTO, &err), 0);
    assert_int_equal(vj_engine_open(&engine, &config, &p, WIDTH, HEIGHT, &err), -EINVAL);
    vj_assert_contains(err.text, "option positions: some of these networks were trained with");
    p.networks = p.count = 1;
    if (vj_engine_open(&engine, &config, &p, WIDTH, HEIGHT, &err))
        fail_msg("%s", err.text);
    assert_int_equal(engine.config.positions, VJ_POSITIONS_EVEN);
    vj_engine_close(&engine);
    p.weights[0].trained->config[0] = '?'; /* a record that nobody can read */
    assert_int_equal(vj_engine_open(&engine, &config, &p, WIDTH, HEIGHT, &err), -EINVAL);
    vj_assert_contains(err.text, path);
    vj_assert_contains(err.text, "positions = uniform or even must be given");
    vj_assert_contains(err.text, "attribute trained_config");
    config.positions = VJ_POSITIONS_UNIFORM;
    if (vj_engine_open(&engine, &config, &p, WIDTH, HEIGHT, &err))
        fail_msg("%s", err.text);
    assert_int_equal(engine.config.positions, VJ_POSITIONS_UNIFORM);
    vj_engine_close(&engine);
    p.networks = p.count = 2;
    vj_predictors_free(&p);
}

static void training_stops_for_want_of_progress(void **state)
{
    (void)state;
    struct vj_train_summary s;
    /* weights that do not move cannot get better */
    must_train("still.h5", false,
               (const char *const[]){"learning_rate=0", "patience=2", "steps=1000", NULL}, &s);
    assert_true(s.stopped);
    assert_int_equal(s.steps, 24);
    assert_int_equal(s.best_step, 8);
}

static void what_cannot_be_resumed_is_refused_by_name(void **state)
{
    (void)state;
    char path[4096];
    struct vj_train_summary s;
    struct vj_error err = {0};
    must_train("once.h5", false, (const char *const[]){"steps=4", NULL}, &s);
    assert_int_equal(train("once.h5", false, NULL, &s, &err), -EEXIST);
    vj_assert_contains(err.text, "--resume");
    assert_int_equal(
        train("once.h5", true, (const char *const[]){"learning_rate=0.5", NULL}, &s, &err),
        -EINVAL);
    vj_assert_contains(err.text, "learning_rate");
    assert_int_equal(truncate(in_folder(path, "once.h5.state"), 5000), 0);
    assert_true(train("once.h5", true, NULL, &s, &err) < 0);
    vj_assert_contains(err.text, "once.h5.state");
}

static void bad_choices_of_pictures_are_refused_by_name(void **state)
{
    (void)state;
    char holes[4200] = "root=", broken[4200] = "root=", lone[4200] = "root=";
    in_folder(lone + 5, "lone.csv");
    write_text("lone.csv", "image,qf_true,fold\np0.png,30,1\np1.png,38,\np2.png,40,\n");
    in_folder(holes + 5, "holes.csv"); /* nobody is in fold 2, nobody with a label in fold 4 */
    write_text("holes.csv", "image,qf_true,fold\np0.png,30,1\np1.png,38,3\np2.png,,4\n"
                            "p3.png,40,5\n");
    in_folder(broken + 5, "broken.csv");
    char misnamed[4200] = "root=";
    in_folder(misnamed + 5, "misnamed.csv");
    write_text("misnamed.csv", "image,qf_tru\np0.png,30\n");
    write_text("broken.csv", "image,qf_true,fold\np0.png,x30,1\np1.png,,1\np2.png,,2\np3.png,,3\n");
    const struct {
        const char *pairs[5];
        const char *text;
    } cases[] = {
        {{broken, "fold=1", "valid_ids=", "folds=manifest"},
         "(option folds = manifest); the first broken image is p0.png: "},
        {{broken, "valid_ids=", NULL}, "broken.csv:2: qf_true 'x30' is not a quality factor"},
        {{"ids=9", "valid_ids=", NULL}, "option ids = 9: no picture has the number 9"},
        {{"ids=1,99,2-3", NULL}, "option ids = 1,99,2-3: no picture has the number 99"},
        {{"ids=1,7-12", NULL}, "no picture has a number of 7 to 12"},
        {{"valid_ids=6,8", NULL}, "option valid_ids = 6,8: no picture has the number 8"},
        {{"ids=1,1", NULL}, "option ids"},
        {{"valid_ids=77", NULL}, "valid_ids = 77"},
        {{"fold=1", NULL}, "leave ids and valid_ids empty"},
        {{"fold=4", "valid_ids=", "folds=manifest", NULL}, "3 folds"},
        {{holes, "fold=2", "valid_ids=", "folds=manifest"},
         "fold 2, which is to be left for testing, has no picture; folds that have some: 1,3-5 "},
        {{holes, "fold=1", "valid_ids=", "folds=manifest"},
         "fold 2, which is to validate, has no picture with a label; folds that have some: 1,3,5 "},
        {{holes, "fold=3", "valid_ids=", "folds=manifest"},
         "fold 4, which is to validate, has no picture with a label"},
        {{lone, "fold=1", "valid_ids=", "folds=manifest"},
         "option fold = 1: the only fold is left for testing, so that none validates; use three"},
        {{"fold=1", "valid_ids=", NULL},
         "has no folds here (option folds = none); set them too, e.g. folds=random:5"},
        {{misnamed, "valid_ids=", NULL},
         "with a label of JND 1 to train with (options jnd, ids, "
         "fold, labels); not used: columns of other names: 'qf_tru'"},
        {{"patch_size=64", "start=", NULL}, "both sides must be at least 64"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_train_summary s;
        struct vj_error err = {0};
        assert_true(train("bad.h5", false, cases[i].pairs, &s, &err) < 0);
        vj_assert_contains(err.text, cases[i].text);
    }
}

static void broken_pictures_are_left_out_and_counted(void **state)
{
    (void)state;
    struct vj_train_summary s;
    char root[4200] = "root=";
    in_folder(root + 5, "some.csv");
    write_text("some.csv", "image,qf_true,fold\np0.png,30,1\np1.png,3x,2\np2.png,,2\np3.png,40,3\n"
                           "gone.png,41,3\n");
    must_train("some.h5", false, (const char *const[]){root, "valid_ids=", "steps=1", NULL}, &s);
    assert_int_equal(s.train_items, 2);
    assert_int_equal(s.broken_items, 2); /* p2.png has no label, which is no fault */
    must_train("fewer.h5", false,
               (const char *const[]){root, "valid_ids=4", "ids=1,2", "steps=1", NULL}, &s);
    assert_int_equal(s.train_items, 1);
    assert_int_equal(s.broken_items, 1);
    must_train("unharmed.h5", false, (const char *const[]){"steps=1", NULL}, &s);
    assert_int_equal(s.broken_items, 0);
}

static void folds_decide_what_trains_and_what_validates(void **state)
{
    (void)state;
    char path[4096];
    struct vj_train_summary s;
    struct vj_weights w;
    struct vj_train_log log = {0};
    struct vj_error err = {0};
    double mad;
    must_train("fold.h5", false,
               (const char *const[]){"fold=3", "valid_ids=", "folds=manifest", "steps=8", NULL},
               &s);
    assert_int_equal(s.train_items, 2);
    assert_int_equal(s.validation_items, 2);
    read_file("fold.h5", &w);
    assert_int_equal(w.trained->fold, 3);
    assert_string_equal(w.trained->ids, "1-2,4-5"); /* fold 3 holds 3 and 6 */
    vj_weights_free(&w);
    /* The mean over both pictures of fold 1 is that of an evaluation. */
    assert_int_equal(vj_train_log_read(&log, in_folder(path, "fold.h5.log"), &err), 0);
    assert_int_equal(log.validations, 1);
    struct vj_results *results = judge("fold", "1,4", "chou95", "");
    if (vj_results_get_scalar(results, "/metrics/vpjnd-fold/mad", &mad, &err))
        fail_msg("%s", err.text);
    assert_true(mad > 0 && fabs(log.mad[0] - mad) < 1e-12);
    vj_results_close(results);
    vj_train_log_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_ends_like_an_unbroken_one),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(another_seed_gives_other_weights),
        cmocka_unit_test(a_disk_that_is_full_leaves_the_steps_before),
        cmocka_unit_test(interrupted_it_keeps_its_steps),
        cmocka_unit_test(killed_at_random_points_it_ends_in_the_same_weights),
        cmocka_unit_test(the_best_validated_weights_are_kept_with_their_record),
        cmocka_unit_test(a_run_that_judges_weights_on_their_own_pictures_says_so),
        cmocka_unit_test(a_run_with_other_maps_than_in_training_says_so),
        cmocka_unit_test(a_picture_too_small_to_validate_is_refused_at_the_start),
        cmocka_unit_test(the_record_names_no_folder_of_this_machine),
        cmocka_unit_test(maps_of_resjnd24_train_and_judge_and_belong_to_the_run),
        cmocka_unit_test(other_start_weights_under_the_same_name_are_refused),
        cmocka_unit_test(start_weights_decide_what_the_network_is),
        cmocka_unit_test(patch_weights_that_are_dead_are_seen_and_brought_to_life),
        cmocka_unit_test(patches_lie_as_in_training_unless_said_otherwise),
        cmocka_unit_test(training_stops_for_want_of_progress),
        cmocka_unit_test(a_state_that_says_less_is_refused_in_words),
        cmocka_unit_test(what_cannot_be_resumed_is_refused_by_name),
        cmocka_unit_test(bad_choices_of_pictures_are_refused_by_name),
        cmocka_unit_test(broken_pictures_are_left_out_and_counted),
        cmocka_unit_test(folds_decide_what_trains_and_what_validates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
