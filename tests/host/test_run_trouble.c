/* SPDX-License-Identifier: MIT */
/* Whole runs in trouble: broken pictures, a machine that fails, options and files that cannot be.
 */
#include "tests/host/run_network.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "host/progress.h"
#include "host/schema.h"

static int set_up(void **state)
{
    (void)state;
    static const int32_t labels[] = {20, 30};
    set_up_network(2, labels);
    return 0;
}

static void broken_images_are_recorded_and_the_rest_is_evaluated(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200], error[5 * VJ_SCHEMA_ERROR_SIZE];
    int32_t status[5], qf[5];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    write_text(in_folder(path, "torn.png"), "\x89PNG\r\n\x1a\n and nothing more");
    write_picture(in_folder(path, "small.png"), 9, 3, 31, 40);
    write_text(in_folder(path, "some.csv"), "image,candidates,qf_true,fold\n"
                                            "p0.png,,30,1\ntorn.png,,40,1\nsmall.png,,50,2\n"
                                            "absent.png,,60,2\np1.png,,20,2\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, NULL};
    if (run("some.h5", out, pairs, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.images, 5);
    assert_int_equal(summary.failed, 3);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, 5, status);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 5, error);
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, 5, qf);
    vj_results_close(r);
    static const int32_t expected[] = {0, 1, 1, 1, 0};
    assert_memory_equal(status, expected, sizeof(status));
    vj_assert_contains(error + 1 * VJ_SCHEMA_ERROR_SIZE, "torn.png");
    vj_assert_contains(error + 2 * VJ_SCHEMA_ERROR_SIZE, "at least 32 pixels (the patch size)");
    vj_assert_contains(error + 3 * VJ_SCHEMA_ERROR_SIZE, "absent.png");
    assert_string_equal(error, "");
    assert_int_equal(qf[1], VJ_EVAL_UNKNOWN);
    assert_true(qf[0] > 0);
}

/* ---- failures of the machine ---- */

static bool take_set_away(void)
{
    char from[4096], to[4096];
    return rename(in_folder(from, "set"), in_folder(to, "away")) == 0;
}

static bool bring_set_back(void)
{
    char from[4096], to[4096];
    return rename(in_folder(from, "away"), in_folder(to, "set")) == 0;
}

/* As a disk that was mounted there. */
static bool unmount_set(void)
{
    char path[4096];
    return take_set_away() && mkdir(in_folder(path, "set"), 0777) == 0;
}

static bool mount_set(void)
{
    char path[4096];
    return rmdir(in_folder(path, "set")) == 0 && bring_set_back();
}

static struct rlimit open_files;

static bool allow_no_more_files(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = open_files.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &none) == 0;
}

static bool allow_files(void)
{
    return setrlimit(RLIMIT_NOFILE, &open_files) == 0;
}

struct disturbance {
    bool (*begin)(void), (*end)(void);
    int code;
    const char *text;
    bool begun;
    int standard_error; /* read end of the run's */
    char part[4200];
};

/* Whether this process has the file open. */
static bool is_open(const char *path)
{
    struct stat file, open_one;
    bool found = false;
    DIR *descriptors = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (descriptors && !found && (entry = readdir(descriptors)))
        found = stat(path, &file) == 0 && fstat(atoi(entry->d_name), &open_one) == 0 &&
                file.st_dev == open_one.st_dev && file.st_ino == open_one.st_ino;
    if (descriptors)
        closedir(descriptors);
    return found;
}

/*
 * Disturbs a run once it has its .part open, for longer than HDF5 takes to look at it. The run
 * cannot have come far by then: its standard error is a full pipe, where it waits with the note on
 * its first picture until this reads.
 */
static void *disturb(void *arg)
{
    struct disturbance *d = arg;
    char text[4096];
    for (int i = 0, seen = 0; i < 60000 && seen < 50; i++) {
        seen = is_open(d->part) ? seen + 1 : 0;
        usleep(1000);
    }
    d->begun = d->begin();
    while (read(d->standard_error, text, sizeof(text)) > 0)
        continue;
    return NULL;
}

