/* SPDX-License-Identifier: MIT */
/* Memory of the CUDA device: layout, formula, limits. Plain C, no GPU. */
#include "tests/vj_test.h"

#include <errno.h>

#include "cuda/geometry.h"
#include "cuda/plan.h"
#include "host/ssimulacra2_score.h"

static const struct vj_jnd_model model = {.name = "any"};
static const struct vj_weights network = {.shape.variant = VJ_VARIANT_FIGURE};
static const struct vj_weights *const weights[2] = {&network, &network};

/* 1080p, 100 quality factors, 64 patches: the run of the performance target. */
static struct vj_device_plan full_plan(void)
{
    struct vj_device_plan p = {
        .max_width = 1920,
        .max_height = 1080,
        .slots = 3,
        .threads = 8,
        .levels = 100,
        .sampling = VJ_SUBSAMPLING_420,
        .quality = VJ_QUALITY_ALL,
        .ssimulacra2 = VJ_SSIMULACRA2_EXACT,
        .jnd_count = 2,
        .net_jnd = 1,
        .weights = weights,
        .weights_count = 1,
        .patches = 64,
        .draws = 1,
        .patch_size = 128,
    };
    p.jnd[0].model = p.jnd[1].model = &model;
    p.jnd_share[0] = true;
    p.jnd_excess[0] = p.jnd_excess[1] = true;
    p.jnd_noise[1] = true;
    return p;
}

static struct vj_cuda_sizes make(const struct vj_device_plan *plan)
{
    struct vj_cuda_sizes s;
    struct vj_error err = {0};
    if (vj_cuda_sizes_make(&s, plan, &err))
        fail_msg("%s", err.text);
    return s;
}

static void numbers_follow_from_the_plan(void **state)
{
    (void)state;
    struct vj_device_plan p = full_plan();
    struct vj_cuda_sizes s = make(&p);
    assert_int_equal(s.pixels, 2073600);
    assert_int_equal(s.picture, 6220800);
    assert_int_equal(s.patch, 49152);
    assert_int_equal(s.positions, 64);
    assert_int_equal(s.ring, 21); /* 134,217,728 / 6,220,800 = 21.6 */
    assert_int_equal(s.rows, 320);
    assert_int_equal(s.rules, 4);
    assert_int_equal(s.noises, 1);
    p.levels = 7;
    assert_int_equal(make(&p).ring, 7);
    p.max_width = p.max_height = 20000; /* one picture exceeds the limit: still one at a time */
    assert_int_equal(make(&p).ring, 1);
}

static void batches_hold_whole_pictures_or_equal_parts_of_one(void **state)
{
    (void)state;
    static const size_t cases[][2] = {{1, 100},   {3, 300},   {4, 200},   {32, 320},  {36, 180},
                                      {64, 320},  {100, 200}, {160, 320}, {255, 255}, {320, 320},
                                      {321, 161}, {512, 256}, {4096, 316}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(vj_cuda_rows(cases[i][0]), cases[i][1]);
    for (size_t n = 1; n <= 4096; n++) {
        size_t rows = vj_cuda_rows(n);
        vj_assert_in_range(rows, 1, VJ_CUDA_ROWS);
        size_t batches = (n + rows - 1) / rows;
        if (n <= VJ_CUDA_ROWS)
            assert_int_equal(100 * n % rows, 0); /* a picture's candidates fill every batch */
        else
            vj_assert_in_range(batches * rows - n, 0, batches - 1); /* less than a row per batch */
    }
}

/* ---- layout ---- */

struct region {
    const char *name;
    size_t first, bytes;
};

static void add(struct region *list, size_t *n, const char *name, const void *p, size_t bytes)
{
    if (!p)
        fail_msg("%s has no place", name);
    list[(*n)++] = (struct region){name, (size_t)(const uint8_t *)p, bytes};
}

/* Every region on a 256-byte boundary, within the whole, none over another. */
static void check_regions(const struct region *list, size_t n, const uint8_t *base, size_t total)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = list[i].first - (size_t)base;
        if (at % 256 || at > total || list[i].bytes > total - at)
            fail_msg("%s lies at %zu, %zu bytes of %zu", list[i].name, at, list[i].bytes, total);
        for (size_t k = 0; k < i; k++)
            if (list[k].first < list[i].first + list[i].bytes &&
                list[i].first < list[k].first + list[k].bytes)
                fail_msg("%s and %s overlap", list[k].name, list[i].name);
        sum += (list[i].bytes + 255) / 256 * 256;
    }
    assert_int_equal(sum, total); /* nothing else is in there */
}

