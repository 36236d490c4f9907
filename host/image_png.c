/* SPDX-License-Identifier: MIT */
/*
 * PNG through libpng. Samples are taken as they are stored: no gamma, no profile, no scaling beyond
 * spreading 1, 2 and 4 bit grey over 0..255 as the PNG specification says.
 *
 * As in image_jpeg.c, every call into the library runs below one setjmp(), in guarded(), and all
 * state lives in a struct owned by the caller of guarded(), who also destroys the library's
 * objects.
 */
#include "host/image_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "host/checked.h"

#define SIGNATURE_BYTES 8

/* Deflate's best case: 258 bytes from two bits. */
#define DEFLATE_MAX_RATIO 1032

struct guard {
    jmp_buf jump;
    const char *name;
    struct vj_error *err;
    int code;
    bool starved;      /* an allocation failed */
    char warning[160]; /* the first one, "" when none */
};

struct header {
    png_uint_32 width, height;
    int depth, type;
    bool alpha;
};

struct reader {
    struct guard guard;
    png_structp png;
    png_infop info;
    const struct vj_image_source *src;
    size_t position; /* next byte of src that the library gets */
    const struct vj_image_options *opt;
    struct header header;
    struct vj_image img; /* owned until handed over */
    uint8_t *scratch;    /* owned: what has to be blended or looked up first */
};

struct writer {
    struct guard guard;
    png_structp png;
    png_infop info;
    const struct vj_image *img;
    struct vj_part *part;
};

static void leave(struct guard *g, int code)
{
    g->code = code;
    longjmp(g->jump, 1);
}

static void on_error(png_structp png, png_const_charp text)
{
    struct guard *g = png_get_error_ptr(png);
    if (g->starved)
        leave(g, vj_fail(g->err, -ENOMEM, "%s: PNG: %s; free memory", g->name, text));
    leave(g, vj_fail(g->err, -EBADMSG, "%s: PNG: %s; the file is damaged, copy it again", g->name,
                     text));
}

/* Only noted: the library is not prepared to be left from here. */
static void on_warning(png_structp png, png_const_charp text)
{
    struct guard *g = png_get_error_ptr(png);
    if (g->warning[0] == '\0')
        snprintf(g->warning, sizeof(g->warning), "%s", text);
}

/* The library reports want of memory like any damage; here the two are told apart. */
static png_voidp on_malloc(png_structp png, png_alloc_size_t size)
{
    struct guard *g = png_get_mem_ptr(png);
    void *memory = malloc(size);
    g->starved = g->starved || !memory;
    return memory;
}

static void on_free(png_structp png, png_voidp memory)
{
    (void)png;
    free(memory);
}

static int guarded(struct guard *g, int (*step)(void *object), void *object)
{
    if (setjmp(g->jump) != 0)
        return g->code;
    return step(object);
}

static void on_read(png_structp png, png_bytep to, size_t count)
{
    struct reader *r = png_get_io_ptr(png);
    if (count > r->src->size - r->position)
        leave(&r->guard,
              vj_fail(r->guard.err, -EBADMSG,
                      "%s: PNG: ends at byte %zu within its data; the file is cut short, "
                      "copy it again",
                      r->guard.name, r->src->size));
    memcpy(to, r->src->data + r->position, count);
    r->position += count;
}

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* True when an animation control chunk comes before the picture data. */
static bool is_animated(const struct vj_image_source *src)
{
    size_t at = SIGNATURE_BYTES;
    while (at + 12 <= src->size) {
        const uint8_t *chunk = src->data + at;
        if (memcmp(chunk + 4, "IDAT", 4) == 0)
            return false;
        if (memcmp(chunk + 4, "acTL", 4) == 0)
            return true;
        size_t length = read_u32(chunk);
        if (length > src->size - at - 12)
            return false;
        at += 12 + length;
    }
    return false;
}

static int check_container(const struct reader *r)
{
    const struct vj_image_source *src = r->src;
    if (src->size < SIGNATURE_BYTES || png_sig_cmp(src->data, 0, SIGNATURE_BYTES) != 0)
        return vj_fail(r->guard.err, -EBADMSG,
                       "%s: PNG: signature is damaged, as by a copy in text mode; copy it again",
                       src->name);
    /* The library calls this no more than invalid. */
    if (src->size >= 24 && memcmp(src->data + 12, "IHDR", 4) == 0) {
        int rc = vj_image_check_size(src->name, read_u32(src->data + 16), read_u32(src->data + 20),
                                     SIZE_MAX, r->guard.err);
        if (rc)
            return rc;
    }
    if (is_animated(src))
        return vj_fail(r->guard.err, -ENOTSUP,
                       "%s: PNG: animated (APNG); extract the wanted frame as a still picture",
                       src->name);
    return 0;
}

static int check_header(const struct reader *r)
{
    if (r->header.depth > 8)
        return vj_fail(r->guard.err, -ENOTSUP,
                       "%s: PNG: %d bits per sample; only 8 bits are supported, convert it",
                       r->guard.name, r->header.depth);
    return 0;
}

