/* SPDX-License-Identifier: MIT */
#include "host/ranges.h"

#include <errno.h>
#include <stdlib.h>

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

/* Once per range, not once per number: a range may hold a million. */
static bool any_within(const int *list, size_t count, int first, int last)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] >= first && list[i] <= last)
            return true;
    return false;
}

bool vj_ranges_parse(const char *text, int min, int max, int *list, size_t *count)
{
    *count = 0;
    for (;;) {
        int first, last;
        if (!next_number(&text, min, max, &first))
            return false;
        last = first;
        if (*text == '-') {
            text++;
            if (!next_number(&text, min, max, &last) || last < first)
                return false;
        }
        if (any_within(list, *count, first, last))
            return false;
        for (int n = first; n <= last; n++)
            list[(*count)++] = n;
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
}
