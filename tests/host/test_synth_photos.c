/* SPDX-License-Identifier: MIT */
/* `vpjnd synth --photos`: which files, which windows of them, their pixels, labels and list. */
#include "tests/vj_test.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sys/stat.h>

#include "datasets/generator.h"
#include "host/synth_photos.h"
#include "tests/datasets/tree.h"
#include "tests/host/synth_rig.h"

enum { WIDTH = 208, HEIGHT = 177 };

/* ---- photographs ---- */

static void write_ppm(const struct vj_image *img, const char *path)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fprintf(f, "P%d\n%zu %zu\n255\n", img->channels == 1 ? 5 : 6, img->width, img->height);
    size_t size = img->width * img->height * (size_t)img->channels;
    assert_int_equal(fwrite(img->data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void write_jpeg(const struct vj_image *img, const char *path)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(vj_jpeg_encode(&data, &size, img, 95, VJ_SUBSAMPLING_444, NULL), 0);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    free(data);
}

/* Writes ROOT/<name> in the format that the name ends in. */
static void write_picture(const char *root, const char *name, const struct vj_image *img)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    tree_make_parents(path);
    const char *dot = strrchr(name, '.');
    if (strcmp(dot, ".png") == 0)
        assert_int_equal(vj_image_write_png(img, path, NULL), 0);
    else if (strcmp(dot, ".bmp") == 0)
        assert_int_equal(vj_image_write_bmp(img, path, NULL), 0);
    else if (strcmp(dot, ".jpg") == 0)
        write_jpeg(img, path);
    else
        write_ppm(img, path);
}

/* A photograph like one; slow to make. */
static void write_painting(const char *root, const char *name, size_t width, size_t height)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, 3, NULL), 0);
    assert_int_equal(vj_generate_picture(img.data, width, height, 77, (uint32_t)width, NULL), 0);
    write_picture(root, name, &img);
    vj_image_free(&img);
}

static void write_pattern(const char *root, const char *name, size_t width, size_t height,
                          size_t mask)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, 3, NULL), 0);
    for (size_t i = 0; i < width * height * 3; i++) {
        size_t x = i / 3 % width, y = i / 3 / width, c = i % 3;
        img.data[i] = (uint8_t)((3 * x * x + 5 * x * y + y * y + 31 * c + (x ^ y)) & mask);
    }
    write_picture(root, name, &img);
    vj_image_free(&img);
}

/* The stand-in photographs of tests/golden/synth/make_windows.py. */
static void write_formula(const char *root, const char *name, size_t width, size_t height)
{
    write_pattern(root, name, width, height, 255);
}

/* Faint grain: quick to make, and quick to judge because its JND is near QF 90. */
static void write_photo(const char *root, const char *name, size_t width, size_t height)
{
    write_pattern(root, name, width, height, 15);
}

static void write_grey_photo(const char *root, const char *name, size_t width, size_t height)
{
    struct vj_image img;
    assert_int_equal(vj_image_alloc(&img, width, height, 1, NULL), 0);
    for (size_t i = 0; i < width * height; i++)
        img.data[i] = (uint8_t)(i % width * (i / width) & 15);
    write_picture(root, name, &img);
    vj_image_free(&img);
}

/* Three photographs of which only the largest can be reduced; in order: a/tower.jpg, grey.pgm,
 * lake.png. */
static char *make_photos(void (*write)(const char *root, const char *name, size_t width,
                                       size_t height))
{
    char *root = vj_test_mkdir();
    write(root, "lake.png", 640, 540);
    write(root, "a/tower.jpg", 230, 300);
    write_grey_photo(root, "grey.pgm", 220, 190);
    return root;
}

/* ---- running the command ---- */

/* Exit status of `synth -o FOLDER --size 208x177 --photos PHOTOS MORE`. */
static int cut_into(const char *folder, const char *photos, const char *more, char *errors,
                    size_t size)
{
    char words[9000];
    snprintf(words, sizeof(words), "-o %s --size %dx%d --photos %s %s", folder, WIDTH, HEIGHT,
             photos, more);
    return synth_run(words, errors, size);
}

static char *make_set(const char *photos, const char *more)
{
    char errors[4000], *folder = vj_test_mkdir();
    int status = cut_into(folder, photos, more, errors, sizeof(errors));
    if (status != VJ_EXIT_OK || *errors)
        fail_msg("synth --photos %s %s: status %d, '%s'", photos, more, status, errors);
    return folder;
}

static char *read_text(const char *root, const char *name)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(vj_file_read(&data, &size, tree_path(root, name), 0, NULL), 0);
    char *text = realloc(data, size + 1);
    assert_non_null(text);
    text[size] = '\0';
    return text;
}

/* ---- windows ---- */

