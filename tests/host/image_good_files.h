/* SPDX-License-Identifier: MIT */
/*
 * The good lossless picture files of test_image.c, and the samples they must have: the formulas of
 * tests/golden/image/make.py, written a second time.
 */
#ifndef VJ_TESTS_IMAGE_GOOD_FILES_H
#define VJ_TESTS_IMAGE_GOOD_FILES_H

#include <math.h>
#include <stdbool.h>

#include "host/image.h"

#define WIDTH  21
#define HEIGHT 13

static int sample(int x, int y, int c)
{
    return (11 * x + 7 * y + 85 * c + 3 * x * y) & 255;
}

static int opacity(int x, int y)
{
    return (37 * x + 90 * y) & 255;
}

static int entry(int i, int c)
{
    const int rgb[3] = {3 * i & 255, (255 - 5 * i) & 255, (7 * i + 1) & 255};
    return rgb[c];
}

static int over(int level, int alpha, int background)
{
    return (int)floor((level * alpha + background * (255 - alpha)) / 255.0 + 0.5);
}

static int grey(int x, int y, int c)
{
    (void)c;
    return sample(x, y, 0);
}

static int grey1(int x, int y, int c)
{
    return (grey(x, y, c) & 1) * 255;
}

static int grey2(int x, int y, int c)
{
    return (grey(x, y, c) & 3) * 85;
}

static int grey4(int x, int y, int c)
{
    return (grey(x, y, c) & 15) * 17;
}

static int palette1(int x, int y, int c)
{
    return entry(sample(x, y, 0) % 2, c);
}

static int palette4(int x, int y, int c)
{
    return entry(sample(x, y, 0) % 16, c);
}

static int palette200(int x, int y, int c)
{
    return entry(sample(x, y, 0) % 200, c);
}

static int alpha_black(int x, int y, int c)
{
    return over(sample(x, y, c), opacity(x, y), 0);
}

static int alpha_white(int x, int y, int c)
{
    return over(sample(x, y, c), opacity(x, y), 255);
}

static int grey_key_white(int x, int y, int c)
{
    return grey(x, y, c) == 40 ? 255 : grey(x, y, c);
}

static bool is_key(int x, int y)
{
    return sample(x, y, 0) == sample(3, 2, 0) && sample(x, y, 1) == sample(3, 2, 1) &&
           sample(x, y, 2) == sample(3, 2, 2);
}

static int rgb_key_white(int x, int y, int c)
{
    return is_key(x, y) ? 255 : sample(x, y, c);
}

static int palette_key_white(int x, int y, int c)
{
    int index = sample(x, y, 0) % 16;
    return over(entry(index, c), index < 10 ? 20 * index : 255, 255);
}

struct good {
    const char *file;
    int (*expected)(int x, int y, int c);
    int channels;
    enum vj_alpha_mode alpha;
    bool opaque; /* in spite of an alpha channel */
};

static const struct good goods[] = {
    {"grey8.png", grey, 1, VJ_ALPHA_REFUSE, false},
    {"grey8_i.png", grey, 1, VJ_ALPHA_REFUSE, false},
    {"grey1.png", grey1, 1, VJ_ALPHA_REFUSE, false},
    {"grey2.png", grey2, 1, VJ_ALPHA_REFUSE, false},
    {"grey4.png", grey4, 1, VJ_ALPHA_REFUSE, false},
    {"rgb.png", sample, 3, VJ_ALPHA_REFUSE, false},
    {"rgb_i.png", sample, 3, VJ_ALPHA_REFUSE, false},
    {"rgb_extras.png", sample, 3, VJ_ALPHA_REFUSE, false},
    {"palette1.png", palette1, 3, VJ_ALPHA_REFUSE, false},
    {"palette4.png", palette4, 3, VJ_ALPHA_REFUSE, false},
    {"palette4_i.png", palette4, 3, VJ_ALPHA_REFUSE, false},
    {"palette8.png", palette200, 3, VJ_ALPHA_REFUSE, false},
    {"grey_alpha.png", alpha_black, 1, VJ_ALPHA_BLACK, false},
    {"grey_alpha.png", alpha_white, 1, VJ_ALPHA_WHITE, false},
    {"rgb_alpha.png", alpha_black, 3, VJ_ALPHA_BLACK, false},
    {"rgb_alpha.png", alpha_white, 3, VJ_ALPHA_WHITE, false},
    {"rgb_alpha_i.png", alpha_white, 3, VJ_ALPHA_WHITE, false},
    {"grey_trns.png", grey_key_white, 1, VJ_ALPHA_WHITE, false},
    {"rgb_trns.png", rgb_key_white, 3, VJ_ALPHA_WHITE, false},
    {"palette_trns.png", palette_key_white, 3, VJ_ALPHA_WHITE, false},
    {"grey_opaque.png", grey, 1, VJ_ALPHA_REFUSE, true},
    {"rgb_opaque.png", sample, 3, VJ_ALPHA_REFUSE, true},
    {"palette_opaque.png", palette4, 3, VJ_ALPHA_REFUSE, true},
    {"rgb24.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"rgb24_top.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"rgb24_core.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"rgb24_gap.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"rgb32.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"masks.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"masks_v4.bmp", sample, 3, VJ_ALPHA_REFUSE, false},
    {"alpha_v5.bmp", alpha_black, 3, VJ_ALPHA_BLACK, false},
    {"alpha_v5.bmp", alpha_white, 3, VJ_ALPHA_WHITE, false},
    {"alpha_appended.bmp", alpha_white, 3, VJ_ALPHA_WHITE, false},
    {"alpha_opaque.bmp", sample, 3, VJ_ALPHA_REFUSE, true},
    {"pal8.bmp", palette200, 3, VJ_ALPHA_REFUSE, false},
    {"pal8_core.bmp", palette200, 3, VJ_ALPHA_REFUSE, false},
    {"grey8.bmp", grey, 1, VJ_ALPHA_REFUSE, false},
    {"p2.pgm", grey, 1, VJ_ALPHA_REFUSE, false},
    {"p3.ppm", sample, 3, VJ_ALPHA_REFUSE, false},
    {"p5.pgm", grey, 1, VJ_ALPHA_REFUSE, false},
    {"p6.ppm", sample, 3, VJ_ALPHA_REFUSE, false},
};

#endif
