/* SPDX-License-Identifier: MIT */
#include "host/compare_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/checked.h"
#include "host/compare_fields.h"
#include "host/compare_match.h"
#include "host/report_source.h"
#include "host/version.h"

struct comparison {
    const struct vj_compare_options *options;
    size_t runs;
    struct vj_report_source *source; /* [runs] */
    struct vj_report_run *run;       /* [runs] names are owned */
    struct vj_image_index *index;    /* [runs] */
    struct vj_differences differences;
    struct vj_matching matching;
    struct vj_analysis merged; /* the common images, all predictors */
    size_t *run_of;            /* [merged.predictors] */
    const char *shared;        /* predictor that stands once for its like in every run, or NULL */
    struct vj_report_tables tables;
};

/* ---- files ---- */

/* "b" for "results/b.h5" and "results/b.h5.part". */
static char *stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    static const char *const endings[] = {".part", ".h5"};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && strncmp(name + length - n, endings[i], n) == 0)
            length -= n;
    }
    return strndup(name, length);
}

/* By any name; files that are not there are told apart by theirs. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (stat(a, &x) != 0 || stat(b, &y) != 0)
        return strcmp(a, b) == 0;
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int name_runs(struct comparison *c, struct vj_error *err)
{
    const char *const *path = c->options->path;
    for (size_t k = 0; k < c->runs; k++) {
        for (size_t e = 0; e < k; e++)
            if (same_file(path[e], path[k]))
                return vj_fail(err, -EINVAL, "%s is given twice", path[k]);
        c->run[k].name = stem_of(path[k]);
        if (!c->run[k].name)
            return vj_fail(err, -ENOMEM, "out of memory");
    }
    for (size_t k = 0; k < c->runs; k++) {
        bool shared = false;
        char *own = stem_of(path[k]);
        for (size_t e = 0; own && e < c->runs; e++) {
            char *other = e == k ? NULL : stem_of(path[e]);
            shared = shared || (other && strcmp(own, other) == 0);
            free(other);
        }
        free(own);
        if (!shared)
            continue;
        free((char *)c->run[k].name);
        if (!(c->run[k].name = strdup(path[k])))
            return vj_fail(err, -ENOMEM, "out of memory");
    }
    return 0;
}

static int open_runs(struct comparison *c, struct vj_error *err)
{
    int r = name_runs(c, err);
    for (size_t k = 0; !r && k < c->runs; k++) {
        struct vj_report_source *s = &c->source[k];
        r = vj_report_source_open(s, c->options->path[k], err);
        if (r)
            return r;
        c->run[k].path = s->path;
        c->run[k].program_version = s->fact[VJ_FACT_VERSION];
        c->run[k].device = s->fact[VJ_FACT_DEVICE];
        c->run[k].seed = s->seed;
        c->run[k].patches = s->patches;
        c->run[k].complete = s->complete != 0;
        c->run[k].images = s->analysis.count;
        c->run[k].fact = s->provenance;
        c->run[k].facts = s->provenances;
        r = vj_image_index_make(&c->index[k], &s->analysis, err);
    }
    return r;
}

/* ---- the common images ---- */

static size_t row_in(const struct comparison *c, size_t run, size_t image)
{
    return c->matching.row[image * c->runs + run];
}

/* Rows of the common images out of a column, owned by the caller; NULL stays NULL. */
static void *take_rows(const struct comparison *c, size_t run, const void *from, size_t row_size,
                       struct vj_error *err)
{
    if (!from)
        return NULL;
    char *rows = vj_calloc(c->matching.images, row_size);
    if (!rows) {
        vj_fail(err, -ENOMEM, "out of memory for %zu images", c->matching.images);
        return NULL;
    }
    for (size_t i = 0; i < c->matching.images; i++)
        memcpy(rows + i * row_size, (const char *)from + row_in(c, run, i) * row_size, row_size);
    return rows;
}

