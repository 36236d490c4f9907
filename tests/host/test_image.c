/* SPDX-License-Identifier: MIT */
/*
 * Picture files. Golden files and expected JPEG pixels come from tests/golden/image/make.py, which
 * shares nothing with host/image*.c: its own PNG, BMP and PNM writers, Pillow, cjpeg and djpeg.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "host/image.h"
#include "host/image_internal.h"
#include "tests/host/image_bad_files.h"
#include "tests/host/image_good_files.h"
#include "tests/host/image_test_files.h"

#ifndef __has_feature /* clang's way to ask */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VJ_TEST_SANITIZED
#endif

/* ---- good files ---- */

static void check_good(const struct good *g)
{
    struct vj_image img;
    struct vj_image_info info;
    struct vj_error err = {0};
    const struct vj_image_options opt = {.alpha = g->alpha};
    if (vj_image_read(&img, golden(g->file), &opt, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(img.width, WIDTH);
    assert_int_equal(img.height, HEIGHT);
    assert_int_equal(img.channels, g->channels);
    const uint8_t *p = img.data;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < g->channels; c++, p++)
                if (*p != g->expected(x, y, c))
                    fail_msg("%s: (%d, %d, %d) is %d, not %d", g->file, x, y, c, *p,
                             g->expected(x, y, c));
    vj_image_free(&img);

    assert_int_equal(vj_image_probe(&info, golden(g->file), &err), 0);
    assert_int_equal(info.width, WIDTH);
    assert_int_equal(info.height, HEIGHT);
    assert_int_equal(info.channels, g->channels);
    assert_int_equal(info.alpha, g->opaque || g->alpha != VJ_ALPHA_REFUSE);
}

static void png_bmp_and_pnm_files_have_the_samples_they_were_made_from(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++)
        check_good(&goods[i]);
}

static void default_options_refuse_every_kind_of_alpha(void **state)
{
    static const char *const files[] = {
        "grey_alpha.png", "rgb_alpha.png",    "rgb_alpha_i.png", "grey_trns.png",
        "rgb_trns.png",   "palette_trns.png", "alpha_v5.bmp",    "alpha_appended.bmp",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct vj_image img;
        struct vj_error err = {0};
        assert_int_equal(vj_image_read(&img, golden(files[i]), NULL, &err), -ENOTSUP);
        vj_assert_contains(err.text, files[i]);
        vj_assert_contains(err.text, "alpha channel");
        vj_assert_contains(err.text, "with --alpha black or --alpha white");
        assert_zeroed(&img, sizeof(img));
    }
}

static void jpeg_pixels_are_those_of_a_stock_decoder(void **state)
{
    static const struct {
        const char *file, *pixels;
        int channels;
    } cases[] = {
        {"j420.jpg", "j420.raw", 3},        {"j422.jpg", "j422.raw", 3},
        {"j444.jpg", "j444.raw", 3},        {"jgrey.jpg", "jgrey.raw", 1},
        {"jrgb.jpg", "jrgb.raw", 3},        {"jprogressive.jpg", "j420.raw", 3},
        {"jrestart.jpg", "j420.raw", 3},    {"jscans.jpg", "j420.raw", 3},
        {"jarithmetic.jpg", "j420.raw", 3},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct vj_image img;
        struct vj_image_info info;
        struct vj_error err = {0};
        int rc = vj_image_read(&img, golden(cases[i].file), NULL, &err);
        if (rc == -ENOTSUP && strstr(err.text, "arithmetic coding is not supported"))
            continue; /* a library built without it */
        if (rc)
            fail_msg("%s", err.text);
        struct bytes expected = load(cases[i].pixels);
        assert_int_equal(img.width, JPEG_WIDTH);
        assert_int_equal(img.height, JPEG_HEIGHT);
        assert_int_equal(img.channels, cases[i].channels);
        assert_int_equal(expected.size, img.width * img.height * (size_t)img.channels);
        assert_memory_equal(img.data, expected.data, expected.size);
        assert_int_equal(vj_image_probe(&info, golden(cases[i].file), &err), 0);
        assert_int_equal(info.format, VJ_FORMAT_JPEG);
        assert_int_equal(info.width, JPEG_WIDTH);
        assert_int_equal(info.height, JPEG_HEIGHT);
        assert_int_equal(info.channels, cases[i].channels);
        assert_false(info.alpha);
        vj_image_free(&img);
        free(expected.data);
    }
}

