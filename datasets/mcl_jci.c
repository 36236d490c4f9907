/* SPDX-License-Identifier: MIT */
/*
 * `mcl-jci`: MCL-JCI (Jin et al., "Statistical study on perceived JPEG image quality via MCL-JCI
 * dataset construction and analysis", 2016): 50 sources of 1920x1080, JPEG at QF 1..100, 30
 * subjects each. `root` is the folder MCL-JCI as unpacked:
 *   - source_images/[BMP]/ImageJND_SRC01.bmp: the brackets are part of the name;
 *   - distorted_image/ImageJND_SRC01/ImageJND_SRC01_001.jpg: the number is the QF;
 *   - JND_samples/JND_image_01.txt: 30 rows, see datasets/labels.h;
 *   - .../SQF_data/Image_1_l_h.txt: anywhere up to four folders down.
 *
 * Labels: sqf by default; sur50, sur75, median, mean need JND_samples. SUR curves are filled in
 * whenever an item's JND_samples file is there, whatever the label.
 *
 * Anchor: the subjects looked for JND 1 against the QF 100 JPEG, not the BMP, and for JND k + 1
 * against the picture at JND k (each subject their own; here the label's). With candidates=files
 * (the default) item.reference names that JPEG. With candidates=synthesize it is NULL and
 * item.anchor_qf says at which QF the evaluator encodes the source to get the anchor.
 *
 * A source without the JND asked for (a stair function with fewer drops, half the subjects without
 * one) is listed without label. A malformed label file breaks its item alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset_internal.h"
#include "datasets/files.h"
#include "datasets/labels.h"
#include "host/checked.h"

enum {
    MCL_SOURCES = 50,
    MCL_SUBJECTS = 30,
    MCL_ANCHOR_QF = 100,
    SQF_DEPTH = 4,              /* SQF_data lies at most this many folders below the root */
    SQF_FOLDERS_MAX = 10 * 1000 /* looked into: ends the search in looping links */
};

struct mcl {
    char *root;
    char *sqf_folder; /* NULL unless the label is sqf */
    bool samples;     /* the folder JND_samples exists */
    enum vj_label label;
    enum vj_candidates candidates;
    int jnd;
    int qf_first, qf_last;
    size_t subjects;
    int *ids;
    size_t count;
};

void vj_mcl_close(void *state)
{
    struct mcl *mcl = state;
    free(mcl->root);
    free(mcl->sqf_folder);
    free(mcl->ids);
    free(mcl);
}

/* ---- folders ---- */

int vj_mcl_source_folder(char **path, const char *root, struct vj_error *err)
{
    return vj_text(path, err, "%s/source_images/[BMP]", root);
}

int vj_mcl_check_root(const char *root, struct vj_error *err)
{
    char *sources = NULL, *inner = NULL;
    int rc = vj_check_root(root, err);
    if (!rc)
        rc = vj_mcl_source_folder(&sources, root, err);
    if (!rc)
        rc = vj_text(&inner, err, "%s/MCL-JCI/source_images", root);
    if (!rc && !vj_is_folder(sources))
        rc = vj_is_folder(inner)
                 ? vj_fail(err, -ENOENT, "root: %s: set it to the folder MCL-JCI inside", root)
                 : vj_fail(err, -ENOENT,
                           "%s: no such folder; root must be the folder MCL-JCI as unpacked",
                           sources);
    free(sources);
    free(inner);
    return rc;
}

int vj_mcl_source_id(const char *name)
{
    return vj_numbered_name(name, "ImageJND_SRC", 2, ".bmp");
}

static bool is_sqf_file(const char *name)
{
    return vj_numbered_name(name, "Image_", 1, "_l_h.txt") != 0;
}

static bool is_ordinary_folder(const char *name)
{
    return strcmp(name, "__MACOSX") != 0; /* holds shadows of the real files */
}

