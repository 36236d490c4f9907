/* SPDX-License-Identifier: MIT */
/*
 * `folder`: every picture of a folder and its sub-folders, without labels: prediction only.
 *
 * Pictures are the files *.jpg, *.jpeg, *.png, *.bmp, *.ppm and *.pgm (in any case), named by their
 * paths below the folder and sorted by these, bytewise. Other files, hidden files and folders, and
 * links to folders are passed over; info.excluded counts the other files. Candidates are always
 * synthesised from the picture, and compared with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset_internal.h"
#include "datasets/files.h"
#include "datasets/labels.h"
#include "host/checked.h"

struct folder {
    char *root;
    struct vj_names names;
};

static void folder_close(void *state)
{
    struct folder *folder = state;
    vj_names_free(&folder->names);
    free(folder->root);
    free(folder);
}

static int check_options(const struct vj_dataset_options *opt, struct vj_error *err)
{
    enum vj_label label;
    enum vj_candidates candidates;
    int rc = vj_label_parse(&label, opt->labels, VJ_LABEL_NONE, err);
    if (!rc && label != VJ_LABEL_NONE)
        rc = vj_fail(err, -EINVAL,
                     "labels: '%s', but a folder has no labels; leave labels out or set it to none",
                     opt->labels);
    if (!rc)
        rc = vj_candidates_parse(&candidates, opt->candidates, false, err);
    if (!rc && candidates == VJ_CANDIDATES_FILES)
        rc = vj_fail(err, -EINVAL,
                     "candidates: files, but a folder has none; set candidates=synthesize or "
                     "describe them in a manifest");
    if (!rc)
        rc = vj_require_first_jnd(opt, "folder", err);
    if (!rc)
        rc = vj_require_jpeg(opt, "folder", err);
    return rc;
}

static int folder_open(void **state, const struct vj_dataset_options *opt,
                       struct vj_dataset_info *info, struct vj_error *err)
{
    int rc = check_options(opt, err);
    if (rc)
        return rc;
    struct folder *folder = vj_calloc(1, sizeof(*folder));
    if (!folder)
        return vj_fail(err, -ENOMEM, "%s: out of memory", opt->root);
    rc = vj_check_root(opt->root, err);
    if (!rc)
        rc = vj_text(&folder->root, err, "%s", opt->root);
    if (!rc)
        rc = vj_names_tree(&folder->names, opt->root, vj_is_picture_name, err);
    if (!rc && folder->names.count == 0)
        rc = vj_fail(err, -ENOENT,
                     "%s: no picture (jpg, jpeg, png, bmp, ppm, pgm) in it or its sub-folders; "
                     "links to folders are not followed",
                     opt->root);
    if (rc) {
        folder_close(folder);
        return rc;
    }
    vj_label_describe(info->label_definition, sizeof(info->label_definition), VJ_LABEL_NONE, 1);
    vj_candidates_record(info, VJ_CANDIDATES_SYNTHESIZE);
    vj_names_describe_passed(&folder->names, info->excluded, sizeof(info->excluded));
    *state = folder;
    return 0;
}

static size_t folder_count(const void *state)
{
    const struct folder *folder = state;
    return folder->names.count;
}

static int folder_item(const void *state, size_t index, struct vj_item *item, struct vj_error *err)
{
    const struct folder *folder = state;
    const char *name = folder->names.name[index];
    item->id = (int)index + 1;
    int rc = vj_text(&item->name, err, "%s", name);
    if (!rc)
        rc = vj_text(&item->source, err, "%s/%s", folder->root, name);
    if (!rc)
        rc = vj_item_check_files(item, false, 1, VJ_QF_MAX, err);
    return rc;
}

const struct vj_dataset_ops vj_dataset_folder = {
    .name = "folder",
    .description = "the pictures of a folder and its sub-folders, no labels: prediction only",
    .open = folder_open,
    .count = folder_count,
    .item = folder_item,
    .close = folder_close,
};