static void probe_names_the_format(void **state)
{
    static const struct {
        const char *file;
        enum vj_image_format format;
    } cases[] = {
        {"j420.jpg", VJ_FORMAT_JPEG},
        {"rgb.png", VJ_FORMAT_PNG},
        {"rgb24.bmp", VJ_FORMAT_BMP},
        {"p6.ppm", VJ_FORMAT_PNM},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct vj_image_info info;
        assert_int_equal(vj_image_probe(&info, golden(cases[i].file), NULL), 0);
        assert_int_equal(info.format, cases[i].format);
    }
}

/* A JPEG whose header lies behind comments of `extra` bytes (a multiple of 1024). */
static struct bytes jpeg_behind_comments(size_t extra)
{
    struct bytes jpeg = load("j420.jpg");
    struct bytes b = {calloc(jpeg.size + extra, 1), jpeg.size + extra};
    assert_non_null(b.data);
    memcpy(b.data, jpeg.data, 2);
    for (size_t at = 2; at < 2 + extra; at += 1024)
        memcpy(b.data + at, "\xff\xfe\x03\xfe", 4); /* COM, 1022 bytes with the length */
    memcpy(b.data + 2 + extra, jpeg.data + 2, jpeg.size - 2);
    free(jpeg.data);
    return b;
}

