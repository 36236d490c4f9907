/* SPDX-License-Identifier: MIT */
/* Parts of a sweep put together equal one run over everything, and what is no part is refused. */
#include "tests/host/run_network.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <unistd.h>

#include "host/schema.h"

enum { IMAGES = 6, TORN = 4 }; /* the fifth picture cannot be decoded */

static const char *const base[] = {"qf_first=20", "qf_last=29", "store_patches=true", "draws=2"};

static int set_up(void **state)
{
    (void)state;
    static const int32_t labels[IMAGES] = {20, 22, 24, 26, 28, 25};
    char path[4096], name[16];
    set_up_network(IMAGES, labels);
    snprintf(name, sizeof(name), "p%d.png", TORN);
    write_text(in_folder(path, name), "\x89PNG\r\n\x1a\n and nothing more");
    return 0;
}

/* The base options and `more` (up to a NULL), rows from files of the folder. */
static int run_from(const char *output, char path[4096], const char *const *more,
                    const char *const *parts, bool resume, struct vj_run_summary *summary,
                    struct vj_error *err)
{
    static char names[8][4096];
    const char *rows_from[8];
    struct vj_config config;
    char csv[4096], predictors[4200];
    size_t count = 0;
    vj_config_defaults(&config, VJ_USE_EVAL);
    snprintf(predictors, sizeof(predictors),
             "constant,psnr-threshold:30,pixel-chou95:0.05,vpjnd:%s", weights);
    vj_config_set(&config, "dataset", "manifest", NULL);
    vj_config_set(&config, "root", in_folder(csv, "all.csv"), NULL);
    vj_config_set(&config, "bootstrap", "40", NULL);
    vj_config_set(&config, "predictors", predictors, NULL);
    for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
        vj_config_set_pair(&config, base[i], NULL);
    for (; *more; more++)
        if (vj_config_set_pair(&config, *more, err))
            return err->code;
    for (; *parts; parts++, count++)
        rows_from[count] = in_folder(names[count], *parts);
    const struct vj_run_options options = {.config = &config,
                                           .output = in_folder(path, output),
                                           .resume = resume,
                                           .command_line = "test",
                                           .rows_from = rows_from,
                                           .rows_from_count = count};
    return vj_run_eval(&options, summary, err);
}

static const char *const none[] = {NULL};

