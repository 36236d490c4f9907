/* SPDX-License-Identifier: MIT */
#include "eval/sur.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "eval/common.h"

const char *vj_sur_model_name(enum vj_sur_model model)
{
    static const char *const names[] = {"empirical", "normal", "gev"};
    return names[model];
}

/* ---- distributions, in log ---- */

enum { PARAMETERS_MAX = 3 }; /* location, log scale, shape */

/* Below this the GEV is computed as the Gumbel distribution that it tends to. */
#define SHAPE_ZERO 1e-8
/* Shapes nearer to the bound -1 than this count as standing at it. */
#define SHAPE_MARGIN 1e-2
/* From here on the mean is infinite; the largest shape of MCL-JCI's fits is 0.73. */
#define SHAPE_MOST 1

/* -log of what F's exponent holds: the GEV is exp(-exp(-u)); NaN outside of its support. */
static double gumbel_argument(double y, double shape)
{
    if (fabs(shape) < SHAPE_ZERO)
        return y;
    double a = shape * y;
    return a > -1 ? log1p(a) / shape : NAN;
}

static double log_density(const double p[PARAMETERS_MAX], double x, bool gev)
{
    double y = (x - p[0]) * exp(-p[1]);
    if (!gev)
        return -0.5 * y * y - p[1] - 0.5 * log(2 * M_PI);
    double u = gumbel_argument(y, p[2]);
    return isnan(u) ? -INFINITY : -p[1] - (1 + p[2]) * u - exp(-u);
}

/* log Phi(z), with its asymptote where Phi would be too small for a double. */
static double log_normal_cdf(double z)
{
    if (z > -30)
        return log(0.5 * erfc(-z / sqrt(2.0)));
    return -0.5 * z * z - log(-z) - 0.5 * log(2 * M_PI) + log1p(-1 / (z * z));
}

static double log_cdf(const double p[PARAMETERS_MAX], double x, bool gev)
{
    double y = (x - p[0]) * exp(-p[1]);
    if (!gev)
        return log_normal_cdf(y);
    double u = gumbel_argument(y, p[2]);
    if (isnan(u))
        return p[2] > 0 ? -INFINITY : 0;
    return -exp(-u);
}

/* ---- likelihood ---- */

/* JNDs in units of their own spread, so that one start and one step suit every sample. */
struct sample {
    size_t count;
    double x[VJ_SUR_QF_MAX], weight[VJ_SUR_QF_MAX];
    double censored; /* weight of the JNDs known only to lie below `limit` */
    double limit;
    double total; /* of all weights */
    double mean, spread;
    bool gev;
};

/* Minus the mean log-likelihood. */
static double cost(const struct sample *s, const double p[PARAMETERS_MAX])
{
    double sum = 0;
    if (s->gev && p[2] < -1)
        return INFINITY;
    for (size_t i = 0; i < s->count; i++)
        sum += s->weight[i] * log_density(p, s->x[i], s->gev);
    if (s->censored > 0)
        sum += s->censored * log_cdf(p, s->limit, s->gev);
    return isfinite(sum) ? -sum / s->total : INFINITY;
}

static int take_sample(struct sample *s, const double *weight, bool gev, struct vj_error *err)
{
    double known = 0;
    *s = (struct sample){.censored = weight[0], .gev = gev};
    for (int q = 0; q <= VJ_SUR_QF_MAX; q++) {
        if (!(weight[q] >= 0 && weight[q] < DBL_MAX))
            return vj_fail(err, -EINVAL, "the weight of JND %d is %g; it must be 0 or more", q,
                           weight[q]);
        if (q == 0 || weight[q] == 0)
            continue;
        s->x[s->count] = q;
        s->weight[s->count++] = weight[q];
        known += weight[q];
        s->mean += weight[q] * q;
    }
    size_t wanted = gev ? 3 : 2;
    if (s->count < wanted)
        return vj_fail(err, -EDOM,
                       "%zu different JNDs; a %s distribution cannot be fitted to fewer than %zu",
                       s->count, vj_sur_model_name(gev ? VJ_SUR_GEV : VJ_SUR_NORMAL), wanted);
    s->mean /= known;
    for (size_t i = 0; i < s->count; i++)
        s->spread += s->weight[i] * (s->x[i] - s->mean) * (s->x[i] - s->mean);
    s->spread = sqrt(s->spread / known);
    for (size_t i = 0; i < s->count; i++)
        s->x[i] = (s->x[i] - s->mean) / s->spread;
    s->limit = (1 - s->mean) / s->spread;
    s->total = known + s->censored;
    return 0;
}

/* ---- Nelder and Mead ---- */

struct corner {
    double p[PARAMETERS_MAX], cost;
};

