/* SPDX-License-Identifier: MIT */
/* The pictures that made trained weights, in memory and in the weight file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/h5.h"
#include "host/weights.h"
#include "host/weights_h5.h"

#define DATASET "trained_pictures"

enum { DIGITS = VJ_SHA256_HEX - 1, PICTURES_MAX = 10000000 };

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

void vj_seen_sort(struct vj_seen *s)
{
    size_t kept = 0;
    if (s->count == 0)
        return;
    qsort(s->picture, s->count, sizeof(*s->picture), compare);
    for (size_t i = 0; i < s->count; i++)
        if (kept == 0 || strcmp(s->picture[kept - 1], s->picture[i]) != 0)
            memmove(s->picture[kept++], s->picture[i], sizeof(*s->picture));
    s->count = kept;
}

bool vj_seen_has(const struct vj_seen *s, const char *digest)
{
    return s->count > 0 &&
           bsearch(digest, s->picture, s->count, sizeof(*s->picture), compare) != NULL;
}

int vj_seen_copy(struct vj_seen *to, const struct vj_seen *from, struct vj_error *err)
{
    vj_seen_free(to);
    if (from->count == 0)
        return 0;
    to->picture = vj_calloc(from->count, sizeof(*to->picture));
    if (!to->picture)
        return vj_fail(err, -ENOMEM, "out of memory for %zu digests", from->count);
    memcpy(to->picture, from->picture, from->count * sizeof(*to->picture));
    to->count = from->count;
    return 0;
}

void vj_seen_free(struct vj_seen *s)
{
    free(s->picture);
    *s = (struct vj_seen){0};
}

/* Digests in memory end in NUL, in the file they need none. */
static hid_t text_type(size_t size, H5T_str_t padding)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    H5Tset_strpad(type, padding);
    return type;
}

int vj_seen_write(hid_t file, const struct vj_seen *s, struct vj_error *err)
{
    hsize_t dim = s->count;
    if (s->count == 0)
        return 0;
    hid_t stored = text_type(DIGITS, H5T_STR_NULLPAD);
    hid_t held = text_type(VJ_SHA256_HEX, H5T_STR_NULLTERM);
    hid_t space = H5Screate_simple(1, &dim, NULL);
    hid_t set = H5Dcreate2(file, DATASET, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int r = 0;
    if (set < 0 || H5Dwrite(set, held, H5S_ALL, H5S_ALL, H5P_DEFAULT, s->picture) < 0)
        r = vj_h5_fail(err, "dataset " DATASET " cannot be written");
    if (!r)
        r = vj_h5_write_text(set, "description",
                             "SHA-256 of width, height and RGB samples of every picture that "
                             "trained or validated the weights, or those that they started from",
                             err);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    H5Tclose(held);
    H5Tclose(stored);
    return r;
}

static int check_dataset(hid_t set, const struct vj_h5_info *info, struct vj_error *err)
{
    hid_t type = H5Dget_type(set);
    bool digests = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tget_size(type) == DIGITS &&
                   H5Tis_variable_str(type) == 0;
    if (type >= 0)
        H5Tclose(type);
    if (!digests || info->rank != 1 || !info->is_plain || info->dims[0] > PICTURES_MAX)
        return vj_fail(err, -EINVAL,
                       "dataset " DATASET " is not a contiguous list of at most %d texts of %d "
                       "characters",
                       PICTURES_MAX, DIGITS);
    return 0;
}

static int read_digests(hid_t set, struct vj_seen *s, struct vj_error *err)
{
    hid_t held = text_type(VJ_SHA256_HEX, H5T_STR_NULLTERM);
    int r = 0;
    if (H5Dread(set, held, H5S_ALL, H5S_ALL, H5P_DEFAULT, s->picture) < 0)
        r = vj_h5_fail(err, "dataset " DATASET " cannot be read");
    H5Tclose(held);
    for (size_t i = 0; !r && i < s->count; i++)
        if (strspn(s->picture[i], "0123456789abcdef") != DIGITS || s->picture[i][DIGITS] != '\0')
            r = vj_fail(err, -EINVAL,
                        "dataset " DATASET ": entry %zu is not a SHA-256 of %d lower-case "
                        "hexadecimal digits",
                        i + 1, DIGITS);
    return r;
}

int vj_seen_read(hid_t file, struct vj_seen *s, struct vj_error *err)
{
    struct vj_h5_info info;
    hid_t set;
    if (H5Lexists(file, DATASET, H5P_DEFAULT) <= 0)
        return 0;
    int r = vj_h5_dataset_open(&set, file, DATASET, &info, err);
    if (r)
        return r;
    r = check_dataset(set, &info, err);
    if (!r && info.dims[0] > 0) {
        s->picture = vj_calloc(info.dims[0], sizeof(*s->picture));
        s->count = s->picture ? info.dims[0] : 0;
        r = s->picture ? read_digests(set, s, err) : vj_fail(err, -ENOMEM, "out of memory");
    }
    H5Dclose(set);
    vj_seen_sort(s);
    return r;
}
