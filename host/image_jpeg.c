/* SPDX-License-Identifier: MIT */
/*
 * JPEG through libjpeg-turbo.
 *
 * Decoding leaves every option at its default (ISLOW inverse DCT, fancy up-sampling, which also
 * excludes merged up-sampling), so that the pixels are those of any stock decoder.
 *
 * The library reports errors by a callback that must not return. Every call into it therefore runs
 * below guarded(), whose setjmp() is the only one here: all state lives in a struct owned by the
 * caller of guarded(), so no local variable has to survive a longjmp(), and the caller destroys the
 * library's object on success and failure alike.
 */
#include "host/image_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "host/checked.h"

/*
 * A script of more scans than this serves no picture: each scan costs a pass over all coefficients,
 * so a small file could keep the decoder busy for hours.
 */
#define MAX_SCANS 200

/* Rows asked for at a time; the library delivers fewer (one row group), never more. */
#define ROWS_PER_CALL 16

struct guard {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    const char *name;
    struct vj_error *err;
    int code;
};

struct reader {
    struct guard guard;
    struct jpeg_decompress_struct cinfo;
    struct jpeg_progress_mgr progress;
    const struct vj_image_source *src;
    size_t max_pixels;
    struct vj_image img; /* owned until handed over */
    int qf;
};

/* Growing memory destination. The library's own loses track of its buffer when it fails midway. */
struct sink {
    struct jpeg_destination_mgr manager; /* first: the library hands back a pointer to it */
    uint8_t *data;                       /* owned */
    size_t capacity, size;
};

struct writer {
    struct guard guard;
    struct jpeg_compress_struct cinfo;
    struct sink sink;
    const struct vj_image *img;
    int qf;
    enum vj_subsampling sampling;
};

/* What a user can do about the library's messages; other messages mean a damaged file. */
struct advice {
    int message;
    int code;
    const char *text;
};

static const struct advice advices[] = {
    {JERR_NO_IMAGE, -EBADMSG, "the file has tables only; take the file with the picture"},
    {JERR_EMPTY_IMAGE, -EBADMSG, "width or height is 0 in the header"},
    {JERR_IMAGE_TOO_BIG, -EFBIG, "JPEG decoding ends at 65500 pixels a side; crop or scale it"},
    {JERR_BAD_PRECISION, -ENOTSUP, "only 8 bits per sample are supported; convert to 8 bits"},
    {JERR_SOF_UNSUPPORTED, -ENOTSUP,
     "lossless and hierarchical files are not supported; convert to PNG"},
    {JERR_UNKNOWN_MARKER, -EBADMSG,
     "the file is damaged or JPEG-LS; copy it again or convert to PNG"},
#if JPEG_LIB_VERSION < 70 /* later interfaces (Ubuntu's is 8's) always have arithmetic coding */
    {JERR_ARITH_NOTIMPL, -ENOTSUP,
     "arithmetic coding is not supported by this libjpeg; convert to PNG"},
#endif
    {JERR_CONVERSION_NOTIMPL, -ENOTSUP, "this colour space is not supported; convert to RGB"},
    {JERR_FRACT_SAMPLE_NOTIMPL, -ENOTSUP, "this chroma sampling is not supported; convert to PNG"},
    {JERR_CCIR601_NOTIMPL, -ENOTSUP, "this chroma siting is not supported; convert to PNG"},
    {JERR_OUT_OF_MEMORY, -ENOMEM, "free memory or lower max_pixels"},
    {JWRN_JPEG_EOF, -EBADMSG, "the file is cut short; copy it again"},
    {JERR_INPUT_EOF, -EBADMSG, "the file is cut short; copy it again"},
    {JWRN_HIT_MARKER, -EBADMSG, "the picture data is cut short or damaged; copy it again"},
};

static const struct advice *advice_for(int message)
{
    static const struct advice damaged = {0, -EBADMSG, "the file is damaged; copy it again"};
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (advices[i].message == message)
            return &advices[i];
    return &damaged;
}