static void check_buffers(const struct vj_device_plan *p)
{
    struct vj_cuda_sizes s = make(p);
    struct vj_cuda_slot_buffers b;
    struct region list[64];
    size_t n = 0, levels = (size_t)p->levels, patches = (size_t)p->patches;
    size_t total = vj_cuda_slot_buffers_place(&s, NULL, &b);
    assert_null(b.source);
    uint8_t *base = aligned_alloc(256, (total + 255) / 256 * 256);
    assert_non_null(base);
    assert_int_equal(vj_cuda_slot_buffers_place(&s, base, &b), total);
    add(list, &n, "source", b.source, s.picture);
    add(list, &n, "reference", b.reference, s.picture);
    add(list, &n, "bytes", b.bytes, levels * 8);
    if (p->quality)
        add(list, &n, "sums", b.sums, levels * sizeof(struct vj_cuda_quality_sums));
    if (p->ssimulacra2)
        add(list, &n, "totals", b.totals, levels * sizeof(struct vj_ssimulacra2_totals));
    else
        assert_null(b.totals);
    if (p->jnd_count)
        add(list, &n, "jnd_luma", b.jnd_luma, s.pixels);
    if (s.rules)
        add(list, &n, "luma", b.luma, s.pixels);
    for (size_t i = 0; i < p->jnd_count; i++) {
        add(list, &n, "map", b.map[i], s.pixels * 4);
        if (p->jnd_share[i])
            add(list, &n, "share", b.share[i], levels * 8);
        else
            assert_null(b.share[i]);
        if (p->jnd_excess[i])
            add(list, &n, "excess", b.excess[i], levels * 8);
        if (p->jnd_noise[i])
            add(list, &n, "square", b.square[i], levels * 8);
        else
            assert_null(b.square[i]);
    }
    if (s.noises)
        add(list, &n, "noise_energy", b.noise_energy, 8 * VJ_DEVICE_JND_MAX);
    else
        assert_null(b.noise_energy);
    if (p->weights_count) {
        add(list, &n, "map8", b.map8, s.pixels);
        add(list, &n, "not_finite", b.not_finite, 4);
        add(list, &n, "origin", b.origin, s.positions * 8);
        add(list, &n, "jnd_origin", b.jnd_origin, s.positions * 8);
        add(list, &n, "patches_reference", b.patches_reference, s.positions * s.patch);
        add(list, &n, "patches_jnd", b.patches_jnd, s.positions * s.patch / 3);
        add(list, &n, "patches", b.patches, s.positions * levels * s.patch);
        add(list, &n, "score", b.score, levels * 4);
        add(list, &n, "quality", b.quality, levels * patches * 4);
        add(list, &n, "weight", b.weight, levels * patches * 4);
    } else {
        assert_null(b.patches);
        assert_null(b.map8);
    }
    check_regions(list, n, base, total);
    free(base);
}

static void check_staging(const struct vj_device_plan *p)
{
    struct vj_cuda_sizes s = make(p);
    struct vj_cuda_slot_staging h;
    struct region list[8];
    size_t n = 0, total = vj_cuda_slot_staging_place(&s, NULL, &h);
    uint8_t *base = aligned_alloc(256, (total + 255) / 256 * 256);
    assert_non_null(base);
    assert_int_equal(vj_cuda_slot_staging_place(&s, base, &h), total);
    add(list, &n, "source", h.source, s.picture);
    add(list, &n, "reference", h.reference, s.picture);
    if (p->weights_count) {
        add(list, &n, "origin", h.origin, s.positions * 8);
        add(list, &n, "jnd_origin", h.jnd_origin, s.positions * 8);
        add(list, &n, "not_finite", h.not_finite, 4);
    }
    if (s.noises)
        add(list, &n, "noise_energy", h.noise_energy, 8 * VJ_DEVICE_JND_MAX);
    add(list, &n, "results", h.results, s.result_bytes);
    check_regions(list, n, base, total);
    free(base);
}

