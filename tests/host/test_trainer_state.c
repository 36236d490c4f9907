/* SPDX-License-Identifier: MIT */
/*
 * What the CPU's trainer holds: bits must not depend on threads, on the room of the plan, or on a
 * state having been saved and set; whatever is refused leaves it unchanged.
 */
#include "tests/vj_test.h"

#include <errno.h>
#include <math.h>
#include <omp.h>

#include "host/trainer.h"
#include "tests/host/trainer_rig.h"

static void is_error(int r, int code, const char *part)
{
    if (r != code)
        fail_msg("%d instead of %d: %s", r, code, r ? err.text : "no error");
    vj_assert_contains(err.text, part);
}

/* Bits of everything that a gradient and three steps give. */
struct trace {
    struct vj_weights gradient;
    struct snapshot end;
    double loss[4];
    float logit[4][MAX_PAIRS];
};

static void trace_make(struct trace *t, const struct vj_trainer_plan *plan,
                       const struct vj_train_batch *batch)
{
    void *state = trainer_open(plan);
    memset(t, 0, sizeof(*t));
    like(&t->gradient, &plan->weights->shape);
    ok(ops->gradient(state, batch, 1, &t->gradient, &t->loss[0], t->logit[0], &err));
    for (uint64_t step = 1; step <= 3; step++)
        ok(ops->step(state, batch, step, 1e-3, &t->loss[step], t->logit[step], &err));
    snapshot_take(&t->end, state, &plan->weights->shape);
    ops->close(state);
}

static void trace_free(struct trace *t)
{
    vj_weights_free(&t->gradient);
    snapshot_free(&t->end);
}

static void assert_same_trace(const struct trace *a, const struct trace *b)
{
    assert_memory_equal(a->loss, b->loss, sizeof(a->loss));
    assert_memory_equal(a->logit, b->logit, sizeof(a->logit));
    assert_true(same_bits(&a->gradient, &b->gradient));
    assert_same_snapshot(&a->end, &b->end);
}

/* ---- bits ---- */

static const struct vj_net_shape *bits_shapes(void)
{
    static struct vj_net_shape shapes[4];
    shapes[0] = shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 20);
    shapes[1] = shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 32, 32, 16, 16, 13);
    shapes[2] = shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 64, 32, 64, 64, 128);
    shapes[3] = pw_shape(32, 16, 32, 16, 16, 16);
    return shapes;
}

/* 5 patches of 7 pairs: no chunk of patches comes out even. */
static void bits_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    enum { P = 5, REFERENCES = 3, PAIRS = 7 };
    for (int i = 0; i < 4; i++) {
        const struct vj_net_shape *shape = &bits_shapes()[i];
        const bool large = shape->patch_size == 64;
        struct data data;
        struct setup s;
        struct trace one, more;
        data_make(&data, (size_t)shape->patch_size, large ? 3 : P, large ? 1 : REFERENCES,
                  large ? 4 : PAIRS);
        setup_make(&s, shape, large ? 3 : P, &data, 0.5);
        s.plan.threads = 1;
        trace_make(&one, &s.plan, &data.batch);
        for (s.plan.threads = 2; s.plan.threads <= 3; s.plan.threads++) {
            trace_make(&more, &s.plan, &data.batch);
            assert_same_trace(&one, &more);
            trace_free(&more);
        }
        trace_free(&one);
        vj_weights_free(&s.w);
        data_free(&data);
    }
}

/* The plan's number is what counts; 1024 features are enough for a product to be cut by threads. */
static void bits_do_not_depend_on_the_threads_that_openmp_would_take(void **state)
{
    (void)state;
    enum { P = 2 };
    const struct vj_net_shape shape =
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 64, 16, 16, 16, 64);
    const int threads = omp_get_max_threads();
    struct data data;
    struct setup s;
    struct vj_weights first, other;
    double loss;
    data_make(&data, 64, P, 1, 4);
    setup_make(&s, &shape, P, &data, 0.5);
    like(&first, &shape);
    like(&other, &shape);
    for (int i = 0; i < 3; i++) {
        const int ambient = i == 0 ? 1 : 8;
        omp_set_num_threads(ambient);
        s.plan.threads = i == 2 ? 2 : 1;
        void *trainer = trainer_open(&s.plan);
        ok(ops->gradient(trainer, &data.batch, 1, i ? &other : &first, &loss, NULL, &err));
        assert_int_equal(omp_get_max_threads(), ambient);
        ops->close(trainer);
        assert_true(i == 0 || same_bits(&first, &other));
    }
    omp_set_num_threads(threads);
    vj_weights_free(&first);
    vj_weights_free(&other);
    vj_weights_free(&s.w);
    data_free(&data);
}

