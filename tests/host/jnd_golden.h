/* SPDX-License-Identifier: MIT */
/*
 * Comparison of pixel-JND maps and their stages with the second implementation's golden files
 * (tests/golden/jnd/make.py says what they hold), for test_jnd.c and test_jnd_family.c.
 */
#ifndef VJ_TESTS_HOST_JND_GOLDEN_H
#define VJ_TESTS_HOST_JND_GOLDEN_H

#include "tests/vj_test.h"

#include <math.h>
#include <stdbool.h>

#include "host/checked.h"
#include "host/jnd_blocks.h"
#include "host/jnd_map.h"
#include "tests/host/jnd_pictures.h"
#include "tests/host/jnd_run.h"

static uint64_t fnv1a(const uint8_t *data, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ data[i]) * 0x100000001b3u;
    return h;
}

/* Results for the picture, model and variant of the lines being read: lines come in that order. */
struct golden {
    char key[512]; /* "picture width height model variant" */
    char picture[256];
    size_t width, height;
    uint8_t *luma, *cb, *cr;
    const struct vj_jnd_model *model;
    float *planes[16]; /* stages, then the map */
    size_t plane_count;
    float *values; /* the whole of FILE.f32 */
    size_t value_count;
    bool of_map;  /* the line being read is about a map, not a stage */
    double worst; /* of maps */
    size_t checked;
};

static void golden_forget_results(struct golden *g)
{
    for (size_t i = 0; i < g->plane_count; i++)
        free(g->planes[i]);
    g->plane_count = 0;
}

static void golden_forget_picture(struct golden *g)
{
    free(g->luma);
    free(g->cb);
    free(g->cr);
}