struct simplex {
    const struct sample *sample;
    int n; /* parameters */
    struct corner corner[PARAMETERS_MAX + 1];
};

static void sort_corners(struct simplex *s)
{
    for (int i = 1; i <= s->n; i++)
        for (int k = i; k > 0 && s->corner[k].cost < s->corner[k - 1].cost; k--) {
            struct corner swap = s->corner[k];
            s->corner[k] = s->corner[k - 1];
            s->corner[k - 1] = swap;
        }
}

/* The point at centre + factor (worst - centre), the centre being that of all other corners. */
static struct corner try_point(const struct simplex *s, double factor)
{
    struct corner c = {0};
    for (int k = 0; k < s->n; k++) {
        double centre = 0;
        for (int i = 0; i < s->n; i++)
            centre += s->corner[i].p[k];
        centre /= s->n;
        c.p[k] = centre + factor * (s->corner[s->n].p[k] - centre);
    }
    c.cost = cost(s->sample, c.p);
    return c;
}

static void shrink(struct simplex *s)
{
    for (int i = 1; i <= s->n; i++) {
        for (int k = 0; k < s->n; k++)
            s->corner[i].p[k] = s->corner[0].p[k] + 0.5 * (s->corner[i].p[k] - s->corner[0].p[k]);
        s->corner[i].cost = cost(s->sample, s->corner[i].p);
    }
}

/* One step with the usual factors: reflection 1, expansion 2, contraction 1/2, shrinking 1/2. */
static void step(struct simplex *s)
{
    struct corner *worst = &s->corner[s->n];
    struct corner reflected = try_point(s, -1);
    if (reflected.cost < s->corner[0].cost) {
        struct corner expanded = try_point(s, -2);
        *worst = expanded.cost < reflected.cost ? expanded : reflected;
    } else if (reflected.cost < s->corner[s->n - 1].cost) {
        *worst = reflected;
    } else {
        bool outside = reflected.cost < worst->cost;
        struct corner contracted = try_point(s, outside ? -0.5 : 0.5);
        if (contracted.cost < (outside ? reflected.cost : worst->cost))
            *worst = contracted;
        else
            shrink(s);
    }
    sort_corners(s);
}

static double size_of(const struct simplex *s)
{
    double size = 0;
    for (int i = 1; i <= s->n; i++)
        for (int k = 0; k < s->n; k++)
            size = fmax(size, fabs(s->corner[i].p[k] - s->corner[0].p[k]));
    return size;
}

/* Walks down from *best; returns what was gained. */
static double descend(const struct sample *sample, struct corner *best, int n, double edge)
{
    enum { STEPS_MAX = 2000 };
    struct simplex s = {.sample = sample, .n = n};
    double before = best->cost;
    for (int i = 0; i <= n; i++) {
        s.corner[i] = *best;
        if (i > 0) {
            s.corner[i].p[i - 1] += edge;
            s.corner[i].cost = cost(sample, s.corner[i].p);
        }
    }
    sort_corners(&s);
    for (int i = 0; i < STEPS_MAX && size_of(&s) > 1e-9; i++)
        step(&s);
    *best = s.corner[0];
    return before - best->cost;
}

/* A simplex may collapse before it arrives: fresh ones until none of them gains anything. */
static void minimise(const struct sample *s, struct corner *best, int n)
{
    enum { RESTARTS_MAX = 20 };
    best->cost = cost(s, best->p);
    double gained = descend(s, best, n, 0.25);
    for (int i = 0; i < RESTARTS_MAX && !(gained < 1e-14); i++)
        gained = descend(s, best, n, i % 2 ? 0.25 : 0.02);
}

/* ---- fits ---- */

/* The best fit with shape -1, in closed form: it ends at the largest JND. */
static void fit_at_bound(const struct sample *s, struct corner *c)
{
    double end = s->x[s->count - 1], known = 0, below = s->censored * (end - s->limit);
    for (size_t i = 0; i < s->count; i++) {
        known += s->weight[i];
        below += s->weight[i] * (end - s->x[i]);
    }
    double scale = below / known;
    c->p[0] = end - scale;
    c->p[1] = log(scale);
    c->p[2] = -1;
    c->cost = (known * log(scale) + below / scale) / s->total;
}

/* Without subjects beyond the axis the normal fit is that of the moments. */
static void fit_normal(const struct sample *s, struct corner *c)
{
    c->p[0] = 0;
    c->p[1] = 0;
    c->p[2] = 0;
    c->cost = cost(s, c->p);
    if (s->censored > 0)
        minimise(s, c, 2);
}

