/* SPDX-License-Identifier: MIT */
/*
 * Which way the file index of KonJND-1k's candidates runs. It is published nowhere, so the files
 * say: three ladders (first, middle, last of those whose ends can be read) must agree.
 *
 * JPEG: index = QF or 101 - QF, by the quantisation tables of files 1 and 100.
 *
 * BPG: index = q or 52 - q, where q = 1..51 is bpgenc's parameter, higher = worse. Its encoder
 * (x265 with a ratio of 1.4 between I and P pictures) codes the one picture with QP max(0, q - 3),
 * so that q 1, 2 and 3 give the same picture: the end of the ladder with three equal files has q 1.
 * Levels of quality, rising as a QF does, are 52 - q; these three are one level, 49.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/files.h"
#include "datasets/konjnd_internal.h"
#include "host/image.h"

#define CANDIDATE_FILE_MAX ((size_t)64 << 20)

enum { BPG_Q_EQUAL = 3, LADDERS = 3 };

/* What the files of one source say. */
struct ladder {
    const struct konjnd_row *row;
    bool reversed;
    bool unreadable; /* one of them cannot be read, which is its item's trouble alone */
    char found[54];  /* in words; names have twelve characters at most */
};

/* Those that tell, and why the first one that cannot be read does not. */
struct ladders {
    struct ladder of[LADDERS];
    size_t count;
    struct vj_error unreadable;
};

int vj_konjnd_candidate(const struct konjnd *k, const char *name, int index, char **path,
                        struct vj_error *err)
{
    return vj_text(path, err, "%s/%s/%s_%s_%03d.%s", k->root, k->half->folder, name, k->half->type,
                   index, k->half->decoded ? "png" : "jpg");
}

static int turn(const struct konjnd *k, int index)
{
    return k->reversed ? k->half->files + 1 - index : index;
}

int vj_konjnd_bpg_q(int level)
{
    return KONJND_BPG_LEVELS + BPG_Q_EQUAL - level;
}

int vj_konjnd_index(const struct konjnd *k, int level)
{
    return turn(k, k->half->decoded ? vj_konjnd_bpg_q(level) : level);
}

int vj_konjnd_level(const struct konjnd *k, int index)
{
    const int value = turn(k, index);
    if (!k->half->decoded)
        return value;
    return KONJND_BPG_LEVELS + BPG_Q_EQUAL - (value < BPG_Q_EQUAL ? BPG_Q_EQUAL : value);
}

static int read_candidate(const struct konjnd *k, const char *name, int index, uint8_t **data,
                          size_t *size, char **path, struct vj_error *err)
{
    *data = NULL;
    int rc = vj_konjnd_candidate(k, name, index, path, err);
    return rc ? rc : vj_file_read(data, size, *path, CANDIDATE_FILE_MAX, err);
}

/* ---- JPEG: quantisation tables ---- */

static int file_quality(const struct konjnd *k, const char *name, int index, int *qf,
                        struct vj_error *err)
{
    char *path = NULL;
    uint8_t *data;
    size_t size;
    int rc = read_candidate(k, name, index, &data, &size, &path, err);
    if (!rc)
        rc = vj_jpeg_quality(qf, data, size, path, err);
    free(data);
    free(path);
    return rc;
}

static int jpeg_direction(const struct konjnd *k, const char *name, struct ladder *ladder,
                          struct vj_error *err)
{
    int low, high;
    int rc = file_quality(k, name, 1, &low, err);
    if (!rc)
        rc = file_quality(k, name, k->half->files, &high, err);
    ladder->unreadable = rc != 0;
    if (!rc && low == high)
        rc = vj_fail(err, -EINVAL, "%s/jpeg: %s_JPEG_001 and _100 both have QF %d", k->root, name,
                     low);
    if (rc)
        return vj_fail_prefix(err, "cannot tell whether file index means QF or 101 - QF");
    ladder->reversed = low > high;
    snprintf(ladder->found, sizeof(ladder->found), "%s_JPEG_001 has QF %d, _100 has QF %d", name,
             low, high);
    return 0;
}

/* ---- BPG: the end with three equal files ---- */

static int files_equal(const struct konjnd *k, const char *name, int first, int second, bool *equal,
                       struct vj_error *err)
{
    char *path[2] = {NULL, NULL};
    uint8_t *data[2] = {NULL, NULL};
    size_t size[2];
    int rc = read_candidate(k, name, first, &data[0], &size[0], &path[0], err);
    if (!rc)
        rc = read_candidate(k, name, second, &data[1], &size[1], &path[1], err);
    *equal = !rc && size[0] == size[1] && memcmp(data[0], data[1], size[0]) == 0;
    for (int i = 0; i < 2; i++) {
        free(data[i]);
        free(path[i]);
    }
    return rc;
}

/* step: 1 from the first file upwards, -1 from the last one downwards */
static int end_equal(const struct konjnd *k, const char *name, int step, bool *equal,
                     struct vj_error *err)
{
    const int end = step > 0 ? 1 : k->half->files;
    int rc = 0;
    *equal = true;
    for (int i = 1; i < BPG_Q_EQUAL && *equal && !rc; i++)
        rc = files_equal(k, name, end, end + i * step, equal, err);
    return rc;
}

