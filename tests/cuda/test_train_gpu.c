/* SPDX-License-Identifier: MIT */
/*
 * Training on a GPU against finite differences of the specification in double and against the CPU's
 * trainer: gradients of every tensor, all variants, both forms of the non-local block, dropout on;
 * Adam; repeatability, restarts, refusals. Skipped without a device.
 *
 * VPJND_TEST_SMALL=1 in the environment leaves out networks of full size, as does the emulation.
 */
#include "tests/cuda/gpu_there.h"
#include "tests/host/trainer_rig.h"

#include <cuda_runtime_api.h>
#include <errno.h>
#include <omp.h>

#include "cuda/train.h"
#include "tests/cuda/fail_each.h"
#include "tests/host/train_plain.h"

static const struct vj_trainer_ops *const cuda = &vj_trainer_cuda, *const cpu = &vj_trainer_cpu;

/*
 * Errors of a tensor's gradient over its largest number, or over its norm. The emulation is held to
 * what single precision leaves. On a device sums have another order, and now and then the larger of
 * two nearly equal numbers, or the sign of a number near 0 before relu, comes out the other way:
 * that moves the gradient of a whole pixel (at full size on the CPU, in two orders of summation:
 * 2e-3 of a tensor's norm).
 */
static double limit(double in_emulation)
{
    return EMULATED ? in_emulation : 1e-2;
}

struct rig {
    struct setup s;
    struct data data;
    size_t patches, size;
};

static void rig_make(struct rig *rig, const struct vj_net_shape *shape, size_t patches,
                     size_t references, size_t pairs)
{
    rig->patches = patches;
    rig->size = (size_t)shape->patch_size;
    data_make(&rig->data, rig->size, patches, references, pairs);
    /* Maps that vary, or theta's gradient is the small difference of large numbers. */
    for (size_t i = 0; i < references * patches * rig->size * rig->size; i++)
        rig->data.j[i] = (uint8_t)(formula_mix((uint32_t)i) % 200);
    setup_make(&rig->s, shape, patches, &rig->data, 0.5);
    if (shape->variant == VJ_VARIANT_PW_JND)
        rig->data.batch.j = NULL;
    /* No patch is left out, no unit of attention is dead, no softmax one-hot. */
    vj_weights_find(&rig->s.w, "weightings/block2/biases")->data[0] = 1.5f;
    for (size_t i = 0; i < rig->s.w.count; i++) {
        const struct vj_tensor *t = &rig->s.w.tensors[i];
        const bool soften = strstr(t->name, "mlp_0/kernel") || strstr(t->name, "theta_conv/kernel");
        for (size_t k = 0; k < t->count && soften; k++)
            t->data[k] *= 0.3f;
    }
}

static void rig_free(struct rig *rig)
{
    data_free(&rig->data);
    vj_weights_free(&rig->s.w);
}

static void *open_trainer(const struct vj_trainer_ops *of, const struct rig *rig)
{
    void *state;
    ok(of->open(&state, &rig->s.plan, 0, &err));
    return state;
}

/* Other pictures in the place of the batch's. */
static void change_pictures(struct rig *rig, uint32_t seed)
{
    const size_t px = rig->size * rig->size * rig->patches;
    const struct vj_train_batch *b = &rig->data.batch;
    const struct {
        uint8_t *at;
        size_t bytes;
    } list[] = {{rig->data.r, b->references * px * 3},
                {rig->data.j, b->references * px},
                {rig->data.d, b->pairs * px * 3}};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < list[k].bytes; i++)
            list[k].at[i] = (uint8_t)(list[k].at[i] / 2 + formula_mix((uint32_t)i + seed) % 64);
}

/* A set shaped like the weights, full of what nobody computes. */
static struct vj_weights make_set(const struct rig *rig)
{
    struct vj_weights set;
    like(&set, &rig->s.w.shape);
    for (size_t i = 0; i < set.count; i++)
        for (size_t k = 0; k < set.tensors[i].count; k++)
            set.tensors[i].data[k] = 12345.0f;
    return set;
}

static void copy_set(struct vj_weights *to, const struct vj_weights *from)
{
    for (size_t i = 0; i < from->count; i++)
        memcpy(to->tensors[i].data, from->tensors[i].data, from->tensors[i].count * sizeof(float));
}

/* Root of the mean square of a tensor's difference from another; from 0 where that is NULL. */
static double difference(const struct vj_tensor *a, const struct vj_tensor *b)
{
    double sum = 0;
    for (size_t i = 0; i < a->count; i++) {
        const double d = (double)a->data[i] - (b ? (double)b->data[i] : 0);
        sum += d * d;
    }
    return sqrt(sum / (double)a->count);
}

/*
 * What errors of a tensor's gradient are held against: itself. In the textbook form of the block
 * phi's bias adds the same to all of a row of affinities, which softmax takes away again: its
 * gradient is zero, and errors are held against that of phi's kernel.
 */
