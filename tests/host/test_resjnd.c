/* SPDX-License-Identifier: MIT */
/*
 * resjnd24 against PyTorch (tests/golden/resjnd/make.py), and against plain loops over the whole
 * picture for every shape that tiles and stripes could get wrong.
 */
#include "tests/host/jnd_run.h"

#include <errno.h>
#include <math.h>

#include "host/pth.h"
#include "host/resjnd.h"

/* Grey levels; single precision against double. PyTorch's own single precision is off by 1.5e-5. */
static const double limit = 1e-4;

enum { WIDTH = 70, HEIGHT = 61 };

static char *folder;
static char file[600];
static struct vj_resjnd_file weights;
static struct vj_jnd_model *model;

static const char *golden(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/resjnd/%s", VJ_TEST_GOLDEN, name);
    return path;
}

/* Import, write, and read what all tests use. */
static int set_up(void **state)
{
    (void)state;
    struct vj_error err = {0};
    folder = vj_test_mkdir();
    snprintf(file, sizeof(file), "%s/net.h5", folder);
    if (vj_resjnd_import(&weights, golden("net.pth"), &err) ||
        vj_resjnd_file_write(&weights, file, &err) ||
        vj_jnd_load(&model, vj_jnd_find("resjnd24", &err), file, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vj_jnd_unload(model);
    vj_resjnd_file_free(&weights);
    vj_test_rmdir(folder);
    return 0;
}

static void map_of(const struct vj_image *img, int threads, float *map, float *const *stages)
{
    struct vj_jnd_job job = {
        .width = img->width, .height = img->height, .picture = img, .map = map, .stages = stages};
    run_job(model, &job, threads);
}

static void read_floats(const char *name, float *values, size_t count)
{
    FILE *f = fopen(golden(name), "rb");
    assert_non_null(f);
    assert_int_equal(fread(values, sizeof(*values), count, f), count);
    fclose(f);
}

static void assert_close(const float *ours, const float *exact, size_t count, const char *what)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst =
            fmax(worst, isfinite(ours[i]) ? fabs((double)ours[i] - (double)exact[i]) : INFINITY);
    print_message("%s: largest difference %.2g grey levels\n", what, worst);
    assert_true(worst <= limit);
}

static void map_and_lossless_picture_are_those_of_PyTorch(void **state)
{
    (void)state;
    static float map[WIDTH * HEIGHT], expected[WIDTH * HEIGHT];
    static float cpl[3][WIDTH * HEIGHT], expected_cpl[3 * WIDTH * HEIGHT];
    float *const stages[] = {cpl[0], cpl[1], cpl[2]};
    struct vj_image img = {0};
    struct vj_error err = {0};
    assert_int_equal(vj_image_read(&img, golden("picture.ppm"), NULL, &err), 0);
    map_of(&img, 2, map, stages);
    read_floats("map.f32", expected, WIDTH * HEIGHT);
    read_floats("cpl.f32", expected_cpl, 3 * WIDTH * HEIGHT);
    assert_close(map, expected, WIDTH * HEIGHT, "map");
    assert_close(cpl[0], expected_cpl, 3 * WIDTH * HEIGHT, "lossless picture");
    vj_image_free(&img);
}

/* ---- plain loops, in double ---- */

static double *convolve(const double *from, size_t in, const struct vj_tensor *t, size_t width,
                        size_t height)
{
    size_t out = t->shape[3];
    double *to = vj_calloc(width * height * out, sizeof(*to));
    assert_non_null(to);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t k = 0; k < 9; k++) {
                size_t sy = y + k / 3 - 1, sx = x + k % 3 - 1; /* -1 becomes a huge one */
                if (sy >= height || sx >= width)
                    continue;
                for (size_t i = 0; i < in; i++)
                    for (size_t o = 0; o < out; o++)
                        to[(y * width + x) * out + o] += from[(sy * width + sx) * in + i] *
                                                         (double)t->data[(k * in + i) * out + o];
            }
    return to;
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static void plain_map(const struct vj_image *img, float *map)
{
    size_t pixels = img->width * img->height, w = weights.width, n = pixels * w;
    const struct vj_tensor *t = weights.weights.tensors;
    double *x = vj_calloc(3 * pixels, sizeof(*x)), *h = vj_calloc(n, sizeof(*h));
    assert_non_null(x);
    assert_non_null(h);
    for (size_t i = 0; i < 3 * pixels; i++)
        x[i] = img->data[img->channels == 3 ? i : i / 3] / 255.0;
    double *a = convolve(x, 3, &t[VJ_RESJND_IN], img->width, img->height);
    memcpy(h, a, n * sizeof(*h));
    for (int k = 0; k < VJ_RESJND_RECURSIONS; k++) {
        for (size_t i = 0; i < n; i++)
            h[i] = relu(h[i]);
        double *middle = convolve(h, w, &t[VJ_RESJND_CONV1], img->width, img->height);
        for (size_t i = 0; i < n; i++)
            middle[i] = relu(middle[i]);
        free(h);
        h = convolve(middle, w, &t[VJ_RESJND_CONV2], img->width, img->height);
        free(middle);
        for (size_t i = 0; i < n; i++)
            h[i] += relu(a[i]);
    }
    for (size_t i = 0; i < n; i++)
        h[i] = relu(h[i]);
    double *out = convolve(h, w, &t[VJ_RESJND_OUT], img->width, img->height);
    for (size_t p = 0; p < pixels; p++) {
        double sum = 0;
        for (size_t c = 0; c < 3; c++)
            sum += 255 * out[3 * p + c] * 255 * out[3 * p + c];
        map[p] = (float)sqrt(sum / 3);
    }
    free(x);
    free(h);
    free(a);
    free(out);
}

static void make_picture(struct vj_image *img, size_t width, size_t height, int channels)
{
    uint32_t noise = 24;
    *img = (struct vj_image){0};
    assert_int_equal(vj_image_alloc(img, width, height, channels, NULL), 0);
    for (size_t i = 0; i < width * height * (size_t)channels; i++) {
        noise = noise * 1664525u + 1013904223u;
        size_t x = i / (size_t)channels % width, y = i / (size_t)channels / width;
        img->data[i] = (uint8_t)(90 * (x / 11 % 2) + 70 * (y / 13 % 2) + (noise >> 26));
    }
}

static void maps_of_all_shapes_are_those_of_plain_loops(void **state)
{
    (void)state;
    const struct {
        size_t width, height;
        int channels;
    } cases[] = {{1, 1, 3},  {33, 2, 3},  {2, 95, 3}, {32, 32, 3},
                 {1, 64, 1}, {65, 31, 1}, {31, 52, 3}};
    static float map[2048], expected[2048];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vj_image img;
        char what[64];
        make_picture(&img, cases[i].width, cases[i].height, cases[i].channels);
        map_of(&img, 1, map, NULL);
        plain_map(&img, expected);
        snprintf(what, sizeof(what), "%zux%zu", img.width, img.height);
        assert_close(map, expected, img.width * img.height, what);
        vj_image_free(&img);
    }
}

