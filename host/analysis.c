/* SPDX-License-Identifier: MIT */
#include "host/analysis.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "host/checked.h"
#include "host/schema.h"
#include "host/sur_columns.h"

/* A whole column; NULL with an error. The caller frees it. */
static void *read_column(struct vj_results *results, const char *path, enum vj_column_type type,
                         size_t value_size, size_t rows, size_t values, struct vj_error *err)
{
    size_t total;
    void *data = vj_size_mul(rows, values, &total) ? vj_calloc(total, value_size) : NULL;
    if (!data) {
        vj_fail(err, -ENOMEM, "out of memory for %s", path);
        return NULL;
    }
    if (vj_results_read(results, path, type, 0, rows, data, err)) {
        free(data);
        return NULL;
    }
    return data;
}

/* A column of whole numbers, `values` in a row (0: one), each of which must be low to high. */
static int read_ints(int32_t **out, struct vj_results *results, const char *path, size_t rows,
                     size_t values, int32_t low, int32_t high, struct vj_error *err)
{
    const size_t of_row = values ? values : 1;
    int r = vj_results_check(results, path, rows, values, err);
    if (r)
        return r;
    *out = read_column(results, path, VJ_COLUMN_I32, sizeof(**out), rows, of_row, err);
    if (!*out)
        return vj_error_code(err);
    for (size_t i = 0; i < rows * of_row; i++)
        if ((*out)[i] < low || (*out)[i] > high)
            return vj_fail(err, -EINVAL,
                           "dataset %s has %d in row %zu, it must be %d to %d; the file was "
                           "changed, take another copy or make it again",
                           path, (int)(*out)[i], i / of_row, (int)low, (int)high);
    return 0;
}

static int read_strings(struct vj_results *results, const char *path, size_t count, char ***out,
                        struct vj_error *err)
{
    size_t rows, dim[VJ_COLUMN_RANK_MAX], size;
    int rank;
    int r = vj_results_shape(results, path, &rows, &rank, dim, &size, err);
    if (r)
        return r;
    if (size == 0)
        return vj_fail(err, -EINVAL, "dataset %s is not a column of %zu texts of a fixed size",
                       path, count);
    r = vj_results_check(results, path, count, 0, err);
    if (r)
        return r;
    char *block = read_column(results, path, VJ_COLUMN_STRING, 1, count, size, err);
    if (!block)
        return vj_error_code(err);
    char **list = *out = vj_calloc(count, sizeof(*list));
    bool complete = list != NULL;
    for (size_t i = 0; complete && i < count; i++)
        complete = (list[i] = strndup(block + i * size, size)) != NULL;
    free(block);
    return complete ? 0 : vj_fail(err, -ENOMEM, "out of memory for %s", path);
}

static int load_images(struct vj_analysis *a, struct vj_results *results, struct vj_error *err)
{
    size_t dim[VJ_COLUMN_RANK_MAX], string_size;
    int rank;
    int64_t qf_first, qf_last;
    int r = vj_results_shape(results, "/images/status", &a->count, &rank, dim, &string_size, err);
    if (!r)
        r = vj_results_get_int(results, "/", "qf_first", &qf_first, err);
    if (!r)
        r = vj_results_get_int(results, "/", "qf_last", &qf_last, err);
    if (r)
        return r;
    if (qf_first < 1 || qf_last < qf_first || qf_last > VJ_QF_MAX)
        return vj_fail(err, -EINVAL,
                       "attributes qf_first and qf_last say quality factors %lld to %lld, which "
                       "are not within 1 to %d",
                       (long long)qf_first, (long long)qf_last, VJ_QF_MAX);
    a->qf_first = (int)qf_first;
    a->levels = (int)(qf_last - qf_first + 1);
    const struct {
        const char *path;
        int32_t **to, low, high;
    } columns[] = {
        {"/images/status", &a->status, VJ_STATUS_PENDING, VJ_STATUS_FAILED},
        {"/images/id", &a->id, INT32_MIN, INT32_MAX},
        {"/images/qf_true", &a->qf_true, VJ_EVAL_UNKNOWN, VJ_EVAL_QF_MAX},
        {"/images/fold", &a->fold, VJ_FOLD_NONE, INT32_MAX},
        {"/images/width", &a->width, -1, INT32_MAX},
        {"/images/height", &a->height, -1, INT32_MAX},
        {"/images/anchor_qf", &a->anchor, VJ_EVAL_UNKNOWN, VJ_EVAL_QF_MAX},
    };
    for (size_t i = 0; !r && i < sizeof(columns) / sizeof(columns[0]); i++)
        if (columns[i].to != &a->anchor || vj_results_has(results, columns[i].path))
            r = read_ints(columns[i].to, results, columns[i].path, a->count, 0, columns[i].low,
                          columns[i].high, err);
    if (!r)
        r = read_strings(results, "/images/name", a->count, &a->name, err);
    if (!r)
        r = read_strings(results, "/images/error", a->count, &a->error, err);
    if (!r && vj_results_has(results, VJ_SCHEMA_SOURCE_SHA256))
        r = read_strings(results, VJ_SCHEMA_SOURCE_SHA256, a->count, &a->source_sha256, err);
    for (size_t i = 0; !r && i < a->count; i++) {
        if (a->error[i][0] != '\0')
            continue;
        free(a->error[i]);
        a->error[i] = NULL;
    }
    return r;
}

