/* SPDX-License-Identifier: MIT */
/*
 * The integer arithmetic of baseline JPEG as libjpeg-turbo does it with its defaults (ISLOW
 * transform, h2v2 box down-sampling, "fancy" up-sampling, standard Huffman tables), written once
 * for C and CUDA. Pixels and file bytes made from these functions equal libjpeg-turbo's, so that
 * CPU, GPU and codec can be compared with `==`. All right shifts of negative numbers are arithmetic
 * (floor).
 *
 * Functions marked VJ_HD run on both devices; the functions that fill tables run on the host, and a
 * kernel receives the filled struct. Sources: ITU-T T.81 (JPEG), T.871 (JFIF); Loeffler,
 * Ligtenberg, Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989;
 * behaviour measured against libjpeg-turbo 2.1.5.
 */
#ifndef VJ_HOST_JPEG_MODEL_H
#define VJ_HOST_JPEG_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "host/hostdevice.h"
#include "host/image.h"

enum {
    VJ_JPEG_MAX_SIDE = 65500,              /* pixels; libjpeg's limit */
    VJ_JPEG_MAX_BLOCK_BITS = 27 + 63 * 26, /* codes of 16 bits; 11 magnitude bits of DC, 10 of AC */
};

/* ---- Geometry ------------------------------------------------------------------------------- */

/* One colour component: its sample plane and the grid of 8x8 blocks that covers it. */
struct vj_jpeg_component {
    size_t width, height; /* samples that decoding keeps */
    size_t across, down;  /* blocks per row and rows of blocks */
    size_t first;         /* number of its first block; blocks are in raster order */
    int table;            /* 0: luma or grey, 1: chroma; quantisation and Huffman tables alike */
};

struct vj_jpeg_geometry {
    size_t width, height; /* pixels */
    int channels;         /* 1 = grey, 3 = RGB */
    int factor;           /* pixels per chroma sample each way: 2 for 4:2:0, otherwise 1 */
    size_t mcus_across, mcus_down;
    size_t blocks; /* of all components */
    struct vj_jpeg_component component[3];
};

/*
 * Geometry of a picture.
 * width, height: 1..VJ_JPEG_MAX_SIDE, checked by the caller
 * channels:      1 or 3; the sampling is ignored for 1
 */
static inline struct vj_jpeg_geometry vj_jpeg_geometry(size_t width, size_t height, int channels,
                                                       enum vj_subsampling sampling)
{
    struct vj_jpeg_geometry g;
    memset(&g, 0, sizeof(g));
    g.width = width;
    g.height = height;
    g.channels = channels;
    g.factor = channels == 3 && sampling == VJ_SUBSAMPLING_420 ? 2 : 1;
    size_t mcu = 8 * (size_t)g.factor;
    g.mcus_across = (width + mcu - 1) / mcu;
    g.mcus_down = (height + mcu - 1) / mcu;
    for (int c = 0; c < channels; c++) {
        size_t f = c ? (size_t)g.factor : 1;
        struct vj_jpeg_component *p = &g.component[c];
        p->width = (width + f - 1) / f;
        p->height = (height + f - 1) / f;
        p->across = (p->width + 7) / 8;
        p->down = (p->height + 7) / 8;
        p->first = g.blocks;
        p->table = c > 0;
        g.blocks += p->across * p->down;
    }
    return g;
}

/* ---- Colour and chroma sampling ------------------------------------------------------------- */

/* To 0..255; 16 bits wide, because vector units handle twice as many of those at a time. */
static inline VJ_HD uint8_t vj_jpeg_clamp(int16_t v)
{
    int16_t low = v < 0 ? 0 : v;
    return (uint8_t)(low > 255 ? 255 : low);
}

/* RGB 0..255 to Y, Cb, Cr 0..255: 16-bit fixed point; chroma rounds half down by design. */
static inline VJ_HD int vj_jpeg_y(int r, int g, int b)
{
    return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
}

static inline VJ_HD int vj_jpeg_cb(int r, int g, int b)
{
    return (-11059 * r - 21709 * g + 32768 * b + (128 << 16) + 32767) >> 16;
}