static void bits_do_not_depend_on_the_room_of_the_plan(void **state)
{
    (void)state;
    enum { P = 5, REFERENCES = 2, PAIRS = 3 };
    for (int i = 0; i < 2; i++) {
        const struct vj_net_shape *shape = &bits_shapes()[i];
        struct data data, full;
        struct setup s;
        struct trace tight, roomy, used;
        data_make(&data, (size_t)shape->patch_size, P, REFERENCES, PAIRS);
        data_make(&full, (size_t)shape->patch_size, P, MAX_REFERENCES, MAX_PAIRS);
        setup_make(&s, shape, P, &data, 0.5);
        trace_make(&tight, &s.plan, &data.batch);
        s.plan.max_pairs = MAX_PAIRS;
        s.plan.max_references = MAX_REFERENCES;
        trace_make(&roomy, &s.plan, &data.batch);
        assert_same_trace(&tight, &roomy);

        /* a full batch before it leaves nothing behind */
        void *trainer = trainer_open(&s.plan);
        memset(&used, 0, sizeof(used));
        like(&used.gradient, shape);
        ok(ops->gradient(trainer, &full.batch, 9, &used.gradient, &used.loss[0], NULL, &err));
        ok(ops->gradient(trainer, &data.batch, 1, &used.gradient, &used.loss[0], used.logit[0],
                         &err));
        ops->close(trainer);
        assert_true(used.loss[0] == tight.loss[0]);
        assert_memory_equal(used.logit[0], tight.logit[0], sizeof(used.logit[0]));
        assert_true(same_bits(&used.gradient, &tight.gradient));
        vj_weights_free(&used.gradient);
        trace_free(&tight);
        trace_free(&roomy);
        vj_weights_free(&s.w);
        data_free(&data);
        data_free(&full);
    }
}

static void a_state_that_is_set_goes_on_with_the_bits_of_the_unbroken_one(void **state)
{
    (void)state;
    enum { P = 3, REFERENCES = 2, PAIRS = 4 };
    for (int i = 0; i < 2; i++) {
        const struct vj_net_shape *shape = &bits_shapes()[i];
        struct data data;
        struct setup s;
        struct snapshot middle, unbroken, resumed;
        double loss, losses[2];
        data_make(&data, (size_t)shape->patch_size, P, REFERENCES, PAIRS);
        setup_make(&s, shape, P, &data, 0.5);
        void *trainer = trainer_open(&s.plan);
        for (uint64_t step = 1; step <= 2; step++)
            ok(ops->step(trainer, &data.batch, step, 1e-3, &loss, NULL, &err));
        snapshot_take(&middle, trainer, shape);
        for (uint64_t step = 3; step <= 4; step++)
            ok(ops->step(trainer, &data.batch, step, 1e-3, &losses[step - 3], NULL, &err));
        snapshot_take(&unbroken, trainer, shape);
        ops->close(trainer);

        trainer = trainer_open(&s.plan);
        for (int k = 0; k < VJ_TRAIN_SETS; k++)
            ok(ops->set(trainer, (enum vj_train_set)k, &middle.set[k], &err));
        snapshot_take(&resumed, trainer, shape);
        assert_same_snapshot(&middle, &resumed);
        snapshot_free(&resumed);
        for (uint64_t step = 3; step <= 4; step++) {
            ok(ops->step(trainer, &data.batch, step, 1e-3, &loss, NULL, &err));
            assert_true(loss == losses[step - 3]);
        }
        snapshot_take(&resumed, trainer, shape);
        assert_same_snapshot(&unbroken, &resumed);
        ops->close(trainer);
        snapshot_free(&middle);
        snapshot_free(&unbroken);
        snapshot_free(&resumed);
        vj_weights_free(&s.w);
        data_free(&data);
    }
}