/* Opens the file and reads up to the picture data. */
static int open_header(struct reader *r)
{
    int rc = check_container(r);
    if (rc)
        return rc;
    r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r->guard, on_error, on_warning,
                                      &r->guard, on_malloc, on_free);
    if (r->png)
        r->info = png_create_info_struct(r->png);
    if (!r->info)
        return vj_fail(r->guard.err, -ENOMEM, "%s: PNG: no memory for the decoder", r->guard.name);
    png_set_read_fn(r->png, r, on_read);
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* max_pixels decides */
    /* Profiles, gamma and texts are of no use here: not parsed, so neither expanded nor judged. */
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(r->png, r->info);

    struct header *h = &r->header;
    png_get_IHDR(r->png, r->info, &h->width, &h->height, &h->depth, &h->type, NULL, NULL, NULL);
    h->alpha = (h->type & PNG_COLOR_MASK_ALPHA) || png_get_valid(r->png, r->info, PNG_INFO_tRNS);
    return check_header(r);
}

static int channels_of(const struct header *h)
{
    return h->type & PNG_COLOR_MASK_COLOR ? 3 : 1; /* a palette's entries are colours */
}

/* No stream of this file's size can expand to the rows that the header promises. */
static int check_plausible(const struct reader *r)
{
    uint64_t rows = (uint64_t)r->header.height * (png_get_rowbytes(r->png, r->info) + 1);
    if (rows / DEFLATE_MAX_RATIO > r->src->size)
        return vj_fail(r->guard.err, -EBADMSG,
                       "%s: PNG: %zu bytes cannot hold the %u x %u pixels of the header; the file "
                       "is cut short or damaged",
                       r->guard.name, r->src->size, r->header.width, r->header.height);
    return 0;
}

/* Decodes into height x stride bytes; passes of an interlaced file complete the rows in place. */
static int read_rows(struct reader *r, uint8_t *to, size_t stride)
{
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != stride)
        return vj_fail(r->guard.err, -EPROTO, "%s: PNG: rows of %zu bytes where %zu are expected",
                       r->guard.name, (size_t)png_get_rowbytes(r->png, r->info), stride);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < r->header.height; y++)
            png_read_row(r->png, to + y * stride, NULL);
    png_read_end(r->png, NULL);
    if (r->guard.warning[0] != '\0')
        return vj_fail(r->guard.err, -EBADMSG, "%s: PNG: %s; the file is damaged, copy it again",
                       r->guard.name, r->guard.warning);
    return 0;
}

/* Reads height x width x samples bytes into the scratch buffer. */
static int read_scratch(struct reader *r, size_t samples)
{
    size_t stride, bytes;
    if (vj_size_mul(r->img.width, samples, &stride) && vj_size_mul(stride, r->img.height, &bytes))
        r->scratch = malloc(bytes);
    if (!r->scratch)
        return vj_fail(r->guard.err, -ENOMEM, "%s: no memory to decode %zu x %zu pixels",
                       r->guard.name, r->img.width, r->img.height);
    return read_rows(r, r->scratch, stride);
}