static const struct vj_tensor *measure(const struct vj_weights *gradient, size_t tensor)
{
    const char *name = gradient->tensors[tensor].name, *bias = strstr(name, "/phi_conv/bias");
    char kernel[128];
    if (!bias || gradient->shape.non_local == VJ_NON_LOCAL_RESHAPE)
        return &gradient->tensors[tensor];
    snprintf(kernel, sizeof(kernel), "%.*s/phi_conv/kernel", (int)(bias - name), name);
    return vj_weights_find(gradient, kernel);
}

/* ---- against the specification ---- */

enum { SAMPLES = 2, MAX_SLOPES = 64 * SAMPLES };

/* One weight whose slope is asked for. */
struct slope {
    size_t tensor, at;
    double unit, want; /* largest gradient of the tensor */
    bool usable;       /* no kink of the loss is near */
};

static size_t top_of(const struct vj_tensor *t)
{
    size_t top = 0;
    for (size_t i = 1; i < t->count; i++)
        if (!(fabsf(t->data[i]) <= fabsf(t->data[top])))
            top = i;
    return top;
}

/* The largest of each tensor, which an error would show in most, and others. */
static size_t pick(const struct vj_weights *gradient, struct slope slopes[MAX_SLOPES])
{
    size_t count = 0;
    for (size_t i = 0; i < gradient->count; i++) {
        const struct vj_tensor *t = &gradient->tensors[i], *of = measure(gradient, i);
        const double unit = fabs((double)of->data[top_of(of)]);
        if (!(unit > 0))
            fail_msg("%s: its largest gradient is %g", t->name, unit);
        for (size_t k = 0; k < SAMPLES && k < t->count; k++)
            slopes[count++] =
                (struct slope){i, (top_of(t) + k * t->count / SAMPLES) % t->count, unit, 0, false};
    }
    return count;
}

static void find_slopes(const struct rig *rig, const struct plain_training *t,
                        const struct plain_batch *base, struct slope *slopes, size_t count)
{
    struct vj_weights copy[2];
    for (int k = 0; k < 2; k++) {
        like(&copy[k], &rig->s.w.shape);
        copy_set(&copy[k], &rig->s.w);
    }
#pragma omp parallel for num_threads(2) schedule(dynamic)
    for (size_t i = 0; i < count; i++) {
        struct vj_weights *w = &copy[omp_get_thread_num()];
        struct slope *s = &slopes[i];
        s->usable =
            plain_slope(w, &w->tensors[s->tensor], s->at, 1e-5 * s->unit, base, t, &s->want);
    }
    for (int k = 0; k < 2; k++)
        vj_weights_free(&copy[k]);
}

static void compare_slopes(const char *name, const struct vj_weights *gradient,
                           const struct slope *slopes, size_t count)
{
    struct worst worst = {0};
    size_t usable = 0;
    for (size_t i = 0; i < count; i++) {
        const struct slope *s = &slopes[i];
        const struct vj_tensor *t = &gradient->tensors[s->tensor];
        usable += s->usable;
        if (s->usable)
            note(&worst, t->name, fabs((double)t->data[s->at] - s->want), limit(5e-5) * s->unit);
    }
    print_message("%zu slopes of %zu usable\n", usable, count);
    assert_true(10 * usable >= 9 * count);
    report(name, "slopes", &worst);
}

static void compare_with_specification(const struct vj_net_shape *shape, size_t references,
                                       size_t pairs)
{
    enum { PATCHES = 2, STEP = 3 };
    struct rig rig;
    struct slope slopes[MAX_SLOPES];
    struct plain_batch plain;
    double loss, logits[MAX_PAIRS];
    float logit[MAX_PAIRS];
    char name[64];
    rig_make(&rig, shape, PATCHES, references, pairs);
    struct vj_weights gradient = make_set(&rig);
    void *trainer = open_trainer(cuda, &rig);
    ok(cuda->gradient(trainer, &rig.data.batch, STEP, &gradient, &loss, logit, &err));
    cuda->close(trainer);
    const struct plain_training t = {&rig.data.batch, PATCHES, rig.s.plan.keep, rig.s.plan.seed,
                                     STEP};
    plain_batch_make(&plain, &rig.s.w, &t);
    const double want = plain_loss(&rig.s.w, &plain, &t, logits);
    assert_true(fabs(loss - want) <= 1e-5 * want);
    for (size_t i = 0; i < pairs; i++)
        assert_true(fabs((double)logit[i] - logits[i]) <= 1e-5 * (1 + fabs(logits[i])));
    const size_t count = pick(&gradient, slopes);
    find_slopes(&rig, &t, &plain, slopes, count);
    snprintf(name, sizeof(name), "%s %s %d px", vj_variant_name(shape->variant),
             shape->non_local ? "transpose" : "reshape", shape->patch_size);
    compare_slopes(name, &gradient, slopes, count);
    plain_batch_free(&plain);
    vj_weights_free(&gradient);
    rig_free(&rig);
}

