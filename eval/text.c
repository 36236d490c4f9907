/* SPDX-License-Identifier: MIT */
#include "eval/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

enum {
    WORD_MAX = 4096, /* bytes of one word that a report shows */
};

/* Makes room for `more` bytes and the NUL; false, for good, when there is none. */
static bool reserve(struct vj_text *text, size_t more)
{
    size_t wanted;
    if (text->failed)
        return false;
    if (!vj_size_add(text->size, more, &wanted) || !vj_size_add(wanted, 1, &wanted)) {
        text->failed = true;
        return false;
    }
    if (wanted <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < wanted && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    char *data = capacity < wanted ? NULL : realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

static void add_bytes(struct vj_text *text, const char *bytes, size_t count)
{
    if (!reserve(text, count))
        return;
    memcpy(text->data + text->size, bytes, count);
    text->size += count;
    text->data[text->size] = '\0';
}

void vj_text_add(struct vj_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int count = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (count < 0 || !reserve(text, (size_t)count)) {
        text->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(text->data + text->size, (size_t)count + 1, format, args);
    va_end(args);
    text->size += (size_t)count;
}

void vj_text_fill(struct vj_text *text, char c, size_t count)
{
    if (!reserve(text, count))
        return;
    memset(text->data + text->size, c, count);
    text->size += count;
    text->data[text->size] = '\0';
}

/* Length of the well-formed UTF-8 sequence at s, 0 when there is none (RFC 3629, table 3-7). */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last; /* lead byte */
        unsigned char low, high;   /* second byte */
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        if (*s < forms[f].first || *s > forms[f].last)
            continue;
        if (forms[f].length == 1)
            return 1;
        if (s[1] < forms[f].low || s[1] > forms[f].high)
            return 0;
        for (size_t i = 2; i < forms[f].length; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
        }
        return forms[f].length;
    }
    return 0;
}

size_t vj_text_columns(const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    size_t columns = 0;
    while (*s) {
        size_t length = utf8_length(s);
        s += length ? length : 1;
        columns++;
    }
    return columns;
}

static size_t missing(const char *string, size_t width)
{
    size_t columns = vj_text_columns(string);
    return columns < width ? width - columns : 0;
}

void vj_text_left(struct vj_text *text, const char *string, size_t width)
{
    add_bytes(text, string, strlen(string));
    vj_text_fill(text, ' ', missing(string, width));
}

void vj_text_right(struct vj_text *text, const char *string, size_t width)
{
    vj_text_fill(text, ' ', missing(string, width));
    add_bytes(text, string, strlen(string));
}

/* Length of the character at s and what a person may see of it: itself, or "?". */
static size_t plain_character(const unsigned char *s, const char **shown, size_t *shown_size)
{
    size_t length = utf8_length(s);
    bool control = *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
    *shown = length && !control ? (const char *)s : "?";
    *shown_size = length && !control ? length : 1;
    return length ? length : 1;
}

void vj_text_plain(struct vj_text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    while (*s) {
        const char *shown;
        size_t size;
        s += plain_character(s, &shown, &size);
        add_bytes(text, shown, size);
    }
}

void vj_text_wrap(struct vj_text *text, const char *string, size_t at, size_t indent, size_t width)
{
    size_t column = at;
    bool fresh = true; /* no word on this line yet */
    while (*string) {
        size_t bytes = strcspn(string, " ");
        if (bytes) {
            struct vj_text word = {0};
            vj_text_add(&word, "%.*s", (int)(bytes < WORD_MAX ? bytes : WORD_MAX), string);
            size_t columns = word.data ? vj_text_columns(word.data) : 0;
            if (!fresh && column + 1 + columns > width) {
                vj_text_add(text, "\n");
                vj_text_fill(text, ' ', indent);
                column = indent;
                fresh = true;
            }
            vj_text_fill(text, ' ', fresh ? 0 : 1);
            vj_text_plain(text, word.data ? word.data : "");
            column += columns + !fresh;
            fresh = false;
            text->failed |= word.failed;
            vj_text_free(&word);
        }
        string += bytes + strspn(string + bytes, " ");
    }
    vj_text_add(text, "\n");
}

void vj_text_csv(struct vj_text *text, const char *string)
{
    if (!strpbrk(string, ",\"\r\n")) {
        add_bytes(text, string, strlen(string));
        return;
    }
    add_bytes(text, "\"", 1);
    for (const char *s = string; *s; s++)
        add_bytes(text, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    add_bytes(text, "\"", 1);
}

void vj_text_json(struct vj_text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    add_bytes(text, "\"", 1);
    while (*s) {
        size_t length = utf8_length(s);
        if (*s == '"' || *s == '\\')
            vj_text_add(text, "\\%c", *s);
        else if (*s == '\n')
            add_bytes(text, "\\n", 2);
        else if (*s == '\t')
            add_bytes(text, "\\t", 2);
        else if (*s < 0x20 || *s == 0x7f)
            vj_text_add(text, "\\u%04x", *s);
        else if (length)
            add_bytes(text, (const char *)s, length);
        else
            add_bytes(text, "\\ufffd", 6);
        s += length ? length : 1;
    }
    add_bytes(text, "\"", 1);
}

/* A character that a language of markup gives a meaning, and what shows it there. */
struct special {
    char c;
    const char *shown;
};

/* As vj_text_plain(), with what is special replaced. */
static void add_escaped(struct vj_text *text, const char *string, const struct special *special,
                        size_t count)
{
    const unsigned char *s = (const unsigned char *)string;
    while (*s) {
        const char *shown;
        size_t size;
        const size_t length = plain_character(s, &shown, &size);
        for (size_t i = 0; i < count; i++) {
            if (*s == (unsigned char)special[i].c) {
                shown = special[i].shown;
                size = strlen(shown);
            }
        }
        add_bytes(text, shown, size);
        s += length;
    }
}

void vj_text_html(struct vj_text *text, const char *string)
{
    static const struct special special[] = {
        {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    add_escaped(text, string, special, sizeof(special) / sizeof(special[0]));
}

void vj_text_latex(struct vj_text *text, const char *string)
{
    static const struct special special[] = {{'\\', "\\textbackslash{}"},
                                             {'{', "\\{"},
                                             {'}', "\\}"},
                                             {'$', "\\$"},
                                             {'&', "\\&"},
                                             {'#', "\\#"},
                                             {'%', "\\%"},
                                             {'_', "\\_"},
                                             {'^', "\\textasciicircum{}"},
                                             {'~', "\\textasciitilde{}"},
                                             {'<', "\\textless{}"},
                                             {'>', "\\textgreater{}"},
                                             {'|', "\\textbar{}"}};
    add_escaped(text, string, special, sizeof(special) / sizeof(special[0]));
}

void vj_text_number(struct vj_text *text, double value)
{
    char digits[40];
    if (!isfinite(value))
        return;
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    /* A locale may have put a comma. */
    for (char *c = digits; *c; c++) {
        if (*c == ',')
            *c = '.';
    }
    add_bytes(text, digits, strlen(digits));
}

void vj_text_json_number(struct vj_text *text, double value)
{
    if (isfinite(value))
        vj_text_number(text, value);
    else
        add_bytes(text, "null", 4);
}

int vj_text_status(const struct vj_text *text, struct vj_error *err)
{
    if (text->failed)
        return vj_fail(err, -ENOMEM, "out of memory for a text of more than %zu bytes", text->size);
    return 0;
}

void vj_text_free(struct vj_text *text)
{
    free(text->data);
    *text = (struct vj_text){0};
}