static inline VJ_HD int vj_jpeg_cr(int r, int g, int b)
{
    return (32768 * r - 27439 * g - 5329 * b + (128 << 16) + 32767) >> 16;
}

/* High half of a product of two 16-bit numbers. */
static inline VJ_HD int16_t vj_jpeg_mulhi_signed(int16_t a, int16_t b)
{
    return (int16_t)(((int32_t)a * b) >> 16);
}

/*
 * Y 0..255 and Cb, Cr less 128 (-128..127) to R, G, B 0..255:
 *     R = Y + ((91881 Cr + 32768) >> 16)          B = Y + ((116130 Cb + 32768) >> 16)
 *     G = Y + ((-22554 Cb - 46802 Cr + 32768) >> 16), clamped,
 * rearranged, with 91881 = 65536 + 26345, 116130 = 131072 - 14942 and -46802 = 18734 - 65536, so
 * that vector units can work in 16 bits where the product allows it; equal for every input.
 */
static inline VJ_HD uint8_t vj_jpeg_r(int16_t y, int16_t cr)
{
    int16_t high = vj_jpeg_mulhi_signed((int16_t)(2 * cr), 26345);
    return vj_jpeg_clamp((int16_t)(y + cr + ((int16_t)(high + 1) >> 1)));
}

static inline VJ_HD uint8_t vj_jpeg_g(int16_t y, int16_t cb, int16_t cr)
{
    int16_t high = (int16_t)((-22554 * cb + 18734 * cr + 32768) >> 16);
    return vj_jpeg_clamp((int16_t)(y - cr + high));
}

static inline VJ_HD uint8_t vj_jpeg_b(int16_t y, int16_t cb)
{
    int16_t high = vj_jpeg_mulhi_signed((int16_t)(2 * cb), -14942);
    return vj_jpeg_clamp((int16_t)(y + 2 * cb + ((int16_t)(high + 1) >> 1)));
}

/*
 * 4:2:0 chroma sample number `column` of its row from the sum of its 2x2 full-resolution samples;
 * the rounding alternates from column to column.
 */
static inline VJ_HD int vj_jpeg_box(int sum, size_t column)
{
    return (sum + 1 + (int)(column & 1)) >> 2;
}

/*
 * 4:2:0 up-sampling is a triangle filter, 3/4 of the nearer and 1/4 of the farther sample, down the
 * columns and then along the rows. Beyond the plane's edge the nearer sample stands for the
 * farther. Pictures at most four pixels wide have their samples repeated 2x2 instead.
 */
static inline VJ_HD bool vj_jpeg_repeats_chroma(size_t width)
{
    return width <= 4;
}

/* Column step: the result is scaled by 4. */
static inline VJ_HD int vj_jpeg_upsample_down(int nearer, int farther)
{
    return 3 * nearer + farther;
}

/* Row step on column-step results, for even and odd pixel columns: they round differently. */
static inline VJ_HD int vj_jpeg_upsample_even(int nearer, int farther)
{
    return (3 * nearer + farther + 8) >> 4;
}

static inline VJ_HD int vj_jpeg_upsample_odd(int nearer, int farther)
{
    return (3 * nearer + farther + 7) >> 4;
}

/* ---- Transform ------------------------------------------------------------------------------ */

/*
 * Each 1-D transform is a butterfly around two constant matrices, with one rounding at its end.
 * Both matrices are symmetric, so the forward and the inverse transform share them: 9 + 3
 * multiplications by the constants of the LLM flow graph, rounded to 13 bits.
 *
 * The constants are an argument, not literals, because compilers turn a multiplication by a literal
 * into a chain of shifts and additions, several times slower on vector units. In a kernel, passing
 * the address of a local copy of vj_jpeg_cosines() makes them literals again.
 */
struct vj_jpeg_cosines {
    int odd_all;     /* factor of x1 + x3 + x5 + x7 */
    int odd_pair[4]; /* of x3 + x7, x1 + x5, x1 + x7, x3 + x5 */
    int odd_own[4];  /* of x1, x3, x5, x7 in the output of the same number */
    int even_both;   /* of x2 + x6 */
    int even_own[2]; /* of x2, x6 in the output of the same number */
};