static void gradients_are_slopes_of_the_loss_in_double(void **state)
{
    (void)state;
    for (int variant = VJ_VARIANT_RELEASED; variant <= VJ_VARIANT_FIGURE; variant++)
        for (int form = VJ_NON_LOCAL_RESHAPE; form <= VJ_NON_LOCAL_TRANSPOSE; form++) {
            const struct vj_net_shape shape =
                shape_of((enum vj_variant)variant, (enum vj_non_local)form, 16, 16, 16, 16, 16);
            const size_t more = variant == VJ_VARIANT_RELEASED && form == VJ_NON_LOCAL_RESHAPE;
            compare_with_specification(&shape, 1 + more, 2 + more);
        }
}

/* Channels that are padded, channels that differ, more attention units than one. */
static void odd_channels_have_the_same_slopes(void **state)
{
    (void)state;
    const struct vj_net_shape shape =
        shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 16, 32, 16, 48, 21);
    compare_with_specification(&shape, 1, 1);
}

/* Ten layers, no map. */
static void gradients_of_pw_jnd_are_slopes_of_the_loss_in_double(void **state)
{
    (void)state;
    const struct vj_net_shape shape = pw_shape(32, 16, 16, 16, 16, 16);
    compare_with_specification(&shape, 2, 3);
}

/* ---- against the CPU ---- */

static struct worst compare_sets(const struct vj_weights *have, const struct vj_weights *want,
                                 double allowed)
{
    struct worst worst = {0};
    for (size_t i = 0; i < want->count; i++)
        note(&worst, want->tensors[i].name, difference(&have->tensors[i], &want->tensors[i]),
             allowed * difference(measure(want, i), NULL));
    return worst;
}

/*
 * One batch; its pictures are others for each seed. Returns the largest error over its limit, the
 * tensor's name in `tensor`.
 */
static struct worst compare_batch(const struct vj_net_shape *shape, size_t patches,
                                  size_t references, size_t pairs, uint32_t seed, char tensor[128])
{
    struct rig rig;
    double loss[2];
    float logit[2][MAX_PAIRS];
    rig_make(&rig, shape, patches, references, pairs);
    if (seed)
        change_pictures(&rig, seed);
    struct vj_weights have = make_set(&rig), want = make_set(&rig);
    void *gpu = open_trainer(cuda, &rig), *host = open_trainer(cpu, &rig);
    ok(cuda->gradient(gpu, &rig.data.batch, 1, &have, &loss[0], logit[0], &err));
    ok(cpu->gradient(host, &rig.data.batch, 1, &want, &loss[1], logit[1], &err));
    print_message("loss %.6f on the GPU, %.6f on the CPU\n", loss[0], loss[1]);
    assert_true(fabs(loss[0] - loss[1]) <= 1e-4 * fabs(loss[1]));
    for (size_t i = 0; i < pairs; i++)
        assert_true(fabsf(logit[0][i] - logit[1][i]) <= 1e-4f * (1 + fabsf(logit[1][i])));
    struct worst worst = compare_sets(&have, &want, limit(2e-4));
    snprintf(tensor, 128, "%s", worst.tensor);
    worst.tensor = tensor;
    cuda->close(gpu);
    cpu->close(host);
    vj_weights_free(&have);
    vj_weights_free(&want);
    rig_free(&rig);
    return worst;
}

/*
 * Where two numbers are nearly equal, or one is nearly 0 before relu, the two decide differently,
 * and both are right; theta and phi feel it most, whose gradients are small beside those of what
 * follows them. Which pictures do that depends on the processor's order of sums. So a batch may
 * miss its limit, though not by far, when one with other pictures keeps it: an error of the
 * formulas would show in all of them. So it is with steps, which follow gradients.
 */
enum { BATCHES = 8, TIES = 50 };

static void compare_gradients(const struct vj_net_shape *shape, size_t patches, size_t references,
                              size_t pairs)
{
    struct worst worst;
    char name[64], tensor[128];
    snprintf(name, sizeof(name), "%s %s %d px", vj_variant_name(shape->variant),
             shape->non_local ? "transpose" : "reshape", shape->patch_size);
    uint32_t seed = 0;
    while (!((worst = compare_batch(shape, patches, references, pairs, seed, tensor)).ratio <= 1)) {
        print_message("%-26s %s at %.2f of the limit with pictures %u\n", name, worst.tensor,
                      worst.ratio, seed);
        assert_true(worst.ratio <= TIES);
        assert_true(++seed < BATCHES);
    }
    report(name, "gradients", &worst);
}

static void gradients_agree_with_the_cpu(void **state)
{
    (void)state;
    const struct vj_net_shape small[] = {
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 32, 16, 32, 16, 24),
        shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_TRANSPOSE, 32, 32, 16, 32, 21),
        shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_RESHAPE, 48, 16, 16, 48, 21),
        shape_of(VJ_VARIANT_FIGURE, VJ_NON_LOCAL_TRANSPOSE, 16, 16, 16, 16, 16),
        pw_shape(32, 16, 48, 32, 16, 80),
        pw_shape(64, 16, 16, 16, 16, 32),
    };
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
        compare_gradients(&small[i], 2, 2, 3);
}

