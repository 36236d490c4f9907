/* SPDX-License-Identifier: MIT */
/*
 * Training data against an oracle: everything in a batch is worked out again from whole pictures,
 * decoded one by one. What is drawn is vj_pair_...'s affair (test_train_pairs.c).
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "datasets/dataset.h"
#include "datasets/generator.h"
#include "host/image.h"
#include "host/jnd_map.h"
#include "host/jpeg_plan.h"
#include "host/options.h"
#include "host/quality.h"
#include "host/train_data.h"
#include "host/train_pairs.h"

enum { PICTURES = 5, WIDTH = 111, HEIGHT = 83, SIDE = 32, PATCHES = 3 };

static char *folder; /* a data set `synthetic`, with files; and a `manifest` without */

/* The JNDs of each picture: all sides of the boundary are there, and some are empty. */
static const int stairs[PICTURES][4] = {
    {60, 30, 12, 0}, {45, 0, 0, 0}, {70, 20, 0, 0}, {1, 0, 0, 0}, {99, 50, 0, 0},
};

/* ---- the data set ---- */

__attribute__((format(printf, 1, 2))) static char *path_in(const char *format, ...)
{
    static char path[4096];
    int used = snprintf(path, sizeof(path), "%s/", folder);
    va_list args;
    va_start(args, format);
    vsnprintf(path + used, sizeof(path) - (size_t)used, format, args);
    va_end(args);
    return path;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct vj_image paint(uint32_t index)
{
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, WIDTH, HEIGHT, 3, &err), 0);
    assert_int_equal(vj_generate_picture(img.data, WIDTH, HEIGHT, 7, index, &err), 0);
    return img;
}

