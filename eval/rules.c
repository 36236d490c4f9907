/* SPDX-License-Identifier: MIT */
#include "eval/rules.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host/checked.h"

/*
 * Fitting works on keys: the value itself where low values are lossy, its negative where high
 * values are. In both cases a level is lossy iff key < t, and raising t turns levels lossy in order
 * of key. One event = one level of one image turning lossy, with what that does to the two costs.
 */
struct event {
    float key;
    uint32_t image;
    int32_t error;    /* change of |qf_pred - qf_true| */
    int32_t mistakes; /* change of the number of wrong pair answers */
};

/* Costs when nothing is lossy, per image, and the events of all images by rising key. */
struct fitting {
    const struct vj_rule_table *table;
    enum vj_rule rule;
    const struct vj_search_options *search;
    struct event *event;
    size_t events;
    int32_t *error;    /* [count] at t = -infinity; -1 = image takes no part */
    int32_t *mistakes; /* [count] */
};

/* Thresholds t in (low, high] with the same costs. */
struct candidate {
    int64_t error, mistakes;
    double low, high;
};

static int32_t fold_of(const struct vj_rule_table *table, size_t image)
{
    return vj_fold_of(table->fold, image);
}

static int32_t label_of(const struct vj_rule_table *table, size_t image)
{
    return table->qf_true ? table->qf_true[image] : VJ_EVAL_UNKNOWN;
}

static int check_table(const struct vj_rule_table *table, struct vj_error *err)
{
    if (table->levels < 1 || table->levels > VJ_SEARCH_LEVELS_MAX)
        return vj_fail(err, -EINVAL, "a rule was given %d candidates per image; it takes 1 to %d",
                       table->levels, VJ_SEARCH_LEVELS_MAX);
    if (table->qf_first < 0 || table->qf_first > VJ_EVAL_QF_MAX)
        return vj_fail(err, -EINVAL,
                       "a rule was given %d as the first quality factor; it must be 0 to %d",
                       table->qf_first, VJ_EVAL_QF_MAX);
    if (table->count > UINT32_MAX)
        return vj_fail(err, -EINVAL, "a rule was given %zu images, more than it can number",
                       table->count);
    for (size_t i = 0; i < table->count; i++) {
        int32_t label = label_of(table, i);
        if (label < VJ_EVAL_UNKNOWN || label > VJ_EVAL_QF_MAX)
            return vj_fail(err, -EINVAL,
                           "image %zu has the label %d; it must be a quality factor 0 to %d, or -1 "
                           "for none",
                           i, (int)label, VJ_EVAL_QF_MAX);
    }
    return 0;
}

static bool has_value(const struct vj_rule_table *table, size_t image)
{
    const float *value = table->value + image * (size_t)table->levels;
    for (int i = 0; i < table->levels; i++) {
        if (isnan(value[i]))
            return false;
    }
    return true;
}

static float key_of(enum vj_rule rule, float value)
{
    return rule == VJ_RULE_BELOW_IS_LOSSY ? value : -value;
}

static int predict(int32_t *qf, const struct vj_rule_table *table,
                   const struct vj_search_options *search, const float *p_lossy,
                   struct vj_error *err)
{
    struct vj_search_result found;
    int rc = vj_search_full(search, table->levels, p_lossy, &found, err);
    if (!rc)
        *qf = vj_search_qf(found.level, table->qf_first);
    return rc;
}

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* Turns the levels of one image lossy in order of key and notes what each does to the costs. */
static int add_image(struct fitting *f, size_t image, struct vj_error *err)
{
    const struct vj_rule_table *table = f->table;
    const float *value = table->value + image * (size_t)table->levels;
    int n = table->levels;
    int32_t truth = table->qf_true[image];
    struct event *event = f->event + f->events;
    float p_lossy[VJ_SEARCH_LEVELS_MAX] = {0};
    int32_t qf;
    int rc = predict(&qf, table, f->search, p_lossy, err);
    if (rc)
        return rc;

    int32_t lossy_pairs = truth - table->qf_first + 1;
    f->mistakes[image] = lossy_pairs < 0 ? 0 : lossy_pairs > n - 1 ? n - 1 : lossy_pairs;
    f->error[image] = abs(qf - truth);
    for (int i = 0; i < n; i++) {
        /* `error` holds the level until the order is known. */
        event[i] =
            (struct event){.key = key_of(f->rule, value[i]), .image = (uint32_t)image, .error = i};
    }
    qsort(event, (size_t)n, sizeof(*event), compare_events);

    int32_t error = f->error[image];
    for (int i = 0; i < n; i++) {
        int level = event[i].error;
        p_lossy[level] = 1;
        rc = predict(&qf, table, f->search, p_lossy, err);
        if (rc)
            return rc;
        event[i].error = abs(qf - truth) - error;
        error += event[i].error;
        if (level < n - 1)
            event[i].mistakes = table->qf_first + level <= truth ? -1 : 1;
    }
    f->events += (size_t)n;
    return 0;
}