static int decode_blended(struct reader *r)
{
    size_t channels = (size_t)r->img.channels;
    size_t pixels = r->img.width * r->img.height; /* fits: allocated */
    unsigned background = vj_alpha_background(r->opt->alpha);
    if (r->header.type == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(r->png);
    png_set_tRNS_to_alpha(r->png);
    int rc = read_scratch(r, channels + 1);
    if (rc)
        return rc;
    const uint8_t *in = r->scratch;
    uint8_t *out = r->img.data;
    for (size_t i = 0; i < pixels; i++) {
        if (in[channels] != 255 && r->opt->alpha == VJ_ALPHA_REFUSE)
            return vj_image_refuse_alpha(r->guard.name, r->guard.err);
        for (size_t c = 0; c < channels; c++)
            *out++ = vj_alpha_blend(in[c], in[channels], background);
        in += channels + 1;
    }
    return 0;
}

/* The palette over the background; entries beyond the opacity list are opaque. */
static size_t blend_palette(uint8_t entries[PNG_MAX_PALETTE_LENGTH][3],
                            bool opaque[PNG_MAX_PALETTE_LENGTH], const struct reader *r)
{
    png_colorp palette = NULL;
    png_bytep opacity = NULL;
    int count = 0, listed = 0;
    unsigned background = vj_alpha_background(r->opt->alpha);
    png_get_PLTE(r->png, r->info, &palette, &count);
    png_get_tRNS(r->png, r->info, &opacity, &listed, NULL);
    for (int i = 0; i < count; i++) {
        unsigned alpha = i < listed ? opacity[i] : 255;
        opaque[i] = alpha == 255;
        entries[i][0] = vj_alpha_blend(palette[i].red, alpha, background);
        entries[i][1] = vj_alpha_blend(palette[i].green, alpha, background);
        entries[i][2] = vj_alpha_blend(palette[i].blue, alpha, background);
    }
    return (size_t)count;
}

/*
 * Looked up here and not by the library, which takes an index beyond the palette for black
 * (1.6.39) or for an error that says neither where it is nor which (1.6.48).
 */
static int decode_indexed(struct reader *r)
{
    uint8_t entries[PNG_MAX_PALETTE_LENGTH][3];
    bool opaque[PNG_MAX_PALETTE_LENGTH];
    size_t count = blend_palette(entries, opaque, r);
    size_t pixels = r->img.width * r->img.height; /* fits: allocated */
    png_set_packing(r->png);                      /* one byte per index whatever the depth */
    png_set_check_for_invalid_index(r->png, 0);
    int rc = read_scratch(r, 1);
    if (rc)
        return rc;
    for (size_t i = 0; i < pixels; i++) {
        size_t index = r->scratch[i];
        if (index >= count)
            return vj_fail(r->guard.err, -EBADMSG,
                           "%s: PNG: palette index %zu at row %zu, but the palette has %zu "
                           "entries; the file is damaged",
                           r->guard.name, index, i / r->img.width, count);
        if (!opaque[index] && r->opt->alpha == VJ_ALPHA_REFUSE)
            return vj_image_refuse_alpha(r->guard.name, r->guard.err);
        memcpy(r->img.data + 3 * i, entries[index], 3);
    }
    return 0;
}

static int decode_direct(struct reader *r)
{
    if (r->header.type == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(r->png);
    return read_rows(r, r->img.data, r->img.width * (size_t)r->img.channels);
}

static int decode(void *object)
{
    struct reader *r = object;
    const struct header *h = &r->header;
    int rc = open_header(r);
    if (!rc)
        rc = vj_image_check_size(r->guard.name, h->width, h->height, r->opt->max_pixels,
                                 r->guard.err);
    if (!rc)
        rc = check_plausible(r);
    if (rc)
        return rc;
    rc = vj_image_alloc(&r->img, h->width, h->height, channels_of(h), r->guard.err);
    if (rc) {
        vj_fail_prefix(r->guard.err, "%s", r->guard.name);
        return rc; /* also without an err */
    }
    if (h->type == PNG_COLOR_TYPE_PALETTE)
        return decode_indexed(r);
    return h->alpha ? decode_blended(r) : decode_direct(r);
}

static int read_header(void *object)
{
    return open_header(object);
}

static void init_reader(struct reader *r, const struct vj_image_source *src, struct vj_error *err)
{
    memset(r, 0, sizeof(*r));
    r->guard.name = src->name;
    r->guard.err = err;
    r->src = src;
}

int vj_image_read_png(struct vj_image *img, const struct vj_image_source *src,
                      const struct vj_image_options *opt, struct vj_error *err)
{
    struct reader r;
    init_reader(&r, src, err);
    r.opt = opt;
    int rc = guarded(&r.guard, decode, &r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.scratch);
    if (rc)
        vj_image_free(&r.img);
    *img = r.img;
    return rc;
}

int vj_image_info_png(struct vj_image_info *info, const struct vj_image_source *src,
                      struct vj_error *err)
{
    struct reader r;
    init_reader(&r, src, err);
    int rc = guarded(&r.guard, read_header, &r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (rc)
        return rc;
    info->width = r.header.width;
    info->height = r.header.height;
    info->channels = channels_of(&r.header);
    info->alpha = r.header.alpha;
    return 0;
}

static void on_write(png_structp png, png_bytep bytes, size_t count)
{
    struct writer *w = png_get_io_ptr(png);
    int rc = vj_part_write(w->part, bytes, count, w->guard.err);
    if (rc)
        leave(&w->guard, rc);
}

static void on_flush(png_structp png)
{
    (void)png; /* closing flushes */
}

static int encode(void *object)
{
    struct writer *w = object;
    const struct vj_image *img = w->img;
    w->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w->guard, on_error, on_warning,
                                       &w->guard, on_malloc, on_free);
    if (w->png)
        w->info = png_create_info_struct(w->png);
    if (!w->info)
        return vj_fail(w->guard.err, -ENOMEM, "%s: PNG: no memory for the encoder", w->guard.name);
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(w->png, w->info, (png_uint_32)img->width, (png_uint_32)img->height, 8,
                 img->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    size_t stride = img->width * (size_t)img->channels;
    for (size_t y = 0; y < img->height; y++)
        png_write_row(w->png, img->data + y * stride);
    png_write_end(w->png, NULL);
    return 0;
}

int vj_image_write_png(const struct vj_image *img, const char *path, struct vj_error *err)
{
    struct vj_part part;
    int rc = vj_image_check_writable(img, path, err);
    if (rc)
        return rc;
    if (img->width > PNG_UINT_31_MAX || img->height > PNG_UINT_31_MAX)
        return vj_fail(err, -EFBIG, "%s: %zu x %zu pixels do not fit into a PNG file", path,
                       img->width, img->height);
    rc = vj_part_open(&part, path, err);
    if (rc)
        return rc;
    struct writer w = {.guard = {.name = path, .err = err}, .img = img, .part = &part};
    rc = guarded(&w.guard, encode, &w);
    png_destroy_write_struct(&w.png, &w.info);
    if (rc) {
        vj_part_abort(&part);
        return rc;
    }
    return vj_part_commit(&part, err);
}
