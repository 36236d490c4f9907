/* SPDX-License-Identifier: MIT */
#include "datasets/folds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "host/checked.h"
#include "host/rng.h"

enum { SURFEATNET_FOLDS = 10, SURFEATNET_SIZE = 5 };

static const int surfeatnet[SURFEATNET_FOLDS][SURFEATNET_SIZE] = {
    {16, 21, 35, 41, 45}, {2, 6, 9, 32, 40},    {10, 15, 29, 38, 49}, {11, 14, 22, 43, 50},
    {4, 5, 8, 13, 27},    {18, 20, 23, 24, 46}, {25, 26, 28, 30, 39}, {7, 33, 36, 47, 48},
    {12, 17, 31, 37, 44}, {1, 3, 19, 34, 42},
};

int vj_folds_parse(struct vj_folds *folds, const char *text, struct vj_error *err)
{
    *folds = (struct vj_folds){.kind = VJ_FOLDS_NONE};
    if (!text || strcmp(text, "none") == 0)
        return 0;
    if (strcmp(text, "surfeatnet10") == 0) {
        *folds = (struct vj_folds){.kind = VJ_FOLDS_SURFEATNET10, .count = SURFEATNET_FOLDS};
        return 0;
    }
    if (strcmp(text, "manifest") == 0) {
        folds->kind = VJ_FOLDS_MANIFEST;
        return 0;
    }
    static const char random[] = "random:";
    if (strncmp(text, random, sizeof(random) - 1) != 0)
        return vj_fail(err, -EINVAL,
                       "folds: unknown value '%s'; known are none, surfeatnet10, random:K (K "
                       "folds, e.g. random:5), manifest",
                       text);
    const char *digits = text + sizeof(random) - 1;
    size_t length = strlen(digits);
    long k = 0;
    if (length >= 1 && length <= 4 && strspn(digits, "0123456789") == length)
        k = strtol(digits, NULL, 10);
    if (k < 2 || k > VJ_FOLDS_MAX)
        return vj_fail(err, -EINVAL, "folds: '%s': the number of folds must be 2..%d", text,
                       VJ_FOLDS_MAX);
    *folds = (struct vj_folds){.kind = VJ_FOLDS_RANDOM, .count = (int)k};
    return 0;
}

int vj_folds_surfeatnet(int source)
{
    for (int f = 0; f < SURFEATNET_FOLDS; f++)
        for (int i = 0; i < SURFEATNET_SIZE; i++)
            if (surfeatnet[f][i] == source)
                return f + 1;
    return VJ_FOLD_NONE;
}

struct draw {
    uint64_t key;
    const char *name;
    size_t index;
};

static int compare_draws(const void *a, const void *b)
{
    const struct draw *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return strcmp(x->name, y->name);
}

int vj_folds_random(int *fold, char *const *names, size_t count, int k, uint64_t seed,
                    struct vj_error *err)
{
    if (k < 1 || (size_t)k > count)
        return vj_fail(err, -EINVAL,
                       "folds: %d folds for %zu images; every fold needs one, ask for fewer", k,
                       count);
    struct draw *draws = vj_calloc(count, sizeof(*draws));
    if (!draws)
        return vj_fail(err, -ENOMEM, "folds: out of memory for %zu images", count);
    for (size_t i = 0; i < count; i++) {
        struct vj_u32x4 r = vj_random4(seed, VJ_RNG_FOLDS, vj_name_hash(names[i]), 0);
        draws[i].key = (uint64_t)r.v[0] << 32 | r.v[1];
        draws[i].name = names[i];
        draws[i].index = i;
    }
    qsort(draws, count, sizeof(*draws), compare_draws);
    for (size_t rank = 0; rank < count; rank++)
        fold[draws[rank].index] = (int)(rank % (size_t)k) + 1;
    free(draws);
    return 0;
}