/* ---- tiles and threads ---- */

static void maps_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    enum { W = 150, H = 90 };
    static float one[W * H], more[W * H];
    struct vj_image img;
    make_picture(&img, W, H, 3);
    map_of(&img, 1, one, NULL);
    for (int threads = 2; threads <= 5; threads += 3) {
        memset(more, 0, sizeof(more));
        map_of(&img, threads, more, NULL);
        assert_memory_equal(one, more, sizeof(one));
    }
    vj_image_free(&img);
}

/* A part of the picture, whose tiles and stripes lie elsewhere, away from where its own border
 * shows. */
static void values_do_not_depend_on_where_tiles_and_stripes_lie(void **state)
{
    (void)state;
    enum { W = 150, H = 141, LEFT = 13, TOP = 7, R = VJ_RESJND_RADIUS };
    enum { PART_W = W - LEFT, PART_H = H - TOP };
    static float whole[W * H], part[PART_W * PART_H];
    struct vj_image img, cut;
    make_picture(&img, W, H, 3);
    assert_int_equal(vj_image_alloc(&cut, PART_W, PART_H, 3, NULL), 0);
    for (size_t y = 0; y < PART_H; y++)
        memcpy(cut.data + y * PART_W * 3, img.data + ((y + TOP) * W + LEFT) * 3,
               (size_t)PART_W * 3);
    map_of(&img, 2, whole, NULL);
    map_of(&cut, 2, part, NULL);
    bool border_shows = false;
    for (size_t y = 0; y < PART_H; y++)
        for (size_t x = 0; x < PART_W; x++) {
            bool same = part[y * PART_W + x] == whole[(y + TOP) * W + x + LEFT];
            if (x >= R && y >= R)
                assert_true(same); /* right and lower borders are the same in both */
            else
                border_shows = border_shows || !same;
        }
    assert_true(border_shows);
    vj_image_free(&img);
    vj_image_free(&cut);
}

static void memory_does_not_grow_with_the_height_and_sizes_are_checked(void **state)
{
    (void)state;
    size_t low = vj_jnd_workspace_bytes(model, 200, 10, 2);
    assert_int_equal(vj_jnd_workspace_bytes(model, 200, 100000, 2), low);
    assert_true(vj_jnd_workspace_bytes(model, 200, 10, 3) > low);
    assert_int_equal(vj_jnd_workspace_bytes(model, SIZE_MAX / 2, 3, 1), 0);
    assert_int_equal(vj_jnd_workspace_bytes(model, SIZE_MAX / 4096, 3, 1), 0);

    struct vj_error err = {0};
    struct vj_jnd_workspace *ws;
    struct vj_image img;
    float map[64];
    make_picture(&img, 8, 8, 3);
    struct vj_jnd_job job = {.width = 8, .height = 8, .map = map};
    assert_int_equal(vj_jnd_workspace_create(&ws, vj_jnd_workspace_bytes(model, 8, 8, 1), 1, &err),
                     0);
    assert_int_equal(vj_jnd_run(model, &job, ws, &err), -EINVAL);
    vj_assert_contains(err.text, "needs the picture itself");
    job.width = 9;
    job.picture = &img;
    assert_int_equal(vj_jnd_run(model, &job, ws, &err), -ENOBUFS);
    vj_jnd_workspace_free(ws);
    vj_image_free(&img);
}

