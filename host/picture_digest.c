/* SPDX-License-Identifier: MIT */
#include "host/picture_digest.h"

#include <stdint.h>

static int add_number(struct vj_sha256 *s, uint64_t n, struct vj_error *err)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(n >> (8 * i));
    return vj_sha256_add(s, bytes, sizeof(bytes), err);
}

/* Grey samples, each three times, a piece at a time. */
static int add_grey(struct vj_sha256 *s, const uint8_t *sample, size_t count, struct vj_error *err)
{
    enum { PIECE = 4096 };
    uint8_t rgb[3 * PIECE];
    int r = 0;
    for (size_t at = 0; !r && at < count; at += PIECE) {
        size_t n = count - at < PIECE ? count - at : PIECE;
        for (size_t i = 0; i < n; i++)
            rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = sample[at + i];
        r = vj_sha256_add(s, rgb, 3 * n, err);
    }
    return r;
}

int vj_picture_digest(char hex[VJ_SHA256_HEX], const struct vj_image *img, struct vj_error *err)
{
    struct vj_sha256 s;
    size_t pixels = img->width * img->height;
    int r = vj_sha256_begin(&s, err);
    if (r)
        return r;
    r = add_number(&s, img->width, err);
    if (!r)
        r = add_number(&s, img->height, err);
    if (!r)
        r = img->channels == 3 ? vj_sha256_add(&s, img->data, 3 * pixels, err)
                               : add_grey(&s, img->data, pixels, err);
    if (!r)
        return vj_sha256_end(&s, hex, err);
    vj_sha256_cancel(&s);
    return r;
}
