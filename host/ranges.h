/* SPDX-License-Identifier: MIT */
/* Sets of whole numbers as people write them: "1,35,90-100". */
#ifndef VJ_HOST_RANGES_H
#define VJ_HOST_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"

struct vj_range {
    int first, last; /* first <= last */
    bool met;        /* vj_ranges_meet() was asked for one of them */
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

/*
 * The same for an option that lists numbers of items; "" lists none.
 * Errors: name the option and its text.
 */
int vj_ranges_of_items(struct vj_ranges *ranges, const char *text, const char *option,
                       struct vj_error *err);

bool vj_ranges_has(const struct vj_ranges *ranges, int number);

/* The same, and remembers that there is an item of this number. */
bool vj_ranges_meet(struct vj_ranges *ranges, int number);

/* -EINVAL, naming it, when none of a range's numbers was met: a slip of the pen stays no secret. */
int vj_ranges_check_met(const struct vj_ranges *ranges, const char *text, const char *option,
                        struct vj_error *err);

void vj_ranges_free(struct vj_ranges *ranges);

#endif