static void gradients_of_the_full_network_agree_with_the_cpu(void **state)
{
    (void)state;
    if (small_only()) {
        print_message("skipped: small networks only\n");
        skip();
    }
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const struct vj_net_shape shape = vj_net_shape_default((enum vj_variant)variant);
        compare_gradients(&shape, 4, 2, 3);
    }
}

/* The same over all tensors together, which a few that are nothing but rounding do not decide. */
static double whole_difference(const struct vj_weights *a, const struct vj_weights *b)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < a->count; i++) {
        const double n = (double)a->tensors[i].count;
        sum += n * pow(difference(&a->tensors[i], b ? &b->tensors[i] : NULL), 2);
        count += n;
    }
    return sqrt(sum / count);
}

/*
 * Adam divides a gradient by its own size: where it is rounding alone, a step is rounding, too.
 * Returns the largest error over its limit.
 */
static double compare_states(const struct rig *rig, void *gpu, void *host)
{
    double worst = 0;
    for (int set = 0; set < VJ_TRAIN_SETS; set++) {
        struct vj_weights have = make_set(rig), want = make_set(rig);
        const bool moment = set == VJ_TRAIN_MOMENT_1 || set == VJ_TRAIN_MOMENT_2;
        ok(cuda->get(gpu, (enum vj_train_set)set, &have, &err));
        ok(cpu->get(host, (enum vj_train_set)set, &want, &err));
        const double change = whole_difference(&want, moment ? NULL : &rig->s.w);
        const double apart = whole_difference(&have, &want);
        print_message("set %d: changed by %.2e, differs by %.2e\n", set, change, apart);
        assert_true(change > 0 && isfinite(apart));
        worst = fmax(worst, apart / ((EMULATED ? 1e-3 : 5e-2) * change));
        vj_weights_free(&have);
        vj_weights_free(&want);
    }
    return worst;
}

/* Five steps on pictures that are others for each seed; as compare_states(). */
static double take_steps(const struct vj_net_shape *shape, uint32_t seed)
{
    enum { STEPS = 5 };
    const uint32_t pictures = seed * (STEPS + 1);
    struct rig rig;
    rig_make(&rig, shape, 2, 2, 4);
    if (seed)
        change_pictures(&rig, pictures);
    void *gpu = open_trainer(cuda, &rig), *host = open_trainer(cpu, &rig);
    const double allowed = EMULATED ? 1e-5 : 1e-3;
    double first = 0, worst = 0, loss[2] = {0, 0};
    for (uint32_t step = 1; step <= STEPS; step++) {
        ok(cuda->step(gpu, &rig.data.batch, step, 1e-4, &loss[0], NULL, &err));
        ok(cpu->step(host, &rig.data.batch, step, 1e-4, &loss[1], NULL, &err));
        print_message("step %d: loss %.6f on the GPU, %.6f on the CPU\n", (int)step, loss[0],
                      loss[1]);
        const double apart = fabs(loss[0] - loss[1]) / (allowed * fabs(loss[1]));
        assert_true(isfinite(apart) && (step > 1 || apart <= 1)); /* later ones follow gradients */
        worst = fmax(worst, apart);
        first = step == 1 ? loss[0] : first;
        change_pictures(&rig, pictures + step);
    }
    assert_true(loss[0] != first);
    worst = fmax(worst, compare_states(&rig, gpu, host));
    cuda->close(gpu);
    cpu->close(host);
    rig_free(&rig);
    return worst;
}

/* As compare_gradients(); a decision at an early step moves sets by up to a tenth of their change.
 */
static void compare_steps(const struct vj_net_shape *shape)
{
    const double ties = EMULATED ? 250 : 5; /* a quarter of the change */
    double worst;
    uint32_t seed = 0;
    while (!((worst = take_steps(shape, seed)) <= 1)) {
        print_message("steps of %s at %.2f of the limit with pictures %u\n",
                      vj_variant_name(shape->variant), worst, seed);
        assert_true(worst <= ties);
        assert_true(++seed < BATCHES);
    }
}

static void steps_of_adam_agree_with_the_cpu(void **state)
{
    (void)state;
    const struct vj_net_shape shapes[] = {
        small_only() ? shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 16, 16, 16, 16, 16)
                     : shape_of(VJ_VARIANT_RELEASED, VJ_NON_LOCAL_RESHAPE, 64, 32, 32, 64, 64),
        small_only() ? pw_shape(32, 16, 16, 16, 16, 16) : pw_shape(64, 32, 32, 64, 64, 64)};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        compare_steps(&shapes[i]);
}

/* ---- bits ---- */

static struct vj_net_shape usual_shape(enum vj_variant variant)
{
    if (variant == VJ_VARIANT_PW_JND)
        return pw_shape(32, 16, 32, 16, 16, 32);
    return shape_of(variant, VJ_NON_LOCAL_RESHAPE, 16, 16, 32, 16, 24);
}

