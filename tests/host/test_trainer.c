/* SPDX-License-Identifier: MIT */
/*
 * What the CPU's trainer computes: against PyTorch (golden/train/golden.h5, double precision,
 * unfolded), against finite differences of the plain network in double, against the evaluation
 * network, and whether it learns.
 */
#include "tests/vj_test.h"

#include <float.h>
#include <math.h>
#include <omp.h>

#include "host/h5.h"
#include "host/net.h"
#include "host/trainer.h"
#include "tests/host/net_formula.h"
#include "tests/host/train_plain.h"
#include "tests/host/trainer_rig.h"

/*
 * Error of a gradient over its norm, tensor by tensor. Cancelling sums over positions lose digits:
 * PyTorch's own float32 run is up to 1.7e-5 away from its double one on these cases.
 */
#define GRADIENT_LIMIT 5e-5
/* Likewise; PyTorch's float32 run: up to 1.3e-5. 1 - 0.999 rounded to float is 1.3e-5 off as well.
 */
#define MOMENT_LIMIT 5e-5
/* Of what a run changed, beside the rounding of float sums; PyTorch's float32 run: 6e-5. */
#define CHANGE_LIMIT 2e-4
#define LOSS_LIMIT   1e-6
/* During a run of the ten layers of pw-jnd; PyTorch's float32 run: up to 1.8e-6. */
#define DEEP_RUN_LIMIT 5e-6

/* ---- against PyTorch ---- */

enum { SKETCH = 31, SAMPLES = 8, SUMMARY = 1 + SKETCH + SAMPLES, STEPS = 5, MAX_TENSORS = 64 };

static const char *const golden_names[] = {"figure_reshape",
                                           "figure_transpose_dropout",
                                           "released_reshape_dropout",
                                           "released_transpose",
                                           "pw_jnd",
                                           "pw_jnd_dropout"};
enum { GOLDEN_CASES = 6 };

/* One case of the golden file. */
struct golden {
    const char *name;
    hid_t file, group;
    struct setup setup;
    struct data data;
    struct vj_tensor *tensor[MAX_TENSORS]; /* of setup.w, in the file's order */
    size_t tensors;
    uint64_t gradient_step;
    double rates[STEPS];
};

static size_t golden_dataset(const struct golden *g, const char *name, float **values)
{
    hid_t set;
    struct vj_h5_info info;
    size_t count = 1;
    ok(vj_h5_dataset_open(&set, g->group, name, &info, &err));
    for (int i = 0; i < info.rank; i++)
        count *= info.dims[i];
    *values = calloc(count, sizeof(float));
    ok(vj_h5_dataset_read_floats(set, name, *values, &err));
    H5Dclose(set);
    return count;
}

static void golden_bytes(const struct golden *g, const char *name, uint8_t *bytes, size_t count)
{
    float *values;
    assert_int_equal(golden_dataset(g, name, &values), count);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)values[i];
    free(values);
}

static void golden_batch(struct golden *g, size_t size, size_t references, size_t pairs)
{
    const size_t px = size * size * g->setup.plan.patches;
    uint8_t reference[MAX_PAIRS];
    float *target, *importance;
    data_alloc(&g->data, size, g->setup.plan.patches, references, pairs);
    golden_bytes(g, "r", g->data.r, references * px * 3);
    golden_bytes(g, "j", g->data.j, references * px);
    golden_bytes(g, "d", g->data.d, pairs * px * 3);
    golden_bytes(g, "reference", reference, pairs);
    assert_int_equal(golden_dataset(g, "target", &target), pairs);
    assert_int_equal(golden_dataset(g, "importance", &importance), pairs);
    for (size_t i = 0; i < pairs; i++) {
        g->data.reference[i] = reference[i];
        g->data.target[i] = target[i];
        g->data.importance[i] = importance[i];
    }
    free(target);
    free(importance);
}

