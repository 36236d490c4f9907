/* SPDX-License-Identifier: MIT */
/*
 * Windows and OS/2 bitmaps, uncompressed: 8-bit palette, 24-bit, 32-bit (fourth byte unused) and
 * 32-bit with channel masks. Field names are those of the Windows SDK's BITMAPFILEHEADER and
 * BITMAPV5HEADER. A palette of greys only makes a grey picture: BMP has no other way to say so.
 */
#include "host/image_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

#define FILE_HEADER   14
#define CORE_HEADER   12
#define INFO_HEADER   40
#define HEADER_BYTES  (FILE_HEADER + INFO_HEADER)
#define PALETTE_MAX   256
#define BI_RGB        0
#define BI_RLE8       1
#define BI_RLE4       2
#define BI_BITFIELDS  3
#define BI_ALPHAFIELD 6

enum { RED, GREEN, BLUE, ALPHA };

struct bitmap {
    size_t width, height;
    bool top_down;
    unsigned depth;       /* bits per pixel: 8, 24 or 32 */
    uint32_t header_size; /* biSize */
    uint32_t compression; /* biCompression */
    uint32_t colours;     /* biClrUsed */
    size_t pixels_at;     /* bfOffBits */
    size_t headers_end;   /* first byte behind headers and masks */
    unsigned shift[4];    /* of the 8 bits of each channel in a 32-bit pixel */
    bool alpha;           /* a mask names alpha bits */
    size_t entries;       /* of the palette */
    uint8_t palette[PALETTE_MAX][3];
    bool grey; /* all entries have equal red, green and blue */
};

static uint32_t read_u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t read_u32(const uint8_t *p)
{
    return read_u16(p) | read_u16(p + 2) << 16;
}

static int fail_cut(const struct vj_image_source *src, const char *part, uint64_t needed,
                    struct vj_error *err)
{
    return vj_fail(err, -EBADMSG,
                   "%s: BMP: %s ends at byte %llu, the file at %zu; it is cut short, copy it again",
                   src->name, part, (unsigned long long)needed, src->size);
}

static bool is_known_header(uint32_t size)
{
    static const uint8_t sizes[] = {CORE_HEADER, INFO_HEADER, 52, 56, 64, 108, 124};
    for (size_t i = 0; i < sizeof(sizes); i++)
        if (sizes[i] == size)
            return true;
    return false;
}

/* Sizes of both headers, so that the fields behind may be read. */
static int read_sizes(struct bitmap *b, const struct vj_image_source *src, struct vj_error *err)
{
    if (src->size < FILE_HEADER + 4)
        return fail_cut(src, "the file header", FILE_HEADER + 4, err);
    b->pixels_at = read_u32(src->data + 10);
    b->header_size = read_u32(src->data + FILE_HEADER);
    if (!is_known_header(b->header_size))
        return vj_fail(
            err, -ENOTSUP,
            "%s: BMP: header size %u is none of 12, 40, 52, 56, 64, 108, 124; convert to "
            "PNG",
            src->name, b->header_size);
    b->headers_end = FILE_HEADER + b->header_size;
    if (src->size < b->headers_end)
        return fail_cut(src, "the header", b->headers_end, err);
    return 0;
}

static int check_planes(uint32_t planes, const struct vj_image_source *src, struct vj_error *err)
{
    if (planes != 1)
        return vj_fail(err, -EBADMSG, "%s: BMP: biPlanes is %u, not 1; the header is damaged",
                       src->name, planes);
    return 0;
}

static int read_core_fields(struct bitmap *b, const struct vj_image_source *src,
                            struct vj_error *err)
{
    const uint8_t *h = src->data + FILE_HEADER;
    b->width = read_u16(h + 4);
    b->height = read_u16(h + 6);
    b->depth = read_u16(h + 10);
    return check_planes(read_u16(h + 8), src, err);
}

static int read_info_fields(struct bitmap *b, const struct vj_image_source *src,
                            struct vj_error *err)
{
    const uint8_t *h = src->data + FILE_HEADER;
    uint32_t width = read_u32(h + 4);
    uint32_t height = read_u32(h + 8);
    if (width > INT32_MAX)
        return vj_fail(err, -EBADMSG, "%s: BMP: biWidth is negative; the header is damaged",
                       src->name);
    b->width = width;
    b->top_down = height > INT32_MAX; /* negative in two's complement */
    b->height = b->top_down ? UINT32_MAX - height + 1 : height;
    b->depth = read_u16(h + 14);
    b->compression = read_u32(h + 16);
    b->colours = read_u32(h + 32);
    return check_planes(read_u16(h + 12), src, err);
}

