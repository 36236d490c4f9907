/* SPDX-License-Identifier: MIT */
/* Training data of five small pictures in a folder of their own. */
#ifndef VJ_TESTS_HOST_TRAIN_DATA_RIG_H
#define VJ_TESTS_HOST_TRAIN_DATA_RIG_H

#include "tests/vj_test.h"

#include <sys/stat.h>

#include "datasets/dataset.h"
#include "datasets/generator.h"
#include "host/image.h"
#include "host/options.h"
#include "host/train_data.h"

enum { PICTURES = 5, WIDTH = 111, HEIGHT = 83, SIDE = 32, PATCHES = 3 };

static char *folder; /* a data set `synthetic`, with files; and a `manifest` without */

/* The JNDs of each picture: all sides of the boundary are there, and some are empty. */
static const int stairs[PICTURES][4] = {
    {60, 30, 12, 0}, {45, 0, 0, 0}, {70, 20, 0, 0}, {1, 0, 0, 0}, {99, 50, 0, 0},
};

/* ---- the data set ---- */

__attribute__((format(printf, 1, 2))) static inline char *path_in(const char *format, ...)
{
    static char path[4096];
    int used = snprintf(path, sizeof(path), "%s/", folder);
    va_list args;
    va_start(args, format);
    vsnprintf(path + used, sizeof(path) - (size_t)used, format, args);
    va_end(args);
    return path;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static inline struct vj_image paint(uint32_t index)
{
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, WIDTH, HEIGHT, 3, &err), 0);
    assert_int_equal(vj_generate_picture(img.data, WIDTH, HEIGHT, 7, index, &err), 0);
    return img;
}

static inline void write_candidate(const struct vj_image *img, int id, int qf)
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

static inline void write_picture(int id)
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
static inline struct vj_image paint_for_manifest(int index)
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

static inline void write_manifest(void)
{
    struct vj_error err = {0};
    for (int i = 0; i < 2; i++) {
        struct vj_image img = paint_for_manifest(i);
        assert_int_equal(vj_image_write_png(&img, path_in("picture%d.png", i), &err), 0);
        vj_image_free(&img);
    }
    write_text(path_in("list.csv"), "image,qf_true\npicture0.png,40\npicture1.png,55\n");
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

/* ---- opening ---- */

/* settings: `key=value` separated by blanks */
static inline struct vj_config configure(const char *settings)
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

static inline struct vj_dataset *open_set(const struct vj_config *config)
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
static inline int rig_try_variant(struct rig *rig, enum vj_variant variant, const char *settings,
                                  int side, enum vj_positive_class positive, struct vj_error *err)
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

static inline int rig_try(struct rig *rig, const char *settings, int side,
                          enum vj_positive_class positive, struct vj_error *err)
{
    return rig_try_variant(rig, VJ_VARIANT_FIGURE, settings, side, positive, err);
}

static inline void rig_open(struct rig *rig, const char *settings)
{
    struct vj_error err = {0};
    if (rig_try(rig, settings, SIDE, VJ_POSITIVE_LOSSY, &err))
        fail_msg("%s: %s", settings, err.text);
}

static inline void rig_close(struct rig *rig)
{
    vj_train_data_close(rig->data);
    vj_dataset_close(rig->ds);
}

static inline struct vj_train_batch batch_of(struct rig *rig, uint64_t step)
{
    struct vj_error err = {0};
    struct vj_train_batch batch;
    if (vj_train_data_batch(rig->data, step, &batch, &err))
        fail_msg("%s", err.text);
    return batch;
}

#endif
