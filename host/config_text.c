/* SPDX-License-Identifier: MIT */
#include "host/config_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* at: its opening quote. Behind the closing one, or the end of the text. */
static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : at;
}

static const char *skip_comment(const char *at)
{
    const char *end = strstr(at + 2, "*/");
    return end ? end + 2 : at + strlen(at);
}

static bool begins_number(const char *at)
{
    return isdigit((unsigned char)*at) || (*at == '.' && isdigit((unsigned char)at[1]));
}

static bool is_hex(const char *at)
{
    return at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
}

/* The sign of an exponent belongs to a number, one in front does not. */
static size_t number_length(const char *at)
{
    size_t n = 1;
    for (bool more = true; more; n += more) {
        bool exponent = !is_hex(at) && (at[n - 1] == 'e' || at[n - 1] == 'E');
        more = isalnum((unsigned char)at[n]) || at[n] == '.' ||
               (exponent && (at[n] == '+' || at[n] == '-'));
    }
    return n;
}

static size_t word_length(const char *at)
{
    size_t n = 1;
    while (isalnum((unsigned char)at[n]) || (at[n] && strchr("_-*", at[n])))
        n++;
    return n;
}

static int check_number(const char *text, const char *at, size_t length, const char *name,
                        struct vj_error *err)
{
    bool real = false, wide = false;
    for (size_t i = 0; i < length; i++) {
        real = real || at[i] == '.' || (!is_hex(at) && (at[i] == 'e' || at[i] == 'E'));
        wide = wide || at[i] == 'L';
    }
    const unsigned long long negative = at > text && at[-1] == '-';
    const unsigned long long most = (wide ? (unsigned long long)INT64_MAX : INT32_MAX) + negative;
    errno = 0;
    if (real || (strtoull(at, NULL, is_hex(at) ? 16 : 10) <= most && !errno))
        return 0;
    return vj_fail(err, -EINVAL,
                   "%s:%u: %.*s is beyond %d bits; write it as a decimal number in quotes", name,
                   line_of(text, at), (int)length, at, wide ? 64 : 32);
}

int vj_config_text_check(const char *text, const char *name, struct vj_error *err)
{
    int r = 0;
    for (const char *at = text; !r && *at;) {
        if (*at == '"') {
            const char *end = skip_string(at);
            if (memchr(at, '\n', (size_t)(end - at)) || end[-1] != '"' || end == at + 1)
                r = vj_fail(err, -EINVAL,
                            "%s:%u: the double quote opened here is not closed in its line", name,
                            line_of(text, at));
            at = end;
        } else if (*at == '#' || strncmp(at, "//", 2) == 0) {
            at += strcspn(at, "\n");
        } else if (strncmp(at, "/*", 2) == 0) {
            const char *end = skip_comment(at);
            if (!*end && (end < at + 4 || strncmp(end - 2, "*/", 2) != 0))
                r = vj_fail(err, -EINVAL, "%s:%u: the comment opened here is not closed with */",
                            name, line_of(text, at));
            at = end;
        } else if (*at == '@') {
            r = vj_fail(err, -EINVAL, "%s:%u: @include is not used in vpjnd's configuration", name,
                        line_of(text, at));
        } else if (begins_number(at)) {
            size_t length = number_length(at);
            r = check_number(text, at, length, name, err);
            at += length;
        } else if (isalpha((unsigned char)*at) || *at == '_' || *at == '*') {
            at += word_length(at);
        } else {
            at++;
        }
    }
    return r;
}

/* ---- what is wrong with a line ---- */

/* Whether a bracket is open at `end`. */
static bool in_brackets(const char *text, const char *end)
{
    size_t depth = 0;
    for (const char *at = text; at < end;) {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (*at == '#' || strncmp(at, "//", 2) == 0) {
            at += strcspn(at, "\n");
            continue;
        }
        if (strncmp(at, "/*", 2) == 0) {
            at = skip_comment(at);
            continue;
        }
        if (strchr("[({", *at))
            depth++;
        else if (strchr("])}", *at) && depth > 0)
            depth--;
        at++;
    }
    return depth > 0;
}