static void golden_tensors(struct golden *g)
{
    static char names[8192];
    char *rest = NULL;
    ok(vj_h5_read_text(g->group, "tensors", names, sizeof(names), &err));
    g->tensors = 0;
    for (char *name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
        assert_true(g->tensors < MAX_TENSORS);
        g->tensor[g->tensors] = vj_weights_find(&g->setup.w, name);
        if (!g->tensor[g->tensors])
            fail_msg("no tensor %s", name);
        g->tensors++;
    }
    assert_int_equal(g->tensors, g->setup.w.count);
}

static void golden_open(struct golden *g, const char *name)
{
    struct vj_trainer_plan *plan = &g->setup.plan;
    char variant[32], non_local[32] = "";
    int64_t size, patches, references, pairs, channels[VJ_NET_BLOCKS], seed, step;
    memset(g, 0, sizeof(*g));
    g->name = name;
    const bool pw = strncmp(name, "pw_jnd", 6) == 0;
    ok(vj_h5_open(&g->file,
                  pw ? VJ_TEST_GOLDEN "/train/pw_jnd.h5" : VJ_TEST_GOLDEN "/train/golden.h5",
                  &err));
    g->group = H5Gopen2(g->file, name, H5P_DEFAULT);
    assert_true(g->group >= 0);
    ok(vj_h5_read_text(g->group, "variant", variant, sizeof(variant), &err));
    if (!pw)
        ok(vj_h5_read_text(g->group, "non_local", non_local, sizeof(non_local), &err));
    ok(vj_h5_read_int(g->group, "patch_size", &size, &err));
    ok(vj_h5_read_int(g->group, "patches", &patches, &err));
    ok(vj_h5_read_int(g->group, "references", &references, &err));
    ok(vj_h5_read_int(g->group, "pairs", &pairs, &err));
    ok(vj_h5_read_ints(g->group, "channels", channels, pw ? 5 : 4, &err));
    ok(vj_h5_read_int(g->group, "seed", &seed, &err));
    ok(vj_h5_read_int(g->group, "gradient_step", &step, &err));
    ok(vj_h5_read_doubles(g->group, "keep", &plan->keep, 1, &err));
    ok(vj_h5_read_doubles(g->group, "beta_1", &plan->adam.beta_1, 1, &err));
    ok(vj_h5_read_doubles(g->group, "beta_2", &plan->adam.beta_2, 1, &err));
    ok(vj_h5_read_doubles(g->group, "epsilon", &plan->adam.epsilon, 1, &err));
    ok(vj_h5_read_doubles(g->group, "average", &plan->average, 1, &err));
    ok(vj_h5_read_doubles(g->group, "rates", g->rates, STEPS, &err));
    struct vj_net_shape shape = {.patch_size = (int)size, .patches = (int)patches};
    ok(vj_variant_parse(&shape.variant, variant, &err));
    if (strcmp(non_local, "transpose") == 0)
        shape.non_local = VJ_NON_LOCAL_TRANSPOSE;
    for (int i = 0; i < (pw ? 5 : 4); i++)
        shape.channels[i] = (int)channels[i];
    live_weights(&g->setup.w, &shape);
    plan->weights = &g->setup.w;
    plan->patches = (size_t)patches;
    plan->max_references = (size_t)references;
    plan->max_pairs = (size_t)pairs;
    plan->seed = (uint64_t)seed;
    plan->threads = 2;
    g->gradient_step = (uint64_t)step;
    golden_tensors(g);
    golden_batch(g, (size_t)size, (size_t)references, (size_t)pairs);
}

static void golden_close(struct golden *g)
{
    data_free(&g->data);
    vj_weights_free(&g->setup.w);
    H5Gclose(g->group);
    vj_h5_close(g->file, "golden.h5", NULL);
}

