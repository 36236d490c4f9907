/* SPDX-License-Identifier: MIT */
/* Whole runs in a temporary folder: its pictures, its manifest all.csv, and what a run made. */
#ifndef VJ_TESTS_RUN_RIG_H
#define VJ_TESTS_RUN_RIG_H

#include "tests/vj_test.h"

#include "host/image.h"
#include "host/options.h"
#include "host/results.h"
#include "host/rng.h"
#include "host/run.h"

enum { WIDTH = 61, HEIGHT = 50, LEVELS = 100 };

static char *folder;

static inline char *in_folder(char path[4096], const char *name)
{
    snprintf(path, 4096, "%s/%s", folder, name);
    return path;
}

/* Soft shapes with some noise, different for each index; grey when channels is 1. */
static inline void paint(struct vj_image *img, int index)
{
    size_t samples = (size_t)img->channels;
    for (size_t y = 0; y < img->height; y++)
        for (size_t x = 0; x < img->width; x++)
            for (size_t c = 0; c < samples; c++) {
                size_t at = (y * img->width + x) * samples + c;
                uint32_t noise =
                    vj_random4((uint64_t)index, VJ_RNG_TEST, c, (uint32_t)at).v[0] % 16;
                size_t wave = (x * (3 + (size_t)index) + y * (5 + c) + (x * y) / 7) % 200;
                img->data[at] = (uint8_t)(20 + wave + noise);
            }
}

static inline void write_picture(const char *path, int index, int channels, size_t width,
                                 size_t height)
{
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, width, height, channels, &err), 0);
    paint(&img, index);
    if (vj_image_write_png(&img, path, &err))
        fail_msg("%s", err.text);
    vj_image_free(&img);
}

static inline void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/*
 * p0.png, p1.png, ... in the folder, the third one grey, and all.csv with their labels and folds 1,
 * 2 in turn; candidates are synthesised. count: up to 99
 */
static inline void write_labelled_pictures(int count, const int32_t *labels)
{
    char path[4096], csv[4096] = "image,candidates,qf_true,fold\n";
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%d.png", i);
        write_picture(in_folder(path, name), i, i == 2 ? 1 : 3, WIDTH, HEIGHT);
        snprintf(csv + strlen(csv), sizeof(csv) - strlen(csv), "%s,,%d,%d\n", name, labels[i],
                 i % 2 + 1);
    }
    write_text(in_folder(path, "all.csv"), csv);
}

/*
 * Runs options (pairs, NULL-terminated) over a base: the manifest all.csv and `predictors`.
 * path: filled with the results file's
 */
static inline int run_as(const char *output, char path[4096], const char *predictors,
                         const char *const *pairs, bool resume, struct vj_run_summary *summary,
                         struct vj_error *err)
{
    struct vj_config config;
    char csv[4096];
    vj_config_defaults(&config, VJ_USE_EVAL);
    vj_config_set(&config, "dataset", "manifest", NULL);
    vj_config_set(&config, "root", in_folder(csv, "all.csv"), NULL);
    vj_config_set(&config, "bootstrap", "50", NULL);
    vj_config_set(&config, "predictors", predictors, NULL);
    for (; *pairs; pairs++)
        if (vj_config_set_pair(&config, *pairs, err))
            return err->code;
    const struct vj_run_options options = {.config = &config,
                                           .output = in_folder(path, output),
                                           .resume = resume,
                                           .command_line = "test"};
    return vj_run_eval(&options, summary, err);
}

/* The same, and the results file open for reading. */
static inline struct vj_results *open_run(const char *output, const char *predictors,
                                          const char *const *pairs)
{
    char path[4096];
    struct vj_run_summary summary;
    struct vj_error err = {0};
    struct vj_results *results;
    if (run_as(output, path, predictors, pairs, false, &summary, &err))
        fail_msg("%s", err.text);
    if (vj_results_open(&results, path, false, &err))
        fail_msg("%s", err.text);
    return results;
}

static inline void read_rows(struct vj_results *results, const char *column,
                             enum vj_column_type type, size_t first, size_t count, void *data)
{
    struct vj_error err = {0};
    if (vj_results_read(results, column, type, first, count, data, &err))
        fail_msg("%s", err.text);
}

#endif
