/* SPDX-License-Identifier: MIT */
/*
 * Training data against an oracle: everything in a batch is worked out again from whole pictures,
 * decoded one by one. What is drawn is vj_pair_...'s affair (test_train_pairs.c).
 */
#include "tests/host/train_data_rig.h"

#include <stdbool.h>

#include "host/jnd_map.h"
#include "host/jpeg_plan.h"
#include "host/quality.h"
#include "host/train_pairs.h"

/* ---- the oracle ---- */

struct oracle {
    const struct rig *rig;
    bool synthetic; /* else the manifest */
    struct vj_image source[PICTURES];
    uint8_t *candidate[PICTURES][101]; /* decoded as needed; 0: the source itself */
    uint8_t *map[PICTURES][101];       /* of the source (0) or of the candidate at a QF */
    struct vj_pair_order order;
};

static void oracle_open(struct oracle *o, const struct rig *rig)
{
    struct vj_error err = {0};
    *o = (struct oracle){.rig = rig, .synthetic = strcmp(rig->config.dataset, "synthetic") == 0};
    for (size_t i = 0; i < rig->count; i++)
        o->source[i] = o->synthetic ? paint((uint32_t)(i + 1)) : paint_for_manifest((int)i);
    assert_int_equal(vj_pair_order_open(&o->order, rig->config.seed, rig->count, &err), 0);
}

static void oracle_close(struct oracle *o)
{
    vj_pair_order_close(&o->order);
    for (int i = 0; i < PICTURES; i++) {
        vj_image_free(&o->source[i]);
        for (int q = 0; q <= 100; q++) {
            free(o->candidate[i][q]);
            free(o->map[i][q]);
        }
    }
}

static size_t samples(const struct vj_image *img)
{
    return img->width * img->height * (size_t)img->channels;
}

static const uint8_t *oracle_candidate(struct oracle *o, size_t picture, int qf)
{
    const struct vj_image *source = &o->source[picture];
    uint8_t **out = &o->candidate[picture][qf];
    struct vj_error err = {0};
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *scratch;
    enum vj_subsampling sampling =
        o->rig->config.sampling ? VJ_SUBSAMPLING_444 : VJ_SUBSAMPLING_420;
    if (*out || qf == 0)
        return qf ? *out : source->data;
    *out = malloc(samples(source));
    assert_int_equal(vj_jpeg_plan_create(&plan, source, sampling, &err), 0);
    assert_int_equal(vj_jpeg_scratch_create(&scratch, WIDTH, HEIGHT, 3, sampling, &err), 0);
    assert_int_equal(vj_jpeg_plan_decode(plan, qf, *out, scratch, &err), 0);
    vj_jpeg_scratch_free(scratch);
    vj_jpeg_plan_free(plan);
    return *out;
}

static const uint8_t *oracle_map(struct oracle *o, size_t picture, int anchor_qf)
{
    const struct vj_config *c = &o->rig->config;
    struct vj_error err = {0};
    struct vj_image img = o->source[picture];
    int qf = c->jnd_source ? anchor_qf : 0;
    size_t pixels = img.width * img.height;
    uint8_t **out = &o->map[picture][qf];
    if (*out)
        return *out;
    img.data = (uint8_t *)oracle_candidate(o, picture, qf);
    float *map = malloc(pixels * sizeof(float));
    *out = malloc(pixels);
    assert_int_equal(
        vj_jnd_compute(c->jnd_model, c->jnd_variant[0] ? c->jnd_variant : NULL, &img, map, &err),
        0);
    assert_int_equal(vj_jnd_to_u8(map, pixels, (enum vj_jnd_scale)c->jnd_scale, *out, &err), 0);
    free(map);
    return *out;
}

/* Anchor QF, 0 = the source itself, and boundary of an element. */
static void oracle_anchor(const struct oracle *o, uint64_t element, size_t picture, int *anchor_qf,
                          int *boundary)
{
    const struct vj_config *c = &o->rig->config;
    int levels = 0, level = c->jnd - 1;
    if (!o->synthetic) {
        *anchor_qf = 0;
        *boundary = picture == 0 ? 40 : 55;
        return;
    }
    while (levels < 3 && stairs[picture][levels])
        levels++;
    if (c->anchors == 0)
        level = vj_pair_level(c->seed, element, levels);
    *anchor_qf = level ? stairs[picture][level - 1] : 100;
    *boundary = stairs[picture][level];
}

