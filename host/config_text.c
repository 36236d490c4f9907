/* SPDX-License-Identifier: MIT */
#include "host/config_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Numbers begin with a digit here: signs are passed over. */
static int check_number(const char *text, const char *at, size_t length, const char *name,
                        struct vj_error *err)
{
    const bool hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
    bool real = false, wide = false;
    for (size_t i = 0; i < length; i++) {
        real = real || at[i] == '.' || (!hex && (at[i] == 'e' || at[i] == 'E'));
        wide = wide || at[i] == 'L';
    }
    errno = 0;
    const unsigned long long value = strtoull(at, NULL, hex ? 16 : 10);
    if (real || (!errno && value <= (wide ? (unsigned long long)INT64_MAX : INT32_MAX)))
        return 0;
    return vj_fail(err, -EINVAL, "%s:%u: %.*s is beyond %d bits; write it in quotes, \"%.*s\"",
                   name, line_of(text, at), (int)length, at, wide ? 64 : 32, (int)(length - wide),
                   at);
}

int vj_config_text_check(const char *text, const char *name, struct vj_error *err)
{
    int r = 0;
    for (const char *at = text; !r && *at;) {
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '#' || strncmp(at, "//", 2) == 0) {
            at += strcspn(at, "\n");
        } else if (strncmp(at, "/*", 2) == 0) {
            at = skip_comment(at);
        } else if (*at == '@') {
            r = vj_fail(err, -EINVAL, "%s:%u: @include is not used in vpjnd's configuration", name,
                        line_of(text, at));
        } else if (isalnum((unsigned char)*at) || *at == '_') {
            /* A word, or a number with its point; what follows the sign of an exponent is small. */
            size_t length = 1;
            while (isalnum((unsigned char)at[length]) || at[length] == '_' || at[length] == '.')
                length++;
            if (isdigit((unsigned char)*at))
                r = check_number(text, at, length, name, err);
            at += length;
        } else {
            at++;
        }
    }
    return r;
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
    if (r) {
        free(*text);
        *text = NULL;
    }
    return r;
}
