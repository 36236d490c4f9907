/* SPDX-License-Identifier: MIT */
/*
 * Picture files that are written, and JPEG quality. Golden files come from
 * tests/golden/image/make.py, which shares nothing with host/image*.c.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "host/image.h"
#include "tests/host/image_test_files.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(written_headers_are_as_promised),
        cmocka_unit_test(a_failed_write_leaves_the_old_file_and_nothing_else),
        cmocka_unit_test(pictures_no_file_can_hold_are_refused),
        cmocka_unit_test(encoded_files_are_those_of_pillow_byte_by_byte),
        cmocka_unit_test(a_file_larger_than_its_picture_is_encoded_whole),
        cmocka_unit_test(every_quality_is_recognised_from_the_tables),
        cmocka_unit_test(quality_of_files_by_other_encoders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