static void probe_finds_a_header_far_into_the_file(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir();
    char *path = join(folder, "far.jpg");
    struct bytes b = jpeg_behind_comments(300 << 10);
    struct vj_image_info info;
    struct vj_error err = {0};
    save(path, b.data, b.size);
    if (vj_image_probe(&info, path, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(info.width, JPEG_WIDTH);
    int qf;
    if (vj_jpeg_file_quality(&qf, path, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(qf, 75);

    /* Nothing comes: the second look fails as the first did. */
    save(path, b.data, 200 << 10);
    assert_int_equal(vj_image_probe(&info, path, &err), -EBADMSG);
    vj_assert_contains(err.text, "cut short");
    assert_zeroed(&info, sizeof(info));
    assert_int_equal(vj_jpeg_file_quality(&qf, path, &err), -EBADMSG);
    vj_assert_contains(err.text, "far.jpg: ");
    free(b.data);
    free(path);
    vj_test_rmdir(folder);
}

static void trailing_bytes_after_jpeg_and_png_do_no_harm(void **state)
{
    static const char *const files[] = {"j420.jpg", "jprogressive.jpg", "rgb.png", "palette8.png"};
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct bytes b = load(files[i]);
        struct vj_image plain, longer;
        assert_int_equal(vj_image_read_memory(&plain, b.data, b.size, "x", NULL, NULL), 0);
        b.data = realloc(b.data, b.size + 1000);
        assert_non_null(b.data);
        memset(b.data + b.size, 'g', 1000);
        assert_int_equal(vj_image_read_memory(&longer, b.data, b.size + 1000, "x", NULL, NULL), 0);
        assert_same_picture(&plain, &longer);
        vj_image_free(&plain);
        vj_image_free(&longer);
        free(b.data);
    }
}

static void unknown_extensions_and_any_case_are_accepted(void **state)
{
    static const char *const names[] = {
        "x", "x.dat", "a.png/x", "x.JPG", "dir.png/x.jpeg", "x.Jpeg", "archive.h5:x", "x."};
    (void)state;
    struct bytes b = load("j420.jpg");
    for (size_t i = 0; i < COUNT(names); i++) {
        struct vj_image img;
        struct vj_error err = {0};
        if (vj_image_read_memory(&img, b.data, b.size, names[i], NULL, &err) != 0)
            fail_msg("%s", err.text);
        vj_image_free(&img);
    }
    free(b.data);
}

static void every_way_to_write_a_pgm_header_is_read(void **state)
{
    static const char *const files[] = {
        "P5 2 1 255\nab",          "P5\n2\n1\n255\rab",      "P5#c\n2#c\n1#c\n255#c\nab",
        "P5\t2\v1\f255 ab",        "P5 # 9 9\n 2 1 255\tab", "P2 2 1 255 97 98",
        "P2 2 1 255#c\n097\n98#c",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct vj_image img;
        struct vj_error err = {0};
        if (vj_image_read_memory(&img, (const uint8_t *)files[i], strlen(files[i]), "x", NULL,
                                 &err))
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(img.width, 2);
        assert_int_equal(img.height, 1);
        assert_memory_equal(img.data, "ab", 2);
        vj_image_free(&img);
    }
}

/* ---- bad files ---- */

static void check_bad(size_t i, const char *folder)
{
    const struct bad *bad = &bads[i];
    struct bytes b = spoil(bad);
    char *path = join(folder, bad->name);
    struct vj_image img;
    struct vj_image_info info;
    struct vj_error err = {0};
    save(path, b.data, b.size);
    int rc = vj_image_read(&img, path, NULL, &err);
    if (rc != bad->code)
        fail_msg("bad file %zu: code %d, not %d: %s", i, rc, bad->code, rc ? err.text : "accepted");
    assert_int_equal(err.code, rc);
    assert_zeroed(&img, sizeof(img));
    vj_assert_contains(err.text, path);
    for (size_t t = 0; t < COUNT(bad->text) && bad->text[t]; t++)
        vj_assert_contains(err.text, bad->text[t]);

    /* The same without a place for the text, and a probe, which may succeed but not crash. */
    assert_int_equal(vj_image_read(&img, path, NULL, NULL), bad->code);
    if (vj_image_probe(&info, path, NULL) != 0)
        assert_zeroed(&info, sizeof(info));
    free(b.data);
    unlink(path);
    free(path);
}

/* A probe looks at the size of the file, not at its pixels, also where it reads a part only. */
static void a_header_that_the_file_is_too_short_for_is_not_believed(void **state)
{
    (void)state;
    enum { ACROSS = 600, DOWN = 50, SAMPLES = ACROSS * DOWN * 3 }; /* 90 kB */
    static const struct {
        const char *name, *header;
        size_t samples, least;
    } cases[] = {
        {"a.ppm", "P6 600 50\n255\n", SAMPLES, SAMPLES},
        {"a.pgm", "P5\n#\n600 50\n255 ", SAMPLES / 3, SAMPLES / 3},
        {"t.ppm", "P3 600 50 255\n", 2 * SAMPLES, 2 * SAMPLES - 1},
    };
    char *folder = vj_test_mkdir();
    struct vj_image_info info;
    struct vj_error err = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *path = join(folder, cases[i].name);
        size_t head = strlen(cases[i].header);
        uint8_t *data = malloc(head + cases[i].samples);
        assert_non_null(data);
        memcpy(data, cases[i].header, head);
        memset(data + head, ' ', cases[i].samples);
        save(path, data, head + cases[i].least);
        if (vj_image_probe(&info, path, &err) != 0)
            fail_msg("%s", err.text);
        assert_int_equal(info.width, ACROSS);
        save(path, data, head + cases[i].least - 1);
        assert_int_equal(vj_image_probe(&info, path, &err), -EBADMSG);
        vj_assert_contains(err.text, "it is cut short, copy it again");
        assert_zeroed(&info, sizeof(info));
        assert_int_equal(vj_image_probe_memory(&info, data, head + 1, "start", &err), 0);
        free(data);
        free(path);
    }
    struct vj_image img;
    char *path = join(folder, "a.bmp");
    assert_int_equal(vj_image_alloc(&img, ACROSS, DOWN, 3, &err), 0);
    memset(img.data, 7, SAMPLES);
    assert_int_equal(vj_image_write_bmp(&img, path, &err), 0);
    assert_int_equal(vj_image_probe(&info, path, &err), 0);
    assert_int_equal(truncate(path, 54 + SAMPLES - 1), 0);
    assert_int_equal(vj_image_probe(&info, path, &err), -EBADMSG);
    vj_assert_contains(err.text, "the picture ends at byte 90054, the file at 90053; it is cut");
    vj_image_free(&img);
    free(path);
    vj_test_rmdir(folder);
}

static void every_bad_file_is_refused_with_its_own_text(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir();
    for (size_t i = 0; i < COUNT(bads); i++)
        check_bad(i, folder);
    vj_test_rmdir(folder);
}

static void assert_refused(const char *path, int code, const char *text)
{
    struct vj_image img;
    struct vj_image_info info;
    struct vj_error err = {0};
    assert_int_equal(vj_image_read(&img, path, NULL, &err), code);
    vj_assert_contains(err.text, path);
    vj_assert_contains(err.text, text);
    assert_zeroed(&img, sizeof(img));
    err.text[0] = '\0';
    assert_int_equal(vj_image_probe(&info, path, &err), code);
    vj_assert_contains(err.text, text);
}

static void what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir();
    char *missing = join(folder, "missing.png");
    char *fifo = join(folder, "fifo.png");
    char *empty = join(folder, "empty.png");
    char *link = join(folder, "dangling.png");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("nowhere", link), 0);
    save(empty, (const uint8_t *)"", 0);
    assert_refused(missing, -ENOENT, "cannot be opened: No such file");
    assert_refused(link, -ENOENT, "cannot be opened: No such file");
    assert_refused(folder, -EISDIR, "is a folder");
    assert_refused(fifo, -EINVAL, "is a FIFO, not a regular file");
    assert_refused("/dev/zero", -EINVAL, "is a device, not a regular file");
    assert_refused(empty, -ENODATA, "is empty (0 bytes)");
    free(missing);
    free(fifo);
    free(empty);
    free(link);
    vj_test_rmdir(folder);
}

