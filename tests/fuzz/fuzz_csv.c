/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of CSV files: no input may crash, read beyond its end or leak; every row has fields
 * within the limits, line numbers grow, a failure names the file and the place, and writing the
 * rows out again with every field quoted reads back as the same rows.
 *
 *   clang -g -O1 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       tests/fuzz/fuzz_csv.c datasets/csv.c host/image.c host/image_[bfjp]*.c host/error.c \
 *       -ljpeg -lpng -lz -o fuzz_csv
 *   ./fuzz_csv -max_len=4096 -timeout=10 work
 *
 * With -DVJ_FUZZ_REPLAY instead of -fsanitize=fuzzer it is an ordinary program, which runs over the
 * files it is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/csv.h"
#include "host/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int true_now, const char *what)
{
    if (!true_now) {
        fprintf(stderr, "fuzz_csv: broken promise: %s\n", what);
        abort();
    }
}

static void check_failure(int rc, const struct vj_error *err)
{
    check(rc < 0, "a failure is a negative errno");
    check(err->code == rc, "the code is that of the error");
    check(strncmp(err->text, "input:", 6) == 0, "the text starts with the name");
}

/* Writes the current row with all fields quoted. */
static void write_row(FILE *out, const struct vj_csv *csv)
{
    for (size_t i = 0; i < vj_csv_fields(csv); i++) {
        fputs(i ? ",\"" : "\"", out);
        for (const char *p = vj_csv_field(csv, (int)i); *p; p++) {
            if (*p == '"')
                fputc('"', out);
            fputc(*p, out);
        }
        fputc('"', out);
    }
    fputc('\n', out);
}

/* Reads to the end or the first failure; what was read is written to `out`. Returns the last rc. */
static int read_rows(struct vj_csv *csv, FILE *out)
{
    size_t line = 0;
    for (;;) {
        struct vj_error err = {0};
        bool more;
        int rc = vj_csv_next(csv, &more, &err);
        if (rc) {
            check_failure(rc, &err);
            return rc;
        }
        if (!more)
            return 0;
        check(vj_csv_line(csv) > line, "line numbers grow");
        line = vj_csv_line(csv);
        check(vj_csv_fields(csv) >= 1 && vj_csv_fields(csv) <= VJ_CSV_MAX_FIELDS,
              "a row has 1..1024 fields");
        for (size_t i = 0; i < vj_csv_fields(csv); i++)
            check(strlen(vj_csv_field(csv, (int)i)) <= VJ_CSV_MAX_FIELD, "fields are limited");
        check(*vj_csv_field(csv, (int)vj_csv_fields(csv)) == '\0', "no field after the last");
        write_row(out, csv);
    }
}

/* Reads `data`, returns what it holds in canonical form (caller frees), NULL if it does not read.
 */
static char *canonical(const uint8_t *data, size_t size, size_t *length)
{
    struct vj_csv *csv;
    struct vj_error err = {0};
    int rc = vj_csv_open_memory(&csv, data, size, "input", &err);
    if (rc) {
        check(csv == NULL, "nothing is opened on failure");
        check_failure(rc, &err);
        return NULL;
    }
    check(vj_csv_columns(csv) >= 1, "a header has columns");
    int at;
    vj_csv_column(csv, "image", true, &at, NULL);
    check(at >= -1 && at < (int)vj_csv_columns(csv), "a column is one of the header's");
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    check(out != NULL, "memory for a copy");
    fputs("header\n", out);
    rc = read_rows(csv, out);
    fclose(out);
    vj_csv_close(csv);
    if (rc) {
        free(text);
        return NULL;
    }
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t length, again_length;
    char *once = canonical(data, size, &length);
    if (!once)
        return 0;
    char *twice = canonical((const uint8_t *)once, length, &again_length);
    check(twice && length == again_length && memcmp(once, twice, length) == 0,
          "rows written with quotes read back as they were");
    free(once);
    free(twice);
    return 0;
}

#ifdef VJ_FUZZ_REPLAY

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        uint8_t *data;
        size_t size;
        struct vj_error err = {0};
        if (vj_file_read(&data, &size, argv[i], 0, &err)) {
            fprintf(stderr, "fuzz_csv: %s\n", err.text);
            return EXIT_FAILURE;
        }
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