/* Norm, sketch and samples of x against a row of the golden file: see make_golden.py. */
static void compare_summary(struct worst *worst, const char *name, const float *x, size_t count,
                            const float *row, double allowed)
{
    double sketch[SKETCH] = {0}, distance = 0;
    for (size_t i = 0; i < count; i++) {
        const bool plus = formula_mix((uint32_t)i + 0x5eed) & 1;
        sketch[i % SKETCH] += plus ? (double)x[i] : -(double)x[i];
    }
    for (size_t k = 0; k < SKETCH; k++)
        distance += pow(sketch[k] - (double)row[1 + k], 2);
    note(worst, name, sqrt(distance), allowed);
    note(worst, name, fabs(norm(x, count) - (double)row[0]), allowed);
    for (size_t k = 0; k < SAMPLES; k++)
        note(worst, name, fabs((double)x[(7919 * k + 13) % count] - (double)row[1 + SKETCH + k]),
             allowed);
}

/* Golden norm of a tensor below which it is zero but for rounding, in the unit of the largest. */
static double largest_norm(const float *rows, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, (double)rows[i * SUMMARY]);
    return largest;
}

/*
 * The softmax does not see a number added to a row, so that phi's bias has no gradient in the
 * `transpose` form; Adam makes steps even of the rounding errors of such a gradient.
 */
static bool is_without_gradient(const struct vj_weights *w, const char *tensor)
{
    return w->shape.non_local == VJ_NON_LOCAL_TRANSPOSE && strstr(tensor, "phi_conv/bias");
}

static void compare_gradients(const struct golden *g, const struct vj_weights *gradient)
{
    struct worst worst = {0};
    float *rows;
    assert_int_equal(golden_dataset(g, "gradient", &rows), g->tensors * SUMMARY);
    const double largest = largest_norm(rows, g->tensors);
    for (size_t i = 0; i < g->tensors; i++) {
        const char *name = g->tensor[i]->name;
        const struct vj_tensor *t = vj_weights_find(gradient, name);
        const float *row = rows + i * SUMMARY;
        if (is_without_gradient(gradient, name)) {
            assert_true((double)row[0] < 1e-12);
            note(&worst, name, norm(t->data, t->count), 1e-6 * largest);
            continue;
        }
        assert_true((double)row[0] > 0);
        compare_summary(&worst, name, t->data, t->count, row, GRADIENT_LIMIT * (double)row[0]);
    }
    free(rows);
    report(g->name, "gradient", &worst);
}

/* Every element of all but the two large matrices. */
static void compare_full_gradient(const struct golden *g, const struct vj_weights *gradient)
{
    struct worst worst = {0};
    int64_t there;
    float *all;
    ok(vj_h5_read_int(g->group, "full_gradient", &there, &err));
    if (!there)
        return;
    size_t count = golden_dataset(g, "gradient_full", &all), at = 0;
    for (size_t i = 0; i < g->tensors; i++) {
        const char *name = g->tensor[i]->name;
        if (strstr(name, "block1/weights"))
            continue;
        const struct vj_tensor *t = vj_weights_find(gradient, name);
        assert_true(at + t->count <= count);
        double distance = 0;
        for (size_t k = 0; k < t->count; k++)
            distance += pow((double)t->data[k] - (double)all[at + k], 2);
        if (!is_without_gradient(gradient, name))
            note(&worst, name, sqrt(distance), GRADIENT_LIMIT * norm(all + at, t->count));
        at += t->count;
    }
    assert_int_equal(at, count);
    free(all);
    report(g->name, "elements", &worst);
}

static void compare_logits(const struct golden *g, const char *what, const float *have,
                           const float *want, size_t count, double limit)
{
    struct worst worst = {0};
    for (size_t i = 0; i < count; i++)
        note(&worst, what, fabs((double)have[i] - (double)want[i]), limit);
    report(g->name, what, &worst);
}