static void run_disturbed(struct disturbance *d, const char *const *pairs)
{
    char out[4096];
    int ends[2], saved = dup(STDERR_FILENO);
    pthread_t thread;
    struct vj_run_summary summary;
    struct vj_error err = {0};
    snprintf(d->part, sizeof(d->part), "%s.part", in_folder(out, "disturbed.h5"));
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], " ", 1) == 1)
        continue;
    assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    d->standard_error = ends[0];
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    assert_int_equal(pthread_create(&thread, NULL, disturb, d), 0);
    int r = run("disturbed.h5", out, pairs, &summary, &err);
    bool ended = d->end();
    dup2(saved, STDERR_FILENO); /* the pipe's last end to write to is closed */
    pthread_join(thread, NULL);
    close(ends[0]);
    close(saved);
    assert_true(d->begun);
    assert_true(ended);
    assert_int_equal(r, d->code);
    vj_assert_contains(err.text, "could not be evaluated, not by its own fault");
    vj_assert_contains(err.text, d->text);
    vj_assert_contains(err.text, "disturbed.h5.part: when this is mended, go on with --resume");
    assert_int_equal(access(out, F_OK), -1);
}

static void a_failure_of_the_machine_stops_the_run_for_a_resume(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    static const int32_t expected[COUNT] = {VJ_STATUS_FAILED};
    struct disturbance cases[] = {
        {.begin = take_set_away,
         .end = bring_set_back,
         .code = -ENOENT,
         .text = ", as the data set is gone from "},
        {.begin = unmount_set,
         .end = mount_set,
         .code = -ENOENT,
         .text = ", as the data set is gone from "},
        {.begin = allow_no_more_files,
         .end = allow_files,
         .code = -EMFILE,
         .text = "Too many open files"},
    };
    char path[4096], out[4096], pair[4200];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &open_files), 0);
    assert_int_equal(mkdir(in_folder(path, "set"), 0777), 0);
    write_text(in_folder(path, "set/a.png"), "torn");
    for (int i = 1; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof(name), "set/p%d.png", i);
        write_picture(in_folder(path, name), i, 3, WIDTH, HEIGHT);
    }
    snprintf(pair, sizeof(pair), "root=%s", in_folder(path, "set"));
    const char *pairs[] = {"dataset=folder",   pair, "qf_last=3", "slots=1", "device=cpu",
                           "decode_threads=1", NULL};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t status[COUNT];
        char predictors[4200];
        struct vj_results *r;
        run_disturbed(&cases[i], pairs);
        snprintf(predictors, sizeof(predictors), "constant,vpjnd:%s", weights);
        if (run_as("disturbed.h5", out, predictors, pairs, true, &summary, &err))
            fail_msg("%s", err.text);
        assert_int_equal(summary.failed, 1);
        assert_int_equal(vj_results_open(&r, out, false, &err), 0);
        read_rows(r, "/images/status", VJ_COLUMN_I32, 0, COUNT, status);
        vj_results_close(r);
        assert_memory_equal(status, expected, sizeof(status));
        assert_int_equal(unlink(out), 0);
    }
}

