/* SPDX-License-Identifier: MIT */
#include "datasets/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/checked.h"
#include "host/image.h"

struct row {
    size_t line;
    size_t count;
    char *field[VJ_CSV_MAX_FIELDS]; /* into vj_csv.text */
};

struct vj_csv {
    char *name; /* owned */
    char *text; /* owned; size + 1 bytes, fields are unquoted and terminated in place */
    size_t size;
    size_t pos;
    size_t line;       /* line of pos */
    size_t line_start; /* offset of that line's first byte */
    struct row header;
    struct row row;
};

enum field_end { END_OF_FIELD, END_OF_ROW, END_OF_FILE };

static int fail_at(const struct vj_csv *csv, size_t pos, struct vj_error *err, int code,
                   const char *what)
{
    return vj_fail(err, code, "%s:%zu:%zu: %s", csv->name, csv->line, pos - csv->line_start + 1,
                   what);
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Steps over LF, CR LF or CR at pos. */
static void skip_line_end(struct vj_csv *csv)
{
    if (csv->text[csv->pos] == '\r' && csv->pos + 1 < csv->size && csv->text[csv->pos + 1] == '\n')
        csv->pos++;
    csv->pos++;
    csv->line++;
    csv->line_start = csv->pos;
}

/* What ends the field at pos, stepping over it and putting a NUL at `end` (<= pos). */
static enum field_end finish_field(struct vj_csv *csv, size_t end)
{
    enum field_end kind = END_OF_FILE;
    size_t at = csv->pos;
    if (at < csv->size && csv->text[at] == ',') {
        csv->pos++;
        kind = END_OF_FIELD;
    } else if (at < csv->size) {
        skip_line_end(csv);
        kind = END_OF_ROW;
    }
    csv->text[end] = '\0';
    return kind;
}

static int read_plain_field(struct vj_csv *csv, struct vj_error *err)
{
    size_t start = csv->pos;
    for (; csv->pos < csv->size; csv->pos++) {
        char c = csv->text[csv->pos];
        if (c == ',' || is_line_end(c))
            break;
        if (c == '"')
            return fail_at(csv, csv->pos, err, -EINVAL,
                           "a quote inside a field that does not start with one; quote the whole "
                           "field and double the quotes inside it");
        if (c == '\0')
            return fail_at(csv, csv->pos, err, -EINVAL, "a NUL byte; this is not a text file");
        if (csv->pos - start >= VJ_CSV_MAX_FIELD)
            return fail_at(csv, start, err, -E2BIG, "a field longer than 1 MiB");
    }
    return 0;
}

/* Semicolons are what spreadsheet programs write in countries whose decimal sign is a comma. */
static int fail_separator(const struct vj_csv *csv, char separator, size_t line,
                          struct vj_error *err)
{
    return vj_fail(err, -EINVAL,
                   "%s:%zu: columns are separated by %s; write it with commas between columns and "
                   "points in numbers",
                   csv->name, line, separator == ';' ? "semicolons" : "tabs");
}

/* *end: where the unquoted text ends; the text itself starts where the opening quote was. */
static int read_quoted_field(struct vj_csv *csv, size_t *end, struct vj_error *err)
{
    const size_t start = csv->pos, line = csv->line, column = start - csv->line_start + 1;
    size_t out = start;
    csv->pos++;
    while (csv->pos < csv->size) {
        char c = csv->text[csv->pos];
        if (c == '\0')
            return fail_at(csv, csv->pos, err, -EINVAL, "a NUL byte; this is not a text file");
        if (csv->pos - start >= VJ_CSV_MAX_FIELD)
            return vj_fail(err, -E2BIG,
                           "%s:%zu:%zu: a field longer than 1 MiB; is its closing "
                           "quote missing?",
                           csv->name, line, column);
        if (c == '"') {
            csv->pos++;
            if (csv->pos < csv->size && csv->text[csv->pos] == '"') {
                csv->text[out++] = '"';
                csv->pos++;
                continue;
            }
            if (csv->pos < csv->size && (csv->text[csv->pos] == ';' || csv->text[csv->pos] == '\t'))
                return fail_separator(csv, csv->text[csv->pos], csv->line, err);
            if (csv->pos < csv->size && csv->text[csv->pos] != ',' &&
                !is_line_end(csv->text[csv->pos]))
                return fail_at(csv, csv->pos, err, -EINVAL,
                               "text after a closing quote; a comma or the end of the line must "
                               "follow (quotes inside a field are doubled)");
            *end = out;
            return 0;
        }
        if (is_line_end(c)) {
            size_t from = csv->pos;
            skip_line_end(csv);
            while (from < csv->pos)
                csv->text[out++] = csv->text[from++];
            continue;
        }
        csv->text[out++] = c;
        csv->pos++;
    }
    return vj_fail(err, -EINVAL, "%s:%zu:%zu: the quote opened here is never closed", csv->name,
                   line, column);
}

static int read_row(struct vj_csv *csv, struct row *row, struct vj_error *err)
{
    row->line = csv->line;
    row->count = 0;
    enum field_end kind = END_OF_FIELD;
    while (kind == END_OF_FIELD) {
        if (row->count == VJ_CSV_MAX_FIELDS)
            return fail_at(csv, csv->pos, err, -E2BIG, "a row of more than 1024 fields");
        size_t start = csv->pos, end = start;
        int rc;
        if (csv->pos < csv->size && csv->text[csv->pos] == '"') {
            rc = read_quoted_field(csv, &end, err);
        } else {
            rc = read_plain_field(csv, err);
            end = csv->pos;
        }
        if (rc)
            return rc;
        row->field[row->count++] = csv->text + start;
        kind = finish_field(csv, end);
    }
    return 0;
}

/* Reads the next row that is not an empty line; *more = false at the end of the file. */
static int read_filled_row(struct vj_csv *csv, struct row *row, bool *more, struct vj_error *err)
{
    while (csv->pos < csv->size && is_line_end(csv->text[csv->pos]))
        skip_line_end(csv);
    *more = csv->pos < csv->size;
    return *more ? read_row(csv, row, err) : 0;
}

/* Takes over `text` (size + 1 bytes), whatever the outcome. */
static int open_text(struct vj_csv **out, char *text, size_t size, const char *name,
                     struct vj_error *err)
{
    *out = NULL;
    struct vj_csv *csv = vj_calloc(1, sizeof(*csv));
    char *own_name = strdup(name);
    if (!csv || !own_name) {
        free(csv);
        free(own_name);
        free(text);
        return vj_fail(err, -ENOMEM, "%s: out of memory", name);
    }
    csv->name = own_name;
    csv->text = text;
    csv->size = size;
    csv->line = 1;
    text[size] = '\0';
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        csv->pos = csv->line_start = 3;

    bool more = false;
    const bool utf16 =
        size >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0);
    int rc = utf16 ? vj_fail(err, -EINVAL, "%s: is UTF-16; save it as UTF-8", name)
                   : read_filled_row(csv, &csv->header, &more, err);
    if (!rc && !more)
        rc = vj_fail(err, -EINVAL, "%s: the file is empty; its first line must name the columns",
                     name);
    if (rc) {
        vj_csv_close(csv);
        return rc;
    }
    *out = csv;
    return 0;
}