/* The patches of one picture, mirrored; grey ones are seen in all three channels. */
static void check_patches(const struct oracle *o, uint64_t element, const struct vj_image *img,
                          bool map, const uint8_t *got)
{
    const struct vj_config *c = &o->rig->config;
    int channels = map ? 1 : 3;
    for (size_t p = 0; p < PATCHES; p++) {
        struct vj_pair_patch place =
            vj_pair_place(c->seed, element, p, img->width, img->height, SIDE,
                          vj_pair_flags(c->jnd_patches == 1, c->flip, c->positions == 1));
        const int32_t *origin = map ? place.jnd_origin : place.origin;
        uint8_t want[SIDE * SIDE * 3], *to = want;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int k = 0; k < channels; k++) {
                    size_t row = (size_t)(origin[0] + (place.mirror_y ? SIDE - 1 - y : y));
                    size_t column = (size_t)(origin[1] + (place.mirror_x ? SIDE - 1 - x : x));
                    size_t at = (row * img->width + column) * (size_t)img->channels;
                    *to++ = img->data[at + (size_t)(img->channels == 1 ? 0 : k)];
                }
        size_t bytes = (size_t)(to - want);
        assert_memory_equal(got + p * bytes, want, bytes);
    }
}

/* The importance of a pair, by a comparison of its own. */
static float oracle_importance(struct oracle *o, size_t picture, int qf, int boundary)
{
    struct vj_image img = o->source[picture];
    struct vj_error err = {0};
    struct vj_quality_reference *ref;
    struct vj_quality_scratch *scratch;
    struct vj_quality_values values;
    if (o->rig->config.loss == 0)
        return 1;
    img.data = (uint8_t *)oracle_candidate(o, picture, boundary);
    assert_int_equal(vj_quality_reference_create(&ref, img.width, img.height, VJ_QUALITY_ALL, &err),
                     0);
    assert_int_equal(
        vj_quality_scratch_create(&scratch, img.width, img.height, VJ_QUALITY_ALL, &err), 0);
    assert_int_equal(vj_quality_reference_load(ref, &img, &err), 0);
    assert_int_equal(vj_quality_compute(ref, oracle_candidate(o, picture, qf), scratch, &values),
                     0);
    vj_quality_scratch_free(scratch);
    vj_quality_reference_free(ref);
    if (qf == boundary)
        assert_true(values.ssim == 1);
    return (float)(1 + o->rig->config.importance * (1 - values.ssim));
}

static void check_batch(struct oracle *o, uint64_t step, const struct vj_train_batch *b)
{
    const struct vj_config *c = &o->rig->config;
    size_t levels = (size_t)c->batch_levels, pixels = (size_t)PATCHES * SIDE * SIDE;
    assert_int_equal(b->references, c->batch);
    assert_int_equal(b->pairs, b->references * levels);
    for (size_t k = 0; k < b->references; k++) {
        uint64_t element = (step - 1) * b->references + k;
        size_t picture = vj_pair_picture(&o->order, element);
        struct vj_image img = o->source[picture];
        int anchor_qf, boundary;
        oracle_anchor(o, element, picture, &anchor_qf, &boundary);
        int last = anchor_qf && anchor_qf <= c->qf_last ? anchor_qf - 1 : c->qf_last;
        img.data = (uint8_t *)oracle_candidate(o, picture, anchor_qf);
        check_patches(o, element, &img, false, b->r + k * pixels * 3);
        img.data = (uint8_t *)oracle_map(o, picture, anchor_qf);
        img.channels = 1;
        check_patches(o, element, &img, true, b->j + k * pixels);
        img.channels = o->source[picture].channels;
        for (size_t l = 0; l < levels; l++) {
            size_t i = k * levels + l;
            int qf = vj_pair_qf(c->seed, element, l, (enum vj_pair_sampling)c->pairs, c->qf_first,
                                last, boundary);
            img.data = (uint8_t *)oracle_candidate(o, picture, qf);
            check_patches(o, element, &img, false, b->d + i * pixels * 3);
            assert_int_equal(b->reference[i], k);
            assert_true(b->target[i] == vj_pair_target(qf, boundary, c->label_spread));
            assert_true(b->importance[i] == oracle_importance(o, picture, qf, boundary));
        }
    }
}

static void check_settings(const char *settings, uint64_t steps)
{
    struct rig rig;
    struct oracle o;
    rig_open(&rig, settings);
    oracle_open(&o, &rig);
    assert_int_equal(vj_train_data_patches(rig.data), PATCHES);
    for (uint64_t step = 1; step <= steps; step++) {
        struct vj_train_batch batch = batch_of(&rig, step);
        check_batch(&o, step, &batch);
    }
    oracle_close(&o);
    rig_close(&rig);
}

