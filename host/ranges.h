/* SPDX-License-Identifier: MIT */
/* Lists of whole numbers as people write them: "1,35,90-100". */
#ifndef VJ_HOST_RANGES_H
#define VJ_HOST_RANGES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * list: filled in the order given, at most max - min + 1 numbers, which is the room it must have
 * Returns false unless every number lies in min..max, no number comes twice, and ranges ascend.
 */
bool vj_ranges_parse(const char *text, int min, int max, int *list, size_t *count);

#endif