/* Leaves the library with the message it has just prepared, error or warning. */
static void fail_message(j_common_ptr cinfo)
{
    struct guard *g = cinfo->client_data;
    const struct advice *advice = advice_for(cinfo->err->msg_code);
    char text[JMSG_LENGTH_MAX];
    cinfo->err->format_message(cinfo, text);
    g->code = vj_fail(g->err, advice->code, "%s: JPEG: %s; %s", g->name, text, advice->text);
    longjmp(g->jump, 1);
}

/* Level -1 is "the data is corrupt but I can go on": not for us. Higher levels are traces. */
static void on_message(j_common_ptr cinfo, int level)
{
    if (level < 0)
        fail_message(cinfo);
}

static void on_progress(j_common_ptr cinfo)
{
    struct guard *g = cinfo->client_data;
    if (((j_decompress_ptr)cinfo)->input_scan_number <= MAX_SCANS)
        return;
    g->code = vj_fail(g->err, -EBADMSG, "%s: JPEG: more than %d scans; encode it again", g->name,
                      MAX_SCANS);
    longjmp(g->jump, 1);
}

static void init_guard(struct guard *g, const char *name, struct vj_error *err)
{
    jpeg_std_error(&g->manager);
    g->manager.error_exit = fail_message;
    g->manager.emit_message = on_message;
    g->name = name;
    g->err = err;
}

static int guarded(struct guard *g, int (*step)(void *object), void *object)
{
    if (setjmp(g->jump) != 0)
        return g->code;
    return step(object);
}

static void init_reader(struct reader *r, const struct vj_image_source *src, struct vj_error *err)
{
    memset(r, 0, sizeof(*r));
    init_guard(&r->guard, src->name, err);
    r->src = src;
    r->cinfo.err = &r->guard.manager;
    r->cinfo.client_data = &r->guard;
    r->progress.progress_monitor = on_progress;
}

static int check_colour(const struct reader *r)
{
    const struct jpeg_decompress_struct *cinfo = &r->cinfo;
    switch (cinfo->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        return vj_fail(r->guard.err, -ENOTSUP,
                       "%s: JPEG: CMYK or YCCK colours (4 components); convert to RGB",
                       r->guard.name);
    default:
        return vj_fail(r->guard.err, -ENOTSUP,
                       "%s: JPEG: %d components; only grey (1) and colour (3) are supported, "
                       "convert to RGB",
                       r->guard.name, cinfo->num_components);
    }
    /* Newer libraries read other precisions through other calls instead of refusing them. */
    if (cinfo->data_precision != 8)
        return vj_fail(r->guard.err, -ENOTSUP,
                       "%s: JPEG: %d bits per sample; only 8 bits per sample are supported, "
                       "convert to 8 bits",
                       r->guard.name, cinfo->data_precision);
    return 0;
}

static int open_header(struct reader *r)
{
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    jpeg_create_decompress(cinfo);
    cinfo->progress = &r->progress;
    jpeg_mem_src(cinfo, r->src->data, (unsigned long)r->src->size);
    jpeg_read_header(cinfo, TRUE);
    return check_colour(r);
}

/*
 * Huffman coding spends at least one bit on each block (its DC code), so the file's size bounds the
 * picture's: a header that promises more is refused before memory is taken for it.
 */
static int check_plausible(const struct reader *r)
{
    const struct jpeg_decompress_struct *cinfo = &r->cinfo;
    uint64_t blocks = 0;
    for (int i = 0; i < cinfo->num_components; i++) {
        const jpeg_component_info *c = &cinfo->comp_info[i];
        blocks += (uint64_t)c->width_in_blocks * c->height_in_blocks;
    }
    if (!cinfo->arith_code && blocks / 8 > r->src->size)
        return vj_fail(r->guard.err, -EBADMSG,
                       "%s: JPEG: %zu bytes cannot hold the %u x %u pixels of the header; the file "
                       "is cut short or damaged",
                       r->guard.name, r->src->size, cinfo->image_width, cinfo->image_height);
    return 0;
}

