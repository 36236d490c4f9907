/* SPDX-License-Identifier: MIT */
/* Pictures in memory, and which decoder a file's content asks for. */
#include "host/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/checked.h"
#include "host/image_internal.h"

/* Headers nearly always end within this; a longer one (large profile first) costs a second read. */
#define PROBE_BYTES ((size_t)64 << 10)

struct decoder {
    enum vj_image_format format;
    const char *title;
    vj_image_read_fn *read;
    vj_image_info_fn *info;
};

static const struct decoder decoders[] = {
    {VJ_FORMAT_JPEG, "JPEG", vj_image_read_jpeg, vj_image_info_jpeg},
    {VJ_FORMAT_PNG, "PNG", vj_image_read_png, vj_image_info_png},
    {VJ_FORMAT_BMP, "BMP", vj_image_read_bmp, vj_image_info_bmp},
    {VJ_FORMAT_PNM, "PPM/PGM", vj_image_read_pnm, vj_image_info_pnm},
};

/* How files begin. Foreign formats are listed so that the refusal can name them. */
struct magic {
    const char *title;
    size_t offset, length;
    const char *bytes;
};

static const struct magic magics[] = {
    {"JPEG", 0, 3, "\xff\xd8\xff"},
    {"PNG", 0, 4, "\x89PNG"},
    {"BMP", 0, 2, "BM"},
    {"GIF", 0, 4, "GIF8"},
    {"WebP", 8, 4, "WEBP"},
    {"TIFF", 0, 4, "II*\0"},
    {"TIFF", 0, 4, "MM\0*"},
    {"TIFF", 0, 4, "II+\0"},
    {"TIFF", 0, 4, "MM\0+"},
    {"BPG", 0, 4, "BPG\xfb"},
    {"AVIF", 4, 8, "ftypavif"},
    {"AVIF", 4, 8, "ftypavis"},
    {"HEIF", 4, 8, "ftypheic"},
    {"HEIF", 4, 8, "ftypheix"},
    {"HEIF", 4, 8, "ftypmif1"},
    {"JPEG XL", 0, 2, "\xff\x0a"},
    {"JPEG XL", 4, 8, "JXL \r\n\x87\n"},
    {"JPEG 2000", 4, 8, "jP  \r\n\x87\n"},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51"},
};

struct extension {
    const char *text;
    const char *title;
};