static void gradients_agree_with_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        struct golden g;
        struct vj_weights gradient;
        double loss, want_loss;
        float logit[MAX_PAIRS], *want_logit;
        golden_open(&g, golden_names[i]);
        like(&gradient, &g.setup.w.shape);
        void *trainer = trainer_open(&g.setup.plan);
        ok(ops->gradient(trainer, &g.data.batch, g.gradient_step, &gradient, &loss, logit, &err));
        ok(vj_h5_read_doubles(g.group, "loss", &want_loss, 1, &err));
        assert_int_equal(golden_dataset(&g, "logit", &want_logit), g.data.batch.pairs);
        assert_true(fabs(loss - want_loss) <= LOSS_LIMIT * want_loss);
        compare_logits(&g, "logit", logit, want_logit, g.data.batch.pairs, LOSS_LIMIT);
        compare_gradients(&g, &gradient);
        compare_full_gradient(&g, &gradient);
        free(want_logit);
        ops->close(trainer);
        vj_weights_free(&gradient);
        golden_close(&g);
    }
}

/* Weights and average: what the run added, to within the roundings of float sums. */
static void compare_change(struct worst *worst, const struct vj_tensor *before,
                           const struct vj_tensor *after, const float *row)
{
    float *change = calloc(after->count, sizeof(float));
    for (size_t k = 0; k < after->count; k++)
        change[k] = after->data[k] - before->data[k];
    const double rounding = 2 * STEPS * FLT_EPSILON / 2 * norm(after->data, after->count);
    compare_summary(worst, before->name, change, after->count, row,
                    CHANGE_LIMIT * (double)row[0] + rounding);
    free(change);
}

static void compare_state(const struct golden *g, const struct snapshot *end)
{
    static const char *const sets[] = {"weights", "moment_1", "moment_2", "average"};
    for (int s = 0; s < VJ_TRAIN_SETS; s++) {
        struct worst worst = {0};
        float *rows;
        assert_int_equal(golden_dataset(g, sets[s], &rows), g->tensors * SUMMARY);
        for (size_t i = 0; i < g->tensors; i++) {
            const struct vj_tensor *before = g->tensor[i];
            const struct vj_tensor *after = vj_weights_find(&end->set[s], before->name);
            const float *row = rows + i * SUMMARY;
            if (is_without_gradient(&g->setup.w, before->name))
                continue;
            if (s == VJ_TRAIN_WEIGHTS || s == VJ_TRAIN_AVERAGE)
                compare_change(&worst, before, after, row);
            else
                compare_summary(&worst, before->name, after->data, after->count, row,
                                MOMENT_LIMIT * (double)row[0]);
        }
        free(rows);
        report(g->name, sets[s], &worst);
    }
}

/* The pairs that a step of the golden run sees. */
static void golden_step(const struct golden *g, struct data *now, size_t step)
{
    const struct vj_train_batch *all = &g->data.batch;
    const size_t size = (size_t)g->setup.w.shape.patch_size;
    const size_t bytes = size * size * 3 * g->setup.plan.patches;
    now->batch.pairs = all->pairs - (step % 2 == 0);
    for (size_t i = 0; i < now->batch.pairs; i++) {
        const size_t from = (i + step) % all->pairs;
        memcpy(now->d + i * bytes, all->d + from * bytes, bytes);
        now->reference[i] = all->reference[from];
        now->target[i] = all->target[from];
        now->importance[i] = all->importance[from];
    }
}

static void five_steps_agree_with_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        struct golden g;
        struct data now;
        struct snapshot end;
        float *losses, *logits, logit[MAX_PAIRS];
        golden_open(&g, golden_names[i]);
        const size_t pairs = g.data.batch.pairs;
        const bool deep = g.setup.w.shape.variant == VJ_VARIANT_PW_JND;
        const double limit = deep ? DEEP_RUN_LIMIT : LOSS_LIMIT;
        data_alloc(&now, (size_t)g.setup.w.shape.patch_size, g.setup.plan.patches,
                   g.data.batch.references, pairs);
        now.batch.r = g.data.r;
        now.batch.j = g.data.j;
        assert_int_equal(golden_dataset(&g, "losses", &losses), STEPS);
        assert_int_equal(golden_dataset(&g, "logits", &logits), STEPS * pairs);
        void *trainer = trainer_open(&g.setup.plan);
        for (size_t step = 1; step <= STEPS; step++) {
            double loss;
            golden_step(&g, &now, step);
            ok(ops->step(trainer, &now.batch, step, g.rates[step - 1], &loss, logit, &err));
            assert_true(fabs(loss - (double)losses[step - 1]) <= limit * loss);
            compare_logits(&g, "run", logit, logits + (step - 1) * pairs, now.batch.pairs, limit);
        }
        snapshot_take(&end, trainer, &g.setup.w.shape);
        compare_state(&g, &end);
        snapshot_free(&end);
        ops->close(trainer);
        free(losses);
        free(logits);
        data_free(&now);
        golden_close(&g);
    }
}