static int load_floats(struct vj_analysis *a, struct vj_results *results, const char *path,
                       float **out, struct vj_error *err)
{
    if (!vj_results_has(results, path))
        return 0;
    int r = vj_results_check(results, path, a->count, (size_t)a->levels, err);
    if (r)
        return r;
    *out =
        read_column(results, path, VJ_COLUMN_F32, sizeof(float), a->count, (size_t)a->levels, err);
    return *out ? 0 : vj_error_code(err);
}

/* NaN: unknown */
static int check_shares(const char *path, const float *share, size_t rows, size_t values,
                        struct vj_error *err)
{
    for (size_t i = 0; i < rows * values; i++)
        if (share[i] < 0.0f || share[i] > 1.0f)
            return vj_fail(err, -EINVAL,
                           "dataset %s has %g in row %zu, it must be a share, 0 to 1; the file was "
                           "changed, take another copy or make it again",
                           path, (double)share[i], i / values);
    return 0;
}

static int load_shares(struct vj_analysis *a, struct vj_results *results, const char *path,
                       float **out, struct vj_error *err)
{
    int r = load_floats(a, results, path, out, err);
    return r || !*out ? r : check_shares(path, *out, a->count, (size_t)a->levels, err);
}

/* The columns have all of 1..100; metrics want the run's levels. */
static int load_sur(struct vj_analysis *a, struct vj_results *results, const char *path,
                    float **out, struct vj_error *err)
{
    int r = vj_results_check(results, path, a->count, VJ_QF_MAX, err);
    if (r)
        return r;
    float *all = read_column(results, path, VJ_COLUMN_F32, sizeof(float), a->count, VJ_QF_MAX, err);
    if (!all)
        return vj_error_code(err);
    r = check_shares(path, all, a->count, VJ_QF_MAX, err);
    if (r) {
        free(all);
        return r;
    }
    size_t levels = (size_t)a->levels;
    float *sur = *out = vj_calloc(a->count, levels * sizeof(float));
    for (size_t i = 0; sur && i < a->count; i++)
        memcpy(sur + i * levels, all + i * VJ_QF_MAX + (a->qf_first - 1), levels * sizeof(float));
    free(all);
    return sur ? 0 : vj_fail(err, -ENOMEM, "out of memory for %s", path);
}

static int load_subjects(struct vj_analysis *a, struct vj_results *results, struct vj_error *err)
{
    bool fitted = vj_results_has(results, VJ_SUR_FIT_PATH);
    int r = fitted ? load_sur(a, results, VJ_SUR_FIT_PATH, &a->sur, err) : 0;
    if (!r && vj_results_has(results, "/images/sur"))
        r = load_sur(a, results, "/images/sur", fitted ? &a->counted : &a->sur, err);
    return r;
}

static int load_candidates(struct vj_analysis *a, struct vj_results *results, struct vj_error *err)
{
    size_t values = a->count * (size_t)a->levels;
    int r = vj_results_check(results, "/candidates/bytes", a->count, (size_t)a->levels, err);
    if (r)
        return r;
    int64_t *bytes = read_column(results, "/candidates/bytes", VJ_COLUMN_I64, sizeof(int64_t),
                                 a->count, (size_t)a->levels, err);
    if (!bytes)
        return vj_error_code(err);
    a->bytes = vj_calloc(values, sizeof(uint32_t));
    for (size_t i = 0; a->bytes && i < values; i++)
        a->bytes[i] = bytes[i] > 0 && bytes[i] <= (int64_t)UINT32_MAX ? (uint32_t)bytes[i] : 0;
    free(bytes);
    if (!a->bytes)
        return vj_fail(err, -ENOMEM, "out of memory for /candidates/bytes");
    r = load_floats(a, results, "/candidates/psnr_y", &a->psnr_y, err);
    if (!r)
        r = load_floats(a, results, "/candidates/ms_ssim", &a->ms_ssim, err);
    return r ? r : load_subjects(a, results, err);
}