static void fitting_free(struct fitting *f)
{
    free(f->event);
    free(f->error);
    free(f->mistakes);
    *f = (struct fitting){0};
}

static int fitting_init(struct fitting *f, const struct vj_rule_table *table, enum vj_rule rule,
                        const struct vj_search_options *search, struct vj_error *err)
{
    *f = (struct fitting){.table = table, .rule = rule, .search = search};
    int rc = check_table(table, err);
    if (!rc)
        rc = vj_search_check(search, err);
    if (rc)
        return rc;
    size_t events;
    if (vj_size_mul(table->count, (size_t)table->levels, &events))
        f->event = vj_calloc(events, sizeof(*f->event));
    f->error = vj_calloc(table->count, sizeof(*f->error));
    f->mistakes = vj_calloc(table->count, sizeof(*f->mistakes));
    if (!f->event || !f->error || !f->mistakes) {
        fitting_free(f);
        return vj_fail(err, -ENOMEM, "out of memory for fitting a threshold on %zu images",
                       table->count);
    }
    for (size_t i = 0; i < table->count && !rc; i++) {
        f->error[i] = -1;
        if (label_of(table, i) >= 0 && has_value(table, i))
            rc = add_image(f, i, err);
    }
    if (rc) {
        fitting_free(f);
        return rc;
    }
    qsort(f->event, f->events, sizeof(*f->event), compare_events);
    return 0;
}

static bool better(const struct candidate *a, const struct candidate *b)
{
    if (a->error != b->error)
        return a->error < b->error;
    if (a->mistakes != b->mistakes)
        return a->mistakes < b->mistakes;
    return a->high - a->low > b->high - b->low;
}

static bool same_cost(const struct candidate *a, const struct candidate *b)
{
    return a->error == b->error && a->mistakes == b->mistakes;
}

static double middle(const struct candidate *c)
{
    if (isinf(c->low) && c->high == INFINITY)
        return 0;
    if (isinf(c->low))
        return c->high;
    if (isinf(c->high))
        return nextafterf((float)c->low, INFINITY);
    return c->low + (c->high - c->low) / 2;
}

/* Walks t from -infinity to infinity over the images in use, keeping the best interval. */
static int fit_over(struct vj_rule_fit *fit, const struct fitting *f, const uint8_t *use,
                    struct vj_error *err)
{
    struct candidate now = {.low = -INFINITY};
    size_t trained_on = 0;
    for (size_t i = 0; i < f->table->count; i++) {
        if (f->error[i] < 0 || (use && !use[i]))
            continue;
        now.error += f->error[i];
        now.mistakes += f->mistakes[i];
        trained_on++;
    }
    if (!trained_on)
        return vj_fail(err, -ENODATA,
                       "there is no labelled image to fit a threshold on; give a "
                       "fixed threshold or labels");

    struct candidate best = {.error = INT64_MAX, .mistakes = INT64_MAX};
    /* A key of +infinity lies below no t: such a level never turns lossy. */
    for (size_t e = 0; e < f->events && f->event[e].key < INFINITY;) {
        struct candidate next = now;
        float key = f->event[e].key;
        for (; e < f->events && f->event[e].key == key; e++) {
            if (use && !use[f->event[e].image])
                continue;
            next.error += f->event[e].error;
            next.mistakes += f->event[e].mistakes;
        }
        if (same_cost(&next, &now))
            continue;
        now.high = key;
        if (better(&now, &best))
            best = now;
        next.low = key;
        now = next;
    }
    now.high = INFINITY;
    if (better(&now, &best))
        best = now;

