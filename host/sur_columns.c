/* SPDX-License-Identifier: MIT */
#include "host/sur_columns.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/checked.h"

#define PARAMETERS_PATH "/images/sur_parameters"

enum { PARAMETERS = 3 };

void vj_sur_columns_describe(struct vj_column *list, size_t *count, enum vj_sur_model model)
{
    bool gev = model == VJ_SUR_GEV;
    struct vj_column *curve = &list[(*count)++], *parameters = &list[(*count)++];
    *curve = (struct vj_column){
        .type = VJ_COLUMN_F32,
        .rank = 1,
        .dim = {VJ_SUR_QF_MAX},
        .description =
            gev ? "satisfied user ratio at quality factor 1..100: generalised extreme value "
                  "distribution fitted to the subjects' JNDs; those without one are censored at 1; "
                  "NaN no fit"
                : "satisfied user ratio at quality factor 1..100: normal distribution fitted to "
                  "the subjects' JNDs; those without one are censored at 1; NaN no fit",
        .units = "share"};
    *parameters = (struct vj_column){.type = VJ_COLUMN_F64,
                                     .rank = 1,
                                     .dim = {PARAMETERS},
                                     .description = gev ? "location, scale and shape xi of sur_fit"
                                                        : "mean, standard deviation and 0 of "
                                                          "sur_fit"};
    snprintf(curve->path, sizeof(curve->path), VJ_SUR_FIT_PATH);
    snprintf(parameters->path, sizeof(parameters->path), PARAMETERS_PATH);
}

struct fits {
    float *curve;       /* [images][100] */
    double *parameters; /* [images][PARAMETERS] */
    size_t unfitted, at_bound;
};

/* Fits one image; NaN where there is nothing to fit. */
static int fit_image(struct fits *f, size_t image, const float *sur, enum vj_sur_model model,
                     struct vj_error *err)
{
    float *curve = f->curve + image * VJ_SUR_QF_MAX;
    double *parameters = f->parameters + image * PARAMETERS;
    double weight[VJ_SUR_QF_MAX + 1];
    struct vj_sur_fit fit;
    int r = -ENODATA;
    if (!isnan(sur[0])) {
        vj_sur_weights(weight, sur);
        r = vj_sur_fit(&fit, model, weight, err);
        f->unfitted += r == -EDOM;
    }
    if (r == 0) {
        vj_sur_curve(&fit, curve);
        parameters[0] = fit.location;
        parameters[1] = fit.scale;
        parameters[2] = fit.shape;
        f->at_bound += fit.at_bound;
        return 0;
    }
    for (int q = 0; q < VJ_SUR_QF_MAX; q++)
        curve[q] = NAN;
    for (int k = 0; k < PARAMETERS; k++)
        parameters[k] = NAN;
    return r == -ENODATA || r == -EDOM ? 0 : r;
}

int vj_sur_columns_write(struct vj_results *results, const float *sur, size_t images,
                         enum vj_sur_model model, struct vj_error *err)
{
    struct fits f = {.curve = vj_calloc(images, VJ_SUR_QF_MAX * sizeof(*f.curve)),
                     .parameters = vj_calloc(images, PARAMETERS * sizeof(*f.parameters))};
    int r = f.curve && f.parameters ? 0 : vj_fail(err, -ENOMEM, "out of memory for SUR curves");
    for (size_t i = 0; !r && i < images; i++)
        r = fit_image(&f, i, sur + i * VJ_SUR_QF_MAX, model, err);
    if (!r)
        r = vj_results_write(results, VJ_SUR_FIT_PATH, VJ_COLUMN_F32, 0, images, f.curve, err);
    if (!r)
        r = vj_results_write(results, PARAMETERS_PATH, VJ_COLUMN_F64, 0, images, f.parameters, err);
    if (!r)
        r = vj_results_set_int(results, VJ_SUR_FIT_PATH, "unfitted", (int64_t)f.unfitted, err);
    if (!r)
        r = vj_results_set_int(results, VJ_SUR_FIT_PATH, "at_bound", (int64_t)f.at_bound, err);
    free(f.curve);
    free(f.parameters);
    return r;
}