/* The two references that the trainer is held against, against each other. */
static void plain_loss_agrees_with_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        struct golden g;
        struct plain_batch f;
        double want;
        golden_open(&g, golden_names[i]);
        const struct plain_training t = {&g.data.batch, g.setup.plan.patches, g.setup.plan.keep,
                                         g.setup.plan.seed, g.gradient_step};
        plain_batch_make(&f, &g.setup.w, &t);
        ok(vj_h5_read_doubles(g.group, "loss", &want, 1, &err));
        const double loss = plain_loss(&g.setup.w, &f, &t, NULL);
        print_message("%-26s plain loss %.9f, %.1e away\n", g.name, loss, fabs(loss - want));
        assert_true(fabs(loss - want) <= 1e-9 * want);
        plain_batch_free(&f);
        golden_close(&g);
    }
}

/* ---- against finite differences ---- */

enum { ENTRIES = 3, MAX_SLOPES = MAX_TENSORS * ENTRIES };

/* One weight whose slope is asked for. */
struct slope {
    size_t tensor, at;
    double gradient, unit; /* the trainer's; the tensor's largest magnitude */
    double slope;
    bool usable;
};

static bool is_picked(const struct slope *slopes, size_t count, size_t tensor, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (slopes[i].tensor == tensor && slopes[i].at == at)
            return true;
    return false;
}

/*
 * The element with the largest gradient, one wherever it falls, and others spread over the tensor
 * whose gradient is not a small one.
 */
static void pick_entries(struct slope *slopes, size_t *count, const struct vj_tensor *t, size_t i)
{
    size_t top = 0;
    for (size_t k = 0; k < t->count; k++)
        if (fabsf(t->data[k]) > fabsf(t->data[top]))
            top = k;
    const double unit = fabs((double)t->data[top]);
    for (size_t e = 0; e < ENTRIES; e++) {
        size_t at = e == 0 ? top : formula_mix((uint32_t)(97 * i + e)) % t->count, tries = 0;
        const double least = e == 1 ? 0 : 0.01 * unit;
        while (tries < t->count &&
               (fabs((double)t->data[at]) < least || is_picked(slopes, *count, i, at))) {
            at = (at + 1) % t->count;
            tries++;
        }
        if (tries < t->count)
            slopes[(*count)++] = (struct slope){i, at, (double)t->data[at], unit, 0, false};
    }
}

static void find_slopes(const struct setup *s, const struct plain_training *t, struct slope *slopes,
                        size_t count)
{
    struct plain_batch base;
    plain_batch_make(&base, &s->w, t);
    struct vj_weights copy[2];
    for (int k = 0; k < 2; k++)
        live_weights(&copy[k], &s->w.shape);
#pragma omp parallel for num_threads(2) schedule(dynamic)
    for (size_t i = 0; i < count; i++) {
        struct vj_weights *w = &copy[omp_get_thread_num()];
        struct slope *p = &slopes[i];
        p->usable = plain_slope(w, &w->tensors[p->tensor], p->at, 2e-6 * p->unit + 1e-11, &base, t,
                                &p->slope);
    }
    for (int k = 0; k < 2; k++)
        vj_weights_free(&copy[k]);
    plain_batch_free(&base);
}