static void read_rows(struct reader *r)
{
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    size_t stride = r->img.width * (size_t)r->img.channels;
    JSAMPROW rows[ROWS_PER_CALL];
    while (cinfo->output_scanline < cinfo->output_height) {
        JDIMENSION left = cinfo->output_height - cinfo->output_scanline;
        JDIMENSION count = left < ROWS_PER_CALL ? left : ROWS_PER_CALL;
        for (JDIMENSION i = 0; i < count; i++)
            rows[i] = r->img.data + (cinfo->output_scanline + i) * stride;
        jpeg_read_scanlines(cinfo, rows, count);
    }
}

static int decode(void *object)
{
    struct reader *r = object;
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    int rc = open_header(r);
    if (!rc)
        rc = vj_image_check_size(r->guard.name, cinfo->image_width, cinfo->image_height,
                                 r->max_pixels, r->guard.err);
    if (!rc)
        rc = check_plausible(r);
    if (rc)
        return rc;
    int channels = cinfo->jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    rc = vj_image_alloc(&r->img, cinfo->image_width, cinfo->image_height, channels, r->guard.err);
    if (rc) {
        vj_fail_prefix(r->guard.err, "%s", r->guard.name);
        return rc; /* also without an err */
    }
    jpeg_start_decompress(cinfo);
    read_rows(r);
    jpeg_finish_decompress(cinfo); /* reads on to the end marker: a missing one is a warning */
    return 0;
}

int vj_image_read_jpeg(struct vj_image *img, const struct vj_image_source *src,
                       const struct vj_image_options *opt, struct vj_error *err)
{
    struct reader r;
    init_reader(&r, src, err);
    r.max_pixels = opt->max_pixels;
    int rc = guarded(&r.guard, decode, &r);
    jpeg_destroy_decompress(&r.cinfo);
    if (rc)
        vj_image_free(&r.img);
    *img = r.img;
    return rc;
}

static int read_header(void *object)
{
    return open_header(object);
}

int vj_image_info_jpeg(struct vj_image_info *info, const struct vj_image_source *src,
                       struct vj_error *err)
{
    struct reader r;
    init_reader(&r, src, err);
    int rc = guarded(&r.guard, read_header, &r);
    if (!rc) {
        info->width = r.cinfo.image_width;
        info->height = r.cinfo.image_height;
        info->channels = r.cinfo.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    }
    jpeg_destroy_decompress(&r.cinfo);
    return rc;
}

/* Example tables of ITU-T T.81, K.1 (luminance) and K.2 (chrominance), row by row. */
static const uint8_t annex_k_luma[DCTSIZE2] = {
    16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
    14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
    18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
};

static const uint8_t annex_k_chroma[DCTSIZE2] = {
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, //
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
};

/*
 * True when `table` is `base` under the IJG scaling for `qf`. `most` is 255 for tables kept within
 * baseline JPEG, 32767 for those that an encoder let run on into 16-bit entries.
 */
static bool is_scaled(const JQUANT_TBL *table, const uint8_t base[DCTSIZE2], int qf, int most)
{
    int scale = qf < 50 ? 5000 / qf : 200 - 2 * qf;
    for (int i = 0; i < DCTSIZE2; i++) {
        int entry = (base[i] * scale + 50) / 100;
        if (entry < 1)
            entry = 1;
        if (entry > most)
            entry = most;
        if (table->quantval[i] != entry)
            return false;
    }
    return true;
}

static bool is_of_quality(const JQUANT_TBL *table, const uint8_t base[DCTSIZE2], int qf)
{
    return is_scaled(table, base, qf, 255) || is_scaled(table, base, qf, 32767);
}

