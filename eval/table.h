/* SPDX-License-Identifier: MIT */
/* Inside eval/: a table of text cells that prints itself aligned and within a line width. */
#ifndef VJ_EVAL_TABLE_H
#define VJ_EVAL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/text.h"

struct vj_table_column {
    int gap;   /* spaces before the column */
    bool left; /* left-aligned; numbers stand on the right */
};

/* Initialisers of a table from an array of columns. */
#define VJ_TABLE_DESCRIPTION(array)                                                                \
    .column = (array), .described = sizeof(array) / sizeof((array)[0])

/* Filled row by row, cell by cell. vj_table_free() afterwards. */
struct vj_table {
    const struct vj_table_column *column; /* [described] borrowed */
    size_t described; /* at least 1; further columns are like the last one described */
    size_t columns;
    size_t fixed;        /* leading columns that are repeated where a table is folded */
    bool own_line;       /* rather than folding it, give the first cell of each row its own line */
    size_t header_rows;  /* leading rows, ruled off and repeated where a table is folded */
    struct vj_text pool; /* all cells, each with its NUL */
    size_t *cell;        /* offsets into the pool */
    size_t cells, capacity;
};

/* Appends one cell. */
void vj_table_cell(struct vj_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Prints the table, `indent` spaces in. One wider than `width` columns is folded into parts that
 * repeat the fixed columns (or see own_line); where even one column beside the fixed ones is too
 * wide, the first cell of each row gets its own line. An unfinished last row is not printed. Memory
 * failures of the table become those of *out.
 */
void vj_table_print(struct vj_text *out, const struct vj_table *table, size_t indent, size_t width);

void vj_table_free(struct vj_table *table);

#endif
