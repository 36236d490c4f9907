/* SPDX-License-Identifier: MIT */
/* Ascending order of ints, for qsort(). */
#ifndef VJ_HOST_INT_ORDER_H
#define VJ_HOST_INT_ORDER_H

static inline int vj_compare_ints(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

#endif