static inline VJ_HD struct vj_jpeg_cosines vj_jpeg_cosines(void)
{
    struct vj_jpeg_cosines k = {
        9633, {-16069, -3196, -7373, -20995}, {12299, 25172, 16819, 2446}, 4433, {6270, -15137},
    };
    return k;
}

/*
 * Odd part. Inverse: coefficients 1, 3, 5, 7. Forward: differences of samples 0-7, 1-6, 2-5, 3-4.
 */
static inline VJ_HD void vj_jpeg_odd(const struct vj_jpeg_cosines *k, int x1, int x3, int x5,
                                     int x7, int out[4])
{
    int all = k->odd_all * (x1 + x3 + x5 + x7);
    int p37 = all + k->odd_pair[0] * (x3 + x7);
    int p15 = all + k->odd_pair[1] * (x1 + x5);
    int p17 = k->odd_pair[2] * (x1 + x7);
    int p35 = k->odd_pair[3] * (x3 + x5);
    out[0] = k->odd_own[0] * x1 + p15 + p17;
    out[1] = k->odd_own[1] * x3 + p37 + p35;
    out[2] = k->odd_own[2] * x5 + p15 + p35;
    out[3] = k->odd_own[3] * x7 + p37 + p17;
}

/* Rotation for coefficients 2 and 6. */
static inline VJ_HD void vj_jpeg_rotate(const struct vj_jpeg_cosines *k, int x2, int x6, int out[2])
{
    int both = k->even_both * (x2 + x6);
    out[0] = both + k->even_own[0] * x2;
    out[1] = both + k->even_own[1] * x6;
}

static inline VJ_HD int vj_jpeg_round_shift(int v, int shift)
{
    return (v + (1 << (shift - 1))) >> shift;
}

/*
 * Forward 1-D transform in place. pass 1 (rows, samples less 128): results are scaled by 4;
 * pass 2 (columns): results are the 2-D DCT of T.81 scaled by 8, |t| <= 8192 for 8-bit samples.
 */
static inline VJ_HD void vj_jpeg_fdct8(const struct vj_jpeg_cosines *k, int v[8], int pass)
{
    int shift = pass == 1 ? 11 : 15;
    int s0 = v[0] + v[7], s1 = v[1] + v[6], s2 = v[2] + v[5], s3 = v[3] + v[4];
    int odd[4], rot[2];
    vj_jpeg_odd(k, v[0] - v[7], v[1] - v[6], v[2] - v[5], v[3] - v[4], odd);
    vj_jpeg_rotate(k, s0 - s3, s1 - s2, rot);
    int sum = s0 + s3 + s1 + s2, difference = s0 + s3 - s1 - s2;
    v[0] = pass == 1 ? sum * 4 : vj_jpeg_round_shift(sum, 2);
    v[4] = pass == 1 ? difference * 4 : vj_jpeg_round_shift(difference, 2);
    v[2] = vj_jpeg_round_shift(rot[0], shift);
    v[6] = vj_jpeg_round_shift(rot[1], shift);
    v[1] = vj_jpeg_round_shift(odd[0], shift);
    v[3] = vj_jpeg_round_shift(odd[1], shift);
    v[5] = vj_jpeg_round_shift(odd[2], shift);
    v[7] = vj_jpeg_round_shift(odd[3], shift);
}

/*
 * Inverse 1-D transform in place. pass 1 (columns, de-quantised coefficients): results are scaled
 * by 4 x sqrt(8); pass 2 (rows): samples less 128, not yet clamped.
 */
