/* SPDX-License-Identifier: MIT */
/* The CSV reader: what RFC 4180 allows, what it refuses and where, and its limits. */
#include "tests/vj_test.h"

#include <errno.h>

#include "datasets/csv.h"

/* Opens a text as "t.csv". */
static int open_text(struct vj_csv **csv, const char *text, struct vj_error *err)
{
    return vj_csv_open_memory(csv, (const uint8_t *)text, strlen(text), "t.csv", err);
}

/* Appends every row of the text to `out` as [line|field|field...]. */
static int dump(char *out, size_t size, const char *text, struct vj_error *err)
{
    struct vj_csv *csv;
    out[0] = '\0';
    int rc = open_text(&csv, text, err);
    bool more = !rc;
    while (more && !(rc = vj_csv_next(csv, &more, err)) && more) {
        size_t used = strlen(out);
        used += (size_t)snprintf(out + used, size - used, "[%zu", vj_csv_line(csv));
        for (size_t i = 0; i < vj_csv_fields(csv); i++)
            used += (size_t)snprintf(out + used, size - used, "|%s", vj_csv_field(csv, (int)i));
        snprintf(out + used, size - used, "]");
    }
    vj_csv_close(csv);
    return rc;
}

static void rows_come_out_as_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rows;
    } cases[] = {
        {"a,b\n1,2\n", "[2|1|2]"},
        {"a,b\n1,2", "[2|1|2]"},
        {"a,b\r\n1,2\r\n3,4\r\n", "[2|1|2][3|3|4]"},
        {"a,b\r1,2\r3,4", "[2|1|2][3|3|4]"},
        {"\xEF\xBB\xBF"
         "a,b\n1,2\n",
         "[2|1|2]"},
        {"\n\r\n\na,b\n\n\n1,2\n\n", "[7|1|2]"},
        {"a,b\n,\n", "[2||]"},
        {"a,b\n1,", "[2|1|]"},
        {"a\n\"\"\n", "[2|]"},
        {"a,b\n\"x,y\",z\n", "[2|x,y|z]"},
        {"a,b\n\"say \"\"hi\"\"\",z\n", "[2|say \"hi\"|z]"},
        {"a,b\n\"\"\"\",\"\"\"\"\"\"\n", "[2|\"|\"\"]"},
        {"a,b\n\"two\nlines\",z\n1,2\n", "[2|two\nlines|z][4|1|2]"},
        {"a,b\n\"two\r\nlines\",z\r\n1,2\r\n", "[2|two\r\nlines|z][4|1|2]"},
        {"a,b\n 1 ,\t2\n", "[2| 1 |\t2]"},
        {"a,b\n1\n1,2,3\n", "[2|1][3|1|2|3]"},
        {"a\n\"[12, 34, 56]\"", "[2|[12, 34, 56]]"},
        {"a,b\n", ""},
        {"a,b", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char rows[512];
        struct vj_error err = {0};
        assert_int_equal(dump(rows, sizeof(rows), cases[i].text, &err), 0);
        assert_string_equal(rows, cases[i].rows);
    }
}

static void malformed_texts_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "t.csv: the file is empty; its first line must name the columns"},
        {"\n\r\n\r", "t.csv: the file is empty"},
        {"\xEF\xBB\xBF", "t.csv: the file is empty"},
        {"a,b\n1,\"2\n3,4\n", "t.csv:2:3: the quote opened here is never closed"},
        {"a,\"b\n", "t.csv:1:3: the quote opened here is never closed"},
        {"\xEF\xBB\xBF\"a\n", "t.csv:1:1: the quote opened here is never closed"},
        {"a,b\n1,2\n3,x\"y\"\n", "t.csv:3:4: a quote inside a field that does not start with one"},
        {"a,b\n1, \"2\"\n", "t.csv:2:4: a quote inside a field that does not start with one"},
        {"a,b\n\"1\"2,3\n", "t.csv:2:4: text after a closing quote"},
        {"a,b\n\"1\n2\" ,3\n", "t.csv:3:3: text after a closing quote"},
        {"\"a\";\"b\"\n", "t.csv:1: columns are separated by semicolons; write it with"},
        {"a,b\n\"1\n2\";3\n", "t.csv:3: columns are separated by semicolons; write it with"},
        {"\"a\"\t\"b\"\n", "t.csv:1: columns are separated by tabs; write it with"},
        {"\xFF\xFEi", "t.csv: is UTF-16; save it as UTF-8"},
        {"\xFE\xFF", "t.csv: is UTF-16; save it as UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char rows[512];
        struct vj_error err = {0};
        assert_int_equal(dump(rows, sizeof(rows), cases[i].text, &err), -EINVAL);
        assert_int_equal(err.code, -EINVAL);
        vj_assert_contains(err.text, cases[i].error);
    }
}

static void nul_bytes_are_refused_in_plain_and_quoted_fields(void **state)
{
    (void)state;
    static const uint8_t plain[] = "a,b\n1,\0002\n", quoted[] = "a,b\n1,\"\0002\"\n";
    struct vj_csv *csv;
    struct vj_error err = {0};
    bool more;
    assert_int_equal(vj_csv_open_memory(&csv, plain, sizeof(plain) - 1, "t.csv", &err), 0);
    assert_int_equal(vj_csv_next(csv, &more, &err), -EINVAL);
    vj_assert_contains(err.text, "t.csv:2:3: a NUL byte; this is not a text file");
    vj_csv_close(csv);
    assert_int_equal(vj_csv_open_memory(&csv, quoted, sizeof(quoted) - 1, "t.csv", &err), 0);
    assert_int_equal(vj_csv_next(csv, &more, &err), -EINVAL);
    vj_assert_contains(err.text, "t.csv:2:4: a NUL byte; this is not a text file");
    vj_csv_close(csv);
}

