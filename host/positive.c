/* SPDX-License-Identifier: MIT */
#include "host/positive.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/checked.h"
#include "host/schema.h"

/* Mean scores of the images that decide, on the lower and the upper half of the quality factors. */
struct first_images {
    size_t count;
    double mean[2];
};

/* Mean scores of one image; NaN where the network has no finite answer. */
static int read_mean(struct vj_engine *engine, struct vj_results *results,
                     const struct vj_predictor *p, size_t row, double mean[2], struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    float score[VJ_SEARCH_LEVELS_MAX];
    int32_t anchor_qf;
    int r = vj_results_read(results, "/images/anchor_qf", VJ_COLUMN_I32, row, 1, &anchor_qf, err);
    if (!r)
        r = vj_results_read(results, vj_schema_path(path, p->name, "score"), VJ_COLUMN_F32, row, 1,
                            score, err);
    if (!r)
        vj_positive_from_scores(score, 0, 1, vj_levels_to_anchor(engine, anchor_qf), mean);
    return r;
}

/*
 * The first evaluated images that the predictor scores; one not yet evaluated ends them, so that
 * order does not matter.
 */
static int find_first(struct first_images *first, struct vj_engine *engine,
                      struct vj_results *results, const struct vj_predictor *p,
                      const int32_t *status, const int32_t *fold, size_t rows, struct vj_error *err)
{
    int r = 0;
    *first = (struct first_images){0};
    for (size_t i = 0; !r && i < rows && first->count < VJ_POSITIVE_IMAGES; i++) {
        double mean[2] = {NAN, NAN};
        if (status[i] == VJ_STATUS_PENDING)
            break;
        if (status[i] == VJ_STATUS_OK && vj_predictor_network(p, fold[i]) != VJ_NETWORK_NONE)
            r = read_mean(engine, results, p, i, mean, err);
        if (r || isnan(mean[0]))
            continue;
        first->count++;
        for (int half = 0; half < 2; half++)
            first->mean[half] += mean[half];
    }
    for (int half = 0; half < 2 && first->count; half++)
        first->mean[half] /= (double)first->count;
    return r;
}

/* record: writes the decision down; while rows are still being written only their bytes may change
 */
static int decide(struct vj_results *results, struct vj_predictor *p,
                  const struct first_images *first, bool record, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH], text[256];
    p->positive_class = first->mean[0] >= first->mean[1] ? VJ_POSITIVE_LOSSY : VJ_POSITIVE_LOSSLESS;
    if (!record)
        return 0;
    snprintf(text, sizeof(text),
             "auto: mean score %.6g on the lower half of the quality factors, %.6g on the upper, "
             "over the first %zu images",
             first->mean[0], first->mean[1], first->count);
    snprintf(path, sizeof(path), "/predictors/%s", p->name);
    int r = vj_results_set_text(results, path, "positive_class_decision", text, err);
    if (!r)
        r = vj_results_set_text(results, path, "positive_class",
                                vj_positive_class_name(p->positive_class), err);
    return r;
}

int vj_decide_positive(struct vj_engine *engine, struct vj_results *results, bool final,
                       size_t *open, struct vj_error *err)
{
    size_t rows, dim[VJ_COLUMN_RANK_MAX], string_size;
    int rank;
    *open = 0;
    int r = vj_results_shape(results, "/images/status", &rows, &rank, dim, &string_size, err);
    int32_t *status = r ? NULL : vj_calloc(rows, sizeof(*status));
    int32_t *fold = r ? NULL : vj_calloc(rows, sizeof(*fold));
    if (!r && (!status || !fold))
        r = vj_fail(err, -ENOMEM, "out of memory");
    if (!r)
        r = vj_results_read(results, "/images/status", VJ_COLUMN_I32, 0, rows, status, err);
    if (!r)
        r = vj_results_read(results, "/images/fold", VJ_COLUMN_I32, 0, rows, fold, err);
    for (size_t i = 0; !r && i < engine->predictors->count; i++) {
        struct vj_predictor *p = &engine->predictors->list[i];
        struct first_images first;
        if (!vj_predictor_is_network(p) || !p->positive_auto ||
            (!final && p->positive_class != VJ_POSITIVE_AUTO))
            continue;
        r = find_first(&first, engine, results, p, status, fold, rows, err);
        if (first.count == 0 || (!final && first.count < VJ_POSITIVE_IMAGES))
            ++*open;
        else if (!r)
            r = decide(results, p, &first, final, err);
    }
    free(status);
    free(fold);
    return r;
}
