/* SPDX-License-Identifier: MIT */
#include "host/train_pairs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"
#include "host/patch_place.h"
#include "host/rng.h"

enum { INDEX_SIDE = 4096, INDEX_SHIFT = 4097, INDEX_QF = 5000, INDEX_JND = 8192 };

static const uint64_t epoch_stream = UINT64_C(1) << 63;

static int compare_keys(const void *a, const void *b)
{
    const struct vj_pair_key *x = a, *y = b;
    if (x->word != y->word)
        return x->word < y->word ? -1 : 1;
    return (x->picture > y->picture) - (x->picture < y->picture);
}

int vj_pair_order_open(struct vj_pair_order *o, uint64_t seed, size_t pictures,
                       struct vj_error *err)
{
    *o = (struct vj_pair_order){.seed = seed, .pictures = pictures};
    if (pictures < 1 || pictures > (size_t)1 << 24)
        return vj_fail(err, -EINVAL, "%zu pictures to train with; 1 to %zu can be", pictures,
                       (size_t)1 << 24);
    o->order = vj_calloc(pictures, sizeof(*o->order));
    return o->order ? 0 : vj_fail(err, -ENOMEM, "out of memory for %zu pictures", pictures);
}

void vj_pair_order_close(struct vj_pair_order *o)
{
    free(o->order);
    *o = (struct vj_pair_order){0};
}

static void shuffle(struct vj_pair_order *o, uint64_t epoch)
{
    for (size_t i = 0; i < o->pictures; i++) {
        const struct vj_u32x4 word =
            vj_random4(o->seed, VJ_RNG_PAIRS, epoch | epoch_stream, (uint32_t)i);
        o->order[i] = (struct vj_pair_key){word.v[0], (uint32_t)i};
    }
    qsort(o->order, o->pictures, sizeof(*o->order), compare_keys);
    o->epoch = epoch;
    o->known = true;
}

size_t vj_pair_picture(struct vj_pair_order *o, uint64_t element)
{
    const uint64_t epoch = element / o->pictures;
    if (!o->known || o->epoch != epoch)
        shuffle(o, epoch);
    return o->order[element % o->pictures].picture;
}

int vj_pair_level(uint64_t seed, uint64_t element, int levels)
{
    struct vj_u32x4 word = vj_random4(seed, VJ_RNG_PAIRS, element, INDEX_SIDE);
    return (int)vj_random_below(word.v[1], (uint32_t)levels);
}

/* Distance 0..n - 1 to the boundary: floor(exp(u log(n + 1))) - 1, u uniform in (0, 1). */
static int log_distance(uint32_t word, int n)
{
    int d = (int)floor(exp(vj_random_unit(word) * log(n + 1))) - 1;
    return d < n ? d : n - 1;
}

float vj_pair_target(int qf, int boundary, double spread)
{
    const double above = boundary + 0.5 - qf;
    if (spread == 0)
        return above > 0 ? 1.0f : 0.0f;
    return (float)(0.5 * erfc(-above / (spread * M_SQRT2)));
}

int vj_pair_qf(uint64_t seed, uint64_t element, size_t l, enum vj_pair_sampling sampling, int first,
               int last, int boundary)
{
    const struct vj_u32x4 word = vj_random4(seed, VJ_RNG_PAIRS, element, INDEX_QF + (uint32_t)l);
    if (sampling == VJ_PAIRS_UNIFORM)
        return first + (int)vj_random_below(word.v[0], (uint32_t)(last - first + 1));
    const int at = boundary < first ? first - 1 : boundary < last ? boundary : last;
    const int lossy = at - first + 1, lossless = last - at;
    const struct vj_u32x4 side = vj_random4(seed, VJ_RNG_PAIRS, element, INDEX_SIDE);
    bool low = ((side.v[0] >> 31) ^ (uint32_t)(l & 1)) != 0;
    if (lossy <= 0)
        low = false;
    if (lossless <= 0)
        low = true;
    const int n = low ? lossy : lossless;
    const int d = sampling == VJ_PAIRS_BALANCED ? (int)vj_random_below(word.v[0], (uint32_t)n)
                                                : log_distance(word.v[0], n);
    return low ? at - d : at + 1 + d;
}

static void place_uniform(int32_t origin[2], struct vj_u32x4 word, size_t width, size_t height,
                          size_t side)
{
    origin[0] = (int32_t)vj_random_below(word.v[0], (uint32_t)(height - side + 1));
    origin[1] = (int32_t)vj_random_below(word.v[1], (uint32_t)(width - side + 1));
}

struct vj_pair_patch vj_pair_place(uint64_t seed, uint64_t element, size_t p, size_t width,
                                   size_t height, size_t side, unsigned flags)
{
    const struct vj_u32x4 word = vj_random4(seed, VJ_RNG_PAIRS, element, (uint32_t)p);
    const struct vj_u32x4 own = vj_random4(seed, VJ_RNG_PAIRS, element, INDEX_JND + (uint32_t)p);
    const struct vj_u32x4 shift = vj_random4(seed, VJ_RNG_PAIRS, element, INDEX_SHIFT);
    struct vj_pair_patch patch = {
        .mirror_x = (flags & VJ_PLACE_FLIP) && ((word.v[2] >> 30) & 1),
        .mirror_y = (flags & VJ_PLACE_FLIP) && (word.v[2] >> 31),
    };
    if (flags & VJ_PLACE_EVEN) {
        vj_place_even(patch.origin, shift.v, (uint32_t)p, width, height, side);
        vj_place_even(patch.jnd_origin, shift.v + 2, (uint32_t)p, width, height, side);
    } else {
        place_uniform(patch.origin, word, width, height, side);
        place_uniform(patch.jnd_origin, own, width, height, side);
    }
    if (!(flags & VJ_PLACE_INDEPENDENT))
        memcpy(patch.jnd_origin, patch.origin, sizeof(patch.origin));
    return patch;
}