static inline VJ_HD void vj_jpeg_idct8(const struct vj_jpeg_cosines *k, int v[8], int pass)
{
    int shift = pass == 1 ? 11 : 18;
    int half = 1 << (shift - 1);
    int odd[4], rot[2];
    vj_jpeg_odd(k, v[1], v[3], v[5], v[7], odd);
    vj_jpeg_rotate(k, v[2], v[6], rot);
    int sum = (v[0] + v[4]) * 8192 + half, difference = (v[0] - v[4]) * 8192 + half;
    int e0 = sum + rot[0], e1 = difference + rot[1], e2 = difference - rot[1], e3 = sum - rot[0];
    v[0] = (e0 + odd[0]) >> shift;
    v[1] = (e1 + odd[1]) >> shift;
    v[2] = (e2 + odd[2]) >> shift;
    v[3] = (e3 + odd[3]) >> shift;
    v[4] = (e3 - odd[3]) >> shift;
    v[5] = (e2 - odd[2]) >> shift;
    v[6] = (e1 - odd[1]) >> shift;
    v[7] = (e0 - odd[0]) >> shift;
}

/* Sample 0..255 from the result of the second inverse pass, which fits 16 bits. */
static inline VJ_HD uint8_t vj_jpeg_sample(int16_t v)
{
    return vj_jpeg_clamp((int16_t)(v + 128));
}

/* What the two inverse passes give for a block of which only the DC is not zero, before clamping.
 */
static inline VJ_HD int16_t vj_jpeg_idct_flat(int dc)
{
    return (int16_t)((dc + 4) >> 3);
}

/* ---- Quantisation --------------------------------------------------------------------------- */

/*
 * One quantisation table with what division by it needs, all in natural (row-major) order.
 *
 * n = |t| + 4q is divided by 8q by multiplications that give the high half of 16 x 16 bits, which
 * vector units have, unlike division. With k = floor(log2 q) and mul = ceil(2^(15+k) / q) <= 2^15,
 * n / (8q) = ((n * mul) >> 16) >> (k + 2). The last shift is a multiplication too, of twice the
 * number by post = 2^(13-k), since vector units lack 16-bit shifts that differ from lane to lane.
 * It is exact while n * (mul * q - 2^(15+k)) < 2^(15+k). The bracket is below q < 2^(k+1), so that
 * n < 2^14 suffices; |t| <= 8192 and 4q <= 1020 make n < 9213.
 */
struct vj_jpeg_quantiser {
    uint16_t q[64];    /* 1..255 */
    uint16_t half[64]; /* 4q: half a step of a coefficient scaled by 8 */
    uint16_t mul[64];
    uint16_t post[64];
};

/* Annex K table of T.81 in natural order. table: 0 luma, 1 chroma. */
static inline const uint8_t *vj_jpeg_base_steps(int table)
{
    static const uint8_t base[2][64] = {
        {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
         14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
         18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
         49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99},
        {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
         99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
         99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99},
    };
    return base[table];
}

/* Quantisation step at a quality factor 1..100 (IJG scaling, baseline limit of 255). */
static inline VJ_HD int vj_jpeg_step(int base, int qf)
{
    int scale = qf < 50 ? 5000 / qf : 200 - 2 * qf;
    int q = (base * scale + 50) / 100;
    return q < 1 ? 1 : q > 255 ? 255 : q;
}

/* Sets entry k of a quantiser to step q, 1..255. */
static inline VJ_HD void vj_jpeg_quantiser_set(struct vj_jpeg_quantiser *z, int k, int q)
{
    int log2 = 0;
    while (q >> (log2 + 1))
        log2++;
    z->q[k] = (uint16_t)q;
    z->half[k] = (uint16_t)(4 * q);
    z->mul[k] = (uint16_t)(((1 << (15 + log2)) + q - 1) / q);
    z->post[k] = (uint16_t)(1 << (13 - log2));
}

/* Fills the quantiser of table 0 (luma, grey) or 1 (chroma) for a quality factor 1..100. */
static inline void vj_jpeg_quantiser_init(struct vj_jpeg_quantiser *z, int table, int qf)
{
    const uint8_t *base = vj_jpeg_base_steps(table);
    for (int k = 0; k < 64; k++)
        vj_jpeg_quantiser_set(z, k, vj_jpeg_step(base[k], qf));
}

/* High half of a 16 x 16 bit product. */
static inline VJ_HD uint16_t vj_jpeg_mulhi(uint16_t a, uint16_t b)
{
    return (uint16_t)(((uint32_t)a * b) >> 16);
}