/* A wrong folder takes nobody's results. */
static void a_run_in_which_all_images_fail_replaces_no_results(void **state)
{
    (void)state;
    char path[4096], pair[4200], out[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    const char *const good[] = {"qf_last=3", NULL};
    const char *const bad[] = {pair, "qf_last=3", NULL};
    write_text(in_folder(path, "moved.csv"), "image,candidates,qf_true\nfotos/p0.png,,40\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    assert_int_equal(run_as("kept.h5", out, "constant", good, false, &summary, &err), 0);
    assert_int_equal(run_as("kept.h5", out, "constant", bad, false, &summary, &err), -EBADMSG);
    vj_assert_contains(err.text, "no image could be evaluated, 1 failed; ");
    vj_assert_contains(err.text, "kept.h5, which was there, is kept");
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    int32_t status = -1;
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, 1, &status);
    assert_int_equal(status, VJ_STATUS_OK);
    vj_results_close(r);
    assert_int_equal(run_as("new.h5", out, "constant", bad, false, &summary, &err), 0);
    assert_int_equal(summary.failed, 1);
}

/* /images/error is UTF-8, which readers such as h5py hold it to. */
static void a_long_reason_is_not_cut_within_a_character(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200], csv[4096] = "image\n";
    char error[3 * VJ_SCHEMA_ERROR_SIZE];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    for (int i = 0; i < 3; i++) { /* wherever the cut falls */
        snprintf(csv + strlen(csv), sizeof(csv) - strlen(csv), "%.*s", i, "--");
        for (int k = 1; k <= 200; k++)
            strcat(csv, k % 50 ? "\xE5\x9B\xB3" : "/");
        strcat(csv, "x.png\n");
    }
    write_text(in_folder(path, "long.csv"), csv);
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "qf_last=3", NULL};
    if (run("long.h5", out, pairs, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 3, error);
    vj_results_close(r);
    for (int i = 0; i < 3; i++) {
        const unsigned char *text = (unsigned char *)error + i * VJ_SCHEMA_ERROR_SIZE;
        size_t end = strnlen((const char *)text, VJ_SCHEMA_ERROR_SIZE), following = 0;
        assert_in_range(end, 495, VJ_SCHEMA_ERROR_SIZE - 1);
        while ((text[end - 1 - following] & 0xC0) == 0x80)
            following++;
        assert_int_equal(following, text[end - 1 - following] == 0xE5 ? 2 : 0);
    }
}

static void a_header_that_lies_about_its_size_harms_nobody_else(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200], error[2 * VJ_SCHEMA_ERROR_SIZE];
    int32_t status[2];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    write_text(in_folder(path, "huge.ppm"), "P6\n60000 60000\n255\nabc");
    write_text(in_folder(path, "huge.csv"), "image,candidates\np0.png,\nhuge.ppm,\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "qf_last=3", "max_memory=2G", NULL};
    if (run("huge.h5", out, pairs, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, 2, status);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 2, error);
    vj_results_close(r);
    assert_int_equal(status[0], VJ_STATUS_OK);
    assert_int_equal(status[1], VJ_STATUS_FAILED);
    vj_assert_contains(error + VJ_SCHEMA_ERROR_SIZE, "huge.ppm");
    vj_assert_contains(error + VJ_SCHEMA_ERROR_SIZE, "60000");
}

