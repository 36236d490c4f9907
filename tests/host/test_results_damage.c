/* SPDX-License-Identifier: MIT */
/* Results files that somebody changed: every reader names the file and what is wrong in it. */
#include "tests/host/run_rig.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <sys/stat.h>

#include "host/report_file.h"

enum { IMAGES = 3, LEFT_OUT = 2 };

static char whole[4096], changed[4096], part[4096], fifo[4096], links[4096];

static const char predictors[] = "constant,pixel-chou95:0.05";
static const char *const options[] = {"qf_first=20", "qf_last=29",     "ids=1-3",
                                      "threads=1",   "folds=manifest", NULL};

static void copy_file(const char *to, const char *from)
{
    static char bytes[1 << 20];
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(size > 0 && size < sizeof(bytes));
    file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* A dataset and a group that are links into a file which nobody ever writes. */
static void make_links(void)
{
    hid_t file = H5Fcreate(in_folder(links, "links.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    assert_true(H5Lcreate_external(fifo, "/x", file, "/set", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_external(fifo, "/x", file, "/group", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    static const int32_t labels[IMAGES + LEFT_OUT] = {21, 24, 26, 28, 25};
    folder = vj_test_mkdir();
    write_labelled_pictures(IMAGES + LEFT_OUT, labels);
    in_folder(whole, "whole.h5");
    in_folder(changed, "changed.h5");
    in_folder(part, "resumed.h5.part");
    assert_int_equal(mkfifo(in_folder(fifo, "fifo"), 0600), 0);
    make_links(); /* the program's own functions leave HDF5 without them */
    vj_results_close(open_run("whole.h5", predictors, options));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* ---- what is done to a file ---- */

/* Puts another dataset in the place of one. dims: of `rank`; plist: as H5Dcreate2() */
static void replace(hid_t file, const char *path, hid_t type, int rank, const hsize_t *dims,
                    hid_t plist)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    assert_true(H5Ldelete(file, path, H5P_DEFAULT) >= 0);
    hid_t set = H5Dcreate2(file, path, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

/* Each row has many values, for which nobody has room. */
static void deepen(hid_t file, const char *path, hid_t type, hsize_t rows)
{
    replace(file, path, type, 2, (const hsize_t[]){rows, 4096}, H5P_DEFAULT);
}

/* Rows that were never written, and that no disk would hold. */
static void claim(hid_t file, const char *path, hid_t type)
{
    const hsize_t rows = (hsize_t)1 << 40, chunk = 1024;
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_chunk(list, 1, &chunk) >= 0);
    replace(file, path, type, 1, &rows, list);
    H5Pclose(list);
}

/* Values that lie in a file which nobody ever writes: opening it takes for ever. */
static void move_out(hid_t file, const char *path, hid_t type, hsize_t rows)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_external(list, fifo, 0, rows * H5Tget_size(type)) >= 0);
    replace(file, path, type, 1, &rows, list);
    H5Pclose(list);
}

enum damage { DEEP, VAST, REAL, WHOLE, OUTSIDE };

static void damage(const char *name, enum damage what, const char *path, hsize_t rows)
{
    hid_t file = H5Fopen(name, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    switch (what) {
    case DEEP:
        deepen(file, path, H5T_STD_I32LE, rows);
        break;
    case VAST:
        claim(file, path, H5T_STD_I32LE);
        break;
    case REAL:
        replace(file, path, H5T_IEEE_F64LE, 1, &rows, H5P_DEFAULT);
        break;
    case WHOLE:
        replace(file, path, H5T_STD_I32LE, 2, (const hsize_t[]){rows, 10}, H5P_DEFAULT);
        break;
    case OUTSIDE:
        move_out(file, path, H5T_STD_I32LE, rows);
        break;
    }
    H5Fclose(file);
}

/* ---- reports ---- */

/* The report of the changed file fails and says `text`; the file is whole again then. */
static void expect_no_report(const char *text)
{
    static const struct vj_report_options json = {.form = VJ_REPORT_FORM_JSON};
    struct vj_text out = {0};
    struct vj_error err = {0};
    const int r = vj_report_file(&out, changed, &json, &err);
    if (!r || !strstr(err.text, text))
        fail_msg("expected \"%s\", got %d \"%s\"", text, r, err.text);
    vj_assert_contains(err.text, changed);
    vj_text_free(&out);
    copy_file(changed, whole);
}

static void columns_of_another_shape_or_kind_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text;
        enum damage what;
    } damages[] = {
        {"/images/status", "/images/status is 3 x 4096, the rest of the file says 3", DEEP},
        {"/images/status", "/images/status has 1099511627776 rows, of which the file has", VAST},
        {"/images/fold", "/images/fold is 1099511627776, the rest of the file says 3", VAST},
        {"/images/qf_true", "/images/qf_true does not hold whole numbers", REAL},
        {"/candidates/psnr_y", "/candidates/psnr_y does not hold real numbers", WHOLE},
        {"/predictors/constant/qf_pred", "constant/qf_pred does not hold whole numbers", REAL},
        {"/images/width", "the values of dataset /images/width lie in another file", OUTSIDE},
    };
    copy_file(changed, whole);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        damage(changed, damages[i].what, damages[i].path, IMAGES);
        expect_no_report(damages[i].text);
    }
}

