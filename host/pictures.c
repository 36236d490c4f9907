/* SPDX-License-Identifier: MIT */
#include "host/pictures.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/files.h"
#include "eval/text.h"
#include "host/progress.h"

/* name: where the picture's name begins in its path, which is taken over */
static int add_picture(struct vj_pictures *pictures, char *path, size_t name)
{
    if (pictures->count == pictures->capacity) {
        size_t more = pictures->capacity ? 2 * pictures->capacity : 16;
        struct vj_picture *grown = reallocarray(pictures->picture, more, sizeof(*grown));
        if (!grown) {
            free(path);
            return -ENOMEM;
        }
        pictures->picture = grown;
        pictures->capacity = more;
    }
    pictures->picture[pictures->count++] = (struct vj_picture){.path = path, .name = path + name};
    return 0;
}

static void print_passed(const char *folder, const struct vj_names *names)
{
    char passed[512];
    struct vj_text line = {0};
    vj_names_describe_passed(names, passed, sizeof(passed));
    vj_text_add(&line, "vpjnd: ");
    vj_text_plain(&line, folder);
    vj_text_add(&line, ": not used: ");
    vj_text_plain(&line, passed);
    if (!line.failed)
        fprintf(stderr, "%s\n", line.data);
    vj_text_free(&line);
}

static int add_folder(struct vj_pictures *pictures, const char *folder, struct vj_error *err)
{
    struct vj_names names;
    int r = vj_names_tree(&names, folder, vj_is_picture_name, err);
    if (!r && names.count == 0)
        r = vj_fail(err, -ENOENT, "%s: no picture in it or its sub-folders", folder);
    if (!r && names.passed_over)
        print_passed(folder, &names);
    for (size_t i = 0; !r && i < names.count; i++) {
        char *path;
        r = vj_text(&path, err, "%s/%s", folder, names.name[i]);
        if (!r)
            r = add_picture(pictures, path, strlen(folder) + 1);
    }
    vj_names_free(&names);
    return r;
}

int vj_pictures_add(struct vj_pictures *pictures, const char *argument, struct vj_error *err)
{
    if (vj_is_folder(argument))
        return add_folder(pictures, argument, err);
    const char *slash = strrchr(argument, '/');
    char *path = strdup(argument);
    int r =
        path ? add_picture(pictures, path, slash ? (size_t)(slash + 1 - argument) : 0) : -ENOMEM;
    return r ? vj_fail(err, r, "out of memory") : 0;
}

/* Messages on files begin with the path; those of the device know only the picture. */
void vj_picture_show_failure(const char *path, const char *error)
{
    bool named = strncmp(error, path, strlen(path)) == 0;
    struct vj_error err;
    vj_fail(&err, -EIO, "%s%s%s", named ? "" : path, named ? "" : ": ", error);
    vj_error_show(&err);
}

void vj_pictures_free(struct vj_pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++)
        free(pictures->picture[i].path);
    free(pictures->picture);
    *pictures = (struct vj_pictures){0};
}
