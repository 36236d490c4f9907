/* SPDX-License-Identifier: MIT */
/*
 * Procedural pictures that look and compress like photographs, so that the whole chain can run and
 * be tested on a machine without any data set: landscapes, skylines, heaps of pebbles and leaves,
 * farmland, stone; with the 1/f statistics, occluding edges, smooth skies, fine lines and sensor
 * noise that decide how much JPEG a picture bears.
 */
#ifndef VJ_DATASETS_GENERATOR_H
#define VJ_DATASETS_GENERATOR_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/*
 * Paints picture `index` of the collection `seed`. The same arguments give the same bytes on every
 * machine; the pictures of different indices or seeds have nothing in common. At another size the
 * composition is the same, not the noise.
 *
 * rgb:           height x width x 3 bytes, row-major, tightly packed, filled on success
 * width, height: 1 .. 65535 pixels each
 * Errors: -EINVAL (size), -ENOMEM.
 */
int vj_generate_picture(uint8_t *rgb, size_t width, size_t height, uint64_t seed, uint32_t index,
                        struct vj_error *err);

#endif