int vj_csv_open(struct vj_csv **csv, const char *path, struct vj_error *err)
{
    *csv = NULL;
    uint8_t *data;
    size_t size;
    int rc = vj_file_read(&data, &size, path, VJ_CSV_MAX_BYTES, err);
    if (rc)
        return rc;
    char *text = realloc(data, size + 1);
    if (!text) {
        free(data);
        return vj_fail(err, -ENOMEM, "%s: out of memory", path);
    }
    return open_text(csv, text, size, path, err);
}

int vj_csv_open_memory(struct vj_csv **csv, const uint8_t *data, size_t size, const char *name,
                       struct vj_error *err)
{
    *csv = NULL;
    if (size > VJ_CSV_MAX_BYTES)
        return vj_fail(err, -E2BIG, "%s: %zu bytes; at most %zu are read", name, size,
                       VJ_CSV_MAX_BYTES);
    char *text = malloc(size + 1);
    if (!text)
        return vj_fail(err, -ENOMEM, "%s: out of memory", name);
    if (size)
        memcpy(text, data, size);
    return open_text(csv, text, size, name, err);
}

void vj_csv_close(struct vj_csv *csv)
{
    if (!csv)
        return;
    free(csv->name);
    free(csv->text);
    free(csv);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool same_heading(const char *cell, const char *name)
{
    while (is_blank(*cell))
        cell++;
    size_t length = strlen(cell);
    while (length && is_blank(cell[length - 1]))
        length--;
    return length == strlen(name) && strncasecmp(cell, name, length) == 0;
}

static bool heading_has(const struct vj_csv *csv, char c)
{
    for (size_t i = 0; i < csv->header.count; i++)
        if (strchr(csv->header.field[i], c))
            return true;
    return false;
}

static int fail_no_column(const struct vj_csv *csv, const char *name, struct vj_error *err)
{
    char known[VJ_ERROR_TEXT / 2] = "";
    for (size_t i = 0; i < csv->header.count; i++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                 csv->header.field[i]);
    }
    return vj_fail(err, -EINVAL,
                   "%s:%zu: no column '%s'; the first line must name the columns, and it names %s",
                   csv->name, csv->header.line, name, known);
}

int vj_csv_column(const struct vj_csv *csv, const char *name, bool required, int *index,
                  struct vj_error *err)
{
    *index = -1;
    for (size_t i = 0; i < csv->header.count; i++) {
        if (!same_heading(csv->header.field[i], name))
            continue;
        if (*index >= 0)
            return vj_fail(err, -EINVAL, "%s:%zu: two columns are called '%s'; remove one",
                           csv->name, csv->header.line, name);
        *index = (int)i;
    }
    if (*index < 0 && required && (heading_has(csv, ';') || heading_has(csv, '\t')))
        return fail_separator(csv, heading_has(csv, ';') ? ';' : '\t', csv->header.line, err);
    return *index < 0 && required ? fail_no_column(csv, name, err) : 0;
}

int vj_csv_next(struct vj_csv *csv, bool *more, struct vj_error *err)
{
    csv->row.count = 0;
    return read_filled_row(csv, &csv->row, more, err);
}

size_t vj_csv_fields(const struct vj_csv *csv)
{
    return csv->row.count;
}

size_t vj_csv_columns(const struct vj_csv *csv)
{
    return csv->header.count;
}

const char *vj_csv_heading(const struct vj_csv *csv, size_t index)
{
    return csv->header.field[index];
}

size_t vj_csv_line(const struct vj_csv *csv)
{
    return csv->row.line;
}

const char *vj_csv_name(const struct vj_csv *csv)
{
    return csv->name;
}

const char *vj_csv_field(const struct vj_csv *csv, int index)
{
    return index >= 0 && (size_t)index < csv->row.count ? csv->row.field[index] : "";
}
