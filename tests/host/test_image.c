/* SPDX-License-Identifier: MIT */
/*
 * Picture files. Golden files and expected JPEG pixels come from tests/golden/image/make.py, which
 * shares nothing with host/image*.c: its own PNG, BMP and PNM writers, Pillow, cjpeg and djpeg.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
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

#define JPEG_WIDTH  37
#define JPEG_HEIGHT 29

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
    assert_int_equal(info.alpha, g->alpha != VJ_ALPHA_REFUSE);
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
        vj_assert_contains(err.text, "set alpha to black or white");
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

    /* Nothing comes: the second look fails as the first did. */
    save(path, b.data, 200 << 10);
    assert_int_equal(vj_image_probe(&info, path, &err), -EBADMSG);
    vj_assert_contains(err.text, "cut short");
    assert_zeroed(&info, sizeof(info));
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

/* ---- writing ---- */

typedef int write_fn(const struct vj_image *img, const char *path, struct vj_error *err);

static void what_is_written_is_read_back(void **state)
{
    static const struct {
        write_fn *write;
        const char *name;
        int same_channels;
    } cases[] = {{vj_image_write_png, "x.png", 1}, {vj_image_write_bmp, "x.bmp", 0}};
    (void)state;
    char *folder = vj_test_mkdir();
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *path = join(folder, cases[i].name);
        for (size_t width = 1; width <= 9; width++) {
            for (int channels = 1; channels <= 3; channels += 2) {
                struct vj_error err = {0};
                struct vj_image out = make_picture(width, 10 - width, channels), in;
                if (cases[i].write(&out, path, &err) || vj_image_read(&in, path, NULL, &err))
                    fail_msg("%s", err.text);
                if (!cases[i].same_channels)
                    assert_int_equal(vj_image_to_rgb(&out, NULL), 0);
                assert_same_picture(&in, &out);
                vj_image_free(&in);
                vj_image_free(&out);
            }
        }
        free(path);
    }
    assert_int_equal(vj_test_entries(folder), 2);
    vj_test_rmdir(folder);
}