/* Predictions at the tolerances of the sweep, where the predictor has one and was evaluated. */
static int load_tolerances(struct vj_analysis *a, struct vj_results *results,
                           struct vj_analysed_predictor *p, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    double tolerance[VJ_TOLERANCE_STEPS];
    if (!vj_results_has(results, vj_schema_path(path, p->name, "tolerance_sweep")))
        return 0;
    int r = vj_results_check(results, path, VJ_TOLERANCE_STEPS, 0, err);
    if (!r)
        r = vj_results_read(results, path, VJ_COLUMN_F64, 0, VJ_TOLERANCE_STEPS, tolerance, err);
    for (int k = 0; !r && k < VJ_TOLERANCE_STEPS; k++) {
        p->tolerance[k].tolerance = tolerance[k]; /* may be infinite, as PSNR is of equals */
        if (isnan(tolerance[k]))
            r = vj_fail(err, -EINVAL,
                        "dataset %s has no number in row %d; the file was changed, take another "
                        "copy or make it again",
                        path, k);
    }
    vj_schema_path(path, p->name, "qf_pred_tolerance");
    return r ? r
             : read_ints(&p->qf_tolerance, results, path, a->count, VJ_TOLERANCE_STEPS,
                         VJ_EVAL_UNKNOWN, a->qf_first + a->levels - 1, err);
}

/* Numbers of the file's images, as the attributes count them. */
static int read_seen(int64_t *seen, const struct vj_analysis *a, struct vj_results *results,
                     const char *group, const char *name, struct vj_error *err)
{
    int r = vj_results_find_int(results, group, name, seen, err);
    if (!r && (*seen < 0 || (uint64_t)*seen > a->count))
        r = vj_fail(err, -EINVAL, "%s: attribute %s is %lld, it must be 0 to %zu, all images",
                    group, name, (long long)*seen, a->count);
    return r;
}

static int load_facts(struct vj_analysis *a, struct vj_results *results,
                      struct vj_analysed_predictor *p, const char *group, struct vj_error *err)
{
    char *origin = NULL;
    p->seen_of = a->count;
    int r = vj_results_get_text(results, group, "kind", &p->kind, err);
    if (!r)
        r = vj_results_find_text(results, group, "weights_origin", &origin, err);
    p->random_weights = origin && strcmp(origin, "random") == 0;
    free(origin);
    if (!r)
        r = vj_results_find_text(results, group, "note", &p->note, err);
    if (!r)
        r = vj_results_find_text(results, group, "no_answer", &p->no_answer, err);
    if (!r)
        r = read_seen(&p->seen, a, results, group, "seen_images", err);
    return r ? r
             : read_seen(&p->seen_if_released, a, results, group, "seen_images_if_released", err);
}

static int load_lossy(struct vj_analysis *a, struct vj_results *results,
                      struct vj_analysed_predictor *p, const char *group, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH];
    const size_t levels = (size_t)a->levels;
    vj_schema_path(path, p->name, "lossy");
    int r = vj_results_check(results, path, a->count, levels, err);
    if (r)
        return r;
    p->lossy = read_column(results, path, VJ_COLUMN_U8, 1, a->count, levels, err);
    if (!p->lossy)
        return vj_error_code(err);
    for (size_t i = 0; i < a->count * levels; i++)
        if (p->lossy[i] > 1 && p->lossy[i] != VJ_LOSSY_UNANSWERED)
            return vj_fail(err, -EINVAL,
                           "dataset %s has %d in row %zu, it must be 0, 1 or %d; the file was "
                           "changed, take another copy or make it again",
                           path, p->lossy[i], i / levels, VJ_LOSSY_UNANSWERED);
    /* What names a quality factor alone has no answers of its own: the column repeats its step. */
    if (!vj_results_has_attribute(results, group, "search"))
        memset(p->lossy, VJ_LOSSY_UNANSWERED, a->count * levels);
    return 0;
}

static int load_predictor(struct vj_analysis *a, struct vj_results *results,
                          struct vj_analysed_predictor *p, bool answers, struct vj_error *err)
{
    char path[VJ_SCHEMA_PATH], group[VJ_SCHEMA_PATH];
    snprintf(group, sizeof(group), "/predictors/%.150s", p->name);
    int r = load_facts(a, results, p, group, err);
    if (r || !answers)
        return r;
    r = read_ints(&p->qf_pred, results, vj_schema_path(path, p->name, "qf_pred"), a->count, 0,
                  VJ_EVAL_UNKNOWN, a->qf_first + a->levels - 1, err);
    if (!r)
        r = load_lossy(a, results, p, group, err);
    if (!r)
        r = load_tolerances(a, results, p, err);
    return r ? r : load_shares(a, results, vj_schema_path(path, p->name, "sur"), &p->sur, err);
}