static void golden_load_picture(struct golden *g, const char *picture, size_t width, size_t height)
{
    size_t half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    golden_forget_picture(g);
    g->luma = take(width, height);
    g->cb = take(half_width, half_height);
    g->cr = take(half_width, half_height);
    snprintf(g->picture, sizeof(g->picture), "%s", picture);
    g->width = width;
    g->height = height;
    if (picture[0] != '@') {
        draw_picture(picture, width, height, g->luma);
        draw_picture("steps", half_width, half_height, g->cb);
        draw_picture("ramp", half_width, half_height, g->cr);
        return;
    }
    struct vj_error err = {0};
    struct vj_image img;
    if (vj_image_read(&img, vj_test_data(picture + 1), NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(img.width, width);
    assert_int_equal(img.height, height);
    vj_jnd_luma(&img, g->luma);
    vj_jnd_chroma(&img, g->cb, g->cr);
    vj_image_free(&img);
}

/* Values of stage number `stage`; the map stands behind the last stage. */
static size_t golden_stage_values(const struct golden *g, size_t stage)
{
    struct vj_jnd_size size = vj_jnd_stage_size(&g->model->stages[stage], g->width, g->height);
    return size.rows * size.columns;
}

static void golden_compute(struct golden *g, const char *model, const char *variant)
{
    struct vj_error err = {0};
    size_t index;
    golden_forget_results(g);
    g->model = vj_jnd_find(model, &err);
    assert_non_null(g->model);
    assert_int_equal(vj_jnd_variant_find(&index, g->model, variant, &err), 0);
    size_t count = 0;
    for (; g->model->stages[count].name; count++) {
        assert_true(count + 1 < sizeof(g->planes) / sizeof(g->planes[0]));
        g->planes[count] = take(golden_stage_values(g, count), sizeof(float));
    }
    g->planes[count] = take(g->width * g->height, sizeof(float));
    g->plane_count = count + 1;
    struct vj_jnd_job job = {.luma = g->luma,
                             .width = g->width,
                             .height = g->height,
                             .cb = g->cb,
                             .cr = g->cr,
                             .variant = index,
                             .map = g->planes[count],
                             .stages = g->planes};
    run_job(g->model, &job, 2);
}

/* The result of that name, and how many values it has. */
static const float *golden_stage(const struct golden *g, const char *stage, size_t *count)
{
    for (size_t i = 0; g->model->stages[i].name; i++) {
        *count = golden_stage_values(g, i);
        if (strcmp(g->model->stages[i].name, stage) == 0)
            return g->planes[i];
    }
    assert_string_equal(stage, "map");
    *count = g->width * g->height;
    return g->planes[g->plane_count - 1];
}

/* 1e-4 grey levels on maps; 1e-5 of values above 10 on intermediate results. */
static void golden_compare(struct golden *g, const char *line, size_t at, double got, double wanted)
{
    double off = fabs(got - wanted), limit = 1e-4 + 1e-5 * fabs(wanted);
    if (g->of_map && off > g->worst)
        g->worst = off;
    g->checked++;
    if (!(off <= limit))
        fail_msg("%.100s: value %zu is %.9g, not %.9g", line, at, got, wanted);
}

static void golden_digest(const float *plane, size_t n, const char *line, const char *digest)
{
    uint8_t *bytes = take(n, 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)plane[i];
    char got[17];
    snprintf(got, sizeof(got), "%016llx", (unsigned long long)fnv1a(bytes, n));
    free(bytes);
    if (strncmp(got, digest, 16) != 0)
        fail_msg("%.100s: digest %s", line, got);
}

static void golden_line(struct golden *g, const char *line)
{
    char picture[256], model[32], variant[32], stage[32], form[16];
    size_t width, height;
    int used;
    if (sscanf(line, "%255s %zu %zu %31s %31s%n", picture, &width, &height, model, variant,
               &used) != 5)
        fail_msg("bad line: %.100s", line);
    if (strcmp(picture, g->picture) != 0 || width != g->width || height != g->height)
        golden_load_picture(g, picture, width, height);
    if (strlen(g->key) != (size_t)used || strncmp(g->key, line, (size_t)used) != 0) {
        golden_compute(g, model, variant);
        snprintf(g->key, sizeof(g->key), "%.*s", used, line);
    }
    const char *rest = line + used;
    assert_int_equal(sscanf(rest, " %31s %15s %n", stage, form, &used), 2);
    rest += used;
    size_t count;
    const float *plane = golden_stage(g, stage, &count);
    g->of_map = strcmp(stage, "map") == 0;
    if (strcmp(form, "digest") == 0) {
        golden_digest(plane, count, line, rest);
    } else if (strcmp(form, "full") == 0) {
        size_t first = strtoul(rest, NULL, 10) / sizeof(float);
        assert_true(first + count <= g->value_count);
        for (size_t i = 0; i < count; i++)
            golden_compare(g, line, i, plane[i], g->values[first + i]);
    } else {
        assert_string_equal(form, "samples");
        size_t at;
        double wanted;
        for (; sscanf(rest, "%zu %lf %n", &at, &wanted, &used) == 2; rest += used) {
            assert_true(at < count);
            golden_compare(g, line, at, plane[at], wanted);
        }
        assert_string_equal(rest, "");
    }
}

static FILE *golden_open(const char *name, const char *ending)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/jnd/%s.%s", VJ_TEST_GOLDEN, name, ending);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    return file;
}

static void golden_read_values(struct golden *g, FILE *file)
{
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    g->value_count = (size_t)ftell(file) / sizeof(float);
    rewind(file);
    g->values = take(g->value_count, sizeof(float));
    assert_int_equal(fread(g->values, sizeof(float), g->value_count, file), g->value_count);
    fclose(file);
}

/* Skips the running test when a photograph of the golden files is not there. */
static void golden_require_photographs(void)
{
    vj_require_data("photos/scikit-image/camera.png");
    vj_require_data("photos/scikit-image/coffee.png");
    vj_require_data("photos/konjnd-1k/Quiz_SRC01.png");
    vj_require_data("konjnd/gui/Study_SRC0366.png");
    vj_require_data("photos/_screens/gb82-sc/graph.png");
}

/* Goes through the lines of NAME.txt about photographs, or through all others. */
static void golden_check(const char *name, bool photographs)
{
    struct golden g = {0};
    golden_read_values(&g, golden_open(name, "f32"));
    FILE *file = golden_open(name, "txt");
    char *line = NULL;
    size_t room = 0, lines = 0;
    ssize_t length;
    while ((length = getline(&line, &room, file)) > 0) {
        line[length - 1] = '\0';
        if ((line[0] == '@') != photographs)
            continue;
        golden_line(&g, line);
        lines++;
    }
    assert_true(lines > 50);
    assert_true(g.checked > 500);
    print_message("%zu results, %zu values, maps differ by at most %.2g grey levels\n", lines,
                  g.checked, g.worst);
    golden_forget_results(&g);
    golden_forget_picture(&g);
    free(g.values);
    free(line);
    fclose(file);
}

#endif