static void a_header_that_the_file_is_too_short_for_ends_no_run(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200];
    int32_t status[2];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    write_text(in_folder(path, "long.ppm"), "P6 100000000 1 255"); /* 18 bytes */
    write_text(in_folder(path, "long.csv"), "image,candidates\np0.png,\nlong.ppm,\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, "qf_last=3", NULL};
    if (run("long.h5", out, pairs, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, 2, status);
    vj_results_close(r);
    assert_int_equal(status[0], VJ_STATUS_OK);
    assert_int_equal(status[1], VJ_STATUS_FAILED);
}

static void pictures_that_are_too_large_together_are_named(void **state)
{
    (void)state;
    char path[4096], out[4096], pair[4200];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    write_picture(in_folder(path, "wide.png"), 0, 1, 30000, 64);
    write_picture(in_folder(path, "tall.png"), 0, 1, 64, 30000);
    write_text(in_folder(path, "large.csv"), "image,candidates\np0.png,\nwide.png,\ntall.png,\n");
    snprintf(pair, sizeof(pair), "root=%s", path);
    const char *pairs[] = {pair, NULL};
    assert_int_equal(run("large.h5", out, pairs, &summary, &err), -EINVAL);
    vj_assert_contains(err.text, "30000x30000 is more than the 268435456 pixels supported");
    vj_assert_contains(err.text, "; the width is that of wide.png, the height that of tall.png");

    write_picture(in_folder(path, "wide.png"), 0, 1, 65501, 64);
    write_text(in_folder(path, "large.csv"), "image,candidates\np0.png,\nwide.png,\n");
    char error[2 * VJ_SCHEMA_ERROR_SIZE];
    assert_int_equal(run("wide.h5", out, pairs, &summary, &err), 0);
    assert_int_equal(summary.failed, 1);
    struct vj_results *r;
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    read_rows(r, "/images/error", VJ_COLUMN_STRING, 0, 2, error);
    vj_results_close(r);
    vj_assert_contains(error + VJ_SCHEMA_ERROR_SIZE,
                       "wide.png is 65501x64; JPEG takes up to 65500 pixels a side");
    const char *tight[] = {"max_memory=1M", NULL};
    assert_int_equal(run("large.h5", out, tight, &summary, &err), -ENOMEM);
    vj_assert_contains(err.text, "or raise it; the largest picture is p0.png");
    const char *other[] = {pair, "image_metrics=vmaf", NULL};
    assert_int_equal(run("large.h5", out, other, &summary, &err), -EINVAL);
    assert_null(strstr(err.text, "wide.png"));
}

static void set_up_errors_name_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *pair, *text;
    } cases[] = {
        {"dataset=mcl-jcl", "mcl-jcl"},
        {"root=/nonexistent/list.csv", "/nonexistent/list.csv"},
        {"device=tpu", "device 'tpu' is not auto, cpu, cuda or cuda:N"},
        {"device=cuda:x", "device 'cuda:x' is not auto, cpu, cuda or cuda:N"},
        {"device=cpu:3", "device cpu:3: there is one CPU device"},
        {"max_memory=1M", "max_memory allows 1 MiB"},
        {"image_metrics=psnr,vmaf", "option image_metrics: 'vmaf' is not one of"},
        {"image_metrics=ssimulacra", "option image_metrics: 'ssimulacra' is not one of"},
        {"image_metrics=none,psnr", "option image_metrics: none stands alone, without a comma"},
        {"image_metrics=psnr,none", "option image_metrics: none stands alone, without a comma"},
        {"image_metrics=psnr,", "option image_metrics: '' is not one of psnr, ssim, ms_ssim"},
        {"image_metrics=,psnr", "leave out the comma before or after it"},
        {"ssimulacra2_mode=fast", "option ssimulacra2_mode: 'fast' is not one of exact,parity"},
        {"jnd_model=eye", "option jnd_model"},
        {"jnd_variant=sketch", "option jnd_variant"},
        {"jnd_model=resjnd24", "vpjnd import FILE.pth"},
        {"folds=surfeatnet10", "surfeatnet10"},
        {"predictors=oracle", "unknown predictor 'oracle'"},
        {"labels=vmaf", "labels"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[4096];
        struct vj_run_summary summary;
        struct vj_error err = {0};
        const char *pairs[] = {cases[i].pair, NULL};
        assert_true(run("none.h5", out, pairs, &summary, &err) < 0);
        vj_assert_contains(err.text, cases[i].text);
        assert_int_equal(access(out, F_OK), -1);
    }
}