/* Members of /predictors in the order of the run's list, which the file keeps as an attribute. */
static int predictor_order(struct vj_results *results, char ***names, size_t *count,
                           struct vj_error *err)
{
    int r = vj_results_members(results, "/predictors", names, count, err);
    for (size_t i = 0; !r && i < *count; i++) {
        for (size_t j = i; j < *count; j++) {
            char group[VJ_SCHEMA_PATH];
            int64_t position;
            snprintf(group, sizeof(group), "/predictors/%.150s", (*names)[j]);
            if (vj_results_get_int(results, group, "position", &position, NULL) ||
                (size_t)position != i)
                continue;
            char *swap = (*names)[i];
            (*names)[i] = (*names)[j];
            (*names)[j] = swap;
            break;
        }
    }
    return r;
}

int vj_analysis_load(struct vj_analysis *a, struct vj_results *results, bool answers,
                     struct vj_error *err)
{
    char **names = NULL;
    size_t count = 0;
    *a = (struct vj_analysis){0};
    int r = load_images(a, results, err);
    if (!r)
        r = load_candidates(a, results, err);
    if (!r)
        r = predictor_order(results, &names, &count, err);
    if (!r && !(a->predictor = vj_calloc(count, sizeof(*a->predictor))))
        r = vj_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; !r && i < count; i++) {
        a->predictor[a->predictors].name = names[i];
        names[i] = NULL;
        r = load_predictor(a, results, &a->predictor[a->predictors++], answers, err);
    }
    vj_results_members_free(names, count);
    if (r)
        vj_analysis_free(a);
    return r;
}

struct vj_truth vj_analysis_truth(const struct vj_analysis *a)
{
    return (struct vj_truth){.count = a->count,
                             .levels = a->levels,
                             .qf_first = a->qf_first,
                             .qf_true = a->qf_true,
                             .fold = a->fold,
                             .anchor = a->anchor,
                             .bytes = a->bytes,
                             .psnr_y = a->psnr_y,
                             .ms_ssim = a->ms_ssim,
                             .sur = a->sur,
                             .counted = a->counted};
}

int vj_analysis_compute(struct vj_analysis *a, const struct vj_bootstrap *boot,
                        struct vj_error *err)
{
    struct vj_truth truth = vj_analysis_truth(a);
    int r = 0;
    for (size_t i = 0; !r && i < a->predictors && a->count > 0; i++) {
        struct vj_analysed_predictor *p = &a->predictor[i];
        if (p->random_weights)
            continue;
        struct vj_prediction prediction = {.qf_pred = p->qf_pred, .lossy = p->lossy, .sur = p->sur};
        r = vj_metrics_compute(&p->metrics, &truth, &prediction, boot, err);
        p->has_metrics = !r;
        if (!r)
            r = vj_metrics_sweep(p->sweep, VJ_SWEEP_FIRST, VJ_SWEEP_COUNT, &truth, &prediction,
                                 err);
        if (!r && p->qf_tolerance)
            r = vj_metrics_sweep_predictions(p->tolerance, VJ_TOLERANCE_STEPS, &truth,
                                             p->qf_tolerance, err);
        if (r)
            vj_fail_prefix(err, "predictor %s", p->name);
    }
    return r;
}

static void free_strings(char **list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        free(list[i]);
    free(list);
}

void vj_analysis_free(struct vj_analysis *a)
{
    free_strings(a->name, a->count);
    free_strings(a->error, a->count);
    free_strings(a->source_sha256, a->count);
    free(a->status);
    free(a->id);
    free(a->qf_true);
    free(a->fold);
    free(a->width);
    free(a->height);
    free(a->anchor);
    free(a->bytes);
    free(a->psnr_y);
    free(a->ms_ssim);
    free(a->sur);
    free(a->counted);
    for (size_t i = 0; i < a->predictors; i++) {
        struct vj_analysed_predictor *p = &a->predictor[i];
        free(p->name);
        free(p->kind);
        free(p->note);
        free(p->no_answer);
        free(p->qf_pred);
        free(p->qf_tolerance);
        free(p->lossy);
        free(p->sur);
        if (p->has_metrics)
            vj_metrics_free(&p->metrics);
    }
    free(a->predictor);
    *a = (struct vj_analysis){0};
}
