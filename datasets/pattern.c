/* SPDX-License-Identifier: MIT */
#include "datasets/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

size_t vj_pattern_placeholder(const char *p, const char *key, int *width)
{
    size_t n = strlen(key);
    *width = 1;
    if (p[0] != '{' || strncmp(p + 1, key, n) != 0)
        return 0;
    const char *rest = p + 1 + n;
    if (rest[0] == '}')
        return n + 2;
    if (strncmp(rest, ":0", 2) != 0 || rest[2] < '1' || rest[2] > '9' || rest[3] != 'd' ||
        rest[4] != '}')
        return 0;
    *width = rest[2] - '0';
    return n + 6;
}

int vj_pattern_check(const char *pattern, const char *key, const char *what, struct vj_error *err)
{
    size_t found = 0;
    for (const char *p = pattern; *p;) {
        int width;
        size_t length = vj_pattern_placeholder(p, key, &width);
        if (!length && (*p == '{' || *p == '}'))
            return vj_fail(err, -EINVAL,
                           "%s '%.200s': unknown placeholder at '%.20s'; use {%s} or {%s:03d}",
                           what, pattern, p, key, key);
        found += length != 0;
        p += length ? length : 1;
    }
    if (!found)
        return vj_fail(err, -EINVAL, "%s '%.200s': no {%s} in it, so one file would serve for all",
                       what, pattern, key);
    return 0;
}

int vj_pattern_expand(char *path, size_t size, const char *pattern, const char *key, int number,
                      const char *what, struct vj_error *err)
{
    size_t used = 0;
    for (const char *p = pattern; *p;) {
        int width;
        size_t length = vj_pattern_placeholder(p, key, &width);
        int wrote = length ? snprintf(path + used, size - used, "%0*d", width, number)
                           : snprintf(path + used, size - used, "%c", *p);
        used += (size_t)wrote;
        if (used >= size)
            return vj_fail(err, -ENAMETOOLONG, "%s: a path longer than %zu bytes", what, size);
        p += length ? length : 1;
    }
    path[used] = '\0';
    return 0;
}
