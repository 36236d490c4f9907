/* SPDX-License-Identifier: MIT */
/* Initial values of the released training graph (spec network.md, "Training, as released"). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/net_form.h"
#include "host/net_internal.h"
#include "host/rng.h"
#include "host/weights.h"

static double polynomial(const double *k, int degree, double x)
{
    double y = k[degree];
    for (int i = degree - 1; i >= 0; i--)
        y = y * x + k[i];
    return y;
}

/*
 * M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
 * Statistics 37(3), 1988, PPND16. Its third region, below 1.4e-11, is out of reach of a normal cut
 * at 2 standard deviations and left out.
 */
double vj_net_normal_quantile(double p)
{
    static const double a[] = {3.3871328727963666080e0,  1.3314166789178437745e+2,
                               1.9715909503065514427e+3, 1.3731693765509461125e+4,
                               4.5921953931549871457e+4, 6.7265770927008700853e+4,
                               3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[] = {1.0,
                               4.2313330701600911252e+1,
                               6.8718700749205790830e+2,
                               5.3941960214247511077e+3,
                               2.1213794301586595867e+4,
                               3.9307895800092710610e+4,
                               2.8729085735721942674e+4,
                               5.2264952788528545610e+3};
    static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                               5.76949722146069140550e0,  3.64784832476320460504e0,
                               1.27045825245236838258e0,  2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(a, 7, r) / polynomial(b, 7, r);
    }
    double r = sqrt(-log(q < 0 ? p : 1 - p)) - 1.6;
    double z = polynomial(c, 7, r) / polynomial(d, 7, r);
    return q < 0 ? -z : z;
}

/* Normal of mean 0, conditioned on |x| < 2 stddev: one uniform number through the inverse CDF. */
static float truncated_normal(uint32_t word, double stddev)
{
    double below = 0.5 * erfc(M_SQRT2); /* of the normal's mass, beyond 2 on either side */
    double p = below + vj_random_unit(word) * (1 - 2 * below);
    return (float)(stddev * vj_net_normal_quantile(p));
}

static float uniform(uint32_t word, double limit)
{
    return (float)(limit * (2 * vj_random_unit(word) - 1));
}

enum kind { BIAS, TRUNCATED_NORMAL, UNIFORM };

struct initialiser {
    enum kind kind;
    double scale; /* standard deviation before the cut, or limit */
};

static struct initialiser initialiser_of(const struct vj_tensor *t,
                                         const struct vj_net_shape *shape)
{
    struct initialiser zero = {BIAS, 0};
    if (t->rank == 1)
        return zero;
    const size_t inputs = t->count / t->shape[t->rank - 1];
    const double fan_in = (double)inputs;
    if (strstr(t->name, "/ch_at/"))
        return (struct initialiser){TRUNCATED_NORMAL, sqrt(2.6 / fan_in)};
    if (strstr(t->name, "/Non-local4/")) /* sqrt(6/512) at the released 256 channels */
        return (struct initialiser){UNIFORM, sqrt(6.0 / (2 * fan_in))};
    if (t->rank == 4)
        return (struct initialiser){TRUNCATED_NORMAL,
                                    sqrt(vj_net_form(shape->variant)->gain / fan_in)};
    /* both blocks of a head, the second one too, go by the inputs of the head */
    return (struct initialiser){TRUNCATED_NORMAL, 1 / sqrt((double)vj_net_head_inputs(shape))};
}

static void fill(struct vj_tensor *t, struct initialiser init, uint64_t seed)
{
    uint64_t stream = vj_name_hash(t->name);
    size_t groups = (t->count + 3) / 4;
#pragma omp parallel for schedule(static)
    for (size_t g = 0; g < groups; g++) {
        struct vj_u32x4 words = vj_random4(seed, VJ_RNG_WEIGHTS, stream, (uint32_t)g);
        for (size_t i = 0; i < 4 && 4 * g + i < t->count; i++)
            t->data[4 * g + i] = init.kind == UNIFORM ? uniform(words.v[i], init.scale)
                                                      : truncated_normal(words.v[i], init.scale);
    }
}

int vj_weights_init(struct vj_weights *w, const struct vj_net_shape *shape, uint64_t seed,
                    struct vj_error *err)
{
    int r = vj_weights_alloc(w, shape, err);
    if (r)
        return r;
    for (size_t i = 0; i < w->count; i++) {
        struct vj_tensor *t = &w->tensors[i];
        if (t->count > (size_t)4 << 24)
            return vj_fail(err, -EINVAL,
                           "tensor %s has %zu values, random numbers reach for %zu; choose a "
                           "smaller patch_size or fewer channels",
                           t->name, t->count, (size_t)4 << 24);
        struct initialiser init = initialiser_of(t, shape);
        if (init.kind != BIAS)
            fill(t, init, seed);
    }
    w->positive_class = VJ_POSITIVE_LOSSY;
    w->origin = VJ_ORIGIN_RANDOM;
    snprintf(w->origin_text, sizeof(w->origin_text), "init seed %llu", (unsigned long long)seed);
    return vj_weights_hash(w, err);
}