static void a_cut_at_any_byte_is_noticed(void **state)
{
    static const char *const files[] = {"j420.jpg", "jprogressive.jpg", "rgb_i.png", "palette4.png",
                                        "pal8.bmp", "masks_v4.bmp",     "p3.ppm",    "p6.ppm"};
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct bytes b = load(files[i]);
        /* Text that ends within its last number, "255\n", is whole to any reader. */
        size_t last = b.size - (strcmp(files[i], "p3.ppm") == 0 ? 3 : 0);
        for (size_t keep = 0; keep < last; keep++) {
            struct vj_image img;
            uint8_t *copy = malloc(keep ? keep : 1); /* exact, for the sanitizer */
            assert_non_null(copy);
            memcpy(copy, b.data, keep);
            int rc = vj_image_read_memory(&img, copy, keep, "x", NULL, NULL);
            if (rc == 0)
                fail_msg("%s cut to %zu bytes was read", files[i], keep);
            free(copy);
        }
        free(b.data);
    }
}

static void any_damaged_byte_of_a_png_is_noticed(void **state)
{
    (void)state;
    struct bytes b = load("rgb_extras.png");
    for (size_t i = 0; i < b.size; i++) {
        struct vj_image img;
        b.data[i] ^= 0x10;
        if (vj_image_read_memory(&img, b.data, b.size, "x", NULL, NULL) == 0)
            fail_msg("damage at byte %zu was not noticed", i);
        b.data[i] ^= 0x10;
    }
    free(b.data);
}

static void max_pixels_is_a_limit_and_not_a_suggestion(void **state)
{
    static const char *const files[] = {"rgb.png", "rgb24.bmp", "p6.ppm"};
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct vj_image img;
        struct vj_error err = {0};
        struct vj_image_options opt = {.max_pixels = WIDTH * HEIGHT};
        assert_int_equal(vj_image_read(&img, golden(files[i]), &opt, &err), 0);
        vj_image_free(&img);
        opt.max_pixels--;
        assert_int_equal(vj_image_read(&img, golden(files[i]), &opt, &err), -EFBIG);
        vj_assert_contains(err.text, "21 x 13 pixels, more than the 272 allowed");
    }
    struct vj_image img;
    const struct vj_image_options opt = {.max_pixels = JPEG_WIDTH * JPEG_HEIGHT - 1};
    assert_int_equal(vj_image_read(&img, golden("j420.jpg"), &opt, NULL), -EFBIG);
}

