/* SPDX-License-Identifier: MIT */
/* What every unit test includes first: cmocka with its prerequisites, and where the data lie. */
#ifndef VJ_TESTS_VJ_TEST_H
#define VJ_TESTS_VJ_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "<folder>/name" in a static buffer; VJ_TEST_DATA in the environment wins over the build's. */
static inline const char *vj_test_data(const char *name)
{
    static char path[4096];
    const char *root = getenv("VPJND_TEST_DATA");
    snprintf(path, sizeof(path), "%s/%s", root ? root : VJ_TEST_DATA, name);
    return path;
}

/* Skips the running test, with a reason, when the optional real test data has no such file. */
static inline void vj_require_data(const char *name)
{
    if (access(vj_test_data(name), R_OK) != 0) {
        print_message("skipped: no %s in the optional test data\n", name);
        skip();
    }
}

/* Fails unless `text` contains `part`; prints both. */
static inline void vj_assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        print_error("expected \"%s\" in \"%s\"\n", part, text);
        fail();
    }
}

/* Fails unless low <= value <= high, none of them negative; cmocka 2 has other names for that. */
#define vj_assert_in_range(value, low, high)                                                       \
    vj_assert_in_range_at((uintmax_t)(value), (uintmax_t)(low), (uintmax_t)(high), #value,         \
                          __FILE__, __LINE__)

static inline void vj_assert_in_range_at(uintmax_t value, uintmax_t low, uintmax_t high,
                                         const char *text, const char *file, int line)
{
    if (value < low || value > high) {
        print_error("%s is %ju, not %ju to %ju\n", text, value, low, high);
        _fail(file, line);
    }
}

/* Number of entries in a folder, hidden ones included. */
static inline int vj_test_entries(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2; /* itself and its parent */
}

/* A fresh folder below $TMPDIR, removed by nobody but vj_test_rmdir(). Caller frees the string. */
static inline char *vj_test_mkdir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/vpjnd-test-XXXXXX", tmp ? tmp : "/tmp") < 0 || !mkdtemp(path))
        fail_msg("cannot make a temporary folder");
    return path;
}

static inline void vj_test_rmdir(char *path)
{
    char command[4200];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    if (system(command) != 0)
        print_message("could not remove %s\n", path);
    free(path);
}

#endif
