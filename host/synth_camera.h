/* SPDX-License-Identifier: MIT */
/*
 * What cameras and web pages do to photographs, done to windows of `vpjnd synth --camera`: less
 * detail than pixels (the lens, the mosaic of the sensor), noise, sharpening, no colours, JPEG.
 * Collections of lossless photographs, most of them reduced from larger ones, show none of it.
 */
#ifndef VJ_HOST_SYNTH_CAMERA_H
#define VJ_HOST_SYNTH_CAMERA_H

#include <stdbool.h>
#include <stdint.h>

#include "host/image.h"

enum {
    VJ_ENLARGE_NONE = 16, /* sixteenths */
    VJ_ENLARGE_MAX = 32,
    VJ_GRAIN_MIN = 8, /* standard deviation, sixteenths of a grey level: 0.5 .. */
    VJ_GRAIN_MAX = 48,
    VJ_SHARPEN_MIN = 5, /* sixteenths of the difference from the blurred picture: 0.3 .. */
    VJ_SHARPEN_MAX = 24,
    VJ_EARLIER_QF_MIN = 70,
    VJ_EARLIER_QF_MAX = 95,
    VJ_JPEG_MCU = 16, /* pixels of a macroblock with 4:2:0 */
};

/* Steps in the order in which they are done; each is done to some windows only. */
struct vj_camera {
    int enlarge;         /* VJ_ENLARGE_NONE .. VJ_ENLARGE_MAX */
    int grain;           /* VJ_GRAIN_MIN .. VJ_GRAIN_MAX, or 0 */
    uint64_t grain_seed; /* of its grain */
    int sharpen;         /* VJ_SHARPEN_MIN .. VJ_SHARPEN_MAX, or 0 */
    bool grey;
    int qf;                       /* VJ_EARLIER_QF_MIN .. VJ_EARLIER_QF_MAX, or 0: never a JPEG */
    enum vj_subsampling sampling; /* of that JPEG */
    int left,
        above; /* pixels of it beside the window, 0 .. VJ_JPEG_MCU - 1: where its blocks lie */
};

/* Does nothing. */
static inline struct vj_camera vj_camera_none(void)
{
    return (struct vj_camera){.enlarge = VJ_ENLARGE_NONE, .sampling = VJ_SUBSAMPLING_420};
}

/*
 * Draws the steps for window number `crop` of the photograph whose stream of random numbers is
 * `stream`: two of three are enlarged, one of three gets grain, one of two is sharpened, one of
 * eight becomes grey, two of three were JPEGs, a quarter of these with 4:4:4; strengths are even
 * over their ranges.
 * crop: 0 .. 9998
 */
struct vj_camera vj_camera_draw(uint64_t seed, uint64_t stream, uint32_t crop);

/*
 * Does the steps to a picture in place.
 *   enlarge   the upper left 16/enlarge of both sides fill the picture: bilinear between pixel
 *             centres, edges replicated, halves rounded up
 *   grain     one number is added to all channels of a pixel, nearly normal, of mean 0 and
 *             standard deviation grain/16, independent of the other pixels'
 *   sharpen   v + sharpen/16 (v - b), b = binomial mean of 5 x 5 pixels (1 4 6 4 1), edges
 *             replicated, rounded to the nearest integer, halves up
 *   grey      (299 R + 587 G + 114 B) / 1000, halves up
 *   qf        encoded and decoded, with `left` columns and `above` rows, replicated from the
 *             edge, beside the picture
 * Sums are cut to 0..255.
 * img: RGB
 * Errors: -ENOMEM, and libjpeg's on a picture of more than 65,500 pixels along a side.
 */
int vj_camera_apply(struct vj_image *img, const struct vj_camera *camera, struct vj_error *err);

#endif