static const struct extension extensions[] = {
    {"jpg", "JPEG"},      {"jpeg", "JPEG"},   {"jpe", "JPEG"},    {"jfif", "JPEG"},
    {"png", "PNG"},       {"bmp", "BMP"},     {"dib", "BMP"},     {"ppm", "PPM/PGM"},
    {"pgm", "PPM/PGM"},   {"pnm", "PPM/PGM"}, {"pbm", "PPM/PGM"}, {"gif", "GIF"},
    {"webp", "WebP"},     {"tif", "TIFF"},    {"tiff", "TIFF"},   {"bpg", "BPG"},
    {"avif", "AVIF"},     {"heic", "HEIF"},   {"jxl", "JPEG XL"}, {"jp2", "JPEG 2000"},
    {"j2k", "JPEG 2000"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 'P' and a digit are text that begins many files: the third byte has to fit as well. */
static bool is_pnm(const struct vj_image_source *src)
{
    if (src->size < 3 || src->data[0] != 'P' || src->data[1] < '1' || src->data[1] > '7')
        return false;
    return strchr(" \t\r\n\v\f#", src->data[2]) != NULL && src->data[2] != '\0';
}

/* What the content is, as in the tables above; NULL when it is nothing known. */
static const char *content_title(const struct vj_image_source *src)
{
    for (size_t i = 0; i < COUNT(magics); i++) {
        const struct magic *m = &magics[i];
        if (src->size >= m->offset + m->length &&
            memcmp(src->data + m->offset, m->bytes, m->length) == 0)
            return m->title;
    }
    return is_pnm(src) ? "PPM/PGM" : NULL;
}

/* What the extension promises; NULL when there is none or an unknown one. */
static const char *extension_title(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');
    if (!dot)
        return NULL;
    for (size_t i = 0; i < COUNT(extensions); i++)
        if (strcasecmp(dot + 1, extensions[i].text) == 0)
            return extensions[i].title;
    return NULL;
}

static int fail_unknown(const struct vj_image_source *src, struct vj_error *err)
{
    char start[16] = "";
    if (src->size == 0)
        return vj_fail(err, -ENODATA, "%s: is empty (0 bytes); copy it again", src->name);
    for (size_t i = 0; i < 4 && i < src->size; i++)
        snprintf(start + 3 * i, sizeof(start) - 3 * i, " %02x", src->data[i]);
    return vj_fail(err, -EINVAL,
                   "%s: not a picture (%zu bytes:%s%s); expected JPEG, PNG, BMP, PPM or PGM",
                   src->name, src->size, start, src->size > 4 ? " ..." : "");
}

static const struct decoder *decoder_for(const char *title)
{
    for (size_t i = 0; i < COUNT(decoders); i++)
        if (strcmp(decoders[i].title, title) == 0)
            return &decoders[i];
    return NULL;
}

/* NULL when the content is not to be decoded, with the code of the failure in *rc. */
static const struct decoder *find_decoder(int *rc, const struct vj_image_source *src,
                                          struct vj_error *err)
{
    const char *content = content_title(src);
    if (!content) {
        *rc = fail_unknown(src, err);
        return NULL;
    }
    const struct decoder *decoder = decoder_for(content);
    if (!decoder) {
        *rc = vj_fail(err, -ENOTSUP, "%s: %s files are not supported; convert to PNG", src->name,
                      content);
        return NULL;
    }
    const char *promised = extension_title(src->name);
    if (promised && strcmp(promised, content) != 0) {
        *rc = vj_fail(err, -EINVAL,
                      "%s: is a %s file by content but its extension says %s; rename it", src->name,
                      content, promised);
        return NULL;
    }
    *rc = 0;
    return decoder;
}

static int resolve_options(struct vj_image_options *out, const struct vj_image_options *opt,
                           const char *name, struct vj_error *err)
{
    *out = opt ? *opt : (struct vj_image_options){.alpha = VJ_ALPHA_REFUSE};
    if (out->max_pixels == 0)
        out->max_pixels = VJ_IMAGE_MAX_PIXELS;
    switch (out->alpha) {
    case VJ_ALPHA_REFUSE:
    case VJ_ALPHA_BLACK:
    case VJ_ALPHA_WHITE:
        return 0;
    }
    return vj_fail(err, -EINVAL, "%s: alpha mode %d does not exist", name, (int)out->alpha);
}

int vj_image_read_memory(struct vj_image *img, const uint8_t *data, size_t size, const char *name,
                         const struct vj_image_options *opt, struct vj_error *err)
{
    const struct vj_image_source src = {.data = data, .size = size, .length = size, .name = name};
    struct vj_image_options resolved;
    memset(img, 0, sizeof(*img));
    int rc = resolve_options(&resolved, opt, name, err);
    if (rc)
        return rc;
    const struct decoder *decoder = find_decoder(&rc, &src, err);
    return decoder ? decoder->read(img, &src, &resolved, err) : rc;
}

int vj_image_read(struct vj_image *img, const char *path, const struct vj_image_options *opt,
                  struct vj_error *err)
{
    uint8_t *data;
    size_t size;
    memset(img, 0, sizeof(*img));
    int rc = vj_file_read(&data, &size, path, 0, err);
    if (rc)
        return rc;
    rc = vj_image_read_memory(img, data, size, path, opt, err);
    free(data);
    return rc;
}

static int probe_source(struct vj_image_info *info, const struct vj_image_source *src,
                        struct vj_error *err)
{
    int rc;
    memset(info, 0, sizeof(*info));
    const struct decoder *decoder = find_decoder(&rc, src, err);
    if (!decoder)
        return rc;
    info->format = decoder->format;
    rc = decoder->info(info, src, err);
    if (rc)
        memset(info, 0, sizeof(*info));
    return rc;
}

int vj_image_probe_memory(struct vj_image_info *info, const uint8_t *data, size_t size,
                          const char *name, struct vj_error *err)
{
    const struct vj_image_source src = {
        .data = data, .size = size, .length = SIZE_MAX, .name = name};
    return probe_source(info, &src, err);
}

/* What is found out from a file, of which no more is read than that takes. */
typedef int look_fn(void *found, const struct vj_image_source *src, struct vj_error *err);

static int look_into(void *found, look_fn *look, const char *path, struct vj_error *err)
{
    uint8_t *data;
    size_t size, length;
    int rc = vj_file_read_head(&data, &size, &length, path, PROBE_BYTES, err);
    if (rc)
        return rc;
    const struct vj_image_source head = {
        .data = data, .size = size, .length = length, .name = path};
    rc = look(found, &head, err);
    free(data);
    if (rc != -EBADMSG || size == length)
        return rc;

    /* Perhaps only cut off by the limit. */
    rc = vj_file_read(&data, &size, path, 0, err);
    if (rc)
        return rc;
    const struct vj_image_source file = {.data = data, .size = size, .length = size, .name = path};
    rc = look(found, &file, err);
    free(data);
    return rc;
}

static int look_for_info(void *info, const struct vj_image_source *src, struct vj_error *err)
{
    return probe_source(info, src, err);
}

int vj_image_probe(struct vj_image_info *info, const char *path, struct vj_error *err)
{
    memset(info, 0, sizeof(*info));
    return look_into(info, look_for_info, path, err);
}

static int look_for_quality(void *qf, const struct vj_image_source *src, struct vj_error *err)
{
    return vj_jpeg_quality(qf, src->data, src->size, src->name, err);
}

int vj_jpeg_file_quality(int *qf, const char *path, struct vj_error *err)
{
    *qf = 0;
    return look_into(qf, look_for_quality, path, err);
}

int vj_image_check_size(const char *name, uint64_t width, uint64_t height, size_t max_pixels,
                        struct vj_error *err)
{
    if (width == 0 || height == 0)
        return vj_fail(err, -EBADMSG,
                       "%s: %llu x %llu pixels: width or height is 0; the header is damaged", name,
                       (unsigned long long)width, (unsigned long long)height);
    if (width > max_pixels / height)
        return vj_fail(err, -EFBIG,
                       "%s: %llu x %llu pixels, more than the %zu allowed (max_pixels); crop or "
                       "scale it",
                       name, (unsigned long long)width, (unsigned long long)height, max_pixels);
    return 0;
}

int vj_alpha_mode_parse(enum vj_alpha_mode *mode, const char *name, struct vj_error *err)
{
    static const char *const names[] = {
        [VJ_ALPHA_REFUSE] = "refuse", [VJ_ALPHA_BLACK] = "black", [VJ_ALPHA_WHITE] = "white"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum vj_alpha_mode)i;
            return 0;
        }
    }
    return vj_fail(err, -EINVAL, "'%s' is not refuse, black or white", name);
}