static void write_candidate(const struct vj_image *img, int id, int qf)
{
    struct vj_error err = {0};
    uint8_t *data;
    size_t size;
    assert_int_equal(vj_jpeg_encode(&data, &size, img, qf, VJ_SUBSAMPLING_420, &err), 0);
    FILE *file = fopen(
        path_in("distorted_image/ImageJND_SRC%02d/ImageJND_SRC%02d_%03d.jpg", id, id, qf), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(data);
}

static void write_picture(int id)
{
    struct vj_error err = {0};
    struct vj_image img = paint((uint32_t)id);
    char points[64] = "100";
    for (int k = 0; k < 4 && stairs[id - 1][k]; k++)
        sprintf(points + strlen(points), " %d", stairs[id - 1][k]);
    strcat(points, "\n1");
    for (int k = 0; k < 4 && stairs[id - 1][k]; k++)
        sprintf(points + strlen(points), " %.1f", 0.8 - 0.1 * k);
    assert_int_equal(
        vj_image_write_bmp(&img, path_in("source_images/[BMP]/ImageJND_SRC%02d.bmp", id), &err), 0);
    write_text(path_in("SQF_data/Image_%d_l_h.txt", id), points);
    assert_int_equal(mkdir(path_in("distorted_image/ImageJND_SRC%02d", id), 0777), 0);
    for (int qf = 1; qf <= 100; qf++)
        write_candidate(&img, id, qf);
    vj_image_free(&img);
}

/* Two pictures without candidates, the first one grey, of different sizes. */
static struct vj_image paint_for_manifest(int index)
{
    struct vj_image img = paint((uint32_t)(20 + index));
    if (index == 0) {
        img.channels = 1;
        for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
            img.data[i] = img.data[3 * i];
    } else {
        img.height = HEIGHT - 10;
    }
    return img;
}

static void write_manifest(void)
{
    struct vj_error err = {0};
    for (int i = 0; i < 2; i++) {
        struct vj_image img = paint_for_manifest(i);
        assert_int_equal(vj_image_write_png(&img, path_in("picture%d.png", i), &err), 0);
        vj_image_free(&img);
    }
    write_text(path_in("list.csv"), "image,qf_true\npicture0.png,40\npicture1.png,55\n");
}

static int set_up(void **state)
{
    (void)state;
    folder = vj_test_mkdir();
    mkdir(path_in("source_images"), 0777);
    mkdir(path_in("source_images/[BMP]"), 0777);
    mkdir(path_in("SQF_data"), 0777);
    mkdir(path_in("distorted_image"), 0777);
    write_text(path_in("SYNTHETIC.txt"), "observer = the test\n");
    for (int id = 1; id <= PICTURES; id++)
        write_picture(id);
    write_manifest();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* ---- opening ---- */

/* settings: `key=value` separated by blanks */
static struct vj_config configure(const char *settings)
{
    struct vj_config config;
    struct vj_error err = {0};
    vj_config_defaults(&config, VJ_USE_TRAIN);
    char text[2048], *rest = NULL;
    snprintf(text, sizeof(text),
             "dataset=synthetic candidates=synthesize patches=%d batch=4 seed=11 threads=2 %s",
             PATCHES, settings);
    snprintf(config.root, sizeof(config.root), "%s", folder);
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        if (vj_config_set_pair(&config, w, &err))
            fail_msg("%s", err.text);
    if (strcmp(config.dataset, "manifest") == 0)
        snprintf(config.root, sizeof(config.root), "%s/list.csv", folder);
    return config;
}

static struct vj_dataset *open_set(const struct vj_config *config)
{
    struct vj_dataset *ds;
    struct vj_error err = {0};
    const struct vj_dataset_options opt = {.root = config->root,
                                           .candidates = config->candidates,
                                           .jnd = config->jnd,
                                           .qf_first = config->qf_first,
                                           .qf_last = config->qf_last};
    if (vj_dataset_open(&ds, config->dataset, &opt, &err))
        fail_msg("%s", err.text);
    return ds;
}

/* Training data of a whole data set, and what it was opened with. */
struct rig {
    struct vj_config config;
    struct vj_dataset *ds;
    struct vj_train_data *data;
    size_t count;
};

/* side: of the patches */
static int rig_try_variant(struct rig *rig, enum vj_variant variant, const char *settings, int side,
                           enum vj_positive_class positive, struct vj_error *err)
{
    static const size_t all[PICTURES] = {0, 1, 2, 3, 4};
    struct vj_net_shape shape = vj_net_shape_default(variant);
    shape.patch_size = side;
    shape.patches = PATCHES + 4; /* another number than the option's */
    rig->config = configure(settings);
    rig->ds = open_set(&rig->config);
    rig->count = vj_dataset_count(rig->ds);
    vj_assert_in_range(rig->count, 1, PICTURES);
    int r = vj_train_data_open(&rig->data, &rig->config, rig->ds, all, rig->count, &shape, positive,
                               err);
    assert_true((r == 0) == (rig->data != NULL));
    return r;
}

static int rig_try(struct rig *rig, const char *settings, int side, enum vj_positive_class positive,
                   struct vj_error *err)
{
    return rig_try_variant(rig, VJ_VARIANT_FIGURE, settings, side, positive, err);
}

static void rig_open(struct rig *rig, const char *settings)
{
    struct vj_error err = {0};
    if (rig_try(rig, settings, SIDE, VJ_POSITIVE_LOSSY, &err))
        fail_msg("%s: %s", settings, err.text);
}

static void rig_close(struct rig *rig)
{
    vj_train_data_close(rig->data);
    vj_dataset_close(rig->ds);
}

static struct vj_train_batch batch_of(struct rig *rig, uint64_t step)
{
    struct vj_error err = {0};
    struct vj_train_batch batch;
    if (vj_train_data_batch(rig->data, step, &batch, &err))
        fail_msg("%s", err.text);
    return batch;
}

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

/* ---- what must not matter ---- */

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_batch(const struct vj_train_batch *b)
{
    size_t pixels = (size_t)PATCHES * SIDE * SIDE;
    uint64_t h = hash(0xcbf29ce484222325u, b->r, b->references * pixels * 3);
    h = hash(h, b->j, b->references * pixels);
    h = hash(h, b->d, b->pairs * pixels * 3);
    h = hash(h, b->reference, b->pairs * sizeof(*b->reference));
    h = hash(h, b->target, b->pairs * sizeof(*b->target));
    return hash(h, b->importance, b->pairs * sizeof(*b->importance));
}

enum { STEPS = 6 };

/* order: steps to ask for, each 1..STEPS at least once, 0 ends it */
static void hash_steps(uint64_t out[STEPS], const char *settings, const int *order)
{
    struct rig rig;
    rig_open(&rig, settings);
    for (; *order; order++) {
        struct vj_train_batch batch = batch_of(&rig, (uint64_t)*order);
        out[*order - 1] = hash_batch(&batch);
    }
    rig_close(&rig);
}

static void check_indifference(const char *settings)
{
    static const int forth[] = {1, 2, 3, 4, 5, 6, 0}, back[] = {6, 5, 4, 3, 2, 1, 0},
                     wild[] = {4, 4, 1, 6, 2, 6, 5, 3, 1, 0};
    uint64_t want[STEPS], got[STEPS];
    char text[512];
    static const char *const ways[] = {"threads=1 cache=4G", "threads=2 cache=4G",
                                       "threads=3 cache=4G", "threads=1 cache=0",
                                       "threads=3 cache=0",  "threads=2 cache=150K"};
    snprintf(text, sizeof(text), "%s threads=1", settings);
    hash_steps(want, text, forth);
    for (size_t i = 0; i < STEPS; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(want[i] != want[j]);
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        snprintf(text, sizeof(text), "%s %s", settings, ways[way]);
        hash_steps(got, text, way % 2 ? back : wild);
        assert_memory_equal(got, want, sizeof(want));
    }
}

static void test_threads_order_of_steps_and_cache_do_not_matter(void **state)
{
    (void)state;
    check_indifference("batch_levels=2 loss=visual-importance");
    check_indifference(
        "batch=7 jnd_source=anchor jnd_patches=independent"); /* pictures come twice */
}

static void test_the_seed_matters(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t h[2];
    for (int i = 0; i < 2; i++) {
        rig_open(&rig, i ? "seed=12" : "seed=11");
        struct vj_train_batch batch = batch_of(&rig, 1);
        h[i] = hash_batch(&batch);
        rig_close(&rig);
    }
    assert_true(h[0] != h[1]);
}

static void test_a_batch_stays_while_the_next_one_is_made(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "");
    struct vj_train_batch first = batch_of(&rig, 1);
    uint64_t before = hash_batch(&first);
    struct vj_train_batch second = batch_of(&rig, 2);
    assert_true(hash_batch(&first) == before);
    assert_true(hash_batch(&second) != before);
    rig_close(&rig);
}

struct call {
    struct rig *rig;
    uint64_t step, hash;
};

static void *call_batch(void *user)
{
    struct call *call = user;
    struct vj_train_batch batch = batch_of(call->rig, call->step);
    call->hash = hash_batch(&batch);
    return NULL;
}

static void test_batches_may_be_asked_for_from_changing_threads(void **state)
{
    (void)state;
    static const int forth[] = {1, 2, 3, 4, 5, 6, 0};
    uint64_t want[STEPS];
    struct rig rig;
    hash_steps(want, "", forth);
    rig_open(&rig, "");
    for (uint64_t step = 1; step <= STEPS; step++) {
        pthread_t thread;
        struct call call = {.rig = &rig, .step = step};
        assert_int_equal(pthread_create(&thread, NULL, call_batch, &call), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(call.hash == want[step - 1]);
    }
    rig_close(&rig);
}

static void test_the_cache_holds_what_it_may_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "cache=0");
    size_t empty = vj_train_data_bytes(rig.data);
    batch_of(&rig, 1);
    assert_int_equal(vj_train_data_bytes(rig.data), empty);
    rig_close(&rig);

    rig_open(&rig, "batch=5 cache=4G");
    empty = vj_train_data_bytes(rig.data);
    batch_of(&rig, 1);
    size_t full = vj_train_data_bytes(rig.data) - empty;
    size_t one = vj_jpeg_plan_bytes(WIDTH, HEIGHT, 3, VJ_SUBSAMPLING_420) + (size_t)WIDTH * HEIGHT;
    assert_int_equal(full, PICTURES * one);
    batch_of(&rig, 2);
    assert_int_equal(vj_train_data_bytes(rig.data) - empty, full);
    rig_close(&rig);

    char settings[64];
    snprintf(settings, sizeof(settings), "batch=5 cache=%zu", 3 * one);
    rig_open(&rig, settings);
    batch_of(&rig, 1);
    assert_int_equal(vj_train_data_bytes(rig.data) - empty, 3 * one);
    rig_close(&rig);
}