    double pairs = (double)trained_on * (f->table->levels - 1);
    double t = middle(&best);
    *fit = (struct vj_rule_fit){
        .fold = VJ_EVAL_UNKNOWN,
        .parameter = f->rule == VJ_RULE_BELOW_IS_LOSSY ? t : 0.0 - t,
        .trained_on = trained_on,
        .mad = (double)best.error / (double)trained_on,
        .pair_error = pairs > 0 ? (double)best.mistakes / pairs : 0,
    };
    return 0;
}

int vj_threshold_fit(struct vj_rule_fit *fit, const struct vj_rule_table *table, enum vj_rule rule,
                     const struct vj_search_options *search, const uint8_t *use,
                     struct vj_error *err)
{
    struct fitting f;
    int rc = fitting_init(&f, table, rule, search, err);
    if (rc)
        return rc;
    rc = fit_over(fit, &f, use, err);
    fitting_free(&f);
    return rc;
}

/* Applies a threshold to one image. */
static int apply_to(const struct vj_rule_table *table, size_t image, enum vj_rule rule,
                    double threshold, const struct vj_search_options *search, uint8_t *lossy,
                    int32_t *qf_pred, struct vj_error *err)
{
    size_t n = (size_t)table->levels;
    const float *value = table->value + image * n;
    float p_lossy[VJ_SEARCH_LEVELS_MAX];
    qf_pred[image] = VJ_EVAL_UNKNOWN;
    if (lossy)
        memset(lossy + image * n, VJ_LOSSY_UNANSWERED, n);
    if (!has_value(table, image))
        return 0;
    for (size_t i = 0; i < n; i++) {
        bool is_lossy = vj_rule_lossy(rule, value[i], threshold);
        p_lossy[i] = is_lossy;
        if (lossy)
            lossy[image * n + i] = is_lossy;
    }
    return predict(&qf_pred[image], table, search, p_lossy, err);
}

int vj_threshold_apply(const struct vj_rule_table *table, enum vj_rule rule, double threshold,
                       const struct vj_search_options *search, uint8_t *lossy, int32_t *qf_pred,
                       struct vj_error *err)
{
    int rc = check_table(table, err);
    if (!rc && isnan(threshold))
        rc = vj_fail(err, -EINVAL, "the threshold of a rule is not a number; give one or fit it");
    for (size_t i = 0; i < table->count && !rc; i++)
        rc = apply_to(table, i, rule, threshold, search, lossy, qf_pred, err);
    return rc;
}

double vj_tolerance_at(enum vj_tolerance_scale scale, double tolerance, int step)
{
    static const double factor[VJ_TOLERANCE_STEPS] = {0.25, 0.5, 1, 2, 4};
    static const double added[VJ_TOLERANCE_STEPS] = {-3, -1.5, 0, 1.5, 3};
    return scale == VJ_TOLERANCE_FACTOR ? tolerance * factor[step] : tolerance + added[step];
}

int vj_threshold_sweep(const struct vj_rule_table *table, enum vj_rule rule,
                       enum vj_tolerance_scale scale, const double *threshold,
                       const struct vj_search_options *search, int32_t *qf_pred,
                       struct vj_error *err)
{
    int32_t *of_step = vj_calloc(table->count, sizeof(*of_step));
    if (!of_step)
        return vj_fail(err, -ENOMEM, "out of memory for the tolerances of %zu images",
                       table->count);
    int rc = check_table(table, err);
    for (size_t i = 0; i < table->count && !rc; i++) {
        for (int k = 0; k < VJ_TOLERANCE_STEPS && !rc; k++) {
            of_step[i] = VJ_EVAL_UNKNOWN;
            if (!isnan(threshold[i]))
                rc = apply_to(table, i, rule, vj_tolerance_at(scale, threshold[i], k), search, NULL,
                              of_step, err);
            qf_pred[i * VJ_TOLERANCE_STEPS + (size_t)k] = of_step[i];
        }
    }
    free(of_step);
    return rc;
}

