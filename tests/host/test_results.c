/* SPDX-License-Identifier: MIT */
#include "tests/vj_test.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#include "host/h5.h"
#include "host/results.h"

enum { ROWS = 300, VALUES = 7 };

/* Stands before the C library's. */
static bool disk_is_full;

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    (void)fd, (void)mode, (void)offset, (void)size;
    errno = ENOSPC;
    return disk_is_full ? -1 : 0;
}

static char *folder;
static char part[4096], final[4096];

static const struct vj_column columns[] = {
    {.path = "/a/name", .type = VJ_COLUMN_STRING, .string_size = 9, .description = "text"},
    {.path = "/a/flag", .type = VJ_COLUMN_U8, .rank = 1, .dim = {VALUES}, .description = "flags"},
    {.path = "/a/count", .type = VJ_COLUMN_I32, .description = "whole numbers"},
    {.path = "/a/bytes", .type = VJ_COLUMN_I64, .description = "sizes", .units = "byte"},
    {.path = "/b/score",
     .type = VJ_COLUMN_F32,
     .rank = 1,
     .dim = {VALUES},
     .description = "scores"},
    {.path = "/b/deep/time",
     .type = VJ_COLUMN_F64,
     .rank = 3,
     .dim = {2, 3, 2},
     .description = "seconds",
     .units = "second"},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static int set_up(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    snprintf(part, sizeof(part), "%s/r.h5.part", folder);
    snprintf(final, sizeof(final), "%s/r.h5", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static struct vj_results *create(void)
{
    struct vj_error err = {0};
    struct vj_results *r;
    if (vj_results_create(&r, part, ROWS, columns, COLUMNS, &err))
        fail_msg("%s", err.text);
    return r;
}

static float score_of(size_t row, size_t k)
{
    return (float)(row * 10 + k) / 3;
}

static void write_row(struct vj_results *r, size_t row)
{
    struct vj_error err = {0};
    float score[VALUES];
    int32_t count = (int32_t)row;
    for (size_t k = 0; k < VALUES; k++)
        score[k] = score_of(row, k);
    if (vj_results_write(r, "/b/score", VJ_COLUMN_F32, row, 1, score, &err) ||
        vj_results_flush(r, &err) ||
        vj_results_write(r, "/a/count", VJ_COLUMN_I32, row, 1, &count, &err) ||
        vj_results_flush(r, &err))
        fail_msg("%s", err.text);
}

static void columns_start_as_never_written(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_results *r = create();
    uint8_t flag[VALUES];
    int32_t count;
    int64_t bytes;
    float score[VALUES];
    double time[12];
    char name[9];
    assert_int_equal(vj_results_read(r, "/a/flag", VJ_COLUMN_U8, 5, 1, flag, &err), 0);
    assert_int_equal(vj_results_read(r, "/a/count", VJ_COLUMN_I32, 5, 1, &count, &err), 0);
    assert_int_equal(vj_results_read(r, "/a/bytes", VJ_COLUMN_I64, 5, 1, &bytes, &err), 0);
    assert_int_equal(vj_results_read(r, "/b/score", VJ_COLUMN_F32, 5, 1, score, &err), 0);
    assert_int_equal(vj_results_read(r, "/b/deep/time", VJ_COLUMN_F64, 5, 1, time, &err), 0);
    assert_int_equal(vj_results_read(r, "/a/name", VJ_COLUMN_STRING, 5, 1, name, &err), 0);
    assert_int_equal(flag[6], 255);
    assert_int_equal(count, -1);
    assert_int_equal(bytes, -1);
    assert_true(isnan(score[6]));
    assert_true(isnan(time[11]));
    assert_int_equal(name[0], 0);
    vj_results_close(r);
}

static void published_file_holds_the_same_and_grows(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_results *r = create();
    size_t rows, dim[VJ_COLUMN_RANK_MAX], string_size, count;
    int rank;
    int64_t complete, n;
    double value;
    char *text, **members;
    float score[ROWS * VALUES];
    const double vector[] = {1, 2.5, -3};
    for (size_t row = 0; row < ROWS; row++)
        write_row(r, row);
    assert_int_equal(
        vj_results_write(r, "/a/name", VJ_COLUMN_STRING, 3, 1, "caf\xc3\xa9 ole", &err), 0);
    assert_int_equal(vj_results_set_text(r, "/", "note", "a note", &err), 0);
    assert_int_equal(vj_results_set_text(r, "/a/count", "empty", "", &err), 0);
    assert_int_equal(vj_results_set_int(r, "/b", "n", -7, &err), 0);
    assert_int_equal(vj_results_scalar(r, "/m/x/mad", 7.82, "mean", "QF", &err), 0);
    assert_int_equal(vj_results_scalar(r, "/m/x/mad", 7.5, "mean", "QF", &err), 0);
    assert_int_equal(vj_results_vector(r, "/m/x/v", VJ_COLUMN_F64, vector, 3, "three", NULL, &err),
                     0);
    if (vj_results_publish(&r, final, &err))
        fail_msg("%s", err.text);
    assert_null(r);
    assert_int_equal(access(part, F_OK), -1);

    assert_int_equal(vj_results_open(&r, final, false, &err), 0);
    assert_int_equal(vj_results_get_int(r, "/", "complete", &complete, &err), 0);
    assert_int_equal(complete, 1);
    assert_int_equal(vj_results_get_text(r, "/", "note", &text, &err), 0);
    assert_string_equal(text, "a note");
    free(text);
    assert_int_equal(vj_results_get_text(r, "/a/count", "empty", &text, &err), 0);
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(vj_results_get_text(r, "/a/bytes", "units", &text, &err), 0);
    assert_string_equal(text, "byte");
    free(text);
    assert_int_equal(vj_results_get_int(r, "/b", "n", &n, &err), 0);
    assert_int_equal(n, -7);
    assert_int_equal(vj_results_get_scalar(r, "/m/x/mad", &value, &err), 0);
    assert_true(value == 7.5);
    assert_int_equal(vj_results_members(r, "/m/x", &members, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(members[0], "mad");
    assert_string_equal(members[1], "v");
    vj_results_members_free(members, count);
    assert_int_equal(vj_results_shape(r, "/b/deep/time", &rows, &rank, dim, &string_size, &err), 0);
    assert_int_equal(rows, ROWS);
    assert_int_equal(rank, 3);
    assert_int_equal(dim[1], 3);
    assert_int_equal(vj_results_read(r, "/b/score", VJ_COLUMN_F32, 0, ROWS, score, &err), 0);
    for (size_t i = 0; i < ROWS * VALUES; i++)
        assert_true(score[i] == score_of(i / VALUES, i % VALUES));
    char name[9];
    assert_int_equal(vj_results_read(r, "/a/name", VJ_COLUMN_STRING, 3, 1, name, &err), 0);
    assert_memory_equal(name, "caf\xc3\xa9 ole", 9);
    vj_results_close(r);
    /* Compressed, and with room for more rows, which are as never written. */
    hid_t file = H5Fopen(final, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t d = H5Dopen2(file, "/b/score", H5P_DEFAULT), space = H5Dget_space(d);
    hid_t properties = H5Dget_create_plist(d);
    hsize_t size[2], most[2];
    H5Sget_simple_extent_dims(space, size, most);
    const int filters = H5Pget_nfilters(properties);
    const hsize_t longer[] = {ROWS + 1, VALUES};
    const herr_t grown = H5Dset_extent(d, longer);
    H5Pclose(properties);
    H5Sclose(space);
    H5Dclose(d);
    H5Fclose(file);
    assert_true(size[0] == ROWS && most[0] == H5S_UNLIMITED && size[1] == VALUES);
    assert_int_equal(filters, 2); /* shuffle and deflate */
    assert_true(grown >= 0);
    assert_int_equal(vj_results_open(&r, final, false, &err), 0);
    assert_int_equal(vj_results_read(r, "/b/score", VJ_COLUMN_F32, ROWS, 1, score, &err), 0);
    for (size_t i = 0; i < VALUES; i++)
        assert_true(isnan(score[i]));
    vj_results_close(r);
}

enum { WIDE = 1000, HIGH = 3000, DEEP = 500 };

/* One row of either column; no two neighbours are alike. */
static void fill_large(void *values, bool deep, size_t row)
{
    float *wide = values;
    uint8_t *byte = values;
    for (size_t k = 0; !deep && k < WIDE; k++)
        wide[k] = (float)(row * 3 + k / 8);
    for (size_t k = 0; deep && k < (size_t)HIGH * DEEP; k++)
        byte[k] = (uint8_t)(row * 31 + k / 16 + k / DEEP);
}

/* Columns are published in slabs of 16 MiB, and rows beyond 1 MiB in chunks of less than one. */
static void columns_of_several_slabs_are_published_whole(void **state)
{
    (void)state;
    enum { MANY = 4300, FEW = 13 };
    static const struct vj_column large[] = {
        {.path = "/wide", .type = VJ_COLUMN_F32, .rank = 1, .dim = {WIDE}, .description = "wide"},
        {.path = "/deep",
         .type = VJ_COLUMN_U8,
         .rank = 2,
         .dim = {HIGH, DEEP},
         .description = "deep"}};
    struct vj_error err = {0};
    struct vj_results *r;
    const size_t most = (size_t)HIGH * DEEP;
    char *written = malloc(2 * most), *read = written + most;
    assert_non_null(written);
    for (int c = 0; c < 2; c++) {
        const size_t rows = c ? FEW : MANY, bytes = c ? most : WIDE * sizeof(float);
        if (vj_results_create(&r, part, rows, &large[c], 1, &err))
            fail_msg("%s", err.text);
        for (size_t row = 0; row < rows; row++) {
            fill_large(written, c, row);
            if (vj_results_write(r, large[c].path, large[c].type, row, 1, written, &err))
                fail_msg("%s", err.text);
        }
        if (vj_results_publish(&r, final, &err) || vj_results_open(&r, final, false, &err))
            fail_msg("%s", err.text);
        for (size_t row = 0; row < rows; row++) {
            fill_large(written, c, row);
            if (vj_results_read(r, large[c].path, large[c].type, row, 1, read, &err))
                fail_msg("%s", err.text);
            assert_memory_equal(read, written, bytes);
        }
        vj_results_close(r);
    }
    free(written);
}

/* Writes rows until it is killed. The parent learns of each row through the pipe. */
static void child_writes(int tell)
{
    struct vj_results *r = create();
    for (size_t row = 0; row < ROWS; row++) {
        write_row(r, row);
        if (write(tell, "x", 1) != 1)
            _exit(3);
    }
    pause();
}

static void a_killed_writer_leaves_a_file_that_opens_up_to_its_last_row(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int ends[2], status;
        char byte;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            child_writes(ends[1]);
        }
        close(ends[1]);
        size_t told = 0, wanted = 1 + (size_t)(round * 37) % 250;
        while (told < wanted && read(ends[0], &byte, 1) == 1)
            told++;
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        close(ends[0]);
        assert_true(WIFSIGNALED(status));

        struct vj_error err = {0};
        struct vj_results *r;
        int32_t count[ROWS];
        float score[ROWS * VALUES];
        if (vj_results_open(&r, part, true, &err))
            fail_msg("round %d: %s", round, err.text);
        assert_int_equal(vj_results_read(r, "/a/count", VJ_COLUMN_I32, 0, ROWS, count, &err), 0);
        assert_int_equal(vj_results_read(r, "/b/score", VJ_COLUMN_F32, 0, ROWS, score, &err), 0);
        size_t written = 0;
        while (written < ROWS && count[written] >= 0) {
            assert_int_equal(count[written], written);
            for (size_t k = 0; k < VALUES; k++)
                assert_true(score[written * VALUES + k] == score_of(written, k));
            written++;
        }
        assert_true(written >= told);
        for (size_t row = written; row < ROWS; row++)
            assert_int_equal(count[row], -1);
        vj_results_close(r);
    }
}

/* Bytes that this process has written so far, or 0 where the system does not say. */
static unsigned long long bytes_written(void)
{
    unsigned long long bytes = 0;
    char line[128];
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "wchar: %llu", &bytes) == 1)
            break;
    if (f)
        fclose(f);
    return bytes;
}

/* As --resume does, which looks at the whole .part before it goes on with it. */
static void a_reader_that_closes_on_a_full_disk_leaves_the_writer_its_file(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_results *w = create(), *r;
    int32_t count;
    write_row(w, 5);
    assert_int_equal(vj_results_open(&r, part, false, &err), 0);
    disk_is_full = true;
    vj_results_close(r);
    disk_is_full = false;
    assert_int_equal(vj_results_read(w, "/a/count", VJ_COLUMN_I32, 5, 1, &count, &err), 0);
    assert_int_equal(count, 5);
    write_row(w, 6);
    vj_results_close(w);
    assert_int_equal(vj_results_open(&r, part, false, &err), 0);
    assert_int_equal(vj_results_read(r, "/a/count", VJ_COLUMN_I32, 6, 1, &count, &err), 0);
    assert_int_equal(count, 6);
    vj_results_close(r);
}

static void a_row_costs_no_more_than_its_bytes(void **state)
{
    (void)state;
    enum { MANY = 100000, WRITTEN = 200 };
    struct vj_results *r;
    struct vj_error err = {0};
    if (bytes_written() == 0) {
        print_message("skipped: the system does not say what is written (/proc/self/io)\n");
        skip();
    }
    for (int opened = 0; opened < 2; opened++) {
        if (opened ? vj_results_open(&r, part, true, &err)
                   : vj_results_create(&r, part, MANY, columns, COLUMNS, &err))
            fail_msg("%s", err.text);
        const unsigned long long before = bytes_written();
        for (size_t i = 0; i < WRITTEN; i++)
            write_row(r, i * (MANY / WRITTEN));
        /* A score and a count are 32 bytes; HDF5 keeps some hundred of its own. */
        vj_assert_in_range(bytes_written() - before, WRITTEN * 32, WRITTEN * 1024);
        vj_results_close(r);
    }
    unlink(part);
}

/* Clipped by no signed type, in the file or in memory. */
static void unsigned_attributes_have_64_bits(void **state)
{
    (void)state;
    struct vj_error err = {0};
    hid_t file;
    uint64_t value = 0;
    struct vj_results *r = create();
    assert_int_equal(vj_results_set_uint64(r, "/", "large", UINT64_MAX, &err), 0);
    assert_int_equal(vj_results_set_int(r, "/", "negative", -1, &err), 0);
    assert_int_equal(vj_results_get_uint64(r, "/", "large", &value, &err), 0);
    assert_true(value == UINT64_MAX);
    value = 0;
    assert_int_equal(vj_results_get_uint64(r, "/", "negative", &value, &err), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(vj_results_get_uint64(r, "/", "none", &value, &err), -ENOENT);
    vj_results_close(r);
    assert_int_equal(vj_h5_open(&file, part, &err), 0);
    hid_t attribute = H5Aopen(file, "large", H5P_DEFAULT), type = H5Aget_type(attribute);
    assert_true(H5Tequal(type, H5T_STD_U64LE) > 0);
    H5Tclose(type);
    H5Aclose(attribute);
    assert_int_equal(vj_h5_close(file, part, &err), 0);
}

/* What could be written and not be read would end every --resume. */
static void a_text_is_as_long_as_can_be_read(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_results *r = create();
    char *text = calloc(VJ_H5_TEXT_MAX + 1, 1), *back = NULL;
    assert_non_null(text);
    memset(text, 'a', VJ_H5_TEXT_MAX - 1);
    assert_int_equal(vj_results_set_text(r, "/", "long", text, &err), 0);
    assert_int_equal(vj_results_get_text(r, "/", "long", &back, &err), 0);
    assert_string_equal(back, text);
    text[VJ_H5_TEXT_MAX - 1] = 'a';
    assert_int_equal(vj_results_set_text(r, "/", "longer", text, &err), -E2BIG);
    vj_assert_contains(err.text, "r.h5.part: attribute longer would be a text of 1048576 bytes");
    assert_false(vj_results_has_attribute(r, "/", "longer"));
    free(back);
    free(text);
    vj_results_close(r);
}

static void requests_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_results *r = create();
    float score[VALUES] = {0};
    int64_t n;
    char *text;
    assert_int_equal(vj_results_write(r, "/b/score", VJ_COLUMN_F32, ROWS, 1, score, &err), -ERANGE);
    vj_assert_contains(err.text,
                       "r.h5.part: dataset /b/score has 300 rows, rows 300 to 301 wanted");
    assert_int_equal(vj_results_read(r, "/b/nothing", VJ_COLUMN_F32, 0, 1, score, &err), -ENOENT);
    vj_assert_contains(err.text, "has no dataset /b/nothing");
    assert_int_equal(vj_results_get_int(r, "/b", "none", &n, &err), -ENOENT);
    vj_assert_contains(err.text, "/b has no attribute none");
    assert_int_equal(vj_results_get_text(r, "/zz", "none", &text, &err), -ENOENT);
    assert_null(text);
    vj_results_close(r);

    assert_int_equal(vj_results_open(&r, "/nonexistent/r.h5", false, &err), -ENOENT);
    vj_assert_contains(err.text, "cannot open results file /nonexistent/r.h5");
    assert_true(vj_results_create(&r, "/nonexistent/r.h5.part", 1, columns, COLUMNS, &err) < 0);
    vj_assert_contains(err.text, "/nonexistent/r.h5.part: cannot be created");
    FILE *file = fopen(final, "w");
    fputs("not HDF5", file);
    fclose(file);
    assert_int_equal(vj_results_open(&r, final, false, &err), -EINVAL);
    vj_assert_contains(err.text, "r.h5 is not a readable HDF5 file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_start_as_never_written),
        cmocka_unit_test(published_file_holds_the_same_and_grows),
        cmocka_unit_test(columns_of_several_slabs_are_published_whole),
        cmocka_unit_test(a_killed_writer_leaves_a_file_that_opens_up_to_its_last_row),
        cmocka_unit_test(a_reader_that_closes_on_a_full_disk_leaves_the_writer_its_file),
        cmocka_unit_test(a_row_costs_no_more_than_its_bytes),
        cmocka_unit_test(unsigned_attributes_have_64_bits),
        cmocka_unit_test(a_text_is_as_long_as_can_be_read),
        cmocka_unit_test(requests_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