/* A text of `head`, then `count` times `unit`, then `tail`. Caller frees. */
static char *repeat(const char *head, const char *unit, size_t count, const char *tail)
{
    size_t length = strlen(unit);
    char *text = malloc(strlen(head) + length * count + strlen(tail) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, head);
    for (size_t i = 0; i < count; i++, p += length)
        memcpy(p, unit, length);
    strcpy(p, tail);
    return text;
}

/* rc of reading all of `text`, which is freed. */
static int read_all(char *text, struct vj_error *err)
{
    struct vj_csv *csv;
    int rc = open_text(&csv, text, err);
    for (bool more = !rc; more && !rc;)
        rc = vj_csv_next(csv, &more, err);
    vj_csv_close(csv);
    free(text);
    return rc;
}

static void limits_are_reached_and_not_passed(void **state)
{
    (void)state;
    struct vj_error err = {0};
    assert_int_equal(read_all(repeat("a\n", "x", VJ_CSV_MAX_FIELD, "\n"), &err), 0);
    assert_int_equal(read_all(repeat("a\n", "x", VJ_CSV_MAX_FIELD + 1, "\n"), &err), -E2BIG);
    vj_assert_contains(err.text, "t.csv:2:1: a field longer than 1 MiB");
    assert_int_equal(read_all(repeat("a\n\"", "x", VJ_CSV_MAX_FIELD, "\""), &err), -E2BIG);
    vj_assert_contains(err.text, "t.csv:2:1: a field longer than 1 MiB; is its closing quote");

    assert_int_equal(read_all(repeat("", ",", VJ_CSV_MAX_FIELDS - 1, "\n"), &err), 0);
    assert_int_equal(read_all(repeat("", ",", VJ_CSV_MAX_FIELDS, "\n"), &err), -E2BIG);
    vj_assert_contains(err.text, "t.csv:1:1025: a row of more than 1024 fields");

    struct vj_csv *csv;
    const uint8_t byte = 'a';
    assert_int_equal(vj_csv_open_memory(&csv, &byte, VJ_CSV_MAX_BYTES + 1, "t.csv", &err), -E2BIG);
    vj_assert_contains(err.text, "t.csv: 4294967296 bytes; at most 4294967295 are read");
    assert_null(csv);
}

static void columns_are_found_by_name(void **state)
{
    (void)state;
    struct vj_csv *csv;
    struct vj_error err = {0};
    int at = 7;
    assert_int_equal(open_text(&csv, "Image_ID, No. of ratings ,x,X,\"a b\"\n1,2,3,4,5\n", &err),
                     0);
    assert_int_equal(vj_csv_columns(csv), 5);
    assert_int_equal(vj_csv_column(csv, "image_id", true, &at, &err), 0);
    assert_int_equal(at, 0);
    assert_int_equal(vj_csv_column(csv, "No. of ratings", true, &at, &err), 0);
    assert_int_equal(at, 1);
    assert_int_equal(vj_csv_column(csv, "a b", true, &at, &err), 0);
    assert_int_equal(at, 4);
    assert_int_equal(vj_csv_column(csv, "mean", false, &at, &err), 0);
    assert_int_equal(at, -1);
    assert_int_equal(vj_csv_column(csv, "mean", true, &at, &err), -EINVAL);
    vj_assert_contains(err.text, "t.csv:1: no column 'mean'");
    assert_int_equal(vj_csv_column(csv, "x", false, &at, &err), -EINVAL);
    vj_assert_contains(err.text, "t.csv:1: two columns are called 'x'");

    struct vj_csv *other;
    assert_int_equal(open_text(&other, "sep=;\nimage;qf_pred\na;47,5\n", &err), 0);
    assert_int_equal(vj_csv_column(other, "image", false, &at, &err), 0);
    assert_int_equal(vj_csv_column(other, "image", true, &at, &err), -EINVAL);
    vj_assert_contains(err.text, "t.csv:1: columns are separated by semicolons; write it with");
    vj_csv_close(other);

    bool more;
    assert_int_equal(vj_csv_next(csv, &more, &err), 0);
    assert_string_equal(vj_csv_field(csv, -1), "");
    assert_string_equal(vj_csv_field(csv, 5), "");
    assert_string_equal(vj_csv_name(csv), "t.csv");
    vj_csv_close(csv);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct vj_csv *csv;
    struct vj_error err = {0};
    assert_int_equal(vj_csv_open(&csv, "/nowhere/x.csv", &err), -ENOENT);
    assert_null(csv);
    vj_assert_contains(err.text, "/nowhere/x.csv");
}

/* A table made by other hands. */
static void the_surfeatnet_table_has_its_25000_rows(void **state)
{
    (void)state;
    vj_require_data("labels/surfeatnet_10_fold.csv");
    struct vj_csv *csv;
    struct vj_error err = {0};
    assert_int_equal(vj_csv_open(&csv, vj_test_data("labels/surfeatnet_10_fold.csv"), &err), 0);
    size_t rows = 0, fields = 0;
    for (bool more = true; more;) {
        assert_int_equal(vj_csv_next(csv, &more, &err), 0);
        rows += more;
        fields += vj_csv_fields(csv);
    }
    assert_int_equal(rows, 25000);
    assert_int_equal(fields, 7 * 25000);
    vj_csv_close(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_out_as_written),
        cmocka_unit_test(malformed_texts_are_refused_with_their_place),
        cmocka_unit_test(nul_bytes_are_refused_in_plain_and_quoted_fields),
        cmocka_unit_test(limits_are_reached_and_not_passed),
        cmocka_unit_test(columns_are_found_by_name),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(the_surfeatnet_table_has_its_25000_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