static void written_headers_are_as_promised(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir();
    char *png = join(folder, "x.png");
    char *bmp = join(folder, "x.bmp");
    struct vj_image img;
    struct vj_error err = {0};
    struct bytes expected = load("written.bmp"), got;
    assert_int_equal(vj_image_read(&img, golden("rgb.png"), NULL, &err), 0);

    mode_t old = umask(027);
    assert_int_equal(vj_image_write_bmp(&img, bmp, &err), 0);
    umask(old);
    struct stat st;
    assert_int_equal(stat(bmp, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(vj_file_read(&got.data, &got.size, bmp, 0, &err), 0);
    assert_int_equal(got.size, expected.size);
    assert_memory_equal(got.data, expected.data, got.size);
    free(got.data);
    free(expected.data);

    assert_int_equal(vj_image_write_png(&img, png, &err), 0);
    assert_int_equal(vj_file_read(&got.data, &got.size, png, 0, &err), 0);
    assert_memory_equal(got.data,
                        "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x15\0\0\0\x0d\x08\x02\0\0\0", 29);
    free(got.data);
    vj_image_free(&img);
    free(png);
    free(bmp);
    vj_test_rmdir(folder);
}

static void assert_write_fails(write_fn *write, const struct vj_image *img, const char *path,
                               int code, const char *text)
{
    struct vj_error err = {0};
    assert_int_equal(write(img, path, &err), code);
    vj_assert_contains(err.text, path);
    vj_assert_contains(err.text, text);
}

/* Writes with files limited to `limit` bytes, which fails as a full disk does. */
static void check_full_disk(write_fn *write, const struct vj_image *img, const char *path,
                            rlim_t limit)
{
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = limit, .rlim_max = old.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct vj_error err = {0};
    int rc = write(img, path, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, -EFBIG);
    vj_assert_contains(err.text, path);
    vj_assert_contains(err.text, "cannot be written: File too large");
}

static void a_failed_write_leaves_the_old_file_and_nothing_else(void **state)
{
    static write_fn *const writers[] = {vj_image_write_png, vj_image_write_bmp};
    (void)state;
    char *folder = vj_test_mkdir();
    char *taken = join(folder, "folder.png");
    char *nowhere = join(folder, "no/such/x.png");
    char *path = join(folder, "x.dat");
    struct vj_image img = make_picture(200, 200, 3);
    assert_int_equal(mkdir(taken, 0700), 0);
    save(path, (const uint8_t *)"old", 3);
    for (size_t i = 0; i < COUNT(writers); i++) {
        assert_write_fails(writers[i], &img, taken, -EISDIR, "cannot be written");
        assert_write_fails(writers[i], &img, nowhere, -ENOENT,
                           "cannot create a file in its folder");
        check_full_disk(writers[i], &img, path, 1000); /* while it is written */
        check_full_disk(writers[i], &img, path, 20);   /* the very header */
        struct bytes b;
        assert_int_equal(vj_file_read(&b.data, &b.size, path, 0, NULL), 0);
        assert_int_equal(b.size, 3);
        assert_memory_equal(b.data, "old", 3);
        free(b.data);
        assert_int_equal(vj_test_entries(folder), 2);
    }
    vj_image_free(&img);

    /* So small that it fails only when the buffer is flushed. */
    img = make_picture(2, 2, 3);
    for (size_t i = 0; i < COUNT(writers); i++)
        check_full_disk(writers[i], &img, path, 20);
    assert_int_equal(vj_test_entries(folder), 2);
    vj_image_free(&img);
    free(taken);
    free(nowhere);
    free(path);
    vj_test_rmdir(folder);
}

static void pictures_no_file_can_hold_are_refused(void **state)
{
    (void)state;
    char *folder = vj_test_mkdir();
    char *path = join(folder, "x");
    uint8_t pixel[3] = {0};
    const struct vj_image empty = {0};
    const struct vj_image two = {.width = 1, .height = 1, .channels = 2, .data = pixel};
    /* The pixels are not there, but nobody may get so far as to look. */
    const struct vj_image wide = {
        .width = (size_t)1 << 31, .height = 1, .channels = 3, .data = pixel};
    const struct vj_image large = {.width = 40000, .height = 40000, .channels = 3, .data = pixel};
    assert_write_fails(vj_image_write_png, &empty, path, -EINVAL, "empty");
    assert_write_fails(vj_image_write_bmp, &empty, path, -EINVAL, "empty");
    assert_write_fails(vj_image_write_png, &two, path, -EINVAL, "2 channels");
    assert_write_fails(vj_image_write_bmp, &two, path, -EINVAL, "2 channels");
    assert_write_fails(vj_image_write_png, &wide, path, -EFBIG, "do not fit into a PNG file");
    assert_write_fails(vj_image_write_bmp, &wide, path, -EFBIG, "do not fit into a BMP file");
    assert_write_fails(vj_image_write_bmp, &large, path, -EFBIG, "do not fit into a BMP file");
    assert_int_equal(vj_test_entries(folder), 0);

    char endless[6000];
    const struct vj_image small = {1, 1, 3, pixel};
    memset(endless, 'x', sizeof(endless));
    endless[sizeof(endless) - 1] = '\0';
    assert_int_equal(vj_image_write_png(&small, endless, NULL), -ENAMETOOLONG);
    assert_int_equal(vj_image_write_bmp(&small, endless, NULL), -ENAMETOOLONG);

    struct vj_error err = {0};
    uint8_t *data;
    size_t size;
    const struct vj_image tall = {.width = 1, .height = 65501, .channels = 1, .data = pixel};
    const struct vj_image one = {.width = 1, .height = 1, .channels = 1, .data = pixel};
    assert_int_equal(vj_jpeg_encode(&data, &size, &empty, 50, VJ_SUBSAMPLING_420, &err), -EINVAL);
    assert_int_equal(vj_jpeg_encode(&data, &size, &two, 50, VJ_SUBSAMPLING_420, &err), -EINVAL);
    assert_int_equal(vj_jpeg_encode(&data, &size, &tall, 50, VJ_SUBSAMPLING_420, &err), -EFBIG);
    vj_assert_contains(err.text, "65500");
    assert_int_equal(vj_jpeg_encode(&data, &size, &one, 0, VJ_SUBSAMPLING_420, &err), -EINVAL);
    assert_int_equal(vj_jpeg_encode(&data, &size, &one, 101, VJ_SUBSAMPLING_420, &err), -EINVAL);
    vj_assert_contains(err.text, "quality 101 is outside 1..100");
    assert_int_equal(vj_jpeg_encode(&data, &size, &one, 50, (enum vj_subsampling)422, &err),
                     -EINVAL);
    vj_assert_contains(err.text, "sampling 422");
    assert_null(data);
    free(path);
    vj_test_rmdir(folder);
}

/* ---- JPEG quality and encoding ---- */

static void encoded_files_are_those_of_pillow_byte_by_byte(void **state)
{
    (void)state;
    struct bytes source = load("source.raw");
    struct vj_image img = {JPEG_WIDTH, JPEG_HEIGHT, 3, source.data};
    struct vj_image one;
    assert_int_equal(vj_image_alloc(&one, JPEG_WIDTH, JPEG_HEIGHT, 1, NULL), 0);
    for (size_t i = 0; i < JPEG_WIDTH * JPEG_HEIGHT; i++)
        one.data[i] = source.data[3 * i + 1];
    const struct {
        const char *file;
        const struct vj_image *img;
        int qf;
        enum vj_subsampling sampling;
    } cases[] = {{"j420.jpg", &img, 75, VJ_SUBSAMPLING_420},
                 {"j444.jpg", &img, 75, VJ_SUBSAMPLING_444},
                 {"jgrey.jpg", &one, 60, VJ_SUBSAMPLING_444},
                 {"jgrey.jpg", &one, 60, VJ_SUBSAMPLING_420}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes expected = load(cases[i].file), got;
        struct vj_error err = {0};
        assert_int_equal(vj_jpeg_encode(&got.data, &got.size, cases[i].img, cases[i].qf,
                                        cases[i].sampling, &err),
                         0);
        assert_int_equal(got.size, expected.size);
        assert_memory_equal(got.data, expected.data, got.size);
        free(got.data);
        free(expected.data);
    }
    vj_image_free(&one);
    free(source.data);
}

/* Noise at quality 100 needs more than the encoder's first buffer: it has to grow. */
static void a_file_larger_than_its_picture_is_encoded_whole(void **state)
{
    (void)state;
    struct vj_image img = make_picture(301, 203, 3), back;
    struct bytes b;
    struct vj_error err = {0};
    uint32_t seed = 1;
    for (size_t i = 0; i < img.width * img.height * 3; i++) {
        seed = seed * 1664525 + 1013904223;
        img.data[i] = (uint8_t)(seed >> 24);
    }
    assert_int_equal(vj_jpeg_encode(&b.data, &b.size, &img, 100, VJ_SUBSAMPLING_444, &err), 0);
    assert_true(b.size > img.width * img.height * 2);
    assert_int_equal(vj_image_read_memory(&back, b.data, b.size, "x.jpg", NULL, &err), 0);
    for (size_t i = 0; i < img.width * img.height * 3; i++)
        assert_true(abs(img.data[i] - back.data[i]) <= 8);
    vj_image_free(&img);
    vj_image_free(&back);
    free(b.data);
}

static void every_quality_is_recognised_from_the_tables(void **state)
{
    (void)state;
    struct vj_image colour = make_picture(17, 9, 3), one = make_picture(17, 9, 1);
    const struct {
        const struct vj_image *img;
        enum vj_subsampling sampling;
    } kinds[] = {
        {&colour, VJ_SUBSAMPLING_420}, {&colour, VJ_SUBSAMPLING_444}, {&one, VJ_SUBSAMPLING_420}};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (int qf = 1; qf <= 100; qf++) {
            struct bytes b;
            struct vj_error err = {0};
            int found = 0;
            assert_int_equal(
                vj_jpeg_encode(&b.data, &b.size, kinds[k].img, qf, kinds[k].sampling, &err), 0);
            if (vj_jpeg_quality(&found, b.data, b.size, "x.jpg", &err) != 0)
                fail_msg("%d: %s", qf, err.text);
            assert_int_equal(found, qf);
            free(b.data);
        }
    }
    vj_image_free(&colour);
    vj_image_free(&one);
}

static void quality_of_files_by_other_encoders(void **state)
{
    static const struct {
        const char *file;
        int rc, qf;
        const char *text;
    } cases[] = {
        {"j420.jpg", 0, 75, NULL},
        {"jgrey.jpg", 0, 60, NULL},
        {"jprogressive.jpg", 0, 75, NULL},
        {"q30_wide.jpg", 0, 30, NULL}, /* 16-bit entries, small */
        {"q5_wide.jpg", 0, 5, NULL},   /* 16-bit entries above 255 */
        {"q_custom.jpg", -ENOENT, 0, "of no IJG quality 1..100"},
        {"q30_chroma.jpg", -ENOENT, 0, "the luma table is that of quality 30 but the chroma table"},
        {"jrgb.jpg", -ENOENT, 0, "coded as RGB"},
        {"cmyk.jpg", -ENOTSUP, 0, "CMYK"},
        {"tables.jpg", -EBADMSG, 0, "tables only"},
        {"rgb.png", -EBADMSG, 0, "JPEG"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes b = load(cases[i].file);
        struct vj_error err = {0};
        int qf = -1;
        assert_int_equal(vj_jpeg_quality(&qf, b.data, b.size, cases[i].file, &err), cases[i].rc);
        assert_int_equal(qf, cases[i].qf);
        if (cases[i].text)
            vj_assert_contains(err.text, cases[i].text);
        free(b.data);
    }
    struct vj_error err = {0};
    int qf = -1;
    assert_int_equal(vj_jpeg_quality(&qf, NULL, 0, "x.jpg", &err), -ENODATA);
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
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(written_headers_are_as_promised),
        cmocka_unit_test(a_failed_write_leaves_the_old_file_and_nothing_else),
        cmocka_unit_test(pictures_no_file_can_hold_are_refused),
        cmocka_unit_test(encoded_files_are_those_of_pillow_byte_by_byte),
        cmocka_unit_test(a_file_larger_than_its_picture_is_encoded_whole),
        cmocka_unit_test(every_quality_is_recognised_from_the_tables),
        cmocka_unit_test(quality_of_files_by_other_encoders),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(real_ladders_decode_and_their_index_is_their_quality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