static void compare_slopes(const struct vj_net_shape *shape, double keep)
{
    enum { P = 2, REFERENCES = 1, PAIRS = 1 };
    struct data data;
    struct setup s;
    struct vj_weights gradient;
    static struct slope slopes[MAX_SLOPES];
    size_t count = 0, usable = 0, usable_of[MAX_TENSORS] = {0};
    double loss;
    struct worst worst = {0};
    data_make(&data, (size_t)shape->patch_size, P, REFERENCES, PAIRS);
    setup_make(&s, shape, P, &data, keep);
    like(&gradient, shape);
    void *trainer = trainer_open(&s.plan);
    ok(ops->gradient(trainer, &data.batch, 7, &gradient, &loss, NULL, &err));
    ops->close(trainer);

    assert_true(s.w.count <= MAX_TENSORS);
    for (size_t i = 0; i < s.w.count; i++)
        pick_entries(slopes, &count, &gradient.tensors[i], i);
    const struct plain_training t = {&data.batch, P, keep, s.plan.seed, 7};
    find_slopes(&s, &t, slopes, count);
    for (size_t i = 0; i < count; i++) {
        const struct slope *p = &slopes[i];
        const char *name = s.w.tensors[p->tensor].name;
        usable += p->usable;
        usable_of[p->tensor] += p->usable;
        if (!p->usable)
            continue;
        if (is_without_gradient(&s.w, name)) {
            note(&worst, name, fabs(p->gradient), 1e-6 * loss);
            note(&worst, name, fabs(p->slope), 1e-6 * loss);
        } else
            note(&worst, name, fabs(p->gradient - p->slope), GRADIENT_LIMIT * p->unit);
    }
    print_message("%s, %s, keep %.1f: %zu slopes of %zu usable\n", vj_variant_name(shape->variant),
                  shape->non_local == VJ_NON_LOCAL_TRANSPOSE ? "transpose" : "reshape", keep,
                  usable, count);
    assert_true(10 * usable >= 9 * count);
    for (size_t i = 0; i < s.w.count; i++)
        if (!usable_of[i])
            fail_msg("no usable slope of %s", s.w.tensors[i].name);
    report(vj_variant_name(shape->variant), "slopes", &worst);
    vj_weights_free(&gradient);
    vj_weights_free(&s.w);
    data_free(&data);
}

/* A small shape of each variant; `last` channels of the last block, for pw-jnd 16. */
static struct vj_net_shape small_shape(int variant, int c2, int last)
{
    return variant == VJ_VARIANT_PW_JND
               ? pw_shape(32, 16, c2, 16, 16, 16)
               : shape_of((enum vj_variant)variant, VJ_NON_LOCAL_RESHAPE, 32, 16, c2, 16, last);
}

static void gradients_of_pw_jnd_are_the_slopes_of_the_plain_loss(void **state)
{
    (void)state;
    const struct vj_net_shape small = pw_shape(32, 16, 16, 16, 16, 16);
    compare_slopes(&small, 0.6);
}

static void gradients_of_figure_are_the_slopes_of_the_plain_loss(void **state)
{
    (void)state;
    struct vj_net_shape shape =
        shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 10);
    compare_slopes(&shape, 1.0);
    shape.non_local = VJ_NON_LOCAL_TRANSPOSE;
    compare_slopes(&shape, 0.6);
}

static void gradients_of_released_are_the_slopes_of_the_plain_loss(void **state)
{
    (void)state;
    struct vj_net_shape shape =
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 16, 16, 10);
    compare_slopes(&shape, 0.6);
    shape.non_local = VJ_NON_LOCAL_TRANSPOSE;
    compare_slopes(&shape, 1.0);
}

/* ---- against the evaluation network and the optimiser's formulas ---- */