static void a_fresh_trainer_holds_its_own_copy_of_the_weights_and_zero_moments(void **state)
{
    (void)state;
    const struct vj_net_shape *shape = &bits_shapes()[0];
    struct data data;
    struct setup s;
    struct vj_weights copy, zero;
    struct snapshot have;
    char libraries[256] = "";
    data_make(&data, (size_t)shape->patch_size, 2, 1, 2);
    setup_make(&s, shape, 2, &data, 1.0);
    live_weights(&copy, shape);
    like(&zero, shape);
    void *trainer = trainer_open(&s.plan);
    vj_weights_free(&s.w);
    snapshot_take(&have, trainer, shape);
    assert_true(same_bits(&have.set[VJ_TRAIN_WEIGHTS], &copy));
    assert_true(same_bits(&have.set[VJ_TRAIN_AVERAGE], &copy));
    assert_true(same_bits(&have.set[VJ_TRAIN_MOMENT_1], &zero));
    assert_true(same_bits(&have.set[VJ_TRAIN_MOMENT_2], &zero));
    size_t floats = 0;
    for (size_t i = 0; i < copy.count; i++)
        floats += copy.tensors[i].count;
    assert_true(ops->bytes(trainer) >= 4 * floats * sizeof(float));
    ops->libraries(trainer, libraries, sizeof(libraries));
    vj_assert_contains(libraries, "oneDNN");
    assert_string_equal(ops->name, "cpu");
    ops->close(trainer);
    ops->close(NULL);
    snapshot_free(&have);
    vj_weights_free(&copy);
    vj_weights_free(&zero);
    data_free(&data);
}

static void asking_for_a_gradient_changes_nothing(void **state)
{
    (void)state;
    const struct vj_net_shape *shape = &bits_shapes()[1];
    struct data data;
    struct setup s;
    struct vj_weights first, second;
    struct snapshot before, after;
    double loss;
    data_make(&data, (size_t)shape->patch_size, 2, 1, 3);
    setup_make(&s, shape, 2, &data, 0.5);
    like(&first, shape);
    like(&second, shape);
    void *trainer = trainer_open(&s.plan);
    ok(ops->step(trainer, &data.batch, 1, 1e-3, &loss, NULL, &err));
    snapshot_take(&before, trainer, shape);
    ok(ops->gradient(trainer, &data.batch, 2, &first, &loss, NULL, &err));
    for (size_t i = 0; i < second.count; i++) /* what was there is overwritten */
        memset(second.tensors[i].data, 0xff, second.tensors[i].count * sizeof(float));
    ok(ops->gradient(trainer, &data.batch, 2, &second, &loss, NULL, &err));
    assert_true(same_bits(&first, &second));
    snapshot_take(&after, trainer, shape);
    assert_same_snapshot(&before, &after);
    ops->close(trainer);
    snapshot_free(&before);
    snapshot_free(&after);
    vj_weights_free(&first);
    vj_weights_free(&second);
    vj_weights_free(&s.w);
    data_free(&data);
}

/* Masks are keyed by seed and step; without dropout neither matters. */
static void dropout_depends_on_seed_and_step_and_only_below_one(void **state)
{
    (void)state;
    const struct vj_net_shape *shape = &bits_shapes()[1];
    struct data data;
    struct setup s;
    double loss[2][3];
    data_make(&data, (size_t)shape->patch_size, 2, 1, 3);
    setup_make(&s, shape, 2, &data, 0.5);
    struct vj_weights gradient;
    like(&gradient, shape);
    for (int dropped = 0; dropped < 2; dropped++)
        for (int k = 0; k < 3; k++) {
            s.plan.keep = dropped ? 0.5 : 1.0;
            s.plan.seed = k == 1 ? 11 : 11 + ((uint64_t)1 << 40);
            void *trainer = trainer_open(&s.plan);
            ok(ops->gradient(trainer, &data.batch, k == 2 ? 2 : 1, &gradient, &loss[dropped][k],
                             NULL, &err));
            ops->close(trainer);
        }
    assert_true(loss[0][0] == loss[0][1] && loss[0][0] == loss[0][2]);
    assert_true(loss[1][0] != loss[1][1] && loss[1][0] != loss[1][2]);
    vj_weights_free(&gradient);
    vj_weights_free(&s.w);
    data_free(&data);
}

/* ---- errors ---- */

