/* SPDX-License-Identifier: MIT */
/* Training runs on six small pictures in a folder of their own. */
#ifndef VJ_TESTS_HOST_TRAIN_RUN_H
#define VJ_TESTS_HOST_TRAIN_RUN_H

#include "tests/vj_test.h"

#include <errno.h>

#include "host/image.h"
#include "host/train.h"
#include "host/train_state.h"
#include "host/weights.h"

enum { PICTURES = 6, WIDTH = 56, HEIGHT = 48, STEPS = 24 };

static char *folder;

static inline const char *in_folder(char path[4096], const char *name)
{
    snprintf(path, 4096, "%s/%s", folder, name);
    return path;
}

/* Texture whose contrast falls from picture to picture. */
static inline void write_picture(const char *path, int number)
{
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, WIDTH, HEIGHT, 3, &err), 0);
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 3; i++) {
        const size_t x = i / 3 % WIDTH, y = i / 3 / WIDTH;
        const size_t wave = (x * x / (size_t)(3 + number) + y * 7 + i % 3 * 11) % 128;
        img.data[i] = (uint8_t)(64 + wave * (size_t)(PICTURES - number) / PICTURES);
    }
    if (vj_image_write_png(&img, path, &err))
        fail_msg("%s", err.text);
    vj_image_free(&img);
}

static inline int set_up(void **state)
{
    (void)state;
    char path[4096];
    struct vj_error err = {0};
    struct vj_weights w = {0};
    const struct vj_net_shape shape = {
        .variant = VJ_VARIANT_FIGURE, .patch_size = 16, .patches = 2, .channels = {16, 16, 16, 16}};
    folder = vj_test_mkdir();
    FILE *csv = fopen(in_folder(path, "all.csv"), "w");
    assert_non_null(csv);
    fputs("image,candidates,qf_true,fold\n", csv);
    for (int i = 0; i < PICTURES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%d.png", i);
        write_picture(in_folder(path, name), i);
        fprintf(csv, "%s,,%d,%d\n", name, 30 + 8 * i, i % 3 + 1);
    }
    fclose(csv);
    if (vj_weights_init(&w, &shape, 5, &err))
        fail_msg("%s", err.text);
    if (vj_weights_write(&w, in_folder(path, "start.h5"), &err))
        fail_msg("%s", err.text);
    vj_weights_free(&w);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    vj_test_rmdir(folder);
    return 0;
}

static inline void configure(struct vj_config *config, const char *const *pairs)
{
    char path[4096];
    struct vj_error err = {0};
    static const char *const base[] = {"dataset=manifest",   "device=cpu",         "batch=2",
                                       "batch_levels=2",     "learning_rate=1e-3", "average=0.9",
                                       "valid_ids=6",        "validate_every=8",   "steps=24",
                                       "checkpoint_every=4", "jnd_model=chou95",   NULL};
    vj_config_defaults(config, VJ_USE_TRAIN);
    vj_config_set(config, "root", in_folder(path, "all.csv"), NULL);
    vj_config_set(config, "start", in_folder(path, "start.h5"), NULL);
    for (const char *const *p = base; *p; p++)
        if (vj_config_set_pair(config, *p, &err))
            fail_msg("%s", err.text);
    for (; pairs && *pairs; pairs++)
        if (vj_config_set_pair(config, *pairs, &err))
            fail_msg("%s", err.text);
}

static inline int train(const char *output, bool resume, const char *const *pairs,
                        struct vj_train_summary *summary, struct vj_error *err)
{
    char path[4096];
    struct vj_config config;
    configure(&config, pairs);
    const struct vj_train_options options = {
        .config = &config, .output = in_folder(path, output), .resume = resume, .quiet = true};
    return vj_train_run(&options, summary, err);
}

static inline void must_train(const char *output, bool resume, const char *const *pairs,
                              struct vj_train_summary *summary)
{
    struct vj_error err = {0};
    if (train(output, resume, pairs, summary, &err))
        fail_msg("%s", err.text);
}

/* SHA-256 of the tensors of a weight file, and its record. */
static inline void read_file(const char *name, struct vj_weights *w)
{
    char path[4096];
    struct vj_error err = {0};
    *w = (struct vj_weights){0};
    if (vj_weights_read(w, in_folder(path, name), &err))
        fail_msg("%s", err.text);
}

static inline void assert_same_weights(const char *a, const char *b)
{
    struct vj_weights x, y;
    read_file(a, &x);
    read_file(b, &y);
    assert_string_equal(x.sha256, y.sha256);
    vj_weights_free(&x);
    vj_weights_free(&y);
}

/* Learning curves apart from the seconds. */
static inline void assert_same_log(const char *a, const char *b)
{
    char path[4096];
    struct vj_error err = {0};
    struct vj_train_log x = {0}, y = {0};
    assert_int_equal(vj_train_log_read(&x, in_folder(path, a), &err), 0);
    assert_int_equal(vj_train_log_read(&y, in_folder(path, b), &err), 0);
    assert_int_equal(x.rows, y.rows);
    assert_int_equal(x.validations, y.validations);
    assert_memory_equal(x.loss, y.loss, x.rows * sizeof(double));
    assert_memory_equal(x.accuracy, y.accuracy, x.rows * sizeof(double));
    assert_memory_equal(x.step, y.step, x.rows * sizeof(int64_t));
    assert_memory_equal(x.mad, y.mad, x.validations * sizeof(double));
    vj_train_log_free(&x);
    vj_train_log_free(&y);
}

static inline void write_text(const char *name, const char *text)
{
    char path[4096];
    FILE *file = fopen(in_folder(path, name), "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

#endif
