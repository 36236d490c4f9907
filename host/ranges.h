/* SPDX-License-Identifier: MIT */
/* Sets of whole numbers as people write them: "1,35,90-100". */
#ifndef VJ_HOST_RANGES_H
#define VJ_HOST_RANGES_H

#include <stdbool.h>
#include <stddef.h>

struct vj_range {
    int first, last; /* first <= last */
};

struct vj_ranges {
    struct vj_range *range; /* ascending, none meets another; owned */
    size_t count;
};

/*
 * ranges: what the text lists, in whatever order; nothing on failure
 * Errors: -EINVAL unless every number lies in min..max, no number comes twice and each range
 * ascends; -ENOMEM.
 */
int vj_ranges_parse(struct vj_ranges *ranges, const char *text, int min, int max);

bool vj_ranges_has(const struct vj_ranges *ranges, int number);

void vj_ranges_free(struct vj_ranges *ranges);

#endif