/* Nothing of another batch is left behind, and no order of additions is left to chance. */
static void a_gradient_has_the_same_bits_again_after_another_batch(void **state)
{
    (void)state;
    for (int variant = 0; variant < VJ_VARIANTS; variant++) {
        const struct vj_net_shape shape = usual_shape((enum vj_variant)variant);
        struct rig rig, other;
        rig_make(&rig, &shape, 3, 2, 4);
        rig_make(&other, &shape, 3, 1, 3);
        change_pictures(&other, 5);
        struct vj_weights a = make_set(&rig), b = make_set(&rig), again = make_set(&rig);
        void *t = open_trainer(cuda, &rig);
        double loss[3];
        ok(cuda->gradient(t, &rig.data.batch, 9, &a, &loss[0], NULL, &err));
        ok(cuda->gradient(t, &other.data.batch, 2, &b, &loss[1], NULL, &err));
        ok(cuda->gradient(t, &rig.data.batch, 9, &again, &loss[2], NULL, &err));
        assert_true(loss[0] == loss[2] && loss[0] != loss[1]);
        assert_true(same_bits(&a, &again));
        assert_true(whole_difference(&a, &b) > 0);
        cuda->close(t);
        vj_weights_free(&a);
        vj_weights_free(&b);
        vj_weights_free(&again);
        rig_free(&rig);
        rig_free(&other);
    }
}

/* Memory of references and pairs that a batch does not have is nobody's. */
static void make_room(enum vj_variant variant)
{
    const struct vj_net_shape shape = usual_shape(variant);
    struct rig rig;
    rig_make(&rig, &shape, 2, 2, 3);
    struct vj_weights wide = make_set(&rig), tight = make_set(&rig);
    double loss[2];
    void *t = open_trainer(cuda, &rig);
    ok(cuda->gradient(t, &rig.data.batch, 1, &tight, &loss[0], NULL, &err));
    const size_t bytes = cuda->bytes(t);
    cuda->close(t);
    rig.s.plan.max_references = 3;
    rig.s.plan.max_pairs = 6;
    setenv("VPJND_EMULATE_COPIES", "1", 1); /* most room for a convolution's way forward */
    t = open_trainer(cuda, &rig);
    ok(cuda->gradient(t, &rig.data.batch, 1, &wide, &loss[1], NULL, &err));
    unsetenv("VPJND_EMULATE_COPIES");
    assert_true(cuda->bytes(t) > bytes);
    cuda->close(t);
    assert_true(loss[0] == loss[1]);
    assert_true(same_bits(&wide, &tight));
    vj_weights_free(&wide);
    vj_weights_free(&tight);
    rig_free(&rig);
}

static void room_for_more_pairs_changes_no_bit(void **state)
{
    (void)state;
    make_room(VJ_VARIANT_RELEASED);
    make_room(VJ_VARIANT_PW_JND);
}

/* Sharing a reference saves work and changes nothing but the order of sums. */
static void pairs_that_share_a_reference_have_the_gradient_of_pairs_that_do_not(void **state)
{
    (void)state;
    enum { PAIRS = 3, PATCHES = 2, SIZE = 16, PIXELS = PATCHES * SIZE * SIZE };
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    struct rig rig, one;
    rig_make(&rig, &shape, PATCHES, PAIRS, PAIRS);
    rig_make(&one, &shape, PATCHES, 1, PAIRS);
    memcpy(rig.data.d, one.data.d, PAIRS * PIXELS * 3);
    memcpy(rig.data.target, one.data.target, sizeof(rig.data.target));
    for (size_t i = 0; i < PAIRS; i++) {
        memcpy(rig.data.r + i * PIXELS * 3, one.data.r, PIXELS * 3);
        memcpy(rig.data.j + i * PIXELS, one.data.j, PIXELS);
    }
    struct vj_weights shared = make_set(&rig), apart = make_set(&rig);
    double loss[2];
    void *t = open_trainer(cuda, &rig);
    ok(cuda->gradient(t, &one.data.batch, 1, &shared, &loss[0], NULL, &err));
    ok(cuda->gradient(t, &rig.data.batch, 1, &apart, &loss[1], NULL, &err));
    assert_true(fabs(loss[0] - loss[1]) <= 1e-6 * loss[0]);
    const struct worst worst = compare_sets(&apart, &shared, 1e-4);
    report("shared and apart", "gradients", &worst);
    cuda->close(t);
    vj_weights_free(&shared);
    vj_weights_free(&apart);
    rig_free(&rig);
    rig_free(&one);
}