int vj_image_refuse_alpha(const char *name, struct vj_error *err)
{
    return vj_fail(
        err, -ENOTSUP,
        "%s: has an alpha channel with transparent pixels; store it without, or blend it "
        "over a colour with --alpha black or --alpha white",
        name);
}

int vj_image_alloc(struct vj_image *img, size_t width, size_t height, int channels,
                   struct vj_error *err)
{
    size_t pixels, bytes;
    memset(img, 0, sizeof(*img));
    if (channels != 1 && channels != 3)
        return vj_fail(err, -EINVAL, "a picture has 1 or 3 channels, not %d", channels);
    if (width == 0 || height == 0)
        return vj_fail(err, -EINVAL, "a picture of %zu x %zu pixels has no content", width, height);
    if (!vj_size_mul(width, height, &pixels) || !vj_size_mul(pixels, (size_t)channels, &bytes))
        return vj_fail(err, -EFBIG, "a picture of %zu x %zu x %d does not fit into memory", width,
                       height, channels);
    img->data = vj_alloc_aligned(bytes, 1);
    if (!img->data)
        return vj_fail(err, -ENOMEM, "no memory for a picture of %zu x %zu x %d (%zu bytes)", width,
                       height, channels, bytes);
    img->width = width;
    img->height = height;
    img->channels = channels;
    return 0;
}

void vj_image_free(struct vj_image *img)
{
    free(img->data);
    memset(img, 0, sizeof(*img));
}

int vj_image_to_rgb(struct vj_image *img, struct vj_error *err)
{
    if (img->channels == 3)
        return 0;
    struct vj_image rgb;
    int rc = vj_image_alloc(&rgb, img->width, img->height, 3, err);
    if (rc)
        return rc;
    size_t pixels = img->width * img->height; /* fits: three times as many just did */
    for (size_t i = 0; i < pixels; i++) {
        rgb.data[3 * i] = img->data[i];
        rgb.data[3 * i + 1] = img->data[i];
        rgb.data[3 * i + 2] = img->data[i];
    }
    vj_image_free(img);
    *img = rgb;
    return 0;
}

int vj_image_check_writable(const struct vj_image *img, const char *path, struct vj_error *err)
{
    if (!img->data || img->width == 0 || img->height == 0)
        return vj_fail(err, -EINVAL, "%s: the picture to write is empty", path);
    if (img->channels != 1 && img->channels != 3)
        return vj_fail(err, -EINVAL, "%s: the picture to write has %d channels, not 1 or 3", path,
                       img->channels);
    return 0;
}
