/* SPDX-License-Identifier: MIT */
/* A string that grows: what reports are written into. */
#ifndef VJ_EVAL_TEXT_H
#define VJ_EVAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"

/* Zero-initialise before use; vj_text_free() afterwards. */
struct vj_text {
    char *data;  /* NUL-terminated once something was added, else NULL */
    size_t size; /* bytes without the NUL */
    size_t capacity;
    bool failed; /* memory ran out: later additions do nothing, vj_text_status() says so */
};

/* Appends formatted text; failures are kept in text->failed. */
void vj_text_add(struct vj_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends `count` times the byte c. */
void vj_text_fill(struct vj_text *text, char c, size_t count);

/* Appends `string` in a field of at least `width` columns (UTF-8 code points count one each). */
void vj_text_left(struct vj_text *text, const char *string, size_t width);
void vj_text_right(struct vj_text *text, const char *string, size_t width);

/*
 * Appends text from a file's name or content for people to read: control characters, which a
 * terminal might obey, and bytes that are not UTF-8 become "?".
 */
void vj_text_plain(struct vj_text *text, const char *string);

/*
 * Appends `string` as vj_text_plain() does, broken between words so that no line is longer than
 * `width` columns (longer words apart), and ends the line. The first line starts at column `at`,
 * where the text already stands; the others are indented by `indent`.
 */
void vj_text_wrap(struct vj_text *text, const char *string, size_t at, size_t indent, size_t width);

/* Columns that a UTF-8 string takes: its code points; stray bytes count one each. */
size_t vj_text_columns(const char *string);

/* Appends one CSV field (RFC 4180): quoted where it holds a comma, a quote, CR or LF. */
void vj_text_csv(struct vj_text *text, const char *string);

/*
 * Appends a JSON string (RFC 8259), quotes included. Bytes that are not UTF-8 become U+FFFD;
 * control characters are escaped.
 */
void vj_text_json(struct vj_text *text, const char *string);

/*
 * Appends text for the content or a quoted attribute of HTML or SVG: & < > " ' become entities,
 * control characters and bytes that are not UTF-8 become "?".
 */
void vj_text_html(struct vj_text *text, const char *string);

/*
 * Appends text for the body of a LaTeX document: what is special there becomes a command, control
 * characters and bytes that are not UTF-8 become "?".
 */
void vj_text_latex(struct vj_text *text, const char *string);

/* Appends a number that reads back as the same double; nothing for one that is not finite. */
void vj_text_number(struct vj_text *text, double value);

/* The same for JSON: null for one that is not finite. */
void vj_text_json_number(struct vj_text *text, double value);

/* 0, or -ENOMEM when anything could not be added. */
int vj_text_status(const struct vj_text *text, struct vj_error *err);

void vj_text_free(struct vj_text *text);

#endif
