/* SPDX-License-Identifier: MIT */
/* vpjnd map: what is in its files. */
#include "tests/vj_test.h"

#include <errno.h>
#include <sys/stat.h>

#include "host/checked.h"
#include "host/commands.h"
#include "host/h5.h"
#include "host/image.h"
#include "host/jnd_blocks.h"
#include "host/jnd_map.h"
#include "host/rng.h"
#include "host/version.h"
#include "tests/host/jnd_run.h"

enum { WIDTH = 81, HEIGHT = 73, PIXELS = WIDTH * HEIGHT, STAGES = 16 };

static char *folder;
static struct vj_image picture;

static char *path_of(const char *name)
{
    static char path[2][4096];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return path[turn];
}

static int set_up(void **state)
{
    (void)state;
    struct vj_error err = {0};
    folder = vj_test_mkdir();
    assert_int_equal(vj_image_alloc(&picture, WIDTH, HEIGHT, 3, &err), 0);
    for (size_t i = 0; i < PIXELS * 3; i++) {
        uint32_t noise = vj_random4(2, VJ_RNG_TEST, 0, (uint32_t)i).v[0] >> 28;
        size_t x = i / 3 % WIDTH, y = i / 3 / WIDTH;
        picture.data[i] = (uint8_t)(40 + (x / 9 + y / 7 + i % 3) % 5 * 30 + noise);
    }
    return vj_image_write_png(&picture, path_of("p.png"), &err);
}

static int tear_down(void **state)
{
    (void)state;
    vj_image_free(&picture);
    vj_test_rmdir(folder);
    return 0;
}

static int map_command(const char *model, const char *variant, const char *more, const char *out)
{
    char picture_path[4096], output[4096];
    snprintf(picture_path, sizeof(picture_path), "%s", path_of("p.png"));
    snprintf(output, sizeof(output), "%s", path_of(out));
    char *argv[] = {"vpjnd map",  "--model", (char *)model, "--variant",  (char *)variant,
                    picture_path, "-o",      output,        (char *)more, NULL};
    return vj_cmd_map(more ? 9 : 8, argv);
}

static void expect_text(hid_t at, const char *name, const char *expected)
{
    struct vj_error err = {0};
    char text[512];
    if (vj_h5_read_text(at, name, text, sizeof(text), &err))
        fail_msg("%s", err.text);
    assert_string_equal(text, expected);
}

/* A dataset with its description and units, and these values. */
static void expect_plane(hid_t file, const char *path, struct vj_jnd_size size, const float *values,
                         const char *description, const char *units)
{
    struct vj_error err = {0};
    struct vj_h5_info info;
    hid_t set;
    size_t count = size.rows * size.columns;
    float *stored = take(count, sizeof(*stored));
    if (vj_h5_dataset_open(&set, file, path, &info, &err) ||
        vj_h5_dataset_read_floats(set, path, stored, &err))
        fail_msg("%s", err.text);
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.dims[0], size.rows);
    assert_int_equal(info.dims[1], size.columns);
    assert_memory_equal(stored, values, count * sizeof(*values));
    expect_text(set, "description", description);
    assert_int_equal(vj_h5_has(set, "units", &err), units != NULL);
    if (units)
        expect_text(set, "units", units);
    H5Dclose(set);
    free(stored);
}

/* All results of a model, computed here. */
struct results {
    uint8_t luma[PIXELS], cb[PIXELS], cr[PIXELS];
    float map[PIXELS];
    float *stages[STAGES];
};

static void compute(const struct vj_jnd_model *model, size_t variant, struct results *r)
{
    vj_jnd_luma(&picture, r->luma);
    vj_jnd_chroma(&picture, r->cb, r->cr);
    for (size_t s = 0; model->stages[s].name; s++) {
        assert_true(s < STAGES);
        r->stages[s] = take(PIXELS, sizeof(float)); /* no stage has more */
    }
    struct vj_jnd_job job = {.luma = r->luma,
                             .width = WIDTH,
                             .height = HEIGHT,
                             .cb = r->cb,
                             .cr = r->cr,
                             .variant = variant,
                             .map = r->map,
                             .stages = r->stages};
    run_job(model, &job, 1);
}

