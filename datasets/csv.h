/* SPDX-License-Identifier: MIT */
/*
 * CSV reader (RFC 4180): comma-separated, fields may be quoted with `"`, a quote inside a quoted
 * field is doubled, quoted fields may hold commas and line breaks. Beyond the RFC: a UTF-8 byte
 * order mark is dropped, rows may end in LF, CR LF or CR, empty lines are skipped. Strict where a
 * guess would shift columns: a quote inside an unquoted field, text after a closing quote, a
 * missing closing quote and NUL bytes are errors, each with file:line:column (bytes, from 1).
 */
#ifndef VJ_DATASETS_CSV_H
#define VJ_DATASETS_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum {
    VJ_CSV_MAX_FIELD = 1 << 20, /* bytes of a field as written */
    VJ_CSV_MAX_FIELDS = 1024    /* of a row */
};

/* Bytes of a file, which therefore has fewer than INT_MAX rows after its header. */
#define VJ_CSV_MAX_BYTES ((size_t)UINT32_MAX)

struct vj_csv;

/*
 * Reads the file and its header row. *csv is owned by the caller (vj_csv_close).
 * Errors: -ENOENT and others from reading, -EINVAL for a file without header or a malformed one,
 * -E2BIG beyond a limit.
 */
int vj_csv_open(struct vj_csv **csv, const char *path, struct vj_error *err);

/* The same from memory (copied); `name` is what errors call it. */
int vj_csv_open_memory(struct vj_csv **csv, const uint8_t *data, size_t size, const char *name,
                       struct vj_error *err);

void vj_csv_close(struct vj_csv *csv);

/*
 * Position of a header name, compared without regard to case and surrounding blanks.
 * *index: 0.., or -1 when there is no such column and it is not required.
 * Errors: -EINVAL when the name occurs twice, or not at all though required; the text says so where
 * the header is separated by semicolons or tabs.
 */
int vj_csv_column(const struct vj_csv *csv, const char *name, bool required, int *index,
                  struct vj_error *err);

/*
 * Moves to the next row; *more = false after the last one. After a failure the rest of the file
 * cannot be trusted and the same failure is not repeated: the caller gives up.
 */
int vj_csv_next(struct vj_csv *csv, bool *more, struct vj_error *err);

size_t vj_csv_fields(const struct vj_csv *csv);  /* of the current row */
size_t vj_csv_columns(const struct vj_csv *csv); /* of the header */
/* Name of a column below vj_csv_columns(); borrowed from csv. */
const char *vj_csv_heading(const struct vj_csv *csv, size_t index);
size_t vj_csv_line(const struct vj_csv *csv); /* line the current row starts in, from 1 */
const char *vj_csv_name(const struct vj_csv *csv);

/*
 * Text of a field of the current row, unquoted, NUL-terminated, valid until the next vj_csv_next;
 * "" when index is -1 or the row has no such field.
 */
const char *vj_csv_field(const struct vj_csv *csv, int index);

#endif