static void a_forgotten_part_is_not_overwritten_and_must_match_to_be_resumed(void **state)
{
    (void)state;
    char out[4096], part[4200], csv[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_config config;
    const char *none[] = {NULL};
    in_folder(out, "forgotten.h5");
    snprintf(part, sizeof(part), "%s.part", out);
    write_text(part, "hours of work");
    assert_int_equal(run("forgotten.h5", out, none, &summary, &err), -EEXIST);
    vj_assert_contains(err.text, "Add --resume to go on with it");

    vj_config_defaults(&config, VJ_USE_EVAL);
    vj_config_set(&config, "dataset", "manifest", NULL);
    vj_config_set(&config, "root", in_folder(csv, "all.csv"), NULL);
    const struct vj_run_options resume = {
        .config = &config, .output = out, .resume = true, .command_line = "test"};
    assert_int_equal(vj_run_eval(&resume, &summary, &err), -EINVAL);
    vj_assert_contains(err.text, "forgotten.h5.part is not a readable HDF5 file");
    unlink(part);
}

/* What two pictures, one of them failed, print on a terminal of so many columns. */
static void watch_progress(const char *term, unsigned short columns, char *text, size_t size)
{
    struct vj_progress progress;
    const struct winsize window = {.ws_row = 24, .ws_col = columns};
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) {
        print_message("skipped: no pseudo-terminals here (%s)\n", strerror(errno));
        skip();
    }
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    FILE *out = fopen(ptsname(master), "w");
    assert_non_null(out);
    assert_int_equal(ioctl(fileno(out), TIOCSWINSZ, &window), 0);
    assert_int_equal(term ? setenv("TERM", term, 1) : unsetenv("TERM"), 0);
    vj_progress_start(&progress, out, 2, 0);
    vj_progress_note(&progress, "a\033]0;x\ab.png: \xc3\xa4");
    vj_progress_step(&progress, true);
    vj_progress_step(&progress, false);
    vj_progress_finish(&progress);
    fputs("END\n", out);
    fflush(out);
    size_t used = 0;
    do { /* a terminal hands over what has come so far */
        ssize_t n = read(master, text + used, size - 1 - used);
        assert_true(n > 0);
        used += (size_t)n;
        text[used] = '\0';
    } while (!strstr(text, "END"));
    fclose(out);
    close(master);
}

/* A run that finds all its images done. */
static void progress_of_nothing_has_no_rate(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    struct vj_progress progress;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    vj_progress_start(&progress, out, 3, 3);
    vj_progress_finish(&progress);
    fclose(out);
    assert_string_equal(text, "3/3 images, none left to evaluate\n");
    free(text);
}

static void progress_suits_the_terminal_and_obeys_no_file_name(void **state)
{
    (void)state;
    char text[4096];
    static const char *const plain[] = {NULL, "", "dumb"};
    watch_progress("xterm", 200, text, sizeof(text));
    vj_assert_contains(text, "\r\033[Ka?]0;x?b.png: \xc3\xa4\r\n");
    vj_assert_contains(text, "\r\033[K2/2 images  ");
    vj_assert_contains(text, " left  1 failed\r\n");
    watch_progress("xterm", 12, text, sizeof(text));
    vj_assert_contains(text, "\r\033[K2/2 images \r\n"); /* 11 columns */
    watch_progress("xterm", 0, text, sizeof(text));
    vj_assert_contains(text, " left  1 failed\r\n");
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        watch_progress(plain[i], 12, text, sizeof(text));
        assert_null(strchr(text, '\033'));
        vj_assert_contains(text, "a?]0;x?b.png: \xc3\xa4\r\n2/2 images  ");
        vj_assert_contains(text, " left  1 failed\r\n");
    }
}