/* One empty fit per fold that occurs, ascending; room for one where there are none. */
static int list_fits(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                     struct vj_error *err)
{
    int32_t *fold;
    size_t folds;
    int rc = vj_list_folds(&fold, &folds, table->fold, table->count, err);
    if (rc)
        return rc;
    *fits = (struct vj_rule_fits){.fit = vj_calloc(folds, sizeof(*fits->fit)),
                                  .unfitted = vj_calloc(folds, sizeof(*fits->unfitted)),
                                  .count = folds};
    if (!fits->fit || !fits->unfitted) {
        vj_rule_fits_free(fits);
        rc = vj_fail(err, -ENOMEM, "out of memory for the fits of %zu folds", folds);
    }
    for (size_t k = 0; k < fits->count; k++)
        fits->fit[k].fold = fold[k];
    free(fold);
    return rc;
}

/* Where the fit of a fold says what it lacks: of several folds the first is remembered. */
static struct vj_error *lack_of(const struct vj_rule_fits *fits, struct vj_error *err)
{
    return fits->unfitted_count ? NULL : err;
}

/*
 * Goes on to the next fit after number *k, of which rc came. A fold with too little to train on
 * leaves the fits; its images stay without an answer. Without any fit left that is the failure.
 */
static int next_fit(struct vj_rule_fits *fits, size_t *k, int rc)
{
    if (rc != -ENODATA) {
        ++*k;
        return rc;
    }
    fits->unfitted[fits->unfitted_count++] = fits->fit[*k].fold;
    fits->count--;
    memmove(&fits->fit[*k], &fits->fit[*k + 1], (fits->count - *k) * sizeof(*fits->fit));
    return fits->count ? 0 : rc;
}

/* Marks the images outside a fold. */
static void mark_outside(uint8_t *use, const struct vj_rule_table *table, int32_t fold)
{
    for (size_t i = 0; i < table->count; i++)
        use[i] = fold_of(table, i) != fold;
}

static int fit_fold(struct vj_rule_fit *fit, const struct fitting *f, uint8_t *use,
                    struct vj_error *err)
{
    int32_t fold = fit->fold;
    mark_outside(use, f->table, fold);
    int rc = fit_over(fit, f, use, err);
    if (rc)
        vj_fail_prefix(err, "fold %d", (int)fold);
    fit->fold = fold;
    return rc;
}

static void predict_nothing(const struct vj_rule_table *table, uint8_t *lossy, int32_t *qf_pred)
{
    for (size_t i = 0; i < table->count; i++)
        qf_pred[i] = VJ_EVAL_UNKNOWN;
    if (lossy)
        memset(lossy, VJ_LOSSY_UNANSWERED, table->count * (size_t)table->levels);
}

int vj_threshold_cross_fit(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                           enum vj_rule rule, const struct vj_search_options *search,
                           uint8_t *lossy, int32_t *qf_pred, struct vj_error *err)
{
    *fits = (struct vj_rule_fits){0};
    struct fitting f;
    int rc = fitting_init(&f, table, rule, search, err);
    if (rc)
        return rc;
    uint8_t *use = vj_calloc(table->count, 1);
    if (!use)
        rc = vj_fail(err, -ENOMEM, "out of memory for the folds of %zu images", table->count);
    if (!rc)
        rc = list_fits(fits, table, err);
    if (!rc && !fits->count)
        rc = vj_fail(err, -EINVAL,
                     "a threshold can only be fitted with folds, else it would be "
                     "tested on its training images; set folds or the threshold");

    if (!rc)
        predict_nothing(table, lossy, qf_pred);
    for (size_t k = 0; k < fits->count && !rc;) {
        rc = fit_fold(&fits->fit[k], &f, use, lack_of(fits, err));
        for (size_t i = 0; i < table->count && !rc; i++) {
            if (!use[i])
                rc = apply_to(table, i, rule, fits->fit[k].parameter, search, lossy, qf_pred, err);
        }
        rc = next_fit(fits, &k, rc);
    }
    if (rc) {
        predict_nothing(table, lossy, qf_pred);
        vj_rule_fits_free(fits);
    }
    free(use);
    fitting_free(&f);
    return rc;
}

