/* SPDX-License-Identifier: MIT */
/*
 * The synthetic observer of `vpjnd synth`: it sees a difference between a JPEG candidate and the
 * anchor, the QF 100 JPEG of the same picture, where MS-SSIM on Y is below a threshold. A picture's
 * JND is the largest quality factor at which it sees one. Nobody's eyes are involved.
 */
#ifndef VJ_HOST_SYNTH_OBSERVER_H
#define VJ_HOST_SYNTH_OBSERVER_H

#include <stddef.h>

#include "host/error.h"
#include "host/image.h"

/* The threshold puts the JNDs of 80 photographs (Kodak, CLIC 2025, CID22, gb82, KonJND-1k) at QF 27
 * to 78. */
#define VJ_OBSERVER_THRESHOLD 0.9922
#define VJ_OBSERVER_RULE                                                                           \
    "largest QF whose MS-SSIM (Y) against the QF 100 JPEG, 4:2:0, is below 0.9922"

enum { VJ_OBSERVER_ANCHOR_QF = 100 };

struct vj_observer; /* working memory of one thread */

/*
 * Takes all memory for RGB pictures of width x height pixels, both sides at least
 * VJ_MS_SSIM_MIN_SIDE. *observer is owned by the caller (vj_observer_free); NULL on failure.
 * Errors: -EINVAL, -ENOMEM.
 */
int vj_observer_create(struct vj_observer **observer, size_t width, size_t height,
                       struct vj_error *err);

/* NULL is harmless. */
void vj_observer_free(struct vj_observer *observer);

/*
 * The observer's JND of an RGB picture of the size given at creation: *jnd is 1..99, or
 * VJ_QF_UNKNOWN when no difference is seen even at QF 1.
 */
int vj_observer_jnd(struct vj_observer *observer, const struct vj_image *picture, int *jnd,
                    struct vj_error *err);

#endif
