/* SPDX-License-Identifier: MIT */
/*
 * SSIMULACRA2, version 2.1: a full-reference score of many distorted versions of one original. 100
 * = identical, no lower bound; about 90 is visually lossless, 70 high, 50 medium, 30 low quality.
 * Weights and definition: cloudinary/ssimulacra2; arithmetic: host/ssimulacra2_math.h.
 *
 * What depends on the original alone is computed once (vj_ssimulacra2_reference_load); one
 * distorted picture is then one call in one thread with a scratch of its own, so that parallelism
 * lies across pictures and no result depends on the number of threads. Not symmetric in the two
 * pictures.
 *
 * The filter of the reference program is a recursion in float32 whose poles lie on the unit circle,
 * so its scores carry rounding noise (a tenth of a point or so at high quality, up to several), and
 * differ between builds of the same source. Hence two modes:
 *   exact   the definition in exact arithmetic, within 0.001 of an all-double evaluation; the same
 *           bits on every processor, up to the C library's pow (last digit)
 *   parity  the reference program's x86-64 build with fused multiply-add, rounding by rounding: all
 *           decimals that it prints; equal bits under the same condition
 *
 * Pixels are taken as sRGB. A grey picture is R = G = B. struct vj_image holds no alpha (the reader
 * refuses it or blends it over a colour, as told), so the reference program's rule for pictures
 * with alpha, two scores over two greys, has no place here: pictures are compared as they were
 * read.
 */
#ifndef VJ_HOST_SSIMULACRA2_H
#define VJ_HOST_SSIMULACRA2_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/image.h"
#include "host/ssimulacra2_math.h"

enum vj_ssimulacra2_mode {
    VJ_SSIMULACRA2_OFF = 0, /* for a plan that has no use for it; not for the functions below */
    VJ_SSIMULACRA2_EXACT,
    VJ_SSIMULACRA2_PARITY,
};

/* Largest picture. */
#define VJ_SSIMULACRA2_MAX_PIXELS ((size_t)1 << 28)

struct vj_ssimulacra2_result {
    double score; /* NaN when a side of the picture is shorter than VJ_SSIMULACRA2_MIN_SIDE */
    int scales;   /* K: 2..6, or 0 */
    /*
     * Sub-scores, 18 K of them, [channel X Y B][scale][norm mean1 mean4][map SSIM ringing
     * blurring]; the rest is 0.
     */
    double part[VJ_SSIMULACRA2_PARTS];
};

struct vj_ssimulacra2_reference;
struct vj_ssimulacra2_scratch;

/*
 * Takes the memory for originals of at most max_width x max_height pixels, all of it here.
 * *ref: owned by the caller (vj_ssimulacra2_reference_free); NULL on failure
 * Errors: -EINVAL (empty or too large, no mode), -ENOMEM.
 */
int vj_ssimulacra2_reference_create(struct vj_ssimulacra2_reference **ref, size_t max_width,
                                    size_t max_height, enum vj_ssimulacra2_mode mode,
                                    struct vj_error *err);

/*
 * Makes `img` (grey or RGB) the original of the calls that follow; nothing is allocated and `img`
 * may be freed afterwards. Not while another thread computes with `ref`.
 * Errors: -EINVAL (wider or higher than at creation, not 1 or 3 channels); nothing is loaded then.
 */
int vj_ssimulacra2_reference_load(struct vj_ssimulacra2_reference *ref, const struct vj_image *img,
                                  struct vj_error *err);

/* NULL is harmless. */
void vj_ssimulacra2_reference_free(struct vj_ssimulacra2_reference *ref);

/*
 * Working memory of one thread. Arguments and errors as vj_ssimulacra2_reference_create().
 * *scratch: owned by the caller (vj_ssimulacra2_scratch_free); NULL on failure
 */
int vj_ssimulacra2_scratch_create(struct vj_ssimulacra2_scratch **scratch, size_t max_width,
                                  size_t max_height, enum vj_ssimulacra2_mode mode,
                                  struct vj_error *err);

/* NULL is harmless. */
void vj_ssimulacra2_scratch_free(struct vj_ssimulacra2_scratch *scratch);

/*
 * Bytes that the two calls take, for a memory budget; 0 for invalid arguments. Per pixel of the
 * largest picture about 52 (parity 80) for the original, 4 (parity 32) for each thread.
 */
size_t vj_ssimulacra2_reference_bytes(size_t max_width, size_t max_height,
                                      enum vj_ssimulacra2_mode mode);
size_t vj_ssimulacra2_scratch_bytes(size_t max_width, size_t max_height,
                                    enum vj_ssimulacra2_mode mode);

/*
 * Compares one distorted picture with the loaded original.
 * distorted: as the original, height x width x channels, tightly packed
 * out:       always filled
 * Several threads may call this with one `ref` and a scratch each.
 * Errors: -EINVAL when nothing is loaded, or the scratch is too small for the original or was made
 * for the other mode; out->score is then NaN.
 */
int vj_ssimulacra2_compute(const struct vj_ssimulacra2_reference *ref, const uint8_t *distorted,
                           struct vj_ssimulacra2_scratch *scratch,
                           struct vj_ssimulacra2_result *out);

#endif
