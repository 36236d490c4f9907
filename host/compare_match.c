/* SPDX-License-Identifier: MIT */
#include "host/compare_match.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/common.h"
#include "eval/text.h"
#include "host/checked.h"
#include "host/schema.h"

static int by_name(const void *a, const void *b, void *name)
{
    char *const *list = name;
    return strcmp(list[*(const size_t *)a], list[*(const size_t *)b]);
}

int vj_image_index_make(struct vj_image_index *index, const struct vj_analysis *analysis,
                        struct vj_error *err)
{
    index->analysis = analysis;
    index->row = vj_calloc(analysis->count, sizeof(*index->row));
    if (!index->row)
        return vj_fail(err, -ENOMEM, "out of memory for %zu names", analysis->count);
    for (size_t i = 0; i < analysis->count; i++) {
        index->row[i] = i;
        index->labelled = index->labelled || analysis->qf_true[i] >= 0;
    }
    qsort_r(index->row, analysis->count, sizeof(*index->row), by_name, analysis->name);
    return 0;
}

void vj_image_index_free(struct vj_image_index *index)
{
    free(index->row);
    *index = (struct vj_image_index){0};
}

ssize_t vj_image_index_find(const struct vj_image_index *index, const char *name)
{
    size_t low = 0, high = index->analysis->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, index->analysis->name[index->row[middle]]);
        if (order == 0)
            return (ssize_t)index->row[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

const struct vj_analysed_predictor *vj_predictor_named(const struct vj_analysis *a,
                                                       const char *name)
{
    for (size_t i = 0; i < a->predictors; i++)
        if (strcmp(a->predictor[i].name, name) == 0)
            return &a->predictor[i];
    return NULL;
}

/* Why an image of a run cannot be in the comparison; the caller frees the text. NULL: it can. */
static int reason_against(char **reason, const struct vj_image_index *index, const char *name,
                          const char *run, bool labelled, struct vj_error *err)
{
    const struct vj_analysis *a = index->analysis;
    ssize_t row = vj_image_index_find(index, name);
    int n = 0;
    *reason = NULL;
    if (row < 0)
        n = asprintf(reason, "not in %s", run);
    else if (a->status[row] == VJ_STATUS_FAILED)
        n = asprintf(reason, "failed in %s: %s", run, a->error[row] ? a->error[row] : "");
    else if (a->status[row] != VJ_STATUS_OK)
        n = asprintf(reason, "not evaluated in %s", run);
    else if (labelled && index->labelled && a->qf_true[row] < 0)
        n = asprintf(reason, "no label in %s", run);
    if (n >= 0)
        return 0;
    *reason = NULL;
    return vj_fail(err, -ENOMEM, "out of memory");
}

/* Files an image of run `mine`: its rows in every run, or the first reason against it. */
static int place(struct vj_matching *m, const struct vj_image_index *index,
                 const struct vj_report_run *run, size_t runs, size_t mine, size_t row,
                 struct vj_error *err)
{
    const char *name = index[mine].analysis->name[row];
    char *reason = NULL;
    int r = 0;
    for (size_t k = 0; !r && !reason && k < runs; k++)
        r = reason_against(&reason, &index[k], name, run[k].name, m->labelled, err);
    if (r)
        return r;
    if (reason) {
        m->left_out[m->left_outs++] = (struct vj_report_left_out){.name = name, .reason = reason};
        return 0;
    }
    for (size_t k = 0; k < runs; k++)
        m->row[m->images * runs + k] = (size_t)vj_image_index_find(&index[k], name);
    m->images++;
    return 0;
}

static bool in_earlier_run(const struct vj_image_index *index, size_t mine, const char *name)
{
    for (size_t k = 0; k < mine; k++)
        if (vj_image_index_find(&index[k], name) >= 0)
            return true;
    return false;
}

int vj_matching_make(struct vj_matching *matching, const struct vj_image_index *index,
                     const struct vj_report_run *run, size_t runs, struct vj_error *err)
{
    size_t all = 0;
    matching->labelled = index[0].labelled;
    for (size_t k = 0; k < runs; k++)
        all += index[k].analysis->count;
    matching->row = vj_calloc(index[0].analysis->count, runs * sizeof(*matching->row));
    matching->left_out = vj_calloc(all, sizeof(*matching->left_out));
    if (!matching->row || !matching->left_out)
        return vj_fail(err, -ENOMEM, "out of memory for %zu images", all);
    int r = 0;
    for (size_t k = 0; !r && k < runs; k++) {
        const struct vj_analysis *a = index[k].analysis;
        for (size_t i = 0; !r && i < a->count; i++)
            if (!in_earlier_run(index, k, a->name[i]))
                r = place(matching, index, run, runs, k, i, err);
    }
    return r;
}

void vj_matching_free(struct vj_matching *matching)
{
    for (size_t i = 0; i < matching->left_outs; i++)
        free((char *)matching->left_out[i].reason);
    free(matching->left_out);
    free(matching->row);
    *matching = (struct vj_matching){0};
}