static int check_compression(const struct bitmap *b, const struct vj_image_source *src,
                             struct vj_error *err)
{
    bool os2_v2 = b->header_size == 64; /* where 3 and 4 mean Huffman and 24-bit run lengths */
    if (b->compression == BI_RGB)
        return 0;
    if (b->compression == BI_RLE8 || b->compression == BI_RLE4)
        return vj_fail(err, -ENOTSUP,
                       "%s: BMP: run-length encoded (RLE, biCompression %u) is not supported; save "
                       "it uncompressed or as PNG",
                       src->name, b->compression);
    if (os2_v2 || (b->compression != BI_BITFIELDS && b->compression != BI_ALPHAFIELD))
        return vj_fail(err, -ENOTSUP,
                       "%s: BMP: biCompression %u is not supported; save it uncompressed or as PNG",
                       src->name, b->compression);
    return 0;
}

static int check_depth(const struct bitmap *b, const struct vj_image_source *src,
                       struct vj_error *err)
{
    bool masked = b->compression != BI_RGB;
    if (b->depth == 32 || (!masked && (b->depth == 8 || b->depth == 24)))
        return 0;
    if (masked)
        return vj_fail(
            err, -ENOTSUP,
            "%s: BMP: biBitCount %u with channel masks; only 32 is supported, convert to "
            "24-bit or PNG",
            src->name, b->depth);
    return vj_fail(err, -ENOTSUP,
                   "%s: BMP: biBitCount %u; only 8, 24 and 32 are supported, convert to 24-bit or "
                   "PNG",
                   src->name, b->depth);
}

/* Position of a mask's eight bits; false when it is not eight bits in a row. */
static bool mask_shift(unsigned *shift, uint32_t mask)
{
    if (mask == 0)
        return false;
    *shift = (unsigned)__builtin_ctz(mask);
    return mask >> *shift == 0xff;
}

static int read_masks(struct bitmap *b, const struct vj_image_source *src, struct vj_error *err)
{
    static const char *const names[4] = {"red", "green", "blue", "alpha"};
    /* The masks are header fields from V2 (alpha: V3) on; behind a V1 header they are appended. */
    size_t count = b->header_size >= 56 || b->compression == BI_ALPHAFIELD ? 4 : 3;
    size_t end = FILE_HEADER + INFO_HEADER + 4 * count;
    if (b->headers_end < end)
        b->headers_end = end;
    if (src->size < end)
        return fail_cut(src, "the list of channel masks", end, err);

    uint32_t seen = 0;
    for (size_t c = 0; c < count; c++) {
        uint32_t mask = read_u32(src->data + FILE_HEADER + INFO_HEADER + 4 * c);
        if (c == ALPHA && mask == 0)
            break;
        if (!mask_shift(&b->shift[c], mask))
            return vj_fail(err, -ENOTSUP,
                           "%s: BMP: %s mask %08x is not 8 bits in a row; convert to 24-bit or PNG",
                           src->name, names[c], mask);
        if (seen & mask)
            return vj_fail(err, -EBADMSG,
                           "%s: BMP: %s mask %08x overlaps another; the header is damaged",
                           src->name, names[c], mask);
        seen |= mask;
        b->alpha = c == ALPHA;
    }
    return 0;
}

static int read_palette(struct bitmap *b, const struct vj_image_source *src, struct vj_error *err)
{
    bool core = b->header_size == CORE_HEADER;
    size_t entry = core ? 3 : 4;
    size_t room = b->pixels_at > b->headers_end ? (b->pixels_at - b->headers_end) / entry : 0;
    b->entries = b->colours ? b->colours : PALETTE_MAX;
    if (core && room < b->entries)
        b->entries = room; /* a core header cannot say how many there are */
    if (b->entries > PALETTE_MAX || b->entries == 0)
        return vj_fail(err, -EBADMSG,
                       "%s: BMP: a palette of %zu entries (biClrUsed); 1..256 are possible, the "
                       "header is damaged",
                       src->name, b->entries);
    if (b->entries > room)
        return vj_fail(err, -EBADMSG,
                       "%s: BMP: palette of %zu entries overlaps the pixels at bfOffBits %zu; the "
                       "header is damaged",
                       src->name, b->entries, b->pixels_at);
    size_t end = b->headers_end + entry * b->entries;
    if (src->size < end)
        return fail_cut(src, "the palette", end, err);
    b->grey = true;
    for (size_t i = 0; i < b->entries; i++) {
        const uint8_t *bgr = src->data + b->headers_end + entry * i;
        b->palette[i][RED] = bgr[2];
        b->palette[i][GREEN] = bgr[1];
        b->palette[i][BLUE] = bgr[0];
        b->grey = b->grey && bgr[0] == bgr[1] && bgr[1] == bgr[2];
    }
    return 0;
}