static int merge_truth(struct comparison *c, struct vj_error *err)
{
    const struct vj_analysis *first = &c->source[0].analysis;
    struct vj_analysis *m = &c->merged;
    size_t levels = (size_t)first->levels;
    struct vj_error failure = {0};
    m->count = c->matching.images;
    m->levels = first->levels;
    m->qf_first = first->qf_first;
    m->id = take_rows(c, 0, first->id, sizeof(*m->id), &failure);
    m->status = take_rows(c, 0, first->status, sizeof(*m->status), &failure);
    m->qf_true = take_rows(c, 0, first->qf_true, sizeof(*m->qf_true), &failure);
    m->fold = take_rows(c, 0, first->fold, sizeof(*m->fold), &failure);
    m->width = take_rows(c, 0, first->width, sizeof(*m->width), &failure);
    m->height = take_rows(c, 0, first->height, sizeof(*m->height), &failure);
    m->anchor = take_rows(c, 0, first->anchor, sizeof(*m->anchor), &failure);
    m->bytes = take_rows(c, 0, first->bytes, levels * sizeof(*m->bytes), &failure);
    m->psnr_y = take_rows(c, 0, first->psnr_y, levels * sizeof(*m->psnr_y), &failure);
    m->ms_ssim = take_rows(c, 0, first->ms_ssim, levels * sizeof(*m->ms_ssim), &failure);
    m->sur = take_rows(c, 0, first->sur, levels * sizeof(*m->sur), &failure);
    m->counted = take_rows(c, 0, first->counted, levels * sizeof(*m->counted), &failure);
    m->name = vj_calloc(m->count, sizeof(*m->name));
    m->error = vj_calloc(m->count, sizeof(*m->error));
    if (failure.code || !m->name || !m->error)
        return vj_fail(err, -ENOMEM, "out of memory for %zu images", m->count);
    for (size_t i = 0; i < m->count; i++)
        if (!(m->name[i] = strdup(first->name[row_in(c, 0, i)])))
            return vj_fail(err, -ENOMEM, "out of memory for %zu names", m->count);
    return 0;
}

/* ---- predictors ---- */

/* Do two runs' predictors say the same of every common image? */
static bool same_predictions(const struct comparison *c, size_t run,
                             const struct vj_analysed_predictor *p, size_t other,
                             const struct vj_analysed_predictor *q)
{
    const struct vj_analysis *a = &c->source[run].analysis, *b = &c->source[other].analysis;
    const size_t levels = (size_t)a->levels;
    if (a->levels != b->levels || a->qf_first != b->qf_first)
        return false;
    for (size_t i = 0; i < c->matching.images; i++) {
        const size_t x = row_in(c, run, i), y = row_in(c, other, i);
        if (p->qf_pred[x] != q->qf_pred[y] ||
            memcmp(p->lossy + x * levels, q->lossy + y * levels, levels) != 0)
            return false;
    }
    return true;
}

/* The name of the predictor to compare with, if it is one in several runs that all say the same. */
static const char *find_shared(const struct comparison *c)
{
    const struct vj_analysed_predictor *first = NULL;
    const char *name = c->options->report.against;
    size_t first_run = 0, count = 0;
    for (size_t k = 0; name && k < c->runs; k++) {
        const struct vj_analysed_predictor *p = vj_predictor_named(&c->source[k].analysis, name);
        if (!p)
            continue;
        if (p->random_weights || (first && !same_predictions(c, first_run, first, k, p)))
            return NULL;
        if (!first) {
            first = p;
            first_run = k;
        }
        count++;
    }
    return count > 1 ? name : NULL;
}

static bool in_another_run(const struct comparison *c, size_t run, const char *name)
{
    for (size_t k = 0; k < c->runs; k++)
        if (k != run && vj_predictor_named(&c->source[k].analysis, name))
            return true;
    return false;
}

static bool is_shared(const struct comparison *c, const char *name)
{
    return c->shared && strcmp(name, c->shared) == 0;
}

/* Is it in the table already, as that of an earlier run? */
static bool is_repeated(const struct comparison *c, size_t run, const char *name)
{
    for (size_t k = 0; k < run; k++)
        if (is_shared(c, name) && vj_predictor_named(&c->source[k].analysis, name))
            return true;
    return false;
}

/* Answers by quality factor: a file of another range leaves levels unanswered. */
static int merge_answers(struct comparison *c, struct vj_analysed_predictor *to, size_t run,
                         const uint8_t *lossy, struct vj_error *err)
{
    const struct vj_analysis *a = &c->source[run].analysis, *m = &c->merged;
    size_t levels = (size_t)m->levels;
    to->lossy = vj_calloc(m->count, levels);
    if (!to->lossy)
        return vj_fail(err, -ENOMEM, "out of memory for %zu images", m->count);
    for (size_t i = 0; i < m->count; i++) {
        const uint8_t *from = lossy + row_in(c, run, i) * (size_t)a->levels;
        for (int k = 0; k < m->levels; k++) {
            int level = m->qf_first + k - a->qf_first;
            bool has = level >= 0 && level < a->levels;
            to->lossy[i * levels + (size_t)k] = has ? from[level] : VJ_LOSSY_UNANSWERED;
        }
    }
    return 0;
}