static bool is_plain_value(const char *value)
{
    if (*value == '"' || strchr("[({", *value))
        return true;
    if (strncasecmp(value, "true", 4) == 0 || strncasecmp(value, "false", 5) == 0)
        return true;
    const char *number = value + (*value == '-' || *value == '+');
    return begins_number(number) &&
           strspn(number, "0123456789.xXabcdefABCDEFL+-") == strcspn(number, " \t;,#/");
}

/* line: without blanks around it */
static const char *advice(const char *text, const char *at, const char *line, const char *reason)
{
    if (strstr(reason, "duplicate"))
        return "an option is set once; remove one of the two";
    if (strstr(reason, "mismatched"))
        return "put every element of a list in double quotes";
    const char *value = line + strcspn(line, "=:");
    if (in_brackets(text, at))
        return "the list before it has no closing bracket";
    if (!*value)
        return "write key = value, for example root = \"pictures\";";
    value += 1 + strspn(value + 1, " \t");
    if (!*value || *value == ';')
        return "there is no value; write key = value, for example root = \"pictures\";";
    if (*value != '=' && !is_plain_value(value))
        return "put the value in double quotes, for example root = \"pictures\";";
    if (*value == '"' && *skip_string(value) == ',')
        return "put several values in brackets, for example predictors = [\"constant\", "
               "\"psnr-threshold\"];";
    if (*value == '[')
        return "write lists as predictors = [\"constant\", \"psnr-threshold\"]; without a comma "
               "behind the last";
    return "write key = value; look at the line above, too";
}

int vj_config_text_explain(const char *text, const char *name, int line, const char *reason,
                           struct vj_error *err)
{
    char shown[64];
    const char *at = text;
    for (int i = 1; i < line && at; i++) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return vj_fail(err, -EINVAL, "%s:%d: %s", name, line, reason);
    const char *start = at + strspn(at, " \t");
    size_t length = strcspn(start, "\r\n");
    while (length && strchr(" \t", start[length - 1]))
        length--;
    char *whole = strndup(start, length);
    if (!whole)
        return vj_fail(err, -EINVAL, "%s:%d: %s", name, line, reason);
    snprintf(shown, sizeof(shown), "%.60s", whole);
    vj_fail(err, -EINVAL, "%s:%d: %s at '%s'; %s", name, line, reason, shown,
            advice(text, at, whole, reason));
    free(whole);
    return -EINVAL;
}

int vj_config_text_read(char **text, const char *path, struct vj_error *err)
{
    size_t room = 0;
    int r = 0;
    *text = NULL;
    FILE *file = fopen(path, "r");
    if (!file)
        return vj_fail(err, -errno, "cannot open configuration file %s: %s", path, strerror(errno));
    errno = 0;
    ssize_t length = getdelim(text, &room, '\0', file);
    if (length < 0 && !feof(file)) {
        r = errno == EISDIR
                ? vj_fail(err, -EISDIR, "configuration file %s is a folder; name a file", path)
                : vj_fail(err, errno ? -errno : -EIO, "cannot read configuration file %s: %s", path,
                          strerror(errno));
    } else if (length > 0 && (*text)[length - 1] == '\0') {
        r = vj_fail(err, -EINVAL, "configuration file %s has a zero byte at %zd; it is not text",
                    path, length - 1);
    } else if (length < 0) {
        free(*text);
        *text = strdup("");
        if (!*text)
            r = vj_fail(err, -ENOMEM, "out of memory");
    }
    fclose(file);
    /* The mark that some editors write in front of UTF-8. */
    if (!r && strncmp(*text, "\xEF\xBB\xBF", 3) == 0)
        memmove(*text, *text + 3, strlen(*text + 3) + 1);
    if (r) {
        free(*text);
        *text = NULL;
    }
    return r;
}
