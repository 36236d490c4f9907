/* SPDX-License-Identifier: MIT */
/* From sums over the maps of SSIMULACRA2 to the score: what follows the pixels, on any device. */
#ifndef VJ_HOST_SSIMULACRA2_SCORE_H
#define VJ_HOST_SSIMULACRA2_SCORE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "host/ssimulacra2.h"

/* Sums over one plane's three maps (SSIM, ringing, blurring), of v and of v^4. */
struct vj_ssimulacra2_sums {
    double first[VJ_SSIMULACRA2_MAPS], fourth[VJ_SSIMULACRA2_MAPS];
};

/* Of a picture; scales that it does not have are not looked at. */
struct vj_ssimulacra2_totals {
    struct vj_ssimulacra2_sums of[VJ_SSIMULACRA2_SCALES][VJ_SSIMULACRA2_CHANNELS];
};

/*
 * width, height: of the picture
 * out:           always filled
 */
void vj_ssimulacra2_finish(size_t width, size_t height, const struct vj_ssimulacra2_totals *totals,
                           struct vj_ssimulacra2_result *out);

#ifdef __cplusplus
}
#endif

#endif