static void is_refused(void *trainer, const struct vj_train_batch *batch, const char *part)
{
    double loss;
    is_error(ops->step(trainer, batch, 1, 1e-3, &loss, NULL, &err), -EINVAL, part);
}

static void batches_outside_the_plan_are_refused_and_change_nothing(void **state)
{
    (void)state;
    const struct vj_net_shape *shape = &bits_shapes()[1];
    struct data data;
    struct setup s;
    struct snapshot before, after;
    struct vj_train_batch bad;
    double loss;
    data_make(&data, (size_t)shape->patch_size, 2, 2, 4);
    setup_make(&s, shape, 2, &data, 1.0);
    void *trainer = trainer_open(&s.plan);
    ok(ops->step(trainer, &data.batch, 1, 1e-3, &loss, NULL, &err));
    snapshot_take(&before, trainer, shape);

    bad = data.batch;
    bad.pairs = 0;
    is_refused(trainer, &bad, "pairs");
    bad.pairs = 5;
    is_refused(trainer, &bad, "pairs");
    bad.pairs = SIZE_MAX;
    is_refused(trainer, &bad, "pairs");
    bad = data.batch;
    bad.references = 0;
    is_refused(trainer, &bad, "references");
    bad.references = 3;
    is_refused(trainer, &bad, "references");
    bad = data.batch;
    bad.references = 1; /* pairs 1 and 3 ask for the second */
    is_refused(trainer, &bad, "reference");
    data.reference[2] = UINT32_MAX;
    is_refused(trainer, &data.batch, "reference");
    data.reference[2] = 0;
    const float bad_importance[] = {NAN, INFINITY, -INFINITY, -0.5f};
    for (int i = 0; i < 4; i++) {
        data.importance[3] = bad_importance[i];
        is_refused(trainer, &data.batch, "importance");
    }
    data.importance[3] = 1;
    for (int i = 0; i < 3; i++) {
        data.target[1] = bad_importance[i];
        is_refused(trainer, &data.batch, "target");
    }
    data.target[1] = 0;
    snapshot_take(&after, trainer, shape);
    assert_same_snapshot(&before, &after);
    ok(ops->step(trainer, &data.batch, 2, 1e-3, &loss, NULL, &err));
    ops->close(trainer);
    snapshot_free(&before);
    snapshot_free(&after);
    vj_weights_free(&s.w);
    data_free(&data);
}

static void sets_of_another_shape_are_refused(void **state)
{
    (void)state;
    const struct vj_net_shape *shape = &bits_shapes()[1];
    struct vj_net_shape others[3] = {*shape, *shape, *shape};
    struct data data;
    struct setup s;
    struct snapshot before, after;
    others[0].channels[3]++;
    others[1].variant = VJ_VARIANT_RELEASED;
    others[2].channels[0] += 16;
    data_make(&data, (size_t)shape->patch_size, 2, 1, 2);
    setup_make(&s, shape, 2, &data, 1.0);
    void *trainer = trainer_open(&s.plan);
    snapshot_take(&before, trainer, shape);
    for (int i = 0; i < 3; i++) {
        struct vj_weights other;
        double loss;
        like(&other, &others[i]);
        for (int k = 0; k < VJ_TRAIN_SETS; k++) {
            is_error(ops->set(trainer, (enum vj_train_set)k, &other, &err), -EINVAL, "");
            is_error(ops->get(trainer, (enum vj_train_set)k, &other, &err), -EINVAL, "");
        }
        is_error(ops->gradient(trainer, &data.batch, 1, &other, &loss, NULL, &err), -EINVAL, "");
        vj_weights_free(&other);
    }
    snapshot_take(&after, trainer, shape);
    assert_same_snapshot(&before, &after);
    ops->close(trainer);
    snapshot_free(&before);
    snapshot_free(&after);
    vj_weights_free(&s.w);
    data_free(&data);
}

static void plans_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const struct vj_net_shape *shape = &bits_shapes()[1];
    struct data data;
    struct setup s;
    data_make(&data, (size_t)shape->patch_size, 2, 1, 2);
    setup_make(&s, shape, 2, &data, 1.0);
    const struct vj_trainer_plan good = s.plan;
    struct vj_trainer_plan bad[19];
    size_t count = 0;