/* Takes over *path as the SQF folder if it holds stair files and is the only one so far. */
static int take_sqf_folder(struct mcl *mcl, char **path, struct vj_error *err)
{
    struct vj_names files;
    int rc = vj_names_list(&files, *path, is_sqf_file, err);
    if (rc)
        return rc;
    bool found = files.count != 0;
    vj_names_free(&files);
    if (!found)
        return 0;
    if (mcl->sqf_folder)
        return vj_fail(err, -EEXIST, "two folders of stair functions: %s and %s; remove one",
                       mcl->sqf_folder, *path);
    mcl->sqf_folder = *path;
    *path = NULL;
    return 0;
}

static int search_sqf(struct mcl *mcl, const char *folder, int depth, size_t *looked_into,
                      struct vj_error *err)
{
    if (++*looked_into > SQF_FOLDERS_MAX)
        return vj_fail(err, -ELOOP,
                       "%s: more than %d folders while looking for SQF_data; is there a loop of "
                       "links?",
                       mcl->root, SQF_FOLDERS_MAX);
    struct vj_names names;
    int rc = vj_names_list(&names, folder, is_ordinary_folder, err);
    if (rc == -EACCES && depth > 1)
        return 0; /* whatever it is, it is not for us */
    for (size_t i = 0; i < names.count && !rc; i++) {
        char *path;
        rc = vj_text(&path, err, "%s/%s", folder, names.name[i]);
        if (rc)
            break;
        if (vj_is_folder(path)) {
            if (strcmp(names.name[i], "SQF_data") == 0)
                rc = take_sqf_folder(mcl, &path, err);
            else if (depth < SQF_DEPTH)
                rc = search_sqf(mcl, path, depth + 1, looked_into, err);
        }
        free(path);
    }
    vj_names_free(&names);
    return rc;
}

static int find_sqf(struct mcl *mcl, struct vj_error *err)
{
    size_t looked_into = 0;
    int rc = search_sqf(mcl, mcl->root, 1, &looked_into, err);
    if (!rc && !mcl->sqf_folder)
        rc = vj_fail(err, -ENOENT,
                     "%s: no folder SQF_data with Image_<n>_l_h.txt up to %d folders down, which "
                     "labels=sqf needs; add it, or choose labels=sur50, sur75, median or mean",
                     mcl->root, SQF_DEPTH);
    return rc;
}

static int find_samples(struct mcl *mcl, struct vj_error *err)
{
    char *folder;
    int rc = vj_text(&folder, err, "%s/JND_samples", mcl->root);
    if (rc)
        return rc;
    mcl->samples = vj_is_folder(folder);
    if (!mcl->samples && mcl->label != VJ_LABEL_SQF && mcl->label != VJ_LABEL_NONE)
        rc = vj_fail(err, -ENOENT, "%s: no such folder, which labels=%s needs", folder,
                     vj_label_name(mcl->label));
    free(folder);
    return rc;
}

static int find_candidates(const struct mcl *mcl, struct vj_error *err)
{
    if (mcl->candidates != VJ_CANDIDATES_FILES)
        return 0;
    char *folder;
    int rc = vj_text(&folder, err, "%s/distorted_image", mcl->root);
    if (!rc && !vj_is_folder(folder))
        rc = vj_fail(err, -ENOENT,
                     "%s: no such folder; restore it, or set candidates=synthesize to encode the "
                     "sources",
                     folder);
    free(folder);
    return rc;
}

/* ---- opening ---- */

static int parse_options(struct mcl *mcl, const struct vj_mcl_tree *tree,
                         const struct vj_dataset_options *opt, const struct vj_dataset_info *info,
                         struct vj_error *err)
{
    int rc =
        vj_label_parse(&mcl->label, opt->labels ? opt->labels : tree->labels, VJ_LABEL_NONE, err);
    if (!rc)
        rc = vj_candidates_parse(&mcl->candidates, opt->candidates, false, err);
    if (!rc)
        rc = vj_require_jpeg(opt, info->dataset, err);
    if (rc)
        return rc;
    if (mcl->candidates == VJ_CANDIDATES_UNSAID)
        mcl->candidates = VJ_CANDIDATES_FILES;
    if (mcl->label == VJ_LABEL_NONE && opt->jnd != 1)
        return vj_fail(err, -EINVAL,
                       "jnd: %d is searched from JND %d, which labels=none does not tell", opt->jnd,
                       opt->jnd - 1);
    mcl->jnd = opt->jnd;
    mcl->qf_first = opt->qf_first;
    mcl->qf_last = opt->qf_last;
    mcl->subjects = tree->subjects;
    return vj_text(&mcl->root, err, "%s", opt->root);
}