static void links_into_other_files_are_not_followed(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_results *r;
    int32_t value;
    int64_t number;
    assert_int_equal(vj_results_open(&r, links, false, &err), 0);
    assert_int_equal(vj_results_read(r, "/set", VJ_COLUMN_I32, 0, 1, &value, &err), -EIO);
    vj_assert_contains(err.text, "links.h5: /set cannot be opened as a dataset: ");
    assert_int_equal(vj_results_read(r, "/group/set", VJ_COLUMN_I32, 0, 1, &value, &err), -EIO);
    assert_int_equal(vj_results_get_int(r, "/group", "position", &number, &err), -ENOENT);
    vj_results_close(r);
}

static void values_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int32_t value;
        const char *text;
    } damages[] = {
        {"/images/status", 2, "/images/status has 2 in row 1, it must be -1 to 1"},
        {"/images/fold", -7, "/images/fold has -7 in row 1, it must be -1 to "},
        {"/images/qf_true", 5000, "/images/qf_true has 5000 in row 1, it must be -1 to 1023"},
        {"/images/anchor_qf", -2, "/images/anchor_qf has -2 in row 1"},
        {"/images/width", -9, "/images/width has -9 in row 1"},
        {"/predictors/constant/qf_pred", -3, "/constant/qf_pred has -3 in row 1"},
    };
    struct vj_error err = {0};
    struct vj_results *r;
    copy_file(changed, whole);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        if (vj_results_open(&r, changed, true, &err) ||
            vj_results_write(r, damages[i].path, VJ_COLUMN_I32, 1, 1, &damages[i].value, &err))
            fail_msg("%s", err.text);
        vj_results_close(r);
        expect_no_report(damages[i].text);
    }
    uint8_t lossy[10] = {9};
    const double tolerance = NAN;
    if (vj_results_open(&r, changed, true, &err) ||
        vj_results_write(r, "/predictors/pixel-chou95/lossy", VJ_COLUMN_U8, 2, 1, lossy, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
    expect_no_report("/predictors/pixel-chou95/lossy has 9 in row 2, it must be 0, 1 or 255");
    if (vj_results_open(&r, changed, true, &err) ||
        vj_results_write(r, "/predictors/pixel-chou95/tolerance_sweep", VJ_COLUMN_F64, 3, 1,
                         &tolerance, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
    expect_no_report("/predictors/pixel-chou95/tolerance_sweep has no number in row 3");
}

static void attributes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const char pixel[] = "/predictors/pixel-chou95";
    static const struct {
        const char *object, *name;
        int64_t value;
        const char *text;
    } damages[] = {
        {"/", "complete", 7, "attribute complete is 7, it must be 0 or 1"},
        {"/", "human_labels", -1, "attribute human_labels is -1"},
        {"/", "qf_last", 101, "qf_first and qf_last say quality factors 20 to 101"},
        {"/", "git_revision", 1, ": attribute git_revision must be 1 text"},
        {"/timing", "images_per_second", 1, "/timing: attribute images_per_second must be 1 real"},
        {pixel, "seen_images", 4, "/predictors/pixel-chou95: attribute seen_images is 4, it must"},
        {pixel, "patches", (int64_t)1 << 40, "pixel-chou95: attribute patches is 1099511627776"},
        /* Taken for others, weights would be judged that are random, or that know the pictures. */
        {pixel, "weights_origin", 1, "pixel-chou95: attribute weights_origin must be 1 text"},
        {pixel, "kind", 1, "/predictors/pixel-chou95: attribute kind must be 1 text"},
    };
    struct vj_error err = {0};
    struct vj_results *r;
    copy_file(changed, whole);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        if (vj_results_open(&r, changed, true, &err) ||
            vj_results_set_int(r, damages[i].object, damages[i].name, damages[i].value, &err))
            fail_msg("%s", err.text);
        vj_results_close(r);
        expect_no_report(damages[i].text);
    }
    if (vj_results_open(&r, changed, true, &err) ||
        vj_results_set_double(r, "/timing", "images_per_second", NAN, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
    expect_no_report("attribute images_per_second is nan");
}

/* ---- runs ---- */

/* Labels of other items are read again when a resumed run ends. */
static void labels_left_out_have_one_value_each(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text;
        enum damage what;
    } damages[] = {
        {"/left_out/qf_true", "/left_out/qf_true is 2 x 4096, the rest", DEEP},
        {"/left_out/fold", "/left_out/fold is 2 x 4096, the rest of the file says 2", DEEP},
        {"/left_out/qf_true", "of which the file has not the bytes", VAST},
        {"/left_out/fold", "/left_out/fold does not hold whole numbers", REAL},
    };
    char path[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        copy_file(part, whole);
        damage(part, damages[i].what, damages[i].path, LEFT_OUT);
        assert_int_equal(run_as("resumed.h5", path, predictors, options, true, &summary, &err),
                         -EINVAL);
        vj_assert_contains(err.text, part);
        vj_assert_contains(err.text, damages[i].text);
        assert_int_equal(access(part, F_OK), 0);
    }
    const int32_t label = 5000;
    struct vj_results *r;
    copy_file(part, whole);
    if (vj_results_open(&r, part, true, &err) ||
        vj_results_write(r, "/left_out/qf_true", VJ_COLUMN_I32, 1, 1, &label, &err))
        fail_msg("%s", err.text);
    vj_results_close(r);
    assert_int_equal(run_as("resumed.h5", path, predictors, options, true, &summary, &err),
                     -EINVAL);
    vj_assert_contains(err.text, part);
    vj_assert_contains(err.text, "/left_out/qf_true has 5000 in row 1, it must be -1 to 1023");
    copy_file(part, whole);
    if (run_as("resumed.h5", path, predictors, options, true, &summary, &err))
        fail_msg("%s", err.text);
}

/* Published, it would be an output that nothing reads, and the .part would be gone. */
static void a_run_is_not_finished_into_what_nobody_reads(void **state)
{
    (void)state;
    char path[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *r;
    for (int turn = 0; turn < 2; turn++) {
        copy_file(part, whole);
        if (turn)
            damage(part, VAST, "/candidates/qf", 0);
        else if (vj_results_open(&r, part, true, &err) ||
                 vj_results_set_int(r, "/", "host", 5, &err))
            fail_msg("%s", err.text);
        else
            vj_results_close(r);
        unlink(in_folder(path, "resumed.h5"));
        assert_int_equal(run_as("resumed.h5", path, predictors, options, true, &summary, &err),
                         -EINVAL);
        vj_assert_contains(err.text, part);
        vj_assert_contains(err.text, turn ? "cannot copy /candidates/qf of " : "cannot resume ");
        vj_assert_contains(err.text, turn ? "is the disk full or the file damaged?"
                                          : "attribute host must be 1 text");
        assert_int_equal(access(part, F_OK), 0);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    unlink(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_another_shape_or_kind_are_refused),
        cmocka_unit_test(links_into_other_files_are_not_followed),
        cmocka_unit_test(values_that_cannot_be_are_refused),
        cmocka_unit_test(attributes_that_cannot_be_are_refused),
        cmocka_unit_test(labels_left_out_have_one_value_each),
        cmocka_unit_test(a_run_is_not_finished_into_what_nobody_reads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
