/* SPDX-License-Identifier: MIT */
/* Checkpoint files of one test: where they lie, and the facts of the released one. */
#ifndef VJ_TESTS_HOST_CHECKPOINT_FILES_H
#define VJ_TESTS_HOST_CHECKPOINT_FILES_H

#include "tests/vj_test.h"

#include "tests/host/checkpoint_writer.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define AVERAGE        "/ExponentialMovingAverage"
#define RELEASED_INDEX "checkpoint/best_model.ckpt.index"

enum { RELEASED_SHARD_SIZE = 1631589876 };

/* A folder of its own, and the prefix of a checkpoint in it. */
struct place {
    char *folder;
    char prefix[4096];
};

static inline struct place place_make(void)
{
    struct place p = {.folder = vj_test_mkdir()};
    snprintf(p.prefix, sizeof(p.prefix), "%s/model.ckpt", p.folder);
    return p;
}

static inline void place_remove(struct place *p)
{
    vj_test_rmdir(p->folder);
}

static inline const char *path_of(const struct place *p, const char *suffix)
{
    static char path[4200];
    snprintf(path, sizeof(path), "%s%s", p->prefix, suffix);
    return path;
}

static inline void read_whole(struct bytes *b, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    uint8_t buffer[4096];
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), f)) > 0)
        bytes_put(b, buffer, n);
    fclose(f);
}

static inline void put_file(const struct place *p, const char *suffix, const char *contents,
                            size_t size)
{
    struct bytes b = {NULL, 0, 0};
    bytes_put(&b, contents, size);
    bytes_save(&b, path_of(p, suffix));
    bytes_free(&b);
}

#endif