static void test_the_positive_class_may_be_lossless(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct rig lossy, lossless;
    for (int spread = 0; spread < 2; spread++) {
        const char *settings = spread ? "batch_levels=2 label_spread=8" : "batch_levels=2";
        rig_open(&lossy, settings);
        assert_int_equal(rig_try(&lossless, settings, SIDE, VJ_POSITIVE_LOSSLESS, &err), 0);
        struct vj_train_batch a = batch_of(&lossy, 1), b = batch_of(&lossless, 1);
        for (size_t i = 0; i < a.pairs; i++)
            assert_true(fabsf(a.target[i] + b.target[i] - 1) <= 1e-7f);
        rig_close(&lossy);
        rig_close(&lossless);
    }
}

static void test_patches_come_from_the_network_when_no_option_says(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "patches=0");
    assert_int_equal(vj_train_data_patches(rig.data), PATCHES + 4);
    rig_close(&rig);
}

/* ---- errors ---- */

static void check_refused(const char *settings, int side, int code, const char *part,
                          const char *other_part)
{
    struct rig rig;
    struct vj_error err = {0};
    int r = rig_try(&rig, settings, side, VJ_POSITIVE_LOSSY, &err);
    rig_close(&rig);
    assert_int_equal(r, code);
    vj_assert_contains(err.text, part);
    vj_assert_contains(err.text, other_part);
}

