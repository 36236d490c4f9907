/* SPDX-License-Identifier: MIT */
/*
 * The header of BPG files (BPG specification 0.9.5, section "File format"). Pictures are not
 * decoded: only a file's place in a ladder is checked, by its size in pixels.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/image.h"
#include "host/image_internal.h"

enum {
    FIXED = 6,         /* magic and two bytes of flags */
    HEAD = FIXED + 10, /* with width and height, at most five bytes each */
    PIXEL_FORMATS = 6, /* grey, 4:2:0, 4:2:2, 4:4:4, 4:2:0 and 4:2:2 with chroma on samples */
    COLOUR_SPACES = 5, /* YCbCr BT.601, RGB, YCgCo, BT.709, BT.2020 */
    DEPTH_OVER_8_MAX = 6,
};

/* ue7: seven bits a byte, highest first, the top bit saying that more follow; below 2^32. */
static bool read_ue7(uint64_t *value, const uint8_t **at, const uint8_t *end)
{
    *value = 0;
    for (int i = 0; i < 5 && *at < end; i++) {
        const uint8_t byte = *(*at)++;
        if (i == 0 && byte == 0x80)
            return false;
        *value = *value << 7 | (byte & 0x7f);
        if (!(byte & 0x80))
            return *value <= UINT32_MAX;
    }
    return false;
}

static int read_header(size_t *width, size_t *height, const uint8_t *data, size_t size,
                       const char *path, struct vj_error *err)
{
    if (size < FIXED || memcmp(data, "BPG\xfb", 4) != 0)
        return vj_fail(err, -EBADMSG, "%s is no BPG file", path);
    const int pixel_format = data[4] >> 5, depth = data[4] & 15, space = data[5] >> 4;
    if (pixel_format >= PIXEL_FORMATS || depth > DEPTH_OVER_8_MAX || space >= COLOUR_SPACES ||
        (pixel_format == 0 && space != 0))
        return vj_fail(err, -EBADMSG,
                       "%s: damaged BPG header: pixel format %d, %d bits, colour space %d", path,
                       pixel_format, depth + 8, space);
    uint64_t side[2];
    const uint8_t *at = data + FIXED, *const end = data + size;
    if (!read_ue7(&side[0], &at, end) || !read_ue7(&side[1], &at, end) || !side[0] || !side[1])
        return vj_fail(err, -EBADMSG, "%s: damaged BPG header: no width and height", path);
    *width = (size_t)side[0];
    *height = (size_t)side[1];
    return 0;
}

int vj_bpg_probe(size_t *width, size_t *height, const char *path, struct vj_error *err)
{
    uint8_t *data = NULL;
    size_t size, length;
    int r = vj_file_read_head(&data, &size, &length, path, HEAD, err);
    if (!r)
        r = read_header(width, height, data, size, path, err);
    free(data);
    return r;
}