static int quality_of_tables(struct reader *r, const JQUANT_TBL *luma, const JQUANT_TBL *cb,
                             const JQUANT_TBL *cr)
{
    int luma_alone = 0;
    for (int qf = 100; qf >= 1; qf--) {
        if (!is_of_quality(luma, annex_k_luma, qf))
            continue;
        if (!cb ||
            (is_of_quality(cb, annex_k_chroma, qf) && is_of_quality(cr, annex_k_chroma, qf))) {
            r->qf = qf;
            return 0;
        }
        luma_alone = qf;
    }
    if (luma_alone)
        return vj_fail(
            r->guard.err, -ENOENT,
            "%s: JPEG: the luma table is that of quality %d but the chroma table is not; "
            "take its quality from its name or a list",
            r->guard.name, luma_alone);
    return vj_fail(r->guard.err, -ENOENT,
                   "%s: JPEG: quantisation table (%u %u %u ...) of no IJG quality 1..100; take "
                   "its quality from its name or a list",
                   r->guard.name, luma->quantval[0], luma->quantval[1], luma->quantval[2]);
}

static int find_quality(void *object)
{
    struct reader *r = object;
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    const JQUANT_TBL *tables[MAX_COMPONENTS] = {NULL};
    int rc = open_header(r);
    if (rc)
        return rc;
    if (cinfo->jpeg_color_space == JCS_RGB)
        return vj_fail(r->guard.err, -ENOENT,
                       "%s: JPEG: coded as RGB, so there is no chroma table to find a quality by; "
                       "take its quality from its name or a list",
                       r->guard.name);
    for (int i = 0; i < cinfo->num_components; i++) {
        int number = cinfo->comp_info[i].quant_tbl_no;
        if (number >= 0 && number < NUM_QUANT_TBLS)
            tables[i] = cinfo->quant_tbl_ptrs[number];
        if (!tables[i])
            return vj_fail(r->guard.err, -EBADMSG,
                           "%s: JPEG: quantisation table %d of component %d is missing; the file "
                           "is damaged",
                           r->guard.name, number, i);
    }
    return quality_of_tables(r, tables[0], tables[1], tables[2]);
}

int vj_jpeg_quality(int *qf, const uint8_t *data, size_t size, const char *name,
                    struct vj_error *err)
{
    const struct vj_image_source src = {.data = data, .size = size, .length = size, .name = name};
    struct reader r;
    *qf = 0;
    if (size == 0)
        return vj_fail(err, -ENODATA, "%s: is empty (0 bytes); copy it again", name);
    init_reader(&r, &src, err);
    int rc = guarded(&r.guard, find_quality, &r);
    jpeg_destroy_decompress(&r.cinfo);
    if (!rc)
        *qf = r.qf;
    return rc;
}

/* Doubles the buffer; the part before `used` bytes is kept. */
static boolean grow_sink(j_compress_ptr cinfo, size_t used)
{
    struct sink *sink = (struct sink *)cinfo->dest;
    size_t capacity;
    uint8_t *data = NULL;
    if (vj_size_mul(sink->capacity, 2, &capacity))
        data = realloc(sink->data, capacity);
    if (!data)
        ERREXIT1(cinfo, JERR_OUT_OF_MEMORY, 0);
    sink->data = data;
    sink->capacity = capacity;
    sink->manager.next_output_byte = data + used;
    sink->manager.free_in_buffer = capacity - used;
    return TRUE;
}

static void start_sink(j_compress_ptr cinfo)
{
    struct sink *sink = (struct sink *)cinfo->dest;
    sink->manager.next_output_byte = sink->data;
    sink->manager.free_in_buffer = sink->capacity;
}

/* The library calls this when the buffer is full to the last byte, whatever free_in_buffer says. */
static boolean empty_sink(j_compress_ptr cinfo)
{
    return grow_sink(cinfo, ((struct sink *)cinfo->dest)->capacity);
}