static void test_pictures_smaller_than_a_patch_are_refused(void **state)
{
    (void)state;
    check_refused("", 96, -EINVAL, "ImageJND_SRC01.bmp is 111x83", "at least 96 pixels");
}

static void test_pictures_above_max_pixels_are_refused(void **state)
{
    (void)state;
    check_refused("max_pixels=9000", SIDE, -EFBIG, "ImageJND_SRC01.bmp is 111x83", "max_pixels");
}

static void test_a_range_without_quality_factors_below_the_anchor_is_refused(void **state)
{
    (void)state;
    check_refused("qf_first=100", SIDE, -ENODATA, "training picture ImageJND_SRC01",
                  "below the anchor at 100");
}

static void test_a_boundary_outside_the_range_of_files_is_refused_for_its_importance(void **state)
{
    (void)state;
    check_refused("candidates=files loss=visual-importance qf_first=61 anchors=first", SIDE,
                  -ENOENT, "training picture ImageJND_SRC01", "quality factor 60");
}

/* Runs `check` while the file at `path` is `content`, or does not exist when that is NULL. */
static void with_file(const char *path, const void *content, size_t size, void (*check)(void))
{
    char aside[4200], *name = strdup(path);
    snprintf(aside, sizeof(aside), "%s.aside", name);
    assert_int_equal(rename(name, aside), 0);
    if (content) {
        FILE *file = fopen(name, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(content, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
    }
    check();
    assert_int_equal(rename(aside, name), 0);
    free(name);
}

static void expect_no_label(void)
{
    check_refused("", SIDE, -ENODATA, "training picture ImageJND_SRC03", "no label");
}

static void expect_bad_label(void)
{
    check_refused("", SIDE, -EINVAL, "training picture ImageJND_SRC03", "Image_3_l_h.txt");
}

static void expect_missing_candidate(void)
{
    check_refused("candidates=files", SIDE, -ENOENT, "training picture ImageJND_SRC02",
                  "ImageJND_SRC02_050.jpg");
}

static void expect_wrong_size(void)
{
    check_refused("candidates=files", SIDE, -EINVAL, "ImageJND_SRC02_050.jpg is 111x40",
                  "ImageJND_SRC02.bmp is 111x83");
}

static void expect_no_header(void)
{
    check_refused("candidates=files", SIDE, -EBADMSG, "training picture ImageJND_SRC02",
                  "ImageJND_SRC02_050.jpg");
}

static void test_items_that_cannot_train_are_named_at_opening(void **state)
{
    (void)state;
    static const char none[] = "100\n1\n", bad[] = "100 x\n1\n";
    struct vj_error err = {0};
    struct vj_image img = paint(2);
    uint8_t *low;
    size_t size;
    img.height = 40;
    assert_int_equal(vj_jpeg_encode(&low, &size, &img, 50, VJ_SUBSAMPLING_420, &err), 0);
    vj_image_free(&img);
    char label[4096], candidate[4096];
    strcpy(label, path_in("SQF_data/Image_3_l_h.txt"));
    strcpy(candidate, path_in("distorted_image/ImageJND_SRC02/ImageJND_SRC02_050.jpg"));
    with_file(label, none, strlen(none), expect_no_label);
    with_file(label, bad, strlen(bad), expect_bad_label);
    with_file(candidate, NULL, 0, expect_missing_candidate);
    with_file(candidate, low, size, expect_wrong_size);
    with_file(candidate, low, 100, expect_no_header);
    free(low);
}

static void test_a_data_set_without_items_is_refused(void **state)
{
    (void)state;
    struct vj_net_shape shape = vj_net_shape_default(VJ_VARIANT_FIGURE);
    struct vj_config config = configure("");
    struct vj_dataset *ds = open_set(&config);
    struct vj_train_data *data;
    struct vj_error err = {0};
    size_t none = 0;
    assert_int_equal(
        vj_train_data_open(&data, &config, ds, &none, 0, &shape, VJ_POSITIVE_AUTO, &err), -ENODATA);
    assert_null(data);
    vj_assert_contains(err.text, "no pictures to train with");
    vj_dataset_close(ds);
    vj_train_data_close(NULL);
}

static void test_step_zero_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct vj_error err = {0};
    struct vj_train_batch batch;
    rig_open(&rig, "");
    assert_int_equal(vj_train_data_batch(rig.data, 0, &batch, &err), -EINVAL);
    vj_assert_contains(err.text, "steps count from 1");
    rig_close(&rig);
}

static struct rig during; /* training data while its files change */

static void expect_failing_batch(void)
{
    struct vj_error err = {0};
    struct vj_train_batch batch;
    assert_true(vj_train_data_batch(during.data, 1, &batch, &err) < 0);
    vj_assert_contains(err.text, "training picture ImageJND_SRC04");
    vj_assert_contains(err.text, "ImageJND_SRC04.bmp");
}

static void test_a_picture_that_changes_during_training_is_named_and_may_come_back(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_image img = paint(9);
    char source[4096], smaller[4096];
    struct rig untouched;
    img.width--;
    strcpy(source, path_in("source_images/[BMP]/ImageJND_SRC04.bmp"));
    strcpy(smaller, path_in("smaller.bmp"));
    assert_int_equal(vj_image_write_bmp(&img, smaller, &err), 0);
    vj_image_free(&img);
    uint8_t *bytes;
    size_t size;
    assert_int_equal(vj_file_read(&bytes, &size, smaller, 0, &err), 0);

    rig_open(&untouched, "batch=5");
    struct vj_train_batch batch = batch_of(&untouched, 1);
    uint64_t want = hash_batch(&batch);
    rig_close(&untouched);

    rig_open(&during, "batch=5");
    with_file(source, NULL, 0, expect_failing_batch);
    with_file(source, bytes, size / 2, expect_failing_batch);
    with_file(source, bytes, size, expect_failing_batch);
    batch = batch_of(&during, 1);
    assert_true(hash_batch(&batch) == want);
    rig_close(&during);
    free(bytes);
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
        cmocka_unit_test(test_threads_order_of_steps_and_cache_do_not_matter),
        cmocka_unit_test(test_the_seed_matters),
        cmocka_unit_test(test_a_batch_stays_while_the_next_one_is_made),
        cmocka_unit_test(test_batches_may_be_asked_for_from_changing_threads),
        cmocka_unit_test(test_the_cache_holds_what_it_may_and_no_more),
        cmocka_unit_test(test_the_positive_class_may_be_lossless),
        cmocka_unit_test(test_patches_come_from_the_network_when_no_option_says),
        cmocka_unit_test(test_pictures_smaller_than_a_patch_are_refused),
        cmocka_unit_test(test_pictures_above_max_pixels_are_refused),
        cmocka_unit_test(test_a_range_without_quality_factors_below_the_anchor_is_refused),
        cmocka_unit_test(test_a_boundary_outside_the_range_of_files_is_refused_for_its_importance),
        cmocka_unit_test(test_items_that_cannot_train_are_named_at_opening),
        cmocka_unit_test(test_a_data_set_without_items_is_refused),
        cmocka_unit_test(test_step_zero_is_refused),
        cmocka_unit_test(test_a_picture_that_changes_during_training_is_named_and_may_come_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
