/* SPDX-License-Identifier: MIT */
/*
 * File names with a number in them. For the key "qf", the placeholder {qf} stands for 7, 70, 100,
 * and {qf:03d} for 007, 070, 100 (any width 1..9). A placeholder may occur more than once; other
 * braces are not allowed.
 */
#ifndef VJ_DATASETS_PATTERN_H
#define VJ_DATASETS_PATTERN_H

#include <stddef.h>

#include "host/error.h"

/* Length of the placeholder at `p` and its width; 0 when there is none. */
size_t vj_pattern_placeholder(const char *p, const char *key, int *width);

/*
 * Checks that a pattern has a placeholder and no other brace.
 * what: what errors call the pattern, e.g. the column or option it comes from
 * Errors: -EINVAL.
 */
int vj_pattern_check(const char *pattern, const char *key, const char *what, struct vj_error *err);

/*
 * Writes the pattern with `number` in its placeholders, `size` bytes with the NUL at most.
 * Errors: -ENAMETOOLONG.
 */
int vj_pattern_expand(char *path, size_t size, const char *pattern, const char *key, int number,
                      const char *what, struct vj_error *err);

#endif