static void make(const char *output, const char *option, const char *const *parts, size_t resumed)
{
    char path[4096];
    const char *const more[2] = {option, NULL};
    struct vj_run_summary summary;
    struct vj_error err = {0};
    if (run_from(output, path, more, parts, false, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.resumed, resumed);
}

/* ---- whole files ---- */

struct files {
    hid_t other;
    size_t compared;
    char differs[256]; /* the first dataset that does */
};

/* No check fails within: leaving HDF5 by a jump would leave it locked for the next run's threads.
 */
static herr_t compare_dataset(hid_t file, const char *name, const H5O_info_t *info, void *user)
{
    struct files *files = user;
    if (info->type != H5O_TYPE_DATASET || strncmp(name, "timing/", 7) == 0)
        return 0;
    hid_t set[] = {H5Dopen2(file, name, H5P_DEFAULT), H5Dopen2(files->other, name, H5P_DEFAULT)};
    hid_t type = H5Dget_type(set[0]);
    size_t bytes[2] = {0};
    void *data[2] = {NULL};
    bool same = true;
    for (int i = 0; i < 2; i++) {
        hid_t space = H5Dget_space(set[i]);
        bytes[i] = (size_t)H5Sget_simple_extent_npoints(space) * H5Tget_size(type);
        data[i] = malloc(bytes[i]);
        same = same && H5Dread(set[i], type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data[i]) >= 0;
        H5Sclose(space);
        H5Dclose(set[i]);
    }
    same = same && bytes[0] == bytes[1] && memcmp(data[0], data[1], bytes[0]) == 0;
    if (!same)
        snprintf(files->differs, sizeof(files->differs), "%s", name);
    files->compared++;
    H5Tclose(type);
    free(data[0]);
    free(data[1]);
    return !same; /* ends the visit */
}

/* Every dataset but the times has the same bytes in both. */
static void assert_same_files(const char *name_a, const char *name_b)
{
    char path[4096];
    hid_t a = H5Fopen(in_folder(path, name_a), H5F_ACC_RDONLY, H5P_DEFAULT);
    struct files files = {.other = H5Fopen(in_folder(path, name_b), H5F_ACC_RDONLY, H5P_DEFAULT)};
    assert_true(a >= 0 && files.other >= 0);
    const herr_t visited = H5Ovisit(a, H5_INDEX_NAME, H5_ITER_INC, compare_dataset, &files);
    H5Fclose(a);
    H5Fclose(files.other);
    if (visited)
        fail_msg("%s of %s and %s differ", files.differs, name_a, name_b);
    assert_true(files.compared > 20);
}

/* Shares of the wall time are those of the pictures' seconds, the failed one's among them. */
static void stages_were_busy_for_the_pictures_seconds(void **state)
{
    (void)state;
    char path[4096], name[64];
    double wall, rate, share, seconds[IMAGES];
    struct vj_error err = {0};
    struct vj_results *r;
    const char *const pairs[] = {"decode_threads=2", NULL};
    struct vj_run_summary summary;
    if (run_from("timed.h5", path, pairs, none, false, &summary, &err) ||
        vj_results_open(&r, path, false, &err) ||
        vj_results_get_double(r, "/timing", "wall_seconds", &wall, &err) ||
        vj_results_get_double(r, "/timing", "images_per_second", &rate, &err))
        fail_msg("%s", err.text);
    assert_true(fabs(rate * wall - IMAGES) < 1e-9);
    for (int s = 0; s < VJ_STAGE_COUNT; s++) {
        double sum = 0;
        snprintf(name, sizeof(name), "busy_share_%s", vj_stage_names[s]);
        assert_int_equal(vj_results_get_double(r, "/timing", name, &share, &err), 0);
        snprintf(name, sizeof(name), "/timing/%s", vj_stage_names[s]);
        read_rows(r, name, VJ_COLUMN_F64, 0, IMAGES, seconds);
        for (int i = 0; i < IMAGES; i++)
            sum += seconds[i];
        assert_true(fabs(share * wall * (s == VJ_STAGE_READ ? 2 : 1) - sum) < 1e-9);
    }
    vj_results_close(r);
}

static void parts_make_the_whole(void **state)
{
    (void)state;
    static const char *const parts[] = {"first.h5", "second.h5", NULL};
    static const char *const back[] = {"second.h5", "first.h5", "second.h5", NULL};
    char *text, path[4096], elsewhere[4096], root[4200];
    double seconds[2];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    make("whole.h5", NULL, none, 0);
    /* On another machine the data set lies elsewhere. */
    assert_int_equal(link(in_folder(path, "all.csv"), in_folder(elsewhere, "other.csv")), 0);
    snprintf(root, sizeof(root), "root=%s", elsewhere);
    if (run_from("first.h5", path, (const char *const[]){root, "ids=1,4-5", NULL}, none, false,
                 &summary, &err))
        fail_msg("%s", err.text);
    make("second.h5", "ids=2,4,6", none, 0);
    /* The third picture is evaluated, the fourth stands in both parts. */
    make("all.h5", NULL, parts, IMAGES - 1);
    assert_same_files("whole.h5", "all.h5");
    make("back.h5", NULL, back, IMAGES - 1);
    assert_same_files("whole.h5", "back.h5");
    assert_int_equal(vj_results_open(&r, in_folder(path, "all.h5"), false, &err), 0);
    assert_int_equal(vj_results_get_text(r, "/", "rows_from", &text, &err), 0);
    vj_assert_contains(text, "first.h5: 3 images, 20");
    vj_assert_contains(text, "second.h5: 3 images, 20");
    vj_assert_contains(text, ", CPU: ");
    free(text);
    read_rows(r, "/timing/candidates", VJ_COLUMN_F64, 3, 1, &seconds[0]);
    vj_results_close(r);
    assert_int_equal(vj_results_open(&r, in_folder(path, "first.h5"), false, &err), 0);
    read_rows(r, "/timing/candidates", VJ_COLUMN_F64, 1, 1, &seconds[1]);
    assert_true(seconds[0] > 0 && seconds[0] == seconds[1]);
    vj_results_close(r);
}

/* As an array of jobs has it. */
static void numbered_parts_are_neighbours_and_make_the_whole(void **state)
{
    (void)state;
    static const char *const parts[] = {"1of4.h5", "2of4.h5", "3of4.h5", "4of4.h5", NULL};
    static const int32_t first_id[] = {1, 2, 4, 5}, last_id[] = {1, 3, 4, 6};
    static const struct {
        const char *part, *text;
    } wrong[] = {
        {"part=0/4", "option part: '0/4' is not I/N, the I-th of N parts, as 1/8 to 8/8"},
        {"part=5/4", "'5/4' is not I/N"},
        {"part=1/4x", "'1/4x' is not I/N"},
        {"part=-1/4", "'-1/4' is not I/N"},
        {"part=2", "'2' is not I/N"},
        {"part=1/7", "option part: 1/7 of 6 items has none; take fewer parts"},
    };
    char path[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    for (int i = 0; i < 4; i++) {
        char option[32];
        int32_t id[IMAGES];
        struct vj_results *r;
        snprintf(option, sizeof(option), "part=%d/4", i + 1);
        make(parts[i], option, none, 0);
        assert_int_equal(vj_results_open(&r, in_folder(path, parts[i]), false, &err), 0);
        read_rows(r, "/images/id", VJ_COLUMN_I32, 0, (size_t)(last_id[i] - first_id[i] + 1), id);
        assert_int_equal(id[0], first_id[i]);
        assert_int_equal(id[last_id[i] - first_id[i]], last_id[i]);
        vj_results_close(r);
    }
    make("all.h5", NULL, parts, IMAGES);
    assert_same_files("whole.h5", "all.h5");
    static const char *const some[] = {"ids=1-3,5-6", "part=2/2", NULL};
    if (run_from("some.h5", path, some, none, false, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.images, 3); /* 3, 5, 6 */
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *const more[] = {wrong[i].part, NULL};
        assert_int_equal(run_from("no.h5", path, more, none, false, &summary, &err), -EINVAL);
        vj_assert_contains(err.text, wrong[i].text);
    }
}

static void write_status(const char *path, const int32_t status[], size_t count)
{
    struct vj_error err = {0};
    struct vj_results *r;
    if (vj_results_open(&r, path, true, &err) ||
        vj_results_write(r, "/images/status", VJ_COLUMN_I32, 0, count, status, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
}

/* Of a part that is not finished the images that it has, and a run killed meanwhile goes on. */
static void unfinished_files_are_taken_and_gone_on_with(void **state)
{
    (void)state;
    static const char *const parts[] = {"half.h5.part", NULL};
    const int32_t half[] = {0, -1, 0}, nothing[IMAGES] = {-1, -1, -1, -1, -1, -1};
    char path[4096], part[4200];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    make("half.h5", "ids=1,3,6", none, 0);
    snprintf(part, sizeof(part), "%s.part", in_folder(path, "half.h5"));
    assert_int_equal(rename(path, part), 0);
    write_status(part, half, 3);
    make("all.h5", NULL, parts, 2);
    assert_same_files("whole.h5", "all.h5");
    /* As a kill leaves it before the first image is taken, and after the last one. */
    for (int turn = 0; turn < 2; turn++) {
        snprintf(part, sizeof(part), "%s.part", in_folder(path, "all.h5"));
        assert_int_equal(rename(path, part), 0);
        if (turn == 0)
            write_status(part, nothing, IMAGES);
        if (run_from("all.h5", path, none, parts, true, &summary, &err))
            fail_msg("%s", err.text);
        assert_int_equal(summary.resumed, turn == 0 ? 2 : IMAGES);
        assert_same_files("whole.h5", "all.h5");
    }
}

static void expect_said(const char *name, const char *first, const char *second)
{
    char *text, path[4096];
    struct vj_error err = {0};
    struct vj_results *r;
    assert_int_equal(vj_results_open(&r, in_folder(path, name), false, &err), 0);
    assert_int_equal(vj_results_get_text(r, "/", "rows_from", &text, &err), 0);
    vj_assert_contains(text, first);
    vj_assert_contains(text, second);
    /* each once */
    assert_null(strstr(strstr(text, first) + 1, first));
    assert_null(strstr(strstr(text, second) + 1, second));
    free(text);
    vj_results_close(r);
}

/* What is there stays, and the file says of every part that it has rows of. */
static void a_part_may_be_named_when_a_run_is_resumed(void **state)
{
    (void)state;
    static const char *const first[] = {"first.h5", NULL};
    static const char *const both[] = {"first.h5", "second.h5", NULL};
    static const char *const second[] = {"second.h5", NULL};
    const int32_t begun[IMAGES] = {0, -1, 0, -1, 1, -1};
    char path[4096], part[4200];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    for (int turn = 0; turn < 2; turn++) {
        make("late.h5", NULL, first, 3);
        snprintf(part, sizeof(part), "%s.part", in_folder(path, "late.h5"));
        assert_int_equal(rename(path, part), 0);
        write_status(part, begun, IMAGES);
        if (run_from("late.h5", path, none, turn ? second : both, true, &summary, &err))
            fail_msg("%s", err.text);
        assert_int_equal(summary.resumed, IMAGES);
        assert_same_files("whole.h5", "late.h5");
        expect_said("late.h5", "first.h5: 3 images, 20", "second.h5: 3 images, 20");
    }
    static const char *const late[] = {"late.h5", NULL};
    make("later.h5", NULL, late, IMAGES);
    expect_said("later.h5", "late.h5: 6 images, 20", "(with those of ");
    expect_said("later.h5", "first.h5: 3 images, 20", "second.h5: 3 images, 20");
}

/* begun: found only when rows are taken */
static void expect_refusal(const char *const *more, const char *part, const char *text, bool begun)
{
    char path[4096], started[4200], prefix[4200];
    const char *const parts[] = {part, NULL};
    struct vj_run_summary summary;
    struct vj_error err = {0};
    assert_int_equal(run_from("no.h5", path, more, parts, false, &summary, &err), -EINVAL);
    snprintf(prefix, sizeof(prefix), "cannot take rows from %s/%s: ", folder, part);
    vj_assert_contains(err.text, prefix);
    vj_assert_contains(err.text, text);
    snprintf(started, sizeof(started), "%s.part", path);
    assert_int_equal(unlink(started) == 0, begun);
}

static void what_is_no_part_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *option, *text;
    } others[] = {
        {"seed=5", "it has the option `seed = \"1\";`, this run `seed = \"5\";`"},
        {"draws=3", "it has the option `draws = 2;`, this run `draws = 3;`"},
        {"qf_last=30", "it has the option `qf_last = 29;`, this run `qf_last = 30;`"},
        {"folds=manifest", "it has the option `folds = \"none\";`, this run `folds"},
    };
    char path[4096];
    struct vj_error err = {0};
    struct vj_results *r;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *const more[] = {others[i].option, NULL};
        expect_refusal(more, "first.h5", others[i].text, false);
    }
    write_text(in_folder(path, "text.h5"), "no results");
    expect_refusal(none, "text.h5", "text.h5", false);

    static const struct {
        const char *column;
        int32_t value;
        const char *text;
        bool begun;
    } damages[] = {
        {"/images/id", 4, "two of its rows have the id 4", false},
        {"/images/id", 3, "its image 3 is p0.png, of fold -1, this run's p2.png, of fold -1", true},
        {"/images/fold", 7, "its image 1 is p0.png, of fold 7, this run's p0.png, of fold -1",
         true},
        {"/images/status", 2, "row 0 of /images/status is 2", false},
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        int32_t was;
        in_folder(path, "first.h5");
        assert_int_equal(vj_results_open(&r, path, true, &err), 0);
        read_rows(r, damages[i].column, VJ_COLUMN_I32, 0, 1, &was);
        assert_int_equal(
            vj_results_write(r, damages[i].column, VJ_COLUMN_I32, 0, 1, &damages[i].value, &err),
            0);
        vj_results_close(r);
        expect_refusal(none, "first.h5", damages[i].text, damages[i].begun);
        assert_int_equal(vj_results_open(&r, path, true, &err), 0);
        assert_int_equal(vj_results_write(r, damages[i].column, VJ_COLUMN_I32, 0, 1, &was, &err),
                         0);
        vj_results_close(r);
    }
}

static void names_that_are_no_strings_are_refused(void **state)
{
    (void)state;
    static const char name[] = "/images/name";
    const hsize_t count = 3;
    char path[4096];
    hid_t file = H5Fopen(in_folder(path, "second.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &count, NULL);
    const herr_t moved = H5Lmove(file, name, file, "/names", H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Fclose(file);
    assert_true(moved >= 0);
    expect_refusal(none, "second.h5", "its /images/name are no strings; the file is damaged", true);
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, name, H5P_DEFAULT);
    H5Lmove(file, "/names", file, name, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    make("again.h5", NULL, (const char *const[]){"second.h5", NULL}, 3);
}

/* A value for each row is wanted; of a file that has more of them there is no room for the rest. */
static void columns_of_more_axes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool begun;
    } columns[] = {{"/images/id", false},
                   {"/images/status", false},
                   {"/images/fold", false},
                   {"/images/name", true}};
    const hsize_t dims[] = {3, 4096};
    char path[4096], text[128];
    in_folder(path, "second.h5");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        hid_t was = H5Dopen2(file, columns[i].path, H5P_DEFAULT);
        hid_t type = H5Dget_type(was), space = H5Screate_simple(2, dims, NULL);
        const herr_t moved = H5Lmove(file, columns[i].path, file, "/was", H5P_DEFAULT, H5P_DEFAULT);
        H5Dclose(
            H5Dcreate2(file, columns[i].path, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Sclose(space);
        H5Tclose(type);
        H5Dclose(was);
        H5Fclose(file);
        assert_true(moved >= 0);
        snprintf(text, sizeof(text), "dataset %s is 3 x 4096, the rest of the file says 3",
                 columns[i].path);
        expect_refusal(none, "second.h5", text, columns[i].begun);
        file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        H5Ldelete(file, columns[i].path, H5P_DEFAULT);
        H5Lmove(file, "/was", file, columns[i].path, H5P_DEFAULT, H5P_DEFAULT);
        H5Fclose(file);
    }
}

/* Each run would have asked the network where its own images' class says. */
static void lazy_parts_need_a_positive_class(void **state)
{
    (void)state;
    static const char *const class[] = {"lazy=true", "positive_class=lossy", NULL};
    static const char *const open[] = {"lazy=true", NULL};
    static const char *const parts[] = {"lazy.h5", NULL};
    char path[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    for (int turn = 0; turn < 2; turn++) {
        const char *const *more = turn ? class : open;
        if (run_from("lazy.h5", path, more, none, false, &summary, &err))
            fail_msg("%s", err.text);
        if (!turn)
            expect_refusal(more, "lazy.h5", "give all runs positive_class=lossy or lossless",
                           false);
        else if (run_from("lazier.h5", path, more, parts, false, &summary, &err))
            fail_msg("%s", err.text);
    }
    assert_int_equal(summary.resumed, IMAGES);
    assert_same_files("lazy.h5", "lazier.h5");
}

/* A part has weights of the folds of its own images alone; those of another file are no part. */
static void parts_need_not_have_all_folds(void **state)
{
    (void)state;
    static const char *const parts[] = {"odd.h5", NULL};
    const struct vj_net_shape shape = {.variant = VJ_VARIANT_FIGURE,
                                       .patch_size = 32,
                                       .patches = PATCHES,
                                       .channels = {16, 16, 16, 16}};
    static const char *const names[] = {"net-1.h5", "net-2.h5"};
    char path[4096], option[4200];
    struct vj_error err = {0};
    struct vj_run_summary summary;
    for (int f = 1; f <= 2; f++)
        write_network(in_folder(path, names[f - 1]), &shape, (uint64_t)f, VJ_POSITIVE_LOSSY,
                      VJ_ORIGIN_RANDOM);
    snprintf(option, sizeof(option), "predictors=constant,psnr-threshold:30,vpjnd-folds:%s",
             in_folder(path, "net-{fold}.h5"));
    const char *const more[] = {"folds=manifest", option, NULL};
    const char *const odd[] = {"folds=manifest", option, "ids=1,3,5", NULL};
    const char *const even[] = {"folds=manifest", option, "ids=2,4,6", NULL};
    if (run_from("folds.h5", path, more, none, false, &summary, &err) ||
        run_from("odd.h5", path, odd, none, false, &summary, &err) ||
        run_from("all.h5", path, more, parts, false, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.resumed, 3);
    assert_same_files("folds.h5", "all.h5");
    /* A file with more folds than this run. */
    if (run_from("even.h5", path, even, none, false, &summary, &err) ||
        run_from("all.h5", path, even, (const char *const[]){"folds.h5", NULL}, false, &summary,
                 &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.resumed, 3);
    assert_same_files("even.h5", "all.h5");
    write_network(in_folder(path, "net-1.h5"), &shape, 9, VJ_POSITIVE_LOSSY, VJ_ORIGIN_RANDOM);
    expect_refusal(more, "odd.h5", "its weights of fold 1 in /predictors/vpjnd-net have the SHA",
                   false);
}

/* Thresholds are fitted when all labels are there; a part of a sweep may have none. */
static void a_part_may_lack_labels(void **state)
{
    (void)state;
    static const char *const parts[] = {"bare.h5", NULL};
    char path[4096], root[4200];
    struct vj_error err = {0};
    struct vj_run_summary summary;
    write_text(in_folder(path, "sparse.csv"), "image,candidates,qf_true,fold\n"
                                              "p0.png,,,1\np1.png,,,2\n"
                                              "p2.png,,24,1\np3.png,,26,2\np5.png,,25,1\n");
    snprintf(root, sizeof(root), "root=%s", path);
    char measure[4096], fitted[4400];
    FILE *file = fopen(in_folder(measure, "measure.csv"), "w");
    assert_non_null(file);
    fputs("image,qf,distortion\n", file);
    for (int i = 0; i < IMAGES; i++)
        for (int q = 20; q <= 29; q++)
            fprintf(file, "p%d,%d,%d\n", i, q, (i * 5) % 7 - q);
    fclose(file);
    snprintf(fitted, sizeof(fitted),
             "predictors=psnr-threshold:fit,compression-ratio:25,external:%s", measure);
    const char *const whole[] = {root, "folds=manifest", fitted, NULL};
    const char *const bare[] = {root, "folds=manifest", fitted, "part=1/2", NULL};
    const char *const ids[] = {root, "folds=manifest", fitted, "ids=1-2", NULL};
    if (run_from("sparse.h5", path, whole, none, false, &summary, &err) ||
        run_from("bare.h5", path, bare, none, false, &summary, &err) ||
        run_from("all.h5", path, whole, parts, false, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.resumed, 2);
    assert_same_files("sparse.h5", "all.h5");
    assert_int_equal(run_from("no.h5", path, ids, none, false, &summary, &err), -EINVAL);
    vj_assert_contains(err.text, "is fitted to labels, and no image of this run has one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_were_busy_for_the_pictures_seconds),
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(numbered_parts_are_neighbours_and_make_the_whole),
        cmocka_unit_test(unfinished_files_are_taken_and_gone_on_with),
        cmocka_unit_test(a_part_may_be_named_when_a_run_is_resumed),
        cmocka_unit_test(what_is_no_part_is_refused),
        cmocka_unit_test(names_that_are_no_strings_are_refused),
        cmocka_unit_test(columns_of_more_axes_are_refused),
        cmocka_unit_test(lazy_parts_need_a_positive_class),
        cmocka_unit_test(parts_need_not_have_all_folds),
        cmocka_unit_test(a_part_may_lack_labels),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