/* Quantised value of coefficient k, as vj_jpeg_fdct8 leaves it: sign(t) * ((|t| + 4q) / (8q)). */
static inline VJ_HD int16_t vj_jpeg_quantise(int16_t t, const struct vj_jpeg_quantiser *z, int k)
{
    int16_t negative = (int16_t)(t >> 15);
    uint16_t magnitude = (uint16_t)((t ^ negative) - negative);
    uint16_t n = (uint16_t)(magnitude + z->half[k]);
    /* Doubled in between, because compilers lose sight of the 16 bits in a chain of products. */
    uint16_t high = (uint16_t)(2 * vj_jpeg_mulhi(n, z->mul[k]));
    uint16_t level = vj_jpeg_mulhi(high, z->post[k]);
    return (int16_t)((level ^ negative) - negative);
}

/* ---- Entropy coding ------------------------------------------------------------------------- */

/* Natural-order index of each coefficient in zigzag order. */
static inline const uint8_t *vj_jpeg_zigzag(void)
{
    static const uint8_t natural[64] = {
        0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
        41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
        30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    };
    return natural;
}

/* A Huffman table as DHT transmits it. */
struct vj_jpeg_huffman {
    uint8_t bits[17];    /* bits[n]: number of codes of n bits, n = 1..16 */
    uint8_t values[256]; /* symbols in order of increasing code */
};

/* Standard (Annex K) table. table: 0 luma, 1 chroma; ac: 0 DC, 1 AC. */
static inline const struct vj_jpeg_huffman *vj_jpeg_standard_huffman(int table, int ac)
{
    static const struct vj_jpeg_huffman standard[2][2] = {
        {
            {.bits = {0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0},
             .values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
            {.bits = {0, 0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125},
             .values = {0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06,
                        0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08,
                        0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
                        0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
                        0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45,
                        0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
                        0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75,
                        0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                        0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
                        0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6,
                        0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9,
                        0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
                        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4,
                        0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa}},
        },
        {
            {.bits = {0, 0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0},
             .values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
            {.bits = {0, 0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119},
             .values = {0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41,
                        0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91,
                        0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
                        0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
                        0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44,
                        0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
                        0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74,
                        0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
                        0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
                        0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4,
                        0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
                        0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
                        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4,
                        0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa}},
        },
    };
    return &standard[table][ac];
}

/*
 * Codes by symbol, with room for the magnitude bits that follow: a symbol's low four bits say how
 * many there are (T.81 F.1.2), so `code` is shifted left by them and `length` includes them.
 */
struct vj_jpeg_codes {
    struct {
        uint32_t code;
        uint32_t length; /* code + magnitude bits, at most 26; 0: no such symbol */
    } symbol[256];
};

/* Codes of a transmitted table: consecutive numbers, doubled at each step of length (T.81 C.2). */
static inline VJ_HD void vj_jpeg_codes_init(struct vj_jpeg_codes *codes,
                                            const struct vj_jpeg_huffman *huffman)
{
    for (int s = 0; s < 256; s++)
        codes->symbol[s].code = codes->symbol[s].length = 0;
    uint32_t code = 0;
    int n = 0;
    for (int length = 1; length <= 16; length++) {
        for (int i = 0; i < huffman->bits[length]; i++) {
            int s = huffman->values[n++];
            codes->symbol[s].code = code++ << (s & 15);
            codes->symbol[s].length = (uint32_t)(length + (s & 15));
        }
        code <<= 1;
    }
}

/* Number of magnitude bits of a coefficient or DC difference: 0 for 0, else 1 + floor(log2 |v|). */
static inline VJ_HD int vj_jpeg_category(int v)
{
    int negative = v >> 31; /* no branches: signs are unpredictable */
    int magnitude = (v ^ negative) - negative;
#ifdef __CUDA_ARCH__
    return 31 - __clz(2 * magnitude + 1);
#else
    return 31 - __builtin_clz(2 * (uint32_t)magnitude + 1);
#endif
}

/* Magnitude bits: v itself, or v - 1 when negative, cut to its category. */
static inline VJ_HD uint32_t vj_jpeg_magnitude_bits(int v, int category)
{
    return (uint32_t)(v + (v >> 31)) & ((1u << category) - 1);
}

#endif