static void buffers_lie_apart_on_boundaries_and_fill_the_allocation(void **state)
{
    (void)state;
    struct vj_device_plan p = full_plan();
    p.max_width = 333;
    p.max_height = 217;
    p.levels = 9;
    p.patch_size = 48;
    for (size_t jnd = 0; jnd <= 2; jnd++)
        for (size_t networks = 0; networks <= (jnd == 2 ? 2 : 0); networks++)
            for (int quality = 0; quality <= VJ_QUALITY_ALL; quality += VJ_QUALITY_ALL) {
                p.jnd_count = jnd;
                p.weights_count = networks;
                p.quality = quality;
                p.ssimulacra2 = quality ? VJ_SSIMULACRA2_PARITY : VJ_SSIMULACRA2_OFF;
                p.draws = 3;
                check_buffers(&p);
                check_staging(&p);
            }
}

/* ---- results ---- */

static void results_of_two_rounds_fit(void **state)
{
    (void)state;
    struct vj_device_plan p = full_plan();
    p.weights_count = 2;
    p.draws = 3;
    struct vj_cuda_sizes s = make(&p);
    struct vj_cuda_results results = {.size = s.result_bytes, .most = s.results};
    size_t offset, end = 0;
    for (int round = 0; round < 2; round++)
        for (int call = 0; call < 1 + 2 * 3; call++) {
            size_t bytes = call ? vj_cuda_score_result_bytes(&s, p.levels)
                                : vj_cuda_candidate_result_bytes(&s, p.levels);
            assert_true(vj_cuda_results_take(&results, bytes, &offset));
            assert_int_equal(offset % 64, 0);
            assert_int_equal(offset, end);
            end = offset + bytes;
        }
    assert_int_equal(end, s.result_bytes);
    assert_false(vj_cuda_results_take(&results, 1, &offset));
    results.count = 0;
    results.used = 0;
    assert_true(vj_cuda_results_take(&results, 1, &offset));
    assert_int_equal(offset, 0);
}

static void results_hold_what_delivery_reads(void **state)
{
    (void)state;
    struct vj_device_plan p = full_plan();
    struct vj_cuda_sizes s = make(&p);
    for (int count = 1; count <= 100; count++) {
        size_t n = (size_t)count;
        vj_assert_in_range(vj_cuda_candidate_result_bytes(&s, count),
                           n * (8 + sizeof(struct vj_cuda_quality_sums) +
                                sizeof(struct vj_ssimulacra2_totals) + 4 * 8),
                           SIZE_MAX);
        vj_assert_in_range(vj_cuda_score_result_bytes(&s, count), n * (4 + 2 * 64 * 4), SIZE_MAX);
    }
}

static void many_small_results_run_out_of_records(void **state)
{
    (void)state;
    struct vj_cuda_results results = {.size = 1 << 20, .most = 3};
    size_t offset;
    for (int i = 0; i < 3; i++)
        assert_true(vj_cuda_results_take(&results, 8, &offset));
    assert_int_equal(offset, 128);
    assert_false(vj_cuda_results_take(&results, 8, &offset));
    results = (struct vj_cuda_results){.size = 100, .most = 3};
    assert_false(vj_cuda_results_take(&results, 101, &offset));
    assert_true(vj_cuda_results_take(&results, 100, &offset));
    assert_false(vj_cuda_results_take(&results, 1, &offset));
    assert_int_equal(results.count, 1);
}

/* ---- the formula ---- */

static size_t up(size_t n)
{
    return (n + 255) / 256 * 256;
}

