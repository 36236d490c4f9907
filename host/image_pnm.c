/* SPDX-License-Identifier: MIT */
/* PGM and PPM, text (P2, P3) and binary (P5, P6), as the Netpbm documentation describes them. */
#include "host/image_internal.h"

#include <errno.h>
#include <string.h>

#include "host/checked.h"

#define MAXVAL 255

/* Larger header numbers are damage; far above any picture and far below overflow. */
#define NUMBER_MAX 100000000U

struct pnm {
    const struct vj_image_source *src;
    size_t at; /* next byte */
    bool text;
    int channels;
    size_t width, height;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Skips white space and comments, which run from '#' to the end of the line. */
static void skip_space(struct pnm *p)
{
    const uint8_t *data = p->src->data;
    while (p->at < p->src->size) {
        if (data[p->at] == '#')
            while (p->at < p->src->size && data[p->at] != '\n' && data[p->at] != '\r')
                p->at++;
        else if (is_space(data[p->at]))
            p->at++;
        else
            return;
    }
}

/* The next number, `what` in errors. */
static int read_number(struct pnm *p, unsigned *value, const char *what, struct vj_error *err)
{
    const struct vj_image_source *src = p->src;
    skip_space(p);
    size_t start = p->at;
    unsigned n = 0;
    while (p->at < src->size && src->data[p->at] >= '0' && src->data[p->at] <= '9') {
        n = n * 10 + (unsigned)(src->data[p->at++] - '0');
        if (n > NUMBER_MAX)
            return vj_fail(err, -EBADMSG,
                           "%s: PPM/PGM: %s at byte %zu is above %u; the file is damaged",
                           src->name, what, start, NUMBER_MAX);
    }
    if (p->at == src->size && p->at == start)
        return vj_fail(err, -EBADMSG,
                       "%s: PPM/PGM: ends at byte %zu where %s is expected; it is cut short, copy "
                       "it again",
                       src->name, start, what);
    if (p->at == start)
        return vj_fail(
            err, -EBADMSG,
            "%s: PPM/PGM: %s at byte %zu is not a number (byte %02x); the file is damaged",
            src->name, what, start, src->data[start]);
    *value = n;
    return 0;
}

static int read_kind(struct pnm *p, struct vj_error *err)
{
    char digit = (char)p->src->data[1]; /* the dispatcher saw 'P', a digit 1..7 and white space */
    p->at = 2;
    p->text = digit == '2' || digit == '3';
    p->channels = digit == '3' || digit == '6' ? 3 : 1;
    if (strchr("2356", digit))
        return 0;
    return vj_fail(err, -ENOTSUP,
                   "%s: P%c files (%s) are not supported; convert to PGM (P5), PPM (P6) or PNG",
                   p->src->name, digit, digit == '7' ? "PAM" : "1-bit PBM");
}

static int read_header(struct pnm *p, const struct vj_image_source *src, struct vj_error *err)
{
    unsigned width = 0, height = 0, maxval = 0;
    memset(p, 0, sizeof(*p));
    p->src = src;
    int rc = read_kind(p, err);
    if (!rc)
        rc = read_number(p, &width, "the width", err);
    if (!rc)
        rc = read_number(p, &height, "the height", err);
    if (!rc)
        rc = read_number(p, &maxval, "the maximum value", err);
    if (!rc)
        rc = vj_image_check_size(src->name, width, height, SIZE_MAX, err);
    if (rc)
        return rc;
    if (maxval != MAXVAL)
        return vj_fail(err, -ENOTSUP,
                       "%s: PPM/PGM: maximum value %u; only %d is supported, rescale the samples "
                       "(pnmdepth %d)",
                       src->name, maxval, MAXVAL, MAXVAL);
    p->width = width;
    p->height = height;
    return 0;
}

static int fail_cut(const struct pnm *p, size_t samples, struct vj_error *err)
{
    return vj_fail(err, -EBADMSG,
                   "%s: PPM/PGM: %zu bytes behind the header, too few for the %zu samples of "
                   "%zu x %zu x %d; it is cut short, copy it again",
                   p->src->name, p->src->size - p->at, samples, p->width, p->height, p->channels);
}

/*
 * Anything behind the last sample, but for white space behind text, means that header and data
 * disagree: a header that ends in two bytes, CR LF, would move all samples by one. Netpbm allows
 * nothing there either.
 */
static int check_end(struct pnm *p, struct vj_error *err)
{
    if (p->text)
        skip_space(p);
    if (p->at == p->src->size)
        return 0;
    return vj_fail(err, -EBADMSG,
                   "%s: PPM/PGM: %zu bytes behind the last sample; the header is damaged or the "
                   "file has several pictures, split it",
                   p->src->name, p->src->size - p->at);
}

static int read_text_samples(struct pnm *p, uint8_t *out, size_t samples, struct vj_error *err)
{
    for (size_t i = 0; i < samples; i++) {
        unsigned value;
        int rc = read_number(p, &value, "a sample", err);
        if (rc)
            return rc;
        if (value > MAXVAL)
            return vj_fail(err, -EBADMSG,
                           "%s: PPM/PGM: sample %zu is %u, above the maximum value %d; the file is "
                           "damaged",
                           p->src->name, i, value, MAXVAL);
        out[i] = (uint8_t)value;
    }
    return 0;
}

/*
 * Whether the file is long enough; p->at is at the first sample.
 * samples: out, their number
 */
static int check_extent(const struct pnm *p, size_t *samples, struct vj_error *err)
{
    if (!vj_size_mul(p->width * p->height, (size_t)p->channels, samples))
        *samples = SIZE_MAX;
    /* Numbers may not touch: text needs two bytes a sample, the last one but one. */
    size_t left = p->src->length - p->at;
    bool enough = p->text ? left / 2 + left % 2 >= *samples : left >= *samples;
    return enough ? 0 : fail_cut(p, *samples, err);
}

/* One white space character, or a comment and its line end, parts the header from the samples. */
static int skip_separator(struct pnm *p, struct vj_error *err)
{
    const struct vj_image_source *src = p->src;
    if (p->at < src->size && src->data[p->at] == '#')
        while (p->at < src->size && src->data[p->at] != '\n')
            p->at++;
    if (p->at < src->size && is_space(src->data[p->at])) {
        p->at++;
        return 0;
    }
    return vj_fail(err, -EBADMSG,
                   "%s: PPM/PGM: no white space behind the maximum value (byte %zu); the file is "
                   "cut short or damaged",
                   src->name, p->at);
}

int vj_image_read_pnm(struct vj_image *img, const struct vj_image_source *src,
                      const struct vj_image_options *opt, struct vj_error *err)
{
    struct pnm p;
    int rc = read_header(&p, src, err);
    if (!rc)
        rc = vj_image_check_size(src->name, p.width, p.height, opt->max_pixels, err);
    if (!rc)
        rc = skip_separator(&p, err);
    if (rc)
        return rc;
    size_t samples;
    rc = check_extent(&p, &samples, err);
    if (rc)
        return rc;
    rc = vj_image_alloc(img, p.width, p.height, p.channels, err);
    if (rc) {
        vj_fail_prefix(err, "%s", src->name);
        return rc; /* also without an err */
    }
    if (p.text) {
        rc = read_text_samples(&p, img->data, samples, err);
    } else {
        memcpy(img->data, src->data + p.at, samples);
        p.at += samples;
    }
    if (!rc)
        rc = check_end(&p, err);
    if (rc)
        vj_image_free(img);
    return rc;
}

int vj_image_info_pnm(struct vj_image_info *info, const struct vj_image_source *src,
                      struct vj_error *err)
{
    struct pnm p;
    size_t samples;
    int rc = read_header(&p, src, err);
    if (!rc)
        rc = skip_separator(&p, err);
    if (!rc)
        rc = check_extent(&p, &samples, err);
    if (rc)
        return rc;
    info->width = p.width;
    info->height = p.height;
    info->channels = p.channels;
    return 0;
}