/* Headers, masks and palette: all that comes before the pixels. */
static int read_header(struct bitmap *b, const struct vj_image_source *src, struct vj_error *err)
{
    memset(b, 0, sizeof(*b));
    int rc = read_sizes(b, src, err);
    if (rc)
        return rc;
    rc = b->header_size == CORE_HEADER ? read_core_fields(b, src, err)
                                       : read_info_fields(b, src, err);
    if (!rc)
        rc = vj_image_check_size(src->name, b->width, b->height, SIZE_MAX, err);
    if (!rc)
        rc = check_compression(b, src, err);
    if (!rc)
        rc = check_depth(b, src, err);
    if (rc)
        return rc;
    b->shift[RED] = 16;
    b->shift[GREEN] = 8;
    b->shift[BLUE] = 0;
    if (b->compression != BI_RGB)
        rc = read_masks(b, src, err);
    if (!rc && b->depth == 8)
        rc = read_palette(b, src, err);
    if (!rc && b->pixels_at < b->headers_end)
        rc = vj_fail(err, -EBADMSG,
                     "%s: BMP: bfOffBits %zu lies within the headers (%zu bytes); the header is "
                     "damaged",
                     src->name, b->pixels_at, b->headers_end);
    return rc;
}

static int channels_of(const struct bitmap *b)
{
    return b->depth == 8 && b->grey ? 1 : 3;
}

static size_t row_stride(const struct bitmap *b)
{
    return (b->width * b->depth + 31) / 32 * 4; /* width < 2^31 */
}

static int check_extent(const struct bitmap *b, const struct vj_image_source *src,
                        struct vj_error *err)
{
    size_t bytes, end;
    if (!vj_size_mul(row_stride(b), b->height, &bytes) || !vj_size_add(b->pixels_at, bytes, &end))
        end = SIZE_MAX;
    return end > src->length ? fail_cut(src, "the picture", end, err) : 0;
}

static int decode_palette_row(uint8_t *out, const uint8_t *in, const struct bitmap *b,
                              const struct vj_image_source *src, struct vj_error *err)
{
    for (size_t x = 0; x < b->width; x++) {
        if (in[x] >= b->entries)
            return vj_fail(err, -EBADMSG,
                           "%s: BMP: palette index %u at column %zu, but the palette has %zu "
                           "entries; the file is damaged",
                           src->name, in[x], x, b->entries);
        const uint8_t *entry = b->palette[in[x]];
        *out++ = entry[RED];
        if (!b->grey) {
            *out++ = entry[GREEN];
            *out++ = entry[BLUE];
        }
    }
    return 0;
}

static void decode_24_row(uint8_t *out, const uint8_t *in, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        out[3 * x] = in[3 * x + 2];
        out[3 * x + 1] = in[3 * x + 1];
        out[3 * x + 2] = in[3 * x];
    }
}

/* Whether all pixels of the row are opaque. */
static bool decode_32_row(uint8_t *out, const uint8_t *in, const struct bitmap *b,
                          enum vj_alpha_mode mode)
{
    unsigned background = vj_alpha_background(mode);
    bool opaque = true;
    for (size_t x = 0; x < b->width; x++) {
        uint32_t pixel = read_u32(in + 4 * x);
        unsigned alpha = b->alpha ? pixel >> b->shift[ALPHA] & 0xff : 255;
        for (int c = RED; c <= BLUE; c++)
            out[3 * x + (size_t)c] = vj_alpha_blend(pixel >> b->shift[c] & 0xff, alpha, background);
        opaque = opaque && alpha == 255;
    }
    return opaque;
}

static int decode_pixels(struct vj_image *img, const struct bitmap *b,
                         const struct vj_image_source *src, enum vj_alpha_mode mode,
                         struct vj_error *err)
{
    size_t in_stride = row_stride(b);
    size_t out_stride = img->width * (size_t)img->channels;
    int rc = 0;
    for (size_t y = 0; y < b->height && !rc; y++) {
        size_t line = b->top_down ? y : b->height - 1 - y;
        const uint8_t *in = src->data + b->pixels_at + line * in_stride;
        uint8_t *out = img->data + y * out_stride;
        if (b->depth == 8)
            rc = decode_palette_row(out, in, b, src, err);
        else if (b->depth == 24)
            decode_24_row(out, in, b->width);
        else if (!decode_32_row(out, in, b, mode) && mode == VJ_ALPHA_REFUSE)
            rc = vj_image_refuse_alpha(src->name, err);
    }
    return rc;
}

