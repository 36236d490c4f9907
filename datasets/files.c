/* SPDX-License-Identifier: MIT */
#include "datasets/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/checked.h"

#define NAMES_MAX ((size_t)1000 * 1000)

int vj_text(char **out, struct vj_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vasprintf(out, format, args);
    va_end(args);
    if (length >= 0)
        return 0;
    *out = NULL;
    return vj_fail(err, -ENOMEM, "out of memory for a text");
}

int vj_numbered_name(const char *name, const char *before, int digits, const char *after)
{
    size_t prefix = strlen(before);
    if (strncmp(name, before, prefix) != 0)
        return 0;
    const char *number = name + prefix;
    size_t length = strspn(number, "0123456789");
    if (length < (size_t)digits || length > 9 || strcmp(number + length, after) != 0)
        return 0;
    if (length > (size_t)digits && number[0] == '0')
        return 0;
    return (int)strtol(number, NULL, 10);
}

struct numbered_text {
    const char *text;
    size_t index;
};

static int compare_numbered(const void *a, const void *b)
{
    const struct numbered_text *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

int vj_first_equals(size_t *first, char *const *texts, size_t count, struct vj_error *err)
{
    struct numbered_text *sorted = vj_calloc(count, sizeof(*sorted));
    if (!sorted)
        return vj_fail(err, -ENOMEM, "out of memory for %zu names", count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct numbered_text){.text = texts[i], .index = i};
    qsort(sorted, count, sizeof(*sorted), compare_numbered);
    for (size_t i = 0, lead = 0; i < count; i++) {
        if (strcmp(sorted[lead].text, sorted[i].text) != 0)
            lead = i;
        first[sorted[i].index] = sorted[lead].index;
    }
    free(sorted);
    return 0;
}

int vj_file_size(const char *path, int64_t *size)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    *size = (int64_t)st.st_size;
    return 0;
}

bool vj_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_add(struct vj_names *names, size_t *room, const char *name)
{
    if (names->count == NAMES_MAX)
        return -E2BIG;
    if (names->count == *room) {
        size_t wanted = *room ? *room * 2 : 64;
        char **grown = reallocarray(names->name, wanted, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        names->name = grown;
        *room = wanted;
    }
    names->name[names->count] = strdup(name);
    if (!names->name[names->count])
        return -ENOMEM;
    names->count++;
    return 0;
}

int vj_names_list(struct vj_names *names, const char *folder, bool (*keep)(const char *name),
                  struct vj_error *err)
{
    memset(names, 0, sizeof(*names));
    DIR *dir = opendir(folder);
    if (!dir)
        return vj_fail(err, -errno, "%s: cannot be listed: %s", folder, strerror(errno));
    size_t room = 0;
    int rc = 0;
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = -errno;
            break;
        }
        if (entry->d_name[0] != '.' && (!keep || keep(entry->d_name)))
            rc = names_add(names, &room, entry->d_name);
    }
    closedir(dir);
    if (rc) {
        vj_names_free(names);
        return vj_fail(err, rc, "%s: cannot be listed: %s", folder, strerror(-rc));
    }
    if (names->count)
        qsort(names->name, names->count, sizeof(*names->name), compare_names);
    return 0;
}

void vj_names_free(struct vj_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    memset(names, 0, sizeof(*names));
}