static void test_patches_are_crops_of_whole_pictures(void **state)
{
    (void)state;
    check_settings("anchors=first pairs=balanced", 10);
    check_settings("anchors=first pairs=uniform batch_levels=3 flip=false sampling=444", 4);
    check_settings("anchors=first pairs=boundary batch_levels=4 jnd_patches=independent", 4);
    check_settings("anchors=first jnd_model=chou95 jnd_scale=none jnd_source=anchor", 2);
    check_settings("anchors=first pairs=boundary batch_levels=6 label_spread=7.5", 3);
    check_settings("anchors=first positions=even", 3);
    check_settings("anchors=first positions=even jnd_patches=independent flip=false", 3);
}

static void test_every_jnd_level_serves_as_anchor(void **state)
{
    (void)state;
    check_settings("anchors=levels pairs=balanced", 15);
    check_settings("anchors=levels pairs=boundary jnd_source=anchor sampling=444", 8);
}

static void test_files_give_what_the_model_gives(void **state)
{
    (void)state;
    check_settings("candidates=files anchors=first batch_levels=2", 6);
    check_settings("candidates=files anchors=levels jnd_source=anchor", 10);
    check_settings("candidates=files anchors=levels qf_first=10 qf_last=40", 6);
}

static void test_grey_pictures_and_the_source_as_anchor(void **state)
{
    (void)state;
    check_settings("dataset=manifest anchors=levels batch_levels=2", 6);
    check_settings("dataset=manifest anchors=first jnd_source=anchor qf_first=30 qf_last=60", 6);
}

static void test_pairs_weigh_as_much_as_their_ssim_to_the_jnd_says(void **state)
{
    (void)state;
    check_settings("loss=visual-importance importance=2.5 batch_levels=3", 6);
    check_settings("loss=visual-importance candidates=files cache=0 batch_levels=2", 6);
    check_settings("loss=visual-importance dataset=manifest pairs=boundary batch_levels=5", 4);
}

/* ---- levels ---- */

static void test_levels_are_those_that_the_labels_give(void **state)
{
    (void)state;
    struct rig rig;
    struct oracle o;
    int of[PICTURES][3] = {{0}};
    rig_open(&rig, "anchors=levels");
    oracle_open(&o, &rig);
    for (uint64_t step = 1; step <= 60; step++) {
        struct vj_train_batch b = batch_of(&rig, step);
        for (size_t k = 0; k < b.references; k++) {
            uint64_t element = (step - 1) * b.references + k;
            size_t picture = vj_pair_picture(&o.order, element);
            const uint8_t *got = b.r + k * PATCHES * SIDE * SIDE * 3;
            struct vj_pair_patch at =
                vj_pair_place(11, element, 0, WIDTH, HEIGHT, SIDE, VJ_PLACE_FLIP);
            /* A row of a patch tells the anchors apart. */
            for (int level = 0; level < 3 && (!level || stairs[picture][level - 1]); level++) {
                const uint8_t *img =
                    oracle_candidate(&o, picture, level ? stairs[picture][level - 1] : 100);
                bool same = true;
                for (size_t x = 0; x < SIDE; x++) {
                    size_t row = (size_t)at.origin[0] + (at.mirror_y ? SIDE - 1 : 0);
                    size_t column = (size_t)at.origin[1] + (at.mirror_x ? SIDE - 1 - x : x);
                    same = same && memcmp(got + 3 * x, img + 3 * (row * WIDTH + column), 3) == 0;
                }
                of[picture][level] += same;
            }
        }
    }
    oracle_close(&o);
    rig_close(&rig);
    for (int i = 0; i < PICTURES; i++)
        for (int level = 0; level < 3; level++)
            assert_true((of[i][level] > 4) == (stairs[i][level] != 0));
}

static void fingerprints_of_levels(char level[3][65])
{
    struct rig rig;
    rig_open(&rig, "anchors=levels");
    for (int jnd = 1; jnd <= 3; jnd++)
        strcpy(level[jnd - 1], vj_train_data_level_fingerprint(rig.data, jnd));
    rig_close(&rig);
}

/* Labels of other JNDs than the one asked for decide pairs, too: --resume must see them change. */
static void test_the_labels_of_every_level_have_a_fingerprint(void **state)
{
    (void)state;
    char before[3][65], after[3][65];
    fingerprints_of_levels(before);
    fingerprints_of_levels(after);
    for (int k = 0; k < 3; k++)
        assert_string_equal(before[k], after[k]);
    write_text(path_in("SQF_data/Image_1_l_h.txt"), "100 60 31 12\n1 0.8 0.7 0.6\n");
    fingerprints_of_levels(after);
    write_text(path_in("SQF_data/Image_1_l_h.txt"), "100 60 30 12\n1 0.8 0.7 0.6\n");
    assert_string_equal(before[0], ""); /* that of the data set itself */
    assert_string_equal(after[0], "");
    assert_int_equal(strlen(before[1]), 64);
    assert_string_not_equal(before[1], after[1]);
    struct rig rig;
    rig_open(&rig, "anchors=first");
    assert_string_equal(vj_train_data_level_fingerprint(rig.data, 2), "");
    rig_close(&rig);
}