/* Two steps, the state into another trainer, a third on both. */
static void put_back(enum vj_variant variant)
{
    const struct vj_net_shape shape = usual_shape(variant);
    struct rig rig;
    double loss[2];
    rig_make(&rig, &shape, 2, 2, 3);
    void *a = open_trainer(cuda, &rig);
    for (uint64_t step = 1; step <= 2; step++)
        ok(cuda->step(a, &rig.data.batch, step, 1e-3, &loss[0], NULL, &err));
    void *b = open_trainer(cuda, &rig);
    struct vj_weights set = make_set(&rig), other = make_set(&rig);
    for (int i = 0; i < VJ_TRAIN_SETS; i++) {
        ok(cuda->get(a, (enum vj_train_set)i, &set, &err));
        ok(cuda->set(b, (enum vj_train_set)i, &set, &err));
    }
    ok(cuda->step(a, &rig.data.batch, 3, 1e-3, &loss[0], NULL, &err));
    ok(cuda->step(b, &rig.data.batch, 3, 1e-3, &loss[1], NULL, &err));
    assert_true(loss[0] == loss[1]);
    for (int i = 0; i < VJ_TRAIN_SETS; i++) {
        ok(cuda->get(a, (enum vj_train_set)i, &set, &err));
        ok(cuda->get(b, (enum vj_train_set)i, &other, &err));
        assert_true(same_bits(&set, &other));
    }
    cuda->close(a);
    cuda->close(b);
    vj_weights_free(&set);
    vj_weights_free(&other);
    rig_free(&rig);
}

static void a_state_that_is_put_back_goes_on_with_the_same_bits(void **state)
{
    (void)state;
    put_back(VJ_VARIANT_RELEASED);
    put_back(VJ_VARIANT_PW_JND);
}

/* ---- refusals ---- */

/* A step that fails with -EDOM and changes no set. */
static void expect_no_step(void *t, const struct rig *rig, const char *text)
{
    struct vj_weights before[VJ_TRAIN_SETS], after = make_set(rig);
    double loss;
    for (int i = 0; i < VJ_TRAIN_SETS; i++) {
        before[i] = make_set(rig);
        ok(cuda->get(t, (enum vj_train_set)i, &before[i], &err));
    }
    assert_int_equal(cuda->step(t, &rig->data.batch, 2, 1e-4, &loss, NULL, &err), -EDOM);
    vj_assert_contains(err.text, text);
    for (int i = 0; i < VJ_TRAIN_SETS; i++) {
        ok(cuda->get(t, (enum vj_train_set)i, &after, &err));
        assert_true(same_bits(&before[i], &after));
        vj_weights_free(&before[i]);
    }
    vj_weights_free(&after);
}

/* Where the step ends, at the loss or at a gradient, is for the library's relu to say, which need
 * not let NaN through. */
static void take_a_bad_step(enum vj_variant variant, const char *tensor)
{
    const struct vj_net_shape shape = usual_shape(variant);
    struct rig rig;
    double loss;
    rig_make(&rig, &shape, 2, 1, 2);
    struct vj_weights w = make_set(&rig);
    void *t = open_trainer(cuda, &rig);
    ok(cuda->step(t, &rig.data.batch, 1, 1e-4, &loss, NULL, &err));
    ok(cuda->get(t, VJ_TRAIN_WEIGHTS, &w, &err));
    vj_weights_find(&w, tensor)->data[5] = NAN;
    ok(cuda->set(t, VJ_TRAIN_WEIGHTS, &w, &err));
    expect_no_step(t, &rig, "is not finite; lower learning_rate");
    cuda->close(t);
    vj_weights_free(&w);
    rig_free(&rig);
}

static void a_step_that_is_not_finite_leaves_the_state_alone(void **state)
{
    (void)state;
    take_a_bad_step(VJ_VARIANT_FIGURE, "extract_feature/conv2/weights");
    take_a_bad_step(VJ_VARIANT_PW_JND, "extract_feature/conv2_1/weights");
    if (!EMULATED)
        return;
    setenv("VPJND_EMULATE_NAN", "dropped", 1);
    take_a_bad_step(VJ_VARIANT_FIGURE, "extract_feature/conv2/weights");
    unsetenv("VPJND_EMULATE_NAN");
}

/* Two pairs whose gradients are finite and their sum is not; losses are formed in double. */
static void a_gradient_that_is_not_finite_is_named(void **state)
{
    (void)state;
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    struct rig rig;
    rig_make(&rig, &shape, 2, 1, 2);
    vj_weights_find(&rig.s.w, "regressions/block2/biases")->data[0] = -30;
    for (int i = 0; i < 2; i++) {
        rig.data.target[i] = 1;
        rig.data.importance[i] = 3e38f;
    }
    void *t = open_trainer(cuda, &rig);
    expect_no_step(t, &rig, "step 2: the gradient of ");
    vj_assert_contains(err.text, " is not finite; lower learning_rate");
    cuda->close(t);
    rig_free(&rig);
}