/* A row of tests/golden/synth/windows.csv. */
struct row {
    uint64_t seed;
    int shrink, fade, expose, camera, factor, clipped, contrast;
    struct vj_camera steps;
    char name[80], sha256[VJ_SHA256_HEX];
    size_t width, height, x, y;
};

/* Returns the number of rows. */
static size_t read_rows(struct row *rows, size_t max)
{
    char line[300];
    size_t count = 0;
    FILE *f = fopen(VJ_TEST_GOLDEN "/synth/windows.csv", "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f)); /* heading */
    while (fgets(line, sizeof(line), f)) {
        assert_true(count < max);
        struct row *r = &rows[count++];
        struct vj_camera *s = &r->steps;
        int grey, sampling, end = 0;
        assert_int_equal(sscanf(line, "%" SCNu64 ",%d,%d,%d,%d,%79[^,],%zu,%zu,%zu,%zu,%d,%d,%d,%n",
                                &r->seed, &r->shrink, &r->fade, &r->expose, &r->camera, r->name,
                                &r->width, &r->height, &r->x, &r->y, &r->factor, &r->clipped,
                                &r->contrast, &end),
                         13);
        assert_int_equal(sscanf(line + end, "%d,%d,%d,%d,%d,%d,%d,%d,%64s", &s->enlarge, &s->grain,
                                &s->sharpen, &grey, &s->qf, &sampling, &s->left, &s->above,
                                r->sha256),
                         9);
        s->grey = grey == 1;
        s->sampling = (enum vj_subsampling)sampling;
    }
    fclose(f);
    return count;
}

static void add_photo(struct vj_photos *photos, const char *root, const char *name)
{
    struct vj_error err = {0};
    if (vj_photos_add(photos, tree_path(root, name), &err))
        fail_msg("%s", err.text);
}

static void plan(struct vj_photos *photos, const struct vj_window_options *opt)
{
    struct vj_error err = {0};
    if (vj_photos_plan(photos, opt, 1, &err))
        fail_msg("%s", err.text);
}

static void expect_pixels(const struct vj_photo *photo, const struct vj_window *window,
                          const char *sha256)
{
    struct vj_image img, cut;
    struct vj_sha256 s;
    char hex[VJ_SHA256_HEX];
    assert_int_equal(vj_photo_read(&img, photo, NULL), 0);
    assert_int_equal(vj_image_alloc(&cut, WIDTH, HEIGHT, 3, NULL), 0);
    assert_int_equal(vj_window_cut(&cut, &img, window, NULL), 0);
    assert_int_equal(vj_sha256_begin(&s, NULL), 0);
    assert_int_equal(vj_sha256_add(&s, cut.data, WIDTH * HEIGHT * 3, NULL), 0);
    assert_int_equal(vj_sha256_end(&s, hex, NULL), 0);
    assert_string_equal(hex, sha256);
    vj_image_free(&cut);
    vj_image_free(&img);
}

/* The seed of the grain shows in the pixels. */
static void expect_steps(const struct vj_camera *camera, const struct vj_camera *expected)
{
    assert_int_equal(camera->enlarge, expected->enlarge);
    assert_int_equal(camera->grain, expected->grain);
    assert_int_equal(camera->sharpen, expected->sharpen);
    assert_int_equal(camera->grey, expected->grey);
    assert_int_equal(camera->qf, expected->qf);
    assert_int_equal(camera->sampling, expected->sampling);
    assert_int_equal(camera->left, expected->left);
    assert_int_equal(camera->above, expected->above);
}

/* Rows of one seed and one choice of options. */
static void check_rows(const struct row *rows, size_t count)
{
    char *root = vj_test_mkdir();
    struct vj_photos photos = {0};
    const struct vj_window_options opt = {.width = WIDTH,
                                          .height = HEIGHT,
                                          .crops = 6,
                                          .seed = rows[0].seed,
                                          .shrink = rows[0].shrink == 1,
                                          .fade = rows[0].fade == 1,
                                          .expose = rows[0].expose == 1,
                                          .camera = rows[0].camera == 1};
    for (size_t i = 0; i < count; i++) {
        if (i && strcmp(rows[i].name, rows[i - 1].name) == 0)
            continue;
        write_formula(root, rows[i].name, rows[i].width, rows[i].height);
        add_photo(&photos, root, rows[i].name);
    }
    plan(&photos, &opt);
    assert_int_equal(photos.refused, 0);
    assert_int_equal(photos.windows, count);
    for (size_t i = 0; i < count; i++) {
        const struct vj_window *w = &photos.window[i];
        assert_string_equal(photos.photo[w->photo].name, rows[i].name);
        assert_int_equal(w->x, rows[i].x);
        assert_int_equal(w->y, rows[i].y);
        assert_int_equal(w->factor, rows[i].factor);
        assert_int_equal(w->clipped, rows[i].clipped);
        assert_int_equal(w->contrast, rows[i].contrast);
        expect_steps(&w->camera, &rows[i].steps);
        expect_pixels(&photos.photo[w->photo], w, rows[i].sha256);
    }
    vj_photos_free(&photos);
    vj_test_rmdir(root);
}

static void windows_and_their_pixels_are_those_of_a_second_implementation(void **state)
{
    (void)state;
    static struct row rows[400];
    size_t count = read_rows(rows, 400), groups = 0, faded = 0, white = 0, black = 0;
    size_t enlarged = 0, grainy = 0, sharpened = 0, grey = 0, compressed = 0, full_chroma = 0;
    bool factor_seen[VJ_SHRINK_MAX + 1] = {false};
    for (size_t first = 0, end; first < count; first = end, groups++) {
        for (end = first;
             end < count && rows[end].seed == rows[first].seed &&
             rows[end].shrink == rows[first].shrink && rows[end].fade == rows[first].fade &&
             rows[end].expose == rows[first].expose && rows[end].camera == rows[first].camera;
             end++) {
            factor_seen[rows[end].factor] = true;
            faded += rows[end].contrast < VJ_CONTRAST_FULL;
            white += rows[end].clipped > 0;
            black += rows[end].clipped < 0;
            enlarged += rows[end].steps.enlarge > VJ_ENLARGE_NONE;
            grainy += rows[end].steps.grain > 0;
            sharpened += rows[end].steps.sharpen > 0;
            grey += rows[end].steps.grey;
            compressed += rows[end].steps.qf > 0;
            full_chroma += rows[end].steps.sampling == VJ_SUBSAMPLING_444;
        }
        check_rows(rows + first, end - first);
    }
    assert_int_equal(groups, 14);
    assert_true(faded > 20 && white > 10 && black > 10 && enlarged > 20 && grainy > 5);
    assert_true(sharpened > 10 && grey > 0 && compressed > 20 && full_chroma > 0);
    assert_true(factor_seen[1] && factor_seen[2] && factor_seen[3]);
}

static void windows_are_the_same_in_other_company_and_after_a_limit(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    write_photo(root, "one/p.png", 500, 400);
    write_photo(root, "two/q.png", 640, 540);
    struct vj_photos both = {0}, alone = {0};
    struct vj_window_options opt = {
        .width = WIDTH, .height = HEIGHT, .crops = 5, .seed = 4, .shrink = true};
    add_photo(&both, root, "one");
    add_photo(&both, root, "two");
    plan(&both, &opt);
    assert_int_equal(both.windows, 10);
    opt.limit = 3;
    add_photo(&alone, root, "two/q.png");
    plan(&alone, &opt);
    assert_int_equal(alone.windows, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(alone.window[i].x, both.window[5 + i].x);
        assert_int_equal(alone.window[i].y, both.window[5 + i].y);
        assert_int_equal(alone.window[i].factor, both.window[5 + i].factor);
    }
    vj_photos_free(&alone);
    vj_photos_free(&both);
    vj_test_rmdir(root);
}

static void a_photograph_that_changed_meanwhile_is_noticed(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    struct vj_photos photos = {0};
    struct vj_image img;
    struct vj_error err = {0};
    const struct vj_window_options opt = {.width = WIDTH, .height = HEIGHT, .crops = 1};
    write_photo(root, "p.png", 500, 400);
    add_photo(&photos, root, "p.png");
    plan(&photos, &opt);
    assert_int_equal(vj_photo_read(&img, &photos.photo[0], NULL), 0);
    vj_image_free(&img);
    write_photo(root, "p.png", 500, 401);
    assert_int_equal(vj_photo_read(&img, &photos.photo[0], &err), -ESTALE);
    vj_assert_contains(err.text, "p.png: was changed during the run");
    assert_null(img.data);
    vj_photos_free(&photos);
    vj_test_rmdir(root);
}

/* ---- which files ---- */

static void photographs_come_in_the_order_of_options_and_paths(void **state)
{
    (void)state;
    static const char *const files[] = {"b.png",         "a/z.png",          "a.JPG",
                                        "_drafts/q.png", ".hidden/q.png",    ".q.png",
                                        "_lead.jpeg",    "notes.txt",        "set/SYNTHETIC.txt",
                                        "set/p.png",     "set/deeper/p.png", "d/e/f.Ppm",
                                        "d/e.bmp",       "d/e/x.png/y.pgm",  "z"};
    static const char *const expected[] = {"z",       "notes.txt", "_lead.jpeg", "a/z.png",
                                           "a.JPG",   "b.png",     "d/e/f.Ppm",  "d/e/x.png/y.pgm",
                                           "d/e.bmp", "q.png"};
    char *root = vj_test_mkdir();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        tree_write(root, files[i], "never opened");
    struct vj_photos photos = {0};
    add_photo(&photos, root, "z"); /* a file is taken whatever its name */
    add_photo(&photos, root, "notes.txt");
    add_photo(&photos, root, ".");
    add_photo(&photos, root, "_drafts"); /* and a folder that is named */
    assert_int_equal(photos.count, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < photos.count; i++)
        assert_string_equal(photos.photo[i].name, expected[i]);
    assert_string_equal(photos.photo[0].path, tree_path(root, "z"));
    vj_photos_free(&photos);
    vj_test_rmdir(root);
}

static void expect_no_photos(const char *root, const char *name, int code, const char *text)
{
    struct vj_photos photos = {0};
    struct vj_error err = {0};
    assert_int_equal(vj_photos_add(&photos, tree_path(root, name), &err), code);
    vj_assert_contains(err.text, text);
    vj_photos_free(&photos);
}

static void places_without_photographs_are_refused(void **state)
{
    (void)state;
    char *root = vj_test_mkdir();
    tree_write(root, "text/notes.txt", "x");
    tree_write(root, "set/SYNTHETIC.txt", "x");
    tree_write(root, "set/p.png", "x");
    tree_write(root, "loop/p.txt", "x");
    assert_int_equal(symlink(".", tree_path(root, "loop/again")), 0);
    expect_no_photos(root, "absent", -ENOENT, "absent: No such file");
    expect_no_photos(root, "text", -ENOENT, "text: holds no photograph");
    expect_no_photos(root, "set", -ENOENT, "set: holds no photograph");
    expect_no_photos(root, "loop", -ELOOP, "is there a loop of links?");
    vj_test_rmdir(root);
}

static void what_gives_no_window_is_left_out_by_name(void **state)
{
    (void)state;
    char errors[6000], *root = vj_test_mkdir(), *folder = vj_test_mkdir();
    write_photo(root, "a.png", 300, 200);
    write_photo(root, "b/a copy.png", 300, 200);
    write_photo(root, "narrow.png", 207, 300);
    write_photo(root, "low.jpg", 300, 176);
    write_photo(root, "line\nbreak.png", 300, 200);
    write_painting(root, "z.ppm", 208, 177);
    tree_write(root, "broken.png", "no picture");
    tree_write(root, "empty.bmp", "");
    assert_int_equal(symlink("nowhere.png", tree_path(root, "gone.png")), 0);
    assert_int_equal(mkfifo(tree_path(root, "pipe.png"), 0600), 0);
    assert_int_equal(cut_into(folder, root, "--crops 2", errors, sizeof(errors)),
                     VJ_EXIT_SOME_FAILED);
    vj_assert_contains(errors, "b/a copy.png: is the same file as ");
    vj_assert_contains(errors, "narrow.png: 207x300 is smaller than the window, 208x177");
    vj_assert_contains(errors, "low.jpg: 300x176 is smaller than the window, 208x177");
    vj_assert_contains(errors, "break.png: the name holds a control character");
    vj_assert_contains(errors, "left out: ");
    vj_assert_contains(errors, "broken.png");
    vj_assert_contains(errors, "empty.bmp");
    vj_assert_contains(errors, "gone.png: cannot be opened: No such file");
    assert_null(strstr(errors, "pipe.png"));
    assert_null(strstr(errors, "z.ppm"));
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    assert_int_equal(vj_dataset_count(ds), 3); /* z.ppm holds a single window */
    assert_int_equal(count_broken(ds), 0);
    vj_dataset_close(ds);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

static void nothing_is_written_without_a_window(void **state)
{
    (void)state;
    char errors[4000], *root = vj_test_mkdir(), *folder = vj_test_mkdir();
    write_photo(root, "narrow.png", 207, 300);
    assert_int_equal(cut_into(folder, root, "--procedural 2", errors, sizeof(errors)),
                     VJ_EXIT_USAGE);
    vj_assert_contains(errors, "narrow.png: 207x300 is smaller");
    vj_assert_contains(errors, "no window of 208x177");
    assert_int_equal(cut_into(folder, "/nonexistent/photos", "", errors, sizeof(errors)),
                     VJ_EXIT_USAGE);
    vj_assert_contains(errors, "/nonexistent/photos");
    write_photo(root, "good.png", 640, 540);
    assert_int_equal(cut_into(folder, root, "--procedural 9998 --crops 3", errors, sizeof(errors)),
                     VJ_EXIT_USAGE);
    vj_assert_contains(errors, "beside 9998 procedural ones at most 1 windows, and the photo");
    assert_int_equal(rmdir(folder), 0); /* still empty */
    free(folder);
    vj_test_rmdir(root);
}

/* ---- the set ---- */

/* Mean of the photograph's factor x factor samples that sample i of the window is made of. */
static int sample(const struct vj_image *photo, size_t x0, size_t y0, size_t factor, size_t i)
{
    size_t channels = (size_t)photo->channels;
    size_t x = (x0 + i / 3 % WIDTH) * factor, y = (y0 + i / 3 / WIDTH) * factor;
    double sum = 0;
    for (size_t k = 0; k < factor * factor; k++)
        sum += photo->data[((y + k / factor) * photo->width + x + k % factor) * channels +
                           i % 3 % channels];
    return (int)(sum / (double)(factor * factor) + 0.5);
}

/* The picture as it should be: means over the photograph's own pixels, halves up, drawn together
 * around the mean of the channel to contrast/256. */
static void check_window(const struct vj_image *source, const struct vj_image *photo, size_t x0,
                         size_t y0, size_t factor, int contrast)
{
    const size_t pixels = WIDTH * (size_t)HEIGHT;
    double mean[3] = {0};
    assert_true((x0 + WIDTH) * factor <= photo->width && (y0 + HEIGHT) * factor <= photo->height);
    for (size_t i = 0; i < pixels * 3; i++)
        mean[i % 3] += sample(photo, x0, y0, factor, i) / (double)pixels;
    for (size_t i = 0; i < pixels * 3; i++) {
        double m = floor(mean[i % 3] + 0.5), v = sample(photo, x0, y0, factor, i);
        int expected = (int)floor(m + (v - m) * contrast / 256 + 0.5);
        if (source->data[i] != expected)
            fail_msg("sample %zu is %d, not %d", i, source->data[i], expected);
    }
}

/* Picture `number` against the window that the marker's line tells; faded: its contrast is lower.
 */
static void check_picture(const struct vj_dataset *ds, const char *root, const char *line,
                          size_t number, bool faded)
{
    size_t stated, x, y, factor;
    int contrast = 256;
    char name[200];
    struct vj_image source, photo;
    if (sscanf(line, "window = %zu x %zu y %zu factor %zu of %199[^\n]", &stated, &x, &y, &factor,
               name) != 5)
        assert_int_equal(sscanf(line,
                                "window = %zu x %zu y %zu factor %zu contrast %d/256 of %199[^\n]",
                                &stated, &x, &y, &factor, &contrast, name),
                         6);
    assert_int_equal(contrast < 256, faded);
    assert_int_equal(stated, number);
    struct vj_item item = synth_item(ds, number - 1);
    assert_int_equal(item.id, number);
    assert_int_equal(vj_image_read(&source, item.source, NULL, NULL), 0);
    assert_int_equal(vj_image_read(&photo, tree_path(root, name), NULL, NULL), 0);
    assert_int_equal(source.width, WIDTH);
    assert_int_equal(source.height, HEIGHT);
    assert_int_equal(source.channels, 3);
    check_window(&source, &photo, x, y, factor, contrast);
    if (number % 3 == 0) /* one of the windows of every photograph; each takes 100 encodings */
        assert_int_equal(item.qf_true, synth_observe(&source));
    vj_image_free(&photo);
    vj_image_free(&source);
    vj_item_free(&item);
}

/* All windows of a set, from picture `first` on; fade: every second one of a photograph is faded.
 * Returns how many there are. */
static size_t check_pictures(const char *folder, const char *root, size_t first, bool fade)
{
    char *text = read_text(folder, "SYNTHETIC.txt");
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    size_t windows = 0, of_photo = 0;
    for (char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n')) {
        if (strncmp(line, "\nphotograph = ", 14) == 0)
            of_photo = 0;
        if (strncmp(line, "\nwindow = ", 10) == 0)
            check_picture(ds, root, line + 1, first + windows++, fade && of_photo++ % 2 == 1);
    }
    assert_int_equal(vj_dataset_count(ds), first - 1 + windows);
    vj_dataset_close(ds);
    free(text);
    return windows;
}

static void pictures_are_the_listed_windows_with_the_observers_label(void **state)
{
    (void)state;
    char *root = make_photos(write_painting),
         *folder = make_set(root, "--crops 3 --shrink --seed 2");
    assert_int_equal(check_pictures(folder, root, 1, false), 9);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

static void every_second_window_of_a_photograph_is_faded(void **state)
{
    (void)state;
    char *root = make_photos(write_painting),
         *folder = make_set(root, "--crops 3 --shrink --fade --seed 2");
    assert_int_equal(check_pictures(folder, root, 1, true), 9);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

/* The picture's share of samples that are white (black) against the window's line. */
static void check_exposure(const char *folder, const char *line, size_t number, bool exposed)
{
    char tone[8] = "";
    int parts = 0;
    size_t found = 0;
    struct vj_image source;
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    struct vj_item item = synth_item(ds, number - 1);
    int fields = sscanf(line, "window = %*u x %*u y %*u factor 1 %7s %d/256", tone, &parts);
    assert_int_equal(fields, exposed ? 2 : 1);
    assert_int_equal(vj_image_read(&source, item.source, NULL, NULL), 0);
    for (size_t i = 0; i < WIDTH * (size_t)HEIGHT * 3; i++)
        found += source.data[i] == (strcmp(tone, "white") == 0 ? 255 : 0);
    if (exposed) {
        assert_true(strcmp(tone, "white") == 0 || strcmp(tone, "black") == 0);
        vj_assert_in_range(parts, 26, 154);
        assert_true(found * 256 >= (size_t)parts * WIDTH * HEIGHT * 3);
    }
    vj_image_free(&source);
    vj_item_free(&item);
    vj_dataset_close(ds);
}

static void two_of_every_four_windows_of_a_photograph_are_exposed(void **state)
{
    (void)state;
    char *root = make_photos(write_painting), *folder = make_set(root, "--crops 4 --expose");
    char *text = read_text(folder, "SYNTHETIC.txt");
    size_t windows = 0, of_photo = 0;
    for (char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n')) {
        if (strncmp(line, "\nphotograph = ", 14) == 0)
            of_photo = 0;
        if (strncmp(line, "\nwindow = ", 10) == 0)
            check_exposure(folder, line + 1, ++windows, of_photo++ % 4 >= 2);
    }
    assert_int_equal(windows, 12);
    free(text);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

/* The steps follow from make_windows.py's drawn_camera(). */
static void steps_of_cameras_are_listed_and_read_back(void **state)
{
    (void)state;
    static const char *const steps[] = {
        "",
        "",
        "",
        "",
        " enlarged 22/16 grain 42/16 grey jpeg 83 420 left 3 above 4",
        " sharpened 12/16 grey",
        " enlarged 25/16",
        " enlarged 29/16 grain 19/16 sharpened 23/16 jpeg 86 420 left 0 above 1",
    };
    char *root = vj_test_mkdir();
    write_photo(root, "tower.jpg", 230, 300);
    char *folder = make_set(root, "--crops 8 --camera --seed 3");
    char *text = read_text(folder, "SYNTHETIC.txt"), *line = strstr(text, "\nwindow = ");
    vj_assert_contains(text, "\ncamera = yes\n");
    for (size_t i = 0; i < 8; i++, line = strchr(line + 1, '\n')) {
        char expected[200];
        snprintf(expected, sizeof(expected), " factor 1%s of tower.jpg\n", steps[i]);
        const char *found = strstr(line, " factor ");
        if (!found || strncmp(found, expected, strlen(expected)) != 0)
            fail_msg("not '%s' in '%.120s'", expected, line);
    }
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    assert_int_equal(vj_dataset_count(ds), 8);
    assert_int_equal(count_broken(ds), 0);
    vj_dataset_close(ds);
    free(text);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

static void procedural_pictures_stand_in_front(void **state)
{
    (void)state;
    char *root = make_photos(write_photo),
         *folder = make_set(root, "--procedural 2 --seed 5 --count 2");
    assert_int_equal(check_pictures(folder, root, 3, false), 2);
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    for (uint32_t i = 0; i < 2; i++) {
        struct vj_item item = synth_item(ds, i);
        struct vj_image written, made;
        assert_int_equal(vj_image_read(&written, item.source, NULL, NULL), 0);
        assert_int_equal(vj_image_alloc(&made, WIDTH, HEIGHT, 3, NULL), 0);
        assert_int_equal(vj_generate_picture(made.data, WIDTH, HEIGHT, 5, i, NULL), 0);
        assert_memory_equal(written.data, made.data, WIDTH * HEIGHT * 3);
        vj_image_free(&made);
        vj_image_free(&written);
        vj_item_free(&item);
    }
    vj_dataset_close(ds);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

static void the_marker_tells_what_the_pictures_are(void **state)
{
    (void)state;
    char *root = make_photos(write_photo),
         *folder = make_set(root, "--procedural 1 --crops 2 --seed 8");
    char *text = read_text(folder, "SYNTHETIC.txt");
    static const char *const parts[] = {
        "Windows of photographs",
        "NOT human data",
        "\nobserver = largest QF whose MS-SSIM",
        ("\nprocedural = 1\nwindows = 6\ncount = 7\nsize = 208x177\nseed = 8\ncrops = 2\n"
         "shrink = no\nfade = no\n"),
        "\nphotograph = 230x300 sha256 ",
        " a/tower.jpg\nwindow = 2 x ",
        " factor 1 of a/tower.jpg\nwindow = 3 x ",
        " factor 1 of a/tower.jpg\nphotograph = 220x190 sha256 ",
        " grey.pgm\nwindow = 4 x ",
        " factor 1 of grey.pgm\nphotograph = 640x540 sha256 ",
        " lake.png\nwindow = 6 x ",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        vj_assert_contains(text, parts[i]);
    struct vj_dataset *ds = synth_open(folder, "synthesize");
    assert_false(vj_dataset_info(ds)->human_labels);
    vj_assert_contains(vj_dataset_info(ds)->label_definition, "synthetic observer");
    vj_dataset_close(ds);
    free(text);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

static void threads_and_repeats_change_no_byte(void **state)
{
    (void)state;
    char errors[2000], *root = make_photos(write_photo);
    char *one = make_set(root, "--crops 2 --shrink --files --procedural 1 --threads 1");
    char *many = make_set(root, "--crops 2 --shrink --files --procedural 1 --threads 3");
    assert_int_equal(synth_compare_trees(one, many), 0);
    assert_int_equal(
        cut_into(many, root, "--crops 2 --shrink --procedural 1", errors, sizeof(errors)),
        VJ_EXIT_OK);
    assert_int_equal(synth_compare_trees(one, many), 0);
    vj_test_rmdir(one);
    vj_test_rmdir(many);
    vj_test_rmdir(root);
}

static void expect_other_settings(const char *folder, const char *photos, const char *more)
{
    char errors[2000];
    assert_int_equal(cut_into(folder, photos, more, errors, sizeof(errors)), VJ_EXIT_USAGE);
    vj_assert_contains(errors, "other settings");
}

static void a_folder_of_other_windows_is_left_alone(void **state)
{
    (void)state;
    char words[4500], errors[2000], *root = make_photos(write_photo);
    char *folder = make_set(root, "--count 2"), *copy = make_set(root, "--count 2");
    expect_other_settings(folder, root, "--count 3");
    expect_other_settings(folder, root, "--count 2 --seed 2");
    expect_other_settings(folder, root, "--count 2 --procedural 1");
    expect_other_settings(folder, root, "--count 2 --fade");
    expect_other_settings(folder, tree_path(root, "lake.png"), "");
    snprintf(words, sizeof(words), "-o %s --size %dx%d --count 2", folder, WIDTH, HEIGHT);
    assert_int_equal(synth_run(words, errors, sizeof(errors)), VJ_EXIT_USAGE);
    vj_assert_contains(errors, "other settings");

    write_photo(root, "zoo.png", 300, 300); /* gives none of the first two windows */
    assert_int_equal(cut_into(folder, root, "--count 2", errors, sizeof(errors)), VJ_EXIT_OK);
    assert_int_equal(synth_compare_trees(folder, copy), 0);
    write_painting(root, "a/tower.jpg", 230, 300); /* the same name and size, another picture */
    expect_other_settings(folder, root, "--count 2");
    assert_int_equal(synth_compare_trees(folder, copy), 0);
    vj_test_rmdir(copy);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

/* The marker with the first `from` after `after` replaced by `to`. */
static char *damage(const char *text, const char *after, const char *from, const char *to)
{
    const char *at = strstr(text, after);
    at = at ? strstr(at, from) : NULL;
    char *damaged = NULL;
    if (!at || asprintf(&damaged, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
        fail_msg("no '%s' after '%s' in the marker", from, after);
    return damaged;
}

static void damage_of_the_marker_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *after, *from, *to, *error;
    } cases[] = {
        {"", "windows = 4", "windows = 5", "lists 4 windows of photographs where windows = 5"},
        {"", "windows = 4\n", "", "lists 4 windows of photographs where windows = 0"},
        {"", "windows = 4", "windows = 4.5", "windows '4.5' is not a whole number 1..9999"},
        {"", "count = 5", "count = 6", "1 procedural pictures and 4 windows are not count = 6"},
        {"", "procedural = 1", "procedural = 0", "window 2 stands where 1 is expected"},
        {"", "procedural = 1", "procedural = -1", "'-1' is not a whole number 0..9999"},
        {"", "window = 4", "window = 5", "window 5 stands where 4 is expected"},
        {"", "window = 4", "#indow = 4", "window 5 stands where 4 is expected"},
        {"", "window = 4 x ", "window = 4 z ",
         "is not of the form NUMBER x X y Y factor F [white|black S/256] [contrast"},
        {"window = 4", "factor 1", "factor 1 grain 9/256",
         "is not of the form NUMBER x X y Y factor F [white|black S/256] [contrast"},
        {"window = 4", "factor 1", "factor 1 grey enlarged 20/16",
         "is not of the form NUMBER x X y Y factor F [white|black S/256] [contrast"},
        {"window = 4", "factor 1", "factor 1 jpeg 80 420 left 3",
         "is not of the form NUMBER x X y Y factor F [white|black S/256] [contrast"},
        {"window = 4", "factor 1", "factor 4",
         "is not of the form NUMBER x X y Y factor F [white|black S/256] [contrast"},
        {"window = 4", " of p b.png", " of ",
         "is not of the form NUMBER x X y Y factor F [white|black S/256] [contrast"},
        {"window = 4", "p b.png", "p c.png", "is of 'p c.png', but stands below photograph 'p b."},
        {"", "photograph = ", "#", "window 2 is of 'a.png', but stands below photograph '(none)'"},
        {"photograph", " sha256 ", " sha1 ", "is not of the form WIDTHxHEIGHT sha256 DIGEST NAME"},
        {"sha256", " a.png", "", "is not of the form WIDTHxHEIGHT sha256 DIGEST NAME"},
        {"photograph", "sha256 ", "sha256 0", "is not of the form WIDTHxHEIGHT sha256 DIGEST"},
    };
    char *root = vj_test_mkdir();
    write_photo(root, "a.png", 300, 250);
    write_photo(root, "p b.png", 300, 260);
    char *folder = make_set(root, "--procedural 1 --crops 2");
    char *text = read_text(folder, "SYNTHETIC.txt");
    const struct vj_dataset_options opt = {.root = folder, .candidates = "synthesize"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *damaged = damage(text, cases[i].after, cases[i].from, cases[i].to);
        tree_write(folder, "SYNTHETIC.txt", damaged);
        expect_refusal("synthetic", &opt, -EINVAL, cases[i].error);
        free(damaged);
    }
    *strstr(text, "window = 5") = '\0'; /* cut short between two lines */
    tree_write(folder, "SYNTHETIC.txt", text);
    expect_refusal("synthetic", &opt, -EINVAL, "lists 3 windows of photographs where windows = 4");
    free(text);
    vj_test_rmdir(folder);
    vj_test_rmdir(root);
}

static void wrong_usage_is_explained(void **state)
{
    (void)state;
    static const struct {
        const char *words, *answer;
    } cases[] = {
        {"-o x --crops 2", "go with --photos"},
        {"-o x --shrink", "go with --photos"},
        {"-o x --procedural 3", "go with --photos"},
        {"-o x --photos p --crops 0", "--crops: '0' is not a whole number 1..9999"},
        {"-o x --photos p --procedural 9999", "--procedural: '9999' is not a whole number 0..9998"},
        {"-o x --photos p --procedural -1", "--procedural: '-1'"},
        {"--photos p", "-o DIR"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char errors[2000];
        assert_true(synth_run(cases[i].words, errors, sizeof(errors)) != VJ_EXIT_OK);
        vj_assert_contains(errors, cases[i].answer);
    }
    assert_int_not_equal(access("x", F_OK), 0);
}

static void real_photographs_give_sound_sets(void **state)
{
    (void)state;
    vj_require_data("photos/kodak");
    char root[4096];
    snprintf(root, sizeof(root), "%s", vj_test_data("photos/kodak"));
    char *folder = make_set(root, "--crops 2 --shrink --count 6");
    assert_int_equal(check_pictures(folder, root, 1, false), 6);
    vj_test_rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_and_their_pixels_are_those_of_a_second_implementation),
        cmocka_unit_test(windows_are_the_same_in_other_company_and_after_a_limit),
        cmocka_unit_test(a_photograph_that_changed_meanwhile_is_noticed),
        cmocka_unit_test(photographs_come_in_the_order_of_options_and_paths),
        cmocka_unit_test(places_without_photographs_are_refused),
        cmocka_unit_test(what_gives_no_window_is_left_out_by_name),
        cmocka_unit_test(nothing_is_written_without_a_window),
        cmocka_unit_test(pictures_are_the_listed_windows_with_the_observers_label),
        cmocka_unit_test(every_second_window_of_a_photograph_is_faded),
        cmocka_unit_test(two_of_every_four_windows_of_a_photograph_are_exposed),
        cmocka_unit_test(steps_of_cameras_are_listed_and_read_back),
        cmocka_unit_test(procedural_pictures_stand_in_front),
        cmocka_unit_test(the_marker_tells_what_the_pictures_are),
        cmocka_unit_test(threads_and_repeats_change_no_byte),
        cmocka_unit_test(a_folder_of_other_windows_is_left_alone),
        cmocka_unit_test(damage_of_the_marker_is_reported),
        cmocka_unit_test(wrong_usage_is_explained),
        cmocka_unit_test(real_photographs_give_sound_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