static void expect_stages(hid_t file, const struct vj_jnd_model *model, size_t variant,
                          const struct results *r)
{
    struct vj_error err = {0};
    for (size_t s = 0; model->stages[s].name; s++) {
        const struct vj_jnd_stage_info *stage = &model->stages[s];
        char path[64];
        snprintf(path, sizeof(path), "/stages/%s", stage->name);
        if (stage->absent >> variant & 1) {
            struct vj_h5_info info;
            hid_t set;
            assert_int_equal(vj_h5_dataset_open(&set, file, path, &info, &err), -ENOENT);
        } else {
            expect_plane(file, path, vj_jnd_stage_size(stage, WIDTH, HEIGHT), r->stages[s],
                         stage->description, stage->units);
        }
    }
}

static void a_map_file_holds_map_and_stages_of_every_model_and_says_what_they_are(void **state)
{
    (void)state;
    const struct vj_jnd_size whole = {HEIGHT, WIDTH};
    struct vj_error err = {0};
    struct results *r = take(1, sizeof(*r));
    for (size_t m = 0; vj_jnd_models[m]; m++) {
        const struct vj_jnd_model *model = vj_jnd_models[m];
        if (model->needs_weights) /* tests/host/test_resjnd.c */
            continue;
        for (size_t v = 0; model->variants[v]; v++) {
            hid_t file;
            int64_t number;
            memset(r, 0, sizeof(*r));
            compute(model, v, r);
            assert_int_equal(map_command(model->name, model->variants[v], "--stages", "m.h5"), 0);
            assert_int_equal(vj_h5_open(&file, path_of("m.h5"), &err), 0);
            expect_text(file, "model", model->name);
            expect_text(file, "variant", model->variants[v]);
            expect_text(file, "reference", model->reference);
            expect_text(file, "source", "p.png");
            expect_text(file, "alpha", "refuse");
            expect_text(file, "program_version", VJ_VERSION);
            assert_int_equal(vj_h5_read_int(file, "schema_version", &number, &err), 0);
            assert_int_equal(number, 2);
            expect_plane(file, "/map", whole, r->map,
                         "just noticeable difference of the luma, height x width", "grey level");
            expect_stages(file, model, v, r);
            assert_int_equal(vj_h5_close(file, "m.h5", &err), 0);
            for (size_t s = 0; s < STAGES; s++)
                free(r->stages[s]);
        }
    }
    free(r);
}

static void without_stages_there_is_the_map_alone(void **state)
{
    (void)state;
    struct vj_error err = {0};
    hid_t file;
    assert_int_equal(map_command("yang05", "paper", "--alpha=white", "alone.h5"), 0);
    assert_int_equal(vj_h5_open(&file, path_of("alone.h5"), &err), 0);
    expect_text(file, "alpha", "white");
    assert_true(H5Lexists(file, "map", H5P_DEFAULT) > 0);
    assert_true(H5Lexists(file, "stages", H5P_DEFAULT) == 0);
    assert_int_equal(vj_h5_close(file, "alone.h5", &err), 0);
}

static void a_png_is_the_scaled_map(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_image png;
    struct results *r = take(1, sizeof(*r));
    uint8_t *expected = take(PIXELS, 1);
    memset(r, 0, sizeof(*r));
    compute(&vj_jnd_klt22, 1, r);
    assert_int_equal(vj_jnd_to_u8(r->map, PIXELS, VJ_JND_MAX, expected, &err), 0);
    assert_int_equal(map_command("klt22", "raw", "--scale=max", "m.png"), 0);
    assert_int_equal(vj_image_read(&png, path_of("m.png"), NULL, &err), 0);
    assert_int_equal(png.channels, 1);
    assert_memory_equal(png.data, expected, PIXELS);
    vj_image_free(&png);
    for (size_t s = 0; s < STAGES; s++)
        free(r->stages[s]);
    free(expected);
    free(r);
}