static void an_alpha_mode_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    struct vj_image img;
    struct vj_error err = {0};
    const struct vj_image_options opt = {.alpha = (enum vj_alpha_mode)3};
    assert_int_equal(vj_image_read(&img, golden("rgb.png"), &opt, &err), -EINVAL);
    vj_assert_contains(err.text, "alpha mode 3");
}

/* A sequential file may repeat a scan as often as it likes, and each costs a pass. */
static void a_jpeg_of_endless_scans_is_refused(void **state)
{
    (void)state;
    struct bytes b = load("jscans.jpg");
    size_t scan = b.size;
    while (b.data[scan - 2] != 0xff || b.data[scan - 1] != 0xda)
        scan--;
    scan -= 2;
    size_t length = b.size - 2 - scan; /* without the end marker */
    static const struct {
        size_t repeats;
        int code;
    } cases[] = {{100, 0}, {197, 0}, {198, -EBADMSG}, {5000, -EBADMSG}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct vj_image img;
        struct vj_error err = {0};
        size_t size = b.size + cases[i].repeats * length;
        uint8_t *data = malloc(size);
        assert_non_null(data);
        memcpy(data, b.data, b.size - 2);
        for (size_t r = 0; r < cases[i].repeats; r++)
            memcpy(data + b.size - 2 + r * length, b.data + scan, length);
        memcpy(data + size - 2, "\xff\xd9", 2);
        assert_int_equal(vj_image_read_memory(&img, data, size, "x.jpg", NULL, &err),
                         cases[i].code);
        if (cases[i].code)
            vj_assert_contains(err.text, "more than 200 scans");
        vj_image_free(&img);
        free(data);
    }
    free(b.data);
}

/* ---- files as bytes ---- */

static void a_file_is_read_whole_and_within_its_limit(void **state)
{
    (void)state;
    struct vj_error err = {0};
    uint8_t *data;
    size_t size;
    assert_int_equal(vj_file_read(&data, &size, golden("rgb.png"), 786, &err), 0);
    assert_int_equal(size, 786);
    assert_memory_equal(data, "\x89PNG", 4);
    assert_memory_equal(data + 778, "IEND\xae\x42\x60\x82", 8);
    free(data);
    assert_int_equal(vj_file_read(&data, &size, golden("rgb.png"), 785, &err), -EFBIG);
    vj_assert_contains(err.text, "786 bytes, more than the 785 allowed");
    assert_null(data);
    assert_int_equal(size, 0);
}

