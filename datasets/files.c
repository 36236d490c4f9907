/* SPDX-License-Identifier: MIT */
#include "datasets/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/checked.h"
#include "host/utf8.h"

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

void vj_append(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    const int wanted = vsnprintf(text + used, size - used, format, args);
    va_end(args);
    if (wanted >= (int)(size - used))
        memcpy(text + vj_utf8_cut(text, size - 4), "...", 4);
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

int vj_make_folder(const char *path, struct vj_error *err)
{
    if (mkdir(path, 0777) == 0)
        return 0;
    if (errno != EEXIST)
        return vj_fail(err, -errno, "cannot make folder %s: %s", path, strerror(errno));
    return vj_is_folder(path)
               ? 0
               : vj_fail(err, -ENOTDIR, "%s is there and is no folder; name another one", path);
}

int vj_check_root(const char *root, struct vj_error *err)
{
    if (vj_is_folder(root))
        return 0;
    return access(root, F_OK) == 0
               ? vj_fail(err, -ENOTDIR, "root: %s: is a file; name the folder of the data set",
                         root)
               : vj_fail(err, -ENOENT, "root: %s: no such folder", root);
}

bool vj_is_picture_name(const char *name)
{
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof(extensions) / sizeof(extensions[0]); i++)
        if (strcasecmp(dot, extensions[i]) == 0)
            return true;
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A list of names that grows. */
struct growing {
    struct vj_names names;
    size_t room;
};

/* Adds "folder/name", or "name" where the folder is "". */
static int add_name(struct growing *list, const char *folder, const char *name)
{
    struct vj_names *names = &list->names;
    if (names->count == INT_MAX)
        return -E2BIG;
    if (names->count == list->room) {
        size_t wanted = list->room ? list->room * 2 : 64;
        char **grown = reallocarray(names->name, wanted, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        names->name = grown;
        list->room = wanted;
    }
    char *path = NULL;
    int rc = vj_text(&path, NULL, "%s%s%s", folder, *folder ? "/" : "", name);
    if (!rc)
        names->name[names->count++] = path;
    return rc;
}

/* The name is that of the file alone: it does not depend on the order of the listing. */
static int pass_over(struct vj_names *names, const char *name)
{
    names->passed_over++;
    if (names->first_passed && strcmp(names->first_passed, name) <= 0)
        return 0;
    free(names->first_passed);
    names->first_passed = strdup(name);
    return names->first_passed ? 0 : -ENOMEM;
}

enum kind { KIND_OTHER, KIND_FILE, KIND_FOLDER };

/*
 * A link is what it leads to, but never a folder; one that leads nowhere is a file, whose reader
 * says that it is not there. Most file systems say without being asked.
 */
static enum kind entry_kind(DIR *dir, const struct dirent *entry)
{
    struct stat st;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = IFTODT(st.st_mode);
    if (type == DT_LNK && (fstatat(dirfd(dir), entry->d_name, &st, 0) != 0 || S_ISREG(st.st_mode)))
        type = DT_REG;
    return type == DT_REG ? KIND_FILE : type == DT_DIR ? KIND_FOLDER : KIND_OTHER;
}

/* Adds the names in root/folder to `files`; with `folders`, only those of files, and there those of
 * folders. folder: "" for the root itself */
static int list_folder(struct growing *files, struct growing *folders, const char *root,
                       const char *folder, bool (*keep)(const char *name), struct vj_error *err)
{
    char *path;
    int rc = vj_text(&path, err, "%s%s%s", root, *folder ? "/" : "", folder);
    if (rc)
        return rc;
    DIR *dir = opendir(path);
    rc = dir ? 0 : -errno;
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = -errno;
            break;
        }
        const char *name = entry->d_name;
        if (name[0] == '.')
            continue;
        enum kind kind = folders ? entry_kind(dir, entry) : KIND_FILE;
        if (kind == KIND_FOLDER)
            rc = add_name(folders, folder, name);
        else if (kind == KIND_FILE && (!keep || keep(name)))
            rc = add_name(files, folder, name);
        else if (kind == KIND_FILE)
            rc = pass_over(&files->names, name);
    }
    if (dir)
        closedir(dir);
    if (rc)
        vj_fail(err, rc, "%s: cannot be listed: %s", path, strerror(-rc));
    free(path);
    return rc;
}

/* Hands the names over, sorted, or none after a failure. */
static int finish_list(struct vj_names *names, struct growing *list, int rc)
{
    if (rc)
        vj_names_free(&list->names);
    else if (list->names.count)
        qsort(list->names.name, list->names.count, sizeof(*list->names.name), compare_names);
    *names = list->names;
    return rc;
}

int vj_names_list(struct vj_names *names, const char *folder, bool (*keep)(const char *name),
                  struct vj_error *err)
{
    struct growing list = {0};
    return finish_list(names, &list, list_folder(&list, NULL, folder, "", keep, err));
}

int vj_names_tree(struct vj_names *names, const char *folder, bool (*keep)(const char *name),
                  struct vj_error *err)
{
    struct growing files = {0}, folders = {0};
    int rc = list_folder(&files, &folders, folder, "", keep, err);
    for (size_t i = 0; !rc && i < folders.names.count; i++)
        rc = list_folder(&files, &folders, folder, folders.names.name[i], keep, err);
    vj_names_free(&folders.names);
    return finish_list(names, &files, rc);
}

void vj_names_describe_passed(const struct vj_names *names, char *text, size_t size)
{
    *text = '\0';
    if (names->passed_over == 1)
        snprintf(text, size, "a file that is no picture by its ending, %s", names->first_passed);
    else if (names->passed_over)
        snprintf(text, size, "%zu files that are no pictures by their endings, %s for one",
                 names->passed_over, names->first_passed);
}

void vj_names_free(struct vj_names *names)
{
    free(names->first_passed);
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    memset(names, 0, sizeof(*names));
}