/* ---- weight files ---- */

static void names_and_nesting_of_the_imported_file_do_not_matter(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_resjnd_file nested = {0}, back = {0};
    assert_int_equal(vj_resjnd_import(&nested, golden("nested.pth"), &err), 0);
    assert_int_equal(vj_weights_hash(&nested.weights, &err), 0);
    assert_int_equal(vj_resjnd_file_read(&back, file, &err), 0);
    assert_int_equal(back.width, 8);
    assert_string_equal(back.source, "net.pth");
    assert_string_equal(back.source_sha256, weights.source_sha256);
    assert_string_not_equal(nested.source_sha256, weights.source_sha256);
    assert_string_equal(nested.weights.sha256, back.weights.sha256);
    assert_string_equal(model->weights_sha256, back.weights.sha256);
    vj_resjnd_file_free(&nested);
    vj_resjnd_file_free(&back);
}

static void without_weights_the_error_says_how_to_get_them(void **state)
{
    (void)state;
    struct vj_error err = {0};
    const struct vj_jnd_model *bare = vj_jnd_find("resjnd24", &err);
    struct vj_jnd_model *loaded;
    struct vj_image img;
    float map[64];
    make_picture(&img, 8, 8, 3);
    assert_int_equal(vj_jnd_compute("resjnd24", NULL, &img, map, &err), -EINVAL);
    vj_assert_contains(err.text, "vpjnd import FILE.pth");
    assert_int_equal(vj_jnd_load(&loaded, bare, "", &err), -EINVAL);
    vj_assert_contains(err.text, "option jnd_weights");
    assert_int_equal(vj_jnd_load(&loaded, bare, "/nonexistent.h5", &err), -ENOENT);
    assert_int_equal(vj_jnd_load(&loaded, bare, golden("net.pth"), &err), -EINVAL);
    vj_assert_contains(err.text, "net.pth");
    assert_int_equal(vj_jnd_load(&loaded, vj_jnd_find("epc17", &err), file, &err), -EINVAL);
    vj_assert_contains(err.text, "epc17 has no weights");
    assert_null(loaded);
    vj_image_free(&img);
}

static void a_file_with_other_numbers_than_it_records_is_refused(void **state)
{
    (void)state;
    struct vj_error err = {0};
    struct vj_resjnd_file back = {0};
    char copy[600], wanted[32];
    static unsigned char bytes[1 << 20];
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof(bytes), f), at = 0;
    fclose(f);
    memcpy(wanted, weights.weights.tensors[1].data, sizeof(wanted));
    while (at + sizeof(wanted) <= size && memcmp(bytes + at, wanted, sizeof(wanted)) != 0)
        at++;
    assert_true(at + sizeof(wanted) <= size);
    bytes[at] ^= 1;
    snprintf(copy, sizeof(copy), "%s/copy.h5", folder);
    f = fopen(copy, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
    assert_int_equal(vj_resjnd_file_read(&back, copy, &err), -EINVAL);
    vj_assert_contains(err.text, "copy.h5");
    vj_assert_contains(err.text, "changed or damaged");
    vj_resjnd_file_free(&back);
    assert_int_equal(vj_resjnd_file_alloc(&back, VJ_RESJND_WIDTH_MAX + 1, &err), -EINVAL);
    vj_assert_contains(err.text, "1025");
    vj_resjnd_file_free(&back);
}

/* ---- files of other networks ---- */

static void import_fails(const char *name, const char *expected)
{
    struct vj_error err = {0};
    struct vj_resjnd_file none = {0};
    assert_int_equal(vj_resjnd_import(&none, golden(name), &err), -EINVAL);
    vj_assert_contains(err.text, name);
    vj_assert_contains(err.text, expected);
    vj_resjnd_file_free(&none);
}

static void files_of_other_networks_are_refused_by_tensor(void **state)
{
    (void)state;
    import_fails("biased.pth", "holds 5 tensors");
    import_fails("larger.pth", "tensor conv2.weight [8, 8, 5, 5] is none of the network's");
    import_fails("twice.pth", "tensor again [8, 3, 3, 3] is there too often");
    import_fails("nan.pth", "tensor output.weight has values that are infinite");
    import_fails("three.pth", "with 3 channels the layers cannot be told apart");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_and_lossless_picture_are_those_of_PyTorch),
        cmocka_unit_test(maps_of_all_shapes_are_those_of_plain_loops),
        cmocka_unit_test(maps_have_the_same_bits_on_any_number_of_threads),
        cmocka_unit_test(values_do_not_depend_on_where_tiles_and_stripes_lie),
        cmocka_unit_test(memory_does_not_grow_with_the_height_and_sizes_are_checked),
        cmocka_unit_test(names_and_nesting_of_the_imported_file_do_not_matter),
        cmocka_unit_test(without_weights_the_error_says_how_to_get_them),
        cmocka_unit_test(a_file_with_other_numbers_than_it_records_is_refused),
        cmocka_unit_test(files_of_other_networks_are_refused_by_tensor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
