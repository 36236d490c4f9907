/* SPDX-License-Identifier: MIT */
/* Huffman tables made for one picture, for the JPEG candidates' optimal coding. */
#ifndef VJ_HOST_JPEG_HUFFMAN_H
#define VJ_HOST_JPEG_HUFFMAN_H

#include <stdint.h>

#include "host/jpeg_model.h"

/*
 * The table that libjpeg's optimisation gives: Huffman's algorithm with an extra symbol that keeps
 * the all-ones code free, lengths then limited to 16 bits (T.81 K.2; of equally rare symbols the
 * one with the larger number is joined first).
 *
 * count:   how often each symbol occurs; at least one must
 * huffman: filled; symbols that do not occur get no code
 */
void vj_jpeg_optimal_huffman(const int64_t count[256], struct vj_jpeg_huffman *huffman);

#endif