static void refuse_batch(void *t, const struct rig *rig, const char *text)
{
    double loss;
    assert_int_equal(cuda->step(t, &rig->data.batch, 1, 1e-4, &loss, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, text);
}

static void batches_outside_the_plan_are_refused(void **state)
{
    (void)state;
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    struct rig rig;
    double loss;
    rig_make(&rig, &shape, 2, 2, 3);
    void *t = open_trainer(cuda, &rig);
    struct data *d = &rig.data;
    d->batch.pairs = 4;
    refuse_batch(t, &rig, "a batch of 2 references and 4 pairs");
    d->batch.pairs = 0;
    refuse_batch(t, &rig, "a batch of 2 references and 0 pairs");
    d->batch.pairs = 3;
    d->batch.references = 3;
    refuse_batch(t, &rig, "a batch of 3 references and 3 pairs");
    d->batch.references = 1;
    refuse_batch(t, &rig, "pair 1 belongs to reference 1 of 1");
    d->batch.references = 2;
    d->target[2] = 1.5f;
    refuse_batch(t, &rig, "pair 2 has target 1.5");
    d->target[2] = NAN;
    refuse_batch(t, &rig, "pair 2 has target nan");
    d->target[2] = 1;
    d->importance[0] = -1;
    refuse_batch(t, &rig, "pair 0 has importance -1");
    d->importance[0] = INFINITY;
    refuse_batch(t, &rig, "pair 0 has importance inf");
    d->importance[0] = 0;
    d->batch.j = NULL;
    refuse_batch(t, &rig, "variant figure sees a pixel-JND map, the batch has none");
    d->batch.j = d->j;
    assert_int_equal(cuda->step(t, &d->batch, 0, 1e-4, &loss, NULL, &err), -EINVAL);
    vj_assert_contains(err.text, "steps are counted from 1");
    ok(cuda->step(t, &d->batch, 1, 1e-4, &loss, NULL, &err));
    cuda->close(t);
    cuda->close(NULL);
    rig_free(&rig);
}

static void sets_of_another_network_are_refused(void **state)
{
    (void)state;
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    const struct vj_net_shape more = usual_shape(VJ_VARIANT_RELEASED);
    struct vj_net_shape wider = shape;
    wider.channels[1] = 48;
    struct rig rig, other, third;
    rig_make(&rig, &shape, 1, 1, 1);
    rig_make(&other, &more, 1, 1, 1);
    rig_make(&third, &wider, 1, 1, 1);
    void *t = open_trainer(cuda, &rig);
    assert_int_equal(cuda->set(t, VJ_TRAIN_WEIGHTS, &other.s.w, &err), -EINVAL);
    vj_assert_contains(err.text, "the set has 64 tensors, the trainer 36");
    assert_int_equal(cuda->get(t, VJ_TRAIN_AVERAGE, &third.s.w, &err), -EINVAL);
    vj_assert_contains(err.text, "extract_feature/conv2/weights");
    assert_int_equal(cuda->get(t, VJ_TRAIN_SETS, &rig.s.w, &err), -EINVAL);
    rig.s.w.tensors[2].name[0] = 'E'; /* of the same size */
    assert_int_equal(cuda->set(t, VJ_TRAIN_WEIGHTS, &rig.s.w, &err), -EINVAL);
    vj_assert_contains(err.text, "tensor 2 of the set is Extract_feature/");
    cuda->close(t);
    rig_free(&rig);
    rig_free(&other);
    rig_free(&third);
}

static void every_layer_and_its_algorithm_is_described(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "precision fp32", "conv1 ",    "conv1 filter ", "conv4 data ",
        "affinity ",      "of_theta ", "of_factors ",   "2 references, 3 pairs, 2 patches"};
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    char text[8192], libraries[128], shortened[16];
    struct rig rig;
    rig_make(&rig, &shape, 2, 2, 3);
    void *t = open_trainer(cuda, &rig);
    vj_cuda_train_describe(t, text, sizeof(text));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        vj_assert_contains(text, parts[i]);
    cuda->libraries(t, libraries, sizeof(libraries));
    vj_assert_contains(libraries, "cuDNN ");
    vj_cuda_train_describe(t, shortened, sizeof(shortened));
    assert_int_equal(strlen(shortened), sizeof(shortened) - 1);
    cuda->close(t);
    rig_free(&rig);
}

/* ---- what only the emulation can do ---- */

static void need_emulation(void)
{
    if (!EMULATED) {
        print_message("skipped: only the emulation can be made small or refuse on demand\n");
        skip();
    }
}

static void without_algorithm_1_another_that_repeats_its_bits_is_taken(void **state)
{
    (void)state;
    need_emulation();
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    struct rig rig;
    double loss;
    char text[8192];
    rig_make(&rig, &shape, 1, 1, 1);
    setenv("VPJND_EMULATE_BACK", "1", 1);
    void *t = open_trainer(cuda, &rig);
    vj_cuda_train_describe(t, text, sizeof(text));
    vj_assert_contains(text, "conv1 filter WINOGRAD_NONFUSED");
    vj_assert_contains(text, "conv2 data WINOGRAD_NONFUSED");
    cuda->close(t);
    setenv("VPJND_EMULATE_BACK", "varying", 1);
    ok(cuda->open(&t, &rig.s.plan, 0, &err));
    ok(cuda->step(t, &rig.data.batch, 1, 1e-4, &loss, NULL, &err)); /* its workspace is larger */
    vj_cuda_train_describe(t, text, sizeof(text));
    vj_assert_contains(text, "conv1 filter WINOGRAD_NONFUSED");
    vj_assert_contains(text, "conv2 data WINOGRAD_NONFUSED");
    cuda->close(t);
    unsetenv("VPJND_EMULATE_BACK");
    rig_free(&rig);
}