/* Predicted curves likewise: an image has one only if it covers all levels of the first file. */
static int merge_curves(struct comparison *c, struct vj_analysed_predictor *to, size_t run,
                        const float *sur, struct vj_error *err)
{
    const struct vj_analysis *a = &c->source[run].analysis, *m = &c->merged;
    size_t levels = (size_t)m->levels;
    if (!sur)
        return 0;
    to->sur = vj_calloc(m->count, levels * sizeof(*to->sur));
    if (!to->sur)
        return vj_fail(err, -ENOMEM, "out of memory for %zu images", m->count);
    for (size_t i = 0; i < m->count; i++)
        for (int k = 0; k < m->levels; k++) {
            int level = m->qf_first + k - a->qf_first;
            bool has = level >= 0 && level < a->levels;
            to->sur[i * levels + (size_t)k] =
                has ? sur[row_in(c, run, i) * (size_t)a->levels + (size_t)level] : NAN;
        }
    return 0;
}

static int merge_predictor(struct comparison *c, size_t run,
                           const struct vj_analysed_predictor *from, struct vj_error *err)
{
    c->run_of[c->merged.predictors] = run;
    struct vj_analysed_predictor *to = &c->merged.predictor[c->merged.predictors++];
    to->random_weights = from->random_weights;
    to->seen = from->seen;
    to->seen_if_released = from->seen_if_released;
    to->seen_of = from->seen_of;
    to->kind = strdup(from->kind);
    to->note = from->note ? strdup(from->note) : NULL;
    to->no_answer = from->no_answer ? strdup(from->no_answer) : NULL;
    int n = in_another_run(c, run, from->name) && !is_shared(c, from->name)
                ? asprintf(&to->name, "%s/%s", c->run[run].name, from->name)
                : asprintf(&to->name, "%s", from->name);
    if (n < 0)
        to->name = NULL;
    if (!to->name || !to->kind || (from->note && !to->note) || (from->no_answer && !to->no_answer))
        return vj_fail(err, -ENOMEM, "out of memory");
    to->qf_pred = take_rows(c, run, from->qf_pred, sizeof(*to->qf_pred), err);
    to->qf_tolerance =
        take_rows(c, run, from->qf_tolerance, VJ_TOLERANCE_STEPS * sizeof(*to->qf_tolerance), err);
    memcpy(to->tolerance, from->tolerance, sizeof(to->tolerance));
    if (from->qf_tolerance && !to->qf_tolerance)
        return -ENOMEM;
    int r = to->qf_pred ? merge_answers(c, to, run, from->lossy, err) : -ENOMEM;
    return r ? r : merge_curves(c, to, run, from->sur, err);
}

static int merge_predictors(struct comparison *c, struct vj_error *err)
{
    size_t all = 0;
    for (size_t k = 0; k < c->runs; k++)
        all += c->source[k].analysis.predictors;
    c->merged.predictor = vj_calloc(all, sizeof(*c->merged.predictor));
    c->run_of = vj_calloc(all, sizeof(*c->run_of));
    int r = c->merged.predictor && c->run_of ? 0 : vj_fail(err, -ENOMEM, "out of memory");
    for (size_t k = 0; !r && k < c->runs; k++) {
        const struct vj_analysis *a = &c->source[k].analysis;
        for (size_t i = 0; !r && i < a->predictors; i++)
            if (!is_repeated(c, k, a->predictor[i].name))
                r = merge_predictor(c, k, &a->predictor[i], err);
    }
    return r;
}

/* ---- the report ---- */

static void fill_report(const struct comparison *c, struct vj_report *report)
{
    vj_report_fill(report, &c->source[0], &c->merged, &c->tables);
    report->program_version = VJ_VERSION;
    report->fact = NULL;
    report->rows_from = NULL; /* of one file */
    report->facts = 0;
    report->run = c->run;
    report->runs = c->runs;
    report->difference = c->differences.list;
    report->differences = c->differences.count;
    report->left_out = c->matching.left_out;
    report->left_outs = c->matching.left_outs;
}

