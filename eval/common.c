/* SPDX-License-Identifier: MIT */
#include "eval/common.h"

#include <errno.h>
#include <stdlib.h>

#include "host/checked.h"

static int compare_int32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int vj_list_folds(int32_t **list, size_t *folds, const int32_t *fold, size_t count,
                  struct vj_error *err)
{
    *folds = 0;
    *list = vj_calloc(count, sizeof(**list));
    if (!*list)
        return vj_fail(err, -ENOMEM, "out of memory for the folds of %zu images", count);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (vj_fold_of(fold, i) >= 0)
            (*list)[n++] = fold[i];
    }
    qsort(*list, n, sizeof(**list), compare_int32);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || (*list)[i] != (*list)[i - 1])
            (*list)[(*folds)++] = (*list)[i];
    }
    return 0;
}