static void logits_without_dropout_are_the_scores_of_evaluation(void **state)
{
    (void)state;
    enum { P = 3, PAIRS = 5 };
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const struct vj_net_shape shape = small_shape(variant, 32, 24);
        struct data data;
        struct setup s;
        struct vj_net *net;
        struct vj_net_work *work;
        struct vj_net_reference *ref;
        float logit[PAIRS], score[PAIRS];
        double loss, want = 0;
        data_make(&data, 32, P, 1, PAIRS);
        setup_make(&s, &shape, P, &data, 1.0);
        void *trainer = trainer_open(&s.plan);
        ok(ops->step(trainer, &data.batch, 1, 1e-4, &loss, logit, &err));
        ok(vj_net_create(&net, &s.w, &err));
        ok(vj_net_work_create(&work, net, 1, &err));
        ok(vj_net_reference_create(&ref, net, P, &err));
        ok(vj_net_reference_load(ref, work, data.r, data.j, P, &err));
        ok(vj_net_scores(work, ref, data.d, PAIRS, score, NULL, NULL, &err));
        for (size_t i = 0; i < PAIRS; i++) {
            assert_true(fabs((double)logit[i] - (double)score[i]) <= LOSS_LIMIT);
            want += (double)data.importance[i] *
                    vj_cross_entropy((double)logit[i], (double)data.target[i]);
        }
        assert_true(fabs(loss - want) <= 1e-6 * want);
        vj_net_reference_free(ref);
        vj_net_work_free(work);
        vj_net_free(net);
        ops->close(trainer);
        vj_weights_free(&s.w);
        data_free(&data);
    }
}

/* Same bits: the update is a function of one weight, shared by all devices. */
static void a_step_is_the_update_of_every_weight_by_its_gradient(void **state)
{
    (void)state;
    enum { P = 2 };
    const struct vj_net_shape shape =
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 7);
    struct data data;
    struct setup s;
    struct vj_weights gradient;
    struct snapshot want, have;
    double loss, again;
    data_make(&data, 16, P, 2, 4);
    setup_make(&s, &shape, P, &data, 0.5);
    like(&gradient, &shape);
    void *trainer = trainer_open(&s.plan);
    for (uint64_t step = 1; step <= 3; step++) {
        snapshot_take(&want, trainer, &shape);
        ok(ops->gradient(trainer, &data.batch, step, &gradient, &loss, NULL, &err));
        ok(ops->step(trainer, &data.batch, step, 1e-3, &again, NULL, &err));
        assert_true(loss == again);
        const struct vj_adam_step adam = vj_adam_at(&s.plan.adam, s.plan.average, step, 1e-3);
        for (size_t i = 0; i < gradient.count; i++)
            for (size_t k = 0; k < gradient.tensors[i].count; k++)
                vj_adam_update(&adam, gradient.tensors[i].data[k],
                               &want.set[VJ_TRAIN_WEIGHTS].tensors[i].data[k],
                               &want.set[VJ_TRAIN_MOMENT_1].tensors[i].data[k],
                               &want.set[VJ_TRAIN_MOMENT_2].tensors[i].data[k],
                               &want.set[VJ_TRAIN_AVERAGE].tensors[i].data[k]);
        snapshot_take(&have, trainer, &shape);
        assert_same_snapshot(&have, &want);
        snapshot_free(&want);
        snapshot_free(&have);
    }
    ops->close(trainer);
    vj_weights_free(&gradient);
    vj_weights_free(&s.w);
    data_free(&data);
}

/*
 * Without dropout a pair's loss is its own: gradients of the pairs add up to the batch's, within
 * the rounding of what is added up, which may cancel.
 */
