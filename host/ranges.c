/* SPDX-License-Identifier: MIT */
#include "host/ranges.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "host/checked.h"

static bool next_number(const char **text, int min, int max, int *number)
{
    char *end;
    errno = 0;
    long n = strtol(*text, &end, 10);
    if (end == *text || errno || n < min || n > max)
        return false;
    *text = end;
    *number = (int)n;
    return true;
}

static bool next_range(const char **text, int min, int max, struct vj_range *range)
{
    if (!next_number(text, min, max, &range->first))
        return false;
    range->last = range->first;
    if (**text != '-')
        return true;
    (*text)++;
    return next_number(text, min, max, &range->last) && range->last >= range->first;
}

static int compare_firsts(const void *a, const void *b)
{
    const struct vj_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static bool sort_apart(struct vj_ranges *ranges)
{
    qsort(ranges->range, ranges->count, sizeof(*ranges->range), compare_firsts);
    for (size_t i = 1; i < ranges->count; i++)
        if (ranges->range[i].first <= ranges->range[i - 1].last)
            return false;
    return true;
}

static bool fill(struct vj_ranges *ranges, const char *text, int min, int max)
{
    while (next_range(&text, min, max, &ranges->range[ranges->count])) {
        ranges->count++;
        if (*text == '\0')
            return sort_apart(ranges);
        if (*text++ != ',')
            return false;
    }
    return false;
}

int vj_ranges_parse(struct vj_ranges *ranges, const char *text, int min, int max)
{
    size_t room = 1;
    for (const char *c = text; *c; c++)
        room += *c == ',';
    *ranges = (struct vj_ranges){.range = vj_calloc(room, sizeof(*ranges->range))};
    if (!ranges->range)
        return -ENOMEM;
    if (fill(ranges, text, min, max))
        return 0;
    vj_ranges_free(ranges);
    return -EINVAL;
}

int vj_ranges_of_items(struct vj_ranges *ranges, const char *text, const char *option,
                       struct vj_error *err)
{
    *ranges = (struct vj_ranges){0};
    int r = text[0] ? vj_ranges_parse(ranges, text, 0, INT_MAX) : 0;
    if (r == -ENOMEM)
        return vj_fail(err, r, "out of memory");
    return r ? vj_fail(err, r, "option %s: '%s' is not a list of different numbers such as 5-8,10",
                       option, text)
             : 0;
}

/* The range that holds the number, or NULL. */
static struct vj_range *find(const struct vj_ranges *ranges, int number)
{
    size_t low = 0, high = ranges->count; /* the range sought, if any, lies in [low, high) */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (number < ranges->range[middle].first)
            high = middle;
        else if (number > ranges->range[middle].last)
            low = middle + 1;
        else
            return &ranges->range[middle];
    }
    return NULL;
}

bool vj_ranges_has(const struct vj_ranges *ranges, int number)
{
    return find(ranges, number) != NULL;
}

bool vj_ranges_meet(struct vj_ranges *ranges, int number)
{
    struct vj_range *range = find(ranges, number);
    if (range)
        range->met = true;
    return range != NULL;
}

int vj_ranges_check_met(const struct vj_ranges *ranges, const char *text, const char *option,
                        struct vj_error *err)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const struct vj_range *range = &ranges->range[i];
        if (!range->met && range->first == range->last)
            return vj_fail(err, -EINVAL, "option %s = %s: no picture has the number %d", option,
                           text, range->first);
        if (!range->met)
            return vj_fail(err, -EINVAL, "option %s = %s: no picture has a number of %d to %d",
                           option, text, range->first, range->last);
    }
    return 0;
}

void vj_ranges_free(struct vj_ranges *ranges)
{
    free(ranges->range);
    *ranges = (struct vj_ranges){0};
}