/* In the results: which libraries and algorithms a network's numbers come from. */
static void how_a_network_is_computed_is_recorded(void **state)
{
    (void)state;
    struct vj_run_summary summary;
    struct vj_results *r;
    struct vj_error err = {0};
    char out[4096], *text;
    const char *const pairs[] = {"device=cpu", NULL};
    if (run("computed.h5", out, pairs, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(vj_results_open(&r, out, false, &err), 0);
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-w", "algorithms", &text, &err), 0);
    vj_assert_contains(text, "oneDNN ");
    vj_assert_contains(text, "\nconv2 winograd, "); /* 16x16 pixels of a patch of 32 */
    vj_assert_contains(text, "\nsoftmax ");
    free(text);
    vj_results_close(r);
    unlink(out);
}

/* Alive, dead, and dead where the picture fails: nothing was weighed. */
static void dead_patch_weights_are_noticed(void **state)
{
    (void)state;
    static const struct {
        float bias;
        size_t dead;
        bool alone; /* the network is the only predictor */
        const char *pairs[3];
    } cases[] = {{1, 0, false, {NULL}},
                 {-100, 1, false, {NULL}},
                 {-100, 0, false, {"max_pixels=10", NULL}},
                 {-100, 1, false, {"lazy=true", "store_patches=true", NULL}},
                 {-100, 1, true, {NULL}}};
    char alone[4200];
    snprintf(alone, sizeof(alone), "predictors=vpjnd:%s", weights);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_run_summary summary;
        struct vj_error err = {0};
        struct vj_weights w = {0};
        char out[4096];
        assert_int_equal(vj_weights_read(&w, weights, &err), 0);
        const float before = vj_weights_find(&w, "weightings/block2/biases")->data[0];
        vj_weights_find(&w, "weightings/block2/biases")->data[0] = cases[i].bias;
        assert_int_equal(vj_weights_write(&w, weights, &err), 0);
        if (run("weighed.h5", out,
                cases[i].alone ? (const char *const[]){alone, NULL} : cases[i].pairs, &summary,
                &err))
            print_message("%s\n", err.text);
        assert_int_equal(summary.dead, cases[i].dead);
        vj_weights_find(&w, "weightings/block2/biases")->data[0] = before;
        assert_int_equal(vj_weights_write(&w, weights, &err), 0);
        vj_weights_free(&w);
        unlink(out);
    }
}

/* ---- a network that leaves the range of its numbers ---- */

enum { ALL = 4, LOUD = 2 }; /* pictures: p0.png, a black one, p1.png, which overflows, p0.png */

/* Weights so large that p1.png's scores leave float's range, and the smaller ones of the others do
 * not: at half QF they are 3.8 for them and 4.6 for p1.png, times the square of this. */
static const float NEARLY_TOO_LARGE = 2.4e19f;

static void write_overflowing(char path[4096], enum vj_positive_class positive)
{
    const struct vj_net_shape shape = {.variant = VJ_VARIANT_PW_JND,
                                       .patch_size = 32,
                                       .patches = PATCHES,
                                       .channels = {16, 16, 16, 16, 16}};
    static const char *const scaled[] = {"regressions/block1/weights",
                                         "regressions/block2/weights"};
    struct vj_weights w = {0};
    struct vj_error err = {0};
    if (vj_weights_init(&w, &shape, 9, &err))
        fail_msg("%s", err.text);
    w.positive_class = positive;
    for (int i = 0; i < 2; i++) {
        struct vj_tensor *t = vj_weights_find(&w, scaled[i]);
        for (size_t k = 0; k < t->count; k++)
            t->data[k] *= NEARLY_TOO_LARGE;
    }
    if (vj_weights_write(&w, in_folder(path, "over.h5"), &err))
        fail_msg("%s", err.text);
    vj_weights_free(&w);
}

static void write_overflow_list(char root[4200])
{
    char path[4096];
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, WIDTH, HEIGHT, 1, &err), 0);
    memset(img.data, 0, WIDTH * HEIGHT);
    assert_int_equal(vj_image_write_png(&img, in_folder(path, "black.png"), &err), 0);
    vj_image_free(&img);
    write_picture(in_folder(path, "again.png"), 0, 3, WIDTH, HEIGHT);
    write_text(in_folder(path, "over.csv"), "image,candidates,qf_true,fold\np0.png,,20,1\n"
                                            "black.png,,30,1\np1.png,,20,1\nagain.png,,40,1\n");
    snprintf(root, 4200, "root=%s", path);
}

/* The note on the network, freed by the caller. qf: what it predicts; all others predict all. */
static char *run_overflowing(const char *const *pairs, int32_t qf[ALL])
{
    static const int32_t ok[ALL] = {0};
    int32_t status[ALL], constant[ALL];
    char path[4096], predictors[4200], *note;
    struct vj_error err = {0};
    snprintf(predictors, sizeof(predictors), "constant,vpjnd:%s", in_folder(path, "over.h5"));
    struct vj_results *r = open_run("over-run.h5", predictors, pairs);
    read_rows(r, "/images/status", VJ_COLUMN_I32, 0, ALL, status);
    read_rows(r, "/predictors/vpjnd-over/qf_pred", VJ_COLUMN_I32, 0, ALL, qf);
    read_rows(r, "/predictors/constant/qf_pred", VJ_COLUMN_I32, 0, ALL, constant);
    assert_int_equal(vj_results_get_text(r, "/predictors/vpjnd-over", "note", &note, &err), 0);
    vj_results_close(r);
    assert_memory_equal(status, ok, sizeof(ok));
    for (int i = 0; i < ALL; i++)
        assert_true(constant[i] > 0);
    return note;
}

