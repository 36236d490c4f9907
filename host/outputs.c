/* SPDX-License-Identifier: MIT */
#include "host/outputs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/dataset.h"
#include "datasets/files.h"
#include "host/checked.h"

/* "sub/photo.jpeg" -> "sub/photo"; the caller frees it. */
static char *without_extension(const char *name)
{
    char *stem = strdup(name);
    if (!stem)
        return NULL;
    char *slash = strrchr(stem, '/');
    char *base = slash ? slash + 1 : stem;
    char *dot = strrchr(base, '.');
    if (dot && dot != base)
        *dot = '\0';
    return stem;
}

/* One would lie where the other was written. */
static int fail_same_output(const struct vj_outputs *o, size_t one, size_t other,
                            struct vj_error *err)
{
    const char *x = o->pictures->picture[one].path, *y = o->pictures->picture[other].path;
    if (strcmp(x, y) == 0)
        return vj_fail(err, -EEXIST, "%s is given twice", x);
    return vj_fail(
        err, -EEXIST,
        "%s and %s would both be written to %s/%s%s; rename one, or write them in two commands to "
        "two folders",
        x, y, o->folder, o->stem[other], o->endings);
}

static int check_different(const struct vj_outputs *o, struct vj_error *err)
{
    const size_t count = o->pictures->count;
    size_t *first = vj_calloc(count, sizeof(*first));
    if (!first)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = vj_first_equals(first, o->stem, count, err);
    for (size_t i = 0; !r && i < count; i++)
        if (first[i] != i)
            r = fail_same_output(o, first[i], i, err);
    free(first);
    return r;
}

static bool find_file(struct vj_file_id *file, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *file = (struct vj_file_id){.device = st.st_dev, .inode = st.st_ino};
    return true;
}

static int compare_files(const void *a, const void *b)
{
    const struct vj_file_id *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static void find_given(struct vj_outputs *o)
{
    for (size_t i = 0; i < o->pictures->count; i++)
        o->given_count += find_file(&o->given[o->given_count], o->pictures->picture[i].path);
    qsort(o->given, o->given_count, sizeof(*o->given), compare_files);
}

int vj_outputs_init(struct vj_outputs *outputs, const struct vj_pictures *pictures,
                    const char *folder, const char *endings, struct vj_error *err)
{
    *outputs = (struct vj_outputs){
        .pictures = pictures,
        .folder = folder,
        .endings = endings,
        .stem = vj_calloc(pictures->count, sizeof(*outputs->stem)),
        .given = vj_calloc(pictures->count, sizeof(*outputs->given)),
    };
    bool complete = outputs->stem && outputs->given;
    for (size_t i = 0; complete && i < pictures->count; i++) {
        outputs->stem[i] = without_extension(pictures->picture[i].name);
        complete = outputs->stem[i];
    }
    if (!complete)
        return vj_fail(err, -ENOMEM, "out of memory");
    find_given(outputs);
    return check_different(outputs, err);
}

int vj_outputs_path(char **path, const struct vj_outputs *outputs, size_t index, const char *ending,
                    struct vj_error *err)
{
    return vj_text(path, err, "%s/%s%s", outputs->folder, outputs->stem[index], ending);
}

int vj_outputs_check(const struct vj_outputs *outputs, const char *path, struct vj_error *err)
{
    struct vj_file_id output;
    if (!find_file(&output, path) ||
        !bsearch(&output, outputs->given, outputs->given_count, sizeof(output), compare_files))
        return 0;
    return vj_fail(err, -EEXIST,
                   "output %s is one of the pictures given; name another place with -o", path);
}

int vj_outputs_make_folders(const struct vj_outputs *outputs, size_t index, struct vj_error *err)
{
    const char *stem = outputs->stem[index];
    int r = vj_make_folder(outputs->folder, err);
    for (const char *slash = strchr(stem, '/'); !r && slash; slash = strchr(slash + 1, '/')) {
        char *path;
        r = vj_text(&path, err, "%s/%.*s", outputs->folder, (int)(slash - stem), stem);
        if (!r)
            r = vj_make_folder(path, err);
        free(path);
    }
    return r;
}

void vj_outputs_free(struct vj_outputs *outputs)
{
    for (size_t i = 0; outputs->stem && i < outputs->pictures->count; i++)
        free(outputs->stem[i]);
    free(outputs->stem);
    free(outputs->given);
    *outputs = (struct vj_outputs){0};
}