/* Names of the fields that forbid the comparison. */
static int refuse(struct vj_text *out, const struct comparison *c, struct vj_error *err)
{
    struct vj_text fields = {0};
    bool parts = false;
    const struct vj_report listing = {.run = c->run,
                                      .runs = c->runs,
                                      .difference = c->differences.list,
                                      .differences = c->differences.count};
    vj_report_differences(out, &listing);
    for (size_t i = 0; i < c->differences.count; i++)
        if (c->differences.list[i].barrier)
            vj_text_add(&fields, "%s%s", fields.size ? ", " : "", c->differences.list[i].field);
    for (size_t i = 0; i < c->differences.count; i++)
        parts = parts || strcmp(c->differences.list[i].field, "option part") == 0;
    int r = vj_text_status(&fields, err);
    if (!r)
        r = vj_fail(err, -EINVAL,
                    "the results files are not comparable: they differ in %s. Evaluate them alike, "
                    "or add --force%s",
                    fields.data,
                    parts ? "; `vpjnd eval --rows-from` makes one file of the parts of a sweep"
                          : "");
    vj_text_free(&fields);
    return r;
}

static int write_comparison(struct vj_text *out, struct comparison *c, struct vj_error *err)
{
    const struct vj_bootstrap boot = vj_report_bootstrap(&c->source[0]);
    struct vj_report report;
    int against;
    int r = merge_truth(c, err);
    c->shared = find_shared(c);
    if (!r)
        r = merge_predictors(c, err);
    if (!r)
        r = vj_report_against(&against, &c->merged, c->options->report.against, VJ_AGAINST_ALL,
                              err);
    if (!r)
        r = vj_report_tables_make(&c->tables, &c->merged, &boot, against, err);
    if (r)
        return r;
    for (size_t i = 0; i < c->tables.rows; i++)
        if (c->tables.row[i].random_weights)
            c->tables.row[i].images_per_second = c->source[c->run_of[i]].images_per_second;
    fill_report(c, &report);
    return vj_report_write(out, &report, &c->options->report, err);
}

static int compare(struct vj_text *out, struct comparison *c, struct vj_error *err)
{
    c->source = vj_calloc(c->runs, sizeof(*c->source));
    c->run = vj_calloc(c->runs, sizeof(*c->run));
    c->index = vj_calloc(c->runs, sizeof(*c->index));
    if (!c->source || !c->run || !c->index)
        return vj_fail(err, -ENOMEM, "out of memory");
    int r = open_runs(c, err);
    if (!r)
        r = vj_differences_find(&c->differences, c->source, c->index, c->runs, err);
    if (!r && c->differences.barriers > 0 && !c->options->force)
        return refuse(out, c, err);
    if (!r)
        r = vj_matching_make(&c->matching, c->index, c->run, c->runs, err);
    if (!r && c->matching.images == 0)
        r = c->matching.left_outs
                ? vj_fail(err, -ENODATA,
                          "no image is evaluated%s in every results file; the first is %s: %s",
                          c->matching.labelled ? " and labelled" : "", c->matching.left_out[0].name,
                          c->matching.left_out[0].reason)
                : vj_fail(err, -ENODATA, "the results files have no images");
    return r ? r : write_comparison(out, c, err);
}

static void release(struct comparison *c)
{
    vj_report_tables_free(&c->tables);
    vj_analysis_free(&c->merged);
    free(c->run_of);
    vj_matching_free(&c->matching);
    vj_differences_free(&c->differences);
    for (size_t k = 0; k < c->runs; k++) {
        if (c->index)
            vj_image_index_free(&c->index[k]);
        if (c->run)
            free((char *)c->run[k].name);
        if (c->source)
            vj_report_source_close(&c->source[k]);
    }
    free(c->index);
    free(c->run);
    free(c->source);
}

int vj_compare_files(struct vj_text *out, const struct vj_compare_options *options,
                     struct vj_error *err)
{
    struct comparison c = {.options = options, .runs = options->count};
    if (options->count < 2)
        return vj_fail(err, -EINVAL, "a comparison needs two results files or more");
    int r = compare(out, &c, err);
    release(&c);
    return r;
}