static void finish_sink(j_compress_ptr cinfo)
{
    struct sink *sink = (struct sink *)cinfo->dest;
    sink->size = sink->capacity - sink->manager.free_in_buffer;
}

static int open_sink(struct sink *sink, size_t capacity)
{
    sink->data = malloc(capacity);
    sink->capacity = capacity;
    sink->manager.init_destination = start_sink;
    sink->manager.empty_output_buffer = empty_sink;
    sink->manager.term_destination = finish_sink;
    return sink->data ? 0 : -ENOMEM;
}

static void set_parameters(struct writer *w)
{
    struct jpeg_compress_struct *cinfo = &w->cinfo;
    cinfo->image_width = (JDIMENSION)w->img->width;
    cinfo->image_height = (JDIMENSION)w->img->height;
    cinfo->input_components = w->img->channels;
    cinfo->in_color_space = w->img->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(cinfo); /* ISLOW, standard Huffman tables, JFIF header, 4:2:0 */
    jpeg_set_quality(cinfo, w->qf, TRUE);
    if (w->sampling == VJ_SUBSAMPLING_444) {
        cinfo->comp_info[0].h_samp_factor = 1;
        cinfo->comp_info[0].v_samp_factor = 1;
    }
}

static int encode(void *object)
{
    struct writer *w = object;
    struct jpeg_compress_struct *cinfo = &w->cinfo;
    size_t stride = w->img->width * (size_t)w->img->channels;
    jpeg_create_compress(cinfo);
    cinfo->dest = &w->sink.manager;
    set_parameters(w);
    jpeg_start_compress(cinfo, TRUE);
    while (cinfo->next_scanline < cinfo->image_height) {
        /* The library takes rows it only reads through a pointer to non-const. */
        JSAMPROW row = w->img->data + cinfo->next_scanline * stride;
        jpeg_write_scanlines(cinfo, &row, 1);
    }
    jpeg_finish_compress(cinfo);
    return 0;
}

static int check_encodable(const struct vj_image *img, int qf, enum vj_subsampling sampling,
                           struct vj_error *err)
{
    int rc = vj_image_check_writable(img, "JPEG in memory", err);
    if (rc)
        return rc;
    if (img->width > JPEG_MAX_DIMENSION || img->height > JPEG_MAX_DIMENSION)
        return vj_fail(err, -EFBIG, "a JPEG file holds at most %ld x %ld pixels, not %zu x %zu",
                       (long)JPEG_MAX_DIMENSION, (long)JPEG_MAX_DIMENSION, img->width, img->height);
    if (qf < 1 || qf > 100)
        return vj_fail(err, -EINVAL, "JPEG quality %d is outside 1..100", qf);
    if (sampling != VJ_SUBSAMPLING_444 && sampling != VJ_SUBSAMPLING_420)
        return vj_fail(err, -EINVAL, "JPEG sampling %d is neither 444 nor 420", (int)sampling);
    return 0;
}

int vj_jpeg_encode(uint8_t **data, size_t *size, const struct vj_image *img, int qf,
                   enum vj_subsampling sampling, struct vj_error *err)
{
    struct writer w;
    *data = NULL;
    *size = 0;
    int rc = check_encodable(img, qf, sampling, err);
    if (rc)
        return rc;
    memset(&w, 0, sizeof(w));
    init_guard(&w.guard, "JPEG in memory", err);
    w.cinfo.err = &w.guard.manager;
    w.cinfo.client_data = &w.guard;
    w.img = img;
    w.qf = qf;
    w.sampling = sampling;
    if (open_sink(&w.sink, 4096 + img->width * img->height / 4))
        return vj_fail(err, -ENOMEM, "no memory to encode a JPEG of %zu x %zu pixels", img->width,
                       img->height);
    rc = guarded(&w.guard, encode, &w);
    jpeg_destroy_compress(&w.cinfo);
    if (rc) {
        free(w.sink.data);
        return rc;
    }
    *data = w.sink.data;
    *size = w.sink.size;
    return 0;
}