static int copy_ids(struct mcl *mcl, const struct vj_mcl_tree *tree, struct vj_error *err)
{
    mcl->ids = vj_calloc(tree->count, sizeof(*mcl->ids));
    if (!mcl->ids)
        return vj_fail(err, -ENOMEM, "%s: out of memory", mcl->root);
    memcpy(mcl->ids, tree->ids, tree->count * sizeof(*mcl->ids));
    mcl->count = tree->count;
    return 0;
}

int vj_mcl_open(void **state, const struct vj_mcl_tree *tree, const struct vj_dataset_options *opt,
                struct vj_dataset_info *info, struct vj_error *err)
{
    struct mcl *mcl = vj_calloc(1, sizeof(*mcl));
    if (!mcl)
        return vj_fail(err, -ENOMEM, "%s: out of memory", opt->root);
    int rc = parse_options(mcl, tree, opt, info, err);
    if (!rc)
        rc = copy_ids(mcl, tree, err);
    if (!rc)
        rc = find_candidates(mcl, err);
    if (!rc && mcl->label == VJ_LABEL_SQF)
        rc = find_sqf(mcl, err);
    if (!rc)
        rc = find_samples(mcl, err);
    if (rc) {
        vj_mcl_close(mcl);
        return rc;
    }
    vj_label_describe(info->label_definition, sizeof(info->label_definition), mcl->label, mcl->jnd);
    vj_candidates_record(info, mcl->candidates);
    info->anchor_qf = MCL_ANCHOR_QF;
    info->human_labels = mcl->label != VJ_LABEL_NONE;
    *state = mcl;
    return 0;
}

size_t vj_mcl_count(const void *state)
{
    const struct mcl *mcl = state;
    return mcl->count;
}

/* ---- items ---- */

/* Label of JND k of a source, k = 0: the anchor of JND 1. */
static struct vj_label_value label_of(const struct mcl *mcl, const struct vj_stairs *stairs,
                                      const struct vj_subjects *subjects, int k)
{
    if (k == 0)
        return (struct vj_label_value){.qf = MCL_ANCHOR_QF, .exact = MCL_ANCHOR_QF};
    if (mcl->label == VJ_LABEL_SQF)
        return vj_stairs_label(stairs, k);
    return vj_label_from_answers(mcl->label, subjects->qf[k - 1], subjects->count);
}

/* Reads the item's label files. subjects->count stays 0 when there is no file and none is needed.
 */
static int read_label_files(const struct mcl *mcl, int id, struct vj_stairs *stairs,
                            struct vj_subjects *subjects, struct vj_error *err)
{
    subjects->count = 0;
    char *path = NULL;
    int rc = 0;
    if (mcl->label == VJ_LABEL_SQF) {
        rc = vj_text(&path, err, "%s/Image_%d_l_h.txt", mcl->sqf_folder, id);
        if (!rc)
            rc = vj_stairs_read(stairs, path, err);
        free(path);
    }
    if (rc || !mcl->samples)
        return rc;
    bool needed = mcl->label != VJ_LABEL_SQF && mcl->label != VJ_LABEL_NONE;
    rc = vj_text(&path, err, "%s/JND_samples/JND_image_%02d.txt", mcl->root, id);
    if (rc)
        return rc;
    int64_t size;
    if (needed || vj_file_size(path, &size) != -ENOENT)
        rc = vj_subjects_read(subjects, path, mcl->subjects, mcl->jnd, err);
    free(path);
    return rc;
}