/*
 * 12,345 bytes: what the emulation's faster convolutions want; 23,456 and 65,432: its gradients.
 * Others that want none would do, with other bits.
 */
static void want_of_memory_is_named_and_no_other_algorithm_taken(void **state)
{
    (void)state;
    need_emulation();
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    static const char *const refused[] = {"12345", "23456", "65432"};
    struct rig rig;
    void *t;
    rig_make(&rig, &shape, 1, 1, 1);
    for (int i = 0; i < 3; i++) {
        setenv("VPJND_EMULATE_REFUSED", refused[i], 1);
        assert_int_equal(cuda->open(&t, &rig.s.plan, 0, &err), -ENOMEM);
        vj_assert_contains(err.text, "no memory for cuDNN's work: CUDA: cudaMalloc");
        assert_null(t);
    }
    unsetenv("VPJND_EMULATE_REFUSED");
    rig_free(&rig);
}

static void a_batch_that_does_not_fit_is_refused_with_both_numbers(void **state)
{
    (void)state;
    need_emulation();
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    struct rig rig;
    void *t;
    rig_make(&rig, &shape, 2, 2, 3);
    setenv("VPJND_EMULATE_MEMORY", "3000000", 1);
    assert_int_equal(cuda->open(&t, &rig.s.plan, 0, &err), -ENOMEM);
    assert_null(t);
    vj_assert_contains(err.text, "training on 3 pairs and 2 references of 2 patches takes ");
    vj_assert_contains(err.text, "2 MiB are free: use fewer pairs or patches");
    unsetenv("VPJND_EMULATE_MEMORY");
    rig_free(&rig);
}

struct trained {
    const struct rig *rig;
    struct vj_weights expected, got; /* expected: none yet before the first run */
};

static int train_once(void *user)
{
    struct trained *m = user;
    double loss;
    void *t;
    int r = cuda->open(&t, &m->rig->s.plan, 0, &err);
    r = r ? r : cuda->step(t, &m->rig->data.batch, 1, 1e-3, &loss, NULL, &err);
    r = r ? r : cuda->get(t, VJ_TRAIN_WEIGHTS, &m->got, &err);
    cuda->close(t);
    assert_true(r || m->expected.count == 0 || same_bits(&m->expected, &m->got));
    return r;
}

static void a_call_that_fails_is_an_error(void **state)
{
    (void)state;
    need_emulation();
    const struct vj_net_shape shape = usual_shape(VJ_VARIANT_FIGURE);
    struct rig rig;
    rig_make(&rig, &shape, 1, 1, 1);
    struct trained m = {.rig = &rig, .got = make_set(&rig)};
    ok(train_once(&m));
    m.expected = make_set(&rig);
    copy_set(&m.expected, &m.got);
    print_message("%u calls\n", fail_each(train_once, &m, 29, true));
    vj_weights_free(&m.expected);
    vj_weights_free(&m.got);
    rig_free(&rig);
}

int main(void)
{
    if (!gpu_is_there())
        return VJ_TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_slopes_of_the_loss_in_double),
        cmocka_unit_test(odd_channels_have_the_same_slopes),
        cmocka_unit_test(gradients_of_pw_jnd_are_slopes_of_the_loss_in_double),
        cmocka_unit_test(gradients_agree_with_the_cpu),
        cmocka_unit_test(gradients_of_the_full_network_agree_with_the_cpu),
        cmocka_unit_test(steps_of_adam_agree_with_the_cpu),
        cmocka_unit_test(a_gradient_has_the_same_bits_again_after_another_batch),
        cmocka_unit_test(room_for_more_pairs_changes_no_bit),
        cmocka_unit_test(pairs_that_share_a_reference_have_the_gradient_of_pairs_that_do_not),
        cmocka_unit_test(a_state_that_is_put_back_goes_on_with_the_same_bits),
        cmocka_unit_test(a_step_that_is_not_finite_leaves_the_state_alone),
        cmocka_unit_test(a_gradient_that_is_not_finite_is_named),
        cmocka_unit_test(batches_outside_the_plan_are_refused),
        cmocka_unit_test(sets_of_another_network_are_refused),
        cmocka_unit_test(every_layer_and_its_algorithm_is_described),
        cmocka_unit_test(without_algorithm_1_another_that_repeats_its_bits_is_taken),
        cmocka_unit_test(want_of_memory_is_named_and_no_other_algorithm_taken),
        cmocka_unit_test(a_batch_that_does_not_fit_is_refused_with_both_numbers),
        cmocka_unit_test(a_call_that_fails_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