static int compare_int32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Order statistic j of sorted labels, the one at index `without` left out (count: nothing is). */
static int32_t label_at(const int32_t *sorted, size_t without, size_t j)
{
    return sorted[j < without ? j : j + 1];
}

static int32_t median_without(const int32_t *sorted, size_t count, size_t without)
{
    size_t n = without < count ? count - 1 : count;
    int32_t low = label_at(sorted, without, (n - 1) / 2);
    int32_t high = label_at(sorted, without, n / 2);
    return low + (high - low + 1) / 2;
}

int32_t vj_median_qf(int32_t *labels, size_t count)
{
    qsort(labels, count, sizeof(*labels), compare_int32);
    return median_without(labels, count, count);
}

/* The sum of a fit's errors, turned into their mean at the end. */
static void add_error(struct vj_rule_fit *fit, int32_t qf, int32_t truth)
{
    fit->trained_on++;
    fit->mad += abs(qf - truth);
}

static void mean_error(struct vj_rule_fit *fit)
{
    fit->mad /= (double)fit->trained_on;
}

static int constant_for_fold(struct vj_rule_fit *fit, const struct vj_rule_table *table,
                             int32_t *label, int32_t *qf_pred, struct vj_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (label_of(table, i) >= 0 && fold_of(table, i) != fit->fold)
            label[n++] = label_of(table, i);
    }
    if (!n)
        return vj_fail(err, -ENODATA,
                       "fold %d: no labelled image lies outside it, so there is no median to "
                       "predict; use more folds",
                       (int)fit->fold);
    int32_t qf = vj_median_qf(label, n);
    fit->parameter = qf;
    for (size_t i = 0; i < n; i++)
        add_error(fit, qf, label[i]);
    mean_error(fit);
    for (size_t i = 0; i < table->count; i++) {
        if (fold_of(table, i) == fit->fold)
            qf_pred[i] = qf;
    }
    return 0;
}

static int constant_for_folds(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                              int32_t *label, int32_t *qf_pred, struct vj_error *err)
{
    int rc = 0;
    for (size_t k = 0; k < fits->count && !rc;) {
        rc = constant_for_fold(&fits->fit[k], table, label, qf_pred, lack_of(fits, err));
        rc = next_fit(fits, &k, rc);
    }
    return rc;
}

/* Index of the first of equal labels. */
static size_t first_index(const int32_t *sorted, size_t count, int32_t label)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t m = low + (high - low) / 2;
        if (sorted[m] < label)
            low = m + 1;
        else
            high = m;
    }
    return low;
}

static int constant_leaving_one_out(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                                    int32_t *label, int32_t *qf_pred, struct vj_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (label_of(table, i) >= 0)
            label[n++] = label_of(table, i);
    }
    if (n < 2)
        return vj_fail(err, -ENODATA,
                       "the constant predictor learns from other images' labels and there %s",
                       n ? "is one labelled image only" : "are no labels");
    struct vj_rule_fit *fit = &fits->fit[0];
    *fit = (struct vj_rule_fit){.fold = VJ_EVAL_UNKNOWN, .parameter = vj_median_qf(label, n)};
    fits->count = 1;
    for (size_t i = 0; i < table->count; i++) {
        int32_t truth = label_of(table, i);
        if (truth < 0) {
            qf_pred[i] = (int32_t)fit->parameter;
            continue;
        }
        qf_pred[i] = median_without(label, n, first_index(label, n, truth));
        add_error(fit, qf_pred[i], truth);
    }
    mean_error(fit);
    return 0;
}

