/* SPDX-License-Identifier: MIT */
/* The bad picture files of test_image.c: how each is made, and how it must be refused. */
#ifndef VJ_TESTS_IMAGE_BAD_FILES_H
#define VJ_TESTS_IMAGE_BAD_FILES_H

#include <errno.h>

#include "tests/host/image_test_files.h"

/* One way to spoil a golden file: patch it, then cut it. */
struct bad {
    const char *file;    /* golden file, or NULL for `bytes` as the whole content */
    const char *name;    /* what the spoilt file is called */
    int marker;          /* JPEG: `at` counts from this marker's FF (0: from the file's start) */
    size_t at;           /* where `bytes` go */
    const char *bytes;   /* NULL: no patch */
    size_t length;       /* of bytes */
    size_t keep;         /* cut to so many bytes (0: whole) */
    int crcs;            /* PNG: repair the chunk checksums after patching */
    int code;            /* expected */
    const char *text[3]; /* parts of the expected text */
};

#define BYTES(s) .bytes = (s), .length = sizeof(s) - 1

/* One entry below the other, not one field: */
/* clang-format off */
static const struct bad bads[] = {
    /* what is no picture, or another one */
    {.name = "x.png", BYTES("hello, world\n"), .code = -EINVAL,
     .text = {"not a picture", "13 bytes: 68 65 6c 6c ...)", "expected JPEG, PNG, BMP, PPM or PGM"}},
    {.name = "x.png", BYTES("\x89"), .code = -EINVAL, .text = {"not a picture (1 bytes: 89)"}},
    {.name = "x", BYTES("P5"), .code = -EINVAL, .text = {"not a picture (2 bytes: 50 35)"}},
    {.name = "x", BYTES("P5\0"), .code = -EINVAL, .text = {"not a picture"}},
    {.file = "rgb.png", .name = "x.jpg", .code = -EINVAL,
     .text = {"is a PNG file by content but its extension says JPEG", "rename it"}},
    {.file = "j420.jpg", .name = "x.PNG", .code = -EINVAL,
     .text = {"is a JPEG file by content but its extension says PNG"}},
    {.file = "rgb24.bmp", .name = "x.ppm", .code = -EINVAL,
     .text = {"is a BMP file by content but its extension says PPM/PGM"}},
    {.file = "p6.ppm", .name = "x.bmp", .code = -EINVAL,
     .text = {"is a PPM/PGM file by content but its extension says BMP"}},
    {.file = "rgb.png", .name = "x.webp", .code = -EINVAL, .text = {"extension says WebP"}},
    {.name = "x.gif", BYTES("GIF89a\1\0\1\0\0\0\0;"), .code = -ENOTSUP,
     .text = {"GIF files are not supported", "convert to PNG"}},
    {.name = "x.jpg", BYTES("GIF87a\1\0\1\0\0\0\0;"), .code = -ENOTSUP,
     .text = {"GIF files are not supported"}},
    {.name = "x.webp", BYTES("RIFF\x24\0\0\0WEBPVP8 "), .code = -ENOTSUP,
     .text = {"WebP files are not supported", "convert to PNG"}},
    {.name = "x.tif", BYTES("II*\0\x08\0\0\0"), .code = -ENOTSUP,
     .text = {"TIFF files are not supported"}},
    {.name = "x.tif", BYTES("MM\0*\0\0\0\x08"), .code = -ENOTSUP,
     .text = {"TIFF files are not supported"}},
    {.name = "x.bpg", BYTES("BPG\xfb\0\0\0\0"), .code = -ENOTSUP,
     .text = {"BPG files are not supported"}},
    {.name = "x.avif", BYTES("\0\0\0\x1c" "ftypavif\0\0\0\0"), .code = -ENOTSUP,
     .text = {"AVIF files are not supported"}},
    {.name = "x.heic", BYTES("\0\0\0\x1c" "ftypheic\0\0\0\0"), .code = -ENOTSUP,
     .text = {"HEIF files are not supported"}},
    {.name = "x.jxl", BYTES("\xff\x0a\x01\x02"), .code = -ENOTSUP,
     .text = {"JPEG XL files are not supported"}},
    {.name = "x.jp2", BYTES("\0\0\0\x0cjP  \r\n\x87\n"), .code = -ENOTSUP,
     .text = {"JPEG 2000 files are not supported"}},

    /* JPEG */
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 5, BYTES("\xea\x60\xea\x60"),
     .code = -EFBIG, .text = {"60000 x 60000 pixels", "268435456 allowed (max_pixels)"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 5, BYTES("\x3a\x98\x3a\x98"),
     .code = -EBADMSG, .text = {"973 bytes cannot hold the 15000 x 15000 pixels"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 5, BYTES("\xff\xff\x00\x01"),
     .code = -EFBIG, .text = {"65500 pixels a side"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 5, BYTES("\0\0"), .code = -EBADMSG,
     .text = {"width or height is 0 in the header"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 7, BYTES("\0\0"), .code = -EBADMSG,
     .text = {"width or height is 0 in the header"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 5, BYTES("\0\x40"),
     .code = -EBADMSG, .text = {"cut short"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 4, BYTES("\x0c"), .code = -ENOTSUP,
     .text = {"12", "only 8 bits per sample are supported", "convert to 8 bits"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 1, BYTES("\xc5"), .code = -ENOTSUP,
     .text = {"hierarchical files are not supported; convert to PNG"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xc0, .at = 1, BYTES("\xf7"), .code = -EBADMSG,
     .text = {"JPEG: "}},
    {.file = "cmyk.jpg", .name = "x.jpg", .code = -ENOTSUP,
     .text = {"CMYK or YCCK", "convert to RGB"}},
    {.file = "two.jpg", .name = "x.jpg", .code = -ENOTSUP,
     .text = {"2 components", "convert to RGB"}},
    {.file = "tables.jpg", .name = "x.jpg", .code = -EBADMSG, .text = {"has tables only"}},
    {.name = "x.jpg", BYTES("\xff\xd8\xff"), .code = -EBADMSG, .text = {"cut short"}},
    {.name = "x.jpg", BYTES("\xff\xd8\xff\xd9"), .code = -EBADMSG, .text = {"tables only"}},
    {.file = "j420.jpg", .name = "x.jpg", .keep = 100, .code = -EBADMSG,
     .text = {"the file is cut short; copy it again"}},
    {.file = "j420.jpg", .name = "x.jpg", .keep = 800, .code = -EBADMSG,
     .text = {"the file is cut short; copy it again"}},
    {.file = "j420.jpg", .name = "x.jpg", .keep = 971, .code = -EBADMSG,
     .text = {"the file is cut short; copy it again"}},
    {.file = "jprogressive.jpg", .name = "x.jpg", .keep = 700, .code = -EBADMSG,
     .text = {"the file is cut short; copy it again"}},
    {.file = "j420.jpg", .name = "x.jpg", .at = 800, BYTES("\xff\xd9"), .code = -EBADMSG,
     .text = {"the picture data is cut short or damaged"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xda, .at = 14,
     BYTES("\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00"), .code = -EBADMSG, .text = {"damaged"}},
    {.file = "jrestart.jpg", .name = "x.jpg", .marker = 0xd1, .at = 1, BYTES("\xd5"),
     .code = -EBADMSG, .text = {"damaged"}},
    {.file = "j420.jpg", .name = "x.jpg", .marker = 0xdb, .at = 1, BYTES("\xfe"), .code = -EBADMSG,
     .text = {"uantization table", "damaged"}},
    {.file = "jprogressive.jpg", .name = "x.jpg", .marker = 0xc4, .at = 1, BYTES("\xfe"),
     .code = -EBADMSG, .text = {"damaged"}},

    /* PNG */
    {.file = "rgb.png", .name = "x.png", .at = 16, BYTES("\0\0\xea\x60\0\0\xea\x60"), .crcs = 1,
     .code = -EFBIG, .text = {"60000 x 60000 pixels", "max_pixels"}},
    {.file = "rgb.png", .name = "x.png", .at = 16, BYTES("\x7f\xff\xff\xff\x7f\xff\xff\xff"),
     .crcs = 1, .code = -EFBIG, .text = {"2147483647 x 2147483647 pixels"}},
    {.file = "rgb.png", .name = "x.png", .at = 16, BYTES("\0\0\x3a\x98\0\0\x3a\x98"), .crcs = 1,
     .code = -EBADMSG, .text = {"786 bytes cannot hold the 15000 x 15000 pixels"}},
    {.file = "rgb.png", .name = "x.png", .at = 16, BYTES("\0\0\0\0"), .crcs = 1, .code = -EBADMSG,
     .text = {"damaged"}},
    {.file = "rgb.png", .name = "x.png", .at = 20, BYTES("\0\0\0\0"), .crcs = 1, .code = -EBADMSG,
     .text = {"damaged"}},
    {.file = "rgb.png", .name = "x.png", .at = 20, BYTES("\0\0\0\x0e"), .crcs = 1, .code = -EBADMSG,
     .text = {"damaged"}},
    {.file = "rgb.png", .name = "x.png", .at = 20, BYTES("\0\0\0\x0c"), .crcs = 1, .code = -EBADMSG,
     .text = {"damaged"}},
    {.file = "rgb.png", .name = "x.png", .at = 29, BYTES("\0"), .code = -EBADMSG,
     .text = {"IHDR: CRC error"}},
    {.file = "rgb.png", .name = "x.png", .at = 100, BYTES("\0\1\2"), .code = -EBADMSG,
     .text = {"damaged"}},
    {.file = "rgb_extras.png", .name = "x.png", .at = 96, BYTES("!"), .code = -EBADMSG,
     .text = {"tEXt: CRC error"}},
    {.file = "rgb.png", .name = "x.png", .at = 4, BYTES("\n\x1a\n"), .code = -EBADMSG,
     .text = {"signature is damaged, as by a copy in text mode"}},
    {.file = "rgb.png", .name = "x.png", .keep = 5, .code = -EBADMSG, .text = {"signature"}},
    {.file = "rgb.png", .name = "x.png", .keep = 30, .code = -EBADMSG,
     .text = {"ends at byte 30", "cut short"}},
    {.file = "rgb.png", .name = "x.png", .keep = 400, .code = -EBADMSG,
     .text = {"ends at byte 400", "cut short"}},
    {.file = "rgb.png", .name = "x.png", .keep = 774, .code = -EBADMSG,
     .text = {"ends at byte 774", "cut short"}},
    {.file = "grey16.png", .name = "x.png", .code = -ENOTSUP,
     .text = {"16 bits per sample", "only 8 bits are supported, convert it"}},
    {.file = "rgb16.png", .name = "x.png", .code = -ENOTSUP, .text = {"16 bits per sample"}},
    {.file = "animated.png", .name = "x.png", .code = -ENOTSUP,
     .text = {"animated (APNG)", "still picture"}},
    {.file = "palette_index.png", .name = "x.png", .code = -EBADMSG,
     .text = {"palette index 16 at row 0", "has 16 entries"}},
    {.file = "palette_index1.png", .name = "x.png", .code = -EBADMSG,
     .text = {"palette index 1 at row 0", "has 1 entries"}},
    {.file = "palette_missing.png", .name = "x.png", .code = -EBADMSG, .text = {"PLTE"}},
    {.file = "critical.png", .name = "x.png", .code = -EBADMSG, .text = {"ABCD"}},

    /* BMP */
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 18, BYTES("\x60\xea\0\0\x60\xea\0\0"),
     .code = -EFBIG, .text = {"60000 x 60000 pixels", "max_pixels"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 18, BYTES("\0\0\0\0"), .code = -EBADMSG,
     .text = {"0 x 13 pixels: width or height is 0"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 22, BYTES("\0\0\0\0"), .code = -EBADMSG,
     .text = {"21 x 0 pixels: width or height is 0"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 18, BYTES("\xff\xff\xff\xff"), .code = -EBADMSG,
     .text = {"biWidth is negative"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 22, BYTES("\0\0\0\x80"), .code = -EFBIG,
     .text = {"21 x 2147483648 pixels"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 22, BYTES("\x0e"), .code = -EBADMSG,
     .text = {"the picture ends at byte 950, the file at 886", "cut short"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .keep = 885, .code = -EBADMSG,
     .text = {"the picture ends at byte 886, the file at 885"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .keep = 10, .code = -EBADMSG,
     .text = {"the file header ends at byte 18, the file at 10"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .keep = 50, .code = -EBADMSG,
     .text = {"the header ends at byte 54, the file at 50"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 14, BYTES("\x29"), .code = -ENOTSUP,
     .text = {"header size 41"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 26, BYTES("\2"), .code = -EBADMSG,
     .text = {"biPlanes is 2, not 1"}},
    {.file = "rgb24_core.bmp", .name = "x.bmp", .at = 22, BYTES("\0"), .code = -EBADMSG,
     .text = {"biPlanes is 0, not 1"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 10, BYTES("\x20"), .code = -EBADMSG,
     .text = {"bfOffBits 32 lies within the headers (54 bytes)"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 10, BYTES("\xff\xff\xff\xff"), .code = -EBADMSG,
     .text = {"cut short"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 30, BYTES("\1"), .code = -ENOTSUP,
     .text = {"run-length encoded (RLE, biCompression 1)", "save it uncompressed or as PNG"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 28, BYTES("\4\0\2"), .code = -ENOTSUP,
     .text = {"run-length encoded (RLE, biCompression 2)"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 30, BYTES("\4"), .code = -ENOTSUP,
     .text = {"biCompression 4 is not supported"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 28, BYTES("\1"), .code = -ENOTSUP,
     .text = {"biBitCount 1", "convert to 24-bit or PNG"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 28, BYTES("\4"), .code = -ENOTSUP,
     .text = {"biBitCount 4"}},
    {.file = "rgb24.bmp", .name = "x.bmp", .at = 28, BYTES("\x10"), .code = -ENOTSUP,
     .text = {"biBitCount 16"}},
    {.file = "masks.bmp", .name = "x.bmp", .at = 28, BYTES("\x10"), .code = -ENOTSUP,
     .text = {"biBitCount 16 with channel masks"}},
    {.file = "masks.bmp", .name = "x.bmp", .at = 54, BYTES("\0\xfc\0\0"), .code = -ENOTSUP,
     .text = {"red mask 0000fc00 is not 8 bits in a row"}},
    {.file = "masks.bmp", .name = "x.bmp", .at = 58, BYTES("\0\0\0\0"), .code = -ENOTSUP,
     .text = {"green mask 00000000 is not 8 bits in a row"}},
    {.file = "masks.bmp", .name = "x.bmp", .at = 58, BYTES("\0\xff\0\0"), .code = -EBADMSG,
     .text = {"green mask 0000ff00 overlaps another"}},
    {.file = "masks.bmp", .name = "x.bmp", .keep = 60, .code = -EBADMSG,
     .text = {"the list of channel masks ends at byte 66, the file at 60"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 46, BYTES("\x01\x01"), .code = -EBADMSG,
     .text = {"a palette of 257 entries (biClrUsed)"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 46, BYTES("\xc9"), .code = -EBADMSG,
     .text = {"palette of 201 entries overlaps the pixels at bfOffBits 854"}},
    {.file = "pal8.bmp", .name = "x.bmp", .at = 46, BYTES("\x64"), .code = -EBADMSG,
     .text = {"but the palette has 100 entries"}},
    {.file = "pal8.bmp", .name = "x.bmp", .keep = 300, .code = -EBADMSG,
     .text = {"the palette ends at byte 854, the file at 300"}},

    /* PPM and PGM */
    {.name = "x.pbm", BYTES("P1 2 2 0 1 1 0"), .code = -ENOTSUP,
     .text = {"P1 files (1-bit PBM) are not supported", "convert to PGM"}},
    {.name = "x.pbm", BYTES("P4 8 1 \xaa"), .code = -ENOTSUP, .text = {"P4 files (1-bit PBM)"}},
    {.name = "x", BYTES("P7\nWIDTH 1\n"), .code = -ENOTSUP, .text = {"P7 files (PAM)"}},
    {.name = "x.ppm", BYTES("P6 60000 60000 255\n..."), .code = -EFBIG,
     .text = {"60000 x 60000 pixels", "max_pixels"}},
    {.name = "x.ppm", BYTES("P6 0 5 255\n"), .code = -EBADMSG,
     .text = {"0 x 5 pixels: width or height is 0"}},
    {.name = "x.pgm", BYTES("P5 5 0 255\n"), .code = -EBADMSG, .text = {"5 x 0 pixels"}},
    {.name = "x.pgm", BYTES("P5 1 1 1023\n\0\0"), .code = -ENOTSUP,
     .text = {"maximum value 1023; only 255 is supported", "pnmdepth 255"}},
    {.name = "x.pgm", BYTES("P5 1 1 65535\n\0\0"), .code = -ENOTSUP,
     .text = {"maximum value 65535"}},
    {.name = "x.pgm", BYTES("P2 1 1 0\n0"), .code = -ENOTSUP, .text = {"maximum value 0;"}},
    {.name = "x.pgm", BYTES("P5 x 1 255\n."), .code = -EBADMSG,
     .text = {"the width at byte 3 is not a number (byte 78)"}},
    {.name = "x.pgm", BYTES("P5 -1 1 255\n."), .code = -EBADMSG,
     .text = {"the width at byte 3 is not a number"}},
    {.name = "x.pgm", BYTES("P5 1 99999999999999999999 255\n."), .code = -EBADMSG,
     .text = {"the height at byte 5 is above 100000000"}},
    {.name = "x.pgm", BYTES("P5\n4294967300 4\n255\n0123456789abcdef"), .code = -EBADMSG,
     .text = {"the width at byte 3 is above 100000000"}},
    {.name = "x.pgm", BYTES("P5\n1 1\n4294967551\n0"), .code = -EBADMSG,
     .text = {"the maximum value at byte 7 is above 100000000"}},
    {.name = "x.ppm", BYTES("P6\r\n1 1\r\n255\r\nab "), .code = -EBADMSG,
     .text = {"1 bytes behind the last sample"}},
    {.name = "x.pgm", BYTES("P5 1 "), .code = -EBADMSG,
     .text = {"ends at byte 5 where the height is expected"}},
    {.name = "x.pgm", BYTES("P5 # only a comment"), .code = -EBADMSG,
     .text = {"where the width is expected"}},
    {.name = "x.pgm", BYTES("P5 1 1 255"), .code = -EBADMSG,
     .text = {"no white space behind the maximum value (byte 10)"}},
    {.file = "p6.ppm", .name = "x.ppm", .keep = 853, .code = -EBADMSG,
     .text = {"818 bytes behind the header, too few for the 819 samples of 21 x 13 x 3"}},
    {.name = "x.ppm", BYTES("P3 2 1 255 1 2 3 4 5"), .code = -EBADMSG, .text = {"too few"}},
    {.name = "x.ppm", BYTES("P3 2 1 255 1 2 3 400 5     "), .code = -EBADMSG,
     .text = {"sample 3 is 400, above the maximum value 255"}},
    {.name = "x.ppm", BYTES("P3 2 1 255 1 2 3 4 5       "), .code = -EBADMSG,
     .text = {"where a sample is expected"}},
    {.name = "x.ppm", BYTES("P3 2 1 255 1 2 3 4 5 a     "), .code = -EBADMSG,
     .text = {"a sample at byte 21 is not a number (byte 61)"}},
    {.name = "x.ppm", BYTES("P3 1 1 255 1 2 3 4"), .code = -EBADMSG,
     .text = {"1 bytes behind the last sample", "several pictures"}},
    {.name = "x.pgm", BYTES("P5 2 1 255\nabP5 2 1 255\nab"), .code = -EBADMSG,
     .text = {"13 bytes behind the last sample"}},
};
/* clang-format on */

#undef BYTES

/* Files that promise a picture for which there is no memory. */

#define LARGE 12000 /* a side in pixels: n = 144 MB per channel, which no heap has lying free */

struct hungry {
    const char *file; /* golden file, its dimensions made LARGE, followed by rubbish */
    int marker;       /* JPEG: where the dimensions are */
    size_t at;
    const char *dimensions;
    size_t length;
    size_t bytes;  /* of the whole file */
    unsigned room; /* memory to be had, in units of n */
    const char *text;
};

#define MEGABYTES ((size_t)1 << 20)

/* clang-format off */
static const struct hungry hungries[] = {
    {"jgrey.jpg", 0xc0, 5, "\x2e\xe0\x2e\xe0", 4, MEGABYTES, 0, "no memory for a picture"},
    {"j420.jpg", 0xc0, 5, "\x2e\xe0\x2e\xe0", 4, MEGABYTES, 2, "no memory for a picture"},
    {"jprogressive.jpg", 0xc2, 5, "\x2e\xe0\x2e\xe0", 4, MEGABYTES, 4, "Insufficient memory"},
    {"grey8.png", 0, 16, "\0\0\x2e\xe0\0\0\x2e\xe0", 8, MEGABYTES, 0, "no memory for a picture"},
    {"palette8.png", 0, 16, "\0\0\x2e\xe0\0\0\x2e\xe0", 8, MEGABYTES, 3, "no memory to decode"},
    {"rgb_alpha.png", 0, 16, "\0\0\x2e\xe0\0\0\x2e\xe0", 8, MEGABYTES, 5, "no memory to decode"},
    {"rgb24.bmp", 0, 18, "\xe0\x2e\0\0\xe0\x2e\0\0", 8, 500 * MEGABYTES, 2,
     "no memory for a picture"},
    {"p5.pgm", 0, 3, "12000 12000 255 ", 16, 140 * MEGABYTES, 0, "no memory for a picture"},
};
/* clang-format on */

/* Bit by bit, as ISO/IEC 15948 annex D defines it. */
static inline uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    while (n-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static inline void repair_crcs(struct bytes *b)
{
    size_t at = 8;
    while (at + 12 <= b->size) {
        uint8_t *chunk = b->data + at;
        size_t length = (size_t)chunk[2] << 8 | chunk[3]; /* ours are short */
        uint32_t crc = crc32_of(chunk + 4, length + 4);
        for (int i = 0; i < 4; i++)
            chunk[8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

static inline size_t find_marker(const struct bytes *b, int marker)
{
    for (size_t i = 0; i + 1 < b->size; i++)
        if (b->data[i] == 0xff && b->data[i + 1] == marker)
            return i;
    fail_msg("no marker %x", marker);
    return 0;
}

static inline struct bytes spoil(const struct bad *bad)
{
    struct bytes b;
    if (bad->file) {
        b = load(bad->file);
        size_t at = bad->at + (bad->marker ? find_marker(&b, bad->marker) : 0);
        assert_true(at + bad->length <= b.size);
        if (bad->bytes)
            memcpy(b.data + at, bad->bytes, bad->length);
    } else {
        b = (struct bytes){malloc(bad->length), bad->length};
        assert_non_null(b.data);
        memcpy(b.data, bad->bytes, bad->length);
    }
    if (bad->crcs)
        repair_crcs(&b);
    if (bad->keep) {
        assert_true(bad->keep < b.size);
        b.size = bad->keep;
    }
    return b;
}

#endif