static int bpg_direction(const struct konjnd *k, const char *name, struct ladder *ladder,
                         struct vj_error *err)
{
    bool low, high;
    int rc = end_equal(k, name, 1, &low, err);
    if (!rc)
        rc = end_equal(k, name, -1, &high, err);
    ladder->unreadable = rc != 0;
    if (!rc && low == high)
        rc = vj_fail(err, -EINVAL,
                     "%s/bpg: of %s_BPG_001 to _003 and _049 to _051 exactly one end should have "
                     "three equal files (q 1, 2 and 3), but %s",
                     k->root, name, low ? "both have" : "none has");
    if (rc)
        return vj_fail_prefix(err, "cannot tell whether file index means q or 52 - q");
    ladder->reversed = high;
    snprintf(ladder->found, sizeof(ladder->found), "%s_BPG_%s are equal", name,
             high ? "049 to _051" : "001 to _003");
    return 0;
}

/* ---- both ---- */

/* Whether the files of both ends of the row's ladder are there. */
static bool has_ends(const struct konjnd *k, const struct konjnd_row *row)
{
    const int last = k->half->files, near = k->half->decoded ? BPG_Q_EQUAL : 1;
    bool there = row->id != 0;
    for (int index = 1; index <= last && there; index++) {
        char *path = NULL;
        int64_t size;
        if (index > near && index <= last - near)
            continue;
        there = vj_konjnd_candidate(k, row->name, index, &path, NULL) == 0 &&
                vj_file_size(path, &size) == 0;
        free(path);
    }
    return there;
}

/* Asks the files of a row, if those of both ends are there. *told: whether they could say */
static int ask(const struct konjnd *k, struct ladders *ladders, size_t row, bool *told,
               struct vj_error *err)
{
    struct ladder *ladder = &ladders->of[ladders->count];
    struct vj_error why = {0};
    *told = false;
    if (!has_ends(k, &k->rows[row]))
        return 0;
    *ladder = (struct ladder){.row = &k->rows[row]};
    int rc = k->half->decoded ? bpg_direction(k, ladder->row->name, ladder, &why)
                              : jpeg_direction(k, ladder->row->name, ladder, &why);
    if (rc && (!ladder->unreadable || rc == -ENOMEM))
        return vj_fail(err, rc, "%s", why.text);
    if (rc && !ladders->unreadable.code)
        ladders->unreadable = why;
    *told = !rc;
    ladders->count += !rc;
    return 0;
}

/* Up to three rows whose files tell: first, last, middle. */
static int ask_ladders(const struct konjnd *k, struct ladders *ladders, struct vj_error *err)
{
    size_t first = 0, last = k->count;
    bool told = false;
    int rc = 0;
    for (; !rc && !told && first < k->count; first++)
        rc = ask(k, ladders, first, &told, err);
    if (rc || !told)
        return rc;
    first--;
    for (told = false; !rc && !told && last > first + 1; last--)
        rc = ask(k, ladders, last - 1, &told, err);
    const size_t middle = first + (last - first) / 2;
    if (!rc && told && middle > first && middle < last)
        rc = ask(k, ladders, middle, &told, err);
    return rc;
}

/* What is wrong with the first row, if no row names a source; NULL if one does. */
static const char *nameless(const struct konjnd *k)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->rows[i].id)
            return NULL;
    return k->rows[0].error;
}

static int no_ladder(const struct konjnd *k, struct vj_dataset_info *info, struct vj_error *err)
{
    if (nameless(k))
        return vj_fail(err, -EINVAL, "%s; nor does any other row name a source", nameless(k));
    if (k->half->decoded)
        return vj_fail(err, -ENOENT,
                       "%s/bpg: no source has its files SRC..._BPG_001.png to _003 and _049 to "
                       "_051, needed to tell whether the index means q or 52 - q; restore the "
                       "folder",
                       k->root);
    if (k->candidates == VJ_CANDIDATES_FILES)
        return vj_fail(err, -ENOENT,
                       "%s/jpeg: no source has its files SRC..._JPEG_001.jpg and _100.jpg, needed "
                       "to tell whether the index means QF or 101 - QF; restore the folder",
                       k->root);
    snprintf(info->axis, sizeof(info->axis), "index = QF assumed: no JPEG files there to tell");
    return 0;
}

int vj_konjnd_orient(struct konjnd *k, struct vj_dataset_info *info, struct vj_error *err)
{
    struct ladders ladders = {.count = 0};
    const bool bpg = k->half->decoded;
    const char *const plain = bpg ? "q" : "QF";
    const char *const turned = bpg ? "52 - q" : "101 - QF";
    const struct ladder *first = &ladders.of[0];
    int rc = ask_ladders(k, &ladders, err);
    if (rc)
        return rc;
    if (!ladders.count && ladders.unreadable.code)
        return vj_fail(err, ladders.unreadable.code, "%s; nor can any other source's files tell",
                       ladders.unreadable.text);
    if (!ladders.count)
        return no_ladder(k, info, err);
    for (size_t i = 1; i < ladders.count; i++)
        if (ladders.of[i].reversed != first->reversed)
            return vj_fail(err, -EINVAL,
                           "%s/%s: the index means %s for one of %s and %s, and %s for the other; "
                           "the files are mixed up",
                           k->root, k->half->folder, plain, first->row->name,
                           ladders.of[i].row->name, turned);
    k->reversed = first->reversed;
    if (bpg)
        snprintf(info->axis, sizeof(info->axis),
                 "level = 52 - q, q 1 to 3 are level 49; index = %s by equal files of %zu "
                 "ladder(s): %s",
                 k->reversed ? turned : plain, ladders.count, first->found);
    else
        snprintf(info->axis, sizeof(info->axis),
                 "index = %s by the quantisation tables of %zu ladder(s): %s",
                 k->reversed ? turned : plain, ladders.count, first->found);
    return 0;
}