static void compare_sum(const struct vj_net_shape *shape)
{
    enum { P = 3, PAIRS = 5, REFERENCES = 2 };
    const size_t bytes = (size_t)shape->patch_size * (size_t)shape->patch_size * 3 * P;
    struct data data;
    struct setup s;
    struct vj_weights rest, part;
    double loss, one_loss, losses = 0, parts[MAX_TENSORS] = {0};
    struct worst worst = {0};
    data_make(&data, (size_t)shape->patch_size, P, REFERENCES, PAIRS);
    setup_make(&s, shape, P, &data, 1.0);
    like(&rest, shape);
    like(&part, shape);
    void *trainer = trainer_open(&s.plan);
    ok(ops->gradient(trainer, &data.batch, 1, &rest, &loss, NULL, &err));
    for (size_t i = 0; i < PAIRS; i++) {
        /* both references are in the batch, one of them without a pair */
        struct vj_train_batch one = data.batch;
        one.pairs = 1;
        one.d += i * bytes;
        one.reference += i;
        one.target += i;
        one.importance += i;
        ok(ops->gradient(trainer, &one, 1, &part, &one_loss, NULL, &err));
        losses += one_loss;
        for (size_t k = 0; k < rest.count; k++) {
            parts[k] += norm(part.tensors[k].data, part.tensors[k].count);
            for (size_t e = 0; e < rest.tensors[k].count; e++)
                rest.tensors[k].data[e] -= part.tensors[k].data[e];
        }
    }
    for (size_t k = 0; k < rest.count; k++)
        note(&worst, rest.tensors[k].name, norm(rest.tensors[k].data, rest.tensors[k].count),
             GRADIENT_LIMIT * parts[k] + DBL_MIN);
    report(vj_variant_name(shape->variant), "sum", &worst);
    assert_true(fabs(losses - loss) <= LOSS_LIMIT * loss);
    ops->close(trainer);
    vj_weights_free(&rest);
    vj_weights_free(&part);
    vj_weights_free(&s.w);
    data_free(&data);
}

static void gradients_of_single_pairs_add_up_to_that_of_the_batch(void **state)
{
    (void)state;
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const struct vj_net_shape shape = small_shape(variant, 16, 9);
        compare_sum(&shape);
    }
}

/* ---- learning ---- */

static void eight_pairs_are_learnt_by_heart(void **state)
{
    (void)state;
    enum { P = 2, PAIRS = 8, STEPS_ALLOWED = 150 };
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const struct vj_net_shape shape = small_shape(variant, 16, 16);
        struct data data;
        struct setup s;
        double loss, first = 0;
        float logit[PAIRS];
        size_t right = 0, step = 0;
        data_make(&data, 32, P, 4, PAIRS);
        setup_make(&s, &shape, P, &data, 0.9);
        vj_weights_free(&s.w);
        ok(vj_weights_init(&s.w, &shape, 3, &err));
        void *trainer = trainer_open(&s.plan);
        do {
            ok(ops->step(trainer, &data.batch, ++step, 1e-3, &loss, logit, &err));
            if (step == 1)
                first = loss;
            right = 0;
            for (size_t i = 0; i < PAIRS; i++)
                right += (logit[i] > 0) == (data.target[i] > 0);
        } while (step < STEPS_ALLOWED && (right < PAIRS || loss > 0.2 * first));
        print_message("%s: %zu of %d right after %zu steps, loss %.3f from %.3f\n",
                      vj_variant_name(shape.variant), right, PAIRS, step, loss, first);
        assert_int_equal(right, PAIRS);
        assert_true(loss <= 0.2 * first);
        ops->close(trainer);
        vj_weights_free(&s.w);
        data_free(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_loss_agrees_with_pytorch),
        cmocka_unit_test(gradients_agree_with_pytorch),
        cmocka_unit_test(five_steps_agree_with_pytorch),
        cmocka_unit_test(gradients_of_figure_are_the_slopes_of_the_plain_loss),
        cmocka_unit_test(gradients_of_released_are_the_slopes_of_the_plain_loss),
        cmocka_unit_test(gradients_of_pw_jnd_are_the_slopes_of_the_plain_loss),
        cmocka_unit_test(logits_without_dropout_are_the_scores_of_evaluation),
        cmocka_unit_test(a_step_is_the_update_of_every_weight_by_its_gradient),
        cmocka_unit_test(gradients_of_single_pairs_add_up_to_that_of_the_batch),
        cmocka_unit_test(eight_pairs_are_learnt_by_heart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
