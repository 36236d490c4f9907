/* SPDX-License-Identifier: MIT */
#include "eval/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/checked.h"

static bool grow(struct vj_table *table)
{
    if (table->cells < table->capacity)
        return true;
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    size_t bytes;
    size_t *cell = NULL;
    if (vj_size_mul(capacity, sizeof(*cell), &bytes))
        cell = realloc(table->cell, bytes);
    if (!cell)
        return false;
    table->cell = cell;
    table->capacity = capacity;
    return true;
}

void vj_table_cell(struct vj_table *table, const char *format, ...)
{
    char short_cell[64];
    char *long_cell = NULL;
    const char *cell = short_cell;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(short_cell, sizeof(short_cell), format, args);
    va_end(args);
    if (size >= (int)sizeof(short_cell)) {
        va_start(args, format);
        size = vasprintf(&long_cell, format, args);
        va_end(args);
        cell = long_cell;
    }
    if (size < 0 || !grow(table)) {
        table->pool.failed = true;
    } else {
        table->cell[table->cells++] = table->pool.size;
        vj_text_plain(&table->pool, cell);
        vj_text_fill(&table->pool, '\0', 1);
    }
    if (size >= 0)
        free(long_cell);
}

static const char *cell_at(const struct vj_table *table, size_t row, size_t column)
{
    return table->pool.data + table->cell[row * table->columns + column];
}

static size_t column_width(const struct vj_table *table, size_t column)
{
    size_t width = 0;
    for (size_t r = 0; r < table->cells / table->columns; r++) {
        size_t w = vj_text_columns(cell_at(table, r, column));
        width = w > width ? w : width;
    }
    return width;
}

enum {
    OWN_LINE_INDENT = 4, /* of a row whose first cell stands on the line above */
};

/* Columns of one part of a folded table: the fixed ones and [first, end). */
struct part {
    size_t first, end;
    size_t *width; /* [columns] */
    bool own_line; /* the first cell of each row stands on its own line */
};

static bool in_part(const struct vj_table *table, const struct part *part, size_t column)
{
    return column < table->fixed || (column >= part->first && column < part->end);
}

static const struct vj_table_column *column_of(const struct vj_table *table, size_t column)
{
    return &table->column[column < table->described ? column : table->described - 1];
}

static size_t gap_of(const struct vj_table *table, size_t column)
{
    return column ? (size_t)column_of(table, column)->gap : 0;
}

static void print_rule(struct vj_text *out, const struct vj_table *table, const struct part *part,
                       size_t indent)
{
    size_t width = 0;
    for (size_t c = 0; c < table->columns; c++) {
        if (in_part(table, part, c))
            width += gap_of(table, c) + part->width[c];
    }
    vj_text_fill(out, ' ', indent);
    vj_text_fill(out, '-', width);
    vj_text_add(out, "\n");
}

/* The cells of one row from column `from` on. */
static void print_cells(struct vj_text *out, const struct vj_table *table, const struct part *part,
                        size_t row, size_t from, size_t indent)
{
    size_t owed = indent; /* spaces before the next cell that is not empty: none trail */
    for (size_t c = from; c < table->columns; c++) {
        if (!in_part(table, part, c))
            continue;
        const char *cell = cell_at(table, row, c);
        size_t used = vj_text_columns(cell);
        size_t pad = part->width[c] - used;
        size_t before = column_of(table, c)->left ? 0 : pad;
        owed += gap_of(table, c) + before;
        if (used) {
            vj_text_fill(out, ' ', owed);
            vj_text_left(out, cell, 0);
            owed = 0;
        }
        owed += pad - before;
    }
    vj_text_add(out, "\n");
}

static void print_row(struct vj_text *out, const struct vj_table *table, const struct part *part,
                      size_t row, size_t indent)
{
    bool header = row < table->header_rows;
    if (!part->own_line) {
        print_cells(out, table, part, row, 0, indent);
        return;
    }
    if (!header) {
        vj_text_fill(out, ' ', indent);
        vj_text_add(out, "%s\n", cell_at(table, row, 0));
    }
    print_cells(out, table, part, row, 1, indent + part->width[0]);
}

static void print_part(struct vj_text *out, const struct vj_table *table, const struct part *part,
                       size_t indent)
{
    for (size_t r = 0; r < table->cells / table->columns; r++) {
        if (r == table->header_rows)
            print_rule(out, table, part, indent);
        print_row(out, table, part, r, indent);
    }
}

/* Width of columns [first, end) with their gaps. */
static size_t width_of(const struct vj_table *table, const struct part *part, size_t first,
                       size_t end)
{
    size_t width = 0;
    for (size_t c = first; c < end; c++)
        width += gap_of(table, c) + part->width[c];
    return width;
}

/* Prints as many columns as fit, at least one beside the fixed ones; moves part->first on. */
static void print_next_part(struct vj_text *out, const struct vj_table *table, struct part *part,
                            size_t indent, size_t width)
{
    size_t used = indent + width_of(table, part, 0, table->fixed);
    part->end = part->first;
    do {
        used += part->end < table->columns ? width_of(table, part, part->end, part->end + 1) : 0;
        part->end++;
    } while (part->end < table->columns &&
             used + width_of(table, part, part->end, part->end + 1) <= width);
    print_part(out, table, part, indent);
    part->first = part->end;
}

/* Where the table asks for it rather than for folding, and where folding alone cannot do. */
static bool needs_own_line(const struct vj_table *table, const struct part *part, size_t indent,
                           size_t width)
{
    size_t fixed = indent + width_of(table, part, 0, table->fixed);
    if (table->own_line)
        return indent + width_of(table, part, 0, table->columns) > width;
    for (size_t c = table->fixed; c < table->columns; c++) {
        if (fixed + width_of(table, part, c, c + 1) > width)
            return true;
    }
    return false;
}

void vj_table_print(struct vj_text *out, const struct vj_table *table, size_t indent, size_t width)
{
    struct part part = {.first = table->fixed,
                        .width = vj_calloc(table->columns, sizeof(*part.width))};
    if (!part.width || table->pool.failed) {
        free(part.width);
        out->failed = true;
        return;
    }
    for (size_t c = 0; c < table->columns; c++)
        part.width[c] = column_width(table, c);
    if (needs_own_line(table, &part, indent, width)) {
        part.own_line = true;
        part.width[0] = OWN_LINE_INDENT;
    }
    print_next_part(out, table, &part, indent, width);
    while (part.first < table->columns) {
        vj_text_add(out, "\n");
        print_next_part(out, table, &part, indent, width);
    }
    free(part.width);
}

void vj_table_free(struct vj_table *table)
{
    vj_text_free(&table->pool);
    free(table->cell);
    table->cell = NULL;
    table->cells = table->capacity = 0;
}
