/* SPDX-License-Identifier: MIT */
/* Small trees of files in the layouts of the data sets, built by the tests themselves. */
#ifndef VJ_TESTS_DATASETS_TREE_H
#define VJ_TESTS_DATASETS_TREE_H

#include "tests/vj_test.h"

#include <errno.h>
#include <sys/stat.h>

#include "datasets/dataset.h"

/* Makes the folders above the last '/' of an absolute path. */
static inline void tree_make_parents(const char *path)
{
    char part[4096];
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            fail_msg("cannot make %s", part);
    }
}

/* Writes ROOT/<name>, with the folders above it. */
static inline void tree_write_bytes(const char *root, const char *name, const void *data,
                                    size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    tree_make_parents(path);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        fail_msg("cannot write %s", path);
}

static inline void tree_write(const char *root, const char *name, const char *text)
{
    tree_write_bytes(root, name, text, strlen(text));
}

static inline void tree_remove(const char *root, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    if (remove(path) != 0)
        fail_msg("cannot remove %s", path);
}

/* "ROOT/name" in a static buffer. */
static inline const char *tree_path(const char *root, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static inline struct vj_dataset *open_or_fail(const char *name,
                                              const struct vj_dataset_options *opt)
{
    struct vj_dataset *ds;
    struct vj_error err = {0};
    if (vj_dataset_open(&ds, name, opt, &err))
        fail_msg("%s: %s", name, err.text);
    return ds;
}

/* Opening must fail with this text (and code, unless 0). */
static inline void expect_refusal(const char *name, const struct vj_dataset_options *opt, int code,
                                  const char *text)
{
    struct vj_dataset *ds;
    struct vj_error err = {0};
    int rc = vj_dataset_open(&ds, name, opt, &err);
    if (rc == 0)
        fail_msg("%s opened, though \"%s\" was expected", name, text);
    assert_null(ds);
    assert_int_equal(rc, err.code);
    if (code)
        assert_int_equal(rc, code);
    vj_assert_contains(err.text, text);
}

static inline void get_item(const struct vj_dataset *ds, size_t index, struct vj_item *item)
{
    struct vj_error err = {0};
    if (vj_dataset_item(ds, index, item, &err))
        fail_msg("item %zu: %s", index, err.text);
}

/* Item `index` must be broken with this text. */
static inline void expect_broken(const struct vj_dataset *ds, size_t index, const char *text)
{
    struct vj_item item;
    get_item(ds, index, &item);
    assert_true(item.status < 0);
    assert_non_null(item.error);
    vj_assert_contains(item.error, text);
    assert_non_null(item.name);
    vj_item_free(&item);
}

static inline size_t count_broken(const struct vj_dataset *ds)
{
    size_t broken = 0;
    for (size_t i = 0; i < vj_dataset_count(ds); i++) {
        struct vj_item item;
        get_item(ds, i, &item);
        broken += item.status != 0;
        assert_true((item.status != 0) == (item.error != NULL));
        vj_item_free(&item);
    }
    return broken;
}

#endif
