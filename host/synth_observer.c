/* SPDX-License-Identifier: MIT */
#include "host/synth_observer.h"

#include <errno.h>
#include <stdlib.h>

#include "datasets/dataset.h"
#include "host/checked.h"
#include "host/jpeg_plan.h"
#include "host/quality.h"

struct vj_observer {
    struct vj_image decoded;
    struct vj_jpeg_plan *plan;
    struct vj_jpeg_scratch *jpeg;
    struct vj_quality_reference *anchor;
    struct vj_quality_scratch *quality;
};

void vj_observer_free(struct vj_observer *o)
{
    if (!o)
        return;
    vj_quality_scratch_free(o->quality);
    vj_quality_reference_free(o->anchor);
    vj_jpeg_scratch_free(o->jpeg);
    vj_jpeg_plan_free(o->plan);
    vj_image_free(&o->decoded);
    free(o);
}

int vj_observer_create(struct vj_observer **observer, size_t width, size_t height,
                       struct vj_error *err)
{
    const enum vj_subsampling sampling = VJ_SUBSAMPLING_420;
    *observer = NULL;
    struct vj_observer *o = vj_calloc(1, sizeof(*o));
    if (!o)
        return vj_fail(err, -ENOMEM, "out of memory");
    int rc = vj_image_alloc(&o->decoded, width, height, 3, err);
    if (!rc)
        rc = vj_jpeg_plan_reserve(&o->plan, width, height, 3, sampling, err);
    if (!rc)
        rc = vj_jpeg_scratch_create(&o->jpeg, width, height, 3, sampling, err);
    if (!rc)
        rc = vj_quality_reference_create(&o->anchor, width, height, VJ_QUALITY_MS_SSIM, err);
    if (!rc)
        rc = vj_quality_scratch_create(&o->quality, width, height, VJ_QUALITY_MS_SSIM, err);
    if (rc) {
        vj_observer_free(o);
        return rc;
    }
    *observer = o;
    return 0;
}

/* MS-SSIM is not quite monotone in QF, so every QF is tried from the top. */
int vj_observer_jnd(struct vj_observer *o, const struct vj_image *picture, int *jnd,
                    struct vj_error *err)
{
    int rc = vj_jpeg_plan_load(o->plan, picture, VJ_SUBSAMPLING_420, err);
    if (!rc)
        rc = vj_jpeg_plan_decode(o->plan, VJ_OBSERVER_ANCHOR_QF, o->decoded.data, o->jpeg, err);
    if (!rc)
        rc = vj_quality_reference_load(o->anchor, &o->decoded, err);
    *jnd = VJ_QF_UNKNOWN;
    for (int qf = VJ_OBSERVER_ANCHOR_QF - 1; qf >= 1 && !rc; qf--) {
        struct vj_quality_values values;
        rc = vj_jpeg_plan_decode(o->plan, qf, o->decoded.data, o->jpeg, err);
        if (rc)
            break;
        rc = vj_quality_compute(o->anchor, o->decoded.data, o->quality, &values);
        if (rc)
            return vj_fail(err, rc, "MS-SSIM at quality factor %d failed", qf);
        if (values.ms_ssim < VJ_OBSERVER_THRESHOLD) {
            *jnd = qf;
            break;
        }
    }
    return rc;
}
