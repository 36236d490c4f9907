/* SPDX-License-Identifier: MIT */
#include "host/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/utf8.h"

static void mark_cut(char *text, size_t size, int wanted)
{
    if (wanted >= 0 && (size_t)wanted >= size)
        memcpy(text + vj_utf8_cut(text, size - 4), "...", 4);
}

int vj_fail(struct vj_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    mark_cut(err->text, sizeof(err->text), wanted);
    err->code = code;
    return code;
}

int vj_fail_prefix(struct vj_error *err, const char *format, ...)
{
    if (!err)
        return -EIO;
    char old[VJ_ERROR_TEXT];
    memcpy(old, err->text, sizeof(old));
    old[sizeof(old) - 1] = '\0';

    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (used < 0)
        used = 0;
    if ((size_t)used < sizeof(err->text)) {
        size_t room = sizeof(err->text) - (size_t)used;
        int wanted = snprintf(err->text + used, room, ": %s", old);
        mark_cut(err->text, sizeof(err->text), used + wanted);
    }
    return vj_error_code(err);
}

int vj_error_code(const struct vj_error *err)
{
    return err && err->code ? err->code : -EIO;
}