static bool fit_gev(const struct sample *s, struct corner *c)
{
    /* The Gumbel distribution with the moments of the sample. */
    double scale = sqrt(6.0) / M_PI;
    c->p[0] = -0.57721566490153286 * scale;
    c->p[1] = log(scale);
    c->p[2] = 0;
    minimise(s, c, 3);
    if (c->p[2] > -1 + SHAPE_MARGIN)
        return false;
    fit_at_bound(s, c);
    return true;
}

int vj_sur_fit(struct vj_sur_fit *fit, enum vj_sur_model model,
               const double weight[VJ_SUR_QF_MAX + 1], struct vj_error *err)
{
    struct sample s;
    struct corner c = {0};
    *fit = (struct vj_sur_fit){.model = model};
    if (model != VJ_SUR_NORMAL && model != VJ_SUR_GEV)
        return vj_fail(err, -EINVAL, "%s curves are not fitted", vj_sur_model_name(model));
    int r = take_sample(&s, weight, model == VJ_SUR_GEV, err);
    if (r)
        return r;
    if (model == VJ_SUR_GEV)
        fit->at_bound = fit_gev(&s, &c);
    else
        fit_normal(&s, &c);
    if (c.p[2] > SHAPE_MOST)
        return vj_fail(
            err, -EDOM,
            "the likelihood of gev distributions has no maximum for these JNDs: too many "
            "of them are the smallest one");
    fit->location = s.mean + s.spread * c.p[0];
    fit->scale = s.spread * exp(c.p[1]);
    fit->shape = c.p[2];
    /* A density per QF, not per unit of spread. */
    fit->log_likelihood = -c.cost - (s.total - s.censored) / s.total * log(s.spread);
    return 0;
}

double vj_sur_cdf(const struct vj_sur_fit *fit, double x)
{
    const double p[PARAMETERS_MAX] = {fit->location, log(fit->scale), fit->shape};
    return exp(log_cdf(p, x, fit->model == VJ_SUR_GEV));
}

void vj_sur_curve(const struct vj_sur_fit *fit, float sur[VJ_SUR_QF_MAX])
{
    for (int q = 1; q <= VJ_SUR_QF_MAX; q++)
        sur[q - 1] = (float)vj_sur_cdf(fit, q);
}

void vj_sur_weights(double weight[VJ_SUR_QF_MAX + 1], const float sur[VJ_SUR_QF_MAX])
{
    weight[0] = sur[0];
    for (int q = 1; q < VJ_SUR_QF_MAX; q++)
        weight[q] = (double)sur[q] - (double)sur[q - 1];
    weight[VJ_SUR_QF_MAX] = 1 - (double)sur[VJ_SUR_QF_MAX - 1];
}

/* ---- curves ---- */

static bool has_curve(const float *sur, size_t levels)
{
    for (size_t k = 0; k < levels; k++)
        if (isnan(sur[k]))
            return false;
    return true;
}

/* Is image `other` one that image `mine` may not learn from? */
static bool withheld(const int32_t *fold, size_t mine, size_t other)
{
    return fold ? vj_fold_of(fold, other) == vj_fold_of(fold, mine) : other == mine;
}

/* Adds the curves of the images that `mine` may not learn from, or of all (mine = count). */
static size_t add_curves(double *sum, const float *sur, const int32_t *fold, size_t count,
                         size_t levels, size_t mine)
{
    size_t n = 0;
    for (size_t k = 0; k < levels; k++)
        sum[k] = 0;
    for (size_t j = 0; j < count; j++) {
        const float *row = sur + j * levels;
        if ((mine < count && !withheld(fold, mine, j)) || !has_curve(row, levels))
            continue;
        for (size_t k = 0; k < levels; k++)
            sum[k] += (double)row[k];
        n++;
    }
    return n;
}

void vj_sur_constant(float *out, const float *sur, const int32_t *fold, size_t count, size_t levels)
{
    double all[VJ_SUR_LEVELS_MAX], own[VJ_SUR_LEVELS_MAX];
    size_t n_all = add_curves(all, sur, fold, count, levels, count);
    for (size_t i = 0; i < count; i++) {
        bool tested = !fold || vj_fold_of(fold, i) != VJ_EVAL_UNKNOWN;
        size_t n = n_all - add_curves(own, sur, fold, count, levels, i);
        /* The difference of two sums can leave [0, 1] by a rounding. */
        for (size_t k = 0; k < levels; k++)
            out[i * levels + k] =
                tested && n ? (float)fmin(1, fmax(0, (all[k] - own[k]) / (double)n)) : NAN;
    }
}

int vj_sur_median_level(const float *sur, int levels)
{
    for (int k = 0; k < levels; k++)
        if (sur[k] >= 0.5f)
            return k;
    return -1;
}