static void a_network_without_a_finite_answer_keeps_no_picture_from_the_others(void **state)
{
    (void)state;
    static const char *const modes[] = {"lazy=false", "lazy=true"};
    static const enum vj_positive_class classes[] = {VJ_POSITIVE_LOSSY, VJ_POSITIVE_AUTO};
    char path[4096], root[4200];
    write_overflow_list(root);
    for (int i = 0; i < 4; i++) {
        int32_t qf[ALL];
        const char *pairs[] = {root, modes[i % 2], "image_metrics=none", "device=cpu", NULL};
        write_overflowing(path, classes[i / 2]);
        char *note = run_overflowing(pairs, qf);
        vj_assert_contains(note, "; NO ANSWER for 1 of 4 images: a score that the search asks for "
                                 "is not finite; check the weights");
        free(note);
        for (int k = 0; k < ALL; k++)
            assert_int_equal(qf[k] == VJ_EVAL_UNKNOWN, k == LOUD);
    }
}

static void a_draw_without_an_answer_leaves_the_others_theirs(void **state)
{
    (void)state;
    enum { SETS = 6 };
    int32_t qf[ALL], draw[ALL * SETS];
    char path[4096], root[4200];
    struct vj_error err = {0};
    struct vj_results *r;
    write_overflow_list(root);
    const char *pairs[] = {root, "draws=6", "image_metrics=none", "device=cpu", NULL};
    write_overflowing(path, VJ_POSITIVE_LOSSY);
    char *note = run_overflowing(pairs, qf);
    assert_int_equal(vj_results_open(&r, in_folder(path, "over-run.h5"), false, &err), 0);
    read_rows(r, "/predictors/vpjnd-over/qf_pred_draws", VJ_COLUMN_I32, 0, ALL, draw);
    vj_results_close(r);
    vj_assert_contains(note, "; 1 of 4 images lack the answer of a draw and have no spread");
    free(note);
    const int32_t *loud = draw + LOUD * SETS;
    int answered = 0;
    for (int d = 0; d < SETS; d++)
        answered += loud[d] != VJ_EVAL_UNKNOWN;
    assert_int_equal(qf[LOUD], VJ_EVAL_UNKNOWN);
    assert_int_equal(loud[0], VJ_EVAL_UNKNOWN);
    vj_assert_in_range(answered, 1, SETS - 1);
    for (int i = 0; i < ALL * SETS; i++)
        assert_true(i / SETS == LOUD || draw[i] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_images_are_recorded_and_the_rest_is_evaluated),
        cmocka_unit_test(a_failure_of_the_machine_stops_the_run_for_a_resume),
        cmocka_unit_test(a_run_in_which_all_images_fail_replaces_no_results),
        cmocka_unit_test(a_long_reason_is_not_cut_within_a_character),
        cmocka_unit_test(a_header_that_lies_about_its_size_harms_nobody_else),
        cmocka_unit_test(a_header_that_the_file_is_too_short_for_ends_no_run),
        cmocka_unit_test(pictures_that_are_too_large_together_are_named),
        cmocka_unit_test(set_up_errors_name_what_is_wrong),
        cmocka_unit_test(a_forgotten_part_is_not_overwritten_and_must_match_to_be_resumed),
        cmocka_unit_test(how_a_network_is_computed_is_recorded),
        cmocka_unit_test(dead_patch_weights_are_noticed),
        cmocka_unit_test(a_network_without_a_finite_answer_keeps_no_picture_from_the_others),
        cmocka_unit_test(a_draw_without_an_answer_leaves_the_others_theirs),
        cmocka_unit_test(progress_of_nothing_has_no_rate),
        cmocka_unit_test(progress_suits_the_terminal_and_obeys_no_file_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