/* The picture in a folder and in one below it, and a file that is none. */
static void make_tree(void)
{
    struct vj_error err = {0};
    assert_int_equal(mkdir(path_of("tree"), 0777), 0);
    assert_int_equal(mkdir(path_of("tree/sub"), 0777), 0);
    assert_int_equal(vj_image_write_png(&picture, path_of("tree/p.png"), &err), 0);
    assert_int_equal(vj_image_write_png(&picture, path_of("tree/sub/p.png"), &err), 0);
    FILE *f = fopen(path_of("tree/broken.png"), "w");
    assert_non_null(f);
    fputs("no picture", f);
    fclose(f);
}

static void read_map(float *map, const char *name)
{
    struct vj_error err = {0};
    hid_t file;
    assert_int_equal(vj_h5_open(&file, path_of(name), &err), 0);
    hid_t set = H5Dopen2(file, "map", H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, map) >= 0);
    H5Dclose(set);
    assert_int_equal(vj_h5_close(file, name, &err), 0);
}

static int map_tree(const char *format, const char *out)
{
    char tree[4096], output[4096];
    snprintf(tree, sizeof(tree), "%s", path_of("tree"));
    snprintf(output, sizeof(output), "%s", path_of(out));
    char *argv[] = {"vpjnd map", "--model", "yang05", "--format", (char *)format,
                    tree,        "-o",      output,   NULL};
    return vj_cmd_map(8, argv);
}

/* One that cannot be read costs the exit status, not the others' maps. */
static void maps_of_a_folder_lie_as_its_pictures_do(void **state)
{
    (void)state;
    float *single = take(PIXELS, sizeof(*single)), *map = take(PIXELS, sizeof(*map));
    make_tree();
    assert_int_equal(map_command("yang05", "authors", NULL, "single.h5"), 0);
    read_map(single, "single.h5");
    assert_int_equal(map_tree("h5", "maps"), VJ_EXIT_SOME_FAILED);
    read_map(map, "maps/p.h5");
    assert_memory_equal(map, single, PIXELS * sizeof(*map));
    read_map(map, "maps/sub/p.h5");
    assert_memory_equal(map, single, PIXELS * sizeof(*map));
    assert_int_equal(vj_test_entries(path_of("maps")), 2);
    free(single);
    free(map);
}

static void no_map_replaces_a_picture_or_a_file_of_another_kind(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_image kept;
    assert_int_equal(map_tree("png", "tree/../tree"), VJ_EXIT_USAGE);
    assert_int_equal(vj_image_read(&kept, path_of("tree/p.png"), NULL, &err), 0);
    assert_int_equal(kept.channels, 3);
    assert_memory_equal(kept.data, picture.data, PIXELS * 3);
    vj_image_free(&kept);
    /* What stands in the way is found before the first map is written. */
    FILE *f = fopen(path_of("maps/sub/p.h5"), "w");
    assert_non_null(f);
    fputs("notes", f);
    fclose(f);
    assert_int_equal(unlink(path_of("maps/p.h5")), 0);
    assert_int_equal(map_tree("h5", "maps"), VJ_EXIT_USAGE);
    assert_int_equal(access(path_of("maps/p.h5"), F_OK), -1);
    assert_int_equal(map_tree("png", "maps"), VJ_EXIT_SOME_FAILED);
    assert_int_equal(access(path_of("maps/p.png"), F_OK), 0);
    assert_int_equal(access(path_of("maps/sub/p.png"), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_file_holds_map_and_stages_of_every_model_and_says_what_they_are),
        cmocka_unit_test(without_stages_there_is_the_map_alone),
        cmocka_unit_test(a_png_is_the_scaled_map),
        cmocka_unit_test(maps_of_a_folder_lie_as_its_pictures_do),
        cmocka_unit_test(no_map_replaces_a_picture_or_a_file_of_another_kind),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