static void test_levels_that_contradict_their_anchor_are_left_out(void **state)
{
    (void)state;
    struct rig rig;
    struct oracle o;
    /* The second JND of picture 2 is 20, of picture 0 30: below qf_first, so not levels. */
    rig_open(&rig, "anchors=levels qf_first=31 pairs=uniform");
    oracle_open(&o, &rig);
    for (uint64_t step = 1; step <= 20; step++) {
        struct vj_train_batch b = batch_of(&rig, step);
        for (size_t k = 0; k < b.references; k++) {
            uint64_t element = (step - 1) * b.references + k;
            size_t picture = vj_pair_picture(&o.order, element);
            struct vj_image img = o.source[picture];
            if (picture != 0 && picture != 2)
                continue;
            img.data = (uint8_t *)oracle_candidate(&o, picture, 100);
            check_patches(&o, element, &img, false, b.r + k * PATCHES * SIDE * SIDE * 3);
        }
    }
    oracle_close(&o);
    rig_close(&rig);
}

static void test_networks_without_a_map_get_the_same_patches_and_no_map(void **state)
{
    (void)state;
    struct rig with, without;
    struct vj_error err = {0};
    rig_open(&with, "batch_levels=2");
    assert_int_equal(rig_try_variant(&without, VJ_VARIANT_PW_JND,
                                     "batch_levels=2 jnd_model=nonesuch", SIDE, VJ_POSITIVE_LOSSY,
                                     &err),
                     0);
    for (uint64_t step = 1; step <= 3; step++) {
        struct vj_train_batch a = batch_of(&with, step), b = batch_of(&without, step);
        assert_non_null(a.j);
        assert_null(b.j);
        assert_int_equal(a.pairs, b.pairs);
        assert_memory_equal(a.r, b.r, a.references * PATCHES * SIDE * SIDE * 3);
        assert_memory_equal(a.d, b.d, a.pairs * PATCHES * SIDE * SIDE * 3);
        assert_memory_equal(a.target, b.target, a.pairs * sizeof(*a.target));
    }
    assert_true(vj_train_data_bytes(without.data) < vj_train_data_bytes(with.data));
    rig_close(&with);
    rig_close(&without);
}

static void test_a_target_of_another_jnd_has_its_own_anchor(void **state)
{
    (void)state;
    static const size_t with_second[3] = {0, 2, 4};
    struct rig rig = {.config = configure("jnd=2 anchors=first")};
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_error err = {0};
    struct oracle o;
    shape.patch_size = SIDE;
    rig.ds = open_set(&rig.config);
    rig.count = 3;
    assert_int_equal(vj_train_data_open(&rig.data, &rig.config, rig.ds, with_second, 3, &shape,
                                        VJ_POSITIVE_LOSSY, &err),
                     0);
    oracle_open(&o, &rig);
    for (uint64_t step = 1; step <= 3; step++) {
        struct vj_train_batch b = batch_of(&rig, step);
        for (size_t k = 0; k < b.references; k++) {
            uint64_t element = (step - 1) * b.references + k;
            size_t picture = with_second[vj_pair_picture(&o.order, element)];
            struct vj_image img = paint((uint32_t)(picture + 1)), source = o.source[0];
            o.source[0] = img; /* a slot of its own for this picture */
            img.data = (uint8_t *)oracle_candidate(&o, 0, stairs[picture][0]);
            check_patches(&o, element, &img, false, b.r + k * PATCHES * SIDE * SIDE * 3);
            free(o.candidate[0][stairs[picture][0]]);
            o.candidate[0][stairs[picture][0]] = NULL;
            vj_image_free(&o.source[0]);
            o.source[0] = source;
        }
    }
    oracle_close(&o);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patches_are_crops_of_whole_pictures),
        cmocka_unit_test(test_every_jnd_level_serves_as_anchor),
        cmocka_unit_test(test_files_give_what_the_model_gives),
        cmocka_unit_test(test_grey_pictures_and_the_source_as_anchor),
        cmocka_unit_test(test_pairs_weigh_as_much_as_their_ssim_to_the_jnd_says),
        cmocka_unit_test(test_levels_are_those_that_the_labels_give),
        cmocka_unit_test(test_the_labels_of_every_level_have_a_fingerprint),
        cmocka_unit_test(test_levels_that_contradict_their_anchor_are_left_out),
        cmocka_unit_test(test_networks_without_a_map_get_the_same_patches_and_no_map),
        cmocka_unit_test(test_a_target_of_another_jnd_has_its_own_anchor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