#define BAD(field, value)                                                                          \
    do {                                                                                           \
        bad[count] = good;                                                                         \
        bad[count++].field = (value);                                                              \
    } while (0)
    BAD(patches, 0);
    BAD(max_references, 0);
    BAD(max_pairs, 0);
    BAD(threads, 0);
    BAD(keep, 0);
    BAD(keep, 1.5);
    BAD(keep, NAN);
    BAD(average, -0.1);
    BAD(average, 1.5);
    BAD(average, NAN);
    BAD(adam.beta_1, 1);
    BAD(adam.beta_2, 1);
    BAD(adam.epsilon, NAN);
    BAD(adam.beta_2, 0.999999999); /* 1 as a float */
    BAD(adam.epsilon, 0);
    BAD(max_pairs, VJ_DROPOUT_ROWS / 2);
    BAD(max_pairs, SIZE_MAX / 2 + 1); /* times two patches: 0 */
    BAD(max_references, SIZE_MAX / 2 + 1);
    BAD(patches, SIZE_MAX / 2 + 1);
#undef BAD
    for (size_t i = 0; i < count; i++) {
        void *trainer = NULL;
        int r = ops->open(&trainer, &bad[i], 0, &err);
        if (r != -EINVAL)
            fail_msg("plan %zu: %d instead of an error", i, r);
        assert_true(strlen(err.text) > 0);
    }
    vj_weights_free(&s.w);
    data_free(&data);
}

/* -EDOM, nothing changed, and the trainer goes on as if it had not been asked. */
static void leaves_everything_untouched(struct setup *s, const struct vj_train_batch *batch,
                                        const struct vj_weights *weights)
{
    struct snapshot before, after;
    double loss;
    void *trainer = trainer_open(&s->plan);
    if (weights)
        ok(ops->set(trainer, VJ_TRAIN_WEIGHTS, weights, &err));
    snapshot_take(&before, trainer, &s->w.shape);
    int r = ops->step(trainer, batch, 1, 1e-3, &loss, NULL, &err);
    if (r != -EDOM)
        fail_msg("%d instead of %d, loss %g", r, -EDOM, loss);
    snapshot_take(&after, trainer, &s->w.shape);
    assert_same_snapshot(&before, &after);
    ops->close(trainer);
    snapshot_free(&before);
    snapshot_free(&after);
}

static void a_loss_or_gradient_that_is_not_finite_leaves_everything_untouched(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct vj_net_shape *shape = &bits_shapes()[i];
        struct data data;
        struct setup s;
        struct vj_weights huge;
        data_make(&data, (size_t)shape->patch_size, 2, 2, 4);
        setup_make(&s, shape, 2, &data, 1.0);
        live_weights(&huge, shape);
        for (int layer = 1; layer <= 2; layer++) {
            char name[64];
            snprintf(name, sizeof(name), "extract_feature/conv%d/weights", layer);
            struct vj_tensor *t = vj_weights_find(&huge, name);
            for (size_t k = 0; k < t->count; k++)
                t->data[k] *= 1e30f;
        }
        leaves_everything_untouched(&s, &data.batch, &huge);
        /* a finite loss whose gradient overflows */
        for (size_t k = 0; k < 4; k++) {
            data.importance[k] = 3e38f;
            data.target[k] = 1;
        }
        leaves_everything_untouched(&s, &data.batch, NULL);
        vj_weights_free(&huge);
        vj_weights_free(&s.w);
        data_free(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(bits_do_not_depend_on_the_threads_that_openmp_would_take),
        cmocka_unit_test(bits_do_not_depend_on_the_room_of_the_plan),
        cmocka_unit_test(a_state_that_is_set_goes_on_with_the_bits_of_the_unbroken_one),
        cmocka_unit_test(a_fresh_trainer_holds_its_own_copy_of_the_weights_and_zero_moments),
        cmocka_unit_test(asking_for_a_gradient_changes_nothing),
        cmocka_unit_test(dropout_depends_on_seed_and_step_and_only_below_one),
        cmocka_unit_test(batches_outside_the_plan_are_refused_and_change_nothing),
        cmocka_unit_test(sets_of_another_shape_are_refused),
        cmocka_unit_test(plans_that_make_no_sense_are_refused),
        cmocka_unit_test(a_loss_or_gradient_that_is_not_finite_leaves_everything_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