static void memory_is_the_documented_formula(void **state)
{
    (void)state;
    struct vj_device_plan p = full_plan();
    struct vj_cuda_sizes s = make(&p);
    const struct vj_cuda_object_bytes objects = {1000000, 200000, 30000, 9, 4000, 500, 70};
    size_t gpu, pinned, sums = 96 + 864; /* quality, SSIMULACRA2 */
    assert_int_equal(vj_cuda_memory(&s, &objects, &gpu, &pinned, NULL), 0);
    size_t w = 1920, h = 1080, q = 100, k = 64, side = 128;
    size_t pictures = 2 * up(3 * w * h) + up(8 * q) + up(96 * q) + up(864 * q);
    size_t maps = 2 * up(w * h) + 2 * up(4 * w * h) + 4 * up(8 * q) + up(8 * VJ_DEVICE_JND_MAX);
    size_t patches = up(w * h) + up(4) + 2 * up(8 * k) + up(k * 3 * side * side) +
                     up(k * side * side) + up(q * k * 3 * side * side) + up(4 * q) +
                     2 * up(4 * q * k);
    size_t ring = 2 * 21 * 3 * w * h;
    assert_int_equal(gpu, 3 * (pictures + maps + patches + 1230009) + ring + 4500);
    size_t results =
        2 * ((q * (8 + sums + 4 * 8) + 63) / 64 * 64 + (q * (4 + 8 * k) + 63) / 64 * 64);
    assert_int_equal(pinned, 3 * (2 * up(3 * w * h) + 2 * up(8 * k) + up(4) +
                                  up(8 * VJ_DEVICE_JND_MAX) + up(results) + 70) +
                                 ring);
}

static void plans_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct vj_cuda_sizes s;
    struct vj_error err = {0};
    struct vj_device_plan p = full_plan();
    p.levels = VJ_CUDA_LEVELS + 1;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    vj_assert_contains(err.text, "102 quality factors per call: choose 1 to 101");
    p = full_plan();
    p.slots = 0;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    vj_assert_contains(err.text, "0 slots");
    p = full_plan();
    p.max_height = 0;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    p = full_plan();
    p.patches = 0;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    p = full_plan();
    p.net_jnd = 2;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    vj_assert_contains(err.text, "number 2 of 2");
}

static void only_networks_that_see_a_map_need_one(void **state)
{
    (void)state;
    static const struct vj_weights other = {.shape.variant = VJ_VARIANT_PW_JND};
    const struct vj_weights *const both[2] = {&other, &network};
    struct vj_cuda_sizes s;
    struct vj_error err = {0};
    struct vj_device_plan p = full_plan();
    p.weights = both;
    p.net_jnd = -1;
    s = make(&p);
    p.jnd_count = 0;
    s = make(&p);
    p.net_jnd = 0;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    vj_assert_contains(err.text, "number 0 of 0");
    p = full_plan();
    p.weights = both;
    p.weights_count = 2;
    s = make(&p);
    p.net_jnd = -1;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EINVAL);
    vj_assert_contains(err.text, "the networks' pixel-JND map is number -1 of 2");
}

static void numbers_beyond_the_address_space_are_refused(void **state)
{
    (void)state;
    struct vj_cuda_sizes s;
    struct vj_error err = {0};
    struct vj_device_plan p = full_plan();
    p.max_width = p.max_height = (size_t)1 << 32;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EOVERFLOW);
    vj_assert_contains(err.text, "more memory than can be addressed");
    p = full_plan();
    p.patch_size = p.patches = p.draws = 1 << 30;
    assert_int_equal(vj_cuda_sizes_make(&s, &p, &err), -EOVERFLOW);
    p = full_plan();
    s = make(&p);
    const struct vj_cuda_object_bytes objects = {.jpeg = SIZE_MAX / 3};
    size_t gpu, pinned;
    assert_int_equal(vj_cuda_memory(&s, &objects, &gpu, &pinned, &err), -EOVERFLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_follow_from_the_plan),
        cmocka_unit_test(batches_hold_whole_pictures_or_equal_parts_of_one),
        cmocka_unit_test(buffers_lie_apart_on_boundaries_and_fill_the_allocation),
        cmocka_unit_test(results_of_two_rounds_fit),
        cmocka_unit_test(results_hold_what_delivery_reads),
        cmocka_unit_test(many_small_results_run_out_of_records),
        cmocka_unit_test(memory_is_the_documented_formula),
        cmocka_unit_test(plans_that_cannot_be_are_refused),
        cmocka_unit_test(only_networks_that_see_a_map_need_one),
        cmocka_unit_test(numbers_beyond_the_address_space_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