static int set_labels(const struct mcl *mcl, struct vj_item *item, struct vj_error *err)
{
    struct vj_stairs stairs;
    struct vj_subjects subjects;
    struct vj_error cause = {0};
    int rc = read_label_files(mcl, item->id, &stairs, &subjects, &cause);
    if (rc == -ENOMEM)
        return vj_fail(err, rc, "%s", cause.text);
    if (rc)
        return vj_item_break(item, &cause, err);

    struct vj_label_value anchor = label_of(mcl, &stairs, &subjects, mcl->jnd - 1);
    if (anchor.qf == VJ_QF_UNKNOWN) {
        vj_fail(&cause, -ENODATA, "%s: no JND %d (%s), from which JND %d would be searched",
                item->name, mcl->jnd - 1, vj_label_name(mcl->label), mcl->jnd);
        return vj_item_break(item, &cause, err);
    }
    struct vj_label_value label = label_of(mcl, &stairs, &subjects, mcl->jnd);
    item->anchor_qf = anchor.qf;
    item->qf_true = label.qf;
    item->qf_exact = label.exact;
    item->has_sur = subjects.count != 0;
    if (item->has_sur)
        vj_sur_from_answers(item->sur, subjects.qf[mcl->jnd - 1], subjects.count);
    return 0;
}

static int candidate_path(const struct mcl *mcl, const char *name, int qf, char **path,
                          struct vj_error *err)
{
    return vj_text(path, err, "%s/distorted_image/%s/%s_%03d.jpg", mcl->root, name, name, qf);
}

static int set_paths(const struct mcl *mcl, struct vj_item *item, struct vj_error *err)
{
    char *sources;
    int rc = vj_mcl_source_folder(&sources, mcl->root, err);
    if (rc)
        return rc;
    rc = vj_text(&item->source, err, "%s/%s.bmp", sources, item->name);
    free(sources);
    if (mcl->candidates != VJ_CANDIDATES_FILES)
        return rc;
    if (!rc)
        rc = candidate_path(mcl, item->name, item->anchor_qf, &item->reference, err);
    for (int q = mcl->qf_first; q <= mcl->qf_last && !rc; q++)
        rc = candidate_path(mcl, item->name, q, &item->candidate[q], err);
    return rc;
}

int vj_mcl_item(const void *state, size_t index, struct vj_item *item, struct vj_error *err)
{
    const struct mcl *mcl = state;
    item->id = mcl->ids[index];
    item->anchor_qf = MCL_ANCHOR_QF;
    int rc = vj_text(&item->name, err, "ImageJND_SRC%02d", item->id);
    if (!rc)
        rc = set_labels(mcl, item, err);
    if (!rc)
        rc = set_paths(mcl, item, err);
    if (!rc)
        rc = vj_item_check_files(item, mcl->candidates == VJ_CANDIDATES_FILES, mcl->qf_first,
                                 mcl->qf_last, err);
    return rc;
}

static int refuse_synthetic(const char *root, struct vj_error *err)
{
    char *marker;
    int64_t size;
    int rc = vj_text(&marker, err, "%s/" VJ_SYNTHETIC_FILE, root);
    if (!rc && vj_file_size(marker, &size) != -ENOENT)
        rc = vj_fail(err, -EINVAL,
                     "%s: this tree holds procedural pictures, not MCL-JCI; use dataset=synthetic",
                     marker);
    free(marker);
    return rc;
}

static int mcl_jci_open(void **state, const struct vj_dataset_options *opt,
                        struct vj_dataset_info *info, struct vj_error *err)
{
    int ids[MCL_SOURCES];
    for (int i = 0; i < MCL_SOURCES; i++)
        ids[i] = i + 1;
    const struct vj_mcl_tree tree = {
        .ids = ids, .count = MCL_SOURCES, .subjects = MCL_SUBJECTS, .labels = "sqf"};
    int rc = vj_mcl_check_root(opt->root, err);
    if (!rc)
        rc = refuse_synthetic(opt->root, err);
    return rc ? rc : vj_mcl_open(state, &tree, opt, info, err);
}

const struct vj_dataset_ops vj_dataset_mcl_jci = {
    .name = "mcl-jci",
    .description = "MCL-JCI: 50 sources, JPEG QF 1..100, stair quality function and 30 subjects",
    .open = mcl_jci_open,
    .count = vj_mcl_count,
    .item = vj_mcl_item,
    .close = vj_mcl_close,
};