int vj_image_read_bmp(struct vj_image *img, const struct vj_image_source *src,
                      const struct vj_image_options *opt, struct vj_error *err)
{
    struct bitmap b;
    int rc = read_header(&b, src, err);
    if (!rc)
        rc = vj_image_check_size(src->name, b.width, b.height, opt->max_pixels, err);
    if (!rc)
        rc = check_extent(&b, src, err);
    if (rc)
        return rc;
    rc = vj_image_alloc(img, b.width, b.height, channels_of(&b), err);
    if (rc) {
        vj_fail_prefix(err, "%s", src->name);
        return rc; /* also without an err */
    }
    rc = decode_pixels(img, &b, src, opt->alpha, err);
    if (rc)
        vj_image_free(img);
    return rc;
}

int vj_image_info_bmp(struct vj_image_info *info, const struct vj_image_source *src,
                      struct vj_error *err)
{
    struct bitmap b;
    int rc = read_header(&b, src, err);
    if (!rc)
        rc = check_extent(&b, src, err);
    if (rc)
        return rc;
    info->width = b.width;
    info->height = b.height;
    info->channels = channels_of(&b);
    info->alpha = b.alpha;
    return 0;
}

static void put_u16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static void put_u32(uint8_t *p, uint32_t value)
{
    put_u16(p, value & 0xffff);
    put_u16(p + 2, value >> 16);
}

static void encode_row(uint8_t *out, const uint8_t *in, size_t width, int channels)
{
    size_t step = (size_t)channels;
    for (size_t x = 0; x < width; x++, in += step) {
        out[3 * x] = in[step - 1];
        out[3 * x + 1] = in[step / 2];
        out[3 * x + 2] = in[0];
    }
}

static int write_pixels(struct vj_part *part, const struct vj_image *img, uint8_t *row,
                        size_t stride, struct vj_error *err)
{
    size_t in_stride = img->width * (size_t)img->channels;
    int rc = 0;
    for (size_t y = img->height; y-- > 0 && !rc;) {
        encode_row(row, img->data + y * in_stride, img->width, img->channels);
        rc = vj_part_write(part, row, stride, err);
    }
    return rc;
}

int vj_image_write_bmp(const struct vj_image *img, const char *path, struct vj_error *err)
{
    int rc = vj_image_check_writable(img, path, err);
    if (rc)
        return rc;
    size_t stride = 0, bytes = 0, total = SIZE_MAX;
    bool fits = img->width <= INT32_MAX && img->height <= INT32_MAX;
    if (fits) {
        stride = (img->width * 24 + 31) / 32 * 4;
        fits = vj_size_mul(stride, img->height, &bytes) &&
               vj_size_add(bytes, HEADER_BYTES, &total) && total <= UINT32_MAX;
    }
    if (!fits)
        return vj_fail(err, -EFBIG, "%s: %zu x %zu pixels do not fit into a BMP file; write PNG",
                       path, img->width, img->height);

    uint8_t header[HEADER_BYTES] = {'B', 'M'};
    put_u32(header + 2, (uint32_t)total);
    put_u32(header + 10, HEADER_BYTES);
    put_u32(header + 14, INFO_HEADER);
    put_u32(header + 18, (uint32_t)img->width);
    put_u32(header + 22, (uint32_t)img->height);
    put_u16(header + 26, 1);
    put_u16(header + 28, 24);
    put_u32(header + 34, (uint32_t)bytes);

    struct vj_part part;
    uint8_t *row = vj_calloc(stride, 1); /* zeroed for the padding */
    if (!row)
        return vj_fail(err, -ENOMEM, "%s: no memory for a row of %zu bytes", path, stride);
    rc = vj_part_open(&part, path, err);
    if (rc) {
        free(row);
        return rc;
    }
    rc = vj_part_write(&part, header, sizeof(header), err);
    if (!rc)
        rc = write_pixels(&part, img, row, stride, err);
    free(row);
    if (rc) {
        vj_part_abort(&part);
        return rc;
    }
    return vj_part_commit(&part, err);
}