static void a_file_that_changes_while_it_is_read_is_refused(void **state)
{
    static const struct {
        size_t expected;
        const char *text;
    } cases[] = {{785, "grew while it was read (785 bytes at first)"},
                 {787, "shrank while it was read (787 bytes at first)"},
                 {5000, "wait for its writer to finish"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct vj_error err = {0};
        uint8_t *data;
        size_t size;
        int fd = open(golden("rgb.png"), O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(vj_file_read_fd(&data, &size, fd, cases[i].expected, "x.png", &err),
                         -EBUSY);
        vj_assert_contains(err.text, cases[i].text);
        assert_null(data);
        close(fd);
    }
}

/* ---- want of memory ---- */

/* Allows `bytes` more memory than is in use; returns the old limit. */
static struct rlimit limit_memory(size_t bytes)
{
    struct rlimit old;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
    const struct rlimit small = {.rlim_cur = limit, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
    return old;
}

static void check_hungry(const struct hungry *h)
{
    struct bytes b = load(h->file);
    struct bytes large = {calloc(h->bytes, 1), h->bytes};
    assert_non_null(large.data);
    memcpy(large.data, b.data, b.size);
    size_t at = h->at + (h->marker ? find_marker(&b, h->marker) : 0);
    memcpy(large.data + at, h->dimensions, h->length);
    if (strstr(h->file, ".png"))
        repair_crcs(&(struct bytes){large.data, b.size});

    struct vj_image img;
    struct vj_error err = {0};
    const struct vj_image_options opt = {.alpha = VJ_ALPHA_BLACK};
    struct rlimit old = limit_memory((size_t)h->room * LARGE * LARGE + 40 * MEGABYTES);
    int rc = vj_image_read_memory(&img, large.data, large.size, h->file, &opt, &err);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    if (rc != -ENOMEM)
        fail_msg("%s: %d: %s", h->file, rc, err.text);
    vj_assert_contains(err.text, h->file);
    vj_assert_contains(err.text, h->text);
    assert_zeroed(&img, sizeof(img));
    free(large.data);
    free(b.data);
}

static void want_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
#ifdef VJ_TEST_SANITIZED
    print_message("skipped: sanitizers need the address space that this test takes away\n");
    skip();
#endif
    for (size_t i = 0; i < COUNT(hungries); i++)
        check_hungry(&hungries[i]);

    char *folder = vj_test_mkdir();
    char *path = join(folder, "sparse.png");
    struct vj_error err = {0};
    struct bytes b;
    save(path, (const uint8_t *)"", 0);
    assert_int_equal(truncate(path, 900 * (off_t)MEGABYTES), 0);
    struct rlimit old = limit_memory(100 * MEGABYTES);
    int read_rc = vj_file_read(&b.data, &b.size, path, 0, &err);
    const struct vj_image img = {LARGE * 4, LARGE * 4, 1, (uint8_t *)folder}; /* never looked at */
    int encode_rc = vj_jpeg_encode(&b.data, &b.size, &img, 50, VJ_SUBSAMPLING_420, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(read_rc, -ENOMEM);
    vj_assert_contains(err.text, "sparse.png: no memory for 943718401 bytes");
    assert_int_equal(encode_rc, -ENOMEM);
    free(path);
    vj_test_rmdir(folder);
}

/* ---- pictures in memory ---- */

static void allocation_checks_its_sizes(void **state)
{
    (void)state;
    struct vj_image img;
    struct vj_error err = {0};
    assert_int_equal(vj_image_alloc(&img, SIZE_MAX, 2, 1, &err), -EFBIG);
    assert_int_equal(vj_image_alloc(&img, SIZE_MAX / 2, 1, 3, &err), -EFBIG);
    vj_assert_contains(err.text, "does not fit into memory");
#ifndef VJ_TEST_SANITIZED /* a sanitizer stops at such a request instead of returning NULL */
    assert_int_equal(vj_image_alloc(&img, (size_t)1 << 62, 1, 1, &err), -ENOMEM);
#endif
    assert_int_equal(vj_image_alloc(&img, 0, 2, 1, &err), -EINVAL);
    assert_int_equal(vj_image_alloc(&img, 2, 0, 1, &err), -EINVAL);
    assert_int_equal(vj_image_alloc(&img, 2, 2, 2, &err), -EINVAL);
    vj_assert_contains(err.text, "1 or 3 channels, not 2");
    assert_zeroed(&img, sizeof(img));
    vj_image_free(&img);
    assert_int_equal(vj_image_alloc(&img, 5, 3, 3, &err), 0);
    memset(img.data, 1, 45);
    vj_image_free(&img);
    assert_zeroed(&img, sizeof(img));
}

static void grey_becomes_rgb_by_replication(void **state)
{
    (void)state;
    struct vj_image img = make_picture(7, 5, 1);
    struct vj_image old = make_picture(7, 5, 1);
    assert_int_equal(vj_image_to_rgb(&img, NULL), 0);
    assert_int_equal(img.channels, 3);
    for (size_t i = 0; i < 7 * 5 * 3; i++)
        assert_int_equal(img.data[i], old.data[i / 3]);
    const uint8_t *data = img.data;
    assert_int_equal(vj_image_to_rgb(&img, NULL), 0);
    assert_ptr_equal(img.data, data);
    vj_image_free(&img);
    vj_image_free(&old);
}

/* ---- threads ---- */

struct job {
    pthread_t thread;
    const char *folder;
    int failures;
};

/* All threads write the same file: every state of it that shows is a complete one. */
static bool is_written_and_read_back(const struct vj_image *img, const char *path)
{
    struct vj_image back = {0};
    bool same = vj_image_write_png(img, path, NULL) == 0 &&
                vj_image_read(&back, path, NULL, NULL) == 0 &&
                memcmp(img->data, back.data, img->width * img->height * 3) == 0;
    vj_image_free(&back);
    return same;
}

static bool is_read_as_expected(const char *file, bool good, const char *folder)
{
    char path[4200], copy[4200];
    struct vj_image img;
    struct vj_error err = {0};
    snprintf(path, sizeof(path), "%s/image/%s", VJ_TEST_GOLDEN, file);
    snprintf(copy, sizeof(copy), "%s/%s.png", folder, file);
    int rc = vj_image_read(&img, path, NULL, &err);
    if (!good)
        return rc == -EBADMSG && strstr(err.text, file);
    bool same = rc == 0 && is_written_and_read_back(&img, copy);
    vj_image_free(&img);
    return same;
}

static void *work(void *argument)
{
    struct job *job = argument;
    for (int round = 0; round < 50; round++) {
        job->failures += !is_read_as_expected("j420.jpg", true, job->folder);
        job->failures += !is_read_as_expected("rgb_i.png", true, job->folder);
        job->failures += !is_read_as_expected("palette_index.png", false, job->folder);
        job->failures += !is_read_as_expected("tables.jpg", false, job->folder);
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir();
    struct job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){.folder = folder};
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(jobs[i].thread, NULL), 0);
        assert_int_equal(jobs[i].failures, 0);
    }
    assert_int_equal(vj_test_entries(folder), 2);
    vj_test_rmdir(folder);
}

/* ---- real ladders ---- */

static void check_ladder(const char *stem)
{
    for (int i = 1; i <= 100; i++) {
        char name[200];
        struct bytes b;
        struct vj_image img;
        struct vj_error err = {0};
        int qf = 0;
        snprintf(name, sizeof(name), "konjnd/%s_JPEG_%03d.jpg", stem, i);
        const char *path = vj_test_data(name);
        if (vj_file_read(&b.data, &b.size, path, 0, &err) ||
            vj_jpeg_quality(&qf, b.data, b.size, path, &err) ||
            vj_image_read_memory(&img, b.data, b.size, path, NULL, &err))
            fail_msg("%s", err.text);
        assert_int_equal(qf, i);
        assert_int_equal(img.width, 640);
        assert_int_equal(img.height, 480);
        assert_int_equal(img.channels, 3);
        vj_image_free(&img);
        free(b.data);
    }
}

static void real_ladders_decode_and_their_index_is_their_quality(void **state)
{
    (void)state;
    vj_require_data("konjnd/gui/Study_SRC0366_JPEG_100.jpg");
    vj_require_data("konjnd/locjnd/Study_SRC0013_JPEG_100.jpg");
    check_ladder("gui/Study_SRC0366");
    check_ladder("locjnd/Study_SRC0013");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_bmp_and_pnm_files_have_the_samples_they_were_made_from),
        cmocka_unit_test(default_options_refuse_every_kind_of_alpha),
        cmocka_unit_test(jpeg_pixels_are_those_of_a_stock_decoder),
        cmocka_unit_test(probe_names_the_format),
        cmocka_unit_test(probe_finds_a_header_far_into_the_file),
        cmocka_unit_test(trailing_bytes_after_jpeg_and_png_do_no_harm),
        cmocka_unit_test(unknown_extensions_and_any_case_are_accepted),
        cmocka_unit_test(every_way_to_write_a_pgm_header_is_read),
        cmocka_unit_test(every_bad_file_is_refused_with_its_own_text),
        cmocka_unit_test(a_header_that_the_file_is_too_short_for_is_not_believed),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(a_cut_at_any_byte_is_noticed),
        cmocka_unit_test(any_damaged_byte_of_a_png_is_noticed),
        cmocka_unit_test(max_pixels_is_a_limit_and_not_a_suggestion),
        cmocka_unit_test(an_alpha_mode_that_does_not_exist_is_refused),
        cmocka_unit_test(a_jpeg_of_endless_scans_is_refused),
        cmocka_unit_test(a_file_is_read_whole_and_within_its_limit),
        cmocka_unit_test(a_file_that_changes_while_it_is_read_is_refused),
        cmocka_unit_test(want_of_memory_is_an_error_like_any_other),
        cmocka_unit_test(allocation_checks_its_sizes),
        cmocka_unit_test(grey_becomes_rgb_by_replication),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(real_ladders_decode_and_their_index_is_their_quality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
