/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of picture files: no input may crash, read beyond its end, leak, or give a half-filled
 * picture; what decodes must agree with its own header.
 *
 *   clang -g -O1 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       tests/fuzz/fuzz_image.c host/image.c host/image_[bfjp]*.c host/error.c -ljpeg -lpng -lz \
 *       -o fuzz_image
 *   ./fuzz_image -max_len=4096 -timeout=10 work tests/fuzz/corpus/image tests/golden/image
 *
 * With -DVJ_FUZZ_REPLAY instead of -fsanitize=fuzzer it is an ordinary program, which runs over the
 * files and folders it is given and fails when there are none.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/image.h"
#include "host/image_internal.h"

#define MAX_PIXELS ((size_t)1 << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int true_now, const char *what)
{
    if (!true_now) {
        fprintf(stderr, "fuzz_image: broken promise: %s\n", what);
        abort();
    }
}

static size_t bytes_of(const struct vj_image *img)
{
    return img->width * img->height * (size_t)img->channels;
}

static void check_failure(const struct vj_image *img, int rc, const struct vj_error *err)
{
    check(img->width == 0 && img->height == 0 && img->channels == 0 && !img->data,
          "a failed read leaves a zeroed picture");
    check(err->code == rc, "the code is that of the error");
    check(strncmp(err->text, "input", 5) == 0, "the text starts with the name");
}

static void check_picture(const struct vj_image *img, const uint8_t *data, size_t size)
{
    struct vj_image_info info;
    check(img->channels == 1 || img->channels == 3, "1 or 3 channels");
    check(img->width > 0 && img->height > 0, "a picture has pixels");
    check(img->width <= MAX_PIXELS / img->height, "max_pixels is respected");
    check(vj_image_probe_memory(&info, data, size, "input", NULL) == 0, "what reads can be probed");
    check(info.width == img->width && info.height == img->height &&
              info.channels == img->channels && info.format != VJ_FORMAT_UNKNOWN,
          "probe and read agree");
    unsigned sum = 0; /* every pixel is there, and initialised under a memory sanitizer */
    for (size_t i = 0; i < bytes_of(img); i++)
        sum += img->data[i];
    check(sum <= 255 * bytes_of(img), "samples have 8 bits");
}

static int read_as(struct vj_image *img, const uint8_t *data, size_t size, enum vj_alpha_mode alpha)
{
    const struct vj_image_options opt = {.alpha = alpha, .max_pixels = MAX_PIXELS};
    struct vj_error err = {0};
    int rc = vj_image_read_memory(img, data, size, "input", &opt, &err);
    if (rc)
        check_failure(img, rc, &err);
    else
        check_picture(img, data, size);
    return rc;
}

static void run_reader(const uint8_t *data, size_t size)
{
    struct vj_image opaque, blended;
    struct vj_image_info info;
    int opaque_rc = read_as(&opaque, data, size, VJ_ALPHA_REFUSE);
    int blended_rc = read_as(&blended, data, size, VJ_ALPHA_WHITE);
    if (opaque_rc == 0) {
        check(blended_rc == 0 && bytes_of(&opaque) == bytes_of(&blended) &&
                  memcmp(opaque.data, blended.data, bytes_of(&opaque)) == 0,
              "blending changes no opaque picture");
        check(vj_image_probe_memory(&info, data, size, "input", NULL) == 0,
              "a picture that can be read has a header");
    }
    vj_image_free(&opaque);
    vj_image_free(&blended);

    int qf = -1;
    int rc = vj_jpeg_quality(&qf, data, size, "input", NULL);
    check(rc ? qf == 0 : qf >= 1 && qf <= 100, "a quality is 1..100");
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    while (n-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* Makes all chunk checksums of a PNG right, or else no mutation would get beyond the first. */
static void repair_crcs(uint8_t *data, size_t size)
{
    size_t at = 8;
    while (at + 12 <= size) {
        uint8_t *c = data + at;
        size_t length = (size_t)c[0] << 24 | (size_t)c[1] << 16 | (size_t)c[2] << 8 | c[3];
        if (length > size - at - 12)
            return;
        uint32_t crc = crc32_of(c + 4, length + 4);
        for (size_t i = 0; i < 4; i++)
            c[8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run_reader(data, size);
    if (size < 8 || memcmp(data, "\x89PNG", 4) != 0)
        return 0;
    uint8_t *copy = malloc(size);
    check(copy != NULL, "memory for a copy");
    memcpy(copy, data, size);
    repair_crcs(copy, size);
    if (memcmp(copy, data, size) != 0)
        run_reader(copy, size);
    free(copy);
    return 0;
}

#ifdef VJ_FUZZ_REPLAY

static int replay_file(const char *path)
{
    uint8_t *data;
    size_t size;
    struct vj_error err = {0};
    if (vj_file_read(&data, &size, path, 0, &err) != 0) {
        fprintf(stderr, "fuzz_image: %s\n", err.text);
        return -1;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

/* Number of files run, negative when one could not be. */
static int replay_folder(DIR *folder, const char *path)
{
    int count = 0;
    struct dirent *e;
    while (count >= 0 && (e = readdir(folder)) != NULL) {
        char file[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        count = replay_file(file) < 0 ? -1 : count + 1;
    }
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    LLVMFuzzerTestOneInput(NULL, 0);
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        int count = folder ? replay_folder(folder, argv[i]) : replay_file(argv[i]);
        if (folder)
            closedir(folder);
        if (count < 0)
            return EXIT_FAILURE;
        total += count;
    }
    printf("%d inputs\n", total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