int vj_constant_predict(struct vj_rule_fits *fits, const struct vj_rule_table *table,
                        int32_t *qf_pred, struct vj_error *err)
{
    *fits = (struct vj_rule_fits){0};
    int rc = check_table(table, err);
    if (!rc)
        rc = list_fits(fits, table, err);
    if (rc)
        return rc;
    int32_t *label = vj_calloc(table->count, sizeof(*label));
    if (!label) {
        vj_rule_fits_free(fits);
        return vj_fail(err, -ENOMEM, "out of memory for the labels of %zu images", table->count);
    }
    for (size_t i = 0; i < table->count; i++)
        qf_pred[i] = VJ_EVAL_UNKNOWN;
    rc = fits->count ? constant_for_folds(fits, table, label, qf_pred, err)
                     : constant_leaving_one_out(fits, table, label, qf_pred, err);
    if (rc)
        vj_rule_fits_free(fits);
    free(label);
    return rc;
}

/* ---- the line ---- */

static int32_t on_line(const struct vj_rule_fit *fit, const struct vj_rule_table *table, double x)
{
    double low = table->qf_first, high = table->qf_first + table->levels - 1;
    double qf = floor(fit->parameter + fit->slope * x + 0.5);
    return (int32_t)(qf < low ? low : qf > high ? high : qf);
}

static bool trains(const struct vj_rule_table *table, const double *x, int32_t fold, size_t image)
{
    return label_of(table, image) >= 0 && !isnan(x[image]) && fold_of(table, image) != fold;
}

/* Sums are taken about the means, so that nothing is lost where x hardly varies. */
static int fit_line(struct vj_rule_fit *fit, const struct vj_rule_table *table, const double *x,
                    struct vj_error *err)
{
    double mean_x = 0, mean_qf = 0, xx = 0, xy = 0;
    size_t n = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (!trains(table, x, fit->fold, i))
            continue;
        mean_x += x[i];
        mean_qf += label_of(table, i);
        n++;
    }
    if (n < 2)
        return vj_fail(err, -ENODATA,
                       "fold %d: a line is fitted to two labelled images outside the fold or more, "
                       "there %s",
                       (int)fit->fold, n ? "is one" : "are none");
    mean_x /= (double)n;
    mean_qf /= (double)n;
    for (size_t i = 0; i < table->count; i++) {
        if (!trains(table, x, fit->fold, i))
            continue;
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (label_of(table, i) - mean_qf);
    }
    fit->slope = xx > 0 ? xy / xx : 0;
    fit->parameter = mean_qf - fit->slope * mean_x;
    for (size_t i = 0; i < table->count; i++)
        if (trains(table, x, fit->fold, i))
            add_error(fit, on_line(fit, table, x[i]), label_of(table, i));
    mean_error(fit);
    return 0;
}

int vj_line_cross_fit(struct vj_rule_fits *fits, const struct vj_rule_table *table, const double *x,
                      int32_t *qf_pred, struct vj_error *err)
{
    *fits = (struct vj_rule_fits){0};
    int rc = check_table(table, err);
    if (!rc)
        rc = list_fits(fits, table, err);
    if (!rc && !fits->count)
        rc = vj_fail(err, -EINVAL,
                     "a line can only be fitted with folds, else it would be tested on its "
                     "training images; set folds");
    predict_nothing(table, NULL, qf_pred);
    for (size_t k = 0; k < fits->count && !rc;) {
        rc = fit_line(&fits->fit[k], table, x, lack_of(fits, err));
        for (size_t i = 0; i < table->count && !rc; i++)
            if (fold_of(table, i) == fits->fit[k].fold && !isnan(x[i]))
                qf_pred[i] = on_line(&fits->fit[k], table, x[i]);
        rc = next_fit(fits, &k, rc);
    }
    if (rc) {
        predict_nothing(table, NULL, qf_pred);
        vj_rule_fits_free(fits);
    }
    return rc;
}

void vj_rule_fits_note_unfitted(struct vj_text *note, const struct vj_rule_fits *fits)
{
    for (size_t i = 0; i < fits->unfitted_count; i++)
        vj_text_add(note, "%s%d", i ? ", " : "; NO ANSWER in fold ", (int)fits->unfitted[i]);
    if (fits->unfitted_count)
        vj_text_add(note, ": too few labelled images lie outside to fit anything on");
}

void vj_rule_fits_free(struct vj_rule_fits *fits)
{
    free(fits->fit);
    free(fits->unfitted);
    *fits = (struct vj_rule_fits){0};
}
